/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboards of the boot subclass that do and do not take the boot protocol: what
 * their worker finds them to be, and what it types of their reports. libusb and the
 * supervisor's socket are here; the device behind them is a line of a table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/policy.h"
#include "domain/worker.h"

enum {
	SET_PROTOCOL = 0x0b,
	SET_IDLE = 0x0a,
	GET_DESCRIPTOR = 0x06,
	STALL = LIBUSB_ERROR_PIPE,
	SLEEP = LIBUSB_ERROR_TIMEOUT,
	KEY_A = 30,
};

struct bytes {
	uint8_t b[80];
	int len;
};

/* Modifiers, a reserved byte, lights, six usages: HID 1.11 B.1. */
static const struct bytes boot_layout = { {
	0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15,
	0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08,
	0x81, 0x01, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91,
	0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06, 0x75, 0x08, 0x15, 0x00,
	0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, 0xc0,
}, 63 };
/* Report 1: a bit for each of the usages 0 to 103. */
static const struct bytes bitmap = { {
	0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x85, 0x01, 0x05, 0x07, 0x19, 0x00, 0x29,
	0x67, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x68, 0x81, 0x02, 0xc0,
}, 25 };
static const struct bytes mouse = { {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03, 0x15,
	0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x05, 0x75, 0x01,
	0x81, 0x01, 0xc0,
}, 29 };
static const struct bytes never_closed = { { 0x05, 0x01, 0x09, 0x06, 0xa1, 0x01 }, 6 };

static const struct bytes a_by_boot = { { 0, 0, 4, 0, 0, 0, 0, 0 }, 8 };
static const struct bytes a_by_bitmap = { { 1, 0x10 }, 14 };

static const struct {
	const char *name;
	int protocol[2];		/* its answers to SET_PROTOCOL */
	const struct bytes *descriptor;	/* NULL: it stalls */
	int no_length;			/* its HID descriptor names none */
	uint8_t kind, roles;
	uint16_t reason;
	const struct bytes *a;		/* how it says A */
} rows[] = {
	{ "takes the boot protocol", { 0 }, &bitmap, 0, GK_KIND_BOOT, GK_ROLE_KEYBOARD,
	  0, &a_by_boot },
	{ "takes it when it is awake", { SLEEP, 0 }, &bitmap, 0, GK_KIND_BOOT,
	  GK_ROLE_KEYBOARD, 0, &a_by_boot },
	{ "stalls, has another layout", { STALL }, &bitmap, 0, GK_KIND_HID,
	  GK_ROLE_KEYBOARD, 0, &a_by_bitmap },
	{ "sleeps, has another layout", { SLEEP, SLEEP }, &bitmap, 0, GK_KIND_HID,
	  GK_ROLE_KEYBOARD, 0, &a_by_bitmap },
	{ "stalls, has the boot layout", { STALL }, &boot_layout, 0, GK_KIND_HID,
	  GK_ROLE_KEYBOARD, 0, &a_by_boot },
	{ "stalls on everything", { STALL }, NULL, 0, GK_KIND_BOOT, GK_ROLE_KEYBOARD, 0,
	  &a_by_boot },
	{ "stalls, has no report descriptor", { STALL }, &bitmap, 1, GK_KIND_BOOT,
	  GK_ROLE_KEYBOARD, 0, &a_by_boot },
	{ "stalls, is a mouse", { STALL }, &mouse, 0, GK_KIND_HID, 0, 0, NULL },
	{ "stalls, has a broken descriptor", { STALL }, &never_closed, 0, GK_KIND_HID, 0,
	  GK_REASON_HID, NULL },
};

static struct {
	size_t row;
	unsigned asked;			/* SET_PROTOCOL, so often */
	struct gk_frame said[16];
	unsigned frames;
	struct libusb_transfer *last;	/* that was submitted */
} t;

/* --- the supervisor's socket --- */

void gk_worker_send(struct gk_worker *w, const struct gk_frame *f)
{
	uint8_t b[GK_LINK_FRAME_MAX];

	(void)w;
	assert_true(gk_link_encode(f, GK_SIDE_WORKER, b, sizeof(b)) > 0);
	assert_true(t.frames < 16);
	t.said[t.frames++] = *f;
}

void gk_worker_end(struct gk_worker *w, enum gk_worker_exit status)
{
	w->done = 1;
	w->status = status;
}

/* --- libusb --- */

