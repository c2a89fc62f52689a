/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A security key as dom0's kernel is shown it: a HID device of our own, whose
 * report descriptor and ids are constant. Not a byte of it comes from the real
 * key; only CTAPHID packets do, as reports.
 */
#ifndef GK_DOM0_UHID_H
#define GK_DOM0_UHID_H

#include <stdint.h>

#include "core/ctaphid.h"

/* gk_uhid_open: /dev/uhid, not blocking; or -1 with errno. */
int gk_uhid_open(void);

/* gk_uhid_create: makes the device; `port` is its physical place for people.
 * It goes when fd is closed. */
int gk_uhid_create(int fd, const char *port) GK_MUST_CHECK;

/* Reports on their way to the kernel. hidraw keeps 64 of them for each program, and
 * drops what does not fit without a word: they go in bursts, with time to read
 * between. The longest message fits. */
enum {
	GK_UHID_BURST = 32,
	GK_UHID_GAP_MS = 10,	/* from the start of a burst to that of the next */
	GK_UHID_QUEUE = 160,
};

struct gk_uhid_queue {
	uint8_t head, count;
	uint8_t burst;		/* of this one */
	uint64_t burst_ms;	/* its start */
	uint8_t packet[GK_UHID_QUEUE][GK_CTAPHID_PACKET];
};

/* gk_uhid_put: 1, or 0: it is full. gk_uhid_drop: all that is in it is nobody's. */
int gk_uhid_put(struct gk_uhid_queue *q, const uint8_t packet[GK_CTAPHID_PACKET])
	GK_MUST_CHECK;
void gk_uhid_drop(struct gk_uhid_queue *q);

/* gk_uhid_input: what may go now, to whoever has the device open; one that the
 * kernel does not take is lost, and who waits for it finds a gap. When the next
 * may go (ms, as gk_now_ms()), 0: there is none. */
uint64_t gk_uhid_input(int fd, struct gk_uhid_queue *q, uint64_t now_ms);

enum gk_uhid_event {
	GK_UHID_NOTHING,	/* there is nothing more */
	GK_UHID_OTHER,		/* nothing of interest */
	GK_UHID_OPENED,		/* by the first program */
	GK_UHID_CLOSED,		/* by the last one */
	GK_UHID_PACKET,		/* a report for the key, in packet */
	GK_UHID_BROKEN,		/* the device is no more */
};

/* gk_uhid_read: what dom0's kernel says next. Requests for reports by control
 * transfer, which CTAPHID has not, are answered with an error here. */
enum gk_uhid_event gk_uhid_read(int fd, uint8_t packet[GK_CTAPHID_PACKET])
	GK_MUST_CHECK;

#endif
