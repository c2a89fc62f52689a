/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hostile devices: that each is as bad as its name, and what the gate's own
 * parsers make of what it says. And the tokens and keyboards that look odd and
 * are not.
 */
#include "test_host.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hid_report.h"
#include "core/link.h"
#include "core/usb_desc.h"

#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))
#define RAW_MAX		(8 * 4096 + 18)

static struct gk_usb_device parsed;
static struct gk_hid_map map;
static uint8_t raw[RAW_MAX];

/* The device and its configurations, as its own descriptors say. */
static size_t read_raw(struct host *h)
{
	struct packet *p = get_descriptor(h, 0x0100, 18);
	size_t len;
	int i, configs;

	assert_int_equal(p->status, usb_redir_success);
	memcpy(raw, p->data, (size_t)p->len);
	len = (size_t)p->len;
	/* Linux looks at eight and corrects the count. */
	configs = len > 17 ? raw[17] : 0;
	if (configs > 8)
		raw[17] = (uint8_t)(configs = 8);
	for (i = 0; i < configs; i++) {
		p = get_descriptor(h, (uint16_t)(0x0200 + i), 4096);
		assert_int_equal(p->status, usb_redir_success);
		memcpy(raw + len, p->data, (size_t)p->len);
		len += (size_t)p->len;
	}
	return len;
}

/* Not an error of the parser: the only interface is marked, at that offset. */
enum { ODD = 1 };

static void said_to_be(struct host *h, const char *kind, int err, int offset)
{
	size_t len = read_raw(h);
	int got;

	/* What is more than the gate reads is refused unread. */
	got = len > GK_USB_RAW_MAX ? GK_ERR_LIMIT : gk_usb_parse(raw, len, &parsed);
	if (!got && parsed.first.interface[0].odd_at) {
		got = ODD;
		parsed.error_offset = parsed.first.interface[0].odd_at;
	}
	if (got != err || (offset >= 0 && parsed.error_offset != offset))
		fail_msg("%s: %d at %u, not %d at %d", kind, got,
			 parsed.error_offset, err, offset);
}

static void descriptors(void **state)
{
	static const struct {
		const char *kind;
		int err, offset;
	} cases[] = {
		{ "liar-zero", GK_ERR_LENGTH, 45 },
		{ "liar-one", GK_ERR_LENGTH, 36 },
		{ "liar-past", GK_ERR_LENGTH, 45 },
		{ "liar-config", GK_ERR_LENGTH, 20 },
		{ "liar-total-long", GK_ERR_SHORT, 20 },
		{ "liar-total-max", GK_ERR_SHORT, 20 },
		{ "liar-total-short", GK_ERR_LENGTH, 36 },
		{ "liar-total-zero", GK_ERR_LENGTH, 20 },
		{ "liar-interfaces", GK_ERR_VALUE, 22 },
		{ "liar-endpoints", ODD, 31 },
		{ "liar-no-endpoint", ODD, 31 },
		{ "liar-interface", GK_ERR_LENGTH, 27 },
		{ "liar-hid", ODD, 36 },
		{ "liar-no-configs", GK_ERR_VALUE, 17 },
		{ "liar-device", GK_ERR_LENGTH, 0 },
		{ "liar-cut", GK_ERR_SHORT, 0 },
		{ "liar-strings", GK_OK, -1 },
		{ "bomb-configs", GK_OK, -1 },
		{ "bomb-big", GK_ERR_LIMIT, -1 },
		{ "bomb-interfaces", GK_ERR_LIMIT, 22 },
		{ "bomb-alternates", GK_ERR_LIMIT, 18 + 34 + 127 * 9 },
		{ "bomb-endpoints", GK_ERR_LIMIT, 31 },
		{ "bomb-unknown", GK_ERR_LIMIT, -1 },
		{ "bomb-hids", ODD, 18 + 34 + 1 },
		{ "bomb-groups", GK_OK, -1 },
		{ "turncoat", GK_OK, -1 },
		{ "hub-false", GK_OK, -1 },
		{ "hub-keyboard", GK_OK, -1 },
		{ "fido-boot", GK_OK, -1 },
		{ "yubikey", GK_OK, -1 },
		{ "nitrokey", GK_OK, -1 },
		{ "fido", GK_OK, -1 },
		{ "nkro", GK_OK, -1 },
	};
	struct host *h;
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(cases); i++) {
		h = start(cases[i].kind);
		until(h, h->connects == 1);
		said_to_be(h, cases[i].kind, cases[i].err, cases[i].offset);
		stop(h);
	}
}

