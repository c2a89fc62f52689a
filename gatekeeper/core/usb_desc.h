/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB descriptors from raw bytes: what sysfs's `descriptors` file holds, the
 * device descriptor and then each configuration with all that belongs to it
 * (USB 2.0 9.5, 9.6; IAD: USB ECN 2003; HID 1.11 6.2.1; CCID 1.10 5.1; SuperSpeed
 * companion: USB 3.2 9.6.7). Parse, don't repair. Pure; no allocation; loops are bounded
 * by the caps below.
 */
#ifndef GK_USB_DESC_H
#define GK_USB_DESC_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum {
	/* Linux's own caps are 8 configurations, 32 interfaces, 128 alternate
	 * settings, 30 endpoints; sysfs gives at most 64 KiB + 18. Real
	 * keyboards stay below 300 bytes, audio interfaces below 2,000. */
	GK_USB_RAW_MAX = 16384,		/* bytes of raw descriptors */
	GK_USB_CONFIGS = 8,
	GK_USB_INTERFACES = 32,		/* in a configuration, alternates not counted */
	GK_USB_ALTSETTINGS = 128,	/* in a configuration, all interfaces */
	GK_USB_ENDPOINTS = 30,		/* in an alternate setting (USB 2.0 9.6.6) */
	GK_USB_DESCRIPTORS = 4096,	/* in all; a descriptor is >= 2 bytes */
	/* Each has an interface of its own, so more of them cannot be good. */
	GK_USB_ASSOCIATIONS = GK_USB_INTERFACES,
};

/*
 * dwMaxCCIDMessageLength: a header and data. CCID 1.10 5.1 asks for 261 bytes of
 * data at least, 65,544 at most (an extended APDU). Old SCM readers say 253, so
 * what is asked for here is that the shortest APDU with an Le fits, nothing more.
 */
enum {
	GK_CCID_HEADER = 10,
	GK_CCID_MESSAGE_MIN = GK_CCID_HEADER + 5,
	GK_CCID_MESSAGE_MAX = GK_CCID_HEADER + 65544,
};

struct gk_usb_endpoint {
	uint8_t address;	/* bEndpointAddress, bit 7: IN */
	uint8_t attributes;	/* bmAttributes, bits 0-1: transfer type */
	uint16_t max_packet;	/* wMaxPacketSize bits 0-10 */
	uint8_t interval;	/* bInterval as it stands */
};

/* A smartcard reader's class descriptor, CCID 1.10 table 5.1-1. */
struct gk_usb_ccid {
	uint8_t present;	/* 1: there, and as it should be; 0: the rest is 0 */
	uint8_t max_slot;	/* bMaxSlotIndex: slots - 1 */
	uint8_t voltages;	/* bVoltageSupport: 1 is 5 V, 2 is 3 V, 4 is 1.8 V */
	uint16_t bcd_ccid;
	uint32_t protocols;	/* dwProtocols: bit 0 is T=0, bit 1 is T=1 */
	uint32_t default_clock, max_clock;	/* kHz */
	uint32_t data_rate, max_data_rate;	/* bit/s */
	uint32_t max_ifsd;	/* dwMaxIFSD, for T=1 */
	uint32_t features;	/* dwFeatures; bits 16-18: level of exchange */
	uint32_t max_message;	/* GK_CCID_MESSAGE_MIN .. _MAX, with the header; more
				 * is cut to _MAX */
	uint8_t class_get_response, class_envelope;
	uint16_t lcd_layout;	/* wLcdLayout: lines << 8 | columns, 0: none */
	uint8_t pin_support;	/* bPINSupport: 1 verify, 2 modify */
	uint8_t max_busy_slots;	/* bMaxCCIDBusySlots */
};

