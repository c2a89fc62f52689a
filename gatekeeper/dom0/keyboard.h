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
#include "core/session.h"

struct gk_keyboard {
	int fd;			/* uinput, -1: not there */
	uint8_t down[32];	/* what dom0's kernel believes is down */
	uint8_t leds;		/* as in struct gk_link_led */
};

/* gk_keyboard_open: GK_ERR_NOT_FOUND without /dev/uinput, GK_ERR_SYSTEM. */
int gk_keyboard_open(struct gk_keyboard *k) GK_MUST_CHECK;

/*
 * gk_keyboard_sync: makes the keys of the virtual keyboard what the session's
 * devices hold together: down when any of them holds it, up when none does.
 * Session NULL: all up. Returns how many changed, GK_ERR_SYSTEM.
 */
int gk_keyboard_sync(struct gk_keyboard *k, const struct gk_session *s)
	GK_MUST_CHECK;

/* gk_keyboard_key: the same for the one key a KEY frame was about. */
int gk_keyboard_key(struct gk_keyboard *k, const struct gk_session *s,
		    uint16_t code) GK_MUST_CHECK;

/* gk_keyboard_read: takes what the kernel has to say; 1 when the lights
 * changed, 0, GK_ERR_SYSTEM when the device is broken. */
int gk_keyboard_read(struct gk_keyboard *k) GK_MUST_CHECK;

#endif
