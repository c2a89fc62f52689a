/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conformance SOCKET: plays dom0 against any gate that speaks the link of
 * gatekeeper-link(7) over a listening UNIX stream socket, and says what of that
 * page it does not keep to. One line a case; exit status 1 if one failed.
 * Cases run in order; the last one makes the gate let go of its devices.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/manifest.h"
#include "core/policy.h"
#include "core/session.h"

enum {
	HELLO_MS = 15000,	/* the page's own bounds */
	PONG_MS = 5000,
	QUIESCE_MS = 5000,
	INIT_MS = 2000,
	QUIET_MS = 200,		/* long enough to see that nothing comes */
	PINGS = 200,
};

static struct {
	const char *path;
	int fd;
	uint8_t in[1 << 16];
	size_t in_len;
	struct gk_session session;
	int gone;		/* the gate closed the connection */
	char why[256];		/* of the first thing wrong in this case */
	unsigned long frames, keys, logs;
	unsigned failed, passed;
} t;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2)))
static void wrong(const char *fmt, ...)
{
	va_list ap;

	if (t.why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(t.why, sizeof(t.why), fmt, ap);
	va_end(ap);
}

/* --- the stream --- */

static void hang_up(void)
{
	if (t.fd >= 0)
		close(t.fd);
	t.fd = -1;
	t.in_len = 0;
}

static void dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	uint64_t end = now_ms() + HELLO_MS;

	hang_up();
	t.gone = 0;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", t.path);
	t.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (connect(t.fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (now_ms() >= end) {
			wrong("no connection: %s", strerror(errno));
			t.gone = 1;
			return;
		}
		usleep(20000);
	}
}

static void put_raw(const void *b, size_t len)
{
	if (t.fd >= 0 && send(t.fd, b, len, MSG_NOSIGNAL) != (ssize_t)len)
		t.gone = 1;
}

static void put(const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_DOM0, b, sizeof(b));

	if (n < 0)
		wrong("the test itself: %s", gk_strerror(n));
	else
		put_raw(b, (size_t)n);
}

/* The next frame of the gate, well formed or else it is wrong; 0: none. */
static int next(struct gk_frame *f, uint64_t end)
{
	for (;;) {
		struct pollfd p = { .fd = t.fd, .events = POLLIN };
		int len = gk_link_peek(t.in, t.in_len);
		uint64_t now = now_ms();
		ssize_t n;

		if (len < 0 && len != GK_ERR_SHORT) {
			wrong("a header that is none: %s", gk_strerror(len));
			return 0;
		}
		if (len > 0 && t.in_len >= (size_t)len) {
			int err = gk_link_decode(t.in, (size_t)len, GK_SIDE_GATE, f);

			if (err)
				wrong("a %s that does not decode: %s",
				      gk_link_type_name(t.in[1]), gk_strerror(err));
			t.in_len -= (size_t)len;
			memmove(t.in, t.in + len, t.in_len);
			t.frames++;
			return !err;
		}
		if (t.gone || now >= end || poll(&p, 1, (int)(end - now)) <= 0)
			return 0;
		n = recv(t.fd, t.in + t.in_len, sizeof(t.in) - t.in_len,
			 MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			t.gone = 1;
		if (n > 0)
			t.in_len += (size_t)n;
	}
}

/* The same, and it has to be in order; a question is answered. */
static int hear(struct gk_frame *f, uint64_t end)
{
	int err;

	if (!next(f, end))
		return 0;
	err = gk_session_frame(&t.session, f, now_ms());
	if (err < 0) {
		wrong("a %s out of order: %s", gk_link_type_name(f->type),
		      gk_strerror(err));
		return 0;
	}
	t.keys += f->type == GK_LINK_KEY;
	if (f->type == GK_LINK_LOG) {
		t.logs++;
		printf("        the gate: %.*s\n", f->u.log.len, f->u.log.text);
	}
	if (f->type == GK_LINK_PING && !f->u.ping.reply) {
		struct gk_frame a = *f;

		a.u.ping.reply = 1;
		put(&a);
	}
	return 1;
}

static void hear_for(uint64_t ms)
{
	uint64_t end = now_ms() + ms;
	struct gk_frame f;

	while (hear(&f, end))
		;
}

static struct gk_frame hello(void)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };

	f.u.hello.version_min = f.u.hello.version_max = GK_LINK_VERSION;
	if (getrandom(f.u.hello.nonce, GK_LINK_NONCE, 0) != GK_LINK_NONCE)
		wrong("no random numbers");
	return f;
}

