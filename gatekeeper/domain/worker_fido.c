/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The role `fido`: CTAPHID packets (CTAP 2.1 11.2) between the device's interrupt
 * endpoints and the supervisor, through core/ctaphid: dom0 never sees the
 * device's channel ids, and the device hears whole messages only. dom0 is one
 * client here; who asks there is sorted out there.
 */
#include <string.h>

#include "clock.h"
#include "core/ctaphid.h"
#include "worker.h"

enum {
	/* Transfers in flight, so that no packet waits for our turn. */
	TRANSFERS = 2,
	/* A packet that the device does not take. */
	OUT_MS = 2000,
	/* Nothing but errors for this long: the device is given up. */
	PATIENCE_MS = 4000,
	/* Of a device that is a keyboard, too: the key is left alone for so long,
	 * longer than GK_CTAPHID_FOREIGN_MS, so that it is counted anew. */
	REST_MS = 15000,
	/* Between two halts that are cleared: each waits for the device, up to
	 * 5 s, and the supervisor's question is answered in between. */
	CLEAR_MS = 300,
	/* Reports in a row that are no packets. */
	BAD_REPORTS = 16,
	/* The largest wMaxPacketSize; whole packets are asked for (USB 2.0
	 * 5.7.3), so that a device that sends too much does not overflow. */
	IN_MAX = 1024,
};

/* dom0, the one client of the mux here. */
enum { LINK = 0 };

struct in {
	int in_flight, halted;
	struct libusb_transfer *transfer;
	uint8_t buf[IN_MAX];
};

static struct {
	struct gk_worker *w;
	const struct gk_worker_interface *i;
	struct gk_ctaphid mux;
	struct in in[TRANSFERS];
	struct libusb_transfer *out;
	int out_flight, out_waits, out_halted;
	uint8_t out_buf[GK_CTAPHID_PACKET];
	uint64_t error_since;	/* 0: none since the last packet */
	uint64_t error_last;
	uint64_t rest_ms;	/* nothing is done before; 0: at work */
	uint64_t clear_ms;	/* no halt is cleared before */
	unsigned bad_reports;
} fido;

static void on_error(void)
{
	fido.error_last = gk_clock_ms();
	if (!fido.error_since)
		fido.error_since = fido.error_last;
	/* fido_tick() tries again. */
	fido.w->retry = 1;
}

/* 1: whatever is still in flight is only to end. */
static int is_off(void)
{
	return fido.w->done || fido.rest_ms;
}

static void cancel_in(void)
{
	for (unsigned k = 0; k < TRANSFERS; k++)
		if (fido.in[k].in_flight)
			libusb_cancel_transfer(fido.in[k].transfer);
}

static void cancel_all(void)
{
	cancel_in();
	if (fido.out_flight)
		libusb_cancel_transfer(fido.out);
}

static int types(const struct gk_worker *w)
{
	for (unsigned i = 0; i < w->interfaces; i++)
		if (w->interface[i].role == GK_ROLE_KEYBOARD)
			return 1;
	return 0;
}

/* The key does not do what it should. If it is part of a keyboard, that must not go
 * with it: whoever is to type a passphrase may have no other. */
static void give_up(void)
{
	static const char text[] = "FIDO part failed, rests for 15 s";
	struct gk_frame f = { .type = GK_LINK_LOG };

	if (!types(fido.w)) {
		gk_worker_end(fido.w, GK_WORKER_DEVICE);
		return;
	}
	f.u.log.level = 4;
	f.u.log.len = sizeof(text) - 1;
	memcpy(f.u.log.text, text, sizeof(text) - 1);
	gk_worker_send(fido.w, &f);
	fido.rest_ms = gk_clock_ms() + REST_MS;
	fido.w->retry = 1;
	cancel_all();
}

static void submit_out(void)
{
	fido.out_flight = libusb_submit_transfer(fido.out) == 0;
	fido.out_waits = !fido.out_flight;
	if (fido.out_waits)
		on_error();
}

/* What there is to send, both ways. */
static void pump(void)
{
	struct gk_frame f = { .type = GK_LINK_FIDO };

	while (gk_ctaphid_to_client(&fido.mux, LINK, f.u.fido.packet))
		gk_worker_send(fido.w, &f);
	if (!fido.w->done && !fido.out_flight && !fido.out_waits &&
	    gk_ctaphid_to_device(&fido.mux, gk_clock_ms(), fido.out_buf))
		submit_out();
	/* Asking for a packet may have said something to the client. */
	while (gk_ctaphid_to_client(&fido.mux, LINK, f.u.fido.packet))
		gk_worker_send(fido.w, &f);
	if (gk_ctaphid_due(&fido.mux))
		fido.w->retry = 1;
}

