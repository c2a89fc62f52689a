/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hid-*: a HID interface that is no boot device (03:00:00), so that a host has
 * to read its report descriptor (HID 1.11 6.2.2); and what it reads there.
 */
#include "bytes.h"
#include "hid_keyboard.h"

enum { PLAIN, STALLS, SILENT, CUT };

#define KEYBOARD	0x05, 0x01, 0x09, 0x06	/* Usage Page, Usage */
#define APPLICATION	0xa1, 0x01
#define END		0xc0
#define KEYS		0x05, 0x07, 0x19, 0x00, 0x29, 0x65
#define ONE_BIT		0x15, 0x00, 0x25, 0x01, 0x75, 0x01
#define ARRAY		0x81, 0x00
#define VARIABLE	0x81, 0x02

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1209, 0x000a, 1),
};

static const struct gk_desc descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, device_desc),
};

static const uint8_t count[] = {
	KEYBOARD, APPLICATION, KEYS, ONE_BIT,
	0x97, 0xff, 0xff, 0xff, 0xff,	/* Report Count (4294967295) */
	VARIABLE, END,
};

static const uint8_t size[] = {
	KEYBOARD, APPLICATION, KEYS, 0x15, 0x00, 0x25, 0x65,
	0x77, 0x01, 0x00, 0x00, 0x80,	/* Report Size (2147483649) */
	0x95, 0x02, ARRAY, END,
};

/* Each is allowed; together they go round 2^32 bits. */
static const uint8_t sum[] = {
	KEYBOARD, APPLICATION, KEYS, 0x15, 0x00, 0x25, 0x65,
	0x76, 0x00, 0x01,		/* Report Size (256) */
	0x96, 0x00, 0x30,		/* Report Count (12288) */
	GK_256(ARRAY), GK_256(ARRAY), GK_256(ARRAY), GK_256(ARRAY),
	GK_256(ARRAY), GK_256(ARRAY), END,
};

static const uint8_t deep[] = {
	KEYBOARD, APPLICATION, GK_256(0xa1, 0x02), KEYS, ONE_BIT, 0x95, 0x65,
	VARIABLE, GK_256(END), END,
};

static const uint8_t unbalanced[] = {
	KEYBOARD, APPLICATION, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE,
	END, END, END,
};

static const uint8_t open[] = {
	KEYBOARD, APPLICATION, 0xa1, 0x00, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE,
};

static const uint8_t push[] = {
	KEYBOARD, APPLICATION, GK_256(0xa4), KEYS, ONE_BIT, 0x95, 0x65,
	VARIABLE, END,
};

static const uint8_t pop[] = {
	KEYBOARD, APPLICATION, 0xb4, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE, END,
};

static const uint8_t cut_off[] = {
	KEYBOARD, APPLICATION, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE, END,
	0x27, 0xff,			/* Logical Maximum, of four bytes */
};

static const uint8_t long_item[] = {
	KEYBOARD, APPLICATION, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE, END,
	0xfe, 0xff, 0x00,		/* a long item of 255 bytes */
};

static const uint8_t usages[] = {
	KEYBOARD, APPLICATION, 0x05, 0x07,
	GK_64(0x1b, 0x00, 0x00, 0x00, 0x00, 0x2b, 0xff, 0xff, 0xff, 0xff),
	ONE_BIT, 0x95, 0x65, VARIABLE, END,
};

static const uint8_t collections[] = {
	GK_256(KEYBOARD, APPLICATION, END),
};

static const uint8_t fields[] = {
	KEYBOARD, APPLICATION, 0x05, 0x07, ONE_BIT, 0x95, 0x01,
	GK_256(0x09, 0x04, VARIABLE), GK_256(0x09, 0x04, VARIABLE),
	GK_256(0x09, 0x04, VARIABLE), END,
};

static const uint8_t id_zero[] = {
	KEYBOARD, APPLICATION, 0x85, 0x00, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE,
	END,
};

static const uint8_t id_big[] = {
	KEYBOARD, APPLICATION, 0x86, 0x01, 0x01, KEYS, ONE_BIT, 0x95, 0x65,
	VARIABLE, END,
};

static const uint8_t delimiters[] = {
	KEYBOARD, APPLICATION, 0x05, 0x07, GK_16(0xa9, 0x01), ONE_BIT, 0x95,
	0x65, VARIABLE, END,
};

/* More than the 4096 that QEMU passes, and Linux takes. */
static const uint8_t endless[] = {
	GK_256(KEYBOARD, KEYBOARD, KEYBOARD, KEYBOARD, KEYBOARD),
	APPLICATION, END,
};

static const uint8_t random_bytes[] = {
	0x9d, 0x1f, 0xe2, 0x44, 0x0b, 0xf7, 0x83, 0x5a, 0xc1, 0x2e, 0x70, 0xb6,
	0x08, 0xdc, 0x39, 0xa5, 0x62, 0xfe, 0x17, 0x4b, 0x90, 0xcd, 0x26, 0x73,
};

