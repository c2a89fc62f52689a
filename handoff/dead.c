/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "handoff/dead.h"
#include "handoff/run.h"

enum {
	LISTED_MAX = 2048,
	ANSWER_EVERY_MS = 20,
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

/* --- in its place --- */

static int state_of(struct xs_handle *xs, xs_transaction_t t, const char *path)
{
	char *text = xs_read(xs, t, path, NULL);
	int state = text ? atoi(text) : -1;

	free(text);
	return state;
}

/*
 * What Linux's pcifront does, in the words of Xen's io/xenbus.h: the backend is
 * Reconfiguring: so is the frontend; it is Reconfigured: the frontend is Connected,
 * and then it is, too. In a transaction, so that no node is made of a domain whose
 * nodes have just been removed.
 */
static void answer(struct xs_handle *xs, int domid)
{
	enum { CONNECTED = 4, RECONFIGURING = 7, RECONFIGURED = 8 };
	char back[64], front[64];
	xs_transaction_t t = xs_transaction_start(xs);
	int b, f, to = -1;

	if (t == XBT_NULL)
		return;
	(void)snprintf(back, sizeof(back), "/local/domain/0/backend/pci/%d/0/state",
		       domid);
	(void)snprintf(front, sizeof(front), "/local/domain/%d/device/pci/0/state",
		       domid);
	b = state_of(xs, t, back);
	f = state_of(xs, t, front);
	if (b == RECONFIGURING && f != RECONFIGURING)
		to = RECONFIGURING;
	else if (b == RECONFIGURED && f == RECONFIGURING)
		to = CONNECTED;
	if (to < 0 || f < 0) {
		(void)xs_transaction_end(xs, t, true);
		return;
	}
	if (!xs_write(xs, t, front, to == CONNECTED ? "4" : "7", 1)) {
		(void)xs_transaction_end(xs, t, true);
		return;
	}
	/* If somebody was in between: again, the next time. */
	(void)xs_transaction_end(xs, t, false);
}

static void *answers(void *arg)
{
	struct gk_dead_answer *a = arg;
	struct xs_handle *xs = xs_open(0);

	while (xs && !atomic_load(&a->end)) {
		answer(xs, a->domid);
		gk_run_sleep_ms(ANSWER_EVERY_MS);
	}
	if (xs)
		xs_close(xs);
	return NULL;
}

void gk_dead_answer(struct gk_dead_answer *a, int domid)
{
	a->domid = domid;
	atomic_init(&a->end, 0);
	/* Without it, libxl waits. */
	a->begun = pthread_create(&a->thread, NULL, answers, a) == 0;
}

void gk_dead_answered(struct gk_dead_answer *a)
{
	if (!a->begun)
		return;
	atomic_store(&a->end, 1);
	(void)pthread_join(a->thread, NULL);
	a->begun = 0;
}
