/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper-agent: the supervisor's place in a USB domain, beside a whole system
 * whose kernel has drivers. gatekeeper-agent(8).
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_filter.h"
#include "core/manifest.h"
#include "domain/child.h"
#include "domain/clock.h"
#include "domain/devices.h"
#include "domain/digest.h"
#include "domain/hostdrivers.h"
#include "domain/log.h"
#include "domain/supervisor.h"
#include "duty.h"
#include "kernel.h"

#define RUN "/run/gatekeeper-agent"
#define BEFORE RUN "/authorized_default"
#define EMPTY RUN "/root"
#define WORKER "gatekeeper-worker"

enum {
	/* Not used by any system: above what systemd gives to containers, below its
	 * foreign images (systemd's UIDS-GIDS.md). */
	WORKER_UID = 2000000000,
	/* Xen's device nodes come by modules that the unit loads. */
	XEN_MS = 10000,
	XEN_POLL_MS = 50,
	/* libxenvchan waits for xenstored as long as that takes. */
	START_S = 30,
};

static struct {
	struct gk_duty duty;
	struct gk_manifest_reader reader;
	char rules_said[GK_LINK_TEXT + 1];
	int said_too_many;
	pid_t giver;
} agent;

static int begin(void)
{
	alarm(0);
	gk_duty_init(&agent.duty, gk_clock_ms());
	return GK_OK;
}

static void hold(void)
{
	if (gk_kernel_hold() < 0)
		gk_kmsg(3, "new devices cannot be held back");
}

static void hello(void)
{
	memset(&agent.reader, 0, sizeof(agent.reader));
	if (gk_duty_hello(&agent.duty)) {
		if (agent.giver > 0)
			kill(agent.giver, SIGKILL);
		agent.giver = 0;
		gk_kmsg(5, "dom0 is there: what is plugged in waits for its rules");
		hold();
	}
	gk_supervisor_log(6, agent.duty.state == GK_DUTY_JUDGING ?
			  agent.rules_said : "no manifest yet");
}

/* Of the parts before END; of a manifest that is not whole it is never looked at. */
static void digest_parts(const struct gk_manifest *m, uint8_t out[GK_SHA256])
{
	struct gk_digest *d = gk_digest_begin();
	int parts = gk_manifest_parts(m);

	for (int i = 0; i < parts - 1; i++) {
		struct gk_link_manifest part;

		if (gk_manifest_part(m, (unsigned)i, NULL, &part) < 0)
			break;
		gk_digest_add(d, part.part, sizeof(part.part));
	}
	gk_digest_end(d, out);
}

static void count_controllers(void)
{
	static const char text[] =
		"more USB controllers than dom0 gave: ports get no number, none is let go";
	int many = gk_hostdrivers_too_many();

	if (many && !agent.said_too_many) {
		gk_kmsg(3, "%s", text);
		gk_supervisor_log(3, text);
	}
	agent.said_too_many = many;
}

/* While a controller comes, the kernel has a device to enumerate and often one
 * processor: what a bus does by default is looked after when there is a new one. */
static int look(unsigned new_bus)
{
	if (new_bus && agent.duty.state != GK_DUTY_AWAY) {
		hold();
		count_controllers();
	}
	return agent.duty.state == GK_DUTY_JUDGING;
}

static int manifest(const struct gk_link_manifest *part)
{
	const struct gk_manifest *m = &agent.reader.m;
	int last = gk_manifest_is_end(part), err;
	uint8_t digest[GK_SHA256];

	if (last)
		digest_parts(m, digest);
	err = gk_manifest_take(&agent.reader, part, last ? digest : NULL);
	if (err <= 0)
		return err;
	err = gk_judge_rules_text(m->rules, m->rules_len, agent.rules_said);
	gk_supervisor_log(err < 0 ? 3 : 6, agent.rules_said);
	gk_kmsg(err < 0 ? 3 : 5, "%s, %u devices", agent.rules_said, m->devices);
	if (err < 0)
		return err;
	gk_inventory_numbers(m->controller, m->controllers);
	gk_duty_rules(&agent.duty);
	if (look(1))
		gk_devices_rescan();
	return GK_OK;
}

static int give_all(const void *unused)
{
	(void)unused;
	return gk_kernel_give_all(gk_devices_is_out);
}

static void tick(int session)
{
	if (!gk_duty_tick(&agent.duty, session, gk_clock_ms()))
		return;
	gk_kmsg(4, "no dom0 for %d s: the USB devices are left to this domain",
		GK_DUTY_ALONE_MS / 1000);
	agent.giver = gk_child_run(give_all, NULL);
}

static int none(const struct gk_present *at)
{
	(void)at;
	return 0;
}

/* A root for workers in which there is nothing, and nothing can be made; in a mount
 * namespace of our own, so that it goes with us. */
static int make_root(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return GK_ERR_SYSTEM;
	if ((mkdir(RUN, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(EMPTY, 0555) < 0 && errno != EEXIST))
		return GK_ERR_SYSTEM;
	if (mount("none", EMPTY, "tmpfs",
		  MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, "size=4k,mode=555") < 0)
		return GK_ERR_SYSTEM;
	return GK_OK;
}

static int is_xen_there(void)
{
	return (access("/dev/xen/xenbus", F_OK) == 0 ||
		access("/proc/xen/xenbus", F_OK) == 0) &&
	       access("/dev/xen/evtchn", F_OK) == 0 &&
	       access("/dev/xen/gntalloc", F_OK) == 0;
}

static void wait_for_xen(void)
{
	for (int ms = 0; ms < XEN_MS && !is_xen_there(); ms += XEN_POLL_MS)
		usleep(XEN_POLL_MS * 1000);
}

/* The worker lies beside this program, wherever that is. */
static int find_worker(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(WORKER));
	char *slash;

	if (n <= 0)
		return GK_ERR_SYSTEM;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return GK_ERR_SYSTEM;
	strcpy(slash + 1, WORKER);
	return access(path, X_OK) < 0 ? GK_ERR_SYSTEM : GK_OK;
}

static int run(void)
{
	static char worker[PATH_MAX];
	static const struct gk_place place = {
		.worker = worker,
		.worker_root = EMPTY,
		.worker_uid = WORKER_UID,
		.filter = gk_agent_filter,
		.filter_len = sizeof(gk_agent_filter) / sizeof(gk_agent_filter[0]),
		.serves_again = 1,
		.begin = begin,
		.hello = hello,
		.manifest = manifest,
		.look = look,
		.tick = tick,
		.claim = gk_kernel_claim,
		.give = gk_kernel_give,
		.leave = give_all,
	};
	int status;

	if (find_worker(worker) < 0 || make_root() < 0) {
		gk_kmsg(3, "cannot make room for workers");
		return 1;
	}
	/* It may write no file soon, which standard error could be. */
	signal(SIGXFSZ, SIG_IGN);
	gk_kernel_remember(BEFORE);
	hold();
	wait_for_xen();
	alarm(START_S);
	status = gk_supervisor_run(&place);
	alarm(0);
	/* It has not even begun: nobody is to wait for it. */
	if (status && gk_kernel_give_all(none) < 0)
		gk_kmsg(3, "not every USB device could be given back");
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return run();
	if (argc == 2 && strcmp(argv[1], "--release") == 0) {
		gk_kernel_recall(BEFORE);
		return gk_kernel_give_all(none) < 0;
	}
	fprintf(stderr, "usage: gatekeeper-agent [--release]\n");
	return 2;
}
