/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dom0/clock.h"
#include "dom0/log.h"
#include "luks/text.h"
#include "luks/unlock_state.h"

static struct gk_unlock unlock;

int gk_unlock_pending(const struct gk_unlock *u)
{
	int n = 0;

	for (unsigned i = 0; i < GK_VOLUMES; i++)
		n += u->volume[i].state == VOLUME_PENDING;
	return n;
}

void gk_unlock_tell(struct gk_unlock *u, const char *fmt, ...)
{
	char text[GK_PROMPT_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	gk_log(LOG_NOTICE, "%s", text);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), _(fmt), ap);
	va_end(ap);
	gk_prompt_tell(u->prompt, text);
}

/* --- ends --- */

static void nobody_there(void *ctx)
{
	struct gk_unlock *u = ctx;

	gk_unlock_tell(u, "Nothing was typed for %d minutes; the system asks itself now",
		       GK_UNLOCK_IDLE_MS / 60000);
	gk_unlock_end_all(u, GK_UNLOCK_IDLE);
}

static void somebody_there(struct gk_unlock *u)
{
	gk_timer_set(u->loop, &u->idle, GK_UNLOCK_IDLE_MS, nobody_there, u);
}

static void rest(struct gk_unlock *u)
{
	if (gk_unlock_pending(u))
		return;
	gk_timer_clear(u->loop, &u->idle);
	gk_timer_clear(u->loop, &u->grace);
	gk_timer_clear(u->loop, &u->ask_again);
	explicit_bzero(u->typed, sizeof(u->typed));
	u->typed_ready = 0;
	u->wrong = u->questions_failed = u->flaps = 0;
	for (unsigned i = 0; i < GK_KEYS; i++)
		gk_ukey_release(&u->key[i]);
}

void gk_unlock_finish(struct gk_unlock *u, unsigned volume, struct gk_unlock_how *how)
{
	struct gk_uvolume *v = &u->volume[volume];
	gk_unlock_done *done = v->done;
	void *ctx = v->ctx;

	how->total_ms = (int64_t)(gk_now_ms() - v->added_at);
	v->state = VOLUME_FREE;
	rest(u);
	gk_unlock_question(u);
	done(ctx, how);
}

void gk_unlock_end_all(struct gk_unlock *u, enum gk_unlock_end end)
{
	for (unsigned i = 0; i < GK_VOLUMES; i++) {
		struct gk_unlock_how how = {
			.end = end, .key_to_touch_ms = -1,
			.touch_to_open_ms = -1, .keyslot_ms = -1, .pbkdf_ms = -1,
		};

		if (u->volume[i].state != VOLUME_FREE)
			gk_unlock_finish(u, i, &how);
	}
}

/* --- the question --- */

static void ask_now(void *ctx)
{
	gk_unlock_question(ctx);
}

void gk_unlock_grace(struct gk_unlock *u)
{
	gk_timer_set(u->loop, &u->grace, GK_UNLOCK_GRACE_MS, ask_now, u);
}

static const char *disk(const struct gk_unlock *u, char name[64])
{
	for (unsigned i = 0; i < GK_VOLUMES; i++) {
		if (u->volume[i].state != VOLUME_PENDING)
			continue;
		snprintf(name, 64, "%s", u->volume[i].v.name);
		break;
	}
	gk_printable(name);
	return name;
}

static void pin_text(const struct gk_ukey *k, char text[GK_PROMPT_TEXT])
{
	if (k->retries == 1)
		snprintf(text, GK_PROMPT_TEXT, _("PIN of the security key on port %s: "
			 "LAST TRY, then it is blocked (Enter alone: passphrase)"),
			 k->port);
	else
		snprintf(text, GK_PROMPT_TEXT, dngettext(GK_TEXT_DOMAIN,
			 "PIN of the security key on port %s, %d try left (Enter "
			 "alone: passphrase)",
			 "PIN of the security key on port %s, %d tries left (Enter "
			 "alone: passphrase)", (unsigned)k->retries), k->port, k->retries);
}

