/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for the supervisor in a gate domain that somebody has taken over: the
 * same vchan server, a proper answer to HELLO, and then one of the acts below.
 * Which one goes by the domain's id, and dom0 starts a new gate after each: so
 * one boot sees them all, in this order.
 *
 * Two kinds of key are left alone, so that the boot goes on to be looked at:
 * Enter, and what makes Ctrl-Alt-Del of two others. A keyboard that is admitted
 * may press them, and so may who speaks for it.
 */
#include <libxenvchan.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

#include "attack.h"
#include "core/policy.h"

enum {
	FORGE_MS = 20000,
	FLOOD_MS = 5000,
	NOISE_MS = 11000,
	KEY_EVERY_MS = 4,
	FOREVER_MS = 60000,	/* dom0 will have ended us by then */
};

static struct {
	struct libxenvchan *vchan;
	struct gk_attack attack;
	uint8_t in[GK_LINK_FRAME_MAX];
	size_t in_len;
	int open;
	unsigned long sent;
} g;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A ring of the bell, or that time. */
static void wait_for_bell(int ms)
{
	struct pollfd p = { .fd = libxenvchan_fd_for_select(g.vchan),
			    .events = POLLIN };

	if (poll(&p, 1, ms) > 0)
		libxenvchan_wait(g.vchan);
}

/* All of it, however long dom0 takes to read; nothing else comes between. */
static void put(const uint8_t *b, size_t len)
{
	while (len) {
		int n = libxenvchan_write(g.vchan, b, len);

		if (n > 0) {
			b += n;
			len -= (size_t)n;
		} else {
			wait_for_bell(5);
		}
	}
}

static void put_frame(const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_GATE, b, sizeof(b));

	if (n > 0)
		put(b, (size_t)n);
}

static void say(const char *text, unsigned long number)
{
	struct gk_frame f = { .type = GK_LINK_LOG };
	size_t len = strlen(text);

	f.u.log.level = 5;
	memcpy(f.u.log.text, text, len);
	for (unsigned long d = 10000000; d; d /= 10)
		f.u.log.text[len++] = (char)('0' + number / d % 10);
	f.u.log.len = (uint8_t)len;
	put_frame(&f);
}

static void from_dom0(const struct gk_frame *f)
{
	struct gk_frame out = *f;

	if (f->type == GK_LINK_HELLO && !g.open) {
		g.open = 1;
		gk_attack_begin(&g.attack, f->u.hello.nonce);
		put_frame(&out);
	} else if (f->type == GK_LINK_PING && !f->u.ping.reply) {
		out.u.ping.reply = 1;
		put_frame(&out);
	}
}

/* Waits for a ring of the bell, and takes what dom0 has said. */
static void listen_to_dom0(int ms)
{
	wait_for_bell(ms);
	for (int i = 0; i < 64; i++) {
		size_t want = GK_LINK_HEADER;
		struct gk_frame f;
		int n;

		if (g.in_len >= want) {
			n = gk_link_peek(g.in, g.in_len);
			if (n < 0)
				return;
			want = (size_t)n;
		}
		if (g.in_len < want) {
			n = libxenvchan_read(g.vchan, g.in + g.in_len,
					     want - g.in_len);
			if (n <= 0)
				return;
			g.in_len += (size_t)n;
			continue;
		}
		g.in_len = 0;
		if (gk_link_decode(g.in, want, GK_SIDE_DOM0, &f) == 0)
			from_dom0(&f);
	}
}

static void forge(void)
{
	struct gk_attack_message m;

	gk_attack_forged(&g.attack, &m);
	put(m.b, m.len);
	g.sent++;
}

static struct gk_frame keyboard(void)
{
	struct gk_frame f = { .type = GK_LINK_DEVICE, .device = 1 };

	f.generation = g.attack.session.last_generation + 1;
	f.u.dev.path = (struct gk_port_path){ .controller = 0xff, .depth = 1,
					      .port = { 99 } };
	f.u.dev.asked = f.u.dev.granted = GK_ROLE_KEYBOARD;
	f.u.dev.verdict = GK_VERDICT_ADMITTED;
	f.u.dev.interfaces = 1;
	f.u.dev.shown[0].base_class = 3;
	f.u.dev.shown[0].role = GK_ROLE_KEYBOARD;
	f.u.dev.reason = GK_REASON_ADMITTED;
	return f;
}

/* Through the session of the attack, so that it stays dom0's. */
static void put_in_order(const struct gk_frame *f)
{
	struct gk_session *s = &g.attack.session;

	s->window_frames = s->window_keys = 0;
	if (gk_session_frame(s, f, 0) >= 0)
		put_frame(f);
}

/* Every code that a frame can hold, twice: the lock keys end as they were. */
static void type_everything(void)
{
	struct gk_frame f = keyboard();

	put_in_order(&f);
	for (unsigned i = 0; i < 2 * 255 * 2; i++) {
		struct gk_frame k = { .type = GK_LINK_KEY, .device = f.device,
				      .generation = f.generation };

		k.u.key.code = (uint16_t)(1 + i / 2 % 255);
		k.u.key.value = i % 2 == 0;
		/* Alone, Ctrl and Alt do nothing. */
		if (k.u.key.code == KEY_ENTER || k.u.key.code == KEY_KPENTER)
			continue;
		put_in_order(&k);
		g.sent++;
		listen_to_dom0(KEY_EVERY_MS);
	}
}

