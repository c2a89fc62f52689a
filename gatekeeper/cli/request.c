/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "dom0/clock.h"
#include "dom0/paths.h"
#include "dom0/status.h"

static int left(uint64_t end)
{
	uint64_t now = gk_now_ms();

	return now < end ? (int)(end - now) : 0;
}

static int connect_control(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = 5 };
	char path[GK_PATH_MAX];
	int fd;

	if (gk_run_path(path, "control") || strlen(path) >= sizeof(a.sun_path))
		return -1;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* connect() waits when many clients do, and sending, too. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int gk_cli_request(const char *request, unsigned timeout_ms,
		   void (*fn)(void *ctx, const char *line), void *ctx)
{
	static char buf[GK_STATUS_MAX + 1024];
	uint64_t end = gk_now_ms() + timeout_ms;
	int fd = connect_control(), ret = GK_ERR_SYSTEM;
	size_t len = 0;
	char line[1024];
	int n;

	if (fd < 0)
		return GK_ERR_CLOSED;
	n = snprintf(line, sizeof(line), "%s\n", request);
	if (n < 0 || (size_t)n >= sizeof(line) ||
	    send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		goto out;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got;
		char *nl;

		if (poll(&p, 1, left(end)) == 0) {
			ret = GK_ERR_TIMEOUT;
			break;
		}
		got = recv(fd, buf + len, sizeof(buf) - 1 - len, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0) {
			ret = got == 0 ? 0 : GK_ERR_SYSTEM;
			break;
		}
		len += (size_t)got;
		buf[len] = '\0';
		while ((nl = strchr(buf, '\n'))) {
			*nl = '\0';
			fn(ctx, buf);
			len -= (size_t)(nl + 1 - buf);
			memmove(buf, nl + 1, len + 1);
		}
		if (len == sizeof(buf) - 1)
			break;
	}
out:
	close(fd);
	return ret;
}

int gk_cli_capture(const char *const argv[], char *out, size_t cap,
		   unsigned seconds)
{
	uint64_t end = gk_now_ms() + seconds * 1000;
	int p[2], status, ret = GK_ERR_TIMEOUT;
	size_t len = 0;
	pid_t pid;

	out[0] = '\0';
	if (pipe2(p, O_CLOEXEC) < 0)
		return GK_ERR_SYSTEM;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(p[1], 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return GK_ERR_SYSTEM;
	}
	for (;;) {
		struct pollfd w = { .fd = p[0], .events = POLLIN };
		ssize_t n;

		if (poll(&w, 1, left(end)) <= 0)
			break;
		n = read(p[0], out + len, cap - 1 - len);
		if (n <= 0) {
			ret = 0;
			break;
		}
		len += (size_t)n;
	}
	out[len] = '\0';
	close(p[0]);
	if (ret)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return GK_ERR_SYSTEM;
	if (ret)
		return ret;
	return WIFEXITED(status) ? WEXITSTATUS(status) : GK_ERR_SYSTEM;
}
