/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cursor.h"
#include "usb_desc.h"

/* bDescriptorType (USB 2.0 table 9-5, IAD ECN, HID 1.11 7.1, CCID 1.10 5.1). */
enum {
	DT_DEVICE = 0x01,
	DT_CONFIG = 0x02,
	DT_INTERFACE = 0x04,
	DT_ENDPOINT = 0x05,
	DT_INTERFACE_ASSOCIATION = 0x0b,
	DT_CLASS = 0x21, /* HID's and CCID's alike */
	DT_HID_REPORT = 0x22,
};

/*
 * The standard lengths. A longer descriptor is legal and its extra bytes are
 * passed over, a shorter one is not (USB 2.0 9.5): audio endpoints have 9.
 */
enum {
	LEN_DEVICE = 18,
	LEN_CONFIG = 9,
	LEN_INTERFACE = 9,
	LEN_ENDPOINT = 7,
	LEN_INTERFACE_ASSOCIATION = 8,
	LEN_HID = 9,	  /* with its one mandatory report descriptor */
	HID_ENTRIES = 83, /* (255 - 6) / 3 */
	LEN_CCID = 54,
};

enum {
	CLASS_HID = 0x03,
	CLASS_HUB = 0x09,
	CLASS_SMARTCARD = 0x0b,
	ENDPOINT_IN = 0x80,
	ENDPOINT_RESERVED = 0x70,
	TRANSFER_TYPE = 0x03,
	TRANSFER_BULK = 0x02,
	TRANSFER_INTERRUPT = 0x03,
};

/* The whole input. */
struct walk {
	struct gk_reader r;
	uint32_t descriptors; /* seen so far, <= GK_USB_DESCRIPTORS */
	size_t bad;	      /* where the error is */
	size_t hub_at;	      /* the first hub interface, 0: none (a device is first) */
};

/* One configuration, and the alternate setting that is being read. */
struct config_walk {
	struct gk_usb_config *cfg;
	uint32_t alternates;			 /* in all, <= GK_USB_ALTSETTINGS */
	uint8_t alt_seen[GK_USB_INTERFACES][32]; /* bitmap of 0..255 */
	int inside;	   /* an interface descriptor has been seen */
	uint8_t index;	   /* its interface in cfg, < GK_USB_INTERFACES */
	uint8_t alt;	   /* bAlternateSetting */
	uint8_t alt_class; /* bInterfaceClass */
	uint8_t endpoints_want, endpoints_have;
	uint32_t endpoints_seen; /* bitmap: number, + 16 for IN */
	int hid_seen, ccid_seen;
	int again;	   /* this one was there before: nothing of it is kept */
	size_t alt_at;
	/* As they came; checked when all interfaces are known. */
	struct gk_usb_association pending[GK_USB_ASSOCIATIONS];
	unsigned pendings;
};

static int fail(struct walk *w, size_t at, int err)
{
	w->bad = at;
	return err;
}

/*
 * Something wrong that ends with the interface that is being read: the interface
 * gets no role, the others are judged as they are. Not with a hub's: which
 * interfaces the kernel's hub driver sees must be beyond doubt.
 */
static int odd(struct walk *w, struct config_walk *c, size_t at, int err)
{
	struct gk_usb_interface *itf = &c->cfg->interface[c->index];

	if (c->alt_class == CLASS_HUB || itf->base_class == CLASS_HUB)
		return fail(w, at, err);
	if (itf->odd_at == 0)
		itf->odd_at = (uint16_t)at;
	return GK_OK;
}

static int get_device(struct walk *w, struct gk_usb_device *dev)
{
	struct gk_reader *r = &w->r;
	uint8_t length = gk_get_u8(r);
	uint8_t type = gk_get_u8(r);

	if (r->err)
		return fail(w, 0, GK_ERR_SHORT);
	if (length != LEN_DEVICE)
		return fail(w, 0, GK_ERR_LENGTH);
	if (type != DT_DEVICE)
		return fail(w, 1, GK_ERR_VALUE);
	dev->bcd_usb = gk_get_u16(r);
	dev->base_class = gk_get_u8(r);
	dev->sub_class = gk_get_u8(r);
	dev->protocol = gk_get_u8(r);
	dev->max_packet0 = gk_get_u8(r);
	dev->vid = gk_get_u16(r);
	dev->pid = gk_get_u16(r);
	dev->bcd_device = gk_get_u16(r);
	gk_skip(r, 2); /* iManufacturer, iProduct */
	dev->serial_index = gk_get_u8(r);
	dev->configs = gk_get_u8(r);
	if (r->err)
		return fail(w, 0, GK_ERR_SHORT);
	if (dev->configs == 0)
		return fail(w, 17, GK_ERR_VALUE);
	if (dev->configs > GK_USB_CONFIGS)
		return fail(w, 17, GK_ERR_LIMIT);
	return GK_OK;
}

