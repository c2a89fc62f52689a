/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a program in a jail of dom0's has to say: it has write(2) and its stderr. */
#ifndef GK_DOM0_SAY_H
#define GK_DOM0_SAY_H

#include <stdarg.h>

/* gk_say_line: "PROGRAM: TEXT" and a newline in one write(2), cut off at 255 bytes. If
 * nobody listens it is lost: the exit status still tells. */
__attribute__((format(printf, 2, 0)))
void gk_say_line(const char *program, const char *fmt, va_list ap);

#endif
