/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw descriptors: parsed, judged, and told of in a DEVICE frame. Whatever a
 * device shows, the gate must be able to say so on the link.
 */
#include <string.h>

#include "core/policy.h"
#include "core/usb_desc.h"
#include "fuzz.h"

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
		MUST(itf->in.address == 0 || itf->endpoints >= 1);
		MUST(itf->in.address == 0 || (itf->in.address & 0xf0) == 0x80);
		for (unsigned j = 0; j < i; j++)
			MUST(d->first.interface[j].number != itf->number);
	}
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
