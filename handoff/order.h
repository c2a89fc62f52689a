/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a step of the handoff says to gatekeeper-pci, and its answer. Pure. Each is one
 * packet of a SOCK_SEQPACKET socket, a line of text without its newline:
 *
 *	NUMBER MS detach DOMID DDDD:BB:DD.F
 *	NUMBER MS attach DOMID DDDD:BB:DD.F
 *	NUMBER MS pause DOMID
 *
 *	NUMBER ok
 *	NUMBER failed REASON
 *
 * NUMBER is the order's, so that nobody takes an answer for his that is not. Numbers are
 * decimal, without a sign or leading zeros.
 */
#ifndef GK_HANDOFF_ORDER_H
#define GK_HANDOFF_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "handoff/pci.h"

enum {
	GK_ORDER_MAX = 80,		/* bytes of an order, its NUL included */
	GK_ANSWER_MAX = 256,		/* of an answer */
	GK_ORDER_MS_MAX = 60000,
	GK_ORDER_DOMID_MAX = 0x7fef,	/* Xen: DOMID_FIRST_RESERVED is 0x7ff0 */
};

enum gk_order_what {
	GK_ORDER_DETACH,
	GK_ORDER_ATTACH,
	GK_ORDER_PAUSE,		/* without a controller */
	GK_ORDERS,
};

struct gk_order {
	uint32_t number;	/* from 1 */
	uint32_t ms;		/* 1..GK_ORDER_MS_MAX; then whoever works on it ends */
	enum gk_order_what what;
	uint32_t domid;		/* 1..GK_ORDER_DOMID_MAX: never dom0 */
	char bdf[GK_PCI_BDF_LEN];	/* "" for a pause */
};

/* gk_order_name: "detach"; static. */
const char *gk_order_name(enum gk_order_what what);

/* gk_order_text: into text. GK_ERR_VALUE: not one that gk_order_parse takes. */
int gk_order_text(const struct gk_order *o, char text[GK_ORDER_MAX]) GK_MUST_CHECK;

/* gk_order_parse: exactly such a line; len bytes, NUL not among them. GK_OK,
 * GK_ERR_VALUE: o is not to be used. */
int gk_order_parse(const char *text, size_t len, struct gk_order *o) GK_MUST_CHECK;

/*
 * gk_answer_text: failed NULL: it was done; else why not, cut off where it does not fit,
 * '?' in place of what is not printable. gk_answer_parse: of len bytes; *failed is the
 * reason, inside text, or NULL; text is made a string (it has room for GK_ANSWER_MAX).
 * GK_ERR_VALUE: no answer; GK_ERR_ORDER: the answer to another order.
 */
void gk_answer_text(uint32_t number, const char *failed, char text[GK_ANSWER_MAX]);
int gk_answer_parse(char text[GK_ANSWER_MAX], size_t len, uint32_t number,
		    const char **failed) GK_MUST_CHECK;

#endif
