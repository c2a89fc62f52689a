/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rules are in force: those of /etc/gatekeeper/rules.conf; with an error
 * in it those that the gate before this one had, kept in rules.good of the run
 * directory; the built-in ones when there are none. rules.good is there when
 * and only when the gate that runs was given a file.
 */
#ifndef GK_DOM0_GATE_RULES_H
#define GK_DOM0_GATE_RULES_H

#include <stddef.h>

#include "core/rules.h"

enum gk_rules_source {
	GK_RULES_BUILTIN,	/* no file, or no good one */
	GK_RULES_FILE,
	GK_RULES_KEPT,		/* rules.good */
};

struct gk_gate_rules {
	int loaded;		/* 0: by neither function below yet */
	enum gk_rules_source source;
	struct gk_rules table;
	size_t len;		/* of text; 0 with GK_RULES_BUILTIN */
	char text[GK_RULES_TEXT_MAX + 2];
	/* What is wrong with the file, as one line with what is in force; "". */
	char error[220];
	/* Of a file that does not parse; line 0 else. */
	struct gk_rules_note where;
};

/* gk_gate_rules_load: for a gate that is to be created. Notes of the parser go
 * to the log. A file without a rule of its own has the built-in ones behind it in
 * r->text, and one that says nothing at all is none. Never fails: there is always
 * something in force. */
void gk_gate_rules_load(struct gk_gate_rules *r);

/* gk_gate_rules_note: 1, and the first note of the file as a line for people; 0
 * when there is none. */
int gk_gate_rules_note(const struct gk_gate_rules *r, char *buf, size_t cap);

/* gk_gate_rules_kept: for a gate that runs already: what it was given. */
void gk_gate_rules_kept(struct gk_gate_rules *r);

/*
 * gk_gate_rules_give: makes the initramfs of the gate in the run directory, its
 * path into `ramdisk` (GK_PATH_MAX), and keeps the rules as rules.good. With the
 * built-in rules it is `image` itself.
 */
int gk_gate_rules_give(const struct gk_gate_rules *r, const char *image,
		       char *ramdisk) GK_MUST_CHECK;

/* gk_gate_rules_given: the gate is there: its initramfs has been read. */
void gk_gate_rules_given(void);

/* gk_rules_source_text: "the rules of rules.conf", for people. */
const char *gk_rules_source_text(enum gk_rules_source s);

/*
 * gk_rule_place: what DEVICE says of the rule that decided: "rules.conf:12",
 * "built-in:3"; NULL for none. buf >= GK_RULE_PLACE.
 */
enum { GK_RULE_PLACE = 24 };
const char *gk_rule_place(uint16_t rule, char buf[GK_RULE_PLACE]);

/* gk_rule_line: line `line` (from 1) of a text, without its end, cut to cap. */
void gk_rule_line(const char *text, size_t len, unsigned line, char *buf, size_t cap);

#endif
