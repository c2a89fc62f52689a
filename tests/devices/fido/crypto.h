/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The authenticator's cryptography: GNU Nettle, because what it is tested with
 * (libfido2, python3-fido2) computes with OpenSSL. Keys are 32 bytes: a P-256
 * scalar or coordinate, big-endian, or an Ed25519 seed.
 */
#ifndef GK_FIDO_CRYPTO_H
#define GK_FIDO_CRYPTO_H

#include "ctap.h"

#define GK_SIGNATURE_MAX	72	/* DER of two 32-byte integers */
#define GK_AEAD_EXTRA		28	/* nonce of 12 before, tag of 16 behind */

/* Ends the program if the kernel gives no random numbers. */
void gk_random(void *out, size_t len);
void gk_sha256(const void *data, size_t len, uint8_t out[32]);
/* HMAC-SHA-256 of a followed by b. */
void gk_hmac(const uint8_t *key, size_t key_len, struct gk_slice a,
	     struct gk_slice b, uint8_t out[32]);
/* HKDF-SHA-256 with a salt of 32 zeros, one block of output (RFC 5869). */
void gk_hkdf(const uint8_t secret[32], const char *info, uint8_t out[32]);

void gk_p256_new(uint8_t key[32]);
void gk_p256_public(const uint8_t key[32], uint8_t x[32], uint8_t y[32]);
/* z: the x coordinate of the shared point. -1: x, y is not on the curve. */
int gk_p256_shared(const uint8_t key[32], const uint8_t x[32],
		   const uint8_t y[32], uint8_t z[32]);
void gk_ed25519_public(const uint8_t key[32], uint8_t out[32]);
/* ES256 as DER, EdDSA as 64 bytes; the length. alg: COSE_*. */
size_t gk_sign(int alg, const uint8_t key[32], const uint8_t *data, size_t len,
	       uint8_t out[GK_SIGNATURE_MAX]);

/* AES-256-CBC; len is a multiple of 16. */
void gk_cbc_encrypt(const uint8_t key[32], const uint8_t iv[16],
		    const uint8_t *in, size_t len, uint8_t *out);
void gk_cbc_decrypt(const uint8_t key[32], const uint8_t iv[16],
		    const uint8_t *in, size_t len, uint8_t *out);

/* ChaCha20-Poly1305, random nonce; out has len + GK_AEAD_EXTRA bytes. */
void gk_seal(const uint8_t key[32], struct gk_slice with, const uint8_t *in,
	     size_t len, uint8_t *out);
/* in has len + GK_AEAD_EXTRA bytes, out len. -1: not sealed so. */
int gk_open(const uint8_t key[32], struct gk_slice with, const uint8_t *in,
	    size_t len, uint8_t *out);

#endif
