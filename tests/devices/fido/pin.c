/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pin.h"

#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>

#include "../loop.h"
#include "authenticator.h"

#define SECONDS		1000000000ull
/* 6.5.2.1: for a first use, and in all */
#define TOKEN_FIRST_NS	(30 * SECONDS)
#define TOKEN_LAST_NS	(600 * SECONDS)

enum { PIN_MIN = 4, PIN_MAX = 63, PIN_PADDED = 64, WRONG_IN_ROW_MAX = 3 };

void gk_pin_renew(struct gk_pin *pin)
{
	int i;

	for (i = 0; i < 2; i++) {
		gk_p256_new(pin->key[i]);
		gk_random(pin->token[i], sizeof(pin->token[i]));
	}
	pin->token_in_use = false;
}

/* --- the protocols (6.5.6, 6.5.7) ------------------------------------------- */

int gk_pin_agree(const struct gk_pin *pin, unsigned int protocol,
		 const uint8_t x[32], const uint8_t y[32],
		 struct gk_shared *shared)
{
	uint8_t z[32];

	shared->protocol = protocol;
	if (gk_p256_shared(pin->key[protocol - 1], x, y, z) < 0)
		return -1;
	if (protocol == 1) {
		gk_sha256(z, sizeof(z), shared->mac);
		memcpy(shared->cipher, shared->mac, 32);
	} else {
		gk_hkdf(z, "CTAP2 HMAC key", shared->mac);
		gk_hkdf(z, "CTAP2 AES key", shared->cipher);
	}
	return 0;
}

size_t gk_pin_encrypt(const struct gk_shared *shared, const uint8_t *in,
		      size_t len, uint8_t *out)
{
	uint8_t iv[16] = { 0 };
	size_t prefix = 0;

	if (shared->protocol == 2) {
		gk_random(iv, sizeof(iv));
		memcpy(out, iv, sizeof(iv));
		prefix = sizeof(iv);
	}
	gk_cbc_encrypt(shared->cipher, iv, in, len, out + prefix);
	return prefix + len;
}

int gk_pin_decrypt(const struct gk_shared *shared, struct gk_slice in,
		   uint8_t *out, size_t max)
{
	static const uint8_t zero[16];
	const uint8_t *iv = zero;

	if (shared->protocol == 2) {
		if (in.n < 16)
			return -1;
		iv = in.p;
		in.p += 16;
		in.n -= 16;
	}
	if (!in.n || in.n % 16 || in.n > max)
		return -1;
	gk_cbc_decrypt(shared->cipher, iv, in.p, in.n, out);
	return (int)in.n;
}

bool gk_pin_verify(unsigned int protocol, const uint8_t key[32],
		   struct gk_slice a, struct gk_slice b, struct gk_slice mac)
{
	size_t len = protocol == 1 ? 16 : 32;
	uint8_t good[32];

	gk_hmac(key, 32, a, b, good);
	return mac.n == len && memeql_sec(good, mac.p, len);
}

void gk_read_cose_key(struct gk_cbor_in *in, uint8_t x[32], uint8_t y[32])
{
	size_t pairs = gk_cbor_map(in);
	struct gk_slice sx = { NULL, 0 }, sy = { NULL, 0 };
	int64_t type = 0, alg = 0, curve = 0;

	for (; pairs; pairs--) {
		switch (gk_cbor_int(in)) {
		case 1:
			type = gk_cbor_int(in);
			break;
		case 3:
			alg = gk_cbor_int(in);
			break;
		case -1:
			curve = gk_cbor_int(in);
			break;
		case -2:
			sx = gk_cbor_bytes(in);
			break;
		case -3:
			sy = gk_cbor_bytes(in);
			break;
		default:
			gk_cbor_skip(in);
			break;
		}
	}
	if (in->status != CTAP2_OK)
		return;
	if (type != 2 || alg != COSE_ECDH || curve != 1 || sx.n != 32 ||
	    sy.n != 32) {
		in->status = CTAP1_ERR_INVALID_PARAMETER;
		return;
	}
	memcpy(x, sx.p, 32);
	memcpy(y, sy.p, 32);
}

/* --- tokens (6.5.2, 6.5.5.7) ------------------------------------------------ */

