/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real gatekeeper-input-proxy ($GK_INPUT_PROXY) between the streams of
 * tests/golden/input/write and gatekeeperd's own code: what arrives at the virtual
 * keyboard (a socket in the place of /dev/uinput), how the program ends, and what is
 * told to the sender.
 */
#include <errno.h>
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
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/input_reader.h"
#include "dom0/paths.h"

enum { PATIENCE_MS = 10000, STREAM_MAX = 4 << 20, KEYS_MAX = 4096 };

static char root[] = "/tmp/gk-input-XXXXXX", run[64], console[64];
static struct gk_daemon d;
static struct gk_loop *loop;
static int uinput; /* its other end */
static const char *program;

/* One input-proxy-sender: its end of the stream, and what became of the program. */
struct sender {
	int fd;
	unsigned child;
	int done, status;
	char said[GK_CHILD_OUT];
};

/* --- the loop of gatekeeperd --- */

static void set_flag(void *ctx)
{
	*(int *)ctx = 1;
}

/* Lets gatekeeperd run for so long. */
static void turn(unsigned ms)
{
	struct gk_timer t = { 0 };
	int flag = 0;

	gk_timer_set(loop, &t, ms, set_flag, &flag);
	assert_int_equal(gk_loop_until(loop, &flag), 0);
}

#define UNTIL(cond)                                                              \
	do {                                                                     \
		uint64_t end_ = gk_now_ms() + PATIENCE_MS;                       \
		while (!(cond)) {                                                \
			if (gk_now_ms() > end_)                                  \
				fail_msg("line %d: never: %s", __LINE__, #cond); \
			turn(5);                                                 \
		}                                                                \
	} while (0)

static int set_up(void **state)
{
	char command[256];

	(void)state;
	program = getenv("GK_INPUT_PROXY");
	if (!program || !mkdtemp(root) || gk_loop_open(&loop))
		return -1;
	gk_root_prefix = root;
	snprintf(run, sizeof(run), "%s/run", root);
	snprintf(console, sizeof(console), "%s/dev/console", root);
	gk_run_dir = run;
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p run dev etc/gatekeeper var/lib && : > dev/console",
		 root);
	return system(command);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* Whatever state a gatekeeperd was in, it is no more. */
static void stop(void)
{
	if (d.keyboard.fd <= 0)
		return;
	d.opt.input_proxy = 0;
	gk_inputs_check(&d);
	gk_timer_clear(loop, &d.screen.more);
	gk_timer_clear(loop, &d.events_timer);
	close(d.keyboard.fd);
	close(uinput);
}

/* A gatekeeperd with these rules that has handed the controllers over. */
static void begin(const char *rules)
{
	struct gk_rules_note where;
	int pair[2], room = 8 << 20;

	stop();
	memset(&d, 0, sizeof(d));
	d.loop = loop;
	d.link_fd = d.control_fd = -1;
	gk_options_default(&d.opt);
	d.opt.input_proxy = 1;
	gk_times_init(&d.times);
	d.keyboard.let_by = gk_options_let_by(&d.opt, 1);
	gk_screen_init(&d.screen, loop, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair),
			 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	d.keyboard.fd = pair[0];
	uinput = pair[1];
	assert_int_equal(gk_rules_parse(rules, strlen(rules), &d.rules.table, &where),
			 0);
	d.rules.loaded = 1;
	d.state = GK_GATE_HANDED_OVER;
	gk_daemon_publish(&d);
	assert_true(d.inputs.listening);
	assert_int_equal(truncate(console, 0), 0);
}

/* --- senders --- */

static char *const *more_arguments;
static int systemd; /* fd 3 is a listening socket of its */

static int exec_program(void *arg)
{
	char *argv[8] = { (char *)(uintptr_t)program, (char *)(uintptr_t) "--run-dir",
			  run };

	(void)arg;
	if (systemd) {
		char pid[16];

		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		execv(program, argv);
		_exit(98);
	}
	for (int i = 0; more_arguments && more_arguments[i]; i++)
		argv[3 + i] = more_arguments[i];
	/* As qrexec does it. */
	setenv("QREXEC_REMOTE_DOMAIN", "dom0-test", 1);
	if (dup2(3, 0) < 0 || dup2(3, 1) < 0)
		_exit(99);
	close(3);
	execv(program, argv);
	_exit(98);
}

static void on_end(void *ctx, const struct gk_child_end *end)
{
	struct sender *s = ctx;

	s->done = 1;
	s->status = end->status >= 0 && WIFEXITED(end->status) ? WEXITSTATUS(end->status)
							       : -1;
	snprintf(s->said, sizeof(s->said), "%s", end->out);
}

/* Only the program: nothing is sent yet. */
static void start(struct sender *s)
{
	const struct gk_child_spec spec = {
		.name = "the proxy",
		.fn = exec_program,
		.deadline_ms = 60000,
		.done = on_end,
		.ctx = s,
	};
	struct gk_child_spec mine = spec;
	int pair[2];

	memset(s, 0, sizeof(*s));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	mine.pass_fd = pair[1];
	assert_int_equal(gk_child_start(loop, &mine, &s->child), 0);
	close(pair[1]);
	s->fd = pair[0];
}

static size_t stream(const char *name, uint8_t **out)
{
	static uint8_t data[STREAM_MAX];
	char command[128];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "tests/golden/input/write --get %s", name);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(data, 1, sizeof(data), f);
	pclose(f);
	*out = data;
	return n;
}