static void lengths(void **state)
{
	static const struct {
		const char *kind;
		uint16_t value;
		int len, at, byte;
	} cases[] = {
		{ "liar-zero", 0x0200, 34, 27, 0 },
		{ "liar-past", 0x0200, 34, 27, 255 },
		{ "liar-total-max", 0x0200, 34, 3, 0xff },
		{ "liar-device", 0x0100, 8, 0, 8 },
		{ "liar-overlong", 0x0100, 18 + 512, 18, 0x41 },
		{ "liar-cut", 0x0100, 15, 0, 18 },
		{ "liar-strings", 0x0300, 4, 0, 255 },
		{ "liar-strings", 0x0301, 4, 0, 0 },
		{ "liar-strings", 0x0302, 4, 0, 1 },
		{ "bomb-configs", 0x02fe, 34, 5, 255 },
		{ "bomb-big", 0x0207, 34 + 15 * 255, 5, 8 },
		{ "bomb-interfaces", 0x0200, 34 + 254 * 9, 4, 255 },
		{ "bomb-alternates", 0x0200, 34 + 255 * 9, 34 + 254 * 9 + 3, 255 },
		{ "bomb-endpoints", 0x0200, 34 + 254 * 7, 13, 255 },
		{ "bomb-unknown", 0x0203, 34 + 2000 * 2, 5, 4 },
	};
	struct host *h;
	struct packet *p;
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(cases); i++) {
		h = start(cases[i].kind);
		until(h, h->connects == 1);
		/* liar-device is as short as it says for any length asked. */
		p = get_descriptor(h, cases[i].value,
				   cases[i].len == 18 + 512 ? 18 : 4096);
		if (p->status != usb_redir_success || p->len != cases[i].len ||
		    p->data[cases[i].at] != cases[i].byte)
			fail_msg("%s: %d bytes, %02x", cases[i].kind, p->len,
				 p->data[cases[i].at]);
		stop(h);
	}
}

static void report_descriptors(void **state)
{
	static const struct {
		const char *kind;
		int declared, given;
		enum gk_hid_reason reason;
		int roles;
	} cases[] = {
		{ "hid-count", 0, 0, GK_HID_BAD_REPORT_COUNT, 0 },
		{ "hid-size", 0, 0, GK_HID_BAD_REPORT_SIZE, 0 },
		{ "hid-sum", 0, 0, GK_HID_LONG_REPORT, 0 },
		{ "hid-deep", 0, 0, GK_HID_TOO_DEEP, 0 },
		{ "hid-unbalanced", 0, 0, GK_HID_END_WITHOUT_COLLECTION, 0 },
		{ "hid-open", 0, 0, GK_HID_OPEN_COLLECTION, 0 },
		{ "hid-push", 0, 0, GK_HID_TOO_MANY_PUSHES, 0 },
		{ "hid-pop", 0, 0, GK_HID_POP_WITHOUT_PUSH, 0 },
		{ "hid-cut", 0, 0, GK_HID_CUT_OFF, 0 },
		{ "hid-long-item", 0, 0, GK_HID_CUT_OFF, 0 },
		{ "hid-usages", 0, 0, GK_HID_TOO_MANY_USAGES, 0 },
		{ "hid-collections", 0, 0, GK_HID_TOO_MANY_COLLECTIONS, 0 },
		{ "hid-fields", 0, 0, GK_HID_TOO_MANY_FIELDS, 0 },
		{ "hid-id-zero", 0, 0, GK_HID_BAD_REPORT_ID, 0 },
		{ "hid-id-big", 0, 0, GK_HID_BAD_REPORT_ID, 0 },
		{ "hid-delimiters", 0, 0, GK_HID_NESTED_DELIMITER, 0 },
		{ "hid-endless", 5123, 4096, GK_HID_TOO_LONG, 0 },
		{ "hid-max", 0xffff, 23, GK_HID_FINE, GK_ROLE_KEYBOARD },
		{ "hid-less", 100, 23, GK_HID_FINE, GK_ROLE_KEYBOARD },
		{ "hid-none", 0xffff + 1, 23, GK_HID_FINE, GK_ROLE_KEYBOARD },
		{ "hid-part", 23, 20, GK_HID_OPEN_COLLECTION, 0 },
		{ "fido", 34, 34, GK_HID_FINE, GK_ROLE_FIDO },
		{ "fido-boot", 34, 34, GK_HID_FINE, GK_ROLE_FIDO },
		{ "fido-beside", 0, 0, GK_HID_FINE, GK_ROLE_KEYBOARD },
		{ "nkro", 72, 72, GK_HID_FINE, GK_ROLE_KEYBOARD },
		{ "report-ids", 47, 47, GK_HID_FINE, GK_ROLE_KEYBOARD },
	};
	struct host *h;
	struct packet *p;
	size_t i, len;
	int declared;

	(void)state;
	for (i = 0; i < LENGTH(cases); i++) {
		h = start(cases[i].kind);
		until(h, h->connects == 1);
		read_raw(h);
		declared = raw[18 + 25] | raw[18 + 26] << 8;
		p = control(h, 0x81, 6, 0x2200, 0, 4096, NULL);
		assert_int_equal(p->status, usb_redir_success);
		if (!cases[i].declared)
			assert_int_equal(declared, p->len);
		else if (declared != (cases[i].declared & 0xffff) ||
			 p->len != cases[i].given)
			fail_msg("%s: %d bytes of %d", cases[i].kind, p->len,
				 declared);
		/* hid-endless: by its length alone, there is no more to be had */
		len = (size_t)p->len == 4096 ? (size_t)declared : (size_t)p->len;
		memset(raw, 0, 8192);
		memcpy(raw, p->data, (size_t)p->len);
		(void)!gk_hid_parse(raw, len, &map);
		if (map.reason != cases[i].reason ||
		    gk_hid_roles(&map) != cases[i].roles)
			fail_msg("%s: %s at %u, roles %u", cases[i].kind,
				 gk_hid_reason_text(map.reason),
				 map.error_offset, gk_hid_roles(&map));
		stop(h);
	}
	h = start("hid-stalls");
	until(h, h->connects == 1);
	assert_int_equal(control(h, 0x81, 6, 0x2200, 0, 25, NULL)->status,
			 usb_redir_stall);
	stop(h);
	h = start("hid-silent");
	until(h, h->connects == 1);
	send_control(h, 0x81, 6, 0x2200, 0, 25, NULL);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	stop(h);
}

