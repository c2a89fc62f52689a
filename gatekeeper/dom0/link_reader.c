/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper-link: the only process of dom0 that reads what the gate domain
 * writes. It has no authority: every frame is copied out of the shared ring,
 * then checked alone (gk_link_decode) and in its session (gk_session_frame),
 * and only what passed is encoded anew and goes on to gatekeeperd.
 *
 * It never repairs: the first thing wrong ends it with status 3 and one line
 * on stderr. Each wait is bounded; nothing the gate does or leaves undone can
 * make it wait longer, grow or write in a loop.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link.h"
#include "core/session.h"
#include "dom0/clock.h"
#include "dom0/link_channel.h"
#include "dom0/link_sandbox.h"
#include "dom0/link_status.h"
#include "dom0/say.h"

enum {
	PARENT_FD = 3,
	HELLO_MS = 15000,	/* the gate answers our HELLO */
	PING_EVERY_MS = 1000,
	PONG_MS = 5000,
	STALL_MS = 5000,	/* gatekeeperd takes a frame */
	DRAIN_MS = 1000,
	DRAIN_BYTES = 4 << 20,	/* four times the largest vchan ring */
	/* Not run for so long beyond what we meant to sleep: the machine was stopped,
	 * or has no time for us. That is nobody's silence. */
	AWAY_MS = 500,
	QUEUE = 16,		/* frames that wait for room in the ring */
	/* So many, and gatekeeperd is not read: FIDO messages are longer than
	 * the ring. */
	QUEUE_BUSY = 8,
	ROOM_MS = 5,		/* between two looks for room */
	BATCH = 64,		/* frames between two looks at the clock */
	/* Rings of the bell in a second; GK_SESSION_FRAMES, with room for
	 * those that only say that the gate has read. */
	WAKEUPS = 50000,
};

struct bytes {
	uint8_t b[GK_LINK_FRAME_MAX];
	size_t len;
};

struct reader {
	struct gk_channel ch;
	struct gk_session session;
	uint64_t now;
	/* From the gate: a frame that has not yet come whole. */
	struct bytes in;
	/* To gatekeeperd: the one frame it has not taken yet. */
	struct bytes up;
	uint64_t up_since;
	/* To the gate. Lights have a place per device: only the newest
	 * state of them matters (qubes-issues 7953). */
	struct bytes queue[QUEUE];
	unsigned queued;
	struct {
		uint32_t device;
		struct bytes frame;
	} led[GK_LINK_DEVICES];
	/* Our question to the gate. */
	uint64_t ping_token;
	uint64_t ping_at;	/* when it was, or the next one is, asked */
	int ping_open;
	uint64_t hello_at;
	uint64_t turn_at;	/* the last turn of the loop, and the wait */
	uint64_t turn_wait;	/* that it meant to make */
	uint64_t wake_window;
	unsigned wakeups;
};

__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	gk_say_line("gatekeeper-link", fmt, ap);
	va_end(ap);
}

__attribute__((noreturn))
static void leave(enum gk_link_status status)
{
	_exit((int)status);
}

__attribute__((noreturn))
static void violation(uint8_t type, const char *where, int err)
{
	say("the gate broke the protocol: %s, %s: %s",
	    gk_link_type_name(type), where, gk_strerror(err));
	leave(GK_LINK_EXIT_VIOLATION);
}

static void to_gate(struct reader *r, const struct gk_frame *f)
{
	struct bytes out;
	int n = gk_link_encode(f, GK_SIDE_DOM0, out.b, sizeof(out.b));

	if (n < 0) {
		say("%s not sent: %s", gk_link_type_name(f->type),
		    gk_strerror(n));
		return;
	}
	out.len = (size_t)n;
	if (f->type == GK_LINK_LED) {
		int slot = -1;

		for (int i = 0; i < GK_LINK_DEVICES; i++) {
			if (r->led[i].device == f->device) {
				slot = i;
				break;
			}
			if (!r->led[i].device && slot < 0)
				slot = i;
		}
		if (slot < 0)
			return;
		r->led[slot].device = f->device;
		r->led[slot].frame = out;
		return;
	}
	if (r->queued == QUEUE) {
		say("the gate does not read what it is sent");
		leave(GK_LINK_EXIT_SILENT);
	}
	r->queue[r->queued++] = out;
}

