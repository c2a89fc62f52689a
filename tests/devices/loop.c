/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint64_t gk_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void arm(struct gk_loop *loop)
{
	struct itimerspec its = { .it_value = { 0, 0 } };

	if (loop->timers) {
		its.it_value.tv_sec =
			(time_t)(loop->timers->at_ns / 1000000000u);
		its.it_value.tv_nsec =
			(long)(loop->timers->at_ns % 1000000000u);
	}
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

void gk_loop_timer_stop(struct gk_loop *loop, struct gk_timer *timer)
{
	struct gk_timer **p;

	if (!timer->armed)
		return;
	for (p = &loop->timers; *p; p = &(*p)->next) {
		if (*p == timer) {
			*p = timer->next;
			break;
		}
	}
	timer->armed = false;
	arm(loop);
}

void gk_loop_timer_at(struct gk_loop *loop, struct gk_timer *timer,
		      uint64_t at_ns)
{
	struct gk_timer **p;

	gk_loop_timer_stop(loop, timer);
	/* An absolute time of 0 would disarm the timerfd. */
	timer->at_ns = at_ns ? at_ns : 1;
	for (p = &loop->timers; *p && (*p)->at_ns <= timer->at_ns;)
		p = &(*p)->next;
	timer->next = *p;
	*p = timer;
	timer->armed = true;
	arm(loop);
}

static void timers_ready(void *arg, uint32_t events)
{
	struct gk_loop *loop = arg;
	struct gk_timer *timer = loop->timers;
	uint64_t count;

	(void)events;
	if (read(loop->timer_fd, &count, sizeof(count)) < 0)
		return;
	/*
	 * One timer a turn, so that a timer that always re-arms itself in the
	 * past cannot keep the sockets from being served.
	 */
	if (timer && timer->at_ns <= gk_now_ns()) {
		gk_loop_timer_stop(loop, timer);
		timer->fire(timer->arg);
	}
	arm(loop);
}

int gk_loop_add(struct gk_loop *loop, struct gk_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &ev);
}

int gk_loop_mod(struct gk_loop *loop, struct gk_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &ev);
}

void gk_loop_del(struct gk_loop *loop, struct gk_source *source)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

int gk_loop_init(struct gk_loop *loop)
{
	*loop = (struct gk_loop){ .epoll_fd = -1, .timer_fd = -1 };
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -1;
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC,
					TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd < 0)
		return -1;
	loop->timer_source = (struct gk_source){
		.fd = loop->timer_fd, .ready = timers_ready, .arg = loop,
	};
	return gk_loop_add(loop, &loop->timer_source, EPOLLIN);
}

void gk_loop_done(struct gk_loop *loop)
{
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
}

void gk_loop_quit(struct gk_loop *loop, int status)
{
	if (!loop->quit)
		loop->status = status;
	loop->quit = true;
}

int gk_loop_run(struct gk_loop *loop)
{
	struct gk_source *source;
	struct epoll_event ev;
	int n;

	while (!loop->quit) {
		/*
		 * One event at a time: a callback may free another source.
		 * Unbounded here: main() arms a timer for the whole run.
		 */
		n = epoll_wait(loop->epoll_fd, &ev, 1, -1);
		if (n < 0 && errno != EINTR)
			return 1;
		if (n == 1) {
			source = ev.data.ptr;
			source->ready(source->arg, ev.events);
		}
	}
	return loop->status;
}
