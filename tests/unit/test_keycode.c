/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/keycode.h"

/*
 * The usages of page 07 and the numbers that Linux gives them, as runs: from
 * this usage on, from this code on, so many. Numbers, not names: a second look
 * at the same facts, in another form than the table under test.
 */
static const struct {
	uint8_t usage, code, count;
} runs[] = {
	/* clang-format off */
	{ 0x04, 30, 1 }, { 0x05, 48, 1 }, { 0x06, 46, 1 }, { 0x07, 32, 1 },
	{ 0x08, 18, 1 }, { 0x09, 33, 3 }, { 0x0c, 23, 1 }, { 0x0d, 36, 3 },
	{ 0x10, 50, 1 }, { 0x11, 49, 1 }, { 0x12, 24, 2 }, { 0x14, 16, 1 },
	{ 0x15, 19, 1 }, { 0x16, 31, 1 }, { 0x17, 20, 1 }, { 0x18, 22, 1 },
	{ 0x19, 47, 1 }, { 0x1a, 17, 1 }, { 0x1b, 45, 1 }, { 0x1c, 21, 1 },
	{ 0x1d, 44, 1 }, { 0x1e, 2, 10 }, { 0x28, 28, 1 }, { 0x29, 1, 1 },
	{ 0x2a, 14, 2 }, { 0x2c, 57, 1 }, { 0x2d, 12, 2 }, { 0x2f, 26, 2 },
	{ 0x31, 43, 1 }, { 0x32, 43, 1 }, { 0x33, 39, 3 }, { 0x36, 51, 3 },
	{ 0x39, 58, 11 }, { 0x44, 87, 2 }, { 0x46, 99, 1 }, { 0x47, 70, 1 },
	{ 0x48, 119, 1 }, { 0x49, 110, 1 }, { 0x4a, 102, 1 }, { 0x4b, 104, 1 },
	{ 0x4c, 111, 1 }, { 0x4d, 107, 1 }, { 0x4e, 109, 1 }, { 0x4f, 106, 1 },
	{ 0x50, 105, 1 }, { 0x51, 108, 1 }, { 0x52, 103, 1 }, { 0x53, 69, 1 },
	{ 0x54, 98, 1 }, { 0x55, 55, 1 }, { 0x56, 74, 1 }, { 0x57, 78, 1 },
	{ 0x58, 96, 1 }, { 0x59, 79, 3 }, { 0x5c, 75, 3 }, { 0x5f, 71, 3 },
	{ 0x62, 82, 2 }, { 0x64, 86, 1 }, { 0x65, 127, 1 }, { 0x66, 116, 2 },
	{ 0x68, 183, 12 }, { 0x74, 134, 1 }, { 0x75, 138, 1 },
	{ 0x76, 130, 1 }, { 0x77, 132, 1 }, { 0x78, 128, 2 }, { 0x7a, 131, 1 },
	{ 0x7b, 137, 1 }, { 0x7c, 133, 1 }, { 0x7d, 135, 2 }, { 0x7f, 113, 1 },
	{ 0x80, 115, 1 }, { 0x81, 114, 1 }, { 0x85, 121, 1 }, { 0x87, 89, 1 },
	{ 0x88, 93, 1 }, { 0x89, 124, 1 }, { 0x8a, 92, 1 }, { 0x8b, 94, 2 },
	{ 0x90, 122, 2 }, { 0x92, 90, 2 }, { 0x94, 85, 1 }, { 0x9c, 111, 1 },
	{ 0xb6, 179, 2 }, { 0xd8, 111, 1 }, { 0xe0, 29, 1 }, { 0xe1, 42, 1 },
	{ 0xe2, 56, 1 }, { 0xe3, 125, 1 }, { 0xe4, 97, 1 }, { 0xe5, 54, 1 },
	{ 0xe6, 100, 1 }, { 0xe7, 126, 1 }, { 0xe8, 164, 1 }, { 0xe9, 166, 1 },
	{ 0xea, 165, 1 }, { 0xeb, 163, 1 }, { 0xec, 161, 1 }, { 0xed, 115, 1 },
	{ 0xee, 114, 1 }, { 0xef, 113, 1 }, { 0xf0, 150, 1 }, { 0xf1, 158, 2 },
	{ 0xf3, 128, 1 }, { 0xf4, 136, 1 }, { 0xf5, 177, 2 }, { 0xf7, 176, 1 },
	{ 0xf8, 142, 1 }, { 0xf9, 152, 1 }, { 0xfa, 173, 1 }, { 0xfb, 140, 1 },
	/* clang-format on */
};

static void usages(void **state)
{
	uint8_t want[256] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(runs); i++)
		for (unsigned j = 0; j < runs[i].count; j++)
			want[runs[i].usage + j] = (uint8_t)(runs[i].code + j);
	for (unsigned u = 0; u < 256; u++)
		CHECK(gk_keycode((uint8_t)u) == want[u], "usage %#x: %u, not %u", u,
		      gk_keycode((uint8_t)u), want[u]);
}

static void the_allow_list(void **state)
{
	/* Both ends included, everything between them is refused. */
	static const uint16_t ranges[][2] = {
		{ 1, 83 },    { 85, 98 },   { 100, 100 }, { 102, 111 },
		{ 117, 117 }, { 121, 127 }, { 179, 180 }, { 183, 194 },
	};

	(void)state;
	for (unsigned c = 0; c <= 0xffff; c++) {
		int want = 0;

		for (size_t i = 0; i < COUNT(ranges); i++)
			want |= c >= ranges[i][0] && c <= ranges[i][1];
		CHECK(!gk_key_allowed((uint16_t)c) == !want, "code %u", c);
	}
}

/* By name, the ones that matter most: each must stay out. */
static void never_allowed(void **state)
{
	static const uint16_t codes[] = {
		0,   /* KEY_RESERVED */
		99,  /* KEY_SYSRQ */
		113, /* KEY_MUTE */
		116, /* KEY_POWER */
		119, /* KEY_PAUSE, with Ctrl KEY_BREAK */
		128, /* KEY_STOP */
		140, /* KEY_CALC */
		142, /* KEY_SLEEP */
		143, /* KEY_WAKEUP */
		148, /* KEY_PROG1 */
		152, /* KEY_SCREENLOCK */
		161, /* KEY_EJECTCD */
		205, /* KEY_SUSPEND */
		210, /* KEY_PRINT */
		240, /* KEY_UNKNOWN */
		247, /* KEY_RFKILL */
		256, /* BTN_0 */
		272, /* BTN_LEFT */
		411, /* KEY_BREAK */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++)
		CHECK(!gk_key_allowed(codes[i]), "code %u", codes[i]);
}

/* A passphrase: whatever key makes a character must get through. */
static void all_typing_keys_are_allowed(void **state)
{
	(void)state;
	for (unsigned u = 0x04; u <= 0x65; u++) {
		int out = u == 0x46 || u == 0x48; /* PrintScreen, Pause */

		CHECK((gk_key_allowed(gk_keycode((uint8_t)u)) == 0) == out, "usage %#x",
		      u);
	}
	for (unsigned u = 0xe0; u <= 0xe7; u++)
		CHECK(gk_key_allowed(gk_keycode((uint8_t)u)), "usage %#x", u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usages),
		cmocka_unit_test(the_allow_list),
		cmocka_unit_test(never_allowed),
		cmocka_unit_test(all_typing_keys_are_allowed),
	};

	return cmocka_run_group_tests_name("keycode", tests, NULL, NULL);
}
