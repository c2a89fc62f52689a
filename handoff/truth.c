/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "dom0/paths.h"
#include "handoff/truth.h"
#include "handoff/xen.h"

static void add_domain(struct gk_truth *t, int domid, int agent, const char *name)
{
	size_t len = strlen(name);

	if (t->domains == GK_TRUTH_DOMAINS || len == 0 || len >= GK_TRUTH_NAME)
		return;
	t->domain[t->domains].domid = domid;
	t->domain[t->domains].agent = agent;
	memcpy(t->domain[t->domains++].name, name, len + 1);
}

static void add_owner(struct gk_truth *t, int domid, const char *bdf, const char *vdev)
{
	if (t->owned == GK_TRUTH_OWNED || strlen(bdf) >= GK_TRUTH_BDF ||
	    strlen(vdev) >= GK_TRUTH_BDF)
		return;
	t->owner[t->owned].domid = domid;
	strcpy(t->owner[t->owned].bdf, bdf);
	strcpy(t->owner[t->owned++].vdev, vdev);
}

static void add_mark(struct gk_truth *t, int domid, const char *bdf)
{
	if (t->marks == GK_TRUTH_OWNED || strlen(bdf) >= GK_TRUTH_BDF)
		return;
	t->mark[t->marks].domid = domid;
	strcpy(t->mark[t->marks++].bdf, bdf);
}

static void add_xen(struct gk_truth *t, int assigned, const char *bdf)
{
	if (t->xens == GK_TRUTH_OWNED || strlen(bdf) >= GK_TRUTH_BDF)
		return;
	t->xen[t->xens].assigned = assigned != 0;
	strcpy(t->xen[t->xens++].bdf, bdf);
}

void gk_truth_ask_xen(const char *root, const char *bdf, struct gk_truth *t)
{
	int assigned = gk_xen_assigned(root, bdf);

	if (assigned >= 0)
		add_xen(t, assigned, bdf);
}

static void add_stub(struct gk_truth *t, int domid, int target)
{
	if (t->stubs == GK_TRUTH_DOMAINS || target <= 0 || target == domid)
		return;
	t->stub[t->stubs].domid = domid;
	t->stub[t->stubs++].target = target;
}

/* Whom what this domain has belongs to. */
static int guest_of(const struct gk_truth *t, int domid)
{
	for (int i = 0; i < t->stubs; i++)
		if (t->stub[i].domid == domid)
			return t->stub[i].target;
	return domid;
}

/* --- of xenstore --- */

__attribute__((format(printf, 2, 3)))
static char *read_node(struct xs_handle *xs, const char *fmt, ...)
{
	char path[160];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= sizeof(path) ? NULL :
						    xs_read(xs, XBT_NULL, path, NULL);
}

/* A connection of a parent is not for its child: both would read the answers. */
static struct xs_handle *held;
static pid_t whose;

static struct xs_handle *hold(void)
{
	if (!held || whose != getpid())
		held = xs_open(0);
	whose = getpid();
	return held;
}

static void let_go(void)
{
	xs_close(held);
	held = NULL;
}

static void read_name(struct xs_handle *xs, struct gk_truth *t, const char *id)
{
	char *name = read_node(xs, "/local/domain/%.16s/name", id);

	if (name && gk_truth_name(t, atoi(id))[0] == '\0')
		add_domain(t, atoi(id), 0, name);
	free(name);
}

static void read_domain(struct xs_handle *xs, struct gk_truth *t, const char *id)
{
	char *name = read_node(xs, "/local/domain/%.16s/name", id);
	char *server = read_node(xs, "/local/domain/%.16s/data/gatekeeper/event-channel",
				 id);

	if (name)
		add_domain(t, atoi(id), server != NULL, name);
	free(server);
	free(name);
}

/*
 * libxl puts all PCI devices of a domain into its backend number 0. What it leaves
 * there of a domain that was destroyed while xl pci-detach worked on it is nobody's:
 * Xen takes a domain's devices away before xenstored hears of its end.
 */
