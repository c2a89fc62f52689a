/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/paths.h"

const char *gk_root_prefix = "";
const char *gk_run_dir = "/run/gatekeeper";

int gk_path(char buf[GK_PATH_MAX], const char *fmt, ...)
{
	int head = snprintf(buf, GK_PATH_MAX, "%s", gk_root_prefix);
	va_list ap;
	int n;

	if (head < 0 || head >= GK_PATH_MAX)
		return GK_ERR_LIMIT;
	va_start(ap, fmt);
	n = vsnprintf(buf + head, (size_t)(GK_PATH_MAX - head), fmt, ap);
	va_end(ap);
	return n < 0 || n >= GK_PATH_MAX - head ? GK_ERR_LIMIT : 0;
}

int gk_run_path(char buf[GK_PATH_MAX], const char *name)
{
	int n = snprintf(buf, GK_PATH_MAX, "%s/%s", gk_run_dir, name);

	return n < 0 || n >= GK_PATH_MAX ? GK_ERR_LIMIT : 0;
}

ssize_t gk_file_read(const char *path, char *buf, size_t cap)
{
	ssize_t ret = GK_ERR_SYSTEM;
	size_t len = 0;
	char more;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	while (len < cap - 1) {
		ssize_t n = read(fd, buf + len, cap - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto out;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	if (len == cap - 1 && read(fd, &more, 1) == 1) {
		ret = GK_ERR_LIMIT;
		goto out;
	}
	ret = (ssize_t)len;
out:
	close(fd);
	return ret;
}

ssize_t gk_file_line(const char *path, char *buf, size_t cap)
{
	ssize_t n = gk_file_read(path, buf, cap);

	while (n > 0 && strchr(" \t\r\n", buf[n - 1]))
		buf[--n] = '\0';
	return n;
}

int gk_file_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	ret = write(fd, text, len) == (ssize_t)len ? 0 : GK_ERR_SYSTEM;
	if (close(fd) < 0)
		ret = GK_ERR_SYSTEM;
	return ret;
}

int gk_file_replace(const char *path, const char *text, mode_t mode)
{
	return gk_file_put(path, text, strlen(text), mode);
}

int gk_file_put(const char *path, const void *data, size_t len, mode_t mode)
{
	char tmp[GK_PATH_MAX];
	int fd, n, ret = GK_ERR_SYSTEM;

	n = snprintf(tmp, sizeof(tmp), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return GK_ERR_LIMIT;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		  mode);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	if (write(fd, data, len) == (ssize_t)len)
		ret = 0;
	if (close(fd) < 0)
		ret = GK_ERR_SYSTEM;
	if (ret == 0 && rename(tmp, path) < 0)
		ret = GK_ERR_SYSTEM;
	if (ret)
		unlink(tmp);
	return ret;
}

int gk_link_base(const char *path, char *buf, size_t cap)
{
	char target[GK_PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	if (n < 0)
		return GK_ERR_SYSTEM;
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strlen(base) >= cap)
		return GK_ERR_LIMIT;
	strcpy(buf, base);
	return 0;
}