static void passphrase_text(const struct gk_unlock *u, char text[GK_PROMPT_TEXT])
{
	int waits = 0, paused = 0;
	char name[64] = "";

	for (unsigned i = 0; i < GK_KEYS; i++) {
		waits |= u->key[i].state == KEY_SECRET;
		paused |= u->key[i].state == KEY_PAUSED;
	}
	snprintf(text, GK_PROMPT_TEXT, waits ?
		 _("Passphrase for disk %s, or touch the security key") : paused ?
		 _("Passphrase for disk %s (Enter alone: security key)") :
		 _("Passphrase for disk %s, or plug in its security key"), disk(u, name));
}

static enum gk_uquestion wanted(const struct gk_unlock *u, unsigned *key)
{
	int new_key = 0;

	if (!gk_unlock_pending(u))
		return ASK_NOTHING;
	/* While what was typed is being tried there is nothing to ask. */
	if (u->typed_ready || u->source == FROM_PERSON)
		return ASK_NOTHING;
	for (unsigned i = 0; i < GK_KEYS; i++) {
		if (u->key[i].state == KEY_PIN) {
			*key = i;
			return ASK_PIN;
		}
		new_key |= gk_ukey_is_new(&u->key[i]);
	}
	/* A question that stands is not taken away for that. */
	if (u->asked == ASK_NOTHING && new_key && u->grace.at)
		return ASK_NOTHING;
	return ASK_PASSPHRASE;
}

void gk_unlock_question(struct gk_unlock *u)
{
	char text[GK_PROMPT_TEXT], id[GK_VOLUME_NAME + 16], name[64] = "";
	unsigned key = 0;
	enum gk_uquestion q = wanted(u, &key);
	int typing = gk_prompt_typing(u->prompt);

	if (q == u->asked && (q != ASK_PIN || key == u->asked_key))
		return;
	/* Its answer is still to come, and counts for what is wanted by then. */
	if (u->asked != ASK_NOTHING && gk_prompt_stays(u->prompt))
		return;
	if (q == ASK_NOTHING) {
		u->asked = q;
		gk_prompt_withdraw(u->prompt);
		return;
	}
	if (u->ask_again.at)
		return;
	if (u->asked != ASK_NOTHING && typing >= 0 && typing < GK_UNLOCK_TYPING_MS) {
		gk_timer_set(u->loop, &u->ask_again,
			     (uint64_t)(GK_UNLOCK_TYPING_MS - typing), ask_now, u);
		return;
	}
	u->asked_over_passphrase = q == ASK_PIN && u->asked == ASK_PASSPHRASE;
	u->asked = q;
	u->asked_key = key;
	memcpy(u->asked_port, u->key[key].port, sizeof(u->asked_port));
	u->asked_at = gk_now_ms();
	if (q == ASK_PIN)
		pin_text(&u->key[key], text);
	else
		passphrase_text(u, text);
	snprintf(id, sizeof(id), "gatekeeper:%s", disk(u, name));
	gk_prompt_ask(u->prompt, id, text);
}

static void passphrase_typed(struct gk_unlock *u, const char *text, size_t len,
			     int for_pin)
{
	memcpy(u->typed, text, len);
	u->typed_len = len;
	u->typed_ready = 1;
	u->typed_for_pin = for_pin;
	gk_utry_next(u);
}

static void on_answer(void *ctx, const char *text, size_t len)
{
	struct gk_unlock *u = ctx;
	struct gk_ukey *k = &u->key[u->asked_key];
	enum gk_uquestion asked = u->asked;
	int too_fast = u->asked_over_passphrase &&
		       gk_now_ms() - u->asked_at < GK_UNLOCK_TOO_FAST_MS;

	u->asked = ASK_NOTHING;
	u->questions_failed = u->flaps = 0;
	if (!gk_unlock_pending(u))
		return;
	somebody_there(u);
	if (len > GK_PASSPHRASE) {
		gk_unlock_tell(u, "That is too long for a passphrase");
	} else if (asked == ASK_PIN && k->state == KEY_PIN &&
		   (len == 0 || (!too_fast && len >= GK_KEY_PIN_MIN &&
				 len <= GK_KEY_PIN_MAX))) {
		gk_ukey_pin(k, text, len);
	} else if (len > 0) {
		/* No PIN is that short or long, or nobody reads and types so fast:
		 * a passphrase, and no try of the PIN is spent on it. */
		passphrase_typed(u, text, len, asked == ASK_PIN);
	} else {
		gk_unlock_grace(u);
		for (unsigned i = 0; i < GK_KEYS; i++)
			gk_ukey_again(&u->key[i]);
	}
	gk_unlock_question(u);
}

