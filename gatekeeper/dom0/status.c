/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

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

static void put_inputs(struct gk_json *j, const struct gk_status *s)
{
	gk_json_array(j, "input_proxy");
	for (unsigned i = 0; i < s->inputs; i++) {
		const struct gk_status_input *in = &s->input[i];

		gk_json_object(j, NULL);
		gk_json_string(j, "keyboard", in->name);
		gk_json_string(j, "verdict", in->verdict);
		gk_json_string(j, "reason", in->reason);
		gk_json_string(j, "number_to_type", in->number);
		gk_json_end_object(j);
	}
	gk_json_end_array(j);
}

static const char *verdict_name(uint8_t v)
{
	static const char *const names[] = { "refused", "admitted", "partly",
					     "hub" };

	return v < sizeof(names) / sizeof(names[0]) ? names[v] : "unknown";
}

static const char *role_name(uint8_t role)
{
	static const char *const names[] = { "keyboard", "fido", "smartcard",
					     "pointer" };

	for (unsigned bit = 0; bit < 4; bit++)
		if (role >> bit & 1)
			return names[bit];
	return NULL;
}

static void put_roles(struct gk_json *j, const char *key, uint8_t roles)
{
	gk_json_array(j, key);
	for (unsigned bit = 0; bit < 4; bit++)
		if (roles >> bit & 1)
			gk_json_string(j, NULL, role_name((uint8_t)(1u << bit)));
	gk_json_end_array(j);
}

/* What the rule says, where its text is known here. */
static const char *rule_text(const struct gk_gate_rules *r, uint16_t rule,
			     char *buf, size_t cap)
{
	const char *text = gk_rules_default();

	if (rule == 0)
		return NULL;
	if (rule & GK_LINK_BUILTIN)
		gk_rule_line(text, strlen(text), rule & (GK_LINK_BUILTIN - 1), buf, cap);
	else if (r && r->len)
		gk_rule_line(r->text, r->len, rule, buf, cap);
	else
		return NULL;
	return buf;
}

static void put_interface(struct gk_json *j, const struct gk_link_device *d,
			  const struct gk_link_interface *i)
{
	int hub = d->verdict == GK_VERDICT_HUB;
	char text[GK_RULE_PLACE];

	gk_json_object(j, NULL);
	gk_json_number(j, "number", i->number);
	snprintf(text, sizeof(text), "%02x:%02x:%02x", i->base_class, i->sub_class,
		 i->protocol);
	gk_json_string(j, "class", text);
	gk_json_string(j, "role", i->role ? role_name(i->role) : NULL);
	gk_json_string(j, "verdict", i->role || hub ? "admitted" : "refused");
	gk_json_string(j, "rule", gk_rule_place(d->rule, text));
	gk_json_end_object(j);
}

static void put_device(struct gk_json *j, const struct gk_status *s, int slot)
{
	const struct gk_session_device *d = &s->session->dev[slot];
	const struct gk_link_device *i = &d->info;
	char text[GK_PORT_TEXT], hex[2 * GK_SHA256 + 1], line[160];
	const struct gk_controller *c = gk_xs_controller(s->xs, s->controller,
							 s->controllers,
							 i->path.controller);

	gk_json_object(j, NULL);
	gk_port_text(c ? c->no : i->path.controller, &i->path, text);
	gk_json_string(j, "port", text);
	gk_json_string(j, "controller", c ? c->bdf : NULL);
	gk_json_number(j, "generation", d->generation);
	snprintf(text, sizeof(text), "%04x", i->vid);
	gk_json_string(j, "vid", text);
	snprintf(text, sizeof(text), "%04x", i->pid);
	gk_json_string(j, "pid", text);
	gk_json_string(j, "class", gk_class_text(gk_device_class(i)));
	gk_json_string(j, "verdict", verdict_name(i->verdict));
	gk_json_string(j, "reason", gk_reason_text(i->reason));
	gk_json_number(j, "offset", i->offset);
	gk_json_string(j, "rule", gk_rule_place(i->rule, text));
	gk_json_string(j, "rule_text", rule_text(s->rules, i->rule, line,
						 sizeof(line)));
	gk_json_string(j, "number_to_type", s->number[slot]);
	if (s->fido[slot])
		gk_json_number(j, "fido_clients", s->fido_clients[slot]);
	else
		gk_json_null(j, "fido_clients");
	put_roles(j, "asked", i->asked);
	put_roles(j, "granted", i->granted);
	for (int b = 0; b < GK_SHA256; b++)
		snprintf(hex + 2 * b, 3, "%02x", i->sha256[b]);
	gk_json_string(j, "sha256", hex);
	gk_json_number(j, "interface_count", i->interfaces);
	gk_json_array(j, "interfaces");
	for (int n = 0; n < GK_SHOWN_INTERFACES && n < i->interfaces; n++)
		put_interface(j, i, &i->shown[n]);
	gk_json_end_array(j);
	gk_json_end_object(j);
}

