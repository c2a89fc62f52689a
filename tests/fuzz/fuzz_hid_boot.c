/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A keyboard's reports, each behind one byte of length. Seen from outside: a key
 * goes down only when it is up and up only when it is down, what is held is
 * what the last report says, and in the end all are up.
 */
#include <string.h>

#include "core/hid_boot.h"
#include "core/keycode.h"
#include "fuzz.h"

struct keys {
	uint8_t down[256];
};

static void apply(struct keys *k, const struct gk_link_key *ev, int n)
{
	int pressing = 0;

	MUST(n >= 0 && n <= GK_HID_BOOT_EVENTS);
	for (int i = 0; i < n; i++) {
		MUST(ev[i].code >= 1 && ev[i].code <= 255 && ev[i].value <= 1);
		/* Releases come first. */
		MUST(ev[i].value == 1 || !pressing);
		pressing = ev[i].value;
		MUST(k->down[ev[i].code] != ev[i].value);
		k->down[ev[i].code] = ev[i].value;
	}
}

/* The same question asked in another way: is this code in the report? */
static void check_held(const struct keys *k, const uint8_t *report)
{
	uint8_t want[256] = { 0 };

	for (unsigned i = 2; i < 8; i++) {
		if (report[i] == 1)
			return;
		if (report[i] < 0xe0 || report[i] > 0xe7)
			want[gk_keycode(report[i])] = 1;
	}
	for (unsigned i = 0; i < 8; i++)
		if (report[0] & 1u << i)
			want[gk_keycode((uint8_t)(0xe0 + i))] = 1;
	want[0] = 0;
	MUST(memcmp(want, k->down, sizeof(want)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gk_link_key ev[GK_HID_BOOT_EVENTS];
	struct gk_hid_boot k, before;
	struct keys seen;

	memset(&seen, 0, sizeof(seen));
	gk_hid_boot_init(&k);
	while (size >= 1) {
		size_t len = data[0] & 15;
		int n;

		data++;
		size--;
		if (len > size)
			len = size;
		before = k;
		n = gk_hid_boot_report(&k, data, len, ev);
		if (len < GK_HID_BOOT_REPORT) {
			MUST(n == GK_ERR_SHORT);
			MUST(memcmp(&k, &before, sizeof(k)) == 0);
		} else {
			apply(&seen, ev, n);
			check_held(&seen, data);
		}
		data += len;
		size -= len;
	}
	apply(&seen, ev, gk_hid_boot_release(&k, ev));
	for (unsigned c = 0; c < 256; c++)
		MUST(!seen.down[c]);
	MUST(gk_hid_boot_release(&k, ev) == 0);
	return 0;
}
