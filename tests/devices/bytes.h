/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that most device files have, as bytes (USB 2.0 9.6, HID 1.11 6.2.1). */
#ifndef GK_BYTES_H
#define GK_BYTES_H

#include "device.h"

enum {
	GK_DEVICE_LEN = 18, GK_CONFIG_LEN = 9, GK_INTERFACE_LEN = 9,
	GK_HID_LEN = 9, GK_ENDPOINT_LEN = 7,
	/* an interface of class HID with one endpoint */
	GK_HID_FUNCTION_LEN = GK_INTERFACE_LEN + GK_HID_LEN + GK_ENDPOINT_LEN,
};

enum { GK_BULK = 2, GK_INTERRUPT = 3 };

#define GK_DEVICE_BYTES(class, packet0, vid, pid, configurations) \
	GK_DEVICE_LEN, GK_DT_DEVICE, GK_LE16(0x0200), (class), 0, 0, (packet0), \
	GK_LE16(vid), GK_LE16(pid), GK_LE16(0x0100), 1, 2, 3, (configurations)

/* value 1, bus powered, 100 mA */
#define GK_CONFIG_BYTES(total, interfaces) \
	GK_CONFIG_LEN, GK_DT_CONFIG, GK_LE16(total), (interfaces), 1, 0, 0x80, 50

#define GK_INTERFACE_BYTES(number, alternate, endpoints, class, subclass, protocol) \
	GK_INTERFACE_LEN, GK_DT_INTERFACE, (number), (alternate), (endpoints), \
	(class), (subclass), (protocol), 0

#define GK_HID_BYTES(report_len) \
	GK_HID_LEN, GK_DT_HID, GK_LE16(0x0111), 0, 1, GK_DT_HID_REPORT, \
	GK_LE16(report_len)

#define GK_ENDPOINT_BYTES(address, type, size, interval) \
	GK_ENDPOINT_LEN, GK_DT_ENDPOINT, (address), (type), GK_LE16(size), \
	(interval)

/* What a boot keyboard's interface consists of: GK_HID_FUNCTION_LEN bytes. */
#define GK_KEYBOARD_BYTES(number, endpoint) \
	GK_INTERFACE_BYTES(number, 0, 1, 3, 1, 1), \
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)), \
	GK_ENDPOINT_BYTES(endpoint, GK_INTERRUPT, 8, 10)

/* A device of one boot keyboard; others vary or spoil it. */
#define GK_KEYBOARD_CONFIG_LEN	(GK_CONFIG_LEN + GK_HID_FUNCTION_LEN)
#define GK_KEYBOARD_CONFIG_BYTES \
	GK_CONFIG_BYTES(GK_KEYBOARD_CONFIG_LEN, 1), GK_KEYBOARD_BYTES(0, 0x81)

/* A row of descs for an array. */
#define GK_DESC(type, interface, array) \
	{ type, 0, interface, array, sizeof(array) }

/* The table of a device that is a boot keyboard and nothing else. */
#define GK_KEYBOARD_DESCS(device, config, hid) \
	GK_DESC(GK_DT_DEVICE, -1, device), \
	GK_DESC(GK_DT_CONFIG, -1, config), \
	GK_DESC(GK_DT_HID, 0, hid), \
	GK_DESC(GK_DT_HID_REPORT, 0, gk_boot_keyboard_report_desc)

/* As often as the name says. */
#define GK_4(...)	__VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
#define GK_16(...)	GK_4(GK_4(__VA_ARGS__))
#define GK_64(...)	GK_4(GK_16(__VA_ARGS__))
#define GK_256(...)	GK_4(GK_64(__VA_ARGS__))

#endif
