/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor as a state machine, in the gate and in a USB domain: gatekeeper/domain/devices.c with the
 * judge, the storm counter, the rules and all of core/ as they are. In place of
 * sysfs, processes and the clock stand mocks: the input is a sequence of what
 * happens (devices, workers, dom0, time), two to a few bytes each. The workers'
 * sockets are real ones.
 *
 * What must hold, whatever happens:
 *   - each frame for dom0 encodes, and dom0's own gk_session takes it;
 *   - a FIDO packet comes from a slot whose worker was heard and that is granted
 *     that role, and goes only to such a worker;
 *   - a key comes from the slot whose worker was heard, is one that is let
 *     through, and never while letting go; a device is granted only what its
 *     worker found, of candidates that the rules let be;
 *   - what DEVICE says of path and hash is what sysfs says;
 *   - no worker runs for a device that is refused or gone, none shares its uid,
 *     there are at most 16, and none is forgotten;
 *   - what dom0 believes admitted is what the supervisor serves;
 *   - a device is set up at most twice, and a second time if it could not be set up
 *     or its worker ended by itself, but not if that crashed; once more when it has
 *     served for ten minutes;
 *   - with silent workers, within 20 s nothing is undecided or admitted;
 *   - in a USB domain a device is told to be left to its kernel when and only when the
 *     kernel was given it, and never one that had a role; in the gate none is;
 *   - who says little is not put out for what others say;
 *   - a FIDO key's worker hears of each new session;
 *   - at the end all sockets are closed.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/keycode.h"
#include "core/session.h"
#include "domain/clock.h"
#include "domain/devices.h"
#include "domain/digest.h"
#include "domain/log.h"
#include "domain/reduce.h"
#include "domain/spawn.h"
#include "domain/storm.h"
#include "domain/worker.h"
#include "fuzz.h"

enum {
	WORKERS = 64, /* running or not yet reaped */
	STEPS = 400, /* of an input */
	BURST = 16,  /* key events of a burst, times its byte */
	BLAME_MS = 300, /* for so long a worker that ended is not yet missed */
	FEW = 48,	/* frames; whoever says no more floods nobody */
	SILENCE_MS = 45000, /* longer than a device may take to be set up */
	TICK_MS = 200,
	FORGIVE_MS = 600000, /* served for so long it may be tried once more */
};

struct plugged {
	struct gk_present at;
	uint8_t kind; /* see describe() */
	unsigned spawns;
	int given;    /* the kernel has it */
	int stumbled; /* it has to be tried again */
	int crashed;  /* it must not be */
	int altered;  /* judged again it may be refused */
};

struct worker {
	pid_t pid; /* 0: free */
	unsigned slot;
	int sock;    /* the worker's end, -1: closed */
	int killed;
	int giving; /* no worker: gives the device to the kernel */
	ino_t ino; /* whose */
	struct gk_case c; /* as it was told */
	uint64_t token;	  /* of the last question */
	unsigned answers; /* PING with reply */
	unsigned said;	  /* frames, in its life */
	uint8_t found[GK_CANDIDATES]; /* roles it told of, cut to fits */
	uint8_t told[GK_CANDIDATES];
};

static struct {
	uint64_t now;
	struct plugged dev[GK_INVENTORY_MAX];
	unsigned devs;
	int gives; /* in a USB domain */
	int givens;
	ino_t ino;
	struct worker worker[WORKERS];
	pid_t pid;
	/* What fails next, and what does from now on. */
	unsigned fail_spawn, fail_watch, fail_scan, fail_raw, gone_raw;
	int busy;
	ino_t gone;	/* unplugged while it was read, and not asked for since */
	/* dom0. */
	struct gk_session session;
	uint8_t nonce;
	int connected, stopping;
	unsigned hearing; /* slot + 1 whose worker is heard, 0: none */
	int announcing;
	uint64_t ended[GK_LINK_DEVICES]; /* when the slot's last worker did */
	struct {
		ino_t ino; /* 0: none */
		uint64_t since;
	} served[GK_LINK_DEVICES];
} m;

/* --- descriptors: one byte says which interfaces --- */

