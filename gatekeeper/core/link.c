/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cursor.h"
#include "hid_report.h"
#include "link.h"
#include "manifest.h"
#include "policy.h"
#include "usb_desc.h"

/* Senders, as bits of the table below. */
#define FROM(side) (1u << (side))
#define FROM_GATE FROM(GK_SIDE_GATE)
#define FROM_DOM0 FROM(GK_SIDE_DOM0)
#define FROM_WORKER FROM(GK_SIDE_WORKER)
#define FROM_SUPERVISOR FROM(GK_SIDE_SUPERVISOR)

/* What the header's device id must be on the link between the domains. */
enum about {
	ABOUT_LINK,   /* device 0, generation 0 */
	ABOUT_DEVICE, /* both are 1 or more */
	ABOUT_EITHER,
};

/* THE table: nothing else knows a payload's length or who may send it. */
static const struct link_type {
	uint8_t payload; /* bytes, <= GK_LINK_PAYLOAD_MAX; 0: no such type */
	uint8_t from;
	enum about about;
	const char *name;
} link_types[] = {
	[GK_LINK_HELLO] = { 24, FROM_GATE | FROM_DOM0, ABOUT_LINK, "HELLO" },
	[GK_LINK_DEVICE] = { 100, FROM_GATE, ABOUT_DEVICE, "DEVICE" },
	[GK_LINK_GONE] = { 4, FROM_GATE, ABOUT_DEVICE, "GONE" },
	[GK_LINK_KEY] = { 4, FROM_GATE | FROM_WORKER, ABOUT_DEVICE, "KEY" },
	[GK_LINK_LED] = { 4, FROM_DOM0 | FROM_SUPERVISOR, ABOUT_DEVICE, "LED" },
	[GK_LINK_QUIESCE] = { 4, FROM_DOM0 | FROM_SUPERVISOR, ABOUT_LINK, "QUIESCE" },
	[GK_LINK_QUIESCED] = { 4, FROM_GATE, ABOUT_LINK, "QUIESCED" },
	[GK_LINK_PING] = { 12, FROM_GATE | FROM_DOM0 | FROM_WORKER | FROM_SUPERVISOR,
			   ABOUT_LINK, "PING" },
	[GK_LINK_LOG] = { 124, FROM_GATE | FROM_WORKER, ABOUT_EITHER, "LOG" },
	[GK_LINK_FOUND] = { 8, FROM_WORKER, ABOUT_LINK, "FOUND" },
	[GK_LINK_GRANT] = { 4, FROM_SUPERVISOR, ABOUT_LINK, "GRANT" },
	[GK_LINK_FIDO] = { GK_LINK_REPORT, FROM_GATE | FROM_DOM0 | FROM_WORKER |
			   FROM_SUPERVISOR, ABOUT_DEVICE, "FIDO" },
	[GK_LINK_MANIFEST] = { GK_LINK_MANIFEST_PART, FROM_DOM0, ABOUT_LINK, "MANIFEST" },
};

static const struct link_type *type_of(uint8_t type)
{
	if (type >= sizeof(link_types) / sizeof(link_types[0]))
		return NULL;
	if (link_types[type].payload == 0)
		return NULL;
	return &link_types[type];
}

int gk_link_payload_len(uint8_t type)
{
	const struct link_type *t = type_of(type);

	return t ? t->payload : GK_ERR_TYPE;
}

const char *gk_link_type_name(uint8_t type)
{
	const struct link_type *t = type_of(type);

	return t ? t->name : "?";
}

int gk_link_peek(const void *buf, size_t len)
{
	struct gk_reader r;
	uint8_t version, type;
	uint16_t length;
	int want;

	if (len < GK_LINK_HEADER)
		return GK_ERR_SHORT;
	gk_reader_init(&r, buf, len);
	version = gk_get_u8(&r);
	type = gk_get_u8(&r);
	length = gk_get_u16(&r);
	if (version != GK_LINK_VERSION)
		return GK_ERR_VERSION;
	want = gk_link_payload_len(type);
	if (want < 0)
		return want;
	if (length != want)
		return GK_ERR_LENGTH;
	return GK_LINK_HEADER + want;
}

/*
 * The checks below look at a struct, not at bytes: decode runs them on what it
 * read, encode on what it is about to write, so both ends hold to one rule.
 */