/* As much as is taken; the loop runs meanwhile. */
static void give(struct sender *s, const uint8_t *data, size_t len)
{
	uint64_t end = gk_now_ms() + PATIENCE_MS;

	while (len && !s->done && gk_now_ms() < end) {
		ssize_t n = send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		turn(1);
	}
}

static void hang_up(struct sender *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void play(struct sender *s, const char *name)
{
	uint8_t *data;
	size_t len = stream(name, &data);

	assert_true(len > 0 || !strcmp(name, "cut-nothing"));
	start(s);
	give(s, data, len);
}

static void ends_with(struct sender *s, int status, const char *text)
{
	UNTIL(s->done);
	hang_up(s);
	if (s->status != status || !strstr(s->said, text))
		fail_msg("status %d, said \"%s\"; not %d, \"%s\"", s->status, s->said,
			 status, text);
}

static void event(struct sender *s, uint16_t type, uint16_t code, int32_t value)
{
	struct input_event ev = { .type = type, .code = code, .value = value };

	assert_int_equal(send(s->fd, &ev, sizeof(ev), MSG_NOSIGNAL), sizeof(ev));
}

static void key(struct sender *s, uint16_t code, int32_t value)
{
	event(s, EV_MSC, MSC_SCAN, 0x70004);
	event(s, EV_KEY, code, value);
	event(s, EV_SYN, SYN_REPORT, 0);
}

static void tap(struct sender *s, uint16_t code)
{
	key(s, code, 1);
	key(s, code, 0);
}

/* --- what came out --- */

static char keys[KEYS_MAX]; /* "30+ 30-" */
static unsigned key_count;

static void collect(void)
{
	struct input_event ev[2];

	while (recv(uinput, ev, sizeof(ev), 0) == (ssize_t)sizeof(ev)) {
		size_t len = strlen(keys);

		assert_int_equal(ev[0].type, EV_KEY);
		assert_int_equal(ev[1].type, EV_SYN);
		key_count++;
		snprintf(keys + len, sizeof(keys) - len, "%s%u%c", len ? " " : "",
			 ev[0].code,
			 ev[0].value == 1 ? '+'
			 : ev[0].value	  ? '?'
					  : '-');
	}
}

static int came(const char *want)
{
	collect();
	return strlen(keys) >= strlen(want);
}

/* In time, and nothing else, also not a moment later. */
static void comes_out(const char *want)
{
	UNTIL(came(want));
	turn(30);
	collect();
	assert_string_equal(keys, want);
	keys[0] = '\0';
	key_count = 0;
}

static const char *screen(void)
{
	static char text[8192];

	assert_true(gk_file_read(console, text, sizeof(text)) >= 0);
	return text;
}

/* What `gatekeeper status` would be told, and state.json is. */
static void status_has(const char *want)
{
	static char text[GK_STATUS_MAX], file[GK_STATUS_MAX];
	struct gk_status st;
	char path[128];

	gk_daemon_status(&d, &st);
	assert_true(gk_status_json(&st, text, sizeof(text)) > 0);
	if (!strstr(text, want))
		fail_msg("no %s in %s", want, text);
	snprintf(path, sizeof(path), "%s/state.json", run);
	assert_true(gk_file_read(path, file, sizeof(file)) > 0);
	if (!strstr(file, want))
		fail_msg("no %s in the file: %s", want, file);
}

/* --- the tests --- */

/* Off, too early, or not handed over: the program says so, and ends. */
static void only_when_it_may(void **state)
{
	static const enum gk_gate_state others[] = {
		GK_GATE_UP,	GK_GATE_QUIESCE,  GK_GATE_HANDOFF,
		GK_GATE_FAILED, GK_GATE_FALLBACK,
	};
	struct sender s;

	(void)state;
	begin("allow\n");
	d.opt.input_proxy = 0;
	gk_daemon_publish(&d);
	play(&s, "keyboard");
	ends_with(&s, GK_INPUT_EXIT_REFUSED, "takes no input proxy now");
	d.opt.input_proxy = 1;
	d.in_initrd = 1;
	gk_daemon_publish(&d);
	play(&s, "keyboard");
	ends_with(&s, GK_INPUT_EXIT_REFUSED, "takes no input proxy now");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		d.state = others[i];
		d.in_initrd = 0;
		gk_daemon_publish(&d);
		assert_false(d.inputs.listening);
	}
	comes_out("");
	/* The switch of the root is enough. */
	d.state = GK_GATE_HANDED_OVER;
	d.in_initrd = 1;
	gk_daemon_publish(&d);
	assert_false(d.inputs.listening);
	gk_daemon_switched_root(&d);
	assert_true(d.inputs.listening);
	gk_timer_clear(loop, &d.keyboards.keep_timer);
	play(&s, "keyboard");
	hang_up(&s);
	ends_with(&s, GK_INPUT_EXIT_DONE, "4 keys; dropped: 0 not on the list");
	comes_out("30+ 30- 48+ 48-");
}

