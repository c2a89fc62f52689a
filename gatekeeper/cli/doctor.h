/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeper doctor: one line for each check. */
#ifndef GK_CLI_DOCTOR_H
#define GK_CLI_DOCTOR_H

#include "cli/cli.h"
#include "dom0/json.h"
#include "dom0/options.h"

enum gk_doctor_level { GK_FINE, GK_WARN, GK_FAIL };

struct gk_doctor {
	int as_json;
	int failed;
	struct gk_json json;
	char text[32 << 10];
};

/* gk_check: says how it is; the remedy is for other levels than GK_FINE. */
void gk_check(struct gk_doctor *d, const char *name, enum gk_doctor_level level,
	      const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* gk_file_has: whether a file of any length has a line with that text in it. */
int gk_file_has(const char *what, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* gk_has_module: this kernel has it, built in or not. */
int gk_has_module(const char *name);

/* gk_is_there: access(2). */
int gk_is_there(const char *rel, int mode);

/* gk_doctor_keys: what unlocking by a security key needs, and which are enrolled. */
void gk_doctor_keys(struct gk_doctor *d, const struct gk_options *o);

#endif
