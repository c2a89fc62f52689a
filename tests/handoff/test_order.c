/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders to gatekeeper-pci and its answers, and what is made of those that never come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "handoff/helper.h"
#include "handoff/run.h"

static void orders(void **state)
{
	static const char *const good[] = {
		"1 1 detach 1 0000:00:14.0",
		"4294967295 60000 attach 32751 ffff:ff:1f.7",
		"7 3000 pause 12",
	};
	static const char *const bad[] = {
		"", " ", "1", "1 1 pause", "1 1 pause ", "1 1 pause 1 ", " 1 1 pause 1",
		"1  1 pause 1", "1 1 pause 1\n", "1 1 pause 0", "1 1 pause 32752",
		"1 1 pause 01", "1 1 pause -1", "1 1 pause +1", "1 1 pause 0x1",
		"1 1 pause 1 0000:00:14.0", "0 1 pause 1", "1 0 pause 1",
		"1 60001 pause 1", "4294967296 1 pause 1", "99999999999 1 pause 1",
		"1 1 destroy 1", "1 1 detached 1 0000:00:14.0", "1 1 Pause 1",
		"1 1 detach 1", "1 1 detach 1 00:14.0", "1 1 detach 1 0000:00:14.8",
		"1 1 detach 1 0000:00:14.0 ", "1 1 detach 1 0000:00:14.0 x",
		"1 1 detach 1 0000:00:14.00", "1 1 attach 1 0000:00:1F.0",
		"1 1 attach 1 0000:00:14.0,permissive=1", "1 1 attach 0 0000:00:14.0",
		"1 1 attach 1 0000:00:14.0 1 1 pause 1 and more than there is room for in it "
		"by far",
	};
	char text[GK_ORDER_MAX];
	struct gk_order o;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(gk_order_parse(good[i], strlen(good[i]), &o), 0);
		assert_int_equal(gk_order_text(&o, text), 0);
		assert_string_equal(text, good[i]);
		/* Each shorter one is another one, or none. */
		for (size_t len = 0; len < strlen(good[i]); len++)
			if (gk_order_parse(good[i], len, &o) == 0) {
				assert_int_equal(gk_order_text(&o, text), 0);
				assert_int_equal(strlen(text), len);
			}
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (gk_order_parse(bad[i], strlen(bad[i]), &o) != GK_ERR_VALUE)
			fail_msg("\"%s\" is taken for an order", bad[i]);
	assert_int_equal(gk_order_parse("1 1 pause 1\0", 12, &o), GK_ERR_VALUE);
	assert_int_equal(gk_order_parse("7 3000 pause 12", 15, &o), 0);
	assert_true(o.number == 7 && o.ms == 3000 && o.what == GK_ORDER_PAUSE &&
		    o.domid == 12 && o.bdf[0] == '\0');
	o.domid = 0;
	assert_int_equal(gk_order_text(&o, text), GK_ERR_VALUE);
}

static void answers(void **state)
{
	static const char *const bad[] = { "", "5", "5 ", "5 OK", "5 ok ", "5 ok\n", "5 failed",
					   "5 failed a\tb", "05 ok", "6 ok", "5failed x" };
	char text[GK_ANSWER_MAX], mad[2 * GK_ANSWER_MAX];
	const char *failed;

	(void)state;
	gk_answer_text(5, NULL, text);
	assert_string_equal(text, "5 ok");
	assert_int_equal(gk_answer_parse(text, 4, 5, &failed), 0);
	assert_null(failed);
	assert_int_equal(gk_answer_parse(text, 4, 4, &failed), GK_ERR_ORDER);
	memset(mad, '\n', sizeof(mad) - 1);
	mad[sizeof(mad) - 1] = '\0';
	gk_answer_text(5, mad, text);
	assert_int_equal(strlen(text), GK_ANSWER_MAX - 1);
	assert_int_equal(gk_answer_parse(text, strlen(text), 5, &failed), 0);
	assert_int_equal(strspn(failed, "?"), GK_ANSWER_MAX - 1 - strlen("5 failed "));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s", bad[i]);
		if (gk_answer_parse(text, strlen(text), 5, &failed) == 0)
			fail_msg("\"%s\" is taken for an answer", bad[i]);
	}
	memcpy(text, "5 ok\0", 5);
	assert_int_equal(gk_answer_parse(text, 5, 5, &failed), GK_ERR_VALUE);
	assert_int_equal(gk_answer_parse(text, GK_ANSWER_MAX, 5, &failed), GK_ERR_VALUE);
}

/* Another gatekeeper-pci. What it says when it is asked, after that number and `more`. */
static int asked_of(unsigned more, const char *says, unsigned sleep_ms, unsigned ms, char why[64])
{
	struct gk_order o = { .ms = ms, .what = GK_ORDER_PAUSE, .domid = 3 };
	char text[GK_ORDER_MAX], answer[2 * GK_ANSWER_MAX];
	int fd[2], ret, status;
	unsigned number;
	pid_t pid;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fd[0]);
		n = recv(fd[1], text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (sscanf(text, "%u", &number) != 1)
			_exit(1);
		gk_run_sleep_ms(sleep_ms);
		if (says != NULL) {
			(void)snprintf(answer, sizeof(answer), "%u%s", number + more, says);
			(void)send(fd[1], answer, strlen(answer), MSG_NOSIGNAL);
			(void)recv(fd[1], text, sizeof(text), 0);
		}
		_exit(0);
	}
	(void)close(fd[1]);
	ret = gk_helper_ask(fd[0], &o, why, 64);
	(void)close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return ret;
}

static void asking(void **state)
{
	char mad[GK_ANSWER_MAX + 2] = " failed ", why[64] = "";
	struct gk_order o = { .ms = 1000, .what = GK_ORDER_PAUSE, .domid = 3 };
	uint64_t begin;
	int fd[2];

	(void)state;
	assert_int_equal(asked_of(0, " ok", 0, 1000, why), 0);
	assert_int_equal(asked_of(0, " failed -3 not at all", 0, 1000, why), GK_ERR_SYSTEM);
	assert_string_equal(why, "-3 not at all");
	assert_int_equal(asked_of(0, NULL, 0, 1000, why), GK_ERR_CLOSED);
	assert_int_equal(asked_of(0, NULL, 150, 100, why), GK_ERR_TIMEOUT);
	assert_int_equal(asked_of(1, " ok", 0, 1000, why), GK_ERR_ORDER);
	assert_int_equal(asked_of(0, " what?", 0, 1000, why), GK_ERR_ORDER);
	memset(mad + strlen(mad), 'x', sizeof(mad) - 1 - strlen(mad));
	assert_int_equal(asked_of(0, mad, 0, 1000, why), GK_ERR_ORDER);
	begin = gk_run_now_ms();
	assert_int_equal(asked_of(0, " ok", 100 + GK_HELPER_GRACE_MS + 300, 100, why),
			 GK_ERR_ORDER);
	assert_true(gk_run_now_ms() - begin >= 100 + GK_HELPER_GRACE_MS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	(void)close(fd[1]);
	assert_int_equal(gk_helper_ask(fd[0], &o, why, sizeof(why)), GK_ERR_CLOSED);
	o.domid = 0;
	assert_int_equal(gk_helper_ask(fd[0], &o, why, sizeof(why)), GK_ERR_VALUE);
	(void)close(fd[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders), cmocka_unit_test(answers),
		cmocka_unit_test(asking),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
