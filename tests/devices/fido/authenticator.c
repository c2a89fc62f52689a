/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "authenticator.h"

#include <string.h>

#include "../loop.h"

#define RESET_WITHIN_NS	10000000000ull	/* 6.6 */

enum { UV_TRIES = 3 };		/* maxUvAttemptsForInternalRetries, 6.5.5.7.3 */

void gk_auth_power_up(struct gk_authenticator *a)
{
	gk_pin_renew(&a->pin);
	a->pin.wrong_in_row = 0;
	a->uv_wrong = 0;
	a->next.valid = false;
	a->powered_ns = gk_now_ns();
}

bool gk_auth_protocol_known(const struct gk_authenticator *a,
			    unsigned int protocol)
{
	return protocol >= 1 && protocol <= 2 &&
	       a->opt.protocols & 1u << (protocol - 1);
}

enum gk_ctap_status gk_auth_touched(struct gk_authenticator *a)
{
	switch (a->touch) {
	case GK_TOUCHED:
		return CTAP2_OK;
	case GK_TOUCH_TIMEOUT:
		return CTAP2_ERR_USER_ACTION_TIMEOUT;
	case GK_TOUCH_NOT_YET:
		break;
	}
	a->touches++;
	return GK_CTAP_WAITS;
}

enum gk_ctap_status gk_auth_verified(struct gk_authenticator *a)
{
	enum gk_ctap_status status;

	if (a->uv_wrong >= UV_TRIES)
		return CTAP2_ERR_UV_BLOCKED;
	status = gk_auth_touched(a);
	if (status != CTAP2_OK)
		return status;
	a->uv_wrong = a->other_finger ? a->uv_wrong + 1 : 0;
	return !a->other_finger ? CTAP2_OK : a->uv_wrong < UV_TRIES ?
	       CTAP2_ERR_UV_INVALID : CTAP2_ERR_UV_BLOCKED;
}

enum gk_ctap_status gk_auth_prelude(struct gk_authenticator *a,
				    const struct gk_call_auth *auth)
{
	enum gk_ctap_status status;

	if (!auth->has_param)
		return CTAP2_OK;
	if (!auth->param.n) {
		status = gk_auth_touched(a);
		if (status != CTAP2_OK)
			return status;
		return a->store.pin_set ? CTAP2_ERR_PIN_INVALID :
					  CTAP2_ERR_PIN_NOT_SET;
	}
	if (!auth->has_protocol)
		return CTAP2_ERR_MISSING_PARAMETER;
	if (!gk_auth_protocol_known(a, auth->protocol))
		return CTAP1_ERR_INVALID_PARAMETER;
	return a->store.pin_set ? CTAP2_OK : CTAP2_ERR_PIN_NOT_SET;
}

void gk_auth_data_begin(struct gk_authenticator *a, struct gk_cbor_out *out,
			const uint8_t rp_hash[32], uint8_t flags)
{
	uint32_t n = ++a->store.counter;
	const uint8_t head[] = {
		flags, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n,
	};

	gk_cbor_put_raw(out, rp_hash, 32);
	gk_cbor_put_raw(out, head, sizeof(head));
}

void gk_read_list(struct gk_cbor_in *in, struct gk_list *list)
{
	size_t n = gk_cbor_array(in), pairs;
	struct gk_slice key, id, type;

	list->present = true;
	for (; n && in->status == CTAP2_OK; n--) {
		id = type = (struct gk_slice){ NULL, 0 };
		pairs = gk_cbor_map(in);
		for (; pairs && in->status == CTAP2_OK; pairs--) {
			key = gk_cbor_text(in);
			if (gk_slice_is(key, "id"))
				id = gk_cbor_bytes(in);
			else if (gk_slice_is(key, "type"))
				type = gk_cbor_text(in);
			else
				gk_cbor_skip(in);
		}
		if (in->status != CTAP2_OK)
			return;
		if (!id.p || !type.p)
			in->status = CTAP2_ERR_MISSING_PARAMETER;
		else if (list->n == GK_LIST_MAX)
			in->status = CTAP2_ERR_LIMIT_EXCEEDED;
		else if (gk_slice_is(type, "public-key"))
			list->id[list->n++] = id;
	}
}

void gk_read_options(struct gk_cbor_in *in, struct gk_call_options *options)
{
	size_t pairs = gk_cbor_map(in);
	struct gk_slice key;

	for (; pairs && in->status == CTAP2_OK; pairs--) {
		key = gk_cbor_text(in);
		if (gk_slice_is(key, "up")) {
			options->has_up = true;
			options->up = gk_cbor_bool(in);
		} else if (gk_slice_is(key, "uv")) {
			options->has_uv = true;
			options->uv = gk_cbor_bool(in);
		} else if (gk_slice_is(key, "rk")) {
			options->has_rk = true;
			options->rk = gk_cbor_bool(in);
		} else {
			gk_cbor_skip(in);
		}
	}
}

/* --- getInfo (6.4): keys of a map shorter first, then by their bytes -------- */

static void put_option(struct gk_cbor_out *out, const char *name, bool value)
{
	gk_cbor_put_text(out, name);
	gk_cbor_put_bool(out, value);
}

static void put_options(const struct gk_authenticator *a, struct gk_cbor_out *out)
{
	bool ctap21 = !a->opt.ctap20;

	gk_cbor_put_int(out, 4);
	gk_cbor_put_map(out, (ctap21 ? 7u : 4u) + a->opt.uv);
	put_option(out, "rk", true);
	put_option(out, "up", true);
	if (a->opt.uv)
		put_option(out, "uv", true);
	put_option(out, "plat", false);
	if (ctap21)
		put_option(out, "alwaysUv", a->opt.always_uv);
	put_option(out, "clientPin", a->store.pin_set);
	if (ctap21) {
		put_option(out, "pinUvAuthToken", true);
		put_option(out, "makeCredUvNotRqd", !a->opt.always_uv);
	}
}