static void flush_to_gate(struct reader *r)
{
	int sent = 1;

	while (r->queued) {
		sent = gk_channel_send(&r->ch, r->queue[0].b,
				       r->queue[0].len);
		if (sent <= 0)
			break;
		r->queued--;
		memmove(r->queue, r->queue + 1,
			r->queued * sizeof(r->queue[0]));
	}
	/* Lights last, and what does not fit is simply lost: best effort. */
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		if (!r->led[i].device)
			continue;
		if (sent > 0)
			sent = gk_channel_send(&r->ch, r->led[i].frame.b,
					       r->led[i].frame.len);
		r->led[i].device = 0;
	}
	if (sent < 0) {
		say("the gate closed the link");
		leave(GK_LINK_EXIT_CLOSED);
	}
}

static void flush_to_parent(struct reader *r)
{
	ssize_t n;

	if (!r->up.len)
		return;
	n = send(PARENT_FD, r->up.b, r->up.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)r->up.len) {
		r->up.len = 0;
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return;
	leave(GK_LINK_EXIT_DONE);
}

static void to_parent(struct reader *r, const struct gk_frame *f)
{
	int n = gk_link_encode(f, GK_SIDE_GATE, r->up.b, sizeof(r->up.b));

	/* Decoded a moment ago: only a bug gets here. */
	if (n < 0)
		violation(f->type, "encoding it again", n);
	r->up.len = (size_t)n;
	r->up_since = r->now;
	flush_to_parent(r);
}

static void answer_ping(struct reader *r, const struct gk_frame *f)
{
	struct gk_frame a = { .type = GK_LINK_PING };

	if (f->u.ping.reply) {
		if (r->ping_open && f->u.ping.token == r->ping_token) {
			r->ping_open = 0;
			r->ping_at = r->now + PING_EVERY_MS;
		} else {
			/* gatekeeperd may have asked on its own account. */
			to_parent(r, f);
		}
		return;
	}
	a.u.ping.reply = 1;
	a.u.ping.token = f->u.ping.token;
	to_gate(r, &a);
}

/* One whole frame in r->in, our own copy of it. */
static void frame_from_gate(struct reader *r)
{
	struct gk_frame f;
	uint8_t type = r->in.b[1];
	int err = gk_link_decode(r->in.b, r->in.len, GK_SIDE_GATE, &f);

	if (err)
		violation(type, "decoding", err);
	r->in.len = 0;
	err = gk_session_frame(&r->session, &f, r->now);
	if (err < 0)
		violation(f.type, "in this session", err);
	if (err > 0)
		return;
	if (f.type == GK_LINK_PING)
		answer_ping(r, &f);
	else
		to_parent(r, &f);
}

/* Returns 0 when the ring is empty, 1 when there may be more. */
static int read_gate(struct reader *r)
{
	for (int i = 0; i < BATCH; i++) {
		size_t want = GK_LINK_HEADER;
		int n;

		if (r->up.len)
			return 1;
		if (r->in.len >= GK_LINK_HEADER) {
			n = gk_link_peek(r->in.b, r->in.len);
			if (n < 0)
				violation(r->in.b[1], "in its header", n);
			want = (size_t)n;
		}
		if (r->in.len < want) {
			n = gk_channel_read(&r->ch, r->in.b + r->in.len,
					    want - r->in.len);
			if (n < 0) {
				say("the gate closed the link");
				leave(GK_LINK_EXIT_CLOSED);
			}
			if (n == 0)
				return 0;
			r->in.len += (size_t)n;
			if (r->in.len < want)
				continue;
			if (want == GK_LINK_HEADER) {
				n = gk_link_peek(r->in.b, r->in.len);
				if (n < 0)
					violation(r->in.b[1], "in its header",
						  n);
				if ((size_t)n > want)
					continue;
			}
		}
		frame_from_gate(r);
	}
	return 1;
}

/*
 * What lies in the ring was sent to a reader before us. The gate writes whole
 * frames, so an empty ring is the end of one; a gate that never lets it get
 * empty is heard from where we are, and fails at the first broken frame.
 */