/* The golden streams once more, now all the way through. */
static void streams(void **state)
{
	static const struct {
		const char *name, *keys;
		enum gk_input_exit status;
		const char *text;
	} rows[] = {
		{ "keyboard", "30+ 30- 48+ 48-", GK_INPUT_EXIT_DONE, "4 keys" },
		{ "shifted", "42+ 30+ 30- 42-", GK_INPUT_EXIT_DONE, "4 keys" },
		{ "old-sender", "30+ 30-", GK_INPUT_EXIT_DONE, "2 keys" },
		{ "no-name", "30+ 30-", GK_INPUT_EXIT_DONE, "2 keys" },
		{ "later-sender", "30+ 30-", GK_INPUT_EXIT_DONE, "2 keys" },
		{ "longest-name", "30+ 30-", GK_INPUT_EXIT_DONE, "2 keys" },
		{ "with-mouse", "30+ 30-", GK_INPUT_EXIT_DONE, "2 not on the list" },
		{ "only-caps", "", GK_INPUT_EXIT_DONE, "0 keys" },
		{ "repeats", "30+ 30-", GK_INPUT_EXIT_DONE, "5 repeats" },
		{ "unlisted", "48+ 48-", GK_INPUT_EXIT_DONE, "14 not on the list" },
		{ "not-announced", "30+ 30-", GK_INPUT_EXIT_DONE, "2 not on the list" },
		{ "odd-values", "30+ 30-", GK_INPUT_EXIT_DONE, "4 odd" },
		{ "same-again", "30+ 30-", GK_INPUT_EXIT_DONE, "3 without a change" },
		{ "other-types", "30+ 30-", GK_INPUT_EXIT_DONE, "11 of other kinds" },
		{ "lost", "42+ 30+ 30- 42- 48+ 48-", GK_INPUT_EXIT_DONE,
		  "2 lost by the sender" },
		{ "dies-held", "42+ 48+ 42- 48-", GK_INPUT_EXIT_DONE, "4 keys" },
		{ "cut-event", "30+ 30-", GK_INPUT_EXIT_CUT,
		  "in the middle of an event" },
		{ "bad-version", "", GK_INPUT_EXIT_VIOLATION,
		  "does not speak version 1" },
		{ "bad-big-endian", "", GK_INPUT_EXIT_VIOLATION,
		  "does not speak version 1" },
		{ "bad-size-0", "", GK_INPUT_EXIT_VIOLATION, "unknown size" },
		{ "bad-size-huge", "", GK_INPUT_EXIT_VIOLATION, "unknown size" },
		{ "bad-32-bit", "", GK_INPUT_EXIT_VIOLATION, "a 32-bit program" },
		{ "bad-name-escape", "", GK_INPUT_EXIT_VIOLATION,
		  "name is not printable" },
		{ "bad-name-endless", "", GK_INPUT_EXIT_VIOLATION,
		  "name is not printable" },
		{ "bad-mouse", "", GK_INPUT_EXIT_NO_KEYBOARD, "it is no keyboard" },
		{ "bad-media-keys", "", GK_INPUT_EXIT_NO_KEYBOARD, "it is no keyboard" },
		{ "cut-nothing", "", GK_INPUT_EXIT_CUT,
		  "in the middle of its greeting" },
		{ "cut-hello", "", GK_INPUT_EXIT_CUT, "in the middle of its greeting" },
		{ "cut-axes", "", GK_INPUT_EXIT_CUT, "in the middle of its greeting" },
	};
	struct sender s;

	(void)state;
	begin("allow\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		play(&s, rows[i].name);
		if (s.fd >= 0)
			shutdown(s.fd, SHUT_WR);
		ends_with(&s, (int)rows[i].status, rows[i].text);
		comes_out(rows[i].keys);
	}
	UNTIL(!d.inputs.stream[0].used);
}

