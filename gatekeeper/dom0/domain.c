/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate domain's life. Every state that waits has a deadline: a child's
 * own (a probe, xl) or gate_timer (HELLO, a pause). Whatever fails comes to
 * gk_gate_lost(), which clears away and starts again a bounded number of
 * times, or to gk_gate_give_up().
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"

static void probe(struct gk_daemon *d);
static void connect_link(struct gk_daemon *d);
static int look_at_controllers(struct gk_daemon *d, int again);

static void set_state(struct gk_daemon *d, enum gk_gate_state state)
{
	gk_timer_clear(d->loop, &d->gate_timer);
	d->state = state;
	gk_daemon_publish(d);
}

static void set_cause(struct gk_daemon *d, const char *cause)
{
	if (cause != d->cause)
		snprintf(d->cause, sizeof(d->cause), "%s", cause);
}

/* Whatever runs on behalf of the present state. */
static void stop_work(struct gk_daemon *d)
{
	gk_timer_clear(d->loop, &d->gate_timer);
	gk_child_kill(d->loop, d->gate_child);
	d->gate_child = 0;
	gk_link_stop(d);
	/* xl may have been stopped before it was done with it. */
	gk_gate_rules_given();
}

/* --- the end --- */

void gk_gate_give_up(struct gk_daemon *d, const char *cause)
{
	int none = d->controllers + d->unbound == 0;

	set_cause(d, cause);
	stop_work(d);
	gk_timer_clear(d->loop, &d->late_timer);
	d->ready = 0;
	if (d->opt.fallback == GK_FALLBACK_DOM0_HID && !none && d->not_ours) {
		/* Unbinding it from pciback would pull it from under whoever
		 * has it. */
		gk_screen_say(&d->screen, LOG_ERR, "a controller may be another "
			      "domain's, so there is no fallback");
	} else if (d->opt.fallback == GK_FALLBACK_DOM0_HID && !none) {
		gk_screen_say(&d->screen, LOG_ERR, "%s. Fallback: dom0 drives "
			      "the USB controllers itself, for keyboards only",
			      d->cause);
		set_state(d, GK_GATE_FALLBACK);
		gk_fallback_start(d);
		return;
	}
	if (none)
		gk_screen_say(&d->screen, LOG_ERR, "%s. Type the passphrase on "
			      "a PS/2 keyboard, or boot with rd.gatekeeper=0",
			      d->cause);
	else
		gk_screen_say(&d->screen, LOG_ERR, "%s. USB keyboards do not "
			      "work now: type the passphrase on a PS/2 "
			      "keyboard, or boot with rd.gatekeeper=0",
			      d->cause);
	set_state(d, none && !d->controllers_unread ? GK_GATE_NO_CONTROLLER :
						      GK_GATE_FAILED);
	/* The domain that is to have them may be there. */
	gk_target_consider(d);
}

int gk_gate_is_alive(const struct gk_daemon *d)
{
	if (d->stopping || gk_ho_is_moving(d->handover.m.state))
		return 0;
	switch (d->state) {
	case GK_GATE_STARTING:
	case GK_GATE_PROBE:
	case GK_GATE_CREATE:
	case GK_GATE_FIND:
	case GK_GATE_CONNECT:
	case GK_GATE_UP:
	case GK_GATE_DESTROY:
	case GK_GATE_BACKOFF:
		return 1;
	case GK_GATE_QUIESCE:
	case GK_GATE_HANDOFF:
	case GK_GATE_HANDED_OVER:
	case GK_GATE_FALLBACK:
	case GK_GATE_FAILED:
	case GK_GATE_NO_CONTROLLER:
	case GK_GATE_DISABLED:
		break;
	}
	return 0;
}

/* --- clearing away, and again --- */

/* Counts a restart; 0 when there were too many in the window. */
static int may_restart(struct gk_daemon *d)
{
	uint64_t now = gk_now_ms();
	uint64_t window = (uint64_t)d->opt.restart_window_s * 1000;
	unsigned recent = 0;

	for (unsigned i = 0; i < GK_RESTARTS_KEPT; i++)
		if (d->restart_at[i] && now - d->restart_at[i] < window)
			recent++;
	if (recent >= d->opt.restarts)
		return 0;
	d->restart_at[d->restarts % GK_RESTARTS_KEPT] = now;
	d->restarts++;
	return 1;
}

