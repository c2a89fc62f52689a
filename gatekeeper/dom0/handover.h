/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the handoff share: handover.c (events and what they lead to),
 * handover_work.c (the children), handover_pci.c (gatekeeper-pci), handover_begin.c (requests, and after a start). */
#ifndef GK_DOM0_HANDOVER_H
#define GK_DOM0_HANDOVER_H

#include "dom0/daemon.h"

enum {
	GK_HO_COMES_BACK_MS = 5000,	/* systemd starts an agent that ended again */
};

/* handover.c */
/* gk_ho_happened: an event for the machine; what it wants is begun, and may have
 * failed already when this is back. gk_ho_perform: what it wants, after a start.
 * gk_ho_arm: the deadline of its state. */
void gk_ho_happened(struct gk_daemon *d, enum gk_ho_event e);
void gk_ho_perform(struct gk_daemon *d, enum gk_ho_action action);
void gk_ho_arm(struct gk_daemon *d);
/* gk_ho_because: why the next event comes: into the record and the journal.
 * gk_ho_set_cause: into the record alone. */
void gk_ho_because(struct gk_daemon *d, const char *cause);
void gk_ho_set_cause(struct gk_handover *h, const char *cause);
/* gk_ho_tell: a step, to who asked; gk_ho_finish: the end of it, why NULL: well. */
void gk_ho_tell(struct gk_daemon *d, const char *step, const char *detail);
void gk_ho_finish(struct gk_daemon *d, const char *why);
/* gk_ho_owners: who has all the controllers, for the record. */
void gk_ho_owners(struct gk_handover *h, int domid);
/* gk_ho_not_back: a timer's: the agent had its time. */
void gk_ho_not_back(void *ctx);
/* gk_ho_watch_resumed: once, a while after a start in CONFIRMED, whether there is a
 * keyboard. */
void gk_ho_watch_resumed(struct gk_daemon *d);

/* handover_work.c */
/* gk_ho_fill_opts: h->opts, by the record. gk_ho_start_child: a child with h->opts;
 * gk_ho_start_step: one for the state of the machine, whose end is its event. */
void gk_ho_fill_opts(struct gk_handover *h);
int gk_ho_start_child(struct gk_daemon *d, enum gk_step step, unsigned deadline_ms,
		      void (*done)(void *ctx, const struct gk_child_end *end))
	GK_MUST_CHECK;
void gk_ho_start_step(struct gk_daemon *d, enum gk_step step);

/* handover_pci.c */
/*
 * gk_ho_pci_start: gatekeeper-pci, for a handoff into a domain that runs. It is a help:
 * a handoff without it takes longer. gk_ho_pci_end: no more; at once, whatever it is at.
 * Each end of a state in which a step may have had it is such an end, unless the next
 * one may, too (gk_ho_pci_after).
 */
void gk_ho_pci_start(struct gk_daemon *d);
void gk_ho_pci_end(struct gk_daemon *d);
void gk_ho_pci_after(struct gk_daemon *d, enum gk_ho_state now);
/* gk_ho_pci_await: all else is prepared: GK_HO_READY when it is, has gone or is late. */
void gk_ho_pci_await(struct gk_daemon *d);

#endif
