/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handoff/run.h"

static int sh(const char *script, unsigned int timeout_ms, char *out, size_t len)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return gk_run(argv, timeout_ms, out, len);
}

static void results(void **state)
{
	static const struct {
		const char *script;
		int ret;
		const char *out;
	} cases[] = {
		{ "echo out; echo err >&2; exit 0", 0, "out\nerr\n" },
		{ "exit 7", 7, "" },
		{ "echo last; kill -TERM $$", 128 + SIGTERM, "last\n" },
		{ "cat; echo end", 0, "end\n" },
		{ "echo ${HOME-none} ${LC_ALL-none}", 0, "none C\n" },
		/* Only its standard descriptors, and the one ls opens. */
		{ "ls /proc/self/fd | wc -l", 0, "4\n" },
		{ "printf '%s|' 'a b' '$HOME' '*'", 0, "a b|$HOME|*|" },
	};
	char out[256];
	size_t i;
	int fd;

	(void)state;
	fd = open("/dev/null", O_RDONLY);	/* not close-on-exec */
	assert_true(fd >= 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = sh(cases[i].script, 5000, out, sizeof(out));

		if (ret != cases[i].ret || strcmp(out, cases[i].out) != 0)
			fail_msg("%s: %d \"%s\"", cases[i].script, ret, out);
	}
	(void)close(fd);
}

static void not_there(void **state)
{
	const char *const argv[] = { "gk-no-such-program", NULL };
	const char *const none[] = { NULL };
	char out[256], line[128];

	(void)state;
	assert_int_equal(gk_run(argv, 5000, out, sizeof(out)), 127);
	gk_run_last_line(out, line, sizeof(line));
	assert_string_equal(line, "cannot run gk-no-such-program: No such file or "
				  "directory");
	assert_int_equal(gk_run(none, 5000, out, sizeof(out)), GK_ERR_VALUE);
	assert_int_equal(gk_run(argv, 5000, out, 0), GK_ERR_VALUE);
}

static void deadline(void **state)
{
	/* Ignoring every signal, a grandchild in the group, and one that never
	 * stops writing: none outlives the deadline. */
	static const char *const scripts[] = {
		"trap '' TERM INT HUP; echo begun; while :; do sleep 9; done",
		"echo begun; sleep 9 & wait",
		"echo begun; exec yes",
	};
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		uint64_t begin = gk_run_now_ms();

		assert_int_equal(sh(scripts[i], 300, out, sizeof(out)),
				 GK_ERR_TIMEOUT);
		assert_in_range(gk_run_now_ms() - begin, 300, 2000);
		assert_int_equal(strncmp(out, "begun\n", 6), 0);
	}
}

/* As xl does: its monitor goes on in a session of its own, our pipe in hand. */
static void left_behind(void **state)
{
	uint64_t begin = gk_run_now_ms();
	char out[64];
	long pid;

	(void)state;
	assert_int_equal(sh("setsid sleep 9 & echo $!", 5000, out, sizeof(out)), 0);
	assert_true(gk_run_now_ms() - begin < 3000);
	pid = strtol(out, NULL, 10);
	assert_true(pid > 1);
	gk_run_sleep_ms(50);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void long_output(void **state)
{
	char out[100];

	(void)state;
	assert_int_equal(sh("yes 0123456789 | head -c 1000000", 10000, out,
			    sizeof(out)), 0);
	assert_int_equal(strlen(out), sizeof(out) - 1);
	assert_int_equal(strncmp(out, "0123456789\n0", 12), 0);
}

static void last_line(void **state)
{
	static const struct {
		const char *out, *line;
	} cases[] = {
		{ "", "" }, { "\n\n", "" }, { "one", "one" }, { "one\n", "one" },
		{ "one\ntwo\n\n", "two" }, { "a\033[31mb\n", "a?[31mb" },
		{ "longer than the line\n", "longer than the" },
	};
	char line[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		gk_run_last_line(cases[i].out, line, sizeof(line));
		assert_string_equal(line, cases[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results),
		cmocka_unit_test(not_there),
		cmocka_unit_test(deadline),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(long_output),
		cmocka_unit_test(last_line),
	};

	return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
