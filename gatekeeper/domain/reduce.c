/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reduce.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/drop.h"

/*
 * All for one purpose, to put a worker into its jail: SYS_ADMIN for its
 * namespaces, SYS_CHROOT for its root, SETUID and SETGID for its ids, SETPCAP
 * for its bounding set and securebits. KILL: its uid is another then.
 * Files of root's (sysfs, usbdevfs) need none.
 */
#define KEPT (GK_CAP(CAP_SYS_ADMIN) | GK_CAP(CAP_SYS_CHROOT) | \
	      GK_CAP(CAP_SETUID) | GK_CAP(CAP_SETGID) | GK_CAP(CAP_SETPCAP) | \
	      GK_CAP(CAP_KILL))

/* Not SECBIT_NOROOT: the worker's program needs these capabilities from its
 * exec to its jail, where it sets the bit. */
enum {
	SECUREBITS = SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
		     SECBIT_NO_CAP_AMBIENT_RAISE |
		     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
};

static const struct gk_limit limits[] = {
	{ RLIMIT_CORE, 0 },
	/* Regular files; sysfs is not bounded by it. */
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
	{ RLIMIT_NICE, 0 },
	{ RLIMIT_RTPRIO, 0 },
	/* A socket for each of 16 devices, and a dozen of its own. */
	{ RLIMIT_NOFILE, 64 },
	{ RLIMIT_AS, 64 << 20 },
};

int gk_reduce_supervisor(const struct sock_filter *filter, size_t n)
{
	if (gk_drop_bounding(KEPT) < 0 ||
	    prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0 ||
	    gk_drop_caps(KEPT) < 0 ||
	    gk_drop_limits(limits, sizeof(limits) / sizeof(limits[0])) < 0)
		return GK_ERR_SYSTEM;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_syscalls(filter, n);
}

pid_t gk_fork_apart(void)
{
	/* No stack: the child goes on where the parent is, as after fork(). */
	return (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_NEWPID | SIGCHLD),
			      NULL, NULL, NULL, NULL);
}

const char *gk_child_end(int status)
{
	if (!WIFSIGNALED(status))
		return NULL;
	if (WTERMSIG(status) == SIGSYS)
		return "asked the kernel for what its jail forbids";
	if (WTERMSIG(status) == SIGKILL)
		return "was ended";
	return "crashed";
}
