/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "handoff/dead.h"
#include "handoff/helper.h"
#include "handoff/leftover.h"
#include "handoff/pci.h"
#include "handoff/run.h"
#include "handoff/steps.h"
#include "handoff/truth.h"
#include "handoff/xen.h"

#define XL_OUT_MAX 32768u	/* `xl list` of 256 domains is 20 KiB */
#define XL_QUERY_MS 10000u	/* xl list, pci-list, pci-assignable-list */
#define POLL_MS 100u
#define FINE_POLL_MS 10u	/* where somebody waits for the keyboard */
#define GONE_MS 5000u		/* from the end of a pci-detach to pciback's */
#define VDEV_MS 3000u		/* from that of a pci-attach to the guest's slot */

/*
 * As the gate has had them, if not asked otherwise. permissive=0: the guest writes to
 * configuration space only what pciback knows to be safe. rdm_policy: with "strict", a
 * machine whose firmware claims memory for its USB controllers would fail here, after
 * the gate has gone.
 */
#define PCI_OPTIONS ",permissive=%d,rdm_policy=relaxed"

struct handoff {
	const char *root;
	const struct gk_handoff_opts *opts;
	const struct gk_handoff_told *told;
	char *why;
	size_t why_len;
	uint64_t since;		/* when the step began */
	uint64_t part_since;	/* and a part of it */
	int helper;		/* socket, 0: none, or it has gone */
	int helper_stuck;	/* it may still be at it */
	struct gk_pci_usb usb[GK_PCI_MAX];
	size_t n;
	char out[XL_OUT_MAX];	/* of the last xl */
	struct gk_truth truth;
};

/* Puts the reason down and hands the error through. */
__attribute__((format(printf, 3, 4)))
static int fail(struct handoff *h, int err, const char *fmt, ...)
{
	va_list ap;
	size_t i;

	if (h->why_len == 0)
		return err;
	va_start(ap, fmt);
	(void)vsnprintf(h->why, h->why_len, fmt, ap);
	va_end(ap);
	for (i = 0; h->why[i] != '\0'; i++)
		if (h->why[i] < ' ' || h->why[i] > '~')
			h->why[i] = '?';
	return err;
}

__attribute__((format(printf, 3, 4)))
static void done(struct handoff *h, const char *step, const char *fmt, ...)
{
	char what[256], detail[300];
	uint64_t now = gk_run_now_ms();
	va_list ap;

	if (h->told != NULL && h->told->fn != NULL) {
		va_start(ap, fmt);
		(void)vsnprintf(what, sizeof(what), fmt, ap);
		va_end(ap);
		(void)snprintf(detail, sizeof(detail), "%s%s%llu ms", what,
			       what[0] == '\0' ? "" : " ",
			       (unsigned long long)(now - h->since));
		h->told->fn(h->told->ctx, step, detail);
	}
	h->since = h->part_since = gk_run_now_ms();
}

/* Of what done() tells next, for who wants to know where the time goes. */
static void took(struct handoff *h, const char *part)
{
	uint64_t now = gk_run_now_ms();
	char detail[128];

	(void)snprintf(detail, sizeof(detail), "%s %llu ms", part,
		       (unsigned long long)(now - h->part_since));
	if (h->told != NULL && h->told->fn != NULL)
		h->told->fn(h->told->ctx, "took", detail);
	h->part_since = gk_run_now_ms();
}

/* What is no work and has no time. */
static void tell(struct handoff *h, const char *step, const char *detail)
{
	if (h->told != NULL && h->told->fn != NULL)
		h->told->fn(h->told->ctx, step, detail);
}

static int check_opts(struct handoff *h)
{
	const struct gk_handoff_opts *o = h->opts;
	struct stat st;

	if (!gk_name_valid(o->gate_domain))
		return fail(h, GK_ERR_VALUE,
			    "the name of the gate domain is missing or not valid");
	if (o->to_config == NULL && o->to_domid <= 0)
		return 0;
	if (!gk_name_valid(o->to_name))
		return fail(h, GK_ERR_VALUE,
			    "the name of the domain that gets the controllers is "
			    "missing or not valid");
	if (strcmp(o->to_name, o->gate_domain) == 0 ||
	    strcmp(o->to_name, "Domain-0") == 0)
		return fail(h, GK_ERR_VALUE,
			    "%s cannot be the domain that gets the controllers",
			    o->to_name);
	if (o->to_config == NULL)
		return 0;
	if (o->to_config[0] != '/' || strlen(o->to_config) >= PATH_MAX)
		return fail(h, GK_ERR_VALUE,
			    "the configuration of %s must be named by its absolute "
			    "path", o->to_name);
	if (stat(o->to_config, &st) < 0)
		return fail(h, GK_ERR_NOT_FOUND, "%.300s: %s", o->to_config,
			    strerror(errno));
	if (!S_ISREG(st.st_mode) || access(o->to_config, R_OK) < 0)
		return fail(h, GK_ERR_NOT_FOUND, "%.300s: not a readable file",
			    o->to_config);
	return 0;
}

