/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attack.h"

#include <string.h>

#include "core/policy.h"

enum { TRIES = 10000 };

const char *const gk_attack_names[GK_ATTACK_KINDS] = {
	[GK_ATTACK_DEVICE] = "device", [GK_ATTACK_KEY] = "key",
	[GK_ATTACK_GONE] = "gone",     [GK_ATTACK_LOG] = "log",
	[GK_ATTACK_PING] = "ping",     [GK_ATTACK_HELLO] = "hello",
	[GK_ATTACK_ORDER] = "order",   [GK_ATTACK_MUTATED] = "mutated",
	[GK_ATTACK_LENGTH] = "length", [GK_ATTACK_CUT] = "cut",
	[GK_ATTACK_JUNK] = "junk",
};

/* splitmix64: every seed is good, and there is nothing else to it. */
uint64_t gk_attack_random(struct gk_attack *a)
{
	uint64_t z = a->seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned below(struct gk_attack *a, unsigned n)
{
	return (unsigned)(gk_attack_random(a) % n);
}

static void put16(struct gk_attack_message *m, size_t at, unsigned v)
{
	m->b[at] = (uint8_t)v;
	m->b[at + 1] = (uint8_t)(v >> 8);
}

static void put32(struct gk_attack_message *m, size_t at, uint32_t v)
{
	put16(m, at, v & 0xffff);
	put16(m, at + 2, v >> 16);
}

/* A header, and room for the payload, which is 0. */
static void header(struct gk_attack_message *m, uint8_t type, uint32_t device,
		   uint32_t generation)
{
	int payload = gk_link_payload_len(type);

	memset(m->b, 0, sizeof(m->b));
	m->b[0] = GK_LINK_VERSION;
	m->b[1] = type;
	put16(m, 2, (unsigned)payload);
	put32(m, 4, device);
	put32(m, 8, generation);
	m->len = GK_LINK_HEADER + (size_t)payload;
}

/* Mostly a device that dom0 knows, and its generation; else anything. */
static void about(struct gk_attack *a, uint32_t *id, uint32_t *generation)
{
	const struct gk_session_device *d =
		&a->session.dev[below(a, GK_LINK_DEVICES)];

	*id = d->id;
	*generation = d->generation;
	switch (below(a, 24)) {
	case 0:
		*id = (uint32_t)gk_attack_random(a);
		break;
	case 1:
		*generation += 1 + below(a, 5);
		break;
	case 2:
		*generation -= below(a, 5);
		break;
	case 3:
		*id = a->ids[below(a, GK_LINK_DEVICES)];
		break;
	case 4:
		*id = 0;
		break;
	}
}

static void bytes(struct gk_attack *a, uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)gk_attack_random(a);
}

static const struct {
	uint8_t verdict, granted, interfaces;
	uint16_t reason;
} verdicts[] = {
	{ GK_VERDICT_ADMITTED, GK_ROLE_KEYBOARD, 1, 1 },
	{ GK_VERDICT_ADMITTED, GK_ROLE_ALL, 4, 1 },
	{ GK_VERDICT_PARTLY, GK_ROLE_KEYBOARD, 32, 1 },
	{ GK_VERDICT_ADMITTED, GK_ROLE_FIDO, 1, 1 },
	{ GK_VERDICT_REFUSED, 0, 2, GK_REASON_NO_ROLE },
	{ GK_VERDICT_REFUSED, 0, 0, GK_REASON_BAD_DESCRIPTOR },
	{ GK_VERDICT_HUB, 0, 1, GK_REASON_HUB },
};

