/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uevent.h"

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

int gk_uevent_drain(int fd)
{
	static const char usb[] = "SUBSYSTEM=usb";
	char buf[4096];
	int hit = 0;

	for (int i = 0; i < 256; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == ENOBUFS) {
			hit = 1;
			continue;
		}
		if (n <= 0)
			break;
		if (from.nl_pid == 0 &&
		    memmem(buf, (size_t)n, usb, sizeof(usb) - 1))
			hit = 1;
	}
	return hit;
}
