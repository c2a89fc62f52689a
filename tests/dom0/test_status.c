/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What gatekeeperd tells others, and the small pure parts it is made of. */
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

#include "core/policy.h"
#include "dom0/controllers.h"
#include "dom0/json.h"
#include "dom0/paths.h"
#include "dom0/screen.h"
#include "dom0/status.h"
#include "dom0/xs.h"

static void json_escapes(void **state)
{
	static const char bad[] = "a\"b\\c\n\033[2J\177\xc3\xa4";
	char text[256];
	struct gk_json j;

	(void)state;
	gk_json_init(&j, text, sizeof(text));
	gk_json_object(&j, NULL);
	gk_json_string(&j, "s", bad);
	gk_json_string(&j, "n", NULL);
	gk_json_array(&j, "a");
	gk_json_number(&j, NULL, -5);
	gk_json_bool(&j, NULL, 1);
	gk_json_end_array(&j);
	gk_json_object(&j, "o");
	gk_json_end_object(&j);
	gk_json_end_object(&j);
	assert_int_equal(gk_json_finish(&j), (int)strlen(text));
	assert_string_equal(text, "{\"s\":\"a\\u0022b\\u005cc\\u000a\\u001b[2J"
			    "\\u007f\\u00c3\\u00a4\",\"n\":null,\"a\":[-5,true],"
			    "\"o\":{}}");
}

static void json_has_an_end(void **state)
{
	char text[64];

	(void)state;
	for (size_t cap = 0; cap <= sizeof(text); cap++) {
		struct gk_json j;

		memset(text, 'x', sizeof(text));
		gk_json_init(&j, text, cap);
		gk_json_object(&j, NULL);
		gk_json_string(&j, "key", "some text");
		gk_json_end_object(&j);
		if (cap > strlen("{\"key\":\"some text\"}")) {
			assert_int_equal(gk_json_finish(&j), 19);
		} else {
			assert_int_equal(gk_json_finish(&j), GK_ERR_LIMIT);
			for (size_t i = cap; i < sizeof(text); i++)
				assert_int_equal(text[i], 'x');
		}
	}
}

static struct gk_status nothing(const struct gk_xs_answer *xs)
{
	struct gk_status s = {
		.state = GK_GATE_STARTING, .domain = "gatekeeper-gate",
		.domid = -1, .memory_mib = 48, .xs = xs,
	};

	gk_times_init(&s.times);
	return s;
}

static void status_of_nothing(void **state)
{
	struct gk_xs_answer xs = { .domid = -1 };
	struct gk_status s = nothing(&xs);
	static char text[GK_STATUS_MAX];

	(void)state;
	assert_true(gk_status_json(&s, text, sizeof(text)) > 0);
	assert_string_equal(text,
		"{\"state\":\"starting\",\"ready\":false,\"cause\":null,"
		"\"domain\":\"gatekeeper-gate\",\"domid\":null,"
		"\"keyboard\":false,\"restarts\":0,\"gate_memory_kib\":49152,"
		"\"controllers\":[],\"devices\":[],\"times_ms\":{"
		"\"unit_start\":null,\"daemon_start\":null,"
		"\"create_start\":null,\"create_done\":null,"
		"\"connected\":null,\"hello\":null,\"keyboard\":null},"
		"\"gate_create_ms\":null,\"gate_ready_ms\":null,"
		"\"keyboard_ready_ms\":null,\"handoff\":null,\"rules\":null,\"log\":[]}");
	s.state = GK_GATE_NO_CONTROLLER;
	s.cause = "no USB controller found";
	assert_true(gk_status_short(&s, text, sizeof(text)) > 0);
	assert_string_equal(text, "{\"state\":\"no-controller\",\"ready\":false,"
			    "\"cause\":\"no USB controller found\"}");
}

static struct gk_session_device a_device(uint32_t id, uint8_t class,
					 enum gk_verdict verdict)
{
	struct gk_session_device d = { .id = id, .generation = id + 10 };

	d.info.path = (struct gk_port_path){
		.controller = 0x08, .depth = 2, .port = { 3, 1 },
	};
	d.info.vid = 0x046d;
	d.info.pid = 0x00ff;
	d.info.interfaces = 1;
	d.info.shown[0] = (struct gk_link_interface){
		.base_class = class, .sub_class = 1, .protocol = 1,
		.role = verdict == GK_VERDICT_ADMITTED ? GK_ROLE_KEYBOARD : 0,
	};
	d.info.verdict = (uint8_t)verdict;
	if (verdict == GK_VERDICT_ADMITTED) {
		d.info.asked = d.info.granted = GK_ROLE_KEYBOARD;
		d.info.reason = GK_REASON_ADMITTED;
	} else {
		d.info.reason = GK_REASON_NO_ROLE;
	}
	memset(d.info.sha256, 0xab, sizeof(d.info.sha256));
	return d;
}

