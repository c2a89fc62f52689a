/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fido-bridge` once more, with the whole FIDO channel in between: the same options
 * and commands, and those who judge the authenticator (tests/devices/fido/test_*,
 * by FIDO_BRIDGE) then judge what the channel makes of it.
 *
 *   judge - socket - gatekeeperd's fido.c - frames - a worker's mux - fido-bridge
 *
 * What is left out of the channel is the link reader, the supervisor and libusb.
 * SIGUSR1: the gate dies, and a moment later there is a new one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ctaphid.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/paths.h"

enum { LOOK_MS = 2, NEW_GATE_MS = 700, LINK = 0, ID = 1 };

static struct gk_daemon d;
static volatile sig_atomic_t dies;

static struct {
	struct gk_loop *loop;
	struct gk_ctaphid mux;	/* the worker's */
	char key_path[108];	/* the bridge's socket */
	char ours[128];		/* gatekeeperd's */
	const char *path;	/* where it is to be seen: a link to it */
	int shown;
	int key;		/* connected to it, -1: it is unplugged */
	int link;		/* the gate's end */
	/* The socket of one that was put out: it stays so until it is another. */
	struct stat put_out;
	uint32_t generation;
	uint64_t boots_until;	/* a new gate, ms */
	struct gk_timer look;
	int out;		/* what the bridge says */
	int plugged_once;
} g;

static void show(void)
{
	int there = gk_fido_clients(&d, 0) >= 0;

	if (there && !g.shown && symlink(g.ours, g.path) < 0)
		abort();
	if (!there && g.shown)
		unlink(g.path);
	g.shown = there;
}

static void to_dom0(const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_GATE, b, sizeof(b));

	if (n < 0 || send(g.link, b, (size_t)n, MSG_NOSIGNAL) != n)
		abort();
}

static void gone(void)
{
	struct gk_frame f = { .type = GK_LINK_GONE, .device = ID,
			      .generation = g.generation };

	gk_loop_del(g.loop, g.key);
	close(g.key);
	g.key = -1;
	f.u.gone.reason = GK_REASON_UNPLUGGED;
	to_dom0(&f);
}

static void pump(void)
{
	struct gk_frame f = { .type = GK_LINK_FIDO, .device = ID,
			      .generation = g.generation };
	uint8_t p[GK_CTAPHID_PACKET];

	/* A worker that has gone says nothing more. */
	for (int i = 0; i < 2 && g.key >= 0; i++) {
		while (gk_ctaphid_to_client(&g.mux, LINK, f.u.fido.packet))
			to_dom0(&f);
		while (gk_ctaphid_to_device(&g.mux, gk_now_ms(), p))
			if (send(g.key, p, sizeof(p), MSG_NOSIGNAL) < 0)
				break;
	}
}

static void on_key(void *ctx, uint32_t events)
{
	uint8_t p[GK_CTAPHID_PACKET];
	ssize_t n = recv(g.key, p, sizeof(p), MSG_DONTWAIT);

	(void)ctx;
	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != (ssize_t)sizeof(p)) {
		gone();
	} else if (gk_ctaphid_from_device(&g.mux, p, gk_now_ms()) < 0) {
		/* As the supervisor does. */
		stat(g.key_path, &g.put_out);
		gone();
	} else {
		pump();
	}
}

static void from_dom0(void *ctx, uint32_t events);
static void to_daemon(void *ctx, uint32_t events);

static void boot(void)
{
	struct gk_frame hello = { .type = GK_LINK_HELLO };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	g.link = pair[0];
	d.link_fd = pair[1];
	if (gk_loop_add(g.loop, g.link, EPOLLIN, from_dom0, NULL) ||
	    gk_loop_add(g.loop, d.link_fd, EPOLLIN, to_daemon, NULL))
		abort();
	hello.u.hello.version_min = hello.u.hello.version_max = GK_LINK_VERSION;
	to_dom0(&hello);
}

/* As link_client.c sees it. */
static void die(void)
{
	gk_loop_del(g.loop, g.link);
	gk_loop_del(g.loop, d.link_fd);
	close(g.link);
	close(d.link_fd);
	d.link_fd = -1;
	gk_fido_reset(&d);
	show();
	d.session_begun = 0;
	if (g.key >= 0) {
		gk_loop_del(g.loop, g.key);
		close(g.key);
	}
	g.key = -1;
	g.boots_until = gk_now_ms() + NEW_GATE_MS;
}

static void on_usr1(int number)
{
	(void)number;
	dies = 1;
}

/* The key is plugged in when its socket is there. */
static void on_look(void *ctx)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct gk_frame f = { .type = GK_LINK_DEVICE, .device = ID };
	struct stat st;
	int fd;

	(void)ctx;
	gk_timer_set(g.loop, &g.look, LOOK_MS, on_look, NULL);
	if (dies)
		die();
	dies = 0;
	if (g.boots_until > gk_now_ms())
		return;
	if (g.boots_until)
		boot();
	g.boots_until = 0;
	gk_ctaphid_tick(&g.mux, gk_now_ms());
	pump();
	if (g.key >= 0 || stat(g.key_path, &st) < 0 ||
	    (st.st_ino == g.put_out.st_ino &&
	     st.st_ctim.tv_sec == g.put_out.st_ctim.tv_sec &&
	     st.st_ctim.tv_nsec == g.put_out.st_ctim.tv_nsec))
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strcpy(a.sun_path, g.key_path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return;
	}
	g.key = fd;
	gk_ctaphid_init(&g.mux);
	gk_ctaphid_attach(&g.mux, LINK, GK_CTAPHID_CHANNELS);
	if (gk_loop_add(g.loop, fd, EPOLLIN, on_key, NULL))
		abort();
	f.generation = ++g.generation;
	f.u.dev.path = (struct gk_port_path){ 1, 0, 1, { 3 } };
	f.u.dev.asked = f.u.dev.granted = f.u.dev.shown[0].role = GK_ROLE_FIDO;
	f.u.dev.verdict = GK_VERDICT_ADMITTED;
	f.u.dev.reason = GK_REASON_ADMITTED;
	f.u.dev.interfaces = 1;
	to_dom0(&f);
}

static void from_dom0(void *ctx, uint32_t events)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	ssize_t n = recv(g.link, b, sizeof(b), MSG_DONTWAIT);
	struct gk_frame f;

	(void)ctx;
	(void)events;
	if (n <= 0)
		return;
	if (gk_link_decode(b, (size_t)n, GK_SIDE_DOM0, &f))
		abort();
	/* As the link reader does. */
	if (f.type == GK_LINK_PING) {
		f.u.ping.reply = 1;
		to_dom0(&f);
		return;
	}
	if (f.type != GK_LINK_FIDO || f.device != ID)
		abort();
	if (f.generation == g.generation && g.key >= 0)
		gk_ctaphid_from_client(&g.mux, LINK, f.u.fido.packet, gk_now_ms());
	pump();
}

static void to_daemon(void *ctx, uint32_t events)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	ssize_t n = recv(d.link_fd, b, sizeof(b), MSG_DONTWAIT);
	struct gk_frame f;

	(void)ctx;
	(void)events;
	if (n <= 0)
		return;
	if (gk_link_decode(b, (size_t)n, GK_SIDE_GATE, &f) || gk_devices_frame(&d, &f))
		abort();
	show();
}

/* "ready" is said when our socket is there, too. */
static void on_out(void *ctx, uint32_t events)
{
	char text[4096];
	ssize_t n;

	(void)ctx;
	(void)events;
	if (!g.plugged_once && !g.shown) {
		usleep(LOOK_MS * 1000);
		return;
	}
	g.plugged_once = 1;
	n = read(g.out, text, sizeof(text));
	if (n <= 0 || write(1, text, (size_t)n) != n)
		gk_loop_stop(g.loop);
}

/* The bridge with our options, but for its socket; its output is in g.out. */
static pid_t start_bridge(int argc, char **argv)
{
	const char *program = getenv("GK_FIDO_BRIDGE");
	char *args[64] = { NULL };
	int out[2];
	pid_t pid;

	if (argc > 60 || pipe(out) < 0)
		exit(2);
	for (int i = 0; i < argc; i++) {
		int is_path = i > 0 && !strcmp(argv[i - 1], "--socket");

		args[i] = is_path ? g.key_path : argv[i];
		g.plugged_once |= !strcmp(argv[i], "--unplugged");
	}
	pid = fork();
	if (pid < 0)
		exit(2);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execv(program ? program : "build/tests/fido-bridge", args);
		_exit(127);
	}
	close(out[1]);
	g.out = out[0];
	return pid;
}

int main(int argc, char **argv)
{
	char run[] = "/tmp/gk-channel-XXXXXX", command[64];
	pid_t pid;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--socket"))
			g.path = argv[i + 1];
	if (!g.path || strlen(g.path) > 90 || !mkdtemp(run))
		return 2;
	snprintf(g.key_path, sizeof(g.key_path), "%s/bridge", run);
	pid = start_bridge(argc, argv);
	gk_root_prefix = gk_run_dir = run;
	if (gk_loop_open(&g.loop))
		return 2;
	signal(SIGUSR1, on_usr1);
	g.key = -1;
	d.loop = g.loop;
	d.control_fd = d.keyboard.fd = -1;
	gk_options_default(&d.opt);
	gk_times_init(&d.times);
	gk_screen_init(&d.screen, g.loop, 0);
	d.in_initrd = 1;
	gk_fido_start(&d);
	snprintf(g.ours, sizeof(g.ours), "%s/fido/1-3", run);
	unlink(g.path);
	if (gk_loop_add(g.loop, g.out, EPOLLIN, on_out, NULL))
		return 2;
	boot();
	on_look(NULL);
	gk_loop_run(g.loop);
	gk_fido_reset(&d);
	show();
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -r %s", run);
	return system(command) != 0;
}
