/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the person is asked and told. One question at a time; it can be withdrawn
 * at any moment. Two ends: systemd's password agents (prompt_agent.c), which also
 * does for a plymouth without systemd, as both are a program that asks and prints
 * what was typed; and a terminal (prompt_console.c).
 */
#ifndef GK_LUKS_PROMPT_H
#define GK_LUKS_PROMPT_H

#include "dom0/loop.h"
#include "dom0/screen.h"
#include "luks/volume.h"

enum gk_prompt_kind {
	/* systemd-ask-password; while plymouth runs, as the next one: systemd's agent for
	 * plymouth asks again when the answer is empty. */
	GK_PROMPT_SYSTEMD,
	GK_PROMPT_PLYMOUTH,	/* plymouth ask-for-password */
	GK_PROMPT_CONSOLE,
};

enum {
	GK_PROMPT_TEXT = 240,
	/* A program that asks and does not end when it is told to. */
	GK_PROMPT_KILL_MS = 2000,
	/* Sooner than that nobody answers: it failed. */
	GK_PROMPT_FAILED_MS = 200,
};

struct gk_prompt {
	struct gk_loop *loop;
	enum gk_prompt_kind kind;
	struct gk_screen screen;
	/* An answer, without the newline; wiped afterwards. The question is no
	 * longer there. */
	void (*answer)(void *ctx, const char *text, size_t len);
	/* The question could not be asked, or was ended by somebody else. */
	void (*failed)(void *ctx);
	void *ctx;

	/* The rest belongs to the ends. */
	char question[GK_PROMPT_TEXT];	/* "": none */
	char id[GK_VOLUME_NAME + 16];
	enum gk_prompt_kind by;		/* who asks what is asked now */
	uint64_t asked_at;
	int fd;				/* what was typed comes from there, -1 */
	int pidfd;			/* the program that asks, -1 */
	int raw;			/* the terminal's settings are ours */
	size_t len;
	char text[GK_PASSPHRASE + 2];
};

/* gk_prompt_open: console: the terminal's path, /dev/console as a rule. */
int gk_prompt_open(struct gk_prompt *p, struct gk_loop *l, enum gk_prompt_kind kind,
		   const char *console) GK_MUST_CHECK;

/* gk_prompt_ask: withdraws what is asked and asks this. id as of
 * systemd-ask-password(1). */
void gk_prompt_ask(struct gk_prompt *p, const char *id, const char *question);
void gk_prompt_withdraw(struct gk_prompt *p);

/* gk_prompt_stays: whether what is asked now stays when it is withdrawn. plymouth has no way to
 * take one back: it goes on showing it, and what is typed next is for nobody. */
int gk_prompt_stays(const struct gk_prompt *p);

/* gk_prompt_typing: whether there is text that is not finished; -1: that cannot be
 * known, as it is in another program. */
int gk_prompt_typing(const struct gk_prompt *p);

/* gk_prompt_tell: a line on the screen, bounded in number (screen.h). */
void gk_prompt_tell(struct gk_prompt *p, const char *text);

void gk_prompt_close(struct gk_prompt *p);

/* The ends. */
int gk_prompt_agent_ask(struct gk_prompt *p) GK_MUST_CHECK;
void gk_prompt_agent_withdraw(struct gk_prompt *p);
int gk_prompt_console_open(struct gk_prompt *p, const char *path) GK_MUST_CHECK;
int gk_prompt_console_ask(struct gk_prompt *p) GK_MUST_CHECK;
void gk_prompt_console_withdraw(struct gk_prompt *p);
/* After a line of another's: the question once more. */
void gk_prompt_console_again(struct gk_prompt *p);
void gk_prompt_console_close(struct gk_prompt *p);

/* gk_prompt_answered: for the ends: p->text holds len bytes. */
void gk_prompt_answered(struct gk_prompt *p, size_t len);

#endif