static void token_issue(struct gk_pin *pin, unsigned int protocol,
			unsigned int permissions, struct gk_slice rp_id)
{
	gk_random(pin->token[0], sizeof(pin->token[0]));
	gk_random(pin->token[1], sizeof(pin->token[1]));
	pin->token_in_use = true;
	pin->token_protocol = protocol;
	pin->permissions = permissions;
	pin->has_rp = rp_id.n > 0;
	if (pin->has_rp)
		gk_sha256(rp_id.p, rp_id.n, pin->rp_hash);
	pin->issued_ns = gk_now_ns();
	pin->used = false;
	pin->present = false;
}

enum gk_ctap_status gk_pin_check(struct gk_pin *pin, unsigned int protocol,
				 struct gk_slice param,
				 const uint8_t client_hash[32],
				 unsigned int permission,
				 const uint8_t rp_hash[32])
{
	uint64_t age = gk_now_ns() - pin->issued_ns;

	if (pin->token_in_use &&
	    age > (pin->used ? TOKEN_LAST_NS : TOKEN_FIRST_NS))
		pin->token_in_use = false;
	if (!pin->token_in_use || pin->token_protocol != protocol ||
	    !gk_pin_verify(protocol, pin->token[protocol - 1],
			   (struct gk_slice){ client_hash, 32 },
			   (struct gk_slice){ NULL, 0 }, param) ||
	    !(pin->permissions & permission) ||
	    (pin->has_rp && !memeql_sec(pin->rp_hash, rp_hash, 32)))
		return CTAP2_ERR_PIN_AUTH_INVALID;
	pin->used = true;
	if (!pin->has_rp) {
		memcpy(pin->rp_hash, rp_hash, 32);
		pin->has_rp = true;
	}
	return CTAP2_OK;
}

void gk_pin_spend(struct gk_pin *pin)
{
	pin->permissions = 0;
	pin->present = false;
}

/* --- the command ------------------------------------------------------------ */

struct call {
	unsigned int protocol;	/* 0: none given */
	unsigned int sub;
	bool has_key;
	uint8_t x[32], y[32];
	struct gk_slice param, new_pin, pin_hash, rp_id;
	bool has_permissions;
	int64_t permissions;
	struct gk_shared shared;
};

static void read_call(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);
	int64_t n;

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		switch (gk_cbor_int(in)) {
		case 1:
			n = gk_cbor_int(in);
			call->protocol = n > 0 && n < 256 ? (unsigned int)n : 255;
			break;
		case 2:
			n = gk_cbor_int(in);
			call->sub = n > 0 && n < 256 ? (unsigned int)n : 255;
			break;
		case 3:
			gk_read_cose_key(in, call->x, call->y);
			call->has_key = true;
			break;
		case 4:
			call->param = gk_cbor_bytes(in);
			break;
		case 5:
			call->new_pin = gk_cbor_bytes(in);
			break;
		case 6:
			call->pin_hash = gk_cbor_bytes(in);
			break;
		case 9:
			call->permissions = gk_cbor_int(in);
			call->has_permissions = true;
			break;
		case 10:
			call->rp_id = gk_cbor_text(in);
			break;
		default:
			gk_cbor_skip(in);
			break;
		}
	}
	gk_cbor_end(in);
}

static void put_cose_key(struct gk_cbor_out *out, const uint8_t key[32])
{
	uint8_t x[32], y[32];

	gk_p256_public(key, x, y);
	gk_cbor_put_map(out, 5);
	gk_cbor_pair_int(out, 1, 2);
	gk_cbor_pair_int(out, 3, COSE_ECDH);
	gk_cbor_pair_int(out, -1, 1);
	gk_cbor_pair_bytes(out, -2, x, sizeof(x));
	gk_cbor_pair_bytes(out, -3, y, sizeof(y));
}

static enum gk_ctap_status agree(struct gk_authenticator *a, struct call *call)
{
	if (gk_pin_agree(&a->pin, call->protocol, call->x, call->y,
			 &call->shared) < 0)
		return CTAP1_ERR_INVALID_PARAMETER;
	return CTAP2_OK;
}

