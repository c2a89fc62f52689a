/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/policy.h"
#include "core/rules.h"
#include "usb_samples.h"

#define NOT_A_PORT "not a port: controller, dash, ports with dots between them, such as " \
		   "\"1-3.2\""
#define HEX8 "0123456789abcdef0123456789ABCDEF"
#define HEX HEX8 HEX8
#define HEX8_OTHER "0123456789abcdef0123456789abcdee"
/* SHA-256 of nothing, as base64 has it: what `printf '' | openssl dgst -sha256
 * -binary | base64` prints. */
#define BASE64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const uint8_t sha_of_hex[GK_SHA256] = {
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45,
	0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
	0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
};

static const uint8_t sha_of_base64[GK_SHA256] = {
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
	0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
	0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
};

/* They do not fit every stack, and a test of one is none of the other. */
static struct gk_rules rules;

/* Parses a copy of its exact size, so that ASan sees an overread. */
static int parse_bytes(const char *text, size_t len, struct gk_rules_note *error)
{
	char *copy = malloc(len ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(&rules, 0xee, sizeof(rules));
	memset(error, 0xee, sizeof(*error));
	err = gk_rules_parse(copy, len, &rules, error);
	free(copy);
	return err;
}

static void parse(const char *text)
{
	struct gk_rules_note e;
	int err = parse_bytes(text, strlen(text), &e);

	CHECK(err == GK_OK, "%s: %u:%u: %s", text, e.line, e.column, e.text);
}

/* ---- accepted ---------------------------------------------------------------- */

static void a_whole_rule(void **state)
{
	const struct gk_rule *r = &rules.rule[1];
	const struct gk_rule_value *v;

	(void)state;
	parse("# first\n\nblock *:* # all\n"
	      "allow 1050:*\tname \"a\\\"b\\\\c\\x00\\xfF\" with-interface one-of "
	      "{ 03:01:01 0b:00:* e0:*:* } serial {\"1\" \"2\"} "
	      "label \"mine\" label \"other\" role { fido keyboard }");
	assert_int_equal(rules.rules, 2);
	assert_int_equal(rules.rule[0].target, GK_RULE_BLOCK);
	assert_int_equal(rules.rule[0].line, 3);
	assert_int_equal(rules.rule[0].roles, 0);
	assert_int_equal(rules.rule[0].value[0].any, 3);

	assert_int_equal(r->target, GK_RULE_ALLOW);
	assert_int_equal(r->line, 4);
	assert_int_equal(r->roles, GK_ROLE_KEYBOARD | GK_ROLE_FIDO);
	assert_int_equal(r->values, 7);
	v = &r->value[r->set[GK_RULE_ID].first];
	assert_int_equal(v->a, 0x1050);
	assert_int_equal(v->any, 1);
	v = &r->value[r->set[GK_RULE_NAME].first];
	assert_int_equal(v->b, 7);
	assert_memory_equal(rules.strings + v->a, "a\"b\\c\0\xff", 7);
	assert_int_equal(r->set[GK_RULE_NAME].column, 14);
	assert_int_equal(r->set[GK_RULE_INTERFACE].count, 3);
	assert_int_equal(r->set[GK_RULE_INTERFACE].op, GK_RULE_ONE_OF);
	v = &r->value[r->set[GK_RULE_INTERFACE].first];
	assert_int_equal(v[0].a, 0x0301);
	assert_int_equal(v[0].b, 1);
	assert_int_equal(v[0].any, 0);
	assert_int_equal(v[1].a, 0x0b00);
	assert_int_equal(v[1].any, 1);
	assert_int_equal(v[2].any, 3);
	assert_int_equal(r->set[GK_RULE_SERIAL].count, 2);
	assert_int_equal(r->set[GK_RULE_SERIAL].op, GK_RULE_EQUALS);
	assert_int_equal(r->label.b, 4);
	assert_memory_equal(rules.strings + r->label.a, "mine", 4);
}

static void modes_and_pins(void **state)
{
	static const struct {
		const char *text;
		uint8_t keyboards, pins;
	} rows[] = {
		{ "", 0, 0 },
		{ "keyboards any", 0, 0 },
		{ "keyboards one # at a time\n", GK_KEYBOARDS_ONE, 0 },
		{ "keyboards { challenge\tone }",
		  GK_KEYBOARDS_ONE | GK_KEYBOARDS_CHALLENGE, 0 },
		{ "keyboards pinned\npin via-port \"1-3\" hash \"" HEX "\"",
		  GK_KEYBOARDS_PINNED, 1 },
		{ "pin hash \"" HEX "\" via-port \"1-1\" label \"desk\" # here\n"
		  "pin via-port \"1-2\" hash \"" HEX "\"\nkeyboards { one pinned }",
		  GK_KEYBOARDS_PINNED | GK_KEYBOARDS_ONE, 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		parse(rows[i].text);
		CHECK(rules.keyboards == rows[i].keyboards, "%s: modes %#x",
		      rows[i].text, rules.keyboards);
		CHECK(rules.pins == rows[i].pins, "%s: %u pins", rows[i].text,
		      rules.pins);
		for (unsigned k = 0; k < rules.pins; k++)
			assert_memory_equal(rules.pin[k].sha256, sha_of_hex, GK_SHA256);
	}
}

/* ---- refused ----------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *text;
	unsigned line, column;
	const char *reason;
} refused[] = {
	{ " ", 1, 1, "a line of blanks" },
	{ "allow\n\n  \t\n", 3, 1, "a line of blanks" },
	{ " allow", 1, 1, "a rule begins in the first column" },
	{ "allow\nblock \nallow", 2, 6, "blanks at the end of a rule" },
	{ "allow name \"x\"  ", 1, 15, "blanks at the end of a rule" },
	{ "allow\r\n", 1, 6, "a carriage return: lines end with a line feed" },
	{ "\r\n", 1, 1, "a carriage return: lines end with a line feed" },
	{ "permit", 1, 1, "allow, block, reject, pin or keyboards expected" },
	{ "Allow", 1, 1, "allow, block, reject, pin or keyboards expected" },
	{ "allow1234:5678", 1, 1, "allow, block, reject, pin or keyboards expected" },
	{ "\"allow\"", 1, 1, "allow, block, reject, pin or keyboards expected" },
	{ "match *:*", 1, 1, "this target of USBGuard's decides nothing: allow, block or "
			     "reject expected" },
	{ "allow*:*", 1, 6, "a blank expected" },
	{ "allow foo", 1, 7, "unknown attribute" },
	{ "allow \"x\"", 1, 7, "unknown attribute" },
	{ "allow { 1234:5678 }", 1, 7, "unknown attribute" },
	{ "block 1234:5678 foo", 1, 17, "unknown attribute" },
	{ "allow name \"a\" name \"b\"", 1, 16, "this attribute is there already" },
	{ "allow *:* id *:*", 1, 11, "this attribute is there already" },
	{ "allow name \"x\" 1234:5678", 1, 16,
	  "a device id stands directly behind the target" },
	{ "allow name \"x\"serial \"y\"", 1, 15, "a blank expected" },
	{ "allow if true", 1, 7,
	  "the gate has no conditions: its verdict depends on the device alone, not on "
	  "time, chance or history" },
	/* ids */
	{ "allow 12:5678", 1, 9, "four hex digits or * expected" },
	{ "allow 1234:567g", 1, 15, "four hex digits or * expected" },
	{ "allow 1234:", 1, 12, "four hex digits or * expected" },
	{ "allow 12345:5678", 1, 11, ": expected" },
	{ "allow *", 1, 8, ": expected" },
	{ "allow *:1234", 1, 7, "a product number means nothing without its vendor's" },
	{ "allow id { 1234:* *:1234 }", 1, 19,
	  "a product number means nothing without its vendor's" },
	{ "allow 1234:56789", 1, 16, "a blank expected" },
	/* class triples */
	{ "allow with-interface *:*:*", 1, 22, "an interface class cannot be *" },
	{ "allow with-interface 03:*:01", 1, 22,
	  "a protocol means nothing without its subclass" },
	{ "allow with-interface 3:1:1", 1, 23, "two hex digits or * expected" },
	{ "allow with-interface 03:01", 1, 27, ": expected" },
	{ "allow with-interface 03:01:011", 1, 30, "a blank expected" },
	{ "allow with-interface 03:01:01 03:00:01", 1, 31,
	  "a device id stands directly behind the target" },
	/* sets */
	{ "allow id", 1, 9, "a value expected" },
	{ "allow id ", 1, 10, "a value expected" },
	{ "allow id{*:*}", 1, 9, "a blank expected" },
	{ "allow id { }", 1, 12, "a set has at least one value" },
	{ "allow id one-of {}", 1, 18, "a set has at least one value" },
	{ "allow id { *:*", 1, 10, "this set is not closed in its line" },
	{ "allow id { *:*\n}", 1, 10, "this set is not closed in its line" },
	{ "allow id {", 1, 10, "this set is not closed in its line" },
	{ "allow id one-of 1234:5678", 1, 17, "{ expected behind an operator" },
	{ "allow id { 1234:5678, 1234:5679 }", 1, 21, "a blank expected between values" },
	{ "allow name { \"a\"\"b\" }", 1, 17, "a blank expected between values" },
	{ "allow name any-of { \"a\" }", 1, 12, "a string in double quotes expected" },
	/* strings */
	{ "allow name x", 1, 12, "a string in double quotes expected" },
	{ "allow name \"x", 1, 12, "this string is not closed in its line" },
	{ "allow name \"x\n\"", 1, 12, "this string is not closed in its line" },
	{ "allow name \"x\\\"", 1, 12, "this string is not closed in its line" },
	{ "allow name \"x\ry\"", 1, 14, "a carriage return in a string" },
	{ "allow name \"x\\n\"", 1, 14, "unknown escape: \\\", \\\\ and \\xHH are known" },
	{ "allow name \"x\\", 1, 14, "unknown escape: \\\", \\\\ and \\xHH are known" },
	{ "allow name \"\\x4g\"", 1, 13, "\\x takes two hex digits" },
	{ "allow name \"\\x4", 1, 13, "\\x takes two hex digits" },
	/* roles */
	{ "allow role mouse", 1, 12,
	  "unknown role: keyboard, fido and smartcard are known" },
	{ "allow role { keyboard keyboard }", 1, 23, "said twice" },
	{ "allow role one-of { fido }", 1, 12, "an operator means nothing here" },
	{ "allow role fido role fido", 1, 17, "this attribute is there already" },
	{ "block role keyboard", 1, 7, "only an allow rule has roles" },
	{ "reject 1234:* role { fido }", 1, 15, "only an allow rule has roles" },
	/* keyboards and pins */
	{ "keyboards", 1, 10, "a value expected" },
	{ "keyboards two", 1, 11,
	  "unknown mode: any, pinned, one and challenge are known" },
	{ "keyboards { any one }", 1, 1, "any stands alone" },
	{ "keyboards { any any }", 1, 1, "any stands alone" },
	{ "keyboards { one one }", 1, 17, "said twice" },
	{ "keyboards one one", 1, 15, "the end of the line expected" },
	{ "keyboards one ", 1, 14, "blanks at the end of a line" },
	{ "keyboards any\nkeyboards any", 2, 1, "there is a keyboards line already" },
	{ "keyboards { pinned challenge }", 1, 1,
	  "pinned and challenge contradict each other: a keyboard without a pin is "
	  "refused, or it is asked" },
	{ "allow\nkeyboards pinned\n", 2, 1, "no keyboard is pinned: none would work" },
	{ "pin", 1, 1, "a pin has one via-port and one hash" },
	{ "pin via-port \"1-1\"", 1, 1, "a pin has one via-port and one hash" },
	{ "pin via-port { \"1-1\" \"1-2\" } hash \"" HEX "\"", 1, 5,
	  "a pin has one via-port and one hash" },
	{ "pin hash none-of { \"" HEX "\" } via-port \"1-1\"", 1, 5,
	  "a pin has one via-port and one hash" },
	{ "pin 1234:5678 hash \"" HEX "\" via-port \"1-1\"", 1, 5,
	  "a pin has one via-port and one hash" },
	{ "pin via-port \"1-1\" hash \"" BASE64 "\"", 1, 20,
	  "the hash of a pin is 64 hex digits, as `gatekeeper status --json` shows it" },
	{ "pin via-port \"1-1\" hash \"" HEX "\" role keyboard", 1, 92,
	  "only an allow rule has roles" },
	/* ports */
	{ "allow via-port \"usb1\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"-1\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1.2\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-2-3\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-2.\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-2..3\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"01-2\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-0\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-256\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \" 1-2\"", 1, 16, NOT_A_PORT },
	{ "allow via-port \"1-1.2.3.4.5.6.7.8\"", 1, 16, NOT_A_PORT },
	{ "allow\nblock via-port one-of { \"1-255\" \"1-x\" }", 2, 33, NOT_A_PORT },
	{ "pin via-port \"3\" hash \"" HEX "\"", 1, 14, NOT_A_PORT },
};
/* clang-format on */

static void refusals(void **state)
{
	static const struct gk_rules empty;

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct gk_rules_note e;
		const char *t = refused[i].text;
		int err = parse_bytes(t, strlen(t), &e);

		CHECK(err == GK_ERR_VALUE, "%s: %d", t, err);
		CHECK(e.line == refused[i].line && e.column == refused[i].column,
		      "%s: at %u:%u", t, e.line, e.column);
		CHECK(!strcmp(e.text, refused[i].reason), "%s: %s", t, e.text);
		CHECK(!memcmp(&rules, &empty, sizeof(rules)), "%s: not emptied", t);
	}
}

