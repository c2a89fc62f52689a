/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nkro-boot: as gaming keyboards are: a boot keyboard, and a second interface
 * whose long report descriptor has a bitmap for the keys beyond six, media and
 * system keys, a mouse, and vendor collections for lights and macros.
 */
#include "hid_keyboard.h"

enum { IF_BOOT, IF_EXTRA };
enum { EP_BOOT = 0x81, EP_EXTRA = 0x82 };
enum { ID_KEYS = 1, ID_CONSUMER = 2, ID_SYSTEM = 3, ID_MOUSE = 4 };

/* A vendor collection with a feature, an input and an output report. */
#define VENDOR(id) \
	0x06, 0x00, 0xff,	/* Usage Page (vendor FF00) */ \
	0x09, (id),		/* Usage */ \
	0xa1, 0x01,		/* Collection (Application) */ \
	0x85, (id),		/*   Report ID */ \
	0x15, 0x00,		/*   Logical Minimum (0) */ \
	0x26, 0xff, 0x00,	/*   Logical Maximum (255) */ \
	0x75, 0x08,		/*   Report Size (8) */ \
	0x95, 0x0f,		/*   Report Count (15) */ \
	0x09, 0x01,		/*   Usage (1) */ \
	0xb1, 0x02,		/*   Feature (Data, Variable, Absolute) */ \
	0x09, 0x02,		/*   Usage (2) */ \
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */ \
	0x09, 0x03,		/*   Usage (3) */ \
	0x91, 0x02,		/*   Output (Data, Variable, Absolute) */ \
	0xc0			/* End Collection */

#define VENDOR4(id) \
	VENDOR(id), VENDOR((id) + 1), VENDOR((id) + 2), VENDOR((id) + 3)

static const uint8_t extra_report_desc[] = {
	0x05, 0x01,		/* Usage Page (Generic Desktop) */
	0x09, 0x06,		/* Usage (Keyboard) */
	0xa1, 0x01,		/* Collection (Application) */
	0x85, ID_KEYS,		/*   Report ID */
	0x05, 0x07,		/*   Usage Page (Keyboard) */
	0x19, 0x04,		/*   Usage Minimum (A) */
	0x29, 0x73,		/*   Usage Maximum (F24) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x25, 0x01,		/*   Logical Maximum (1) */
	0x75, 0x01,		/*   Report Size (1) */
	0x95, 0x70,		/*   Report Count (112) */
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */
	0xc0,			/* End Collection */

	0x05, 0x0c,		/* Usage Page (Consumer) */
	0x09, 0x01,		/* Usage (Consumer Control) */
	0xa1, 0x01,		/* Collection (Application) */
	0x85, ID_CONSUMER,	/*   Report ID */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x26, 0x3c, 0x02,	/*   Logical Maximum (572) */
	0x19, 0x00,		/*   Usage Minimum (0) */
	0x2a, 0x3c, 0x02,	/*   Usage Maximum (572) */
	0x75, 0x10,		/*   Report Size (16) */
	0x95, 0x01,		/*   Report Count (1) */
	0x81, 0x00,		/*   Input (Data, Array) */
	0xc0,			/* End Collection */

	0x05, 0x01,		/* Usage Page (Generic Desktop) */
	0x09, 0x80,		/* Usage (System Control) */
	0xa1, 0x01,		/* Collection (Application) */
	0x85, ID_SYSTEM,	/*   Report ID */
	0x19, 0x81,		/*   Usage Minimum (Power Down) */
	0x29, 0x83,		/*   Usage Maximum (Wake Up) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x25, 0x01,		/*   Logical Maximum (1) */
	0x75, 0x01,		/*   Report Size (1) */
	0x95, 0x03,		/*   Report Count (3) */
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */
	0x95, 0x05,		/*   Report Count (5) */
	0x81, 0x01,		/*   Input (Constant) */
	0xc0,			/* End Collection */

	0x05, 0x01,		/* Usage Page (Generic Desktop) */
	0x09, 0x02,		/* Usage (Mouse) */
	0xa1, 0x01,		/* Collection (Application) */
	0x85, ID_MOUSE,		/*   Report ID */
	0x09, 0x01,		/*   Usage (Pointer) */
	0xa1, 0x00,		/*   Collection (Physical) */
	0x05, 0x09,		/*     Usage Page (Button) */
	0x19, 0x01,		/*     Usage Minimum (1) */
	0x29, 0x08,		/*     Usage Maximum (8) */
	0x15, 0x00,		/*     Logical Minimum (0) */
	0x25, 0x01,		/*     Logical Maximum (1) */
	0x75, 0x01,		/*     Report Size (1) */
	0x95, 0x08,		/*     Report Count (8) */
	0x81, 0x02,		/*     Input (Data, Variable, Absolute) */
	0x05, 0x01,		/*     Usage Page (Generic Desktop) */
	0x16, 0x01, 0x80,	/*     Logical Minimum (-32767) */
	0x26, 0xff, 0x7f,	/*     Logical Maximum (32767) */
	0x75, 0x10,		/*     Report Size (16) */
	0x95, 0x02,		/*     Report Count (2) */
	0x09, 0x30,		/*     Usage (X) */
	0x09, 0x31,		/*     Usage (Y) */
	0x81, 0x06,		/*     Input (Data, Variable, Relative) */
	0xc0,			/*   End Collection */
	0xc0,			/* End Collection */

	VENDOR4(5), VENDOR4(9), VENDOR4(13), VENDOR4(17), VENDOR4(21),
	VENDOR4(25), VENDOR(29), VENDOR(30),
};

