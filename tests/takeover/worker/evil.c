/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hooks in a worker that has been taken over. All objects of the real worker
 * are linked as they are; ld's --wrap puts these functions before two of them.
 *
 * The device commands its worker by what it types: "FIRST COUNT" and Enter runs so
 * many attempts from that number on, or as many as it lives through. The keys go no
 * further, so all that dom0 may get of them is what an attempt makes it believe.
 */
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#include "domain/sandbox.h"
#include "evil.h"

int __real_gk_sandbox_seal(void);
int __wrap_gk_sandbox_seal(void);
void __wrap_gk_worker_send(struct gk_worker *w, const struct gk_frame *f);

static void say(struct gk_worker *w, const char *text)
{
	struct gk_frame f = { .type = GK_LINK_LOG };

	f.u.log.level = 5;
	f.u.log.len = (uint8_t)strnlen(text, GK_LINK_TEXT);
	memcpy(f.u.log.text, text, f.u.log.len);
	__real_gk_worker_send(w, &f);
}

static const struct gk_attempt *attempt(unsigned n)
{
	if (n < gk_kernel_attempts_n)
		return &gk_kernel_attempts[n];
	n -= gk_kernel_attempts_n;
	return n < gk_link_attempts_n ? &gk_link_attempts[n] : NULL;
}

static unsigned total(void)
{
	return gk_kernel_attempts_n + gk_link_attempts_n;
}

static void result(char *text, size_t cap, int r)
{
	if (r == GK_SUCCEEDED)
		snprintf(text, cap, "SUCCEEDED");
	else if (r == GK_OWN)
		snprintf(text, cap, "done to its own device");
	else if (r == GK_SENT)
		snprintf(text, cap, "sent");
	else
		snprintf(text, cap, "refused (%s)",
			 strerrorname_np(r) ? strerrorname_np(r) : "?");
}

/* One line an attempt, before it: the supervisor passes on a few lines of a device
 * only. What became of the one before it is at its end. */
static void run(struct gk_worker *w, unsigned first, unsigned count)
{
	char line[GK_LINK_TEXT + 1], was[40] = "";
	unsigned n = first;

	for (; n < first + count && attempt(n); n++) {
		const struct gk_attempt *a = attempt(n);

		snprintf(line, sizeof(line), "takeover %u/%u %s%s%s", n, total(),
			 a->name, *was ? " after " : "", was);
		say(w, line);
		result(was, sizeof(was), a->run(w));
	}
	snprintf(line, sizeof(line), "takeover %u/%u done after %s", n, total(), was);
	say(w, line);
}

/* Linux's codes: KEY_1 to KEY_9, then KEY_0, are in a row. */
static void on_key(struct gk_worker *w, const struct gk_link_key *key)
{
	static unsigned number[2], which;

	if (!key->value)
		return;
	if (key->code >= KEY_1 && key->code <= KEY_0)
		number[which] = number[which] * 10 + (unsigned)(key->code - KEY_1 + 1) % 10;
	if (key->code == KEY_SPACE)
		which = 1;
	if (key->code != KEY_ENTER)
		return;
	run(w, number[0], number[1]);
	number[0] = number[1] = which = 0;
}

/* The image has one worker for all devices; only the composite one of
 * tests/devices has taken its own over. */
static int taken_over(struct gk_worker *w)
{
	struct libusb_device_descriptor d;

	return libusb_get_device_descriptor(libusb_get_device(w->dev), &d) == 0 &&
	       d.idVendor == 0x1209 && d.idProduct == 0x0002;
}

void __wrap_gk_worker_send(struct gk_worker *w, const struct gk_frame *f)
{
	if (f->type == GK_LINK_KEY && taken_over(w))
		on_key(w, &f->u.key);
	else
		__real_gk_worker_send(w, f);
}

/*
 * Also before anything was granted: keys and lines. If one were believed, the
 * passphrase that is typed on the other keyboard would be wrong. Then the seal;
 * the build without it shows what the rest of the jail holds alone.
 */
int __wrap_gk_sandbox_seal(void)
{
	struct gk_worker none = { 0 };
	struct gk_frame key = { .type = GK_LINK_KEY };

	key.u.key.code = KEY_Q;
	for (unsigned i = 0; i < 8; i++) {
		key.u.key.value = !key.u.key.value;
		__real_gk_worker_send(&none, &key);
	}
	say(&none, "takeover: a line before it was granted anything");
#ifdef GK_UNSEALED
	return 0;
#else
	return __real_gk_sandbox_seal();
#endif
}
