/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "session.h"

void gk_session_init(struct gk_session *s, const uint8_t nonce[GK_LINK_NONCE])
{
	memset(s, 0, sizeof(*s));
	memcpy(s->nonce, nonce, GK_LINK_NONCE);
}

void gk_session_quiesce(struct gk_session *s)
{
	s->quiescing = 1;
}

struct gk_session_device *gk_session_find(struct gk_session *s, uint32_t id)
{
	if (id == 0)
		return NULL;
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		if (s->dev[i].id == id)
			return &s->dev[i];
	return NULL;
}

static int is_down(const struct gk_session_device *d, uint16_t code)
{
	return d->down[code >> 3] >> (code & 7) & 1;
}

int gk_session_key_down(const struct gk_session *s, uint16_t code, uint32_t but)
{
	if (code > 255)
		return 0;
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		if (s->dev[i].id != 0 && s->dev[i].id != but &&
		    is_down(&s->dev[i], code))
			return 1;
	return 0;
}

/*
 * Counts in tumbling windows, so at most twice the limit passes in any one
 * second: enough to stop a flood, and the state is three numbers.
 */
static int flood(struct gk_session *s, const struct gk_frame *f, uint64_t now_ms)
{
	if (now_ms < s->window_start_ms ||
	    now_ms - s->window_start_ms >= GK_SESSION_WINDOW_MS) {
		s->window_start_ms = now_ms;
		s->window_frames = 0;
		s->window_keys = 0;
		s->window_fido = 0;
	}
	if (s->window_frames >= GK_SESSION_FRAMES)
		return GK_ERR_LIMIT;
	s->window_frames++;
	if (f->type == GK_LINK_KEY) {
		if (s->window_keys >= GK_SESSION_KEYS)
			return GK_ERR_LIMIT;
		s->window_keys++;
	}
	if (f->type == GK_LINK_FIDO) {
		if (s->window_fido >= GK_SESSION_FIDO)
			return GK_ERR_LIMIT;
		s->window_fido++;
	}
	return GK_OK;
}

static int on_hello(struct gk_session *s, const struct gk_link_hello *h)
{
	int same = memcmp(h->nonce, s->nonce, GK_LINK_NONCE) == 0;

	/* A second answer, or one to a question never asked, once it is open. */
	if (s->open)
		return GK_ERR_ORDER;
	/* The answer to an older session's HELLO, still in the stream. */
	if (!same)
		return 1;
	s->open = 1;
	return 0;
}

static int on_device(struct gk_session *s, const struct gk_frame *f)
{
	struct gk_session_device *d = gk_session_find(s, f->device);

	if (f->device == 0 || f->generation == 0)
		return GK_ERR_VALUE;
	/* Above all that were told before, so above a replaced one's as well. */
	if (f->generation <= s->last_generation)
		return GK_ERR_ORDER;
	for (unsigned i = 0; i < GK_LINK_DEVICES && !d; i++)
		if (s->dev[i].id == 0)
			d = &s->dev[i];
	if (!d)
		return GK_ERR_LIMIT;
	memset(d, 0, sizeof(*d));
	d->id = f->device;
	d->generation = f->generation;
	d->info = f->u.dev;
	s->last_generation = f->generation;
	return 0;
}

static int on_gone(struct gk_session *s, const struct gk_frame *f)
{
	struct gk_session_device *d = gk_session_find(s, f->device);

	if (!d || d->generation != f->generation)
		return GK_ERR_ORDER;
	memset(d, 0, sizeof(*d));
	return 0;
}

static int has_role(const struct gk_session_device *d, uint8_t role)
{
	if (d->info.verdict != GK_VERDICT_ADMITTED &&
	    d->info.verdict != GK_VERDICT_PARTLY)
		return 0;
	return (d->info.granted & role) != 0;
}

static int on_key(struct gk_session *s, const struct gk_frame *f)
{
	const struct gk_link_key *k = &f->u.key;
	struct gk_session_device *d = gk_session_find(s, f->device);

	if (k->code < 1 || k->code > 255 || k->value > 1)
		return GK_ERR_VALUE;
	if (!d || d->generation != f->generation || !has_role(d, GK_ROLE_KEYBOARD))
		return GK_ERR_ORDER;
	if (is_down(d, k->code) == k->value)
		return 1;
	d->down[k->code >> 3] ^= (uint8_t)(1u << (k->code & 7));
	return 0;
}

static int on_fido(struct gk_session *s, const struct gk_frame *f)
{
	struct gk_session_device *d = gk_session_find(s, f->device);

	if (!d || d->generation != f->generation || !has_role(d, GK_ROLE_FIDO))
		return GK_ERR_ORDER;
	return 0;
}

static int on_quiesced(struct gk_session *s)
{
	if (!s->quiescing)
		return GK_ERR_ORDER;
	/* The devices stay in their slots: the caller lifts what is still down. */
	s->quiesced = 1;
	return 0;
}

int gk_session_frame(struct gk_session *s, const struct gk_frame *f, uint64_t now_ms)
{
	int err = flood(s, f, now_ms);

	if (err)
		return err;

	/* A wrong type or direction is an error even in what would be dropped. */
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_LED:
	case GK_LINK_QUIESCE:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
	case GK_LINK_MANIFEST:
		return GK_ERR_DIRECTION;
	case GK_LINK_HELLO:
		return on_hello(s, &f->u.hello);
	case GK_LINK_PING:
	case GK_LINK_LOG:
		return s->open ? 0 : 1;
	case GK_LINK_DEVICE:
	case GK_LINK_GONE:
	case GK_LINK_KEY:
	case GK_LINK_FIDO:
	case GK_LINK_QUIESCED:
		break;
	default:
		return GK_ERR_TYPE;
	}
	if (!s->open)
		return 1;
	if (s->quiesced)
		return GK_ERR_ORDER;
	if (f->type == GK_LINK_DEVICE)
		return on_device(s, f);
	if (f->type == GK_LINK_GONE)
		return on_gone(s, f);
	if (f->type == GK_LINK_KEY)
		return on_key(s, f);
	if (f->type == GK_LINK_FIDO)
		return on_fido(s, f);
	return on_quiesced(s);
}
