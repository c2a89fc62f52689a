/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hypervisor itself says of a PCI device: does any domain but dom0 have it.
 * xenstore is told by libxl after Xen on the way in, and on the way out, so an xl that
 * was killed leaves the two in disagreement. Which domain it is Xen does not tell.
 *
 * By XEN_DOMCTL_test_assign_device with DOMID_INVALID (Xen's public/domctl.h), through
 * libxenctrl, which is looked for when it is first needed: its name has Xen's version,
 * xl needs it anyway, and without it all goes on as far as xenstore can say.
 */
#ifndef GK_HANDOFF_XEN_H
#define GK_HANDOFF_XEN_H

#include "core/error.h"

/* gk_xen_load: looks for libxenctrl now, once in a process and its children. Later it
 * would be done in a child of a handoff, where somebody waits for the keyboard. */
void gk_xen_load(void);

/*
 * gk_xen_assigned: 1: a domain other than dom0 has it, 0: none (it is dom0's, or in
 * Xen's quarantine); GK_ERR_SYSTEM: Xen cannot be asked; GK_ERR_VALUE: no BDF. One
 * hypercall. With a root (tests) by the lines "assigned ID BDF" of the file ROOT/xen.
 */
int gk_xen_assigned(const char *root, const char *bdf) GK_MUST_CHECK;

/* gk_xen_ask: the same of this library and of Xen's number for the device: segment
 * << 16 | bus << 8 | device << 3 | function. */
int gk_xen_ask(const char *library, unsigned int sbdf) GK_MUST_CHECK;

#endif
