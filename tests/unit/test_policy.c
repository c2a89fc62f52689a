/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/policy.h"
#include "usb_samples.h"

enum {
	K = GK_ROLE_KEYBOARD,
	F = GK_ROLE_FIDO,
	S = GK_ROLE_SMARTCARD,
	P = GK_ROLE_POINTER,
	ANY = K | F | P, /* a HID interface before its report descriptor is read */
};

struct itf {
	uint8_t base, sub, protocol, in, max_packet;
	uint16_t report;
};

/* clang-format off */
#define KBD { 3, 1, 1, 0x81, 8, 60 }
#define MOUSE { 3, 1, 2, 0x82, 8, 60 }
#define HID { 3, 0, 0, 0x83, 64, 34 }
#define DISK { 8, 6, 80, 0, 0, 0 }
#define CCID { 0x0b, 0, 0, 0x84, 8, 0 }
#define HUBI { 9, 0, 0, 0x81, 1, 0 }
#define ADMITTED GK_VERDICT_ADMITTED, GK_REASON_ADMITTED
#define PARTLY GK_VERDICT_PARTLY, GK_REASON_ADMITTED
#define NO_ROLE GK_VERDICT_REFUSED, GK_REASON_NO_ROLE
#define BROKEN GK_VERDICT_REFUSED, GK_REASON_BAD_DESCRIPTOR
#define HUB GK_VERDICT_HUB, GK_REASON_HUB

/* By the built-in rules. */
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
	{ "keyboard", 0, 1, { KBD }, ADMITTED, K, K, { K }, 0 },
	{ "keyboard of class EF", 0xef, 1, { KBD }, ADMITTED, K, K, { K }, 0 },
	{ "two keyboards", 0, 2, { KBD, KBD }, ADMITTED, K, K, { K, K }, 0 },
	{ "keyboard and media keys", 0, 2, { KBD, HID }, ADMITTED, ANY, K | F,
	  { K, K | F }, 0 },
	{ "keyboard last", 0, 3, { HID, DISK, KBD }, PARTLY, ANY, K | F,
	  { K | F, 0, K }, 0 },
	{ "keyboard and storage", 0, 2, { KBD, DISK }, PARTLY, K, K, { K }, 0 },
	{ "keyboard and mouse", 0, 2, { KBD, MOUSE }, PARTLY, K | P, K, { K }, 0 },
	{ "keyboard, FIDO, CCID", 0, 3, { KBD, HID, CCID }, ADMITTED, ANY | S,
	  K | F | S, { K, K | F, S }, 0 },
	{ "64 byte packets", 0, 1, { { 3, 1, 1, 0x81, 64, 60 } }, ADMITTED, K, K,
	  { K }, 0 },
	{ "packets too small for a report", 0, 1, { { 3, 1, 1, 0x81, 7, 60 } }, NO_ROLE,
	  K, 0, { 0 }, 0 },
	{ "no interrupt endpoint", 0, 1, { { 3, 1, 1, 0, 0, 60 } }, NO_ROLE, K, 0,
	  { 0 }, 0 },
	{ "one keyboard works, one cannot", 0, 2, { { 3, 1, 1, 0, 0, 60 }, KBD },
	  PARTLY, K, K, { 0, K }, 0 },
	{ "not the boot subclass", 0, 1, { { 3, 0, 1, 0x81, 8, 60 } }, ADMITTED, ANY,
	  K | F, { K | F }, 0 },
	{ "boot subclass, no protocol", 0, 1, { { 3, 1, 0, 0x81, 8, 60 } }, ADMITTED,
	  ANY, K | F, { K | F }, 0 },
	{ "HID without a report descriptor", 0, 1, { { 3, 0, 0, 0x81, 8, 0 } },
	  NO_ROLE, ANY, 0, { 0 }, 0 },
	{ "HID with one of 4097 bytes", 0, 1, { { 3, 0, 0, 0x81, 8, 4097 } },
	  NO_ROLE, ANY, 0, { 0 }, 0 },
	{ "HID without an endpoint", 0, 1, { { 3, 0, 0, 0, 0, 34 } }, NO_ROLE, ANY, 0,
	  { 0 }, 0 },
	{ "not the HID class", 0, 1, { { 0xff, 1, 1, 0x81, 8, 60 } }, NO_ROLE, 0, 0,
	  { 0 }, 0 },
	{ "mouse", 0, 1, { MOUSE }, NO_ROLE, P, 0, { 0 }, 0 },
	{ "smartcard", 0, 1, { CCID }, ADMITTED, S, S, { S }, 0 },
	{ "smartcard by control transfers", 0, 1, { { 0x0b, 0, 1, 0, 0, 0 } }, NO_ROLE,
	  S, 0, { 0 }, 0 },
	{ "smartcard without its descriptor", 0, 1, { { 0x0b, 0, 0, 0, 0, 0 } }, NO_ROLE,
	  S, 0, { 0 }, 0 },
	{ "storage", 0, 1, { DISK }, NO_ROLE, 0, 0, { 0 }, 0 },
	{ "no interface", 0, 0, { { 0 } }, NO_ROLE, 0, 0, { 0 }, 0 },
	{ "hub", 9, 1, { HUBI }, HUB, 0, 0, { 0 }, 0 },
	{ "hub by its interface alone", 0, 1, { HUBI }, BROKEN, 0, 0, { 0 }, 100 },
	{ "a hub that is a keyboard", 9, 1, { KBD }, BROKEN, 0, 0, { 0 }, 100 },
	{ "a hub with a keyboard", 9, 2, { HUBI, KBD }, BROKEN, 0, 0, { 0 }, 101 },
	{ "a keyboard with a hub", 9, 2, { KBD, HUBI }, BROKEN, 0, 0, { 0 }, 100 },
	{ "a hub hidden in a composite", 0, 3, { KBD, HID, HUBI }, BROKEN, 0, 0, { 0 },
	  102 },
	{ "two hub interfaces", 9, 2, { HUBI, HUBI }, BROKEN, 0, 0, { 0 }, 101 },
	{ "two hub interfaces, unsaid", 0, 2, { HUBI, HUBI }, BROKEN, 0, 0, { 0 }, 100 },
	{ "a hub without interfaces", 9, 0, { { 0 } }, BROKEN, 0, 0, { 0 }, 4 },
};
/* clang-format on */