/* bNumEndpoints is a promise that the next interface, or the end, checks. Real
 * devices break it: the blink(1) mk2 says 1 and has 2. */
static int leave_alternate(struct walk *w, struct config_walk *c)
{
	if (c->inside && c->endpoints_have != c->endpoints_want)
		return odd(w, c, c->alt_at + 4, GK_ERR_VALUE);
	return GK_OK;
}

/* The slot of an interface number, a new one if need be. */
static int interface_slot(struct config_walk *c, uint8_t number, uint8_t *slot)
{
	struct gk_usb_config *cfg = c->cfg;

	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++) {
		if (cfg->interface[i].number == number) {
			*slot = (uint8_t)i;
			return GK_OK;
		}
	}
	if (cfg->interfaces >= GK_USB_INTERFACES)
		return GK_ERR_LIMIT;
	*slot = cfg->interfaces;
	cfg->interface[*slot].number = number;
	cfg->interfaces++;
	return GK_OK;
}

static int get_interface(struct walk *w, struct config_walk *c, size_t at,
			 uint8_t length)
{
	struct gk_reader *r = &w->r;
	struct gk_usb_interface *itf;
	uint8_t number, alt, endpoints, base, sub, protocol, slot = 0;
	int err;

	err = leave_alternate(w, c);
	if (err)
		return err;
	if (length < LEN_INTERFACE)
		return fail(w, at, GK_ERR_LENGTH);
	number = gk_get_u8(r);
	alt = gk_get_u8(r);
	endpoints = gk_get_u8(r);
	base = gk_get_u8(r);
	sub = gk_get_u8(r);
	protocol = gk_get_u8(r);
	if (endpoints > GK_USB_ENDPOINTS)
		return fail(w, at + 4, GK_ERR_LIMIT);
	if (c->alternates >= GK_USB_ALTSETTINGS)
		return fail(w, at, GK_ERR_LIMIT);
	err = interface_slot(c, number, &slot);
	if (err)
		return fail(w, at + 2, err);
	c->again = (c->alt_seen[slot][alt >> 3] >> (alt & 7) & 1) != 0;
	c->alt_seen[slot][alt >> 3] |= (uint8_t)(1u << (alt & 7));
	c->alternates++;
	if (base == CLASS_HUB && w->hub_at == 0)
		w->hub_at = at;

	c->inside = 1;
	c->index = slot;
	c->alt = alt;
	c->alt_class = base;
	c->endpoints_want = endpoints;
	c->endpoints_have = 0;
	c->endpoints_seen = 0;
	c->hid_seen = 0;
	c->ccid_seen = 0;
	c->alt_at = at;

	itf = &c->cfg->interface[slot];
	itf->alternates++;
	/* Linux takes the first of two, and one without setting 0 as its first. */
	if (c->again)
		return odd(w, c, at + 3, GK_ERR_VALUE);
	if (base == CLASS_HUB && itf->odd_at != 0)
		return fail(w, itf->odd_at, GK_ERR_VALUE);
	if (alt == 0 || itf->alternates == 1) {
		itf->base_class = base;
		itf->sub_class = sub;
		itf->protocol = protocol;
		itf->endpoints = endpoints;
		itf->offset = (uint16_t)at;
	}
	return GK_OK;
}

/* Where an endpoint of that kind is kept; NULL: such are not. */
static struct gk_usb_endpoint *endpoint_slot(struct gk_usb_interface *itf,
					     const struct gk_usb_endpoint *ep)
{
	int in = (ep->address & ENDPOINT_IN) != 0;

	if ((ep->attributes & TRANSFER_TYPE) == TRANSFER_INTERRUPT)
		return in ? &itf->in : &itf->out;
	if ((ep->attributes & TRANSFER_TYPE) == TRANSFER_BULK)
		return in ? &itf->bulk_in : &itf->bulk_out;
	return NULL;
}