int LIBUSB_CALL libusb_control_transfer(libusb_device_handle *dev, uint8_t type,
					uint8_t request, uint16_t value, uint16_t index,
					unsigned char *data, uint16_t len,
					unsigned timeout)
{
	const struct bytes *d = rows[t.row].descriptor;

	(void)dev;
	assert_int_equal(index, 1);
	assert_true(timeout > 0);
	switch (request) {
	case SET_PROTOCOL:
		assert_int_equal(type, 0x21);
		assert_int_equal(value, 0);
		assert_true(t.asked < 2);
		return rows[t.row].protocol[t.asked++];
	case SET_IDLE:
		return STALL;
	case GET_DESCRIPTOR:
		assert_int_equal(type, 0x81);
		assert_int_equal(value, 0x2200);
		if (!d)
			return STALL;
		assert_int_equal(len, d->len);
		memcpy(data, d->b, len);
		return len;
	default:
		fail_msg("request %02x", request);
		return STALL;
	}
}

struct libusb_transfer *LIBUSB_CALL libusb_alloc_transfer(int packets)
{
	assert_int_equal(packets, 0);
	return calloc(1, sizeof(struct libusb_transfer));
}

int LIBUSB_CALL libusb_submit_transfer(struct libusb_transfer *transfer)
{
	t.last = transfer;
	return 0;
}

int LIBUSB_CALL libusb_cancel_transfer(struct libusb_transfer *transfer)
{
	transfer->status = LIBUSB_TRANSFER_CANCELLED;
	transfer->callback(transfer);
	return 0;
}

int LIBUSB_CALL libusb_clear_halt(libusb_device_handle *dev, unsigned char endpoint)
{
	(void)dev;
	(void)endpoint;
	return 0;
}

libusb_device *LIBUSB_CALL libusb_get_device(libusb_device_handle *dev)
{
	(void)dev;
	return NULL;
}

int LIBUSB_CALL libusb_get_device_speed(libusb_device *dev)
{
	(void)dev;
	return LIBUSB_SPEED_FULL;
}

int LIBUSB_CALL libusb_handle_events_timeout_completed(libusb_context *usb,
						       struct timeval *time,
						       int *completed)
{
	(void)usb;
	(void)time;
	(void)completed;
	return 0;
}

/* --- the table --- */

static void report(const struct bytes *r)
{
	assert_true(t.last->length >= r->len);
	memcpy(t.last->buffer, r->b, (size_t)r->len);
	t.last->actual_length = r->len;
	t.last->status = LIBUSB_TRANSFER_COMPLETED;
	t.last->callback(t.last);
}

/* Down, and up again; nothing else. */
static void types_a(struct gk_worker *w, const struct bytes *a)
{
	struct bytes none = { { a == &a_by_bitmap }, a->len };

	w->interface[0].role = GK_ROLE_KEYBOARD;
	assert_int_equal(gk_worker_keyboard.start(w), GK_OK);
	t.frames = 0;
	report(a);
	report(&none);
	assert_int_equal(t.frames, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(t.said[i].type, GK_LINK_KEY);
		assert_int_equal(t.said[i].u.key.code, KEY_A);
		assert_int_equal(t.said[i].u.key.value, i == 0);
	}
	assert_false(w->done);
}

static void boot_keyboards(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gk_worker *w = calloc(1, sizeof(*w));
		const struct gk_link_found *found = &t.said[0].u.found;

		print_message("%s\n", rows[i].name);
		memset(&t, 0, sizeof(t));
		t.row = i;
		assert_non_null(w);
		w->interfaces = 1;
		w->interface[0] = (struct gk_worker_interface){
			.number = 1, .kind = GK_KIND_BOOT, .fits = GK_ROLE_KEYBOARD,
			.in_address = 0x81, .in_size = 16,
		};
		if (!rows[i].no_length)
			w->interface[0].report_len =
				rows[i].descriptor ?
				(uint16_t)rows[i].descriptor->len : 63;
		gk_worker_look(w);
		assert_int_equal(t.frames, 2);
		assert_int_equal(t.said[0].type, GK_LINK_FOUND);
		assert_int_equal(found->interface, 1);
		assert_int_equal(found->roles, rows[i].roles);
		assert_int_equal(found->reason, rows[i].reason);
		assert_int_equal(t.said[1].type, GK_LINK_PING);
		assert_int_equal(w->interface[0].kind, rows[i].kind);
		/* The keyboards of all rows stay: they are one worker's state. */
		if (rows[i].a)
			types_a(w, rows[i].a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_keyboards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
