/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "core/ctaphid.h"
#include "core/keycode.h"
#include "core/session.h"
#include "inventory.h"
#include "judge.h"
#include "log.h"
#include "reduce.h"
#include "spawn.h"
#include "storm.h"
#include "worker.h"

enum {
	/* Frames taken from one worker in a turn, so that none starves others. */
	FRAMES_A_TURN = 32,
	/* LOG lines a device may cause in its life. */
	LOGS_MAX = 20,
	/* A second: KEY frames, and frames of all types. A keyboard at 1,000
	 * reports a second whose every report is a change stays below; nobody
	 * types like one that does not. */
	KEYS_MAX = 1500,
	FRAMES_MAX = 3000,
	/* KEY frames of all devices a second. Above the first figure who makes
	 * more than a share (people stay below) is put out; above the second
	 * anyone is, because dom0 closes the link at GK_SESSION_KEYS in a second
	 * of its own clock, which can hold two of these. */
	KEYS_ALL_MAX = 3000,
	KEYS_SHARE = 60,
	KEYS_ALL_END = GK_SESSION_KEYS / 2,
	/* FIDO frames a second: of one device eight of the longest messages; of
	 * all as above. Two keys at work stay below the first figure (one packet
	 * every two ms is what the quick ones do), and with all devices at their
	 * share the second is not reached. */
	FIDO_MAX = 8 * GK_CTAPHID_PACKETS,
	FIDO_ALL_MAX = 1200,
	FIDO_ALL_END = GK_SESSION_FIDO / 2,
	FIDO_SHARE = (FIDO_ALL_END - FIDO_ALL_MAX) / GK_LINK_DEVICES,
	RATE_MS = 1000,
	/* Of the link's queue (GK_LINK_QUEUE): one that types faster than dom0
	 * reads must not fill it, which would end the session for all. Looked
	 * at every so many keys. */
	WAITING_MAX = 256,
	WAITING_LOOK = 32,
	/* Hubs and devices with a worker at one root port: a connector has one
	 * in each of two buses (USB 2 and 3), and both leave room for others. */
	PORT_DEVICES = 7,
	/* From the verdict to a worker that serves, or a hub that is set up.
	 * The kernel configures the devices of a controller one at a time, and
	 * one that does not answer takes it 5 s a request: a keyboard may have
	 * to wait for some of those. */
	START_MS = 30000,
	/* A device that could not be set up, or whose worker ended, is tried once
	 * more after this long: a moment's stall is over then. */
	RETRY_MS = 1000,
	/* One that has served for so long since is tried once more again. */
	FORGIVE_MS = 600000,
	/* An unplugged device ends its worker before sysfs shows it gone: wait
	 * this long before the worker is blamed. */
	BLAME_MS = 300,
	/* The watchdog: a question each WATCH_MS, to be answered within HANG_MS,
	 * which is longer than a request that its device does not answer (5 s).
	 * Not when the supervisor itself was away for PAUSE_MS. And a worker that
	 * uses the processor almost alone for BUSY_MAX such times is spinning. One at
	 * 1,000 reports a second is far below. */
	WATCH_MS = 2000,
	HANG_MS = 6500,
	PAUSE_MS = 1000,
	BUSY_PERCENT = 90,
	BUSY_MAX = 5,
};

enum stage {
	STANDS,		/* refused, or a hub that is set up: nothing runs */
	PAUSED,		/* failed, and not yet tried again */
	LOOKING,	/* set up, and its worker looks at what it is */
	GRANTED,	/* the worker was told what it may serve */
	SERVING,	/* dom0 was told */
};

