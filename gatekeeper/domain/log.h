/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line to the gate kernel's log; the supervisor also tells dom0 (LOG). */
#ifndef GK_DOMAIN_LOG_H
#define GK_DOMAIN_LOG_H

/* gk_kmsg: at most 200 bytes of text, severity 3..7 of syslog(3). */
void gk_kmsg(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
