/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * liar-*: boot keyboards whose device or configuration descriptor says of
 * lengths and counts what is not so (USB 2.0 9.6.1 to 9.6.6).
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <string.h>

enum { MODE_PLAIN, MODE_OVERLONG, MODE_CUT, MODE_STRINGS };

#define KEYBOARD_INTERFACE	GK_INTERFACE_BYTES(0, 0, 1, 3, 1, 1)
#define KEYBOARD_HID	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc))
#define KEYBOARD_ENDPOINT	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 8, 10)
#define TOTAL	GK_KEYBOARD_CONFIG_LEN

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 8, 0x1209, 0x0004, 1),
};

static const uint8_t config_desc[] = { GK_KEYBOARD_CONFIG_BYTES };
static const uint8_t hid_desc[] = { KEYBOARD_HID };

static const struct gk_desc descs[] = {
	GK_KEYBOARD_DESCS(device_desc, config_desc, hid_desc),
};

static const uint8_t zero[] = {
	GK_CONFIG_BYTES(TOTAL, 1), KEYBOARD_INTERFACE, KEYBOARD_HID,
	0, GK_DT_ENDPOINT, 0x81, GK_INTERRUPT, GK_LE16(8), 10,
};

static const uint8_t one[] = {
	GK_CONFIG_BYTES(TOTAL + 1, 1), KEYBOARD_INTERFACE, 1, KEYBOARD_HID,
	KEYBOARD_ENDPOINT,
};

static const uint8_t past[] = {
	GK_CONFIG_BYTES(TOTAL, 1), KEYBOARD_INTERFACE, KEYBOARD_HID,
	255, GK_DT_ENDPOINT, 0x81, GK_INTERRUPT, GK_LE16(8), 10,
};

static const uint8_t config_length[] = {
	200, GK_DT_CONFIG, GK_LE16(TOTAL), 1, 1, 0, 0x80, 50,
	KEYBOARD_INTERFACE, KEYBOARD_HID, KEYBOARD_ENDPOINT,
};

static const uint8_t total_long[] = {
	GK_CONFIG_BYTES(4000, 1), KEYBOARD_INTERFACE, KEYBOARD_HID,
	KEYBOARD_ENDPOINT,
};

static const uint8_t total_max[] = {
	GK_CONFIG_BYTES(0xffff, 1), KEYBOARD_INTERFACE, KEYBOARD_HID,
	KEYBOARD_ENDPOINT,
};

/* In the middle of the HID descriptor. */
static const uint8_t total_short[] = {
	GK_CONFIG_BYTES(GK_CONFIG_LEN + GK_INTERFACE_LEN + 4, 1),
	KEYBOARD_INTERFACE, KEYBOARD_HID, KEYBOARD_ENDPOINT,
};

static const uint8_t total_zero[] = {
	GK_CONFIG_BYTES(0, 1), KEYBOARD_INTERFACE, KEYBOARD_HID,
	KEYBOARD_ENDPOINT,
};

static const uint8_t interfaces[] = {
	GK_CONFIG_BYTES(TOTAL, 5), KEYBOARD_INTERFACE, KEYBOARD_HID,
	KEYBOARD_ENDPOINT,
};

static const uint8_t endpoints[] = {
	GK_CONFIG_BYTES(TOTAL + 2 * GK_ENDPOINT_LEN, 1), KEYBOARD_INTERFACE,
	KEYBOARD_HID, KEYBOARD_ENDPOINT,
	GK_ENDPOINT_BYTES(0x82, GK_INTERRUPT, 8, 10),
	GK_ENDPOINT_BYTES(0x83, GK_INTERRUPT, 8, 10),
};

static const uint8_t no_endpoint[] = {
	GK_CONFIG_BYTES(TOTAL - GK_ENDPOINT_LEN, 1), KEYBOARD_INTERFACE,
	KEYBOARD_HID,
};

static const uint8_t short_interface[] = {
	GK_CONFIG_BYTES(TOTAL - 4, 1), 5, GK_DT_INTERFACE, 0, 0, 1,
	KEYBOARD_HID, KEYBOARD_ENDPOINT,
};

static const uint8_t short_hid[] = {
	GK_CONFIG_BYTES(TOTAL - 3, 1), KEYBOARD_INTERFACE,
	6, GK_DT_HID, GK_LE16(0x0111), 0, 1, KEYBOARD_ENDPOINT,
};