static void make_device(struct gk_attack *a, struct gk_attack_message *m)
{
	unsigned v = below(a, sizeof(verdicts) / sizeof(verdicts[0]));
	struct gk_frame f = { .type = GK_LINK_DEVICE };
	struct gk_link_device *d = &f.u.dev;
	int n;

	/* A keyboard more often than not: the others can do nothing. */
	if (below(a, 2))
		v = below(a, 3);
	f.device = a->ids[below(a, GK_LINK_DEVICES)];
	f.generation = a->session.last_generation + 1 + below(a, 3);
	if (f.generation < a->first_generation)
		f.generation += a->first_generation;
	d->path.controller = (uint8_t)gk_attack_random(a);
	d->path.root = (uint8_t)below(a, 2);
	d->path.depth = (uint8_t)(1 + below(a, GK_PORT_DEPTH));
	for (unsigned i = 0; i < d->path.depth; i++)
		d->path.port[i] = (uint8_t)(1 + below(a, 255));
	d->vid = (uint16_t)gk_attack_random(a);
	d->pid = (uint16_t)gk_attack_random(a);
	d->verdict = verdicts[v].verdict;
	d->granted = verdicts[v].granted;
	d->asked = d->granted | (uint8_t)below(a, GK_ROLE_ALL + 1);
	d->interfaces = verdicts[v].interfaces;
	d->reason = verdicts[v].reason;
	d->rule = (uint16_t)gk_attack_random(a);
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES && i < d->interfaces; i++) {
		bytes(a, (uint8_t *)&d->shown[i], sizeof(d->shown[i]));
		d->shown[i].role = d->granted;
		if (d->interfaces > 1)
			d->shown[i].role = (uint8_t)(d->granted & 1u << i);
	}
	d->device_class = (uint8_t)gk_attack_random(a);
	bytes(a, d->sha256, sizeof(d->sha256));
	n = gk_link_encode(&f, GK_SIDE_GATE, m->b, sizeof(m->b));
	m->len = n < 0 ? 0 : (size_t)n;
	switch (below(a, 10)) {
	case 0:
		put32(m, 4, (uint32_t)gk_attack_random(a));
		break;
	case 1:
		put32(m, 8, below(a, f.generation + 1));
		break;
	}
}

static int left_alone(const struct gk_attack *a, unsigned code)
{
	for (unsigned i = 0; i < GK_ATTACK_NOT; i++)
		if (a->not_codes[i] && a->not_codes[i] == code)
			return 1;
	return 0;
}

static void make_key(struct gk_attack *a, struct gk_attack_message *m)
{
	unsigned code = below(a, 65536);
	uint32_t id, generation;

	if (below(a, 4))
		code = below(a, 257);
	about(a, &id, &generation);
	header(m, GK_LINK_KEY, id, generation);
	put16(m, 12, code);
	m->b[14] = (uint8_t)below(a, 2);
	if (below(a, 20) == 0)
		m->b[14 + below(a, 2)] = (uint8_t)gk_attack_random(a);
	if (left_alone(a, code))
		m->len = 0;
}

/* CTAPHID, at its edges: channels, commands and lengths that are none. */
static void make_fido(struct gk_attack *a, struct gk_attack_message *m)
{
	static const uint8_t cmds[] = { 0x86, 0x90, 0xbb, 0xbf, 0x83, 0x91, 0xff, 0 };
	uint32_t id, generation;

	about(a, &id, &generation);
	header(m, GK_LINK_FIDO, id, generation);
	bytes(a, m->b + 12, GK_LINK_REPORT);
	if (below(a, 2))
		memset(m->b + 12, below(a, 2) ? 0xff : 0x47, 4);
	m->b[16] = cmds[below(a, 8)];
	if (below(a, 2))
		put16(m, 17, below(a, 4) << 8);
}

static void make_gone(struct gk_attack *a, struct gk_attack_message *m)
{
	uint32_t id, generation;

	about(a, &id, &generation);
	header(m, GK_LINK_GONE, id, generation);
	put16(m, 12, GK_REASON_CHANGED + below(a, 5));
	if (below(a, 8) == 0)
		put16(m, 12, below(a, 65536));
}

