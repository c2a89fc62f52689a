/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program and its well-behaved devices; the hostile ones: test_hostile.c. */
#include "test_host.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void descriptors(void **state)
{
	struct host *h = start("keyboard", "--vid", "abcd", "--pid", "12",
			       "--serial", "S-1", "--port-note", "left");
	struct packet *p;
	static const uint8_t serial[] = { 8, 3, 'S', 0, '-', 0, '1', 0 };

	(void)state;
	until(h, h->connects == 1);
	assert_int_equal(h->device.vendor_id, 0xabcd);
	assert_int_equal(h->device.product_id, 0x12);
	assert_int_equal(h->device.speed, usb_redir_speed_full);
	assert_int_equal(h->interfaces.interface_count, 1);
	assert_int_equal(h->interfaces.interface_class[0], 3);
	assert_int_equal(h->interfaces.interface_subclass[0], 1);
	assert_int_equal(h->interfaces.interface_protocol[0], 1);
	assert_int_equal(h->eps.type[17], usb_redir_type_interrupt);
	assert_int_equal(h->eps.interval[17], 10);
	assert_int_equal(h->eps.max_packet_size[17], 8);
	assert_int_equal(h->eps.type[16], usb_redir_type_control);
	assert_int_equal(h->eps.type[1], usb_redir_type_invalid);

	p = get_descriptor(h, 0x0100, 18);
	assert_int_equal(p->status, usb_redir_success);
	assert_int_equal(p->len, 18);
	assert_int_equal(p->data[8] | p->data[9] << 8, 0xabcd);
	assert_int_equal(p->data[16], 3);
	assert_int_equal(get_descriptor(h, 0x0100, 8)->len, 8);
	p = get_descriptor(h, 0x0200, 255);
	assert_int_equal(p->len, 34);
	assert_int_equal(p->data[2], 34);
	assert_memory_equal(p->data + 9, "\x09\x04\0\0\1\3\1\1", 8);
	assert_int_equal(p->data[18 + 7], 65);
	p = control(h, 0x81, 6, 0x2200, 0, 65, NULL);
	assert_int_equal(p->len, 65);
	assert_memory_equal(p->data, "\x05\x01\x09\x06", 4);
	assert_int_equal(control(h, 0x81, 6, 0x2100, 0, 9, NULL)->len, 9);
	p = get_descriptor(h, 0x0303, 255);
	assert_int_equal(p->len, sizeof(serial));
	assert_memory_equal(p->data, serial, sizeof(serial));
	assert_int_equal(get_descriptor(h, 0x0300, 255)->len, 4);

	/* USB 2.0 9.6.2: not for a device of one speed, nor what is not there */
	assert_int_equal(get_descriptor(h, 0x0f00, 5)->status, usb_redir_stall);
	assert_int_equal(get_descriptor(h, 0x0309, 255)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x81, 6, 0x2200, 1, 65, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0xc0, 0x33, 0, 0, 8, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(stat_of(h, "stalls"), 4);
	stop(h);
}

static void standard_requests(void **state)
{
	struct host *h = start("keyboard");
	struct usb_redir_get_alt_setting_header alt = { 0 };

	(void)state;
	until(h, h->connects == 1);
	/* no serial number was asked for, so none is named */
	assert_int_equal(get_descriptor(h, 0x0100, 18)->data[16], 0);
	assert_memory_equal(control(h, 0x80, 0, 0, 0, 2, NULL)->data, "\0\0", 2);
	assert_int_equal(control(h, 0x00, 3, 1, 0, 0, NULL)->status, 0);
	assert_memory_equal(control(h, 0x80, 0, 0, 0, 2, NULL)->data, "\2\0", 2);
	assert_int_equal(control(h, 0x00, 1, 1, 0, 0, NULL)->status, 0);
	assert_memory_equal(control(h, 0x80, 0, 0, 0, 2, NULL)->data, "\0\0", 2);
	/* an interface is there only once configured (9.4.5) */
	assert_int_equal(control(h, 0x81, 0, 0, 0, 2, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x80, 8, 0, 0, 1, NULL)->data[0], 0);
	assert_int_equal(control(h, 0x00, 9, 1, 0, 0, NULL)->status, 0);
	assert_int_equal(control(h, 0x80, 8, 0, 0, 1, NULL)->data[0], 1);
	assert_int_equal(control(h, 0x00, 9, 7, 0, 0, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x81, 0, 0, 0, 2, NULL)->status, 0);
	assert_int_equal(control(h, 0x81, 10, 0, 0, 1, NULL)->data[0], 0);
	assert_int_equal(control(h, 0x01, 11, 1, 0, 0, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x82, 0, 0, 0x85, 2, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x82, 12, 0, 0x81, 2, NULL)->status,
			 usb_redir_stall);

	h->answered = false;
	usbredirparser_send_get_configuration(h->parser, ++h->id);
	assert_int_equal(wait_answer(h)->value, 1);
	h->answered = false;
	usbredirparser_send_get_alt_setting(h->parser, ++h->id, &alt);
	assert_int_equal(wait_answer(h)->value, 0);
	assert_int_equal(set_alt(h, 0, 0)->status, usb_redir_success);
	assert_int_equal(set_alt(h, 0, 1)->status, usb_redir_stall);
	/* a reset takes the configuration away */
	usbredirparser_send_reset(h->parser);
	assert_int_equal(control(h, 0x80, 8, 0, 0, 1, NULL)->data[0], 0);
	assert_int_equal(stat_of(h, "resets"), 1);
	assert_int_equal(stat_of(h, "set_configuration"), 2);
	stop(h);
}

static void typing(void **state)
{
	static const struct {
		uint8_t modifier, usage;
	} keys[] = { { 0, 0x04 }, { 2, 0x05 }, { 2, 0x1e }, { 0, 0x2c },
		     { 0, 0x38 } };
	struct host *h = start("keyboard");
	long begin;
	size_t i;

	(void)state;
	bring_up(h);
	tell(h, "rate 20", "ok 20");
	begin = now_ms();
	command(h, "type aB! /");
	until(h, h->n_packets == 10);
	/* ten reports at forty a second, the first at once */
	assert_in_range(now_ms() - begin, 210, 20000);
	expect(h, "ok");
	for (i = 0; i < 5; i++) {
		assert_int_equal(h->packets[2 * i].ep, 0x81);
		assert_int_equal(h->packets[2 * i].len, 8);
		assert_int_equal(h->packets[2 * i].data[0], keys[i].modifier);
		assert_int_equal(h->packets[2 * i].data[2], keys[i].usage);
		assert_int_equal(h->packets[2 * i + 1].len, 8);
		assert_memory_equal(h->packets[2 * i + 1].data, "\0\0\0\0\0\0\0",
				    8);
	}
	/* no faster than it is polled: 10 ms */
	tell(h, "rate 1000", "ok 1000, but the endpoint is polled for 50 only");
	h->n_packets = 0;
	begin = now_ms();
	command(h, "type 0123456789");
	until(h, h->n_packets == 20);
	assert_true(now_ms() - begin >= 180);
	expect(h, "ok");

	h->n_packets = 0;
	command(h, "key leftalt down\nkey f4 down\nkey f4 up\nkey leftalt up\n"
		   "caps\nkey 0x90 down");
	until(h, h->n_packets == 7);
	for (i = 0; i < 6; i++)
		expect(h, "ok");
	assert_memory_equal(h->packets[0].data, "\4\0\0", 3);
	assert_memory_equal(h->packets[1].data, "\4\0\x3d", 3);
	assert_memory_equal(h->packets[2].data, "\4\0\0", 3);
	assert_memory_equal(h->packets[3].data, "\0\0\0", 3);
	assert_memory_equal(h->packets[4].data, "\0\0\x39", 3);
	assert_memory_equal(h->packets[5].data, "\0\0\0", 3);
	assert_memory_equal(h->packets[6].data, "\0\0\x90", 3);
	/* GET_REPORT gives what was sent last */
	assert_memory_equal(control(h, 0xa1, 1, 0x0100, 0, 8, NULL)->data,
			    "\0\0\x90\0\0\0\0", 8);
	stop(h);
}

static void rollover(void **state)
{
	struct host *h = start("keyboard");
	char line[32];
	char c;

	(void)state;
	bring_up(h);
	for (c = 'a'; c <= 'g'; c++) {
		snprintf(line, sizeof(line), "key %c down", c);
		command(h, line);
	}
	command(h, "key a up");
	until(h, h->n_packets == 8);
	assert_memory_equal(h->packets[5].data, "\0\0\4\5\6\7\x08\x09", 8);
	assert_memory_equal(h->packets[6].data, "\0\0\1\1\1\1\1\1", 8);
	assert_memory_equal(h->packets[7].data, "\0\0\x0a\5\6\7\x08\x09", 8);
	stop(h);
}

static void leds_and_class_requests(void **state)
{
	struct host *h = start("keyboard");
	static const uint8_t caps[1] = { 2 }, more[2] = { 1, 1 };

	(void)state;
	bring_up(h);
	tell(h, "leds", "ok none");
	assert_int_equal(control(h, 0x21, 9, 0x0200, 0, 1, caps)->status, 0);
	tell(h, "leds", "ok 02 caps");
	assert_int_equal(control(h, 0xa1, 1, 0x0200, 0, 1, NULL)->data[0], 2);
	assert_int_equal(control(h, 0x21, 9, 0x0200, 0, 2, more)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x21, 9, 0x0200, 1, 1, caps)->status,
			 usb_redir_stall);
	assert_int_equal(stat_of(h, "led_writes"), 1);
	assert_int_equal(control(h, 0xa1, 3, 0, 0, 1, NULL)->data[0], 0);
	assert_int_equal(control(h, 0x21, 0x0b, 1, 0, 0, NULL)->status, 0);
	assert_int_equal(control(h, 0xa1, 3, 0, 0, 1, NULL)->data[0], 1);
	assert_int_equal(control(h, 0x21, 0x0b, 2, 0, 0, NULL)->status,
			 usb_redir_stall);
	/* 5 times 4 ms: the report comes again and again (HID 1.11 7.2.4) */
	set_idle(h, 0, 5);
	assert_int_equal(control(h, 0xa1, 2, 0, 0, 1, NULL)->data[0], 5);
	h->n_packets = 0;
	until(h, h->n_packets >= 3);
	assert_memory_equal(h->packets[0].data, "\0\0\0\0\0\0\0", 8);
	set_idle(h, 0, 0);
	quiet(h, 50);
	h->n_packets = 0;
	quiet(h, QUIET_MS);
	assert_int_equal(h->n_packets, 0);
	assert_true(stat_of(h, "idle_reports") >= 3);
	stop(h);
}