/* Until the answer has come; what is old before it is dropped. */
static void greet(void)
{
	struct gk_frame f = hello();
	uint64_t end = now_ms() + HELLO_MS;

	gk_session_init(&t.session, f.u.hello.nonce);
	put(&f);
	while (!t.session.open)
		if (!hear(&f, end)) {
			wrong("no answer to HELLO in %d s", HELLO_MS / 1000);
			return;
		}
}

static void ask(uint64_t token)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	f.u.ping.token = token;
	put(&f);
}

/* 1: the answer came, and its token is right. */
static int answered(uint64_t token, uint64_t ms)
{
	uint64_t end = now_ms() + ms;
	struct gk_frame f;

	while (hear(&f, end))
		if (f.type == GK_LINK_PING && f.u.ping.reply &&
		    f.u.ping.token == token)
			return 1;
	return 0;
}

static void alive(const char *after)
{
	uint64_t token = now_ms() << 8 | 0x5a;

	ask(token);
	if (!answered(token, PONG_MS))
		wrong("no answer to PING in %d s %s", PONG_MS / 1000, after);
}

static void begin(void)
{
	dial();
	greet();
	hear_for(QUIET_MS);
}

/* --- the cases --- */

static void says_hello(void)
{
	dial();
	greet();
}

static unsigned devices(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		n += t.session.dev[i].id != 0;
	return n;
}

static void announces(void)
{
	begin();
	printf("        %u devices\n", devices());
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &t.session.dev[i];

		if (d->id > GK_LINK_DEVICES)
			wrong("device id %u: a place in a table of %d is meant",
			      d->id, GK_LINK_DEVICES);
	}
}

/* What was known before is told again, with its id and generation. */
static void compare(const struct gk_session *was)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *old = &was->dev[i], *d;

		if (!old->id)
			continue;
		d = gk_session_find(&t.session, old->id);
		/* It may have been replaced or unplugged meanwhile. */
		if (!d || d->generation > old->generation)
			continue;
		if (d->generation < old->generation)
			wrong("device %u had generation %u and has %u", old->id,
			      old->generation, d->generation);
		else if (memcmp(&d->info, &old->info, sizeof(d->info)) != 0)
			wrong("device %u is another one in the same generation",
			      old->id);
	}
	if (t.session.last_generation < was->last_generation)
		wrong("generations went back from %u to %u", was->last_generation,
		      t.session.last_generation);
}

static void hello_again(void)
{
	struct gk_session was;

	begin();
	was = t.session;
	for (int i = 0; i < 5; i++) {
		greet();
		hear_for(QUIET_MS / 2);
		compare(&was);
	}
}

static void another_client(void)
{
	struct gk_session was;

	begin();
	was = t.session;
	for (int i = 0; i < 5; i++) {
		/* Some of them go in the middle of a frame. */
		if (i % 2)
			put_raw("\x01\x08\x0c", 3);
		begin();
		compare(&was);
	}
}

static void pings(void)
{
	begin();
	for (uint64_t i = 0; i < PINGS; i++)
		ask(0xabcdef0000000000 + i);
	for (uint64_t i = 0; i < PINGS; i++)
		if (!answered(0xabcdef0000000000 + i, PONG_MS)) {
			wrong("%u of %u PINGs were answered in order",
			      (unsigned)i, PINGS);
			return;
		}
}

static void unasked_pong(void)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	begin();
	f.u.ping.reply = 1;
	f.u.ping.token = 42;
	put(&f);
	alive("after an answer to nothing");
}

