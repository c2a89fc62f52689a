/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUKS2 tokens: what is read, what is refused and why, and base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "luks/token.h"

#define SALT	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEAD	"{\"type\":\"systemd-fido2\",\"keyslots\":[\"1\"],"
#define BODY	"\"fido2-credential\":\"aGVsbG8=\",\"fido2-salt\":\"" SALT "\""
#define TOKEN(keyslots, more) \
	"{\"type\":\"systemd-fido2\",\"keyslots\":" keyslots "," BODY more "}"

static const struct good {
	const char *what, *json;
	uint32_t keyslots;
	uint8_t pin, up, uv;
	const char *rp;
} good[] = {
	{ "as systemd 252 writes it",
	  HEAD BODY ",\"fido2-rp\":\"io.systemd.cryptsetup\","
	  "\"fido2-clientPin-required\":true,\"fido2-up-required\":true,"
	  "\"fido2-uv-required\":false}",
	  2, GK_NEED_YES, GK_NEED_YES, GK_NEED_NO, GK_TOKEN_RP },
	{ "no touch, no PIN",
	  HEAD BODY ",\"fido2-clientPin-required\":false,\"fido2-up-required\":false,"
	  "\"fido2-uv-required\":true}",
	  2, GK_NEED_NO, GK_NEED_NO, GK_NEED_YES, GK_TOKEN_RP },
	{ "as systemd 248 writes it: without rp and uv",
	  HEAD BODY ",\"fido2-clientPin-required\":true,\"fido2-up-required\":true}",
	  2, GK_NEED_YES, GK_NEED_YES, GK_NEED_IF_ASKED, GK_TOKEN_RP },
	{ "the least", HEAD BODY "}", 2, GK_NEED_IF_ASKED, GK_NEED_IF_ASKED,
	  GK_NEED_IF_ASKED, GK_TOKEN_RP },
	{ "another rp", TOKEN("[\"0\"]", ",\"fido2-rp\":\"example.org\""), 1,
	  GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, "example.org" },
	{ "fields of later days",
	  TOKEN("[\"31\"]", ",\"fido2-x\":[{\"a\":null}],\"y\":1.5"), 1U << 31,
	  GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, GK_TOKEN_RP },
	{ "two keyslots", TOKEN("[\"2\",\"0\"]", ""), 5, GK_NEED_IF_ASKED,
	  GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, GK_TOKEN_RP },
	{ "escaped", "{\"type\":\"systemd\\u002dfido2\",\"keyslots\":[\"1\"]," BODY "}", 2,
	  GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, GK_NEED_IF_ASKED, GK_TOKEN_RP },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct good *g = &good[i];
		struct gk_token t;
		const char *why;

		print_message("%s\n", g->what);
		assert_int_equal(gk_token_parse(g->json, strlen(g->json), &t, &why), 0);
		assert_null(why);
		assert_int_equal(t.keyslots, g->keyslots);
		assert_int_equal(t.pin, g->pin);
		assert_int_equal(t.up, g->up);
		assert_int_equal(t.uv, g->uv);
		assert_string_equal(t.rp, g->rp);
		assert_int_equal(t.credential_len, 5);
		assert_memory_equal(t.credential, "hello", 5);
		for (int k = 0; k < GK_FIDO_SALT; k++)
			assert_int_equal(t.salt[k], k);
	}
}

