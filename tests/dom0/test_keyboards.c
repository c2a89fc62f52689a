/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of the gate into gatekeeperd's own state, and what comes out of them:
 * at the virtual keyboard (a socket in the place of /dev/uinput) and on the
 * screen (a file in the place of /dev/console).
 */
#include <linux/input.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/paths.h"

static char root[] = "/tmp/gk-keyboards-XXXXXX", run[64], console[64];
static struct gk_daemon d;
static struct gk_loop *loop;
static int uinput;	/* its other end */
static uint32_t generation;

static int set_up(void **state)
{
	char command[256];

	(void)state;
	if (!mkdtemp(root) || gk_loop_open(&loop))
		return -1;
	gk_root_prefix = root;
	snprintf(run, sizeof(run), "%s/run", root);
	snprintf(console, sizeof(console), "%s/dev/console", root);
	gk_run_dir = run;
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p run dev etc/gatekeeper var/lib", root);
	return system(command);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* A gatekeeperd with these rules, whose gate has just said HELLO. */
static void begin(const char *rules, int in_initrd)
{
	struct gk_frame f = { .type = GK_LINK_HELLO };
	struct gk_rules_note where;
	int pair[2];

	if (d.keyboard.fd > 0) {
		gk_timer_clear(loop, &d.events_timer);
		gk_timer_clear(loop, &d.keyboards.keep_timer);
		gk_timer_clear(loop, &d.screen.more);
		close(d.keyboard.fd);
		close(uinput);
	}
	memset(&d, 0, sizeof(d));
	generation = 0;
	d.loop = loop;
	d.link_fd = d.control_fd = -1;
	gk_options_default(&d.opt);
	gk_times_init(&d.times);
	d.in_initrd = in_initrd;
	d.keyboard.let_by = gk_options_let_by(&d.opt, !in_initrd);
	gk_screen_init(&d.screen, loop, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair),
			 0);
	d.keyboard.fd = pair[0];
	uinput = pair[1];
	assert_int_equal(gk_rules_parse(rules, strlen(rules), &d.rules.table, &where),
			 0);
	gk_keyboards_load(&d);
	d.state = GK_GATE_CONNECT;
	assert_int_equal(gk_devices_frame(&d, &f), 0);
	assert_int_equal(truncate(console, 0), 0);
}

static void new_file(const char *path, const char *text)
{
	assert_int_equal(gk_file_replace(path, text, 0600), 0);
}

/* Nothing from before: a machine that has just been switched on. */
static void cold(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/keyboards", run);
	unlink(path);
	snprintf(path, sizeof(path), "%s/var/lib/gatekeeper/keyboards", root);
	unlink(path);
	new_file(console, "");
}

/* Device `id` at port 1-id; its descriptors' hash is all `hash`. */
static void plug_as(uint32_t id, uint8_t granted, int hash)
{
	struct gk_frame f = {
		.type = GK_LINK_DEVICE, .device = id, .generation = ++generation,
	};
	struct gk_link_device *i = &f.u.dev;

	i->path = (struct gk_port_path){ 1, 0, 1, { (uint8_t)id } };
	i->vid = 0x0627;
	i->pid = (uint16_t)id;
	i->asked = i->granted = granted;
	i->verdict = granted ? GK_VERDICT_ADMITTED : GK_VERDICT_REFUSED;
	i->reason = granted ? GK_REASON_ADMITTED : GK_REASON_NO_ROLE;
	i->interfaces = 1;
	i->shown[0] = (struct gk_link_interface){ 0, 3, 1, 1, 0 };
	if (granted)
		i->shown[0].role = granted & GK_ROLE_KEYBOARD ? GK_ROLE_KEYBOARD :
								granted;
	memset(i->sha256, hash, sizeof(i->sha256));
	assert_int_equal(gk_devices_frame(&d, &f), 0);
}

static void plug(uint32_t id)
{
	plug_as(id, GK_ROLE_KEYBOARD, 0xaa);
}

static void pull(uint32_t id)
{
	struct gk_session_device *s = gk_session_find(&d.session, id);
	struct gk_frame f = {
		.type = GK_LINK_GONE, .device = id,
		.u.gone.reason = GK_REASON_UNPLUGGED,
	};

	assert_non_null(s);
	f.generation = s->generation;
	assert_int_equal(gk_devices_frame(&d, &f), 0);
}

