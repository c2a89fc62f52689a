/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CTAPHID (CTAP 2.1 11.2) between several clients and one authenticator: whose
 * channel a packet is on, whether it is its turn, and what goes where. Pure
 * state: packets and the time in, packets out.
 *
 * A client's channel ids are its own, made up here, and so are those that are
 * told to nobody: the authenticator's. A request goes to the device when it is
 * there as a whole, an answer to its client packet by packet, each built anew
 * (what is behind the data is zero). One transaction at a time: who comes
 * between hears ERR_CHANNEL_BUSY, but for INIT, and for CANCEL on its own
 * channel. A transaction that its client leaves is cancelled, and what still
 * comes of it is swallowed before the next begins.
 * Passed on are PING, MSG, INIT, WINK, CBOR and CANCEL (11.2.9.1, 11.2.9.2).
 * LOCK is not, with which one client would keep the others out, and no vendor's
 * command either: among those are the ways into a key's boot loader.
 *
 * Used twice: by the gate's worker, which has one client, dom0; and in dom0,
 * for the programs there.
 */
#ifndef GK_CTAPHID_H
#define GK_CTAPHID_H

#include <stdint.h>

#include "error.h"

enum {
	GK_CTAPHID_PACKET = 64,		/* bytes, without a report number */
	GK_CTAPHID_FIRST = 57,		/* bytes of data in the first packet */
	GK_CTAPHID_NEXT = 59,		/* and in each that continues it */
	GK_CTAPHID_NEXTS = 128,		/* sequence numbers 0..127 */
	/* The longest message there can be (11.2.4). */
	GK_CTAPHID_MESSAGE = GK_CTAPHID_FIRST + GK_CTAPHID_NEXTS * GK_CTAPHID_NEXT,
	GK_CTAPHID_PACKETS = 1 + GK_CTAPHID_NEXTS,
	GK_CTAPHID_NONCE = 8,
	GK_CTAPHID_INIT_LEN = 17,	/* of INIT's answer (11.2.9.1.3) */

	GK_CTAPHID_CLIENTS = 5,
	GK_CTAPHID_CHANNELS = 24,	/* of all clients */
	GK_CTAPHID_QUEUE = 8,		/* packets that a client has not taken */
	/* INITs of a client that wait for their turn. One more is dropped: an
	 * error on the broadcast channel would be read by the others, too, that
	 * share the client, and end what they wait for. */
	GK_CTAPHID_INITS = 4,

	/* ms, each from a fixed moment on. */
	/* A request, all of its packets. Keys wait about half a second for the
	 * next one (11.2.5.2), but a program on a machine that boots may have to
	 * wait longer for the processor. */
	GK_CTAPHID_REQUEST_MS = 3000,
	GK_CTAPHID_INIT_MS = 2000,	/* the answer to INIT */
	/* Between two packets of the device. A key that works says so every
	 * 100 ms (11.2.9.2.1), but some of U2F's do not, and some are slow. */
	GK_CTAPHID_SILENCE_MS = 5000,
	/* The whole transaction. People get 10 to 60 s for a touch. */
	GK_CTAPHID_WHOLE_MS = 120000,
	GK_CTAPHID_DRAIN_MS = 2000,	/* the rest of one that was left */
	GK_CTAPHID_KEEPALIVES = 3000,	/* in a transaction */
	/* Packets of the device that nobody waits for, in FOREIGN_MS: more than
	 * an answer that comes too late. Keep-alives of a transaction that was
	 * left are not among them: some keys send them until they are touched, as
	 * often as they like. How many they are is for the transport to limit. */
	GK_CTAPHID_FOREIGN = 256,
	GK_CTAPHID_FOREIGN_MS = 10000,
};

#define GK_CTAPHID_BROADCAST 0xffffffffu

/* Commands, without the bit that marks a first packet (11.2.9). */
enum gk_ctaphid_cmd {
	GK_CTAPHID_PING = 0x01,
	GK_CTAPHID_MSG = 0x03,
	GK_CTAPHID_LOCK = 0x04,
	GK_CTAPHID_INIT = 0x06,
	GK_CTAPHID_WINK = 0x08,
	GK_CTAPHID_CBOR = 0x10,
	GK_CTAPHID_CANCEL = 0x11,
	GK_CTAPHID_KEEPALIVE = 0x3b,
	GK_CTAPHID_ERROR = 0x3f,
};

/* What an ERROR says (11.2.9.1.6). */
enum gk_ctaphid_error {
	GK_CTAPHID_INVALID_CMD = 0x01,
	GK_CTAPHID_INVALID_LEN = 0x03,
	GK_CTAPHID_INVALID_SEQ = 0x04,
	GK_CTAPHID_MSG_TIMEOUT = 0x05,
	GK_CTAPHID_CHANNEL_BUSY = 0x06,
	GK_CTAPHID_INVALID_CHANNEL = 0x0b,
	GK_CTAPHID_OTHER = 0x7f,
};

