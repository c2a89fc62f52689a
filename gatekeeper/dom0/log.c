/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/log.h"

static const char *log_program = "gatekeeper";
static int log_kmsg = -1;
static int log_stderr = 1;	/* stderr is read by something */
static int log_prefix;		/* and that understands <N> */

void gk_log_open(const char *program)
{
	struct stat st;

	log_program = program;
	if (log_kmsg < 0)
		log_kmsg = open("/dev/kmsg",
				O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	log_prefix = getenv("JOURNAL_STREAM") != NULL;
	/* A terminal is the screen, and that is screen.c's. */
	log_stderr = fstat(STDERR_FILENO, &st) == 0 &&
		     !(S_ISCHR(st.st_mode) && !log_prefix && getppid() == 1);
}

void gk_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

static int put(int fd, const char *prefix, const char *text)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s%s: %s\n", prefix,
			 log_program, text);
	ssize_t sent;

	if (n < 0)
		return -1;
	if ((size_t)n >= sizeof(line))
		n = (int)sizeof(line) - 1;
	/* journald may hang: then a line is lost, and no key. */
	sent = send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno == ENOTSOCK)
		sent = write(fd, line, (size_t)n);
	return sent == n ? 0 : -1;
}

void gk_log(int level, const char *fmt, ...)
{
	char text[401], prefix[8];
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	gk_printable(text);
	snprintf(prefix, sizeof(prefix), "<%d>", level & 7);
	if (log_stderr &&
	    put(STDERR_FILENO, log_prefix ? prefix : "", text) == 0)
		goto out;
	if (log_kmsg >= 0)
		put(log_kmsg, prefix, text);
out:
	errno = saved;
}
