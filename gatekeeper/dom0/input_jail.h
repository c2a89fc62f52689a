/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one sequence in which gatekeeper-input-proxy drops everything, in order: empty
 * root, capabilities, ids, parent-death signal, no_new_privs, limits, system calls.
 * What it keeps: the sender's stream (fd 0 and 1), stderr, and one socket to
 * gatekeeperd (fd 3).
 */
#ifndef GK_DOM0_INPUT_JAIL_H
#define GK_DOM0_INPUT_JAIL_H

#include "core/error.h"

/*
 * gk_input_jail: not root (tests): ids and root stay, the rest is done all the same.
 * On an error *step names what failed and the caller exits: there is no running half
 * dropped.
 */
int gk_input_jail(const char **step) GK_MUST_CHECK;

#endif
