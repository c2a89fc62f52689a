/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the golden streams (tests/golden/input) do not show: bounds in time, lifting,
 * lights, and how a caller is to be told of what. */
#include <linux/input-event-codes.h>

#include "test.h"

#include "core/input_proxy.h"
#include "core/keycode.h"

enum { CAPS = GK_INPUT_PROXY_BITS + GK_INPUT_PROXY_NAME };

static struct gk_input_proxy p;

static void put32(uint8_t *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}

static int feed(const uint8_t *b, size_t len, uint64_t now,
		struct gk_input_proxy_key *key)
{
	size_t used = 0;
	int what = gk_input_proxy_next(&p, b, len, &used, now, key);

	CHECK(what != GK_INPUT_PROXY_NOTHING || used == len, "bytes are left");
	return what;
}

/* A keyboard with all keys and lights. */
static void begin(void)
{
	uint8_t b[GK_INPUT_PROXY_HELLO + CAPS] = { 0 };
	struct gk_input_proxy_key key;

	gk_input_proxy_init(&p);
	put32(b, 1);
	put32(b + 4, CAPS);
	b[8 + 8] = 1 << EV_KEY | 1 << EV_SYN;
	b[8 + 8 + (EV_LED >> 3)] |= 1 << (EV_LED & 7);
	memset(b + 8 + 16, 0xff, 96);
	memset(b + 8 + 136, 0xff, 8);
	strcpy((char *)b + 8 + GK_INPUT_PROXY_BITS, "K");
	assert_int_equal(feed(b, sizeof(b), 0, &key), GK_INPUT_PROXY_BEGIN);
	assert_int_equal(feed(b, 0, 0, &key), GK_INPUT_PROXY_NOTHING);
}

static int event(uint16_t type, uint16_t code, uint32_t value, uint64_t now,
		 struct gk_input_proxy_key *key)
{
	uint8_t b[GK_INPUT_PROXY_EVENT] = { 0 };

	b[16] = (uint8_t)type;
	b[17] = (uint8_t)(type >> 8);
	b[18] = (uint8_t)code;
	b[19] = (uint8_t)(code >> 8);
	put32(b + 20, value);
	return feed(b, sizeof(b), now, key);
}

static void test_begin(void **state)
{
	(void)state;
	begin();
	assert_string_equal(p.name, "K");
	assert_int_equal(p.leds, 7);
	for (uint16_t code = 0; code < GK_KEYS; code++)
		CHECK(gk_key_is_down(p.announced, code) == gk_key_allowed(code),
		      "key %u", code);
}

/* Each code, with all keys announced: only those on the list come out. */
static void test_list(void **state)
{
	struct gk_input_proxy_key key;

	(void)state;
	begin();
	for (unsigned code = 0; code < 0x10000; code++) {
		int want = gk_key_allowed((uint16_t)code) ? GK_INPUT_PROXY_KEY : 0;

		CHECK(event(EV_KEY, (uint16_t)code, 1, code, &key) == want, "%u", code);
		CHECK(!want || (key.code == code && key.value == 1), "%u", code);
		CHECK(event(EV_KEY, (uint16_t)code, 0, code, &key) == want, "%u", code);
		CHECK(!want || (key.code == code && key.value == 0), "%u", code);
	}
}

static void test_keys_a_second(void **state)
{
	struct gk_input_proxy_key key;

	(void)state;
	begin();
	for (uint64_t window = 1; window < 3; window++)
		for (unsigned i = 0; i < GK_INPUT_PROXY_KEYS; i++)
			assert_int_equal(
				event(EV_KEY, KEY_A, !(i & 1), window * 1000, &key),
				GK_INPUT_PROXY_KEY);
	/* What is dropped is no key; it is an event. */
	assert_int_equal(event(EV_KEY, KEY_A, 0, 2999, &key), GK_INPUT_PROXY_NOTHING);
	assert_int_equal(event(EV_KEY, KEY_A, 1, 2999, &key), GK_ERR_LIMIT);
	assert_int_equal(event(EV_KEY, KEY_A, 1, 9999, &key), GK_ERR_CLOSED);
}

static void test_events_a_second(void **state)
{
	struct gk_input_proxy_key key;

	(void)state;
	begin();
	assert_int_equal(event(EV_KEY, KEY_A, 1, 0, &key), GK_INPUT_PROXY_KEY);
	for (unsigned i = 1; i < GK_INPUT_PROXY_EVENTS; i++)
		assert_int_equal(event(EV_REL, 0, i, 999, &key), GK_INPUT_PROXY_NOTHING);
	assert_int_equal(event(EV_REL, 0, 1, 1000, &key), GK_INPUT_PROXY_NOTHING);
	/* Reports count as well. */
	for (unsigned i = 1; i < GK_INPUT_PROXY_EVENTS; i++)
		assert_int_equal(event(EV_SYN, 0, 0, 1001, &key),
				 GK_INPUT_PROXY_NOTHING);
	assert_int_equal(event(EV_SYN, 0, 0, 1002, &key), GK_ERR_LIMIT);
	/* What was down is there to be lifted. */
	assert_int_equal(gk_input_proxy_end(&p), GK_ERR_SHORT);
	assert_int_equal(gk_input_proxy_lift(&p, &key), GK_INPUT_PROXY_KEY);
	assert_int_equal(key.code, KEY_A);
	assert_int_equal(key.value, 0);
	assert_int_equal(gk_input_proxy_lift(&p, &key), GK_INPUT_PROXY_NOTHING);
}

