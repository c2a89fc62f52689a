/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeper-enroll: what its commands share. See gatekeeper-enroll(8). */
#ifndef GK_LUKS_ENROLL_H
#define GK_LUKS_ENROLL_H

#include "luks/enroll_ask.h"
#include "luks/enroll_header.h"
#include "luks/enroll_key.h"
#include "luks/enroll_points.h"

enum {
	GK_ENROLL_DONE = 0,
	GK_ENROLL_FAILED = 1,
	GK_ENROLL_USAGE = 2,
	GK_ENROLL_PASSPHRASES = 3,	/* wrong ones */
	GK_RECOVERY = 71,	/* eight groups of eight, seven hyphens */
};

struct gk_enroll {
	/* As asked for: */
	const char *volume;	/* NULL: that of crypttab */
	const char *port;	/* --key */
	const char *key_file;	/* --unlock-key-file */
	const char *by_key;	/* --unlock-by-key */
	const char *id;		/* --remove */
	int no_pin, no_touch, fingerprint, force, json;
	int recovery;		/* 1 yes, 0 no, -1: ask */
	unsigned wait_s;

	struct gk_loop *loop;
	struct gk_header header;
	struct gk_ekeys keys;
};

/* Each is one command; the exit status. */
int gk_enroll_add(struct gk_enroll *e);
int gk_enroll_list(struct gk_enroll *e);
int gk_enroll_remove(struct gk_enroll *e);
int gk_enroll_test(struct gk_enroll *e);

/* gk_enroll_volume: the header of the volume that is meant. What went wrong has
 * been said; the same for the others here. */
int gk_enroll_volume(struct gk_enroll *e) GK_MUST_CHECK;

/* gk_enroll_unlock: by a passphrase, a key file or a key that is enrolled, as was
 * asked for, with one of the keyslots (bits). keep: the volume key stays in
 * e->header. The keyslot's number. */
int gk_enroll_unlock(struct gk_enroll *e, uint32_t keyslots, int keep) GK_MUST_CHECK;

/* gk_enroll_tokens_of: the tokens (bits) of a key that is open, by pre-flight;
 * *certain 0: the key does not say, and it can be any of them. */
uint32_t gk_enroll_tokens_of(const struct gk_header *h, struct gk_ekey *k, int *certain);

/* gk_enroll_by_key: tries the key on keyslots (bits) with those of the tokens (bits)
 * that have any of them, as the unlocker would. keep as above. The keyslot. */
int gk_enroll_by_key(struct gk_enroll *e, struct gk_ekey *k, uint32_t tokens,
		     uint32_t keyslots, int keep) GK_MUST_CHECK;

/* gk_enroll_offer_recovery: adds one if that was asked for, or is now, at a terminal,
 * and there is none; e->header is unlocked. An error only if it was asked for. */
int gk_enroll_offer_recovery(struct gk_enroll *e) GK_MUST_CHECK;

/* gk_enroll_write_keyslot: the mark, into *token, and the keyslot; the mark is taken
 * back if there is no keyslot. mark and added: the points after them. */
int gk_enroll_write_keyslot(struct gk_header *h, int slot, int *token,
			    const char *secret, size_t len, enum gk_enroll_point mark,
			    enum gk_enroll_point added) GK_MUST_CHECK;

/* gk_enroll_take_back: keyslot (-1: none was added) and token; the header is as
 * before, the secret is lost, and nothing needs it. */
void gk_enroll_take_back(struct gk_header *h, int slot, int token);

/* gk_enroll_refused: says why a change was not made; GK_ERR_VALUE. */
int gk_enroll_refused(int err);

/* gk_enroll_slot_text: what a keyslot is for, in words. */
const char *gk_enroll_slot_text(const struct gk_header *h, int slot);

#endif
