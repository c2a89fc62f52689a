/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for the worker of a keyboard, or of a FIDO key, under the real supervisor, on a machine without
 * USB: says what the supervisor wants to hear (gatekeeper-link(7), INSIDE EACH
 * DOMAIN), types some keys now and then, and tells of the lights by LOG.
 * Arguments: UID {INTERFACE KIND FITS ...}...
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link.h"

enum { SOCK = 4, KEY_EVERY_MS = 50, GRANT_MS = 3000 };

static void put(const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_WORKER, b, sizeof(b));

	if (n < 0 || send(SOCK, b, (size_t)n, MSG_NOSIGNAL) != n)
		_exit(5);
}

static void ping(uint8_t reply, uint64_t token)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	f.u.ping.reply = reply;
	f.u.ping.token = token;
	put(&f);
}

/* 1: *f is the next frame of the supervisor; 0: none in that time. */
static int take(struct gk_frame *f, int ms)
{
	struct pollfd p = { .fd = SOCK, .events = POLLIN };
	uint8_t b[GK_LINK_FRAME_MAX];
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	n = recv(SOCK, b, sizeof(b), 0);
	if (n <= 0 || gk_link_decode(b, (size_t)n, GK_SIDE_SUPERVISOR, f) < 0)
		_exit(5);
	return 1;
}

/* INIT is all that this key can do (CTAP 2.1 11.2.9.1.3). */
static void inits(const uint8_t asked[GK_LINK_REPORT])
{
	struct gk_frame out = { .type = GK_LINK_FIDO };
	uint8_t *p = out.u.fido.packet;

	if (asked[4] != 0x86)
		return;
	memcpy(p, asked, 4);
	p[4] = 0x86;
	p[6] = 17;
	memcpy(p + 7, asked + 7, 8);
	memcpy(p + 15, "GK\1\2", 4);
	p[19] = 2;
	put(&out);
}

static void answer(const struct gk_frame *f)
{
	struct gk_frame out = { .type = GK_LINK_LOG };

	if (f->type == GK_LINK_QUIESCE)
		_exit(0);
	if (f->type == GK_LINK_PING && !f->u.ping.reply)
		ping(1, f->u.ping.token);
	if (f->type == GK_LINK_FIDO)
		inits(f->u.fido.packet);
	if (f->type != GK_LINK_LED)
		return;
	out.u.log.level = 6;
	out.u.log.len = 8;
	memcpy(out.u.log.text, "lights 0", 8);
	out.u.log.text[7] = (char)('0' + f->u.led.leds);
	put(&out);
}

int main(int argc, char **argv)
{
	struct gk_frame f = { .type = GK_LINK_FOUND };
	unsigned turn = 0;
	int types;

	f.u.found.interface = argc > 2 ? (uint8_t)atoi(argv[2]) : 0;
	f.u.found.roles = argc > 4 && atoi(argv[4]) & GK_ROLE_FIDO ? GK_ROLE_FIDO :
							 GK_ROLE_KEYBOARD;
	types = f.u.found.roles == GK_ROLE_KEYBOARD;
	put(&f);
	ping(0, 0);
	do {
		if (!take(&f, GRANT_MS))
			break;
		if (f.type == GK_LINK_QUIESCE)
			_exit(0);
	} while (f.type != GK_LINK_PING);
	ping(0, 1);
	for (;;) {
		struct gk_frame k = { .type = GK_LINK_KEY };

		if (take(&f, KEY_EVERY_MS)) {
			answer(&f);
			continue;
		}
		if (!types)
			continue;
		k.u.key.code = (uint16_t)(30 + turn / 2 % 8);
		k.u.key.value = turn++ % 2 == 0;
		put(&k);
	}
}
