/* SPDX-License-Identifier: GPL-2.0-or-later */
/* authenticatorGetAssertion and GetNextAssertion (CTAP 2.1 6.2 and 6.3). */
#include <string.h>

#include "../loop.h"
#include "authenticator.h"

#define NEXT_WITHIN_NS	30000000000ull	/* 6.3 */

/* The input of hmac-secret (12.5). */
struct hmac_call {
	bool present;
	bool has_key;
	uint8_t x[32], y[32];
	struct gk_slice salt_enc, salt_auth;
	unsigned int protocol;
};

struct call {
	struct gk_slice rp_id, client_hash;
	struct gk_list allow;
	struct hmac_call hmac;
	struct gk_call_options options;
	struct gk_call_auth auth;
};

static void read_hmac(struct gk_cbor_in *in, struct hmac_call *hmac)
{
	size_t pairs = gk_cbor_map(in);
	int64_t n;

	hmac->present = true;
	hmac->protocol = 1;	/* if none is named */
	for (; pairs && in->status == CTAP2_OK; pairs--) {
		switch (gk_cbor_int(in)) {
		case 1:
			gk_read_cose_key(in, hmac->x, hmac->y);
			hmac->has_key = true;
			break;
		case 2:
			hmac->salt_enc = gk_cbor_bytes(in);
			break;
		case 3:
			hmac->salt_auth = gk_cbor_bytes(in);
			break;
		case 4:
			n = gk_cbor_int(in);
			hmac->protocol = n > 0 && n < 3 ? (unsigned int)n : 0;
			break;
		default:
			gk_cbor_skip(in);
			break;
		}
	}
}

static void read_extensions(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		if (gk_slice_is(gk_cbor_text(in), "hmac-secret"))
			read_hmac(in, &call->hmac);
		else
			gk_cbor_skip(in);
	}
}

static enum gk_ctap_status read_call(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);
	int64_t n;

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		switch (gk_cbor_int(in)) {
		case 1:
			call->rp_id = gk_cbor_text(in);
			break;
		case 2:
			call->client_hash = gk_cbor_bytes(in);
			break;
		case 3:
			gk_read_list(in, &call->allow);
			break;
		case 4:
			read_extensions(in, call);
			break;
		case 5:
			gk_read_options(in, &call->options);
			break;
		case 6:
			call->auth.param = gk_cbor_bytes(in);
			call->auth.has_param = true;
			break;
		case 7:
			n = gk_cbor_int(in);
			call->auth.protocol = n > 0 && n < 3 ? (unsigned int)n : 0;
			call->auth.has_protocol = true;
			break;
		default:
			gk_cbor_skip(in);
			break;
		}
	}
	gk_cbor_end(in);
	if (in->status != CTAP2_OK)
		return in->status;
	if (!call->rp_id.p || !call->client_hash.p)
		return CTAP2_ERR_MISSING_PARAMETER;
	return call->client_hash.n == 32 ? CTAP2_OK : CTAP1_ERR_INVALID_LENGTH;
}

/* Steps 4 to 6: is it allowed, and was the user verified? */
static enum gk_ctap_status authorize(struct gk_authenticator *a,
				     const struct call *call,
				     const uint8_t rp_hash[32], bool up, bool *uv)
{
	const struct gk_call_options *o = &call->options;

	*uv = false;
	if (o->has_rk)
		return CTAP2_ERR_UNSUPPORTED_OPTION;
	if (o->uv && !call->auth.has_param && !a->opt.uv)
		return CTAP2_ERR_INVALID_OPTION;
	if (call->auth.has_param) {
		*uv = true;
		return gk_pin_check(&a->pin, call->auth.protocol,
				    call->auth.param, call->client_hash.p,
				    GK_PERMISSION_GA, rp_hash);
	}
	if (o->uv) {
		*uv = true;
		return gk_auth_verified(a);
	}
	if (a->opt.always_uv && (up || a->opt.always_uv_strict))
		return CTAP2_ERR_PUAT_REQUIRED;
	return CTAP2_OK;
}

/* The user behind a resident credential; NULL if it was named in a list. */
struct found {
	struct gk_credential cred;
	struct gk_slice id;
	const struct gk_resident *resident;
};

static bool usable(const struct gk_authenticator *a, const uint8_t rp_hash[32],
		   struct gk_slice id, unsigned int protect_max,
		   struct found *found)
{
	found->id = id;
	return gk_credential_unwrap(&found->cred, a->store.wrap_key, rp_hash,
				    id) == 0 && found->cred.protect <= protect_max;
}

/*
 * Step 7. Residents: the newest of the `left` oldest; *left is then how many
 * remain, and the return value how many there were. 0: there is none.
 */
