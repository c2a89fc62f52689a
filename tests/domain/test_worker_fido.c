/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper/domain/worker_fido.c as it is, on what is played in played.c: this
 * machine has no USB device to wrap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ctaphid.h"
#include "tests/domain/played.h"

/* Two for what comes in, one for what goes out. */
enum { TRANSFERS = 3, IN = 0x81, OUT = 0x02 };

static const struct gk_worker_role *const role = &gk_worker_fido;

static int set_up(void **state)
{
	struct gk_worker_interface *i = m.w.interface;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.now = 5000;
	m.speed = LIBUSB_SPEED_FULL;
	m.w.interfaces = 3;
	/* Not granted; composites() makes it a keyboard. */
	i[0] = (struct gk_worker_interface){ .number = 0, .in_address = 0x83 };
	i[1] = (struct gk_worker_interface){ .number = 1, .role = GK_ROLE_FIDO,
					     .in_address = IN, .out_address = OUT,
					     .in_size = 64 };
	i[2] = (struct gk_worker_interface){ .number = 2, .role = GK_ROLE_FIDO,
					     .in_address = 0x84, .out_address = 0x04,
					     .in_size = 64 };
	assert_int_equal(role->start(&m.w), GK_OK);
	return 0;
}

/* In whatever state it is left. */
static int tear_down(void **state)
{
	(void)state;
	stop(role);
	return 0;
}

static void from_dom0(uint32_t cid, unsigned cmd, unsigned len)
{
	struct gk_frame f = { .type = GK_LINK_FIDO };
	uint8_t *p = f.u.fido.packet;

	memset(p, 0x5a, GK_LINK_REPORT);
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(cid >> (24 - 8 * i));
	p[4] = (uint8_t)cmd;
	if (cmd & 0x80) {
		p[5] = (uint8_t)(len >> 8);
		p[6] = (uint8_t)len;
	}
	role->frame(&m.w, &f);
}

static void report(uint32_t cid, unsigned cmd, unsigned len, uint32_t new_cid)
{
	int i = flying(IN);
	uint8_t *p;

	assert_true(i >= 0);
	p = m.transfer[i].buffer;
	memset(p, 0x5a, GK_LINK_REPORT);
	for (int k = 0; k < 4; k++) {
		p[k] = (uint8_t)(cid >> (24 - 8 * k));
		p[15 + k] = (uint8_t)(new_cid >> (24 - 8 * k));
	}
	p[4] = (uint8_t)cmd;
	p[5] = (uint8_t)(len >> 8);
	p[6] = (uint8_t)len;
	complete(i, LIBUSB_TRANSFER_COMPLETED, GK_LINK_REPORT);
}

static const uint8_t *out_packet(void)
{
	int i = flying(OUT);

	assert_true(i >= 0);
	assert_int_equal(m.transfer[i].length, GK_LINK_REPORT);
	return m.transfer[i].buffer;
}

static void out_done(void)
{
	complete(flying(OUT), LIBUSB_TRANSFER_COMPLETED, GK_LINK_REPORT);
}

