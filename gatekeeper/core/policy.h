/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is admitted: first what the descriptors say of themselves (a device that
 * breaks the standard or hides a hub is refused whatever the rules say), then
 * the rules, then what each interface can be. Pure: the supervisor and
 * `gatekeeper inspect` come to the same answer.
 */
#ifndef GK_POLICY_H
#define GK_POLICY_H

#include "link.h"
#include "rules.h"
#include "usb_desc.h"

/* Why; stable numbers, they travel in DEVICE and GONE. */
enum gk_reason {
	GK_REASON_NONE = 0,
	GK_REASON_ADMITTED = 1,		/* it has a role */
	GK_REASON_HUB = 2,		/* a hub, powered */
	GK_REASON_NO_ROLE = 3,		/* refused: nothing here the gate serves */
	GK_REASON_BAD_DESCRIPTOR = 4,	/* refused: breaks the standard, see offset */
	GK_REASON_TOO_DEEP = 5,		/* refused: hubs nested too deep */
	GK_REASON_TOO_MANY = 6,		/* refused: too many devices */
	GK_REASON_CHANGED = 7,		/* refused: descriptors changed while judged */
	GK_REASON_CONFIGURE = 8,	/* refused: could not be configured */
	GK_REASON_UNPLUGGED = 9,	/* gone: unplugged */
	GK_REASON_WORKER = 10,		/* gone: its worker ended, it is tried again;
					 * refused: it ended again */
	GK_REASON_QUIESCED = 11,	/* gone: given up for the handoff */
	GK_REASON_RULE = 12,		/* refused: a block or reject rule */
	GK_REASON_HID = 13,		/* refused: its report descriptor; see offset */
	GK_REASON_FLOOD = 14,		/* refused: too many keys a second */
	GK_REASON_HANG = 15,		/* refused: its worker hung or span */
	GK_REASON_STORM = 16,		/* refused: plugged in and out too often */
	GK_REASON_NO_RULE = 17,		/* refused: no rule allows it */
	GK_REASON_SILENT = 18,		/* refused: it does not answer */
	GK_REASON_LEFT = 19,		/* refused: left to the USB domain's kernel */
	GK_REASON_MAX = 19,
	/* dom0's own, never on the link: it does not let these keyboards count. */
	GK_REASON_UNPINNED = 32,
	GK_REASON_SECOND = 33,
	GK_REASON_CHALLENGE = 34,
	GK_REASON_STRANGER = 35,	/* after a handoff: it was not there before */
};

struct gk_judgement {
	enum gk_verdict verdict;
	enum gk_reason reason;
	uint16_t offset;	/* byte in the descriptors, for BAD_DESCRIPTOR */
	uint8_t asked, granted;	/* enum gk_role bits */
	uint8_t config;		/* bConfigurationValue to set, 0: none */
	enum gk_rule_target target;	/* of the rule that decided */
	int rule;		/* its index, -1: none did */
	/* Per interface of that configuration, by index in gk_usb_config: of
	 * gk_rule_interface.fits what is granted. */
	uint8_t role[GK_USB_INTERFACES];
};

/*
 * gk_policy_fits: enum gk_role bits that an interface can have by its class
 * triple (HID 1.11 4.2, 4.3; CCID 1.10 4.1) and its endpoints. Several: a HID
 * interface whose report descriptor decides.
 */
uint8_t gk_policy_fits(const struct gk_usb_interface *itf);

/*
 * gk_policy_device: of a parsed device what rules look at; interfaces fit what
 * gk_policy_fits() says. All else is unknown: the caller fills it in, and
 * narrows `fits` when it knows more.
 */
void gk_policy_device(struct gk_rule_device *out, const struct gk_usb_device *dev);

/*
 * gk_policy_judge: never fails; a parse error is a refusal. parse_err is what
 * gk_usb_parse() returned; dev and facts are valid only if it was 0. Only the
 * device's first configuration is considered. Where an interface fits several
 * roles the answer is what could become of it at best; that with narrower fits
 * grants no more.
 */
void gk_policy_judge(const struct gk_usb_device *dev, int parse_err,
		     const struct gk_rules *rules,
		     const struct gk_rule_device *facts, struct gk_judgement *out);

/* gk_reason_refuses: whether DEVICE may carry it with the verdict refused. */
int gk_reason_refuses(uint16_t reason);

/* gk_reason_text: "a keyboard", "no role for it" ..., for a person. */
const char *gk_reason_text(uint16_t reason);

/* gk_reason_gone_text: the same for a device that is gone: GONE's reason. */
const char *gk_reason_gone_text(uint16_t reason);

/* gk_class_text: a USB base class for a person: 0x08 -> "storage",
 * 0x02/0x0a -> "network or serial" etc.; "unknown" else. */
const char *gk_class_text(uint8_t base_class);

/*
 * gk_port_text: "1-3.2"-like text of a path for people: controller index as
 * numbered by the caller (1..), then ports. buf >= GK_PORT_TEXT bytes, always
 * terminated.
 */
enum { GK_PORT_TEXT = 40 };
void gk_port_text(unsigned controller_no, const struct gk_port_path *p,
		  char buf[GK_PORT_TEXT]);

#endif