static void put_algorithms(struct gk_cbor_out *out)
{
	static const int algs[] = { COSE_ES256, COSE_EDDSA };
	size_t i;

	gk_cbor_put_int(out, 10);
	gk_cbor_put_array(out, 2);
	for (i = 0; i < 2; i++) {
		gk_cbor_put_map(out, 2);
		gk_cbor_put_text(out, "alg");
		gk_cbor_put_int(out, algs[i]);
		gk_cbor_put_text(out, "type");
		gk_cbor_put_text(out, "public-key");
	}
}

static void put_protocols(const struct gk_authenticator *a,
			  struct gk_cbor_out *out)
{
	gk_cbor_put_int(out, 6);
	gk_cbor_put_array(out, a->opt.protocols == 3 ? 2 : 1);
	if (a->opt.protocols & 2)
		gk_cbor_put_int(out, 2);
	if (a->opt.protocols & 1)
		gk_cbor_put_int(out, 1);
}

static enum gk_ctap_status get_info(const struct gk_authenticator *a,
				    struct gk_cbor_out *out)
{
	bool ctap21 = !a->opt.ctap20;

	gk_cbor_put_map(out, ctap21 ? 13 : 6);
	gk_cbor_put_int(out, 1);
	gk_cbor_put_array(out, ctap21 ? 2 : 1);
	gk_cbor_put_text(out, "FIDO_2_0");
	if (ctap21)
		gk_cbor_put_text(out, "FIDO_2_1");
	gk_cbor_put_int(out, 2);
	gk_cbor_put_array(out, a->opt.no_hmac_secret ? 1 : 2);
	gk_cbor_put_text(out, "credProtect");
	if (!a->opt.no_hmac_secret)
		gk_cbor_put_text(out, "hmac-secret");
	gk_cbor_pair_bytes(out, 3, a->opt.aaguid, sizeof(a->opt.aaguid));
	put_options(a, out);
	gk_cbor_pair_int(out, 5, 2048);	/* maxMsgSize */
	put_protocols(a, out);
	if (!ctap21)
		return CTAP2_OK;
	gk_cbor_pair_int(out, 7, GK_LIST_MAX);
	gk_cbor_pair_int(out, 8, GK_CREDENTIAL_ID);
	gk_cbor_put_int(out, 9);	/* transports */
	gk_cbor_put_array(out, 1);
	gk_cbor_put_text(out, "usb");
	put_algorithms(out);
	gk_cbor_pair_int(out, 13, 4);	/* minPINLength */
	gk_cbor_pair_int(out, 14, 1);	/* firmwareVersion */
	gk_cbor_pair_int(out, 20,
			 GK_RESIDENTS - (int64_t)a->store.n_residents);
	return CTAP2_OK;
}

/* --- the others ------------------------------------------------------------- */

static enum gk_ctap_status reset(struct gk_authenticator *a)
{
	enum gk_ctap_status status;

	if (!a->opt.reset_any_time && a->touch == GK_TOUCH_NOT_YET &&
	    gk_now_ns() - a->powered_ns > RESET_WITHIN_NS)
		return CTAP2_ERR_NOT_ALLOWED;
	status = gk_auth_touched(a);
	if (status != CTAP2_OK)
		return status;
	gk_store_fresh(&a->store);
	gk_pin_renew(&a->pin);
	a->pin.wrong_in_row = 0;
	return gk_store_save(&a->store) < 0 ? CTAP1_ERR_OTHER : CTAP2_OK;
}

static enum gk_ctap_status run(struct gk_authenticator *a, uint8_t command,
			       struct gk_cbor_in *in, struct gk_cbor_out *out)
{
	switch (command) {
	case CTAP_MAKE_CREDENTIAL:
		return gk_make_credential(a, in, out);
	case CTAP_GET_ASSERTION:
		return gk_get_assertion(a, in, out);
	case CTAP_GET_NEXT_ASSERTION:
		return gk_get_next_assertion(a, out);
	case CTAP_GET_INFO:
		return get_info(a, out);
	case CTAP_CLIENT_PIN:
		return gk_client_pin(a, in, out);
	case CTAP_RESET:
		return reset(a);
	case CTAP_SELECTION:
		return a->opt.ctap20 ? CTAP1_ERR_INVALID_COMMAND :
				       gk_auth_touched(a);
	default:
		return CTAP1_ERR_INVALID_COMMAND;
	}
}

bool gk_auth_command(struct gk_authenticator *a, const uint8_t *request,
		     size_t len, uint8_t out[GK_REQUEST_MAX], size_t *out_len)
{
	struct gk_cbor_in in = { .data = request, .len = len, .off = 1 };
	struct gk_cbor_out body = { .data = out + 1, .size = GK_REQUEST_MAX - 1 };
	enum gk_ctap_status status;

	/* 6.3: only right after an assertion */
	if (request[0] != CTAP_GET_NEXT_ASSERTION)
		a->next.valid = false;
	status = run(a, request[0], &in, &body);
	if (status == GK_CTAP_WAITS)
		return false;
	if (body.full)
		status = CTAP1_ERR_OTHER;
	out[0] = (uint8_t)status;
	*out_len = status == CTAP2_OK ? 1 + body.len : 1;
	return true;
}
