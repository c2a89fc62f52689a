/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/input-event-codes.h>
#include <string.h>

#include "cursor.h"
#include "input_proxy.h"
#include "keycode.h"

/* Bytes of the bitmaps, in the order in which they come. */
enum {
	PROPERTIES = 8,
	TYPES = 8,
	KEYS = 96, /* KEY_CNT, 0x300 bits */
	RELATIVE = 8,
	ABSOLUTE = 8,
	MISC = 8,
	LIGHTS = 8,
	SOUNDS = 8,
	FORCE_FEEDBACK = 16, /* FF_CNT, 0x80 bits */
	SWITCHES = 8,
};

_Static_assert(PROPERTIES + TYPES + KEYS + RELATIVE + ABSOLUTE + MISC + LIGHTS + SOUNDS +
			       FORCE_FEEDBACK + SWITCHES ==
		       GK_INPUT_PROXY_BITS,
	       "the bitmaps");

static const uint16_t led_code[3] = { LED_NUML, LED_CAPSL, LED_SCROLLL };

static int bit(const uint8_t *map, unsigned no)
{
	return map[no >> 3] >> (no & 7) & 1;
}

static void expect(struct gk_input_proxy *p, enum gk_input_proxy_state state,
		   size_t want)
{
	p->state = state;
	p->have = 0;
	p->want = (uint32_t)want;
}

void gk_input_proxy_init(struct gk_input_proxy *p)
{
	memset(p, 0, sizeof(*p));
	expect(p, GK_INPUT_PROXY_AT_HELLO, GK_INPUT_PROXY_HELLO);
}

int gk_input_proxy_is_32_bit(const struct gk_input_proxy *p)
{
	return p->caps_size == GK_INPUT_PROXY_BITS_32 ||
	       p->caps_size == GK_INPUT_PROXY_BITS_32 + GK_INPUT_PROXY_NAME ||
	       p->caps_size == GK_INPUT_PROXY_BITS_32 + GK_INPUT_PROXY_NAME +
				       GK_INPUT_PROXY_AXES;
}

static int on_hello(struct gk_input_proxy *p)
{
	const uint32_t named = GK_INPUT_PROXY_BITS + GK_INPUT_PROXY_NAME;
	struct gk_reader r;
	uint32_t version;

	gk_reader_init(&r, p->part, GK_INPUT_PROXY_HELLO);
	version = gk_get_u32(&r);
	p->caps_size = gk_get_u32(&r);
	if (gk_reader_end(&r) || version != GK_INPUT_PROXY_VERSION)
		return GK_ERR_VERSION;
	if (p->caps_size == GK_INPUT_PROXY_BITS || p->caps_size == named) {
		p->rest = 0;
		expect(p, GK_INPUT_PROXY_AT_CAPS, p->caps_size);
		return GK_INPUT_PROXY_NOTHING;
	}
	if (p->caps_size < named + GK_INPUT_PROXY_AXES ||
	    p->caps_size > GK_INPUT_PROXY_CAPS_MAX)
		return GK_ERR_LENGTH;
	p->rest = p->caps_size - named;
	expect(p, GK_INPUT_PROXY_AT_CAPS, named);
	return GK_INPUT_PROXY_NOTHING;
}

/* Printable up to its end, and nothing behind it. */
static int take_name(struct gk_input_proxy *p, const uint8_t raw[GK_INPUT_PROXY_NAME])
{
	unsigned len = 0;

	while (len < GK_INPUT_PROXY_NAME && raw[len] >= 0x20 && raw[len] <= 0x7e)
		len++;
	for (unsigned i = len; i < GK_INPUT_PROXY_NAME; i++)
		if (raw[i])
			return GK_ERR_VALUE;
	if (len == GK_INPUT_PROXY_NAME)
		return GK_ERR_VALUE;
	memcpy(p->name, raw, len);
	return GK_OK;
}