static struct gk_rules rules;

static void read_rules(const char *text)
{
	struct gk_rules_note note;

	int err = gk_rules_parse(text, strlen(text), &rules, &note);

	CHECK(err == 0, "%s: %s", text, err ? note.text : "");
}

static void judge(const struct gk_usb_device *d, int err, struct gk_judgement *j)
{
	struct gk_rule_device facts;

	memset(j, 0xee, sizeof(*j));
	gk_policy_device(&facts, d);
	gk_policy_judge(d, err, &rules, &facts, j);
}

static void as_reader(struct gk_usb_interface *itf)
{
	itf->ccid.present = 1;
	itf->bulk_in.address = 0x85;
	itf->bulk_out.address = 0x05;
}

static void judgements(void **state)
{
	(void)state;
	read_rules(gk_rules_default());
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *name = cases[i].name;
		struct gk_usb_device d;
		struct gk_judgement j;
		int chosen;

		memset(&d, 0, sizeof(d));
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
			d.first.interface[k].hid_report_len = itf->report;
			if (itf->base == 0x0b && itf->in)
				as_reader(&d.first.interface[k]);
			d.first.interface[k].offset = (uint16_t)(100 + k);
			if (itf->base == 9 && !d.hub_offset)
				d.hub_offset = (uint16_t)(100 + k);
		}
		/* What stands behind the last interface is none. */
		d.first.interface[cases[i].interfaces] = (struct gk_usb_interface){
			.base_class = 3,
			.sub_class = 1,
			.protocol = 1,
			.endpoints = 1,
			.in = { 0x81, 3, 8, 10 },
		};
		judge(&d, GK_OK, &j);
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
	read_rules("allow\n");
	for (int err = GK_ERR_CLOSED; err < 0; err++) {
		struct gk_usb_device d;
		struct gk_judgement j;

		/* What the parser may have seen before the error does not count. */
		memset(&d, 0, sizeof(d));
		assert_int_equal(
			gk_usb_parse(sample_keyboard, sizeof(sample_keyboard), &d),
			GK_OK);
		d.error_offset = 77;
		judge(&d, err, &j);
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
	read_rules(gk_rules_default());
	err = gk_usb_parse(sample_keyboard, sizeof(sample_keyboard), &d);
	judge(&d, err, &j);
	assert_int_equal(j.verdict, GK_VERDICT_ADMITTED);
	assert_int_equal(j.config, 1);

	err = gk_usb_parse(sample_mixed, sizeof(sample_mixed), &d);
	judge(&d, err, &j);
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
	judge(&d, err, &j);
	assert_int_equal(j.verdict, GK_VERDICT_REFUSED);
	assert_int_equal(j.reason, GK_REASON_NO_ROLE);
}