/* All in one piece: SYN_DROPPED lifts before anything behind it is said. */
static void test_lost(void **state)
{
	static const uint16_t script[][3] = {
		{ EV_KEY, KEY_A, 1 },	    { EV_KEY, KEY_Z, 1 },
		{ EV_SYN, SYN_DROPPED, 0 }, { EV_KEY, KEY_B, 1 },
		{ EV_SYN, SYN_REPORT, 0 },  { EV_KEY, KEY_C, 1 },
	};
	static const struct gk_input_proxy_key want[] = {
		{ KEY_A, 1 }, { KEY_Z, 1 }, { KEY_A, 0 }, { KEY_Z, 0 }, { KEY_C, 1 },
	};
	uint8_t b[COUNT(script) * GK_INPUT_PROXY_EVENT] = { 0 };
	struct gk_input_proxy_key key;
	size_t used = 0;

	(void)state;
	begin();
	for (size_t i = 0; i < COUNT(script); i++) {
		uint8_t *e = b + i * GK_INPUT_PROXY_EVENT;

		e[16] = (uint8_t)script[i][0];
		e[18] = (uint8_t)script[i][1];
		e[20] = (uint8_t)script[i][2];
	}
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(gk_input_proxy_next(&p, b, sizeof(b), &used, 0, &key),
				 GK_INPUT_PROXY_KEY);
		assert_int_equal(key.code, want[i].code);
		assert_int_equal(key.value, want[i].value);
	}
	assert_int_equal(gk_input_proxy_next(&p, b, sizeof(b), &used, 0, &key),
			 GK_INPUT_PROXY_NOTHING);
	assert_int_equal(p.dropped.lost, 1);
}

static void test_32_bit(void **state)
{
	static const struct {
		uint32_t size;
		int err, is_32_bit;
	} rows[] = {
		{ 144, GK_ERR_LENGTH, 1 },
		{ 272, GK_ERR_LENGTH, 1 },
		{ 1808, GK_ERR_LENGTH, 1 },
		{ 175, GK_ERR_LENGTH, 0 },
		{ 177, GK_ERR_LENGTH, 0 },
		{ 303, GK_ERR_LENGTH, 0 },
		{ 305, GK_ERR_LENGTH, 0 },
		{ 1839, GK_ERR_LENGTH, 0 },
		{ 8193, GK_ERR_LENGTH, 0 },
		{ 0, GK_ERR_LENGTH, 0 },
		{ 0x80000000, GK_ERR_LENGTH, 0 },
		{ 0xffffffff, GK_ERR_LENGTH, 0 },
		{ 176, 0, 0 },
		{ 304, 0, 0 },
		{ 1840, 0, 0 },
		{ 1841, 0, 0 },
		{ 8192, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gk_input_proxy_key key;
		uint8_t b[8];

		gk_input_proxy_init(&p);
		put32(b, 1);
		put32(b + 4, rows[i].size);
		CHECK(feed(b, 8, 0, &key) == rows[i].err, "%u", rows[i].size);
		CHECK(gk_input_proxy_is_32_bit(&p) == rows[i].is_32_bit, "%u",
		      rows[i].size);
	}
}

static void test_led(void **state)
{
	uint8_t b[GK_INPUT_PROXY_EVENT], want[GK_INPUT_PROXY_EVENT] = { 0 };

	(void)state;
	want[16] = EV_LED;
	want[18] = LED_CAPSL;
	want[20] = 1;
	memset(b, 0xff, sizeof(b));
	assert_int_equal(gk_input_proxy_led(1, 1, b), GK_INPUT_PROXY_EVENT);
	assert_memory_equal(b, want, sizeof(b));
	want[18] = LED_SCROLLL;
	want[20] = 0;
	assert_int_equal(gk_input_proxy_led(2, 0, b), GK_INPUT_PROXY_EVENT);
	assert_memory_equal(b, want, sizeof(b));
	assert_int_equal(gk_input_proxy_led(3, 1, b), GK_ERR_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_keys_a_second),
		cmocka_unit_test(test_events_a_second),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_32_bit),
		cmocka_unit_test(test_led),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
