/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rules are in force, and how they get into the gate's initramfs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/link.h"
#include "dom0/gate_rules.h"
#include "dom0/initramfs.h"
#include "dom0/paths.h"
#include "dom0/seen.h"

static char root[] = "/tmp/gk-rules-XXXXXX", run[64], conf[128], good[128];

static int set_up(void **state)
{
	char path[128];

	(void)state;
	if (!mkdtemp(root))
		return -1;
	gk_root_prefix = root;
	snprintf(run, sizeof(run), "%s/run", root);
	gk_run_dir = run;
	snprintf(path, sizeof(path), "%s/etc", root);
	if (mkdir(run, 0755) || mkdir(path, 0755))
		return -1;
	snprintf(path, sizeof(path), "%s/etc/gatekeeper", root);
	snprintf(conf, sizeof(conf), "%s/etc/gatekeeper/rules.conf", root);
	snprintf(good, sizeof(good), "%s/rules.good", run);
	return mkdir(path, 0755);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void put(const char *path, const void *data, size_t len)
{
	assert_int_equal(gk_file_put(path, data, len, 0600), 0);
}

/* The steps of one boot and of gates after each other. */
static const struct {
	const char *file;	/* NULL: none there */
	enum gk_rules_source in_force;
	unsigned rules, line, column;
	const char *kept;	/* in rules.good after it was given; NULL: none; with a
				 * + at its end: and the built-in rules */
	const char *says;
} gates[] = {
	{ NULL, GK_RULES_BUILTIN, 3, 0, 0, NULL, "" },
	{ "allow\nallaw\n", GK_RULES_BUILTIN, 3, 2, 1, NULL,
	  "; the built-in rules are in force" },
	{ "block\n", GK_RULES_FILE, 1, 0, 0, "block\n", "" },
	{ "allow id 1:2\n", GK_RULES_KEPT, 1, 1, 11, "block\n",
	  "/etc/gatekeeper/rules.conf line 1, column 11: " },
	{ "allow id 1:2\n", GK_RULES_KEPT, 1, 1, 11, "block\n",
	  "; the rules from before are in force" },
	{ "", GK_RULES_BUILTIN, 3, 0, 0, NULL, "" },
	{ "# keyboards one\n\n", GK_RULES_BUILTIN, 3, 0, 0, NULL, "" },
	{ "keyboards one", GK_RULES_FILE, 3, 0, 0, "keyboards one\n+", "" },
	{ "allow id 1:2\n", GK_RULES_KEPT, 3, 1, 11, "keyboards one\n+", "from before" },
	{ "block\nkeyboards one\n", GK_RULES_FILE, 1, 0, 0,
	  "block\nkeyboards one\n", "" },
	{ NULL, GK_RULES_BUILTIN, 3, 0, 0, NULL, "" },
	{ "keyboards\n", GK_RULES_BUILTIN, 3, 1, 10, NULL, "built-in" },
};

static void each_gate(void **state)
{
	static struct gk_gate_rules r, again;
	char ramdisk[GK_PATH_MAX], text[4096], want[4096], image[128];

	(void)state;
	snprintf(image, sizeof(image), "%s/gate-image", root);
	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++) {
		int builtin = gates[i].in_force == GK_RULES_BUILTIN;

		if (gates[i].file)
			put(conf, gates[i].file, strlen(gates[i].file));
		else
			unlink(conf);
		gk_gate_rules_load(&r);
		if (r.source != gates[i].in_force || r.table.rules != gates[i].rules ||
		    r.where.line != gates[i].line || r.where.column != gates[i].column)
			fail_msg("gate %zu: source %d, %u rules, %u:%u: %s", i, r.source,
				 r.table.rules, r.where.line, r.where.column, r.error);
		if (gates[i].says[0] ? !strstr(r.error, gates[i].says) : r.error[0])
			fail_msg("gate %zu says %s", i, r.error);
		put(image, "image", 5);
		assert_int_equal(gk_gate_rules_give(&r, image, ramdisk), 0);
		if (builtin)
			assert_string_equal(ramdisk, image);
		if (gk_file_read(good, text, sizeof(text)) < 0)
			text[0] = '\0';
		snprintf(want, sizeof(want), "%s", gates[i].kept ? gates[i].kept : "");
		if (strchr(want, '+'))
			strcpy(strchr(want, '+'), gk_rules_default());
		if (!gates[i].kept ? access(good, F_OK) == 0 :
				     strcmp(text, want) != 0)
			fail_msg("gate %zu: kept: %s", i, text);
		/* A gatekeeperd that is started again knows what the gate has. */
		gk_gate_rules_kept(&again);
		assert_memory_equal(&again.table, &r.table, sizeof(r.table));
		assert_int_equal(again.source, builtin ? GK_RULES_BUILTIN :
						GK_RULES_KEPT);
		gk_gate_rules_given();
		assert_int_equal(access(ramdisk, F_OK), builtin ? 0 : -1);
	}
	unlink(image);
}

