/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "handoff/run.h"

/* How long a killed child may take to go before it is left behind. */
#define KILL_GRACE_MS 2000u

uint64_t gk_run_now_ms(void)
{
	struct timespec ts;

	/* Cannot fail: the clock exists on every kernel this runs on. */
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

void gk_run_sleep_ms(unsigned int ms)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ms / 1000u),
		.tv_nsec = (long)(ms % 1000u) * 1000000L,
	};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static int left_ms(uint64_t deadline)
{
	uint64_t now = gk_run_now_ms();

	return now >= deadline ? 0 : (int)(deadline - now);
}

struct sink {
	char *out;
	size_t len;
	size_t used;
};

/* Returns 0 at the end of the file or on an error, 1 while there may be more. */
static int drain(int fd, struct sink *s)
{
	char buf[4096];
	ssize_t n;
	size_t keep;

	n = read(fd, buf, sizeof(buf));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return 0;
	keep = s->len - 1 - s->used;
	if (keep > (size_t)n)
		keep = (size_t)n;
	memcpy(s->out + s->used, buf, keep);
	s->used += keep;
	return 1;
}

static _Noreturn void child(pid_t parent, int out, int (*fn)(void *arg), void *arg)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null, sig;

	(void)setpgid(0, 0);
	/* A parent that has gone already sends no death signal any more. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	for (sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);

	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	closefrom(3);
	_exit(fn(arg) & 0xff);
}

/*
 * Read what the child writes until it has ended; its own end counts and not
 * that of the pipe, which whatever it leaves behind may hold open.
 * Returns 0, or GK_ERR_TIMEOUT, or GK_ERR_SYSTEM.
 */
static int watch(int pidfd, int in, uint64_t deadline, struct sink *s)
{
	struct pollfd p[2] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = in, .events = POLLIN },
	};
	int n;

	for (;;) {
		n = poll(p, 2, left_ms(deadline));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return GK_ERR_SYSTEM;
		if (n == 0)
			return GK_ERR_TIMEOUT;
		if (p[0].revents != 0)
			break;
		if (p[1].revents != 0 && !drain(in, s))
			p[1].fd = -1;
		/* A child that writes without end must not outrun its time. */
		if (left_ms(deadline) == 0)
			return GK_ERR_TIMEOUT;
	}
	/* What is in the pipe now is all that the child itself has written. */
	while (p[1].fd >= 0) {
		struct pollfd rest = { .fd = in, .events = POLLIN };

		if (left_ms(deadline) == 0 || poll(&rest, 1, 0) <= 0 ||
		    !drain(in, s))
			break;
	}
	return 0;
}

int gk_run_function(int (*fn)(void *arg), void *arg, unsigned int timeout_ms,
		    char *out, size_t out_len)
{
	uint64_t deadline = gk_run_now_ms() + timeout_ms;
	struct sink s = { .out = out, .len = out_len };
	int fds[2] = { -1, -1 };
	int pidfd = -1, ret, status = 0, saved;
	struct pollfd gone;
	pid_t parent = getpid(), pid;

	if (out == NULL || out_len == 0)
		return GK_ERR_VALUE;
	out[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return GK_ERR_SYSTEM;
	/* Our end only: a program does not expect a non-blocking stdout. */
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		ret = GK_ERR_SYSTEM;
		goto out;
	}
	pid = fork();
	if (pid < 0) {
		ret = GK_ERR_SYSTEM;
		goto out;
	}
	if (pid == 0)
		child(parent, fds[1], fn, arg);
	/* Both sides do this, so that the group exists whoever runs first. */
	(void)setpgid(pid, pid);
	(void)close(fds[1]);
	fds[1] = -1;

	pidfd = pidfd_open(pid, 0);
	ret = pidfd < 0 ? GK_ERR_SYSTEM : watch(pidfd, fds[0], deadline, &s);
	if (ret != 0) {
		saved = errno;
		(void)kill(-pid, SIGKILL);
		/* Without a pidfd the kill is all that can be waited for. */
		gone = (struct pollfd){ .fd = pidfd, .events = POLLIN };
		if (pidfd >= 0)
			deadline = gk_run_now_ms() + KILL_GRACE_MS;
		while (pidfd >= 0 && poll(&gone, 1, left_ms(deadline)) < 0 &&
		       errno == EINTR)
			;
		(void)waitpid(pid, NULL, WNOHANG);
		errno = saved;
		goto out;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		ret = GK_ERR_SYSTEM;
		goto out;
	}
	ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
out:
	saved = errno;
	out[s.used] = '\0';
	if (pidfd >= 0)
		(void)close(pidfd);
	if (fds[0] >= 0)
		(void)close(fds[0]);
	if (fds[1] >= 0)
		(void)close(fds[1]);
	errno = saved;
	return ret;
}

struct program {
	const char *const *argv;
	const char *path;	/* "PATH=..." */
};

static int execute(void *arg)
{
	const struct program *p = arg;
	const char *const env[] = { p->path, "LC_ALL=C", NULL };

	/* POSIX declares both arrays without const and leaves them alone. */
	(void)execvpe(p->argv[0], (char *const *)(uintptr_t)p->argv,
		      (char *const *)(uintptr_t)env);
	(void)dprintf(2, "cannot run %s: %s\n", p->argv[0], strerror(errno));
	return 127;
}

int gk_run(const char *const argv[], unsigned int timeout_ms, char *out,
	   size_t out_len)
{
	const char *path = getenv("PATH");
	struct program p = { .argv = argv };
	char env[1024];
	int n;

	if (argv == NULL || argv[0] == NULL || out == NULL || out_len == 0)
		return GK_ERR_VALUE;
	if (path == NULL || path[0] == '\0')
		path = "/usr/sbin:/usr/bin:/sbin:/bin";
	n = snprintf(env, sizeof(env), "PATH=%s", path);
	if (n < 0 || (size_t)n >= sizeof(env))
		return GK_ERR_VALUE;
	p.path = env;
	return gk_run_function(execute, &p, timeout_ms, out, out_len);
}

void gk_run_last_line(const char *out, char *line, size_t line_len)
{
	size_t end = strlen(out), start, i, n;

	while (end > 0 && (out[end - 1] == '\n' || out[end - 1] == '\r' ||
			   out[end - 1] == ' '))
		end--;
	start = end;
	while (start > 0 && out[start - 1] != '\n')
		start--;
	n = end - start;
	if (n >= line_len)
		n = line_len - 1;
	for (i = 0; i < n; i++) {
		char c = out[start + i];

		line[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	line[n] = '\0';
}
