/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors of a device instance, and the standard requests. */
#include "vdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* USB 2.0 table 9-4 */
enum {
	REQ_GET_STATUS = 0,
	REQ_CLEAR_FEATURE = 1,
	REQ_SET_FEATURE = 3,
	REQ_SET_ADDRESS = 5,
	REQ_GET_DESCRIPTOR = 6,
	REQ_GET_CONFIGURATION = 8,
	REQ_SET_CONFIGURATION = 9,
	REQ_GET_INTERFACE = 10,
	REQ_SET_INTERFACE = 11,
};

/* USB 2.0 table 9-6 */
enum { FEATURE_ENDPOINT_HALT = 0, FEATURE_REMOTE_WAKEUP = 1 };

enum { DEVICE_LEN = 18, CONFIG_LEN = 9, INTERFACE_LEN = 9, ENDPOINT_LEN = 7 };

void gk_answer_data(struct gk_answer *answer, const void *data, size_t len)
{
	if (len > sizeof(answer->data))
		len = sizeof(answer->data);
	if (len)
		memcpy(answer->data, data, len);
	answer->len = len;
	answer->verdict = GK_DATA;
}

static struct gk_desc *find(struct gk_vdev *dev, uint8_t type, uint8_t index,
			    int interface)
{
	struct gk_desc *d;

	for (d = dev->descs; d < dev->descs + dev->n_descs; d++) {
		if (d->type == type && d->index == index &&
		    d->interface == interface)
			return d;
	}
	return NULL;
}

/* All descs of an instance are its own malloced memory. */
static uint8_t *bytes(const struct gk_desc *d)
{
	return (uint8_t *)(uintptr_t)d->data;
}

uint8_t *gk_vdev_desc(struct gk_vdev *dev, uint8_t type, uint8_t index,
		      int interface, size_t *len)
{
	struct gk_desc *d = find(dev, type, index, interface);

	if (!d)
		return NULL;
	if (len)
		*len = d->len;
	return bytes(d);
}

int gk_vdev_set_desc(struct gk_vdev *dev, uint8_t type, uint8_t index,
		     int interface, const uint8_t *data, size_t len)
{
	struct gk_desc *d = find(dev, type, index, interface);
	uint8_t *copy;

	if (!d && dev->n_descs == GK_DESCS_MAX)
		return -1;
	copy = malloc(len ? len : 1);
	if (!copy)
		return -1;
	if (len)
		memcpy(copy, data, len);
	if (d)
		free(bytes(d));
	else
		d = &dev->descs[dev->n_descs++];
	d->type = type;
	d->index = index;
	d->interface = interface;
	d->data = copy;
	d->len = len;
	return 0;
}

/*
 * Steps through a configuration as far as its lengths make sense. Returns the
 * next descriptor of a type that is long enough, or NULL; *at starts as 0.
 */
static uint8_t *step(const struct gk_desc *d, size_t *at, uint8_t type,
		     size_t min)
{
	uint8_t *p;

	while (*at + 2 <= d->len) {
		p = bytes(d) + *at;
		if (p[0] < 2 || *at + p[0] > d->len)
			return NULL;
		*at += p[0];
		if ((type == 0 || p[1] == type) && p[0] >= min)
			return p;
	}
	return NULL;
}

/* USB 2.0 5.5.3, 5.7.3, 5.8.3: what the sizes may be at which speed. */
static int fit_speed(struct gk_vdev *dev)
{
	struct gk_desc *d;
	uint8_t *p;
	size_t at;
	unsigned int n, units;

	p = gk_vdev_desc(dev, GK_DT_DEVICE, 0, -1, NULL);
	if (p) {
		if (dev->speed == GK_LOW)
			p[7] = 8;
		else if (dev->speed == GK_HIGH)
			p[7] = 64;
	}
	for (d = dev->descs; d < dev->descs + dev->n_descs; d++) {
		if (d->type != GK_DT_CONFIG)
			continue;
		for (at = 0; (p = step(d, &at, GK_DT_ENDPOINT, ENDPOINT_LEN));) {
			if (dev->speed == GK_LOW &&
			    ((p[3] & 3) != 3 || p[4] > 8 || p[5])) {
				fprintf(stderr, "%s: not at low speed\n",
					dev->kind->name);
				return -1;
			}
			if (dev->speed != GK_HIGH)
				continue;
			if ((p[3] & 3) == 2) {
				p[4] = 0;
				p[5] = 2;
			} else if ((p[3] & 3) == 3) {
				/* ms to 2^(n-1) microframes of 125 us */
				units = p[6] * 8u;
				for (n = 1; n < 16 && (2u << (n - 1)) <= units;)
					n++;
				p[6] = (uint8_t)n;
			}
		}
	}
	return 0;
}