static int check_hello(const struct gk_link_hello *h)
{
	if (h->version_min == 0 || h->version_min > h->version_max)
		return GK_ERR_VALUE;
	if (h->version_min > GK_LINK_VERSION || h->version_max < GK_LINK_VERSION)
		return GK_ERR_VERSION;
	return GK_OK;
}

static int check_path(const struct gk_port_path *p)
{
	if (p->root > 1 || p->depth < 1 || p->depth > GK_PORT_DEPTH)
		return GK_ERR_VALUE;
	/* Ports are numbered from 1 (USB 2.0 11.24.2.7); unused ones are 0. */
	for (unsigned i = 0; i < GK_PORT_DEPTH; i++)
		if ((p->port[i] != 0) != (i < p->depth))
			return GK_ERR_VALUE;
	return GK_OK;
}

/* Which reasons can go with which verdict. */
static int check_verdict(const struct gk_link_device *d)
{
	switch ((enum gk_verdict)d->verdict) {
	case GK_VERDICT_REFUSED:
		if (d->granted != 0)
			return GK_ERR_VALUE;
		return gk_reason_refuses(d->reason) ? GK_OK : GK_ERR_VALUE;
	case GK_VERDICT_ADMITTED:
		if (d->granted == 0 || d->interfaces < 1)
			return GK_ERR_VALUE;
		return d->reason == GK_REASON_ADMITTED ? GK_OK : GK_ERR_VALUE;
	case GK_VERDICT_PARTLY:
		if (d->granted == 0 || d->interfaces < 2)
			return GK_ERR_VALUE;
		return d->reason == GK_REASON_ADMITTED ? GK_OK : GK_ERR_VALUE;
	case GK_VERDICT_HUB:
		if (d->granted != 0 || d->interfaces < 1)
			return GK_ERR_VALUE;
		return d->reason == GK_REASON_HUB ? GK_OK : GK_ERR_VALUE;
	}
	return GK_ERR_VALUE;
}

static int is_one_role(uint8_t role)
{
	return role != 0 && (role & ~GK_ROLE_ALL) == 0 && (role & (role - 1)) == 0;
}

static int check_shown(const struct gk_link_device *d)
{
	uint8_t roles = 0;

	for (unsigned i = 0; i < GK_SHOWN_INTERFACES; i++) {
		const struct gk_link_interface *s = &d->shown[i];

		if (i >= d->interfaces &&
		    (s->number | s->base_class | s->sub_class | s->protocol | s->role))
			return GK_ERR_VALUE;
		if (s->role != 0 && !is_one_role(s->role))
			return GK_ERR_VALUE;
		roles |= s->role;
	}
	/* Of more interfaces than are shown the others may have the rest. */
	if ((roles & ~d->granted) != 0)
		return GK_ERR_VALUE;
	if (d->interfaces <= GK_SHOWN_INTERFACES && roles != d->granted)
		return GK_ERR_VALUE;
	return GK_OK;
}

static int check_device(const struct gk_link_device *d)
{
	int err = check_path(&d->path);

	if (err)
		return err;
	if ((d->asked & ~GK_ROLE_ALL) != 0 || (d->granted & ~d->asked) != 0)
		return GK_ERR_VALUE;
	if (d->interfaces > GK_USB_INTERFACES)
		return GK_ERR_VALUE;
	err = check_shown(d);
	if (err)
		return err;
	if (d->offset > GK_USB_RAW_MAX)
		return GK_ERR_VALUE;
	if (d->offset != 0 && d->verdict != GK_VERDICT_REFUSED)
		return GK_ERR_VALUE;
	return check_verdict(d);
}

static int check_gone(const struct gk_link_gone *g)
{
	if (g->reason < GK_REASON_CHANGED || g->reason > GK_REASON_QUIESCED)
		return GK_ERR_VALUE;
	return GK_OK;
}

static int check_found(const struct gk_link_found *f)
{
	if ((f->roles & ~GK_ROLE_ALL) != 0)
		return GK_ERR_VALUE;
	if (f->reason != 0 && (f->reason != GK_REASON_HID || f->roles != 0))
		return GK_ERR_VALUE;
	/* It goes on in DEVICE, whose bound is above this. */
	if (f->offset > GK_HID_DESC_MAX)
		return GK_ERR_VALUE;
	return f->reason != 0 || f->offset == 0 ? GK_OK : GK_ERR_VALUE;
}

