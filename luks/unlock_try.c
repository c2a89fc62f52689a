/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets on keyslots, one after the other: what was typed first, then what keys
 * gave, then for a volume that came later what opened others. */
#include <string.h>

#include "dom0/clock.h"
#include "dom0/log.h"
#include "luks/unlock_state.h"

static uint32_t slots_for(const struct gk_volume *v, const struct gk_token *t)
{
	uint32_t slots = 0;

	for (unsigned i = 0; i < v->tokens; i++)
		if (gk_token_same_secret(&v->token[i], t))
			slots |= v->token[i].keyslots;
	return slots;
}

/* Which volumes, which keyslots. t NULL: a passphrase. */
static unsigned targets(struct gk_unlock *u, const struct gk_token *t,
			struct gk_attempt_target out[GK_VOLUMES])
{
	unsigned n = 0;

	for (unsigned i = 0; i < GK_VOLUMES; i++) {
		const struct gk_volume *v = &u->volume[i].v;
		uint32_t slots = t ? slots_for(v, t) : UINT32_MAX;

		if (u->volume[i].state == VOLUME_PENDING && slots)
			out[n++] = (struct gk_attempt_target){
				.volume = v, .keyslots = slots,
			};
	}
	return n;
}

static void remember(struct gk_unlock *u, const struct gk_token *t)
{
	struct gk_ucache *c;

	if (u->source == FROM_CACHE || u->cached == GK_UNLOCK_CACHE)
		return;
	c = &u->cache[u->cached++];
	c->is_key = t != NULL;
	if (t)
		c->token = *t;
	memcpy(c->text, u->running, u->running_len);
	c->len = u->running_len;
	for (unsigned i = 0; i < GK_VOLUMES; i++)
		if (u->volume[i].cached == u->cached - 1)
			u->volume[i].cached = u->cached;
}

/* The slot of a target, or GK_VOLUMES when another volume is in it by now. */
static unsigned index_of(const struct gk_unlock *u, const struct gk_volume *v)
{
	for (unsigned i = 0; i < GK_VOLUMES; i++)
		if (&u->volume[i].v == v && u->volume[i].state == VOLUME_PENDING &&
		    u->volume[i].id == u->attempt_id[i])
			return i;
	return GK_VOLUMES;
}

static int64_t since(uint64_t then)
{
	return then ? (int64_t)(gk_now_ms() - then) : -1;
}

static void opened(struct gk_unlock *u, unsigned i, const struct gk_ukey *k,
		   unsigned computing_ms)
{
	struct gk_unlock_how how = {
		.end = GK_UNLOCK_OPENED,
		.key_to_touch_ms = -1, .touch_to_open_ms = -1,
		.keyslot_ms = since(u->attempt_at),
		.pbkdf_ms = computing_ms,
	};
	int by_key = u->source == FROM_KEY ||
		     (u->source == FROM_CACHE && u->cache[u->source_cache].is_key);

	strcpy(how.by, by_key ? "key" : "passphrase");
	if (k) {
		memcpy(how.port, k->port, sizeof(how.port));
		if (k->touch_at)
			how.key_to_touch_ms = (int64_t)(k->touch_at - k->came_at);
		how.touch_to_open_ms = since(k->secret_at);
	}
	if (k)
		gk_log(LOG_NOTICE, "%s is open, by a key on port %s; keyslot %lld ms "
		       "(%u computing), %lld ms after the key's answer",
		       u->volume[i].v.name, how.port, (long long)how.keyslot_ms,
		       computing_ms, (long long)how.touch_to_open_ms);
	else
		gk_log(LOG_NOTICE, "%s is open, by a %s; keyslot %lld ms (%u computing)",
		       u->volume[i].v.name, how.by, (long long)how.keyslot_ms,
		       computing_ms);
	gk_unlock_finish(u, i, &how);
}

static void broken(struct gk_unlock *u, unsigned i)
{
	struct gk_unlock_how how = {
		.end = GK_UNLOCK_BROKEN, .key_to_touch_ms = -1,
		.touch_to_open_ms = -1, .keyslot_ms = -1, .pbkdf_ms = -1,
	};

	gk_unlock_tell(u, "Disk %s cannot be opened; the journal says why",
		       u->volume[i].v.name);
	gk_unlock_finish(u, i, &how);
}

static void wrong_passphrase(struct gk_unlock *u, int result)
{
	if (result == GK_ERR_VALUE)
		gk_unlock_tell(u, "Wrong passphrase");
	else
		gk_unlock_tell(u, "The passphrase could not be tried; the journal says "
			       "why");
	if (!u->running_for_pin && ++u->wrong >= GK_UNLOCK_PASSPHRASES)
		gk_unlock_end_all(u, GK_UNLOCK_WRONG);
}

