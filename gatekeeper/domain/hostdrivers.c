/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hostdrivers.h"

#include "inventory.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI_DEVICES "/sys/bus/pci/devices"

static int for_each(int unbind)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *de;
	int n = 0;

	if (!dir)
		return 0;
	while ((de = readdir(dir))) {
		char path[64 + NAME_MAX];
		int fd;

		if (de->d_name[0] == '.' || !gk_inventory_is_controller(de->d_name))
			continue;
		if (!unbind) {
			n++;
			continue;
		}
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver/unbind",
			 de->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, de->d_name, strlen(de->d_name)) < 0)
			n++;
		close(fd);
	}
	closedir(dir);
	return n;
}

int gk_hostdrivers_count(void)
{
	return for_each(0);
}

int gk_hostdrivers_too_many(void)
{
	unsigned named = gk_inventory_numbered();

	return named && (unsigned)gk_hostdrivers_count() > named;
}

int gk_hostdrivers_unbind(void)
{
	return gk_hostdrivers_too_many() ? gk_hostdrivers_count() : for_each(1);
}
