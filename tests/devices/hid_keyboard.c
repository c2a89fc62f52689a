/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hid_keyboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* HID 1.11 7.2 */
enum {
	HID_GET_REPORT = 0x01,
	HID_GET_IDLE = 0x02,
	HID_GET_PROTOCOL = 0x03,
	HID_SET_REPORT = 0x09,
	HID_SET_IDLE = 0x0a,
	HID_SET_PROTOCOL = 0x0b,
};

enum { REPORT_INPUT = 1, REPORT_OUTPUT = 2 };

/* HID Usage Tables 1.3 section 10 */
enum {
	USAGE_ERROR_ROLLOVER = 0x01,
	USAGE_A = 0x04,
	USAGE_1 = 0x1e,
	USAGE_0 = 0x27,
	USAGE_EXTRA_LAST = 0x73,
	USAGE_LEFT_CTRL = 0xe0,
	USAGE_RIGHT_META = 0xe7,
};

#define LEFT_SHIFT	0x02

/* HID 1.11 7.2.4: 500 ms until the host says otherwise */
#define IDLE_DEFAULT	125
#define RATE_DEFAULT	30
#define RATE_MAX	2000

const uint8_t gk_boot_keyboard_report_desc[65] = {
	0x05, 0x01,		/* Usage Page (Generic Desktop) */
	0x09, 0x06,		/* Usage (Keyboard) */
	0xa1, 0x01,		/* Collection (Application) */
	0x05, 0x07,		/*   Usage Page (Keyboard) */
	0x19, 0xe0,		/*   Usage Minimum (Left Control) */
	0x29, 0xe7,		/*   Usage Maximum (Right GUI) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x25, 0x01,		/*   Logical Maximum (1) */
	0x75, 0x01,		/*   Report Size (1) */
	0x95, 0x08,		/*   Report Count (8) */
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */
	0x95, 0x01,		/*   Report Count (1) */
	0x75, 0x08,		/*   Report Size (8) */
	0x81, 0x01,		/*   Input (Constant) */
	0x95, 0x05,		/*   Report Count (5) */
	0x75, 0x01,		/*   Report Size (1) */
	0x05, 0x08,		/*   Usage Page (LEDs) */
	0x19, 0x01,		/*   Usage Minimum (Num Lock) */
	0x29, 0x05,		/*   Usage Maximum (Kana) */
	0x91, 0x02,		/*   Output (Data, Variable, Absolute) */
	0x95, 0x01,		/*   Report Count (1) */
	0x75, 0x03,		/*   Report Size (3) */
	0x91, 0x01,		/*   Output (Constant) */
	0x95, 0x06,		/*   Report Count (6) */
	0x75, 0x08,		/*   Report Size (8) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x26, 0xff, 0x00,	/*   Logical Maximum (255) */
	0x05, 0x07,		/*   Usage Page (Keyboard) */
	0x19, 0x00,		/*   Usage Minimum (0) */
	0x29, 0xff,		/*   Usage Maximum (255) */
	0x81, 0x00,		/*   Input (Data, Array) */
	0xc0,			/* End Collection */
};

/* What a US keyboard has beside letters and digits. */
static const struct {
	char plain, shifted;
	uint8_t usage;
} us_layout[] = {
	{ '1', '!', 0x1e }, { '2', '@', 0x1f }, { '3', '#', 0x20 },
	{ '4', '$', 0x21 }, { '5', '%', 0x22 }, { '6', '^', 0x23 },
	{ '7', '&', 0x24 }, { '8', '*', 0x25 }, { '9', '(', 0x26 },
	{ '0', ')', 0x27 }, { ' ', '\0', 0x2c }, { '-', '_', 0x2d },
	{ '=', '+', 0x2e }, { '[', '{', 0x2f }, { ']', '}', 0x30 },
	{ '\\', '|', 0x31 }, { ';', ':', 0x33 }, { '\'', '"', 0x34 },
	{ '`', '~', 0x35 }, { ',', '<', 0x36 }, { '.', '>', 0x37 },
	{ '/', '?', 0x38 },
};

