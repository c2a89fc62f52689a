/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>
#include <string.h>

#include "handoff/machine.h"

static const char *const state_names[GK_HO_STATES] = {
	[GK_HO_GATE] = "gate",
	[GK_HO_PREPARING] = "preparing",
	[GK_HO_QUIESCING] = "quiescing",
	[GK_HO_RELEASING] = "releasing",
	[GK_HO_RELEASED] = "released",
	[GK_HO_RESET] = "reset",
	[GK_HO_ASSIGNED] = "assigned",
	[GK_HO_CONFIRMED] = "confirmed",
	[GK_HO_FREE] = "free",
	[GK_HO_RECALLING] = "recalling",
	[GK_HO_TAKING_BACK] = "taking-back",
	[GK_HO_RETURNED] = "returned",
};

static const char *const mode_names[] = {
	[GK_HO_NONE] = "none",
	[GK_HO_AGENT] = "agent",
	[GK_HO_CONFIG] = "config",
	[GK_HO_FREE_ONLY] = "release-only",
};

static int index_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

const char *gk_ho_state_name(enum gk_ho_state s)
{
	return s < GK_HO_STATES ? state_names[s] : "?";
}

int gk_ho_state_named(const char *name)
{
	return index_of(state_names, GK_HO_STATES, name);
}

const char *gk_ho_mode_name(enum gk_ho_mode m)
{
	return m < sizeof(mode_names) / sizeof(mode_names[0]) ? mode_names[m] : "?";
}

int gk_ho_mode_named(const char *name)
{
	return index_of(mode_names, sizeof(mode_names) / sizeof(mode_names[0]), name);
}

uint32_t gk_ho_deadline_ms(enum gk_ho_mode mode, enum gk_ho_state s)
{
	switch (s) {
	case GK_HO_GATE:
	case GK_HO_CONFIRMED:
	case GK_HO_FREE:
	case GK_HO_STATES:
		return 0;
	case GK_HO_PREPARING:
		return GK_HO_PREPARE_MS;
	case GK_HO_QUIESCING:
		return GK_HO_QUIESCE_MS;
	case GK_HO_RELEASING:
		return GK_HO_RELEASE_MS;
	case GK_HO_RELEASED:
	case GK_HO_RETURNED:
		return GK_HO_RESET_MS;
	case GK_HO_RESET:
		return mode == GK_HO_CONFIG ? GK_HO_CREATE_MS : GK_HO_ATTACH_MS;
	case GK_HO_ASSIGNED:
		return GK_HO_CONFIRM_MS;
	case GK_HO_RECALLING:
		return GK_HO_RECALL_MS;
	case GK_HO_TAKING_BACK:
		return GK_HO_TAKE_BACK_MS;
	}
	return 0;
}

int gk_ho_is_moving(enum gk_ho_state s)
{
	switch (s) {
	case GK_HO_GATE:
	case GK_HO_PREPARING:
	case GK_HO_CONFIRMED:
	case GK_HO_FREE:
	case GK_HO_STATES:
		return 0;
	case GK_HO_QUIESCING:
	case GK_HO_RELEASING:
	case GK_HO_RELEASED:
	case GK_HO_RESET:
	case GK_HO_ASSIGNED:
	case GK_HO_RECALLING:
	case GK_HO_TAKING_BACK:
	case GK_HO_RETURNED:
		return 1;
	}
	return 0;
}

static enum gk_ho_action enter(struct gk_ho_machine *m, enum gk_ho_state s,
			       enum gk_ho_action action, uint64_t now)
{
	uint32_t ms = gk_ho_deadline_ms(m->mode, s);

	m->state = s;
	m->since = now;
	m->deadline = ms ? now + ms : 0;
	return action;
}

void gk_ho_begin(struct gk_ho_machine *m, enum gk_ho_mode mode)
{
	m->mode = mode;
}

