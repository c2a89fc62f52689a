/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `keyboards challenge`, gatekeeper-rules.conf(5): a keyboard that was not seen
 * before types a number that only the screen shows. A device that pretends to
 * be a keyboard has to guess it: three tries each at three numbers of six
 * digits, that is one chance in 111,111. Pure state; the random bits come from
 * the caller.
 */
#ifndef GK_CHALLENGE_H
#define GK_CHALLENGE_H

#include <stdint.h>

#include "error.h"

enum {
	GK_CHALLENGE_DIGITS = 6,
	GK_CHALLENGE_TRIES = 3,		/* at one number */
	GK_CHALLENGE_NUMBERS = 3,
};

struct gk_challenge {
	char number[GK_CHALLENGE_DIGITS + 1];	/* "" before the first */
	uint8_t typed;		/* keys since the last Enter, at most 255 */
	char digit[GK_CHALLENGE_DIGITS];	/* the first of them */
	uint8_t tries;		/* wrong ones at this number */
	uint8_t numbers;	/* made so far */
	uint8_t over;		/* passed or lost: nothing more is taken */
};

enum gk_challenge_answer {
	GK_CHALLENGE_MORE,	/* go on */
	GK_CHALLENGE_WRONG,	/* a wrong number; the same once more */
	GK_CHALLENGE_NEW,	/* a wrong one too many: gk_challenge_number() */
	GK_CHALLENGE_LOST,	/* and it was the last number */
	GK_CHALLENGE_PASSED,
};

void gk_challenge_init(struct gk_challenge *c);

/*
 * gk_challenge_number: a new number from 32 random bits; GK_ERR_VALUE for the
 * few values by which some numbers would be likelier than others: ask again
 * with others. GK_ERR_LIMIT when there have been GK_CHALLENGE_NUMBERS.
 */
int gk_challenge_number(struct gk_challenge *c, uint32_t random) GK_MUST_CHECK;

/*
 * gk_challenge_key: a key of that keyboard. Presses of digits (main row and
 * keypad, with or without Shift and Num Lock: where digits are shifted, as on
 * French keyboards, the person holds Shift), Backspace and Enter count, all
 * else does nothing. Enter with nothing typed does nothing.
 */
enum gk_challenge_answer gk_challenge_key(struct gk_challenge *c, uint16_t code,
					  uint8_t value);

#endif
