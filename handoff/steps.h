/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of the handoff, a function for each step of machine.h. They block, for
 * a bounded time, and run xl: for a child process of gatekeeperd, never for an
 * event loop. They keep no state: what is true is asked of sysfs, of xenstore and
 * of the toolstack each time, so that each can be the first after a restart.
 *
 * dom0 never binds a host driver: every controller stays bound to pciback, and
 * its driver_override names pciback, from the first step to the last; both are
 * checked after every step, and a controller of which it is not true is an
 * error. No step gives a controller to a domain while another has it.
 */
#ifndef GK_STEPS_H
#define GK_STEPS_H

#include <stddef.h>

#include "core/error.h"
#include "handoff/pci.h"

/* A `why` of this size is never cut off. */
#define GK_HANDOFF_WHY_MAX 512

/* Upper bounds of single calls, in milliseconds. */
#define GK_HANDOFF_DETACH_MS 10000u	/* xl pci-detach; 0.35 s when quiesced */
#define GK_HANDOFF_PAUSE_MS 3000u	/* xl pause */
#define GK_HANDOFF_HUNG_MS 3000u	/* of one that has answered nobody */
#define GK_HANDOFF_FORCE_MS 5000u	/* the same with -f */
#define GK_HANDOFF_ATTACH_MS 15000u	/* xl pci-attach; 0.3 s */
#define GK_HANDOFF_DESTROY_MS 20000u	/* xl destroy; 0.35 s when quiesced */
#define GK_HANDOFF_RELEASE_MS 15000u	/* until pciback has them all back */
#define GK_HANDOFF_RESET_MS 5000u	/* one controller, all at the same time */
#define GK_HANDOFF_CREATE_MS 60000u	/* xl create */
#define GK_HANDOFF_VERIFY_MS 10000u	/* until the toolstack agrees */

/* Controllers that were given away without a reset since power-on. */
#define GK_HANDOFF_TAINTED "/run/gatekeeper/tainted"

#define GK_NAME_MAX 64u	/* letters of a domain's name */

/*
 * gk_name_valid: what xl takes for a domain's name, and never for an option, a
 * domain id (xl tries a number as one first) or a piece of its configuration
 * language: a letter, then letters, digits, '.', '_', '-', 64 at most.
 */
int gk_name_valid(const char *name);

struct gk_handoff_opts {
	/* Name of the gate domain. Must not be NULL. It need not exist: a
	 * gate that is gone already is the same as one just destroyed. */
	const char *gate_domain;
	/* Its id; with it the controllers are detached from it and it is paused.
	 * 0, or hard: they are released by destroying it. */
	int gate_domid;
	int hard;
	/* Who gets them. to_domid > 0: the domain that runs under this id, if it is
	 * still called to_name. Else to_config, the absolute path of the xl
	 * configuration of a domain to start, to_name being the `name=` in it. Else
	 * nobody. */
	int to_domid;
	const char *to_config;
	const char *to_name;
	/* For gk_handoff_take_back: the domain of to_name was started for this, and
	 * did not come up as it should: it is destroyed. */
	int destroy_target;
	/* For the same: what is known of the domain that has them. let_go: its drivers
	 * have, it is asked by pci-detach; dead (dead.h): it is destroyed at once.
	 * Neither: xl is asked first whether it is dead. hung: its agent has not
	 * answered; it gets less time, and no second attempt before it is destroyed. */
	int let_go, dead, hung;
	/* For the same: the id of the domain that was being given them last, 0: none. If
	 * Xen says that a domain has one, and xenstore that none has, it is this. */
	int suspect;
	/* Not 0: a controller without a reset method is given away all the
	 * same, and recorded as tainted (option --no-strict-reset). */
	int no_strict_reset;
	/* Not 0: the domain may write to all of a controller's configuration space (option
	 * --permissive). pciback leaves it so until it gives the device up. */
	int permissive;
	/* The socket of a gatekeeper-pci (helper.h), which detaches, attaches and pauses
	 * then. 0: none; xl does, as it does when gatekeeper-pci has gone. */
	int helper;
	/* Those that gk_handoff_check has found; n 0: it is looked again. */
	size_t n;
	char bdf[GK_PCI_MAX][GK_PCI_BDF_LEN];
};

