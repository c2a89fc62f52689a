/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GK_DOMAIN_CLOCK_H
#define GK_DOMAIN_CLOCK_H

#include <stdint.h>

/* gk_clock_ms: milliseconds since the domain's start, never backwards. */
uint64_t gk_clock_ms(void);

#endif
