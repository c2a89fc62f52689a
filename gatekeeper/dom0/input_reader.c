/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One stream of an input-proxy-sender, in its jail: what the parser
 * (core/input_proxy.h) lets by goes to gatekeeperd as frames of a worker that has a
 * keyboard: LOG with its name, then KEY; LED comes back. It never repairs: the first
 * thing wrong lifts all keys and ends it. Each wait is bounded, and while gatekeeperd
 * does not take a frame nothing more is read.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/input_proxy.h"
#include "core/link.h"
#include "dom0/clock.h"
#include "dom0/input_reader.h"
#include "dom0/say.h"

enum {
	BEGIN_MS = 10000,	/* hello and caps come whole */
	STALL_MS = 5000,	/* gatekeeperd takes a frame */
	IDLE_MS = 600000,	/* only so that poll has a bound */
	/* Not run for so long beyond what we meant to sleep: the machine was stopped.
	 * That is nobody's fault. */
	AWAY_MS = 500,
	SENDER_FD = 0,
	LIGHTS_FD = 1,
	DAEMON_FD = 3,
};

struct reader {
	struct gk_input_proxy p;
	const char *from;
	uint64_t now, turn_at, turn_wait;
	uint64_t begin_since;
	int begun;
	/* From the sender. */
	uint8_t in[4096];
	size_t in_len, in_used;
	/* To gatekeeperd: the one frame it has not taken yet. */
	uint8_t up[GK_LINK_FRAME_MAX];
	size_t up_len;
	uint64_t up_since;
	uint64_t keys;
	/* To the sender: at most an event for each light. */
	uint8_t out[3 * GK_INPUT_PROXY_EVENT];
	size_t out_len;
	uint8_t leds, leds_told, leds_known;
	int leds_asked, lights_closed;
	/* Nothing more is read: lift, and leave with this. */
	int ending;
	enum gk_input_exit status;
};

void gk_input_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	gk_say_line("gatekeeper-input-proxy", fmt, ap);
	va_end(ap);
}

static void end(struct reader *r, enum gk_input_exit status)
{
	if (r->ending)
		return;
	r->ending = 1;
	r->status = status;
}

__attribute__((noreturn))
static void leave(struct reader *r)
{
	const struct gk_input_proxy_count *c = &r->p.dropped;

	if (r->begun)
		gk_input_say("%llu keys; dropped: %llu not on the list, %llu repeats, "
			     "%llu without a change, %llu lost by the sender, %llu odd, "
			     "%llu of other kinds", (unsigned long long)r->keys,
			     (unsigned long long)c->unlisted,
			     (unsigned long long)c->repeat, (unsigned long long)c->same,
			     (unsigned long long)c->lost, (unsigned long long)c->value,
			     (unsigned long long)c->other);
	_exit((int)r->status);
}

/* --- to gatekeeperd --- */

static void flush_up(struct reader *r)
{
	ssize_t n;

	if (!r->up_len)
		return;
	n = send(DAEMON_FD, r->up, r->up_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)r->up_len) {
		r->up_len = 0;
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return;
	gk_input_say("gatekeeperd closed the connection; its journal says why");
	r->status = GK_INPUT_EXIT_REFUSED;
	leave(r);
}

static void send_up(struct reader *r, const struct gk_frame *f)
{
	int n = gk_link_encode(f, GK_SIDE_WORKER, r->up, sizeof(r->up));

	if (n < 0) {
		gk_input_say("%s cannot be sent: %s", gk_link_type_name(f->type),
			     gk_strerror(n));
		r->status = GK_INPUT_EXIT_SETUP;
		leave(r);
	}
	r->up_len = (size_t)n;
	r->up_since = r->now;
	flush_up(r);
}

static void send_name(struct reader *r)
{
	struct gk_frame f = { .type = GK_LINK_LOG, .u.log.level = 6 };
	char text[GK_LINK_TEXT + 1];

	snprintf(text, sizeof(text), "%.31s%s%.80s", r->from, *r->from ? ": " : "",
		 r->p.name[0] ? r->p.name : "a keyboard without a name");
	f.u.log.len = (uint8_t)strlen(text);
	memcpy(f.u.log.text, text, f.u.log.len);
	send_up(r, &f);
}

static void send_key(struct reader *r, const struct gk_input_proxy_key *key)
{
	struct gk_frame f = {
		.type = GK_LINK_KEY,
		.u.key = { .code = key->code, .value = key->value },
	};

	r->keys++;
	send_up(r, &f);
}

/* --- from the sender --- */

static const char *reason(const struct reader *r, int err)
{
	if (err == GK_ERR_VERSION)
		return "it does not speak version 1";
	if (err == GK_ERR_LENGTH && gk_input_proxy_is_32_bit(&r->p))
		return "it is a 32-bit program";
	if (err == GK_ERR_LENGTH)
		return "its list of keys has an unknown size";
	if (err == GK_ERR_VALUE)
		return "the name is not printable";
	if (err == GK_ERR_NOT_FOUND)
		return "it is no keyboard: none of its keys is let by";
	if (err == GK_ERR_LIMIT)
		return "it sends faster than any keyboard";
	return gk_strerror(err);
}

