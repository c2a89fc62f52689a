/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/link.h"
#include "core/hid_report.h"
#include "core/manifest.h"
#include "core/policy.h"

enum { TYPES = GK_LINK_MANIFEST, SIDES = GK_SIDE_SUPERVISOR + 1 };

/* One good frame of each type, in the direction between the domains. */
static struct gk_frame sample(uint8_t type)
{
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.type = type;
	switch ((enum gk_link_type)type) {
	case GK_LINK_HELLO:
		f.u.hello.version_min = 1;
		f.u.hello.version_max = 3;
		for (unsigned i = 0; i < GK_LINK_NONCE; i++)
			f.u.hello.nonce[i] = (uint8_t)(0xa0 + i);
		f.u.hello.uptime_ms = 0x01020304;
		break;
	case GK_LINK_DEVICE:
		f.device = 2;
		f.generation = 9;
		f.u.dev.path = (struct gk_port_path){ 0x28, 1, 3, { 4, 1, 255 } };
		f.u.dev.vid = 0x046d;
		f.u.dev.pid = 0xc31c;
		f.u.dev.asked = GK_ROLE_KEYBOARD | GK_ROLE_POINTER;
		f.u.dev.granted = GK_ROLE_KEYBOARD;
		f.u.dev.verdict = GK_VERDICT_PARTLY;
		f.u.dev.interfaces = 2;
		f.u.dev.shown[0] = (struct gk_link_interface){ 0, 3, 1, 1,
							       GK_ROLE_KEYBOARD };
		f.u.dev.shown[1] = (struct gk_link_interface){ 1, 3, 1, 2, 0 };
		f.u.dev.rule = GK_LINK_BUILTIN | 12;
		f.u.dev.reason = GK_REASON_ADMITTED;
		for (unsigned i = 0; i < GK_SHA256; i++)
			f.u.dev.sha256[i] = (uint8_t)(0x40 + i);
		break;
	case GK_LINK_GONE:
		f.device = 2;
		f.generation = 9;
		f.u.gone.reason = GK_REASON_UNPLUGGED;
		break;
	case GK_LINK_KEY:
		f.device = 0x12345678;
		f.generation = 7;
		f.u.key.code = 30;
		f.u.key.value = 1;
		break;
	case GK_LINK_LED:
		f.device = 2;
		f.generation = 9;
		f.u.led.leds = 5;
		break;
	case GK_LINK_QUIESCE:
		f.u.quiesce.deadline_ms = 60000;
		break;
	case GK_LINK_QUIESCED:
		f.u.quiesced = (struct gk_link_quiesced){ 1, 2, 3 };
		break;
	case GK_LINK_PING:
		f.u.ping.reply = 1;
		f.u.ping.token = 0x1122334455667788;
		break;
	case GK_LINK_LOG:
		f.u.log.level = 6;
		f.u.log.len = 4;
		memcpy(f.u.log.text, " ~Hi", 4);
		break;
	case GK_LINK_FOUND:
		f.u.found.interface = 3;
		f.u.found.reason = GK_REASON_HID;
		f.u.found.offset = 0x0102;
		break;
	case GK_LINK_GRANT:
		f.u.grant.interface = 3;
		f.u.grant.role = GK_ROLE_FIDO;
		break;
	case GK_LINK_FIDO:
		f.device = 2;
		f.generation = 9;
		for (unsigned i = 0; i < GK_LINK_REPORT; i++)
			f.u.fido.packet[i] = (uint8_t)(0xc0 + i);
		break;
	case GK_LINK_MANIFEST:
		f.u.manifest.part[0] = GK_MANIFEST_RULES;
		f.u.manifest.part[1] = GK_MANIFEST_TEXT;
		f.u.manifest.part[2] = 4;
		for (unsigned i = 4; i < GK_LINK_MANIFEST_PART; i++)
			f.u.manifest.part[i] = (uint8_t)i;
		break;
	}
	return f;
}

/* The side that sends it between the domains. */
static enum gk_link_side sender(uint8_t type)
{
	if (type == GK_LINK_FOUND)
		return GK_SIDE_WORKER;
	if (type == GK_LINK_GRANT)
		return GK_SIDE_SUPERVISOR;
	return type == GK_LINK_LED || type == GK_LINK_QUIESCE ||
	       type == GK_LINK_MANIFEST ? GK_SIDE_DOM0 : GK_SIDE_GATE;
}

static const unsigned lengths[TYPES + 1] = { 0,  24, 100, 4,   4, 4,
					      4, 4,  12,  124, 8, 4, 64, 128 };

static size_t encoded(uint8_t type, uint8_t buf[GK_LINK_FRAME_MAX])
{
	struct gk_frame f = sample(type);
	int n = gk_link_encode(&f, sender(type), buf, GK_LINK_FRAME_MAX);

	CHECK(n == (int)(GK_LINK_HEADER + lengths[type]), "%s encodes to %d",
	      gk_link_type_name(type), n);
	return (size_t)n;
}

