/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the authenticator keeps when it is unplugged, in a text file if one is
 * named: the key that credential ids are wrapped with, the PIN's hash and the
 * tries left, the signature counter, discoverable credentials. A line is a word
 * and hex strings. The file is replaced as a whole, so that a kill at any moment
 * leaves the old one or the new one.
 */
#ifndef GK_FIDO_STORE_H
#define GK_FIDO_STORE_H

#include "credential.h"

enum {
	GK_PIN_RETRIES = 8,
	GK_RESIDENTS = 25,
	GK_NAME_MAX = 64,	/* of a user; longer ones are cut */
	GK_RP_MAX = 255,
};

/* A string with its length, as the relying party gave it. */
struct gk_name {
	uint8_t len;
	uint8_t data[GK_RP_MAX];
};

struct gk_resident {
	uint8_t id[GK_CREDENTIAL_ID];
	struct gk_name rp_id, user_id, user_name, display_name;
};

struct gk_store {
	const char *path;	/* NULL: kept in memory only */
	uint8_t wrap_key[32];
	bool pin_set;
	uint8_t pin_hash[16];	/* LEFT(SHA-256(PIN), 16), CTAP 2.1 6.5.5.5 */
	unsigned int pin_retries;
	uint32_t counter;
	size_t n_residents;	/* the oldest first */
	struct gk_resident residents[GK_RESIDENTS];
};

/* A new wrapping key, nothing else in it. */
void gk_store_fresh(struct gk_store *store);
/* What the file says, or fresh if there is none. -1 with a message on stderr. */
int gk_store_load(struct gk_store *store);
/* -1 with a message on stderr. */
int gk_store_save(const struct gk_store *store);
void gk_name_set(struct gk_name *name, struct gk_slice from, size_t max);

#endif
