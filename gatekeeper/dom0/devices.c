/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/policy.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"

/* Lines in the log that the gate can cause, in ten seconds. */
enum { NOISE_MS = 10000, NOISE_LINES = 200 };

/* From an event to its line in the file. */
enum { EVENTS_MS = 200 };

int gk_devices_quiet(struct gk_daemon *d)
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

static int is_fido(const struct gk_link_device *d)
{
	return (d->verdict == GK_VERDICT_ADMITTED ||
		d->verdict == GK_VERDICT_PARTLY) &&
	       (d->granted & GK_ROLE_FIDO);
}

static const char *admitted_as(const struct gk_link_device *i)
{
	if (is_fido(i))
		return is_keyboard(i) ? "keyboard and FIDO key" : "FIDO key";
	return is_keyboard(i) ? "keyboard" : gk_class_text(gk_device_class(i));
}

const char *gk_devices_kind(const struct gk_link_device *i)
{
	static char text[40];

	/* The gate had let it in as one; what it refuses need not be what it
	 * says. */
	if (i->reason >= GK_REASON_UNPINNED)
		return "keyboard";
	snprintf(text, sizeof(text), "%s device", gk_class_text(gk_device_class(i)));
	return text;
}

void gk_devices_all_up(struct gk_daemon *d)
{
	if (d->keyboard.fd >= 0 && gk_keyboard_sync(&d->keyboard, NULL) < 0)
		gk_log(LOG_ERR, "keys could not be released");
	gk_inputs_lifted(d);
}

void gk_devices_sync(struct gk_daemon *d)
{
	uint8_t held[GK_KEY_BYTES];

	gk_keyboards_held(d, held);
	if (gk_keyboard_sync(&d->keyboard, held) < 0 && d->keyboard.fd >= 0)
		gk_log(LOG_ERR, "the virtual keyboard does not take keys");
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
	if (!id)
		gk_inputs_lights(d);
}

void gk_devices_port(struct gk_daemon *d, const struct gk_link_device *i,
		     char text[GK_PORT_TEXT])
{
	const struct gk_controller *c = gk_xs_controller(&d->xs, d->controller,
							 d->controllers,
							 i->path.controller);

	gk_port_text(c ? c->no : i->path.controller, &i->path, text);
}

static void write_events(void *ctx)
{
	static char text[GK_EVENTS_TEXT];
	struct gk_daemon *d = ctx;
	char path[GK_PATH_MAX];

	gk_root_follow();
	gk_events_text(&d->events, text);
	if (gk_run_path(path, "events") || gk_file_replace(path, text, 0600))
		gk_log(LOG_ERR, "cannot write %s/events: %s", gk_run_dir,
		       strerror(errno));
}

static void note_event(struct gk_daemon *d, const struct gk_link_device *i,
		       uint8_t what, uint16_t reason)
{
	int gone = what == GK_EVENT_GONE;
	struct gk_event e = {
		.ms = (int64_t)gk_now_ms(), .what = what, .vid = i->vid,
		.pid = i->pid, .base_class = gk_device_class(i),
		.reason = reason, .offset = gone ? 0 : i->offset,
		.rule = gone ? 0 : i->rule,
	};

	gk_devices_port(d, i, e.port);
	gk_events_add(&d->events, &e);
	/* Not once for each of a storm's. */
	if (!d->events_timer.at)
		gk_timer_set(d->loop, &d->events_timer, EVENTS_MS, write_events, d);
}

void gk_devices_load(struct gk_daemon *d)
{
	static char text[GK_EVENTS_TEXT];
	char path[GK_PATH_MAX];

	if (gk_run_path(path, "events") == 0 &&
	    gk_file_read(path, text, sizeof(text)) > 0)
		gk_events_parse(&d->events, text);
}

