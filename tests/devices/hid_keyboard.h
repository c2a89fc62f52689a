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

	/*
	 * No boot report at all: every key is a bit of one report, which begins
	 * with extra_id and the modifiers, on ep.
	 */
	bool bitmap_only;
	uint8_t led_id;		/* of the output report, 0: it has none */

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
#define GK_BITMAP_REPORT 16	/* report id, modifiers and 112 bits */

/* The report descriptor of HID 1.11 B.1, with the full range of usages. */
extern const uint8_t gk_boot_keyboard_report_desc[65];

/* The report descriptor of a keyboard with bitmap_only. */
#define GK_BITMAP_REPORT_DESC(id) \
	0x05, 0x01,		/* Usage Page (Generic Desktop) */ \
	0x09, 0x06,		/* Usage (Keyboard) */ \
	0xa1, 0x01,		/* Collection (Application) */ \
	0x85, (id),		/*   Report ID */ \
	0x05, 0x07,		/*   Usage Page (Keyboard) */ \
	0x15, 0x00,		/*   Logical Minimum (0) */ \
	0x25, 0x01,		/*   Logical Maximum (1) */ \
	0x75, 0x01,		/*   Report Size (1) */ \
	0x19, 0xe0,		/*   Usage Minimum (Left Control) */ \
	0x29, 0xe7,		/*   Usage Maximum (Right GUI) */ \
	0x95, 0x08,		/*   Report Count (8) */ \
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */ \
	0x19, 0x04,		/*   Usage Minimum (A) */ \
	0x29, 0x73,		/*   Usage Maximum (F24) */ \
	0x95, 0x70,		/*   Report Count (112) */ \
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */ \
	0x05, 0x08,		/*   Usage Page (LEDs) */ \
	0x19, 0x01,		/*   Usage Minimum (Num Lock) */ \
	0x29, 0x05,		/*   Usage Maximum (Kana) */ \
	0x95, 0x05,		/*   Report Count (5) */ \
	0x91, 0x02,		/*   Output (Data, Variable, Absolute) */ \
	0x95, 0x03,		/*   Report Count (3) */ \
	0x91, 0x01,		/*   Output (Constant) */ \
	0xc0			/* End Collection */
#define GK_BITMAP_REPORT_DESC_LEN	47

/*
 * The state of a kind that uses this begins with a struct gk_keyboard; the
 * callbacks can then stand in its struct gk_kind as they are.
 */
void gk_keyboard_init(struct gk_vdev *dev, uint8_t interface, uint8_t ep);
/* init() of a kind whose keyboard is interface 0 with endpoint 81. */
int gk_keyboard_init_alone(struct gk_vdev *dev);
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
