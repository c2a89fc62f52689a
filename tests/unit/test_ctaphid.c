/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/ctaphid.h"

/* The mux, its clients and a device, all played here. */
static struct gk_ctaphid m;
static uint64_t now;
static uint32_t next_device_cid;

struct packet {
	uint32_t cid;
	int cmd;	/* -1: continues */
	int seq;
	unsigned len;
	uint8_t raw[GK_CTAPHID_PACKET];
};

static void build(uint8_t out[GK_CTAPHID_PACKET], uint32_t cid, int cmd, unsigned len,
		  const void *data, unsigned n)
{
	memset(out, 0xee, GK_CTAPHID_PACKET);	/* what is behind is not zero */
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(cid >> (24 - 8 * i));
	out[4] = (uint8_t)(0x80 | cmd);
	out[5] = (uint8_t)(len >> 8);
	out[6] = (uint8_t)len;
	if (n)
		memcpy(out + 7, data, n);
}

static void build_next(uint8_t out[GK_CTAPHID_PACKET], uint32_t cid, unsigned seq)
{
	memset(out, (int)(0x10 + seq), GK_CTAPHID_PACKET);
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(cid >> (24 - 8 * i));
	out[4] = (uint8_t)seq;
}

static struct packet take_apart(const uint8_t raw[GK_CTAPHID_PACKET])
{
	struct packet p = { .cmd = -1, .seq = -1 };

	for (int i = 0; i < 4; i++)
		p.cid = p.cid << 8 | raw[i];
	if (raw[4] & 0x80) {
		p.cmd = raw[4] & 0x7f;
		p.len = (unsigned)raw[5] << 8 | raw[6];
	} else {
		p.seq = raw[4];
	}
	memcpy(p.raw, raw, GK_CTAPHID_PACKET);
	return p;
}

static void says(unsigned client, uint32_t cid, int cmd, unsigned len, const void *data,
		 unsigned n)
{
	uint8_t raw[GK_CTAPHID_PACKET];

	build(raw, cid, cmd, len, data, n);
	gk_ctaphid_from_client(&m, client, raw, now);
}

static void goes_on(unsigned client, uint32_t cid, unsigned seq)
{
	uint8_t raw[GK_CTAPHID_PACKET];

	build_next(raw, cid, seq);
	gk_ctaphid_from_client(&m, client, raw, now);
}

static int answers(uint32_t cid, int cmd, unsigned len, const void *data, unsigned n)
{
	uint8_t raw[GK_CTAPHID_PACKET];

	build(raw, cid, cmd, len, data, n);
	return gk_ctaphid_from_device(&m, raw, now);
}

static int answers_on(uint32_t cid, unsigned seq)
{
	uint8_t raw[GK_CTAPHID_PACKET];

	build_next(raw, cid, seq);
	return gk_ctaphid_from_device(&m, raw, now);
}

/* The next packet for the device, or for a client; cmd -2: none. */
static struct packet at_device(void)
{
	struct packet none = { .cmd = -2 };
	uint8_t raw[GK_CTAPHID_PACKET];

	return gk_ctaphid_to_device(&m, now, raw) ? take_apart(raw) : none;
}

static struct packet at_client(unsigned client)
{
	struct packet none = { .cmd = -2 };
	uint8_t raw[GK_CTAPHID_PACKET];

	return gk_ctaphid_to_client(&m, client, raw) ? take_apart(raw) : none;
}

static void silent(void)
{
	CHECK(at_device().cmd == -2, "the device is told something");
	for (unsigned c = 0; c < GK_CTAPHID_CLIENTS; c++)
		CHECK(at_client(c).cmd == -2, "client %u is told something", c);
}

static void hears_error(unsigned client, uint32_t cid, enum gk_ctaphid_error want)
{
	struct packet p = at_client(client);

	CHECK(p.cmd == GK_CTAPHID_ERROR && p.cid == cid && p.len == 1,
	      "no error for client %u: cmd %d", client, p.cmd);
	CHECK(p.raw[7] == want, "error %#x, not %#x", p.raw[7], want);
	for (int i = 8; i < GK_CTAPHID_PACKET; i++)
		assert_int_equal(p.raw[i], 0);
}

