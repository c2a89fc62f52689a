/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "crypto.h"

#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/chacha-poly1305.h>
#include <nettle/dsa.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>
#include <nettle/eddsa.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { NONCE = CHACHA_POLY1305_NONCE_SIZE, TAG = CHACHA_POLY1305_DIGEST_SIZE };
_Static_assert(NONCE + TAG == GK_AEAD_EXTRA, "AEAD overhead");

void gk_random(void *out, size_t len)
{
	uint8_t *p = out;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = getrandom(p + done, len - done, 0);
		if (n <= 0)
			abort();
		done += (size_t)n;
	}
}

static void nettle_random(void *ctx, size_t len, uint8_t *out)
{
	(void)ctx;
	gk_random(out, len);
}

void gk_sha256(const void *data, size_t len, uint8_t out[32])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, 32, out);
}

void gk_hmac(const uint8_t *key, size_t key_len, struct gk_slice a,
	     struct gk_slice b, uint8_t out[32])
{
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, a.n, a.p);
	hmac_sha256_update(&ctx, b.n, b.p);
	hmac_sha256_digest(&ctx, 32, out);
}

static void mac_update(void *ctx, size_t len, const uint8_t *data)
{
	hmac_sha256_update(ctx, len, data);
}

static void mac_digest(void *ctx, size_t len, uint8_t *out)
{
	hmac_sha256_digest(ctx, len, out);
}

void gk_hkdf(const uint8_t secret[32], const char *info, uint8_t out[32])
{
	static const uint8_t salt[32];
	struct hmac_sha256_ctx ctx;
	uint8_t prk[32];

	hmac_sha256_set_key(&ctx, sizeof(salt), salt);
	hkdf_extract(&ctx, mac_update, mac_digest, 32, 32, secret, prk);
	hmac_sha256_set_key(&ctx, sizeof(prk), prk);
	hkdf_expand(&ctx, mac_update, mac_digest, 32, strlen(info),
		    (const uint8_t *)info, 32, out);
}

/* --- P-256 ------------------------------------------------------------------ */

static void scalar_from(struct ecc_scalar *s, const uint8_t key[32])
{
	mpz_t n;

	nettle_mpz_init_set_str_256_u(n, 32, key);
	ecc_scalar_init(s, nettle_get_secp_256r1());
	/* Keys come from gk_p256_new() or out of a seal: always in range. */
	if (!ecc_scalar_set(s, n))
		abort();
	mpz_clear(n);
}

void gk_p256_new(uint8_t key[32])
{
	struct ecc_scalar s;
	mpz_t n;

	mpz_init(n);
	ecc_scalar_init(&s, nettle_get_secp_256r1());
	ecc_scalar_random(&s, NULL, nettle_random);
	ecc_scalar_get(&s, n);
	nettle_mpz_get_str_256(32, key, n);
	ecc_scalar_clear(&s);
	mpz_clear(n);
}

static void point_to(const struct ecc_point *point, uint8_t x[32], uint8_t y[32])
{
	mpz_t mx, my;

	mpz_init(mx);
	mpz_init(my);
	ecc_point_get(point, mx, my);
	nettle_mpz_get_str_256(32, x, mx);
	if (y)
		nettle_mpz_get_str_256(32, y, my);
	mpz_clear(mx);
	mpz_clear(my);
}

void gk_p256_public(const uint8_t key[32], uint8_t x[32], uint8_t y[32])
{
	struct ecc_scalar s;
	struct ecc_point point;

	scalar_from(&s, key);
	ecc_point_init(&point, nettle_get_secp_256r1());
	ecc_point_mul_g(&point, &s);
	point_to(&point, x, y);
	ecc_point_clear(&point);
	ecc_scalar_clear(&s);
}

int gk_p256_shared(const uint8_t key[32], const uint8_t x[32],
		   const uint8_t y[32], uint8_t z[32])
{
	struct ecc_point peer, shared;
	struct ecc_scalar s;
	mpz_t mx, my;
	int ret = -1;

	nettle_mpz_init_set_str_256_u(mx, 32, x);
	nettle_mpz_init_set_str_256_u(my, 32, y);
	scalar_from(&s, key);
	ecc_point_init(&peer, nettle_get_secp_256r1());
	ecc_point_init(&shared, nettle_get_secp_256r1());
	if (ecc_point_set(&peer, mx, my)) {
		ecc_point_mul(&shared, &s, &peer);
		point_to(&shared, z, NULL);
		ret = 0;
	}
	ecc_point_clear(&peer);
	ecc_point_clear(&shared);
	ecc_scalar_clear(&s);
	mpz_clear(mx);
	mpz_clear(my);
	return ret;
}

