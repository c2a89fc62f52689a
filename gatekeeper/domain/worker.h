/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: one process per device. fd 3 is the device's usbdevfs node, fd 4
 * the socket to the supervisor (one frame a packet, gatekeeper-link(7)).
 * It looks at its interfaces (FOUND), is told which it may serve (GRANT), lets
 * go of the others, and serves.
 */
#ifndef GK_DOMAIN_WORKER_H
#define GK_DOMAIN_WORKER_H

#include <libusb.h>
#include <stdint.h>

#include "core/hid_report.h"
#include "core/link.h"
#include "judge.h"
#include "worker_fd.h"

enum {
	GK_WORKER_UID = 1000,	/* + the device's slot: no two workers share one */
	GK_WORKER_WORDS = 7,	/* of an interface on the command line */
	/* Bytes of an input report of a keyboard that is served; the largest
	 * wMaxPacketSize (USB 2.0 9.6.6). Real ones: 8 to 64. */
	GK_WORKER_REPORT = 1024,
};

/* What an interface is by its class, before anything is read of it. */
enum gk_worker_kind {
	GK_KIND_BOOT = 0,	/* 03:01:01: a keyboard, by the boot protocol; _HID
				 * once it is found not to take that */
	GK_KIND_HID = 1,	/* its report descriptor says */
	GK_KIND_CCID = 2,
	GK_KINDS = 3,
};

/* How a worker ends, its exit status: the supervisor turns it into a reason. */
enum gk_worker_exit {
	GK_WORKER_DONE = 0,	/* asked to, or the device was unplugged */
	GK_WORKER_USAGE = 2,
	GK_WORKER_JAIL = 3,	/* could not enter the sandbox */
	GK_WORKER_DEVICE = 4,	/* the device does not do what it should */
	GK_WORKER_SUPERVISOR = 5,	/* the socket is gone, or speaks nonsense */
};

/* An interface of the command line, written by the supervisor. */
struct gk_worker_interface {
	uint8_t number;		/* bInterfaceNumber */
	uint8_t kind;		/* enum gk_worker_kind */
	uint8_t fits;		/* enum gk_role bits it may be found to be */
	uint8_t in_address;	/* interrupt IN endpoint */
	uint8_t out_address;	/* interrupt OUT endpoint, 0: none */
	uint16_t in_size;	/* its wMaxPacketSize */
	uint16_t report_len;	/* bytes of its report descriptor, 0: none to read */
	uint8_t role;		/* granted: one bit, or 0 */
	struct gk_hid_map map;	/* of a _HID whose descriptor parsed */
};

struct gk_worker {
	libusb_context *usb;
	libusb_device_handle *dev;
	unsigned interfaces;
	struct gk_worker_interface interface[GK_CANDIDATES];
	int serving;		/* the supervisor said go */
	int retry;		/* a role wants its tick() soon */
	int done;		/* leave the loop */
	enum gk_worker_exit status;
};

/* gk_worker_send: one frame to the supervisor. A full socket is waited for at
 * most 1 s (the supervisor never stops reading); then the worker ends. */
void gk_worker_send(struct gk_worker *w, const struct gk_frame *f);

/* gk_worker_end: leave the loop with this status; the first one counts. */
void gk_worker_end(struct gk_worker *w, enum gk_worker_exit status);

/* gk_worker_packet: the bytes of a packet of an interrupt endpoint that says it has
 * `size`: the kernel cuts what is above the speed's bound (USB 2.0 5.7.3). */
static inline unsigned gk_worker_packet(const struct gk_worker *w, unsigned size)
{
	int speed = libusb_get_device_speed(libusb_get_device(w->dev));

	if (speed == LIBUSB_SPEED_LOW && size > 8)
		return 8;
	return speed == LIBUSB_SPEED_FULL && size > 64 ? 64 : size;
}

/* worker_look.c: reads what there is to read of each interface and tells the
 * supervisor. */
void gk_worker_look(struct gk_worker *w);

/*
 * A role, for all interfaces that have it: start() when they are granted,
 * frame() for each frame of the supervisor's that is the role's (of FIDO also the
 * answer PING that says that dom0 has begun a new session), stop() before the
 * interfaces are released: it must leave no transfer in flight.
 */
struct gk_worker_role {
	uint8_t role;		/* enum gk_role */
	int (*start)(struct gk_worker *w);	/* GK_OK or an error */
	void (*frame)(struct gk_worker *w, const struct gk_frame *f);
	/* Called within 30 ms when w->retry is set, which is then cleared: it
	 * sets it again to be called again. */
	void (*tick)(struct gk_worker *w);
	void (*stop)(struct gk_worker *w);
};

extern const struct gk_worker_role gk_worker_keyboard;
extern const struct gk_worker_role gk_worker_fido;

#endif