/* What ends any step before its time; the wish for it back, too. */
static int is_end(enum gk_ho_event e)
{
	return e == GK_HO_FAILED || e == GK_HO_TARGET_LOST || e == GK_HO_RECLAIM ||
	       e == GK_HO_TICK;
}

static enum gk_ho_action take_back(struct gk_ho_machine *m, uint64_t now)
{
	m->was_free = m->state == GK_HO_FREE;
	return enter(m, GK_HO_TAKING_BACK, GK_HO_TAKE_BACK, now);
}

static enum gk_ho_action asked(struct gk_ho_machine *m, uint64_t now)
{
	if (m->mode == GK_HO_AGENT)
		return enter(m, GK_HO_PREPARING, GK_HO_PREPARE, now);
	if (m->mode == GK_HO_NONE)
		return GK_HO_NOTHING;
	return enter(m, GK_HO_QUIESCING, GK_HO_QUIESCE, now);
}

static enum gk_ho_action was_reset(struct gk_ho_machine *m, uint64_t now)
{
	if (m->mode == GK_HO_FREE_ONLY)
		return enter(m, GK_HO_FREE, GK_HO_LEAVE, now);
	return enter(m, GK_HO_RESET, GK_HO_ASSIGN, now);
}

static enum gk_ho_action was_assigned(struct gk_ho_machine *m, uint64_t now)
{
	/* Nobody in a domain without an agent could confirm; that it was created
	 * with them was looked at. */
	if (m->mode == GK_HO_CONFIG)
		return enter(m, GK_HO_CONFIRMED, GK_HO_FINISH, now);
	return enter(m, GK_HO_ASSIGNED, GK_HO_AWAIT, now);
}

/* An agent that is there is asked to let go, which is quicker. */
static enum gk_ho_action recall(struct gk_ho_machine *m, uint64_t now)
{
	if (m->mode == GK_HO_AGENT)
		return enter(m, GK_HO_RECALLING, GK_HO_RECALL, now);
	return take_back(m, now);
}

