/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "hid_report.h"
#include "policy.h"

/* USB-IF defined class codes, as far as a rule here looks at them. */
enum {
	CLASS_HID = 0x03,
	CLASS_HUB = 0x09,
	CLASS_SMARTCARD = 0x0b,
	HID_BOOT = 1,	       /* bInterfaceSubClass, HID 1.11 4.2 */
	HID_BOOT_KEYBOARD = 1, /* bInterfaceProtocol, HID 1.11 4.3 */
	HID_BOOT_MOUSE = 2,
	BOOT_REPORT = 8, /* bytes, HID 1.11 B.1: must fit one packet */
	CCID_BULK = 0,
	OFFSET_DEVICE_CLASS = 4,
};

static void refuse(struct gk_judgement *out, enum gk_reason reason, uint16_t offset)
{
	out->verdict = GK_VERDICT_REFUSED;
	out->reason = reason;
	out->offset = offset;
}

/* What an interface could be by its class triple alone, 0: nothing known. */
static uint8_t role_asked(const struct gk_usb_interface *itf)
{
	if (itf->base_class == CLASS_SMARTCARD)
		return GK_ROLE_SMARTCARD;
	if (itf->base_class != CLASS_HID)
		return 0;
	if (itf->sub_class == HID_BOOT && itf->protocol == HID_BOOT_KEYBOARD)
		return GK_ROLE_KEYBOARD;
	if (itf->sub_class == HID_BOOT && itf->protocol == HID_BOOT_MOUSE)
		return GK_ROLE_POINTER;
	return GK_ROLE_KEYBOARD | GK_ROLE_FIDO | GK_ROLE_POINTER;
}

/* Bulk transfers, and a class descriptor to go by (CCID 1.10 4.1, 5.1). */
static int is_ccid(const struct gk_usb_interface *itf)
{
	return itf->sub_class == 0 && itf->protocol == CCID_BULK &&
	       itf->ccid.present && itf->bulk_in.address && itf->bulk_out.address;
}

uint8_t gk_policy_fits(const struct gk_usb_interface *itf)
{
	uint8_t asked = role_asked(itf);

	if (itf->odd_at)
		return 0;
	if (itf->base_class == CLASS_SMARTCARD)
		return is_ccid(itf) ? asked : 0;
	/* The largest packet there is (USB 2.0 9.6.6). */
	if (itf->in.address == 0 || itf->in.max_packet > 1024)
		return 0;
	if (asked == GK_ROLE_KEYBOARD)
		return itf->in.max_packet >= BOOT_REPORT ? asked : 0;
	/* A report descriptor that Linux would not read either. */
	if (itf->hid_report_len == 0 || itf->hid_report_len > GK_HID_DESC_MAX)
		return 0;
	return asked;
}

void gk_policy_device(struct gk_rule_device *out, const struct gk_usb_device *dev)
{
	uint8_t fits[GK_USB_INTERFACES] = { 0 };

	for (unsigned i = 0; i < GK_USB_INTERFACES && i < dev->first.interfaces; i++)
		fits[i] = gk_policy_fits(&dev->first.interface[i]);
	gk_rule_device_init(out, dev, fits);
}

/*
 * Hubs. A hub says so in the device's class and has one interface (USB 2.0
 * 11.23.1). Everything else with a hub interface is a device that wants the
 * kernel's hub driver beside something else. The driver binds by the interface's
 * class, and which configuration is set when a device is authorised is the
 * kernel's choice: so such a device must never be authorised, in whatever
 * configuration or alternate setting its hub is.
 * Returns 1: a hub; 0: none; -1: refused, *offset says where.
 */
static int is_hub(const struct gk_usb_device *dev, uint16_t *offset)
{
	const struct gk_usb_config *cfg = &dev->first;
	const struct gk_usb_interface *hub = NULL, *odd = NULL;

	if (dev->base_class != CLASS_HUB) {
		*offset = dev->hub_offset;
		return dev->hub_offset ? -1 : 0;
	}
	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++) {
		const struct gk_usb_interface *itf = &cfg->interface[i];

		if (itf->base_class == CLASS_HUB && !hub)
			hub = itf;
		else if (!odd)
			odd = itf;
	}
	if (hub && !odd)
		return 1;
	*offset = odd ? odd->offset : OFFSET_DEVICE_CLASS;
	return -1;
}

/* Nothing in it can have a role: if that is because an interface that could is
 * broken, that is the reason to be told. */
static void blame_the_odd(const struct gk_usb_config *cfg, struct gk_judgement *out)
{
	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++) {
		if (!cfg->interface[i].odd_at || !role_asked(&cfg->interface[i]))
			continue;
		refuse(out, GK_REASON_BAD_DESCRIPTOR, cfg->interface[i].odd_at);
		return;
	}
}

static enum gk_reason why_refused(const struct gk_rule_verdict *v, int served)
{
	if (!served || v->target == GK_RULE_ALLOW)
		return GK_REASON_NO_ROLE;
	return v->rule < 0 ? GK_REASON_NO_RULE : GK_REASON_RULE;
}