static void drain(struct reader *r)
{
	uint64_t end = gk_now_ms() + DRAIN_MS;
	uint8_t junk[4096];
	size_t total = 0;

	while (total < DRAIN_BYTES && gk_now_ms() < end) {
		int n = gk_channel_read(&r->ch, junk, sizeof(junk));

		if (n == 0)
			return;
		if (n < 0) {
			say("the gate closed the link");
			leave(GK_LINK_EXIT_CLOSED);
		}
		total += (size_t)n;
	}
}

static void read_parent(struct reader *r)
{
	for (int i = 0; i < BATCH && r->queued < QUEUE_BUSY; i++) {
		/* One byte more than a frame shows a packet that is too long. */
		uint8_t buf[GK_LINK_FRAME_MAX + 1];
		struct gk_frame f;
		ssize_t n = recv(PARENT_FD, buf, sizeof(buf), MSG_DONTWAIT);
		int err;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			leave(GK_LINK_EXIT_DONE);
		err = gk_link_decode(buf, (size_t)n, GK_SIDE_DOM0, &f);
		if (err) {
			say("a frame of gatekeeperd dropped: %s",
			    gk_strerror(err));
			continue;
		}
		switch ((enum gk_link_type)f.type) {
		case GK_LINK_QUIESCE:
			gk_session_quiesce(&r->session);
			to_gate(r, &f);
			break;
		case GK_LINK_LED:
		case GK_LINK_FIDO:
		case GK_LINK_MANIFEST:
		case GK_LINK_PING:
			to_gate(r, &f);
			break;
		case GK_LINK_HELLO:
		case GK_LINK_DEVICE:
		case GK_LINK_GONE:
		case GK_LINK_KEY:
		case GK_LINK_QUIESCED:
		case GK_LINK_LOG:
		case GK_LINK_FOUND:
		case GK_LINK_GRANT:
			say("a %s of gatekeeperd dropped",
			    gk_link_type_name(f.type));
			break;
		}
	}
}

/* Everything that is due by the clock; returns the ms until the next. */
static int clockwork(struct reader *r)
{
	uint64_t next;

	if (r->up.len && r->now >= r->up_since + STALL_MS) {
		say("gatekeeperd does not read");
		leave(GK_LINK_EXIT_STALLED);
	}
	if (!r->session.open) {
		next = r->hello_at + HELLO_MS;
		if (r->now >= next) {
			say("no HELLO from the gate in %d s", HELLO_MS / 1000);
			leave(GK_LINK_EXIT_SILENT);
		}
	} else if (r->ping_open) {
		next = r->ping_at + PONG_MS;
		/* While gatekeeperd stalls, the answer may lie unread. */
		if (r->now >= next && !r->up.len) {
			say("no answer from the gate in %d s", PONG_MS / 1000);
			leave(GK_LINK_EXIT_SILENT);
		}
	} else {
		if (r->now >= r->ping_at) {
			struct gk_frame f = { .type = GK_LINK_PING };

			f.u.ping.token = ++r->ping_token;
			r->ping_open = 1;
			r->ping_at = r->now;
			to_gate(r, &f);
		}
		next = r->ping_at + (r->ping_open ? PONG_MS : 0);
	}
	if (r->up.len && r->up_since + STALL_MS < next)
		next = r->up_since + STALL_MS;
	return next > r->now ? (int)(next - r->now) : 1;
}

/* After a turn in which we were away all bounds begin anew: the gate and gatekeeperd
 * may have stood still as well. */
static void forgive(struct reader *r)
{
	if (r->now - r->turn_at >= r->turn_wait + AWAY_MS) {
		r->up_since = r->now;
		r->hello_at = r->now;
		if (r->ping_open)
			r->ping_at = r->now;
	}
	r->turn_at = r->now;
}

static void count_wakeup(struct reader *r)
{
	if (r->now - r->wake_window >= GK_SESSION_WINDOW_MS) {
		r->wake_window = r->now;
		r->wakeups = 0;
	}
	if (++r->wakeups > WAKEUPS)
		violation(0, "ringing without end", GK_ERR_LIMIT);
}

