/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HID report descriptors (HID 1.11 6.2.2) into a bounded table of fields, and
 * what the table says of the interface: its roles and its lock lights.
 *
 * It accepts what Linux's hid-core (6.1) accepts, because that is what real
 * devices are made to work with, and where that breaks the standard it reads
 * it as Linux does:
 *   - unknown main and local items, and items of the reserved type, count for
 *     nothing (6.2.2.4: reserved); trailing zero bytes are such items;
 *   - a Usage Maximum below its Minimum, and a Usage of four bytes in a range
 *     with one of two, make ranges without sense that are kept as such;
 *   - a Usage Page that comes after the usages applies to them all the same
 *     (6.2.2.8 reads so, and many devices rely on either reading);
 *   - more controls than usages: the last usage stands for the rest;
 *   - of alternatives between delimiters (6.2.2.8) the first set counts;
 *   - a maximum is read as unsigned when the minimum is not negative: 25 FF
 *     is 255, though 6.2.2.7 has it as -1;
 *   - main items without usages are padding, whatever their flags say.
 * Beyond Linux: long items (6.2.2.3) are skipped by their length.
 * What Linux refuses is refused, and what goes over the caps below.
 */
#ifndef GK_HID_REPORT_H
#define GK_HID_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum {
	/* Linux's cap; the longest of real devices has 2,580 bytes, the
	 * longest of keyboards 1,139. An item is at least one byte. */
	GK_HID_DESC_MAX = 4096,
	GK_HID_FIELDS = 512,		/* with usages; seen: 190 */
	/* Runs of usages, adjacent ones count once; 1,085 items of all
	 * kinds are the most seen in one descriptor. */
	GK_HID_RANGES = 1024,
	GK_HID_PUSHES = 8,		/* Linux: 4 */
	GK_HID_DEPTH = 16,		/* collections in each other; seen: 5 */
	GK_HID_COLLECTIONS = 128,	/* top-level ones; 30 report ids seen */
	GK_HID_REPORT_BITS = 256,	/* of one control, Linux's cap */
	GK_HID_USAGES = 12288,		/* of one field, and its controls: Linux's */
	GK_HID_REPORT_MAX = 16383,	/* bytes of a report without its id: Linux's */
	/* State that keys need: bitmaps of 256 keys in several reports, and
	 * arrays of 6, of 14, at most of some 30 slots. */
	GK_HID_KEY_BITS = 4096,
	GK_HID_KEY_SLOTS = 128,
	GK_HID_NO_COLLECTION = 0xff,
};

enum gk_hid_kind {
	GK_HID_INPUT = 0,
	GK_HID_OUTPUT = 1,
	GK_HID_FEATURE = 2,
	GK_HID_KINDS = 3,
};

/* Bits of a main item's data (HID 1.11 6.2.2.5). */
enum {
	GK_HID_CONSTANT = 1 << 0,
	GK_HID_VARIABLE = 1 << 1,	/* else an array */
	GK_HID_RELATIVE = 1 << 2,
	GK_HID_NULL_STATE = 1 << 6,
};

/* Full usages: page << 16 | id. */
enum {
	GK_HID_PAGE_KEYS = 0x07,
	GK_HID_PAGE_LEDS = 0x08,
	GK_HID_APPLICATION = 0x01,	/* collection type (6.2.2.6) */
	GK_HID_MOUSE = 0x00010002,
	GK_HID_KEYBOARD = 0x00010006,
	GK_HID_KEYPAD = 0x00010007,
};
#define GK_HID_FIDO 0xf1d00001u		/* CTAP 2.1 11.2.8.1 */

/* Why a descriptor is refused. */
enum gk_hid_reason {
	GK_HID_FINE = 0,
	GK_HID_EMPTY,
	GK_HID_TOO_LONG,
	GK_HID_CUT_OFF,			/* the last item is not all there */
	GK_HID_UNKNOWN_GLOBAL,
	GK_HID_TOO_MANY_PUSHES,
	GK_HID_POP_WITHOUT_PUSH,
	GK_HID_BAD_REPORT_SIZE,
	GK_HID_BAD_REPORT_COUNT,
	GK_HID_BAD_REPORT_ID,
	GK_HID_LONG_REPORT,
	GK_HID_BAD_LOGICAL_RANGE,
	GK_HID_TOO_MANY_FIELDS,
	GK_HID_TOO_MANY_USAGES,
	GK_HID_TOO_MANY_COLLECTIONS,
	GK_HID_TOO_DEEP,
	GK_HID_END_WITHOUT_COLLECTION,
	GK_HID_OPEN_COLLECTION,
	GK_HID_NESTED_DELIMITER,
	GK_HID_END_WITHOUT_DELIMITER,
	GK_HID_OPEN_DELIMITER,
	GK_HID_TOO_MANY_KEYS,
	GK_HID_REASONS
};

