/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The role `keyboard`: boot protocol (HID 1.11 appendix B), lock lights. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/hid_boot.h"
#include "worker.h"

enum {
	HID_SET_REPORT = 0x09,		/* HID 1.11 7.2 */
	HID_SET_IDLE = 0x0a,
	HID_SET_PROTOCOL = 0x0b,
	HID_TO_INTERFACE = 0x21,	/* class request, host to interface */
	HID_OUTPUT_REPORT = 0x0200,	/* report type in wValue's high byte */
	/* Some keyboards stall or sleep on these; they work all the same. */
	SETUP_TIMEOUT_MS = 250,
	LED_TIMEOUT_MS = 500,
	/* Without a good report for this long after an error the device is given
	 * up; a hub's hiccup or a spark is over sooner. */
	PATIENCE_MS = 1500,
	/* Reports in a row that are no reports: it never took the boot protocol. */
	BAD_REPORTS = 16,
	/* Transfers in flight, so that no report waits for our turn. */
	TRANSFERS = 2,
};

/* An interrupt IN transfer, and which interface it is for. */
struct in {
	struct gk_worker *w;
	unsigned grant;
	int in_flight, idle;	/* idle: to be submitted again */
	struct libusb_transfer *transfer;
	uint8_t buf[GK_WORKER_PACKET];
};

static struct {
	struct gk_hid_boot hid[GK_WORKER_GRANTS];
	struct in in[GK_WORKER_GRANTS][TRANSFERS];
	uint64_t error_since;	/* 0: none since the last report */
	unsigned bad_reports;
	struct libusb_transfer *led;
	uint8_t led_buf[LIBUSB_CONTROL_SETUP_SIZE + 1];
	int led_busy, led_again;
	uint8_t led_want;
} kb;

