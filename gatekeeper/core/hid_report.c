/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cursor.h"
#include "hid_report.h"
#include "link.h"

/* Item types and tags (HID 1.11 6.2.2.4, 6.2.2.7, 6.2.2.8). */
enum { TYPE_MAIN = 0, TYPE_GLOBAL = 1, TYPE_LOCAL = 2, TAG_LONG = 15 };
enum {
	MAIN_INPUT = 8,
	MAIN_OUTPUT = 9,
	MAIN_COLLECTION = 10,
	MAIN_FEATURE = 11,
	MAIN_END = 12,
};
enum {
	GLOBAL_USAGE_PAGE = 0,
	GLOBAL_LOGICAL_MIN = 1,
	GLOBAL_LOGICAL_MAX = 2,
	GLOBAL_PHYSICAL_MIN = 3,
	GLOBAL_UNIT = 6,
	GLOBAL_REPORT_SIZE = 7,
	GLOBAL_REPORT_ID = 8,
	GLOBAL_REPORT_COUNT = 9,
	GLOBAL_PUSH = 10,
	GLOBAL_POP = 11,
};
enum { LOCAL_USAGE = 0, LOCAL_USAGE_MIN = 1, LOCAL_USAGE_MAX = 2, LOCAL_DELIMITER = 10 };

struct item {
	uint8_t type, tag;
	uint8_t size;  /* data bytes: 0, 1, 2 or 4 */
	uint32_t data; /* zero-extended */
};

struct globals {
	uint32_t usage_page;
	int32_t logical_min, logical_max;
	uint32_t size, count;
	uint8_t id;
};

struct parser {
	struct gk_hid_map *map;
	struct globals global, stack[GK_HID_PUSHES];
	unsigned pushes;
	/* Local items, until the next main item. Their usages are built up
	 * behind the ranges that the table holds already. */
	uint32_t usage_min, usages;
	unsigned ranges;
	unsigned delimiter_depth, delimiter_sets;
	/* Open collections, and the top-level one they are in. */
	unsigned depth;
	uint32_t usage[GK_HID_DEPTH];
	uint8_t type[GK_HID_DEPTH];
};

static int32_t as_signed(const struct item *i)
{
	switch (i->size) {
	case 1:
		return (int8_t)(uint8_t)i->data;
	case 2:
		return (int16_t)(uint16_t)i->data;
	default:
		return (int32_t)i->data;
	}
}

/* ---- local items ----------------------------------------------------------- */

static uint32_t nth(const struct gk_hid_range *r, uint32_t n)
{
	if (r->wide)
		return r->first + n;
	return (r->first & 0xffff0000u) | ((r->first + n) & 0xffffu);
}

/*
 * Adjacent usages that come one by one, as in the list of a bitmap's keys, are
 * one run: that keeps the table small, and the order the same.
 */
static enum gk_hid_reason add_usages(struct parser *p, uint32_t first, uint32_t count,
				     int wide)
{
	struct gk_hid_map *map = p->map;
	unsigned at = map->ranges + p->ranges;

	/* 0: the whole of 32 bits. */
	if (count == 0 || count > GK_HID_USAGES - p->usages)
		return GK_HID_TOO_MANY_USAGES;
	if (!wide)
		first = (p->global.usage_page & 0xffffu) << 16 | (first & 0xffffu);
	p->usages += count;
	if (p->ranges > 0) {
		struct gk_hid_range *last = &map->range[at - 1];

		if (last->wide == wide &&
		    (first & 0xffffu) != 0 && /* a page's first begins anew */
		    first == nth(last, last->count)) {
			last->count = (uint16_t)(last->count + count);
			return GK_HID_FINE;
		}
	}
	if (at >= GK_HID_RANGES)
		return GK_HID_TOO_MANY_USAGES;
	map->range[at].first = first;
	map->range[at].count = (uint16_t)count;
	map->range[at].wide = (uint8_t)wide;
	p->ranges++;
	return GK_HID_FINE;
}

/*
 * As hid-core counts, in 32 bits that may wrap: a range that is too long is
 * cut, one whose end is before its start has as many usages as there may be,
 * or none if it is not the first of its item.
 */
