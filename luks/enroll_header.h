/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The LUKS2 header that is enrolled in: what its keyslots are for, and the changes
 * to it, each of which is one that libcryptsetup makes wholly or not at all.
 *
 * A keyslot that is being added is announced by a token of a type of our own that
 * belongs to no keyslot (other programs pass it over) and holds the keyslot's
 * number. The token that the keyslot is for then takes its place. So whoever reads
 * the header after a crash knows a keyslot that nothing opens from a passphrase.
 */
#ifndef GK_LUKS_ENROLL_HEADER_H
#define GK_LUKS_ENROLL_HEADER_H

#include <libcryptsetup.h>

#include "luks/token.h"
#include "luks/volume.h"

#define GK_MARK_TYPE		"gatekeeper-enrolling"
#define GK_RECOVERY_TYPE	"systemd-recovery"

enum {
	GK_HEADER_TOKENS = 32,		/* LUKS2 has no more */
	GK_HEADER_TYPE = 40,
	/* A secret of 256 random bits needs no slow PBKDF; as systemd has it. */
	GK_KEYSLOT_ITERATIONS = 1000,
	GK_VOLUME_KEY = 256,		/* bytes, the most */
};

enum gk_slot_kind {
	GK_SLOT_FREE,
	GK_SLOT_PASSPHRASE,	/* no token: all that is known */
	GK_SLOT_RECOVERY,
	GK_SLOT_FIDO2,
	GK_SLOT_OTHER,		/* a token of another type */
	GK_SLOT_LEFT,		/* no token, and made for one */
	GK_SLOT_UNBOUND,	/* opens no part of the volume */
	GK_SLOT_IGNORED,	/* a passphrase by priority "ignore": not tried with
				 * what is typed, by us, systemd or cryptsetup */
};

struct gk_header_slot {
	enum gk_slot_kind kind;
	int token;		/* what says so, -1: none */
};

struct gk_header_token {
	int there;
	char type[GK_HEADER_TYPE];
	uint32_t keyslots;
	int mark;		/* the keyslot that is being added, -1: no mark */
	int readable;		/* systemd-fido2, in order: */
	struct gk_token fido;
};

struct gk_header {
	struct gk_volume volume;
	struct crypt_device *cd;
	struct gk_header_slot slot[GK_TOKEN_KEYSLOTS];
	struct gk_header_token token[GK_HEADER_TOKENS];
	uint8_t key[GK_VOLUME_KEY];	/* the volume's, after unlocking */
	size_t key_len;			/* 0: not unlocked */
};

/* gk_header_open: volume is set; also reads anew. *why for a person. */
int gk_header_open(struct gk_header *h, const char **why) GK_MUST_CHECK;
/* gk_header_close: wipes the volume key. */
void gk_header_close(struct gk_header *h);

/* gk_header_try: whether the secret opens one of the keyslots (bits), by looking,
 * without activating; its number, GK_ERR_VALUE: none, GK_ERR_LIMIT: one of them
 * wants too much work. keep: the volume key, too. */
int gk_header_try(struct gk_header *h, uint32_t keyslots, const char *secret,
		  size_t len, int keep) GK_MUST_CHECK;

/* gk_header_kinds: the keyslots of a kind, as bits. */
uint32_t gk_header_kinds(const struct gk_header *h, enum gk_slot_kind kind);

/* gk_header_free_slot: the lowest one, GK_ERR_LIMIT: all 32 are in use. */
int gk_header_free_slot(const struct gk_header *h) GK_MUST_CHECK;

/* The three steps of adding; mark returns the token's number, GK_ERR_LENGTH: all
 * places for tokens are taken. GK_ERR_SYSTEM: libcryptsetup did not,
 * gk_header_why() says why. */
int gk_header_mark(struct gk_header *h, int slot) GK_MUST_CHECK;
int gk_header_add(struct gk_header *h, int slot, const char *secret, size_t len)
	GK_MUST_CHECK;
int gk_header_put(struct gk_header *h, int token, const char *json) GK_MUST_CHECK;

int gk_header_drop_token(struct gk_header *h, int token) GK_MUST_CHECK;
int gk_header_drop_slot(struct gk_header *h, int slot) GK_MUST_CHECK;

/* gk_header_why: the last thing that libcryptsetup complained about. */
const char *gk_header_why(void);

#endif