static void send_keys(struct gk_worker *w, const struct gk_link_key *ev, int n)
{
	for (int i = 0; i < n; i++) {
		struct gk_frame f = { .type = GK_LINK_KEY };

		f.u.key = ev[i];
		gk_worker_send(w, &f);
	}
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int submit(struct in *in)
{
	int err = libusb_submit_transfer(in->transfer);

	in->in_flight = err == 0;
	in->idle = !in->in_flight;
	return err;
}

/* Nothing is submitted at once after an error: keyboard_tick() does that. */
static void in_error(struct in *in)
{
	if (!kb.error_since)
		kb.error_since = now_ms();
	in->idle = 1;
	in->w->retry = 1;
}

static void on_report(struct in *in, const struct libusb_transfer *t)
{
	struct gk_link_key ev[GK_HID_BOOT_EVENTS];
	int n = gk_hid_boot_report(&kb.hid[in->grant], t->buffer,
				   (size_t)t->actual_length, ev);

	kb.error_since = 0;
	if (n >= 0) {
		kb.bad_reports = 0;
		send_keys(in->w, ev, n);
	} else if (++kb.bad_reports > BAD_REPORTS) {
		gk_worker_end(in->w, GK_WORKER_DEVICE);
	}
}

static void on_in(struct libusb_transfer *t)
{
	struct in *in = t->user_data;
	struct gk_worker *w = in->w;

	in->in_flight = 0;
	switch (t->status) {
	case LIBUSB_TRANSFER_COMPLETED:
		on_report(in, t);
		break;
	case LIBUSB_TRANSFER_CANCELLED:
		return;
	case LIBUSB_TRANSFER_NO_DEVICE:
		gk_worker_end(w, GK_WORKER_DONE);
		return;
	case LIBUSB_TRANSFER_STALL:
	case LIBUSB_TRANSFER_ERROR:
	case LIBUSB_TRANSFER_OVERFLOW:
	case LIBUSB_TRANSFER_TIMED_OUT:
		in_error(in);
		return;
	}
	if (!w->done && submit(in) != 0)
		in_error(in);
}

/* Idle transfers of an interface go out again; how many did not. A halted
 * endpoint is cleared, which is only possible when none is in flight. */
static int again(struct gk_worker *w, unsigned i)
{
	int left = 0, flying = 0;

	for (unsigned k = 0; k < TRANSFERS; k++)
		flying |= kb.in[i][k].in_flight;
	if (!flying)
		libusb_clear_halt(w->dev, w->grant[i].in_address);
	for (unsigned k = 0; k < TRANSFERS; k++)
		if (kb.in[i][k].idle)
			left += submit(&kb.in[i][k]) != 0;
	return left;
}

static void keyboard_tick(struct gk_worker *w)
{
	struct gk_link_key ev[GK_HID_BOOT_EVENTS];
	int left = 0;

	for (unsigned i = 0; i < w->grants; i++) {
		int idle = 0;

		for (unsigned k = 0; k < TRANSFERS; k++)
			idle |= kb.in[i][k].idle;
		if (idle)
			left += again(w, i);
	}
	w->retry = left || kb.error_since;
	if (!kb.error_since || now_ms() - kb.error_since < PATIENCE_MS)
		return;
	/* Submitted, and quiet for so long: it is well again. */
	if (!left) {
		kb.error_since = 0;
		w->retry = 0;
		return;
	}
	for (unsigned i = 0; i < w->grants; i++)
		send_keys(w, ev, gk_hid_boot_release(&kb.hid[i], ev));
	gk_worker_end(w, GK_WORKER_DEVICE);
}

static void led_submit(const struct gk_worker *w)
{
	libusb_fill_control_setup(kb.led_buf, HID_TO_INTERFACE, HID_SET_REPORT,
				  HID_OUTPUT_REPORT, w->grant[0].interface, 1);
	kb.led_buf[LIBUSB_CONTROL_SETUP_SIZE] = kb.led_want;
	kb.led_again = 0;
	kb.led_busy = libusb_submit_transfer(kb.led) == 0;
}

/* Best effort: whatever became of it, at most the newest state is tried once. */
static void on_led(struct libusb_transfer *t)
{
	struct gk_worker *w = t->user_data;

	kb.led_busy = 0;
	if (kb.led_again && !w->done && t->status != LIBUSB_TRANSFER_NO_DEVICE)
		led_submit(w);
}

static int start_interface(struct gk_worker *w, unsigned i)
{
	const struct gk_worker_grant *g = &w->grant[i];

	/* Unanswered or stalled is no reason to refuse: keyboards that always
	 * speak the boot protocol do that, and SET_IDLE is optional. */
	if (libusb_control_transfer(w->dev, HID_TO_INTERFACE, HID_SET_PROTOCOL, 0,
				    g->interface, NULL, 0, SETUP_TIMEOUT_MS) ==
	    LIBUSB_ERROR_TIMEOUT)
		libusb_control_transfer(w->dev, HID_TO_INTERFACE, HID_SET_PROTOCOL,
					0, g->interface, NULL, 0,
					4 * SETUP_TIMEOUT_MS);
	libusb_control_transfer(w->dev, HID_TO_INTERFACE, HID_SET_IDLE, 0,
				g->interface, NULL, 0, SETUP_TIMEOUT_MS);
	gk_hid_boot_init(&kb.hid[i]);
	for (unsigned k = 0; k < TRANSFERS; k++) {
		struct in *in = &kb.in[i][k];

		in->w = w;
		in->grant = i;
		in->transfer = libusb_alloc_transfer(0);
		if (!in->transfer)
			return GK_ERR_SYSTEM;
		libusb_fill_interrupt_transfer(in->transfer, w->dev, g->in_address,
					       in->buf, g->in_size, on_in, in, 0);
		if (submit(in) != 0)
			return GK_ERR_SYSTEM;
	}
	return GK_OK;
}

static int keyboard_start(struct gk_worker *w)
{
	kb.led = libusb_alloc_transfer(0);
	if (!kb.led)
		return GK_ERR_SYSTEM;
	libusb_fill_control_transfer(kb.led, w->dev, kb.led_buf, on_led, w,
				     LED_TIMEOUT_MS);
	kb.led->length = LIBUSB_CONTROL_SETUP_SIZE + 1;
	for (unsigned i = 0; i < w->grants; i++)
		if (start_interface(w, i) < 0)
			return GK_ERR_SYSTEM;
	return GK_OK;
}

static void keyboard_frame(struct gk_worker *w, const struct gk_frame *f)
{
	if (f->type != GK_LINK_LED)
		return;
	kb.led_want = f->u.led.leds;
	if (kb.led_busy)
		kb.led_again = 1;
	else
		led_submit(w);
}

static unsigned in_flight(void)
{
	unsigned n = kb.led_busy != 0;

	for (unsigned i = 0; i < GK_WORKER_GRANTS; i++)
		for (unsigned k = 0; k < TRANSFERS; k++)
			n += kb.in[i][k].in_flight != 0;
	return n;
}

static void keyboard_stop(struct gk_worker *w)
{
	struct timeval slice = { .tv_usec = 20000 };

	for (unsigned i = 0; i < GK_WORKER_GRANTS; i++)
		for (unsigned k = 0; k < TRANSFERS; k++)
			if (kb.in[i][k].in_flight)
				libusb_cancel_transfer(kb.in[i][k].transfer);
	if (kb.led_busy)
		libusb_cancel_transfer(kb.led);
	/* At most half a second; the kernel ends what is left with the fd. */
	for (int i = 0; i < 25 && in_flight(); i++)
		libusb_handle_events_timeout_completed(w->usb, &slice, NULL);
}

const struct gk_worker_role gk_worker_keyboard = {
	.name = "keyboard",
	.start = keyboard_start,
	.frame = keyboard_frame,
	.tick = keyboard_tick,
	.stop = keyboard_stop,
};
