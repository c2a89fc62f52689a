/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/usb_desc.h"
#include "usb_samples.h"

/* Parses a copy of exactly that size, so that ASan sees any overread. */
static int parse(const uint8_t *raw, size_t len, struct gk_usb_device *dev)
{
	uint8_t *copy = test_malloc(len + 1);
	int err;

	memcpy(copy, raw, len);
	memset(dev, 0xee, sizeof(*dev));
	err = gk_usb_parse(copy, len, dev);
	test_free(copy);
	/* Whatever happens, what comes out can be walked through. */
	assert_true(dev->first.interfaces <= GK_USB_INTERFACES);
	assert_true(err || dev->configs <= GK_USB_CONFIGS);
	if (err) {
		assert_int_equal(dev->first.interfaces, 0);
		assert_true(dev->error_offset <= len);
	} else {
		assert_int_equal(dev->error_offset, 0);
	}
	return err;
}

static void a_plain_keyboard(void **state)
{
	static struct gk_usb_device d;
	const struct gk_usb_interface *i = &d.first.interface[0];

	(void)state;
	assert_int_equal(parse(sample_keyboard, sizeof(sample_keyboard), &d), GK_OK);
	assert_int_equal(d.bcd_usb, 0x0110);
	assert_int_equal(d.vid, 0x046d);
	assert_int_equal(d.pid, 0xc31c);
	assert_int_equal(d.bcd_device, 0x6400);
	assert_int_equal(d.base_class, 0);
	assert_int_equal(d.max_packet0, 8);
	assert_int_equal(d.serial_index, 0);
	assert_int_equal(d.configs, 1);
	assert_int_equal(d.first.value, 1);
	assert_int_equal(d.first.attributes, 0xa0);
	assert_int_equal(d.first.max_power, 45);
	assert_int_equal(d.first.interfaces, 1);
	assert_int_equal(i->number, 0);
	assert_int_equal(i->alternates, 1);
	assert_int_equal(i->base_class, 3);
	assert_int_equal(i->sub_class, 1);
	assert_int_equal(i->protocol, 1);
	assert_int_equal(i->endpoints, 1);
	assert_int_equal(i->in.address, 0x81);
	assert_int_equal(i->in.attributes, 3);
	assert_int_equal(i->in.max_packet, 8);
	assert_int_equal(i->in.interval, 10);
	assert_int_equal(i->hid_report_len, 65);
	assert_int_equal(i->hid_country, 33);
	assert_int_equal(i->offset, 27);
}

static void all_that_is_legal(void **state)
{
	static struct gk_usb_device d;
	const struct gk_usb_interface *i = d.first.interface;

	(void)state;
	assert_int_equal(parse(sample_mixed, sizeof(sample_mixed), &d), GK_OK);
	assert_int_equal(d.base_class, 0xef);
	assert_int_equal(d.sub_class, 2);
	assert_int_equal(d.protocol, 1);
	assert_int_equal(d.serial_index, 3);
	assert_int_equal(d.configs, 2);
	assert_int_equal(d.first.value, 3);
	assert_int_equal(d.first.interfaces, 3);
	assert_int_equal(i[0].number, 0);
	assert_int_equal(i[0].base_class, 1);
	assert_int_equal(i[0].endpoints, 0);
	assert_int_equal(i[0].in.address, 0);
	assert_int_equal(i[0].offset, 39);
	assert_int_equal(i[1].number, 7);
	assert_int_equal(i[1].alternates, 2);
	/* Alternate setting 0 is what is kept, not 1. */
	assert_int_equal(i[1].base_class, 3);
	assert_int_equal(i[1].endpoints, 1);
	assert_int_equal(i[1].in.address, 0x83);
	/* 0x0840: one additional transaction, 64 bytes. */
	assert_int_equal(i[1].in.max_packet, 64);
	assert_int_equal(i[1].hid_report_len, 300);
	assert_int_equal(i[1].hid_country, 8);
	assert_int_equal(i[1].offset, 52);
	assert_int_equal(i[2].number, 2);
	assert_int_equal(i[2].hid_report_len, 0);
	assert_int_equal(i[2].offset, 112);
}

/* No prefix of a good set is good, and none is one byte longer. */
static void truncation_at_every_byte(void **state)
{
	static const struct {
		const uint8_t *raw;
		size_t len;
	} samples[] = {
		{ sample_keyboard, sizeof(sample_keyboard) },
		{ sample_mixed, sizeof(sample_mixed) },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		uint8_t longer[sizeof(sample_mixed) + 1] = { 0 };
		struct gk_usb_device d;

		for (size_t len = 0; len < samples[i].len; len++) {
			int err = parse(samples[i].raw, len, &d);

			CHECK(err == GK_ERR_SHORT, "sample %zu cut to %zu: %s", i, len,
			      gk_strerror(err));
		}
		memcpy(longer, samples[i].raw, samples[i].len);
		assert_int_equal(parse(longer, samples[i].len + 1, &d), GK_ERR_TRAILING);
		assert_int_equal(d.error_offset, samples[i].len);
	}
}

