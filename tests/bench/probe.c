/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0. Two things to measure, each into a file that appears when it is
 * complete:
 *
 * probe keys COUNT QUIET_MS OUT: until so many key events came from the virtual
 *	keyboard, or none for so long. "key CODE VALUE" each.
 * probe ping DOMID COUNT GAP_MS OUT: "ping TICKS" for each round trip with pong.c, a
 *	pause before each, as between two keys.
 * Both: "clock TSC HOST_NS TICKS": at TSC the host's clock was HOST_NS, to within
 *	half of TICKS.
 *
 * Times are those of the TSC: dom0's own clock comes from Xen, which in emulation sets
 * it right by milliseconds now and then, while QEMU's TSC is the host's, less a constant.
 *
 * The host's clock is asked through a serial port of its own (hostclock.c) by
 * polling its registers, which needs no interrupt and no driver.
 */
#include <fcntl.h>
#include <libxenvchan.h>
#include <linux/input.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "ping.h"

#define KEYBOARD "USB Gatekeeper keyboard"

enum {
	/* The third serial port of a PC, and the 16550's registers. */
	PORT = 0x3e8,
	DATA = PORT, IER = PORT + 1, FCR = PORT + 2, LCR = PORT + 3,
	MCR = PORT + 4, LSR = PORT + 5,
	LSR_DATA = 0x01,
	CLOCK_EVERY_MS = 100,
	CLOCK_TRIES = 6,
	CLOCK_WAIT_MS = 50,
	EVENTS_MAX = 40000,
	CLOCKS_MAX = 4000,
	ROUNDS_MAX = 10000,
};

static struct {
	struct { uint16_t code; int32_t value; } key[EVENTS_MAX];
	unsigned keys, dropped;
	struct { uint64_t tsc, host_ns, ticks; } clock[CLOCKS_MAX];
	unsigned clocks;
	uint64_t ping[ROUNDS_MAX];
} m;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t now_tsc(void)
{
	_mm_lfence();
	return __rdtsc();
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void clock_open(void)
{
	if (ioperm(PORT, 8, 1) < 0)
		fail("ioperm");
	outb(0, IER);
	outb(0x03, LCR);	/* 8 bits, no divisor latch */
	outb(0xc7, FCR);	/* queues on and empty, 14 bytes */
	outb(0x03, MCR);
}

/* One question; 1 when it was answered. */
static int ask(uint64_t *mid, uint64_t *host, uint64_t *ticks)
{
	uint64_t limit = now_ns() + CLOCK_WAIT_MS * 1000000ull;
	uint64_t begin = now_tsc(), end = begin;

	*host = 0;
	outb('?', DATA);
	for (unsigned i = 0; i < 8; i++) {
		while (!(inb(LSR) & LSR_DATA))
			if (now_ns() > limit)
				return 0;
		if (i == 0)
			end = now_tsc();
		*host |= (uint64_t)inb(DATA) << 8 * i;
	}
	*ticks = end - begin;
	*mid = begin + *ticks / 2;
	return 1;
}

/* The quickest of some: the others met a busy processor. */
static void clock_look(void)
{
	uint64_t mid, host, ticks;
	int any = 0;

	if (m.clocks == CLOCKS_MAX)
		return;
	m.clock[m.clocks].ticks = UINT64_MAX;
	for (int i = 0; i < CLOCK_TRIES; i++) {
		if (!ask(&mid, &host, &ticks)) {
			/* What comes late must not be taken for the next answer. */
			poll(NULL, 0, CLOCK_WAIT_MS);
			outb(0xc7, FCR);
			continue;
		}
		any = 1;
		if (ticks < m.clock[m.clocks].ticks) {
			m.clock[m.clocks].tsc = mid;
			m.clock[m.clocks].host_ns = host;
			m.clock[m.clocks].ticks = ticks;
		}
	}
	m.clocks += (unsigned)any;
}

static int keyboard_open(void)
{
	for (int i = 0; i < 32; i++) {
		char path[64], name[80] = "";
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (ioctl(fd, EVIOCGNAME(sizeof(name) - 1), name) > 0 &&
		    strcmp(name, KEYBOARD) == 0)
			return fd;
		close(fd);
	}
	return -1;
}

/* How many keys of it were read. */
static unsigned keyboard_read(int fd)
{
	struct input_event ev[64];
	unsigned before = m.keys;
	ssize_t n;

	while ((n = read(fd, ev, sizeof(ev))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(ev[0]); i++) {
			if (ev[i].type == EV_SYN && ev[i].code == SYN_DROPPED)
				m.dropped++;
			if (ev[i].type != EV_KEY || m.keys == EVENTS_MAX)
				continue;
			m.key[m.keys].code = ev[i].code;
			m.key[m.keys++].value = ev[i].value;
		}
	}
	return m.keys - before;
}

static void keys(unsigned count, int quiet_ms)
{
	struct sched_param fifo = { .sched_priority = 50 };
	uint64_t clock_at = 0, last = now_ns();
	int fd = keyboard_open();

	if (fd < 0)
		fail(KEYBOARD);
	clock_open();
	/* evdev keeps few events for who is late, so that this must not be. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
		fail("priority");
	while (m.keys < count && now_ns() - last < (uint64_t)quiet_ms * 1000000u) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, CLOCK_EVERY_MS) < 0)
			fail("poll");
		if (keyboard_read(fd))
			last = now_ns();
		/* Right after keys, when the next is furthest. */
		if (now_ns() - clock_at >= CLOCK_EVERY_MS * 1000000ull) {
			clock_look();
			clock_at = now_ns();
		}
	}
	clock_look();
}

