/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vdev.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int address(struct sockaddr_un *sa, const char *path, int type)
{
	size_t len = strlen(path);

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!len || len >= sizeof(sa->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa->sun_path, path, len);
	return socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int connect_as(const char *path, int type)
{
	struct sockaddr_un sa;
	int fd, err;

	fd = address(&sa, path, type);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

int gk_sock_connect(const char *path)
{
	return connect_as(path, SOCK_STREAM);
}

int gk_sock_listen(const char *path, int type)
{
	struct sockaddr_un sa;
	struct stat st;
	int fd, err;

	fd = address(&sa, path, type);
	if (fd < 0)
		return -1;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		err = connect_as(path, type);
		if (err >= 0)
			close(err);
		else if (errno == ECONNREFUSED)
			unlink(path);
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 8) < 0) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}