static enum gk_hid_reason add_range(struct parser *p, const struct item *i)
{
	uint32_t min = p->usage_min, max = i->data;

	if ((uint32_t)(max - min + p->usages) >= GK_HID_USAGES) {
		max = GK_HID_USAGES - p->usages + min - 1;
		if (max == 0)
			return GK_HID_TOO_MANY_USAGES;
	}
	return max < min ? GK_HID_FINE : add_usages(p, min, max - min + 1, i->size > 2);
}

static enum gk_hid_reason delimiter(struct parser *p, uint32_t open)
{
	if (open) {
		if (p->delimiter_depth != 0)
			return GK_HID_NESTED_DELIMITER;
		p->delimiter_depth = 1;
		p->delimiter_sets++;
	} else {
		if (p->delimiter_depth == 0)
			return GK_HID_END_WITHOUT_DELIMITER;
		p->delimiter_depth = 0;
	}
	return GK_HID_FINE;
}

static enum gk_hid_reason local_item(struct parser *p, const struct item *i)
{
	int other = p->delimiter_sets > 1;

	switch (i->tag) {
	case LOCAL_USAGE:
		return other ? GK_HID_FINE : add_usages(p, i->data, 1, i->size > 2);
	case LOCAL_USAGE_MIN:
		if (!other)
			p->usage_min = i->data;
		return GK_HID_FINE;
	case LOCAL_USAGE_MAX:
		return other ? GK_HID_FINE : add_range(p, i);
	case LOCAL_DELIMITER:
		return delimiter(p, i->data);
	default:
		/* Designators and strings (6.2.2.8) say nothing about bits. */
		return GK_HID_FINE;
	}
}

/* ---- global items ---------------------------------------------------------- */

static enum gk_hid_reason global_item(struct parser *p, const struct item *i)
{
	struct globals *g = &p->global;

	switch (i->tag) {
	case GLOBAL_USAGE_PAGE:
		g->usage_page = i->data;
		return GK_HID_FINE;
	case GLOBAL_LOGICAL_MIN:
		g->logical_min = as_signed(i);
		return GK_HID_FINE;
	case GLOBAL_LOGICAL_MAX:
		g->logical_max = g->logical_min < 0 ? as_signed(i) : (int32_t)i->data;
		return GK_HID_FINE;
	case GLOBAL_REPORT_SIZE:
		g->size = i->data;
		return i->data > GK_HID_REPORT_BITS ? GK_HID_BAD_REPORT_SIZE
						    : GK_HID_FINE;
	case GLOBAL_REPORT_COUNT:
		g->count = i->data;
		return i->data > GK_HID_USAGES ? GK_HID_BAD_REPORT_COUNT : GK_HID_FINE;
	case GLOBAL_REPORT_ID:
		if (i->data == 0 || i->data > 255)
			return GK_HID_BAD_REPORT_ID;
		g->id = (uint8_t)i->data;
		return GK_HID_FINE;
	case GLOBAL_PUSH:
		if (p->pushes >= GK_HID_PUSHES)
			return GK_HID_TOO_MANY_PUSHES;
		p->stack[p->pushes++] = *g;
		return GK_HID_FINE;
	case GLOBAL_POP:
		if (p->pushes == 0)
			return GK_HID_POP_WITHOUT_PUSH;
		*g = p->stack[--p->pushes];
		return GK_HID_FINE;
	default:
		/* Physical extents and units do not matter here. */
		return i->tag >= GLOBAL_PHYSICAL_MIN && i->tag <= GLOBAL_UNIT
			       ? GK_HID_FINE
			       : GK_HID_UNKNOWN_GLOBAL;
	}
}

/* ---- main items ------------------------------------------------------------ */

/*
 * The page that holds when the main item comes applies to the usages before it
 * (6.2.2.8), from the last one back to the first that had it already.
 */
static void apply_page(struct parser *p)
{
	struct gk_hid_range *range = &p->map->range[p->map->ranges];

	for (unsigned i = p->ranges; i > 0; i--) {
		struct gk_hid_range *r = &range[i - 1];

		if (r->wide)
			continue;
		if (r->first >> 16 == p->global.usage_page)
			break;
		r->first = (p->global.usage_page & 0xffffu) << 16 | (r->first & 0xffffu);
	}
}

