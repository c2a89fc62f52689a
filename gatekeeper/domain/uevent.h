/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's "something changed" (NETLINK_KOBJECT_UEVENT), as a hint only. */
#ifndef GK_DOMAIN_UEVENT_H
#define GK_DOMAIN_UEVENT_H

/* gk_uevent_open: a non-blocking, close-on-exec socket, or -1 with errno. */
int gk_uevent_open(void);

/*
 * gk_uevent_drain: reads what is waiting (at most 256 messages a call); 1 if
 * any was from the kernel and about USB, or if messages were lost, else 0. What
 * they say is not used: the caller looks at sysfs, which cannot be out of date.
 */
int gk_uevent_drain(int fd);

#endif
