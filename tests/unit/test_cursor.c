/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include "core/cursor.h"

static const uint8_t bytes[16] = {
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	0x89, 0x9a, 0xab, 0xbc, 0xcd, 0xde, 0xef, 0xf0,
};

static uint64_t get(struct gk_reader *r, size_t width)
{
	switch (width) {
	case 1:
		return gk_get_u8(r);
	case 2:
		return gk_get_u16(r);
	case 4:
		return gk_get_u32(r);
	default:
		return gk_get_u64(r);
	}
}

static void put(struct gk_writer *w, size_t width, uint64_t v)
{
	switch (width) {
	case 1:
		gk_put_u8(w, (uint8_t)v);
		break;
	case 2:
		gk_put_u16(w, (uint16_t)v);
		break;
	case 4:
		gk_put_u32(w, (uint32_t)v);
		break;
	default:
		gk_put_u64(w, v);
		break;
	}
}

/* Every width at every place, with the literal values of the bytes above. */
static void reads_little_endian(void **state)
{
	static const struct {
		size_t off, width;
		uint64_t want;
	} cases[] = {
		{ 0, 1, 0x01 },	      { 15, 1, 0xf0 },
		{ 0, 2, 0x0201 },     { 14, 2, 0xf0ef },
		{ 0, 4, 0x04030201 }, { 12, 4, 0xf0efdecd },
		{ 7, 2, 0x8908 },     { 0, 8, 0x0807060504030201 },
		{ 6, 4, 0x9a890807 }, { 8, 8, 0xf0efdecdbcab9a89 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gk_reader r;
		uint64_t v;

		gk_reader_init(&r, bytes, sizeof(bytes));
		gk_skip(&r, cases[i].off);
		v = get(&r, cases[i].width);
		CHECK(v == cases[i].want, "row %zu: %#llx", i, (unsigned long long)v);
		assert_int_equal(gk_reader_left(&r),
				 sizeof(bytes) - cases[i].off - cases[i].width);
		assert_int_equal(r.err, GK_OK);
	}
}

static void a_read_past_the_end_sticks(void **state)
{
	static const size_t widths[] = { 1, 2, 4, 8 };

	(void)state;
	for (size_t i = 0; i < COUNT(widths); i++) {
		for (size_t len = 0; len < widths[i]; len++) {
			struct gk_reader r;

			gk_reader_init(&r, bytes, len);
			assert_int_equal(get(&r, widths[i]), 0);
			assert_int_equal(r.err, GK_ERR_SHORT);
			assert_int_equal(r.off, 0);
			assert_int_equal(gk_reader_left(&r), 0);
			/* One byte would be there, but the error stays. */
			assert_int_equal(gk_get_u8(&r), 0);
			assert_int_equal(gk_reader_end(&r), GK_ERR_SHORT);
		}
	}
}

static void end_wants_every_byte_used(void **state)
{
	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		for (size_t used = 0; used <= sizeof(bytes); used++) {
			struct gk_reader r;
			int want = used > len	 ? GK_ERR_SHORT
				   : used == len ? GK_OK
						 : GK_ERR_TRAILING;

			gk_reader_init(&r, bytes, len);
			gk_skip(&r, used);
			assert_int_equal(gk_reader_end(&r), want);
		}
	}
}

static void bytes_are_zero_on_error(void **state)
{
	uint8_t out[8];
	struct gk_reader r;

	(void)state;
	memset(out, 0xee, sizeof(out));
	gk_reader_init(&r, bytes, sizeof(bytes));
	gk_get_bytes(&r, out, 8);
	assert_memory_equal(out, bytes, 8);
	gk_get_bytes(&r, out, 8);
	assert_memory_equal(out, bytes + 8, 8);
	gk_get_bytes(&r, out, 0);
	assert_int_equal(gk_reader_end(&r), GK_OK);
	gk_get_bytes(&r, out, 1);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 0x9a);
	assert_int_equal(gk_reader_end(&r), GK_ERR_SHORT);
	memset(out, 0xee, sizeof(out));
	gk_get_bytes(&r, out, 8);
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
}

static void huge_lengths_do_not_wrap(void **state)
{
	static const size_t huge[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 7, 1u << 31 };

	(void)state;
	for (size_t i = 0; i < COUNT(huge); i++) {
		struct gk_reader r;

		gk_reader_init(&r, bytes, sizeof(bytes));
		gk_skip(&r, 8);
		gk_skip(&r, huge[i]);
		assert_int_equal(r.off, 8);
		assert_int_equal(gk_reader_end(&r), GK_ERR_SHORT);
	}
}

static void an_empty_buffer_may_be_null(void **state)
{
	struct gk_reader r;
	struct gk_writer w;

	(void)state;
	gk_reader_init(&r, NULL, 0);
	gk_get_bytes(&r, NULL, 0);
	assert_int_equal(gk_reader_end(&r), GK_OK);
	assert_int_equal(gk_get_u8(&r), 0);
	assert_int_equal(gk_reader_end(&r), GK_ERR_SHORT);
	gk_writer_init(&w, NULL, 0);
	gk_put_bytes(&w, NULL, 0);
	assert_int_equal(w.err, GK_OK);
	gk_put_u8(&w, 1);
	assert_int_equal(w.err, GK_ERR_LIMIT);
}

static void writes_what_reads_back(void **state)
{
	static const struct {
		size_t width;
		uint64_t v;
		uint8_t want[8];
	} cases[] = {
		{ 1, 0xa5, { 0xa5 } },
		{ 2, 0x8001, { 0x01, 0x80 } },
		{ 4, 0xdeadbeef, { 0xef, 0xbe, 0xad, 0xde } },
		{ 8,
		  0x8877665544332211,
		  { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		/* Every capacity up to what fits: nothing is written until it does. */
		for (size_t cap = 0; cap <= cases[i].width; cap++) {
			uint8_t buf[9];
			struct gk_writer w;

			memset(buf, 0xee, sizeof(buf));
			gk_writer_init(&w, buf, cap);
			put(&w, cases[i].width, cases[i].v);
			if (cap < cases[i].width) {
				assert_int_equal(w.err, GK_ERR_LIMIT);
				assert_int_equal(w.off, 0);
				assert_int_equal(buf[0], 0xee);
				gk_put_bytes(&w, "", 1);
				assert_int_equal(w.off, 0);
			} else {
				assert_int_equal(w.err, GK_OK);
				assert_int_equal(w.off, cap);
				assert_memory_equal(buf, cases[i].want, cap);
			}
			assert_int_equal(buf[cap], 0xee);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_little_endian),
		cmocka_unit_test(a_read_past_the_end_sticks),
		cmocka_unit_test(end_wants_every_byte_used),
		cmocka_unit_test(bytes_are_zero_on_error),
		cmocka_unit_test(huge_lengths_do_not_wrap),
		cmocka_unit_test(an_empty_buffer_may_be_null),
		cmocka_unit_test(writes_what_reads_back),
	};

	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
