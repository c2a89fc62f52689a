/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /etc/gatekeeper/rules.conf, gatekeeper-rules.conf(5): from text into a table
 * of fixed size, and what that table says to a device. The language is that of
 * usbguard-rules.conf(5) as Debian 12's USBGuard 1.1.2 reads it, with roles and
 * keyboard modes added and conditions refused. Pure: whoever has the text and
 * the facts, the supervisor or gatekeeperd, comes to the same answer.
 */
#ifndef GK_RULES_H
#define GK_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "link.h"
#include "usb_desc.h"

enum {
	/* A policy that USBGuard generates for a laptop has 10 to 25 rules of
	 * about 250 bytes, each with six values. */
	GK_RULES_TEXT_MAX = 32768,	/* bytes of a file */
	GK_RULES_MAX = 64,
	GK_RULE_VALUES = 32,		/* in a rule, over all its attributes */
	/* A USB string has at most 126 UTF-16 units (USB 2.0 9.6.7), in UTF-8
	 * three bytes each. */
	GK_RULE_STRING = 378,
	GK_RULES_STRINGS = 16384,	/* bytes of all strings of a file */
	GK_RULES_PINS = GK_LINK_DEVICES,
	GK_RULES_NOTES = 8,		/* remarks kept; all are counted */
	GK_RULE_BASE64 = 44,		/* a SHA-256 as USBGuard prints it */
	GK_RULE_HEX = 2 * GK_SHA256,	/* and as the gate prints it */
};

enum gk_rule_target {
	GK_RULE_BLOCK = 0,	/* refused; also what holds without a rule */
	GK_RULE_ALLOW = 1,
	GK_RULE_REJECT = 2,	/* refused, and its port is cut off */
};

enum gk_rule_attribute {
	GK_RULE_ID,
	GK_RULE_SERIAL,
	GK_RULE_NAME,
	GK_RULE_HASH,
	GK_RULE_PARENT_HASH,
	GK_RULE_VIA_PORT,
	GK_RULE_INTERFACE,
	GK_RULE_CONNECT_TYPE,
	GK_RULE_ATTRIBUTES
};

/* What `{ ... }` means; GK_RULE_EQUALS where none is written. */
enum gk_rule_operator {
	GK_RULE_EQUALS = 0,
	GK_RULE_EQUALS_ORDERED,
	GK_RULE_ALL_OF,
	GK_RULE_ONE_OF,
	GK_RULE_NONE_OF,
	GK_RULE_MATCH_ALL,
};

/* Bits of gk_rules.keyboards; 0: any number of any keyboards. */
enum gk_keyboard_mode {
	GK_KEYBOARDS_PINNED = 1 << 0,	/* only those of a pin line */
	GK_KEYBOARDS_ONE = 1 << 1,	/* at most one at a time */
	GK_KEYBOARDS_CHALLENGE = 1 << 2,	/* a new one types a number first */
};

/* One value: an id (a, b = vendor, product), a class triple (a = class << 8 |
 * subclass, b = protocol) or a string (a = where in strings, b = bytes). */
struct gk_rule_value {
	uint16_t a, b;
	uint16_t any;	/* `*`: id: bit 0 product, bit 1 vendor;
			 * triple: bit 0 protocol, bit 1 subclass */
};

struct gk_rule_set {
	uint8_t count;		/* 0: the attribute is not in the rule */
	uint8_t first;		/* in gk_rule.value */
	uint8_t op;		/* enum gk_rule_operator */
	uint16_t column;	/* of the attribute's name, from 1 */
};

struct gk_rule {
	uint8_t target;		/* enum gk_rule_target */
	uint8_t roles;		/* of an allow rule: enum gk_role bits, never 0;
				 * keyboard, fido and smartcard if none is said */
	uint8_t values;		/* used below */
	uint16_t line;		/* from 1 */
	struct gk_rule_value label;	/* b = 0: none; the first, if several */
	struct gk_rule_set set[GK_RULE_ATTRIBUTES];
	struct gk_rule_value value[GK_RULE_VALUES];
};

struct gk_rule_pin {
	struct gk_rule_value port;	/* a string */
	uint8_t sha256[GK_SHA256];	/* of the raw descriptors */
};

/* A place in the file and what there is to say of it; text is static. */
struct gk_rules_note {
	uint16_t line, column;		/* from 1, column in bytes */
	const char *text;
};

struct gk_rules {
	uint8_t rules, pins;		/* used below */
	uint8_t keyboards;		/* enum gk_keyboard_mode bits */
	uint16_t notes;			/* how many there were, kept or not */
	uint16_t used;			/* of strings */
	struct gk_rule rule[GK_RULES_MAX];
	struct gk_rule_pin pin[GK_RULES_PINS];
	struct gk_rules_note note[GK_RULES_NOTES];
	char strings[GK_RULES_STRINGS];
};

/*
 * gk_rules_parse: text[0..len), any bytes. GK_OK; or GK_ERR_VALUE (not the
 * language), GK_ERR_LIMIT (more than the caps above): then *error has where and
 * why, and *out is an empty table, which refuses everything: to keep what was
 * in force, parse into another table and swap. out->note has what is legal but
 * surely not meant: rules never reached, hashes that match nothing.
 */
