/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Controllers that were released, or went along with a domain that was started with
 * them: whoever starts such a domain manages it. But when nobody has them for
 * free_time, the gate takes them back, so that nobody is left without a keyboard. A
 * child watches xenstore for that.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenstore.h>

#include "dom0/daemon.h"
#include "dom0/handover.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "handoff/truth.h"

enum {
	LOOK_EVERY_MS = 10000,	/* when no watch fires */
	TEST_EVERY_MS = 50,
	WATCH_AGAIN_MS = 5000,
};

/* --- the child --- */

/* One of several is enough: somebody is at work with them. */
static int is_taken(const struct gk_truth *t, const struct gk_handover *h)
{
	for (int i = 0; i < h->r.controllers; i++)
		if (gk_truth_owner(t, h->r.controller[i].bdf) != -1)
			return 1;
	return 0;
}

static int watch_child(void *arg)
{
	static struct gk_truth t;
	const struct gk_handover *h = arg;
	int test = gk_root_prefix[0] != '\0', last = -1, now;
	struct xs_handle *xs = test ? NULL : xs_open(0);
	char **event;

	if (!test && (!xs || !xs_watch(xs, "@releaseDomain", "domain") ||
		      !xs_watch(xs, "/local/domain/0/backend/pci", "owner")))
		return 1;
	for (;;) {
		struct pollfd p = { .fd = test ? -1 : xs_fileno(xs), .events = POLLIN };

		if (gk_truth_owners(gk_root_prefix, -1, &t))
			return 1;
		now = is_taken(&t, h);
		if (now != last) {
			printf("taken %d\n", now);
			fflush(stdout);
		}
		last = now;
		if (poll(&p, 1, test ? TEST_EVERY_MS : LOOK_EVERY_MS) < 0)
			return 1;
		while (!test && (event = xs_check_watch(xs)))
			free(event);
	}
}

/* --- the daemon --- */

static void nobody(void *ctx)
{
	struct gk_daemon *d = ctx;
	char cause[96];

	if (gk_sleep_is(d)) {
		gk_free_count(d);
		return;
	}
	snprintf(cause, sizeof(cause), "nobody has had the USB controllers for %u s",
		 d->opt.free_time_s);
	gk_screen_say(&d->screen, LOG_WARNING, "%s: the gate takes them back", cause);
	gk_ho_because(d, cause);
	gk_ho_happened(d, GK_HO_TARGET_LOST);
}

void gk_free_count(struct gk_daemon *d)
{
	if (d->handover.free_watch && !d->handover.free_taken)
		gk_timer_set(d->loop, &d->handover.free_timer,
			     (uint64_t)d->opt.free_time_s * 1000, nobody, d);
}

static void watch_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;
	int taken;

	if (sscanf(line, "taken %d", &taken) != 1)
		return;
	d->handover.free_taken = taken;
	gk_log(LOG_INFO, "handoff: %s the controllers", taken ? "a domain has" :
	       "nobody has");
	gk_timer_clear(d->loop, &d->handover.free_timer);
	gk_free_count(d);
}

static void watch_again(void *ctx)
{
	gk_free_watch(ctx);
}

static void watch_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	(void)end;
	d->handover.free_watch = 0;
	/* What is not known is not counted. */
	gk_timer_clear(d->loop, &d->handover.free_timer);
	gk_timer_set(d->loop, &d->handover.free_again, WATCH_AGAIN_MS, watch_again, d);
}

void gk_free_watch(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	const struct gk_child_spec spec = {
		.name = "the watch on the controllers", .fn = watch_child, .arg = h,
		.pass_fd = -1, .line = watch_line, .done = watch_done, .ctx = d,
	};

	gk_free_unwatch(d);
	if (d->stopping || !d->opt.free_time_s ||
	    !(h->m.state == GK_HO_FREE ||
	      (h->m.state == GK_HO_CONFIRMED && h->m.mode == GK_HO_CONFIG)))
		return;
	h->free_taken = 1;
	if (gk_child_start(d->loop, &spec, &h->free_watch))
		gk_timer_set(d->loop, &h->free_again, WATCH_AGAIN_MS, watch_again, d);
}

void gk_free_unwatch(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	gk_child_kill(d->loop, h->free_watch);
	h->free_watch = 0;
	gk_timer_clear(d->loop, &h->free_timer);
	gk_timer_clear(d->loop, &h->free_again);
}
