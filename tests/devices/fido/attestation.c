/* SPDX-License-Identifier: GPL-2.0-or-later */
/* authenticatorMakeCredential (CTAP 2.1 6.1), with self attestation. */
#include <string.h>

#include "authenticator.h"

struct call {
	struct gk_slice client_hash, rp_id, user_id, user_name, display_name;
	int alg;		/* 0: none of ours was offered */
	bool has_algs;
	struct gk_list exclude;
	bool hmac_secret;
	bool has_protect;
	unsigned int protect;
	struct gk_call_options options;
	struct gk_call_auth auth;
	bool enterprise;
};

static void read_rp(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		if (gk_slice_is(gk_cbor_text(in), "id"))
			call->rp_id = gk_cbor_text(in);
		else
			gk_cbor_skip(in);
	}
}

static void read_user(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);
	struct gk_slice key;

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		key = gk_cbor_text(in);
		if (gk_slice_is(key, "id"))
			call->user_id = gk_cbor_bytes(in);
		else if (gk_slice_is(key, "name"))
			call->user_name = gk_cbor_text(in);
		else if (gk_slice_is(key, "displayName"))
			call->display_name = gk_cbor_text(in);
		else
			gk_cbor_skip(in);
	}
}

/* The first that we have, in the platform's order. */
static void read_algorithms(struct gk_cbor_in *in, struct call *call)
{
	size_t n = gk_cbor_array(in), pairs;
	struct gk_slice key, type;
	int64_t alg;

	call->has_algs = true;
	for (; n && in->status == CTAP2_OK; n--) {
		alg = 0;
		type = (struct gk_slice){ NULL, 0 };
		pairs = gk_cbor_map(in);
		for (; pairs && in->status == CTAP2_OK; pairs--) {
			key = gk_cbor_text(in);
			if (gk_slice_is(key, "alg"))
				alg = gk_cbor_int(in);
			else if (gk_slice_is(key, "type"))
				type = gk_cbor_text(in);
			else
				gk_cbor_skip(in);
		}
		if (in->status == CTAP2_OK && (!alg || !type.p))
			in->status = CTAP2_ERR_MISSING_PARAMETER;
		if (!call->alg && (alg == COSE_ES256 || alg == COSE_EDDSA) &&
		    gk_slice_is(type, "public-key"))
			call->alg = (int)alg;
	}
}

static void read_extensions(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);
	struct gk_slice key;
	int64_t n;

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		key = gk_cbor_text(in);
		if (gk_slice_is(key, "hmac-secret")) {
			call->hmac_secret = gk_cbor_bool(in);
		} else if (gk_slice_is(key, "credProtect")) {
			n = gk_cbor_int(in);
			call->has_protect = true;
			call->protect = n >= 1 && n <= 3 ? (unsigned int)n : 0;
		} else {
			gk_cbor_skip(in);
		}
	}
}

static void read_call(struct gk_cbor_in *in, struct call *call)
{
	size_t pairs = gk_cbor_map(in);
	int64_t n;

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		switch (gk_cbor_int(in)) {
		case 1:
			call->client_hash = gk_cbor_bytes(in);
			break;
		case 2:
			read_rp(in, call);
			break;
		case 3:
			read_user(in, call);
			break;
		case 4:
			read_algorithms(in, call);
			break;
		case 5:
			gk_read_list(in, &call->exclude);
			break;
		case 6:
			read_extensions(in, call);
			break;
		case 7:
			gk_read_options(in, &call->options);
			break;
		case 8:
			call->auth.param = gk_cbor_bytes(in);
			call->auth.has_param = true;
			break;
		case 9:
			n = gk_cbor_int(in);
			call->auth.protocol = n > 0 && n < 3 ? (unsigned int)n : 0;
			call->auth.has_protocol = true;
			break;
		case 10:
			call->enterprise = true;
			gk_cbor_skip(in);
			break;
		default:
			gk_cbor_skip(in);
			break;
		}
	}
	gk_cbor_end(in);
}

static enum gk_ctap_status check_call(const struct gk_cbor_in *in,
				      const struct call *call)
{
	if (in->status != CTAP2_OK)
		return in->status;
	if (!call->client_hash.p || !call->rp_id.p || !call->user_id.p ||
	    !call->has_algs)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (call->client_hash.n != 32 || !call->user_id.n ||
	    call->user_id.n > GK_NAME_MAX || call->rp_id.n > GK_RP_MAX)
		return CTAP1_ERR_INVALID_LENGTH;
	return CTAP2_OK;
}

