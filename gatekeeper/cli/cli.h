/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The `gatekeeper` command: one function per subcommand, and what they share. */
#ifndef GK_CLI_H
#define GK_CLI_H

#include <stddef.h>

#include "core/error.h"

/* Exit statuses, the same for all. */
enum {
	GK_EXIT_DONE = 0,
	GK_EXIT_FAILED = 1,	/* or refused */
	GK_EXIT_USAGE = 2,
};

/* argv[0] is the subcommand's name. */
int gk_cmd_status(int argc, char **argv);
int gk_cmd_wait(int argc, char **argv);
int gk_cmd_handoff(int argc, char **argv);
int gk_cmd_reclaim(int argc, char **argv);
int gk_cmd_suspend(int argc, char **argv);
int gk_cmd_resume(int argc, char **argv);
int gk_cmd_trust(int argc, char **argv);
int gk_cmd_switched_root(int argc, char **argv);
int gk_cmd_stop(int argc, char **argv);
int gk_cmd_inspect(int argc, char **argv);
int gk_cmd_doctor(int argc, char **argv);
int gk_cmd_rules(int argc, char **argv);
int gk_cmd_enroll(int argc, char **argv);
int gk_cmd_take_controllers(int argc, char **argv);
int gk_cmd_prepare_xen(int argc, char **argv);

/* gk_cli_usage: prints how a subcommand is used on stderr; GK_EXIT_USAGE. */
int gk_cli_usage(const char *text);

/*
 * gk_cli_request: one request line to gatekeeperd, its answer line by line
 * to fn, within timeout_ms. GK_ERR_CLOSED: gatekeeperd does not run,
 * GK_ERR_TIMEOUT, GK_ERR_SYSTEM.
 */
int gk_cli_request(const char *request, unsigned timeout_ms,
		   void (*fn)(void *ctx, const char *line), void *ctx)
	GK_MUST_CHECK;

/* gk_cli_capture: what a program says on stdout, within seconds. Its exit
 * status, or GK_ERR_SYSTEM, GK_ERR_TIMEOUT. */
int gk_cli_capture(const char *const argv[], char *out, size_t cap,
		   unsigned seconds) GK_MUST_CHECK;

#endif
