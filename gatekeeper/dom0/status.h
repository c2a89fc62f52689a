/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `gatekeeper status --json` answers, and the two files by which others
 * learn that the gate is ready or will not come. Plain data in, text out.
 */
#ifndef GK_DOM0_STATUS_H
#define GK_DOM0_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "core/session.h"
#include "dom0/continuity.h"
#include "dom0/controllers.h"
#include "dom0/events.h"
#include "dom0/gate_rules.h"
#include "dom0/xs.h"
#include "handoff/record.h"
#include "handoff/truth.h"

enum gk_gate_state {
	GK_GATE_STARTING,
	GK_GATE_PROBE,		/* is one running already? */
	GK_GATE_CREATE,		/* xl create runs */
	GK_GATE_FIND,		/* which domain id did it get */
	GK_GATE_CONNECT,	/* waiting for its HELLO */
	GK_GATE_UP,
	GK_GATE_DESTROY,	/* clearing away a broken one */
	GK_GATE_BACKOFF,	/* a pause before the next try */
	GK_GATE_QUIESCE,	/* handoff: it lets go of its devices */
	GK_GATE_HANDOFF,	/* handoff: the controllers move */
	GK_GATE_HANDED_OVER,
	GK_GATE_FALLBACK,	/* dom0 drives the controllers itself */
	GK_GATE_FAILED,
	GK_GATE_NO_CONTROLLER,
	GK_GATE_DISABLED,
};

/* "up", "handed-over" ...: stable words. */
const char *gk_gate_state_name(enum gk_gate_state s);

/* CLOCK_BOOTTIME in ms, -1: has not happened. */
struct gk_times {
	int64_t unit_start;	/* of the systemd unit, if it told us */
	int64_t daemon_start;
	int64_t create_start, create_done;
	int64_t connected, hello;
	int64_t keyboard;	/* the first was admitted and can be used */
};

void gk_times_init(struct gk_times *t);

enum { GK_STATUS_INPUTS = 8 };

/* A keyboard that an input proxy feeds. */
struct gk_status_input {
	const char *name;
	const char *verdict;	/* "admitted", "refused" */
	const char *reason;	/* NULL: none */
	const char *number;	/* to type on it, NULL: none */
};

struct gk_status {
	enum gk_gate_state state;
	int ready;
	const char *cause;	/* of the state, NULL: none */
	const char *domain;
	int domid;		/* -1: none */
	int keyboard;		/* the virtual keyboard exists */
	unsigned restarts;
	unsigned memory_mib;
	const struct gk_controller *controller;
	int controllers;
	const struct gk_xs_answer *xs;
	int agent;		/* the session is that of a USB domain's agent */
	const struct gk_ho_record *handover;	/* NULL: nothing is known */
	const struct gk_truth *truth;	/* who has the controllers; NULL: nobody said */
	struct gk_finding finding[GK_FINDINGS];	/* after it: what is not as before */
	int findings;
	const struct gk_session *session;	/* NULL: none; as dom0 sees it */
	/* Per device of it the number that it has to type, NULL: none. */
	const char *number[GK_LINK_DEVICES];
	/* Per device of it: it is a FIDO key that can be used, by how many
	 * programs it is. */
	uint8_t fido[GK_LINK_DEVICES], fido_clients[GK_LINK_DEVICES];
	const struct gk_gate_rules *rules;	/* NULL: not loaded yet */
	const struct gk_events *events;		/* NULL: none */
	struct gk_times times;
	int inputs_on;		/* input proxies may come */
	unsigned inputs;	/* of input[] */
	struct gk_status_input input[GK_STATUS_INPUTS];
};

/* 16 devices of at most 2.5 KiB each, 128 events of 300 bytes, the handoff. */
enum { GK_STATUS_MAX = 112 << 10 };

/* gk_status_json: one line without its end; the length or GK_ERR_LIMIT. */
int gk_status_json(const struct gk_status *s, char *buf, size_t cap)
	GK_MUST_CHECK;

/* gk_status_short: {"state","ready","cause"}, for the files. */
int gk_status_short(const struct gk_status *s, char *buf, size_t cap)
	GK_MUST_CHECK;

/* gk_device_class: the class that tells a person what a device is: its own,
 * or its first interface's. */
uint8_t gk_device_class(const struct gk_link_device *d);

#endif
