/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real gatekeeper-link, over a stream socket in place of vchan: what a
 * gate domain that has been taken over can send, and what reaches gatekeeperd
 * of it. argv[1] or GK_LINK names the program.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/link.h"
#include "core/policy.h"
#include "dom0/clock.h"
#include "dom0/link_status.h"

enum { PATIENCE_MS = 5000 };

static const char *program;

struct run {
	pid_t pid;
	int gate;		/* the gate's end of the stream */
	int daemon;		/* gatekeeperd's end */
	int err;		/* its stderr */
	uint8_t nonce[GK_LINK_NONCE];
	uint8_t in[4096];	/* what the gate has read, not yet parsed */
	size_t in_len;
};

static void start(struct run *r, const void *before, size_t before_len)
{
	int stream[2], packets[2], err[2];

	memset(r, 0, sizeof(*r));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    stream), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    packets), 0);
	assert_int_equal(pipe(err), 0);
	if (before_len)
		assert_int_equal(write(stream[0], before, before_len),
				 (ssize_t)before_len);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		int s = dup(stream[1]), p = dup(packets[1]), e = dup(err[1]);

		/* dup() gave numbers above those that are set here. */
		dup2(e, 2);
		dup2(p, 3);
		dup2(s, 4);
		close_range(5, ~0U, 0);
		execl(program, "@gatekeeper-link", "--test-socket", "4",
		      (char *)NULL);
		_exit(99);
	}
	close(stream[1]);
	close(packets[1]);
	close(err[1]);
	r->gate = stream[0];
	r->daemon = packets[0];
	r->err = err[0];
}

static int readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

/* One frame that the reader sent to the gate; 0 when none comes. */
static int gate_reads(struct run *r, struct gk_frame *f, int ms)
{
	uint64_t end = gk_now_ms() + (uint64_t)ms;

	for (;;) {
		int len = gk_link_peek(r->in, r->in_len);
		ssize_t n;

		if (len > 0 && r->in_len >= (size_t)len) {
			assert_int_equal(gk_link_decode(r->in, (size_t)len,
							GK_SIDE_DOM0, f), 0);
			r->in_len -= (size_t)len;
			memmove(r->in, r->in + len, r->in_len);
			return 1;
		}
		if (gk_now_ms() >= end ||
		    !readable(r->gate, (int)(end - gk_now_ms())))
			return 0;
		n = recv(r->gate, r->in + r->in_len, sizeof(r->in) - r->in_len,
			 MSG_DONTWAIT);
		if (n <= 0)
			return 0;
		r->in_len += (size_t)n;
	}
}

static void gate_sends_raw(struct run *r, const void *buf, size_t len)
{
	assert_int_equal(send(r->gate, buf, len, MSG_NOSIGNAL), (ssize_t)len);
}

static size_t encode(const struct gk_frame *f, uint8_t buf[GK_LINK_FRAME_MAX])
{
	int n = gk_link_encode(f, GK_SIDE_GATE, buf, GK_LINK_FRAME_MAX);

	assert_true(n > 0);
	return (size_t)n;
}

static void gate_sends(struct run *r, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];

	gate_sends_raw(r, buf, encode(f, buf));
}

/* One frame as gatekeeperd gets it; 0 when none comes. */
static int daemon_reads(struct run *r, struct gk_frame *f, int ms)
{
	uint8_t buf[512];
	ssize_t n;

	if (!readable(r->daemon, ms))
		return 0;
	n = recv(r->daemon, buf, sizeof(buf), MSG_DONTWAIT);
	if (n <= 0)
		return 0;
	assert_int_equal(gk_link_decode(buf, (size_t)n, GK_SIDE_GATE, f), 0);
	return 1;
}

/* Its exit status, or 1000 + the signal that ended it. */
static int end(struct run *r, int ms)
{
	uint64_t until = gk_now_ms() + (uint64_t)ms;
	int status = 0;
	pid_t got;

	while ((got = waitpid(r->pid, &status, WNOHANG)) == 0 &&
	       gk_now_ms() < until)
		usleep(5000);
	if (got == 0) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, &status, 0);
		status = -1;
	}
	close(r->gate);
	close(r->daemon);
	if (status < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   1000 + WTERMSIG(status);
}

