/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cursor.h"
#include "manifest.h"

struct begin {
	uint16_t version;
	uint8_t leds, devices;
	uint16_t rules_len;
	uint8_t controllers;
	uint8_t controller[GK_MANIFEST_CONTROLLERS];
};

struct end {
	uint16_t parts;
	uint8_t sha256[GK_SHA256];
};

/* One part, read; what belongs to another kind is 0. */
struct part {
	uint8_t kind; /* enum gk_manifest_kind */
	uint8_t len;  /* of text */
	uint16_t number;
	struct begin begin;
	char text[GK_MANIFEST_TEXT];
	struct gk_manifest_device dev;
	struct end end;
};

static unsigned rules_parts(unsigned len)
{
	return (len + GK_MANIFEST_TEXT - 1) / GK_MANIFEST_TEXT;
}

static int check_begin(const struct begin *b)
{
	if (b->version != GK_MANIFEST_VERSION)
		return GK_ERR_VERSION;
	if (b->leds > 7 || b->devices > GK_LINK_DEVICES ||
	    b->rules_len > GK_RULES_TEXT_MAX || b->controllers > GK_MANIFEST_CONTROLLERS)
		return GK_ERR_VALUE;
	for (unsigned i = 0; i < GK_MANIFEST_CONTROLLERS; i++) {
		if ((b->controller[i] != 0) != (i < b->controllers))
			return GK_ERR_VALUE;
		for (unsigned j = 0; j < i && i < b->controllers; j++)
			if (b->controller[j] == b->controller[i])
				return GK_ERR_VALUE;
	}
	return GK_OK;
}

static int check_text(const char *text, size_t len, size_t size)
{
	for (size_t i = 0; i < GK_RULES_TEXT_MAX && i < size; i++)
		if ((text[i] != 0) != (i < len))
			return GK_ERR_VALUE;
	return GK_OK;
}

static int check_device(const struct gk_manifest_device *d)
{
	const struct gk_port_path *p = &d->path;

	if (p->controller == 0 || p->root > 1 || p->depth < 1 ||
	    p->depth > GK_PORT_DEPTH)
		return GK_ERR_VALUE;
	/* Ports are numbered from 1 (USB 2.0 11.24.2.7); unused ones are 0. */
	for (unsigned i = 0; i < GK_PORT_DEPTH; i++)
		if ((p->port[i] != 0) != (i < p->depth))
			return GK_ERR_VALUE;
	if ((d->roles & ~GK_ROLE_ALL) != 0 || (d->flags & ~GK_MANIFEST_IN_USE) != 0)
		return GK_ERR_VALUE;
	if ((d->flags & GK_MANIFEST_IN_USE) && !(d->roles & GK_ROLE_KEYBOARD))
		return GK_ERR_VALUE;
	return GK_OK;
}

static int same_port(const struct gk_port_path *a, const struct gk_port_path *b)
{
	return a->controller == b->controller && a->root == b->root &&
	       a->depth == b->depth && memcmp(a->port, b->port, sizeof(a->port)) == 0;
}

/* Whether entry i of m is at the port of one before it. */
static int is_twice(const struct gk_manifest *m, unsigned i)
{
	for (unsigned j = 0; j < GK_LINK_DEVICES && j < i; j++)
		if (same_port(&m->device[j].path, &m->device[i].path))
			return 1;
	return 0;
}

static void get_device(struct gk_reader *r, struct gk_manifest_device *d)
{
	d->path.controller = gk_get_u8(r);
	d->path.root = gk_get_u8(r);
	d->path.depth = gk_get_u8(r);
	gk_get_bytes(r, d->path.port, sizeof(d->path.port));
	d->vid = gk_get_u16(r);
	d->pid = gk_get_u16(r);
	d->roles = gk_get_u8(r);
	d->flags = gk_get_u8(r);
	d->rule = gk_get_u16(r);
	gk_get_bytes(r, d->sha256, sizeof(d->sha256));
}