/* Too fast: it ends with an error, and its key is up. */
static void floods(void **state)
{
	struct sender s;

	(void)state;
	begin("allow\n");
	play(&s, "flood-events");
	ends_with(&s, GK_INPUT_EXIT_VIOLATION, "faster than any keyboard");
	comes_out("30+ 30-");
	play(&s, "flood-keys");
	ends_with(&s, GK_INPUT_EXIT_VIOLATION, "faster than any keyboard");
	UNTIL(!d.inputs.stream[0].used);
	collect();
	/* A slow machine may see more than one second of it. */
	assert_true(key_count >= 2 && key_count <= 40000 && key_count % 2 == 0);
	for (int b = 0; b < GK_KEY_BYTES; b++)
		assert_int_equal(d.keyboard.down[b], 0);
	keys[0] = '\0';
}

/* Whoever goes, and however: keys come up. */
static void ends_with_keys_down(void **state)
{
	struct sender s;

	(void)state;
	begin("allow\n");
	play(&s, "dies-held");
	comes_out("42+ 48+");
	gk_child_kill(loop, s.child);
	comes_out("42- 48-");
	hang_up(&s);
	play(&s, "dies-held");
	comes_out("42+ 48+");
	/* A reclaim, say. */
	d.state = GK_GATE_PROBE;
	gk_daemon_publish(&d);
	ends_with(&s, GK_INPUT_EXIT_REFUSED, "gatekeeperd closed the connection");
	comes_out("42- 48-");
	play(&s, "keyboard");
	ends_with(&s, GK_INPUT_EXIT_REFUSED, "takes no input proxy now");
	d.state = GK_GATE_HANDED_OVER;
	gk_daemon_publish(&d);
	/* The link of another gate goes, and all keys with it: a key that is still held
	 * is not pressed again. */
	play(&s, "dies-held");
	comes_out("42+ 48+");
	gk_link_stop(&d);
	comes_out("42- 48-");
	tap(&s, KEY_A);
	key(&s, KEY_B, 0);
	tap(&s, KEY_B);
	comes_out("30+ 30- 48+ 48-");
	hang_up(&s);
	ends_with(&s, GK_INPUT_EXIT_DONE, "");
}