static int set_descs(struct gk_vdev *dev, const struct gk_desc *descs, size_t n)
{
	const struct gk_desc *d;

	for (d = descs; d < descs + n; d++) {
		if (gk_vdev_set_desc(dev, d->type, d->index, d->interface,
				     d->data, d->len) < 0)
			return -1;
	}
	return 0;
}

int gk_desc_init(struct gk_vdev *dev)
{
	const struct gk_kind *kind = dev->kind;
	uint8_t *p;
	size_t len;

	if (set_descs(dev, kind->descs, kind->n_descs) < 0)
		return -1;
	if (kind->variant && set_descs(dev, kind->variant->descs,
				       kind->variant->n_descs) < 0)
		return -1;
	p = gk_vdev_desc(dev, GK_DT_DEVICE, 0, -1, &len);
	if (p && len >= DEVICE_LEN) {
		if (dev->opt->vid >= 0) {
			p[8] = (uint8_t)(dev->opt->vid & 0xff);
			p[9] = (uint8_t)(dev->opt->vid >> 8);
		}
		if (dev->opt->pid >= 0) {
			p[10] = (uint8_t)(dev->opt->pid & 0xff);
			p[11] = (uint8_t)(dev->opt->pid >> 8);
		}
		if (dev->opt->serial)
			snprintf(dev->serial, sizeof(dev->serial), "%s",
				 dev->opt->serial);
		/* Without a serial number the descriptor names none (9.6.1). */
		else if (!kind->raw)
			p[16] = 0;
	}
	return kind->raw ? 0 : fit_speed(dev);
}

void gk_desc_done(struct gk_vdev *dev)
{
	while (dev->n_descs)
		free(bytes(&dev->descs[--dev->n_descs]));
}

/* The configuration with this bConfigurationValue; 0: the first. */
static const struct gk_desc *config_of(struct gk_vdev *dev, uint8_t value)
{
	const struct gk_desc *d;

	for (d = dev->descs; d < dev->descs + dev->n_descs; d++) {
		if (d->type == GK_DT_CONFIG && d->len >= CONFIG_LEN &&
		    (!value || d->data[5] == value))
			return d;
	}
	return NULL;
}

static void set_endpoint(struct gk_vdev *dev, const struct gk_ep_info *info)
{
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(info->address)];

	ep->type = info->type & 3;
	/* QEMU rejects a device with interval 0; the wire has no such thing. */
	ep->interval = info->interval ? info->interval : 1;
	ep->interface = info->interface;
	ep->max_packet = info->max_packet;
}

void gk_desc_endpoints(struct gk_vdev *dev)
{
	const struct gk_desc *d = config_of(dev, dev->configuration);
	struct gk_ep_info info;
	const uint8_t *p;
	size_t i, at = 0;
	int interface = -1;

	for (i = 0; i < GK_ENDPOINTS; i++) {
		dev->ep[i].type = i % 16 ? usb_redir_type_invalid :
					   usb_redir_type_control;
		dev->ep[i].interval = 0;
		dev->ep[i].interface = 0;
		dev->ep[i].max_packet = i % 16 ? 0 : 64;
	}
	if (dev->kind->eps) {
		for (i = 0; i < dev->kind->n_eps; i++)
			set_endpoint(dev, &dev->kind->eps[i]);
		return;
	}
	while (d && (p = step(d, &at, 0, 2))) {
		if (p[1] == GK_DT_INTERFACE && p[0] >= INTERFACE_LEN) {
			interface = p[2];
			if (p[3] != gk_vdev_alt(dev, p[2]))
				interface = -1;
		}
		if (interface < 0 || p[1] != GK_DT_ENDPOINT ||
		    p[0] < ENDPOINT_LEN || !(p[2] & 0x0f))
			continue;
		info = (struct gk_ep_info){
			.address = p[2],
			.type = p[3] & 3,
			.interval = p[6],
			.interface = (uint8_t)interface,
			.max_packet = (uint16_t)((p[4] | p[5] << 8) & 0x7ff),
		};
		set_endpoint(dev, &info);
	}
}

void gk_desc_interfaces(struct gk_vdev *dev,
			struct usb_redir_interface_info_header *info)
{
	const struct gk_desc *d = config_of(dev, dev->configuration);
	const uint8_t *p;
	size_t at = 0;
	uint32_t n = 0;

	memset(info, 0, sizeof(*info));
	while (d && n < GK_INTERFACES &&
	       (p = step(d, &at, GK_DT_INTERFACE, INTERFACE_LEN))) {
		if (p[3] != gk_vdev_alt(dev, p[2]))
			continue;
		info->interface[n] = p[2];
		info->interface_class[n] = p[5];
		info->interface_subclass[n] = p[6];
		info->interface_protocol[n] = p[7];
		n++;
	}
	info->interface_count = n;
}

