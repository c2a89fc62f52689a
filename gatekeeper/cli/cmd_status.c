/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "dom0/json.h"

enum { STATUS_MS = 5000 };

/* A member as text, "" for null. */
static void member(const char *s, const char *key, char *out, size_t cap)
{
	if (!gk_json_member(s, key, out, cap) || !strcmp(out, "null"))
		out[0] = '\0';
}

static void print_controllers(const char *json)
{
	const char *s = strstr(json, "\"controllers\":["), *end;
	char number[16], bdf[32], owner[80], by[24], xenstore[80];

	end = s ? strchr(s, ']') : NULL;
	while (s && (s = gk_json_member(s, "number", number, sizeof(number))) &&
	       s < end) {
		s = gk_json_member(s, "bdf", bdf, sizeof(bdf));
		member(s, "owner", owner, sizeof(owner));
		member(s, "owner_by", by, sizeof(by));
		printf("controller %s: %s, %s", number, bdf,
		       owner[0] ? owner : "no domain");
		if (!strcmp(by, "gatekeeperd")) {
			printf(" (as last known: xenstore does not answer)");
		} else if (!strcmp(by, "Xen")) {
			member(s, "owner_xenstore", xenstore, sizeof(xenstore));
			printf(" (says Xen; xenstore: %s)",
			       xenstore[0] ? xenstore : "no domain");
		}
		putchar('\n');
	}
}

/* Where the next object that begins with this member begins; the end if none.
 * A quote never stands inside a string. */
static const char *next(const char *s, const char *end, const char *begin)
{
	const char *at = strstr(s, begin);

	return at && at < end ? at : end;
}

static void print_interfaces(const char *s, const char *end)
{
	char number[8], class[16], role[16], verdict[16];

	for (s = next(s, end, "{\"number\":"); s < end;
	     s = next(s + 1, end, "{\"number\":")) {
		member(s, "number", number, sizeof(number));
		member(s, "class", class, sizeof(class));
		member(s, "role", role, sizeof(role));
		member(s, "verdict", verdict, sizeof(verdict));
		printf("  interface %s (%s): %s%s%s\n", number, class, verdict,
		       role[0] ? " as " : "", role);
	}
}

/* Why, of a device or of a line of the log. */
static void print_reason(const char *s)
{
	char class[64], verdict[16], reason[128], offset[16], rule[32];
	int refused;

	member(s, "class", class, sizeof(class));
	member(s, "verdict", verdict, sizeof(verdict));
	member(s, "reason", reason, sizeof(reason));
	member(s, "offset", offset, sizeof(offset));
	member(s, "rule", rule, sizeof(rule));
	refused = !strcmp(verdict, "refused");
	printf("%s: %s", verdict, reason);
	if (refused && strcmp(offset, "0"))
		printf(" at byte %s", offset);
	if (refused)
		printf(" (%s)", class);
	if (rule[0])
		printf(", rule %s", rule);
	putchar('\n');
}

static void print_devices(const char *json)
{
	static const char begin[] = "{\"port\":";
	const char *s = strstr(json, "\"devices\":["), *end;
	char port[64], vid[8], pid[8], number[16], clients[8];

	end = s ? strstr(s, "\"times_ms\"") : NULL;
	if (!end)
		return;
	for (s = next(s, end, begin); s < end; s = next(s + 1, end, begin)) {
		const char *after = next(s + 1, end, begin);

		member(s, "port", port, sizeof(port));
		member(s, "vid", vid, sizeof(vid));
		member(s, "pid", pid, sizeof(pid));
		member(s, "number_to_type", number, sizeof(number));
		printf("port %s (%s:%s): ", port, vid, pid);
		print_reason(s);
		if (number[0])
			printf("  type %s and Enter on it\n", number);
		member(s, "fido_clients", clients, sizeof(clients));
		if (clients[0])
			printf("  FIDO key, used by %s program%s\n", clients,
			       strcmp(clients, "1") ? "s" : "");
		print_interfaces(next(s, after, "\"interfaces\":["), after);
	}
}

static void print_findings(const char *s, const char *end)
{
	static const char begin[] = "{\"finding\":";
	char what[16], port[64], vid[8], pid[8], counts[8], keyboard[8];

	for (s = next(s, end, begin); s < end; s = next(s + 1, end, begin)) {
		member(s, "finding", what, sizeof(what));
		member(s, "port", port, sizeof(port));
		member(s, "vid", vid, sizeof(vid));
		member(s, "pid", pid, sizeof(pid));
		member(s, "keyboard", keyboard, sizeof(keyboard));
		member(s, "counts", counts, sizeof(counts));
		printf("  port %s (%s:%s) is %s%s\n", port, vid, pid,
		       !strcmp(what, "new") ? "new since the handoff" :
		       !strcmp(what, "changed") ? "another device than before" :
		       !strcmp(what, "moved") ? "a device that was elsewhere before" :
		       "gone since the handoff",
		       strcmp(keyboard, "true") || !strcmp(what, "gone") ? "" :
		       !strcmp(counts, "true") ? ", trusted" :
		       ": its keys do not count; gatekeeper trust, or its number");
	}
}