static void on_out(struct libusb_transfer *t)
{
	fido.out_flight = 0;
	if (is_off() && t->status != LIBUSB_TRANSFER_NO_DEVICE)
		return;
	switch (t->status) {
	case LIBUSB_TRANSFER_COMPLETED:
		fido.error_since = 0;
		pump();
		return;
	case LIBUSB_TRANSFER_CANCELLED:
		return;
	case LIBUSB_TRANSFER_NO_DEVICE:
		gk_worker_end(fido.w, GK_WORKER_DONE);
		return;
	case LIBUSB_TRANSFER_STALL:
		fido.out_halted = 1;
		break;
	case LIBUSB_TRANSFER_ERROR:
	case LIBUSB_TRANSFER_OVERFLOW:
	case LIBUSB_TRANSFER_TIMED_OUT:
		break;
	}
	/* It has not been taken: the same packet once more. */
	fido.out_waits = 1;
	on_error();
}

static void submit_in(struct in *in)
{
	in->in_flight = libusb_submit_transfer(in->transfer) == 0;
	if (!in->in_flight)
		on_error();
}

static void on_report(const struct libusb_transfer *t)
{
	if (t->actual_length != GK_CTAPHID_PACKET) {
		if (++fido.bad_reports > BAD_REPORTS)
			give_up();
		return;
	}
	fido.bad_reports = 0;
	fido.error_since = 0;
	if (gk_ctaphid_from_device(&fido.mux, t->buffer, gk_clock_ms()) < 0)
		give_up();
	else
		pump();
}

static int in_halted(void)
{
	int halted = 0;

	for (unsigned k = 0; k < TRANSFERS; k++)
		halted |= fido.in[k].halted;
	return halted;
}

static void on_in(struct libusb_transfer *t)
{
	struct in *in = t->user_data;

	in->in_flight = 0;
	if (is_off() && t->status != LIBUSB_TRANSFER_NO_DEVICE)
		return;
	switch (t->status) {
	case LIBUSB_TRANSFER_COMPLETED:
		on_report(t);
		/* Behind a halt it would wait, and keep it from being cleared. */
		if (!is_off() && !in_halted())
			submit_in(in);
		return;
	case LIBUSB_TRANSFER_CANCELLED:
		return;
	case LIBUSB_TRANSFER_NO_DEVICE:
		gk_worker_end(fido.w, GK_WORKER_DONE);
		return;
	case LIBUSB_TRANSFER_STALL:
		in->halted = 1;
		/* The others would wait behind the halt. */
		cancel_in();
		break;
	case LIBUSB_TRANSFER_ERROR:
	case LIBUSB_TRANSFER_OVERFLOW:
	case LIBUSB_TRANSFER_TIMED_OUT:
		break;
	}
	on_error();
}

/* 1: not all that should be in flight is. Looked at itself, not at the errors that
 * led to it: a packet that went well the other way since has ended those. */
static int is_short(void)
{
	int missing = fido.out_waits;

	for (unsigned k = 0; k < TRANSFERS; k++)
		missing |= !fido.in[k].in_flight;
	return missing;
}

/* The halt of one endpoint, when nothing is in flight on it. */
static void clear_one(int flying)
{
	if (gk_clock_ms() < fido.clear_ms)
		return;
	if (in_halted() && !flying) {
		libusb_clear_halt(fido.w->dev, fido.i->in_address);
		for (unsigned k = 0; k < TRANSFERS; k++)
			fido.in[k].halted = 0;
	} else if (fido.out_halted) {
		libusb_clear_halt(fido.w->dev, fido.i->out_address);
		fido.out_halted = 0;
	} else {
		return;
	}
	fido.clear_ms = gk_clock_ms() + CLEAR_MS;
}

static void again(void)
{
	int flying = 0;

	for (unsigned k = 0; k < TRANSFERS; k++)
		flying |= fido.in[k].in_flight;
	clear_one(flying);
	for (unsigned k = 0; k < TRANSFERS; k++)
		if (!fido.in[k].in_flight && !in_halted())
			submit_in(&fido.in[k]);
	if (fido.out_waits && !fido.out_halted)
		submit_out();
}

static int in_flight(void)
{
	int n = fido.out_flight;

	for (unsigned k = 0; k < TRANSFERS; k++)
		n |= fido.in[k].in_flight;
	return n;
}

