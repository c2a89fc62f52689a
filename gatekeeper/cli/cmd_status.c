/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { STATUS_MS = 5000 };

static void print_controllers(const char *json)
{
	const char *s = strstr(json, "\"controllers\":["), *end;
	char number[16], bdf[32];

	end = s ? strchr(s, ']') : NULL;
	while (s && (s = gk_cli_member(s, "number", number, sizeof(number))) &&
	       s < end) {
		s = gk_cli_member(s, "bdf", bdf, sizeof(bdf));
		printf("controller %s: %s\n", number, bdf);
	}
}

static void print_devices(const char *json)
{
	const char *s = strstr(json, "\"devices\":["), *end;
	char port[64], vid[8], pid[8], class[64], verdict[16], reason[128];

	end = s ? strstr(s, "\"times_ms\"") : NULL;
	while (s && (s = gk_cli_member(s, "port", port, sizeof(port))) &&
	       s < end) {
		gk_cli_member(s, "vid", vid, sizeof(vid));
		gk_cli_member(s, "pid", pid, sizeof(pid));
		gk_cli_member(s, "class", class, sizeof(class));
		gk_cli_member(s, "verdict", verdict, sizeof(verdict));
		gk_cli_member(s, "reason", reason, sizeof(reason));
		printf("port %s (%s:%s): %s: %s%s%s%s\n", port, vid, pid,
		       verdict, reason,
		       strcmp(verdict, "refused") ? "" : " (",
		       strcmp(verdict, "refused") ? "" : class,
		       strcmp(verdict, "refused") ? "" : ")");
	}
}

static void print_text(const char *json)
{
	static const char *const times[] = {
		"gate_create_ms", "gate_ready_ms", "keyboard_ready_ms",
	};
	char state[32], cause[256], value[32], domid[16], restarts[16];

	gk_cli_member(json, "state", state, sizeof(state));
	gk_cli_member(json, "cause", cause, sizeof(cause));
	gk_cli_member(json, "domid", domid, sizeof(domid));
	gk_cli_member(json, "restarts", restarts, sizeof(restarts));
	printf("gate: %s", state);
	if (strcmp(domid, "null"))
		printf(" (domain %s)", domid);
	if (strcmp(restarts, "0"))
		printf(", restarted %s times", restarts);
	putchar('\n');
	if (strcmp(cause, "null"))
		printf("cause: %s\n", cause);
	print_controllers(json);
	print_devices(json);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (gk_cli_member(json, times[i], value, sizeof(value)) &&
		    strcmp(value, "null"))
			printf("%s: %s\n", times[i], value);
}

struct answer {
	int json, seen;
};

static void on_line(void *ctx, const char *line)
{
	struct answer *a = ctx;

	a->seen = 1;
	if (a->json)
		puts(line);
	else
		print_text(line);
}

int gk_cmd_status(int argc, char **argv)
{
	struct answer a = { 0 };
	int err;

	if (argc == 2 && !strcmp(argv[1], "--json"))
		a.json = 1;
	else if (argc != 1)
		return gk_cli_usage("status [--json]");
	err = gk_cli_request("status", STATUS_MS, on_line, &a);
	if (!err && a.seen)
		return GK_EXIT_DONE;
	fprintf(stderr, "gatekeeper: %s\n", err == GK_ERR_CLOSED ?
		"gatekeeperd does not run (or you are not root)" :
		err ? gk_strerror(err) : "gatekeeperd gave no answer");
	return GK_EXIT_FAILED;
}