static void say_refused(struct gk_daemon *d, const struct gk_link_device *i,
			const char *port)
{
	char where[48] = "";

	if (i->reason == GK_REASON_BAD_DESCRIPTOR || i->reason == GK_REASON_HID)
		snprintf(where, sizeof(where), " (byte %u)", i->offset);
	else if (i->reason == GK_REASON_RULE && i->rule & GK_LINK_BUILTIN)
		snprintf(where, sizeof(where), " (built in, line %u)",
			 i->rule & (GK_LINK_BUILTIN - 1));
	else if (i->reason == GK_REASON_RULE)
		snprintf(where, sizeof(where), " (rules.conf, line %u)", i->rule);
	gk_screen_say(&d->screen, LOG_NOTICE,
		      "%s on port %s (%04x:%04x) refused: %s%s",
		      gk_devices_kind(i), port, i->vid, i->pid,
		      gk_reason_text(i->reason), where);
}

static void say_device(struct gk_daemon *d, int slot, const struct gk_link_device *i)
{
	const struct gk_counted *c = &d->keyboards.slot[slot];
	char port[GK_PORT_TEXT];

	gk_devices_port(d, i, port);
	if (c->counts == GK_COUNTS_ASKED) {
		gk_log(LOG_NOTICE, "keyboard on port %s (%04x:%04x) is new: it is "
		       "asked for a number", port, i->vid, i->pid);
		return;
	}
	if (c->counts == GK_COUNTS_REFUSED && c->reason == GK_REASON_CHALLENGE) {
		gk_screen_say(&d->screen, LOG_NOTICE, "keyboard on port %s "
			      "(%04x:%04x) refused: %s", port, i->vid, i->pid,
			      c->too_many ? "too many new keyboards; plug it in "
			      "again in ten minutes" :
			      "it did not type the number; plug it in again");
		return;
	}
	switch ((enum gk_verdict)i->verdict) {
	case GK_VERDICT_HUB:
		gk_log(LOG_INFO, "hub on port %s (%04x:%04x)", port, i->vid,
		       i->pid);
		return;
	case GK_VERDICT_ADMITTED:
	case GK_VERDICT_PARTLY:
		gk_screen_say(&d->screen, LOG_NOTICE,
			      "%s on port %s (%04x:%04x) admitted%s%s%s",
			      admitted_as(i), port, i->vid,
			      i->pid, i->verdict == GK_VERDICT_PARTLY ?
			      " in part" : "",
			      c->counts == GK_COUNTS_REFUSED ?
			      ", not as a keyboard: " : "",
			      c->counts == GK_COUNTS_REFUSED ?
			      gk_reason_text(c->reason) : "");
		return;
	case GK_VERDICT_REFUSED:
		say_refused(d, i, port);
		return;
	}
}

void gk_devices_decided(struct gk_daemon *d, int slot)
{
	const struct gk_session_device *s = &d->session.dev[slot];
	struct gk_link_device view;

	gk_keyboards_view(d, slot, &view);
	if (!gk_devices_quiet(d)) {
		note_event(d, &view, view.verdict, view.reason);
		say_device(d, slot, &view);
	}
	if (!is_keyboard(&view))
		return;
	if (d->times.keyboard < 0 && d->keyboard.fd >= 0) {
		d->times.keyboard = (int64_t)gk_now_ms();
		gk_log(LOG_INFO, "first keyboard admitted at %lld ms",
		       (long long)d->times.keyboard);
		gk_daemon_publish(d);
	}
	gk_devices_lights(d, s->id);
}

static void on_gone(struct gk_daemon *d, const struct gk_link_device *was,
		    uint16_t reason)
{
	char port[GK_PORT_TEXT];

	if (gk_devices_quiet(d))
		return;
	note_event(d, was, GK_EVENT_GONE, reason);
	gk_devices_port(d, was, port);
	if ((is_keyboard(was) || is_fido(was)) && reason != GK_REASON_QUIESCED)
		gk_screen_say(&d->screen, LOG_NOTICE,
			      "%s on port %s (%04x:%04x) gone: %s",
			      admitted_as(was), port,
			      was->vid, was->pid, gk_reason_gone_text(reason));
	else
		gk_log(LOG_INFO, "device on port %s (%04x:%04x) gone: %s", port,
		       was->vid, was->pid, gk_reason_gone_text(reason));
}

