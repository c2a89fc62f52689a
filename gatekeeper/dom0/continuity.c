/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/policy.h"
#include "dom0/daemon.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"

enum { MANIFEST_TEXT = 8192 };

/* --- comparing --- */

/* The device as an entry; 0 when its controller is not known. */
static int entry_of(struct gk_daemon *d, int slot, struct gk_manifest_device *e)
{
	const struct gk_link_device *i = &d->session.dev[slot].info;
	const struct gk_controller *c = gk_xs_controller(&d->xs, d->controller,
							 d->controllers,
							 i->path.controller);
	struct gk_link_device view;

	if (!c)
		return 0;
	gk_keyboards_view(d, slot, &view);
	memset(e, 0, sizeof(*e));
	e->path = i->path;
	e->path.controller = c->no;
	e->vid = i->vid;
	e->pid = i->pid;
	e->roles = view.granted;
	e->rule = i->rule;
	memcpy(e->sha256, i->sha256, sizeof(e->sha256));
	if (d->keyboards.slot[slot].counts == GK_COUNTS_YES)
		e->flags = GK_MANIFEST_IN_USE;
	return 1;
}

static int same_port(const struct gk_manifest_device *a,
		     const struct gk_manifest_device *b)
{
	return a->path.controller == b->path.controller &&
	       a->path.root == b->path.root && a->path.depth == b->path.depth &&
	       memcmp(a->path.port, b->path.port, sizeof(a->path.port)) == 0;
}