static void late_never_stall(void **state)
{
	struct host *h = start("keyboard");
	long begin;
	int i;

	(void)state;
	until(h, h->connects == 1);
	tell(h, "control never", "ok");
	send_control(h, 0x80, 6, 0x0100, 0, 18, NULL);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	usbredirparser_send_cancel_data_packet(h->parser, h->id);
	assert_int_equal(wait_answer(h)->status, usb_redir_cancelled);
	assert_int_equal(h->answer.len, 0);
	/* more at one time than there is room for: an error, and no crash */
	for (i = 0; i < 64; i++)
		send_control(h, 0x80, 6, 0x0100, 0, 18, NULL);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->status,
			 usb_redir_ioerror);
	/* a reset ends them all */
	usbredirparser_send_reset(h->parser);
	h->answered = false;
	until(h, h->answered);
	assert_int_equal(h->answer.status, usb_redir_cancelled);
	quiet(h, 20);

	tell(h, "control late 200", "ok");
	begin = now_ms();
	assert_int_equal(get_descriptor(h, 0x0100, 18)->len, 18);
	assert_in_range(now_ms() - begin, 195, 20000);
	tell(h, "control stall", "ok");
	assert_int_equal(get_descriptor(h, 0x0100, 18)->status,
			 usb_redir_stall);
	tell(h, "control normal", "ok");
	assert_int_equal(get_descriptor(h, 0x0100, 18)->len, 18);
	tell(h, "control sometimes", "error control normal|stall|never|late MS");
	assert_int_equal(stat_of(h, "cancels"), 1);
	stop(h);
}

