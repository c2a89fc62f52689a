/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's end of usbredir (usbredir-protocol.md 0.7): it plays what the
 * protocol calls the usb-host, the side that has the device.
 */
#include "vdev.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_RETRY_US 100000u

static void close_later(struct gk_vdev *dev)
{
	dev->closing = true;
}

void gk_vdev_log(struct gk_vdev *dev, const char *fmt, ...)
{
	va_list ap;

	if (!dev->opt->verbose)
		return;
	fprintf(stderr, "%s: ", dev->kind->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void *gk_vdev_state(struct gk_vdev *dev)
{
	return dev->state;
}

int gk_vdev_mode(const struct gk_vdev *dev)
{
	return dev->kind->variant ? dev->kind->variant->mode : 0;
}

struct gk_stats *gk_vdev_stats(struct gk_vdev *dev)
{
	return &dev->stats;
}

enum gk_speed gk_vdev_speed(const struct gk_vdev *dev)
{
	return dev->speed;
}

uint8_t gk_vdev_configuration(const struct gk_vdev *dev)
{
	return dev->configuration;
}

uint8_t gk_vdev_alt(const struct gk_vdev *dev, uint8_t interface)
{
	return interface < GK_INTERFACES ? dev->alt[interface] : 0;
}

bool gk_vdev_is_plugged(const struct gk_vdev *dev)
{
	return dev->want_plugged;
}

void gk_vdev_timer(struct gk_vdev *dev, struct gk_timer *timer,
		   unsigned int after_us)
{
	gk_loop_timer_at(&dev->loop, timer, gk_now_ns() + after_us * 1000ull);
}

void gk_vdev_timer_stop(struct gk_vdev *dev, struct gk_timer *timer)
{
	gk_loop_timer_stop(&dev->loop, timer);
}

/* --- answers --------------------------------------------------------- */

static struct gk_answer *answer_new(struct gk_vdev *dev)
{
	struct gk_answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		close_later(dev);
	return answer;
}

static void transfer_send(struct gk_transfer *t)
{
	struct usbredirparser *parser = t->dev->parser;
	int len = (int)t->len;

	if (t->status == usb_redir_stall)
		t->dev->stats.stalls++;
	switch (t->type) {
	case usb_redir_control_packet:
		t->u.control.status = t->status;
		if (t->u.control.endpoint & 0x80)
			t->u.control.length = (uint16_t)len;
		else if (t->status != usb_redir_success)
			t->u.control.length = 0;
		usbredirparser_send_control_packet(parser, t->id, &t->u.control,
						   t->data, len);
		break;
	case usb_redir_bulk_packet:
		t->u.bulk.status = t->status;
		if (t->u.bulk.endpoint & 0x80) {
			t->u.bulk.length = (uint16_t)len;
			t->u.bulk.length_high = (uint16_t)(len >> 16);
		} else if (t->status != usb_redir_success) {
			t->u.bulk.length = 0;
			t->u.bulk.length_high = 0;
		}
		usbredirparser_send_bulk_packet(parser, t->id, &t->u.bulk,
						t->data, len);
		break;
	case usb_redir_interrupt_packet:
		t->u.interrupt.status = t->status;
		if (t->status != usb_redir_success)
			t->u.interrupt.length = 0;
		usbredirparser_send_interrupt_packet(parser, t->id,
						     &t->u.interrupt, NULL, 0);
		break;
	case usb_redir_configuration_status:
		t->u.configuration.status = t->status;
		usbredirparser_send_configuration_status(parser, t->id,
							 &t->u.configuration);
		break;
	case usb_redir_alt_setting_status:
		t->u.alt.status = t->status;
		usbredirparser_send_alt_setting_status(parser, t->id,
						       &t->u.alt);
		break;
	default:
		break;
	}
}

static void transfer_free(struct gk_transfer *t)
{
	gk_loop_timer_stop(&t->dev->loop, &t->timer);
	free(t->data);
	t->data = NULL;
	t->used = false;
}

static void transfer_finish(struct gk_transfer *t)
{
	transfer_send(t);
	transfer_free(t);
}

static void flush(struct gk_vdev *dev);

static void transfer_due(void *arg)
{
	struct gk_transfer *t = arg;
	struct gk_vdev *dev = t->dev;

	transfer_finish(t);
	flush(dev);
}

/*
 * A place for a request of the host. If there is none left the host side has
 * sent more at one time than any controller does: it is told so, in place of
 * an answer, by the caller's spare.
 */
static struct gk_transfer *transfer_new(struct gk_vdev *dev,
					struct gk_transfer *spare, uint64_t id,
					int type)
{
	struct gk_transfer *t = spare;
	size_t i;

	for (i = 0; i < GK_TRANSFERS; i++) {
		if (!dev->transfers[i].used) {
			t = &dev->transfers[i];
			break;
		}
	}
	*t = (struct gk_transfer){
		.dev = dev, .used = true, .seq = ++dev->transfer_seq,
		.id = id, .type = type,
		.timer = { .fire = transfer_due, .arg = t },
	};
	return t;
}

static void transfer_settle(struct gk_transfer *t, struct gk_transfer *spare,
			    const struct gk_answer *answer, size_t wanted)
{
	struct gk_vdev *dev = t->dev;
	size_t len = answer->len;

	/* The kind has pulled the plug in the middle of its answer. */
	if (!t->used)
		return;
	if (t == spare) {
		t->status = usb_redir_ioerror;
		transfer_finish(t);
		return;
	}
	t->status = answer->verdict == GK_DATA ? usb_redir_success :
						 usb_redir_stall;
	if (answer->verdict == GK_DATA) {
		if (len > wanted && !answer->overlong)
			len = wanted;
		if (len) {
			t->data = malloc(len);
			if (!t->data) {
				t->status = usb_redir_ioerror;
				len = 0;
			} else {
				memcpy(t->data, answer->data, len);
			}
		}
		t->len = len;
	}
	if (answer->verdict == GK_NEVER)
		return;
	if (answer->delay_ms)
		gk_vdev_timer(dev, &t->timer, answer->delay_ms * 1000u);
	else
		transfer_finish(t);
}

static void cancel_all(struct gk_vdev *dev)
{
	struct gk_transfer *t;

	for (t = dev->transfers; t < dev->transfers + GK_TRANSFERS; t++) {
		if (!t->used)
			continue;
		if (dev->parser) {
			free(t->data);
			t->data = NULL;
			t->len = 0;
			t->status = usb_redir_cancelled;
			transfer_send(t);
		}
		transfer_free(t);
	}
}

/* --- IN queues ------------------------------------------------------- */

unsigned int gk_vdev_interval_us(const struct gk_vdev *dev, uint8_t address)
{
	const struct gk_endpoint *ep = &dev->ep[gk_ep_index(address)];
	unsigned int n = ep->interval;

	if (ep->type != usb_redir_type_interrupt || dev->kind->unpaced)
		return 0;
	if (dev->speed != GK_HIGH)
		return n * 1000u;
	/* USB 2.0 9.6.6: 2^(n-1) microframes, n from 1 to 16 */
	return 125u << ((n > 16 ? 16 : n) - 1);
}

bool gk_vdev_polled(const struct gk_vdev *dev, uint8_t address)
{
	return dev->ep[gk_ep_index(address)].receiving;
}

void gk_vdev_make_up(struct gk_vdev *dev, uint8_t address, unsigned int us)
{
	dev->ep[gk_ep_index(address)].make_up_ns = us * 1000ull;
}

size_t gk_vdev_queued(const struct gk_vdev *dev, uint8_t address)
{
	return dev->ep[gk_ep_index(address)].queued;
}

uint32_t gk_vdev_token(struct gk_vdev *dev)
{
	if (!++dev->last_token)
		++dev->last_token;
	return dev->last_token;
}

static void packet_unlink(struct gk_endpoint *ep)
{
	ep->head = ep->head->next;
	if (!ep->head)
		ep->tail = &ep->head;
	ep->queued--;
}

static void flush_queues(struct gk_vdev *dev, const char *why)
{
	struct gk_endpoint *ep;
	struct gk_packet *packet;

	for (ep = dev->ep; ep < dev->ep + GK_ENDPOINTS; ep++) {
		gk_loop_timer_stop(&dev->loop, &ep->pace);
		if (ep->unflushed_token)
			gk_script_token(dev, ep->unflushed_token, why);
		ep->unflushed_token = 0;
		while (ep->head) {
			packet = ep->head;
			packet_unlink(ep);
			if (packet->token)
				gk_script_token(dev, packet->token, why);
			free(packet);
		}
	}
}

/* The oldest request that waits on a bulk IN endpoint. */
static struct gk_transfer *bulk_waiting(struct gk_vdev *dev, uint8_t address)
{
	struct gk_transfer *t, *oldest = NULL;

	for (t = dev->transfers; t < dev->transfers + GK_TRANSFERS; t++) {
		if (t->used && t->type == usb_redir_bulk_packet &&
		    t->u.bulk.endpoint == address && !t->timer.armed &&
		    (!oldest || t->seq < oldest->seq))
			oldest = t;
	}
	return oldest;
}

static bool ready_for_in(struct gk_endpoint *ep, struct gk_transfer **bulk)
{
	struct gk_vdev *dev = ep->dev;

	*bulk = NULL;
	/*
	 * Not while bytes wait in the parser: the queue then stays here, where
	 * it is bounded and where an unplug can empty it.
	 */
	if (!dev->connected || ep->halted ||
	    usbredirparser_has_data_to_write(dev->parser))
		return false;
	if (ep->type == usb_redir_type_interrupt)
		return ep->receiving;
	if (ep->type == usb_redir_type_bulk)
		*bulk = bulk_waiting(dev, ep->address);
	return *bulk;
}

static void send_interrupt(struct gk_endpoint *ep, uint8_t status,
			   uint8_t *data, size_t len)
{
	struct usb_redir_interrupt_packet_header h = {
		.endpoint = ep->address, .status = status,
		.length = (uint16_t)len,
	};

	usbredirparser_send_interrupt_packet(ep->dev->parser, 0, &h,
					     len ? data : NULL, (int)len);
}

/* When a report went to the host's controller, which here is QEMU. */
static void stamp(struct gk_vdev *dev, uint64_t ns, const uint8_t *data, size_t len)
{
	if (!dev->stamps)
		return;
	fprintf(dev->stamps, "%llu ", (unsigned long long)ns);
	for (size_t i = 0; i < len; i++)
		fprintf(dev->stamps, "%02x", data[i]);
	fputc('\n', dev->stamps);
}

static void taken(struct gk_endpoint *ep, uint32_t token)
{
	if (!token)
		return;
	if (usbredirparser_has_data_to_write(ep->dev->parser))
		ep->unflushed_token = token;
	else
		gk_script_token(ep->dev, token, NULL);
}

void gk_redir_pump(struct gk_endpoint *ep)
{
	struct gk_vdev *dev = ep->dev;
	struct gk_transfer *bulk;
	struct gk_packet *packet;
	struct gk_answer *answer;
	uint64_t now, due, gap, late;

	while (ep->head && !ep->pace.armed && ready_for_in(ep, &bulk)) {
		packet = ep->head;
		gap = packet->gap_us;
		if (gap < gk_vdev_interval_us(dev, ep->address))
			gap = gk_vdev_interval_us(dev, ep->address);
		gap *= 1000u;
		now = gk_now_ns();
		due = ep->last_ns + gap;
		if (now < due) {
			gk_loop_timer_at(&dev->loop, &ep->pace, due);
			return;
		}
		answer = bulk ? answer_new(dev) : NULL;
		if (bulk && !answer)
			return;
		/* Keep the average rate, but never make up for a long pause. */
		late = gap > ep->make_up_ns ? gap : ep->make_up_ns;
		ep->last_ns = now - due < late ? due : now;
		dev->last_sent_ns = now;
		dev->stats.reports_sent++;
		packet_unlink(ep);
		if (bulk) {
			gk_answer_data(answer, packet->data, packet->len);
			transfer_settle(bulk, NULL, answer,
					(size_t)bulk->u.bulk.length |
					(size_t)bulk->u.bulk.length_high << 16);
			free(answer);
		} else {
			send_interrupt(ep, usb_redir_success, packet->data,
				       packet->len);
		}
		now = gk_now_ns();
		if (usbredirparser_do_write(dev->parser) < 0)
			close_later(dev);
		stamp(dev, now, packet->data, packet->len);
		taken(ep, packet->token);
		if (dev->kind->sent)
			dev->kind->sent(dev, ep->address, packet->data,
					packet->len);
		free(packet);
	}
}

static void pace_due(void *arg)
{
	struct gk_endpoint *ep = arg;
	struct gk_vdev *dev = ep->dev;

	gk_redir_pump(ep);
	flush(dev);
}

int gk_vdev_queue(struct gk_vdev *dev, uint8_t address, const uint8_t *data,
		  size_t len, unsigned int gap_us, uint32_t token)
{
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(address)];
	struct gk_packet *packet;

	if (!(address & 0x80) || len > GK_REPORT_MAX ||
	    ep->queued >= GK_QUEUE_MAX)
		return -1;
	packet = malloc(sizeof(*packet) + len);
	if (!packet)
		return -1;
	packet->next = NULL;
	packet->len = len;
	packet->gap_us = gap_us;
	packet->token = token;
	if (len)
		memcpy(packet->data, data, len);
	*ep->tail = packet;
	ep->tail = &packet->next;
	ep->queued++;
	/*
	 * From the loop, not from here: the caller may be about to queue more,
	 * or be a callback of the pump itself.
	 */
	if (!ep->pace.armed)
		gk_loop_timer_at(&dev->loop, &ep->pace, gk_now_ns());
	return 0;
}

void gk_vdev_halt(struct gk_vdev *dev, uint8_t address)
{
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(address)];
	struct gk_transfer *t;

	if (ep->halted)
		return;
	ep->halted = true;
	if (!dev->connected)
		return;
	if (ep->receiving)
		send_interrupt(ep, usb_redir_stall, NULL, 0);
	while ((t = bulk_waiting(dev, address))) {
		t->status = usb_redir_stall;
		transfer_finish(t);
	}
}

