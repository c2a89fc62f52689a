/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeperd's own code for security keys: a child runs its loop with a socket in
 * the place of the link, and another in that of /dev/uhid. Here are the gate with
 * the key behind it, the programs that use it, and dom0's kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/uhid.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/paths.h"

enum { PATIENCE_MS = 15000, QUIET_MS = 60, PACKET = GK_CTAPHID_PACKET };

static char root[] = "/tmp/gk-fido-XXXXXX", run[64];
static struct gk_daemon d;
static struct gk_loop *loop;
static int gate = -1;	/* our end of the link */
static int kernel = -1;	/* our end of /dev/uhid */
static pid_t daemon_pid;
static uint32_t generation, device_cid;

/* --- the child --- */

/* Tokens of PING, which gatekeeperd does not look at: what the child shall do. */
enum { MAKE_UHID = 1, SWITCH_ROOT = 2, WANT_UHID = 3 };

static void on_gate(void *ctx, uint32_t events)
{
	int *uhid = ctx;
	uint8_t b[GK_LINK_FRAME_MAX + 1];
	ssize_t n = recv(d.link_fd, b, sizeof(b), MSG_DONTWAIT);
	struct gk_frame f;

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		gk_link_stop(&d);
		gk_loop_stop(d.loop);
		return;
	}
	if (gk_link_decode(b, (size_t)n, GK_SIDE_GATE, &f) ||
	    gk_devices_frame(&d, &f))
		_exit(3);
	if (f.type == GK_LINK_PING && f.u.ping.token == MAKE_UHID)
		gk_fido_uhid(&d, 0, *uhid);
	if (f.type == GK_LINK_PING && f.u.ping.token == SWITCH_ROOT)
		gk_daemon_switched_root(&d);
	if (f.type == GK_LINK_PING && f.u.ping.token == WANT_UHID)
		d.opt.uhid = GK_UHID_ALWAYS;
}

__attribute__((noreturn))
static void run_daemon(int link, int uhid)
{
	/* The loop takes signals of its own; nobody waits for this one. */
	alarm(60);
	memset(&d, 0, sizeof(d));
	if (gk_loop_open(&loop))
		_exit(2);
	d.loop = loop;
	d.link_fd = link;
	d.control_fd = d.keyboard.fd = -1;
	gk_options_default(&d.opt);
	gk_times_init(&d.times);
	gk_screen_init(&d.screen, loop, 0);
	d.in_initrd = 1;
	d.state = GK_GATE_CONNECT;
	gk_fido_start(&d);
	if (gk_loop_add(loop, link, EPOLLIN, on_gate, &uhid))
		_exit(2);
	gk_loop_run(loop);
	_exit(0);
}

/* --- the gate --- */

static void gate_sends(const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_GATE, b, sizeof(b));

	assert_true(n > 0);
	assert_int_equal(send(gate, b, (size_t)n, MSG_NOSIGNAL), n);
}

/* 1: *f is the next frame for the gate; 0: none came in that time. */
static int gate_reads(struct gk_frame *f, int ms)
{
	struct pollfd p = { .fd = gate, .events = POLLIN };
	uint8_t b[GK_LINK_FRAME_MAX + 1];
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return 0;
	n = recv(gate, b, sizeof(b), 0);
	assert_true(n > 0);
	assert_int_equal(gk_link_decode(b, (size_t)n, GK_SIDE_DOM0, f), 0);
	/* Its watch over the link reader. */
	if (f->type == GK_LINK_PING) {
		f->u.ping.reply = 1;
		gate_sends(f);
		return gate_reads(f, ms);
	}
	return 1;
}

/* The device's own cid, command and packet, from dom0. */
static int key_hears(struct gk_frame *f, uint32_t id)
{
	do {
		if (!gate_reads(f, PATIENCE_MS))
			return -1;
	} while (f->type != GK_LINK_FIDO);
	assert_int_equal(f->device, id);
	return f->u.fido.packet[4];
}

static uint32_t cid_of(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_cid(uint8_t *p, uint32_t cid)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(cid >> (24 - 8 * i));
}

static void packet(uint8_t p[PACKET], uint32_t cid, unsigned cmd, unsigned len, int byte)
{
	memset(p, byte, PACKET);
	put_cid(p, cid);
	p[4] = (uint8_t)cmd;
	if (cmd & 0x80) {
		p[5] = (uint8_t)(len >> 8);
		p[6] = (uint8_t)len;
	}
}

static struct gk_frame from_key(uint32_t id, uint32_t gen)
{
	return (struct gk_frame){ .type = GK_LINK_FIDO, .device = id, .generation = gen };
}

