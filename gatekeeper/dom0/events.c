/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dom0/events.h"
#include "dom0/log.h"

void gk_events_add(struct gk_events *l, const struct gk_event *e)
{
	if (l->n == GK_EVENTS) {
		l->e[l->first] = *e;
		l->first = (l->first + 1) % GK_EVENTS;
	} else {
		l->e[(l->first + l->n++) % GK_EVENTS] = *e;
	}
}

const struct gk_event *gk_events_at(const struct gk_events *l, unsigned i)
{
	return &l->e[(l->first + i) % GK_EVENTS];
}

const char *gk_event_name(uint8_t what)
{
	switch ((enum gk_event_what)what) {
	case GK_EVENT_REFUSED:
		return "refused";
	case GK_EVENT_ADMITTED:
		return "admitted";
	case GK_EVENT_PARTLY:
		return "partly";
	case GK_EVENT_HUB:
		return "hub";
	case GK_EVENT_GONE:
		return "gone";
	}
	return "unknown";
}

void gk_events_text(const struct gk_events *l, char *buf)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < l->n; i++) {
		const struct gk_event *e = gk_events_at(l, i);

		at += (size_t)snprintf(buf + at, GK_EVENTS_TEXT - at,
				       "%" PRId64 " %u %02x %04x %04x %u %u %u %s\n",
				       e->ms, e->what, e->base_class, e->vid, e->pid,
				       e->reason, e->offset, e->rule, e->port);
	}
}

static void parse_line(struct gk_events *l, const char *line)
{
	struct gk_event e = { 0 };
	unsigned what, class, vid, pid, reason, offset, rule;
	int end = 0;

	if (sscanf(line, "%15" SCNd64 " %2u %2x %4x %4x %5u %5u %5u %39s%n", &e.ms,
		   &what, &class, &vid, &pid, &reason, &offset, &rule, e.port,
		   &end) != 9 || line[end] || what > GK_EVENT_GONE ||
	    reason > UINT16_MAX || offset > UINT16_MAX || rule > UINT16_MAX)
		return;
	e.what = (uint8_t)what;
	e.base_class = (uint8_t)class;
	e.vid = (uint16_t)vid;
	e.pid = (uint16_t)pid;
	e.reason = (uint16_t)reason;
	e.offset = (uint16_t)offset;
	e.rule = (uint16_t)rule;
	gk_printable(e.port);
	gk_events_add(l, &e);
}

void gk_events_parse(struct gk_events *l, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[GK_EVENT_LINE];

		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			parse_line(l, line);
		}
		text += len;
		if (*text)
			text++;
	}
}