static void the_table(void **state)
{
	static const char *const names[TYPES + 1] = {
		"?",   "HELLO",	  "DEVICE",   "GONE", "KEY",
		"LED", "QUIESCE", "QUIESCED", "PING", "LOG",
		"FOUND", "GRANT", "FIDO", "MANIFEST",
	};

	(void)state;
	for (unsigned t = 0; t < 256; t++) {
		int known = t >= 1 && t <= TYPES;

		assert_int_equal(gk_link_payload_len((uint8_t)t),
				 known ? (int)lengths[t] : GK_ERR_TYPE);
		assert_string_equal(gk_link_type_name((uint8_t)t),
				    known ? names[t] : "?");
	}
	for (unsigned t = 1; t <= TYPES; t++)
		assert_true(lengths[t] <= GK_LINK_PAYLOAD_MAX);
}

/* The bytes on the wire, written out: gatekeeper-link(7) is held to these. */
static void wire_format(void **state)
{
	static const struct {
		uint8_t type;
		uint8_t bytes[GK_LINK_FRAME_MAX];
	} cases[] = {
		{ GK_LINK_HELLO, { 1,	 1,    24,   0,	   0,	 0,    0,    0,	   0,
				   0,	 0,    0,    1,	   0,	 3,    0,    0xa0, 0xa1,
				   0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa,
				   0xab, 0xac, 0xad, 0xae, 0xaf, 4,    3,    2,	   1 } },
		{ GK_LINK_DEVICE,
		  { 1,	  2,	100,  0,    2,	  0,	0,    0,    9,	  0,	0,
		    0,	  0x28, 1,    3,    4,	  1,	255,  0,    0,	  0,	0,
		    0x6d, 0x04, 0x1c, 0xc3, 9,	  1,	2,    0,    2,	  0,
		    0,	  3,	1,    1,    1,	  1,	3,    1,    2,	  0,
		    0,	  0,	0,    0,    0,	  0,	0,    0,    0,	  0,
		    0,	  0,	0,    0,    0,	  0,	0,    0,    0,	  0,
		    0,	  0,	0,    0,    0,	  0,	0,    0,    0,	  0,
		    1,	  0,	0,    0,    12,	  0x80, 0,    0,
		    0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a,
		    0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55,
		    0x56, 0x57, 0x58, 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f } },
		{ GK_LINK_GONE, { 1, 3, 4, 0, 2, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0 } },
		{ GK_LINK_KEY,
		  { 1, 4, 4, 0, 0x78, 0x56, 0x34, 0x12, 7, 0, 0, 0, 30, 0, 1, 0 } },
		{ GK_LINK_LED, { 1, 5, 4, 0, 2, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0 } },
		{ GK_LINK_QUIESCE,
		  { 1, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 0xea, 0, 0 } },
		{ GK_LINK_QUIESCED, { 1, 7, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0 } },
		{ GK_LINK_PING,
		  { 1, 8, 12, 0, 0,    0,    0,	   0,	 0,    0,    0,	   0,
		    1, 0, 0,  0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 } },
		{ GK_LINK_LOG, { 1, 9, 124, 0, 0, 0, 0,	  0,   0,   0,
				 0, 0, 6,   4, 0, 0, ' ', '~', 'H', 'i' } },
		{ GK_LINK_FOUND, { 1, 10, 8, 0, 0, 0, 0,  0, 0, 0,
				   0, 0,  3, 0, 13, 0, 2, 1, 0, 0 } },
		{ GK_LINK_GRANT, { 1, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0 } },
		{ GK_LINK_FIDO,
		  { 1,	  12,	64,   0,    2,	  0,	0,    0,    9,	  0,	0,
		    0,	  0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9,
		    0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4,
		    0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
		    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea,
		    0xeb, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5,
		    0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff } },
		{ GK_LINK_MANIFEST,
		  { 1, 13, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 124, 4, 0,
		    4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
		    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
		    39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55,
		    56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72,
		    73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
		    90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105,
		    106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119,
		    120, 121, 122, 123, 124, 125, 126, 127 } },
	};

	(void)state;
	assert_int_equal(COUNT(cases), TYPES);
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[GK_LINK_FRAME_MAX];
		size_t n = encoded(cases[i].type, buf);

		CHECK(memcmp(buf, cases[i].bytes, n) == 0, "%s",
		      gk_link_type_name(cases[i].type));
	}
}

static void decode_gives_back_what_was_encoded(void **state)
{
	(void)state;
	for (uint8_t t = 1; t <= TYPES; t++) {
		uint8_t buf[GK_LINK_FRAME_MAX], again[GK_LINK_FRAME_MAX];
		size_t n = encoded(t, buf);
		struct gk_frame f, want = sample(t);

		memset(&f, 0xee, sizeof(f));
		assert_int_equal(gk_link_decode(buf, n, sender(t), &f), GK_OK);
		assert_int_equal(f.type, t);
		assert_int_equal(f.device, want.device);
		assert_int_equal(f.generation, want.generation);
		assert_int_equal(gk_link_encode(&f, sender(t), again, sizeof(again)), n);
		assert_memory_equal(again, buf, n);
		assert_int_equal(gk_link_peek(buf, n), n);
		assert_int_equal(gk_link_peek(buf, GK_LINK_HEADER), n);
	}
}

