/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "test.h"

#include "core/hid_keys.h"
#include "core/keycode.h"

#define BYTES(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

/* Usage Page 1, Usage Keyboard, Collection Application, Usage Page 7. */
#define KEYBOARD 0x05, 1, 0x09, 6, 0xa1, 1, 0x05, 7
#define BOOT                                                                          \
	0x19, 0xe0, 0x29, 0xe7, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 8, 0x81, 2, 0x95, 1, \
		0x75, 8, 0x81, 1, 0x95, 6, 0x25, 0x65, 0x19, 0, 0x29, 0x65, 0x81, 0,  \
		0xc0

static struct gk_hid_map map;
static struct gk_link_key ev[GK_HID_KEYS_EVENTS];

/* "+30 -42", or "!SHORT" and the like. */
static const char *text(int n)
{
	static char buf[GK_HID_KEYS_EVENTS * 8];
	size_t at = 0;

	if (n < 0)
		return n == GK_ERR_SHORT       ? "!short"
		       : n == GK_ERR_NOT_FOUND ? "!id"
					       : "!other";
	buf[0] = '\0';
	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%c%u",
				       i ? " " : "", ev[i].value ? '+' : '-',
				       ev[i].code);
	return buf;
}

static const struct {
	const char *name;
	uint8_t raw[64];
	size_t raw_len;
	enum gk_hid_manner manner;
	struct {
		uint8_t report[12];
		size_t len;
		const char *want;
	} step[7];
} scripts[] = {
	{ "a boot keyboard",
	  BYTES(KEYBOARD, BOOT),
	  GK_HID_FOR_GATE,
	  { { BYTES(0, 0, 4, 0, 0, 0, 0, 0), "+30" },
	    { BYTES(2, 0, 5, 6, 0, 0, 0, 0), "-30 +42 +48 +46" },
	    { BYTES(0, 0, 1, 1, 1, 1, 1, 1), "-42" },
	    { BYTES(0, 0, 6, 0, 0, 0, 0), "!short" },
	    { BYTES(0, 0, 6, 5, 0, 0, 0, 0, 9, 9), "" },
	    { BYTES(0, 0, 0, 0, 0, 0, 0, 0), "-46 -48" } } },
	{ "the order of hid-input",
	  BYTES(KEYBOARD, BOOT),
	  GK_HID_AS_LINUX,
	  { { BYTES(0, 0, 4, 5, 0, 0, 0, 0), "+30 +48" },
	    { BYTES(2, 0, 6, 7, 0, 0, 0, 0), "+42 -30 +46 -48 +32" },
	    { BYTES(0, 0, 0, 0, 0, 0, 0, 0), "-42 -46 -32" } } },
	{ "values beyond the logical range name no key",
	  BYTES(KEYBOARD, BOOT),
	  GK_HID_FOR_GATE,
	  { { BYTES(0, 0, 0x66, 0xff, 0x65, 0, 0, 0), "+127" },
	    { BYTES(0, 0, 0x80, 0, 0, 0, 0, 0), "-127" } } },
	{ "KEY_UNKNOWN is for Linux",
	  BYTES(KEYBOARD, 0x15, 0, 0x26, 0xff, 0, 0x75, 8, 0x95, 2, 0x19, 0, 0x2a, 0xff,
		0, 0x81, 0, 0xc0),
	  GK_HID_AS_LINUX,
	  { { BYTES(0xc0, 2), "+240" },
	    { BYTES(0xc1, 3), "" },
	    { BYTES(0, 4), "-240 +30" } } },
	{ "and nothing for the gate",
	  BYTES(KEYBOARD, 0x15, 0, 0x26, 0xff, 0, 0x75, 8, 0x95, 2, 0x19, 0, 0x2a, 0xff,
		0, 0x81, 0, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0xc0, 2), "" },
	    { BYTES(0xc1, 4), "+30" },
	    { BYTES(0, 0), "-30" } } },
	{ "a bitmap that is not at a byte's edge",
	  BYTES(KEYBOARD, 0x75, 3, 0x95, 1, 0x81, 3, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 10,
		0x19, 4, 0x29, 13, 0x81, 2, 0x95, 3, 0x81, 3, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0x07, 0xe0), "" },
	    { BYTES(0x08, 0x10), "+30 +36" },
	    { BYTES(0xf8, 0x1f), "+48 +46 +32 +18 +33 +34 +35 +23" },
	    { BYTES(0x00, 0x00), "-30 -48 -46 -32 -18 -33 -34 -35 -23 -36" } } },
	{ "two report ids, and one that is not there",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 8, 0x85, 3, 0x19, 4, 0x29, 11,
		0x81, 2, 0x85, 200, 0x19, 12, 0x29, 19, 0x81, 2, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(3, 1), "+30" },
	    { BYTES(200, 1), "+23" },
	    { BYTES(3, 0), "-30" },
	    { BYTES(4, 1), "!id" },
	    { BYTES(0, 1), "!id" },
	    { BYTES(3), "!short" },
	    { BYTES(200, 0), "-23" } } },
	{ "one key in two reports is up when either says so",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 1, 0x75, 8, 0x95, 1, 0x85, 1, 9, 4, 0x81, 2,
		0x85, 2, 9, 4, 0x81, 2, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(1, 1), "+30" },
	    { BYTES(2, 1), "" },
	    { BYTES(1, 0), "-30" },
	    { BYTES(2, 0), "" },
	    { BYTES(2, 1), "+30" } } },
	{ "a consumer key beside the keys",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 1, 9, 4, 0x81, 2, 0x05, 12, 9,
		0xe9, 0x81, 2, 0x95, 6, 0x81, 3, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(2), "" }, { BYTES(3), "+30" }, { BYTES(0), "-30" } } },
	{ "an array where 0 names a key: it is held before the first report",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 3, 0x75, 8, 0x95, 1, 0x19, 4, 0x29, 7, 0x81, 0,
		0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0), "" }, { BYTES(1), "+48" }, { BYTES(0), "-48 +30" } } },
	{ "a signed bitmap",
	  BYTES(KEYBOARD, 0x15, 0xff, 0x25, 0, 0x75, 4, 0x95, 2, 0x19, 4, 0x29, 5, 0x81,
		2, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0x0f), "+30" }, { BYTES(0xf1), "-30 +48" } } },
	{ "a null state",
	  BYTES(KEYBOARD, 0x15, 1, 0x25, 2, 0x75, 4, 0x95, 2, 0x19, 4, 0x29, 5, 0x81,
		0x42, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0x00), "" }, { BYTES(0x21), "+30 +48" }, { BYTES(0xf0), "" } } },
	{ "relative keys have no release of their own",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 1, 0x75, 4, 0x95, 2, 0x19, 4, 0x29, 5, 0x81, 6,
		0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0x01), "+30 -30" },
	    { BYTES(0x11), "+30 -30 +48 -48" },
	    { BYTES(0x00), "" } } },
	{ "controls of 64 bits count by their first 32",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 1, 0x75, 64, 0x95, 1, 9, 4, 0x81, 2, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0, 0, 0, 0, 1, 0, 0, 0), "" },
	    { BYTES(1, 0, 0, 0, 0, 0, 0, 0), "+30" },
	    { BYTES(0, 0, 0, 0x80, 0, 0, 0, 0), "-30" } } },
	{ "controls of no bits",
	  BYTES(KEYBOARD, 0x15, 0, 0x25, 1, 0x75, 0, 0x95, 9, 9, 4, 0x81, 2, 9, 5, 0x81,
		0, 0xc0),
	  GK_HID_FOR_GATE,
	  { { BYTES(0xff), "" } } },
};