enum kind {
	KIND_BOOT = 1 << 0,
	KIND_HID = 1 << 1,
	KIND_CCID = 1 << 2,
	KIND_STORAGE = 1 << 3,
	KIND_BOOT_2 = 1 << 4,
	KIND_HIGH = 1 << 5, /* interface numbers from 30 on */
	KIND_HUB = 1 << 6,
	KIND_BROKEN = 1 << 7,
};

struct raw {
	uint8_t b[512];
	size_t len;
};

static void put(struct raw *r, const void *bytes, size_t len)
{
	MUST(len <= sizeof(r->b) - r->len);
	memcpy(r->b + r->len, bytes, len);
	r->len += len;
}

static void interface(struct raw *r, uint8_t high, const uint8_t class[3], unsigned eps)
{
	uint8_t n = r->b[18 + 4]++;
	const uint8_t d[] = { 9,	4,	  (uint8_t)(n + high), 0, (uint8_t)eps,
			      class[0], class[1], class[2],	       0 };

	put(r, d, sizeof(d));
}

static void endpoint(struct raw *r, uint8_t address, uint8_t type)
{
	const uint8_t d[] = { 7, 5, address, type, 64, 0, 1 };

	put(r, d, sizeof(d));
}

static void describe(uint8_t kind, struct raw *r)
{
	static const uint8_t device[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x34, 0x12, 0x78,
					  0x56, 1, 0, 1, 2, 3, 1 };
	static const uint8_t config[] = { 9, 2, 0, 0, 0, 1, 0, 0x80, 50 };
	static const uint8_t hid[] = { 9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0 };
	static const uint8_t ccid[54] = { 54, 0x21, 0x10, 1, 0, 7, 3, [44] = 15, 1,
					  [53] = 1 };
	static const uint8_t classes[][3] = { { 3, 1, 1 },  { 3, 0, 0 }, { 11, 0, 0 },
					      { 8, 6, 80 }, { 3, 1, 1 }, { 9, 0, 0 } };
	uint8_t high = kind & KIND_HIGH ? 30 : 0;

	memset(r, 0, sizeof(*r));
	put(r, device, sizeof(device));
	put(r, config, sizeof(config));
	if (kind & KIND_BOOT) {
		interface(r, high, classes[0], 1);
		put(r, hid, sizeof(hid));
		endpoint(r, 0x81, 3);
	}
	if (kind & KIND_HID) {
		interface(r, high, classes[1], 2);
		put(r, hid, sizeof(hid));
		endpoint(r, 0x82, 3);
		endpoint(r, 0x02, 3);
	}
	if (kind & KIND_CCID) {
		interface(r, high, classes[2], 2);
		put(r, ccid, sizeof(ccid));
		endpoint(r, 0x83, 2);
		endpoint(r, 0x03, 2);
	}
	if (kind & KIND_STORAGE)
		interface(r, high, classes[3], 0);
	if (kind & KIND_BOOT_2) {
		interface(r, high, classes[4], 1);
		put(r, hid, sizeof(hid));
		endpoint(r, 0x84, 3);
	}
	if (kind & KIND_HUB) {
		r->b[4] = kind & KIND_HIGH ? 0 : 9;
		interface(r, high, classes[5], 1);
		endpoint(r, 0x81, 3);
	}
	r->b[20] = (uint8_t)((r->len - 18) & 0xff);
	r->b[21] = (uint8_t)((r->len - 18) >> 8);
	if (kind & KIND_BROKEN)
		r->b[18 + kind % 10] ^= 0x15;
}

/* --- what stands for sysfs, processes and the clock --- */

uint64_t gk_clock_ms(void)
{
	return m.now;
}

void gk_kmsg(int level, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	MUST(level >= 3 && level <= 7);
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
}

const char *gk_child_end(int status)
{
	return status ? "ended" : NULL;
}

static void unplug(unsigned i)
{
	if (m.devs == 0)
		return;
	m.dev[i % m.devs] = m.dev[m.devs - 1];
	m.devs--;
}

static struct plugged *plugged_at(const struct gk_present *p)
{
	for (unsigned i = 0; i < m.devs; i++)
		if (m.dev[i].at.ino == p->ino)
			return &m.dev[i];
	return NULL;
}

