/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/policy.h"
#include "core/usb_desc.h"
#include "digest.h"
#include "inventory.h"
#include "log.h"
#include "oom.h"
#include "worker.h"

#define WORKER "/worker"

enum {
	/* Frames taken from one worker in a turn, so that none starves others. */
	FRAMES_A_TURN = 32,
	/* LOG lines a device may cause in its life. */
	LOGS_MAX = 20,
	/* KEY frames a second. Nobody types 1,000 keys a second; a keyboard
	 * that does is put out before dom0 would end the whole gate for it. */
	KEYS_MAX = 2000,
	/* Of one root port: a hub full of anything leaves room for others. */
	PORT_DEVICES = 8,
	/* From the verdict to a worker that serves, or a hub that is set up.
	 * Longer than one unanswered control request takes (5 s). */
	START_MS = 7000,
	/* An unplugged device ends its worker before sysfs shows it gone: wait
	 * this long before the worker is blamed. */
	BLAME_MS = 300,
};

struct device {
	int used, seen;
	struct gk_present at;
	uint32_t generation;
	struct gk_link_device info;
	struct gk_judgement verdict;
	pid_t worker;		/* 0: none; kept until it is reaped */
	int sock;		/* -1: none */
	uint64_t start_ms;	/* being set up since then, 0: it is not */
	uint64_t lost_ms;	/* when its socket closed, 0: it has not */
	uint64_t window_ms;	/* of the rate of keys */
	unsigned keys, logs;
};

/* How often something appeared at a port lately. */
struct storm {
	unsigned busnum;
	struct gk_port_path path;
	unsigned count;
	uint64_t since_ms;
};

static struct {
	const struct gk_devices_ops *ops;
	struct device dev[GK_LINK_DEVICES];
	struct storm storm[GK_INVENTORY_MAX];
	uint32_t generation;
	int stopping;
	/* Static, not on the stack: the gate's stack is small and this is not. */
	uint8_t raw[GK_USB_RAW_MAX];
	struct gk_usb_device parsed;
	struct gk_rules rules;
	struct gk_present present[GK_INVENTORY_MAX];
} st;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint32_t id_of(const struct device *d)
{
	return (uint32_t)(d - st.dev) + 1;
}

void gk_devices_init(const struct gk_devices_ops *ops)
{
	struct gk_rules_note note;

	st.ops = ops;
	if (gk_rules_parse(gk_rules_default(), strlen(gk_rules_default()), &st.rules,
			   &note) < 0)
		gk_kmsg(3, "no rules");
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		st.dev[i].sock = -1;
}

static void tell(const struct device *d)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE,
		.device = id_of(d),
		.generation = d->generation,
	};

	f.u.dev = d->info;
	st.ops->send(&f);
}

static void tell_gone(const struct device *d, enum gk_reason reason)
{
	struct gk_frame f = {
		.type = GK_LINK_GONE,
		.device = id_of(d),
		.generation = d->generation,
	};

	f.u.gone.reason = (uint16_t)reason;
	st.ops->send(&f);
}

static void worker_end(struct device *d)
{
	if (d->sock >= 0)
		close(d->sock);
	d->sock = -1;
	if (d->worker > 0)
		kill(d->worker, SIGKILL);
	d->start_ms = 0;
	d->lost_ms = 0;
}

/*
 * Writing to `authorized` configures the device, with its strings and all, and
 * waits for it: each request it leaves unanswered takes 5 s. So that is never
 * done here, but in children.
 */
static void withdraw(const struct device *d)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(gk_inventory_set(&d->at, "authorized", 0) < 0);
	if (pid < 0)
		gk_kmsg(4, "%s stays authorised", d->at.name);
}

static void refuse(struct device *d, enum gk_reason reason)
{
	d->info.granted = 0;
	d->info.verdict = GK_VERDICT_REFUSED;
	d->info.reason = (uint16_t)reason;
}

/* Reads and judges; the raw bytes' digest is the device's identity. */
static void judge(struct device *d)
{
	struct gk_usb_device *p = &st.parsed;
	struct gk_rule_device facts;
	int n, err;

	memset(&d->info, 0, sizeof(d->info));
	d->info.path = d->at.path;
	n = gk_inventory_raw(&d->at, st.raw);
	err = n < 0 ? n : gk_usb_parse(st.raw, (size_t)n, p);
	if (n < 0)
		memset(p, 0, sizeof(*p));
	else
		gk_sha256(st.raw, (size_t)n, d->info.sha256);
	gk_policy_device(&facts, p);
	gk_policy_judge(p, err, &st.rules, &facts, &d->verdict);
	d->info.vid = p->vid;
	d->info.pid = p->pid;
	d->info.device_class = p->base_class;
	d->info.interfaces = p->first.interfaces;
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES && i < p->first.interfaces; i++)
		d->info.shown[i].base_class = p->first.interface[i].base_class;
	d->info.asked = d->verdict.asked;
	d->info.granted = d->verdict.granted;
	d->info.verdict = (uint8_t)d->verdict.verdict;
	d->info.reason = (uint16_t)d->verdict.reason;
	d->info.offset = d->verdict.offset;
}