/* Fills h->usb with the controllers that this handover is about. */
static int survey(struct handoff *h)
{
	char which[GK_PCI_NAME_LEN];
	size_t i, kept = 0, all = 0;
	int ret;

	h->n = 0;
	ret = gk_pci_usb_list(h->root, h->usb, &all, which);
	if (ret == GK_ERR_LIMIT)
		return fail(h, ret, "more than %d USB controllers", GK_PCI_MAX);
	if (ret != 0)
		return fail(h, ret, "the USB controller%s%s cannot be read from sysfs",
			    which[0] == '\0' ? "s" : " ", which);
	for (i = 0; i < all; i++) {
		struct gk_pci_usb *u = &h->usb[i];
		int back = strcmp(u->driver, GK_PCI_BACK) == 0;

		if (!back && gk_pci_left_to_dom0(h->root, &u->bdf))
			continue;
		if (!back)
			return fail(h, GK_ERR_ORDER,
				    "USB controller %s does not belong to pciback "
				    "(its driver: %s)", u->name,
				    u->driver[0] == '\0' ? "none" : u->driver);
		if (u->override[0] != '\0' && strcmp(u->override, GK_PCI_BACK) != 0)
			return fail(h, GK_ERR_ORDER,
				    "USB controller %s is meant for the driver %s "
				    "(driver_override), not for pciback", u->name,
				    u->override);
		h->usb[kept++] = *u;
	}
	h->n = kept;
	if (kept == 0)
		return fail(h, GK_ERR_NOT_FOUND, "no USB controller to hand over");
	if (h->opts->no_strict_reset)
		return 0;
	for (i = 0; i < kept; i++)
		if (h->usb[i].reset[0] == '\0')
			return fail(h, GK_ERR_VALUE,
				    "USB controller %s has no reset method, so what "
				    "was done to it would go along to the next "
				    "domain; to hand it over all the same, and have "
				    "it count as tainted until power-off: "
				    "--no-strict-reset", h->usb[i].name);
	return 0;
}

/* The controllers that the check has found, as they are now. On the way back one may be
 * gone, of a dock that was unplugged: nobody has that, and the others are wanted. */
static int named(struct handoff *h, int may_be_gone)
{
	size_t i;
	int ret;

	if (h->opts->n == 0)
		return survey(h);
	h->n = 0;
	for (i = 0; i < h->opts->n; i++) {
		struct gk_pci_usb *u = &h->usb[h->n];

		memcpy(u->name, h->opts->bdf[i], sizeof(u->name));
		ret = gk_pci_bdf_parse(u->name, &u->bdf);
		if (ret == 0)
			ret = gk_pci_usb_reread(h->root, u);
		if (ret == GK_ERR_NOT_FOUND && may_be_gone) {
			done(h, "gone", "%s", u->name);
			continue;
		}
		if (ret != 0)
			return fail(h, ret, "USB controller %s cannot be read from "
				    "sysfs", u->name);
		h->n++;
	}
	return h->n > 0 ? 0 : fail(h, GK_ERR_NOT_FOUND, "no USB controller is left");
}

static void resets_on(const char *root, const char *bdf)
{
	if (gk_pci_resets_on(root, bdf) != 0)
		syslog(LOG_DAEMON | LOG_WARNING, "reset_method of USB controller %s "
		       "cannot be put back: %s", bdf, strerror(errno));
}

void gk_handoff_resets_on(const char *root, const struct gk_handoff_opts *o)
{
	size_t i;

	for (i = 0; i < o->n; i++)
		resets_on(root, o->bdf[i]);
}

/*
 * libxl resets at the end of a pci-detach and before an attach, and pciback when it
 * gets one back. None of them is checked, and together they are most of the time in
 * which no key can come. Between the two the one of reset_all is done and checked.
 */
static void resets_off(struct handoff *h)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (gk_pci_resets_off(h->root, &h->usb[i]) != 0)
			syslog(LOG_DAEMON | LOG_INFO, "USB controller %s is reset by "
			       "others, too", h->usb[i].name);
}

/* That pciback still has every one of them, and dom0 could not get it. */
static int check_held(struct handoff *h, const char *when)
{
	size_t i;
	int ret;

	for (i = 0; i < h->n; i++) {
		struct gk_pci_usb *u = &h->usb[i];

		ret = gk_pci_usb_reread(h->root, u);
		if (ret != 0)
			return fail(h, ret, "USB controller %s cannot be read %s",
				    u->name, when);
		if (!gk_pci_held(u))
			return fail(h, GK_ERR_ORDER,
				    "USB controller %s is not held by pciback %s "
				    "(driver: %s, driver_override: %s)", u->name, when,
				    u->driver[0] == '\0' ? "none" : u->driver,
				    u->override[0] == '\0' ? "none" : u->override);
	}
	return 0;
}

static int pin(struct handoff *h)
{
	size_t i;
	int ret;

	for (i = 0; i < h->n; i++) {
		struct gk_pci_usb *u = &h->usb[i];

		if (u->override[0] != '\0')
			continue;
		ret = gk_pci_override_set(h->root, u);
		if (ret != 0)
			return fail(h, ret,
				    "driver_override of USB controller %s cannot be "
				    "set to pciback: %s", u->name,
				    ret == GK_ERR_SYSTEM ? strerror(errno)
							 : gk_strerror(ret));
	}
	return check_held(h, "before the handover");
}

/* Run xl; its output is in h->out. A failure is put into why. */
static int xl(struct handoff *h, const char *const argv[], unsigned int timeout_ms)
{
	char line[200];
	int ret;

	ret = gk_run(argv, timeout_ms, h->out, sizeof(h->out));
	if (ret == 0)
		return 0;
	gk_run_last_line(h->out, line, sizeof(line));
	if (ret == GK_ERR_TIMEOUT)
		return fail(h, ret, "xl %s: not done after %u s%s%s", argv[1],
			    timeout_ms / 1000u, line[0] == '\0' ? "" : ": ", line);
	if (ret < 0)
		return fail(h, ret, "xl %s cannot be run: %s", argv[1],
			    strerror(errno));
	return fail(h, GK_ERR_SYSTEM, "xl %s failed (%d)%s%s", argv[1], ret,
		    line[0] == '\0' ? "" : ": ", line);
}

