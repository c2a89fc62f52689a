/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "luks/enroll_ask.h"
#include "luks/enroll_key.h"

/* --- one exchange --- */

static void on_reply(void *ctx, const struct gk_key_reply *r)
{
	struct gk_ekey *k = ctx;

	if (r->say == GK_KEY_TOUCH) {
		if (!k->told)
			gk_say("Touch the security key on port %s now", k->port);
		k->told = 1;
		return;
	}
	k->reply = *r;
	k->done = 1;
}

static void on_gone(void *ctx, const char *why)
{
	struct gk_ekey *k = ctx;

	k->link = NULL;
	k->gone = why;
	k->done = 1;
}

static void on_pause(void *ctx)
{
	struct gk_ekey *k = ctx;

	k->done = 1;
}

static int pause_ms(struct gk_ekey *k, unsigned ms)
{
	int err;

	k->done = 0;
	gk_timer_set(k->loop, &k->pause, ms, on_pause, k);
	err = gk_loop_until(k->loop, &k->done);
	gk_timer_clear(k->loop, &k->pause);
	return err;
}

/* GK_ERR_CLOSED: the command is to end; GK_ERR_SYSTEM: its process or its socket
 * has gone. r is wiped. What the key said is in k->reply. */
static int exchange_once(struct gk_ekey *k, struct gk_key_request *r)
{
	int err = GK_ERR_SYSTEM;

	k->done = k->told = 0;
	if (k->link)
		err = gk_key_send(k->link, r);
	if (!err)
		err = gk_loop_until(k->loop, &k->done);
	else if (!k->gone)
		k->gone = "its process takes nothing";
	if (!err && k->gone)
		err = GK_ERR_SYSTEM;
	return err;
}

/* Another program is at the key; it may be done in a moment. */
static int exchange(struct gk_ekey *k, struct gk_key_request *r)
{
	int err = exchange_once(k, r);

	for (int i = 0; i < GK_ENROLL_BUSY_TRIES && !err &&
			k->reply.err == GK_KEY_ERR_BUSY; i++) {
		err = pause_ms(k, GK_ENROLL_BUSY_MS);
		if (!err)
			err = exchange_once(k, r);
	}
	explicit_bzero(r, sizeof(*r));
	return err == GK_ERR_CLOSED ? err : err ? GK_ERR_SYSTEM : GK_OK;
}

/* --- words --- */

static int say_lost(const struct gk_ekey *k, int err)
{
	if (err == GK_ERR_CLOSED)
		return err;
	gk_fail("the security key on port %s does not answer any more (%s)", k->port,
		k->gone ? k->gone : "no reason given");
	return err;
}

static int say_error(const struct gk_ekey *k, int code)
{
	switch (code) {
	case GK_KEY_ERR_PIN_BLOCKED:
		return gk_fail("the PIN of the security key on port %s is blocked; only "
			       "resetting the key helps, which destroys what is on it",
			       k->port);
	case GK_KEY_ERR_PIN_AUTH_BLOCKED:
		return gk_fail("too many wrong PINs: unplug the security key on port %s, "
			       "plug it in again and start once more", k->port);
	case GK_KEY_ERR_USER_ACTION_TIMEOUT:
	case GK_KEY_ERR_ACTION_TIMEOUT:
	case GK_KEY_ERR_DENIED:
	case GK_KEY_ERR_CANCELLED:
		return gk_fail("the security key on port %s was not touched", k->port);
	case GK_KEY_ERR_UV_INVALID:
		return gk_fail("the security key on port %s does not know this finger",
			       k->port);
	case GK_KEY_ERR_UV_BLOCKED:
		return gk_fail("the security key on port %s looks at no finger any more: "
			       "it wants its PIN first", k->port);
	case GK_KEY_ERR_UP_REQUIRED:
	case GK_KEY_ERR_UNSUPPORTED_OPTION:
	case GK_KEY_ERR_INVALID_OPTION:
		return gk_fail("the security key on port %s gives no secret without a "
			       "touch", k->port);
	case GK_KEY_ERR_BUSY:
		return gk_fail("the security key on port %s is busy with another program",
			       k->port);
	default:
		if (code < 0)	/* libfido2's own: no answer, or none that it can read */
			return gk_fail("the security key on port %s was unplugged, or "
				       "does not answer as it should", k->port);
		return gk_fail("the security key on port %s refuses (CTAP error 0x%02x)",
			       k->port, (unsigned)code & 0xff);
	}
}

/* --- opening --- */

static int look(struct gk_ekey *k, int quiet)
{
	struct gk_key_request r = { .ask = GK_KEY_LOOK, .timeout_ms = GK_KEY_FAST_MS };
	int err = exchange(k, &r);

	if (err)
		return quiet ? err : say_lost(k, err);
	if (k->reply.err)
		return quiet ? GK_ERR_VALUE : say_error(k, k->reply.err);
	k->flags = k->reply.flags;
	memcpy(k->aaguid, k->reply.aaguid, sizeof(k->aaguid));
	return 0;
}

