/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/hid_report.h"
#include "core/link.h"

/* A boot keyboard: HID 1.11 E.6. */
static const uint8_t keyboard[] = {
	0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15,
	0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08,
	0x81, 0x01, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91,
	0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06, 0x75, 0x08, 0x15, 0x00,
	0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, 0xc0,
};

static struct gk_hid_map map;

#define ROW(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *name;
	uint8_t raw[24];
	size_t len;
	enum gk_hid_reason reason;
	uint32_t offset;
} rows[] = {
	{ "one byte that is no item", ROW(0x00), GK_HID_FINE, 0 },
	{ "an empty collection", ROW(0xa1, 1, 0xc0), GK_HID_FINE, 0 },
	{ "unknown main and local items", ROW(0xd0, 0xe1, 7, 0xb8, 0xc9, 1), GK_HID_FINE,
	  0 },
	{ "reserved type", ROW(0x0c, 0x3d, 1), GK_HID_FINE, 0 },
	{ "a long item", ROW(0xfe, 2, 9, 0xa1, 0xa1), GK_HID_FINE, 0 },
	{ "a long item of no bytes", ROW(0xfe, 0, 9), GK_HID_FINE, 0 },
	{ "a long item of any type", ROW(0xf0, 1, 9, 0xff), GK_HID_FINE, 0 },
	{ "a long item that is cut off", ROW(0x00, 0xfe, 2, 9, 0xa1), GK_HID_CUT_OFF,
	  1 },
	{ "a long item without its tag", ROW(0xfe, 2), GK_HID_CUT_OFF, 0 },
	{ "data of one byte cut off", ROW(0x05), GK_HID_CUT_OFF, 0 },
	{ "data of two bytes cut off", ROW(0x05, 1, 0x06, 1), GK_HID_CUT_OFF, 2 },
	{ "data of four bytes cut off", ROW(0x07, 1, 0, 0), GK_HID_CUT_OFF, 0 },
	{ "global tag 12", ROW(0xc4), GK_HID_UNKNOWN_GLOBAL, 0 },
	{ "global tag 14", ROW(0x05, 1, 0xe5, 0), GK_HID_UNKNOWN_GLOBAL, 2 },
	{ "physical extents and units",
	  ROW(0x35, 0, 0x46, 0xff, 0, 0x55, 0xe, 0x65, 0x13), GK_HID_FINE, 0 },
	{ "pop without push", ROW(0xb4), GK_HID_POP_WITHOUT_PUSH, 0 },
	{ "push is not popped", ROW(0xa4), GK_HID_FINE, 0 },
	{ "report size 256", ROW(0x76, 0, 1), GK_HID_FINE, 0 },
	{ "report size 257", ROW(0x76, 1, 1), GK_HID_BAD_REPORT_SIZE, 0 },
	{ "report size -1", ROW(0x77, 0xff, 0xff, 0xff, 0xff), GK_HID_BAD_REPORT_SIZE,
	  0 },
	{ "report count 12288", ROW(0x96, 0, 0x30), GK_HID_FINE, 0 },
	{ "report count 12289", ROW(0x96, 1, 0x30), GK_HID_BAD_REPORT_COUNT, 0 },
	{ "report id 0", ROW(0x85, 0), GK_HID_BAD_REPORT_ID, 0 },
	{ "report id without data", ROW(0x84), GK_HID_BAD_REPORT_ID, 0 },
	{ "report id 255", ROW(0x85, 255), GK_HID_FINE, 0 },
	{ "report id 256", ROW(0x86, 0, 1), GK_HID_BAD_REPORT_ID, 0 },
	{ "256 bits 512 times", ROW(0x76, 0, 1, 0x96, 0, 2, 0x81, 3), GK_HID_LONG_REPORT,
	  6 },
	{ "256 bits 511 times, and 8 bits more than fit",
	  ROW(0x76, 0, 1, 0x96, 0xff, 1, 0x81, 3, 0x75, 8, 0x95, 31, 0x81, 3, 0x95, 1,
	      0x81, 3),
	  GK_HID_LONG_REPORT, 16 },
	{ "maximum below minimum", ROW(0x15, 2, 0x25, 1, 0x81, 3),
	  GK_HID_BAD_LOGICAL_RANGE, 4 },
	{ "minimum -1, maximum 0xff is -1", ROW(0x15, 0xff, 0x25, 0xff, 0x81, 3),
	  GK_HID_FINE, 0 },
	{ "minimum -1, maximum 0xfe is -2", ROW(0x15, 0xff, 0x25, 0xfe, 0x81, 3),
	  GK_HID_BAD_LOGICAL_RANGE, 4 },
	{ "minimum 0, maximum 0xff is 255", ROW(0x15, 0, 0x25, 0xff, 0x81, 3),
	  GK_HID_FINE, 0 },
	{ "end without collection", ROW(0xc0), GK_HID_END_WITHOUT_COLLECTION, 0 },
	{ "one end too many", ROW(0xa1, 1, 0xc0, 0xc0), GK_HID_END_WITHOUT_COLLECTION,
	  3 },
	{ "collection without end", ROW(0xa1, 1), GK_HID_OPEN_COLLECTION, 2 },
	{ "delimiter in a delimiter", ROW(0xa9, 1, 0xa9, 1), GK_HID_NESTED_DELIMITER,
	  2 },
	{ "end without delimiter", ROW(0xa9, 0), GK_HID_END_WITHOUT_DELIMITER, 0 },
	{ "delimiter without end", ROW(0xa9, 1, 0x09, 1), GK_HID_OPEN_DELIMITER, 4 },
	{ "a main item ends the delimiter", ROW(0xa9, 1, 0x09, 1, 0xa1, 1, 0xc0),
	  GK_HID_FINE, 0 },
	{ "usages to the last one", ROW(0x1a, 0, 0, 0x2a, 0xff, 0x2f, 0x81, 2),
	  GK_HID_FINE, 0 },
	{ "more usages than there may be",
	  ROW(0x1a, 0, 0, 0x2a, 0xfe, 0x2f, 9, 1, 9, 2, 9, 3), GK_HID_TOO_MANY_USAGES,
	  8 },
	{ "a range of 32 bits is cut",
	  ROW(0x1b, 0, 0, 7, 0, 0x2b, 0xff, 0xff, 0xff, 0xff, 0x81, 2), GK_HID_FINE, 0 },
};

