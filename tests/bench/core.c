/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core CORPUS: how much core/ parses in a second, from the fuzzers' seeds (the
 * good ones: what real devices show), each figure beside yardsticks of this run.
 * One line a figure: NAME UNITS-PER-SECOND BYTES-PER-SECOND, for tests/bench/core.
 *   memcpy, crc32 (zlib's): the same bytes, copied or looked at once;
 *   usbredir: the key event frames' payloads as interrupt packets, read by
 *   libusbredirparser, a parser of the same kind of stream.
 * A figure is the best of five runs of 0.2 s: what disturbs only makes it slower.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <usbredirparser.h>
#include <zlib.h>

#include "core/hid_keys.h"
#include "core/hid_report.h"
#include "core/link.h"
#include "core/usb_desc.h"

enum {
	INPUTS = 256,
	BYTES = 1 << 16, /* of one kind of input */
	RUNS = 5,
	RUN_MS = 200,
};

struct inputs {
	unsigned count;
	size_t used;
	uint8_t bytes[BYTES];
	const uint8_t *at[INPUTS];
	size_t len[INPUTS];
};

static volatile uint64_t sink;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add(struct inputs *in, const void *bytes, size_t len)
{
	if (in->count == INPUTS || len > BYTES - in->used) {
		fprintf(stderr, "core: more inputs than there is room for\n");
		exit(1);
	}
	memcpy(in->bytes + in->used, bytes, len);
	in->at[in->count] = in->bytes + in->used;
	in->len[in->count++] = len;
	in->used += len;
}

/* The files of a folder that are good by themselves, and by name not hostile. */
static void load(struct inputs *in, const char *corpus, const char *kind,
		 int (*good)(const uint8_t *, size_t))
{
	static uint8_t buf[BYTES];
	char path[1024];
	struct dirent **list;
	int n;

	snprintf(path, sizeof(path), "%s/%s", corpus, kind);
	n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		FILE *f;
		size_t len;

		if (name[0] == '.' || !strncmp(name, "found-", 6) ||
		    !strncmp(name, "bad-", 4))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", corpus, kind, name);
		f = fopen(path, "rb");
		if (!f) {
			perror(path);
			exit(1);
		}
		len = fread(buf, 1, sizeof(buf), f);
		fclose(f);
		if (good(buf, len))
			add(in, buf, len);
	}
	if (in->count == 0) {
		fprintf(stderr, "core: nothing good in %s/%s\n", corpus, kind);
		exit(1);
	}
}

static struct gk_usb_device device;
static struct gk_hid_map map;

static int good_usb(const uint8_t *b, size_t len)
{
	return gk_usb_parse(b, len, &device) == GK_OK;
}

static int good_hid(const uint8_t *b, size_t len)
{
	return gk_hid_parse(b, len, &map) == GK_OK;
}

/* Each of these goes once through all the inputs. */
static void each_copy(const struct inputs *in)
{
	static uint8_t to[BYTES];

	for (unsigned i = 0; i < in->count; i++) {
		memcpy(to, in->at[i], in->len[i]);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
}

static void each_crc(const struct inputs *in)
{
	for (unsigned i = 0; i < in->count; i++)
		sink += crc32(0, in->at[i], (unsigned)in->len[i]);
}

static void each_usb(const struct inputs *in)
{
	for (unsigned i = 0; i < in->count; i++)
		sink += (uint64_t)gk_usb_parse(in->at[i], in->len[i], &device);
}

static void each_hid(const struct inputs *in)
{
	for (unsigned i = 0; i < in->count; i++)
		sink += (uint64_t)gk_hid_parse(in->at[i], in->len[i], &map);
}

static struct gk_hid_keys keys;

static void each_report(const struct inputs *in)
{
	static struct gk_link_key ev[GK_HID_KEYS_EVENTS];

	for (unsigned i = 0; i < in->count; i++)
		sink += (uint64_t)gk_hid_keys_report(&map, &keys, in->at[i], in->len[i],
						     ev);
}

static void each_decode(const struct inputs *in)
{
	struct gk_frame f;

	for (unsigned i = 0; i < in->count; i++)
		sink += (uint64_t)gk_link_decode(in->at[i], in->len[i], GK_SIDE_GATE, &f);
}

/* usbredir: our key frames as interrupt packets of endpoint 0x81. */
static struct usbredirparser *redir;
static uint8_t stream[BYTES];
static size_t stream_len, stream_at;
static unsigned packets;

static void redir_log(void *priv, int level, const char *msg)
{
	(void)priv;
	if (level == usbredirparser_error)
		fprintf(stderr, "usbredir: %s\n", msg);
}

static int redir_read(void *priv, uint8_t *data, int count)
{
	size_t n = stream_len - stream_at;

	(void)priv;
	if (n > (size_t)count)
		n = (size_t)count;
	memcpy(data, stream + stream_at, n);
	stream_at += n;
	return (int)n;
}

static int redir_write(void *priv, uint8_t *data, int count)
{
	(void)priv;
	if ((size_t)count > sizeof(stream) - stream_len)
		return -1;
	memcpy(stream + stream_len, data, (size_t)count);
	stream_len += (size_t)count;
	return count;
}

static void redir_hello(void *priv, struct usb_redir_hello_header *h)
{
	(void)priv;
	(void)h;
}

static void redir_packet(void *priv, uint64_t id,
			 struct usb_redir_interrupt_packet_header *h, uint8_t *data,
			 int len)
{
	(void)id;
	sink += h->endpoint;
	packets += len > 0;
	usbredirparser_free_packet_data((struct usbredirparser *)priv, data);
}

static struct usbredirparser *redir_open(int flags)
{
	uint32_t caps[USB_REDIR_CAPS_SIZE] = { 0 };
	struct usbredirparser *p = usbredirparser_create();

	if (!p)
		exit(1);
	p->priv = p;
	p->log_func = redir_log;
	p->read_func = redir_read;
	p->write_func = redir_write;
	p->hello_func = redir_hello;
	p->interrupt_packet_func = redir_packet;
	usbredirparser_init(p, "bench", caps, USB_REDIR_CAPS_SIZE, flags);
	return p;
}

static void redir_start(const struct inputs *in)
{
	struct usbredirparser *host = redir_open(usbredirparser_fl_usb_host);

	redir = redir_open(0);
	/* Both hellos are read before the clock runs. */
	while (usbredirparser_has_data_to_write(host))
		usbredirparser_do_write(host);
	usbredirparser_do_read(redir);
	stream_len = 0;
	for (unsigned i = 0; i < in->count; i++) {
		struct usb_redir_interrupt_packet_header h = { .endpoint = 0x81 };
		uint8_t data[GK_LINK_PAYLOAD_MAX];

		h.length = (uint16_t)(in->len[i] - GK_LINK_HEADER);
		memcpy(data, in->at[i] + GK_LINK_HEADER, h.length);
		usbredirparser_send_interrupt_packet(host, i, &h, data, h.length);
		while (usbredirparser_has_data_to_write(host))
			usbredirparser_do_write(host);
	}
	usbredirparser_destroy(host);
}

static void each_redir(const struct inputs *in)
{
	unsigned before = packets;

	stream_at = 0;
	usbredirparser_do_read(redir);
	if (packets - before != in->count) {
		fprintf(stderr, "core: usbredir read %u packets of %u\n",
			packets - before, in->count);
		exit(1);
	}
}

static void measure(const char *name, void (*each)(const struct inputs *),
		    const struct inputs *in)
{
	double best = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t start = now_ns(), end = start + RUN_MS * 1000000ull, t;
		uint64_t rounds = 0;
		double rate;

		do {
			for (unsigned i = 0; i < 16; i++)
				each(in);
			rounds += 16;
			t = now_ns();
		} while (t < end);
		rate = (double)rounds * 1e9 / (double)(t - start);
		if (rate > best)
			best = rate;
	}
	printf("%s %.0f %.0f\n", name, best * in->count, best * (double)in->used);
}

