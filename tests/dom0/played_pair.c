/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands where gatekeeperd looks for gatekeeper-link, for handoff.py, as the link
 * readers to the gate and to an agent: a session with a keyboard and a disk, as good
 * as the real reader would pass it on. It is an agent's when there is a file
 * `agent-ID` beside it for the domain that it is to reach: then it tells of nothing
 * before that domain owns the controller by the file xenstore, takes the manifest,
 * and does as the words in `agent-ID` say: "no-server", "mute" (no HELLO), "refuses"
 * (ends at the manifest), "nothing" (no devices ever), "other" (another keyboard at
 * the same port), "moved" (the same at another port), "more" (one more keyboard),
 * "chatty" (far too much before the manifest and after it), "disk" (only the disk), "posing" (the disk's descriptors, as a keyboard),
 * "lost" (it ends when it has told of the devices), "deaf" (no answer to QUIESCE; so,
 * and "other", too in the file `how` for the gate). Both type a key when a file `type` appears,
 * and note what they are sent in `told-ID`.
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

enum { ENUMERATION_US = 250000 };

static char dir[512];	/* where this program is, with its '/' */

static int read_beside(const char *name, char *text, size_t cap)
{
	char path[600];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", dir, name);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, cap - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return f != NULL;
}

static int is_beside(const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	return access(path, F_OK) == 0;
}

static void note(const char *domid, const char *what)
{
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%stold-%s", dir, domid);
	f = fopen(path, "ae");
	if (f) {
		fprintf(f, "%s\n", what);
		fclose(f);
	}
}

static void keyboard_at(uint32_t id, uint8_t port, uint8_t hash)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE, .device = id, .generation = id,
		.u.dev = {
			.path = { .controller = 8, .depth = 1, .port = { port } },
			.vid = 0x0627, .pid = 1, .interfaces = 1,
			.asked = GK_ROLE_KEYBOARD, .granted = GK_ROLE_KEYBOARD,
			.verdict = GK_VERDICT_ADMITTED, .reason = GK_REASON_ADMITTED,
			.shown = { { .base_class = 3, .role = GK_ROLE_KEYBOARD } },
		},
	};

	f.u.dev.sha256[0] = hash;
	put(&f);
}

/* Shift, which the person holds down when it is let go of. */
static void type(uint32_t id, uint16_t code, uint8_t value)
{
	struct gk_frame f = {
		.type = GK_LINK_KEY, .device = id, .generation = id,
		.u.key = { .code = code, .value = value },
	};

	put(&f);
}

enum { LINES = 600 };

static void chat(void)
{
	struct gk_frame f = {
		.type = GK_LINK_LOG,
		.u.log = { .level = 6, .len = 4, .text = "blah" },
	};

	for (int i = 0; i < LINES; i++)
		put(&f);
}

/* One that has no entry, plugged in again and again. */
static void replug(void)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE, .device = 4,
		.u.dev = {
			.path = { .controller = 8, .depth = 1, .port = { 6 } },
			.vid = 0x0627, .pid = 4, .interfaces = 1,
			.asked = GK_ROLE_FIDO, .granted = GK_ROLE_FIDO,
			.verdict = GK_VERDICT_ADMITTED, .reason = GK_REASON_ADMITTED,
			.shown = { { .base_class = 3, .role = GK_ROLE_FIDO } },
		},
	};

	for (uint32_t i = 0; i < LINES; i++) {
		f.generation = 100 + i;
		put(&f);
	}
}

static void agent_devices(const char *how)
{
	if (strstr(how, "nothing"))
		return;
	if (strstr(how, "disk")) {
		device(2, 3, 8);
		return;
	}
	if (strstr(how, "posing")) {
		keyboard_at(1, 3, 0);
		return;
	}
	if (strstr(how, "moved"))
		keyboard_at(1, 4, 0);
	else
		keyboard_at(1, 2, strstr(how, "other") ? 9 : 0);
	device(2, 3, 8);
	if (strstr(how, "chatty"))
		replug();
	if (strstr(how, "more"))
		keyboard_at(3, 5, 7);
}

/* Whatever gatekeeperd sends, and what happens to the files. */
static int session(const char *domid, const char *how, int agent)
{
	int told = !agent, typed = 0;
	char store[4096], owns[32];
	struct gk_frame f;

	snprintf(owns, sizeof(owns), "owns %s ", domid);
	for (;;) {
		struct pollfd p = { .fd = 3, .events = POLLIN };
		uint8_t buf[GK_LINK_FRAME_MAX];
		ssize_t n;

		if (!told && read_beside("../../../xenstore", store, sizeof(store)) &&
		    strstr(store, owns)) {
			told = 1;
			usleep(ENUMERATION_US);
			agent_devices(how);
			if (strstr(how, "lost"))
				return GK_LINK_EXIT_CLOSED;
		}
		if (told && !typed && is_beside("type")) {
			typed = 1;
			type(1, 42, 1);
			type(1, 30, 1);
			type(1, 30, 0);
		}
		if (typed && !is_beside("type"))
			typed = 0;
		if (poll(&p, 1, 10) <= 0)
			continue;
		n = recv(3, buf, sizeof(buf), 0);
		if (n <= 0)
			return GK_LINK_EXIT_DONE;
		if (gk_link_decode(buf, (size_t)n, GK_SIDE_DOM0, &f) < 0)
			continue;
		if (f.type != GK_LINK_PING)
			note(domid, gk_link_type_name(f.type));
		if (f.type == GK_LINK_MANIFEST && strstr(how, "refuses"))
			return GK_LINK_EXIT_CLOSED;
		if (f.type == GK_LINK_QUIESCE && !strstr(how, "deaf")) {
			f = (struct gk_frame){ .type = GK_LINK_QUIESCED };
			f.u.quiesced.complete = f.u.quiesced.controllers = 1;
			put(&f);
		}
		if (f.type != GK_LINK_PING || f.u.ping.reply || strstr(how, "silent"))
			continue;
		f.u.ping.reply = 1;
		put(&f);
	}
}

int main(int argc, char **argv)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };
	char path[512], how[64] = "", text[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	char name[40];
	int agent;

	if (argc != 4 || argv[0][0] != '@' || n < 0)
		return GK_LINK_EXIT_USAGE;
	path[n] = '\0';
	strrchr(path, '/')[1] = '\0';
	memcpy(dir, path, sizeof(dir));
	snprintf(name, sizeof(name), "agent-%.16s", argv[3]);
	agent = read_beside(name, how, sizeof(how));
	if (agent && strstr(how, "no-server"))
		return GK_LINK_EXIT_NO_SERVER;
	if (!agent)
		read_beside("how", how, sizeof(how));
	if (agent && read_beside("../../../xenstore", text, sizeof(text))) {
		snprintf(name, sizeof(name), "owns %.16s ", argv[3]);
		agent = strstr(text, name) ? 2 : 1;
	}
	if (agent != 1)
		fputs("pci 0000:00:01.00 0000:00:14.0\n", stderr);
	fputs("gatekeeper-link: connected\n", stderr);
	f.u.hello.version_min = f.u.hello.version_max = GK_LINK_VERSION;
	memset(f.u.hello.nonce, 0x5a, GK_LINK_NONCE);
	if (agent && strstr(how, "mute"))
		for (;;)
			pause();
	put(&f);
	if (agent == 1 && strstr(how, "chatty"))
		chat();
	if (agent)
		return session(argv[3], how, 1);
	keyboard_at(1, 2, strstr(how, "other") ? 9 : 0);
	device(2, 3, 8);
	return session(argv[3], how, 0);
}
