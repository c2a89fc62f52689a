/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"
#include "handoff/xen.h"

void gk_daemon_status(struct gk_daemon *d, struct gk_status *s)
{
	static struct gk_session view;
	const struct gk_counted *c = d->keyboards.slot;

	view = d->session;
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		gk_keyboards_view(d, i, &view.dev[i].info);
	*s = (struct gk_status){
		.state = d->state,
		.ready = d->ready,
		.cause = d->cause[0] ? d->cause : NULL,
		.domain = GK_GATE_NAME,
		.domid = d->xs.domid,
		.keyboard = d->keyboard.fd >= 0,
		.restarts = d->restarts,
		.memory_mib = d->opt.memory_mib,
		.controller = d->controller,
		.controllers = d->controllers,
		.xs = &d->xs,
		.session = d->session_begun ? &view : NULL,
		.agent = d->link_agent,
		.handover = &d->handover.r,
		.rules = d->rules.loaded ? &d->rules : NULL,
		.events = &d->events,
		.times = d->times,
	};
	s->findings = gk_continuity_findings(d, s->finding);
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		int clients = gk_fido_clients(d, i);

		s->fido[i] = clients >= 0;
		s->fido_clients[i] = clients > 0 ? (uint8_t)clients : 0;
	}
	gk_inputs_status(d, s);
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (c[i].counts == GK_COUNTS_ASKED)
			s->number[i] = c[i].challenge.number;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	char path[GK_PATH_MAX];

	if (gk_run_path(path, name) || gk_file_replace(path, text, mode))
		gk_log(LOG_ERR, "cannot write %s/%s: %s", gk_run_dir, name,
		       strerror(errno));
}

static void remove_file(const char *name)
{
	char path[GK_PATH_MAX];

	if (gk_run_path(path, name) == 0)
		unlink(path);
}

static int is_final_failure(const struct gk_daemon *d)
{
	return d->state == GK_GATE_FAILED || d->state == GK_GATE_DISABLED ||
	       d->state == GK_GATE_NO_CONTROLLER ||
	       (d->state == GK_GATE_FALLBACK && d->fallback_ready);
}

void gk_daemon_publish(struct gk_daemon *d)
{
	static char text[GK_STATUS_MAX];
	struct gk_status s;

	/* /run may have moved to the real root this very moment. */
	gk_root_follow();
	gk_daemon_status(d, &s);
	if (gk_status_json(&s, text, sizeof(text) - 1) > 0) {
		strcat(text, "\n");
		/* Numbers to type are in it. */
		put_file("state.json", text, 0600);
	}
	if (gk_status_short(&s, text, sizeof(text) - 1) < 0)
		return;
	strcat(text, "\n");
	if (d->ready && d->state == GK_GATE_UP)
		put_file("ready", text, 0644);
	else
		remove_file("ready");
	if (is_final_failure(d))
		put_file("failed", text, 0644);
	else
		remove_file("failed");
	gk_inputs_check(d);
}

static char *program_name;	/* argv[0], as it stands in our memory */

void gk_daemon_name(char *argv0)
{
	program_name = argv0;
}

/*
 * The '@' that systemd's switch of the root spares has done its work; at
 * shutdown it would only keep us, and with us the root file system, busy.
 */
void gk_daemon_ordinary_name(void)
{
	if (program_name && program_name[0] == '@')
		memmove(program_name, program_name + 1, strlen(program_name));
}

void gk_daemon_switched_root(struct gk_daemon *d)
{
	int moved = gk_root_follow();

	gk_daemon_ordinary_name();

	d->in_initrd = 0;
	d->keyboard.let_by = gk_options_let_by(&d->opt, 1);
	gk_fido_switched_root(d);
	gk_keyboards_load(d);
	gk_keyboards_keep(d);
	if (moved >= 0)
		gk_xen_load();
	gk_inputs_check(d);
	/* From here on the screen belongs to the system. */
	d->screen.on = d->opt.debug;
	gk_log_open("gatekeeperd");
	gk_target_watch(d);
	gk_log(LOG_INFO, "switch-root: %s", moved == 1 ? "followed" :
	       moved == 0 ? "in the real root already" : "cannot follow");
}
