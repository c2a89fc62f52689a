/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0. Each of the two writes a file that appears when it is complete:
 *
 * probe clock OUT: until SIGTERM, each second "clock TSC HOST_NS TICKS": at TSC the
 *	host's clock was HOST_NS, to within half of TICKS. Asking takes a processor
 *	for some milliseconds, which is what it must not do to the keys.
 * probe ping DOMID COUNT GAP_MS OUT: "ping TICKS" for each round trip with pong.c, a
 *	pause before each, as between two keys; and the clock before and after.
 *
 * Times are those of the TSC: dom0's own clock comes from Xen, which in emulation sets
 * it right by milliseconds now and then, while QEMU's TSC is the host's, less a
 * constant. The host's clock is asked through a serial port of its own (hostclock.c)
 * by polling its registers, which needs no interrupt and no driver.
 */
#include <libxenvchan.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "ping.h"

enum {
	/* The third serial port of a PC, and the 16550's registers. */
	PORT = 0x3e8,
	DATA = PORT, IER = PORT + 1, FCR = PORT + 2, LCR = PORT + 3,
	MCR = PORT + 4, LSR = PORT + 5,
	LSR_DATA = 0x01,
	CLOCK_EVERY_MS = 1000,
	CLOCK_TRIES = 6,
	CLOCK_WAIT_MS = 50,
	CLOCKS_MAX = 4000,
	ROUNDS_MAX = 10000,
	MOST_SECONDS = 240,
};

static struct {
	struct { uint64_t tsc, host_ns, ticks; } clock[CLOCKS_MAX];
	unsigned clocks;
	uint64_t ping[ROUNDS_MAX];
} m;
static volatile sig_atomic_t over;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

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

static void clocks(void)
{
	while (!over) {
		clock_look();
		poll(NULL, 0, CLOCK_EVERY_MS);
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
	int is_clock = argc == 3 && strcmp(argv[1], "clock") == 0;
	int is_ping = argc == 6 && strcmp(argv[1], "ping") == 0;
	unsigned count = is_ping ? (unsigned)atoi(argv[3]) : 0;
	const char *out = argv[argc - 1];
	char part[256];
	FILE *f;

	if ((!is_clock && !is_ping) || (is_ping && count == 0) || count > ROUNDS_MAX) {
		fprintf(stderr, "usage: probe clock OUT\n"
				"       probe ping DOMID COUNT GAP_MS OUT\n");
		return 2;
	}
	signal(SIGTERM, on_term);
	alarm(MOST_SECONDS);
	clock_open();
	if (is_clock)
		clocks();
	else
		ping(atoi(argv[2]), count, atoi(argv[4]));
	snprintf(part, sizeof(part), "%s.part", out);
	f = fopen(part, "we");
	if (!f)
		fail(part);
	for (unsigned i = 0; i < m.clocks; i++)
		fprintf(f, "clock %llu %llu %llu\n", (unsigned long long)m.clock[i].tsc,
			(unsigned long long)m.clock[i].host_ns,
			(unsigned long long)m.clock[i].ticks);
	for (unsigned i = 0; i < count; i++)
		fprintf(f, "ping %llu\n", (unsigned long long)m.ping[i]);
	if (fclose(f) != 0 || rename(part, out) < 0)
		fail(out);
	return 0;
}
