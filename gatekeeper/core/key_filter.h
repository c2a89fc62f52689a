/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between what the keyboards hold together and the virtual keyboard: presses
 * that would make dom0 act instead of typing a character. Which keys there are
 * at all is keycode.h's matter. Pure state.
 *
 * The combinations are those of the kernel's own console keymap
 * (drivers/tty/vt/defkeymap.map): with Alt or AltGr, whatever else is held, F1 to
 * F12 and Left and Right change the virtual terminal (Console_N, Decr_Console,
 * Incr_Console), and Up signals process 1 (KeyboardSignal); Scroll Lock stops the
 * console (Hold), and with Shift, Ctrl, Alt or AltGr writes memory, tasks or
 * registers into the kernel's log; Delete, of the editing block or the keypad,
 * with Ctrl and Alt or AltGr reboots (Boot). And what the keymaps of the kbd and
 * console-data packages add to those on some layouts: the Meta keys and Compose
 * (menu) by themselves and Alt or AltGr with Tab or Down change the terminal, too,
 * and Backspace with Ctrl and Alt or AltGr reboots. A keymap can put any of these
 * actions on any key: one of somebody's own may have more than this list.
 */
#ifndef GK_KEY_FILTER_H
#define GK_KEY_FILTER_H

#include <stdint.h>

enum { GK_KEYS = 256, GK_KEY_BYTES = GK_KEYS / 8 };

/* What is let by; bits. */
enum gk_key_combination {
	GK_KEYS_VT = 1 << 0,	/* all the above but the next */
	GK_KEYS_REBOOT = 1 << 1,	/* Ctrl-Alt-Delete */
};

struct gk_key_filter {
	uint8_t swallowed[GK_KEY_BYTES];	/* held, and not let by */
};

/* gk_key_is_down: of a bitmap of key codes; 0 for a code that is not in it. */
int gk_key_is_down(const uint8_t held[GK_KEY_BYTES], uint16_t code);

/*
 * gk_key_filter: whether the virtual keyboard has the key `code` down, when
 * `held` (all keyboards together, this key as it is now) says what is held and
 * `was` whether it has it down until now. A press that is not let by stays so
 * until the key is released, whatever happens to the modifiers meanwhile; a key
 * that is down already stays down when a modifier comes later: the console acts
 * on a press only. To be called once for each change of a key.
 */
int gk_key_filter(struct gk_key_filter *f, const uint8_t held[GK_KEY_BYTES],
		  uint16_t code, int was, unsigned let_by);

#endif
