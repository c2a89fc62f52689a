/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "dom0/log.h"
#include "dom0/loop.h"
#include "dom0/paths.h"
#include "dom0/root.h"

struct gk_child {
	unsigned id;		/* 0: free */
	pid_t pid;
	int fd;			/* its output, -1 when closed */
	struct gk_loop *loop;
	struct gk_child_spec spec;
	struct gk_timer deadline;
	char out[GK_CHILD_OUT];
	size_t len;
};

struct gk_loop {
	int epoll_fd, signal_fd;
	int stop;
	unsigned next_id;
	struct gk_watch watch[GK_WATCHES];
	struct gk_timer *timer[GK_TIMERS];
	struct gk_child child[GK_CHILDREN];
};

static void on_signal(void *ctx, uint32_t events);

int gk_loop_open(struct gk_loop **out)
{
	static struct gk_loop loop;
	struct gk_loop *l = &loop;
	sigset_t set;

	memset(l, 0, sizeof(*l));
	for (int i = 0; i < GK_WATCHES; i++)
		l->watch[i].fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return GK_ERR_SYSTEM;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return GK_ERR_SYSTEM;
	l->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signal_fd < 0)
		return GK_ERR_SYSTEM;
	*out = l;
	return gk_loop_add(l, l->signal_fd, EPOLLIN, on_signal, l);
}

int gk_loop_add(struct gk_loop *l, int fd, uint32_t events,
		void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	struct epoll_event e = { .events = events };
	int slot = 0;

	while (slot < GK_WATCHES && l->watch[slot].fd >= 0)
		slot++;
	if (slot == GK_WATCHES)
		return GK_ERR_LIMIT;
	e.data.u32 = (uint32_t)slot;
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		return GK_ERR_SYSTEM;
	l->watch[slot] = (struct gk_watch){ .fd = fd, .fn = fn, .ctx = ctx };
	return 0;
}

void gk_loop_events(struct gk_loop *l, int fd, uint32_t events)
{
	for (int i = 0; i < GK_WATCHES; i++) {
		struct epoll_event e = { .events = events };

		if (l->watch[i].fd != fd)
			continue;
		e.data.u32 = (uint32_t)i;
		epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &e);
	}
}

void gk_loop_del(struct gk_loop *l, int fd)
{
	if (fd < 0)
		return;
	for (int i = 0; i < GK_WATCHES; i++) {
		if (l->watch[i].fd != fd)
			continue;
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		l->watch[i].fd = -1;
	}
}

void gk_timer_set(struct gk_loop *l, struct gk_timer *t, uint64_t ms,
		  void (*fn)(void *ctx), void *ctx)
{
	int slot = -1;

	gk_timer_clear(l, t);
	*t = (struct gk_timer){ .at = gk_now_ms() + ms, .fn = fn, .ctx = ctx };
	for (int i = 0; i < GK_TIMERS && slot < 0; i++)
		if (!l->timer[i])
			slot = i;
	/* There are fewer timers in the program than slots. */
	if (slot < 0)
		abort();
	l->timer[slot] = t;
}

void gk_timer_clear(struct gk_loop *l, struct gk_timer *t)
{
	t->at = 0;
	for (int i = 0; i < GK_TIMERS; i++)
		if (l->timer[i] == t)
			l->timer[i] = NULL;
}

static int run_timers(struct gk_loop *l)
{
	uint64_t now = gk_now_ms(), next = now + 60000;

	for (int i = 0; i < GK_TIMERS; i++) {
		struct gk_timer *t = l->timer[i];

		if (t && t->at <= now) {
			gk_timer_clear(l, t);
			t->fn(t->ctx);
		}
	}
	for (int i = 0; i < GK_TIMERS; i++)
		if (l->timer[i] && l->timer[i]->at < next)
			next = l->timer[i]->at;
	return next > now ? (int)(next - now) : 0;
}

void gk_loop_stop(struct gk_loop *l)
{
	l->stop = 1;
}

int gk_loop_until(struct gk_loop *l, const int *flag)
{
	while (!l->stop && !*flag) {
		int wait = run_timers(l);
		/* One at a time: a callback may remove any watch, and no
		 * event for a removed one is left in our hands. */
		struct epoll_event e;
		struct gk_watch *w;

		if (l->stop || *flag)
			break;
		if (epoll_wait(l->epoll_fd, &e, 1, wait) != 1)
			continue;
		w = &l->watch[e.data.u32 % GK_WATCHES];
		if (w->fd >= 0)
			w->fn(w->ctx, e.events);
	}
	return *flag ? GK_OK : GK_ERR_CLOSED;
}

void gk_loop_run(struct gk_loop *l)
{
	static const int never;

	while (gk_loop_until(l, &never) == GK_OK)
		;
}

/* --- children --- */

static void take_lines(struct gk_child *c, int last)
{
	char *start = c->out, *nl;

	while ((nl = memchr(start, '\n', c->len - (size_t)(start - c->out)))) {
		*nl = '\0';
		c->spec.line(c->spec.ctx, start);
		start = nl + 1;
	}
	c->len -= (size_t)(start - c->out);
	memmove(c->out, start, c->len);
	if (c->len && (last || c->len == sizeof(c->out) - 1)) {
		c->out[c->len] = '\0';
		c->spec.line(c->spec.ctx, c->out);
		c->len = 0;
	}
}