/* The frame that decode must leave alone on an error. */
static void assert_untouched(const struct gk_frame *f)
{
	const uint8_t *b = (const uint8_t *)f;

	for (size_t i = 0; i < sizeof(*f); i++)
		CHECK(b[i] == 0xee, "byte %zu of the frame was written", i);
}

static void truncation_at_every_byte(void **state)
{
	(void)state;
	for (uint8_t t = 1; t <= TYPES; t++) {
		uint8_t buf[GK_LINK_FRAME_MAX + 1] = { 0 };
		size_t n = encoded(t, buf);
		struct gk_frame f;

		memset(&f, 0xee, sizeof(f));
		for (size_t len = 0; len < n; len++) {
			/* A copy of just that size, so that ASan sees an overread. */
			uint8_t *cut = test_malloc(len + 1);

			memcpy(cut, buf, len);
			CHECK(gk_link_decode(cut, len, sender(t), &f) == GK_ERR_SHORT,
			      "%s cut to %zu", gk_link_type_name(t), len);
			if (len < GK_LINK_HEADER)
				assert_int_equal(gk_link_peek(cut, len), GK_ERR_SHORT);
			test_free(cut);
		}
		assert_int_equal(gk_link_decode(buf, n + 1, sender(t), &f),
				 GK_ERR_TRAILING);
		assert_untouched(&f);
	}
}

