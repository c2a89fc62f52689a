/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gk-usb-device: one virtual USB device on a UNIX socket, see README.md. */
#include "vdev.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct gk_kind *kinds;

void gk_kind_register(struct gk_kind *kind)
{
	struct gk_kind **p = &kinds;

	while (*p && strcmp((*p)->name, kind->name) < 0)
		p = &(*p)->next;
	kind->next = *p;
	*p = kind;
}

void gk_variants_register(const struct gk_kind *common,
			  const struct gk_variant *variants, size_t n,
			  struct gk_kind *slots)
{
	size_t i;

	for (i = 0; i < n; i++) {
		slots[i] = *common;
		slots[i].name = variants[i].name;
		slots[i].summary = variants[i].summary;
		slots[i].variant = &variants[i];
		gk_kind_register(&slots[i]);
	}
}

static struct gk_kind *kind_by_name(const char *name)
{
	struct gk_kind *k;

	for (k = kinds; k; k = k->next) {
		if (!strcmp(k->name, name))
			return k;
	}
	return NULL;
}

static int list(void)
{
	const struct gk_kind *k;

	for (k = kinds; k; k = k->next)
		printf("%-16s %s\n", k->name, k->summary);
	return 0;
}

static int usage(FILE *f)
{
	const struct gk_kind_option *o;
	const struct gk_kind *k;

	fprintf(f,
"usage: gk-usb-device KIND --listen PATH | --connect PATH [options]\n"
"       gk-usb-device --list\n"
"  --listen PATH       serve usbredir on a UNIX socket\n"
"  --connect PATH      or connect to one, again and again\n"
"  --control PATH      take script lines there, as on stdin\n"
"  --stamps PATH       a line there for each report: CLOCK_MONOTONIC in ns, hex\n"
"  --vid HEX --pid HEX --serial TEXT\n"
"  --speed low|full|high\n"
"  --port-note TEXT    comes back in the statistics\n"
"  --unplugged         plugged in only by the script\n"
"  --stall-seconds N   error when the host takes no report so long (20)\n"
"  --max-seconds N     ends itself with status 1 after so long (1800)\n"
"  --verbose           what the host does, on stderr\n");
	for (k = kinds; k; k = k->next) {
		for (o = k->options; o && o->name; o++)
			fprintf(f, "  --%s %s\n                      %s only: %s\n",
				o->name, o->value ? o->value : "", k->name,
				o->help);
	}
	return 2;
}

static int parse_hex(const char *text, int *value)
{
	char *end;
	unsigned long n = strtoul(text, &end, 16);

	if (!*text || *end || n > 0xffff)
		return -1;
	*value = (int)n;
	return 0;
}

static int parse_seconds(const char *text, unsigned int *value)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !n || n > 86400)
		return -1;
	*value = (unsigned int)n;
	return 0;
}

/* These go into descriptors and JSON as they are. */
static int parse_text(const char *text, const char **value)
{
	const char *p;

	for (p = text; *p; p++) {
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			return -1;
	}
	if (p - text >= 64)
		return -1;
	*value = text;
	return 0;
}

static int parse_speed(const char *text, int *value)
{
	if (!strcmp(text, "low"))
		*value = GK_LOW;
	else if (!strcmp(text, "full"))
		*value = GK_FULL;
	else if (!strcmp(text, "high"))
		*value = GK_HIGH;
	else
		return -1;
	return 0;
}

enum {
	OPT_LISTEN = 256, OPT_CONNECT, OPT_CONTROL, OPT_STAMPS, OPT_VID, OPT_PID,
	OPT_SERIAL, OPT_SPEED, OPT_PORT_NOTE, OPT_UNPLUGGED, OPT_STALL,
	OPT_MAX, OPT_VERBOSE, OPT_LIST, OPT_HELP, OPT_KIND,
};

static const struct option general[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "connect", required_argument, NULL, OPT_CONNECT },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "stamps", required_argument, NULL, OPT_STAMPS },
	{ "vid", required_argument, NULL, OPT_VID },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "serial", required_argument, NULL, OPT_SERIAL },
	{ "speed", required_argument, NULL, OPT_SPEED },
	{ "port-note", required_argument, NULL, OPT_PORT_NOTE },
	{ "unplugged", no_argument, NULL, OPT_UNPLUGGED },
	{ "stall-seconds", required_argument, NULL, OPT_STALL },
	{ "max-seconds", required_argument, NULL, OPT_MAX },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "help", no_argument, NULL, OPT_HELP },
};

