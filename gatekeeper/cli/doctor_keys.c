/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "dom0/paths.h"

enum {
	START_S = 5,
	LIST_S = 30,	   /* it also asks the keys that are plugged in */
	NOT_STARTED = 127, /* of the shell, of ld.so and of gk_cli_capture() */
};

static char out[64 << 10];

/* That a program is there does not say that its libraries are. */
static int starts(const char *name)
{
	char path[GK_PATH_MAX];
	const char *argv[] = { path, "--help", NULL };
	int status;

	if (gk_path(path, GK_LIB_DIR "/%s", name) || access(path, X_OK) < 0)
		return GK_ERR_NOT_FOUND;
	status = gk_cli_capture(argv, out, sizeof(out), START_S);
	return status < 0 || status >= NOT_STARTED ? GK_ERR_SYSTEM : 0;
}

static int check_programs(struct gk_doctor *d)
{
	static const char *const names[] = {
		"gatekeeper-unlock",
		"gatekeeper-key",
		"gatekeeper-enroll",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int err = starts(names[i]);

		if (!err)
			continue;
		gk_check(d, "unlocking", GK_FAIL,
			 err == GK_ERR_NOT_FOUND
				 ? "install it again"
				 : "ldd shows which library is missing; make deps",
			 GK_LIB_DIR "/%s %s", names[i],
			 err == GK_ERR_NOT_FOUND ? "is missing" : "does not start");
		return err;
	}
	return 0;
}

/* Without them nothing runs gatekeeper-unlock at the prompt. */
static int check_hooks(struct gk_doctor *d)
{
	static const char *const files[] = {
		"/usr/lib/systemd/system/gatekeeper-unlock.service",
		"/usr/lib/dracut/modules.d/[0-9][0-9]gatekeeper/"
		"cryptsetup-20-gatekeeper.conf",
		"/usr/lib/dracut/modules.d/[0-9][0-9]gatekeeper/ask.sh",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char pattern[GK_PATH_MAX];
		glob_t g;

		if (gk_path(pattern, "%s", files[i]))
			return GK_ERR_LIMIT;
		if (glob(pattern, 0, NULL, &g) == 0) {
			globfree(&g);
			continue;
		}
		gk_check(d, "unlocking", GK_FAIL, "install it again, and run dracut -f",
			 "%s is missing", pattern);
		return GK_ERR_NOT_FOUND;
	}
	return 0;
}

static void check_uhid(struct gk_doctor *d, const struct gk_options *o)
{
	if (o->uhid == GK_UHID_NO)
		return;
	if (gk_is_there("/dev/uhid", F_OK) || gk_has_module("uhid"))
		gk_check(d, "uhid", GK_FINE, NULL, "there");
	else
		gk_check(d, "uhid", GK_WARN, "use a kernel with CONFIG_UHID, or set "
			 "uhid = no", "this kernel has none: browsers and fido2-token do "
			 "not see security keys; unlocking does");
}

static unsigned count(const char *what)
{
	unsigned n = 0;

	for (const char *p = out; (p = strstr(p, what)); p++)
		n++;
	return n;
}

/* The LUKS2 volumes of crypttab, as gatekeeper-enroll sees them. */
static void check_tokens(struct gk_doctor *d)
{
	char path[GK_PATH_MAX];
	const char *argv[] = {
		path,	    "--root-prefix", gk_root_prefix, "--run-dir",
		gk_run_dir, "--list",	     "--json",	     NULL,
	};
	unsigned keys, readable, left;

	if (gk_path(path, GK_LIB_DIR "/gatekeeper-enroll"))
		return;
	if (gk_cli_capture(argv, out, sizeof(out), LIST_S) != 0) {
		gk_check(d, "security keys", GK_WARN, "see gatekeeper enroll --list",
			 "which volumes have one cannot be told");
		return;
	}
	keys = count("\"kind\":\"fido2\"");
	readable = count("\"fingerprint\":");
	left = count("\"kind\":\"left\"") + count("\"kind\":\"token-without-keyslot\"");
	if (readable < keys)
		gk_check(d, "security keys", GK_WARN,
			 "see gatekeeper enroll --list, and enroll them again",
			 "tokens of %u of %u keyslots cannot be read", keys - readable,
			 keys);
	else if (left)
		gk_check(d, "security keys", GK_WARN, "see gatekeeper enroll --list",
			 "keyslots that one opens: %u; something is left over in a "
			 "header", keys);
	else
		gk_check(d, "security keys", GK_FINE, NULL,
			 "keyslots that one opens: %u", keys);
}

void gk_doctor_keys(struct gk_doctor *d, const struct gk_options *o)
{
	if (check_programs(d) || check_hooks(d))
		return;
	gk_check(d, "unlocking", GK_FINE, NULL,
		 "its programs start, its hooks are there");
	check_uhid(d, o);
	check_tokens(d);
}
