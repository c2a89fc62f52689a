/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw descriptors: parsed, judged, and told of in a DEVICE frame. Whatever a
 * device shows, the gate must be able to say so on the link.
 */
#include <string.h>

#include "core/policy.h"
#include "core/usb_desc.h"
#include "fuzz.h"

/* A kept endpoint is of its kind, and none is there without an endpoint. */
static void check_endpoint(const struct gk_usb_interface *itf,
			   const struct gk_usb_endpoint *ep, unsigned direction,
			   unsigned type)
{
	if (ep->address == 0)
		return;
	MUST(itf->endpoints >= 1 || itf->odd_at);
	MUST((ep->address & 0xf0u) == direction && (ep->address & 0x0f) != 0);
	MUST((ep->attributes & 3u) == type && ep->max_packet <= 0x7ff);
}

static void check_ccid(const struct gk_usb_interface *itf)
{
	static const struct gk_usb_ccid none;

	if (itf->ccid.present == 0) {
		MUST(memcmp(&itf->ccid, &none, sizeof(none)) == 0);
		return;
	}
	MUST(itf->ccid.present == 1 && itf->base_class == 0x0b);
	MUST(itf->ccid.max_message >= GK_CCID_MESSAGE_MIN);
	MUST(itf->ccid.max_message <= GK_CCID_MESSAGE_MAX);
}

/* Associations: disjoint, whole, and each interface knows its own. */
static void check_associations(const struct gk_usb_config *cfg)
{
	unsigned members = 0, wanted = 0;

	MUST(cfg->associations <= GK_USB_ASSOCIATIONS);
	for (unsigned i = 0; i < cfg->associations; i++)
		wanted += cfg->association[i].count;
	for (unsigned i = 0; i < cfg->interfaces; i++) {
		const struct gk_usb_interface *itf = &cfg->interface[i];
		const struct gk_usb_association *a;

		MUST(itf->association <= cfg->associations);
		if (itf->association == 0)
			continue;
		a = &cfg->association[itf->association - 1];
		MUST(itf->number >= a->first && itf->number < a->first + a->count);
		members++;
	}
	MUST(members == wanted && members >= cfg->associations);
}

static void check_parsed(const struct gk_usb_device *d, size_t size)
{
	MUST(d->configs >= 1 && d->configs <= GK_USB_CONFIGS);
	MUST(d->first.interfaces <= GK_USB_INTERFACES);
	MUST(d->first.value != 0);
	for (unsigned i = 0; i < d->first.interfaces; i++) {
		const struct gk_usb_interface *itf = &d->first.interface[i];

		MUST(itf->alternates >= 1 && itf->alternates <= GK_USB_ALTSETTINGS);
		MUST(itf->endpoints <= GK_USB_ENDPOINTS);
		MUST(itf->offset >= 27 && itf->offset + 9u <= size);
		MUST(!itf->odd_at || (itf->odd_at > 27 && itf->odd_at < size));
		MUST(!itf->odd_at || (itf->base_class != 9 && !gk_policy_fits(itf)));
		check_endpoint(itf, &itf->in, 0x80, 3);
		check_endpoint(itf, &itf->out, 0, 3);
		check_endpoint(itf, &itf->bulk_in, 0x80, 2);
		check_endpoint(itf, &itf->bulk_out, 0, 2);
		check_ccid(itf);
		for (unsigned j = 0; j < i; j++)
			MUST(d->first.interface[j].number != itf->number);
	}
	check_associations(&d->first);
}

static void check_judged(const struct gk_usb_device *d, const struct gk_judgement *j)
{
	unsigned hubs = 0;

	for (unsigned i = 0; i < GK_USB_INTERFACES; i++) {
		const struct gk_usb_interface *itf = &d->first.interface[i];

		if (i < d->first.interfaces && itf->base_class == 9)
			hubs++;
		if (j->role[i] == 0)
			continue;
		MUST(i < d->first.interfaces && !(j->role[i] & ~gk_policy_fits(itf)));
		MUST(!(j->role[i] & GK_ROLE_POINTER));
		MUST(itf->base_class == 3 || itf->base_class == 0x0b);
		MUST(itf->base_class != 3 || itf->in.address != 0);
	}
	MUST(j->granted == 0 || (hubs == 0 && d->base_class != 9));
	MUST(j->verdict != GK_VERDICT_HUB || (hubs == 1 && d->first.interfaces == 1));
	MUST((j->config != 0) == (j->verdict != GK_VERDICT_REFUSED));
}

