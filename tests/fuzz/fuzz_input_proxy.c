/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream of an input-proxy-sender. The first byte says how it is cut, the second
 * how fast it comes; the rest is the stream.
 *
 * What must hold:
 *   - however it is cut, the same is said of it;
 *   - a key is on the list and announced, and each says a change;
 *   - keys and events of a window stay within the bounds;
 *   - every event is a key, a report, or counted as dropped;
 *   - after an error nothing more is taken, and after lifting nothing is down.
 */
#include <string.h>

#include "core/input_proxy.h"
#include "core/keycode.h"
#include "fuzz.h"

enum { SAID = 1 << 16 };

struct heard {
	struct gk_input_proxy p;
	uint8_t down[GK_KEY_BYTES];
	int begun, err;
	uint64_t keys;
	unsigned n;
	uint16_t said[SAID]; /* code and value of each key */
};

static void on_key(struct heard *h, const struct gk_input_proxy_key *k)
{
	MUST(h->begun && k->value <= 1 && gk_key_allowed(k->code) && k->code < GK_KEYS);
	MUST(gk_key_is_down(h->p.announced, k->code));
	MUST(gk_key_is_down(h->down, k->code) != k->value);
	h->down[k->code >> 3] ^= (uint8_t)(1u << (k->code & 7));
	h->keys++;
	if (h->n < SAID)
		h->said[h->n++] = (uint16_t)(k->code << 1 | k->value);
}

static void check(const struct heard *h)
{
	const struct gk_input_proxy *p = &h->p;

	MUST(p->have <= p->want && p->want <= sizeof(p->part));
	MUST(p->window_events <= GK_INPUT_PROXY_EVENTS);
	MUST(p->window_keys <= GK_INPUT_PROXY_KEYS);
	MUST(memchr(p->name, 0, sizeof(p->name)) != NULL);
	MUST(memcmp(p->down, h->down, sizeof(p->down)) == 0);
	MUST((p->state == GK_INPUT_PROXY_AT_EVENTS) == (h->begun && !h->err));
}

static void take(struct heard *h, const uint8_t *data, size_t len, uint64_t now)
{
	struct gk_input_proxy_key key;
	size_t used = 0;

	for (int what = 1; what > 0;) {
		size_t before = used;

		what = gk_input_proxy_next(&h->p, data, len, &used, now, &key);
		MUST(used >= before && used <= len);
		if (what == GK_INPUT_PROXY_BEGIN) {
			MUST(!h->begun);
			h->begun = 1;
		} else if (what == GK_INPUT_PROXY_KEY) {
			on_key(h, &key);
		} else if (what < 0) {
			MUST(h->err ? what == GK_ERR_CLOSED : what != GK_ERR_CLOSED);
			if (!h->err)
				h->err = what;
		} else {
			MUST(used == len);
		}
		check(h);
	}
}

static void end(struct heard *h)
{
	struct gk_input_proxy_key key;
	int whole = !h->err && h->begun && h->p.have == 0;

	MUST(gk_input_proxy_end(&h->p) == (whole ? GK_OK : GK_ERR_SHORT));
	h->err = h->err ? h->err : GK_ERR_CLOSED;
	for (int i = 0; gk_input_proxy_lift(&h->p, &key) == GK_INPUT_PROXY_KEY; i++) {
		MUST(i < GK_KEYS && key.value == 0);
		on_key(h, &key);
	}
	for (int b = 0; b < GK_KEY_BYTES; b++)
		MUST(h->p.down[b] == 0);
	check(h);
	take(h, (const uint8_t *)"", 0, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct heard whole, cut;
	const struct gk_input_proxy_count *c = &whole.p.dropped;
	size_t piece;
	uint64_t now = 5000;

	if (size < 2)
		return 0;
	piece = data[0] + 1u;
	memset(&whole, 0, sizeof(whole));
	memset(&cut, 0, sizeof(cut));
	gk_input_proxy_init(&whole.p);
	gk_input_proxy_init(&cut.p);
	/* The clock may even go back. */
	for (size_t at = 2; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		now += (uint64_t)data[1] - 1;
		take(&whole, data + at, n, now);
		for (size_t i = 0; i < n; i++)
			take(&cut, data + at + i, 1, now);
	}
	MUST(whole.begun == cut.begun && whole.err == cut.err && whole.n == cut.n);
	MUST(memcmp(whole.said, cut.said, whole.n * sizeof(whole.said[0])) == 0);
	MUST(memcmp(c, &cut.p.dropped, sizeof(*c)) == 0);
	MUST(c->repeat + c->unlisted + c->value + c->same + c->lost + c->other <=
	     size / GK_INPUT_PROXY_EVENT);
	end(&whole);
	end(&cut);
	return 0;
}