static void key_says(uint32_t id, uint32_t gen, uint32_t cid, unsigned cmd, unsigned len,
		     int byte)
{
	struct gk_frame f = from_key(id, gen);

	packet(f.u.fido.packet, cid, cmd, len, byte);
	gate_sends(&f);
}

static uint32_t plug(uint32_t id, uint8_t port, uint8_t roles)
{
	struct gk_frame f = { .type = GK_LINK_DEVICE, .device = id,
			      .generation = ++generation };

	f.u.dev.path = (struct gk_port_path){ 1, 0, 1, { port } };
	f.u.dev.asked = f.u.dev.granted = roles;
	f.u.dev.verdict = roles ? GK_VERDICT_ADMITTED : GK_VERDICT_REFUSED;
	f.u.dev.reason = roles ? GK_REASON_ADMITTED : GK_REASON_NO_ROLE;
	f.u.dev.interfaces = 2;
	f.u.dev.shown[0].role = roles & GK_ROLE_KEYBOARD;
	f.u.dev.shown[1].role = roles & GK_ROLE_FIDO;
	gate_sends(&f);
	return generation;
}

static void unplug(uint32_t id, uint32_t gen)
{
	struct gk_frame f = { .type = GK_LINK_GONE, .device = id, .generation = gen };

	f.u.gone.reason = GK_REASON_UNPLUGGED;
	gate_sends(&f);
}

static void tell_child(uint64_t what)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	f.u.ping.token = what;
	gate_sends(&f);
}

/* --- programs --- */

static void socket_path(char path[108], const char *port)
{
	snprintf(path, 108, "%s/fido/%s", run, port);
}

/* Within a time: it is there, or it is not. */
static int socket_is(const char *port, int there)
{
	char path[108];

	socket_path(path, port);
	for (int i = 0; i < PATIENCE_MS / 5; i++) {
		if ((access(path, F_OK) == 0) == there)
			return 1;
		usleep(5000);
	}
	return 0;
}

/* A socket is made anew now and then, so there may be none for a moment. */
static int dial(const char *port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	socket_path(a.sun_path, port);
	for (int i = 0; i < PATIENCE_MS / 5; i++) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return fd;
		usleep(5000);
	}
	fail_msg("no socket of port %s: %s", port, strerror(errno));
	return -1;
}

static void says(int fd, uint32_t cid, unsigned cmd, unsigned len, int byte)
{
	uint8_t p[PACKET];

	packet(p, cid, cmd, len, byte);
	assert_int_equal(send(fd, p, sizeof(p), MSG_NOSIGNAL), PACKET);
}

/* The command byte of the next packet; -1: closed; -2: none in that time. */
static int hears(int fd, uint8_t p[PACKET], int ms)
{
	struct pollfd w = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&w, 1, ms) != 1)
		return -2;
	n = recv(fd, p, PACKET, 0);
	if (n <= 0)
		return -1;
	assert_int_equal(n, PACKET);
	return p[4];
}

static int is_closed(int fd)
{
	uint8_t p[PACKET];
	int n = 0;

	while (n >= 0)
		n = hears(fd, p, PATIENCE_MS);
	return n == -1;
}

static void hears_error(int fd, uint32_t cid, uint8_t error)
{
	uint8_t p[PACKET];

	assert_int_equal(hears(fd, p, PATIENCE_MS), 0x80 | GK_CTAPHID_ERROR);
	assert_int_equal(cid_of(p), cid);
	assert_int_equal(p[7], error);
}

/* What the key answers to INIT; its channel for the program is a new one. */
static uint32_t key_inits(uint32_t id, uint32_t gen)
{
	struct gk_frame f, a = from_key(id, gen);

	assert_int_equal(key_hears(&f, id), 0x80 | GK_CTAPHID_INIT);
	assert_int_equal(cid_of(f.u.fido.packet), GK_CTAPHID_BROADCAST);
	packet(a.u.fido.packet, GK_CTAPHID_BROADCAST, 0x80 | GK_CTAPHID_INIT, 17, 2);
	memcpy(a.u.fido.packet + 7, f.u.fido.packet + 7, 8);
	put_cid(a.u.fido.packet + 15, ++device_cid);
	gate_sends(&a);
	return device_cid;
}

static uint32_t open_channel(int fd, uint32_t id, uint32_t gen, uint32_t *theirs)
{
	uint8_t p[PACKET];

	says(fd, GK_CTAPHID_BROADCAST, 0x80 | GK_CTAPHID_INIT, 8, 0x5a);
	*theirs = key_inits(id, gen);
	assert_int_equal(hears(fd, p, PATIENCE_MS), 0x80 | GK_CTAPHID_INIT);
	assert_int_equal(cid_of(p), GK_CTAPHID_BROADCAST);
	assert_int_equal(p[7], 0x5a);
	assert_int_not_equal(cid_of(p + 15), *theirs);
	return cid_of(p + 15);
}

