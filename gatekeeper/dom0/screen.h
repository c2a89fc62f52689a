/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the person in front of the machine, while the initramfs's prompt
 * is what they see: on the console, and by plymouth when it is there. All
 * text is printable ASCII by the time it gets here; at most GK_SCREEN_LINES
 * in ten seconds, then one line that says how many more there are.
 */
#ifndef GK_DOM0_SCREEN_H
#define GK_DOM0_SCREEN_H

#include <stdint.h>

#include "dom0/loop.h"

enum {
	GK_SCREEN_LINES = 10,
	GK_SCREEN_WINDOW_MS = 10000,
	GK_SCREEN_TEXT = 240,
	GK_SCREEN_QUEUE = 12,
};

/* The bound alone, without a screen. */
struct gk_screen_rate {
	uint64_t window_start;
	unsigned shown;
	unsigned held_back;
};

/* gk_screen_rate: 1: show it, 0: not. */
int gk_screen_rate(struct gk_screen_rate *r, uint64_t now_ms);

struct gk_screen {
	struct gk_loop *loop;
	int on;
	struct gk_screen_rate rate;
	struct gk_screen_rate ask_rate;
	struct gk_timer more;		/* says what was held back */
	/* One plymouth at a time, so that lines keep their order. */
	char queue[GK_SCREEN_QUEUE][GK_SCREEN_TEXT];
	unsigned queued;
	unsigned plymouth;		/* child id, 0: none */
};

void gk_screen_init(struct gk_screen *s, struct gk_loop *l, int on);

/* gk_screen_say: "USB Gatekeeper: " is put before it. To the journal too. */
void gk_screen_say(struct gk_screen *s, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* gk_screen_ask: what somebody has to do something about: also when the screen is
 * off, and by a rate of its own, so that devices that come and go do not hold it
 * back. 1: it is shown; 0: not now, and it is not in the journal either. */
int gk_screen_ask(struct gk_screen *s, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* gk_screen_show: text as it is, printable ASCII or a translation of ours in UTF-8;
 * not to the journal, and without a bound: gk_screen_rate() is the caller's. */
void gk_screen_show(struct gk_screen *s, const char *text);

#endif
