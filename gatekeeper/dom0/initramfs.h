/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The initramfs that the gate starts from: a small archive with the rules and,
 * behind it, the gate image as it was built. The kernel unpacks one after the
 * other (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#ifndef GK_DOM0_INITRAMFS_H
#define GK_DOM0_INITRAMFS_H

#include <stddef.h>

#include "core/error.h"
#include "core/rules.h"

/* Headers, names and padding of the two entries, to the next 512 bytes. */
enum { GK_ARCHIVE_MAX = GK_RULES_TEXT_MAX + 1024 };

/* gk_archive: a newc cpio archive of one file `rules.conf`, mode 0400, padded
 * with zeros to 512 bytes; its length, or GK_ERR_LIMIT. */
int gk_archive(const char *rules, size_t len, char *buf, size_t cap) GK_MUST_CHECK;

/* gk_initramfs: that archive and the file `image` into the file `path`, mode
 * 0600, all of it or nothing. */
int gk_initramfs(const char *rules, size_t len, const char *image,
		 const char *path) GK_MUST_CHECK;

#endif
