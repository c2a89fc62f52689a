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
	const char *type, *dir;
	unsigned long flags;
};

static const struct fixed_mount mounts[] = {
	{ "devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC },
	{ "proc", "/proc", MS_NOSUID | MS_NOEXEC | MS_NODEV },
	{ "sysfs", "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV },
};

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
			  mounts[i].flags, NULL) < 0)
			gk_kmsg(3, "cannot mount %s", mounts[i].dir);
	}
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