/* Where the only interface with something wrong in it has it; 0: there is none. */
static uint16_t odd_at(const struct gk_usb_device *d)
{
	uint16_t at = 0;

	for (unsigned i = 0; i < d->first.interfaces; i++) {
		if (!d->first.interface[i].odd_at)
			continue;
		assert_int_equal(at, 0);
		at = d->first.interface[i].odd_at;
	}
	return at;
}

/* wTotalLength shortened with the bytes: it must end on a descriptor. */
static void a_total_length_that_lies(void **state)
{
	(void)state;
	for (uint8_t total = 0; total < 34; total++) {
		uint8_t raw[sizeof(sample_keyboard)];
		struct gk_usb_device d;
		size_t at = 18 + total;
		/* An interface that has lost its endpoint, and one all of it. */
		int odd = at == 36 || at == 45;
		int want = odd ? GK_OK : at == 27 ? GK_ERR_VALUE : GK_ERR_LENGTH;
		int err;

		memcpy(raw, sample_keyboard, sizeof(raw));
		raw[20] = total;
		err = parse(raw, total < 9 ? sizeof(raw) : at, &d);
		CHECK(err == want, "total %u: %s", total, gk_strerror(err));
		CHECK(d.first.interface[0].odd_at == (odd ? 31 : 0), "total %u", total);
		err = parse(raw, sizeof(raw), &d);
		if (odd)
			want = GK_ERR_TRAILING;
		CHECK(err == want, "total %u, all bytes: %s", total, gk_strerror(err));
	}
}

static void bad_bytes(void **state)
{
	/* Parsed, and the interface is marked at that offset. */
	enum { ODD = 1 };
	static const struct {
		const uint8_t *raw;
		uint16_t at;
		uint8_t value;
		int err;
		uint16_t offset;
	} cases[] = {
#define K sample_keyboard
#define M sample_mixed
		/* Device descriptor. */
		{ K, 0, 0, GK_ERR_LENGTH, 0 },
		{ K, 0, 17, GK_ERR_LENGTH, 0 },
		{ K, 0, 19, GK_ERR_LENGTH, 0 },
		{ K, 1, 2, GK_ERR_VALUE, 1 },
		{ K, 17, 0, GK_ERR_VALUE, 17 },
		{ K, 17, 2, GK_ERR_SHORT, 52 },
		{ K, 17, 9, GK_ERR_LIMIT, 17 },
		{ K, 17, 255, GK_ERR_LIMIT, 17 },
		{ M, 17, 1, GK_ERR_TRAILING, 139 },
		{ M, 17, 3, GK_ERR_SHORT, 157 },
		/* Configuration descriptor. */
		{ K, 18, 0, GK_ERR_LENGTH, 18 },
		{ K, 18, 8, GK_ERR_LENGTH, 18 },
		{ K, 18, 10, GK_ERR_VALUE, 33 },
		{ K, 18, 255, GK_ERR_LENGTH, 20 },
		{ K, 19, 4, GK_ERR_VALUE, 19 },
		{ K, 20, 8, GK_ERR_LENGTH, 20 },
		{ K, 20, 35, GK_ERR_SHORT, 20 },
		{ K, 21, 1, GK_ERR_SHORT, 20 },
		{ K, 22, 0, GK_ERR_VALUE, 22 },
		{ K, 22, 2, GK_ERR_VALUE, 22 },
		{ K, 22, 33, GK_ERR_LIMIT, 22 },
		{ K, 23, 0, GK_ERR_VALUE, 23 },
		{ M, 22, 2, GK_ERR_VALUE, 22 },
		{ M, 140, 5, GK_ERR_VALUE, 140 },
		{ M, 143, 0, GK_ERR_VALUE, 143 },
		{ M, 144, 3, GK_ERR_VALUE, 144 },
		/* Interface descriptor. */
		{ K, 27, 0, GK_ERR_LENGTH, 27 },
		{ K, 27, 1, GK_ERR_LENGTH, 27 },
		{ K, 27, 8, GK_ERR_LENGTH, 27 },
		{ K, 27, 26, GK_ERR_LENGTH, 27 },
		{ K, 28, 1, GK_ERR_VALUE, 28 },
		{ K, 28, 2, GK_ERR_VALUE, 28 },
		{ K, 28, 5, GK_ERR_VALUE, 28 },
		{ K, 28, 0x24, GK_ERR_VALUE, 46 },
		{ K, 30, 1, ODD, 30 },
		{ K, 31, 0, ODD, 31 },
		{ K, 31, 2, ODD, 31 },
		{ K, 31, 31, GK_ERR_LIMIT, 31 },
		{ K, 31, 255, GK_ERR_LIMIT, 31 },
		{ M, 92, 0, ODD, 92 },
		{ M, 91, 0, GK_OK, 0 },
		{ M, 91, 8, GK_ERR_VALUE, 22 },
		{ M, 114, 0, GK_ERR_VALUE, 22 },
		{ M, 93, 1, ODD, 93 },
		{ M, 93, 3, ODD, 93 },
		/* HID descriptor, and its length only where it is HID's. */
		{ K, 36, 8, GK_ERR_LENGTH, 44 },
		{ K, 36, 2, GK_ERR_LENGTH, 38 },
		{ K, 36, 17, GK_ERR_LENGTH, 36 },
		{ M, 94, 3, GK_OK, 0 },
		{ M, 117, 3, GK_OK, 0 },
		{ M, 131, 0x21, GK_OK, 0 },
		/* Association. */
		{ M, 31, 7, GK_ERR_LENGTH, 31 },
		{ M, 34, 255, GK_OK, 0 },
		/* Endpoint descriptor. */
		{ K, 45, 6, GK_ERR_LENGTH, 51 },
		{ K, 45, 8, GK_ERR_LENGTH, 45 },
		{ K, 46, 0x25, ODD, 31 },
		{ K, 47, 0x80, ODD, 47 },
		{ K, 47, 0x00, ODD, 47 },
		{ K, 47, 0x91, ODD, 47 },
		{ K, 47, 0xc1, ODD, 47 },
		{ M, 107, 0x03, ODD, 107 },
		{ M, 107, 0x83, GK_OK, 0 },
		/* An unknown descriptor's length. */
		{ M, 28, 0, GK_ERR_LENGTH, 28 },
		{ M, 28, 1, GK_ERR_LENGTH, 28 },
		{ M, 48, 2, GK_ERR_LENGTH, 50 },
		{ M, 130, 10, GK_ERR_LENGTH, 130 },
#undef K
#undef M
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t raw[sizeof(sample_mixed)];
		size_t len = cases[i].raw == sample_keyboard ? sizeof(sample_keyboard)
							     : sizeof(sample_mixed);
		struct gk_usb_device d;
		int err;

		memcpy(raw, cases[i].raw, len);
		CHECK(raw[cases[i].at] != cases[i].value, "row %zu changes nothing", i);
		raw[cases[i].at] = cases[i].value;
		err = parse(raw, len, &d);
		CHECK(err == (cases[i].err == ODD ? GK_OK : cases[i].err),
		      "row %zu, byte %u = %#x: %s", i, cases[i].at, cases[i].value,
		      gk_strerror(err));
		CHECK((err ? d.error_offset : odd_at(&d)) == cases[i].offset,
		      "row %zu, byte %u = %#x: at %u", i, cases[i].at, cases[i].value,
		      err ? d.error_offset : odd_at(&d));
	}
}