/* Both ways: what the lock lights are is told when it begins and when they change. */
static void lights(void **state)
{
	struct input_event ev[3];
	struct sender s, dark, one;

	(void)state;
	begin("allow\n");
	d.keyboard.leds = 1;
	play(&s, "keyboard");
	play(&dark, "no-lights");
	play(&one, "one-light");
	comes_out("30+ 30- 48+ 48- 30+ 30- 30+ 30-");
	UNTIL(recv(s.fd, ev, sizeof(ev), MSG_DONTWAIT | MSG_PEEK) == sizeof(ev));
	assert_int_equal(recv(s.fd, ev, sizeof(ev), 0), sizeof(ev));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ev[i].type, EV_LED);
		assert_int_equal(ev[i].code, i == 0   ? LED_NUML
					     : i == 1 ? LED_CAPSL
						      : LED_SCROLLL);
		assert_int_equal(ev[i].value, i == 0);
	}
	UNTIL(recv(one.fd, ev, sizeof(ev), MSG_DONTWAIT) == sizeof(ev[0]));
	assert_int_equal(ev[0].code, LED_CAPSL);
	assert_int_equal(ev[0].value, 0);
	d.keyboard.leds = 3;
	gk_devices_lights(&d, 0);
	UNTIL(recv(s.fd, ev, sizeof(ev), MSG_DONTWAIT) == sizeof(ev[0]));
	assert_int_equal(ev[0].type, EV_LED);
	assert_int_equal(ev[0].code, LED_CAPSL);
	assert_int_equal(ev[0].value, 1);
	UNTIL(recv(one.fd, ev, sizeof(ev), MSG_DONTWAIT) == sizeof(ev[0]));
	assert_int_equal(ev[0].value, 1);
	assert_int_equal(recv(dark.fd, ev, sizeof(ev), MSG_DONTWAIT), -1);
	/* A sender that takes no lights still types. */
	shutdown(s.fd, SHUT_RD);
	d.keyboard.leds = 0;
	gk_devices_lights(&d, 0);
	turn(50);
	tap(&s, KEY_C);
	comes_out("46+ 46-");
	hang_up(&s);
	hang_up(&dark);
	hang_up(&one);
	ends_with(&s, GK_INPUT_EXIT_DONE, "");
	ends_with(&dark, GK_INPUT_EXIT_DONE, "");
	ends_with(&one, GK_INPUT_EXIT_DONE, "");
}

