/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A question on a terminal. Nothing of what is typed is shown. */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "luks/prompt.h"

enum { BACKSPACE = 0x08, DELETE = 0x7f, KILL_LINE = 0x15 };

static struct termios before;

/* A console that was stopped gets no line, and holds nothing up. */
static void put(struct gk_prompt *p, const char *s)
{
	size_t len = strlen(s);

	while (len) {
		ssize_t n = write(p->fd, s, len);

		if (n <= 0)
			return;
		s += n;
		len -= (size_t)n;
	}
}

static void restore(struct gk_prompt *p)
{
	if (p->raw)
		tcsetattr(p->fd, TCSANOW, &before);
	p->raw = 0;
}

/* One character of UTF-8 back. */
static void rub_out(struct gk_prompt *p)
{
	while (p->len && ((unsigned char)p->text[p->len - 1] & 0xc0) == 0x80)
		p->text[--p->len] = '\0';
	if (p->len)
		p->text[--p->len] = '\0';
}

static void take(struct gk_prompt *p, char c)
{
	if (c == BACKSPACE || c == DELETE)
		rub_out(p);
	else if (c == KILL_LINE)
		p->len = 0;
	/* One longer than any passphrase is none, and is refused as a whole. */
	else if ((unsigned char)c >= 0x20 && p->len <= GK_PASSPHRASE)
		p->text[p->len++] = c;
}

static void hung_up(struct gk_prompt *p)
{
	gk_loop_del(p->loop, p->fd);
	if (!p->question[0])
		return;
	p->question[0] = '\0';
	explicit_bzero(p->text, sizeof(p->text));
	p->len = 0;
	p->failed(p->ctx);
}

static void on_typed(void *ctx, uint32_t events)
{
	struct gk_prompt *p = ctx;
	ssize_t n;
	char c;

	/* One at a time: after Enter the rest belongs to the next question. */
	while ((n = read(p->fd, &c, 1)) == 1) {
		if (!p->question[0])
			continue;
		if (c == '\r' || c == '\n') {
			restore(p);
			put(p, "\r\n");
			gk_prompt_answered(p, p->len);
			return;
		}
		take(p, c);
	}
	/* A terminal that was hung up says so for ever: EPOLLIN, too, and an end. */
	if (n == 0 || events & (EPOLLHUP | EPOLLERR))
		hung_up(p);
}

int gk_prompt_console_open(struct gk_prompt *p, const char *path)
{
	p->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return GK_ERR_SYSTEM;
	return gk_loop_add(p->loop, p->fd, EPOLLIN, on_typed, p);
}

void gk_prompt_console_again(struct gk_prompt *p)
{
	put(p, p->question);
	put(p, ": ");
}

int gk_prompt_console_ask(struct gk_prompt *p)
{
	struct termios raw;

	if (p->fd < 0 || tcgetattr(p->fd, &before) < 0)
		return GK_ERR_SYSTEM;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* What was typed before the question stays and counts. */
	if (tcsetattr(p->fd, TCSANOW, &raw) < 0)
		return GK_ERR_SYSTEM;
	p->raw = 1;
	put(p, "\r\n");
	gk_prompt_console_again(p);
	return GK_OK;
}

void gk_prompt_console_withdraw(struct gk_prompt *p)
{
	restore(p);
	put(p, "\r\n");
}

void gk_prompt_console_close(struct gk_prompt *p)
{
	restore(p);
	gk_loop_del(p->loop, p->fd);
	close(p->fd);
	p->fd = -1;
}