/* Any one byte changed to anything: an answer, and one that can be used. */
static void every_byte_every_value(void **state)
{
	uint8_t raw[sizeof(sample_mixed)];
	unsigned good = 0, bad = 0;

	(void)state;
	memcpy(raw, sample_mixed, sizeof(raw));
	for (size_t at = 0; at < sizeof(raw); at++) {
		for (unsigned v = 0; v < 256; v++) {
			struct gk_usb_device d;

			raw[at] = (uint8_t)v;
			if (parse(raw, sizeof(raw), &d) == GK_OK)
				good++;
			else
				bad++;
		}
		raw[at] = sample_mixed[at];
	}
	assert_true(good > 1000);
	assert_true(bad > 1000);
}

/* Descriptor sets that are built, for the caps. */
struct build {
	uint8_t raw[GK_USB_RAW_MAX + 64];
	size_t len;
	size_t config;
};

static void add(struct build *b, const void *bytes, size_t n)
{
	assert_true(b->len + n <= sizeof(b->raw));
	memcpy(b->raw + b->len, bytes, n);
	b->len += n;
}

static void add_device(struct build *b, uint8_t configs)
{
	memset(b, 0, sizeof(*b));
	add(b, sample_keyboard, 17);
	add(b, &configs, 1);
}

static void add_config(struct build *b, uint8_t value, uint8_t interfaces)
{
	const uint8_t d[] = { 9, 2, 0, 0, interfaces, value, 0, 0x80, 50 };

	b->config = b->len;
	add(b, d, sizeof(d));
}

static void add_interface(struct build *b, uint8_t number, uint8_t alt,
			  uint8_t endpoints)
{
	const uint8_t d[] = { 9, 4, number, alt, endpoints, 0xff, 0, 0, 0 };

	add(b, d, sizeof(d));
}

static void add_endpoint(struct build *b, uint8_t address)
{
	const uint8_t d[] = { 7, 5, address, 2, 64, 0, 0 };

	add(b, d, sizeof(d));
}

static void end_config(struct build *b)
{
	size_t total = b->len - b->config;

	b->raw[b->config + 2] = (uint8_t)(total & 0xff);
	b->raw[b->config + 3] = (uint8_t)(total >> 8 & 0xff);
}

static struct build b;

static void cap_configs(void **state)
{
	struct gk_usb_device d;

	(void)state;
	for (uint8_t n = 1; n <= 10; n++) {
		add_device(&b, n);
		for (uint8_t i = 0; i < n; i++) {
			add_config(&b, (uint8_t)(i + 1), 1);
			add_interface(&b, 0, 0, 0);
			end_config(&b);
		}
		assert_int_equal(parse(b.raw, b.len, &d),
				 n <= GK_USB_CONFIGS ? GK_OK : GK_ERR_LIMIT);
	}
}

