/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeperd: see README.md for what it is trusted with. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"
#include "handoff/run.h"

#ifndef GK_VERSION
#define GK_VERSION "0.1"
#endif

enum { UINPUT_TRIES = 25, UINPUT_AGAIN_MS = 200 };

static void open_keyboard(struct gk_daemon *d);

static void remove_file(const char *name)
{
	char path[GK_PATH_MAX];

	if (gk_run_path(path, name) == 0)
		unlink(path);
}

/* --- the virtual keyboard --- */

static void on_uinput(void *ctx, uint32_t events)
{
	struct gk_daemon *d = ctx;
	int n = gk_keyboard_read(&d->keyboard);

	(void)events;
	if (n < 0) {
		gk_log(LOG_ERR, "the virtual keyboard broke: %s",
		       strerror(errno));
		gk_loop_del(d->loop, d->keyboard.fd);
		close(d->keyboard.fd);
		d->keyboard.fd = -1;
		d->keyboard_tries = 0;
		open_keyboard(d);
	} else if (n > 0) {
		gk_devices_lights(d, 0);
	}
}

static void keyboard_again(void *ctx)
{
	open_keyboard(ctx);
}

static void modprobe_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	if (end->status != 0)
		gk_log(LOG_WARNING, "modprobe uinput: %.200s", end->out);
	gk_timer_set(d->loop, &d->keyboard_timer, UINPUT_AGAIN_MS,
		     keyboard_again, d);
}

static void open_keyboard(struct gk_daemon *d)
{
	static const char *const argv[] = { "modprobe", "-q", "uinput", NULL };
	const struct gk_child_spec spec = {
		.name = "modprobe", .path = "modprobe", .argv = argv,
		.pass_fd = -1, .deadline_ms = 5000, .done = modprobe_done,
		.ctx = d,
	};
	int err = gk_keyboard_open(&d->keyboard);

	if (!err)
		err = gk_loop_add(d->loop, d->keyboard.fd, EPOLLIN, on_uinput,
				  d);
	if (!err) {
		gk_log(LOG_INFO, "virtual keyboard made");
		gk_gate_check_ready(d);
		return;
	}
	if (d->keyboard_tries++ == 0 && err == GK_ERR_NOT_FOUND &&
	    gk_child_start(d->loop, &spec, NULL) == 0)
		return;
	if (d->keyboard_tries < UINPUT_TRIES) {
		gk_timer_set(d->loop, &d->keyboard_timer, UINPUT_AGAIN_MS,
			     keyboard_again, d);
		return;
	}
	gk_log(LOG_ERR, "/dev/uinput: %s", strerror(errno));
	if (!gk_gate_is_alive(d))
		return;
	snprintf(d->cause, sizeof(d->cause), "dom0 cannot make a virtual "
		 "keyboard (/dev/uinput: %.60s)", strerror(errno));
	if (d->controllers)
		gk_gate_destroy(d, GK_AFTER_GIVE_UP);
	else
		gk_log(LOG_ERR, "%s", d->cause);
}

/* --- the start --- */

/* Of one that was killed a child may live a moment longer, and with it the lock. */
enum { LOCK_MS = 1000 };

static int prepare_run_dir(void)
{
	uint64_t deadline = gk_now_ms() + LOCK_MS;
	char path[GK_PATH_MAX];
	int fd;

	if (mkdir(gk_run_dir, 0755) < 0 && errno != EEXIST)
		return GK_ERR_SYSTEM;
	/* The link reader's root. */
	if (gk_run_path(path, "empty") ||
	    (mkdir(path, 0555) < 0 && errno != EEXIST))
		return GK_ERR_SYSTEM;
	if (gk_run_path(path, "lock"))
		return GK_ERR_LIMIT;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return GK_ERR_SYSTEM;
	/* Held, by this fd, as long as we live. */
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EINTR && errno != EWOULDBLOCK)
			return GK_ERR_SYSTEM;
		if (gk_now_ms() >= deadline)
			return GK_ERR_ORDER;
		gk_run_sleep_ms(10);
	}
	return 0;
}

