/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child.h"

#include <sys/syscall.h>
#include <unistd.h>

pid_t gk_child_run(int (*run)(const void *arg), const void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Not with the workers' sockets: theirs are to close. */
		syscall(SYS_close_range, 3U, ~0U, 0);
		_exit(run(arg) == 0 ? 0 : 1);
	}
	return pid;
}