static const struct bad {
	const char *json;
	int err;
	const char *why;
} bad[] = {
	{ "", GK_ERR_VALUE, "not JSON" },
	{ "{", GK_ERR_VALUE, "not JSON" },
	{ "[]", GK_ERR_SHORT, "no type" },
	{ "\"systemd-fido2\"", GK_ERR_SHORT, "no type" },
	{ "{}", GK_ERR_SHORT, "no type" },
	{ "{\"type\":1}", GK_ERR_SHORT, "no type" },
	{ "{\"type\":\"systemd-tpm2\",\"keyslots\":[\"1\"]}", GK_ERR_TYPE, "another type" },
	{ "{\"type\":\"systemd-fido2\"}", GK_ERR_SHORT, "no keyslots" },
	{ TOKEN("[]", ""), GK_ERR_SHORT, "belongs to no keyslot" },
	{ TOKEN("\"1\"", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[1]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"32\"]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"-1\"]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"01\"]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"\"]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"1\\u0000\"]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"1\",\"1\"]", ""), GK_ERR_VALUE, "list of keyslot numbers" },
	{ TOKEN("[\"1\"]", ",\"fido2-rp\":\"\""), GK_ERR_LENGTH, "fido2-rp is empty" },
	{ TOKEN("[\"1\"]", ",\"fido2-rp\":7"), GK_ERR_VALUE, "fido2-rp is no text" },
	{ TOKEN("[\"1\"]", ",\"fido2-rp\":\"a\\u0000b\""), GK_ERR_VALUE, "no text" },
	{ TOKEN("[\"1\"]", ",\"fido2-rp\":\"a\\u001b[2J\""), GK_ERR_VALUE, "characters" },
	{ TOKEN("[\"1\"]", ",\"fido2-up-required\":\"yes\""), GK_ERR_VALUE, "required" },
	{ TOKEN("[\"1\"]", ",\"fido2-up-required\":null"), GK_ERR_VALUE, "required" },
	{ TOKEN("[\"1\"]", ",\"fido2-uv-required\":0"), GK_ERR_VALUE, "required" },
	{ TOKEN("[\"1\"]", ",\"x\":[[[[[[[[[[1]]]]]]]]]]"), GK_ERR_VALUE, "not JSON" },
	{ TOKEN("[\"1\"]", ",\"x\":\"\xff\""), GK_ERR_VALUE, "not JSON" },
	{ TOKEN("[\"1\"]", "") "x", GK_ERR_VALUE, "not JSON" },
	{ TOKEN("[\"1\"]", "") "{}", GK_ERR_VALUE, "not JSON" },
	{ HEAD "\"fido2-salt\":\"" SALT "\"}", GK_ERR_SHORT, "no fido2-credential" },
	{ HEAD "\"fido2-credential\":{},\"fido2-salt\":\"" SALT "\"}", GK_ERR_VALUE,
	  "fido2-credential is no text" },
	{ HEAD "\"fido2-credential\":\"\",\"fido2-salt\":\"" SALT "\"}", GK_ERR_LENGTH,
	  "fido2-credential is empty" },
	{ HEAD "\"fido2-credential\":\"aGVsbG8\",\"fido2-salt\":\"" SALT "\"}",
	  GK_ERR_VALUE, "not base64" },
	{ HEAD "\"fido2-credential\":\"aGVsbG8=\\n\",\"fido2-salt\":\"" SALT "\"}",
	  GK_ERR_VALUE, "not base64" },
	{ HEAD "\"fido2-credential\":\"aGVsbG8=\"}", GK_ERR_SHORT, "no fido2-salt" },
	{ HEAD "\"fido2-credential\":\"aGVsbG8=\",\"fido2-salt\":\"aGVsbG8=\"}",
	  GK_ERR_LENGTH, "not 32 bytes" },
	{ HEAD "\"fido2-credential\":\"aGVsbG8=\",\"fido2-salt\":[]}", GK_ERR_VALUE,
	  "fido2-salt is no text" },
};

static void test_bad(void **state)
{
	static const struct gk_token none;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gk_token t;
		const char *why;
		int err = gk_token_parse(bad[i].json, strlen(bad[i].json), &t, &why);

		if (err != bad[i].err || !why || !strstr(why, bad[i].why))
			fail_msg("%s: %d %s", bad[i].json, err, why ? why : "");
		assert_memory_equal(&t, &none, sizeof(t));
	}
}

