/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test_host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void set_packet(struct packet *p, uint8_t status, uint8_t ep,
		       const uint8_t *data, int len)
{
	memset(p, 0, sizeof(*p));
	p->status = status;
	p->ep = ep;
	assert_in_range(len, 0, sizeof(p->data));
	p->len = len;
	if (len)
		memcpy(p->data, data, (size_t)len);
}

static struct packet *answer_for(struct host *h, uint64_t id)
{
	h->answered = true;
	h->answered_id = id;
	return &h->answer;
}

static void on_hello(void *priv, struct usb_redir_hello_header *hello)
{
	(void)priv;
	(void)hello;
}

static void on_connect(void *priv, struct usb_redir_device_connect_header *d)
{
	struct host *h = priv;

	h->connects++;
	h->device = *d;
}

static void on_disconnect(void *priv)
{
	struct host *h = priv;

	h->disconnects++;
}

static void on_interfaces(void *priv, struct usb_redir_interface_info_header *i)
{
	((struct host *)priv)->interfaces = *i;
}

static void on_eps(void *priv, struct usb_redir_ep_info_header *e)
{
	((struct host *)priv)->eps = *e;
}

static void on_configuration(void *priv, uint64_t id,
			     struct usb_redir_configuration_status_header *c)
{
	struct packet *p = answer_for(priv, id);

	set_packet(p, c->status, 0, NULL, 0);
	p->value = c->configuration;
}

static void on_alt(void *priv, uint64_t id,
		   struct usb_redir_alt_setting_status_header *a)
{
	struct packet *p = answer_for(priv, id);

	set_packet(p, a->status, 0, NULL, 0);
	p->value = a->alt;
}

static void on_receiving(void *priv, uint64_t id,
			 struct usb_redir_interrupt_receiving_status_header *r)
{
	set_packet(answer_for(priv, id), r->status, r->endpoint, NULL, 0);
}

static void on_control(void *priv, uint64_t id,
		       struct usb_redir_control_packet_header *c, uint8_t *data,
		       int len)
{
	struct host *h = priv;

	set_packet(answer_for(h, id), c->status, c->endpoint, data, len);
	usbredirparser_free_packet_data(h->parser, data);
}

static void on_bulk(void *priv, uint64_t id,
		    struct usb_redir_bulk_packet_header *b, uint8_t *data,
		    int len)
{
	struct host *h = priv;

	set_packet(answer_for(h, id), b->status, b->endpoint, data, len);
	usbredirparser_free_packet_data(h->parser, data);
}

static void on_interrupt(void *priv, uint64_t id,
			 struct usb_redir_interrupt_packet_header *i,
			 uint8_t *data, int len)
{
	struct host *h = priv;

	(void)id;
	h->n_in++;
	if (h->n_packets < PACKETS)
		set_packet(&h->packets[h->n_packets++], i->status, i->endpoint,
			   data, len);
	usbredirparser_free_packet_data(h->parser, data);
}

static void on_log(void *priv, int level, const char *msg)
{
	(void)priv;
	if (level <= usbredirparser_warning)
		print_message("host side: %s\n", msg);
}

static int host_read(void *priv, uint8_t *data, int count)
{
	ssize_t n = recv(((struct host *)priv)->fd, data, (size_t)count,
			 MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	return n ? (int)n : -1;
}

static int host_write(void *priv, uint8_t *data, int count)
{
	return (int)send(((struct host *)priv)->fd, data, (size_t)count,
			 MSG_NOSIGNAL);
}

/* One turn; false when the device's side has closed. */
bool turn(struct host *h, int ms)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };

	if (usbredirparser_has_data_to_write(h->parser) &&
	    usbredirparser_do_write(h->parser) < 0)
		return false;
	if (poll(&p, 1, ms) > 0)
		return usbredirparser_do_read(h->parser) == 0;
	return true;
}

void quiet(struct host *h, int ms)
{
	long end = now_ms() + ms;

	while (now_ms() < end)
		assert_true(turn(h, (int)(end - now_ms())));
}

