/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one way to read untrusted bytes, and its mirror for writing.
 *
 * A reader is a base, a length and an offset into it. A read past the end sets
 * the sticky error, returns 0 and reads nothing; so a parser may read a whole
 * structure and ask once. gk_reader_end() is that question: it is GK_OK only
 * if nothing failed and every byte was used, so a longer message is refused
 * like a shorter one. All multi-byte values are little-endian, as in USB 2.0
 * section 8.1 and in the link.
 */
#ifndef GK_CURSOR_H
#define GK_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct gk_reader {
	const uint8_t *base;
	size_t len;
	size_t off;
	int err;		/* GK_OK or GK_ERR_SHORT, sticky */
};

struct gk_writer {
	uint8_t *base;
	size_t cap;
	size_t off;
	int err;		/* GK_OK or GK_ERR_LIMIT, sticky */
};

void gk_reader_init(struct gk_reader *r, const void *base, size_t len);
uint8_t gk_get_u8(struct gk_reader *r);
uint16_t gk_get_u16(struct gk_reader *r);
uint32_t gk_get_u32(struct gk_reader *r);
uint64_t gk_get_u64(struct gk_reader *r);
/* gk_get_bytes: copies len bytes to out; on error out is all zero. */
void gk_get_bytes(struct gk_reader *r, void *out, size_t len);
void gk_skip(struct gk_reader *r, size_t len);
/* gk_reader_left: bytes not yet read; 0 once an error stuck. */
size_t gk_reader_left(const struct gk_reader *r);
/* gk_reader_end: GK_OK, GK_ERR_SHORT (a read failed) or GK_ERR_TRAILING. */
int gk_reader_end(const struct gk_reader *r) GK_MUST_CHECK;

void gk_writer_init(struct gk_writer *w, void *base, size_t cap);
void gk_put_u8(struct gk_writer *w, uint8_t v);
void gk_put_u16(struct gk_writer *w, uint16_t v);
void gk_put_u32(struct gk_writer *w, uint32_t v);
void gk_put_u64(struct gk_writer *w, uint64_t v);
void gk_put_bytes(struct gk_writer *w, const void *in, size_t len);

#endif
