/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which form of `gatekeeper inspect` it is, and what they share. */
#include <stdio.h>
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

int gk_cmd_inspect(int argc, char **argv)
{
	static const char usage[] =
		"inspect [--json] FILE | --hid-report FILE | --replay FILE";
	int (*form)(const char *file, int json) = gk_inspect_usb;
	const char *file = NULL;
	int json = 0;

	for (int i = 1; i < argc; i++) {
		int hid = !strcmp(argv[i], "--hid-report");
		int replay = !strcmp(argv[i], "--replay");

		if (!strcmp(argv[i], "--json")) {
			json = 1;
		} else if ((hid || replay) && !file && i + 1 < argc) {
			form = hid ? gk_inspect_hid_report : gk_inspect_replay;
			file = argv[++i];
		} else if (argv[i][0] != '-' && !file) {
			file = argv[i];
		} else {
			return gk_cli_usage(usage);
		}
	}
	return file ? form(file, json) : gk_cli_usage(usage);
}
