/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GK_DOMAIN_DIGEST_H
#define GK_DOMAIN_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* gk_sha256: FIPS 180-4 SHA-256 of data[0..len), by libcrypto. */
void gk_sha256(const void *data, size_t len, uint8_t out[32]);

/* The same of several pieces, one after the other; one at a time. */
struct gk_digest;
struct gk_digest *gk_digest_begin(void);
void gk_digest_add(struct gk_digest *d, const void *data, size_t len);
void gk_digest_end(struct gk_digest *d, uint8_t out[32]);

#endif
