/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CTAP 2.1 authenticator without its transport and its clock of the user: a
 * request goes in, an answer comes out, or the word that the user has to touch
 * it first. Nothing is begun before the touch, so the same request is simply run
 * again once the user has acted.
 */
#ifndef GK_FIDO_AUTHENTICATOR_H
#define GK_FIDO_AUTHENTICATOR_H

#include "evil.h"
#include "pin.h"
#include "store.h"

enum { GK_REQUEST_MAX = 7609 };	/* CTAP 2.1 11.2.4 */

struct gk_auth_options {
	bool always_uv;
	/* alwaysUv for up=false too, which the standard lets pass (6.2.2). */
	bool always_uv_strict;
	bool uv;		/* a reader, with a fingerprint in it (6.5.5.7.3) */
	bool no_hmac_secret;
	bool protect_all;	/* credProtect 3 unasked (CTAP 2.1 12.1) */
	/* hmac-secret with up=false, which the standard refuses (12.5). */
	bool secret_without_touch;
	bool reset_any_time;	/* not only in the first 10 seconds (6.6) */
	bool ctap20;		/* FIDO_2_0 and nothing of 2.1 */
	unsigned int protocols;	/* bit 0: PIN/UV auth protocol 1, bit 1: 2 */
	uint8_t aaguid[16];
};

enum gk_touch { GK_TOUCH_NOT_YET, GK_TOUCHED, GK_TOUCH_TIMEOUT };

/* For authenticatorGetNextAssertion (6.3). */
struct gk_next {
	bool valid;
	uint64_t since_ns;
	unsigned int left;	/* residents not yet given */
	uint8_t flags;
	size_t len;
	uint8_t request[2048];	/* with its command byte */
};

struct gk_authenticator {
	struct gk_auth_options opt;
	enum gk_evil evil;
	struct gk_store store;
	struct gk_pin pin;
	struct gk_next next;
	enum gk_touch touch;	/* what the user has done for this command */
	bool other_finger;	/* than the one it knows */
	unsigned int uv_wrong;	/* in a row, since power-up */
	uint64_t powered_ns;
	unsigned long touches;	/* that have been asked for */
};

/* What is lost with the power: tokens, wrong PINs in a row. */
void gk_auth_power_up(struct gk_authenticator *a);
/*
 * request: command byte and CBOR, len at least 1. Writes status byte and CBOR;
 * *out_len is its length, at most GK_REQUEST_MAX. False: the command waits for
 * the user; set a->touch and call again with the same request.
 */
bool gk_auth_command(struct gk_authenticator *a, const uint8_t *request,
		     size_t len, uint8_t out[GK_REQUEST_MAX], size_t *out_len);

/* assertion.c, attestation.c: the body of the answer, without the status */
enum gk_ctap_status gk_make_credential(struct gk_authenticator *a,
				       struct gk_cbor_in *in,
				       struct gk_cbor_out *out);
enum gk_ctap_status gk_get_assertion(struct gk_authenticator *a,
				     struct gk_cbor_in *in,
				     struct gk_cbor_out *out);
enum gk_ctap_status gk_get_next_assertion(struct gk_authenticator *a,
					  struct gk_cbor_out *out);

/* For these two: */
enum {
	GK_LIST_MAX = 16,		/* credentials in a list */
	GK_AUTH_DATA_MAX = 1024,
};

struct gk_list {
	bool present;
	size_t n;
	struct gk_slice id[GK_LIST_MAX];
};

/* An array of PublicKeyCredentialDescriptor; other types are left out. */
void gk_read_list(struct gk_cbor_in *in, struct gk_list *list);

struct gk_call_options {
	bool has_up, has_uv, has_rk;
	bool up, uv, rk;
};

void gk_read_options(struct gk_cbor_in *in, struct gk_call_options *options);

/* pinUvAuthParam, pinUvAuthProtocol and what they are checked against. */
struct gk_call_auth {
	bool has_param, has_protocol;
	struct gk_slice param;
	unsigned int protocol;
};

/*
 * What both commands do first with these (6.1.2 and 6.2.2, steps 1 and 2): an
 * empty pinUvAuthParam is a request for a touch, and says if there is a PIN.
 */
enum gk_ctap_status gk_auth_prelude(struct gk_authenticator *a,
				    const struct gk_call_auth *auth);
/* CTAP2_OK when the user has touched, else what ends or delays the command. */
enum gk_ctap_status gk_auth_touched(struct gk_authenticator *a);
/* The same, and the fingerprint has been recognised. */
enum gk_ctap_status gk_auth_verified(struct gk_authenticator *a);
bool gk_auth_protocol_known(const struct gk_authenticator *a,
			    unsigned int protocol);
/* rpIdHash, flags and the counter, which is counted up. */
void gk_auth_data_begin(struct gk_authenticator *a, struct gk_cbor_out *out,
			const uint8_t rp_hash[32], uint8_t flags);

#endif
