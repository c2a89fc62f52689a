/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The byte stream to dom0 under link_server.c: vchan (link_vchan.c). The
 * conformance test links a UNIX socket in its place (tests/conformance/), so
 * that it runs the very supervisor that the gate does. There is one in a
 * process. Nothing here blocks.
 */
#ifndef GK_DOMAIN_LINK_STREAM_H
#define GK_DOMAIN_LINK_STREAM_H

#include <stddef.h>

#include "core/error.h"

enum {
	/* Both rings in the one shared page: sizes that libxenvchan calls small. */
	GK_RING_FROM_DOM0 = 1024,
	GK_RING_TO_DOM0 = 2048,
};

/* gk_stream_open: waits for clients from now on. GK_OK or GK_ERR_SYSTEM. */
int gk_stream_open(void) GK_MUST_CHECK;

/* gk_stream_fd: readable when there is something to do. */
int gk_stream_fd(void);

/* gk_stream_wake: call when the fd is readable, before anything else. Returns
 * 1 while a client is there, 0 when it has gone. */
int gk_stream_wake(void) GK_MUST_CHECK;

/* gk_stream_read: at most len bytes; how many, 0: none now, negative: broken. */
int gk_stream_read(void *buf, size_t len) GK_MUST_CHECK;

/* gk_stream_send: all of it (len), or nothing when there is no room (0);
 * negative: broken. */
int gk_stream_send(const void *buf, size_t len) GK_MUST_CHECK;

/* gk_stream_close: the client hears of it; no other function may follow. */
void gk_stream_close(void);

#endif
