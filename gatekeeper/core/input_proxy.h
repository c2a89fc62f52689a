/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an input-proxy-sender says: the byte stream of Qubes OS's
 * qubes-app-linux-input-proxy (its src/protocol.h), version 1, as a sender of a
 * 64-bit little-endian machine writes it. Bytes in, keys of one keyboard out.
 *
 *   hello   u32 version (1), u32 caps_size
 *   caps    caps_size bytes; a sender may leave out whole fields at the end:
 *             0  bitmaps in longs: properties 8 bytes, types 8, keys 96, relative
 *                8, absolute 8, misc 8, lights 8, sounds 8, force feedback 16,
 *                switches 8
 *           176  name, 128 bytes, zero-terminated
 *           304  ranges of the 64 absolute axes, 24 bytes each
 *          1840  what later senders may add
 *   events  until the end, struct input_event: s64 seconds, s64 microseconds,
 *           u16 type, u16 code, s32 value
 *
 * The other way go struct input_event alone: EV_LED.
 *
 * The sender's machine is trusted with nothing. Only keys that the virtual
 * keyboard has (keycode.h) and that the sender announced come out, as down and up,
 * each a change; everything else is dropped and counted. Pure state.
 */
#ifndef GK_INPUT_PROXY_H
#define GK_INPUT_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "key_filter.h"
#include "session.h"

enum {
	GK_INPUT_PROXY_VERSION = 1,
	GK_INPUT_PROXY_HELLO = 8, /* bytes of each part */
	GK_INPUT_PROXY_BITS = 176,
	GK_INPUT_PROXY_NAME = 128,
	GK_INPUT_PROXY_AXES = 1536,
	GK_INPUT_PROXY_EVENT = 24,
	/* Nothing is kept of what later senders may add; it has an end. */
	GK_INPUT_PROXY_CAPS_MAX = 8192,
	/* caps_size of a 32-bit sender, without name and with it: its longs have 4
	 * bytes, and so has its time of an event. */
	GK_INPUT_PROXY_BITS_32 = 144,
	/*
	 * A second, tumbling as in session.h. A key change is three events (scan
	 * code, key, report), and a mouse with 8,000 reports a second, which may be
	 * in the same device, makes three of each.
	 */
	GK_INPUT_PROXY_WINDOW_MS = GK_SESSION_WINDOW_MS,
	GK_INPUT_PROXY_KEYS = GK_SESSION_KEYS,
	GK_INPUT_PROXY_EVENTS = 3 * GK_SESSION_KEYS + 3 * 8000,
};

enum gk_input_proxy_state {
	GK_INPUT_PROXY_AT_HELLO = 0,
	GK_INPUT_PROXY_AT_CAPS, /* bitmaps, and the name if there is one */
	GK_INPUT_PROXY_AT_REST, /* of caps: not looked at */
	GK_INPUT_PROXY_AT_EVENTS,
	GK_INPUT_PROXY_OVER, /* ended, or an error: takes nothing more */
};

/* What was dropped. */
struct gk_input_proxy_count {
	uint64_t repeat;   /* EV_KEY of value 2: autorepeat */
	uint64_t unlisted; /* a key not on the list, or not announced */
	uint64_t value;	   /* EV_KEY of another value than 0, 1, 2 */
	uint64_t same;	   /* down when it was down, up when up */
	uint64_t lost;	   /* between SYN_DROPPED and SYN_REPORT */
	uint64_t other;	   /* any other type, and codes of EV_SYN */
};

struct gk_input_proxy {
	enum gk_input_proxy_state state;
	uint8_t part[GK_INPUT_PROXY_BITS + GK_INPUT_PROXY_NAME];
	uint32_t have, want;		 /* of part, bytes */
	uint32_t rest;			 /* bytes of caps still to be passed over */
	uint32_t caps_size;		 /* as the hello says */
	char name[GK_INPUT_PROXY_NAME];	 /* 0x20..0x7e, "" for none */
	uint8_t announced[GK_KEY_BYTES]; /* and on the list */
	uint8_t leds;			 /* announced: bit 0 Num, 1 Caps, 2 Scroll */
	uint8_t down[GK_KEY_BYTES];	 /* as told by GK_INPUT_PROXY_KEY */
	uint8_t lift;			 /* all that is down goes up first */
	uint8_t lost; /* SYN_DROPPED came, its SYN_REPORT did not yet */
	uint64_t window_start_ms;
	uint32_t window_keys;
	uint32_t window_events;
	struct gk_input_proxy_count dropped;
};

enum gk_input_proxy_what {
	GK_INPUT_PROXY_NOTHING = 0, /* all bytes are used, more are needed */
	GK_INPUT_PROXY_BEGIN = 1,   /* name, announced and leds are known */
	GK_INPUT_PROXY_KEY = 2,	    /* *key: a key has changed */
};

struct gk_input_proxy_key {
	uint16_t code; /* Linux KEY_*, gk_key_allowed() */
	uint8_t value; /* 0 up, 1 down */
};

void gk_input_proxy_init(struct gk_input_proxy *p);

/*
 * gk_input_proxy_next: takes bytes from data[*used..len) up to the next thing to
 * say, at now_ms (monotonic); moves *used. Returns enum gk_input_proxy_what; call
 * again until it is NOTHING, also when all bytes are used. Or, once and for all:
 *   GK_ERR_VERSION    of the hello
 *   GK_ERR_LENGTH     caps_size is none that the protocol knows (that of a 32-bit
 *                     sender: gk_input_proxy_is_32_bit())
 *   GK_ERR_VALUE      the name is not printable ASCII, or not terminated
 *   GK_ERR_NOT_FOUND  no keyboard: it announces none of the listed keys
 *   GK_ERR_LIMIT      more than the bounds above in a second
 *   GK_ERR_CLOSED     called after an error, or after the end
 * After an error, and once the stream has ended, gk_input_proxy_end() and then
 * gk_input_proxy_lift().
 */
int gk_input_proxy_next(struct gk_input_proxy *p, const uint8_t *data, size_t len,
			size_t *used, uint64_t now_ms,
			struct gk_input_proxy_key *key) GK_MUST_CHECK;

/* gk_input_proxy_end: the stream has ended: GK_OK between two events, GK_ERR_SHORT
 * within something, or after an error. */
int gk_input_proxy_end(struct gk_input_proxy *p) GK_MUST_CHECK;

/* gk_input_proxy_lift: a key that is down, which is up from now on; GK_INPUT_PROXY_KEY
 * with *key, or NOTHING when none is down. */
enum gk_input_proxy_what gk_input_proxy_lift(struct gk_input_proxy *p,
					     struct gk_input_proxy_key *key);

int gk_input_proxy_is_32_bit(const struct gk_input_proxy *p);

/*
 * gk_input_proxy_led: EV_LED for one light (bit 0..2 of gk_link_led) as the
 * sender takes it; the time is zero, as the kernel sets it. Returns the bytes written,
 * GK_INPUT_PROXY_EVENT, or GK_ERR_VALUE.
 */
int gk_input_proxy_led(unsigned bit, int on,
		       uint8_t out[GK_INPUT_PROXY_EVENT]) GK_MUST_CHECK;

#endif