static int get_endpoint(struct walk *w, struct config_walk *c, size_t at, uint8_t length)
{
	struct gk_reader *r = &w->r;
	struct gk_usb_endpoint ep;
	struct gk_usb_endpoint *kept;
	uint32_t bit;

	if (!c->inside)
		return fail(w, at + 1, GK_ERR_VALUE);
	if (length < LEN_ENDPOINT)
		return odd(w, c, at, GK_ERR_LENGTH);
	ep.address = gk_get_u8(r);
	ep.attributes = gk_get_u8(r);
	ep.max_packet = gk_get_u16(r) & 0x07ff;
	ep.interval = gk_get_u8(r);
	/* Endpoint 0 has no descriptor (USB 2.0 9.6.6). */
	if ((ep.address & ENDPOINT_RESERVED) != 0 || (ep.address & 0x0f) == 0)
		return odd(w, c, at + 2, GK_ERR_VALUE);
	bit = 1u << ((ep.address & 0x0f) + ((ep.address & ENDPOINT_IN) ? 16 : 0));
	/* The sound part of the Sound Devices MixPre-D has one twice. */
	if ((c->endpoints_seen & bit) != 0)
		return odd(w, c, at + 2, GK_ERR_VALUE);
	c->endpoints_seen |= bit;
	c->endpoints_have++;

	kept = endpoint_slot(&c->cfg->interface[c->index], &ep);
	if (c->alt == 0 && !c->again && kept && kept->address == 0)
		*kept = ep;
	return GK_OK;
}

/*
 * HID 1.11 6.2.1. It stands between interface and endpoint, but HID 1.0 put it
 * after the endpoint and such keyboards are still about, so either place will
 * do. bNumDescriptors is not relied on: some devices count wrongly (Linux's
 * usbhid corrects it too); what counts is how many entries bLength has room
 * for.
 */
static int get_hid(struct walk *w, struct config_walk *c, size_t at, uint8_t length)
{
	struct gk_usb_interface *itf = &c->cfg->interface[c->index];
	struct gk_reader *r = &w->r;
	uint16_t report_len = 0;
	uint8_t country;

	if (length < LEN_HID)
		return odd(w, c, at, GK_ERR_LENGTH);
	if (c->hid_seen)
		return odd(w, c, at + 1, GK_ERR_VALUE);
	c->hid_seen = 1;
	gk_skip(r, 2); /* bcdHID */
	country = gk_get_u8(r);
	gk_skip(r, 1); /* bNumDescriptors */
	for (unsigned i = 0; i < HID_ENTRIES && 6 + 3 * (i + 1) <= length; i++) {
		uint8_t type = gk_get_u8(r);
		uint16_t len = gk_get_u16(r);

		if (type == DT_HID_REPORT && report_len == 0)
			report_len = len;
	}
	if (c->alt == 0 && !c->again) {
		itf->hid_country = country;
		itf->hid_report_len = report_len;
	}
	return GK_OK;
}

/*
 * CCID 1.10 5.1. It stands between interface and endpoints; O2Micro's OZ776 and
 * its like put it behind the last endpoint, so either place will do. With two of
 * them there is no telling which one the device means. A reader that takes longer
 * messages than there are (Precise Biometrics' 200 MC: 512 KiB) takes those there are.
 */
