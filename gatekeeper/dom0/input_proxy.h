/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboards that another domain's input-proxy-sender feeds, each through a
 * gatekeeper-input-proxy: `input_proxy` of gatekeeper.conf(5). Their keys go the way
 * of the other keyboards' to the one virtual keyboard, by the same `keyboards` lines of
 * the rules; they have no port and no descriptors, so no pin is theirs, and a number
 * that was typed on one is not remembered.
 */
#ifndef GK_DOM0_INPUT_PROXY_H
#define GK_DOM0_INPUT_PROXY_H

#include <stdint.h>

#include "dom0/keyboards.h"

#define GK_INPUT_SOCKET "input-proxy"	/* in the run directory */

enum {
	GK_INPUT_STREAMS = 8,	/* at one time */
	GK_INPUT_BEGIN_MS = 15000,	/* longer than the reader's own bound */
};

struct gk_input_stream {
	int used;
	int fd;
	struct gk_daemon *d;
	int begun;
	char name[GK_LINK_TEXT + 1];	/* printable, of the sender's own choice */
	struct gk_counted counted;
	int answered;		/* has typed its number */
	uint8_t down[GK_KEY_BYTES];
	uint64_t order;		/* counts up with each */
	uint64_t window_start;
	unsigned window_keys;
	struct gk_timer deadline;
};

struct gk_inputs {
	int listening, fd;
	uint64_t order;
	struct gk_input_stream stream[GK_INPUT_STREAMS];
};

/* gk_inputs_check: opens the socket when proxies are wanted and may be (the real root
 * is there, and the controllers are handed over), closes it with all streams when not;
 * whenever one of these may have changed. */
void gk_inputs_check(struct gk_daemon *d);

/* gk_inputs_held: adds what they hold, those that count. */
void gk_inputs_held(const struct gk_daemon *d, uint8_t held[GK_KEY_BYTES]);

/* gk_inputs_lifted: all keys of the virtual keyboard are up; theirs count from their
 * next press on. */
void gk_inputs_lifted(struct gk_daemon *d);

/* gk_inputs_counting: how many count. */
unsigned gk_inputs_counting(const struct gk_daemon *d);

/* gk_inputs_displace: another keyboard counts instead. gk_inputs_decide_again: is
 * there room now for one that was one too many? */
void gk_inputs_displace(struct gk_daemon *d);
void gk_inputs_decide_again(struct gk_daemon *d);

/* gk_inputs_status: their part of it; valid until d changes. */
struct gk_status;
void gk_inputs_status(const struct gk_daemon *d, struct gk_status *s);

/* gk_inputs_lights: the lock lights, to all of them. */
void gk_inputs_lights(struct gk_daemon *d);

#endif
