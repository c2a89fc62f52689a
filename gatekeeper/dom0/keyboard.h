/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one virtual keyboard that dom0's kernel sees, by uinput. Its key list
 * is the allow-list; it has no autorepeat of its own (a late key-up would
 * repeat the character, qubes-issues 7932).
 *
 * The kernel's LEDs of it are the lock lights.
 */
#ifndef GK_DOM0_KEYBOARD_H
#define GK_DOM0_KEYBOARD_H

#include <stdint.h>

#include "core/error.h"
#include "core/key_filter.h"

struct gk_virtual_keyboard {
	int fd;			/* uinput, -1: not there */
	uint8_t down[GK_KEY_BYTES];	/* what dom0's kernel believes is down */
	struct gk_key_filter filter;
	unsigned let_by;	/* enum gk_key_combination bits */
	uint8_t leds;		/* as in struct gk_link_led */
};

/* gk_keyboard_open: GK_ERR_NOT_FOUND without /dev/uinput, GK_ERR_SYSTEM. */
int gk_keyboard_open(struct gk_virtual_keyboard *k) GK_MUST_CHECK;

/*
 * gk_keyboard_sync: makes the keys of the virtual keyboard what the keyboards
 * hold together, a bitmap of key codes, less what key_filter.h keeps back.
 * NULL: all up. Returns how many changed, GK_ERR_SYSTEM.
 */
int gk_keyboard_sync(struct gk_virtual_keyboard *k, const uint8_t *held)
	GK_MUST_CHECK;

/* gk_keyboard_key: the same for the one key that has changed. */
int gk_keyboard_key(struct gk_virtual_keyboard *k, const uint8_t *held,
		    uint16_t code) GK_MUST_CHECK;

/*
 * gk_keyboard_press: the same for a key that one keyboard has just pressed. When
 * another one holds it, it is let go first: each press counts, and a keyboard that
 * never lets go of its keys takes them from nobody.
 */
int gk_keyboard_press(struct gk_virtual_keyboard *k, const uint8_t held[GK_KEY_BYTES],
		      uint16_t code) GK_MUST_CHECK;

/* gk_keyboard_read: takes what the kernel has to say; 1 when the lights
 * changed, 0, GK_ERR_SYSTEM when the device is broken. */
int gk_keyboard_read(struct gk_virtual_keyboard *k) GK_MUST_CHECK;

#endif