static void begin_again(void *ctx)
{
	struct gk_daemon *d = ctx;

	/* One that was in a dock may be gone, and xl refuses them all then. */
	if (!look_at_controllers(d, 1))
		return;
	d->xs_since = 0;
	probe(d);
}

static void window_over(void *ctx)
{
	struct gk_daemon *d = ctx;

	if (d->stopping || d->state != GK_GATE_FAILED)
		return;
	if (gk_handover_busy(d)) {
		gk_timer_set(d->loop, &d->gate_timer, GK_XS_PATIENCE_MS, window_over, d);
		return;
	}
	gk_log(LOG_NOTICE, "the gate is tried once more: %s", d->cause);
	begin_again(d);
}

static void destroyed(struct gk_daemon *d)
{
	char cause[GK_CAUSE_MAX];

	d->xs.domid = -1;
	switch (d->after_destroy) {
	case GK_AFTER_EXIT:
		gk_control_finish(d->stop_client, d->destroy_failed ?
				  "the gate domain could not be destroyed" : NULL);
		gk_loop_stop(d->loop);
		return;
	case GK_AFTER_GIVE_UP:
		gk_gate_give_up(d, d->cause);
		return;
	case GK_AFTER_RESTART:
		if (!may_restart(d)) {
			snprintf(cause, sizeof(cause), "%.150s (%u restart%s "
				 "did not help)", d->cause, d->opt.restarts,
				 d->opt.restarts == 1 ? "" : "s");
			gk_gate_give_up(d, cause);
			/* Nobody may be able to ask for it. In the initramfs the
			 * person starts the machine again. */
			if (!d->in_initrd && d->state == GK_GATE_FAILED)
				gk_timer_set(d->loop, &d->gate_timer,
					     (uint64_t)d->opt.restart_window_s * 1000,
					     window_over, d);
			return;
		}
		gk_screen_say(&d->screen, LOG_WARNING, "%s; it is "
			      "started again", d->cause);
		break;
	case GK_AFTER_START:
		break;
	}
	set_state(d, GK_GATE_BACKOFF);
	gk_timer_set(d->loop, &d->gate_timer, GK_BACKOFF_MS, begin_again, d);
}

static void destroy_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	d->gate_child = 0;
	d->destroy_failed = end->status != 0 &&
			    (end->timed_out || !strstr(end->out, "invalid domain"));
	/* Not there any more is as good. If it is there and stays, the next
	 * create says so; but dom0 must not drive what it may still own. */
	if (end->status != 0) {
		gk_log(LOG_INFO, "xl destroy: %.200s",
		       end->timed_out ? "no end" : end->out);
		if (d->after_destroy == GK_AFTER_GIVE_UP &&
		    d->destroy_failed &&
		    d->opt.fallback != GK_FALLBACK_NONE) {
			d->opt.fallback = GK_FALLBACK_NONE;
			gk_screen_say(&d->screen, LOG_ERR, "the gate domain "
				      "cannot be ended, so there is no fallback");
		}
	}
	destroyed(d);
}

void gk_gate_destroy(struct gk_daemon *d, enum gk_after_destroy after)
{
	static const char *const argv[] = { "xl", "destroy", GK_GATE_NAME,
					    NULL };
	const struct gk_child_spec spec = {
		.name = "xl destroy", .path = "xl", .argv = argv,
		.pass_fd = -1, .deadline_ms = GK_XL_DESTROY_MS,
		.done = destroy_done, .ctx = d,
	};

	stop_work(d);
	d->ready = 0;
	d->after_destroy = after;
	set_state(d, GK_GATE_DESTROY);
	d->destroy_failed = 0;
	if (gk_child_start(d->loop, &spec, &d->gate_child)) {
		d->destroy_failed = 1;
		destroyed(d);
	}
}

void gk_gate_lost(struct gk_daemon *d, const char *cause)
{
	set_cause(d, cause);
	gk_log(LOG_ERR, "%s", d->cause);
	gk_handover_gate_lost(d);
	/* A gate that is to be destroyed anyway need not be replaced. */
	if (d->state == GK_GATE_QUIESCE) {
		gk_link_stop(d);
		gk_handover_quiesced(d, NULL);
		return;
	}
	/* That it broke while the machine was suspended is not its fault. */
	gk_gate_destroy(d, gk_sleep_is(d) ? GK_AFTER_START : GK_AFTER_RESTART);
}

