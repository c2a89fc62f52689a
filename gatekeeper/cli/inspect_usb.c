/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate would say to a device, from a copy of its descriptors. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/inspect.h"
#include "core/policy.h"
#include "core/usb_desc.h"
#include "dom0/json.h"
#include "dom0/paths.h"

/* The built-in rules' names. */
static const char *rule_name(const struct gk_judgement *j,
			     const struct gk_usb_interface *i, uint8_t role)
{
	if (role == GK_ROLE_KEYBOARD)
		return "boot-keyboard";
	if (j->verdict == GK_VERDICT_HUB && i->base_class == 0x09)
		return "hub";
	return "default-refuse";
}

static void triple(const struct gk_usb_interface *i, char out[12])
{
	snprintf(out, 12, "%02x:%02x:%02x", i->base_class, i->sub_class, i->protocol);
}

static int print_json(const struct gk_usb_device *dev, const struct gk_judgement *j,
		      int err)
{
	static char text[16 << 10];
	struct gk_json o;
	char s[16];

	gk_json_init(&o, text, sizeof(text));
	gk_json_object(&o, NULL);
	gk_json_bool(&o, "parsed", err == 0);
	if (j->verdict == GK_VERDICT_REFUSED) {
		gk_json_string(&o, "reason", gk_reason_text((uint16_t)j->reason));
		if (err)
			gk_json_string(&o, "error", gk_strerror(err));
		gk_json_number(&o, "offset", j->offset);
	}
	if (!err) {
		snprintf(s, sizeof(s), "%04x", dev->vid);
		gk_json_string(&o, "vid", s);
		snprintf(s, sizeof(s), "%04x", dev->pid);
		gk_json_string(&o, "pid", s);
	}
	gk_json_array(&o, "interfaces");
	for (int i = 0; !err && i < dev->first.interfaces; i++) {
		const struct gk_usb_interface *in = &dev->first.interface[i];
		int ok = j->role[i] ||
			 (j->verdict == GK_VERDICT_HUB && in->base_class == 0x09);

		gk_json_object(&o, NULL);
		gk_json_number(&o, "number", in->number);
		triple(in, s);
		gk_json_string(&o, "class", s);
		gk_json_string(&o, "role", gk_role_name(j->role[i]));
		gk_json_string(&o, "verdict", ok ? "admitted" : "refused");
		gk_json_string(&o, "rule", rule_name(j, in, j->role[i]));
		gk_json_end_object(&o);
	}
	gk_json_end_array(&o);
	gk_inspect_roles(&o, j->granted);
	gk_json_end_object(&o);
	if (gk_json_finish(&o) < 0)
		return GK_EXIT_FAILED;
	puts(text);
	return j->verdict == GK_VERDICT_REFUSED ? GK_EXIT_FAILED : GK_EXIT_DONE;
}

static int print_text(const struct gk_usb_device *dev, const struct gk_judgement *j,
		      int err)
{
	char s[16];

	if (err) {
		printf("refused: %s: %s at byte %u\n",
		       gk_reason_text((uint16_t)j->reason), gk_strerror(err), j->offset);
		return GK_EXIT_FAILED;
	}
	printf("device %04x:%04x: %s: %s\n", dev->vid, dev->pid,
	       j->verdict == GK_VERDICT_REFUSED	 ? "refused"
	       : j->verdict == GK_VERDICT_PARTLY ? "admitted in part"
	       : j->verdict == GK_VERDICT_HUB	 ? "powered"
						 : "admitted",
	       gk_reason_text((uint16_t)j->reason));
	for (int i = 0; i < dev->first.interfaces; i++) {
		const struct gk_usb_interface *in = &dev->first.interface[i];
		const char *role = gk_role_name(j->role[i]);

		triple(in, s);
		printf("interface %u (%s, %s): %s, rule %s\n", in->number, s,
		       gk_class_text(in->base_class), role ? role : "no role",
		       rule_name(j, in, j->role[i]));
	}
	return j->verdict == GK_VERDICT_REFUSED ? GK_EXIT_FAILED : GK_EXIT_DONE;
}

int gk_inspect_usb(const char *file, int json)
{
	enum { TEXT = 1 << 20 }; /* `lsusb -v` of a webcam: 60 KiB */
	static struct gk_usb_device dev;
	static uint8_t raw[GK_USB_RAW_MAX + 1];
	static char text[TEXT];
	static struct gk_rules rules;
	struct gk_rule_device facts;
	struct gk_rules_note note;
	struct gk_judgement j;
	ssize_t got = gk_inspect_read(file, text, sizeof(text));
	size_t len;
	int err;

	if (got < 0)
		return GK_EXIT_FAILED;
	if (gk_inspect_is_lsusb(text)) {
		/* Too much to hold is too much to parse. */
		if (gk_inspect_lsusb(text, raw, sizeof(raw), &len))
			len = sizeof(raw);
	} else {
		len = (size_t)got < sizeof(raw) ? (size_t)got : sizeof(raw);
		memcpy(raw, text, len);
	}
	if (gk_rules_parse(gk_rules_default(), strlen(gk_rules_default()), &rules,
			   &note))
		return GK_EXIT_FAILED;
	err = gk_usb_parse(raw, len, &dev);
	gk_policy_device(&facts, &dev);
	gk_policy_judge(&dev, err, &rules, &facts, &j);
	return json ? print_json(&dev, &j, err) : print_text(&dev, &j, err);
}
