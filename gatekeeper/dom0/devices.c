/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <stdio.h>

#include "core/policy.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"

/* Lines in the log that the gate can cause, in ten seconds. */
enum { NOISE_MS = 10000, NOISE_LINES = 200 };

static int quiet(struct gk_daemon *d)
{
	uint64_t now = gk_now_ms();

	if (now - d->noise_window >= NOISE_MS) {
		d->noise_window = now;
		d->noise = 0;
	}
	if (++d->noise == NOISE_LINES)
		gk_log(LOG_WARNING, "the gate says too much: what it says is "
		       "left out for %d s", NOISE_MS / 1000);
	return d->noise >= NOISE_LINES;
}

static int is_keyboard(const struct gk_link_device *d)
{
	return (d->verdict == GK_VERDICT_ADMITTED ||
		d->verdict == GK_VERDICT_PARTLY) &&
	       (d->granted & GK_ROLE_KEYBOARD);
}

void gk_devices_all_up(struct gk_daemon *d)
{
	if (d->keyboard.fd >= 0 && gk_keyboard_sync(&d->keyboard, NULL) < 0)
		gk_log(LOG_ERR, "keys could not be released");
}

void gk_devices_lights(struct gk_daemon *d, uint32_t id)
{
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *s = &d->session.dev[i];
		struct gk_frame f = { .type = GK_LINK_LED };

		if (!s->id || (id && s->id != id) || !is_keyboard(&s->info))
			continue;
		f.device = s->id;
		f.generation = s->generation;
		f.u.led.leds = d->keyboard.leds;
		gk_link_send(d, &f);
	}
}

void gk_devices_port(struct gk_daemon *d, const struct gk_link_device *i,
		     char text[GK_PORT_TEXT])
{
	unsigned no = gk_xs_controller_no(&d->xs, d->controller,
					  d->controllers, i->path.controller);

	gk_port_text(no ? no : i->path.controller, &i->path, text);
}

static void say_device(struct gk_daemon *d, const struct gk_link_device *i)
{
	const char *class = gk_class_text(gk_device_class(i));
	char port[GK_PORT_TEXT], where[40] = "";

	if (quiet(d))
		return;
	gk_devices_port(d, i, port);
	switch ((enum gk_verdict)i->verdict) {
	case GK_VERDICT_HUB:
		gk_log(LOG_INFO, "hub on port %s (%04x:%04x)", port, i->vid,
		       i->pid);
		return;
	case GK_VERDICT_ADMITTED:
	case GK_VERDICT_PARTLY:
		gk_screen_say(&d->screen, LOG_NOTICE,
			      "%s on port %s (%04x:%04x) admitted%s",
			      is_keyboard(i) ? "keyboard" : class, port, i->vid,
			      i->pid, i->verdict == GK_VERDICT_PARTLY ?
			      " in part" : "");
		return;
	case GK_VERDICT_REFUSED:
		break;
	}
	if (i->reason == GK_REASON_BAD_DESCRIPTOR)
		snprintf(where, sizeof(where), " (byte %u)", i->offset);
	gk_screen_say(&d->screen, LOG_NOTICE,
		      "%s device on port %s (%04x:%04x) refused: %s%s", class,
		      port, i->vid, i->pid, gk_reason_text(i->reason), where);
}

static void on_device(struct gk_daemon *d, const struct gk_frame *f)
{
	/* What the one before it in this slot held is let go. */
	if (gk_keyboard_sync(&d->keyboard, &d->session) < 0 &&
	    d->keyboard.fd >= 0)
		gk_log(LOG_ERR, "the virtual keyboard does not take keys");
	say_device(d, &f->u.dev);
	if (!is_keyboard(&f->u.dev))
		return;
	if (d->times.keyboard < 0 && d->keyboard.fd >= 0) {
		d->times.keyboard = (int64_t)gk_now_ms();
		gk_log(LOG_INFO, "first keyboard admitted at %lld ms",
		       (long long)d->times.keyboard);
		gk_daemon_publish(d);
	}
	gk_devices_lights(d, f->device);
}

static void on_gone(struct gk_daemon *d, const struct gk_link_device *was,
		    uint16_t reason)
{
	char port[GK_PORT_TEXT];

	if (gk_keyboard_sync(&d->keyboard, &d->session) < 0 &&
	    d->keyboard.fd >= 0)
		gk_log(LOG_ERR, "the virtual keyboard does not take keys");
	if (quiet(d))
		return;
	gk_devices_port(d, was, port);
	if (is_keyboard(was) && reason != GK_REASON_QUIESCED)
		gk_screen_say(&d->screen, LOG_NOTICE,
			      "keyboard on port %s (%04x:%04x) gone: %s", port,
			      was->vid, was->pid, gk_reason_text(reason));
	else
		gk_log(LOG_INFO, "device on port %s (%04x:%04x) gone: %s", port,
		       was->vid, was->pid, gk_reason_text(reason));
}

static void on_hello(struct gk_daemon *d, const struct gk_link_hello *h)
{
	uint64_t now = gk_now_ms();

	/* Of a gate's life the first counts; a new reader says it again. */
	if (d->times.hello < 0)
		d->times.hello = (int64_t)now;
	gk_log(LOG_INFO, "HELLO of the gate at %llu ms (its own clock: %u ms)",
	       (unsigned long long)now, h->uptime_ms);
	gk_timer_clear(d->loop, &d->gate_timer);
	d->state = GK_GATE_UP;
	d->cause[0] = '\0';
	gk_gate_check_ready(d);
}

int gk_devices_frame(struct gk_daemon *d, const struct gk_frame *f)
{
	struct gk_session_device *slot;
	struct gk_link_device was = { 0 };
	int err;

	if (!d->session_begun) {
		/* The reader made the nonce, and lets only its answer by. */
		if (f->type != GK_LINK_HELLO)
			return GK_ERR_ORDER;
		gk_session_init(&d->session, f->u.hello.nonce);
		d->session_begun = 1;
	}
	slot = gk_session_find(&d->session, f->device);
	if (slot)
		was = slot->info;
	/* The reader has bounded the rate where the frames came in; we read
	 * them later, all at once perhaps. */
	d->session.window_keys = 0;
	d->session.window_frames = 0;
	err = gk_session_frame(&d->session, f, gk_now_ms());
	if (err)
		return err < 0 ? err : 0;
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		on_hello(d, &f->u.hello);
		break;
	case GK_LINK_DEVICE:
		on_device(d, f);
		break;
	case GK_LINK_GONE:
		on_gone(d, &was, f->u.gone.reason);
		break;
	case GK_LINK_KEY:
		if (gk_keyboard_key(&d->keyboard, &d->session,
				    f->u.key.code) < 0 && !quiet(d))
			gk_log(LOG_ERR, "the virtual keyboard does not take "
			       "keys");
		break;
	case GK_LINK_QUIESCED:
		gk_devices_all_up(d);
		gk_handover_quiesced(d, &f->u.quiesced);
		break;
	case GK_LINK_LOG:
		if (!quiet(d))
			gk_log(f->u.log.level, "gate: %.*s", f->u.log.len,
			       f->u.log.text);
		break;
	case GK_LINK_PING:
	case GK_LINK_LED:
	case GK_LINK_QUIESCE:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
		break;
	}
	return 0;
}
