/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "ctaphid.h"
#include "cursor.h"

enum {
	FIRST = 0x80,		/* bit of a first packet's command (11.2.4) */
	HEAD_FIRST = 7,		/* channel, command, length */
	HEAD_NEXT = 5,		/* channel, sequence number */
	SERIALS = 0xffffff,
};

/* A channel id of ours; the top byte only makes it easy to recognise. */
static const uint32_t OUR_CIDS = 0x47000000;

/* A packet, taken apart. */
struct packet {
	uint32_t cid;
	uint8_t first;
	uint8_t cmd;		/* of a first one */
	uint8_t seq;		/* of one that continues */
	uint16_t len;		/* of a first one: of the whole message */
	const uint8_t *data;
};

/* Channel ids and lengths have their high byte first (11.2.4), unlike all else
 * that the cursor reads. */
static uint32_t get_be32(struct gk_reader *r)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 8 | gk_get_u8(r);
	return v;
}

static void put_be32(struct gk_writer *w, uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		gk_put_u8(w, (uint8_t)(v >> i));
}

static struct packet take_apart(const uint8_t raw[GK_CTAPHID_PACKET])
{
	struct packet p = { 0 };
	struct gk_reader r;
	uint8_t b;

	gk_reader_init(&r, raw, GK_CTAPHID_PACKET);
	p.cid = get_be32(&r);
	b = gk_get_u8(&r);
	p.first = (b & FIRST) != 0;
	if (p.first) {
		p.cmd = b & (FIRST - 1);
		p.len = (uint16_t)(gk_get_u8(&r) << 8);
		p.len = (uint16_t)(p.len | gk_get_u8(&r));
	} else {
		p.seq = b;
	}
	p.data = raw + r.off;
	return p;
}

static uint16_t least(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static void put_first(uint8_t out[GK_CTAPHID_PACKET], uint32_t cid, uint8_t cmd,
		      uint16_t len, const uint8_t *data)
{
	struct gk_writer w;

	memset(out, 0, GK_CTAPHID_PACKET);
	gk_writer_init(&w, out, GK_CTAPHID_PACKET);
	put_be32(&w, cid);
	gk_put_u8(&w, (uint8_t)(FIRST | cmd));
	gk_put_u8(&w, (uint8_t)(len >> 8));
	gk_put_u8(&w, (uint8_t)len);
	gk_put_bytes(&w, data, least(len, GK_CTAPHID_FIRST));
}

static void put_next(uint8_t out[GK_CTAPHID_PACKET], uint32_t cid, uint8_t seq,
		     uint16_t left, const uint8_t *data)
{
	struct gk_writer w;

	memset(out, 0, GK_CTAPHID_PACKET);
	gk_writer_init(&w, out, GK_CTAPHID_PACKET);
	put_be32(&w, cid);
	gk_put_u8(&w, seq);
	gk_put_bytes(&w, data, least(left, GK_CTAPHID_NEXT));
}

void gk_ctaphid_init(struct gk_ctaphid *m)
{
	memset(m, 0, sizeof(*m));
}

/* --- clients --- */

void gk_ctaphid_attach(struct gk_ctaphid *m, unsigned client, unsigned channels)
{
	struct gk_ctaphid_client *c;

	if (client >= GK_CTAPHID_CLIENTS)
		return;
	c = &m->client[client];
	memset(c, 0, sizeof(*c));
	c->attached = 1;
	c->limit = (uint8_t)(channels < GK_CTAPHID_CHANNELS ? channels :
							      GK_CTAPHID_CHANNELS);
}

/* NULL when there is no room: the caller finds gk_ctaphid_overrun(). */
static uint8_t *queue(struct gk_ctaphid *m, unsigned client)
{
	struct gk_ctaphid_client *c = &m->client[client];
	unsigned at;

	if (!c->attached)
		return NULL;
	if (c->count >= GK_CTAPHID_QUEUE) {
		c->overrun = 1;
		return NULL;
	}
	at = ((unsigned)c->head + c->count) % GK_CTAPHID_QUEUE;
	c->count++;
	return c->queue[at];
}

static void tell(struct gk_ctaphid *m, unsigned client, uint32_t cid, uint8_t cmd,
		 uint16_t len, const uint8_t *data)
{
	uint8_t *out = queue(m, client);

	if (out)
		put_first(out, cid, cmd, len, data);
}

static void tell_error(struct gk_ctaphid *m, unsigned client, uint32_t cid,
		       enum gk_ctaphid_error error)
{
	uint8_t code = (uint8_t)error;

	tell(m, client, cid, GK_CTAPHID_ERROR, 1, &code);
}

int gk_ctaphid_to_client(struct gk_ctaphid *m, unsigned client,
			 uint8_t packet[GK_CTAPHID_PACKET])
{
	struct gk_ctaphid_client *c;

	if (client >= GK_CTAPHID_CLIENTS || m->client[client].count == 0)
		return 0;
	c = &m->client[client];
	memcpy(packet, c->queue[c->head % GK_CTAPHID_QUEUE], GK_CTAPHID_PACKET);
	c->head = (uint8_t)((c->head + 1) % GK_CTAPHID_QUEUE);
	c->count--;
	return 1;
}

int gk_ctaphid_overrun(const struct gk_ctaphid *m, unsigned client)
{
	return client < GK_CTAPHID_CLIENTS && m->client[client].overrun;
}

/* --- channels --- */

static struct gk_ctaphid_channel *by_cid(struct gk_ctaphid *m, unsigned client,
					 uint32_t cid)
{
	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++)
		if (cid != 0 && m->channel[i].cid == cid &&
		    m->channel[i].client == client)
			return &m->channel[i];
	return NULL;
}

