/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys: HID keyboard page usages to Linux key codes (HID Usage Tables 1.3
 * section 10; the codes Linux's own hid-input gives), and the list of codes
 * that dom0 lets through.
 */
#ifndef GK_KEYCODE_H
#define GK_KEYCODE_H

#include <stdint.h>

/* gk_keycode: Linux KEY_* of a usage on page 07, 0: none. */
uint16_t gk_keycode(uint8_t usage);

/*
 * gk_key_allowed: whether the virtual keyboard has this key. Letters, digits,
 * punctuation, the 102nd key, Japanese and Korean layout keys, editing, cursor,
 * keypad, modifiers, lock keys, F1-F24, Compose. Not: SysRq/Print (99), power,
 * sleep, wake, Pause/Break, media and anything that acts by itself.
 */
int gk_key_allowed(uint16_t code);

#endif