void gk_policy_judge(const struct gk_usb_device *dev, int parse_err,
		     const struct gk_rules *rules,
		     const struct gk_rule_device *facts, struct gk_judgement *out)
{
	const struct gk_usb_config *cfg = &dev->first;
	struct gk_rule_verdict v;
	uint16_t offset = 0;
	int hub;

	memset(out, 0, sizeof(*out));
	out->rule = -1;
	if (parse_err) {
		refuse(out, GK_REASON_BAD_DESCRIPTOR, dev->error_offset);
		return;
	}
	hub = is_hub(dev, &offset);
	if (hub < 0) {
		refuse(out, GK_REASON_BAD_DESCRIPTOR, offset);
		return;
	}
	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++)
		out->asked |= role_asked(&cfg->interface[i]);
	gk_rules_judge(rules, facts, &v);
	out->rule = v.rule;
	out->target = v.target;
	/* Only what is a hub by its structure is powered as one. */
	if (v.verdict == GK_VERDICT_REFUSED || (v.verdict == GK_VERDICT_HUB) != hub) {
		refuse(out, why_refused(&v, hub || out->asked != 0), 0);
		if (out->reason == GK_REASON_NO_ROLE)
			blame_the_odd(cfg, out);
		return;
	}
	out->verdict = v.verdict;
	out->reason = hub ? GK_REASON_HUB : GK_REASON_ADMITTED;
	out->granted = v.granted;
	out->config = cfg->value;
	memcpy(out->role, v.role, sizeof(out->role));
}

int gk_reason_refuses(uint16_t reason)
{
	if (reason >= GK_REASON_NO_ROLE && reason <= GK_REASON_CONFIGURE)
		return 1;
	return reason == GK_REASON_WORKER ||
	       (reason >= GK_REASON_RULE && reason <= GK_REASON_LEFT);
}

const char *gk_reason_text(uint16_t reason)
{
	switch ((enum gk_reason)reason) {
	case GK_REASON_NONE:
		return "no reason given";
	case GK_REASON_ADMITTED:
		return "allowed";
	case GK_REASON_HUB:
		return "a hub";
	case GK_REASON_NO_ROLE:
		return "no role for it";
	case GK_REASON_BAD_DESCRIPTOR:
		return "its descriptors break the standard";
	case GK_REASON_TOO_DEEP:
		return "behind too many hubs";
	case GK_REASON_TOO_MANY:
		return "too many devices";
	case GK_REASON_CHANGED:
		return "its descriptors changed while it was judged";
	case GK_REASON_CONFIGURE:
		return "it could not be configured";
	case GK_REASON_UNPLUGGED:
		return "unplugged";
	case GK_REASON_WORKER:
		return "its worker ended, plug it in again";
	case GK_REASON_QUIESCED:
		return "given up for the handoff";
	case GK_REASON_RULE:
		return "blocked by a rule";
	case GK_REASON_HID:
		return "its HID report descriptor is broken";
	case GK_REASON_FLOOD:
		return "it types faster than anyone can";
	case GK_REASON_HANG:
		return "it keeps its worker busy, plug it in again";
	case GK_REASON_STORM:
		return "plugged in too often, leave it out for a while";
	case GK_REASON_NO_RULE:
		return "no rule allows it";
	case GK_REASON_SILENT:
		return "it does not answer";
	case GK_REASON_LEFT:
		return "left to the USB domain";
	case GK_REASON_UNPINNED:
		return "not one of the pinned keyboards";
	case GK_REASON_SECOND:
		return "there is a keyboard already";
	case GK_REASON_CHALLENGE:
		return "it has to type the number on the screen";
	case GK_REASON_STRANGER:
		return "it was not there before the handoff";
	}
	return "unknown reason";
}

const char *gk_reason_gone_text(uint16_t reason)
{
	if (reason == GK_REASON_WORKER)
		return "its worker ended, it is tried once more";
	return gk_reason_text(reason);
}

const char *gk_class_text(uint8_t base_class)
{
	switch (base_class) {
	case 0x01:
		return "audio";
	case 0x02:
	case 0x0a:
		return "network or serial";
	case 0x03:
		return "input";
	case 0x05:
		return "force feedback";
	case 0x06:
		return "camera";
	case 0x07:
		return "printer";
	case 0x08:
		return "storage";
	case 0x09:
		return "hub";
	case 0x0b:
		return "smartcard";
	case 0x0d:
		return "content security";
	case 0x0e:
		return "video";
	case 0x0f:
		return "health";
	case 0x10:
		return "audio and video";
	case 0x11:
		return "billboard";
	case 0x12:
		return "USB-C bridge";
	case 0xdc:
		return "diagnostic";
	case 0xe0:
		return "wireless";
	case 0xef:
		return "miscellaneous";
	case 0xfe:
		return "application specific";
	case 0xff:
		return "vendor specific";
	default:
		return "unknown";
	}
}

/* Appends v in decimal; leaves room for the terminator whatever v is. */
static unsigned put_number(char buf[GK_PORT_TEXT], unsigned n, uint32_t v)
{
	char digit[10] = { 0 };
	unsigned count = 0;

	for (unsigned i = 0; i < sizeof(digit); i++) {
		digit[count++] = (char)('0' + v % 10);
		v /= 10;
		if (v == 0)
			break;
	}
	for (unsigned i = 0; i < sizeof(digit) && count > 0; i++)
		if (n < GK_PORT_TEXT - 1)
			buf[n++] = digit[--count];
	return n;
}

void gk_port_text(unsigned controller_no, const struct gk_port_path *p,
		  char buf[GK_PORT_TEXT])
{
	unsigned n;

	memset(buf, 0, GK_PORT_TEXT);
	n = put_number(buf, 0, controller_no);
	/* At most 10 + 7 * 4 characters: it always fits. */
	for (unsigned i = 0; i < GK_PORT_DEPTH && i < p->depth; i++) {
		if (n < GK_PORT_TEXT - 1)
			buf[n++] = i == 0 ? '-' : '.';
		n = put_number(buf, n, p->port[i]);
	}
}
