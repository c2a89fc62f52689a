/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The authenticator in a virtual USB device: packets of an interrupt endpoint on
 * one side, the authenticator's commands on the other, and the user's finger,
 * which a script moves.
 */
#ifndef GK_FIDO_FIDO_H
#define GK_FIDO_FIDO_H

#include "../device.h"
#include "authenticator.h"
#include "ctaphid.h"

enum gk_finger { GK_FINGER_NOW, GK_FINGER_LATE, GK_FINGER_NEVER };

enum gk_fido_state {
	GK_FIDO_IDLE,
	GK_FIDO_WORKS,		/* keep-alives: PROCESSING */
	GK_FIDO_WAITS,		/* keep-alives: UPNEEDED */
};

struct gk_fido {
	struct gk_vdev *dev;
	uint8_t in;			/* endpoint for packets to the host */
	struct gk_hid hid;
	struct gk_authenticator auth;
	struct gk_mischief mischief;

	enum gk_finger finger;
	unsigned int late_ms;
	unsigned int touch_timeout_ms;
	unsigned int work_ms;		/* so long it works on each request */
	const char *first_pin;		/* if none is set yet */
	int first_retries;		/* -1: as they are */

	enum gk_fido_state state;
	enum gk_step step;		/* which request it is */
	bool cancelled;			/* and answers all the same, later */
	struct gk_timer frame, work, touch, deadline, keepalive;
	unsigned long requests[GK_STEPS];
	unsigned long cancels;
	/* CLOCK_MONOTONIC, 0: not yet. The first packet since power-up; and of
	 * the last request: it asked for a touch, got one, was answered. */
	uint64_t first_ms, asked_ms, touched_ms, answered_ms;
};

/* Before options are given. */
void gk_fido_defaults(struct gk_fido *fido, struct gk_vdev *dev, uint8_t in);
/* After them. -1 with a message on stderr. */
int gk_fido_start(struct gk_fido *fido);
/* From the OUT endpoint. */
void gk_fido_packet(struct gk_fido *fido, const uint8_t *data, size_t len);
/* The bus was reset: channels are gone, the power was not. */
void gk_fido_bus_reset(struct gk_fido *fido);
void gk_fido_power(struct gk_fido *fido, bool on);
/* The finger, now; false if it is not asked for. */
bool gk_fido_touch(struct gk_fido *fido);

#endif
