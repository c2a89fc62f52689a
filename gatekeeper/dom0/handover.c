/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handoff, as gatekeeperd drives it: events of the links, of children and of
 * the clock go into the machine (handoff/machine.h), what it wants is begun here.
 * All that may block runs in children; each state is written down before its work
 * begins, so that a gatekeeperd after us can go on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/handover.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"
#include "handoff/xen.h"

enum {
	AGENT_SERVER_S = 5,
	AGENT_AGAIN_MS = 250,
	SETTLE_MS = 5000,	/* devices that were there are there again */
	UNSETTLED_MS = 500,	/* and are looked for again */
	RESUMED_MS = 15000,	/* as long as a new owner has, from our start */
	RECALL_MS = 2500,	/* for the agent; the machine gives it 3 s */
};

static void start_agent(struct gk_daemon *d);

static int64_t since(uint64_t then)
{
	return (int64_t)(gk_now_ms() - then);
}

/* --- the record --- */

void gk_handover_write(struct gk_daemon *d)
{
	static char text[GK_HO_RECORD_MAX];
	struct gk_handover *h = &d->handover;
	char path[GK_PATH_MAX];

	h->r.mode = h->m.mode;
	h->r.state = h->m.state;
	h->r.since = h->m.since;
	h->r.deadline = h->m.deadline;
	gk_root_follow();
	if (gk_ho_record_text(&h->r, text, sizeof(text)) < 0 ||
	    gk_run_path(path, GK_HO_RECORD_FILE) || gk_file_replace(path, text, 0600))
		gk_log(LOG_ERR, "cannot write %s/" GK_HO_RECORD_FILE ": %s", gk_run_dir,
		       strerror(errno));
}

void gk_ho_set_cause(struct gk_handover *h, const char *cause)
{
	snprintf(h->r.cause, sizeof(h->r.cause), "%.255s", cause);
}

/* The cause that the next state will be entered for. */
void gk_ho_because(struct gk_daemon *d, const char *cause)
{
	gk_ho_set_cause(&d->handover, cause);
	gk_log(LOG_WARNING, "handoff: %s", cause);
}

void gk_ho_owners(struct gk_handover *h, int domid)
{
	for (int i = 0; i < h->r.controllers; i++)
		h->r.controller[i].owner = domid;
}

/* --- who asked --- */

void gk_ho_tell(struct gk_daemon *d, const char *step, const char *detail)
{
	char line[1024];
	struct gk_json j;

	gk_json_init(&j, line, sizeof(line));
	gk_json_object(&j, NULL);
	gk_json_string(&j, "step", step);
	gk_json_string(&j, "detail", detail);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) < 0)
		return;
	gk_log(LOG_NOTICE, "handoff: %s: %s", step, detail);
	gk_control_line(d->handover.client, line);
}

void gk_ho_finish(struct gk_daemon *d, const char *why)
{
	struct gk_client *c = d->handover.client;

	d->handover.client = NULL;
	d->handover.checking = 0;
	gk_control_finish(c, why);
}

/* --- events --- */

static void on_deadline(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	char cause[96];

	snprintf(cause, sizeof(cause), "%s: not done after %u s",
		 gk_ho_state_name(h->m.state),
		 gk_ho_deadline_ms(h->m.mode, h->m.state) / 1000);
	gk_ho_because(d, cause);
	/* It was asked to let go. */
	h->hung |= h->m.state == GK_HO_RECALLING;
	gk_ho_happened(d, GK_HO_TICK);
}

void gk_ho_arm(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	uint64_t now = gk_now_ms();

	if (h->m.deadline)
		gk_timer_set(d->loop, &h->deadline, h->m.deadline > now ?
			     h->m.deadline - now : 0, on_deadline, d);
	else
		gk_timer_clear(d->loop, &h->deadline);
}

/* What ran for the state before is given up. */
static void leave_state(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	gk_child_kill(d->loop, h->child);
	h->child = 0;
	gk_timer_clear(d->loop, &h->settle);
	gk_timer_clear(d->loop, &h->comes_back);
	gk_timer_clear(d->loop, &h->again);
	gk_timer_clear(d->loop, &h->resumed);
	gk_free_unwatch(d);
}

