/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One epoll loop with timers, for one thread. */
#ifndef GK_DEVICES_LOOP_H
#define GK_DEVICES_LOOP_H

#include <sys/epoll.h>

#include "device.h"

struct gk_source {
	int fd;
	void (*ready)(void *arg, uint32_t events);
	void *arg;
};

struct gk_loop {
	int epoll_fd;
	int timer_fd;
	struct gk_source timer_source;
	struct gk_timer *timers;	/* soonest first */
	bool quit;
	int status;
};

int gk_loop_init(struct gk_loop *loop);
void gk_loop_done(struct gk_loop *loop);
uint64_t gk_now_ns(void);
/* 0 or -1 with errno. */
int gk_loop_add(struct gk_loop *loop, struct gk_source *source, uint32_t events);
int gk_loop_mod(struct gk_loop *loop, struct gk_source *source, uint32_t events);
void gk_loop_del(struct gk_loop *loop, struct gk_source *source);
void gk_loop_timer_at(struct gk_loop *loop, struct gk_timer *timer,
		      uint64_t at_ns);
void gk_loop_timer_stop(struct gk_loop *loop, struct gk_timer *timer);
void gk_loop_quit(struct gk_loop *loop, int status);
/* Runs until gk_loop_quit(); returns its status. */
int gk_loop_run(struct gk_loop *loop);

#endif