static enum gk_hid_reason open_collection(struct parser *p, uint32_t type)
{
	struct gk_hid_map *map = p->map;
	uint32_t usage = p->ranges ? map->range[map->ranges].first : 0;

	if (p->depth >= GK_HID_DEPTH)
		return GK_HID_TOO_DEEP;
	if (p->depth == 0) {
		if (map->collections >= GK_HID_COLLECTIONS)
			return GK_HID_TOO_MANY_COLLECTIONS;
		map->collection[map->collections].usage = usage;
		map->collection[map->collections].type = (uint8_t)(type & 0xff);
		map->collections++;
	}
	p->usage[p->depth] = usage;
	p->type[p->depth] = (uint8_t)(type & 0xff);
	p->depth++;
	return GK_HID_FINE;
}

static uint32_t application(const struct parser *p)
{
	for (unsigned i = GK_HID_DEPTH; i > 0; i--)
		if (i <= p->depth && p->type[i - 1] == GK_HID_APPLICATION)
			return p->usage[i - 1];
	return 0;
}

static int of_keyboard(const struct gk_hid_field *f)
{
	return f->application == GK_HID_KEYBOARD || f->application == GK_HID_KEYPAD;
}

/* An input of a keyboard with a usage of the keyboard page. */
static int has_keys(const struct gk_hid_map *map, const struct gk_hid_field *f)
{
	if (f->kind != GK_HID_INPUT || (f->flags & GK_HID_CONSTANT) || f->count == 0 ||
	    !of_keyboard(f))
		return 0;
	for (unsigned i = 0; i < GK_HID_RANGES && i < f->ranges; i++) {
		const struct gk_hid_range *r = &map->range[f->first_range + i];
		uint32_t last = nth(r, r->count - 1u);

		/* A wide range may cross pages. */
		if (r->first >> 16 <= GK_HID_PAGE_KEYS && last >> 16 >= GK_HID_PAGE_KEYS)
			return 1;
	}
	return 0;
}

static enum gk_hid_reason give_state(struct gk_hid_map *map, struct gk_hid_field *f)
{
	uint16_t *used = f->flags & GK_HID_VARIABLE ? &map->key_bits : &map->key_slots;
	unsigned max = f->flags & GK_HID_VARIABLE ? GK_HID_KEY_BITS : GK_HID_KEY_SLOTS;

	if (f->count > max - *used)
		return GK_HID_TOO_MANY_KEYS;
	f->keys = 1;
	f->state = *used;
	*used = (uint16_t)(*used + f->count);
	return GK_HID_FINE;
}

static enum gk_hid_reason add_field(struct parser *p, enum gk_hid_kind kind,
				    uint32_t flags)
{
	struct gk_hid_map *map = p->map;
	const struct globals *g = &p->global;
	uint32_t offset = map->bits[kind][g->id];
	uint32_t bits = offset + g->size * g->count;
	struct gk_hid_field *f;

	map->exists[kind][g->id] = 1;
	if (g->id != 0)
		map->numbered[kind] = 1;
	if (g->logical_min < 0 ? g->logical_max < g->logical_min
			       : (uint32_t)g->logical_max < (uint32_t)g->logical_min)
		return GK_HID_BAD_LOGICAL_RANGE;
	if (bits > GK_HID_REPORT_MAX * 8)
		return GK_HID_LONG_REPORT;
	map->bits[kind][g->id] = bits;
	if (p->usages == 0)
		return GK_HID_FINE;
	if (map->fields >= GK_HID_FIELDS)
		return GK_HID_TOO_MANY_FIELDS;
	f = &map->field[map->fields++];
	f->offset = offset;
	f->application = application(p);
	f->logical_min = g->logical_min;
	f->logical_max = g->logical_max;
	f->size = (uint16_t)g->size;
	f->count = (uint16_t)g->count;
	f->flags = (uint16_t)(flags & 0x1ff);
	f->usages = (uint16_t)p->usages;
	f->first_range = map->ranges;
	f->ranges = (uint16_t)p->ranges;
	f->kind = (uint8_t)kind;
	f->id = g->id;
	f->top = p->depth ? (uint8_t)(map->collections - 1) : GK_HID_NO_COLLECTION;
	map->ranges = (uint16_t)(map->ranges + p->ranges);
	return has_keys(map, f) ? give_state(map, f) : GK_HID_FINE;
}

