/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The role `keyboard`: key events and lock lights. An interface that has taken the
 * boot protocol speaks that (HID 1.11 appendix B), another what its report
 * descriptor says; worker_look.c has found out which.
 */
#include <string.h>

#include "clock.h"
#include "core/hid_boot.h"
#include "core/hid_keys.h"
#include "worker.h"

enum {
	HID_SET_REPORT = 0x09,		/* HID 1.11 7.2 */
	HID_SET_IDLE = 0x0a,
	HID_TO_INTERFACE = 0x21,	/* class request, host to interface */
	HID_OUTPUT_REPORT = 0x0200,	/* report type in wValue's high byte */
	/* Some keyboards stall or sleep on SET_IDLE, which is optional; they work
	 * all the same. */
	SETUP_TIMEOUT_MS = 250,
	LED_TIMEOUT_MS = 500,
	/* Without a good report for this long after an error the device is given
	 * up; a hub's hiccup or a spark is over sooner. */
	PATIENCE_MS = 1500,
	/* Reports in a row that are no reports: it never took the boot protocol. */
	BAD_REPORTS = 16,
	/* Transfers in flight, so that no report waits for our turn: eight ms of a
	 * keyboard with 1,000 reports a second. What came while others had the
	 * processor is then passed on at one go. */
	TRANSFERS = 8,
};

/* An interrupt IN transfer, and which interface it is for. */
struct in {
	struct gk_worker *w;
	unsigned itf;		/* in kb.itf */
	int in_flight, idle;	/* idle: to be submitted again */
	int halted;
	struct libusb_transfer *transfer;
	uint8_t buf[GK_WORKER_REPORT];
};

struct keyboard {
	const struct gk_worker_interface *i;
	struct gk_hid_boot boot;	/* GK_KIND_BOOT */
	struct gk_hid_keys keys;	/* GK_KIND_HID */
	struct in in[TRANSFERS];
};

static struct {
	unsigned count;
	struct keyboard itf[GK_CANDIDATES];
	/* How many interfaces hold a key: one that two of them report, as
	 * keyboards with a second interface for all keys do, is one key. */
	uint8_t held[256];
	uint64_t error_since;	/* 0: none since the last report */
	uint64_t error_last;
	unsigned bad_reports;
	struct libusb_transfer *led;
	const struct gk_worker_interface *led_itf;	/* NULL: no lights */
	struct gk_hid_leds leds;
	uint8_t led_buf[LIBUSB_CONTROL_SETUP_SIZE + GK_HID_LED_REPORT];
	int led_busy, led_again;
	uint8_t led_want;
} kb;

static void send_keys(struct gk_worker *w, const struct gk_link_key *ev, int n)
{
	for (int i = 0; i < n; i++) {
		struct gk_frame f = { .type = GK_LINK_KEY };
		uint8_t *held = &kb.held[ev[i].code & 255];

		f.u.key = ev[i];
		if (ev[i].value ? (*held)++ == 0 : *held > 0 && --*held == 0)
			gk_worker_send(w, &f);
	}
}

/* One report's key changes; how many, or an error: it is none. */
static int report(struct keyboard *k, const uint8_t *buf, size_t len,
		  struct gk_link_key ev[GK_HID_KEYS_EVENTS])
{
	if (k->i->kind == GK_KIND_BOOT)
		return gk_hid_boot_report(&k->boot, buf, len, ev);
	return gk_hid_keys_report(&k->i->map, &k->keys, buf, len, ev);
}

static int release(struct keyboard *k, struct gk_link_key ev[GK_HID_KEYS_EVENTS])
{
	if (k->i->kind == GK_KIND_BOOT)
		return gk_hid_boot_release(&k->boot, ev);
	return gk_hid_keys_release(&k->i->map, &k->keys, ev);
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
	kb.error_last = gk_clock_ms();
	if (!kb.error_since)
		kb.error_since = kb.error_last;
	in->idle = 1;
	in->w->retry = 1;
}

static void on_report(struct in *in, const struct libusb_transfer *t)
{
	struct gk_link_key ev[GK_HID_KEYS_EVENTS];
	struct keyboard *k = &kb.itf[in->itf];
	int n = report(k, t->buffer, (size_t)t->actual_length, ev);

	kb.error_since = 0;
	if (n >= 0) {
		kb.bad_reports = 0;
		send_keys(in->w, ev, n);
	} else if (k->i->kind == GK_KIND_BOOT && ++kb.bad_reports > BAD_REPORTS) {
		gk_worker_end(in->w, GK_WORKER_DEVICE);
	}
}

