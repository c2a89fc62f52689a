/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kmsg.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* drivers/usb/core/hub.c, hub_port_connect(): "usb HUB-portN: ..." with HUB as
 * "usb1" for a root hub, "1-2.3" for another. */
#define SILENT ": unable to enumerate USB device"

int gk_kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int gk_kmsg_debug(void)
{
	char line[1024] = { 0 };
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	return n > 0 && strstr(line, "gk.debug=1");
}

/*
 * One record a read (Documentation/ABI/testing/dev-kmsg):
 * "priority,sequence,time,flags;text\n". EPIPE: some were lost; go on.
 */
int gk_kmsg_next(int fd, char *text, size_t cap)
{
	char record[1024];
	size_t len = 0;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, record, sizeof(record) - 1);
	if (n <= 0)
		return 0;
	record[n] = '\0';
	text[0] = '\0';
	for (const char *s = strchr(record, ';'); s && *++s && *s != '\n' &&
	     len < cap - 1;)
		text[len++] = *s < 0x20 || *s > 0x7e ? '?' : *s;
	text[len] = '\0';
	return 1;
}

int gk_kmsg_silent(const char *text, struct gk_present *at)
{
	const char *end = strstr(text, SILENT);
	char hub[GK_SYSFS_NAME], name[GK_SYSFS_NAME];
	unsigned bus, port;
	int used = 0;

	if (!end || end[sizeof(SILENT) - 1] != '\0')
		return 0;
	if (sscanf(text, "usb usb%3u-port%3u%n", &bus, &port, &used) == 2 &&
	    text + used == end)
		snprintf(name, sizeof(name), "%u-%u", bus, port);
	else if (sscanf(text, "usb %24[0-9.-]port%3u%n", hub, &port, &used) == 2 &&
		 text + used == end && hub[strlen(hub) - 1] == '-')
		snprintf(name, sizeof(name), "%.*s.%u", (int)strlen(hub) - 1, hub, port);
	else
		return 0;
	return gk_inventory_place(name, at) == GK_OK;
}