static void init_answer(uint8_t out[GK_CTAPHID_INIT_LEN], const uint8_t *nonce,
			uint32_t cid)
{
	static const uint8_t rest[] = { 2, 5, 4, 3, 0x05 };

	memcpy(out, nonce, GK_CTAPHID_NONCE);
	for (int i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(cid >> (24 - 8 * i));
	memcpy(out + 12, rest, sizeof(rest));
}

/* A channel for the client, by INIT; the device's is *device_cid. */
static uint32_t channel(unsigned client, uint32_t *device_cid)
{
	uint8_t nonce[8] = { 'n', 'o', 'n', 'c', 'e', 0, 0, (uint8_t)client };
	uint8_t answer[GK_CTAPHID_INIT_LEN];
	uint32_t theirs = ++next_device_cid, ours;
	struct packet p;

	says(client, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, nonce, 8);
	p = at_device();
	CHECK(p.cid == GK_CTAPHID_BROADCAST && p.cmd == GK_CTAPHID_INIT && p.len == 8,
	      "no INIT at the device");
	assert_memory_equal(p.raw + 7, nonce, 8);
	init_answer(answer, nonce, theirs);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	p = at_client(client);
	CHECK(p.cid == GK_CTAPHID_BROADCAST && p.cmd == GK_CTAPHID_INIT && p.len == 17,
	      "no answer to INIT");
	assert_memory_equal(p.raw + 7, nonce, 8);
	ours = (uint32_t)p.raw[15] << 24 | (uint32_t)p.raw[16] << 16 |
	       (uint32_t)p.raw[17] << 8 | p.raw[18];
	assert_memory_equal(p.raw + 19, answer + 12, 5);
	CHECK(ours != 0 && ours != GK_CTAPHID_BROADCAST && ours != theirs,
	      "channel id %#x", ours);
	silent();
	if (device_cid)
		*device_cid = theirs;
	return ours;
}

static int start(void **state)
{
	(void)state;
	gk_ctaphid_init(&m);
	now = 1000000;
	next_device_cid = 0x0a0b0c00;
	for (unsigned c = 0; c < 3; c++)
		gk_ctaphid_attach(&m, c, 2);
	gk_ctaphid_attach(&m, 4, 8);
	return 0;
}

/* CBOR of len bytes, all of it, from client to device. */
static void asks(unsigned client, uint32_t cid, uint32_t device_cid, unsigned len)
{
	uint8_t data[GK_CTAPHID_FIRST];
	unsigned packets = len <= 57 ? 1 : 2 + (len - 58) / 59, sent = 57;
	struct packet p;

	memset(data, 0xc0, sizeof(data));
	says(client, cid, GK_CTAPHID_CBOR, len, data, len < 57 ? len : 57);
	for (unsigned i = 0; i + 1 < packets; i++) {
		CHECK(at_device().cmd == -2, "half a request goes out");
		goes_on(client, cid, i);
	}
	p = at_device();
	CHECK(p.cid == device_cid && p.cmd == GK_CTAPHID_CBOR && p.len == len,
	      "no request at the device");
	for (unsigned i = 0; i < 57; i++)
		assert_int_equal(p.raw[7 + i], i < len ? 0xc0 : 0);
	for (unsigned i = 0; i + 1 < packets; i++, sent += 59) {
		p = at_device();
		CHECK(p.cid == device_cid && p.seq == (int)i, "packet %u", i);
		for (unsigned k = 0; k < 59; k++)
			assert_int_equal(p.raw[5 + k], sent + k < len ? 0x10 + i : 0);
	}
	silent();
}

/* ... and len bytes of answer. */
static void gets(unsigned client, uint32_t cid, uint32_t device_cid, unsigned len)
{
	unsigned packets = len <= 57 ? 1 : 2 + (len - 58) / 59, sent = 57;
	struct packet p;

	assert_int_equal(answers(device_cid, GK_CTAPHID_CBOR, len, NULL, 0), 0);
	p = at_client(client);
	CHECK(p.cid == cid && p.cmd == GK_CTAPHID_CBOR && p.len == len, "no answer");
	for (unsigned i = 0; i < 57; i++)
		assert_int_equal(p.raw[7 + i], i < len ? 0xee : 0);
	for (unsigned i = 0; i + 1 < packets; i++, sent += 59) {
		assert_int_equal(answers_on(device_cid, i), 0);
		p = at_client(client);
		CHECK(p.cid == cid && p.seq == (int)i, "packet %u", i);
		for (unsigned k = 0; k < 59; k++)
			assert_int_equal(p.raw[5 + k], sent + k < len ? 0x10 + i : 0);
	}
	silent();
	assert_int_equal(m.state, GK_CTAPHID_IDLE);
}

static void sizes(void **state)
{
	static const unsigned of[] = { 0, 1, 56, 57, 58, 115, 116, 117, 175, 1024,
				       7608, 7609 };
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	for (size_t i = 0; i < COUNT(of); i++) {
		asks(0, cid, dev, of[i]);
		gets(0, cid, dev, of[COUNT(of) - 1 - i]);
	}
}

static void too_long(void **state)
{
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	says(0, cid, GK_CTAPHID_CBOR, 7610, NULL, 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_LEN);
	says(0, cid, GK_CTAPHID_PING, 0xffff, NULL, 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_LEN);
	silent();
	/* The device too. */
	asks(0, cid, dev, 10);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 7610, NULL, 0), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_LEN);
}

static void commands(void **state)
{
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	for (int cmd = 0; cmd < 0x80; cmd++) {
		uint8_t byte = 7;

		if (cmd == GK_CTAPHID_INIT)
			continue;
		says(0, cid, cmd, 1, &byte, 1);
		if (cmd == GK_CTAPHID_CANCEL) {
			silent();
		} else if (cmd == GK_CTAPHID_PING || cmd == GK_CTAPHID_MSG ||
			   cmd == GK_CTAPHID_WINK || cmd == GK_CTAPHID_CBOR) {
			struct packet p = at_device();

			CHECK(p.cmd == cmd && p.cid == dev && p.raw[7] == 7,
			      "command %#x", cmd);
			assert_int_equal(answers(dev, cmd, 1, &byte, 1), 0);
			CHECK(at_client(0).cmd == cmd, "answer to %#x", cmd);
		} else {
			hears_error(0, cid, GK_CTAPHID_INVALID_CMD);
		}
		silent();
	}
}