struct device {
	int used, seen;
	struct gk_present at;
	uint32_t generation;
	struct gk_case c;
	enum stage stage;
	pid_t worker;		/* 0: none; kept until it is reaped */
	int sock;		/* -1: none */
	uint64_t start_ms;	/* LOOKING since then */
	uint64_t retry_ms;	/* PAUSED until then */
	int retried;		/* the one time that there is */
	uint64_t served_ms;	/* SERVING since then */
	uint64_t lost_ms;	/* when its socket closed, 0: it has not */
	uint64_t window_ms;	/* of the rates */
	unsigned keys, fido, frames, logs;
	unsigned key_share, fido_share;	/* in the window of all devices */
	uint64_t asked_ms, token;	/* the watchdog's last question */
	int answered;
	long cpu_ms;
	unsigned busy;
};

static struct {
	const struct gk_devices_ops *ops;
	struct device dev[GK_LINK_DEVICES];
	uint32_t generation;
	uint64_t window_ms;	/* of keys and FIDO frames, of all devices */
	unsigned keys, fido;
	int stopping, full;
	uint64_t tick_ms;	/* the last one */
	/* Refused, and not worth a slot when there was none left: not judged
	 * again as long as they are there. */
	struct gk_present left_out[GK_INVENTORY_MAX];
	unsigned left_outs;
	struct gk_present present[GK_INVENTORY_MAX];
} st;

static uint32_t id_of(const struct device *d)
{
	return (uint32_t)(d - st.dev) + 1;
}

void gk_devices_init(const struct gk_devices_ops *ops)
{
	memset(&st, 0, sizeof(st));
	st.ops = ops;
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

	f.u.dev = d->c.info;
	st.ops->send(&f);
}

/* dom0 takes generations in rising order only, and others that appeared later may
 * have been told of already. */
static void tell_first(struct device *d)
{
	d->generation = ++st.generation;
	tell(d);
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

static void close_sock(struct device *d)
{
	if (d->sock >= 0) {
		st.ops->unwatch(d->sock);
		close(d->sock);
	}
	d->sock = -1;
}

static void worker_end(struct device *d)
{
	close_sock(d);
	gk_spawn_end(d->worker);
	d->stage = STANDS;
	d->lost_ms = 0;
}

static int told(const struct device *d)
{
	return d->stage == STANDS || d->stage == SERVING;
}

static void forget(struct device *d)
{
	pid_t worker = d->worker;

	memset(d, 0, sizeof(*d));
	d->sock = -1;
	d->worker = worker;
}

static void vanish(struct device *d)
{
	int was_told = told(d);

	worker_end(d);
	if (was_told)
		tell_gone(d, GK_REASON_UNPLUGGED);
	forget(d);
	st.full = 0;
}

/* Its device is out until it is plugged in again. */
static void put_out(struct device *d, enum gk_reason reason)
{
	/* Whatever came of its going is no fault of it. */
	if (!gk_inventory_there(&d->at)) {
		vanish(d);
		return;
	}
	worker_end(d);
	gk_spawn_withdraw(&d->at);
	/* The verdict on what it is may be there already. */
	if (d->c.verdict != GK_VERDICT_REFUSED)
		gk_judge_refuse(&d->c, reason);
	tell_first(d);
}

/*
 * What may have been a moment's stall: from the beginning once more, as if it had
 * been plugged in. dom0 hears of it when that is decided; what it knew is gone.
 */
static void stumble(struct device *d, enum gk_reason reason)
{
	int served = d->stage == SERVING;
	uint64_t now = gk_clock_ms();

	if (d->retried && !(served && now - d->served_ms >= FORGIVE_MS)) {
		put_out(d, reason);
		return;
	}
	worker_end(d);
	d->stage = PAUSED;
	d->retried = 1;
	d->retry_ms = now + RETRY_MS;
	if (served)
		tell_gone(d, reason);
}

static int start(struct device *d)
{
	if (gk_spawn(&d->at, &d->c, (uid_t)(GK_WORKER_UID + id_of(d)), &d->sock,
		     &d->worker) < 0)
		return GK_ERR_SYSTEM;
	d->stage = LOOKING;
	d->start_ms = gk_clock_ms();
	if (st.ops->watch(d->sock, (unsigned)(d - st.dev)) == 0)
		return GK_OK;
	worker_end(d);
	return GK_ERR_SYSTEM;
}

static int is_refused(const struct device *d)
{
	return d->used && d->stage == STANDS && d->c.verdict == GK_VERDICT_REFUSED;
}

/* Of two things at most one is needed to type: what is refused makes room. */
static struct device *make_room(void)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		struct device *d = &st.dev[i];

		if (!is_refused(d) || d->worker ||
		    st.left_outs == GK_INVENTORY_MAX)
			continue;
		st.left_out[st.left_outs++] = d->at;
		tell_gone(d, GK_REASON_CONFIGURE);
		forget(d);
		return d;
	}
	return NULL;
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
		if (st.dev[i].used && !is_refused(&st.dev[i]) &&
		    at->busnum == p->busnum && at->path.port[0] == p->path.port[0])
			neighbours++;
	}
	if (neighbours >= PORT_DEVICES)
		return NULL;
	return d ? d : make_room();
}

