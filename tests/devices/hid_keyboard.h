/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A keyboard function (HID 1.11 appendix B.1 and 7.2) for device files: the
 * class requests, the 8-byte boot report, LEDs, idle rate, and the script
 * commands type, key, rate, leds and the names of keys.
 */
#ifndef GK_HID_KEYBOARD_H
#define GK_HID_KEYBOARD_H

#include "device.h"

#define GK_BOOT_REPORT	8
#define GK_USAGES	256

struct gk_keyboard {
	struct gk_vdev *dev;
	uint8_t interface;
	uint8_t ep;		/* interrupt IN */
	/*
	 * Keys beyond the six of the boot report go to a bitmap of usages 4 to
	 * 0x73 behind this report id, on this endpoint. 0: no such report, the
	 * boot report then says ErrorRollOver.
	 */
	uint8_t extra_ep;
	uint8_t extra_id;

	uint8_t modifiers;
	uint8_t slots[6];
	uint8_t extra[GK_USAGES / 8];
	uint8_t leds;
	bool leds_set;
	uint8_t protocol;	/* 0 boot, 1 report (HID 1.11 7.2.5) */
	uint8_t idle;		/* in 4 ms, 0: for ever */
	unsigned int rate;	/* keys a second */
	uint8_t last[GK_BOOT_REPORT];
	struct gk_timer idle_timer;
};

#define GK_EXTRA_REPORT	15	/* report id and 112 bits */

/* The report descriptor of HID 1.11 B.1, with the full range of usages. */
extern const uint8_t gk_boot_keyboard_report_desc[65];

/*
 * The state of a kind that uses this begins with a struct gk_keyboard; the
 * callbacks can then stand in its struct gk_kind as they are.
 */
void gk_keyboard_init(struct gk_vdev *dev, uint8_t interface, uint8_t ep);
void gk_keyboard_control(struct gk_vdev *dev, const struct gk_setup *setup,
			 const uint8_t *out, struct gk_answer *answer);
void gk_keyboard_reset(struct gk_vdev *dev);
void gk_keyboard_polled(struct gk_vdev *dev, uint8_t ep, bool on);
void gk_keyboard_sent(struct gk_vdev *dev, uint8_t ep, const uint8_t *data,
		      size_t len);
void gk_keyboard_plugged(struct gk_vdev *dev, bool in);
enum gk_command_result gk_keyboard_command(struct gk_vdev *dev,
					   const char *verb, const char *args,
					   struct gk_reply *reply);

#define GK_KEYBOARD_CALLBACKS \
	.reset = gk_keyboard_reset, \
	.polled = gk_keyboard_polled, \
	.sent = gk_keyboard_sent, \
	.plugged = gk_keyboard_plugged, \
	.command = gk_keyboard_command

#endif