static const uint8_t device_desc[] = {
	18, GK_DT_DEVICE, GK_LE16(0x0200), 0, 0, 0, 64,
	GK_LE16(0x1209), GK_LE16(0x0003), GK_LE16(0x0100), 1, 2, 3, 1,
};

#define HID_DESC(report) \
	9, GK_DT_HID, \
	GK_LE16(0x0111), 0, 1, GK_DT_HID_REPORT, \
	GK_LE16(sizeof(report))

static const uint8_t config_desc[] = {
	9, GK_DT_CONFIG, GK_LE16(9 + 25 + 25), 2, 1, 0, 0xa0, 250,
	9, GK_DT_INTERFACE, IF_BOOT, 0, 1, 3, 1, 1, 0,
	HID_DESC(gk_boot_keyboard_report_desc),
	7, GK_DT_ENDPOINT, EP_BOOT, 3, GK_LE16(8), 1,
	9, GK_DT_INTERFACE, IF_EXTRA, 0, 1, 3, 0, 0, 0,
	HID_DESC(extra_report_desc),
	7, GK_DT_ENDPOINT, EP_EXTRA, 3, GK_LE16(16), 1,
};

static const uint8_t hid_desc[] = { HID_DESC(gk_boot_keyboard_report_desc) };
static const uint8_t extra_hid_desc[] = { HID_DESC(extra_report_desc) };

static const struct gk_desc descs[] = {
	{ GK_DT_DEVICE, 0, -1, device_desc, sizeof(device_desc) },
	{ GK_DT_CONFIG, 0, -1, config_desc, sizeof(config_desc) },
	{ GK_DT_HID, 0, IF_BOOT, hid_desc, sizeof(hid_desc) },
	{ GK_DT_HID_REPORT, 0, IF_BOOT, gk_boot_keyboard_report_desc,
	  sizeof(gk_boot_keyboard_report_desc) },
	{ GK_DT_HID, 0, IF_EXTRA, extra_hid_desc, sizeof(extra_hid_desc) },
	{ GK_DT_HID_REPORT, 0, IF_EXTRA, extra_report_desc,
	  sizeof(extra_report_desc) },
};

static const char *const strings[] = {
	"USB Gatekeeper tests", "NKRO keyboard", NULL,
};

static int init(struct gk_vdev *dev)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	gk_keyboard_init(dev, IF_BOOT, EP_BOOT);
	kbd->extra_ep = EP_EXTRA;
	kbd->extra_id = ID_KEYS;
	return 0;
}

/* The second interface has no state of its own: it takes what HID asks. */
static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	uint8_t feature[16] = { (uint8_t)setup->value };

	gk_keyboard_control(dev, setup, out, answer);
	if (setup->index != IF_EXTRA)
		return;
	if (setup->type == 0x21)	/* SET_IDLE, SET_PROTOCOL, SET_REPORT */
		answer->verdict = GK_DATA;
	else if (setup->type == 0xa1 && setup->request == 0x01)
		gk_answer_data(answer, feature, sizeof(feature));
}

static struct gk_kind nkro_boot = {
	.name = "nkro-boot",
	.summary = "a gaming keyboard: boot interface and a long second one",
	.speeds = GK_SPEED_BIT(GK_FULL) | GK_SPEED_BIT(GK_HIGH),
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.state_size = sizeof(struct gk_keyboard),
	.init = init,
	.control = control,
	GK_KEYBOARD_CALLBACKS,
};
GK_KIND(nkro_boot);
