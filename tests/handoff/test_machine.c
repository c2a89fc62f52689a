/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine over every state, event and mode, and over every way that starts at
 * the gate: that it goes only where the table below says, that each state which
 * waits for somebody ends by itself, and that after a start it goes on from what is
 * true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handoff/machine.h"

enum { G = GK_HO_GATE, P = GK_HO_PREPARING, Q = GK_HO_QUIESCING, L = GK_HO_RELEASING,
       R = GK_HO_RELEASED, S = GK_HO_RESET, A = GK_HO_ASSIGNED, C = GK_HO_CONFIRMED,
       F = GK_HO_FREE, K = GK_HO_RECALLING, B = GK_HO_TAKING_BACK, T = GK_HO_RETURNED };

enum { NOW = 1000 };

/*
 * Of a handoff to an agent, TICK being that of a deadline that is over. Columns:
 * ASKED READY QUIESCED DONE FAILED SEEN GATE_LOST TARGET_LOST RECLAIM TICK.
 */
static const uint8_t next[GK_HO_STATES][GK_HO_EVENTS] = {
	[G] = { P, G, G, G, G, G, G, G, G, G },
	[P] = { P, Q, P, P, G, P, G, G, G, G },
	[Q] = { Q, Q, L, Q, L, Q, L, B, B, L },
	[L] = { L, L, L, R, B, L, L, B, B, B },
	[R] = { R, R, R, S, B, R, R, B, B, B },
	[S] = { S, S, S, A, B, S, S, B, B, B },
	[A] = { A, A, A, A, K, C, A, B, K, K },
	[C] = { C, C, C, C, C, C, C, B, K, C },
	[F] = { F, F, F, F, F, F, F, B, B, F },
	[K] = { K, K, B, K, B, K, K, B, K, B },
	[B] = { B, B, B, T, G, B, B, B, B, G },
	[T] = { T, T, T, G, G, T, T, T, T, G },
};

/* What is to be done on the way into a state; where it depends, below. */
static const uint8_t work[GK_HO_STATES] = {
	[P] = GK_HO_PREPARE, [Q] = GK_HO_QUIESCE, [R] = GK_HO_DO_RESET,
	[S] = GK_HO_ASSIGN, [A] = GK_HO_AWAIT, [C] = GK_HO_FINISH, [F] = GK_HO_LEAVE,
	[K] = GK_HO_RECALL, [B] = GK_HO_TAKE_BACK, [T] = GK_HO_RESET_BACK,
};

/* As the agent's, but for what a mode does without. */
static int wanted(enum gk_ho_mode mode, int s, int e, int was_free)
{
	int to = next[s][e];

	if (mode == GK_HO_NONE && s == G)
		return G;
	if (s == B && was_free && to == G)
		return F;
	if (mode == GK_HO_AGENT)
		return to;
	if (s == G && to == P)
		return Q;
	if (to == K && s != K)
		return B;
	if (mode == GK_HO_CONFIG && s == S && to == A)
		return C;
	return mode == GK_HO_FREE_ONLY && s == R && to == S ? F : to;
}

static int wanted_work(int from, int to, int e)
{
	if (to == L)
		return e == GK_HO_QUIESCED ? GK_HO_RELEASE : GK_HO_RELEASE_HARD;
	if (to == G)
		return from == P ? GK_HO_CANCEL : GK_HO_START_GATE;
	return to == F && from == B ? GK_HO_STAY : work[to];
}

static struct gk_ho_machine at(enum gk_ho_mode mode, int s)
{
	uint32_t ms = gk_ho_deadline_ms(mode, (enum gk_ho_state)s);

	return (struct gk_ho_machine){ .mode = mode, .state = (enum gk_ho_state)s,
				       .since = NOW, .deadline = ms ? NOW + ms : 0 };
}

