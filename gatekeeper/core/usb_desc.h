/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB descriptors from raw bytes: what sysfs's `descriptors` file holds, the
 * device descriptor and then each configuration with all that belongs to it
 * (USB 2.0 9.5, 9.6; IAD: USB ECN 2003; HID 1.11 6.2.1; SuperSpeed companion:
 * USB 3.2 9.6.7). Parse, don't repair. Pure; no allocation; loops are bounded
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
};

struct gk_usb_endpoint {
	uint8_t address;	/* bEndpointAddress, bit 7: IN */
	uint8_t attributes;	/* bmAttributes, bits 0-1: transfer type */
	uint16_t max_packet;	/* wMaxPacketSize bits 0-10 */
	uint8_t interval;	/* bInterval as it stands */
};

/* An interface: its alternate setting 0. Others are counted, not kept. */
struct gk_usb_interface {
	uint8_t number;		/* bInterfaceNumber */
	uint8_t alternates;	/* alternate settings seen, >= 1 */
	uint8_t base_class, sub_class, protocol;
	uint8_t endpoints;	/* bNumEndpoints, each was there */
	/* The interrupt IN endpoint, if any: address 0 else. */
	struct gk_usb_endpoint in;
	/* HID class descriptor (HID 1.11 6.2.1), if it is there. */
	uint16_t hid_report_len;	/* wDescriptorLength of the report descriptor, 0: none */
	uint8_t hid_country;
	uint16_t offset;	/* of its descriptor in the raw bytes */
};

struct gk_usb_config {
	uint8_t value;		/* bConfigurationValue */
	uint8_t attributes;	/* bmAttributes */
	uint8_t max_power;	/* bMaxPower as it stands */
	uint8_t interfaces;	/* used below, ascending numbers not required */
	struct gk_usb_interface interface[GK_USB_INTERFACES];
};

struct gk_usb_device {
	uint16_t bcd_usb, vid, pid, bcd_device;
	uint8_t base_class, sub_class, protocol;	/* bDeviceClass ... */
	uint8_t max_packet0;
	uint8_t configs;	/* bNumConfigurations, each was there */
	uint8_t serial_index;	/* iSerialNumber */
	struct gk_usb_config first;	/* the first configuration; the others are
					 * walked and checked, not kept */
	uint16_t error_offset;	/* set with any error: where in raw */
};

/*
 * gk_usb_parse: raw[0..len). Refuses (never repairs): a descriptor with
 * bLength < 2 or past the end, a device descriptor that is not 18 bytes,
 * wTotalLength past the end or not ending on a descriptor, a configuration
 * count or an interface count or endpoint count that is not what follows, the
 * same interface+alternate twice, an endpoint number 0 or the same endpoint
 * twice in an alternate setting, more than the caps. Unknown descriptor types
 * inside a configuration are skipped by their length (class-specific ones are
 * legal there: USB 2.0 9.5). Returns GK_OK or GK_ERR_SHORT, _LENGTH, _VALUE,
 * _LIMIT, _TRAILING; out->error_offset says where. *out is fully initialised
 * in every case.
 * Linux serves sysfs `descriptors` with each configuration cut to what was
 * really read; a hostile device can make them inconsistent.
 */
int gk_usb_parse(const void *raw, size_t len, struct gk_usb_device *out)
	GK_MUST_CHECK;

#endif