static void bad_nonce(void **state)
{
	uint8_t nonce[8] = "12345678", answer[17];

	(void)state;
	says(1, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, nonce, 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	for (unsigned i = 0; i < 8; i++) {
		init_answer(answer, nonce, 77);
		answer[i] ^= 1;
		assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17,
					 answer, 17), 0);
		silent();
	}
	/* Other lengths, another channel, another command, channel ids that are none. */
	init_answer(answer, nonce, 77);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 16, answer, 17),
			 0);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 18, answer, 17),
			 0);
	assert_int_equal(answers(1, GK_CTAPHID_INIT, 17, answer, 17), 0);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_PING, 17, answer, 17),
			 0);
	init_answer(answer, nonce, 0);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	init_answer(answer, nonce, GK_CTAPHID_BROADCAST);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	silent();
	assert_int_equal(m.foreign, 14);
	/* Then the right one. */
	init_answer(answer, nonce, 77);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	assert_int_equal(at_client(1).cmd, GK_CTAPHID_INIT);
}

static void init_lengths(void **state)
{
	(void)state;
	for (unsigned len = 0; len < 20; len++) {
		if (len == 8)
			continue;
		says(0, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, len, NULL, 0);
		hears_error(0, GK_CTAPHID_BROADCAST, GK_CTAPHID_INVALID_LEN);
	}
	silent();
}

static void init_unanswered(void **state)
{
	uint8_t nonce[8] = "abcdefgh", answer[17];

	(void)state;
	says(0, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, nonce, 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	/* The next one waits for its turn, not for ever. */
	says(1, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "ABCDEFGH", 8);
	silent();
	assert_int_equal(gk_ctaphid_due(&m), now + GK_CTAPHID_INIT_MS);
	now += GK_CTAPHID_INIT_MS - 1;
	gk_ctaphid_tick(&m, now);
	silent();
	now++;
	gk_ctaphid_tick(&m, now);
	hears_error(0, GK_CTAPHID_BROADCAST, GK_CTAPHID_MSG_TIMEOUT);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	/* The first one's answer comes too late, and is nobody's. */
	init_answer(answer, nonce, 5);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	silent();
	/* An error in its place ends it as well. */
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_ERROR, 1, "\6", 1), 0);
	hears_error(1, GK_CTAPHID_BROADCAST, GK_CTAPHID_CHANNEL_BUSY);
	assert_int_equal(gk_ctaphid_due(&m), 0);
}

/* Several programs that share a client begin at the same time. */
static void inits_at_once(void **state)
{
	uint8_t nonce[8] = "nonce  ?", answer[17];
	uint32_t dev, cid = channel(4, &dev);
	struct packet p;

	(void)state;
	for (uint8_t i = 0; i < 10; i++) {
		nonce[7] = i;
		says(4, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, nonce, 8);
	}
	says(1, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "another.", 8);
	/* Those that fit, in their order, with the other client in its turn; the
	 * rest is dropped, and nobody hears an error. */
	for (uint8_t i = 0; i <= GK_CTAPHID_INITS; i++) {
		p = at_device();
		CHECK(p.cmd == GK_CTAPHID_INIT, "INIT %d", i);
		silent();
		init_answer(answer, p.raw + 7, 0x500u + i);
		assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17,
					 answer, 17), 0);
		if (i == 0) {
			assert_memory_equal(p.raw + 7, "another.", 8);
			assert_int_equal(at_client(1).cmd, GK_CTAPHID_INIT);
			continue;
		}
		p = at_client(4);
		assert_int_equal(p.cmd, GK_CTAPHID_INIT);
		assert_int_equal(p.raw[14], i - 1);
	}
	silent();
	/* Of channels that are forgotten meanwhile: each is told. */
	gk_ctaphid_attach(&m, 3, 1);
	cid = channel(3, NULL);
	says(3, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	for (int i = 0; i < 3; i++)
		says(3, cid, GK_CTAPHID_INIT, 8, "12345678", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	init_answer(answer, (const uint8_t *)"12345678", 4711);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	assert_int_equal(at_client(3).cmd, GK_CTAPHID_INIT);
	assert_int_equal(at_device().cmd, -2);
	for (int i = 0; i < 3; i++)
		hears_error(3, cid, GK_CTAPHID_INVALID_CHANNEL);
	silent();
}

static void init_in_between(void **state)
{
	uint32_t dev, dev1, cid = channel(0, &dev), cid1;
	uint8_t data[57] = { 0 };

	(void)state;
	asks(0, cid, dev, 100);
	cid1 = channel(1, &dev1);
	says(1, cid1, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(1, cid1, GK_CTAPHID_CHANNEL_BUSY);
	silent();
	/* Also in the middle of the answer. */
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 70, NULL, 0), 0);
	assert_int_equal(at_client(0).cmd, GK_CTAPHID_CBOR);
	channel(2, NULL);
	assert_int_equal(answers_on(dev, 0), 0);
	assert_int_equal(at_client(0).seq, 0);
	/* But not in the middle of a request to the device. */
	says(0, cid, GK_CTAPHID_CBOR, 100, data, 57);
	goes_on(0, cid, 0);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CBOR);
	says(1, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, data, 8);
	assert_int_equal(at_device().seq, 0);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	silent();
}