static void bad_bytes(void **state)
{
	static const struct {
		uint8_t type;
		uint8_t at, value;
		int err;
	} cases[] = {
		{ GK_LINK_KEY, 0, 0, GK_ERR_VERSION },
		{ GK_LINK_KEY, 0, 2, GK_ERR_VERSION },
		{ GK_LINK_KEY, 0, 255, GK_ERR_VERSION },
		{ GK_LINK_KEY, 1, 0, GK_ERR_TYPE },
		{ GK_LINK_KEY, 1, 12, GK_ERR_LENGTH },
		{ GK_LINK_KEY, 1, 13, GK_ERR_LENGTH },
		{ GK_LINK_KEY, 1, 14, GK_ERR_TYPE },
		{ GK_LINK_KEY, 1, 255, GK_ERR_TYPE },
		{ GK_LINK_KEY, 2, 3, GK_ERR_LENGTH },
		{ GK_LINK_KEY, 2, 5, GK_ERR_LENGTH },
		{ GK_LINK_KEY, 3, 1, GK_ERR_LENGTH },
		{ GK_LINK_LOG, 2, 0, GK_ERR_LENGTH },
		/* Device and generation: there or not, and together. */
		{ GK_LINK_HELLO, 4, 1, GK_ERR_VALUE },
		{ GK_LINK_HELLO, 8, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 4, 0, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 8, 0, GK_ERR_VALUE },
		{ GK_LINK_GONE, 4, 0, GK_ERR_VALUE },
		{ GK_LINK_GONE, 8, 0, GK_ERR_VALUE },
		{ GK_LINK_KEY, 8, 0, GK_ERR_VALUE },
		{ GK_LINK_LED, 4, 0, GK_ERR_VALUE },
		{ GK_LINK_QUIESCE, 4, 1, GK_ERR_VALUE },
		{ GK_LINK_QUIESCED, 8, 1, GK_ERR_VALUE },
		{ GK_LINK_PING, 7, 1, GK_ERR_VALUE },
		{ GK_LINK_LOG, 4, 1, GK_ERR_VALUE },
		{ GK_LINK_LOG, 8, 1, GK_ERR_VALUE },
		{ GK_LINK_MANIFEST, 4, 1, GK_ERR_VALUE },
		/* MANIFEST: test_manifest.c has the rest */
		{ GK_LINK_MANIFEST, 12, 0, GK_ERR_TYPE },
		{ GK_LINK_MANIFEST, 13, 123, GK_ERR_VALUE },
		{ GK_LINK_MANIFEST, 20, 0, GK_ERR_VALUE },
		/* HELLO */
		{ GK_LINK_HELLO, 12, 0, GK_ERR_VALUE },
		{ GK_LINK_HELLO, 12, 4, GK_ERR_VALUE },
		{ GK_LINK_HELLO, 12, 2, GK_ERR_VERSION },
		{ GK_LINK_HELLO, 14, 0, GK_ERR_VALUE },
		/* DEVICE: port path */
		{ GK_LINK_DEVICE, 13, 2, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 14, 0, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 14, 2, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 14, 4, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 14, 8, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 14, 255, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 15, 0, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 17, 0, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 18, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 21, 1, GK_ERR_VALUE },
		/* DEVICE: roles, verdict, reason */
		{ GK_LINK_DEVICE, 26, 0x19, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 26, 0x08, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 27, 0x02, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 27, 0x00, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 28, GK_VERDICT_REFUSED, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 28, GK_VERDICT_HUB, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 28, 4, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 30, 0, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 30, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 30, 33, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 31, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 36, 3, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 36, 0, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 41, 8, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 42, 8, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 71, 8, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 72, GK_REASON_NONE, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 72, GK_REASON_HUB, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 72, GK_REASON_BAD_DESCRIPTOR, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 73, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 74, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 78, 1, GK_ERR_VALUE },
		{ GK_LINK_DEVICE, 79, 1, GK_ERR_VALUE },
		/* The small ones */
		{ GK_LINK_GONE, 12, GK_REASON_NONE, GK_ERR_VALUE },
		{ GK_LINK_GONE, 12, GK_REASON_ADMITTED, GK_ERR_VALUE },
		{ GK_LINK_GONE, 12, GK_REASON_TOO_MANY, GK_ERR_VALUE },
		{ GK_LINK_GONE, 12, GK_REASON_QUIESCED + 1, GK_ERR_VALUE },
		{ GK_LINK_GONE, 13, 1, GK_ERR_VALUE },
		{ GK_LINK_GONE, 14, 1, GK_ERR_VALUE },
		{ GK_LINK_GONE, 15, 0x80, GK_ERR_VALUE },
		{ GK_LINK_KEY, 12, 0, GK_ERR_VALUE },
		{ GK_LINK_KEY, 13, 1, GK_ERR_VALUE },
		{ GK_LINK_KEY, 14, 2, GK_ERR_VALUE },
		{ GK_LINK_KEY, 15, 1, GK_ERR_VALUE },
		{ GK_LINK_LED, 12, 8, GK_ERR_VALUE },
		{ GK_LINK_LED, 12, 255, GK_ERR_VALUE },
		{ GK_LINK_LED, 13, 1, GK_ERR_VALUE },
		{ GK_LINK_LED, 15, 1, GK_ERR_VALUE },
		{ GK_LINK_QUIESCE, 12, 0x61, GK_ERR_VALUE },
		{ GK_LINK_QUIESCE, 15, 1, GK_ERR_VALUE },
		{ GK_LINK_QUIESCED, 12, 2, GK_ERR_VALUE },
		{ GK_LINK_QUIESCED, 14, 17, GK_ERR_VALUE },
		{ GK_LINK_QUIESCED, 15, 1, GK_ERR_VALUE },
		{ GK_LINK_PING, 12, 2, GK_ERR_VALUE },
		{ GK_LINK_PING, 13, 1, GK_ERR_VALUE },
		{ GK_LINK_PING, 15, 1, GK_ERR_VALUE },
		{ GK_LINK_LOG, 12, 2, GK_ERR_VALUE },
		{ GK_LINK_LOG, 12, 8, GK_ERR_VALUE },
		{ GK_LINK_LOG, 13, 0, GK_ERR_VALUE },
		{ GK_LINK_LOG, 13, 3, GK_ERR_VALUE },
		{ GK_LINK_LOG, 13, 5, GK_ERR_VALUE },
		{ GK_LINK_LOG, 13, 121, GK_ERR_VALUE },
		{ GK_LINK_LOG, 14, 1, GK_ERR_VALUE },
		{ GK_LINK_LOG, 15, 1, GK_ERR_VALUE },
		{ GK_LINK_LOG, 16, 0x1f, GK_ERR_VALUE },
		{ GK_LINK_LOG, 16, 0x1b, GK_ERR_VALUE },
		{ GK_LINK_LOG, 16, '\n', GK_ERR_VALUE },
		{ GK_LINK_LOG, 16, 0, GK_ERR_VALUE },
		{ GK_LINK_LOG, 17, 0x7f, GK_ERR_VALUE },
		{ GK_LINK_LOG, 19, 0x80, GK_ERR_VALUE },
		{ GK_LINK_LOG, 19, 0xff, GK_ERR_VALUE },
		{ GK_LINK_LOG, 20, 'x', GK_ERR_VALUE },
		{ GK_LINK_LOG, 135, 'x', GK_ERR_VALUE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[GK_LINK_FRAME_MAX];
		size_t n = encoded(cases[i].type, buf);
		struct gk_frame f;
		int err;

		CHECK(cases[i].at < n, "row %zu is outside", i);
		CHECK(buf[cases[i].at] != cases[i].value, "row %zu changes nothing", i);
		buf[cases[i].at] = cases[i].value;
		memset(&f, 0xee, sizeof(f));
		err = gk_link_decode(buf, n, sender(cases[i].type), &f);
		CHECK(err == cases[i].err, "%s, byte %u = %#x: %s",
		      gk_link_type_name(cases[i].type), cases[i].at, cases[i].value,
		      gk_strerror(err));
		assert_untouched(&f);
	}
}

/* All changes of one byte: refused, or a frame that encodes to the same bytes. */
static void every_byte_every_value(void **state)
{
	(void)state;
	for (uint8_t t = 1; t <= TYPES; t++) {
		uint8_t buf[GK_LINK_FRAME_MAX], again[GK_LINK_FRAME_MAX];
		size_t n = encoded(t, buf);

		for (size_t at = 0; at < n; at++) {
			uint8_t was = buf[at];

			for (unsigned v = 0; v < 256; v++) {
				struct gk_frame f;
				int err;

				buf[at] = (uint8_t)v;
				err = gk_link_decode(buf, n, sender(t), &f);
				if (err) {
					CHECK(v != was && err < 0, "%u/%zu/%u: %d", t,
					      at, v, err);
					continue;
				}
				assert_int_equal(gk_link_encode(&f, sender(t), again,
								sizeof(again)),
						 n);
				assert_memory_equal(again, buf, n);
			}
			buf[at] = was;
		}
	}
}

/* What decode refuses encode does not write. */
static void encode_is_as_strict(void **state)
{
#define FIELD(t, member, v)                                                       \
	{                                                                         \
		t, offsetof(struct gk_frame, member),                             \
			sizeof(((struct gk_frame *)0)->member), v, #member " " #v \
	}
	static const struct {
		uint8_t type;
		size_t at, size;
		uint32_t value;
		const char *what;
	} cases[] = {
		FIELD(GK_LINK_HELLO, device, 1),
		FIELD(GK_LINK_HELLO, generation, 1),
		FIELD(GK_LINK_HELLO, u.hello.version_min, 0),
		FIELD(GK_LINK_HELLO, u.hello.version_min, 4),
		FIELD(GK_LINK_HELLO, u.hello.version_min, 2),
		FIELD(GK_LINK_HELLO, u.hello.version_max, 0),
		FIELD(GK_LINK_DEVICE, device, 0),
		FIELD(GK_LINK_DEVICE, generation, 0),
		FIELD(GK_LINK_DEVICE, u.dev.path.root, 2),
		FIELD(GK_LINK_DEVICE, u.dev.path.depth, 0),
		FIELD(GK_LINK_DEVICE, u.dev.path.depth, 8),
		FIELD(GK_LINK_DEVICE, u.dev.path.port[1], 0),
		FIELD(GK_LINK_DEVICE, u.dev.path.port[3], 1),
		FIELD(GK_LINK_DEVICE, u.dev.asked, 0x10),
		FIELD(GK_LINK_DEVICE, u.dev.granted, GK_ROLE_FIDO),
		FIELD(GK_LINK_DEVICE, u.dev.verdict, 4),
		FIELD(GK_LINK_DEVICE, u.dev.verdict, GK_VERDICT_REFUSED),
		FIELD(GK_LINK_DEVICE, u.dev.interfaces, 33),
		FIELD(GK_LINK_DEVICE, u.dev.shown[2].role, 1),
		FIELD(GK_LINK_DEVICE, u.dev.shown[2].number, 1),
		FIELD(GK_LINK_DEVICE, u.dev.shown[7].base_class, 8),
		FIELD(GK_LINK_DEVICE, u.dev.shown[0].role, 0),
		FIELD(GK_LINK_DEVICE, u.dev.shown[0].role, 3),
		FIELD(GK_LINK_DEVICE, u.dev.shown[1].role, GK_ROLE_POINTER),
		FIELD(GK_LINK_DEVICE, u.dev.reason, GK_REASON_UNPINNED),
		FIELD(GK_LINK_DEVICE, u.dev.offset, 1),
		FIELD(GK_LINK_FOUND, u.found.offset, GK_HID_DESC_MAX + 1),
		FIELD(GK_LINK_FOUND, u.found.reason, GK_REASON_RULE),
		FIELD(GK_LINK_FOUND, u.found.roles, 1),
		FIELD(GK_LINK_GRANT, u.grant.role, 3),
		FIELD(GK_LINK_GONE, u.gone.reason, GK_REASON_NONE),
		FIELD(GK_LINK_GONE, u.gone.reason, 0x0109),
		FIELD(GK_LINK_KEY, u.key.code, 0),
		FIELD(GK_LINK_KEY, u.key.code, 256),
		FIELD(GK_LINK_KEY, u.key.value, 2),
		FIELD(GK_LINK_LED, u.led.leds, 8),
		FIELD(GK_LINK_QUIESCE, u.quiesce.deadline_ms, 0),
		FIELD(GK_LINK_QUIESCE, u.quiesce.deadline_ms, 60001),
		FIELD(GK_LINK_QUIESCED, u.quiesced.complete, 2),
		FIELD(GK_LINK_QUIESCED, u.quiesced.devices, 17),
		FIELD(GK_LINK_PING, u.ping.reply, 2),
		FIELD(GK_LINK_LOG, u.log.level, 2),
		FIELD(GK_LINK_LOG, u.log.level, 8),
		FIELD(GK_LINK_LOG, u.log.len, 0),
		FIELD(GK_LINK_LOG, u.log.len, 3),
		FIELD(GK_LINK_LOG, u.log.len, 121),
		FIELD(GK_LINK_LOG, u.log.text[0], 0x1f),
		FIELD(GK_LINK_LOG, u.log.text[3], 0x7f),
		FIELD(GK_LINK_LOG, u.log.text[3], 0xe9),
		FIELD(GK_LINK_LOG, u.log.text[119], ' '),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_frame f = sample(cases[i].type);
		uint8_t buf[GK_LINK_FRAME_MAX];
		int n;

		memset(buf, 0xee, sizeof(buf));
		/* The tests run on little-endian machines only (x86). */
		memcpy((uint8_t *)&f + cases[i].at, &cases[i].value, cases[i].size);
		n = gk_link_encode(&f, sender(cases[i].type), buf, sizeof(buf));
		CHECK(n < 0, "%s = %s gave %d bytes", gk_link_type_name(cases[i].type),
		      cases[i].what, n);
		CHECK(buf[0] == 0xee, "%s was written", cases[i].what);
	}
#undef FIELD
}

/* The last value on the good side of each bound gets through, both ways. */
static void bounds_are_legal(void **state)
{
#define FIELD(t, member, v)                                                       \
	{                                                                         \
		t, offsetof(struct gk_frame, member),                             \
			sizeof(((struct gk_frame *)0)->member), v, #member " " #v \
	}
	static const struct {
		uint8_t type;
		size_t at, size;
		uint32_t value;
		const char *what;
	} cases[] = {
		FIELD(GK_LINK_HELLO, u.hello.version_max, 1),
		FIELD(GK_LINK_HELLO, u.hello.version_max, 0xffff),
		FIELD(GK_LINK_DEVICE, device, 1),
		FIELD(GK_LINK_DEVICE, device, 0xffffffff),
		FIELD(GK_LINK_DEVICE, generation, 0xffffffff),
		FIELD(GK_LINK_DEVICE, u.dev.path.root, 0),
		FIELD(GK_LINK_DEVICE, u.dev.path.controller, 255),
		FIELD(GK_LINK_DEVICE, u.dev.path.port[0], 255),
		FIELD(GK_LINK_DEVICE, u.dev.interfaces, 32),
		FIELD(GK_LINK_DEVICE, u.dev.asked, GK_ROLE_ALL),
		FIELD(GK_LINK_DEVICE, u.dev.shown[1].base_class, 255),
		FIELD(GK_LINK_DEVICE, u.dev.shown[1].role, 1),
		FIELD(GK_LINK_DEVICE, u.dev.rule, 0xffff),
		FIELD(GK_LINK_GONE, u.gone.reason, GK_REASON_CHANGED),
		FIELD(GK_LINK_GONE, u.gone.reason, GK_REASON_QUIESCED),
		FIELD(GK_LINK_KEY, u.key.code, 1),
		FIELD(GK_LINK_KEY, u.key.code, 255),
		FIELD(GK_LINK_KEY, u.key.value, 0),
		FIELD(GK_LINK_LED, u.led.leds, 0),
		FIELD(GK_LINK_LED, u.led.leds, 7),
		FIELD(GK_LINK_QUIESCE, u.quiesce.deadline_ms, 1),
		FIELD(GK_LINK_QUIESCED, u.quiesced.complete, 0),
		FIELD(GK_LINK_QUIESCED, u.quiesced.controllers, 255),
		FIELD(GK_LINK_QUIESCED, u.quiesced.devices, GK_LINK_DEVICES),
		FIELD(GK_LINK_PING, u.ping.reply, 0),
		FIELD(GK_LINK_LOG, u.log.level, 3),
		FIELD(GK_LINK_LOG, u.log.level, 7),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_frame f = sample(cases[i].type), out;
		size_t want = GK_LINK_HEADER + lengths[cases[i].type];
		uint8_t buf[GK_LINK_FRAME_MAX];
		int n;

		memcpy((uint8_t *)&f + cases[i].at, &cases[i].value, cases[i].size);
		/* Into a buffer that just fits. */
		n = gk_link_encode(&f, sender(cases[i].type), buf, want);
		CHECK(n == (int)want, "%s = %s gave %d",
		      gk_link_type_name(cases[i].type), cases[i].what, n);
		assert_int_equal(gk_link_decode(buf, want, sender(cases[i].type), &out),
				 GK_OK);
		CHECK(memcmp((uint8_t *)&out + cases[i].at, &cases[i].value,
			     cases[i].size) == 0,
		      "%s came out otherwise", cases[i].what);
	}
#undef FIELD
}

static void every_depth_and_length(void **state)
{
	(void)state;
	for (uint8_t depth = 0; depth < 20; depth++) {
		struct gk_frame f = sample(GK_LINK_DEVICE);
		uint8_t buf[GK_LINK_FRAME_MAX];
		int want = depth >= 1 && depth <= GK_PORT_DEPTH ? 112 : GK_ERR_VALUE;

		f.u.dev.path.depth = depth;
		for (uint8_t i = 0; i < GK_PORT_DEPTH; i++)
			f.u.dev.path.port[i] = i < depth ? (uint8_t)(i + 1) : 0;
		assert_int_equal(gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf)),
				 want);
	}
	for (unsigned len = 0; len < 256; len++) {
		struct gk_frame f = sample(GK_LINK_LOG);
		uint8_t buf[GK_LINK_FRAME_MAX];
		int want = len >= 1 && len <= GK_LINK_TEXT ? 136 : GK_ERR_VALUE;

		memset(f.u.log.text, 0, sizeof(f.u.log.text));
		memset(f.u.log.text, 'x', len <= GK_LINK_TEXT ? len : GK_LINK_TEXT);
		f.u.log.len = (uint8_t)len;
		assert_int_equal(gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf)),
				 want);
	}
}

