/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which form of `gatekeeper inspect` it is, and what they share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/inspect.h"
#include "core/link.h"
#include "dom0/paths.h"

const char *gk_role_name(uint8_t role)
{
	switch (role) {
	case GK_ROLE_KEYBOARD:
		return "keyboard";
	case GK_ROLE_FIDO:
		return "fido";
	case GK_ROLE_SMARTCARD:
		return "smartcard";
	case GK_ROLE_POINTER:
		return "pointer";
	default:
		return NULL;
	}
}

void gk_inspect_roles(struct gk_json *o, uint8_t roles)
{
	gk_json_array(o, "roles");
	for (unsigned bit = 0; bit < 4; bit++)
		if (roles >> bit & 1)
			gk_json_string(o, NULL, gk_role_name((uint8_t)(1u << bit)));
	gk_json_end_array(o);
}

void gk_inspect_role_list(uint8_t roles, char out[64])
{
	size_t at = 0;

	snprintf(out, 64, "no role");
	for (unsigned bit = 0; bit < 4; bit++)
		if (roles >> bit & 1)
			at += (size_t)snprintf(out + at, 64 - at, "%s%s", at ? ", " : "",
					       gk_role_name((uint8_t)(1u << bit)));
}

ssize_t gk_inspect_read(const char *file, char *buf, size_t cap)
{
	ssize_t len = gk_file_read(file, buf, cap);

	if (len == GK_ERR_SYSTEM) {
		fprintf(stderr, "gatekeeper: %s cannot be read\n", file);
		return len;
	}
	return len < 0 ? (ssize_t)cap - 1 : len;
}

static const char usage[] =
	"inspect [--json] [--rules FILE] [--report N=FILE]... [--port PORT]\n"
	"           [--serial TEXT] [--name TEXT] FILE\n"
	"       gatekeeper inspect [--json] --hid-report FILE | --replay FILE";

static int add_report(struct gk_inspect_more *more, const char *text)
{
	struct gk_inspect_report *r = &more->report[more->reports];
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '=' || n > 255 || !end[1] ||
	    more->reports == GK_INSPECT_REPORTS)
		return -1;
	r->interface = (unsigned)n;
	r->file = end + 1;
	more->reports++;
	return 0;
}

int gk_cmd_inspect(int argc, char **argv)
{
	int (*form)(const char *file, int json) = NULL;
	struct gk_inspect_more more = { .rules = NULL };
	const struct {
		const char *name, **value;
	} texts[] = {
		{ "--rules", &more.rules },
		{ "--port", &more.port },
		{ "--serial", &more.serial },
		{ "--name", &more.name },
	};
	const char *file = NULL;
	int json = 0, mores = 0;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		int hid = !strcmp(argv[i], "--hid-report");
		int replay = !strcmp(argv[i], "--replay");
		int known = 0;

		for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
			if (!strcmp(argv[i], texts[t].name) && value) {
				*texts[t].value = value;
				known = 1;
			}
		if (!strcmp(argv[i], "--report") && value && !add_report(&more, value))
			known = 1;
		if (known) {
			mores = 1;
			i++;
		} else if (!strcmp(argv[i], "--json")) {
			json = 1;
		} else if ((hid || replay) && !file && value) {
			form = hid ? gk_inspect_hid_report : gk_inspect_replay;
			file = argv[++i];
		} else if (argv[i][0] != '-' && !file) {
			file = argv[i];
		} else {
			return gk_cli_usage(usage);
		}
	}
	if (!file || (form && mores))
		return gk_cli_usage(usage);
	return form ? form(file, json) : gk_inspect_usb(file, json, &more);
}