/* A client's channels are its own. */
static void foreign_channel(void **state)
{
	uint32_t dev, cid = channel(0, &dev), dev1, cid1 = channel(1, &dev1);
	static const uint32_t none[] = { 0, 1, 0x47000000, 0xfffffffe };

	(void)state;
	says(1, cid, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(1, cid, GK_CTAPHID_INVALID_CHANNEL);
	says(1, cid, GK_CTAPHID_INIT, 8, "12345678", 8);
	hears_error(1, cid, GK_CTAPHID_INVALID_CHANNEL);
	/* Nor does the device's own id for it help. */
	says(1, dev, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(1, dev, GK_CTAPHID_INVALID_CHANNEL);
	says(1, dev1, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(1, dev1, GK_CTAPHID_INVALID_CHANNEL);
	for (size_t i = 0; i < COUNT(none); i++) {
		says(1, none[i], GK_CTAPHID_PING, 1, "x", 1);
		hears_error(1, none[i], GK_CTAPHID_INVALID_CHANNEL);
	}
	silent();
	/* It cannot go on with another's request, cancel it or begin it anew. */
	says(0, cid, GK_CTAPHID_CBOR, 100, NULL, 0);
	goes_on(1, cid, 0);
	says(1, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	hears_error(1, cid, GK_CTAPHID_INVALID_CHANNEL);
	says(1, cid1, GK_CTAPHID_CANCEL, 0, NULL, 0);
	silent();
	goes_on(0, cid, 0);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CBOR);
	assert_int_equal(at_device().seq, 0);
	says(1, cid1, GK_CTAPHID_CANCEL, 0, NULL, 0);
	silent();
	/* The device cannot speak to a client that is not asking. */
	assert_int_equal(answers(dev1, GK_CTAPHID_CBOR, 3, NULL, 0), 0);
	assert_int_equal(answers(cid, GK_CTAPHID_CBOR, 3, NULL, 0), 0);
	assert_int_equal(answers(cid1, GK_CTAPHID_CBOR, 3, NULL, 0), 0);
	assert_int_equal(answers_on(dev1, 0), 0);
	silent();
	assert_int_equal(m.foreign, 4);
	gets(0, cid, dev, 3);
}

static void broadcast(void **state)
{
	(void)state;
	for (int cmd = 0; cmd < 0x80; cmd++) {
		if (cmd == GK_CTAPHID_INIT)
			continue;
		says(0, GK_CTAPHID_BROADCAST, cmd, 8, "12345678", 8);
		hears_error(0, GK_CTAPHID_BROADCAST, GK_CTAPHID_INVALID_CHANNEL);
	}
	goes_on(0, GK_CTAPHID_BROADCAST, 0);
	silent();
}

static void sequence(void **state)
{
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	/* What continues nothing is ignored. */
	goes_on(0, cid, 0);
	silent();
	for (unsigned at = 0; at < 3; at++) {
		for (unsigned seq = 0; seq < 128; seq++) {
			if (seq == at)
				continue;
			says(0, cid, GK_CTAPHID_CBOR, 400, NULL, 0);
			for (unsigned i = 0; i < at; i++)
				goes_on(0, cid, i);
			goes_on(0, cid, seq);
			hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
			silent();
		}
	}
	/* Another first packet in the middle, CANCEL among them. */
	says(0, cid, GK_CTAPHID_CBOR, 400, NULL, 0);
	says(0, cid, GK_CTAPHID_CBOR, 400, NULL, 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
	says(0, cid, GK_CTAPHID_CBOR, 400, NULL, 0);
	says(0, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
	silent();
	asks(0, cid, dev, 400);
	gets(0, cid, dev, 400);
}

static void device_sequence(void **state)
{
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	for (unsigned seq = 0; seq < 8; seq++) {
		if (seq == 1)
			continue;
		asks(0, cid, dev, 5);
		assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 400, NULL, 0), 0);
		assert_int_equal(answers_on(dev, 0), 0);
		at_client(0);
		at_client(0);
		assert_int_equal(answers_on(dev, seq), 0);
		hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
		silent();
		/* The rest is swallowed, and it goes on. */
		for (unsigned i = 1; i < 6; i++)
			assert_int_equal(answers_on(dev, i), 0);
		silent();
		assert_int_equal(m.drain_cid, 0);
	}
	/* An answer that begins with its middle, and one that begins twice. */
	asks(0, cid, dev, 5);
	assert_int_equal(answers_on(dev, 0), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CANCEL);
	now += GK_CTAPHID_DRAIN_MS;
	asks(0, cid, dev, 5);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 400, NULL, 0), 0);
	at_client(0);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 400, NULL, 0), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
	/* Another command than was asked. */
	now += GK_CTAPHID_DRAIN_MS;
	asks(0, cid, dev, 5);
	assert_int_equal(answers(dev, GK_CTAPHID_MSG, 4, NULL, 0), 0);
	hears_error(0, cid, GK_CTAPHID_OTHER);
}

static void request_deadline(void **state)
{
	uint32_t dev, cid = channel(0, &dev), cid1 = channel(1, NULL);

	(void)state;
	says(0, cid, GK_CTAPHID_CBOR, 7609, NULL, 0);
	for (unsigned i = 0; i < 100; i++) {
		now += 9;
		goes_on(0, cid, i);
	}
	/* Absolute: packets that come do not prolong it. */
	says(1, cid1, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(1, cid1, GK_CTAPHID_CHANNEL_BUSY);
	now += 100;
	goes_on(0, cid, 100);
	hears_error(0, cid, GK_CTAPHID_MSG_TIMEOUT);
	silent();
	asks(0, cid, dev, 1);
}

static void silence(void **state)
{
	uint32_t dev, cid = channel(0, &dev), dev1, cid1 = channel(1, &dev1);

	(void)state;
	asks(0, cid, dev, 1);
	assert_int_equal(gk_ctaphid_due(&m), now + GK_CTAPHID_SILENCE_MS);
	now += GK_CTAPHID_SILENCE_MS;
	gk_ctaphid_tick(&m, now);
	hears_error(0, cid, GK_CTAPHID_MSG_TIMEOUT);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CANCEL);
	/* Somebody else's request waits until the device has let go. */
	says(1, cid1, GK_CTAPHID_CBOR, 1, "\4", 1);
	silent();
	assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\1", 1), 0);
	silent();
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 1, "\x2d", 1), 0);
	assert_int_equal(at_device().cid, dev1);
	gets(1, cid1, dev1, 1);
	assert_int_equal(m.foreign, 0);
	/* Or has had its time. */
	asks(0, cid, dev, 1);
	gk_ctaphid_detach(&m, 0, now);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CANCEL);
	says(1, cid1, GK_CTAPHID_CBOR, 1, "\4", 1);
	silent();
	now += GK_CTAPHID_DRAIN_MS;
	gk_ctaphid_tick(&m, now);
	assert_int_equal(at_device().cid, dev1);
}

