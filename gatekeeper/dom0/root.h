/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Living on across switch-root. The initramfs's file system is emptied under
 * a process that stays in it, and /proc, /run, /sys and /dev are moved away
 * from it. A descriptor of /proc taken before still works, and through it the
 * root of process 1 is where we follow.
 */
#ifndef GK_DOM0_ROOT_H
#define GK_DOM0_ROOT_H

#include "core/error.h"

/* gk_root_open: once, at the start. */
int gk_root_open(void) GK_MUST_CHECK;

/* gk_root_follow: 1 when our root changed just now, 0 when it is the one of
 * process 1 already, GK_ERR_SYSTEM. Cheap; called before each use of a path
 * in the root. */
int gk_root_follow(void);

/* gk_root_is_initrd: whether our root is an initramfs (initrd-release(5)). */
int gk_root_is_initrd(void);

#endif
