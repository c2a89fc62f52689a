/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker that was taken over says to its supervisor, and what dom0 hears of
 * it: gatekeeper/domain/devices.c as it is, with a worker that behaves until it
 * serves, and then makes one of the attempts. Once for a keyboard, once for a
 * security key, once for both. sysfs, the verdict, the starting of processes and the
 * clock are played here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/session.h"
#include "domain/clock.h"
#include "domain/devices.h"
#include "domain/log.h"
#include "domain/reduce.h"
#include "domain/spawn.h"
#include "domain/storm.h"
#include "evil.h"

enum { SLOT = 0, LOGS = 20, FOREVER_MS = 60000, STEP_MS = 2 };

static struct {
	uint64_t now;
	uint8_t roles;
	const struct gk_attempt *attempt;
	pid_t pid;
	int sock;		/* the supervisor's, -1: closed */
	struct gk_session session;
	/* What dom0 has heard, by type, since the device served. */
	unsigned heard[GK_LINK_FIDO + 1];
	int served, refused;
	uint16_t reason;	/* of its last verdict */
} m;

/* --- what the supervisor stands on --- */

uint64_t gk_clock_ms(void)
{
	return m.now;
}

void gk_kmsg(int level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

const char *gk_child_end(int status)
{
	return WIFSIGNALED(status) ? "was killed" : NULL;
}

int gk_storm(const struct gk_present *p, uint64_t now_ms)
{
	(void)p;
	(void)now_ms;
	return 0;
}

static const struct gk_present here = {
	.name = "1-3", .ino = 7, .busnum = 1, .devnum = 2, .path = { 8, 0, 1, { 3 } },
};

int gk_inventory_scan(struct gk_present out[GK_INVENTORY_MAX])
{
	out[0] = here;
	return 1;
}

int gk_inventory_there(const struct gk_present *p)
{
	return p->ino == here.ino;
}

unsigned gk_inventory_controller_no(uint8_t devfn)
{
	return devfn ? 1 : 0;
}

/* Interface 0 can be a keyboard, 1 a security key; one is of no use. */
void gk_judge(const struct gk_present *at, struct gk_case *c)
{
	memset(c, 0, sizeof(*c));
	c->info.path = at->path;
	c->info.interfaces = 3;
	c->verdict = GK_VERDICT_ADMITTED;
	c->candidates = 2;
	c->candidate[0] = (struct gk_candidate){ .number = 0, .fits = GK_ROLE_KEYBOARD };
	c->candidate[1] = (struct gk_candidate){ .number = 1, .fits = GK_ROLE_FIDO };
}

void gk_judge_again(const struct gk_present *at, struct gk_case *c)
{
	(void)at;
	for (unsigned i = 0; i < 2; i++) {
		c->candidate[i].role = c->candidate[i].roles & m.roles;
		c->info.shown[i].role = c->candidate[i].role;
		c->info.granted |= c->candidate[i].role;
	}
	c->info.asked = c->info.granted;
	c->verdict = GK_VERDICT_PARTLY;
	c->info.verdict = GK_VERDICT_PARTLY;
	c->info.reason = GK_REASON_ADMITTED;
}

void gk_judge_refuse(struct gk_case *c, enum gk_reason reason)
{
	c->verdict = GK_VERDICT_REFUSED;
	c->info.verdict = GK_VERDICT_REFUSED;
	c->info.granted = 0;
	c->info.reason = (uint16_t)reason;
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES; i++)
		c->info.shown[i].role = 0;
}

static void tell(uint8_t type, uint8_t interface, uint8_t role)
{
	struct gk_frame f = { .type = type };
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n;

	if (type == GK_LINK_FOUND) {
		f.u.found.interface = interface;
		f.u.found.roles = role;
	}
	n = gk_link_encode(&f, GK_SIDE_WORKER, buf, sizeof(buf));
	if (n < 0 || send(GK_WORKER_SOCK_FD, buf, (size_t)n, MSG_NOSIGNAL) != n)
		_exit(9);
}