/* --- plug and unplug ------------------------------------------------- */

void gk_redir_announce(struct gk_vdev *dev)
{
	struct usb_redir_interface_info_header interfaces;
	struct usb_redir_ep_info_header eps;
	size_t i;

	if (!dev->parser || !dev->hello)
		return;
	memset(&eps, 0, sizeof(eps));
	for (i = 0; i < GK_ENDPOINTS; i++) {
		eps.type[i] = dev->ep[i].type;
		eps.interval[i] = dev->ep[i].interval;
		eps.interface[i] = dev->ep[i].interface;
		eps.max_packet_size[i] = dev->ep[i].max_packet;
	}
	gk_desc_interfaces(dev, &interfaces);
	usbredirparser_send_interface_info(dev->parser, &interfaces);
	usbredirparser_send_ep_info(dev->parser, &eps);
}

static void bus_state_lost(struct gk_vdev *dev)
{
	size_t i;

	dev->configuration = 0;
	dev->remote_wakeup = false;
	memset(dev->alt, 0, sizeof(dev->alt));
	for (i = 0; i < GK_ENDPOINTS; i++) {
		dev->ep[i].receiving = false;
		dev->ep[i].halted = false;
	}
	gk_desc_endpoints(dev);
}

static void device_connect(struct gk_vdev *dev)
{
	struct usb_redir_device_connect_header h;
	const uint8_t *d;
	size_t len = 0;

	if (!dev->hello || dev->connected || !dev->want_plugged)
		return;
	memset(&h, 0, sizeof(h));
	bus_state_lost(dev);
	d = gk_vdev_desc(dev, GK_DT_DEVICE, 0, -1, &len);
	if (d && len >= 18) {
		h.device_class = d[4];
		h.device_subclass = d[5];
		h.device_protocol = d[6];
		h.vendor_id = (uint16_t)(d[8] | d[9] << 8);
		h.product_id = (uint16_t)(d[10] | d[11] << 8);
		h.device_version_bcd = (uint16_t)(d[12] | d[13] << 8);
	}
	h.speed = dev->speed == GK_LOW ? usb_redir_speed_low :
		  dev->speed == GK_FULL ? usb_redir_speed_full :
					  usb_redir_speed_high;
	gk_redir_announce(dev);
	usbredirparser_send_device_connect(dev->parser, &h);
	dev->connected = true;
	dev->stats.plugs++;
	gk_vdev_log(dev, "plugged in");
	if (dev->kind->plugged)
		dev->kind->plugged(dev, true);
}