/* Verdict, roles and reason must tell one story. */
static void verdicts(void **state)
{
	static const struct {
		uint8_t verdict, asked, granted, interfaces;
		uint16_t reason, offset;
		int ok;
	} cases[] = {
		{ GK_VERDICT_ADMITTED, 1, 1, 1, GK_REASON_ADMITTED, 0, 1 },
		{ GK_VERDICT_ADMITTED, 1, 1, 0, GK_REASON_ADMITTED, 0, 0 },
		{ GK_VERDICT_ADMITTED, 1, 0, 1, GK_REASON_ADMITTED, 0, 0 },
		{ GK_VERDICT_ADMITTED, 1, 1, 1, GK_REASON_NO_ROLE, 0, 0 },
		{ GK_VERDICT_ADMITTED, 1, 1, 1, GK_REASON_ADMITTED, 7, 0 },
		{ GK_VERDICT_PARTLY, 1, 1, 2, GK_REASON_ADMITTED, 0, 1 },
		{ GK_VERDICT_PARTLY, 1, 1, 1, GK_REASON_ADMITTED, 0, 0 },
		{ GK_VERDICT_PARTLY, 1, 1, 2, GK_REASON_HUB, 0, 0 },
		{ GK_VERDICT_HUB, 0, 0, 1, GK_REASON_HUB, 0, 1 },
		{ GK_VERDICT_HUB, 1, 1, 1, GK_REASON_HUB, 0, 0 },
		{ GK_VERDICT_HUB, 0, 0, 0, GK_REASON_HUB, 0, 0 },
		{ GK_VERDICT_HUB, 0, 0, 1, GK_REASON_NO_ROLE, 0, 0 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_NO_ROLE, 0, 1 },
		{ GK_VERDICT_REFUSED, 4, 0, 1, GK_REASON_NO_ROLE, 0, 1 },
		{ GK_VERDICT_REFUSED, 4, 4, 1, GK_REASON_NO_ROLE, 0, 0 },
		{ GK_VERDICT_REFUSED, 0, 0, 0, GK_REASON_BAD_DESCRIPTOR, 27, 1 },
		{ GK_VERDICT_REFUSED, 0, 0, 0, GK_REASON_BAD_DESCRIPTOR, 16384, 1 },
		{ GK_VERDICT_REFUSED, 0, 0, 0, GK_REASON_BAD_DESCRIPTOR, 16385, 0 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_TOO_MANY, 27, 1 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_CONFIGURE, 0, 1 },
		{ GK_VERDICT_REFUSED, 1, 0, 1, GK_REASON_WORKER, 0, 1 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_UNPLUGGED, 0, 0 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_QUIESCED, 0, 0 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_NONE, 0, 0 },
		{ GK_VERDICT_REFUSED, 0, 0, 1, GK_REASON_ADMITTED, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_frame f = sample(GK_LINK_DEVICE);
		uint8_t buf[GK_LINK_FRAME_MAX];
		int n;

		memset(f.u.dev.shown, 0, sizeof(f.u.dev.shown));
		f.u.dev.verdict = cases[i].verdict;
		f.u.dev.asked = cases[i].asked;
		f.u.dev.granted = cases[i].granted;
		if (cases[i].interfaces)
			f.u.dev.shown[0].role = cases[i].granted;
		f.u.dev.interfaces = cases[i].interfaces;
		f.u.dev.reason = cases[i].reason;
		f.u.dev.offset = cases[i].offset;
		n = gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf));
		CHECK((n > 0) == cases[i].ok, "row %zu: %d", i, n);
	}
}

