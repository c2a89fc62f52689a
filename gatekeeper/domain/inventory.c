/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USB_DEVICES "/sys/bus/usb/devices"
#define PCI_DEVICES "/sys/bus/pci/devices"
#define CONTROLLERS "gk.controllers="

enum {
	CLASS_USB = 0x0c03,	/* PCI code and ID assignment: serial bus, USB */
	PROG_IF_USB4 = 0x40,
};

/* What dom0 calls the controllers, if it has said so. */
static uint8_t numbers[GK_INVENTORY_MAX];
static unsigned numbers_n;

static int attr_open(const char *name, const char *attr, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), USB_DEVICES "/%s/%s", name, attr);
	return open(path, flags | O_CLOEXEC);
}

static int read_number(const char *name, const char *attr)
{
	char buf[16] = { 0 };
	char *end;
	long v;
	int fd = attr_open(name, attr, O_RDONLY);

	if (fd < 0)
		return -1;
	if (read(fd, buf, sizeof(buf) - 1) <= 0)
		buf[0] = '\0';
	close(fd);
	v = strtol(buf, &end, 10);
	if (end == buf || v < 0 || v > INT_MAX)
		return -1;
	return (int)v;
}

/* "BUS-PORT.PORT.PORT" */
static int parse_name(const char *name, unsigned *bus, struct gk_port_path *path)
{
	const char *s = name;
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (end == s || *end != '-' || v == 0 || v > 255)
		return GK_ERR_VALUE;
	*bus = (unsigned)v;
	memset(path, 0, sizeof(*path));
	for (s = end + 1; path->depth < GK_PORT_DEPTH; s = end + 1) {
		v = strtoul(s, &end, 10);
		if (end == s || v == 0 || v > 255)
			return GK_ERR_VALUE;
		path->port[path->depth++] = (uint8_t)v;
		if (*end == '\0')
			return GK_OK;
		if (*end != '.')
			return GK_ERR_VALUE;
	}
	return GK_ERR_LIMIT;
}

/* Which controller: the PCI function above root hub usbN in the device tree. */
static int locate_root(unsigned bus, struct gk_port_path *path)
{
	char link[64], real[PATH_MAX], root[16];
	unsigned dom, b, slot, fn;
	char *slash;

	snprintf(link, sizeof(link), USB_DEVICES "/usb%u", bus);
	if (!realpath(link, real))
		return GK_ERR_SYSTEM;
	slash = strrchr(real, '/');
	if (!slash)
		return GK_ERR_VALUE;
	*slash = '\0';
	slash = strrchr(real, '/');
	if (!slash || sscanf(slash + 1, "%x:%x:%x.%x", &dom, &b, &slot, &fn) != 4
	    || slot > 31 || fn > 7)
		return GK_ERR_VALUE;
	path->controller = (uint8_t)(slot << 3 | fn);
	snprintf(root, sizeof(root), "usb%u", bus);
	path->root = read_number(root, "speed") >= 5000;
	return GK_OK;
}

int gk_inventory_place(const char *name, struct gk_present *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	if (strlen(name) >= sizeof(out->name))
		return GK_ERR_LIMIT;
	strcpy(out->name, name);
	err = parse_name(name, &out->busnum, &out->path);
	return err ? err : locate_root(out->busnum, &out->path);
}

int gk_inventory_scan(struct gk_present out[GK_INVENTORY_MAX])
{
	DIR *dir = opendir(USB_DEVICES);
	struct dirent *de;
	int n = 0;

	if (!dir)
		return GK_ERR_SYSTEM;
	while (n < GK_INVENTORY_MAX && (de = readdir(dir))) {
		struct gk_present *p = &out[n];
		struct stat st;
		char path[64 + NAME_MAX];
		unsigned bus;
		int num;

		/* "usb1" is a root hub, "1-1:1.0" an interface. */
		if (strlen(de->d_name) >= GK_SYSFS_NAME ||
		    strchr(de->d_name, ':') ||
		    parse_name(de->d_name, &bus, &p->path) < 0)
			continue;
		/* Not yet bound to usbcore's own driver: still being added, its
		 * attributes may not be there; another uevent will come. */
		snprintf(path, sizeof(path), USB_DEVICES "/%s/driver", de->d_name);
		if (access(path, F_OK) < 0)
			continue;
		snprintf(path, sizeof(path), USB_DEVICES "/%s", de->d_name);
		if (stat(path, &st) < 0 || locate_root(bus, &p->path) < 0)
			continue;
		num = read_number(de->d_name, "devnum");
		if (num < 1 || num > 127)
			continue;
		strcpy(p->name, de->d_name);
		p->ino = st.st_ino;
		p->busnum = bus;
		p->devnum = (unsigned)num;
		n++;
	}
	closedir(dir);
	return n;
}

