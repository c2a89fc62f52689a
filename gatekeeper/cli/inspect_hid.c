/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate makes of a HID report descriptor. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/inspect.h"
#include "core/link.h"

void gk_inspect_hid_json(struct gk_json *o, const struct gk_hid_map *map, int err)
{
	gk_json_bool(o, "parsed", err == 0);
	if (err) {
		gk_json_string(o, "reason", gk_hid_reason_text(map->reason));
		gk_json_string(o, "error", gk_strerror(err));
		gk_json_number(o, "offset", map->error_offset);
	}
}

/*
 * A report descriptor alone does not say which interface it is of, and rules
 * judge interfaces: so no class, verdict or rule.
 */
void gk_inspect_hid_interface(struct gk_json *o, const struct gk_hid_map *map,
			      unsigned number)
{
	uint8_t roles = gk_hid_roles(map);

	gk_json_object(o, NULL);
	gk_json_number(o, "number", number);
	gk_json_null(o, "class");
	/* The first: enum gk_role is in the order of what matters. */
	gk_json_string(o, "role", gk_role_name((uint8_t)(roles & -roles)));
	gk_json_null(o, "verdict");
	gk_json_null(o, "rule");
	gk_json_end_object(o);
}

static int print_json(const struct gk_hid_map *map, int err)
{
	static char text[4 << 10];
	struct gk_json o;

	gk_json_init(&o, text, sizeof(text));
	gk_json_object(&o, NULL);
	gk_inspect_hid_json(&o, map, err);
	gk_json_array(&o, "interfaces");
	if (!err)
		gk_inspect_hid_interface(&o, map, 0);
	gk_json_end_array(&o);
	gk_inspect_roles(&o, gk_hid_roles(map));
	gk_json_end_object(&o);
	if (gk_json_finish(&o) < 0)
		return GK_EXIT_FAILED;
	puts(text);
	return err ? GK_EXIT_FAILED : GK_EXIT_DONE;
}

static void print_reports(const struct gk_hid_map *map)
{
	static const char *const kinds[GK_HID_KINDS] = { "input", "output", "feature" };

	for (unsigned k = 0; k < GK_HID_KINDS; k++) {
		for (unsigned id = 0; id < 256; id++) {
			if (!map->exists[k][id])
				continue;
			printf("%s report", kinds[k]);
			if (id != 0)
				printf(" %u", id);
			printf(": %u bytes\n", (map->bits[k][id] + 7) / 8);
		}
	}
}

static void print_leds(const struct gk_hid_map *map)
{
	static const char *const names[] = { "Num", "Caps", "Scroll" };
	struct gk_hid_leds leds;

	if (gk_hid_leds_find(map, &leds) != GK_OK)
		return;
	printf("lock lights:");
	for (unsigned i = 0; i < 3; i++)
		if (leds.have >> i & 1)
			printf(" %s", names[i]);
	printf("\n");
}

int gk_inspect_hid_report(const char *file, int json)
{
	static char raw[GK_HID_DESC_MAX + 2];
	static struct gk_hid_map map;
	ssize_t len = gk_inspect_read(file, raw, sizeof(raw));
	char roles[64];
	int err;

	if (len < 0)
		return GK_EXIT_FAILED;
	err = gk_hid_parse(raw, (size_t)len, &map);
	if (json)
		return print_json(&map, err);
	if (err) {
		printf("refused: %s at byte %u\n", gk_hid_reason_text(map.reason),
		       map.error_offset);
		return GK_EXIT_FAILED;
	}
	gk_inspect_role_list(gk_hid_roles(&map), roles);
	printf("report descriptor, %zd bytes, %u fields: %s\n", len, map.fields, roles);
	for (unsigned i = 0; i < map.collections; i++)
		printf("collection %04x:%04x\n", map.collection[i].usage >> 16,
		       map.collection[i].usage & 0xffff);
	print_reports(&map);
	print_leds(&map);
	return GK_EXIT_DONE;
}
