/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * truth.c and leftover.c with the real libxenstore: a thread of this program is
 * xenstored, as far as the requests go that are made here (Xen's docs/misc/xenstore.txt, io/xs_wire.h).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include <cmocka.h>

#include "handoff/leftover.h"
#include "handoff/truth.h"

#define BACKEND "/local/domain/0/backend/pci"
#define MARK "/libxl/pci/0000-00-14-0/domid"

static struct node {
	char path[80], value[32];
} nodes[] = {
	{ "/local/domain/0/name", "Domain-0" },
	{ BACKEND "/5/0/num_devs", "2" },
	{ BACKEND "/5/0/dev-0", "0000:00:14.0" },
	{ BACKEND "/5/0/vdev-0", "0000:00:01.00" },
	{ BACKEND "/5/0/dev-1", "0000:03:00.0" },
	{ BACKEND "/5/0/vdev-1", "0000:00:02.00" },
	{ BACKEND "/8/0/num_devs", "1" },	/* of one that has gone */
	{ BACKEND "/8/0/dev-0", "0000:04:00.0" },
	{ BACKEND "/10/0/num_devs", "2" },	/* and of another */
	{ BACKEND "/10/0/dev-0", "0000:04:00.0" },
	{ BACKEND "/10/0/dev-1", "0000:06:00.0" },
	/* A guest, 12, whose device model runs in domain 11. */
	{ BACKEND "/11/0/num_devs", "1" },
	{ BACKEND "/11/0/dev-0", "0000:05:00.0" },
	{ BACKEND "/12/0/num_devs", "1" },
	{ BACKEND "/12/0/dev-0", "0000:05:00.0" },
	{ "/local/domain/5/name", "gatekeeper-gate" },
	{ "/local/domain/7/name", "sys-usb" },
	{ "/local/domain/7/data/gatekeeper/event-channel", "11" },
	{ "/local/domain/9/name", "other" },
	{ "/local/domain/11/target", "12" },
	{ "/local/domain/12/name", "hvm" },
	{ MARK, "7" },
	{ "/libxl/pci/0000-00-14-0/driver_path", "x" },
	{ "/libxl/pci/0000-03-00-0/driver_path", "y" },
};

static char dir[] = "/tmp/gk-truth-XXXXXX", path_of[64];
static int server = -1;
/* What was asked, and of how many connections. */
static char asked[8192];
static int connections, hang_up;

static const char *read_of(const char *path)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (strcmp(nodes[i].path, path) == 0)
			return nodes[i].value;
	return NULL;
}

static int is_below(const char *path, size_t i)
{
	size_t len = strlen(path);

	return strncmp(nodes[i].path, path, len) == 0 && nodes[i].path[len] == '/';
}

static size_t children(const char *path, char *out, size_t cap)
{
	size_t used = 0, len = strlen(path);
	char last[80] = "";

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		const char *rest = nodes[i].path + len;
		char name[80];

		if (strncmp(nodes[i].path, path, len) != 0 || *rest != '/')
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(rest + 1, "/"),
			       rest + 1);
		if (strcmp(name, last) == 0)
			continue;
		strcpy(last, name);
		used += (size_t)snprintf(out + used, cap - used, "%s", name) + 1;
	}
	return used;
}

static void answer(int fd, struct xsd_sockmsg *m, char *path)
{
	char out[1024];
	const char *value = NULL;
	size_t len = 0;

	(void)snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%u %s\n",
		       m->type, path);
	switch (m->type) {
	case XS_READ:
		value = read_of(path);
		len = value ? strlen(value) : 0;
		break;
	case XS_DIRECTORY:
		len = children(path, out, sizeof(out));
		value = len ? out : NULL;
		break;
	case XS_IS_DOMAIN_INTRODUCED:
		value = strcmp(path, "8") == 0 || strcmp(path, "10") == 0 ? "F" : "T";
		len = 2;
		break;
	case XS_TRANSACTION_START:
		value = "1";
		len = 2;
		break;
	case XS_RM:
		for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
			if (strcmp(nodes[i].path, path) == 0 || is_below(path, i))
				nodes[i].path[0] = '\0';
		value = "OK";
		len = 3;
		break;
	default:
		value = "OK";
		len = 3;
		break;
	}
	if (!value) {
		m->type = XS_ERROR;
		value = "ENOENT";
		len = 7;
	}
	m->len = (uint32_t)len;
	memmove(out, value, len);
	(void)!write(fd, m, sizeof(*m));
	(void)!write(fd, out, len);
}

static void *serves(void *arg)
{
	struct xsd_sockmsg m;
	int fd = (int)(intptr_t)arg;
	char path[256];

	while (!hang_up && recv(fd, &m, sizeof(m), MSG_WAITALL) == sizeof(m) &&
	       m.len < sizeof(path) &&
	       recv(fd, path, m.len, MSG_WAITALL) == (ssize_t)m.len) {
		path[m.len] = '\0';
		answer(fd, &m, path);
	}
	close(fd);
	return NULL;
}