static void print_handoff(const char *json)
{
	static const char *const times[] = {
		"prepare_ms", "quiesce_ms", "release_ms", "reset_ms", "assign_ms",
		"confirm_ms", "reclaim_ms", "handoff_blackout_ms",
	};
	const char *s = strstr(json, "\"handoff\":{"), *end;
	char state[24], mode[16], target[80], cause[280], value[24];

	end = s ? strstr(s, "\"rules\":") : NULL;
	if (!end)
		return;
	member(s, "mode", mode, sizeof(mode));
	if (!strcmp(mode, "none"))
		return;
	member(s, "state", state, sizeof(state));
	member(s, "target", target, sizeof(target));
	member(s, "cause", cause, sizeof(cause));
	printf("handoff: %s%s%s\n", state, target[0] ? ", " : "", target);
	if (cause[0])
		printf("  cause: %s\n", cause);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		member(s, times[i], value, sizeof(value));
		if (value[0])
			printf("  %s: %s\n", times[i], value);
	}
	print_findings(s, end);
}

static void print_rules(const char *json)
{
	const char *s = strstr(json, "\"rules\":{");
	char in_force[64], error[256];

	if (!s)
		return;
	member(s, "in_force", in_force, sizeof(in_force));
	member(s, "rules_error", error, sizeof(error));
	printf("rules: %s\n", error[0] ? error : in_force);
}

static void print_inputs(const char *json)
{
	static const char begin[] = "{\"keyboard\":";
	const char *s = strstr(json, "\"input_proxy\":["), *end;
	char name[160], verdict[16], reason[128], number[16];

	end = s ? strstr(s, "\"log\":") : NULL;
	if (!end)
		return;
	for (s = next(s, end, begin); s < end; s = next(s + 1, end, begin)) {
		member(s, "keyboard", name, sizeof(name));
		member(s, "verdict", verdict, sizeof(verdict));
		member(s, "reason", reason, sizeof(reason));
		member(s, "number_to_type", number, sizeof(number));
		printf("input proxy \"%s\": %s%s%s\n", name, verdict,
		       reason[0] ? ": " : "", reason);
		if (number[0])
			printf("  type %s and Enter on it\n", number);
	}
}

static void print_log(const char *json)
{
	static const char begin[] = "{\"ms\":";
	const char *s = strstr(json, "\"log\":["), *end;
	char ms[24], port[64], vid[8], pid[8];

	if (!s)
		return;
	end = s + strlen(s);
	for (s = next(s, end, begin); s < end; s = next(s + 1, end, begin)) {
		member(s, "ms", ms, sizeof(ms));
		member(s, "port", port, sizeof(port));
		member(s, "vid", vid, sizeof(vid));
		member(s, "pid", pid, sizeof(pid));
		printf("%10.3f s  port %s (%s:%s): ", strtod(ms, NULL) / 1000, port,
		       vid, pid);
		print_reason(s);
	}
}

static void print_text(const char *json)
{
	static const char *const times[] = {
		"gate_create_ms", "gate_ready_ms", "keyboard_ready_ms",
	};
	char state[32], cause[256], value[32], domid[16], restarts[16];

	gk_json_member(json, "state", state, sizeof(state));
	gk_json_member(json, "cause", cause, sizeof(cause));
	gk_json_member(json, "domid", domid, sizeof(domid));
	gk_json_member(json, "restarts", restarts, sizeof(restarts));
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
	print_handoff(json);
	print_rules(json);
	print_inputs(json);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (gk_json_member(json, times[i], value, sizeof(value)) &&
		    strcmp(value, "null"))
			printf("%s: %s\n", times[i], value);
}

struct answer {
	int json, log, seen;
};

static void on_line(void *ctx, const char *line)
{
	struct answer *a = ctx;

	a->seen = 1;
	if (a->json)
		puts(line);
	else if (a->log)
		print_log(line);
	else
		print_text(line);
}

int gk_cmd_status(int argc, char **argv)
{
	struct answer a = { 0 };
	int err;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			a.json = 1;
		else if (!strcmp(argv[i], "--log"))
			a.log = 1;
		else
			return gk_cli_usage("status [--json] [--log]");
	}
	err = gk_cli_request("status", STATUS_MS, on_line, &a);
	if (!err && a.seen)
		return GK_EXIT_DONE;
	fprintf(stderr, "gatekeeper: %s\n", err == GK_ERR_CLOSED ?
		"gatekeeperd does not run (or you are not root)" :
		err ? gk_strerror(err) : "gatekeeperd gave no answer");
	return GK_EXIT_FAILED;
}
