/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spawn.h"

#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "digest.h"
#include "log.h"
#include "oom.h"
#include "reduce.h"
#include "worker.h"

enum {
	DEVICE_DESCRIPTOR = 18,		/* bytes, USB 2.0 9.6.1 */
	GET_DESCRIPTOR = 6,		/* USB 2.0 9.4.3 */
	FROM_DEVICE = 0x80,
	TYPE_DEVICE = 0x0100,
	TYPE_CONFIGURATION = 0x0200,
	ANSWER_MS = 1000,		/* a device may take 500 ms (USB 2.0 9.2.6.4) */
	TRIES = 3,
	/* usbfs takes no more at once; what is behind it is not compared. */
	ONE_REQUEST = 4096,
};

static const struct gk_place *place;

void gk_spawn_init(const struct gk_place *p)
{
	place = p;
}

/* Whether the device says the same bytes now. */
static int says(int usb, uint16_t type, const uint8_t *bytes, size_t len)
{
	static uint8_t now[ONE_REQUEST];
	struct usbdevfs_ctrltransfer t = {
		.bRequestType = FROM_DEVICE,
		.bRequest = GET_DESCRIPTOR,
		.wValue = type,
		.wLength = (uint16_t)(len < ONE_REQUEST ? len : ONE_REQUEST),
		.timeout = ANSWER_MS,
		.data = now,
	};
	int n = -1;

	memset(now, 0, sizeof(now));
	/* Some devices miss the first request after they were configured. */
	for (int try = 0; try < TRIES && n != (int)t.wLength; try++)
		n = ioctl(usb, USBDEVFS_CONTROL, &t);
	if (n < 0)
		return GK_SPAWN_FAILED;
	return n == (int)t.wLength && memcmp(now, bytes, t.wLength) == 0 ?
	       GK_SPAWN_DONE : GK_SPAWN_CHANGED;
}

/*
 * The device and every configuration once more, byte by byte: what is served
 * must be what was judged. The bytes are those that gk_usb_parse() accepted, so
 * wTotalLength fits; it is looked at again all the same.
 */
static int still_says(int usb, const uint8_t *raw, size_t len)
{
	size_t off = DEVICE_DESCRIPTOR;
	int status;

	if (len < off)
		return GK_SPAWN_CHANGED;
	status = says(usb, TYPE_DEVICE, raw, off);
	for (uint16_t i = 0; !status && i < GK_USB_CONFIGS && len - off >= 4; i++) {
		size_t total = (size_t)raw[off + 2] | (size_t)raw[off + 3] << 8;

		if (total < 4 || total > len - off)
			return GK_SPAWN_CHANGED;
		status = says(usb, TYPE_CONFIGURATION | i, raw + off, total);
		off += total;
	}
	return status || off == len ? status : GK_SPAWN_CHANGED;
}

static int set_up(const struct gk_present *at, const struct gk_case *c, int *usb)
{
	static uint8_t raw[GK_USB_RAW_MAX];
	uint8_t sha256[GK_SHA256];
	int n;

	/* Tried before: from the beginning, with its endpoints as new. */
	if (gk_inventory_get(at, "authorized") == 1 &&
	    gk_inventory_set(at, "authorized", 0) < 0)
		return GK_SPAWN_FAILED;
	if (gk_inventory_set(at, "authorized", 1) < 0)
		return GK_SPAWN_FAILED;
	if (gk_inventory_get(at, "bConfigurationValue") != c->config &&
	    gk_inventory_set(at, "bConfigurationValue", c->config) < 0)
		return GK_SPAWN_FAILED;
	n = gk_inventory_raw(at, raw);
	*usb = gk_inventory_open(at);
	/* By name all this was; another may have that name by now. */
	if (n < 0 || *usb < 0 || !gk_inventory_there(at))
		return GK_SPAWN_FAILED;
	gk_sha256(raw, (size_t)n, sha256);
	if (memcmp(sha256, c->info.sha256, sizeof(sha256)) != 0)
		return GK_SPAWN_CHANGED;
	if (place->claim && place->claim(at, c, *usb) < 0)
		return GK_SPAWN_FAILED;
	return still_says(*usb, raw, (size_t)n);
}

