/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A handoff, as gatekeeperd sees it: ask whether it may be (nothing has
 * changed if not), let the gate quiesce in-band, move the controllers. The
 * parts that block run in children; a failure brings the gate back.
 */
#include <stdio.h>
#include <string.h>

#include "dom0/daemon.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "handoff/steps.h"

enum {
	CHECK_MS = 15000,
	/* All that handoff.h's own bounds can add up to, and some more. */
	RUN_MS = GK_HANDOFF_DESTROY_MS + GK_HANDOFF_RELEASE_MS +
		 GK_CONTROLLERS_MAX * GK_HANDOFF_RESET_MS +
		 2 * GK_HANDOFF_CREATE_MS + GK_HANDOFF_VERIFY_MS + 30000,
};

static struct gk_handoff_opts options_of(const struct gk_handover *h)
{
	return (struct gk_handoff_opts){
		.gate_domain = GK_GATE_NAME,
		.to_config = h->config[0] ? h->config : NULL,
		.to_name = h->to[0] ? h->to : NULL,
		.no_strict_reset = h->no_strict_reset,
	};
}

static void finish(struct gk_daemon *d, const char *why)
{
	struct gk_client *c = d->handover.client;

	memset(&d->handover, 0, sizeof(d->handover));
	gk_control_finish(c, why);
}

/* --- in the children --- */

static int check_child(void *arg)
{
	struct gk_handoff_opts o = options_of(arg);
	char why[GK_HANDOFF_WHY_MAX] = "";

	if (gk_handoff_check(&o, why, sizeof(why)) == 0)
		return 0;
	printf("%s\n", why);
	fflush(stdout);
	return 1;
}

static void print_step(void *ctx, const char *step, const char *detail)
{
	char line[1024];
	struct gk_json j;

	(void)ctx;
	gk_json_init(&j, line, sizeof(line));
	gk_json_object(&j, NULL);
	gk_json_string(&j, "step", step);
	gk_json_string(&j, "detail", detail);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) > 0)
		printf("%s\n", line);
	fflush(stdout);
}

static int run_child(void *arg)
{
	struct gk_handoff_opts o = options_of(arg);
	char why[GK_HANDOFF_WHY_MAX] = "";

	if (gk_handoff_run(&o, print_step, NULL, why, sizeof(why)) == 0)
		return 0;
	printf("%s\n", why);
	fflush(stdout);
	return 1;
}

/* --- in the daemon --- */

static void run_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;

	gk_log(LOG_NOTICE, "handoff: %s", line);
	if (line[0] == '{')
		gk_control_line(d->handover.client, line);
	else
		snprintf(d->handover.last, sizeof(d->handover.last), "%s",
			 line);
}

static void run_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	char path[GK_PATH_MAX], why[600];

	if (end->status == 0) {
		d->state = GK_GATE_HANDED_OVER;
		d->cause[0] = '\0';
		d->xs.domid = -1;
		d->xs.maps = 0;
		d->ready = 0;
		/* A gatekeeperd that is started again must not take them
		 * back. */
		if (gk_run_path(path, "handed-over") ||
		    gk_file_replace(path, "1\n", 0644))
			gk_log(LOG_ERR, "cannot write to %s", gk_run_dir);
		gk_daemon_publish(d);
		gk_log(LOG_NOTICE, "handoff done");
		finish(d, NULL);
		return;
	}
	snprintf(why, sizeof(why), "%s; the gate is started again",
		 end->timed_out ? "the handoff did not end in time" :
		 d->handover.last[0] ? d->handover.last :
		 "the handoff broke off");
	gk_log(LOG_ERR, "handoff failed: %s", why);
	finish(d, why);
	/* It may still run, without its drivers: away with it first. */
	gk_gate_destroy(d, GK_AFTER_START);
}

