/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcrypto's low-level functions, which OpenSSL 3 would rather see replaced by
 * EVP: linked statically, EVP brings its whole provider system into the gate.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "digest.h"

#include <openssl/sha.h>

void gk_sha256(const void *data, size_t len, uint8_t out[32])
{
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, data, len);
	SHA256_Final(out, &c);
}
