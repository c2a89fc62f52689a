/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "luks/attempt.h"

/* What the child says of each target, in their order. */
struct outcome {
	int32_t result;
	uint32_t computing_ms;
};

static struct {
	struct gk_loop *loop;
	int fd;			/* a struct outcome for each target */
	int pidfd;		/* -1: nothing runs */
	unsigned n, got;
	struct gk_attempt_target target[GK_VOLUMES];
	struct gk_timer deadline;
	gk_attempt_done *done;
	void *ctx;
} attempt = { .pidfd = -1 };

int gk_attempt_runs(void)
{
	return attempt.pidfd >= 0;
}

static void end(void)
{
	gk_timer_clear(attempt.loop, &attempt.deadline);
	gk_loop_del(attempt.loop, attempt.fd);
	close(attempt.fd);
	close(attempt.pidfd);
	attempt.pidfd = -1;
	attempt.done(attempt.ctx, attempt.target, attempt.n);
}

static void too_late(void *ctx)
{
	(void)ctx;
	syscall(SYS_pidfd_send_signal, attempt.pidfd, SIGKILL, NULL, 0);
	end();
}

static void on_result(void *ctx, uint32_t events)
{
	struct outcome o;
	ssize_t n = read(attempt.fd, &o, sizeof(o));

	(void)ctx;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(o)) {
		end();
		return;
	}
	if (attempt.got < attempt.n) {
		attempt.target[attempt.got].computing_ms = o.computing_ms;
		attempt.target[attempt.got++].result = o.result;
	}
}

static uint32_t processor_ms(void)
{
	struct timespec t = { 0 };

	/* Cannot fail: every process has that clock. */
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint32_t)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

__attribute__((noreturn))
static void child_main(int out, pid_t parent, const char *secret, size_t len)
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* What is locked in the parent is not in its copy (mlock(2)). Not being able
	 * to lock keeps nobody from unlocking. */
	if (mlock(secret, len) < 0 && errno == EINVAL)
		_exit(126);
	/* The keys must see it when the parent lets go of them. */
	if (out != 3 && dup2(out, 3) < 0)
		_exit(126);
	close_range(4, ~0U, 0);
	for (unsigned i = 0; i < attempt.n; i++) {
		uint32_t before = processor_ms();
		struct outcome o = {
			.result = gk_volume_open(attempt.target[i].volume,
						 attempt.target[i].keyslots, secret,
						 len),
		};

		o.computing_ms = processor_ms() - before;
		if (write(3, &o, sizeof(o)) != (ssize_t)sizeof(o))
			_exit(1);
	}
	_exit(0);
}

int gk_attempt_start(struct gk_loop *l, const struct gk_attempt_target *t, unsigned n,
		     const char *secret, size_t len, gk_attempt_done *done, void *ctx)
{
	pid_t parent = getpid(), pid;
	int p[2], err;

	if (gk_attempt_runs())
		return GK_ERR_ORDER;
	if (n == 0 || n > GK_VOLUMES)
		return GK_ERR_LIMIT;
	if (pipe2(p, O_CLOEXEC) < 0)
		return GK_ERR_SYSTEM;
	attempt.loop = l;
	attempt.n = n;
	attempt.got = 0;
	attempt.done = done;
	attempt.ctx = ctx;
	for (unsigned i = 0; i < n; i++) {
		attempt.target[i] = t[i];
		attempt.target[i].result = GK_ERR_TIMEOUT;
		attempt.target[i].computing_ms = 0;
	}
	pid = fork();
	if (pid == 0)
		child_main(p[1], parent, secret, len);
	close(p[1]);
	attempt.fd = p[0];
	attempt.pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	err = attempt.pidfd < 0 ? GK_ERR_SYSTEM :
	      gk_loop_add(l, p[0], EPOLLIN, on_result, NULL);
	if (err) {
		if (pid > 0)
			kill(pid, SIGKILL);
		if (attempt.pidfd >= 0)
			close(attempt.pidfd);
		attempt.pidfd = -1;
		close(p[0]);
		return err;
	}
	gk_timer_set(l, &attempt.deadline, GK_ATTEMPT_MS, too_late, NULL);
	return GK_OK;
}
