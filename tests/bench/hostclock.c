/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostclock SOCKET: tells the time of the host, eight bytes of CLOCK_MONOTONIC in ns
 * (little-endian), for each byte that comes in. One client; ends with it, and with
 * the process that has the other end of stdin.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int answer(int fd)
{
	struct timespec ts;
	uint8_t b[64], out[8];
	ssize_t n = read(fd, b, sizeof(b));
	uint64_t ns;

	if (n <= 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(ns >> 8 * i);
	while (n-- > 0)
		if (write(fd, out, sizeof(out)) != (ssize_t)sizeof(out))
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 2 || strlen(argv[1]) >= sizeof(a.sun_path))
		return 2;
	memcpy(a.sun_path, argv[1], strlen(argv[1]) + 1);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener, 1) < 0) {
		perror(argv[1]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	p[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
	for (;;) {
		if (poll(p, 2, -1) < 0 || p[0].revents)
			return 0;
		if (!p[1].revents)
			continue;
		if (p[1].fd == listener)
			p[1].fd = accept(listener, NULL, NULL);
		else if (answer(p[1].fd) < 0)
			return 0;
	}
}
