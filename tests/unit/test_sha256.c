/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

#include "core/sha256.h"

static void text_of(const uint8_t hash[32], char text[65])
{
	for (unsigned i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

/* NIST's examples for FIPS 180-4. */
static void examples(void **state)
{
	static const struct {
		const char *in, *hash;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb924"
		      "27ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223"
			 "b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039"
		  "a33ce45964ff2167f6ecedd419db06c1" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		uint8_t hash[32];
		char text[65];

		gk_sha256(rows[i].in, strlen(rows[i].in), hash);
		text_of(hash, text);
		assert_string_equal(text, rows[i].hash);
	}
}

/* Each length around the blocks' ends, against coreutils. */
static void lengths(void **state)
{
	char path[] = "/tmp/gk-sha256-XXXXXX", command[96], want[65], text[65];
	uint8_t data[300], hash[32];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	snprintf(command, sizeof(command), "sha256sum < %s", path);
	for (unsigned len = 0; len <= sizeof(data); len += len < 130 ? 1 : 17) {
		FILE *p;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, data, len, 0), len);
		p = popen(command, "re");
		assert_non_null(p);
		assert_non_null(fgets(want, sizeof(want), p));
		pclose(p);
		gk_sha256(data, len, hash);
		text_of(hash, text);
		CHECK(!strcmp(text, want), "%u bytes: %s, not %s", len, text, want);
	}
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