static void said(struct run *r, const char *text)
{
	char out[2048];
	size_t len = 0;
	ssize_t n;

	while ((n = read(r->err, out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(r->err);
	if (!strstr(out, text))
		fail_msg("said \"%s\", not \"%s\"", out, text);
}

static void stop(struct run *r)
{
	close(r->err);
	shutdown(r->daemon, SHUT_RDWR);
	assert_int_equal(end(r, PATIENCE_MS), GK_LINK_EXIT_DONE);
}

static void answer_hello(struct run *r)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };

	f.u.hello.version_min = f.u.hello.version_max = GK_LINK_VERSION;
	memcpy(f.u.hello.nonce, r->nonce, GK_LINK_NONCE);
	gate_sends(r, &f);
}

/* Up to the moment at which gatekeeperd knows that the session is open. */
static void open_session(struct run *r)
{
	struct gk_frame f;

	assert_true(gate_reads(r, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_HELLO);
	memcpy(r->nonce, f.u.hello.nonce, GK_LINK_NONCE);
	answer_hello(r);
	assert_true(daemon_reads(r, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_HELLO);
	assert_memory_equal(f.u.hello.nonce, r->nonce, GK_LINK_NONCE);
}

static struct gk_frame keyboard(uint32_t id, uint32_t generation)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE, .device = id, .generation = generation,
	};

	f.u.dev.path = (struct gk_port_path){ .depth = 1, .port = { 2 } };
	f.u.dev.vid = 0x0627;
	f.u.dev.pid = 1;
	f.u.dev.asked = f.u.dev.granted = GK_ROLE_KEYBOARD;
	f.u.dev.verdict = GK_VERDICT_ADMITTED;
	f.u.dev.interfaces = 1;
	f.u.dev.shown[0].base_class = 3;
	f.u.dev.shown[0].role = GK_ROLE_KEYBOARD;
	f.u.dev.reason = GK_REASON_ADMITTED;
	return f;
}

static struct gk_frame key(uint32_t id, uint32_t generation, uint16_t code,
			   uint8_t value)
{
	struct gk_frame f = {
		.type = GK_LINK_KEY, .device = id, .generation = generation,
	};

	f.u.key.code = code;
	f.u.key.value = value;
	return f;
}

/* --- what goes well --- */

static void passes_keys(void **state)
{
	static const struct {
		uint16_t code;
		uint8_t value;
		int passes;
	} keys[] = {
		{ 30, 1, 1 }, { 30, 1, 0 }, { 31, 1, 1 }, { 30, 0, 1 },
		{ 30, 0, 0 }, { 31, 0, 1 },
	};
	struct gk_frame f;
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	f = keyboard(1, 1);
	gate_sends(&r, &f);
	assert_true(daemon_reads(&r, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_DEVICE);
	assert_int_equal(f.u.dev.vid, 0x0627);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		f = key(1, 1, keys[i].code, keys[i].value);
		gate_sends(&r, &f);
		if (!keys[i].passes)
			continue;
		assert_true(daemon_reads(&r, &f, PATIENCE_MS));
		assert_int_equal(f.type, GK_LINK_KEY);
		assert_int_equal(f.u.key.code, keys[i].code);
		assert_int_equal(f.u.key.value, keys[i].value);
	}
	assert_false(daemon_reads(&r, &f, 100));
	stop(&r);
}

static void takes_frames_in_pieces(void **state)
{
	uint8_t buf[3 * GK_LINK_FRAME_MAX];
	struct gk_frame f;
	struct run r;
	size_t len;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	f = keyboard(7, 9);
	len = encode(&f, buf);
	f = key(7, 9, 16, 1);
	len += encode(&f, buf + len);
	f = key(7, 9, 16, 0);
	len += encode(&f, buf + len);
	for (size_t i = 0; i < len; i++) {
		gate_sends_raw(&r, buf + i, 1);
		if (i % 16 == 0)
			usleep(500);
	}
	for (int i = 0; i < 3; i++)
		assert_true(daemon_reads(&r, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_KEY);
	assert_int_equal(f.u.key.value, 0);
	stop(&r);
}

static void drops_what_a_predecessor_left(void **state)
{
	uint8_t old[2 * GK_LINK_FRAME_MAX];
	struct gk_frame f;
	struct run r;
	size_t len;

	(void)state;
	f = keyboard(1, 5);
	len = encode(&f, old);
	f = key(1, 5, 30, 1);
	len += encode(&f, old + len);
	start(&r, old, len);
	/* And between our HELLO and its answer, from the session before. */
	assert_true(gate_reads(&r, &f, PATIENCE_MS));
	memcpy(r.nonce, f.u.hello.nonce, GK_LINK_NONCE);
	f = key(1, 5, 30, 0);
	gate_sends(&r, &f);
	answer_hello(&r);
	assert_true(daemon_reads(&r, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_HELLO);
	assert_false(daemon_reads(&r, &f, 100));
	stop(&r);
}

static void nonces_are_fresh(void **state)
{
	struct run a, b;

	(void)state;
	start(&a, NULL, 0);
	start(&b, NULL, 0);
	open_session(&a);
	open_session(&b);
	assert_memory_not_equal(a.nonce, b.nonce, GK_LINK_NONCE);
	stop(&a);
	stop(&b);
}

static void answers_and_asks_pings(void **state)
{
	struct gk_frame f = { .type = GK_LINK_PING };
	int asked = 0, answered = 0;
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	f.u.ping.token = 0x1122334455667788;
	gate_sends(&r, &f);
	for (int i = 0; i < 8 && (!answered || asked < 2); i++) {
		assert_true(gate_reads(&r, &f, PATIENCE_MS));
		assert_int_equal(f.type, GK_LINK_PING);
		if (f.u.ping.reply) {
			assert_true(f.u.ping.token == 0x1122334455667788);
			answered = 1;
		} else {
			f.u.ping.reply = 1;
			gate_sends(&r, &f);
			asked++;
		}
	}
	assert_int_equal(answered, 1);
	assert_int_equal(asked, 2);
	/* All that was between the two of them. */
	assert_false(daemon_reads(&r, &f, 50));
	stop(&r);
}

static void passes_on_for_the_daemon(void **state)
{
	static const struct {
		uint8_t type;
		int passes;
	} cases[] = {
		{ GK_LINK_LED, 1 }, { GK_LINK_KEY, 0 }, { GK_LINK_QUIESCE, 1 },
		{ GK_LINK_HELLO, 0 },
	};
	uint8_t buf[GK_LINK_FRAME_MAX], junk[200];
	struct gk_frame f;
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	f = keyboard(1, 1);
	gate_sends(&r, &f);
	assert_true(daemon_reads(&r, &f, PATIENCE_MS));
	memset(junk, 0xa5, sizeof(junk));
	assert_true(send(r.daemon, junk, sizeof(junk), 0) > 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int n;

		f = (struct gk_frame){ .type = cases[i].type };
		if (f.type == GK_LINK_LED || f.type == GK_LINK_KEY)
			f.device = f.generation = 1;
		if (f.type == GK_LINK_LED)
			f.u.led.leds = 2;
		if (f.type == GK_LINK_QUIESCE)
			f.u.quiesce.deadline_ms = 5000;
		if (f.type == GK_LINK_HELLO)
			f.u.hello.version_min = f.u.hello.version_max = 1;
		if (f.type == GK_LINK_KEY) {
			f = key(1, 1, 30, 1);
			n = (int)encode(&f, buf);
		} else {
			n = gk_link_encode(&f, GK_SIDE_DOM0, buf, sizeof(buf));
		}
		assert_true(n > 0);
		assert_int_equal(send(r.daemon, buf, (size_t)n, 0), n);
		if (!cases[i].passes)
			continue;
		do
			assert_true(gate_reads(&r, &f, PATIENCE_MS));
		while (f.type == GK_LINK_PING);
		assert_int_equal(f.type, cases[i].type);
	}
	/* QUIESCED is in order now. */
	f = (struct gk_frame){ .type = GK_LINK_QUIESCED };
	f.u.quiesced.complete = 1;
	f.u.quiesced.controllers = 1;
	gate_sends(&r, &f);
	assert_true(daemon_reads(&r, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_QUIESCED);
	stop(&r);
}

static void is_sandboxed(void **state)
{
	static const char *const always[] = {
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Threads:\t1\n",
	};
	static const char *const root[] = {
		"Uid:\t0\t65534\t65534\t65534\n",
		"Gid:\t65534\t65534\t65534\t65534\n", "Groups:\t \n",
		"CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n",
	};
	char path[64], text[8192];
	struct run r;
	size_t n;
	FILE *f;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)r.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (!strstr(text, always[i]))
			fail_msg("no %s in %s", always[i], text);
	for (size_t i = 0; geteuid() == 0 && i < sizeof(root) / sizeof(root[0]);
	     i++)
		if (!strstr(text, root[i]))
			fail_msg("no %s in %s", root[i], text);
	stop(&r);
}

/* --- what a hostile gate does --- */

static struct gk_frame refused_device(void)
{
	struct gk_frame f = keyboard(2, 2);

	f.u.dev.asked = f.u.dev.granted = 0;
	f.u.dev.verdict = GK_VERDICT_REFUSED;
	f.u.dev.reason = GK_REASON_NO_ROLE;
	f.u.dev.shown[0] = (struct gk_link_interface){ .base_class = 8 };
	return f;
}

static struct gk_frame logged(void)
{
	struct gk_frame f = { .type = GK_LINK_LOG };

	f.u.log.level = 6;
	f.u.log.len = 5;
	memcpy(f.u.log.text, "hello", 5);
	return f;
}

static struct gk_frame of_type(uint8_t type)
{
	struct gk_frame f = { .type = type };

	f.u.quiesced.complete = type == GK_LINK_QUIESCED;
	f.u.quiesced.controllers = type == GK_LINK_QUIESCED;
	return f;
}

static struct gk_frame gone(uint32_t id, uint32_t generation)
{
	struct gk_frame f = {
		.type = GK_LINK_GONE, .device = id, .generation = generation,
	};

	f.u.gone.reason = GK_REASON_UNPLUGGED;
	return f;
}

enum base {
	KEYBOARD, KEY_OF_1, KEY_OF_2, KEY_OF_3, LOGGED, QUIESCED,
	GONE_OLD, AGAIN, PING,
};

/* A good frame, and one byte of it changed: the link is at its end. */
static const struct {
	const char *name;
	enum base base;
	int offset;		/* -1: as it is */
	uint8_t value;
} hostile[] = {
	{ "version 0", KEYBOARD, 0, 0 },
	{ "version 2", KEYBOARD, 0, 2 },
	{ "type 0", KEYBOARD, 1, 0 },
	{ "type 12", KEYBOARD, 1, 12 },
	{ "FOUND, which is the worker's", KEY_OF_1, 1, GK_LINK_FOUND },
	{ "type 255", KEYBOARD, 1, 255 },
	{ "payload one shorter", KEY_OF_1, 2, 3 },
	{ "payload one longer", KEY_OF_1, 2, 5 },
	{ "payload of 65 KB", KEY_OF_1, 3, 255 },
	{ "LED from the gate", KEY_OF_1, 1, GK_LINK_LED },
	{ "key code 0", KEY_OF_1, 12, 0 },
	{ "key code 256 and more", KEY_OF_1, 13, 1 },
	{ "key value 2", KEY_OF_1, 14, 2 },
	{ "key of the link itself", KEY_OF_1, 4, 0 },
	{ "key of a device not known", KEY_OF_3, -1, 0 },
	{ "key of a refused device", KEY_OF_2, -1, 0 },
	{ "key of another generation", KEY_OF_1, 8, 2 },
	{ "device told twice in a generation", AGAIN, -1, 0 },
	{ "device id 0", KEYBOARD, 4, 0 },
	{ "port path too deep", KEYBOARD, 14, 8 },
	{ "port path without a port", KEYBOARD, 14, 0 },
	{ "port 0 in use", KEYBOARD, 15, 0 },
	{ "verdict 4", KEYBOARD, 12 + 16, 4 },
	{ "role that was not asked for", KEYBOARD, 12 + 15, 3 },
	{ "log with an escape", LOGGED, 14, 0x1b },
	{ "log longer than its text", LOGGED, 13, 121 },
	{ "log with a level of its own", LOGGED, 12, 0 },
	{ "log with bytes after its text", LOGGED, 12 + 2 + 60, 'x' },
	{ "QUIESCED unasked", QUIESCED, -1, 0 },
	{ "GONE of an old generation", GONE_OLD, -1, 0 },
	{ "ping with reply 2", PING, 12, 2 },
	{ "ping of a device", PING, 4, 1 },
};

static void ends_at_a_violation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		uint8_t buf[2 * GK_LINK_FRAME_MAX];
		struct gk_frame f;
		struct run r;
		size_t len;
		int status;

		start(&r, NULL, 0);
		open_session(&r);
		f = keyboard(1, 1);
		gate_sends(&r, &f);
		f = refused_device();
		gate_sends(&r, &f);
		assert_true(daemon_reads(&r, &f, PATIENCE_MS));
		assert_true(daemon_reads(&r, &f, PATIENCE_MS));
		switch (hostile[i].base) {
		case KEYBOARD:
			f = keyboard(3, 3);
			break;
		case KEY_OF_1:
			f = key(1, 1, 30, 1);
			break;
		case KEY_OF_2:
			f = key(2, 2, 30, 1);
			break;
		case KEY_OF_3:
			f = key(3, 1, 30, 1);
			break;
		case LOGGED:
			f = logged();
			break;
		case QUIESCED:
			f = of_type(GK_LINK_QUIESCED);
			break;
		case GONE_OLD:
			f = gone(2, 1);
			break;
		case AGAIN:
			f = keyboard(1, 1);
			break;
		case PING:
			f = of_type(GK_LINK_PING);
			break;
		}
		len = encode(&f, buf);
		if (hostile[i].offset >= 0)
			buf[hostile[i].offset] = hostile[i].value;
		/* A good one behind it must not get by either. */
		f = key(1, 1, 31, 1);
		len += encode(&f, buf + len);
		gate_sends_raw(&r, buf, len);
		while (daemon_reads(&r, &f, PATIENCE_MS))
			fail_msg("%s: %s got by", hostile[i].name,
				 gk_link_type_name(f.type));
		status = end(&r, PATIENCE_MS);
		if (status != GK_LINK_EXIT_VIOLATION)
			fail_msg("%s: status %d", hostile[i].name, status);
		said(&r, "the gate broke the protocol");
	}
}

static void ends_at_a_second_hello(void **state)
{
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	answer_hello(&r);
	assert_int_equal(end(&r, PATIENCE_MS), GK_LINK_EXIT_VIOLATION);
	said(&r, "HELLO");
}

static void ends_at_random_bytes(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 20; round++) {
		uint8_t junk[600];
		struct run r;
		int status;

		start(&r, NULL, 0);
		open_session(&r);
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)rand();
		gate_sends_raw(&r, junk, sizeof(junk));
		status = end(&r, PATIENCE_MS);
		close(r.err);
		assert_int_equal(status, GK_LINK_EXIT_VIOLATION);
	}
}

