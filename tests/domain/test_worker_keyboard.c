/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatekeeper/domain/worker_keyboard.c on what is played in played.c: transfers that
 * fail and endpoints that halt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/domain/played.h"

enum { LIGHTS = 1, IN_TRANSFERS = 8, ONE = 0x81, TWO = 0x82 };

static const struct gk_worker_role *const role = &gk_worker_keyboard;

int libusb_control_transfer(libusb_device_handle *dev, uint8_t type, uint8_t request,
			    uint16_t value, uint16_t index, unsigned char *data,
			    uint16_t len, unsigned int timeout)
{
	(void)dev, (void)type, (void)request, (void)value, (void)index, (void)data;
	(void)len, (void)timeout;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	m.now = 5000;
	m.speed = LIBUSB_SPEED_FULL;
	m.w.interfaces = 2;
	for (unsigned i = 0; i < 2; i++)
		m.w.interface[i] = (struct gk_worker_interface){
			.number = (uint8_t)i, .kind = GK_KIND_BOOT,
			.role = GK_ROLE_KEYBOARD, .in_address = (uint8_t)(ONE + i),
			.in_size = 8,
		};
	assert_int_equal(role->start(&m.w), GK_OK);
	assert_int_equal(m.allocated, LIGHTS + 2 * IN_TRANSFERS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop(role);
	return 0;
}

static unsigned in_flight(uint8_t endpoint)
{
	unsigned n = 0;

	for (int i = 0; i < m.allocated; i++)
		n += m.flying[i] && m.transfer[i].endpoint == endpoint;
	return n;
}

/* The n-th transfer of an endpoint. */
static int nth(uint8_t endpoint, int n)
{
	return LIGHTS + (endpoint - ONE) * IN_TRANSFERS + n;
}

static void types(uint8_t endpoint, uint8_t usage, unsigned frames)
{
	int i = flying(endpoint);
	unsigned before = m.sents;

	assert_true(i >= 0);
	memset(m.transfer[i].buffer, 0, 8);
	m.transfer[i].buffer[2] = usage;
	complete(i, LIBUSB_TRANSFER_COMPLETED, 8);
	assert_int_equal(m.sents - before, frames);
}

static void taken_back(void)
{
	libusb_handle_events_timeout_completed(NULL, NULL, NULL);
}

/* Whichever transfer of an endpoint meets the halt: the others are taken back, the
 * halt is cleared once, and all go out again. The other interface is left alone. */
static void halts(void **state)
{
	(void)state;
	for (int n = 0; n < IN_TRANSFERS; n++) {
		int before = m.cleared[TWO];

		complete(nth(TWO, n), LIBUSB_TRANSFER_STALL, 0);
		tick(role, 30);
		assert_int_equal(m.cleared[TWO], before);
		assert_int_equal(in_flight(TWO), IN_TRANSFERS - 1);
		/* One of them had a report all the same. */
		complete(nth(TWO, (n + 1) % IN_TRANSFERS), LIBUSB_TRANSFER_COMPLETED, 0);
		assert_int_equal(in_flight(TWO), IN_TRANSFERS - 2);
		taken_back();
		assert_int_equal(in_flight(TWO), 0);
		tick(role, 30);
		assert_int_equal(m.cleared[TWO], before + 1);
		assert_int_equal(in_flight(TWO), IN_TRANSFERS);
		types(TWO, 4, 1);
		types(TWO, 0, 1);
	}
	assert_int_equal(m.cleared[ONE], 0);
	assert_int_equal(in_flight(ONE), IN_TRANSFERS);
	assert_false(m.w.done);
}

/* A device that does nothing else is given up, its keys let go. */
static void halts_without_end(void **state)
{
	uint64_t since = m.now;

	(void)state;
	types(ONE, 4, 1);
	while (!m.w.done && m.now - since < 60000) {
		if (flying(ONE) >= 0)
			complete(flying(ONE), LIBUSB_TRANSFER_STALL, 0);
		taken_back();
		tick(role, 30);
	}
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DEVICE);
	assert_true(m.now - since < 5000);
	assert_int_equal(m.sent[m.sents - 1].u.key.value, 0);
}

static void errors(void **state)
{
	(void)state;
	for (int n = 0; n < IN_TRANSFERS; n++)
		complete(nth(ONE, n), LIBUSB_TRANSFER_ERROR, 0);
	assert_int_equal(in_flight(ONE), 0);
	tick(role, 30);
	assert_int_equal(in_flight(ONE), IN_TRANSFERS);
	assert_int_equal(m.cleared[ONE], 0);
	types(ONE, 4, 1);
	for (int i = 0; i < 100; i++)
		tick(role, 30);
	assert_false(m.w.done);
	assert_false(m.w.retry);
}

static void submit_fails(void **state)
{
	(void)state;
	m.fail_submit = 1;
	complete(nth(ONE, 0), LIBUSB_TRANSFER_COMPLETED, 0);
	tick(role, 30);
	assert_int_equal(in_flight(ONE), IN_TRANSFERS - 1);
	assert_true(m.w.retry);
	m.fail_submit = 0;
	tick(role, 30);
	assert_int_equal(in_flight(ONE), IN_TRANSFERS);
}

static void unplugged(void **state)
{
	(void)state;
	complete(nth(ONE, 0), LIBUSB_TRANSFER_NO_DEVICE, 0);
	assert_true(m.w.done);
	assert_int_equal(m.w.status, GK_WORKER_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(halts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(halts_without_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(submit_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unplugged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
