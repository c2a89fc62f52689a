/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands where gatekeeperd looks for gatekeeper-link, for programs.sh: a
 * session with one keyboard and one disk, as good as the real reader would
 * pass it on. The file `how` beside it says what is different:
 * "violation": it ends with that status after a moment; "rogue": it passes on
 * a frame that it must not; "stays": it closes its end and does not go.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link.h"
#include "core/policy.h"
#include "dom0/link_status.h"

static void put(const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_GATE, buf, sizeof(buf));

	if (n < 0 || send(3, buf, (size_t)n, MSG_NOSIGNAL) != n)
		_exit(GK_LINK_EXIT_DONE);
}

static void device(uint32_t id, uint8_t port, uint8_t class)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE, .device = id, .generation = id,
	};
	int keyboard = class == 3;

	/* The controller is the gate's 00:01.0. */
	f.u.dev.path = (struct gk_port_path){
		.controller = 8, .depth = 1, .port = { port },
	};
	f.u.dev.vid = 0x0627;
	f.u.dev.pid = 0x0001;
	f.u.dev.asked = f.u.dev.granted = keyboard ? GK_ROLE_KEYBOARD : 0;
	f.u.dev.verdict = keyboard ? GK_VERDICT_ADMITTED : GK_VERDICT_REFUSED;
	f.u.dev.reason = keyboard ? GK_REASON_ADMITTED : GK_REASON_NO_ROLE;
	f.u.dev.interfaces = 1;
	f.u.dev.shown[0].base_class = class;
	f.u.dev.shown[0].role = f.u.dev.granted;
	put(&f);
}

int main(int argc, char **argv)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };
	char path[512], how[32] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	FILE *file;

	if (argc != 4 || argv[0][0] != '@' || n < 0)
		return GK_LINK_EXIT_USAGE;
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "how");
	file = fopen(path, "re");
	if (file) {
		if (!fgets(how, sizeof(how), file))
			how[0] = '\0';
		fclose(file);
	}
	fputs("pci 0000:00:01.00 0000:00:14.0\n", stderr);
	fputs("gatekeeper-link: connected\n", stderr);
	f.u.hello.version_min = f.u.hello.version_max = GK_LINK_VERSION;
	memset(f.u.hello.nonce, 0x5a, GK_LINK_NONCE);
	put(&f);
	device(1, 2, 3);
	device(2, 3, 8);
	if (!strncmp(how, "rogue", 5)) {
		f = (struct gk_frame){
			.type = GK_LINK_KEY, .device = 2, .generation = 2,
			.u.key = { .code = 30, .value = 1 },
		};
		put(&f);
	}
	if (!strncmp(how, "violation", 9)) {
		usleep(300000);
		fputs("gatekeeper-link: the gate broke the protocol: KEY, "
		      "decoding: value not allowed\n", stderr);
		return GK_LINK_EXIT_VIOLATION;
	}
	if (!strncmp(how, "stays", 5)) {
		close(3);
		for (;;)
			pause();
	}
	for (;;) {
		uint8_t buf[GK_LINK_FRAME_MAX];

		n = recv(3, buf, sizeof(buf), 0);
		if (n <= 0)
			return GK_LINK_EXIT_DONE;
		if (gk_link_decode(buf, (size_t)n, GK_SIDE_DOM0, &f) < 0 ||
		    f.type != GK_LINK_PING || f.u.ping.reply)
			continue;
		f.u.ping.reply = 1;
		put(&f);
	}
}
