/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "hid_boot.h"
#include "keycode.h"

enum {
	SLOTS = 6,
	USAGE_ROLLOVER = 0x01,
	USAGE_LEFT_CTRL = 0xe0, /* first of the eight modifiers, bit 0 of byte 0 */
	USAGE_RIGHT_GUI = 0xe7,
};

void gk_hid_boot_init(struct gk_hid_boot *k)
{
	memset(k, 0, sizeof(*k));
}

/*
 * The key code an array slot stands for, 0: none. The modifiers' place is byte
 * 0 (HID 1.11 8.3): one that a keyboard repeats in the array would be released
 * twice, so it does not count there.
 */
static uint16_t slot_code(uint8_t usage)
{
	if (usage >= USAGE_LEFT_CTRL && usage <= USAGE_RIGHT_GUI)
		return 0;
	return gk_keycode(usage);
}

/*
 * By key code, not by usage: 0x31 and 0x32 are one key to Linux, and it is up
 * only when neither is held.
 */
static int holds(const uint8_t usage[SLOTS], uint16_t code)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (usage[i] != 0 && slot_code(usage[i]) == code)
			return 1;
	return 0;
}

static int event(struct gk_link_key ev[GK_HID_BOOT_EVENTS], int n, uint16_t code,
		 uint8_t value)
{
	if (n >= GK_HID_BOOT_EVENTS)
		return n;
	ev[n].code = code;
	ev[n].value = value;
	return n + 1;
}

/* Events for what is held in `a` and not in `b`. */
static int only_in(const uint8_t a[SLOTS], const uint8_t b[SLOTS], uint8_t value,
		   struct gk_link_key ev[GK_HID_BOOT_EVENTS], int n)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (a[i] != 0 && !holds(b, slot_code(a[i])))
			n = event(ev, n, slot_code(a[i]), value);
	return n;
}

static int modifiers(uint8_t bits, uint8_t value,
		     struct gk_link_key ev[GK_HID_BOOT_EVENTS], int n)
{
	for (unsigned i = 0; i < 8; i++)
		if ((bits >> i & 1) != 0)
			n = event(ev, n, gk_keycode((uint8_t)(USAGE_LEFT_CTRL + i)),
				  value);
	return n;
}

/*
 * Letters go up before the modifiers and down after them, so that no letter is
 * ever seen without the Shift it was typed with.
 */
static int change(struct gk_hid_boot *k, const struct gk_hid_boot *to,
		  struct gk_link_key ev[GK_HID_BOOT_EVENTS])
{
	int n = 0;

	n = only_in(k->usage, to->usage, 0, ev, n);
	n = modifiers((uint8_t)(k->modifiers & ~to->modifiers), 0, ev, n);
	n = modifiers((uint8_t)(to->modifiers & ~k->modifiers), 1, ev, n);
	n = only_in(to->usage, k->usage, 1, ev, n);
	*k = *to;
	return n;
}

int gk_hid_boot_report(struct gk_hid_boot *k, const void *report, size_t len,
		       struct gk_link_key ev[GK_HID_BOOT_EVENTS])
{
	const uint8_t *b = report;
	struct gk_hid_boot to;
	unsigned used = 0;
	int rollover = 0;

	memset(ev, 0, sizeof(ev[0]) * GK_HID_BOOT_EVENTS);
	memset(&to, 0, sizeof(to));
	if (len < GK_HID_BOOT_REPORT)
		return GK_ERR_SHORT;

	to.modifiers = b[0];
	/* Byte 1 is reserved, and OEMs use it as they like (HID 1.11 B.1). */
	for (unsigned i = 0; i < SLOTS; i++) {
		uint8_t usage = b[2 + i];

		if (usage == USAGE_ROLLOVER)
			rollover = 1;
		if (slot_code(usage) != 0 && !holds(to.usage, slot_code(usage)))
			to.usage[used++] = usage;
	}
	if (rollover)
		memcpy(to.usage, k->usage, sizeof(to.usage));
	return change(k, &to, ev);
}

int gk_hid_boot_release(struct gk_hid_boot *k, struct gk_link_key ev[GK_HID_BOOT_EVENTS])
{
	struct gk_hid_boot none;

	memset(ev, 0, sizeof(ev[0]) * GK_HID_BOOT_EVENTS);
	gk_hid_boot_init(&none);
	return change(k, &none, ev);
}
