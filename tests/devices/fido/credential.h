/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A credential is its id: private key and hmac-secret randoms, sealed with the
 * authenticator's wrapping key and bound to the relying party. An id of another
 * authenticator, of another party or of before a reset does not open.
 */
#ifndef GK_FIDO_CREDENTIAL_H
#define GK_FIDO_CREDENTIAL_H

#include "crypto.h"

enum {
	/* algorithm, credProtect, flags; key; two randoms */
	GK_CREDENTIAL_BODY = 3 + 32 + 2 * 32,
	GK_CREDENTIAL_ID = GK_CREDENTIAL_BODY + GK_AEAD_EXTRA,
};

struct gk_credential {
	int alg;		/* COSE_ES256 or COSE_EDDSA */
	unsigned int protect;	/* credProtect, 1 to 3 (CTAP 2.1 12.1) */
	bool hmac_secret;
	uint8_t key[32];
	/* CredRandomWithUV, CredRandomWithoutUV (CTAP 2.1 12.5) */
	uint8_t random_uv[32], random_plain[32];
};

/* New key and randoms; alg, protect and hmac_secret stay. */
void gk_credential_new(struct gk_credential *cred);
void gk_credential_wrap(const struct gk_credential *cred,
			const uint8_t wrap_key[32], const uint8_t rp_hash[32],
			uint8_t id[GK_CREDENTIAL_ID]);
/* -1: not ours, or not this party's. */
int gk_credential_unwrap(struct gk_credential *cred, const uint8_t wrap_key[32],
			 const uint8_t rp_hash[32], struct gk_slice id);

#endif
