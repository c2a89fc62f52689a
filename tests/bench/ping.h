/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GK_BENCH_PING_H
#define GK_BENCH_PING_H

#include "core/link.h"

/* As long as a frame of a key, and where the other side is found. */
enum { PING_BYTES = GK_LINK_HEADER + 4 };
#define PING_NODE "data/bench"

#endif
