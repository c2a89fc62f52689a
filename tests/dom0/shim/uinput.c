/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For handoff.py, by LD_PRELOAD: the machine that the tests run on need not have
 * uinput. A pipe stands where gatekeeperd looks for it; the requests by which it is
 * set up succeed, and each key that is written is noted as "CODE VALUE" in the file
 * that GK_UINPUT_LOG names. It is made once in a life of gatekeeperd: "made".
 */
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...);
ssize_t write(int fd, const void *buf, size_t len);

static int keyboard = -1;

static void note(const char *text, int len)
{
	const char *path = getenv("GK_UINPUT_LOG");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	(void)syscall(SYS_write, fd, text, (size_t)len);
	close(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (_IOC_TYPE(request) != UINPUT_IOCTL_BASE)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	if (request == UI_DEV_CREATE) {
		keyboard = fd;
		note("made\n", 5);
	}
	return 0;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	const struct input_event *ev = buf;
	char text[32];

	if (fd != keyboard || fd < 0)
		return (ssize_t)syscall(SYS_write, fd, buf, len);
	for (size_t i = 0; i < len / sizeof(*ev); i++)
		if (ev[i].type == EV_KEY)
			note(text, snprintf(text, sizeof(text), "%u %d\n", ev[i].code,
					    ev[i].value));
	return (ssize_t)len;
}
