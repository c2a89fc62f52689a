/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeper-unlock: see gatekeeper-unlock(8). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/options.h"
#include "dom0/paths.h"
#include "luks/serve.h"
#include "luks/text.h"
#include "luks/unit.h"

enum { EXIT_OPEN = 0, EXIT_NOT_OPEN = 1, EXIT_WRONG_USE = 2 };

static struct settings {
	const char *options, *unit, *console, *locale, *language;
	int serve, json, test, alone;
	int kind;		/* enum gk_prompt_kind, -1: as the system is */
	const char *volume, *device;
} set = { .kind = -1, .console = "/dev/console", .options = "" };

static struct gk_loop *loop;
static struct gk_unlock_how result = { .end = GK_UNLOCK_STOPPED };

static const char help[] =
	"usage: gatekeeper-unlock [OPTIONS] VOLUME DEVICE\n"
	"       gatekeeper-unlock [OPTIONS] --unit NAME\n"
	"       gatekeeper-unlock [OPTIONS] --serve\n"
	"Opens a LUKS2 volume by a security key or a passphrase.\n"
	"  --options LIST     as in crypttab(5): discard,header=PATH,...\n"
	"  --unit NAME        VOLUME, DEVICE and options of a systemd-cryptsetup@ unit\n"
	"  --serve            asks for all those that the other two forms are run for\n"
	"  --test             tries, opens nothing\n"
	"  --alone            does not ask the process that serves\n"
	"  --prompt KIND      systemd, plymouth or console\n"
	"  --console PATH     the terminal of --prompt console\n"
	"  --language CODE    of what is asked and said, e.g. de\n"
	"  --json             one object at the end\n"
	"  --run-dir DIR      instead of /run/gatekeeper\n"
	"  --key-program PATH instead of " GK_LIB_DIR "/gatekeeper-key\n"
	"  --root-prefix DIR, --locale-dir DIR   for tests\n"
	"Exit status: 0 open, 1 not, 2 wrong usage. See gatekeeper-unlock(8).\n";

/* Secrets stay out of core files, of swap and of what others may read. */
static void protect(void)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		gk_log(LOG_WARNING, "core files are not off: %s", strerror(errno));
	/* What is made later, too; without the right to (tests) it may not. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 && geteuid() == 0)
		gk_log(LOG_WARNING, "memory is not locked: %s", strerror(errno));
}

static const char *end_text(enum gk_unlock_end end)
{
	switch (end) {
	case GK_UNLOCK_OPENED:
		return "opened";
	case GK_UNLOCK_ACTIVE:
		return "it was open already";
	case GK_UNLOCK_WRONG:
		return "too many wrong passphrases";
	case GK_UNLOCK_IDLE:
		return "nobody typed anything";
	case GK_UNLOCK_NO_PROMPT:
		return "there is nothing to ask on";
	case GK_UNLOCK_BROKEN:
		return "the secret was right, and it cannot be opened";
	case GK_UNLOCK_NOT_OURS:
		return "no security key is enrolled, or it is opened in another way";
	case GK_UNLOCK_STOPPED:
		break;
	}
	return "stopped";
}

static void put_time(struct gk_json *j, const char *key, int64_t ms)
{
	if (ms < 0)
		gk_json_null(j, key);
	else
		gk_json_number(j, key, ms);
}

static int report(void)
{
	int open = result.end == GK_UNLOCK_OPENED || result.end == GK_UNLOCK_ACTIVE;
	struct gk_json j;
	char buf[1024];

	if (!set.json)
		goto out;
	gk_json_init(&j, buf, sizeof(buf));
	gk_json_object(&j, NULL);
	gk_json_string(&j, "volume", set.volume);
	gk_json_bool(&j, "open", open);
	gk_json_string(&j, "result", end_text(result.end));
	gk_json_string(&j, "by", result.by[0] ? result.by : NULL);
	gk_json_string(&j, "port", result.port[0] ? result.port : NULL);
	put_time(&j, "key_to_touch_ms", result.key_to_touch_ms);
	put_time(&j, "key_to_open_ms", result.touch_to_open_ms);
	put_time(&j, "keyslot_ms", result.keyslot_ms);
	put_time(&j, "pbkdf_ms", result.pbkdf_ms);
	put_time(&j, "total_ms", result.total_ms);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) >= 0)
		puts(buf);
out:
	/* A unit whose volume is not ours has not failed. */
	if (set.unit && result.end == GK_UNLOCK_NOT_OURS)
		return EXIT_OPEN;
	return open ? EXIT_OPEN : EXIT_NOT_OPEN;
}

static void done(void *ctx, const struct gk_unlock_how *how)
{
	(void)ctx;
	result = *how;
	gk_loop_stop(loop);
}

static enum gk_prompt_kind kind_of_system(void)
{
	if (set.kind >= 0)
		return (enum gk_prompt_kind)set.kind;
	if (access("/run/systemd/system", F_OK) == 0)
		return GK_PROMPT_SYSTEMD;
	return access("/run/plymouth/pid", F_OK) == 0 ? GK_PROMPT_PLYMOUTH
						      : GK_PROMPT_CONSOLE;
}

