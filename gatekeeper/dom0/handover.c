/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handoff, as gatekeeperd drives it: events of the links, of children and of
 * the clock go into the machine (handoff/machine.h), what it wants is begun here.
 * All that may block runs in children; each state is written down before its work
 * begins, so that a gatekeeperd after us can go on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"
#include "handoff/truth.h"

enum {
	CHECK_MS = 15000,
	LOOK_MS = 5000,
	LOOK_AGAIN_MS = 500,
	LOOK_PATIENCE_MS = 15000,	/* for xenstored, after a start */
	AGENT_SERVER_S = 5,
	COMES_BACK_MS = 5000,	/* systemd starts an agent that ended again */
	AGENT_AGAIN_MS = 250,
	SETTLE_MS = 5000,	/* devices that were there are there again */
	RECALL_MS = 2500,	/* for the agent; the machine gives it 3 s */
};

static void perform(struct gk_daemon *d, enum gk_ho_action action);
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

static void set_cause(struct gk_handover *h, const char *cause)
{
	snprintf(h->r.cause, sizeof(h->r.cause), "%.255s", cause);
}

/* The cause that the next state will be entered for. */
static void because(struct gk_daemon *d, const char *cause)
{
	set_cause(&d->handover, cause);
	gk_log(LOG_WARNING, "handoff: %s", cause);
}

static void owners(struct gk_handover *h, int domid)
{
	for (int i = 0; i < h->r.controllers; i++)
		h->r.controller[i].owner = domid;
}

/* --- who asked --- */

static void tell(struct gk_daemon *d, const char *step, const char *detail)
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

static void finish(struct gk_daemon *d, const char *why)
{
	struct gk_client *c = d->handover.client;

	d->handover.client = NULL;
	d->handover.checking = 0;
	gk_control_finish(c, why);
}

/* --- events --- */

static void event(struct gk_daemon *d, enum gk_ho_event e);

static void on_deadline(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	char cause[96];

	snprintf(cause, sizeof(cause), "%s: not done after %u s",
		 gk_ho_state_name(h->m.state),
		 gk_ho_deadline_ms(h->m.mode, h->m.state) / 1000);
	because(d, cause);
	event(d, GK_HO_TICK);
}

static void arm(struct gk_daemon *d)
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

static void event(struct gk_daemon *d, enum gk_ho_event e)
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
	note_time(h, before);
	h->step_since = gk_now_ms();
	arm(d);
	gk_handover_write(d);
	gk_log(LOG_INFO, "handoff: %s -> %s", gk_ho_state_name(before),
	       gk_ho_state_name(h->m.state));
	perform(d, action);
}

/* --- children --- */

static void print_told(void *ctx, const char *step, const char *detail)
{
	char line[1024];
	struct gk_json j;

	(void)ctx;
	if (!strcmp(step, "controller") || !strcmp(step, "vdev") ||
	    !strcmp(step, "target")) {
		printf("%s %s\n", step, detail);
		fflush(stdout);
		return;
	}
	gk_json_init(&j, line, sizeof(line));
	gk_json_object(&j, NULL);
	gk_json_string(&j, "step", step);
	gk_json_string(&j, "detail", detail);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) > 0)
		printf("%s\n", line);
	fflush(stdout);
}

/* Who has what, and the domain of that name. */
static int print_truth(const char *name)
{
	static char text[4096];
	static struct gk_truth t;

	if (gk_truth_read(gk_root_prefix, &t)) {
		printf("xenstored does not answer\n");
		return 1;
	}
	gk_truth_text(&t, name, text, sizeof(text));
	fputs(text, stdout);
	return fflush(stdout) ? 1 : 0;
}

