/* SPDX-License-Identifier: GPL-2.0-or-later */
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

int gk_input_jail(const char **step)
{
	int root = geteuid() == 0;

	if (root && gk_drop_to_user(GK_INPUT_UID, step) < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_last(limits, sizeof(limits) / sizeof(limits[0]),
			    gk_input_reader_filter, sizeof(gk_input_reader_filter) /
						    sizeof(gk_input_reader_filter[0]),
			    step);
}
