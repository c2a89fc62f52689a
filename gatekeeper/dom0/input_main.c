/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper-input-proxy: the far end of Qubes OS's input-proxy-sender, for
 * gatekeeperd. Here: where the stream comes from, and the way into the jail; nothing
 * is read of the stream outside of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0/input_jail.h"
#include "dom0/input_proxy.h"
#include "dom0/input_reader.h"

#ifndef GK_VERSION
#define GK_VERSION "0.1"
#endif

enum {
	DAEMON_FD = 3,
	SYSTEMD_FD = 3,		/* sd_listen_fds(3) */
	NAME_MAX_BYTES = 31,	/* of a domain, Qubes OS's own bound */
	BACKLOG = GK_INPUT_STREAMS,
};

static const char *run_dir = "/run/gatekeeper";

static int is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "0123456789_.-");

	return n >= 1 && n <= NAME_MAX_BYTES && !s[n];
}

static int address(struct sockaddr_un *a, const char *dir, const char *name)
{
	int n;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(a->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* 0, or an exit status. */
static int reach_daemon(void)
{
	struct sockaddr_un a;
	int fd = -1;

	if (address(&a, run_dir, "/" GK_INPUT_SOCKET) == 0)
		fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			gk_input_say("gatekeeperd takes no input proxy now: "
				     "input_proxy = yes in gatekeeper.conf, and the "
				     "controllers handed over, are needed");
		else
			gk_input_say("%s: %s", a.sun_path, strerror(errno));
		return GK_INPUT_EXIT_REFUSED;
	}
	if (fd != DAEMON_FD && dup2(fd, DAEMON_FD) < 0) {
		gk_input_say("dup2: %s", strerror(errno));
		return GK_INPUT_EXIT_SETUP;
	}
	return 0;
}

/* The stream is on fd 0 and 1. */
static int serve(const char *from)
{
	const char *step;
	int flags, err = reach_daemon();

	if (err)
		return err;
	/* Lights are best effort: who does not read them does not hold up keys. */
	flags = fcntl(STDOUT_FILENO, F_GETFL);
	if (flags >= 0 && fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK) < 0) {
		gk_input_say("fcntl: %s", strerror(errno));
		return GK_INPUT_EXIT_SETUP;
	}
	if (close_range(DAEMON_FD + 1, ~0u, 0) < 0) {
		gk_input_say("close_range: %s", strerror(errno));
		return GK_INPUT_EXIT_SETUP;
	}
	if (gk_input_jail(&step)) {
		gk_input_say("cannot drop privileges: %s: %s", step, strerror(errno));
		return GK_INPUT_EXIT_SETUP;
	}
	gk_input_reader(from);
}

/* --- several, on a listening socket --- */

static int listen_at(const char *path)
{
	struct sockaddr_un a;
	struct stat st;
	int fd;

	if (address(&a, path, "") < 0)
		return -1;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	umask(0177);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int serve_all(int listener, const char *from)
{
	unsigned children = 0;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pid_t pid;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			gk_input_say("accept: %s", strerror(errno));
			return GK_INPUT_EXIT_SETUP;
		}
		while (children && waitpid(-1, NULL, WNOHANG) > 0)
			children--;
		if (children >= GK_INPUT_STREAMS) {
			gk_input_say("%d senders are there already", GK_INPUT_STREAMS);
			close(fd);
			continue;
		}
		pid = fork();
		if (pid == 0) {
			close(listener);
			if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
				_exit(GK_INPUT_EXIT_SETUP);
			_exit(serve(from));
		}
		if (pid < 0)
			gk_input_say("fork: %s", strerror(errno));
		else
			children++;
		close(fd);
	}
}

/* A listening socket of systemd's, or -1. */
static int from_systemd(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int listens = 0;
	socklen_t len = sizeof(listens);
	char self[16];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	if (!pid || !fds || strcmp(pid, self) || strcmp(fds, "1"))
		return -1;
	if (getsockopt(SYSTEMD_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 ||
	    !listens)
		return -1;
	return SYSTEMD_FD;
}

static void usage(FILE *to)
{
	fputs("usage: gatekeeper-input-proxy [OPTION]...\n"
	      "Takes the keys of an input-proxy-sender of Qubes OS (on standard input, "
	      "its\nlights go to standard output) and gives them to gatekeeperd.\n\n"
	      "  --from NAME      the sender's domain; else $QREXEC_REMOTE_DOMAIN\n"
	      "  --socket PATH    listen there, for several senders\n"
	      "  --run-dir DIR    of gatekeeperd, instead of /run/gatekeeper\n"
	      "  --help, --version\n", to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "socket", required_argument, NULL, 's' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *from = getenv("QREXEC_REMOTE_DOMAIN"), *path = NULL;
	int c, listener;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			from = optarg;
			break;
		case 's':
			path = optarg;
			break;
		case 'r':
			run_dir = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("gatekeeper-input-proxy " GK_VERSION);
			return 0;
		default:
			usage(stderr);
			return GK_INPUT_EXIT_USAGE;
		}
	}
	if (optind != argc || (from && !is_name(from)) ||
	    (!path && isatty(STDIN_FILENO))) {
		usage(stderr);
		return GK_INPUT_EXIT_USAGE;
	}
	from = from ? from : "";
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	listener = path ? listen_at(path) : from_systemd();
	if (path && listener < 0) {
		gk_input_say("%s: %s", path, strerror(errno));
		return GK_INPUT_EXIT_SETUP;
	}
	return listener < 0 ? serve(from) : serve_all(listener, from);
}
