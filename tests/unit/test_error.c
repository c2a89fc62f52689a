/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/error.h"

static void every_error_has_its_own_text(void **state)
{
	(void)state;
	for (int a = GK_ERR_CLOSED; a <= GK_OK; a++) {
		CHECK(strlen(gk_strerror(a)) > 3, "%d has no text", a);
		CHECK(strcmp(gk_strerror(a), "unknown error") != 0, "%d is unknown", a);
		for (int b = a + 1; b <= GK_OK; b++)
			CHECK(strcmp(gk_strerror(a), gk_strerror(b)) != 0,
			      "%d and %d say the same", a, b);
	}
}

static void any_int_has_a_text(void **state)
{
	static const struct {
		int err;
		const char *text;
	} cases[] = {
		{ 1, "no error" },
		{ INT32_MAX, "no error" },
		{ GK_ERR_CLOSED - 1, "unknown error" },
		{ INT32_MIN, "unknown error" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(gk_strerror(cases[i].err), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_own_text),
		cmocka_unit_test(any_int_has_a_text),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