static void status_of_a_gate_that_is_up(void **state)
{
	static const struct gk_controller c[] = {
		{ "0000:00:14.0", "pciback", 0x30, 1 },
		{ "0000:03:00.0", "pciback", 0x30, 3 },
	};
	static const char *const has[] = {
		"\"state\":\"up\",\"ready\":true", "\"domid\":7",
		"{\"number\":3,\"bdf\":\"0000:03:00.0\",\"driver\":\"pciback\","
		"\"owner\":\"gatekeeper-gate\",\"owner_by\":\"gatekeeperd\"}",
		"\"port\":\"3-3.1\",\"controller\":\"0000:03:00.0\"",
		"\"generation\":11,\"vid\":\"046d\",\"pid\":\"00ff\"",
		"\"verdict\":\"admitted\"", "\"granted\":[\"keyboard\"]",
		"\"verdict\":\"refused\"", "\"class\":\"storage\"",
		"\"gate_create_ms\":900,\"gate_ready_ms\":2500,"
		"\"keyboard_ready_ms\":4000,",
		"\"rule\":\"rules.conf:2\",\"rule_text\":\"allow id 046d:00ff\","
		"\"number_to_type\":null,\"fido_clients\":2",
		"\"rule\":\"built-in:8\",\"rule_text\":\"allow with-interface "
		"match-all { 09:*:* } label \\u0022hubs\\u0022\",\"number_to_type\":"
		"\"012345\",\"fido_clients\":null",
		"\"interface_count\":1,\"interfaces\":[{\"number\":0,\"class\":"
		"\"03:01:01\",\"role\":\"keyboard\",\"verdict\":\"admitted\","
		"\"rule\":\"rules.conf:2\"}]",
		"\"interfaces\":[{\"number\":0,\"class\":\"08:01:01\",\"role\":null,"
		"\"verdict\":\"refused\",\"rule\":\"built-in:8\"}]",
		"\"rules\":{\"in_force\":\"the rules from before\",\"rules_error\":"
		"\"a line\",\"line\":3,\"column\":7}",
		"\"log\":[{\"ms\":12345,\"port\":\"1-2\",\"vid\":\"1050\",\"pid\":"
		"\"0407\",\"class\":\"input\",\"verdict\":\"gone\",\"reason\":"
		"\"unplugged\",\"offset\":0,\"rule\":null}]}",
		"abababab",
	};
	static struct gk_gate_rules rules = {
		.source = GK_RULES_KEPT, .error = "a line",
		.where = { 3, 7, "that" }, .len = 21,
		.text = "# x\nallow id 046d:00ff\n",
	};
	static struct gk_session session;
	static struct gk_events events;
	static char text[GK_STATUS_MAX];
	struct gk_event event = {
		.ms = 12345, .what = GK_EVENT_GONE, .base_class = 3,
		.vid = 0x1050, .pid = 0x0407, .reason = GK_REASON_UNPLUGGED,
		.port = "1-2",
	};
	struct gk_xs_answer xs;
	struct gk_status s;

	(void)state;
	gk_xs_parse("answered\ndomid 7\npci 0000:00:00.00 0000:00:14.0\n"
		    "pci 0000:00:01.00 0000:03:00.0\n", &xs);
	s = nothing(&xs);
	session.dev[0] = a_device(1, 0x03, GK_VERDICT_ADMITTED);
	session.dev[0].info.rule = 2;
	session.dev[5] = a_device(2, 0x08, GK_VERDICT_REFUSED);
	session.dev[5].info.rule = GK_LINK_BUILTIN | 8;
	s.number[5] = "012345";
	s.fido[0] = 1;
	s.fido_clients[0] = 2;
	rules.len = strlen(rules.text);
	s.rules = &rules;
	gk_events_add(&events, &event);
	s.events = &events;
	s.state = GK_GATE_UP;
	s.ready = 1;
	s.domid = 7;
	s.controller = c;
	s.controllers = 2;
	s.session = &session;
	s.times = (struct gk_times){ 1000, 1100, 1500, 2400, 3500, 4000, 5000 };
	assert_true(gk_status_json(&s, text, sizeof(text)) > 0);
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		if (!strstr(text, has[i]))
			fail_msg("no %s in\n%s", has[i], text);
	/* All that there can be, at its longest, fits. */
	memset(rules.text, '"', GK_RULES_TEXT_MAX);
	rules.len = GK_RULES_TEXT_MAX;
	memset(rules.error, '"', sizeof(rules.error) - 1);
	for (uint32_t i = 0; i < GK_LINK_DEVICES; i++) {
		struct gk_link_device *d = &session.dev[i].info;

		session.dev[i] = a_device(i + 1, 0x08, GK_VERDICT_PARTLY);
		session.dev[i].generation = UINT32_MAX;
		d->path.depth = GK_PORT_DEPTH;
		memset(d->path.port, 255, sizeof(d->path.port));
		d->reason = GK_REASON_CHALLENGE;
		d->offset = UINT16_MAX;
		d->rule = 1;
		d->asked = d->granted = GK_ROLE_ALL;
		d->interfaces = 32;
		for (int n = 0; n < GK_SHOWN_INTERFACES; n++)
			d->shown[n] = (struct gk_link_interface){
				255, 255, 255, 255, GK_ROLE_SMARTCARD
			};
		s.number[i] = "012345";
	}
	event = (struct gk_event){
		INT64_MAX, GK_EVENT_ADMITTED, 0xfe, 0xffff, 0xffff,
		GK_REASON_CHALLENGE, UINT16_MAX, UINT16_MAX,
		"1-255.255.255.255.255.255.255",
	};
	for (unsigned i = 0; i < GK_EVENTS; i++)
		gk_events_add(&events, &event);
	assert_true(gk_status_json(&s, text, sizeof(text)) > 0);
}