static const struct {
	const char *name;
	uint8_t usage;
} names[] = {
	{ "enter", 0x28 }, { "esc", 0x29 }, { "backspace", 0x2a },
	{ "tab", 0x2b }, { "space", 0x2c }, { "minus", 0x2d },
	{ "equal", 0x2e }, { "leftbrace", 0x2f }, { "rightbrace", 0x30 },
	{ "backslash", 0x31 }, { "hash", 0x32 }, { "semicolon", 0x33 },
	{ "apostrophe", 0x34 }, { "grave", 0x35 }, { "comma", 0x36 },
	{ "dot", 0x37 }, { "slash", 0x38 }, { "caps", 0x39 },
	{ "f1", 0x3a }, { "f2", 0x3b }, { "f3", 0x3c }, { "f4", 0x3d },
	{ "f5", 0x3e }, { "f6", 0x3f }, { "f7", 0x40 }, { "f8", 0x41 },
	{ "f9", 0x42 }, { "f10", 0x43 }, { "f11", 0x44 }, { "f12", 0x45 },
	{ "sysrq", 0x46 }, { "scrolllock", 0x47 }, { "pause", 0x48 },
	{ "insert", 0x49 }, { "home", 0x4a }, { "pageup", 0x4b },
	{ "delete", 0x4c }, { "end", 0x4d }, { "pagedown", 0x4e },
	{ "right", 0x4f }, { "left", 0x50 }, { "down", 0x51 },
	{ "up", 0x52 }, { "numlock", 0x53 }, { "kpslash", 0x54 },
	{ "kpasterisk", 0x55 }, { "kpminus", 0x56 }, { "kpplus", 0x57 },
	{ "kpenter", 0x58 }, { "kp1", 0x59 }, { "kp2", 0x5a },
	{ "kp3", 0x5b }, { "kp4", 0x5c }, { "kp5", 0x5d }, { "kp6", 0x5e },
	{ "kp7", 0x5f }, { "kp8", 0x60 }, { "kp9", 0x61 }, { "kp0", 0x62 },
	{ "kpdot", 0x63 }, { "102nd", 0x64 }, { "compose", 0x65 },
	{ "power", 0x66 }, { "f13", 0x68 }, { "f14", 0x69 },
	{ "f15", 0x6a }, { "f16", 0x6b }, { "f17", 0x6c }, { "f18", 0x6d },
	{ "f19", 0x6e }, { "f20", 0x6f }, { "f21", 0x70 }, { "f22", 0x71 },
	{ "f23", 0x72 }, { "f24", 0x73 }, { "ro", 0x87 },
	{ "katakanahiragana", 0x88 }, { "yen", 0x89 }, { "henkan", 0x8a },
	{ "muhenkan", 0x8b }, { "hangul", 0x90 }, { "hanja", 0x91 },
	{ "leftctrl", 0xe0 }, { "leftshift", 0xe1 }, { "leftalt", 0xe2 },
	{ "leftmeta", 0xe3 }, { "rightctrl", 0xe4 }, { "rightshift", 0xe5 },
	{ "rightalt", 0xe6 }, { "rightmeta", 0xe7 },
};

#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))

static uint8_t usage_of_char(char c, bool *shift)
{
	size_t i;

	*shift = false;
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(USAGE_A + (c - 'a'));
	if (c >= 'A' && c <= 'Z') {
		*shift = true;
		return (uint8_t)(USAGE_A + (c - 'A'));
	}
	for (i = 0; i < LENGTH(us_layout); i++) {
		if (c == us_layout[i].plain)
			return us_layout[i].usage;
		if (c && c == us_layout[i].shifted) {
			*shift = true;
			return us_layout[i].usage;
		}
	}
	return 0;
}

/* A letter, a digit, a name of the table, or 0xNN. 0: none of these. */
static uint8_t usage_of_name(const char *name)
{
	unsigned long n;
	bool shift;
	char *end;
	size_t i;

	if (name[0] && !name[1] && ((name[0] >= 'a' && name[0] <= 'z') ||
				    (name[0] >= '0' && name[0] <= '9')))
		return usage_of_char(name[0], &shift);
	if (!strncmp(name, "0x", 2) && name[2]) {
		n = strtoul(name + 2, &end, 16);
		return !*end && n < GK_USAGES ? (uint8_t)n : 0;
	}
	for (i = 0; i < LENGTH(names); i++) {
		if (!strcasecmp(name, names[i].name))
			return names[i].usage;
	}
	return 0;
}

static bool bit(const uint8_t *map, unsigned int n)
{
	return map[n / 8] >> (n % 8) & 1;
}

static bool any(const uint8_t *map, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (map[i])
			return true;
	}
	return false;
}

static void boot_report(const struct gk_keyboard *kbd,
			uint8_t report[GK_BOOT_REPORT])
{
	report[0] = kbd->modifiers;
	report[1] = 0;
	memcpy(report + 2, kbd->slots, 6);
	/* HID 1.11 appendix C: more keys than the report can name */
	if (!kbd->extra_ep && any(kbd->extra, sizeof(kbd->extra)))
		memset(report + 2, USAGE_ERROR_ROLLOVER, 6);
}

