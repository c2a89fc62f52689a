/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void gk_kmsg(int level, const char *fmt, ...)
{
	static int fd = -1;
	char line[240];
	va_list ap;
	int n, m;

	if (fd < 0)
		fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "<%d>gate: ", level);
	va_start(ap, fmt);
	m = vsnprintf(line + n, 200, fmt, ap);
	va_end(ap);
	if (m > 199)
		m = 199;
	if (m > 0 && write(fd, line, (size_t)(n + m)) < 0)
		return;
}
