/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What opens a volume, and what is left over: --list. */
#include <stdio.h>
#include <string.h>

#include "dom0/json.h"
#include "luks/enroll.h"
#include "luks/enroll_where.h"

static struct gk_json json;

const char *gk_enroll_slot_text(const struct gk_header *h, int slot)
{
	const struct gk_header_slot *s = &h->slot[slot];
	static char text[160];

	switch (s->kind) {
	case GK_SLOT_FREE:
		return "empty";
	case GK_SLOT_PASSPHRASE:
		return "passphrase";
	case GK_SLOT_RECOVERY:
		return "recovery passphrase";
	case GK_SLOT_OTHER:
		snprintf(text, sizeof(text), "token of type %s", h->token[s->token].type);
		return text;
	case GK_SLOT_LEFT:
		snprintf(text, sizeof(text), "%s by an enrolment that was broken off; "
			 "--remove %d removes it", s->token < 0 ? "perhaps left" : "left",
			 slot);
		return text;
	case GK_SLOT_UNBOUND:
		return "opens no part of the volume";
	case GK_SLOT_IGNORED:
		return "passphrase that is not tried (priority ignore)";
	case GK_SLOT_FIDO2:
		break;
	}
	if (!h->token[s->token].readable)
		return "security key, with a token that cannot be read";
	snprintf(text, sizeof(text), "security key%s%s%s",
		 h->token[s->token].fido.pin == GK_NEED_YES ? ", PIN" : "",
		 h->token[s->token].fido.up == GK_NEED_YES ? ", touch" : "",
		 h->token[s->token].fido.uv == GK_NEED_YES ? ", fingerprint" : "");
	return text;
}

static const char *kind_name(enum gk_slot_kind kind)
{
	switch (kind) {
	case GK_SLOT_PASSPHRASE:
		return "passphrase";
	case GK_SLOT_RECOVERY:
		return "recovery";
	case GK_SLOT_FIDO2:
		return "fido2";
	case GK_SLOT_OTHER:
		return "other";
	case GK_SLOT_LEFT:
		return "left";
	case GK_SLOT_UNBOUND:
		return "unbound";
	case GK_SLOT_IGNORED:
		return "ignored";
	case GK_SLOT_FREE:
		break;
	}
	return "free";
}

/* The key at hand that it is of; *certain 0: one that does not say. */
static struct gk_ekey *key_of(struct gk_enroll *e, const struct gk_token *t, int *certain)
{
	struct gk_ekey *maybe = NULL;

	*certain = 1;
	for (unsigned i = 0; i < e->keys.n; i++) {
		struct gk_ekey *k = &e->keys.key[i];
		int has = k->link ? gk_ekey_has(k, t) : 0;

		if (has == 1)
			return k;
		/* With alwaysUv it says nothing before it has its PIN. */
		if (has < 0 && k->link && k->flags & GK_KEY_ALWAYS_UV)
			maybe = k;
	}
	*certain = 0;
	return maybe;
}

static void list_slot(struct gk_enroll *e, int slot)
{
	const struct gk_header *h = &e->header;
	const struct gk_header_slot *s = &h->slot[slot];
	const struct gk_header_token *t = s->token < 0 ? NULL : &h->token[s->token];
	struct gk_ekey *k = NULL;
	char aaguid[37], where[96] = "";
	int certain = 0;

	if (s->kind == GK_SLOT_FIDO2 && t->readable)
		k = key_of(e, &t->fido, &certain);
	if (k) {
		gk_ekey_aaguid(k, aaguid);
		snprintf(where, sizeof(where), ": %s on port %s, aaguid %s",
			 certain ? "the one" : "perhaps the one", k->port, aaguid);
	}
	if (!e->json) {
		gk_say("  keyslot %-3d %s%s", slot, gk_enroll_slot_text(h, slot), where);
		return;
	}
	gk_json_object(&json, NULL);
	gk_json_number(&json, "keyslot", slot);
	gk_json_string(&json, "kind", kind_name(s->kind));
	if (t)
		gk_json_number(&json, "token", s->token);
	if (s->kind == GK_SLOT_LEFT)
		gk_json_bool(&json, "certain", s->token >= 0);
	if (s->kind == GK_SLOT_OTHER)
		gk_json_string(&json, "type", t->type);
	if (s->kind == GK_SLOT_FIDO2 && t->readable) {
		gk_json_bool(&json, "pin", t->fido.pin == GK_NEED_YES);
		gk_json_bool(&json, "touch", t->fido.up == GK_NEED_YES);
		gk_json_bool(&json, "fingerprint", t->fido.uv == GK_NEED_YES);
		gk_json_string(&json, "port", k && certain ? k->port : NULL);
		gk_json_string(&json, "aaguid", k && certain ? aaguid : NULL);
	}
	gk_json_end_object(&json);
}

/* Marks of keyslots that are there are said with the keyslot. */
static void list_token(struct gk_enroll *e, int n)
{
	const struct gk_header_token *t = &e->header.token[n];

	if (!t->there || t->keyslots ||
	    (t->mark >= 0 && e->header.slot[t->mark].token == n))
		return;
	if (!e->json) {
		gk_say("  token %-5d without a keyslot, type %s; --remove token:%d "
		       "removes it", n, t->type, n);
		return;
	}
	gk_json_object(&json, NULL);
	gk_json_number(&json, "token", n);
	gk_json_string(&json, "kind", "token-without-keyslot");
	gk_json_string(&json, "type", t->type);
	gk_json_end_object(&json);
}

static void list_volume(struct gk_enroll *e)
{
	const struct gk_volume *v = &e->header.volume;

	if (e->json) {
		gk_json_object(&json, NULL);
		gk_json_string(&json, "volume", v->name);
		gk_json_string(&json, "device", v->device);
		gk_json_array(&json, "entries");
	} else {
		gk_say("%s (%s)", v->device, v->name);
	}
	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++)
		if (e->header.slot[i].kind != GK_SLOT_FREE)
			list_slot(e, i);
	for (int i = 0; i < GK_HEADER_TOKENS; i++)
		list_token(e, i);
	if (e->json) {
		gk_json_end_array(&json);
		gk_json_end_object(&json);
	}
}

/* One that is not LUKS2, or not there, is not of interest to this list. */
static int list_crypttab(struct gk_enroll *e)
{
	unsigned listed = 0;
	const char *why;
	int err;

	for (unsigned i = 0; (err = gk_where_next(i, &e->header.volume, &why)) !=
	     GK_ERR_NOT_FOUND; i++) {
		if (err || gk_header_open(&e->header, &why))
			continue;
		list_volume(e);
		listed++;
	}
	return listed ? 0 : gk_fail("no LUKS2 volume in crypttab: say which volume");
}

int gk_enroll_list(struct gk_enroll *e)
{
	static char text[128 << 10];
	int err = gk_ekeys_find(&e->keys, e->loop, 0);

	for (unsigned i = 0; i < e->keys.n; i++)
		if (gk_ekey_open(&e->keys.key[i], e->loop, 1))
			continue;
	gk_json_init(&json, text, sizeof(text));
	gk_json_array(&json, NULL);
	if (!err && e->volume) {
		err = gk_enroll_volume(e);
		if (!err)
			list_volume(e);
	} else if (!err) {
		err = list_crypttab(e);
	}
	gk_json_end_array(&json);
	if (!err && e->json && (err = gk_json_finish(&json)) >= 0) {
		gk_say("%s", text);
		err = 0;
	}
	gk_ekeys_close(&e->keys);
	gk_header_close(&e->header);
	return err ? GK_ENROLL_FAILED : GK_ENROLL_DONE;
}