int gk_inventory_there(const struct gk_present *p)
{
	if (m.gone == p->ino)
		m.gone = 0;
	return plugged_at(p) != NULL;
}

int gk_inventory_scan(struct gk_present out[GK_INVENTORY_MAX])
{
	if (m.fail_scan) {
		m.fail_scan = 0;
		return GK_ERR_SYSTEM;
	}
	for (unsigned i = 0; i < m.devs; i++)
		out[i] = m.dev[i].at;
	return (int)m.devs;
}

int gk_inventory_raw(const struct gk_present *p, uint8_t raw[GK_USB_RAW_MAX])
{
	const struct plugged *d = plugged_at(p);
	struct raw r;

	if (d && m.gone_raw) {
		m.gone_raw = 0;
		m.gone = p->ino;
		unplug((unsigned)(d - m.dev));
		return GK_ERR_SYSTEM;
	}
	if (!d || m.fail_raw) {
		m.fail_raw = 0;
		return GK_ERR_SYSTEM;
	}
	describe(d->kind, &r);
	memcpy(raw, r.b, r.len);
	return (int)r.len;
}

size_t gk_inventory_string(const struct gk_present *p, const char *attr, char *buf,
			   size_t cap)
{
	const struct plugged *d = plugged_at(p);
	size_t len = d ? d->kind % 40u : 0;

	MUST(attr && cap > 40);
	memset(buf, d ? d->kind : 0, len);
	buf[len] = '\0';
	return strlen(buf);
}

unsigned gk_inventory_controller_no(uint8_t devfn)
{
	return devfn ? 1 : 0;
}

static struct plugged *plugged_to(const struct worker *w)
{
	for (unsigned i = 0; i < m.devs; i++)
		if (m.dev[i].at.ino == w->ino)
			return &m.dev[i];
	return NULL;
}

static struct worker *worker_of(pid_t pid)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (pid > 0 && m.worker[i].pid == pid)
			return &m.worker[i];
	return NULL;
}

/* The one of that slot that runs; there can be no second one. */
static struct worker *running(unsigned slot)
{
	struct worker *w = NULL;

	for (unsigned i = 0; i < WORKERS; i++) {
		if (!m.worker[i].pid || m.worker[i].killed || m.worker[i].giving ||
		    m.worker[i].slot != slot)
			continue;
		MUST(!w);
		w = &m.worker[i];
	}
	return w;
}

int gk_spawn(const struct gk_present *at, const struct gk_case *c, uint32_t id, int *sock,
	     pid_t *pid)
{
	struct worker *w = NULL;
	int pair[2];

	*sock = -1;
	*pid = 0;
	MUST(plugged_at(at) && !m.stopping);
	MUST(c->verdict != GK_VERDICT_REFUSED && c->candidates <= GK_CANDIDATES);
	MUST(c->candidates > 0 || c->verdict == GK_VERDICT_HUB);
	MUST(id >= 1 && id <= GK_LINK_DEVICES);
	for (unsigned i = 0; i < WORKERS; i++) {
		/* Not even one that is killed but not reaped may have the uid. */
		MUST(!m.worker[i].pid || m.worker[i].giving ||
		     m.worker[i].slot != id - 1);
		if (!m.worker[i].pid && !w)
			w = &m.worker[i];
	}
	MUST(w);
	MUST(!plugged_at(at)->given);
	MUST(++plugged_at(at)->spawns <= 2 && !plugged_at(at)->crashed);
	plugged_at(at)->stumbled = 0;
	if (m.fail_spawn) {
		m.fail_spawn = 0;
		return GK_ERR_SYSTEM;
	}
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			 pair));
	memset(w, 0, sizeof(*w));
	w->pid = ++m.pid;
	w->slot = id - 1;
	w->sock = pair[1];
	w->ino = at->ino;
	w->c = *c;
	*sock = pair[0];
	*pid = w->pid;
	return GK_OK;
}