static void put_rules(struct gk_json *j, const struct gk_gate_rules *r)
{
	if (!r) {
		gk_json_null(j, "rules");
		return;
	}
	gk_json_object(j, "rules");
	gk_json_string(j, "in_force", gk_rules_source_text(r->source));
	gk_json_string(j, "rules_error", r->error[0] ? r->error : NULL);
	if (r->where.line) {
		gk_json_number(j, "line", r->where.line);
		gk_json_number(j, "column", r->where.column);
	} else {
		gk_json_null(j, "line");
		gk_json_null(j, "column");
	}
	gk_json_end_object(j);
}

static void put_event(struct gk_json *j, const struct gk_event *e)
{
	char text[GK_RULE_PLACE];

	gk_json_object(j, NULL);
	gk_json_number(j, "ms", e->ms);
	gk_json_string(j, "port", e->port);
	snprintf(text, sizeof(text), "%04x", e->vid);
	gk_json_string(j, "vid", text);
	snprintf(text, sizeof(text), "%04x", e->pid);
	gk_json_string(j, "pid", text);
	gk_json_string(j, "class", gk_class_text(e->base_class));
	gk_json_string(j, "verdict", gk_event_name(e->what));
	gk_json_string(j, "reason", e->what == GK_EVENT_GONE ?
				    gk_reason_gone_text(e->reason) :
				    gk_reason_text(e->reason));
	gk_json_number(j, "offset", e->offset);
	gk_json_string(j, "rule", gk_rule_place(e->rule, text));
	gk_json_end_object(j);
}

static const struct gk_ho_controller *record_of(const struct gk_status *s,
						const char *bdf)
{
	for (int i = 0; s->handover && i < s->handover->controllers; i++)
		if (strcmp(s->handover->controller[i].bdf, bdf) == 0)
			return &s->handover->controller[i];
	return NULL;
}

/* As gatekeeperd has seen to it last; NULL: nobody, or it is not known. */
static const char *owner_as_done(const struct gk_status *s, const char *bdf)
{
	const struct gk_ho_controller *c = record_of(s, bdf);
	const struct gk_ho_record *r = s->handover;

	/* The gate has them from xl create on. */
	if (!c || r->state == GK_HO_GATE || r->state == GK_HO_PREPARING)
		return s->domid >= 0 ? s->domain : NULL;
	if (c->owner <= 0)
		return NULL;
	if (c->owner == r->gate_domid)
		return s->domain;
	return c->owner == r->target_domid ? r->target : "another domain";
}

/* As xenstore and Xen say; where they differ, both. */
static void put_truth(struct gk_json *j, const struct gk_truth *t, const char *bdf,
		      int suspect)
{
	int owner = gk_truth_owner(t, bdf), assigned = gk_truth_assigned(t, bdf);
	const char *name = owner == GK_TRUTH_SEVERAL ? "several domains" :
			   owner < 0 ? NULL : gk_truth_name(t, owner);

	if (!gk_truth_disagree(t, bdf)) {
		gk_json_string(j, "owner", name);
		gk_json_string(j, "owner_by", assigned < 0 ? "xenstore" :
			       "xenstore and Xen");
		return;
	}
	/* Xen is right, but it gives no name. */
	owner = assigned ? gk_truth_presumed(t, bdf, suspect) : -1;
	gk_json_string(j, "owner", !assigned ? NULL : owner < 0 ? "a domain" :
		       gk_truth_name(t, owner));
	gk_json_string(j, "owner_by", "Xen");
	gk_json_string(j, "owner_xenstore", name);
}