static void device_gone(struct gk_vdev *dev, const char *why)
{
	bool was = dev->connected;

	dev->connected = false;
	cancel_all(dev);
	flush_queues(dev, why);
	bus_state_lost(dev);
	if (was && dev->kind->plugged)
		dev->kind->plugged(dev, false);
	if (was)
		gk_vdev_log(dev, "%s", why);
}

void gk_vdev_plug(struct gk_vdev *dev)
{
	dev->want_plugged = true;
	device_connect(dev);
	flush(dev);
}

void gk_vdev_unplug(struct gk_vdev *dev)
{
	bool tell = dev->connected;

	dev->want_plugged = false;
	device_gone(dev, "unplugged");
	if (tell)
		usbredirparser_send_device_disconnect(dev->parser);
	flush(dev);
}

/* --- what the host side sends ---------------------------------------- */

static void on_hello(void *priv, struct usb_redir_hello_header *h)
{
	struct gk_vdev *dev = priv;

	gk_vdev_log(dev, "host side: %.60s", h->version);
	dev->hello = true;
	dev->stats.hosts++;
	device_connect(dev);
}

static void on_reset(void *priv)
{
	struct gk_vdev *dev = priv;

	dev->stats.resets++;
	gk_vdev_log(dev, "reset");
	cancel_all(dev);
	/* What a script queued before the first configuration stays. */
	if (dev->configuration)
		flush_queues(dev, "reset by the host");
	bus_state_lost(dev);
	if (dev->kind->reset)
		dev->kind->reset(dev);
	gk_redir_announce(dev);
}

