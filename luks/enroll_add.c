/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enrolling a key. Everything that a person or a key can get wrong comes before the
 * first change of the header; then mark, keyslot, token (enroll_header.h); then the
 * key opens the keyslot for real, or all is taken back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "luks/enroll.h"

/* --- which key --- */

static void describe(struct gk_ekey *k, const char *more)
{
	char aaguid[37];

	gk_ekey_aaguid(k, aaguid);
	gk_say("Security key on port %s: %s%s (aaguid %s)", k->port,
	       !(k->flags & GK_KEY_HMAC_SECRET) ? "without hmac-secret" :
	       k->flags & GK_KEY_PIN_SET ? "with a PIN" : "without a PIN", more, aaguid);
}

/* Those that can be enrolled: not the one that lets us in. */
static int choose(struct gk_enroll *e, struct gk_ekey **out)
{
	char port[GK_KEYS_PORT];
	struct gk_ekey *only = NULL;
	unsigned n = 0;
	int err;

	for (unsigned i = 0; i < e->keys.n; i++) {
		if (e->by_key && !strcmp(e->keys.key[i].port, e->by_key))
			continue;
		only = &e->keys.key[i];
		n++;
	}
	if (n == 0)
		return gk_fail("no security key%s; the gate has a key only until its "
			       "controllers are handed over",
			       e->by_key ? " to enrol" : "");
	if (n == 1) {
		*out = only;
		return 0;
	}
	for (unsigned i = 0; i < e->keys.n; i++)
		if (gk_ekey_open(&e->keys.key[i], e->loop, 1) == 0)
			describe(&e->keys.key[i], "");
	err = gk_ask(e->loop, "Port of the one to enrol (or use --key)", 0, port,
		     sizeof(port));
	*out = err > 0 ? gk_ekeys_at(&e->keys, port) : NULL;
	return *out ? 0 : gk_fail("no security key was chosen");
}

static int find_key(struct gk_enroll *e, struct gk_ekey **out)
{
	struct gk_ekey *k;
	uint32_t tokens;
	int err, certain;

	err = gk_ekeys_find(&e->keys, e->loop, e->wait_s * 1000);
	if (err)
		return err == GK_ERR_CLOSED ? err : gk_fail("%s", gk_strerror(err));
	k = e->port ? gk_ekeys_at(&e->keys, e->port) : NULL;
	if (e->port && !k)
		return gk_fail("no security key on port %s", e->port);
	if (!k)
		err = choose(e, &k);
	if (!err)
		err = gk_ekey_open(k, e->loop, 0);
	if (err)
		return err;
	describe(k, k->flags & GK_KEY_UV ? ", knows a fingerprint" :
		    k->flags & GK_KEY_ALWAYS_UV ? ", which it always asks for" : "");
	if (!(k->flags & GK_KEY_HMAC_SECRET))
		return gk_fail("it cannot open disks: it has no hmac-secret");
	if (e->fingerprint && !(k->flags & GK_KEY_UV))
		return gk_fail("it knows no fingerprint: it has no reader, or none is "
			       "stored in it yet (fido2-token -S -e)");
	if (k->flags & GK_KEY_ALWAYS_UV && !e->fingerprint &&
	    (e->no_pin || !(k->flags & GK_KEY_PIN_SET)))
		return gk_fail("it does nothing without its PIN%s", e->no_pin ? "" :
			       ", and has none yet: set one with fido2-token -S");
	tokens = gk_enroll_tokens_of(&e->header, k, &certain);
	if (tokens && certain)
		return gk_fail("it is enrolled already (token %d); remove that first",
			       __builtin_ctz(tokens));
	*out = k;
	return 0;
}

/* --- the header before --- */

static void say_leftovers(const struct gk_header *h)
{
	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++)
		if (h->slot[i].kind == GK_SLOT_LEFT)
			gk_say("Keyslot %d: %s", i, gk_enroll_slot_text(h, i));
}

static int free_slot(struct gk_enroll *e)
{
	int slot = gk_header_free_slot(&e->header);

	if (slot < 0)
		gk_fail("all %d keyslots are in use; --list shows for what",
			GK_TOKEN_KEYSLOTS);
	return slot;
}

/* --- the changes --- */

static int say_unknown(const struct gk_ekey *k, int err)
{
	return err != GK_ERR_NOT_FOUND ? err :
	       gk_fail("the security key on port %s does not know the credential that it "
		       "has made", k->port);
}

static int write_key(struct gk_header *h, int slot, struct gk_token *t,
		     const char *secret, int *token)
{
	char json[GK_TOKEN_TEXT];
	int err;

	err = gk_enroll_write_keyslot(h, slot, token, secret, GK_SECRET_BASE64,
				      GK_POINT_MARK_WRITTEN, GK_POINT_KEYSLOT_ADDED);
	if (err)
		return err;
	t->keyslots = 1U << slot;
	err = gk_token_build(t, json, sizeof(json));
	if (err > 0)
		err = gk_header_put(h, *token, json);
	if (err) {
		gk_enroll_refused(err);
		gk_enroll_take_back(h, slot, *token);
	}
	return err;
}