enum gk_ctaphid_state {
	GK_CTAPHID_IDLE = 0,
	GK_CTAPHID_REQUEST,	/* the client's message is coming in */
	GK_CTAPHID_SEND,	/* it is whole, and goes to the device */
	GK_CTAPHID_WAIT,	/* nothing but keep-alives has come back */
	GK_CTAPHID_ANSWER,	/* the answer is coming in */
};

struct gk_ctaphid_channel {
	uint32_t cid;		/* the client's, 0: free */
	uint32_t device_cid;
	uint32_t used;		/* when last, in gk_ctaphid.serial */
	uint8_t client;
};

struct gk_ctaphid_asked {
	uint32_t cid;		/* the channel that it came on */
	uint8_t nonce[GK_CTAPHID_NONCE];
};

struct gk_ctaphid_client {
	uint8_t attached;
	uint8_t limit;		/* channels it may have */
	uint8_t overrun;	/* it does not take what it is sent */
	uint8_t inits;		/* of init[], the first is the oldest */
	struct gk_ctaphid_asked init[GK_CTAPHID_INITS];
	uint8_t head, count;
	uint8_t queue[GK_CTAPHID_QUEUE][GK_CTAPHID_PACKET];
};

struct gk_ctaphid {
	uint32_t serial;
	struct gk_ctaphid_client client[GK_CTAPHID_CLIENTS];
	struct gk_ctaphid_channel channel[GK_CTAPHID_CHANNELS];

	/* The transaction. */
	enum gk_ctaphid_state state;
	uint8_t owner;		/* index in channel[] */
	uint8_t cmd;
	uint8_t cancel;		/* 1: to be sent, 2: has been */
	uint8_t seq;		/* the next packet's, of the direction it is in */
	uint16_t total, done;	/* bytes of the message */
	uint32_t keepalives;
	uint64_t silence_ms;	/* deadlines */
	uint64_t whole_ms;
	uint8_t message[GK_CTAPHID_MESSAGE];

	/* INIT at the device; the one that asked may have gone. */
	uint8_t init_sent, init_orphan, init_client, init_turn;
	uint32_t init_cid;	/* as the client said it */
	uint32_t init_device_cid;
	uint8_t nonce[GK_CTAPHID_NONCE];
	uint64_t init_ms;	/* deadline */

	/* What is left of a transaction that was broken off; 0: nothing. */
	uint32_t drain_cid;
	uint32_t drained_cid;	/* the last one, also when it is over */
	uint8_t drain_cancel, drain_answer;
	uint16_t drain_left, drain_packets;
	uint64_t drain_ms;	/* deadline */

	uint32_t foreign;
	uint64_t foreign_ms;	/* start of its window */
};

void gk_ctaphid_init(struct gk_ctaphid *m);

/*
 * gk_ctaphid_attach: client 0..GK_CTAPHID_CLIENTS-1 is there and may have
 * `channels` (1..) of the GK_CTAPHID_CHANNELS, which all clients together must
 * not exceed; of more than its own the one not used for longest is forgotten.
 * gk_ctaphid_detach: it has gone, and its channels; nobody else gets its answer.
 */
void gk_ctaphid_attach(struct gk_ctaphid *m, unsigned client, unsigned channels);
void gk_ctaphid_detach(struct gk_ctaphid *m, unsigned client, uint64_t now_ms);

/* gk_ctaphid_from_client: one packet of it, at now_ms (monotonic). Whatever is
 * wrong with it is answered as 11.2 says, or ignored where it says so. */
void gk_ctaphid_from_client(struct gk_ctaphid *m, unsigned client,
			    const uint8_t packet[GK_CTAPHID_PACKET], uint64_t now_ms);

/* gk_ctaphid_from_device: 0, or GK_ERR_LIMIT: it says too much that nobody asked
 * for; have no more to do with it. */
int gk_ctaphid_from_device(struct gk_ctaphid *m,
			   const uint8_t packet[GK_CTAPHID_PACKET], uint64_t now_ms)
	GK_MUST_CHECK;

/*
 * After each call above and below: take what there is to send.
 * gk_ctaphid_to_device: 1 and the next packet, or 0. Not taken until it can be
 * sent; there is always time for that.
 * gk_ctaphid_to_client: the same for a client, whose queue is short: one that
 * has let it overflow is to be detached (gk_ctaphid_overrun).
 */
int gk_ctaphid_to_device(struct gk_ctaphid *m, uint64_t now_ms,
			 uint8_t packet[GK_CTAPHID_PACKET]) GK_MUST_CHECK;
int gk_ctaphid_to_client(struct gk_ctaphid *m, unsigned client,
			 uint8_t packet[GK_CTAPHID_PACKET]) GK_MUST_CHECK;
int gk_ctaphid_overrun(const struct gk_ctaphid *m, unsigned client);

/* gk_ctaphid_tick: ends what is overdue. gk_ctaphid_due: when it is to be called
 * next, 0: nothing waits. */
void gk_ctaphid_tick(struct gk_ctaphid *m, uint64_t now_ms);
uint64_t gk_ctaphid_due(const struct gk_ctaphid *m);

#endif
