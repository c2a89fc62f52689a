/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/keycode.h"
#include "core/rules.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"

enum {
	/* Packets taken of one before others get their turn. */
	BATCH = 64,
	BACKLOG = 8,
};

/* --- lights --- */

static void send_lights(struct gk_input_stream *s)
{
	struct gk_frame f = { .type = GK_LINK_LED };
	uint8_t buf[GK_LINK_FRAME_MAX];
	int n;

	f.u.led.leds = s->d->keyboard.leds;
	n = gk_link_encode(&f, GK_SIDE_SUPERVISOR, buf, sizeof(buf));
	/* Best effort; its end is told by its socket. */
	if (n < 0 || send(s->fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		gk_log(LOG_DEBUG, "input proxy: the lights were not sent");
}

void gk_inputs_lights(struct gk_daemon *d)
{
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		if (d->inputs.stream[i].used && d->inputs.stream[i].begun)
			send_lights(&d->inputs.stream[i]);
}

/* --- the end of one --- */

static void close_stream(struct gk_input_stream *s, const char *why)
{
	struct gk_daemon *d = s->d;
	int counted = s->counted.counts == GK_COUNTS_YES;

	if (s->begun)
		gk_log(LOG_NOTICE, "keyboard \"%s\" of the input proxy gone: %s", s->name,
		       why);
	else
		gk_log(LOG_INFO, "input proxy: a stream without a keyboard: %s", why);
	gk_timer_clear(d->loop, &s->deadline);
	gk_loop_del(d->loop, s->fd);
	close(s->fd);
	memset(s, 0, sizeof(*s));
	gk_devices_sync(d);
	if (counted) {
		gk_keyboards_decide_others(d);
		gk_inputs_decide_again(d);
	}
	gk_daemon_publish(d);
}

/* --- which of them count --- */

static void refuse(struct gk_input_stream *s, enum gk_reason reason)
{
	s->counted.counts = GK_COUNTS_REFUSED;
	s->counted.reason = (uint16_t)reason;
	gk_log(LOG_NOTICE, "keyboard \"%s\" of the input proxy refused: %s", s->name,
	       gk_reason_text((uint16_t)reason));
}

static void show(struct gk_input_stream *s, const char *what)
{
	struct gk_counted *c = &s->counted;

	c->tried = gk_now_ms();
	c->shown = gk_screen_ask(&s->d->screen, LOG_NOTICE, "%s \"%.60s\" of the input "
				 "proxy: type %s and Enter on it", what, s->name,
				 c->challenge.number) ? c->tried : 0;
}

/* 0, or the stream is no more. */
static int decide(struct gk_input_stream *s)
{
	struct gk_keyboard_facts k = { .port = { "", 0 } };
	struct gk_counted *c = &s->counted;
	struct gk_daemon *d = s->d;

	k.seen = (uint8_t)s->answered;
	k.others = (uint8_t)(gk_keyboards_counting(d) + gk_inputs_counting(d));
	switch (gk_keyboard_decide(&d->rules.table, &k)) {
	case GK_KEYBOARD_ACCEPT:
		c->counts = GK_COUNTS_YES;
		c->reason = 0;
		memcpy(c->stale, s->down, sizeof(c->stale));
		gk_log(LOG_NOTICE, "keyboard \"%s\" of the input proxy admitted",
		       s->name);
		return 0;
	case GK_KEYBOARD_UNPINNED:
		refuse(s, GK_REASON_UNPINNED);
		close_stream(s, "no pin can be for it");
		return GK_ERR_CLOSED;
	case GK_KEYBOARD_SECOND:
		refuse(s, GK_REASON_SECOND);
		return 0;
	case GK_KEYBOARD_ASK:
		break;
	}
	c->reason = GK_REASON_CHALLENGE;
	c->counts = GK_COUNTS_ASKED;
	gk_challenge_init(&c->challenge);
	if (!gk_keyboards_number(d, c)) {
		refuse(s, GK_REASON_CHALLENGE);
		close_stream(s, "too many new keyboards");
		return GK_ERR_CLOSED;
	}
	show(s, "new keyboard");
	return 0;
}

unsigned gk_inputs_counting(const struct gk_daemon *d)
{
	unsigned n = 0;

	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		n += d->inputs.stream[i].used &&
		     d->inputs.stream[i].counted.counts == GK_COUNTS_YES;
	return n;
}

void gk_inputs_displace(struct gk_daemon *d)
{
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		if (d->inputs.stream[i].used &&
		    d->inputs.stream[i].counted.counts == GK_COUNTS_YES)
			refuse(&d->inputs.stream[i], GK_REASON_SECOND);
}

void gk_inputs_decide_again(struct gk_daemon *d)
{
	for (int n = 0; n < GK_INPUT_STREAMS; n++) {
		struct gk_input_stream *first = NULL;

		if (gk_keyboards_counting(d) + gk_inputs_counting(d) > 0)
			return;
		for (int i = 0; i < GK_INPUT_STREAMS; i++) {
			struct gk_input_stream *s = &d->inputs.stream[i];

			if (s->used && s->counted.counts == GK_COUNTS_REFUSED &&
			    s->counted.reason == GK_REASON_SECOND &&
			    (!first || s->order < first->order))
				first = s;
		}
		if (!first || decide(first))
			return;
	}
}

void gk_inputs_held(const struct gk_daemon *d, uint8_t held[GK_KEY_BYTES])
{
	for (int i = 0; i < GK_INPUT_STREAMS; i++) {
		const struct gk_input_stream *s = &d->inputs.stream[i];

		if (!s->used || s->counted.counts != GK_COUNTS_YES)
			continue;
		for (int b = 0; b < GK_KEY_BYTES; b++)
			held[b] |= (uint8_t)(s->down[b] & ~s->counted.stale[b]);
	}
}

void gk_inputs_lifted(struct gk_daemon *d)
{
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		memcpy(d->inputs.stream[i].counted.stale, d->inputs.stream[i].down,
		       GK_KEY_BYTES);
}

/* --- what it says --- */

static int on_answer(struct gk_input_stream *s, enum gk_challenge_answer a)
{
	struct gk_counted *c = &s->counted;

	switch (a) {
	case GK_CHALLENGE_MORE:
		if (!c->shown && gk_now_ms() - c->tried >= GK_SHOW_RETRY_MS)
			show(s, "new keyboard");
		return 0;
	case GK_CHALLENGE_WRONG:
		show(s, "wrong number. New keyboard");
		return 0;
	case GK_CHALLENGE_NEW:
		if (gk_keyboards_number(s->d, c)) {
			show(s, "wrong again. New keyboard");
			return 0;
		}
		break;
	case GK_CHALLENGE_LOST:
		break;
	case GK_CHALLENGE_PASSED:
		s->answered = 1;
		if (decide(s))
			return GK_ERR_CLOSED;
		gk_daemon_publish(s->d);
		return 0;
	}
	refuse(s, GK_REASON_CHALLENGE);
	close_stream(s, "it did not type the number");
	return GK_ERR_CLOSED;
}

static int is_flood(struct gk_input_stream *s)
{
	uint64_t now = gk_now_ms();

	if (now - s->window_start >= GK_SESSION_WINDOW_MS) {
		s->window_start = now;
		s->window_keys = 0;
	}
	/* Counted where the keys came in; here, later, two windows may come as one. */
	return ++s->window_keys > 2 * GK_SESSION_KEYS;
}

static int on_key(struct gk_input_stream *s, const struct gk_link_key *key)
{
	struct gk_counted *c = &s->counted;
	uint8_t mask = (uint8_t)(1u << (key->code & 7));
	enum gk_counts counted = c->counts;

	/* Its reader had let it pass: it is not to be trusted any more. */
	if (!gk_key_allowed(key->code) ||
	    gk_key_is_down(s->down, key->code) == key->value || is_flood(s)) {
		close_stream(s, "its reader passed on a key that is not allowed");
		return GK_ERR_VALUE;
	}
	s->down[key->code >> 3] ^= mask;
	if (!key->value)
		c->stale[key->code >> 3] &= (uint8_t)~mask;
	if (counted == GK_COUNTS_ASKED)
		return on_answer(s, gk_challenge_key(&c->challenge, key->code,
						     key->value));
	if (counted == GK_COUNTS_YES)
		gk_devices_key(s->d, key->code, key->value);
	return 0;
}

static int on_begin(struct gk_input_stream *s, const struct gk_link_log *log)
{
	memcpy(s->name, log->text, log->len);
	s->name[log->len] = '\0';
	/* It stands between quotes in lines for people. */
	for (char *c = s->name; *c; c++)
		if (*c == '"' || *c == '\\')
			*c = '_';
	s->begun = 1;
	gk_timer_clear(s->d->loop, &s->deadline);
	send_lights(s);
	if (decide(s))
		return GK_ERR_CLOSED;
	gk_daemon_publish(s->d);
	return 0;
}

static int on_frame(struct gk_input_stream *s, const struct gk_frame *f)
{
	if (f->type == GK_LINK_LOG && !s->begun)
		return on_begin(s, &f->u.log);
	if (f->type == GK_LINK_KEY && s->begun)
		return on_key(s, &f->u.key);
	close_stream(s, "its reader said what it may not say");
	return GK_ERR_ORDER;
}

static void on_packet(void *ctx, uint32_t events)
{
	struct gk_input_stream *s = ctx;

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		uint8_t buf[GK_LINK_FRAME_MAX + 1];
		struct gk_frame f;
		ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
		int err;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* It ended with lights unread; its last keys are still to come. */
		if (n < 0 && errno == ECONNRESET)
			continue;
		if (n <= 0) {
			close_stream(s, "its reader has ended");
			return;
		}
		err = gk_link_decode(buf, (size_t)n, GK_SIDE_WORKER, &f);
		if (err) {
			close_stream(s, "its reader said what nobody understands");
			return;
		}
		if (on_frame(s, &f))
			return;
	}
}

static void late(void *ctx)
{
	close_stream(ctx, "it did not begin in time");
}

static void on_connect(void *ctx, uint32_t events)
{
	struct gk_input_stream *s = NULL;
	struct gk_daemon *d = ctx;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd;

	(void)events;
	fd = accept4(d->inputs.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (int i = 0; i < GK_INPUT_STREAMS && !s; i++)
		if (!d->inputs.stream[i].used)
			s = &d->inputs.stream[i];
	if (!s)
		gk_log(LOG_WARNING, "input proxy: %d keyboards are there already",
		       GK_INPUT_STREAMS);
	if (!s || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != 0 || gk_loop_add(d->loop, fd, EPOLLIN, on_packet, s)) {
		close(fd);
		return;
	}
	memset(s, 0, sizeof(*s));
	s->used = 1;
	s->fd = fd;
	s->d = d;
	s->order = ++d->inputs.order;
	gk_timer_set(d->loop, &s->deadline, GK_INPUT_BEGIN_MS, late, s);
}

void gk_inputs_status(const struct gk_daemon *d, struct gk_status *s)
{
	_Static_assert((int)GK_STATUS_INPUTS >= (int)GK_INPUT_STREAMS, "room for all");

	s->inputs_on = d->inputs.listening;
	for (int i = 0; i < GK_INPUT_STREAMS; i++) {
		const struct gk_input_stream *in = &d->inputs.stream[i];
		int admitted = in->counted.counts == GK_COUNTS_YES;

		if (!in->used || !in->begun)
			continue;
		s->input[s->inputs++] = (struct gk_status_input){
			.name = in->name,
			.verdict = admitted ? "admitted" : "refused",
			.reason = admitted ? NULL : gk_reason_text(in->counted.reason),
			.number = in->counted.counts == GK_COUNTS_ASKED ?
				  in->counted.challenge.number : NULL,
		};
	}
}

/* --- the socket --- */

static int listen_now(struct gk_daemon *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct gk_inputs *in = &d->inputs;
	char path[GK_PATH_MAX];
	mode_t mask;
	int err;

	if (gk_run_path(path, GK_INPUT_SOCKET) || strlen(path) >= sizeof(a.sun_path))
		return GK_ERR_LIMIT;
	strcpy(a.sun_path, path);
	in->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (in->fd < 0)
		return GK_ERR_SYSTEM;
	unlink(path);
	mask = umask(0177);
	err = bind(in->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	      listen(in->fd, BACKLOG) < 0 ||
	      gk_loop_add(d->loop, in->fd, EPOLLIN, on_connect, d);
	umask(mask);
	if (err) {
		close(in->fd);
		return GK_ERR_SYSTEM;
	}
	in->listening = 1;
	return 0;
}

static void listen_no_more(struct gk_daemon *d)
{
	struct gk_inputs *in = &d->inputs;
	char path[GK_PATH_MAX];

	gk_loop_del(d->loop, in->fd);
	close(in->fd);
	in->listening = 0;
	if (gk_run_path(path, GK_INPUT_SOCKET) == 0)
		unlink(path);
	/* None is to count now because another one has gone. */
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		if (in->stream[i].used)
			in->stream[i].counted.counts = GK_COUNTS_NO;
	for (int i = 0; i < GK_INPUT_STREAMS; i++)
		if (in->stream[i].used)
			close_stream(&in->stream[i], "the controllers are not "
				     "handed over any more");
}

void gk_inputs_check(struct gk_daemon *d)
{
	int wanted = d->opt.input_proxy && !d->in_initrd &&
		     d->state == GK_GATE_HANDED_OVER;

	if (wanted == d->inputs.listening)
		return;
	if (!wanted) {
		listen_no_more(d);
		return;
	}
	/* The gate that had them is gone, perhaps before this daemon began. */
	if (!d->rules.loaded)
		gk_gate_rules_kept(&d->rules);
	if (listen_now(d))
		gk_log(LOG_ERR, "input proxy: no socket: %s", strerror(errno));
	else
		gk_log(LOG_INFO, "input proxy: senders may come");
}