static void act_forge(void)
{
	uint64_t end;

	type_everything();
	end = now_ms() + FORGE_MS;
	while (now_ms() < end) {
		/* Below the bound on frames in a second. */
		for (int i = 0; i < 8; i++)
			forge();
		listen_to_dom0(1);
	}
	/* gatekeeperd leaves out what is said by who says too much. */
	for (end = now_ms() + NOISE_MS; now_ms() < end;)
		listen_to_dom0(100);
	say("forged frames ", g.sent);
	/* The codes that no frame may hold; the first ends it. */
	for (unsigned code = 256; code < 65536; code++) {
		struct gk_frame f = keyboard();
		uint8_t b[GK_LINK_FRAME_MAX] = { GK_LINK_VERSION, GK_LINK_KEY, 4 };

		memcpy(b + 4, &f.device, 4);
		memcpy(b + 8, &g.attack.session.last_generation, 4);
		b[12] = (uint8_t)code;
		b[13] = (uint8_t)(code >> 8);
		b[14] = 1;
		put(b, 16);
	}
}

static void act_malformed(void)
{
	struct gk_attack_message m;

	for (int i = 0; i < 100; i++)
		forge();
	gk_attack_break(&g.attack, &m);
	put(m.b, m.len);
	for (int i = 0; i < 100; i++)
		forge();
}

static void act_giant(void)
{
	uint8_t b[64] = { GK_LINK_VERSION, GK_LINK_LOG, 0xff, 0xff };

	put(b, sizeof(b));
}

static void act_flood(void)
{
	struct gk_frame d = keyboard(), k = { .type = GK_LINK_KEY, .device = d.device,
					      .generation = d.generation };
	uint8_t b[64 * GK_LINK_FRAME_MAX];
	uint64_t end = now_ms() + FLOOD_MS;
	size_t len = 0;

	put_in_order(&d);
	/* A key that is not on the list, so that the prompt stays as it is. */
	k.u.key.code = KEY_SYSRQ;
	for (unsigned i = 0; i < 64; i++) {
		int n;

		k.u.key.value = i % 2 == 0;
		n = gk_link_encode(&k, GK_SIDE_GATE, b + len, GK_LINK_FRAME_MAX);
		len += n > 0 ? (size_t)n : 0;
	}
	while (now_ms() < end) {
		put(b, len);
		listen_to_dom0(0);
	}
	/* A slow machine may not take as many in a second as are too many. */
	act_giant();
}

static void act_hello_again(void)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };

	forge();
	f.u.hello.version_min = f.u.hello.version_max = GK_LINK_VERSION;
	memcpy(f.u.hello.nonce, g.attack.session.nonce, GK_LINK_NONCE);
	put_frame(&f);
}

static void act_quiesced(void)
{
	struct gk_frame f = { .type = GK_LINK_QUIESCED };

	f.u.quiesced.complete = 1;
	f.u.quiesced.controllers = 1;
	put_frame(&f);
}

/* Past the library: more in the ring than it holds, less than nothing. */
static void act_ring(void)
{
	static const uint32_t nonsense[] = { 0xffffffff, 0x80000000, 0x7fffffff,
					     0x1001, 0xdeadbeef };
	struct vchan_interface *ring = g.vchan->ring;
	uint64_t end = now_ms() + FOREVER_MS;

	for (unsigned i = 0; now_ms() < end; i++) {
		uint32_t v = nonsense[i % (sizeof(nonsense) / sizeof(nonsense[0]))];

		ring->right.prod = v + i;
		if (i % 3 == 0)
			ring->right.cons = v;
		ring->left.cons = v - i;
		if (i % 5 == 0)
			ring->left.prod = v;
		ring->left_order = (uint16_t)v;
		ring->right_order = (uint16_t)~v;
		ring->cli_notify = ring->srv_notify = 0xff;
		xenevtchn_notify(g.vchan->event, g.vchan->event_port);
		if (i % 16 == 0)
			poll(NULL, 0, 1);
	}
}

/* The bell without end, and then the server is dead. */
static void act_bell(void)
{
	uint64_t end = now_ms() + 3000;

	while (now_ms() < end)
		xenevtchn_notify(g.vchan->event, g.vchan->event_port);
	g.vchan->ring->srv_live = 0;
	xenevtchn_notify(g.vchan->event, g.vchan->event_port);
}

static void (*const acts[])(void) = {
	act_forge, act_malformed, act_giant, act_flood, act_hello_again,
	act_quiesced, act_ring, act_bell,
};

static unsigned domain_id(void)
{
	struct xs_handle *xs = xs_open(0);
	unsigned len, id = 1;
	char *text = xs ? xs_read(xs, XBT_NULL, "domid", &len) : NULL;

	if (text)
		id = (unsigned)strtoul(text, NULL, 10);
	free(text);
	if (xs)
		xs_close(xs);
	return id;
}

int main(void)
{
	static const uint16_t not[GK_ATTACK_NOT] = {
		KEY_ENTER, KEY_KPENTER, KEY_LEFTCTRL, KEY_RIGHTCTRL, KEY_LEFTALT,
		KEY_RIGHTALT, KEY_CAPSLOCK, KEY_NUMLOCK, KEY_SCROLLLOCK, KEY_TAB,
	};
	unsigned id = domain_id(), act;
	uint64_t end;

	act = (id - 1) % (sizeof(acts) / sizeof(acts[0]));
	g.attack.seed = id;
	memcpy(g.attack.not_codes, not, sizeof(not));
	/* As in gatekeeper/domain/link_server.c. */
	g.vchan = libxenvchan_server_init(NULL, 0, "data/gatekeeper", 1024, 2048);
	if (!g.vchan)
		return 1;
	g.vchan->blocking = 0;
	g.vchan->server_persist = -1;
	while (!g.open)
		listen_to_dom0(1000);
	say("taken over, act ", act + 1);
	acts[act]();
	for (end = now_ms() + FOREVER_MS; now_ms() < end;)
		listen_to_dom0(100);
	return 0;
}
