/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/drop.h"
#include "luks/key_child.h"
#include "luks/key_child_filter.h"

/* Its own: no other process is to have it. systemd keeps 61184 to 65519 for users
 * that it makes up; 65534 is nobody, which the link reader is. */
enum { GK_KEY_UID = 65529 };

static const struct gk_limit limits[] = {
	{ RLIMIT_NOFILE, 8 },
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
	/* Seconds of computing: an exchange needs some milliseconds. */
	{ RLIMIT_CPU, 60 },
/* AddressSanitizer has terabytes of it; `make asan` only. */
#ifndef __SANITIZE_ADDRESS__
	{ RLIMIT_AS, 64 << 20 },
#endif
};

int gk_key_jail(const char **step)
{
	int root = geteuid() == 0;

	/* Secrets stay out of swap; without the right to (tests) they may not. */
	*step = "mlockall";
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 && root)
		return GK_ERR_SYSTEM;
	if (root && gk_drop_to_user(GK_KEY_UID, step) < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_last(limits, sizeof(limits) / sizeof(limits[0]),
			    gk_key_child_filter, sizeof(gk_key_child_filter) /
						 sizeof(gk_key_child_filter[0]), step);
}
