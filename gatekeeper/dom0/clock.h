/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GK_DOM0_CLOCK_H
#define GK_DOM0_CLOCK_H

#include <stdint.h>

/* gk_now_ms: CLOCK_BOOTTIME in ms: never jumps, the same in every process,
 * and what the times in `gatekeeper status` are told in. */
uint64_t gk_now_ms(void);

#endif
