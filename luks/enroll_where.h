/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which volume a person means. */
#ifndef GK_LUKS_ENROLL_WHERE_H
#define GK_LUKS_ENROLL_WHERE_H

#include "luks/volume.h"

/*
 * gk_where: a path of a device, the name of a volume in crypttab(5), or that of an
 * open one. GK_ERR_NOT_FOUND, GK_ERR_VALUE, GK_ERR_LIMIT: *why for a person.
 */
int gk_where(const char *what, struct gk_volume *v, const char **why) GK_MUST_CHECK;

/* gk_where_next: the n-th volume of crypttab, n from 0. GK_ERR_NOT_FOUND: there
 * are no more; GK_ERR_VALUE: it cannot be used here, *why. */
int gk_where_next(unsigned n, struct gk_volume *v, const char **why) GK_MUST_CHECK;

#endif