/* A configuration's interfaces, and its class bytes, as they are now. */
static int interfaces_now(struct host *h, uint8_t *class)
{
	struct packet *p = get_descriptor(h, 0x0200, 4096);

	*class = p->data[9 + 5];
	return p->data[4];
}

static void turncoats(void **state)
{
	struct host *h = start("turncoat");
	uint8_t class;

	(void)state;
	until(h, h->connects == 1);
	assert_int_equal(h->device.product_id, 6);
	assert_int_equal(interfaces_now(h, &class), 1);
	tell(h, "turn", "ok");
	until(h, h->connects == 2);
	assert_int_equal(h->disconnects, 1);
	assert_int_equal(h->device.product_id, 0x8006);
	assert_int_equal(interfaces_now(h, &class), 2);
	assert_int_equal(h->interfaces.interface_class[1], 8);
	stop(h);

	h = start("turncoat-reads");
	until(h, h->connects == 1);
	interfaces_now(h, &class);
	assert_int_equal(class, 3);
	interfaces_now(h, &class);
	assert_int_equal(class, 8);
	interfaces_now(h, &class);
	assert_int_equal(class, 3);
	stop(h);

	h = start("turncoat-device");
	until(h, h->connects == 1);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->data[12], 1);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->data[12], 2);
	stop(h);

	h = start("turncoat-set");
	until(h, h->connects == 1);
	assert_int_equal(interfaces_now(h, &class), 1);
	set_configuration(h, 1);
	assert_int_equal(interfaces_now(h, &class), 2);
	stop(h);

	h = start("turncoat-reset");
	bring_up(h);
	assert_int_equal(interfaces_now(h, &class), 1);
	usbredirparser_send_reset(h->parser);
	assert_int_equal(interfaces_now(h, &class), 2);
	stop(h);

	h = start("turncoat-poll");
	bring_up(h);
	until(h, h->connects == 2);
	assert_int_equal(h->device.product_id, 0x8006);
	h->connects = 1;
	bring_up(h);
	h->connects = 2;
	quiet(h, 3500);
	assert_int_equal(h->connects, 2);
	stop(h);

	h = start("turncoat-report");
	until(h, h->connects == 1);
	assert_int_equal(control(h, 0x81, 6, 0x2200, 0, 65, NULL)->data[3], 6);
	assert_int_equal(control(h, 0x81, 6, 0x2200, 0, 65, NULL)->data[3], 2);
	stop(h);
}