/* --- before and after each test --- */

/* uhid_room: bytes that its socket holds, 0: some 26 events. */
static int start(int uhid_room)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };
	int link[2], uhid[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, uhid), 0);
	assert_int_equal(fcntl(uhid[1], F_SETFL, O_NONBLOCK), 0);
	/* Who is not root gets less, which does when the machine is not busy. */
	if (uhid_room && setsockopt(uhid[1], SOL_SOCKET, SO_SNDBUFFORCE, &uhid_room,
				    sizeof(uhid_room)) < 0)
		assert_int_equal(setsockopt(uhid[1], SOL_SOCKET, SO_SNDBUF, &uhid_room,
					    sizeof(uhid_room)), 0);
	daemon_pid = fork();
	assert_true(daemon_pid >= 0);
	if (daemon_pid == 0) {
		close(link[0]);
		close(uhid[0]);
		run_daemon(link[1], uhid[1]);
	}
	close(link[1]);
	close(uhid[1]);
	gate = link[0];
	kernel = uhid[0];
	generation = 0;
	device_cid = 0x11000000;
	f.u.hello.version_min = f.u.hello.version_max = GK_LINK_VERSION;
	gate_sends(&f);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return start(0);
}

static int set_up_wide(void **state)
{
	(void)state;
	return start(4 << 20);
}

/* Closes the link; the daemon ends well, and nothing of it is left. */
static void hang_up(void)
{
	int status = -1;
	char path[96];
	struct dirent *e;
	DIR *dir;

	if (gate >= 0)
		close(gate);
	gate = -1;
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	daemon_pid = 0;
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/fido", run);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)))
		assert_true(!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
	closedir(dir);
}

static int tear_down(void **state)
{
	(void)state;
	if (daemon_pid > 0)
		hang_up();
	if (kernel >= 0)
		close(kernel);
	kernel = -1;
	return 0;
}

static int make_root(void **state)
{
	char command[128];

	(void)state;
	if (!mkdtemp(root))
		return -1;
	gk_root_prefix = root;
	snprintf(run, sizeof(run), "%s/run", root);
	gk_run_dir = run;
	snprintf(command, sizeof(command), "cd %s && mkdir -p run dev bin", root);
	return system(command);
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* --- the tests --- */

static void a_socket_per_key(void **state)
{
	char path[108], dir[96];
	uint32_t one, two;
	struct stat st;

	(void)state;
	plug(1, 1, GK_ROLE_KEYBOARD);
	plug(2, 2, 0);
	one = plug(3, 3, GK_ROLE_FIDO);
	two = plug(4, 4, GK_ROLE_FIDO | GK_ROLE_KEYBOARD);
	assert_true(socket_is("1-3", 1) && socket_is("1-4", 1));
	socket_path(path, "1-1");
	assert_int_not_equal(access(path, F_OK), 0);
	socket_path(path, "1-2");
	assert_int_not_equal(access(path, F_OK), 0);
	socket_path(path, "1-3");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(dir, sizeof(dir), "%s/fido", run);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	unplug(3, one);
	assert_true(socket_is("1-3", 0) && socket_is("1-4", 1));
	/* Replaced by what is none. */
	assert_true(two > one);
	plug(4, 4, GK_ROLE_KEYBOARD);
	assert_true(socket_is("1-4", 0));
}

static void a_transaction(void **state)
{
	static const unsigned lens[] = { 1, 57, 58, 1024, 7609 };
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, theirs;
	int fd = dial("1-3");
	struct gk_frame f;
	uint8_t p[PACKET];

	(void)state;
	cid = open_channel(fd, 1, gen, &theirs);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		unsigned more = lens[i] <= 57 ? 0 : (lens[i] - 57 + 58) / 59;

		says(fd, cid, 0x80 | GK_CTAPHID_CBOR, lens[i], 0x31);
		for (unsigned k = 0; k < more; k++)
			says(fd, cid, k, 0, 0x31);
		assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
		assert_int_equal(f.generation, gen);
		assert_int_equal(cid_of(f.u.fido.packet), theirs);
		for (unsigned k = 0; k < more; k++) {
			assert_int_equal(key_hears(&f, 1), k);
			assert_int_equal(f.u.fido.packet[5], 0x31);
		}
		key_says(1, gen, theirs, 0x80 | GK_CTAPHID_KEEPALIVE, 1, 2);
		assert_int_equal(hears(fd, p, PATIENCE_MS), 0x80 | GK_CTAPHID_KEEPALIVE);
		assert_int_equal(p[7], 2);
		key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, lens[i], 0x32);
		for (unsigned k = 0; k < more; k++)
			key_says(1, gen, theirs, k, 0, 0x32);
		assert_int_equal(hears(fd, p, PATIENCE_MS), 0x80 | GK_CTAPHID_CBOR);
		assert_int_equal(cid_of(p), cid);
		for (unsigned k = 0; k < more; k++)
			assert_int_equal(hears(fd, p, PATIENCE_MS), k);
	}
	close(fd);
}

