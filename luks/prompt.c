/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "dom0/paths.h"
#include "luks/prompt.h"

int gk_prompt_open(struct gk_prompt *p, struct gk_loop *l, enum gk_prompt_kind kind,
		   const char *console)
{
	p->loop = l;
	p->kind = kind;
	p->fd = p->pidfd = -1;
	p->question[0] = '\0';
	gk_screen_init(&p->screen, l, 1);
	return kind == GK_PROMPT_CONSOLE ? gk_prompt_console_open(p, console) : GK_OK;
}

void gk_prompt_close(struct gk_prompt *p)
{
	gk_prompt_withdraw(p);
	if (p->kind == GK_PROMPT_CONSOLE)
		gk_prompt_console_close(p);
}

void gk_prompt_withdraw(struct gk_prompt *p)
{
	if (!p->question[0])
		return;
	p->question[0] = '\0';
	if (p->kind == GK_PROMPT_CONSOLE)
		gk_prompt_console_withdraw(p);
	else
		gk_prompt_agent_withdraw(p);
	explicit_bzero(p->text, sizeof(p->text));
	p->len = 0;
}

/* systemd's agents have a file for each question, by which gatekeeperd knows that
 * somebody looks at the screen; plymouth has none. */
static void show_daemon(void)
{
	char path[GK_PATH_MAX];
	int fd;

	if (gk_run_path(path, GK_QUESTION_FILE))
		return;
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

void gk_prompt_ask(struct gk_prompt *p, const char *id, const char *question)
{
	int err;

	gk_prompt_withdraw(p);
	snprintf(p->question, sizeof(p->question), "%s", question);
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->asked_at = gk_now_ms();
	p->by = p->kind;
	if (p->kind == GK_PROMPT_SYSTEMD && access("/run/plymouth/pid", F_OK) == 0)
		p->by = GK_PROMPT_PLYMOUTH;
	if (p->by == GK_PROMPT_PLYMOUTH)
		show_daemon();
	p->len = 0;
	err = p->kind == GK_PROMPT_CONSOLE ? gk_prompt_console_ask(p)
					   : gk_prompt_agent_ask(p);
	if (err) {
		p->question[0] = '\0';
		p->failed(p->ctx);
	}
}

void gk_prompt_answered(struct gk_prompt *p, size_t len)
{
	char text[GK_PASSPHRASE + 2];

	memcpy(text, p->text, sizeof(text));
	text[len] = '\0';
	explicit_bzero(p->text, sizeof(p->text));
	p->len = 0;
	p->question[0] = '\0';
	p->answer(p->ctx, text, len);
	explicit_bzero(text, sizeof(text));
}

int gk_prompt_typing(const struct gk_prompt *p)
{
	return p->kind == GK_PROMPT_CONSOLE ? p->len > 0 : -1;
}

int gk_prompt_stays(const struct gk_prompt *p)
{
	return p->question[0] && p->by == GK_PROMPT_PLYMOUTH;
}

void gk_prompt_tell(struct gk_prompt *p, const char *text)
{
	if (!gk_screen_rate(&p->screen.rate, gk_now_ms()))
		return;
	gk_screen_show(&p->screen, text);
	if (p->kind == GK_PROMPT_CONSOLE && p->question[0])
		gk_prompt_console_again(p);
}
