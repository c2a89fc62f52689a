/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /run/gatekeeper/handoff.json: where the handoff is. Written whole and renamed,
 * before the work of a state begins and after it ended, so that a gatekeeperd that
 * is started again knows what was meant; what is true it asks truth.h.
 */
#ifndef GK_HANDOFF_RECORD_H
#define GK_HANDOFF_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "handoff/machine.h"

#define GK_HO_RECORD_FILE "handoff.json"	/* in the run directory */

enum {
	GK_HO_NAME_MAX = 65,	/* a domain's name with its NUL */
	GK_HO_CONTROLLERS = 16,
	GK_HO_BDF_MAX = 16,
	GK_HO_CAUSE_MAX = 256,
	/* 16 controllers of 120 bytes, two paths, 12 times. */
	GK_HO_RECORD_MAX = 8192,
};

/* What the last handoff took, in ms; -1: it was not, or is not over. */
struct gk_ho_times {
	int64_t prepare, quiesce, release, reset, assign, confirm, reclaim;
	int64_t blackout;	/* no key could come: handoff_blackout_ms */
};

struct gk_ho_controller {
	char bdf[GK_HO_BDF_MAX];
	int owner;		/* domain id; 0: pciback, nobody has it; -1: not known */
};

struct gk_ho_record {
	enum gk_ho_mode mode;
	enum gk_ho_state state;
	uint64_t since, deadline;	/* CLOCK_BOOTTIME, ms; deadline 0: none */
	char target[GK_HO_NAME_MAX];	/* "": none */
	int target_domid;	/* the very one; -1: not known (yet) */
	int gate_domid;
	/* The one that was being given them last, from before the attach until a gate has
	 * them all; -1: none. An xl that was killed may have told Xen and nobody else. */
	int suspect_domid;
	char config[256];	/* of CONFIG, else "" */
	int no_strict_reset, permissive;
	int wanted;		/* the target is to get them whenever it is there, */
	int held_domid;		/* but not this one: they were taken from it, -1 */
	char cause[GK_HO_CAUSE_MAX];	/* why the last one came to nothing, "" */
	unsigned handoffs, reclaims;	/* since the boot, that succeeded */
	struct gk_ho_times times;
	int controllers;
	struct gk_ho_controller controller[GK_HO_CONTROLLERS];
};

/* gk_ho_record_init: nothing was ever asked for. */
void gk_ho_record_init(struct gk_ho_record *r);

/* gk_ho_record_text: one line of JSON with its newline; its length, or
 * GK_ERR_LIMIT. */
int gk_ho_record_text(const struct gk_ho_record *r, char *buf, size_t cap) GK_MUST_CHECK;

/* gk_ho_record_parse: GK_OK, or GK_ERR_VALUE: it is none, and r is as after
 * gk_ho_record_init(). */
int gk_ho_record_parse(const char *text, struct gk_ho_record *r) GK_MUST_CHECK;

#endif