static void read_owned(struct xs_handle *xs, struct gk_truth *t, const char *id)
{
	static const char at[] = "/local/domain/0/backend/pci";
	char *count, *target;
	long n;

	if (!xs_is_domain_introduced(xs, (unsigned)atoi(id)))
		return;
	count = read_node(xs, "%s/%.16s/0/num_devs", at, id);
	n = count ? strtol(count, NULL, 10) : 0;
	target = n > 0 ? read_node(xs, "/local/domain/%.16s/target", id) : NULL;
	if (target)
		add_stub(t, atoi(id), atoi(target));
	free(target);
	for (long i = 0; i < n && i < GK_TRUTH_OWNED; i++) {
		char *host = read_node(xs, "%s/%.16s/0/dev-%ld", at, id, i);
		char *guest = read_node(xs, "%s/%.16s/0/vdev-%ld", at, id, i);

		if (host)
			add_owner(t, atoi(id), host, guest ? guest : "");
		free(host);
		free(guest);
	}
	free(count);
}

/* "0000-00-14-0": a path in xenstore has no room for ':' and '.'. */
static void read_mark(struct xs_handle *xs, struct gk_truth *t, const char *node)
{
	char *domid = read_node(xs, "/libxl/pci/%.16s/domid", node);
	char bdf[GK_TRUTH_BDF];

	if (domid && strlen(node) == 12) {
		memcpy(bdf, node, 13);
		bdf[4] = bdf[7] = ':';
		bdf[10] = '.';
		add_mark(t, atoi(domid), bdf);
	}
	free(domid);
}

static int each(struct xs_handle *xs, struct gk_truth *t, const char *dir,
		void (*fn)(struct xs_handle *xs, struct gk_truth *t, const char *id))
{
	unsigned n = 0;
	char **ids = xs_directory(xs, XBT_NULL, dir, &n);

	/* There is none as long as nobody has a PCI device. */
	if (!ids)
		return errno == ENOENT ? 0 : GK_ERR_SYSTEM;
	for (unsigned i = 0; i < n; i++)
		fn(xs, t, ids[i]);
	free(ids);
	return 0;
}

static void read_owner(struct xs_handle *xs, struct gk_truth *t, const char *id)
{
	int had = t->owned;
	char guest[16];

	read_owned(xs, t, id);
	if (t->owned == had)
		return;
	snprintf(guest, sizeof(guest), "%d", guest_of(t, atoi(id)));
	read_name(xs, t, guest);
}

static int read_test_store(const char *root, struct gk_truth *t)
{
	char path[GK_PATH_MAX], text[4096];
	int n = snprintf(path, sizeof(path), "%s/xenstore", root);

	if (n < 0 || (size_t)n >= sizeof(path) ||
	    gk_file_read(path, text, sizeof(text)) < 0)
		return GK_ERR_SYSTEM;
	gk_truth_parse(text, t);
	return t->answered ? 0 : GK_ERR_SYSTEM;
}

int gk_truth_read(const char *root, struct gk_truth *t)
{
	static const char owners[] = "/local/domain/0/backend/pci";
	struct xs_handle *xs;
	int err;

	memset(t, 0, sizeof(*t));
	if (root[0])
		return read_test_store(root, t);
	xs = hold();
	if (!xs)
		return GK_ERR_SYSTEM;
	err = each(xs, t, "/local/domain", read_domain);
	if (!err)
		err = each(xs, t, owners, read_owned);
	if (!err)
		err = each(xs, t, "/libxl/pci", read_mark);
	t->answered = !err;
	if (err)
		let_go();
	return err;
}

