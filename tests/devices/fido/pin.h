/* SPDX-License-Identifier: GPL-2.0-or-later */
/* authenticatorClientPIN: the two PIN/UV auth protocols and tokens (CTAP 2.1 6.5). */
#ifndef GK_FIDO_PIN_H
#define GK_FIDO_PIN_H

#include "cbor.h"

struct gk_authenticator;

enum { GK_PERMISSION_MC = 0x01, GK_PERMISSION_GA = 0x02 };

struct gk_pin {
	/* indexed by protocol - 1 */
	uint8_t key[2][32];	/* for key agreement */
	uint8_t token[2][32];
	bool token_in_use;
	unsigned int token_protocol;
	unsigned int permissions;
	bool has_rp;
	uint8_t rp_hash[32];
	uint64_t issued_ns;
	bool used;
	bool present;		/* the user touched it for this token */
	unsigned int wrong_in_row;	/* since power-up */
};

/* What two ends have agreed on: a key for HMAC, one for AES (6.5.6, 6.5.7). */
struct gk_shared {
	unsigned int protocol;
	uint8_t mac[32], cipher[32];
};

/* New key pairs and tokens; no token is in use. */
void gk_pin_renew(struct gk_pin *pin);

/* A COSE_Key of the platform. Sets in->status if it is none. */
void gk_read_cose_key(struct gk_cbor_in *in, uint8_t x[32], uint8_t y[32]);
/* -1: the point is not on the curve. */
int gk_pin_agree(const struct gk_pin *pin, unsigned int protocol,
		 const uint8_t x[32], const uint8_t y[32],
		 struct gk_shared *shared);
/* Ciphertext for len bytes, a multiple of 16; its length, at most len + 16. */
size_t gk_pin_encrypt(const struct gk_shared *shared, const uint8_t *in,
		      size_t len, uint8_t *out);
/* The plaintext's length, at most max; -1: no ciphertext of this protocol. */
int gk_pin_decrypt(const struct gk_shared *shared, struct gk_slice in,
		   uint8_t *out, size_t max);
/* Is mac what this protocol makes of a and b with the key? */
bool gk_pin_verify(unsigned int protocol, const uint8_t key[32],
		   struct gk_slice a, struct gk_slice b, struct gk_slice mac);

/* May this call do what needs the permission, for this party? */
enum gk_ctap_status gk_pin_check(struct gk_pin *pin, unsigned int protocol,
				 struct gk_slice param,
				 const uint8_t client_hash[32],
				 unsigned int permission,
				 const uint8_t rp_hash[32]);
/* The user was asked: the token is good for nothing more (6.5.5.7). */
void gk_pin_spend(struct gk_pin *pin);

enum gk_ctap_status gk_client_pin(struct gk_authenticator *a,
				  struct gk_cbor_in *in,
				  struct gk_cbor_out *out);
/* Outside of CTAP: gives the authenticator this PIN. -1: no valid PIN. */
int gk_pin_force(struct gk_authenticator *a, const char *pin);

#endif