static int is_halted(const struct keyboard *itf)
{
	int halted = 0;

	for (unsigned k = 0; k < TRANSFERS; k++)
		halted |= itf->in[k].halted;
	return halted;
}

static void cancel(struct keyboard *itf)
{
	for (unsigned k = 0; k < TRANSFERS; k++)
		if (itf->in[k].in_flight)
			libusb_cancel_transfer(itf->in[k].transfer);
}

static void on_in(struct libusb_transfer *t)
{
	struct in *in = t->user_data;
	struct gk_worker *w = in->w;
	struct keyboard *itf = &kb.itf[in->itf];

	in->in_flight = 0;
	switch (t->status) {
	case LIBUSB_TRANSFER_COMPLETED:
		on_report(in, t);
		break;
	case LIBUSB_TRANSFER_CANCELLED:
		in->idle = 1;
		return;
	case LIBUSB_TRANSFER_NO_DEVICE:
		gk_worker_end(w, GK_WORKER_DONE);
		return;
	case LIBUSB_TRANSFER_STALL:
		in->halted = 1;
		in_error(in);
		/* The others would wait behind the halt. */
		cancel(itf);
		return;
	case LIBUSB_TRANSFER_ERROR:
	case LIBUSB_TRANSFER_OVERFLOW:
	case LIBUSB_TRANSFER_TIMED_OUT:
		in_error(in);
		return;
	}
	in->idle = is_halted(itf);
	if (!w->done && !in->idle && submit(in) != 0)
		in_error(in);
}

/* Idle transfers of an interface go out again; how many did not. A halted
 * endpoint is cleared, which is only possible when none is in flight. */
static int again(struct gk_worker *w, struct keyboard *itf)
{
	int left = 0, flying = 0, halted = is_halted(itf);

	for (unsigned k = 0; k < TRANSFERS; k++)
		flying |= itf->in[k].in_flight;
	if (halted && !flying) {
		libusb_clear_halt(w->dev, itf->i->in_address);
		for (unsigned k = 0; k < TRANSFERS; k++)
			itf->in[k].halted = 0;
		halted = 0;
	}
	for (unsigned k = 0; k < TRANSFERS; k++)
		if (itf->in[k].idle)
			left += halted || submit(&itf->in[k]) != 0;
	return left;
}

static void keyboard_tick(struct gk_worker *w)
{
	struct gk_link_key ev[GK_HID_KEYS_EVENTS];
	int left = 0;

	for (unsigned i = 0; i < kb.count; i++) {
		int idle = 0;

		for (unsigned k = 0; k < TRANSFERS; k++)
			idle |= kb.itf[i].in[k].idle;
		if (idle)
			left += again(w, &kb.itf[i]);
	}
	if (left || kb.error_since)
		w->retry = 1;
	if (!kb.error_since || gk_clock_ms() - kb.error_since < PATIENCE_MS)
		return;
	/* Submitted, and quiet for some time: it is well again. */
	if (!left && gk_clock_ms() - kb.error_last >= PATIENCE_MS / 2) {
		kb.error_since = 0;
		return;
	}
	for (unsigned i = 0; i < kb.count; i++)
		send_keys(w, ev, release(&kb.itf[i], ev));
	gk_worker_end(w, GK_WORKER_DEVICE);
}

static void led_submit(void)
{
	int len = gk_hid_leds_report(&kb.leds, kb.led_want,
				     kb.led_buf + LIBUSB_CONTROL_SETUP_SIZE);

	libusb_fill_control_setup(kb.led_buf, HID_TO_INTERFACE, HID_SET_REPORT,
				  (uint16_t)(HID_OUTPUT_REPORT | kb.leds.id),
				  kb.led_itf->number, (uint16_t)len);
	kb.led->length = (int)LIBUSB_CONTROL_SETUP_SIZE + len;
	kb.led_again = 0;
	kb.led_busy = libusb_submit_transfer(kb.led) == 0;
}

/* Best effort: whatever became of it, at most the newest state is tried once. */
static void on_led(struct libusb_transfer *t)
{
	struct gk_worker *w = t->user_data;

	kb.led_busy = 0;
	if (kb.led_again && !w->done && t->status != LIBUSB_TRANSFER_NO_DEVICE)
		led_submit();
}

/* Bytes to ask for: the longest report, in whole packets (USB 2.0 5.7.3), so
 * that a device that sends too much fills them and does not overflow. */