static void note_time(struct gk_handover *h, enum gk_ho_state left)
{
	int64_t ms = since(h->step_since);

	switch (left) {
	case GK_HO_PREPARING:
		h->r.times.prepare = ms;
		break;
	case GK_HO_QUIESCING:
		h->r.times.quiesce = ms;
		break;
	case GK_HO_RELEASING:
		h->r.times.release = ms;
		break;
	case GK_HO_RELEASED:
		h->r.times.reset = ms;
		break;
	case GK_HO_RESET:
		h->r.times.assign = ms;
		break;
	case GK_HO_ASSIGNED:
		h->r.times.confirm = ms;
		break;
	case GK_HO_GATE:
	case GK_HO_CONFIRMED:
	case GK_HO_FREE:
	case GK_HO_RECALLING:
	case GK_HO_TAKING_BACK:
	case GK_HO_RETURNED:
	case GK_HO_STATES:
		break;
	}
}

void gk_ho_happened(struct gk_daemon *d, enum gk_ho_event e)
{
	struct gk_handover *h = &d->handover;
	enum gk_ho_state before = h->m.state;
	enum gk_ho_action action;

	/* A stop wins over all. */
	if (d->stopping)
		return;
	action = gk_ho_event(&h->m, e, gk_now_ms());
	if (h->m.state == before)
		return;
	leave_state(d);
	gk_ho_pci_after(d, h->m.state);
	note_time(h, before);
	h->step_since = gk_now_ms();
	gk_ho_arm(d);
	if (action == GK_HO_ASSIGN && h->m.mode == GK_HO_AGENT)
		h->r.suspect_domid = h->r.target_domid;
	gk_handover_write(d);
	gk_log(LOG_INFO, "handoff: %s -> %s", gk_ho_state_name(before),
	       gk_ho_state_name(h->m.state));
	gk_ho_perform(d, action);
}

/* --- what the machine wants --- */

static void quiesce_link(struct gk_daemon *d, unsigned deadline_ms)
{
	struct gk_frame f = { .type = GK_LINK_QUIESCE };

	f.u.quiesce.deadline_ms = deadline_ms;
	gk_session_quiesce(&d->session);
	gk_link_send(d, &f);
}

static void do_quiesce(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	h->old_gone = 0;
	gk_target_tried(d);
	h->quiesce_sent = gk_now_ms();
	h->last_key = 0;
	h->dark = 1;
	h->r.times.blackout = -1;
	gk_timer_clear(d->loop, &d->late_timer);
	/* One that was given up is not tried again meanwhile. */
	gk_timer_clear(d->loop, &d->gate_timer);
	if (d->state != GK_GATE_UP || d->link_agent) {
		gk_ho_happened(d, GK_HO_GATE_LOST);
		return;
	}
	gk_continuity_take(d);
	d->state = GK_GATE_QUIESCE;
	/* Its answer may come at its deadline, and has a way to go. */
	quiesce_link(d, GK_QUIESCE_MS);
	gk_daemon_publish(d);
}

static void do_release(struct gk_daemon *d, int hard)
{
	struct gk_handover *h = &d->handover;

	gk_link_stop(d);
	d->state = GK_GATE_HANDOFF;
	d->ready = 0;
	gk_ho_fill_opts(h);
	h->opts.hard = hard;
	gk_ho_start_step(d, GK_STEP_RELEASE);
	/* While xl works. The agent's devices cannot come before theirs. */
	if (h->m.mode == GK_HO_AGENT && h->m.state == GK_HO_RELEASING &&
	    d->agent.phase == GK_AGENT_READY)
		gk_agent_promote(d);
	gk_daemon_publish(d);
}

int gk_handover_can_type(const struct gk_daemon *d)
{
	for (int i = 0; d->session_begun && i < GK_LINK_DEVICES; i++)
		if (d->session.dev[i].id &&
		    (d->keyboards.slot[i].counts == GK_COUNTS_YES ||
		     d->keyboards.slot[i].counts == GK_COUNTS_ASKED))
			return 1;
	return 0;
}

static void settled(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	gk_continuity_missing(d);
	gk_daemon_publish(d);
	if (h->m.state != GK_HO_ASSIGNED)
		return;
	/* Whatever else it tells of: who cannot type cannot ask for them back. */
	if (d->link_agent && (gk_handover_can_type(d) || gk_continuity_keyboards(d) == 0))
		gk_ho_happened(d, GK_HO_SEEN);
	else
		gk_timer_set(d->loop, &h->settle, UNSETTLED_MS, settled, d);
}

/* Confirmed by a gatekeeperd before us, and nobody has typed since the gate let go.
 * One who has may have pulled it since. */
static void still_dark(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	if (h->m.state != GK_HO_CONFIRMED || h->m.mode != GK_HO_AGENT ||
	    h->r.times.blackout >= 0 || gk_continuity_keyboards(d) == 0 || gk_handover_can_type(d))
		return;
	gk_ho_because(d, "no keyboard is back since the handoff");
	gk_ho_happened(d, GK_HO_RECLAIM);
}