static void yardsticks(const char *name, const struct inputs *in)
{
	char text[64];

	snprintf(text, sizeof(text), "%s.memcpy", name);
	measure(text, each_copy, in);
	snprintf(text, sizeof(text), "%s.crc32", name);
	measure(text, each_crc, in);
}

/* A person's fastest: one key down, the next one too, the first one up. */
static void make_reports(struct inputs *in)
{
	for (unsigned i = 0; i < INPUTS; i++) {
		uint8_t r[8] = { 0, 0, (uint8_t)(4 + i / 2 % 26),
				 i % 2 ? (uint8_t)(4 + (i / 2 + 1) % 26) : 0 };

		add(in, r, sizeof(r));
	}
}

static void make_frames(struct inputs *in)
{
	for (unsigned i = 0; i < INPUTS; i++) {
		uint8_t buf[GK_LINK_FRAME_MAX];
		struct gk_frame f;
		int n;

		memset(&f, 0, sizeof(f));
		f.type = GK_LINK_KEY;
		f.device = 1 + i % 3;
		f.generation = 7;
		f.u.key.code = (uint16_t)(16 + i / 2 % 10);
		f.u.key.value = i % 2 == 0;
		n = gk_link_encode(&f, GK_SIDE_GATE, buf, sizeof(buf));
		if (n < 0)
			exit(1);
		add(in, buf, (size_t)n);
	}
}

int main(int argc, char **argv)
{
	/* HID 1.11 B.1, as most keyboards have it. */
	static const uint8_t keyboard[] = {
		0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29,
		0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02,
		0x95, 0x01, 0x75, 0x08, 0x81, 0x01, 0x95, 0x06, 0x75, 0x08, 0x15,
		0x00, 0x26, 0xff, 0x00, 0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00,
		0x81, 0x00, 0xc0,
	};
	static struct inputs usb, hid, reports, frames;

	if (argc != 2) {
		fprintf(stderr, "usage: core CORPUS\n");
		return 2;
	}
	load(&usb, argv[1], "usb_desc", good_usb);
	measure("usb_descriptors", each_usb, &usb);
	yardsticks("usb_descriptors", &usb);

	load(&hid, argv[1], "hid_report", good_hid);
	measure("report_descriptors", each_hid, &hid);
	yardsticks("report_descriptors", &hid);

	if (gk_hid_parse(keyboard, sizeof(keyboard), &map) != GK_OK)
		return 1;
	gk_hid_keys_init(&map, &keys, GK_HID_FOR_GATE);
	make_reports(&reports);
	measure("key_reports", each_report, &reports);
	yardsticks("key_reports", &reports);

	make_frames(&frames);
	measure("link_frames", each_decode, &frames);
	yardsticks("link_frames", &frames);
	redir_start(&frames);
	measure("link_frames.usbredir", each_redir, &frames);
	usbredirparser_destroy(redir);
	return 0;
}
