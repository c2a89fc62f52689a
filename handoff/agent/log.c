/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In the place of gatekeeper/domain/log.c: the journal, by standard error, whose
 * lines may begin with a priority (sd-daemon(3)). */
#include "domain/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void gk_kmsg(int level, const char *fmt, ...)
{
	char line[240];
	va_list ap;
	int n, m;

	n = snprintf(line, sizeof(line), "<%d>", level);
	va_start(ap, fmt);
	m = vsnprintf(line + n, 200, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m > 199 ? 199 : m;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
