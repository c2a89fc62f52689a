/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "handoff/dead.h"

#define HEAD "Name                                        ID   Mem VCPUs\tState\tTime(s)\n"
#define DOM0 "Domain-0                                     0  1024     2     r-----  12.5\n"

/* What xl 4.17 prints of domain 7. */
static const struct {
	const char *text;
	int dead;
} listed[] = {
	{ HEAD "sys-usb       7   300     1     -b----       1.0\n", 0 },
	{ HEAD "sys-usb       7   300     1     r-----       1.0\n", 0 },
	{ HEAD "sys-usb       7   300     1     --p---       1.0\n", 0 },
	{ HEAD "sys-usb       7   300     1     ---s--       1.0\n", 1 },
	{ HEAD "sys-usb       7   300     1     ---sr-       1.0\n", 1 },
	{ HEAD "sys-usb       7   300     1     ---sc-       1.0\n", 1 },
	{ HEAD "sys-usb       7   300     1     ---sw-       1.0\n", 1 },
	{ HEAD "sys-usb       7   300     1     ---ss-       1.0\n", 0 },
	{ HEAD "(null)        7     0     1     --ps-d       1.0\n", 1 },
	{ HEAD "(null)        7     0     1     -----d       1.0", 1 },
	{ HEAD DOM0 "sys-usb       7   300     1     ---s--       1.0\n", 1 },
	{ HEAD "other        17   300     1     ---s--       1.0\n", 0 },
	{ HEAD "7             8   300     1     ---s--       1.0\n", 0 },
	{ HEAD "sys-usb       7   300     1     ---s-        1.0\n", 0 },
	{ HEAD "sys-usb       7   300     1     ---s--d      1.0\n", 0 },
	{ HEAD "sys-usb       7\n", 0 },
	{ HEAD, 0 }, { "", 0 }, { "\n\n", 0 },
};

static void parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
		if (gk_dead_parse(listed[i].text, 7) != listed[i].dead)
			fail_msg("not %d: %s", listed[i].dead, listed[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(parse) };

	return cmocka_run_group_tests_name("dead", tests, NULL, NULL);
}
