/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /run/gatekeeper/control: one request line, an answer of JSON lines, the
 * end. Only root may ask; the number of clients, their lines and their time
 * are bounded, and a client that does not read loses its answer, nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0/daemon.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/owners.h"
#include "dom0/paths.h"

enum {
	REQUEST_MS = 5000,
	ANSWER_MS = 5000,
	HANDOFF_MS = 600000,
	BACKLOG = 64,
};

static const char being_stopped[] = "gatekeeperd is being stopped already";

void gk_control_end(struct gk_client *c)
{
	if (c->d->handover.client == c)
		c->d->handover.client = NULL;
	if (c->d->sleep.client == c)
		c->d->sleep.client = NULL;
	if (c->d->stop_client == c)
		c->d->stop_client = NULL;
	gk_timer_clear(c->d->loop, &c->deadline);
	gk_loop_del(c->d->loop, c->fd);
	close(c->fd);
	c->fd = -1;
}

static void late(void *ctx)
{
	gk_control_end(ctx);
}

static void flush(struct gk_client *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			gk_control_end(c);
			return;
		}
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	if (c->done && !c->out_len)
		gk_control_end(c);
	else
		gk_loop_events(c->d->loop, c->fd,
			       EPOLLIN | (c->out_len ? EPOLLOUT : 0u));
}

