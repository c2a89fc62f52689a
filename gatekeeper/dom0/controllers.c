/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/controllers.h"
#include "dom0/paths.h"

int gk_bdf_valid(const char *s)
{
	/* x: a hex digit, f: a function number, anything else: itself */
	static const char form[] = "xxxx:xx:xx.f";

	if (strlen(s) != sizeof(form) - 1)
		return 0;
	for (size_t i = 0; form[i]; i++) {
		int hex = (s[i] >= '0' && s[i] <= '9') ||
			  (s[i] >= 'a' && s[i] <= 'f');

		if (form[i] == 'x' ? !hex :
		    form[i] == 'f' ? s[i] < '0' || s[i] > '7' :
				     s[i] != form[i])
			return 0;
	}
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct gk_controller *x = a, *y = b;

	return strcmp(x->bdf, y->bdf);
}

static int is_host_controller(unsigned long class)
{
	switch (class) {
	case 0x0c0300:
	case 0x0c0310:
	case 0x0c0320:
	case 0x0c0330:
		return 1;
	default:
		return 0;
	}
}

int gk_controllers_list(struct gk_controller out[GK_CONTROLLERS_MAX])
{
	char path[GK_PATH_MAX], text[32];
	struct dirent *e;
	DIR *dir;
	int n = 0;

	if (gk_path(path, "/sys/bus/pci/devices"))
		return GK_ERR_SYSTEM;
	dir = opendir(path);
	if (!dir)
		return GK_ERR_SYSTEM;
	while ((e = readdir(dir)) && n < GK_CONTROLLERS_MAX) {
		struct gk_controller *c = &out[n];
		unsigned long class;

		if (!gk_bdf_valid(e->d_name))
			continue;
		if (gk_path(path, "/sys/bus/pci/devices/%.12s/class",
			    e->d_name) ||
		    gk_file_line(path, text, sizeof(text)) < 0)
			continue;
		class = strtoul(text, NULL, 16);
		if (!is_host_controller(class))
			continue;
		memset(c, 0, sizeof(*c));
		strcpy(c->bdf, e->d_name);
		c->prog_if = (uint8_t)(class & 0xff);
		if (gk_path(path, "/sys/bus/pci/devices/%s/driver", c->bdf) ||
		    gk_link_base(path, c->driver, sizeof(c->driver)))
			c->driver[0] = '\0';
		n++;
	}
	closedir(dir);
	qsort(out, (size_t)n, sizeof(*out), compare);
	return n;
}

int gk_controllers_bound(struct gk_controller *c, int n, const char *driver)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
		if (!strcmp(c[i].driver, driver))
			c[kept++] = c[i];
	return kept;
}