enum gk_ho_action gk_ho_event(struct gk_ho_machine *m, enum gk_ho_event e, uint64_t now)
{
	if (e == GK_HO_TICK && (!m->deadline || now < m->deadline))
		return GK_HO_NOTHING;
	switch (m->state) {
	case GK_HO_GATE:
		return e == GK_HO_ASKED ? asked(m, now) : GK_HO_NOTHING;
	case GK_HO_PREPARING:
		if (e == GK_HO_READY)
			return enter(m, GK_HO_QUIESCING, GK_HO_QUIESCE, now);
		if (is_end(e) || e == GK_HO_GATE_LOST)
			return enter(m, GK_HO_GATE, GK_HO_CANCEL, now);
		return GK_HO_NOTHING;
	case GK_HO_QUIESCING:
		if (e == GK_HO_QUIESCED)
			return enter(m, GK_HO_RELEASING, GK_HO_RELEASE, now);
		if (e == GK_HO_TICK || e == GK_HO_GATE_LOST || e == GK_HO_FAILED)
			return enter(m, GK_HO_RELEASING, GK_HO_RELEASE_HARD, now);
		return is_end(e) ? take_back(m, now) : GK_HO_NOTHING;
	case GK_HO_RELEASING:
		if (e == GK_HO_DONE)
			return enter(m, GK_HO_RELEASED, GK_HO_DO_RESET, now);
		return is_end(e) ? take_back(m, now) : GK_HO_NOTHING;
	case GK_HO_RELEASED:
		if (e == GK_HO_DONE)
			return was_reset(m, now);
		return is_end(e) ? take_back(m, now) : GK_HO_NOTHING;
	case GK_HO_RESET:
		if (e == GK_HO_DONE)
			return was_assigned(m, now);
		return is_end(e) ? take_back(m, now) : GK_HO_NOTHING;
	case GK_HO_ASSIGNED:
		if (e == GK_HO_SEEN)
			return enter(m, GK_HO_CONFIRMED, GK_HO_FINISH, now);
		if (e == GK_HO_TARGET_LOST)
			return take_back(m, now);
		return is_end(e) ? recall(m, now) : GK_HO_NOTHING;
	case GK_HO_CONFIRMED:
		if (e == GK_HO_TARGET_LOST)
			return take_back(m, now);
		return e == GK_HO_RECLAIM ? recall(m, now) : GK_HO_NOTHING;
	case GK_HO_FREE:
		/* Lost: who was to have them has come to nothing. */
		return e == GK_HO_RECLAIM || e == GK_HO_TARGET_LOST ?
		       take_back(m, now) : GK_HO_NOTHING;
	case GK_HO_RECALLING:
		if (e == GK_HO_QUIESCED || e == GK_HO_FAILED || e == GK_HO_TICK ||
		    e == GK_HO_TARGET_LOST)
			return take_back(m, now);
		return GK_HO_NOTHING;
	case GK_HO_TAKING_BACK:
		if (e == GK_HO_DONE)
			return enter(m, GK_HO_RETURNED, GK_HO_RESET_BACK, now);
		/* Free meant for anybody, and a domain that was started with them
		 * since then has nothing to do with us. */
		if (m->was_free && (e == GK_HO_FAILED || e == GK_HO_TICK))
			return enter(m, GK_HO_FREE, GK_HO_STAY, now);
		/* The gate is tried all the same: xl gives nothing twice, and what
		 * stands in its way is said then. */
		if (e == GK_HO_FAILED || e == GK_HO_TICK)
			return enter(m, GK_HO_GATE, GK_HO_START_GATE, now);
		return GK_HO_NOTHING;
	case GK_HO_RETURNED:
		/* One that could not be reset counts as tainted; a keyboard matters
		 * more, and the gate's users before it were the same. */
		if (e == GK_HO_DONE || e == GK_HO_FAILED || e == GK_HO_TICK)
			return enter(m, GK_HO_GATE, GK_HO_START_GATE, now);
		return GK_HO_NOTHING;
	case GK_HO_STATES:
		break;
	}
	return GK_HO_NOTHING;
}

enum gk_ho_action gk_ho_resume(struct gk_ho_machine *m, enum gk_ho_owner owner,
			       uint64_t now)
{
	int agent = m->mode == GK_HO_AGENT;

	switch (m->state) {
	case GK_HO_GATE:
	case GK_HO_PREPARING:
	case GK_HO_STATES:
		return enter(m, GK_HO_GATE, GK_HO_NOTHING, now);
	case GK_HO_QUIESCING:
	case GK_HO_RELEASING:
	case GK_HO_RELEASED:
	case GK_HO_RESET:
		/* Attached, and only the word of it was lost. */
		if (owner == GK_HO_THE_TARGET && m->state == GK_HO_RESET && agent)
			return enter(m, GK_HO_ASSIGNED, GK_HO_AWAIT, now);
		return take_back(m, now);
	case GK_HO_ASSIGNED:
		if (owner == GK_HO_THE_TARGET && agent)
			return enter(m, GK_HO_ASSIGNED, GK_HO_AWAIT, now);
		return take_back(m, now);
	case GK_HO_CONFIRMED:
		if (owner == GK_HO_THE_TARGET)
			return enter(m, GK_HO_CONFIRMED,
				     agent ? GK_HO_AWAIT : GK_HO_NOTHING, now);
		/* A domain that somebody else started with them is left alone. */
		if (!agent)
			return enter(m, GK_HO_CONFIRMED, GK_HO_NOTHING, now);
		return take_back(m, now);
	case GK_HO_FREE:
		return enter(m, GK_HO_FREE, GK_HO_NOTHING, now);
	case GK_HO_RECALLING:
	case GK_HO_TAKING_BACK:
	case GK_HO_RETURNED:
		return take_back(m, now);
	}
	return GK_HO_NOTHING;
}
