/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor: the event loop, and the only process that talks to dom0. It looks
 * at raw descriptors (through core/) and never at what a device sends afterwards;
 * that is its worker's.
 */
#include "supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "devices.h"
#include "hostdrivers.h"
#include "kmsg.h"
#include "link_server.h"
#include "link_stream.h"
#include "log.h"
#include "oom.h"
#include "reduce.h"
#include "spawn.h"
#include "uevent.h"

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
	/* And everything, after SIGTERM. */
	END_MS = 3000,
	TICK_MS = 200,
	LETTING_GO_TICK_MS = 20,
	KMSG_A_TURN = 16,
};

/* Letting go, one step after the other. */
enum step {
	RUNNING,
	WORKERS_LEAVE,
	LAST_STEP,	/* host drivers are unbound; or what the place does at its end */
	LET_GO,
};

static struct {
	const struct gk_place *place;
	struct gk_link_server link;
	int ep;
	enum step step;
	uint64_t deadline_ms;	/* of all of it */
	uint64_t workers_ms;	/* of its first step */
	pid_t child;		/* of its last */
	int unbound;		/* result: 1 all of them */
	unsigned sessions;	/* so far */
	unsigned asked_in;	/* the one that QUIESCE came in */
	int ending;		/* SIGTERM has come */
	int leaving;		/* and the last step is the place's */
	int over;
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

void gk_supervisor_log(int level, const char *text)
{
	struct gk_frame f = { .type = GK_LINK_LOG };

	f.u.log.level = (uint8_t)level;
	while (f.u.log.len < GK_LINK_TEXT && text[f.u.log.len]) {
		char c = text[f.u.log.len];

		f.u.log.text[f.u.log.len++] = c < 0x20 || c > 0x7e ? '?' : c;
	}
	if (f.u.log.len)
		send_frame(&f);
}

static void look(unsigned what)
{
	if (sv.place->look(what & GK_UEVENT_BUS) && what & GK_UEVENT_DEVICE)
		gk_devices_rescan();
}

/* --- letting go --- */

static int unbind(const void *unused)
{
	(void)unused;
	return gk_hostdrivers_unbind();
}

static void let_go(uint64_t ms)
{
	sv.step = WORKERS_LEAVE;
	sv.deadline_ms = gk_clock_ms() + ms;
	sv.workers_ms = gk_clock_ms() + WORKERS_MS;
	gk_devices_stop();
}

static void serve_again(void)
{
	sv.step = RUNNING;
	gk_devices_again();
}

static void quiesced(void)
{
	struct gk_frame f = { .type = GK_LINK_QUIESCED };

	sv.step = LET_GO;
	/* Another client asks nothing of the kind. */
	if (sv.asked_in != sv.sessions) {
		if (sv.place->serves_again) {
			serve_again();
			/* If it has said by now what to serve, that found us busy. */
			look(GK_UEVENT_BUS | GK_UEVENT_DEVICE);
		}
		return;
	}
	f.u.quiesced.complete = (uint8_t)sv.unbound;
	f.u.quiesced.controllers = (uint8_t)gk_hostdrivers_count();
	f.u.quiesced.devices = (uint8_t)gk_devices_admitted();
	send_frame(&f);
}

/* In a child, because a controller that does not answer blocks the unbind. */
static void last_step(void)
{
	sv.step = LAST_STEP;
	sv.unbound = 0;
	sv.leaving = sv.ending;
	sv.child = gk_child_run(sv.leaving ? sv.place->leave : unbind, NULL);
	if (sv.child > 0)
		return;
	sv.child = 0;
	if (sv.leaving)
		sv.over = 1;
	else
		quiesced();
}

static void child_ended(int status)
{
	sv.child = 0;
	sv.unbound = !sv.leaving && status == 0;
	if (sv.leaving)
		sv.over = 1;
	else if (sv.step == LAST_STEP)
		quiesced();
}

static void step(void)
{
	switch (sv.step) {
	case RUNNING:
	case LET_GO:
		return;
	case WORKERS_LEAVE:
		if (gk_clock_ms() >= sv.workers_ms)
			gk_devices_kill();
		if (gk_devices_workers() == 0)
			last_step();
		break;
	case LAST_STEP:
		break;
	}
	if (gk_clock_ms() < sv.deadline_ms)
		return;
	if (sv.ending)
		sv.over = 1;
	else if (sv.step == WORKERS_LEAVE || sv.step == LAST_STEP)
		quiesced();
}

static void end(void)
{
	if (sv.ending)
		return;
	sv.ending = 1;
	if (sv.step == RUNNING || sv.step == LET_GO)
		let_go(END_MS);
	sv.deadline_ms = gk_clock_ms() + END_MS;
	/* An unbind that hangs is not waited for. */
	if (sv.step == LAST_STEP)
		last_step();
}

/* --- dom0 --- */

static void answer_hello(const struct gk_frame *f)
{
	struct gk_frame out = { .type = GK_LINK_HELLO };

	sv.sessions++;
	/* Before the session is opened: what it says is for nobody. */
	if (sv.step == LET_GO && sv.place->serves_again)
		serve_again();
	gk_link_server_reset(&sv.link);
	out.u.hello.version_min = GK_LINK_VERSION;
	out.u.hello.version_max = GK_LINK_VERSION;
	memcpy(out.u.hello.nonce, f->u.hello.nonce, GK_LINK_NONCE);
	out.u.hello.uptime_ms = (uint32_t)gk_clock_ms();
	send_frame(&out);
	sv.place->hello();
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

static void quiesce(const struct gk_frame *f)
{
	if (sv.step != RUNNING)
		return;
	sv.asked_in = sv.sessions;
	let_go(f->u.quiesce.deadline_ms);
}

static int from_dom0(const struct gk_frame *f)
{
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_HELLO:
		answer_hello(f);
		return GK_OK;
	case GK_LINK_PING:
		answer_ping(f);
		return GK_OK;
	case GK_LINK_LED:
	case GK_LINK_FIDO:
		gk_devices_to_worker(f);
		return GK_OK;
	case GK_LINK_QUIESCE:
		quiesce(f);
		return GK_OK;
	case GK_LINK_MANIFEST:
		/* Whoever has rules of its own needs none. */
		return sv.place->manifest && sv.link.open ?
		       sv.place->manifest(&f->u.manifest) : GK_OK;
	/* The codec lets these through from the gate's side only. */
	case GK_LINK_DEVICE:
	case GK_LINK_GONE:
	case GK_LINK_KEY:
	case GK_LINK_QUIESCED:
	case GK_LINK_LOG:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
		break;
	}
	return GK_OK;
}

/* --- the rest of the world --- */

static void signals(int fd)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			end();
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == sv.child)
			child_ended(status);
		else if (!gk_devices_child_ended(pid, status) && status)
			gk_kmsg(4, "child %d failed", (int)pid);
	}
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
			gk_supervisor_log(7, text);
		if (gk_kmsg_silent(text, &at))
			gk_devices_silent(&at);
	}
}