/* How a child that set a device up ends; a worker's own are in worker.h. */
enum { SETUP_DONE = 0, SETUP_FAILED = 20, SETUP_CHANGED = 21 };

/* In the child: authorised, in the configuration that was judged, and still
 * the same? */
static int set_up(const struct device *d)
{
	uint8_t again[GK_SHA256];
	int n;

	if (gk_inventory_set(&d->at, "authorized", 1) < 0)
		return SETUP_FAILED;
	if (d->verdict.config &&
	    gk_inventory_get(&d->at, "bConfigurationValue") != d->verdict.config &&
	    gk_inventory_set(&d->at, "bConfigurationValue", d->verdict.config) < 0)
		return SETUP_FAILED;
	n = gk_inventory_raw(&d->at, st.raw);
	if (n < 0)
		return SETUP_FAILED;
	gk_sha256(st.raw, (size_t)n, again);
	if (memcmp(again, d->info.sha256, sizeof(again)) != 0)
		return SETUP_CHANGED;
	return SETUP_DONE;
}

/* The interfaces that the worker is for, as its arguments; how many. */
static unsigned grant_args(const struct device *d, char arg[][12], unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < st.parsed.first.interfaces &&
	     i < GK_USB_INTERFACES && n + 3 <= max; i++) {
		const struct gk_usb_interface *itf = &st.parsed.first.interface[i];

		if (d->verdict.role[i] != GK_ROLE_KEYBOARD)
			continue;
		snprintf(arg[n++], 12, "%u", itf->number);
		snprintf(arg[n++], 12, "%u", itf->in.address);
		snprintf(arg[n++], 12, "%u", itf->in.max_packet);
	}
	return n;
}

static void worker_exec(const struct device *d, int sock)
{
	char arg[3 * GK_WORKER_GRANTS][12], uid[12];
	char *argv[3 + 3 * GK_WORKER_GRANTS + 1] = {
		(char *)"worker", (char *)"keyboard", uid,
	};
	char *const envp[] = { NULL };
	unsigned n = grant_args(d, arg, 3 * GK_WORKER_GRANTS);
	sigset_t none;
	int usb;

	for (unsigned i = 0; i < n; i++)
		argv[3 + i] = arg[i];
	snprintf(uid, sizeof(uid), "%u", GK_WORKER_UID + id_of(d));
	usb = gk_inventory_open(&d->at);
	/* Both are above 4 here: the supervisor's own fds come first. */
	if (usb <= GK_WORKER_SOCK_FD || sock <= GK_WORKER_SOCK_FD ||
	    dup2(usb, GK_WORKER_USB_FD) < 0 || dup2(sock, GK_WORKER_SOCK_FD) < 0)
		_exit(SETUP_FAILED);
	gk_oom_score(1000);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(WORKER, argv, envp);
	_exit(GK_WORKER_USAGE);
}

/* A hub: set up by a child. A keyboard: set up by what then becomes its worker. */
static int start(struct device *d)
{
	int sv[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       sv) < 0)
		return GK_ERR_SYSTEM;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		status = set_up(d);
		if (status == SETUP_DONE && d->verdict.verdict != GK_VERDICT_HUB)
			worker_exec(d, sv[1]);
		_exit(status);
	}
	close(sv[1]);
	if (pid < 0 || st.ops->watch(sv[0], (unsigned)(d - st.dev)) < 0) {
		if (pid > 0)
			kill(pid, SIGKILL);
		close(sv[0]);
		d->worker = pid > 0 ? pid : 0;
		return GK_ERR_SYSTEM;
	}
	d->worker = pid;
	d->sock = sv[0];
	d->start_ms = now_ms();
	return GK_OK;
}