__attribute__((noreturn))
static void be_worker(void)
{
	tell(GK_LINK_FOUND, 0, m.roles & GK_ROLE_KEYBOARD);
	tell(GK_LINK_FOUND, 1, m.roles & GK_ROLE_FIDO);
	tell(GK_LINK_PING, 0, 0);
	tell(GK_LINK_PING, 0, 0);
	m.attempt->run(NULL);
	/* One that it was not punished for ends with the device. */
	for (;;)
		pause();
}

int gk_spawn(const struct gk_present *at, const struct gk_case *c, uid_t uid,
	     int *sock, pid_t *pid)
{
	int sv[2];

	(void)at;
	(void)c;
	assert_int_equal(uid, GK_WORKER_UID + SLOT + 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	m.pid = fork();
	assert_true(m.pid >= 0);
	if (m.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		if (dup2(sv[1], GK_WORKER_SOCK_FD) < 0 ||
		    close_range(GK_WORKER_SOCK_FD + 1, ~0U, 0) < 0)
			_exit(9);
		be_worker();
	}
	close(sv[1]);
	*sock = sv[0];
	*pid = m.pid;
	return 0;
}

void gk_spawn_end(pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGKILL);
}

void gk_spawn_withdraw(const struct gk_present *at)
{
	(void)at;
}

/* It computes all the time: the watchdog is to see it. */
long gk_spawn_cpu_ms(pid_t pid)
{
	(void)pid;
	return (long)m.now;
}

/* --- dom0 --- */

static void to_dom0(const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	struct gk_frame heard;
	int n = gk_link_encode(f, GK_SIDE_GATE, buf, sizeof(buf));

	assert_true(n > 0);
	assert_int_equal(gk_link_decode(buf, (size_t)n, GK_SIDE_GATE, &heard), 0);
	/* It would close the link: nothing that a worker says may cause that. */
	assert_true(gk_session_frame(&m.session, &heard, m.now) >= 0);
	assert_true(heard.device == 0 || heard.device == SLOT + 1);
	if (heard.type == GK_LINK_DEVICE) {
		assert_memory_equal(&heard.u.dev.path, &here.path, sizeof(here.path));
		assert_int_equal(heard.u.dev.granted & ~m.roles, 0);
		m.reason = heard.u.dev.reason;
		m.served |= heard.u.dev.granted != 0;
		m.refused |= heard.u.dev.verdict == GK_VERDICT_REFUSED;
	}
	m.heard[heard.type]++;
}

static unsigned waiting(uint32_t id)
{
	(void)id;
	return 0;
}

static int watch(int fd, unsigned slot)
{
	assert_int_equal(slot, SLOT);
	m.sock = fd;
	return 0;
}

static void unwatch(int fd)
{
	assert_int_equal(fd, m.sock);
	m.sock = -1;
}

static void reap(void)
{
	int status;

	if (m.pid > 0 && waitpid(m.pid, &status, WNOHANG) == m.pid) {
		gk_devices_child_ended(m.pid, status);
		m.pid = 0;
	}
}

/* Until it is refused, or has been quiet for half a second. */
static void one(const struct gk_attempt *a, uint8_t roles)
{
	static const struct gk_devices_ops ops = { to_dom0, waiting, watch, unwatch };
	static const uint8_t nonce[GK_LINK_NONCE];
	struct gk_frame hello = { .type = GK_LINK_HELLO };
	uint64_t begin;
	int quiet = 0;

	memset(&m, 0, sizeof(m));
	m.now = begin = 100000;
	m.roles = roles;
	m.attempt = a;
	m.sock = -1;
	gk_session_init(&m.session, nonce);
	hello.u.hello.version_min = hello.u.hello.version_max = GK_LINK_VERSION;
	to_dom0(&hello);
	gk_devices_init(&ops);
	gk_devices_rescan();
	while (m.now - begin < FOREVER_MS && !m.refused && quiet < 500) {
		struct pollfd p = { .fd = m.sock, .events = POLLIN };
		int spends = !strcmp(a->name, "hang") || !strcmp(a->name, "spin");

		/* The worker has real time to begin, and to say something. */
		if (poll(&p, 1, !m.served || m.sock < 0 || !spends) == 1) {
			gk_devices_worker_readable(SLOT);
			quiet = 0;
		} else if (m.sock >= 0 && m.served && !spends) {
			quiet++;
		}
		m.now += STEP_MS;
		gk_devices_tick();
		reap();
	}
	assert_true(m.served);
	gk_devices_kill();
	if (m.pid > 0)
		waitpid(m.pid, NULL, 0);
	if (m.sock >= 0)
		close(m.sock);
}

