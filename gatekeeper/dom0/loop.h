/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeperd's event loop: file descriptors, timers and child processes.
 * Nothing that runs in it may block. Timers belong to who sets them; the loop
 * holds a pointer until they fire or are cleared.
 */
#ifndef GK_DOM0_LOOP_H
#define GK_DOM0_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

enum {
	/* Of 16 FIDO keys each its socket, four programs and a HID device; eight
	 * input proxies and their socket. */
	GK_WATCHES = 48 + 16 * 6 + 9,
	GK_TIMERS = 48 + 16 + 8,
	GK_CHILDREN = 9,
	GK_CHILD_OUT = 8192,	/* bytes kept of what a child says */
};

struct gk_timer {
	uint64_t at;		/* gk_now_ms(), 0: not set */
	void (*fn)(void *ctx);
	void *ctx;
};

struct gk_watch {
	int fd;			/* -1: free */
	void (*fn)(void *ctx, uint32_t events);
	void *ctx;
};

struct gk_child;

/*
 * How a child ended. status: as waitpid() gives it, -1 when it was killed for
 * being late (or would not die). out: what it said on stdout and stderr,
 * NUL-terminated.
 */
struct gk_child_end {
	int status;
	int timed_out;
	const char *out;
};

struct gk_child_spec {
	const char *name;		/* for the log; static */
	const char *path;		/* looked for in PATH unless it has '/' */
	const char *const *argv;	/* NULL: call fn in a fork instead */
	int (*fn)(void *arg);		/* its result is the exit status */
	void *arg;
	int pass_fd;			/* becomes fd 3 there, -1: none */
	unsigned deadline_ms;		/* 0: none (a child with own bounds) */
	/* Each line as it comes; lines are then not kept in `out`. */
	void (*line)(void *ctx, const char *line);
	void (*done)(void *ctx, const struct gk_child_end *end);
	void *ctx;
};

struct gk_loop;

/* gk_loop_open: there is one loop in a process; it takes SIGCHLD, SIGTERM,
 * SIGINT, and ignores SIGPIPE and SIGHUP. */
int gk_loop_open(struct gk_loop **out) GK_MUST_CHECK;
/* gk_loop_run: until gk_loop_stop() or SIGTERM. */
void gk_loop_run(struct gk_loop *l);
void gk_loop_stop(struct gk_loop *l);
/* gk_loop_until: until a callback has set *flag; GK_ERR_CLOSED: stopped, or told
 * to end, before that, and at once every time after it. */
int gk_loop_until(struct gk_loop *l, const int *flag) GK_MUST_CHECK;

int gk_loop_add(struct gk_loop *l, int fd, uint32_t events,
		void (*fn)(void *ctx, uint32_t events), void *ctx)
	GK_MUST_CHECK;
void gk_loop_events(struct gk_loop *l, int fd, uint32_t events);
void gk_loop_del(struct gk_loop *l, int fd);

/* gk_timer_set: in ms from now; moves it when it is set already. */
void gk_timer_set(struct gk_loop *l, struct gk_timer *t, uint64_t ms,
		  void (*fn)(void *ctx), void *ctx);
void gk_timer_clear(struct gk_loop *l, struct gk_timer *t);

/*
 * gk_child_start: never through a shell. The child gets an empty stdin, a
 * pipe as stdout and stderr, a small environment, its own session, no other
 * fd than pass_fd, and dies with gatekeeperd. `done` is called once, later,
 * never from inside this call. *id (may be NULL) names it for gk_child_kill().
 */
int gk_child_start(struct gk_loop *l, const struct gk_child_spec *spec,
		   unsigned *id) GK_MUST_CHECK;

/* gk_child_kill: SIGKILL to it and what it started; `done` is not called. An
 * id that has ended, or 0, is nothing. */
void gk_child_kill(struct gk_loop *l, unsigned id);

#endif
