/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golden desc|hid FILE: runs the hex bytes of FILE ('#' starts a comment)
 * through core/ and prints what came of it; `run` compares that with the .ok
 * file beside it.
 *   desc: FILE is one sysfs `descriptors` file; parsed and judged.
 *   hid:  each line is one report of a boot keyboard; the key events of each,
 *         and what is lifted at the end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hid_boot.h"
#include "core/policy.h"
#include "core/usb_desc.h"

enum { LINE = 1024, RAW = GK_USB_RAW_MAX + 1 };

/* Appends a line's bytes; -1 if it is not hex or does not fit. */
static int hex_line(const char *line, uint8_t *out, size_t cap, size_t *len)
{
	const char *p = line;

	for (;;) {
		unsigned v;
		int used = 0;

		p += strspn(p, " \t\r\n");
		if (*p == '\0' || *p == '#')
			return 0;
		if (sscanf(p, "%2x%n", &v, &used) != 1 || used != 2 || *len >= cap)
			return -1;
		out[(*len)++] = (uint8_t)v;
		p += used;
	}
}

static const char *verdict_text(enum gk_verdict v)
{
	switch (v) {
	case GK_VERDICT_REFUSED:
		return "refused";
	case GK_VERDICT_ADMITTED:
		return "admitted";
	case GK_VERDICT_PARTLY:
		return "admitted in part";
	case GK_VERDICT_HUB:
		return "hub";
	}
	return "?";
}

static void print_roles(const char *label, uint8_t roles)
{
	static const char *const names[] = { "keyboard", "fido", "smartcard",
					     "pointer" };

	printf("%s:", label);
	for (unsigned i = 0; i < 4; i++)
		if (roles >> i & 1)
			printf(" %s", names[i]);
	printf("%s\n", roles ? "" : " none");
}

static void print_device(const struct gk_usb_device *d, const struct gk_judgement *j)
{
	printf("device: %04x:%04x class %02x:%02x:%02x usb %x.%02x "
	       "configurations %u\n",
	       d->vid, d->pid, d->base_class, d->sub_class, d->protocol,
	       (unsigned)d->bcd_usb >> 8, d->bcd_usb & 0xffu, d->configs);
	printf("configuration: %u interfaces %u\n", d->first.value, d->first.interfaces);
	for (unsigned i = 0; i < d->first.interfaces; i++) {
		const struct gk_usb_interface *itf = &d->first.interface[i];

		printf("interface: %u at %u class %02x:%02x:%02x settings %u "
		       "endpoints %u",
		       itf->number, itf->offset, itf->base_class, itf->sub_class,
		       itf->protocol, itf->alternates, itf->endpoints);
		if (itf->in.address)
			printf(" in %02x/%u/%u", itf->in.address, itf->in.max_packet,
			       itf->in.interval);
		if (itf->hid_report_len)
			printf(" report %u", itf->hid_report_len);
		printf(" (%s)%s\n", gk_class_text(itf->base_class),
		       j->role[i] == GK_ROLE_KEYBOARD ? " -> keyboard" : "");
	}
}

static int run_desc(FILE *f)
{
	static uint8_t raw[RAW];
	struct gk_usb_device d;
	struct gk_judgement j;
	char line[LINE];
	size_t len = 0;
	int err;

	while (fgets(line, sizeof(line), f))
		if (hex_line(line, raw, sizeof(raw), &len) < 0)
			return -1;
	err = gk_usb_parse(raw, len, &d);
	gk_policy_judge(&d, err, &j);
	if (err)
		printf("error: %s at byte %u of %zu\n", gk_strerror(err), d.error_offset,
		       len);
	else
		print_device(&d, &j);
	print_roles("asked", j.asked);
	print_roles("granted", j.granted);
	printf("verdict: %s, %s; configuration %u, offset %u\n", verdict_text(j.verdict),
	       gk_reason_text((uint16_t)j.reason), j.config, j.offset);
	return 0;
}

static void print_events(const struct gk_link_key *ev, int n)
{
	if (n < 0)
		printf(" error: %s", gk_strerror(n));
	for (int i = 0; i < n; i++)
		printf(" %c%u", ev[i].value ? '+' : '-', ev[i].code);
	printf("\n");
}

static int run_hid(FILE *f)
{
	struct gk_link_key ev[GK_HID_BOOT_EVENTS];
	struct gk_hid_boot k;
	char line[LINE];

	gk_hid_boot_init(&k);
	while (fgets(line, sizeof(line), f)) {
		uint8_t report[64];
		size_t len = 0;

		if (hex_line(line, report, sizeof(report), &len) < 0)
			return -1;
		if (len == 0)
			continue;
		for (size_t i = 0; i < len; i++)
			printf("%02x", report[i]);
		printf(":");
		print_events(ev, gk_hid_boot_report(&k, report, len, ev));
	}
	printf("end:");
	print_events(ev, gk_hid_boot_release(&k, ev));
	return 0;
}

int main(int argc, char **argv)
{
	FILE *f;
	int err;

	if (argc != 3 || (strcmp(argv[1], "desc") && strcmp(argv[1], "hid"))) {
		fprintf(stderr, "usage: golden desc|hid FILE\n");
		return 2;
	}
	f = fopen(argv[2], "r");
	if (!f) {
		perror(argv[2]);
		return 1;
	}
	err = strcmp(argv[1], "desc") == 0 ? run_desc(f) : run_hid(f);
	fclose(f);
	if (err)
		fprintf(stderr, "%s: not hex, or too long\n", argv[2]);
	return err ? 1 : 0;
}