int gk_ekey_open(struct gk_ekey *k, struct gk_loop *l, int quiet)
{
	struct gk_key_events ev = { on_reply, on_gone, k };
	int err, waited = 0;

	if (k->link)
		return 0;
	k->loop = l;
	k->gone = NULL;
	err = gk_key_open(l, k->socket, &ev, &k->link);
	/* The socket of a key that was just plugged in is there a moment before
	 * anybody listens at it. */
	for (int i = 0; i < GK_ENROLL_OPEN_TRIES && err == GK_ERR_CLOSED; i++) {
		waited = pause_ms(k, GK_ENROLL_OPEN_MS);
		if (waited)
			break;
		err = gk_key_open(l, k->socket, &ev, &k->link);
	}
	if (err && !quiet)
		gk_fail("the security key on port %s: %s", k->port, gk_strerror(err));
	if (!err)
		err = look(k, quiet);
	if (err) {
		gk_key_close(k->link);
		k->link = NULL;
	}
	return err;
}

void gk_ekey_close(struct gk_ekey *k)
{
	gk_key_close(k->link);
	k->link = NULL;
	explicit_bzero(k->pin, sizeof(k->pin));
	explicit_bzero(&k->reply, sizeof(k->reply));
	k->pin_right = 0;
}

void gk_ekey_aaguid(const struct gk_ekey *k, char out[37])
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(k->aaguid); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[n++] = '-';
		snprintf(out + n, 3, "%02x", k->aaguid[i]);
		n += 2;
	}
}

int gk_ekey_has(struct gk_ekey *k, const struct gk_token *t)
{
	struct gk_key_request r = {
		.ask = GK_KEY_FIND, .timeout_ms = GK_KEY_FAST_MS,
		.credential_len = t->credential_len,
	};

	memcpy(r.rp, t->rp, sizeof(t->rp));
	memcpy(r.credential, t->credential, t->credential_len);
	if (exchange(k, &r))
		return GK_ERR_VALUE;
	if (k->reply.err == GK_KEY_OK)
		return k->reply.found != 0;
	if (k->reply.err == GK_KEY_ERR_NO_CREDENTIALS)
		return 0;
	return GK_ERR_VALUE;
}

/* --- the PIN --- */

static int tries_left(struct gk_ekey *k)
{
	struct gk_key_request r = { .ask = GK_KEY_RETRIES, .timeout_ms = GK_KEY_FAST_MS };
	int err = exchange(k, &r);

	if (err)
		return say_lost(k, err);
	if (k->reply.err)
		return say_error(k, k->reply.err);
	return k->reply.retries ? k->reply.retries : say_error(k, GK_KEY_ERR_PIN_BLOCKED);
}

/* A try is spent only with what was typed for this very question, once. */
static int ask_pin(struct gk_ekey *k)
{
	char question[160];
	int left, n;

	if (k->pin_right)
		return 0;
	explicit_bzero(k->pin, sizeof(k->pin));
	left = tries_left(k);
	if (left < 0)
		return left;
	snprintf(question, sizeof(question), left == 1 ?
		 "PIN of the security key on port %s, %d try left: a wrong one blocks "
		 "it" : "PIN of the security key on port %s, %d tries left", k->port, left);
	do {
		n = gk_ask(k->loop, question, 1, k->pin, sizeof(k->pin));
		if (n == 0)
			return gk_fail("no PIN was given");
		if (n == GK_ERR_LIMIT || (n > 0 && n < GK_KEY_PIN_MIN))
			gk_say("A PIN has %d to %d characters; this one was not tried",
			       GK_KEY_PIN_MIN, GK_KEY_PIN_MAX);
	} while (n == GK_ERR_LIMIT || (n > 0 && n < GK_KEY_PIN_MIN));
	return n < 0 ? gk_fail("no PIN was given") : 0;
}

static int is_touch_missing(int code)
{
	return code == GK_KEY_ERR_USER_ACTION_TIMEOUT ||
	       code == GK_KEY_ERR_ACTION_TIMEOUT || code == GK_KEY_ERR_DENIED;
}

static int is_finger_unknown(int code)
{
	return code == GK_KEY_ERR_UV_INVALID || code == GK_KEY_ERR_UV_BLOCKED;
}

static int is_touch_wanted(int code)
{
	return code == GK_KEY_ERR_UP_REQUIRED || code == GK_KEY_ERR_UNSUPPORTED_OPTION ||
	       code == GK_KEY_ERR_INVALID_OPTION;
}

/* How one exchange that needs a person is to be tried. */
struct gk_try {
	int with_pin, may_add_pin;
	uint8_t up, uv;		/* uv: when there is no PIN */
	int may_add_up;
	int touches;
};

