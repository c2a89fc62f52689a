/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a supervisor works: in the gate (gate.c), or in a USB domain beside a whole
 * system (handoff/agent/). All that differs is here; what is the same, and that is
 * what judges and what talks to devices, is in supervisor.c and the files below it.
 */
#ifndef GK_DOMAIN_PLACE_H
#define GK_DOMAIN_PLACE_H

#include <stddef.h>
#include <sys/types.h>

#include "inventory.h"
#include "judge.h"

struct sock_filter;

struct gk_place {
	/* A worker: its program, an empty directory that becomes its root, and the
	 * number below the uids: that of device 1 is one more. */
	const char *worker, *worker_root;
	uid_t worker_uid;
	/* What system calls the supervisor keeps. */
	const struct sock_filter *filter;
	size_t filter_len;
	/* 1: after QUIESCED a HELLO begins anew, with whatever controllers there are
	 * then. 0: it stays so, the domain has done its work. */
	int serves_again;

	/* Once, before the supervisor gives up its rights. GK_OK, or it ends. */
	int (*begin)(void);
	/* dom0 said HELLO and has been answered. */
	void (*hello)(void);
	/* A part of the manifest; an error ends the session. NULL: ignored. */
	int (*manifest)(const struct gk_link_manifest *part);
	/* Before each look at sysfs: 1 if devices may be judged now. new_bus: above 0
	 * when a bus or its root hub's interface has come or gone. */
	int (*look)(unsigned new_bus);
	/* At least every 200 ms; whether there is a session. NULL: nothing to do. */
	void (*tick)(int session);

	/* In the child that sets a device up, which is authorised by then: kernel
	 * drivers leave its candidates. GK_OK or GK_ERR_SYSTEM. NULL: there are none. */
	int (*claim)(const struct gk_present *at, const struct gk_case *c, int usb);
	/* In a child: the kernel drives this device, a hub or one that no rule
	 * admits. GK_OK or GK_ERR_SYSTEM. NULL: hubs are only authorised, and what is
	 * not admitted stays out. */
	int (*give)(const struct gk_present *at);
	/* In a child, on SIGTERM, when the workers have left. NULL: SIGTERM is as
	 * usual. */
	int (*leave)(const void *unused);
};

#endif
