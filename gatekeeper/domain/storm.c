/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storm.h"

#include <string.h>

static struct port {
	unsigned busnum;
	struct gk_port_path path;
	unsigned count;
	uint64_t since_ms;
} ports[GK_INVENTORY_MAX];

/* The port's entry; a new one takes the place of the oldest. */
static struct port *find(const struct gk_present *p, uint64_t now)
{
	struct port *oldest = &ports[0];

	for (unsigned i = 0; i < GK_INVENTORY_MAX; i++) {
		if (ports[i].since_ms < oldest->since_ms)
			oldest = &ports[i];
		if (ports[i].count && ports[i].busnum == p->busnum &&
		    memcmp(&ports[i].path, &p->path, sizeof(p->path)) == 0)
			return &ports[i];
	}
	oldest->busnum = p->busnum;
	oldest->path = p->path;
	oldest->count = 0;
	oldest->since_ms = now;
	return oldest;
}

int gk_storm(const struct gk_present *p, uint64_t now_ms)
{
	struct port *s = find(p, now_ms);

	if (now_ms - s->since_ms > GK_STORM_WINDOW_MS) {
		s->since_ms = now_ms;
		s->count = 0;
	}
	s->count++;
	/* Only a quiet port gets a new window. */
	if (s->count > GK_STORM_LIMIT)
		s->since_ms = now_ms;
	return s->count > GK_STORM_LIMIT;
}