static uint32_t channel(uint32_t theirs)
{
	const uint8_t *p = NULL;

	m.sents = 0;
	from_dom0(GK_CTAPHID_BROADCAST, 0x86, 8);
	assert_int_equal(out_packet()[4], 0x86);
	out_done();
	report(GK_CTAPHID_BROADCAST, 0x86, 17, theirs);
	assert_int_equal(m.sents, 1);
	p = m.sent[0].u.fido.packet + 15;
	m.sents = 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void starts(void **state)
{
	(void)state;
	/* Two for what comes, of the first interface only; nothing goes out. */
	assert_int_equal(m.allocated, TRANSFERS);
	assert_true(flying(IN) >= 0 && flying(OUT) < 0 && flying(0x84) < 0);
	assert_false(m.w.retry);
}

/* A transfer ends with each of its packets, whatever size the descriptor tells: the
 * bus's bound is what counts. */
static void sizes(void **state)
{
	static const struct {
		int speed;
		uint16_t size;
		int asked;
	} want[] = {
		{ LIBUSB_SPEED_FULL, 1024, 64 }, { LIBUSB_SPEED_FULL, 100, 64 },
		{ LIBUSB_SPEED_FULL, 64, 64 },	 { LIBUSB_SPEED_FULL, 48, 96 },
		{ LIBUSB_SPEED_LOW, 64, 64 },	 { LIBUSB_SPEED_LOW, 48, 64 },
		{ LIBUSB_SPEED_HIGH, 1024, 1024 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct gk_worker_interface itf = m.w.interface[1];

		itf.in_size = want[i].size;
		role->stop(&m.w);
		memset(&m, 0, sizeof(m));
		m.speed = want[i].speed;
		m.w.interfaces = 1;
		m.w.interface[0] = m.w.interface[1] = itf;
		assert_int_equal(role->start(&m.w), GK_OK);
		assert_int_equal(m.transfer[flying(IN)].length, want[i].asked);
	}
}

static void no_out_endpoint(void **state)
{
	(void)state;
	role->stop(&m.w);
	memset(&m, 0, sizeof(m));
	m.w.interfaces = 1;
	m.w.interface[0] = (struct gk_worker_interface){
		.role = GK_ROLE_FIDO, .in_address = IN, .in_size = 64,
	};
	assert_true(role->start(&m.w) < 0);
}

/* The longest request: one packet in flight at a time, none lost. */
static void one_at_a_time(void **state)
{
	uint32_t cid = channel(0x01020304);

	(void)state;
	from_dom0(cid, 0x90, GK_CTAPHID_MESSAGE);
	for (unsigned i = 0; i < GK_CTAPHID_NEXTS; i++) {
		assert_true(flying(OUT) < 0);
		from_dom0(cid, i, 0);
	}
	for (unsigned i = 0; i < GK_CTAPHID_PACKETS; i++) {
		const uint8_t *p = out_packet();

		assert_memory_equal(p, "\1\2\3\4", 4);
		assert_int_equal(p[4], i ? i - 1 : 0x90);
		out_done();
	}
	assert_true(flying(OUT) < 0);
	report(0x01020304, 0x90, 1, 0);
	assert_int_equal(m.sents, 1);
	assert_int_equal(m.sent[0].u.fido.packet[4], 0x90);
}

static void says_so_when_it_is_late(void **state)
{
	uint32_t cid = channel(7);

	(void)state;
	from_dom0(cid, 0x90, 1);
	out_done();
	for (unsigned ms = 0; ms <= GK_CTAPHID_SILENCE_MS && !m.sents; ms += 30)
		tick(role, 30);
	assert_int_equal(m.sents, 1);
	assert_int_equal(m.sent[0].u.fido.packet[4], 0xbf);
	assert_int_equal(m.sent[0].u.fido.packet[7], GK_CTAPHID_MSG_TIMEOUT);
	assert_int_equal(out_packet()[4], 0x91);
	out_done();
	for (unsigned ms = 0; ms <= 2 * GK_CTAPHID_DRAIN_MS; ms += 30)
		tick(role, 30);
	/* Nothing waits: it is not woken up any more. */
	assert_false(m.w.retry);
	assert_false(m.w.done);
}

/* In the middle of a touch another session begins: the key hears CANCEL, what it still
 * says is for nobody, and the new session is served at once. */
static void another_session(void **state)
{
	struct gk_frame f = { .type = GK_LINK_PING };
	uint32_t cid = channel(7), other;

	(void)state;
	f.u.ping.reply = 1;
	from_dom0(cid, 0x90, 1);
	out_done();
	report(7, 0xbb, 1, 0x02000000);
	m.sents = 0;
	role->frame(&m.w, &f);
	assert_memory_equal(out_packet(), "\0\0\0\7\x91", 5);
	out_done();
	other = channel(8);
	assert_int_not_equal(other, cid);
	from_dom0(other, 0x90, 1);
	/* The answer to CANCEL, CTAP2_ERR_KEEPALIVE_CANCEL. */
	report(7, 0x90, 1, 0);
	assert_int_equal(m.sents, 0);
	assert_memory_equal(out_packet(), "\0\0\0\x8\x90", 5);
	out_done();
	report(8, 0x90, 1, 0);
	assert_int_equal(m.sents, 1);
	assert_int_equal(m.sent[0].u.fido.packet[4], 0x90);
	m.sents = 0;
	from_dom0(cid, 0x90, 1);
	assert_int_equal(m.sents, 1);
	assert_int_equal(m.sent[0].u.fido.packet[7], GK_CTAPHID_INVALID_CHANNEL);
}

static void out_errors(void **state)
{
	static const enum libusb_transfer_status bad[] = {
		LIBUSB_TRANSFER_ERROR, LIBUSB_TRANSFER_STALL, LIBUSB_TRANSFER_TIMED_OUT,
	};
	uint32_t cid = channel(7);

	(void)state;
	from_dom0(cid, 0x90, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		complete(flying(OUT), bad[i], 0);
		assert_true(flying(OUT) < 0);
		tick(role, 30);
		/* The same packet. */
		assert_int_equal(out_packet()[4], 0x90);
		assert_int_equal(m.cleared[OUT], i >= 1);
	}
	out_done();
	report(7, 0x90, 1, 0);
	assert_int_equal(m.sents, 1);
	assert_false(m.w.done);
	/* One that does not take it any more is given up. */
	from_dom0(cid, 0x90, 1);
	for (int i = 0; i < 10 && !m.w.done; i++) {
		m.now += 2000;
		if (flying(OUT) >= 0)
			complete(flying(OUT), LIBUSB_TRANSFER_TIMED_OUT, 0);
		tick(role, 30);
	}
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DEVICE);
}

static void in_errors(void **state)
{
	uint64_t since;

	(void)state;
	/* A stall: the other is taken back, the endpoint cleared, both go out. */
	complete(flying(IN), LIBUSB_TRANSFER_STALL, 0);
	tick(role, 30);
	assert_int_equal(m.cleared[IN], 0);
	libusb_handle_events_timeout_completed(NULL, NULL, NULL);
	assert_true(flying(IN) < 0);
	tick(role, 30);
	assert_int_equal(m.cleared[IN], 1);
	assert_true(m.flying[1] && m.flying[2]);
	channel(9);
	assert_false(m.w.done);
	/* Errors without end. */
	since = m.now;
	while (!m.w.done && m.now - since < 60000) {
		if (flying(IN) >= 0)
			complete(flying(IN), LIBUSB_TRANSFER_ERROR, 0);
		tick(role, 30);
	}
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DEVICE);
	assert_true(m.now - since < 10000);
}

