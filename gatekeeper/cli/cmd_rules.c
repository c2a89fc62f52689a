/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is a rules file one that the gate will take, and where not, why. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/rules.h"
#include "dom0/json.h"
#include "dom0/paths.h"

static const char usage[] = "rules --check FILE [--json] | rules --default";

/* One more than allowed, and the terminator of gk_file_read(). */
static char text[GK_RULES_TEXT_MAX + 2];

static unsigned kept(const struct gk_rules *r)
{
	return r->notes < GK_RULES_NOTES ? r->notes : GK_RULES_NOTES;
}

static void json_place(struct gk_json *o, const struct gk_rules_note *n)
{
	gk_json_number(o, "line", n->line);
	gk_json_number(o, "column", n->column);
	gk_json_string(o, "reason", n->text);
}

static int print_json(const char *file, const struct gk_rules *r,
		      const struct gk_rules_note *error, int err)
{
	static char buf[16 << 10];
	struct gk_json o;

	gk_json_init(&o, buf, sizeof(buf));
	gk_json_object(&o, NULL);
	gk_json_bool(&o, "ok", err == 0);
	gk_json_string(&o, "file", file);
	if (err) {
		json_place(&o, error);
	} else {
		gk_json_number(&o, "rules", r->rules);
		gk_json_array(&o, "keyboards");
		if (r->keyboards & GK_KEYBOARDS_PINNED)
			gk_json_string(&o, NULL, "pinned");
		if (r->keyboards & GK_KEYBOARDS_ONE)
			gk_json_string(&o, NULL, "one");
		if (r->keyboards & GK_KEYBOARDS_CHALLENGE)
			gk_json_string(&o, NULL, "challenge");
		gk_json_end_array(&o);
		gk_json_number(&o, "pins", r->pins);
		gk_json_array(&o, "notes");
		for (unsigned i = 0; i < kept(r); i++) {
			gk_json_object(&o, NULL);
			json_place(&o, &r->note[i]);
			gk_json_end_object(&o);
		}
		gk_json_end_array(&o);
	}
	gk_json_end_object(&o);
	if (gk_json_finish(&o) < 0)
		return GK_EXIT_FAILED;
	puts(buf);
	return err ? GK_EXIT_FAILED : GK_EXIT_DONE;
}

static int print_text(const char *file, const struct gk_rules *r,
		      const struct gk_rules_note *error, int err)
{
	if (err) {
		printf("%s:%u:%u: %s\n", file, error->line, error->column, error->text);
		return GK_EXIT_FAILED;
	}
	for (unsigned i = 0; i < kept(r); i++)
		printf("%s:%u:%u: note: %s\n", file, r->note[i].line, r->note[i].column,
		       r->note[i].text);
	if (r->notes > kept(r))
		printf("%s: %u more notes\n", file, r->notes - kept(r));
	printf("OK, %u rule%s", r->rules, r->rules == 1 ? "" : "s");
	if (r->pins)
		printf(", %u pinned keyboard%s", r->pins, r->pins == 1 ? "" : "s");
	printf("\n");
	return GK_EXIT_DONE;
}

static int check(const char *file, int json)
{
	static struct gk_rules rules;
	struct gk_rules_note error = { 0, 0, NULL };
	ssize_t len = gk_file_read(file, text, sizeof(text));
	int err;

	if (len == GK_ERR_SYSTEM) {
		fprintf(stderr, "gatekeeper: %s cannot be read\n", file);
		return GK_EXIT_FAILED;
	}
	/* Longer than the buffer: one byte too many tells the parser. */
	if (len < 0)
		len = GK_RULES_TEXT_MAX + 1;
	err = gk_rules_parse(text, (size_t)len, &rules, &error);
	return json ? print_json(file, &rules, &error, err)
		    : print_text(file, &rules, &error, err);
}

int gk_cmd_rules(int argc, char **argv)
{
	const char *file = NULL;
	int json = 0, checks = 0;

	if (argc == 2 && !strcmp(argv[1], "--default")) {
		fputs(gk_rules_default(), stdout);
		return GK_EXIT_DONE;
	}
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = 1;
		else if (!strcmp(argv[i], "--check"))
			checks = 1;
		else if (argv[i][0] != '-' && !file)
			file = argv[i];
		else
			return gk_cli_usage(usage);
	}
	if (!file || !checks)
		return gk_cli_usage(usage);
	return check(file, json);
}