/* n times a text, with what stands before and behind. */
static char *repeated(const char *before, const char *text, size_t n, const char *behind)
{
	size_t len = strlen(before) + n * strlen(text) + strlen(behind) + 1;
	char *out = malloc(len);

	assert_non_null(out);
	strcpy(out, before);
	for (char *at = out + strlen(out); n > 0; n--, at += strlen(text))
		strcpy(at, text);
	strcat(out, behind);
	return out;
}

static void caps(void **state)
{
	static const struct {
		const char *before, *text, *behind;
		size_t fits;
		unsigned line, column;
		const char *reason;
	} rows[] = {
		{ "", "block 1234:5678\n", "", 64, 65, 1, "more than 64 rules" },
		{ "allow id {", " 1234:5678", " }", 32, 1, 332,
		  "more than 32 values in a rule" },
		{ "allow name \"", "\\x41", "\"", 378, 1, 12,
		  "a string longer than the 378 bytes a USB string can have" },
		{ "", "pin via-port \"1-1\" hash \"" HEX "\"\n", "", 16, 17, 1,
		  "more than 16 pinned keyboards" },
		{ "#", "x", "", 32767, 1, 1, "the file is longer than 32768 bytes" },
	};
	struct gk_rules_note e;
	char *text, *rule;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		text = repeated(rows[i].before, rows[i].text, rows[i].fits,
				rows[i].behind);
		parse(text);
		free(text);
		text = repeated(rows[i].before, rows[i].text, rows[i].fits + 1,
				rows[i].behind);
		assert_int_equal(parse_bytes(text, strlen(text), &e), GK_ERR_LIMIT);
		assert_string_equal(e.text, rows[i].reason);
		assert_int_equal(e.line, rows[i].line);
		assert_int_equal(e.column, rows[i].column);
		free(text);
	}

	/* A label that is not the first does not stay. */
	rule = repeated("block name \"", "n", 378, "\" label \"x\" label \"yy\"\n");
	text = repeated("", rule, 43, "block name \"");
	free(rule);
	rule = repeated(text, "m", 87, "\"");
	free(text);
	parse(rule);
	assert_int_equal(rules.used, 43 * 379 + 87);
	text = repeated(rule, "\n", 1, "block name \"z\"");
	free(rule);
	assert_int_equal(parse_bytes(text, strlen(text), &e), GK_ERR_LIMIT);
	assert_string_equal(e.text, "more than 16384 bytes of strings");
	assert_int_equal(e.line, 45);
	assert_int_equal(e.column, 12);
	free(text);
}