static int on_caps(struct gk_input_proxy *p)
{
	uint8_t types[TYPES], keys[KEYS], lights[LIGHTS],
		name[GK_INPUT_PROXY_NAME] = { 0 };
	struct gk_reader r;
	int any = 0;

	gk_reader_init(&r, p->part, p->want);
	gk_skip(&r, PROPERTIES);
	gk_get_bytes(&r, types, sizeof(types));
	gk_get_bytes(&r, keys, sizeof(keys));
	gk_skip(&r, RELATIVE + ABSOLUTE + MISC);
	gk_get_bytes(&r, lights, sizeof(lights));
	gk_skip(&r, SOUNDS + FORCE_FEEDBACK + SWITCHES);
	if (gk_reader_left(&r))
		gk_get_bytes(&r, name, sizeof(name));
	if (gk_reader_end(&r) || take_name(p, name))
		return GK_ERR_VALUE;
	for (uint16_t code = 1; code < GK_KEYS && bit(types, EV_KEY); code++) {
		if (!gk_key_allowed(code) || !bit(keys, code))
			continue;
		p->announced[code >> 3] |= (uint8_t)(1u << (code & 7));
		any = 1;
	}
	if (!any)
		return GK_ERR_NOT_FOUND;
	for (unsigned i = 0; i < 3 && bit(types, EV_LED); i++)
		p->leds |= (uint8_t)(bit(lights, led_code[i]) << i);
	expect(p, GK_INPUT_PROXY_AT_REST, 0);
	return GK_INPUT_PROXY_NOTHING;
}

static int count_event(struct gk_input_proxy *p, uint64_t now_ms)
{
	if (now_ms < p->window_start_ms ||
	    now_ms - p->window_start_ms >= GK_INPUT_PROXY_WINDOW_MS) {
		p->window_start_ms = now_ms;
		p->window_events = 0;
		p->window_keys = 0;
	}
	if (p->window_events >= GK_INPUT_PROXY_EVENTS)
		return GK_ERR_LIMIT;
	p->window_events++;
	return GK_OK;
}

static int on_key(struct gk_input_proxy *p, uint16_t code, uint32_t value,
		  struct gk_input_proxy_key *key)
{
	if (value == 2) {
		p->dropped.repeat++;
		return GK_INPUT_PROXY_NOTHING;
	}
	if (value > 2) {
		p->dropped.value++;
		return GK_INPUT_PROXY_NOTHING;
	}
	if (code >= GK_KEYS || !bit(p->announced, code)) {
		p->dropped.unlisted++;
		return GK_INPUT_PROXY_NOTHING;
	}
	if ((uint32_t)bit(p->down, code) == value) {
		p->dropped.same++;
		return GK_INPUT_PROXY_NOTHING;
	}
	if (p->window_keys >= GK_INPUT_PROXY_KEYS)
		return GK_ERR_LIMIT;
	p->window_keys++;
	p->down[code >> 3] ^= (uint8_t)(1u << (code & 7));
	key->code = code;
	key->value = (uint8_t)value;
	return GK_INPUT_PROXY_KEY;
}

/*
 * SYN_DROPPED: the sender read its device too slowly, and events are missing
 * (Documentation/input/event-codes.rst). A key may have come up among them, so all
 * do; what is really held counts from its next press on.
 */
static int on_syn(struct gk_input_proxy *p, uint16_t code)
{
	if (code == SYN_DROPPED) {
		p->lost = 1;
		p->lift = 1;
	} else if (code == SYN_REPORT) {
		p->lost = 0;
	} else {
		p->dropped.other++;
	}
	return GK_INPUT_PROXY_NOTHING;
}

static int on_event(struct gk_input_proxy *p, uint64_t now_ms,
		    struct gk_input_proxy_key *key)
{
	struct gk_reader r;
	uint16_t type, code;
	uint32_t value;

	gk_reader_init(&r, p->part, GK_INPUT_PROXY_EVENT);
	gk_skip(&r, 16); /* the sender's clock is nothing to us */
	type = gk_get_u16(&r);
	code = gk_get_u16(&r);
	value = gk_get_u32(&r);
	if (gk_reader_end(&r))
		return GK_ERR_SHORT;
	expect(p, GK_INPUT_PROXY_AT_EVENTS, GK_INPUT_PROXY_EVENT);
	if (count_event(p, now_ms))
		return GK_ERR_LIMIT;
	if (type == EV_SYN)
		return on_syn(p, code);
	if (p->lost) {
		p->dropped.lost++;
		return GK_INPUT_PROXY_NOTHING;
	}
	if (type == EV_KEY)
		return on_key(p, code, value, key);
	p->dropped.other++;
	return GK_INPUT_PROXY_NOTHING;
}