static void events_are_kept(void **state)
{
	static char text[GK_EVENTS_TEXT], again[GK_EVENTS_TEXT];
	static struct gk_events a, b;
	struct gk_event e = {
		.what = GK_EVENT_REFUSED, .base_class = 0xff, .vid = 0xffff,
		.pid = 0xffff, .reason = UINT16_MAX, .offset = UINT16_MAX,
		.rule = UINT16_MAX, .port = "1-255.255.255.255.255.255.255",
	};

	(void)state;
	for (int i = 0; i < GK_EVENTS + 5; i++) {
		e.ms = 100000000000LL + i;
		gk_events_add(&a, &e);
	}
	assert_int_equal(a.n, GK_EVENTS);
	assert_true(gk_events_at(&a, 0)->ms == 100000000005LL);
	gk_events_text(&a, text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	gk_events_parse(&b, text);
	assert_int_equal(b.n, GK_EVENTS);
	gk_events_text(&b, again);
	assert_string_equal(text, again);
	for (unsigned i = 0; i < GK_EVENTS; i++)
		assert_memory_equal(gk_events_at(&a, i), gk_events_at(&b, i),
				    sizeof(e));
	/* What is no event leaves none. */
	memset(&b, 0, sizeof(b));
	gk_events_parse(&b, "\n \nx\n1 2 3\n1 5 03 0627 0001 1 0 0 1-2\n"
			"1 0 03 0627 0001 1 0 99999 1-2\n"
			"1 0 03 0627 0001 1 0 0 1-2 more\n");
	assert_int_equal(b.n, 0);
	gk_events_parse(&b, "1 0 03 0627 0001 3 0 0 1-2");
	assert_int_equal(b.n, 1);
	assert_string_equal(gk_events_at(&b, 0)->port, "1-2");
}

static void xenstore_answers(void **state)
{
	static const struct gk_controller c[] = { { .bdf = "0000:00:1a.7" } };
	struct gk_xs_answer a;

	(void)state;
	gk_xs_parse("", &a);
	assert_int_equal(a.answered, 0);
	assert_int_equal(a.domid, -1);
	gk_xs_parse("answered\n", &a);
	assert_int_equal(a.answered, 1);
	assert_int_equal(a.domid, -1);
	gk_xs_parse("answered\ndomid 12\nnoise\npci x y\npci 0000:00:02.01 "
		    "0000:00:1a.7\npci 0000:01:00.0 0000:00:1a.0\npci "
		    "0000:00:01.0 0000:00:1a.9", &a);
	assert_int_equal(a.domid, 12);
	assert_int_equal(a.maps, 1);
	assert_int_equal(a.map[0].devfn, 0x11);
	assert_ptr_equal(gk_xs_controller(&a, c, 1, 0x11), c);
	assert_null(gk_xs_controller(&a, c, 1, 0x10));
	assert_null(gk_xs_controller(&a, c, 0, 0x11));
	/* More than there is room for. */
	{
		char many[4096] = "answered\n";

		for (int i = 0; i < 40; i++)
			strcat(many, "pci 0000:00:02.1 0000:00:1a.7\n");
		gk_xs_parse(many, &a);
		assert_int_equal(a.maps, GK_CONTROLLERS_MAX);
	}
}

static void screen_is_bounded(void **state)
{
	struct gk_screen_rate r = { 0 };
	int shown = 0;

	(void)state;
	for (uint64_t t = 100000; t < 100000 + GK_SCREEN_WINDOW_MS; t += 10)
		shown += gk_screen_rate(&r, t);
	assert_int_equal(shown, GK_SCREEN_LINES);
	assert_int_equal(r.held_back, GK_SCREEN_WINDOW_MS / 10 -
			 GK_SCREEN_LINES);
	assert_int_equal(gk_screen_rate(&r, 100000 + GK_SCREEN_WINDOW_MS), 1);
}

static void what_to_call_a_device(void **state)
{
	struct gk_link_device d = { .device_class = 9 };

	(void)state;
	assert_int_equal(gk_device_class(&d), 9);
	d = (struct gk_link_device){
		.interfaces = 2,
		.shown = { { .base_class = 8 }, { .base_class = 3 } },
	};
	assert_int_equal(gk_device_class(&d), 8);
	d.device_class = 0xef;
	assert_int_equal(gk_device_class(&d), 8);
	d.interfaces = 0;
	assert_int_equal(gk_device_class(&d), 0xef);
}

static void make_function(const char *root, const char *bdf, const char *class,
			  const char *driver)
{
	char path[256], target[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", root, bdf);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/class", root,
		 bdf);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%s\n", class);
	fclose(f);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver_override",
		 root, bdf);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("(null)\n", f);
	fclose(f);
	if (!driver)
		return;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", root,
		 bdf);
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	assert_int_equal(symlink(target, path), 0);
}