static int check_log(const struct gk_link_log *l)
{
	if (l->level < 3 || l->level > 7)
		return GK_ERR_VALUE;
	if (l->len < 1 || l->len > GK_LINK_TEXT)
		return GK_ERR_VALUE;
	for (unsigned i = 0; i < GK_LINK_TEXT; i++) {
		if (i >= l->len) {
			if (l->text[i] != 0)
				return GK_ERR_VALUE;
		} else if (l->text[i] < 0x20 || l->text[i] > 0x7e) {
			return GK_ERR_VALUE;
		}
	}
	return GK_OK;
}

static int check_header(const struct link_type *t, enum gk_link_side from,
			uint32_t device, uint32_t generation)
{
	int none = device == 0 && generation == 0;
	int named = device != 0 && generation != 0;

	switch (from) {
	case GK_SIDE_WORKER:
	case GK_SIDE_SUPERVISOR:
		return none ? GK_OK : GK_ERR_VALUE;
	case GK_SIDE_GATE:
	case GK_SIDE_DOM0:
		break;
	}
	switch (t->about) {
	case ABOUT_LINK:
		return none ? GK_OK : GK_ERR_VALUE;
	case ABOUT_DEVICE:
		return named ? GK_OK : GK_ERR_VALUE;
	case ABOUT_EITHER:
		return none || named ? GK_OK : GK_ERR_VALUE;
	}
	return GK_ERR_VALUE;
}

static int check_frame(const struct gk_frame *f, enum gk_link_side from)
{
	const struct link_type *t = type_of(f->type);
	int err;

	if (!t)
		return GK_ERR_TYPE;
	if ((unsigned)from > GK_SIDE_SUPERVISOR || (t->from & FROM(from)) == 0)
		return GK_ERR_DIRECTION;
	err = check_header(t, from, f->device, f->generation);
	if (err)
		return err;

	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		return check_hello(&f->u.hello);
	case GK_LINK_DEVICE:
		return check_device(&f->u.dev);
	case GK_LINK_GONE:
		return check_gone(&f->u.gone);
	case GK_LINK_KEY:
		if (f->u.key.code < 1 || f->u.key.code > 255 || f->u.key.value > 1)
			return GK_ERR_VALUE;
		return GK_OK;
	case GK_LINK_LED:
		return f->u.led.leds <= 7 ? GK_OK : GK_ERR_VALUE;
	case GK_LINK_QUIESCE:
		if (f->u.quiesce.deadline_ms < 1 || f->u.quiesce.deadline_ms > 60000)
			return GK_ERR_VALUE;
		return GK_OK;
	case GK_LINK_QUIESCED:
		if (f->u.quiesced.complete > 1 ||
		    f->u.quiesced.devices > GK_LINK_DEVICES)
			return GK_ERR_VALUE;
		return GK_OK;
	case GK_LINK_PING:
		return f->u.ping.reply <= 1 ? GK_OK : GK_ERR_VALUE;
	case GK_LINK_LOG:
		return check_log(&f->u.log);
	case GK_LINK_FOUND:
		return check_found(&f->u.found);
	case GK_LINK_GRANT:
		return is_one_role(f->u.grant.role) ? GK_OK : GK_ERR_VALUE;
	case GK_LINK_FIDO:
		return GK_OK;
	case GK_LINK_MANIFEST:
		return gk_manifest_check(&f->u.manifest);
	}
	return GK_ERR_TYPE;
}

/* Reserved bytes: collected so that a read failure is not missed either. */
static void get_zero(struct gk_reader *r, unsigned n, uint8_t *dirt)
{
	for (unsigned i = 0; i < n && i < 8; i++)
		*dirt |= gk_get_u8(r);
}

static void get_device(struct gk_reader *r, struct gk_link_device *d, uint8_t *dirt)
{
	d->path.controller = gk_get_u8(r);
	d->path.root = gk_get_u8(r);
	d->path.depth = gk_get_u8(r);
	gk_get_bytes(r, d->path.port, sizeof(d->path.port));
	d->vid = gk_get_u16(r);
	d->pid = gk_get_u16(r);
	d->asked = gk_get_u8(r);
	d->granted = gk_get_u8(r);
	d->verdict = gk_get_u8(r);
	d->device_class = gk_get_u8(r);
	d->interfaces = gk_get_u8(r);
	get_zero(r, 1, dirt);
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES; i++) {
		struct gk_link_interface *s = &d->shown[i];

		s->number = gk_get_u8(r);
		s->base_class = gk_get_u8(r);
		s->sub_class = gk_get_u8(r);
		s->protocol = gk_get_u8(r);
		s->role = gk_get_u8(r);
	}
	d->reason = gk_get_u16(r);
	d->offset = gk_get_u16(r);
	d->rule = gk_get_u16(r);
	get_zero(r, 2, dirt);
	gk_get_bytes(r, d->sha256, sizeof(d->sha256));
}