/* Steps 3 to 11: is it allowed, and was the user verified? */
static enum gk_ctap_status authorize(struct gk_authenticator *a,
				     const struct call *call,
				     const uint8_t rp_hash[32], bool *uv)
{
	const struct gk_call_options *o = &call->options;

	*uv = false;
	if (!call->alg)
		return CTAP2_ERR_UNSUPPORTED_ALGORITHM;
	if ((o->uv && !call->auth.has_param && !a->opt.uv) || (o->has_up && !o->up))
		return CTAP2_ERR_INVALID_OPTION;
	if (call->enterprise || (call->has_protect && !call->protect))
		return CTAP1_ERR_INVALID_PARAMETER;
	if (call->auth.has_param) {
		*uv = true;
		return gk_pin_check(&a->pin, call->auth.protocol,
				    call->auth.param, call->client_hash.p,
				    GK_PERMISSION_MC, rp_hash);
	}
	if (o->uv) {
		*uv = true;
		return gk_auth_verified(a);
	}
	if (a->opt.always_uv)
		return CTAP2_ERR_PUAT_REQUIRED;
	/* 2.0 has no makeCredUvNotRqd: with a PIN, always the PIN. */
	if (a->store.pin_set && (o->rk || a->opt.ctap20))
		return CTAP2_ERR_PUAT_REQUIRED;
	return CTAP2_OK;
}

static bool excluded(const struct gk_authenticator *a, const struct call *call,
		     const uint8_t rp_hash[32], bool uv)
{
	struct gk_credential cred;
	size_t i;

	for (i = 0; i < call->exclude.n; i++) {
		if (gk_credential_unwrap(&cred, a->store.wrap_key, rp_hash,
					 call->exclude.id[i]) == 0 &&
		    (uv || cred.protect < 3))
			return true;
	}
	return false;
}

static bool same(const struct gk_name *name, struct gk_slice slice)
{
	return name->len == slice.n && !memcmp(name->data, slice.p, slice.n);
}

/* One for each user of a party; a newer one takes its place (6.1.2 step 17). */
static enum gk_ctap_status keep(struct gk_store *s, const struct call *call,
				const uint8_t id[GK_CREDENTIAL_ID])
{
	struct gk_resident *r = s->residents;
	struct gk_resident *end = r + s->n_residents;

	while (r < end && !(same(&r->rp_id, call->rp_id) &&
			    same(&r->user_id, call->user_id)))
		r++;
	if (r < end) {
		memmove(r, r + 1, (size_t)(end - r - 1) * sizeof(*r));
		s->n_residents--;
	}
	if (s->n_residents == GK_RESIDENTS)
		return CTAP2_ERR_KEY_STORE_FULL;
	r = &s->residents[s->n_residents++];
	memset(r, 0, sizeof(*r));
	memcpy(r->id, id, sizeof(r->id));
	gk_name_set(&r->rp_id, call->rp_id, GK_RP_MAX);
	gk_name_set(&r->user_id, call->user_id, GK_NAME_MAX);
	gk_name_set(&r->user_name, call->user_name, GK_NAME_MAX);
	gk_name_set(&r->display_name, call->display_name, GK_NAME_MAX);
	return CTAP2_OK;
}

static void put_public_key(struct gk_cbor_out *out,
			   const struct gk_credential *cred)
{
	bool es256 = cred->alg == COSE_ES256;
	uint8_t x[32], y[32];

	gk_cbor_put_map(out, es256 ? 5 : 4);
	gk_cbor_pair_int(out, 1, es256 ? 2 : 1);	/* EC2, OKP */
	gk_cbor_pair_int(out, 3, cred->alg);
	gk_cbor_pair_int(out, -1, es256 ? 1 : 6);	/* P-256, Ed25519 */
	if (es256) {
		gk_p256_public(cred->key, x, y);
		gk_cbor_pair_bytes(out, -2, x, sizeof(x));
		gk_cbor_pair_bytes(out, -3, y, sizeof(y));
	} else {
		gk_ed25519_public(cred->key, x);
		gk_cbor_pair_bytes(out, -2, x, sizeof(x));
	}
}

