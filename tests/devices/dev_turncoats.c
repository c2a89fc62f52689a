/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * turncoat-*: a boot keyboard that becomes, at a moment of its own choice, a
 * keyboard with a storage interface. `turn` in a script: now, and in again.
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <string.h>

enum { BY_SCRIPT, READS, DEVICE, CONFIGURED, RESET, POLLED, REPORT };

/* Long enough that it has been admitted by then. */
#define POLLED_US	3000000u

struct state {
	struct gk_keyboard keyboard;	/* first, for GK_KEYBOARD_CALLBACKS */
	struct gk_vdev *dev;
	struct gk_timer timer;
	unsigned int reads;
	bool was_configured, turned;
};

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x0006, 1),
};

static const uint8_t config_desc[] = { GK_KEYBOARD_CONFIG_BYTES };

#define STORAGE_LEN	(GK_INTERFACE_LEN + 2 * GK_ENDPOINT_LEN)

static const uint8_t turned_config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN + STORAGE_LEN, 2),
	GK_KEYBOARD_BYTES(0, 0x81),
	GK_INTERFACE_BYTES(1, 0, 2, 8, 6, 0x50),
	GK_ENDPOINT_BYTES(0x82, GK_BULK, 64, 0),
	GK_ENDPOINT_BYTES(0x02, GK_BULK, 64, 0),
};

/* As long as the keyboard's, so that only the bytes tell. */
static const uint8_t storage_config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 2, 8, 6, 0x50),
	GK_ENDPOINT_BYTES(0x81, GK_BULK, 64, 0),
	GK_ENDPOINT_BYTES(0x02, GK_BULK, 64, 0),
	2, 0x40,
};

static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};

/* The keyboard not as a boot device, so that its report descriptor matters. */
static const uint8_t report_config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 0, 0),
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 8, 10),
};

/* 65 bytes: a mouse, a vendor page, and padding. */
static const uint8_t other_report_desc[sizeof(gk_boot_keyboard_report_desc)] = {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x05, 0x09,
	0x19, 0x01, 0x29, 0x08, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08,
	0x81, 0x02, 0xc0, 0xc0, 0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0xc0,
};

static const struct gk_desc descs[] = {
	GK_KEYBOARD_DESCS(device_desc, config_desc, hid_desc),
};

static const struct gk_desc report_descs[] = {
	GK_DESC(GK_DT_CONFIG, -1, report_config_desc),
};

static const struct gk_variant turncoats[] = {
	{ "turncoat", "a keyboard, then one with storage: by script", BY_SCRIPT,
	  NULL, 0 },
	{ "turncoat-reads", "its configuration differs at every second read",
	  READS, NULL, 0 },
	{ "turncoat-device", "its release number counts its own reads", DEVICE,
	  NULL, 0 },
	{ "turncoat-set", "other descriptors once it was configured", CONFIGURED,
	  NULL, 0 },
	{ "turncoat-reset", "other descriptors after the next reset", RESET,
	  NULL, 0 },
	{ "turncoat-poll", "out and in as another, 3 s after it is polled",
	  POLLED, NULL, 0 },
	{ "turncoat-report", "its report descriptor is another at every read",
	  REPORT, report_descs, 1 },
};

static void turn(struct state *s)
{
	uint8_t *device = gk_vdev_desc(s->dev, GK_DT_DEVICE, 0, -1, NULL);

	s->turned = true;
	gk_vdev_set_desc(s->dev, GK_DT_CONFIG, 0, -1, turned_config_desc,
			 sizeof(turned_config_desc));
	if (device)
		device[11] |= 0x80;
}

static void turn_and_replug(void *arg)
{
	struct state *s = arg;

	turn(s);
	gk_vdev_unplug(s->dev);
	gk_vdev_plug(s->dev);
}

static int init(struct gk_vdev *dev)
{
	struct state *s = gk_vdev_state(dev);

	gk_keyboard_init(dev, 0, 0x81);
	s->dev = dev;
	s->timer = (struct gk_timer){ .fire = turn_and_replug, .arg = s };
	return 0;
}

static void done(struct gk_vdev *dev)
{
	struct state *s = gk_vdev_state(dev);

	gk_vdev_timer_stop(dev, &s->timer);
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	struct state *s = gk_vdev_state(dev);
	uint8_t type = (uint8_t)(setup->value >> 8);
	uint8_t *device;

	gk_keyboard_control(dev, setup, out, answer);
	if ((setup->type & 0xe0) != 0x80 || setup->request != 6)
		return;
	switch (gk_vdev_mode(dev)) {
	case READS:
		if (type == GK_DT_CONFIG && ++s->reads % 2 == 0)
			gk_answer_data(answer, storage_config_desc,
				       sizeof(storage_config_desc));
		break;
	case DEVICE:
		device = gk_vdev_desc(dev, GK_DT_DEVICE, 0, -1, NULL);
		if (type == GK_DT_DEVICE && device)
			device[12]++;
		break;
	case REPORT:
		if (type == GK_DT_HID_REPORT && ++s->reads % 2 == 0)
			gk_answer_data(answer, other_report_desc,
				       sizeof(other_report_desc));
		break;
	default:
		break;
	}
}

static void configured(struct gk_vdev *dev, uint8_t value,
		       struct gk_answer *answer)
{
	struct state *s = gk_vdev_state(dev);

	(void)answer;
	if (!value)
		return;
	s->was_configured = true;
	if (gk_vdev_mode(dev) == CONFIGURED)
		turn(s);
}

static void reset(struct gk_vdev *dev)
{
	struct state *s = gk_vdev_state(dev);

	gk_keyboard_reset(dev);
	if (gk_vdev_mode(dev) == RESET && s->was_configured && !s->turned)
		turn(s);
}

static void polled(struct gk_vdev *dev, uint8_t ep, bool on)
{
	struct state *s = gk_vdev_state(dev);

	gk_keyboard_polled(dev, ep, on);
	if (gk_vdev_mode(dev) != POLLED || s->turned)
		return;
	gk_vdev_timer_stop(dev, &s->timer);
	if (on)
		gk_vdev_timer(dev, &s->timer, POLLED_US);
}

static enum gk_command_result command(struct gk_vdev *dev, const char *verb,
				      const char *args, struct gk_reply *reply)
{
	if (strcmp(verb, "turn"))
		return gk_keyboard_command(dev, verb, args, reply);
	turn_and_replug(gk_vdev_state(dev));
	return GK_CMD_OK;
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct state),
	.init = init,
	.done = done,
	.control = control,
	.configured = configured,
	.reset = reset,
	.polled = polled,
	.sent = gk_keyboard_sent,
	.plugged = gk_keyboard_plugged,
	.command = command,
};
GK_VARIANTS(common, turncoats);