static void halt(void **state)
{
	struct host *h = start("keyboard");

	(void)state;
	bring_up(h);
	assert_int_equal(control(h, 0x02, 3, 0, 0x81, 0, NULL)->status, 0);
	until(h, h->n_packets == 1);
	assert_int_equal(h->packets[0].status, usb_redir_stall);
	assert_memory_equal(control(h, 0x82, 0, 0, 0x81, 2, NULL)->data,
			    "\1\0", 2);
	command(h, "type a");
	quiet(h, QUIET_MS);
	assert_int_equal(h->n_packets, 1);
	assert_int_equal(control(h, 0x02, 1, 0, 0x81, 0, NULL)->status, 0);
	until(h, h->n_packets == 3);
	expect(h, "ok");
	stop(h);
}

static void unplug(void **state)
{
	struct host *h = start("keyboard");
	int before;

	(void)state;
	bring_up(h);
	command(h, "type abcdefghijklmnopqrstuvwxyz");
	until(h, h->n_packets == 10);
	/* a second script pulls the plug while the first one types */
	before = h->script;
	h->script = dial(h->ctl);
	tell(h, "unplug", "ok");
	close(h->script);
	h->script = before;
	expect(h, "error unplugged");
	until(h, h->disconnects == 1);
	before = h->n_packets;
	quiet(h, QUIET_MS);
	assert_int_equal(h->n_packets, before);
	tell(h, "type a", "error unplugged");
	tell(h, "wait 0", "error not polled");

	tell(h, "plug", "ok");
	until(h, h->connects == 2);
	/* nothing is held, nothing is configured, and typing waits for that */
	assert_int_equal(control(h, 0x80, 8, 0, 0, 1, NULL)->data[0], 0);
	command(h, "wait 10\ntype z");
	usbredirparser_send_reset(h->parser);
	set_configuration(h, 1);
	h->n_packets = 0;
	poll_endpoint(h, 0x81);
	expect(h, "ok");
	until(h, h->n_packets == 2);
	assert_memory_equal(h->packets[0].data, "\0\0\x1d\0", 4);
	expect(h, "ok");
	tell(h, "replug", "ok");
	until(h, h->connects == 3);
	assert_int_equal(h->disconnects, 2);
	stop(h);
}

