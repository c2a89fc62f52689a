/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/input-event-codes.h>

#include "test.h"

#include "core/challenge.h"

/* Keys as letters: digits of the main row, a-j the keypad's 0 to 9, < Backspace,
 * \n Enter, \r the keypad's, x and others keys that are none of these. */
static uint16_t code_of(char c)
{
	static const uint16_t row[] = { KEY_0, KEY_1, KEY_2, KEY_3, KEY_4,
					KEY_5, KEY_6, KEY_7, KEY_8, KEY_9 };
	static const uint16_t pad[] = { KEY_KP0, KEY_KP1, KEY_KP2, KEY_KP3, KEY_KP4,
					KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8, KEY_KP9 };

	if (c >= '0' && c <= '9')
		return row[c - '0'];
	if (c >= 'a' && c <= 'j')
		return pad[c - 'a'];
	if (c == '<')
		return KEY_BACKSPACE;
	if (c == '\n')
		return KEY_ENTER;
	if (c == '\r')
		return KEY_KPENTER;
	return c == '^' ? KEY_LEFTSHIFT : KEY_X;
}

/* The answer to the last key; all before it must ask for more. */
static enum gk_challenge_answer type(struct gk_challenge *c, const char *keys)
{
	enum gk_challenge_answer a = GK_CHALLENGE_MORE;

	for (; *keys; keys++) {
		CHECK(a == GK_CHALLENGE_MORE, "an answer before \"%s\"", keys);
		a = gk_challenge_key(c, code_of(*keys), 1);
		CHECK(gk_challenge_key(c, code_of(*keys), 0) == GK_CHALLENGE_MORE,
		      "an answer to a release");
	}
	return a;
}

/* Against 012345. */
static const struct {
	const char *keys;
	enum gk_challenge_answer answer;
} once[] = {
	{ "012345\n", GK_CHALLENGE_PASSED },
	{ "012345\r", GK_CHALLENGE_PASSED },
	{ "abcdef\r", GK_CHALLENGE_PASSED },
	{ "01c3ef\n", GK_CHALLENGE_PASSED },
	{ "^0^1^2345\n", GK_CHALLENGE_PASSED },
	{ "x0x1x2x3x4x5x\n", GK_CHALLENGE_PASSED },
	{ "019<2345\n", GK_CHALLENGE_PASSED },
	{ "<<<012345\n", GK_CHALLENGE_PASSED },
	{ "0123456789<<<<\n", GK_CHALLENGE_PASSED },
	{ "\n\r\n012345\n", GK_CHALLENGE_PASSED },
	{ "9<\n", GK_CHALLENGE_MORE },
	{ "012345", GK_CHALLENGE_MORE },
	{ "xyz\n", GK_CHALLENGE_MORE },
	{ "01234\n", GK_CHALLENGE_WRONG },
	{ "0123450\n", GK_CHALLENGE_WRONG },
	{ "012345012345\n", GK_CHALLENGE_WRONG },
	{ "012354\n", GK_CHALLENGE_WRONG },
	{ "12345\n", GK_CHALLENGE_WRONG },
	{ "912345\n", GK_CHALLENGE_WRONG },
};

static void start(struct gk_challenge *c, uint32_t number)
{
	gk_challenge_init(c);
	assert_int_equal(gk_challenge_number(c, number), GK_OK);
}

static void each_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(once); i++) {
		struct gk_challenge c;

		start(&c, 12345);
		assert_string_equal(c.number, "012345");
		CHECK(type(&c, once[i].keys) == once[i].answer, "row %u: %s", i,
		      once[i].keys);
	}
}

static void tries_and_numbers(void **state)
{
	struct gk_challenge c;

	(void)state;
	start(&c, 111111);
	for (unsigned number = 0; number < 3; number++) {
		assert_int_equal(type(&c, "999999\n"), GK_CHALLENGE_WRONG);
		assert_int_equal(type(&c, "999999\n"), GK_CHALLENGE_WRONG);
		assert_int_equal(type(&c, "999999\n"), number < 2 ? GK_CHALLENGE_NEW
								  : GK_CHALLENGE_LOST);
		/* Nothing is right until there is another number. */
		assert_int_equal(type(&c, "111111\n"), GK_CHALLENGE_MORE);
		if (number < 2)
			assert_int_equal(gk_challenge_number(&c, 111111), GK_OK);
	}
	assert_int_equal(gk_challenge_number(&c, 1), GK_ERR_LIMIT);
	assert_int_equal(type(&c, "111111\n"), GK_CHALLENGE_MORE);

	/* Right at the ninth and last try. */
	start(&c, 1);
	for (unsigned i = 1; i < 9; i++) {
		enum gk_challenge_answer a = type(&c, "2\n");

		assert_int_equal(a, i % 3 ? GK_CHALLENGE_WRONG : GK_CHALLENGE_NEW);
		if (a == GK_CHALLENGE_NEW)
			assert_int_equal(gk_challenge_number(&c, 7 + i), GK_OK);
	}
	assert_string_equal(c.number, "000013");
	assert_int_equal(type(&c, "000013\n"), GK_CHALLENGE_PASSED);
	assert_int_equal(type(&c, "000013\n"), GK_CHALLENGE_MORE);
	assert_int_equal(gk_challenge_number(&c, 1), GK_ERR_LIMIT);
}

static void without_a_number(void **state)
{
	struct gk_challenge c;

	(void)state;
	gk_challenge_init(&c);
	assert_int_equal(type(&c, "\n0\n"), GK_CHALLENGE_MORE);
}

static void numbers_are_even(void **state)
{
	struct gk_challenge c;

	(void)state;
	/* 4294 times each number below 4,294,000,000, and no further. */
	start(&c, 4293999999u);
	assert_string_equal(c.number, "999999");
	start(&c, 4293000000u);
	assert_string_equal(c.number, "000000");
	gk_challenge_init(&c);
	assert_int_equal(gk_challenge_number(&c, 4294000000u), GK_ERR_VALUE);
	assert_int_equal(gk_challenge_number(&c, UINT32_MAX), GK_ERR_VALUE);
	assert_string_equal(c.number, "");
	assert_int_equal(c.numbers, 0);
}

/* What is typed has no end; what is counted does. */
static void endless_typing(void **state)
{
	struct gk_challenge c;

	(void)state;
	start(&c, 12345);
	for (unsigned i = 0; i < 256 + 6; i++)
		assert_int_equal(type(&c, "0"), GK_CHALLENGE_MORE);
	assert_int_equal(type(&c, "\n"), GK_CHALLENGE_WRONG);
	assert_int_equal(type(&c, "012345\n"), GK_CHALLENGE_PASSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_text),
		cmocka_unit_test(tries_and_numbers),
		cmocka_unit_test(without_a_number),
		cmocka_unit_test(numbers_are_even),
		cmocka_unit_test(endless_typing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