void gk_gate_reconnect(struct gk_daemon *d, const char *cause)
{
	set_cause(d, cause);
	gk_log(LOG_WARNING, "%s; a new one is started", d->cause);
	gk_handover_gate_lost(d);
	if (!may_restart(d)) {
		gk_gate_lost(d, cause);
		return;
	}
	d->reconnect = 1;
	connect_link(d);
}

/* --- the link --- */

static void no_hello(void *ctx)
{
	gk_gate_lost(ctx, "the gate domain did not answer in time");
}

static void connect_link(struct gk_daemon *d)
{
	unsigned server_s = d->reconnect ? GK_RECONNECT_S : GK_SERVER_S;

	set_state(d, GK_GATE_CONNECT);
	/* The reader has its own, tighter bounds; this one is for a reader
	 * that hangs. */
	gk_timer_set(d->loop, &d->gate_timer, server_s * 1000 + GK_HELLO_MS,
		     no_hello, d);
	if (gk_link_start(d, server_s))
		gk_gate_lost(d, "the link reader could not be started");
}

void gk_gate_check_ready(struct gk_daemon *d)
{
	if (d->state != GK_GATE_UP || d->keyboard.fd < 0) {
		gk_daemon_publish(d);
		return;
	}
	if (!d->ready) {
		d->ready = 1;
		gk_timer_clear(d->loop, &d->late_timer);
		if (d->times.create_start >= 0)
			gk_log(LOG_INFO, "gate ready: created in %lld ms, HELLO "
			       "after %lld ms", (long long)
			       (d->times.create_done - d->times.create_start),
			       (long long)
			       (d->times.hello - d->times.create_start));
		if (d->told_late || d->restarts)
			gk_screen_say(&d->screen, LOG_NOTICE,
				      "the gate is ready now");
	}
	gk_handover_gate_up(d);
	gk_daemon_publish(d);
	gk_target_consider(d);
}

/* --- creating --- */

static void find_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	d->gate_child = 0;
	gk_xs_parse(end->out, &d->xs);
	if (end->status != 0 || d->xs.domid < 0) {
		gk_gate_lost(d, d->xs.answered ?
			     "the gate domain was gone as soon as it started" :
			     "xenstored does not answer");
		return;
	}
	connect_link(d);
}

static int start_probe(struct gk_daemon *d,
		       void (*done)(void *, const struct gk_child_end *))
{
	static char name[] = GK_GATE_NAME;
	const struct gk_child_spec spec = {
		.name = "the xenstore probe", .fn = gk_xs_probe, .arg = name,
		.pass_fd = -1, .deadline_ms = GK_XS_PROBE_MS, .done = done,
		.ctx = d,
	};

	return gk_child_start(d->loop, &spec, &d->gate_child);
}

static void create_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	char cause[GK_CAUSE_MAX];
	enum gk_xl_cause final;

	d->gate_child = 0;
	d->not_ours = 0;
	d->times.create_done = (int64_t)gk_now_ms();
	gk_gate_rules_given();
	if (end->status == 0) {
		gk_log(LOG_INFO, "xl create took %lld ms", (long long)
		       (d->times.create_done - d->times.create_start));
		d->marked_once = 0;
		set_state(d, GK_GATE_FIND);
		if (start_probe(d, find_done))
			gk_gate_lost(d, "out of processes");
		return;
	}
	if (end->timed_out) {
		gk_gate_lost(d, "xl create did not end in time");
		return;
	}
	if (end->status >= 0 && WIFEXITED(end->status) &&
	    WEXITSTATUS(end->status) == 127) {
		gk_gate_give_up(d, "the program xl is missing");
		return;
	}
	gk_log(LOG_ERR, "xl create: %.350s", end->out);
	final = gk_gate_xl_cause(end->out, cause);
	d->not_ours = final == GK_XL_OWNED;
	if (final == GK_XL_AGAIN) {
		gk_gate_lost(d, cause);
		return;
	}
	set_cause(d, cause);
	/* An xl that was killed leaves its mark on a controller, which the failure has
	 * removed (handoff/truth.h); Xen lets nobody have it twice. */
	if (final == GK_XL_OWNED && !d->marked_once &&
	    strstr(end->out, "is not assignable")) {
		d->marked_once = 1;
		gk_gate_destroy(d, GK_AFTER_START);
		return;
	}
	if (final == GK_XL_OWNED && gk_handover_end_suspect(d))
		return;
	gk_gate_destroy(d, GK_AFTER_GIVE_UP);
}

