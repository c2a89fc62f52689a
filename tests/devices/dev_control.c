/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot keyboards that answer badly on endpoint 0: from the first request on,
 * or as soon as a host has what it needs to believe in them.
 */
#include "bytes.h"
#include "hid_keyboard.h"

#include <time.h>

enum { STALL_ALL, NEVER_ALL, LATE_ALL, STALL_CLASS, NEVER_CLASS, NEVER_SET,
       STALL_SET, HALTED, STUMBLES, OTHER_LAYOUT };

/* From the first SET_CONFIGURATION on that one stalls, however often it is asked: for
 * less than the second after which the gate tries once more. */
enum { STUMBLES_MS = 700, ID_KEYS = 1 };

struct state {
	struct gk_keyboard kbd;
	long first_ms;		/* of SET_CONFIGURATION, 0: none yet */
};

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* More than the 500 ms of USB 2.0 9.2.6.4; Linux waits 5 s. */
#define LATE_MS	700

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x000e, 1),
};

static const uint8_t config_desc[] = { GK_KEYBOARD_CONFIG_BYTES };
static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};

static const struct gk_desc descs[] = {
	GK_KEYBOARD_DESCS(device_desc, config_desc, hid_desc),
};

/* The boot subclass, and in the report protocol a bitmap behind a report id. */
static const uint8_t other_config_desc[] = {
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1),
	GK_INTERFACE_BYTES(0, 0, 1, 3, 1, 1),
	GK_HID_BYTES(GK_BITMAP_REPORT_DESC_LEN),
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 64, 4),
};

static const uint8_t other_report_desc[] = {
	GK_BITMAP_REPORT_DESC(ID_KEYS),
};

static const struct gk_desc other_descs[] = {
	GK_DESC(GK_DT_CONFIG, -1, other_config_desc),
	GK_DESC(GK_DT_HID_REPORT, 0, other_report_desc),
};

static const struct gk_variant answers[] = {
	{ "stall-all", "stalls every control request", STALL_ALL, NULL, 0 },
	{ "never-all", "answers no control request", NEVER_ALL, NULL, 0 },
	{ "late-all", "answers every control request 0.7 s late", LATE_ALL,
	  NULL, 0 },
	{ "stall-class", "stalls every class request", STALL_CLASS, NULL, 0 },
	{ "never-class", "answers no class request", NEVER_CLASS, NULL, 0 },
	{ "never-set", "does not answer SET_CONFIGURATION", NEVER_SET, NULL, 0 },
	{ "stall-set", "stalls SET_CONFIGURATION", STALL_SET, NULL, 0 },
	{ "halted", "its interrupt endpoint is stalled for ever", HALTED, NULL, 0 },
	{ "stumbles", "stalls SET_CONFIGURATION for 0.7 s", STUMBLES, NULL, 0 },
	{ "other-layout", "stalls SET_PROTOCOL, and has not the boot layout",
	  OTHER_LAYOUT, other_descs, 2 },
};

static int init(struct gk_vdev *dev)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	gk_keyboard_init(dev, 0, 0x81);
	if (gk_vdev_mode(dev) == OTHER_LAYOUT) {
		kbd->bitmap_only = true;
		kbd->extra_id = ID_KEYS;
		kbd->led_id = ID_KEYS;
	}
	return 0;
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	bool class = (setup->type & 0x60) == 0x20;

	gk_keyboard_control(dev, setup, out, answer);
	switch (gk_vdev_mode(dev)) {
	case STALL_ALL:
		answer->verdict = GK_STALL;
		break;
	case NEVER_ALL:
		answer->verdict = GK_NEVER;
		break;
	case LATE_ALL:
		answer->delay_ms = LATE_MS;
		break;
	case STALL_CLASS:
		if (class)
			answer->verdict = GK_STALL;
		break;
	case NEVER_CLASS:
		if (class)
			answer->verdict = GK_NEVER;
		break;
	case OTHER_LAYOUT:
		/* HID 1.11 7.2.6 */
		if (class && setup->request == 0x0b)
			answer->verdict = GK_STALL;
		break;
	case HALTED:
		/* CLEAR_FEATURE(ENDPOINT_HALT) is answered, and in vain. */
		if (setup->type == 0x02 && setup->request == 1)
			answer->verdict = GK_DATA;
		break;
	default:
		break;
	}
}

static void configured(struct gk_vdev *dev, uint8_t value,
		       struct gk_answer *answer)
{
	struct state *s = gk_vdev_state(dev);

	switch (gk_vdev_mode(dev)) {
	case STALL_ALL:
	case STALL_SET:
		answer->verdict = GK_STALL;
		break;
	case NEVER_ALL:
	case NEVER_SET:
		answer->verdict = GK_NEVER;
		break;
	case LATE_ALL:
		answer->delay_ms = LATE_MS;
		break;
	case HALTED:
		if (value)
			gk_vdev_halt(dev, 0x81);
		break;
	case STUMBLES:
		if (value && !s->first_ms)
			s->first_ms = now_ms();
		if (value && now_ms() - s->first_ms < STUMBLES_MS)
			answer->verdict = GK_STALL;
		break;
	default:
		break;
	}
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct state),
	.init = init,
	.control = control,
	.configured = configured,
	GK_KEYBOARD_CALLBACKS,
};
GK_VARIANTS(common, answers);