static void two_programs(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid[2], theirs[2];
	int fd[2] = { dial("1-3"), dial("1-3") };
	struct gk_frame f;
	uint8_t p[PACKET];

	(void)state;
	for (int i = 0; i < 2; i++)
		cid[i] = open_channel(fd[i], 1, gen, &theirs[i]);
	assert_int_not_equal(cid[0], cid[1]);
	says(fd[1], cid[0], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	hears_error(fd[1], cid[0], GK_CTAPHID_INVALID_CHANNEL);
	says(fd[0], cid[0], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	says(fd[1], cid[1], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	hears_error(fd[1], cid[1], GK_CTAPHID_CHANNEL_BUSY);
	/* The key cannot speak to the one that has not asked. */
	key_says(1, gen, theirs[1], 0x80 | GK_CTAPHID_CBOR, 1, 0);
	key_says(1, gen, theirs[0], 0x80 | GK_CTAPHID_CBOR, 1, 0);
	assert_int_equal(hears(fd[0], p, PATIENCE_MS), 0x80 | GK_CTAPHID_CBOR);
	assert_int_equal(hears(fd[1], p, QUIET_MS), -2);
	/* Whoever goes in the middle: the key is told, the other can begin. */
	says(fd[0], cid[0], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	close(fd[0]);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CANCEL);
	assert_int_equal(cid_of(f.u.fido.packet), theirs[0]);
	says(fd[1], cid[1], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_false(gate_reads(&f, QUIET_MS));
	key_says(1, gen, theirs[0], 0x80 | GK_CTAPHID_CBOR, 1, 0x2d);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	assert_int_equal(cid_of(f.u.fido.packet), theirs[1]);
	close(fd[1]);
}

static void two_keys(void **state)
{
	uint32_t gen[2] = { plug(1, 3, GK_ROLE_FIDO), plug(2, 4, GK_ROLE_FIDO) };
	int fd[2] = { dial("1-3"), dial("1-4") };
	uint32_t cid[2], theirs[2];
	struct gk_frame f;
	uint8_t p[PACKET];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		cid[i] = open_channel(fd[i], i + 1, gen[i], &theirs[i]);
	/* At the same time. */
	for (unsigned i = 0; i < 2; i++) {
		says(fd[i], cid[i], 0x80 | GK_CTAPHID_CBOR, 1, 4);
		assert_int_equal(key_hears(&f, i + 1), 0x80 | GK_CTAPHID_CBOR);
	}
	for (unsigned i = 0; i < 2; i++)
		key_says(i + 1, gen[i], theirs[i], 0x80 | GK_CTAPHID_CBOR, 1, (int)i);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hears(fd[i], p, PATIENCE_MS), 0x80 | GK_CTAPHID_CBOR);
		assert_int_equal(p[7], i);
		close(fd[i]);
	}
	/* A second one by the same name. */
	plug(3, 4, GK_ROLE_FIDO);
	fd[0] = dial("1-4");
	says(fd[0], GK_CTAPHID_BROADCAST, 0x80 | GK_CTAPHID_INIT, 8, 1);
	key_inits(2, gen[1]);
	assert_int_equal(hears(fd[0], p, PATIENCE_MS), 0x80 | GK_CTAPHID_INIT);
	close(fd[0]);
}

/* The daemon has dealt with all that it was told: this key, on port 9, answers. */
static void all_is_done(int fd, uint32_t gen)
{
	uint32_t theirs;

	open_channel(fd, 9, gen, &theirs);
}

/* The second one by a name gets it when the first has gone, in whatever way. */
static void a_name_that_is_free(void **state)
{
	uint32_t bell = plug(9, 9, GK_ROLE_FIDO), gen[6], theirs;
	int done = dial("1-9"), fd;

	(void)state;
	for (uint32_t i = 1; i <= 3; i++)
		gen[i] = plug(i, 3, GK_ROLE_FIDO);
	fd = dial("1-3");
	open_channel(fd, 1, gen[1], &theirs);
	unplug(1, gen[1]);
	assert_true(is_closed(fd));
	close(fd);
	all_is_done(done, bell);
	fd = dial("1-3");
	open_channel(fd, 2, gen[2], &theirs);
	/* It is put out, and does not come back. */
	for (int i = 0; i < GK_CTAPHID_FOREIGN + 20; i++)
		key_says(2, gen[2], theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0);
	assert_true(is_closed(fd));
	close(fd);
	all_is_done(done, bell);
	fd = dial("1-3");
	open_channel(fd, 3, gen[3], &theirs);
	/* Told anew, in another place. */
	gen[4] = plug(4, 3, GK_ROLE_FIDO);
	gen[3] = plug(3, 4, GK_ROLE_FIDO);
	assert_true(is_closed(fd));
	close(fd);
	all_is_done(done, bell);
	fd = dial("1-3");
	open_channel(fd, 4, gen[4], &theirs);
	close(fd);
	fd = dial("1-4");
	open_channel(fd, 3, gen[3], &theirs);
	close(fd);
	/* One that waited, and has gone, gets nothing. */
	gen[5] = plug(5, 3, GK_ROLE_FIDO);
	unplug(5, gen[5]);
	unplug(4, gen[4]);
	all_is_done(done, bell);
	assert_true(socket_is("1-3", 0));
	close(done);
}

static void bad_packets(void **state)
{
	static const size_t lens[] = { 0, 1, 63, 65, 1000 };
	static const uint8_t junk[1000];

	(void)state;
	plug(1, 3, GK_ROLE_FIDO);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		int fd = dial("1-3");

		assert_int_equal(send(fd, junk, lens[i], MSG_NOSIGNAL), lens[i]);
		assert_true(is_closed(fd));
		close(fd);
	}
}

static void too_many_programs(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), theirs;
	int fd[GK_FIDO_CONNECTIONS], more;

	(void)state;
	for (int i = 0; i < GK_FIDO_CONNECTIONS; i++) {
		fd[i] = dial("1-3");
		open_channel(fd[i], 1, gen, &theirs);
	}
	more = dial("1-3");
	assert_true(is_closed(more));
	close(more);
	close(fd[2]);
	/* Its place is free as soon as its end was seen. */
	for (int i = 0; i < 100; i++) {
		uint8_t p[PACKET];

		more = dial("1-3");
		if (hears(more, p, QUIET_MS) == -2)
			break;
		close(more);
		assert_int_not_equal(i, 99);
	}
	open_channel(more, 1, gen, &theirs);
	close(more);
	for (int i = 0; i < GK_FIDO_CONNECTIONS; i++)
		if (i != 2)
			close(fd[i]);
}

