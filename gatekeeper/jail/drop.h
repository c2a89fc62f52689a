/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every jail of the project gives up, in the gate and in dom0. Each
 * function but the last two is one system call or a loop of one; the order is the
 * caller's.
 */
#ifndef GK_JAIL_DROP_H
#define GK_JAIL_DROP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "core/error.h"

struct sock_filter;

struct gk_limit {
	__rlimit_resource_t what;
	rlim_t max;		/* soft and hard */
};

/* The bit of a capability in the sets below. */
#define GK_CAP(name)	((uint64_t)1 << (name))

/* gk_drop_bounding: leaves only `keep` in the bounding set. Needs CAP_SETPCAP
 * unless nothing has to go. */
int gk_drop_bounding(uint64_t keep) GK_MUST_CHECK;

/* gk_drop_caps: permitted and effective become `keep`, inheritable empty. */
int gk_drop_caps(uint64_t keep) GK_MUST_CHECK;

int gk_drop_limits(const struct gk_limit *limits, size_t n) GK_MUST_CHECK;

/*
 * gk_drop_syscalls: loads a filter made by gk-filter from a *.seccomp.h file.
 * no_new_privs must be set.
 */
int gk_drop_syscalls(const struct sock_filter *filter, size_t n) GK_MUST_CHECK;

/*
 * gk_drop_to_user: of root to this uid and gid, which no other process has, without
 * capabilities and groups, in an empty root: /proc/self/fdinfo, a directory that is
 * always there, in which nothing can be made and, seen by another user, nothing opened.
 * *step is what failed.
 */
int gk_drop_to_user(unsigned int id, const char **step) GK_MUST_CHECK;

/* gk_drop_last: what a process in dom0 does when its ids are changed: it dies with
 * its parent, leaves no core file, gains nothing by execve(2), has these limits and
 * these system calls. *step is what failed. */
int gk_drop_last(const struct gk_limit *limits, size_t limits_n,
		 const struct sock_filter *filter, size_t filter_n, const char **step)
	GK_MUST_CHECK;

#endif