static void create(struct gk_daemon *d)
{
	char text[GK_GATE_CONFIG_MAX], path[GK_PATH_MAX], cause[GK_CAUSE_MAX];
	const char *argv[] = { "xl", "create", "-q", "-e", path, NULL };
	struct gk_child_spec spec = {
		.name = "xl create", .path = "xl", .argv = argv, .pass_fd = -1,
		.deadline_ms = GK_XL_CREATE_MS, .done = create_done, .ctx = d,
	};
	char kernel[GK_PATH_MAX], image[GK_PATH_MAX], ramdisk[GK_PATH_MAX];

	gk_root_follow();
	if (gk_path(kernel, GK_GATE_KERNEL) || gk_path(image, GK_GATE_IMAGE) ||
	    gk_gate_image_check(kernel, image, cause)) {
		gk_gate_give_up(d, cause);
		return;
	}
	gk_gate_rules_load(&d->rules);
	if (d->rules.error[0]) {
		gk_screen_say(&d->screen, LOG_ERR, "%s", d->rules.error);
	} else if (!d->told_note &&
		   gk_gate_rules_note(&d->rules, cause, sizeof(cause))) {
		d->told_note = 1;
		gk_screen_say(&d->screen, LOG_WARNING, "%s", cause);
	}
	if (gk_gate_rules_give(&d->rules, image, ramdisk)) {
		gk_gate_give_up(d, "the gate's rules cannot be written to "
				"/run/gatekeeper");
		return;
	}
	if (gk_gate_config(&d->opt, ramdisk, d->controller, d->controllers, text,
			   sizeof(text)) < 0 ||
	    gk_run_path(path, "gate.cfg") ||
	    gk_file_replace(path, text, 0600)) {
		gk_gate_give_up(d, "the gate's configuration cannot be written "
				"to /run/gatekeeper");
		return;
	}
	d->times.create_start = (int64_t)gk_now_ms();
	d->times.create_done = d->times.connected = d->times.hello = -1;
	d->reconnect = 0;
	gk_log(LOG_INFO, "xl create starts at %lld ms, %d controller%s",
	       (long long)d->times.create_start, d->controllers,
	       d->controllers == 1 ? "" : "s");
	set_state(d, GK_GATE_CREATE);
	if (gk_child_start(d->loop, &spec, &d->gate_child))
		gk_gate_lost(d, "xl could not be started");
}

/* --- the beginning --- */

static void probe_again(void *ctx)
{
	probe(ctx);
}

/* It has had its time; 1 when the gate was given up for it. Later than in the
 * initramfs it once was there, may come back, and nobody else would look. */
static int no_xenstored(struct gk_daemon *d)
{
	static const char cause[] = "xenstored does not answer";

	if (d->in_initrd || d->opt.fallback == GK_FALLBACK_DOM0_HID) {
		gk_gate_give_up(d, cause);
		return 1;
	}
	if (!d->told_no_xs) {
		set_cause(d, cause);
		gk_screen_say(&d->screen, LOG_ERR, "%s. USB keyboards do not work "
			      "until it does", cause);
		gk_daemon_publish(d);
	}
	d->told_no_xs = 1;
	return 0;
}

static void probe_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	d->gate_child = 0;
	gk_xs_parse(end->out, &d->xs);
	if (end->status != 0 || !d->xs.answered) {
		if (gk_now_ms() - d->xs_since >= GK_XS_PATIENCE_MS &&
		    no_xenstored(d))
			return;
		gk_timer_set(d->loop, &d->gate_timer, GK_BACKOFF_MS,
			     probe_again, d);
		return;
	}
	d->told_no_xs = 0;
	if (d->xs.domid >= 0) {
		gk_log(LOG_INFO, "a gate domain runs already (id %d): "
		       "connecting to it", d->xs.domid);
		d->reconnect = 1;
		if (!d->rules.loaded)
			gk_gate_rules_kept(&d->rules);
		connect_link(d);
		return;
	}
	create(d);
}

static void probe(struct gk_daemon *d)
{
	set_state(d, GK_GATE_PROBE);
	if (!d->xs_since)
		d->xs_since = gk_now_ms();
	if (start_probe(d, probe_done))
		gk_gate_give_up(d, "out of processes");
}