static int transfer_size(const struct gk_worker *w, const struct gk_worker_interface *i)
{
	unsigned bits = 0, bytes;
	unsigned packet = gk_worker_packet(w, i->in_size ? i->in_size : 1);

	for (unsigned id = 0; id < 256 && i->kind == GK_KIND_HID; id++)
		if (i->map.bits[GK_HID_INPUT][id] > bits)
			bits = i->map.bits[GK_HID_INPUT][id];
	bytes = (bits + 7) / 8 + (bits && i->map.numbered[GK_HID_INPUT]);
	bytes = (bytes + packet - 1) / packet * packet;
	if (bytes == 0)
		bytes = packet;
	return (int)(bytes < GK_WORKER_REPORT ? bytes : GK_WORKER_REPORT);
}

static void set_idle(struct gk_worker *w, const struct gk_worker_interface *i)
{
	libusb_control_transfer(w->dev, HID_TO_INTERFACE, HID_SET_IDLE, 0, i->number,
				NULL, 0, SETUP_TIMEOUT_MS);
}

static int start_interface(struct gk_worker *w, const struct gk_worker_interface *i)
{
	struct keyboard *itf = &kb.itf[kb.count];

	itf->i = i;
	gk_hid_boot_init(&itf->boot);
	gk_hid_keys_init(&i->map, &itf->keys, GK_HID_FOR_GATE);
	set_idle(w, i);
	for (unsigned k = 0; k < TRANSFERS; k++) {
		struct in *in = &itf->in[k];

		in->w = w;
		in->itf = kb.count;
		in->transfer = libusb_alloc_transfer(0);
		if (!in->transfer)
			return GK_ERR_SYSTEM;
		libusb_fill_interrupt_transfer(in->transfer, w->dev, i->in_address,
					       in->buf, transfer_size(w, i), on_in, in,
					       0);
		if (submit(in) != 0)
			return GK_ERR_SYSTEM;
	}
	kb.count++;
	return GK_OK;
}

/* The first interface with lights has them all; by the boot protocol it is one
 * byte (HID 1.11 B.1). */
static void find_lights(const struct gk_worker_interface *i)
{
	static const struct gk_hid_leds boot = {
		.have = 7, .len = 1, .bit = { 0, 1, 2 },
	};

	if (kb.led_itf)
		return;
	if (i->kind == GK_KIND_BOOT)
		kb.leds = boot;
	else if (gk_hid_leds_find(&i->map, &kb.leds) < 0)
		return;
	kb.led_itf = i;
}

static int keyboard_start(struct gk_worker *w)
{
	memset(&kb, 0, sizeof(kb));
	kb.led = libusb_alloc_transfer(0);
	if (!kb.led)
		return GK_ERR_SYSTEM;
	libusb_fill_control_transfer(kb.led, w->dev, kb.led_buf, on_led, w,
				     LED_TIMEOUT_MS);
	for (unsigned i = 0; i < w->interfaces; i++) {
		if (w->interface[i].role != GK_ROLE_KEYBOARD)
			continue;
		if (start_interface(w, &w->interface[i]) < 0)
			return GK_ERR_SYSTEM;
		find_lights(&w->interface[i]);
	}
	return GK_OK;
}

static void keyboard_frame(struct gk_worker *w, const struct gk_frame *f)
{
	(void)w;
	if (f->type != GK_LINK_LED || !kb.led_itf)
		return;
	kb.led_want = f->u.led.leds;
	if (kb.led_busy)
		kb.led_again = 1;
	else
		led_submit();
}

static unsigned in_flight(void)
{
	unsigned n = kb.led_busy != 0;

	for (unsigned i = 0; i < kb.count; i++)
		for (unsigned k = 0; k < TRANSFERS; k++)
			n += kb.itf[i].in[k].in_flight != 0;
	return n;
}

static void keyboard_stop(struct gk_worker *w)
{
	struct timeval slice = { .tv_usec = 20000 };

	for (unsigned i = 0; i < kb.count; i++)
		cancel(&kb.itf[i]);
	if (kb.led_busy)
		libusb_cancel_transfer(kb.led);
	/* At most half a second; the kernel ends what is left with the fd. */
	for (int i = 0; i < 25 && in_flight(); i++)
		libusb_handle_events_timeout_completed(w->usb, &slice, NULL);
}

const struct gk_worker_role gk_worker_keyboard = {
	.role = GK_ROLE_KEYBOARD,
	.start = keyboard_start,
	.frame = keyboard_frame,
	.tick = keyboard_tick,
	.stop = keyboard_stop,
};