static unsigned hears(void)
{
	unsigned n = 0;

	for (int i = 0; i < m.allocated; i++)
		n += m.flying[i] && m.transfer[i].endpoint == IN;
	return n;
}

/* A packet goes out in the same turn in which nothing comes in any more: that it went
 * well says nothing of the other way. */
static void out_is_not_in(void **state)
{
	uint32_t cid = channel(7);

	(void)state;
	from_dom0(cid, 0x90, 1);
	complete(flying(IN), LIBUSB_TRANSFER_ERROR, 0);
	complete(flying(IN), LIBUSB_TRANSFER_ERROR, 0);
	out_done();
	tick(role, 30);
	assert_int_equal(hears(), 2);
	report(7, 0x90, 1, 0);

	/* A halt; the other transfer is back only after a turn. */
	from_dom0(cid, 0x90, 1);
	complete(flying(IN), LIBUSB_TRANSFER_STALL, 0);
	tick(role, 30);
	assert_int_equal(m.cleared[IN], 0);
	libusb_handle_events_timeout_completed(NULL, NULL, NULL);
	out_done();
	tick(role, 30);
	assert_int_equal(m.cleared[IN], 1);
	assert_int_equal(hears(), 2);
	report(7, 0x90, 1, 0);

	/* A halt; the other had a packet before it was taken back. */
	complete(flying(IN), LIBUSB_TRANSFER_STALL, 0);
	report(7, 0x90, 1, 0);
	assert_int_equal(hears(), 0);
	for (int i = 0; i < 12; i++)
		tick(role, 30);
	assert_int_equal(m.cleared[IN], 2);
	assert_int_equal(hears(), 2);
	assert_false(m.w.done);
}

/* A device that does not answer, each request of which takes 5 s: between two of
 * them the worker has time for the supervisor, which waits for 6.5 s. */
static void one_halt_at_a_time(void **state)
{
	uint32_t cid = channel(7);
	uint64_t since;

	(void)state;
	from_dom0(cid, 0x90, 1);
	complete(flying(OUT), LIBUSB_TRANSFER_STALL, 0);
	complete(flying(IN), LIBUSB_TRANSFER_STALL, 0);
	libusb_handle_events_timeout_completed(NULL, NULL, NULL);
	m.clear_takes = 5000;
	tick(role, 30);
	assert_int_equal(m.cleared[IN] + m.cleared[OUT], 1);
	since = m.now;
	while (m.cleared[IN] + m.cleared[OUT] < 2 && m.now - since < 2000)
		tick(role, 30);
	assert_int_equal(m.cleared[IN], 1);
	assert_int_equal(m.cleared[OUT], 1);
	assert_true(m.now - since >= 5000 + 250);
}