static int get_payload(struct gk_reader *r, struct gk_frame *f)
{
	uint8_t dirt = 0;
	int err;

	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		f->u.hello.version_min = gk_get_u16(r);
		f->u.hello.version_max = gk_get_u16(r);
		gk_get_bytes(r, f->u.hello.nonce, sizeof(f->u.hello.nonce));
		f->u.hello.uptime_ms = gk_get_u32(r);
		break;
	case GK_LINK_DEVICE:
		get_device(r, &f->u.dev, &dirt);
		break;
	case GK_LINK_GONE:
		f->u.gone.reason = gk_get_u16(r);
		get_zero(r, 2, &dirt);
		break;
	case GK_LINK_KEY:
		f->u.key.code = gk_get_u16(r);
		f->u.key.value = gk_get_u8(r);
		get_zero(r, 1, &dirt);
		break;
	case GK_LINK_LED:
		f->u.led.leds = gk_get_u8(r);
		get_zero(r, 3, &dirt);
		break;
	case GK_LINK_QUIESCE:
		f->u.quiesce.deadline_ms = gk_get_u32(r);
		break;
	case GK_LINK_QUIESCED:
		f->u.quiesced.complete = gk_get_u8(r);
		f->u.quiesced.controllers = gk_get_u8(r);
		f->u.quiesced.devices = gk_get_u8(r);
		get_zero(r, 1, &dirt);
		break;
	case GK_LINK_PING:
		f->u.ping.reply = gk_get_u8(r);
		get_zero(r, 3, &dirt);
		f->u.ping.token = gk_get_u64(r);
		break;
	case GK_LINK_LOG:
		f->u.log.level = gk_get_u8(r);
		f->u.log.len = gk_get_u8(r);
		get_zero(r, 2, &dirt);
		gk_get_bytes(r, f->u.log.text, sizeof(f->u.log.text));
		break;
	case GK_LINK_FOUND:
		f->u.found.interface = gk_get_u8(r);
		f->u.found.roles = gk_get_u8(r);
		f->u.found.reason = gk_get_u16(r);
		f->u.found.offset = gk_get_u16(r);
		get_zero(r, 2, &dirt);
		break;
	case GK_LINK_GRANT:
		f->u.grant.interface = gk_get_u8(r);
		f->u.grant.role = gk_get_u8(r);
		get_zero(r, 2, &dirt);
		break;
	case GK_LINK_FIDO:
		gk_get_bytes(r, f->u.fido.packet, sizeof(f->u.fido.packet));
		break;
	case GK_LINK_MANIFEST:
		gk_get_bytes(r, f->u.manifest.part, sizeof(f->u.manifest.part));
		break;
	}
	err = gk_reader_end(r);
	if (err)
		return err;
	return dirt == 0 ? GK_OK : GK_ERR_VALUE;
}

int gk_link_decode(const void *buf, size_t len, enum gk_link_side from,
		   struct gk_frame *out)
{
	struct gk_frame f;
	struct gk_reader r;
	int want, err;

	memset(&f, 0, sizeof(f));
	want = gk_link_peek(buf, len);
	if (want < 0)
		return want;
	if (len < (size_t)want)
		return GK_ERR_SHORT;
	if (len > (size_t)want)
		return GK_ERR_TRAILING;

	gk_reader_init(&r, buf, len);
	gk_skip(&r, 1); /* version and length: gk_link_peek() saw them */
	f.type = gk_get_u8(&r);
	gk_skip(&r, 2);
	f.device = gk_get_u32(&r);
	f.generation = gk_get_u32(&r);
	err = get_payload(&r, &f);
	if (err)
		return err;
	err = check_frame(&f, from);
	if (err)
		return err;
	*out = f;
	return GK_OK;
}

static void put_zero(struct gk_writer *w, unsigned n)
{
	for (unsigned i = 0; i < n && i < 8; i++)
		gk_put_u8(w, 0);
}