static void pieces(void)
{
	struct gk_frame f = hello();
	uint8_t b[2 * GK_LINK_FRAME_MAX];
	int n = gk_link_encode(&f, GK_SIDE_DOM0, b, sizeof(b));

	dial();
	gk_session_init(&t.session, f.u.hello.nonce);
	f = (struct gk_frame){ .type = GK_LINK_PING };
	f.u.ping.token = 77;
	if (n > 0)
		n += gk_link_encode(&f, GK_SIDE_DOM0, b + n, GK_LINK_FRAME_MAX);
	/* Two frames, byte by byte. */
	for (int i = 0; i < n; i++) {
		put_raw(b + i, 1);
		usleep(1000);
	}
	if (!answered(77, PONG_MS) || !t.session.open)
		wrong("HELLO and PING in single bytes are not answered");
}

static void lights(void)
{
	struct gk_frame f = { .type = GK_LINK_LED };
	unsigned keyboards = 0;

	begin();
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &t.session.dev[i];

		if (!d->id || !(d->info.granted & GK_ROLE_KEYBOARD))
			continue;
		keyboards++;
		f.device = d->id;
		f.generation = d->generation;
		for (uint8_t leds = 0; leds < 8; leds++) {
			f.u.led.leds = leds;
			put(&f);
		}
	}
	/* And of nobody, of an old generation, of a number too large. */
	f.device = 16;
	f.generation = 0xffffffff;
	put(&f);
	f.device = 0xffffffff;
	put(&f);
	f.device = f.generation = 1;
	put(&f);
	hear_for(QUIET_MS);
	printf("        %u keyboards\n", keyboards);
	alive("after LED");
}

/* INIT on the broadcast channel (CTAP 2.1 11.2.9.1.3) is answered by every key. */
static void inits(const struct gk_session_device *d, uint8_t mark)
{
	struct gk_frame f = { .type = GK_LINK_FIDO, .device = d->id,
			      .generation = d->generation };
	uint64_t end = now_ms() + INIT_MS;

	memset(f.u.fido.packet, 0xff, 4);
	f.u.fido.packet[4] = 0x86;
	f.u.fido.packet[6] = 8;
	memset(f.u.fido.packet + 7, mark, 8);
	put(&f);
	do {
		if (!hear(&f, end)) {
			wrong("INIT of device %u is not answered", d->id);
			return;
		}
	} while (f.type != GK_LINK_FIDO || f.device != d->id);
	if (f.u.fido.packet[4] != 0x86 || f.u.fido.packet[6] != 17 ||
	    f.u.fido.packet[7] != mark)
		wrong("not an answer to INIT");
}

static void fido(void)
{
	struct gk_frame f = { .type = GK_LINK_FIDO };
	unsigned keys = 0;

	begin();
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &t.session.dev[i];

		if (!d->id)
			continue;
		/* To what is no key it must not matter: no answer is in order. */
		f.device = d->id;
		f.generation = d->generation;
		if (!(d->info.granted & GK_ROLE_FIDO)) {
			put(&f);
			continue;
		}
		f.generation++;
		put(&f);
		keys++;
		inits(d, (uint8_t)(0x61 + i));
	}
	f.device = f.generation = 0xffffffff;
	put(&f);
	hear_for(QUIET_MS);
	printf("        %u FIDO keys\n", keys);
	alive("after FIDO");
}

/* A manifest is for a USB domain: a gate has rules of its own, and goes on. */
static void manifest(void)
{
	static const struct gk_manifest m = {
		.version = GK_MANIFEST_VERSION, .leds = 2, .devices = 1,
		.rules_len = 5, .rules = "block",
		.device[0] = { .path = { 1, 0, 1, { 1 } }, .roles = GK_ROLE_KEYBOARD },
	};
	static const uint8_t digest[GK_SHA256];
	int parts = gk_manifest_parts(&m);

	begin();
	if (parts != 4)
		wrong("the test itself");
	/* From its end to its begin, so in no order; and as it should be. */
	for (int i = -parts; i < parts; i++) {
		struct gk_frame f = { .type = GK_LINK_MANIFEST };

		if (gk_manifest_part(&m, (unsigned)(i < 0 ? -i - 1 : i), digest,
				     &f.u.manifest) < 0)
			wrong("the test itself");
		put(&f);
	}
	hear_for(QUIET_MS);
	alive("after a manifest");
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		if (t.session.dev[i].id &&
		    t.session.dev[i].info.reason == GK_REASON_RULE)
			wrong("its rules were taken");
}