/* An interface: its alternate setting 0. Others are counted, not kept. */
struct gk_usb_interface {
	uint8_t number;		/* bInterfaceNumber */
	uint8_t alternates;	/* alternate settings seen, >= 1 */
	uint8_t base_class, sub_class, protocol;
	uint8_t endpoints;	/* bNumEndpoints; each was there if odd_at is 0 */
	/* The first endpoint of each kind, if any: address 0 else. in and out are
	 * interrupt endpoints. */
	struct gk_usb_endpoint in, out, bulk_in, bulk_out;
	/* HID class descriptor (HID 1.11 6.2.1), if it is there. */
	uint16_t hid_report_len;	/* wDescriptorLength of the report descriptor, 0: none */
	uint8_t hid_country;
	/* CCID class descriptor, of an interface of class 0x0b. */
	struct gk_usb_ccid ccid;
	uint8_t association;	/* 1 + index in gk_usb_config.association, 0: none */
	uint16_t offset;	/* of its descriptor in the raw bytes */
	uint16_t odd_at;	/* where it breaks the standard, 0: nowhere. Such an
				 * interface must not be relied on for anything. */
};

/* Interfaces first .. first + count - 1 are one function (IAD ECN 9.6.4). */
struct gk_usb_association {
	uint8_t first, count;	/* bFirstInterface, bInterfaceCount: all are there */
	uint8_t base_class, sub_class, protocol;	/* bFunctionClass ... */
};

struct gk_usb_config {
	uint8_t value;		/* bConfigurationValue */
	uint8_t attributes;	/* bmAttributes */
	uint8_t max_power;	/* bMaxPower as it stands */
	uint8_t interfaces;	/* used below, ascending numbers not required */
	struct gk_usb_interface interface[GK_USB_INTERFACES];
	uint8_t associations;	/* used below */
	struct gk_usb_association association[GK_USB_ASSOCIATIONS];
};

struct gk_usb_device {
	uint16_t bcd_usb, vid, pid, bcd_device;
	uint8_t base_class, sub_class, protocol;	/* bDeviceClass ... */
	uint8_t max_packet0;
	uint8_t configs;	/* bNumConfigurations, each was there */
	uint8_t serial_index;	/* iSerialNumber */
	struct gk_usb_config first;	/* the first configuration; the others are
					 * walked and checked, not kept */
	uint16_t hub_offset;	/* where in raw the first interface of class 09 is, in
				 * whatever configuration and alternate setting; 0: none */
	uint16_t error_offset;	/* set with any error: where in raw */
};

/*
 * gk_usb_parse: raw[0..len). Refuses (never repairs): a descriptor with
 * bLength < 2 or past the end, a device descriptor that is not 18 bytes,
 * wTotalLength past the end or not ending on a descriptor, a configuration
 * count or an interface count that is not what follows, more than the caps.
 * Linux passes over what is wrong inside one interface, and real devices need it:
 * an endpoint count that is not what follows, the same interface+alternate twice,
 * no alternate 0, an endpoint descriptor of less than 7 bytes, with the number 0 or
 * twice in an alternate setting, a HID descriptor that is short or there twice.
 * Here that marks the interface (odd_at), so that it hides no good one beside it; a
 * hub's is refused for it. Unknown descriptor types
 * inside a configuration are skipped by their length (class-specific ones are
 * legal there: USB 2.0 9.5). What only one role or nobody relies on does not
 * condemn a device: a CCID descriptor that is not 54 bytes, that is there twice or
 * whose dwMaxCCIDMessageLength is too small is as good as none (ccid.present
 * 0); so is an association of no interface, of one that is not there, or of one
 * that an earlier association has (it is left out). Returns GK_OK or
 * GK_ERR_SHORT, _LENGTH, _VALUE, _LIMIT, _TRAILING; out->error_offset says where.
 * *out is fully initialised in every case.
 * Linux serves sysfs `descriptors` with each configuration cut to what was
 * really read; a hostile device can make them inconsistent.
 */
int gk_usb_parse(const void *raw, size_t len, struct gk_usb_device *out)
	GK_MUST_CHECK;

#endif
