/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: one process per device. fd 3 is the device's usbdevfs node, fd 4
 * the socket to the supervisor (one frame a packet, gatekeeper-link(7)).
 */
#ifndef GK_DOMAIN_WORKER_H
#define GK_DOMAIN_WORKER_H

#include <libusb.h>
#include <stdint.h>

#include "core/link.h"
#include "worker_fd.h"

enum {
	GK_WORKER_UID = 1000,	/* + the device's slot: no two workers share one */
	/* Interfaces of one device with the same role: gaming keyboards have a
	 * second keyboard interface for all keys at once. */
	GK_WORKER_GRANTS = 4,
	GK_WORKER_PACKET = 1024,	/* bytes, largest wMaxPacketSize (USB 2.0 9.6.6) */
};

/* How a worker ends, its exit status: the supervisor turns it into a reason. */
enum gk_worker_exit {
	GK_WORKER_DONE = 0,	/* asked to, or the device was unplugged */
	GK_WORKER_USAGE = 2,
	GK_WORKER_JAIL = 3,	/* could not enter the sandbox */
	GK_WORKER_DEVICE = 4,	/* the device does not do what it should */
	GK_WORKER_SUPERVISOR = 5,	/* the socket is gone, or speaks nonsense */
};

/* An interface a worker has been granted: argv, written by the supervisor. */
struct gk_worker_grant {
	uint8_t interface;	/* bInterfaceNumber */
	uint8_t in_address;	/* interrupt IN endpoint */
	uint16_t in_size;	/* its wMaxPacketSize */
};

struct gk_worker {
	libusb_context *usb;
	libusb_device_handle *dev;
	unsigned grants;
	struct gk_worker_grant grant[GK_WORKER_GRANTS];
	int retry;		/* the role wants its tick() soon */
	int done;		/* leave the loop */
	enum gk_worker_exit status;
};

/* gk_worker_send: one frame to the supervisor. A full socket is waited for at
 * most 1 s (the supervisor never stops reading); then the worker ends. */
void gk_worker_send(struct gk_worker *w, const struct gk_frame *f);

/* gk_worker_end: leave the loop with this status; the first one counts. */
void gk_worker_end(struct gk_worker *w, enum gk_worker_exit status);

/*
 * A role: start() once after the interfaces are claimed, frame() for each frame
 * of the supervisor's that the role may get, stop() before the interfaces are
 * released: it must leave no transfer in flight.
 */
struct gk_worker_role {
	const char *name;
	int (*start)(struct gk_worker *w);	/* GK_OK or an error */
	void (*frame)(struct gk_worker *w, const struct gk_frame *f);
	/* Called about every 30 ms while w->retry is set. */
	void (*tick)(struct gk_worker *w);
	void (*stop)(struct gk_worker *w);
};

extern const struct gk_worker_role gk_worker_keyboard;

#endif
