/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "dom0/controllers.h"
#include "dom0/paths.h"
#include "handoff/pci.h"

_Static_assert(GK_PCI_BDF_LEN <= GK_BDF_MAX, "a BDF fits");

int gk_bdf_valid(const char *s)
{
	struct gk_pci_bdf bdf;

	return gk_pci_bdf_parse(s, &bdf) == 0;
}

int gk_controllers_list(struct gk_controller out[GK_CONTROLLERS_MAX])
{
	struct gk_pci_usb list[GK_PCI_MAX];
	char which[GK_PCI_NAME_LEN];
	size_t n;
	int err = gk_pci_usb_list(gk_root_prefix, list, &n, which);

	if (err)
		return err;
	if (n > GK_CONTROLLERS_MAX)
		n = GK_CONTROLLERS_MAX;
	for (size_t i = 0; i < n; i++) {
		memset(&out[i], 0, sizeof(out[i]));
		memcpy(out[i].bdf, list[i].name, sizeof(list[i].name));
		out[i].prog_if = list[i].prog_if;
		out[i].no = (uint8_t)(i + 1);
		strncpy(out[i].driver, list[i].driver, sizeof(out[i].driver) - 1);
	}
	return (int)n;
}

int gk_controllers_bound(struct gk_controller *c, int n, const char *driver)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
		if (!strcmp(c[i].driver, driver))
			c[kept++] = c[i];
	return kept;
}