/* The PIN in UTF-8 with zeros behind it (6.5.5.5); minPINLength counts code points. */
static enum gk_ctap_status pin_take(struct gk_authenticator *a,
				    const uint8_t padded[PIN_PADDED])
{
	size_t len = strnlen((const char *)padded, PIN_PADDED), points = 0, i;
	uint8_t hash[32];

	for (i = 0; i < len; i++)
		points += (padded[i] & 0xc0) != 0x80;
	if (points < PIN_MIN || len > PIN_MAX)
		return CTAP2_ERR_PIN_POLICY_VIOLATION;
	gk_sha256(padded, len, hash);
	memcpy(a->store.pin_hash, hash, sizeof(a->store.pin_hash));
	a->store.pin_set = true;
	a->store.pin_retries = GK_PIN_RETRIES;
	a->pin.wrong_in_row = 0;
	return gk_store_save(&a->store) < 0 ? CTAP1_ERR_OTHER : CTAP2_OK;
}

int gk_pin_force(struct gk_authenticator *a, const char *pin)
{
	uint8_t padded[PIN_PADDED] = { 0 };

	if (strlen(pin) > PIN_MAX)
		return -1;
	memcpy(padded, pin, strlen(pin));
	return pin_take(a, padded) == CTAP2_OK ? 0 : -1;
}

static enum gk_ctap_status new_pin(struct gk_authenticator *a,
				   const struct call *call)
{
	uint8_t padded[PIN_PADDED];

	if (gk_pin_decrypt(&call->shared, call->new_pin, padded,
			   sizeof(padded)) != PIN_PADDED)
		return CTAP1_ERR_INVALID_PARAMETER;
	return pin_take(a, padded);
}

/* May a PIN be tried now? (6.5.5.6, 6.5.5.7) */
static enum gk_ctap_status tries_left(const struct gk_authenticator *a)
{
	if (!a->store.pin_retries)
		return CTAP2_ERR_PIN_BLOCKED;
	if (a->pin.wrong_in_row >= WRONG_IN_ROW_MAX)
		return CTAP2_ERR_PIN_AUTH_BLOCKED;
	return CTAP2_OK;
}

/* The try is counted, and on disk, before the hashes are compared. */
static enum gk_ctap_status try_pin(struct gk_authenticator *a,
				   const struct call *call)
{
	struct gk_store *store = &a->store;
	unsigned int i = call->protocol - 1;
	uint8_t hash[16];

	store->pin_retries--;
	if (gk_store_save(store) < 0)
		return CTAP1_ERR_OTHER;
	if (gk_pin_decrypt(&call->shared, call->pin_hash, hash, sizeof(hash)) ==
	    sizeof(hash) && memeql_sec(hash, store->pin_hash, sizeof(hash))) {
		store->pin_retries = GK_PIN_RETRIES;
		a->pin.wrong_in_row = 0;
		return gk_store_save(store) < 0 ? CTAP1_ERR_OTHER : CTAP2_OK;
	}
	gk_p256_new(a->pin.key[i]);
	a->pin.wrong_in_row++;
	if (!store->pin_retries)
		return CTAP2_ERR_PIN_BLOCKED;
	if (a->pin.wrong_in_row >= WRONG_IN_ROW_MAX)
		return CTAP2_ERR_PIN_AUTH_BLOCKED;
	return CTAP2_ERR_PIN_INVALID;
}

static enum gk_ctap_status set_pin(struct gk_authenticator *a, struct call *call)
{
	static const struct gk_slice none;
	enum gk_ctap_status status;

	if (!call->has_key || !call->param.p || !call->new_pin.p)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (a->store.pin_set)
		return CTAP2_ERR_PIN_AUTH_INVALID;
	status = agree(a, call);
	if (status != CTAP2_OK)
		return status;
	if (!gk_pin_verify(call->protocol, call->shared.mac, call->new_pin, none,
			   call->param))
		return CTAP2_ERR_PIN_AUTH_INVALID;
	return new_pin(a, call);
}

static enum gk_ctap_status change_pin(struct gk_authenticator *a,
				      struct call *call)
{
	enum gk_ctap_status status;

	if (!call->has_key || !call->param.p || !call->new_pin.p ||
	    !call->pin_hash.p)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (!a->store.pin_set)
		return CTAP2_ERR_PIN_NOT_SET;
	status = tries_left(a);
	if (status == CTAP2_OK)
		status = agree(a, call);
	if (status != CTAP2_OK)
		return status;
	if (!gk_pin_verify(call->protocol, call->shared.mac, call->new_pin,
			   call->pin_hash, call->param))
		return CTAP2_ERR_PIN_AUTH_INVALID;
	status = try_pin(a, call);
	if (status == CTAP2_OK)
		status = new_pin(a, call);
	if (status == CTAP2_OK)
		gk_pin_renew(&a->pin);
	return status;
}

