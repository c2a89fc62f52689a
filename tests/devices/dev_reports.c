/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report-*: keyboards that type well, and on `attack` send reports that are
 * not what they declared. None of these may count as a key; what else they
 * could be taken for is letters.
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <string.h>

enum { SHORT, LONG, IDS };
enum { ID_KEYS = 1 };

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x000c, 1),
};

static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 1, 1),
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 64, 4),
};

static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};

static const uint8_t ids_config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 0, 0),
	GK_HID_BYTES(GK_BITMAP_REPORT_DESC_LEN),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 64, 4),
};

static const uint8_t ids_report_desc[] = {
	GK_BITMAP_REPORT_DESC(ID_KEYS),
};

_Static_assert(sizeof(ids_report_desc) == GK_BITMAP_REPORT_DESC_LEN,
	       "a report descriptor of another length");

static const struct gk_desc descs[] = {
	GK_KEYBOARD_DESCS(device_desc, config_desc, hid_desc),
};

static const struct gk_desc ids_descs[] = {
	GK_DESC(GK_DT_CONFIG, -1, ids_config_desc),
	GK_DESC(GK_DT_HID_REPORT, 0, ids_report_desc),
};

static const struct gk_variant reporters[] = {
	{ "report-short", "attack: reports of 0 to 7 bytes of 8", SHORT, NULL, 0 },
	{ "report-long", "attack: reports of 9 to 1024 bytes of 8", LONG, NULL, 0 },
	{ "report-ids", "attack: reports with ids it never declared", IDS,
	  ids_descs, 2 },
};

static int init(struct gk_vdev *dev)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	gk_keyboard_init(dev, 0, 0x81);
	if (gk_vdev_mode(dev) == IDS) {
		kbd->bitmap_only = true;
		kbd->extra_id = ID_KEYS;
		kbd->led_id = ID_KEYS;
	}
	return 0;
}

static int short_reports(struct gk_vdev *dev)
{
	/* Left Shift and the letters x, y, z, so far as they are sent. */
	static const uint8_t report[] = { 0x02, 0, 0x1b, 0x1c, 0x1d, 0, 0 };
	size_t len;
	int bad = 0;

	for (len = 0; len <= sizeof(report); len++)
		bad |= gk_vdev_queue(dev, 0x81, report, len, 5000, 0);
	return bad;
}

static int long_reports(struct gk_vdev *dev)
{
	static const uint16_t lengths[] = { 9, 16, 63, 64, 65, 512, 1024 };
	uint8_t report[1024];
	size_t i;
	int bad = 0;

	/* No key in the first eight bytes, the letter x in all others. */
	memset(report, 0x1b, sizeof(report));
	memset(report, 0, GK_BOOT_REPORT);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		bad |= gk_vdev_queue(dev, 0x81, report, lengths[i], 5000, 0);
	return bad;
}

static int unknown_ids(struct gk_vdev *dev)
{
	static const uint8_t ids[] = { 0, 2, 3, 0x7f, 0x80, 0xfe, 0xff };
	uint8_t report[GK_BITMAP_REPORT];
	size_t i;
	int bad = 0;

	for (i = 0; i < sizeof(ids); i++) {
		memset(report, 0xff, sizeof(report));
		report[0] = ids[i];
		bad |= gk_vdev_queue(dev, 0x81, report, sizeof(report), 5000, 0);
		bad |= gk_vdev_queue(dev, 0x81, report, 1, 5000, 0);
	}
	return bad;
}

/* What went before ends in "nothing is pressed", as declared. */
static int released(struct gk_vdev *dev, uint32_t token)
{
	static const uint8_t boot[GK_BOOT_REPORT];
	static const uint8_t bitmap[GK_BITMAP_REPORT] = { ID_KEYS };

	if (gk_vdev_mode(dev) == IDS)
		return gk_vdev_queue(dev, 0x81, bitmap, sizeof(bitmap), 5000,
				     token);
	return gk_vdev_queue(dev, 0x81, boot, sizeof(boot), 5000, token);
}

static enum gk_command_result command(struct gk_vdev *dev, const char *verb,
				      const char *args, struct gk_reply *reply)
{
	int bad;

	if (strcmp(verb, "attack"))
		return gk_keyboard_command(dev, verb, args, reply);
	reply->token = gk_vdev_token(dev);
	bad = gk_vdev_mode(dev) == SHORT ? short_reports(dev) :
	      gk_vdev_mode(dev) == LONG ? long_reports(dev) : unknown_ids(dev);
	bad |= released(dev, reply->token);
	return bad ? GK_CMD_ERROR : GK_CMD_WAIT;
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct gk_keyboard),
	.init = init,
	.control = gk_keyboard_control,
	.reset = gk_keyboard_reset,
	.polled = gk_keyboard_polled,
	.sent = gk_keyboard_sent,
	.plugged = gk_keyboard_plugged,
	.command = command,
};
GK_VARIANTS(common, reporters);
