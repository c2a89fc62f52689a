/* SPDX-License-Identifier: GPL-2.0-or-later */
#define OPENSSL_SUPPRESS_DEPRECATED	/* as in domain/digest.c, and for the same size */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/link_status.h"
#include "dom0/log.h"

enum {
	BATCH = 128,
	/* The reader takes eight parts, and waits for room in the ring. */
	ROOM_MS = 5,
	/* dom0's tokens of this link; those of its reader count up from 1. */
	TOKEN_BIT = 62,
};

static const uint64_t token = UINT64_C(1) << TOKEN_BIT;

static void forget(struct gk_daemon *d)
{
	struct gk_agent *a = &d->agent;

	if (a->fd >= 0) {
		gk_loop_del(d->loop, a->fd);
		close(a->fd);
	}
	gk_timer_clear(d->loop, &a->timer);
	a->fd = -1;
	a->child = 0;
	a->phase = GK_AGENT_NONE;
	a->begun = 0;
}

void gk_agent_stop(struct gk_daemon *d)
{
	if (d->agent.phase == GK_AGENT_NONE)
		return;
	gk_child_kill(d->loop, d->agent.child);
	forget(d);
}

static void fail(struct gk_daemon *d, const char *cause)
{
	snprintf(d->agent.cause, sizeof(d->agent.cause), "%s", cause);
	gk_agent_stop(d);
	gk_handover_agent(d, 0);
}

static int put(struct gk_daemon *d, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_DOM0, buf, sizeof(buf));

	if (n < 0)
		return n;
	if (send(d->agent.fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		return 0;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? GK_ERR_LIMIT :
								       GK_ERR_CLOSED;
}

/* --- the manifest --- */

/* The SHA-256 of all parts before END. */
static int digest(const struct gk_manifest *m, unsigned parts, uint8_t out[GK_SHA256])
{
	struct gk_link_manifest part;
	SHA256_CTX c;

	SHA256_Init(&c);
	for (unsigned i = 0; i + 1 < parts; i++) {
		int err = gk_manifest_part(m, i, NULL, &part);

		if (err)
			return err;
		SHA256_Update(&c, part.part, sizeof(part.part));
	}
	SHA256_Final(out, &c);
	return 0;
}

static void tell(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_agent *a = &d->agent;
	const struct gk_manifest *m = &d->continuity.m;
	int parts = gk_manifest_parts(m), err = 0;
	struct gk_frame f;

	while (parts > 0 && a->next_part < (unsigned)parts) {
		uint8_t sha256[GK_SHA256];
		int last = a->next_part + 1 == (unsigned)parts;

		f = (struct gk_frame){ .type = GK_LINK_MANIFEST };
		err = last ? digest(m, (unsigned)parts, sha256) : 0;
		if (!err)
			err = gk_manifest_part(m, a->next_part, last ? sha256 : NULL,
					       &f.u.manifest);
		if (!err)
			err = put(d, &f);
		if (err)
			break;
		a->next_part++;
	}
	if (!err && parts > 0) {
		f = (struct gk_frame){ .type = GK_LINK_PING };
		f.u.ping.token = token;
		err = put(d, &f);
	}
	if (err == GK_ERR_LIMIT) {
		gk_timer_set(d->loop, &a->timer, ROOM_MS, tell, d);
	} else if (err || parts < 0) {
		fail(d, "the manifest cannot be sent");
	} else {
		a->phase = GK_AGENT_TOLD;
	}
}

/* --- frames --- */

static int frame(struct gk_daemon *d, const struct gk_frame *f)
{
	struct gk_agent *a = &d->agent;
	int err;

	if (!a->begun) {
		if (f->type != GK_LINK_HELLO)
			return GK_ERR_ORDER;
		gk_session_init(&a->session, f->u.hello.nonce);
		a->begun = 1;
	}
	/* The reader has bounded the rate where the frames came in. */
	a->session.window_keys = a->session.window_fido = a->session.window_frames = 0;
	err = gk_session_frame(&a->session, f, gk_now_ms());
	if (err)
		return err < 0 ? err : 0;
	if (f->type == GK_LINK_HELLO) {
		a->phase = GK_AGENT_TELLING;
		a->next_part = 0;
		tell(d);
	} else if (f->type == GK_LINK_PING && f->u.ping.reply &&
		   f->u.ping.token == token && a->phase == GK_AGENT_TOLD) {
		a->phase = GK_AGENT_READY;
		gk_handover_agent(d, 1);
	} else if (f->type == GK_LINK_LOG && !gk_devices_quiet(d)) {
		gk_log(LOG_INFO, "agent: %.*s", f->u.log.len, f->u.log.text);
	}
	return 0;
}

static void on_packet(void *ctx, uint32_t events)
{
	struct gk_daemon *d = ctx;
	struct gk_agent *a = &d->agent;
	unsigned child = a->child;

	(void)events;
	/* A frame may promote it, or end it. */
	for (int i = 0; i < BATCH && a->fd >= 0 && a->child == child; i++) {
		uint8_t buf[GK_LINK_FRAME_MAX + 1];
		ssize_t n = recv(a->fd, buf, sizeof(buf), MSG_DONTWAIT);
		struct gk_frame f;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fail(d, a->cause[0] ? a->cause : "the agent closed the link");
			return;
		}
		if (gk_link_decode(buf, (size_t)n, GK_SIDE_GATE, &f) ||
		    frame(d, &f)) {
			fail(d, "the agent's link reader passed on what is not allowed");
			return;
		}
	}
}

