/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/link.h"
#include "dom0/gate_rules.h"
#include "dom0/initramfs.h"
#include "dom0/log.h"
#include "dom0/paths.h"

const char *gk_rules_source_text(enum gk_rules_source s)
{
	switch (s) {
	case GK_RULES_BUILTIN:
		return "the built-in rules";
	case GK_RULES_FILE:
		return "the rules of rules.conf";
	case GK_RULES_KEPT:
		return "the rules from before";
	}
	return "unknown rules";
}

/* 1: read and good; 0: not there; an error: no good, and *where says why if it
 * was the parser who said so. */
static int take(struct gk_gate_rules *r, const char *path, struct gk_rules_note *where)
{
	ssize_t len = gk_file_read(path, r->text, sizeof(r->text));

	*where = (struct gk_rules_note){ 0, 0, NULL };
	r->len = 0;
	if (len == GK_ERR_SYSTEM)
		return errno == ENOENT ? 0 : GK_ERR_SYSTEM;
	/* One byte too many tells the parser that there are too many. */
	if (len < 0)
		len = GK_RULES_TEXT_MAX + 1;
	len = gk_rules_complete(r->text, (size_t)len, sizeof(r->text) - 1, &r->table,
				where);
	if (len < 0)
		return (int)len;
	r->len = (size_t)len;
	return 1;
}

static void take_builtin(struct gk_gate_rules *r)
{
	const char *text = gk_rules_default();
	struct gk_rules_note where;

	r->source = GK_RULES_BUILTIN;
	r->len = 0;
	r->text[0] = '\0';
	/* It parses, tests/unit/test_rules.c; if not, the table is empty and
	 * refuses everything. */
	if (gk_rules_parse(text, strlen(text), &r->table, &where))
		gk_log(LOG_ERR, "the built-in rules are no rules");
}

void gk_gate_rules_kept(struct gk_gate_rules *r)
{
	struct gk_rules_note where;
	char path[GK_PATH_MAX];

	r->loaded = 1;
	r->error[0] = '\0';
	r->where = (struct gk_rules_note){ 0, 0, NULL };
	r->source = GK_RULES_KEPT;
	if (gk_run_path(path, "rules.good") || take(r, path, &where) != 1)
		take_builtin(r);
}

int gk_gate_rules_note(const struct gk_gate_rules *r, char *buf, size_t cap)
{
	const struct gk_rules_note *n = r->table.note;

	if (r->source != GK_RULES_FILE || !r->table.notes)
		return 0;
	snprintf(buf, cap, GK_RULES_CONF " line %u, column %u: %s", n->line, n->column,
		 n->text);
	return 1;
}

static void log_notes(const struct gk_rules *t)
{
	for (unsigned i = 0; i < t->notes && i < GK_RULES_NOTES; i++)
		gk_log(LOG_NOTICE, GK_RULES_CONF " line %u, column %u: %s",
		       t->note[i].line, t->note[i].column, t->note[i].text);
	if (t->notes > GK_RULES_NOTES)
		gk_log(LOG_NOTICE, GK_RULES_CONF ": %u more notes",
		       t->notes - GK_RULES_NOTES);
}

static int says_nothing(const struct gk_gate_rules *r)
{
	size_t add = strlen(gk_rules_default());

	return r->len >= add &&
	       !memcmp(r->text + r->len - add, gk_rules_default(), add) &&
	       !r->table.keyboards && !r->table.pins;
}

void gk_gate_rules_load(struct gk_gate_rules *r)
{
	struct gk_rules_note where;
	char path[GK_PATH_MAX];
	int saved, err;

	r->loaded = 1;
	r->error[0] = '\0';
	r->where = (struct gk_rules_note){ 0, 0, NULL };
	r->source = GK_RULES_FILE;
	errno = 0;
	err = gk_path(path, GK_RULES_CONF) ? GK_ERR_SYSTEM : take(r, path, &where);
	/* A file that says nothing is as good as none. */
	if (err == 1 && says_nothing(r))
		err = 0;
	if (err == 1) {
		log_notes(&r->table);
		gk_log(LOG_INFO, GK_RULES_CONF ": %u rules, %u pinned keyboards",
		       r->table.rules, r->table.pins);
		return;
	}
	saved = errno;
	if (err == 0) {
		take_builtin(r);
		gk_log(LOG_INFO, "nothing in " GK_RULES_CONF ": the built-in rules");
		return;
	}
	gk_gate_rules_kept(r);
	if (err == GK_ERR_SYSTEM) {
		snprintf(r->error, sizeof(r->error), GK_RULES_CONF " cannot be read "
			 "(%.60s): %s are in force", strerror(saved),
			 gk_rules_source_text(r->source));
		return;
	}
	r->where = where;
	snprintf(r->error, sizeof(r->error), GK_RULES_CONF " line %u, column %u: "
		 "%.100s; %s are in force", where.line, where.column, where.text,
		 gk_rules_source_text(r->source));
}

int gk_gate_rules_give(const struct gk_gate_rules *r, const char *image,
		       char *ramdisk)
{
	char kept[GK_PATH_MAX];
	int err;

	if (gk_run_path(kept, "rules.good"))
		return GK_ERR_LIMIT;
	if (r->source == GK_RULES_BUILTIN) {
		if (unlink(kept) < 0 && errno != ENOENT)
			return GK_ERR_SYSTEM;
		snprintf(ramdisk, GK_PATH_MAX, "%s", image);
		return 0;
	}
	if (gk_run_path(ramdisk, "gate-initramfs"))
		return GK_ERR_LIMIT;
	err = gk_initramfs(r->text, r->len, image, ramdisk);
	if (err)
		return err;
	return gk_file_put(kept, r->text, r->len, 0600);
}

void gk_gate_rules_given(void)
{
	char path[GK_PATH_MAX];

	/* It is memory, and xl does not come back for it. */
	if (gk_run_path(path, "gate-initramfs") == 0)
		unlink(path);
}

const char *gk_rule_place(uint16_t rule, char buf[GK_RULE_PLACE])
{
	if (rule == 0)
		return NULL;
	if (rule & GK_LINK_BUILTIN)
		snprintf(buf, GK_RULE_PLACE, "built-in:%u", rule & (GK_LINK_BUILTIN - 1));
	else
		snprintf(buf, GK_RULE_PLACE, "rules.conf:%u", rule);
	return buf;
}

void gk_rule_line(const char *text, size_t len, unsigned line, char *buf, size_t cap)
{
	const char *at = text, *end = text + len, *nl;

	for (unsigned i = 1; i < line && at < end; i++) {
		nl = memchr(at, '\n', (size_t)(end - at));
		at = nl ? nl + 1 : end;
	}
	nl = memchr(at, '\n', (size_t)(end - at));
	if (!nl)
		nl = end;
	snprintf(buf, cap, "%.*s", (int)(nl - at), at);
	gk_printable(buf);
}