static enum gk_hid_reason main_item(struct parser *p, const struct item *i)
{
	enum gk_hid_reason reason = GK_HID_FINE;
	unsigned end;

	apply_page(p);
	switch (i->tag) {
	case MAIN_INPUT:
		reason = add_field(p, GK_HID_INPUT, i->data);
		break;
	case MAIN_OUTPUT:
		reason = add_field(p, GK_HID_OUTPUT, i->data);
		break;
	case MAIN_FEATURE:
		reason = add_field(p, GK_HID_FEATURE, i->data);
		break;
	case MAIN_COLLECTION:
		reason = open_collection(p, i->data);
		break;
	case MAIN_END:
		if (p->depth == 0)
			reason = GK_HID_END_WITHOUT_COLLECTION;
		else
			p->depth--;
		break;
	default:
		break;
	}
	/* Locals end here; ranges that no field took are cleared again. */
	end = p->map->ranges + p->ranges;
	for (unsigned n = p->map->ranges; n < end && n < GK_HID_RANGES; n++)
		memset(&p->map->range[n], 0, sizeof(p->map->range[n]));
	p->usage_min = 0;
	p->usages = 0;
	p->ranges = 0;
	p->delimiter_depth = 0;
	p->delimiter_sets = 0;
	return reason;
}

/* ---- the descriptor -------------------------------------------------------- */

/* One item; a long one is skipped and comes out as a reserved type. */
static void next_item(struct gk_reader *r, struct item *i)
{
	uint8_t prefix = gk_get_u8(r);

	i->type = prefix >> 2 & 3;
	i->tag = prefix >> 4;
	i->size = 0;
	i->data = 0;
	if (i->tag == TAG_LONG) {
		uint8_t len = gk_get_u8(r);

		gk_skip(r, 1);
		gk_skip(r, len);
		i->type = 3;
		return;
	}
	switch (prefix & 3) {
	case 1:
		i->size = 1;
		i->data = gk_get_u8(r);
		break;
	case 2:
		i->size = 2;
		i->data = gk_get_u16(r);
		break;
	case 3:
		i->size = 4;
		i->data = gk_get_u32(r);
		break;
	default:
		break;
	}
}

static enum gk_hid_reason take(struct parser *p, const struct item *i)
{
	switch (i->type) {
	case TYPE_MAIN:
		return main_item(p, i);
	case TYPE_GLOBAL:
		return global_item(p, i);
	case TYPE_LOCAL:
		return local_item(p, i);
	default:
		return GK_HID_FINE;
	}
}

static enum gk_hid_reason walk(struct parser *p, struct gk_reader *r, size_t *at)
{
	for (unsigned n = 0; n < GK_HID_DESC_MAX && gk_reader_left(r) > 0; n++) {
		enum gk_hid_reason reason;
		struct item i;

		*at = r->off;
		next_item(r, &i);
		if (r->err != GK_OK)
			return GK_HID_CUT_OFF;
		reason = take(p, &i);
		if (reason != GK_HID_FINE)
			return reason;
	}
	*at = r->off;
	if (p->depth != 0)
		return GK_HID_OPEN_COLLECTION;
	return p->delimiter_depth != 0 ? GK_HID_OPEN_DELIMITER : GK_HID_FINE;
}

