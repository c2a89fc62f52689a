/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening volumes: by whatever comes first, a security key that fits or a
 * passphrase. One person, one screen, one question at a time; several volumes and
 * several keys.
 *
 * What a PIN try costs is the key's counter, so: the counter is asked before the
 * person is, a PIN is sent once for each time that it was typed (and again only
 * after the key said that it was right), and what was typed for another question
 * is never taken for a PIN.
 */
#ifndef GK_LUKS_UNLOCK_H
#define GK_LUKS_UNLOCK_H

#include "luks/attempt.h"
#include "luks/keys.h"
#include "luks/prompt.h"

/* Every wait ends. Those of one key are in key.h, of a keyslot in attempt.h. */
enum {
	/* Nobody typed anything: the system's own prompt follows. */
	GK_UNLOCK_IDLE_MS = 10 * 60 * 1000,
	/* Keys that are there get so long to be recognised before the passphrase is
	 * asked for; a key that needs a PIN is then asked about at once. */
	GK_UNLOCK_GRACE_MS = 2500,
	/* Who answers a PIN question faster was still typing the passphrase. */
	GK_UNLOCK_TOO_FAST_MS = 1200,
	/* A question does not change under the fingers of somebody who types (on a
	 * console; elsewhere that cannot be seen), for as long as they do. */
	GK_UNLOCK_TYPING_MS = 4000,
	/* How often a key is asked to wait for a touch, before Enter is needed. */
	GK_UNLOCK_TOUCHES = 3,
	/* PIN questions that vanished with their key: from then on a key waits for
	 * Enter, and no key that comes and goes keeps anybody from typing. */
	GK_UNLOCK_FLAPS = 3,
	GK_UNLOCK_BUSY_MS = 500,
	GK_UNLOCK_BUSY_TRIES = 20,
	/* Between a key's last word and its socket's end when it is pulled. */
	GK_UNLOCK_PULLED_MS = 600,
	GK_UNLOCK_PASSPHRASES = 5,	/* wrong ones, then the system's own prompt */
	GK_UNLOCK_QUESTIONS = 5,	/* that could not be asked */
	GK_UNLOCK_AGAIN_MS = 1000,
	GK_UNLOCK_CACHE = 8,
};

enum gk_unlock_end {
	GK_UNLOCK_OPENED,
	GK_UNLOCK_ACTIVE,	/* it was open already */
	GK_UNLOCK_WRONG,	/* too many wrong passphrases */
	GK_UNLOCK_IDLE,		/* nobody did anything */
	GK_UNLOCK_NO_PROMPT,	/* nothing to ask on, and no key */
	GK_UNLOCK_BROKEN,	/* the right secret, and yet it does not open */
	GK_UNLOCK_NOT_OURS,	/* no LUKS2, no key enrolled, opened in another way */
	GK_UNLOCK_STOPPED,
};

/* What opened a volume and how long it took, for `--json` and the journal. */
struct gk_unlock_how {
	enum gk_unlock_end end;
	char by[12];		/* "key", "passphrase", "" */
	char port[GK_KEYS_PORT];
	int64_t key_to_touch_ms;	/* socket there to "touch now"; -1: none */
	int64_t touch_to_open_ms;	/* the key's answer to open */
	int64_t keyslot_ms;		/* of that, PBKDF and device mapper */
	int64_t pbkdf_ms;		/* of that, computing: nearly all of it PBKDF */
	int64_t total_ms;
};

struct gk_unlock;

typedef void gk_unlock_done(void *ctx, const struct gk_unlock_how *how);

/* gk_unlock_open: there is one. p is open already, but for its three callbacks,
 * which are set here. keys: the directory of the keys' sockets. */
int gk_unlock_open(struct gk_loop *l, struct gk_prompt *p, const char *keys,
		   struct gk_unlock **out) GK_MUST_CHECK;

/*
 * gk_unlock_add: a volume that was loaded; copied. done is called once, later, and
 * may add another. *id names it for gk_unlock_drop(). GK_ERR_LIMIT.
 */
int gk_unlock_add(struct gk_unlock *u, const struct gk_volume *v, gk_unlock_done *done,
		  void *ctx, unsigned *id) GK_MUST_CHECK;

/* gk_unlock_drop: nobody waits for it any more; done is not called. */
void gk_unlock_drop(struct gk_unlock *u, unsigned id);

/* gk_unlock_close: secrets wiped, keys let go, question withdrawn. */
void gk_unlock_close(struct gk_unlock *u);

#endif
