/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <grp.h>
#include <linux/filter.h>
#include <unistd.h>

#include "dom0/input_jail.h"
#include "dom0/input_reader_filter.h"
#include "jail/drop.h"

/* Its own: no other process is to have it. 65529 is gatekeeper-key's. */
enum { GK_INPUT_UID = 65528 };

static const struct gk_limit limits[] = {
	/* poll() refuses more entries than this; none can be opened. */
	{ RLIMIT_NOFILE, 8 },
	{ RLIMIT_NPROC, 0 },
	/* Of its last line, where that goes into a file. */
	{ RLIMIT_FSIZE, 1 << 20 },
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
};

/* /proc/self/fdinfo is a directory in which nothing can be made and, seen by
 * another user, nothing opened: an empty root that is always there. */
static int enter_empty_root(void)
{
	if (chdir("/proc/self/fdinfo") < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -1;
	return 0;
}

static int drop_ids(void)
{
	if (setgroups(0, NULL) < 0 ||
	    setresgid(GK_INPUT_UID, GK_INPUT_UID, GK_INPUT_UID) < 0 ||
	    setresuid(GK_INPUT_UID, GK_INPUT_UID, GK_INPUT_UID) < 0)
		return -1;
	return gk_drop_caps(0);
}

int gk_input_jail(const char **step)
{
	int root = geteuid() == 0;

	*step = "chroot";
	if (root && enter_empty_root() < 0)
		return GK_ERR_SYSTEM;
	*step = "capability bounding set";
	if (root && gk_drop_bounding(0) < 0)
		return GK_ERR_SYSTEM;
	*step = "uid and gid";
	if (root && drop_ids() < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_last(limits, sizeof(limits) / sizeof(limits[0]),
			    gk_input_reader_filter, sizeof(gk_input_reader_filter) /
						    sizeof(gk_input_reader_filter[0]),
			    step);
}
