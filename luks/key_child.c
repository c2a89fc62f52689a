/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper-key: the only process that parses what a security key says beyond
 * its packets. Started by the unlocker and by `gatekeeper enroll`, never by hand.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "luks/key_child.h"

static struct gk_key_request request;
static struct gk_key_reply reply;

static int say(const struct gk_key_reply *r)
{
	ssize_t n = send(GK_KEY_FD_PARENT, r, sizeof(*r), MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(*r) ? 0 : -1;
}

static void touched(void)
{
	struct gk_key_reply r = {
		.say = GK_KEY_TOUCH, .ask = request.ask, .seq = request.seq,
	};

	/* The next packet to read, or the end, comes from the other side. */
	if (say(&r) < 0)
		return;
}

static int is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int main(int argc, char **argv)
{
	const char *step = "";

	(void)argv;
	if (argc != 1 || !is_socket(GK_KEY_FD_PARENT) || !is_socket(GK_KEY_FD_DEVICE)) {
		fputs("gatekeeper-key is started by gatekeeper-unlock; see "
		      "gatekeeper-unlock(8)\n", stderr);
		return 2;
	}
	if (gk_fido_warm()) {
		fputs("gatekeeper-key: libfido2 does not start\n", stderr);
		return 1;
	}
	if (gk_key_jail(&step)) {
		fprintf(stderr, "gatekeeper-key: %s: %s\n", step, strerror(errno));
		return 1;
	}
	for (;;) {
		ssize_t n = recv(GK_KEY_FD_PARENT, &request, sizeof(request), 0);

		if (n <= 0)
			break;
		if (gk_key_request_check(&request, (size_t)n))
			break;
		memset(&reply, 0, sizeof(reply));
		reply.say = GK_KEY_DONE;
		reply.ask = request.ask;
		reply.seq = request.seq;
		gk_fido_answer(&request, &reply, touched);
		explicit_bzero(&request, sizeof(request));
		if (say(&reply) < 0)
			break;
		explicit_bzero(&reply, sizeof(reply));
	}
	explicit_bzero(&request, sizeof(request));
	explicit_bzero(&reply, sizeof(reply));
	return 0;
}