static int is_owner(const struct gk_ctaphid *m, const struct gk_ctaphid_channel *c)
{
	return m->state != GK_CTAPHID_IDLE && c == &m->channel[m->owner];
}

static int cid_taken(const struct gk_ctaphid *m, uint32_t cid)
{
	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++)
		if (m->channel[i].cid == cid)
			return 1;
	return 0;
}

static uint32_t new_cid(struct gk_ctaphid *m)
{
	uint32_t cid = OUR_CIDS;

	/* One more try than there are channels. */
	for (unsigned i = 0; i <= GK_CTAPHID_CHANNELS; i++) {
		m->serial++;
		cid = OUR_CIDS | (m->serial & SERIALS);
		if (!cid_taken(m, cid))
			break;
	}
	return cid;
}

/* A place for one more channel of this client; NULL: none. */
static struct gk_ctaphid_channel *room(struct gk_ctaphid *m, unsigned client)
{
	struct gk_ctaphid_channel *free = NULL, *oldest = NULL;
	unsigned has = 0;

	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++) {
		struct gk_ctaphid_channel *c = &m->channel[i];

		if (c->cid == 0) {
			free = free ? free : c;
			continue;
		}
		if (c->client != client)
			continue;
		has++;
		/* Its own transaction is not taken from under it. The
		 * difference, so that the count may wrap. */
		if (!is_owner(m, c) &&
		    (!oldest || m->serial - c->used > m->serial - oldest->used))
			oldest = c;
	}
	return has < m->client[client].limit && free ? free : oldest;
}

/* --- the transaction --- */

/* What the device still has to say on a channel is swallowed. */
static void drain(struct gk_ctaphid *m, uint32_t device_cid, int cancel, uint64_t now)
{
	m->drain_cid = device_cid;
	m->drained_cid = device_cid;
	m->drain_cancel = (uint8_t)cancel;
	m->drain_answer = 0;
	m->drain_left = 0;
	m->drain_packets = 0;
	m->drain_ms = now + GK_CTAPHID_DRAIN_MS;
}

/* Ends it, wherever it is; what has reached the device is cancelled if it can
 * be: CANCEL is for CBOR alone (11.2.9.1.5). */
static void break_off(struct gk_ctaphid *m, uint64_t now)
{
	uint32_t device_cid = m->channel[m->owner].device_cid;

	switch (m->state) {
	case GK_CTAPHID_IDLE:
	case GK_CTAPHID_REQUEST:
		break;
	case GK_CTAPHID_SEND:
		/* The device gives up half a message by itself. */
		if (m->done > 0 || m->seq > 0)
			drain(m, device_cid, 0, now);
		break;
	case GK_CTAPHID_WAIT:
		drain(m, device_cid, m->cmd == GK_CTAPHID_CBOR && m->cancel != 2, now);
		break;
	case GK_CTAPHID_ANSWER:
		drain(m, device_cid, 0, now);
		m->drain_answer = 1;
		m->drain_left = (uint16_t)(m->total - m->done);
		break;
	}
	m->state = GK_CTAPHID_IDLE;
}