static void hubs(void **state)
{
	struct host *h = start("hub-false");

	(void)state;
	until(h, h->connects == 1);
	assert_int_equal(h->device.device_class, 9);
	set_configuration(h, 1);
	assert_int_equal(control(h, 0xa0, 6, 0x2900, 0, 15, NULL)->status,
			 usb_redir_stall);
	stop(h);

	h = start("hub-silent");
	until(h, h->connects == 1);
	set_configuration(h, 1);
	send_control(h, 0xa0, 6, 0x2900, 0, 15, NULL);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	stop(h);

	h = start("hub-ports");
	until(h, h->connects == 1);
	assert_int_equal(control(h, 0xa0, 6, 0x2900, 0, 15, NULL)->data[2], 255);
	stop(h);

	h = start("hub-keyboard");
	until(h, h->connects == 1);
	assert_int_equal(h->interfaces.interface_count, 2);
	set_configuration(h, 1);
	set_idle(h, 1, 0);
	poll_endpoint(h, 0x82);
	command(h, "type k");
	until(h, h->n_packets == 2);
	expect(h, "ok");
	stop(h);

	/* a device in each port, and again when it was found missing */
	h = start("hub-ghosts");
	until(h, h->connects == 1);
	set_configuration(h, 1);
	assert_int_equal(control(h, 0xa0, 6, 0x2900, 0, 15, NULL)->data[2], 4);
	assert_memory_equal(control(h, 0xa3, 0, 0, 4, 4, NULL)->data,
			    "\1\1\1\0", 4);
	assert_int_equal(control(h, 0x23, 3, 4, 4, 0, NULL)->status, 0);
	assert_memory_equal(control(h, 0xa3, 0, 0, 4, 4, NULL)->data,
			    "\3\1\21\0", 4);
	assert_int_equal(control(h, 0x23, 1, 20, 4, 0, NULL)->status, 0);
	assert_int_equal(control(h, 0x23, 1, 16, 4, 0, NULL)->status, 0);
	assert_int_equal(control(h, 0x23, 1, 1, 4, 0, NULL)->status, 0);
	assert_memory_equal(control(h, 0xa3, 0, 0, 4, 4, NULL)->data,
			    "\1\1\0\0", 4);
	poll_endpoint(h, 0x81);
	h->n_packets = 0;
	until(h, h->n_packets >= 1 && h->packets[h->n_packets - 1].data[0] == 0x1e);
	assert_int_equal(control(h, 0xa3, 0, 0, 4, 4, NULL)->data[2], 1);
	stop(h);
}

/* An answer that comes only when the host side has taken something. */
static void expect_later(struct host *h, const char *answer)
{
	struct pollfd p = { .fd = h->script, .events = POLLIN };

	until(h, poll(&p, 1, 0) == 1);
	expect(h, answer);
}

static void reports(void **state)
{
	static const struct {
		const char *kind;
		int packets, len[16];
	} cases[] = {
		{ "report-short", 9, { 0, 1, 2, 3, 4, 5, 6, 7, 8 } },
		{ "report-long", 8, { 9, 16, 63, 64, 65, 512, 1024, 8 } },
		{ "report-ids", 15,
		  { 16, 1, 16, 1, 16, 1, 16, 1, 16, 1, 16, 1, 16, 1, 16 } },
	};
	struct host *h;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < LENGTH(cases); i++) {
		h = start(cases[i].kind);
		bring_up(h);
		command(h, "attack");
		expect_later(h, "ok");
		/* The answer and the last report come on two sockets. */
		until(h, h->n_packets >= cases[i].packets);
		assert_int_equal(h->n_packets, cases[i].packets);
		for (n = 0; n < h->n_packets; n++) {
			assert_int_equal(h->packets[n].len, cases[i].len[n]);
			if (i == 2 && n < 14)
				assert_int_not_equal(h->packets[n].data[0], 1);
		}
		/* and it types as ever */
		h->n_packets = 0;
		command(h, "type a");
		until(h, h->n_packets == 2);
		expect(h, "ok");
		stop(h);
	}
}