static void reports(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct gk_hid_keys k;

		CHECK(gk_hid_parse(scripts[i].raw, scripts[i].raw_len, &map) == GK_OK,
		      "%s: %s at %u", scripts[i].name, gk_hid_reason_text(map.reason),
		      map.error_offset);
		gk_hid_keys_init(&map, &k, scripts[i].manner);
		for (size_t j = 0; j < COUNT(scripts[i].step); j++) {
			size_t len = scripts[i].step[j].len;
			uint8_t *report;
			const char *got;

			if (!scripts[i].step[j].want)
				break;
			/* Its own memory: a read past its end is seen. */
			report = test_malloc(len);
			memcpy(report, scripts[i].step[j].report, len);
			got = text(gk_hid_keys_report(&map, &k, report, len, ev));
			CHECK(strcmp(got, scripts[i].step[j].want) == 0,
			      "%s, report %zu: \"%s\"", scripts[i].name, j, got);
			test_free(report);
		}
	}
}

static void nothing_changes_with_what_is_dropped(void **state)
{
	static const uint8_t raw[] = { KEYBOARD, BOOT };
	static const uint8_t held[8] = { 2, 0, 4, 5 }, next[8] = { 1, 0, 6 };
	struct gk_hid_keys k, before;

	(void)state;
	assert_int_equal(gk_hid_parse(raw, sizeof(raw), &map), GK_OK);
	gk_hid_keys_init(&map, &k, GK_HID_FOR_GATE);
	assert_int_equal(gk_hid_keys_report(&map, &k, held, 8, ev), 3);
	before = k;
	for (size_t len = 0; len < 8; len++) {
		assert_int_equal(
			gk_hid_keys_report(&map, &k, len ? next : NULL, len, ev),
			GK_ERR_SHORT);
		assert_memory_equal(&k, &before, sizeof(k));
	}
}

