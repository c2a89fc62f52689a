/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tree.h"

static void full(const struct tree *t, const char *path, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s", t->root, path);

	assert_in_range(n, 1, PATH_MAX - 1);
}

static void parents(const char *path)
{
	char p[PATH_MAX];
	char *s;

	(void)snprintf(p, sizeof(p), "%s", path);
	for (s = strchr(p + 1, '/'); s != NULL; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(p, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*s = '/';
	}
}

void tree_new(struct tree *t)
{
	(void)snprintf(t->root, sizeof(t->root), "/tmp/gk-handoff-XXXXXX");
	assert_non_null(mkdtemp(t->root));
	tree_mkdir(t, "sys/bus/pci/devices");
	tree_mkdir(t, "run/gatekeeper");
	tree_write(t, "proc/cmdline", "root=/dev/mapper/root quiet\n");
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_free(struct tree *t)
{
	(void)nftw(t->root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_write(const struct tree *t, const char *path, const char *text)
{
	char p[PATH_MAX];
	int fd;

	full(t, path, p);
	parents(p);
	fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

void tree_read(const struct tree *t, const char *path, char *text, size_t len)
{
	char p[PATH_MAX];
	ssize_t n;
	int fd;

	full(t, path, p);
	fd = open(p, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, text, len - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	(void)close(fd);
}

void tree_link(const struct tree *t, const char *path, const char *target)
{
	char p[PATH_MAX];

	full(t, path, p);
	parents(p);
	(void)unlink(p);
	assert_int_equal(symlink(target, p), 0);
}

void tree_remove(const struct tree *t, const char *path)
{
	char p[PATH_MAX];

	full(t, path, p);
	assert_int_equal(remove(p), 0);
}

void tree_mkdir(const struct tree *t, const char *path)
{
	char p[PATH_MAX];

	full(t, path, p);
	parents(p);
	if (mkdir(p, 0755) < 0)
		assert_int_equal(errno, EEXIST);
}

void tree_pci(const struct tree *t, const char *bdf, const char *class,
	      const char *driver, const char *override, const char *methods)
{
	char path[PATH_MAX], text[PATH_MAX];

	/* As in the kernel: the bus directory has links into the devices. */
	(void)snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/class", bdf);
	(void)snprintf(text, sizeof(text), "%s\n", class);
	tree_write(t, path, text);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	(void)snprintf(text, sizeof(text), "../../../devices/pci0000:00/%s", bdf);
	tree_link(t, path, text);

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override",
		       bdf);
	(void)snprintf(text, sizeof(text), "%s\n",
		       override == NULL ? "(null)" : override);
	tree_write(t, path, text);
	if (driver != NULL) {
		(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver",
			       bdf);
		(void)snprintf(text, sizeof(text), "../../../bus/pci/drivers/%s",
			       driver);
		tree_link(t, path, text);
	}
	if (methods == NULL)
		return;
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/reset", bdf);
	tree_write(t, path, "");
	if (methods[0] == '\0')
		return;
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/reset_method",
		       bdf);
	(void)snprintf(text, sizeof(text), "%s\n", methods);
	tree_write(t, path, text);
}