static void get_ccid(struct walk *w, struct config_walk *c, uint8_t length)
{
	struct gk_usb_ccid *kept = &c->cfg->interface[c->index].ccid;
	struct gk_reader *r = &w->r;
	struct gk_usb_ccid d;
	int again = c->ccid_seen;

	c->ccid_seen = 1;
	if (c->alt != 0 || c->again)
		return;
	memset(kept, 0, sizeof(*kept));
	if (again || length != LEN_CCID)
		return;
	memset(&d, 0, sizeof(d));
	d.bcd_ccid = gk_get_u16(r);
	d.max_slot = gk_get_u8(r);
	d.voltages = gk_get_u8(r);
	d.protocols = gk_get_u32(r);
	d.default_clock = gk_get_u32(r);
	d.max_clock = gk_get_u32(r);
	gk_skip(r, 1); /* bNumClockSupported */
	d.data_rate = gk_get_u32(r);
	d.max_data_rate = gk_get_u32(r);
	gk_skip(r, 1); /* bNumDataRatesSupported */
	d.max_ifsd = gk_get_u32(r);
	gk_skip(r, 8); /* dwSynchProtocols, dwMechanical */
	d.features = gk_get_u32(r);
	d.max_message = gk_get_u32(r);
	d.class_get_response = gk_get_u8(r);
	d.class_envelope = gk_get_u8(r);
	d.lcd_layout = gk_get_u16(r);
	d.pin_support = gk_get_u8(r);
	d.max_busy_slots = gk_get_u8(r);
	d.present = 1;
	if (d.max_message > GK_CCID_MESSAGE_MAX)
		d.max_message = GK_CCID_MESSAGE_MAX;
	if (d.max_message >= GK_CCID_MESSAGE_MIN)
		*kept = d;
}

/* IAD ECN 9.6.4. It stands before its interfaces, so it is only noted here. */
static int get_association(struct walk *w, struct config_walk *c, size_t at,
			   uint8_t length)
{
	struct gk_reader *r = &w->r;
	struct gk_usb_association a;

	if (length < LEN_INTERFACE_ASSOCIATION)
		return fail(w, at, GK_ERR_LENGTH);
	a.first = gk_get_u8(r);
	a.count = gk_get_u8(r);
	a.base_class = gk_get_u8(r);
	a.sub_class = gk_get_u8(r);
	a.protocol = gk_get_u8(r);
	if (c->pendings < GK_USB_ASSOCIATIONS)
		c->pending[c->pendings++] = a;
	return GK_OK;
}

static int in_association(const struct gk_usb_association *a, uint8_t number)
{
	return number >= a->first && number - a->first < a->count;
}

/* Keeps an association if all its interfaces are there and free. */
static void keep_association(struct gk_usb_config *cfg,
			     const struct gk_usb_association *a)
{
	unsigned free = 0;

	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++)
		if (in_association(a, cfg->interface[i].number) &&
		    cfg->interface[i].association == 0)
			free++;
	if (free == 0 || free != a->count)
		return;
	/* Each one kept took an interface, so there is room for this one. */
	cfg->association[cfg->associations++] = *a;
	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++)
		if (in_association(a, cfg->interface[i].number))
			cfg->interface[i].association = cfg->associations;
}

static int get_descriptor(struct walk *w, struct config_walk *c, size_t at,
			  uint8_t length, uint8_t type)
{
	switch (type) {
	case DT_DEVICE:
	case DT_CONFIG:
		/* A configuration that runs into the next one. */
		return fail(w, at + 1, GK_ERR_VALUE);
	case DT_INTERFACE:
		return get_interface(w, c, at, length);
	case DT_ENDPOINT:
		return get_endpoint(w, c, at, length);
	case DT_INTERFACE_ASSOCIATION:
		return get_association(w, c, at, length);
	case DT_CLASS:
		/* The number is the class's: in DFU it is another thing. */
		if (c->inside && c->alt_class == CLASS_HID)
			return get_hid(w, c, at, length);
		if (c->inside && c->alt_class == CLASS_SMARTCARD)
			get_ccid(w, c, length);
		return GK_OK;
	default:
		return GK_OK;
	}
}

static int get_config_header(struct walk *w, struct gk_usb_config *cfg, size_t start,
			     uint8_t *claimed, size_t *end)
{
	struct gk_reader *r = &w->r;
	uint8_t length = gk_get_u8(r);
	uint8_t type = gk_get_u8(r);
	uint16_t total = gk_get_u16(r);

	*claimed = gk_get_u8(r);
	cfg->value = gk_get_u8(r);
	gk_skip(r, 1); /* iConfiguration */
	cfg->attributes = gk_get_u8(r);
	cfg->max_power = gk_get_u8(r);
	if (r->err)
		return fail(w, start, GK_ERR_SHORT);
	if (type != DT_CONFIG)
		return fail(w, start + 1, GK_ERR_VALUE);
	if (length < LEN_CONFIG)
		return fail(w, start, GK_ERR_LENGTH);
	if (total < length)
		return fail(w, start + 2, GK_ERR_LENGTH);
	if (total > r->len - start)
		return fail(w, start + 2, GK_ERR_SHORT);
	if (*claimed > GK_USB_INTERFACES)
		return fail(w, start + 4, GK_ERR_LIMIT);
	/* 0 is "not configured" (USB 2.0 9.1.1.5): nothing could choose it. */
	if (cfg->value == 0)
		return fail(w, start + 5, GK_ERR_VALUE);
	gk_skip(r, (size_t)(length - LEN_CONFIG));
	*end = start + total;
	return GK_OK;
}

