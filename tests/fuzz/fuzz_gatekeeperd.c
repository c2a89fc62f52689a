/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeperd as a whole: all of its files but the event loop, the clock and the
 * log, which are here. The input is a list of what happens to it: frames that the
 * link reader passes on, lines it says, ends of children, time, requests, and
 * what dom0's kernel says of the lights. After each step:
 *  - what is down on the virtual keyboard is on the list of keys, and is held by
 *    a keyboard of the session that is admitted and that counts by the mode of
 *    rules.conf; nothing is down without a link;
 *  - a FIDO key has its socket when and only when its device is in the session
 *    with that role, and nothing is sent to another device;
 *  - a state that waits has a timer or a child that will end it, and a state that
 *    does not has none;
 *  - there is one link reader at most, one xl or probe at most;
 *  - the gate is started again at most `restarts` times in the window;
 *  - a link reader that does not answer is ended, one that answers is left alone;
 *  - a stop that was asked for wins: nothing but the gate's end comes after it;
 *  - a handoff is at every moment in a state that has a deadline, or waits for
 *    nobody; after it no keyboard counts that is not in the manifest, and the two
 *    links are never one;
 * and at the end no descriptor, timer or child is left.
 */
#include <fcntl.h>
#include <linux/input.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/keycode.h"
#include "fuzz.h"

/* Its statics are wanted too; the loop below stands for what main() runs. */
int gatekeeperd_main(int argc, char **argv);
#define main gatekeeperd_main
#include "dom0/main.c"
#undef main

/* The files in /run are written at each step; here only looked at. */
int gk_paths_file_replace(const char *path, const char *text, mode_t mode);
#define gk_file_replace gk_paths_file_replace
#include "dom0/paths.c"
#undef gk_file_replace

int gk_file_replace(const char *path, const char *text, mode_t mode)
{
	MUST(path[0] == '/' && (mode & 022) == 0);
	for (const char *s = text; *s; s++)
		MUST(*s == '\n' || *s == '\t' || (*s >= 0x20 && *s <= 0x7e));
	return 0;
}

/* --- the clock and the log --- */

static uint64_t clock_ms;

uint64_t gk_now_ms(void)
{
	return clock_ms;
}

void gk_log_open(const char *program)
{
	(void)program;
}

void gk_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

void gk_log(int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	MUST(vsnprintf(text, sizeof(text), fmt, ap) >= 0);
	va_end(ap);
	MUST(level >= 0 && level <= 7);
	if (getenv("GK_FUZZ_LOG"))
		fprintf(stderr, "%llu %s\n", (unsigned long long)clock_ms, text);
}

/* --- the screen: the real one is the console of the machine this runs on --- */

void gk_screen_init(struct gk_screen *s, struct gk_loop *l, int on)
{
	memset(s, 0, sizeof(*s));
	s->loop = l;
	s->on = on;
}

void gk_screen_say(struct gk_screen *s, int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	MUST(s->loop);
	va_start(ap, fmt);
	MUST(vsnprintf(text, sizeof(text), fmt, ap) >= 0);
	va_end(ap);
	gk_log(level, "%s", text);
}

int gk_screen_ask(struct gk_screen *s, int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	MUST(s->loop);
	if (!gk_screen_rate(&s->ask_rate, clock_ms))
		return 0;
	va_start(ap, fmt);
	MUST(vsnprintf(text, sizeof(text), fmt, ap) >= 0);
	va_end(ap);
	gk_log(level, "%s", text);
	return 1;
}

int gk_screen_rate(struct gk_screen_rate *r, uint64_t now_ms)
{
	if (now_ms - r->window_start >= GK_SCREEN_WINDOW_MS) {
		r->window_start = now_ms;
		r->shown = 0;
	}
	return r->shown++ < GK_SCREEN_LINES;
}

/* --- the loop --- */

struct child {
	unsigned id;
	struct gk_child_spec spec;
	struct gk_timer deadline;
	struct gk_loop *loop;
	int pass_fd;
};

struct gk_loop {
	struct gk_watch watch[GK_WATCHES];
	struct gk_timer *timer[GK_TIMERS];
	struct child child[GK_CHILDREN];
	unsigned next_id;
	int stop;
};

static struct gk_loop the_loop;

int gk_loop_open(struct gk_loop **out)
{
	memset(&the_loop, 0, sizeof(the_loop));
	for (int i = 0; i < GK_WATCHES; i++)
		the_loop.watch[i].fd = -1;
	*out = &the_loop;
	return 0;
}

void gk_loop_run(struct gk_loop *l)
{
	(void)l;
}

void gk_loop_stop(struct gk_loop *l)
{
	l->stop = 1;
}

int gk_loop_add(struct gk_loop *l, int fd, uint32_t events,
		void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	(void)events;
	for (int i = 0; i < GK_WATCHES; i++)
		MUST(l->watch[i].fd != fd);
	for (int i = 0; i < GK_WATCHES; i++) {
		if (l->watch[i].fd >= 0)
			continue;
		l->watch[i] = (struct gk_watch){ .fd = fd, .fn = fn, .ctx = ctx };
		return 0;
	}
	return GK_ERR_LIMIT;
}