/* False: a script has taken the matter over, *answer is set. */
static bool allowed(struct gk_vdev *dev, struct gk_answer *answer)
{
	answer->delay_ms = dev->override.delay_ms;
	answer->verdict = dev->override.verdict;
	return dev->override.verdict == GK_DEFAULT;
}

static void on_set_configuration(void *priv, uint64_t id,
				 struct usb_redir_set_configuration_header *h)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);

	if (!answer)
		return;
	gk_vdev_log(dev, "set configuration %u", h->configuration);
	dev->stats.control_requests++;
	t = transfer_new(dev, &spare, id, usb_redir_configuration_status);
	if (allowed(dev, answer)) {
		gk_set_configuration(dev, h->configuration, answer);
		gk_redir_announce(dev);
	}
	t->u.configuration.configuration = dev->configuration;
	transfer_settle(t, &spare, answer, 0);
	free(answer);
}

static void on_get_configuration(void *priv, uint64_t id)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);

	if (!answer)
		return;
	dev->stats.control_requests++;
	t = transfer_new(dev, &spare, id, usb_redir_configuration_status);
	t->u.configuration.configuration = dev->configuration;
	if (allowed(dev, answer))
		answer->verdict = GK_DATA;
	transfer_settle(t, &spare, answer, 0);
	free(answer);
}