static void hot_plug(void **state)
{
	struct host *h = start("keyboard", "--unplugged", "--stall-seconds",
			       "1");

	(void)state;
	quiet(h, QUIET_MS);
	assert_int_equal(h->connects, 0);
	tell(h, "plug", "ok");
	until(h, h->connects == 1);
	/* nobody polls: the script is not left waiting */
	tell(h, "type a", "error the host takes no reports");
	stop(h);
}

static void host_goes_and_comes(void **state)
{
	static const uint8_t garbage[64] = { 0xff, 0xff, 0xff, 0xff };
	struct host *h = start("keyboard");

	(void)state;
	bring_up(h);
	detach(h);
	attach(h, dial(h->sock));
	h->connects = 0;
	bring_up(h);
	assert_int_equal(stat_of(h, "hosts"), 2);
	/* not usbredir at all */
	detach(h);
	h->fd = dial(h->sock);
	assert_int_equal(write(h->fd, garbage, 64), 64);
	usleep(50000);
	detach(h);
	attach(h, dial(h->sock));
	h->connects = 0;
	bring_up(h);
	stop(h);
}

static void composite(void **state)
{
	struct host *h = start("composite");
	uint8_t text[] = "echo";
	struct packet *p;

	(void)state;
	bring_up(h);
	assert_int_equal(h->interfaces.interface_count, 3);
	assert_int_equal(h->interfaces.interface_class[1], 8);
	assert_int_equal(h->interfaces.interface_class[2], 0xff);
	p = get_descriptor(h, 0x0200, 1000);
	assert_int_equal(p->len, p->data[2] | p->data[3] << 8);
	assert_int_equal(control(h, 0xa1, 0xfe, 0, 1, 1, NULL)->len, 1);

	/* the storage takes no command and gives no answer */
	send_bulk(h, 0x02, text, 4);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	usbredirparser_send_cancel_data_packet(h->parser, h->id);
	assert_int_equal(wait_answer(h)->status, usb_redir_cancelled);
	send_bulk(h, 0x82, NULL, 13);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	usbredirparser_send_cancel_data_packet(h->parser, h->id);
	assert_int_equal(wait_answer(h)->status, usb_redir_cancelled);

	/* the vendor's endpoints come with alternate setting 1 */
	assert_int_equal(h->eps.type[3], usb_redir_type_invalid);
	send_bulk(h, 0x03, text, 4);
	assert_int_equal(wait_answer(h)->status, usb_redir_stall);
	assert_int_equal(set_alt(h, 2, 1)->status, usb_redir_success);
	assert_int_equal(h->answer.value, 1);
	assert_int_equal(h->eps.type[3], usb_redir_type_bulk);
	assert_int_equal(h->eps.type[19], usb_redir_type_bulk);
	send_bulk(h, 0x83, NULL, 64);
	quiet(h, 20);
	assert_false(h->answered);
	send_bulk(h, 0x03, text, 4);
	until(h, h->answered && h->answer.ep == 0x83);
	assert_int_equal(h->answered_id, h->id - 1);
	assert_int_equal(h->answer.len, 4);
	assert_memory_equal(h->answer.data, "echo", 4);
	/* and the other order, with a host that asks for less */
	send_bulk(h, 0x03, text, 4);
	wait_answer(h);
	send_bulk(h, 0x83, NULL, 3);
	assert_int_equal(wait_answer(h)->len, 3);

	h->n_packets = 0;
	command(h, "type k");
	until(h, h->n_packets == 2);
	expect(h, "ok");
	stop(h);
}