void gk_ho_watch_resumed(struct gk_daemon *d)
{
	gk_timer_set(d->loop, &d->handover.resumed, RESUMED_MS, still_dark, d);
}

static void do_await(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	d->state = h->m.state == GK_HO_CONFIRMED ? GK_GATE_HANDED_OVER :
						   GK_GATE_HANDOFF;
	gk_daemon_publish(d);
	gk_timer_set(d->loop, &h->settle, SETTLE_MS, settled, d);
	if (d->link_agent)
		gk_handover_device(d);
	else
		start_agent(d);
}

static void handed_over(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	d->state = GK_GATE_HANDED_OVER;
	d->cause[0] = '\0';
	d->ready = 0;
	h->r.cause[0] = '\0';
	h->r.handoffs++;
	if (h->m.mode == GK_HO_AGENT) {
		h->r.wanted = 1;
		h->r.held_domid = -1;
		/* It has been emptied; in the other modes it was destroyed. */
		gk_gate_end_old(d, h->r.gate_domid);
		gk_target_watch(d);
	}
	d->xs.domid = -1;
	gk_handover_write(d);
	gk_daemon_publish(d);
	gk_ho_tell(d, "done", h->m.mode == GK_HO_FREE_ONLY ? "the controllers are free" :
						       h->r.target);
	gk_ho_finish(d, NULL);
	gk_free_watch(d);
	/* The keyboards may come back later than the first of the devices. */
	if (h->m.mode == GK_HO_AGENT)
		gk_timer_set(d->loop, &h->settle, SETTLE_MS, settled, d);
}

static void do_recall(struct gk_daemon *d)
{
	d->handover.reclaim_since = gk_now_ms();
	d->handover.let_go = d->handover.hung = 0;
	d->state = GK_GATE_HANDOFF;
	gk_daemon_publish(d);
	if (!d->link_agent) {
		gk_ho_happened(d, GK_HO_FAILED);
		return;
	}
	quiesce_link(d, RECALL_MS);
}

static void do_take_back(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	int half = h->m.mode == GK_HO_CONFIG && h->r.target_domid == -1;

	if (!h->reclaim_since)
		h->reclaim_since = gk_now_ms();
	gk_agent_stop(d);
	gk_link_stop(d);
	d->state = GK_GATE_HANDOFF;
	d->ready = 0;
	gk_daemon_publish(d);
	gk_ho_owners(h, -1);
	gk_ho_fill_opts(h);
	h->opts.destroy_target = half;
	h->opts.let_go = h->let_go;
	h->let_go = 0;
	h->opts.hung = h->hung;
	h->hung = 0;
	h->opts.dead = h->r.target_domid > 0 && h->dead_domid == h->r.target_domid;
	gk_ho_start_step(d, GK_STEP_TAKE_BACK);
}

static void do_reset_back(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	gk_ho_fill_opts(h);
	/* A gate with a tainted controller is better than no keyboard. */
	h->opts.no_strict_reset = 1;
	gk_ho_start_step(d, GK_STEP_RESET_BACK);
}

static void do_start_gate(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	char why[GK_HO_CAUSE_MAX + 64];

	gk_log(LOG_NOTICE, "handoff: the gate is started again%s%s",
	       h->r.cause[0] ? ": " : "", h->r.cause);
	snprintf(why, sizeof(why), "%.255s; the gate is started again",
		 h->r.cause[0] ? h->r.cause : "the handoff was undone");
	h->r.target_domid = -1;
	h->r.reclaims++;
	gk_handover_write(d);
	gk_ho_finish(d, h->r.cause[0] ? why : NULL);
	if (h->old_gone)
		gk_gate_start(d);
	else
		gk_gate_destroy(d, GK_AFTER_START);
}

/* They are not ours to take: nothing was changed. */
static void do_stay(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	h->reclaim_since = 0;
	d->state = GK_GATE_HANDED_OVER;
	gk_daemon_publish(d);
	gk_ho_finish(d, h->last[0] ? h->last : "they could not be taken back");
	gk_ho_set_cause(h, "");
	gk_handover_write(d);
	gk_free_watch(d);
}

