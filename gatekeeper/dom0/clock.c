/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <time.h>

#include "dom0/clock.h"

uint64_t gk_now_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
