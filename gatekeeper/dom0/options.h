/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings: built-in, then /etc/gatekeeper/gatekeeper.conf, then the kernel
 * command line; the later wins. Text in, struct out: no I/O except in
 * gk_options_load().
 */
#ifndef GK_DOM0_OPTIONS_H
#define GK_DOM0_OPTIONS_H

#include <stddef.h>

enum gk_fallback {
	GK_FALLBACK_NONE,
	GK_FALLBACK_DOM0_HID,
};

/* When combinations of keys that dom0 would act on are let by. */
enum gk_when {
	GK_WHEN_NEVER,
	GK_WHEN_AFTER_UNLOCK,	/* the real root is there */
};

/* When FIDO keys are shown to dom0's programs as HID devices. */
enum gk_uhid_mode {
	GK_UHID_NO,
	GK_UHID_AFTER_BOOT,	/* the real root is there */
	GK_UHID_ALWAYS,
};

struct gk_options {
	int enabled;		/* rd.gatekeeper=, default 1 */
	int debug;		/* rd.gatekeeper.debug */
	unsigned timeout_s;	/* rd.gatekeeper.timeout=, 1..600, default 10 */
	enum gk_fallback fallback;	/* rd.gatekeeper.fallback= */
	unsigned memory_mib;	/* memory=, 32..1024, default 48 */
	unsigned restarts;	/* restarts=, 0..20, default 3 */
	unsigned restart_window_s;	/* restart_window=, 10..86400, 600 */
	unsigned free_time_s;	/* free_time=, 0 (never), 5..86400, 60 */
	int input_proxy;	/* input_proxy=, default 0 */
	enum gk_when vt_switching;	/* vt_switching=, after-unlock */
	enum gk_when ctrl_alt_del;	/* ctrl_alt_del=, never */
	enum gk_uhid_mode uhid;		/* uhid=, after-boot */
	char sys_usb[65];	/* sys_usb=, a domain's name; "" none */
	char sys_usb_config[256];	/* sys_usb_config=, "" none */
	char language[16];	/* language=, of the unlock prompt; "" the system's */
	char dom0_usb[256];	/* rd.qubes.dom0_usb=, as it stands */
};

/* One line on what was not understood, or "". */
struct gk_options_note {
	char text[160];
};

void gk_options_default(struct gk_options *o);

/*
 * gk_options_conf: "key = value" lines, '#' starts a comment. Keys:
 * timeout, fallback, debug, memory, restarts, restart_window, free_time, vt_switching,
 * ctrl_alt_del, uhid, input_proxy, sys_usb (letters, digits, '.', '_', '-'),
 * sys_usb_config (an absolute path without blanks), language.
 * gk_options_cmdline: /proc/cmdline; words may hold "quoted parts", what is
 * not ours is passed over. A value that is not understood is left at what it
 * was, and noted (the first such only).
 */
void gk_options_conf(struct gk_options *o, const char *text,
		     struct gk_options_note *note);
void gk_options_cmdline(struct gk_options *o, const char *text,
			struct gk_options_note *note);

/* gk_options_load: all three, from where they are. */
void gk_options_load(struct gk_options *o, struct gk_options_note *note);

/* gk_options_let_by: enum gk_key_combination bits, by whether the disk is
 * unlocked. */
unsigned gk_options_let_by(const struct gk_options *o, int unlocked);

/* gk_options_is_dom0_usb: whether that controller was left to dom0 by
 * rd.qubes.dom0_usb= (a comma-separated list of BDFs, domain optional). */
int gk_options_is_dom0_usb(const struct gk_options *o, const char *bdf);

#endif
