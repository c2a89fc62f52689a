/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/log.h"
#include "luks/enroll_header.h"

static char complaint[200] = "no reason given";

static void on_log(int level, const char *text, void *ctx)
{
	(void)ctx;
	if (level != CRYPT_LOG_ERROR)
		return;
	snprintf(complaint, sizeof(complaint), "%.*s", (int)strcspn(text, "\n"), text);
	gk_printable(complaint);
}

const char *gk_header_why(void)
{
	return complaint;
}

/* --- reading --- */

static int mark_of(const char *json)
{
	struct json_object *o, *v;
	int slot = -1;

	if (strlen(json) > GK_TOKEN_TEXT)
		return -1;
	o = json_tokener_parse(json);
	if (o && json_object_object_get_ex(o, "keyslot", &v) &&
	    json_object_is_type(v, json_type_int))
		slot = json_object_get_int(v);
	json_object_put(o);
	return slot >= 0 && slot < GK_TOKEN_KEYSLOTS ? slot : -1;
}

static void read_token(struct gk_header *h, int n)
{
	struct gk_header_token *t = &h->token[n];
	const char *json = NULL, *type = NULL, *why;
	crypt_token_info info = crypt_token_status(h->cd, n, &type);

	memset(t, 0, sizeof(*t));
	t->mark = -1;
	if (info == CRYPT_TOKEN_INVALID || info == CRYPT_TOKEN_INACTIVE || !type ||
	    crypt_token_json_get(h->cd, n, &json) < 0 || !json)
		return;
	t->there = 1;
	snprintf(t->type, sizeof(t->type), "%s", type);
	gk_printable(t->type);
	for (int s = 0; s < GK_TOKEN_KEYSLOTS; s++)
		if (crypt_token_is_assigned(h->cd, n, s) == 0)
			t->keyslots |= 1U << s;
	if (!strcmp(type, GK_MARK_TYPE))
		t->mark = mark_of(json);
	else if (!strcmp(type, GK_TOKEN_TYPE))
		t->readable = gk_token_parse(json, strlen(json), &t->fido, &why) == 0;
}

/* What gk_header_add() and systemd-cryptenroll make, and cryptsetup by itself
 * never does for a passphrase. */
static int is_made_for_token(struct gk_header *h, int slot)
{
	struct crypt_pbkdf_type k = { 0 };

	return crypt_keyslot_get_pbkdf(h->cd, slot, &k) == 0 && k.type && k.hash &&
	       !strcmp(k.type, CRYPT_KDF_PBKDF2) && !strcmp(k.hash, "sha512") &&
	       k.iterations == GK_KEYSLOT_ITERATIONS;
}

static void read_slot(struct gk_header *h, int n)
{
	static const struct {
		const char *type;
		enum gk_slot_kind kind;
	} known[] = {
		{ GK_TOKEN_TYPE, GK_SLOT_FIDO2 },
		{ GK_RECOVERY_TYPE, GK_SLOT_RECOVERY },
	};
	struct gk_header_slot *s = &h->slot[n];
	crypt_keyslot_info info = crypt_keyslot_status(h->cd, n);

	*s = (struct gk_header_slot){ .token = -1 };
	if (info == CRYPT_SLOT_UNBOUND)
		s->kind = GK_SLOT_UNBOUND;
	if (info != CRYPT_SLOT_ACTIVE && info != CRYPT_SLOT_ACTIVE_LAST)
		return;
	s->kind = GK_SLOT_PASSPHRASE;
	for (int i = 0; i < GK_HEADER_TOKENS; i++) {
		const struct gk_header_token *t = &h->token[i];
		enum gk_slot_kind kind = GK_SLOT_OTHER;

		if (!t->there || !(t->keyslots >> n & 1))
			continue;
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (!strcmp(t->type, known[k].type))
				kind = known[k].kind;
		/* With several tokens what is surer to need a device counts. */
		if (s->token < 0 || s->kind == GK_SLOT_RECOVERY) {
			s->kind = kind;
			s->token = i;
		}
	}
	if (s->token < 0 && !is_made_for_token(h, n)) {
		if (crypt_keyslot_get_priority(h->cd, n) == CRYPT_SLOT_PRIORITY_IGNORE)
			s->kind = GK_SLOT_IGNORED;
		return;
	}
	if (s->kind == GK_SLOT_RECOVERY &&
	    crypt_keyslot_get_priority(h->cd, n) == CRYPT_SLOT_PRIORITY_IGNORE)
		s->kind = GK_SLOT_IGNORED;
	if (s->token >= 0)
		return;
	s->kind = GK_SLOT_LEFT;
	for (int i = 0; i < GK_HEADER_TOKENS; i++)
		if (h->token[i].there && h->token[i].mark == n)
			s->token = i;
}

