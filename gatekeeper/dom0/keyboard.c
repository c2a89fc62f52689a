/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/keycode.h"
#include "dom0/keyboard.h"
#include "dom0/paths.h"

static const uint16_t led_code[3] = { LED_NUML, LED_CAPSL, LED_SCROLLL };

static int set_up(int fd)
{
	struct uinput_setup setup = {
		.id = { .bustype = BUS_VIRTUAL, .vendor = 0x0001,
			.product = 0x0001, .version = 1 },
		.name = "USB Gatekeeper keyboard",
	};

	if (ioctl(fd, UI_SET_EVBIT, EV_KEY) < 0 ||
	    ioctl(fd, UI_SET_EVBIT, EV_LED) < 0)
		return -1;
	for (uint16_t code = 1; code < GK_KEYS; code++)
		if (gk_key_allowed(code) &&
		    ioctl(fd, UI_SET_KEYBIT, (int)code) < 0)
			return -1;
	for (int i = 0; i < 3; i++)
		if (ioctl(fd, UI_SET_LEDBIT, (int)led_code[i]) < 0)
			return -1;
	if (ioctl(fd, UI_DEV_SETUP, &setup) < 0 || ioctl(fd, UI_DEV_CREATE) < 0)
		return -1;
	return 0;
}

int gk_keyboard_open(struct gk_virtual_keyboard *k)
{
	unsigned let_by = k->let_by;
	char path[GK_PATH_MAX];
	int fd;

	*k = (struct gk_virtual_keyboard){ .fd = -1, .let_by = let_by };
	if (gk_path(path, "/dev/uinput"))
		return GK_ERR_SYSTEM;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? GK_ERR_NOT_FOUND
							  : GK_ERR_SYSTEM;
	if (set_up(fd) < 0) {
		close(fd);
		return GK_ERR_SYSTEM;
	}
	k->fd = fd;
	return 0;
}

static int emit(struct gk_virtual_keyboard *k, uint16_t code, int down)
{
	struct input_event ev[2] = {
		{ .type = EV_KEY, .code = code, .value = down },
		{ .type = EV_SYN, .code = SYN_REPORT },
	};

	if (write(k->fd, ev, sizeof(ev)) != (ssize_t)sizeof(ev))
		return GK_ERR_SYSTEM;
	k->down[code >> 3] ^= (uint8_t)(1u << (code & 7));
	return 1;
}

int gk_keyboard_key(struct gk_virtual_keyboard *k, const uint8_t *held,
		    uint16_t code)
{
	static const uint8_t nothing[GK_KEY_BYTES];
	int is, want;

	if (k->fd < 0)
		return GK_ERR_SYSTEM;
	/* Checked by the reader and the session, and once more where it
	 * counts. */
	if (code >= GK_KEYS || !gk_key_allowed(code))
		return 0;
	is = gk_key_is_down(k->down, code);
	want = gk_key_filter(&k->filter, held ? held : nothing, code, is, k->let_by);
	return is == want ? 0 : emit(k, code, want);
}

int gk_keyboard_press(struct gk_virtual_keyboard *k, const uint8_t held[GK_KEY_BYTES],
		      uint16_t code)
{
	uint8_t without[GK_KEY_BYTES];
	int n;

	if (code >= GK_KEYS)
		return 0;
	memcpy(without, held, sizeof(without));
	without[code >> 3] &= (uint8_t)~(1u << (code & 7));
	n = gk_keyboard_key(k, without, code);
	return n < 0 ? n : gk_keyboard_key(k, held, code);
}

int gk_keyboard_sync(struct gk_virtual_keyboard *k, const uint8_t *held)
{
	int changed = 0, err = 0;

	/* One that cannot be lifted must not keep the others down. */
	for (uint16_t code = 1; code < GK_KEYS; code++) {
		int n = gk_keyboard_key(k, held, code);

		if (n < 0)
			err = n;
		else
			changed += n;
	}
	return err ? err : changed;
}

int gk_keyboard_read(struct gk_virtual_keyboard *k)
{
	struct input_event ev[16];
	uint8_t before = k->leds;

	for (int round = 0; round < 16; round++) {
		ssize_t n = read(k->fd, ev, sizeof(ev));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			return GK_ERR_SYSTEM;
		for (size_t i = 0; i < (size_t)n / sizeof(ev[0]); i++) {
			for (int bit = 0; bit < 3; bit++) {
				if (ev[i].type != EV_LED ||
				    ev[i].code != led_code[bit])
					continue;
				k->leds &= (uint8_t)~(1u << bit);
				k->leds |= (uint8_t)((ev[i].value != 0) << bit);
			}
		}
	}
	return k->leds != before;
}