static void who_does_not_read(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, theirs[2];
	int slow = dial("1-3"), fd = dial("1-3"), n = 0;
	struct gk_frame f;
	uint8_t p[PACKET];

	(void)state;
	cid = open_channel(slow, 1, gen, &theirs[0]);
	open_channel(fd, 1, gen, &theirs[1]);
	says(slow, cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	for (int i = 0; i < 1500 && !gate_reads(&f, i % 16 ? 0 : 5); i++)
		key_says(1, gen, theirs[0], 0x80 | GK_CTAPHID_KEEPALIVE, 1, 2);
	assert_int_equal(f.u.fido.packet[4], 0x80 | GK_CTAPHID_CANCEL);
	while (hears(slow, p, PATIENCE_MS) >= 0)
		n++;
	/* More than an answer fits, and it has an end. */
	assert_true(n > GK_CTAPHID_PACKETS && n < 1500);
	key_says(1, gen, theirs[0], 0x80 | GK_CTAPHID_CBOR, 1, 0x2d);
	open_channel(fd, 1, gen, &theirs[1]);
	close(slow);
	close(fd);
}

static void a_key_that_floods(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), other = plug(2, 4, GK_ROLE_FIDO), theirs;
	int fd = dial("1-3");

	(void)state;
	open_channel(fd, 1, gen, &theirs);
	for (int i = 0; i < GK_CTAPHID_FOREIGN + 20; i++)
		key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0);
	assert_true(is_closed(fd));
	assert_true(socket_is("1-3", 0));
	close(fd);
	fd = dial("1-4");
	open_channel(fd, 2, other, &theirs);
	close(fd);
	/* Plugged in again it is a new one. */
	gen = plug(1, 3, GK_ROLE_FIDO);
	fd = dial("1-3");
	open_channel(fd, 1, gen, &theirs);
	close(fd);
}

/* In each way that a key can go its programs are hung up on. */
static void goes(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO);
	int fd = dial("1-3");

	(void)state;
	unplug(1, gen);
	assert_true(is_closed(fd) && socket_is("1-3", 0));
	close(fd);
	plug(1, 3, GK_ROLE_FIDO);
	fd = dial("1-3");
	plug(1, 3, GK_ROLE_FIDO);
	assert_true(is_closed(fd) && socket_is("1-3", 1));
	close(fd);
	fd = dial("1-3");
	hang_up();
	assert_true(is_closed(fd));
	close(fd);
}

