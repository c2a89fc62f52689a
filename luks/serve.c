/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0/log.h"
#include "luks/serve.h"

static struct peer {
	int fd;			/* -1: free */
	int asked;
	unsigned id;		/* gk_unlock_add() */
} peers[GK_VOLUMES];

static struct {
	struct gk_loop *loop;
	struct gk_unlock *unlock;
	int fd;
	int test_only;
} server;

static void drop(struct peer *p)
{
	gk_loop_del(server.loop, p->fd);
	close(p->fd);
	p->fd = -1;
}

static void answer(struct peer *p, const struct gk_unlock_how *how)
{
	if (send(p->fd, how, sizeof(*how), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		gk_log(LOG_WARNING, "the unit that asked has gone");
	drop(p);
}

static void opened(void *ctx, const struct gk_unlock_how *how)
{
	answer(ctx, how);
}

/* Three words that fill the packet. */
static int split(const char *buf, size_t n, const char *word[3])
{
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		const char *end = memchr(buf + at, '\0', n - at);

		if (!end)
			return -1;
		word[i] = buf + at;
		at = (size_t)(end - buf) + 1;
	}
	return at == n ? 0 : -1;
}

/* 1: there is nothing here for us, how says why. */
static int begin(struct peer *p, const char *buf, size_t n, struct gk_unlock_how *how)
{
	static struct gk_volume v;
	const char *word[3], *why = "";
	int err;

	*how = (struct gk_unlock_how){ .end = GK_UNLOCK_NOT_OURS, .key_to_touch_ms = -1,
				       .touch_to_open_ms = -1, .keyslot_ms = -1,
				       .pbkdf_ms = -1 };
	if (split(buf, n, word))
		return 1;
	err = gk_volume_set(&v, word[0], word[1], word[2], &why);
	v.test_only = server.test_only;
	if (!err && !v.test_only && gk_volume_is_active(&v)) {
		how->end = GK_UNLOCK_ACTIVE;
		return 1;
	}
	if (!err)
		err = gk_volume_load(&v, &why);
	if (!err && !v.tokens) {
		why = "no security key is enrolled";
		err = GK_ERR_NOT_FOUND;
	}
	if (!err) {
		err = gk_unlock_add(server.unlock, &v, opened, p, &p->id);
		why = "too many volumes at once";
	}
	if (err)
		gk_log(LOG_INFO, "%s is left to the system: %s", word[0], why);
	return err != 0;
}

static void on_peer(void *ctx, uint32_t events)
{
	struct peer *p = ctx;
	char buf[GK_SERVE_REQUEST + 1];
	struct gk_unlock_how how;
	ssize_t n;

	(void)events;
	n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || p->asked || n > GK_SERVE_REQUEST) {
		if (p->asked)
			gk_unlock_drop(server.unlock, p->id);
		drop(p);
		return;
	}
	p->asked = 1;
	if (begin(p, buf, (size_t)n, &how))
		answer(p, &how);
}

static void on_connection(void *ctx, uint32_t events)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int fd, slot = 0;

	(void)ctx;
	(void)events;
	fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	while (slot < GK_VOLUMES && peers[slot].fd >= 0)
		slot++;
	if (slot == GK_VOLUMES ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    cred.uid != geteuid()) {
		close(fd);
		return;
	}
	peers[slot] = (struct peer){ .fd = fd };
	if (gk_loop_add(server.loop, fd, EPOLLIN, on_peer, &peers[slot])) {
		close(fd);
		peers[slot].fd = -1;
	}
}

/* sd_notify(3), which is this. */
static void say_ready(void)
{
	static const char ready[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(sa.sun_path) || !strchr("/@", path[0]))
		return;
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL, (struct sockaddr *)&sa,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		gk_log(LOG_WARNING, "systemd does not hear that this is ready");
	close(fd);
}

static int address(const char *path, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return GK_ERR_LIMIT;
	strcpy(sa->sun_path, path);
	return GK_OK;
}

int gk_serve(struct gk_loop *l, struct gk_unlock *u, const char *socket_path,
	     int test_only)
{
	struct sockaddr_un sa;
	mode_t before;
	int bound;

	for (int i = 0; i < GK_VOLUMES; i++)
		peers[i].fd = -1;
	server.loop = l;
	server.unlock = u;
	server.test_only = test_only;
	server.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server.fd < 0 || address(socket_path, &sa))
		return 1;
	unlink(socket_path);
	before = umask(0177);
	bound = bind(server.fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(before);
	if (bound < 0 || listen(server.fd, GK_VOLUMES) < 0 ||
	    gk_loop_add(l, server.fd, EPOLLIN, on_connection, NULL)) {
		gk_log(LOG_ERR, "%s: %s", socket_path, strerror(errno));
		return 1;
	}
	say_ready();
	gk_loop_run(l);
	unlink(socket_path);
	gk_unlock_close(u);
	return 0;
}

int gk_serve_ask(const char *socket_path, const char *volume, const char *device,
		 const char *options, struct gk_unlock_how *how)
{
	char buf[GK_SERVE_REQUEST];
	struct sockaddr_un sa;
	int fd, n, ret = GK_ERR_CLOSED;

	n = snprintf(buf, sizeof(buf), "%s%c%s%c%s", volume, 0, device, 0, options);
	if (n < 0 || (size_t)n >= sizeof(buf) || address(socket_path, &sa))
		return GK_ERR_LIMIT;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    send(fd, buf, (size_t)n + 1, MSG_NOSIGNAL) < 0)
		goto out;
	if (recv(fd, how, sizeof(*how), 0) == (ssize_t)sizeof(*how))
		ret = GK_OK;
out:
	close(fd);
	return ret;
}