static void fail(struct gk_ctaphid *m, enum gk_ctaphid_error error, uint64_t now)
{
	const struct gk_ctaphid_channel *c = &m->channel[m->owner];

	tell_error(m, c->client, c->cid, error);
	break_off(m, now);
}

static void forget(struct gk_ctaphid *m, struct gk_ctaphid_channel *c, uint64_t now)
{
	if (is_owner(m, c))
		break_off(m, now);
	memset(c, 0, sizeof(*c));
}

void gk_ctaphid_detach(struct gk_ctaphid *m, unsigned client, uint64_t now_ms)
{
	if (client >= GK_CTAPHID_CLIENTS)
		return;
	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++)
		if (m->channel[i].cid != 0 && m->channel[i].client == client)
			forget(m, &m->channel[i], now_ms);
	if (m->init_sent && m->init_client == client)
		m->init_orphan = 1;
	memset(&m->client[client], 0, sizeof(m->client[client]));
}

/* The request is whole: it goes to the device from its beginning. */
static void send_it(struct gk_ctaphid *m, uint64_t now)
{
	m->state = GK_CTAPHID_SEND;
	m->done = 0;
	m->seq = 0;
	m->silence_ms = now + GK_CTAPHID_SILENCE_MS;
	m->whole_ms = now + GK_CTAPHID_WHOLE_MS;
}

static int is_request(uint8_t cmd)
{
	return cmd == GK_CTAPHID_PING || cmd == GK_CTAPHID_MSG ||
	       cmd == GK_CTAPHID_WINK || cmd == GK_CTAPHID_CBOR;
}

static void begin(struct gk_ctaphid *m, struct gk_ctaphid_channel *c,
		  const struct packet *p, uint64_t now)
{
	m->owner = (uint8_t)(c - m->channel);
	m->state = GK_CTAPHID_REQUEST;
	m->cmd = p->cmd;
	m->cancel = 0;
	m->seq = 0;
	m->total = p->len;
	m->done = least(p->len, GK_CTAPHID_FIRST);
	m->keepalives = 0;
	memset(m->message, 0, sizeof(m->message));
	memcpy(m->message, p->data, m->done);
	m->whole_ms = now + GK_CTAPHID_REQUEST_MS;
	m->silence_ms = m->whole_ms;
	c->used = ++m->serial;
	if (m->done == m->total)
		send_it(m, now);
}

static void on_init(struct gk_ctaphid *m, unsigned client, const struct packet *p,
		    uint64_t now)
{
	struct gk_ctaphid_client *c = &m->client[client];
	struct gk_ctaphid_channel *own = by_cid(m, client, p->cid);

	if (p->len != GK_CTAPHID_NONCE) {
		tell_error(m, client, p->cid, GK_CTAPHID_INVALID_LEN);
		return;
	}
	if (c->inits == GK_CTAPHID_INITS)
		return;
	/* On a channel of its own: whatever goes on there is over (11.2.9.1.3). */
	if (own && is_owner(m, own))
		break_off(m, now);
	if (own && own->device_cid == m->drain_cid)
		m->drain_cancel = 0;
	c->init[c->inits].cid = p->cid;
	memcpy(c->init[c->inits].nonce, p->data, GK_CTAPHID_NONCE);
	c->inits++;
}