void gk_loop_events(struct gk_loop *l, int fd, uint32_t events)
{
	(void)l;
	(void)fd;
	(void)events;
}

void gk_loop_del(struct gk_loop *l, int fd)
{
	for (int i = 0; i < GK_WATCHES && fd >= 0; i++)
		if (l->watch[i].fd == fd)
			l->watch[i].fd = -1;
}

void gk_timer_clear(struct gk_loop *l, struct gk_timer *t)
{
	t->at = 0;
	for (int i = 0; i < GK_TIMERS; i++)
		if (l->timer[i] == t)
			l->timer[i] = NULL;
}

void gk_timer_set(struct gk_loop *l, struct gk_timer *t, uint64_t ms,
		  void (*fn)(void *ctx), void *ctx)
{
	int slot = -1;

	gk_timer_clear(l, t);
	*t = (struct gk_timer){ .at = clock_ms + ms, .fn = fn, .ctx = ctx };
	for (int i = 0; i < GK_TIMERS && slot < 0; i++)
		if (!l->timer[i])
			slot = i;
	MUST(slot >= 0);
	l->timer[slot] = t;
}

static void free_child(struct child *c)
{
	gk_timer_clear(c->loop, &c->deadline);
	if (c->pass_fd >= 0)
		close(c->pass_fd);
	memset(c, 0, sizeof(*c));
}

static void end_child(struct child *c, int status, int timed_out, const char *out)
{
	struct gk_child_end end = { .status = status, .timed_out = timed_out,
				    .out = out };
	struct gk_child_spec spec = c->spec;

	free_child(c);
	spec.done(spec.ctx, &end);
}

static void too_late(void *ctx)
{
	end_child(ctx, -1, 1, "");
}

static int child_limit;	/* of this input: what the machine lets us have */

int gk_child_start(struct gk_loop *l, const struct gk_child_spec *spec, unsigned *id)
{
	struct child *c = NULL;
	int used = 0;

	MUST(spec->name && spec->done);
	MUST(!spec->argv == !spec->path);
	MUST(spec->argv || spec->fn);
	for (int i = 0; i < GK_CHILDREN; i++) {
		used += l->child[i].id != 0;
		if (!l->child[i].id && !c)
			c = &l->child[i];
	}
	if (!c || used >= child_limit)
		return GK_ERR_LIMIT;
	*c = (struct child){ .spec = *spec, .loop = l, .pass_fd = -1 };
	/* Not ours to look at any more when the caller returns. */
	c->spec.argv = NULL;
	if (spec->pass_fd >= 0)
		c->pass_fd = fcntl(spec->pass_fd, F_DUPFD_CLOEXEC, 3);
	c->id = ++l->next_id;
	if (spec->deadline_ms)
		gk_timer_set(l, &c->deadline, spec->deadline_ms, too_late, c);
	if (id)
		*id = c->id;
	return 0;
}

void gk_child_kill(struct gk_loop *l, unsigned id)
{
	for (int i = 0; i < GK_CHILDREN; i++)
		if (id && l->child[i].id == id)
			free_child(&l->child[i]);
}

static struct child *child_named(const char *name)
{
	for (int i = 0; i < GK_CHILDREN; i++)
		if (the_loop.child[i].id &&
		    strcmp(the_loop.child[i].spec.name, name) == 0)
			return &the_loop.child[i];
	return NULL;
}

static unsigned children_named(const char *name)
{
	unsigned n = 0;

	for (int i = 0; i < GK_CHILDREN; i++)
		n += the_loop.child[i].id &&
		     strcmp(the_loop.child[i].spec.name, name) == 0;
	return n;
}

static void ring(int fd, uint32_t events)
{
	for (int i = 0; i < GK_WATCHES && fd >= 0; i++)
		if (the_loop.watch[i].fd == fd) {
			the_loop.watch[i].fn(the_loop.watch[i].ctx, events);
			return;
		}
}

static void reader_takes(void);

/* Every timer that is due by then, in its order. */
static void pass_time(uint64_t ms)
{
	uint64_t end = clock_ms + ms;

	for (int n = 0; n < 1000; n++) {
		struct gk_timer *first = NULL;

		for (int i = 0; i < GK_TIMERS; i++)
			if (the_loop.timer[i] && the_loop.timer[i]->at <= end &&
			    (!first || the_loop.timer[i]->at < first->at))
				first = the_loop.timer[i];
		if (!first)
			break;
		if (first->at > clock_ms)
			clock_ms = first->at;
		gk_timer_clear(&the_loop, first);
		first->fn(first->ctx);
		reader_takes();
	}
	if (end > clock_ms)
		clock_ms = end;
}

/* --- a machine, once --- */

static char top[] = "/tmp/gk-fuzz-XXXXXX";

static void clear_away(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", top);
}

static const char *in_top(char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", top, name);
	return path;
}

static void put_in(const char *path, const char *head, size_t head_len, off_t size)
{
	char full[256];
	int fd;

	fd = open(in_top(full, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, head, head_len) == (ssize_t)head_len &&
	     (size == 0 || ftruncate(fd, size) == 0));
	close(fd);
}