static int on_part(struct gk_input_proxy *p, uint64_t now_ms,
		   struct gk_input_proxy_key *key)
{
	switch (p->state) {
	case GK_INPUT_PROXY_AT_HELLO:
		return on_hello(p);
	case GK_INPUT_PROXY_AT_CAPS:
		return on_caps(p);
	case GK_INPUT_PROXY_AT_EVENTS:
		return on_event(p, now_ms, key);
	case GK_INPUT_PROXY_AT_REST:
		expect(p, GK_INPUT_PROXY_AT_EVENTS, GK_INPUT_PROXY_EVENT);
		return GK_INPUT_PROXY_BEGIN;
	case GK_INPUT_PROXY_OVER:
		break;
	}
	return GK_ERR_CLOSED;
}

/* Bytes for p->part, or bytes that are passed over; 1 when there are enough. */
static int gather(struct gk_input_proxy *p, const uint8_t *data, size_t len,
		  size_t *used)
{
	size_t n = len - *used;

	if (p->state == GK_INPUT_PROXY_AT_REST) {
		if (n > p->rest)
			n = p->rest;
		p->rest -= (uint32_t)n;
		*used += n;
		return p->rest == 0;
	}
	if (n > p->want - p->have)
		n = p->want - p->have;
	if (n)
		memcpy(p->part + p->have, data + *used, n);
	p->have += (uint32_t)n;
	*used += n;
	return p->have == p->want;
}

int gk_input_proxy_next(struct gk_input_proxy *p, const uint8_t *data, size_t len,
			size_t *used, uint64_t now_ms, struct gk_input_proxy_key *key)
{
	*key = (struct gk_input_proxy_key){ 0, 0 };
	if (p->state == GK_INPUT_PROXY_OVER || *used > len)
		return GK_ERR_CLOSED;
	/* Each turn uses a byte, says something, or is the last; but one, when the
	 * caps end with their bitmaps or name. */
	for (size_t i = 0; i <= len + 2; i++) {
		int what;

		if (p->lift) {
			if (gk_input_proxy_lift(p, key) == GK_INPUT_PROXY_KEY)
				return GK_INPUT_PROXY_KEY;
			p->lift = 0;
		}
		if (!gather(p, data, len, used))
			return GK_INPUT_PROXY_NOTHING;
		what = on_part(p, now_ms, key);
		if (what < 0)
			p->state = GK_INPUT_PROXY_OVER;
		if (what != GK_INPUT_PROXY_NOTHING)
			return what;
	}
	return GK_INPUT_PROXY_NOTHING;
}

int gk_input_proxy_end(struct gk_input_proxy *p)
{
	int whole = p->state == GK_INPUT_PROXY_AT_EVENTS && p->have == 0;

	p->state = GK_INPUT_PROXY_OVER;
	return whole ? GK_OK : GK_ERR_SHORT;
}

enum gk_input_proxy_what gk_input_proxy_lift(struct gk_input_proxy *p,
					     struct gk_input_proxy_key *key)
{
	for (uint16_t code = 1; code < GK_KEYS; code++) {
		if (!bit(p->down, code))
			continue;
		p->down[code >> 3] &= (uint8_t) ~(1u << (code & 7));
		key->code = code;
		key->value = 0;
		return GK_INPUT_PROXY_KEY;
	}
	return GK_INPUT_PROXY_NOTHING;
}

int gk_input_proxy_led(unsigned no, int on, uint8_t out[GK_INPUT_PROXY_EVENT])
{
	struct gk_writer w;

	if (no >= sizeof(led_code) / sizeof(led_code[0]))
		return GK_ERR_VALUE;
	gk_writer_init(&w, out, GK_INPUT_PROXY_EVENT);
	gk_put_u64(&w, 0);
	gk_put_u64(&w, 0);
	gk_put_u16(&w, EV_LED);
	gk_put_u16(&w, led_code[no]);
	gk_put_u32(&w, on != 0);
	return w.err ? w.err : (int)w.off;
}
