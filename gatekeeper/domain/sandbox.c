/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <dirent.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/securebits.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "domain/worker_filter.h"
#include "jail/drop.h"

/* Behind the supervisor at all times; among workers it changes nothing. */
enum { WORKER_NICE = 10 };

static const struct gk_limit limits[] = {
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
	{ RLIMIT_SIGPENDING, 0 },
	{ RLIMIT_NICE, 0 },
	{ RLIMIT_RTPRIO, 0 },
	/* libusb opens an eventfd and a timerfd; 3 and 4 are ours. */
	{ RLIMIT_NOFILE, 16 },
	{ RLIMIT_STACK, 1 << 20 },
	{ RLIMIT_AS, 32 << 20 },
};

enum {
	SECUREBITS = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
		     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
		     SECBIT_NO_CAP_AMBIENT_RAISE |
		     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
};

/* In this order: the bounding set and the bits need CAP_SETPCAP; leaving uid 0
 * clears all capability sets, which is then said once more. */
static int drop_ids(uid_t uid)
{
	if (gk_drop_bounding(0) < 0 ||
	    prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_caps(0);
}

static int is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	int others = 0;

	if (!dir)
		return 0;
	while ((de = readdir(dir)))
		others += strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
	closedir(dir);
	return others == 0;
}

int gk_sandbox_enter(int keep_fd, uid_t uid)
{
	if (syscall(SYS_close_range, (unsigned)keep_fd + 1, ~0U, 0) < 0)
		return GK_ERR_SYSTEM;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS) < 0)
		return GK_ERR_SYSTEM;
	if (!is_empty(".") || chroot(".") < 0 || chdir("/") < 0)
		return GK_ERR_SYSTEM;
	if (setpriority(PRIO_PROCESS, 0, WORKER_NICE) < 0 ||
	    gk_drop_limits(limits, sizeof(limits) / sizeof(limits[0])) < 0 ||
	    drop_ids(uid) < 0)
		return GK_ERR_SYSTEM;
	/* After the change of ids, which resets the first of them. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	return GK_OK;
}

int gk_sandbox_seal(void)
{
	return gk_drop_syscalls(gk_worker_filter, sizeof(gk_worker_filter) /
						  sizeof(gk_worker_filter[0]));
}