static void on_set_alt(void *priv, uint64_t id,
		       struct usb_redir_set_alt_setting_header *h)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);

	if (!answer)
		return;
	gk_vdev_log(dev, "set interface %u alternate %u", h->interface, h->alt);
	dev->stats.control_requests++;
	t = transfer_new(dev, &spare, id, usb_redir_alt_setting_status);
	if (allowed(dev, answer)) {
		gk_set_alt(dev, h->interface, h->alt, answer);
		gk_redir_announce(dev);
	}
	t->u.alt.interface = h->interface;
	t->u.alt.alt = gk_vdev_alt(dev, h->interface);
	transfer_settle(t, &spare, answer, 0);
	free(answer);
}

static void on_get_alt(void *priv, uint64_t id,
		       struct usb_redir_get_alt_setting_header *h)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);

	if (!answer)
		return;
	dev->stats.control_requests++;
	t = transfer_new(dev, &spare, id, usb_redir_alt_setting_status);
	t->u.alt.interface = h->interface;
	t->u.alt.alt = gk_vdev_alt(dev, h->interface);
	if (allowed(dev, answer))
		answer->verdict = GK_DATA;
	transfer_settle(t, &spare, answer, 0);
	free(answer);
}

static void on_control(void *priv, uint64_t id,
		       struct usb_redir_control_packet_header *h, uint8_t *data,
		       int len)
{
	static const uint8_t nothing[1];
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);
	struct gk_setup setup = {
		.type = h->requesttype, .request = h->request,
		.value = h->value, .index = h->index, .length = h->length,
	};

	if (!answer)
		goto out;
	gk_vdev_log(dev, "control %02x %02x %04x %04x %u", setup.type,
		    setup.request, setup.value, setup.index, setup.length);
	dev->stats.control_requests++;
	t = transfer_new(dev, &spare, id, usb_redir_control_packet);
	t->u.control = *h;
	/* usbredir's parser has checked this already for OUT requests. */
	if (!(setup.type & 0x80) && len != setup.length)
		answer->verdict = GK_STALL;
	else if (allowed(dev, answer) && dev->kind->control)
		dev->kind->control(dev, &setup, data ? data : nothing, answer);
	if (answer->verdict == GK_DEFAULT)
		gk_standard_request(dev, &setup, answer);
	if (!(setup.type & 0x80))
		answer->len = 0;
	transfer_settle(t, &spare, answer, setup.length);
	free(answer);
out:
	usbredirparser_free_packet_data(dev->parser, data);
}

static void out_data(struct gk_vdev *dev, uint8_t address, const uint8_t *data,
		     size_t len, struct gk_answer *answer)
{
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(address)];

	if (ep->halted || ep->type == usb_redir_type_invalid) {
		answer->verdict = GK_STALL;
		return;
	}
	dev->stats.bytes_out += len;
	if (dev->kind->out)
		dev->kind->out(dev, address, data, len, answer);
	if (answer->verdict == GK_DEFAULT)
		answer->verdict = GK_DATA;
	answer->len = 0;
}

static void on_bulk(void *priv, uint64_t id,
		    struct usb_redir_bulk_packet_header *h, uint8_t *data,
		    int len)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(h->endpoint)];

	if (!answer)
		goto out;
	t = transfer_new(dev, &spare, id, usb_redir_bulk_packet);
	t->u.bulk = *h;
	if (!(h->endpoint & 0x80)) {
		out_data(dev, h->endpoint, data, (size_t)len, answer);
		transfer_settle(t, &spare, answer, 0);
	} else if (ep->halted || ep->type != usb_redir_type_bulk) {
		answer->verdict = GK_STALL;
		transfer_settle(t, &spare, answer, 0);
	} else if (t == &spare) {
		transfer_settle(t, &spare, answer, 0);
	} else {
		if (!ep->head && dev->kind->polled)
			dev->kind->polled(dev, h->endpoint, true);
		gk_redir_pump(ep);
	}
	free(answer);