/* Whether a line of h->out has `word` as its field number `field` (from 0). */
static int out_has(const struct handoff *h, const char *word, unsigned int field)
{
	const char *s = h->out;
	size_t len = strlen(word), n;
	unsigned int f;

	while (*s != '\0') {
		for (f = 0; f <= field; f++) {
			s += strspn(s, " \t");
			n = strcspn(s, " \t\n");
			if (f == field && n == len && strncmp(s, word, n) == 0)
				return 1;
			s += n;
		}
		s += strcspn(s, "\n");
		s += strspn(s, "\n");
	}
	return 0;
}

/* 1, 0, or an error when the toolstack does not answer. */
static int domain_exists(struct handoff *h, const char *name)
{
	const char *const argv[] = { "xl", "list", NULL };
	int ret = xl(h, argv, XL_QUERY_MS);

	return ret != 0 ? ret : out_has(h, name, 0);
}

/*
 * Whether `name` has gone and libxl would give away each controller again. That
 * is exactly what a later create asks: bound to pciback, and no domain noted for
 * it in xenstore.
 */
static int released(struct handoff *h, const char *name)
{
	const char *const argv[] = { "xl", "pci-assignable-list", NULL };
	size_t i;
	int ret;

	ret = domain_exists(h, name);
	if (ret < 0)
		return ret;
	if (ret == 1)
		return fail(h, GK_ERR_TIMEOUT,
			    "domain %s is still there after it was destroyed", name);
	ret = xl(h, argv, XL_QUERY_MS);
	if (ret != 0)
		return ret;
	for (i = 0; i < h->n; i++)
		if (!out_has(h, h->usb[i].name, 0))
			return fail(h, GK_ERR_TIMEOUT,
				    "USB controller %s did not come back from %s to "
				    "pciback", h->usb[i].name, name);
	return 0;
}

/* A query that fails while domains come and go is worth another. */
static int poll_until(struct handoff *h, int (*holds)(struct handoff *h,
						      const char *name),
		      const char *name, unsigned int timeout_ms)
{
	uint64_t deadline = gk_run_now_ms() + timeout_ms;
	int ret;

	for (;;) {
		ret = holds(h, name);
		if (ret == 0 || gk_run_now_ms() >= deadline)
			break;
		gk_run_sleep_ms(POLL_MS);
	}
	if (ret == 0 && h->why_len > 0)
		h->why[0] = '\0';
	return ret;
}

static int wait_released(struct handoff *h, const char *name)
{
	return poll_until(h, released, name, GK_HANDOFF_RELEASE_MS);
}

/* Destroy a domain; one that is not there is destroyed already. */
static int destroy(struct handoff *h, const char *name)
{
	const char *const argv[] = { "xl", "destroy", name, NULL };
	char why[GK_HANDOFF_WHY_MAX] = "";
	int ret, there;

	there = domain_exists(h, name);
	if (there <= 0)
		return there;
	ret = xl(h, argv, GK_HANDOFF_DESTROY_MS);
	if (ret == 0)
		return 0;
	if (h->why_len > 0)
		(void)snprintf(why, sizeof(why), "%s", h->why);
	/* It may have ended by itself in between, or only xl's last step has
	 * failed: what counts is whether it is there. */
	there = domain_exists(h, name);
	if (there == 0)
		return 0;
	return fail(h, ret, "%s", why);
}

/*
 * One line per controller that is given away unclean: "BDF TIME REASON". The
 * file is on a tmpfs, so it lives until the machine goes off, as does the taint.
 */
