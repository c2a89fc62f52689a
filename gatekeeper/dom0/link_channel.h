/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The byte stream to the gate, as the link reader sees it: vchan in reality,
 * a stream socket in the tests, so that they run the very program that is
 * installed. Nothing here ever blocks; poll() on gk_channel_fd() does that.
 */
#ifndef GK_DOM0_LINK_CHANNEL_H
#define GK_DOM0_LINK_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/link.h"

struct libxenvchan;

struct gk_channel {
	struct libxenvchan *vchan;	/* NULL: sock is used */
	int sock;
	/* The rest of a frame that the socket took only in part. */
	uint8_t rest[GK_LINK_FRAME_MAX];
	size_t rest_len;
};

/* gk_channel_socket: over a connected stream socket, which stays the
 * caller's. */
int gk_channel_socket(struct gk_channel *c, int sock) GK_MUST_CHECK;

/*
 * gk_channel_vchan: waits until the gate has its vchan server up, at most
 * timeout_ms, and connects. Talks to xenstored, which may hang: the caller
 * sets an alarm. GK_ERR_TIMEOUT, GK_ERR_SYSTEM.
 */
int gk_channel_vchan(struct gk_channel *c, unsigned domid,
		     unsigned timeout_ms) GK_MUST_CHECK;

int gk_channel_fd(const struct gk_channel *c);

/* gk_channel_events: what to poll for: POLLIN, for a socket with an unsent
 * rest POLLOUT too. */
short gk_channel_events(const struct gk_channel *c);

/* gk_channel_ack: to be called when the fd was readable, before reading. */
int gk_channel_ack(struct gk_channel *c) GK_MUST_CHECK;

/* gk_channel_read: up to len bytes into buf, out of the shared memory; how
 * many, 0: none now, GK_ERR_CLOSED. */
int gk_channel_read(struct gk_channel *c, void *buf, size_t len) GK_MUST_CHECK;

/* gk_channel_send: the whole frame or nothing: 1 sent, 0 no space now,
 * GK_ERR_CLOSED. */
int gk_channel_send(struct gk_channel *c, const void *buf, size_t len)
	GK_MUST_CHECK;

#endif
