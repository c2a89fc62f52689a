/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CTAPHID mux among clients and a device that say anything at all. Three bytes
 * an event: what, who and on which channel, a length or a number.
 *
 * What must hold:
 *   - the device hears INIT on the broadcast channel, and else only on channels
 *     that it gave; a message is whole, in order, not interrupted, and of the one
 *     client that the channel is for; CANCEL only after a request;
 *   - a client hears of channels that it was given, of the broadcast channel INIT
 *     and errors only, and no byte of an answer that is another client's; what is
 *     behind the data is zero;
 *   - left alone, it comes to rest, in a bounded time.
 */
#include <string.h>

#include "core/ctaphid.h"
#include "fuzz.h"

enum { STEP = 3, CLIENTS = GK_CTAPHID_CLIENTS, PAIRS = 4096, CIDS = 8 };

static struct {
	struct gk_ctaphid m;
	uint64_t now;
	/* Every channel that a client was told of. */
	struct {
		unsigned client;
		uint32_t cid, device_cid;
	} pair[PAIRS];
	unsigned pairs;
	unsigned life[CLIENTS]; /* attached as its how many-eth */
	unsigned pair_life[PAIRS];
	uint32_t last_cid[CLIENTS];
	uint32_t heard[CIDS]; /* what the device heard last, on what channels */
	unsigned heards;
	uint8_t nonce[8];
	/* The message on its way to the device. */
	uint32_t open_cid;
	unsigned left, seq;
	/* A client's answer on its way. */
	struct {
		uint32_t cid;
		unsigned left, seq;
	} in[CLIENTS];
} f;

