/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <grp.h>
#include <linux/filter.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/link_reader_filter.h"
#include "dom0/link_sandbox.h"
#include "jail/drop.h"

enum { GK_NOBODY = 65534 };

static int enter_empty_root(const char *const dirs[])
{
	for (size_t i = 0; dirs[i]; i++) {
		struct stat st;

		if (lstat(dirs[i], &st) < 0)
			continue;
		/* A root that others may write to is worse than none. */
		if (!S_ISDIR(st.st_mode) || st.st_uid != 0 ||
		    (st.st_mode & (S_IWGRP | S_IWOTH)))
			continue;
		if (chroot(dirs[i]) == 0 && chdir("/") == 0)
			return 0;
		return -1;
	}
	/* No such directory: the system calls below still keep it in. */
	return 0;
}

/*
 * The real uid stays 0, for one reason: at the switch to the real root systemd
 * kills every process whose real uid is not 0, whatever its name begins with
 * (ignore_proc() in its killall.c), and a keyboard must not fall silent then.
 * It gives nothing: what the process may do goes by the effective uid and the
 * capabilities, which are gone; the way back to uid 0 is a system call that the
 * filter does not have, and even uid 0 would come without a capability.
 */
static int drop_ids(void)
{
	if (setgroups(0, NULL) < 0 ||
	    setresgid(GK_NOBODY, GK_NOBODY, GK_NOBODY) < 0 ||
	    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
		  SECBIT_NO_CAP_AMBIENT_RAISE |
		  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, 0, 0, 0) < 0 ||
	    setresuid(0, GK_NOBODY, GK_NOBODY) < 0)
		return -1;
	/* The permitted set stays when only the real uid is 0. */
	return gk_drop_caps(0);
}

static const struct gk_limit limits[] = {
	/* poll() refuses more entries than this; none can be opened. */
	{ RLIMIT_NOFILE, 8 },
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
	{ RLIMIT_AS, 64 << 20 },
};

int gk_link_sandbox(const char *const empty_dirs[], const char **step)
{
	int root = geteuid() == 0;

	*step = "chroot";
	if (root && enter_empty_root(empty_dirs) < 0)
		return GK_ERR_SYSTEM;
	*step = "capability bounding set";
	if (root && gk_drop_bounding(0) < 0)
		return GK_ERR_SYSTEM;
	*step = "uid and gid";
	if (root && drop_ids() < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_last(limits, sizeof(limits) / sizeof(limits[0]),
			    gk_link_reader_filter, sizeof(gk_link_reader_filter) /
						   sizeof(gk_link_reader_filter[0]),
			    step);
}