static void on_first(struct gk_ctaphid *m, unsigned client, const struct packet *p,
		     uint64_t now)
{
	struct gk_ctaphid_channel *c = by_cid(m, client, p->cid);

	if (p->cmd == GK_CTAPHID_INIT && (c || p->cid == GK_CTAPHID_BROADCAST)) {
		on_init(m, client, p, now);
		return;
	}
	if (!c) {
		tell_error(m, client, p->cid, GK_CTAPHID_INVALID_CHANNEL);
		return;
	}
	if (is_owner(m, c) && m->state == GK_CTAPHID_REQUEST) {
		fail(m, GK_CTAPHID_INVALID_SEQ, now);
		return;
	}
	/* Without an answer, also when there is nothing to cancel (11.2.9.1.5). */
	if (p->cmd == GK_CTAPHID_CANCEL) {
		if (is_owner(m, c) && m->cmd == GK_CTAPHID_CBOR && !m->cancel)
			m->cancel = 1;
		return;
	}
	if (m->state != GK_CTAPHID_IDLE)
		tell_error(m, client, p->cid, GK_CTAPHID_CHANNEL_BUSY);
	else if (!is_request(p->cmd))
		tell_error(m, client, p->cid, GK_CTAPHID_INVALID_CMD);
	else if (p->len > GK_CTAPHID_MESSAGE)
		tell_error(m, client, p->cid, GK_CTAPHID_INVALID_LEN);
	else
		begin(m, c, p, now);
}

static void on_next(struct gk_ctaphid *m, unsigned client, const struct packet *p,
		    uint64_t now)
{
	struct gk_ctaphid_channel *c = by_cid(m, client, p->cid);
	uint16_t n;

	/* One that continues nothing is ignored (11.2.5.4). */
	if (!c || !is_owner(m, c) || m->state != GK_CTAPHID_REQUEST)
		return;
	if (p->seq != m->seq) {
		fail(m, GK_CTAPHID_INVALID_SEQ, now);
		return;
	}
	n = least((uint16_t)(m->total - m->done), GK_CTAPHID_NEXT);
	memcpy(m->message + m->done, p->data, n);
	m->done = (uint16_t)(m->done + n);
	m->seq++;
	if (m->done == m->total)
		send_it(m, now);
}

void gk_ctaphid_from_client(struct gk_ctaphid *m, unsigned client,
			    const uint8_t packet[GK_CTAPHID_PACKET], uint64_t now_ms)
{
	struct packet p = take_apart(packet);

	if (client >= GK_CTAPHID_CLIENTS || !m->client[client].attached)
		return;
	gk_ctaphid_tick(m, now_ms);
	if (p.first)
		on_first(m, client, &p, now_ms);
	else
		on_next(m, client, &p, now_ms);
}

/* --- to the device --- */

static int take_init(struct gk_ctaphid_client *c, struct gk_ctaphid_asked *out)
{
	if (c->inits == 0)
		return 0;
	*out = c->init[0];
	c->inits--;
	memmove(c->init, c->init + 1, c->inits * sizeof(c->init[0]));
	return 1;
}

static int next_init(struct gk_ctaphid *m, uint64_t now, uint8_t *out)
{
	enum { TRIES = GK_CTAPHID_CLIENTS * GK_CTAPHID_INITS };

	if (m->init_sent)
		return 0;
	for (unsigned i = 0; i < TRIES; i++) {
		unsigned k = (m->init_turn + i) % GK_CTAPHID_CLIENTS;
		struct gk_ctaphid_asked asked;
		struct gk_ctaphid_channel *own;

		if (!take_init(&m->client[k], &asked))
			continue;
		own = by_cid(m, k, asked.cid);
		/* It may have been forgotten since. */
		if (!own && asked.cid != GK_CTAPHID_BROADCAST) {
			tell_error(m, k, asked.cid, GK_CTAPHID_INVALID_CHANNEL);
			continue;
		}
		m->init_sent = 1;
		m->init_orphan = 0;
		m->init_client = (uint8_t)k;
		m->init_turn = (uint8_t)(k + 1);
		m->init_cid = asked.cid;
		m->init_device_cid = own ? own->device_cid : GK_CTAPHID_BROADCAST;
		m->init_ms = now + GK_CTAPHID_INIT_MS;
		memcpy(m->nonce, asked.nonce, GK_CTAPHID_NONCE);
		put_first(out, m->init_device_cid, GK_CTAPHID_INIT, GK_CTAPHID_NONCE,
			  m->nonce);
		return 1;
	}
	return 0;
}

