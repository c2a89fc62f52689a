/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's devices: what is at which port, what was decided of it, and
 * its worker. A device is known by its slot (id = slot + 1) and its generation.
 */
#ifndef GK_DOMAIN_DEVICES_H
#define GK_DOMAIN_DEVICES_H

#include <sys/types.h>

#include "core/link.h"
#include "inventory.h"

enum {
	GK_HUB_DEPTH = 3,	/* hubs below a root hub, one behind the other */
};

/* What devices.c needs of the event loop. */
struct gk_devices_ops {
	void (*send)(const struct gk_frame *f);	/* to dom0 */
	unsigned (*waiting)(uint32_t id);	/* of a device, not yet sent */
	int (*watch)(int fd, unsigned slot);	/* a worker's socket; 0 or -1 */
	/* Before each close: children that hold a copy would keep it alive. */
	void (*unwatch)(int fd);
};

void gk_devices_init(const struct gk_devices_ops *ops);

/* gk_devices_rescan: compares sysfs with the table and acts on each change. */
void gk_devices_rescan(void);

/* gk_devices_silent: something is at this port and does not answer: dom0 is told
 * of it and that it is gone; when it is pulled nobody will know. */
void gk_devices_silent(const struct gk_present *at);

/* gk_devices_worker_readable: the worker in this slot has sent something. */
void gk_devices_worker_readable(unsigned slot);

/* gk_devices_tick: what is due by time; call at least every 200 ms. */
void gk_devices_tick(void);

/* gk_devices_child_ended: a child's end, as from waitpid(2). 1 if it was a
 * worker, 0 if it is not known here. */
int gk_devices_child_ended(pid_t pid, int status);

/* gk_devices_announce: a new session: tells dom0 of every device, in order of
 * generation, and the workers of FIDO keys to forget what the last one asked. */
void gk_devices_announce(void);

/* gk_devices_to_worker: a frame of dom0's for one device; dropped when there is
 * no such device, worker or generation. */
void gk_devices_to_worker(const struct gk_frame *f);

/* gk_devices_stop: ask every worker to leave; nothing is admitted any more. */
void gk_devices_stop(void);

/* gk_devices_workers: workers still running; kill: end them now. */
unsigned gk_devices_workers(void);
void gk_devices_kill(void);

/* gk_devices_admitted: devices with a role. */
unsigned gk_devices_admitted(void);

#endif
