/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/input-event-codes.h>

#include "test.h"

#include "core/key_filter.h"

enum { ALL = GK_KEYS_VT | GK_KEYS_REBOOT };

struct keyboard {
	struct gk_key_filter filter;
	uint8_t held[GK_KEY_BYTES], out[GK_KEY_BYTES];
};

/* One change of a key; whether the virtual keyboard has it down then. */
static int turn(struct keyboard *k, uint16_t code, int down, unsigned let_by)
{
	uint8_t bit = (uint8_t)(1u << (code & 7));
	int now;

	k->held[code >> 3] &= (uint8_t)~bit;
	if (down)
		k->held[code >> 3] |= bit;
	now = gk_key_filter(&k->filter, k->held, code, gk_key_is_down(k->out, code),
			    let_by);
	k->out[code >> 3] &= (uint8_t)~bit;
	if (now)
		k->out[code >> 3] |= bit;
	return now;
}

/* Held in this order; whether the last one comes out, by what is let by. */
static const struct {
	const char *name;
	uint16_t held[3];
	uint16_t key;
	int with_none, with_vt, with_reboot;
} presses[] = {
	{ "a letter", { 0 }, KEY_A, 1, 1, 1 },
	{ "F1", { 0 }, KEY_F1, 1, 1, 1 },
	{ "Ctrl-F2", { KEY_LEFTCTRL }, KEY_F2, 1, 1, 1 },
	{ "Shift-F2", { KEY_LEFTSHIFT }, KEY_F2, 1, 1, 1 },
	{ "Alt-F1", { KEY_LEFTALT }, KEY_F1, 0, 1, 0 },
	{ "Alt-F10", { KEY_LEFTALT }, KEY_F10, 0, 1, 0 },
	{ "Alt-F11", { KEY_LEFTALT }, KEY_F11, 0, 1, 0 },
	{ "Alt-F12", { KEY_LEFTALT }, KEY_F12, 0, 1, 0 },
	{ "Alt-F13", { KEY_LEFTALT }, KEY_F13, 1, 1, 1 },
	{ "Alt-Num Lock", { KEY_LEFTALT }, KEY_NUMLOCK, 1, 1, 1 },
	{ "AltGr-F2", { KEY_RIGHTALT }, KEY_F2, 0, 1, 0 },
	{ "Ctrl-Alt-F7", { KEY_LEFTCTRL, KEY_LEFTALT }, KEY_F7, 0, 1, 0 },
	{ "Alt-Ctrl-F7", { KEY_RIGHTALT, KEY_RIGHTCTRL }, KEY_F7, 0, 1, 0 },
	{ "Shift-Alt-F2", { KEY_RIGHTSHIFT, KEY_LEFTALT }, KEY_F2, 0, 1, 0 },
	{ "Alt-Left", { KEY_LEFTALT }, KEY_LEFT, 0, 1, 0 },
	{ "Alt-Right", { KEY_LEFTALT }, KEY_RIGHT, 0, 1, 0 },
	{ "AltGr-Left", { KEY_RIGHTALT }, KEY_LEFT, 0, 1, 0 },
	{ "Alt-Up", { KEY_LEFTALT }, KEY_UP, 0, 1, 0 },
	{ "Alt-Down", { KEY_LEFTALT }, KEY_DOWN, 0, 1, 0 },
	{ "AltGr-Down", { KEY_RIGHTALT }, KEY_DOWN, 0, 1, 0 },
	{ "Down", { 0 }, KEY_DOWN, 1, 1, 1 },
	{ "Ctrl-Down", { KEY_LEFTCTRL }, KEY_DOWN, 1, 1, 1 },
	{ "Tab", { 0 }, KEY_TAB, 1, 1, 1 },
	{ "Shift-Tab", { KEY_LEFTSHIFT }, KEY_TAB, 1, 1, 1 },
	{ "Alt-Tab", { KEY_LEFTALT }, KEY_TAB, 0, 1, 0 },
	{ "AltGr-Tab", { KEY_RIGHTALT }, KEY_TAB, 0, 1, 0 },
	{ "Meta", { 0 }, KEY_LEFTMETA, 0, 1, 0 },
	{ "right Meta", { 0 }, KEY_RIGHTMETA, 0, 1, 0 },
	{ "Shift-Meta", { KEY_LEFTSHIFT }, KEY_LEFTMETA, 0, 1, 0 },
	{ "Compose", { 0 }, KEY_COMPOSE, 0, 1, 0 },
	{ "Ctrl-Compose", { KEY_LEFTCTRL }, KEY_COMPOSE, 0, 1, 0 },
	{ "Left", { 0 }, KEY_LEFT, 1, 1, 1 },
	{ "Ctrl-Left", { KEY_LEFTCTRL }, KEY_LEFT, 1, 1, 1 },
	{ "Scroll Lock", { 0 }, KEY_SCROLLLOCK, 0, 1, 0 },
	{ "Shift-Scroll Lock", { KEY_LEFTSHIFT }, KEY_SCROLLLOCK, 0, 1, 0 },
	{ "Ctrl-Scroll Lock", { KEY_RIGHTCTRL }, KEY_SCROLLLOCK, 0, 1, 0 },
	{ "AltGr-Scroll Lock", { KEY_RIGHTALT }, KEY_SCROLLLOCK, 0, 1, 0 },
	{ "Delete", { 0 }, KEY_DELETE, 1, 1, 1 },
	{ "Ctrl-Delete", { KEY_LEFTCTRL }, KEY_DELETE, 1, 1, 1 },
	{ "Alt-Delete", { KEY_LEFTALT }, KEY_DELETE, 1, 1, 1 },
	{ "Ctrl-Alt-Del", { KEY_LEFTCTRL, KEY_LEFTALT }, KEY_DELETE, 0, 0, 1 },
	{ "right ones", { KEY_RIGHTCTRL, KEY_RIGHTALT }, KEY_DELETE, 0, 0, 1 },
	{ "right and left", { KEY_LEFTALT, KEY_RIGHTCTRL }, KEY_DELETE, 0, 0, 1 },
	{ "and Shift", { KEY_LEFTCTRL, KEY_LEFTSHIFT, KEY_LEFTALT }, KEY_DELETE, 0, 0,
	  1 },
	{ "keypad", { KEY_LEFTCTRL, KEY_LEFTALT }, KEY_KPDOT, 0, 0, 1 },
	{ "Backspace", { 0 }, KEY_BACKSPACE, 1, 1, 1 },
	{ "Ctrl-Backspace", { KEY_LEFTCTRL }, KEY_BACKSPACE, 1, 1, 1 },
	{ "Alt-Backspace", { KEY_LEFTALT }, KEY_BACKSPACE, 1, 1, 1 },
	{ "Ctrl-Alt-Backspace", { KEY_LEFTCTRL, KEY_LEFTALT }, KEY_BACKSPACE, 0, 0, 1 },
	{ "AltGr-Ctrl-Backspace", { KEY_RIGHTALT, KEY_RIGHTCTRL }, KEY_BACKSPACE, 0, 0,
	  1 },
	{ "keypad, AltGr", { KEY_RIGHTALT, KEY_LEFTCTRL }, KEY_KPDOT, 0, 0, 1 },
	{ "keypad comma", { KEY_LEFTCTRL, KEY_LEFTALT }, KEY_KPCOMMA, 1, 1, 1 },
	{ "Ctrl-Alt-A", { KEY_LEFTCTRL, KEY_LEFTALT }, KEY_A, 1, 1, 1 },
};

