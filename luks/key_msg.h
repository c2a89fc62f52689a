/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is said between the unlocker and gatekeeper-key, the jailed process that
 * talks to one security key: a request, then for each request any number of
 * TOUCH and one DONE. Both are structs of one size over a socketpair that keeps
 * packets apart; the two are one build of one program.
 *
 * gatekeeper-key parses what a hostile key says and may have been taken over by
 * it: the unlocker uses nothing of a reply before gk_key_reply_check().
 */
#ifndef GK_LUKS_KEY_MSG_H
#define GK_LUKS_KEY_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "luks/token.h"

enum {
	GK_KEY_FD_PARENT = 3,
	GK_KEY_FD_DEVICE = 4,
	GK_KEY_PIN_MIN = 4,	/* CTAP 2.1 6.5.1 */
	GK_KEY_PIN_MAX = 63,
	GK_KEY_USER = 63,	/* bytes of a user name or id */
	GK_KEY_RETRIES_MAX = 8,	/* CTAP 2.1 6.5.2.2: maxRetries */
};

enum gk_key_ask {
	GK_KEY_LOOK = 1,	/* open the channel; what are you? */
	GK_KEY_RETRIES,		/* how many PIN tries are left? */
	GK_KEY_FIND,		/* is this credential yours? up=false */
	GK_KEY_SECRET,		/* the hmac-secret */
	GK_KEY_MAKE,		/* a new credential, for enrolling */
};

enum gk_key_say {
	GK_KEY_DONE = 1,
	GK_KEY_TOUCH,		/* the key waits for a touch */
};

enum gk_key_flag {
	GK_KEY_HMAC_SECRET = 1 << 0,
	GK_KEY_PIN_SET = 1 << 1,
	GK_KEY_ALWAYS_UV = 1 << 2,
	GK_KEY_UV = 1 << 3,	/* verifies its user itself: a stored fingerprint */
	GK_KEY_UP = 1 << 4,	/* can ask for a touch */
	GK_KEY_PIN_CAN = 1 << 5,	/* could have a PIN */
	GK_KEY_FLAGS = (1 << 6) - 1,
};

/* For up and uv of a request: CTAP's option left out, false or true. */
enum gk_key_option {
	GK_KEY_OMIT,
	GK_KEY_FALSE,
	GK_KEY_TRUE,
};

/*
 * What may be in `err` of a reply: 0, CTAP's status codes (CTAP 2.1 8.2), and
 * below 0 what libfido2 has of its own. Those that mean something here:
 */
enum gk_key_error {
	GK_KEY_OK = 0,
	GK_KEY_ERR_TIMEOUT = 0x05,
	GK_KEY_ERR_BUSY = 0x06,
	GK_KEY_ERR_DENIED = 0x27,
	GK_KEY_ERR_UNSUPPORTED_OPTION = 0x2b,
	GK_KEY_ERR_INVALID_OPTION = 0x2c,
	GK_KEY_ERR_CANCELLED = 0x2d,
	GK_KEY_ERR_NO_CREDENTIALS = 0x2e,
	GK_KEY_ERR_USER_ACTION_TIMEOUT = 0x2f,
	GK_KEY_ERR_PIN_INVALID = 0x31,
	GK_KEY_ERR_PIN_BLOCKED = 0x32,
	GK_KEY_ERR_PIN_AUTH_INVALID = 0x33,
	GK_KEY_ERR_PIN_AUTH_BLOCKED = 0x34,
	GK_KEY_ERR_PIN_NOT_SET = 0x35,
	GK_KEY_ERR_PIN_REQUIRED = 0x36,
	GK_KEY_ERR_ACTION_TIMEOUT = 0x3a,
	GK_KEY_ERR_UP_REQUIRED = 0x3b,
	GK_KEY_ERR_UV_BLOCKED = 0x3c,
	GK_KEY_ERR_UV_INVALID = 0x3f,
	GK_KEY_ERR_MAX = 0xff,
	GK_KEY_ERR_MIN = -64,
	GK_KEY_ERR_RX = -2,
};

struct gk_key_request {
	uint32_t ask;			/* enum gk_key_ask */
	uint32_t seq;
	uint32_t timeout_ms;		/* of the exchange with the key */
	uint8_t up, uv;			/* enum gk_key_option */
	uint8_t has_pin;
	uint8_t user_len;
	uint16_t credential_len;
	uint16_t reserved;
	char pin[GK_KEY_PIN_MAX + 1];
	char rp[GK_FIDO_RP + 1];
	uint8_t credential[GK_FIDO_CREDENTIAL + 1];
	uint8_t salt[GK_FIDO_SALT];
	uint8_t user_id[GK_KEY_USER + 1];
	char user_name[GK_KEY_USER + 1];
};

struct gk_key_reply {
	uint32_t say;			/* enum gk_key_say */
	uint32_t ask;			/* of the request, as is seq */
	uint32_t seq;
	int32_t err;			/* of DONE */
	uint32_t flags;			/* LOOK: enum gk_key_flag */
	int32_t retries;		/* RETRIES */
	uint32_t found;			/* FIND: 0 or 1 */
	uint32_t data_len;		/* SECRET: 32; MAKE: the credential */
	uint8_t aaguid[16];		/* LOOK */
	uint8_t data[GK_FIDO_CREDENTIAL + 1];
};

/*
 * gk_key_reply_check: whether n bytes from gatekeeper-key are a reply to the
 * request (ask, seq), with each field within its bounds and all that the kind of
 * reply does not use zero. GK_ERR_LENGTH, GK_ERR_TYPE, GK_ERR_ORDER,
 * GK_ERR_VALUE: the process is to be ended.
 */
int gk_key_reply_check(const struct gk_key_reply *untrusted, size_t n,
		       uint32_t ask, uint32_t seq) GK_MUST_CHECK;

/* gk_key_uv: option uv of a request without a PIN: as the token says, and only of a
 * key that can do it itself (flags: enum gk_key_flag). With a PIN that is the
 * verification, and libfido2 sets uv. */
enum gk_key_option gk_key_uv(uint32_t flags, const struct gk_token *t);

/* gk_key_request_check: the same on the other side. */
int gk_key_request_check(const struct gk_key_request *r, size_t n) GK_MUST_CHECK;

#endif