static void next_of_message(struct gk_ctaphid *m, uint64_t now, uint8_t *out)
{
	uint32_t cid = m->channel[m->owner].device_cid;
	uint16_t left = (uint16_t)(m->total - m->done);

	if (m->done == 0) {
		put_first(out, cid, m->cmd, m->total, m->message);
		m->done = least(left, GK_CTAPHID_FIRST);
	} else {
		put_next(out, cid, m->seq++, left, m->message + m->done);
		m->done = (uint16_t)(m->done + least(left, GK_CTAPHID_NEXT));
	}
	m->silence_ms = now + GK_CTAPHID_SILENCE_MS;
	if (m->done == m->total)
		m->state = GK_CTAPHID_WAIT;
}

int gk_ctaphid_to_device(struct gk_ctaphid *m, uint64_t now_ms,
			 uint8_t packet[GK_CTAPHID_PACKET])
{
	if (m->drain_cid && m->drain_cancel) {
		m->drain_cancel = 0;
		put_first(packet, m->drain_cid, GK_CTAPHID_CANCEL, 0, NULL);
		return 1;
	}
	/* A message is not interrupted, not even by INIT. */
	if (m->state == GK_CTAPHID_SEND && m->done > 0) {
		next_of_message(m, now_ms, packet);
		return 1;
	}
	if (m->state == GK_CTAPHID_WAIT && m->cancel == 1) {
		m->cancel = 2;
		put_first(packet, m->channel[m->owner].device_cid, GK_CTAPHID_CANCEL,
			  0, NULL);
		return 1;
	}
	if (next_init(m, now_ms, packet))
		return 1;
	if (m->state == GK_CTAPHID_SEND && !m->drain_cid) {
		next_of_message(m, now_ms, packet);
		return 1;
	}
	return 0;
}

/* --- from the device --- */

static int is_known(const struct gk_ctaphid *m, uint32_t device_cid)
{
	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++)
		if (m->channel[i].cid != 0 && m->channel[i].device_cid == device_cid)
			return 1;
	return device_cid != 0 && device_cid == m->drained_cid;
}

static int foreign(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	if (p->first && p->cmd == GK_CTAPHID_KEEPALIVE && is_known(m, p->cid))
		return GK_OK;
	if (now < m->foreign_ms || now - m->foreign_ms >= GK_CTAPHID_FOREIGN_MS) {
		m->foreign_ms = now;
		m->foreign = 0;
	}
	if (m->foreign >= GK_CTAPHID_FOREIGN)
		return GK_ERR_LIMIT;
	m->foreign++;
	return GK_OK;
}

/* A new channel of the device for who asked, or the old one once more. */
static int open_channel(struct gk_ctaphid *m, uint32_t device_cid, uint32_t *cid,
			uint64_t now)
{
	struct gk_ctaphid_channel *c = by_cid(m, m->init_client, m->init_cid);

	*cid = 0;
	if (m->init_cid != GK_CTAPHID_BROADCAST) {
		if (c && c->device_cid == device_cid)
			*cid = c->cid;
		return c && c->device_cid == device_cid ? GK_OK : GK_ERR_VALUE;
	}
	if (device_cid == 0 || device_cid == GK_CTAPHID_BROADCAST ||
	    device_cid == m->drain_cid)
		return GK_ERR_VALUE;
	/* It has given that one to somebody before: theirs no more, but not in
	 * the middle of a transaction. */
	for (unsigned i = 0; i < GK_CTAPHID_CHANNELS; i++) {
		if (m->channel[i].cid == 0 || m->channel[i].device_cid != device_cid)
			continue;
		if (is_owner(m, &m->channel[i]))
			return GK_ERR_VALUE;
		forget(m, &m->channel[i], now);
	}
	c = room(m, m->init_client);
	/* Its one channel is in use: it has to wait for itself. */
	if (!c)
		return GK_OK;
	c->cid = 0;
	c->cid = new_cid(m);
	c->device_cid = device_cid;
	c->client = m->init_client;
	c->used = ++m->serial;
	*cid = c->cid;
	return GK_OK;
}

/* The device has heard something of the transaction on this channel of its own. */
static int is_busy(const struct gk_ctaphid *m, uint32_t device_cid)
{
	if (m->channel[m->owner].device_cid != device_cid)
		return 0;
	return m->state == GK_CTAPHID_WAIT || m->state == GK_CTAPHID_ANSWER ||
	       (m->state == GK_CTAPHID_SEND && m->done > 0);
}