static int same_identity(const struct gk_manifest_device *a,
			 const struct gk_manifest_device *b)
{
	return a->vid == b->vid && a->pid == b->pid &&
	       memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

int gk_continuity_binds(const struct gk_daemon *d)
{
	return d->link_agent || (d->continuity.known && d->continuity.m.devices &&
				 d->handover.r.reclaims);
}

static uint8_t is_keyboard(const struct gk_daemon *d, int slot)
{
	return (d->session.dev[slot].info.granted & GK_ROLE_KEYBOARD) != 0;
}

enum gk_match gk_continuity_match(struct gk_daemon *d, int slot)
{
	const struct gk_continuity *c = &d->continuity;
	const struct gk_manifest *m = &c->m;
	enum gk_match match = GK_MATCH_NEW;
	struct gk_manifest_device e;

	if (!entry_of(d, slot, &e))
		return GK_MATCH_UNKNOWN;
	for (unsigned i = 0; i < m->devices; i++) {
		if (same_port(&m->device[i], &e))
			return same_identity(&m->device[i], &e) &&
			       c->keyboard[i] >= is_keyboard(d, slot) ?
			       GK_MATCH_SAME : GK_MATCH_CHANGED;
		if (same_identity(&m->device[i], &e))
			match = GK_MATCH_MOVED;
	}
	return match;
}

/* Whether entry i is there: at its port, and itself. */
static int is_there(struct gk_daemon *d, unsigned i)
{
	struct gk_manifest_device e;

	for (int slot = 0; slot < GK_LINK_DEVICES; slot++)
		if (d->session.dev[slot].id && entry_of(d, slot, &e) &&
		    same_port(&d->continuity.m.device[i], &e) &&
		    same_identity(&d->continuity.m.device[i], &e))
			return 1;
	return 0;
}

unsigned gk_continuity_keyboards(const struct gk_daemon *d)
{
	const struct gk_manifest *m = &d->continuity.m;
	unsigned n = 0;

	for (unsigned i = 0; i < m->devices; i++)
		n += (m->device[i].flags & GK_MANIFEST_IN_USE) != 0;
	return n;
}

/* --- saying --- */

static void port_text(const struct gk_manifest_device *e, char text[GK_PORT_TEXT])
{
	gk_port_text(e->path.controller, &e->path, text);
}

static const char *match_name(enum gk_match m)
{
	switch (m) {
	case GK_MATCH_SAME:
		return "same";
	case GK_MATCH_UNKNOWN:
		return "unknown";
	case GK_MATCH_NEW:
		return "new";
	case GK_MATCH_CHANGED:
		return "changed";
	case GK_MATCH_MOVED:
		return "moved";
	}
	return "?";
}

/* As a word about a device that had, or has, a role here. */
static const char *match_text(enum gk_match m)
{
	switch (m) {
	case GK_MATCH_SAME:
	case GK_MATCH_UNKNOWN:
		break;
	case GK_MATCH_NEW:
		return "was not there before the handoff";
	case GK_MATCH_CHANGED:
		return "is not the one that was there before the handoff";
	case GK_MATCH_MOVED:
		return "was at another port before the handoff";
	}
	return "";
}

/* Others are none of our business: sys-usb may have what it likes. */
static int matters(struct gk_daemon *d, int slot, enum gk_match m)
{
	struct gk_manifest_device e;

	if (m == GK_MATCH_SAME || m == GK_MATCH_UNKNOWN)
		return 0;
	/* What else there is at a gate goes nowhere. */
	if (!d->link_agent)
		return is_keyboard(d, slot);
	if (d->session.dev[slot].info.granted)
		return 1;
	if (m != GK_MATCH_CHANGED || !entry_of(d, slot, &e))
		return 0;
	for (unsigned i = 0; i < d->continuity.m.devices; i++)
		if (same_port(&d->continuity.m.device[i], &e))
			return d->continuity.m.device[i].roles != 0;
	return 0;
}

void gk_continuity_told(struct gk_daemon *d, int slot)
{
	const struct gk_link_device *i = &d->session.dev[slot].info;
	enum gk_match m;
	char port[GK_PORT_TEXT];

	if (!gk_continuity_binds(d) || !d->continuity.known)
		return;
	m = gk_continuity_match(d, slot);
	if (!matters(d, slot, m) || gk_devices_quiet(d))
		return;
	gk_devices_port(d, i, port);
	gk_screen_say(&d->screen, LOG_WARNING, "%s on port %s (%04x:%04x) %s",
		      i->granted & GK_ROLE_KEYBOARD ? "keyboard" :
		      gk_devices_kind(i), port, i->vid, i->pid, match_text(m));
}

void gk_continuity_missing(struct gk_daemon *d)
{
	struct gk_continuity *c = &d->continuity;
	char port[GK_PORT_TEXT];

	for (unsigned i = 0; c->known && i < c->m.devices; i++) {
		const struct gk_manifest_device *e = &c->m.device[i];

		if (!e->roles || c->told_gone[i] || is_there(d, i))
			continue;
		c->told_gone[i] = 1;
		port_text(e, port);
		gk_screen_say(&d->screen, LOG_WARNING, "%s on port %s (%04x:%04x) "
			      "did not come back after the handoff",
			      e->roles & GK_ROLE_KEYBOARD ? "keyboard" : "device", port,
			      e->vid, e->pid);
	}
}

static struct gk_finding *add_finding(struct gk_finding *out, int *n)
{
	struct gk_finding *f = &out[(*n)++];

	memset(f, 0, sizeof(*f));
	return f;
}

int gk_continuity_findings(struct gk_daemon *d, struct gk_finding out[GK_FINDINGS])
{
	struct gk_continuity *c = &d->continuity;
	int n = 0;

	if (!gk_continuity_binds(d) || !c->known)
		return 0;
	for (int slot = 0; slot < GK_LINK_DEVICES; slot++) {
		const struct gk_link_device *i = &d->session.dev[slot].info;
		struct gk_finding *f;
		enum gk_match m;

		if (!d->session.dev[slot].id)
			continue;
		m = gk_continuity_match(d, slot);
		if (!matters(d, slot, m))
			continue;
		f = add_finding(out, &n);
		f->what = match_name(m);
		gk_devices_port(d, i, f->port);
		f->vid = i->vid;
		f->pid = i->pid;
		f->keyboard = (i->granted & GK_ROLE_KEYBOARD) != 0;
		f->counts = d->keyboards.slot[slot].counts == GK_COUNTS_YES;
	}
	for (unsigned i = 0; i < c->m.devices; i++) {
		const struct gk_manifest_device *e = &c->m.device[i];
		struct gk_finding *f;

		/* Not while they may still be on their way. */
		if (!c->told_gone[i] || is_there(d, i))
			continue;
		f = add_finding(out, &n);
		f->what = "gone";
		port_text(e, f->port);
		f->vid = e->vid;
		f->pid = e->pid;
		f->keyboard = (e->roles & GK_ROLE_KEYBOARD) != 0;
	}
	return n;
}

/* --- the file --- */

static void put_entry(struct gk_json *j, const struct gk_manifest_device *e,
		      int keyboard)
{
	char text[2 * GK_SHA256 + 1], port[GK_PORT_TEXT];

	gk_json_object(j, NULL);
	gk_json_number(j, "controller", e->path.controller);
	gk_json_number(j, "root", e->path.root);
	for (int i = 0; i < GK_PORT_DEPTH; i++)
		snprintf(text + 2 * i, 3, "%02x", e->path.port[i]);
	gk_json_string(j, "path", text);
	port_text(e, port);
	gk_json_string(j, "port", port);
	gk_json_number(j, "vid", e->vid);
	gk_json_number(j, "pid", e->pid);
	gk_json_number(j, "roles", e->roles);
	gk_json_number(j, "rule", e->rule);
	gk_json_bool(j, "in_use", (e->flags & GK_MANIFEST_IN_USE) != 0);
	gk_json_bool(j, "keyboard", keyboard);
	for (int i = 0; i < GK_SHA256; i++)
		snprintf(text + 2 * i, 3, "%02x", e->sha256[i]);
	gk_json_string(j, "sha256", text);
	gk_json_end_object(j);
}

/* What is worth keeping of the time before: refusals and keyboards that went. */
static void put_events(struct gk_json *j, const struct gk_daemon *d)
{
	unsigned kept = d->events.n > 16 ? 16 : d->events.n;

	gk_json_array(j, "events");
	for (unsigned i = d->events.n - kept; i < d->events.n; i++) {
		const struct gk_event *e = gk_events_at(&d->events, i);

		gk_json_object(j, NULL);
		gk_json_number(j, "ms", e->ms);
		gk_json_string(j, "at", e->port);
		gk_json_string(j, "what", gk_event_name(e->what));
		gk_json_number(j, "reason", e->reason);
		gk_json_end_object(j);
	}
	gk_json_end_array(j);
}

static void write_manifest(struct gk_daemon *d)
{
	const struct gk_manifest *m = &d->continuity.m;
	static char text[MANIFEST_TEXT];
	char path[GK_PATH_MAX];
	struct gk_json j;

	gk_json_init(&j, text, sizeof(text) - 1);
	gk_json_object(&j, NULL);
	gk_json_number(&j, "version", m->version);
	gk_json_number(&j, "leds", m->leds);
	gk_json_number(&j, "restarts", d->restarts);
	gk_json_number(&j, "rules_bytes", m->rules_len);
	gk_json_array(&j, "devices");
	for (unsigned i = 0; i < m->devices; i++)
		put_entry(&j, &m->device[i], d->continuity.keyboard[i]);
	gk_json_end_array(&j);
	put_events(&j, d);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) < 0)
		return;
	strcat(text, "\n");
	gk_root_follow();
	if (gk_run_path(path, "manifest.json") || gk_file_replace(path, text, 0600))
		gk_log(LOG_ERR, "cannot write %s/manifest.json: %s", gk_run_dir,
		       strerror(errno));
}