/* Both ways in: the loop, the prompt and the keys. */
static int start(struct gk_unlock **u)
{
	static struct gk_prompt prompt;
	char keys[GK_PATH_MAX];
	int err;

	protect();
	gk_text_open(set.language, set.locale);
	err = gk_run_path(keys, "fido");
	if (!err)
		err = gk_loop_open(&loop);
	if (!err)
		err = gk_prompt_open(&prompt, loop, kind_of_system(), set.console);
	if (!err)
		err = gk_unlock_open(loop, &prompt, keys, u);
	if (err)
		gk_log(LOG_ERR, "cannot start: %s (%s)", gk_strerror(err),
		       strerror(errno));
	return err;
}

static int serve(const char *socket)
{
	struct gk_unlock *u;

	return start(&u) ? EXIT_NOT_OPEN : gk_serve(loop, u, socket, set.test);
}

static int open_here(void)
{
	static struct gk_volume v;
	struct gk_unlock *u;
	const char *why = "";
	unsigned id;
	int err;

	result.end = GK_UNLOCK_NOT_OURS;
	err = gk_volume_set(&v, set.volume, set.device, set.options, &why);
	v.test_only = set.test;
	if (!err && !v.test_only && gk_volume_is_active(&v)) {
		result.end = GK_UNLOCK_ACTIVE;
		return report();
	}
	if (!err)
		err = gk_volume_load(&v, &why);
	if (!err && !v.tokens) {
		err = GK_ERR_NOT_FOUND;
		why = "no security key is enrolled";
	}
	if (err) {
		gk_log(LOG_INFO, "%s is left to the system: %s", v.name, why);
		return report();
	}
	result.end = GK_UNLOCK_STOPPED;
	if (start(&u))
		return report();
	if (gk_unlock_add(u, &v, done, NULL, &id) == 0)
		gk_loop_run(loop);
	gk_unlock_close(u);
	return report();
}

static int open_unit(struct gk_unit *unit)
{
	int err = gk_unit_read(set.unit, unit);

	if (err) {
		gk_log(LOG_WARNING, "%s: %s", set.unit, gk_strerror(err));
		return EXIT_NOT_OPEN;
	}
	set.volume = unit->volume;
	set.device = unit->device;
	set.options = unit->options;
	return -1;
}

static int kind(const char *name)
{
	static const char *const names[] = {
		[GK_PROMPT_SYSTEMD] = "systemd",
		[GK_PROMPT_PLYMOUTH] = "plymouth",
		[GK_PROMPT_CONSOLE] = "console",
	};

	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

static int read_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "options", required_argument, NULL, 'o' },
		{ "unit", required_argument, NULL, 'u' },
		{ "serve", no_argument, NULL, 's' },
		{ "test", no_argument, NULL, 't' },
		{ "alone", no_argument, NULL, 'a' },
		{ "prompt", required_argument, NULL, 'p' },
		{ "console", required_argument, NULL, 'c' },
		{ "language", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "key-program", required_argument, NULL, 'k' },
		{ "root-prefix", required_argument, NULL, 'R' },
		{ "locale-dir", required_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			set.options = optarg;
			break;
		case 'u':
			set.unit = optarg;
			break;
		case 's':
			set.serve = 1;
			break;
		case 't':
			set.test = 1;
			break;
		case 'a':
			set.alone = 1;
			break;
		case 'p':
			set.kind = kind(optarg);
			if (set.kind < 0)
				return -1;
			break;
		case 'c':
			set.console = optarg;
			break;
		case 'l':
			set.language = optarg;
			break;
		case 'j':
			set.json = 1;
			break;
		case 'r':
			gk_run_dir = optarg;
			break;
		case 'k':
			gk_key_program = optarg;
			break;
		case 'R':
			gk_root_prefix = optarg;
			break;
		case 'L':
			set.locale = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(EXIT_OPEN);
		default:
			return -1;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 2 && !set.unit && !set.serve) {
		set.volume = argv[0];
		set.device = argv[1];
		return 0;
	}
	return argc == 0 && !set.unit == !!set.serve ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct gk_unit unit;
	static struct gk_options o;
	struct gk_options_note note;
	char socket[GK_PATH_MAX];

	if (read_options(argc, argv)) {
		fputs(help, stderr);
		return EXIT_WRONG_USE;
	}
	gk_log_open("gatekeeper-unlock");
	gk_options_load(&o, &note);
	if (!set.language && o.language[0])
		set.language = o.language;
	if (gk_run_path(socket, "unlock"))
		return EXIT_WRONG_USE;
	if (set.serve)
		return serve(socket);
	if (set.unit) {
		int status = open_unit(&unit);

		if (status >= 0)
			return status;
		if (unit.key_file[0]) {
			result.end = GK_UNLOCK_NOT_OURS;
			return report();
		}
	}
	if (!set.alone && gk_serve_ask(socket, set.volume, set.device, set.options,
				       &result) == GK_OK)
		return report();
	/* Where nobody serves, units are not ours: rd.gatekeeper=0, no Xen. */
	if (set.unit) {
		result.end = GK_UNLOCK_NOT_OURS;
		return report();
	}
	return open_here();
}
