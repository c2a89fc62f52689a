/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions of a command to the person at its terminal, and lines to him. */
#ifndef GK_LUKS_ENROLL_ASK_H
#define GK_LUKS_ENROLL_ASK_H

#include "dom0/loop.h"

enum {
	GK_ASK_MS = 600000,	/* for one answer */
};

/*
 * gk_ask: one line of stdin, without the newline, NUL-terminated; its length. At a
 * terminal a secret is not shown, and what was typed before the question is thrown
 * away. The caller wipes buf. GK_ERR_CLOSED: no more lines, or told to end;
 * GK_ERR_TIMEOUT; GK_ERR_LIMIT: it does not fit.
 */
int gk_ask(struct gk_loop *l, const char *question, int secret, char *buf, size_t cap)
	GK_MUST_CHECK;

/* gk_ask_is_terminal: whether somebody is there to be offered something. */
int gk_ask_is_terminal(void);

/* gk_say: a line of progress on stdout. gk_fail: on stderr, "gatekeeper: " first;
 * returns GK_ERR_VALUE for those who pass it on. */
void gk_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int gk_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