static void nkro_boot(void **state)
{
	struct host *h = start("nkro-boot");
	struct packet *p;
	char line[32], c;
	int len;

	(void)state;
	bring_up(h);
	set_idle(h, 1, 0);
	poll_endpoint(h, 0x82);
	p = get_descriptor(h, 0x0200, 1000);
	assert_int_equal(p->len, p->data[2] | p->data[3] << 8);
	len = p->data[9 + 25 + 9 + 7] | p->data[9 + 25 + 9 + 8] << 8;
	/* between the longest of real keyboards and what Linux takes */
	assert_in_range(len, 512, 4096);
	p = control(h, 0x81, 6, 0x2200, 1, 4096, NULL);
	assert_int_equal(p->len, len);
	assert_int_equal(p->data[len - 1], 0xc0);
	assert_int_equal(control(h, 0xa1, 1, 0x0305, 1, 16, NULL)->len, 16);

	for (c = 'a'; c <= 'h'; c++) {
		snprintf(line, sizeof(line), "key %c down", c);
		command(h, line);
	}
	command(h, "key g up");
	until(h, h->n_packets == 9);
	assert_int_equal(h->packets[5].ep, 0x81);
	assert_memory_equal(h->packets[5].data, "\0\0\4\5\6\7\x08\x09", 8);
	assert_int_equal(h->packets[6].ep, 0x82);
	assert_int_equal(h->packets[6].len, 15);
	assert_memory_equal(h->packets[6].data, "\1\x40\0", 3);
	assert_memory_equal(h->packets[7].data, "\1\xc0\0", 3);
	assert_int_equal(h->packets[8].ep, 0x82);
	assert_memory_equal(h->packets[8].data, "\1\x80\0", 3);
	stop(h);
}

