/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input reports (HID 1.11 8.4, appendix C) into key events, by the table that
 * hid_report.h made of the report descriptor: bitmaps, arrays, several report
 * ids. Only fields of the keyboard page in keyboard and keypad collections
 * count; a control of another page (consumer, system control) is no key.
 *
 * A key means what it means to Linux's hid-core and hid-input (6.1):
 *   - a report that is empty or shorter than declared, or of an id that is not
 *     declared, counts for nothing; a longer one is read by its first bytes;
 *   - a control counts when it changes: of two that are one key (31 and 32,
 *     which no keyboard has both of) the one that never changes does not
 *     matter, and a key is up as soon as one of them goes up;
 *   - a variable's value is held within its logical range, or outside of it
 *     ignored if the field has a null state;
 *   - an array with ErrorRollOver (07:01) in it stays as it was;
 *   - before the first report an array holds nothing but zeros: where 0 names a
 *     key, that key counts from the first report without it on;
 *   - a relative control that is not 0 is pressed and released at once.
 * Other than Linux: a key that changes twice in one report has not changed, and
 * for the gate (GK_HID_FOR_GATE) releases come first and usages without a key
 * code are no keys. GK_HID_AS_LINUX keeps hid-input's order, control by control,
 * and its KEY_UNKNOWN, so that the two can be compared event by event.
 */
#ifndef GK_HID_KEYS_H
#define GK_HID_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "hid_report.h"
#include "link.h"

enum {
	/* Codes are 1..255, each once, relative ones pressed and released. */
	GK_HID_KEYS_EVENTS = 2 * 255,
};

enum gk_hid_manner {
	GK_HID_FOR_GATE = 0,
	GK_HID_AS_LINUX = 1,
};

/* About 850 bytes. */
struct gk_hid_keys {
	uint8_t manner;		/* enum gk_hid_manner */
	uint8_t down[256 / 8];	/* key codes that are down */
	uint8_t bit[GK_HID_KEY_BITS / 8];	/* controls that were not 0 */
	uint16_t slot[GK_HID_KEY_SLOTS];	/* array values, from 1; 0: none */
};

void gk_hid_keys_init(const struct gk_hid_map *map, struct gk_hid_keys *k,
		      enum gk_hid_manner manner);

/*
 * gk_hid_keys_report: one report as it came, its id in front if the map says
 * that input reports have one. Writes the key changes to ev[] and returns how
 * many. GK_ERR_SHORT, or GK_ERR_NOT_FOUND for an unknown id: nothing changes.
 * `map` is the one that k was initialised with.
 */
int gk_hid_keys_report(const struct gk_hid_map *map, struct gk_hid_keys *k,
		       const void *report, size_t len,
		       struct gk_link_key ev[GK_HID_KEYS_EVENTS]) GK_MUST_CHECK;

/* gk_hid_keys_release: all keys up, as events, and k as after init; returns how
 * many. */
int gk_hid_keys_release(const struct gk_hid_map *map, struct gk_hid_keys *k,
			struct gk_link_key ev[GK_HID_KEYS_EVENTS]);

#endif
