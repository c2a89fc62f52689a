/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>

#include "dom0/link_sandbox.h"

enum { GK_NOBODY = 65534 };

static int enter_empty_root(const char *const dirs[])
{
	for (size_t i = 0; dirs[i]; i++) {
		struct stat st;

		if (lstat(dirs[i], &st) < 0)
			continue;
		/* A root that others may write to is worse than none. */
		if (!S_ISDIR(st.st_mode) || st.st_uid != 0 ||
		    (st.st_mode & (S_IWGRP | S_IWOTH)))
			continue;
		if (chroot(dirs[i]) == 0 && chdir("/") == 0)
			return 0;
		return -1;
	}
	/* No such directory: the system calls below still keep it in. */
	return 0;
}

/* The permitted set stays when only the real uid is 0: empty all three. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return (int)syscall(SYS_capset, &head, none);
}

static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return 0;
}

/*
 * The real uid stays 0, for one reason: at the switch to the real root systemd
 * kills every process whose real uid is not 0, whatever its name begins with
 * (ignore_proc() in its killall.c), and a keyboard must not fall silent then.
 * It gives nothing: what the process may do goes by the effective uid and the
 * capabilities, which are gone; the way back to uid 0 is a system call that the
 * filter does not have, and even uid 0 would come without a capability.
 */
static int drop_ids(void)
{
	if (setgroups(0, NULL) < 0 ||
	    setresgid(GK_NOBODY, GK_NOBODY, GK_NOBODY) < 0 ||
	    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
		  SECBIT_NO_CAP_AMBIENT_RAISE |
		  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, 0, 0, 0) < 0 ||
	    setresuid(0, GK_NOBODY, GK_NOBODY) < 0)
		return -1;
	return drop_capabilities();
}

static int limit(void)
{
	static const struct {
		__rlimit_resource_t what;
		rlim_t max;
	} limits[] = {
		/* poll() refuses more entries than this; none can be opened. */
		{ RLIMIT_NOFILE, 8 },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_AS, 64 << 20 },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit r = { limits[i].max, limits[i].max };

		if (setrlimit(limits[i].what, &r) < 0)
			return -1;
	}
	return 0;
}

static int filter_syscalls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret = -1;

	if (!ctx)
		return -1;
#define GK_ALLOW(name)							\
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(name), 0) < 0) \
		goto out;
#define GK_ALLOW_ARG(name, n, value)					\
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(name), 1,	\
			     SCMP_CMP(n, SCMP_CMP_EQ,			\
				      (scmp_datum_t)(value))) < 0)	\
		goto out;
#include "dom0/link_reader.seccomp.h"
#undef GK_ALLOW
#undef GK_ALLOW_ARG
	if (seccomp_load(ctx) < 0)
		goto out;
	ret = 0;
out:
	seccomp_release(ctx);
	return ret;
}

int gk_link_sandbox(const char *const empty_dirs[], const char **step)
{
	int root = geteuid() == 0;

	*step = "chroot";
	if (root && enter_empty_root(empty_dirs) < 0)
		return GK_ERR_SYSTEM;
	*step = "capability bounding set";
	if (root && drop_bounding_set() < 0)
		return GK_ERR_SYSTEM;
	*step = "uid and gid";
	if (root && drop_ids() < 0)
		return GK_ERR_SYSTEM;
	/* Only now: a change of ids clears it (prctl(2)). */
	*step = "parent-death signal";
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	*step = "dumpable";
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	*step = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	*step = "resource limits";
	if (limit() < 0)
		return GK_ERR_SYSTEM;
	*step = "seccomp";
	if (filter_syscalls() < 0)
		return GK_ERR_SYSTEM;
	return 0;
}