/* With the token as the header has it now. */
static int test_key(struct gk_enroll *e, struct gk_ekey *k, int slot, int token)
{
	struct gk_header *h = &e->header;
	char secret[GK_SECRET_BASE64 + 1];
	const char *why = "";
	int err;

	err = gk_header_open(h, &why);
	if (err)
		return gk_fail("the header cannot be read again: %s", why);
	if (!h->token[token].readable || h->token[token].keyslots != 1U << slot)
		return gk_fail("token %d is not as it was written", token);
	/* As at boot: first, whose key it is, without PIN and touch. */
	if (gk_ekey_has(k, &h->token[token].fido) == 0)
		return gk_fail("the security key on port %s does not show its new "
			       "credential before it has its PIN: at boot it would not "
			       "be found", k->port);
	err = gk_ekey_secret(k, &h->token[token].fido, -1, secret, NULL);
	if (err)
		return say_unknown(k, err);
	err = gk_header_try(h, 1U << slot, secret, GK_SECRET_BASE64, 0);
	explicit_bzero(secret, sizeof(secret));
	return err >= 0 ? 0 : gk_fail("the key does not open keyslot %d", slot);
}

/* --- the whole --- */

static int make(struct gk_enroll *e, struct gk_ekey *k, struct gk_token *t,
		char secret[GK_SECRET_BASE64 + 1])
{
	const char *uuid = crypt_get_uuid(e->header.cd);
	int err;

	strcpy(t->rp, GK_TOKEN_RP);
	t->pin = k->flags & GK_KEY_PIN_SET && !e->no_pin && !e->fingerprint ?
		 GK_NEED_YES : GK_NEED_NO;
	t->up = k->flags & GK_KEY_UP && !e->no_touch ? GK_NEED_YES : GK_NEED_NO;
	t->uv = e->fingerprint ? GK_NEED_YES : GK_NEED_NO;
	if (getrandom(t->salt, sizeof(t->salt), 0) != (ssize_t)sizeof(t->salt))
		return gk_fail("no random numbers: %s", strerror(errno));
	if (t->pin == GK_NEED_NO && t->uv == GK_NEED_NO)
		gk_say("It will open the disk without a PIN: whoever has both key and "
		       "disk can read it%s", e->no_pin ? "" : " (fido2-token -S sets a PIN)");
	if (t->uv == GK_NEED_YES)
		gk_say("Touch it with the finger that it knows");
	gk_say(t->up == GK_NEED_YES ?
	       "It will have to be touched three times: for its credential, for the "
	       "secret, and to show that it opens the disk" :
	       "It will have to be touched once, for its credential");
	err = gk_ekey_make(k, t, uuid ? uuid : "disk");
	if (err)
		return err;
	gk_say("[1/4] The key has made a credential");
	gk_enroll_point(GK_POINT_CREDENTIAL_MADE);
	err = gk_ekey_secret(k, t, t->pin == GK_NEED_YES, secret, NULL);
	if (err)
		return say_unknown(k, err);
	gk_say("[2/4] The key has given its secret");
	gk_enroll_point(GK_POINT_SECRET_READ);
	return 0;
}

static int enroll(struct gk_enroll *e, struct gk_ekey *k, int *slot)
{
	static struct gk_token t;
	char secret[GK_SECRET_BASE64 + 1];
	int err, token = -1;

	memset(&t, 0, sizeof(t));
	err = make(e, k, &t, secret);
	if (!err)
		err = write_key(&e->header, *slot, &t, secret, &token);
	explicit_bzero(secret, sizeof(secret));
	if (err)
		return err;
	gk_say("[3/4] Keyslot %d and token %d are written", *slot, token);
	gk_enroll_point(GK_POINT_TOKEN_WRITTEN);
	err = test_key(e, k, *slot, token);
	if (err) {
		gk_enroll_take_back(&e->header, *slot, token);
		return err;
	}
	gk_say("[4/4] The key opens %s: it is enrolled", e->header.volume.device);
	gk_enroll_point(GK_POINT_TESTED);
	return 0;
}

int gk_enroll_add(struct gk_enroll *e)
{
	struct gk_ekey *k = NULL;
	int err, slot = -1;

	err = gk_enroll_volume(e);
	if (err)
		goto out;
	gk_enroll_point(GK_POINT_VOLUME_READ);
	say_leftovers(&e->header);
	err = slot = free_slot(e);
	if (slot >= 0)
		err = find_key(e, &k);
	if (err)
		goto out;
	gk_enroll_point(GK_POINT_KEY_FOUND);
	err = gk_enroll_unlock(e, UINT32_MAX, 1);
	if (err < 0)
		goto out;
	gk_enroll_point(GK_POINT_UNLOCKED);
	err = enroll(e, k, &slot);
	if (!err)
		err = gk_enroll_offer_recovery(e);
out:
	gk_ekeys_close(&e->keys);
	gk_header_close(&e->header);
	return err ? GK_ENROLL_FAILED : GK_ENROLL_DONE;
}
