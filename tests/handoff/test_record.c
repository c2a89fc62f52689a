/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record: what is written is read back, and no part of it, nor any damage, is
 * taken for one. What xenstore says of owners, from its lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handoff/record.h"
#include "handoff/truth.h"
#include "tree.h"

static void fill(struct gk_ho_record *r)
{
	gk_ho_record_init(r);
	r->mode = GK_HO_AGENT;
	r->state = GK_HO_RESET;
	r->since = 123456789;
	r->deadline = 123476789;
	strcpy(r->target, "sys-usb");
	r->target_domid = 7;
	r->gate_domid = 5;
	r->held_domid = 3;
	r->suspect_domid = 8;
	strcpy(r->config, "/etc/xen/sys-usb.cfg");
	r->no_strict_reset = 1;
	r->wanted = 1;
	strcpy(r->cause, "xl said: no, and more than that");
	r->handoffs = 50;
	r->reclaims = 49;
	r->times = (struct gk_ho_times){ 1, 2, 3, 4, 5, 6, 7, 8 };
	r->controllers = 2;
	strcpy(r->controller[0].bdf, "0000:00:14.0");
	r->controller[0].owner = 7;
	strcpy(r->controller[1].bdf, "0000:03:00.0");
	r->controller[1].owner = -1;
}

static void same(const struct gk_ho_record *want)
{
	static char text[GK_HO_RECORD_MAX];
	struct gk_ho_record got;
	int n = gk_ho_record_text(want, text, sizeof(text));

	assert_true(n > 0 && (size_t)n == strlen(text) && text[n - 1] == '\n');
	assert_int_equal(gk_ho_record_parse(text, &got), 0);
	assert_memory_equal(&got, want, sizeof(got));
}

static void round_trip(void **state)
{
	struct gk_ho_record r;

	(void)state;
	fill(&r);
	same(&r);
	for (int s = 0; s < GK_HO_STATES; s++) {
		r.state = (enum gk_ho_state)s;
		same(&r);
	}
	gk_ho_record_init(&r);
	same(&r);
	fill(&r);
	r.controllers = GK_HO_CONTROLLERS;
	for (int i = 0; i < GK_HO_CONTROLLERS; i++) {
		snprintf(r.controller[i].bdf, sizeof(r.controller[i].bdf),
			 "0000:%02x:00.0", (unsigned)i);
		r.controller[i].owner = 0x7fef;
	}
	memset(r.cause, 'x', sizeof(r.cause) - 1);
	memset(r.config, 'y', sizeof(r.config) - 1);
	same(&r);
}

/* Of a gatekeeperd that did not write of a suspect yet: there is none. */
static void older(void **state)
{
	static char text[GK_HO_RECORD_MAX];
	struct gk_ho_record r, got;
	char *at;

	(void)state;
	fill(&r);
	assert_true(gk_ho_record_text(&r, text, sizeof(text)) > 0);
	at = strstr(text, "\"suspect_domid\":8,");
	assert_non_null(at);
	memmove(at, at + 18, strlen(at + 18) + 1);
	assert_int_equal(gk_ho_record_parse(text, &got), 0);
	r.suspect_domid = -1;
	assert_memory_equal(&got, &r, sizeof(got));
}

/* Cut off anywhere, it is no record; nor with any byte of it gone bad. */
static void damaged(void **state)
{
	static char text[GK_HO_RECORD_MAX], bad[GK_HO_RECORD_MAX];
	struct gk_ho_record r, empty, got;
	int n;

	(void)state;
	fill(&r);
	gk_ho_record_init(&empty);
	n = gk_ho_record_text(&r, text, sizeof(text));
	assert_true(n > 0);
	/* Its controllers come last: without them it is none. */
	for (size_t i = 0; i < (size_t)(strstr(text, "\"controllers\":[") - text) + 14; i++) {
		memcpy(bad, text, i);
		bad[i] = '\0';
		assert_int_equal(gk_ho_record_parse(bad, &got), GK_ERR_VALUE);
		assert_memory_equal(&got, &empty, sizeof(got));
	}
	for (size_t i = 0; i < (size_t)n; i++) {
		strcpy(bad, text);
		bad[i] = (char)(bad[i] ^ 0x15);
		/* A number may have become another; never a state that is none. */
		if (gk_ho_record_parse(bad, &got) == 0)
			assert_true(got.state < GK_HO_STATES &&
				    got.controllers <= GK_HO_CONTROLLERS);
	}
	assert_int_equal(gk_ho_record_parse("", &got), GK_ERR_VALUE);
	assert_int_equal(gk_ho_record_parse("[]", &got), GK_ERR_VALUE);
	assert_int_equal(gk_ho_record_text(&r, bad, 100), GK_ERR_LIMIT);
}