/* The modes of the rules are for them, too. */
static void modes(void **state)
{
	struct sender s, second;
	char number[7], want[256];
	const char *at;

	(void)state;
	begin("allow\nkeyboards pinned\npin via-port \"1-1\" hash \"aaaaaaaaaaaaaaaa"
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n");
	play(&s, "keyboard");
	ends_with(&s, GK_INPUT_EXIT_REFUSED, "gatekeeperd closed the connection");
	comes_out("");

	begin("allow\nkeyboards one\n");
	play(&s, "only-caps");
	UNTIL(gk_inputs_counting(&d) == 1);
	play(&second, "only-caps");
	UNTIL(d.inputs.stream[1].counted.counts == GK_COUNTS_REFUSED);
	key(&second, KEY_B, 1);
	tap(&s, KEY_A);
	comes_out("30+ 30-");
	hang_up(&s);
	ends_with(&s, GK_INPUT_EXIT_DONE, "");
	UNTIL(d.inputs.stream[1].counted.counts == GK_COUNTS_YES);
	/* What was held then counts from its next press on. */
	key(&second, KEY_B, 0);
	tap(&second, KEY_C);
	comes_out("46+ 46-");
	hang_up(&second);
	ends_with(&second, GK_INPUT_EXIT_DONE, "");

	begin("allow\nkeyboards challenge\n");
	play(&s, "only-caps");
	UNTIL(strstr(screen(), "type "));
	assert_non_null(strstr(screen(), "new keyboard \"dom0-test: A keyboard\" of the "
					 "input proxy: type "));
	at = strstr(screen(), "type ") + 5;
	memcpy(number, at, 6);
	number[6] = '\0';
	assert_int_equal(strspn(number, "0123456789"), 6);
	snprintf(want, sizeof(want),
		 "{\"keyboard\":\"dom0-test: A keyboard\",\"verdict\":"
		 "\"refused\",\"reason\":\"%s\",\"number_to_type\":\"%s\"}",
		 gk_reason_text(GK_REASON_CHALLENGE), number);
	status_has(want);
	tap(&s, KEY_X);
	tap(&s, KEY_ENTER);
	for (int i = 0; i < 6; i++)
		tap(&s, number[i] == '0' ? KEY_0 : (uint16_t)(KEY_1 + number[i] - '1'));
	tap(&s, KEY_ENTER);
	UNTIL(gk_inputs_counting(&d) == 1);
	status_has("\"verdict\":\"admitted\",\"reason\":null,\"number_to_type\":null}");
	tap(&s, KEY_A);
	comes_out("30+ 30-");
	hang_up(&s);
	ends_with(&s, GK_INPUT_EXIT_DONE, "");
	status_has("\"input_proxy\":[]");
}

/* Terminals and reboots are held back as with any keyboard. */
static void combinations(void **state)
{
	struct sender s;

	(void)state;
	begin("allow\n");
	play(&s, "only-caps");
	UNTIL(gk_inputs_counting(&d) == 1);
	key(&s, KEY_LEFTCTRL, 1);
	key(&s, KEY_LEFTALT, 1);
	tap(&s, KEY_DELETE);
	key(&s, KEY_LEFTALT, 0);
	key(&s, KEY_LEFTCTRL, 0);
	comes_out("29+ 56+ 56- 29-");
	hang_up(&s);
	ends_with(&s, GK_INPUT_EXIT_DONE, "");
}

/* --- a reader that was taken over --- */

static int connect_here(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/input-proxy", run);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void put(int fd, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n = gk_link_encode(f, GK_SIDE_WORKER, buf, sizeof(buf));

	assert_true(n > 0);
	send(fd, buf, (size_t)n, MSG_NOSIGNAL);
}

static int is_closed(int fd)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static void hostile_reader(void **state)
{
	const struct gk_frame name = {
		.type = GK_LINK_LOG,
		.u.log = { 6, 10, "a\"b\\c:defg" },
	};
	const struct gk_frame down = { .type = GK_LINK_KEY, .u.key = { KEY_A, 1 } };
	const struct gk_frame up = { .type = GK_LINK_KEY, .u.key = { KEY_A, 0 } };
	const struct gk_frame sysrq = { .type = GK_LINK_KEY, .u.key = { KEY_SYSRQ, 1 } };
	const struct gk_frame ping = { .type = GK_LINK_PING };
	const struct gk_frame *bad[][3] = {
		{ &down },
		{ &ping },
		{ &name, &name },
		{ &name, &up },
		{ &name, &sysrq },
		{ &name, &ping },
		{ &name, &down, &down },
	};
	int fd, many[GK_INPUT_STREAMS];

	(void)state;
	begin("allow\n");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = connect_here();
		for (int k = 0; k < 3 && bad[i][k]; k++)
			put(fd, bad[i][k]);
		UNTIL(is_closed(fd));
		close(fd);
	}
	comes_out("30+ 30-");
	fd = connect_here();
	send(fd, "nonsense", 8, 0);
	UNTIL(is_closed(fd));
	close(fd);
	/* Faster than its own bound. */
	fd = connect_here();
	put(fd, &name);
	UNTIL(gk_inputs_counting(&d) == 1);
	assert_string_equal(d.inputs.stream[0].name, "a_b_c:defg");
	put(fd, &down);
	put(fd, &up);
	comes_out("30+ 30-");
	d.inputs.stream[0].window_start = gk_now_ms();
	d.inputs.stream[0].window_keys = 2 * GK_SESSION_KEYS - 1;
	put(fd, &down);
	put(fd, &up);
	put(fd, &down);
	UNTIL(is_closed(fd));
	comes_out("30+ 30-");
	close(fd);
	/* More than there is room for. */
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		many[i] = connect_here();
	turn(20);
	fd = connect_here();
	UNTIL(is_closed(fd));
	close(fd);
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		close(many[i]);
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		UNTIL(!d.inputs.stream[i].used);
}

