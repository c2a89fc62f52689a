/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sysfs says is plugged in. This is where a device's identity comes from:
 * never from its worker, never from the device itself.
 */
#ifndef GK_DOMAIN_INVENTORY_H
#define GK_DOMAIN_INVENTORY_H

#include <stdint.h>
#include <sys/types.h>

#include "core/link.h"
#include "core/usb_desc.h"

enum {
	GK_INVENTORY_MAX = 64,	/* devices looked at; the rest stay unauthorised */
	GK_SYSFS_NAME = 32,	/* "1-1.2.3.4.5.6" */
};

struct gk_present {
	char name[GK_SYSFS_NAME];	/* in /sys/bus/usb/devices */
	ino_t ino;			/* of that directory: new at each plug-in */
	unsigned busnum, devnum;
	struct gk_port_path path;
};

/*
 * gk_inventory_scan: every device except root hubs, in no order; returns how
 * many (0..GK_INVENTORY_MAX) or GK_ERR_SYSTEM. A device that goes away while
 * it is read is left out.
 */
int gk_inventory_scan(struct gk_present out[GK_INVENTORY_MAX]) GK_MUST_CHECK;

/* gk_inventory_place: bus and port path of what would have this name, there or
 * not; *out has nothing else. GK_ERR_VALUE, GK_ERR_LIMIT, GK_ERR_SYSTEM. */
int gk_inventory_place(const char *name, struct gk_present *out) GK_MUST_CHECK;

/* gk_inventory_there: 1 if it is still that device that has its name, and it is not
 * being removed. */
int gk_inventory_there(const struct gk_present *p);

/* gk_inventory_raw: the raw descriptors; bytes read, or GK_ERR_SYSTEM, or
 * GK_ERR_LIMIT if there are more than GK_USB_RAW_MAX. */
int gk_inventory_raw(const struct gk_present *p, uint8_t raw[GK_USB_RAW_MAX])
	GK_MUST_CHECK;

/* gk_inventory_set: writes a number to an attribute of the device. */
int gk_inventory_set(const struct gk_present *p, const char *attr,
		     unsigned value) GK_MUST_CHECK;

/* gk_inventory_get: reads a decimal number; -1 if there is none. */
int gk_inventory_get(const struct gk_present *p, const char *attr);

/*
 * gk_inventory_string: the text of a string attribute (product, serial) as the
 * kernel has it, UTF-8, without its line's end; "" if there is none. buf is
 * always terminated; returns the length. Longer than cap - 1: cut off.
 */
size_t gk_inventory_string(const struct gk_present *p, const char *attr, char *buf,
			   size_t cap);

/*
 * gk_inventory_controller_no: the number that dom0 gives a controller (its
 * devfn) in a port's name. dom0 counts all controllers of the machine; those that
 * the gate has it names on the command line, in order of devfn. 0: not there.
 */
unsigned gk_inventory_controller_no(uint8_t devfn);

/* gk_inventory_numbers: from now on these in place of the command line's, in order
 * of devfn (at most GK_INVENTORY_MAX); n 0: the command line's. As long as there are
 * more controllers than n, none has a number: which of them dom0 means is not known. */
void gk_inventory_numbers(const uint8_t *numbers, unsigned n);

/* gk_inventory_numbered: that n; 0: the command line's. */
unsigned gk_inventory_numbered(void);

/* gk_inventory_is_controller: of a name in /sys/bus/pci/devices: a USB host controller
 * (class 0c03, not prog-if 40, USB4). */
int gk_inventory_is_controller(const char *name);

/*
 * gk_inventory_number: of `gk.controllers=NUMBER,NUMBER...` in a kernel command
 * line the place-th number, from 1. Without that word the place itself; 0: fewer
 * numbers than that, or no numbers.
 */
unsigned gk_inventory_number(const char *cmdline, unsigned place);

/* gk_inventory_open: its usbdevfs node, read-write, or -1 with errno. */
int gk_inventory_open(const struct gk_present *p);

#endif