static int error_of(enum gk_hid_reason reason)
{
	/* No default: a new reason must say here what it is. */
	switch (reason) {
	case GK_HID_FINE:
		return GK_OK;
	case GK_HID_EMPTY:
	case GK_HID_CUT_OFF:
		return GK_ERR_SHORT;
	case GK_HID_TOO_LONG:
		return GK_ERR_LENGTH;
	case GK_HID_TOO_MANY_PUSHES:
	case GK_HID_BAD_REPORT_SIZE:
	case GK_HID_BAD_REPORT_COUNT:
	case GK_HID_LONG_REPORT:
	case GK_HID_TOO_MANY_FIELDS:
	case GK_HID_TOO_MANY_USAGES:
	case GK_HID_TOO_MANY_COLLECTIONS:
	case GK_HID_TOO_DEEP:
	case GK_HID_TOO_MANY_KEYS:
		return GK_ERR_LIMIT;
	case GK_HID_UNKNOWN_GLOBAL:
	case GK_HID_POP_WITHOUT_PUSH:
	case GK_HID_BAD_REPORT_ID:
	case GK_HID_BAD_LOGICAL_RANGE:
	case GK_HID_END_WITHOUT_COLLECTION:
	case GK_HID_OPEN_COLLECTION:
	case GK_HID_NESTED_DELIMITER:
	case GK_HID_END_WITHOUT_DELIMITER:
	case GK_HID_OPEN_DELIMITER:
	case GK_HID_REASONS:
		return GK_ERR_VALUE;
	}
	return GK_ERR_VALUE;
}

int gk_hid_parse(const void *raw, size_t len, struct gk_hid_map *map)
{
	enum gk_hid_reason reason;
	struct gk_reader r;
	struct parser p;
	size_t at = 0;

	memset(map, 0, sizeof(*map));
	memset(&p, 0, sizeof(p));
	p.map = map;
	if (len == 0) {
		reason = GK_HID_EMPTY;
	} else if (len > GK_HID_DESC_MAX) {
		reason = GK_HID_TOO_LONG;
		at = GK_HID_DESC_MAX;
	} else {
		gk_reader_init(&r, raw, len);
		reason = walk(&p, &r, &at);
	}
	if (reason != GK_HID_FINE) {
		memset(map, 0, sizeof(*map));
		map->reason = (uint16_t)reason;
		map->error_offset = (uint32_t)at;
	} else {
		/* What came after the last main item belongs to nothing. */
		for (unsigned n = map->ranges; n < GK_HID_RANGES; n++)
			memset(&map->range[n], 0, sizeof(map->range[n]));
	}
	return error_of(reason);
}

const char *gk_hid_reason_text(uint16_t reason)
{
	/* No default: a new reason must get its text here. */
	switch ((enum gk_hid_reason)reason) {
	case GK_HID_FINE:
		return "nothing is wrong with it";
	case GK_HID_EMPTY:
		return "no bytes";
	case GK_HID_TOO_LONG:
		return "longer than 4096 bytes";
	case GK_HID_CUT_OFF:
		return "the last item is cut off";
	case GK_HID_UNKNOWN_GLOBAL:
		return "unknown global item";
	case GK_HID_TOO_MANY_PUSHES:
		return "too many pushes";
	case GK_HID_POP_WITHOUT_PUSH:
		return "pop without push";
	case GK_HID_BAD_REPORT_SIZE:
		return "report size above 256 bits";
	case GK_HID_BAD_REPORT_COUNT:
		return "report count above 12288";
	case GK_HID_BAD_REPORT_ID:
		return "report id not in 1 to 255";
	case GK_HID_LONG_REPORT:
		return "report longer than 16383 bytes";
	case GK_HID_BAD_LOGICAL_RANGE:
		return "logical maximum below minimum";
	case GK_HID_TOO_MANY_FIELDS:
		return "too many fields";
	case GK_HID_TOO_MANY_USAGES:
		return "too many usages";
	case GK_HID_TOO_MANY_COLLECTIONS:
		return "too many collections";
	case GK_HID_TOO_DEEP:
		return "collections nested too deep";
	case GK_HID_END_WITHOUT_COLLECTION:
		return "end of a collection that was not begun";
	case GK_HID_OPEN_COLLECTION:
		return "collection without end";
	case GK_HID_NESTED_DELIMITER:
		return "delimiter in a delimiter";
	case GK_HID_END_WITHOUT_DELIMITER:
		return "end of a delimiter that was not begun";
	case GK_HID_OPEN_DELIMITER:
		return "delimiter without end";
	case GK_HID_TOO_MANY_KEYS:
		return "too many keys";
	case GK_HID_REASONS:
		break;
	}
	return "unknown reason";
}

/* ---- what the table says --------------------------------------------------- */

