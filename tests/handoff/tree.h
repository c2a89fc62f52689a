/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory that looks like /sys, /proc and /run to the code under test, and
 * beside it, for the tests of the handover, a stand-in for xl.
 */
#ifndef GK_TEST_TREE_H
#define GK_TEST_TREE_H

#include <stddef.h>

struct tree {
	char root[256];
};

/* All of these fail the running test if they cannot do it. */
void tree_new(struct tree *t);
void tree_free(struct tree *t);
/* Write text to a file below the root; its directories are made. */
void tree_write(const struct tree *t, const char *path, const char *text);
void tree_read(const struct tree *t, const char *path, char *text, size_t len);
void tree_link(const struct tree *t, const char *path, const char *target);
void tree_remove(const struct tree *t, const char *path);
void tree_mkdir(const struct tree *t, const char *path);

/*
 * A PCI device. class as in sysfs ("0x0c0330"). driver, override, methods: NULL
 * for none; methods "" gives a `reset` without a `reset_method` (before 5.15).
 */
void tree_pci(const struct tree *t, const char *bdf, const char *class,
	      const char *driver, const char *override, const char *methods);

#endif