static const uint8_t no_configs[] = {
	GK_DEVICE_BYTES(0, 8, 0x1209, 0x0004, 0),
};

static const uint8_t short_device[] = { 8, GK_DT_DEVICE, GK_LE16(0x0200), 0, 0, 0, 8 };

#define CONFIG(array) \
	MODE_PLAIN, \
	(const struct gk_desc[]){ GK_DESC(GK_DT_CONFIG, -1, array) }, 1

#define DEVICE(array) \
	MODE_PLAIN, \
	(const struct gk_desc[]){ GK_DESC(GK_DT_DEVICE, -1, array) }, 1

static const struct gk_variant liars[] = {
	{ "liar-zero", "an endpoint of bLength 0", CONFIG(zero) },
	{ "liar-one", "a descriptor of bLength 1", CONFIG(one) },
	{ "liar-past", "an endpoint that is longer than what is there",
	  CONFIG(past) },
	{ "liar-config", "a configuration of bLength 200", CONFIG(config_length) },
	{ "liar-total-long", "wTotalLength 4000 of 34", CONFIG(total_long) },
	{ "liar-total-max", "wTotalLength 65535 of 34", CONFIG(total_max) },
	{ "liar-total-short", "wTotalLength within a descriptor",
	  CONFIG(total_short) },
	{ "liar-total-zero", "wTotalLength 0", CONFIG(total_zero) },
	{ "liar-interfaces", "five interfaces, of which one is there",
	  CONFIG(interfaces) },
	{ "liar-endpoints", "one endpoint, of which three are there",
	  CONFIG(endpoints) },
	{ "liar-no-endpoint", "one endpoint, and none is there",
	  CONFIG(no_endpoint) },
	{ "liar-interface", "an interface of bLength 5", CONFIG(short_interface) },
	{ "liar-hid", "a HID descriptor without a report descriptor",
	  CONFIG(short_hid) },
	{ "liar-no-configs", "no configuration at all", DEVICE(no_configs) },
	{ "liar-device", "a device descriptor of 8 bytes", DEVICE(short_device) },
	{ "liar-overlong", "more data than was asked for", MODE_OVERLONG, NULL, 0 },
	{ "liar-cut", "each descriptor without its last three bytes", MODE_CUT,
	  NULL, 0 },
	{ "liar-strings", "strings of bLength 0, 1 and 255", MODE_STRINGS, NULL, 0 },
};

/* The data that would be sent, and then some. */
static void overlong(struct gk_vdev *dev, const struct gk_setup *setup,
		     struct gk_answer *answer)
{
	const uint8_t *data;
	size_t len;

	data = gk_vdev_desc(dev, (uint8_t)(setup->value >> 8), 0, -1, &len);
	if (!data)
		return;
	gk_answer_data(answer, data, len);
	memset(answer->data + len, 0x41, 512);
	answer->len = len + 512;
	answer->overlong = true;
}

static void cut(struct gk_vdev *dev, const struct gk_setup *setup,
		struct gk_answer *answer)
{
	const uint8_t *data;
	size_t len;

	data = gk_vdev_desc(dev, (uint8_t)(setup->value >> 8), 0, -1, &len);
	if (!data)
		return;
	if (len > setup->length)
		len = setup->length;
	gk_answer_data(answer, data, len > 3 ? len - 3 : 0);
}

static void strings(const struct gk_setup *setup, struct gk_answer *answer)
{
	static const uint8_t bytes[][4] = {
		{ 255, GK_DT_STRING, 0x09, 0x04 },
		{ 0, GK_DT_STRING, 'A', 0 },
		{ 1, GK_DT_STRING, 'B', 0 },
		{ 255, GK_DT_STRING, 'C', 0xd8 },	/* half a surrogate */
	};

	if (setup->value >> 8 == GK_DT_STRING)
		gk_answer_data(answer, bytes[setup->value & 3], 4);
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	gk_keyboard_control(dev, setup, out, answer);
	if (setup->type != 0x80 || setup->request != 6)
		return;
	switch (gk_vdev_mode(dev)) {
	case MODE_OVERLONG:
		overlong(dev, setup, answer);
		break;
	case MODE_CUT:
		cut(dev, setup, answer);
		break;
	case MODE_STRINGS:
		strings(setup, answer);
		break;
	default:
		break;
	}
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct gk_keyboard),
	.init = gk_keyboard_init_alone,
	.control = control,
	GK_KEYBOARD_CALLBACKS,
};
GK_VARIANTS(common, liars);
