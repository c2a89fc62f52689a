/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keyboard: a plain boot keyboard, as HID 1.11 appendix E.1 to E.8 has it. */
#include "hid_keyboard.h"

static const uint8_t device_desc[] = {
	18, GK_DT_DEVICE,
	GK_LE16(0x0200),	/* bcdUSB */
	0, 0, 0,		/* class: per interface */
	8,			/* bMaxPacketSize0 */
	GK_LE16(0x1209), GK_LE16(0x0001),	/* pid.codes: for tests */
	GK_LE16(0x0100),
	1, 2, 3,		/* strings */
	1,			/* configurations */
};

#define HID_DESC \
	9, GK_DT_HID, \
	GK_LE16(0x0111), 0, 1, GK_DT_HID_REPORT, \
	GK_LE16(sizeof(gk_boot_keyboard_report_desc))

static const uint8_t config_desc[] = {
	9, GK_DT_CONFIG, GK_LE16(34), 1, 1, 0, 0xa0, 50,
	9, GK_DT_INTERFACE, 0, 0, 1, 3, 1, 1, 0,
	HID_DESC,
	7, GK_DT_ENDPOINT, 0x81, 3, GK_LE16(8), 10,
};

static const uint8_t hid_desc[] = { HID_DESC };

static const struct gk_desc descs[] = {
	{ GK_DT_DEVICE, 0, -1, device_desc, sizeof(device_desc) },
	{ GK_DT_CONFIG, 0, -1, config_desc, sizeof(config_desc) },
	{ GK_DT_HID, 0, 0, hid_desc, sizeof(hid_desc) },
	{ GK_DT_HID_REPORT, 0, 0, gk_boot_keyboard_report_desc,
	  sizeof(gk_boot_keyboard_report_desc) },
};

static const char *const strings[] = {
	"USB Gatekeeper tests", "Boot keyboard", NULL,
};

static struct gk_kind keyboard = {
	.name = "keyboard",
	.summary = "a plain boot keyboard",
	.speeds = GK_ANY_SPEED,
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.state_size = sizeof(struct gk_keyboard),
	.init = gk_keyboard_init_alone,
	.control = gk_keyboard_control,
	GK_KEYBOARD_CALLBACKS,
};
GK_KIND(keyboard);
