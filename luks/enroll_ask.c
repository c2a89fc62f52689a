/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "luks/enroll_ask.h"

struct asked {
	char *buf;
	size_t cap, len;
	int done, err, too_long;
};

int gk_ask_is_terminal(void)
{
	return isatty(STDIN_FILENO);
}

void gk_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

int gk_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("gatekeeper: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return GK_ERR_VALUE;
}

/* One byte: what comes after the line belongs to the next question. */
static void on_input(void *ctx, uint32_t events)
{
	struct asked *a = ctx;
	char c;
	ssize_t n = read(STDIN_FILENO, &c, 1);

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		a->err = GK_ERR_CLOSED;
		a->done = 1;
	} else if (c == '\n') {
		a->err = a->too_long ? GK_ERR_LIMIT : GK_OK;
		a->done = 1;
	} else if (a->len + 1 < a->cap) {
		a->buf[a->len++] = c;
	} else {
		a->too_long = 1;
	}
}

static void on_late(void *ctx)
{
	struct asked *a = ctx;

	a->err = GK_ERR_TIMEOUT;
	a->done = 1;
}

static int read_line(struct gk_loop *l, struct asked *a)
{
	struct gk_timer late = { 0 };
	int err = gk_loop_add(l, STDIN_FILENO, EPOLLIN, on_input, a);

	/* A file is always ready, and epoll does not take it (epoll_ctl(2)). */
	if (err && errno == EPERM) {
		while (!a->done)
			on_input(a, 0);
		return a->err;
	}
	if (err)
		return err;
	gk_timer_set(l, &late, GK_ASK_MS, on_late, a);
	err = gk_loop_until(l, &a->done);
	gk_timer_clear(l, &late);
	gk_loop_del(l, STDIN_FILENO);
	return err ? err : a->err;
}

int gk_ask(struct gk_loop *l, const char *question, int secret, char *buf, size_t cap)
{
	struct asked a = { .buf = buf, .cap = cap };
	struct termios before, hidden;
	int hide = secret && tcgetattr(STDIN_FILENO, &before) == 0, err;

	if (hide) {
		hidden = before;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		hidden.c_lflag |= ECHONL;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	fflush(stdout);
	fprintf(stderr, "%s: ", question);
	fflush(stderr);
	err = read_line(l, &a);
	if (hide)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	if (err)
		fputc('\n', stderr);
	buf[a.len] = '\0';
	if (err)
		explicit_bzero(buf, cap);
	return err ? err : (int)a.len;
}
