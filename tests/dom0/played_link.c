/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands where gatekeeperd looks for gatekeeper-link, for programs.sh: a
 * session with one keyboard, one disk and one security key, as good as the real
 * reader would pass it on. The key answers CTAPHID_INIT; requests it leaves
 * unanswered, and says on stderr when there is one, and when it is cancelled.
 * The file `how` beside it says what is different: "violation": it ends with that
 * status after a moment; "rogue": it passes on a frame that it must not; "stays":
 * it closes its end and does not go.
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

enum { KEYBOARD = 1, DISK, KEY };

static void device(uint32_t id, uint8_t port, uint8_t class, uint8_t role)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE, .device = id, .generation = id,
	};

	/* The controller is the gate's 00:01.0. */
	f.u.dev.path = (struct gk_port_path){
		.controller = 8, .depth = 1, .port = { port },
	};
	f.u.dev.vid = 0x0627;
	f.u.dev.pid = 0x0001;
	f.u.dev.asked = f.u.dev.granted = role;
	f.u.dev.verdict = role ? GK_VERDICT_ADMITTED : GK_VERDICT_REFUSED;
	f.u.dev.reason = role ? GK_REASON_ADMITTED : GK_REASON_NO_ROLE;
	f.u.dev.interfaces = 1;
	f.u.dev.shown[0].base_class = class;
	f.u.dev.shown[0].role = f.u.dev.granted;
	put(&f);
}

/* CTAP 2.1 11.2.9: commands with the bit of a first packet. */
static void key_hears(const uint8_t packet[GK_LINK_REPORT])
{
	static const uint8_t channel[] = { 0, 0, 0, 7, 2, 0, 0, 1, 4 };
	struct gk_frame f = { .type = GK_LINK_FIDO, .device = KEY, .generation = KEY };

	if (packet[4] == 0x90)
		fputs("gatekeeper-link: played key: asked\n", stderr);
	memcpy(f.u.fido.packet, packet, 15);
	if (packet[4] == 0x86) {
		f.u.fido.packet[6] = 17;
		memcpy(f.u.fido.packet + 15, channel, sizeof(channel));
	} else if (packet[4] == 0x91) {
		fputs("gatekeeper-link: played key: cancelled\n", stderr);
		/* CTAP2_ERR_KEEPALIVE_CANCEL */
		memcpy(f.u.fido.packet + 4, (uint8_t[]){ 0x90, 0, 1, 0x2d }, 4);
	} else {
		return;
	}
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
	device(KEYBOARD, 2, 3, GK_ROLE_KEYBOARD);
	device(DISK, 3, 8, 0);
	device(KEY, 4, 3, GK_ROLE_FIDO);
	if (!strncmp(how, "rogue", 5)) {
		f = (struct gk_frame){
			.type = GK_LINK_KEY, .device = DISK, .generation = DISK,
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
		if (gk_link_decode(buf, (size_t)n, GK_SIDE_DOM0, &f) < 0)
			continue;
		if (f.type == GK_LINK_FIDO)
			key_hears(f.u.fido.packet);
		if (f.type != GK_LINK_PING || f.u.ping.reply)
			continue;
		f.u.ping.reply = 1;
		put(&f);
	}
}
