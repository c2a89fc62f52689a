/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "domain/clock.h"
#include "tests/domain/played.h"

struct played m;

uint64_t gk_clock_ms(void)
{
	return m.now;
}

void gk_worker_send(struct gk_worker *w, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];

	assert_ptr_equal(w, &m.w);
	assert_true(gk_link_encode(f, GK_SIDE_WORKER, buf, sizeof(buf)) > 0);
	assert_true(m.sents < PLAYED_SENT);
	m.sent[m.sents++] = *f;
}

void gk_worker_end(struct gk_worker *w, enum gk_worker_exit status)
{
	if (!w->done)
		w->status = status;
	w->done = 1;
}

libusb_device *libusb_get_device(libusb_device_handle *dev)
{
	(void)dev;
	return NULL;
}

int libusb_get_device_speed(libusb_device *dev)
{
	(void)dev;
	return m.speed;
}

struct libusb_transfer *libusb_alloc_transfer(int iso)
{
	assert_int_equal(iso, 0);
	assert_true(m.allocated < PLAYED_TRANSFERS);
	return &m.transfer[m.allocated++];
}

int libusb_submit_transfer(struct libusb_transfer *t)
{
	int i = (int)(t - m.transfer);

	assert_false(m.flying[i]);
	/* What it is to stop it must not begin again. */
	assert_false(m.w.done);
	if (m.fail_submit)
		return LIBUSB_ERROR_IO;
	m.flying[i] = 1;
	return 0;
}

int libusb_cancel_transfer(struct libusb_transfer *t)
{
	int i = (int)(t - m.transfer);

	assert_true(m.flying[i]);
	m.cancelled[i] = 1;
	return 0;
}

int libusb_clear_halt(libusb_device_handle *dev, unsigned char endpoint)
{
	(void)dev;
	for (int i = 0; i < m.allocated; i++)
		assert_false(m.flying[i] && m.transfer[i].endpoint == endpoint);
	m.cleared[endpoint]++;
	m.now += m.clear_takes;
	return 0;
}

void complete(int i, enum libusb_transfer_status status, int len)
{
	assert_in_range(i, 0, m.allocated - 1);
	assert_true(m.flying[i]);
	m.flying[i] = 0;
	m.cancelled[i] = 0;
	m.transfer[i].status = status;
	m.transfer[i].actual_length = len;
	m.transfer[i].callback(&m.transfer[i]);
}

int libusb_handle_events_timeout_completed(libusb_context *ctx, struct timeval *tv,
					   int *completed)
{
	(void)ctx;
	(void)tv;
	(void)completed;
	for (int i = 0; i < m.allocated; i++)
		if (m.cancelled[i] && m.flying[i])
			complete(i, LIBUSB_TRANSFER_CANCELLED, 0);
	return 0;
}

int flying(uint8_t endpoint)
{
	for (int i = 0; i < m.allocated; i++)
		if (m.flying[i] && m.transfer[i].endpoint == endpoint)
			return i;
	return -1;
}

void tick(const struct gk_worker_role *role, unsigned ms)
{
	m.now += ms;
	if (!m.w.retry || m.w.done)
		return;
	m.w.retry = 0;
	role->tick(&m.w);
}


void stop(const struct gk_worker_role *role)
{
	role->stop(&m.w);
	for (int i = 0; i < m.allocated; i++)
		assert_false(m.flying[i]);
}
