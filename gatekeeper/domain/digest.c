/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcrypto's low-level functions, which OpenSSL 3 would rather see replaced by
 * EVP: linked statically, EVP brings its whole provider system into the gate.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "digest.h"

#include <openssl/sha.h>

struct gk_digest {
	SHA256_CTX c;
};

struct gk_digest *gk_digest_begin(void)
{
	static struct gk_digest d;

	SHA256_Init(&d.c);
	return &d;
}

void gk_digest_add(struct gk_digest *d, const void *data, size_t len)
{
	SHA256_Update(&d->c, data, len);
}

void gk_digest_end(struct gk_digest *d, uint8_t out[32])
{
	SHA256_Final(out, &d->c);
}

void gk_sha256(const void *data, size_t len, uint8_t out[32])
{
	struct gk_digest *d = gk_digest_begin();

	gk_digest_add(d, data, len);
	gk_digest_end(d, out);
}