/*
 * Called in the caller's own context after each part of a step, with
 *   step     a word: "controller", "destroyed", "detached", "paused", "released", "reset",
 *            "tainted", "created", "attached", "vdev", "target", "assigned", "taken",
 *            "took"
 *   detail   printable text. Of "controller" the BDF, of "vdev" "GUEST HOST", two
 *            BDFs; of "target" the id of a domain that was created; of the others
 *            what was done, ending with the time that it took, "N ms", e.g.
 *            "0000:03:00.0 bus 104 ms". "took" is a part of what is told next.
 * Both strings are valid during the call only.
 */
struct gk_handoff_told {
	void (*fn)(void *ctx, const char *step, const char *detail);	/* or NULL */
	void *ctx;
};

/*
 * For all of them. root: put before /sys, /proc and /run, "" being the real ones;
 * xl is not affected. why: receives one line of printable text, "" on success; may
 * be NULL if why_len is 0. Returns 0, or
 *   GK_ERR_NOT_FOUND  the machine has no USB controller to hand over, or
 *                     to_config cannot be read
 *   GK_ERR_ORDER      a controller does not belong to pciback, or not to whom it
 *                     has to at that point
 *   GK_ERR_VALUE      a controller has no reset method (why names its BDF
 *                     and --no-strict-reset), or opts is incomplete, or a
 *                     name is not one xl would accept
 *   GK_ERR_LIMIT      more controllers than GK_PCI_MAX
 *   GK_ERR_TIMEOUT    something took longer than its bound above; gatekeeper-pci may
 *                     still be at it, and is to be ended before anything else is done
 *   GK_ERR_SYSTEM     sysfs or xenstore could not be read, xl failed (why has its
 *                     last line), a reset did, or a controller could not be
 *                     written down as tainted
 */

/*
 * gk_handoff_check: whether a handoff may begin. Changes nothing; runs xl only to
 * see that a domain to be started is not there already, or that xl answers when it
 * is to give them to one that runs.
 *
 * Every USB controller of the machine (class 0c03, prog-if 00 10 20 30) must
 * be bound to pciback with a driver_override that is "pciback" or not set, and
 * must have a reset method, unless no_strict_reset. A controller that is not
 * with pciback is passed over if rd.qubes.dom0_usb= on the kernel's command
 * line leaves it to dom0. Each that is to go is told as "controller".
 */
int gk_handoff_check(const char *root, const struct gk_handoff_opts *o,
		     const struct gk_handoff_told *told, char *why, size_t why_len)
	GK_MUST_CHECK;

/*
 * gk_handoff_resets_on: what a step that was killed has left: a controller that only
 * gk_handoff_reset may reset (gk_pci_resets_off). A release to a domain that runs makes
 * it so, the assign ends it, and so does each take_back, as its first work.
 */
void gk_handoff_resets_on(const char *root, const struct gk_handoff_opts *o);

/*
 * gk_handoff_release: out of the gate, until nobody has them. The caller has asked
 * the gate to let go before; when it has not (hard), the gate is destroyed, as it
 * is when a detach or its pause fails. Then the caller must have closed its end of the link:
 * Xen keeps a destroyed domain for as long as its pages are mapped here.
 */
int gk_handoff_release(const char *root, const struct gk_handoff_opts *o,
		       const struct gk_handoff_told *told, char *why, size_t why_len)
	GK_MUST_CHECK;

/* gk_handoff_reset: each, all at the same time, after it was seen that nobody has
 * it. With no_strict_reset one that cannot be reset is written down as tainted. */
int gk_handoff_reset(const char *root, const struct gk_handoff_opts *o,
		     const struct gk_handoff_told *told, char *why, size_t why_len)
	GK_MUST_CHECK;

/*
 * gk_handoff_assign: to the target, after it was seen that nobody has them, and
 * verified. xl leaves a monitor process for a domain that it creates, which acts on
 * its reboot and its crash. It stays in the caller's control group: a service that
 * calls this must not kill it when it stops (KillMode=process or mixed).
 */
int gk_handoff_assign(const char *root, const struct gk_handoff_opts *o,
		      const struct gk_handoff_told *told, char *why, size_t why_len)
	GK_MUST_CHECK;

/*
 * gk_handoff_take_back: from the gate or the target, whoever has them, until nobody
 * has; also from a domain that has taken the target's name (it was rebooted). First
 * by detaching, then by force (not if it did not answer at all), then by destroying the
 * domain; a dead one is destroyed at once, and so is one that has a controller by Xen and
 * not by xenstore (truth.h). A controller that another domain has is an error, and left alone.
 */
int gk_handoff_take_back(const char *root, const struct gk_handoff_opts *o,
			 const struct gk_handoff_told *told, char *why, size_t why_len)
	GK_MUST_CHECK;

#endif
