/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fido-bridge --socket PATH [options of gk-usb-device fido]
 *
 * The authenticator without a virtual machine: starts gk-usb-device, plays its
 * USB host, and carries the packets of its interrupt endpoints to and from a
 * SOCK_SEQPACKET socket, one packet of 64 bytes each. The socket is there while
 * the device is plugged in. Script lines on stdin and the answers to them are
 * gk-usb-device's own, as is its --control.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../vdev.h"
#include "ctaphid.h"

enum { EP_IN = 0x81, EP_OUT = 0x01, CLIENTS = 4, GONE = 16, ARGS_MAX = 64, NONCE = 8,
       ATTACH_MS = 10000 };

#define BROADCAST	0xffffffffu

struct bridge;

struct client {
	struct bridge *bridge;
	bool used;
	struct gk_source source;
	uint32_t cid;		/* 0: it has none yet */
	bool asked;		/* sent an INIT with this nonce */
	uint8_t nonce[NONCE];
	bool busy;		/* a request of it has no answer yet */
};

struct bridge {
	struct gk_loop loop;
	struct gk_source signals, out, attach, usb, listener;
	const char *path;
	char dir[64], attach_path[80];
	pid_t child;
	bool ready;		/* may its "ready" be passed on? */
	bool up;
	bool ended;
	struct usbredirparser *parser;
	uint64_t id;
	struct client clients[CLIENTS];
	struct client *last;	/* who sent last, for packets of no channel */
	uint32_t gone[GONE];	/* channels of clients that have gone */
	size_t n_gone;
};

/* --- usbredir, the host's side ---------------------------------------------- */

/* That the device has gone is seen where it is read from. */
static void flush_usb(struct bridge *b)
{
	if (usbredirparser_has_data_to_write(b->parser))
		usbredirparser_do_write(b->parser);
}

