/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a gate that has been taken over says: messages from a seed, the same on
 * this machine (campaign.c) and in a gate domain (supervisor.c). Each is one of
 * two sorts, and core/ is the judge of which: FORGED ones are well formed and in
 * order, and lie; the others break the protocol.
 */
#ifndef GK_TEST_ATTACK_H
#define GK_TEST_ATTACK_H

#include <stddef.h>
#include <stdint.h>

#include "core/session.h"

enum gk_attack_kind {
	GK_ATTACK_DEVICE,	/* keyboards and others, at any port and controller */
	GK_ATTACK_KEY,		/* any code, any device, any generation */
	GK_ATTACK_GONE,
	GK_ATTACK_LOG,		/* any bytes as text */
	GK_ATTACK_PING,
	GK_ATTACK_HELLO,	/* a second one, or other versions */
	GK_ATTACK_ORDER,	/* QUIESCED unasked, LED and QUIESCE from the gate */
	GK_ATTACK_MUTATED,	/* a good frame, some bytes of it changed */
	GK_ATTACK_LENGTH,	/* headers with any length, giant ones too */
	GK_ATTACK_CUT,		/* a frame that ends early, then the next */
	GK_ATTACK_JUNK,
	GK_ATTACK_KINDS,
};

enum { GK_ATTACK_MAX = 512, GK_ATTACK_NOT = 10 };

struct gk_attack_message {
	enum gk_attack_kind kind;
	uint8_t b[GK_ATTACK_MAX];
	size_t len;		/* 0: none could be made */
	unsigned passed;	/* frames of it that go on to gatekeeperd */
};

struct gk_attack {
	uint64_t seed;			/* what decides all that follows */
	struct gk_session session;	/* dom0's, as far as we made it */
	uint32_t ids[GK_LINK_DEVICES];	/* that we use */
	uint32_t first_generation;	/* of a device */
	uint16_t not_codes[GK_ATTACK_NOT];	/* keys that are left alone, 0: none */
	uint64_t made[GK_ATTACK_KINDS];
	uint8_t codes[65536 / 8];	/* key codes that were tried */
};

extern const char *const gk_attack_names[GK_ATTACK_KINDS];

/* gk_attack_random: the next number of the seed. */
uint64_t gk_attack_random(struct gk_attack *a);

/* gk_attack_begin: a session that dom0 has opened with this nonce, and whose
 * HELLO was answered. */
void gk_attack_begin(struct gk_attack *a, const uint8_t nonce[GK_LINK_NONCE]);

/*
 * gk_attack_forged: well formed and in order; dom0's reader keeps some of them
 * (a question PING, a key event that changes nothing). gk_attack_break: ends
 * the reader, at the latest with its last byte.
 */
void gk_attack_forged(struct gk_attack *a, struct gk_attack_message *m);
void gk_attack_break(struct gk_attack *a, struct gk_attack_message *m);

#endif