static bool has_alt(struct gk_vdev *dev, uint8_t interface, uint8_t alt)
{
	const struct gk_desc *d = config_of(dev, dev->configuration);
	const uint8_t *p;
	size_t at = 0;

	while (d && (p = step(d, &at, GK_DT_INTERFACE, INTERFACE_LEN))) {
		if (p[2] == interface && p[3] == alt)
			return true;
	}
	return false;
}

void gk_set_configuration(struct gk_vdev *dev, uint8_t value,
			  struct gk_answer *answer)
{
	uint8_t before = dev->configuration;
	size_t i;

	dev->stats.set_configuration++;
	answer->verdict = GK_DATA;
	if (value && !config_of(dev, value)) {
		answer->verdict = GK_STALL;
		return;
	}
	dev->configuration = value;
	memset(dev->alt, 0, sizeof(dev->alt));
	for (i = 0; i < GK_ENDPOINTS; i++)
		dev->ep[i].halted = false;
	if (dev->kind->configured) {
		dev->kind->configured(dev, value, answer);
		if (answer->verdict == GK_DEFAULT)
			answer->verdict = GK_DATA;
	}
	if (answer->verdict == GK_STALL)
		dev->configuration = before;
	gk_desc_endpoints(dev);
}

void gk_set_alt(struct gk_vdev *dev, uint8_t interface, uint8_t alt,
		struct gk_answer *answer)
{
	uint8_t before;
	size_t i;

	dev->stats.set_interface++;
	answer->verdict = GK_DATA;
	if (!dev->configuration || interface >= GK_INTERFACES ||
	    !has_alt(dev, interface, alt)) {
		answer->verdict = GK_STALL;
		return;
	}
	before = dev->alt[interface];
	dev->alt[interface] = alt;
	for (i = 0; i < GK_ENDPOINTS; i++) {
		if (dev->ep[i].interface == interface)
			dev->ep[i].halted = false;
	}
	if (dev->kind->alt_set) {
		dev->kind->alt_set(dev, interface, alt, answer);
		if (answer->verdict == GK_DEFAULT)
			answer->verdict = GK_DATA;
	}
	if (answer->verdict == GK_STALL)
		dev->alt[interface] = before;
	gk_desc_endpoints(dev);
}

/* USB 2.0 9.6.7: UTF-16LE after a header of two bytes. */
static void string_descriptor(struct gk_vdev *dev, uint8_t index,
			      struct gk_answer *answer)
{
	static const uint8_t us_english[] = { 4, GK_DT_STRING, 0x09, 0x04 };
	const uint8_t *device = gk_vdev_desc(dev, GK_DT_DEVICE, 0, -1, NULL);
	const char *text = NULL;
	uint8_t buf[255];
	size_t i, n;

	if (!index) {
		gk_answer_data(answer, us_english, sizeof(us_english));
		return;
	}
	if (dev->serial[0] && device && device[16] == index) {
		text = dev->serial;
	} else if (dev->kind->strings) {
		for (i = 1; dev->kind->strings[i - 1]; i++) {
			if (i == index)
				text = dev->kind->strings[i - 1];
		}
	}
	if (!text)
		return;
	n = strlen(text);
	if (n > (sizeof(buf) - 2) / 2)
		n = (sizeof(buf) - 2) / 2;
	buf[0] = (uint8_t)(2 + 2 * n);
	buf[1] = GK_DT_STRING;
	for (i = 0; i < n; i++) {
		buf[2 + 2 * i] = (uint8_t)text[i];
		buf[3 + 2 * i] = 0;
	}
	gk_answer_data(answer, buf, buf[0]);
}

/* USB 2.0 9.6.2, 9.6.4: only a device that can be faster or slower has them. */
static void other_speed(struct gk_vdev *dev, uint8_t type, uint8_t index,
			struct gk_answer *answer)
{
	const unsigned int both = GK_SPEED_BIT(GK_FULL) | GK_SPEED_BIT(GK_HIGH);
	const struct gk_desc *d;
	uint8_t q[10] = { sizeof(q), GK_DT_QUALIFIER };
	size_t i;

	if (dev->kind->raw || dev->speed == GK_LOW ||
	    (dev->kind->speeds & both) != both)
		return;
	if (type == GK_DT_QUALIFIER) {
		d = find(dev, GK_DT_DEVICE, 0, -1);
		if (!d || d->len < DEVICE_LEN)
			return;
		memcpy(q + 2, d->data + 2, 6);
		q[7] = 64;
		q[8] = d->data[17];
		gk_answer_data(answer, q, sizeof(q));
		return;
	}
	/* As the kind wrote it: for full speed. */
	for (i = 0; dev->speed == GK_HIGH && i < dev->kind->n_descs; i++) {
		d = &dev->kind->descs[i];
		if (d->type == GK_DT_CONFIG && d->index == index) {
			gk_answer_data(answer, d->data, d->len);
			answer->data[1] = GK_DT_OTHER_SPEED;
			return;
		}
	}
}