static void put_auth_data(struct gk_authenticator *a, const struct call *call,
			  const struct gk_credential *cred,
			  const uint8_t rp_hash[32],
			  const uint8_t id[GK_CREDENTIAL_ID], bool uv,
			  struct gk_cbor_out *out)
{
	size_t extensions = (size_t)cred->hmac_secret + call->has_protect;
	const uint8_t id_len[] = { 0, GK_CREDENTIAL_ID };
	unsigned int flags = AUTH_UP | AUTH_AT;

	flags |= uv ? AUTH_UV : 0;
	flags |= extensions ? AUTH_ED : 0;
	gk_auth_data_begin(a, out, rp_hash,
			   gk_evil_flags(a->evil, (uint8_t)flags));
	gk_cbor_put_raw(out, a->opt.aaguid, sizeof(a->opt.aaguid));
	gk_cbor_put_raw(out, id_len, sizeof(id_len));
	gk_cbor_put_raw(out, id, GK_CREDENTIAL_ID);
	put_public_key(out, cred);
	if (!extensions)
		return;
	gk_cbor_put_map(out, extensions);
	if (call->has_protect) {
		gk_cbor_put_text(out, "credProtect");
		gk_cbor_put_int(out, cred->protect);
	}
	if (cred->hmac_secret) {
		gk_cbor_put_text(out, "hmac-secret");
		gk_cbor_put_bool(out, true);
	}
}

static enum gk_ctap_status create(struct gk_authenticator *a,
				  const struct call *call,
				  const uint8_t rp_hash[32], bool uv,
				  struct gk_cbor_out *out)
{
	/* signed are authenticator data and client data hash in one */
	uint8_t data[GK_AUTH_DATA_MAX + 32], signature[GK_SIGNATURE_MAX];
	struct gk_cbor_out auth = { .data = data, .size = GK_AUTH_DATA_MAX };
	struct gk_credential cred = {
		.alg = call->alg,
		.protect = call->has_protect ? call->protect :
			   a->opt.protect_all ? 3 : 1,
		.hmac_secret = call->hmac_secret && !a->opt.no_hmac_secret,
	};
	uint8_t id[GK_CREDENTIAL_ID];
	enum gk_ctap_status status = CTAP2_OK;
	size_t len;

	gk_credential_new(&cred);
	gk_credential_wrap(&cred, a->store.wrap_key, rp_hash, id);
	if (call->options.rk)
		status = keep(&a->store, call, id);
	if (status != CTAP2_OK)
		return status;
	put_auth_data(a, call, &cred, gk_evil_rp_hash(a->evil, rp_hash), id, uv,
		      &auth);
	if (auth.full || gk_store_save(&a->store) < 0)
		return CTAP1_ERR_OTHER;
	memcpy(data + auth.len, call->client_hash.p, 32);
	len = gk_sign(cred.alg, cred.key, data, auth.len + 32, signature);
	gk_evil_signature(a->evil, signature, len);

	gk_cbor_put_map(out, 3);
	gk_cbor_put_int(out, 1);
	gk_cbor_put_text(out, "packed");
	gk_cbor_pair_bytes(out, 2, data, auth.len);
	gk_cbor_put_int(out, 3);
	gk_cbor_put_map(out, 2);
	gk_cbor_put_text(out, "alg");
	gk_cbor_put_int(out, cred.alg);
	gk_cbor_put_text(out, "sig");
	gk_cbor_put_bytes(out, signature, len);
	return CTAP2_OK;
}

enum gk_ctap_status gk_make_credential(struct gk_authenticator *a,
				       struct gk_cbor_in *in,
				       struct gk_cbor_out *out)
{
	struct call call = { .alg = 0 };
	enum gk_ctap_status status;
	uint8_t rp_hash[32];
	bool uv;

	read_call(in, &call);
	status = check_call(in, &call);
	if (status == CTAP2_OK)
		status = gk_auth_prelude(a, &call.auth);
	if (status != CTAP2_OK)
		return status;
	gk_sha256(call.rp_id.p, call.rp_id.n, rp_hash);
	status = authorize(a, &call, rp_hash, &uv);
	if (status == CTAP2_OK && !(call.auth.has_param && a->pin.present))
		status = gk_auth_touched(a);
	if (status != CTAP2_OK)
		return status;
	if (excluded(a, &call, rp_hash, uv))
		return CTAP2_ERR_CREDENTIAL_EXCLUDED;
	gk_pin_spend(&a->pin);
	return create(a, &call, rp_hash, uv, out);
}
