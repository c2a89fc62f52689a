/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A HID report descriptor. Refused: a reason, an offset within it, an empty
 * table. Accepted: every field lies in its report, every run of usages in the
 * table and in one field only, in order; roles and lights agree with the fields.
 * Either way the whole table is written, whatever was there before.
 */
#include <string.h>

#include "core/hid_report.h"
#include "core/link.h"
#include "fuzz.h"

static struct gk_hid_map map, again;

static void check_field(const struct gk_hid_field *f, unsigned *range)
{
	uint32_t total = 0;

	MUST(f->kind < GK_HID_KINDS && f->size <= GK_HID_REPORT_BITS);
	MUST(f->count <= GK_HID_USAGES && f->usages >= 1 && f->usages <= GK_HID_USAGES);
	MUST(map.exists[f->kind][f->id]);
	MUST(f->offset + (uint32_t)f->size * f->count <= map.bits[f->kind][f->id]);
	MUST(f->id == 0 || map.numbered[f->kind]);
	MUST(f->top == GK_HID_NO_COLLECTION || f->top < map.collections);
	MUST(f->ranges >= 1 && f->first_range == *range);
	for (unsigned i = 0; i < f->ranges; i++) {
		MUST(*range < map.ranges && map.range[*range].count >= 1);
		total += map.range[(*range)++].count;
	}
	MUST(total == f->usages);
	MUST(gk_hid_usage(&map, f, 0) == map.range[f->first_range].first);
	MUST(gk_hid_usage(&map, f, f->usages - 1u) == gk_hid_usage(&map, f, 0xffffffff));
}

static void check_table(void)
{
	unsigned range = 0, bits = 0, slots = 0, keys = 0;
	uint8_t roles = gk_hid_roles(&map), out[GK_HID_LED_REPORT];
	struct gk_hid_leds leds;

	MUST(map.fields <= GK_HID_FIELDS && map.ranges <= GK_HID_RANGES);
	MUST(map.collections <= GK_HID_COLLECTIONS);
	for (unsigned i = 0; i < map.fields; i++) {
		const struct gk_hid_field *f = &map.field[i];

		check_field(f, &range);
		if (!f->keys)
			continue;
		keys++;
		MUST(f->kind == GK_HID_INPUT && !(f->flags & GK_HID_CONSTANT));
		if (f->flags & GK_HID_VARIABLE) {
			MUST(f->state == bits);
			bits += f->count;
		} else {
			MUST(f->state == slots);
			slots += f->count;
		}
	}
	MUST(range == map.ranges);
	MUST(bits == map.key_bits && bits <= GK_HID_KEY_BITS);
	MUST(slots == map.key_slots && slots <= GK_HID_KEY_SLOTS);
	for (unsigned k = 0; k < GK_HID_KINDS; k++)
		for (unsigned id = 0; id < 256; id++)
			MUST(map.bits[k][id] <= GK_HID_REPORT_MAX * 8);
	MUST(!(roles & GK_ROLE_KEYBOARD) == (keys == 0));
	MUST(!(roles & GK_ROLE_FIDO) ||
	     (roles == GK_ROLE_FIDO && map.collections == 1 &&
	      map.bits[GK_HID_INPUT][0] == map.bits[GK_HID_OUTPUT][0]));
	if (gk_hid_leds_find(&map, &leds) != GK_OK) {
		MUST(leds.have == 0);
		return;
	}
	MUST(leds.len >= 1 && leds.len <= GK_HID_LED_REPORT);
	MUST(gk_hid_leds_report(&leds, 0xff, out) == leds.len);
	MUST(leds.id == 0 || out[0] == leds.id);
	for (unsigned i = 0; i < 3; i++)
		MUST(!(leds.have >> i & 1) ||
		     (out[leds.bit[i] / 8] >> leds.bit[i] % 8 & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int err;

	memset(&map, 0x00, sizeof(map));
	memset(&again, 0xff, sizeof(again));
	err = gk_hid_parse(data, size, &map);
	MUST(gk_hid_parse(data, size, &again) == err);
	MUST(memcmp(&map, &again, sizeof(map)) == 0);
	MUST((err == GK_OK) == (map.reason == GK_HID_FINE));
	MUST(map.reason < GK_HID_REASONS && map.error_offset <= size);
	if (err)
		MUST(map.fields == 0 && map.ranges == 0 && gk_hid_roles(&map) == 0);
	else
		check_table();
	return 0;
}