static void worker_exec(const struct gk_case *c, uint32_t id, int usb, int sock)
{
	char arg[GK_CANDIDATES * GK_WORKER_WORDS][12], uid_text[12];
	char *argv[2 + GK_CANDIDATES * GK_WORKER_WORDS + 1] = {
		(char *)"worker", uid_text,
	};
	char *const envp[] = { NULL };
	uint32_t mask = 0;
	sigset_t none;
	unsigned n = 0;

	for (unsigned i = 0; i < c->candidates; i++) {
		const struct gk_candidate *k = &c->candidate[i];
		const unsigned word[GK_WORKER_WORDS] = {
			k->number, k->kind, k->fits, k->in_address, k->out_address,
			k->in_size, k->report_len,
		};

		mask |= 1u << k->number;
		for (unsigned w = 0; w < GK_WORKER_WORDS; w++, n++) {
			snprintf(arg[n], sizeof(arg[n]), "%u", word[w]);
			argv[2 + n] = arg[n];
		}
	}
	snprintf(uid_text, sizeof(uid_text), "%u",
		 (unsigned)(place->worker_uid + id));
	/* For ever: no other interface, no reset, no other configuration. */
	if (ioctl(usb, USBDEVFS_DROP_PRIVILEGES, &mask) < 0)
		_exit(GK_SPAWN_FAILED);
	/* Both are above 4 here: the supervisor's own fds come first. */
	if (usb <= GK_WORKER_SOCK_FD || sock <= GK_WORKER_SOCK_FD ||
	    dup2(usb, GK_WORKER_USB_FD) < 0 || dup2(sock, GK_WORKER_SOCK_FD) < 0)
		_exit(GK_SPAWN_FAILED);
	gk_oom_score(1000);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* What it is in becomes its root (gk_sandbox_enter). */
	if (chdir(place->worker_root) < 0)
		_exit(GK_SPAWN_FAILED);
	execve(place->worker, argv, envp);
	_exit(GK_WORKER_USAGE);
}

static int hub(const struct gk_present *at, const struct gk_case *c)
{
	int usb = -1;

	/* A hub that the kernel has may have devices behind it: it keeps it. */
	if (place->give)
		return place->give(at) < 0 ? GK_SPAWN_FAILED : GK_SPAWN_DONE;
	return set_up(at, c, &usb);
}

int gk_spawn(const struct gk_present *at, const struct gk_case *c, uint32_t id,
	     int *sock, pid_t *pid)
{
	int sv[2], status, usb = -1;

	*sock = -1;
	*pid = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       sv) < 0)
		return GK_ERR_SYSTEM;
	*pid = gk_fork_apart();
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (c->verdict == GK_VERDICT_HUB)
			_exit(hub(at, c));
		status = set_up(at, c, &usb);
		if (status == GK_SPAWN_DONE)
			worker_exec(c, id, usb, sv[1]);
		_exit(status);
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

static int give(const void *at)
{
	return place->give(at);
}

int gk_spawn_give(const struct gk_present *at, pid_t *pid)
{
	*pid = gk_child_run(give, at);
	if (*pid > 0)
		return GK_OK;
	*pid = 0;
	return GK_ERR_SYSTEM;
}

static int withdraw(const void *at)
{
	return gk_inventory_set(at, "authorized", 0);
}

void gk_spawn_withdraw(const struct gk_present *at)
{
	if (gk_child_run(withdraw, at) < 0)
		gk_kmsg(4, "%s stays authorised", at->name);
}

long gk_spawn_cpu_ms(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	/* Not from /proc: a worker is not the supervisor's to look into. */
	if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &used) < 0)
		return -1;
	return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}