static void every_event(void **state)
{
	(void)state;
	for (int mode = GK_HO_NONE; mode <= GK_HO_FREE_ONLY; mode++)
		for (int s = 0; s < GK_HO_STATES; s++)
			for (int e = 0; e < 2 * GK_HO_EVENTS; e++) {
				enum gk_ho_mode m = (enum gk_ho_mode)mode;
				struct gk_ho_machine h = at(m, s);
				int was_free = e >= GK_HO_EVENTS, ev = e % GK_HO_EVENTS, to;
				uint64_t now = h.deadline ? h.deadline : NOW + 1;
				enum gk_ho_action a;

				h.was_free = was_free;
				a = gk_ho_event(&h, (enum gk_ho_event)ev, now);
				to = wanted(m, s, ev, was_free);
				if (to != (int)h.state)
					fail_msg("%s, %s, event %d: %s, not %s",
						 gk_ho_mode_name(m),
						 gk_ho_state_name((enum gk_ho_state)s), ev,
						 gk_ho_state_name(h.state),
						 gk_ho_state_name((enum gk_ho_state)to));
				if (to == s) {
					assert_int_equal(a, GK_HO_NOTHING);
					assert_int_equal(h.since, NOW);
					continue;
				}
				assert_int_equal(a, wanted_work(s, to, ev));
				assert_int_equal(h.since, now);
				assert_int_equal(h.deadline != 0,
						 gk_ho_deadline_ms(m, h.state) != 0);
			}
}

/* Before its time is over the clock changes nothing. */
static void too_early(void **state)
{
	(void)state;
	for (int s = 0; s < GK_HO_STATES; s++) {
		struct gk_ho_machine h = at(GK_HO_AGENT, s);
		uint64_t now = h.deadline ? h.deadline - 1 : UINT64_MAX;

		assert_int_equal(gk_ho_event(&h, GK_HO_TICK, now), GK_HO_NOTHING);
		assert_int_equal(h.state, s);
	}
}

/* Left alone, each state comes to rest, and in how long at most. */
static void bounded(void **state)
{
	(void)state;
	for (int mode = GK_HO_AGENT; mode <= GK_HO_FREE_ONLY; mode++)
		for (int s = 0; s < GK_HO_STATES; s++) {
			struct gk_ho_machine h = at((enum gk_ho_mode)mode, s);
			uint64_t now = NOW;
			int steps = 0;

			while (h.deadline && steps++ < GK_HO_STATES) {
				now = h.deadline;
				assert_int_not_equal(gk_ho_event(&h, GK_HO_TICK, now),
						     GK_HO_NOTHING);
			}
			assert_int_equal(h.deadline, 0);
			assert_false(gk_ho_is_moving(h.state));
			assert_in_range(now - NOW, 0, 250000);
		}
}

/*
 * All ways of at most eight events from the gate: nobody is ever given controllers
 * that were not released and reset right before, and the gate is not started again
 * before they were taken back, or that was tried.
 */
static void walk(struct gk_ho_machine h, int clean, int back, int depth)
{
	for (int e = 0; depth > 0 && e < GK_HO_EVENTS; e++) {
		struct gk_ho_machine n = h;
		int c = clean, b = back;
		enum gk_ho_action a = gk_ho_event(&n, (enum gk_ho_event)e,
						  h.deadline ? h.deadline : NOW);

		switch (a) {
		case GK_HO_NOTHING:
			continue;
		case GK_HO_RELEASE:
		case GK_HO_RELEASE_HARD:
			c = 0;
			break;
		case GK_HO_DO_RESET:
			assert_int_equal(e, GK_HO_DONE);
			c = 1;
			break;
		case GK_HO_ASSIGN:
		case GK_HO_LEAVE:
			assert_true(c == 1 && e == GK_HO_DONE);
			c = 2;
			break;
		case GK_HO_AWAIT:
			assert_int_equal(c, 2);
			break;
		case GK_HO_FINISH:
			assert_int_equal(c, 2);
			break;
		case GK_HO_TAKE_BACK:
			b = 1;
			c = 0;
			break;
		case GK_HO_START_GATE:
			assert_true(b);
			b = 0;
			break;
		case GK_HO_PREPARE:
		case GK_HO_CANCEL:
		case GK_HO_QUIESCE:
		case GK_HO_RECALL:
		case GK_HO_RESET_BACK:
		case GK_HO_STAY:
			break;
		}
		walk(n, c, b, depth - 1);
	}
}

