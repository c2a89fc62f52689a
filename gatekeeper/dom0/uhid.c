/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/uhid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/paths.h"
#include "dom0/uhid.h"

/* Of no known vendor, and in none of the kernel's tables of quirks. libfido2
 * takes devices on the USB bus only. */
enum { VENDOR = 0xf1d0, PRODUCT = 0x0001, VERSION = 1 };

/* As in CTAP 2.1 11.2.8.1. */
static const uint8_t descriptor[] = {
	0x06, 0xd0, 0xf1,	/* Usage Page (FIDO alliance) */
	0x09, 0x01,		/* Usage (CTAPHID) */
	0xa1, 0x01,		/* Collection (Application) */
	0x09, 0x20,		/*   Usage (data in) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x26, 0xff, 0x00,	/*   Logical Maximum (255) */
	0x75, 0x08,		/*   Report Size (8) */
	0x95, 0x40,		/*   Report Count (64) */
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */
	0x09, 0x21,		/*   Usage (data out) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x26, 0xff, 0x00,	/*   Logical Maximum (255) */
	0x75, 0x08,		/*   Report Size (8) */
	0x95, 0x40,		/*   Report Count (64) */
	0x91, 0x02,		/*   Output (Data, Variable, Absolute) */
	0xc0,			/* End Collection */
};

int gk_uhid_open(void)
{
	char path[GK_PATH_MAX];

	if (gk_path(path, "/dev/uhid"))
		return -1;
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static int put(int fd, const struct uhid_event *ev)
{
	return write(fd, ev, sizeof(*ev)) == (ssize_t)sizeof(*ev) ? 0 : GK_ERR_SYSTEM;
}

int gk_uhid_create(int fd, const char *port)
{
	struct uhid_event ev;
	struct uhid_create2_req *c = &ev.u.create2;

	memset(&ev, 0, sizeof(ev));
	ev.type = UHID_CREATE2;
	snprintf((char *)c->name, sizeof(c->name), "USB Gatekeeper FIDO key");
	snprintf((char *)c->phys, sizeof(c->phys), "gatekeeper/%s", port);
	c->rd_size = sizeof(descriptor);
	memcpy(c->rd_data, descriptor, sizeof(descriptor));
	c->bus = BUS_USB;
	c->vendor = VENDOR;
	c->product = PRODUCT;
	c->version = VERSION;
	return put(fd, &ev);
}

int gk_uhid_put(struct gk_uhid_queue *q, const uint8_t packet[GK_CTAPHID_PACKET])
{
	unsigned at = ((unsigned)q->head + q->count) % GK_UHID_QUEUE;

	if (q->count == GK_UHID_QUEUE)
		return 0;
	memcpy(q->packet[at], packet, GK_CTAPHID_PACKET);
	q->count++;
	return 1;
}

void gk_uhid_drop(struct gk_uhid_queue *q)
{
	q->count = 0;
}

static void input(int fd, const uint8_t packet[GK_CTAPHID_PACKET])
{
	struct uhid_event ev;

	memset(&ev, 0, sizeof(ev));
	ev.type = UHID_INPUT2;
	ev.u.input2.size = GK_CTAPHID_PACKET;
	memcpy(ev.u.input2.data, packet, GK_CTAPHID_PACKET);
	if (put(fd, &ev) < 0)
		return;
}

uint64_t gk_uhid_input(int fd, struct gk_uhid_queue *q, uint64_t now_ms)
{
	if (now_ms - q->burst_ms >= GK_UHID_GAP_MS) {
		q->burst_ms = now_ms;
		q->burst = 0;
	}
	for (; q->count > 0 && q->burst < GK_UHID_BURST; q->burst++, q->count--) {
		input(fd, q->packet[q->head]);
		q->head = (uint8_t)((q->head + 1) % GK_UHID_QUEUE);
	}
	return q->count ? q->burst_ms + GK_UHID_GAP_MS : 0;
}

static void refuse(int fd, const struct uhid_event *asked)
{
	struct uhid_event ev;

	memset(&ev, 0, sizeof(ev));
	if (asked->type == UHID_GET_REPORT) {
		ev.type = UHID_GET_REPORT_REPLY;
		ev.u.get_report_reply.id = asked->u.get_report.id;
		ev.u.get_report_reply.err = EIO;
	} else {
		ev.type = UHID_SET_REPORT_REPLY;
		ev.u.set_report_reply.id = asked->u.set_report.id;
		ev.u.set_report_reply.err = EIO;
	}
	/* Who asked has a time limit of the kernel's own. */
	if (put(fd, &ev) < 0)
		return;
}

enum gk_uhid_event gk_uhid_read(int fd, uint8_t packet[GK_CTAPHID_PACKET])
{
	struct uhid_event ev;
	ssize_t n;

	memset(&ev, 0, sizeof(ev));
	n = read(fd, &ev, sizeof(ev));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return GK_UHID_NOTHING;
	if (n < (ssize_t)sizeof(ev.type))
		return GK_UHID_BROKEN;
	switch (ev.type) {
	case UHID_OPEN:
		return GK_UHID_OPENED;
	case UHID_CLOSE:
		return GK_UHID_CLOSED;
	case UHID_OUTPUT:
		/* hidraw has the report's number first, 0: there is none. */
		if (ev.u.output.rtype != UHID_OUTPUT_REPORT ||
		    ev.u.output.size != 1 + GK_CTAPHID_PACKET ||
		    ev.u.output.data[0] != 0)
			return GK_UHID_OTHER;
		memcpy(packet, ev.u.output.data + 1, GK_CTAPHID_PACKET);
		return GK_UHID_PACKET;
	case UHID_GET_REPORT:
	case UHID_SET_REPORT:
		refuse(fd, &ev);
		return GK_UHID_OTHER;
	default:
		return GK_UHID_OTHER;
	}
}