static void extra_report(const struct gk_keyboard *kbd,
			 uint8_t report[GK_EXTRA_REPORT])
{
	unsigned int u, n;

	memset(report, 0, GK_EXTRA_REPORT);
	report[0] = kbd->extra_id;
	for (u = USAGE_A; u <= USAGE_EXTRA_LAST; u++) {
		n = u - USAGE_A;
		if (bit(kbd->extra, u))
			report[1 + n / 8] |= (uint8_t)(1u << (n % 8));
	}
}

static int bitmap_key(struct gk_keyboard *kbd, uint8_t usage, bool down,
		      unsigned int gap_us, uint32_t token)
{
	uint8_t report[GK_BITMAP_REPORT], extra[GK_EXTRA_REPORT];
	uint8_t mask = (uint8_t)(1u << (usage % 8));
	uint8_t *byte = &kbd->extra[usage / 8];

	if (usage >= USAGE_LEFT_CTRL && usage <= USAGE_RIGHT_META)
		byte = &kbd->modifiers;
	*byte = (uint8_t)(down ? *byte | mask : *byte & ~mask);
	extra_report(kbd, extra);
	report[0] = kbd->extra_id;
	report[1] = kbd->modifiers;
	memcpy(report + 2, extra + 1, GK_EXTRA_REPORT - 1);
	return gk_vdev_queue(kbd->dev, kbd->ep, report, sizeof(report), gap_us,
			     token);
}

/* Changes what is held; says which endpoint has news, 0: none. */
static uint8_t set_key(struct gk_keyboard *kbd, uint8_t usage, bool down)
{
	uint8_t mask = (uint8_t)(1u << (usage % 8));
	size_t i;

	if (usage >= USAGE_LEFT_CTRL && usage <= USAGE_RIGHT_META) {
		if (down)
			kbd->modifiers |= mask;
		else
			kbd->modifiers &= (uint8_t)~mask;
		return kbd->ep;
	}
	for (i = 0; i < 6; i++) {
		if (kbd->slots[i] == usage) {
			if (!down)
				kbd->slots[i] = 0;
			return down ? 0 : kbd->ep;
		}
	}
	if (bit(kbd->extra, usage)) {
		if (down)
			return 0;
		kbd->extra[usage / 8] &= (uint8_t)~mask;
		return kbd->extra_ep ? kbd->extra_ep : kbd->ep;
	}
	if (!down)
		return 0;
	for (i = 0; i < 6; i++) {
		if (!kbd->slots[i]) {
			kbd->slots[i] = usage;
			return kbd->ep;
		}
	}
	if (kbd->extra_ep && usage > USAGE_EXTRA_LAST)
		return 0;
	kbd->extra[usage / 8] |= mask;
	return kbd->extra_ep ? kbd->extra_ep : kbd->ep;
}

/* Keys that had no place in the boot report move up when there is room. */
static void fill_slots(struct gk_keyboard *kbd)
{
	unsigned int u;
	size_t i;

	for (i = 0; i < 6 && !kbd->extra_ep; i++) {
		for (u = 1; u < GK_USAGES && !kbd->slots[i]; u++) {
			if (!bit(kbd->extra, u))
				continue;
			kbd->extra[u / 8] &= (uint8_t)~(1u << (u % 8));
			kbd->slots[i] = (uint8_t)u;
		}
	}
}

static int key(struct gk_keyboard *kbd, uint8_t usage, bool down,
	       uint32_t token)
{
	unsigned int gap_us = 500000u / kbd->rate;
	uint8_t boot[GK_BOOT_REPORT], extra[GK_EXTRA_REPORT];
	uint8_t ep;

	if (kbd->bitmap_only)
		return bitmap_key(kbd, usage, down, gap_us, token);
	ep = set_key(kbd, usage, down);
	if (!down)
		fill_slots(kbd);
	if (ep == kbd->extra_ep && ep) {
		extra_report(kbd, extra);
		return gk_vdev_queue(kbd->dev, ep, extra, sizeof(extra), gap_us,
				     token);
	}
	/* A key already as asked still gives a report: the script waits. */
	boot_report(kbd, boot);
	return gk_vdev_queue(kbd->dev, kbd->ep, boot, sizeof(boot), gap_us,
			     token);
}

