/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gate's kernel says: of use in one case, a device that never answers.
 * It gets no directory in sysfs; all there is of it is usbcore's line "unable to
 * enumerate USB device" with the hub's port. And with gk.debug=1 on the gate's
 * command line every line goes to dom0, because the gate has no console.
 */
#ifndef GK_DOMAIN_KMSG_H
#define GK_DOMAIN_KMSG_H

#include "inventory.h"

/* gk_kmsg_open: non-blocking, from now on; -1 if there is none. */
int gk_kmsg_open(void);

/* gk_kmsg_debug: gk.debug=1 is on the command line. */
int gk_kmsg_debug(void);

/* gk_kmsg_next: the text of the next record, printable, terminated; 1, or 0 when
 * there is none now. */
int gk_kmsg_next(int fd, char *text, size_t cap);

/*
 * gk_kmsg_silent: 1 if the line says that what is at a port does not answer:
 * *at has that port's path and a name, and nothing that sysfs would have.
 */
int gk_kmsg_silent(const char *text, struct gk_present *at);

#endif
