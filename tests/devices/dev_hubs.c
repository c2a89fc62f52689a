/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hub-*: devices that say they are hubs (USB 2.0 chapter 11) and are not, and
 * one hub whose ports are always full of devices that do not exist.
 */
#include "bytes.h"
#include "hid_keyboard.h"

enum { STALLS, SILENT, MANY_PORTS, GHOSTS, WITH_KEYBOARD };

/* USB 2.0 tables 11-16 and 11-17 */
enum { REQ_GET_STATUS = 0, REQ_CLEAR_FEATURE = 1, REQ_SET_FEATURE = 3,
       REQ_GET_DESCRIPTOR = 6 };
enum { PORT_ENABLE = 1, PORT_RESET = 4, PORT_POWER = 8, C_PORT_CONNECTION = 16,
       C_PORT_RESET = 20 };
enum { DT_HUB = 0x29 };

/* USB 2.0 tables 11-21 and 11-22 */
enum { STATUS_CONNECTION = 0x0001, STATUS_ENABLE = 0x0002,
       STATUS_POWER = 0x0100 };

#define PORTS		4
#define AGAIN_US	1000000u

struct state {
	struct gk_keyboard keyboard;	/* first, for GK_KEYBOARD_CALLBACKS */
	struct gk_vdev *dev;
	struct gk_timer timer;
	uint16_t status[PORTS + 1], change[PORTS + 1];
};

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(9, 64, 0x1209, 0x0008, 1),
};

static const uint8_t composite_device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x0009, 1),
};

static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_CONFIG_LEN + GK_INTERFACE_LEN + GK_ENDPOINT_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 9, 0, 0),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 1, 12),
};

static const uint8_t composite_config_desc[] = {
	GK_CONFIG_BYTES(GK_CONFIG_LEN + GK_INTERFACE_LEN + GK_ENDPOINT_LEN +
			GK_HID_FUNCTION_LEN, 2),
	GK_INTERFACE_BYTES(0, 0, 1, 9, 0, 0),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 1, 12),
	GK_KEYBOARD_BYTES(1, 0x82),
};

static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};

static const struct gk_desc descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, device_desc),
	GK_DESC(GK_DT_CONFIG, -1, config_desc),
};

static const struct gk_desc composite_descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, composite_device_desc),
	GK_DESC(GK_DT_CONFIG, -1, composite_config_desc),
	GK_DESC(GK_DT_HID, 1, hid_desc),
	GK_DESC(GK_DT_HID_REPORT, 1, gk_boot_keyboard_report_desc),
};

static const struct gk_variant hubs[] = {
	{ "hub-false", "a hub that knows no request of a hub", STALLS, NULL, 0 },
	{ "hub-silent", "a hub that answers no request of a hub", SILENT, NULL, 0 },
	{ "hub-ports", "a hub of 255 ports", MANY_PORTS, NULL, 0 },
	{ "hub-ghosts", "a hub of 4 ports with devices that are not there",
	  GHOSTS, NULL, 0 },
	{ "hub-keyboard", "a false hub and a keyboard in one device",
	  WITH_KEYBOARD, composite_descs, 4 },
};

static void plug_all(void *arg)
{
	struct state *s = arg;
	uint8_t bits = 0;
	unsigned int i;

	for (i = 1; i <= PORTS; i++) {
		s->status[i] = STATUS_POWER | STATUS_CONNECTION;
		s->change[i] = 1;
		bits = (uint8_t)(bits | 1u << i);
	}
	if (gk_vdev_polled(s->dev, 0x81) && !gk_vdev_queued(s->dev, 0x81))
		gk_vdev_queue(s->dev, 0x81, &bits, 1, 0, 0);
	gk_vdev_timer(s->dev, &s->timer, AGAIN_US);
}

static int init(struct gk_vdev *dev)
{
	struct state *s = gk_vdev_state(dev);

	gk_keyboard_init(dev, 1, 0x82);
	s->dev = dev;
	s->timer = (struct gk_timer){ .fire = plug_all, .arg = s };
	if (gk_vdev_mode(dev) == GHOSTS)
		plug_all(s);
	return 0;
}

static void done(struct gk_vdev *dev)
{
	struct state *s = gk_vdev_state(dev);

	gk_vdev_timer_stop(dev, &s->timer);
}

static void port_feature(struct state *s, unsigned int port,
			 unsigned int feature, bool set)
{
	uint16_t *status = &s->status[port], *change = &s->change[port];
	uint8_t bits = (uint8_t)(1u << port);

	if (set && feature == PORT_RESET) {
		*status |= STATUS_ENABLE;
		*change |= 1u << (C_PORT_RESET - C_PORT_CONNECTION);
		gk_vdev_queue(s->dev, 0x81, &bits, 1, 0, 0);
	} else if (!set && feature == PORT_ENABLE) {
		*status &= (uint16_t)~STATUS_ENABLE;
	} else if (!set && feature >= C_PORT_CONNECTION &&
		   feature <= C_PORT_RESET) {
		*change &= (uint16_t)~(1u << (feature - C_PORT_CONNECTION));
	}
}

/* As much of 11.24 as keeps a host busy. */
static void ghosts(struct state *s, const struct gk_setup *setup,
		   struct gk_answer *answer)
{
	static const uint8_t hub[] = {
		9, DT_HUB, PORTS, GK_LE16(0x0009), 10, 0, 0, 0xff,
	};
	static const uint8_t hub_status[4] = { 0 };
	unsigned int port = setup->index & 0xff;
	uint8_t status[4];

	if (port > PORTS)
		return;
	if (setup->type == 0xa0 && setup->request == REQ_GET_DESCRIPTOR) {
		gk_answer_data(answer, hub, sizeof(hub));
	} else if (setup->type == 0xa0 && setup->request == REQ_GET_STATUS) {
		gk_answer_data(answer, hub_status, sizeof(hub_status));
	} else if (setup->type == 0xa3 && setup->request == REQ_GET_STATUS) {
		status[0] = (uint8_t)(s->status[port] & 0xff);
		status[1] = (uint8_t)(s->status[port] >> 8);
		status[2] = (uint8_t)(s->change[port] & 0xff);
		status[3] = (uint8_t)(s->change[port] >> 8);
		gk_answer_data(answer, status, sizeof(status));
	} else if ((setup->type & 0x7f) == 0x23 || setup->type == 0x20) {
		if (setup->type == 0x23)
			port_feature(s, port, setup->value,
				     setup->request == REQ_SET_FEATURE);
		answer->verdict = GK_DATA;
	}
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	static const uint8_t many[] = {
		9, DT_HUB, 255, GK_LE16(0x0009), 10, 0, 0, 0xff,
	};
	bool of_hub = (setup->type & 0x60) == 0x20;

	switch (gk_vdev_mode(dev)) {
	case SILENT:
		if (of_hub)
			answer->verdict = GK_NEVER;
		break;
	case MANY_PORTS:
		if (setup->type == 0xa0 && setup->request == REQ_GET_DESCRIPTOR)
			gk_answer_data(answer, many, sizeof(many));
		break;
	case GHOSTS:
		ghosts(gk_vdev_state(dev), setup, answer);
		break;
	case WITH_KEYBOARD:
		gk_keyboard_control(dev, setup, out, answer);
		break;
	default:
		break;
	}
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct state),
	.init = init,
	.done = done,
	.control = control,
	GK_KEYBOARD_CALLBACKS,
};
GK_VARIANTS(common, hubs);