uint32_t gk_hid_usage(const struct gk_hid_map *map, const struct gk_hid_field *f,
		      uint32_t index)
{
	const struct gk_hid_range *r = NULL;

	for (unsigned i = 0; i < GK_HID_RANGES && i < f->ranges; i++) {
		r = &map->range[f->first_range + i];
		if (index < r->count)
			return nth(r, index);
		index -= r->count;
	}
	return r ? nth(r, r->count - 1u) : 0;
}

/* The one report of that kind, its bits; 0: none, several, or numbered. */
static uint32_t only_report(const struct gk_hid_map *map, enum gk_hid_kind kind)
{
	for (unsigned id = 1; id < 256; id++)
		if (map->exists[kind][id])
			return 0;
	return map->exists[kind][0] ? map->bits[kind][0] : 0;
}

static int is_fido(const struct gk_hid_map *map)
{
	uint32_t in = only_report(map, GK_HID_INPUT);
	uint32_t out = only_report(map, GK_HID_OUTPUT);

	if (map->collections != 1 || map->collection[0].usage != GK_HID_FIDO ||
	    map->collection[0].type != GK_HID_APPLICATION)
		return 0;
	for (unsigned i = 0; i < GK_HID_FIELDS && i < map->fields; i++)
		if (map->field[i].top != 0)
			return 0;
	return in != 0 && in == out && in % 8 == 0 && in <= 64 * 8;
}

uint8_t gk_hid_roles(const struct gk_hid_map *map)
{
	unsigned roles = is_fido(map) ? GK_ROLE_FIDO : 0;

	for (unsigned i = 0; i < GK_HID_FIELDS && i < map->fields; i++) {
		const struct gk_hid_field *f = &map->field[i];

		if (f->keys)
			roles |= GK_ROLE_KEYBOARD;
		if (f->application == GK_HID_MOUSE && f->kind == GK_HID_INPUT &&
		    !(f->flags & GK_HID_CONSTANT))
			roles |= GK_ROLE_POINTER;
	}
	return (uint8_t)roles;
}

static void take_leds(const struct gk_hid_map *map, const struct gk_hid_field *f,
		      struct gk_hid_leds *leds)
{
	uint32_t len = (map->bits[GK_HID_OUTPUT][f->id] + 7) / 8 + (f->id != 0);

	for (unsigned n = 0; n < GK_HID_LED_REPORT * 8 && n < f->count; n++) {
		uint32_t light = gk_hid_usage(map, f, n) - (GK_HID_PAGE_LEDS << 16) - 1;

		/* Of the same light twice, the first, as for hid-input. */
		if (light > 2 || leds->have >> light & 1 || f->size == 0 ||
		    len > GK_HID_LED_REPORT)
			continue;
		leds->id = f->id;
		leds->len = (uint16_t)len;
		leds->have = (uint8_t)(leds->have | 1u << light);
		leds->bit[light] = f->offset + n * f->size + (f->id != 0 ? 8 : 0);
	}
}

int gk_hid_leds_find(const struct gk_hid_map *map, struct gk_hid_leds *leds)
{
	memset(leds, 0, sizeof(*leds));
	for (unsigned i = 0; i < GK_HID_FIELDS && i < map->fields; i++) {
		const struct gk_hid_field *f = &map->field[i];

		if (f->kind == GK_HID_OUTPUT && of_keyboard(f) &&
		    (f->flags & (GK_HID_VARIABLE | GK_HID_CONSTANT)) ==
			    GK_HID_VARIABLE &&
		    (leds->have == 0 || leds->id == f->id))
			take_leds(map, f, leds);
	}
	return leds->have ? GK_OK : GK_ERR_NOT_FOUND;
}

int gk_hid_leds_report(const struct gk_hid_leds *leds, uint8_t lights,
		       uint8_t out[GK_HID_LED_REPORT])
{
	memset(out, 0, GK_HID_LED_REPORT);
	if (leds->len > GK_HID_LED_REPORT)
		return GK_ERR_LENGTH;
	if (leds->id != 0)
		out[0] = leds->id;
	for (unsigned n = 0; n < 3; n++) {
		uint32_t at = leds->bit[n];

		if ((leds->have & lights) >> n & 1 && at / 8 < leds->len)
			out[at / 8] = (uint8_t)(out[at / 8] | 1u << at % 8);
	}
	return leds->len;
}
