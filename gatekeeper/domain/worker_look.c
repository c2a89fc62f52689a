/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an interface is: its protocol is chosen, its report descriptor read and parsed
 * in the jail. */
#include "core/policy.h"
#include "worker.h"

enum {
	GET_DESCRIPTOR = 6,		/* USB 2.0 9.4.3, HID 1.11 7.1.1 */
	FROM_INTERFACE = 0x81,
	REPORT_DESCRIPTOR = 0x2200,
	/* A device may take 500 ms for its answer (USB 2.0 9.2.6.4); some miss
	 * the first request after the configuration was set. */
	ANSWER_MS = 1000,
	TRIES = 2,
	SET_PROTOCOL = 0x0b,		/* HID 1.11 7.2.6 */
	TO_INTERFACE = 0x21,		/* class request, host to interface */
	BOOT_PROTOCOL = 0,
	/* Some keyboards sleep on it, most answer at once. */
	SETUP_MS = 250,
};

static int read_descriptor(struct gk_worker *w, const struct gk_worker_interface *i,
			   uint8_t raw[GK_HID_DESC_MAX])
{
	int n = -1;

	for (int try = 0; try < TRIES && n < i->report_len; try++)
		n = libusb_control_transfer(w->dev, FROM_INTERFACE, GET_DESCRIPTOR,
					    REPORT_DESCRIPTOR, i->number, raw,
					    i->report_len, ANSWER_MS);
	return n;
}

/* Reports that are read in one piece, or not at all. */
static int fits_transfer(const struct gk_hid_map *map)
{
	for (unsigned id = 0; id < 256; id++)
		if (map->bits[GK_HID_INPUT][id] > (GK_WORKER_REPORT - 1) * 8u)
			return 0;
	return 1;
}

static void look_report(struct gk_worker_interface *i, const uint8_t *raw, int n,
			struct gk_link_found *found)
{
	if (n > 0 && gk_hid_parse(raw, (size_t)n, &i->map) == GK_OK) {
		if (fits_transfer(&i->map))
			found->roles = gk_hid_roles(&i->map) & i->fits;
		return;
	}
	found->reason = GK_REASON_HID;
	found->offset = n > 0 ? (uint16_t)i->map.error_offset : 0;
}

static void look_hid(struct gk_worker *w, struct gk_worker_interface *i,
		     struct gk_link_found *found)
{
	static uint8_t raw[GK_HID_DESC_MAX];

	look_report(i, raw, read_descriptor(w, i, raw), found);
}

static int takes_boot_protocol(struct gk_worker *w, const struct gk_worker_interface *i)
{
	static const unsigned wait_ms[] = { SETUP_MS, 4 * SETUP_MS };
	int err = LIBUSB_ERROR_TIMEOUT;

	for (size_t k = 0; k < 2 && err == LIBUSB_ERROR_TIMEOUT; k++)
		err = libusb_control_transfer(w->dev, TO_INTERFACE, SET_PROTOCOL,
					      BOOT_PROTOCOL, i->number, NULL, 0,
					      wait_ms[k]);
	return err >= 0;
}

/*
 * The boot subclass promises the boot protocol, but a device is in the report protocol
 * until it is told otherwise (HID 1.11 7.2.6). One that does not take the request goes
 * on as its report descriptor says: most of these have the boot layout there, too, and
 * with another layout they would type what nobody pressed. Only where there is nothing
 * to read does the promise have to do.
 */
static void look_boot(struct gk_worker *w, struct gk_worker_interface *i,
		      struct gk_link_found *found)
{
	static uint8_t raw[GK_HID_DESC_MAX];
	int n = 0;

	if (!takes_boot_protocol(w, i) && i->report_len)
		n = read_descriptor(w, i, raw);
	if (n <= 0) {
		found->roles = GK_ROLE_KEYBOARD;
		return;
	}
	i->kind = GK_KIND_HID;
	look_report(i, raw, n, found);
}

void gk_worker_look(struct gk_worker *w)
{
	struct gk_frame ready = { .type = GK_LINK_PING };

	for (unsigned k = 0; k < w->interfaces; k++) {
		struct gk_worker_interface *i = &w->interface[k];
		struct gk_frame f = { .type = GK_LINK_FOUND };

		f.u.found.interface = i->number;
		switch ((enum gk_worker_kind)i->kind) {
		case GK_KIND_BOOT:
			look_boot(w, i, &f.u.found);
			break;
		case GK_KIND_CCID:
			f.u.found.roles = GK_ROLE_SMARTCARD;
			break;
		case GK_KIND_HID:
			look_hid(w, i, &f.u.found);
			break;
		case GK_KINDS:
			break;
		}
		gk_worker_send(w, &f);
	}
	gk_worker_send(w, &ready);
}
