/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One key: what it is, which token it fits, its PIN, its touch, its secret. */
#include <stdio.h>
#include <string.h>

#include "dom0/clock.h"
#include "dom0/log.h"
#include "luks/unlock_state.h"

static void on_reply(void *ctx, const struct gk_key_reply *r);
static void on_gone(void *ctx, const char *why);

static void wipe(struct gk_ukey *k)
{
	explicit_bzero(k->pin, sizeof(k->pin));
	explicit_bzero(k->secret, sizeof(k->secret));
	k->secret_ready = k->pin_right = 0;
}

static void let_go(struct gk_ukey *k)
{
	gk_timer_clear(k->u->loop, &k->again);
	gk_key_close(k->link);
	k->link = NULL;
	wipe(k);
}

/* It broke off at work. When it was pulled, its socket goes, too: a moment later
 * it is known which of the two to say. */
static void say_broken(void *ctx)
{
	struct gk_ukey *k = ctx;

	k->broke_off = 0;
	/* Once from the start, without a word: a frame may have been lost. */
	if (!k->began_anew) {
		k->began_anew = 1;
		k->state = KEY_OPENING;
		if (gk_unlock_pending(k->u))
			gk_ukey_resume(k);
		return;
	}
	if (!gk_unlock_pending(k->u))
		return;
	gk_unlock_tell(k->u, "The security key on port %s does not answer as it should: "
		       "use another or the passphrase", k->port);
}

/* Until it is plugged in again. */
static void spent(struct gk_ukey *k)
{
	let_go(k);
	k->state = KEY_SPENT;
}

static void broke_off(struct gk_ukey *k)
{
	spent(k);
	k->broke_off = 1;
	gk_timer_set(k->u->loop, &k->again, GK_UNLOCK_PULLED_MS, say_broken, k);
}

static const struct gk_token *token_of(const struct gk_ukey *k)
{
	return &k->u->volume[k->volume].v.token[k->token];
}

/* --- its process --- */

static void open_again(void *ctx)
{
	struct gk_ukey *k = ctx;

	gk_ukey_resume(k);
	gk_unlock_question(k->u);
}

static void send_request(struct gk_ukey *k, struct gk_key_request *r)
{
	if (gk_key_send(k->link, r) != GK_OK) {
		gk_log(LOG_WARNING, "key on port %s: its process takes nothing", k->port);
		spent(k);
	}
	explicit_bzero(r, sizeof(*r));
}

static void simple_request(struct gk_ukey *k, enum gk_key_ask ask)
{
	struct gk_key_request r = { .ask = ask, .timeout_ms = GK_KEY_FAST_MS };

	send_request(k, &r);
}

void gk_ukey_resume(struct gk_ukey *k)
{
	struct gk_key_events ev = { on_reply, on_gone, k };
	int err;

	if (k->state != KEY_OPENING)
		return;
	err = gk_key_open(k->u->loop, k->socket, &ev, &k->link);
	if (err) {
		if (++k->busy > GK_UNLOCK_BUSY_TRIES) {
			gk_log(LOG_WARNING, "key on port %s: %s", k->port,
			       gk_strerror(err));
			k->state = KEY_SPENT;
			return;
		}
		gk_timer_set(k->u->loop, &k->again, GK_UNLOCK_BUSY_MS, open_again, k);
		return;
	}
	k->state = KEY_LOOKING;
	simple_request(k, GK_KEY_LOOK);
}

void gk_ukey_came(struct gk_ukey *k, const char *port, const char *socket)
{
	struct gk_unlock *u = k->u;

	memset(k, 0, sizeof(*k));
	k->u = u;
	k->state = KEY_OPENING;
	k->came_at = gk_now_ms();
	snprintf(k->port, sizeof(k->port), "%s", port);
	snprintf(k->socket, sizeof(k->socket), "%s", socket);
}

void gk_ukey_went(struct gk_ukey *k)
{
	int was_at_work = (k->state >= KEY_COUNTING && k->state <= KEY_SECRET) ||
			  k->broke_off;

	let_go(k);
	k->state = KEY_ABSENT;
	if (was_at_work && gk_unlock_pending(k->u))
		gk_unlock_tell(k->u, "The security key on port %s was unplugged",
			       k->port);
}

