/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "dom0/paths.h"
#include "dom0/xs.h"

static char *read_pci(struct xs_handle *xs, unsigned domid, const char *key,
		      int index)
{
	char path[128], number[16] = "";

	if (index >= 0)
		snprintf(number, sizeof(number), "%d", index);
	snprintf(path, sizeof(path), "/local/domain/0/backend/pci/%u/0/%s%s",
		 domid, key, number);
	return xs_read(xs, XBT_NULL, path, NULL);
}

/* pciback's own nodes: written in dom0, not by the guest. */
void gk_xs_print_map(struct xs_handle *xs, unsigned domid, FILE *out)
{
	char *count = read_pci(xs, domid, "num_devs", -1);
	unsigned long n = count ? strtoul(count, NULL, 10) : 0;

	for (int i = 0; i < (int)n && i < GK_CONTROLLERS_MAX; i++) {
		char *host = read_pci(xs, domid, "dev-", i);
		char *guest = read_pci(xs, domid, "vdev-", i);

		if (host && guest)
			fprintf(out, "pci %s %s\n", guest, host);
		free(host);
		free(guest);
	}
	free(count);
}

/* The store of a machine that is only a directory: what we would print. */
static int print_test_store(void)
{
	char path[GK_PATH_MAX], text[1024];

	if (gk_path(path, "/xenstore") ||
	    gk_file_read(path, text, sizeof(text)) < 0)
		return 1;
	fputs(text, stdout);
	return fflush(stdout) ? 1 : 0;
}

int gk_xs_probe(void *arg)
{
	const char *name = arg;
	struct xs_handle *xs;
	unsigned n = 0;
	char **domains;

	if (gk_root_prefix[0])
		return print_test_store();
	xs = xs_open(0);
	if (!xs)
		return 1;
	domains = xs_directory(xs, XBT_NULL, "/local/domain", &n);
	if (!domains) {
		xs_close(xs);
		return 1;
	}
	printf("answered\n");
	for (unsigned i = 0; i < n; i++) {
		char path[64], *s;

		snprintf(path, sizeof(path), "/local/domain/%.16s/name",
			 domains[i]);
		s = xs_read(xs, XBT_NULL, path, NULL);
		if (s && !strcmp(s, name))
			printf("domid %s\n", domains[i]);
		free(s);
	}
	free(domains);
	xs_close(xs);
	return fflush(stdout) ? 1 : 0;
}

void gk_xs_map_line(const char *line, struct gk_xs_answer *out)
{
	unsigned domain, bus, slot, fn;
	struct gk_pci_map *m;
	char host[GK_BDF_MAX];

	/* pciback writes the function with two digits. */
	if (out->maps == GK_CONTROLLERS_MAX ||
	    sscanf(line, "pci %4x:%2x:%2x.%2x %15s", &domain, &bus, &slot, &fn,
		   host) != 5)
		return;
	if (domain || bus || slot > 31 || fn > 7 || !gk_bdf_valid(host))
		return;
	m = &out->map[out->maps++];
	m->devfn = (uint8_t)(slot << 3 | fn);
	strcpy(m->bdf, host);
}

void gk_xs_parse(const char *text, struct gk_xs_answer *out)
{
	memset(out, 0, sizeof(*out));
	out->domid = -1;
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[128];

		snprintf(line, sizeof(line), "%.*s", (int)(len < 127 ? len : 127),
			 text);
		if (!strcmp(line, "answered"))
			out->answered = 1;
		else if (!strncmp(line, "domid ", 6) && out->domid < 0 &&
			 strtol(line + 6, NULL, 10) > 0)
			out->domid = (int)strtol(line + 6, NULL, 10);
		else
			gk_xs_map_line(line, out);
		text += len;
		if (*text)
			text++;
	}
}

const struct gk_controller *gk_xs_controller(const struct gk_xs_answer *a,
					     const struct gk_controller *c, int n,
					     uint8_t devfn)
{
	for (int i = 0; i < a->maps; i++)
		for (int k = 0; k < n && a->map[i].devfn == devfn; k++)
			if (!strcmp(a->map[i].bdf, c[k].bdf))
				return &c[k];
	return NULL;
}
