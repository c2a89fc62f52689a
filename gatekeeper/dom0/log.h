/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeperd's log: to the journal by stderr; to the kernel's log when
 * nobody reads stderr (before journald is up, after it has gone, in an
 * initramfs without systemd where stderr is the screen).
 */
#ifndef GK_DOM0_LOG_H
#define GK_DOM0_LOG_H

#include <stddef.h>
#include <syslog.h>

/* gk_log_open: program is the prefix and is kept. May be called again, after
 * a change of root. */
void gk_log_open(const char *program);

/* gk_log: one line of at most 400 bytes; level as in syslog(3). Never blocks
 * on a kernel log, never fails. */
void gk_log(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* gk_printable: makes s one line of printable ASCII: all else becomes '?'. */
void gk_printable(char *s);

#endif
