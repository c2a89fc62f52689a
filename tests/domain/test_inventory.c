/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The numbers of controllers, as dom0 gives them to the gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/inventory.h"

static void numbers_are_dom0s(void **state)
{
	static const struct {
		const char *cmdline;
		unsigned place, number;
	} rows[] = {
		{ "", 1, 1 },
		{ "quiet panic=-1\n", 3, 3 },
		{ "quiet gk.controllers=1\n", 1, 1 },
		/* The first one is dom0's. */
		{ "quiet gk.controllers=2,3 panic=-1\n", 1, 2 },
		{ "quiet gk.controllers=2,3 panic=-1\n", 2, 3 },
		{ "gk.controllers=1,4,16", 3, 16 },
		/* More than were named: that one has no number. */
		{ "gk.controllers=2,3 4", 3, 0 },
		{ "gk.controllers=", 1, 0 },
		{ "gk.controllers=x", 1, 0 },
		{ "gk.controllers=0,1", 1, 0 },
		{ "gk.controllers=256", 1, 0 },
		{ "gk.controllers=1;2", 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (gk_inventory_number(rows[i].cmdline, rows[i].place) !=
		    rows[i].number)
			fail_msg("%s: %u", rows[i].cmdline, rows[i].place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_dom0s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