static int as_nobody(void *arg)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char byte;

	(void)arg;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/input-proxy", run);
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 3;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return errno == EACCES ? 1 : 4;
	return recv(fd, &byte, 1, 0) == 0 ? 2 : 5;
}

/* Only root: by the file's mode, and, whatever that is, by who connects. */
static void only_root(void **state)
{
	const struct gk_child_spec spec = {
		.name = "nobody",
		.fn = as_nobody,
		.pass_fd = -1,
		.deadline_ms = 5000,
		.done = on_end,
	};
	struct gk_child_spec mine = spec;
	struct sender s = { .fd = -1 };
	char path[128];

	(void)state;
	begin("allow\n");
	mine.ctx = &s;
	assert_int_equal(gk_child_start(loop, &mine, NULL), 0);
	UNTIL(s.done);
	assert_int_equal(s.status, 1);
	s.done = 0;
	snprintf(path, sizeof(path), "%s/input-proxy", run);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(root, 0755), 0);
	assert_int_equal(gk_child_start(loop, &mine, NULL), 0);
	UNTIL(s.done);
	assert_int_equal(s.status, 2);
}

/* --- the jail, the socket, and time --- */

static void value_of(const char *text, const char *field, char out[64])
{
	const char *at = strstr(text, field);

	assert_non_null(at);
	snprintf(out, 64, "%.*s", (int)strcspn(at + strlen(field), "\n"),
		 at + strlen(field));
}

static void jailed(void **state)
{
	char path[64], text[4096], value[64];
	struct sender s;

	(void)state;
	begin("allow\n");
	play(&s, "only-caps");
	UNTIL(gk_inputs_counting(&d) == 1);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	assert_true(gk_file_line(path, text, sizeof(text)) > 0);
	snprintf(path, sizeof(path), "/proc/%d/status", atoi(text));
	assert_true(gk_file_read(path, text, sizeof(text)) > 0);
	value_of(text, "Name:\t", value);
	assert_string_equal(value, "gatekeeper-inpu");
	value_of(text, "\nSeccomp:\t", value);
	assert_string_equal(value, "2");
	value_of(text, "\nNoNewPrivs:\t", value);
	assert_string_equal(value, "1");
	if (geteuid() == 0) {
		value_of(text, "\nUid:\t", value);
		assert_string_equal(value, "65528\t65528\t65528\t65528");
		value_of(text, "\nGroups:\t", value);
		assert_int_equal(strspn(value, " "), strlen(value));
		value_of(text, "\nCapBnd:\t", value);
		assert_string_equal(value, "0000000000000000");
	}
	hang_up(&s);
	ends_with(&s, GK_INPUT_EXIT_DONE, "");
}