static void keepalives(void **state)
{
	uint32_t dev, cid = channel(0, &dev);
	struct packet p;

	(void)state;
	asks(0, cid, dev, 1);
	for (unsigned i = 0; i < GK_CTAPHID_KEEPALIVES; i++) {
		assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, i & 1 ? "\1" : "\2",
					 1), 0);
		p = at_client(0);
		CHECK(p.cid == cid && p.cmd == GK_CTAPHID_KEEPALIVE && p.len == 1 &&
		      p.raw[7] == (i & 1 ? 1 : 2) && p.raw[8] == 0, "keep-alive %u", i);
	}
	assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
	hears_error(0, cid, GK_CTAPHID_MSG_TIMEOUT);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CANCEL);
	/* They prolong the silence, not the whole. */
	now += GK_CTAPHID_DRAIN_MS;
	asks(0, cid, dev, 1);
	for (unsigned ms = 0; ms < GK_CTAPHID_WHOLE_MS; ms += 4000) {
		assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
		assert_int_equal(at_client(0).cmd, GK_CTAPHID_KEEPALIVE);
		now += 4000;
	}
	gk_ctaphid_tick(&m, now);
	hears_error(0, cid, GK_CTAPHID_MSG_TIMEOUT);
}

static void bad_keepalives(void **state)
{
	static const struct {
		unsigned len;
		uint8_t status;
	} bad[] = { { 1, 0 }, { 1, 3 }, { 1, 255 }, { 0, 1 }, { 2, 1 }, { 57, 2 },
		    { 7609, 1 }, { 0xffff, 2 } };
	static const uint8_t cmd[] = { GK_CTAPHID_CBOR, GK_CTAPHID_MSG };
	uint32_t dev, cid = channel(0, &dev);
	uint64_t due;

	(void)state;
	/* Dropped, and no sign of life, but they count. */
	for (size_t k = 0; k < COUNT(cmd); k++) {
		says(0, cid, cmd[k], 1, "\4", 1);
		assert_int_equal(at_device().cmd, cmd[k]);
		due = gk_ctaphid_due(&m);
		for (size_t i = 0; i < GK_CTAPHID_KEEPALIVES; i++) {
			now += i < 1000;
			assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE,
						 bad[i % COUNT(bad)].len,
						 &bad[i % COUNT(bad)].status, 1), 0);
			silent();
		}
		assert_int_equal(gk_ctaphid_due(&m), due);
		if (k == 0) {
			assert_int_equal(answers(dev, cmd[k], 1, "\0", 1), 0);
			assert_int_equal(at_client(0).cmd, cmd[k]);
			continue;
		}
		assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "", 1), 0);
		hears_error(0, cid, GK_CTAPHID_MSG_TIMEOUT);
	}
	assert_int_equal(m.foreign, 0);
	now += GK_CTAPHID_DRAIN_MS;
	/* PING has none. */
	says(0, cid, GK_CTAPHID_PING, 1, "\4", 1);
	assert_int_equal(at_device().cmd, GK_CTAPHID_PING);
	assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
	hears_error(0, cid, GK_CTAPHID_OTHER);
	now += GK_CTAPHID_DRAIN_MS;
	/* None in the middle of an answer. */
	asks(0, cid, dev, 1);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 100, NULL, 0), 0);
	at_client(0);
	assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_SEQ);
}

/* U2F's requests have them, too. */
static void keepalives_of_msg(void **state)
{
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	says(0, cid, GK_CTAPHID_MSG, 1, "\1", 1);
	assert_int_equal(at_device().cmd, GK_CTAPHID_MSG);
	for (int i = 0; i < 10; i++) {
		now += GK_CTAPHID_SILENCE_MS - 1;
		assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
		CHECK(at_client(0).cmd == GK_CTAPHID_KEEPALIVE, "keep-alive %d", i);
	}
	assert_int_equal(answers(dev, GK_CTAPHID_MSG, 2, "\x90", 1), 0);
	assert_int_equal(at_client(0).cmd, GK_CTAPHID_MSG);
	silent();
}

