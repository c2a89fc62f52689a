/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A secret tried on volumes in a process of its own: a keyslot's PBKDF may take
 * seconds and a gigabyte, while the prompt and the keys go on; and it has an end,
 * whatever the header asks for. One at a time.
 */
#ifndef GK_LUKS_ATTEMPT_H
#define GK_LUKS_ATTEMPT_H

#include "dom0/loop.h"
#include "luks/volume.h"

enum {
	GK_VOLUMES = 8,
	GK_ATTEMPT_MS = 120000,	/* for all the volumes of one attempt */
};

struct gk_attempt_target {
	const struct gk_volume *volume;
	uint32_t keyslots;	/* gk_volume_open() */
	int result;		/* its result; GK_ERR_TIMEOUT: never came */
	unsigned computing_ms;	/* processor time it took: nearly all of it PBKDF */
};

typedef void gk_attempt_done(void *ctx, const struct gk_attempt_target *t, unsigned n);

/* gk_attempt_start: GK_ERR_ORDER while one runs; GK_ERR_LIMIT, GK_ERR_SYSTEM. The
 * secret is the caller's again at once. done is called once, later. */
int gk_attempt_start(struct gk_loop *l, const struct gk_attempt_target *t, unsigned n,
		     const char *secret, size_t len, gk_attempt_done *done, void *ctx)
	GK_MUST_CHECK;

int gk_attempt_runs(void);

#endif
