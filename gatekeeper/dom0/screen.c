/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"
#include "dom0/screen.h"

/* A tenth of a second in all: a console that was stopped holds up nothing. */
enum { CONSOLE_TRIES = 20, CONSOLE_WAIT_US = 5000 };

static void next_plymouth(struct gk_screen *s);

int gk_screen_rate(struct gk_screen_rate *r, uint64_t now_ms)
{
	if (now_ms - r->window_start >= GK_SCREEN_WINDOW_MS) {
		r->window_start = now_ms;
		r->shown = 0;
		r->held_back = 0;
	}
	if (r->shown < GK_SCREEN_LINES) {
		r->shown++;
		return 1;
	}
	r->held_back++;
	return 0;
}

void gk_screen_init(struct gk_screen *s, struct gk_loop *l, int on)
{
	memset(s, 0, sizeof(*s));
	s->loop = l;
	s->on = on;
}

/*
 * The prompt stands at the end of its line: ours begins a new one, and leaves
 * the cursor at the start of the next. \r too, as the prompt may have put the
 * terminal into raw mode. Never waits for a console that was stopped.
 */
static void to_console(const char *text)
{
	char line[GK_SCREEN_TEXT + 8], path[GK_PATH_MAX];
	int fd, n, done = 0;

	if (gk_path(path, "/dev/console"))
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "\r\n%s\r\n", text);
	/* EAGAIN also says that somebody else (the password agent) is writing. */
	for (int i = 0; n > done && i < CONSOLE_TRIES; i++) {
		ssize_t w = write(fd, line + done, (size_t)(n - done));

		if (w > 0)
			done += (int)w;
		else
			usleep(CONSOLE_WAIT_US);
	}
	if (n > done)
		gk_log(LOG_DEBUG, "the console does not take a line");
	close(fd);
}

static void plymouth_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_screen *s = ctx;

	(void)end;
	s->plymouth = 0;
	next_plymouth(s);
}

static void next_plymouth(struct gk_screen *s)
{
	char arg[GK_SCREEN_TEXT + 8];
	const char *argv[] = { "plymouth", "display-message", arg, NULL };
	struct gk_child_spec spec = {
		.name = "plymouth", .path = "plymouth", .argv = argv,
		.pass_fd = -1, .deadline_ms = 3000, .done = plymouth_done,
		.ctx = s,
	};

	if (s->plymouth || !s->queued)
		return;
	snprintf(arg, sizeof(arg), "--text=%s", s->queue[0]);
	s->queued--;
	memmove(s->queue, s->queue + 1, s->queued * sizeof(s->queue[0]));
	if (gk_child_start(s->loop, &spec, &s->plymouth))
		s->plymouth = 0;
}

void gk_screen_show(struct gk_screen *s, const char *text)
{
	gk_root_follow();
	to_console(text);
	if (access("/run/plymouth/pid", F_OK) < 0)
		return;
	if (s->queued == GK_SCREEN_QUEUE)
		return;
	snprintf(s->queue[s->queued++], GK_SCREEN_TEXT, "%s", text);
	next_plymouth(s);
}

static void say_more(void *ctx)
{
	struct gk_screen *s = ctx;
	char text[GK_SCREEN_TEXT];

	if (!s->on || !s->rate.held_back)
		return;
	snprintf(text, sizeof(text), "USB Gatekeeper: %u more message%s in "
		 "the journal", s->rate.held_back,
		 s->rate.held_back == 1 ? "" : "s");
	s->rate.held_back = 0;
	gk_screen_show(s, text);
}

static const char head[] = "USB Gatekeeper: ";

__attribute__((format(printf, 2, 0)))
static void format(char text[GK_SCREEN_TEXT], const char *fmt, va_list ap)
{
	memcpy(text, head, sizeof(head));
	vsnprintf(text + sizeof(head) - 1, GK_SCREEN_TEXT - sizeof(head) + 1, fmt, ap);
	gk_printable(text);
}

int gk_screen_ask(struct gk_screen *s, int level, const char *fmt, ...)
{
	char text[GK_SCREEN_TEXT];
	va_list ap;

	if (!gk_screen_rate(&s->ask_rate, gk_now_ms()))
		return 0;
	va_start(ap, fmt);
	format(text, fmt, ap);
	va_end(ap);
	gk_log(level, "%s", text + sizeof(head) - 1);
	gk_screen_show(s, text);
	return 1;
}

void gk_screen_say(struct gk_screen *s, int level, const char *fmt, ...)
{
	char text[GK_SCREEN_TEXT];
	uint64_t now = gk_now_ms();
	va_list ap;

	va_start(ap, fmt);
	format(text, fmt, ap);
	va_end(ap);
	gk_log(level, "%s", text + sizeof(head) - 1);
	if (!s->on)
		return;
	if (gk_screen_rate(&s->rate, now)) {
		gk_screen_show(s, text);
	} else if (!s->more.at) {
		gk_timer_set(s->loop, &s->more,
			     s->rate.window_start + GK_SCREEN_WINDOW_MS > now ?
			     s->rate.window_start + GK_SCREEN_WINDOW_MS - now :
			     1, say_more, s);
	}
}
