/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are. The two variables are for tests: a directory that stands
 * for the machine (its files, its devices, in bin its programs, and in the
 * file xenstore what the probe of xs.h would print), and one for
 * /run/gatekeeper.
 */
#ifndef GK_DOM0_PATHS_H
#define GK_DOM0_PATHS_H

#include <stddef.h>
#include <sys/types.h>

#include "core/error.h"

#ifndef GK_LIB_DIR
#define GK_LIB_DIR "/usr/lib/gatekeeper"
#endif

#define GK_GATE_KERNEL	GK_LIB_DIR "/gate-kernel"
#define GK_GATE_IMAGE	GK_LIB_DIR "/gate-image"
#define GK_LINK_PROGRAM	GK_LIB_DIR "/gatekeeper-link"
#define GK_PCI_PROGRAM	GK_LIB_DIR "/gatekeeper-pci"
#define GK_CONF		"/etc/gatekeeper/gatekeeper.conf"
#define GK_RULES_CONF	"/etc/gatekeeper/rules.conf"
#define GK_GATE_NAME	"gatekeeper-gate"
/* In the run directory: made anew by gatekeeper-unlock for each question by plymouth. */
#define GK_QUESTION_FILE "question"

extern const char *gk_root_prefix;	/* "" */
extern const char *gk_run_dir;		/* "/run/gatekeeper" */

enum { GK_PATH_MAX = 512 };

/* gk_path: prefix and formatted path; GK_ERR_LIMIT when it does not fit. */
int gk_path(char buf[GK_PATH_MAX], const char *fmt, ...)
	__attribute__((format(printf, 2, 3))) GK_MUST_CHECK;

/* gk_run_path: name inside the run directory. */
int gk_run_path(char buf[GK_PATH_MAX], const char *name) GK_MUST_CHECK;

/*
 * gk_file_read: at most cap - 1 bytes of a file, NUL-terminated; the length,
 * GK_ERR_LIMIT when there is more, GK_ERR_SYSTEM. gk_file_line: the same
 * without white space at its end.
 */
ssize_t gk_file_read(const char *path, char *buf, size_t cap) GK_MUST_CHECK;
ssize_t gk_file_line(const char *path, char *buf, size_t cap) GK_MUST_CHECK;

/* gk_file_write: into an existing file (sysfs). */
int gk_file_write(const char *path, const char *text) GK_MUST_CHECK;

/* gk_file_replace: a file of this content and mode, all of it or none;
 * gk_file_put: of bytes that may be zero. */
int gk_file_replace(const char *path, const char *text, mode_t mode)
	GK_MUST_CHECK;
int gk_file_put(const char *path, const void *data, size_t len, mode_t mode)
	GK_MUST_CHECK;

/* gk_link_base: the last part of what a symbolic link points to. */
int gk_link_base(const char *path, char *buf, size_t cap) GK_MUST_CHECK;

#endif
