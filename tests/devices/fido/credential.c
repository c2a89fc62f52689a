/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "credential.h"

#include <string.h>

void gk_credential_new(struct gk_credential *cred)
{
	if (cred->alg == COSE_ES256)
		gk_p256_new(cred->key);
	else
		gk_random(cred->key, sizeof(cred->key));
	gk_random(cred->random_uv, sizeof(cred->random_uv));
	gk_random(cred->random_plain, sizeof(cred->random_plain));
}

void gk_credential_wrap(const struct gk_credential *cred,
			const uint8_t wrap_key[32], const uint8_t rp_hash[32],
			uint8_t id[GK_CREDENTIAL_ID])
{
	uint8_t body[GK_CREDENTIAL_BODY];

	body[0] = (uint8_t)-cred->alg;
	body[1] = (uint8_t)cred->protect;
	body[2] = cred->hmac_secret;
	memcpy(body + 3, cred->key, 32);
	memcpy(body + 35, cred->random_uv, 32);
	memcpy(body + 67, cred->random_plain, 32);
	gk_seal(wrap_key, (struct gk_slice){ rp_hash, 32 }, body, sizeof(body),
		id);
}

int gk_credential_unwrap(struct gk_credential *cred, const uint8_t wrap_key[32],
			 const uint8_t rp_hash[32], struct gk_slice id)
{
	uint8_t body[GK_CREDENTIAL_BODY];

	if (id.n != GK_CREDENTIAL_ID ||
	    gk_open(wrap_key, (struct gk_slice){ rp_hash, 32 }, id.p,
		    sizeof(body), body) < 0)
		return -1;
	cred->alg = -(int)body[0];
	cred->protect = body[1];
	cred->hmac_secret = body[2];
	memcpy(cred->key, body + 3, 32);
	memcpy(cred->random_uv, body + 35, 32);
	memcpy(cred->random_plain, body + 67, 32);
	return 0;
}
