/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GK_DOMAIN_CHILD_H
#define GK_DOMAIN_CHILD_H

#include <sys/types.h>

/* gk_child_run: run(arg) in a child, for what may block for seconds; it ends with
 * status 0 if that returned 0, else 1. -1: no child. */
pid_t gk_child_run(int (*run)(const void *arg), const void *arg);

#endif
