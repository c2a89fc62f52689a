/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0/paths.h"
#include "handoff/pci.h"
#include "handoff/run.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
#define CMDLINE_MAX 8192		/* Linux: COMMAND_LINE_SIZE is 2048 on x86 */
#define CLASS_USB 0x0c03u

/* n lower-case hexadecimal digits; returns -1 for anything else. */
static int hex(const char *s, size_t n)
{
	int v = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] >= '0' && s[i] <= '9')
			v = v * 16 + (s[i] - '0');
		else if (s[i] >= 'a' && s[i] <= 'f')
			v = v * 16 + (s[i] - 'a' + 10);
		else
			return -1;
	}
	return v;
}

int gk_pci_bdf_parse(const char *text, struct gk_pci_bdf *bdf)
{
	int domain, bus, dev, fn;

	if (strnlen(text, GK_PCI_BDF_LEN) != GK_PCI_BDF_LEN - 1)
		return GK_ERR_VALUE;
	if (text[4] != ':' || text[7] != ':' || text[10] != '.')
		return GK_ERR_VALUE;
	domain = hex(text, 4);
	bus = hex(text + 5, 2);
	dev = hex(text + 8, 2);
	fn = hex(text + 11, 1);
	if (domain < 0 || bus < 0 || dev < 0 || dev > 0x1f || fn < 0 || fn > 7)
		return GK_ERR_VALUE;
	bdf->domain = (uint16_t)domain;
	bdf->bus = (uint8_t)bus;
	bdf->dev = (uint8_t)dev;
	bdf->fn = (uint8_t)fn;
	return 0;
}

void gk_pci_bdf_format(const struct gk_pci_bdf *bdf, char text[GK_PCI_BDF_LEN])
{
	(void)snprintf(text, GK_PCI_BDF_LEN, "%04x:%02x:%02x.%x",
		       (unsigned int)bdf->domain, (unsigned int)bdf->bus,
		       bdf->dev & 0x1fu, bdf->fn & 7u);
}

static unsigned long bdf_order(const struct gk_pci_bdf *b)
{
	return (unsigned long)b->domain << 16 | (unsigned long)b->bus << 8 |
	       (unsigned long)b->dev << 3 | b->fn;
}

static int compare(const void *a, const void *b)
{
	const struct gk_pci_usb *x = a, *y = b;
	unsigned long p = bdf_order(&x->bdf), q = bdf_order(&y->bdf);

	return (p > q) - (p < q);
}

/* Returns 0 or GK_ERR_LENGTH; what is cut off is never used. */
static int path_of(char path[PATH_MAX], const char *root, const char *device,
		   const char *file)
{
	int n = snprintf(path, PATH_MAX, "%s" PCI_DEVICES "/%s/%s", root, device,
			 file);

	return n < 0 || n >= PATH_MAX ? GK_ERR_LENGTH : 0;
}

/*
 * The one line of a sysfs file, without its newline. Returns 0, GK_ERR_NOT_FOUND
 * if there is no such file, GK_ERR_VALUE if it is no short printable line.
 */
static int read_line(const char *root, const char *device, const char *file,
		     char line[GK_PCI_NAME_LEN])
{
	char path[PATH_MAX];
	ssize_t n;
	size_t i;
	int fd, ret;

	line[0] = '\0';
	ret = path_of(path, root, device, file);
	if (ret != 0)
		return ret;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? GK_ERR_NOT_FOUND : GK_ERR_SYSTEM;
	n = read(fd, line, GK_PCI_NAME_LEN);
	(void)close(fd);
	if (n < 0 || n == GK_PCI_NAME_LEN) {
		line[0] = '\0';
		return n < 0 ? GK_ERR_SYSTEM : GK_ERR_VALUE;
	}
	if (n > 0 && line[n - 1] == '\n')
		n--;
	line[n] = '\0';
	for (i = 0; i < (size_t)n; i++) {
		if (line[i] < ' ' || line[i] > '~') {
			line[0] = '\0';
			return GK_ERR_VALUE;
		}
	}
	return 0;
}

