/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for link_vchan.c: a UNIX stream socket, whose listening descriptor is
 * the number in GK_LISTEN_FD. One client at a time; a new one takes the place
 * of the one before, as a new reader does with vchan.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link.h"
#include "domain/link_stream.h"

static int listener = -1, client = -1, both = -1;
static uint8_t rest[GK_LINK_FRAME_MAX];
static size_t rest_len;

static void add(int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	epoll_ctl(both, EPOLL_CTL_ADD, fd, &e);
}

int gk_stream_open(void)
{
	const char *fd = getenv("GK_LISTEN_FD");

	both = epoll_create1(EPOLL_CLOEXEC);
	listener = fd ? atoi(fd) : -1;
	if (both < 0 || listener < 0)
		return GK_ERR_SYSTEM;
	add(listener);
	return GK_OK;
}

int gk_stream_fd(void)
{
	return both;
}

static void drop(void)
{
	if (client >= 0)
		close(client);
	client = -1;
	rest_len = 0;
}

int gk_stream_wake(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int was = client >= 0;
	char byte;

	if (fd >= 0) {
		drop();
		client = fd;
		add(client);
		return 0;
	}
	if (client >= 0 && recv(client, &byte, 1, MSG_PEEK) == 0)
		drop();
	return was && client >= 0;
}

int gk_stream_read(void *buf, size_t len)
{
	ssize_t n = client < 0 ? 0 : recv(client, buf, len, 0);

	return n < 0 ? 0 : (int)n;
}

/* A socket may take a part; the rest of it goes first the next time. */
static int flush(void)
{
	ssize_t n = rest_len ? send(client, rest, rest_len, MSG_NOSIGNAL) : 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	rest_len -= (size_t)n;
	memmove(rest, rest + n, rest_len);
	return rest_len == 0;
}

int gk_stream_send(const void *buf, size_t len)
{
	int r = client < 0 ? -1 : flush();

	if (r <= 0)
		return r;
	memcpy(rest, buf, len);
	rest_len = len;
	return flush() < 0 ? -1 : (int)len;
}

void gk_stream_close(void)
{
	drop();
	close(listener);
	listener = -1;
}
