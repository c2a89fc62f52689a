/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the agent holds devices back, judges them, or keeps out of the way. Pure.
 *
 *            HELLO                  manifest
 *   AWAY ------------> WAITING ----------------> JUDGING
 *     ^                   |
 *     `-------------------'  nobody there for GK_DUTY_ALONE_MS
 *
 * JUDGING it stays without dom0, too: the last rules are better than none, and a
 * keyboard that is there goes on when dom0's daemon comes back.
 */
#ifndef GK_AGENT_DUTY_H
#define GK_AGENT_DUTY_H

#include <stdint.h>

enum { GK_DUTY_ALONE_MS = 30000 };

enum gk_duty_state {
	GK_DUTY_WAITING,	/* what appears waits, there are no rules yet */
	GK_DUTY_JUDGING,
	GK_DUTY_AWAY,		/* the kernel has everything */
};

struct gk_duty {
	enum gk_duty_state state;
	uint64_t alone_ms;	/* since when there is no session; 0: there is one */
};

/* gk_duty_init: WAITING; now_ms is the clock of all these, above 0. */
void gk_duty_init(struct gk_duty *d, uint64_t now_ms);

/* gk_duty_hello: 1 if devices have to be held back again. */
int gk_duty_hello(struct gk_duty *d);

/* gk_duty_rules: the manifest is whole and its rules are in force. */
void gk_duty_rules(struct gk_duty *d);

/* gk_duty_tick: whether there is a session now; 1 if everything is to be given to
 * the kernel, once. */
int gk_duty_tick(struct gk_duty *d, int session, uint64_t now_ms);

#endif
