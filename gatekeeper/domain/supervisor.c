/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor: the gate's event loop and the only process that talks to
 * dom0. It looks at raw descriptors (through core/) and never at what a device
 * sends afterwards; that is its worker's.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "devices.h"
#include "hostdrivers.h"
#include "judge.h"
#include "kmsg.h"
#include "link_server.h"
#include "log.h"
#include "oom.h"
#include "reduce.h"
#include "uevent.h"

#define RULES "/rules.conf"

enum source {
	FROM_DOM0,
	FROM_KERNEL,
	FROM_CHILDREN,
	FROM_WORKER,	/* + slot */
};

enum {
	EVENTS = 8,
	/* How long workers may take to let go when asked. */
	WORKERS_MS = 1000,
	TICK_MS = 200,
	QUIESCE_TICK_MS = 20,
	KMSG_A_TURN = 16,
};

/* Letting go, one step after the other. */
enum quiesce {
	RUNNING,
	WORKERS_LEAVE,
	UNBINDING,
	QUIESCED,
};

static struct {
	struct gk_link_server link;
	int ep;
	enum quiesce quiesce;
	uint64_t deadline_ms;	/* of the whole quiesce */
	uint64_t workers_ms;	/* of its first step */
	pid_t unbinder;
	int unbound;		/* result: 1 all of them */
	char rules_said[GK_LINK_TEXT + 1];
	int kmsg;		/* the kernel's log, -1: none */
	int debug;		/* all of it goes to dom0 */
} sv;

static void send_frame(const struct gk_frame *f)
{
	gk_link_server_send(&sv.link, f);
}

static unsigned waiting(uint32_t id)
{
	return gk_link_server_waiting(&sv.link, id);
}

static int watch(int fd, unsigned source)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = source };

	return epoll_ctl(sv.ep, EPOLL_CTL_ADD, fd, &ev);
}

static void unwatch(int fd)
{
	epoll_ctl(sv.ep, EPOLL_CTL_DEL, fd, NULL);
}

static int watch_worker(int fd, unsigned slot)
{
	return watch(fd, FROM_WORKER + slot);
}

static void say_rules(void)
{
	struct gk_frame f = { .type = GK_LINK_LOG };

	f.u.log.level = 6;
	f.u.log.len = (uint8_t)strlen(sv.rules_said);
	memcpy(f.u.log.text, sv.rules_said, f.u.log.len);
	send_frame(&f);
}

static void answer_hello(const struct gk_frame *f)
{
	struct gk_frame out = { .type = GK_LINK_HELLO };

	gk_link_server_reset(&sv.link);
	out.u.hello.version_min = GK_LINK_VERSION;
	out.u.hello.version_max = GK_LINK_VERSION;
	memcpy(out.u.hello.nonce, f->u.hello.nonce, GK_LINK_NONCE);
	out.u.hello.uptime_ms = (uint32_t)gk_clock_ms();
	send_frame(&out);
	say_rules();
	gk_devices_announce();
}

static void answer_ping(const struct gk_frame *f)
{
	struct gk_frame out = *f;

	if (f->u.ping.reply)
		return;
	out.u.ping.reply = 1;
	send_frame(&out);
}

static void quiesce_begin(const struct gk_frame *f)
{
	if (sv.quiesce != RUNNING)
		return;
	sv.quiesce = WORKERS_LEAVE;
	sv.deadline_ms = gk_clock_ms() + f->u.quiesce.deadline_ms;
	sv.workers_ms = gk_clock_ms() + WORKERS_MS;
	gk_devices_stop();
}

static void quiesce_end(void)
{
	struct gk_frame f = { .type = GK_LINK_QUIESCED };

	sv.quiesce = QUIESCED;
	f.u.quiesced.complete = (uint8_t)sv.unbound;
	f.u.quiesced.controllers = (uint8_t)gk_hostdrivers_count();
	f.u.quiesced.devices = (uint8_t)gk_devices_admitted();
	send_frame(&f);
}

/* In a child, because a controller that does not answer blocks the unbind. */
static void unbind_begin(void)
{
	sv.quiesce = UNBINDING;
	sv.unbinder = fork();
	if (sv.unbinder == 0) {
		/* Not with the workers' sockets: theirs are to close. */
		syscall(SYS_close_range, 3U, ~0U, 0);
		_exit(gk_hostdrivers_unbind() == 0 ? 0 : 1);
	}
	if (sv.unbinder < 0)
		quiesce_end();
}

