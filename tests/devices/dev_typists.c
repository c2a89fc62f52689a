/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot keyboards that type as nobody does; `attack [SECONDS]` in a script sets
 * them off and is answered when the last report was taken. The keys of those that
 * press many have no character on a US console (Henkan and its like), so that a
 * test can tell what they do to others from what they type.
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEADY, FLOOD, FLOOD_8K, STUCK, SYSRQ };
enum { EP_KEYS = 0x81, EP_SYSTEM = 0x82 };
enum { ID_SYSTEM = 1, ID_CONSUMER = 2 };

/* HID Usage Tables 1.3 section 10 */
enum { USAGE_A = 0x04, USAGE_B = 0x05, USAGE_SYSRQ = 0x46, USAGE_PAUSE = 0x48,
       USAGE_DELETE = 0x4c, USAGE_POWER = 0x66, USAGE_F1 = 0x3a,
       USAGE_HENKAN = 0x8a };

/* How late `steady` may be and still keep its rate: more than a busy machine takes
 * away at a time, and few enough reports at once for QEMU's queue of 1,000. */
enum { MAKE_UP_US = 100000 };

/* Byte 0 of a boot report */
enum { LEFT_CTRL = 0x01, LEFT_ALT = 0x04 };

static const uint8_t quiet_keys[6] = { 0x8a, 0x8b, 0x92, 0x93, 0x94, 0x88 };

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x000b, 1),
};

/* At high speed: bInterval 1 is 125 us (USB 2.0 9.6.6). */
static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 1, 1),
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
	GK_ENDPOINT_BYTES(EP_KEYS, GK_INTERRUPT, 8, 1),
};

static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};

static const uint8_t system_report_desc[] = {
	0x05, 0x01, 0x09, 0x80, 0xa1, 0x01,	/* System Control */
	0x85, ID_SYSTEM,
	0x19, 0x81, 0x29, 0x83,			/* Power Down to Wake Up */
	0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x03, 0x81, 0x02,
	0x95, 0x05, 0x81, 0x01, 0xc0,
	0x05, 0x0c, 0x09, 0x01, 0xa1, 0x01,	/* Consumer Control */
	0x85, ID_CONSUMER,
	0x15, 0x00, 0x26, 0x3c, 0x02, 0x19, 0x00, 0x2a, 0x3c, 0x02,
	0x75, 0x10, 0x95, 0x01, 0x81, 0x00, 0xc0,
};

static const uint8_t system_config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN + GK_HID_FUNCTION_LEN, 2),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 1, 1),
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
	GK_ENDPOINT_BYTES(EP_KEYS, GK_INTERRUPT, 8, 7),
	GK_INTERFACE_BYTES(1, 0, 1, 3, 0, 0),
	GK_HID_BYTES(sizeof(system_report_desc)),
	GK_ENDPOINT_BYTES(EP_SYSTEM, GK_INTERRUPT, 8, 7),
};

static const struct gk_desc descs[] = {
	GK_KEYBOARD_DESCS(device_desc, config_desc, hid_desc),
};

static const struct gk_desc system_descs[] = {
	GK_DESC(GK_DT_CONFIG, -1, system_config_desc),
	GK_DESC(GK_DT_HID_REPORT, 1, system_report_desc),
};

static const struct gk_variant typists[] = {
	{ "steady", "attack: 1,000 reports a second, the keys in no order", STEADY,
	  NULL, 0 },
	{ "flood", "attack: 1,000 keys a second", FLOOD, NULL, 0 },
	{ "flood-8k", "attack: 8,000 reports a second, six keys in each", FLOOD_8K,
	  NULL, 0 },
	{ "never-release", "attack: the keys a to f down, and never up", STUCK, NULL,
	  0 },
	{ "sysrq", "attack: SysRq, Ctrl-Alt-Del, power and sleep keys", SYSRQ,
	  system_descs, 2 },
};

static int init(struct gk_vdev *dev)
{
	gk_keyboard_init(dev, 0, EP_KEYS);
	return 0;
}

static int boot(struct gk_vdev *dev, uint8_t modifiers, uint8_t key,
		unsigned int gap_us, uint32_t token)
{
	const uint8_t report[GK_BOOT_REPORT] = { modifiers, 0, key };

	return gk_vdev_queue(dev, EP_KEYS, report, sizeof(report), gap_us, token);
}

/* Down and up `pairs` times, so many reports a second. */
static int flood(struct gk_vdev *dev, unsigned long pairs, unsigned int rate,
		 size_t keys, uint32_t token)
{
	static const uint8_t none[GK_BOOT_REPORT];
	uint8_t report[GK_BOOT_REPORT] = { 0 };
	unsigned int gap = 1000000u / rate;
	unsigned long i;

	memcpy(report + 2, quiet_keys, keys);
	for (i = 0; i < pairs; i++) {
		if (gk_vdev_queue(dev, EP_KEYS, report, sizeof(report), gap, 0) < 0)
			return -1;
		if (gk_vdev_queue(dev, EP_KEYS, none, sizeof(none), gap,
				  i + 1 == pairs ? token : 0) < 0)
			return -1;
	}
	return 0;
}

/* The same keys in the same disorder each time (a linear congruence). */
static int steady(struct gk_vdev *dev, unsigned long pairs, uint32_t token)
{
	uint32_t n = 1;
	int bad = 0;

	gk_vdev_make_up(dev, EP_KEYS, MAKE_UP_US);
	for (unsigned long i = 0; i < pairs; i++) {
		n = n * 1664525u + 1013904223u;
		bad |= boot(dev, 0, quiet_keys[(n >> 16) % sizeof(quiet_keys)], 1000, 0);
		bad |= boot(dev, 0, 0, 1000, i + 1 == pairs ? token : 0);
	}
	return bad;
}