static void cap_interfaces(void **state)
{
	static const struct {
		uint8_t claimed, there;
		int err;
	} cases[] = {
		{ 0, 0, GK_OK },
		{ 32, 32, GK_OK },
		{ 33, 33, GK_ERR_LIMIT },
		{ 32, 33, GK_ERR_LIMIT },
		{ 31, 32, GK_ERR_VALUE },
		{ 32, 31, GK_ERR_VALUE },
		{ 255, 255, GK_ERR_LIMIT },
		{ 0, 255, GK_ERR_LIMIT },
	};
	struct gk_usb_device d;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		add_device(&b, 1);
		add_config(&b, 1, cases[i].claimed);
		for (uint8_t n = 0; n < cases[i].there; n++)
			add_interface(&b, (uint8_t)(255 - n), 0, 0);
		end_config(&b);
		CHECK(parse(b.raw, b.len, &d) == cases[i].err, "row %zu", i);
	}
}

static void cap_alternates(void **state)
{
	struct gk_usb_device d;

	(void)state;
	for (unsigned n = 1; n <= 130; n++) {
		/* On one interface, and shared by two, with gaps in the numbers. */
		for (unsigned shared = 0; shared < 2; shared++) {
			add_device(&b, 1);
			add_config(&b, 1, (uint8_t)(1 + shared));
			if (shared)
				add_interface(&b, 1, 0, 0);
			for (unsigned a = shared; a < n; a++)
				add_interface(&b, 0,
					      (uint8_t)(a == shared ? 0 : 255 - a), 0);
			end_config(&b);
			if (shared && n == 1)
				continue;
			assert_int_equal(parse(b.raw, b.len, &d),
					 n <= GK_USB_ALTSETTINGS ? GK_OK : GK_ERR_LIMIT);
			if (n <= GK_USB_ALTSETTINGS)
				assert_int_equal(d.first.interface[shared].alternates,
						 n - shared);
		}
	}
}

static void cap_endpoints(void **state)
{
	struct gk_usb_device d;

	(void)state;
	for (uint8_t n = 0; n <= 31; n++) {
		add_device(&b, 1);
		add_config(&b, 1, 1);
		add_interface(&b, 0, 0, n);
		for (uint8_t e = 0; e < n; e++)
			add_endpoint(&b, (uint8_t)(1 + e % 15 + (e >= 15 ? 0x80 : 0)));
		end_config(&b);
		assert_int_equal(parse(b.raw, b.len, &d),
				 n <= GK_USB_ENDPOINTS ? GK_OK : GK_ERR_LIMIT);
	}
	/* 31 of them under a count of 30: nothing of it is relied on. */
	add_device(&b, 1);
	add_config(&b, 1, 1);
	add_interface(&b, 0, 0, 30);
	for (uint8_t e = 0; e < 31; e++)
		add_endpoint(&b, (uint8_t)(1 + e % 15 + (e >= 15 ? 0x80 : 0)));
	end_config(&b);
	assert_int_equal(parse(b.raw, b.len, &d), GK_OK);
	assert_int_equal(d.first.interface[0].odd_at, 18 + 9 + 9 + 30 * 7 + 2);
}

static void cap_descriptors(void **state)
{
	static const uint8_t tiny[] = { 2, 0x41 };
	struct gk_usb_device d;

	(void)state;
	for (unsigned n = GK_USB_DESCRIPTORS - 3; n <= GK_USB_DESCRIPTORS + 3; n++) {
		/* One interface and n - 1 tiny ones, over two configurations. */
		add_device(&b, 2);
		add_config(&b, 1, 1);
		add_interface(&b, 0, 0, 0);
		for (unsigned i = 0; i < 1000; i++)
			add(&b, tiny, sizeof(tiny));
		end_config(&b);
		add_config(&b, 2, 0);
		for (unsigned i = 1001; i < n; i++)
			add(&b, tiny, sizeof(tiny));
		end_config(&b);
		assert_int_equal(parse(b.raw, b.len, &d),
				 n <= GK_USB_DESCRIPTORS ? GK_OK : GK_ERR_LIMIT);
	}
}

static void cap_bytes(void **state)
{
	uint8_t filler[255] = { 255, 0x41 };
	struct gk_usb_device d;

	(void)state;
	add_device(&b, 1);
	add_config(&b, 1, 0);
	while (b.len + 255 <= GK_USB_RAW_MAX - 2)
		add(&b, filler, 255);
	filler[0] = (uint8_t)(GK_USB_RAW_MAX - b.len);
	add(&b, filler, filler[0]);
	end_config(&b);
	assert_int_equal(b.len, GK_USB_RAW_MAX);
	assert_int_equal(parse(b.raw, b.len, &d), GK_OK);
	assert_int_equal(parse(b.raw, b.len + 1, &d), GK_ERR_LIMIT);
	assert_int_equal(d.error_offset, GK_USB_RAW_MAX);
}