__attribute__((noreturn))
static void run(struct reader *r)
{
	int more = 1;

	r->turn_at = gk_now_ms();
	for (;;) {
		struct pollfd p[2];
		int wait;

		r->now = gk_now_ms();
		forgive(r);
		wait = clockwork(r);
		flush_to_gate(r);
		p[0] = (struct pollfd){ .fd = PARENT_FD };
		if (r->queued < QUEUE_BUSY)
			p[0].events |= POLLIN;
		if (r->up.len)
			p[0].events |= POLLOUT;
		p[1] = (struct pollfd){ .fd = gk_channel_fd(&r->ch),
					.events = gk_channel_events(&r->ch) };
		/* With a frame in hand for gatekeeperd the gate waits. */
		if (r->up.len && !r->ch.vchan)
			p[1].events &= (short)~POLLIN;
		/* Room in the ring rings no bell for who did not ask. */
		if (r->queued && wait > ROOM_MS)
			wait = ROOM_MS;
		if (more && !r->up.len)
			wait = 0;
		r->turn_wait = (uint64_t)wait;
		if (poll(p, 2, wait) < 0 && errno != EINTR) {
			say("poll: %s", strerror(errno));
			leave(GK_LINK_EXIT_SETUP);
		}
		r->now = gk_now_ms();
		if (p[1].revents) {
			count_wakeup(r);
			if (p[1].revents & POLLIN &&
			    gk_channel_ack(&r->ch) < 0) {
				say("the event channel broke");
				leave(GK_LINK_EXIT_CLOSED);
			}
		}
		flush_to_parent(r);
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
			read_parent(r);
		more = read_gate(r);
	}
}

static void say_hello(struct reader *r, const uint8_t nonce[GK_LINK_NONCE])
{
	struct gk_frame f = { .type = GK_LINK_HELLO };

	f.u.hello.version_min = GK_LINK_VERSION;
	f.u.hello.version_max = GK_LINK_VERSION;
	memcpy(f.u.hello.nonce, nonce, GK_LINK_NONCE);
	f.u.hello.uptime_ms = (uint32_t)gk_now_ms();
	to_gate(r, &f);
}

/* A decimal number in [min, max], or -1. */
static long number(const char *s, long min, long max)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	return errno || end == s || *end || v < min || v > max ? -1 : v;
}

static int usage(void)
{
	say("usage: gatekeeper-link [--timeout SECONDS] DOMID\n"
	    "       gatekeeper-link --test-socket FD");
	return GK_LINK_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 't' },
		{ "test-socket", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	static const char *const empty[] = {
		"/run/gatekeeper/empty", "/var/empty", NULL,
	};
	static struct reader r;
	uint8_t nonce[GK_LINK_NONCE];
	long timeout = 30, sock = -1, domid = -1;
	const char *step;
	int c, err;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			timeout = number(optarg, 1, 600);
		else if (c == 's')
			sock = number(optarg, 4, 1023);
		else
			return usage();
		if (timeout < 0 || (c == 's' && sock < 0))
			return usage();
	}
	if (sock < 0) {
		if (optind + 1 != argc)
			return usage();
		/* DOMID_FIRST_RESERVED is 0x7ff0; 0 is ourselves. */
		domid = number(argv[optind], 1, 0x7fef);
		if (domid < 0)
			return usage();
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* xenstored may take our request and never answer. */
	alarm((unsigned)timeout + 5);
	if (sock >= 0)
		err = gk_channel_socket(&r.ch, (int)sock);
	else
		err = gk_channel_vchan(&r.ch, (unsigned)domid,
				       (unsigned)timeout * 1000);
	if (err) {
		say("cannot reach the gate: %s", gk_strerror(err));
		return err == GK_ERR_TIMEOUT ? GK_LINK_EXIT_NO_SERVER
					     : GK_LINK_EXIT_SETUP;
	}
	if (getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce)) {
		say("no random numbers: %s", strerror(errno));
		return GK_LINK_EXIT_SETUP;
	}
	alarm(0);
	/* gatekeeperd notes the time of this. */
	say("connected");
	err = gk_link_sandbox(empty, &step);
	if (err) {
		say("cannot drop privileges: %s: %s", step, strerror(errno));
		return GK_LINK_EXIT_SETUP;
	}
	drain(&r);
	gk_session_init(&r.session, nonce);
	r.hello_at = gk_now_ms();
	say_hello(&r, nonce);
	run(&r);
}