/* Its reports, and what it notes of when they were handed over. */
static void steady(void **state)
{
	char path[] = "/tmp/gk-test-stamps-XXXXXX";
	struct packet *seen;
	unsigned long long first = 0, last = 0, ns;
	struct host *h;
	char line[17];
	int fd = mkstemp(path), n = 0, keys[2] = { 0 };
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	h = start("steady", "--stamps", path);
	bring_up(h);
	command(h, "attack 1");
	expect_later(h, "ok");
	assert_int_equal(h->n_in, 1000);
	seen = calloc(PACKETS, sizeof(*seen));
	assert_non_null(seen);
	memcpy(seen, h->packets, sizeof(h->packets));
	tell(h, "attack 11", "error attack [1..10 SECONDS]");
	stop(h);

	f = fopen(path, "r");
	assert_non_null(f);
	for (; fscanf(f, "%llu %16s\n", &ns, line) == 2; n++) {
		for (unsigned i = 0; n < PACKETS && i < 8; i++) {
			char hex[3];

			snprintf(hex, sizeof(hex), "%02x", seen[n].data[i]);
			assert_memory_equal(line + 2 * i, hex, 2);
		}
		keys[0] += n % 2 == 0 && !strcmp(line, "00008a0000000000");
		keys[1] += n % 2 == 0 && !strcmp(line, "0000880000000000");
		assert_true(ns >= last);
		last = ns;
		if (n == 0)
			first = ns;
	}
	fclose(f);
	unlink(path);
	free(seen);
	assert_int_equal(n, 1000);
	assert_in_range((last - first) / 1000000, 990, 20000);
	assert_in_range(keys[0], 50, 150);
	assert_in_range(keys[1], 50, 150);
}

static void typists(void **state)
{
	struct host *h = start("flood");
	static const uint8_t sysrq_b[8] = { 4, 0, 0x46, 0x05 };
	static const uint8_t reboot[8] = { 5, 0, 0x4c };
	static const uint8_t power[8] = { 0, 0, 0x66 };
	int found[3] = { 0 }, n;
	long begin;

	(void)state;
	assert_int_equal(h->device.speed, 0);
	bring_up(h);
	assert_int_equal(h->device.speed, usb_redir_speed_high);
	begin = now_ms();
	command(h, "attack 1");
	expect_later(h, "ok");
	assert_int_equal(h->n_in, 2000);
	assert_in_range(now_ms() - begin, 950, 20000);
	assert_memory_equal(h->packets[0].data, "\0\0\x8a\0\0\0\0\0", 8);
	assert_memory_equal(h->packets[1].data, "\0\0\0\0\0\0\0\0", 8);
	tell(h, "attack 9", "error attack [1..8 SECONDS]");
	/* a host that gives it up in the middle is not left waiting */
	command(h, "attack 2");
	quiet(h, 300);
	usbredirparser_send_reset(h->parser);
	expect_later(h, "error reset by the host");
	stop(h);

	h = start("flood-8k");
	bring_up(h);
	begin = now_ms();
	command(h, "attack 1");
	expect_later(h, "ok");
	assert_int_equal(h->n_in, 8000);
	assert_in_range(now_ms() - begin, 950, 20000);
	assert_memory_equal(h->packets[0].data, "\0\0\x8a\x8b\x92\x93\x94\x88", 8);
	stop(h);

	h = start("never-release");
	bring_up(h);
	command(h, "attack");
	expect_later(h, "ok");
	quiet(h, QUIET_MS);
	assert_int_equal(h->n_packets, 1);
	assert_memory_equal(h->packets[0].data, "\0\0\4\5\6\7\10\11", 8);
	stop(h);

	h = start("sysrq");
	bring_up(h);
	poll_endpoint(h, 0x82);
	command(h, "attack");
	expect_later(h, "ok");
	for (n = 0; n < h->n_packets; n++) {
		if (h->packets[n].ep != 0x81)
			continue;
		found[0] += !memcmp(h->packets[n].data, sysrq_b, 8);
		found[1] += !memcmp(h->packets[n].data, reboot, 8);
		found[2] += !memcmp(h->packets[n].data, power, 8);
	}
	assert_int_equal(found[0], 1);
	assert_int_equal(found[1], 1);
	assert_int_equal(found[2], 1);
	for (n = 0; n < h->n_packets && h->packets[n].ep != 0x82; n++)
		;
	assert_true(n < h->n_packets);
	assert_memory_equal(h->packets[n].data, "\1\1", 2);
	stop(h);
}