/* There is no id to speak of it by: a line in the log, until there is room. */
static void no_room(const struct gk_present *p)
{
	struct gk_frame f = { .type = GK_LINK_LOG };
	char port[GK_PORT_TEXT];
	int n;

	if (st.full)
		return;
	st.full = 1;
	gk_port_text(gk_inventory_controller_no(p->path.controller), &p->path, port);
	f.u.log.level = 4;
	n = snprintf(f.u.log.text, sizeof(f.u.log.text),
		     "device on port %s left out: too many devices", port);
	f.u.log.len = (uint8_t)n;
	st.ops->send(&f);
}

/* Judged, and set up if it may be something. */
static void begin(struct device *d, int storm)
{
	enum gk_reason why = GK_REASON_NONE;

	d->stage = STANDS;
	d->generation = ++st.generation;
	gk_judge(&d->at, &d->c);
	/* Gone while it was read: what was read says nothing of it. */
	if (!gk_inventory_there(&d->at)) {
		forget(d);
		return;
	}
	if (storm)
		why = GK_REASON_STORM;
	else if (d->c.verdict == GK_VERDICT_HUB && d->at.path.depth > GK_HUB_DEPTH)
		why = GK_REASON_TOO_DEEP;
	else if (d->c.verdict != GK_VERDICT_REFUSED && start(d) < 0)
		why = GK_REASON_CONFIGURE;
	if (why != GK_REASON_NONE)
		gk_judge_refuse(&d->c, why);
	/* Else it is told of when it is set up, and its worker serves it. */
	if (d->c.verdict == GK_VERDICT_REFUSED)
		tell(d);
}

static void appear(const struct gk_present *p)
{
	struct device *d;

	if (st.stopping)
		return;
	d = free_slot(p);
	/* It stays unauthorised, and has its turn when another is unplugged. */
	if (!d) {
		no_room(p);
		return;
	}
	memset(d, 0, sizeof(*d));
	d->used = 1;
	d->seen = 1;
	d->sock = -1;
	d->at = *p;
	begin(d, gk_storm(p, gk_clock_ms()));
}

static int same(const struct gk_present *a, const struct gk_present *b)
{
	return a->ino == b->ino && a->devnum == b->devnum &&
	       strcmp(a->name, b->name) == 0;
}

/* Those left out that are gone are forgotten; 1 for one that is still there. */
static int is_left_out(const struct gk_present *p)
{
	for (unsigned i = 0; i < st.left_outs; i++)
		if (same(&st.left_out[i], p))
			return 1;
	return 0;
}

static void forget_left_out(int n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < st.left_outs; i++) {
		int there = 0;

		for (int k = 0; k < n && !there; k++)
			there = same(&st.left_out[i], &st.present[k]);
		if (there)
			st.left_out[kept++] = st.left_out[i];
	}
	st.left_outs = kept;
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
		/* There may be more than a scan holds, and it has no order. */
		if (!d->seen && (n < GK_INVENTORY_MAX || !gk_inventory_there(&d->at)))
			vanish(d);
	}
	forget_left_out(n);
	for (int i = 0; i < n; i++)
		if (!known[i] && !is_left_out(&st.present[i]))
			appear(&st.present[i]);
}