static void only_the_right_side_sends_it(void **state)
{
	static const uint8_t may[TYPES + 1][SIDES] = {
		/*		      gate dom0 worker supervisor */
		[GK_LINK_HELLO] = { 1, 1, 0, 0 },    [GK_LINK_DEVICE] = { 1, 0, 0, 0 },
		[GK_LINK_GONE] = { 1, 0, 0, 0 },     [GK_LINK_KEY] = { 1, 0, 1, 0 },
		[GK_LINK_LED] = { 0, 1, 0, 1 },	     [GK_LINK_QUIESCE] = { 0, 1, 0, 1 },
		[GK_LINK_QUIESCED] = { 1, 0, 0, 0 }, [GK_LINK_PING] = { 1, 1, 1, 1 },
		[GK_LINK_LOG] = { 1, 0, 1, 0 },      [GK_LINK_FOUND] = { 0, 0, 1, 0 },
		[GK_LINK_GRANT] = { 0, 0, 0, 1 },    [GK_LINK_FIDO] = { 1, 1, 1, 1 },
		[GK_LINK_MANIFEST] = { 0, 1, 0, 0 },
	};

	(void)state;
	for (uint8_t t = 1; t <= TYPES; t++) {
		for (unsigned side = 0; side < SIDES; side++) {
			enum gk_link_side from = (enum gk_link_side)side;
			uint8_t buf[GK_LINK_FRAME_MAX], other[GK_LINK_FRAME_MAX];
			size_t n = encoded(t, buf);
			struct gk_frame f = sample(t), out;
			int want = may[t][side] ? GK_OK : GK_ERR_DIRECTION;

			/* Inside a domain nobody names a device. */
			if (from == GK_SIDE_WORKER || from == GK_SIDE_SUPERVISOR) {
				memset(buf + 4, 0, 8);
				f.device = 0;
				f.generation = 0;
			}
			CHECK(gk_link_decode(buf, n, from, &out) == want,
			      "%s from side %u", gk_link_type_name(t), side);
			assert_int_equal(gk_link_encode(&f, from, other, sizeof(other)),
					 want == GK_OK ? (int)n : want);
		}
	}
}

