/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handover of the USB controllers, first form: from the gate domain to
 * a domain that is started for them (sys-usb), with a reset in between.
 *
 * Both functions block, for a bounded time, and run xl; they are for a
 * child process of gatekeeperd and for the command line, never for an event
 * loop. They allocate nothing that outlives them and keep no state: what is
 * true is asked of sysfs and of the toolstack each time.
 *
 * dom0 never binds a host driver: every controller stays bound to pciback, and
 * its driver_override names pciback, from the first step to the last; both are
 * checked after every step, and a controller of which it is not true is an
 * error.
 */
#ifndef GK_HANDOFF_H
#define GK_HANDOFF_H

#include <stddef.h>

#include "core/error.h"

/* A `why` of this size is never cut off. */
#define GK_HANDOFF_WHY_MAX 512

/* Upper bounds of single steps, in milliseconds. */
#define GK_HANDOFF_DESTROY_MS 30000u	/* xl destroy; 0.35 s when quiesced */
#define GK_HANDOFF_RELEASE_MS 20000u	/* until pciback has them all back */
#define GK_HANDOFF_RESET_MS 5000u	/* one controller */
#define GK_HANDOFF_CREATE_MS 60000u	/* xl create */
#define GK_HANDOFF_VERIFY_MS 10000u	/* until the toolstack agrees */

/* Controllers that were given away without a reset since power-on. */
#define GK_HANDOFF_TAINTED "/run/gatekeeper/tainted"

struct gk_handoff_opts {
	/* Name of the gate domain. Must not be NULL. It need not exist: a
	 * gate that is gone already is the same as one just destroyed. */
	const char *gate_domain;
	/* Absolute path of the xl configuration of the domain that gets the
	 * controllers. NULL: release only, that is: destroy the gate, reset
	 * the controllers, leave them with pciback. */
	const char *to_config;
	/* Name of that domain, as `name=` in to_config says: it is asked for
	 * by this name afterwards, and destroyed by it if it was created
	 * half-way. Must not be NULL when to_config is not. */
	const char *to_name;
	/* Not 0: a controller without a reset method is given away all the
	 * same, and recorded as tainted (option --no-strict-reset). */
	int no_strict_reset;
};

/*
 * gk_handoff_check: whether a handover may begin. Changes nothing and runs
 * no other program, so it may be asked before the gate is quiesced, and
 * costs milliseconds.
 *
 * Every USB controller of the machine (class 0c03, prog-if 00 10 20 30) must
 * be bound to pciback with a driver_override that is "pciback" or not set, and
 * must have a reset method, unless no_strict_reset. A controller that is not
 * with pciback is passed over if rd.qubes.dom0_usb= on the kernel's command
 * line leaves it to dom0.
 *
 * why: receives one line of printable text without a newline, NUL
 * terminated; "" on success. May be NULL if why_len is 0.
 *
 * Returns 0, or
 *   GK_ERR_NOT_FOUND  the machine has no USB controller to hand over, or
 *                     to_config cannot be read
 *   GK_ERR_ORDER      a controller does not belong to pciback
 *   GK_ERR_VALUE      a controller has no reset method (why names its BDF
 *                     and --no-strict-reset), or opts is incomplete, or a
 *                     name is not one xl would accept
 *   GK_ERR_LIMIT      more controllers than GK_PCI_MAX
 *   GK_ERR_SYSTEM     sysfs could not be read
 */
int gk_handoff_check(const struct gk_handoff_opts *opts, char *why,
		     size_t why_len) GK_MUST_CHECK;

/*
 * gk_handoff_run: the handover. The caller has quiesced the gate in-band
 * before (its workers have let go and its kernel has unbound the host
 * drivers); when it could not, this still works, only slower. It has also
 * closed its end of the link: Xen keeps a destroyed domain as a zombie for as
 * long as its pages are mapped here.
 *
 * Checks as gk_handoff_check does, sets driver_override to pciback where it
 * was not set, then destroys the gate, waits until
 * pciback has all controllers back, resets each, and, with to_config,
 * starts that domain with the controllers given at creation and verifies
 * that the toolstack says that each belongs to it.
 *
 * progress: called in the caller's own context after each step, with
 *   step     a word: "check", "destroyed", "released", "reset", "tainted",
 *            "created", "assigned", "undone", "done"
 *   detail   printable text, e.g. "0000:03:00.0 bus 104 ms"; every detail
 *            ends with the time that the step took, "N ms"
 * Both strings are valid during the call only. May be NULL.
 *
 * On failure the controllers are with pciback or with a gate that still
 * runs, the target domain does not exist if this call created it, and the
 * caller may start the gate again. The one exception, said in why, is a
 * target domain that xl could not destroy.
 *
 * Returns 0, or what gk_handoff_check returns (nothing was changed then), or
 *   GK_ERR_ORDER      the target domain exists already, or a controller is
 *                     not where it has to be after a step
 *   GK_ERR_TIMEOUT    a step took longer than its bound above
 *   GK_ERR_SYSTEM     xl failed (why has its last line), or a reset did, or
 *                     a controller could not be written down as tainted
 *
 * xl leaves a monitor process for the new domain, which acts on its reboot
 * and its crash. It stays in the caller's control group: a service that calls
 * this must not kill it when it stops (KillMode=process or mixed).
 */
int gk_handoff_run(const struct gk_handoff_opts *opts,
		   void (*progress)(void *ctx, const char *step,
				    const char *detail),
		   void *ctx, char *why, size_t why_len) GK_MUST_CHECK;

/*
 * The same with another root directory before /sys, /proc and /run, "" being
 * the real one: for tests against a tree of their own. xl is not affected.
 */
int gk_handoff_check_at(const char *root, const struct gk_handoff_opts *opts,
			char *why, size_t why_len) GK_MUST_CHECK;
int gk_handoff_run_at(const char *root, const struct gk_handoff_opts *opts,
		      void (*progress)(void *ctx, const char *step,
				       const char *detail),
		      void *ctx, char *why, size_t why_len) GK_MUST_CHECK;

#endif
