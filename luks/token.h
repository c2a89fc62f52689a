/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LUKS2 tokens of type systemd-fido2, as systemd-cryptenroll writes them: from
 * JSON and to JSON. Pure: bytes in, struct out. The header is on the disk, and
 * whoever had the disk in hand may have written it, so the text is bounded, and
 * what does not fit is refused with a reason that a person can read.
 */
#ifndef GK_LUKS_TOKEN_H
#define GK_LUKS_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define GK_TOKEN_TYPE	"systemd-fido2"
#define GK_TOKEN_RP	"io.systemd.cryptsetup"

enum {
	GK_TOKEN_TEXT = 16384,		/* bytes of JSON, the most */
	GK_TOKEN_DEPTH = 8,
	GK_TOKEN_KEYSLOTS = 32,		/* LUKS2 has no more */
	GK_FIDO_CREDENTIAL = 1023,	/* bytes; libfido2 takes no more */
	GK_FIDO_SALT = 32,
	GK_FIDO_SECRET = 32,
	GK_FIDO_RP = 255,		/* a host name, RFC 1035 */
	GK_SECRET_BASE64 = 44,		/* of GK_FIDO_SECRET bytes */
};

/* A token without the field (they were added one after the other): if the key
 * asks for it. */
enum gk_need {
	GK_NEED_NO,
	GK_NEED_YES,
	GK_NEED_IF_ASKED,
};

struct gk_token {
	uint32_t keyslots;	/* bit N: keyslot N; at least one */
	uint16_t credential_len;	/* 1..GK_FIDO_CREDENTIAL */
	uint8_t credential[GK_FIDO_CREDENTIAL];
	uint8_t salt[GK_FIDO_SALT];
	char rp[GK_FIDO_RP + 1];
	uint8_t pin, up, uv;	/* enum gk_need */
};

/*
 * gk_token_parse: one token's JSON object. GK_ERR_TYPE: another type of token,
 * passed over without a word. GK_ERR_SHORT: something is missing; GK_ERR_VALUE,
 * GK_ERR_LENGTH, GK_ERR_LIMIT, GK_ERR_TRAILING: *why says what. Fields that are
 * not known are passed over; no text after the object is.
 */
int gk_token_parse(const char *json, size_t len, struct gk_token *t,
		   const char **why) GK_MUST_CHECK;

/* gk_token_build: JSON that gk_token_parse() and systemd read. The length
 * without the NUL, or GK_ERR_LIMIT, GK_ERR_VALUE. */
int gk_token_build(const struct gk_token *t, char *buf, size_t cap) GK_MUST_CHECK;

/* gk_token_same_secret: whether one answer of one key opens both: same rp,
 * credential, salt. */
int gk_token_same_secret(const struct gk_token *a, const struct gk_token *b);

/*
 * gk_base64_decode: RFC 4648 section 4, padded, no white space, no other
 * spelling of the same bytes. The number of bytes, GK_ERR_VALUE, GK_ERR_LIMIT.
 * gk_base64_encode: out has 4 bytes for each 3 begun, and one for the NUL.
 */
int gk_base64_decode(const char *text, size_t len, uint8_t *out, size_t cap)
	GK_MUST_CHECK;
void gk_base64_encode(const uint8_t *in, size_t len, char *out);

#endif