static const char store[] =
	"answered\n"
	"domid 5\n"
	"domain 5 0 gatekeeper-gate\n"
	"domain 7 1 sys-usb\n"
	"domain 9 0 other\n"
	"owns 5 0000:00:14.0 0000:00:01.00\n"
	"owns 7 0000:03:00.0\n"
	"owns 9 0000:04:00.0 0000:00:00.00\n"
	"owns 9 0000:05:00.0 0000:00:00.00\n"
	"owns 7 0000:05:00.0 0000:00:00.00\n"
	"marked 7 0000:03:00.0\n"
	"marked 7 0000:06:00.0\n"
	"marked 20 0000:08:00.0\n"
	"xen 1 0000:00:14.0\n"
	"xen 0 0000:03:00.0\n"
	"xen 1 0000:06:00.0\n"
	"xen 1 0000:08:00.0\n"
	"owns x y\nnonsense\nxen x\n";

static void truth(void **state)
{
	static const char gates[1][GK_TRUTH_BDF] = { "0000:00:14.0" };
	static const char nobodys[1][GK_TRUTH_BDF] = { "0000:07:00.0" };
	static const char both[2][GK_TRUTH_BDF] = { "0000:00:14.0", "0000:04:00.0" };
	static const char one_twice[1][GK_TRUTH_BDF] = { "0000:05:00.0" };
	static struct gk_truth t, again;
	static char text[4096];

	(void)state;
	gk_truth_parse(store, &t);
	assert_int_equal(t.answered, 1);
	assert_int_equal(gk_truth_domid(&t, "sys-usb"), 7);
	assert_int_equal(gk_truth_domid(&t, "sys-usb2"), -1);
	assert_string_equal(gk_truth_name(&t, 7), "sys-usb");
	assert_string_equal(gk_truth_name(&t, 8), "");
	assert_true(gk_truth_agent(&t, 7) && !gk_truth_agent(&t, 5));
	assert_int_equal(gk_truth_owner(&t, "0000:00:14.0"), 5);
	assert_int_equal(gk_truth_owner(&t, "0000:08:00.0"), -1);
	assert_int_equal(gk_truth_owner(&t, "0000:05:00.0"), GK_TRUTH_SEVERAL);
	assert_string_equal(gk_truth_vdev(&t, "0000:00:14.0"), "0000:00:01.00");
	assert_string_equal(gk_truth_vdev(&t, "0000:03:00.0"), "");
	assert_int_equal(gk_truth_of_all(&t, gates, 1, 5, 7), GK_HO_THE_GATE);
	assert_int_equal(gk_truth_of_all(&t, gates, 1, 4, 5), GK_HO_THE_TARGET);
	assert_int_equal(gk_truth_of_all(&t, gates, 1, -1, -1), GK_HO_ANOTHER);
	assert_int_equal(gk_truth_of_all(&t, nobodys, 1, 5, 7), GK_HO_NOBODY);
	assert_int_equal(gk_truth_of_all(&t, both, 2, 5, 7), GK_HO_SEVERAL);
	assert_int_equal(gk_truth_of_all(&t, one_twice, 1, 5, 7), GK_HO_SEVERAL);
	/* As it comes out of the child. */
	gk_truth_text(&t, text, sizeof(text));
	gk_truth_parse(text, &again);
	assert_memory_equal(&again, &t, sizeof(t));
	gk_truth_parse("", &t);
	assert_int_equal(t.answered, 0);
	gk_truth_text(&t, text, sizeof(text));
	assert_string_equal(text, "");
}