static void release_lifts_what_is_held(void **state)
{
	static const uint8_t raw[] = { KEYBOARD, BOOT };
	static const uint8_t held[8] = { 0x22, 0, 4, 5 };
	struct gk_hid_keys k, fresh;

	(void)state;
	assert_int_equal(gk_hid_parse(raw, sizeof(raw), &map), GK_OK);
	gk_hid_keys_init(&map, &fresh, GK_HID_FOR_GATE);
	k = fresh;
	assert_int_equal(gk_hid_keys_report(&map, &k, held, 8, ev), 4);
	assert_string_equal(text(gk_hid_keys_release(&map, &k, ev)), "-30 -42 -48 -54");
	assert_memory_equal(&k, &fresh, sizeof(k));
	assert_int_equal(gk_hid_keys_release(&map, &k, ev), 0);
}

/* All keys at once, down and up: as many events as there are key codes. */
static void every_usage(void **state)
{
	static const uint8_t raw[] = { KEYBOARD, 0x15, 0, 0x25, 1,    0x75, 1, 0x96, 0,
				       1,	 0x19, 0, 0x29, 0xff, 0x81, 2, 0xc0 };
	uint8_t report[32], codes[256] = { 0 };
	struct gk_hid_keys k;
	int want = 0;

	(void)state;
	for (unsigned u = 0; u < 256; u++)
		codes[gk_keycode((uint8_t)u)] = 1;
	for (unsigned c = 1; c < 256; c++)
		want += codes[c];
	assert_int_equal(gk_hid_parse(raw, sizeof(raw), &map), GK_OK);
	gk_hid_keys_init(&map, &k, GK_HID_FOR_GATE);
	memset(report, 0xff, sizeof(report));
	assert_int_equal(gk_hid_keys_report(&map, &k, report, sizeof(report), ev), want);
	assert_int_equal(gk_hid_keys_report(&map, &k, report, sizeof(report), ev), 0);
	memset(report, 0, sizeof(report));
	assert_int_equal(gk_hid_keys_report(&map, &k, report, sizeof(report), ev), want);
	for (unsigned u = 0; u < 256; u++) {
		uint16_t code = gk_keycode((uint8_t)u);

		memset(report, 0, sizeof(report));
		report[u / 8] = (uint8_t)(1u << u % 8);
		assert_int_equal(
			gk_hid_keys_report(&map, &k, report, sizeof(report), ev),
			code != 0);
		if (code) {
			assert_int_equal(ev[0].code, code);
			assert_int_equal(ev[0].value, 1);
		}
		memset(report, 0, sizeof(report));
		assert_int_equal(
			gk_hid_keys_report(&map, &k, report, sizeof(report), ev),
			code != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports),
		cmocka_unit_test(nothing_changes_with_what_is_dropped),
		cmocka_unit_test(release_lifts_what_is_held),
		cmocka_unit_test(every_usage),
	};

	return cmocka_run_group_tests_name("hid_keys", tests, NULL, NULL);
}
