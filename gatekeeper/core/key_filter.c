/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/input-event-codes.h>

#include "key_filter.h"

int gk_key_is_down(const uint8_t held[GK_KEY_BYTES], uint16_t code)
{
	return code < GK_KEYS && (held[code >> 3] >> (code & 7) & 1);
}

static int either(const uint8_t held[GK_KEY_BYTES], uint16_t a, uint16_t b)
{
	return gk_key_is_down(held, a) || gk_key_is_down(held, b);
}

/* F1 to F10 are together, F11 and F12 came with the AT keyboard. */
static int is_function_key(uint16_t code)
{
	return (code >= KEY_F1 && code <= KEY_F10) || code == KEY_F11 ||
	       code == KEY_F12;
}

/* What a press of this key would be, 0: an ordinary one. */
static unsigned combination(const uint8_t held[GK_KEY_BYTES], uint16_t code)
{
	int alt = either(held, KEY_LEFTALT, KEY_RIGHTALT);
	int ctrl = either(held, KEY_LEFTCTRL, KEY_RIGHTCTRL);

	if (alt && (is_function_key(code) || code == KEY_LEFT || code == KEY_RIGHT ||
		    code == KEY_UP || code == KEY_DOWN || code == KEY_TAB))
		return GK_KEYS_VT;
	if (code == KEY_SCROLLLOCK || code == KEY_LEFTMETA || code == KEY_RIGHTMETA ||
	    code == KEY_COMPOSE)
		return GK_KEYS_VT;
	if (alt && ctrl && (code == KEY_DELETE || code == KEY_KPDOT ||
			    code == KEY_BACKSPACE))
		return GK_KEYS_REBOOT;
	return 0;
}

int gk_key_filter(struct gk_key_filter *f, const uint8_t held[GK_KEY_BYTES],
		  uint16_t code, int was, unsigned let_by)
{
	uint8_t bit = (uint8_t)(1u << (code & 7));

	if (code >= GK_KEYS)
		return 0;
	if (!gk_key_is_down(held, code)) {
		f->swallowed[code >> 3] &= (uint8_t)~bit;
		return 0;
	}
	if (was)
		return 1;
	if (gk_key_is_down(f->swallowed, code))
		return 0;
	if (combination(held, code) & ~let_by) {
		f->swallowed[code >> 3] |= bit;
		return 0;
	}
	return 1;
}