static void make_machine(void)
{
	static const char *const dirs[] = {
		"sys", "sys/bus", "sys/bus/pci", "sys/bus/pci/drivers",
		"sys/bus/pci/drivers/pciback", "sys/bus/pci/devices",
		"sys/bus/pci/devices/0000:00:14.0", "usr", "usr/lib",
		"usr/lib/gatekeeper", "run", "proc", "etc",
	};
	char path[256];

	MUST(mkdtemp(top));
	atexit(clear_away);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, dirs[i]);
		MUST(mkdir(path, 0700) == 0);
	}
	put_in("sys/bus/pci/devices/0000:00:14.0/class", "0x0c0330\n", 9, 0);
	put_in("sys/bus/pci/devices/0000:00:14.0/driver_override", "pciback\n", 8, 0);
	snprintf(path, sizeof(path),
		 "%s/sys/bus/pci/devices/0000:00:14.0/driver", top);
	MUST(symlink("../../drivers/pciback", path) == 0);
	MUST(mkdir(in_top(path, "etc/gatekeeper"), 0700) == 0);
	put_in("usr/lib/gatekeeper/gate-kernel", "\177ELF", 4, 200000);
	put_in("usr/lib/gatekeeper/gate-image", "070701", 6, 600);
	gk_root_prefix = top;
	snprintf(path, sizeof(path), "%s/run", top);
	gk_run_dir = strdup(path);
}

/* --- what happens --- */

#define ZEROS "00000000000000000000000000000000000000000000000000000000000000"

struct input {
	const uint8_t *b;
	size_t len;
};

static unsigned take(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->b++;
}

/* The hash of the one keyboard that is pinned, as frames can have it. */
static const uint8_t pinned[GK_SHA256] = { 2 };

static const char *const modes[] = {
	NULL, "allow\nkeyboards one\n", "allow\nkeyboards challenge\n",
	"allow\nkeyboards pinned\npin via-port \"8-1\" hash \"02" ZEROS "\"\n",
	"allow\nkeyboards { one challenge }\n", "allow\nkeyboards all of them\n",
	"allow\nkeyboards { one pinned }\npin via-port \"8-1\" hash \"02" ZEROS
	"\"\n", "reject\n",
};

static struct {
	struct gk_daemon d;
	int keys;		/* our end of the virtual keyboard */
	uint8_t down[32];
	uint8_t nonce;
	int client[4];
	int deaf;		/* the reader does not answer */
	uint64_t restart_at[256];
	unsigned restarts;
	int program[4];		/* that use FIDO keys */
	struct gk_frame told;	/* the last FIDO frame for the gate */
} f;

static int is_fido_key(const struct gk_session_device *s)
{
	return s->id && s->info.granted & GK_ROLE_FIDO &&
	       (s->info.verdict == GK_VERDICT_ADMITTED ||
		s->info.verdict == GK_VERDICT_PARTLY);
}

/* The reader of the link that counts. */
static struct child *the_reader(void)
{
	return child_named(f.d.link_agent ? "the agent's link" : "gatekeeper-link");
}

/* That of the link to be: it takes what it is told, and answers. */
static void agent_takes(void)
{
	struct child *reader = f.d.agent.child ? child_named("the agent's link") : NULL;
	uint8_t told[GK_LINK_FRAME_MAX];

	for (int i = 0; i < 600 && reader && reader->pass_fd >= 0; i++) {
		struct gk_frame g;
		ssize_t n = recv(reader->pass_fd, told, sizeof(told), MSG_DONTWAIT);

		if (n <= 0)
			return;
		MUST(gk_link_decode(told, (size_t)n, GK_SIDE_DOM0, &g) == 0);
		MUST(g.type == GK_LINK_MANIFEST || g.type == GK_LINK_PING);
		if (g.type != GK_LINK_PING || g.u.ping.reply || f.deaf)
			continue;
		g.u.ping.reply = 1;
		n = gk_link_encode(&g, GK_SIDE_GATE, told, sizeof(told));
		if (send(reader->pass_fd, told, (size_t)n,
			 MSG_DONTWAIT | MSG_NOSIGNAL) == n)
			ring(f.d.agent.fd, EPOLLIN);
		return;
	}
}

