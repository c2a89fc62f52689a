/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gate domain is: its xl configuration (the only place that knows
 * its type), whether its image can be one, and what xl's complaints mean.
 */
#ifndef GK_DOM0_GATE_CONFIG_H
#define GK_DOM0_GATE_CONFIG_H

#include <stddef.h>

#include "core/error.h"
#include "dom0/controllers.h"
#include "dom0/options.h"

enum { GK_GATE_CONFIG_MAX = 4096, GK_CAUSE_MAX = 200 };

/* gk_gate_config: the text for `xl create`, its length; GK_ERR_VALUE for a
 * controller that is not one, GK_ERR_LIMIT. ramdisk: the initramfs's path. */
int gk_gate_config(const struct gk_options *o, const char *ramdisk,
		   const struct gk_controller *c, int n, char *buf, size_t cap)
	GK_MUST_CHECK;

/*
 * gk_gate_image_check: before xl is asked: are kernel and image there, of a
 * plausible size, and do they begin like a kernel and an initramfs. On an
 * error `cause` has one line for people.
 */
int gk_gate_image_check(const char *kernel, const char *image,
			char cause[GK_CAUSE_MAX]) GK_MUST_CHECK;

enum gk_xl_cause {
	GK_XL_AGAIN,		/* trying again may help */
	GK_XL_FINAL,		/* it cannot: no IOMMU, no such file */
	GK_XL_OWNED,		/* nor this: a controller is, or may be, another
				 * domain's, so dom0 must not drive it either */
};

/* gk_gate_xl_cause: one line for people from what xl said on stderr. */
enum gk_xl_cause gk_gate_xl_cause(const char *err_text, char cause[GK_CAUSE_MAX]);

#endif