static void answers(void **state)
{
	struct host *h = start("stall-all");
	struct usb_redir_set_configuration_header c = { 1 };
	long begin;

	(void)state;
	until(h, h->connects == 1);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->status, usb_redir_stall);
	assert_int_equal(control(h, 0x00, 5, 1, 0, 0, NULL)->status,
			 usb_redir_stall);
	stop(h);

	h = start("never-all");
	until(h, h->connects == 1);
	send_control(h, 0x80, 6, 0x0100, 0, 18, NULL);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	stop(h);

	h = start("late-all");
	until(h, h->connects == 1);
	begin = now_ms();
	assert_int_equal(get_descriptor(h, 0x0100, 18)->len, 18);
	assert_in_range(now_ms() - begin, 690, 20000);
	stop(h);

	h = start("stall-class");
	until(h, h->connects == 1);
	set_configuration(h, 1);
	assert_int_equal(control(h, 0x21, 0x0b, 0, 0, 0, NULL)->status,
			 usb_redir_stall);
	stop(h);

	h = start("stumbles");
	until(h, h->connects == 1);
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			quiet(h, 1000);
		h->answered = false;
		usbredirparser_send_set_configuration(h->parser, ++h->id, &c);
		assert_int_equal(wait_answer(h)->status,
				 i < 2 ? usb_redir_stall : usb_redir_success);
	}
	stop(h);

	h = start("other-layout");
	until(h, h->connects == 1);
	set_configuration(h, 1);
	assert_int_equal(control(h, 0x21, 0x0b, 0, 0, 0, NULL)->status,
			 usb_redir_stall);
	assert_int_equal(control(h, 0x81, 6, 0x2200, 0, 64, NULL)->len, 47);
	stop(h);

	h = start("never-class");
	until(h, h->connects == 1);
	set_configuration(h, 1);
	send_control(h, 0x21, 0x0b, 0, 0, 0, NULL);
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	stop(h);

	h = start("never-set");
	until(h, h->connects == 1);
	usbredirparser_send_set_configuration(h->parser, ++h->id, &c);
	h->answered = false;
	quiet(h, QUIET_MS);
	assert_false(h->answered);
	stop(h);

	h = start("stall-set");
	until(h, h->connects == 1);
	h->answered = false;
	usbredirparser_send_set_configuration(h->parser, ++h->id, &c);
	assert_int_equal(wait_answer(h)->status, usb_redir_stall);
	stop(h);

	h = start("halted");
	bring_up(h);
	until(h, h->n_packets == 1);
	assert_int_equal(h->packets[0].status, usb_redir_stall);
	assert_int_equal(control(h, 0x02, 1, 0, 0x81, 0, NULL)->status, 0);
	poll_endpoint(h, 0x81);
	until(h, h->n_packets == 2);
	assert_int_equal(h->packets[1].status, usb_redir_stall);
	stop(h);
}

static void storm(void **state)
{
	struct host *h = start("keyboard");
	long begin = now_ms();

	(void)state;
	until(h, h->connects == 1);
	command(h, "storm 20 15 5");
	expect_later(h, "ok");
	until(h, h->connects == 21);
	assert_int_equal(h->disconnects, 20);
	assert_true(now_ms() - begin >= 380);
	/* quicker than the host looks */
	command(h, "storm 500 0");
	expect_later(h, "ok");
	until(h, h->connects == 521);
	assert_int_equal(get_descriptor(h, 0x0100, 18)->len, 18);
	tell(h, "storm",
	     "error storm COUNT MILLISECONDS [MILLISECONDS]");
	tell(h, "storm 1 2 3 4",
	     "error storm COUNT MILLISECONDS [MILLISECONDS]");
	tell(h, "storm 1 60001",
	     "error storm COUNT MILLISECONDS [MILLISECONDS]");
	stop(h);
}

static void nkro(void **state)
{
	static const uint8_t leds[2] = { 1, 2 };
	struct host *h = start("nkro");
	int key;

	(void)state;
	bring_up(h);
	command(h, "type aZ");
	until(h, h->n_packets == 4);
	expect(h, "ok");
	assert_int_equal(h->packets[0].len, 16);
	assert_memory_equal(h->packets[0].data, "\1\0\1\0\0\0", 6);
	assert_memory_equal(h->packets[1].data, "\1\0\0\0\0\0", 6);
	assert_memory_equal(h->packets[2].data, "\1\2\0\0\0\2", 6);
	/* seven at once, all there */
	h->n_packets = 0;
	command(h, "key a down\nkey b down\nkey c down\nkey d down\nkey e down\n"
		   "key f down\nkey g down");
	until(h, h->n_packets == 7);
	for (key = 0; key < 7; key++)
		expect(h, "ok");
	assert_memory_equal(h->packets[6].data, "\1\0\x7f\0", 4);
	h->n_packets = 0;
	command(h, "volume");
	until(h, h->n_packets == 2);
	expect(h, "ok");
	assert_memory_equal(h->packets[0].data, "\2\xe9\0", 3);
	assert_int_equal(control(h, 0x21, 9, 0x0201, 0, 2, leds)->status, 0);
	assert_int_equal(control(h, 0x21, 9, 0x0200, 0, 1, leds)->status,
			 usb_redir_stall);
	assert_int_equal(stat_of(h, "led_writes"), 1);
	stop(h);
}

