/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker's role stands on, played for its tests: libusb's transfers, the
 * worker's loop and the clock. It fails where a role does what libusb does not allow.
 */
#ifndef GK_TESTS_PLAYED_H
#define GK_TESTS_PLAYED_H

#include <stdint.h>

#include "domain/worker.h"

enum { PLAYED_TRANSFERS = 20, PLAYED_SENT = 256 };

struct played {
	struct gk_worker w;
	uint64_t now;
	struct libusb_transfer transfer[PLAYED_TRANSFERS];
	int allocated;
	int flying[PLAYED_TRANSFERS], cancelled[PLAYED_TRANSFERS];
	int fail_submit;
	int speed;	/* enum libusb_speed */
	int cleared[256];	/* halts, by endpoint */
	unsigned clear_takes;	/* ms, each */
	struct gk_frame sent[PLAYED_SENT];	/* to the supervisor */
	unsigned sents;
};

extern struct played m;

/* complete: transfer i, which is in flight, ends. */
void complete(int i, enum libusb_transfer_status status, int len);

/* flying: the transfer of an endpoint that is in flight; -1: none. */
int flying(uint8_t endpoint);

/* tick: so many ms later, as worker.c does it. */
void tick(const struct gk_worker_role *role, unsigned ms);

/* stop: in whatever state it is left; nothing is in flight then. */
void stop(const struct gk_worker_role *role);

#endif
