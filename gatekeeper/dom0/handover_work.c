/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handoff's work in children: what they run, and what they say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/daemon.h"
#include "dom0/handover.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/owners.h"
#include "dom0/paths.h"

enum {
	PASSED_FD = 3,		/* gk_child_start() */
};

static void print_told(void *ctx, const char *step, const char *detail)
{
	char line[1024];
	struct gk_json j;

	(void)ctx;
	if (!strcmp(step, "controller") || !strcmp(step, "vdev") ||
	    !strcmp(step, "target")) {
		printf("%s %s\n", step, detail);
		fflush(stdout);
		return;
	}
	if (!strcmp(step, "took")) {
		printf("took: %s\n", detail);
		fflush(stdout);
		return;
	}
	gk_json_init(&j, line, sizeof(line));
	gk_json_object(&j, NULL);
	gk_json_string(&j, "step", step);
	gk_json_string(&j, "detail", detail);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) > 0)
		printf("%s\n", line);
	fflush(stdout);
}

static int step_child(void *arg)
{
	const struct gk_daemon *d = arg;
	const struct gk_handover *h = &d->handover;
	const struct gk_handoff_opts *o = &h->opts;
	const struct gk_handoff_told told = { .fn = print_told };
	char why[GK_HANDOFF_WHY_MAX] = "";
	int err = GK_ERR_VALUE;

	switch (h->step) {
	case GK_STEP_CHECK:
		err = gk_handoff_check(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_LOOK:
		gk_handoff_resets_on(gk_root_prefix, o);
		return gk_owners_print(d, o->to_name);
	case GK_STEP_RELEASE:
		err = gk_handoff_release(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_RESET:
	case GK_STEP_RESET_BACK:
		err = gk_handoff_reset(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_ASSIGN:
		err = gk_handoff_assign(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	case GK_STEP_TAKE_BACK:
		err = gk_handoff_take_back(gk_root_prefix, o, &told, why, sizeof(why));
		break;
	}
	if (err) {
		printf("%s\n", why);
		fflush(stdout);
	}
	/* A check of a domain that runs ends with who it is. */
	if (!err && h->step == GK_STEP_CHECK && h->m.mode == GK_HO_AGENT)
		return gk_owners_print(d, o->to_name);
	return err != 0;
}

/* "vdev GUEST HOST": where the agent sees a controller. */
static void on_vdev(struct gk_daemon *d, const char *rest)
{
	int had = d->xs.maps;
	char line[64];

	if (!d->link_agent)
		return;
	snprintf(line, sizeof(line), "pci %s", rest);
	gk_xs_map_line(line, &d->xs);
	for (int slot = 0; d->xs.maps > had && slot < GK_LINK_DEVICES; slot++)
		if (d->session.dev[slot].id &&
		    d->session.dev[slot].info.path.controller == d->xs.map[had].devfn)
			gk_devices_here(d, slot);
}

static void step_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	size_t len;

	if (!strncmp(line, "vdev ", 5)) {
		on_vdev(d, line + 5);
	} else if (!strncmp(line, "target ", 7) && h->step == GK_STEP_ASSIGN) {
		h->r.target_domid = atoi(line + 7);
	} else if (!strncmp(line, "took: ", 6)) {
		gk_log(LOG_DEBUG, "handoff: %s", line);
	} else if (line[0] == '{') {
		gk_log(LOG_NOTICE, "handoff: %s", line);
		gk_control_line(h->client, line);
	} else if (h->step == GK_STEP_CHECK || h->step == GK_STEP_LOOK) {
		len = strlen(h->found);
		snprintf(h->found + len, sizeof(h->found) - len, "%.200s\n", line);
		snprintf(h->last, sizeof(h->last), "%s", line);
	} else {
		gk_log(LOG_NOTICE, "handoff: %s", line);
		snprintf(h->last, sizeof(h->last), "%s", line);
	}
}

static void step_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;

	h->child = 0;
	if (end->status == 0) {
		if (h->step == GK_STEP_RELEASE || h->step == GK_STEP_TAKE_BACK)
			gk_ho_owners(h, 0);
		else if (h->step == GK_STEP_ASSIGN && h->r.target_domid > 0)
			gk_ho_owners(h, h->r.target_domid);
		gk_ho_happened(d, GK_HO_DONE);
		return;
	}
	/* On the way back the first reason stays: what the person asks for. */
	if (h->m.state != GK_HO_TAKING_BACK && h->m.state != GK_HO_RETURNED)
		gk_ho_because(d, h->last[0] ? h->last : "the work broke off");
	else if (h->last[0])
		gk_log(LOG_ERR, "taking the controllers back: %s", h->last);
	gk_ho_happened(d, GK_HO_FAILED);
}

void gk_ho_fill_opts(struct gk_handover *h)
{
	struct gk_handoff_opts *o = &h->opts;

	*o = (struct gk_handoff_opts){
		.gate_domain = GK_GATE_NAME,
		.to_name = h->r.target[0] ? h->r.target : NULL,
		.to_config = h->m.mode == GK_HO_CONFIG ? h->r.config : NULL,
		.no_strict_reset = h->r.no_strict_reset,
		.permissive = h->r.permissive,
		.suspect = h->r.suspect_domid > 0 ? h->r.suspect_domid : 0,
	};
	if (h->m.mode == GK_HO_AGENT) {
		o->gate_domid = h->r.gate_domid > 0 ? h->r.gate_domid : 0;
		o->to_domid = h->r.target_domid > 0 ? h->r.target_domid : 0;
	}
	for (int i = 0; i < h->r.controllers; i++)
		memcpy(o->bdf[i], h->r.controller[i].bdf, sizeof(o->bdf[i]));
	o->n = (size_t)h->r.controllers;
}

/* h->opts is set up. The machine's own deadline ends it; a check has its own. */
int gk_ho_start_child(struct gk_daemon *d, enum gk_step step, unsigned deadline_ms,
		       void (*done)(void *ctx, const struct gk_child_end *end))
{
	struct gk_handover *h = &d->handover;
	const struct gk_child_spec spec = {
		.name = step == GK_STEP_CHECK ? "the handoff's check" :
			step == GK_STEP_LOOK ? "the handoff's look" : "the handoff",
		.fn = step_child, .arg = d, .pass_fd = h->pci_child ? h->pci_fd : -1,
		.deadline_ms = deadline_ms,
		.line = step_line, .done = done, .ctx = d,
	};

	h->step = step;
	h->opts.helper = h->pci_child ? PASSED_FD : 0;
	h->last[0] = h->found[0] = '\0';
	return gk_child_start(d->loop, &spec, &h->child);
}

void gk_ho_start_step(struct gk_daemon *d, enum gk_step step)
{
	struct gk_handover *h = &d->handover;

	/* After its deadline this is one more chance to end it. */
	if (gk_ho_start_child(d, step, gk_ho_deadline_ms(h->m.mode, h->m.state) + 1000,
			step_done)) {
		gk_ho_because(d, "out of processes");
		gk_ho_happened(d, GK_HO_FAILED);
	}
}