static void fido(struct host *h, uint8_t interface, uint8_t in, uint8_t out)
{
	uint8_t init[64] = { 0xff, 0xff, 0xff, 0xff, 0x86, 0, 8,
			     1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t ping[64] = { 0, 0, 0, 1, 0x81, 0, 4, 'p', 'i', 'n', 'g' };
	uint8_t cbor[64] = { 0, 0, 0, 1, 0x90, 0, 1, 4 };
	struct usb_redir_interrupt_packet_header i = {
		.endpoint = out, .length = 64,
	};
	struct packet *p;

	p = control(h, 0x81, 6, 0x2200, interface, 4096, NULL);
	assert_int_equal(p->len, 34);
	assert_int_equal(gk_hid_parse(p->data, 34, &map), 0);
	assert_int_equal(gk_hid_roles(&map), GK_ROLE_FIDO);
	poll_endpoint(h, in);
	h->n_packets = 0;
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, init, 64);
	/* its own acknowledgement, and the answer */
	until(h, h->n_packets == 2);
	assert_int_equal(h->packets[0].ep, out);
	p = &h->packets[1];
	assert_int_equal(p->len, 64);
	assert_memory_equal(p->data, "\xff\xff\xff\xff\x86\0\x11\1\2\3\4\5\6\7\x8", 15);
	assert_memory_equal(p->data + 15, "\0\0\0\1\2", 5);
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, ping, 64);
	until(h, h->n_packets == 4);
	assert_memory_equal(h->packets[3].data, ping, 64);
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, cbor, 64);
	until(h, h->n_packets == 6);
	assert_memory_equal(h->packets[5].data, "\0\0\0\1\xbf\0\1\1\0", 9);
}

static void ccid(struct host *h, uint8_t in, uint8_t out)
{
	uint8_t status[10] = { 0x65, 0, 0, 0, 0, 0, 7 };
	uint8_t on[10] = { 0x62, 0, 0, 0, 0, 0, 8 };

	send_bulk(h, out, status, 10);
	assert_int_equal(wait_answer(h)->status, 0);
	send_bulk(h, in, NULL, 64);
	assert_memory_equal(wait_answer(h)->data, "\x81\0\0\0\0\0\7\2\0\0", 10);
	send_bulk(h, out, on, 10);
	wait_answer(h);
	send_bulk(h, in, NULL, 64);
	assert_memory_equal(wait_answer(h)->data, "\x81\0\0\0\0\0\x8\x42\xfe\0", 10);
}

static void tokens(void **state)
{
	struct host *h = start("yubikey");
	struct packet *p;

	(void)state;
	bring_up(h);
	assert_int_equal(h->device.vendor_id, 0x1050);
	assert_int_equal(h->device.product_id, 0x0407);
	assert_int_equal(h->interfaces.interface_count, 3);
	assert_int_equal(h->interfaces.interface_class[2], 11);
	p = get_descriptor(h, 0x0200, 4096);
	assert_int_equal(p->len, p->data[2] | p->data[3] << 8);
	assert_memory_equal(p->data + 9 + 25 + 32 + 9, "\x36\x21", 2);
	set_idle(h, 1, 0);
	fido(h, 1, 0x84, 0x04);
	ccid(h, 0x82, 0x02);
	h->n_packets = 0;
	command(h, "type cccccc");
	until(h, h->n_packets == 12);
	expect(h, "ok");
	stop(h);

	h = start("nitrokey");
	until(h, h->connects == 1);
	usbredirparser_send_reset(h->parser);
	set_configuration(h, 1);
	assert_int_equal(h->interfaces.interface_count, 2);
	fido(h, 1, 0x82, 0x02);
	ccid(h, 0x81, 0x01);
	stop(h);
}

