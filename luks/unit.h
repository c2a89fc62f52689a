/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd's own generator made of crypttab and of the kernel's arguments. */
#ifndef GK_LUKS_UNIT_H
#define GK_LUKS_UNIT_H

#include "core/error.h"
#include "luks/volume.h"

struct gk_unit {
	char volume[GK_VOLUME_NAME];
	char device[GK_VOLUME_PATH];
	char key_file[GK_VOLUME_PATH];	/* "": none */
	char options[1024];
};

/*
 * gk_unit_parse: the text of a systemd-cryptsetup@.service that
 * systemd-cryptsetup-generator(8) wrote: the four quoted words after `attach`.
 * GK_ERR_NOT_FOUND: no such line; GK_ERR_VALUE, GK_ERR_LIMIT.
 */
int gk_unit_parse(const char *text, struct gk_unit *u) GK_MUST_CHECK;

/* gk_unit_read: of the unit of that name, from where generators write. */
int gk_unit_read(const char *name, struct gk_unit *u) GK_MUST_CHECK;

#endif
