/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate's end of the link: its send queue and its framing, over the vchan
 * server of link_stream.h.
 * It keeps no device state. One client (dom0's link reader) at a time; a client
 * may go and another come, which then says HELLO.
 */
#ifndef GK_DOMAIN_LINK_SERVER_H
#define GK_DOMAIN_LINK_SERVER_H

#include <stdint.h>

#include "core/link.h"

enum {
	/*
	 * Frames waiting for dom0. dom0 reads within microseconds; a queue this
	 * long means that it does not read at all.
	 */
	GK_LINK_QUEUE = 512,
};

struct gk_link_server {
	int open;		/* dom0 said HELLO, and is still there */
	uint8_t in[GK_LINK_FRAME_MAX];	/* a frame not yet complete */
	unsigned in_len;
	unsigned head, count;	/* ring of queued frames */
	uint8_t queue_len[GK_LINK_QUEUE];
	uint8_t queue[GK_LINK_QUEUE][GK_LINK_FRAME_MAX];
};

/* gk_link_server_start: publishes the ring in xenstore under
 * data/gatekeeper, readable by dom0 alone. GK_OK or GK_ERR_SYSTEM. */
int gk_link_server_start(struct gk_link_server *s) GK_MUST_CHECK;

/* gk_link_server_fd: readable when gk_link_server_service() has work. */
int gk_link_server_fd(const struct gk_link_server *s);

/*
 * gk_link_server_service: call when the fd is readable. Sends what is queued,
 * then hands each complete frame to `handle` (which may send). A frame that
 * breaks the rules, or that `handle` returns an error for, ends the session until
 * the next HELLO.
 */
void gk_link_server_service(struct gk_link_server *s,
			    int (*handle)(const struct gk_frame *f));

/*
 * gk_link_server_send: queues a frame and sends what fits, never blocks.
 * Without a session it is dropped (a new session is told everything anew). If
 * the queue is full the session is over: silence is noticed in dom0 and the
 * keys go up there, a lost key-up would not be.
 */
void gk_link_server_send(struct gk_link_server *s, const struct gk_frame *f);

/* gk_link_server_waiting: frames of one device in the queue. One device must not
 * be able to fill it: that would end the session for all. */
unsigned gk_link_server_waiting(const struct gk_link_server *s, uint32_t device);

/* gk_link_server_reset: drops what is queued and opens the session. */
void gk_link_server_reset(struct gk_link_server *s);

#endif