/* --- its reader --- */

static void on_line(void *ctx, const char *line)
{
	static const char head[] = "gatekeeper-link: ";
	struct gk_daemon *d = ctx;

	if (!strncmp(line, "pci ", 4)) {
		gk_xs_map_line(line, d->link_agent ? &d->xs : &d->agent.xs);
		return;
	}
	if (!strcmp(line, "gatekeeper-link: connected"))
		return;
	if (!strncmp(line, head, sizeof(head) - 1))
		snprintf(d->agent.cause, sizeof(d->agent.cause), "%.150s",
			 line + sizeof(head) - 1);
	gk_log(LOG_NOTICE, "agent's link: %s", line);
}

/* As gk_link_end_cause(), of an agent. */
static const char *end_cause(const struct gk_daemon *d, int status)
{
	if (status < 0 || !WIFEXITED(status))
		return gk_link_end_cause(d, status);
	switch (WEXITSTATUS(status)) {
	case GK_LINK_EXIT_VIOLATION:
		return "the agent broke the protocol";
	case GK_LINK_EXIT_SILENT:
		return "the agent does not answer";
	case GK_LINK_EXIT_CLOSED:
		return "the agent closed the link";
	case GK_LINK_EXIT_NO_SERVER:
		return "no agent listens there";
	default:
		return gk_link_end_cause(d, status);
	}
}

static void on_end(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	const char *cause = end_cause(d, end->status);

	/* One at a time: the end is that of the link, or of the one to be. */
	if (d->link_agent && d->link_child == d->agent.promoted && d->link_child) {
		d->link_child = 0;
		gk_link_stop(d);
		gk_handover_link_lost(d, cause);
		return;
	}
	d->agent.child = 0;
	fail(d, d->agent.cause[0] ? d->agent.cause : cause);
}

int gk_agent_start(struct gk_daemon *d, int domid, unsigned timeout_s)
{
	struct gk_agent *a = &d->agent;
	int err;

	gk_agent_stop(d);
	memset(a, 0, sizeof(*a));
	a->fd = -1;
	a->domid = domid;
	err = gk_link_reader(d, "the agent's link", domid, timeout_s, on_line, on_end,
			     &a->fd, &a->child);
	if (!err)
		err = gk_loop_add(d->loop, a->fd, EPOLLIN, on_packet, d);
	if (err) {
		if (a->fd >= 0)
			close(a->fd);
		a->fd = -1;
		gk_child_kill(d->loop, a->child);
		memset(a, 0, sizeof(*a));
		a->fd = -1;
		return err;
	}
	a->phase = GK_AGENT_CONNECT;
	return 0;
}

void gk_agent_promote(struct gk_daemon *d)
{
	struct gk_agent *a = &d->agent;
	int fd = a->fd;

	gk_loop_del(d->loop, fd);
	gk_timer_clear(d->loop, &a->timer);
	d->session = a->session;
	d->xs.maps = a->xs.maps;
	memcpy(d->xs.map, a->xs.map, sizeof(d->xs.map));
	a->promoted = a->child;
	a->child = 0;
	a->fd = -1;
	a->phase = GK_AGENT_NONE;
	gk_link_take(d, fd, a->promoted);
}
