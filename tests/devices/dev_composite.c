/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * composite: a boot keyboard, a mass-storage interface that takes commands and
 * never answers one, and a vendor interface that sends back what it gets once
 * its alternate setting 1 is chosen.
 */
#include "hid_keyboard.h"

enum { IF_KEYBOARD, IF_STORAGE, IF_VENDOR };
enum { EP_KEYBOARD = 0x81, EP_STORAGE_IN = 0x82, EP_STORAGE_OUT = 0x02,
       EP_VENDOR_IN = 0x83, EP_VENDOR_OUT = 0x03 };

/* USB Mass Storage Class Bulk-Only Transport 1.0, 3.1 and 3.2 */
enum { MSC_GET_MAX_LUN = 0xfe, MSC_RESET = 0xff };

static const uint8_t device_desc[] = {
	18, GK_DT_DEVICE, GK_LE16(0x0200), 0, 0, 0, 64,
	GK_LE16(0x1209), GK_LE16(0x0002), GK_LE16(0x0100), 1, 2, 3, 1,
};

#define HID_DESC \
	9, GK_DT_HID, \
	GK_LE16(0x0111), 0, 1, GK_DT_HID_REPORT, \
	GK_LE16(sizeof(gk_boot_keyboard_report_desc))

static const uint8_t config_desc[] = {
	9, GK_DT_CONFIG, GK_LE16(9 + 25 + 23 + 9 + 23), 3, 1, 0, 0xa0, 50,
	9, GK_DT_INTERFACE, IF_KEYBOARD, 0, 1, 3, 1, 1, 0,
	HID_DESC,
	7, GK_DT_ENDPOINT, EP_KEYBOARD, 3, GK_LE16(8), 10,
	9, GK_DT_INTERFACE, IF_STORAGE, 0, 2, 8, 6, 0x50, 0,
	7, GK_DT_ENDPOINT, EP_STORAGE_IN, 2, GK_LE16(64), 0,
	7, GK_DT_ENDPOINT, EP_STORAGE_OUT, 2, GK_LE16(64), 0,
	9, GK_DT_INTERFACE, IF_VENDOR, 0, 0, 0xff, 0, 0, 0,
	9, GK_DT_INTERFACE, IF_VENDOR, 1, 2, 0xff, 0, 0, 0,
	7, GK_DT_ENDPOINT, EP_VENDOR_IN, 2, GK_LE16(64), 0,
	7, GK_DT_ENDPOINT, EP_VENDOR_OUT, 2, GK_LE16(64), 0,
};

static const uint8_t hid_desc[] = { HID_DESC };

static const struct gk_desc descs[] = {
	{ GK_DT_DEVICE, 0, -1, device_desc, sizeof(device_desc) },
	{ GK_DT_CONFIG, 0, -1, config_desc, sizeof(config_desc) },
	{ GK_DT_HID, 0, IF_KEYBOARD, hid_desc, sizeof(hid_desc) },
	{ GK_DT_HID_REPORT, 0, IF_KEYBOARD, gk_boot_keyboard_report_desc,
	  sizeof(gk_boot_keyboard_report_desc) },
};

static const char *const strings[] = {
	"USB Gatekeeper tests", "Keyboard and more", NULL,
};

static int init(struct gk_vdev *dev)
{
	gk_keyboard_init(dev, IF_KEYBOARD, EP_KEYBOARD);
	return 0;
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	static const uint8_t max_lun[1] = { 0 };

	gk_keyboard_control(dev, setup, out, answer);
	if (setup->index != IF_STORAGE)
		return;
	if (setup->type == 0xa1 && setup->request == MSC_GET_MAX_LUN)
		gk_answer_data(answer, max_lun, sizeof(max_lun));
	else if (setup->type == 0x21 && setup->request == MSC_RESET)
		answer->verdict = GK_DATA;
}

static void out(struct gk_vdev *dev, uint8_t ep, const uint8_t *data,
		size_t len, struct gk_answer *answer)
{
	size_t n;

	if (ep == EP_STORAGE_OUT) {
		answer->verdict = GK_NEVER;
		return;
	}
	do {
		n = len > GK_REPORT_MAX ? GK_REPORT_MAX : len;
		if (gk_vdev_queue(dev, EP_VENDOR_IN, data, n, 0, 0) < 0) {
			answer->verdict = GK_STALL;
			return;
		}
		data += n;
		len -= n;
	} while (len);
}

static struct gk_kind composite = {
	.name = "composite",
	.summary = "a keyboard, a dead storage and a vendor interface",
	.speeds = GK_SPEED_BIT(GK_FULL) | GK_SPEED_BIT(GK_HIGH),
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.state_size = sizeof(struct gk_keyboard),
	.init = init,
	.control = control,
	.out = out,
	GK_KEYBOARD_CALLBACKS,
};
GK_KIND(composite);
