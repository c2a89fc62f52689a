/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what sysfs says of a device to a verdict. Twice: when it appears, by its
 * descriptors and the rules (what could it be?), and when its worker has read
 * its report descriptors (what is it?). The second can only take away.
 */
#ifndef GK_DOMAIN_JUDGE_H
#define GK_DOMAIN_JUDGE_H

#include "core/link.h"
#include "core/policy.h"
#include "inventory.h"

/* An interface that may get a role, and all that its worker must know of it. */
struct gk_candidate {
	uint8_t index;		/* in gk_usb_config.interface */
	uint8_t number;		/* bInterfaceNumber, below 32: see usbfs's mask */
	uint8_t kind;		/* enum gk_worker_kind */
	uint8_t fits;		/* enum gk_role bits: what it could be */
	uint8_t in_address, out_address;
	uint16_t in_size;	/* wMaxPacketSize */
	uint16_t report_len;	/* of the report descriptor, 0: none is read */
	/* What the worker found; roles is cut to `fits`. */
	uint8_t found;		/* 1: it has told */
	uint8_t roles;
	uint16_t reason, offset;
	uint8_t role;		/* the one it has in the end, 0: none */
};

enum {
	/* Of one device. A keyboard has 1 to 4 HID interfaces, a security key
	 * 3 or 4 in all; a receiver for several devices up to 4. */
	GK_CANDIDATES = 8,
};

struct gk_case {
	struct gk_link_device info;	/* for dom0 */
	enum gk_verdict verdict;
	uint8_t config;			/* bConfigurationValue */
	uint8_t may_leave;	/* refused for want of a role or a rule, not for what it
				 * is or did, and not by a `reject` */
	unsigned candidates;
	struct gk_candidate candidate[GK_CANDIDATES];
	/* Read once: sysfs would wait for whoever talks to the device. */
	uint16_t name_len, serial_len;
	char name[GK_RULE_STRING + 1], serial[GK_RULE_STRING + 1];
};

/*
 * gk_judge_rules: reads the rules at path; the built-in ones are in force when
 * it is absent or has an error. said: one line for the log.
 */
void gk_judge_rules(const char *path, char said[GK_LINK_TEXT + 1]);

/* gk_judge_rules_text: the rules in text[0..len); with len 0 the built-in ones.
 * GK_OK, or as gk_rules_parse(): then what was in force still is. said: as above. */
int gk_judge_rules_text(const char *text, size_t len,
			char said[GK_LINK_TEXT + 1]) GK_MUST_CHECK;

/* gk_judge: *c for the device as it is now. Never fails: what cannot be read is
 * refused. */
void gk_judge(const struct gk_present *at, struct gk_case *c);

/* gk_judge_again: with what the worker found; the descriptors must be those of
 * the first time (their digest), or it is refused. */
void gk_judge_again(const struct gk_present *at, struct gk_case *c);

/* gk_judge_refuse: the verdict becomes a refusal for this reason. */
void gk_judge_refuse(struct gk_case *c, enum gk_reason reason);

#endif
