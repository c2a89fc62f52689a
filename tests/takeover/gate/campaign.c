/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * campaign --link PROGRAM [--seed N] [--messages N]
 * campaign --keys: prints dom0's list of keys, for others to compare with.
 *
 * A gate that has been taken over, against dom0 as it is installed: the real
 * gatekeeper-link, started again for each life of it as gatekeeperd does, and
 * behind it gatekeeperd's own code (devices.c, keyboard.c, the session) with a
 * pipe where /dev/uinput would be. Ends with status 1 at the first thing that
 * must not be:
 *  - a reader that is killed, hangs, or ends otherwise than is documented;
 *  - a frame too many, too few or behind the one that broke the protocol;
 *  - a key on the virtual keyboard that is not on the allow-list, that no
 *    keyboard of the session holds, or that is still down after the end;
 *  - memory that grows, of the reader or of gatekeeperd's code;
 *  - a line on stderr that is not printable.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"
#include "core/keycode.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/link_status.h"
#include "dom0/log.h"
#include "dom0/paths.h"

enum {
	PATIENCE_MS = 120000,	/* of a machine that does other things as well */
	OUT = 1 << 20,		/* bytes on their way to the reader */
	TAIL = 8,		/* good frames behind the one that breaks */
	/* CHUNK messages in CHUNK_MS and no more, however late the last ones were:
	 * below GK_SESSION_FRAMES and _KEYS in any window. */
	CHUNK = 60,
	CHUNK_MS = 10,
	FLOOD = 4 * GK_SESSION_KEYS,
	/* This program was not let run for so long: then a reader may have waited in
	 * vain (its own bounds are 5 s), and that life shows nothing. So many lives
	 * may be like that. */
	AWAY_MS = 1000,
	VOID_MAX = 100,
	LONG_LIFE = 30000,	/* messages; its memory is compared */
	SETTLE = 2000,		/* messages until it counts */
	GROWTH_KIB = 64,	/* what a reader may grow by in a life */
	OWN_GROWTH_KIB = 512,
};

struct life {
	pid_t pid;
	int gate, err;
	uint8_t nonce[GK_LINK_NONCE];
	uint8_t in[4096];
	size_t in_len;
	uint8_t out[OUT];
	size_t out_len, out_at;
	unsigned long expected, arrived;
	size_t said;
	char said_text[4096];
	int closed;		/* the reader closed its end of the stream */
	struct gk_attack_message last;	/* that was to end it */
	uint64_t turn_at;	/* the last turn */
	int away;		/* we were, during it */
	unsigned long before;	/* messages */
};

static struct {
	const char *program;
	uint64_t seed;
	struct gk_attack attack;
	struct gk_daemon d;
	int keys;		/* our end of the virtual keyboard */
	uint8_t down[256 / 8];
	unsigned long lives, messages, passed, key_events, long_lives, voids;
	unsigned long ended[16];
	long reader_growth;
	uint8_t seen[256 / 8];
	int log[2];
	unsigned long log_lines;
} c;

__attribute__((format(printf, 1, 2), noreturn))
static void bad(const char *fmt, ...)
{
	va_list ap;

	printf("FAILED in life %lu, message %lu: ", c.lives, c.messages);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

static long rss_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* --- the reader --- */

static void start(struct life *l)
{
	int stream[2], packets[2], err[2];

	memset(l, 0, offsetof(struct life, out));
	l->out_len = l->out_at = l->said = 0;
	l->expected = l->arrived = 0;
	l->closed = l->away = 0;
	l->before = c.messages;
	l->turn_at = gk_now_ms();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, packets) < 0 ||
	    pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0)
		bad("sockets: %s", strerror(errno));
	l->pid = fork();
	if (l->pid == 0) {
		int s = fcntl(stream[1], F_DUPFD, 10);
		int p = fcntl(packets[1], F_DUPFD, 10);
		int e = fcntl(err[1], F_DUPFD, 10);
		sigset_t none;

		dup2(e, 2);
		dup2(p, 3);
		dup2(s, 4);
		close_range(5, ~0U, 0);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl(c.program, "@gatekeeper-link", "--test-socket", "4",
		      (char *)NULL);
		_exit(99);
	}
	if (l->pid < 0)
		bad("fork: %s", strerror(errno));
	close(stream[1]);
	close(packets[1]);
	close(err[1]);
	l->gate = stream[0];
	l->err = err[0];
	fcntl(l->gate, F_SETFL, O_NONBLOCK);
	c.d.link_fd = packets[0];
	c.d.state = GK_GATE_CONNECT;
	c.lives++;
	/* Each life by itself, so that one that failed can be looked at. */
	c.attack.seed = c.seed + c.lives * 0x100000001b3;
}

