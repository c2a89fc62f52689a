/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gk-filter LIST: prints a list of allowed system calls as a BPF program, for
 * #include in C. Runs at build time only, so that libseccomp is neither in the
 * gate's image nor in dom0's initramfs, and nothing can go wrong with it there.
 *
 * A list is a *.seccomp.h file of these lines:
 *   GK_ALLOW(name)                          any arguments
 *   GK_ALLOW_ARG(name, n, value)            argument n equals value
 *   GK_ALLOW_ARG2(name, n, v, m, w)         and argument m equals w
 *   GK_ALLOW_MASK(name, n, mask, value)     argument n & mask equals value
 *   GK_ALLOW_MASK2(name, n, k, v, m, l, w)  and argument m & l equals w
 */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the lists name. */
#include <linux/futex.h>
#include <linux/usbdevice_fs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>

#include "domain/worker_fd.h"

enum { PROGRAM_MAX = 4096 };	/* BPF_MAXINSNS */

#define MASKED(n, mask, value) \
	SCMP_CMP(n, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value))
#define EQUAL(n, value) SCMP_CMP(n, SCMP_CMP_EQ, (scmp_datum_t)(value))

#define RULE(name, ...)							\
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(name), __VA_ARGS__) < 0) \
		return #name;
#define GK_ALLOW(name)			RULE(name, 0)
#define GK_ALLOW_ARG(name, n, v)	RULE(name, 1, EQUAL(n, v))
#define GK_ALLOW_ARG2(name, n, v, m, w)	RULE(name, 2, EQUAL(n, v), EQUAL(m, w))
#define GK_ALLOW_MASK(name, n, k, v)	RULE(name, 1, MASKED(n, k, v))
#define GK_ALLOW_MASK2(name, n, k, v, m, l, w) \
	RULE(name, 2, MASKED(n, k, v), MASKED(m, l, w))

/* Each adds its rules, or returns the name of the one that cannot be added. */
static const char *worker(scmp_filter_ctx ctx)
{
#include "domain/worker.seccomp.h"
	return NULL;
}

static const char *supervisor(scmp_filter_ctx ctx)
{
#include "domain/supervisor.seccomp.h"
	return NULL;
}

static const char *agent(scmp_filter_ctx ctx)
{
#include "handoff/agent/agent.seccomp.h"
	return NULL;
}

static const char *link_reader(scmp_filter_ctx ctx)
{
#include "dom0/link_reader.seccomp.h"
	return NULL;
}

static const char *input_reader(scmp_filter_ctx ctx)
{
#include "dom0/input_reader.seccomp.h"
	return NULL;
}

static const char *key_child(scmp_filter_ctx ctx)
{
#include "luks/key_child.seccomp.h"
	return NULL;
}

static const struct list {
	const char *name;
	uint32_t otherwise;
	const char *(*rules)(scmp_filter_ctx ctx);
} lists[] = {
	{ "worker", SCMP_ACT_KILL_PROCESS, worker },
	{ "supervisor", SCMP_ACT_ERRNO(EPERM), supervisor },
	{ "agent", SCMP_ACT_ERRNO(EPERM), agent },
	{ "link_reader", SCMP_ACT_KILL_PROCESS, link_reader },
	{ "input_reader", SCMP_ACT_KILL_PROCESS, input_reader },
	{ "key_child", SCMP_ACT_KILL_PROCESS, key_child },
};

static int print(const struct list *l, scmp_filter_ctx ctx)
{
	static struct sock_filter prog[PROGRAM_MAX];
	FILE *tmp = tmpfile();
	ssize_t n;

	if (!tmp || seccomp_export_bpf(ctx, fileno(tmp)) < 0)
		return -1;
	n = pread(fileno(tmp), prog, sizeof(prog), 0);
	fclose(tmp);
	if (n <= 0 || n == (ssize_t)sizeof(prog) || n % (ssize_t)sizeof(prog[0]))
		return -1;
	printf("/* Made by gk-filter from %s.seccomp.h. */\n", l->name);
	printf("static const struct sock_filter gk_%s_filter[] = {\n", l->name);
	for (size_t i = 0; i < (size_t)n / sizeof(prog[0]); i++)
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", prog[i].code, prog[i].jt,
		       prog[i].jf, prog[i].k);
	printf("};\n");
	return fflush(stdout);
}

static int make(const struct list *l)
{
	scmp_filter_ctx ctx = seccomp_init(l->otherwise);
	const char *bad = "seccomp_init";
	int ret = -1;

	/* Another architecture's numbers (x32, i386) kill, whatever the list. */
	if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
				     SCMP_ACT_KILL_PROCESS) < 0)
		goto out;
	bad = l->rules(ctx);
	if (!bad)
		ret = print(l, ctx);
	if (ret < 0 && !bad)
		bad = "the program";
out:
	if (ret < 0)
		fprintf(stderr, "gk-filter: %s: %s\n", l->name, bad);
	seccomp_release(ctx);
	return ret;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(argv[1], lists[i].name) == 0)
			return make(&lists[i]) < 0;
	fprintf(stderr, "usage: gk-filter worker|supervisor|agent|link_reader|"
		"input_reader|key_child\n");
	return 2;
}