/* 1 if too much has happened at this port lately. */
static int storming(const struct gk_present *p)
{
	uint64_t now = now_ms();
	struct storm *s = NULL, *oldest = &st.storm[0];

	for (unsigned i = 0; i < GK_INVENTORY_MAX && !s; i++) {
		if (st.storm[i].since_ms < oldest->since_ms)
			oldest = &st.storm[i];
		if (st.storm[i].count && st.storm[i].busnum == p->busnum &&
		    memcmp(&st.storm[i].path, &p->path, sizeof(p->path)) == 0)
			s = &st.storm[i];
	}
	if (!s) {
		s = oldest;
		s->busnum = p->busnum;
		s->path = p->path;
		s->count = 0;
		s->since_ms = now;
	}
	if (now - s->since_ms > GK_STORM_WINDOW_MS) {
		s->since_ms = now;
		s->count = 0;
	}
	s->count++;
	/* Only a quiet port gets a new window. */
	if (s->count > GK_STORM_LIMIT)
		s->since_ms = now;
	return s->count > GK_STORM_LIMIT;
}

/* A free slot; not one whose worker is not reaped yet: its uid is in use. */
static struct device *free_slot(const struct gk_present *p)
{
	struct device *d = NULL;
	unsigned neighbours = 0;

	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_present *at = &st.dev[i].at;

		if (!st.dev[i].used && !st.dev[i].worker && !d)
			d = &st.dev[i];
		if (st.dev[i].used && at->busnum == p->busnum &&
		    at->path.port[0] == p->path.port[0])
			neighbours++;
	}
	return neighbours < PORT_DEVICES ? d : NULL;
}

static void appear(const struct gk_present *p)
{
	struct device *d = free_slot(p);
	enum gk_reason why = GK_REASON_NONE;

	/* No slot, no message: there is no id to speak of it by. It stays
	 * unauthorised and gets its turn when something else is unplugged. */
	if (!d || st.stopping)
		return;
	memset(d, 0, sizeof(*d));
	d->used = 1;
	d->seen = 1;
	d->sock = -1;
	d->at = *p;
	d->generation = ++st.generation;
	judge(d);
	if (storming(p))
		why = GK_REASON_TOO_MANY;
	else if (d->info.verdict == GK_VERDICT_HUB && p->path.depth > GK_HUB_DEPTH)
		why = GK_REASON_TOO_DEEP;
	else if (d->info.verdict != GK_VERDICT_REFUSED && start(d) < 0)
		why = GK_REASON_CONFIGURE;
	if (why != GK_REASON_NONE)
		refuse(d, why);
	/* Else it is told of when it is set up, and its worker serves it. */
	if (d->info.verdict == GK_VERDICT_REFUSED)
		tell(d);
}

static void vanish(struct device *d)
{
	pid_t worker = d->worker;
	int told = !d->start_ms;

	worker_end(d);
	if (told)
		tell_gone(d, GK_REASON_UNPLUGGED);
	memset(d, 0, sizeof(*d));
	d->sock = -1;
	d->worker = worker;
}

static int same(const struct gk_present *a, const struct gk_present *b)
{
	return a->ino == b->ino && a->devnum == b->devnum &&
	       strcmp(a->name, b->name) == 0;
}

void gk_devices_rescan(void)
{
	int n = gk_inventory_scan(st.present);
	uint8_t known[GK_INVENTORY_MAX] = { 0 };

	if (n < 0 || st.stopping)
		return;
	for (unsigned s = 0; s < GK_LINK_DEVICES; s++) {
		struct device *d = &st.dev[s];

		if (!d->used)
			continue;
		d->seen = 0;
		for (int i = 0; i < n; i++) {
			if (same(&d->at, &st.present[i])) {
				d->seen = 1;
				known[i] = 1;
			}
		}
		if (!d->seen)
			vanish(d);
	}
	for (int i = 0; i < n; i++)
		if (!known[i])
			appear(&st.present[i]);
}

/* A worker that ended, or that speaks nonsense: its device is out until it is
 * plugged in again. */
static void put_out(struct device *d, enum gk_reason reason)
{
	worker_end(d);
	withdraw(d);
	refuse(d, reason);
	d->generation = ++st.generation;
	tell(d);
}

static void on_key(struct device *d, struct gk_frame *f)
{
	uint64_t now = now_ms();

	if (d->start_ms || !(d->info.granted & GK_ROLE_KEYBOARD))
		return;
	if (now - d->window_ms >= 1000) {
		d->window_ms = now;
		d->keys = 0;
	}
	if (++d->keys > KEYS_MAX) {
		gk_kmsg(4, "%s types %d keys a second", d->at.name, KEYS_MAX);
		put_out(d, GK_REASON_WORKER);
		return;
	}
	st.ops->send(f);
}

