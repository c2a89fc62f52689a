/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one sequence in which the link reader drops everything, in order:
 * empty root, groups, ids, capabilities, parent-death signal, no_new_privs,
 * limits, system calls. What it keeps: two sockets, stderr, and the event
 * channel and ring of one vchan.
 */
#ifndef GK_DOM0_LINK_SANDBOX_H
#define GK_DOM0_LINK_SANDBOX_H

#include "core/error.h"

/*
 * gk_link_sandbox: not root (tests): ids and root stay, the rest is done all
 * the same. On an error *step names what failed and the caller exits: there
 * is no running half dropped.
 */
int gk_link_sandbox(const char *const empty_dirs[], const char **step)
	GK_MUST_CHECK;

#endif