static void files_that_cannot_be_read(void **state)
{
	static char long_text[GK_RULES_TEXT_MAX + 100];
	static struct gk_gate_rules r;
	char note[200];

	(void)state;
	memset(long_text, '\n', sizeof(long_text));
	unlink(good);
	put(conf, long_text, sizeof(long_text));
	gk_gate_rules_load(&r);
	assert_int_equal(r.source, GK_RULES_BUILTIN);
	assert_non_null(strstr(r.error, "the built-in rules are in force"));
	put(conf, long_text, GK_RULES_TEXT_MAX);
	gk_gate_rules_load(&r);
	assert_int_equal(r.source, GK_RULES_BUILTIN);
	assert_non_null(strstr(r.error, "no room for the built-in ones"));
	memcpy(long_text, "allow", 5);
	put(conf, long_text, GK_RULES_TEXT_MAX);
	gk_gate_rules_load(&r);
	assert_int_equal(r.source, GK_RULES_FILE);
	assert_int_equal(gk_gate_rules_note(&r, note, sizeof(note)), 0);
	put(conf, "block\nallow\n", 12);
	gk_gate_rules_load(&r);
	assert_int_equal(gk_gate_rules_note(&r, note, sizeof(note)), 1);
	assert_non_null(strstr(note, "rules.conf line 2, column 1: never reached"));
	put(conf, "block\0\n", 7);
	gk_gate_rules_load(&r);
	assert_int_equal(r.where.column, 6);
	unlink(conf);
	assert_int_equal(mkdir(conf, 0755), 0);
	gk_gate_rules_load(&r);
	assert_int_equal(r.source, GK_RULES_BUILTIN);
	assert_non_null(strstr(r.error, "cannot be read"));
	assert_int_equal(rmdir(conf), 0);
}

static unsigned field(const char *entry, int number)
{
	char hex[9] = "";

	memcpy(hex, entry + 6 + 8 * number, 8);
	return (unsigned)strtoul(hex, NULL, 16);
}

/* Walks it as the kernel does (init/initramfs.c: name and data begin at
 * multiples of four). */
static void archive(void **state)
{
	static char buf[GK_ARCHIVE_MAX], rules[GK_RULES_TEXT_MAX + 1];

	(void)state;
	memset(rules, 'r', sizeof(rules));
	for (size_t len = 0; len <= GK_RULES_TEXT_MAX; len += len < 700 ? 1 : 1603) {
		int n = gk_archive(rules, len, buf, sizeof(buf));
		const char *second = buf + (110 + 11 + 3) / 4 * 4 + (len + 3) / 4 * 4;

		assert_true(n > 0 && n % 512 == 0);
		assert_memory_equal(buf, "070701", 6);
		assert_int_equal(field(buf, 1), 0100400);
		assert_int_equal(field(buf, 2), 0);
		assert_int_equal(field(buf, 6), len);
		assert_int_equal(field(buf, 11), 11);
		assert_string_equal(buf + 110, "rules.conf");
		assert_memory_equal(buf + 124, rules, len);
		assert_memory_equal(second, "070701", 6);
		assert_int_equal(field(second, 6), 0);
		assert_string_equal(second + 110, "TRAILER!!!");
		for (const char *p = second + 110 + 10; p < buf + n; p++)
			assert_int_equal(*p, 0);
		assert_int_equal(gk_archive(rules, len, buf, (size_t)n - 1),
				 GK_ERR_LIMIT);
	}
	assert_true(gk_archive(rules, GK_RULES_TEXT_MAX, buf, sizeof(buf)) > 0);
	assert_int_equal(gk_archive(rules, GK_RULES_TEXT_MAX + 1, buf, sizeof(buf)),
			 GK_ERR_LIMIT);
}

static void initramfs(void **state)
{
	static char image[200000], got[210000];
	char path[128], from[128];
	struct stat st;
	int n;

	(void)state;
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (char)(i * 7);
	snprintf(from, sizeof(from), "%s/image", root);
	snprintf(path, sizeof(path), "%s/gate-initramfs", run);
	put(from, image, sizeof(image));
	assert_int_equal(gk_initramfs("block\n", 6, from, path), 0);
	n = gk_archive("block\n", 6, got, sizeof(got));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, n + (int)sizeof(image));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(gk_file_read(path, got, sizeof(got)), st.st_size);
	assert_memory_equal(got + n, image, sizeof(image));
	/* What cannot be made leaves what was there. */
	assert_int_equal(gk_initramfs("block\n", 6, "/nonexistent", path),
			 GK_ERR_SYSTEM);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(gk_initramfs("block\n", 6, from, "/nonexistent/x"),
			 GK_ERR_SYSTEM);
}