int gk_spawn_give(const struct gk_present *at, pid_t *pid)
{
	struct worker *w = NULL;

	*pid = 0;
	MUST(m.gives && plugged_at(at) && !m.stopping);
	for (unsigned i = 0; i < WORKERS; i++) {
		/* Nobody has it any more. */
		MUST(!m.worker[i].pid || m.worker[i].ino != at->ino);
		if (!m.worker[i].pid && !w)
			w = &m.worker[i];
	}
	MUST(w);
	if (m.fail_spawn) {
		m.fail_spawn = 0;
		return GK_ERR_SYSTEM;
	}
	memset(w, 0, sizeof(*w));
	w->pid = ++m.pid;
	w->sock = -1;
	w->giving = 1;
	w->ino = at->ino;
	*pid = w->pid;
	return GK_OK;
}

void gk_spawn_end(pid_t pid)
{
	struct worker *w = worker_of(pid);

	if (w)
		w->killed = 1;
}

void gk_spawn_withdraw(const struct gk_present *at)
{
	MUST(at->path.depth >= 1);
}

long gk_spawn_cpu_ms(pid_t pid)
{
	MUST(worker_of(pid));
	return m.busy ? (long)m.now : 0;
}

static int watch(int fd, unsigned slot)
{
	MUST(fd >= 0 && slot < GK_LINK_DEVICES);
	if (m.fail_watch) {
		m.fail_watch = 0;
		return -1;
	}
	return 0;
}

/* --- dom0 --- */

/* The last worker of a slot, ended or not. */
static const struct worker *last(unsigned slot)
{
	const struct worker *w = NULL;

	for (unsigned i = 0; i < WORKERS; i++)
		if (m.worker[i].pid && m.worker[i].slot == slot &&
		    (!w || m.worker[i].pid > w->pid))
			w = &m.worker[i];
	return w;
}

static void check_device(const struct gk_frame *f)
{
	const struct gk_link_device *d = &f->u.dev;
	const struct worker *w;
	uint8_t found = 0;

	if (d->verdict == GK_VERDICT_REFUSED) {
		MUST(!running(f->device - 1));
		MUST(d->reason != GK_REASON_LEFT || m.givens);
		w = m.announcing ? NULL : last(f->device - 1);
		MUST(d->reason != GK_REASON_FLOOD || !w || w->said > FEW);
		return;
	}
	if (d->verdict == GK_VERDICT_HUB)
		return;
	MUST(!m.stopping);
	w = running(f->device - 1);
	if (!w) {
		/* An announcement of what was told before. */
		MUST(m.announcing && m.now - m.ended[f->device - 1] < BLAME_MS);
		return;
	}
	for (unsigned i = 0; i < w->c.candidates; i++)
		found |= w->found[i];
	MUST((d->granted & ~found) == 0);
	MUST(memcmp(d->sha256, w->c.info.sha256, GK_SHA256) == 0);
	MUST(memcmp(&d->path, &w->c.info.path, sizeof(d->path)) == 0);
}

/* Through the bytes, as it would come. */
/* dom0 reads all at once here. */
static unsigned waiting(uint32_t id)
{
	MUST(id >= 1 && id <= GK_LINK_DEVICES);
	return 0;
}

static void unwatch(int fd)
{
	MUST(fd >= 0);
}

static int has_found(const struct worker *w, uint8_t role)
{
	for (unsigned i = 0; i < w->c.candidates; i++)
		if (w->found[i] & role)
			return 1;
	return 0;
}

static int served_long(unsigned slot, ino_t ino)
{
	return ino && m.served[slot].ino == ino &&
	       m.now - m.served[slot].since >= FORGIVE_MS;
}

/* Since when a slot's device is served. */
static void note_served(const struct gk_frame *f)
{
	unsigned slot = f->device - 1;

	if (f->type == GK_LINK_GONE && f->u.gone.reason != GK_REASON_UNPLUGGED)
		for (unsigned i = 0; i < m.devs; i++)
			if (served_long(slot, m.dev[i].at.ino))
				m.dev[i].spawns = 1;
	if (f->type == GK_LINK_GONE || (f->type == GK_LINK_DEVICE && !m.announcing))
		m.served[slot].ino = 0;
	if (f->type == GK_LINK_DEVICE && !m.announcing && f->u.dev.granted) {
		m.served[slot].ino = running(slot)->ino;
		m.served[slot].since = m.now;
	}
}