void gk_devices_silent(const struct gk_present *at)
{
	struct device *d;

	/* One that comes again and again is not worth a line each time. */
	if (st.stopping || gk_storm(at, gk_clock_ms()))
		return;
	d = free_slot(at);
	if (!d)
		return;
	memset(d, 0, sizeof(*d));
	d->sock = -1;
	d->at = *at;
	d->c.info.path = at->path;
	gk_judge_refuse(&d->c, GK_REASON_SILENT);
	tell_first(d);
	tell_gone(d, GK_REASON_CONFIGURE);
	memset(d, 0, sizeof(*d));
	d->sock = -1;
}

/* --- what workers say --- */

/* An interface is what it was found to be, cut to what it could be; the first
 * answer counts. */
static void on_found(struct device *d, const struct gk_link_found *f)
{
	for (unsigned i = 0; i < d->c.candidates && i < GK_CANDIDATES; i++) {
		struct gk_candidate *k = &d->c.candidate[i];

		if (k->number != f->interface || k->found)
			continue;
		k->found = 1;
		k->roles = f->roles & k->fits;
		k->reason = f->reason;
		k->offset = f->offset;
		return;
	}
}

static void grant(struct device *d)
{
	struct gk_frame f = { .type = GK_LINK_GRANT };
	struct gk_frame go = { .type = GK_LINK_PING };

	gk_judge_again(&d->at, &d->c);
	if (d->c.verdict == GK_VERDICT_REFUSED) {
		put_out(d, GK_REASON_NO_ROLE);
		return;
	}
	d->stage = GRANTED;
	for (unsigned i = 0; i < d->c.candidates; i++) {
		const struct gk_candidate *k = &d->c.candidate[i];

		if (k->role == 0)
			continue;
		f.u.grant.interface = k->number;
		f.u.grant.role = k->role;
		to_worker(d, f);
	}
	go.u.ping.reply = 1;
	to_worker(d, go);
}

static void serve(struct device *d)
{
	d->stage = SERVING;
	d->served_ms = gk_clock_ms();
	d->asked_ms = d->served_ms;
	d->answered = 1;
	d->busy = 0;
	d->cpu_ms = gk_spawn_cpu_ms(d->worker);
	tell_first(d);
}

/* A worker's PING: it has looked (1), it serves (2), it is still there. */
static void on_ping(struct device *d, const struct gk_link_ping *p)
{
	if (d->stage == LOOKING && !p->reply)
		grant(d);
	else if (d->stage == GRANTED && !p->reply)
		serve(d);
	else if (d->stage == SERVING && p->reply && p->token == d->token)
		d->answered = 1;
}

static void count_all(void)
{
	uint64_t now = gk_clock_ms();

	if (now - st.window_ms >= RATE_MS) {
		st.window_ms = now;
		st.keys = 0;
		st.fido = 0;
		for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
			st.dev[i].key_share = 0;
			st.dev[i].fido_share = 0;
		}
	}
}

/* 1: with it there are too many keys of all devices together. */
static int all_too_fast(struct device *d)
{
	count_all();
	st.keys++;
	d->key_share++;
	return st.keys > KEYS_ALL_END ||
	       (st.keys > KEYS_ALL_MAX && d->key_share > KEYS_SHARE);
}

static void on_key(struct device *d, const struct gk_frame *f)
{
	if (d->stage != SERVING || !(d->c.info.granted & GK_ROLE_KEYBOARD))
		return;
	if (++d->keys > KEYS_MAX) {
		put_out(d, GK_REASON_FLOOD);
		return;
	}
	/* dom0 looks at it again. */
	if (!gk_key_allowed(f->u.key.code))
		return;
	if (all_too_fast(d) || (d->keys % WAITING_LOOK == 0 &&
				st.ops->waiting(id_of(d)) > WAITING_MAX))
		put_out(d, GK_REASON_FLOOD);
	else
		st.ops->send(f);
}

