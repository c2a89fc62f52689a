/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine's USB controllers, from sysfs. */
#ifndef GK_DOM0_CONTROLLERS_H
#define GK_DOM0_CONTROLLERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum { GK_CONTROLLERS_MAX = 16, GK_BDF_MAX = 16 };

struct gk_controller {
	char bdf[GK_BDF_MAX];	/* "0000:00:14.0" */
	char driver[32];	/* what it is bound to, "" none */
	uint8_t prog_if;	/* 00 UHCI, 10 OHCI, 20 EHCI, 30 xHCI */
	uint8_t no;		/* its number in ports' names: its place among all of
				 * the machine's, from 1, whoever has them */
};

/*
 * gk_controllers_list: all PCI functions of class 0c03 that are host
 * controllers (prog-if 00 10 20 30; not 40, USB4, and not fe, a device),
 * sorted by BDF; how many, at most GK_CONTROLLERS_MAX. GK_ERR_SYSTEM when
 * there is no PCI in sysfs.
 */
int gk_controllers_list(struct gk_controller out[GK_CONTROLLERS_MAX])
	GK_MUST_CHECK;

/* gk_controllers_bound: of n, only those with that driver, in place. */
int gk_controllers_bound(struct gk_controller *c, int n, const char *driver);

/* gk_bdf_valid: whether s is a full BDF as sysfs spells it. */
int gk_bdf_valid(const char *s);

#endif