/* A good frame, and some bytes of it changed. */
static const struct {
	const char *name;
	uint8_t type;
	uint8_t device;		/* 0: the link */
	uint8_t offset, len;
	const char *bytes;
} malformed[] = {
	{ "version 0", GK_LINK_PING, 0, 0, 1, "\0" },
	{ "version 2", GK_LINK_PING, 0, 0, 1, "\2" },
	{ "type 0", GK_LINK_PING, 0, 1, 1, "\0" },
	{ "type 63", GK_LINK_PING, 0, 1, 1, "\x3f" },
	{ "type 255", GK_LINK_PING, 0, 1, 1, "\xff" },
	{ "KEY from dom0", GK_LINK_LED, 1, 1, 1, "\4" },
	{ "GONE from dom0", GK_LINK_LED, 1, 1, 1, "\3" },
	{ "QUIESCED from dom0", GK_LINK_QUIESCE, 0, 1, 1, "\7" },
	{ "a payload shorter than its type", GK_LINK_PING, 0, 2, 2, "\x0b\0" },
	{ "a payload longer than its type", GK_LINK_PING, 0, 2, 2, "\x0d\0" },
	{ "a payload of 65535", GK_LINK_PING, 0, 2, 2, "\xff\xff" },
	{ "PING of a device", GK_LINK_PING, 0, 4, 1, "\1" },
	{ "PING of a generation", GK_LINK_PING, 0, 8, 1, "\1" },
	{ "PING with reply 2", GK_LINK_PING, 0, 12, 1, "\2" },
	{ "FIDO of the link", GK_LINK_FIDO, 1, 4, 1, "\0" },
	{ "PING with a reserved byte", GK_LINK_PING, 0, 14, 1, "\1" },
	{ "HELLO of version 2 only", GK_LINK_HELLO, 0, 12, 4, "\2\0\2\0" },
	{ "HELLO of no version", GK_LINK_HELLO, 0, 12, 4, "\0\0\0\0" },
	{ "HELLO with its versions crossed", GK_LINK_HELLO, 0, 12, 4, "\1\0\0\0" },
	{ "HELLO of a device", GK_LINK_HELLO, 0, 4, 1, "\1" },
	{ "LED of the link", GK_LINK_LED, 1, 4, 1, "\0" },
	{ "LED of generation 0", GK_LINK_LED, 1, 8, 1, "\0" },
	{ "LED 8", GK_LINK_LED, 1, 12, 1, "\x08" },
	{ "LED with a reserved byte", GK_LINK_LED, 1, 15, 1, "\1" },
	{ "MANIFEST of a device", GK_LINK_MANIFEST, 0, 4, 1, "\1" },
	{ "MANIFEST of no kind", GK_LINK_MANIFEST, 0, 12, 1, "\0" },
	{ "MANIFEST of kind 5", GK_LINK_MANIFEST, 0, 12, 1, "\5" },
	{ "MANIFEST that begins with part 1", GK_LINK_MANIFEST, 0, 14, 1, "\1" },
	{ "MANIFEST with a reserved byte", GK_LINK_MANIFEST, 0, 139, 1, "\1" },
	{ "QUIESCE in no time", GK_LINK_QUIESCE, 0, 12, 4, "\0\0\0\0" },
	{ "QUIESCE in 60001 ms", GK_LINK_QUIESCE, 0, 12, 4, "\x61\xea\0\0" },
	{ "QUIESCE of a device", GK_LINK_QUIESCE, 0, 4, 1, "\1" },
};