static void *listens(void *arg)
{
	pthread_t thread;
	int fd;

	(void)arg;
	while ((fd = accept(server, NULL, NULL)) >= 0) {
		connections++;
		if (pthread_create(&thread, NULL, serves, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static int begin(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	pthread_t thread;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path_of, sizeof(path_of), "%s/socket", dir);
	strcpy(a.sun_path, path_of);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(server, 4), 0);
	assert_int_equal(setenv("XENSTORED_PATH", path_of, 1), 0);
	return pthread_create(&thread, NULL, listens, NULL);
}

static int end(void **state)
{
	(void)state;
	(void)unlink(path_of);
	return rmdir(dir);
}

static struct gk_truth t;

static void all(void **state)
{
	(void)state;
	assert_int_equal(gk_truth_read("", &t), 0);
	assert_int_equal(t.domains, 5);
	assert_int_equal(gk_truth_domid(&t, "other"), 9);
	assert_int_equal(gk_truth_agent(&t, 7), 1);
	assert_int_equal(gk_truth_agent(&t, 5), 0);
	assert_int_equal(gk_truth_owner(&t, "0000:03:00.0"), 5);
	assert_int_equal(gk_truth_owner(&t, "0000:04:00.0"), -1);
	assert_int_equal(gk_truth_owner(&t, "0000:05:00.0"), 12);
	assert_string_equal(gk_truth_vdev(&t, "0000:00:14.0"), "0000:00:01.00");
	/* "driver_path" alone is of a device that xl took from its driver. */
	assert_int_equal(gk_truth_marked(&t, "0000:00:14.0"), 7);
	assert_int_equal(gk_truth_marked(&t, "0000:03:00.0"), -1);
}

/* In a handoff: one connection, and not a word of who has nothing to do with it. */
static void owners(void **state)
{
	(void)state;
	asked[0] = '\0';
	for (int i = 0; i < 10; i++)
		assert_int_equal(gk_truth_owners("", 7, &t), 0);
	assert_int_equal(connections, 1);
	assert_int_equal(t.answered, 1);
	assert_int_equal(gk_truth_owner(&t, "0000:03:00.0"), 5);
	assert_string_equal(gk_truth_vdev(&t, "0000:03:00.0"), "0000:00:02.00");
	assert_string_equal(gk_truth_name(&t, 5), "gatekeeper-gate");
	assert_string_equal(gk_truth_name(&t, 7), "sys-usb");
	assert_string_equal(gk_truth_name(&t, 9), "");
	assert_int_equal(gk_truth_owner(&t, "0000:05:00.0"), 12);
	assert_string_equal(gk_truth_name(&t, 12), "hvm");
	assert_null(strstr(asked, "/local/domain/9"));
	assert_null(strstr(asked, "event-channel"));
	assert_null(strstr(asked, "/libxl"));
}

static void unmark(void **state)
{
	int before = connections;

	(void)state;
	assert_int_equal(gk_leftover_unmark("", "0000:00:14.0", 5), 0);
	assert_string_equal(read_of(MARK), "7");
	assert_int_equal(gk_leftover_unmark("", "0000:00:14.0", 7), 0);
	assert_null(read_of(MARK));
	assert_int_equal(gk_truth_read("", &t), 0);
	assert_int_equal(gk_truth_marked(&t, "0000:00:14.0"), -1);
	/* It has one of its own, each time. */
	assert_int_equal(connections, before + 2);
}

static void sweep(void **state)
{
	static const char other[][GK_TRUTH_BDF] = { "0000:00:14.0", "0000:03:00.0" };
	static const char both[][GK_TRUTH_BDF] = { "0000:03:00.0", "0000:04:00.0" };

	(void)state;
	/* Not of those that are there, and not what had others, too. */
	assert_int_equal(gk_leftover_sweep("", other, 2), 0);
	assert_non_null(read_of(BACKEND "/8/0/dev-0"));
	assert_int_equal(gk_leftover_sweep("", both, 2), 1);
	assert_null(read_of(BACKEND "/8/0/dev-0"));
	assert_null(read_of(BACKEND "/8/0/num_devs"));
	assert_non_null(read_of(BACKEND "/10/0/dev-0"));
	assert_non_null(read_of(BACKEND "/5/0/dev-1"));
	assert_int_equal(gk_leftover_sweep("", both, 2), 0);
}

/* A child has a connection of its own, and its parent's goes on. */
static void forked(void **state)
{
	int status = -1, before = connections;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(gk_truth_owners("", -1, &t) != 0 || t.owned != 4);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(connections, before + 1);
	assert_int_equal(gk_truth_owners("", -1, &t), 0);
	assert_int_equal(connections, before + 1);
}

/* An end of xenstored is not "nobody has anything"; the next finds the new one. */
static void gone(void **state)
{
	(void)state;
	hang_up = 1;
	/* The answer to the one that waits still comes. */
	(void)!gk_truth_owners("", -1, &t);
	assert_int_equal(gk_truth_owners("", -1, &t), GK_ERR_SYSTEM);
	assert_int_equal(t.answered, 0);
	hang_up = 0;
	assert_int_equal(gk_truth_owners("", -1, &t), 0);
	assert_int_equal(t.owned, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all), cmocka_unit_test(owners),
		cmocka_unit_test(unmark), cmocka_unit_test(sweep),
		cmocka_unit_test(forked),
		cmocka_unit_test(gone),
	};

	alarm(30);
	return cmocka_run_group_tests_name("truth", tests, begin, end);
}
