/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fido.h"

#include <string.h>
#include <time.h>

#include "../device.h"

/* Milliseconds. */
enum {
	KEEPALIVE_MS = 100,		/* CTAP 2.1 11.2.9.2.1 */
	KEEPALIVE_FLOOD_MS = 2,
	FRAME_MS = 2000,		/* 11.2.5.2; long, for busy machines */
	TOUCH_MS = 30000,
	FINGER_MS = 20,			/* "now": after the first keep-alive */
	LATE_ANSWER_MS = 2000,
	PULL_MS = 300,			/* after it has asked for the touch */
};

enum { FOREIGN_FRAMES = 100, PACKETS = 300, SHORT_PACKET = 8 };

static void timer(struct gk_fido *f, struct gk_timer *t, unsigned int ms)
{
	gk_vdev_timer(f->dev, t, ms * 1000);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool evil(const struct gk_fido *f, enum gk_evil what)
{
	return gk_evil_at(&f->mischief, what, f->step);
}

/* --- packets ---------------------------------------------------------------- */

static void send_packet(struct gk_fido *f, const uint8_t packet[GK_HID_PACKET])
{
	gk_vdev_queue(f->dev, f->in, packet,
		      evil(f, GK_EVIL_SHORT_PACKET) ? SHORT_PACKET :
						      GK_HID_PACKET, 0, 0);
}

static void send_foreign(struct gk_fido *f)
{
	uint8_t packet[GK_HID_PACKET] = {
		(uint8_t)(f->hid.cid >> 24), (uint8_t)(f->hid.cid >> 16),
		(uint8_t)(f->hid.cid >> 8), (uint8_t)(f->hid.cid ^ 1),
		CTAPHID_CBOR, 0, 1,
	};

	send_packet(f, packet);
}

static void send_message(struct gk_fido *f, uint32_t cid, uint8_t cmd,
			 const uint8_t *data, size_t len)
{
	static uint8_t packets[PACKETS][GK_HID_PACKET];
	bool gone = f->mischief.evil == GK_EVIL_UNPLUG &&
		    f->mischief.step == GK_STEP_ANSWER &&
		    f->step == GK_STEP_ASSERT && cmd == CTAPHID_CBOR;
	size_t n, i;

	n = gk_hid_fragment(cid, cmd, data, len, packets);
	if (f->mischief.step == GK_STEP_ANY || f->mischief.step == f->step)
		n = gk_evil_packets(f->mischief.evil, packets, n, PACKETS);
	if (evil(f, GK_EVIL_FOREIGN)) {
		for (i = 0; i < FOREIGN_FRAMES; i++)
			send_foreign(f);
	}
	for (i = 0; i < n && !(gone && i == n / 2); i++)
		send_packet(f, packets[i]);
	/* What is queued goes with it: give it the time to be taken. */
	if (gone)
		timer(f, &f->touch, KEEPALIVE_MS);
}

static void send_keepalive(struct gk_fido *f, uint8_t status, size_t len)
{
	uint8_t packets[1][GK_HID_PACKET];

	gk_hid_fragment(f->hid.cid, CTAPHID_KEEPALIVE, &status, len, packets);
	send_packet(f, packets[0]);
}

static void send_reply(struct gk_fido *f)
{
	enum gk_step step = f->step;

	/* An error on the channel is of no step. */
	f->step = f->hid.reply_cmd == CTAPHID_INIT ? GK_STEP_INIT : GK_STEP_OTHER;
	if (!(f->step == GK_STEP_INIT && evil(f, GK_EVIL_SILENT)))
		send_message(f, f->hid.reply_cid, f->hid.reply_cmd, f->hid.reply,
			     f->hid.reply_len);
	f->step = step;
}

/* --- one request ------------------------------------------------------------ */

static void stop(struct gk_fido *f)
{
	gk_vdev_timer_stop(f->dev, &f->work);
	gk_vdev_timer_stop(f->dev, &f->touch);
	gk_vdev_timer_stop(f->dev, &f->deadline);
	gk_vdev_timer_stop(f->dev, &f->keepalive);
	f->state = GK_FIDO_IDLE;
	f->cancelled = false;
}

static void finish(struct gk_fido *f, uint8_t cmd, const uint8_t *data,
		   size_t len)
{
	stop(f);
	f->answered_ms = now_ms();
	send_message(f, f->hid.cid, cmd, data, len);
	gk_hid_end(&f->hid);
}

/* True: it was pulled out, and nothing more is to be done. */
static bool pulled_at(struct gk_fido *f, enum gk_step step)
{
	if (f->mischief.evil != GK_EVIL_UNPLUG || f->mischief.step != step)
		return false;
	gk_vdev_unplug(f->dev);
	return true;
}

/* The answer to something else, but a whole one. */
static size_t other_answer(struct gk_fido *f, uint8_t *answer)
{
	static const uint8_t info[] = { CTAP_GET_INFO };
	static const uint8_t retries[] = { CTAP_CLIENT_PIN, 0xa1, 2, 1 };
	size_t len = 0;

	if (f->step == GK_STEP_INFO)
		gk_auth_command(&f->auth, retries, sizeof(retries), answer, &len);
	else
		gk_auth_command(&f->auth, info, sizeof(info), answer, &len);
	return len;
}

static void keepalive(struct gk_fido *f)
{
	timer(f, &f->keepalive, evil(f, GK_EVIL_KEEPALIVE_FLOOD) ?
				KEEPALIVE_FLOOD_MS : KEEPALIVE_MS);
	/* A host that does not poll gets them not all at once later. */
	if (gk_vdev_queued(f->dev, f->in) > 64)
		return;
	if (evil(f, GK_EVIL_FOREIGN_FOREVER)) {
		send_foreign(f);
		return;
	}
	if (evil(f, GK_EVIL_KEEPALIVE_ODD)) {
		send_keepalive(f, 0x7f, 1);
		send_keepalive(f, 0, 0);
	}
	send_keepalive(f, f->state == GK_FIDO_WAITS ? CTAPHID_UPNEEDED :
						      CTAPHID_PROCESSING, 1);
}

static void wait_touch(struct gk_fido *f)
{
	f->state = GK_FIDO_WAITS;
	f->asked_ms = now_ms();
	keepalive(f);
	if (f->mischief.evil == GK_EVIL_UNPLUG &&
	    f->mischief.step == GK_STEP_TOUCH) {
		timer(f, &f->touch, PULL_MS);
		return;
	}
	timer(f, &f->deadline, f->touch_timeout_ms);
	if (f->finger != GK_FINGER_NEVER)
		timer(f, &f->touch, f->finger == GK_FINGER_NOW ? FINGER_MS :
								 f->late_ms);
}

static void run(struct gk_fido *f)
{
	static uint8_t answer[GK_REQUEST_MAX];
	bool here = f->mischief.step == GK_STEP_ANY ||
		    f->mischief.step == f->step;
	size_t len = 0;

	f->auth.evil = here ? f->mischief.evil : GK_EVIL_NONE;
	if (!gk_auth_command(&f->auth, f->hid.data, f->hid.len, answer, &len)) {
		wait_touch(f);
		return;
	}
	if (evil(f, GK_EVIL_SILENT_TOUCHED) && f->auth.touch == GK_TOUCHED)
		return;
	if (evil(f, GK_EVIL_OTHER_ANSWER))
		len = other_answer(f, answer);
	if (here)
		len = gk_evil_answer(f->mischief.evil, answer, len,
				     sizeof(answer));
	finish(f, CTAPHID_CBOR, answer, len);
}

/* subCommand of a clientPIN request, 0 if it has none. */
static unsigned int subcommand(const uint8_t *data, size_t len)
{
	struct gk_cbor_in in = { .data = data, .len = len, .off = 1 };
	size_t pairs = gk_cbor_map(&in);

	for (; pairs && in.status == CTAP2_OK; pairs--) {
		if (gk_cbor_int(&in) == 2)
			return (unsigned int)gk_cbor_int(&in);
		gk_cbor_skip(&in);
	}
	return 0;
}

static enum gk_step pin_step(unsigned int sub)
{
	switch (sub) {
	case PIN_GET_RETRIES:
		return GK_STEP_RETRIES;
	case PIN_GET_KEY_AGREEMENT:
		return GK_STEP_AGREE;
	case PIN_SET:
	case PIN_CHANGE:
		return GK_STEP_SET_PIN;
	case PIN_GET_TOKEN:
	case PIN_GET_TOKEN_WITH_PERMISSIONS:
		return GK_STEP_TOKEN;
	default:
		return GK_STEP_OTHER;
	}
}

static enum gk_step step_of(const struct gk_hid *hid)
{
	if (hid->cmd == CTAPHID_PING)
		return GK_STEP_PING;
	if (hid->cmd != CTAPHID_CBOR)
		return GK_STEP_OTHER;
	switch (hid->data[0]) {
	case CTAP_MAKE_CREDENTIAL:
		return GK_STEP_MAKE;
	case CTAP_GET_ASSERTION:
		return GK_STEP_ASSERT;
	case CTAP_GET_INFO:
		return GK_STEP_INFO;
	case CTAP_CLIENT_PIN:
		return pin_step(subcommand(hid->data, hid->len));
	case CTAP_RESET:
		return GK_STEP_RESET;
	case CTAP_GET_NEXT_ASSERTION:
		return GK_STEP_NEXT;
	case CTAP_SELECTION:
		return GK_STEP_SELECT;
	default:
		return GK_STEP_OTHER;
	}
}

static void begin(struct gk_fido *f)
{
	static const uint8_t busy[] = { CTAPHID_ERR_CHANNEL_BUSY };

	stop(f);
	f->asked_ms = f->touched_ms = 0;
	f->step = step_of(&f->hid);
	f->requests[f->step]++;
	f->auth.touch = GK_TOUCH_NOT_YET;
	gk_vdev_log(f->dev, "fido: request 0x%02x, step %u", f->hid.cmd, f->step);
	if (pulled_at(f, f->step) || evil(f, GK_EVIL_SILENT))
		return;
	if (f->hid.cmd != CTAPHID_CBOR) {
		finish(f, f->hid.cmd, f->hid.data, f->hid.len);
		return;
	}
	if (evil(f, GK_EVIL_ERRORS)) {
		finish(f, CTAPHID_ERROR, busy, sizeof(busy));
		return;
	}
	f->state = GK_FIDO_WORKS;
	if (evil(f, GK_EVIL_KEEPALIVE_FOREVER) ||
	    evil(f, GK_EVIL_KEEPALIVE_FLOOD) ||
	    evil(f, GK_EVIL_FOREIGN_FOREVER)) {
		keepalive(f);
		return;
	}
	if (evil(f, GK_EVIL_KEEPALIVE_ODD))
		keepalive(f);
	if (!f->work_ms) {
		run(f);
		return;
	}
	timer(f, &f->keepalive, KEEPALIVE_MS);
	timer(f, &f->work, f->work_ms);
}

static void cancel(struct gk_fido *f)
{
	static const uint8_t status[] = { CTAP2_ERR_KEEPALIVE_CANCEL };

	f->cancels++;
	if (f->state == GK_FIDO_IDLE)
		return;
	if (evil(f, GK_EVIL_LATE_ANSWER)) {
		f->cancelled = true;
		timer(f, &f->touch, LATE_ANSWER_MS);
		return;
	}
	finish(f, CTAPHID_CBOR, status, sizeof(status));
}

/* --- timers ----------------------------------------------------------------- */

static void on_frame(void *arg)
{
	struct gk_fido *f = arg;

	if (!f->hid.receiving)
		return;
	gk_hid_timeout(&f->hid);
	send_reply(f);
}

static void on_work(void *arg)
{
	run(arg);
}

static void on_touch(void *arg)
{
	struct gk_fido *f = arg;

	if (f->state == GK_FIDO_IDLE)	/* its answer is half out */
		pulled_at(f, GK_STEP_ANSWER);
	else if (!pulled_at(f, GK_STEP_TOUCH))
		gk_fido_touch(f);
}

static void on_deadline(void *arg)
{
	struct gk_fido *f = arg;

	f->auth.touch = GK_TOUCH_TIMEOUT;
	run(f);
}

static void on_keepalive(void *arg)
{
	keepalive(arg);
}

bool gk_fido_touch(struct gk_fido *f)
{
	if (f->state != GK_FIDO_WAITS)
		return false;
	if (!pulled_at(f, GK_STEP_TOUCHED)) {
		f->auth.touch = GK_TOUCHED;
		f->touched_ms = now_ms();
		gk_vdev_timer_stop(f->dev, &f->deadline);
		run(f);
	}
	return true;
}

/* --- the device ------------------------------------------------------------- */

void gk_fido_defaults(struct gk_fido *f, struct gk_vdev *dev, uint8_t in)
{
	static const uint8_t aaguid[16] = "gatekeeper-test";

	f->dev = dev;
	f->in = in;
	f->touch_timeout_ms = TOUCH_MS;
	f->first_retries = -1;
	f->auth.opt.protocols = 3;
	memcpy(f->auth.opt.aaguid, aaguid, sizeof(aaguid));
	f->frame = (struct gk_timer){ .fire = on_frame, .arg = f };
	f->work = (struct gk_timer){ .fire = on_work, .arg = f };
	f->touch = (struct gk_timer){ .fire = on_touch, .arg = f };
	f->deadline = (struct gk_timer){ .fire = on_deadline, .arg = f };
	f->keepalive = (struct gk_timer){ .fire = on_keepalive, .arg = f };
}

int gk_fido_start(struct gk_fido *f)
{
	struct gk_store *store = &f->auth.store;

	if (gk_store_load(store) < 0)
		return -1;
	if (f->first_pin && !store->pin_set &&
	    gk_pin_force(&f->auth, f->first_pin) < 0) {
		fprintf(stderr, "--pin: 4 to 63 bytes\n");
		return -1;
	}
	if (f->first_retries >= 0)
		store->pin_retries = (unsigned int)f->first_retries;
	gk_auth_power_up(&f->auth);
	return gk_store_save(store);
}

void gk_fido_bus_reset(struct gk_fido *f)
{
	stop(f);
	gk_vdev_timer_stop(f->dev, &f->frame);
	gk_hid_reset(&f->hid);
}

void gk_fido_power(struct gk_fido *f, bool on)
{
	gk_fido_bus_reset(f);
	f->first_ms = 0;
	if (on)
		gk_auth_power_up(&f->auth);
}

void gk_fido_packet(struct gk_fido *f, const uint8_t *data, size_t len)
{
	bool init = len > 4 && data[4] == CTAPHID_INIT;

	if (len != GK_HID_PACKET || (init && pulled_at(f, GK_STEP_INIT)))
		return;
	if (!f->first_ms)
		f->first_ms = now_ms();
	f->requests[GK_STEP_INIT] += init;
	switch (gk_hid_packet(&f->hid, data)) {
	case GK_HID_NOTHING:
		break;
	case GK_HID_ABORTED:
		stop(f);
		send_reply(f);
		break;
	case GK_HID_REPLY:
		send_reply(f);
		break;
	case GK_HID_MESSAGE:
		begin(f);
		break;
	case GK_HID_CANCELLED:
		cancel(f);
		break;
	}
	if (f->hid.receiving)
		timer(f, &f->frame, FRAME_MS);
	else
		gk_vdev_timer_stop(f->dev, &f->frame);
}