/* Nothing comes after it, and the next HELLO is answered; or it hangs up. */
static void refuses(size_t i)
{
	struct gk_frame f = { .type = malformed[i].type };
	uint8_t b[GK_LINK_FRAME_MAX];
	int n;

	begin();
	f.device = f.generation = malformed[i].device;
	if (f.type == GK_LINK_HELLO)
		f = hello();
	if (f.type == GK_LINK_QUIESCE)
		f.u.quiesce.deadline_ms = QUIESCE_MS;
	if (f.type == GK_LINK_MANIFEST) {
		f.u.manifest.part[0] = GK_MANIFEST_BEGIN;
		f.u.manifest.part[4] = GK_MANIFEST_VERSION;
	}
	n = gk_link_encode(&f, GK_SIDE_DOM0, b, sizeof(b));
	if (n < 0) {
		wrong("the test itself");
		return;
	}
	memcpy(b + malformed[i].offset, malformed[i].bytes, malformed[i].len);
	put_raw(b, (size_t)n);
	hear_for(100);
	ask(99);
	if (answered(99, QUIET_MS))
		wrong("PING was answered after it");
	if (t.session.quiesced)
		wrong("it was obeyed");
	if (t.gone)
		dial();
	greet();
	alive("after the HELLO that follows it");
}

/* dom0 stops reading: the gate may give the session up, but not itself. */
static void does_not_read(void)
{
	uint64_t end = now_ms() + 3000;
	uint8_t b[GK_LINK_FRAME_MAX];
	struct gk_frame f = { .type = GK_LINK_PING };
	int n = gk_link_encode(&f, GK_SIDE_DOM0, b, sizeof(b)), small = 4096;

	begin();
	setsockopt(t.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (unsigned i = 0; n > 0 && now_ms() < end; i++)
		if (send(t.fd, b, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
			usleep(10000);
	begin();
	alive("after it was not read");
}

static void lets_go(void)
{
	struct gk_frame f = { .type = GK_LINK_QUIESCE };
	uint64_t began, end;

	begin();
	f.u.quiesce.deadline_ms = QUIESCE_MS;
	gk_session_quiesce(&t.session);
	began = now_ms();
	end = began + QUIESCE_MS + 1000;
	put(&f);
	while (!t.session.quiesced)
		if (!hear(&f, end)) {
			wrong("no QUIESCED in %d ms", QUIESCE_MS);
			return;
		}
	printf("        QUIESCED after %u ms: complete %u, %u controllers, %u "
	       "devices\n", (unsigned)(now_ms() - began), f.u.quiesced.complete,
	       f.u.quiesced.controllers, f.u.quiesced.devices);
	/* The session lets nothing by now but PING and LOG. */
	hear_for(QUIET_MS);
	alive("after QUIESCED");
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "HELLO is answered with its nonce", says_hello },
	{ "devices are told in order", announces },
	{ "HELLO in the middle of a session", hello_again },
	{ "another client, also in the middle of a frame", another_client },
	{ "PINGs are answered, in order", pings },
	{ "an answer to no question", unasked_pong },
	{ "frames in pieces", pieces },
	{ "LED, of keyboards and of nobody", lights },
	{ "FIDO, of keys and of what is none", fido },
	{ "MANIFEST, ignored", manifest },
	{ "a client that does not read", does_not_read },
};

static void run(const char *prefix, const char *name, void (*fn)(void), size_t i)
{
	t.why[0] = '\0';
	if (fn)
		fn();
	else
		refuses(i);
	if (t.gone && !t.why[0])
		wrong("the gate closed the connection");
	if (t.why[0]) {
		printf("FAILED  %s%s: %s\n", prefix, name, t.why);
		t.failed++;
	} else {
		printf("ok      %s%s\n", prefix, name);
		t.passed++;
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: conformance SOCKET\n", stderr);
		return 2;
	}
	t.path = argv[1];
	t.fd = -1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run("", cases[i].name, cases[i].run, 0);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		run("refused: ", malformed[i].name, NULL, i);
	run("", "QUIESCE and QUIESCED", lets_go, 0);
	printf("%lu frames of the gate, %lu of them keys, %lu log lines\n",
	       t.frames, t.keys, t.logs);
	printf("%u passed, %u failed\n", t.passed, t.failed);
	return t.failed != 0;
}