/* After the last volume; what it is and what it fits is asked anew for the next. */
void gk_ukey_release(struct gk_ukey *k)
{
	if (k->state == KEY_ABSENT || k->state == KEY_SPENT)
		return;
	let_go(k);
	memset(k->fit, 0, sizeof(k->fit));
	k->up = k->pin_asked = k->without_pin = 0;
	k->touches = k->busy = 0;
	k->state = KEY_OPENING;
}

void gk_ukey_forget(struct gk_ukey *k, unsigned volume)
{
	memset(k->fit[volume], 0, sizeof(k->fit[volume]));
}

int gk_ukey_is_new(const struct gk_ukey *k)
{
	return k->state == KEY_OPENING || k->state == KEY_LOOKING ||
	       k->state == KEY_FINDING || k->state == KEY_COUNTING ||
	       k->state == KEY_TRYING || (k->state == KEY_SECRET && !k->told_touch);
}

/* --- what to do next --- */

static int find_fit(const struct gk_ukey *k, enum gk_fit fit, unsigned *v, unsigned *t)
{
	for (unsigned i = 0; i < GK_VOLUMES; i++) {
		if (k->u->volume[i].state != VOLUME_PENDING)
			continue;
		for (unsigned j = 0; j < k->u->volume[i].v.tokens; j++) {
			if (k->fit[i][j] != fit)
				continue;
			*v = i;
			*t = j;
			return 1;
		}
	}
	return 0;
}

/* Another key is sure, or may turn out to be: one that does not say what it has
 * waits, and nobody is asked for its PIN. */
static int another_is_sure(const struct gk_ukey *k)
{
	unsigned v, t;

	for (unsigned i = 0; i < GK_KEYS; i++) {
		const struct gk_ukey *o = &k->u->key[i];

		if (o == k || o->state == KEY_ABSENT || o->state == KEY_SPENT ||
		    o->state == KEY_PAUSED)
			continue;
		if (o->state == KEY_LOOKING || o->state == KEY_FINDING ||
		    find_fit(o, FIT_YES, &v, &t))
			return 1;
	}
	return 0;
}

static int needs_pin(const struct gk_ukey *k)
{
	if (k->flags & GK_KEY_ALWAYS_UV)
		return k->flags & GK_KEY_PIN_SET &&
		       (k->pin_asked || gk_key_uv(k->flags, token_of(k)) != GK_KEY_TRUE);
	if (k->without_pin || !(k->flags & GK_KEY_PIN_SET))
		return 0;
	return token_of(k)->pin == GK_NEED_YES || k->pin_asked;
}

/* up: as the token says; without a word first without (systemd: "if needed"). */
static uint8_t option_up(const struct gk_ukey *k)
{
	if (!(k->flags & GK_KEY_UP))
		return GK_KEY_OMIT;
	return token_of(k)->up == GK_NEED_YES || k->up ? GK_KEY_TRUE : GK_KEY_FALSE;
}

static void ask_secret(struct gk_ukey *k, int with_pin)
{
	const struct gk_token *t = token_of(k);
	struct gk_key_request r = {
		.ask = GK_KEY_SECRET, .timeout_ms = GK_KEY_TOUCH_MS,
		.up = option_up(k), .credential_len = t->credential_len,
	};

	r.uv = with_pin ? GK_KEY_OMIT : (uint8_t)gk_key_uv(k->flags, t);
	r.has_pin = (uint8_t)with_pin;
	if (with_pin)
		memcpy(r.pin, k->pin, sizeof(r.pin));
	memcpy(r.rp, t->rp, sizeof(t->rp));
	memcpy(r.credential, t->credential, t->credential_len);
	memcpy(r.salt, t->salt, sizeof(r.salt));
	k->used_pin = with_pin;
	k->told_touch = 0;
	k->asked_at = gk_now_ms();
	k->state = KEY_SECRET;
	send_request(k, &r);
}

static void ask_find(struct gk_ukey *k)
{
	const struct gk_token *t = token_of(k);
	struct gk_key_request r = {
		.ask = GK_KEY_FIND, .timeout_ms = GK_KEY_FAST_MS,
		.credential_len = t->credential_len,
	};

	memcpy(r.rp, t->rp, sizeof(t->rp));
	memcpy(r.credential, t->credential, t->credential_len);
	k->state = KEY_FINDING;
	send_request(k, &r);
}

