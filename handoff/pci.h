/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The USB controllers of dom0 as sysfs shows them: which there are, which
 * driver holds each, how each can be reset.
 *
 * Every function takes a root directory that is put before /sys and /proc: ""
 * for the real ones. No function here ever binds or unbinds a driver.
 * Source: the kernel's Documentation/ABI/testing/sysfs-bus-pci.
 */
#ifndef GK_PCI_H
#define GK_PCI_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define GK_PCI_MAX 32			/* controllers of one machine */
#define GK_PCI_BDF_LEN 13		/* "0000:03:00.0" with its NUL */
#define GK_PCI_NAME_LEN 64		/* driver names, reset methods */
#define GK_PCI_BACK "pciback"		/* xen-pciback's driver name */

struct gk_pci_bdf {
	uint16_t domain;
	uint8_t bus;
	uint8_t dev;			/* 0..31 */
	uint8_t fn;			/* 0..7 */
};

struct gk_pci_usb {
	struct gk_pci_bdf bdf;
	char name[GK_PCI_BDF_LEN];	/* bdf as text */
	uint8_t prog_if;		/* 00 UHCI, 10 OHCI, 20 EHCI, 30 xHCI */
	char driver[GK_PCI_NAME_LEN];	/* "" if no driver is bound */
	char override[GK_PCI_NAME_LEN];	/* "" if not set */
	/* The kernel's words, in the order in which it tries them: "flr bus"; between
	 * gk_pci_resets_off and gk_pci_resets_on those of before.
	 * "" if it has none; "reset" if there is one but the kernel (before
	 * 5.15) does not say which. */
	char reset[GK_PCI_NAME_LEN];
};

/*
 * gk_pci_bdf_parse: exactly "DDDD:BB:DD.F" as sysfs writes it: lower-case hex,
 * fixed width, device up to 1f, function up to 7, nothing before or after.
 * Returns 0 or GK_ERR_VALUE; bdf is not touched then.
 */
int gk_pci_bdf_parse(const char *text, struct gk_pci_bdf *bdf) GK_MUST_CHECK;
void gk_pci_bdf_format(const struct gk_pci_bdf *bdf, char text[GK_PCI_BDF_LEN]);

/*
 * gk_pci_usb_list: all PCI devices of class 0c03 with prog-if 00, 10, 20 or 30
 * (a USB4 host, 40, and a device controller, fe, are none of ours), sorted by
 * BDF. list has room for GK_PCI_MAX, *n says how many there are. which names
 * the device that an error is about, "" if it is about none.
 * Returns 0, or GK_ERR_LIMIT (more than GK_PCI_MAX), GK_ERR_VALUE (a USB
 * controller whose name is no BDF that Xen could pass on, or a file of it that
 * is not as documented), GK_ERR_SYSTEM.
 */
int gk_pci_usb_list(const char *root, struct gk_pci_usb list[GK_PCI_MAX],
		    size_t *n, char which[GK_PCI_NAME_LEN]) GK_MUST_CHECK;

/* gk_pci_usb_reread: the driver, override and reset of u as they are now. */
int gk_pci_usb_reread(const char *root, struct gk_pci_usb *u) GK_MUST_CHECK;

/*
 * gk_pci_held: whether pciback has it and nothing else can get it by a
 * driver probe: bound to pciback and override "pciback".
 */
int gk_pci_held(const struct gk_pci_usb *u);

/*
 * gk_pci_left_to_dom0: whether rd.qubes.dom0_usb= on the kernel's command line
 * names this device: a comma separated list of BB:DD.F or DDDD:BB:DD.F. Returns
 * 1 or 0; 0 if the command line cannot be read.
 */
int gk_pci_left_to_dom0(const char *root, const struct gk_pci_bdf *bdf);

/*
 * gk_pci_override_set: write GK_PCI_BACK to its driver_override and see that it
 * took; u->override is updated. It does not rebind. Returns 0, GK_ERR_SYSTEM
 * (errno) or GK_ERR_ORDER (it reads back as something else).
 */
int gk_pci_override_set(const char *root, struct gk_pci_usb *u) GK_MUST_CHECK;

/*
 * gk_pci_resets_off: from now on nobody but gk_pci_reset resets it: reset_method is
 * empty, which makes the kernel refuse every other wish (libxl's and pciback's, who go
 * on then). What it said is kept in GK_PCI_RESETS beside it until gk_pci_resets_on, by
 * whichever process, puts it back; that does nothing where nothing is kept.
 * Nothing is done to a controller that has no reset, nor before Linux 5.15.
 * Returns 0, or GK_ERR_SYSTEM: they are as they were (off), or could not be put back
 * and are still kept (on).
 */
#define GK_PCI_RESETS "/run/gatekeeper/reset-method-"	/* and the BDF */
int gk_pci_resets_off(const char *root, const struct gk_pci_usb *u) GK_MUST_CHECK;
int gk_pci_resets_on(const char *root, const char *bdf) GK_MUST_CHECK;

/*
 * gk_pci_reset: reset the function by the first of its methods that works, in
 * the kernel's order of preference. Where it has more than one, reset_method is
 * set to one at a time, so that what is reported is what was done, and set back
 * to the whole list afterwards (if that fails, the one that worked stays), or, after
 * gk_pci_resets_off, to the empty one. Done in child processes, because the write
 * sleeps in the kernel.
 * method receives the word of the method that worked, or of the last one tried.
 * why receives the last error as text, "" on success.
 * Returns 0, GK_ERR_NOT_FOUND (no reset), GK_ERR_TIMEOUT, GK_ERR_SYSTEM.
 */
int gk_pci_reset(const char *root, const struct gk_pci_usb *u,
		 unsigned int timeout_ms, char method[GK_PCI_NAME_LEN],
		 char *why, size_t why_len) GK_MUST_CHECK;

#endif
