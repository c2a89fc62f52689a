/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
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
#include "dom0/paths.h"

/* Packets taken before others get their turn. */
enum { BATCH = 128 };

static void close_link(struct gk_daemon *d)
{
	if (d->link_fd >= 0) {
		gk_loop_del(d->loop, d->link_fd);
		close(d->link_fd);
	}
	d->link_fd = -1;
	d->link_agent = 0;
	gk_timer_clear(d->loop, &d->reader_timer);
	d->session_begun = 0;
	memset(&d->session, 0, sizeof(d->session));
	gk_keyboards_reset(d);
	gk_fido_reset(d);
	gk_devices_all_up(d);
}

void gk_link_stop(struct gk_daemon *d)
{
	gk_child_kill(d->loop, d->link_child);
	d->link_child = 0;
	close_link(d);
}

/* The link is no good, and its end is not to be waited for: killed, reaped by the
 * loop, and counted like any other error of the link. */
static void end_reader(struct gk_daemon *d, const char *cause)
{
	int agent = d->link_agent;

	gk_link_stop(d);
	if (agent)
		gk_handover_link_lost(d, cause);
	else
		gk_gate_lost(d, cause);
}

static void does_not_end(void *ctx)
{
	end_reader(ctx, "the link reader closed its end and did not go");
}

static void ask_reader(void *ctx)
{
	struct gk_frame f = { .type = GK_LINK_PING };
	struct gk_daemon *d = ctx;

	/* Counted by ticks, not by the clock: if we ourselves were away, its
	 * answer lies unread, and that is one tick. */
	if (d->reader_misses > GK_READER_MISSES) {
		end_reader(d, "the link reader does not answer");
		return;
	}
	if (d->reader_misses++ == 0) {
		f.u.ping.token = ++d->reader_token;
		gk_link_send(d, &f);
	}
	gk_timer_set(d->loop, &d->reader_timer, GK_READER_PING_MS, ask_reader, d);
}

void gk_link_watch(struct gk_daemon *d)
{
	d->reader_misses = 0;
	/* The reader's own questions count up from 1. */
	d->reader_token = UINT64_C(1) << 63;
	ask_reader(d);
}

void gk_link_answered(struct gk_daemon *d, const struct gk_link_ping *p)
{
	if (p->reply && p->token == d->reader_token)
		d->reader_misses = 0;
}

static void on_packet(void *ctx, uint32_t events)
{
	struct gk_daemon *d = ctx;

	(void)events;
	for (int i = 0; i < BATCH && d->link_fd >= 0; i++) {
		uint8_t buf[GK_LINK_FRAME_MAX + 1];
		struct gk_frame f;
		ssize_t n = recv(d->link_fd, buf, sizeof(buf), MSG_DONTWAIT);
		int err;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			/* How it ended is told by its exit status. */
			gk_loop_del(d->loop, d->link_fd);
			gk_devices_all_up(d);
			gk_fido_reset(d);
			gk_timer_set(d->loop, &d->reader_timer,
				     GK_READER_END_MS, does_not_end, d);
			return;
		}
		err = gk_link_decode(buf, (size_t)n, GK_SIDE_GATE, &f);
		if (!err)
			err = gk_devices_frame(d, &f);
		if (err) {
			char cause[GK_CAUSE_MAX];

			/* The reader had let it pass: it is not to be trusted
			 * any more than the gate. */
			snprintf(cause, sizeof(cause),
				 "the link reader passed on a %s that is not "
				 "allowed (%s)", gk_link_type_name(n > 1 ? buf[1] : 0),
				 gk_strerror(err));
			end_reader(d, cause);
			return;
		}
	}
}

/* Its stderr. One line of it is an event. */
static void on_reader_line(void *ctx, const char *line)
{
	static const char violation[] = "gatekeeper-link: the gate broke the protocol: ";
	struct gk_daemon *d = ctx;

	if (!strcmp(line, "gatekeeper-link: connected")) {
		d->times.connected = (int64_t)gk_now_ms();
		gk_log(LOG_INFO, "link connected at %lld ms",
		       (long long)d->times.connected);
		return;
	}
	if (!strncmp(line, "pci ", 4)) {
		gk_xs_map_line(line, &d->xs);
		gk_keyboards_mapped(d);
		return;
	}
	/* Its last line, then; the end of it tells the person. */
	if (!strncmp(line, violation, sizeof(violation) - 1))
		snprintf(d->violation, sizeof(d->violation), "%.150s",
			 line + sizeof("gatekeeper-link: ") - 1);
	gk_log(LOG_NOTICE, "%s", line);
}

