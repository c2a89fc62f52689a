/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link to the agent of a USB domain, until it is the link: a second link
 * reader, its HELLO, the manifest, and the answer that it has arrived. Nothing that
 * comes over it counts until gk_agent_promote() puts it in the place of the gate's.
 */
#ifndef GK_DOM0_AGENT_H
#define GK_DOM0_AGENT_H

#include <stdint.h>

#include "core/session.h"
#include "dom0/loop.h"
#include "dom0/xs.h"

enum gk_agent_phase {
	GK_AGENT_NONE,
	GK_AGENT_CONNECT,	/* until its HELLO */
	GK_AGENT_TELLING,	/* the manifest goes out */
	GK_AGENT_TOLD,		/* and the answer to the PING after it is due */
	GK_AGENT_READY,
};

struct gk_agent {
	enum gk_agent_phase phase;
	int domid;
	int fd;			/* -1: none */
	unsigned child;
	unsigned promoted;	/* the child whose link is the daemon's now */
	int begun;		/* session has its nonce */
	struct gk_session session;
	struct gk_xs_answer xs;	/* maps alone */
	unsigned next_part;
	struct gk_timer timer;
	char cause[160];	/* why it ended, "" */
};

struct gk_daemon;

/*
 * gk_agent_start: to this domain; what becomes of it is told to gk_handover_agent().
 * timeout_s: for its server to be there. gk_agent_stop: of what was not promoted.
 */
int gk_agent_start(struct gk_daemon *d, int domid, unsigned timeout_s) GK_MUST_CHECK;
void gk_agent_stop(struct gk_daemon *d);

/* gk_agent_promote: it is READY, and the daemon has no link: this is the link. */
void gk_agent_promote(struct gk_daemon *d);

#endif