/* One that is nothing else, with an authenticator in it: fido/. */
static void security_key(void **state)
{
	uint8_t init[64] = { 0xff, 0xff, 0xff, 0xff, 0x86, 0, 8,
			     1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t info[64] = { 0, 0, 0, 0, 0x90, 0, 1, 4 };
	struct usb_redir_interrupt_packet_header i = {
		.endpoint = 0x01, .length = 64,
	};
	struct host *h = start("fido", "--pin", "1234");
	int packets;

	(void)state;
	until(h, h->connects == 1);
	assert_int_equal(h->interfaces.interface_count, 1);
	assert_int_equal(h->interfaces.interface_class[0], 3);
	assert_int_equal(h->interfaces.interface_subclass[0], 0);
	assert_int_equal(h->eps.type[1], usb_redir_type_interrupt);
	assert_int_equal(h->eps.type[17], usb_redir_type_interrupt);
	assert_int_equal(h->eps.max_packet_size[1], 64);
	assert_int_equal(h->eps.max_packet_size[17], 64);
	set_configuration(h, 1);
	set_idle(h, 0, 0);
	poll_endpoint(h, 0x81);
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, init, 64);
	/* its own acknowledgement, and the answer */
	until(h, h->n_packets == 2);
	assert_int_equal(h->packets[1].ep, 0x81);
	assert_int_equal(h->packets[1].len, 64);
	assert_memory_equal(h->packets[1].data,
			    "\xff\xff\xff\xff\x86\0\x11\1\2\3\4\5\6\7\x8", 15);
	memcpy(info, h->packets[1].data + 15, 4);
	h->n_packets = 0;
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, info, 64);
	until(h, h->n_packets > 1);
	assert_memory_equal(h->packets[1].data, info, 5);
	assert_int_equal(h->packets[1].data[7], 0);
	packets = 1 + (h->packets[1].data[5] << 8 | h->packets[1].data[6]) / 59;
	assert_in_range(packets, 2, 10);
	until(h, h->n_packets == 1 + packets);
	/* a report of another length is none of its */
	h->n_packets = 0;
	i.length = 63;
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, init, 63);
	quiet(h, QUIET_MS);
	assert_int_equal(h->n_packets, 1);
	/* a bus reset takes the channels away */
	usbredirparser_send_reset(h->parser);
	set_configuration(h, 1);
	poll_endpoint(h, 0x81);
	h->n_packets = 0;
	i.length = 64;
	usbredirparser_send_interrupt_packet(h->parser, ++h->id, &i, info, 64);
	until(h, h->n_packets == 2);
	assert_memory_equal(h->packets[1].data + 4, "\xbf\0\1\x0b", 4);
	stop(h);
}

static bool answered_within(struct host *h, int ms)
{
	long end = now_ms() + ms;

	while (!h->answered && now_ms() < end)
		assert_true(turn(h, (int)(end - now_ms())));
	return h->answered;
}

/* Every kind there is: what a host asks, with or without an answer, and the end. */
static void every_kind(void **state)
{
	static const uint16_t wanted[] = { 0x0100, 0x0200, 0x0300, 0x0301, 0x2200 };
	struct usb_redir_set_configuration_header c = { 1 };
	char line[256], kind[32];
	struct host *h;
	size_t i;
	FILE *f;
	int n = 0, ms = 0;

	(void)state;
	snprintf(line, sizeof(line), "%s --list", program());
	f = popen(line, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(sscanf(line, "%31s", kind), 1);
		ms = strstr(kind, "never-all") || strstr(kind, "late") ? 20 : 1000;
		h = start(kind);
		until(h, h->connects == 1);
		usbredirparser_send_reset(h->parser);
		for (i = 0; i < LENGTH(wanted); i++) {
			/* GET_DESCRIPTOR of the device or of interface 0 */
			send_control(h, wanted[i] == 0x2200 ? 0x81 : 0x80, 6,
				     wanted[i], 0, 255, NULL);
			answered_within(h, strstr(kind, "silent") ? 20 : ms);
		}
		h->answered = false;
		usbredirparser_send_set_configuration(h->parser, ++h->id, &c);
		answered_within(h, strstr(kind, "never") ? 20 : ms);
		tell(h, "unplug", "ok");
		until(h, h->disconnects == 1);
		stop(h);
		n++;
	}
	assert_int_equal(pclose(f), 0);
	assert_true(n >= 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(lengths),
		cmocka_unit_test(report_descriptors),
		cmocka_unit_test(turncoats),
		cmocka_unit_test(hubs),
		cmocka_unit_test(reports),
		cmocka_unit_test(steady),
		cmocka_unit_test(typists),
		cmocka_unit_test(answers),
		cmocka_unit_test(storm),
		cmocka_unit_test(nkro),
		cmocka_unit_test(tokens),
		cmocka_unit_test(security_key),
		cmocka_unit_test(every_kind),
	};

	signal(SIGPIPE, SIG_IGN);
	/* Whatever goes wrong, this ends. */
	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
