/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CBOR (RFC 8949) as CTAP 2.1 8 wants it: definite lengths, shortest heads.
 * Both ends are a buffer and an offset, and the first error stays.
 */
#ifndef GK_FIDO_CBOR_H
#define GK_FIDO_CBOR_H

#include "ctap.h"

struct gk_cbor_out {
	uint8_t *data;
	size_t size, len;
	bool full;		/* something did not fit; len is of no use */
};

void gk_cbor_put_int(struct gk_cbor_out *out, int64_t n);
void gk_cbor_put_bytes(struct gk_cbor_out *out, const void *data, size_t len);
void gk_cbor_put_text(struct gk_cbor_out *out, const char *text);
void gk_cbor_put_text_n(struct gk_cbor_out *out, struct gk_slice text);
void gk_cbor_put_array(struct gk_cbor_out *out, size_t n);
void gk_cbor_put_map(struct gk_cbor_out *out, size_t n);
void gk_cbor_put_bool(struct gk_cbor_out *out, bool value);
/* As it is, no head: authenticator data, and what is ill-formed. */
void gk_cbor_put_raw(struct gk_cbor_out *out, const void *data, size_t len);
/* A key, then a value. */
void gk_cbor_pair_int(struct gk_cbor_out *out, int64_t key, int64_t n);
void gk_cbor_pair_bytes(struct gk_cbor_out *out, int64_t key, const void *data,
			size_t len);

struct gk_cbor_in {
	const uint8_t *data;
	size_t len, off;
	enum gk_ctap_status status;	/* CTAP2_OK until something is wrong */
};

/* Each takes one item of its type; 0, false or an empty slice on an error. */
int64_t gk_cbor_int(struct gk_cbor_in *in);
struct gk_slice gk_cbor_bytes(struct gk_cbor_in *in);
struct gk_slice gk_cbor_text(struct gk_cbor_in *in);
bool gk_cbor_bool(struct gk_cbor_in *in);
/* Items, or pairs; no more than there are bytes left. */
size_t gk_cbor_array(struct gk_cbor_in *in);
size_t gk_cbor_map(struct gk_cbor_in *in);
/* Takes one item of any type, with all that is in it. */
void gk_cbor_skip(struct gk_cbor_in *in);
/* Bytes after the last item are an error too. */
void gk_cbor_end(struct gk_cbor_in *in);

bool gk_slice_is(struct gk_slice slice, const char *text);

#endif