int gk_truth_owners(const char *root, int domid, struct gk_truth *t)
{
	struct xs_handle *xs;
	char id[16];
	int err;

	memset(t, 0, sizeof(*t));
	if (root[0])
		return read_test_store(root, t);
	xs = hold();
	if (!xs)
		return GK_ERR_SYSTEM;
	err = each(xs, t, "/local/domain/0/backend/pci", read_owner);
	snprintf(id, sizeof(id), "%d", domid);
	if (!err && domid >= 0)
		read_name(xs, t, id);
	t->answered = !err;
	if (err)
		let_go();
	return err;
}

/* --- as text --- */

static int is_one_of(const char (*bdf)[GK_TRUTH_BDF], int n, const char *this)
{
	for (int i = 0; i < n; i++)
		if (strcmp(bdf[i], this) == 0)
			return 1;
	return 0;
}

static int is_about(const struct gk_truth *t, int domid, const char *const *name, int m)
{
	for (int i = 0; i < t->owned; i++)
		if (t->owner[i].domid == domid || guest_of(t, t->owner[i].domid) == domid)
			return 1;
	for (int i = 0; i < t->marks; i++)
		if (t->mark[i].domid == domid)
			return 1;
	for (int i = 0; i < m; i++)
		if (strcmp(gk_truth_name(t, domid), name[i]) == 0)
			return 1;
	return 0;
}

void gk_truth_keep(struct gk_truth *t, const char (*bdf)[GK_TRUTH_BDF], int n,
		   const char *const *name, int m, int domid)
{
	int kept = 0;

	for (int i = 0; i < t->owned; i++)
		if (is_one_of(bdf, n, t->owner[i].bdf))
			t->owner[kept++] = t->owner[i];
	t->owned = kept;
	kept = 0;
	for (int i = 0; i < t->marks; i++)
		if (is_one_of(bdf, n, t->mark[i].bdf))
			t->mark[kept++] = t->mark[i];
	t->marks = kept;
	kept = 0;
	/* The names that are still to be looked at are not overwritten. */
	for (int i = 0; i < t->domains; i++)
		if (t->domain[i].domid == domid ||
		    is_about(t, t->domain[i].domid, name, m))
			t->domain[kept++] = t->domain[i];
	t->domains = kept;
}

__attribute__((format(printf, 3, 4)))
static void add_line(char *buf, size_t cap, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf + len, cap - len, fmt, ap);
	va_end(ap);
}

void gk_truth_text(const struct gk_truth *t, char *buf, size_t cap)
{
	buf[0] = '\0';
	if (t->answered)
		add_line(buf, cap, "answered\n");
	for (int i = 0; i < t->domains; i++)
		add_line(buf, cap, "domain %d %d %s\n", t->domain[i].domid,
			 t->domain[i].agent, t->domain[i].name);
	for (int i = 0; i < t->stubs; i++)
		add_line(buf, cap, "stub %d %d\n", t->stub[i].domid,
			 t->stub[i].target);
	for (int i = 0; i < t->owned; i++)
		add_line(buf, cap, "owns %d %s %s\n", t->owner[i].domid,
			 t->owner[i].bdf, t->owner[i].vdev);
	for (int i = 0; i < t->marks; i++)
		add_line(buf, cap, "marked %d %s\n", t->mark[i].domid, t->mark[i].bdf);
	for (int i = 0; i < t->xens; i++)
		add_line(buf, cap, "xen %d %s\n", t->xen[i].assigned, t->xen[i].bdf);
}

void gk_truth_parse(const char *text, struct gk_truth *t)
{
	memset(t, 0, sizeof(*t));
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[160], name[GK_TRUTH_NAME], bdf[GK_TRUTH_BDF];
		char vdev[GK_TRUTH_BDF] = "";
		int id, agent, target;

		snprintf(line, sizeof(line), "%.*s", (int)(len < 159 ? len : 159), text);
		if (strcmp(line, "answered") == 0)
			t->answered = 1;
		else if (sscanf(line, "domain %d %d %64s", &id, &agent, name) == 3)
			add_domain(t, id, agent != 0, name);
		else if (sscanf(line, "owns %d %15s %15s", &id, bdf, vdev) >= 2)
			add_owner(t, id, bdf, vdev);
		else if (sscanf(line, "marked %d %15s", &id, bdf) == 2)
			add_mark(t, id, bdf);
		else if (sscanf(line, "xen %d %15s", &id, bdf) == 2)
			add_xen(t, id, bdf);
		else if (sscanf(line, "stub %d %d", &id, &target) == 2)
			add_stub(t, id, target);
		text += len;
		if (*text)
			text++;
	}
}

