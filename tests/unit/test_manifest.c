/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/manifest.h"

/* No digest of a real manifest: core only compares it. */
static const uint8_t digest[GK_SHA256] = { 0xd1, 0xd2, [31] = 0xdf };

static struct gk_manifest m;
static struct gk_manifest_reader reader;
static struct gk_link_manifest part[GK_MANIFEST_PARTS_MAX];

static void set_text(unsigned len)
{
	memset(m.rules, 0, sizeof(m.rules));
	for (unsigned i = 0; i < len; i++)
		m.rules[i] = (char)(' ' + i % 95);
	m.rules_len = (uint16_t)len;
}

static void set_devices(unsigned n)
{
	memset(m.device, 0, sizeof(m.device));
	m.devices = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		struct gk_manifest_device *d = &m.device[i];

		d->path = (struct gk_port_path){ (uint8_t)(1 + i / 4), i & 1, 2,
						 { (uint8_t)(1 + i), 255 } };
		d->vid = (uint16_t)(0x1000 + i);
		d->pid = (uint16_t)(0x2000 + i);
		d->roles = GK_ROLE_KEYBOARD | GK_ROLE_FIDO;
		d->flags = i == 0 ? GK_MANIFEST_IN_USE : 0;
		d->rule = (uint16_t)(GK_LINK_BUILTIN | i);
		memset(d->sha256, (int)(0x40 + i), GK_SHA256);
	}
}

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	memset(&reader, 0, sizeof(reader));
	m.version = GK_MANIFEST_VERSION;
	m.leds = 2;
	m.controllers = 3;
	memcpy(m.controller, (uint8_t[]){ 2, 1, 255 }, 3);
	set_text(300);
	set_devices(2);
	return 0;
}

/* All parts of m, and how many. */
static unsigned make_parts(void)
{
	int n = gk_manifest_parts(&m);

	CHECK(n >= 2 && n <= GK_MANIFEST_PARTS_MAX, "%d parts", n);
	for (unsigned i = 0; i < (unsigned)n; i++) {
		const uint8_t *d = i + 1 == (unsigned)n ? digest : NULL;

		assert_int_equal(gk_manifest_part(&m, i, d, &part[i]), GK_OK);
		assert_int_equal(gk_manifest_check(&part[i]), GK_OK);
		assert_int_equal(gk_manifest_is_end(&part[i]), d != NULL);
	}
	assert_int_equal(gk_manifest_part(&m, (unsigned)n, digest, &part[0]),
			 GK_ERR_LIMIT);
	return (unsigned)n;
}

static int take(unsigned i)
{
	return gk_manifest_take(&reader, &part[i],
				gk_manifest_is_end(&part[i]) ? digest : NULL);
}

static void assert_empty(void)
{
	static const struct gk_manifest_reader none;

	assert_memory_equal(&reader, &none, sizeof(none));
}

static void what_goes_in_comes_out(void **state)
{
	static const unsigned lengths[] = { 0, 1, 123, 124, 125, 248, 249, 32767, 32768 };
	static const unsigned counts[] = { 0, 1, 15, 16 };

	(void)state;
	for (size_t l = 0; l < COUNT(lengths); l++) {
		for (size_t c = 0; c < COUNT(counts); c++) {
			unsigned n;

			set_text(lengths[l]);
			set_devices(counts[c]);
			n = make_parts();
			assert_int_equal(n, 2 + (lengths[l] + 123) / 124 + counts[c]);
			/* Again and again: each BEGIN starts anew. */
			for (unsigned round = 0; round < 2; round++) {
				for (unsigned i = 0; i + 1 < n; i++)
					assert_int_equal(take(i), 0);
				assert_int_equal(take(n - 1), 1);
				assert_memory_equal(&reader.m, &m, sizeof(m));
			}
		}
	}
	assert_int_equal(make_parts(), GK_MANIFEST_PARTS_MAX);
}

/* The bytes on the wire: gatekeeper-link(7) is held to these. */
static void wire_format(void **state)
{
	static const uint8_t begin[128] = { 1, 0, 0, 0, 1, 0, 2, 1, 3, 0, 3, 0,
					    2, 1, 255 };
	static const uint8_t rules[128] = { 2, 3, 1, 0, 'a', 'b', 'c' };
	static const uint8_t device[128] = {
		3,  0,	  2,	0,    3,    1,	  2,	4,    255,  0,	  0,
		0,  0,	  0,	0x6d, 0x04, 0x1c, 0xc3, 3,    1,    12,	  0x80,
		0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a,
		0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55,
		0x56, 0x57, 0x58, 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f
	};
	static const uint8_t end[128] = { 4, 0, 3, 0, 4, 0, 0, 0, 0xd1, 0xd2, [39] = 0xdf };
	const uint8_t *const want[] = { begin, rules, device, end };

	(void)state;
	set_devices(1);
	memset(m.rules, 0, sizeof(m.rules));
	memcpy(m.rules, "abc", 3);
	m.rules_len = 3;
	m.device[0] = (struct gk_manifest_device){
		.path = { 3, 1, 2, { 4, 255 } }, .vid = 0x046d, .pid = 0xc31c,
		.roles = GK_ROLE_KEYBOARD | GK_ROLE_FIDO, .flags = GK_MANIFEST_IN_USE,
		.rule = GK_LINK_BUILTIN | 12,
	};
	for (unsigned i = 0; i < GK_SHA256; i++)
		m.device[0].sha256[i] = (uint8_t)(0x40 + i);
	assert_int_equal(make_parts(), COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++)
		CHECK(memcmp(part[i].part, want[i], 128) == 0, "part %zu", i);
}

