/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "core/policy.h"
#include "dom0/json.h"
#include "dom0/status.h"

const char *gk_gate_state_name(enum gk_gate_state s)
{
	switch (s) {
	case GK_GATE_STARTING:
		return "starting";
	case GK_GATE_PROBE:
		return "probing";
	case GK_GATE_CREATE:
		return "creating";
	case GK_GATE_FIND:
	case GK_GATE_CONNECT:
		return "connecting";
	case GK_GATE_UP:
		return "up";
	case GK_GATE_DESTROY:
	case GK_GATE_BACKOFF:
		return "restarting";
	case GK_GATE_QUIESCE:
		return "quiescing";
	case GK_GATE_HANDOFF:
		return "handing-over";
	case GK_GATE_HANDED_OVER:
		return "handed-over";
	case GK_GATE_FALLBACK:
		return "fallback";
	case GK_GATE_FAILED:
		return "failed";
	case GK_GATE_NO_CONTROLLER:
		return "no-controller";
	case GK_GATE_DISABLED:
		return "disabled";
	}
	return "unknown";
}

void gk_times_init(struct gk_times *t)
{
	*t = (struct gk_times){ -1, -1, -1, -1, -1, -1, -1 };
}

uint8_t gk_device_class(const struct gk_link_device *d)
{
	/* 0 and ef: look at the interfaces (USB class codes, base classes). */
	if (d->device_class != 0 && d->device_class != 0xef)
		return d->device_class;
	return d->interfaces ? d->shown[0].base_class : d->device_class;
}

static void put_time(struct gk_json *j, const char *key, int64_t ms)
{
	if (ms < 0)
		gk_json_null(j, key);
	else
		gk_json_number(j, key, ms);
}

static void put_span(struct gk_json *j, const char *key, int64_t from,
		     int64_t to)
{
	put_time(j, key, from < 0 || to < from ? -1 : to - from);
}

static void put_times(struct gk_json *j, const struct gk_times *t)
{
	gk_json_object(j, "times_ms");
	put_time(j, "unit_start", t->unit_start);
	put_time(j, "daemon_start", t->daemon_start);
	put_time(j, "create_start", t->create_start);
	put_time(j, "create_done", t->create_done);
	put_time(j, "connected", t->connected);
	put_time(j, "hello", t->hello);
	put_time(j, "keyboard", t->keyboard);
	gk_json_end_object(j);
	put_span(j, "gate_create_ms", t->create_start, t->create_done);
	put_span(j, "gate_ready_ms", t->create_start, t->hello);
	put_span(j, "keyboard_ready_ms", t->unit_start >= 0 ? t->unit_start :
		 t->daemon_start, t->keyboard);
}

static const char *verdict_name(uint8_t v)
{
	static const char *const names[] = { "refused", "admitted", "partly",
					     "hub" };

	return v < sizeof(names) / sizeof(names[0]) ? names[v] : "unknown";
}

static void put_roles(struct gk_json *j, const char *key, uint8_t roles)
{
	static const char *const names[] = { "keyboard", "fido", "smartcard",
					     "pointer" };

	gk_json_array(j, key);
	for (unsigned bit = 0; bit < 4; bit++)
		if (roles >> bit & 1)
			gk_json_string(j, NULL, names[bit]);
	gk_json_end_array(j);
}

static void put_device(struct gk_json *j, const struct gk_status *s,
		       const struct gk_session_device *d)
{
	const struct gk_link_device *i = &d->info;
	char text[GK_PORT_TEXT], hex[2 * GK_SHA256 + 1];
	unsigned no = gk_xs_controller_no(s->xs, s->controller, s->controllers,
					  i->path.controller);

	gk_json_object(j, NULL);
	gk_port_text(no ? no : i->path.controller, &i->path, text);
	gk_json_string(j, "port", text);
	gk_json_string(j, "controller",
		       no ? s->controller[no - 1].bdf : NULL);
	gk_json_number(j, "generation", d->generation);
	snprintf(text, sizeof(text), "%04x", i->vid);
	gk_json_string(j, "vid", text);
	snprintf(text, sizeof(text), "%04x", i->pid);
	gk_json_string(j, "pid", text);
	gk_json_string(j, "class", gk_class_text(gk_device_class(i)));
	gk_json_string(j, "verdict", verdict_name(i->verdict));
	gk_json_string(j, "reason", gk_reason_text(i->reason));
	gk_json_number(j, "offset", i->offset);
	put_roles(j, "asked", i->asked);
	put_roles(j, "granted", i->granted);
	for (int b = 0; b < GK_SHA256; b++)
		snprintf(hex + 2 * b, 3, "%02x", i->sha256[b]);
	gk_json_string(j, "sha256", hex);
	gk_json_end_object(j);
}

int gk_status_json(const struct gk_status *s, char *buf, size_t cap)
{
	struct gk_json j;

	gk_json_init(&j, buf, cap);
	gk_json_object(&j, NULL);
	gk_json_string(&j, "state", gk_gate_state_name(s->state));
	gk_json_bool(&j, "ready", s->ready);
	gk_json_string(&j, "cause", s->cause);
	gk_json_string(&j, "domain", s->domain);
	if (s->domid >= 0)
		gk_json_number(&j, "domid", s->domid);
	else
		gk_json_null(&j, "domid");
	gk_json_bool(&j, "keyboard", s->keyboard);
	gk_json_number(&j, "restarts", s->restarts);
	gk_json_number(&j, "gate_memory_kib", (int64_t)s->memory_mib * 1024);
	gk_json_array(&j, "controllers");
	for (int i = 0; i < s->controllers; i++) {
		gk_json_object(&j, NULL);
		gk_json_number(&j, "number", i + 1);
		gk_json_string(&j, "bdf", s->controller[i].bdf);
		gk_json_string(&j, "driver", s->controller[i].driver[0] ?
			       s->controller[i].driver : NULL);
		gk_json_end_object(&j);
	}
	gk_json_end_array(&j);
	gk_json_array(&j, "devices");
	for (int i = 0; s->session && i < GK_LINK_DEVICES; i++)
		if (s->session->dev[i].id)
			put_device(&j, s, &s->session->dev[i]);
	gk_json_end_array(&j);
	put_times(&j, &s->times);
	gk_json_end_object(&j);
	return gk_json_finish(&j);
}

int gk_status_short(const struct gk_status *s, char *buf, size_t cap)
{
	struct gk_json j;

	gk_json_init(&j, buf, cap);
	gk_json_object(&j, NULL);
	gk_json_string(&j, "state", gk_gate_state_name(s->state));
	gk_json_bool(&j, "ready", s->ready);
	gk_json_string(&j, "cause", s->cause);
	gk_json_end_object(&j);
	return gk_json_finish(&j);
}
