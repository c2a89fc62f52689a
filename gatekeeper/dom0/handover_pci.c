/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeper-pci (handoff/toolstack): from before anything is taken until it is given. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0/daemon.h"
#include "dom0/handover.h"
#include "dom0/log.h"
#include "dom0/paths.h"

enum {
	LATE_MS = 2000,		/* 0.2 s in emulation; xl takes no longer */
};

static void go_on(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;
	int awaited = h->pci_awaited;

	h->pci_awaited = 0;
	gk_timer_clear(d->loop, &h->pci_late);
	if (awaited && h->m.state == GK_HO_PREPARING)
		gk_ho_happened(d, GK_HO_READY);
}

static void forget(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	if (h->pci_child)
		close(h->pci_fd);
	h->pci_child = 0;
	h->pci_ready = 0;
}

static void on_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;

	if (strcmp(line, "ready") != 0) {
		gk_log(LOG_WARNING, "gatekeeper-pci: %s", line);
		return;
	}
	d->handover.pci_ready = 1;
	go_on(d);
}

/* By itself: it is missing, not of this Xen's libxl, or libxl has ended it. */
static void on_end(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	forget(d);
	if (end->status >= 0 && WIFEXITED(end->status))
		gk_log(LOG_NOTICE, "handoff: gatekeeper-pci has ended (%d); xl does its "
		       "work, more slowly", WEXITSTATUS(end->status));
	else
		gk_log(LOG_NOTICE, "handoff: gatekeeper-pci was killed; xl does its work, "
		       "more slowly");
	go_on(d);
}

static void on_late(void *ctx)
{
	struct gk_daemon *d = ctx;

	gk_log(LOG_NOTICE, "handoff: gatekeeper-pci is not ready after %d s; xl does its "
	       "work, more slowly", LATE_MS / 1000);
	gk_child_kill(d->loop, d->handover.pci_child);
	forget(d);
	go_on(d);
}

void gk_ho_pci_end(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	gk_child_kill(d->loop, h->pci_child);
	forget(d);
	h->pci_awaited = 0;
	gk_timer_clear(d->loop, &h->pci_late);
}

void gk_ho_pci_start(struct gk_daemon *d)
{
	/* '@': as the link's reader, at switch-root. */
	static const char *const argv[] = { "@gatekeeper-pci", NULL };
	struct gk_handover *h = &d->handover;
	struct gk_child_spec spec = {
		.name = "gatekeeper-pci", .argv = argv, .line = on_line, .done = on_end,
		.ctx = d,
	};
	char program[GK_PATH_MAX];
	int pair[2];

	gk_ho_pci_end(d);
	if (gk_path(program, GK_PCI_PROGRAM) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	spec.path = program;
	spec.pass_fd = pair[1];
	if (gk_child_start(d->loop, &spec, &h->pci_child)) {
		h->pci_child = 0;
		close(pair[0]);
	} else {
		h->pci_fd = pair[0];
	}
	close(pair[1]);
}

void gk_ho_pci_after(struct gk_daemon *d, enum gk_ho_state now)
{
	switch (now) {
	case GK_HO_PREPARING:
	case GK_HO_QUIESCING:
	case GK_HO_RELEASING:
	case GK_HO_RELEASED:
	case GK_HO_RESET:
		return;
	case GK_HO_GATE:
	case GK_HO_ASSIGNED:
	case GK_HO_CONFIRMED:
	case GK_HO_FREE:
	case GK_HO_RECALLING:
	case GK_HO_TAKING_BACK:
	case GK_HO_RETURNED:
	case GK_HO_STATES:
		gk_ho_pci_end(d);
	}
}

void gk_ho_pci_await(struct gk_daemon *d)
{
	struct gk_handover *h = &d->handover;

	h->pci_awaited = 1;
	if (!h->pci_child || h->pci_ready)
		go_on(d);
	else
		gk_timer_set(d->loop, &h->pci_late, LATE_MS, on_late, d);
}