static int64_t unit_start(void)
{
	const char *s = getenv("GATEKEEPER_UNIT_START_MS");
	char path[GK_PATH_MAX], text[32], *end;
	long long v, hundredths = 0;

	if (s) {
		v = strtoll(s, &end, 10);
		return end == s || *end || v < 0 ? -1 : (int64_t)v;
	}
	/* Left there by the dracut module, "SECONDS.HUNDREDTHS". */
	if (gk_run_path(path, "started") ||
	    gk_file_line(path, text, sizeof(text)) <= 0)
		return -1;
	v = strtoll(text, &end, 10);
	if (end == text || v < 0 || v > 1000000)
		return -1;
	if (*end == '.' && strlen(end + 1) == 2)
		hundredths = strtoll(end + 1, &end, 10);
	return *end ? -1 : (int64_t)(v * 1000 + hundredths * 10);
}

static int run(void)
{
	static struct gk_daemon d;
	struct gk_options_note note;
	int err;

	d.link_fd = d.control_fd = d.keyboard.fd = -1;
	d.xs.domid = -1;
	gk_times_init(&d.times);
	d.times.unit_start = unit_start();
	d.times.daemon_start = (int64_t)gk_now_ms();
	err = prepare_run_dir();
	if (err == GK_ERR_ORDER) {
		gk_log(LOG_ERR, "another gatekeeperd runs already");
		return 1;
	}
	if (err) {
		gk_log(LOG_ERR, "cannot make %s: %s", gk_run_dir,
		       strerror(errno));
		return 1;
	}
	if (gk_root_open())
		gk_log(LOG_WARNING, "no /proc: cannot follow a switch-root");
	gk_options_load(&d.opt, &note);
	if (note.text[0])
		gk_log(LOG_WARNING, "%s", note.text);
	gk_log(LOG_INFO, "version %s, start at %lld ms", GK_VERSION,
	       (long long)d.times.daemon_start);
	remove_file("ready");
	remove_file("failed");
	gk_gate_rules_given();
	if (gk_loop_open(&d.loop)) {
		gk_log(LOG_ERR, "no event loop: %s", strerror(errno));
		return 1;
	}
	d.in_initrd = gk_root_is_initrd();
	if (!d.in_initrd)
		gk_daemon_ordinary_name();
	d.keyboard.let_by = gk_options_let_by(&d.opt, !d.in_initrd);
	gk_screen_init(&d.screen, d.loop, d.in_initrd || d.opt.debug);
	gk_keyboards_load(&d);
	gk_devices_load(&d);
	gk_fido_start(&d);
	if (!d.in_initrd)
		gk_keyboards_keep(&d);
	if (!d.opt.enabled) {
		gk_log(LOG_NOTICE, "switched off (rd.gatekeeper=0)");
		d.state = GK_GATE_DISABLED;
		snprintf(d.cause, sizeof(d.cause), "switched off by "
			 "rd.gatekeeper=0");
		gk_daemon_publish(&d);
		return 0;
	}
	if (gk_control_open(&d)) {
		gk_log(LOG_ERR, "no control socket: %s", strerror(errno));
		return 1;
	}
	/* The keyboard first: the console may open it meanwhile. */
	open_keyboard(&d);
	if (!gk_handover_resume(&d))
		gk_gate_begin(&d);
	gk_target_watch(&d);
	gk_prompt_watch(&d);
	gk_loop_run(d.loop);
	gk_agent_stop(&d);
	gk_link_stop(&d);
	gk_log(LOG_INFO, "ends");
	return 0;
}

static void usage(FILE *to)
{
	fputs("usage: gatekeeperd [OPTION]...\n"
	      "Starts the gate domain, which owns the USB controllers, and "
	      "gives dom0 its\nkeyboards. Settings: gatekeeper.conf(5).\n\n"
	      "  --run-dir DIR       instead of /run/gatekeeper\n"
	      "  --root-prefix DIR   a directory that stands for the machine "
	      "(for tests)\n"
	      "  --help, --version\n", to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, 'r' },
		{ "root-prefix", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	gk_daemon_name(argv[0]);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			gk_run_dir = optarg;
			break;
		case 'p':
			gk_root_prefix = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("gatekeeperd " GK_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	gk_log_open("gatekeeperd");
	return run();
}