out:
	usbredirparser_free_packet_data(dev->parser, data);
}

static void on_interrupt(void *priv, uint64_t id,
			 struct usb_redir_interrupt_packet_header *h,
			 uint8_t *data, int len)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer spare, *t;
	struct gk_answer *answer = answer_new(dev);

	/* The parser lets only OUT packets through in this direction. */
	if (answer) {
		t = transfer_new(dev, &spare, id, usb_redir_interrupt_packet);
		t->u.interrupt = *h;
		out_data(dev, h->endpoint, data, (size_t)len, answer);
		transfer_settle(t, &spare, answer, 0);
		free(answer);
	}
	usbredirparser_free_packet_data(dev->parser, data);
}

static void interrupt_status(struct gk_vdev *dev, uint64_t id, uint8_t address,
			     uint8_t status)
{
	struct usb_redir_interrupt_receiving_status_header h = {
		.status = status, .endpoint = address,
	};

	usbredirparser_send_interrupt_receiving_status(dev->parser, id, &h);
}

static void on_start_interrupt(void *priv, uint64_t id,
	struct usb_redir_start_interrupt_receiving_header *h)
{
	struct gk_vdev *dev = priv;
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(h->endpoint)];

	if (!dev->connected || !(h->endpoint & 0x80) ||
	    ep->type != usb_redir_type_interrupt) {
		interrupt_status(dev, id, h->endpoint, usb_redir_inval);
		return;
	}
	ep->receiving = true;
	interrupt_status(dev, id, h->endpoint, usb_redir_success);
	gk_vdev_log(dev, "endpoint %02x polled", h->endpoint);
	if (ep->halted)
		send_interrupt(ep, usb_redir_stall, NULL, 0);
	if (dev->kind->polled)
		dev->kind->polled(dev, h->endpoint, true);
	gk_script_polled(dev);
	gk_redir_pump(ep);
}

static void on_stop_interrupt(void *priv, uint64_t id,
	struct usb_redir_stop_interrupt_receiving_header *h)
{
	struct gk_vdev *dev = priv;
	struct gk_endpoint *ep = &dev->ep[gk_ep_index(h->endpoint)];

	if (ep->receiving && dev->kind->polled)
		dev->kind->polled(dev, h->endpoint, false);
	ep->receiving = false;
	gk_vdev_log(dev, "endpoint %02x no longer polled", h->endpoint);
	interrupt_status(dev, id, h->endpoint, usb_redir_success);
}

static void on_cancel(void *priv, uint64_t id)
{
	struct gk_vdev *dev = priv;
	struct gk_transfer *t;

	dev->stats.cancels++;
	for (t = dev->transfers; t < dev->transfers + GK_TRANSFERS; t++) {
		if (!t->used || t->id != id)
			continue;
		free(t->data);
		t->data = NULL;
		t->len = 0;
		t->status = usb_redir_cancelled;
		transfer_finish(t);
		return;
	}
}

/* No virtual device has isochronous endpoints or bulk streams. */
static void on_start_iso(void *priv, uint64_t id,
			 struct usb_redir_start_iso_stream_header *h)
{
	struct usb_redir_iso_stream_status_header status = {
		.status = usb_redir_inval, .endpoint = h->endpoint,
	};
	struct gk_vdev *dev = priv;

	usbredirparser_send_iso_stream_status(dev->parser, id, &status);
}

static void on_stop_iso(void *priv, uint64_t id,
			struct usb_redir_stop_iso_stream_header *h)
{
	struct usb_redir_iso_stream_status_header status = {
		.status = usb_redir_success, .endpoint = h->endpoint,
	};
	struct gk_vdev *dev = priv;

	usbredirparser_send_iso_stream_status(dev->parser, id, &status);
}

static void on_iso(void *priv, uint64_t id,
		   struct usb_redir_iso_packet_header *h, uint8_t *data, int len)
{
	struct gk_vdev *dev = priv;

	(void)id;
	(void)h;
	(void)len;
	usbredirparser_free_packet_data(dev->parser, data);
}

static void on_alloc_streams(void *priv, uint64_t id,
			     struct usb_redir_alloc_bulk_streams_header *h)
{
	struct usb_redir_bulk_streams_status_header status = {
		.endpoints = h->endpoints, .status = usb_redir_inval,
	};
	struct gk_vdev *dev = priv;

	usbredirparser_send_bulk_streams_status(dev->parser, id, &status);
}

