/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cursor.h"

void gk_reader_init(struct gk_reader *r, const void *base, size_t len)
{
	r->base = base;
	r->len = len;
	r->off = 0;
	r->err = GK_OK;
}

/*
 * Claims n bytes: true, and *at says where they start. off <= len always
 * holds, so the subtraction cannot wrap, and no sum of untrusted lengths is
 * ever formed.
 */
static int claim(struct gk_reader *r, size_t n, size_t *at)
{
	if (r->err != GK_OK)
		return 0;
	if (n > r->len - r->off) {
		r->err = GK_ERR_SHORT;
		return 0;
	}
	*at = r->off;
	r->off += n;
	return 1;
}

uint8_t gk_get_u8(struct gk_reader *r)
{
	size_t at = 0;

	if (!claim(r, 1, &at))
		return 0;
	return r->base[at];
}

uint16_t gk_get_u16(struct gk_reader *r)
{
	size_t at = 0;

	if (!claim(r, 2, &at))
		return 0;
	return (uint16_t)(r->base[at] | (uint32_t)r->base[at + 1] << 8);
}

uint32_t gk_get_u32(struct gk_reader *r)
{
	uint32_t v = 0;
	size_t at = 0;

	if (!claim(r, 4, &at))
		return 0;
	for (unsigned i = 0; i < 4; i++)
		v |= (uint32_t)r->base[at + i] << (8 * i);
	return v;
}

uint64_t gk_get_u64(struct gk_reader *r)
{
	uint64_t v = 0;
	size_t at = 0;

	if (!claim(r, 8, &at))
		return 0;
	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)r->base[at + i] << (8 * i);
	return v;
}

void gk_get_bytes(struct gk_reader *r, void *out, size_t len)
{
	size_t at = 0;

	/* memcpy(NULL, .., 0) is undefined; an empty buffer may be NULL. */
	if (len == 0)
		return;
	if (claim(r, len, &at))
		memcpy(out, r->base + at, len);
	else
		memset(out, 0, len);
}

void gk_skip(struct gk_reader *r, size_t len)
{
	size_t at = 0;

	(void)claim(r, len, &at);
}

size_t gk_reader_left(const struct gk_reader *r)
{
	return r->err == GK_OK ? r->len - r->off : 0;
}

int gk_reader_end(const struct gk_reader *r)
{
	if (r->err != GK_OK)
		return r->err;
	return r->off == r->len ? GK_OK : GK_ERR_TRAILING;
}

void gk_writer_init(struct gk_writer *w, void *base, size_t cap)
{
	w->base = base;
	w->cap = cap;
	w->off = 0;
	w->err = GK_OK;
}

static int room(struct gk_writer *w, size_t n, size_t *at)
{
	if (w->err != GK_OK)
		return 0;
	if (n > w->cap - w->off) {
		w->err = GK_ERR_LIMIT;
		return 0;
	}
	*at = w->off;
	w->off += n;
	return 1;
}

void gk_put_u8(struct gk_writer *w, uint8_t v)
{
	size_t at = 0;

	if (room(w, 1, &at))
		w->base[at] = v;
}

void gk_put_u16(struct gk_writer *w, uint16_t v)
{
	size_t at = 0;

	if (!room(w, 2, &at))
		return;
	w->base[at] = (uint8_t)(v & 0xff);
	w->base[at + 1] = (uint8_t)(v >> 8);
}

void gk_put_u32(struct gk_writer *w, uint32_t v)
{
	size_t at = 0;

	if (!room(w, 4, &at))
		return;
	for (unsigned i = 0; i < 4; i++)
		w->base[at + i] = (uint8_t)(v >> (8 * i) & 0xff);
}

void gk_put_u64(struct gk_writer *w, uint64_t v)
{
	size_t at = 0;

	if (!room(w, 8, &at))
		return;
	for (unsigned i = 0; i < 8; i++)
		w->base[at + i] = (uint8_t)(v >> (8 * i) & 0xff);
}

void gk_put_bytes(struct gk_writer *w, const void *in, size_t len)
{
	size_t at = 0;

	if (len != 0 && room(w, len, &at))
		memcpy(w->base + at, in, len);
}
