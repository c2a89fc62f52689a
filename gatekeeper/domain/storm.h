/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often something appeared at a port lately. */
#ifndef GK_DOMAIN_STORM_H
#define GK_DOMAIN_STORM_H

#include "inventory.h"

enum {
	/*
	 * Appearances at one port within GK_STORM_WINDOW_MS. A cable pushed in
	 * slowly makes two or three, and nobody plugs anything in once a second
	 * for so long. The kernel cannot take much more: 100 ms of debouncing, two
	 * resets of 50 ms and the descriptors are some 300 ms each, and a slow
	 * machine takes twice that. A device that makes more is ignored until its
	 * port has been quiet for that long.
	 */
	GK_STORM_LIMIT = 10,
	GK_STORM_WINDOW_MS = 10000,
};

/* gk_storm: counts one more at now_ms; 1: too many. */
int gk_storm(const struct gk_present *p, uint64_t now_ms);

#endif
