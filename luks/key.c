/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0/log.h"
#include "dom0/paths.h"
#include "luks/key.h"

const char *gk_key_program = GK_LIB_DIR "/gatekeeper-key";

enum link_state {
	LINK_FREE,
	LINK_OPEN,
	LINK_ENDING,	/* closed; its process may still be there */
};

struct gk_key_link {
	enum link_state state;
	struct gk_loop *loop;
	int fd;
	int pidfd;
	uint32_t seq, ask;	/* ask 0: nothing is asked */
	struct gk_timer timer;
	struct gk_key_events ev;
};

static struct gk_key_link links[GK_KEY_LINKS];

static void on_packet(void *ctx, uint32_t events);

static void kill_it(void *ctx)
{
	struct gk_key_link *k = ctx;

	gk_timer_clear(k->loop, &k->timer);
	syscall(SYS_pidfd_send_signal, k->pidfd, SIGKILL, NULL, 0);
	close(k->pidfd);
	k->state = LINK_FREE;
}

void gk_key_close(struct gk_key_link *k)
{
	if (!k || k->state != LINK_OPEN)
		return;
	gk_loop_del(k->loop, k->fd);
	close(k->fd);
	k->fd = -1;
	k->state = LINK_ENDING;
	gk_timer_set(k->loop, &k->timer, GK_KEY_CANCEL_MS, kill_it, k);
}

static void give_up(struct gk_key_link *k, const char *why)
{
	gk_key_close(k);
	kill_it(k);
	k->ev.gone(k->ev.ctx, why);
}

static void too_late(void *ctx)
{
	give_up(ctx, "it did not answer in time");
}

static void on_packet(void *ctx, uint32_t events)
{
	struct gk_key_link *k = ctx;
	static struct gk_key_reply r;
	ssize_t n;

	(void)events;
	n = recv(k->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		give_up(k, "its process ended");
		return;
	}
	if (!k->ask || gk_key_reply_check(&r, (size_t)n, k->ask, k->seq)) {
		explicit_bzero(&r, sizeof(r));
		give_up(k, "its process said what it must not");
		return;
	}
	if (r.say == GK_KEY_DONE) {
		k->ask = 0;
		gk_timer_clear(k->loop, &k->timer);
	}
	k->ev.reply(k->ev.ctx, &r);
	explicit_bzero(&r, sizeof(r));
}

static int connect_to(const char *socket_path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(socket_path) >= sizeof(sa.sun_path))
		return GK_ERR_LIMIT;
	strcpy(sa.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		return GK_ERR_CLOSED;
	}
	/* gatekeeper-key waits by poll(). */
	if (fcntl(fd, F_SETFL, 0) < 0) {
		close(fd);
		return GK_ERR_SYSTEM;
	}
	return fd;
}

__attribute__((noreturn))
static void child_main(int parent_fd, int device_fd, pid_t parent)
{
	static char name[] = "gatekeeper-key";
	static char *const argv[] = { name, NULL }, *const env[] = { NULL };
	sigset_t none;
	int null;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	/* Out of the way of 0..4 first. */
	parent_fd = fcntl(parent_fd, F_DUPFD, 10);
	device_fd = fcntl(device_fd, F_DUPFD, 10);
	if (null < 0 || parent_fd < 0 || device_fd < 0 || dup2(null, 0) < 0 ||
	    dup2(null, 1) < 0 || dup2(parent_fd, GK_KEY_FD_PARENT) < 0 ||
	    dup2(device_fd, GK_KEY_FD_DEVICE) < 0)
		_exit(126);
	close_range(GK_KEY_FD_DEVICE + 1, ~0U, 0);
	execve(gk_key_program, argv, env);
	_exit(127);
}

int gk_key_open(struct gk_loop *l, const char *socket_path,
		const struct gk_key_events *ev, struct gk_key_link **out)
{
	struct gk_key_link *k = NULL;
	int pair[2] = { -1, -1 }, dev, err = GK_ERR_SYSTEM;
	pid_t parent = getpid(), pid = -1;

	for (int i = 0; i < GK_KEY_LINKS && !k; i++)
		if (links[i].state == LINK_FREE)
			k = &links[i];
	if (!k)
		return GK_ERR_LIMIT;
	dev = connect_to(socket_path);
	if (dev < 0)
		return dev;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		goto out;
	pid = fork();
	if (pid == 0)
		child_main(pair[1], dev, parent);
	if (pid < 0)
		goto out;
	*k = (struct gk_key_link){ .loop = l, .fd = pair[0], .ev = *ev };
	k->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (k->pidfd < 0) {
		kill(pid, SIGKILL);
		goto out;
	}
	err = gk_loop_add(l, k->fd, EPOLLIN, on_packet, k);
	if (err) {
		kill(pid, SIGKILL);
		close(k->pidfd);
		goto out;
	}
	k->state = LINK_OPEN;
	pair[0] = -1;
	*out = k;
out:
	close(dev);
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return err;
}

int gk_key_send(struct gk_key_link *k, struct gk_key_request *r)
{
	ssize_t n;

	if (k->state != LINK_OPEN || k->ask)
		return GK_ERR_ORDER;
	r->seq = ++k->seq;
	n = send(k->fd, r, sizeof(*r), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n != (ssize_t)sizeof(*r))
		return GK_ERR_CLOSED;
	k->ask = r->ask;
	gk_timer_set(k->loop, &k->timer, r->timeout_ms + GK_KEY_LATE_MS, too_late, k);
	return GK_OK;
}

int gk_key_is_busy(const struct gk_key_link *k)
{
	return k->ask != 0;
}
