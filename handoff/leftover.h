/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What libxl has left in xenstore of a domain that had a controller and is gone, or of
 * an attach that was cut off: its mark, by which it would refuse the controller to the
 * next (truth.h), and the PCI backend of a domain that was destroyed while a device was
 * being taken from it. Of that one a device stays in dom0's kernel, too, as long as its
 * node does.
 */
#ifndef GK_HANDOFF_LEFTOVER_H
#define GK_HANDOFF_LEFTOVER_H

#include <stddef.h>

#include "core/error.h"
#include "handoff/truth.h"

/* How long pciback has to let go of the backends that were removed. */
#define GK_LEFTOVER_GONE_MS 1000u

/*
 * gk_leftover_unmark: removes libxl's mark of this controller if it is still that
 * domain's, so that libxl gives it away again. What Xen itself knows of an owner
 * stays, and libxl asks Xen before it assigns. GK_OK, GK_ERR_SYSTEM.
 */
int gk_leftover_unmark(const char *root, const char *bdf, int domid) GK_MUST_CHECK;

/*
 * gk_leftover_sweep: removes the PCI backends of domains that xenstored does not know
 * any more and that had none but the n controllers; only when nobody has one of these:
 * pciback may reset what it finds in such a backend. Waits until pciback has let go of
 * them. How many, or GK_ERR_SYSTEM. With a root (tests) the lines "left ID BDF" of the
 * file ROOT/xenstore, truth.h.
 */
int gk_leftover_sweep(const char *root, const char (*bdf)[GK_TRUTH_BDF],
		      size_t n) GK_MUST_CHECK;

#endif
