/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's own jail, and how it starts what is jailed further. */
#ifndef GK_DOMAIN_REDUCE_H
#define GK_DOMAIN_REDUCE_H

#include <sys/types.h>

#include "core/error.h"

struct sock_filter;

/*
 * gk_reduce_supervisor: to be called once everything is open (vchan, uevents,
 * signals, /dev/kmsg) and before the first device is looked at. What is left:
 * the capabilities that starting a worker needs, and the system calls that the
 * filter allows. GK_OK, or GK_ERR_SYSTEM: then the caller must end.
 */
int gk_reduce_supervisor(const struct sock_filter *filter, size_t n) GK_MUST_CHECK;

/*
 * gk_fork_apart: fork() into a PID namespace of its own, where the child is
 * process 1, sees nobody else, and takes all that it starts with it. The pid is
 * the caller's view. For a program with one thread; the child should exec.
 */
pid_t gk_fork_apart(void);

/* gk_child_end: a child's end in words, from waitpid(2)'s status; NULL if it
 * was no signal. SIGSYS is the filter: it asked for what it may not have. */
const char *gk_child_end(int status);

#endif