static void late(void *ctx)
{
	struct gk_daemon *d = ctx;
	char cause[GK_CAUSE_MAX];

	if (d->ready || !gk_gate_is_alive(d))
		return;
	d->told_late = 1;
	snprintf(cause, sizeof(cause), "the gate is not ready after %u s%s%.120s",
		 d->opt.timeout_s, d->cause[0] ? ": " : "", d->cause);
	if (d->opt.fallback == GK_FALLBACK_DOM0_HID) {
		set_cause(d, cause);
		gk_gate_destroy(d, GK_AFTER_GIVE_UP);
		return;
	}
	gk_screen_say(&d->screen, LOG_WARNING, "%s; still trying. A PS/2 "
		      "keyboard works, or boot with rd.gatekeeper=0", cause);
}

/* 0 when there is none, and it was given up. */
static int look_at_controllers(struct gk_daemon *d, int again)
{
	struct gk_controller all[GK_CONTROLLERS_MAX];
	int n = gk_controllers_list(all);
	char cause[GK_CAUSE_MAX];

	d->controllers = 0;
	d->other_controllers = 0;
	d->unbound = 0;
	d->controllers_unread = n < 0;
	if (n < 0) {
		snprintf(cause, sizeof(cause), "the USB controllers cannot be read "
			 "from /sys/bus/pci/devices (%s)", gk_strerror(n));
		gk_gate_give_up(d, cause);
		return 0;
	}
	for (int i = 0; i < n; i++) {
		if (!strcmp(all[i].driver, "pciback")) {
			d->controller[d->controllers++] = all[i];
			continue;
		}
		if (gk_options_is_dom0_usb(&d->opt, all[i].bdf)) {
			gk_log(LOG_INFO, "controller %s is left to dom0 "
			       "(rd.qubes.dom0_usb)", all[i].bdf);
			continue;
		}
		d->other_controllers++;
		/* Without a driver: the fallback can still use it. */
		if (!all[i].driver[0])
			d->controller[GK_CONTROLLERS_MAX - ++d->unbound] = all[i];
		if (again)
			continue;
		gk_screen_say(&d->screen, LOG_ERR, "USB controller %s could "
			      "not be taken (%s%s): what is plugged in there "
			      "%s", all[i].bdf,
			      all[i].driver[0] ? "driver " : "no driver",
			      all[i].driver, all[i].driver[0] ?
			      "is dom0's" : "does not work");
	}
	if (d->controllers)
		return 1;
	gk_gate_give_up(d, d->other_controllers ?
			"no USB controller is bound to pciback" :
			"no USB controller found");
	return 0;
}

void gk_gate_begin(struct gk_daemon *d)
{
	if (!look_at_controllers(d, 0))
		return;
	for (int i = 0; i < d->controllers; i++)
		gk_log(LOG_INFO, "controller %u is %s", d->controller[i].no,
		       d->controller[i].bdf);
	gk_timer_set(d->loop, &d->late_timer,
		     (uint64_t)d->opt.timeout_s * 1000, late, d);
	d->xs_since = 0;
	probe(d);
}

int gk_gate_look(struct gk_daemon *d)
{
	return look_at_controllers(d, 1);
}

void gk_gate_start(struct gk_daemon *d)
{
	d->ready = 0;
	begin_again(d);
}

static void old_ended(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	d->handover.old_gone = end->status == 0;
	if (end->status != 0)
		gk_log(LOG_WARNING, "the old gate: xl destroy: %.200s",
		       end->timed_out ? "no end" : end->out);
}

void gk_gate_end_old(struct gk_daemon *d, int domid)
{
	char id[16];
	const char *argv[] = { "xl", "destroy", id, NULL };
	const struct gk_child_spec spec = {
		.name = "the old gate's end", .path = "xl", .argv = argv,
		.pass_fd = -1, .deadline_ms = GK_XL_DESTROY_MS, .done = old_ended,
		.ctx = d,
	};

	d->xs.domid = -1;
	/* It had been given up before. */
	if (domid <= 0)
		return;
	snprintf(id, sizeof(id), "%d", domid);
	if (gk_child_start(d->loop, &spec, NULL))
		gk_log(LOG_WARNING, "the old gate: xl could not be started");
}