static void key(uint32_t id, uint16_t code, uint8_t value)
{
	struct gk_session_device *s = gk_session_find(&d.session, id);
	struct gk_frame f = {
		.type = GK_LINK_KEY, .device = id,
		.u.key = { .code = code, .value = value },
	};

	assert_non_null(s);
	f.generation = s->generation;
	assert_int_equal(gk_devices_frame(&d, &f), 0);
}

static void tap(uint32_t id, uint16_t code)
{
	key(id, code, 1);
	key(id, code, 0);
}

/* What came out since the last time: "30+ 30-". */
static void comes_out(const char *want)
{
	struct input_event ev[2];
	char got[512] = "";

	while (recv(uinput, ev, sizeof(ev), 0) == (ssize_t)sizeof(ev)) {
		size_t len = strlen(got);

		assert_int_equal(ev[0].type, EV_KEY);
		assert_int_equal(ev[1].type, EV_SYN);
		snprintf(got + len, sizeof(got) - len, "%s%u%c", len ? " " : "",
			 ev[0].code, ev[0].value == 1 ? '+' : ev[0].value ? '?' : '-');
	}
	assert_string_equal(got, want);
}

/* The screen since the last time. */
static const char *screen(void)
{
	static char text[8192];

	assert_true(gk_file_read(console, text, sizeof(text)) >= 0);
	assert_int_equal(truncate(console, 0), 0);
	return text;
}

static void on_screen(const char *want)
{
	const char *text = screen();

	if (want[0] ? !strstr(text, want) : text[0])
		fail_msg("not \"%s\" but \"%s\"", want, text);
}

/* The number that the screen asks for, for port 1-id. */
static void asked(uint32_t id, char number[7])
{
	const char *text = screen(), *at;
	char port[32];

	snprintf(port, sizeof(port), "on port 1-%u (", id);
	at = strstr(text, port);
	if (!at)
		fail_msg("no number for %s: \"%s\"", port, text);
	at = strstr(at, "type ");
	assert_non_null(at);
	assert_int_equal(strspn(at + 5, "0123456789"), 6);
	memcpy(number, at + 5, 6);
	number[6] = '\0';
	assert_memory_equal(at + 11, " and Enter", 10);
}

static void type(uint32_t id, const char *digits)
{
	for (; *digits; digits++)
		tap(id, *digits == '0' ? KEY_0 : (uint16_t)(KEY_1 + *digits - '1'));
	tap(id, KEY_ENTER);
}

static void type_wrong(uint32_t id, const char *number)
{
	char other[7];

	memcpy(other, number, 7);
	other[5] = other[5] == '9' ? '0' : (char)(other[5] + 1);
	type(id, other);
}

static void view_is(uint32_t id, enum gk_verdict verdict, uint16_t reason)
{
	struct gk_session_device *s = gk_session_find(&d.session, id);
	struct gk_link_device v;

	assert_non_null(s);
	gk_keyboards_view(&d, (int)(s - d.session.dev), &v);
	assert_int_equal(v.verdict, verdict);
	assert_int_equal(v.reason, reason);
	assert_int_equal(v.granted & GK_ROLE_KEYBOARD ? 1 : 0,
			 v.shown[0].role == GK_ROLE_KEYBOARD);
}