/* --- signatures ------------------------------------------------------------- */

void gk_ed25519_public(const uint8_t key[32], uint8_t out[32])
{
	ed25519_sha512_public_key(out, key);
}

/* INTEGER (X.690 8.3): no needless zeros, and none that turns it negative. */
static size_t der_integer(const mpz_t n, uint8_t *out)
{
	size_t len = nettle_mpz_sizeinbase_256_s(n);

	out[0] = 0x02;
	out[1] = (uint8_t)len;
	nettle_mpz_get_str_256(len, out + 2, n);
	return len + 2;
}

static size_t sign_es256(const uint8_t key[32], const uint8_t *data, size_t len,
			 uint8_t *out)
{
	struct dsa_signature signature;
	struct ecc_scalar s;
	uint8_t digest[32];
	size_t n = 2;

	gk_sha256(data, len, digest);
	scalar_from(&s, key);
	dsa_signature_init(&signature);
	ecdsa_sign(&s, NULL, nettle_random, sizeof(digest), digest, &signature);
	n += der_integer(signature.r, out + n);
	n += der_integer(signature.s, out + n);
	out[0] = 0x30;
	out[1] = (uint8_t)(n - 2);
	dsa_signature_clear(&signature);
	ecc_scalar_clear(&s);
	return n;
}

size_t gk_sign(int alg, const uint8_t key[32], const uint8_t *data, size_t len,
	       uint8_t out[GK_SIGNATURE_MAX])
{
	uint8_t public[32];

	if (alg == COSE_ES256)
		return sign_es256(key, data, len, out);
	gk_ed25519_public(key, public);
	ed25519_sha512_sign(public, key, len, data, out);
	return ED25519_SIGNATURE_SIZE;
}

/* --- ciphers ---------------------------------------------------------------- */

void gk_cbc_encrypt(const uint8_t key[32], const uint8_t iv[16],
		    const uint8_t *in, size_t len, uint8_t *out)
{
	struct aes256_ctx ctx;
	uint8_t chain[16];

	memcpy(chain, iv, sizeof(chain));
	aes256_set_encrypt_key(&ctx, key);
	cbc_aes256_encrypt(&ctx, chain, len, out, in);
}

void gk_cbc_decrypt(const uint8_t key[32], const uint8_t iv[16],
		    const uint8_t *in, size_t len, uint8_t *out)
{
	struct aes256_ctx ctx;
	uint8_t chain[16];

	memcpy(chain, iv, sizeof(chain));
	aes256_set_decrypt_key(&ctx, key);
	cbc_decrypt(&ctx, (nettle_cipher_func *)aes256_decrypt, 16, chain, len,
		    out, in);
}

static void aead_begin(struct chacha_poly1305_ctx *ctx, const uint8_t key[32],
		       const uint8_t *nonce, struct gk_slice with)
{
	chacha_poly1305_set_key(ctx, key);
	chacha_poly1305_set_nonce(ctx, nonce);
	chacha_poly1305_update(ctx, with.n, with.p);
}

void gk_seal(const uint8_t key[32], struct gk_slice with, const uint8_t *in,
	     size_t len, uint8_t *out)
{
	struct chacha_poly1305_ctx ctx;

	gk_random(out, NONCE);
	aead_begin(&ctx, key, out, with);
	chacha_poly1305_encrypt(&ctx, len, out + NONCE, in);
	chacha_poly1305_digest(&ctx, TAG, out + NONCE + len);
}

int gk_open(const uint8_t key[32], struct gk_slice with, const uint8_t *in,
	    size_t len, uint8_t *out)
{
	struct chacha_poly1305_ctx ctx;
	uint8_t tag[TAG];

	aead_begin(&ctx, key, in, with);
	chacha_poly1305_decrypt(&ctx, len, out, in + NONCE);
	chacha_poly1305_digest(&ctx, TAG, tag);
	return memeql_sec(tag, in + NONCE + len, TAG) ? 0 : -1;
}
