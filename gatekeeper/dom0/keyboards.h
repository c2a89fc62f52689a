/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of the keyboards that the gate has admitted count: `keyboards` and
 * `pin` of gatekeeper-rules.conf(5). The others' keys reach nothing; those of
 * one that was asked for a number reach the matcher alone.
 */
#ifndef GK_DOM0_KEYBOARDS_H
#define GK_DOM0_KEYBOARDS_H

#include <stdint.h>

#include "core/challenge.h"
#include "core/key_filter.h"
#include "core/link.h"
#include "dom0/loop.h"
#include "dom0/seen.h"

enum {
	/* Numbers in GK_NUMBERS_MS: three wrong tries each, so that a device
	 * which is plugged in again and again guesses one in 11,000 a window. */
	GK_NUMBERS = 30,
	GK_NUMBERS_MS = 600000,
	/* A key on a keyboard that was asked: is the number still to be seen? */
	GK_SHOW_AGAIN_MS = 10000,
	GK_SHOW_AGAIN = 6,	/* no oftener: keys may come without a person */
	GK_SHOW_RETRY_MS = 1000,	/* when there were too many lines */
	/* /var/lib may be read-only at first, or not mounted yet. */
	GK_KEEP_MS = 10000,
	GK_KEEP_ROUNDS = 12,
};

enum gk_counts {
	GK_COUNTS_NO,		/* no keyboard */
	GK_COUNTS_YES,
	GK_COUNTS_ASKED,	/* to type a number */
	GK_COUNTS_REFUSED,
};

struct gk_counted {
	enum gk_counts counts;
	uint16_t reason;	/* with ASKED and REFUSED: UNPINNED ... CHALLENGE */
	struct gk_challenge challenge;
	uint64_t shown;		/* when the number was; 0: not yet */
	uint64_t tried;		/* to show it, when it could not be */
	unsigned again;		/* times it was shown for a key that is none of it */
	int too_many;		/* refused without a number */
	int stranger;		/* after a handoff: nobody has said yet that it is right */
	/* Down when it began to count: they count from their next press on. */
	uint8_t stale[GK_KEY_BYTES];
};

struct gk_keyboards {
	struct gk_counted slot[GK_LINK_DEVICES];	/* as gk_session.dev */
	struct gk_seen known;	/* of boots before, as this root has them */
	struct gk_seen answered;	/* in this boot */
	uint64_t numbers_since;
	unsigned numbers;
	struct gk_timer keep_timer;
	unsigned keep_rounds;
};

struct gk_daemon;

/* gk_keyboards_load: what is known of boots before and of this one; at the
 * start, and after the switch of the root. */
void gk_keyboards_load(struct gk_daemon *d);

/* gk_keyboards_keep: writes down what has answered, once /var/lib can be. */
void gk_keyboards_keep(struct gk_daemon *d);

/* gk_keyboards_device: a device was told of in this slot, maybe instead of
 * another. gk_keyboards_gone: it is not there any more. */
void gk_keyboards_device(struct gk_daemon *d, int slot);
void gk_keyboards_gone(struct gk_daemon *d, int slot);

/* gk_keyboards_mapped: it is known now where the gate sees a controller. */
void gk_keyboards_mapped(struct gk_daemon *d);

/* gk_keyboards_number: a number for one that is to be asked; 0 when there are to be
 * no more for now. */
int gk_keyboards_number(struct gk_daemon *d, struct gk_counted *c);

/* gk_keyboards_counting: how many of them count. gk_keyboards_decide_others: is there
 * room now for one that was one too many? */
unsigned gk_keyboards_counting(const struct gk_daemon *d);
void gk_keyboards_decide_others(struct gk_daemon *d);

/* gk_keyboards_reset: the link has ended. */
void gk_keyboards_reset(struct gk_daemon *d);

/* gk_keyboards_key: a key of a keyboard has changed; 1 when it counts. */
int gk_keyboards_key(struct gk_daemon *d, int slot, uint16_t code, uint8_t value);

/* gk_keyboards_held: what the keyboards that count hold together, those of input
 * proxies among them. */
void gk_keyboards_held(const struct gk_daemon *d, uint8_t held[GK_KEY_BYTES]);

/* gk_keyboards_view: a device as dom0 sees it: without the keyboard role when
 * it does not count, and why. */
void gk_keyboards_view(const struct gk_daemon *d, int slot,
		       struct gk_link_device *out);

/* gk_keyboards_trust: after a handoff, root says that this device is as good as one
 * that was there before; if it is a keyboard, the rules decide. GK_ERR_ORDER: there
 * is nothing to say. */
int gk_keyboards_trust(struct gk_daemon *d, int slot) GK_MUST_CHECK;

/* gk_keyboards_ask: shows a number that has been asked for once more. */
void gk_keyboards_ask(struct gk_daemon *d, int slot);

#endif