/* By the PIN, or by the fingerprint. */
static enum gk_ctap_status verify(struct gk_authenticator *a, struct call *call)
{
	enum gk_ctap_status status;

	if (call->sub == PIN_GET_TOKEN_BY_UV) {
		status = a->opt.uv ? gk_auth_verified(a) : CTAP2_ERR_NOT_ALLOWED;
		return status == CTAP2_OK ? agree(a, call) : status;
	}
	if (!a->store.pin_set)
		return CTAP2_ERR_PIN_NOT_SET;
	status = tries_left(a);
	if (status == CTAP2_OK)
		status = agree(a, call);
	if (status == CTAP2_OK)
		status = try_pin(a, call);
	return status;
}

static enum gk_ctap_status get_token(struct gk_authenticator *a,
				     struct call *call, struct gk_cbor_out *out)
{
	unsigned int permissions = GK_PERMISSION_MC | GK_PERMISSION_GA;
	bool by_uv = call->sub == PIN_GET_TOKEN_BY_UV;
	bool named = by_uv || call->sub == PIN_GET_TOKEN_WITH_PERMISSIONS;
	enum gk_ctap_status status;
	uint8_t token[48];
	size_t len;

	if (!call->has_key || (!call->pin_hash.p && !by_uv) ||
	    (named && !call->has_permissions))
		return CTAP2_ERR_MISSING_PARAMETER;
	if (named) {
		if (call->permissions <= 0)
			return CTAP1_ERR_INVALID_PARAMETER;
		if (call->permissions & ~(int64_t)permissions)
			return CTAP2_ERR_UNAUTHORIZED_PERMISSION;
		if (!call->rp_id.n)
			return CTAP2_ERR_MISSING_PARAMETER;
		permissions = (unsigned int)call->permissions;
	} else if (call->has_permissions || call->rp_id.p) {
		return CTAP1_ERR_INVALID_PARAMETER;
	}
	status = verify(a, call);
	if (status != CTAP2_OK)
		return status;
	token_issue(&a->pin, call->protocol, permissions, call->rp_id);
	a->pin.present = by_uv;
	len = gk_pin_encrypt(&call->shared, a->pin.token[call->protocol - 1], 32,
			     token);
	gk_cbor_put_map(out, 1);
	gk_cbor_pair_bytes(out, 2, token, len);
	return CTAP2_OK;
}

static enum gk_ctap_status get_retries(const struct gk_authenticator *a,
				       struct gk_cbor_out *out)
{
	unsigned int retries = gk_evil_retries(a->evil, a->store.pin_retries);

	gk_cbor_put_map(out, 2);
	gk_cbor_pair_int(out, 3, retries);
	gk_cbor_put_int(out, 4);
	gk_cbor_put_bool(out, a->pin.wrong_in_row >= WRONG_IN_ROW_MAX);
	return CTAP2_OK;
}

enum gk_ctap_status gk_client_pin(struct gk_authenticator *a,
				  struct gk_cbor_in *in,
				  struct gk_cbor_out *out)
{
	struct call call = { .protocol = 0 };

	read_call(in, &call);
	if (in->status != CTAP2_OK)
		return in->status;
	if (!call.sub)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (call.sub == PIN_GET_RETRIES)
		return get_retries(a, out);
	if (call.sub > PIN_GET_TOKEN &&
	    (a->opt.ctap20 || (call.sub != PIN_GET_TOKEN_BY_UV &&
			       call.sub != PIN_GET_TOKEN_WITH_PERMISSIONS)))
		return CTAP2_ERR_INVALID_SUBCOMMAND;
	if (!call.protocol)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (!gk_auth_protocol_known(a, call.protocol))
		return CTAP1_ERR_INVALID_PARAMETER;
	switch (call.sub) {
	case PIN_GET_KEY_AGREEMENT:
		gk_cbor_put_map(out, 1);
		gk_cbor_put_int(out, 1);
		put_cose_key(out, a->pin.key[call.protocol - 1]);
		return CTAP2_OK;
	case PIN_SET:
		return set_pin(a, &call);
	case PIN_CHANGE:
		return change_pin(a, &call);
	default:
		return get_token(a, &call, out);
	}
}