static void old_sockets(void **state)
{
	char path[108];
	FILE *file;

	(void)state;
	socket_path(path, "1-9");
	hang_up();
	file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
	set_up(NULL);
	assert_true(socket_is("1-9", 0));
}

/* --- the HID device --- */

static int kernel_hears(struct uhid_event *ev, int ms)
{
	struct pollfd p = { .fd = kernel, .events = POLLIN };

	memset(ev, 0, sizeof(*ev));
	if (poll(&p, 1, ms) != 1)
		return -1;
	assert_int_equal(recv(kernel, ev, sizeof(*ev), 0), sizeof(*ev));
	return (int)ev->type;
}

static void kernel_says(struct uhid_event *ev, uint32_t type)
{
	ev->type = type;
	assert_int_equal(send(kernel, ev, sizeof(*ev), MSG_NOSIGNAL), sizeof(*ev));
}

static void kernel_writes(uint32_t cid, unsigned cmd, unsigned len, int byte)
{
	struct uhid_event ev;

	memset(&ev, 0, sizeof(ev));
	ev.u.output.rtype = UHID_OUTPUT_REPORT;
	ev.u.output.size = 65;
	packet(ev.u.output.data + 1, cid, cmd, len, byte);
	kernel_says(&ev, UHID_OUTPUT);
}

static uint32_t kernel_opens(uint32_t gen, uint32_t *theirs)
{
	struct uhid_event ev = { 0 };

	kernel_writes(GK_CTAPHID_BROADCAST, 0x80 | GK_CTAPHID_INIT, 8, 0x5a);
	*theirs = key_inits(1, gen);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
	assert_int_equal(ev.u.input2.size, PACKET);
	assert_int_equal(ev.u.input2.data[4], 0x80 | GK_CTAPHID_INIT);
	return cid_of(ev.u.input2.data + 15);
}

static void a_hid_device(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, theirs, theirs_fd;
	struct uhid_event ev;
	struct gk_frame f;
	uint8_t p[PACKET];
	int fd;

	(void)state;
	tell_child(MAKE_UHID);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_CREATE2);
	assert_int_equal(ev.u.create2.bus, BUS_USB);
	assert_int_equal(ev.u.create2.vendor, 0xf1d0);
	assert_int_equal(ev.u.create2.rd_size, 34);
	assert_memory_equal(ev.u.create2.rd_data, "\x06\xd0\xf1\x09\x01\xa1\x01\x09\x20",
			    9);
	assert_string_equal((char *)ev.u.create2.phys, "gatekeeper/1-3");
	memset(&ev, 0, sizeof(ev));
	kernel_says(&ev, UHID_START);
	kernel_says(&ev, UHID_OPEN);
	cid = kernel_opens(gen, &theirs);
	/* Two programs share it, with a channel each; a third has the socket. */
	assert_int_not_equal(kernel_opens(gen, &theirs_fd), cid);
	fd = dial("1-3");
	open_channel(fd, 1, gen, &theirs_fd);
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
	assert_int_equal(cid_of(ev.u.input2.data), cid);
	assert_int_equal(hears(fd, p, QUIET_MS), -2);
	/* What CTAPHID has not. */
	memset(&ev, 0, sizeof(ev));
	ev.u.get_report.id = 77;
	kernel_says(&ev, UHID_GET_REPORT);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_GET_REPORT_REPLY);
	assert_int_equal(ev.u.get_report_reply.id, 77);
	assert_int_equal(ev.u.get_report_reply.err, EIO);
	memset(&ev, 0, sizeof(ev));
	ev.u.set_report.id = 78;
	kernel_says(&ev, UHID_SET_REPORT);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_SET_REPORT_REPLY);
	assert_int_equal(ev.u.set_report_reply.err, EIO);
	/* Reports of another size, or with a number. */
	for (uint16_t size = 0; size < 80; size++) {
		memset(&ev, 0, sizeof(ev));
		ev.u.output.rtype = UHID_OUTPUT_REPORT;
		ev.u.output.size = size;
		packet(ev.u.output.data + 1, cid, 0x80 | GK_CTAPHID_PING, 1, 0);
		ev.u.output.data[0] = size == 65;
		kernel_says(&ev, UHID_OUTPUT);
	}
	assert_false(gate_reads(&f, QUIET_MS));
	/* Closed in the middle of a transaction. */
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	memset(&ev, 0, sizeof(ev));
	kernel_says(&ev, UHID_CLOSE);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CANCEL);
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0x2d);
	assert_int_equal(kernel_hears(&ev, QUIET_MS), -1);
	/* With the key it goes, too. */
	unplug(1, gen);
	assert_true(socket_is("1-3", 0));
	assert_int_equal(recv(kernel, &ev, sizeof(ev), MSG_DONTWAIT), 0);
	close(fd);
}

