/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unlocker's end of one security key: its socket is connected to, and
 * gatekeeper-key started on the connection. What comes back was checked
 * (key_msg.h); a process that says what it must not, or is late, is killed.
 */
#ifndef GK_LUKS_KEY_H
#define GK_LUKS_KEY_H

#include <sys/types.h>

#include "dom0/loop.h"
#include "luks/key_msg.h"

enum {
	/* Sockets in one directory, and ended processes that have not gone yet. */
	GK_KEYS = 8,
	GK_KEY_LINKS = 2 * GK_KEYS,
	/* What an exchange may take that waits for nobody. */
	GK_KEY_FAST_MS = 5000,
	/* One wait for a touch. Keys give up by themselves after 30 s or so. */
	GK_KEY_TOUCH_MS = 60000,
	/* More than the exchange itself, before the process is killed. */
	GK_KEY_LATE_MS = 2000,
	/* To tell the key that nobody waits any more. */
	GK_KEY_CANCEL_MS = 1000,
};

/* Where gatekeeper-key is; for tests. */
extern const char *gk_key_program;

struct gk_key_link;

struct gk_key_events {
	/* A reply that was checked. After DONE the next request may be sent. */
	void (*reply)(void *ctx, const struct gk_key_reply *r);
	/* The link is closed already; why is English, for the log. */
	void (*gone)(void *ctx, const char *why);
	void *ctx;
};

/*
 * gk_key_open: connects to the socket and starts gatekeeper-key. GK_ERR_CLOSED:
 * nobody listens there (yet); GK_ERR_LIMIT, GK_ERR_SYSTEM.
 */
int gk_key_open(struct gk_loop *l, const char *socket, const struct gk_key_events *ev,
		struct gk_key_link **out) GK_MUST_CHECK;

/* gk_key_send: one request at a time. seq is filled in; the caller wipes r. */
int gk_key_send(struct gk_key_link *k, struct gk_key_request *r) GK_MUST_CHECK;

int gk_key_is_busy(const struct gk_key_link *k);

/* gk_key_close: ends an exchange with CTAPHID_CANCEL; the process has
 * GK_KEY_CANCEL_MS for that, then it is killed. No event follows. */
void gk_key_close(struct gk_key_link *k);

#endif
