/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is behind the points of luks/enroll_points.h in the build for tests:
 * GK_ENROLL_KILL_AT=NAME ends the program there as kill -9 does, and
 * GK_ENROLL_HOLD_AT=NAME stops it until it is sent SIGCONT.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "luks/enroll_points.h"

static int is_named(const char *variable, const char *name)
{
	const char *value = getenv(variable);

	return value && !strcmp(value, name);
}

void gk_enroll_point(enum gk_enroll_point p)
{
	static const char *const names[] = {
#define X(id, name) [GK_POINT_##id] = name,
		GK_ENROLL_POINTS(X)
#undef X
	};

	if (is_named("GK_ENROLL_KILL_AT", names[p]))
		kill(getpid(), SIGKILL);
	if (is_named("GK_ENROLL_HOLD_AT", names[p]))
		raise(SIGSTOP);
}
