/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker whose attacker tries things, one after the other; README.md. */
#ifndef GK_TAKEOVER_EVIL_H
#define GK_TAKEOVER_EVIL_H

#include "domain/worker.h"

/* What became of an attempt that the worker has lived through: a positive errno
 * (it was refused), or one of these. */
enum gk_outcome {
	GK_SUCCEEDED = 0,	/* what must not be */
	GK_OWN = -1,		/* done, to its own device: that is no gain */
	GK_SENT = -2,		/* said to the supervisor: dom0 tells what it did */
};

struct gk_attempt {
	const char *name;
	int (*run)(struct gk_worker *w);
};

extern const struct gk_attempt gk_kernel_attempts[], gk_link_attempts[];
extern const unsigned gk_kernel_attempts_n, gk_link_attempts_n;

/* The worker's own function, behind ld's --wrap. */
void __real_gk_worker_send(struct gk_worker *w, const struct gk_frame *f);

#endif
