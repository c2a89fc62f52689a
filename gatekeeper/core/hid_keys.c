/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include <linux/input-event-codes.h>

#include "hid_keys.h"
#include "keycode.h"

enum {
	USAGE_ROLLOVER = GK_HID_PAGE_KEYS << 16 | 0x01,
	USAGE_A = 0x04, /* the first that is a key (HUT 1.3 10) */
};

/* What one report does to the keys. */
struct change {
	uint8_t down[256 / 8];	 /* after it */
	uint8_t tapped[256 / 8]; /* relative ones that went down and up */
	uint8_t seen[256 / 8];
	uint8_t code[256]; /* in the order of their first change */
	unsigned codes;
	uint8_t manner; /* enum gk_hid_manner */
};

static unsigned get(const uint8_t *bits, unsigned n)
{
	return (unsigned)bits[n / 8] >> n % 8 & 1;
}

static void set(uint8_t *bits, unsigned n, int value)
{
	if (value)
		bits[n / 8] = (uint8_t)(bits[n / 8] | 1u << n % 8);
	else
		bits[n / 8] = (uint8_t)(bits[n / 8] & ~(1u << n % 8));
}

/* ---- from bits to values --------------------------------------------------- */

/*
 * n bits at a bit offset, little-endian (HID 1.11 8.4). Of more than 32 the
 * first 32, as hid-core does. Bits past the end are 0: the caller has checked
 * the report's length, this holds even so.
 */
static uint32_t extract(const uint8_t *b, size_t len, uint32_t at, uint32_t n)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < 32 && i < n; i++)
		if ((at + i) / 8 < len)
			value |= (uint32_t)(b[(at + i) / 8] >> (at + i) % 8 & 1) << i;
	return value;
}

/* A control's value; signed when its logical minimum is (HID 1.11 6.2.2.7). */
static int32_t control(const struct gk_hid_field *f, const uint8_t *b, size_t len,
		       uint32_t index)
{
	uint32_t n = f->size < 32 ? f->size : 32;
	uint32_t v = extract(b, len, f->offset + index * f->size, n);

	if (f->logical_min < 0 && n > 0 && n < 32 && (v >> (n - 1) & 1))
		v |= ~(uint32_t)0 << n;
	return (int32_t)v;
}

static uint16_t code_of(uint32_t usage, uint8_t manner)
{
	uint32_t id = usage & 0xffff;
	uint16_t code;

	if (usage >> 16 != GK_HID_PAGE_KEYS || id > 0xff)
		return 0;
	code = gk_keycode((uint8_t)id);
	return code == 0 && id >= USAGE_A && manner == GK_HID_AS_LINUX ? KEY_UNKNOWN
								       : code;
}

/* A relative control (HID 1.11 6.2.2.5) tells of presses, never of releases. */
static void key(struct change *c, const struct gk_hid_field *f, uint32_t usage, int down)
{
	uint16_t code = code_of(usage, c->manner);
	int tap = down && (f->flags & GK_HID_RELATIVE);

	if (code == 0 || code > 255 || ((int)get(c->down, code) == down && !tap))
		return;
	set(c->down, code, down && !tap);
	if (tap)
		set(c->tapped, code, 1);
	if (!get(c->seen, code)) {
		set(c->seen, code, 1);
		c->code[c->codes++ & 255] = (uint8_t)code;
	}
}

/* ---- variables: each control a key ----------------------------------------- */

/* Whether the value says anything; then *down is what. */
static int variable(const struct gk_hid_field *f, int32_t v, int *down)
{
	if (f->logical_min < f->logical_max) {
		if ((f->flags & GK_HID_NULL_STATE) &&
		    (v < f->logical_min || v > f->logical_max))
			return 0;
		if (v < f->logical_min)
			v = f->logical_min;
		if (v > f->logical_max)
			v = f->logical_max;
	}
	*down = v != 0;
	return 1;
}

static void variables(const struct gk_hid_map *map, const struct gk_hid_field *f,
		      struct gk_hid_keys *k, struct change *c, const uint8_t *b,
		      size_t len)
{
	/* The usages run along with the controls; the last one stays. */
	const struct gk_hid_range *r = &map->range[f->first_range];
	uint32_t in_range = 0, range = 0;

	for (uint32_t n = 0; n < GK_HID_KEY_BITS && n < f->count; n++) {
		uint32_t usage =
			r[range].wide ? r[range].first + in_range
				      : (r[range].first & 0xffff0000u) |
						((r[range].first + in_range) & 0xffffu);
		unsigned at = f->state + n;
		int down = 0;

		if (variable(f, control(f, b, len, n), &down)) {
			if ((f->flags & GK_HID_RELATIVE) || (int)get(k->bit, at) != down)
				key(c, f, usage, down);
			set(k->bit, at, down);
		}
		if (in_range + 1 < r[range].count) {
			in_range++;
		} else if (range + 1 < f->ranges) {
			range++;
			in_range = 0;
		}
	}
}

/* ---- arrays: each slot names a key ----------------------------------------- */

/* A slot's value from 1, 0: outside of what the field declares. */
static uint16_t slot(const struct gk_hid_field *f, int32_t v)
{
	uint32_t max = f->usages > f->count ? f->usages : f->count;
	int64_t index = (int64_t)v - f->logical_min;

	if (v < f->logical_min || v > f->logical_max || index >= (int64_t)max)
		return 0;
	return (uint16_t)(index + 1);
}