int gk_inventory_there(const struct gk_present *p)
{
	char path[64 + GK_SYSFS_NAME];
	struct stat st;

	snprintf(path, sizeof(path), USB_DEVICES "/%s", p->name);
	if (stat(path, &st) < 0 || st.st_ino != p->ino)
		return 0;
	/* Of a device that is being removed it goes before its folder does
	 * (drivers/usb/core/sysfs.c, usb_bus_notify). */
	snprintf(path, sizeof(path), USB_DEVICES "/%s/descriptors", p->name);
	return access(path, F_OK) == 0;
}

int gk_inventory_raw(const struct gk_present *p, uint8_t raw[GK_USB_RAW_MAX])
{
	size_t have = 0;
	ssize_t n = 0;
	uint8_t more;
	int fd = attr_open(p->name, "descriptors", O_RDONLY);

	if (fd < 0)
		return GK_ERR_SYSTEM;
	while (have < GK_USB_RAW_MAX) {
		n = read(fd, raw + have, GK_USB_RAW_MAX - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	if (n > 0)
		n = read(fd, &more, 1);
	close(fd);
	if (n < 0)
		return GK_ERR_SYSTEM;
	return n > 0 ? GK_ERR_LIMIT : (int)have;
}

int gk_inventory_set(const struct gk_present *p, const char *attr, unsigned value)
{
	char buf[16];
	int fd, n, ok;

	fd = attr_open(p->name, attr, O_WRONLY);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	n = snprintf(buf, sizeof(buf), "%u\n", value);
	ok = write(fd, buf, (size_t)n) == n;
	close(fd);
	return ok ? GK_OK : GK_ERR_SYSTEM;
}

int gk_inventory_get(const struct gk_present *p, const char *attr)
{
	return read_number(p->name, attr);
}

size_t gk_inventory_string(const struct gk_present *p, const char *attr, char *buf,
			   size_t cap)
{
	int fd = attr_open(p->name, attr, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, cap - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		n = 0;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return (size_t)n;
}

unsigned gk_inventory_number(const char *cmdline, unsigned place)
{
	const char *s = strstr(cmdline, CONTROLLERS);
	char *end;

	if (!s)
		return place;
	s += sizeof(CONTROLLERS) - 1;
	for (unsigned i = 1; i <= GK_INVENTORY_MAX; i++, s = end + 1) {
		unsigned long v = strtoul(s, &end, 10);

		if (end == s || v == 0 || v > 255)
			return 0;
		if (i == place)
			return (unsigned)v;
		if (*end != ',')
			return 0;
	}
	return 0;
}

void gk_inventory_numbers(const uint8_t *from, unsigned n)
{
	numbers_n = n < GK_INVENTORY_MAX ? n : GK_INVENTORY_MAX;
	memcpy(numbers, from, numbers_n);
}

int gk_inventory_is_controller(const char *name)
{
	char path[64 + NAME_MAX], text[16] = "";
	unsigned long class;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/class", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	class = n > 0 ? strtoul(text, NULL, 16) : 0;
	return class >> 8 == CLASS_USB && (class & 0xff) != PROG_IF_USB4;
}

static unsigned number_at(unsigned place)
{
	char line[2048] = "";
	ssize_t n;
	int fd;

	if (numbers_n)
		return place <= numbers_n ? numbers[place - 1] : 0;
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	return gk_inventory_number(line, place);
}

unsigned gk_inventory_controller_no(uint8_t devfn)
{
	DIR *dir = opendir(PCI_DEVICES);
	unsigned dom, bus, slot, fn, no = 1, all = 0;
	struct dirent *de;
	int found = 0;

	if (!dir)
		return 0;
	while ((de = readdir(dir))) {
		if (sscanf(de->d_name, "%x:%x:%x.%x", &dom, &bus, &slot, &fn) != 4 ||
		    slot > 31 || fn > 7 || !gk_inventory_is_controller(de->d_name))
			continue;
		all++;
		no += (slot << 3 | fn) < devfn;
		found |= (slot << 3 | fn) == devfn;
	}
	closedir(dir);
	return found && (!numbers_n || all <= numbers_n) ? number_at(no) : 0;
}

unsigned gk_inventory_numbered(void)
{
	return numbers_n;
}

int gk_inventory_open(const struct gk_present *p)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/bus/usb/%03u/%03u", p->busnum,
		 p->devnum);
	return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}
