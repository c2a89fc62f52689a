/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --remove. First the keyslot, then its token: killed in between there is a token
 * that opens nothing and is named, not a keyslot that looks like a passphrase.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "luks/enroll.h"

/* N: a keyslot; token:N. */
static int read_id(const char *id, int *slot, int *token)
{
	static const char prefix[] = "token:";
	int is_token = !strncmp(id, prefix, sizeof(prefix) - 1);
	const char *number = is_token ? id + sizeof(prefix) - 1 : id;
	char *end;
	unsigned long n = strtoul(number, &end, 10);

	*slot = *token = -1;
	if (number[0] < '0' || number[0] > '9' || *end ||
	    n >= (is_token ? GK_HEADER_TOKENS : GK_TOKEN_KEYSLOTS))
		return gk_fail("%s: neither a keyslot nor token:NUMBER", id);
	*(is_token ? token : slot) = (int)n;
	return 0;
}

/* What a person can type anywhere; what may be left over does not count. */
static uint32_t typed(const struct gk_header *h)
{
	return gk_header_kinds(h, GK_SLOT_PASSPHRASE) |
	       gk_header_kinds(h, GK_SLOT_RECOVERY);
}

static uint32_t all_ways(const struct gk_header *h)
{
	return typed(h) | gk_header_kinds(h, GK_SLOT_FIDO2) |
	       gk_header_kinds(h, GK_SLOT_OTHER);
}

/* Refused: the last keyslot of all, always; the last passphrase, and a keyslot
 * beside which nothing was shown to open the volume, unless forced. */
static int allow(struct gk_enroll *e, int slot)
{
	const struct gk_header *h = &e->header;
	uint32_t others = ~(1U << slot);
	uint32_t ignored = gk_header_kinds(h, GK_SLOT_IGNORED);
	/* One that may be left over, or another program's, may also be somebody's
	 * passphrase. */
	int is_key = h->slot[slot].kind == GK_SLOT_FIDO2;
	int err;

	if (h->slot[slot].kind == GK_SLOT_UNBOUND)
		return 0;
	if (!((all_ways(h) | ignored) & others))
		return gk_fail("keyslot %d is the last way in: without it the volume is "
			       "lost (cryptsetup luksErase does that)", slot);
	if (!(all_ways(h) & others))
		return gk_fail("keyslot %d is the last way in that is tried: the others "
			       "have the priority \"ignore\" (cryptsetup config "
			       "--priority normal)", slot);
	if (!is_key && !(typed(h) & others)) {
		if (!e->force)
			return gk_fail("keyslot %d is the last passphrase: a lost or "
				       "broken key would then be the end; add another "
				       "first, or --force", slot);
		gk_say("--force: no passphrase will be left; only what --list shows "
		       "opens the volume, as long as it works");
		return 0;
	}
	if (e->force) {
		gk_say("--force: not shown that another keyslot than %d opens the volume",
		       slot);
		return 0;
	}
	gk_say("To show that another way in works:");
	err = gk_enroll_unlock(e, others & ~ignored, 0);
	return err < 0 ? err : 0;
}

static int drop_slot(struct gk_enroll *e, int slot)
{
	struct gk_header *h = &e->header;
	int err = gk_header_drop_slot(h, slot);

	if (err)
		return gk_fail("keyslot %d was not removed: %s", slot, gk_header_why());
	gk_enroll_point(GK_POINT_KEYSLOT_REMOVED);
	gk_say("Keyslot %d is removed", slot);
	for (int i = 0; i < GK_HEADER_TOKENS && !err; i++) {
		const struct gk_header_token *t = &h->token[i];

		/* A token of several keyslots goes with the last. */
		if (!t->there || (t->keyslots != 1U << slot && t->mark != slot))
			continue;
		err = gk_header_drop_token(h, i);
		if (err)
			return gk_fail("token %d was not removed: %s", i,
				       gk_header_why());
		gk_enroll_point(GK_POINT_TOKEN_REMOVED);
		gk_say("Token %d is removed", i);
	}
	return 0;
}

static int drop_token(struct gk_enroll *e, int token)
{
	const struct gk_header_token *t = &e->header.token[token];
	int err;

	if (!t->there)
		return gk_fail("there is no token %d", token);
	if (t->keyslots)
		return gk_fail("token %d belongs to a keyslot: remove that", token);
	err = gk_header_drop_token(&e->header, token);
	if (err)
		return gk_fail("token %d was not removed: %s", token, gk_header_why());
	gk_say("Token %d is removed", token);
	return 0;
}

static int remove_slot(struct gk_enroll *e, int slot)
{
	int err;

	if (e->header.slot[slot].kind == GK_SLOT_FREE)
		return gk_fail("keyslot %d is empty", slot);
	gk_say("%s, keyslot %d: %s", e->header.volume.device, slot,
	       gk_enroll_slot_text(&e->header, slot));
	err = allow(e, slot);
	if (err)
		return err;
	gk_enroll_point(GK_POINT_REMOVAL_ALLOWED);
	return drop_slot(e, slot);
}

int gk_enroll_remove(struct gk_enroll *e)
{
	int slot, token, err = read_id(e->id, &slot, &token);

	if (err)
		return GK_ENROLL_USAGE;
	err = gk_enroll_volume(e);
	if (!err && e->by_key)
		err = gk_ekeys_find(&e->keys, e->loop, e->wait_s * 1000);
	if (!err)
		err = token >= 0 ? drop_token(e, token) : remove_slot(e, slot);
	gk_ekeys_close(&e->keys);
	gk_header_close(&e->header);
	return err ? GK_ENROLL_FAILED : GK_ENROLL_DONE;
}