static int read_driver(const char *root, const char *device,
		       char driver[GK_PCI_NAME_LEN])
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;
	int ret;

	driver[0] = '\0';
	ret = path_of(path, root, device, "driver");
	if (ret != 0)
		return ret;
	n = readlink(path, target, sizeof(target));
	if (n < 0)
		return errno == ENOENT ? 0 : GK_ERR_SYSTEM;
	if ((size_t)n == sizeof(target))
		return GK_ERR_LENGTH;
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base == NULL ? target : base + 1;
	if (base[0] == '\0' || strlen(base) >= GK_PCI_NAME_LEN)
		return GK_ERR_VALUE;
	memcpy(driver, base, strlen(base) + 1);
	return 0;
}

/* What reset_method said, while it is empty: 1 or 0, words with no newline. */
static int kept_resets(const char *root, const char *device, char path[PATH_MAX],
		       char words[GK_PCI_NAME_LEN])
{
	char text[2 * GK_PCI_NAME_LEN];
	int n = snprintf(path, PATH_MAX, "%s" GK_PCI_RESETS "%s", root, device);

	words[0] = '\0';
	if (n < 0 || n >= PATH_MAX || gk_file_read(path, text, sizeof(text)) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) < GK_PCI_NAME_LEN)
		memcpy(words, text, strlen(text) + 1);
	return 1;
}

static int read_reset(const char *root, const char *device,
		      char reset[GK_PCI_NAME_LEN])
{
	char path[PATH_MAX], words[GK_PCI_NAME_LEN];
	int ret;

	/* `reset` is there if, and only if, there is a method (since 5.15 also
	 * when the user has emptied reset_method, which then reads ""). */
	reset[0] = '\0';
	ret = path_of(path, root, device, "reset");
	if (ret != 0)
		return ret;
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : GK_ERR_SYSTEM;
	ret = read_line(root, device, "reset_method", reset);
	if (ret == 0 && kept_resets(root, device, path, words) && words[0] != '\0')
		memcpy(reset, words, sizeof(words));
	if (ret == GK_ERR_NOT_FOUND) {
		memcpy(reset, "reset", sizeof("reset"));
		ret = 0;
	}
	return ret;
}

int gk_pci_usb_reread(const char *root, struct gk_pci_usb *u)
{
	int ret;

	ret = read_driver(root, u->name, u->driver);
	if (ret == 0)
		ret = read_line(root, u->name, "driver_override", u->override);
	if (ret == 0)
		ret = read_reset(root, u->name, u->reset);
	/* The kernel prints the null pointer like this. */
	if (ret == 0 && strcmp(u->override, "(null)") == 0)
		u->override[0] = '\0';
	return ret;
}

/* 1: ours, *prog_if is set; 0: another device; or an error. */
static int is_usb(const char *root, const char *device, uint8_t *prog_if)
{
	char line[GK_PCI_NAME_LEN];
	int class, ret;

	ret = read_line(root, device, "class", line);
	if (ret != 0)
		return ret;
	if (strlen(line) != 8 || line[0] != '0' || line[1] != 'x')
		return GK_ERR_VALUE;
	class = hex(line + 2, 6);
	if (class < 0)
		return GK_ERR_VALUE;
	if ((unsigned int)class >> 8 != CLASS_USB)
		return 0;
	*prog_if = (uint8_t)(class & 0xff);
	return *prog_if == 0x00 || *prog_if == 0x10 || *prog_if == 0x20 ||
	       *prog_if == 0x30;
}

