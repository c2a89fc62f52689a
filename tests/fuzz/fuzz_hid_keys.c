/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report descriptor behind two bytes of length, then reports to it, each behind
 * one byte of length. Seen from outside, in both manners: a key goes down only
 * when it is up and up only when it is down; what is dropped changes nothing;
 * in the end all are up; and a gate that hears the same as Linux is told the
 * same keys, KEY_UNKNOWN apart.
 */
#include <string.h>

#include <linux/input-event-codes.h>

#include "core/hid_keys.h"
#include "fuzz.h"

struct side {
	struct gk_hid_keys keys;
	uint8_t down[256];
};

static struct gk_hid_map map;
static struct gk_link_key ev[GK_HID_KEYS_EVENTS];

static void apply(struct side *s, int n)
{
	MUST(n >= 0 && n <= GK_HID_KEYS_EVENTS);
	for (int i = 0; i < n; i++) {
		MUST(ev[i].code >= 1 && ev[i].code <= 255 && ev[i].value <= 1);
		MUST(s->down[ev[i].code] != ev[i].value);
		s->down[ev[i].code] = ev[i].value;
	}
	for (unsigned c = 0; c < 256; c++)
		MUST((s->keys.down[c / 8] >> c % 8 & 1) == s->down[c]);
}

static int report(struct side *s, const uint8_t *data, size_t len)
{
	struct gk_hid_keys before = s->keys;
	int n = gk_hid_keys_report(&map, &s->keys, data, len, ev);

	if (n < 0) {
		MUST(n == GK_ERR_SHORT || n == GK_ERR_NOT_FOUND);
		MUST(memcmp(&before, &s->keys, sizeof(before)) == 0);
		return n;
	}
	apply(s, n);
	return 0;
}

static void start(struct side *s, enum gk_hid_manner manner)
{
	memset(s, 0, sizeof(*s));
	gk_hid_keys_init(&map, &s->keys, manner);
}

static void finish(struct side *s)
{
	apply(s, gk_hid_keys_release(&map, &s->keys, ev));
	for (unsigned c = 0; c < 256; c++)
		MUST(!s->down[c]);
	MUST(gk_hid_keys_release(&map, &s->keys, ev) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct side gate, linux_side;
	size_t len;

	if (size < 2)
		return 0;
	len = (size_t)(data[0] | data[1] << 8);
	data += 2;
	size -= 2;
	if (len > size)
		len = size;
	if (gk_hid_parse(data, len, &map) != GK_OK)
		return 0;
	data += len;
	size -= len;
	start(&gate, GK_HID_FOR_GATE);
	start(&linux_side, GK_HID_AS_LINUX);
	while (size >= 1) {
		/* Of exactly that size, so that ASan sees an overread. */
		uint8_t *copy;

		len = data[0] & 63;
		data++;
		size--;
		if (len > size)
			len = size;
		copy = malloc(len ? len : 1);
		MUST(copy);
		memcpy(copy, data, len);
		MUST(report(&gate, copy, len) == report(&linux_side, copy, len));
		gate.down[KEY_UNKNOWN] = linux_side.down[KEY_UNKNOWN];
		MUST(memcmp(gate.down, linux_side.down, sizeof(gate.down)) == 0);
		gate.down[KEY_UNKNOWN] = 0;
		free(copy);
		data += len;
		size -= len;
	}
	finish(&gate);
	finish(&linux_side);
	return 0;
}
