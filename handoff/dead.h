/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain that is still there and will never do anything again: it was shut down,
 * has crashed, or is being destroyed. Nothing that needs its answer can work, and a
 * pci-detach does.
 */
#ifndef GK_HANDOFF_DEAD_H
#define GK_HANDOFF_DEAD_H

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

#endif