int gk_pci_usb_list(const char *root, struct gk_pci_usb list[GK_PCI_MAX],
		    size_t *n, char which[GK_PCI_NAME_LEN])
{
	char path[PATH_MAX];
	struct dirent *e;
	uint8_t prog_if = 0;
	DIR *dir = NULL;
	int ret;

	*n = 0;
	which[0] = '\0';
	ret = snprintf(path, sizeof(path), "%s" PCI_DEVICES, root);
	if (ret < 0 || (size_t)ret >= sizeof(path))
		return GK_ERR_LENGTH;
	dir = opendir(path);
	if (dir == NULL)
		return GK_ERR_SYSTEM;
	for (;;) {
		struct gk_pci_usb *u;

		errno = 0;
		e = readdir(dir);
		if (e == NULL) {
			ret = errno != 0 ? GK_ERR_SYSTEM : 0;
			break;
		}
		if (e->d_name[0] == '.')
			continue;
		ret = is_usb(root, e->d_name, &prog_if);
		/* Unplugged (a Thunderbolt dock) since readdir() saw it. */
		if (ret == GK_ERR_NOT_FOUND || ret == 0)
			continue;
		(void)snprintf(which, GK_PCI_NAME_LEN, "%.*s",
			       GK_PCI_NAME_LEN - 1, e->d_name);
		if (ret < 0)
			break;
		if (*n == GK_PCI_MAX) {
			ret = GK_ERR_LIMIT;
			break;
		}
		u = &list[*n];
		memset(u, 0, sizeof(*u));
		ret = gk_pci_bdf_parse(e->d_name, &u->bdf);
		if (ret != 0)
			break;
		gk_pci_bdf_format(&u->bdf, u->name);
		u->prog_if = prog_if;
		ret = gk_pci_usb_reread(root, u);
		if (ret != 0)
			break;
		which[0] = '\0';
		++*n;
	}
	if (ret == 0)
		qsort(list, *n, sizeof(list[0]), compare);
	else
		*n = 0;
	(void)closedir(dir);
	return ret;
}

int gk_pci_held(const struct gk_pci_usb *u)
{
	return strcmp(u->driver, GK_PCI_BACK) == 0 &&
	       strcmp(u->override, GK_PCI_BACK) == 0;
}