int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

const char *program(void)
{
	const char *p = getenv("GK_USB_DEVICE");

	return p ? p : "build/tests/gk-usb-device";
}

/* Runs the program with its stdin and stdout on pipes. */
void spawn(struct host *h, char *const argv[], bool mute)
{
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (!h->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]);
		close(in[1]);
		close(out[0]);
		close(out[1]);
		/* usage texts are not news */
		if (mute)
			close(2);
		execv(program(), argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	h->in_fd = in[1];
	h->out_fd = out[0];
}

/* The exit status; -1 if it does not end, or by a signal. */
int reap(struct host *h)
{
	long end = now_ms() + WAIT_MS;
	int status;

	while (waitpid(h->pid, &status, WNOHANG) == 0) {
		if (now_ms() > end) {
			kill(h->pid, SIGKILL);
			waitpid(h->pid, &status, 0);
			return -1;
		}
		usleep(5000);
	}
	h->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void read_line(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n + 1 < size) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(read(fd, line + n, 1), 1);
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
}

void attach(struct host *h, int fd)
{
	uint32_t caps[USB_REDIR_CAPS_SIZE] = { 0 };
	struct usbredirparser *p = usbredirparser_create();

	assert_non_null(p);
	h->fd = fd;
	h->parser = p;
	p->priv = h;
	p->log_func = on_log;
	p->read_func = host_read;
	p->write_func = host_write;
	p->hello_func = on_hello;
	p->device_connect_func = on_connect;
	p->device_disconnect_func = on_disconnect;
	p->interface_info_func = on_interfaces;
	p->ep_info_func = on_eps;
	p->configuration_status_func = on_configuration;
	p->alt_setting_status_func = on_alt;
	p->interrupt_receiving_status_func = on_receiving;
	p->control_packet_func = on_control;
	p->bulk_packet_func = on_bulk;
	p->interrupt_packet_func = on_interrupt;
	/* what QEMU offers */
	usbredirparser_caps_set_cap(caps, usb_redir_cap_connect_device_version);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_filter);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_ep_info_max_packet_size);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_32bits_bulk_length);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_bulk_receiving);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_bulk_streams);
	usbredirparser_init(p, "test_redir", caps, USB_REDIR_CAPS_SIZE, 0);
}

