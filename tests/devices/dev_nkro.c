/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nkro: a keyboard without a boot interface (03:00:00): all keys in a bitmap
 * report, media keys in a second one.
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <string.h>

enum { ID_KEYS = 1, ID_CONSUMER = 2 };

static const uint8_t report_desc[] = {
	GK_BITMAP_REPORT_DESC(ID_KEYS),
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
};

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x000d, 1),
};

static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 0, 0),
	GK_HID_BYTES(sizeof(report_desc)),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 32, 4),
};

static const uint8_t hid_desc[] = { GK_HID_BYTES(sizeof(report_desc)) };

static const struct gk_desc descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, device_desc),
	GK_DESC(GK_DT_CONFIG, -1, config_desc),
	GK_DESC(GK_DT_HID, 0, hid_desc),
	GK_DESC(GK_DT_HID_REPORT, 0, report_desc),
};

static const char *const strings[] = {
	"USB Gatekeeper tests", "NKRO-only keyboard", NULL,
};

static int init(struct gk_vdev *dev)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	gk_keyboard_init(dev, 0, 0x81);
	kbd->bitmap_only = true;
	kbd->extra_id = ID_KEYS;
	kbd->led_id = ID_KEYS;
	return 0;
}

/* `volume`: a press of Volume Increment (HID Usage Tables 1.3 section 15). */
static enum gk_command_result command(struct gk_vdev *dev, const char *verb,
				      const char *args, struct gk_reply *reply)
{
	static const uint8_t down[] = { ID_CONSUMER, GK_LE16(0xe9) };
	static const uint8_t up[] = { ID_CONSUMER, 0, 0 };

	if (strcmp(verb, "volume"))
		return gk_keyboard_command(dev, verb, args, reply);
	reply->token = gk_vdev_token(dev);
	if (gk_vdev_queue(dev, 0x81, down, sizeof(down), 0, 0) < 0 ||
	    gk_vdev_queue(dev, 0x81, up, sizeof(up), 0, reply->token) < 0)
		return GK_CMD_ERROR;
	return GK_CMD_WAIT;
}

static struct gk_kind nkro = {
	.name = "nkro",
	.summary = "a keyboard that speaks report protocol only",
	.speeds = GK_SPEED_BIT(GK_FULL) | GK_SPEED_BIT(GK_HIGH),
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.state_size = sizeof(struct gk_keyboard),
	.init = init,
	.control = gk_keyboard_control,
	.reset = gk_keyboard_reset,
	.polled = gk_keyboard_polled,
	.sent = gk_keyboard_sent,
	.plugged = gk_keyboard_plugged,
	.command = command,
};
GK_KIND(nkro);
