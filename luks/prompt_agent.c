/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A question asked by a program, which prints what was typed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "luks/prompt.h"

static void send_signal(int pidfd, int sig)
{
	syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static void close_pipe(struct gk_prompt *p)
{
	gk_loop_del(p->loop, p->fd);
	close(p->fd);
	p->fd = -1;
}

/* Those that were told to end and may still be there. More questions than that in
 * two seconds there are not; if there were, the oldest is killed at once. */
enum { ENDING = 4 };
static struct ending {
	int pidfd;
	struct gk_timer timer;
} ending[ENDING] = {
	{ .pidfd = -1 }, { .pidfd = -1 }, { .pidfd = -1 }, { .pidfd = -1 },
};

static void kill_it(void *ctx)
{
	struct ending *e = ctx;

	send_signal(e->pidfd, SIGKILL);
	close(e->pidfd);
	e->pidfd = -1;
}

static void end_program(struct gk_prompt *p)
{
	static unsigned next;
	struct ending *e = &ending[next++ % ENDING];

	if (p->pidfd < 0)
		return;
	if (e->pidfd >= 0) {
		gk_timer_clear(p->loop, &e->timer);
		kill_it(e);
	}
	/* It takes its question back from the agents, then ends. */
	send_signal(p->pidfd, SIGTERM);
	e->pidfd = p->pidfd;
	p->pidfd = -1;
	gk_timer_set(p->loop, &e->timer, GK_PROMPT_KILL_MS, kill_it, e);
}

void gk_prompt_agent_withdraw(struct gk_prompt *p)
{
	if (p->fd >= 0)
		close_pipe(p);
	end_program(p);
}

static void finished(struct gk_prompt *p)
{
	size_t len = p->len;
	int answered;

	close_pipe(p);
	end_program(p);
	if (p->by == GK_PROMPT_SYSTEMD) {
		/* An empty answer is an empty line; no answer is nothing. */
		answered = len > 0 && p->text[len - 1] == '\n';
		len -= (size_t)answered;
	} else {
		answered = len > 0 || gk_now_ms() - p->asked_at > GK_PROMPT_FAILED_MS;
	}
	if (answered) {
		gk_prompt_answered(p, len);
		return;
	}
	p->question[0] = '\0';
	p->failed(p->ctx);
}

static void on_output(void *ctx, uint32_t events)
{
	struct gk_prompt *p = ctx;
	char junk[64];
	size_t room = GK_PASSPHRASE + 1 - p->len;
	ssize_t n;

	(void)events;
	n = room ? read(p->fd, p->text + p->len, room) : read(p->fd, junk, sizeof(junk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Too long for a passphrase: what is left has no newline and fails. */
	if (n > 0 && room)
		p->len += (size_t)n;
	if (n <= 0)
		finished(p);
	explicit_bzero(junk, sizeof(junk));
}

__attribute__((noreturn))
static void child_main(struct gk_prompt *p, int out, pid_t parent)
{
	static const char *const systemd[] = {
		"systemd-ask-password", "--no-tty", "--timeout=0",
		"--icon=drive-harddisk", NULL,
	};
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char *const env[] = { path, NULL };
	char id[sizeof(p->id) + 8] = "--id=", prompt[GK_PROMPT_TEXT + 16] = "--prompt=";
	const char *argv[8] = { NULL };
	unsigned n = 0;
	sigset_t none;
	int null;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0)
		_exit(126);
	close_range(3, ~0U, 0);
	if (p->by == GK_PROMPT_SYSTEMD) {
		while (systemd[n]) {
			argv[n] = systemd[n];
			n++;
		}
		strcat(id, p->id);
		argv[n++] = id;
		argv[n++] = "--";
		argv[n++] = p->question;
	} else {
		strcat(prompt, p->question);
		argv[n++] = "plymouth";
		argv[n++] = "ask-for-password";
		argv[n++] = prompt;
	}
	clearenv();
	putenv(path);
	execvpe(argv[0], (char *const *)(uintptr_t)argv, env);
	_exit(127);
}

int gk_prompt_agent_ask(struct gk_prompt *p)
{
	pid_t parent = getpid(), pid;
	int pipefd[2], err;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return GK_ERR_SYSTEM;
	pid = fork();
	if (pid == 0)
		child_main(p, pipefd[1], parent);
	close(pipefd[1]);
	p->pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	err = p->pidfd < 0 ? GK_ERR_SYSTEM :
	      gk_loop_add(p->loop, pipefd[0], EPOLLIN, on_output, p);
	if (err) {
		if (pid > 0)
			kill(pid, SIGKILL);
		if (p->pidfd >= 0)
			close(p->pidfd);
		p->pidfd = -1;
		close(pipefd[0]);
		return err;
	}
	p->fd = pipefd[0];
	return GK_OK;
}
