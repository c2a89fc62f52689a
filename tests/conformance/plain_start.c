/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In the place of spawn.c and reduce.c for a supervisor on a machine that is not
 * the gate: there is no usbdevfs to ask and no capability to give up, a worker is
 * just started.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "domain/reduce.h"
#include "domain/spawn.h"

enum { WORKER_SOCK = 4, WORDS = 4 };

int gk_reduce_supervisor(const struct sock_filter *filter, size_t n)
{
	(void)filter;
	(void)n;
	return GK_OK;
}

pid_t gk_fork_apart(void)
{
	return fork();
}

const char *gk_child_end(int status)
{
	(void)status;
	return NULL;
}

static const struct gk_place *place;

void gk_spawn_init(const struct gk_place *p)
{
	place = p;
}

int gk_spawn_give(const struct gk_present *at, pid_t *pid)
{
	*pid = fork();
	if (*pid == 0)
		_exit(place->give(at) < 0);
	return *pid > 0 ? GK_OK : GK_ERR_SYSTEM;
}

int gk_spawn(const struct gk_present *at, const struct gk_case *c, uint32_t id,
	     int *sock, pid_t *pid)
{
	char text[WORDS][12];
	char *argv[] = { (char *)"worker", text[0], text[1], text[2], text[3],
			 NULL };
	int sv[2];

	*sock = -1;
	*pid = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return GK_ERR_SYSTEM;
	*pid = fork();
	if (*pid == 0) {
		if (c->verdict == GK_VERDICT_HUB)
			_exit(place->give ? place->give(at) < 0 : 0);
		snprintf(text[0], sizeof(text[0]), "%u",
			 (unsigned)(place->worker_uid + id));
		snprintf(text[1], sizeof(text[1]), "%u",
			 c->candidates ? c->candidate[0].number : 0);
		snprintf(text[2], sizeof(text[2]), "%u",
			 c->candidates ? c->candidate[0].kind : 0);
		snprintf(text[3], sizeof(text[3]), "%u",
			 c->candidates ? c->candidate[0].fits : 0);
		if (dup2(sv[1], WORKER_SOCK) == WORKER_SOCK)
			execve(place->worker, argv, NULL);
		_exit(1);
	}
	close(sv[1]);
	if (*pid < 0) {
		close(sv[0]);
		*pid = 0;
		return GK_ERR_SYSTEM;
	}
	*sock = sv[0];
	return GK_OK;
}

void gk_spawn_end(pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGKILL);
}

void gk_spawn_withdraw(const struct gk_present *at)
{
	if (gk_inventory_set(at, "authorized", 0) < 0)
		perror("authorized");
}

long gk_spawn_cpu_ms(pid_t pid)
{
	(void)pid;
	return -1;
}