static void every_way(void **state)
{
	(void)state;
	for (int mode = GK_HO_AGENT; mode <= GK_HO_FREE_ONLY; mode++)
		walk(at((enum gk_ho_mode)mode, G), 0, 0, 8);
}

static void resume_is(enum gk_ho_mode mode, int s, enum gk_ho_owner owner, int to,
		      enum gk_ho_action action)
{
	struct gk_ho_machine h = { .mode = mode, .state = (enum gk_ho_state)s };
	enum gk_ho_action a = gk_ho_resume(&h, owner, NOW);

	if ((int)h.state != to || a != action)
		fail_msg("%s, %s, owner %d: %s and %d, not %s and %d",
			 gk_ho_mode_name(mode), gk_ho_state_name((enum gk_ho_state)s),
			 (int)owner, gk_ho_state_name(h.state), (int)a,
			 gk_ho_state_name((enum gk_ho_state)to), (int)action);
	assert_int_equal(h.deadline != 0, gk_ho_deadline_ms(mode, h.state) != 0);
}

static void resume(void **state)
{
	(void)state;
	for (int o = GK_HO_NOBODY; o <= GK_HO_SEVERAL; o++) {
		enum gk_ho_owner owner = (enum gk_ho_owner)o;
		int there = owner == GK_HO_THE_TARGET;

		for (int mode = GK_HO_AGENT; mode <= GK_HO_FREE_ONLY; mode++) {
			enum gk_ho_mode m = (enum gk_ho_mode)mode;

			resume_is(m, G, owner, G, GK_HO_NOTHING);
			resume_is(m, P, owner, G, GK_HO_NOTHING);
			resume_is(m, Q, owner, B, GK_HO_TAKE_BACK);
			resume_is(m, L, owner, B, GK_HO_TAKE_BACK);
			resume_is(m, R, owner, B, GK_HO_TAKE_BACK);
			resume_is(m, F, owner, F, GK_HO_NOTHING);
			resume_is(m, K, owner, B, GK_HO_TAKE_BACK);
			resume_is(m, B, owner, B, GK_HO_TAKE_BACK);
			resume_is(m, T, owner, B, GK_HO_TAKE_BACK);
		}
		resume_is(GK_HO_AGENT, S, owner, there ? A : B,
			  there ? GK_HO_AWAIT : GK_HO_TAKE_BACK);
		resume_is(GK_HO_AGENT, A, owner, there ? A : B,
			  there ? GK_HO_AWAIT : GK_HO_TAKE_BACK);
		resume_is(GK_HO_AGENT, C, owner, there ? C : B,
			  there ? GK_HO_AWAIT : GK_HO_TAKE_BACK);
		resume_is(GK_HO_CONFIG, S, owner, B, GK_HO_TAKE_BACK);
		resume_is(GK_HO_CONFIG, C, owner, C, GK_HO_NOTHING);
	}
}

static void names(void **state)
{
	(void)state;
	for (int s = 0; s < GK_HO_STATES; s++)
		assert_int_equal(gk_ho_state_named(gk_ho_state_name(
					 (enum gk_ho_state)s)), s);
	for (int m = GK_HO_NONE; m <= GK_HO_FREE_ONLY; m++)
		assert_int_equal(gk_ho_mode_named(gk_ho_mode_name((enum gk_ho_mode)m)),
				 m);
	assert_int_equal(gk_ho_state_named("nowhere"), -1);
	assert_int_equal(gk_ho_mode_named(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event), cmocka_unit_test(too_early),
		cmocka_unit_test(bounded), cmocka_unit_test(every_way),
		cmocka_unit_test(resume), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