static const struct {
	const char *name;
	/* Why it is refused, as a keyboard and as a security key; 0: it is not. */
	uint16_t keyboard, fido;
} ends[] = {
	{ "key-as-other-device", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "key-of-its-own", 0, 0 },
	{ "fido", 0, 0 },
	{ "fido-as-other-device", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "fido-short", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "device-other-port", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "gone-other-device", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "hello", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "led-other-device", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "quiesce", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "quiesced", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "found-after-grant", 0, 0 },
	{ "grant", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "unknown-type", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "key-sysrq", 0, 0 },
	{ "key-power", 0, 0 },
	{ "log-control-characters", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "short-frame", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "empty-frame", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "long-frame", GK_REASON_WORKER, GK_REASON_WORKER },
	{ "ping-flood", GK_REASON_FLOOD, GK_REASON_FLOOD },
	{ "log-flood", GK_REASON_FLOOD, GK_REASON_FLOOD },
	{ "fido-flood", GK_REASON_FLOOD, GK_REASON_FLOOD },
	{ "spin", GK_REASON_HANG, GK_REASON_HANG },
	{ "hang", GK_REASON_HANG, GK_REASON_HANG },
	{ "key-flood", GK_REASON_FLOOD, GK_REASON_FLOOD },
};

static void check(const struct gk_attempt *a, unsigned row, uint8_t roles)
{
	uint16_t wanted = roles & GK_ROLE_KEYBOARD ? ends[row].keyboard : ends[row].fido;
	int keys = !strcmp(a->name, "key-of-its-own") || !strcmp(a->name, "key-flood");
	int fido = !strcmp(a->name, "fido") || !strcmp(a->name, "fido-flood");

	print_message("%s, roles %u: reason %u, %u keys, %u packets, %u lines\n", a->name,
		      roles, m.reason, m.heard[GK_LINK_KEY], m.heard[GK_LINK_FIDO],
		      m.heard[GK_LINK_LOG]);
	assert_int_equal(m.reason, wanted ? wanted : GK_REASON_ADMITTED);
	/* Of the role that it has, and no more of it than the bounds. */
	assert_int_equal(m.heard[GK_LINK_KEY] > 0, keys && roles & GK_ROLE_KEYBOARD);
	assert_int_equal(m.heard[GK_LINK_FIDO] > 0, fido && roles & GK_ROLE_FIDO);
	/* One line of the supervisor's tells how a worker ended. */
	assert_true(m.heard[GK_LINK_LOG] <= LOGS + 1);
	assert_int_equal(m.heard[GK_LINK_HELLO], 1);
}

static void attempts(void **state)
{
	static const uint8_t roles[] = {
		GK_ROLE_KEYBOARD, GK_ROLE_FIDO, GK_ROLE_KEYBOARD | GK_ROLE_FIDO,
	};

	(void)state;
	assert_int_equal(gk_link_attempts_n, sizeof(ends) / sizeof(ends[0]));
	for (unsigned i = 0; i < gk_link_attempts_n; i++) {
		assert_string_equal(gk_link_attempts[i].name, ends[i].name);
		for (unsigned r = 0; r < sizeof(roles); r++) {
			one(&gk_link_attempts[i], roles[r]);
			check(&gk_link_attempts[i], i, roles[r]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(attempts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
