/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's "something changed" (NETLINK_KOBJECT_UEVENT), as a hint where to look. */
#ifndef GK_DOMAIN_UEVENT_H
#define GK_DOMAIN_UEVENT_H

#include <stddef.h>

enum {
	GK_UEVENT_BUS = 1,	/* of root hub usbN, or of its interface, N-0:1.0 */
	GK_UEVENT_DEVICE = 2,	/* of another device */
};

/* gk_uevent_open: a non-blocking, close-on-exec socket, or -1 with errno. */
int gk_uevent_open(void);

/*
 * gk_uevent_what: which of these a message is about, or 0: the strings "ACTION@PATH" and
 * "KEY=VALUE", each with its NUL (Linux, lib/kobject_uevent.c). Interfaces of devices,
 * of which there are several events for each device, are none.
 */
unsigned gk_uevent_what(const char *text, size_t len);

/*
 * gk_uevent_drain: reads what is waiting (at most 256 messages a call); what those
 * from the kernel are about, and both if messages were lost. It is no more than a hint:
 * the caller looks at sysfs, which cannot be out of date.
 */
unsigned gk_uevent_drain(int fd);

#endif