static void read_said(struct life *l)
{
	ssize_t n;

	while ((n = read(l->err, l->said_text + l->said,
			 sizeof(l->said_text) - 1 - l->said)) > 0)
		l->said += (size_t)n;
	if (l->said == sizeof(l->said_text) - 1)
		bad("the reader says more than %zu bytes", l->said);
	l->said_text[l->said] = '\0';
}

/* --- gatekeeperd's side --- */

static void check_keyboard(void)
{
	struct input_event ev[64];
	ssize_t n;

	while ((n = read(c.keys, ev, sizeof(ev))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(ev[0]); i++) {
			unsigned code = ev[i].code;

			if (ev[i].type == EV_SYN)
				continue;
			c.key_events++;
			if (ev[i].type != EV_KEY || code > 255 ||
			    !gk_key_allowed((uint16_t)code))
				bad("event type %u code %u on the virtual "
				    "keyboard", ev[i].type, code);
			if ((c.down[code >> 3] >> (code & 7) & 1) == ev[i].value)
				bad("key %u twice %d", code, ev[i].value);
			c.down[code >> 3] ^= (uint8_t)(1u << (code & 7));
			c.seen[code >> 3] |= (uint8_t)(1u << (code & 7));
		}
	}
}

static int held(const struct gk_session *s, unsigned code)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &s->dev[i];

		if (d->id && (d->info.granted & GK_ROLE_KEYBOARD) &&
		    (d->down[code >> 3] >> (code & 7) & 1))
			return 1;
	}
	return 0;
}

static void check_held(void)
{
	check_keyboard();
	for (unsigned code = 0; code < 256; code++)
		if ((c.down[code >> 3] >> (code & 7) & 1) &&
		    !held(&c.d.session, code))
			bad("key %u is down and nobody holds it", code);
}

static void daemon_reads(struct life *l)
{
	for (;;) {
		uint8_t buf[GK_LINK_FRAME_MAX + 1];
		struct gk_frame f;
		ssize_t n = recv(c.d.link_fd, buf, sizeof(buf), MSG_DONTWAIT);
		int err;

		if (n <= 0)
			return;
		err = gk_link_decode(buf, (size_t)n, GK_SIDE_GATE, &f);
		if (err)
			bad("the reader passed on what does not decode: %s",
			    gk_strerror(err));
		for (unsigned i = 0; f.type == GK_LINK_LOG && i < f.u.log.len; i++)
			if (f.u.log.text[i] < 0x20 || f.u.log.text[i] > 0x7e)
				bad("LOG with byte %#x", (unsigned)f.u.log.text[i]);
		if (f.type == GK_LINK_KEY &&
		    (f.u.key.code > 255 || f.u.key.value > 1))
			bad("KEY %u %u", f.u.key.code, f.u.key.value);
		err = gk_devices_frame(&c.d, &f);
		if (err)
			bad("gatekeeperd refuses a %s that the reader passed "
			    "on: %s", gk_link_type_name(f.type), gk_strerror(err));
		if (f.type != GK_LINK_HELLO)
			l->arrived++;
		check_keyboard();
	}
}

/* --- the gate's side --- */

static void put(struct life *l, const void *b, size_t len)
{
	if (l->out_at) {
		l->out_len -= l->out_at;
		memmove(l->out, l->out + l->out_at, l->out_len);
		l->out_at = 0;
	}
	if (len > sizeof(l->out) - l->out_len)
		bad("more than %d bytes wait for the reader", OUT);
	memcpy(l->out + l->out_len, b, len);
	l->out_len += len;
}

static void put_frame(struct life *l, const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_GATE, b, sizeof(b));

	if (n < 0)
		bad("%s: %s", gk_link_type_name(f->type), gk_strerror(n));
	put(l, b, (size_t)n);
}

