/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes again and again at a port: gatekeeper/domain/storm.c. */
#include "../unit/test.h"

#include "domain/storm.h"

static struct gk_present at(unsigned bus, uint8_t port)
{
	return (struct gk_present){
		.busnum = bus, .path = { .depth = 1, .port = { port } },
	};
}

/*
 * The same port, so many times so far apart; from which time on it is too many (0:
 * never), and whether it still is when the port was quiet for so long after that.
 */
static const struct {
	const char *name;
	unsigned times, apart_ms, too_many_from, quiet_ms;
	int still;
} cases[] = {
	{ "a cable pushed in slowly", 3, 100, 0, 500, 0 },
	{ "ten in ten seconds", 10, 1000, 0, 10000, 0 },
	{ "one a second, for ever", 200, 1001, 0, 1001, 0 },
	{ "as fast as the kernel follows", 60, 300, 11, 300, 1 },
	{ "all at once", 60, 0, 11, 0, 1 },
	{ "quiet, but not for long enough", 20, 300, 11, 10000, 1 },
	{ "quiet for long enough", 20, 300, 11, 10001, 0 },
	{ "it slows down, and does not stop", 11, 800, 11, 9000, 1 },
};

static void storms(void **state)
{
	uint64_t now = 1000;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_present p = at(1, (uint8_t)(i + 1));

		for (unsigned n = 1; n <= cases[i].times; n++) {
			int want = cases[i].too_many_from &&
				   n >= cases[i].too_many_from;

			now += n > 1 ? cases[i].apart_ms : 0;
			CHECK(gk_storm(&p, now) == want, "%s: time %u",
			      cases[i].name, n);
		}
		now += cases[i].quiet_ms;
		CHECK(gk_storm(&p, now) == cases[i].still, "%s: after %u ms",
		      cases[i].name, cases[i].quiet_ms);
	}
}

/* A storm at one port is no matter of another one, nor of another bus. */
static void others(void **state)
{
	struct gk_present stormy = at(3, 1), port = at(3, 2), bus = at(4, 1);
	uint64_t now = 10000000;

	(void)state;
	for (int n = 0; n < 100; n++)
		CHECK(gk_storm(&stormy, now + (unsigned)n) == (n >= GK_STORM_LIMIT),
		      "time %d", n + 1);
	CHECK(!gk_storm(&port, now + 100), "another port");
	CHECK(!gk_storm(&bus, now + 100), "another bus");
	CHECK(gk_storm(&stormy, now + 101), "and it goes on");
}

/* More ports than are kept: the one that was quiet longest is forgotten. */
static void many(void **state)
{
	struct gk_present stormy = at(9, 200);
	uint64_t now = 20000000;

	(void)state;
	for (int n = 0; n <= GK_STORM_LIMIT; n++)
		(void)gk_storm(&stormy, ++now);
	for (unsigned n = 1; n < GK_INVENTORY_MAX; n++) {
		struct gk_present p = at(100, (uint8_t)n);

		CHECK(!gk_storm(&p, ++now), "port %u", n);
		CHECK(gk_storm(&stormy, ++now), "the storm goes on beside port %u", n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storms),
		cmocka_unit_test(others),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