static void ping(int domid, unsigned count, int gap_ms)
{
	struct sched_param fifo = { .sched_priority = 50 };
	char path[64], b[PING_BYTES] = { 0 };
	struct libxenvchan *v = NULL;

	snprintf(path, sizeof(path), "/local/domain/%d/" PING_NODE, domid);
	for (int i = 0; i < 300 && !v; i++) {
		v = libxenvchan_client_init(NULL, domid, path);
		if (!v)
			poll(NULL, 0, 100);
	}
	if (!v)
		fail(path);
	v->blocking = -1;	/* a signed bit-field */
	clock_open();
	clock_look();
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
		fail("priority");
	for (unsigned i = 0; i < count; i++) {
		uint64_t begin;

		poll(NULL, 0, gap_ms);
		begin = now_tsc();
		if (libxenvchan_send(v, b, sizeof(b)) != (int)sizeof(b) ||
		    libxenvchan_recv(v, b, sizeof(b)) != (int)sizeof(b))
			fail("ping");
		m.ping[i] = now_tsc() - begin;
	}
	clock_look();
	libxenvchan_close(v);
}

int main(int argc, char **argv)
{
	int is_keys = argc == 5 && strcmp(argv[1], "keys") == 0;
	int is_ping = argc == 6 && strcmp(argv[1], "ping") == 0;
	unsigned count = is_keys ? (unsigned)atoi(argv[2]) :
			 is_ping ? (unsigned)atoi(argv[3]) : 0;
	const char *out = argv[argc - 1];
	char part[256];
	FILE *f;

	if (count == 0 || count > (is_keys ? EVENTS_MAX : ROUNDS_MAX)) {
		fprintf(stderr, "usage: probe keys COUNT QUIET_MS OUT\n"
				"       probe ping DOMID COUNT GAP_MS OUT\n");
		return 2;
	}
	alarm(240);
	if (is_keys)
		keys(count, atoi(argv[3]));
	else
		ping(atoi(argv[2]), count, atoi(argv[4]));
	snprintf(part, sizeof(part), "%s.part", out);
	f = fopen(part, "we");
	if (!f)
		fail(part);
	if (is_keys)
		fprintf(f, "dropped %u\n", m.dropped);
	for (unsigned i = 0; i < m.keys; i++)
		fprintf(f, "key %u %d\n", m.key[i].code, m.key[i].value);
	for (unsigned i = 0; i < m.clocks; i++)
		fprintf(f, "clock %llu %llu %llu\n", (unsigned long long)m.clock[i].tsc,
			(unsigned long long)m.clock[i].host_ns,
			(unsigned long long)m.clock[i].ticks);
	for (unsigned i = 0; is_ping && i < count; i++)
		fprintf(f, "ping %llu\n", (unsigned long long)m.ping[i]);
	if (fclose(f) != 0 || rename(part, out) < 0)
		fail(out);
	return 0;
}