static void make_log(struct gk_attack *a, struct gk_attack_message *m)
{
	unsigned len = 1 + below(a, GK_LINK_TEXT);
	uint32_t id = 0, generation = 0;

	if (below(a, 2))
		about(a, &id, &generation);
	header(m, GK_LINK_LOG, id, generation);
	m->b[12] = (uint8_t)(3 + below(a, 5));
	m->b[13] = (uint8_t)len;
	/* What a log, a terminal or a format would fall for. */
	for (unsigned i = 0; i < len; i++)
		m->b[16 + i] = (uint8_t)"%sn$\\'\"`<>{}&;|#!~ A0"[below(a, 22)];
	for (unsigned i = 0; i < len; i++)
		if (m->b[16 + i] == 0)
			m->b[16 + i] = 'z';
	switch (below(a, 8)) {
	case 0:
		m->b[16 + below(a, len)] =
			(uint8_t)"\x1b\r\n\t\0\x7f\x80\x9b\xff\x07"[below(a, 10)];
		break;
	case 1:
		m->b[13] = (uint8_t)gk_attack_random(a);
		break;
	case 2:
		m->b[12] = (uint8_t)gk_attack_random(a);
		break;
	}
}

static void make_ping(struct gk_attack *a, struct gk_attack_message *m)
{
	header(m, GK_LINK_PING, 0, 0);
	m->b[12] = (uint8_t)below(a, 2);
	/* Never a token that the reader counts to. */
	bytes(a, m->b + 16, 8);
	m->b[23] |= 0x80;
	if (below(a, 4) == 0)
		m->b[below(a, 16)] = (uint8_t)gk_attack_random(a);
}

static void make_hello(struct gk_attack *a, struct gk_attack_message *m)
{
	header(m, GK_LINK_HELLO, 0, 0);
	put16(m, 12, below(a, 3));
	put16(m, 14, below(a, 3));
	memcpy(m->b + 16, a->session.nonce, GK_LINK_NONCE);
	if (below(a, 2))
		bytes(a, m->b + 16, GK_LINK_NONCE);
}

static void make_order(struct gk_attack *a, struct gk_attack_message *m)
{
	static const uint8_t types[] = { GK_LINK_QUIESCED, GK_LINK_LED,
					 GK_LINK_QUIESCE };
	uint32_t id = 0, generation = 0;
	uint8_t type = types[below(a, 3)];

	if (type == GK_LINK_LED)
		about(a, &id, &generation);
	header(m, type, id, generation);
	m->b[12] = (uint8_t)below(a, 8);
}

static void make_good(struct gk_attack *a, struct gk_attack_message *m)
{
	switch (below(a, 6)) {
	case 0:
		make_device(a, m);
		return;
	case 1:
		make_gone(a, m);
		return;
	case 2:
		make_log(a, m);
		return;
	case 3:
		make_ping(a, m);
		return;
	case 4:
		make_fido(a, m);
		return;
	default:
		make_key(a, m);
		return;
	}
}

static void make_mutated(struct gk_attack *a, struct gk_attack_message *m)
{
	make_good(a, m);
	for (unsigned n = 1 + below(a, 4); n && m->len; n--)
		m->b[below(a, (unsigned)m->len)] ^= (uint8_t)(1u << below(a, 8));
}

static void make_length(struct gk_attack *a, struct gk_attack_message *m)
{
	make_good(a, m);
	switch (below(a, 3)) {
	case 0:
		put16(m, 2, 0xffff - below(a, 16));
		break;
	case 1:
		put16(m, 2, below(a, 65536));
		break;
	case 2:
		put16(m, 2, m->b[2] + 1 - 2 * below(a, 2));
		break;
	}
}

static void make_cut(struct gk_attack *a, struct gk_attack_message *m)
{
	struct gk_attack_message rest;
	size_t at;

	make_good(a, m);
	make_good(a, &rest);
	if (!m->len)
		return;
	at = 1 + below(a, (unsigned)m->len - 1);
	memcpy(m->b + at, rest.b, rest.len);
	m->len = at + rest.len;
}

static void make_junk(struct gk_attack *a, struct gk_attack_message *m)
{
	m->len = 1 + below(a, GK_ATTACK_MAX);
	bytes(a, m->b, m->len);
	if (below(a, 2))
		m->b[0] = GK_LINK_VERSION;
	if (below(a, 2) && m->len > 1)
		m->b[1] = (uint8_t)below(a, 12);
}