int gk_pci_left_to_dom0(const char *root, const struct gk_pci_bdf *bdf)
{
	static const char key[] = "rd.qubes.dom0_usb=";
	char path[PATH_MAX], line[CMDLINE_MAX], name[GK_PCI_BDF_LEN];
	char *arg, *arg_state = NULL, *item, *item_state;
	ssize_t n;
	int fd;

	gk_pci_bdf_format(bdf, name);
	fd = snprintf(path, sizeof(path), "%s/proc/cmdline", root);
	if (fd < 0 || (size_t)fd >= sizeof(path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	if (n < 0)
		return 0;
	line[n] = '\0';
	for (arg = strtok_r(line, " \n", &arg_state); arg != NULL;
	     arg = strtok_r(NULL, " \n", &arg_state)) {
		if (strncmp(arg, key, sizeof(key) - 1) != 0)
			continue;
		item_state = NULL;
		for (item = strtok_r(arg + sizeof(key) - 1, ",", &item_state);
		     item != NULL; item = strtok_r(NULL, ",", &item_state)) {
			if (strcmp(item, name) == 0)
				return 1;
			/* lspci's short form means domain 0. */
			if (bdf->domain == 0 && strcmp(item, name + 5) == 0)
				return 1;
		}
	}
	return 0;
}

/* No O_CREAT: what sysfs does not have is not there. */
static int write_file(const char *root, const char *device, const char *file,
		      const char *text)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, saved, ret;

	ret = path_of(path, root, device, file);
	if (ret != 0)
		return ret;
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	/* One write: sysfs takes each as a whole value. */
	n = write(fd, text, strlen(text));
	saved = errno;
	(void)close(fd);
	errno = saved;
	return n == (ssize_t)strlen(text) ? 0 : GK_ERR_SYSTEM;
}

int gk_pci_override_set(const char *root, struct gk_pci_usb *u)
{
	int ret;

	ret = write_file(root, u->name, "driver_override", GK_PCI_BACK "\n");
	if (ret == 0)
		ret = read_line(root, u->name, "driver_override", u->override);
	if (ret == 0 && strcmp(u->override, GK_PCI_BACK) != 0)
		ret = GK_ERR_ORDER;
	return ret;
}

/* The newline: a write of nothing does not come to the kernel's driver. */
#define NO_METHOD "\n"

int gk_pci_resets_off(const char *root, const struct gk_pci_usb *u)
{
	char path[PATH_MAX], words[GK_PCI_NAME_LEN];
	int kept = kept_resets(root, u->name, path, words);

	if (u->reset[0] == '\0' ||
	    read_line(root, u->name, "reset_method", words) == GK_ERR_NOT_FOUND)
		return 0;
	/* First what it was: we may be killed at any moment. */
	(void)snprintf(words, sizeof(words), "%s", u->reset);
	if (!kept && gk_file_replace(path, words, 0600))
		return GK_ERR_SYSTEM;
	if (write_file(root, u->name, "reset_method", NO_METHOD) != 0 ||
	    read_line(root, u->name, "reset_method", words) != 0 || words[0] != '\0') {
		int back = gk_pci_resets_on(root, u->name);

		(void)back;
		return GK_ERR_SYSTEM;
	}
	return 0;
}

int gk_pci_resets_on(const char *root, const char *bdf)
{
	char path[PATH_MAX], words[GK_PCI_NAME_LEN];

	if (!kept_resets(root, bdf, path, words))
		return 0;
	/* A method that the kernel found at boot it may refuse today, by what stands
	 * beside the controller on its bus: then those that it finds now. */
	if ((words[0] == '\0' || write_file(root, bdf, "reset_method", words) != 0) &&
	    write_file(root, bdf, "reset_method", "default") != 0)
		return GK_ERR_SYSTEM;
	return unlink(path) == 0 || errno == ENOENT ? 0 : GK_ERR_SYSTEM;
}

struct reset_job {
	const char *root;
	const char *device;
	const char *method;	/* for reset_method; NULL: leave it */
	int reset;		/* whether to reset, then */
	const char *after;	/* for reset_method, when that was done; NULL */
};

static int do_reset(void *arg)
{
	const struct reset_job *j = arg;

	if (j->method != NULL &&
	    write_file(j->root, j->device, "reset_method", j->method) != 0) {
		(void)dprintf(1, "reset_method: %s\n", strerror(errno));
		return 1;
	}
	if (j->reset && write_file(j->root, j->device, "reset", "1") != 0) {
		(void)dprintf(1, "%s\n", strerror(errno));
		return 1;
	}
	/* A method that stays is no reason to say that there was no reset. */
	if (j->after != NULL) {
		int back = write_file(j->root, j->device, "reset_method", j->after);

		(void)back;
	}
	return 0;
}

int gk_pci_reset(const char *root, const struct gk_pci_usb *u,
		 unsigned int timeout_ms, char method[GK_PCI_NAME_LEN],
		 char *why, size_t why_len)
{
	struct reset_job j = { .root = root, .device = u->name, .reset = 1 };
	uint64_t deadline = gk_run_now_ms() + timeout_ms, now;
	char words[GK_PCI_NAME_LEN], out[256], path[PATH_MAX];
	char *word, *next, *state = NULL;
	int ret = GK_ERR_NOT_FOUND;
	int off = kept_resets(root, u->name, path, words);
	int set = off || strchr(u->reset, ' ') != NULL;

	method[0] = '\0';
	(void)snprintf(why, why_len, "no reset method");
	memcpy(words, u->reset, sizeof(words));
	for (word = strtok_r(words, " ", &state); word != NULL; word = next) {
		next = strtok_r(NULL, " ", &state);
		(void)snprintf(method, GK_PCI_NAME_LEN, "%s", word);
		now = gk_run_now_ms();
		if (now >= deadline) {
			ret = GK_ERR_TIMEOUT;
			break;
		}
		j.method = set ? word : NULL;
		j.after = !set ? NULL : off ? NO_METHOD : u->reset;
		ret = gk_run_function(do_reset, &j, (unsigned int)(deadline - now),
				      out, sizeof(out));
		if (ret == 0) {
			if (why_len > 0)
				why[0] = '\0';
			break;
		}
		if (ret > 0) {
			gk_run_last_line(out, why, why_len);
			ret = GK_ERR_SYSTEM;
			continue;
		}
		/* It may still be at it in the kernel: not one more on top. */
		(void)snprintf(why, why_len, "%s",
			       ret == GK_ERR_TIMEOUT ? "no answer in time"
						     : strerror(errno));
		break;
	}
	/* A write to reset_method waits for no device, a second is plenty. */
	if (set && ret != 0 && ret != GK_ERR_TIMEOUT) {
		int back;

		j.after = NULL;
		j.method = off ? NO_METHOD : u->reset;
		j.reset = 0;
		back = gk_run_function(do_reset, &j, 1000, out, sizeof(out));
		(void)back;
	}
	return ret;
}