static void kernel_hears_error(uint32_t cid, uint8_t error)
{
	struct uhid_event ev;

	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
	assert_int_equal(ev.u.input2.data[4], 0x80 | GK_CTAPHID_ERROR);
	assert_int_equal(cid_of(ev.u.input2.data), cid);
	assert_int_equal(ev.u.input2.data[7], error);
}

static void a_transaction_by_hid(uint32_t gen, uint32_t cid, uint32_t theirs)
{
	struct uhid_event ev;
	struct gk_frame f;

	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	assert_int_equal(cid_of(f.u.fido.packet), theirs);
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
	assert_int_equal(cid_of(ev.u.input2.data), cid);
}

/* The kernel's queue for us is short, and what does not fit is lost. */
static void a_hid_device_that_loses(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, theirs, next;
	struct uhid_event ev = { 0 };
	struct gk_frame f;

	(void)state;
	tell_child(MAKE_UHID);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_CREATE2);
	/* OPEN is lost. */
	cid = kernel_opens(gen, &theirs);
	a_transaction_by_hid(gen, cid, theirs);
	/* A packet in the middle: an error at once, and nothing for the key. */
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 7609, 4);
	for (unsigned i = 0; i < 128; i++)
		if (i != 31)
			kernel_writes(cid, i, 0, 4);
	kernel_hears_error(cid, GK_CTAPHID_INVALID_SEQ);
	a_transaction_by_hid(gen, cid, theirs);
	/* The last ones: an error soon. */
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 7609, 4);
	for (unsigned i = 0; i < 31; i++)
		kernel_writes(cid, i, 0, 4);
	kernel_hears_error(cid, GK_CTAPHID_MSG_TIMEOUT);
	a_transaction_by_hid(gen, cid, theirs);
	/* CLOSE, in the middle of a transaction: with the next OPEN that is over. */
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	memset(&ev, 0, sizeof(ev));
	kernel_says(&ev, UHID_OPEN);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CANCEL);
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0x2d);
	next = kernel_opens(gen, &theirs);
	assert_int_not_equal(next, cid);
	a_transaction_by_hid(gen, next, theirs);
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	kernel_hears_error(cid, GK_CTAPHID_INVALID_CHANNEL);
}

/* What the test tells it meanwhile it finds all at once. */
static void stop_daemon(void)
{
	int status = 0;

	/* It waits by then, and has no event in hand. */
	usleep(QUIET_MS * 1000);
	assert_int_equal(kill(daemon_pid, SIGSTOP), 0);
	assert_int_equal(waitpid(daemon_pid, &status, WUNTRACED), daemon_pid);
	assert_true(WIFSTOPPED(status));
}

/* The frames of the link do not keep the kernel's events waiting. */
static void a_hid_device_is_read_first(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid[2], theirs[2];
	struct uhid_event ev = { 0 };
	struct gk_frame f;

	(void)state;
	tell_child(MAKE_UHID);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_CREATE2);
	for (int i = 0; i < 2; i++)
		cid[i] = kernel_opens(gen, &theirs[i]);
	kernel_writes(cid[0], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	stop_daemon();
	key_says(1, gen, theirs[0], 0x80 | GK_CTAPHID_CBOR, 1, 0);
	kernel_writes(cid[1], 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(kill(daemon_pid, SIGCONT), 0);
	kernel_hears_error(cid[1], GK_CTAPHID_CHANNEL_BUSY);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
	assert_int_equal(cid_of(ev.u.input2.data), cid[0]);
}

/* hidraw keeps 64 reports for who reads them. */
static void a_long_answer_by_hid(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, theirs;
	struct uhid_event ev = { 0 };
	struct gk_frame f;
	uint64_t start;

	(void)state;
	tell_child(MAKE_UHID);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_CREATE2);
	cid = kernel_opens(gen, &theirs);
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	stop_daemon();
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 7609, 0);
	for (unsigned i = 0; i < 128; i++)
		key_says(1, gen, theirs, i, 0, 0);
	start = gk_now_ms();
	assert_int_equal(kill(daemon_pid, SIGCONT), 0);
	for (unsigned i = 0; i < GK_CTAPHID_PACKETS; i++) {
		assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
		assert_int_equal(ev.u.input2.data[4],
				 i ? i - 1 : 0x80 | GK_CTAPHID_CBOR);
	}
	/* 129 packets are five bursts; the first may have begun before. */
	assert_true(gk_now_ms() - start >= 3 * GK_UHID_GAP_MS);
	a_transaction_by_hid(gen, cid, theirs);
}

