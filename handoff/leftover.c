/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "dom0/paths.h"
#include "handoff/leftover.h"
#include "handoff/run.h"

#define BACKENDS "/local/domain/0/backend/pci"

enum { FINE_POLL_MS = 10, TEXT_MAX = 4096 };

/* --- the file that stands for xenstore in tests --- */

/* Removes the line that begins with this; whether there was one, or GK_ERR_SYSTEM. */
static int remove_line(const char *root, const char *begins)
{
	char path[GK_PATH_MAX], text[TEXT_MAX], *at, *end;
	int n = snprintf(path, sizeof(path), "%s/xenstore", root);

	if (n < 0 || (size_t)n >= sizeof(path) ||
	    gk_file_read(path, text, sizeof(text)) < 0)
		return GK_ERR_SYSTEM;
	at = strstr(text, begins);
	if (!at)
		return 0;
	end = strchr(at, '\n');
	end = end ? end + 1 : at + strlen(at);
	memmove(at, end, strlen(end) + 1);
	return gk_file_replace(path, text, 0644) ? GK_ERR_SYSTEM : 1;
}

/* --- libxl's mark --- */

int gk_leftover_unmark(const char *root, const char *bdf, int domid)
{
	char path[64], *has;
	struct xs_handle *xs;
	xs_transaction_t tx;
	int ret = GK_ERR_SYSTEM, same;

	if (root[0]) {
		snprintf(path, sizeof(path), "marked %d %.16s\n", domid, bdf);
		return remove_line(root, path) < 0 ? GK_ERR_SYSTEM : 0;
	}
	if (strlen(bdf) != 12)
		return GK_ERR_SYSTEM;
	snprintf(path, sizeof(path), "/libxl/pci/%.4s-%.2s-%.2s-%.1s/domid", bdf,
		 bdf + 5, bdf + 8, bdf + 11);
	xs = xs_open(0);
	if (!xs)
		return GK_ERR_SYSTEM;
	/* Another xl may have got it in between: then that is its mark. */
	tx = xs_transaction_start(xs);
	if (tx != XBT_NULL) {
		has = xs_read(xs, tx, path, NULL);
		same = has && atoi(has) == domid;
		free(has);
		if (same)
			same = xs_rm(xs, tx, path);
		if (xs_transaction_end(xs, tx, !same))
			ret = 0;
	}
	xs_close(xs);
	return ret;
}

/* --- backends of domains that are gone --- */

/* All that this backend had are among the controllers. */
static int is_of(struct xs_handle *xs, const char *id, const char (*bdf)[GK_TRUTH_BDF],
		 size_t n)
{
	char path[80], *text;
	long count;

	snprintf(path, sizeof(path), BACKENDS "/%.16s/0/num_devs", id);
	text = xs_read(xs, XBT_NULL, path, NULL);
	count = text ? strtol(text, NULL, 10) : 0;
	free(text);
	if (count < 1 || count > GK_TRUTH_OWNED)
		return 0;
	for (long i = 0; i < count; i++) {
		int found = 0;

		snprintf(path, sizeof(path), BACKENDS "/%.16s/0/dev-%ld", id, i);
		text = xs_read(xs, XBT_NULL, path, NULL);
		for (size_t k = 0; text && k < n; k++)
			found |= strcmp(bdf[k], text) == 0;
		free(text);
		if (!found)
			return 0;
	}
	return 1;
}

static void wait_for_pciback(const char *id)
{
	uint64_t deadline = gk_run_now_ms() + GK_LEFTOVER_GONE_MS;
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/pci-%.16s-0", id);
	while (access(path, F_OK) == 0 && gk_run_now_ms() < deadline)
		gk_run_sleep_ms(FINE_POLL_MS);
}

/*
 * xenstored forgets a domain when Xen says that it is dying, which is the last that
 * libxl does in its end, and knows a new one before libxl gives it a device.
 */
static int sweep_one(struct xs_handle *xs, const char *id,
		     const char (*bdf)[GK_TRUTH_BDF], size_t n)
{
	char path[64];

	if (xs_is_domain_introduced(xs, (unsigned)atoi(id)) || !is_of(xs, id, bdf, n))
		return 0;
	snprintf(path, sizeof(path), BACKENDS "/%.16s", id);
	if (!xs_rm(xs, XBT_NULL, path))
		return 0;
	wait_for_pciback(id);
	return 1;
}

int gk_leftover_sweep(const char *root, const char (*bdf)[GK_TRUTH_BDF], size_t n)
{
	struct xs_handle *xs;
	unsigned ids = 0;
	int removed = 0, ret = 0;
	char **id;

	if (root[0]) {
		while ((ret = remove_line(root, "left ")) == 1)
			removed++;
		return ret < 0 ? ret : removed;
	}
	xs = xs_open(0);
	if (!xs)
		return GK_ERR_SYSTEM;
	id = xs_directory(xs, XBT_NULL, BACKENDS, &ids);
	/* There is none as long as nobody has a PCI device. */
	if (!id && errno != ENOENT)
		ret = GK_ERR_SYSTEM;
	for (unsigned i = 0; id && i < ids; i++)
		removed += sweep_one(xs, id[i], bdf, n);
	free(id);
	xs_close(xs);
	return ret < 0 ? ret : removed;
}