static int reach(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* --socket: one process a sender, and one that goes takes no other with it. */
static void on_a_socket(void **state)
{
	char path[128], *arguments[] = { (char *)(uintptr_t) "--from",
					 (char *)(uintptr_t) "sys-usb",
					 (char *)(uintptr_t) "--socket", path, NULL };
	struct sender listener, one = { 0 }, two = { 0 };
	struct stat st;
	uint8_t *data;
	size_t len;

	(void)state;
	begin("allow\n");
	snprintf(path, sizeof(path), "%s/stream", root);
	more_arguments = arguments;
	start(&listener);
	more_arguments = NULL;
	UNTIL((one.fd = reach(path)) >= 0);
	two.fd = reach(path);
	assert_true(two.fd >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	len = stream("only-caps", &data);
	give(&one, data, len);
	give(&two, data, len);
	UNTIL(gk_inputs_counting(&d) == 2);
	assert_string_equal(d.inputs.stream[0].name, "sys-usb: A keyboard");
	tap(&one, KEY_A);
	comes_out("30+ 30-");
	key(&two, KEY_B, 1);
	comes_out("48+");
	assert_int_equal(send(two.fd, "x", 1, 0), 1);
	hang_up(&two);
	comes_out("48-");
	tap(&one, KEY_C);
	comes_out("46+ 46-");
	UNTIL((two.fd = reach(path)) >= 0);
	give(&two, data, len);
	UNTIL(gk_inputs_counting(&d) == 2);
	hang_up(&one);
	hang_up(&two);
	UNTIL(gk_inputs_counting(&d) == 0);
	gk_child_kill(loop, listener.child);
	hang_up(&listener);
}

/* The same with a socket that systemd has made. */
static void on_a_socket_of_systemd(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct gk_child_spec spec = {
		.name = "the proxy",
		.fn = exec_program,
		.deadline_ms = 60000,
		.done = on_end,
	};
	struct sender listener = { .fd = -1 }, s = { 0 };
	uint8_t *data;
	size_t len = stream("only-caps", &data);

	(void)state;
	begin("allow\n");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/activated", root);
	spec.pass_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	spec.ctx = &listener;
	assert_int_equal(bind(spec.pass_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(spec.pass_fd, 4), 0);
	systemd = 1;
	assert_int_equal(gk_child_start(loop, &spec, &listener.child), 0);
	systemd = 0;
	close(spec.pass_fd);
	s.fd = reach(a.sun_path);
	assert_true(s.fd >= 0);
	give(&s, data, len);
	tap(&s, KEY_A);
	comes_out("30+ 30-");
	hang_up(&s);
	UNTIL(gk_inputs_counting(&d) == 0);
	gk_child_kill(loop, listener.child);
}

/* A sender that says nothing, and a gatekeeperd that does not read: bounded. */
static void bounds_in_time(void **state)
{
	struct sender mute, held_up;
	uint64_t end;

	(void)state;
	begin("allow\n");
	start(&mute);
	play(&held_up, "only-caps");
	UNTIL(gk_inputs_counting(&d) == 1);
	/* More than fits into the sockets on the way; gatekeeperd does not run. */
	for (int i = 0; i < 20000; i++) {
		const struct input_event ev = { .type = EV_KEY,
						.code = KEY_A,
						.value = !(i & 1) };

		if (send(held_up.fd, &ev, sizeof(ev), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			usleep(100);
	}
	end = gk_now_ms() + 11000;
	while (gk_now_ms() < end)
		usleep(100000);
	ends_with(&held_up, GK_INPUT_EXIT_STALLED, "gatekeeperd does not read");
	ends_with(&mute, GK_INPUT_EXIT_CUT, "does not say what it has in 10 s");
	UNTIL(!d.inputs.stream[0].used && !d.inputs.stream[1].used);
	collect();
	assert_int_equal(gk_key_is_down(d.keyboard.down, KEY_A), 0);
	keys[0] = '\0';
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_when_it_may),
		cmocka_unit_test(streams),
		cmocka_unit_test(floods),
		cmocka_unit_test(ends_with_keys_down),
		cmocka_unit_test(lights),
		cmocka_unit_test(modes),
		cmocka_unit_test(combinations),
		cmocka_unit_test(hostile_reader),
		cmocka_unit_test(only_root),
		cmocka_unit_test(jailed),
		cmocka_unit_test(on_a_socket),
		cmocka_unit_test(on_a_socket_of_systemd),
		cmocka_unit_test(bounds_in_time),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