static void on_free_streams(void *priv, uint64_t id,
			    struct usb_redir_free_bulk_streams_header *h)
{
	struct usb_redir_bulk_streams_status_header status = {
		.endpoints = h->endpoints, .status = usb_redir_success,
	};
	struct gk_vdev *dev = priv;

	usbredirparser_send_bulk_streams_status(dev->parser, id, &status);
}

static void on_start_bulk(void *priv, uint64_t id,
			  struct usb_redir_start_bulk_receiving_header *h)
{
	struct usb_redir_bulk_receiving_status_header status = {
		.stream_id = h->stream_id, .endpoint = h->endpoint,
		.status = usb_redir_inval,
	};
	struct gk_vdev *dev = priv;

	usbredirparser_send_bulk_receiving_status(dev->parser, id, &status);
}

static void on_stop_bulk(void *priv, uint64_t id,
			 struct usb_redir_stop_bulk_receiving_header *h)
{
	struct usb_redir_bulk_receiving_status_header status = {
		.stream_id = h->stream_id, .endpoint = h->endpoint,
		.status = usb_redir_success,
	};
	struct gk_vdev *dev = priv;

	usbredirparser_send_bulk_receiving_status(dev->parser, id, &status);
}

static void on_filter_reject(void *priv)
{
	struct gk_vdev *dev = priv;

	fprintf(stderr, "%s: refused by the host side's filter\n",
		dev->kind->name);
	dev->connected = false;
	device_gone(dev, "refused by the host side");
}

static void on_filter_filter(void *priv, struct usbredirfilter_rule *rules,
			     int count)
{
	(void)priv;
	(void)count;
	free(rules);
}

static void on_disconnect_ack(void *priv)
{
	gk_vdev_log(priv, "unplug acknowledged");
}

/* --- the socket ------------------------------------------------------ */

static int parser_read(void *priv, uint8_t *data, int count)
{
	struct gk_vdev *dev = priv;
	ssize_t n = recv(dev->peer.fd, data, (size_t)count, MSG_DONTWAIT);

	if (n == 0)
		return -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return (int)n;
}

static int parser_write(void *priv, uint8_t *data, int count)
{
	struct gk_vdev *dev = priv;
	ssize_t n = send(dev->peer.fd, data, (size_t)count,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return (int)n;
}

static void parser_log(void *priv, int level, const char *msg)
{
	struct gk_vdev *dev = priv;

	if (level <= usbredirparser_warning)
		fprintf(stderr, "%s: usbredir: %s\n", dev->kind->name, msg);
}

static void try_connect(void *arg);

static void peer_close(struct gk_vdev *dev)
{
	if (!dev->parser)
		return;
	gk_loop_del(&dev->loop, &dev->peer);
	usbredirparser_destroy(dev->parser);
	dev->parser = NULL;
	close(dev->peer.fd);
	dev->peer.fd = -1;
	dev->hello = false;
	dev->closing = false;
	device_gone(dev, "host side gone");
	if (dev->opt->connect_path)
		gk_vdev_timer(dev, &dev->connect_timer, CONNECT_RETRY_US);
}

/*
 * Writes what the parser has queued, tells scripts what has been taken, and
 * closes a broken connection. Every way out of a callback ends here.
 */
static void flush(struct gk_vdev *dev)
{
	struct gk_endpoint *ep;
	uint32_t token;
	int more;

	/* A callback of the parser: peer_ready() does it when that is over. */
	if (!dev->parser || dev->parsing)
		return;
	if (usbredirparser_do_write(dev->parser) < 0)
		close_later(dev);
	if (dev->closing) {
		peer_close(dev);
		return;
	}
	more = usbredirparser_has_data_to_write(dev->parser);
	gk_loop_mod(&dev->loop, &dev->peer, EPOLLIN | (more ? EPOLLOUT : 0u));
	if (more)
		return;
	for (ep = dev->ep; ep < dev->ep + GK_ENDPOINTS; ep++) {
		token = ep->unflushed_token;
		ep->unflushed_token = 0;
		if (token)
			gk_script_token(dev, token, NULL);
		if (ep->head && !ep->pace.armed)
			gk_redir_pump(ep);
	}
	/* The pump may have filled the socket again. */
	if (usbredirparser_has_data_to_write(dev->parser))
		gk_loop_mod(&dev->loop, &dev->peer, EPOLLIN | EPOLLOUT);
}

static void peer_ready(void *arg, uint32_t events)
{
	struct gk_vdev *dev = arg;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		dev->parsing = true;
		if (usbredirparser_do_read(dev->parser) < 0)
			close_later(dev);
		dev->parsing = false;
	}
	flush(dev);
}