/* A rule's answer and the reason that is told; a hub is no matter of roles. */
static void rules_decide(void **state)
{
	static const struct {
		const char *rules;
		uint8_t device_class;
		struct itf itf;
		enum gk_verdict verdict;
		enum gk_reason reason;
		uint8_t granted;
		int rule;
	} rows[] = {
		{ "block\n", 0, KBD, GK_VERDICT_REFUSED, GK_REASON_RULE, 0, 0 },
		{ "reject\n", 0, KBD, GK_VERDICT_REFUSED, GK_REASON_RULE, 0, 0 },
		{ "allow id 0001:*\n", 0, KBD, GK_VERDICT_REFUSED, GK_REASON_NO_RULE, 0, -1 },
		{ "allow role fido\n", 0, KBD, NO_ROLE, 0, 0 },
		{ "allow role fido\n", 0, HID, ADMITTED, F, 0 },
		{ "allow role { keyboard fido }\n", 0, HID, ADMITTED, K | F, 0 },
		{ "allow role { keyboard fido }\n", 0, MOUSE, NO_ROLE, 0, 0 },
		{ "allow\n", 0, DISK, NO_ROLE, 0, 0 },
		{ "block\n", 0, DISK, NO_ROLE, 0, 0 },
		{ "block\n", 9, HUBI, GK_VERDICT_REFUSED, GK_REASON_RULE, 0, 0 },
		{ "allow id 0001:*\n", 9, HUBI, GK_VERDICT_REFUSED, GK_REASON_NO_RULE, 0, -1 },
		{ "allow id 0001:*\nallow\n", 9, HUBI, HUB, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct itf *itf = &rows[i].itf;
		struct gk_usb_device d = { .base_class = rows[i].device_class,
					   .vid = 0x1050 };
		struct gk_judgement j;

		d.first.interfaces = 1;
		d.first.value = 1;
		d.first.interface[0].base_class = itf->base;
		d.first.interface[0].sub_class = itf->sub;
		d.first.interface[0].protocol = itf->protocol;
		d.first.interface[0].in.address = itf->in;
		d.first.interface[0].in.max_packet = itf->max_packet;
		d.first.interface[0].hid_report_len = itf->report;
		read_rules(rows[i].rules);
		judge(&d, GK_OK, &j);
		CHECK(j.verdict == rows[i].verdict && j.reason == rows[i].reason &&
		      j.granted == rows[i].granted && j.rule == rows[i].rule,
		      "row %zu: verdict %d reason %d granted %d rule %d", i,
		      (int)j.verdict, (int)j.reason, j.granted, j.rule);
	}
}

/* What the report descriptors say can only take away. */
static void narrower_grants_no_more(void **state)
{
	struct gk_rule_device facts;
	struct gk_usb_device d;
	struct gk_judgement wide, j;

	(void)state;
	read_rules(gk_rules_default());
	assert_int_equal(gk_usb_parse(sample_mixed, sizeof(sample_mixed), &d), 0);
	for (unsigned bits = 0; bits < 0x1000; bits++) {
		gk_policy_device(&facts, &d);
		gk_policy_judge(&d, 0, &rules, &facts, &wide);
		for (unsigned i = 0; i < facts.interfaces && i < 3; i++)
			facts.interface[i].fits &= (uint8_t)(bits >> 4 * i & 15);
		gk_policy_judge(&d, 0, &rules, &facts, &j);
		assert_int_equal(j.granted & ~wide.granted, 0);
		for (unsigned i = 0; i < GK_USB_INTERFACES; i++)
			assert_int_equal(j.role[i] & ~wide.role[i], 0);
		assert_int_equal(j.verdict == GK_VERDICT_REFUSED, j.granted == 0);
	}
}

static void reasons_have_texts(void **state)
{
	(void)state;
	for (unsigned r = 0; r < 0x10000; r++) {
		const char *t = gk_reason_text((uint16_t)r);
		int known = strcmp(t, "unknown reason") != 0;

		CHECK(known == (r <= GK_REASON_MAX || (r >= GK_REASON_UNPINNED &&
						       r <= GK_REASON_STRANGER)),
		      "reason %u: %s", r, t);
		/* They are shown on a line with the port and the class. */
		CHECK(strlen(t) <= 50, "reason %u is long", r);
	}
	assert_string_equal(gk_reason_text(GK_REASON_ADMITTED), "allowed");
	assert_string_equal(gk_reason_text(GK_REASON_NO_ROLE), "no role for it");
	/* No advice to plug it in again: that is for when it ended twice. */
	assert_null(strstr(gk_reason_gone_text(GK_REASON_WORKER), "plug"));
	assert_string_equal(gk_reason_gone_text(GK_REASON_UNPLUGGED), "unplugged");
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
		cmocka_unit_test(rules_decide),
		cmocka_unit_test(narrower_grants_no_more),
		cmocka_unit_test(reasons_have_texts),
		cmocka_unit_test(classes_have_texts),
		cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