static void put_device(struct gk_writer *w, const struct gk_link_device *d)
{
	gk_put_u8(w, d->path.controller);
	gk_put_u8(w, d->path.root);
	gk_put_u8(w, d->path.depth);
	gk_put_bytes(w, d->path.port, sizeof(d->path.port));
	gk_put_u16(w, d->vid);
	gk_put_u16(w, d->pid);
	gk_put_u8(w, d->asked);
	gk_put_u8(w, d->granted);
	gk_put_u8(w, d->verdict);
	gk_put_u8(w, d->device_class);
	gk_put_u8(w, d->interfaces);
	put_zero(w, 1);
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES; i++) {
		const struct gk_link_interface *s = &d->shown[i];

		gk_put_u8(w, s->number);
		gk_put_u8(w, s->base_class);
		gk_put_u8(w, s->sub_class);
		gk_put_u8(w, s->protocol);
		gk_put_u8(w, s->role);
	}
	gk_put_u16(w, d->reason);
	gk_put_u16(w, d->offset);
	gk_put_u16(w, d->rule);
	put_zero(w, 2);
	gk_put_bytes(w, d->sha256, sizeof(d->sha256));
}

static void put_payload(struct gk_writer *w, const struct gk_frame *f)
{
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		gk_put_u16(w, f->u.hello.version_min);
		gk_put_u16(w, f->u.hello.version_max);
		gk_put_bytes(w, f->u.hello.nonce, sizeof(f->u.hello.nonce));
		gk_put_u32(w, f->u.hello.uptime_ms);
		break;
	case GK_LINK_DEVICE:
		put_device(w, &f->u.dev);
		break;
	case GK_LINK_GONE:
		gk_put_u16(w, f->u.gone.reason);
		put_zero(w, 2);
		break;
	case GK_LINK_KEY:
		gk_put_u16(w, f->u.key.code);
		gk_put_u8(w, f->u.key.value);
		put_zero(w, 1);
		break;
	case GK_LINK_LED:
		gk_put_u8(w, f->u.led.leds);
		put_zero(w, 3);
		break;
	case GK_LINK_QUIESCE:
		gk_put_u32(w, f->u.quiesce.deadline_ms);
		break;
	case GK_LINK_QUIESCED:
		gk_put_u8(w, f->u.quiesced.complete);
		gk_put_u8(w, f->u.quiesced.controllers);
		gk_put_u8(w, f->u.quiesced.devices);
		put_zero(w, 1);
		break;
	case GK_LINK_PING:
		gk_put_u8(w, f->u.ping.reply);
		put_zero(w, 3);
		gk_put_u64(w, f->u.ping.token);
		break;
	case GK_LINK_LOG:
		gk_put_u8(w, f->u.log.level);
		gk_put_u8(w, f->u.log.len);
		put_zero(w, 2);
		gk_put_bytes(w, f->u.log.text, sizeof(f->u.log.text));
		break;
	case GK_LINK_FOUND:
		gk_put_u8(w, f->u.found.interface);
		gk_put_u8(w, f->u.found.roles);
		gk_put_u16(w, f->u.found.reason);
		gk_put_u16(w, f->u.found.offset);
		put_zero(w, 2);
		break;
	case GK_LINK_GRANT:
		gk_put_u8(w, f->u.grant.interface);
		gk_put_u8(w, f->u.grant.role);
		put_zero(w, 2);
		break;
	case GK_LINK_FIDO:
		gk_put_bytes(w, f->u.fido.packet, sizeof(f->u.fido.packet));
		break;
	case GK_LINK_MANIFEST:
		gk_put_bytes(w, f->u.manifest.part, sizeof(f->u.manifest.part));
		break;
	}
}

int gk_link_encode(const struct gk_frame *f, enum gk_link_side from, void *buf,
		   size_t cap)
{
	struct gk_writer w;
	int payload, err;

	err = check_frame(f, from);
	if (err)
		return err;
	payload = gk_link_payload_len(f->type);
	if (payload < 0)
		return payload;
	/* Asked before writing: a frame is never left half in the buffer. */
	if (cap < GK_LINK_HEADER + (size_t)payload)
		return GK_ERR_LIMIT;

	gk_writer_init(&w, buf, cap);
	gk_put_u8(&w, GK_LINK_VERSION);
	gk_put_u8(&w, f->type);
	gk_put_u16(&w, (uint16_t)payload);
	gk_put_u32(&w, f->device);
	gk_put_u32(&w, f->generation);
	put_payload(&w, f);
	if (w.err)
		return w.err;
	/* Holds unless the table and put_payload() disagree. */
	if (w.off != GK_LINK_HEADER + (size_t)payload)
		return GK_ERR_LENGTH;
	return (int)w.off;
}