static void what_is_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int err = gk_hid_parse(rows[i].raw, rows[i].len, &map);

		CHECK(map.reason == rows[i].reason && map.error_offset == rows[i].offset,
		      "%s: %s at %u", rows[i].name, gk_hid_reason_text(map.reason),
		      map.error_offset);
		CHECK((err == GK_OK) == (rows[i].reason == GK_HID_FINE), "%s: %d",
		      rows[i].name, err);
	}
}

/* Each prefix in memory of its own, so that a read past its end is seen. */
static void cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t len = 0; len <= sizeof(keyboard); len++) {
		uint8_t *cut = test_malloc(len + 1);
		int err;

		memcpy(cut, keyboard, len);
		err = gk_hid_parse(cut, len, &map);
		if (len == sizeof(keyboard)) {
			assert_int_equal(err, GK_OK);
		} else if (len >= 6) {
			assert_true(err == GK_ERR_SHORT || err == GK_ERR_VALUE);
			assert_true(map.reason == GK_HID_CUT_OFF ||
				    map.reason == GK_HID_OPEN_COLLECTION);
			assert_int_equal(map.fields, 0);
		}
		test_free(cut);
	}
	assert_int_equal(gk_hid_parse(NULL, 0, &map), GK_ERR_SHORT);
	assert_int_equal(map.reason, GK_HID_EMPTY);
}

/* Every byte of a good descriptor changed to every value: no more is asked of
 * the result than that it is the same again over other memory. */