static void cancel(void **state)
{
	uint32_t dev, cid = channel(0, &dev);
	struct packet p;

	(void)state;
	/* With nothing to cancel. */
	says(0, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	silent();
	asks(0, cid, dev, 1);
	says(0, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	says(0, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	p = at_device();
	CHECK(p.cmd == GK_CTAPHID_CANCEL && p.cid == dev && p.len == 0, "no CANCEL");
	says(0, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	silent();
	/* The request is answered all the same (11.2.9.1.5). */
	gets(0, cid, dev, 1);
	/* U2F knows none. */
	says(0, cid, GK_CTAPHID_MSG, 1, "\1", 1);
	assert_int_equal(at_device().cmd, GK_CTAPHID_MSG);
	says(0, cid, GK_CTAPHID_CANCEL, 0, NULL, 0);
	silent();
}

static void errors(void **state)
{
	uint32_t dev, cid = channel(0, &dev);
	uint8_t data[57] = { 0 };

	(void)state;
	asks(0, cid, dev, 1);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\6", 1), 0);
	hears_error(0, cid, GK_CTAPHID_CHANNEL_BUSY);
	assert_int_equal(m.state, GK_CTAPHID_IDLE);
	/* Of the wrong length. */
	asks(0, cid, dev, 1);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 2, "\6", 1), 0);
	hears_error(0, cid, GK_CTAPHID_OTHER);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CANCEL);
	now += GK_CTAPHID_DRAIN_MS;
	/* In the middle of the request: the rest is not sent. */
	says(0, cid, GK_CTAPHID_CBOR, 100, data, 57);
	goes_on(0, cid, 0);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CBOR);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\3", 1), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_LEN);
	silent();
	/* Before it has heard anything it has nothing to say. */
	says(0, cid, GK_CTAPHID_CBOR, 1, data, 1);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 1, data, 1), 0);
	assert_int_equal(at_client(0).cmd, -2);
	assert_int_equal(m.foreign, 1);
}

static void unasked(void **state)
{
	uint32_t dev;

	(void)state;
	channel(0, &dev);
	for (unsigned i = 0; i < GK_CTAPHID_FOREIGN; i++) {
		assert_int_equal(answers(i & 1 ? dev : 1234,
					 i & 1 ? GK_CTAPHID_CBOR : GK_CTAPHID_KEEPALIVE,
					 1, "\1", 1), 0);
		silent();
	}
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 1, "\0", 1), GK_ERR_LIMIT);
	now += GK_CTAPHID_FOREIGN_MS;
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 1, "\0", 1), 0);
	silent();
}

