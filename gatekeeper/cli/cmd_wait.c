/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounded whatever gatekeeperd does or does not do: it looks at files, and
 * asks nobody. Another unit's start hangs on this.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "dom0/json.h"
#include "dom0/clock.h"
#include "dom0/options.h"
#include "dom0/paths.h"

enum { POLL_US = 50000 };

static int look(const char *name, char *text, size_t cap)
{
	char path[GK_PATH_MAX];

	return gk_run_path(path, name) == 0 &&
	       gk_file_line(path, text, cap) > 0;
}

static int end(int json, int ready, const char *text)
{
	char cause[256];

	if (json) {
		puts(text);
	} else if (ready) {
		puts("the gate is ready");
	} else {
		gk_json_member(text, "cause", cause, sizeof(cause));
		printf("the gate is not ready: %s\n", cause);
	}
	return ready ? GK_EXIT_DONE : GK_EXIT_FAILED;
}

int gk_cmd_wait(int argc, char **argv)
{
	struct gk_options_note note;
	struct gk_options o;
	char text[1024];
	uint64_t until;
	int json = 0;

	gk_options_load(&o, &note);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			json = 1;
		} else if (!strcmp(argv[i], "--timeout") && i + 1 < argc) {
			char *stop;
			unsigned long s = strtoul(argv[++i], &stop, 10);

			if (*stop || stop == argv[i] || s > 3600)
				return gk_cli_usage("wait --timeout 0..3600");
			o.timeout_s = (unsigned)s;
		} else {
			return gk_cli_usage("wait [--timeout SECONDS] [--json]");
		}
	}
	until = gk_now_ms() + (uint64_t)o.timeout_s * 1000;
	for (;;) {
		if (look("ready", text, sizeof(text)))
			return end(json, 1, text);
		if (look("failed", text, sizeof(text)))
			return end(json, 0, text);
		if (gk_now_ms() >= until)
			break;
		usleep(POLL_US);
	}
	snprintf(text, sizeof(text), "{\"state\":\"timeout\",\"ready\":false,"
		 "\"cause\":\"no answer within %u s\"}", o.timeout_s);
	return end(json, 0, text);
}