static int signals_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sv.place->leave) {
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void turn(int uevents, int sigs)
{
	int ticking = sv.step == WORKERS_LEAVE || sv.step == LAST_STEP;
	struct epoll_event ev[EVENTS];
	unsigned what;
	int n = epoll_wait(sv.ep, ev, EVENTS, ticking ? LETTING_GO_TICK_MS : TICK_MS);

	for (int i = 0; i < n; i++) {
		switch (ev[i].data.u32) {
		case FROM_DOM0:
			gk_link_server_service(&sv.link, from_dom0);
			break;
		case FROM_KERNEL:
			what = gk_uevent_drain(uevents);
			if (what)
				look(what);
			break;
		case FROM_CHILDREN:
			signals(sigs);
			break;
		default:
			gk_devices_worker_readable(ev[i].data.u32 - FROM_WORKER);
		}
	}
	gk_devices_tick();
	read_kmsg();
	if (sv.place->tick)
		sv.place->tick(sv.link.open);
	step();
}

static int begin(int *uevents, int *sigs)
{
	static struct gk_devices_ops ops = {
		.send = send_frame,
		.waiting = waiting,
		.watch = watch_worker,
		.unwatch = unwatch,
	};

	/* If memory runs out, not this process (worker_exec() undoes it). */
	gk_oom_score(-1000);
	sv.ep = epoll_create1(EPOLL_CLOEXEC);
	*uevents = gk_uevent_open();
	*sigs = signals_fd();
	if (sv.ep < 0 || *uevents < 0 || *sigs < 0)
		return GK_ERR_SYSTEM;
	if (gk_link_server_start(&sv.link) < 0) {
		gk_kmsg(3, "no vchan to dom0");
		return GK_ERR_SYSTEM;
	}
	ops.gives = sv.place->give != NULL;
	gk_devices_init(&ops);
	gk_spawn_init(sv.place);
	sv.kmsg = gk_kmsg_open();
	sv.debug = gk_kmsg_debug();
	if (sv.place->begin() < 0 ||
	    watch(gk_link_server_fd(&sv.link), FROM_DOM0) < 0 ||
	    watch(*uevents, FROM_KERNEL) < 0 || watch(*sigs, FROM_CHILDREN) < 0)
		return GK_ERR_SYSTEM;
	if (gk_reduce_supervisor(sv.place->filter, sv.place->filter_len) < 0) {
		gk_kmsg(3, "cannot give up rights");
		return GK_ERR_SYSTEM;
	}
	return GK_OK;
}

int gk_supervisor_run(const struct gk_place *place)
{
	int uevents, sigs;

	sv.place = place;
	if (begin(&uevents, &sigs) < 0)
		return 1;
	look(GK_UEVENT_BUS | GK_UEVENT_DEVICE);
	while (!sv.over)
		turn(uevents, sigs);
	gk_stream_close();
	return 0;
}