static void send_frame(const struct gk_frame *frame)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(frame, GK_SIDE_GATE, buf, sizeof(buf));
	struct gk_frame f;
	int ret;

	MUST(n > 0);
	MUST(gk_link_decode(buf, (size_t)n, GK_SIDE_GATE, &f) == GK_OK);
	if (f.type == GK_LINK_DEVICE) {
		/* What was read of it is no reason to say anything. */
		MUST(!m.gone);
		check_device(&f);
	}
	if (f.type == GK_LINK_GONE)
		MUST(!running(f.device - 1));
	note_served(&f);
	if (f.type == GK_LINK_KEY) {
		MUST(f.device == m.hearing && !m.stopping);
		MUST(gk_key_allowed(f.u.key.code));
		MUST(running(f.device - 1));
	}
	if (f.type == GK_LINK_FIDO) {
		MUST(f.device == m.hearing && !m.stopping);
		MUST(running(f.device - 1) &&
		     has_found(running(f.device - 1), GK_ROLE_FIDO));
	}
	if (!m.connected)
		return;
	ret = gk_session_frame(&m.session, &f, m.now);
	MUST(ret == 0 || (ret == 1 && f.type == GK_LINK_KEY));
}

/* --- workers --- */

/* What the supervisor says to it: nothing but what it may. */
static void listen_to_supervisor(struct worker *w)
{
	uint8_t buf[GK_LINK_FRAME_MAX + 1];
	ssize_t n;

	while (w->sock >= 0 && (n = recv(w->sock, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct gk_frame f;

		MUST(gk_link_decode(buf, (size_t)n, GK_SIDE_SUPERVISOR, &f) == GK_OK);
		if (f.type == GK_LINK_PING && !f.u.ping.reply)
			w->token = f.u.ping.token;
		w->answers += f.type == GK_LINK_PING && f.u.ping.reply;
		MUST(f.type != GK_LINK_FIDO || has_found(w, GK_ROLE_FIDO));
		if (f.type != GK_LINK_GRANT)
			continue;
		for (unsigned i = 0; i < GK_CANDIDATES; i++)
			if (i < w->c.candidates &&
			    w->c.candidate[i].number == f.u.grant.interface) {
				MUST((f.u.grant.role & ~w->found[i]) == 0);
				f.u.grant.role = 0;
			}
		MUST(f.u.grant.role == 0);
	}
}

/* A worker of a FIDO key hears that a session begins, once; no other does. */
static void is_told_of_it(const struct gk_session_device *d)
{
	struct worker *w = d->id ? running(d->id - 1) : NULL;

	if (!w || w->sock < 0)
		return;
	listen_to_supervisor(w);
	MUST(w->answers == ((d->info.granted & GK_ROLE_FIDO) != 0));
}

static void hello(void)
{
	uint8_t nonce[GK_LINK_NONCE] = { ++m.nonce };
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.type = GK_LINK_HELLO;
	f.u.hello.version_min = GK_LINK_VERSION;
	f.u.hello.version_max = GK_LINK_VERSION;
	memcpy(f.u.hello.nonce, nonce, sizeof(nonce));
	gk_session_init(&m.session, nonce);
	m.connected = 1;
	send_frame(&f);
	for (unsigned i = 0; i < WORKERS; i++) {
		if (m.worker[i].pid)
			listen_to_supervisor(&m.worker[i]);
		m.worker[i].answers = 0;
	}
	m.announcing = 1;
	gk_devices_announce();
	m.announcing = 0;
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		is_told_of_it(&m.session.dev[i]);
}


static void hear(unsigned slot)
{
	m.hearing = slot + 1;
	gk_devices_worker_readable(slot);
	m.hearing = 0;
}

static void say_bytes(struct worker *w, const void *bytes, size_t len)
{
	if (!w || w->sock < 0)
		return;
	/* A worker that is killed may have spoken just before. */
	(void)!send(w->sock, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	w->said++;
	hear(w->slot);
	listen_to_supervisor(w);
}

static void say(struct worker *w, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_WORKER, buf, sizeof(buf));

	if (n > 0)
		say_bytes(w, buf, (size_t)n);
}

static void say_found(struct worker *w, uint8_t interface_no, uint8_t roles)
{
	struct gk_frame f;

	if (!w)
		return;
	memset(&f, 0, sizeof(f));
	f.type = GK_LINK_FOUND;
	f.u.found.interface = interface_no;
	f.u.found.roles = roles & GK_ROLE_ALL;
	if (f.u.found.roles == 0 && roles & 0x10) {
		f.u.found.reason = GK_REASON_HID;
		f.u.found.offset = roles;
	}
	for (unsigned i = 0; i < w->c.candidates; i++) {
		if (w->c.candidate[i].number != interface_no || w->told[i])
			continue;
		w->told[i] = 1;
		w->found[i] = f.u.found.roles & w->c.candidate[i].fits;
	}
	say(w, &f);
}

static void say_ping(struct worker *w, uint8_t reply, uint64_t token)
{
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.type = GK_LINK_PING;
	f.u.ping.reply = reply;
	f.u.ping.token = token;
	say(w, &f);
}

static void say_key(struct worker *w, uint8_t code, unsigned value)
{
	struct gk_frame f;

	memset(&f, 0, sizeof(f));
	f.type = GK_LINK_KEY;
	f.u.key.code = code;
	f.u.key.value = value & 1;
	say(w, &f);
}

static void say_fido(struct worker *w, uint8_t byte)
{
	struct gk_frame f;

	memset(&f, byte, sizeof(f));
	f.type = GK_LINK_FIDO;
	f.device = 0;
	f.generation = 0;
	say(w, &f);
}

/* As a good worker of a device that is what it could be. */
static void look_and_serve(struct worker *w, uint8_t roles)
{
	if (!w || w->c.verdict == GK_VERDICT_HUB)
		return;
	for (unsigned i = 0; i < w->c.candidates; i++) {
		uint8_t all = w->c.candidate[i].fits;

		say_found(w, w->c.candidate[i].number, roles ? all & roles : all);
	}
	say_ping(w, 0, 0);
	say_ping(w, 0, 1);
}

/* The first time that it ends by itself, without a crash. A hub's ends when it is
 * set up. */
static void note_stumble(const struct worker *w, int status)
{
	struct plugged *d = plugged_to(w);

	if (d && !w->killed && status & 0x7f)
		d->crashed = 1;
	/* What is to fail next may be the second look at it. */
	if (m.fail_raw || m.gone_raw)
		return;
	if (d && d->spawns > 1 && !served_long(w->slot, d->at.ino))
		return;
	if (!d || w->killed || m.stopping || d->altered || status & 0x7f ||
	    status == GK_SPAWN_CHANGED << 8)
		return;
	if (w->c.verdict != GK_VERDICT_HUB || status == GK_SPAWN_FAILED << 8)
		d->stumbled = 1;
}

/* How a process can end, and whether its socket or its end is noticed first. */
static void end(struct worker *w, uint8_t how)
{
	static const int status[] = { 0,		     GK_WORKER_USAGE << 8,
				      GK_WORKER_JAIL << 8,   GK_WORKER_DEVICE << 8,
				      GK_SPAWN_FAILED << 8,  GK_SPAWN_CHANGED << 8,
				      SIGSEGV,		     SIGKILL };
	pid_t pid;

	if (!w)
		return;
	pid = w->pid;
	if (!(how & 0x20))
		note_stumble(w, status[how % 8]);
	if (w->sock >= 0)
		close(w->sock);
	w->sock = -1;
	if (how & 0x10)
		hear(w->slot);
	if (how & 0x20)
		return;
	/* It is over: nothing can be running under that number. */
	w->killed = 1;
	w->pid = 0;
	m.ended[w->slot] = m.now;
	MUST(gk_devices_child_ended(pid, status[how % 8]) == 1);
	if (!(how & 0x10))
		hear(w->slot);
}

/* Now and then the kernel does not take it. */
static void given(struct worker *w)
{
	pid_t pid = w->pid;
	int status = w->killed ? SIGKILL : pid % 5 == 0 ? GK_SPAWN_FAILED << 8 : 0;

	for (unsigned i = 0; i < m.devs; i++)
		if (m.dev[i].at.ino == w->ino && status == 0)
			m.dev[i].given = m.givens = 1;
	w->killed = 1;
	w->pid = 0;
	MUST(gk_devices_child_ended(pid, status) == 1);
}

static void reap(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (m.worker[i].pid && m.worker[i].giving)
			given(&m.worker[i]);
	for (unsigned i = 0; i < WORKERS; i++)
		if (m.worker[i].pid && m.worker[i].killed)
			end(&m.worker[i], 7);
}

/* --- the world --- */

static void plug(uint8_t where, uint8_t kind)
{
	struct plugged *d = &m.dev[m.devs];

	if (m.devs == GK_INVENTORY_MAX)
		return;
	memset(d, 0, sizeof(*d));
	d->kind = kind;
	d->at.ino = ++m.ino;
	d->at.busnum = 1 + (where >> 7);
	d->at.devnum = (unsigned)m.ino;
	d->at.path.controller = 0x20;
	d->at.path.root = where >> 7;
	d->at.path.depth = (uint8_t)(1 + (where >> 4 & 7) % 5);
	for (unsigned i = 0; i < d->at.path.depth; i++)
		d->at.path.port[i] = (uint8_t)(1 + (i == 0 ? where & 3 : where >> 2 & 3));
	snprintf(d->at.name, sizeof(d->at.name), "1-%u", where);
	m.devs++;
}

static void tick(unsigned ms)
{
	m.now += ms;
	gk_devices_tick();
}

static void check_state(void)
{
	unsigned workers = 0, served = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		workers += m.worker[i].pid != 0;
	MUST(gk_devices_workers() == workers && workers <= GK_LINK_DEVICES);
	if (!m.connected || m.stopping)
		return;
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *d = &m.session.dev[i];

		if (d->id == 0)
			continue;
		if (d->info.verdict == GK_VERDICT_REFUSED)
			MUST(!running(d->id - 1));
		served += d->info.granted != 0;
	}
	MUST(served == gk_devices_admitted());
}

/* Another session after QUIESCED: what is there is as if it had just come. */
static void begin_again(void)
{
	m.connected = 0;
	for (unsigned i = 0; i < WORKERS; i++)
		m.worker[i].killed |= m.worker[i].pid != 0;
	reap();
	gk_devices_again();
	m.stopping = 0;
	m.fail_spawn = 0;
	for (unsigned i = 0; i < m.devs; i++) {
		struct plugged *d = &m.dev[i];

		d->spawns = 0;
		d->given = 0;
		d->stumbled = 0;
		d->crashed = 0;
		MUST(!gk_devices_is_out(&d->at));
	}
	MUST(gk_devices_workers() == 0 && gk_devices_admitted() == 0);
	hello();
	gk_devices_rescan();
}

/* One step of the input; how many bytes it took. */
static size_t step(const uint8_t *b, size_t size)
{
	uint8_t op = b[0] & 15, slot = b[0] >> 4, x = b[1], y = size > 2 ? b[2] : 0;
	struct worker *w = running(slot);
	struct gk_frame f;

	switch (op) {
	case 0:
		plug(x, y);
		gk_devices_rescan();
		return 3;
	case 1:
		unplug(x);
		gk_devices_rescan();
		return 2;
	case 2: /* what it shows changes, with or without a new connection */
		if (m.devs == 0)
			return 3;
		m.dev[x % m.devs].kind = y;
		m.dev[x % m.devs].stumbled = 0;
		m.dev[x % m.devs].altered = 1;
		if (x & 0x80) {
			m.dev[x % m.devs].at.ino = ++m.ino;
			m.dev[x % m.devs].spawns = 0;
			m.dev[x % m.devs].given = 0;
			m.dev[x % m.devs].crashed = 0;
			gk_devices_rescan();
		}
		return 3;
	case 3:
		if (x & 1)
			plug(x >> 1, y);
		gk_devices_rescan();
		return x & 1 ? 3 : 2;
	case 4: /* any bytes */
		if (x > size - 2)
			x = (uint8_t)(size - 2);
		if (w)
			/* What a raw FOUND may say is not followed: all it fits. */
			for (unsigned i = 0; i < w->c.candidates; i++)
				w->found[i] = w->c.candidate[i].fits;
		say_bytes(w, b + 2, x);
		return 2 + (size_t)x;
	case 5:
		say_found(w, x, y);
		return 3;
	case 6:
		if (w)
			say_ping(w, x & 1, x & 2 ? w->token : x >> 2);
		return 2;
	case 7:
		if (y & 0x80)
			say_fido(w, x);
		else
			say_key(w, x, y);
		return 3;
	case 8: /* types fast */
		for (unsigned i = 0; i < x * (unsigned)BURST && w && w->sock >= 0; i++)
			if (x & 1)
				say_fido(w, (uint8_t)i);
			else
				say_key(w, 30, i + 1);
		return 2;
	case 9:
		end(w, x);
		return 2;
	case 10:
		tick(x * 20u);
		return 2;
	case 11:
		if (!m.stopping)
			hello();
		return 1;
	case 12: /* dom0's */
		memset(&f, 0, sizeof(f));
		f.type = y & 0x80 ? GK_LINK_FIDO : GK_LINK_LED;
		f.device = slot;
		f.generation = x;
		if (f.type == GK_LINK_LED)
			f.u.led.leds = y & 7;
		gk_devices_to_worker(&f);
		return 3;
	case 13:
		/* What fails may be what is tried again. */
		for (unsigned i = 0; i < m.devs; i++)
			m.dev[i].stumbled = 0;
		m.fail_spawn = x & 1;
		m.fail_watch = x >> 1 & 1;
		m.fail_scan = x >> 2 & 1;
		m.fail_raw = x >> 3 & 1;
		m.busy = x >> 4 & 1;
		m.gone_raw = x >> 5 & 1;
		return 2;
	case 14:
		look_and_serve(w, x & GK_ROLE_ALL);
		return 2;
	default: /* time in which good workers answer; rarely: let go, and begin again */
		if (x == 0xff && y == 0xfe && m.stopping) {
			begin_again();
			return 3;
		}
		if (x == 0xff && y == 0xff) {
			gk_devices_stop();
			m.stopping = 1;
			gk_session_quiesce(&m.session);
			return 3;
		}
		for (unsigned i = 0; i < (x & 15u); i++) {
			tick(TICK_MS * 5);
			for (unsigned s = 0; s < GK_LINK_DEVICES; s++)
				if ((w = running(s)) != NULL) {
					listen_to_supervisor(w);
					say_ping(w, 1, w->token);
				}
		}
		return 2;
	}
}

/* Nothing is said any more: all must come to an end by itself. */
static void silence(void)
{
	m.busy = 0;
	m.fail_scan = 0;
	for (unsigned t = 0; t < SILENCE_MS; t += TICK_MS) {
		tick(TICK_MS);
		reap();
	}
	MUST(gk_devices_admitted() == 0 && gk_devices_workers() == 0);
	for (unsigned i = 0; i < m.devs; i++)
		MUST(!m.dev[i].stumbled);
	if (m.connected)
		for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
			MUST(m.session.dev[i].info.granted == 0);
	m.devs = 0;
	gk_devices_rescan();
	if (m.connected)
		for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
			MUST(m.session.dev[i].id == 0);
}

static void finish(void)
{
	if (m.stopping) {
		gk_devices_kill();
		reap();
	} else {
		silence();
	}
	MUST(gk_devices_workers() == 0);
	for (unsigned i = 0; i < WORKERS; i++)
		MUST(m.worker[i].pid == 0 && m.worker[i].sock <= 0);
}

static void run(const uint8_t *data, size_t size, int gives)
{
	struct gk_devices_ops ops = { send_frame, waiting, watch, unwatch, gives };
	static uint64_t clock_ms = 1000;
	char said[GK_LINK_TEXT + 1];

	if (clock_ms == 1000)
		gk_judge_rules("/nonexistent", said);
	/* The storm counter outlives a run; long ago is never to it. */
	clock_ms += 10 * GK_STORM_WINDOW_MS;
	memset(&m, 0, sizeof(m));
	m.now = clock_ms;
	m.pid = 100;
	m.gives = gives;
	gk_devices_init(&ops);
	for (unsigned i = 0; i < STEPS && size >= 2; i++) {
		size_t used = step(data, size);

		if (used > size)
			used = size;
		data += used;
		size -= used;
		if (i % 4 == 3)
			reap();
		check_state();
	}
	finish();
	clock_ms = m.now;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size, 0);
	run(data, size, 1);
	return 0;
}