/* A key that goes on asking for a touch that nobody waits for any more. */
static void keepalives_after_all(void **state)
{
	uint32_t dev, cid = channel(0, &dev), dev1, cid1 = channel(1, &dev1);

	(void)state;
	asks(0, cid, dev, 1);
	gk_ctaphid_detach(&m, 0, now);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CANCEL);
	for (unsigned ms = 0; ms < 30000; ms += 2, now += 2) {
		if (ms == 15000)
			asks(1, cid1, dev1, 1);
		assert_int_equal(answers(dev, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
		silent();
		if (ms % 100 == 0 && ms >= 15000) {
			assert_int_equal(answers(dev1, GK_CTAPHID_KEEPALIVE, 1, "\2", 1),
					 0);
			assert_int_equal(at_client(1).cmd, GK_CTAPHID_KEEPALIVE);
		}
	}
	gets(1, cid1, dev1, 1);
	/* Nor on a channel that is somebody's, and idle. */
	for (unsigned i = 0; i < 2 * GK_CTAPHID_FOREIGN; i++)
		assert_int_equal(answers(dev1, GK_CTAPHID_KEEPALIVE, 1, "\1", 1), 0);
	assert_int_equal(m.foreign, 0);
	/* But on one that nobody has had, and of all else. */
	assert_int_equal(answers(0, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
	assert_int_equal(answers(99, GK_CTAPHID_KEEPALIVE, 1, "\2", 1), 0);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 1, "\2", 1), 0);
	assert_int_equal(m.foreign, 3);
}

static void leaves(void **state)
{
	uint32_t dev, cid = channel(0, &dev), dev1, cid1 = channel(1, &dev1);

	(void)state;
	/* In each state of its transaction. */
	says(0, cid, GK_CTAPHID_CBOR, 100, NULL, 0);
	gk_ctaphid_detach(&m, 0, now);
	silent();
	gk_ctaphid_attach(&m, 0, 2);
	/* The channel is nobody's, the newcomer's least of all. */
	says(0, cid, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(0, cid, GK_CTAPHID_INVALID_CHANNEL);
	cid = channel(0, &dev);
	says(0, cid, GK_CTAPHID_CBOR, 1, "\4", 1);
	gk_ctaphid_detach(&m, 0, now);
	silent();
	asks(1, cid1, dev1, 1);
	assert_int_equal(answers(dev1, GK_CTAPHID_CBOR, 100, NULL, 0), 0);
	at_client(1);
	gk_ctaphid_detach(&m, 1, now);
	silent();
	gk_ctaphid_attach(&m, 1, 2);
	assert_int_equal(answers_on(dev1, 0), 0);
	silent();
	assert_int_equal(m.drain_cid, 0);
	/* With its INIT on the way. */
	says(1, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	gk_ctaphid_detach(&m, 1, now);
	gk_ctaphid_attach(&m, 1, 2);
	{
		uint8_t answer[17];

		init_answer(answer, (const uint8_t *)"12345678", 99);
		assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17,
					 answer, 17), 0);
	}
	silent();
	assert_int_equal(m.foreign, 0);
	channel(1, NULL);
}

static void resync(void **state)
{
	uint32_t dev, cid = channel(0, &dev);
	uint8_t answer[17];
	struct packet p;

	(void)state;
	for (int busy = 0; busy < 4; busy++) {
		if (busy == 1 || busy == 3)
			asks(0, cid, dev, 1);
		if (busy == 2)
			says(0, cid, GK_CTAPHID_CBOR, 100, NULL, 0);
		says(0, cid, GK_CTAPHID_INIT, 8, "resync..", 8);
		p = at_device();
		CHECK(p.cid == dev && p.cmd == GK_CTAPHID_INIT, "no INIT");
		silent();
		/* Another channel than its own is no answer. */
		init_answer(answer, (const uint8_t *)"resync..", dev + 1);
		if (busy < 3)
			assert_int_equal(answers(dev, GK_CTAPHID_INIT, 17, answer, 17),
					 0);
		silent();
		init_answer(answer, (const uint8_t *)"resync..", dev);
		assert_int_equal(answers(dev, GK_CTAPHID_INIT, 17, answer, 17), 0);
		p = at_client(0);
		CHECK(p.cid == cid && p.cmd == GK_CTAPHID_INIT, "no answer");
		assert_int_equal(p.raw[18], cid & 255);
		silent();
		asks(0, cid, dev, 1);
		gets(0, cid, dev, 1);
	}
}

/* INIT on a channel is answered with an error there. */
static void resync_error(void **state)
{
	uint32_t dev, cid = channel(0, &dev), dev1, cid1 = channel(1, &dev1);

	(void)state;
	says(0, cid, GK_CTAPHID_INIT, 8, "resync..", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\6", 1), 0);
	hears_error(0, cid, GK_CTAPHID_CHANNEL_BUSY);
	assert_int_equal(gk_ctaphid_due(&m), 0);
	/* Of a transaction that it ended: the first is that one's. */
	asks(0, cid, dev, 1);
	says(0, cid, GK_CTAPHID_INIT, 8, "resync..", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\5", 1), 0);
	silent();
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\6", 1), 0);
	hears_error(0, cid, GK_CTAPHID_CHANNEL_BUSY);
	/* Of one that was begun since. */
	says(0, cid, GK_CTAPHID_INIT, 8, "resync..", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	asks(0, cid, dev, 1);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\1", 1), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_CMD);
	assert_int_equal(m.state, GK_CTAPHID_IDLE);
	/* The key knows the channel no more: nor do we, and what was begun there
	 * ends. Another's transaction goes on. */
	says(0, cid, GK_CTAPHID_CBOR, 100, NULL, 0);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\x0b", 1), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_CHANNEL);
	silent();
	says(0, cid, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(0, cid, GK_CTAPHID_INVALID_CHANNEL);
	cid = channel(0, &dev);
	asks(1, cid1, dev1, 1);
	says(0, cid, GK_CTAPHID_INIT, 8, "resync..", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\x0b", 1), 0);
	hears_error(0, cid, GK_CTAPHID_INVALID_CHANNEL);
	gets(1, cid1, dev1, 1);
	/* Who asked has gone. */
	says(1, cid1, GK_CTAPHID_INIT, 8, "resync..", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	gk_ctaphid_detach(&m, 1, now);
	assert_int_equal(answers(dev1, GK_CTAPHID_ERROR, 1, "\x0b", 1), 0);
	silent();
	assert_int_equal(m.foreign, 0);
	assert_int_equal(gk_ctaphid_due(&m), 0);
}

static void own_limit(void **state)
{
	uint32_t dev[3], cid[3], other = channel(1, NULL);

	(void)state;
	for (int i = 0; i < 3; i++)
		cid[i] = channel(0, &dev[i]);
	/* Two were allowed: the oldest is forgotten, nobody else's. */
	says(0, cid[0], GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(0, cid[0], GK_CTAPHID_INVALID_CHANNEL);
	asks(0, cid[1], dev[1], 1);
	/* Not the one that is in use. */
	cid[0] = channel(0, &dev[0]);
	gets(0, cid[1], dev[1], 1);
	says(0, cid[2], GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(0, cid[2], GK_CTAPHID_INVALID_CHANNEL);
	says(1, other, GK_CTAPHID_CANCEL, 0, NULL, 0);
	silent();
	/* All of them, many times over. */
	for (int i = 0; i < 100; i++)
		channel(4, NULL);
	asks(0, cid[0], dev[0], 1);
	gets(0, cid[0], dev[0], 1);
	/* One channel, in use: it cannot have another. */
	gk_ctaphid_attach(&m, 3, 1);
	cid[0] = channel(3, &dev[0]);
	asks(3, cid[0], dev[0], 1);
	says(3, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	at_device();
	{
		uint8_t answer[17];

		init_answer(answer, (const uint8_t *)"12345678", 4711);
		assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17,
					 answer, 17), 0);
	}
	hears_error(3, GK_CTAPHID_BROADCAST, GK_CTAPHID_CHANNEL_BUSY);
	gets(3, cid[0], dev[0], 1);
}

/* A device that gives the same channel twice. */
static void same_channel(void **state)
{
	uint32_t dev, cid = channel(0, &dev), cid1;

	(void)state;
	next_device_cid--;
	cid1 = channel(1, NULL);
	says(0, cid, GK_CTAPHID_CBOR, 1, "\4", 1);
	hears_error(0, cid, GK_CTAPHID_INVALID_CHANNEL);
	/* Not in the middle of a transaction on it. */
	asks(1, cid1, dev, 1);
	says(2, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	at_device();
	{
		uint8_t answer[17];

		init_answer(answer, (const uint8_t *)"12345678", dev);
		assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17,
					 answer, 17), 0);
	}
	silent();
	gets(1, cid1, dev, 1);
}

static void overrun(void **state)
{
	uint32_t dev, cid = channel(0, &dev);

	(void)state;
	asks(0, cid, dev, 1);
	assert_int_equal(answers(dev, GK_CTAPHID_CBOR, 7609, NULL, 0), 0);
	for (unsigned i = 0; i < GK_CTAPHID_QUEUE - 1; i++) {
		assert_int_equal(gk_ctaphid_overrun(&m, 0), 0);
		assert_int_equal(answers_on(dev, i), 0);
	}
	assert_int_equal(gk_ctaphid_overrun(&m, 0), 0);
	assert_int_equal(answers_on(dev, GK_CTAPHID_QUEUE - 1), 0);
	assert_int_equal(gk_ctaphid_overrun(&m, 0), 1);
	gk_ctaphid_detach(&m, 0, now);
	assert_int_equal(gk_ctaphid_overrun(&m, 0), 0);
	for (unsigned i = GK_CTAPHID_QUEUE; i < 128; i++)
		assert_int_equal(answers_on(dev, i), 0);
	silent();
	assert_int_equal(m.foreign, 0);
	assert_int_equal(m.drain_cid, 0);
}

/* A client goes when the device has heard the half of its request. */
static void half_a_request(void **state)
{
	uint32_t dev, cid = channel(0, &dev), dev1, cid1 = channel(1, &dev1);
	uint8_t data[57] = { 0 };

	(void)state;
	says(0, cid, GK_CTAPHID_CBOR, 100, data, 57);
	goes_on(0, cid, 0);
	assert_int_equal(at_device().cmd, GK_CTAPHID_CBOR);
	gk_ctaphid_detach(&m, 0, now);
	/* No CANCEL: it would be in the middle of a message. */
	says(1, cid1, GK_CTAPHID_CBOR, 1, "\4", 1);
	silent();
	assert_int_equal(answers(dev, GK_CTAPHID_ERROR, 1, "\5", 1), 0);
	assert_int_equal(at_device().cid, dev1);
	assert_int_equal(answers(dev1, GK_CTAPHID_CBOR, 200, NULL, 0), 0);
	at_client(1);
	/* What cannot be the rest of an answer is not taken for it. */
	gk_ctaphid_detach(&m, 1, now);
	assert_int_equal(answers(dev1, GK_CTAPHID_CBOR, 200, NULL, 0), 0);
	assert_int_equal(m.foreign, 1);
	for (unsigned i = 0; i < 2 * GK_CTAPHID_FOREIGN; i++)
		if (answers(dev1, GK_CTAPHID_CBOR, 1, "\0", 1) < 0)
			return;
	fail_msg("it may say anything");
}

/* INIT on a channel that is forgotten before its turn comes. */
static void init_of_a_forgotten_channel(void **state)
{
	uint8_t answer[17];
	uint32_t cid;

	(void)state;
	gk_ctaphid_attach(&m, 3, 1);
	cid = channel(3, NULL);
	says(3, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	assert_int_equal(at_device().cmd, GK_CTAPHID_INIT);
	says(3, cid, GK_CTAPHID_INIT, 8, "12345679", 8);
	init_answer(answer, (const uint8_t *)"12345678", 4711);
	assert_int_equal(answers(GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 17, answer, 17),
			 0);
	assert_int_equal(at_client(3).cmd, GK_CTAPHID_INIT);
	assert_int_equal(at_device().cmd, -2);
	hears_error(3, cid, GK_CTAPHID_INVALID_CHANNEL);
}

/* Clients that do not exist or are not there. */
static void nobody(void **state)
{
	uint8_t raw[GK_CTAPHID_PACKET];

	(void)state;
	says(3, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	says(77, GK_CTAPHID_BROADCAST, GK_CTAPHID_INIT, 8, "12345678", 8);
	gk_ctaphid_attach(&m, 77, 1);
	gk_ctaphid_detach(&m, 77, now);
	assert_int_equal(gk_ctaphid_to_client(&m, 77, raw), 0);
	assert_int_equal(gk_ctaphid_overrun(&m, 77), 0);
	silent();
	assert_int_equal(gk_ctaphid_due(&m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sizes, start),
		cmocka_unit_test_setup(too_long, start),
		cmocka_unit_test_setup(commands, start),
		cmocka_unit_test_setup(bad_nonce, start),
		cmocka_unit_test_setup(init_lengths, start),
		cmocka_unit_test_setup(init_unanswered, start),
		cmocka_unit_test_setup(inits_at_once, start),
		cmocka_unit_test_setup(init_in_between, start),
		cmocka_unit_test_setup(foreign_channel, start),
		cmocka_unit_test_setup(broadcast, start),
		cmocka_unit_test_setup(sequence, start),
		cmocka_unit_test_setup(device_sequence, start),
		cmocka_unit_test_setup(request_deadline, start),
		cmocka_unit_test_setup(silence, start),
		cmocka_unit_test_setup(keepalives, start),
		cmocka_unit_test_setup(bad_keepalives, start),
		cmocka_unit_test_setup(keepalives_of_msg, start),
		cmocka_unit_test_setup(cancel, start),
		cmocka_unit_test_setup(errors, start),
		cmocka_unit_test_setup(unasked, start),
		cmocka_unit_test_setup(keepalives_after_all, start),
		cmocka_unit_test_setup(leaves, start),
		cmocka_unit_test_setup(resync, start),
		cmocka_unit_test_setup(resync_error, start),
		cmocka_unit_test_setup(own_limit, start),
		cmocka_unit_test_setup(same_channel, start),
		cmocka_unit_test_setup(overrun, start),
		cmocka_unit_test_setup(half_a_request, start),
		cmocka_unit_test_setup(init_of_a_forgotten_channel, start),
		cmocka_unit_test_setup(nobody, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