static void get_descriptor(struct gk_vdev *dev, const struct gk_setup *setup,
			   struct gk_answer *answer)
{
	uint8_t type = (uint8_t)(setup->value >> 8);
	uint8_t index = (uint8_t)setup->value;
	bool to_interface = (setup->type & 0x1f) == 1;
	const struct gk_desc *d;

	d = find(dev, type, index, to_interface ? setup->index & 0xff : -1);
	if (d)
		gk_answer_data(answer, d->data, d->len);
	else if (to_interface)
		return;
	else if (type == GK_DT_STRING)
		string_descriptor(dev, index, answer);
	else if (type == GK_DT_QUALIFIER || type == GK_DT_OTHER_SPEED)
		other_speed(dev, type, index, answer);
}

/* The endpoint a request is for, NULL if there is none. */
static struct gk_endpoint *endpoint_of(struct gk_vdev *dev, uint16_t index)
{
	struct gk_endpoint *ep = &dev->ep[gk_ep_index((uint8_t)index)];

	return ep->type == usb_redir_type_invalid ? NULL : ep;
}

static void feature(struct gk_vdev *dev, const struct gk_setup *setup, bool set,
		    struct gk_answer *answer)
{
	struct gk_endpoint *ep;

	if (setup->type == 0x00 && setup->value == FEATURE_REMOTE_WAKEUP) {
		dev->remote_wakeup = set;
		answer->verdict = GK_DATA;
	} else if (setup->type == 0x02 &&
		   setup->value == FEATURE_ENDPOINT_HALT) {
		ep = endpoint_of(dev, setup->index);
		if (!ep)
			return;
		answer->verdict = GK_DATA;
		if (set && ep->type != usb_redir_type_control)
			gk_vdev_halt(dev, (uint8_t)setup->index);
		else
			ep->halted = false;
		gk_redir_pump(ep);
	}
}

static void get_status(struct gk_vdev *dev, const struct gk_setup *setup,
		       struct gk_answer *answer)
{
	const struct gk_desc *config = config_of(dev, dev->configuration);
	const struct gk_endpoint *ep;
	uint8_t status[2] = { 0, 0 };

	switch (setup->type & 0x1f) {
	case 0:
		if (config && config->data[7] & 0x40)
			status[0] |= 1;
		if (dev->remote_wakeup)
			status[0] |= 2;
		break;
	case 1:
		if (!dev->configuration)
			return;
		break;
	case 2:
		ep = endpoint_of(dev, setup->index);
		if (!ep)
			return;
		status[0] = ep->halted;
		break;
	default:
		return;
	}
	gk_answer_data(answer, status, sizeof(status));
}

void gk_standard_request(struct gk_vdev *dev, const struct gk_setup *setup,
			 struct gk_answer *answer)
{
	uint8_t byte;

	/* Class and vendor requests are the kind's. */
	if (setup->type & 0x60)
		return;
	switch (setup->request) {
	case REQ_GET_STATUS:
		get_status(dev, setup, answer);
		break;
	case REQ_CLEAR_FEATURE:
		feature(dev, setup, false, answer);
		break;
	case REQ_SET_FEATURE:
		feature(dev, setup, true, answer);
		break;
	case REQ_SET_ADDRESS:
		/* The host side keeps the address; usbredir has none. */
		answer->verdict = GK_DATA;
		break;
	case REQ_GET_DESCRIPTOR:
		if (setup->type & 0x80)
			get_descriptor(dev, setup, answer);
		break;
	case REQ_GET_CONFIGURATION:
		gk_answer_data(answer, &dev->configuration, 1);
		break;
	case REQ_SET_CONFIGURATION:
		gk_set_configuration(dev, (uint8_t)setup->value, answer);
		gk_redir_announce(dev);
		break;
	case REQ_GET_INTERFACE:
		byte = gk_vdev_alt(dev, (uint8_t)setup->index);
		if (dev->configuration)
			gk_answer_data(answer, &byte, 1);
		break;
	case REQ_SET_INTERFACE:
		gk_set_alt(dev, (uint8_t)setup->index, (uint8_t)setup->value,
			   answer);
		gk_redir_announce(dev);
		break;
	default:
		/* SET_DESCRIPTOR and SYNCH_FRAME are optional (9.4.8, 9.4.11). */
		break;
	}
}
