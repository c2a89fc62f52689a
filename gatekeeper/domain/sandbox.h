/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker's jail, entered before it touches its device. */
#ifndef GK_DOMAIN_SANDBOX_H
#define GK_DOMAIN_SANDBOX_H

#include <sys/types.h>

#include "core/error.h"

/*
 * gk_sandbox_enter: gives up, in this order, every fd above `keep_fd`, other
 * processes' namespaces, the file system (its root is the working directory that it
 * was started in, which has to be an empty one), the
 * capabilities there could ever be, the CPU where the supervisor wants it,
 * resources, uid 0 and with it all capabilities, and the right to gain any.
 * GK_OK, or GK_ERR_SYSTEM: then the caller must end, it is half in.
 * The PID namespace is made by who starts the worker (gk_fork_apart).
 */
int gk_sandbox_enter(int keep_fd, uid_t uid) GK_MUST_CHECK;

/*
 * gk_sandbox_seal: from now on only the system calls of worker.seccomp.h; any
 * other ends the process with SIGSYS. To be called after libusb_init(), which
 * looks around, and before the first word with the device.
 */
int gk_sandbox_seal(void) GK_MUST_CHECK;

#endif
