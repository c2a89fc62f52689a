/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --test: whether a key that is plugged in opens the volume; changes nothing. */
#include <string.h>

#include "luks/enroll.h"

/* The first that is enrolled; one that does not say counts when it is alone. */
static int find(struct gk_enroll *e, struct gk_ekey **key, uint32_t *tokens)
{
	for (unsigned i = 0; i < e->keys.n; i++) {
		struct gk_ekey *k = &e->keys.key[i];
		int certain;

		if ((e->port && strcmp(k->port, e->port)) ||
		    gk_ekey_open(k, e->loop, 0))
			continue;
		*tokens = gk_enroll_tokens_of(&e->header, k, &certain);
		if (!*tokens || (!certain && !e->port && e->keys.n > 1))
			continue;
		*key = k;
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
	uint32_t tokens = 0;
	int slot, err = gk_enroll_volume(e);

	if (!err)
		err = gk_ekeys_find(&e->keys, e->loop, e->wait_s * 1000);
	if (!err)
		err = find(e, &k, &tokens);
	if (!err) {
		slot = gk_enroll_by_key(e, k, tokens, UINT32_MAX, 0);
		err = slot < 0 ? slot : 0;
	}
	if (!err)
		gk_say("The security key on port %s opens %s (keyslot %d)", k->port,
		       e->header.volume.device, slot);
	gk_ekeys_close(&e->keys);
	gk_header_close(&e->header);
	return err ? GK_ENROLL_FAILED : GK_ENROLL_DONE;
}
