/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "duty.h"

void gk_duty_init(struct gk_duty *d, uint64_t now_ms)
{
	d->state = GK_DUTY_WAITING;
	d->alone_ms = now_ms;
}

int gk_duty_hello(struct gk_duty *d)
{
	d->alone_ms = 0;
	if (d->state != GK_DUTY_AWAY)
		return 0;
	d->state = GK_DUTY_WAITING;
	return 1;
}

void gk_duty_rules(struct gk_duty *d)
{
	d->state = GK_DUTY_JUDGING;
}

int gk_duty_tick(struct gk_duty *d, int session, uint64_t now_ms)
{
	if (session)
		d->alone_ms = 0;
	else if (d->alone_ms == 0)
		d->alone_ms = now_ms;
	if (session || d->state != GK_DUTY_WAITING ||
	    now_ms - d->alone_ms < GK_DUTY_ALONE_MS)
		return 0;
	d->state = GK_DUTY_AWAY;
	return 1;
}