static void controllers_in_sysfs(void **state)
{
	static const char *const dirs[] = { "sys", "sys/bus", "sys/bus/pci",
					    "sys/bus/pci/devices" };
	char root[] = "/tmp/gk-sysfs-XXXXXX", path[256], command[128];
	struct gk_controller c[GK_CONTROLLERS_MAX];
	int n;

	(void)state;
	assert_non_null(mkdtemp(root));
	gk_root_prefix = root;
	assert_int_equal(gk_controllers_list(c), GK_ERR_SYSTEM);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	assert_int_equal(gk_controllers_list(c), 0);
	make_function(root, "0000:00:1d.0", "0x0c0320", "pciback");
	make_function(root, "0000:00:14.0", "0x0c0330", "xhci_hcd");
	make_function(root, "0000:00:1a.0", "0x0c0300", NULL);
	make_function(root, "0000:00:1b.0", "0x0c0310", "pciback");
	/* USB4 host, USB device, SMBus, and others */
	make_function(root, "0000:00:0d.2", "0x0c0340", "thunderbolt");
	make_function(root, "0000:00:0d.3", "0x0c03fe", "pciback");
	make_function(root, "0000:00:1f.4", "0x0c0500", "pciback");
	n = gk_controllers_list(c);
	assert_int_equal(n, 4);
	assert_string_equal(c[0].bdf, "0000:00:14.0");
	assert_string_equal(c[0].driver, "xhci_hcd");
	assert_int_equal(c[0].prog_if, 0x30);
	assert_string_equal(c[1].driver, "");
	n = gk_controllers_bound(c, n, "pciback");
	assert_int_equal(n, 2);
	assert_string_equal(c[0].bdf, "0000:00:1b.0");
	assert_string_equal(c[1].bdf, "0000:00:1d.0");
	/* Numbers do not depend on who has the others. */
	assert_int_equal(c[0].no, 3);
	assert_int_equal(c[1].no, 4);
	gk_root_prefix = "";
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_escapes),
		cmocka_unit_test(json_has_an_end),
		cmocka_unit_test(status_of_nothing),
		cmocka_unit_test(status_of_a_gate_that_is_up),
		cmocka_unit_test(events_are_kept),
		cmocka_unit_test(xenstore_answers),
		cmocka_unit_test(screen_is_bounded),
		cmocka_unit_test(what_to_call_a_device),
		cmocka_unit_test(controllers_in_sysfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
