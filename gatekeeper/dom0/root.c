/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/paths.h"
#include "dom0/root.h"

static int proc_fd = -1;

int gk_root_open(void)
{
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0 ? GK_ERR_SYSTEM : 0;
}

int gk_root_follow(void)
{
	struct stat ours, init;
	int fd, ret = GK_ERR_SYSTEM;

	if (proc_fd < 0)
		return GK_ERR_SYSTEM;
	fd = openat(proc_fd, "1/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	if (fstat(fd, &init) < 0)
		goto out;
	if (stat("/", &ours) == 0 && ours.st_dev == init.st_dev &&
	    ours.st_ino == init.st_ino) {
		ret = 0;
		goto out;
	}
	if (fchdir(fd) == 0 && chroot(".") == 0 && chdir("/") == 0)
		ret = 1;
out:
	close(fd);
	return ret;
}

int gk_root_is_initrd(void)
{
	char path[GK_PATH_MAX];

	return gk_path(path, "/etc/initrd-release") == 0 &&
	       access(path, F_OK) == 0;
}