/* What dom0 says to the gate; its questions are answered. */
static void gate_reads(struct life *l)
{
	ssize_t n = recv(l->gate, l->in + l->in_len, sizeof(l->in) - l->in_len, 0);
	int len;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		l->closed = 1;
	if (n <= 0)
		return;
	l->in_len += (size_t)n;
	while ((len = gk_link_peek(l->in, l->in_len)) > 0 &&
	       (size_t)len <= l->in_len) {
		struct gk_frame f;
		int err = gk_link_decode(l->in, (size_t)len, GK_SIDE_DOM0, &f);

		if (err)
			bad("dom0 sent what does not decode: %s", gk_strerror(err));
		l->in_len -= (size_t)len;
		memmove(l->in, l->in + len, l->in_len);
		if (f.type == GK_LINK_HELLO) {
			memcpy(l->nonce, f.u.hello.nonce, GK_LINK_NONCE);
			put_frame(l, &f);
		} else if (f.type == GK_LINK_PING && !f.u.ping.reply) {
			f.u.ping.reply = 1;
			put_frame(l, &f);
		}
	}
	if (len < 0 && len != GK_ERR_SHORT)
		bad("dom0 sent a header that is none: %s", gk_strerror(len));
}

static void gate_writes(struct life *l)
{
	ssize_t n;

	if (l->out_at == l->out_len)
		return;
	n = send(l->gate, l->out + l->out_at, l->out_len - l->out_at,
		 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		l->out_at += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		l->closed = 1;
}

/* One turn of both sides; waits at most ms for something to do. */
static void turn(struct life *l, int ms)
{
	struct pollfd p[3] = {
		{ .fd = l->gate, .events = POLLIN },
		{ .fd = c.d.link_fd, .events = POLLIN },
		{ .fd = l->err, .events = POLLIN },
	};

	if (l->closed)
		p[0].fd = -1;
	else if (l->out_at < l->out_len)
		p[0].events |= POLLOUT;
	l->away |= gk_now_ms() - l->turn_at >= AWAY_MS;
	poll(p, 3, ms);
	/* What the wait may last is no absence. */
	l->away |= gk_now_ms() - l->turn_at >= AWAY_MS + (uint64_t)ms;
	l->turn_at = gk_now_ms();
	daemon_reads(l);
	if (!l->closed) {
		gate_reads(l);
		gate_writes(l);
	}
	read_said(l);
}

static void run_until_sent(struct life *l)
{
	uint64_t end = gk_now_ms() + PATIENCE_MS;

	while (l->out_at < l->out_len && !l->closed) {
		if (gk_now_ms() >= end)
			bad("the reader does not read");
		turn(l, 100);
	}
}

static void open_session(struct life *l)
{
	uint64_t end = gk_now_ms() + PATIENCE_MS;

	while (c.d.state != GK_GATE_UP && !l->closed) {
		if (gk_now_ms() >= end)
			bad("no session: %s", l->said_text);
		turn(l, 100);
	}
	gk_attack_begin(&c.attack, l->nonce);
}

/* With all that it takes to see why. */
__attribute__((noreturn))
static void does_not_end(struct life *l)
{
	char path[64], line[256];
	FILE *p;

	printf("seed %#llx; %zu bytes not sent; it said \"%s\"; the last message, "
	       "kind %s:", (unsigned long long)c.attack.seed, l->out_len - l->out_at,
	       l->said_text, gk_attack_names[l->last.kind]);
	for (size_t i = 0; i < l->last.len; i++)
		printf(" %02x", l->last.b[i]);
	printf("\n");
	snprintf(path, sizeof(path), "/proc/%d/status", (int)l->pid);
	p = fopen(path, "re");
	while (p && fgets(line, sizeof(line), p))
		if (strncmp(line, "State:", 6) == 0 || strstr(line, "switches:"))
			fputs(line, stdout);
	if (p)
		fclose(p);
	bad("the reader does not end");
}

/* 1: the reader gave up waiting for one side or the other, which was not let run. */
static int is_void(struct life *l, int status)
{
	if (!l->away || (status != GK_LINK_EXIT_SILENT && status != GK_LINK_EXIT_STALLED))
		return 0;
	if (++c.voids > VOID_MAX)
		bad("this machine is too busy: %lu lives show nothing", c.voids);
	c.messages = l->before;
	return 1;
}

static void finish(struct life *l, enum gk_link_status want)
{
	uint64_t end = gk_now_ms() + PATIENCE_MS;
	int status, nothing;
	pid_t got;

	while ((got = waitpid(l->pid, &status, WNOHANG)) == 0) {
		if (gk_now_ms() >= end)
			does_not_end(l);
		turn(l, 1);
	}
	daemon_reads(l);
	read_said(l);
	if (got < 0 || !WIFEXITED(status))
		bad("the reader was killed by signal %d", WTERMSIG(status));
	nothing = is_void(l, WEXITSTATUS(status));
	if (!nothing && WEXITSTATUS(status) != (int)want)
		bad("the reader ended with %d, not %d: %s", WEXITSTATUS(status),
		    (int)want, l->said_text);
	if (!nothing && want == GK_LINK_EXIT_VIOLATION &&
	    !strstr(l->said_text, "the gate broke the protocol"))
		bad("the reader said: %s", l->said_text);
	for (size_t i = 0; i < l->said; i++)
		if (l->said_text[i] != '\n' &&
		    (l->said_text[i] < 0x20 || l->said_text[i] > 0x7e))
			bad("the reader says byte %#x", (unsigned)l->said_text[i]);
	if (!nothing && l->arrived != l->expected)
		bad("%lu frames reached gatekeeperd, not %lu", l->arrived,
		    l->expected);
	c.passed += l->arrived;
	c.ended[want] += !nothing;
	check_held();
	/* As when the link is lost: every key up. */
	gk_link_stop(&c.d);
	check_keyboard();
	for (unsigned i = 0; i < sizeof(c.down); i++)
		if (c.down[i])
			bad("a key is down after the end of the link");
	close(l->gate);
	close(l->err);
}

/* --- lives --- */

static void forge(struct life *l)
{
	struct gk_attack_message m;

	gk_attack_forged(&c.attack, &m);
	if (!m.len)
		bad("no message could be made");
	put(l, m.b, m.len);
	l->expected += m.passed;
	c.messages++;
}

static void break_it(struct life *l)
{
	struct gk_attack_message m;

	gk_attack_break(&c.attack, &m);
	if (!m.len)
		bad("no message could be made");
	l->last = m;
	put(l, m.b, m.len);
	l->expected += m.passed;
	c.messages++;
	/* And what would be in order, had nothing happened. */
	for (int i = 0; i < TAIL; i++) {
		gk_attack_forged(&c.attack, &m);
		put(l, m.b, m.len);
		c.messages++;
	}
}

static void short_life(unsigned messages)
{
	static struct life l;

	start(&l);
	open_session(&l);
	for (unsigned i = 0; i < messages; i++) {
		forge(&l);
		if (i % 64 == 63) {
			run_until_sent(&l);
			check_held();
		}
	}
	break_it(&l);
	run_until_sent(&l);
	finish(&l, GK_LINK_EXIT_VIOLATION);
}

/* The gate goes in the middle of a frame. */
static void cut_off(void)
{
	static struct life l;
	struct gk_frame f = { .type = GK_LINK_PING };
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(&f, GK_SIDE_GATE, b, sizeof(b));

	start(&l);
	open_session(&l);
	for (int i = 0; i < 20; i++)
		forge(&l);
	if (n < 2)
		bad("no PING");
	put(&l, b, 1 + (size_t)(gk_attack_random(&c.attack) % (unsigned)(n - 1)));
	c.messages++;
	run_until_sent(&l);
	shutdown(l.gate, SHUT_WR);
	finish(&l, GK_LINK_EXIT_CLOSED);
}

/* A key that the reader counts and drops: a release of what is not held. */
static int useless_key(struct gk_frame *f)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &c.attack.session.dev[i];
		int down = d->down[KEY_A >> 3] >> (KEY_A & 7) & 1;

		if (!d->id || !(d->info.granted & GK_ROLE_KEYBOARD) || down)
			continue;
		*f = (struct gk_frame){ .type = GK_LINK_KEY, .device = d->id,
					.generation = d->generation };
		f->u.key.code = KEY_A;
		return 1;
	}
	return 0;
}