void gk_ho_perform(struct gk_daemon *d, enum gk_ho_action action)
{
	struct gk_handover *h = &d->handover;

	switch (action) {
	case GK_HO_NOTHING:
		return;
	case GK_HO_PREPARE:
		gk_continuity_take(d);
		if (h->m.mode == GK_HO_AGENT)
			gk_ho_pci_start(d);
		start_agent(d);
		return;
	case GK_HO_CANCEL:
		gk_agent_stop(d);
		gk_ho_finish(d, h->r.cause[0] ? h->r.cause : "it was given up");
		gk_target_consider(d);
		return;
	case GK_HO_QUIESCE:
		do_quiesce(d);
		return;
	case GK_HO_RELEASE:
		do_release(d, 0);
		return;
	case GK_HO_RELEASE_HARD:
		do_release(d, 1);
		return;
	case GK_HO_DO_RESET:
		gk_ho_fill_opts(h);
		gk_ho_start_step(d, GK_STEP_RESET);
		return;
	case GK_HO_ASSIGN:
		gk_ho_fill_opts(h);
		gk_ho_start_step(d, GK_STEP_ASSIGN);
		return;
	case GK_HO_AWAIT:
		do_await(d);
		return;
	case GK_HO_FINISH:
	case GK_HO_LEAVE:
		handed_over(d);
		return;
	case GK_HO_RECALL:
		do_recall(d);
		return;
	case GK_HO_TAKE_BACK:
		do_take_back(d);
		return;
	case GK_HO_RESET_BACK:
		do_reset_back(d);
		return;
	case GK_HO_START_GATE:
		do_start_gate(d);
		return;
	case GK_HO_STAY:
		do_stay(d);
		return;
	}
}

/* --- the agent --- */

static void agent_again(void *ctx)
{
	start_agent(ctx);
}

static void start_agent(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	if (gk_agent_start(d, h->r.target_domid, AGENT_SERVER_S) == 0)
		return;
	if (h->m.state == GK_HO_PREPARING) {
		gk_ho_because(d, "the agent's link reader could not be started");
		gk_ho_happened(d, GK_HO_FAILED);
	} else {
		gk_timer_set(d->loop, &h->again, AGENT_AGAIN_MS, agent_again, d);
	}
}

void gk_handover_agent(struct gk_daemon *d, int ready)
{
	struct gk_handover *h = &d->handover;
	char cause[200];

	if (h->m.state == GK_HO_PREPARING) {
		if (ready) {
			gk_ho_tell(d, "prepared", h->r.target);
			gk_ho_pci_await(d);
			return;
		}
		snprintf(cause, sizeof(cause), "the agent of %s does not answer (%.100s)",
			 h->r.target, d->agent.cause);
		gk_ho_because(d, cause);
		gk_ho_happened(d, GK_HO_FAILED);
		return;
	}
	/* Until it is promoted the gate's link is the link. */
	if (h->m.state == GK_HO_QUIESCING && ready)
		return;
	if (h->m.state == GK_HO_ASSIGNED || h->m.state == GK_HO_CONFIRMED) {
		if (!ready) {
			gk_timer_set(d->loop, &h->again, AGENT_AGAIN_MS, agent_again, d);
			return;
		}
		gk_timer_clear(d->loop, &h->comes_back);
		h->r.cause[0] = '\0';
		gk_agent_promote(d);
		gk_timer_set(d->loop, &h->settle, SETTLE_MS, settled, d);
		gk_daemon_publish(d);
		gk_handover_device(d);
		return;
	}
	if (!ready && gk_ho_is_moving(h->m.state)) {
		gk_ho_because(d, d->agent.cause);
		gk_ho_happened(d, GK_HO_TARGET_LOST);
	}
}

void gk_ho_not_back(void *ctx)
{
	struct gk_daemon *d = ctx;

	/* Its domain may have been stopped before the machine is. */
	if (gk_sleep_is(d)) {
		gk_timer_set(d->loop, &d->handover.comes_back, GK_HO_COMES_BACK_MS,
			     gk_ho_not_back, d);
		return;
	}
	d->handover.hung = 1;
	gk_ho_happened(d, GK_HO_TARGET_LOST);
}

void gk_handover_link_lost(struct gk_daemon *d, const char *cause)
{
	struct gk_handover *h = &d->handover;
	char text[GK_HO_CAUSE_MAX];

	if (d->stopping)
		return;
	snprintf(text, sizeof(text), "%s: %.150s", h->r.target, cause);
	gk_ho_because(d, text);
	gk_daemon_publish(d);
	if (h->m.state == GK_HO_RECALLING || (h->m.state != GK_HO_ASSIGNED &&
					      h->m.state != GK_HO_CONFIRMED)) {
		gk_ho_happened(d, GK_HO_TARGET_LOST);
		return;
	}
	gk_timer_set(d->loop, &h->comes_back, GK_HO_COMES_BACK_MS, gk_ho_not_back, d);
	/* The agent alone, or its domain? Of that one nobody comes back. */
	gk_target_look(d);
	start_agent(d);
}