/* Interfaces may come back after others: their alternates need not adjoin. */
static void interleaved_alternates(void **state)
{
	struct gk_usb_device d;

	(void)state;
	add_device(&b, 1);
	add_config(&b, 1, 2);
	add_interface(&b, 4, 1, 1);
	add_endpoint(&b, 0x81);
	add_interface(&b, 3, 0, 0);
	add_interface(&b, 4, 0, 0);
	end_config(&b);
	assert_int_equal(parse(b.raw, b.len, &d), GK_OK);
	assert_int_equal(d.first.interface[0].number, 4);
	assert_int_equal(d.first.interface[0].alternates, 2);
	assert_int_equal(d.first.interface[0].endpoints, 0);
	assert_int_equal(d.first.interface[0].offset, 18 + 9 + 9 + 7 + 9);
	assert_int_equal(d.first.interface[1].number, 3);
}

/* Which endpoint is kept, and what counts as the same one. */
static void endpoints(void **state)
{
	static const struct {
		uint8_t n;
		uint8_t ep[4][2]; /* address, attributes */
		int odd;
		uint8_t in;
	} cases[] = {
		{ 2, { { 0x01, 3 }, { 0x82, 3 } }, 0, 0x82 },
		{ 2, { { 0x81, 2 }, { 0x82, 3 } }, 0, 0x82 },
		{ 2, { { 0x81, 1 }, { 0x82, 0x13 } }, 0, 0x82 },
		{ 2, { { 0x83, 3 }, { 0x82, 3 } }, 0, 0x83 },
		{ 2, { { 0x01, 3 }, { 0x81, 3 } }, 0, 0x81 },
		{ 2, { { 0x8f, 3 }, { 0x0f, 3 } }, 0, 0x8f },
		{ 1, { { 0x81, 2 } }, 0, 0 },
		{ 1, { { 0x01, 3 } }, 0, 0 },
		{ 0, { { 0 } }, 0, 0 },
		{ 3, { { 0x81, 3 }, { 0x82, 3 }, { 0x81, 3 } }, 1, 0x81 },
		{ 4,
		  { { 0x01, 3 }, { 0x81, 3 }, { 0x02, 2 }, { 0x01, 2 } },
		  1,
		  0x81 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_usb_device d;

		add_device(&b, 1);
		add_config(&b, 1, 1);
		add_interface(&b, 0, 0, cases[i].n);
		for (unsigned e = 0; e < cases[i].n; e++) {
			add_endpoint(&b, cases[i].ep[e][0]);
			b.raw[b.len - 4] = cases[i].ep[e][1];
		}
		end_config(&b);
		CHECK(parse(b.raw, b.len, &d) == GK_OK, "row %zu", i);
		CHECK(odd_at(&d) == (cases[i].odd ? b.len - 5 : 0), "row %zu: %u", i,
		      odd_at(&d));
		CHECK(d.first.interface[0].in.address == cases[i].in, "row %zu: %#x", i,
		      d.first.interface[0].in.address);
	}
}

/* Every interface has its setting 0, every configuration a value of its own. */
static void settings_and_values(void **state)
{
	struct gk_usb_device d;

	(void)state;
	for (uint8_t missing = 0; missing < 4; missing++) {
		add_device(&b, 1);
		add_config(&b, 1, 3);
		for (uint8_t n = 0; n < 3; n++)
			add_interface(&b, n, n == missing, 0);
		end_config(&b);
		assert_int_equal(parse(b.raw, b.len, &d), GK_OK);
		assert_int_equal(odd_at(&d), missing < 3 ? 27 + 9 * missing + 3 : 0);
	}
	for (uint8_t a = 1; a <= 3; a++) {
		for (uint8_t c = 1; c <= 3; c++) {
			const uint8_t values[] = { a, 2, c };

			add_device(&b, 3);
			for (unsigned i = 0; i < 3; i++) {
				add_config(&b, values[i], 0);
				end_config(&b);
			}
			assert_int_equal(parse(b.raw, b.len, &d),
					 a == 2 || c == 2 || a == c ? GK_ERR_VALUE
								    : GK_OK);
		}
	}
}

/* A HID descriptor's second copy, and entries beyond bNumDescriptors. */
static void hid_descriptors(void **state)
{
	static const struct {
		uint8_t hid[24];
		uint8_t len;
		int odd;
		uint16_t report_len;
	} cases[] = {
		{ { 9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0 }, 9, 0, 63 },
		{ { 9, 0x21, 0x11, 1, 0, 0, 0x22, 63, 0 }, 9, 0, 63 },
		{ { 9, 0x21, 0x11, 1, 0, 5, 0x22, 63, 0 }, 9, 0, 63 },
		{ { 9, 0x21, 0x11, 1, 0, 1, 0x23, 63, 0 }, 9, 0, 0 },
		{ { 10, 0x21, 0x11, 1, 0, 1, 0x22, 0xff, 0xff, 0 }, 10, 0, 0xffff },
		{ { 12, 0x21, 0x11, 1, 0, 2, 0x22, 1, 0, 0x22, 2, 0 }, 12, 0, 1 },
		{ { 9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0, 9, 0x21, 0x11, 1, 0, 1, 0x22,
		    63, 0 },
		  18,
		  1,
		  63 },
		{ { 8, 0x21, 0x11, 1, 0, 1, 0x22, 63 }, 8, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const uint8_t itf[] = { 9, 4, 0, 0, 0, 3, 0, 0, 0 };
		struct gk_usb_device d;

		add_device(&b, 1);
		add_config(&b, 1, 1);
		add(&b, itf, sizeof(itf));
		add(&b, cases[i].hid, cases[i].len);
		end_config(&b);
		CHECK(parse(b.raw, b.len, &d) == GK_OK, "row %zu", i);
		CHECK((odd_at(&d) != 0) == cases[i].odd, "row %zu", i);
		assert_int_equal(d.first.interface[0].hid_report_len,
				 cases[i].report_len);
	}
}

/* What is wrong in one interface stays there, whichever side of it the good one is
 * on; in a hub it is the device's. */
static void odd_beside_good(void **state)
{
	static const uint8_t good[] = { 9, 4, 0, 0, 1, 3, 1, 1, 0,
					9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0,
					7, 5, 0x81, 3, 8, 0, 10 };
	static const struct {
		uint8_t raw[24], len;
		uint8_t at; /* of what is wrong */
	} cases[] = {
		/* bNumEndpoints 1 of 2, 2 of 1 */
		{ { 9, 4, 1, 0, 1, 8, 6, 80, 0, 7, 5, 0x82, 2, 64, 0, 0,
		    7, 5, 3, 2, 64, 0, 0 }, 23, 4 },
		{ { 9, 4, 1, 0, 2, 8, 6, 80, 0, 7, 5, 0x82, 2, 64, 0, 0 }, 16, 4 },
		/* the same endpoint twice, a short one, number 0 */
		{ { 9, 4, 1, 0, 2, 8, 6, 80, 0, 7, 5, 2, 2, 64, 0, 0,
		    7, 5, 2, 2, 64, 0, 0 }, 23, 18 },
		{ { 9, 4, 1, 0, 1, 8, 6, 80, 0, 6, 5, 2, 2, 64, 0 }, 15, 9 },
		{ { 9, 4, 1, 0, 1, 8, 6, 80, 0, 7, 5, 0x80, 2, 64, 0, 0 }, 16, 11 },
		/* the same setting twice, none that is 0 */
		{ { 9, 4, 1, 0, 0, 8, 6, 80, 0, 9, 4, 1, 0, 0, 3, 1, 1, 0 }, 18, 12 },
		{ { 9, 4, 1, 1, 0, 8, 6, 80, 0 }, 9, 3 },
		/* a HID descriptor of 6 bytes */
		{ { 9, 4, 1, 0, 0, 3, 1, 1, 0, 6, 0x21, 0x11, 1, 0, 0 }, 15, 9 },
	};

	(void)state;
	for (unsigned n = 0; n < 4 * COUNT(cases); n++) {
		const uint8_t *raw = cases[n / 4].raw;
		unsigned first = n & 1, hub = n >> 1 & 1;
		const struct gk_usb_interface *i;
		struct gk_usb_device d;
		size_t at;
		int err;

		add_device(&b, 1);
		add_config(&b, 1, 2);
		if (!first)
			add(&b, good, sizeof(good));
		at = b.len;
		add(&b, raw, cases[n / 4].len);
		if (hub)
			b.raw[at + 5] = 9;
		if (first)
			add(&b, good, sizeof(good));
		end_config(&b);
		err = parse(b.raw, b.len, &d);
		at += cases[n / 4].at;
		/* The last one: a hub has no HID descriptor to look at. */
		if (hub && n / 4 + 1 < COUNT(cases)) {
			CHECK(err < 0 && d.error_offset == at, "row %u", n);
			continue;
		}
		CHECK(err == GK_OK && odd_at(&d) == (hub ? 0 : at), "row %u: %u", n,
		      odd_at(&d));
		i = &d.first.interface[first];
		assert_int_equal(i->number, 0);
		assert_int_equal(i->odd_at, 0);
		assert_int_equal(i->in.address, 0x81);
		assert_int_equal(i->hid_report_len, 63);
		/* Of two that are the same, the first. */
		i = &d.first.interface[!first];
		CHECK(i->base_class != 3 || raw[5] == 3, "row %u", n);
	}
}

/* Which endpoint of which kind: the first one of setting 0, no isochronous one. */
static void endpoint_kinds(void **state)
{
	static const uint8_t eps[][2] = {
		{ 0x81, 1 }, { 0x02, 2 }, { 0x83, 2 }, { 0x04, 3 }, { 0x85, 3 },
		{ 0x06, 2 }, { 0x87, 2 }, { 0x08, 3 }, { 0x89, 3 }, { 0x0a, 0 },
	};
	const struct gk_usb_interface *i;
	struct gk_usb_device d;

	(void)state;
	add_device(&b, 1);
	add_config(&b, 1, 1);
	add_interface(&b, 0, 1, 1);
	add_endpoint(&b, 0x0f);
	add_interface(&b, 0, 0, COUNT(eps));
	for (size_t e = 0; e < COUNT(eps); e++) {
		add_endpoint(&b, eps[e][0]);
		b.raw[b.len - 4] = eps[e][1];
	}
	end_config(&b);
	assert_int_equal(parse(b.raw, b.len, &d), GK_OK);
	i = &d.first.interface[0];
	assert_int_equal(i->bulk_out.address, 0x02);
	assert_int_equal(i->bulk_in.address, 0x83);
	assert_int_equal(i->out.address, 0x04);
	assert_int_equal(i->in.address, 0x85);
	assert_int_equal(i->bulk_out.attributes, 2);
	assert_int_equal(i->out.max_packet, 64);
}

/* A YubiKey-like reader's class descriptor, each field with its own value. */
static const uint8_t ccid[] = {
	0x36, 0x21, 0x10, 0x01, 3,    7,    3,	  0,	0,    0,    0xa0,
	0x0f, 0,    0,	  0xa1, 0x0f, 0,    0,	  9,	0x00, 0x2a, 0,
	0,    0x01, 0x2a, 0,	0,    8,    0xfe, 0,	0,    0,    1,
	2,    3,    4,	  5,	6,    7,    8,	  0xfe, 0x04, 0x04, 0,
	0x00, 0x0c, 0,	  0,	0xfd, 0xfc, 0x10, 0x02, 3,    2,
};

enum { CCID_MAX_MESSAGE = 44 };

/* One interface of that class with n copies of d, before or behind an endpoint. */
static const struct gk_usb_ccid *parse_ccid(struct gk_usb_device *dev, uint8_t class,
					    uint8_t alt, const uint8_t *d, size_t len,
					    unsigned n, int behind)
{
	add_device(&b, 1);
	add_config(&b, 1, 1);
	if (alt != 0)
		add_interface(&b, 0, 0, 0);
	add_interface(&b, 0, alt, 1);
	b.raw[b.len - 4] = class;
	if (behind)
		add_endpoint(&b, 0x81);
	for (unsigned i = 0; i < n; i++)
		add(&b, d, len);
	if (!behind)
		add_endpoint(&b, 0x81);
	end_config(&b);
	assert_int_equal(parse(b.raw, b.len, dev), GK_OK);
	assert_int_equal(dev->first.interface[0].bulk_in.address, alt ? 0 : 0x81);
	return &dev->first.interface[0].ccid;
}

static void ccid_descriptor(void **state)
{
	static const struct gk_usb_ccid none;
	const struct gk_usb_ccid *c;
	struct gk_usb_device d;
	uint8_t other[64] = { 0 };

	(void)state;
	assert_int_equal(sizeof(ccid), 54);
	for (int behind = 0; behind < 2; behind++) {
		c = parse_ccid(&d, 0x0b, 0, ccid, sizeof(ccid), 1, behind);
		assert_int_equal(c->present, 1);
		assert_int_equal(c->bcd_ccid, 0x0110);
		assert_int_equal(c->max_slot, 3);
		assert_int_equal(c->voltages, 7);
		assert_int_equal(c->protocols, 3);
		assert_int_equal(c->default_clock, 4000);
		assert_int_equal(c->max_clock, 4001);
		assert_int_equal(c->data_rate, 10752);
		assert_int_equal(c->max_data_rate, 10753);
		assert_int_equal(c->max_ifsd, 254);
		assert_int_equal(c->features, 0x000404fe);
		assert_int_equal(c->max_message, 3072);
		assert_int_equal(c->class_get_response, 0xfd);
		assert_int_equal(c->class_envelope, 0xfc);
		assert_int_equal(c->lcd_layout, 0x0210);
		assert_int_equal(c->pin_support, 3);
		assert_int_equal(c->max_busy_slots, 2);
	}
	/* Twice, three times, of another class, of another setting. */
	c = parse_ccid(&d, 0x0b, 0, ccid, sizeof(ccid), 2, 0);
	assert_memory_equal(c, &none, sizeof(none));
	c = parse_ccid(&d, 0x0b, 0, ccid, sizeof(ccid), 3, 1);
	assert_memory_equal(c, &none, sizeof(none));
	c = parse_ccid(&d, 0xff, 0, ccid, sizeof(ccid), 1, 0);
	assert_memory_equal(c, &none, sizeof(none));
	c = parse_ccid(&d, 0x0b, 1, ccid, sizeof(ccid), 1, 0);
	assert_memory_equal(c, &none, sizeof(none));
	/* Any other length. */
	for (uint8_t len = 2; len <= sizeof(other); len++) {
		memcpy(other, ccid, sizeof(ccid));
		other[0] = len;
		c = parse_ccid(&d, 0x0b, 0, other, len, 1, 0);
		CHECK(c->present == (len == 54), "length %u", len);
		CHECK(len == 54 || memcmp(c, &none, sizeof(none)) == 0, "length %u", len);
	}
}

static void ccid_message_length(void **state)
{
	static const struct {
		uint32_t length;
		uint8_t present;
	} cases[] = {
		{ 0, 0 },	 { 10, 0 },	{ 14, 0 },    { 15, 1 },
		{ 263, 1 },	 { 271, 1 },	{ 3072, 1 },  { 65535, 1 },
		{ 65554, 1 },	 { 65555, 1 },	{ 524288, 1 }, { 0xffffffff, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct gk_usb_ccid *c;
		struct gk_usb_device d;
		uint8_t raw[sizeof(ccid)];

		memcpy(raw, ccid, sizeof(raw));
		for (unsigned k = 0; k < 4; k++)
			raw[CCID_MAX_MESSAGE + k] =
				(uint8_t)(cases[i].length >> 8 * k & 0xff);
		c = parse_ccid(&d, 0x0b, 0, raw, sizeof(raw), 1, 0);
		CHECK(c->present == cases[i].present, "row %zu", i);
		CHECK(c->max_message == (!cases[i].present ? 0 :
					 cases[i].length < GK_CCID_MESSAGE_MAX ?
					 cases[i].length : GK_CCID_MESSAGE_MAX),
		      "row %zu: %u", i, c->max_message);
	}
}

static void add_association(struct build *to, uint8_t first, uint8_t count)
{
	const uint8_t d[] = { 8, 11, first, count, 0x0e, 3, 1, 0 };

	add(to, d, sizeof(d));
}

/* Interfaces 0, 1, 2, 5, 255; which associations of them are kept. */
static void associations(void **state)
{
	static const uint8_t numbers[] = { 0, 1, 2, 5, 255 };
	static const struct {
		uint8_t iads;
		uint8_t iad[3][2]; /* first, count */
		uint8_t kept;
		uint8_t of[5]; /* each interface's */
	} cases[] = {
		{ 0, { { 0 } }, 0, { 0 } },
		{ 1, { { 0, 3 } }, 1, { 1, 1, 1, 0, 0 } },
		{ 2, { { 0, 2 }, { 5, 1 } }, 2, { 1, 1, 0, 2, 0 } },
		{ 3, { { 255, 1 }, { 0, 1 }, { 1, 2 } }, 3, { 2, 3, 3, 0, 1 } },
		/* None, one too many, one that is not there, past the last number. */
		{ 1, { { 0, 0 } }, 0, { 0 } },
		{ 1, { { 0, 4 } }, 0, { 0 } },
		{ 1, { { 3, 1 } }, 0, { 0 } },
		{ 1, { { 255, 2 } }, 0, { 0 } },
		{ 1, { { 0, 255 } }, 0, { 0 } },
		/* One that is another's: the first one has it. */
		{ 2, { { 0, 2 }, { 1, 2 } }, 1, { 1, 1, 0, 0, 0 } },
		{ 3, { { 0, 2 }, { 0, 2 }, { 2, 1 } }, 2, { 1, 1, 2, 0, 0 } },
		{ 2, { { 1, 4 }, { 1, 2 } }, 1, { 0, 1, 1, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_usb_device d;

		add_device(&b, 1);
		add_config(&b, 1, sizeof(numbers));
		for (unsigned k = 0; k < cases[i].iads; k++)
			add_association(&b, cases[i].iad[k][0], cases[i].iad[k][1]);
		for (size_t n = 0; n < sizeof(numbers); n++)
			add_interface(&b, numbers[n], 0, 0);
		end_config(&b);
		CHECK(parse(b.raw, b.len, &d) == GK_OK, "row %zu", i);
		CHECK(d.first.associations == cases[i].kept, "row %zu: %u", i,
		      d.first.associations);
		for (size_t n = 0; n < sizeof(numbers); n++)
			CHECK(d.first.interface[n].association == cases[i].of[n],
			      "row %zu, interface %u: %u", i, numbers[n],
			      d.first.interface[n].association);
		if (cases[i].kept) {
			assert_int_equal(d.first.association[0].base_class, 0x0e);
			assert_int_equal(d.first.association[0].sub_class, 3);
			assert_int_equal(d.first.association[0].protocol, 1);
		}
	}
	/* As many as there can be, and then more of them. */
	for (unsigned n = 1; n <= 40; n++) {
		struct gk_usb_device d;

		add_device(&b, 1);
		add_config(&b, 1, 32);
		for (unsigned k = 0; k < n; k++)
			add_association(&b, (uint8_t)k, 1);
		for (uint8_t k = 0; k < 32; k++)
			add_interface(&b, k, 0, 0);
		end_config(&b);
		assert_int_equal(parse(b.raw, b.len, &d), GK_OK);
		assert_int_equal(d.first.associations, n < 32 ? n : 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_keyboard),
		cmocka_unit_test(all_that_is_legal),
		cmocka_unit_test(truncation_at_every_byte),
		cmocka_unit_test(a_total_length_that_lies),
		cmocka_unit_test(bad_bytes),
		cmocka_unit_test(every_byte_every_value),
		cmocka_unit_test(cap_configs),
		cmocka_unit_test(cap_interfaces),
		cmocka_unit_test(cap_alternates),
		cmocka_unit_test(cap_endpoints),
		cmocka_unit_test(cap_descriptors),
		cmocka_unit_test(cap_bytes),
		cmocka_unit_test(interleaved_alternates),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(settings_and_values),
		cmocka_unit_test(hid_descriptors),
		cmocka_unit_test(odd_beside_good),
		cmocka_unit_test(endpoint_kinds),
		cmocka_unit_test(ccid_descriptor),
		cmocka_unit_test(ccid_message_length),
		cmocka_unit_test(associations),
	};

	return cmocka_run_group_tests_name("usb_desc", tests, NULL, NULL);
}