static int get_part(const struct gk_link_manifest *in, struct part *p)
{
	uint8_t dirt = 0;
	struct gk_reader r;

	memset(p, 0, sizeof(*p));
	gk_reader_init(&r, in->part, sizeof(in->part));
	p->kind = gk_get_u8(&r);
	p->len = gk_get_u8(&r);
	p->number = gk_get_u16(&r);
	switch ((enum gk_manifest_kind)p->kind) {
	case GK_MANIFEST_BEGIN:
		p->begin.version = gk_get_u16(&r);
		p->begin.leds = gk_get_u8(&r);
		p->begin.devices = gk_get_u8(&r);
		p->begin.rules_len = gk_get_u16(&r);
		p->begin.controllers = gk_get_u8(&r);
		dirt |= gk_get_u8(&r);
		gk_get_bytes(&r, p->begin.controller, sizeof(p->begin.controller));
		break;
	case GK_MANIFEST_RULES:
		gk_get_bytes(&r, p->text, sizeof(p->text));
		break;
	case GK_MANIFEST_DEVICE:
		get_device(&r, &p->dev);
		break;
	case GK_MANIFEST_END:
		p->end.parts = gk_get_u16(&r);
		dirt |= gk_get_u8(&r);
		dirt |= gk_get_u8(&r);
		gk_get_bytes(&r, p->end.sha256, sizeof(p->end.sha256));
		break;
	default:
		return GK_ERR_TYPE;
	}
	for (unsigned i = 0; i < GK_LINK_MANIFEST_PART && gk_reader_left(&r) > 0; i++)
		dirt |= gk_get_u8(&r);
	if (p->kind != GK_MANIFEST_RULES)
		dirt |= p->len;
	return dirt == 0 ? gk_reader_end(&r) : GK_ERR_VALUE;
}

static int check_part(const struct part *p)
{
	switch ((enum gk_manifest_kind)p->kind) {
	case GK_MANIFEST_BEGIN:
		return p->number == 0 ? check_begin(&p->begin) : GK_ERR_VALUE;
	case GK_MANIFEST_RULES:
		if (p->len < 1 || p->len > GK_MANIFEST_TEXT || p->number < 1)
			return GK_ERR_VALUE;
		return check_text(p->text, p->len, sizeof(p->text));
	case GK_MANIFEST_DEVICE:
		return p->number >= 1 ? check_device(&p->dev) : GK_ERR_VALUE;
	case GK_MANIFEST_END:
		if (p->end.parts > GK_MANIFEST_PARTS_MAX ||
		    p->end.parts != p->number + 1 || p->number < 1)
			return GK_ERR_VALUE;
		return GK_OK;
	}
	return GK_ERR_TYPE;
}

int gk_manifest_check(const struct gk_link_manifest *part)
{
	struct part p;
	int err = get_part(part, &p);

	return err ? err : check_part(&p);
}

int gk_manifest_is_end(const struct gk_link_manifest *part)
{
	return part->part[0] == GK_MANIFEST_END;
}

/* What has to come next, by what came. */
static enum gk_manifest_kind expected(const struct gk_manifest_reader *r)
{
	if (r->next == 0)
		return GK_MANIFEST_BEGIN;
	if (r->text < r->m.rules_len)
		return GK_MANIFEST_RULES;
	if (r->devices < r->m.devices)
		return GK_MANIFEST_DEVICE;
	return GK_MANIFEST_END;
}

static int take_begin(struct gk_manifest_reader *r, const struct begin *b)
{
	memset(r, 0, sizeof(*r));
	r->m.version = b->version;
	r->m.leds = b->leds;
	r->m.devices = b->devices;
	r->m.rules_len = b->rules_len;
	r->m.controllers = b->controllers;
	memcpy(r->m.controller, b->controller, sizeof(r->m.controller));
	return 0;
}

static int take_rules(struct gk_manifest_reader *r, const struct part *p)
{
	unsigned left = (unsigned)r->m.rules_len - r->text;

	if (p->len != (left < GK_MANIFEST_TEXT ? left : GK_MANIFEST_TEXT))
		return GK_ERR_VALUE;
	memcpy(r->m.rules + r->text, p->text, p->len);
	r->text = (uint16_t)(r->text + p->len);
	return 0;
}

static int take_device(struct gk_manifest_reader *r, const struct gk_manifest_device *d)
{
	r->m.device[r->devices] = *d;
	if (is_twice(&r->m, r->devices))
		return GK_ERR_VALUE;
	r->devices++;
	return 0;
}

static int take_end(const struct end *e, const uint8_t *sha256)
{
	if (!sha256 || memcmp(e->sha256, sha256, GK_SHA256) != 0)
		return GK_ERR_VALUE;
	return 1;
}

static int take(struct gk_manifest_reader *r, const struct part *p,
		const uint8_t *sha256)
{
	if (p->kind != expected(r) || p->number != r->next)
		return GK_ERR_ORDER;
	switch ((enum gk_manifest_kind)p->kind) {
	case GK_MANIFEST_BEGIN:
		return take_begin(r, &p->begin);
	case GK_MANIFEST_RULES:
		return take_rules(r, p);
	case GK_MANIFEST_DEVICE:
		return take_device(r, &p->dev);
	case GK_MANIFEST_END:
		return take_end(&p->end, sha256);
	}
	return GK_ERR_TYPE;
}