static void begin_token(struct gk_ukey *k)
{
	if (!needs_pin(k)) {
		ask_secret(k, 0);
	} else if (k->pin_right) {
		/* The key has taken it before: no try is spent. */
		ask_secret(k, 1);
	} else {
		k->state = KEY_COUNTING;
		simple_request(k, GK_KEY_RETRIES);
	}
}

void gk_ukey_next(struct gk_ukey *k)
{
	unsigned v = 0, t = 0;

	if (!k->link || gk_key_is_busy(k->link))
		return;
	k->state = KEY_RESTING;
	if (find_fit(k, FIT_UNKNOWN, &v, &t)) {
		k->volume = v;
		k->token = t;
		ask_find(k);
		return;
	}
	if (!find_fit(k, FIT_YES, &v, &t) &&
	    (another_is_sure(k) || !find_fit(k, FIT_MAYBE, &v, &t)))
		return;
	if (v != k->volume || t != k->token)
		k->up = k->without_pin = k->pin_asked = 0;
	k->volume = v;
	k->token = t;
	/* Its secret is being tried already, from the cache. */
	if (gk_utry_cached(k->u, token_of(k)) &&
	    k->u->volume[v].cached < k->u->cached)
		return;
	begin_token(k);
}

/* Those that waited for this one to be sure. */
static void others_next(struct gk_ukey *k)
{
	for (unsigned i = 0; i < GK_KEYS; i++)
		if (&k->u->key[i] != k && k->u->key[i].state == KEY_RESTING)
			gk_ukey_next(&k->u->key[i]);
}

/* --- replies --- */

static void try_again(void *ctx)
{
	struct gk_ukey *k = ctx;

	gk_ukey_next(k);
	gk_unlock_question(k->u);
}

/* Somebody else is at the key: again soon. 0: it was long enough. */
static int busy(struct gk_ukey *k)
{
	if (++k->busy > GK_UNLOCK_BUSY_TRIES)
		return 0;
	k->state = KEY_RESTING;
	gk_timer_set(k->u->loop, &k->again, GK_UNLOCK_BUSY_MS, try_again, k);
	return 1;
}

static void looked(struct gk_ukey *k, const struct gk_key_reply *r)
{
	if (r->err == GK_KEY_ERR_BUSY && ++k->busy <= GK_UNLOCK_BUSY_TRIES) {
		gk_key_close(k->link);
		k->link = NULL;
		k->state = KEY_OPENING;
		gk_timer_set(k->u->loop, &k->again, GK_UNLOCK_BUSY_MS, open_again, k);
		return;
	}
	if (r->err) {
		gk_log(LOG_WARNING, "key on port %s: error %d when it was looked at",
		       k->port, r->err);
		spent(k);
		return;
	}
	k->flags = r->flags;
	if (!(k->flags & GK_KEY_HMAC_SECRET)) {
		gk_log(LOG_INFO, "key on port %s: it has no hmac-secret", k->port);
		spent(k);
		return;
	}
	gk_ukey_next(k);
}

/* For every token with the same credential: its rp is in the credential. */
static void found(struct gk_ukey *k, enum gk_fit fit)
{
	const struct gk_token *t = token_of(k);

	for (unsigned i = 0; i < GK_VOLUMES; i++) {
		const struct gk_volume *v = &k->u->volume[i].v;

		if (k->u->volume[i].state != VOLUME_PENDING)
			continue;
		for (unsigned j = 0; j < v->tokens; j++)
			if (v->token[j].credential_len == t->credential_len &&
			    !memcmp(v->token[j].credential, t->credential,
				    t->credential_len) &&
			    !strcmp(v->token[j].rp, t->rp))
				k->fit[i][j] = (uint8_t)fit;
	}
}

static void replied_find(struct gk_ukey *k, const struct gk_key_reply *r)
{
	if (r->err == GK_KEY_ERR_BUSY && busy(k))
		return;
	if (r->err == GK_KEY_OK && r->found)
		found(k, FIT_YES);
	else if (r->err == GK_KEY_OK || r->err == GK_KEY_ERR_NO_CREDENTIALS)
		found(k, FIT_NO);
	else if (k->flags & GK_KEY_ALWAYS_UV)
		found(k, FIT_MAYBE);
	else {
		gk_log(LOG_INFO, "key on port %s: error %d when a credential was looked "
		       "for", k->port, r->err);
		found(k, FIT_NO);
	}
	gk_ukey_next(k);
}