static int holds(const uint16_t *slots, unsigned count, uint16_t value)
{
	for (unsigned i = 0; i < GK_HID_KEY_SLOTS && i < count; i++)
		if (slots[i] == value)
			return 1;
	return 0;
}

static void array(const struct gk_hid_map *map, const struct gk_hid_field *f,
		  struct gk_hid_keys *k, struct change *c, const uint8_t *b, size_t len)
{
	uint16_t now[GK_HID_KEY_SLOTS] = { 0 };
	uint16_t *old = &k->slot[f->state];
	unsigned count = f->count;

	for (unsigned n = 0; n < GK_HID_KEY_SLOTS && n < count; n++) {
		now[n] = slot(f, control(f, b, len, n));
		if (now[n] && gk_hid_usage(map, f, now[n] - 1u) == USAGE_ROLLOVER)
			return;
	}
	for (unsigned n = 0; n < GK_HID_KEY_SLOTS && n < count; n++) {
		if (old[n] && !holds(now, count, old[n]))
			key(c, f, gk_hid_usage(map, f, old[n] - 1u), 0);
		if (now[n] && !holds(old, count, now[n]))
			key(c, f, gk_hid_usage(map, f, now[n] - 1u), 1);
	}
	memcpy(old, now, count * sizeof(*old));
}

void gk_hid_keys_init(const struct gk_hid_map *map, struct gk_hid_keys *k,
		      enum gk_hid_manner manner)
{
	memset(k, 0, sizeof(*k));
	k->manner = (uint8_t)manner;
	for (unsigned i = 0; i < GK_HID_FIELDS && i < map->fields; i++) {
		const struct gk_hid_field *f = &map->field[i];

		if (!f->keys || (f->flags & GK_HID_VARIABLE))
			continue;
		for (unsigned n = 0; n < GK_HID_KEY_SLOTS && n < f->count; n++)
			k->slot[f->state + n] = slot(f, 0);
	}
}

/* ---- events ---------------------------------------------------------------- */

static int event(struct gk_link_key ev[GK_HID_KEYS_EVENTS], int n, uint8_t code,
		 uint8_t value)
{
	if (n >= GK_HID_KEYS_EVENTS)
		return n;
	ev[n].code = code;
	ev[n].value = value;
	return n + 1;
}

/* What of one code is to be told: +1 down, -1 up, 2 down and up. */
static int told(const struct gk_hid_keys *k, const struct change *c, uint8_t code)
{
	int before = (int)get(k->down, code), after = (int)get(c->down, code);

	if (before != after)
		return after - before;
	return !before && get(c->tapped, code) ? 2 : 0;
}

static int tell(struct gk_hid_keys *k, const struct change *c,
		struct gk_link_key ev[GK_HID_KEYS_EVENTS])
{
	unsigned mixed = k->manner == GK_HID_AS_LINUX;
	int n = 0;

	for (unsigned pass = mixed; pass < 2; pass++) {
		for (unsigned i = 0; i < 256 && i < c->codes; i++) {
			int t = told(k, c, c->code[i]);

			if (t == -1 && (pass == 0 || mixed))
				n = event(ev, n, c->code[i], 0);
			if (t > 0 && pass == 1)
				n = event(ev, n, c->code[i], 1);
			if (t == 2 && pass == 1)
				n = event(ev, n, c->code[i], 0);
		}
	}
	memcpy(k->down, c->down, sizeof(k->down));
	return n;
}

int gk_hid_keys_report(const struct gk_hid_map *map, struct gk_hid_keys *k,
		       const void *report, size_t len,
		       struct gk_link_key ev[GK_HID_KEYS_EVENTS])
{
	const uint8_t *b = report;
	struct change c;
	uint8_t id = 0;

	memset(ev, 0, sizeof(ev[0]) * GK_HID_KEYS_EVENTS);
	if (len == 0)
		return GK_ERR_SHORT;
	if (map->numbered[GK_HID_INPUT]) {
		id = b[0];
		b++;
		len--;
	}
	if (!map->exists[GK_HID_INPUT][id])
		return GK_ERR_NOT_FOUND;
	if (len < (map->bits[GK_HID_INPUT][id] + 7) / 8)
		return GK_ERR_SHORT;

	memset(&c, 0, sizeof(c));
	c.manner = k->manner;
	memcpy(c.down, k->down, sizeof(c.down));
	for (unsigned i = 0; i < GK_HID_FIELDS && i < map->fields; i++) {
		const struct gk_hid_field *f = &map->field[i];

		if (!f->keys || f->id != id)
			continue;
		if (f->flags & GK_HID_VARIABLE)
			variables(map, f, k, &c, b, len);
		else
			array(map, f, k, &c, b, len);
	}
	return tell(k, &c, ev);
}

int gk_hid_keys_release(const struct gk_hid_map *map, struct gk_hid_keys *k,
			struct gk_link_key ev[GK_HID_KEYS_EVENTS])
{
	int n = 0;

	memset(ev, 0, sizeof(ev[0]) * GK_HID_KEYS_EVENTS);
	for (unsigned code = 1; code < 256; code++)
		if (get(k->down, code))
			n = event(ev, n, (uint8_t)code, 0);
	gk_hid_keys_init(map, k, (enum gk_hid_manner)k->manner);
	return n;
}