static void any_keyboard(void **state)
{
	(void)state;
	cold();
	begin("allow\n", 1);
	plug(1);
	on_screen("keyboard on port 1-1 (0627:0001) admitted");
	plug(2);
	key(1, KEY_A, 1);
	key(2, KEY_A, 1);
	key(1, KEY_A, 0);
	key(2, KEY_B, 1);
	comes_out("30+ 30- 30+ 48+");
	pull(2);
	comes_out("30- 48-");
	key(1, KEY_SYSRQ, 1);
	key(1, KEY_POWER, 1);
	comes_out("");
	tap(1, KEY_C);
	comes_out("46+ 46-");
	view_is(1, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
}

/* Keys that one keyboard never lets go of are another one's all the same. */
static void held_by_another(void **state)
{
	(void)state;
	cold();
	begin("allow\n", 1);
	plug(1);
	plug(2);
	key(1, KEY_A, 1);
	key(1, KEY_LEFTSHIFT, 1);
	key(1, KEY_LEFTSHIFT, 0);
	comes_out("30+ 42+ 42-");
	tap(2, KEY_A);
	tap(2, KEY_A);
	tap(2, KEY_B);
	comes_out("30- 30+ 30- 30+ 48+ 48-");
	pull(1);
	comes_out("30-");
	tap(2, KEY_A);
	comes_out("30+ 30-");
	/* One that was kept back, and is held: pressed by another it counts. */
	plug(1);
	key(1, KEY_LEFTALT, 1);
	key(1, KEY_F2, 1);
	key(1, KEY_LEFTALT, 0);
	comes_out("56+ 56-");
	tap(2, KEY_F2);
	comes_out("60+");
	/* And one that is down is looked at anew when it is pressed again. */
	key(2, KEY_LEFTALT, 1);
	tap(2, KEY_F2);
	comes_out("56+ 60-");
}

/* `ready` says what is so now, gatekeeperd(8), not what was once. */
static void ready_as_long_as_it_is(void **state)
{
	static const enum gk_gate_state others[] = {
		GK_GATE_PROBE, GK_GATE_CREATE, GK_GATE_FIND, GK_GATE_CONNECT,
		GK_GATE_DESTROY, GK_GATE_BACKOFF, GK_GATE_QUIESCE, GK_GATE_HANDOFF,
		GK_GATE_HANDED_OVER, GK_GATE_FAILED, GK_GATE_FALLBACK,
	};
	char ready[128], failed[128];

	(void)state;
	snprintf(ready, sizeof(ready), "%s/ready", run);
	snprintf(failed, sizeof(failed), "%s/failed", run);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		begin("allow\n", 1);
		assert_int_equal(access(ready, F_OK), 0);
		assert_int_equal(access(failed, F_OK), -1);
		d.state = others[i];
		gk_daemon_publish(&d);
		if (access(ready, F_OK) == 0)
			fail_msg("ready in %s", gk_gate_state_name(others[i]));
		assert_int_equal(access(failed, F_OK),
				 others[i] == GK_GATE_FAILED ? 0 : -1);
	}
}

static void modifiers_of_several(void **state)
{
	(void)state;
	cold();
	begin("allow\n", 1);
	plug(1);
	plug(2);
	/* Alt on one, F2 on the other: still no other terminal. */
	key(1, KEY_LEFTALT, 1);
	tap(2, KEY_F2);
	tap(1, KEY_F2);
	key(2, KEY_LEFTCTRL, 1);
	tap(2, KEY_DELETE);
	comes_out("56+ 29+");
	pull(1);
	comes_out("56-");
	tap(2, KEY_DELETE);
	comes_out("111+ 111-");
	/* A combination that is held while its keyboard is pulled. */
	plug(1);
	key(1, KEY_LEFTALT, 1);
	key(1, KEY_F1, 1);
	pull(1);
	comes_out("56+ 56-");
	tap(2, KEY_F1);
	comes_out("59+ 59-");
	/* After the disk is unlocked: terminals, but no reboot. */
	key(2, KEY_LEFTCTRL, 0);
	d.keyboard.let_by = gk_options_let_by(&d.opt, 1);
	key(2, KEY_LEFTALT, 1);
	tap(2, KEY_F2);
	key(2, KEY_LEFTCTRL, 1);
	tap(2, KEY_KPDOT);
	comes_out("29- 56+ 60+ 60- 29+");
}