/* dom0 has begun a new session, and knows nothing of what it asked before: a key that
 * waits for a touch must not keep it from being used. */
static void anew(void)
{
	gk_ctaphid_detach(&fido.mux, LINK, gk_clock_ms());
	gk_ctaphid_attach(&fido.mux, LINK, GK_CTAPHID_CHANNELS);
}

/* From the beginning; is_short() sees to the rest. */
static void end_of_rest(uint64_t now)
{
	fido.w->retry = 1;
	if (now < fido.rest_ms || in_flight())
		return;
	fido.rest_ms = 0;
	fido.error_since = 0;
	fido.bad_reports = 0;
	fido.out_waits = 0;
	anew();
}

static void fido_tick(struct gk_worker *w)
{
	uint64_t now = gk_clock_ms();

	if (fido.rest_ms) {
		end_of_rest(now);
		return;
	}
	gk_ctaphid_tick(&fido.mux, now);
	pump();
	if (is_short() && !w->done) {
		again();
		if (is_short())
			w->retry = 1;
	}
	if (!fido.error_since)
		return;
	w->retry = 1;
	/* Submitted, and quiet for some time: it is well again. */
	if (!fido.out_waits && now - fido.error_last >= PATIENCE_MS)
		fido.error_since = 0;
	else if (now - fido.error_since >= PATIENCE_MS &&
		 now - fido.error_last < PATIENCE_MS / 2)
		give_up();
}

static int in_size(const struct gk_worker *w, const struct gk_worker_interface *i)
{
	unsigned size = i->in_size && i->in_size <= IN_MAX ? i->in_size : 64;
	unsigned packet = gk_worker_packet(w, size);

	return (int)((GK_CTAPHID_PACKET + packet - 1) / packet * packet);
}

/* One interface of a device: the link has no name for a second. */
static const struct gk_worker_interface *find(const struct gk_worker *w)
{
	for (unsigned i = 0; i < w->interfaces; i++)
		if (w->interface[i].role == GK_ROLE_FIDO)
			return &w->interface[i];
	return NULL;
}

static int fido_start(struct gk_worker *w)
{
	memset(&fido, 0, sizeof(fido));
	fido.w = w;
	fido.i = find(w);
	if (!fido.i || !fido.i->out_address)
		return GK_ERR_NOT_FOUND;
	gk_ctaphid_init(&fido.mux);
	gk_ctaphid_attach(&fido.mux, LINK, GK_CTAPHID_CHANNELS);
	fido.out = libusb_alloc_transfer(0);
	if (!fido.out)
		return GK_ERR_SYSTEM;
	libusb_fill_interrupt_transfer(fido.out, w->dev, fido.i->out_address,
				       fido.out_buf, GK_CTAPHID_PACKET, on_out, NULL,
				       OUT_MS);
	for (unsigned k = 0; k < TRANSFERS; k++) {
		struct in *in = &fido.in[k];

		in->transfer = libusb_alloc_transfer(0);
		if (!in->transfer)
			return GK_ERR_SYSTEM;
		libusb_fill_interrupt_transfer(in->transfer, w->dev,
					       fido.i->in_address, in->buf,
					       in_size(w, fido.i), on_in, in, 0);
		submit_in(in);
		if (!in->in_flight && !types(w))
			return GK_ERR_SYSTEM;
	}
	return GK_OK;
}

static void fido_frame(struct gk_worker *w, const struct gk_frame *f)
{
	(void)w;
	if (!fido.i || fido.rest_ms)
		return;
	if (f->type == GK_LINK_PING)
		anew();
	else if (f->type != GK_LINK_FIDO)
		return;
	else
		gk_ctaphid_from_client(&fido.mux, LINK, f->u.fido.packet,
				       gk_clock_ms());
	pump();
}

static void fido_stop(struct gk_worker *w)
{
	struct timeval slice = { .tv_usec = 20000 };

	/* The callbacks submit nothing any more. */
	w->done = 1;
	cancel_all();
	/* At most half a second; the kernel ends what is left with the fd. */
	for (int i = 0; i < 25 && in_flight(); i++)
		libusb_handle_events_timeout_completed(w->usb, &slice, NULL);
}

const struct gk_worker_role gk_worker_fido = {
	.role = GK_ROLE_FIDO,
	.start = fido_start,
	.frame = fido_frame,
	.tick = fido_tick,
	.stop = fido_stop,
};
