/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SHA-256 (FIPS 180-4 6.2) of descriptors, for `gatekeeper inspect`: the rules
 * name devices by it, and a program of the initramfs should not need a library
 * of megabytes for that. Nothing secret goes in: not in constant time.
 */
#ifndef GK_SHA256_H
#define GK_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* gk_sha256: of data[0..len), at most 2^24 bytes; more are left out. */
void gk_sha256(const void *data, size_t len, uint8_t out[32]);

#endif