/* Xen and xenstore: who is right, and who it can be. */
static void both_asked(void **state)
{
	static const char only_xen[1][GK_TRUTH_BDF] = { "0000:06:00.0" };
	static const char only_xs[1][GK_TRUTH_BDF] = { "0000:03:00.0" };
	static struct gk_truth t;

	(void)state;
	gk_truth_parse(store, &t);
	assert_int_equal(gk_truth_assigned(&t, "0000:00:14.0"), 1);
	assert_int_equal(gk_truth_assigned(&t, "0000:03:00.0"), 0);
	assert_int_equal(gk_truth_assigned(&t, "0000:04:00.0"), -1);
	assert_int_equal(gk_truth_disagree(&t, "0000:00:14.0"), 0);
	assert_int_equal(gk_truth_disagree(&t, "0000:03:00.0"), 1);
	assert_int_equal(gk_truth_disagree(&t, "0000:04:00.0"), 0);
	assert_int_equal(gk_truth_disagree(&t, "0000:06:00.0"), 1);
	/* The mark, then the suspect, and only one that is there. */
	assert_int_equal(gk_truth_presumed(&t, "0000:06:00.0", 9), 7);
	assert_int_equal(gk_truth_presumed(&t, "0000:08:00.0", 9), 9);
	assert_int_equal(gk_truth_presumed(&t, "0000:08:00.0", 21), -1);
	assert_int_equal(gk_truth_presumed(&t, "0000:08:00.0", -1), -1);
	/* Nothing is the target's, or nobody's, by half. */
	assert_int_equal(gk_truth_of_all(&t, only_xen, 1, 5, 7), GK_HO_SEVERAL);
	assert_int_equal(gk_truth_of_all(&t, only_xs, 1, 5, 7), GK_HO_SEVERAL);
}

static void kept(void **state)
{
	static const char two[2][GK_TRUTH_BDF] = { "0000:00:14.0", "0000:08:00.0" };
	static const char *const names[] = { "gatekeeper-gate", "sys-usb" };
	static char text[4096];
	static struct gk_truth t;

	(void)state;
	gk_truth_parse(store, &t);
	t.xens = 0;
	gk_truth_keep(&t, two, 2, names, 1, -1);
	gk_truth_text(&t, text, sizeof(text));
	assert_string_equal(text, "answered\ndomain 5 0 gatekeeper-gate\n"
			    "owns 5 0000:00:14.0 0000:00:01.00\n"
			    "marked 20 0000:08:00.0\n");
	/* The gate that has nothing, by its name; the suspect, by its id. */
	gk_truth_parse(store, &t);
	t.xens = 0;
	gk_truth_keep(&t, two + 1, 1, names, 2, 9);
	gk_truth_text(&t, text, sizeof(text));
	assert_string_equal(text, "answered\ndomain 5 0 gatekeeper-gate\n"
			    "domain 7 1 sys-usb\ndomain 9 0 other\n"
			    "marked 20 0000:08:00.0\n");
}

static void of_a_file(void **state)
{
	static struct gk_truth t;
	struct tree tree;

	(void)state;
	tree_new(&tree);
	assert_int_equal(gk_truth_read(tree.root, &t), GK_ERR_SYSTEM);
	tree_write(&tree, "xenstore", "domain 5 0 x\n");
	assert_int_equal(gk_truth_read(tree.root, &t), GK_ERR_SYSTEM);
	tree_write(&tree, "xenstore", store);
	assert_int_equal(gk_truth_read(tree.root, &t), 0);
	assert_int_equal(t.domains, 3);
	tree_free(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(older),
		cmocka_unit_test(damaged),
		cmocka_unit_test(truth), cmocka_unit_test(both_asked),
		cmocka_unit_test(kept), cmocka_unit_test(of_a_file),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
