/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has a USB device in this domain, the kernel's drivers or a worker: usbcore's
 * authorisation in sysfs (Linux, Documentation/usb/authorization.rst).
 *
 * Held back, a new device gets no configuration (authorized_default), and the
 * interfaces of one that is authorised get no driver (interface_authorized_default).
 * An interface that is authorised afterwards gets none by itself either, until a
 * program asks for it (drivers_probe): so a worker's interfaces never meet a driver,
 * and there is no moment in which other devices would miss theirs.
 */
#ifndef GK_AGENT_KERNEL_H
#define GK_AGENT_KERNEL_H

#include "domain/inventory.h"
#include "domain/judge.h"

/* gk_kernel_remember: how devices were authorised before this program: kept in
 * `file`, because after a crash the kernel only knows what the program before this
 * one wrote. To be called first. */
void gk_kernel_remember(const char *file);

/* gk_kernel_recall: the same for one that only gives back. Without the file "nothing
 * is authorised" counts as the word of a program before it, not as the default. */
void gk_kernel_recall(const char *file);

/* gk_kernel_hold: whatever appears from now on is held back; also on controllers to
 * come. To be called again when there may be a new one. GK_OK or GK_ERR_SYSTEM. */
int gk_kernel_hold(void) GK_MUST_CHECK;

/* gk_kernel_give: authorises the device if it is not, and lets drivers have each of
 * its interfaces that has none. Blocks. GK_OK or GK_ERR_SYSTEM. */
int gk_kernel_give(const struct gk_present *at) GK_MUST_CHECK;

/*
 * gk_kernel_give_all: as it was before gk_kernel_hold(): the defaults, then each
 * device that is there, but those that `stays_out` says 1 of. Blocks. GK_OK, or
 * GK_ERR_SYSTEM if something could not be given.
 */
int gk_kernel_give_all(int (*stays_out)(const struct gk_present *at)) GK_MUST_CHECK;

/* gk_kernel_claim: the candidates of an authorised device become those of usb, an
 * open usbdevfs node of it. GK_OK or GK_ERR_SYSTEM. */
int gk_kernel_claim(const struct gk_present *at, const struct gk_case *c,
		    int usb) GK_MUST_CHECK;

#endif