static void tell(const struct gk_usb_device *d, const struct gk_judgement *j)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.type = GK_LINK_DEVICE;
	f.device = 1;
	f.generation = 1;
	f.u.dev.path.depth = 1;
	f.u.dev.path.port[0] = 1;
	f.u.dev.vid = d->vid;
	f.u.dev.pid = d->pid;
	f.u.dev.device_class = d->base_class;
	f.u.dev.interfaces = d->first.interfaces;
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES && i < d->first.interfaces; i++) {
		f.u.dev.shown[i].base_class = d->first.interface[i].base_class;
		f.u.dev.shown[i].role = j->role[i] & (uint8_t)-j->role[i];
		f.u.dev.granted |= f.u.dev.shown[i].role;
	}
	for (unsigned i = GK_SHOWN_INTERFACES; i < d->first.interfaces; i++)
		f.u.dev.granted |= j->role[i] & (uint8_t)-j->role[i];
	f.u.dev.asked = j->asked;
	f.u.dev.verdict = (uint8_t)j->verdict;
	f.u.dev.reason = (uint16_t)j->reason;
	f.u.dev.offset = j->offset;
	MUST(gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf)) > 0);
}

#ifdef GK_LIBFUZZER
/*
 * Chance alone seldom keeps the counts and lengths right, and an input that is
 * refused for them shows nothing of what is behind. So most mutants get theirs
 * corrected: descriptors as they stand, cut off where the last whole one ends.
 */
static size_t correct(uint8_t *d, size_t size)
{
	size_t config = 0, at = 18, alternate = 0;
	unsigned configs = 0, interfaces = 0;

	if (size < 18 + 9)
		return size;
	d[0] = 18;
	d[1] = 1;
	while (at + 2 <= size && d[at] >= 2 && d[at] <= size - at) {
		if (d[at + 1] == 2 && d[at] >= 9) {
			config = at;
			interfaces = 0;
			alternate = 0;
			configs++;
		} else if (d[at + 1] == 4 && d[at] >= 9 && config) {
			alternate = at;
			d[at + 4] = 0;
			if (d[at + 3] == 0)
				interfaces++;
		} else if (d[at + 1] == 5 && alternate) {
			d[alternate + 4]++;
		}
		at += d[at];
		if (config) {
			d[config + 2] = (uint8_t)((at - config) & 0xff);
			d[config + 3] = (uint8_t)((at - config) >> 8);
			d[config + 4] = (uint8_t)interfaces;
		}
	}
	d[17] = (uint8_t)configs;
	return at;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	return seed % 4 != 0 ? correct(data, size) : size;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gk_rules rules;
	struct gk_rule_device facts;
	struct gk_rules_note note;
	struct gk_usb_device d;
	struct gk_judgement j;
	int err;

	if (!rules.rules)
		MUST(!gk_rules_parse(gk_rules_default(), strlen(gk_rules_default()),
				     &rules, &note));

	memset(&d, 0xee, sizeof(d));
	memset(&j, 0xee, sizeof(j));
	err = gk_usb_parse(data, size, &d);
	MUST(err <= 0);
	if (err) {
		MUST(d.first.interfaces == 0);
		MUST(d.error_offset <= size && d.error_offset <= GK_USB_RAW_MAX);
	} else {
		check_parsed(&d, size);
	}
	gk_policy_device(&facts, &d);
	gk_policy_judge(&d, err, &rules, &facts, &j);
	if (err)
		MUST(j.verdict == GK_VERDICT_REFUSED && j.granted == 0);
	check_judged(&d, &j);
	tell(&d, &j);
	return 0;
}
