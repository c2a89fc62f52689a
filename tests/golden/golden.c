/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golden desc|hid|report|input FILE: runs the hex bytes of FILE ('#' starts a comment)
 * through core/ and prints what came of it; `run` compares that with the .ok
 * file beside it.
 *   desc: FILE is one sysfs `descriptors` file; parsed and judged.
 *   hid:  each line is one report of a boot keyboard; the key events of each,
 *         and what is lifted at the end.
 *   report: FILE is a report descriptor, parsed and judged; after a line "--"
 *         each line is one report to it, as in hid.
 *   input: FILE is the stream of an input-proxy-sender, by `input/write`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hid_boot.h"
#include "core/hid_keys.h"
#include "core/hid_report.h"
#include "core/input_proxy.h"
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

static void print_endpoint(const char *name, const struct gk_usb_endpoint *ep)
{
	if (ep->address)
		printf(" %s %02x/%u/%u", name, ep->address, ep->max_packet, ep->interval);
}

static void print_ccid(const struct gk_usb_interface *itf)
{
	const struct gk_usb_ccid *c = &itf->ccid;

	if (!c->present)
		return;
	printf("ccid: %x.%02x slots %u voltages %u protocols %x clock %u..%u rate %u..%u "
	       "ifsd %u features %08x message %u response %02x envelope %02x lcd %04x "
	       "pin %u busy %u",
	       (unsigned)c->bcd_ccid >> 8, c->bcd_ccid & 0xffu, c->max_slot + 1u,
	       c->voltages, c->protocols, c->default_clock, c->max_clock, c->data_rate,
	       c->max_data_rate, c->max_ifsd, c->features, c->max_message,
	       c->class_get_response, c->class_envelope, c->lcd_layout, c->pin_support,
	       c->max_busy_slots);
	print_endpoint("in", &itf->bulk_in);
	print_endpoint("out", &itf->bulk_out);
	printf("\n");
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
		print_endpoint("in", &itf->in);
		print_endpoint("out", &itf->out);
		if (itf->hid_report_len)
			printf(" report %u", itf->hid_report_len);
		printf(" (%s)", gk_class_text(itf->base_class));
		print_roles(" for", j->role[i]);
		print_ccid(itf);
	}
	for (unsigned i = 0; i < d->first.associations; i++) {
		const struct gk_usb_association *a = &d->first.association[i];

		printf("association: %u..%u class %02x:%02x:%02x\n", a->first,
		       a->first + a->count - 1u, a->base_class, a->sub_class,
		       a->protocol);
	}
}

