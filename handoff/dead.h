/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain that is still there and will never do anything again: it was shut down,
 * has crashed, or is being destroyed. Nothing that needs its answer can work, and a
 * pci-detach does.
 */
#ifndef GK_HANDOFF_DEAD_H
#define GK_HANDOFF_DEAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/error.h"

#define GK_DEAD_ASK_MS 5000u

/*
 * gk_dead_parse: of what `xl list` has printed: 1 when the domain of this id is dead,
 * 0 when it is not, or not listed. One that is suspended (xl's letters: "---ss-") goes
 * on one day, so it is not.
 */
int gk_dead_parse(const char *listed, int domid);

/* gk_dead_ask: asks xl, for GK_DEAD_ASK_MS at most: 1 or 0 as above, or as gk_run().
 * A domain that is not there is an error of xl, GK_ERR_SYSTEM. */
int gk_dead_ask(int domid) GK_MUST_CHECK;

/*
 * gk_dead_answer: from now on, in a thread, the part of the domain's PCI frontend in
 * the removal of a device is played: libxl, whoever called it, waits 10 s for it,
 * after it has taken the device from the domain. Only for one that is dead. gk_dead_answered: no more; also when it was not begun.
 */
struct gk_dead_answer {
	pthread_t thread;
	atomic_int end;
	int domid, begun;
};

void gk_dead_answer(struct gk_dead_answer *a, int domid);
void gk_dead_answered(struct gk_dead_answer *a);

#endif
