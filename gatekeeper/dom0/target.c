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
#include "handoff/dead.h"
#include "handoff/truth.h"

enum {
	LOOK_EVERY_MS = 2000,	/* when no watch fires: a name can come later */
	TEST_EVERY_MS = 50,
	WATCHER_AGAIN_MS = 5000,
	/* A gate that has just come up has not seen its keyboards yet, and what is
	 * not in the manifest has to type a number. */
	GATE_SETTLES_MS = 4000,
	/* Doubled as often with each time that the agent did not answer. */
	VAIN_DOUBLED = 6,
};

/* --- the child --- */

struct target {
	int domid, agent, dead;
};

static void say(struct target *last, struct target now)
{
	if (memcmp(last, &now, sizeof(now)) == 0)
		return;
	*last = now;
	printf("target %d %d %d\n", now.domid, now.agent, now.dead);
	fflush(stdout);
}

/* ask: a domain may have ended: xenstore has it for as long as its end takes, which
 * may be 10 s, and only Xen says that it is one. */
static void look(const struct gk_truth *t, const char *name, struct target *last, int ask)
{
	struct target now = { .domid = gk_truth_domid(t, name) };

	now.agent = now.domid >= 0 && gk_truth_agent(t, now.domid);
	now.dead = now.domid == last->domid && last->dead;
	say(last, now);
	if (!ask || now.domid <= 0 || now.dead)
		return;
	now.dead = gk_dead_ask(now.domid) == 1;
	say(last, now);
}

/* Each change of the file is as if a domain had ended. */
static void watch_test_store(const char *name, struct target *last, int ask)
{
	static char text[4096], before[4096];
	static struct gk_truth t;
	char path[GK_PATH_MAX];

	for (;;) {
		if (gk_path(path, "/xenstore") == 0 &&
		    gk_file_read(path, text, sizeof(text)) >= 0 &&
		    gk_truth_read(gk_root_prefix, &t) == 0)
			look(&t, name, last, ask || strcmp(text, before) != 0);
		ask = 0;
		memcpy(before, text, sizeof(before));
		usleep(TEST_EVERY_MS * 1000);
	}
}

/* Takes all that is there; how many of them say that a domain has ended. */
static unsigned take_events(struct xs_handle *xs)
{
	unsigned ended = 0;
	char **event;

	while ((event = xs_check_watch(xs))) {
		ended += strcmp(event[XS_WATCH_PATH], "@releaseDomain") == 0;
		free(event);
	}
	return ended;
}

static int watch_child(void *arg)
{
	static struct gk_truth t;
	const struct gk_handover *h = arg;
	const char *name = h->watched;
	struct target last = { .domid = -2 };
	/* Not when a handoff begins: an xl beside it makes it slower. */
	int watched = -1;
	int ask = h->m.state == GK_HO_ASSIGNED || h->m.state == GK_HO_CONFIRMED;
	unsigned ended = 0, before;
	struct xs_handle *xs;
	char node[96];

	if (gk_root_prefix[0])
		watch_test_store(name, &last, ask);
	xs = xs_open(0);
	if (!xs || !xs_watch(xs, "@introduceDomain", "domain") ||
	    !xs_watch(xs, "@releaseDomain", "domain"))
		return 1;
	for (;;) {
		struct pollfd p = { .fd = xs_fileno(xs), .events = POLLIN };

		if (gk_truth_read("", &t))
			return 1;
		look(&t, name, &last, ask);
		if (last.domid > 0 && last.domid != watched) {
			/* The old one's fires no more: its nodes are gone. */
			snprintf(node, sizeof(node), "/local/domain/%d/data/gatekeeper",
				 last.domid);
			if (xs_watch(xs, node, "agent"))
				watched = last.domid;
		}
		if (poll(&p, 1, LOOK_EVERY_MS) < 0)
			return 1;
		/* The first one comes with the watch, and says nothing. */
		before = ended;
		ended += take_events(xs);
		ask = ended > before && ended > 1;
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
	int domid, agent, dead;

	if (sscanf(line, "target %d %d %d", &domid, &agent, &dead) != 3)
		return;
	h->seen_domid = domid;
	h->seen_agent = agent;
	h->seen_dead = dead;
	h->in_vain = 0;
	gk_timer_clear(d->loop, &h->auto_timer);
	if (dead)
		h->dead_domid = domid;
	if (domid < 0)
		gk_log(LOG_INFO, "handoff: there is no domain %s", h->watched);
	else if (dead)
		gk_log(LOG_INFO, "handoff: domain %s (%d) has come to its end",
		       h->watched, domid);
	else
		gk_log(LOG_INFO, "handoff: domain %s (%d) is there, %s agent",
		       h->watched, domid, agent ? "with its" : "without");
	if (h->m.mode == GK_HO_AGENT && h->m.state != GK_HO_GATE && !h->checking &&
	    strcmp(h->watched, h->r.target) == 0 && h->r.target_domid > 0 &&
	    (domid != h->r.target_domid || dead))
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
	h->seen_dead = 0;
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
		.name = "the watch on the target", .fn = watch_child, .arg = h,
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

void gk_target_look(struct gk_daemon *d)
{
	gk_target_unwatch(d);
	gk_target_watch(d);
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

	return !d->stopping && !gk_sleep_is(d) && !d->in_initrd && h->watcher && h->m.state == GK_HO_GATE &&
	       !gk_handover_busy(d) &&
	       ((d->state == GK_GATE_UP && d->ready) || d->state == GK_GATE_FAILED) &&
	       h->seen_domid > 0 && h->seen_agent && !h->seen_dead &&
	       h->seen_domid != h->r.held_domid;
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
		gk_screen_say(&d->screen, LOG_WARNING, "%s has lost the controllers too "
			      "often: they stay with the gate until it is started "
			      "anew. gatekeeper handoff --to %s tries it again",
			      h->watched, h->watched);
		h->r.held_domid = h->seen_domid;
		gk_handover_write(d);
		return;
	}
	snprintf(w.to, sizeof(w.to), "%s", h->watched);
	w.no_strict_reset = h->r.no_strict_reset;
	w.permissive = h->r.permissive;
	gk_log(LOG_NOTICE, "handoff: %s is there and has its agent", w.to);
	h->in_vain += h->in_vain < VAIN_DOUBLED;
	if (gk_handover_start(d, &w, NULL, &why))
		gk_log(LOG_WARNING, "handoff: %s", why);
	else
		h->automatic = 1;
}

void gk_target_tried(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	h->in_vain = 0;
	if (h->automatic)
		h->auto_at[h->autos++ % GK_RESTARTS_KEPT] = gk_now_ms();
}

void gk_target_consider(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	if (is_time(d) && !h->auto_timer.at)
		gk_timer_set(d->loop, &h->auto_timer, GATE_SETTLES_MS << h->in_vain,
			     begin, d);
}