static void a_worker_names_no_device(void **state)
{
	static const struct {
		uint8_t type;
		enum gk_link_side from;
	} cases[] = {
		{ GK_LINK_KEY, GK_SIDE_WORKER },
		{ GK_LINK_LOG, GK_SIDE_WORKER },
		{ GK_LINK_FOUND, GK_SIDE_WORKER },
		{ GK_LINK_GRANT, GK_SIDE_SUPERVISOR },
		{ GK_LINK_PING, GK_SIDE_WORKER },
		{ GK_LINK_LED, GK_SIDE_SUPERVISOR },
		{ GK_LINK_FIDO, GK_SIDE_WORKER },
		{ GK_LINK_FIDO, GK_SIDE_SUPERVISOR },
		{ GK_LINK_QUIESCE, GK_SIDE_SUPERVISOR },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (unsigned bits = 1; bits < 4; bits++) {
			uint8_t buf[GK_LINK_FRAME_MAX], out[GK_LINK_FRAME_MAX];
			size_t n = encoded(cases[i].type, buf);
			struct gk_frame f = sample(cases[i].type), got;

			memset(buf + 4, 0, 8);
			buf[4] = bits & 1;
			buf[8] = bits >> 1 & 1;
			f.device = bits & 1;
			f.generation = bits >> 1 & 1;
			assert_int_equal(gk_link_decode(buf, n, cases[i].from, &got),
					 GK_ERR_VALUE);
			assert_int_equal(
				gk_link_encode(&f, cases[i].from, out, sizeof(out)),
				GK_ERR_VALUE);
		}
	}
}

