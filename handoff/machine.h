/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handoff as a state machine: who has the USB controllers, and what is under
 * way. Pure: an event and the time in, the next state and what is to be done out.
 * Who calls it does the work, writes each state down before the work begins
 * (record.h), and comes back with how it ended.
 *
 *   gate -> preparing -> quiescing -> releasing -> released -> reset -> assigned
 *        -> confirmed, or, when nobody gets them, released -> free
 *   and back: recalling -> taking-back -> returned -> gate
 *
 * All controllers go together: there is one state for all of them, and a step has
 * succeeded when it has for each.
 */
#ifndef GK_HANDOFF_MACHINE_H
#define GK_HANDOFF_MACHINE_H

#include <stdint.h>

/* Who is to get them. */
enum gk_ho_mode {
	GK_HO_NONE,	/* nobody was ever asked for */
	GK_HO_AGENT,	/* a domain that runs, with an agent in it */
	GK_HO_CONFIG,	/* a domain that is started with them */
	GK_HO_FREE_ONLY,	/* nobody: they are left with pciback */
};

enum gk_ho_state {
	GK_HO_GATE,		/* they are the gate's, or are to be */
	GK_HO_PREPARING,	/* the agent is told; nothing is touched */
	GK_HO_QUIESCING,	/* the gate lets go of the devices */
	GK_HO_RELEASING,	/* they are taken out of the gate */
	GK_HO_RELEASED,		/* nobody has them; they are reset */
	GK_HO_RESET,		/* they are given to the target */
	GK_HO_ASSIGNED,		/* the target has them; does it work? */
	GK_HO_CONFIRMED,	/* it does */
	GK_HO_FREE,		/* nobody has them, and that was wanted */
	GK_HO_RECALLING,	/* the agent lets go of the devices */
	GK_HO_TAKING_BACK,	/* they are taken from whoever has them */
	GK_HO_RETURNED,		/* nobody has them; they are reset for the gate */
	GK_HO_STATES,
};

enum gk_ho_event {
	GK_HO_ASKED,		/* a handoff, and it may begin */
	GK_HO_READY,		/* the agent has the manifest */
	GK_HO_QUIESCED,		/* the domain that was asked has let go */
	GK_HO_DONE,		/* the work of this state has succeeded */
	GK_HO_FAILED,
	GK_HO_SEEN,		/* the target works */
	GK_HO_GATE_LOST,	/* the gate has gone, or its link */
	GK_HO_TARGET_LOST,	/* the target has gone, or its agent for good */
	GK_HO_RECLAIM,		/* somebody asked for it */
	GK_HO_TICK,		/* none: is the deadline over? */
	GK_HO_EVENTS,
};

/* What is to be done on entering a state. */
enum gk_ho_action {
	GK_HO_NOTHING,
	GK_HO_PREPARE,		/* link to the agent, manifest */
	GK_HO_CANCEL,		/* of that: nothing else has changed */
	GK_HO_QUIESCE,		/* ask the gate */
	GK_HO_RELEASE,		/* detach them from the gate */
	GK_HO_RELEASE_HARD,	/* it has not let go: destroy it */
	GK_HO_DO_RESET,
	GK_HO_ASSIGN,		/* attach, or create the domain */
	GK_HO_AWAIT,		/* the agent's devices */
	GK_HO_FINISH,		/* destroy the gate; done */
	GK_HO_LEAVE,		/* the same with no target */
	GK_HO_RECALL,		/* ask the agent to let go */
	GK_HO_TAKE_BACK,
	GK_HO_RESET_BACK,
	GK_HO_START_GATE,	/* a new one, from its image */
	GK_HO_STAY,		/* whoever has them keeps them; nothing was changed */
};

/* In milliseconds. The sum on any way is what a handoff can take at most. */
enum {
	GK_HO_PREPARE_MS = 10000,
	GK_HO_QUIESCE_MS = 6000,
	GK_HO_RELEASE_MS = 65000,	/* detach 15 s, destroy 30 s, wait 15 s */
	GK_HO_RESET_MS = 10000,		/* all at the same time */
	GK_HO_ATTACH_MS = 20000,
	GK_HO_CREATE_MS = 75000,	/* a whole domain */
	GK_HO_CONFIRM_MS = 15000,
	GK_HO_RECALL_MS = 3000,
	GK_HO_TAKE_BACK_MS = 75000,	/* detach 15 s, by force 10 s, destroy 25 s,
					 * wait 15 s */
};

struct gk_ho_machine {
	enum gk_ho_mode mode;
	enum gk_ho_state state;
	uint64_t since;		/* when the state began */
	uint64_t deadline;	/* 0: the state waits for nobody */
	int was_free;		/* taken back from FREE: it may be refused */
};

/* gk_ho_begin: the mode of the handoff that is asked for next; in GATE alone. */
void gk_ho_begin(struct gk_ho_machine *m, enum gk_ho_mode mode);

/*
 * gk_ho_event: what has happened, at `now` (ms). The state may change, and what is
 * returned is to be done then. An event that means nothing in a state, such as
 * the end of work that was given up, changes nothing.
 */
enum gk_ho_action gk_ho_event(struct gk_ho_machine *m, enum gk_ho_event e, uint64_t now);

/* Who has them, of all controllers together. */
enum gk_ho_owner {
	GK_HO_NOBODY,
	GK_HO_THE_GATE,
	GK_HO_THE_TARGET,	/* the very domain that the record names */
	GK_HO_ANOTHER,		/* a domain that is neither */
	GK_HO_SEVERAL,		/* some here, some there */
};

/*
 * gk_ho_resume: m->mode and m->state are what the record says, `owner` is what is
 * true. The state from which it goes on, and what is to be done there.
 */
enum gk_ho_action gk_ho_resume(struct gk_ho_machine *m, enum gk_ho_owner owner,
			       uint64_t now);

/* gk_ho_deadline_ms: how long a state may last; 0: as long as it likes. */
uint32_t gk_ho_deadline_ms(enum gk_ho_mode mode, enum gk_ho_state s);

/* gk_ho_is_moving: the controllers are, or may be, with nobody that works. */
int gk_ho_is_moving(enum gk_ho_state s);

/* "taking-back": stable words; the other way: -1 for none of them. */
const char *gk_ho_state_name(enum gk_ho_state s);
int gk_ho_state_named(const char *name);
const char *gk_ho_mode_name(enum gk_ho_mode m);
int gk_ho_mode_named(const char *name);

#endif