static void pinned(void **state)
{
	(void)state;
	cold();
	begin("allow\nkeyboards pinned\npin via-port \"1-1\" hash \"aaaaaaaaaaaaaaaa"
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n", 1);
	plug(2);
	on_screen("keyboard on port 1-2 (0627:0002) refused: not one of the pinned");
	tap(2, KEY_A);
	comes_out("");
	plug_as(1, GK_ROLE_KEYBOARD, 0xab);
	on_screen("keyboard on port 1-1 (0627:0001) refused");
	tap(1, KEY_A);
	pull(1);
	comes_out("");
	plug(1);
	on_screen("keyboard on port 1-1 (0627:0001) admitted");
	tap(1, KEY_A);
	comes_out("30+ 30-");
	view_is(2, GK_VERDICT_REFUSED, GK_REASON_UNPINNED);
	/* What else it is stays. */
	plug_as(3, GK_ROLE_KEYBOARD | GK_ROLE_FIDO, 0xaa);
	on_screen("admitted in part, not as a keyboard: not one of the pinned");
	view_is(3, GK_VERDICT_PARTLY, GK_REASON_UNPINNED);
	tap(3, KEY_A);
	comes_out("");
	plug_as(4, GK_ROLE_FIDO, 0xaa);
	view_is(4, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
}

static void one(void **state)
{
	(void)state;
	cold();
	begin("allow\nkeyboards one\n", 1);
	plug(1);
	plug(2);
	plug(3);
	on_screen("keyboard on port 1-3 (0627:0003) refused: there is a keyboard");
	view_is(2, GK_VERDICT_REFUSED, GK_REASON_SECOND);
	key(2, KEY_A, 1);
	key(1, KEY_B, 1);
	comes_out("48+");
	pull(1);
	on_screen("keyboard on port 1-2 (0627:0002) admitted");
	view_is(2, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	view_is(3, GK_VERDICT_REFUSED, GK_REASON_SECOND);
	/* What it held before does not count, its release neither. */
	comes_out("48-");
	key(2, KEY_A, 0);
	comes_out("");
	tap(2, KEY_A);
	tap(3, KEY_A);
	comes_out("30+ 30-");
	/* It comes back as something else: the next one's turn. */
	plug_as(2, 0, 0xaa);
	view_is(3, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	tap(3, KEY_A);
	comes_out("30+ 30-");
	/* A composite key beside it does not count as a keyboard, nor blocks. */
	pull(3);
	plug_as(4, GK_ROLE_SMARTCARD, 0xaa);
	plug(1);
	tap(1, KEY_A);
	comes_out("30+ 30-");
}

/* The one that has waited longest is next, whatever its slot. */
static void the_next_one(void **state)
{
	(void)state;
	cold();
	begin("allow\nkeyboards one\n", 1);
	plug(1);
	plug(2);
	plug(3);
	/* 4 gets the slot that is free, before those of 2 and 3. */
	pull(1);
	view_is(2, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	plug(4);
	assert_true(gk_session_find(&d.session, 4) < gk_session_find(&d.session, 3));
	pull(2);
	view_is(3, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	view_is(4, GK_VERDICT_REFUSED, GK_REASON_SECOND);
}

static void a_pinned_one_comes_first(void **state)
{
	(void)state;
	cold();
	begin("allow\nkeyboards one\npin via-port \"1-2\" hash \"aaaaaaaaaaaaaaaa"
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\npin via-port "
	      "\"1-4\" hash \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	      "aaaaaaaa\"\n", 1);
	plug(1);
	key(1, KEY_A, 1);
	comes_out("30+");
	plug(2);
	on_screen("keyboard on port 1-1 (0627:0001) refused: there is a keyboard");
	comes_out("30-");
	view_is(1, GK_VERDICT_REFUSED, GK_REASON_SECOND);
	view_is(2, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	tap(1, KEY_B);
	tap(2, KEY_C);
	comes_out("46+ 46-");
	/* Neither another one nor another pinned one takes its place. */
	plug(3);
	plug(4);
	view_is(3, GK_VERDICT_REFUSED, GK_REASON_SECOND);
	view_is(4, GK_VERDICT_REFUSED, GK_REASON_SECOND);
	pull(2);
	view_is(1, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
}

static void challenge(void **state)
{
	char number[7], path[128], text[256];

	(void)state;
	cold();
	begin("allow\nkeyboards challenge\n", 1);
	plug(1);
	view_is(1, GK_VERDICT_REFUSED, GK_REASON_CHALLENGE);
	asked(1, number);
	/* A passphrase that is typed on it goes nowhere. */
	tap(1, KEY_S);
	tap(1, KEY_ENTER);
	on_screen("");
	type_wrong(1, number);
	on_screen("wrong number. New keyboard on port 1-1");
	tap(1, KEY_LEFTALT);
	/* The last key, Enter, is still down when it counts. */
	type(1, "");
	for (const char *c = number; *c; c++)
		tap(1, *c == '0' ? KEY_KP0 : (uint16_t)(const uint16_t[]){ KEY_KP1,
		    KEY_KP2, KEY_KP3, KEY_KP4, KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8,
		    KEY_KP9 }[*c - '1']);
	key(1, KEY_LEFTSHIFT, 1);
	key(1, KEY_KPENTER, 1);
	on_screen("keyboard on port 1-1 (0627:0001) admitted");
	comes_out("");
	tap(1, KEY_A);
	key(1, KEY_KPENTER, 0);
	key(1, KEY_LEFTSHIFT, 0);
	comes_out("30+ 30-");
	tap(1, KEY_KPENTER);
	comes_out("96+ 96-");
	view_is(1, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	/* Plugged in again it is known; at another port, or another, it is not. */
	pull(1);
	plug(1);
	on_screen("keyboard on port 1-1 (0627:0001) admitted");
	plug_as(2, GK_ROLE_KEYBOARD, 0xaa);
	asked(2, number);
	plug_as(1, GK_ROLE_KEYBOARD, 0xbb);
	asked(1, number);
	view_is(1, GK_VERDICT_REFUSED, GK_REASON_CHALLENGE);

	/* A gatekeeperd that is started again knows it; /var/lib is not there. */
	begin("allow\nkeyboards challenge\n", 1);
	plug(1);
	view_is(1, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	snprintf(path, sizeof(path), "%s/var/lib/gatekeeper/keyboards", root);
	assert_int_equal(access(path, F_OK), -1);
	/* In the real root it is written down, and is known at the next boot. */
	d.in_initrd = 0;
	gk_keyboards_keep(&d);
	assert_int_equal(gk_file_read(path, text, sizeof(text)), 4 + 64 + 1);
	snprintf(path, sizeof(path), "%s/keyboards", run);
	unlink(path);
	begin("allow\nkeyboards challenge\n", 1);
	plug(1);
	view_is(1, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
}

static void challenge_lost(void **state)
{
	char number[7], first[7] = "";

	(void)state;
	cold();
	begin("allow\nkeyboards challenge\n", 1);
	plug(1);
	for (int try = 1; try <= 9; try++) {
		d.screen.rate.shown = 0;
		asked(1, number);
		if (try == 1)
			memcpy(first, number, 7);
		type_wrong(1, number);
	}
	on_screen("refused: it did not type the number; plug it in again");
	view_is(1, GK_VERDICT_REFUSED, GK_REASON_CHALLENGE);
	type(1, number);
	type(1, first);
	tap(1, KEY_A);
	comes_out("");
	view_is(1, GK_VERDICT_REFUSED, GK_REASON_CHALLENGE);
	/* Plugged in again it gets other numbers, but not for ever. */
	for (int i = 0; i < GK_NUMBERS - 3; i++) {
		pull(1);
		d.screen.rate.shown = d.screen.ask_rate.shown = 0;
		screen();
		plug(1);
		asked(1, number);
	}
	pull(1);
	d.screen.rate.shown = d.screen.ask_rate.shown = 0;
	plug(1);
	on_screen("refused: too many new keyboards; plug it in again in ten minutes");
	type(1, number);
	tap(1, KEY_A);
	comes_out("");
	/* Until some time has gone by. */
	d.keyboards.numbers_since -= GK_NUMBERS_MS;
	pull(1);
	d.screen.rate.shown = d.screen.ask_rate.shown = 0;
	plug(1);
	asked(1, number);
	type(1, number);
	tap(1, KEY_A);
	comes_out("30+ 30-");
}

/* The number is seen, whatever else is said, and not again and again. */
static void a_number_and_other_lines(void **state)
{
	struct gk_counted *c = &d.keyboards.slot[0];
	char number[7];

	(void)state;
	cold();
	begin("allow\nkeyboards challenge\n", 1);
	d.screen.rate.window_start = gk_now_ms();
	d.screen.rate.shown = GK_SCREEN_LINES;
	plug(1);
	asked(1, number);
	for (int i = 0; i < 3 * GK_SHOW_AGAIN; i++) {
		tap(1, KEY_A);
		on_screen("");
		c->shown -= GK_SHOW_AGAIN_MS;
		tap(1, KEY_B);
		on_screen(i < GK_SHOW_AGAIN ? "new keyboard on port 1-1" : "");
	}
	/* One that could not be shown at once is shown a little later. */
	d.screen.ask_rate.window_start = gk_now_ms();
	d.screen.ask_rate.shown = GK_SCREEN_LINES;
	gk_keyboards_ask(&d, 0);
	on_screen("");
	assert_int_equal(c->shown, 0);
	d.screen.ask_rate.shown = 0;
	tap(1, KEY_A);
	on_screen("");
	c->tried -= GK_SHOW_RETRY_MS;
	tap(1, KEY_A);
	asked(1, number);
	assert_true(c->shown > 0);
}

static void one_and_challenge(void **state)
{
	char first[7], second[7];

	(void)state;
	cold();
	begin("allow\nkeyboards { one challenge }\n", 1);
	plug(1);
	asked(1, first);
	plug(2);
	asked(2, second);
	type(2, second);
	type(1, first);
	view_is(2, GK_VERDICT_ADMITTED, GK_REASON_ADMITTED);
	view_is(1, GK_VERDICT_REFUSED, GK_REASON_SECOND);
	tap(1, KEY_A);
	tap(2, KEY_B);
	comes_out("48+ 48-");
	/* It has answered: it counts as soon as it is the only one. */
	pull(2);
	tap(1, KEY_A);
	comes_out("30+ 30-");
}

/* After the switch of the root the screen is the system's, but for this. */
static void asked_in_the_real_root(void **state)
{
	char number[7];

	(void)state;
	cold();
	begin("allow\nkeyboards challenge\n", 0);
	d.screen.on = 0;
	plug(1);
	asked(1, number);
	type(1, number);
	on_screen("");
	tap(1, KEY_A);
	comes_out("30+ 30-");
}

static void a_log_of_it(void **state)
{
	static char text[GK_STATUS_MAX];
	char number[7], want[64];
	struct gk_status s;

	(void)state;
	cold();
	begin("allow\nkeyboards challenge\n", 1);
	plug(1);
	asked(1, number);
	gk_daemon_status(&d, &s);
	assert_true(gk_status_json(&s, text, sizeof(text)) > 0);
	snprintf(want, sizeof(want), "\"number_to_type\":\"%s\"", number);
	assert_non_null(strstr(text, want));
	type(1, number);
	pull(1);
	plug_as(2, 0, 1);
	assert_int_equal(d.events.n, 4);
	assert_int_equal(gk_events_at(&d.events, 0)->what, GK_EVENT_REFUSED);
	assert_int_equal(gk_events_at(&d.events, 0)->reason, GK_REASON_CHALLENGE);
	assert_int_equal(gk_events_at(&d.events, 1)->what, GK_EVENT_ADMITTED);
	assert_int_equal(gk_events_at(&d.events, 2)->what, GK_EVENT_GONE);
	assert_int_equal(gk_events_at(&d.events, 3)->what, GK_EVENT_REFUSED);
	assert_string_equal(gk_events_at(&d.events, 3)->port, "1-2");
	/* A storm fills neither the log nor the screen. */
	for (int i = 0; i < 1000; i++) {
		plug(3);
		pull(3);
	}
	assert_int_equal(d.events.n, GK_EVENTS);
	gk_daemon_status(&d, &s);
	assert_true(gk_status_json(&s, text, sizeof(text)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_keyboard),
		cmocka_unit_test(ready_as_long_as_it_is),
		cmocka_unit_test(held_by_another),
		cmocka_unit_test(modifiers_of_several),
		cmocka_unit_test(pinned),
		cmocka_unit_test(one),
		cmocka_unit_test(the_next_one),
		cmocka_unit_test(a_pinned_one_comes_first),
		cmocka_unit_test(challenge),
		cmocka_unit_test(challenge_lost),
		cmocka_unit_test(a_number_and_other_lines),
		cmocka_unit_test(one_and_challenge),
		cmocka_unit_test(asked_in_the_real_root),
		cmocka_unit_test(a_log_of_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
