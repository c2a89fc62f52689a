/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop: the only process of the domain that talks to dom0. */
#ifndef GK_DOMAIN_SUPERVISOR_H
#define GK_DOMAIN_SUPERVISOR_H

#include "place.h"

/* gk_supervisor_run: returns when it cannot begin (1), or after SIGTERM, if the
 * place has something to do then (0): an exit status. */
int gk_supervisor_run(const struct gk_place *place);

/* gk_supervisor_log: a line for dom0's journal; severity 3..7 of syslog(3). What is
 * not printable ASCII becomes '?', what is beyond GK_LINK_TEXT is cut off. */
void gk_supervisor_log(int level, const char *text);

#endif