static void speeds(void **state)
{
	struct host *h = start("keyboard", "--speed", "high");

	(void)state;
	until(h, h->connects == 1);
	assert_int_equal(h->device.speed, usb_redir_speed_high);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->data[7], 64);
	/* 10 ms are 80 microframes: 2^6 fit */
	assert_int_equal(h->eps.interval[17], 7);
	assert_int_equal(get_descriptor(h, 0x0600, 10)->len, 10);
	assert_int_equal(get_descriptor(h, 0x0700, 255)->data[33], 10);
	stop(h);
	h = start("keyboard", "--speed", "low");
	until(h, h->connects == 1);
	assert_int_equal(h->device.speed, usb_redir_speed_low);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->data[7], 8);
	assert_int_equal(get_descriptor(h, 0x0600, 10)->status,
			 usb_redir_stall);
	stop(h);
	h = start("composite", "--speed", "high");
	until(h, h->connects == 1);
	assert_int_equal(h->eps.max_packet_size[18], 512);
	stop(h);
}

static void scripts(void **state)
{
	struct host *h = start("keyboard");
	static const struct {
		const char *line, *answer;
	} cases[] = {
		{ "fly", "error unknown command" },
		{ "", "error unknown command" },
		{ "type", "error type TEXT" },
		{ "type \t", "error not on a US keyboard" },
		{ "key", "error key NAME down|up" },
		{ "key a sideways", "error key NAME down|up" },
		{ "key a down now", "error key NAME down|up" },
		{ "key hyper down", "error no such key" },
		{ "rate 0", "error rate 1..2000 keys a second" },
		{ "rate 2001", "error rate 1..2000 keys a second" },
		{ "rate x", "error rate 1..2000 keys a second" },
		{ "rate 40", "ok 40" },
		{ "wait x", "error wait SECONDS, at most 600" },
		{ "caps on", "error a key's name stands alone" },
	};
	char long_line[20000], line[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tell(h, cases[i].line, cases[i].answer);
	/* a line without an end is not waited for */
	memset(long_line, 'x', sizeof(long_line));
	assert_int_equal(send(h->script, long_line, 16384, MSG_NOSIGNAL), 16384);
	expect(h, "error line too long");
	close(h->script);
	h->script = dial(h->ctl);
	/* stdin is a script too */
	assert_int_equal(write(h->in_fd, "rate 50\n", 8), 8);
	read_line(h->out_fd, line, sizeof(line));
	assert_string_equal(line, "ok 50");
	stop(h);
}

/* Runs it to its end; for what does not serve. */
static int run_to_end(const char *const *args)
{
	struct host h = { .fd = -1 };
	int status;

	spawn(&h, (char *const *)(uintptr_t)args, true);
	status = reap(&h);
	close(h.in_fd);
	close(h.out_fd);
	return status;
}

static void command_line(void **state)
{
	static const struct {
		const char *args[8];
		int status;
	} cases[] = {
		{ { "x", "--list" }, 0 },
		{ { "x", "--help" }, 0 },
		{ { "x" }, 2 },
		{ { "x", "keyboard" }, 2 },
		{ { "x", "--listen", "/tmp/none" }, 2 },
		{ { "x", "teapot", "--listen", "/tmp/none" }, 2 },
		{ { "x", "keyboard", "--listen", "/a", "--connect", "/b" }, 2 },
		{ { "x", "keyboard", "--listen", "/a", "--vid", "xyz" }, 2 },
		{ { "x", "keyboard", "--listen", "/a", "--vid", "10000" }, 2 },
		{ { "x", "keyboard", "--listen", "/a", "--serial", "\"" }, 2 },
		{ { "x", "keyboard", "--listen", "/a", "--speed", "warp" }, 2 },
		{ { "x", "composite", "--listen", "/a", "--speed", "low" }, 2 },
		{ { "x", "keyboard", "--listen", "/a", "--max-seconds", "0" }, 2 },
		{ { "x", "keyboard", "--listen", "/nonexistent/a" }, 1 },
		{ { "x", "keyboard", "--connect", "/nonexistent/a",
		    "--max-seconds", "1" }, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (run_to_end(cases[i].args) != cases[i].status)
			fail_msg("case %zu: another exit status", i);
	}
}

static void ends_on_signal_and_quit(void **state)
{
	struct host *h = start("keyboard");

	(void)state;
	kill(h->pid, SIGTERM);
	assert_int_equal(reap(h), 0);
	/* the sockets are gone with it, or rmdir fails */
	assert_int_equal(rmdir(h->dir), 0);
	close(h->in_fd);
	close(h->out_fd);
	close(h->script);
	detach(h);
	free(h);

	h = start("keyboard");
	until(h, h->connects == 1);
	tell(h, "quit", "ok");
	until(h, h->disconnects == 1);
	stop(h);
}

/* A parent that dies takes its devices along. */
static void dies_with_parent(void **state)
{
	char path[] = "/tmp/gk-test-redir-XXXXXX", sock[64], line[16];
	int out[2], hold[2], status;
	struct pollfd p;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(sock, sizeof(sock), "%s/usb", path);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (!fork()) {
			dup2(hold[0], 0);
			dup2(out[1], 1);
			execl(program(), "x", "keyboard", "--listen", sock,
			      "--max-seconds", "30", (char *)NULL);
			_exit(127);
		}
		read_line(out[0], line, sizeof(line));
		_exit(strcmp(line, "ready") ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(out[1]);
	p = (struct pollfd){ .fd = out[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(read(out[0], line, 1), 0);
	close(out[0]);
	close(hold[0]);
	close(hold[1]);
	assert_int_equal(rmdir(path), 0);
}

static void connects_itself(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct host h = { .fd = -1 };
	char dir[] = "/tmp/gk-test-redir-XXXXXX", line[16];
	const char *args[] = { "x", "keyboard", "--connect", sa.sun_path,
			       "--max-seconds", "30", NULL };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/usb", dir);
	spawn(&h, (char *const *)(uintptr_t)args, false);
	/* it is there before the socket is */
	usleep(50000);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	attach(&h, accept(fd, NULL, NULL));
	read_line(h.out_fd, line, sizeof(line));
	assert_string_equal(line, "ready");
	until(&h, h.connects == 1);
	detach(&h);
	attach(&h, accept(fd, NULL, NULL));
	until(&h, h.connects == 2);
	close(h.in_fd);
	assert_int_equal(reap(&h), 0);
	detach(&h);
	close(h.out_fd);
	close(fd);
	unlink(sa.sun_path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(standard_requests),
		cmocka_unit_test(typing),
		cmocka_unit_test(rollover),
		cmocka_unit_test(leds_and_class_requests),
		cmocka_unit_test(late_never_stall),
		cmocka_unit_test(halt),
		cmocka_unit_test(unplug),
		cmocka_unit_test(hot_plug),
		cmocka_unit_test(host_goes_and_comes),
		cmocka_unit_test(composite),
		cmocka_unit_test(nkro_boot),
		cmocka_unit_test(speeds),
		cmocka_unit_test(scripts),
		cmocka_unit_test(command_line),
		cmocka_unit_test(ends_on_signal_and_quit),
		cmocka_unit_test(dies_with_parent),
		cmocka_unit_test(connects_itself),
	};

	signal(SIGPIPE, SIG_IGN);
	/* Whatever goes wrong, this ends. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