static void peer_open(struct gk_vdev *dev, int fd)
{
	uint32_t caps[USB_REDIR_CAPS_SIZE] = { 0 };
	struct usbredirparser *p = usbredirparser_create();

	dev->peer = (struct gk_source){
		.fd = fd, .ready = peer_ready, .arg = dev,
	};
	if (!p || gk_loop_add(&dev->loop, &dev->peer, EPOLLIN) < 0) {
		free(p);
		close(fd);
		return;
	}
	p->priv = dev;
	p->log_func = parser_log;
	p->read_func = parser_read;
	p->write_func = parser_write;
	p->hello_func = on_hello;
	p->reset_func = on_reset;
	p->set_configuration_func = on_set_configuration;
	p->get_configuration_func = on_get_configuration;
	p->set_alt_setting_func = on_set_alt;
	p->get_alt_setting_func = on_get_alt;
	p->start_iso_stream_func = on_start_iso;
	p->stop_iso_stream_func = on_stop_iso;
	p->iso_packet_func = on_iso;
	p->start_interrupt_receiving_func = on_start_interrupt;
	p->stop_interrupt_receiving_func = on_stop_interrupt;
	p->alloc_bulk_streams_func = on_alloc_streams;
	p->free_bulk_streams_func = on_free_streams;
	p->start_bulk_receiving_func = on_start_bulk;
	p->stop_bulk_receiving_func = on_stop_bulk;
	p->cancel_data_packet_func = on_cancel;
	p->filter_reject_func = on_filter_reject;
	p->filter_filter_func = on_filter_filter;
	p->device_disconnect_ack_func = on_disconnect_ack;
	p->control_packet_func = on_control;
	p->bulk_packet_func = on_bulk;
	p->interrupt_packet_func = on_interrupt;
	usbredirparser_caps_set_cap(caps, usb_redir_cap_connect_device_version);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_filter);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_device_disconnect_ack);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_ep_info_max_packet_size);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_32bits_bulk_length);
	usbredirparser_init(p, "gk-usb-device 1", caps, USB_REDIR_CAPS_SIZE,
			    usbredirparser_fl_usb_host);
	dev->parser = p;
	flush(dev);
}

static void listener_ready(void *arg, uint32_t events)
{
	struct gk_vdev *dev = arg;
	int fd = accept4(dev->listener.fd, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	/* A device is in one port at a time. */
	if (dev->parser)
		close(fd);
	else
		peer_open(dev, fd);
}

static void try_connect(void *arg)
{
	struct gk_vdev *dev = arg;
	int fd = gk_sock_connect(dev->opt->connect_path);

	if (fd < 0) {
		gk_vdev_timer(dev, &dev->connect_timer, CONNECT_RETRY_US);
		return;
	}
	peer_open(dev, fd);
	if (!dev->said_ready) {
		dev->said_ready = true;
		puts("ready");
		fflush(stdout);
	}
}

int gk_redir_init(struct gk_vdev *dev)
{
	unsigned int i;

	dev->peer.fd = -1;
	dev->listener.fd = -1;
	dev->want_plugged = !dev->opt->start_unplugged;
	for (i = 0; i < GK_ENDPOINTS; i++) {
		dev->ep[i].dev = dev;
		dev->ep[i].address =
			(uint8_t)(i < 16 ? i : 0x80u | (i - 16u));
		dev->ep[i].tail = &dev->ep[i].head;
		dev->ep[i].pace = (struct gk_timer){
			.fire = pace_due, .arg = &dev->ep[i],
		};
	}
	gk_desc_endpoints(dev);
	dev->connect_timer = (struct gk_timer){
		.fire = try_connect, .arg = dev,
	};
	if (dev->opt->connect_path) {
		gk_vdev_timer(dev, &dev->connect_timer, 0);
		return 0;
	}
	dev->listener = (struct gk_source){
		.fd = gk_sock_listen(dev->opt->listen_path, SOCK_STREAM),
		.ready = listener_ready, .arg = dev,
	};
	if (dev->listener.fd < 0 ||
	    gk_loop_add(&dev->loop, &dev->listener, EPOLLIN) < 0) {
		fprintf(stderr, "%s: %s\n", dev->opt->listen_path,
			strerror(errno));
		return -1;
	}
	return 0;
}

void gk_redir_done(struct gk_vdev *dev)
{
	if (dev->parser && dev->connected) {
		cancel_all(dev);
		usbredirparser_send_device_disconnect(dev->parser);
		flush(dev);
	}
	if (dev->parser)
		peer_close(dev);
	gk_loop_timer_stop(&dev->loop, &dev->connect_timer);
	flush_queues(dev, "ended");
	if (dev->listener.fd >= 0) {
		close(dev->listener.fd);
		unlink(dev->opt->listen_path);
	}
}