/* Only what the role may say goes on, under the supervisor's own stamp. */
static void from_worker(struct device *d, struct gk_frame *f)
{
	f->device = id_of(d);
	f->generation = d->generation;
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_KEY:
		on_key(d, f);
		return;
	case GK_LINK_LOG:
		if (!d->start_ms && d->logs++ < LOGS_MAX)
			st.ops->send(f);
		return;
	case GK_LINK_PING:
		/* It serves its device now. */
		if (d->start_ms) {
			d->start_ms = 0;
			tell(d);
		}
		return;
	case GK_LINK_HELLO:
	case GK_LINK_DEVICE:
	case GK_LINK_GONE:
	case GK_LINK_LED:
	case GK_LINK_QUIESCE:
	case GK_LINK_QUIESCED:
	case GK_LINK_FOUND:
	case GK_LINK_GRANT:
		return;
	}
}

void gk_devices_worker_readable(unsigned slot)
{
	struct device *d = &st.dev[slot];
	uint8_t buf[GK_LINK_FRAME_MAX + 1];
	struct gk_frame f;

	for (int i = 0; i < FRAMES_A_TURN && d->sock >= 0; i++) {
		ssize_t n = recv(d->sock, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close(d->sock);
			d->sock = -1;
			/* A hub's child is done; a worker should not be. */
			if (d->verdict.verdict != GK_VERDICT_HUB)
				d->lost_ms = now_ms();
			return;
		}
		/* Letting go: dom0 has released the keys and hears no more. */
		if (st.stopping)
			continue;
		if (gk_link_decode(buf, (size_t)n, GK_SIDE_WORKER, &f) < 0) {
			put_out(d, GK_REASON_WORKER);
			return;
		}
		from_worker(d, &f);
	}
}

void gk_devices_tick(void)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i < GK_LINK_DEVICES && !st.stopping; i++) {
		struct device *d = &st.dev[i];

		if (!d->used)
			continue;
		if (d->lost_ms && now - d->lost_ms >= BLAME_MS)
			put_out(d, d->start_ms ? GK_REASON_CONFIGURE :
						 GK_REASON_WORKER);
		else if (d->start_ms && now - d->start_ms >= START_MS)
			put_out(d, GK_REASON_CONFIGURE);
	}
}

static void child_of(struct device *d, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	d->worker = 0;
	if (!d->used || st.stopping)
		return;
	if (code != GK_WORKER_DONE)
		gk_kmsg(4, "%s: its process ended, status %d", d->at.name, status);
	if (code == SETUP_CHANGED)
		put_out(d, GK_REASON_CHANGED);
	else if (code == SETUP_FAILED)
		put_out(d, GK_REASON_CONFIGURE);
	else if (d->verdict.verdict == GK_VERDICT_HUB && d->start_ms) {
		d->start_ms = 0;
		tell(d);
	}
}

int gk_devices_child_ended(pid_t pid, int status)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		if (st.dev[i].worker != pid)
			continue;
		child_of(&st.dev[i], status);
		return 1;
	}
	return 0;
}

void gk_devices_announce(void)
{
	uint32_t told = 0;

	for (unsigned n = 0; n < GK_LINK_DEVICES; n++) {
		struct device *next = NULL;

		for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
			struct device *d = &st.dev[i];

			if (d->used && !d->start_ms && d->generation > told &&
			    (!next || d->generation < next->generation))
				next = d;
		}
		if (!next)
			return;
		told = next->generation;
		tell(next);
	}
}

static void to_worker(struct device *d, struct gk_frame f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n;

	f.device = 0;
	f.generation = 0;
	n = gk_link_encode(&f, GK_SIDE_SUPERVISOR, buf, sizeof(buf));
	if (n > 0 && d->sock >= 0 &&
	    send(d->sock, buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		gk_kmsg(5, "%s: worker is busy", d->at.name);
}

void gk_devices_to_worker(const struct gk_frame *f)
{
	struct device *d;

	if (f->device == 0 || f->device > GK_LINK_DEVICES)
		return;
	d = &st.dev[f->device - 1];
	if (d->used && d->generation == f->generation)
		to_worker(d, *f);
}

void gk_devices_stop(void)
{
	struct gk_frame f = { .type = GK_LINK_QUIESCE };

	f.u.quiesce.deadline_ms = 1000;
	st.stopping = 1;
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		if (st.dev[i].used)
			to_worker(&st.dev[i], f);
}

unsigned gk_devices_workers(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		n += st.dev[i].worker > 0;
	return n;
}

void gk_devices_kill(void)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		if (st.dev[i].worker > 0)
			kill(st.dev[i].worker, SIGKILL);
}

unsigned gk_devices_admitted(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		n += st.dev[i].used && st.dev[i].info.granted != 0;
	return n;
}