static void pin_blocked(struct gk_ukey *k)
{
	gk_unlock_tell(k->u, "The PIN of the security key on port %s is blocked: use the "
		       "passphrase", k->port);
	spent(k);
}

/* Another question is there, and cannot be taken away for this key's PIN. */
static int question_stays(const struct gk_ukey *k)
{
	const struct gk_unlock *u = k->u;

	if (u->asked == ASK_NOTHING || !gk_prompt_stays(u->prompt))
		return 0;
	return u->asked != ASK_PIN || &u->key[u->asked_key] != k ||
	       strcmp(u->asked_port, k->port) != 0;
}

static void replied_retries(struct gk_ukey *k, const struct gk_key_reply *r)
{
	if (r->err == GK_KEY_ERR_BUSY && busy(k))
		return;
	if (r->err) {
		gk_log(LOG_WARNING, "key on port %s: error %d when its counter was asked",
		       k->port, r->err);
		broke_off(k);
		return;
	}
	k->retries = r->retries;
	if (r->retries == 0) {
		pin_blocked(k);
	} else if (k->u->flaps >= GK_UNLOCK_FLAPS || question_stays(k)) {
		gk_unlock_tell(k->u, "Enter alone: the PIN of the security key on port "
			       "%s", k->port);
		k->state = KEY_PAUSED;
	} else {
		k->state = KEY_PIN;
	}
}

void gk_ukey_pin(struct gk_ukey *k, const char *pin, size_t len)
{
	if (len == 0) {
		k->state = KEY_PAUSED;
		return;
	}
	memcpy(k->pin, pin, len);
	k->pin[len] = '\0';
	/* It is seen at once whether it was right; no other question until then. */
	gk_unlock_grace(k->u);
	ask_secret(k, 1);
}

void gk_ukey_again(struct gk_ukey *k)
{
	if (k->state != KEY_PAUSED)
		return;
	k->touches = k->busy = 0;
	if (k->link) {
		gk_ukey_next(k);
		return;
	}
	k->state = KEY_OPENING;
	gk_ukey_resume(k);
}

/* Not this token; the next one, if the key has one more. */
static void token_failed(struct gk_ukey *k, int say)
{
	k->fit[k->volume][k->token] = FIT_FAILED;
	k->up = k->without_pin = k->pin_asked = 0;
	if (say)
		gk_unlock_tell(k->u, "The security key on port %s does not open disk %s",
			       k->port, k->u->volume[k->volume].v.name);
	gk_ukey_next(k);
}

/* silent: the key did not even say so, and may still be waiting. */
static void not_touched(struct gk_ukey *k, int silent)
{
	if (silent) {
		gk_key_close(k->link);
		k->link = NULL;
	}
	if (++k->touches < GK_UNLOCK_TOUCHES && !silent) {
		begin_token(k);
		return;
	}
	gk_unlock_tell(k->u, "The security key on port %s was not touched; Enter alone "
		       "tries it again", k->port);
	k->state = KEY_PAUSED;
}

