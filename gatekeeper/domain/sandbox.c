/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EMPTY_DIR "/empty"

struct limit {
	int resource;
	rlim_t value;
};

static const struct limit limits[] = {
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	/* libusb opens an eventfd and a timerfd; 3 and 4 are ours. */
	{ RLIMIT_NOFILE, 16 },
	{ RLIMIT_AS, 32 << 20 },
};

int gk_sandbox_enter(int keep_fd, uid_t uid)
{
	if (syscall(SYS_close_range, (unsigned)keep_fd + 1, ~0U, 0) < 0)
		return GK_ERR_SYSTEM;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS) < 0)
		return GK_ERR_SYSTEM;
	if (chroot(EMPTY_DIR) < 0 || chdir("/") < 0)
		return GK_ERR_SYSTEM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit r = { limits[i].value, limits[i].value };

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &r) < 0)
			return GK_ERR_SYSTEM;
	}
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return GK_ERR_SYSTEM;
	/* Leaving uid 0 clears all capability sets; dumpable went back with it. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	return GK_OK;
}