static int tap(struct gk_keyboard *kbd, uint8_t usage, bool shift,
	       uint32_t token)
{
	uint8_t before = kbd->modifiers;
	int ret;

	if (shift)
		kbd->modifiers |= LEFT_SHIFT;
	ret = key(kbd, usage, true, 0);
	kbd->modifiers = before;
	if (ret == 0)
		ret = key(kbd, usage, false, token);
	return ret;
}

static void idle_due(void *arg)
{
	struct gk_keyboard *kbd = arg;

	if (!kbd->idle || !gk_vdev_polled(kbd->dev, kbd->ep) ||
	    gk_vdev_queued(kbd->dev, kbd->ep))
		return;
	gk_vdev_stats(kbd->dev)->idle_reports++;
	gk_vdev_queue(kbd->dev, kbd->ep, kbd->last, sizeof(kbd->last), 0, 0);
}

static void idle_restart(struct gk_keyboard *kbd)
{
	gk_vdev_timer_stop(kbd->dev, &kbd->idle_timer);
	if (kbd->idle && gk_vdev_polled(kbd->dev, kbd->ep))
		gk_vdev_timer(kbd->dev, &kbd->idle_timer, kbd->idle * 4000u);
}

void gk_keyboard_reset(struct gk_vdev *dev)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	gk_vdev_timer_stop(kbd->dev, &kbd->idle_timer);
	/* HID 1.11 7.2.6: after a reset a device is in report protocol. */
	kbd->protocol = 1;
	kbd->idle = IDLE_DEFAULT;
	kbd->leds = 0;
	kbd->leds_set = false;
}

static void release_all(struct gk_keyboard *kbd)
{
	kbd->modifiers = 0;
	memset(kbd->slots, 0, sizeof(kbd->slots));
	memset(kbd->extra, 0, sizeof(kbd->extra));
	memset(kbd->last, 0, sizeof(kbd->last));
}

void gk_keyboard_init(struct gk_vdev *dev, uint8_t interface, uint8_t ep)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	*kbd = (struct gk_keyboard){
		.dev = dev, .interface = interface, .ep = ep,
		.rate = RATE_DEFAULT,
		.idle_timer = { .fire = idle_due, .arg = kbd },
	};
	gk_keyboard_reset(dev);
}

void gk_keyboard_polled(struct gk_vdev *dev, uint8_t ep, bool on)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	(void)on;
	if (ep == kbd->ep)
		idle_restart(kbd);
}

void gk_keyboard_sent(struct gk_vdev *dev, uint8_t ep, const uint8_t *data,
		      size_t len)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	if (ep != kbd->ep || len != sizeof(kbd->last))
		return;
	memcpy(kbd->last, data, len);
	idle_restart(kbd);
}

void gk_keyboard_plugged(struct gk_vdev *dev, bool in)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);

	if (in)
		return;
	gk_keyboard_reset(dev);
	release_all(kbd);
}

int gk_keyboard_init_alone(struct gk_vdev *dev)
{
	gk_keyboard_init(dev, 0, 0x81);
	return 0;
}

void gk_keyboard_control(struct gk_vdev *dev, const struct gk_setup *setup,
			 const uint8_t *out, struct gk_answer *answer)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);
	uint8_t id = (uint8_t)setup->value;
	uint8_t kind = (uint8_t)(setup->value >> 8);
	bool in = setup->type & 0x80;

	if ((setup->type & 0x7f) != 0x21 || setup->index != kbd->interface)
		return;
	if (in && setup->request == HID_GET_REPORT) {
		if (kind == REPORT_INPUT && !id)
			gk_answer_data(answer, kbd->last, sizeof(kbd->last));
		else if (kind == REPORT_OUTPUT && !id)
			gk_answer_data(answer, &kbd->leds, 1);
	} else if (in && setup->request == HID_GET_IDLE) {
		gk_answer_data(answer, &kbd->idle, 1);
	} else if (in && setup->request == HID_GET_PROTOCOL) {
		gk_answer_data(answer, &kbd->protocol, 1);
	} else if (!in && setup->request == HID_SET_IDLE) {
		if (id)
			return;
		kbd->idle = kind;
		idle_restart(kbd);
		answer->verdict = GK_DATA;
	} else if (!in && setup->request == HID_SET_PROTOCOL) {
		if (setup->value > 1)
			return;
		kbd->protocol = id;
		answer->verdict = GK_DATA;
	} else if (!in && setup->request == HID_SET_REPORT) {
		if (kind != REPORT_OUTPUT || id != kbd->led_id ||
		    setup->length != (id ? 2 : 1) || (id && out[0] != id))
			return;
		kbd->leds = out[setup->length - 1];
		kbd->leds_set = true;
		gk_vdev_stats(kbd->dev)->led_writes++;
		answer->verdict = GK_DATA;
	}
}

