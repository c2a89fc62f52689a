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

/* gk_uhid_input: one report to whoever has the device open. */
int gk_uhid_input(int fd, const uint8_t packet[GK_CTAPHID_PACKET]) GK_MUST_CHECK;

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
