/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process that asks for all volumes (`--serve`), so that several units that
 * want to open one each do not ask one over the other, and one touch opens all
 * that it can. A request is one packet of three words, each with its NUL: volume,
 * device, options; the answer is one packet, struct gk_unlock_how.
 */
#ifndef GK_LUKS_SERVE_H
#define GK_LUKS_SERVE_H

#include "luks/unlock.h"

enum { GK_SERVE_REQUEST = GK_VOLUME_NAME + GK_VOLUME_PATH + 1024 };

/* gk_serve: until SIGTERM. An exit status. */
int gk_serve(struct gk_loop *l, struct gk_unlock *u, const char *socket, int test_only);

/*
 * gk_serve_ask: asks the process that serves. GK_ERR_CLOSED: there is none, or it
 * went away. Waits as long as that takes, which is bounded there.
 */
int gk_serve_ask(const char *socket, const char *volume, const char *device,
		 const char *options, struct gk_unlock_how *how) GK_MUST_CHECK;

#endif