static enum gk_command_result error(struct gk_reply *reply, const char *text)
{
	snprintf(reply->text, sizeof(reply->text), "%s", text);
	return GK_CMD_ERROR;
}

static enum gk_command_result type_text(struct gk_keyboard *kbd,
					const char *text,
					struct gk_reply *reply)
{
	size_t i, n = strlen(text);
	uint8_t usage;
	bool shift;

	if (!n)
		return error(reply, "type TEXT");
	for (i = 0; i < n; i++) {
		if (!usage_of_char(text[i], &shift))
			return error(reply, "not on a US keyboard");
	}
	if (gk_vdev_queued(kbd->dev, kbd->ep) + 2 * n > GK_QUEUE_MAX)
		return error(reply, "too much to type");
	reply->token = gk_vdev_token(kbd->dev);
	for (i = 0; i < n; i++) {
		usage = usage_of_char(text[i], &shift);
		if (tap(kbd, usage, shift, i + 1 == n ? reply->token : 0) < 0)
			return error(reply, "queue full");
	}
	return GK_CMD_WAIT;
}

static enum gk_command_result one_key(struct gk_keyboard *kbd, const char *args,
				      struct gk_reply *reply)
{
	char name[32], state[8], rest;
	uint8_t usage;

	if (sscanf(args, "%31s %7s %c", name, state, &rest) != 2)
		return error(reply, "key NAME down|up");
	usage = usage_of_name(name);
	if (!usage)
		return error(reply, "no such key");
	if (strcmp(state, "down") && strcmp(state, "up"))
		return error(reply, "key NAME down|up");
	reply->token = gk_vdev_token(kbd->dev);
	if (key(kbd, usage, state[0] == 'd', reply->token) < 0)
		return error(reply, "queue full");
	return GK_CMD_WAIT;
}

static enum gk_command_result set_rate(struct gk_keyboard *kbd,
				       const char *args, struct gk_reply *reply)
{
	unsigned int interval = gk_vdev_interval_us(kbd->dev, kbd->ep);
	unsigned long n;
	char *end;

	n = strtoul(args, &end, 10);
	if (args[0] < '0' || args[0] > '9' || *end || !n || n > RATE_MAX)
		return error(reply, "rate 1..2000 keys a second");
	kbd->rate = (unsigned int)n;
	if (interval && 500000u / interval < kbd->rate)
		snprintf(reply->text, sizeof(reply->text),
			 "%lu, but the endpoint is polled for %u only", n,
			 500000u / interval);
	else
		snprintf(reply->text, sizeof(reply->text), "%lu", n);
	return GK_CMD_OK;
}

static enum gk_command_result leds(struct gk_keyboard *kbd,
				   struct gk_reply *reply)
{
	static const char *const led_names[] = {
		"num", "caps", "scroll", "compose", "kana",
	};
	int len;
	size_t i;

	if (!kbd->leds_set) {
		snprintf(reply->text, sizeof(reply->text), "none");
		return GK_CMD_OK;
	}
	len = snprintf(reply->text, sizeof(reply->text), "%02x", kbd->leds);
	for (i = 0; i < LENGTH(led_names); i++) {
		if (kbd->leds >> i & 1)
			len += snprintf(reply->text + len,
					sizeof(reply->text) - (size_t)len,
					" %s", led_names[i]);
	}
	return GK_CMD_OK;
}

enum gk_command_result gk_keyboard_command(struct gk_vdev *dev,
					   const char *verb, const char *args,
					   struct gk_reply *reply)
{
	struct gk_keyboard *kbd = gk_vdev_state(dev);
	uint8_t usage;

	if (!strcmp(verb, "leds"))
		return leds(kbd, reply);
	if (!strcmp(verb, "rate"))
		return set_rate(kbd, args, reply);
	usage = usage_of_name(verb);
	if (!usage && strcmp(verb, "type") && strcmp(verb, "key"))
		return GK_CMD_UNKNOWN;
	if (!gk_vdev_is_plugged(kbd->dev))
		return error(reply, "unplugged");
	if (!strcmp(verb, "type"))
		return type_text(kbd, args, reply);
	if (!strcmp(verb, "key"))
		return one_key(kbd, args, reply);
	if (args[0])
		return error(reply, "a key's name stands alone");
	reply->token = gk_vdev_token(kbd->dev);
	if (tap(kbd, usage, false, reply->token) < 0)
		return error(reply, "queue full");
	return GK_CMD_WAIT;
}
