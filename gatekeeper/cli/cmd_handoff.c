/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "dom0/answers.h"
#include "dom0/clock.h"
#include "dom0/json.h"
#include "dom0/options.h"
#include "dom0/paths.h"

enum {
	HANDOFF_MS = 600000,
	SWITCHED_MS = 5000,
	SUSPEND_MS = 26000,	/* gatekeeperd waits 20 s */
	AGAIN_MS = 500,		/* --wait */
	/* The agent lets go, 3 s, taking back 75 s, the reset 10 s. */
	RECLAIM_MS = 100000,
	/* The gate lets go, 6 s at most, and xl destroy has 20 s. */
	STOP_MS = 32000,
};

static const char usage_text[] =
	"handoff [--to NAME | --to-config FILE [--to NAME] | --release-only]\n"
	"                  [--no-strict-reset] [--permissive] [--wait SECONDS] [--json]";

struct answer {
	int json;
	int ok;			/* -1: no last line yet */
	char error[600];
};

static void on_line(void *ctx, const char *line)
{
	struct answer *a = ctx;
	char step[64], detail[600], ok[8];

	if (a->json)
		puts(line);
	if (gk_json_member(line, "ok", ok, sizeof(ok))) {
		a->ok = !strcmp(ok, "true");
		gk_json_member(line, "error", a->error, sizeof(a->error));
	} else if (!a->json &&
		   gk_json_member(line, "step", step, sizeof(step))) {
		gk_json_member(line, "detail", detail, sizeof(detail));
		printf("%s: %s\n", step, detail);
	}
	fflush(stdout);
}

static int starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* patience_ms: how long it is asked again for what may be so soon. */
static int ask_until(const char *request, unsigned timeout_ms, int json,
		     uint64_t patience_ms)
{
	uint64_t until = gk_now_ms() + patience_ms;
	struct answer a;
	int err;

	for (;;) {
		a = (struct answer){ .json = json, .ok = -1 };
		err = gk_cli_request(request, timeout_ms, on_line, &a);
		if (a.ok != 0 || gk_now_ms() >= until ||
		    !(starts_with(a.error, GK_ANSWER_GOING_ON) ||
		      starts_with(a.error, GK_ANSWER_NO_GATE)))
			break;
		usleep(AGAIN_MS * 1000);
	}
	if (a.ok == 1)
		return GK_EXIT_DONE;
	if (a.ok == 0)
		fprintf(stderr, "gatekeeper: %s\n", a.error);
	else
		fprintf(stderr, "gatekeeper: %s\n", err == GK_ERR_CLOSED ?
			"gatekeeperd does not run (or you are not root)" :
			err ? gk_strerror(err) :
			"gatekeeperd broke off its answer");
	return GK_EXIT_FAILED;
}

static int ask(const char *request, unsigned timeout_ms, int json)
{
	return ask_until(request, timeout_ms, json, 0);
}

/* name = "..." of an xl configuration, which stands alone in its line. */
static int name_of(const char *config, char *out, size_t cap)
{
	static char text[64 << 10];
	const char *s = text;

	out[0] = '\0';
	if (gk_file_read(config, text, sizeof(text)) < 0)
		return GK_ERR_SYSTEM;
	while (*s) {
		char name[64], quote;

		if (sscanf(s, " name = %c%63[A-Za-z0-9_.+-]", &quote, name) == 2 &&
		    (quote == '"' || quote == '\'') && strlen(name) < cap) {
			strcpy(out, name);
			return 0;
		}
		s += strcspn(s, "\n");
		if (*s)
			s++;
	}
	return GK_ERR_NOT_FOUND;
}

/* Words of a request are parted by blanks and cannot hold any. */
static int has_blank(const char *s)
{
	for (; *s; s++)
		if (isspace((unsigned char)*s) || iscntrl((unsigned char)*s))
			return 1;
	return 0;
}

