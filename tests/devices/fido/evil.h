/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ill-behaved variants: a table of names, and a function for each place where
 * an authenticator can go wrong. Each does nothing unless the variant is one of
 * its own, so the well-behaved code just calls them.
 */
#ifndef GK_FIDO_EVIL_H
#define GK_FIDO_EVIL_H

#include <stdio.h>

#include "ctap.h"

enum gk_evil {
	GK_EVIL_NONE,
	/* the channel */
	GK_EVIL_INIT_NONCE, GK_EVIL_INIT_SHORT, GK_EVIL_INIT_CID_ZERO,
	GK_EVIL_INIT_CID_BROADCAST, GK_EVIL_WRONG_CID, GK_EVIL_OTHER_COMMAND,
	GK_EVIL_ERRORS, GK_EVIL_FOREIGN, GK_EVIL_FOREIGN_FOREVER,
	GK_EVIL_LENGTH_MAX, GK_EVIL_LENGTH_OVER, GK_EVIL_FRAGMENTS_REORDERED,
	GK_EVIL_FRAGMENTS_REPEATED, GK_EVIL_FRAGMENTS_EXTRA,
	GK_EVIL_FRAGMENTS_MISSING, GK_EVIL_FRAGMENTS_FIRST, GK_EVIL_RESTARTED,
	GK_EVIL_TWICE, GK_EVIL_SHORT_PACKET,
	/* time */
	GK_EVIL_KEEPALIVE_FOREVER, GK_EVIL_KEEPALIVE_FLOOD, GK_EVIL_KEEPALIVE_ODD,
	GK_EVIL_SILENT, GK_EVIL_SILENT_TOUCHED, GK_EVIL_LATE_ANSWER,
	GK_EVIL_UNPLUG,
	/* the message */
	GK_EVIL_CBOR_DEEP, GK_EVIL_CBOR_GIANT_BYTES, GK_EVIL_CBOR_GIANT_MAP,
	GK_EVIL_CBOR_GIANT_ARRAY, GK_EVIL_CBOR_TRUNCATED, GK_EVIL_CBOR_TRAILING,
	GK_EVIL_CBOR_INDEFINITE, GK_EVIL_CBOR_TYPES, GK_EVIL_CBOR_EMPTY,
	GK_EVIL_CBOR_EMPTY_MAP, GK_EVIL_CBOR_DUPLICATES, GK_EVIL_CBOR_NOISE,
	GK_EVIL_STATUS_ODD, GK_EVIL_OTHER_ANSWER,
	/* what it says */
	GK_EVIL_WRONG_SIGNATURE, GK_EVIL_WRONG_SECRET, GK_EVIL_SECRET_SHORT,
	GK_EVIL_SECRET_LONG, GK_EVIL_SECRET_EMPTY, GK_EVIL_OTHER_CREDENTIAL,
	GK_EVIL_OTHER_RP, GK_EVIL_NO_UP, GK_EVIL_NO_UV, GK_EVIL_RETRIES_NONE,
	GK_EVIL_RETRIES_MANY,
};

/* At which request; for GK_EVIL_UNPLUG also moments of the answer. */
enum gk_step {
	GK_STEP_ANY, GK_STEP_INIT, GK_STEP_PING, GK_STEP_INFO, GK_STEP_RETRIES,
	GK_STEP_AGREE, GK_STEP_SET_PIN, GK_STEP_TOKEN, GK_STEP_MAKE,
	GK_STEP_ASSERT, GK_STEP_NEXT, GK_STEP_RESET, GK_STEP_SELECT,
	GK_STEP_OTHER,
	GK_STEP_TOUCH,		/* when it asks for the touch */
	GK_STEP_TOUCHED,	/* touched, and not yet answered */
	GK_STEP_ANSWER,		/* in the middle of an assertion's answer */
	GK_STEPS,
};

struct gk_mischief {
	enum gk_evil evil;
	enum gk_step step;
};

enum { GK_EVIL_SECRET_MAX = 96 };

/* "NAME", "NAME:STEP" or "none". -1: no such. */
int gk_evil_parse(const char *text, struct gk_mischief *m);
void gk_evil_list(FILE *f);
/* Does it do it now? */
bool gk_evil_at(const struct gk_mischief *m, enum gk_evil evil, enum gk_step now);

unsigned int gk_evil_retries(enum gk_evil evil, unsigned int retries);
uint8_t gk_evil_flags(enum gk_evil evil, uint8_t flags);
const uint8_t *gk_evil_rp_hash(enum gk_evil evil, const uint8_t rp_hash[32]);
void gk_evil_credential_id(enum gk_evil evil, uint8_t *id, size_t len);
void gk_evil_signature(enum gk_evil evil, uint8_t *signature, size_t len);
/* The length it has now; secret has room for GK_EVIL_SECRET_MAX bytes. */
size_t gk_evil_secret(enum gk_evil evil, uint8_t *secret, size_t len);
/* A CTAPHID_CBOR answer: status and CBOR; the length it has now, at most max. */
size_t gk_evil_answer(enum gk_evil evil, uint8_t *answer, size_t len, size_t max);
/* A message as it goes out; how many packets there are now, at most max. */
size_t gk_evil_packets(enum gk_evil evil, uint8_t (*packets)[64], size_t n,
		       size_t max);

#endif
