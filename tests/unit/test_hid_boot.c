/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "test.h"

#include "core/hid_boot.h"
#include "core/keycode.h"

/* "+30 -42": what came out, as text, so that a row is readable. */
static const char *text(const struct gk_link_key *ev, int n)
{
	static char buf[GK_HID_BOOT_EVENTS * 8];
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%c%u",
				       i ? " " : "", ev[i].value ? '+' : '-',
				       ev[i].code);
	return buf;
}

static const struct {
	const char *name;
	struct {
		uint8_t report[GK_HID_BOOT_REPORT];
		const char *want;
	} step[5];
} scripts[] = {
	{ "one letter",
	  { { { 0, 0, 0x04 }, "+30" },
	    { { 0, 0, 0x04 }, "" },
	    { { 0 }, "-30" },
	    { { 0 }, "" } } },
	{ "any slot",
	  { { { 0, 0, 0, 0, 0, 0, 0, 0x04 }, "+30" },
	    { { 0, 0, 0, 0x04 }, "" },
	    { { 0 }, "-30" } } },
	{ "shift goes down before its letter and up after it",
	  { { { 0x02, 0, 0x04 }, "+42 +30" }, { { 0 }, "-30 -42" } } },
	{ "all modifiers, bit by bit",
	  { { { 0xff }, "+29 +42 +56 +125 +97 +54 +100 +126" },
	    { { 0xfe }, "-29" },
	    { { 0x81 }, "-42 -56 -125 -97 -54 -100 +29" },
	    { { 0 }, "-29 -126" } } },
	{ "six letters, then six others",
	  { { { 0, 0, 4, 5, 6, 7, 8, 9 }, "+30 +48 +46 +32 +18 +33" },
	    { { 0, 0, 10, 11, 12, 13, 14, 15 },
	      "-30 -48 -46 -32 -18 -33 +34 +35 +23 +36 +37 +38" } } },
	{ "everything at once is 20 events",
	  { { { 0x0f, 0, 4, 5, 6, 7, 8, 9 },
	      "+29 +42 +56 +125 +30 +48 +46 +32 +18 +33" },
	    { { 0xf0, 0, 10, 11, 12, 13, 14, 15 },
	      "-30 -48 -46 -32 -18 -33 -29 -42 -56 -125 +97 +54 +100 +126 "
	      "+34 +35 +23 +36 +37 +38" } } },
	{ "rolling over from one letter to the next",
	  { { { 0, 0, 4 }, "+30" },
	    { { 0, 0, 4, 5 }, "+48" },
	    { { 0, 0, 5 }, "-30" },
	    { { 0 }, "-48" } } },
	{ "the order of the slots means nothing",
	  { { { 0, 0, 4, 5, 6 }, "+30 +48 +46" }, { { 0, 0, 6, 4, 5 }, "" } } },
	{ "a usage twice counts once",
	  { { { 0, 0, 4, 4, 4 }, "+30" },
	    { { 0, 0, 4 }, "" },
	    { { 0, 0, 4, 0, 0, 0, 0, 4 }, "" },
	    { { 0 }, "-30" } } },
	{ "phantom state: letters stay, modifiers do not",
	  { { { 0, 0, 4, 5 }, "+30 +48" },
	    { { 0x02, 0, 1, 1, 1, 1, 1, 1 }, "+42" },
	    { { 0, 0, 1, 1, 1, 1, 1, 1 }, "-42" },
	    { { 0, 0, 4 }, "-48" } } },
	{ "rollover in one slot is enough",
	  { { { 0, 0, 4 }, "+30" },
	    { { 0, 0, 5, 6, 0, 0, 0, 1 }, "" },
	    { { 0, 0, 1, 5 }, "" },
	    { { 0, 0, 5 }, "-30 +48" } } },
	{ "POST fail and undefined errors are no keys",
	  { { { 0, 0, 2, 2, 2, 2, 2, 2 }, "" },
	    { { 0, 0, 4, 3 }, "+30" },
	    { { 0, 0, 2, 2, 2, 2, 2, 2 }, "-30" } } },
	{ "usages without a key code are ignored",
	  { { { 0, 0, 0xa5, 0xff, 0x82 }, "" },
	    { { 0, 0, 0xa5, 4 }, "+30" },
	    { { 0 }, "-30" } } },
	{ "the reserved byte is the maker's",
	  { { { 0, 0xff, 4 }, "+30" }, { { 0, 0x01, 4 }, "" }, { { 0 }, "-30" } } },
	{ "two usages that are one key (non-US hash and backslash)",
	  { { { 0, 0, 0x31 }, "+43" },
	    { { 0, 0, 0x31, 0x32 }, "" },
	    { { 0, 0, 0x32 }, "" },
	    { { 0 }, "-43" } } },
	{ "a modifier in the array does not count",
	  { { { 0, 0, 0xe1, 4 }, "+30" },
	    { { 0x02, 0, 0xe1 }, "-30 +42" },
	    { { 0x02 }, "" },
	    { { 0 }, "-42" } } },
};

