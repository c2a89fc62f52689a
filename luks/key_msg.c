/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "luks/key_msg.h"

static int is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t all = 0;

	for (size_t i = 0; i < n; i++)
		all |= b[i];
	return all == 0;
}

static int check_done(const struct gk_key_reply *r)
{
	uint32_t len = 0;
	int ok = r->err == GK_KEY_OK;

	if (r->err > GK_KEY_ERR_MAX || r->err < GK_KEY_ERR_MIN)
		return GK_ERR_VALUE;
	if (r->ask == GK_KEY_SECRET && ok)
		len = GK_FIDO_SECRET;
	else if (r->ask == GK_KEY_MAKE && ok)
		len = r->data_len;
	if (r->data_len != len || len > GK_FIDO_CREDENTIAL ||
	    (r->ask == GK_KEY_MAKE && ok && len == 0))
		return GK_ERR_VALUE;
	if (!is_zero(r->data + len, sizeof(r->data) - len))
		return GK_ERR_VALUE;
	if ((r->ask == GK_KEY_LOOK && ok) ? r->flags & ~(uint32_t)GK_KEY_FLAGS :
	    r->flags || !is_zero(r->aaguid, sizeof(r->aaguid)))
		return GK_ERR_VALUE;
	if ((r->ask == GK_KEY_RETRIES && ok) ?
	    r->retries < 0 || r->retries > GK_KEY_RETRIES_MAX : r->retries != 0)
		return GK_ERR_VALUE;
	if (r->found > (r->ask == GK_KEY_FIND && ok))
		return GK_ERR_VALUE;
	return GK_OK;
}

int gk_key_reply_check(const struct gk_key_reply *untrusted, size_t n,
		       uint32_t ask, uint32_t seq)
{
	static const struct gk_key_reply none;
	struct gk_key_reply rest;

	if (n != sizeof(*untrusted))
		return GK_ERR_LENGTH;
	if (untrusted->ask != ask || untrusted->seq != seq)
		return GK_ERR_ORDER;
	switch ((enum gk_key_say)untrusted->say) {
	case GK_KEY_DONE:
		return check_done(untrusted);
	case GK_KEY_TOUCH:
		if (ask != GK_KEY_SECRET && ask != GK_KEY_MAKE)
			return GK_ERR_ORDER;
		rest = *untrusted;
		rest.say = rest.ask = rest.seq = 0;
		return memcmp(&rest, &none, sizeof(rest)) ? GK_ERR_VALUE : GK_OK;
	}
	return GK_ERR_TYPE;
}

int gk_key_request_check(const struct gk_key_request *r, size_t n)
{
	if (n != sizeof(*r))
		return GK_ERR_LENGTH;
	if (r->ask < GK_KEY_LOOK || r->ask > GK_KEY_MAKE)
		return GK_ERR_TYPE;
	if (r->up > GK_KEY_TRUE || r->uv > GK_KEY_TRUE || r->has_pin > 1 ||
	    r->credential_len > GK_FIDO_CREDENTIAL || r->user_len > GK_KEY_USER ||
	    r->pin[GK_KEY_PIN_MAX] || r->rp[GK_FIDO_RP] || r->user_name[GK_KEY_USER])
		return GK_ERR_VALUE;
	return GK_OK;
}

enum gk_key_option gk_key_uv(uint32_t flags, const struct gk_token *t)
{
	if (!(flags & GK_KEY_UV))
		return GK_KEY_OMIT;
	return t->uv == GK_NEED_YES ? GK_KEY_TRUE :
	       t->uv == GK_NEED_NO ? GK_KEY_FALSE : GK_KEY_OMIT;
}