static void nothing_is_left_uninitialised(void **state)
{
	static struct gk_hid_map other;
	uint8_t raw[sizeof(keyboard)];

	(void)state;
	for (size_t i = 0; i < sizeof(keyboard); i++) {
		for (unsigned v = 0; v < 256; v += 3) {
			int a, b;

			memcpy(raw, keyboard, sizeof(raw));
			raw[i] = (uint8_t)v;
			memset(&map, 0xff, sizeof(map));
			memset(&other, 0x00, sizeof(other));
			a = gk_hid_parse(raw, sizeof(raw), &map);
			b = gk_hid_parse(raw, sizeof(raw), &other);
			assert_int_equal(a, b);
			assert_memory_equal(&map, &other, sizeof(map));
		}
	}
}

struct text {
	uint8_t raw[GK_HID_DESC_MAX + 16];
	size_t len;
};

static void add(struct text *t, size_t times, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < times; i++) {
		assert_true(t->len + len <= sizeof(t->raw));
		memcpy(t->raw + t->len, bytes, len);
		t->len += len;
	}
}

#define ADD(t, times, ...) \
	add(t, times, (uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

static void head(struct text *t)
{
	t->len = 0;
	ADD(t, 1, 0x05, 1, 0x09, 6, 0xa1, 1, 0x05, 7, 0x15, 0, 0x25, 1, 0x75, 1);
}

static enum gk_hid_reason parse(const struct text *t)
{
	(void)!gk_hid_parse(t->raw, t->len, &map);
	return map.reason;
}

/* As many as there may be, and one more. */
static void each_cap(void **state)
{
	static struct text t;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
#define WANT(r)                                                                 \
	CHECK(parse(&t) == (more ? (r) : GK_HID_FINE), "line %d: %s", __LINE__, \
	      gk_hid_reason_text(map.reason))
		t.len = 0;
		ADD(&t, GK_HID_DESC_MAX + more, 0x00);
		WANT(GK_HID_TOO_LONG);
		t.len = 0;
		ADD(&t, GK_HID_PUSHES + more, 0xa4);
		ADD(&t, GK_HID_PUSHES + more, 0xb4);
		WANT(GK_HID_TOO_MANY_PUSHES);
		t.len = 0;
		ADD(&t, GK_HID_DEPTH + more, 0xa1, 1);
		ADD(&t, GK_HID_DEPTH + more, 0xc0);
		WANT(GK_HID_TOO_DEEP);
		t.len = 0;
		ADD(&t, GK_HID_COLLECTIONS + more, 0xa1, 1, 0xc0);
		WANT(GK_HID_TOO_MANY_COLLECTIONS);
		t.len = 0;
		ADD(&t, GK_HID_FIELDS + more, 0x08, 0x80);
		WANT(GK_HID_TOO_MANY_FIELDS);
		t.len = 0;
		/* Usages 0: each begins a run of its own. */
		ADD(&t, GK_HID_RANGES + more, 0x08);
		WANT(GK_HID_TOO_MANY_USAGES);
		head(&t);
		ADD(&t, 1, 0x19, 4, 0x29, 9, 0x96, (uint8_t)(more ? 1 : 0), 0x10, 0x81,
		    2);
		ADD(&t, 1, 0xc0);
		WANT(GK_HID_TOO_MANY_KEYS);
		head(&t);
		ADD(&t, 1, 0x19, 4, 0x29, 9, 0x95, (uint8_t)(64 + more), 0x81, 0);
		ADD(&t, 1, 0x19, 4, 0x29, 9, 0x95, 64, 0x81, 0, 0xc0);
		WANT(GK_HID_TOO_MANY_KEYS);
#undef WANT
	}
}

static void want_usages(const char *name, const struct gk_hid_field *f,
			const uint32_t *want, size_t count)
{
	for (size_t i = 0; i < count; i++)
		CHECK(gk_hid_usage(&map, f, (uint32_t)i) == want[i], "%s, %zu: %08x",
		      name, i, gk_hid_usage(&map, f, (uint32_t)i));
}

static void usages(void **state)
{
	static const struct {
		const char *name;
		uint8_t raw[24];
		size_t len;
		unsigned usages;
		uint32_t want[5];
	} cases[] = {
		{ "one by one",
		  ROW(0x05, 7, 9, 4, 9, 5, 9, 8, 0x81, 2),
		  3,
		  { 0x70004, 0x70005, 0x70008, 0x70008, 0x70008 } },
		{ "a range and one",
		  ROW(0x05, 7, 0x19, 4, 0x29, 5, 9, 9, 0x81, 2),
		  3,
		  { 0x70004, 0x70005, 0x70009 } },
		{ "the page after them",
		  ROW(0x05, 1, 9, 4, 9, 5, 0x05, 7, 0x81, 2),
		  2,
		  { 0x70004, 0x70005 } },
		{ "two pages, each before its usage",
		  ROW(0x05, 1, 9, 4, 0x05, 7, 9, 5, 0x81, 2),
		  2,
		  { 0x10004, 0x70005 } },
		{ "a third page after them all",
		  ROW(0x05, 1, 9, 4, 0x05, 7, 9, 5, 0x05, 8, 0x81, 2),
		  2,
		  { 0x80004, 0x80005 } },
		{ "one that brings its page",
		  ROW(0x05, 1, 9, 4, 0x0b, 5, 0, 7, 0, 0x05, 9, 0x81, 2),
		  2,
		  { 0x90004, 0x70005 } },
		{ "the first of two alternatives",
		  ROW(0x05, 7, 0xa9, 1, 9, 4, 9, 5, 0xa9, 0, 0xa9, 1, 9, 6, 0xa9, 0,
		      0x81, 2),
		  2,
		  { 0x70004, 0x70005, 0x70005 } },
		{ "a range that ends before it begins has no sense, and all usages",
		  ROW(0x05, 7, 0x19, 5, 0x29, 4, 0x81, 2),
		  GK_HID_USAGES,
		  { 0x70005, 0x70006 } },
		{ "and none behind another usage",
		  ROW(0x05, 7, 9, 9, 0x19, 5, 0x29, 4, 0x81, 2),
		  1,
		  { 0x70009, 0x70009 } },
		{ "a maximum alone",
		  ROW(0x05, 7, 0x29, 2, 0x81, 2),
		  3,
		  { 0x70000, 0x70001, 0x70002 } },
		{ "no usage goes beyond its page",
		  ROW(0x05, 7, 0x0a, 0xff, 0xff, 9, 0, 0x81, 2),
		  2,
		  { 0x7ffff, 0x70000 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(gk_hid_parse(cases[i].raw, cases[i].len, &map), GK_OK);
		CHECK(map.fields == 1, "%s: %u fields", cases[i].name, map.fields);
		if (cases[i].usages <= 3) {
			CHECK(map.field[0].usages == cases[i].usages, "%s: %u usages",
			      cases[i].name, map.field[0].usages);
			want_usages(cases[i].name, &map.field[0], cases[i].want,
				    cases[i].usages);
		} else {
			want_usages(cases[i].name, &map.field[0], cases[i].want, 2);
		}
	}
}

static void padding_moves_what_follows(void **state)
{
	static const uint8_t raw[] = { 0x75, 3,	   0x95, 2,    0x81, 3, /* 6 bits */
				       0x85, 7,	   0x81, 3,		/* of report 7 */
				       0xa4, 0x85, 8,	 0x81, 3,    0xb4, /* of 8 */
				       0x09, 1,	   0x81, 2 };		   /* 7 again */

	(void)state;
	assert_int_equal(gk_hid_parse(raw, sizeof(raw), &map), GK_OK);
	assert_int_equal(map.fields, 1);
	assert_int_equal(map.field[0].id, 7);
	assert_int_equal(map.field[0].offset, 6);
	assert_int_equal(map.field[0].top, GK_HID_NO_COLLECTION);
	assert_int_equal(map.bits[GK_HID_INPUT][0], 6);
	assert_int_equal(map.bits[GK_HID_INPUT][7], 12);
	assert_int_equal(map.bits[GK_HID_INPUT][8], 6);
	assert_int_equal(map.numbered[GK_HID_INPUT], 1);
	assert_int_equal(map.numbered[GK_HID_OUTPUT], 0);
}

static void lights(void **state)
{
	static const struct {
		const char *name;
		uint8_t raw[32];
		size_t len;
		uint8_t have;
		int bytes;
		uint8_t all[4];
	} cases[] = {
		{ "no keyboard",
		  ROW(0x05, 1, 9, 2, 0xa1, 1, 0x05, 8, 9, 2, 0x75, 1, 0x95, 1, 0x91, 2,
		      0xc0),
		  0,
		  0,
		  { 0 } },
		{ "Caps alone, with a report id",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 8, 9, 2, 0x75, 1, 0x95, 1, 0x85, 5,
		      0x91, 2, 0xc0),
		  2,
		  2,
		  { 5, 1 } },
		{ "in another order, of a byte each",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 8, 9, 3, 9, 2, 9, 1, 0x75, 8, 0x95,
		      3, 0x91, 2, 0xc0),
		  7,
		  3,
		  { 1, 1, 1 } },
		{ "as an array there is nothing to set",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 8, 0x19, 1, 0x29, 3, 0x75, 8, 0x95,
		      1, 0x91, 0, 0xc0),
		  0,
		  0,
		  { 0 } },
		{ "constant",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 8, 0x19, 1, 0x29, 3, 0x75, 1, 0x95,
		      3, 0x91, 3, 0xc0),
		  0,
		  0,
		  { 0 } },
		{ "a report too long for lights",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 8, 0x19, 1, 0x29, 3, 0x75, 8, 0x95,
		      65, 0x91, 2, 0xc0),
		  0,
		  0,
		  { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t out[GK_HID_LED_REPORT];
		struct gk_hid_leds leds;
		int err;

		assert_int_equal(gk_hid_parse(cases[i].raw, cases[i].len, &map), GK_OK);
		err = gk_hid_leds_find(&map, &leds);
		CHECK(err == (cases[i].have ? GK_OK : GK_ERR_NOT_FOUND), "%s: %d",
		      cases[i].name, err);
		CHECK(leds.have == cases[i].have, "%s: %u", cases[i].name, leds.have);
		if (err)
			continue;
		assert_int_equal(gk_hid_leds_report(&leds, 7, out), cases[i].bytes);
		assert_memory_equal(out, cases[i].all, (size_t)cases[i].bytes);
		assert_int_equal(gk_hid_leds_report(&leds, 0, out), cases[i].bytes);
		assert_int_equal(out[0], leds.id);
		assert_int_equal(out[cases[i].bytes - 1], 0);
		leds.len = GK_HID_LED_REPORT + 1;
		assert_int_equal(gk_hid_leds_report(&leds, 7, out), GK_ERR_LENGTH);
	}
	assert_int_equal(gk_hid_parse(keyboard, sizeof(keyboard), &map), GK_OK);
	for (uint8_t l = 0; l < 8; l++) {
		uint8_t out[GK_HID_LED_REPORT];
		struct gk_hid_leds leds;

		assert_int_equal(gk_hid_leds_find(&map, &leds), GK_OK);
		assert_int_equal(gk_hid_leds_report(&leds, l, out), 1);
		assert_int_equal(out[0], l);
	}
}