static void put_owner(struct gk_json *j, const struct gk_status *s, const char *bdf)
{
	if (s->truth) {
		put_truth(j, s->truth, bdf, s->handover ? s->handover->suspect_domid : -1);
		return;
	}
	gk_json_string(j, "owner", owner_as_done(s, bdf));
	gk_json_string(j, "owner_by", "gatekeeperd");
}

static void put_ms(struct gk_json *j, const char *key, int64_t ms)
{
	if (ms < 0)
		gk_json_null(j, key);
	else
		gk_json_number(j, key, ms);
}

static void put_findings(struct gk_json *j, const struct gk_status *s)
{
	char text[8];

	gk_json_array(j, "continuity");
	for (int i = 0; i < s->findings; i++) {
		const struct gk_finding *f = &s->finding[i];

		gk_json_object(j, NULL);
		gk_json_string(j, "finding", f->what);
		gk_json_string(j, "port", f->port);
		snprintf(text, sizeof(text), "%04x", f->vid);
		gk_json_string(j, "vid", text);
		snprintf(text, sizeof(text), "%04x", f->pid);
		gk_json_string(j, "pid", text);
		gk_json_bool(j, "keyboard", f->keyboard);
		gk_json_bool(j, "counts", f->counts);
		gk_json_end_object(j);
	}
	gk_json_end_array(j);
}

static void put_handoff(struct gk_json *j, const struct gk_status *s)
{
	const struct gk_ho_record *r = s->handover;

	if (!r) {
		gk_json_null(j, "handoff");
		return;
	}
	gk_json_object(j, "handoff");
	gk_json_string(j, "state", gk_ho_state_name(r->state));
	gk_json_string(j, "mode", gk_ho_mode_name(r->mode));
	gk_json_string(j, "target", r->target[0] ? r->target : NULL);
	put_ms(j, "target_domid", r->target_domid);
	gk_json_bool(j, "agent", s->agent);
	gk_json_bool(j, "wanted", r->wanted);
	gk_json_string(j, "cause", r->cause[0] ? r->cause : NULL);
	gk_json_number(j, "handoffs", r->handoffs);
	gk_json_number(j, "reclaims", r->reclaims);
	put_ms(j, "prepare_ms", r->times.prepare);
	put_ms(j, "quiesce_ms", r->times.quiesce);
	put_ms(j, "release_ms", r->times.release);
	put_ms(j, "reset_ms", r->times.reset);
	put_ms(j, "assign_ms", r->times.assign);
	put_ms(j, "confirm_ms", r->times.confirm);
	put_ms(j, "reclaim_ms", r->times.reclaim);
	put_ms(j, "handoff_blackout_ms", r->times.blackout);
	put_findings(j, s);
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
		gk_json_number(&j, "number", s->controller[i].no);
		gk_json_string(&j, "bdf", s->controller[i].bdf);
		gk_json_string(&j, "driver", s->controller[i].driver[0] ?
			       s->controller[i].driver : NULL);
		put_owner(&j, s, s->controller[i].bdf);
		gk_json_end_object(&j);
	}
	gk_json_end_array(&j);
	gk_json_array(&j, "devices");
	for (int i = 0; s->session && i < GK_LINK_DEVICES; i++)
		if (s->session->dev[i].id)
			put_device(&j, s, i);
	gk_json_end_array(&j);
	put_times(&j, &s->times);
	put_handoff(&j, s);
	put_rules(&j, s->rules);
	if (s->inputs_on)
		put_inputs(&j, s);
	gk_json_array(&j, "log");
	for (unsigned i = 0; s->events && i < s->events->n; i++)
		put_event(&j, gk_events_at(s->events, i));
	gk_json_end_array(&j);
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
