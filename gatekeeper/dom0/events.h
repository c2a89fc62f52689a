/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was admitted, refused and unplugged since the boot: the newest
 * GK_EVENTS, for `gatekeeper status --log`. Kept in /run/gatekeeper/events, a
 * line each, so that a gatekeeperd that is started again still knows.
 */
#ifndef GK_DOM0_EVENTS_H
#define GK_DOM0_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/policy.h"

enum {
	GK_EVENTS = 128,
	GK_EVENT_LINE = 128,
	GK_EVENTS_TEXT = GK_EVENTS * GK_EVENT_LINE + 1,
};

enum gk_event_what {
	GK_EVENT_REFUSED = GK_VERDICT_REFUSED,
	GK_EVENT_ADMITTED = GK_VERDICT_ADMITTED,
	GK_EVENT_PARTLY = GK_VERDICT_PARTLY,
	GK_EVENT_HUB = GK_VERDICT_HUB,
	GK_EVENT_GONE,
};

struct gk_event {
	int64_t ms;		/* CLOCK_BOOTTIME */
	uint8_t what;		/* enum gk_event_what */
	uint8_t base_class;	/* for gk_class_text() */
	uint16_t vid, pid;
	uint16_t reason, offset, rule;	/* as in DEVICE; of GONE the reason alone */
	char port[GK_PORT_TEXT];
};

struct gk_events {
	unsigned n;		/* kept */
	unsigned first;		/* index of the oldest */
	struct gk_event e[GK_EVENTS];
};

void gk_events_add(struct gk_events *l, const struct gk_event *e);

/* gk_events_at: the i-th, the oldest first; i < l->n. */
const struct gk_event *gk_events_at(const struct gk_events *l, unsigned i);

/* gk_event_name: "refused", "gone" ... */
const char *gk_event_name(uint8_t what);

/* gk_events_text: into buf of GK_EVENTS_TEXT bytes; gk_events_parse: adds each
 * line; what is no such line is passed over. */
void gk_events_text(const struct gk_events *l, char *buf);
void gk_events_parse(struct gk_events *l, const char *text);

#endif