/* ERROR in the place of INIT's answer. 1: it was that. */
static int on_init_error(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	struct gk_ctaphid_channel *c = by_cid(m, m->init_client, m->init_cid);

	/* It may be for what else goes on there. */
	if (p->cid != GK_CTAPHID_BROADCAST &&
	    (p->cid == m->drain_cid || is_busy(m, p->cid)))
		return 0;
	m->init_sent = 0;
	if (m->init_orphan)
		return 1;
	tell(m, m->init_client, m->init_cid, p->cmd, 1, p->data);
	if (c && p->data[0] == GK_CTAPHID_INVALID_CHANNEL)
		forget(m, c, now);
	return 1;
}

/* 1: it was the answer to INIT. */
static int on_init_answer(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	uint8_t answer[GK_CTAPHID_INIT_LEN];
	struct gk_writer w;
	struct gk_reader r;
	uint32_t cid;

	if (!m->init_sent || p->cid != m->init_device_cid || !p->first)
		return 0;
	if (p->cmd == GK_CTAPHID_ERROR && p->len == 1)
		return on_init_error(m, p, now);
	if (p->cmd != GK_CTAPHID_INIT || p->len != GK_CTAPHID_INIT_LEN ||
	    memcmp(p->data, m->nonce, GK_CTAPHID_NONCE) != 0)
		return 0;
	gk_reader_init(&r, p->data, GK_CTAPHID_INIT_LEN);
	gk_skip(&r, GK_CTAPHID_NONCE);
	cid = get_be32(&r);
	if (m->init_orphan) {
		m->init_sent = 0;
		return 1;
	}
	if (open_channel(m, cid, &cid, now) < 0)
		return 0;
	m->init_sent = 0;
	if (p->cid != GK_CTAPHID_BROADCAST && p->cid == m->drain_cid)
		m->drain_cid = 0;
	if (cid == 0) {
		tell_error(m, m->init_client, m->init_cid, GK_CTAPHID_CHANNEL_BUSY);
		return 1;
	}
	memcpy(answer, p->data, sizeof(answer));
	gk_writer_init(&w, answer + GK_CTAPHID_NONCE, 4);
	put_be32(&w, cid);
	tell(m, m->init_client, m->init_cid, GK_CTAPHID_INIT, sizeof(answer), answer);
	return 1;
}

static void on_keepalive(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	const struct gk_ctaphid_channel *c = &m->channel[m->owner];

	/* 11.2.9.2.1 speaks of MSG, and keys send it in CBOR. */
	if (m->cmd != GK_CTAPHID_CBOR && m->cmd != GK_CTAPHID_MSG) {
		fail(m, GK_CTAPHID_OTHER, now);
		return;
	}
	if (++m->keepalives > GK_CTAPHID_KEEPALIVES) {
		fail(m, GK_CTAPHID_MSG_TIMEOUT, now);
		return;
	}
	/* 1 processing, 2 user presence needed; another is no sign of life, and no
	 * harm. */
	if (p->len != 1 || (p->data[0] != 1 && p->data[0] != 2))
		return;
	m->silence_ms = now + GK_CTAPHID_SILENCE_MS;
	tell(m, c->client, c->cid, GK_CTAPHID_KEEPALIVE, 1, p->data);
}

static void on_answer(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	const struct gk_ctaphid_channel *c = &m->channel[m->owner];

	if (!p->first) {
		fail(m, GK_CTAPHID_INVALID_SEQ, now);
		return;
	}
	if (p->cmd == GK_CTAPHID_KEEPALIVE) {
		on_keepalive(m, p, now);
		return;
	}
	if (p->cmd == GK_CTAPHID_ERROR && p->len == 1) {
		tell(m, c->client, c->cid, p->cmd, 1, p->data);
		m->state = GK_CTAPHID_IDLE;
		return;
	}
	if (p->cmd != m->cmd || p->len > GK_CTAPHID_MESSAGE) {
		fail(m, p->cmd != m->cmd ? GK_CTAPHID_OTHER : GK_CTAPHID_INVALID_LEN,
		     now);
		return;
	}
	tell(m, c->client, c->cid, p->cmd, p->len, p->data);
	m->total = p->len;
	m->done = least(p->len, GK_CTAPHID_FIRST);
	m->seq = 0;
	m->silence_ms = now + GK_CTAPHID_SILENCE_MS;
	m->state = m->done == m->total ? GK_CTAPHID_IDLE : GK_CTAPHID_ANSWER;
}