static void agent_says_hello(void)
{
	struct child *reader = f.d.agent.child ? child_named("the agent's link") : NULL;
	struct gk_frame g = { .type = GK_LINK_HELLO };
	uint8_t b[GK_LINK_FRAME_MAX];
	int n;

	g.u.hello.version_min = g.u.hello.version_max = GK_LINK_VERSION;
	n = gk_link_encode(&g, GK_SIDE_GATE, b, sizeof(b));
	if (reader && reader->pass_fd >= 0 &&
	    send(reader->pass_fd, b, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		ring(f.d.agent.fd, EPOLLIN);
	agent_takes();
}

/* What the reader is told; questions it answers. */
static void reader_takes(void)
{
	uint8_t told[GK_LINK_FRAME_MAX];

	agent_takes();
	for (int i = 0; i < 64; i++) {
		struct child *reader = the_reader();
		struct gk_frame g;
		ssize_t n;

		if (!reader || reader->pass_fd < 0)
			return;
		n = recv(reader->pass_fd, told, sizeof(told), MSG_DONTWAIT);
		if (n <= 0)
			return;
		MUST(gk_link_decode(told, (size_t)n, GK_SIDE_DOM0, &g) == 0);
		if (g.type == GK_LINK_FIDO)
			f.told = g;
		if (g.type != GK_LINK_PING || g.u.ping.reply || f.deaf)
			continue;
		g.u.ping.reply = 1;
		n = gk_link_encode(&g, GK_SIDE_GATE, told, sizeof(told));
		MUST(n > 0);
		if (send(reader->pass_fd, told, (size_t)n,
			 MSG_DONTWAIT | MSG_NOSIGNAL) == n)
			ring(f.d.link_fd, EPOLLIN);
	}
}

/* As the reader passes it on. */
static void pass_on(const void *b, int n)
{
	struct child *reader = the_reader();

	if (!reader || reader->pass_fd < 0)
		return;
	if (send(reader->pass_fd, b, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		ring(f.d.link_fd, EPOLLIN);
	/* And what it is told in turn. */
	reader_takes();
}

/* What a key says: an answer to what it was told last, or anything. */
static void fido_packet(struct gk_frame *g, unsigned how)
{
	uint8_t *p = g->u.fido.packet;

	memcpy(p, f.told.u.fido.packet, GK_LINK_REPORT);
	if (how & 1) {
		g->device = f.told.device;
		g->generation = f.told.generation;
	}
	if (p[4] == (0x80 | GK_CTAPHID_INIT) && how & 2) {
		p[6] = GK_CTAPHID_INIT_LEN;
		memset(p + 15, (int)(how | 1), 4);
	} else if (how & 4) {
		p[4] = (uint8_t)how;
	} else if (how & 8) {
		memset(p, (int)how, GK_LINK_REPORT);
	}
}

/* A program comes, says something to the first key there is, or goes. */
static void program(struct input *in)
{
	unsigned slot = take(in) % 4, what = take(in), which = take(in) % GK_LINK_DEVICES;
	const struct gk_fido_key *k = &f.d.fido.key[which];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	uint8_t p[GK_CTAPHID_PACKET + 8] = { 0 };

	for (unsigned i = 0; i < GK_LINK_DEVICES && !k->device; i++)
		k = &f.d.fido.key[i];
	if (!(what & 1) && f.program[slot] >= 0) {
		close(f.program[slot]);
		f.program[slot] = -1;
	}
	if (f.program[slot] < 0 && k->device && what & 2) {
		f.program[slot] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
					 SOCK_NONBLOCK, 0);
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/fido/%s", gk_run_dir,
			 k->port);
		MUST(connect(f.program[slot], (struct sockaddr *)&a, sizeof(a)) == 0);
		ring(k->listen_fd, EPOLLIN);
	}
	/* On the channel that it was given, if it reads. */
	if (f.program[slot] >= 0 && what & 4 &&
	    recv(f.program[slot], p, GK_CTAPHID_PACKET, MSG_DONTWAIT) > 0 &&
	    p[4] == (0x80 | GK_CTAPHID_INIT)) {
		memcpy(p, p + 15, 4);
		p[4] = 0x80 | GK_CTAPHID_CBOR;
		p[5] = 0;
		p[6] = (uint8_t)what;
	} else {
		memset(p, what & 8 ? 0xff : (int)what, 4);
		p[4] = 0x80 | GK_CTAPHID_INIT;
		p[5] = 0;
		p[6] = 8;
	}
	if (f.program[slot] >= 0)
		(void)!send(f.program[slot], p,
			    GK_CTAPHID_PACKET + ((what & 0xf0) == 0xf0), MSG_NOSIGNAL);
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++)
		for (int c = 0; f.d.fido.key[i].device && c < GK_FIDO_CONNECTIONS; c++)
			ring(f.d.fido.key[i].client[c].fd, EPOLLIN);
	reader_takes();
}

static void press(const struct gk_session_device *s, unsigned code)
{
	struct gk_frame g = { .type = GK_LINK_KEY, .device = s->id,
			      .generation = s->generation };
	uint8_t b[GK_LINK_FRAME_MAX];

	g.u.key.code = (uint16_t)code;
	for (int value = 1; value >= 0; value--) {
		int n;

		g.u.key.value = (uint8_t)value;
		n = gk_link_encode(&g, GK_SIDE_GATE, b, sizeof(b));
		if (n > 0)
			pass_on(b, n);
	}
}

/* What no input could know: the number that a keyboard was asked for. */
static void type_number(unsigned slot)
{
	const struct gk_session_device *s = &f.d.session.dev[slot];
	char number[sizeof(f.d.keyboards.slot[slot].challenge.number)];

	if (f.d.keyboards.slot[slot].counts != GK_COUNTS_ASKED)
		return;
	memcpy(number, f.d.keyboards.slot[slot].challenge.number, sizeof(number));
	for (unsigned i = 0; i < sizeof(number) && number[i]; i++)
		press(s, number[i] == '0' ? KEY_0 :
		      (unsigned)(KEY_1 + number[i] - '1'));
	press(s, KEY_ENTER);
}

static void one_frame(struct input *in)
{
	struct gk_frame g = { .type = (uint8_t)(take(in) % 13) };
	uint8_t b[GK_LINK_FRAME_MAX + 1];
	unsigned a = take(in), c = take(in), e = take(in);
	struct gk_link_device *v = &g.u.dev;
	int n;

	g.device = a & 31;
	g.generation = c;
	switch (g.type) {
	case GK_LINK_HELLO:
		g.device = g.generation = 0;
		g.u.hello.version_min = g.u.hello.version_max = GK_LINK_VERSION;
		g.u.hello.nonce[0] = (uint8_t)a;
		break;
	case GK_LINK_DEVICE:
		v->path = (struct gk_port_path){ .controller = e & 1 ? 16 : 8,
						 .depth = 1,
						 .port = { (uint8_t)(1 + e / 32) } };
		v->interfaces = 1 + (e >> 4 & 1);
		v->verdict = e >> 1 & 3;
		v->granted = (uint8_t)(v->verdict == GK_VERDICT_ADMITTED ||
			     v->verdict == GK_VERDICT_PARTLY ?
			     1u << (e >> 3 & 1) : 0);
		v->asked = v->granted | GK_ROLE_KEYBOARD;
		v->shown[0].role = v->granted;
		v->shown[0].base_class = (uint8_t)(a >> 5);
		v->reason = v->verdict == GK_VERDICT_HUB ? GK_REASON_HUB :
			    v->granted ? GK_REASON_ADMITTED :
			    (uint16_t)(GK_REASON_NO_ROLE + e / 32);
		v->sha256[0] = (uint8_t)(a >> 5);
		break;
	case GK_LINK_FIDO:
		fido_packet(&g, e);
		break;
	case GK_LINK_GONE:
		g.u.gone.reason = (uint16_t)(GK_REASON_CHANGED + e % 5);
		break;
	case GK_LINK_KEY:
		g.u.key.code = (uint16_t)take(in);
		g.u.key.value = e & 1;
		break;
	case GK_LINK_QUIESCED:
		g.device = g.generation = 0;
		g.u.quiesced.complete = e & 1;
		g.u.quiesced.devices = a & 15;
		break;
	case GK_LINK_PING:
		g.device = g.generation = 0;
		g.u.ping.reply = e & 1;
		break;
	case GK_LINK_LOG:
		g.device = g.generation = 0;
		g.u.log.level = (uint8_t)(3 + e % 5);
		g.u.log.len = (uint8_t)(1 + a % GK_LINK_TEXT);
		memset(g.u.log.text, '%', g.u.log.len);
		break;
	default:
		break;
	}
	n = gk_link_encode(&g, GK_SIDE_GATE, b, sizeof(b));
	/* What does not encode comes as bytes: the reader has lost its mind. */
	if (n < 0) {
		n = (int)(a % sizeof(b));
		memset(b, (int)c, sizeof(b));
		b[0] = GK_LINK_VERSION;
		b[1] = g.type;
	}
	pass_on(b, n);
}

static void child_ends(struct input *in)
{
	static const char *const outs[] = {
		"", "answered\n", "answered\ndomid 5\n", "answered\ndomid 0\n",
		"domid 7\n", "libxl: error: not enough memory\n",
		"passthrough not supported on this platform\n",
		"invalid domain identifier\n", "\x1b[31m%s%n\n",
	};
	static const int statuses[] = { 0, 0, 0, 1 << 8, 2 << 8, 3 << 8, 4 << 8,
					5 << 8, 6 << 8, 7 << 8, 8 << 8, 127 << 8,
					9, 31, 14, 11 };
	struct child *c = &the_loop.child[take(in) % GK_CHILDREN];
	int status = statuses[take(in) % 16];
	const char *out = outs[take(in) % (sizeof(outs) / sizeof(outs[0]))];

	if (c->id)
		end_child(c, status, 0, out);
}

static void child_says(struct input *in)
{
	static const char *const lines[] = {
		"gatekeeper-link: connected", "pci 0000:00:01.00 0000:00:14.0",
		"pci 0000:00:01.00", "gatekeeper-link: the gate broke the protocol: "
		"KEY, decoding: a field out of its range", "", "ready",
		"{\"step\":\"x\",\"detail\":\"y\"}", "%s%s%n",
		"pci ffff:ff:ff.ff ffff:ff:ff.f",
	};
	static const char *const handoff_lines[] = {
		"controller 0000:00:14.0", "answered", "domain 7 1 sys-usb",
		"domain 7 0 sys-usb", "owns 7 0000:00:14.0 0000:00:01.00",
		"vdev 0000:00:01.00 0000:00:14.0", "vdev x", "target 7 1", "target -1 0",
		"target 8 1", "controller 1",
	};
	enum { HANDOFF_LINES = sizeof(handoff_lines) / sizeof(handoff_lines[0]) };
	struct child *c = &the_loop.child[take(in) % GK_CHILDREN];
	unsigned which = take(in);

	if (which >= 248) {
		agent_says_hello();
		return;
	}
	if (c->id && c->spec.line)
		c->spec.line(c->spec.ctx, which >= 128 ?
			     handoff_lines[which % HANDOFF_LINES] :
			     lines[which % (sizeof(lines) / sizeof(lines[0]))]);
}

/* The whole way to the agent, or some of it: no input would find it. */
static void handoff(struct input *in)
{
	static const char *const found[] = {
		"controller 0000:00:14.0", "answered", "domain 7 1 sys-usb",
	};
	static const char quiesced[] = { GK_LINK_VERSION, GK_LINK_QUIESCED, 4 };
	static const char *const vdev = "vdev 0000:00:01.00 0000:00:14.0";
	unsigned far = take(in);
	uint8_t frame[16] = { 0 };
	struct child *c = child_named("the handoff's check");

	for (size_t i = 0; c && i < 3; i++)
		c->spec.line(c->spec.ctx, found[i]);
	if (c)
		end_child(c, 0, 0, "");
	if (far > 16)
		agent_says_hello();
	memcpy(frame, quiesced, sizeof(quiesced));
	frame[12] = 1;
	if (far > 32 && f.d.handover.m.state == GK_HO_QUIESCING)
		pass_on(frame, sizeof(frame));
	for (unsigned i = 48; i < far && i < 96; i += 16) {
		c = child_named("the handoff");
		if (c && f.d.handover.m.state == GK_HO_RESET && far & 1)
			c->spec.line(c->spec.ctx, vdev);
		if (c)
			end_child(c, 0, 0, "");
	}
}

static void request(struct input *in)
{
	static const char *const texts[] = {
		"status\n", "stop\n", "switched-root\n",
		"handoff config=/etc/xen/sys-usb.cfg to=sys-usb\n",
		"handoff release_only=1\n", "handoff x\n", "status", "\n",
		"handoff config=/a to=b no_strict_reset=1\n", "\x80\xff\n",
	};
	static const char *const more[] = {
		"handoff to=sys-usb\n", "reclaim\n", "want sys-usb\n", "trust 1-1\n",
		"trust 8-1\n", "trust\n", "want 1\n",
	};
	unsigned slot = take(in) % 4, which = take(in) % 12;
	const char *text = which < sizeof(texts) / sizeof(texts[0]) ? texts[which] : NULL;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, n = 0;

	if (f.client[slot] >= 0)
		close(f.client[slot]);
	f.client[slot] = -1;
	/* The other ends of clients that have gone. */
	for (int i = 0; i < GK_CLIENTS; i++)
		ring(f.d.client[i].fd, EPOLLIN);
	if (which == 11)
		text = more[take(in) % (sizeof(more) / sizeof(more[0]))];
	if (!text)
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", gk_run_dir);
	MUST(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return;
	}
	f.client[slot] = fd;
	ring(f.d.control_fd, EPOLLIN);
	n = (int)send(fd, text, strlen(text), MSG_NOSIGNAL);
	for (int i = 0; i < GK_CLIENTS && n > 0; i++)
		ring(f.d.client[i].fd, EPOLLIN);
}

/* What dom0's kernel says of the lights, or anything. */
static void lights(struct input *in)
{
	struct input_event ev = { .type = EV_LED };

	ev.code = (uint16_t)(take(in) % 4);
	ev.value = (int32_t)(take(in) & 1);
	if (send(f.keys, &ev, sizeof(ev), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		ring(f.d.keyboard.fd, EPOLLIN);
}

static void reader_closes(void)
{
	struct child *reader = the_reader();

	if (!reader || reader->pass_fd < 0)
		return;
	close(reader->pass_fd);
	reader->pass_fd = -1;
	ring(f.d.link_fd, EPOLLIN | EPOLLHUP);
}

/* --- what must hold --- */

static int held(unsigned code)
{
	for (unsigned i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *s = &f.d.session.dev[i];

		if (s->id && f.d.keyboards.slot[i].counts == GK_COUNTS_YES &&
		    (s->info.granted & GK_ROLE_KEYBOARD) &&
		    (s->info.verdict == GK_VERDICT_ADMITTED ||
		     s->info.verdict == GK_VERDICT_PARTLY) &&
		    (s->down[code >> 3] >> (code & 7) & 1) &&
		    !(f.d.keyboards.slot[i].stale[code >> 3] >> (code & 7) & 1))
			return 1;
	}
	return 0;
}

static void check_keys(void)
{
	struct input_event ev[64];
	ssize_t n;

	while ((n = recv(f.keys, ev, sizeof(ev), MSG_DONTWAIT)) > 0) {
		MUST(n % (ssize_t)sizeof(ev[0]) == 0);
		for (size_t i = 0; i < (size_t)n / sizeof(ev[0]); i++) {
			unsigned code = ev[i].code;

			if (ev[i].type == EV_SYN)
				continue;
			MUST(ev[i].type == EV_KEY && code < 256);
			MUST(gk_key_allowed((uint16_t)code));
			MUST((f.down[code >> 3] >> (code & 7) & 1) != ev[i].value);
			f.down[code >> 3] ^= (uint8_t)(1u << (code & 7));
		}
	}
	for (unsigned code = 0; code < 256; code++) {
		if (!(f.down[code >> 3] >> (code & 7) & 1))
			continue;
		MUST(f.d.link_fd >= 0 && f.d.session_begun);
		MUST(held(code));
	}
}

/* The modes of rules.conf, as far as they bound how many count. */
static void check_counted(void)
{
	unsigned counted = 0;

	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_session_device *s = &f.d.session.dev[i];

		if (f.d.keyboards.slot[i].counts == GK_COUNTS_NO)
			continue;
		MUST(s->id && s->info.granted & GK_ROLE_KEYBOARD);
		if (f.d.keyboards.slot[i].counts != GK_COUNTS_YES)
			continue;
		counted++;
		MUST(!f.d.link_agent || gk_continuity_match(&f.d, i) == GK_MATCH_SAME);
		MUST(!(f.d.rules.table.keyboards & GK_KEYBOARDS_PINNED) ||
		     memcmp(s->info.sha256, pinned, sizeof(pinned)) == 0);
	}
	MUST(!(f.d.rules.table.keyboards & GK_KEYBOARDS_ONE) || counted <= 1);
	MUST(f.d.keyboards.numbers <= GK_NUMBERS);
}

static void check_fido(void)
{
	char path[256], name[32];

	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_fido_key *k = &f.d.fido.key[i];
		const struct gk_session_device *s = &f.d.session.dev[i];

		MUST((gk_fido_clients(&f.d, i) >= 0) == (k->device != 0));
		if (!k->device)
			continue;
		MUST(f.d.link_fd >= 0 && f.d.session_begun && is_fido_key(s));
		MUST(k->device == s->id && k->generation == s->generation);
		MUST(k->listen_fd >= 0);
		snprintf(name, sizeof(name), "run/fido/%.20s", k->port);
		MUST(access(in_top(path, name), F_OK) == 0);
		for (int n = 0; n < i; n++)
			MUST(!f.d.fido.key[n].device ||
			     strcmp(f.d.fido.key[n].port, k->port));
	}
}

static int gate_works(void)
{
	return children_named("xl create") + children_named("xl destroy") +
	       children_named("the xenstore probe") != 0;
}

static void check_state(void)
{
	int timer = f.d.gate_timer.at != 0, reader = f.d.link_child != 0;

	const struct gk_handover *h = &f.d.handover;
	unsigned agent_readers = children_named("the agent's link");

	MUST(children_named("gatekeeper-link") == (reader && !f.d.link_agent));
	MUST(agent_readers == (unsigned)((reader && f.d.link_agent) +
					 (f.d.agent.child != 0)));
	MUST(agent_readers <= 1);
	MUST((f.d.agent.phase == GK_AGENT_NONE) == (f.d.agent.child == 0));
	MUST(children_named("xl create") + children_named("xl destroy") +
	     children_named("the xenstore probe") <= 1);
	MUST(children_named("the handoff") + children_named("the handoff's check") +
	     children_named("the handoff's look") <= 1);
	MUST(children_named("the watch on the target") <= 1);
	if (!f.d.stopping && (h->m.state == GK_HO_PREPARING || gk_ho_is_moving(h->m.state)))
		MUST(h->deadline.at);
	else
		MUST(!h->deadline.at);
	MUST(!f.d.link_agent || f.d.state == GK_GATE_HANDOFF ||
	     f.d.state == GK_GATE_HANDED_OVER);
	switch (f.d.state) {
	case GK_GATE_STARTING:
		break;
	case GK_GATE_PROBE:
		MUST(gate_works() || timer);
		MUST(!reader);
		break;
	case GK_GATE_CREATE:
	case GK_GATE_FIND:
		MUST(gate_works() && !reader);
		break;
	case GK_GATE_DESTROY:
		MUST((gate_works() || the_loop.stop) && !reader);
		break;
	case GK_GATE_BACKOFF:
		MUST(timer && !gate_works() && !reader);
		break;
	case GK_GATE_CONNECT:
		MUST(timer && reader && !gate_works());
		break;
	case GK_GATE_UP:
		MUST(reader && !gate_works());
		/* It is asked whether it is there, or has to go. */
		MUST(f.d.reader_timer.at);
		break;
	case GK_GATE_QUIESCE:
		MUST(h->m.state == GK_HO_QUIESCING || f.d.stopping);
		MUST(f.d.quiesce_timer.at || h->deadline.at);
		break;
	case GK_GATE_HANDOFF:
		MUST(gk_ho_is_moving(h->m.state));
		MUST(!reader || f.d.link_agent);
		break;
	case GK_GATE_FAILED:
		/* A fallback that ends while it is told to stop ends here. */
		if (f.d.after_destroy == GK_AFTER_EXIT)
			break;
		/* In the running system it may be tried once more. */
		MUST(!gate_works() && !reader && (!timer || !f.d.in_initrd));
		break;
	case GK_GATE_HANDED_OVER:
		MUST(h->m.state == GK_HO_CONFIRMED || h->m.state == GK_HO_FREE);
		MUST(!gate_works() && (!reader || f.d.link_agent) && !timer);
		break;
	case GK_GATE_FALLBACK:
	case GK_GATE_NO_CONTROLLER:
	case GK_GATE_DISABLED:
		MUST(!gate_works() && !reader && !timer);
		break;
	}
	/* Whatever was under way before, and whatever fails from now on. */
	MUST(!f.d.stopping || f.d.state == GK_GATE_QUIESCE ||
	     f.d.after_destroy == GK_AFTER_EXIT);
}

static void check_restarts(void)
{
	uint64_t window = (uint64_t)f.d.opt.restart_window_s * 1000;
	unsigned recent = 0;

	while (f.restarts < f.d.restarts && f.restarts < 256)
		f.restart_at[f.restarts++] = clock_ms;
	for (unsigned i = 0; i < f.restarts; i++)
		recent += clock_ms - f.restart_at[i] < window;
	MUST(recent <= f.d.opt.restarts);
}

/* --- a life --- */

static void begin(struct input *in)
{
	static struct gk_daemon fresh;
	int keys[2];
	unsigned how = take(in), mode = take(in) % 8;
	char path[256];

	unlink(in_top(path, "etc/gatekeeper/rules.conf"));
	if (modes[mode])
		put_in("etc/gatekeeper/rules.conf", modes[mode],
		       strlen(modes[mode]), 0);
	clock_ms = 1000000;
	memset(&f, 0, sizeof(f));
	for (int i = 0; i < 4; i++)
		f.client[i] = f.program[i] = -1;
	f.d = fresh;
	f.d.link_fd = f.d.control_fd = f.d.keyboard.fd = -1;
	f.d.xs.domid = -1;
	gk_times_init(&f.d.times);
	gk_options_default(&f.d.opt);
	f.d.opt.restarts = how & 3;
	f.d.opt.restart_window_s = how & 4 ? 10 : 600;
	if (how & 8)
		f.d.opt.fallback = GK_FALLBACK_DOM0_HID;
	child_limit = how & 0x30 ? GK_CHILDREN : 2;
	MUST(gk_loop_open(&f.d.loop) == 0);
	gk_screen_init(&f.d.screen, f.d.loop, 0);
	MUST(gk_control_open(&f.d) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			keys) == 0);
	f.keys = keys[0];
	if (how & 0x40) {
		close(keys[1]);
	} else {
		f.d.keyboard.fd = keys[1];
		MUST(gk_loop_add(f.d.loop, keys[1], EPOLLIN, on_uinput, &f.d) == 0);
	}
	MUST(gk_handover_resume(&f.d) == 0);
	gk_gate_begin(&f.d);
	MUST(f.d.controllers == 1);
	if (how & 0x80)
		return;
	/* Most of what is worth seeing is seen of a gate that is up. */
	for (int i = 0; i < 3 && !child_named("gatekeeper-link"); i++) {
		struct child *c = child_named("the xenstore probe");

		if (c)
			end_child(c, 0, 0, i ? "answered\ndomid 5\n" : "answered\n");
		c = child_named("xl create");
		if (c)
			end_child(c, 0, 0, "");
	}
}

