/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two things a worker has; its system-call filter names them, too. */
#ifndef GK_DOMAIN_WORKER_FD_H
#define GK_DOMAIN_WORKER_FD_H

enum {
	GK_WORKER_USB_FD = 3,	/* usbdevfs node of its device */
	GK_WORKER_SOCK_FD = 4,	/* to the supervisor */
};

#endif
