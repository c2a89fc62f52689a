/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has the USB controllers, asked of xenstore and of Xen whenever it matters: in
 * children, since xenstored may hang. */
#ifndef GK_DOM0_OWNERS_H
#define GK_DOM0_OWNERS_H

#include "handoff/truth.h"

struct gk_client;
struct gk_daemon;

/* gk_owners_print: for a child: what is true (truth.h) of the controllers that d knows,
 * of the gate and of the domain `name` (NULL: none), on stdout. Its exit status. */
int gk_owners_print(const struct gk_daemon *d, const char *name);

/* gk_owners_status: the client is answered with the status when that is known, or when
 * it has taken too long: then with what gatekeeperd has last done. */
void gk_owners_status(struct gk_client *c);

#endif