static const uint8_t keyboard[] = {
	KEYBOARD, APPLICATION, KEYS, ONE_BIT, 0x95, 0x65, VARIABLE, END,
};

/* CTAP 2.1 11.2.8.1, but on an interface that says it is a boot keyboard. */
#define FIDO \
	0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, \
	0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0x09, 0x21, \
	0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xc0

static const uint8_t fido[] = { FIDO };
static const uint8_t fido_beside[] = {
	KEYBOARD, APPLICATION, 0x85, 0x01, KEYS, ONE_BIT, 0x95, 0x66, VARIABLE,
	0x75, 0x02, 0x95, 0x01, 0x81, 0x01, END,
	0x85, 0x02, FIDO,
};

/* Interface 0 with this triple, said to have a descriptor of len bytes. */
#define CONFIG(len, subclass, protocol) (const uint8_t[]){ \
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1), \
	GK_INTERFACE_BYTES(0, 0, 1, 3, subclass, protocol), GK_HID_BYTES(len), \
	GK_ENDPOINT_BYTES(0x81, GK_INTERRUPT, 64, 4) }, GK_KEYBOARD_CONFIG_LEN

#define DESCS(report, len, subclass, protocol) (const struct gk_desc[]){ \
	{ GK_DT_CONFIG, 0, -1, CONFIG(len, subclass, protocol) }, \
	GK_DESC(GK_DT_HID_REPORT, 0, report) }, 2

#define HID(report)	PLAIN, DESCS(report, sizeof(report), 0, 0)

static const struct gk_variant liars[] = {
	{ "hid-count", "4,294,967,295 controls in a field", HID(count) },
	{ "hid-size", "controls of 2,147,483,649 bits", HID(size) },
	{ "hid-sum", "a report of more bits than 32 bits can count", HID(sum) },
	{ "hid-deep", "257 collections in each other", HID(deep) },
	{ "hid-unbalanced", "more ends than collections", HID(unbalanced) },
	{ "hid-open", "collections without an end", HID(open) },
	{ "hid-push", "256 pushes", HID(push) },
	{ "hid-pop", "a pop without a push", HID(pop) },
	{ "hid-cut", "ends in the middle of an item", HID(cut_off) },
	{ "hid-long-item", "ends in the middle of a long item", HID(long_item) },
	{ "hid-usages", "64 times 2^32 usages", HID(usages) },
	{ "hid-collections", "256 collections at the top", HID(collections) },
	{ "hid-fields", "768 fields", HID(fields) },
	{ "hid-id-zero", "report id 0", HID(id_zero) },
	{ "hid-id-big", "report id 257", HID(id_big) },
	{ "hid-delimiters", "delimiters in each other", HID(delimiters) },
	{ "hid-endless", "a report descriptor of 5,123 bytes", HID(endless) },
	{ "hid-random", "24 bytes that mean nothing", HID(random_bytes) },
	{ "hid-max", "says 65,535 bytes, gives 23", PLAIN,
	  DESCS(keyboard, 0xffff, 0, 0) },
	{ "hid-less", "gives less than it says", PLAIN, DESCS(keyboard, 100, 0, 0) },
	{ "hid-none", "says its report descriptor has no bytes", PLAIN,
	  DESCS(keyboard, 0, 0, 0) },
	{ "hid-part", "gives three bytes less at each read", CUT,
	  DESCS(keyboard, sizeof(keyboard), 0, 0) },
	{ "hid-stalls", "stalls when it is asked for its report descriptor",
	  STALLS, DESCS(keyboard, sizeof(keyboard), 0, 0) },
	{ "hid-silent", "is silent when it is asked for its report descriptor",
	  SILENT, DESCS(keyboard, sizeof(keyboard), 0, 0) },
	{ "fido-boot", "a FIDO report descriptor behind a boot keyboard", PLAIN,
	  DESCS(fido, sizeof(fido), 1, 1) },
	{ "fido-beside", "a keyboard and a FIDO collection in one interface",
	  HID(fido_beside) },
};

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	const uint8_t *data;
	size_t len;

	gk_keyboard_control(dev, setup, out, answer);
	if (setup->type != 0x81 || setup->request != 6 ||
	    setup->value >> 8 != GK_DT_HID_REPORT)
		return;
	switch (gk_vdev_mode(dev)) {
	case STALLS:
		answer->verdict = GK_STALL;
		break;
	case SILENT:
		answer->verdict = GK_NEVER;
		break;
	case CUT:
		data = gk_vdev_desc(dev, GK_DT_HID_REPORT, 0, 0, &len);
		if (data && len > 3)
			gk_answer_data(answer, data, len - 3);
		break;
	default:
		break;
	}
}

static const struct gk_kind common = {
	GK_RAW(GK_FULL, descs),
	.state_size = sizeof(struct gk_keyboard),
	.init = gk_keyboard_init_alone,
	.control = control,
	GK_KEYBOARD_CALLBACKS,
};
GK_VARIANTS(common, liars);
