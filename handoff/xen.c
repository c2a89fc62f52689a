/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dom0/paths.h"
#include "handoff/pci.h"
#include "handoff/xen.h"

/* As in xenctrl.h, which as it stands is not C11, and in Xen's public xen.h. */
enum {
	XC_OPENFLAG_NON_REENTRANT = 1 << 1,
	DOMID_INVALID = 0x7ff4,
};

struct xc_interface_core;

struct library {
	void *handle;
	struct xc_interface_core *(*open)(void *log, void *build_log, unsigned flags);
	int (*close)(struct xc_interface_core *xc);
	int (*test)(struct xc_interface_core *xc, uint32_t domid, uint32_t sbdf);
};

static int symbol(void *handle, const char *name, void *at)
{
	void *found = dlsym(handle, name);

	/* POSIX wants a void * to be good for this. */
	memcpy(at, &found, sizeof(found));
	return found != NULL;
}

static int library_open(const char *name, struct library *l)
{
	memset(l, 0, sizeof(*l));
	l->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	return l->handle && symbol(l->handle, "xc_interface_open", &l->open) &&
	       symbol(l->handle, "xc_interface_close", &l->close) &&
	       symbol(l->handle, "xc_test_assign_device", &l->test);
}

/* A handle's memory is not a child's, so it is opened anew: three open(). */
static int ask(const struct library *l, unsigned int sbdf)
{
	struct xc_interface_core *xc = l->open(NULL, NULL, XC_OPENFLAG_NON_REENTRANT);
	int ret = GK_ERR_SYSTEM;

	if (!xc)
		return GK_ERR_SYSTEM;
	errno = 0;
	if (l->test(xc, DOMID_INVALID, sbdf) == 0)
		ret = 0;
	/* No IOMMU, another version of the interface, no permission: other errors.
	 * Of a device that does not exist Xen says this, too; ours pciback has. */
	else if (errno == EINVAL)
		ret = 1;
	l->close(xc);
	return ret;
}

int gk_xen_ask(const char *library, unsigned int sbdf)
{
	struct library l;
	int ret = library_open(library, &l) ? ask(&l, sbdf) : GK_ERR_SYSTEM;

	if (l.handle)
		dlclose(l.handle);
	return ret;
}

static struct library loaded;
static int sought;

/* That of the Xen that runs: the interface is not the same in two versions. */
static int library_name(char *buf, size_t cap)
{
	char major[16], minor[16];
	int n;

	if (gk_file_line("/sys/hypervisor/version/major", major, sizeof(major)) < 0 ||
	    gk_file_line("/sys/hypervisor/version/minor", minor, sizeof(minor)) < 0)
		return 0;
	n = snprintf(buf, cap, "libxenctrl.so.%s.%s", major, minor);
	return n > 0 && (size_t)n < cap && !strchr(buf, '/');
}

void gk_xen_load(void)
{
	char name[64];

	if (sought)
		return;
	sought = 1;
	if (library_name(name, sizeof(name)) && !library_open(name, &loaded))
		memset(&loaded, 0, sizeof(loaded));
}

static int of_a_file(const char *root, const char *bdf)
{
	char path[GK_PATH_MAX], text[4096], has[GK_PCI_BDF_LEN];
	int n = snprintf(path, sizeof(path), "%s/xen", root), id;

	if (n < 0 || (size_t)n >= sizeof(path) ||
	    gk_file_read(path, text, sizeof(text)) < 0)
		return GK_ERR_SYSTEM;
	for (const char *s = text; s; s = strchr(s, '\n')) {
		s += *s == '\n';
		if (sscanf(s, "assigned %d %12s", &id, has) == 2 &&
		    strcmp(has, bdf) == 0)
			return 1;
	}
	return 0;
}

int gk_xen_assigned(const char *root, const char *bdf)
{
	struct gk_pci_bdf at;

	if (gk_pci_bdf_parse(bdf, &at) != 0)
		return GK_ERR_VALUE;
	if (root[0])
		return of_a_file(root, bdf);
	gk_xen_load();
	if (!loaded.test)
		return GK_ERR_SYSTEM;
	return ask(&loaded, (unsigned int)at.domain << 16 | (unsigned int)at.bus << 8 |
		   (unsigned int)at.dev << 3 | at.fn);
}