static int run_desc(FILE *f)
{
	static uint8_t raw[RAW];
	static struct gk_rules rules;
	struct gk_rule_device facts;
	struct gk_rules_note note;
	struct gk_usb_device d;
	struct gk_judgement j;
	char line[LINE];
	size_t len = 0;
	int err;

	while (fgets(line, sizeof(line), f))
		if (hex_line(line, raw, sizeof(raw), &len) < 0)
			return -1;
	if (gk_rules_parse(gk_rules_default(), strlen(gk_rules_default()), &rules, &note))
		return -1;
	err = gk_usb_parse(raw, len, &d);
	gk_policy_device(&facts, &d);
	gk_policy_judge(&d, err, &rules, &facts, &j);
	if (err)
		printf("error: %s at byte %u of %zu\n", gk_strerror(err), d.error_offset,
		       len);
	else
		print_device(&d, &j);
	print_roles("asked", j.asked);
	print_roles("granted", j.granted);
	printf("verdict: %s, %s; rule %d; configuration %u, offset %u\n",
	       verdict_text(j.verdict), gk_reason_text((uint16_t)j.reason), j.rule,
	       j.config, j.offset);
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

static void print_map(const struct gk_hid_map *map)
{
	static const char *const kinds[] = { "input", "output", "feature" };
	struct gk_hid_leds leds;

	for (unsigned i = 0; i < map->collections; i++)
		printf("collection %u: type %u usage %08x\n", i, map->collection[i].type,
		       map->collection[i].usage);
	for (unsigned k = 0; k < 3; k++)
		for (unsigned id = 0; id < 256; id++)
			if (map->exists[k][id])
				printf("%s report %u: %u bits\n", kinds[k], id,
				       map->bits[k][id]);
	for (unsigned i = 0; i < map->fields; i++) {
		const struct gk_hid_field *f = &map->field[i];

		printf("field: %s %u at %u size %u count %u flags %02x logical %d..%d "
		       "in %d application %08x%s usages",
		       kinds[f->kind], f->id, f->offset, f->size, f->count, f->flags,
		       f->logical_min, f->logical_max,
		       f->top == GK_HID_NO_COLLECTION ? -1 : f->top, f->application,
		       f->keys ? " keys" : "");
		for (unsigned r = 0; r < f->ranges; r++) {
			const struct gk_hid_range *u = &map->range[f->first_range + r];

			printf(" %08x", u->first);
			if (u->count > 1)
				printf("+%u", u->count - 1u);
		}
		printf("\n");
	}
	print_roles("roles", gk_hid_roles(map));
	if (gk_hid_leds_find(map, &leds) == GK_OK) {
		uint8_t out[GK_HID_LED_REPORT];
		int len = gk_hid_leds_report(&leds, 7, out);

		printf("lights %u:", leds.have);
		for (int i = 0; i < len; i++)
			printf(" %02x", out[i]);
		printf("\n");
	}
}

static int run_report(FILE *f)
{
	struct gk_link_key ev[GK_HID_KEYS_EVENTS];
	static uint8_t raw[GK_HID_DESC_MAX + 1];
	static struct gk_hid_map map;
	struct gk_hid_keys k;
	char line[LINE];
	size_t len = 0;
	int err;

	while (fgets(line, sizeof(line), f) && strncmp(line, "--", 2) != 0)
		if (hex_line(line, raw, sizeof(raw), &len) < 0)
			return -1;
	err = gk_hid_parse(raw, len, &map);
	if (err) {
		printf("error: %s: %s at byte %u of %zu\n", gk_strerror(err),
		       gk_hid_reason_text(map.reason), map.error_offset, len);
		return 0;
	}
	print_map(&map);
	gk_hid_keys_init(&map, &k, GK_HID_FOR_GATE);
	while (fgets(line, sizeof(line), f)) {
		uint8_t report[64];

		len = 0;
		if (hex_line(line, report, sizeof(report), &len) < 0)
			return -1;
		for (size_t i = 0; i < len; i++)
			printf("%02x", report[i]);
		printf(":");
		print_events(ev, gk_hid_keys_report(&map, &k, report, len, ev));
	}
	printf("end:");
	print_events(ev, gk_hid_keys_release(&map, &k, ev));
	return 0;
}

static void print_key(const struct gk_input_proxy_key *key)
{
	printf(" %u %s", key->code, key->value ? "down" : "up");
}

static void print_begin(const struct gk_input_proxy *p)
{
	unsigned keys = 0;

	for (uint16_t code = 0; code < GK_KEYS; code++)
		keys += (unsigned)gk_key_is_down(p->announced, code);
	printf("begin: \"%s\", %u keys, lights %u\nkeys:", p->name, keys, p->leds);
}

static int run_input(FILE *f)
{
	/* As odd as a pipe can cut it. */
	enum { PIECE = 7 };
	static uint8_t raw[RAW];
	static struct gk_input_proxy p;
	struct gk_input_proxy_key key;
	char line[LINE];
	size_t len = 0;
	int what = 0;

	while (fgets(line, sizeof(line), f))
		if (hex_line(line, raw, sizeof(raw), &len) < 0)
			return -1;
	gk_input_proxy_init(&p);
	for (size_t at = 0; what >= 0 && at < len; at += PIECE) {
		size_t n = len - at < PIECE ? len - at : PIECE, used = 0;

		do {
			what = gk_input_proxy_next(&p, raw + at, n, &used, 0, &key);
			if (what == GK_INPUT_PROXY_BEGIN)
				print_begin(&p);
			else if (what == GK_INPUT_PROXY_KEY)
				print_key(&key);
		} while (what > 0);
	}
	printf("\n%s: %s\nlifted:", what < 0 ? "error" : "end",
	       gk_strerror(what < 0 ? what : gk_input_proxy_end(&p)));
	while (gk_input_proxy_lift(&p, &key) == GK_INPUT_PROXY_KEY)
		print_key(&key);
	printf("\ndropped: repeat %u, unlisted %u, value %u, same %u, lost %u, other %u\n",
	       (unsigned)p.dropped.repeat, (unsigned)p.dropped.unlisted,
	       (unsigned)p.dropped.value, (unsigned)p.dropped.same,
	       (unsigned)p.dropped.lost, (unsigned)p.dropped.other);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *kind;
		int (*run)(FILE *f);
	} kinds[] = { { "desc", run_desc },
		      { "hid", run_hid },
		      { "report", run_report },
		      { "input", run_input } };
	int (*run)(FILE * f) = NULL;
	FILE *f;
	int err;

	for (size_t i = 0; argc == 3 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(argv[1], kinds[i].kind) == 0)
			run = kinds[i].run;
	if (!run) {
		fprintf(stderr, "usage: golden desc|hid|report|input FILE\n");
		return 2;
	}
	f = fopen(argv[2], "r");
	if (!f) {
		perror(argv[2]);
		return 1;
	}
	err = run(f);
	fclose(f);
	if (err)
		fprintf(stderr, "%s: not hex, or too long\n", argv[2]);
	return err ? 1 : 0;
}