/* Whatever is cut off or changed, an answer comes, and a place within the text. */
static void cut_and_changed(void **state)
{
	static const char text[] =
		"# x\nkeyboards { one challenge }\npin via-port \"1-3\" hash \"" HEX
		"\"\n"
		"allow 1234:* name one-of { \"a\\x41\" \"b\\\"\" } role { fido keyboard } #\n"
		"reject with-interface all-of {03:*:* 08:06:50} label \"l\"\n";
	size_t len = sizeof(text) - 1;
	struct gk_rules_note e;
	char copy[sizeof(text)];

	(void)state;
	for (size_t n = 0; n <= len; n++)
		if (parse_bytes(text, n, &e))
			CHECK(e.line >= 1 && e.line <= 5 && e.column >= 1 &&
				      e.column <= n + 1 && e.text,
			      "cut at %zu", n);
	for (size_t n = 0; n < len; n++) {
		for (unsigned c = 0; c < 256; c++) {
			memcpy(copy, text, len);
			copy[n] = (char)(unsigned char)c;
			if (parse_bytes(copy, len, &e))
				CHECK(e.line >= 1 && e.line <= 6 && e.column >= 1 &&
					      e.text,
				      "byte %zu = %u", n, c);
		}
	}
}

/* ---- notes --------------------------------------------------------------------- */

