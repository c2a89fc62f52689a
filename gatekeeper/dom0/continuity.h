/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are the devices after a handoff those that were there before? The manifest is
 * what was there: made of the gate's session when it is asked to let go, sent to
 * the agent, kept in /run/gatekeeper/manifest.json. Each device that the agent
 * tells of is compared with it; a keyboard that does not equal an entry counts when
 * the person says so, not before (keyboards.h).
 */
#ifndef GK_DOM0_CONTINUITY_H
#define GK_DOM0_CONTINUITY_H

#include <stdint.h>

#include "core/manifest.h"
#include "core/policy.h"

enum gk_match {
	GK_MATCH_SAME,		/* port, vid:pid and descriptors are an entry's; and
				 * if it is a keyboard, so was that */
	GK_MATCH_UNKNOWN,	/* its controller is not known (yet) */
	GK_MATCH_NEW,		/* nothing like it was there */
	GK_MATCH_CHANGED,	/* something else was at its port */
	GK_MATCH_MOVED,		/* it was there, at another port */
};

enum { GK_FINDINGS = 2 * GK_LINK_DEVICES };

struct gk_finding {
	const char *what;	/* "new", "changed", "moved", "gone" */
	char port[GK_PORT_TEXT];
	uint16_t vid, pid;
	int keyboard;		/* it is, or was, one */
	int counts;		/* its keys do: it is trusted */
};

struct gk_continuity {
	int known;		/* m is of a handoff */
	struct gk_manifest m;
	uint8_t told_gone[GK_LINK_DEVICES];	/* of each entry */
	/* It was a keyboard, whether it counted or not, and no stranger: dom0's own,
	 * and not sent, for its hash is not of what makes it one, the report
	 * descriptor. */
	uint8_t keyboard[GK_LINK_DEVICES];
};

struct gk_daemon;

/* gk_continuity_take: what the gate's session has now is the manifest. */
void gk_continuity_take(struct gk_daemon *d);

/* gk_continuity_load: of a gatekeeperd before us; known is 0 when there is none. */
void gk_continuity_load(struct gk_daemon *d);

/* gk_continuity_binds: keyboards have to be those of the manifest: an agent's, and
 * those of a gate that has taken over from a domain which had them. Not of a gate that
 * comes after one of which nothing was known. */
int gk_continuity_binds(const struct gk_daemon *d);

/* gk_continuity_match: of the device in a slot of the session. */
enum gk_match gk_continuity_match(struct gk_daemon *d, int slot);

/* gk_continuity_trust: the device in this slot is an entry from now on. */
void gk_continuity_trust(struct gk_daemon *d, int slot);

/* gk_continuity_told: a device was told of: what is to be said of it is said. */
void gk_continuity_told(struct gk_daemon *d, int slot);

/* gk_continuity_missing: says which entries with a role are not there. */
void gk_continuity_missing(struct gk_daemon *d);

/* gk_continuity_keyboards: entries that are keyboards whose keys counted. */
unsigned gk_continuity_keyboards(const struct gk_daemon *d);

/* gk_continuity_findings: each device that is new, has changed, has moved or is gone,
 * as far as it has or had a role; how many. */
int gk_continuity_findings(struct gk_daemon *d, struct gk_finding out[GK_FINDINGS]);

#endif
