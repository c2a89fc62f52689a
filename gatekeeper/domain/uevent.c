/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uevent.h"

#include <ctype.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int gk_uevent_open(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One of the strings, each with its NUL, that a message is made of. */
static int has(const char *text, size_t len, const char *what)
{
	while (len > 0) {
		size_t n = strnlen(text, len);

		if (n == len)
			return 0;
		if (strcmp(text, what) == 0)
			return 1;
		text += n + 1;
		len -= n + 1;
	}
	return 0;
}

/* "N-0:1.0", the one interface of root hub usbN. */
static int is_root_interface(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && strcmp(name + digits, "-0:1.0") == 0;
}

unsigned gk_uevent_what(const char *text, size_t len)
{
	const char *name;

	/* "ACTION@PATH" is its first string. */
	if (strnlen(text, len) == len || !has(text, len, "SUBSYSTEM=usb"))
		return 0;
	name = strrchr(text, '/');
	if (!name)
		return 0;
	name++;
	if (has(text, len, "DEVTYPE=usb_interface"))
		return is_root_interface(name) ? GK_UEVENT_BUS : 0;
	if (!has(text, len, "DEVTYPE=usb_device"))
		return 0;
	if (strncmp(name, "usb", 3) == 0 && isdigit((unsigned char)name[3]))
		return GK_UEVENT_BUS;
	return GK_UEVENT_DEVICE;
}

unsigned gk_uevent_drain(int fd)
{
	char buf[4096];
	unsigned what = 0;

	for (int i = 0; i < 256; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == ENOBUFS) {
			what = GK_UEVENT_BUS | GK_UEVENT_DEVICE;
			continue;
		}
		if (n <= 0)
			break;
		if (from.nl_pid == 0)
			what |= gk_uevent_what(buf, (size_t)n);
	}
	return what;
}