/* After an answer with an error: 0, do it again with what *t is now. */
static int once_more(struct gk_ekey *k, struct gk_try *t)
{
	int code = k->reply.err;

	/* CTAP 2.1 6.1.2 and 6.2.2: the PIN is looked at before those. */
	if (t->with_pin && (is_touch_missing(code) || code == GK_KEY_ERR_NO_CREDENTIALS))
		k->pin_right = 1;
	if (code == GK_KEY_ERR_NO_CREDENTIALS)
		return GK_ERR_NOT_FOUND;
	if (code == GK_KEY_ERR_PIN_INVALID) {
		k->pin_right = 0;
		explicit_bzero(k->pin, sizeof(k->pin));
		gk_say("Wrong PIN");
		return 0;
	}
	if ((code == GK_KEY_ERR_PIN_REQUIRED || is_finger_unknown(code)) &&
	    !t->with_pin && t->may_add_pin && k->flags & GK_KEY_PIN_SET) {
		t->with_pin = 1;
		return 0;
	}
	if (is_touch_wanted(code) && t->up != GK_KEY_TRUE && t->may_add_up) {
		if (t->with_pin)
			k->pin_right = 1;
		t->up = GK_KEY_TRUE;
		return 0;
	}
	if (code == GK_KEY_ERR_UV_INVALID)
		gk_say("The security key on port %s does not know this finger", k->port);
	if ((is_touch_missing(code) || code == GK_KEY_ERR_UV_INVALID) &&
	    ++t->touches < GK_ENROLL_TOUCHES)
		return 0;
	return say_error(k, code);
}

static int with_person(struct gk_ekey *k, const struct gk_key_request *what,
		       struct gk_try *t)
{
	int err;

	for (;;) {
		struct gk_key_request r = *what;

		if (t->with_pin) {
			err = ask_pin(k);
			if (err)
				return err;
			memcpy(r.pin, k->pin, sizeof(r.pin));
		}
		r.has_pin = t->with_pin != 0;
		r.up = t->up;
		r.uv = t->with_pin ? GK_KEY_OMIT : t->uv;
		err = exchange(k, &r);
		if (err)
			return say_lost(k, err);
		if (!k->reply.err)
			break;
		err = once_more(k, t);
		if (err)
			return err;
	}
	if (t->with_pin)
		k->pin_right = 1;
	return 0;
}

int gk_ekey_make(struct gk_ekey *k, struct gk_token *t, const char *user)
{
	struct gk_key_request r = { .ask = GK_KEY_MAKE, .timeout_ms = GK_KEY_TOUCH_MS };
	struct gk_try how = {
		.with_pin = t->pin == GK_NEED_YES, .uv = (uint8_t)gk_key_uv(k->flags, t),
		.may_add_pin = t->uv != GK_NEED_YES,
	};
	int err;

	memcpy(r.rp, t->rp, sizeof(t->rp));
	snprintf(r.user_name, sizeof(r.user_name), "%s", user);
	r.user_len = (uint8_t)strlen(r.user_name);
	memcpy(r.user_id, r.user_name, r.user_len);
	err = with_person(k, &r, &how);
	if (err)
		return err;
	t->credential_len = (uint16_t)k->reply.data_len;
	memcpy(t->credential, k->reply.data, t->credential_len);
	return 0;
}

int gk_ekey_secret(struct gk_ekey *k, const struct gk_token *t, int with_pin,
		   char out[GK_SECRET_BASE64 + 1], int *used_pin)
{
	struct gk_key_request r = {
		.ask = GK_KEY_SECRET, .timeout_ms = GK_KEY_TOUCH_MS,
		.credential_len = t->credential_len,
	};
	struct gk_try how = {
		.with_pin = with_pin, .uv = (uint8_t)gk_key_uv(k->flags, t),
		.may_add_pin = t->pin == GK_NEED_IF_ASKED ||
			       (with_pin < 0 && t->uv == GK_NEED_YES),
		.may_add_up = t->up == GK_NEED_IF_ASKED,
	};
	int err;

	if (with_pin < 0)
		how.with_pin = k->flags & GK_KEY_PIN_SET &&
			       (t->pin == GK_NEED_YES ||
				(k->flags & GK_KEY_ALWAYS_UV && how.uv != GK_KEY_TRUE));
	how.up = !(k->flags & GK_KEY_UP) ? GK_KEY_OMIT :
		 t->up == GK_NEED_YES ? GK_KEY_TRUE : GK_KEY_FALSE;
	memcpy(r.rp, t->rp, sizeof(t->rp));
	memcpy(r.credential, t->credential, t->credential_len);
	memcpy(r.salt, t->salt, sizeof(r.salt));
	err = with_person(k, &r, &how);
	if (err)
		return err;
	if (used_pin)
		*used_pin = how.with_pin;
	gk_base64_encode(k->reply.data, GK_FIDO_SECRET, out);
	explicit_bzero(&k->reply, sizeof(k->reply));
	return 0;
}
