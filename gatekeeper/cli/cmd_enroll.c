/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Enrolling needs libcryptsetup and holds secrets: another program, luks/. */
#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "dom0/paths.h"

enum { WORDS = 64 };

int gk_cmd_enroll(int argc, char **argv)
{
	static const char dir[] = "--run-dir", prefix[] = "--root-prefix";
	const char *words[WORDS + 6];
	char path[GK_PATH_MAX];
	int n = 0;

	if (argc > WORDS || gk_path(path, GK_LIB_DIR "/gatekeeper-enroll"))
		return GK_EXIT_USAGE;
	words[n++] = "gatekeeper-enroll";
	if (gk_root_prefix[0]) {
		words[n++] = prefix;
		words[n++] = gk_root_prefix;
	}
	words[n++] = dir;
	words[n++] = gk_run_dir;
	for (int i = 1; i < argc; i++)
		words[n++] = argv[i];
	words[n] = NULL;
	execv(path, (char *const *)(uintptr_t)words);
	fprintf(stderr, "gatekeeper: %s: %s\n", path, strerror(errno));
	return GK_EXIT_FAILED;
}
