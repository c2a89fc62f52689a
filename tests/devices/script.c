/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel: lines on a UNIX socket and on stdin. A line is a
 * command, its answer is one line that begins with "ok" or "error". The next
 * line of the same client is not looked at before the answer is out; other
 * clients go on.
 */
#include "vdev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void client_close(struct gk_client *c)
{
	struct gk_loop *loop = &c->dev->loop;

	gk_loop_timer_stop(loop, &c->timer);
	gk_loop_del(loop, &c->source);
	c->used = false;
	if (c->is_stdio) {
		/* Whoever held our stdin has gone, and we with it. */
		gk_loop_quit(loop, 0);
		return;
	}
	close(c->source.fd);
}

static void say(struct gk_client *c, const char *status, const char *text)
{
	char line[GK_REPLY_MAX + 16];
	int len;

	len = snprintf(line, sizeof(line), "%s%s%s\n", status,
		       text[0] ? " " : "", text);
	if (c->is_stdio) {
		if (write(c->out_fd, line, (size_t)len) != len)
			c->eof = true;
	} else if (send(c->out_fd, line, (size_t)len,
			MSG_DONTWAIT | MSG_NOSIGNAL) != len) {
		/* A script that does not read its answers gets no more. */
		c->eof = true;
		c->len = 0;
	}
}

/*
 * Ends a wait. What follows in the buffer is done from the loop, because this
 * may be called from the middle of the usbredir end.
 */
static void finish_wait(struct gk_client *c, const char *status,
			const char *text)
{
	say(c, status, text);
	c->waits = GK_CLIENT_IDLE;
	c->token = 0;
	gk_loop_timer_at(&c->dev->loop, &c->timer, gk_now_ns());
}

void gk_script_token(struct gk_vdev *dev, uint32_t token, const char *error)
{
	struct gk_client *c;

	for (c = dev->clients; c < dev->clients + GK_CLIENTS; c++) {
		if (c->used && c->waits == GK_CLIENT_TOKEN && c->token == token)
			finish_wait(c, error ? "error" : "ok",
				    error ? error : "");
	}
}

static bool any_polled(struct gk_vdev *dev)
{
	size_t i;

	for (i = 0; i < GK_ENDPOINTS; i++) {
		if (dev->ep[i].receiving)
			return true;
	}
	return false;
}

void gk_script_polled(struct gk_vdev *dev)
{
	struct gk_client *c;

	for (c = dev->clients; c < dev->clients + GK_CLIENTS; c++) {
		if (c->used && c->waits == GK_CLIENT_POLL)
			finish_wait(c, "ok", "");
	}
}

static const char *const speed_names[] = {
	[GK_LOW] = "low", [GK_FULL] = "full", [GK_HIGH] = "high",
};

static void stats(struct gk_vdev *dev, char *text)
{
	const struct gk_stats *s = &dev->stats;
	const uint8_t *d;
	size_t len = 0;

	d = gk_vdev_desc(dev, GK_DT_DEVICE, 0, -1, &len);
	if (len < 18)
		d = NULL;
	snprintf(text, GK_REPLY_MAX,
		 "{\"kind\":\"%s\",\"port_note\":\"%s\",\"speed\":\"%s\","
		 "\"vid\":\"%04x\",\"pid\":\"%04x\",\"plugged\":%s,"
		 "\"connected\":%s,\"configuration\":%u,\"polled\":%s,"
		 "\"hosts\":%lu,\"plugs\":%lu,\"resets\":%lu,"
		 "\"control_requests\":%lu,\"set_configuration\":%lu,"
		 "\"set_interface\":%lu,\"stalls\":%lu,\"cancels\":%lu,"
		 "\"reports_sent\":%lu,\"idle_reports\":%lu,"
		 "\"bytes_out\":%lu,\"led_writes\":%lu}",
		 dev->kind->name,
		 dev->opt->port_note ? dev->opt->port_note : "",
		 speed_names[dev->speed], d ? d[8] | d[9] << 8 : 0,
		 d ? d[10] | d[11] << 8 : 0,
		 dev->want_plugged ? "true" : "false",
		 dev->connected ? "true" : "false", dev->configuration,
		 any_polled(dev) ? "true" : "false", s->hosts, s->plugs,
		 s->resets, s->control_requests, s->set_configuration,
		 s->set_interface, s->stalls, s->cancels, s->reports_sent,
		 s->idle_reports, s->bytes_out, s->led_writes);
}

static bool number(const char *args, unsigned long max, unsigned long *n)
{
	char *end;

	if (args[0] < '0' || args[0] > '9')
		return false;
	*n = strtoul(args, &end, 10);
	return !*end && *n <= max;
}