static int taint(struct handoff *h, const char *bdf, const char *reason)
{
	char path[PATH_MAX], line[256], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int fd, n, ret = 0;

	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return fail(h, GK_ERR_SYSTEM, "the time cannot be told");
	n = snprintf(line, sizeof(line), "%s %s %s\n", bdf, when, reason);
	if (n < 0 || (size_t)n >= sizeof(line))
		return fail(h, GK_ERR_LENGTH, "too long a reason");
	n = snprintf(path, sizeof(path), "%s" GK_HANDOFF_TAINTED, h->root);
	if (n < 0 || (size_t)n >= sizeof(path))
		return fail(h, GK_ERR_LENGTH, "too long a path");
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		ret = fail(h, GK_ERR_SYSTEM,
			   "USB controller %s cannot be written down as tainted in "
			   GK_HANDOFF_TAINTED ": %s", bdf, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	syslog(LOG_DAEMON | LOG_WARNING,
	       "USB controller %s is handed over without a reset (%s); it counts as "
	       "tainted until power-off", bdf, reason);
	return ret;
}

struct reset_one {
	const char *root;
	const struct gk_pci_usb *usb;
	char method[GK_PCI_NAME_LEN], why[128];
	int ret;
};

static void *reset_thread(void *arg)
{
	struct reset_one *r = arg;

	r->ret = gk_pci_reset(r->root, r->usb, GK_HANDOFF_RESET_MS, r->method, r->why,
			      sizeof(r->why));
	return NULL;
}

/* Each with a thread that waits for it: a bus reset sleeps for a second. */
static void reset_together(struct handoff *h, struct reset_one r[GK_PCI_MAX])
{
	int started[GK_PCI_MAX] = { 0 };
	pthread_t thread[GK_PCI_MAX];
	size_t i;

	for (i = 0; i < h->n; i++) {
		r[i] = (struct reset_one){ .root = h->root, .usb = &h->usb[i] };
		started[i] = i > 0 && pthread_create(&thread[i], NULL, reset_thread,
						     &r[i]) == 0;
	}
	for (i = 0; i < h->n; i++)
		if (!started[i])
			(void)reset_thread(&r[i]);
	for (i = 0; i < h->n; i++)
		if (started[i])
			(void)pthread_join(thread[i], NULL);
}

static int reset_all(struct handoff *h)
{
	struct reset_one r[GK_PCI_MAX];
	size_t i;
	int ret;

	reset_together(h, r);
	for (i = 0; i < h->n; i++) {
		struct gk_pci_usb *u = &h->usb[i];

		if (r[i].ret == 0) {
			syslog(LOG_DAEMON | LOG_INFO,
			       "USB controller %s was reset (%s)", u->name, r[i].method);
			done(h, "reset", "%s %s", u->name, r[i].method);
			continue;
		}
		/* One that may still be at it must not get a new owner. */
		if (!h->opts->no_strict_reset || r[i].ret == GK_ERR_TIMEOUT)
			return fail(h, r[i].ret,
				    "USB controller %s could not be reset (%s): %s",
				    u->name, r[i].method[0] == '\0' ? "none" :
				    r[i].method, r[i].why);
		/* Whatever others can do for it is welcome. */
		resets_on(h->root, u->name);
		ret = taint(h, u->name, r[i].ret == GK_ERR_NOT_FOUND ?
			    "no-reset-method" : "reset-failed");
		if (ret != 0)
			return ret;
		done(h, "tainted", "%s", u->name);
	}
	return check_held(h, "after the reset");
}

/* --- who has them --- */

static int look(struct handoff *h)
{
	int to = h->opts->to_domid > 0 ? h->opts->to_domid : -1;
	int ret = gk_truth_owners(h->root, to, &h->truth);

	return ret == 0 ? 0 : fail(h, ret, "xenstore does not answer");
}

/* The same with libxl's marks, and every domain that one may be of. */
static int look_at_all(struct handoff *h)
{
	int ret = gk_truth_read(h->root, &h->truth);

	return ret == 0 ? 0 : fail(h, ret, "xenstore does not answer");
}

/* Whether every controller is `owner`'s, -1: nobody's. */
static int all_are(struct handoff *h, int owner)
{
	size_t i;
	int ret = look(h);

	if (ret != 0)
		return ret;
	for (i = 0; i < h->n; i++) {
		int has = gk_truth_owner(&h->truth, h->usb[i].name);

		if (has == -1 && gk_xen_assigned(h->root, h->usb[i].name) == 1)
			return fail(h, GK_ERR_ORDER, "USB controller %s is a domain's by "
				    "Xen, and nobody's by xenstore", h->usb[i].name);
		if (has == owner)
			continue;
		if (has == -1)
			return fail(h, GK_ERR_ORDER, "nobody has USB controller %s",
				    h->usb[i].name);
		return fail(h, GK_ERR_ORDER, "%s%s has USB controller %s",
			    has == GK_TRUTH_SEVERAL ? "more than one domain" : "domain ",
			    has == GK_TRUTH_SEVERAL ? "" :
			    gk_truth_name(&h->truth, has), h->usb[i].name);
	}
	return 0;
}

static int wait_all_are(struct handoff *h, int owner, unsigned int timeout_ms)
{
	uint64_t deadline = gk_run_now_ms() + timeout_ms;
	int ret;

	for (;;) {
		ret = all_are(h, owner);
		if (ret == 0 || gk_run_now_ms() >= deadline)
			break;
		gk_run_sleep_ms(FINE_POLL_MS);
	}
	if (ret == 0 && h->why_len > 0)
		h->why[0] = '\0';
	return ret;
}

static unsigned int left_of(uint64_t deadline)
{
	uint64_t now = gk_run_now_ms();

	return now >= deadline ? 1 : (unsigned int)(deadline - now);
}

/* --- gatekeeper-pci --- */

/* As xl(); GK_ERR_CLOSED: there is none, or no more, and xl is to do it. Its order may
 * have been begun. */
static int helper(struct handoff *h, enum gk_order_what what, int domid,
		  const char *bdf, unsigned int timeout_ms)
{
	struct gk_order o = { .ms = timeout_ms, .what = what, .domid = (uint32_t)domid };
	char line[GK_ANSWER_MAX] = "", part[64];
	int ret;

	if (h->helper <= 0)
		return GK_ERR_CLOSED;
	(void)snprintf(o.bdf, sizeof(o.bdf), "%s", bdf);
	ret = gk_helper_ask(h->helper, &o, line, sizeof(line));
	(void)snprintf(part, sizeof(part), "gatekeeper-pci %s", gk_order_name(what));
	took(h, part);
	switch (ret) {
	case 0:
		return 0;
	case GK_ERR_SYSTEM:
		return fail(h, ret, "%s failed: %s", part, line);
	case GK_ERR_TIMEOUT:
		h->helper = 0;
		return fail(h, ret, "%s: not done after %u s", part, timeout_ms / 1000u);
	case GK_ERR_ORDER:
		h->helper = 0;
		h->helper_stuck = 1;
		return fail(h, GK_ERR_TIMEOUT, "%s: no answer that makes sense", part);
	default:
		h->helper = 0;
		syslog(LOG_DAEMON | LOG_NOTICE, "gatekeeper-pci has gone");
		return GK_ERR_CLOSED;
	}
}

/* By gatekeeper-pci, whose orders are not permissive; else, if it has not come so far as
 * to make it so, by xl. */
static int move(struct handoff *h, enum gk_order_what what, int domid,
		const struct gk_pci_usb *u, int owner_then, const char *const argv[],
		uint64_t deadline)
{
	int asked = h->helper > 0 && !(what == GK_ORDER_ATTACH && h->opts->permissive);
	int ret = asked ? helper(h, what, domid, u->name, left_of(deadline)) :
			  GK_ERR_CLOSED;

	if (ret != GK_ERR_CLOSED)
		return ret;
	if (asked) {
		ret = look(h);
		if (ret != 0 || gk_truth_owner(&h->truth, u->name) == owner_then)
			return ret;
	}
	ret = xl(h, argv, left_of(deadline));
	took(h, "xl");
	return ret;
}

/* Out of the domain with this id, all of them that it has. */
static int detach(struct handoff *h, int domid, int force, unsigned int timeout_ms)
{
	uint64_t deadline = gk_run_now_ms() + timeout_ms;
	const char *argv[6] = { "xl", "pci-detach" };
	char id[16];
	size_t i, n = 2;
	int ret;

	(void)snprintf(id, sizeof(id), "%d", domid);
	if (force)
		argv[n++] = "-f";
	argv[n++] = id;
	for (i = 0; i < h->n; i++) {
		if (gk_truth_owner(&h->truth, h->usb[i].name) != domid)
			continue;
		argv[n] = h->usb[i].name;
		ret = force ? xl(h, argv, left_of(deadline)) :
			      move(h, GK_ORDER_DETACH, domid, &h->usb[i], -1, argv,
				   deadline);
		if (ret != 0)
			return ret;
		done(h, "detached", "%s from domain %d%s", h->usb[i].name, domid,
		     force ? ", by force" : "");
	}
	return 0;
}

static int create(struct handoff *h)
{
	char name[GK_NAME_MAX + sizeof("name=\"\"")];
	char pci[sizeof("pci=[]") + GK_PCI_MAX * (GK_PCI_BDF_LEN +
		 sizeof("\"\"" PCI_OPTIONS))] = "pci=[";
	/* -f: the file's name could be taken for a setting if it had a `='.
	 * Settings after it win over the file's own (xl(1), create). */
	const char *const argv[] = { "xl", "create", "-f", h->opts->to_config, name,
				     pci, NULL };
	size_t used = strlen(pci), i;

	(void)snprintf(name, sizeof(name), "name=\"%s\"", h->opts->to_name);
	for (i = 0; i < h->n; i++) {
		(void)snprintf(pci + used, sizeof(pci) - used,
			       "%s\"%s" PCI_OPTIONS "\"", i == 0 ? "" : ",",
			       h->usb[i].name, h->opts->permissive != 0);
		used += strlen(pci + used);
	}
	(void)snprintf(pci + used, sizeof(pci) - used, "]");
	return xl(h, argv, GK_HANDOFF_CREATE_MS);
}

static int assigned(struct handoff *h, const char *name)
{
	const char *const argv[] = { "xl", "pci-list", name, NULL };
	size_t i;
	int ret;

	ret = xl(h, argv, XL_QUERY_MS);
	if (ret != 0)
		return ret;
	for (i = 0; i < h->n; i++)
		if (!out_has(h, h->usb[i].name, 1))
			return fail(h, GK_ERR_TIMEOUT,
				    "domain %s does not have USB controller %s", name,
				    h->usb[i].name);
	return 0;
}

static int start_target(struct handoff *h)
{
	int ret;

	ret = create(h);
	if (ret != 0)
		return ret;
	done(h, "created", "%s", h->opts->to_name);
	ret = poll_until(h, assigned, h->opts->to_name, GK_HANDOFF_VERIFY_MS);
	if (ret == 0)
		ret = check_held(h, "after it was given away");
	if (ret == 0 && gk_truth_read(h->root, &h->truth) == 0) {
		char id[16];

		(void)snprintf(id, sizeof(id), "%d",
			       gk_truth_domid(&h->truth, h->opts->to_name));
		tell(h, "target", id);
	}
	return ret;
}

/* Where the guest sees each: pciback writes that when the guest's side answers. */
static void tell_vdevs(struct handoff *h)
{
	uint64_t deadline = gk_run_now_ms() + VDEV_MS;
	char text[2 * GK_TRUTH_BDF + 2];
	int told[GK_PCI_MAX] = { 0 };
	size_t i, left = h->n;

	while (left > 0 && gk_run_now_ms() < deadline) {
		for (i = 0; i < h->n; i++) {
			const char *vdev = gk_truth_vdev(&h->truth, h->usb[i].name);

			if (told[i] || vdev[0] == '\0')
				continue;
			told[i] = 1;
			left--;
			(void)snprintf(text, sizeof(text), "%s %s", vdev,
				       h->usb[i].name);
			tell(h, "vdev", text);
		}
		if (left == 0)
			break;
		gk_run_sleep_ms(FINE_POLL_MS);
		if (look(h) != 0)
			break;
	}
}

static int attach(struct handoff *h)
{
	uint64_t deadline = gk_run_now_ms() + GK_HANDOFF_ATTACH_MS;
	char device[GK_PCI_BDF_LEN + sizeof(PCI_OPTIONS)], id[16];
	const char *const argv[] = { "xl", "pci-attach", id, device, NULL };
	size_t i;
	int ret;

	if (strcmp(gk_truth_name(&h->truth, h->opts->to_domid), h->opts->to_name) != 0)
		return fail(h, GK_ERR_ORDER, "domain %s (%d) has gone",
			    h->opts->to_name, h->opts->to_domid);
	(void)snprintf(id, sizeof(id), "%d", h->opts->to_domid);
	for (i = 0; i < h->n; i++) {
		(void)snprintf(device, sizeof(device), "%s" PCI_OPTIONS,
			       h->usb[i].name, h->opts->permissive != 0);
		ret = move(h, GK_ORDER_ATTACH, h->opts->to_domid, &h->usb[i],
			   h->opts->to_domid, argv, deadline);
		if (ret != 0)
			return ret;
		done(h, "attached", "%s to %s", h->usb[i].name, h->opts->to_name);
	}
	ret = wait_all_are(h, h->opts->to_domid, GK_HANDOFF_VERIFY_MS);
	if (ret == 0)
		ret = check_held(h, "after it was given away");
	took(h, "verified");
	if (ret == 0)
		tell_vdevs(h);
	return ret;
}

/* --- the steps --- */

static int check(struct handoff *h)
{
	const char *const argv[] = { "xl", "pci-assignable-list", NULL };
	const struct gk_handoff_opts *o = h->opts;
	int ret = check_opts(h);
	size_t i;

	if (ret == 0)
		ret = survey(h);
	if (ret != 0)
		return ret;
	/* Before anything is changed: a domain of that name is not ours to
	 * destroy if a later step fails. */
	if (o->to_domid <= 0 && o->to_config != NULL) {
		ret = domain_exists(h, o->to_name);
		if (ret < 0)
			return ret;
		if (ret == 1)
			return fail(h, GK_ERR_ORDER, "domain %s is running already",
				    o->to_name);
	}
	/* A toolstack that does not answer is found now, while the gate works. And
	 * xl is in memory when somebody waits for the keyboard: reading it from the
	 * disk took 0.4 s of the first handoff. */
	if (o->to_domid > 0) {
		ret = xl(h, argv, XL_QUERY_MS);
		if (ret != 0)
			return ret;
	}
	for (i = 0; i < h->n; i++) {
		resets_on(h->root, h->usb[i].name);
		tell(h, "controller", h->usb[i].name);
	}
	return 0;
}

static int destroy_gate(struct handoff *h)
{
	int ret = destroy(h, h->opts->gate_domain);

	if (ret != 0)
		return ret;
	done(h, "destroyed", "%s", h->opts->gate_domain);
	return wait_released(h, h->opts->gate_domain);
}

struct pause {
	char id[16], out[256];
	int ret;
};

static void *pause_thread(void *arg)
{
	struct pause *p = arg;
	const char *const argv[] = { "xl", "pause", p->id, NULL };

	p->ret = gk_run(argv, GK_HANDOFF_PAUSE_MS, p->out, sizeof(p->out));
	return NULL;
}

/*
 * A PV guest keeps what it has mapped when it loses a device: one that was taken over
 * could go on writing to the controller's registers, until it is destroyed after the
 * handoff. So it runs no more from here on, before the reset. In a thread, while
 * pciback's last word is waited for.
 */
static int pause_and_wait(struct handoff *h)
{
	struct pause p = { .ret = GK_ERR_SYSTEM };
	pthread_t thread;
	char line[128];
	int started, ret;

	ret = helper(h, GK_ORDER_PAUSE, h->opts->gate_domid, "", GK_HANDOFF_PAUSE_MS);
	if (ret == 0)
		ret = wait_all_are(h, -1, GONE_MS);
	if (ret == 0)
		done(h, "paused", "%s", h->opts->gate_domain);
	if (ret != GK_ERR_CLOSED)
		return ret;
	(void)snprintf(p.id, sizeof(p.id), "%d", h->opts->gate_domid);
	started = pthread_create(&thread, NULL, pause_thread, &p) == 0;
	if (!started)
		(void)pause_thread(&p);
	ret = wait_all_are(h, -1, GONE_MS);
	if (started)
		(void)pthread_join(thread, NULL);
	if (ret != 0)
		return ret;
	gk_run_last_line(p.out, line, sizeof(line));
	if (p.ret != 0)
		return fail(h, p.ret < 0 ? p.ret : GK_ERR_SYSTEM,
			    "xl pause of the gate failed (%d)%s%s", p.ret,
			    line[0] == '\0' ? "" : ": ", line);
	done(h, "paused", "%s", h->opts->gate_domain);
	return 0;
}

static int detach_from_gate(struct handoff *h)
{
	int ret = look(h);

	took(h, "looked");
	if (ret == 0 && h->opts->to_domid > 0)
		resets_off(h);
	took(h, "resets off");
	if (ret == 0)
		ret = detach(h, h->opts->gate_domid, 0, GK_HANDOFF_DETACH_MS);
	return ret == 0 ? pause_and_wait(h) : ret;
}

static int release(struct handoff *h)
{
	int ret, gentle = h->opts->gate_domid > 0 && !h->opts->hard;

	ret = named(h, 0);
	if (ret == 0)
		ret = pin(h);
	took(h, "checked");
	if (ret != 0)
		return ret;
	ret = gentle ? detach_from_gate(h) : destroy_gate(h);
	/* Nothing is done beside one that may still be at it. */
	if (ret != 0 && gentle && !h->helper_stuck) {
		syslog(LOG_DAEMON | LOG_WARNING, "%s; the gate is destroyed",
		       h->why_len > 0 ? h->why : "detaching failed");
		ret = destroy_gate(h);
	}
	if (ret == 0)
		ret = check_held(h, "after the gate has let go");
	if (ret == 0)
		done(h, "released", "%zu controller%s", h->n, h->n == 1 ? "" : "s");
	return ret;
}

static int reset(struct handoff *h)
{
	int ret = named(h, 1);

	/* A gate that was destroyed was waited for with xl, but not its nodes. */
	if (ret == 0)
		ret = h->opts->gate_domid > 0 ? all_are(h, -1) :
						wait_all_are(h, -1, GK_HANDOFF_RELEASE_MS);
	return ret == 0 ? reset_all(h) : ret;
}

static int assign(struct handoff *h)
{
	int ret = named(h, 0);

	if (ret != 0)
		return ret;
	if (h->opts->to_domid > 0) {
		ret = all_are(h, -1);
		took(h, "looked");
		if (ret == 0)
			ret = attach(h);
		gk_handoff_resets_on(h->root, h->opts);
	} else {
		ret = start_target(h);
	}
	if (ret == 0)
		done(h, "assigned", "%zu controller%s to %s", h->n,
		     h->n == 1 ? "" : "s", h->opts->to_name);
	return ret;
}

/* Whether this domain is one of those that a handoff is about. */
static int is_ours(const struct handoff *h, int domid)
{
	const struct gk_handoff_opts *o = h->opts;
	const char *name = gk_truth_name(&h->truth, domid);

	return domid == o->to_domid || strcmp(name, o->gate_domain) == 0 ||
	       (o->to_name != NULL && strcmp(name, o->to_name) == 0);
}

static int end_domain(struct handoff *h, int domid)
{
	char id[16];
	const char *const argv[] = { "xl", "destroy", id, NULL };
	int ret;

	(void)snprintf(id, sizeof(id), "%d", domid);
	ret = xl(h, argv, GK_HANDOFF_DESTROY_MS);
	/* It may have gone by itself, which is as good; the owner tells. */
	if (ret == 0)
		done(h, "destroyed", "domain %d", domid);
	return ret;
}

/* How many it still has; xl comes back before the last node has gone. */
static int still_has(struct handoff *h, int domid, unsigned int patience_ms)
{
	uint64_t deadline = gk_run_now_ms() + patience_ms;

	for (;;) {
		size_t i;
		int has = 0, ret = look(h);

		if (ret != 0)
			return ret;
		for (i = 0; i < h->n; i++)
			has += gk_truth_owner(&h->truth, h->usb[i].name) == domid;
		if (has == 0 || gk_run_now_ms() >= deadline)
			return has;
		gk_run_sleep_ms(FINE_POLL_MS);
	}
}

/*
 * A dead domain answers no pci-detach. Whoever created it may be at its end already,
 * so that our xl fails; what counts is that it has them no more.
 */
static int take_from_dead(struct handoff *h, int domid)
{
	int ret = end_domain(h, domid);
	int has = still_has(h, domid, GK_HANDOFF_RELEASE_MS);

	if (has <= 0)
		return has;
	return ret != 0 ? ret : fail(h, GK_ERR_ORDER, "domain %d is dead and does not "
				     "give them back", domid);
}

static int is_dead(const struct handoff *h, int domid)
{
	if (h->opts->let_go)
		return 0;
	return h->opts->dead || gk_dead_ask(domid) == 1;
}

/*
 * By each means in turn, until it has none any more. Force passes over an answer that
 * says no; for one that does not come libxl waits as long with it (10 s, for the PCI
 * frontend of a PV guest), so then it is left out.
 */
static int take_from(struct handoff *h, int domid)
{
	unsigned int first_ms = h->opts->hung ? GK_HANDOFF_HUNG_MS :
						GK_HANDOFF_DETACH_MS;
	int gate = strcmp(gk_truth_name(&h->truth, domid), h->opts->gate_domain) == 0;
	int means, ret = GK_ERR_SYSTEM;

	if (!gate && is_dead(h, domid))
		return take_from_dead(h, domid);
	for (means = gate || h->opts->destroy_target ? 2 : 0; means < 3; means++) {
		uint64_t begin = gk_run_now_ms();
		int has;

		ret = means == 2 ? end_domain(h, domid) :
		      detach(h, domid, means == 1, means == 1 ? GK_HANDOFF_FORCE_MS :
			     first_ms);
		has = still_has(h, domid, ret == 0 ? GONE_MS : 0);
		if (has <= 0)
			return has;
		if (means == 0 && (ret == GK_ERR_TIMEOUT ||
				   gk_run_now_ms() - begin >= GK_HANDOFF_FORCE_MS))
			means = 1;
	}
	return ret != 0 ? ret : fail(h, GK_ERR_ORDER, "domain %d does not give them "
				     "back", domid);
}

/*
 * What an xl that was killed has left: nobody has them, and libxl would refuse them
 * to the gate. The mark of a domain that runs and is none of ours may be that of an
 * attach that goes on.
 */
static int unmark(struct handoff *h)
{
	size_t i;
	int ret = look_at_all(h);

	for (i = 0; ret == 0 && i < h->n; i++) {
		int has = gk_truth_marked(&h->truth, h->usb[i].name);

		if (has == -1)
			continue;
		if (gk_truth_name(&h->truth, has)[0] != '\0' && !is_ours(h, has))
			return fail(h, GK_ERR_ORDER, "domain %s (%d) is being given USB "
				    "controller %s, and not from here",
				    gk_truth_name(&h->truth, has), has,
				    h->usb[i].name);
		ret = gk_leftover_unmark(h->root, h->usb[i].name, has);
		if (ret != 0)
			return fail(h, ret, "libxl's mark of USB controller %s cannot "
				    "be removed from xenstore", h->usb[i].name);
		syslog(LOG_DAEMON | LOG_NOTICE, "USB controller %s was marked in "
		       "xenstore as domain %d's, which does not have it",
		       h->usb[i].name, has);
	}
	return ret;
}

/* And what it has left of domains that are gone. Nothing depends on it. */
static void sweep(struct handoff *h)
{
	char bdf[GK_PCI_MAX][GK_TRUTH_BDF];
	int removed;

	for (size_t i = 0; i < h->n; i++)
		(void)snprintf(bdf[i], sizeof(bdf[i]), "%s", h->usb[i].name);
	removed = gk_leftover_sweep(h->root, (const char (*)[GK_TRUTH_BDF])bdf, h->n);
	if (removed < 0)
		syslog(LOG_DAEMON | LOG_WARNING, "what libxl has left in xenstore of "
		       "domains that are gone stays there");
	else if (removed > 0)
		syslog(LOG_DAEMON | LOG_INFO, "the PCI backend%s of %d domain%s that %s "
		       "gone removed from xenstore", removed == 1 ? "" : "s", removed,
		       removed == 1 ? "" : "s", removed == 1 ? "is" : "are");
}

/*
 * An attach that was killed half-way: Xen knows of the new owner, and xenstore does not,
 * so no pci-detach finds it. Nothing but that domain's end gets it out again.
 */
static int take_half(struct handoff *h)
{
	size_t i;
	int ret = look_at_all(h);

	for (i = 0; ret == 0 && i < h->n; i++) {
		const char *bdf = h->usb[i].name;
		int who;

		if (gk_truth_owner(&h->truth, bdf) != -1 ||
		    gk_xen_assigned(h->root, bdf) != 1)
			continue;
		who = gk_truth_presumed(&h->truth, bdf, h->opts->suspect);
		/* One that is not ours is waited for, and then told of. */
		if (who == -1 || (who != h->opts->suspect && !is_ours(h, who)))
			continue;
		syslog(LOG_DAEMON | LOG_WARNING, "USB controller %s is half attached to "
		       "domain %d, which is destroyed", bdf, who);
		/* Whether that has helped is asked of Xen afterwards. */
		(void)end_domain(h, who);
		ret = look_at_all(h);
	}
	return ret;
}

static int take_back(struct handoff *h)
{
	const struct gk_handoff_opts *o = h->opts;
	size_t i;
	int ret;

	gk_handoff_resets_on(h->root, o);
	ret = named(h, 1);
	/* It may be there without a controller in xenstore yet. */
	if (ret == 0 && o->destroy_target && o->to_name != NULL)
		ret = destroy(h, o->to_name);
	if (ret == 0)
		ret = look(h);
	for (i = 0; ret == 0 && i < h->n; i++) {
		int has = gk_truth_owner(&h->truth, h->usb[i].name);

		if (has == -1)
			continue;
		if (!is_ours(h, has))
			return fail(h, GK_ERR_ORDER, "domain %s (%d) has USB "
				    "controller %s, and was not given it here",
				    gk_truth_name(&h->truth, has), has,
				    h->usb[i].name);
		ret = take_from(h, has);
	}
	if (ret == 0)
		ret = take_half(h);
	if (ret == 0)
		ret = wait_all_are(h, -1, GK_HANDOFF_RELEASE_MS);
	if (ret == 0)
		ret = unmark(h);
	if (ret == 0)
		ret = check_held(h, "after it was taken back");
	if (ret == 0)
		sweep(h);
	if (ret == 0)
		done(h, "taken", "%zu controller%s", h->n, h->n == 1 ? "" : "s");
	return ret;
}

static int step(int (*fn)(struct handoff *h), const char *root,
		const struct gk_handoff_opts *o, const struct gk_handoff_told *told,
		char *why, size_t why_len)
{
	struct handoff h = { .root = root, .opts = o, .told = told, .why = why,
			     .why_len = why_len, .since = gk_run_now_ms(),
			     .part_since = gk_run_now_ms(), .helper = o->helper };
	int ret;

	if (why_len > 0)
		why[0] = '\0';
	ret = fn(&h);
	/* A query that was tried again has left its reason. */
	if (ret == 0 && why_len > 0)
		why[0] = '\0';
	return ret;
}

int gk_handoff_check(const char *root, const struct gk_handoff_opts *o,
		     const struct gk_handoff_told *told, char *why, size_t why_len)
{
	return step(check, root, o, told, why, why_len);
}

int gk_handoff_release(const char *root, const struct gk_handoff_opts *o,
		       const struct gk_handoff_told *told, char *why, size_t why_len)
{
	return step(release, root, o, told, why, why_len);
}

int gk_handoff_reset(const char *root, const struct gk_handoff_opts *o,
		     const struct gk_handoff_told *told, char *why, size_t why_len)
{
	return step(reset, root, o, told, why, why_len);
}

int gk_handoff_assign(const char *root, const struct gk_handoff_opts *o,
		      const struct gk_handoff_told *told, char *why, size_t why_len)
{
	return step(assign, root, o, told, why, why_len);
}

int gk_handoff_take_back(const char *root, const struct gk_handoff_opts *o,
			 const struct gk_handoff_told *told, char *why, size_t why_len)
{
	return step(take_back, root, o, told, why, why_len);
}