static void tried(void *ctx, const struct gk_attempt_target *t, unsigned n)
{
	struct gk_unlock *u = ctx;
	enum gk_usource source = u->source;
	struct gk_ukey *k = source == FROM_KEY ? &u->key[u->source_key] : NULL;
	int any = 0, result = GK_ERR_VALUE;

	/* Another key is on that port by now. */
	if (k && k->came_at != u->source_came)
		k = NULL;
	for (unsigned i = 0; i < n; i++) {
		any |= t[i].result >= 0;
		if (t[i].result != GK_ERR_VALUE)
			result = t[i].result;
	}
	if (any)
		remember(u, source == FROM_KEY ? &u->source_token : NULL);
	/* Each may call back and change the list: by index, and looked at again. */
	for (unsigned i = 0; i < n; i++) {
		unsigned at = index_of(u, t[i].volume);

		if (at == GK_VOLUMES)
			continue;
		if (t[i].result >= 0)
			opened(u, at, k, t[i].computing_ms);
		else if (t[i].result == GK_ERR_SYSTEM)
			broken(u, at);
	}
	explicit_bzero(u->running, sizeof(u->running));
	u->source = FROM_NOBODY;
	if (k)
		gk_ukey_tried(k, any ? 0 : result);
	else if (source == FROM_PERSON && !any && gk_unlock_pending(u))
		wrong_passphrase(u, result);
	gk_utry_next(u);
	gk_unlock_question(u);
}

static int start(struct gk_unlock *u, enum gk_usource source,
		 const struct gk_attempt_target *t, unsigned n, const char *text,
		 size_t len)
{
	if (n == 0)
		return GK_ERR_NOT_FOUND;
	u->source = source;
	u->attempt_at = gk_now_ms();
	for (unsigned i = 0; i < GK_VOLUMES; i++)
		u->attempt_id[i] = u->volume[i].id;
	memcpy(u->running, text, len);
	u->running_len = len;
	if (gk_attempt_start(u->loop, t, n, text, len, tried, u) == GK_OK)
		return GK_OK;
	gk_log(LOG_ERR, "no process for a keyslot");
	u->source = FROM_NOBODY;
	explicit_bzero(u->running, sizeof(u->running));
	return GK_ERR_SYSTEM;
}

static int try_typed(struct gk_unlock *u)
{
	struct gk_attempt_target t[GK_VOLUMES];
	int err;

	if (!u->typed_ready)
		return 0;
	u->typed_ready = 0;
	u->running_for_pin = u->typed_for_pin;
	err = start(u, FROM_PERSON, t, targets(u, NULL, t), u->typed, u->typed_len);
	explicit_bzero(u->typed, sizeof(u->typed));
	return err == GK_OK;
}

static int try_keys(struct gk_unlock *u)
{
	struct gk_attempt_target t[GK_VOLUMES];

	for (unsigned i = 0; i < GK_KEYS; i++) {
		struct gk_ukey *k = &u->key[i];
		unsigned n;
		int err;

		if (!k->secret_ready)
			continue;
		k->secret_ready = 0;
		u->source_key = i;
		u->source_came = k->came_at;
		u->source_token = u->volume[k->volume].v.token[k->token];
		n = targets(u, &u->volume[k->volume].v.token[k->token], t);
		err = start(u, FROM_KEY, t, n, k->secret, GK_SECRET_BASE64);
		explicit_bzero(k->secret, sizeof(k->secret));
		if (err == GK_OK)
			return 1;
		gk_ukey_tried(k, err);
	}
	return 0;
}

static int try_cached(struct gk_unlock *u)
{
	for (unsigned i = 0; i < GK_VOLUMES; i++) {
		struct gk_uvolume *v = &u->volume[i];

		while (v->state == VOLUME_PENDING && v->cached < u->cached) {
			unsigned at = v->cached++;
			const struct gk_ucache *c = &u->cache[at];
			struct gk_attempt_target t = {
				.volume = &v->v,
				.keyslots = c->is_key ?
					    slots_for(&v->v, &c->token) : UINT32_MAX,
			};

			u->source_cache = at;
			if (t.keyslots &&
			    start(u, FROM_CACHE, &t, 1, c->text, c->len) == GK_OK)
				return 1;
		}
	}
	return 0;
}

void gk_utry_next(struct gk_unlock *u)
{
	if (gk_attempt_runs() || u->source != FROM_NOBODY || !gk_unlock_pending(u))
		return;
	if (!try_typed(u) && !try_keys(u))
		(void)try_cached(u);
}

int gk_utry_cached(const struct gk_unlock *u, const struct gk_token *t)
{
	for (unsigned i = 0; i < u->cached; i++)
		if (u->cache[i].is_key && gk_token_same_secret(&u->cache[i].token, t))
			return 1;
	return 0;
}