/* "control normal | stall | never | late MS": every control request */
static enum gk_command_result override(struct gk_vdev *dev, const char *args,
				       struct gk_reply *reply)
{
	struct gk_override o = { GK_DEFAULT, 0 };
	unsigned long ms;

	if (!strcmp(args, "stall")) {
		o.verdict = GK_STALL;
	} else if (!strcmp(args, "never")) {
		o.verdict = GK_NEVER;
	} else if (!strncmp(args, "late ", 5) &&
		   number(args + 5, 60000, &ms)) {
		o.delay_ms = (unsigned int)ms;
	} else if (strcmp(args, "normal")) {
		snprintf(reply->text, sizeof(reply->text),
			 "control normal|stall|never|late MS");
		return GK_CMD_ERROR;
	}
	dev->override = o;
	return GK_CMD_OK;
}

static void client_run(void *arg);

/* "storm COUNT MS [MS]": so often in and out again; how long in, how long out */
static enum gk_command_result storm(struct gk_client *c, const char *args,
				    struct gk_reply *reply)
{
	unsigned int count, in, out;
	char rest;
	int n;

	n = sscanf(args, "%4u %5u %5u %c", &count, &in, &out, &rest);
	if (n == 2)
		out = in;
	if (n < 2 || n > 3 || !count || in > 60000 || out > 60000) {
		snprintf(reply->text, sizeof(reply->text),
			 "storm COUNT MILLISECONDS [MILLISECONDS]");
		return GK_CMD_ERROR;
	}
	c->storm_left = 2 * count;
	c->storm_us[0] = in * 1000u;
	c->storm_us[1] = out * 1000u;
	c->waits = GK_CLIENT_STORM;
	gk_vdev_timer(c->dev, &c->timer, 0);
	return GK_CMD_OK;
}

static void storm_turn(struct gk_client *c)
{
	bool out = --c->storm_left % 2;

	if (out)
		gk_vdev_unplug(c->dev);
	else
		gk_vdev_plug(c->dev);
	if (c->storm_left)
		gk_vdev_timer(c->dev, &c->timer, c->storm_us[out]);
	else
		finish_wait(c, "ok", "");
}

static void client_wait(struct gk_client *c, int what, unsigned int seconds)
{
	c->waits = what == GK_CLIENT_TOKEN ? GK_CLIENT_TOKEN : GK_CLIENT_POLL;
	gk_vdev_timer(c->dev, &c->timer, seconds * 1000000u);
}

static void command(struct gk_client *c, char *line)
{
	struct gk_vdev *dev = c->dev;
	struct gk_reply reply = { .text = "" };
	enum gk_command_result result = GK_CMD_OK;
	unsigned long seconds;
	char *args;

	/* One space ends the verb; the rest is the argument as it stands. */
	args = strchr(line, ' ');
	if (args)
		*args++ = '\0';
	else
		args = line + strlen(line);

	if (!strcmp(line, "plug")) {
		gk_vdev_plug(dev);
	} else if (!strcmp(line, "unplug")) {
		gk_vdev_unplug(dev);
	} else if (!strcmp(line, "replug")) {
		gk_vdev_unplug(dev);
		gk_vdev_plug(dev);
	} else if (!strcmp(line, "stats")) {
		stats(dev, reply.text);
	} else if (!strcmp(line, "control")) {
		result = override(dev, args, &reply);
	} else if (!strcmp(line, "quit")) {
		gk_loop_quit(&dev->loop, 0);
	} else if (!strcmp(line, "storm")) {
		result = storm(c, args, &reply);
		if (result == GK_CMD_OK)
			return;
	} else if (!strcmp(line, "wait")) {
		if (!number(args, 600, &seconds)) {
			snprintf(reply.text, sizeof(reply.text),
				 "wait SECONDS, at most 600");
			result = GK_CMD_ERROR;
		} else if (!any_polled(dev)) {
			client_wait(c, GK_CLIENT_POLL, (unsigned int)seconds);
			return;
		}
	} else {
		result = dev->kind->command ?
			dev->kind->command(dev, line, args, &reply) :
			GK_CMD_UNKNOWN;
	}
	switch (result) {
	case GK_CMD_OK:
		say(c, "ok", reply.text);
		break;
	case GK_CMD_ERROR:
		say(c, "error", reply.text);
		break;
	case GK_CMD_UNKNOWN:
		say(c, "error", "unknown command");
		break;
	case GK_CMD_WAIT:
		c->token = reply.token;
		client_wait(c, GK_CLIENT_TOKEN, dev->opt->stall_seconds);
		break;
	}
}