int gk_cmd_handoff(int argc, char **argv)
{
	static const struct option options[] = {
		{ "to-config", required_argument, NULL, 'c' },
		{ "to", required_argument, NULL, 't' },
		{ "release-only", no_argument, NULL, 'r' },
		{ "no-strict-reset", no_argument, NULL, 'n' },
		{ "permissive", no_argument, NULL, 'p' },
		{ "wait", required_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	const char *config = NULL, *to = NULL;
	struct gk_options_note note;
	struct gk_options o;
	int release = 0, loose = 0, permissive = 0, json = 0, c;
	char request[640], name[65];
	char *full = NULL, *end;
	unsigned long wait_s = 0;
	uint64_t patience;
	int ret = GK_EXIT_FAILED;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			config = optarg;
			break;
		case 't':
			to = optarg;
			break;
		case 'r':
			release = 1;
			break;
		case 'n':
			loose = 1;
			break;
		case 'p':
			permissive = 1;
			break;
		case 'j':
			json = 1;
			break;
		case 'w':
			wait_s = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || wait_s > 3600)
				return gk_cli_usage("handoff --wait 0..3600");
			break;
		default:
			return gk_cli_usage(usage_text);
		}
	}
	if (optind != argc || (release && (config || to)) ||
	    (permissive && !config && !to))
		return gk_cli_usage(usage_text);
	patience = (uint64_t)wait_s * 1000;
	gk_options_load(&o, &note);
	if (to && !config) {
		if (has_blank(to) || strlen(to) > 64) {
			fprintf(stderr, "gatekeeper: that is no name of a domain\n");
			return GK_EXIT_FAILED;
		}
		snprintf(request, sizeof(request),
			 "handoff to=%s no_strict_reset=%d permissive=%d", to, loose,
			 permissive);
		return ask_until(request, HANDOFF_MS, json, patience);
	}
	if (!config && !release && o.sys_usb[0]) {
		/* It gets them when it is there; nobody waits for that here. */
		snprintf(request, sizeof(request), "want %s", o.sys_usb);
		ret = ask(request, SWITCHED_MS, json);
		if (ret == GK_EXIT_DONE && !json)
			printf("%s gets the controllers when it runs and has its "
			       "agent\n", o.sys_usb);
		return ret;
	}
	if (!config && !release && o.sys_usb_config[0])
		config = o.sys_usb_config;
	release = config == NULL;
	if (release) {
		snprintf(request, sizeof(request),
			 "handoff release_only=1 no_strict_reset=%d", loose);
		return ask_until(request, HANDOFF_MS, json, patience);
	}
	full = realpath(config, NULL);
	if (!full) {
		fprintf(stderr, "gatekeeper: %s cannot be read\n", config);
		goto out;
	}
	if (!to && name_of(full, name, sizeof(name))) {
		fprintf(stderr, "gatekeeper: no name = \"...\" in %s; give "
			"--to\n", config);
		goto out;
	}
	if (!to)
		to = name;
	if (has_blank(full) || has_blank(to) || strlen(full) > 255 ||
	    strlen(to) > 63) {
		fprintf(stderr, "gatekeeper: file or domain name with blanks, "
			"or too long\n");
		goto out;
	}
	snprintf(request, sizeof(request),
		 "handoff config=%s to=%s no_strict_reset=%d permissive=%d", full, to, loose,
		 permissive);
	ret = ask_until(request, HANDOFF_MS, json, patience);
out:
	free(full);
	return ret;
}

/*
 * libxl's view of the domains that were started in the initramfs
 * (userdata-*.libxl-json): without it `xl list -l` fails in the real root.
 */
static void carry_userdata(void)
{
	static const char from[] = "/run/gatekeeper/xen-lib";
	static const char to[] = "/var/lib/xen";
	char path[PATH_MAX], text[65536];
	struct dirent *e;
	DIR *dir = opendir(from);

	while (dir && (e = readdir(dir))) {
		FILE *in, *out;
		size_t n;

		if (strncmp(e->d_name, "userdata-", 9))
			continue;
		snprintf(path, sizeof(path), "%s/%s", from, e->d_name);
		in = fopen(path, "re");
		snprintf(path, sizeof(path), "%s/%s", to, e->d_name);
		out = fopen(path, "wxe");
		n = in ? fread(text, 1, sizeof(text), in) : 0;
		if (out && fwrite(text, 1, n, out) != n)
			perror(path);
		if (in)
			fclose(in);
		if (out)
			fclose(out);
	}
	if (dir)
		closedir(dir);
}

int gk_cmd_reclaim(int argc, char **argv)
{
	int json = 0, only_free = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = 1;
		else if (!strcmp(argv[i], "--free"))
			only_free = 1;
		else
			return gk_cli_usage("reclaim [--free] [--json]");
	}
	return ask(only_free ? "reclaim free=1" : "reclaim", RECLAIM_MS, json);
}

int gk_cmd_suspend(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return gk_cli_usage("suspend");
	return ask("suspend", SUSPEND_MS, 0);
}

int gk_cmd_resume(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return gk_cli_usage("resume");
	return ask("resume", SWITCHED_MS, 0);
}

int gk_cmd_trust(int argc, char **argv)
{
	char request[96];

	if (argc != 2 || argv[1][0] == '-' || has_blank(argv[1]) ||
	    strlen(argv[1]) > 63)
		return gk_cli_usage("trust PORT");
	snprintf(request, sizeof(request), "trust %s", argv[1]);
	return ask(request, SWITCHED_MS, 0);
}

int gk_cmd_stop(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return gk_cli_usage("stop");
	return ask("stop", STOP_MS, 0);
}

int gk_cmd_switched_root(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return gk_cli_usage("switched-root");
	carry_userdata();
	return ask("switched-root", SWITCHED_MS, 0);
}