/*
 * More in a second than anybody types. All of it is written before the reader gets
 * to run again, and costs it next to nothing: so it is a flood by the reader's clock
 * on a slow machine, too.
 */
static void flood(void)
{
	static struct life l;
	struct gk_frame f;

	start(&l);
	open_session(&l);
	do {
		forge(&l);
	} while (!useless_key(&f));
	run_until_sent(&l);
	for (unsigned i = 0; i < FLOOD; i++)
		put_frame(&l, &f);
	run_until_sent(&l);
	finish(&l, GK_LINK_EXIT_VIOLATION);
	if (!l.away && !strstr(l.said_text, gk_strerror(GK_ERR_LIMIT)))
		bad("a flood ended the link for another reason: %s", l.said_text);
}

/* Until the reader has passed on all that it will. */
static void run_until_read(struct life *l)
{
	uint64_t end = gk_now_ms() + PATIENCE_MS;

	run_until_sent(l);
	while (l->arrived < l->expected && !l->closed) {
		if (gk_now_ms() >= end)
			bad("%lu of %lu frames came: %s", l->arrived, l->expected,
			    l->said_text);
		turn(l, 1);
	}
}

static void long_life(unsigned long messages)
{
	static struct life l;
	uint64_t chunk;
	long before = -1, growth;

	start(&l);
	open_session(&l);
	chunk = gk_now_ms();
	for (unsigned long i = 0; i < messages && !l.closed; i++) {
		forge(&l);
		if (i == SETTLE)
			before = rss_kib(l.pid);
		if (i % CHUNK != 0)
			continue;
		run_until_read(&l);
		check_held();
		while (gk_now_ms() < chunk + CHUNK_MS)
			turn(&l, 1);
		chunk = gk_now_ms();
	}
	run_until_read(&l);
	growth = rss_kib(l.pid) - before;
	if (!l.closed && before <= 0)
		bad("the memory of the reader cannot be read");
	if (!l.closed && growth > GROWTH_KIB)
		bad("the reader grew by %ld KiB in %lu messages", growth, messages);
	if (!l.closed && growth > c.reader_growth)
		c.reader_growth = growth;
	c.long_lives += !l.closed;
	break_it(&l);
	finish(&l, GK_LINK_EXIT_VIOLATION);
}