enum { GENERAL = sizeof(general) / sizeof(general[0]), OPTIONS_MAX = 64 };

/* The general ones, those of all kinds, and the end. */
static void all_options(struct option longs[OPTIONS_MAX])
{
	const struct gk_kind_option *o;
	const struct gk_kind *k;
	size_t n = GENERAL;

	memset(longs, 0, OPTIONS_MAX * sizeof(longs[0]));
	memcpy(longs, general, sizeof(general));
	for (k = kinds; k; k = k->next) {
		for (o = k->options; o && o->name && n < OPTIONS_MAX - 1; o++)
			longs[n++] = (struct option){
				o->name, o->value ? required_argument :
						    no_argument,
				NULL, OPT_KIND };
	}
}

static int keep_option(struct gk_options *o, const char *name, const char *value)
{
	if (o->n_kind == GK_KIND_OPTIONS)
		return -1;
	o->kind[o->n_kind].name = name;
	o->kind[o->n_kind++].value = value;
	return 0;
}

/* 0: go on; 1: the list was asked for; 2: the help; -1: wrong usage. */
static int parse(int argc, char **argv, struct gk_options *o)
{
	struct option longs[OPTIONS_MAX];
	int i = 0;
	int c, bad = 0;

	all_options(longs);
	while ((c = getopt_long(argc, argv, "", longs, &i)) != -1) {
		switch (c) {
		case OPT_LISTEN:
			o->listen_path = optarg;
			break;
		case OPT_CONNECT:
			o->connect_path = optarg;
			break;
		case OPT_CONTROL:
			o->control_path = optarg;
			break;
		case OPT_STAMPS:
			o->stamps_path = optarg;
			break;
		case OPT_VID:
			bad |= parse_hex(optarg, &o->vid);
			break;
		case OPT_PID:
			bad |= parse_hex(optarg, &o->pid);
			break;
		case OPT_SERIAL:
			bad |= parse_text(optarg, &o->serial);
			break;
		case OPT_SPEED:
			bad |= parse_speed(optarg, &o->speed);
			break;
		case OPT_PORT_NOTE:
			bad |= parse_text(optarg, &o->port_note);
			break;
		case OPT_UNPLUGGED:
			o->start_unplugged = true;
			break;
		case OPT_STALL:
			bad |= parse_seconds(optarg, &o->stall_seconds);
			/* gk_vdev_timer() counts microseconds in 32 bits */
			if (o->stall_seconds > 4000)
				bad = -1;
			break;
		case OPT_MAX:
			bad |= parse_seconds(optarg, &o->max_seconds);
			break;
		case OPT_VERBOSE:
			o->verbose = true;
			break;
		case OPT_KIND:
			bad |= keep_option(o, longs[i].name, optarg);
			break;
		case OPT_LIST:
			return 1;
		case OPT_HELP:
			return 2;
		default:
			return -1;
		}
		if (bad) {
			fprintf(stderr, "gk-usb-device: not understood: %s\n",
				optarg ? optarg : longs[i].name);
			return -1;
		}
	}
	return 0;
}

static void time_up(void *arg)
{
	struct gk_vdev *dev = arg;

	fprintf(stderr, "%s: --max-seconds is over\n", dev->kind->name);
	gk_loop_quit(&dev->loop, 1);
}

static void signal_ready(void *arg, uint32_t events)
{
	struct gk_vdev *dev = arg;

	(void)events;
	gk_loop_quit(&dev->loop, 0);
}

/* SIGTERM and the like end the program in order, so that sockets go away. */
static int signals(struct gk_vdev *dev, struct gk_source *source)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	*source = (struct gk_source){
		.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
		.ready = signal_ready, .arg = dev,
	};
	if (source->fd < 0)
		return -1;
	return gk_loop_add(&dev->loop, source, EPOLLIN);
}