/* More than it can pass on: no part of it comes late, and all begin anew. */
static void a_hid_device_that_is_flooded(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, next, theirs, now;
	struct uhid_event ev = { 0 };
	struct gk_frame f;
	int size = 1 << 20, n = 0;

	(void)state;
	assert_int_equal(setsockopt(gate, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	tell_child(MAKE_UHID);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_CREATE2);
	cid = kernel_opens(gen, &theirs);
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	stop_daemon();
	for (unsigned i = 0; i < GK_UHID_QUEUE + GK_UHID_BURST + 120; i++)
		key_says(1, gen, theirs, 0x80 | GK_CTAPHID_KEEPALIVE, 1, 2);
	assert_int_equal(kill(daemon_pid, SIGCONT), 0);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CANCEL);
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0x2d);
	while (kernel_hears(&ev, QUIET_MS) == UHID_INPUT2)
		n++;
	assert_true(n < GK_UHID_QUEUE);
	next = kernel_opens(gen, &now);
	a_transaction_by_hid(gen, next, now);
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	kernel_hears_error(cid, GK_CTAPHID_INVALID_CHANNEL);
}

/* What the kernel does not take is lost, and does not come later. */
static void a_hid_device_that_takes_nothing(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), cid, theirs;
	struct uhid_event ev = { 0 };
	struct gk_frame f;
	int n = 0;

	(void)state;
	tell_child(MAKE_UHID);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_CREATE2);
	cid = kernel_opens(gen, &theirs);
	kernel_writes(cid, 0x80 | GK_CTAPHID_CBOR, 1, 4);
	assert_int_equal(key_hears(&f, 1), 0x80 | GK_CTAPHID_CBOR);
	for (unsigned i = 0; i < 150; i++)
		key_says(1, gen, theirs, 0x80 | GK_CTAPHID_KEEPALIVE, 1, 2);
	usleep(20 * 1000 * GK_UHID_GAP_MS);
	while (kernel_hears(&ev, QUIET_MS) == UHID_INPUT2)
		n++;
	assert_true(n < 150);
	key_says(1, gen, theirs, 0x80 | GK_CTAPHID_CBOR, 1, 0);
	assert_int_equal(kernel_hears(&ev, PATIENCE_MS), UHID_INPUT2);
	assert_int_equal(ev.u.input2.data[4], 0x80 | GK_CTAPHID_CBOR);
	a_transaction_by_hid(gen, cid, theirs);
}

/* After boot it is wanted, and there is none: everything else goes on. */
static void no_uhid(void **state)
{
	uint32_t gen = plug(1, 3, GK_ROLE_FIDO), theirs;
	int fd;

	(void)state;
	tell_child(SWITCH_ROOT);
	plug(2, 4, GK_ROLE_FIDO);
	fd = dial("1-3");
	open_channel(fd, 1, gen, &theirs);
	close(fd);
	assert_true(socket_is("1-4", 1));
}

static int is_there(const char *name, off_t size)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (int i = 0; i < PATIENCE_MS / 5; i++) {
		if (stat(path, &st) == 0 && st.st_size >= size)
			return 1;
		usleep(5000);
	}
	return 0;
}

/* The initramfs is without the module, and its modprobe ends after the switch: the
 * real root's is asked, too. A file stands for /dev/uhid. */
static void uhid_of_the_real_root(void **state)
{
	char path[96];
	FILE *script;

	(void)state;
	snprintf(path, sizeof(path), "%s/bin/modprobe", root);
	script = fopen(path, "we");
	assert_non_null(script);
	fprintf(script, "#!/bin/sh\ncd %s\n"
		"[ ! -e asked ] || { : > dev/uhid; exit 0; }\n"
		": > asked\n"
		"while [ ! -e switched ]; do /bin/sleep 0.02; done\nexit 1\n", root);
	fclose(script);
	assert_int_equal(chmod(path, 0700), 0);
	tell_child(WANT_UHID);
	plug(1, 3, GK_ROLE_FIDO);
	assert_true(is_there("asked", 0));
	tell_child(SWITCH_ROOT);
	plug(2, 4, GK_ROLE_FIDO);
	assert_true(socket_is("1-4", 1));
	snprintf(path, sizeof(path), "%s/switched", root);
	script = fopen(path, "we");
	assert_non_null(script);
	fclose(script);
	/* UHID_CREATE2 is in it. */
	assert_true(is_there("dev/uhid", sizeof(struct uhid_event)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_socket_per_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_transaction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_programs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_name_that_is_free, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_packets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_programs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_does_not_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_that_floods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_sockets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hid_device, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hid_device_that_loses, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_hid_device_is_read_first, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_long_answer_by_hid, set_up_wide,
						tear_down),
		cmocka_unit_test_setup_teardown(a_hid_device_that_is_flooded, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_hid_device_that_takes_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(no_uhid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(uhid_of_the_real_root, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
