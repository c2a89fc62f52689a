/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper-key: one process for one security key. What it is given at its
 * start: a socketpair to the unlocker (fd 3) and a connection to the key's socket
 * (fd 4). What it then gives up: everything else. key_jail.c.
 */
#ifndef GK_LUKS_KEY_CHILD_H
#define GK_LUKS_KEY_CHILD_H

#include "core/error.h"
#include "luks/key_msg.h"

/* gk_key_jail: the one sequence. Not root (tests): ids and root stay, the rest is
 * done. On an error *step says what failed, and the caller exits. */
int gk_key_jail(const char **step) GK_MUST_CHECK;

/* key_fido.c: libfido2 and the socket to the key. */

/* gk_fido_warm: everything that libfido2 and libcrypto load or open at first use,
 * before the jail is shut. */
int gk_fido_warm(void) GK_MUST_CHECK;

/*
 * gk_fido_answer: does what the request asks; fills err and what belongs to the
 * kind of request. touched: called at each keep-alive that says "user presence
 * needed" (CTAP 2.1 11.2.9.2.1 status 2).
 */
void gk_fido_answer(const struct gk_key_request *r, struct gk_key_reply *reply,
		    void (*touched)(void));

#endif
