/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot-protocol keyboard reports (HID 1.11 appendix B.1, F.5) into key events.
 * Pure state.
 */
#ifndef GK_HID_BOOT_H
#define GK_HID_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "link.h"

enum {
	GK_HID_BOOT_REPORT = 8,		/* bytes: modifiers, reserved, 6 usages */
	GK_HID_BOOT_EVENTS = 8 + 6 + 6,	/* at most from one report */
};

struct gk_hid_boot {
	uint8_t modifiers;
	uint8_t usage[6];	/* held, 0: free */
};

void gk_hid_boot_init(struct gk_hid_boot *k);

/*
 * gk_hid_boot_report: one report of len bytes; writes the key changes, releases
 * before presses, to ev[] and returns how many (0..GK_HID_BOOT_EVENTS).
 * Reports longer than 8 bytes are read by their first 8 (real keyboards pad);
 * shorter: GK_ERR_SHORT and nothing changes. ErrorRollOver (usage 1) in any
 * slot: nothing changes in the array part (HID 1.11 appendix C: the phantom
 * state), modifiers do. Usages without a Linux key code are ignored. The same
 * usage twice counts once.
 */
int gk_hid_boot_report(struct gk_hid_boot *k, const void *report, size_t len,
		       struct gk_link_key ev[GK_HID_BOOT_EVENTS]) GK_MUST_CHECK;

/* gk_hid_boot_release: all keys up, as events; returns how many. */
int gk_hid_boot_release(struct gk_hid_boot *k,
			struct gk_link_key ev[GK_HID_BOOT_EVENTS]);

#endif
