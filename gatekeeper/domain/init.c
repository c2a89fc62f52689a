/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1 of the gate domain: mounts what the supervisor needs, starts it, reaps
 * orphans, and ends the domain when the supervisor ends. dom0 decides whether
 * there will be another one; a gate never repairs itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define SUPERVISOR "/supervisor"

struct fixed_mount {
	const char *type, *dir, *options;
	unsigned long flags;
};

enum { NO_FILES_OF_OURS = MS_NOSUID | MS_NOEXEC | MS_NODEV };

static const struct fixed_mount mounts[] = {
	{ "devtmpfs", "/dev", NULL, MS_NOSUID | MS_NOEXEC },
	/* Processes show themselves to root and to themselves only. */
	{ "proc", "/proc", "hidepid=2", NO_FILES_OF_OURS },
	{ "sysfs", "/sys", NULL, NO_FILES_OF_OURS },
};

/* What the supervisor has to write to: devices' attributes (authorized,
 * bConfigurationValue) and unbind of the host-controller drivers. */
static const char *const writable[] = {
	"/sys/devices", "/sys/bus/pci/drivers",
};

/* All the rest can only be read. Nodes in /dev can be opened for writing all the
 * same, and the kernel puts new ones there through a mount of its own. */
static const struct {
	const char *dir;
	unsigned long flags;
} read_only[] = {
	{ "/proc/sys", NO_FILES_OF_OURS },
	{ "/sys", NO_FILES_OF_OURS },
	{ "/dev", MS_NOSUID | MS_NOEXEC },
};

/* A tree that keeps its own flags when what it is in becomes read-only. */
static int bind_itself(const char *dir)
{
	return mount(dir, dir, NULL, MS_BIND, NULL);
}

static void make_read_only(void)
{
	for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++)
		if (bind_itself(writable[i]) < 0)
			gk_kmsg(4, "%s cannot be kept writable", writable[i]);
	if (bind_itself(read_only[0].dir) < 0)
		gk_kmsg(4, "%s stays writable", read_only[0].dir);
	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
		if (mount(NULL, read_only[i].dir, NULL,
			  MS_BIND | MS_REMOUNT | MS_RDONLY | read_only[i].flags,
			  NULL) < 0)
			gk_kmsg(4, "%s stays writable", read_only[i].dir);
}

static void std_fds(void)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i <= 2; i++)
		if (fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

int main(void)
{
	char *const argv[] = { (char *)"supervisor", NULL };
	char *const envp[] = { NULL };
	pid_t supervisor, pid;
	int status;

	umask(077);
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		if (mkdir(mounts[i].dir, 0755) < 0 && errno != EEXIST)
			continue;
		if (mount("none", mounts[i].dir, mounts[i].type,
			  mounts[i].flags, mounts[i].options) < 0)
			gk_kmsg(3, "cannot mount %s", mounts[i].dir);
	}
	make_read_only();
	std_fds();
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		gk_kmsg(4, "the root stays writable");

	supervisor = fork();
	if (supervisor == 0) {
		execve(SUPERVISOR, argv, envp);
		_exit(127);
	}
	if (supervisor < 0)
		gk_kmsg(3, "cannot start the supervisor");
	while (supervisor > 0) {
		pid = wait(&status);
		if (pid == supervisor || (pid < 0 && errno != EINTR))
			break;
	}
	gk_kmsg(3, "the supervisor has ended, so does the domain");
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