static void on_failed(void *ctx)
{
	struct gk_unlock *u = ctx;

	u->asked = ASK_NOTHING;
	if (++u->questions_failed < GK_UNLOCK_QUESTIONS) {
		gk_timer_set(u->loop, &u->ask_again, GK_UNLOCK_AGAIN_MS, ask_now, u);
		return;
	}
	gk_log(LOG_ERR, "there is nothing to ask for a passphrase on");
	gk_unlock_end_all(u, GK_UNLOCK_NO_PROMPT);
}

/* --- keys --- */

static void on_came(void *ctx, unsigned index, const char *port, const char *socket)
{
	struct gk_unlock *u = ctx;

	u->key[index].u = u;
	gk_ukey_came(&u->key[index], port, socket);
	if (gk_unlock_pending(u))
		gk_ukey_resume(&u->key[index]);
}

static void on_went(void *ctx, unsigned index)
{
	struct gk_unlock *u = ctx;

	u->flaps += u->asked == ASK_PIN && u->asked_key == index;
	gk_ukey_went(&u->key[index]);
	/* Others may have left the field to it. */
	for (unsigned i = 0; i < GK_KEYS; i++)
		if (u->key[i].state == KEY_RESTING)
			gk_ukey_next(&u->key[i]);
	gk_unlock_question(u);
}

/* --- the interface --- */

int gk_unlock_open(struct gk_loop *l, struct gk_prompt *p, const char *keys,
		   struct gk_unlock **out)
{
	struct gk_unlock *u = &unlock;

	memset(u, 0, sizeof(*u));
	u->loop = l;
	u->prompt = p;
	p->answer = on_answer;
	p->failed = on_failed;
	p->ctx = u;
	u->keys.came = on_came;
	u->keys.went = on_went;
	u->keys.ctx = u;
	*out = u;
	return gk_keys_watch(&u->keys, l, keys);
}

int gk_unlock_add(struct gk_unlock *u, const struct gk_volume *v, gk_unlock_done *done,
		  void *ctx, unsigned *id)
{
	unsigned slot = 0;
	int first = !gk_unlock_pending(u);

	while (slot < GK_VOLUMES && u->volume[slot].state != VOLUME_FREE)
		slot++;
	if (slot == GK_VOLUMES)
		return GK_ERR_LIMIT;
	u->volume[slot] = (struct gk_uvolume){
		.state = VOLUME_PENDING, .id = ++u->next_id, .v = *v, .done = done,
		.ctx = ctx, .added_at = gk_now_ms(),
	};
	*id = u->volume[slot].id;
	somebody_there(u);
	gk_unlock_grace(u);
	for (unsigned i = 0; i < GK_KEYS; i++) {
		gk_ukey_forget(&u->key[i], slot);
		if (first)
			gk_ukey_resume(&u->key[i]);
		else if (u->key[i].state == KEY_RESTING)
			gk_ukey_next(&u->key[i]);
	}
	gk_utry_next(u);
	gk_unlock_question(u);
	return GK_OK;
}

void gk_unlock_drop(struct gk_unlock *u, unsigned id)
{
	for (unsigned i = 0; i < GK_VOLUMES; i++)
		if (u->volume[i].state != VOLUME_FREE && u->volume[i].id == id)
			u->volume[i].state = VOLUME_FREE;
	rest(u);
	gk_unlock_question(u);
}

void gk_unlock_close(struct gk_unlock *u)
{
	for (unsigned i = 0; i < GK_VOLUMES; i++)
		u->volume[i].state = VOLUME_FREE;
	rest(u);
	u->asked = ASK_NOTHING;
	gk_prompt_withdraw(u->prompt);
	explicit_bzero(u->cache, sizeof(u->cache));
	explicit_bzero(u->running, sizeof(u->running));
}