static void on_more(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	const struct gk_ctaphid_channel *c = &m->channel[m->owner];
	uint16_t left = (uint16_t)(m->total - m->done);
	uint8_t *out;

	if (p->first || p->seq != m->seq) {
		fail(m, GK_CTAPHID_INVALID_SEQ, now);
		return;
	}
	out = queue(m, c->client);
	if (out)
		put_next(out, c->cid, m->seq, left, p->data);
	m->seq++;
	m->done = (uint16_t)(m->done + least(left, GK_CTAPHID_NEXT));
	m->silence_ms = now + GK_CTAPHID_SILENCE_MS;
	if (m->done == m->total)
		m->state = GK_CTAPHID_IDLE;
}

/* Until its answer is over, or something that cannot be part of one comes. */
static int on_drained(struct gk_ctaphid *m, const struct packet *p, uint64_t now)
{
	uint16_t n = p->first ? GK_CTAPHID_FIRST : GK_CTAPHID_NEXT;

	if (++m->drain_packets > GK_CTAPHID_FOREIGN)
		return foreign(m, p, now);
	if (p->first && p->cmd == GK_CTAPHID_KEEPALIVE && !m->drain_answer)
		return GK_OK;
	/* First the first packet, and then no other. */
	if (p->first ? m->drain_answer : !m->drain_answer)
		return foreign(m, p, now);
	if (p->first) {
		m->drain_answer = 1;
		m->drain_left = p->len;
	}
	m->drain_left = (uint16_t)(m->drain_left - least(m->drain_left, n));
	if (m->drain_left == 0)
		m->drain_cid = 0;
	return GK_OK;
}

int gk_ctaphid_from_device(struct gk_ctaphid *m,
			   const uint8_t packet[GK_CTAPHID_PACKET], uint64_t now_ms)
{
	struct packet p = take_apart(packet);
	const struct gk_ctaphid_channel *c = &m->channel[m->owner];

	gk_ctaphid_tick(m, now_ms);
	if (on_init_answer(m, &p, now_ms))
		return GK_OK;
	if (m->drain_cid && p.cid == m->drain_cid)
		return on_drained(m, &p, now_ms);
	if (m->state == GK_CTAPHID_WAIT && p.cid == c->device_cid)
		on_answer(m, &p, now_ms);
	else if (m->state == GK_CTAPHID_ANSWER && p.cid == c->device_cid)
		on_more(m, &p, now_ms);
	/* It need not hear a request to its end to find it wrong. */
	else if (m->state == GK_CTAPHID_SEND && m->done > 0 &&
		 p.cid == c->device_cid && p.first && p.cmd == GK_CTAPHID_ERROR)
		on_answer(m, &p, now_ms);
	else
		return foreign(m, &p, now_ms);
	return GK_OK;
}

/* --- time --- */

void gk_ctaphid_tick(struct gk_ctaphid *m, uint64_t now_ms)
{
	if (m->state != GK_CTAPHID_IDLE &&
	    (now_ms >= m->silence_ms || now_ms >= m->whole_ms))
		fail(m, GK_CTAPHID_MSG_TIMEOUT, now_ms);
	if (m->init_sent && now_ms >= m->init_ms) {
		m->init_sent = 0;
		if (!m->init_orphan)
			tell_error(m, m->init_client, m->init_cid,
				   GK_CTAPHID_MSG_TIMEOUT);
	}
	if (m->drain_cid && now_ms >= m->drain_ms)
		m->drain_cid = 0;
}

static void sooner(uint64_t *due, int set, uint64_t at)
{
	if (set && (*due == 0 || at < *due))
		*due = at;
}

uint64_t gk_ctaphid_due(const struct gk_ctaphid *m)
{
	uint64_t due = 0;

	sooner(&due, m->state != GK_CTAPHID_IDLE, m->silence_ms);
	sooner(&due, m->state != GK_CTAPHID_IDLE, m->whole_ms);
	sooner(&due, m->init_sent, m->init_ms);
	sooner(&due, m->drain_cid != 0, m->drain_ms);
	return due;
}
