/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <libxenvchan.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <xenstore.h>

#include "dom0/clock.h"
#include "dom0/link_channel.h"
#include "dom0/xs.h"

int gk_channel_socket(struct gk_channel *c, int sock)
{
	memset(c, 0, sizeof(*c));
	if (sock < 0)
		return GK_ERR_SYSTEM;
	c->sock = sock;
	return 0;
}

enum { CONNECT_TRIES = 40, CONNECT_EVERY_US = 50000 };

/*
 * The server writes ring-ref and event-channel in one transaction
 * (libxenvchan's init_xs_srv), so one of them is enough to wait for.
 */
static int wait_for_server(unsigned domid, const char *path, unsigned timeout_ms)
{
	uint64_t end = gk_now_ms() + timeout_ms;
	struct xs_handle *xs;
	char node[96];
	int ret = GK_ERR_SYSTEM;

	snprintf(node, sizeof(node), "%s/event-channel", path);
	xs = xs_open(0);
	if (!xs)
		return GK_ERR_SYSTEM;
	if (!xs_watch(xs, node, "server"))
		goto out;
	for (;;) {
		struct pollfd p = { .fd = xs_fileno(xs), .events = POLLIN };
		uint64_t now = gk_now_ms();
		char **event;
		char *value = xs_read(xs, XBT_NULL, node, NULL);

		if (value) {
			free(value);
			gk_xs_print_map(xs, domid, stderr);
			ret = 0;
			break;
		}
		if (now >= end) {
			ret = GK_ERR_TIMEOUT;
			break;
		}
		if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
			break;
		while ((event = xs_check_watch(xs)))
			free(event);
	}
out:
	xs_close(xs);
	return ret;
}

int gk_channel_vchan(struct gk_channel *c, unsigned domid, unsigned timeout_ms)
{
	char path[64];
	int err;

	memset(c, 0, sizeof(*c));
	c->sock = -1;
	snprintf(path, sizeof(path), "/local/domain/%u/data/gatekeeper", domid);
	err = wait_for_server(domid, path, timeout_ms);
	if (err)
		return err;
	/* A predecessor that is still dying holds the event channel. */
	for (int i = 0; i < CONNECT_TRIES && !c->vchan; i++) {
		if (i)
			usleep(CONNECT_EVERY_US);
		c->vchan = libxenvchan_client_init(NULL, (int)domid, path);
	}
	if (!c->vchan)
		return GK_ERR_SYSTEM;
	/* The library leaves this field as malloc gave it. */
	c->vchan->blocking = 0;
	return 0;
}

int gk_channel_fd(const struct gk_channel *c)
{
	return c->vchan ? libxenvchan_fd_for_select(c->vchan) : c->sock;
}

short gk_channel_events(const struct gk_channel *c)
{
	return c->rest_len ? POLLIN | POLLOUT : POLLIN;
}

int gk_channel_ack(struct gk_channel *c)
{
	if (c->vchan && libxenvchan_wait(c->vchan) < 0)
		return GK_ERR_CLOSED;
	return 0;
}

int gk_channel_read(struct gk_channel *c, void *buf, size_t len)
{
	ssize_t n;

	if (c->vchan) {
		int got = libxenvchan_read(c->vchan, buf, len);

		return got < 0 || (size_t)got > len ? GK_ERR_CLOSED : got;
	}
	n = recv(c->sock, buf, len, MSG_DONTWAIT);
	if (n > 0)
		return (int)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return GK_ERR_CLOSED;
}

static int socket_flush(struct gk_channel *c)
{
	ssize_t n;

	if (!c->rest_len)
		return 1;
	n = send(c->sock, c->rest, c->rest_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : GK_ERR_CLOSED;
	c->rest_len -= (size_t)n;
	memmove(c->rest, c->rest + n, c->rest_len);
	return c->rest_len == 0;
}

int gk_channel_send(struct gk_channel *c, const void *buf, size_t len)
{
	int err;

	if (c->vchan) {
		int sent = libxenvchan_send(c->vchan, buf, len);

		return sent < 0 ? GK_ERR_CLOSED : sent > 0;
	}
	err = socket_flush(c);
	if (err != 1)
		return err;
	if (len > sizeof(c->rest))
		return GK_ERR_CLOSED;
	memcpy(c->rest, buf, len);
	c->rest_len = len;
	err = socket_flush(c);
	return err < 0 ? err : 1;
}
