/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gate has found was said when it was found, and the boot's messages
 * have scrolled it away since. So each time a passphrase is asked for, one line
 * says again what there is to type on and what was refused.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/policy.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"

enum {
	LOOK_MS = 250,
	/* The agent draws its prompt just after the question is there. */
	DRAW_MS = 300,
	TEXT = 200,
};

/* The newest question of systemd's password agents (systemd.io,
 * PASSWORD_AGENTS), or that gatekeeper-unlock had plymouth ask: its inode, 0 when
 * there is none. Both are in /run. */
static ino_t question(void)
{
	char path[GK_PATH_MAX];
	struct dirent *e;
	struct stat st;
	ino_t newest = 0;
	DIR *dir;

	if (!gk_run_path(path, GK_QUESTION_FILE) && stat(path, &st) == 0)
		newest = st.st_ino;
	if (gk_path(path, "/run/systemd/ask-password"))
		return newest;
	dir = opendir(path);
	if (!dir)
		return newest;
	while ((e = readdir(dir)))
		if (!strncmp(e->d_name, "ask.", 4) &&
		    fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
		    st.st_ino > newest)
			newest = st.st_ino;
	closedir(dir);
	return newest;
}

__attribute__((format(printf, 2, 3)))
static void add(char text[TEXT], const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, TEXT - len, fmt, ap);
	va_end(ap);
}

static void summary(void *ctx)
{
	struct gk_daemon *d = ctx;
	char text[TEXT] = "", port[GK_PORT_TEXT];
	unsigned keyboards = 0, others = 0, refused = 0;
	struct gk_link_device view;

	/* dom0 drives the devices itself, and has said what it admitted. */
	if (d->state == GK_GATE_FALLBACK)
		return;

	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		enum gk_counts counts = d->keyboards.slot[i].counts;

		others += counts == GK_COUNTS_ASKED || counts == GK_COUNTS_REFUSED;
		if (!d->session.dev[i].id || counts != GK_COUNTS_YES)
			continue;
		gk_devices_port(d, &d->session.dev[i].info, port);
		add(text, "%s%s", keyboards++ ? ", " : "keyboard on port ", port);
	}
	if (!keyboards)
		add(text, "%s", d->state != GK_GATE_UP ? "no USB keyboard yet" :
		    others ? "no USB keyboard counts" :
			     "no USB keyboard is plugged in");
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		if (!d->session.dev[i].id ||
		    d->keyboards.slot[i].counts == GK_COUNTS_ASKED)
			continue;
		gk_keyboards_view(d, i, &view);
		if (view.verdict != GK_VERDICT_REFUSED)
			continue;
		gk_devices_port(d, &view, port);
		add(text, "%s%s on %s", refused++ ? ", " : "; refused: ",
		    view.reason >= GK_REASON_UNPINNED ? "keyboard" :
		    gk_class_text(gk_device_class(&view)), port);
	}
	gk_screen_say(&d->screen, LOG_INFO, "%s", text);
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		gk_keyboards_ask(d, i);
	if (d->rules.error[0])
		gk_screen_say(&d->screen, LOG_INFO, "%s", d->rules.error);
}

static void look(void *ctx)
{
	struct gk_daemon *d = ctx;
	ino_t now;

	if (!d->screen.on)
		return;
	/* Process 1 has the real root before it says so, switched-root: until
	 * then neither the question nor the console would be found. */
	gk_root_follow();
	now = question();
	gk_timer_set(d->loop, &d->prompt_timer, LOOK_MS, look, d);
	if (now && now != d->prompt_seen)
		gk_timer_set(d->loop, &d->summary_timer, DRAW_MS, summary, d);
	d->prompt_seen = now;
}

void gk_prompt_watch(struct gk_daemon *d)
{
	look(d);
}
