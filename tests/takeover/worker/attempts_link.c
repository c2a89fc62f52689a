/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker that was taken over says to its supervisor. */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "evil.h"

enum {
	FLOOD = 20000,
	LOG_TEXT = 4,	/* where a LOG's text begins (gatekeeper-link(7)) */
};

/* Bytes as they are, past the worker's own encoder; waits while it is full. */
static int raw(const void *bytes, size_t len)
{
	struct pollfd p = { .fd = GK_WORKER_SOCK_FD, .events = POLLOUT };

	while (send(GK_WORKER_SOCK_FD, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		if (errno != EAGAIN || poll(&p, 1, 2000) <= 0)
			return errno ? errno : ETIMEDOUT;
	return GK_SENT;
}

/* A header (gatekeeper-link(7)) with zeros behind it. */
static size_t header(uint8_t *buf, uint8_t type, uint8_t device, uint8_t generation)
{
	int len = gk_link_payload_len(type);

	memset(buf, 0, GK_LINK_FRAME_MAX);
	buf[0] = GK_LINK_VERSION;
	buf[1] = type;
	buf[2] = (uint8_t)(len < 0 ? 8 : len);
	buf[4] = device;
	buf[8] = generation;
	return (size_t)GK_LINK_HEADER + buf[2];
}

static int zeros(uint8_t type, uint8_t device)
{
	uint8_t buf[GK_LINK_FRAME_MAX];

	return raw(buf, header(buf, type, device, device));
}

static int key(uint8_t code, uint8_t device)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	size_t len = header(buf, GK_LINK_KEY, device, device);
	int r = GK_SENT;

	for (uint8_t value = 1; value != 255 && r == GK_SENT; value--) {
		buf[GK_LINK_HEADER] = code;
		buf[GK_LINK_HEADER + 2] = value;
		r = raw(buf, len);
	}
	return r;
}

/* A whole DEVICE message that names another port and controller, as if it came
 * from the gate: a keyboard at port 7 of controller 0x30. */
static int device(struct gk_worker *w)
{
	struct gk_frame f = { .type = GK_LINK_DEVICE, .device = 9, .generation = 900 };
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n;

	(void)w;
	f.u.dev.path = (struct gk_port_path){ 0x30, 0, 1, { 7 } };
	f.u.dev.asked = GK_ROLE_KEYBOARD;
	f.u.dev.granted = GK_ROLE_KEYBOARD;
	f.u.dev.verdict = GK_VERDICT_ADMITTED;
	f.u.dev.reason = 1;
	f.u.dev.interfaces = 1;
	f.u.dev.shown[0].base_class = 3;
	f.u.dev.shown[0].role = GK_ROLE_KEYBOARD;
	n = gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf));
	return n < 0 ? EINVAL : raw(buf, (size_t)n);
}

#define SAY(name, call)				\
	static int name(struct gk_worker *w)	\
	{					\
		(void)w;			\
		return call;			\
	}

SAY(other_device, key(KEY_A, 1))
SAY(gone, zeros(GK_LINK_GONE, 1))
SAY(hello, zeros(GK_LINK_HELLO, 0))
SAY(led, zeros(GK_LINK_LED, 1))
SAY(quiesce, zeros(GK_LINK_QUIESCE, 0))
SAY(quiesced, zeros(GK_LINK_QUIESCED, 0))
SAY(grant, zeros(GK_LINK_GRANT, 0))
SAY(unknown, zeros(77, 0))
/* Types nothing, whoever may. */
SAY(own_key, key(KEY_MUHENKAN, 0))
SAY(fido, zeros(GK_LINK_FIDO, 0))
SAY(fido_other, zeros(GK_LINK_FIDO, 1))
SAY(sysrq, key(KEY_SYSRQ, 0))
SAY(power, key(KEY_POWER, 0))
SAY(short_frame, raw("\1\4", 2))
SAY(empty_frame, raw("", 0))