const char *gk_link_end_cause(const struct gk_daemon *d, int status)
{
	if (status < 0 || WIFSIGNALED(status)) {
		if (status >= 0 && WTERMSIG(status) == SIGALRM)
			return "xenstored does not answer";
		if (status >= 0 && WTERMSIG(status) == SIGSYS)
			return "the link reader did what it may not do";
		return "the link reader was killed";
	}
	switch ((enum gk_link_status)WEXITSTATUS(status)) {
	case GK_LINK_EXIT_VIOLATION:
		return d->violation[0] ? d->violation :
					 "the gate broke the protocol";
	case GK_LINK_EXIT_SILENT:
		return "the gate does not answer";
	case GK_LINK_EXIT_CLOSED:
		return "the gate closed the link";
	case GK_LINK_EXIT_NO_SERVER:
		return "the gate domain did not start up in time";
	case GK_LINK_EXIT_SETUP:
		return "the link reader could not be set up";
	case GK_LINK_EXIT_DONE:
	case GK_LINK_EXIT_USAGE:
	case GK_LINK_EXIT_STALLED:
		break;
	}
	return "the link reader ended";
}

static void on_reader_end(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	/* Somebody killed our process: the gate itself may be well. */
	int ours = d->state == GK_GATE_UP && end->status >= 0 &&
		   WIFSIGNALED(end->status) && WTERMSIG(end->status) != SIGSYS;

	d->link_child = 0;
	close_link(d);
	if (ours)
		gk_gate_reconnect(d, gk_link_end_cause(d, end->status));
	else
		gk_gate_lost(d, gk_link_end_cause(d, end->status));
}

int gk_link_reader(struct gk_daemon *d, const char *name, int domid, unsigned timeout_s,
		   void (*line)(void *ctx, const char *line),
		   void (*done)(void *ctx, const struct gk_child_end *end), int *fd,
		   unsigned *child)
{
	char id[16], timeout[16];
	/* '@': systemd's switch-root passes over such processes when it kills
	 * what is left of the initramfs. */
	const char *argv[] = { "@gatekeeper-link", "--timeout", timeout, id, NULL };
	struct gk_child_spec spec = {
		.name = name, .argv = argv, .line = line, .done = done, .ctx = d,
	};
	char program[GK_PATH_MAX];
	int pair[2], err;

	if (gk_path(program, GK_LINK_PROGRAM))
		return GK_ERR_LIMIT;
	spec.path = program;
	snprintf(id, sizeof(id), "%d", domid);
	snprintf(timeout, sizeof(timeout), "%u", timeout_s);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return GK_ERR_SYSTEM;
	spec.pass_fd = pair[1];
	err = gk_child_start(d->loop, &spec, child);
	close(pair[1]);
	if (err) {
		close(pair[0]);
		return err;
	}
	*fd = pair[0];
	return 0;
}

int gk_link_start(struct gk_daemon *d, unsigned timeout_s)
{
	int fd, err;

	gk_link_stop(d);
	d->violation[0] = '\0';
	d->xs.maps = 0;
	err = gk_link_reader(d, "gatekeeper-link", d->xs.domid, timeout_s,
			     on_reader_line, on_reader_end, &fd, &d->link_child);
	if (err)
		return err;
	err = gk_loop_add(d->loop, fd, EPOLLIN, on_packet, d);
	if (err) {
		close(fd);
		gk_child_kill(d->loop, d->link_child);
		d->link_child = 0;
		return err;
	}
	d->link_fd = fd;
	return 0;
}

void gk_link_take(struct gk_daemon *d, int fd, unsigned child)
{
	d->violation[0] = '\0';
	d->link_child = child;
	d->link_agent = 1;
	d->session_begun = 1;
	if (gk_loop_add(d->loop, fd, EPOLLIN, on_packet, d)) {
		close(fd);
		end_reader(d, "out of descriptors");
		return;
	}
	d->link_fd = fd;
	gk_link_watch(d);
	for (int slot = 0; slot < GK_LINK_DEVICES; slot++)
		if (d->session.dev[slot].id)
			gk_devices_here(d, slot);
}

int gk_link_send(struct gk_daemon *d, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_DOM0, buf, sizeof(buf));

	if (n < 0) {
		gk_log(LOG_ERR, "%s not sent: %s", gk_link_type_name(f->type),
		       gk_strerror(n));
		return n;
	}
	if (d->link_fd < 0)
		return GK_ERR_CLOSED;
	if (send(d->link_fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		return 0;
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
		return GK_ERR_LIMIT;
	gk_log(LOG_DEBUG, "%s not sent: %s", gk_link_type_name(f->type),
	       strerror(errno));
	return GK_ERR_SYSTEM;
}