static void make(struct gk_attack *a, struct gk_attack_message *m)
{
	switch (m->kind) {
	case GK_ATTACK_DEVICE:
		make_device(a, m);
		return;
	case GK_ATTACK_KEY:
		make_key(a, m);
		return;
	case GK_ATTACK_GONE:
		make_gone(a, m);
		return;
	case GK_ATTACK_LOG:
		make_log(a, m);
		return;
	case GK_ATTACK_PING:
		make_ping(a, m);
		return;
	case GK_ATTACK_HELLO:
		make_hello(a, m);
		return;
	case GK_ATTACK_ORDER:
		make_order(a, m);
		return;
	case GK_ATTACK_MUTATED:
		make_mutated(a, m);
		return;
	case GK_ATTACK_LENGTH:
		make_length(a, m);
		return;
	case GK_ATTACK_CUT:
		make_cut(a, m);
		return;
	case GK_ATTACK_JUNK:
		make_junk(a, m);
		return;
	case GK_ATTACK_KINDS:
		break;
	}
	m->len = 0;
}

enum outcome { PASSED = 1, KEPT = 0, BROKEN = -1, MORE = -2 };

/* What a reader makes of these bytes, in its session s; fills m->passed. */
static enum outcome judge(struct gk_session *s, struct gk_attack_message *m)
{
	enum outcome last = MORE;

	m->passed = 0;
	for (size_t at = 0; at < m->len;) {
		int len = gk_link_peek(m->b + at, m->len - at);
		struct gk_frame f;
		int err;

		if (len == GK_ERR_SHORT)
			return MORE;
		if (len < 0)
			return BROKEN;
		if ((size_t)len > m->len - at)
			return MORE;
		if (gk_link_decode(m->b + at, (size_t)len, GK_SIDE_GATE, &f) < 0)
			return BROKEN;
		/* Time stands still here: the rate is not what this is about. */
		s->window_frames = s->window_keys = 0;
		err = gk_session_frame(s, &f, 0);
		if (err < 0)
			return BROKEN;
		last = err || (f.type == GK_LINK_PING && !f.u.ping.reply) ? KEPT :
									    PASSED;
		m->passed += last == PASSED;
		at += (size_t)len;
	}
	return last;
}

static void count(struct gk_attack *a, const struct gk_attack_message *m)
{
	a->made[m->kind]++;
	if (m->kind == GK_ATTACK_KEY) {
		unsigned code = m->b[12] | (unsigned)m->b[13] << 8;

		a->codes[code >> 3] |= (uint8_t)(1u << (code & 7));
	}
}

void gk_attack_begin(struct gk_attack *a, const uint8_t nonce[GK_LINK_NONCE])
{
	gk_session_init(&a->session, nonce);
	a->session.open = 1;
	/* Ids as one would give them, and as nobody would. */
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		a->ids[i] = i < 12 ? i + 1 : 0xfffffff0 + i;
	a->first_generation = below(a, 2) ? 0 : below(a, 1u << 30);
}

/* One frame of a kind that can be in order, until it is. */
void gk_attack_forged(struct gk_attack *a, struct gk_attack_message *m)
{
	static const enum gk_attack_kind kinds[] = {
		GK_ATTACK_KEY, GK_ATTACK_KEY, GK_ATTACK_KEY, GK_ATTACK_KEY,
		GK_ATTACK_DEVICE, GK_ATTACK_GONE, GK_ATTACK_LOG, GK_ATTACK_PING,
	};

	for (int i = 0; i < TRIES; i++) {
		struct gk_session s = a->session;
		enum outcome o;

		m->kind = kinds[below(a, sizeof(kinds) / sizeof(kinds[0]))];
		if (m->kind == GK_ATTACK_GONE && below(a, 3))
			continue;
		make(a, m);
		o = m->len ? judge(&s, m) : MORE;
		if (o != PASSED && o != KEPT)
			continue;
		a->session = s;
		count(a, m);
		return;
	}
	m->len = 0;
}

void gk_attack_break(struct gk_attack *a, struct gk_attack_message *m)
{
	for (int i = 0; i < TRIES; i++) {
		struct gk_session s = a->session;

		m->kind = (enum gk_attack_kind)below(a, GK_ATTACK_KINDS);
		make(a, m);
		if (m->len == 0 || judge(&s, m) != BROKEN)
			continue;
		a->session = s;
		count(a, m);
		return;
	}
	m->len = 0;
}
