/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "jail/drop.h"

#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int gk_drop_bounding(uint64_t keep)
{
	/* The kernel says of each number whether it has such a capability. */
	for (unsigned long cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return GK_ERR_SYSTEM;
	return GK_OK;
}

int gk_drop_caps(uint64_t keep)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3] = { 0 };

	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		set[i].permitted = (uint32_t)(keep >> 32 * i);
		set[i].effective = set[i].permitted;
	}
	return syscall(SYS_capset, &head, set) < 0 ? GK_ERR_SYSTEM : GK_OK;
}

int gk_drop_limits(const struct gk_limit *limits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rlimit r = { limits[i].max, limits[i].max };

		if (setrlimit(limits[i].what, &r) < 0)
			return GK_ERR_SYSTEM;
	}
	return GK_OK;
}

int gk_drop_syscalls(const struct sock_filter *filter, size_t n)
{
	struct sock_fprog prog = { .filter = (struct sock_filter *)filter };

	if (n > USHRT_MAX)
		return GK_ERR_SYSTEM;
	prog.len = (unsigned short)n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		return GK_ERR_SYSTEM;
	return GK_OK;
}

int gk_drop_to_user(unsigned int id, const char **step)
{
	*step = "chroot";
	if (chdir("/proc/self/fdinfo") < 0 || chroot(".") < 0 || chdir("/") < 0)
		return GK_ERR_SYSTEM;
	*step = "capability bounding set";
	if (gk_drop_bounding(0) < 0)
		return GK_ERR_SYSTEM;
	*step = "uid and gid";
	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 ||
	    setresuid(id, id, id) < 0)
		return GK_ERR_SYSTEM;
	return gk_drop_caps(0);
}

int gk_drop_last(const struct gk_limit *limits, size_t limits_n,
		 const struct sock_filter *filter, size_t filter_n, const char **step)
{
	/* A change of ids clears the first two (prctl(2)). */
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
	if (gk_drop_limits(limits, limits_n) < 0)
		return GK_ERR_SYSTEM;
	*step = "seccomp";
	return gk_drop_syscalls(filter, filter_n);
}
