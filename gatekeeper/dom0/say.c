/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/say.h"

void gk_say_line(const char *program, const char *fmt, va_list ap)
{
	char line[256];
	int n, head;

	head = snprintf(line, sizeof(line), "%.64s: ", program);
	n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	if (n < 0)
		return;
	n = (int)strnlen(line, sizeof(line) - 1);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