/* Everything that is there; what is too much is read and thrown away. */
static void read_child(struct gk_child *c)
{
	for (int i = 0; i < 64 && c->fd >= 0; i++) {
		size_t room = sizeof(c->out) - 1 - c->len;
		char junk[512];
		ssize_t n = room ? read(c->fd, c->out + c->len, room)
				 : read(c->fd, junk, sizeof(junk));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			gk_loop_del(c->loop, c->fd);
			close(c->fd);
			c->fd = -1;
			return;
		}
		if (room)
			c->len += (size_t)n;
		if (c->spec.line)
			take_lines(c, 0);
	}
}

static void on_child_output(void *ctx, uint32_t events)
{
	(void)events;
	read_child(ctx);
}

static void free_child(struct gk_child *c)
{
	if (c->fd >= 0) {
		gk_loop_del(c->loop, c->fd);
		close(c->fd);
		c->fd = -1;
	}
	gk_timer_clear(c->loop, &c->deadline);
	c->id = 0;
}

static void child_ended(struct gk_child *c, int status, int timed_out)
{
	struct gk_child_end end = { .status = status, .timed_out = timed_out };
	static char out[GK_CHILD_OUT];
	struct gk_child_spec spec = c->spec;

	read_child(c);
	if (spec.line)
		take_lines(c, 1);
	/* The slot is free before `done`, which may start the next one. */
	memcpy(out, c->out, c->len);
	out[c->len] = '\0';
	end.out = out;
	free_child(c);
	spec.done(spec.ctx, &end);
}

static void on_deadline(void *ctx)
{
	struct gk_child *c = ctx;

	gk_log(LOG_WARNING, "%s did not end in %u ms and was killed",
	       c->spec.name, c->spec.deadline_ms);
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL);
	child_ended(c, -1, 1);
}

static void reap(struct gk_loop *l)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < GK_CHILDREN; i++)
			if (l->child[i].id && l->child[i].pid == pid)
				child_ended(&l->child[i], status, 0);
}

static void on_signal(void *ctx, uint32_t events)
{
	struct gk_loop *l = ctx;
	struct signalfd_siginfo s;

	(void)events;
	while (read(l->signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo == SIGCHLD)
			reap(l);
		else
			l->stop = 1;
	}
}

__attribute__((noreturn))
static void child_main(const struct gk_child_spec *spec, int out, pid_t parent)
{
	static char path[GK_PATH_MAX + 16] =
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char locale[] = "LC_ALL=C";
	static char *const env[] = { path, locale, NULL };
	sigset_t none;
	int null;

	/* In a test nothing of the machine it runs on is touched. */
	if (gk_root_prefix[0])
		snprintf(path, sizeof(path), "PATH=%s/bin", gk_root_prefix);
	setsid();
	/* The parent may have gone between fork and this. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	if (null >= 0)
		dup2(null, 0);
	/* Out of the way of 0..3 first. */
	out = fcntl(out, F_DUPFD, 10);
	if (spec->pass_fd >= 0) {
		int pass = fcntl(spec->pass_fd, F_DUPFD, 10);

		if (pass < 0 || dup2(pass, 3) < 0)
			_exit(126);
	}
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	close_range(spec->pass_fd >= 0 ? 4 : 3, ~0U, 0);
	/* execvpe() looks in the PATH of this process, not of env. */
	clearenv();
	putenv(path);
	if (!spec->argv) {
		signal(SIGPIPE, SIG_IGN);
		_exit(spec->fn(spec->arg));
	}
	execvpe(spec->path, (char *const *)(uintptr_t)spec->argv, env);
	dprintf(2, "cannot run %s: %s\n", spec->path, strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int gk_child_start(struct gk_loop *l, const struct gk_child_spec *spec,
		   unsigned *id)
{
	struct gk_child *c = NULL;
	pid_t parent = getpid();
	int p[2], err;

	for (int i = 0; i < GK_CHILDREN && !c; i++)
		if (!l->child[i].id)
			c = &l->child[i];
	if (!c)
		return GK_ERR_LIMIT;
	/* A program is looked for in the root there is now. */
	gk_root_follow();
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return GK_ERR_SYSTEM;
	*c = (struct gk_child){ .fd = p[0], .loop = l, .spec = *spec };
	err = gk_loop_add(l, p[0], EPOLLIN, on_child_output, c);
	if (err) {
		close(p[0]);
		close(p[1]);
		return err;
	}
	c->pid = fork();
	if (c->pid == 0) {
		/* Writers in the child may block; the reader here may not. */
		fcntl(p[1], F_SETFL, 0);
		child_main(spec, p[1], parent);
	}
	close(p[1]);
	if (c->pid < 0) {
		free_child(c);
		return GK_ERR_SYSTEM;
	}
	if (++l->next_id == 0)
		l->next_id = 1;
	c->id = l->next_id;
	if (spec->deadline_ms)
		gk_timer_set(l, &c->deadline, spec->deadline_ms, on_deadline,
			     c);
	if (id)
		*id = c->id;
	return 0;
}

void gk_child_kill(struct gk_loop *l, unsigned id)
{
	for (int i = 0; i < GK_CHILDREN; i++) {
		struct gk_child *c = &l->child[i];

		if (!id || c->id != id)
			continue;
		kill(-c->pid, SIGKILL);
		kill(c->pid, SIGKILL);
		free_child(c);
	}
}