/* What is in r->in, as far as gatekeeperd takes it. */
static void parse(struct reader *r)
{
	struct gk_input_proxy_key key;

	while (!r->ending && !r->up_len) {
		int what = gk_input_proxy_next(&r->p, r->in, r->in_len, &r->in_used,
					       r->now, &key);

		if (what == GK_INPUT_PROXY_NOTHING)
			return;
		if (what == GK_INPUT_PROXY_BEGIN) {
			r->begun = 1;
			send_name(r);
		} else if (what == GK_INPUT_PROXY_KEY) {
			send_key(r, &key);
		} else {
			gk_input_say("the sender is refused: %s", reason(r, what));
			end(r, what == GK_ERR_NOT_FOUND ? GK_INPUT_EXIT_NO_KEYBOARD :
							  GK_INPUT_EXIT_VIOLATION);
		}
	}
}

static void lift(struct reader *r)
{
	struct gk_input_proxy_key key;

	while (r->ending && !r->up_len) {
		if (gk_input_proxy_lift(&r->p, &key) != GK_INPUT_PROXY_KEY)
			leave(r);
		send_key(r, &key);
	}
}

static void read_sender(struct reader *r)
{
	ssize_t n = read(SENDER_FD, r->in, sizeof(r->in));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A sender that has gone with lights unread. */
	if (n < 0 && errno == ECONNRESET)
		n = 0;
	r->in_used = 0;
	r->in_len = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return;
	if (n < 0)
		gk_input_say("the sender cannot be read: %s", strerror(errno));
	if (gk_input_proxy_end(&r->p) == GK_OK) {
		end(r, n < 0 ? GK_INPUT_EXIT_CUT : GK_INPUT_EXIT_DONE);
		return;
	}
	gk_input_say("the sender ended in the middle of %s",
		     r->begun ? "an event" : "its greeting");
	end(r, GK_INPUT_EXIT_CUT);
}

/* --- lights --- */

/* The lights that the sender has and that it was told otherwise, or not yet. */
static void fill_lights(struct reader *r)
{
	unsigned fresh = r->p.leds & ((r->leds ^ r->leds_told) | ~r->leds_known);

	for (unsigned bit = 0; bit < 3; bit++)
		if (fresh >> bit & 1 &&
		    gk_input_proxy_led(bit, r->leds >> bit & 1, r->out + r->out_len) > 0)
			r->out_len += GK_INPUT_PROXY_EVENT;
	r->leds_told = r->leds;
	r->leds_known = 0xff;
}

static void flush_lights(struct reader *r)
{
	ssize_t n;

	if (r->lights_closed)
		return;
	/* Newer ones wait until these are written whole. */
	if (!r->out_len && r->leds_asked)
		fill_lights(r);
	if (!r->out_len)
		return;
	n = write(LIGHTS_FD, r->out, r->out_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Best effort (qubes-issues 7953): keys go on without lights. */
	if (n < 0) {
		r->lights_closed = 1;
		return;
	}
	r->out_len -= (size_t)n;
	memmove(r->out, r->out + n, r->out_len);
}

static void read_daemon(struct reader *r)
{
	uint8_t buf[GK_LINK_FRAME_MAX + 1];
	struct gk_frame f;
	ssize_t n = recv(DAEMON_FD, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		gk_input_say("gatekeeperd closed the connection; its journal says why");
		r->status = GK_INPUT_EXIT_REFUSED;
		leave(r);
	}
	if (gk_link_decode(buf, (size_t)n, GK_SIDE_SUPERVISOR, &f) == 0 &&
	    f.type == GK_LINK_LED) {
		r->leds = f.u.led.leds;
		r->leds_asked = r->begun;
	}
}

/* --- the loop --- */

/* Everything that is due by the clock; returns the ms until the next. */
static int clockwork(struct reader *r)
{
	uint64_t next = r->now + IDLE_MS;

	if (r->now - r->turn_at >= r->turn_wait + AWAY_MS)
		r->begin_since = r->up_since = r->now;
	r->turn_at = r->now;
	if (r->up_len) {
		next = r->up_since + STALL_MS;
		if (r->now >= next) {
			gk_input_say("gatekeeperd does not read");
			r->status = GK_INPUT_EXIT_STALLED;
			leave(r);
		}
	} else if (!r->begun) {
		next = r->begin_since + BEGIN_MS;
		if (r->now >= next) {
			gk_input_say("the sender does not say what it has in %d s",
				     BEGIN_MS / 1000);
			r->status = GK_INPUT_EXIT_CUT;
			leave(r);
		}
	}
	r->turn_wait = next - r->now;
	return (int)r->turn_wait;
}

__attribute__((noreturn))
void gk_input_reader(const char *from)
{
	static struct reader r;

	gk_input_proxy_init(&r.p);
	r.from = from;
	r.now = r.turn_at = r.begin_since = gk_now_ms();
	for (;;) {
		struct pollfd p[3];
		int wait;

		flush_up(&r);
		parse(&r);
		lift(&r);
		flush_lights(&r);
		wait = clockwork(&r);
		p[0] = (struct pollfd){ .fd = r.up_len || r.ending ? -1 : SENDER_FD,
					.events = POLLIN };
		p[1] = (struct pollfd){ .fd = r.out_len && !r.lights_closed ? LIGHTS_FD :
									     -1,
					.events = POLLOUT };
		p[2] = (struct pollfd){ .fd = DAEMON_FD,
					.events = (short)(POLLIN | (r.up_len ? POLLOUT :
									       0)) };
		if (poll(p, 3, wait) < 0 && errno != EINTR) {
			gk_input_say("poll: %s", strerror(errno));
			r.status = GK_INPUT_EXIT_SETUP;
			leave(&r);
		}
		r.now = gk_now_ms();
		if (p[2].revents & (POLLIN | POLLHUP | POLLERR))
			read_daemon(&r);
		if (p[0].revents)
			read_sender(&r);
	}
}
