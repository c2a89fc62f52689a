/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "domain/log.h"

#define USB_DEVICES "/sys/bus/usb/devices"
#define DRIVERS_PROBE "/sys/bus/usb/drivers_probe"
#define DEFAULT "/sys/module/usbcore/parameters/authorized_default"

/* Values of that parameter (drivers/usb/core/hcd.c); a bus has 0 to 2 of them. */
enum {
	BY_WIRE = -1,
	NONE = 0,
	ALL = 1,
	INTERNAL = 2,
};

static int before = BY_WIRE;

static int read_int(const char *path, int *out)
{
	char text[16] = "", *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	long v;

	if (fd >= 0)
		close(fd);
	v = strtol(text, &end, 10);
	if (n <= 0 || end == text || v < BY_WIRE || v > INTERNAL)
		return GK_ERR_SYSTEM;
	*out = (int)v;
	return GK_OK;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	int ok;

	if (fd < 0)
		return GK_ERR_SYSTEM;
	ok = write(fd, text, len) == (ssize_t)len;
	close(fd);
	return ok ? GK_OK : GK_ERR_SYSTEM;
}

static int write_int(const char *path, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", value);
	return write_text(path, text);
}

void gk_kernel_remember(const char *file)
{
	char text[16];
	int now, fd;

	/* NONE may be ours, from before a crash; all else is not. */
	if (read_int(DEFAULT, &now) == GK_OK &&
	    (now != NONE || read_int(file, &before) < 0))
		before = now;
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	snprintf(text, sizeof(text), "%d\n", before);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		gk_kmsg(4, "%s cannot be written", file);
	if (fd >= 0)
		close(fd);
}

void gk_kernel_recall(const char *file)
{
	int now;

	if (read_int(DEFAULT, &now) == GK_OK &&
	    (now != NONE || read_int(file, &now) == GK_OK))
		before = now;
}

static int set_if_other(const char *path, int value)
{
	int now;

	if (read_int(path, &now) == GK_OK && now == value)
		return GK_OK;
	return write_int(path, value);
}

/* Whether the hub "usbN" has its own interface, "N-0:1.0", by now: that takes what
 * the bus has as default at this moment, and a hub without it is a dead bus. */
static int has_interface(const char *hub)
{
	char path[80 + NAME_MAX];

	snprintf(path, sizeof(path), USB_DEVICES "/%s-0:1.0", hub + strlen("usb"));
	return access(path, F_OK) == 0;
}

/* Both defaults of every root hub, "usbN". */
static int set_buses(int devices, int interfaces)
{
	DIR *dir = opendir(USB_DEVICES);
	struct dirent *de;
	int err = GK_OK;

	if (!dir)
		return GK_ERR_SYSTEM;
	while ((de = readdir(dir))) {
		char path[80 + NAME_MAX];

		if (strncmp(de->d_name, "usb", 3) != 0)
			continue;
		snprintf(path, sizeof(path), USB_DEVICES "/%s/authorized_default",
			 de->d_name);
		if (set_if_other(path, devices) < 0 && access(path, F_OK) == 0)
			err = GK_ERR_SYSTEM;
		/* Nothing is behind the hub before; its uevent brings us here again. */
		if (!interfaces && !has_interface(de->d_name))
			continue;
		snprintf(path, sizeof(path),
			 USB_DEVICES "/%s/interface_authorized_default", de->d_name);
		if (set_if_other(path, interfaces) < 0 && access(path, F_OK) == 0)
			err = GK_ERR_SYSTEM;
	}
	closedir(dir);
	return err;
}

int gk_kernel_hold(void)
{
	/* First what controllers to come are made by. */
	int err = set_if_other(DEFAULT, NONE);

	return set_buses(NONE, 0) < 0 ? GK_ERR_SYSTEM : err;
}

/* Does `what` to each interface of the device's configuration, "NAME:C.I". */
static int each_interface(const struct gk_present *at, int (*what)(const char *name))
{
	size_t len = strlen(at->name);
	DIR *dir = opendir(USB_DEVICES);
	struct dirent *de;
	int err = GK_OK;

	if (!dir)
		return GK_ERR_SYSTEM;
	while ((de = readdir(dir)))
		if (strncmp(de->d_name, at->name, len) == 0 && de->d_name[len] == ':' &&
		    what(de->d_name) < 0)
			err = GK_ERR_SYSTEM;
	closedir(dir);
	return err;
}

static int authorize(const char *name)
{
	char path[64 + NAME_MAX];

	snprintf(path, sizeof(path), USB_DEVICES "/%s/authorized", name);
	return set_if_other(path, 1);
}

static int probe(const char *name)
{
	char path[64 + NAME_MAX];

	snprintf(path, sizeof(path), USB_DEVICES "/%s/driver", name);
	/* That no driver wants it is no error of ours. */
	if (access(path, F_OK) < 0 && write_text(DRIVERS_PROBE, name) < 0)
		gk_kmsg(5, "%s: no driver takes it", name);
	return GK_OK;
}

int gk_kernel_give(const struct gk_present *at)
{
	/* One that the kernel has keeps its configuration and what is mounted. */
	if (gk_inventory_get(at, "authorized") != 1 &&
	    gk_inventory_set(at, "authorized", 1) < 0)
		return GK_ERR_SYSTEM;
	/* All of them before the first driver, which may want two. */
	if (each_interface(at, authorize) < 0)
		return GK_ERR_SYSTEM;
	return each_interface(at, probe);
}

int gk_kernel_give_all(int (*stays_out)(const struct gk_present *at))
{
	static struct gk_present there[GK_INVENTORY_MAX];
	int err, n;

	err = write_int(DEFAULT, before);
	if (set_buses(before == BY_WIRE ? ALL : before, 1) < 0)
		err = GK_ERR_SYSTEM;
	n = gk_inventory_scan(there);
	for (int i = 0; i < n; i++) {
		/* Who authorises nothing by default has somebody else for it. */
		if (before == NONE && gk_inventory_get(&there[i], "authorized") != 1)
			continue;
		if (!stays_out(&there[i]) && gk_kernel_give(&there[i]) < 0)
			err = GK_ERR_SYSTEM;
	}
	return n < 0 ? GK_ERR_SYSTEM : err;
}

int gk_kernel_claim(const struct gk_present *at, const struct gk_case *c, int usb)
{
	for (unsigned i = 0; i < c->candidates && i < GK_CANDIDATES; i++) {
		struct usbdevfs_disconnect_claim claim = {
			.interface = c->candidate[i].number,
		};
		char name[2 * GK_SYSFS_NAME];

		snprintf(name, sizeof(name), "%s:%u.%u", at->name, c->config,
			 c->candidate[i].number);
		/* A driver whose module is loaded just now may be faster: out. */
		if (authorize(name) < 0 ||
		    ioctl(usb, USBDEVFS_DISCONNECT_CLAIM, &claim) < 0)
			return GK_ERR_SYSTEM;
	}
	return GK_OK;
}
