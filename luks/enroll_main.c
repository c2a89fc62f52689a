/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeper-enroll: what `gatekeeper enroll` runs; see gatekeeper-enroll(8). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dom0/log.h"
#include "dom0/paths.h"
#include "luks/enroll.h"

enum {
	WAIT_MAX = 600,
	STACK = 256 << 10,	/* more than is used here */
};

static struct gk_enroll enroll = { .recovery = -1, .wait_s = 60 };
static int list, test;

static const char help[] =
	"usage: gatekeeper enroll [OPTIONS] VOLUME\n"
	"       gatekeeper enroll --list [--json] [VOLUME]\n"
	"       gatekeeper enroll --remove ID [--force] [VOLUME]\n"
	"       gatekeeper enroll --test [VOLUME]\n"
	"Lets a security key open a LUKS2 volume. VOLUME is a device, a name in\n"
	"crypttab or that of an open volume; without one, the only one in crypttab.\n"
	"  --key PORT              the key at that port\n"
	"  --no-pin                it is to open the volume without its PIN\n"
	"  --no-touch              and without being touched\n"
	"  --fingerprint           by a fingerprint that it knows in place of its PIN\n"
	"  --unlock-key-file FILE  instead of a passphrase that is valid now\n"
	"  --unlock-by-key PORT    likewise, a key that is enrolled\n"
	"  --recovery              a recovery passphrase, too\n"
	"  --no-recovery           do not ask for one\n"
	"  --list                  each keyslot, what it is for; what is left over\n"
	"  --remove ID             a keyslot by its number, or token:NUMBER\n"
	"  --force                 even if no passphrase is left\n"
	"  --test                  does the key that is plugged in open it\n"
	"  --wait SECONDS          for a key to be plugged in, default 60\n"
	"  --json                  with --list\n"
	"  --run-dir DIR, --root-prefix DIR, --key-program PATH   for tests\n"
	"Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n";

/* Secrets stay out of core files and of swap; without the right to (tests) they
 * may not. What a PBKDF takes later is not locked: it may be a gigabyte. So the
 * stack has to be there before. */
static void protect(void)
{
	volatile char stack[STACK];
	struct rlimit none = { 0, 0 };

	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		gk_log(LOG_WARNING, "core files are not off: %s", strerror(errno));
	if (mlockall(MCL_CURRENT) < 0 && geteuid() == 0)
		gk_log(LOG_WARNING, "memory is not locked: %s", strerror(errno));
}

/* Two at once would take the same keyslot; held until the end. */
static int alone(void)
{
	char path[GK_PATH_MAX];
	int fd;

	if (gk_run_path(path, "enroll.lock"))
		return 0;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* No directory: no gatekeeperd either; --list does without. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 1;
	return 0;
}

static int number(const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	return s[0] < '0' || s[0] > '9' || *end || n > WAIT_MAX ? -1 : (int)n;
}

enum choice {
	OPT_KEY = 'k', OPT_FILE = 'f', OPT_BY_KEY = 'b', OPT_LIST = 'l',
	OPT_REMOVE = 'r', OPT_TEST = 't', OPT_WAIT = 'w', OPT_RUN = 'R',
	OPT_PREFIX = 'P', OPT_PROGRAM = 'p', OPT_HELP = 'h',
};

static int take(int c)
{
	int n;

	switch ((enum choice)c) {
	case OPT_KEY:
		enroll.port = optarg;
		return 0;
	case OPT_FILE:
		enroll.key_file = optarg;
		return 0;
	case OPT_BY_KEY:
		enroll.by_key = optarg;
		return 0;
	case OPT_LIST:
		list = 1;
		return 0;
	case OPT_REMOVE:
		enroll.id = optarg;
		return 0;
	case OPT_TEST:
		test = 1;
		return 0;
	case OPT_WAIT:
		n = number(optarg);
		enroll.wait_s = (unsigned)n;
		return n < 0 ? -1 : 0;
	case OPT_RUN:
		gk_run_dir = optarg;
		return 0;
	case OPT_PREFIX:
		gk_root_prefix = optarg;
		return 0;
	case OPT_PROGRAM:
		gk_key_program = optarg;
		return 0;
	case OPT_HELP:
		fputs(help, stdout);
		exit(GK_ENROLL_DONE);
	}
	return -1;
}

static int read_options(int argc, char **argv)
{
	const struct option long_options[] = {
		{ "key", required_argument, NULL, OPT_KEY },
		{ "no-pin", no_argument, &enroll.no_pin, 1 },
		{ "no-touch", no_argument, &enroll.no_touch, 1 },
		{ "fingerprint", no_argument, &enroll.fingerprint, 1 },
		{ "unlock-key-file", required_argument, NULL, OPT_FILE },
		{ "unlock-by-key", required_argument, NULL, OPT_BY_KEY },
		{ "recovery", no_argument, &enroll.recovery, 1 },
		{ "no-recovery", no_argument, &enroll.recovery, 0 },
		{ "list", no_argument, NULL, OPT_LIST },
		{ "remove", required_argument, NULL, OPT_REMOVE },
		{ "force", no_argument, &enroll.force, 1 },
		{ "test", no_argument, NULL, OPT_TEST },
		{ "wait", required_argument, NULL, OPT_WAIT },
		{ "json", no_argument, &enroll.json, 1 },
		{ "run-dir", required_argument, NULL, OPT_RUN },
		{ "root-prefix", required_argument, NULL, OPT_PREFIX },
		{ "key-program", required_argument, NULL, OPT_PROGRAM },
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		if (c != 0 && take(c))
			return -1;
	if (argc - optind > 1)
		return -1;
	enroll.volume = argv[optind];
	return 0;
}

/* One command, and only options that it has. */
static int is_sound(void)
{
	int other = list + test + (enroll.id != NULL);
	int adds = enroll.no_pin || enroll.no_touch || enroll.fingerprint ||
		   enroll.recovery >= 0;

	if (other > 1 || (enroll.json && !list) || (enroll.force && !enroll.id) ||
	    (other && adds) || (!other && !enroll.volume) ||
	    (enroll.key_file && enroll.by_key) ||
	    (enroll.fingerprint && (enroll.no_pin || enroll.no_touch)))
		return 0;
	if ((list || test) && (enroll.key_file || enroll.by_key))
		return 0;
	return !(enroll.port && (list || enroll.id)) &&
	       !(enroll.port && enroll.by_key && !strcmp(enroll.port, enroll.by_key));
}

int main(int argc, char **argv)
{
	if (read_options(argc, argv) || !is_sound()) {
		fputs(help, stderr);
		return GK_ENROLL_USAGE;
	}
	gk_log_open("gatekeeper-enroll");
	protect();
	if (gk_loop_open(&enroll.loop)) {
		gk_fail("cannot start: %s", strerror(errno));
		return GK_ENROLL_FAILED;
	}
	if (list)
		return gk_enroll_list(&enroll);
	if (test)
		return gk_enroll_test(&enroll);
	if (!alone()) {
		gk_fail("another enrolment is under way");
		return GK_ENROLL_FAILED;
	}
	return enroll.id ? gk_enroll_remove(&enroll) : gk_enroll_add(&enroll);
}
