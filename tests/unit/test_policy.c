/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/policy.h"
#include "usb_samples.h"

/* clang-format off */
#define KBD { 3, 1, 1, 0x81, 8 }
#define MOUSE { 3, 1, 2, 0x82, 8 }
#define HID { 3, 0, 0, 0x83, 64 }
#define DISK { 8, 6, 80, 0, 0 }
#define CCID { 0x0b, 0, 0, 0x84, 8 }
#define HUBI { 9, 0, 0, 0x81, 1 }
/* clang-format on */

struct itf {
	uint8_t base, sub, protocol, in, max_packet;
};

static const struct {
	const char *name;
	uint8_t device_class;
	uint8_t interfaces;
	struct itf itf[4];
	enum gk_verdict verdict;
	enum gk_reason reason;
	uint8_t asked, granted;
	uint8_t roles[4];
	uint16_t offset;
} cases[] = {
	{ "keyboard",
	  0,
	  1,
	  { KBD },
	  GK_VERDICT_ADMITTED,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 1 },
	  0 },
	{ "keyboard of class EF",
	  0xef,
	  1,
	  { KBD },
	  GK_VERDICT_ADMITTED,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 1 },
	  0 },
	{ "two keyboards",
	  0,
	  2,
	  { KBD, KBD },
	  GK_VERDICT_ADMITTED,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 1, 1 },
	  0 },
	{ "keyboard and media keys",
	  0,
	  2,
	  { KBD, HID },
	  GK_VERDICT_PARTLY,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 1, 0 },
	  0 },
	{ "keyboard last",
	  0,
	  3,
	  { HID, DISK, KBD },
	  GK_VERDICT_PARTLY,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 0, 0, 1 },
	  0 },
	{ "keyboard and mouse",
	  0,
	  2,
	  { KBD, MOUSE },
	  GK_VERDICT_PARTLY,
	  GK_REASON_KEYBOARD,
	  GK_ROLE_KEYBOARD | GK_ROLE_POINTER,
	  1,
	  { 1, 0 },
	  0 },
	{ "keyboard, FIDO, CCID",
	  0,
	  3,
	  { KBD, HID, CCID },
	  GK_VERDICT_PARTLY,
	  GK_REASON_KEYBOARD,
	  GK_ROLE_KEYBOARD | GK_ROLE_SMARTCARD,
	  1,
	  { 1, 0, 0 },
	  0 },
	{ "keyboard with 64 byte packets",
	  0,
	  1,
	  { { 3, 1, 1, 0x81, 64 } },
	  GK_VERDICT_ADMITTED,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 1 },
	  0 },
	{ "packets too small for a report",
	  0,
	  1,
	  { { 3, 1, 1, 0x81, 7 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  1,
	  0,
	  { 0 },
	  0 },
	{ "no interrupt endpoint",
	  0,
	  1,
	  { { 3, 1, 1, 0, 0 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  1,
	  0,
	  { 0 },
	  0 },
	{ "one keyboard works, one cannot",
	  0,
	  2,
	  { { 3, 1, 1, 0, 0 }, KBD },
	  GK_VERDICT_PARTLY,
	  GK_REASON_KEYBOARD,
	  1,
	  1,
	  { 0, 1 },
	  0 },
	{ "not the boot subclass",
	  0,
	  1,
	  { { 3, 0, 1, 0x81, 8 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  0,
	  0,
	  { 0 },
	  0 },
	{ "boot subclass, no protocol",
	  0,
	  1,
	  { { 3, 1, 0, 0x81, 8 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  0,
	  0,
	  { 0 },
	  0 },
	{ "not the HID class",
	  0,
	  1,
	  { { 0xff, 1, 1, 0x81, 8 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  0,
	  0,
	  { 0 },
	  0 },
	{ "mouse",
	  0,
	  1,
	  { MOUSE },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  GK_ROLE_POINTER,
	  0,
	  { 0 },
	  0 },
	{ "smartcard",
	  0,
	  1,
	  { CCID },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  GK_ROLE_SMARTCARD,
	  0,
	  { 0 },
	  0 },
	{ "storage",
	  0,
	  1,
	  { DISK },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  0,
	  0,
	  { 0 },
	  0 },
	{ "no interface",
	  0,
	  0,
	  { { 0 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_NO_ROLE,
	  0,
	  0,
	  { 0 },
	  0 },
	{ "hub", 9, 1, { HUBI }, GK_VERDICT_HUB, GK_REASON_HUB, 0, 0, { 0 }, 0 },
	{ "hub by its interface alone",
	  0,
	  1,
	  { HUBI },
	  GK_VERDICT_HUB,
	  GK_REASON_HUB,
	  0,
	  0,
	  { 0 },
	  0 },
	{ "a hub that is a keyboard",
	  9,
	  1,
	  { KBD },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  100 },
	{ "a hub with a keyboard",
	  9,
	  2,
	  { HUBI, KBD },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  101 },
	{ "a keyboard with a hub",
	  9,
	  2,
	  { KBD, HUBI },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  100 },
	{ "a hub interface hidden in a composite",
	  0,
	  3,
	  { KBD, HID, HUBI },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  102 },
	{ "two hub interfaces",
	  9,
	  2,
	  { HUBI, HUBI },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  101 },
	{ "two hub interfaces, unsaid",
	  0,
	  2,
	  { HUBI, HUBI },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  100 },
	{ "a hub without interfaces",
	  9,
	  0,
	  { { 0 } },
	  GK_VERDICT_REFUSED,
	  GK_REASON_BAD_DESCRIPTOR,
	  0,
	  0,
	  { 0 },
	  4 },
};

static void judgements(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *name = cases[i].name;
		struct gk_usb_device d;
		struct gk_judgement j;
		int chosen;

		memset(&d, 0, sizeof(d));
		memset(&j, 0xee, sizeof(j));
		d.base_class = cases[i].device_class;
		d.configs = 1;
		d.first.value = 5;
		d.first.interfaces = cases[i].interfaces;
		for (unsigned k = 0; k < cases[i].interfaces; k++) {
			const struct itf *itf = &cases[i].itf[k];

			d.first.interface[k].base_class = itf->base;
			d.first.interface[k].sub_class = itf->sub;
			d.first.interface[k].protocol = itf->protocol;
			d.first.interface[k].in.address = itf->in;
			d.first.interface[k].in.max_packet = itf->max_packet;
			d.first.interface[k].offset = (uint16_t)(100 + k);
		}
		/* What stands behind the last interface is none. */
		d.first.interface[cases[i].interfaces] = (struct gk_usb_interface){
			.base_class = 3,
			.sub_class = 1,
			.protocol = 1,
			.endpoints = 1,
			.in = { 0x81, 3, 8, 10 },
		};
		gk_policy_judge(&d, GK_OK, &j);
		CHECK(j.verdict == cases[i].verdict, "%s: verdict %d", name,
		      (int)j.verdict);
		CHECK(j.reason == cases[i].reason, "%s: reason %d", name, (int)j.reason);
		CHECK(j.asked == cases[i].asked, "%s: asked %#x", name, j.asked);
		CHECK(j.granted == cases[i].granted, "%s: granted %#x", name, j.granted);
		CHECK(j.offset == cases[i].offset, "%s: offset %u", name, j.offset);
		chosen = j.verdict != GK_VERDICT_REFUSED;
		CHECK(j.config == (chosen ? 5 : 0), "%s: config %u", name, j.config);
		for (unsigned k = 0; k < GK_USB_INTERFACES; k++)
			CHECK(j.role[k] == (k < 4 ? cases[i].roles[k] : 0),
			      "%s: interface %u has role %#x", name, k, j.role[k]);
	}
}

static void any_parse_error_is_a_refusal(void **state)
{
	(void)state;
	for (int err = GK_ERR_CLOSED; err < 0; err++) {
		struct gk_usb_device d;
		struct gk_judgement j;

		/* What the parser may have seen before the error does not count. */
		memset(&d, 0, sizeof(d));
		memset(&j, 0xee, sizeof(j));
		assert_int_equal(
			gk_usb_parse(sample_keyboard, sizeof(sample_keyboard), &d),
			GK_OK);
		d.error_offset = 77;
		gk_policy_judge(&d, err, &j);
		assert_int_equal(j.verdict, GK_VERDICT_REFUSED);
		assert_int_equal(j.reason, GK_REASON_BAD_DESCRIPTOR);
		assert_int_equal(j.offset, 77);
		assert_int_equal(j.asked, 0);
		assert_int_equal(j.granted, 0);
		assert_int_equal(j.config, 0);
		for (unsigned k = 0; k < GK_USB_INTERFACES; k++)
			assert_int_equal(j.role[k], 0);
	}
}

/* From raw bytes; and only the first configuration counts. */
static void from_bytes(void **state)
{
	uint8_t swapped[18 + 18 + 34];
	struct gk_usb_device d;
	struct gk_judgement j;
	int err;

	(void)state;
	err = gk_usb_parse(sample_keyboard, sizeof(sample_keyboard), &d);
	gk_policy_judge(&d, err, &j);
	assert_int_equal(j.verdict, GK_VERDICT_ADMITTED);
	assert_int_equal(j.config, 1);

	err = gk_usb_parse(sample_mixed, sizeof(sample_mixed), &d);
	gk_policy_judge(&d, err, &j);
	assert_int_equal(j.verdict, GK_VERDICT_PARTLY);
	assert_int_equal(j.config, 3);
	assert_int_equal(j.role[1], GK_ROLE_KEYBOARD);
	assert_int_equal(j.role[0] | j.role[2], 0);

	/* Storage first, the keyboard in configuration 2. */
	memcpy(swapped, sample_keyboard, 18);
	swapped[17] = 2;
	memcpy(swapped + 18, sample_mixed + 139, 18);
	memcpy(swapped + 36, sample_keyboard + 18, 34);
	swapped[36 + 5] = 2;
	err = gk_usb_parse(swapped, sizeof(swapped), &d);
	assert_int_equal(err, GK_OK);
	gk_policy_judge(&d, err, &j);
	assert_int_equal(j.verdict, GK_VERDICT_REFUSED);
	assert_int_equal(j.reason, GK_REASON_NO_ROLE);
}

static void reasons_have_texts(void **state)
{
	(void)state;
	for (unsigned r = 0; r < 0x10000; r++) {
		const char *t = gk_reason_text((uint16_t)r);
		int known = strcmp(t, "unknown reason") != 0;

		CHECK(known == (r <= GK_REASON_MAX), "reason %u: %s", r, t);
		/* They are shown on a line with the port and the class. */
		CHECK(strlen(t) <= 50, "reason %u is long", r);
	}
	assert_string_equal(gk_reason_text(GK_REASON_KEYBOARD), "a keyboard");
	assert_string_equal(gk_reason_text(GK_REASON_NO_ROLE), "no role for it");
}

static void classes_have_texts(void **state)
{
	static const struct {
		uint8_t base_class;
		const char *text;
	} known[] = {
		{ 0x01, "audio" },     { 0x02, "network or serial" },
		{ 0x03, "input" },     { 0x06, "camera" },
		{ 0x07, "printer" },   { 0x08, "storage" },
		{ 0x09, "hub" },       { 0x0a, "network or serial" },
		{ 0x0b, "smartcard" }, { 0x0e, "video" },
		{ 0xe0, "wireless" },  { 0xff, "vendor specific" },
		{ 0x00, "unknown" },   { 0x77, "unknown" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++)
		assert_string_equal(gk_class_text(known[i].base_class), known[i].text);
	for (unsigned c = 0; c < 256; c++)
		CHECK(strlen(gk_class_text((uint8_t)c)) >= 3, "class %#x", c);
}

static void ports(void **state)
{
	static const struct {
		unsigned controller;
		struct gk_port_path path;
		const char *text;
	} rows[] = {
		{ 1, { 0, 0, 1, { 3 } }, "1-3" },
		{ 1, { 0x28, 1, 2, { 3, 2 } }, "1-3.2" },
		{ 2, { 0, 0, 6, { 1, 2, 3, 4, 5, 6 } }, "2-1.2.3.4.5.6" },
		{ 12, { 0, 0, 2, { 10, 100 } }, "12-10.100" },
		{ 0, { 0, 0, 0, { 0 } }, "0" },
		{ 4294967295u,
		  { 0, 0, 7, { 255, 255, 255, 255, 255, 255, 255 } },
		  "4294967295-255.255.255.255.255.255.255" },
		/* A depth that no decoder lets through. */
		{ 1, { 0, 0, 255, { 1, 2, 3, 4, 5, 6, 7 } }, "1-1.2.3.4.5.6.7" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[GK_PORT_TEXT + 1];

		memset(buf, 0x7f, sizeof(buf));
		gk_port_text(rows[i].controller, &rows[i].path, buf);
		assert_string_equal(buf, rows[i].text);
		assert_int_equal(buf[GK_PORT_TEXT], 0x7f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judgements),
		cmocka_unit_test(any_parse_error_is_a_refusal),
		cmocka_unit_test(from_bytes),
		cmocka_unit_test(reasons_have_texts),
		cmocka_unit_test(classes_have_texts),
		cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