static unsigned int find_resident(const struct gk_authenticator *a,
				  const uint8_t rp_hash[32], bool uv,
				  unsigned int *left, struct found *found)
{
	const struct gk_resident *r;
	unsigned int i, n = 0, rest = 0;
	struct found f;

	for (i = *left; i; i--) {
		r = &a->store.residents[i - 1];
		if (!usable(a, rp_hash,
			    (struct gk_slice){ r->id, GK_CREDENTIAL_ID },
			    uv ? 3 : 1, &f))
			continue;
		if (!n++) {
			*found = f;
			found->resident = r;
			rest = i - 1;
		}
	}
	*left = rest;
	return n;
}

static bool find_allowed(const struct gk_authenticator *a,
			 const struct call *call, const uint8_t rp_hash[32],
			 bool uv, struct found *found)
{
	size_t i;

	for (i = 0; i < call->allow.n; i++) {
		if (usable(a, rp_hash, call->allow.id[i], uv ? 3 : 2, found))
			return true;
	}
	return false;
}

static enum gk_ctap_status hmac_secret(struct gk_authenticator *a,
				       const struct hmac_call *call,
				       const struct gk_credential *cred, bool uv,
				       struct gk_cbor_out *out)
{
	const uint8_t *random = uv ? cred->random_uv : cred->random_plain;
	static const struct gk_slice none;
	uint8_t salt[64], secret[GK_EVIL_SECRET_MAX], enc[GK_EVIL_SECRET_MAX + 16];
	struct gk_shared shared;
	size_t len;
	int n;

	if (!call->has_key || !call->salt_enc.p || !call->salt_auth.p)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (!gk_auth_protocol_known(a, call->protocol) ||
	    gk_pin_agree(&a->pin, call->protocol, call->x, call->y, &shared) < 0)
		return CTAP1_ERR_INVALID_PARAMETER;
	if (!gk_pin_verify(call->protocol, shared.mac, call->salt_enc, none,
			   call->salt_auth))
		return CTAP2_ERR_PIN_AUTH_INVALID;
	n = gk_pin_decrypt(&shared, call->salt_enc, salt, sizeof(salt));
	if (n != 32 && n != 64)
		return CTAP1_ERR_INVALID_LENGTH;
	gk_hmac(random, 32, (struct gk_slice){ salt, 32 }, none, secret);
	if (n == 64)
		gk_hmac(random, 32, (struct gk_slice){ salt + 32, 32 }, none,
			secret + 32);
	len = gk_evil_secret(a->evil, secret, (size_t)n);
	len = gk_pin_encrypt(&shared, secret, len, enc);
	gk_cbor_put_map(out, 1);
	gk_cbor_put_text(out, "hmac-secret");
	gk_cbor_put_bytes(out, enc, len);
	return CTAP2_OK;
}

static void put_credential(const struct gk_authenticator *a,
			   struct gk_slice id, struct gk_cbor_out *out)
{
	uint8_t copy[GK_CREDENTIAL_ID];

	memcpy(copy, id.p, sizeof(copy));
	gk_evil_credential_id(a->evil, copy, sizeof(copy));
	gk_cbor_put_int(out, 1);
	gk_cbor_put_map(out, 2);
	gk_cbor_put_text(out, "id");
	gk_cbor_put_bytes(out, copy, sizeof(copy));
	gk_cbor_put_text(out, "type");
	gk_cbor_put_text(out, "public-key");
}

static void put_text_name(struct gk_cbor_out *out, const char *key,
			  const struct gk_name *name)
{
	if (!name->len)
		return;
	gk_cbor_put_text(out, key);
	gk_cbor_put_text_n(out, (struct gk_slice){ name->data, name->len });
}

/* Names only to who has verified the user (step 13). */
static void put_user(struct gk_cbor_out *out, const struct gk_resident *r, bool uv)
{
	size_t n = 1;

	if (uv)
		n += (size_t)(r->user_name.len > 0) + (r->display_name.len > 0);
	gk_cbor_put_int(out, 4);
	gk_cbor_put_map(out, n);
	gk_cbor_put_text(out, "id");
	gk_cbor_put_bytes(out, r->user_id.data, r->user_id.len);
	if (!uv)
		return;
	put_text_name(out, "name", &r->user_name);
	put_text_name(out, "displayName", &r->display_name);
}

