/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What gatekeeperd wants to know of xenstore. xenstored may hang, and its
 * library blocks, so this runs in a child: gk_xs_probe() there prints, and
 * gk_xs_parse() reads that line by line.
 */
#ifndef GK_DOM0_XS_H
#define GK_DOM0_XS_H

#include <stdio.h>

#include "core/error.h"
#include "dom0/controllers.h"

struct gk_pci_map {
	uint8_t devfn;		/* in the gate */
	char bdf[GK_BDF_MAX];	/* in the machine */
};

struct gk_xs_answer {
	int answered;		/* xenstored spoke with us */
	int domid;		/* of the domain of that name, -1: none */
	int maps;
	struct gk_pci_map map[GK_CONTROLLERS_MAX];
};

/* gk_xs_probe: arg is the domain's name. An exit status. */
int gk_xs_probe(void *arg);

void gk_xs_parse(const char *text, struct gk_xs_answer *out);

/*
 * gk_xs_print_map: a line "pci GUEST HOST" for each controller of the domain.
 * pciback knows where the guest sees them only once the guest's pcifront is
 * connected, so the link reader does this when the gate's server is up, and
 * gatekeeperd takes each line with gk_xs_map_line(). A line that is not one is
 * passed over.
 */
struct xs_handle;
void gk_xs_print_map(struct xs_handle *xs, unsigned domid, FILE *out);
void gk_xs_map_line(const char *line, struct gk_xs_answer *out);

/* gk_xs_controller: of c[0..n) the one that is at this devfn in the gate; NULL
 * when the map does not know the devfn. */
const struct gk_controller *gk_xs_controller(const struct gk_xs_answer *a,
					     const struct gk_controller *c, int n,
					     uint8_t devfn);

#endif
