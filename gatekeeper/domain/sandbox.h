/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker's jail, entered before it touches its device. */
#ifndef GK_DOMAIN_SANDBOX_H
#define GK_DOMAIN_SANDBOX_H

#include <sys/types.h>

#include "core/error.h"

/*
 * gk_sandbox_enter: gives up, in this order, every fd above `keep_fd`, other
 * processes' namespaces, the file system (the root is an empty directory), the
 * right to gain rights, resources, uid 0 and with it all capabilities. GK_OK,
 * or GK_ERR_SYSTEM: then the caller must end, it is half in.
 */
int gk_sandbox_enter(int keep_fd, uid_t uid) GK_MUST_CHECK;

#endif
