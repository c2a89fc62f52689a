/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A gate that says anything at all, in five bytes a frame: type and time, device,
 * generation, two bytes of payload. The session takes frames that no decoder
 * would let through too: gatekeeperd does not rely on its reader.
 */
#include <string.h>

#include "core/session.h"
#include "fuzz.h"

enum { STEP = 5 };

static const uint8_t nonce[GK_LINK_NONCE] = { 0x47 };

static struct gk_frame frame(const uint8_t *b)
{
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.type = b[0] & 15;
	f.device = b[1];
	f.generation = b[2];
	switch ((enum gk_link_type)f.type) {
	case GK_LINK_HELLO:
		f.u.hello.nonce[0] = b[3];
		break;
	case GK_LINK_DEVICE:
		f.u.dev.verdict = b[3];
		f.u.dev.granted = b[4];
		break;
	case GK_LINK_KEY:
		f.u.key.code = (uint16_t)(b[3] | (b[4] & 0x7e) << 7);
		f.u.key.value = (uint8_t)((b[4] & 1) | (b[4] & 0x80) >> 6);
		break;
	case GK_LINK_GONE:
	case GK_LINK_LED:
	case GK_LINK_QUIESCE:
	case GK_LINK_QUIESCED:
	case GK_LINK_PING:
	case GK_LINK_LOG:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
	case GK_LINK_FIDO:
	case GK_LINK_MANIFEST:
		break;
	}
	return f;
}

static void check_state(const struct gk_session *s)
{
	static const struct gk_session_device none;

	MUST(!s->quiesced || (s->quiescing && s->open));
	MUST(s->window_fido <= GK_SESSION_FIDO && s->window_keys <= GK_SESSION_KEYS &&
	     s->window_frames <= GK_SESSION_FRAMES);
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &s->dev[i];
		int keyboard = (d->info.verdict == GK_VERDICT_ADMITTED ||
				d->info.verdict == GK_VERDICT_PARTLY) &&
			       (d->info.granted & GK_ROLE_KEYBOARD);

		if (d->id == 0) {
			MUST(memcmp(d, &none, sizeof(none)) == 0);
			continue;
		}
		MUST(s->open);
		MUST(d->generation >= 1 && d->generation <= s->last_generation);
		MUST(keyboard || memcmp(d->down, none.down, sizeof(d->down)) == 0);
		MUST((d->down[0] & 1) == 0);
		for (unsigned j = 0; j < i; j++)
			MUST(s->dev[j].id != d->id &&
			     s->dev[j].generation != d->generation);
	}
}

/* Apart from the flood counters nothing may change. */
static void check_unchanged(const struct gk_session *s, const struct gk_session *before)
{
	MUST(s->open == before->open && s->quiescing == before->quiescing &&
	     s->quiesced == before->quiesced);
	MUST(s->last_generation == before->last_generation);
	MUST(memcmp(s->dev, before->dev, sizeof(s->dev)) == 0);
}

static void check_key(struct gk_session *s, const struct gk_session *before,
		      const struct gk_frame *f)
{
	struct gk_session_device *d = gk_session_find(s, f->device);
	struct gk_session old = *before;
	struct gk_session_device *was = gk_session_find(&old, f->device);
	uint16_t code = f->u.key.code;

	MUST(d && was && d->generation == f->generation);
	MUST(code >= 1 && code <= 255);
	MUST((d->down[code / 8] >> code % 8 & 1) == f->u.key.value);
	MUST((was->down[code / 8] >> code % 8 & 1) != f->u.key.value);
	MUST(!f->u.key.value || gk_session_key_down(s, code, 0));
	d->down[code / 8] ^= (uint8_t)(1 << code % 8);
	check_unchanged(s, before);
	d->down[code / 8] ^= (uint8_t)(1 << code % 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gk_session s, before;
	uint64_t now = 0;

	gk_session_init(&s, nonce);
	for (; size >= STEP; data += STEP, size -= STEP) {
		struct gk_frame f = frame(data);
		int ret;

		now += data[0] >> 4;
		if (f.type == 0 && data[1] == 0xff)
			gk_session_quiesce(&s);
		before = s;
		ret = gk_session_frame(&s, &f, now);
		MUST(ret <= 1);
		check_state(&s);
		if (ret != 0)
			check_unchanged(&s, &before);
		else if (f.type == GK_LINK_KEY)
			check_key(&s, &before, &f);
		if (f.type == GK_LINK_FIDO && ret == 0) {
			const struct gk_session_device *d =
				gk_session_find(&s, f.device);

			MUST(d && d->generation == f.generation &&
			     d->info.granted & GK_ROLE_FIDO &&
			     (d->info.verdict == GK_VERDICT_ADMITTED ||
			      d->info.verdict == GK_VERDICT_PARTLY));
			check_unchanged(&s, &before);
		}
		if (f.type == GK_LINK_GONE && ret == 0)
			MUST(!gk_session_find(&s, f.device));
	}
	return 0;
}