/* The same of FIDO frames: whose next one it is that is above the limit is chance. */
static int all_fido_too_fast(struct device *d)
{
	count_all();
	st.fido++;
	d->fido_share++;
	return st.fido > FIDO_ALL_END ||
	       (st.fido > FIDO_ALL_MAX && d->fido_share > FIDO_SHARE);
}

/* What is in it is between its worker and dom0: both look at it. */
static void on_fido(struct device *d, const struct gk_frame *f)
{
	if (d->stage != SERVING || !(d->c.info.granted & GK_ROLE_FIDO))
		return;
	if (++d->fido > FIDO_MAX || all_fido_too_fast(d) ||
	    (d->fido % WAITING_LOOK == 0 &&
	     st.ops->waiting(id_of(d)) > WAITING_MAX))
		put_out(d, GK_REASON_FLOOD);
	else
		st.ops->send(f);
}

static int too_fast(struct device *d)
{
	uint64_t now = gk_clock_ms();

	if (now - d->window_ms >= RATE_MS) {
		d->window_ms = now;
		d->keys = 0;
		d->fido = 0;
		d->frames = 0;
	}
	return ++d->frames > FRAMES_MAX;
}

/* Only what the role may say goes on, under the supervisor's own stamp. */
static void from_worker(struct device *d, struct gk_frame *f)
{
	if (too_fast(d)) {
		put_out(d, GK_REASON_FLOOD);
		return;
	}
	f->device = id_of(d);
	f->generation = d->generation;
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_KEY:
		on_key(d, f);
		return;
	case GK_LINK_FIDO:
		on_fido(d, f);
		return;
	case GK_LINK_LOG:
		if (told(d) && d->logs++ < LOGS_MAX)
			st.ops->send(f);
		return;
	case GK_LINK_PING:
		on_ping(d, &f->u.ping);
		return;
	case GK_LINK_FOUND:
		if (d->stage == LOOKING)
			on_found(d, &f->u.found);
		return;
	/* The codec lets a worker send none of these. */
	case GK_LINK_HELLO:
	case GK_LINK_DEVICE:
	case GK_LINK_GONE:
	case GK_LINK_LED:
	case GK_LINK_QUIESCE:
	case GK_LINK_QUIESCED:
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
			close_sock(d);
			/* A hub's child is done; a worker should not be. */
			if (d->c.verdict != GK_VERDICT_HUB)
				d->lost_ms = gk_clock_ms();
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

/* 1: it has let a question unanswered, or does nothing but compute. */
static int hangs(struct device *d, uint64_t now)
{
	struct gk_frame f = { .type = GK_LINK_PING };
	uint64_t passed = now - d->asked_ms;
	long cpu;

	if (passed < WATCH_MS)
		return 0;
	if (!d->answered)
		return passed >= HANG_MS;
	cpu = gk_spawn_cpu_ms(d->worker);
	if (cpu >= 0 && d->cpu_ms >= 0 &&
	    (uint64_t)(cpu - d->cpu_ms) * 100 >= passed * BUSY_PERCENT)
		d->busy++;
	else
		d->busy = 0;
	d->cpu_ms = cpu;
	d->asked_ms = now;
	d->answered = 0;
	f.u.ping.token = ++d->token;
	to_worker(d, f);
	return d->busy >= BUSY_MAX;
}

static enum gk_reason why_lost(const struct device *d)
{
	return told(d) ? GK_REASON_WORKER : GK_REASON_CONFIGURE;
}

/* Once its worker is reaped, whose uid it needs; one that cannot even be killed is
 * not waited for without end. */
static void resume(struct device *d, uint64_t now)
{
	if (!d->worker && now >= d->retry_ms)
		begin(d, 0);
	else if (d->worker && now >= d->retry_ms + START_MS)
		put_out(d, GK_REASON_CONFIGURE);
}

void gk_devices_tick(void)
{
	uint64_t now = gk_clock_ms();
	uint64_t away = st.tick_ms && now - st.tick_ms >= PAUSE_MS ? now - st.tick_ms : 0;

	st.tick_ms = now;
	for (unsigned i = 0; i < GK_LINK_DEVICES && !st.stopping; i++) {
		struct device *d = &st.dev[i];

		if (!d->used)
			continue;
		d->asked_ms = d->asked_ms + away < now ? d->asked_ms + away : now;
		if (d->stage == PAUSED) {
			resume(d, now);
			continue;
		}
		if (d->lost_ms && now - d->lost_ms >= BLAME_MS)
			stumble(d, why_lost(d));
		else if (!told(d) && now - d->start_ms >= START_MS)
			put_out(d, GK_REASON_CONFIGURE);
		else if (d->stage == SERVING && !d->lost_ms && hangs(d, now))
			put_out(d, GK_REASON_HANG);
	}
}

/* A worker that did what its jail forbids, or crashed: the sign of an attack, so a
 * line in dom0's log says it, beside the verdict on the device. */
static void tell_end(const struct device *d, const char *how)
{
	struct gk_frame f = { .type = GK_LINK_LOG };
	char port[GK_PORT_TEXT];
	int n;

	gk_port_text(gk_inventory_controller_no(d->at.path.controller), &d->at.path,
		     port);
	f.u.log.level = 4;
	n = snprintf(f.u.log.text, sizeof(f.u.log.text), "the worker of port %s %s",
		     port, how);
	f.u.log.len = (uint8_t)n;
	st.ops->send(&f);
}

static void child_of(struct device *d, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	const char *how = WIFSIGNALED(status) ? gk_child_end(status) : NULL;
	int ended_here = d->stage == STANDS || d->stage == PAUSED;

	d->worker = 0;
	if (!d->used || st.stopping)
		return;
	/* Not those that were ended here. */
	if (how && (WTERMSIG(status) != SIGKILL || !ended_here))
		tell_end(d, how);
	else if (code != GK_WORKER_DONE && code >= 0)
		gk_kmsg(4, "%s: its process ended (status %d)", d->at.name, code);
	if (ended_here)
		return;
	/* A crash, or a call that its jail forbids, is no stall. */
	if (code == GK_SPAWN_CHANGED)
		put_out(d, GK_REASON_CHANGED);
	else if (WIFSIGNALED(status))
		put_out(d, why_lost(d));
	else if (code == GK_SPAWN_FAILED)
		stumble(d, GK_REASON_CONFIGURE);
	else if (d->c.verdict == GK_VERDICT_HUB && d->stage == LOOKING) {
		d->stage = STANDS;
		tell_first(d);
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

static void begin_anew(struct device *d)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	f.u.ping.reply = 1;
	if (d->stage == SERVING && d->c.info.granted & GK_ROLE_FIDO)
		to_worker(d, f);
}

void gk_devices_announce(void)
{
	uint32_t last = 0;

	for (unsigned n = 0; n < GK_LINK_DEVICES; n++) {
		struct device *next = NULL;

		for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
			struct device *d = &st.dev[i];

			if (d->used && told(d) && d->generation > last &&
			    (!next || d->generation < next->generation))
				next = d;
		}
		if (!next)
			return;
		last = next->generation;
		begin_anew(next);
		tell(next);
	}
}

void gk_devices_to_worker(const struct gk_frame *f)
{
	struct device *d;

	if (f->device == 0 || f->device > GK_LINK_DEVICES)
		return;
	d = &st.dev[f->device - 1];
	if (f->type == GK_LINK_FIDO && !(d->c.info.granted & GK_ROLE_FIDO))
		return;
	if (d->used && d->stage == SERVING && d->generation == f->generation)
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
		gk_spawn_end(st.dev[i].worker);
}

unsigned gk_devices_admitted(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		n += st.dev[i].used && st.dev[i].stage == SERVING;
	return n;
}
