/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/owners.h"
#include "dom0/paths.h"

enum {
	STATUS_MS = 1500,	/* somebody waits, with a limit of its own */
	SUSPECT_MS = 5000,
};

/* Those that sysfs shows now and those of the record. */
static int all_controllers(const struct gk_daemon *d,
			   char bdf[GK_TRUTH_OWNED][GK_TRUTH_BDF])
{
	const struct gk_ho_record *r = &d->handover.r;
	int n = 0;

	for (int i = 0; i < d->controllers && n < GK_TRUTH_OWNED; i++)
		snprintf(bdf[n++], GK_TRUTH_BDF, "%s", d->controller[i].bdf);
	for (int i = 0; i < r->controllers && n < GK_TRUTH_OWNED; i++) {
		int known = 0;

		for (int k = 0; k < n; k++)
			known |= strcmp(bdf[k], r->controller[i].bdf) == 0;
		if (!known)
			snprintf(bdf[n++], GK_TRUTH_BDF, "%s", r->controller[i].bdf);
	}
	return n;
}

int gk_owners_print(const struct gk_daemon *d, const char *name)
{
	static char text[GK_FOUND_MAX], bdf[GK_TRUTH_OWNED][GK_TRUTH_BDF];
	static struct gk_truth t;
	const char *names[2] = { GK_GATE_NAME, name };
	int n = all_controllers(d, bdf);
	char path[GK_PATH_MAX];

	if (gk_truth_read(gk_root_prefix, &t)) {
		printf("xenstored does not answer\n");
		return 1;
	}
	/* Other devices and domains are none of our business, and there may be many. */
	gk_truth_keep(&t, (const char (*)[GK_TRUTH_BDF])bdf, n, names, name ? 2 : 1,
		      d->handover.r.suspect_domid);
	/* Of one that does not exist Xen says the same as of one that somebody has. */
	for (int i = 0; i < n; i++)
		if (snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s",
			     gk_root_prefix, bdf[i]) < (int)sizeof(path) &&
		    access(path, F_OK) == 0)
			gk_truth_ask_xen(gk_root_prefix, bdf[i], &t);
	gk_truth_text(&t, text, sizeof(text));
	fputs(text, stdout);
	return fflush(stdout) ? 1 : 0;
}

static int child(void *arg)
{
	const struct gk_daemon *d = arg;

	return gk_owners_print(d, d->handover.r.target[0] ? d->handover.r.target : NULL);
}

static int ask(struct gk_daemon *d, unsigned deadline_ms, unsigned *id,
	       void (*done)(void *ctx, const struct gk_child_end *end))
{
	const struct gk_child_spec spec = {
		.name = "who has the controllers", .fn = child, .arg = d, .pass_fd = -1,
		.deadline_ms = deadline_ms, .done = done, .ctx = d,
	};

	return gk_child_start(d->loop, &spec, id);
}

/* --- for the status --- */

static void answer_all(struct gk_daemon *d, const struct gk_truth *t)
{
	for (int i = 0; i < GK_CLIENTS; i++)
		if (d->client[i].fd >= 0 && d->client[i].wants_status)
			gk_control_status(&d->client[i], t);
}

static void status_done(void *ctx, const struct gk_child_end *end)
{
	static struct gk_truth t;
	struct gk_daemon *d = ctx;

	d->owners_child = 0;
	gk_truth_parse(end->status == 0 ? end->out : "", &t);
	answer_all(d, t.answered ? &t : NULL);
}

void gk_owners_status(struct gk_client *c)
{
	struct gk_daemon *d = c->d;

	c->wants_status = 1;
	/* What another client waits for is good for this one, too. */
	if (d->owners_child)
		return;
	if (d->stopping || ask(d, STATUS_MS, &d->owners_child, status_done))
		answer_all(d, NULL);
}

/* --- for the domain that may have one half --- */

static void suspect_ended(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	d->gate_child = 0;
	if (end->status == 0) {
		gk_gate_destroy(d, GK_AFTER_START);
		return;
	}
	gk_log(LOG_ERR, "xl destroy: %.200s", end->timed_out ? "no end" : end->out);
	gk_gate_lost(d, "the domain that holds a controller cannot be ended");
}

/* It stays the suspect until the gate has them all: we may be killed here. */
static void end_it(struct gk_daemon *d, const char *name)
{
	struct gk_handover *h = &d->handover;
	char id[16];
	const char *argv[] = { "xl", "destroy", id, NULL };
	const struct gk_child_spec spec = {
		.name = "xl destroy", .path = "xl", .argv = argv, .pass_fd = -1,
		.deadline_ms = GK_XL_DESTROY_MS, .done = suspect_ended, .ctx = d,
	};

	gk_screen_say(&d->screen, LOG_WARNING, "%s (%d) holds a controller that it "
		      "was not given: it is destroyed", name, h->r.suspect_domid);
	snprintf(id, sizeof(id), "%d", h->r.suspect_domid);
	if (gk_child_start(d->loop, &spec, &d->gate_child))
		gk_gate_destroy(d, GK_AFTER_GIVE_UP);
}

/* The domain that has one and is neither the gate nor the suspect, -1: none. */
static int third(const struct gk_daemon *d, const struct gk_truth *t, const char **bdf)
{
	int suspect = d->handover.r.suspect_domid;

	for (int i = 0; i < d->controllers; i++) {
		int has = gk_truth_owner(t, d->controller[i].bdf);

		if (has == -1)
			has = gk_truth_presumed(t, d->controller[i].bdf, -1);
		*bdf = d->controller[i].bdf;
		if (has > 0 && has != suspect &&
		    strcmp(gk_truth_name(t, has), GK_GATE_NAME) != 0)
			return has;
	}
	return -1;
}

/* Whether Xen and xenstore both say that nobody has any of them. */
static int nobody(const struct gk_daemon *d, const struct gk_truth *t)
{
	for (int i = 0; i < d->controllers; i++)
		if (gk_truth_owner(t, d->controller[i].bdf) != -1 ||
		    gk_truth_assigned(t, d->controller[i].bdf) != 0)
			return 0;
	return 1;
}

static void suspect_known(void *ctx, const struct gk_child_end *end)
{
	static struct gk_truth t;
	struct gk_daemon *d = ctx;
	struct gk_handover *h = &d->handover;
	char cause[GK_CAUSE_MAX];
	const char *name, *bdf = "";
	int other;

	d->gate_child = 0;
	gk_truth_parse(end->status == 0 ? end->out : "", &t);
	if (!t.answered) {
		gk_gate_lost(d, "xenstored does not answer");
		return;
	}
	other = third(d, &t, &bdf);
	name = gk_truth_name(&t, h->r.suspect_domid);
	if (other > 0) {
		snprintf(cause, sizeof(cause), "USB controller %s belongs to domain "
			 "%.64s (%d)", bdf, gk_truth_name(&t, other), other);
		snprintf(d->cause, sizeof(d->cause), "%s", cause);
		gk_gate_destroy(d, GK_AFTER_GIVE_UP);
	} else if (nobody(d, &t)) {
		d->not_ours = 0;
		gk_gate_lost(d, "xl gives the gate no controller, and nobody has one");
	} else if (!name[0]) {
		h->r.suspect_domid = -1;
		gk_handover_write(d);
		gk_gate_lost(d, "xl gives the gate no controller, and whoever had it is "
			     "gone");
	} else {
		end_it(d, name);
	}
}

int gk_handover_end_suspect(struct gk_daemon *d)
{
	if (d->handover.r.suspect_domid <= 0)
		return 0;
	return ask(d, SUSPECT_MS, &d->gate_child, suspect_known) == 0;
}