static bool has_option(const struct gk_kind *kind, const char *name)
{
	const struct gk_kind_option *o = kind->options;

	while (o && o->name && strcmp(o->name, name))
		o++;
	return o && o->name;
}

/* 0, or -1 with a message on stderr. */
static int kind_options(struct gk_vdev *dev)
{
	const struct gk_options *o = dev->opt;
	size_t i;

	for (i = 0; i < o->n_kind; i++) {
		if (has_option(dev->kind, o->kind[i].name) &&
		    dev->kind->option(dev, o->kind[i].name, o->kind[i].value) == 0)
			continue;
		fprintf(stderr, "gk-usb-device: not understood for %s: --%s %s\n",
			dev->kind->name, o->kind[i].name,
			o->kind[i].value ? o->kind[i].value : "");
		return -1;
	}
	return 0;
}

static int run(struct gk_vdev *dev)
{
	struct gk_timer limit = { .fire = time_up, .arg = dev };
	struct gk_source signal_source = { .fd = -1 };
	int status = 1;

	dev->listener.fd = -1;
	dev->control_listener.fd = -1;
	dev->peer.fd = -1;
	if (gk_loop_init(&dev->loop) < 0 || signals(dev, &signal_source) < 0) {
		perror("gk-usb-device");
		goto out;
	}
	if (dev->opt->stamps_path) {
		dev->stamps = fopen(dev->opt->stamps_path, "we");
		if (!dev->stamps) {
			perror(dev->opt->stamps_path);
			goto out;
		}
		/* A scenario reads it while the device is at work. */
		setvbuf(dev->stamps, NULL, _IOLBF, BUFSIZ);
	}
	if (gk_desc_init(dev) < 0 || kind_options(dev) < 0)
		goto out;
	if (dev->kind->init && dev->kind->init(dev) < 0)
		goto out;
	if (gk_redir_init(dev) < 0 || gk_script_init(dev) < 0)
		goto out_kind;
	gk_loop_timer_at(&dev->loop, &limit, gk_now_ns() +
			 dev->opt->max_seconds * 1000000000ull);
	if (!dev->opt->connect_path) {
		puts("ready");
		fflush(stdout);
	}
	status = gk_loop_run(&dev->loop);
out_kind:
	gk_redir_done(dev);
	gk_script_done(dev);
	if (dev->kind->done)
		dev->kind->done(dev);
out:
	if (dev->stamps && fclose(dev->stamps) != 0)
		status = 1;
	gk_desc_done(dev);
	if (signal_source.fd >= 0)
		close(signal_source.fd);
	gk_loop_done(&dev->loop);
	return status;
}

int main(int argc, char **argv)
{
	struct gk_options opt = {
		.vid = -1, .pid = -1, .speed = -1,
		.max_seconds = 1800, .stall_seconds = 20,
	};
	pid_t parent = getppid();
	struct gk_vdev *dev;
	struct gk_kind *kind;
	int status;

	status = parse(argc, argv, &opt);
	if (status == 1)
		return list();
	if (status == 2) {
		usage(stdout);
		return 0;
	}
	if (status < 0 || optind != argc - 1 ||
	    !opt.listen_path == !opt.connect_path)
		return usage(stderr);
	kind = kind_by_name(argv[optind]);
	if (!kind) {
		fprintf(stderr, "gk-usb-device: no such kind: %s\n",
			argv[optind]);
		return usage(stderr);
	}
	if (opt.speed < 0)
		opt.speed = (int)kind->speed;
	if (!(kind->speeds & GK_SPEED_BIT((unsigned int)opt.speed))) {
		fprintf(stderr, "gk-usb-device: %s has no such speed\n",
			kind->name);
		return 2;
	}
	/* No test leaves a device behind: not with its parent dead... */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		return 1;
	/* ...and not with the loop stuck in a write to a full stdout. */
	alarm(opt.max_seconds + 5);

	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return 1;
	dev->kind = kind;
	dev->opt = &opt;
	dev->speed = (enum gk_speed)opt.speed;
	dev->state = calloc(1, kind->state_size + 1);
	status = dev->state ? run(dev) : 1;
	free(dev->state);
	free(dev);
	return status;
}