/* Lengths at their bounds: a credential of 1023 bytes, a text of 16 KiB. */
static void test_bounds(void **state)
{
	static char json[GK_TOKEN_TEXT + 64], b64[GK_TOKEN_TEXT];
	static uint8_t bytes[GK_FIDO_CREDENTIAL + 3];
	struct gk_token t;
	const char *why;
	size_t len;

	(void)state;
	for (size_t n = GK_FIDO_CREDENTIAL - 3; n <= GK_FIDO_CREDENTIAL + 3; n++) {
		gk_base64_encode(bytes, n, b64);
		len = (size_t)snprintf(json, sizeof(json), HEAD "\"fido2-credential\":\"%s\","
				       "\"fido2-salt\":\"" SALT "\"}", b64);
		assert_int_equal(gk_token_parse(json, len, &t, &why),
				 n <= GK_FIDO_CREDENTIAL ? GK_OK : GK_ERR_LIMIT);
	}
	len = (size_t)snprintf(json, sizeof(json), "%s", good[0].json);
	memset(json + len, ' ', sizeof(json) - len);
	assert_int_equal(gk_token_parse(json, GK_TOKEN_TEXT + 1, &t, &why), GK_ERR_LIMIT);
	/* A NUL is where JSON's reader stops, and not where the token does. */
	assert_int_equal(gk_token_parse(good[0].json, strlen(good[0].json) + 1, &t, &why),
			 GK_ERR_TRAILING);
	assert_string_equal(why, "text after the token");
	memset(b64, 'a', 300);
	b64[300] = '\0';
	for (size_t n = GK_FIDO_RP - 1; n <= GK_FIDO_RP + 1; n++) {
		len = (size_t)snprintf(json, sizeof(json), HEAD BODY ",\"fido2-rp\":\"%.*s\"}",
				       (int)n, b64);
		assert_int_equal(gk_token_parse(json, len, &t, &why),
				 n <= GK_FIDO_RP ? GK_OK : GK_ERR_LENGTH);
	}
}

static void test_build(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct gk_token t, again;
		char buf[1024];
		const char *why;
		int n;

		assert_int_equal(gk_token_parse(good[i].json, strlen(good[i].json), &t,
						&why), 0);
		n = gk_token_build(&t, buf, sizeof(buf));
		assert_int_equal(n, strlen(buf));
		assert_int_equal(gk_token_parse(buf, (size_t)n, &again, &why), 0);
		assert_memory_equal(&t, &again, sizeof(t));
		assert_true(gk_token_same_secret(&t, &again));
		again.salt[31] ^= 1;
		assert_false(gk_token_same_secret(&t, &again));
		assert_int_equal(gk_token_build(&t, buf, (size_t)n), GK_ERR_LIMIT);
		t.keyslots = 0;
		assert_int_equal(gk_token_build(&t, buf, sizeof(buf)), GK_ERR_VALUE);
	}
	/* Byte for byte what systemd-cryptenroll of 252 has in that order. */
	{
		struct gk_token t;
		char buf[1024];
		const char *why;

		assert_int_equal(gk_token_parse(good[0].json, strlen(good[0].json), &t,
						&why), 0);
		assert_int_not_equal(gk_token_build(&t, buf, sizeof(buf)), 0);
		assert_string_equal(buf, good[0].json);
	}
}

static const struct {
	const char *text;
	int n;
} base64[] = {
	{ "", 0 }, { "AA==", 1 }, { "AAA=", 2 }, { "AAAA", 3 }, { "//8=", 2 }, { "+/+/", 3 },
	/* RFC 4648 3.5: bits that are not part of the bytes are zero. */
	{ "AB==", GK_ERR_VALUE }, { "AAB=", GK_ERR_VALUE },
	{ "A", GK_ERR_VALUE }, { "AA", GK_ERR_VALUE }, { "AAA", GK_ERR_VALUE },
	{ "A===", GK_ERR_VALUE }, { "====", GK_ERR_VALUE }, { "AA=A", GK_ERR_VALUE },
	{ "AA==AAAA", GK_ERR_VALUE }, { " AAA", GK_ERR_VALUE }, { "AAA\n", GK_ERR_VALUE },
	{ "-_-_", GK_ERR_VALUE }, { "AAAA\n\n\n\n", GK_ERR_VALUE },
	{ "AAAAAAAAAAA=", GK_ERR_LIMIT },
};

static void test_base64(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(base64) / sizeof(base64[0]); i++) {
		uint8_t out[7];
		char again[16];
		int n = gk_base64_decode(base64[i].text, strlen(base64[i].text), out,
					 sizeof(out));

		if (n != base64[i].n)
			fail_msg("\"%s\": %d", base64[i].text, n);
		if (n < 0)
			continue;
		gk_base64_encode(out, (size_t)n, again);
		assert_string_equal(again, base64[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_build),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