static uint32_t cid_of(const uint8_t *raw)
{
	return (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 |
	       raw[3];
}

static void put_cid(uint8_t *raw, uint32_t cid)
{
	for (int i = 0; i < 4; i++)
		raw[i] = (uint8_t)(cid >> (24 - 8 * i));
}

/* What its bytes are is whose they are. */
static uint8_t mark_of_client(unsigned client)
{
	return (uint8_t)(0xc0 | client);
}

static uint8_t mark_of_channel(uint32_t device_cid)
{
	return (uint8_t)(device_cid * 7 + 1);
}

static void check_bytes(const uint8_t *data, unsigned room, unsigned n, uint8_t mark)
{
	for (unsigned i = 0; i < room; i++)
		MUST(data[i] == (i < n ? mark : 0));
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The client that was told of this channel of the device last. */
static int client_of(uint32_t device_cid)
{
	for (unsigned i = f.pairs; i > 0; i--)
		if (f.pair[i - 1].device_cid == device_cid)
			return (int)f.pair[i - 1].client;
	return -1;
}

static void at_device(const uint8_t raw[GK_CTAPHID_PACKET])
{
	uint32_t cid = cid_of(raw);
	unsigned cmd = raw[4] & 0x7f, len = (unsigned)raw[5] << 8 | raw[6];
	int client = client_of(cid);

	f.heard[f.heards++ % CIDS] = cid;
	if (f.open_cid) {
		MUST(cid == f.open_cid && raw[4] == f.seq);
		check_bytes(raw + 5, 59, least(f.left, 59), mark_of_client((unsigned)client));
		f.left -= least(f.left, 59);
		f.seq++;
		if (f.left == 0)
			f.open_cid = 0;
		return;
	}
	MUST(raw[4] & 0x80);
	if (cid == GK_CTAPHID_BROADCAST || cmd == GK_CTAPHID_INIT) {
		MUST(cmd == GK_CTAPHID_INIT && len == 8);
		MUST(cid == GK_CTAPHID_BROADCAST || client >= 0);
		memcpy(f.nonce, raw + 7, 8);
		return;
	}
	MUST(client >= 0);
	if (cmd == GK_CTAPHID_CANCEL) {
		check_bytes(raw + 5, 59, 0, 0);
		return;
	}
	MUST(cmd == GK_CTAPHID_PING || cmd == GK_CTAPHID_MSG || cmd == GK_CTAPHID_WINK ||
	     cmd == GK_CTAPHID_CBOR);
	MUST(len <= GK_CTAPHID_MESSAGE);
	check_bytes(raw + 7, 57, least(len, 57), mark_of_client((unsigned)client));
	f.left = len - least(len, 57);
	f.seq = 0;
	f.open_cid = f.left ? cid : 0;
}

static int pair_of(unsigned client, uint32_t cid)
{
	for (unsigned i = f.pairs; i > 0; i--)
		if (f.pair[i - 1].cid == cid && f.pair[i - 1].client == client &&
		    f.pair_life[i - 1] == f.life[client])
			return (int)i - 1;
	return -1;
}

static void told_channel(unsigned client, const uint8_t raw[GK_CTAPHID_PACKET])
{
	uint32_t cid = cid_of(raw + 15);

	MUST(pair_of(client, cid) >= 0);
	if (cid_of(raw) != GK_CTAPHID_BROADCAST)
		MUST(cid == cid_of(raw));
	f.last_cid[client] = cid;
}

/* The device has answered an INIT: what it gave is known now, also when the client
 * takes its answer later. */
static void gave_channel(unsigned client, uint32_t device_cid)
{
	const struct gk_ctaphid_client *c = &f.m.client[client];
	const uint8_t *raw = c->queue[(c->head + c->count - 1u) % GK_CTAPHID_QUEUE];
	uint32_t cid = cid_of(raw + 15);

	if (c->count == 0 || raw[4] != (0x80 | GK_CTAPHID_INIT) ||
	    cid_of(raw) != GK_CTAPHID_BROADCAST || pair_of(client, cid) >= 0)
		return;
	MUST(cid != 0 && cid != GK_CTAPHID_BROADCAST && f.pairs < PAIRS);
	f.pair[f.pairs].client = client;
	f.pair[f.pairs].cid = cid;
	f.pair[f.pairs].device_cid = device_cid;
	f.pair_life[f.pairs++] = f.life[client];
}

static void at_client(unsigned client, const uint8_t raw[GK_CTAPHID_PACKET])
{
	uint32_t cid = cid_of(raw);
	unsigned cmd = raw[4] & 0x7f, len = (unsigned)raw[5] << 8 | raw[6];
	int pair = pair_of(client, cid);
	uint8_t mark = pair < 0 ? 0 : mark_of_channel(f.pair[pair].device_cid);

	if (!(raw[4] & 0x80)) {
		MUST(pair >= 0 && f.in[client].cid == cid && f.in[client].seq == raw[4]);
		check_bytes(raw + 5, 59, least(f.in[client].left, 59), mark);
		f.in[client].left -= least(f.in[client].left, 59);
		f.in[client].seq++;
		return;
	}
	if (cmd == GK_CTAPHID_INIT) {
		MUST(len == GK_CTAPHID_INIT_LEN);
		told_channel(client, raw);
		return;
	}
	/* On which channel it was wrong is as the client said it. */
	if (cmd == GK_CTAPHID_ERROR) {
		MUST(len == 1);
		for (unsigned i = 8; i < GK_CTAPHID_PACKET; i++)
			MUST(raw[i] == 0);
		return;
	}
	MUST(pair >= 0);
	if (cmd == GK_CTAPHID_KEEPALIVE) {
		MUST(len == 1 && (raw[7] == 1 || raw[7] == 2));
		return;
	}
	MUST(len <= GK_CTAPHID_MESSAGE);
	check_bytes(raw + 7, 57, least(len, 57), mark);
	f.in[client].cid = cid;
	f.in[client].left = len - least(len, 57);
	f.in[client].seq = 0;
}

static void pump(unsigned skip)
{
	uint8_t raw[GK_CTAPHID_PACKET];

	/* Bits of skip: who does not take anything this time. */
	for (unsigned i = 0; !(skip & 0x80) && i < 2u * GK_CTAPHID_PACKETS &&
			     gk_ctaphid_to_device(&f.m, f.now, raw); i++)
		at_device(raw);
	for (unsigned c = 0; c < CLIENTS; c++) {
		for (int i = 0; !(skip >> c & 1) && gk_ctaphid_to_client(&f.m, c, raw);
		     i++) {
			MUST(i < GK_CTAPHID_QUEUE);
			at_client(c, raw);
		}
		if (!gk_ctaphid_overrun(&f.m, c))
			continue;
		gk_ctaphid_detach(&f.m, c, f.now);
		memset(&f.in[c], 0, sizeof(f.in[c]));
		f.life[c]++;
	}
}

static const uint8_t commands[] = {
	GK_CTAPHID_PING, GK_CTAPHID_MSG, GK_CTAPHID_INIT, GK_CTAPHID_CBOR,
	GK_CTAPHID_CANCEL, GK_CTAPHID_KEEPALIVE, GK_CTAPHID_ERROR, GK_CTAPHID_LOCK,
};

static unsigned length(uint8_t b)
{
	static const uint16_t odd[] = { 8, 17, 57, 58, 116, 117, 7609, 7610 };

	return b < 0xc0 ? b : b < 0xf8 ? (b - 0xc0u) * 130 : odd[b - 0xf8];
}

static uint32_t client_cid(unsigned client, unsigned how)
{
	switch (how) {
	case 0:
		return GK_CTAPHID_BROADCAST;
	case 1:
		return f.last_cid[(client + 1) % CLIENTS];
	case 2:
		return f.heard[f.heards % CIDS];
	default:
		return f.last_cid[client];
	}
}

/* who: 3 bits client or channel, 2 bits how, 3 bits command. */
static void client_says(uint8_t who, uint8_t b, int first)
{
	unsigned client = (who & 7u) % CLIENTS;
	uint8_t raw[GK_CTAPHID_PACKET];

	memset(raw, mark_of_client(client), sizeof(raw));
	put_cid(raw, client_cid(client, who >> 3 & 3));
	if (first) {
		unsigned len = length(b);

		raw[4] = 0x80 | commands[who >> 5];
		if (commands[who >> 5] == GK_CTAPHID_INIT && b < 0xc0)
			len = 8;
		raw[5] = (uint8_t)(len >> 8);
		raw[6] = (uint8_t)len;
	} else {
		raw[4] = b & 0x7f;
	}
	gk_ctaphid_from_client(&f.m, client, raw, f.now);
}

/* A request or an answer of several packets, all at once. */
static void client_goes_on(uint8_t who, uint8_t b)
{
	for (unsigned i = 0; i < 128 && i <= b; i++)
		client_says(who, (uint8_t)i, 0);
}

static int device_says(uint8_t who, uint8_t b, int first)
{
	uint32_t cid = (who & 7) == 7 ? GK_CTAPHID_BROADCAST : f.heard[who & 7];
	uint8_t raw[GK_CTAPHID_PACKET];

	memset(raw, mark_of_channel(cid), sizeof(raw));
	put_cid(raw, cid);
	if (first) {
		unsigned len = length(b), cmd = commands[who >> 5];

		raw[4] = (uint8_t)(0x80 | cmd);
		if (cmd == GK_CTAPHID_KEEPALIVE || cmd == GK_CTAPHID_ERROR)
			len = b & 0x80 ? len : 1;
		raw[5] = (uint8_t)(len >> 8);
		raw[6] = (uint8_t)len;
		if (cmd == GK_CTAPHID_KEEPALIVE)
			raw[7] = (uint8_t)(b & 3);
	} else {
		raw[4] = b & 0x7f;
	}
	return gk_ctaphid_from_device(&f.m, raw, f.now);
}

static int device_goes_on(uint8_t who, uint8_t b)
{
	int err = 0;

	for (unsigned i = 0; i < 128 && i <= b && !err; i++) {
		err = device_says(who, (uint8_t)i, 0);
		pump(0);
	}
	return err;
}

static int device_inits(uint8_t who, uint8_t b)
{
	uint32_t given = b & 0x80 ? 0x01000000u + f.pairs : b;
	uint8_t raw[GK_CTAPHID_PACKET] = { 0 };
	unsigned asked = f.m.init_sent, client = f.m.init_client;
	int err;

	put_cid(raw, who & 1 ? f.heard[(f.heards + CIDS - 1) % CIDS] : GK_CTAPHID_BROADCAST);
	raw[4] = 0x80 | GK_CTAPHID_INIT;
	raw[6] = GK_CTAPHID_INIT_LEN;
	memcpy(raw + 7, f.nonce, 8);
	put_cid(raw + 15, who & 1 ? cid_of(raw) : given);
	raw[7] ^= (who & 0xf0) == 0xf0;
	err = gk_ctaphid_from_device(&f.m, raw, f.now);
	if (asked && !f.m.init_sent)
		gave_channel(client, given);
	return err;
}

static void comes_and_goes(uint8_t who, uint8_t b)
{
	unsigned client = (who & 7u) % CLIENTS;

	gk_ctaphid_detach(&f.m, client, f.now);
	memset(&f.in[client], 0, sizeof(f.in[client]));
	f.life[client]++;
	if (b & 1)
		gk_ctaphid_attach(&f.m, client, 1 + (b >> 1 & 3));
}

static void check(void)
{
	const struct gk_ctaphid *m = &f.m;

	MUST(m->done <= m->total && m->total <= GK_CTAPHID_MESSAGE);
	MUST(m->foreign <= GK_CTAPHID_FOREIGN);
	MUST(m->owner < GK_CTAPHID_CHANNELS);
	MUST(m->state == GK_CTAPHID_IDLE || m->channel[m->owner].cid != 0);
	MUST((m->state != GK_CTAPHID_IDLE || m->init_sent || m->drain_cid) ==
	     (gk_ctaphid_due(m) != 0));
	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++) {
		unsigned n = 0;

		if (m->channel[i].cid == 0)
			continue;
		MUST(m->client[m->channel[i].client].attached);
		MUST(m->channel[i].device_cid != 0 &&
		     m->channel[i].device_cid != GK_CTAPHID_BROADCAST);
		for (unsigned k = 0; k < GK_CTAPHID_CHANNELS; k++) {
			n += m->channel[k].cid &&
			     m->channel[k].client == m->channel[i].client;
			MUST(k == i || (m->channel[k].cid != m->channel[i].cid &&
					m->channel[k].device_cid !=
						m->channel[i].device_cid));
		}
		MUST(n <= m->client[m->channel[i].client].limit);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int err = 0;

	memset(&f, 0, sizeof(f));
	f.now = 1000;
	gk_ctaphid_init(&f.m);
	for (unsigned c = 0; c < CLIENTS; c++)
		gk_ctaphid_attach(&f.m, c, 2);
	for (; size >= STEP && !err; data += STEP, size -= STEP) {
		switch (data[0] & 7) {
		case 0:
			client_says(data[1], data[2], 1);
			break;
		case 1:
			if (data[0] & 8)
				client_says(data[1], data[2], 0);
			else
				client_goes_on(data[1], data[2]);
			break;
		case 2:
			err = device_says(data[1], data[2], 1);
			break;
		case 3:
			err = data[0] & 8 ? device_says(data[1], data[2], 0) :
					    device_goes_on(data[1], data[2]);
			break;
		case 4:
			err = device_inits(data[1], data[2]);
			break;
		case 5:
			f.now += (uint64_t)data[1] * data[2];
			gk_ctaphid_tick(&f.m, f.now);
			break;
		case 6:
			comes_and_goes(data[1], data[2]);
			break;
		default:
			break;
		}
		pump(data[0] & 0x10 ? data[2] : 0);
		check();
	}
	for (unsigned i = 0; i < 4 * CLIENTS; i++) {
		uint64_t due = gk_ctaphid_due(&f.m);

		pump(0);
		f.now = due > f.now ? due : f.now + 1;
		gk_ctaphid_tick(&f.m, f.now);
	}
	MUST(gk_ctaphid_due(&f.m) == 0 && f.m.state == GK_CTAPHID_IDLE);
	return 0;
}
