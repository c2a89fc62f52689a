/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that touch a device: one that authorises and configures it, and
 * what that becomes, its worker. Each request that a device leaves unanswered
 * takes seconds, so that is never done in the supervisor itself.
 */
#ifndef GK_DOMAIN_SPAWN_H
#define GK_DOMAIN_SPAWN_H

#include <sys/types.h>

#include "judge.h"
#include "place.h"

/* How such a process ends; a worker's own are in worker.h. */
enum gk_spawn_exit {
	GK_SPAWN_DONE = 0,
	GK_SPAWN_FAILED = 20,	/* could not be configured */
	GK_SPAWN_CHANGED = 21,	/* not the descriptors that were judged */
};

/* gk_spawn_init: before all else; the place stays the caller's. */
void gk_spawn_init(const struct gk_place *place);

/*
 * gk_spawn: authorises the device, in the configuration that was judged; reads
 * its descriptors again, from sysfs and from the device, and compares; a hub's
 * process ends then, another's becomes a worker with a uid by the device's id
 * (1..GK_LINK_DEVICES), which can claim the candidates and nothing else. *sock is the supervisor's end of the socket
 * (SOCK_SEQPACKET, not blocking; closes with the process). GK_ERR_SYSTEM: no
 * process, and *sock is -1.
 */
int gk_spawn(const struct gk_present *at, const struct gk_case *c, uint32_t id,
	     int *sock, pid_t *pid) GK_MUST_CHECK;

/* gk_spawn_give: the place gives the device to the kernel, in a process: it ends with
 * GK_SPAWN_DONE, or another status. GK_ERR_SYSTEM: no process. */
int gk_spawn_give(const struct gk_present *at, pid_t *pid) GK_MUST_CHECK;

/* gk_spawn_end: kills it; it is still to be reaped. */
void gk_spawn_end(pid_t pid);

/* gk_spawn_withdraw: the device is not authorised any more; by a process that
 * nobody waits for. */
void gk_spawn_withdraw(const struct gk_present *at);

/* gk_spawn_cpu_ms: processor time that it has used, -1 if not known. */
long gk_spawn_cpu_ms(pid_t pid);

#endif