static int usb_read(void *priv, uint8_t *data, int count)
{
	struct bridge *b = priv;
	ssize_t n = recv(b->usb.fd, data, (size_t)count, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	return n ? (int)n : -1;
}

static int usb_write(void *priv, uint8_t *data, int count)
{
	struct bridge *b = priv;

	return (int)send(b->usb.fd, data, (size_t)count, MSG_NOSIGNAL);
}

static void to_device(struct bridge *b, uint8_t packet[GK_HID_PACKET])
{
	struct usb_redir_interrupt_packet_header h = {
		.endpoint = EP_OUT, .length = GK_HID_PACKET,
	};

	usbredirparser_send_interrupt_packet(b->parser, ++b->id, &h, packet,
					     GK_HID_PACKET);
	flush_usb(b);
}

/* --- clients ---------------------------------------------------------------- */

/* What the kernel's hidraw would not do, but whoever shares a key out does. */
static void cancel(struct client *c)
{
	uint8_t packet[GK_HID_PACKET] = {
		(uint8_t)(c->cid >> 24), (uint8_t)(c->cid >> 16),
		(uint8_t)(c->cid >> 8), (uint8_t)c->cid, CTAPHID_CANCEL,
	};

	if (c->busy && c->bridge->up)
		to_device(c->bridge, packet);
}

static void client_close(struct client *c)
{
	cancel(c);
	if (c->cid)
		c->bridge->gone[c->bridge->n_gone++ % GONE] = c->cid;
	gk_loop_del(&c->bridge->loop, &c->source);
	close(c->source.fd);
	c->used = false;
	if (c->bridge->last == c)
		c->bridge->last = NULL;
}

static uint32_t cid_of(const uint8_t *packet)
{
	return (uint32_t)packet[0] << 24 | (uint32_t)packet[1] << 16 |
	       (uint32_t)packet[2] << 8 | packet[3];
}

static void client_ready(void *arg, uint32_t events)
{
	struct client *c = arg;
	uint8_t packet[GK_HID_PACKET + 1];
	ssize_t n = recv(c->source.fd, packet, sizeof(packet), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != GK_HID_PACKET) {
		client_close(c);
		return;
	}
	c->bridge->last = c;
	if (packet[4] == CTAPHID_INIT) {
		c->asked = true;
		memcpy(c->nonce, packet + 7, NONCE);
	} else if (packet[4] & 0x80 && packet[4] != CTAPHID_CANCEL) {
		c->busy = true;
		if (cid_of(packet) != BROADCAST)
			c->cid = cid_of(packet);
	}
	to_device(c->bridge, packet);
}

static struct client *client_of(struct bridge *b, const uint8_t *packet)
{
	uint32_t cid = cid_of(packet);
	struct client *c;
	size_t i;

	for (i = 0; i < GONE; i++) {
		if (cid && b->gone[i] == cid)
			return NULL;
	}
	for (c = b->clients; c < b->clients + CLIENTS; c++) {
		if (!c->used)
			continue;
		if (cid == BROADCAST ? c->asked && packet[4] == CTAPHID_INIT &&
					!memcmp(packet + 7, c->nonce, NONCE) :
					c->cid == cid)
			return c;
	}
	/* Of nobody, as an ill-behaved device says: to whom it is meant. */
	return b->last;
}

static void from_device(struct bridge *b, const uint8_t *data, size_t len)
{
	struct client *c = len >= 5 ? client_of(b, data) : b->last;

	if (!c)
		return;
	if (len > 4 && data[4] == CTAPHID_INIT)
		c->asked = false;
	else if (len > 4 && data[4] & 0x80 && data[4] != CTAPHID_KEEPALIVE)
		c->busy = false;
	if (send(c->source.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		client_close(c);
}

static void listener_ready(void *arg, uint32_t events)
{
	struct bridge *b = arg;
	int fd = accept4(b->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c = b->clients;

	(void)events;
	if (fd < 0)
		return;
	while (c < b->clients + CLIENTS && c->used)
		c++;
	if (c == b->clients + CLIENTS) {
		close(fd);
		return;
	}
	*c = (struct client){
		.bridge = b, .used = true,
		.source = { .fd = fd, .ready = client_ready, .arg = c },
	};
	if (gk_loop_add(&b->loop, &c->source, EPOLLIN) < 0) {
		close(fd);
		c->used = false;
	}
}

/* --- plugged in, pulled out ------------------------------------------------- */

static void out_ready(void *arg, uint32_t events);

static void say_ready(struct bridge *b)
{
	if (!b->ready)
		gk_loop_add(&b->loop, &b->out, EPOLLIN);
	b->ready = true;
}

static void socket_up(struct bridge *b)
{
	b->listener = (struct gk_source){
		.fd = gk_sock_listen(b->path, SOCK_SEQPACKET),
		.ready = listener_ready, .arg = b,
	};
	if (b->listener.fd < 0 ||
	    gk_loop_add(&b->loop, &b->listener, EPOLLIN) < 0) {
		perror(b->path);
		gk_loop_quit(&b->loop, 1);
		return;
	}
	b->up = true;
	say_ready(b);
}

static void socket_down(struct bridge *b)
{
	struct client *c;

	b->up = false;
	for (c = b->clients; c < b->clients + CLIENTS; c++) {
		if (c->used)
			client_close(c);
	}
	if (b->listener.fd < 0)
		return;
	gk_loop_del(&b->loop, &b->listener);
	close(b->listener.fd);
	b->listener.fd = -1;
	unlink(b->path);
}

static void on_hello(void *priv, struct usb_redir_hello_header *h)
{
	(void)priv;
	(void)h;
}

static void on_connect(void *priv, struct usb_redir_device_connect_header *d)
{
	struct usb_redir_set_configuration_header h = { .configuration = 1 };
	struct bridge *b = priv;

	(void)d;
	usbredirparser_send_set_configuration(b->parser, ++b->id, &h);
}

static void on_configuration(void *priv, uint64_t id,
			     struct usb_redir_configuration_status_header *s)
{
	struct usb_redir_start_interrupt_receiving_header h = {
		.endpoint = EP_IN,
	};
	struct bridge *b = priv;

	(void)id;
	if (s->status == usb_redir_success)
		usbredirparser_send_start_interrupt_receiving(b->parser, ++b->id,
							      &h);
}

static void on_receiving(void *priv, uint64_t id,
			 struct usb_redir_interrupt_receiving_status_header *s)
{
	struct bridge *b = priv;

	(void)id;
	if (s->status == usb_redir_success && !b->up)
		socket_up(b);
}

static void on_disconnect(void *priv)
{
	socket_down(priv);
}

static void on_interrupt(void *priv, uint64_t id,
			 struct usb_redir_interrupt_packet_header *h,
			 uint8_t *data, int len)
{
	struct bridge *b = priv;

	(void)id;
	if (h->endpoint == EP_IN && h->status == usb_redir_success && len > 0)
		from_device(b, data, (size_t)len);
	usbredirparser_free_packet_data(b->parser, data);
}

static void on_ep_info(void *priv, struct usb_redir_ep_info_header *h)
{
	(void)priv;
	(void)h;
}

static void on_interfaces(void *priv, struct usb_redir_interface_info_header *h)
{
	(void)priv;
	(void)h;
}

static void on_log(void *priv, int level, const char *msg)
{
	(void)priv;
	if (level <= usbredirparser_warning)
		fprintf(stderr, "fido-bridge: %s\n", msg);
}

static void usb_ready(void *arg, uint32_t events)
{
	struct bridge *b = arg;

	(void)events;
	if (usbredirparser_do_read(b->parser) == 0) {
		flush_usb(b);
		return;
	}
	/* Its status tells why; it is about to end. */
	socket_down(b);
	gk_loop_del(&b->loop, &b->usb);
	say_ready(b);
}

static int parser_new(struct bridge *b)
{
	uint32_t caps[USB_REDIR_CAPS_SIZE] = { 0 };
	struct usbredirparser *p = usbredirparser_create();

	if (!p)
		return -1;
	b->parser = p;
	p->priv = b;
	p->log_func = on_log;
	p->read_func = usb_read;
	p->write_func = usb_write;
	p->hello_func = on_hello;
	p->device_connect_func = on_connect;
	p->device_disconnect_func = on_disconnect;
	p->interface_info_func = on_interfaces;
	p->ep_info_func = on_ep_info;
	p->configuration_status_func = on_configuration;
	p->interrupt_receiving_status_func = on_receiving;
	p->interrupt_packet_func = on_interrupt;
	usbredirparser_caps_set_cap(caps, usb_redir_cap_connect_device_version);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_device_disconnect_ack);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_ep_info_max_packet_size);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
	usbredirparser_init(p, "fido-bridge", caps, USB_REDIR_CAPS_SIZE, 0);
	flush_usb(b);
	return 0;
}

/* --- the device's process --------------------------------------------------- */

static void attach_forget(struct bridge *b)
{
	if (b->attach.fd < 0)
		return;
	gk_loop_del(&b->loop, &b->attach);
	close(b->attach.fd);
	b->attach.fd = -1;
	unlink(b->attach_path);
	rmdir(b->dir);
}

static void attach_ready(void *arg, uint32_t events)
{
	struct bridge *b = arg;
	int fd = accept4(b->attach.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	attach_forget(b);
	b->usb = (struct gk_source){ .fd = fd, .ready = usb_ready, .arg = b };
	if (parser_new(b) < 0 || gk_loop_add(&b->loop, &b->usb, EPOLLIN) < 0)
		gk_loop_quit(&b->loop, 1);
}

/* Its stdout is passed on, once the socket is there. */
static void out_ready(void *arg, uint32_t events)
{
	struct bridge *b = arg;
	char buf[4096];
	ssize_t n = read(b->out.fd, buf, sizeof(buf));

	(void)events;
	if (n > 0) {
		if (write(STDOUT_FILENO, buf, (size_t)n) != n)
			gk_loop_quit(&b->loop, 1);
		return;
	}
	b->ended = true;
	gk_loop_quit(&b->loop, 0);
}

static void signal_ready(void *arg, uint32_t events)
{
	struct bridge *b = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(b->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	/* A child that never got as far as a stdout of its own. */
	if (info.ssi_signo == SIGCHLD)
		say_ready(b);
	else
		gk_loop_quit(&b->loop, 0);
}

static void attach_late(void *arg)
{
	struct bridge *b = arg;

	if (b->attach.fd >= 0) {
		fprintf(stderr, "fido-bridge: gk-usb-device does not connect\n");
		gk_loop_quit(&b->loop, 1);
	}
}

static const char *device_program(char *buf, size_t size)
{
	const char *p = getenv("GK_USB_DEVICE");
	ssize_t n;
	char *slash;

	if (p)
		return p;
	n = readlink("/proc/self/exe", buf, size - sizeof("gk-usb-device"));
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	slash = strrchr(buf, '/');
	strcpy(slash + 1, "gk-usb-device");
	return buf;
}

static int spawn(struct bridge *b, char **args)
{
	char path[4096];
	const char *program = device_program(path, sizeof(path));
	int out[2];
	sigset_t none;

	if (!program || pipe(out) < 0)
		return -1;
	b->child = fork();
	if (b->child < 0)
		return -1;
	if (!b->child) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execv(program, args);
		perror(program);
		_exit(127);
	}
	close(out[1]);
	b->out = (struct gk_source){ .fd = out[0], .ready = out_ready, .arg = b };
	return 0;
}

static int reap(struct bridge *b, int status)
{
	int child;

	if (b->child <= 0)
		return status;
	/* By itself it ends in order; it takes its own files away on SIGTERM. */
	if (!b->ended)
		kill(b->child, SIGTERM);
	if (waitpid(b->child, &child, 0) != b->child || status)
		return status ? status : 1;
	return WIFEXITED(child) ? WEXITSTATUS(child) : 1;
}

static int prepare(struct bridge *b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (gk_loop_init(&b->loop) < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	b->signals = (struct gk_source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.ready = signal_ready, .arg = b,
	};
	if (b->signals.fd < 0 || gk_loop_add(&b->loop, &b->signals, EPOLLIN) < 0)
		return -1;
	strcpy(b->dir, "/tmp/fido-bridge-XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	snprintf(b->attach_path, sizeof(b->attach_path), "%s/usb", b->dir);
	b->attach = (struct gk_source){
		.fd = gk_sock_listen(b->attach_path, SOCK_STREAM),
		.ready = attach_ready, .arg = b,
	};
	if (b->attach.fd < 0)
		return -1;
	return gk_loop_add(&b->loop, &b->attach, EPOLLIN);
}

/* What is not ours goes to gk-usb-device. */
static int arguments(struct bridge *b, int argc, char **argv, char **args,
		     bool *unplugged)
{
	int i, n = 0;

	args[n++] = (char *)(uintptr_t)"gk-usb-device";
	args[n++] = (char *)(uintptr_t)"fido";
	args[n++] = (char *)(uintptr_t)"--connect";
	args[n++] = b->attach_path;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--socket") && i + 1 < argc)
			b->path = argv[++i];
		else if (n < ARGS_MAX)
			args[n++] = argv[i];
		if (!strcmp(argv[i], "--unplugged"))
			*unplugged = true;
	}
	args[n] = NULL;
	return b->path ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct bridge b;
	struct gk_timer late = { .fire = attach_late, .arg = &b };
	char *args[ARGS_MAX + 1];
	bool unplugged = false;
	int status = 1;

	b.attach.fd = b.listener.fd = b.usb.fd = b.out.fd = -1;
	if (arguments(&b, argc, argv, args, &unplugged) < 0) {
		fprintf(stderr, "usage: fido-bridge --socket PATH [options]; "
			"those of gk-usb-device fido --help\n");
		return 2;
	}
	if (prepare(&b) < 0 || spawn(&b, args) < 0) {
		perror("fido-bridge");
		goto out;
	}
	gk_loop_timer_at(&b.loop, &late, gk_now_ns() + ATTACH_MS * 1000000ull);
	if (unplugged)
		say_ready(&b);
	status = gk_loop_run(&b.loop);
out:
	socket_down(&b);
	attach_forget(&b);
	status = reap(&b, status);
	if (b.parser)
		usbredirparser_destroy(b.parser);
	if (b.usb.fd >= 0)
		close(b.usb.fd);
	gk_loop_done(&b.loop);
	return status;
}