/* A run of usages, first..first + count - 1 (in the low 16 bits, unless wide). */
struct gk_hid_range {
	uint32_t first;		/* page << 16 | id */
	uint16_t count;		/* >= 1 */
	uint8_t wide;		/* came with its page: four bytes */
	uint8_t reserved;
};

/* What one Input, Output or Feature item with usages describes. */
struct gk_hid_field {
	uint32_t offset;	/* bits from the report's start, after its id */
	uint32_t application;	/* usage of the innermost application collection */
	int32_t logical_min, logical_max;
	uint16_t size;		/* bits of a control, 0..GK_HID_REPORT_BITS */
	uint16_t count;		/* controls, or slots of an array */
	uint16_t flags;		/* GK_HID_CONSTANT ... */
	uint16_t usages;	/* 1..GK_HID_USAGES, in the ranges below */
	uint16_t first_range, ranges;	/* in gk_hid_map.range, ranges >= 1 */
	uint16_t state;		/* keys: where in gk_hid_keys its state is */
	uint8_t kind;		/* enum gk_hid_kind */
	uint8_t id;		/* report id, 0: reports have none */
	uint8_t top;		/* in gk_hid_map.collection, or _NO_COLLECTION */
	uint8_t keys;		/* 1: input of a keyboard or keypad, page 07 */
	uint8_t reserved[2];
};

struct gk_hid_collection {
	uint32_t usage;
	uint8_t type;
	uint8_t reserved[3];
};

/* About 30 KiB. */
struct gk_hid_map {
	uint16_t fields, ranges, collections;
	uint16_t key_bits, key_slots;	/* state used by the key fields */
	uint16_t reason;	/* enum gk_hid_reason */
	uint32_t error_offset;	/* of the item that is refused */
	uint8_t numbered[GK_HID_KINDS];	/* reports of that kind begin with an id */
	uint8_t reserved;
	struct gk_hid_field field[GK_HID_FIELDS];
	struct gk_hid_range range[GK_HID_RANGES];
	struct gk_hid_collection collection[GK_HID_COLLECTIONS];	/* top level */
	uint32_t bits[GK_HID_KINDS][256];	/* report lengths by id */
	uint8_t exists[GK_HID_KINDS][256];	/* that report is declared */
};

/*
 * gk_hid_parse: raw[0..len). GK_OK, or GK_ERR_SHORT, _LENGTH, _VALUE, _LIMIT
 * with map->reason and map->error_offset; the table is empty then. *map is
 * fully initialised in every case.
 */
int gk_hid_parse(const void *raw, size_t len, struct gk_hid_map *map)
	GK_MUST_CHECK;

/* gk_hid_reason_text: for a person; never NULL. */
const char *gk_hid_reason_text(uint16_t reason);

/*
 * gk_hid_usage: the full usage of a control of a variable field, or of a value
 * (counted from logical_min) of an array; the last usage stands for all beyond.
 */
uint32_t gk_hid_usage(const struct gk_hid_map *map, const struct gk_hid_field *f,
		      uint32_t index);

/*
 * gk_hid_roles: enum gk_role bits of link.h.
 *   keyboard  an application collection Keyboard or Keypad with an input field
 *             of the keyboard page (a consumer control alone is none)
 *   fido      one top-level collection, an application F1D0:0001 that holds all
 *             fields, one input and one output report, neither numbered, of
 *             the same whole number of bytes, 1..64
 *   pointer   an application collection Mouse with an input
 */
uint8_t gk_hid_roles(const struct gk_hid_map *map);

enum { GK_HID_LED_REPORT = 64 };	/* bytes, with the id; real ones: 1 or 2 */

/* The output report with the lock lights. */
struct gk_hid_leds {
	uint8_t id;		/* 0: none, and no byte for it */
	uint8_t have;		/* bit 0 Num, 1 Caps, 2 Scroll: it has this light */
	uint16_t len;		/* bytes, with the id */
	uint32_t bit[3];	/* where, from the first byte on */
};

/*
 * gk_hid_leds_find: the first output report of a keyboard that has one of the
 * three lights as a variable (HUT 1.3 11: usages 1 to 3 of page 08), as
 * hid-input does. GK_ERR_NOT_FOUND: none, or longer than GK_HID_LED_REPORT.
 */
int gk_hid_leds_find(const struct gk_hid_map *map, struct gk_hid_leds *leds)
	GK_MUST_CHECK;

/*
 * gk_hid_leds_report: the bytes to send for lights as in struct gk_link_led;
 * everything else in the report is 0. Returns leds->len.
 */
int gk_hid_leds_report(const struct gk_hid_leds *leds, uint8_t lights,
		       uint8_t out[GK_HID_LED_REPORT]) GK_MUST_CHECK;

#endif