int gk_rules_parse(const char *text, size_t len, struct gk_rules *out,
		   struct gk_rules_note *error) GK_MUST_CHECK;

/*
 * gk_rules_complete: the same, for a file as a person writes it: one with
 * `keyboards` and `pin` lines alone, or with nothing, means the built-in rules
 * with them. Their text is put behind it then, in text[0..cap). The length of the
 * text that was parsed, or an error as above.
 */
int gk_rules_complete(char *text, size_t len, size_t cap, struct gk_rules *out,
		      struct gk_rules_note *error) GK_MUST_CHECK;

/* gk_rules_default: the rules in force without a file: keyboards, FIDO keys and
 * card readers, each by its interfaces, also behind hubs. Parses without an
 * error and without a note. */
const char *gk_rules_default(void);

/* A text that is not ours; text NULL: not known. Never longer than
 * GK_RULE_STRING if it is to match anything. */
struct gk_rule_text {
	const char *text;
	size_t len;
};

struct gk_rule_interface {
	uint8_t base_class, sub_class, protocol;
	uint8_t fits;	/* enum gk_role bits, by what the parsers say of it, not
			 * by the rules. Several: one of them, not known yet. */
};

/*
 * A device as a rule sees it. What cannot be known stays unknown (text NULL,
 * known_* 0): an allow rule that asks for it does not apply, a block or reject
 * rule that asks for it is decided by its other attributes, so that not knowing
 * never admits. A device without a name has the name "".
 */
struct gk_rule_device {
	uint16_t vid, pid;
	struct gk_rule_text serial, name;
	struct gk_rule_text port;	/* gk_port_text(): "1-3.2" */
	struct gk_rule_text connect_type;
	uint8_t known_usbguard_hash, known_parent_hash;
	/* SHA-256 of the raw descriptors: what the gate prints, in hex. */
	uint8_t sha256[GK_SHA256];
	/* SHA-256 of name, vendor and product (four hex digits each), serial
	 * and raw descriptors: what USBGuard prints, in base64. Of the device
	 * and of the hub that it is plugged in to. */
	uint8_t usbguard_hash[GK_SHA256];
	uint8_t parent_hash[GK_SHA256];
	uint8_t interfaces;		/* used below; alternate setting 0 of each */
	struct gk_rule_interface interface[GK_USB_INTERFACES];
};

/* gk_rule_device_init: vendor, product and interfaces of d's first
 * configuration; fits[i] belongs to d->first.interface[i]. All else unknown,
 * sha256 zero: the caller fills that in. */
void gk_rule_device_init(struct gk_rule_device *out, const struct gk_usb_device *d,
			 const uint8_t fits[GK_USB_INTERFACES]);

struct gk_rule_verdict {
	enum gk_rule_target target;
	/* REFUSED also for an allow rule when nothing here fits its roles; HUB
	 * when the rule allows and all interfaces are hubs' (09:*:*). */
	enum gk_verdict verdict;
	int rule;		/* index of the rule that decided, -1: none did */
	uint8_t granted;	/* enum gk_role bits */
	uint8_t role[GK_USB_INTERFACES];	/* of fits, those that are granted */
};

/* gk_rules_judge: the first rule that applies decides. Never fails. */
void gk_rules_judge(const struct gk_rules *r, const struct gk_rule_device *d,
		    struct gk_rule_verdict *out);

/* What is to be done with a device that the rules granted the keyboard role. */
enum gk_keyboard_answer {
	GK_KEYBOARD_ACCEPT = 0,
	GK_KEYBOARD_ASK = 1,	/* keys count once it has typed the number */
	GK_KEYBOARD_UNPINNED = 2,	/* refused: there is no pin for it */
	GK_KEYBOARD_SECOND = 3,	/* refused while there is another */
};

struct gk_keyboard_facts {
	struct gk_rule_text port;	/* as in gk_rule_device */
	uint8_t sha256[GK_SHA256];	/* of the raw descriptors */
	uint8_t seen;	/* this port and hash have typed a number before */
	uint8_t others;	/* devices whose keys count now, without this one and
			 * without those that still have to type a number */
	uint8_t others_pinned;	/* of them, those with a pin */
};

/* gk_keyboard_is_pinned: port and hash together are the identity. */
int gk_keyboard_is_pinned(const struct gk_rules *r, const struct gk_rule_text *port,
			  const uint8_t sha256[GK_SHA256]);

/* gk_keyboard_decide: a pinned keyboard is never asked, and with KEYBOARDS_ONE it
 * displaces one without a pin, which the caller has to refuse then. */
enum gk_keyboard_answer gk_keyboard_decide(const struct gk_rules *r,
					   const struct gk_keyboard_facts *k);

/* For people: "allow", "not one of the pinned keyboards". */
const char *gk_rule_target_text(enum gk_rule_target target);
const char *gk_keyboard_answer_text(enum gk_keyboard_answer answer);

#endif