static void reports(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct gk_hid_boot k;

		gk_hid_boot_init(&k);
		for (size_t j = 0; j < COUNT(scripts[i].step); j++) {
			struct gk_link_key ev[GK_HID_BOOT_EVENTS];
			int n;

			if (!scripts[i].step[j].want)
				break;
			n = gk_hid_boot_report(&k, scripts[i].step[j].report,
					       GK_HID_BOOT_REPORT, ev);
			CHECK(n >= 0 && n <= GK_HID_BOOT_EVENTS, "%s: %d",
			      scripts[i].name, n);
			CHECK(strcmp(text(ev, n), scripts[i].step[j].want) == 0,
			      "%s, report %zu: \"%s\"", scripts[i].name, j, text(ev, n));
		}
	}
}

static void a_short_report_changes_nothing(void **state)
{
	static const uint8_t held[] = { 0x02, 0, 4, 5, 0, 0, 0, 0 };
	static const uint8_t next[] = { 0x01, 0, 6, 7, 8, 9, 10, 11 };
	struct gk_link_key ev[GK_HID_BOOT_EVENTS];
	struct gk_hid_boot k, before;

	(void)state;
	gk_hid_boot_init(&k);
	assert_int_equal(gk_hid_boot_report(&k, held, sizeof(held), ev), 3);
	before = k;
	for (size_t len = 0; len < GK_HID_BOOT_REPORT; len++) {
		uint8_t *cut = test_malloc(len + 1);

		memcpy(cut, next, len);
		assert_int_equal(gk_hid_boot_report(&k, cut, len, ev), GK_ERR_SHORT);
		assert_memory_equal(&k, &before, sizeof(k));
		test_free(cut);
	}
	assert_int_equal(gk_hid_boot_report(&k, NULL, 0, ev), GK_ERR_SHORT);
}

static void a_long_report_is_read_by_its_first_eight(void **state)
{
	uint8_t report[64] = { 0, 0, 4 };
	struct gk_link_key ev[GK_HID_BOOT_EVENTS];

	(void)state;
	memset(report + 8, 1, sizeof(report) - 8);
	for (size_t len = GK_HID_BOOT_REPORT; len <= sizeof(report); len++) {
		struct gk_hid_boot k;
		int n;

		gk_hid_boot_init(&k);
		n = gk_hid_boot_report(&k, report, len, ev);
		assert_string_equal(text(ev, n), "+30");
	}
}

static void release_lifts_what_is_held(void **state)
{
	static const struct {
		uint8_t report[GK_HID_BOOT_REPORT];
		const char *want;
	} cases[] = {
		{ { 0 }, "" },
		{ { 0x22, 0, 4, 5 }, "-30 -48 -42 -54" },
		{ { 0xff, 0, 4, 5, 6, 7, 8, 9 },
		  "-30 -48 -46 -32 -18 -33 -29 -42 -56 -125 -97 -54 -100 -126" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_link_key ev[GK_HID_BOOT_EVENTS];
		struct gk_hid_boot k;
		int n;

		gk_hid_boot_init(&k);
		n = gk_hid_boot_report(&k, cases[i].report, GK_HID_BOOT_REPORT, ev);
		CHECK(n >= 0, "row %zu", i);
		n = gk_hid_boot_release(&k, ev);
		assert_string_equal(text(ev, n), cases[i].want);
		assert_int_equal(gk_hid_boot_release(&k, ev), 0);
	}
}

/* Every usage in the array: its key down and up again, or nothing at all. */
static void every_usage(void **state)
{
	(void)state;
	for (unsigned u = 0; u < 256; u++) {
		uint8_t report[GK_HID_BOOT_REPORT] = { 0 };
		struct gk_link_key ev[GK_HID_BOOT_EVENTS];
		struct gk_hid_boot k;
		int want = gk_keycode((uint8_t)u) != 0 && (u < 0xe0 || u > 0xe7);

		gk_hid_boot_init(&k);
		report[4] = (uint8_t)u;
		assert_int_equal(gk_hid_boot_report(&k, report, sizeof(report), ev),
				 want);
		if (!want)
			continue;
		assert_int_equal(ev[0].code, gk_keycode((uint8_t)u));
		assert_int_equal(ev[0].value, 1);
		assert_int_equal(gk_hid_boot_release(&k, ev), 1);
		assert_int_equal(ev[0].code, gk_keycode((uint8_t)u));
		assert_int_equal(ev[0].value, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports),
		cmocka_unit_test(a_short_report_changes_nothing),
		cmocka_unit_test(a_long_report_is_read_by_its_first_eight),
		cmocka_unit_test(release_lifts_what_is_held),
		cmocka_unit_test(every_usage),
	};

	return cmocka_run_group_tests_name("hid_boot", tests, NULL, NULL);
}