int gk_manifest_take(struct gk_manifest_reader *r, const struct gk_link_manifest *part,
		     const uint8_t sha256[GK_SHA256])
{
	struct part p;
	int ret = get_part(part, &p);

	if (ret == GK_OK)
		ret = check_part(&p);
	if (ret == GK_OK)
		ret = take(r, &p, sha256);
	if (ret < 0)
		memset(r, 0, sizeof(*r));
	else
		r->next = ret == 1 ? 0 : (uint16_t)(r->next + 1);
	return ret;
}

int gk_manifest_parts(const struct gk_manifest *m)
{
	struct begin b = { m->version, m->leds, m->devices, m->rules_len,
			   m->controllers, { 0 } };
	int err;

	memcpy(b.controller, m->controller, sizeof(b.controller));
	err = check_begin(&b);
	if (err)
		return err;
	err = check_text(m->rules, m->rules_len, sizeof(m->rules));
	if (err)
		return err;
	for (unsigned i = 0; i < GK_LINK_DEVICES && i < m->devices; i++) {
		err = check_device(&m->device[i]);
		if (err)
			return err;
		if (is_twice(m, i))
			return GK_ERR_VALUE;
	}
	return (int)(1 + rules_parts(m->rules_len) + m->devices + 1);
}

static void put_device(struct gk_writer *w, const struct gk_manifest_device *d)
{
	gk_put_u8(w, d->path.controller);
	gk_put_u8(w, d->path.root);
	gk_put_u8(w, d->path.depth);
	gk_put_bytes(w, d->path.port, sizeof(d->path.port));
	gk_put_u16(w, d->vid);
	gk_put_u16(w, d->pid);
	gk_put_u8(w, d->roles);
	gk_put_u8(w, d->flags);
	gk_put_u16(w, d->rule);
	gk_put_bytes(w, d->sha256, sizeof(d->sha256));
}

static void put_head(struct gk_writer *w, enum gk_manifest_kind kind, unsigned len,
		     unsigned number)
{
	gk_put_u8(w, (uint8_t)kind);
	gk_put_u8(w, (uint8_t)len);
	gk_put_u16(w, (uint16_t)number);
}

static void put_rules(struct gk_writer *w, const struct gk_manifest *m, unsigned number)
{
	unsigned from = (number - 1) * GK_MANIFEST_TEXT;
	unsigned left = (unsigned)m->rules_len - from;
	unsigned len = left < GK_MANIFEST_TEXT ? left : GK_MANIFEST_TEXT;

	put_head(w, GK_MANIFEST_RULES, len, number);
	gk_put_bytes(w, m->rules + from, len);
}

int gk_manifest_part(const struct gk_manifest *m, unsigned number,
		     const uint8_t sha256[GK_SHA256], struct gk_link_manifest *out)
{
	int parts = gk_manifest_parts(m);
	struct gk_link_manifest part;
	struct gk_writer w;
	unsigned devices_at;

	if (parts < 0)
		return parts;
	if (number >= (unsigned)parts)
		return GK_ERR_LIMIT;
	devices_at = 1 + rules_parts(m->rules_len);
	memset(&part, 0, sizeof(part));
	gk_writer_init(&w, part.part, sizeof(part.part));
	if (number == 0) {
		put_head(&w, GK_MANIFEST_BEGIN, 0, number);
		gk_put_u16(&w, m->version);
		gk_put_u8(&w, m->leds);
		gk_put_u8(&w, m->devices);
		gk_put_u16(&w, m->rules_len);
		gk_put_u8(&w, m->controllers);
		gk_put_u8(&w, 0);
		gk_put_bytes(&w, m->controller, sizeof(m->controller));
	} else if (number < devices_at) {
		put_rules(&w, m, number);
	} else if (number < devices_at + m->devices) {
		put_head(&w, GK_MANIFEST_DEVICE, 0, number);
		put_device(&w, &m->device[number - devices_at]);
	} else {
		if (!sha256)
			return GK_ERR_VALUE;
		put_head(&w, GK_MANIFEST_END, 0, number);
		gk_put_u16(&w, (uint16_t)parts);
		gk_put_u16(&w, 0);
		gk_put_bytes(&w, sha256, GK_SHA256);
	}
	if (w.err)
		return w.err;
	*out = part;
	return GK_OK;
}
