/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --test: whether a key that is plugged in opens the volume; changes nothing. */
#include <string.h>

#include "luks/enroll.h"

static int try_token(struct gk_enroll *e, struct gk_ekey *k, int token)
{
	const struct gk_header_token *t = &e->header.token[token];
	char secret[GK_SECRET_BASE64 + 1];
	int used_pin = 0, err, slot;

	err = gk_ekey_secret(k, &t->fido, -1, secret, &used_pin);
	if (err)
		return err;
	slot = gk_header_try(&e->header, t->keyslots, secret, GK_SECRET_BASE64, 0);
	/* A token that says PIN and has the secret without: the unlocker opens it,
	 * too (unlock_key.c). */
	if (slot == GK_ERR_VALUE && used_pin && !(k->flags & GK_KEY_ALWAYS_UV)) {
		err = gk_ekey_secret(k, &t->fido, 0, secret, NULL);
		if (!err)
			slot = gk_header_try(&e->header, t->keyslots, secret,
					     GK_SECRET_BASE64, 0);
	}
	explicit_bzero(secret, sizeof(secret));
	if (slot < 0)
		return gk_fail("the security key on port %s does not open %s by token %d",
			       k->port, e->header.volume.device, token);
	gk_say("The security key on port %s opens %s (keyslot %d)", k->port,
	       e->header.volume.device, slot);
	return 0;
}

/* The first that is enrolled; one that does not say counts when it is alone. */
static int find(struct gk_enroll *e, struct gk_ekey **key, int *token)
{
	for (unsigned i = 0; i < e->keys.n; i++) {
		struct gk_ekey *k = &e->keys.key[i];
		int certain, t;

		if ((e->port && strcmp(k->port, e->port)) ||
		    gk_ekey_open(k, e->loop, 0))
			continue;
		t = gk_enroll_token_of(&e->header, k, &certain);
		if (t < 0 || (!certain && !e->port && e->keys.n > 1))
			continue;
		*key = k;
		*token = t;
		return 0;
	}
	if (!e->keys.n)
		return gk_fail("no security key");
	return gk_fail("no security key that is plugged in%s%s is enrolled in %s",
		       e->port ? " on port " : "", e->port ? e->port : "",
		       e->header.volume.device);
}

int gk_enroll_test(struct gk_enroll *e)
{
	struct gk_ekey *k = NULL;
	int token = -1, err = gk_enroll_volume(e);

	if (!err)
		err = gk_ekeys_find(&e->keys, e->loop, e->wait_s * 1000);
	if (!err)
		err = find(e, &k, &token);
	if (!err)
		err = try_token(e, k, token);
	gk_ekeys_close(&e->keys);
	gk_header_close(&e->header);
	return err ? GK_ENROLL_FAILED : GK_ENROLL_DONE;
}