void gk_handover_target_gone(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	char text[GK_HO_CAUSE_MAX];

	if (h->m.mode != GK_HO_AGENT || h->m.state == GK_HO_GATE ||
	    h->m.state == GK_HO_TAKING_BACK || h->m.state == GK_HO_RETURNED)
		return;
	snprintf(text, sizeof(text), "domain %s (%d) has %s", h->r.target,
		 h->r.target_domid, h->dead_domid == h->r.target_domid ?
		 "come to its end" : "gone");
	gk_ho_because(d, text);
	gk_ho_happened(d, GK_HO_TARGET_LOST);
}

void gk_handover_device(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	int counts = 0;

	if (!d->link_agent)
		return;
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		counts |= d->session.dev[i].id &&
			  d->keyboards.slot[i].counts == GK_COUNTS_YES;
	if (!counts)
		return;
	if (h->dark) {
		h->dark = 0;
		h->r.times.blackout = since(h->last_key > h->quiesce_sent ?
					    h->last_key : h->quiesce_sent);
		gk_log(LOG_NOTICE, "handoff: no key could come for %lld ms",
		       (long long)h->r.times.blackout);
		gk_handover_write(d);
	}
	if (h->m.state == GK_HO_ASSIGNED)
		gk_ho_happened(d, GK_HO_SEEN);
}

/* --- the gate --- */

void gk_handover_quiesced(struct gk_daemon *d, const struct gk_link_quiesced *q)
{
	struct gk_handover *h = &d->handover;
	char detail[96];

	if (d->stopping) {
		gk_timer_clear(d->loop, &d->quiesce_timer);
		gk_gate_destroy(d, GK_AFTER_EXIT);
		return;
	}
	if (h->m.state != GK_HO_QUIESCING && h->m.state != GK_HO_RECALLING)
		return;
	snprintf(detail, sizeof(detail), "%s, %u controllers, %u devices %lld ms",
		 !q ? "the gate has gone" : q->complete ? "complete" : "incomplete",
		 q ? q->controllers : 0u, q ? q->devices : 0u,
		 (long long)since(h->step_since));
	gk_ho_tell(d, "quiesced", detail);
	h->let_go = h->m.state == GK_HO_RECALLING && q && q->complete;
	/* Drivers that still hold a controller make its detaching slow. */
	gk_ho_happened(d, q && (q->complete || h->m.state == GK_HO_RECALLING) ?
	      GK_HO_QUIESCED : GK_HO_GATE_LOST);
}

void gk_handover_gate_up(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	/* Before the next handoff, in which somebody waits; not in the initramfs, whose
	 * files would be kept. */
	if (!d->in_initrd)
		gk_xen_load();
	/* It has them all. */
	if (!h->reclaim_since && h->r.suspect_domid == -1)
		return;
	h->r.suspect_domid = -1;
	if (h->reclaim_since)
		h->r.times.reclaim = since(h->reclaim_since);
	h->reclaim_since = 0;
	gk_handover_write(d);
}

void gk_handover_gate_lost(struct gk_daemon *d)
{
	if (d->handover.m.state != GK_HO_PREPARING)
		return;
	gk_ho_because(d, "the gate broke meanwhile");
	gk_ho_happened(d, GK_HO_GATE_LOST);
}

static void stop_late(void *ctx)
{
	struct gk_daemon *d = ctx;

	gk_timer_clear(d->loop, &d->quiesce_timer);
	gk_gate_destroy(d, GK_AFTER_EXIT);
}

void gk_handover_stop(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	if (d->stopping)
		return;
	d->stopping = 1;
	leave_state(d);
	gk_ho_pci_end(d);
	gk_timer_clear(d->loop, &h->deadline);
	gk_target_unwatch(d);
	gk_agent_stop(d);
	gk_ho_finish(d, "gatekeeperd is being stopped");
	/* Whoever has them keeps them: the machine goes down. */
	if (d->state != GK_GATE_UP || d->link_agent) {
		gk_gate_destroy(d, GK_AFTER_EXIT);
		return;
	}
	d->state = GK_GATE_QUIESCE;
	quiesce_link(d, GK_QUIESCE_MS);
	gk_daemon_publish(d);
	gk_timer_set(d->loop, &d->quiesce_timer, GK_QUIESCE_MS + 1000, stop_late, d);
}
