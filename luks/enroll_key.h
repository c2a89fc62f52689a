/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One security key for a command that has nothing else to do: each function waits
 * for its answer (the limits are those of key.h), says when it is to be touched and
 * asks for its PIN. What went wrong has been said when a function returns an error.
 */
#ifndef GK_LUKS_ENROLL_KEY_H
#define GK_LUKS_ENROLL_KEY_H

#include "luks/key.h"
#include "luks/keys.h"
#include "luks/token.h"

enum {
	GK_ENROLL_TOUCHES = 3,	/* waits for one touch, before it is given up */
	GK_ENROLL_BUSY_TRIES = 10,
	GK_ENROLL_BUSY_MS = 500,
	GK_ENROLL_OPEN_TRIES = 5,
	GK_ENROLL_OPEN_MS = 100,
};

struct gk_ekey {
	struct gk_loop *loop;
	char port[GK_KEYS_PORT];
	char socket[160];
	struct gk_key_link *link;
	uint32_t flags;			/* enum gk_key_flag */
	uint8_t aaguid[16];
	char pin[GK_KEY_PIN_MAX + 1];	/* "": not typed yet */
	int pin_right;			/* the key took it */
	/* Of the exchange that is under way: */
	struct gk_key_reply reply;
	int done, told;
	const char *gone;		/* why the link is closed, NULL */
	struct gk_timer pause;
};

/* gk_ekey_open: port and socket are set; says what it is (flags, aaguid). quiet:
 * nothing is said about a key that cannot be used. */
int gk_ekey_open(struct gk_ekey *k, struct gk_loop *l, int quiet) GK_MUST_CHECK;
/* gk_ekey_close: wipes. */
void gk_ekey_close(struct gk_ekey *k);

/* gk_ekey_has: whether the token's credential is of this key, without touch and
 * PIN: 1, 0, or GK_ERR_VALUE: it does not say. */
int gk_ekey_has(struct gk_ekey *k, const struct gk_token *t) GK_MUST_CHECK;

/* gk_ekey_make: a new credential for t->rp, into t. user: its id and name, which
 * the key may show. The PIN is asked for if t->pin is GK_NEED_YES or the key wants
 * it for this. */
int gk_ekey_make(struct gk_ekey *k, struct gk_token *t, const char *user) GK_MUST_CHECK;

/*
 * gk_ekey_secret: of the token, in base64, NUL-terminated; the caller wipes it.
 * with_pin -1: as the token says, else 0 or 1; *used_pin (NULL: not wanted) says
 * what it was in the end. GK_ERR_NOT_FOUND, of which nothing was said: the
 * credential is not of this key.
 */
int gk_ekey_secret(struct gk_ekey *k, const struct gk_token *t, int with_pin,
		   char out[GK_SECRET_BASE64 + 1], int *used_pin) GK_MUST_CHECK;

/* gk_ekey_aaguid: as it is written, 8-4-4-4-12. */
void gk_ekey_aaguid(const struct gk_ekey *k, char out[37]);

/* --- which keys are there --- */

struct gk_ekeys {
	struct gk_loop *loop;
	struct gk_keys watch;
	unsigned n;
	struct gk_ekey key[GK_KEYS];
	int any, late;
	struct gk_timer wait;
};

/* gk_ekeys_find: those that are plugged in, none opened; waits for the first one
 * for wait_ms. 0 also when there is none. */
int gk_ekeys_find(struct gk_ekeys *all, struct gk_loop *l, unsigned wait_ms)
	GK_MUST_CHECK;

/* gk_ekeys_at: the one at that port, NULL. */
struct gk_ekey *gk_ekeys_at(struct gk_ekeys *all, const char *port);

void gk_ekeys_close(struct gk_ekeys *all);

#endif
