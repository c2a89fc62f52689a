/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is admitted, decided from a device's own parsed descriptors. Pure.
 * In this form the rules are built in: a boot-protocol keyboard interface
 * (03:01:01, HID 1.11 4.2 and 4.3) gets the role `keyboard`; a hub is powered
 * so that what is behind it can be looked at; nothing else is admitted.
 */
#ifndef GK_POLICY_H
#define GK_POLICY_H

#include "link.h"
#include "usb_desc.h"

/* Why; stable numbers, they travel in DEVICE and GONE. */
enum gk_reason {
	GK_REASON_NONE = 0,
	GK_REASON_KEYBOARD = 1,		/* admitted: a keyboard */
	GK_REASON_HUB = 2,		/* a hub, powered */
	GK_REASON_NO_ROLE = 3,		/* refused: nothing here the gate serves */
	GK_REASON_BAD_DESCRIPTOR = 4,	/* refused: breaks the standard, see offset */
	GK_REASON_TOO_DEEP = 5,		/* refused: hubs nested too deep */
	GK_REASON_TOO_MANY = 6,		/* refused: too many devices */
	GK_REASON_CHANGED = 7,		/* refused: descriptors changed while judged */
	GK_REASON_CONFIGURE = 8,	/* refused: could not be configured */
	GK_REASON_UNPLUGGED = 9,	/* gone: unplugged */
	GK_REASON_WORKER = 10,		/* gone: its worker ended; plug it in again */
	GK_REASON_QUIESCED = 11,	/* gone: given up for the handoff */
	GK_REASON_MAX = 11,
};

struct gk_judgement {
	enum gk_verdict verdict;
	enum gk_reason reason;
	uint16_t offset;	/* byte in the descriptors, for BAD_DESCRIPTOR */
	uint8_t asked, granted;	/* enum gk_role bits */
	uint8_t config;		/* bConfigurationValue to set, 0: none */
	/* Per interface of that configuration, by index in gk_usb_config. */
	uint8_t role[GK_USB_INTERFACES];	/* 0 or one enum gk_role */
};

/* gk_policy_judge: never fails; a parse error in `parsed` is a refusal.
 * parse_err is what gk_usb_parse() returned; dev is valid only if it was 0.
 * Only the device's first configuration is considered. */
void gk_policy_judge(const struct gk_usb_device *dev, int parse_err,
		     struct gk_judgement *out);

/* gk_reason_text: "a keyboard", "no role for it" ..., for a person. */
const char *gk_reason_text(uint16_t reason);

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