static void log_may_be_about_a_device(void **state)
{
	struct gk_frame f = sample(GK_LINK_LOG);
	uint8_t buf[GK_LINK_FRAME_MAX];

	(void)state;
	f.device = 3;
	f.generation = 4;
	assert_int_equal(gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf)), 136);
	f.u.log.len = GK_LINK_TEXT;
	memset(f.u.log.text, '~', GK_LINK_TEXT);
	assert_int_equal(gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf)), 136);
	assert_int_equal(gk_link_decode(buf, 136, GK_SIDE_GATE, &f), GK_OK);
	assert_int_equal(f.device, 3);
	assert_int_equal(f.u.log.text[119], '~');
}

static void a_small_buffer_is_left_alone(void **state)
{
	(void)state;
	for (uint8_t t = 1; t <= TYPES; t++) {
		struct gk_frame f = sample(t);
		uint8_t buf[GK_LINK_FRAME_MAX];

		memset(buf, 0xee, sizeof(buf));
		for (size_t cap = 0; cap < GK_LINK_HEADER + lengths[t]; cap++)
			assert_int_equal(gk_link_encode(&f, sender(t), buf, cap),
					 GK_ERR_LIMIT);
		assert_int_equal(buf[0], 0xee);
	}
}

static void unknown_types_and_sides(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 256; t++) {
		struct gk_frame f;
		uint8_t buf[GK_LINK_FRAME_MAX];

		if (t >= 1 && t <= TYPES)
			continue;
		memset(&f, 0, sizeof(f));
		f.type = (uint8_t)t;
		assert_int_equal(gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf)),
				 GK_ERR_TYPE);
	}
	for (unsigned side = SIDES; side < 40; side++) {
		struct gk_frame f = sample(GK_LINK_PING);
		uint8_t buf[GK_LINK_FRAME_MAX];

		assert_int_equal(
			gk_link_encode(&f, (enum gk_link_side)side, buf, sizeof(buf)),
			GK_ERR_DIRECTION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(wire_format),
		cmocka_unit_test(decode_gives_back_what_was_encoded),
		cmocka_unit_test(truncation_at_every_byte),
		cmocka_unit_test(bad_bytes),
		cmocka_unit_test(every_byte_every_value),
		cmocka_unit_test(encode_is_as_strict),
		cmocka_unit_test(bounds_are_legal),
		cmocka_unit_test(every_depth_and_length),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(only_the_right_side_sends_it),
		cmocka_unit_test(a_worker_names_no_device),
		cmocka_unit_test(log_may_be_about_a_device),
		cmocka_unit_test(a_small_buffer_is_left_alone),
		cmocka_unit_test(unknown_types_and_sides),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