int gk_header_open(struct gk_header *h, const char **why)
{
	struct crypt_device *cd = NULL;
	int err = gk_volume_header(&h->volume, &cd, why);

	if (err)
		return err;
	if (h->cd)
		crypt_free(h->cd);
	h->cd = cd;
	crypt_set_log_callback(cd, on_log, NULL);
	for (int i = 0; i < GK_HEADER_TOKENS; i++)
		read_token(h, i);
	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++)
		read_slot(h, i);
	return 0;
}

void gk_header_close(struct gk_header *h)
{
	if (h->cd)
		crypt_free(h->cd);
	h->cd = NULL;
	explicit_bzero(h->key, sizeof(h->key));
	h->key_len = 0;
}

uint32_t gk_header_kinds(const struct gk_header *h, enum gk_slot_kind kind)
{
	uint32_t bits = 0;

	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++)
		if (h->slot[i].kind == kind)
			bits |= 1U << i;
	return bits;
}

int gk_header_free_slot(const struct gk_header *h)
{
	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++)
		if (crypt_keyslot_status(h->cd, i) == CRYPT_SLOT_INACTIVE)
			return i;
	return GK_ERR_LIMIT;
}

/* --- secrets --- */

static int try_slot(struct gk_header *h, int slot, const char *secret, size_t len,
		    int keep)
{
	char key[GK_VOLUME_KEY];
	size_t n = sizeof(key);
	int err;

	if (!gk_volume_is_bounded(h->cd, slot))
		return GK_ERR_LIMIT;
	err = crypt_volume_key_get(h->cd, slot, key, &n, secret, len);
	if (err >= 0 && keep) {
		memcpy(h->key, key, n);
		h->key_len = n;
	}
	explicit_bzero(key, sizeof(key));
	if (err >= 0)
		return slot;
	return err == -EPERM || err == -ENOENT ? GK_ERR_VALUE : GK_ERR_SYSTEM;
}

int gk_header_try(struct gk_header *h, uint32_t keyslots, const char *secret, size_t len,
		  int keep)
{
	int ret = GK_ERR_VALUE;

	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++) {
		int err;

		if (!(keyslots >> i & 1) || h->slot[i].kind == GK_SLOT_FREE ||
		    h->slot[i].kind == GK_SLOT_UNBOUND)
			continue;
		err = try_slot(h, i, secret, len, keep);
		if (err >= 0)
			return err;
		if (err != GK_ERR_VALUE)
			ret = err;
	}
	return ret;
}

/* --- changes --- */

int gk_header_mark(struct gk_header *h, int slot)
{
	int token = GK_ERR_LIMIT, free = GK_ERR_LIMIT;
	char json[96];

	/* One that was left before it came to a keyslot, or whose keyslot has gone,
	 * is used again: they do not pile up. */
	for (int i = 0; i < GK_HEADER_TOKENS; i++) {
		const struct gk_header_token *t = &h->token[i];

		if (t->there && !strcmp(t->type, GK_MARK_TYPE) &&
		    (t->mark < 0 || h->slot[t->mark].kind == GK_SLOT_FREE))
			token = i;
		if (free < 0 && crypt_token_status(h->cd, i, NULL) == CRYPT_TOKEN_INACTIVE)
			free = i;
	}
	if (token < 0)
		token = free;
	if (token < 0)
		return GK_ERR_LENGTH;
	snprintf(json, sizeof(json), "{\"type\":\"" GK_MARK_TYPE "\",\"keyslots\":[],"
		 "\"keyslot\":%d}", slot);
	token = crypt_token_json_set(h->cd, token, json);
	return token < 0 ? GK_ERR_SYSTEM : token;
}

int gk_header_add(struct gk_header *h, int slot, const char *secret, size_t len)
{
	static const struct crypt_pbkdf_type quick = {
		.type = CRYPT_KDF_PBKDF2, .hash = "sha512", .time_ms = 1,
		.iterations = GK_KEYSLOT_ITERATIONS, .flags = CRYPT_PBKDF_NO_BENCHMARK,
	};

	if (!h->key_len)
		return GK_ERR_ORDER;
	if (crypt_set_pbkdf_type(h->cd, &quick) < 0 ||
	    crypt_keyslot_add_by_volume_key(h->cd, slot, (const char *)h->key,
					    h->key_len, secret, len) != slot)
		return GK_ERR_SYSTEM;
	return 0;
}

int gk_header_put(struct gk_header *h, int token, const char *json)
{
	return crypt_token_json_set(h->cd, token, json) == token ? 0 : GK_ERR_SYSTEM;
}

int gk_header_drop_token(struct gk_header *h, int token)
{
	return crypt_token_json_set(h->cd, token, NULL) == token ? 0 : GK_ERR_SYSTEM;
}

int gk_header_drop_slot(struct gk_header *h, int slot)
{
	return crypt_keyslot_destroy(h->cd, slot) == 0 ? 0 : GK_ERR_SYSTEM;
}