static void a_single_error_is_forgotten(void **state)
{
	(void)state;
	complete(flying(IN), LIBUSB_TRANSFER_ERROR, 0);
	for (int i = 0; i < 600; i++)
		tick(role, 30);
	assert_false(m.w.done);
	assert_false(m.w.retry);
	assert_true(flying(IN) >= 0);
}

static void bad_lengths(void **state)
{
	static const int lens[] = { 0, 1, 63 };

	(void)state;
	for (int i = 0; i < 16; i++)
		complete(flying(IN), LIBUSB_TRANSFER_COMPLETED, lens[i % 3]);
	assert_int_equal(m.sents, 0);
	assert_false(m.w.done);
	complete(flying(IN), LIBUSB_TRANSFER_COMPLETED, 8);
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DEVICE);
}

static void floods(void **state)
{
	(void)state;
	for (int i = 0; i < GK_CTAPHID_FOREIGN; i++)
		report(3, 0x90, 1, 0);
	assert_int_equal(m.sents, 0);
	assert_false(m.w.done);
	report(3, 0x90, 1, 0);
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DEVICE);
}

static void bad_reports(void)
{
	for (int i = 0; i < 60 && flying(IN) >= 0; i++)
		complete(flying(IN), LIBUSB_TRANSFER_COMPLETED, 8);
}

static void flood(void)
{
	for (int i = 0; i <= GK_CTAPHID_FOREIGN && flying(IN) >= 0; i++)
		report(3, 0x90, 1, 0);
}

static void errors(void)
{
	uint64_t since = m.now;

	while (flying(IN) >= 0 && m.now - since < 10000) {
		complete(flying(IN), LIBUSB_TRANSFER_ERROR, 0);
		tick(role, 30);
	}
}

/* The key of a device that is a keyboard, too: it rests, the keyboard stays. */
static void composites(void **state)
{
	static void (*const fault[])(void) = { bad_reports, flood, errors };

	(void)state;
	m.w.interface[0].role = GK_ROLE_KEYBOARD;
	for (size_t i = 0; i < sizeof(fault) / sizeof(fault[0]); i++) {
		uint32_t cid = channel(7);
		uint64_t since;

		from_dom0(cid, 0x90, 1);
		m.sents = 0;
		fault[i]();
		libusb_handle_events_timeout_completed(NULL, NULL, NULL);
		assert_false(m.w.done);
		assert_true(flying(IN) < 0 && flying(OUT) < 0);
		assert_int_equal(m.sents, 1);
		assert_int_equal(m.sent[0].type, GK_LINK_LOG);
		from_dom0(cid, 0x90, 1);
		assert_true(flying(OUT) < 0);
		since = m.now;
		while (hears() == 0 && m.now - since < 60000)
			tick(role, 30);
		assert_int_equal(hears(), 2);
		assert_true(m.now - since >= GK_CTAPHID_FOREIGN_MS);
		/* What was on its way then is void. */
		for (unsigned ms = 0; ms <= GK_CTAPHID_DRAIN_MS; ms += 30) {
			if (flying(OUT) >= 0)
				out_done();
			tick(role, 30);
		}
		channel(8);
	}
	assert_false(m.w.done);
}

static void unplugged(void **state)
{
	(void)state;
	complete(flying(IN), LIBUSB_TRANSFER_NO_DEVICE, 0);
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DONE);
}

/* In the middle of a request: tear_down() looks. */
static void stopped(void **state)
{
	uint32_t cid = channel(7);

	(void)state;
	from_dom0(cid, 0x90, 100);
	from_dom0(cid, 0, 0);
	assert_true(flying(OUT) >= 0);
}

static void submit_fails(void **state)
{
	uint32_t cid = channel(7);

	(void)state;
	m.fail_submit = 1;
	from_dom0(cid, 0x90, 1);
	assert_true(flying(OUT) < 0 && m.w.retry);
	tick(role, 30);
	m.fail_submit = 0;
	tick(role, 30);
	assert_int_equal(out_packet()[4], 0x90);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(starts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sizes, set_up, tear_down),
		cmocka_unit_test_setup(no_out_endpoint, set_up),
		cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_so_when_it_is_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(out_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(out_is_not_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_halt_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_single_error_is_forgotten, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(bad_lengths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(floods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(composites, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unplugged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(submit_fails, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