static void notes(void **state)
{
	static const struct {
		const char *text;
		unsigned count, line, column;
		const char *says;
	} rows[] = {
		{ "allow hash \"" BASE64 "\"", 0, 0, 0, NULL },
		{ "allow hash \"" HEX "\"", 0, 0, 0, NULL },
		{ "allow\n", 0, 0, 0, NULL },
		{ "allow 1234:5678\nblock label \"x\"", 0, 0, 0, NULL },
		{ "", 1, 1, 1, "there is no rule: the built-in ones apply" },
		{ "# nothing\n", 1, 1, 1, "there is no rule: the built-in ones apply" },
		{ "block # all\nallow 1234:5678", 1, 2, 1,
		  "never reached: a rule above applies to every device" },
		{ "allow *:* hash \"044b5e168d40ee0245478416caf3d998\"", 1, 1, 11,
		  "not a SHA-256: no device has such a hash" },
		{ "block with-connect-type \"hotplug\"", 1, 1, 7,
		  "the gate may not know this of a device: then an allow rule does not "
		  "apply, another by its other attributes" },
		{ "block parent-hash \"" BASE64 "\"", 1, 1, 7,
		  "the gate may not know this of a device: then an allow rule does not "
		  "apply, another by its other attributes" },
		{ "block parent-hash \"" HEX "\"", 2, 1, 7,
		  "the gate may not know this of a device: then an allow rule does not "
		  "apply, another by its other attributes" },
		{ "block\nallow\nallow\nallow\nallow\nallow\nallow\nallow\nallow\nallow\n",
		  9, 2, 1, "never reached: a rule above applies to every device" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		parse(rows[i].text);
		CHECK(rules.notes == rows[i].count, "%s: %u notes", rows[i].text,
		      rules.notes);
		if (!rows[i].count)
			continue;
		CHECK(rules.note[0].line == rows[i].line &&
			      rules.note[0].column == rows[i].column,
		      "%s: %u:%u", rows[i].text, rules.note[0].line,
		      rules.note[0].column);
		CHECK(!strcmp(rules.note[0].text, rows[i].says), "%s: %s", rows[i].text,
		      rules.note[0].text);
	}
}

/* ---- judging -------------------------------------------------------------------- */

#define TEXT(s)                    \
	{                          \
		(s), sizeof(s) - 1 \
	}
/* clang-format off */
#define KBD { 3, 1, 1, GK_ROLE_KEYBOARD }
#define MEDIA { 3, 0, 0, 0 }
#define MOUSE { 3, 1, 2, GK_ROLE_POINTER }
#define FIDO { 3, 0, 0, GK_ROLE_FIDO }
#define CCID { 0x0b, 0, 0, GK_ROLE_SMARTCARD }
#define DISK { 8, 6, 0x50, 0 }
#define VENDOR { 0xff, 0, 0, 0 }
#define HUBI { 9, 0, 0, 0 }

enum { NO = -1, K = GK_ROLE_KEYBOARD, F = GK_ROLE_FIDO, S = GK_ROLE_SMARTCARD };

static const struct gk_rule_device keyboard = {
	.vid = 0x046d, .pid = 0xc31c, .serial = TEXT(""), .name = TEXT("USB Keyboard"),
	.port = TEXT("1-3.2"), .interfaces = 2, .interface = { KBD, MEDIA },
};
static const struct gk_rule_device yubikey = {
	.vid = 0x1050, .pid = 0x0407, .serial = TEXT("0001234567"),
	.name = TEXT("YubiKey OTP+FIDO+CCID"), .port = TEXT("2-1"),
	.interfaces = 3, .interface = { KBD, FIDO, CCID },
};
static const struct gk_rule_device rogue = {
	.vid = 0x1234, .pid = 0x5678, .serial = TEXT(""), .name = TEXT(""),
	.port = TEXT("1-4"), .interfaces = 3, .interface = { DISK, KBD, VENDOR },
};
static const struct gk_rule_device disk = {
	.vid = 0x0781, .pid = 0x5567, .serial = TEXT("AB"), .name = TEXT("Cruzer"),
	.port = TEXT("1-5"), .interfaces = 1, .interface = { DISK },
};
static const struct gk_rule_device reader = {
	.vid = 0x08e6, .pid = 0x3437, .port = TEXT("1-6"),
	.interfaces = 1, .interface = { CCID },
};
static const struct gk_rule_device hub = {
	.vid = 0x1d6b, .pid = 2, .port = TEXT("1-3"), .interfaces = 1,
	.interface = { HUBI },
};
static const struct gk_rule_device odd_hub = {
	.vid = 0x1d6b, .pid = 2, .port = TEXT("1-3"), .interfaces = 2,
	.interface = { HUBI, KBD },
};
static const struct gk_rule_device mouse = {
	.vid = 1, .pid = 2, .port = TEXT("1-7"), .interfaces = 1,
	.interface = { MOUSE },
};
static const struct gk_rule_device two_keyboards = {
	.vid = 1, .pid = 2, .port = TEXT("1-8"), .interfaces = 2,
	.interface = { KBD, KBD },
};
static const struct gk_rule_device keyboard_disk = {
	.vid = 1, .pid = 2, .port = TEXT("1-9"), .interfaces = 2,
	.interface = { KBD, DISK },
};
static const struct gk_rule_device undecided = {
	.vid = 1, .pid = 2, .port = TEXT("1-9"), .interfaces = 1,
	.interface = { { 3, 1, 1, K | F } },
};
static const struct gk_rule_device nothing = { .vid = 1, .pid = 2 };
static const struct gk_rule_device hashed = {
	.vid = 1, .pid = 2, .interfaces = 1, .interface = { KBD },
	.known_usbguard_hash = 1, .known_parent_hash = 1,
};

static const struct judged {
	const char *text;
	const struct gk_rule_device *device;
	enum gk_rule_target target;
	enum gk_verdict verdict;
	int rule;
	uint8_t role[4];
} judged[] = {
#define REFUSED GK_VERDICT_REFUSED
#define ADMITTED GK_VERDICT_ADMITTED
#define PARTLY GK_VERDICT_PARTLY
#define BLOCK GK_RULE_BLOCK
#define ALLOW GK_RULE_ALLOW
#define REJECT GK_RULE_REJECT
	/* without a rule; the first that applies */
	{ "", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow 1234:*", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "block\nallow", &keyboard, BLOCK, REFUSED, 0, { 0 } },
	{ "block 1234:*\nreject 046d:*\nallow", &keyboard, REJECT, REFUSED, 1, { 0 } },
	/* roles */
	{ "allow", &keyboard, ALLOW, PARTLY, 0, { K, 0 } },
	{ "allow", &yubikey, ALLOW, ADMITTED, 0, { K, F, S } },
	{ "allow role keyboard", &yubikey, ALLOW, PARTLY, 0, { K, 0, 0 } },
	{ "allow role { smartcard fido }", &yubikey, ALLOW, PARTLY, 0, { 0, F, S } },
	{ "allow role fido", &keyboard, ALLOW, REFUSED, 0, { 0 } },
	{ "allow", &rogue, ALLOW, PARTLY, 0, { 0, K, 0 } },
	{ "allow", &disk, ALLOW, REFUSED, 0, { 0 } },
	{ "allow", &reader, ALLOW, ADMITTED, 0, { S } },
	{ "allow", &mouse, ALLOW, REFUSED, 0, { 0 } },
	{ "allow", &undecided, ALLOW, ADMITTED, 0, { K | F } },
	{ "allow role fido", &undecided, ALLOW, ADMITTED, 0, { F } },
	{ "allow role smartcard", &undecided, ALLOW, REFUSED, 0, { 0 } },
	{ "allow", &nothing, ALLOW, REFUSED, 0, { 0 } },
	{ "allow", &hub, ALLOW, GK_VERDICT_HUB, 0, { 0 } },
	{ "allow role keyboard", &hub, ALLOW, GK_VERDICT_HUB, 0, { 0 } },
	{ "block", &hub, BLOCK, REFUSED, 0, { 0 } },
	{ "allow", &odd_hub, ALLOW, PARTLY, 0, { 0, K } },
	/* ids */
	{ "allow 046d:C31C", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow 046d:c31d", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow id { 1234:5678 046d:* }", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow id one-of { 1234:5678 046d:* }", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow id none-of { 1234:5678 046e:* }", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow id all-of { 046d:* *:* }", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow id all-of { 046d:* 1234:* }", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow id match-all { 1234:* 046d:c31c }", &keyboard, ALLOW, PARTLY, 0, { K } },
	/* strings */
	{ "allow name \"USB Keyboard\"", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow name \"USB Keyboard\" serial \"\"", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow name \"USB Keyboar\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow name \"usb keyboard\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow serial \"0001234567\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow serial one-of { \"7\" \"0001234567\" } role fido", &yubikey, ALLOW,
	  PARTLY, 0, { 0, F } },
	{ "allow via-port \"1-3.2\"", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "reject via-port \"1-3\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow label \"USB Keyboard\"", &yubikey, ALLOW, ADMITTED, 0, { K, F, S } },
	/* class triples */
	{ "allow with-interface 03:01:01", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow with-interface { 03:00:00 03:01:01 }", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow with-interface equals-ordered { 03:00:00 03:01:01 }", &keyboard, BLOCK,
	  REFUSED, NO, { 0 } },
	{ "allow with-interface equals-ordered { 03:01:* 03:*:* }", &keyboard, ALLOW,
	  PARTLY, 0, { K } },
	{ "allow with-interface one-of { 0b:*:* 03:01:* }", &keyboard, ALLOW, PARTLY, 0,
	  { K } },
	{ "allow with-interface one-of { 0b:*:* 03:02:* }", &keyboard, BLOCK, REFUSED, NO,
	  { 0 } },
	{ "allow with-interface all-of { 03:01:01 08:*:* }", &rogue, ALLOW, PARTLY, 0,
	  { 0, K } },
	{ "allow with-interface all-of { 03:01:01 0b:*:* }", &rogue, BLOCK, REFUSED, NO,
	  { 0 } },
	{ "allow with-interface none-of { 08:*:* }", &rogue, BLOCK, REFUSED, NO, { 0 } },
	{ "allow with-interface none-of { 08:*:* }", &keyboard, ALLOW, PARTLY, 0, { K } },
	{ "allow with-interface match-all { 03:*:* 0b:*:* }", &yubikey, ALLOW, ADMITTED,
	  0, { K, F, S } },
	{ "allow with-interface match-all { 03:*:* 0b:*:* }", &rogue, BLOCK, REFUSED, NO,
	  { 0 } },
	{ "allow with-interface { 03:*:* 03:*:* }", &two_keyboards, ALLOW, ADMITTED, 0,
	  { K, K } },
	/* USBGuard's `equals` lets this pass. */
	{ "allow with-interface { 03:*:* 03:*:* }", &keyboard_disk, BLOCK, REFUSED, NO,
	  { 0 } },
	{ "allow with-interface { 03:01:01 08:*:* }", &two_keyboards, BLOCK, REFUSED, NO,
	  { 0 } },
	{ "allow with-interface match-all { 03:*:* }", &nothing, ALLOW, REFUSED, 0, { 0 } },
	{ "allow with-interface one-of { 03:*:* }", &nothing, BLOCK, REFUSED, NO, { 0 } },
	/* what is not known never admits */
	{ "allow name \"\"", &reader, BLOCK, REFUSED, NO, { 0 } },
	{ "allow name none-of { \"x\" }", &reader, BLOCK, REFUSED, NO, { 0 } },
	{ "reject name \"x\"\nallow", &reader, REJECT, REFUSED, 0, { 0 } },
	{ "reject 1234:* name \"x\"\nallow", &reader, ALLOW, ADMITTED, 1, { S } },
	{ "allow with-connect-type \"hotplug\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "block with-connect-type \"hotplug\"\nallow", &keyboard, BLOCK, REFUSED, 0, { 0 } },
	{ "allow parent-hash \"" BASE64 "\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow hash \"" BASE64 "\"", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow hash none-of { \"" BASE64 "\" }", &keyboard, BLOCK, REFUSED, NO, { 0 } },
	{ "allow hash none-of { \"" HEX8 HEX8_OTHER "\" }", &keyboard, ALLOW, PARTLY, 0,
	  { K } },
	/* hashes */
	{ "allow hash \"" HEX "\"", &hashed, ALLOW, ADMITTED, 0, { K } },
	{ "allow hash \"" BASE64 "\"", &hashed, ALLOW, ADMITTED, 0, { K } },
	{ "allow parent-hash \"" BASE64 "\"", &hashed, BLOCK, REFUSED, NO, { 0 } },
	{ "allow parent-hash \"" HEX "\"", &hashed, BLOCK, REFUSED, NO, { 0 } },
	{ "allow hash one-of { \"x\" \"" HEX "\" }", &hashed, ALLOW, ADMITTED, 0, { K } },
	/* 43 digits, but not what an encoder writes, or no digit at all */
	{ "allow hash \"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\"", &hashed, BLOCK,
	  REFUSED, NO, { 0 } },
	{ "allow hash \"47DEQpj8HBSa+_TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"", &hashed, BLOCK,
	  REFUSED, NO, { 0 } },
};
/* clang-format on */

static void check_judged(const struct judged *row, const struct gk_rule_device *d)
{
	struct gk_rule_verdict v;
	uint8_t granted = 0;

	memset(&v, 0xee, sizeof(v));
	gk_rules_judge(&rules, d, &v);
	CHECK(v.rule == row->rule, "%s: rule %d", row->text, v.rule);
	CHECK(v.target == row->target, "%s: %s", row->text,
	      gk_rule_target_text(v.target));
	CHECK(v.verdict == row->verdict, "%s: verdict %d", row->text, (int)v.verdict);
	for (unsigned k = 0; k < GK_USB_INTERFACES; k++) {
		CHECK(v.role[k] == (k < 4 ? row->role[k] : 0), "%s: role %u: %u",
		      row->text, k, v.role[k]);
		granted |= v.role[k];
	}
	CHECK(v.granted == granted, "%s: granted %#x", row->text, v.granted);
}

static void judgements(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(judged); i++) {
		struct gk_rule_device d;

		d = *judged[i].device;
		memcpy(d.sha256, sha_of_hex, GK_SHA256);
		memcpy(d.usbguard_hash, sha_of_base64, GK_SHA256);
		memcpy(d.parent_hash, sha_of_hex, GK_SHA256);
		parse(judged[i].text);
		check_judged(&judged[i], &d);
	}
}

static void the_default_rules(void **state)
{
	static const struct judged rows[] = {
		{ "keyboard", &keyboard, ALLOW, PARTLY, 1, { K } },
		{ "yubikey", &yubikey, ALLOW, ADMITTED, 1, { K, F, S } },
		{ "reader", &reader, ALLOW, ADMITTED, 1, { S } },
		{ "rogue", &rogue, ALLOW, PARTLY, 1, { 0, K } },
		{ "keyboard and disk", &keyboard_disk, ALLOW, PARTLY, 1, { K } },
		{ "disk", &disk, BLOCK, REFUSED, 2, { 0 } },
		{ "mouse", &mouse, ALLOW, REFUSED, 1, { 0 } },
		{ "hub", &hub, ALLOW, GK_VERDICT_HUB, 0, { 0 } },
	};

	(void)state;
	parse(gk_rules_default());
	assert_int_equal(rules.notes, 0);
	assert_int_equal(rules.keyboards, 0);
	for (size_t i = 0; i < COUNT(rows); i++)
		check_judged(&rows[i], rows[i].device);
}

/* A file without a rule of its own: the built-in ones, and its own lines. */
static void completed(void **state)
{
	static const struct {
		const char *text;
		uint8_t rules, keyboards, pins, first_line;
	} rows[] = {
		{ "", 3, 0, 0, 8 },
		{ "# nothing", 3, 0, 0, 9 },
		{ "\n\n", 3, 0, 0, 10 },
		{ "keyboards one\n", 3, GK_KEYBOARDS_ONE, 0, 9 },
		{ "pin via-port \"1-1\" hash \"" HEX "\"\nkeyboards pinned", 3,
		  GK_KEYBOARDS_PINNED, 1, 10 },
		{ "block\nkeyboards one\n", 1, GK_KEYBOARDS_ONE, 0, 1 },
		{ "allow", 1, 0, 0, 1 },
	};
	static char text[GK_RULES_TEXT_MAX + 2];
	struct gk_rules_note e;
	size_t room = GK_RULES_TEXT_MAX - strlen(gk_rules_default());

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int n;

		strcpy(text, rows[i].text);
		n = gk_rules_complete(text, strlen(text), sizeof(text), &rules, &e);
		CHECK(n > 0 || !text[0], "%s: %d", rows[i].text, n);
		CHECK(rules.rules == rows[i].rules && rules.pins == rows[i].pins &&
		      rules.keyboards == rows[i].keyboards &&
		      rules.rule[0].line == rows[i].first_line, "%s: %u rules, line %u",
		      rows[i].text, rules.rules, rules.rule[0].line);
		assert_memory_equal(text, rows[i].text, strlen(rows[i].text));
		assert_int_equal(rules.notes, 0);
		/* The gate reads that text, and comes to the same. */
		assert_int_equal(gk_rules_complete(text, (size_t)n, sizeof(text), &rules,
						   &e), n);
		assert_int_equal(rules.rules, rows[i].rules);
	}
	/* An error has its own place, and no rules come of it. */
	strcpy(text, "keyboards one\nkeyboards two\n");
	assert_int_equal(gk_rules_complete(text, strlen(text), sizeof(text), &rules, &e),
			 GK_ERR_VALUE);
	assert_int_equal(e.line, 2);
	assert_int_equal(rules.rules, 0);
	memset(text, '\n', sizeof(text));
	assert_int_equal(gk_rules_complete(text, room, sizeof(text), &rules, &e),
			 GK_RULES_TEXT_MAX);
	memset(text, '\n', sizeof(text));
	assert_int_equal(gk_rules_complete(text, room + 1, sizeof(text), &rules, &e),
			 GK_ERR_LIMIT);
	assert_int_equal(gk_rules_complete(text, room, room + 5, &rules, &e),
			 GK_ERR_LIMIT);
	assert_int_equal(rules.rules + rules.keyboards, 0);
}

static void from_descriptors(void **state)
{
	static struct gk_usb_device usb;
	struct gk_judgement j;
	struct gk_rule_device d;
	struct gk_rule_verdict v;

	(void)state;
	assert_int_equal(gk_usb_parse(sample_mixed, sizeof(sample_mixed), &usb), GK_OK);
	parse(gk_rules_default());
	memset(&d, 0xee, sizeof(d));
	gk_policy_device(&d, &usb);
	gk_policy_judge(&usb, GK_OK, &rules, &d, &j);
	assert_int_equal(d.vid, usb.vid);
	assert_int_equal(d.pid, usb.pid);
	assert_int_equal(d.interfaces, usb.first.interfaces);
	assert_null(d.name.text);
	assert_int_equal(d.known_usbguard_hash | d.known_parent_hash, 0);
	parse(gk_rules_default());
	gk_rules_judge(&rules, &d, &v);
	assert_int_equal(v.verdict, GK_VERDICT_PARTLY);
	assert_memory_equal(v.role, j.role, sizeof(v.role));
}

/* ---- keyboards ------------------------------------------------------------------ */

static void keyboards(void **state)
{
	static const struct {
		const char *text;
		const char *port;
		uint8_t same_hash, seen, others;
		enum gk_keyboard_answer answer;
		uint8_t others_pinned;
	} rows[] = {
#define PIN "pin via-port \"1-3\" hash \"" HEX "\"\n"
		{ "", "1-3", 0, 0, 3, GK_KEYBOARD_ACCEPT, 0 },
		{ "", NULL, 0, 0, 0, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN, "1-4", 0, 0, 0, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN "keyboards pinned", "1-3", 1, 0, 3, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN "keyboards pinned", "1-3", 0, 1, 0, GK_KEYBOARD_UNPINNED, 0 },
		{ PIN "keyboards pinned", "1-4", 1, 1, 0, GK_KEYBOARD_UNPINNED, 0 },
		{ PIN "keyboards pinned", "1-3.1", 1, 1, 0, GK_KEYBOARD_UNPINNED, 0 },
		{ PIN "keyboards pinned", NULL, 1, 1, 0, GK_KEYBOARD_UNPINNED, 0 },
		{ PIN "keyboards { pinned one }", "1-3", 1, 0, 1, GK_KEYBOARD_SECOND, 1 },
		{ PIN "keyboards { pinned one }", "1-3", 1, 0, 1, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN "keyboards one", "1-3", 1, 0, 1, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN "keyboards one", "1-3", 1, 0, 2, GK_KEYBOARD_SECOND, 1 },
		{ PIN "keyboards one", "1-3", 0, 0, 1, GK_KEYBOARD_SECOND, 0 },
		{ PIN "keyboards { pinned one }", "1-4", 1, 0, 1, GK_KEYBOARD_UNPINNED, 0 },
		{ "keyboards one", "1-3", 0, 0, 0, GK_KEYBOARD_ACCEPT, 0 },
		{ "keyboards one", "1-3", 0, 1, 1, GK_KEYBOARD_SECOND, 0 },
		{ "keyboards challenge", "1-3", 0, 0, 5, GK_KEYBOARD_ASK, 0 },
		{ "keyboards challenge", "1-3", 0, 1, 5, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN "keyboards challenge", "1-3", 1, 0, 0, GK_KEYBOARD_ACCEPT, 0 },
		{ PIN "keyboards challenge", "1-3", 0, 0, 0, GK_KEYBOARD_ASK, 0 },
		{ "keyboards { one challenge }", "1-3", 0, 0, 1, GK_KEYBOARD_SECOND, 0 },
		{ "keyboards { one challenge }", "1-3", 0, 0, 0, GK_KEYBOARD_ASK, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gk_keyboard_facts k = { .seen = rows[i].seen,
					 .others = rows[i].others,
					 .others_pinned = rows[i].others_pinned };
		enum gk_keyboard_answer a;

		k.port.text = rows[i].port;
		k.port.len = rows[i].port ? strlen(rows[i].port) : 0;
		memcpy(k.sha256, sha_of_hex, GK_SHA256);
		k.sha256[31] ^= rows[i].same_hash ? 0 : 1;
		parse(rows[i].text);
		a = gk_keyboard_decide(&rules, &k);
		CHECK(a == rows[i].answer, "row %zu, %s: %s", i, rows[i].text,
		      gk_keyboard_answer_text(a));
	}
}

static void texts(void **state)
{
	(void)state;
	assert_string_equal(gk_rule_target_text(GK_RULE_ALLOW), "allow");
	assert_string_equal(gk_rule_target_text(GK_RULE_BLOCK), "block");
	assert_string_equal(gk_rule_target_text(GK_RULE_REJECT), "reject");
	assert_string_equal(gk_rule_target_text((enum gk_rule_target)9),
			    "unknown target");
	for (int i = 0; i < 4; i++)
		assert_string_not_equal(
			gk_keyboard_answer_text((enum gk_keyboard_answer)i),
			"unknown answer");
	assert_string_equal(gk_keyboard_answer_text((enum gk_keyboard_answer)4),
			    "unknown answer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_rule),
		cmocka_unit_test(modes_and_pins),
		cmocka_unit_test(refusals),
		cmocka_unit_test(caps),
		cmocka_unit_test(cut_and_changed),
		cmocka_unit_test(notes),
		cmocka_unit_test(judgements),
		cmocka_unit_test(the_default_rules),
		cmocka_unit_test(completed),
		cmocka_unit_test(from_descriptors),
		cmocka_unit_test(keyboards),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
