/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "link_server.h"

#include <string.h>

#include "link_stream.h"
#include "log.h"

enum {
	/*
	 * Frames handled in one go, so that nobody can keep us here. Far more
	 * than the ring holds: to stop earlier would be to sleep on data, as
	 * libxenvchan rings only for who has found the ring empty.
	 */
	FRAMES_A_TURN = 4096,
};

int gk_link_server_start(struct gk_link_server *s)
{
	memset(s, 0, sizeof(*s));
	return gk_stream_open();
}

int gk_link_server_fd(const struct gk_link_server *s)
{
	(void)s;
	return gk_stream_fd();
}

static void session_over(struct gk_link_server *s, const char *why)
{
	if (s->open)
		gk_kmsg(4, "link: %s", why);
	s->open = 0;
	s->count = 0;
	s->in_len = 0;
}

static void flush(struct gk_link_server *s)
{
	while (s->count) {
		unsigned i = s->head;
		/* All or nothing, so a reader that restarts finds whole frames. */
		int n = gk_stream_send(s->queue[i], s->queue_len[i]);

		if (n < 0)
			session_over(s, "cannot send");
		if (n <= 0)
			return;
		s->head = (s->head + 1) % GK_LINK_QUEUE;
		s->count--;
	}
}

void gk_link_server_reset(struct gk_link_server *s)
{
	s->count = 0;
	s->head = 0;
	s->open = 1;
}

void gk_link_server_send(struct gk_link_server *s, const struct gk_frame *f)
{
	unsigned i;
	int n;

	if (!s->open)
		return;
	if (s->count == GK_LINK_QUEUE) {
		session_over(s, "dom0 does not read");
		return;
	}
	i = (s->head + s->count) % GK_LINK_QUEUE;
	n = gk_link_encode(f, GK_SIDE_GATE, s->queue[i], GK_LINK_FRAME_MAX);
	if (n < 0) {
		gk_kmsg(3, "link: not sent: %s", gk_strerror(n));
		return;
	}
	s->queue_len[i] = (uint8_t)n;
	s->count++;
	flush(s);
}

unsigned gk_link_server_waiting(const struct gk_link_server *s, uint32_t device)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->count && i < GK_LINK_QUEUE; i++) {
		const uint8_t *q = s->queue[(s->head + i) % GK_LINK_QUEUE];

		/* The device id of a header, gatekeeper-link(7). */
		n += ((uint32_t)q[4] | (uint32_t)q[5] << 8 | (uint32_t)q[6] << 16 |
		      (uint32_t)q[7] << 24) == device;
	}
	return n;
}

/* Fills s->in up to `want` bytes; 1 when they are there. */
static int fill(struct gk_link_server *s, unsigned want)
{
	int n;

	if (s->in_len >= want)
		return 1;
	n = gk_stream_read(s->in + s->in_len, want - s->in_len);
	if (n > 0)
		s->in_len += (unsigned)n;
	return s->in_len >= want;
}

/* 1: *f is a frame; 0: no whole frame there; negative: broken. */
static int next_frame(struct gk_link_server *s, struct gk_frame *f)
{
	int total, err;

	if (!fill(s, GK_LINK_HEADER))
		return 0;
	total = gk_link_peek(s->in, s->in_len);
	if (total < 0)
		return total;
	if (!fill(s, (unsigned)total))
		return 0;
	s->in_len = 0;
	err = gk_link_decode(s->in, (size_t)total, GK_SIDE_DOM0, f);
	return err < 0 ? err : 1;
}

/*
 * A frame that cannot be read loses the place in the stream: throw away what
 * has arrived. A client that starts anew speaks after that.
 */
static void drain(void)
{
	uint8_t sink[256];

	for (int i = 0; i < GK_RING_FROM_DOM0 / 16; i++)
		if (gk_stream_read(sink, sizeof(sink)) <= 0)
			break;
}

void gk_link_server_service(struct gk_link_server *s,
			    int (*handle)(const struct gk_frame *f))
{
	struct gk_frame f;
	int r = 0;

	if (!gk_stream_wake())
		session_over(s, "dom0 has closed it");
	flush(s);
	for (int i = 0; i < FRAMES_A_TURN; i++) {
		r = next_frame(s, &f);
		if (r <= 0)
			break;
		r = handle(&f);
		if (r < 0)
			break;
	}
	if (r < 0) {
		session_over(s, gk_strerror(r));
		drain();
	}
}
