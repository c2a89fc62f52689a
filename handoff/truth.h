/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which domain has which PCI device, as dom0's own xenstore says: the nodes that
 * dom0's toolstack and pciback write below /local/domain/0, and the domains'
 * names, which a guest cannot change. By which of them libxl gives one away is a
 * node of its own since 4.15, /libxl/pci/DDDD-BB-DD-F/domid ("marked"): pci-attach
 * writes it before all else and pci-detach removes it last, so an xl that was killed
 * leaves one of a domain that has nothing. A device of an HVM guest whose device model
 * runs in a stub domain has two backends, that domain's and the guest's: libxl gives and
 * takes both together, and says in /local/domain/STUB/target whose it is. And what Xen
 * itself says (xen.h): that a domain has one, not which.
 */
#ifndef GK_HANDOFF_TRUTH_H
#define GK_HANDOFF_TRUTH_H

#include <stddef.h>

#include "core/error.h"
#include "handoff/machine.h"

enum {
	GK_TRUTH_DOMAINS = 128,
	GK_TRUTH_OWNED = 64,
	GK_TRUTH_NAME = 65,
	GK_TRUTH_BDF = 16,
	GK_TRUTH_SEVERAL = -2,
};

struct gk_truth {
	int answered;		/* xenstored spoke with us */
	int domains;
	struct {
		int domid;
		int agent;	/* it has a vchan server data/gatekeeper */
		char name[GK_TRUTH_NAME];
	} domain[GK_TRUTH_DOMAINS];
	int owned;
	struct {
		int domid;
		char bdf[GK_TRUTH_BDF];
		char vdev[GK_TRUTH_BDF];	/* where the guest sees it, "" not yet */
	} owner[GK_TRUTH_OWNED];
	int marks;
	struct {
		int domid;
		char bdf[GK_TRUTH_BDF];
	} mark[GK_TRUTH_OWNED];
	int xens;
	struct {
		int assigned;	/* to a domain that is not dom0 */
		char bdf[GK_TRUTH_BDF];
	} xen[GK_TRUTH_OWNED];	/* those that Xen was asked about, and it answered */
	int stubs;
	struct {
		int domid;
		int target;	/* the guest whose device model it runs */
	} stub[GK_TRUTH_DOMAINS];
};

/*
 * gk_truth_read: asks xenstore, which may hang: for a child with a deadline. With a
 * root (tests) the file ROOT/xenstore is read, lines as gk_truth_parse() takes them.
 * GK_OK, GK_ERR_SYSTEM. The connection stays, one for each process.
 * gk_truth_owners: less of it, where somebody waits for the keyboard: who has which
 * device, and of the domains those that have one and `domid` (-1: no other), without
 * their agents.
 */
int gk_truth_read(const char *root, struct gk_truth *t) GK_MUST_CHECK;
int gk_truth_owners(const char *root, int domid, struct gk_truth *t) GK_MUST_CHECK;

/*
 * gk_truth_ask_xen: what Xen says of this controller, too, from now on in t; nothing
 * if it cannot be asked.
 */
void gk_truth_ask_xen(const char *root, const char *bdf, struct gk_truth *t);

/*
 * gk_truth_keep: of all that was read only what is about these n controllers: who has
 * one or is marked for it, and the domains of the m names or with the id `domid`.
 * gk_truth_text: "answered", "domain ID AGENT NAME", "stub ID TARGET" (of a stub
 * domain), "owns ID BDF [VDEV]", "marked ID BDF" and "xen 0|1 BDF", a line each: what
 * fits into cap. gk_truth_parse: back; what is no such line is passed over.
 */
void gk_truth_keep(struct gk_truth *t, const char (*bdf)[GK_TRUTH_BDF], int n,
		   const char *const *name, int m, int domid);
void gk_truth_text(const struct gk_truth *t, char *buf, size_t cap);
void gk_truth_parse(const char *text, struct gk_truth *t);

/* gk_truth_domid: of that name, -1: none. gk_truth_name: "" if there is no such
 * domain; valid as long as t. gk_truth_agent: whether it has an agent's server. */
int gk_truth_domid(const struct gk_truth *t, const char *name);
const char *gk_truth_name(const struct gk_truth *t, int domid);
int gk_truth_agent(const struct gk_truth *t, int domid);

/* gk_truth_owner: the domain that has it, -1: none, GK_TRUTH_SEVERAL: more than one,
 * which Xen does not let be; of a stub domain and its guest the guest.
 * gk_truth_vdev: where that domain sees it; "". */
int gk_truth_owner(const struct gk_truth *t, const char *bdf);
/* gk_truth_marked: for whom libxl has it marked, -1: for nobody. */
int gk_truth_marked(const struct gk_truth *t, const char *bdf);
const char *gk_truth_vdev(const struct gk_truth *t, const char *bdf);

/* gk_truth_assigned: what Xen says: 1: a domain has it, 0: none, -1: not known.
 * gk_truth_disagree: Xen and xenstore do not say the same: an xl has not finished. */
int gk_truth_assigned(const struct gk_truth *t, const char *bdf);
int gk_truth_disagree(const struct gk_truth *t, const char *bdf);

/*
 * gk_truth_presumed: for one that a domain has by Xen and none by xenstore: the domain
 * that it can be: the one that libxl has it marked for, else `suspect`, which was being
 * given it last (-1: none); -1 when neither is there any more.
 */
int gk_truth_presumed(const struct gk_truth *t, const char *bdf, int suspect);

/* gk_truth_of_all: of n controllers together. gate, target: domain ids, -1: none.
 * GK_HO_SEVERAL also when Xen and xenstore do not agree about one. */
enum gk_ho_owner gk_truth_of_all(const struct gk_truth *t,
				 const char (*bdf)[GK_TRUTH_BDF], int n, int gate,
				 int target);

#endif
