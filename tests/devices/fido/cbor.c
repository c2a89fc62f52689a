/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cbor.h"

#include <string.h>

enum major { UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };
enum { CBOR_FALSE = 20, CBOR_TRUE = 21 };

void gk_cbor_put_raw(struct gk_cbor_out *out, const void *data, size_t len)
{
	if (out->full || len > out->size - out->len) {
		out->full = true;
		return;
	}
	if (len)
		memcpy(out->data + out->len, data, len);
	out->len += len;
}

static void put_head(struct gk_cbor_out *out, enum major major, uint64_t n)
{
	uint8_t head[9];
	unsigned int bytes, i;

	bytes = n < 24 ? 0 : n <= 0xff ? 1 : n <= 0xffff ? 2 :
		n <= 0xffffffff ? 4 : 8;
	head[0] = (uint8_t)((unsigned int)major << 5 |
			    (bytes == 0 ? (unsigned int)n :
			     bytes == 1 ? 24 : bytes == 2 ? 25 :
			     bytes == 4 ? 26 : 27));
	for (i = 0; i < bytes; i++)
		head[1 + i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
	gk_cbor_put_raw(out, head, 1 + bytes);
}

void gk_cbor_put_int(struct gk_cbor_out *out, int64_t n)
{
	if (n < 0)
		put_head(out, NEGATIVE, (uint64_t)(-1 - n));
	else
		put_head(out, UINT, (uint64_t)n);
}

void gk_cbor_put_bytes(struct gk_cbor_out *out, const void *data, size_t len)
{
	put_head(out, BYTES, len);
	gk_cbor_put_raw(out, data, len);
}

void gk_cbor_put_text_n(struct gk_cbor_out *out, struct gk_slice text)
{
	put_head(out, TEXT, text.n);
	gk_cbor_put_raw(out, text.p, text.n);
}

void gk_cbor_put_text(struct gk_cbor_out *out, const char *text)
{
	gk_cbor_put_text_n(out, (struct gk_slice){ (const uint8_t *)text,
						   strlen(text) });
}

void gk_cbor_put_array(struct gk_cbor_out *out, size_t n)
{
	put_head(out, ARRAY, n);
}

void gk_cbor_put_map(struct gk_cbor_out *out, size_t n)
{
	put_head(out, MAP, n);
}

void gk_cbor_put_bool(struct gk_cbor_out *out, bool value)
{
	put_head(out, SIMPLE, value ? CBOR_TRUE : CBOR_FALSE);
}

void gk_cbor_pair_int(struct gk_cbor_out *out, int64_t key, int64_t n)
{
	gk_cbor_put_int(out, key);
	gk_cbor_put_int(out, n);
}

void gk_cbor_pair_bytes(struct gk_cbor_out *out, int64_t key, const void *data,
			size_t len)
{
	gk_cbor_put_int(out, key);
	gk_cbor_put_bytes(out, data, len);
}

/* --- reading ---------------------------------------------------------------- */

static void fail(struct gk_cbor_in *in, enum gk_ctap_status status)
{
	if (in->status == CTAP2_OK)
		in->status = status;
}

static size_t left(const struct gk_cbor_in *in)
{
	return in->len - in->off;
}

/* False: an error, and nothing is to be done with the values. */
static bool get_head(struct gk_cbor_in *in, enum major *major, uint64_t *n)
{
	/* CTAP 2.1 8: shortest form, so each length has a least value. */
	static const uint64_t least[] = { 24, 0x100, 0x10000, 0x100000000 };
	unsigned int info, bytes, i;

	if (in->status != CTAP2_OK)
		return false;
	if (!left(in)) {
		fail(in, CTAP2_ERR_INVALID_CBOR);
		return false;
	}
	info = in->data[in->off] & 0x1fu;
	*major = (enum major)(in->data[in->off] >> 5);
	in->off++;
	if (info < 24) {
		*n = info;
		return true;
	}
	bytes = 1u << (info - 24);
	if (info > 27 || left(in) < bytes) {
		fail(in, CTAP2_ERR_INVALID_CBOR);
		return false;
	}
	*n = 0;
	for (i = 0; i < bytes; i++)
		*n = *n << 8 | in->data[in->off++];
	if (*n < least[info - 24])
		fail(in, CTAP2_ERR_INVALID_CBOR);
	return in->status == CTAP2_OK;
}

static bool get(struct gk_cbor_in *in, enum major wanted, uint64_t *n)
{
	enum major major;

	if (!get_head(in, &major, n))
		return false;
	if (major != wanted)
		fail(in, CTAP2_ERR_CBOR_UNEXPECTED_TYPE);
	return in->status == CTAP2_OK;
}

int64_t gk_cbor_int(struct gk_cbor_in *in)
{
	enum major major;
	uint64_t n;

	if (!get_head(in, &major, &n))
		return 0;
	if ((major != UINT && major != NEGATIVE) || n > INT64_MAX) {
		fail(in, CTAP2_ERR_CBOR_UNEXPECTED_TYPE);
		return 0;
	}
	return major == UINT ? (int64_t)n : -1 - (int64_t)n;
}

static struct gk_slice take(struct gk_cbor_in *in, uint64_t n)
{
	struct gk_slice slice = { in->data + in->off, (size_t)n };

	if (n > left(in)) {
		fail(in, CTAP2_ERR_INVALID_CBOR);
		return (struct gk_slice){ NULL, 0 };
	}
	in->off += (size_t)n;
	return slice;
}

static struct gk_slice get_string(struct gk_cbor_in *in, enum major major)
{
	uint64_t n;

	if (!get(in, major, &n))
		return (struct gk_slice){ NULL, 0 };
	return take(in, n);
}

struct gk_slice gk_cbor_bytes(struct gk_cbor_in *in)
{
	return get_string(in, BYTES);
}

struct gk_slice gk_cbor_text(struct gk_cbor_in *in)
{
	return get_string(in, TEXT);
}

bool gk_cbor_bool(struct gk_cbor_in *in)
{
	uint64_t n;

	if (!get(in, SIMPLE, &n))
		return false;
	if (n != CBOR_FALSE && n != CBOR_TRUE)
		fail(in, CTAP2_ERR_CBOR_UNEXPECTED_TYPE);
	return n == CBOR_TRUE;
}

static size_t get_count(struct gk_cbor_in *in, enum major major)
{
	uint64_t n;

	if (!get(in, major, &n))
		return 0;
	if (n > left(in)) {
		fail(in, CTAP2_ERR_INVALID_CBOR);
		return 0;
	}
	return (size_t)n;
}

size_t gk_cbor_array(struct gk_cbor_in *in)
{
	return get_count(in, ARRAY);
}

size_t gk_cbor_map(struct gk_cbor_in *in)
{
	return get_count(in, MAP);
}

void gk_cbor_skip(struct gk_cbor_in *in)
{
	uint64_t items = 1, n;
	enum major major;

	for (; items; items--) {
		if (!get_head(in, &major, &n))
			return;
		if (major == BYTES || major == TEXT) {
			take(in, n);
		} else if (major == ARRAY || major == MAP) {
			if (n > left(in)) {
				fail(in, CTAP2_ERR_INVALID_CBOR);
				return;
			}
			items += major == MAP ? 2 * n : n;
		} else if (major == TAG) {
			fail(in, CTAP2_ERR_INVALID_CBOR);
		}
	}
}

void gk_cbor_end(struct gk_cbor_in *in)
{
	if (left(in))
		fail(in, CTAP2_ERR_INVALID_CBOR);
}

bool gk_slice_is(struct gk_slice slice, const char *text)
{
	return slice.n == strlen(text) && !memcmp(slice.p, text, slice.n);
}