static void run(struct gk_daemon *d)
{
	const struct gk_child_spec spec = {
		.name = "the handoff", .fn = run_child, .arg = &d->handover,
		.pass_fd = -1, .deadline_ms = RUN_MS, .line = run_line,
		.done = run_done, .ctx = d,
	};

	gk_timer_clear(d->loop, &d->quiesce_timer);
	gk_timer_clear(d->loop, &d->late_timer);
	gk_link_stop(d);
	d->state = GK_GATE_HANDOFF;
	gk_daemon_publish(d);
	if (gk_child_start(d->loop, &spec, NULL)) {
		finish(d, "out of processes; the gate is started again");
		gk_gate_destroy(d, GK_AFTER_START);
	}
}

static void quiesce_late(void *ctx)
{
	struct gk_daemon *d = ctx;

	gk_log(LOG_WARNING, "handoff: the gate did not quiesce in %d ms; going "
	       "on without", GK_QUIESCE_MS);
	run(d);
}

static void quiesce(struct gk_daemon *d, void (*late)(void *))
{
	struct gk_frame f = { .type = GK_LINK_QUIESCE };

	d->state = GK_GATE_QUIESCE;
	gk_daemon_publish(d);
	f.u.quiesce.deadline_ms = GK_QUIESCE_MS;
	gk_session_quiesce(&d->session);
	gk_link_send(d, &f);
	/* Its answer may come at its deadline, and has a way to go. */
	gk_timer_set(d->loop, &d->quiesce_timer, GK_QUIESCE_MS + 1000, late, d);
}

static void stop_now(void *ctx)
{
	struct gk_daemon *d = ctx;

	gk_timer_clear(d->loop, &d->quiesce_timer);
	gk_gate_destroy(d, GK_AFTER_EXIT);
}

void gk_handover_stop(struct gk_daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = 1;
	if (d->state == GK_GATE_UP)
		quiesce(d, stop_now);
	else
		stop_now(d);
}

void gk_handover_quiesced(struct gk_daemon *d, const struct gk_link_quiesced *q)
{
	char line[160];

	if (d->stopping) {
		stop_now(d);
		return;
	}
	if (!d->handover.active || d->state != GK_GATE_QUIESCE)
		return;
	snprintf(line, sizeof(line), "{\"step\":\"quiesced\",\"detail\":\"%s, %u "
		 "controllers, %u devices\"}",
		 !q ? "the gate has gone" : q->complete ? "complete" :
		 "incomplete", q ? q->controllers : 0u, q ? q->devices : 0u);
	run_line(d, line);
	run(d);
}

static int may_begin(const struct gk_daemon *d)
{
	return d->state == GK_GATE_UP || d->state == GK_GATE_FAILED;
}

static void check_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	char why[600];

	if (end->status != 0) {
		snprintf(why, sizeof(why), "%.*s", (int)strcspn(end->out, "\n"),
			 end->out);
		gk_log(LOG_ERR, "handoff refused: %s", why);
		finish(d, why[0] ? why : "the check broke off");
		return;
	}
	if (!may_begin(d)) {
		finish(d, "the gate broke meanwhile; try again");
		return;
	}
	gk_control_line(d->handover.client,
			"{\"step\":\"check\",\"detail\":\"may begin\"}");
	if (d->state != GK_GATE_UP) {
		run(d);
		return;
	}
	quiesce(d, quiesce_late);
}

int gk_handover_start(struct gk_daemon *d, struct gk_client *c,
		      const char *why[1])
{
	const struct gk_child_spec spec = {
		.name = "the handoff's check", .fn = check_child,
		.arg = &d->handover, .pass_fd = -1, .deadline_ms = CHECK_MS,
		.done = check_done, .ctx = d,
	};

	if (!may_begin(d)) {
		*why = "not now: the gate is neither up nor given up; see "
		       "gatekeeper status";
		return GK_ERR_ORDER;
	}
	d->handover.active = 1;
	d->handover.client = c;
	if (gk_child_start(d->loop, &spec, NULL)) {
		memset(&d->handover, 0, sizeof(d->handover));
		*why = "out of processes";
		return GK_ERR_SYSTEM;
	}
	return 0;
}