/* More than it was granted: the storage interface as a FIDO key, later. */
static int found(struct gk_worker *w)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	size_t len = header(buf, GK_LINK_FOUND, 0, 0);

	(void)w;
	buf[GK_LINK_HEADER] = 1;
	buf[GK_LINK_HEADER + 1] = GK_ROLE_FIDO;
	return raw(buf, len);
}

static int fido_short(struct gk_worker *w)
{
	uint8_t buf[GK_LINK_FRAME_MAX];

	(void)w;
	header(buf, GK_LINK_FIDO, 0, 0);
	buf[2] = 8;
	return raw(buf, GK_LINK_HEADER + 8);
}

static int long_frame(struct gk_worker *w)
{
	static uint8_t buf[8192];

	(void)w;
	header(buf, GK_LINK_PING, 0, 0);
	return raw(buf, sizeof(buf));
}

/* Control characters: on a terminal they would clear the screen. */
static int log_control(struct gk_worker *w)
{
	static const char text[] = "\033[2J\033[Htakeover believed";
	uint8_t buf[GK_LINK_FRAME_MAX];
	size_t len = header(buf, GK_LINK_LOG, 0, 0);

	(void)w;
	buf[GK_LINK_HEADER] = 5;
	buf[GK_LINK_HEADER + 1] = sizeof(text) - 1;
	memcpy(buf + GK_LINK_HEADER + LOG_TEXT, text, sizeof(text) - 1);
	return raw(buf, len);
}

static int flood(uint8_t type, uint8_t first, uint8_t second)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	size_t len = header(buf, type, 0, 0);
	int r = GK_SENT;

	buf[GK_LINK_HEADER] = first;
	for (unsigned i = 0; i < FLOOD && r == GK_SENT; i++) {
		buf[GK_LINK_HEADER + 1] = second;
		if (type == GK_LINK_KEY) {
			buf[GK_LINK_HEADER + 1] = 0;
			buf[GK_LINK_HEADER + 2] = !(i % 2);
		}
		if (type == GK_LINK_LOG)
			buf[GK_LINK_HEADER + LOG_TEXT] = 'x';
		r = raw(buf, len);
	}
	return r;
}

/* A key that types nothing and changes nothing of what another keyboard types. */
SAY(key_flood, flood(GK_LINK_KEY, KEY_MUHENKAN, 0))
SAY(fido_flood, flood(GK_LINK_FIDO, 0xff, 0xff))
SAY(log_flood, flood(GK_LINK_LOG, 5, 1))
SAY(ping_flood, flood(GK_LINK_PING, 1, 0))

static int spin(struct gk_worker *w)
{
	(void)w;
	for (volatile unsigned long i = 0;; i++)
		;
	return GK_SUCCEEDED;
}

static int hang(struct gk_worker *w)
{
	(void)w;
	for (;;)
		poll(NULL, 0, -1);
	return GK_SUCCEEDED;
}

/* The supervisor ends most of these; none may reach dom0. */
const struct gk_attempt gk_link_attempts[] = {
	{ "key-as-other-device", other_device },
	{ "key-of-its-own", own_key },
	{ "fido", fido },
	{ "fido-as-other-device", fido_other },
	{ "fido-short", fido_short },
	{ "device-other-port", device },
	{ "gone-other-device", gone },
	{ "hello", hello },
	{ "led-other-device", led },
	{ "quiesce", quiesce },
	{ "quiesced", quiesced },
	{ "found-after-grant", found },
	{ "grant", grant },
	{ "unknown-type", unknown },
	{ "key-sysrq", sysrq },
	{ "key-power", power },
	{ "log-control-characters", log_control },
	{ "short-frame", short_frame },
	{ "empty-frame", empty_frame },
	{ "long-frame", long_frame },
	{ "ping-flood", ping_flood },
	{ "log-flood", log_flood },
	{ "fido-flood", fido_flood },
	{ "spin", spin },
	{ "hang", hang },
	{ "key-flood", key_flood },
};
const unsigned gk_link_attempts_n =
	sizeof(gk_link_attempts) / sizeof(gk_link_attempts[0]);
