/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Letting go of the controllers: the guest's host drivers are unbound, so that
 * a controller is at rest before dom0 resets it and gives it away. */
#ifndef GK_DOMAIN_HOSTDRIVERS_H
#define GK_DOMAIN_HOSTDRIVERS_H

/*
 * gk_hostdrivers_unbind: unbinds every USB controller of the domain; blocks (each 0.1 to
 * 0.3 s). None, when there are more than dom0 named (gk_hostdrivers_too_many): some are
 * not dom0's then, and what hangs on those is not ours to take away. Returns 0 when all
 * are free, else how many are not.
 */
int gk_hostdrivers_unbind(void);

/* gk_hostdrivers_count: USB controllers that the domain has. */
int gk_hostdrivers_count(void);

/* gk_hostdrivers_too_many: whether these are more than gk_inventory_numbers() was told
 * of. 0 when it was told of none. */
int gk_hostdrivers_too_many(void);

#endif
