/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domain that is to have the controllers: a child watches xenstore for it and
 * says when it comes, goes, and has an agent. When it does and the gate is up, it
 * gets them without being asked for, a bounded number of times.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "handoff/truth.h"

enum {
	LOOK_EVERY_MS = 2000,	/* when no watch fires: a name can come later */
	TEST_EVERY_MS = 50,
	WATCHER_AGAIN_MS = 5000,
	/* A gate that has just come up has not seen its keyboards yet, and what is
	 * not in the manifest has to type a number. */
	GATE_SETTLES_MS = 4000,
	ENOUGH_MS = 30000,	/* until it is looked again whether it may be */
};

/* --- the child --- */

static void say(const struct gk_truth *t, const char *name, int last[2])
{
	int domid = gk_truth_domid(t, name);
	int agent = domid >= 0 && gk_truth_agent(t, domid);

	if (domid == last[0] && agent == last[1])
		return;
	last[0] = domid;
	last[1] = agent;
	printf("target %d %d\n", domid, agent);
	fflush(stdout);
}

static void watch_test_store(const char *name, int last[2])
{
	static struct gk_truth t;

	for (;;) {
		if (gk_truth_read(gk_root_prefix, &t) == 0)
			say(&t, name, last);
		usleep(TEST_EVERY_MS * 1000);
	}
}

static int watch_child(void *arg)
{
	static struct gk_truth t;
	const char *name = arg;
	int last[2] = { -2, -2 }, watched = -1;
	struct xs_handle *xs;
	char node[96];

	if (gk_root_prefix[0])
		watch_test_store(name, last);
	xs = xs_open(0);
	if (!xs || !xs_watch(xs, "@introduceDomain", "domain") ||
	    !xs_watch(xs, "@releaseDomain", "domain"))
		return 1;
	for (;;) {
		struct pollfd p = { .fd = xs_fileno(xs), .events = POLLIN };
		char **event;

		if (gk_truth_read("", &t))
			return 1;
		say(&t, name, last);
		if (last[0] > 0 && last[0] != watched) {
			/* The old one's fires no more: its nodes are gone. */
			snprintf(node, sizeof(node), "/local/domain/%d/data/gatekeeper",
				 last[0]);
			if (xs_watch(xs, node, "agent"))
				watched = last[0];
		}
		if (poll(&p, 1, LOOK_EVERY_MS) < 0)
			return 1;
		while ((event = xs_check_watch(xs)))
			free(event);
	}
}

/* --- the daemon --- */

static void watch_again(void *ctx)
{
	gk_target_watch(ctx);
}

static void watcher_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	(void)end;
	d->handover.watcher = 0;
	gk_timer_set(d->loop, &d->handover.watcher_timer, WATCHER_AGAIN_MS, watch_again,
		     d);
}

static void watcher_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	int domid, agent;

	if (sscanf(line, "target %d %d", &domid, &agent) != 2)
		return;
	h->seen_domid = domid;
	h->seen_agent = agent;
	if (domid < 0)
		gk_log(LOG_INFO, "handoff: there is no domain %s", h->watched);
	else
		gk_log(LOG_INFO, "handoff: domain %s (%d) is there, %s agent",
		       h->watched, domid, agent ? "with its" : "without");
	if (h->m.mode == GK_HO_AGENT && h->m.state != GK_HO_GATE && !h->checking &&
	    strcmp(h->watched, h->r.target) == 0 && h->r.target_domid > 0 &&
	    domid != h->r.target_domid)
		gk_handover_target_gone(d);
	gk_target_consider(d);
}

void gk_target_unwatch(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	gk_child_kill(d->loop, h->watcher);
	h->watcher = 0;
	h->seen_domid = -1;
	h->seen_agent = 0;
	gk_timer_clear(d->loop, &h->watcher_timer);
	gk_timer_clear(d->loop, &h->auto_timer);
}

static const char *wanted(const struct gk_daemon *d)
{
	const struct gk_handover *h = &d->handover;

	if (h->r.wanted || (h->m.mode == GK_HO_AGENT && h->m.state != GK_HO_GATE))
		return h->r.target;
	return d->opt.sys_usb;
}

void gk_target_watch(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	const struct gk_child_spec spec = {
		.name = "the watch on the target", .fn = watch_child, .arg = h->watched,
		.pass_fd = -1, .line = watcher_line, .done = watcher_done, .ctx = d,
	};
	const char *name = wanted(d);

	/* Nobody but us runs before the real root is there. */
	if (d->stopping || d->in_initrd || !name[0])
		return;
	if (h->watcher && strcmp(h->watched, name) == 0)
		return;
	gk_target_unwatch(d);
	snprintf(h->watched, sizeof(h->watched), "%s", name);
	if (gk_child_start(d->loop, &spec, &h->watcher))
		gk_timer_set(d->loop, &h->watcher_timer, WATCHER_AGAIN_MS, watch_again,
			     d);
}

static unsigned recent(const struct gk_daemon *d)
{
	uint64_t now = gk_now_ms(), window = (uint64_t)d->opt.restart_window_s * 1000;
	unsigned n = 0;

	for (unsigned i = 0; i < GK_RESTARTS_KEPT; i++)
		n += d->handover.auto_at[i] && now - d->handover.auto_at[i] < window;
	return n;
}

static int is_time(const struct gk_daemon *d)
{
	const struct gk_handover *h = &d->handover;

	return !d->stopping && !d->in_initrd && h->watcher && h->m.state == GK_HO_GATE &&
	       !gk_handover_busy(d) && d->state == GK_GATE_UP && d->ready &&
	       h->seen_domid > 0 && h->seen_agent && h->seen_domid != h->r.held_domid;
}

static void begin(void *ctx)
{
	struct gk_handover_wish w = { .mode = GK_HO_AGENT };
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	const char *why;

	if (!is_time(d))
		return;
	if (recent(d) > d->opt.restarts) {
		if (!h->told_enough)
			gk_screen_say(&d->screen, LOG_WARNING, "%s has lost the "
				      "controllers too often: they stay with the gate. "
				      "gatekeeper handoff --to %s tries it again",
				      h->watched, h->watched);
		h->told_enough = 1;
		gk_timer_set(d->loop, &h->auto_timer, ENOUGH_MS, begin, d);
		return;
	}
	h->told_enough = 0;
	h->auto_at[h->autos++ % GK_RESTARTS_KEPT] = gk_now_ms();
	snprintf(w.to, sizeof(w.to), "%s", h->watched);
	w.no_strict_reset = h->r.no_strict_reset;
	gk_log(LOG_NOTICE, "handoff: %s is there and has its agent", w.to);
	if (gk_handover_start(d, &w, NULL, &why))
		gk_log(LOG_WARNING, "handoff: %s", why);
}

void gk_target_consider(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	if (is_time(d) && !h->auto_timer.at)
		gk_timer_set(d->loop, &h->auto_timer, GATE_SETTLES_MS, begin, d);
}
