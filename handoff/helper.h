/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of gatekeeper-pci (toolstack/), for the steps. Effect; blocks. */
#ifndef GK_HANDOFF_HELPER_H
#define GK_HANDOFF_HELPER_H

#include "handoff/order.h"

/* It ends at the order's ms; its end, and one that is stopped, are waited for so long. */
#define GK_HELPER_GRACE_MS 1500u

/*
 * gk_helper_ask: one order, and its answer. fd: the socket. o->number is set here.
 * why: what libxl said last, when it has failed.
 * Returns 0: it is done, or
 *   GK_ERR_SYSTEM   libxl has failed; gatekeeper-pci is there for the next order
 *   GK_ERR_CLOSED   it has gone, or was never there, and its order may have been begun
 *   GK_ERR_TIMEOUT  it has gone, its time being over
 *   GK_ERR_ORDER    it does not answer, or not as agreed, and has not gone: whoever
 *                   started it is to end it before anything else is done
 *   GK_ERR_VALUE    no such order can be given
 */
int gk_helper_ask(int fd, struct gk_order *o, char *why, size_t why_len) GK_MUST_CHECK;

#endif