static void no_secret(struct gk_ukey *k, int err)
{
	if (err != GK_KEY_ERR_PIN_INVALID && k->used_pin &&
	    (err == GK_KEY_ERR_USER_ACTION_TIMEOUT || err == GK_KEY_ERR_ACTION_TIMEOUT ||
	     err == GK_KEY_ERR_NO_CREDENTIALS))
		k->pin_right = 1;
	switch (err) {
	case GK_KEY_ERR_PIN_INVALID:
		wipe(k);
		gk_unlock_tell(k->u, "Wrong PIN for the security key on port %s",
			       k->port);
		begin_token(k);
		return;
	case GK_KEY_ERR_PIN_BLOCKED:
		pin_blocked(k);
		return;
	case GK_KEY_ERR_PIN_AUTH_BLOCKED:
		gk_unlock_tell(k->u, "Too many wrong PINs: unplug the security key on "
			       "port %s and plug it in again, or use the passphrase",
			       k->port);
		spent(k);
		return;
	case GK_KEY_ERR_PIN_REQUIRED:
	case GK_KEY_ERR_UV_BLOCKED:
	case GK_KEY_ERR_UV_INVALID:
		/* Once: the key has one, and nobody gave it; or it is not the finger. */
		if (!k->used_pin && !k->pin_asked && k->flags & GK_KEY_PIN_SET) {
			if (err != GK_KEY_ERR_PIN_REQUIRED)
				gk_unlock_tell(k->u, "The security key on port %s does "
					       "not know this finger: it asks for its "
					       "PIN", k->port);
			k->pin_asked = 1;
			k->without_pin = 0;
			begin_token(k);
			return;
		}
		break;
	case GK_KEY_ERR_UP_REQUIRED:
	case GK_KEY_ERR_UNSUPPORTED_OPTION:
	case GK_KEY_ERR_INVALID_OPTION:
		if (!k->up && token_of(k)->up != GK_NEED_YES) {
			k->up = 1;
			/* With the PIN that was typed for this very request: sent
			 * again only when the key has taken it. */
			if (k->used_pin)
				k->pin_right = 1;
			begin_token(k);
			return;
		}
		break;
	case GK_KEY_ERR_USER_ACTION_TIMEOUT:
	case GK_KEY_ERR_ACTION_TIMEOUT:
	case GK_KEY_ERR_DENIED:
	case GK_KEY_ERR_CANCELLED:
		not_touched(k, 0);
		return;
	case GK_KEY_ERR_NO_CREDENTIALS:
		token_failed(k, 0);
		return;
	case GK_KEY_ERR_BUSY:
		if (busy(k))
			return;
		break;
	default:
		break;
	}
	if (err < 0 && k->told_touch &&
	    gk_now_ms() - k->asked_at >= GK_KEY_TOUCH_MS - GK_UNLOCK_PULLED_MS) {
		not_touched(k, 1);
		return;
	}
	gk_log(LOG_WARNING, "key on port %s: error %d", k->port, err);
	broke_off(k);
}

static void replied_secret(struct gk_ukey *k, const struct gk_key_reply *r)
{
	if (r->say == GK_KEY_TOUCH) {
		if (!k->touch_at)
			k->touch_at = gk_now_ms();
		if (!k->told_touch)
			gk_unlock_tell(k->u, "Touch the security key on port %s now",
				       k->port);
		k->told_touch = 1;
		return;
	}
	if (r->err) {
		no_secret(k, r->err);
		return;
	}
	if (k->used_pin)
		k->pin_right = 1;
	k->secret_at = gk_now_ms();
	gk_base64_encode(r->data, GK_FIDO_SECRET, k->secret);
	k->secret_ready = 1;
	k->state = KEY_TRYING;
	gk_utry_next(k->u);
}

void gk_ukey_tried(struct gk_ukey *k, int result)
{
	if (k->state != KEY_TRYING)
		return;
	if (!k->link) {
		spent(k);
		return;
	}
	if (result == 0 || k->u->volume[k->volume].state != VOLUME_PENDING) {
		gk_ukey_next(k);
	} else if (result == GK_ERR_VALUE && k->used_pin &&
		   !(k->flags & GK_KEY_ALWAYS_UV) && !k->without_pin) {
		/* CTAP 2.1 12.5: a key has two secrets, with and without user
		 * verification, and a token may say PIN and mean the other. */
		k->without_pin = 1;
		begin_token(k);
	} else {
		token_failed(k, 1);
	}
}

static void on_reply(void *ctx, const struct gk_key_reply *r)
{
	struct gk_ukey *k = ctx;

	switch (k->state) {
	case KEY_LOOKING:
		looked(k, r);
		break;
	case KEY_FINDING:
		replied_find(k, r);
		break;
	case KEY_COUNTING:
		replied_retries(k, r);
		break;
	case KEY_SECRET:
		replied_secret(k, r);
		break;
	case KEY_ABSENT:
	case KEY_OPENING:
	case KEY_RESTING:
	case KEY_PIN:
	case KEY_TRYING:
	case KEY_PAUSED:
	case KEY_SPENT:
		break;
	}
	if (k->state == KEY_RESTING || k->state == KEY_SPENT)
		others_next(k);
	gk_unlock_question(k->u);
}

static void on_gone(void *ctx, const char *why)
{
	struct gk_ukey *k = ctx;
	int was_at_work = k->state >= KEY_COUNTING && k->state <= KEY_TRYING;

	k->link = NULL;
	gk_log(LOG_WARNING, "key on port %s: %s", k->port, why);
	/* Its secret may be on its way to a keyslot. */
	if (k->state == KEY_TRYING)
		return;
	if (was_at_work)
		broke_off(k);
	else
		spent(k);
	others_next(k);
	gk_unlock_question(k->u);
}
