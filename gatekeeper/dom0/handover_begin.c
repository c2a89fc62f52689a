/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a handoff begins: at a request, or where a gatekeeperd before us was. */
#include <stdio.h>
#include <string.h>

#include "dom0/answers.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/handover.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "handoff/truth.h"

enum {
	CHECK_MS = 15000,
	LOOK_MS = 5000,
	LOOK_AGAIN_MS = 500,
	LOOK_PATIENCE_MS = 15000,	/* for xenstored, after a start */
};

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
	gk_ho_owners(h, d->state == GK_GATE_UP ? d->xs.domid : -1);
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
		gk_ho_set_cause(h, why);
		gk_ho_begin(&h->m, GK_HO_NONE);
		gk_ho_finish(d, why);
		gk_handover_write(d);
		return;
	}
	h->checking = 0;
	h->r.cause[0] = '\0';
	h->step_since = gk_now_ms();
	gk_ho_tell(d, "check", "may begin");
	gk_ho_happened(d, GK_HO_ASKED);
	gk_target_watch(d);
}

int gk_handover_start(struct gk_daemon *d, const struct gk_handover_wish *w,
		      struct gk_client *c, const char *why[1])
{
	struct gk_handover *h = &d->handover;
	struct gk_ho_times never = { -1, -1, -1, -1, -1, -1, -1, -1 };

	if (gk_handover_busy(d)) {
		*why = GK_ANSWER_GOING_ON " already";
		return GK_ERR_ORDER;
	}
	/* Asked before a domain is started with them: it has the whole time for it. */
	if (h->m.state == GK_HO_FREE && w->mode == GK_HO_FREE_ONLY) {
		h->client = c;
		gk_free_count(d);
		gk_ho_tell(d, "done", h->free_watch && h->free_taken ?
			   "they were released before, and a domain may have them" :
			   "the controllers are free already");
		gk_ho_finish(d, NULL);
		return 0;
	}
	if (h->m.state == GK_HO_CONFIRMED || h->m.state == GK_HO_FREE) {
		*why = "not now: they are handed over already; see gatekeeper status, "
		       "and gatekeeper reclaim";
		return GK_ERR_ORDER;
	}
	if (!may_begin(d)) {
		*why = gk_gate_is_alive(d) ? GK_ANSWER_NO_GATE "; see gatekeeper status" :
		       "there is no gate, and none is being started; see gatekeeper status";
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
	h->r.permissive = w->permissive;
	h->r.target_domid = -1;
	h->r.controllers = 0;
	h->r.times = never;
	h->client = c;
	h->automatic = 0;
	h->checking = 1;
	gk_ho_fill_opts(h);
	/* It runs already; which one it is the check says. */
	if (w->mode == GK_HO_AGENT)
		h->opts.to_domid = 1;
	if (gk_ho_start_child(d, GK_STEP_CHECK, CHECK_MS, check_done)) {
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
		*why = GK_ANSWER_GOING_ON "; try again";
		return GK_ERR_ORDER;
	}
	if (h->m.state == GK_HO_GATE) {
		*why = d->state == GK_GATE_FAILED ?
		       "there is nothing to reclaim: the gate was given up; see "
		       "gatekeeper status" :
		       "there is nothing to reclaim: the gate has the controllers";
		return GK_ERR_ORDER;
	}
	h->client = c;
	h->r.held_domid = h->r.target_domid;
	h->r.cause[0] = '\0';
	gk_ho_happened(d, GK_HO_RECLAIM);
	return 0;
}

/* --- after a start --- */

static void look(void *ctx);

static int is_there(const struct gk_daemon *d, const char *bdf)
{
	for (int i = 0; i < d->controllers; i++)
		if (strcmp(d->controller[i].bdf, bdf) == 0)
			return 1;
	return 0;
}

/* Who has them all, and what else there is to know. */
static enum gk_ho_owner take_look(struct gk_daemon *d, const struct gk_truth *t)
{
	struct gk_handover *h = &d->handover;
	char bdf[GK_HO_CONTROLLERS][GK_TRUTH_BDF];
	int target = h->r.target_domid, n = 0;

	/* Its id and its name: another may have the name by now. */
	if (target > 0 && h->m.mode == GK_HO_AGENT &&
	    strcmp(gk_truth_name(t, target), h->r.target) != 0)
		target = -1;
	/* What xl has created nobody has told us the id of. */
	if (h->m.mode == GK_HO_CONFIG)
		target = gk_truth_domid(t, h->r.target);
	for (int i = 0; i < h->r.controllers; i++) {
		memcpy(bdf[n], h->r.controller[i].bdf, sizeof(bdf[n]));
		h->r.controller[i].owner = gk_truth_owner(t, bdf[n]);
		/* Of a dock that was unplugged: nobody has it, and nobody misses it. */
		if (is_there(d, bdf[n]) || h->r.controller[i].owner != -1)
			n++;
		if (gk_truth_disagree(t, h->r.controller[i].bdf)) {
			gk_log(LOG_WARNING, "handoff: Xen and xenstore do not say the "
			       "same of controller %s", h->r.controller[i].bdf);
			h->r.controller[i].owner = -1;
		} else if (h->r.controller[i].owner == -1) {
			h->r.controller[i].owner = 0;
		}
	}
	return gk_truth_of_all(t, (const char (*)[GK_TRUTH_BDF])bdf, n,
			       gk_truth_domid(t, GK_GATE_NAME), target);
}

/* The gate of before the handoff, which has nothing more; not one that was started since
 * and is none of ours. */
static void end_old(struct gk_daemon *d, const struct gk_truth *t)
{
	int domid = d->handover.r.gate_domid;

	if (domid > 0 && strcmp(gk_truth_name(t, domid), GK_GATE_NAME) == 0)
		gk_gate_end_old(d, domid);
	else if (gk_truth_domid(t, GK_GATE_NAME) > 0)
		gk_log(LOG_WARNING, "domain %d is called " GK_GATE_NAME " and is not the "
		       "gate of before: it is left alone",
		       gk_truth_domid(t, GK_GATE_NAME));
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
	gk_ho_arm(d);
	gk_handover_write(d);
	gk_log(LOG_NOTICE, "handoff: goes on as %s", gk_ho_state_name(h->m.state));
	if (h->m.state == GK_HO_GATE) {
		gk_gate_begin(d);
	} else if (h->m.state == GK_HO_CONFIRMED || h->m.state == GK_HO_FREE) {
		d->state = GK_GATE_HANDED_OVER;
		if (h->m.mode == GK_HO_AGENT)
			end_old(d, &t);
		if (h->m.mode == GK_HO_AGENT)
			gk_timer_set(d->loop, &h->comes_back, 2 * GK_HO_COMES_BACK_MS,
				     gk_ho_not_back, d);
		gk_ho_watch_resumed(d);
		gk_free_watch(d);
		gk_daemon_publish(d);
	}
	gk_ho_perform(d, action);
	gk_target_watch(d);
}

static void look(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	gk_ho_fill_opts(h);
	if (gk_ho_start_child(d, GK_STEP_LOOK, LOOK_MS, look_done))
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
		/* A gate that has taken over is bound by what was there. */
		if (h->r.reclaims)
			gk_continuity_load(d);
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