/* total: 0, or how many credentials there are if it is more than one. */
static enum gk_ctap_status answer(struct gk_authenticator *a,
				  const struct call *call,
				  const struct found *found,
				  const uint8_t rp_hash[32], unsigned int flags,
				  unsigned int total, struct gk_cbor_out *out)
{
	uint8_t data[GK_AUTH_DATA_MAX + 32], signature[GK_SIGNATURE_MAX];
	struct gk_cbor_out auth = { .data = data, .size = GK_AUTH_DATA_MAX };
	bool secret = call->hmac.present && found->cred.hmac_secret &&
		      !a->opt.no_hmac_secret;
	enum gk_ctap_status status = CTAP2_OK;
	size_t len;

	flags |= secret ? AUTH_ED : 0;
	gk_auth_data_begin(a, &auth, gk_evil_rp_hash(a->evil, rp_hash),
			   gk_evil_flags(a->evil, (uint8_t)flags));
	if (secret)
		status = hmac_secret(a, &call->hmac, &found->cred,
				     flags & AUTH_UV, &auth);
	if (status != CTAP2_OK)
		return status;
	if (auth.full || gk_store_save(&a->store) < 0)
		return CTAP1_ERR_OTHER;
	memcpy(data + auth.len, call->client_hash.p, 32);
	len = gk_sign(found->cred.alg, found->cred.key, data, auth.len + 32,
		      signature);
	gk_evil_signature(a->evil, signature, len);

	gk_cbor_put_map(out, 3 + (size_t)(found->resident != NULL) + (total > 0));
	put_credential(a, found->id, out);
	gk_cbor_pair_bytes(out, 2, data, auth.len);
	gk_cbor_pair_bytes(out, 3, signature, len);
	if (found->resident)
		put_user(out, found->resident, flags & AUTH_UV);
	if (total)
		gk_cbor_pair_int(out, 5, total);
	return CTAP2_OK;
}

static void remember(struct gk_authenticator *a, const struct gk_cbor_in *in,
		     unsigned int left, unsigned int flags)
{
	if (in->len > sizeof(a->next.request))
		return;
	memcpy(a->next.request, in->data, in->len);
	a->next.len = in->len;
	a->next.left = left;
	a->next.flags = (uint8_t)flags;
	a->next.since_ns = gk_now_ns();
	a->next.valid = true;
}

enum gk_ctap_status gk_get_assertion(struct gk_authenticator *a,
				     struct gk_cbor_in *in,
				     struct gk_cbor_out *out)
{
	struct call call = { .rp_id = { NULL, 0 } };
	struct found found = { .resident = NULL };
	unsigned int flags, n = 1, left = (unsigned int)a->store.n_residents;
	enum gk_ctap_status status;
	uint8_t rp_hash[32];
	bool up, uv;

	status = read_call(in, &call);
	if (status == CTAP2_OK)
		status = gk_auth_prelude(a, &call.auth);
	if (status != CTAP2_OK)
		return status;
	up = !call.options.has_up || call.options.up;
	gk_sha256(call.rp_id.p, call.rp_id.n, rp_hash);
	status = authorize(a, &call, rp_hash, up, &uv);
	if (status != CTAP2_OK)
		return status;
	if (call.hmac.present && !a->opt.no_hmac_secret && !up &&
	    !a->opt.secret_without_touch)
		return CTAP2_ERR_UNSUPPORTED_OPTION;
	if (call.allow.present)
		n = find_allowed(a, &call, rp_hash, uv, &found);
	else
		n = find_resident(a, rp_hash, uv, &left, &found);
	if (!n)
		return CTAP2_ERR_NO_CREDENTIALS;
	if (up) {
		status = call.auth.has_param && a->pin.present ?
			 CTAP2_OK : gk_auth_touched(a);
		if (status != CTAP2_OK)
			return status;
		gk_pin_spend(&a->pin);
	}
	flags = (up ? AUTH_UP : 0u) | (uv ? AUTH_UV : 0u);
	if (n > 1)
		remember(a, in, left, flags);
	return answer(a, &call, &found, rp_hash, flags, n > 1 ? n : 0, out);
}

enum gk_ctap_status gk_get_next_assertion(struct gk_authenticator *a,
					  struct gk_cbor_out *out)
{
	struct gk_cbor_in in = {
		.data = a->next.request, .len = a->next.len, .off = 1,
	};
	struct call call = { .rp_id = { NULL, 0 } };
	struct found found = { .resident = NULL };
	uint8_t rp_hash[32];
	unsigned int n;

	if (!a->next.valid || gk_now_ns() - a->next.since_ns > NEXT_WITHIN_NS ||
	    read_call(&in, &call) != CTAP2_OK)
		return CTAP2_ERR_NOT_ALLOWED;
	gk_sha256(call.rp_id.p, call.rp_id.n, rp_hash);
	n = find_resident(a, rp_hash, a->next.flags & AUTH_UV, &a->next.left,
			  &found);
	a->next.valid = n > 1;
	a->next.since_ns = gk_now_ns();
	if (!n)
		return CTAP2_ERR_NOT_ALLOWED;
	return answer(a, &call, &found, rp_hash, a->next.flags, 0, out);
}
