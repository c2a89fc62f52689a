/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bomb-*: boot keyboards with more of everything than a host expects. Linux
 * looks at 8 configurations, 32 interfaces, 128 alternate settings and 30
 * endpoints (drivers/usb/core/config.c); QEMU passes 4096 bytes in an answer.
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <string.h>

enum { CONFIGS, BIG_CONFIGS, INTERFACES, ALTERNATES, ENDPOINTS, UNKNOWN,
       HIDS, ASSOCIATIONS };

#define MAX	4096

struct state {
	struct gk_keyboard keyboard;	/* first, for GK_KEYBOARD_CALLBACKS */
	size_t len;
	uint8_t config[MAX];
};

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x0005, 1),
};

static const uint8_t many_device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x0005, 255),
};

static const uint8_t four_device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x0005, 4),
};

static const uint8_t config_desc[] = { GK_KEYBOARD_CONFIG_BYTES };
static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};

static const struct gk_desc descs[] = {
	GK_KEYBOARD_DESCS(device_desc, config_desc, hid_desc),
};

static const struct gk_desc many[] = {
	GK_DESC(GK_DT_DEVICE, -1, many_device_desc),
};

static const struct gk_desc four[] = {
	GK_DESC(GK_DT_DEVICE, -1, four_device_desc),
};

static const struct gk_variant bombs[] = {
	{ "bomb-configs", "255 configurations", CONFIGS, many, 1 },
	{ "bomb-big", "255 configurations of 4096 bytes", BIG_CONFIGS, many, 1 },
	{ "bomb-interfaces", "255 interfaces", INTERFACES, NULL, 0 },
	{ "bomb-alternates", "256 alternate settings", ALTERNATES, NULL, 0 },
	{ "bomb-endpoints", "255 endpoints in an interface", ENDPOINTS, NULL, 0 },
	{ "bomb-unknown", "four times 2,000 descriptors of no known type", UNKNOWN,
	  four, 1 },
	{ "bomb-hids", "400 HID descriptors in an interface", HIDS, NULL, 0 },
	{ "bomb-groups", "500 interface associations", ASSOCIATIONS, NULL, 0 },
};

static void add(struct state *s, const uint8_t *bytes, size_t len)
{
	if (s->len + len > MAX)
		return;
	memcpy(s->config + s->len, bytes, len);
	s->len += len;
}

static void add_many(struct state *s, int mode)
{
	uint8_t interface[] = { GK_INTERFACE_BYTES(0, 0, 0, 0xff, 0, 0) };
	uint8_t endpoint[] = { GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 8, 10) };
	static const uint8_t association[] = { 8, 11, 0, 255, 3, 1, 1, 0 };
	static const uint8_t unknown[] = { 2, 0x40 };
	unsigned int i;

	switch (mode) {
	case INTERFACES:
		s->config[4] = 255;
		for (i = 1; i < 255; i++) {
			interface[2] = (uint8_t)i;
			add(s, interface, sizeof(interface));
		}
		break;
	case ALTERNATES:
		for (i = 1; i < 256; i++) {
			interface[3] = (uint8_t)i;
			add(s, interface, sizeof(interface));
		}
		break;
	case ENDPOINTS:
		s->config[GK_CONFIG_LEN + 4] = 255;
		for (i = 1; i < 255; i++) {
			endpoint[2] = (uint8_t)(i * 3);
			add(s, endpoint, sizeof(endpoint));
		}
		break;
	case UNKNOWN:
		for (i = 0; i < 2000; i++)
			add(s, unknown, sizeof(unknown));
		break;
	case HIDS:
		for (i = 0; i < 400; i++)
			add(s, hid_desc, sizeof(hid_desc));
		break;
	case ASSOCIATIONS:
		for (i = 0; i < 500; i++)
			add(s, association, sizeof(association));
		break;
	case BIG_CONFIGS:
		while (s->len + 255 <= MAX) {
			s->config[s->len] = 255;
			s->config[s->len + 1] = 0x40;
			s->len += 255;
		}
		break;
	default:
		break;
	}
}

static int init(struct gk_vdev *dev)
{
	struct state *s = gk_vdev_state(dev);

	gk_keyboard_init(dev, 0, 0x81);
	add(s, config_desc, sizeof(config_desc));
	add_many(s, gk_vdev_mode(dev));
	s->config[2] = (uint8_t)(s->len & 0xff);
	s->config[3] = (uint8_t)(s->len >> 8);
	return gk_vdev_set_desc(dev, GK_DT_CONFIG, 0, -1, s->config, s->len);
}

/* All configurations are the same but for bConfigurationValue. */
static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	struct state *s = gk_vdev_state(dev);

	gk_keyboard_control(dev, setup, out, answer);
	if (setup->type != 0x80 || setup->request != 6 ||
	    setup->value >> 8 != GK_DT_CONFIG)
		return;
	gk_answer_data(answer, s->config, s->len);
	answer->data[5] = (uint8_t)(setup->value + 1);
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct state),
	.init = init,
	.control = control,
	GK_KEYBOARD_CALLBACKS,
};
GK_VARIANTS(common, bombs);
