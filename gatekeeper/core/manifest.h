/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The manifest: what dom0 tells a USB domain before it gets the controllers, so
 * that it judges as the gate did. By which rules, and which devices were there.
 * It travels in MANIFEST frames of the link, in parts of GK_LINK_MANIFEST_PART
 * bytes each, strictly in this order: BEGIN, RULES until the text is whole,
 * DEVICE for each device, END. Little-endian; bytes not named are 0.
 *
 *   every part   0 u8 kind   1 u8 bytes of text, in RULES; else 0
 *                2 u16 number of the part, from 0
 *   BEGIN        4 u16 version   6 u8 lights   7 u8 devices
 *                8 u16 bytes of rules   10 u8 controllers   11 u8 0
 *                12 u8[16] their numbers
 *   RULES        4 text: GK_MANIFEST_TEXT bytes, only the last may have less
 *   DEVICE       4 u8 controller   5 u8 root hub   6 u8 depth   7 u8[7] ports
 *                14 u16 idVendor   16 u16 idProduct   18 u8 roles   19 u8 flags
 *                20 u16 rule   22 u8[32] SHA-256 of the raw descriptors
 *   END          4 u16 number of parts, this one counted   6 u16 0
 *                8 u8[32] SHA-256 of all parts before this one
 *
 * One manifest has one encoding: all that is not exactly this is refused.
 */
#ifndef GK_MANIFEST_H
#define GK_MANIFEST_H

#include "link.h"
#include "rules.h"

enum {
	GK_MANIFEST_VERSION = 1,
	GK_MANIFEST_CONTROLLERS = 16,
	GK_MANIFEST_TEXT = GK_LINK_MANIFEST_PART - 4,	/* bytes of a RULES part */
	GK_MANIFEST_PARTS_MAX = 1 +
		(GK_RULES_TEXT_MAX + GK_MANIFEST_TEXT - 1) / GK_MANIFEST_TEXT +
		GK_LINK_DEVICES + 1,
};

enum gk_manifest_kind {
	GK_MANIFEST_BEGIN = 1,
	GK_MANIFEST_RULES = 2,
	GK_MANIFEST_DEVICE = 3,
	GK_MANIFEST_END = 4,
};

/* Bits of gk_manifest_device.flags. */
enum {
	GK_MANIFEST_IN_USE = 1 << 0,	/* a keyboard whose keys count in dom0 */
};

/* A device as dom0 knew it; no two at the same port. */
struct gk_manifest_device {
	/* .controller: as dom0 counts them, from 1; not a guest's devfn */
	struct gk_port_path path;
	uint16_t vid, pid;
	uint8_t roles;		/* enum gk_role bits that were granted, also 0 */
	uint8_t flags;		/* IN_USE only with the keyboard role */
	uint16_t rule;		/* as gk_link_device.rule */
	uint8_t sha256[GK_SHA256];	/* of the raw descriptors */
};

struct gk_manifest {
	uint16_t version;	/* GK_MANIFEST_VERSION */
	uint8_t leds;		/* lock lights, as gk_link_led.leds */
	uint8_t devices;	/* used below */
	uint16_t rules_len;	/* bytes of rules, 0..GK_RULES_TEXT_MAX */
	/* The controllers that the USB domain has or gets, as dom0 counts them, each
	 * from 1 and once, in the order that they have there (slot, function): so
	 * that `via-port` of a rule means the same port. 0 of them: 1, 2, 3... */
	uint8_t controllers;	/* used below */
	uint8_t controller[GK_MANIFEST_CONTROLLERS];	/* the rest 0 */
	struct gk_manifest_device device[GK_LINK_DEVICES];
	char rules[GK_RULES_TEXT_MAX];	/* for gk_rules_parse(); no NUL in it,
					 * not terminated, the rest 0 */
};

/* Parts on their way in. All zero is empty: nothing came yet. */
struct gk_manifest_reader {
	struct gk_manifest m;	/* whole only when gk_manifest_take() said 1 */
	uint16_t next;		/* number of the part that has to come */
	uint16_t text;		/* bytes of rules that came */
	uint8_t devices;	/* entries that came */
};

/*
 * gk_manifest_parts: how many parts it takes, BEGIN and END counted,
 * 2..GK_MANIFEST_PARTS_MAX; or GK_ERR_VALUE, GK_ERR_VERSION: there is something in
 * it that the other end would refuse.
 */
int gk_manifest_parts(const struct gk_manifest *m) GK_MUST_CHECK;

/*
 * gk_manifest_part: part `number` (from 0) of m. sha256 is looked at for the last,
 * END, alone (NULL before): the SHA-256 of all parts before it, GK_LINK_MANIFEST_PART
 * bytes each, in order. GK_OK, GK_ERR_LIMIT (there is no such part), or as
 * gk_manifest_parts(). *out is written only on GK_OK.
 */
int gk_manifest_part(const struct gk_manifest *m, unsigned number,
		     const uint8_t sha256[GK_SHA256],
		     struct gk_link_manifest *out) GK_MUST_CHECK;

/* gk_manifest_check: what can be said of one part alone: kind, every field's range,
 * zeros. GK_OK, GK_ERR_TYPE (kind), GK_ERR_VERSION, GK_ERR_VALUE. */
int gk_manifest_check(const struct gk_link_manifest *part) GK_MUST_CHECK;

/* gk_manifest_is_end: whether gk_manifest_take() will look at a digest. */
int gk_manifest_is_end(const struct gk_link_manifest *part);

/*
 * gk_manifest_take: the next part. 0: more has to come; 1: r->m is whole, and the
 * part after this one has to be a BEGIN. GK_ERR_ORDER (not the part that has to
 * come), GK_ERR_VALUE (also: two devices at one port, or another digest) or as
 * gk_manifest_check(): r is empty then. For END, sha256 is the SHA-256 of all parts
 * before it as they came; since there is one encoding, that of the parts that
 * gk_manifest_part() makes of r->m is the same. NULL for the others.
 */
int gk_manifest_take(struct gk_manifest_reader *r, const struct gk_link_manifest *part,
		     const uint8_t sha256[GK_SHA256]) GK_MUST_CHECK;

#endif