static void places_and_lines(void **state)
{
	static const char text[] = "one\n\nthree\x1b\nlast";
	char buf[GK_RULE_PLACE], line[16];

	(void)state;
	assert_null(gk_rule_place(0, buf));
	assert_string_equal(gk_rule_place(12, buf), "rules.conf:12");
	assert_string_equal(gk_rule_place(GK_LINK_BUILTIN | 8, buf), "built-in:8");
	assert_string_equal(gk_rule_place(0xffff, buf), "built-in:32767");
	gk_rule_line(text, strlen(text), 1, line, sizeof(line));
	assert_string_equal(line, "one");
	gk_rule_line(text, strlen(text), 2, line, sizeof(line));
	assert_string_equal(line, "");
	gk_rule_line(text, strlen(text), 3, line, sizeof(line));
	assert_string_equal(line, "three?");
	gk_rule_line(text, strlen(text), 4, line, 4);
	assert_string_equal(line, "las");
	gk_rule_line(text, strlen(text), 5, line, sizeof(line));
	assert_string_equal(line, "");
	gk_rule_line(text, strlen(text), 32767, line, sizeof(line));
	assert_string_equal(line, "");
}

/* --- keyboards that have answered --- */

static const uint8_t *hash(unsigned i)
{
	static uint8_t h[GK_SHA256];

	memset(h, (int)i, sizeof(h));
	return h;
}

static void seen_keyboards(void **state)
{
	static struct gk_seen s, again;
	static char text[GK_SEEN_TEXT];
	char port[32];

	(void)state;
	for (unsigned i = 0; i < GK_SEEN_MAX; i++) {
		snprintf(port, sizeof(port), "1-%u", i + 1);
		gk_seen_add(&s, port, hash(i));
		gk_seen_add(&s, port, hash(i));
	}
	assert_int_equal(s.n, GK_SEEN_MAX);
	assert_true(gk_seen_has(&s, "1-1", hash(0)));
	assert_false(gk_seen_has(&s, "1-1", hash(1)));
	assert_false(gk_seen_has(&s, "1-2", hash(0)));
	/* One that answers again is the newest; the oldest one goes. */
	gk_seen_add(&s, "1-1", hash(0));
	gk_seen_add(&s, "2-7.7.7.7.7.7.7", hash(200));
	assert_int_equal(s.n, GK_SEEN_MAX);
	assert_true(gk_seen_has(&s, "1-1", hash(0)));
	assert_false(gk_seen_has(&s, "1-2", hash(1)));
	gk_seen_add(&s, "1-1\n1-9", hash(0));
	gk_seen_add(&s, "", hash(0));
	assert_int_equal(s.n, GK_SEEN_MAX);
	gk_seen_text(&s, text);
	gk_seen_parse(&again, text);
	assert_memory_equal(&s, &again, sizeof(s));
}

static void seen_lines(void **state)
{
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const struct {
		const char *text;
		unsigned n;
	} rows[] = {
		{ "1-3 " HEX "\n", 1 },
		{ "1-3 " HEX, 1 },
		{ "1-3 " HEX "\n1-4 " HEX "\n", 2 },
		{ "1-3 " HEX "\n1-3 " HEX "\n", 1 },
		{ "1-3 " HEX " \n", 0 },
		{ "1-3 " HEX "0\n", 0 },
		{ "1-3  " HEX "\n", 0 },
		{ " 1-3 " HEX "\n", 0 },
		{ "x-3 " HEX "\n", 0 },
		{ "1-3\n" HEX "\n", 0 },
		{ HEX "\n", 0 },
		{ "# a comment\n\n\n1-3 " HEX "\n", 1 },
		{ "1-3 A0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		  0 },
		{ "1-2.3.4.5.6.7.8.9.1-2.3.4.5.6.7.8.9.1.2.3.4.5 " HEX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gk_seen s = { 0 };

		gk_seen_parse(&s, rows[i].text);
		if (s.n != rows[i].n)
			fail_msg("%u of %s", s.n, rows[i].text);
	}
}

static void seen_files(void **state)
{
	struct gk_seen a = { 0 }, b = { 0 }, both = { 0 };
	char path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/new/keyboards", root);
	gk_seen_read(&both, path);
	assert_int_equal(both.n, 0);
	gk_seen_add(&a, "1-1", hash(1));
	gk_seen_add(&b, "1-2", hash(2));
	assert_int_equal(gk_seen_merge(&a, path), 0);
	assert_int_equal(gk_seen_merge(&b, path), 0);
	assert_int_equal(gk_seen_merge(&b, path), 0);
	gk_seen_read(&both, path);
	assert_int_equal(both.n, 2);
	assert_true(gk_seen_has(&both, "1-1", hash(1)));
	assert_true(gk_seen_has(&both, "1-2", hash(2)));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(gk_seen_merge(&a, "/nonexistent/a/b"), GK_ERR_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_gate),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(archive),
		cmocka_unit_test(initramfs),
		cmocka_unit_test(places_and_lines),
		cmocka_unit_test(seen_keyboards),
		cmocka_unit_test(seen_lines),
		cmocka_unit_test(seen_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