static int get_config(struct walk *w, struct gk_usb_config *cfg)
{
	struct gk_reader *r = &w->r;
	struct config_walk c;
	size_t start = r->off, end = 0;
	uint8_t claimed = 0;
	int err;

	memset(cfg, 0, sizeof(*cfg));
	memset(&c, 0, sizeof(c));
	c.cfg = cfg;

	err = get_config_header(w, cfg, start, &claimed, &end);
	if (err)
		return err;

	for (unsigned i = 0; i < GK_USB_DESCRIPTORS && r->off < end; i++) {
		size_t at = r->off;
		uint8_t length, type;

		if (w->descriptors >= GK_USB_DESCRIPTORS)
			return fail(w, at, GK_ERR_LIMIT);
		w->descriptors++;
		if (end - at < 2)
			return fail(w, at, GK_ERR_LENGTH);
		length = gk_get_u8(r);
		type = gk_get_u8(r);
		if (length < 2 || length > end - at)
			return fail(w, at, GK_ERR_LENGTH);
		err = get_descriptor(w, &c, at, length, type);
		if (err)
			return err;
		/* Each getter made sure of its length, so none read past it. */
		gk_skip(r, at + length - r->off);
	}
	if (r->err || r->off != end)
		return fail(w, r->off, GK_ERR_LENGTH);
	err = leave_alternate(w, &c);
	if (err)
		return err;
	if (cfg->interfaces != claimed)
		return fail(w, start + 4, GK_ERR_VALUE);
	/* An interface starts in its alternate setting 0 (USB 2.0 9.6.5). */
	for (unsigned i = 0; i < GK_USB_INTERFACES && i < cfg->interfaces; i++) {
		if ((c.alt_seen[i][0] & 1) != 0)
			continue;
		c.index = (uint8_t)i;
		c.alt_class = cfg->interface[i].base_class;
		err = odd(w, &c, cfg->interface[i].offset + 3u, GK_ERR_VALUE);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < GK_USB_ASSOCIATIONS && i < c.pendings; i++)
		keep_association(cfg, &c.pending[i]);
	return GK_OK;
}

static int get_configs(struct walk *w, struct gk_usb_device *dev)
{
	uint8_t values[GK_USB_CONFIGS] = { 0 };
	struct gk_usb_config other;

	memset(&other, 0, sizeof(other));
	for (unsigned i = 0; i < GK_USB_CONFIGS && i < dev->configs; i++) {
		struct gk_usb_config *cfg = i == 0 ? &dev->first : &other;
		size_t start = w->r.off;
		int err = get_config(w, cfg);

		if (err)
			return err;
		values[i] = cfg->value;
		for (unsigned j = 0; j < i; j++)
			if (values[j] == cfg->value)
				return fail(w, start + 5, GK_ERR_VALUE);
	}
	return GK_OK;
}

int gk_usb_parse(const void *raw, size_t len, struct gk_usb_device *out)
{
	struct walk w;
	int err;

	memset(out, 0, sizeof(*out));
	memset(&w, 0, sizeof(w));
	if (len > GK_USB_RAW_MAX) {
		out->error_offset = GK_USB_RAW_MAX;
		return GK_ERR_LIMIT;
	}
	gk_reader_init(&w.r, raw, len);
	err = get_device(&w, out);
	if (!err)
		err = get_configs(&w, out);
	if (!err && gk_reader_left(&w.r) != 0)
		err = fail(&w, w.r.off, GK_ERR_TRAILING);
	if (err) {
		/* Half a configuration must not be taken for a whole one. */
		memset(&out->first, 0, sizeof(out->first));
		out->error_offset = (uint16_t)w.bad;
	} else {
		out->hub_offset = (uint16_t)w.hub_at;
	}
	return err;
}