void gk_control_line(struct gk_client *c, const char *line)
{
	size_t len = strlen(line);

	if (!c || c->fd < 0)
		return;
	/* Progress that nobody reads is dropped; see above. */
	if (len + 1 > sizeof(c->out) - c->out_len)
		return;
	memcpy(c->out + c->out_len, line, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	flush(c);
}

void gk_control_finish(struct gk_client *c, const char *why)
{
	char line[1024];
	struct gk_json j;

	if (!c || c->fd < 0)
		return;
	gk_json_init(&j, line, sizeof(line));
	gk_json_object(&j, NULL);
	gk_json_bool(&j, "ok", why == NULL);
	if (why)
		gk_json_string(&j, "error", why);
	gk_json_end_object(&j);
	if (gk_json_finish(&j) < 0)
		strcpy(line, "{\"ok\":false}");
	c->done = 1;
	gk_timer_set(c->d->loop, &c->deadline, ANSWER_MS, late, c);
	gk_control_line(c, line);
}

/* --- requests --- */

void gk_control_status(struct gk_client *c, const struct gk_truth *t)
{
	static char text[GK_STATUS_MAX];
	struct gk_status s;

	c->wants_status = 0;
	gk_daemon_status(c->d, &s);
	s.truth = t;
	if (gk_status_json(&s, text, sizeof(text)) < 0) {
		gk_control_finish(c, "the status is too long");
		return;
	}
	c->done = 1;
	gk_timer_set(c->d->loop, &c->deadline, ANSWER_MS, late, c);
	gk_control_line(c, text);
}

static int copy_word(char *out, size_t cap, const char *value)
{
	if (strlen(value) >= cap)
		return -1;
	strcpy(out, value);
	return 0;
}

/* key=value words after "handoff"; 0, or what is wrong. */
static const char *parse_handoff(char *words, struct gk_handover_wish *h)
{
	int release_only = 0;
	char *save = NULL;

	memset(h, 0, sizeof(*h));
	for (char *w = strtok_r(words, " ", &save); w;
	     w = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(w, '=');
		const char *value;

		if (!eq)
			return "a word without '='";
		*eq = '\0';
		value = eq + 1;
		if (!strcmp(w, "config")) {
			if (copy_word(h->config, sizeof(h->config), value))
				return "config= is too long";
		} else if (!strcmp(w, "to")) {
			if (copy_word(h->to, sizeof(h->to), value))
				return "to= is too long";
		} else if (!strcmp(w, "no_strict_reset")) {
			h->no_strict_reset = !strcmp(value, "1");
		} else if (!strcmp(w, "permissive")) {
			h->permissive = !strcmp(value, "1");
		} else if (!strcmp(w, "release_only")) {
			release_only = !strcmp(value, "1");
		} else {
			return "an unknown word";
		}
	}
	if (release_only && h->config[0])
		return "release_only and config exclude each other";
	if (!release_only && (!h->to[0] || (h->config[0] && h->config[0] != '/')))
		return "to=NAME, config=/PATH and to=NAME, or release_only=1, is needed";
	h->mode = release_only ? GK_HO_FREE_ONLY :
		  h->config[0] ? GK_HO_CONFIG : GK_HO_AGENT;
	return NULL;
}

static void answer_handoff(struct gk_client *c, char *words)
{
	struct gk_daemon *d = c->d;
	struct gk_handover_wish w;
	const char *why;

	if (d->stopping) {
		gk_control_finish(c, being_stopped);
		return;
	}
	why = parse_handoff(words, &w);
	if (why) {
		gk_control_finish(c, why);
		return;
	}
	gk_timer_set(d->loop, &c->deadline, HANDOFF_MS, late, c);
	d->handover.autos = 0;
	memset(d->handover.auto_at, 0, sizeof(d->handover.auto_at));
	if (gk_handover_start(d, &w, c, &why))
		gk_control_finish(c, why);
}

/* From now on, whenever that domain has its agent; nobody waits for it. */
static void answer_want(struct gk_client *c, const char *name)
{
	struct gk_daemon *d = c->d;

	if (d->stopping || !gk_name_valid(name)) {
		gk_control_finish(c, d->stopping ? being_stopped :
				  "that is no name of a domain");
		return;
	}
	snprintf(d->opt.sys_usb, sizeof(d->opt.sys_usb), "%s", name);
	gk_target_watch(d);
	gk_control_finish(c, NULL);
}

static void answer_reclaim(struct gk_client *c, int only_free)
{
	struct gk_daemon *d = c->d;
	const char *why = being_stopped;

	if (only_free && d->handover.m.state != GK_HO_FREE) {
		gk_control_finish(c, NULL);
		return;
	}

	gk_timer_set(d->loop, &c->deadline, HANDOFF_MS, late, c);
	if (d->stopping || gk_handover_reclaim(d, c, &why))
		gk_control_finish(c, why);
}

static void answer_sleep(struct gk_client *c, int begin)
{
	gk_timer_set(c->d->loop, &c->deadline, HANDOFF_MS, late, c);
	if (c->d->stopping)
		gk_control_finish(c, being_stopped);
	else if (begin)
		gk_sleep_begin(c->d, c);
	else
		gk_sleep_end(c->d, c);
}

/* A device that was not there before the handoff counts from now on. */
static void answer_trust(struct gk_client *c, const char *port)
{
	struct gk_daemon *d = c->d;
	char at[GK_PORT_TEXT];

	for (int i = 0; d->session_begun && i < GK_LINK_DEVICES; i++) {
		if (!d->session.dev[i].id)
			continue;
		gk_devices_port(d, &d->session.dev[i].info, at);
		if (strcmp(at, port) != 0)
			continue;
		if (gk_keyboards_trust(d, i)) {
			gk_control_finish(c, "there is nothing to trust: it is as "
					     "before the handoff");
			return;
		}
		gk_log(LOG_NOTICE, "device on port %s is trusted by request", port);
		gk_handover_device(d);
		gk_daemon_publish(d);
		gk_control_finish(c, NULL);
		return;
	}
	gk_control_finish(c, "there is no device at that port");
}

static void request(struct gk_client *c, char *line)
{
	struct gk_daemon *d = c->d;

	if (!strcmp(line, "status")) {
		gk_owners_status(c);
	} else if (!strcmp(line, "switched-root")) {
		gk_daemon_switched_root(d);
		gk_control_finish(c, NULL);
	} else if (!strcmp(line, "stop")) {
		if (d->stopping) {
			gk_control_finish(c, being_stopped);
			return;
		}
		d->stop_client = c;
		gk_timer_set(d->loop, &c->deadline, HANDOFF_MS, late, c);
		gk_handover_stop(d);
	} else if (!strncmp(line, "handoff ", 8)) {
		answer_handoff(c, line + 8);
	} else if (!strncmp(line, "want ", 5)) {
		answer_want(c, line + 5);
	} else if (!strcmp(line, "reclaim")) {
		answer_reclaim(c, 0);
	} else if (!strcmp(line, "reclaim free=1")) {
		answer_reclaim(c, 1);
	} else if (!strcmp(line, "suspend") || !strcmp(line, "resume")) {
		answer_sleep(c, line[0] == 's');
	} else if (!strncmp(line, "trust ", 6)) {
		answer_trust(c, line + 6);
	} else {
		gk_control_finish(c, "unknown request");
	}
}

static void on_client(void *ctx, uint32_t events)
{
	struct gk_client *c = ctx;
	char *nl;
	ssize_t n;

	if (events & EPOLLOUT) {
		flush(c);
		if (c->fd < 0)
			return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* The end, a request that is too long, or a second one. */
	if (n <= 0 || c->answered) {
		gk_control_end(c);
		return;
	}
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	nl = strchr(c->in, '\n');
	if (nl) {
		*nl = '\0';
		gk_printable(c->in);
		c->answered = 1;
		request(c, c->in);
	} else if (c->in_len == sizeof(c->in) - 1 || strlen(c->in) < c->in_len) {
		gk_control_end(c);
	}
}

static void on_listen(void *ctx, uint32_t events)
{
	struct gk_daemon *d = ctx;
	struct gk_client *c = NULL;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd;

	(void)events;
	fd = accept4(d->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (int i = 0; i < GK_CLIENTS && !c; i++)
		if (d->client[i].fd < 0)
			c = &d->client[i];
	if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != 0) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->d = d;
	c->in_len = c->out_len = 0;
	c->answered = c->done = c->wants_status = 0;
	if (gk_loop_add(d->loop, fd, EPOLLIN, on_client, c)) {
		close(fd);
		c->fd = -1;
		return;
	}
	gk_timer_set(d->loop, &c->deadline, REQUEST_MS, late, c);
}

int gk_control_open(struct gk_daemon *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char path[GK_PATH_MAX];

	for (int i = 0; i < GK_CLIENTS; i++)
		d->client[i].fd = -1;
	if (gk_run_path(path, "control") || strlen(path) >= sizeof(a.sun_path))
		return GK_ERR_LIMIT;
	strcpy(a.sun_path, path);
	d->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
			       SOCK_NONBLOCK, 0);
	if (d->control_fd < 0)
		return GK_ERR_SYSTEM;
	unlink(path);
	umask(0177);
	if (bind(d->control_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(d->control_fd, BACKLOG) < 0)
		return GK_ERR_SYSTEM;
	umask(022);
	return gk_loop_add(d->loop, d->control_fd, EPOLLIN, on_listen, d);
}