static int step_child(void *arg)
{
	const struct gk_handover *h = arg;
	const struct gk_handoff_opts *o = &h->opts;
	const struct gk_handoff_told told = { .fn = print_told };
	char why[GK_HANDOFF_WHY_MAX] = "";
	int err = GK_ERR_VALUE;

	switch (h->step) {
	case GK_STEP_CHECK:
		err = gk_handoff_check(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_LOOK:
		return print_truth(o->to_name);
	case GK_STEP_RELEASE:
		err = gk_handoff_release(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_RESET:
	case GK_STEP_RESET_BACK:
		err = gk_handoff_reset(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_ASSIGN:
		err = gk_handoff_assign(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_TAKE_BACK:
		err = gk_handoff_take_back(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	}
	if (err) {
		printf("%s\n", why);
		fflush(stdout);
	}
	/* A check of a domain that runs ends with who it is. */
	if (!err && h->step == GK_STEP_CHECK && h->m.mode == GK_HO_AGENT)
		return print_truth(o->to_name);
	return err != 0;
}

/* "vdev GUEST HOST": where the agent sees a controller. */
static void on_vdev(struct gk_daemon *d, const char *rest)
{
	int had = d->xs.maps;
	char line[64];

	if (!d->link_agent)
		return;
	snprintf(line, sizeof(line), "pci %s", rest);
	gk_xs_map_line(line, &d->xs);
	for (int slot = 0; d->xs.maps > had && slot < GK_LINK_DEVICES; slot++)
		if (d->session.dev[slot].id &&
		    d->session.dev[slot].info.path.controller == d->xs.map[had].devfn)
			gk_devices_here(d, slot);
}

static void step_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	size_t len;

	if (!strncmp(line, "vdev ", 5)) {
		on_vdev(d, line + 5);
	} else if (!strncmp(line, "target ", 7) && h->step == GK_STEP_ASSIGN) {
		h->r.target_domid = atoi(line + 7);
	} else if (line[0] == '{') {
		gk_log(LOG_NOTICE, "handoff: %s", line);
		gk_control_line(h->client, line);
	} else if (h->step == GK_STEP_CHECK || h->step == GK_STEP_LOOK) {
		len = strlen(h->found);
		snprintf(h->found + len, sizeof(h->found) - len, "%.200s\n", line);
		snprintf(h->last, sizeof(h->last), "%s", line);
	} else {
		gk_log(LOG_NOTICE, "handoff: %s", line);
		snprintf(h->last, sizeof(h->last), "%s", line);
	}
}

static void step_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	h->child = 0;
	if (end->status == 0) {
		if (h->step == GK_STEP_RELEASE || h->step == GK_STEP_TAKE_BACK)
			owners(h, 0);
		else if (h->step == GK_STEP_ASSIGN && h->r.target_domid > 0)
			owners(h, h->r.target_domid);
		event(d, GK_HO_DONE);
		return;
	}
	/* On the way back the first reason stays: what the person asks for. */
	if (h->m.state != GK_HO_TAKING_BACK && h->m.state != GK_HO_RETURNED)
		because(d, h->last[0] ? h->last : "the work broke off");
	else if (h->last[0])
		gk_log(LOG_ERR, "taking the controllers back: %s", h->last);
	event(d, GK_HO_FAILED);
}

static void fill_opts(struct gk_handover *h)
{
	struct gk_handoff_opts *o = &h->opts;

	*o = (struct gk_handoff_opts){
		.gate_domain = GK_GATE_NAME,
		.to_name = h->r.target[0] ? h->r.target : NULL,
		.to_config = h->m.mode == GK_HO_CONFIG ? h->r.config : NULL,
		.no_strict_reset = h->r.no_strict_reset,
	};
	if (h->m.mode == GK_HO_AGENT) {
		o->gate_domid = h->r.gate_domid > 0 ? h->r.gate_domid : 0;
		o->to_domid = h->r.target_domid > 0 ? h->r.target_domid : 0;
	}
	for (int i = 0; i < h->r.controllers; i++)
		memcpy(o->bdf[i], h->r.controller[i].bdf, sizeof(o->bdf[i]));
	o->n = (size_t)h->r.controllers;
}

/* h->opts is set up. The machine's own deadline ends it; a check has its own. */
static int start_child(struct gk_daemon *d, enum gk_step step, unsigned deadline_ms,
		       void (*done)(void *ctx, const struct gk_child_end *end))
{
	struct gk_handover *h = &d->handover;
	const struct gk_child_spec spec = {
		.name = step == GK_STEP_CHECK ? "the handoff's check" :
			step == GK_STEP_LOOK ? "the handoff's look" : "the handoff",
		.fn = step_child, .arg = h, .pass_fd = -1, .deadline_ms = deadline_ms,
		.line = step_line, .done = done, .ctx = d,
	};

	h->step = step;
	h->last[0] = h->found[0] = '\0';
	return gk_child_start(d->loop, &spec, &h->child);
}

static void start_step(struct gk_daemon *d, enum gk_step step)
{
	struct gk_handover *h = &d->handover;

	/* After its deadline this is one more chance to end it. */
	if (start_child(d, step, gk_ho_deadline_ms(h->m.mode, h->m.state) + 1000,
			step_done)) {
		because(d, "out of processes");
		event(d, GK_HO_FAILED);
	}
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

	h->quiesce_sent = gk_now_ms();
	h->last_key = 0;
	h->dark = 1;
	h->r.times.blackout = -1;
	gk_timer_clear(d->loop, &d->late_timer);
	if (d->state != GK_GATE_UP || d->link_agent) {
		event(d, GK_HO_GATE_LOST);
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
	fill_opts(h);
	h->opts.hard = hard;
	start_step(d, GK_STEP_RELEASE);
	/* While xl works. The agent's devices cannot come before theirs. */
	if (h->m.mode == GK_HO_AGENT && h->m.state == GK_HO_RELEASING &&
	    d->agent.phase == GK_AGENT_READY)
		gk_agent_promote(d);
	gk_daemon_publish(d);
}

static void settled(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	int told = 0;

	gk_continuity_missing(d);
	gk_daemon_publish(d);
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		told |= d->session_begun && d->session.dev[i].id != 0;
	/* The agent drives them, if not what was there before; or there was
	 * nothing that could be missed. */
	if (h->m.state == GK_HO_ASSIGNED && d->link_agent &&
	    (told || gk_continuity_keyboards(d) == 0))
		event(d, GK_HO_SEEN);
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
		gk_gate_end_old(d);
		gk_target_watch(d);
	}
	d->xs.domid = -1;
	gk_handover_write(d);
	gk_daemon_publish(d);
	tell(d, "done", h->m.mode == GK_HO_FREE_ONLY ? "the controllers are free" :
						       h->r.target);
	finish(d, NULL);
	/* The keyboards may come back later than the first of the devices. */
	if (h->m.mode == GK_HO_AGENT)
		gk_timer_set(d->loop, &h->settle, SETTLE_MS, settled, d);
}

static void do_recall(struct gk_daemon *d)
{
	d->handover.reclaim_since = gk_now_ms();
	d->state = GK_GATE_HANDOFF;
	gk_daemon_publish(d);
	if (!d->link_agent) {
		event(d, GK_HO_FAILED);
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
	owners(h, -1);
	fill_opts(h);
	h->opts.destroy_target = half;
	start_step(d, GK_STEP_TAKE_BACK);
}

static void do_reset_back(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	fill_opts(h);
	/* A gate with a tainted controller is better than no keyboard. */
	h->opts.no_strict_reset = 1;
	start_step(d, GK_STEP_RESET_BACK);
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
	finish(d, h->r.cause[0] ? why : NULL);
	gk_gate_destroy(d, GK_AFTER_START);
}

/* They are not ours to take: nothing was changed. */
static void do_stay(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	h->reclaim_since = 0;
	d->state = GK_GATE_HANDED_OVER;
	gk_daemon_publish(d);
	finish(d, h->last[0] ? h->last : "they could not be taken back");
}

static void perform(struct gk_daemon *d, enum gk_ho_action action)
{
	struct gk_handover *h = &d->handover;

	switch (action) {
	case GK_HO_NOTHING:
		return;
	case GK_HO_PREPARE:
		gk_continuity_take(d);
		start_agent(d);
		return;
	case GK_HO_CANCEL:
		gk_agent_stop(d);
		finish(d, h->r.cause[0] ? h->r.cause : "it was given up");
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
		fill_opts(h);
		start_step(d, GK_STEP_RESET);
		return;
	case GK_HO_ASSIGN:
		fill_opts(h);
		start_step(d, GK_STEP_ASSIGN);
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
		because(d, "the agent's link reader could not be started");
		event(d, GK_HO_FAILED);
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
			tell(d, "prepared", h->r.target);
			event(d, GK_HO_READY);
			return;
		}
		snprintf(cause, sizeof(cause), "the agent of %s does not answer (%.100s)",
			 h->r.target, d->agent.cause);
		because(d, cause);
		event(d, GK_HO_FAILED);
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
		because(d, d->agent.cause);
		event(d, GK_HO_TARGET_LOST);
	}
}

static void not_back(void *ctx)
{
	event(ctx, GK_HO_TARGET_LOST);
}

void gk_handover_link_lost(struct gk_daemon *d, const char *cause)
{
	struct gk_handover *h = &d->handover;
	char text[GK_HO_CAUSE_MAX];

	if (d->stopping)
		return;
	snprintf(text, sizeof(text), "%s: %.150s", h->r.target, cause);
	because(d, text);
	gk_daemon_publish(d);
	if (h->m.state == GK_HO_RECALLING || (h->m.state != GK_HO_ASSIGNED &&
					      h->m.state != GK_HO_CONFIRMED)) {
		event(d, GK_HO_TARGET_LOST);
		return;
	}
	gk_timer_set(d->loop, &h->comes_back, COMES_BACK_MS, not_back, d);
	start_agent(d);
}

void gk_handover_target_gone(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	char text[GK_HO_CAUSE_MAX];

	if (h->m.mode != GK_HO_AGENT || h->m.state == GK_HO_GATE ||
	    h->m.state == GK_HO_TAKING_BACK || h->m.state == GK_HO_RETURNED)
		return;
	snprintf(text, sizeof(text), "domain %s (%d) has gone", h->r.target,
		 h->r.target_domid);
	because(d, text);
	event(d, GK_HO_TARGET_LOST);
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
		event(d, GK_HO_SEEN);
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
	tell(d, "quiesced", detail);
	/* Drivers that still hold a controller make its detaching slow. */
	event(d, q && (q->complete || h->m.state == GK_HO_RECALLING) ?
	      GK_HO_QUIESCED : GK_HO_GATE_LOST);
}

void gk_handover_gate_up(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	if (!h->reclaim_since)
		return;
	h->r.times.reclaim = since(h->reclaim_since);
	h->reclaim_since = 0;
	gk_handover_write(d);
}

void gk_handover_gate_lost(struct gk_daemon *d)
{
	if (d->handover.m.state != GK_HO_PREPARING)
		return;
	because(d, "the gate broke meanwhile");
	event(d, GK_HO_GATE_LOST);
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
	gk_timer_clear(d->loop, &h->deadline);
	gk_target_unwatch(d);
	gk_agent_stop(d);
	finish(d, "gatekeeperd is being stopped");
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

/* --- requests --- */

int gk_handover_busy(const struct gk_daemon *d)
{
	return d->handover.checking || d->handover.m.state == GK_HO_PREPARING ||
	       gk_ho_is_moving(d->handover.m.state);
}

static int may_begin(const struct gk_daemon *d)
{
	return d->handover.m.state == GK_HO_GATE &&
	       (d->state == GK_GATE_UP || d->state == GK_GATE_FAILED);
}

/* What the check has found: the controllers, and the domain that is to have them. */
static const char *take_found(struct gk_daemon *d)
{
	static char why[GK_HO_CAUSE_MAX];
	static struct gk_truth t;
	struct gk_handover *h = &d->handover;
	const char *s = h->found;
	char bdf[GK_HO_BDF_MAX];

	h->r.controllers = 0;
	while ((s = strstr(s, "controller ")) != NULL) {
		if (sscanf(s, "controller %15s", bdf) == 1 && gk_bdf_valid(bdf) &&
		    h->r.controllers < GK_HO_CONTROLLERS)
			strcpy(h->r.controller[h->r.controllers++].bdf, bdf);
		s += strlen("controller ");
	}
	h->r.gate_domid = d->xs.domid;
	owners(h, d->state == GK_GATE_UP ? d->xs.domid : -1);
	if (h->m.mode != GK_HO_AGENT)
		return NULL;
	gk_truth_parse(h->found, &t);
	h->r.target_domid = gk_truth_domid(&t, h->r.target);
	if (h->r.target_domid <= 0) {
		h->r.target_domid = -1;
		snprintf(why, sizeof(why), "there is no domain %s", h->r.target);
		return why;
	}
	if (!gk_truth_agent(&t, h->r.target_domid)) {
		snprintf(why, sizeof(why), "domain %s has no gatekeeper-agent that "
			 "could take them", h->r.target);
		return why;
	}
	return NULL;
}

static void check_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	const char *why = NULL;

	h->child = 0;
	if (end->status != 0)
		why = h->last[0] ? h->last : "the check broke off";
	else if (!may_begin(d))
		why = "the gate broke meanwhile; try again";
	else
		why = take_found(d);
	if (why) {
		gk_log(LOG_ERR, "handoff refused: %s", why);
		set_cause(h, why);
		gk_ho_begin(&h->m, GK_HO_NONE);
		finish(d, why);
		gk_handover_write(d);
		return;
	}
	h->checking = 0;
	h->r.cause[0] = '\0';
	h->step_since = gk_now_ms();
	tell(d, "check", "may begin");
	event(d, GK_HO_ASKED);
	gk_target_watch(d);
}

int gk_handover_start(struct gk_daemon *d, const struct gk_handover_wish *w,
		      struct gk_client *c, const char *why[1])
{
	struct gk_handover *h = &d->handover;
	struct gk_ho_times never = { -1, -1, -1, -1, -1, -1, -1, -1 };

	if (gk_handover_busy(d)) {
		*why = "a handoff is going on already";
		return GK_ERR_ORDER;
	}
	if (h->m.state == GK_HO_CONFIRMED || h->m.state == GK_HO_FREE) {
		*why = "not now: they are handed over already; see gatekeeper status, "
		       "and gatekeeper reclaim";
		return GK_ERR_ORDER;
	}
	if (!may_begin(d)) {
		*why = "not now: the gate is neither up nor given up; see "
		       "gatekeeper status";
		return GK_ERR_ORDER;
	}
	if (w->mode == GK_HO_AGENT && !gk_name_valid(w->to)) {
		*why = "that is no name of a domain";
		return GK_ERR_ORDER;
	}
	gk_ho_begin(&h->m, w->mode);
	snprintf(h->r.target, sizeof(h->r.target), "%s", w->to);
	snprintf(h->r.config, sizeof(h->r.config), "%s", w->config);
	h->r.no_strict_reset = w->no_strict_reset;
	h->r.target_domid = -1;
	h->r.controllers = 0;
	h->r.times = never;
	h->client = c;
	h->checking = 1;
	fill_opts(h);
	/* It runs already; which one it is the check says. */
	if (w->mode == GK_HO_AGENT)
		h->opts.to_domid = 1;
	if (start_child(d, GK_STEP_CHECK, CHECK_MS, check_done)) {
		gk_ho_begin(&h->m, GK_HO_NONE);
		h->client = NULL;
		h->checking = 0;
		*why = "out of processes";
		return GK_ERR_SYSTEM;
	}
	return 0;
}

int gk_handover_reclaim(struct gk_daemon *d, struct gk_client *c, const char *why[1])
{
	struct gk_handover *h = &d->handover;

	if (h->checking || h->client) {
		*why = "a handoff is going on; try again";
		return GK_ERR_ORDER;
	}
	if (h->m.state == GK_HO_GATE) {
		*why = "there is nothing to reclaim: the gate has the controllers";
		return GK_ERR_ORDER;
	}
	h->client = c;
	h->r.held_domid = h->r.target_domid;
	h->r.cause[0] = '\0';
	event(d, GK_HO_RECLAIM);
	return 0;
}

/* --- after a start --- */

static void look(void *ctx);

/* Who has them all, and what else there is to know. */
static enum gk_ho_owner take_look(struct gk_daemon *d, const struct gk_truth *t)
{
	struct gk_handover *h = &d->handover;
	char bdf[GK_HO_CONTROLLERS][GK_TRUTH_BDF];
	int target = h->r.target_domid;

	/* Its id and its name: another may have the name by now. */
	if (target > 0 && h->m.mode == GK_HO_AGENT &&
	    strcmp(gk_truth_name(t, target), h->r.target) != 0)
		target = -1;
	/* What xl has created nobody has told us the id of. */
	if (h->m.mode == GK_HO_CONFIG)
		target = gk_truth_domid(t, h->r.target);
	for (int i = 0; i < h->r.controllers; i++) {
		memcpy(bdf[i], h->r.controller[i].bdf, sizeof(bdf[i]));
		h->r.controller[i].owner = gk_truth_owner(t, bdf[i]);
		if (h->r.controller[i].owner == -1)
			h->r.controller[i].owner = 0;
	}
	return gk_truth_of_all(t, (const char (*)[GK_TRUTH_BDF])bdf, h->r.controllers,
			       gk_truth_domid(t, GK_GATE_NAME), target);
}

static void look_done(void *ctx, const struct gk_child_end *end)
{
	static struct gk_truth t;
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	enum gk_ho_owner owner = GK_HO_SEVERAL;
	enum gk_ho_action action;

	h->child = 0;
	gk_truth_parse(end->status == 0 ? h->found : "", &t);
	if (!t.answered && gk_now_ms() - h->look_since < LOOK_PATIENCE_MS) {
		gk_timer_set(d->loop, &h->again, LOOK_AGAIN_MS, look, d);
		return;
	}
	if (t.answered)
		owner = take_look(d, &t);
	h->checking = 0;
	action = gk_ho_resume(&h->m, owner, gk_now_ms());
	h->step_since = gk_now_ms();
	arm(d);
	gk_handover_write(d);
	gk_log(LOG_NOTICE, "handoff: goes on as %s", gk_ho_state_name(h->m.state));
	if (h->m.state == GK_HO_GATE) {
		gk_gate_begin(d);
	} else if (h->m.state == GK_HO_CONFIRMED || h->m.state == GK_HO_FREE) {
		d->state = GK_GATE_HANDED_OVER;
		if (gk_truth_domid(&t, GK_GATE_NAME) > 0 && h->m.mode == GK_HO_AGENT)
			gk_gate_end_old(d);
		if (h->m.mode == GK_HO_AGENT)
			gk_timer_set(d->loop, &h->comes_back, 2 * COMES_BACK_MS,
				     not_back, d);
		gk_daemon_publish(d);
	}
	perform(d, action);
	gk_target_watch(d);
}

static void look(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	fill_opts(h);
	if (start_child(d, GK_STEP_LOOK, LOOK_MS, look_done))
		gk_timer_set(d->loop, &h->again, LOOK_AGAIN_MS, look, d);
}

int gk_handover_resume(struct gk_daemon *d)
{
	static char text[GK_HO_RECORD_MAX];
	struct gk_handover *h = &d->handover;
	char path[GK_PATH_MAX];

	gk_ho_record_init(&h->r);
	if (gk_run_path(path, GK_HO_RECORD_FILE) ||
	    gk_file_read(path, text, sizeof(text)) < 0)
		return 0;
	if (gk_ho_record_parse(text, &h->r)) {
		gk_log(LOG_ERR, "%s is damaged", path);
		return 0;
	}
	h->m.mode = h->r.mode;
	h->m.state = h->r.state;
	if (h->m.state == GK_HO_GATE || h->m.state == GK_HO_PREPARING) {
		h->m.state = GK_HO_GATE;
		h->r.target_domid = -1;
		gk_handover_write(d);
		return 0;
	}
	gk_log(LOG_NOTICE, "handoff: a gatekeeperd before us was at \"%s\"",
	       gk_ho_state_name(h->m.state));
	if (!gk_gate_look(d))
		return 1;
	gk_gate_rules_kept(&d->rules);
	gk_continuity_load(d);
	d->state = GK_GATE_HANDOFF;
	h->checking = 1;
	h->look_since = gk_now_ms();
	look(d);
	gk_daemon_publish(d);
	return 1;
}
