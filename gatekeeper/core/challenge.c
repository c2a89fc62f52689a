/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/input-event-codes.h>
#include <string.h>

#include "challenge.h"

enum { NUMBERS = 1000000 };

void gk_challenge_init(struct gk_challenge *c)
{
	memset(c, 0, sizeof(*c));
}

int gk_challenge_number(struct gk_challenge *c, uint32_t random)
{
	if (c->over || c->numbers >= GK_CHALLENGE_NUMBERS)
		return GK_ERR_LIMIT;
	if (random >= UINT32_MAX - UINT32_MAX % NUMBERS)
		return GK_ERR_VALUE;
	for (unsigned i = GK_CHALLENGE_DIGITS; i > 0; i--) {
		c->number[i - 1] = (char)('0' + random % 10);
		random /= 10;
	}
	c->number[GK_CHALLENGE_DIGITS] = '\0';
	c->numbers++;
	c->tries = 0;
	c->typed = 0;
	return GK_OK;
}

/* The digit on a key, 0: none. */
static char digit_of(uint16_t code)
{
	static const struct {
		uint16_t code;
		char digit;
	} keys[] = {
		{ KEY_0, '0' },	  { KEY_1, '1' },   { KEY_2, '2' },   { KEY_3, '3' },
		{ KEY_4, '4' },	  { KEY_5, '5' },   { KEY_6, '6' },   { KEY_7, '7' },
		{ KEY_8, '8' },	  { KEY_9, '9' },   { KEY_KP0, '0' }, { KEY_KP1, '1' },
		{ KEY_KP2, '2' }, { KEY_KP3, '3' }, { KEY_KP4, '4' }, { KEY_KP5, '5' },
		{ KEY_KP6, '6' }, { KEY_KP7, '7' }, { KEY_KP8, '8' }, { KEY_KP9, '9' },
	};

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].code == code)
			return keys[i].digit;
	return 0;
}

static enum gk_challenge_answer on_enter(struct gk_challenge *c)
{
	int right = c->typed == GK_CHALLENGE_DIGITS &&
		    !memcmp(c->digit, c->number, GK_CHALLENGE_DIGITS);

	if (c->typed == 0)
		return GK_CHALLENGE_MORE;
	c->typed = 0;
	if (right) {
		c->over = 1;
		return GK_CHALLENGE_PASSED;
	}
	c->tries++;
	if (c->tries < GK_CHALLENGE_TRIES)
		return GK_CHALLENGE_WRONG;
	/* Not a fourth try at it, whether the caller makes a new one or not. */
	c->number[0] = '\0';
	if (c->numbers < GK_CHALLENGE_NUMBERS)
		return GK_CHALLENGE_NEW;
	c->over = 1;
	return GK_CHALLENGE_LOST;
}

enum gk_challenge_answer gk_challenge_key(struct gk_challenge *c, uint16_t code,
					  uint8_t value)
{
	char digit = digit_of(code);

	if (c->over || c->number[0] == '\0' || value != 1)
		return GK_CHALLENGE_MORE;
	if (code == KEY_ENTER || code == KEY_KPENTER)
		return on_enter(c);
	if (code == KEY_BACKSPACE) {
		if (c->typed > 0)
			c->typed--;
	} else if (digit != 0 && c->typed < UINT8_MAX) {
		if (c->typed < GK_CHALLENGE_DIGITS)
			c->digit[c->typed] = digit;
		c->typed++;
	}
	return GK_CHALLENGE_MORE;
}
