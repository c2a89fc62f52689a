/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "handoff/dead.h"
#include "handoff/run.h"

enum {
	LISTED_MAX = 2048,
	/* Of the six letters, "rbps", why it was shut down, and 'd' (xl's list.c). */
	LETTERS = 6,
	IS_SHUT_DOWN = 3,
	WHY = 4,
	IS_DYING = 5,
};

int gk_dead_parse(const char *listed, int domid)
{
	char state[LETTERS + 2];
	int id, skipped;

	while (*listed) {
		/* Of one that is being destroyed the name is gone, and says so. */
		skipped = 0;
		if (sscanf(listed, "%*64s %d %*d %*d %7s%n", &id, state, &skipped) == 2 &&
		    skipped && id == domid && strlen(state) == LETTERS)
			return state[IS_DYING] == 'd' ||
			       (state[IS_SHUT_DOWN] == 's' && state[WHY] != 's');
		listed += strcspn(listed, "\n");
		listed += *listed == '\n';
	}
	return 0;
}

int gk_dead_ask(int domid)
{
	char out[LISTED_MAX], id[16];
	const char *const argv[] = { "xl", "list", id, NULL };
	int ret;

	(void)snprintf(id, sizeof(id), "%d", domid);
	ret = gk_run(argv, GK_DEAD_ASK_MS, out, sizeof(out));
	if (ret > 0)
		return GK_ERR_SYSTEM;
	return ret < 0 ? ret : gk_dead_parse(out, domid);
}