void gk_devices_key(struct gk_daemon *d, uint16_t code, int value)
{
	uint8_t held[GK_KEY_BYTES];
	int err;

	gk_keyboards_held(d, held);
	err = value ? gk_keyboard_press(&d->keyboard, held, code) :
		      gk_keyboard_key(&d->keyboard, held, code);
	if (err < 0 && !gk_devices_quiet(d))
		gk_log(LOG_ERR, "the virtual keyboard does not take keys");
}

static void on_key(struct gk_daemon *d, int slot, const struct gk_link_key *key)
{
	if (!gk_keyboards_key(d, slot, key->code, key->value))
		return;
	d->handover.last_key = gk_now_ms();
	gk_devices_key(d, key->code, key->value);
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
	gk_link_watch(d);
	gk_gate_check_ready(d);
}

static int slot_of(struct gk_daemon *d, uint32_t id)
{
	struct gk_session_device *s = gk_session_find(&d->session, id);

	return s ? (int)(s - d->session.dev) : -1;
}

void gk_devices_here(struct gk_daemon *d, int slot)
{
	/* A domain may have controllers of its own; and of ours it can tell before
	 * we know where it sees them. */
	if (d->link_agent && gk_continuity_match(d, slot) == GK_MATCH_UNKNOWN) {
		gk_keyboards_gone(d, slot);
		gk_fido_gone(d, slot);
		gk_devices_sync(d);
		return;
	}
	gk_keyboards_device(d, slot);
	gk_fido_device(d, slot);
	gk_continuity_told(d, slot);
	/* What the one before it in this slot held is let go. */
	gk_devices_sync(d);
	gk_handover_device(d);
}

int gk_devices_frame(struct gk_daemon *d, const struct gk_frame *f)
{
	struct gk_link_device was = { 0 };
	int err, slot;

	if (!d->session_begun) {
		/* The reader made the nonce, and lets only its answer by. */
		if (f->type != GK_LINK_HELLO)
			return GK_ERR_ORDER;
		gk_session_init(&d->session, f->u.hello.nonce);
		d->session_begun = 1;
	}
	slot = slot_of(d, f->device);
	if (slot >= 0)
		was = d->session.dev[slot].info;
	/* The reader has bounded the rate where the frames came in; we read
	 * them later, all at once perhaps. */
	d->session.window_keys = 0;
	d->session.window_fido = 0;
	d->session.window_frames = 0;
	err = gk_session_frame(&d->session, f, gk_now_ms());
	if (err)
		return err < 0 ? err : 0;
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		on_hello(d, &f->u.hello);
		break;
	case GK_LINK_DEVICE:
		gk_devices_here(d, slot_of(d, f->device));
		break;
	case GK_LINK_GONE:
		on_gone(d, &was, f->u.gone.reason);
		gk_keyboards_gone(d, slot);
		gk_fido_gone(d, slot);
		gk_devices_sync(d);
		break;
	case GK_LINK_KEY:
		on_key(d, slot, &f->u.key);
		break;
	case GK_LINK_QUIESCED:
		gk_devices_all_up(d);
		gk_fido_reset(d);
		gk_handover_quiesced(d, &f->u.quiesced);
		break;
	case GK_LINK_LOG:
		if (!gk_devices_quiet(d))
			gk_log(f->u.log.level, "gate: %.*s", f->u.log.len,
			       f->u.log.text);
		break;
	case GK_LINK_FIDO:
		gk_fido_packet(d, slot, f->u.fido.packet);
		break;
	case GK_LINK_PING:
		gk_link_answered(d, &f->u.ping);
		break;
	case GK_LINK_LED:
	case GK_LINK_QUIESCE:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
	case GK_LINK_MANIFEST:
		break;
	}
	return 0;
}
