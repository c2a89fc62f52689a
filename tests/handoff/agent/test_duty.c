/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include "handoff/agent/duty.h"

enum { TICK = 200 };

/* Ticks until it is to give everything away; how long that took, 0: never. */
static uint64_t until_given(struct gk_duty *d, int session, uint64_t *now, uint64_t ms)
{
	uint64_t began = *now;

	for (; *now - began < ms; *now += TICK)
		if (gk_duty_tick(d, session, *now))
			return *now - began;
	return 0;
}

static void alone_from_the_start(void **state)
{
	struct gk_duty d;
	uint64_t now = 5000;

	(void)state;
	gk_duty_init(&d, now);
	assert_int_equal(d.state, GK_DUTY_WAITING);
	assert_int_equal(until_given(&d, 0, &now, 100000), GK_DUTY_ALONE_MS);
	assert_int_equal(d.state, GK_DUTY_AWAY);
	/* Once. */
	now += TICK;
	assert_int_equal(until_given(&d, 0, &now, 100000), 0);
}

static void dom0_may_take_its_time(void **state)
{
	struct gk_duty d;
	uint64_t now = 5000;

	(void)state;
	gk_duty_init(&d, now);
	assert_int_equal(until_given(&d, 0, &now, 20000), 0);
	assert_int_equal(gk_duty_hello(&d), 0);
	assert_int_equal(until_given(&d, 1, &now, 500000), 0);
	assert_int_equal(d.state, GK_DUTY_WAITING);
	/* It goes without a manifest: as at the start. */
	assert_int_equal(until_given(&d, 0, &now, 100000), GK_DUTY_ALONE_MS);
}

static void rules_outlive_dom0(void **state)
{
	struct gk_duty d;
	uint64_t now = 5000;

	(void)state;
	gk_duty_init(&d, now);
	assert_int_equal(gk_duty_hello(&d), 0);
	gk_duty_rules(&d);
	assert_int_equal(until_given(&d, 1, &now, 1000), 0);
	assert_int_equal(until_given(&d, 0, &now, 500000), 0);
	assert_int_equal(d.state, GK_DUTY_JUDGING);
	assert_int_equal(gk_duty_hello(&d), 0);
	assert_int_equal(d.state, GK_DUTY_JUDGING);
}

static void a_late_dom0(void **state)
{
	struct gk_duty d;
	uint64_t now = 5000;

	(void)state;
	gk_duty_init(&d, now);
	assert_int_equal(until_given(&d, 0, &now, 100000), GK_DUTY_ALONE_MS);
	now += 60000;
	assert_int_equal(gk_duty_hello(&d), 1);
	assert_int_equal(d.state, GK_DUTY_WAITING);
	assert_int_equal(gk_duty_hello(&d), 0);
	gk_duty_rules(&d);
	assert_int_equal(d.state, GK_DUTY_JUDGING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_from_the_start),
		cmocka_unit_test(dom0_may_take_its_time),
		cmocka_unit_test(rules_outlive_dom0),
		cmocka_unit_test(a_late_dom0),
	};

	return cmocka_run_group_tests_name("duty", tests, NULL, NULL);
}