enum { BEGIN = 0, RULES = 1, SHORT_RULES = 3, DEVICE = 4, END = 6 };

static void bad_bytes(void **state)
{
	static const struct {
		uint8_t part, at, value;
		int err;
	} cases[] = {
		{ BEGIN, 0, 0, GK_ERR_TYPE },
		{ BEGIN, 0, 5, GK_ERR_TYPE },
		{ BEGIN, 0, 255, GK_ERR_TYPE },
		{ BEGIN, 1, 1, GK_ERR_VALUE },
		{ BEGIN, 2, 1, GK_ERR_VALUE },
		{ BEGIN, 4, 0, GK_ERR_VERSION },
		{ BEGIN, 4, 2, GK_ERR_VERSION },
		{ BEGIN, 5, 1, GK_ERR_VERSION },
		{ BEGIN, 6, 8, GK_ERR_VALUE },
		{ BEGIN, 7, 17, GK_ERR_VALUE },
		{ BEGIN, 9, 0x81, GK_ERR_VALUE },
		{ BEGIN, 10, 2, GK_ERR_VALUE },
		{ BEGIN, 10, 4, GK_ERR_VALUE },
		{ BEGIN, 10, 17, GK_ERR_VALUE },
		{ BEGIN, 11, 1, GK_ERR_VALUE },
		{ BEGIN, 13, 0, GK_ERR_VALUE },
		{ BEGIN, 13, 2, GK_ERR_VALUE },
		{ BEGIN, 27, 1, GK_ERR_VALUE },
		{ BEGIN, 28, 1, GK_ERR_VALUE },
		{ BEGIN, 127, 1, GK_ERR_VALUE },
		{ RULES, 1, 0, GK_ERR_VALUE },
		{ RULES, 1, 123, GK_ERR_VALUE },
		{ RULES, 1, 125, GK_ERR_VALUE },
		{ RULES, 2, 0, GK_ERR_VALUE },
		{ RULES, 4, 0, GK_ERR_VALUE },
		{ RULES, 127, 0, GK_ERR_VALUE },
		{ SHORT_RULES, 127, 'x', GK_ERR_VALUE },
		{ DEVICE, 1, 1, GK_ERR_VALUE },
		{ DEVICE, 2, 0, GK_ERR_VALUE },
		{ DEVICE, 4, 0, GK_ERR_VALUE },
		{ DEVICE, 5, 2, GK_ERR_VALUE },
		{ DEVICE, 6, 0, GK_ERR_VALUE },
		{ DEVICE, 6, 1, GK_ERR_VALUE },
		{ DEVICE, 6, 3, GK_ERR_VALUE },
		{ DEVICE, 6, 8, GK_ERR_VALUE },
		{ DEVICE, 7, 0, GK_ERR_VALUE },
		{ DEVICE, 13, 1, GK_ERR_VALUE },
		{ DEVICE, 18, 16, GK_ERR_VALUE },
		{ DEVICE, 18, 2, GK_ERR_VALUE },	/* in use, no keyboard */
		{ DEVICE, 19, 2, GK_ERR_VALUE },
		{ DEVICE, 54, 1, GK_ERR_VALUE },
		{ DEVICE, 127, 1, GK_ERR_VALUE },
		{ END, 1, 1, GK_ERR_VALUE },
		{ END, 2, 5, GK_ERR_VALUE },
		{ END, 4, 6, GK_ERR_VALUE },
		{ END, 5, 1, GK_ERR_VALUE },
		{ END, 6, 1, GK_ERR_VALUE },
		{ END, 7, 1, GK_ERR_VALUE },
		{ END, 40, 1, GK_ERR_VALUE },
		{ END, 127, 1, GK_ERR_VALUE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(make_parts(), END + 1);
		part[cases[i].part].part[cases[i].at] = cases[i].value;
		CHECK(gk_manifest_check(&part[cases[i].part]) == cases[i].err,
		      "row %zu: %d", i, gk_manifest_check(&part[cases[i].part]));
		for (unsigned p = 0; p < cases[i].part; p++)
			assert_int_equal(take(p), 0);
		assert_int_equal(take(cases[i].part), cases[i].err);
		assert_empty();
	}
}

/* Every part in every state: only the next one is taken. */
static void out_of_order(void **state)
{
	unsigned n = make_parts();

	(void)state;
	for (unsigned had = 0; had < n; had++) {
		for (unsigned next = 0; next < n; next++) {
			memset(&reader, 0, sizeof(reader));
			for (unsigned i = 0; i < had; i++)
				assert_int_equal(take(i), 0);
			if (next == had) {
				assert_int_equal(take(next), next + 1 == n);
				continue;
			}
			CHECK(take(next) == GK_ERR_ORDER, "%u after %u", next, had);
			assert_empty();
		}
	}
}

/* Well formed, and in their place by kind and number, but not by what BEGIN said. */
static void another_story(void **state)
{
	(void)state;
	/* A RULES part that is not full before the last. */
	make_parts();
	memset(part[RULES].part + 127, 0, 1);
	part[RULES].part[1] = 123;
	assert_int_equal(take(BEGIN), 0);
	assert_int_equal(take(RULES), GK_ERR_VALUE);
	assert_empty();

	/* Two devices at one port. */
	make_parts();
	memcpy(part[DEVICE + 1].part + 4, part[DEVICE].part + 4, 10);
	for (unsigned i = 0; i <= DEVICE; i++)
		assert_int_equal(take(i), 0);
	assert_int_equal(take(DEVICE + 1), GK_ERR_VALUE);
	assert_empty();

	/* Another number of parts than there were. */
	make_parts();
	part[END].part[2] = END + 1;
	part[END].part[4] = END + 2;
	assert_int_equal(gk_manifest_check(&part[END]), GK_OK);
	for (unsigned i = 0; i < END; i++)
		assert_int_equal(take(i), 0);
	assert_int_equal(take(END), GK_ERR_ORDER);
	assert_empty();
}

static void another_digest(void **state)
{
	(void)state;
	for (unsigned at = 0; at <= GK_SHA256; at++) {
		uint8_t other[GK_SHA256];

		make_parts();
		for (unsigned i = 0; i < END; i++)
			assert_int_equal(take(i), 0);
		memcpy(other, digest, sizeof(other));
		if (at < GK_SHA256)
			other[at] ^= 0x80;
		assert_int_equal(gk_manifest_take(&reader, &part[END],
						  at < GK_SHA256 ? other : NULL),
				 GK_ERR_VALUE);
		assert_empty();
	}
}

static void what_is_refused_is_not_sent(void **state)
{
	struct gk_link_manifest out, untouched;

	(void)state;
	memset(&out, 0xee, sizeof(out));
	untouched = out;
#define REFUSED(change, err)                                                       \
	do {                                                                       \
		setup(NULL);                                                       \
		change;                                                            \
		assert_int_equal(gk_manifest_parts(&m), err);                      \
		assert_int_equal(gk_manifest_part(&m, 0, digest, &out), err);      \
		assert_memory_equal(&out, &untouched, sizeof(out));                \
	} while (0)
	REFUSED(m.version = 2, GK_ERR_VERSION);
	REFUSED(m.leds = 8, GK_ERR_VALUE);
	REFUSED(m.devices = GK_LINK_DEVICES + 1, GK_ERR_VALUE);
	REFUSED(m.rules_len = GK_RULES_TEXT_MAX + 1, GK_ERR_VALUE);
	REFUSED(m.controllers = 4, GK_ERR_VALUE);
	REFUSED(m.controllers = GK_MANIFEST_CONTROLLERS + 1, GK_ERR_VALUE);
	REFUSED(m.controller[1] = 2, GK_ERR_VALUE);
	REFUSED(m.rules[7] = 0, GK_ERR_VALUE);
	REFUSED(m.rules[300] = 'x', GK_ERR_VALUE);
	REFUSED(m.rules[GK_RULES_TEXT_MAX - 1] = 'x', GK_ERR_VALUE);
	REFUSED(m.device[1].path.controller = 0, GK_ERR_VALUE);
	REFUSED(m.device[1].path.depth = 3, GK_ERR_VALUE);
	REFUSED(m.device[1].roles = 0x10, GK_ERR_VALUE);
	REFUSED(m.device[0].roles = GK_ROLE_FIDO, GK_ERR_VALUE);
	REFUSED(m.device[1].path = m.device[0].path, GK_ERR_VALUE);
#undef REFUSED
	setup(NULL);
	assert_int_equal(gk_manifest_part(&m, END, NULL, &out), GK_ERR_VALUE);
	assert_memory_equal(&out, &untouched, sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_goes_in_comes_out, setup),
		cmocka_unit_test_setup(wire_format, setup),
		cmocka_unit_test_setup(bad_bytes, setup),
		cmocka_unit_test_setup(out_of_order, setup),
		cmocka_unit_test_setup(another_story, setup),
		cmocka_unit_test_setup(another_digest, setup),
		cmocka_unit_test_setup(what_is_refused_is_not_sent, setup),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