/* --- what it says --- */

int gk_truth_domid(const struct gk_truth *t, const char *name)
{
	for (int i = 0; i < t->domains; i++)
		if (strcmp(t->domain[i].name, name) == 0)
			return t->domain[i].domid;
	return -1;
}

const char *gk_truth_name(const struct gk_truth *t, int domid)
{
	for (int i = 0; i < t->domains; i++)
		if (t->domain[i].domid == domid)
			return t->domain[i].name;
	return "";
}

int gk_truth_agent(const struct gk_truth *t, int domid)
{
	for (int i = 0; i < t->domains; i++)
		if (t->domain[i].domid == domid)
			return t->domain[i].agent;
	return 0;
}

int gk_truth_owner(const struct gk_truth *t, const char *bdf)
{
	int owner = -1;

	for (int i = 0; i < t->owned; i++) {
		int has = guest_of(t, t->owner[i].domid);

		if (strcmp(t->owner[i].bdf, bdf) != 0)
			continue;
		if (owner >= 0 && owner != has)
			return GK_TRUTH_SEVERAL;
		owner = has;
	}
	return owner;
}

int gk_truth_marked(const struct gk_truth *t, const char *bdf)
{
	for (int i = 0; i < t->marks; i++)
		if (strcmp(t->mark[i].bdf, bdf) == 0)
			return t->mark[i].domid;
	return -1;
}

const char *gk_truth_vdev(const struct gk_truth *t, const char *bdf)
{
	for (int i = 0; i < t->owned; i++)
		if (strcmp(t->owner[i].bdf, bdf) == 0)
			return t->owner[i].vdev;
	return "";
}

int gk_truth_assigned(const struct gk_truth *t, const char *bdf)
{
	for (int i = 0; i < t->xens; i++)
		if (strcmp(t->xen[i].bdf, bdf) == 0)
			return t->xen[i].assigned;
	return -1;
}

int gk_truth_disagree(const struct gk_truth *t, const char *bdf)
{
	int assigned = gk_truth_assigned(t, bdf);

	return assigned >= 0 && assigned != (gk_truth_owner(t, bdf) != -1);
}

int gk_truth_presumed(const struct gk_truth *t, const char *bdf, int suspect)
{
	int marked = gk_truth_marked(t, bdf);

	if (marked > 0 && gk_truth_name(t, marked)[0])
		return marked;
	return suspect > 0 && gk_truth_name(t, suspect)[0] ? suspect : -1;
}

static enum gk_ho_owner kind_of(int owner, int gate, int target)
{
	if (owner == -1)
		return GK_HO_NOBODY;
	if (owner == GK_TRUTH_SEVERAL)
		return GK_HO_SEVERAL;
	if (owner == gate)
		return GK_HO_THE_GATE;
	return owner == target ? GK_HO_THE_TARGET : GK_HO_ANOTHER;
}

enum gk_ho_owner gk_truth_of_all(const struct gk_truth *t,
				 const char (*bdf)[GK_TRUTH_BDF], int n, int gate,
				 int target)
{
	enum gk_ho_owner all = GK_HO_NOBODY;

	for (int i = 0; i < n; i++) {
		enum gk_ho_owner one = kind_of(gk_truth_owner(t, bdf[i]), gate, target);

		if ((i > 0 && one != all) || gk_truth_disagree(t, bdf[i]))
			return GK_HO_SEVERAL;
		all = one;
	}
	return all;
}