static void end(void)
{
	gk_agent_stop(&f.d);
	gk_link_stop(&f.d);
	check_keys();
	for (int i = 0; i < GK_CHILDREN; i++)
		if (the_loop.child[i].id)
			free_child(&the_loop.child[i]);
	for (int i = 0; i < GK_CLIENTS; i++)
		if (f.d.client[i].fd >= 0)
			gk_control_end(&f.d.client[i]);
	gk_loop_del(f.d.loop, f.d.control_fd);
	close(f.d.control_fd);
	if (f.d.keyboard.fd >= 0) {
		gk_loop_del(f.d.loop, f.d.keyboard.fd);
		close(f.d.keyboard.fd);
	}
	close(f.keys);
	for (int i = 0; i < 4; i++) {
		if (f.client[i] >= 0)
			close(f.client[i]);
		if (f.program[i] >= 0)
			close(f.program[i]);
	}
	for (int i = 0; i < GK_WATCHES; i++)
		MUST(the_loop.watch[i].fd < 0);
}

static int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void check(void)
{
	check_keys();
	check_counted();
	check_fido();
	check_state();
	check_restarts();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int fds;

	if (top[sizeof(top) - 2] == 'X')
		make_machine();
	fds = lowest_fd();
	begin(&in);
	check();
	for (int n = 0; in.len && n < 400 && !the_loop.stop; n++) {
		unsigned op = take(&in);

		switch (op & 7) {
		case 0:
		case 1:
		case 2:
			one_frame(&in);
			break;
		case 3:
			pass_time(op >> 3 == 31 ? 700000 : (uint64_t)(op >> 3) * 250);
			break;
		case 4:
			child_ends(&in);
			break;
		case 5:
			if (op >> 3 == 31)
				handoff(&in);
			else
				child_says(&in);
			break;
		case 6:
			request(&in);
			break;
		case 7:
			if ((op & 24) == 24)
				type_number(op >> 5);
			else if (op & 8)
				lights(&in);
			else if (op & 16)
				reader_closes();
			else if ((op >> 5 & 1) && op >> 5 != 7)
				program(&in);
			else
				f.deaf = op >> 5 == 7;
			break;
		}
		check();
	}
	/* Left alone, it comes to rest: nothing waits for ever. */
	if (!the_loop.stop) {
		pass_time(4000000);
		check();
		MUST(!f.d.stopping || the_loop.stop);
		/* A reader that hangs was found out; one that answers was not. */
		MUST(!f.deaf || (f.d.state != GK_GATE_UP && !f.d.link_agent));
		MUST(f.d.stopping || !gk_ho_is_moving(f.d.handover.m.state));
	}
	end();
	MUST(lowest_fd() == fds);
	return 0;
}