static int stuck(struct gk_vdev *dev, uint32_t token)
{
	static const uint8_t report[GK_BOOT_REPORT] = {
		0, 0, USAGE_A, USAGE_B, 0x06, 0x07, 0x08, 0x09,
	};

	return gk_vdev_queue(dev, EP_KEYS, report, sizeof(report), 0, token);
}

/* Each is pressed and let go, as by a person who knows what it does. */
static int sysrq(struct gk_vdev *dev, uint32_t token)
{
	static const struct {
		uint8_t modifiers, key;
	} chords[] = {
		{ LEFT_ALT, USAGE_SYSRQ },
		{ LEFT_CTRL | LEFT_ALT, USAGE_DELETE },
		{ 0, USAGE_POWER },
		{ LEFT_CTRL, USAGE_PAUSE },
		{ LEFT_CTRL | LEFT_ALT, USAGE_F1 + 4 },
		{ LEFT_ALT, USAGE_F1 + 4 },
		{ 0, 0xf8 },		/* sleep, as Linux reads it */
		{ 0, 0xf9 },		/* lock */
	};
	static const uint8_t system[][2] = {
		{ ID_SYSTEM, 0x01 }, { ID_SYSTEM, 0 }, { ID_SYSTEM, 0x02 },
		{ ID_SYSTEM, 0 },
	};
	static const uint8_t consumer[][3] = {
		{ ID_CONSUMER, 0x30, 0 }, { ID_CONSUMER, 0, 0 },	/* power */
		{ ID_CONSUMER, 0x32, 0 }, { ID_CONSUMER, 0, 0 },	/* sleep */
	};
	const uint8_t sysrq_b[GK_BOOT_REPORT] = {
		LEFT_ALT, 0, USAGE_SYSRQ, USAGE_B,
	};
	size_t i;
	int bad = 0;

	for (i = 0; i < 4 && gk_vdev_polled(dev, EP_SYSTEM); i++) {
		bad |= gk_vdev_queue(dev, EP_SYSTEM, system[i], 2, 20000, 0);
		bad |= gk_vdev_queue(dev, EP_SYSTEM, consumer[i], 3, 20000, 0);
	}
	bad |= boot(dev, LEFT_ALT, USAGE_SYSRQ, 20000, 0);
	bad |= gk_vdev_queue(dev, EP_KEYS, sysrq_b, sizeof(sysrq_b), 20000, 0);
	bad |= boot(dev, 0, 0, 20000, 0);
	for (i = 0; i < sizeof(chords) / sizeof(chords[0]); i++) {
		bad |= boot(dev, chords[i].modifiers, 0, 20000, 0);
		bad |= boot(dev, chords[i].modifiers, chords[i].key, 20000, 0);
		bad |= boot(dev, chords[i].modifiers, 0, 20000, 0);
		bad |= boot(dev, 0, 0, 20000, 0);
	}
	bad |= boot(dev, 0, 0, 20000, token);
	return bad;
}

static enum gk_command_result attack(struct gk_vdev *dev, const char *args,
				     struct gk_reply *reply)
{
	unsigned long seconds = *args ? strtoul(args, NULL, 10) : 3;
	unsigned long most = gk_vdev_mode(dev) == STEADY ? 10 : 8;
	int bad = 0;

	if (!gk_vdev_is_plugged(dev) || !seconds || seconds > most) {
		if (seconds && seconds <= most)
			snprintf(reply->text, sizeof(reply->text), "unplugged");
		else
			snprintf(reply->text, sizeof(reply->text),
				 "attack [1..%lu SECONDS]", most);
		return GK_CMD_ERROR;
	}
	reply->token = gk_vdev_token(dev);
	switch (gk_vdev_mode(dev)) {
	case STEADY:
		bad = steady(dev, 500 * seconds, reply->token);
		break;
	case FLOOD:
		bad = flood(dev, 1000 * seconds, 2000, 1, reply->token);
		break;
	case FLOOD_8K:
		/* the queue holds four seconds of it */
		if (seconds > 4)
			seconds = 4;
		bad = flood(dev, 4000 * seconds, 8000, 6, reply->token);
		break;
	case STUCK:
		bad = stuck(dev, reply->token);
		break;
	case SYSRQ:
		bad = sysrq(dev, reply->token);
		break;
	default:
		break;
	}
	if (!bad)
		return GK_CMD_WAIT;
	snprintf(reply->text, sizeof(reply->text), "queue full");
	return GK_CMD_ERROR;
}

static enum gk_command_result command(struct gk_vdev *dev, const char *verb,
				      const char *args, struct gk_reply *reply)
{
	if (!strcmp(verb, "attack"))
		return attack(dev, args, reply);
	return gk_keyboard_command(dev, verb, args, reply);
}

/* The second interface of `sysrq` takes what HID asks of it. */
static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	gk_keyboard_control(dev, setup, out, answer);
	if (setup->index == 1 && setup->type == 0x21)
		answer->verdict = GK_DATA;
}

static const struct gk_kind common = {
	GK_RAW(GK_HIGH, descs),
	.unpaced = true,
	.state_size = sizeof(struct gk_keyboard),
	.init = init,
	.control = control,
	.reset = gk_keyboard_reset,
	.polled = gk_keyboard_polled,
	.sent = gk_keyboard_sent,
	.plugged = gk_keyboard_plugged,
	.command = command,
};
GK_VARIANTS(common, typists);