void detach(struct host *h)
{
	if (h->parser)
		usbredirparser_destroy(h->parser);
	h->parser = NULL;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

#define MAX_ARGS 24

struct host *start_with(const char *const *options)
{
	struct host *h = calloc(1, sizeof(*h));
	const char *args[MAX_ARGS] = { "gk-usb-device" };
	char line[64];
	int n = 1;

	assert_non_null(h);
	h->fd = h->script = -1;
	snprintf(h->dir, sizeof(h->dir), "/tmp/gk-test-redir-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->sock, sizeof(h->sock), "%s/usb", h->dir);
	snprintf(h->ctl, sizeof(h->ctl), "%s/ctl", h->dir);
	args[n++] = "--listen";
	args[n++] = h->sock;
	args[n++] = "--control";
	args[n++] = h->ctl;
	args[n++] = "--max-seconds";
	args[n++] = "60";
	while (*options) {
		assert_true(n < MAX_ARGS - 1);
		args[n++] = *options++;
	}
	spawn(h, (char *const *)(uintptr_t)args, false);
	read_line(h->out_fd, line, sizeof(line));
	assert_string_equal(line, "ready");
	h->script = dial(h->ctl);
	attach(h, dial(h->sock));
	return h;
}

void stop(struct host *h)
{
	close(h->script);
	/* The end of its stdin is the end of the program. */
	close(h->in_fd);
	assert_int_equal(reap(h), 0);
	detach(h);
	close(h->out_fd);
	assert_int_equal(access(h->sock, F_OK), -1);
	assert_int_equal(access(h->ctl, F_OK), -1);
	assert_int_equal(rmdir(h->dir), 0);
	free(h);
}

void command(struct host *h, const char *text)
{
	char line[8192];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	assert_int_equal(write(h->script, line, (size_t)n), n);
}

void expect(struct host *h, const char *answer)
{
	char line[8192];

	read_line(h->script, line, sizeof(line));
	assert_string_equal(line, answer);
}

/* A command whose answer needs nothing of the host side. */
void tell(struct host *h, const char *text, const char *answer)
{
	command(h, text);
	expect(h, answer);
}

long stat_of(struct host *h, const char *name)
{
	char line[8192], key[64], *p;

	command(h, "stats");
	read_line(h->script, line, sizeof(line));
	assert_int_equal(strncmp(line, "ok {", 4), 0);
	snprintf(key, sizeof(key), "\"%s\":", name);
	p = strstr(line, key);
	assert_non_null(p);
	return strtol(p + strlen(key), NULL, 10);
}

void send_control(struct host *h, uint8_t type, uint8_t request, uint16_t value,
		  uint16_t index, uint16_t length, const uint8_t *data)
{
	struct usb_redir_control_packet_header c = {
		.endpoint = type & 0x80, .request = request,
		.requesttype = type, .value = value, .index = index,
		.length = length,
	};
	uint8_t buf[64] = { 0 };

	if (data)
		memcpy(buf, data, length);
	h->answered = false;
	usbredirparser_send_control_packet(h->parser, ++h->id, &c,
					   data ? buf : NULL,
					   data ? length : 0);
}

struct packet *wait_answer(struct host *h)
{
	until(h, h->answered);
	assert_int_equal(h->answered_id, h->id);
	return &h->answer;
}

struct packet *control(struct host *h, uint8_t type, uint8_t request,
		       uint16_t value, uint16_t index, uint16_t length,
		       const uint8_t *data)
{
	send_control(h, type, request, value, index, length, data);
	return wait_answer(h);
}

struct packet *get_descriptor(struct host *h, uint16_t value, uint16_t length)
{
	return control(h, 0x80, 6, value, 0, length, NULL);
}

void set_configuration(struct host *h, uint8_t value)
{
	struct usb_redir_set_configuration_header c = { value };

	h->answered = false;
	usbredirparser_send_set_configuration(h->parser, ++h->id, &c);
	assert_int_equal(wait_answer(h)->status, usb_redir_success);
	assert_int_equal(h->answer.value, value);
}

struct packet *set_alt(struct host *h, uint8_t interface, uint8_t alt)
{
	struct usb_redir_set_alt_setting_header a = { interface, alt };

	h->answered = false;
	usbredirparser_send_set_alt_setting(h->parser, ++h->id, &a);
	return wait_answer(h);
}

void poll_endpoint(struct host *h, uint8_t ep)
{
	struct usb_redir_start_interrupt_receiving_header s = { ep };

	h->answered = false;
	usbredirparser_send_start_interrupt_receiving(h->parser, ++h->id, &s);
	assert_int_equal(wait_answer(h)->status, usb_redir_success);
}

void set_idle(struct host *h, uint8_t interface, uint8_t rate)
{
	assert_int_equal(control(h, 0x21, 0x0a, (uint16_t)(rate << 8),
				 interface, 0, NULL)->status,
			 usb_redir_success);
}

/* As Linux and libusb users do before they read a keyboard. */
void bring_up(struct host *h)
{
	until(h, h->connects == 1);
	usbredirparser_send_reset(h->parser);
	set_configuration(h, 1);
	set_idle(h, 0, 0);
	assert_int_equal(control(h, 0x21, 0x0b, 0, 0, 0, NULL)->status,
			 usb_redir_success);
	poll_endpoint(h, 0x81);
}

void send_bulk(struct host *h, uint8_t ep, uint8_t *data, int len)
{
	struct usb_redir_bulk_packet_header b = {
		.endpoint = ep, .length = (uint16_t)len,
	};

	h->answered = false;
	usbredirparser_send_bulk_packet(h->parser, ++h->id, &b,
					ep & 0x80 ? NULL : data,
					ep & 0x80 ? 0 : len);
}