static void roles(void **state)
{
	static const struct {
		const char *name;
		uint8_t raw[32];
		size_t len;
		uint8_t want;
	} cases[] = {
		{ "keypad",
		  ROW(0x05, 1, 9, 7, 0xa1, 1, 0x05, 7, 9, 4, 0x75, 8, 0x95, 1, 0x81, 0,
		      0xc0),
		  GK_ROLE_KEYBOARD },
		{ "keyboard without keys",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 9, 9, 4, 0x75, 8, 0x95, 1, 0x81, 0,
		      0xc0),
		  0 },
		{ "keyboard with keys that never change",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 7, 9, 4, 0x75, 8, 0x95, 1, 0x81, 1,
		      0xc0),
		  0 },
		{ "keyboard with keys that go the other way",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 0x05, 7, 9, 4, 0x75, 8, 0x95, 1, 0x91, 0,
		      0xc0),
		  0 },
		{ "keys in a consumer control",
		  ROW(0x05, 12, 9, 1, 0xa1, 1, 0x05, 7, 9, 4, 0x75, 8, 0x95, 1, 0x81, 0,
		      0xc0),
		  0 },
		{ "keys in a physical collection of the keyboard",
		  ROW(0x05, 1, 9, 6, 0xa1, 1, 9, 1, 0xa1, 0, 0x05, 7, 9, 4, 0x75, 8,
		      0x95, 1, 0x81, 0, 0xc0, 0xc0),
		  GK_ROLE_KEYBOARD },
		{ "keyboard as a logical collection",
		  ROW(0x05, 1, 9, 6, 0xa1, 2, 0x05, 7, 9, 4, 0x75, 8, 0x95, 1, 0x81, 0,
		      0xc0),
		  0 },
		{ "mouse",
		  ROW(0x05, 1, 9, 2, 0xa1, 1, 9, 0x30, 0x75, 8, 0x95, 1, 0x81, 6, 0xc0),
		  GK_ROLE_POINTER },
		{ "fido of one byte",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 8, 0x95, 1, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0),
		  GK_ROLE_FIDO },
		{ "fido of 64",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 8, 0x95, 64, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0),
		  GK_ROLE_FIDO },
		{ "fido of 65",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 8, 0x95, 65, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0),
		  0 },
		{ "fido of 12 bits",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 4, 0x95, 3, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0),
		  0 },
		{ "fido without output",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 8, 0x95, 64, 9, 0x20, 0x81,
		      2, 0xc0),
		  0 },
		{ "fido with a report id",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x85, 1, 0x75, 8, 0x95, 63, 9,
		      0x20, 0x81, 2, 9, 0x21, 0x91, 2, 0xc0),
		  0 },
		{ "fido and a second collection",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 8, 0x95, 64, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0, 0xa1, 1, 0xc0),
		  0 },
		{ "fido and a field outside of it",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 1, 0x75, 8, 0x95, 64, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0, 9, 3, 0xb1, 2),
		  0 },
		{ "fido as a logical collection",
		  ROW(0x06, 0xd0, 0xf1, 9, 1, 0xa1, 2, 0x75, 8, 0x95, 64, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0),
		  0 },
		{ "another usage of the fido page",
		  ROW(0x06, 0xd0, 0xf1, 9, 2, 0xa1, 1, 0x75, 8, 0x95, 64, 9, 0x20, 0x81,
		      2, 9, 0x21, 0x91, 2, 0xc0),
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(gk_hid_parse(cases[i].raw, cases[i].len, &map), GK_OK);
		CHECK(gk_hid_roles(&map) == cases[i].want, "%s: %u", cases[i].name,
		      gk_hid_roles(&map));
	}
}

static void every_reason_has_its_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GK_HID_REASONS; i++)
		for (unsigned j = 0; j <= i; j++)
			CHECK((strcmp(gk_hid_reason_text((uint16_t)i),
				      gk_hid_reason_text((uint16_t)j)) == 0) == (i == j),
			      "%u and %u", i, j);
	assert_string_equal(gk_hid_reason_text(GK_HID_REASONS), "unknown reason");
	assert_string_equal(gk_hid_reason_text(0xffff), "unknown reason");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_accepted),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(nothing_is_left_uninitialised),
		cmocka_unit_test(each_cap),
		cmocka_unit_test(usages),
		cmocka_unit_test(padding_moves_what_follows),
		cmocka_unit_test(lights),
		cmocka_unit_test(roles),
		cmocka_unit_test(every_reason_has_its_text),
	};

	return cmocka_run_group_tests_name("hid_report", tests, NULL, NULL);
}