static int press(unsigned row, unsigned let_by)
{
	struct keyboard k = { 0 };

	for (unsigned i = 0; i < COUNT(presses[row].held); i++)
		if (presses[row].held[i])
			CHECK(turn(&k, presses[row].held[i], 1, let_by),
			      "%s: a modifier is kept back", presses[row].name);
	return turn(&k, presses[row].key, 1, let_by);
}

static void each_press(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(presses); i++) {
		CHECK(press(i, 0) == presses[i].with_none, "%s", presses[i].name);
		CHECK(press(i, GK_KEYS_VT) == presses[i].with_vt, "%s, VT",
		      presses[i].name);
		CHECK(press(i, GK_KEYS_REBOOT) == presses[i].with_reboot, "%s, reboot",
		      presses[i].name);
		CHECK(press(i, ALL) == 1, "%s, all", presses[i].name);
	}
}

/* Whatever is held and pressed: with everything let by, nothing is kept back. */
static void all_let_by(void **state)
{
	(void)state;
	for (uint16_t modifier = 1; modifier < GK_KEYS; modifier++)
		for (uint16_t code = 1; code < GK_KEYS; code++) {
			struct keyboard k = { 0 };

			assert_int_equal(turn(&k, modifier, 1, ALL), 1);
			assert_int_equal(turn(&k, code, 1, ALL), 1);
			assert_int_equal(turn(&k, code, 0, ALL), 0);
		}
}

static void kept_back_until_released(void **state)
{
	struct keyboard k = { 0 };

	(void)state;
	turn(&k, KEY_LEFTALT, 1, 0);
	assert_int_equal(turn(&k, KEY_F2, 1, 0), 0);
	/* Asked again, as when another keyboard goes. */
	assert_int_equal(turn(&k, KEY_F2, 1, 0), 0);
	assert_int_equal(turn(&k, KEY_LEFTALT, 0, 0), 0);
	assert_int_equal(turn(&k, KEY_F2, 1, 0), 0);
	/* The disk is unlocked while it is held: still that press. */
	assert_int_equal(turn(&k, KEY_F2, 1, ALL), 0);
	assert_int_equal(turn(&k, KEY_F2, 0, ALL), 0);
	assert_int_equal(turn(&k, KEY_F2, 1, ALL), 1);
	assert_int_equal(turn(&k, KEY_F2, 0, ALL), 0);
	for (unsigned i = 0; i < GK_KEY_BYTES; i++)
		assert_int_equal(k.filter.swallowed[i], 0);
}

static void a_modifier_that_comes_later(void **state)
{
	struct keyboard k = { 0 };

	(void)state;
	assert_int_equal(turn(&k, KEY_F2, 1, 0), 1);
	assert_int_equal(turn(&k, KEY_LEFTALT, 1, 0), 1);
	assert_int_equal(turn(&k, KEY_F2, 1, 0), 1);
	assert_int_equal(turn(&k, KEY_F2, 0, 0), 0);
	assert_int_equal(turn(&k, KEY_F2, 1, 0), 0);
}

static void codes_out_of_range(void **state)
{
	struct gk_key_filter f = { { 0 } };
	uint8_t held[GK_KEY_BYTES];

	(void)state;
	memset(held, 0xff, sizeof(held));
	assert_int_equal(gk_key_is_down(held, 255), 1);
	assert_int_equal(gk_key_is_down(held, 256), 0);
	assert_int_equal(gk_key_is_down(held, 65535), 0);
	assert_int_equal(gk_key_filter(&f, held, 256, 1, ALL), 0);
	assert_int_equal(gk_key_filter(&f, held, 65535, 0, ALL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_press),
		cmocka_unit_test(all_let_by),
		cmocka_unit_test(kept_back_until_released),
		cmocka_unit_test(a_modifier_that_comes_later),
		cmocka_unit_test(codes_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