static void lines(struct gk_client *c)
{
	char line[sizeof(c->buf)];
	char *nl;
	size_t n;

	while (c->used && c->waits == GK_CLIENT_IDLE &&
	       (nl = memchr(c->buf, '\n', c->len))) {
		n = (size_t)(nl - c->buf);
		memcpy(line, c->buf, n);
		line[n] = '\0';
		c->len -= n + 1;
		memmove(c->buf, nl + 1, c->len);
		command(c, line);
	}
	if (c->waits == GK_CLIENT_IDLE && c->len == sizeof(c->buf)) {
		say(c, "error", "line too long");
		c->len = 0;
		c->eof = true;
	}
	if (c->waits == GK_CLIENT_IDLE && c->eof) {
		client_close(c);
		return;
	}
	/* While it waits, what the client sends stays in its socket. */
	gk_loop_mod(&c->dev->loop, &c->source,
		    c->waits == GK_CLIENT_IDLE ? EPOLLIN : 0u);
}

/* The client's timer: the end of a wait, or lines that were held back. */
static void client_run(void *arg)
{
	struct gk_client *c = arg;
	struct gk_vdev *dev = c->dev;
	uint64_t end;

	switch (c->waits) {
	case GK_CLIENT_TOKEN:
		/* As long as the host takes reports there is progress. */
		end = dev->last_sent_ns + dev->opt->stall_seconds * 1000000000ull;
		if (end > gk_now_ns()) {
			gk_loop_timer_at(&dev->loop, &c->timer, end);
			return;
		}
		finish_wait(c, "error", "the host takes no reports");
		break;
	case GK_CLIENT_POLL:
		finish_wait(c, "error", "not polled");
		break;
	case GK_CLIENT_STORM:
		storm_turn(c);
		break;
	case GK_CLIENT_IDLE:
		lines(c);
		break;
	}
}

static void client_ready(void *arg, uint32_t events)
{
	struct gk_client *c = arg;
	ssize_t n;

	if (!(events & EPOLLIN) && c->waits != GK_CLIENT_IDLE) {
		client_close(c);
		return;
	}
	n = read(c->source.fd, c->buf + c->len, sizeof(c->buf) - c->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		c->eof = true;
	else
		c->len += (size_t)n;
	lines(c);
}

static int client_open(struct gk_vdev *dev, int in_fd, int out_fd)
{
	struct gk_client *c;

	for (c = dev->clients; c < dev->clients + GK_CLIENTS; c++) {
		if (!c->used)
			break;
	}
	if (c == dev->clients + GK_CLIENTS)
		return -1;
	memset(c, 0, sizeof(*c));
	c->dev = dev;
	c->source = (struct gk_source){
		.fd = in_fd, .ready = client_ready, .arg = c,
	};
	c->out_fd = out_fd;
	c->is_stdio = in_fd != out_fd;
	c->timer = (struct gk_timer){ .fire = client_run, .arg = c };
	if (gk_loop_add(&dev->loop, &c->source, EPOLLIN) < 0)
		return -1;
	c->used = true;
	return 0;
}

static void listener_ready(void *arg, uint32_t events)
{
	struct gk_vdev *dev = arg;
	int fd = accept4(dev->control_listener.fd, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0 && client_open(dev, fd, fd) < 0)
		close(fd);
}

int gk_script_init(struct gk_vdev *dev)
{
	dev->control_listener.fd = -1;
	/* EPERM: stdin is a file or /dev/null, and no script. */
	if (client_open(dev, STDIN_FILENO, STDOUT_FILENO) < 0 &&
	    errno != EPERM && errno != EBADF)
		return -1;
	if (!dev->opt->control_path)
		return 0;
	dev->control_listener = (struct gk_source){
		.fd = gk_sock_listen(dev->opt->control_path, SOCK_STREAM),
		.ready = listener_ready, .arg = dev,
	};
	if (dev->control_listener.fd < 0 ||
	    gk_loop_add(&dev->loop, &dev->control_listener, EPOLLIN) < 0) {
		fprintf(stderr, "%s: %s\n", dev->opt->control_path,
			strerror(errno));
		return -1;
	}
	return 0;
}

void gk_script_done(struct gk_vdev *dev)
{
	struct gk_client *c;

	for (c = dev->clients; c < dev->clients + GK_CLIENTS; c++) {
		if (c->used)
			client_close(c);
	}
	if (dev->control_listener.fd >= 0) {
		close(dev->control_listener.fd);
		unlink(dev->opt->control_path);
	}
}