static void ends_at_too_many_devices(void **state)
{
	struct gk_frame f;
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	for (uint32_t i = 1; i <= GK_LINK_DEVICES; i++) {
		f = keyboard(i, i);
		gate_sends(&r, &f);
		assert_true(daemon_reads(&r, &f, PATIENCE_MS));
	}
	f = keyboard(GK_LINK_DEVICES + 1, GK_LINK_DEVICES + 1);
	gate_sends(&r, &f);
	assert_int_equal(end(&r, PATIENCE_MS), GK_LINK_EXIT_VIOLATION);
	said(&r, "DEVICE");
}

/* Sends until the reader ends; gatekeeperd reads all there is if asked to. */
static int flood(struct run *r, int daemon_listens)
{
	uint64_t until = gk_now_ms() + 15000;
	uint8_t buf[GK_LINK_FRAME_MAX], sink[512];
	unsigned count = 0;

	while (gk_now_ms() < until) {
		struct gk_frame f = key(1, 1, 30, (uint8_t)(count++ & 1));
		size_t len;

		f.u.key.value ^= 1;
		len = encode(&f, buf);
		if (send(r->gate, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN)
				break;
			/* All or nothing: a stream socket takes a small
			 * write whole. */
			count--;
			usleep(1000);
		}
		while (daemon_listens &&
		       recv(r->daemon, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
		/* Keep its questions from filling our side. */
		while (recv(r->gate, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	return end(r, PATIENCE_MS);
}

static void ends_at_a_flood(void **state)
{
	struct gk_frame f = keyboard(1, 1);
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	gate_sends(&r, &f);
	assert_int_equal(flood(&r, 1), GK_LINK_EXIT_VIOLATION);
	said(&r, "KEY");
}

static void ends_when_the_daemon_stalls(void **state)
{
	struct gk_frame f = keyboard(1, 1);
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	gate_sends(&r, &f);
	assert_int_equal(flood(&r, 0), GK_LINK_EXIT_STALLED);
	said(&r, "gatekeeperd does not read");
}

static void ends_when_the_gate_does_not_read(void **state)
{
	struct gk_frame f = { .type = GK_LINK_PING };
	uint64_t until = gk_now_ms() + 10000;
	uint8_t buf[GK_LINK_FRAME_MAX];
	struct run r;
	size_t len;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	len = encode(&f, buf);
	/* Below the bound on frames: it is the answers that pile up. */
	for (int i = 0; gk_now_ms() < until; i++) {
		if (send(r.gate, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    errno != EAGAIN)
			break;
		if (i % 8 == 0)
			usleep(2000);
	}
	assert_int_equal(end(&r, PATIENCE_MS), GK_LINK_EXIT_SILENT);
	close(r.err);
}

static void ends_without_a_pong(void **state)
{
	uint64_t since;
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	since = gk_now_ms();
	assert_int_equal(end(&r, 10000), GK_LINK_EXIT_SILENT);
	assert_true(gk_now_ms() - since < 8000);
	said(&r, "no answer from the gate");
}

static struct run mute;		/* a gate that never says HELLO */

static void a_mute_gate_begins(void **state)
{
	(void)state;
	start(&mute, NULL, 0);
}

static void a_mute_gate_was_given_up(void **state)
{
	(void)state;
	assert_int_equal(end(&mute, 20000), GK_LINK_EXIT_SILENT);
	said(&mute, "no HELLO");
}

static void ends_with_the_gate(void **state)
{
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	open_session(&r);
	shutdown(r.gate, SHUT_RDWR);
	assert_int_equal(end(&r, PATIENCE_MS), GK_LINK_EXIT_CLOSED);
	said(&r, "closed the link");
}

static struct run stopped;	/* a reader that is not run for a while */
static struct gk_frame question;	/* that it had asked before */
static uint64_t stopped_at;

static void a_stopped_reader_begins(void **state)
{
	(void)state;
	start(&stopped, NULL, 0);
	open_session(&stopped);
	assert_true(gate_reads(&stopped, &question, PATIENCE_MS));
	assert_int_equal(question.type, GK_LINK_PING);
	assert_int_equal(kill(stopped.pid, SIGSTOP), 0);
	stopped_at = gk_now_ms();
}

/* The gate may have stood still as well: it has all its time again. */
static void a_stopped_reader_goes_on(void **state)
{
	struct gk_frame f;

	(void)state;
	while (gk_now_ms() < stopped_at + 7000)
		poll(NULL, 0, 100);
	assert_int_equal(kill(stopped.pid, SIGCONT), 0);
	assert_false(gate_reads(&stopped, &f, 300));
	question.u.ping.reply = 1;
	gate_sends(&stopped, &question);
	/* The next question. */
	assert_true(gate_reads(&stopped, &f, PATIENCE_MS));
	assert_int_equal(f.type, GK_LINK_PING);
	stop(&stopped);
}

static void refuses_wrong_usage(void **state)
{
	static const char *const args[][3] = {
		{ NULL }, { "0", NULL }, { "x", NULL }, { "32752", NULL },
		{ "1", "2", NULL }, { "--timeout", "0", "1" },
		{ "--test-socket", "2", NULL }, { "--nonsense", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			close(2);
			execl(program, "gatekeeper-link", args[i][0],
			      args[i][0] ? args[i][1] : NULL,
			      args[i][0] && args[i][1] ? args[i][2] : NULL,
			      (char *)NULL);
			_exit(99);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) != GK_LINK_EXIT_USAGE)
			fail_msg("case %zu: status %d", i, WEXITSTATUS(status));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mute_gate_begins),
		cmocka_unit_test(a_stopped_reader_begins),
		cmocka_unit_test(refuses_wrong_usage),
		cmocka_unit_test(passes_keys),
		cmocka_unit_test(takes_frames_in_pieces),
		cmocka_unit_test(drops_what_a_predecessor_left),
		cmocka_unit_test(nonces_are_fresh),
		cmocka_unit_test(answers_and_asks_pings),
		cmocka_unit_test(passes_on_for_the_daemon),
		cmocka_unit_test(is_sandboxed),
		cmocka_unit_test(ends_at_a_violation),
		cmocka_unit_test(ends_at_a_second_hello),
		cmocka_unit_test(ends_at_random_bytes),
		cmocka_unit_test(ends_at_too_many_devices),
		cmocka_unit_test(ends_at_a_flood),
		cmocka_unit_test(ends_when_the_gate_does_not_read),
		cmocka_unit_test(ends_with_the_gate),
		cmocka_unit_test(ends_without_a_pong),
		cmocka_unit_test(ends_when_the_daemon_stalls),
		cmocka_unit_test(a_stopped_reader_goes_on),
		cmocka_unit_test(a_mute_gate_was_given_up),
	};

	program = argc > 1 ? argv[1] : getenv("GK_LINK");
	if (!program) {
		fputs("usage: test_link_reader PROGRAM\n", stderr);
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