static void quiesce_step(void)
{
	switch (sv.quiesce) {
	case RUNNING:
	case QUIESCED:
		return;
	case WORKERS_LEAVE:
		if (gk_clock_ms() >= sv.workers_ms)
			gk_devices_kill();
		if (gk_devices_workers() == 0)
			unbind_begin();
		break;
	case UNBINDING:
		break;
	}
	if (sv.quiesce != QUIESCED && gk_clock_ms() >= sv.deadline_ms)
		quiesce_end();
}

static void from_dom0(const struct gk_frame *f)
{
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		answer_hello(f);
		return;
	case GK_LINK_PING:
		answer_ping(f);
		return;
	case GK_LINK_LED:
	case GK_LINK_FIDO:
		gk_devices_to_worker(f);
		return;
	case GK_LINK_QUIESCE:
		quiesce_begin(f);
		return;
	/* For who has no rules of its own. */
	case GK_LINK_MANIFEST:
		return;
	/* The codec lets these through from the gate's side only. */
	case GK_LINK_DEVICE:
	case GK_LINK_GONE:
	case GK_LINK_KEY:
	case GK_LINK_QUIESCED:
	case GK_LINK_LOG:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
		return;
	}
}

static void reap(int fd)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == sv.unbinder) {
			sv.unbound = WIFEXITED(status) && WEXITSTATUS(status) == 0;
			sv.unbinder = 0;
			if (sv.quiesce == UNBINDING)
				quiesce_end();
		} else if (!gk_devices_child_ended(pid, status) && status) {
			gk_kmsg(4, "child %d failed", (int)pid);
		}
	}
}

static void relay(const char *text)
{
	struct gk_frame f = { .type = GK_LINK_LOG };

	f.u.log.level = 7;
	while (f.u.log.len < GK_LINK_TEXT && text[f.u.log.len]) {
		f.u.log.text[f.u.log.len] = text[f.u.log.len];
		f.u.log.len++;
	}
	if (f.u.log.len)
		send_frame(&f);
}

static void read_kmsg(void)
{
	struct gk_present at;
	char text[512];

	for (int i = 0; i < KMSG_A_TURN; i++) {
		/* What there is to tell waits until dom0 listens. */
		if (!sv.link.open || !gk_kmsg_next(sv.kmsg, text, sizeof(text)))
			return;
		if (sv.debug)
			relay(text);
		if (gk_kmsg_silent(text, &at))
			gk_devices_silent(&at);
	}
}

static int children_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(void)
{
	static const struct gk_devices_ops ops = {
		.send = send_frame,
		.waiting = waiting,
		.watch = watch_worker,
		.unwatch = unwatch,
	};
	struct epoll_event ev[EVENTS];
	int uevents, children;

	/* If memory runs out, not this process (worker_exec() undoes it). */
	gk_oom_score(-1000);
	sv.ep = epoll_create1(EPOLL_CLOEXEC);
	uevents = gk_uevent_open();
	children = children_fd();
	if (sv.ep < 0 || uevents < 0 || children < 0)
		return 1;
	if (gk_link_server_start(&sv.link) < 0) {
		gk_kmsg(3, "no vchan to dom0");
		return 1;
	}
	gk_devices_init(&ops);
	gk_judge_rules(RULES, sv.rules_said);
	sv.kmsg = gk_kmsg_open();
	sv.debug = gk_kmsg_debug();
	if (watch(gk_link_server_fd(&sv.link), FROM_DOM0) < 0 ||
	    watch(uevents, FROM_KERNEL) < 0 || watch(children, FROM_CHILDREN) < 0)
		return 1;
	if (gk_reduce_supervisor() < 0) {
		gk_kmsg(3, "cannot give up rights");
		return 1;
	}
	gk_devices_rescan();
	for (;;) {
		int n = epoll_wait(sv.ep, ev, EVENTS,
				   sv.quiesce == RUNNING ? TICK_MS :
							   QUIESCE_TICK_MS);

		for (int i = 0; i < n; i++) {
			switch (ev[i].data.u32) {
			case FROM_DOM0:
				gk_link_server_service(&sv.link, from_dom0);
				break;
			case FROM_KERNEL:
				if (gk_uevent_drain(uevents))
					gk_devices_rescan();
				break;
			case FROM_CHILDREN:
				reap(children);
				break;
			default:
				gk_devices_worker_readable(ev[i].data.u32 -
							   FROM_WORKER);
			}
		}
		gk_devices_tick();
		read_kmsg();
		quiesce_step();
	}
}