/* Two hex digits each; 0 if it is not that. */
static int get_hex(const char *s, const char *key, uint8_t *out, size_t n)
{
	char text[2 * GK_SHA256 + 1];

	if (!gk_json_member(s, key, text, sizeof(text)) || strlen(text) != 2 * n ||
	    strspn(text, "0123456789abcdef") != 2 * n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const char two[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return 1;
}

static unsigned get_number(const char *s, const char *key)
{
	char text[16];

	return gk_json_member(s, key, text, sizeof(text)) ?
	       (unsigned)strtoul(text, NULL, 10) : 0;
}

static int is_true(const char *s, const char *key)
{
	char word[8];

	return gk_json_member(s, key, word, sizeof(word)) && !strcmp(word, "true");
}

static int get_entry(const char *s, struct gk_manifest_device *e, uint8_t *keyboard)
{

	memset(e, 0, sizeof(*e));
	e->path.controller = (uint8_t)get_number(s, "controller");
	e->path.root = (uint8_t)get_number(s, "root");
	e->vid = (uint16_t)get_number(s, "vid");
	e->pid = (uint16_t)get_number(s, "pid");
	e->roles = (uint8_t)get_number(s, "roles");
	e->rule = (uint16_t)get_number(s, "rule");
	if (is_true(s, "in_use"))
		e->flags = GK_MANIFEST_IN_USE;
	*keyboard = (uint8_t)is_true(s, "keyboard");
	if (!get_hex(s, "path", e->path.port, GK_PORT_DEPTH) ||
	    !get_hex(s, "sha256", e->sha256, GK_SHA256))
		return 0;
	while (e->path.depth < GK_PORT_DEPTH && e->path.port[e->path.depth])
		e->path.depth++;
	return 1;
}

static void set_rules(struct gk_daemon *d)
{
	struct gk_manifest *m = &d->continuity.m;

	m->version = GK_MANIFEST_VERSION;
	m->leds = d->keyboard.leds;
	m->controllers = 0;
	memset(m->controller, 0, sizeof(m->controller));
	for (int i = 0; i < d->controllers && i < GK_MANIFEST_CONTROLLERS; i++)
		m->controller[m->controllers++] = d->controller[i].no;
	memset(m->rules, 0, sizeof(m->rules));
	m->rules_len = 0;
	if (d->rules.len <= GK_RULES_TEXT_MAX) {
		memcpy(m->rules, d->rules.text, d->rules.len);
		m->rules_len = (uint16_t)d->rules.len;
	}
}

void gk_continuity_load(struct gk_daemon *d)
{
	struct gk_continuity *c = &d->continuity;
	static char text[MANIFEST_TEXT];
	char path[GK_PATH_MAX];
	const char *s = text;

	memset(c, 0, sizeof(*c));
	if (gk_run_path(path, "manifest.json") ||
	    gk_file_read(path, text, sizeof(text)) < 0)
		return;
	while (c->m.devices < GK_LINK_DEVICES && (s = strstr(s, "{\"controller\":"))) {
		if (!get_entry(s++, &c->m.device[c->m.devices],
			       &c->keyboard[c->m.devices])) {
			memset(c, 0, sizeof(*c));
			return;
		}
		c->m.devices++;
	}
	set_rules(d);
	c->known = gk_manifest_parts(&c->m) > 0;
	if (!c->known)
		memset(c, 0, sizeof(*c));
}

/* --- making --- */

void gk_continuity_take(struct gk_daemon *d)
{
	struct gk_continuity *c = &d->continuity;

	memset(c, 0, sizeof(*c));
	set_rules(d);
	for (int slot = 0; d->session_begun && slot < GK_LINK_DEVICES; slot++) {
		if (d->session.dev[slot].id &&
		    entry_of(d, slot, &c->m.device[c->m.devices])) {
			c->keyboard[c->m.devices++] = is_keyboard(d, slot) &&
				!d->keyboards.slot[slot].stranger;
			/* A gate that tells of two devices at one port. */
			if (gk_manifest_parts(&c->m) < 0)
				memset(&c->m.device[--c->m.devices], 0,
				       sizeof(c->m.device[0]));
		}
	}
	c->known = 1;
	write_manifest(d);
}

void gk_continuity_trust(struct gk_daemon *d, int slot)
{
	struct gk_continuity *c = &d->continuity;
	struct gk_manifest_device e;
	unsigned at = 0;

	if (!c->known || !entry_of(d, slot, &e))
		return;
	e.roles |= d->session.dev[slot].info.granted;
	while (at < c->m.devices && !same_port(&c->m.device[at], &e))
		at++;
	/* One that is not there makes room. */
	for (unsigned i = 0; at == GK_LINK_DEVICES && i < GK_LINK_DEVICES; i++)
		if (!is_there(d, i))
			at = i;
	if (at == GK_LINK_DEVICES)
		return;
	c->m.device[at] = e;
	c->told_gone[at] = 0;
	c->keyboard[at] = is_keyboard(d, slot);
	if (at == c->m.devices)
		c->m.devices++;
	write_manifest(d);
}
