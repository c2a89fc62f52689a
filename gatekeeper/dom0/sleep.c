/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before and after a suspend of the machine (gatekeeper-sleep.service). What was in a
 * controller is gone when it had no power, and Xen tells a PV guest nothing of it: its
 * link is alive, and its keyboard may be dead.
 */
#include <stdio.h>
#include <time.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/handover.h"
#include "dom0/log.h"

enum {
	SETTLE_MS = 20000,
	LOOK_MS = 100,
	/* Of time that the machine is awake, between the two requests. */
	LONGEST_MS = 60000,
	/* The lights are tried for 0.5 s; a controller that does not stop at the
	 * kernel's word is dead for it 5 s later. */
	ALIVE_MS = 10000,
};

int gk_sleep_is(const struct gk_daemon *d)
{
	return d->sleep.asleep;
}

/* gk_now_ms() goes on while the machine sleeps. */
static uint64_t awake_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void answer(struct gk_daemon *d, const char *why)
{
	struct gk_client *c = d->sleep.client;

	d->sleep.client = NULL;
	gk_control_finish(c, why);
}

static void over(struct gk_daemon *d)
{
	struct gk_sleep *s = &d->sleep;

	s->asleep = 0;
	gk_timer_clear(d->loop, &s->settle);
	gk_timer_clear(d->loop, &s->longest);
	answer(d, "the suspend is over");
	gk_target_consider(d);
}

/* --- before --- */

static int is_settled(const struct gk_daemon *d)
{
	if (gk_handover_busy(d))
		return 0;
	/* What is neither is being made, or unmade. */
	return d->state == GK_GATE_UP || !gk_gate_is_alive(d);
}

static void settle(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_sleep *s = &d->sleep;

	if (is_settled(d)) {
		gk_log(LOG_INFO, "the machine may be suspended");
		answer(d, NULL);
	} else if (gk_now_ms() >= s->settle_until) {
		gk_log(LOG_WARNING, "the machine is suspended while the controllers "
		       "are on their way");
		answer(d, "the controllers are on their way, and not waited for any "
			  "longer");
	} else {
		gk_timer_set(d->loop, &s->settle, LOOK_MS, settle, d);
	}
}

static void longest(void *ctx)
{
	struct gk_daemon *d = ctx;
	uint64_t awake = awake_ms() - d->sleep.since;

	if (awake < LONGEST_MS) {
		gk_timer_set(d->loop, &d->sleep.longest, LONGEST_MS - awake, longest, d);
		return;
	}
	gk_log(LOG_WARNING, "nobody has told of the end of the suspend");
	over(d);
}

void gk_sleep_begin(struct gk_daemon *d, struct gk_client *c)
{
	struct gk_sleep *s = &d->sleep;

	if (s->client) {
		gk_control_finish(c, "that is waited for already");
		return;
	}
	s->asleep = 1;
	s->since = awake_ms();
	s->settle_until = gk_now_ms() + SETTLE_MS;
	s->could_not_type = !gk_handover_can_type(d);
	s->client = c;
	gk_timer_clear(d->loop, &s->alive);
	gk_timer_set(d->loop, &s->longest, LONGEST_MS, longest, d);
	settle(d);
}

/* --- after --- */

static void new_gate(struct gk_daemon *d)
{
	switch (d->state) {
	case GK_GATE_CREATE:
	case GK_GATE_FIND:
	case GK_GATE_CONNECT:
	case GK_GATE_UP:
	case GK_GATE_FAILED:
		gk_log(LOG_NOTICE, "after the suspend the gate is started anew");
		gk_gate_destroy(d, GK_AFTER_START);
		return;
	case GK_GATE_STARTING:
	case GK_GATE_PROBE:
	case GK_GATE_DESTROY:
	case GK_GATE_BACKOFF:
	case GK_GATE_QUIESCE:
	case GK_GATE_HANDOFF:
	case GK_GATE_HANDED_OVER:
	case GK_GATE_FALLBACK:
	case GK_GATE_NO_CONTROLLER:
	case GK_GATE_DISABLED:
		return;
	}
}

static void is_alive(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	/* Without a link its end has been noticed, and has its own time. */
	if (h->m.state != GK_HO_CONFIRMED || h->m.mode != GK_HO_AGENT || !d->link_agent ||
	    d->sleep.could_not_type || gk_handover_can_type(d))
		return;
	/* Not held: it gets them again, from a gate that has seen its keyboards. */
	gk_ho_because(d, "no keyboard is back since the suspend");
	gk_ho_happened(d, GK_HO_RECLAIM);
}

void gk_sleep_end(struct gk_daemon *d, struct gk_client *c)
{
	struct gk_handover *h = &d->handover;

	/* What is lost by it is nobody's fault. */
	h->autos = 0;
	for (unsigned i = 0; i < GK_RESTARTS_KEPT; i++)
		h->auto_at[i] = 0;
	if (h->m.state == GK_HO_PREPARING) {
		gk_ho_because(d, "the machine was suspended meanwhile");
		gk_ho_happened(d, GK_HO_RECLAIM);
	}
	if (h->m.state == GK_HO_GATE) {
		new_gate(d);
	} else if (h->m.state == GK_HO_CONFIRMED && h->m.mode == GK_HO_AGENT) {
		/* A kernel whose controller is dead learns of it by this, and its
		 * agent tells that the devices are gone. */
		if (d->link_agent)
			gk_devices_lights(d, 0);
		else if (h->comes_back.at)	/* it has its time from now on */
			gk_timer_set(d->loop, &h->comes_back, 2 * GK_HO_COMES_BACK_MS,
				     gk_ho_not_back, d);
		gk_timer_set(d->loop, &d->sleep.alive, ALIVE_MS, is_alive, d);
	}
	over(d);
	gk_control_finish(c, NULL);
}
