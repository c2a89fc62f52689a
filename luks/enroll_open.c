/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which volume, and being let into it. */
#include <libcryptsetup.h>
#include <stdio.h>
#include <string.h>

#include "luks/enroll.h"
#include "luks/enroll_where.h"

/* The one LUKS2 volume of crypttab, if there is one only. */
static int only_volume(struct gk_volume *v)
{
	static struct gk_volume found, one;
	struct crypt_device *cd;
	const char *why;
	unsigned n = 0;
	int err;

	for (unsigned i = 0; (err = gk_where_next(i, &one, &why)) != GK_ERR_NOT_FOUND;
	     i++) {
		if (err || gk_volume_header(&one, &cd, &why))
			continue;
		crypt_free(cd);
		found = one;
		n++;
	}
	if (n != 1)
		return gk_fail("%u LUKS2 volumes in crypttab: say which volume", n);
	*v = found;
	return 0;
}

int gk_enroll_volume(struct gk_enroll *e)
{
	struct gk_volume *v = &e->header.volume;
	const char *why = "";
	int err;

	if (!e->volume)
		err = only_volume(v);
	else if ((err = gk_where(e->volume, v, &why)))
		gk_fail("%s: %s", e->volume, why);
	if (err)
		return err;
	err = gk_header_open(&e->header, &why);
	if (err)
		gk_fail("%s: %s", v->device, why);
	return err;
}

uint32_t gk_enroll_tokens_of(const struct gk_header *h, struct gk_ekey *k, int *certain)
{
	uint32_t yes = 0, maybe = 0;

	for (int i = 0; i < GK_HEADER_TOKENS; i++) {
		const struct gk_header_token *t = &h->token[i];
		int has;

		if (!t->there || !t->readable)
			continue;
		has = gk_ekey_has(k, &t->fido);
		if (has == 1)
			yes |= 1U << i;
		/* With alwaysUv it says nothing before it has its PIN. */
		else if (has < 0 && k->link && k->flags & GK_KEY_ALWAYS_UV)
			maybe |= 1U << i;
	}
	*certain = yes != 0;
	return yes ? yes : maybe;
}

/* --- being let in --- */

static int said(struct gk_enroll *e, int err)
{
	if (err == GK_ERR_VALUE)
		return gk_fail("that opens no keyslot that counts here");
	if (err == GK_ERR_LIMIT)
		return gk_fail("a keyslot of %s wants more work than is done here",
			       e->header.volume.device);
	return err == GK_ERR_CLOSED || err == GK_ERR_TIMEOUT ? err :
	       gk_fail("libcryptsetup: %s", gk_header_why());
}

static int by_file(struct gk_enroll *e, uint32_t keyslots, int keep)
{
	char *key = NULL;
	size_t len = 0;
	int n;

	if (crypt_keyfile_device_read(e->header.cd, e->key_file, &key, &len, 0, 0, 0) < 0)
		return gk_fail("%s: %s", e->key_file, gk_header_why());
	n = gk_header_try(&e->header, keyslots, key, len, keep);
	crypt_safe_free(key);
	return n >= 0 ? n : said(e, n);
}

static int by_passphrase(struct gk_enroll *e, uint32_t keyslots, int keep)
{
	char text[GK_PASSPHRASE + 1], question[GK_VOLUME_PATH + 64];
	int n = GK_ERR_VALUE;

	snprintf(question, sizeof(question), "A passphrase of %s that is valid now",
		 e->header.volume.device);
	for (int i = 0; i < GK_ENROLL_PASSPHRASES; i++) {
		n = gk_ask(e->loop, question, 1, text, sizeof(text));
		if (n > 0) {
			size_t len = (size_t)n;

			n = gk_header_try(&e->header, keyslots, text, len, keep);
			explicit_bzero(text, sizeof(text));
			if (n != GK_ERR_VALUE)
				return n >= 0 ? n : said(e, n);
			gk_say("That passphrase opens no keyslot that counts here");
		} else if (n != GK_ERR_LIMIT) {
			return gk_fail("no passphrase was given");
		}
	}
	return gk_fail("no passphrase that opens it");
}

/* A token that says PIN, and whose keyslot has the secret without (CTAP 2.1 12.5):
 * the unlocker opens it, too (unlock_key.c). */
static int try_token(struct gk_enroll *e, struct gk_ekey *k,
		     const struct gk_header_token *t, uint32_t keyslots, int keep)
{
	char secret[GK_SECRET_BASE64 + 1];
	int used_pin = 0, err, slot;

	err = gk_ekey_secret(k, &t->fido, -1, secret, &used_pin);
	if (err)
		return err;
	slot = gk_header_try(&e->header, keyslots, secret, GK_SECRET_BASE64, keep);
	if (slot == GK_ERR_VALUE && used_pin && !(k->flags & GK_KEY_ALWAYS_UV)) {
		err = gk_ekey_secret(k, &t->fido, 0, secret, NULL);
		if (!err)
			slot = gk_header_try(&e->header, keyslots, secret,
					     GK_SECRET_BASE64, keep);
	}
	explicit_bzero(secret, sizeof(secret));
	return err ? err : slot >= 0 ? slot : said(e, slot);
}

int gk_enroll_by_key(struct gk_enroll *e, struct gk_ekey *k, uint32_t tokens,
		     uint32_t keyslots, int keep)
{
	int ret = GK_ERR_NOT_FOUND;

	for (int i = 0; i < GK_HEADER_TOKENS && ret == GK_ERR_NOT_FOUND; i++) {
		const struct gk_header_token *t = &e->header.token[i];

		if (tokens >> i & 1 && t->keyslots & keyslots)
			ret = try_token(e, k, t, t->keyslots & keyslots, keep);
	}
	if (ret == GK_ERR_NOT_FOUND)
		gk_fail("the security key on port %s is not enrolled for a keyslot that "
			"counts here", k->port);
	return ret;
}

static int by_port(struct gk_enroll *e, uint32_t keyslots, int keep)
{
	struct gk_ekey *k = gk_ekeys_at(&e->keys, e->by_key);
	int err, certain;

	if (!k)
		return gk_fail("no security key on port %s", e->by_key);
	err = gk_ekey_open(k, e->loop, 0);
	if (err)
		return err;
	return gk_enroll_by_key(e, k, gk_enroll_tokens_of(&e->header, k, &certain),
				keyslots, keep);
}

int gk_enroll_unlock(struct gk_enroll *e, uint32_t keyslots, int keep)
{
	if (e->by_key)
		return by_port(e, keyslots, keep);
	/* What belongs to a key is not tried with what was typed: it is no
	 * passphrase of a person. */
	keyslots &= ~gk_header_kinds(&e->header, GK_SLOT_FIDO2);
	if (e->key_file)
		return by_file(e, keyslots, keep);
	return by_passphrase(e, keyslots, keep);
}