/* --- the stage --- */

static void log_reads(void)
{
	char text[4096];
	ssize_t n;

	while ((n = read(c.log[0], text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] == '\n')
				c.log_lines++;
			else if (text[i] < 0x20 || text[i] > 0x7e)
				bad("gatekeeperd logs byte %#x", (unsigned)text[i]);
		}
	}
}

static void set_up(char *dir)
{
	int keys[2];

	/* What gatekeeperd logs is looked at as well. */
	if (!mkdtemp(dir) || pipe2(keys, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    pipe2(c.log, O_CLOEXEC | O_NONBLOCK) < 0 || dup2(c.log[1], 2) < 0)
		bad("%s: %s", dir, strerror(errno));
	gk_run_dir = dir;
	gk_log_open("gatekeeperd");
	c.d.link_fd = c.d.control_fd = -1;
	c.d.xs.domid = 1;
	c.d.keyboard.fd = keys[1];
	c.keys = keys[0];
	gk_times_init(&c.d.times);
	gk_options_default(&c.d.opt);
	if (gk_loop_open(&c.d.loop))
		bad("no event loop");
	gk_screen_init(&c.d.screen, c.d.loop, 0);
}

static void report(unsigned long ms, long own)
{
	unsigned codes = 0, typed = 0, list = 0;

	for (unsigned i = 0; i < 65536; i++)
		codes += c.attack.codes[i >> 3] >> (i & 7) & 1;
	for (uint16_t i = 0; i < 256; i++) {
		typed += c.seen[i >> 3] >> (i & 7) & 1;
		list += gk_key_allowed(i) != 0;
	}
	printf("%lu hostile messages in %lu lives of the reader, %lu.%lu s\n",
	       c.messages, c.lives, ms / 1000, ms % 1000 / 100);
	for (unsigned i = 0; i < GK_ATTACK_KINDS; i++)
		printf("%s %s %llu", i ? "," : " ", gk_attack_names[i],
		       (unsigned long long)c.attack.made[i]);
	printf("\nended: %lu by a violation, %lu cut off; none killed, none hung",
	       c.ended[GK_LINK_EXIT_VIOLATION], c.ended[GK_LINK_EXIT_CLOSED]);
	printf("; %lu show nothing, this machine was too busy\n", c.voids);
	printf("%lu frames passed on, all of them decode and are in order\n",
	       c.passed);
	printf("key codes tried: %u; on the virtual keyboard: %lu events of %u "
	       "codes, all of the %u on the allow-list\n", codes, c.key_events,
	       typed, list);
	printf("memory: the reader grew by at most %ld KiB in %lu lives of %d "
	       "messages or more, gatekeeperd's code by %ld KiB in all; %lu "
	       "lines logged\n", c.reader_growth, c.long_lives, LONG_LIFE, own,
	       c.log_lines);
}

static int print_keys(void)
{
	const char *comma = "[";

	for (uint16_t i = 0; i < KEY_CNT; i++) {
		if (!gk_key_allowed(i))
			continue;
		printf("%s%u", comma, i);
		comma = ", ";
	}
	puts("]");
	return 0;
}

/* A campaign that tried nothing would pass as well. */
static void check_effort(void)
{
	for (unsigned i = 0; i < GK_ATTACK_KINDS; i++)
		if (!c.attack.made[i])
			bad("no message of kind %s", gk_attack_names[i]);
	/* The disk is locked here: key_filter.h holds these back by themselves. */
	for (uint16_t i = 0; i < 256; i++) {
		int seen = c.seen[i >> 3] >> (i & 7) & 1;

		if (i == KEY_SCROLLLOCK || i == KEY_LEFTMETA || i == KEY_RIGHTMETA ||
		    i == KEY_COMPOSE) {
			if (seen)
				bad("key %u came", i);
		} else if (gk_key_allowed(i) && !seen) {
			bad("key %u never came", i);
		}
	}
}

static unsigned long number(const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 0);

	if (end == s || *end || v > LONG_MAX) {
		fprintf(stderr, "campaign: %s is no number\n", s);
		exit(2);
	}
	return v;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "link", required_argument, NULL, 'l' },
		{ "seed", required_argument, NULL, 's' },
		{ "messages", required_argument, NULL, 'm' },
		{ "keys", no_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	char dir[] = "/tmp/gk-campaign-XXXXXX", command[64];
	unsigned long messages = 100000, seed = 1, next_long;
	uint64_t began = gk_now_ms();
	long own = 0;
	int o;

	c.program = getenv("GK_LINK");
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'l')
			c.program = optarg;
		else if (o == 's')
			seed = number(optarg);
		else if (o == 'm')
			messages = number(optarg);
		else if (o == 'k')
			return print_keys();
		else
			return 2;
	}
	if (!c.program || optind != argc) {
		fputs("usage: campaign --link PROGRAM [--seed N] "
		      "[--messages N]\n", stderr);
		return 2;
	}
	c.seed = c.attack.seed = seed;
	set_up(dir);
	printf("seed %lu\n", seed);
	while (!c.ended[GK_LINK_EXIT_VIOLATION])
		flood();
	while (!c.ended[GK_LINK_EXIT_CLOSED])
		cut_off();
	next_long = messages / 10;
	while (c.messages < messages) {
		if (c.messages >= next_long) {
			unsigned long were = c.long_lives;

			long_life(LONG_LIFE);
			next_long = c.long_lives > were ? c.messages + 200000 : next_long;
		} else {
			/* Many short ones, some as long as a second allows. */
			unsigned r = (unsigned)gk_attack_random(&c.attack);

			short_life(r % 16 == 0 ? (r >> 8) % 2000 : (r >> 8) % 100);
		}
		if (c.lives % 100 == 0)
			cut_off();
		log_reads();
		if (c.lives >= 50 && !own)
			own = rss_kib(getpid());
	}
	own = own ? rss_kib(getpid()) - own : 0;
	if (own > OWN_GROWTH_KIB)
		bad("gatekeeperd's code grew by %ld KiB", own);
	check_effort();
	report((unsigned long)(gk_now_ms() - began), own);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : 1;
}
