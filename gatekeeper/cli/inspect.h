/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the forms of `gatekeeper inspect` share; each prints and gives its exit
 * status. */
#ifndef GK_CLI_INSPECT_H
#define GK_CLI_INSPECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"
#include "core/hid_report.h"
#include "dom0/json.h"

/* A HID report descriptor that belongs to an interface of the device. */
struct gk_inspect_report {
	unsigned interface;	/* bInterfaceNumber */
	const char *file;
};

enum { GK_INSPECT_REPORTS = 32 };

/* What descriptors do not say and rules may ask for; NULL: not known. */
struct gk_inspect_more {
	const char *rules;	/* a file, NULL: those in force here */
	const char *port, *serial, *name;
	struct gk_inspect_report report[GK_INSPECT_REPORTS];
	unsigned reports;
};

/* A device's descriptors, as sysfs has them or as `lsusb -v` prints them. */
int gk_inspect_usb(const char *file, int json, const struct gk_inspect_more *more);
/* A HID report descriptor, raw. */
int gk_inspect_hid_report(const char *file, int json);
/* A recording of hid-recorder: the key events it yields. */
int gk_inspect_replay(const char *file, int json);

/*
 * gk_inspect_lsusb: the first device of what `lsusb -v` printed (a string, which
 * it takes apart) as descriptors; GK_ERR_LIMIT when there are more than cap
 * bytes. gk_inspect_is_lsusb: whether it is such a text.
 */
int gk_inspect_is_lsusb(const char *text);
int gk_inspect_lsusb(char *text, void *out, size_t cap, size_t *len) GK_MUST_CHECK;

/* gk_role_name: "keyboard" ... of one enum gk_role bit; NULL for none. */
const char *gk_role_name(uint8_t role);

/* gk_inspect_roles: "roles", an array of names. */
void gk_inspect_roles(struct gk_json *o, uint8_t roles);

/* gk_inspect_role_list: "keyboard, pointer" or "no role". */
void gk_inspect_role_list(uint8_t roles, char out[64]);

/*
 * gk_inspect_hid_json: `parsed`, `reason`, `error` and `offset` of one report
 * descriptor, and gk_inspect_hid_interface: it as an element of `interfaces`.
 */
void gk_inspect_hid_json(struct gk_json *o, const struct gk_hid_map *map, int err);
void gk_inspect_hid_interface(struct gk_json *o, const struct gk_hid_map *map,
			      unsigned number);

/*
 * gk_inspect_read: at most cap - 1 bytes of a file; when there are more, cap - 1,
 * which is one more than any parser takes. GK_ERR_SYSTEM, told on stderr.
 */
ssize_t gk_inspect_read(const char *file, char *buf, size_t cap) GK_MUST_CHECK;

#endif
