/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is it a real authenticator? libfido2 (OpenSSL) judges it (Nettle). */
#include "test_bridge.h"

#include <fido/eddsa.h>
#include <fido/es256.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 10000 };	/* what takes a moment, on a busy machine */

static void info(void **state)
{
	struct bridge b = { .pid = 0 };
	fido_cbor_info_t *ci = fido_cbor_info_new();
	fido_dev_t *dev;

	(void)state;
	start(&b, "--pin", PIN);
	dev = open_dev(&b);
	assert_int_equal(fido_dev_protocol(dev), 2);
	assert_true(fido_dev_flags(dev) & FIDO_CAP_WINK);
	assert_true(fido_dev_supports_pin(dev));
	assert_true(fido_dev_has_pin(dev));
	assert_false(fido_dev_has_uv(dev));
	assert_true(fido_dev_supports_permissions(dev));
	assert_int_equal(fido_dev_get_cbor_info(dev, ci), FIDO_OK);
	assert_int_equal(fido_cbor_info_versions_len(ci), 2);
	assert_string_equal(fido_cbor_info_versions_ptr(ci)[1], "FIDO_2_1");
	assert_int_equal(fido_cbor_info_extensions_len(ci), 2);
	assert_string_equal(fido_cbor_info_extensions_ptr(ci)[1], "hmac-secret");
	assert_int_equal(fido_cbor_info_protocols_len(ci), 2);
	assert_int_equal(fido_cbor_info_aaguid_len(ci), 16);
	assert_int_equal(fido_cbor_info_algorithm_count(ci), 2);
	assert_int_equal(fido_cbor_info_algorithm_cose(ci, 1), COSE_EDDSA);
	fido_cbor_info_free(&ci);
	close_dev(dev);
	stop(&b);
}

static void set_pin(void **state)
{
	struct bridge b = { .pid = 0 };
	fido_dev_t *dev;
	int n;

	(void)state;
	start(&b, "--touch", "now");
	dev = open_dev(&b);
	assert_false(fido_dev_has_pin(dev));
	assert_int_equal(fido_dev_set_pin(dev, "123", NULL),
			 FIDO_ERR_PIN_POLICY_VIOLATION);
	assert_int_equal(fido_dev_set_pin(dev, "first", NULL), FIDO_OK);
	close_dev(dev);
	dev = open_dev(&b);
	assert_true(fido_dev_has_pin(dev));
	assert_int_equal(fido_dev_set_pin(dev, "other", NULL),
			 FIDO_ERR_PIN_AUTH_INVALID);
	assert_int_equal(fido_dev_set_pin(dev, PIN, "wrong"),
			 FIDO_ERR_PIN_INVALID);
	assert_int_equal(fido_dev_get_retry_count(dev, &n), FIDO_OK);
	assert_int_equal(n, 7);
	assert_int_equal(fido_dev_set_pin(dev, PIN, "first"), FIDO_OK);
	assert_int_equal(fido_dev_get_retry_count(dev, &n), FIDO_OK);
	assert_int_equal(n, 8);
	assert_int_equal(make(dev, COSE_ES256, false, 0, PIN, NULL), FIDO_OK);
	close_dev(dev);
	stop(&b);
}

/* Whatever an authenticator of this kind is: a credential and its secrets. */
static void secrets_of(const char *const *options)
{
	struct bridge b = { .pid = 0 };
	uint8_t plain[SECRET_MAX], again[SECRET_MAX], uv[SECRET_MAX];
	uint8_t two[SECRET_MAX], other[SECRET_MAX];
	struct ask ask = { .up = FIDO_OPT_TRUE, .salt = 7 };
	fido_dev_t *dev;
	struct id id;
	size_t len;

	start_with(&b, options);
	dev = open_dev(&b);
	make_id(dev, PIN, &id);
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, plain, &len), FIDO_OK);
	assert_int_equal(len, 32);
	assert_int_equal(assert_secret(dev, &ask, again, &len), FIDO_OK);
	assert_memory_equal(plain, again, 32);
	ask.two_salts = true;
	assert_int_equal(assert_secret(dev, &ask, two, &len), FIDO_OK);
	assert_int_equal(len, 64);
	assert_memory_equal(plain, two, 32);
	assert_memory_not_equal(two, two + 32, 32);
	ask.two_salts = false;
	ask.pin = PIN;
	assert_int_equal(assert_secret(dev, &ask, uv, &len), FIDO_OK);
	assert_memory_not_equal(plain, uv, 32);
	assert_int_equal(assert_secret(dev, &ask, again, &len), FIDO_OK);
	assert_memory_equal(uv, again, 32);
	ask.salt = 8;
	assert_int_equal(assert_secret(dev, &ask, other, &len), FIDO_OK);
	assert_memory_not_equal(uv, other, 32);
	close_dev(dev);
	stop(&b);
}

static void secrets(void **state)
{
	(void)state;
	secrets_of((const char *const[]){ "--pin", PIN, NULL });
	secrets_of((const char *const[]){ "--pin", PIN, "--protocol", "1", NULL });
	secrets_of((const char *const[]){ "--pin", PIN, "--protocol", "2", NULL });
	secrets_of((const char *const[]){ "--pin", PIN, "--ctap20", NULL });
}

/* A fingerprint verifies as the PIN does: the same secret, with one touch. */
static void fingerprint_of(const char *const *options)
{
	struct bridge b = { .pid = 0 };
	uint8_t plain[SECRET_MAX], by_pin[SECRET_MAX], by_finger[SECRET_MAX];
	int verified = -1;
	struct ask ask = { .up = FIDO_OPT_TRUE, .salt = 7, .verified = &verified };
	fido_dev_t *dev;
	struct id id;
	size_t len;
	long n;

	start_with(&b, options);
	dev = open_dev(&b);
	assert_true(fido_dev_has_uv(dev));
	make_id(dev, PIN, &id);
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, plain, &len), FIDO_OK);
	ask.pin = PIN;
	assert_int_equal(assert_secret(dev, &ask, by_pin, &len), FIDO_OK);
	ask.pin = NULL;
	ask.uv = FIDO_OPT_TRUE;
	n = number_of(&b, "touches");
	assert_int_equal(assert_secret(dev, &ask, by_finger, &len), FIDO_OK);
	assert_int_equal(verified, FIDO_OK);
	assert_int_equal(number_of(&b, "touches") - n, 1);
	assert_memory_equal(by_pin, by_finger, 32);
	assert_memory_not_equal(plain, by_finger, 32);
	tell(&b, "finger wrong", "ok");
	assert_int_equal(assert_secret(dev, &ask, by_finger, &len), FIDO_ERR_UV_INVALID);
	assert_int_equal(assert_secret(dev, &ask, by_finger, &len), FIDO_ERR_UV_INVALID);
	assert_int_equal(assert_secret(dev, &ask, by_finger, &len), FIDO_ERR_UV_BLOCKED);
	tell(&b, "finger right", "ok");
	assert_int_equal(assert_secret(dev, &ask, by_finger, &len), FIDO_ERR_UV_BLOCKED);
	close_dev(dev);
	stop(&b);
}

static void fingerprint(void **state)
{
	(void)state;
	fingerprint_of((const char *const[]){ "--pin", PIN, "--uv", NULL });
	fingerprint_of((const char *const[]){ "--pin", PIN, "--uv", "--ctap20", NULL });
	fingerprint_of((const char *const[]){ "--pin", PIN, "--uv", "--protocol", "1",
					      NULL });
}

/* libfido2 verifies the signature of an assertion with the credential's key. */
static void check_assertion(fido_dev_t *dev, const fido_cred_t *cred, int alg,
			    const char *pin)
{
	fido_assert_t *a = fido_assert_new();
	static const uint8_t hash[32] = { 5 };
	es256_pk_t *es = es256_pk_new();
	eddsa_pk_t *ed = eddsa_pk_new();
	const void *pk = alg == COSE_ES256 ? (void *)es : (void *)ed;

	if (alg == COSE_ES256)
		assert_int_equal(es256_pk_from_ptr(es, fido_cred_pubkey_ptr(cred),
			fido_cred_pubkey_len(cred)), FIDO_OK);
	else
		assert_int_equal(eddsa_pk_from_ptr(ed, fido_cred_pubkey_ptr(cred),
			fido_cred_pubkey_len(cred)), FIDO_OK);
	fido_assert_set_rp(a, RP_ID);
	fido_assert_set_clientdata_hash(a, hash, sizeof(hash));
	fido_assert_allow_cred(a, fido_cred_id_ptr(cred), fido_cred_id_len(cred));
	assert_int_equal(fido_dev_get_assert(dev, a, pin), FIDO_OK);
	assert_int_equal(fido_assert_count(a), 1);
	fido_assert_set_up(a, FIDO_OPT_TRUE);
	if (pin)
		fido_assert_set_uv(a, FIDO_OPT_TRUE);
	assert_int_equal(fido_assert_verify(a, 0, alg, pk), FIDO_OK);
	assert_true(fido_assert_sigcount(a, 0) > fido_cred_sigcount(cred));
	fido_assert_free(&a);
	es256_pk_free(&es);
	eddsa_pk_free(&ed);
}

static void signatures(void **state)
{
	static const int algs[] = { COSE_ES256, COSE_EDDSA };
	struct bridge b = { .pid = 0 };
	fido_cred_t *cred;
	fido_dev_t *dev;
	size_t i, n;

	(void)state;
	start(&b, "--pin", PIN);
	dev = open_dev(&b);
	for (i = 0; i < 2; i++) {
		/* r and s have leading zeros now and then */
		for (n = 0; n < 40; n++) {
			assert_int_equal(make(dev, algs[i], false, 0, NULL, &cred),
					 FIDO_OK);
			assert_int_equal(fido_cred_verify_self(cred), FIDO_OK);
			check_assertion(dev, cred, algs[i], NULL);
			if (n == 0)
				check_assertion(dev, cred, algs[i], PIN);
			fido_cred_free(&cred);
		}
	}
	assert_int_equal(make(dev, COSE_RS256, false, 0, NULL, NULL),
			 FIDO_ERR_UNSUPPORTED_ALGORITHM);
	close_dev(dev);
	stop(&b);
}

static int retries_left(fido_dev_t *dev)
{
	int n;

	assert_int_equal(fido_dev_get_retry_count(dev, &n), FIDO_OK);
	return n;
}

static void replug(struct bridge *b)
{
	tell(b, "unplug", "ok");
	wait_socket(b, false);
	tell(b, "plug", "ok");
	wait_socket(b, true);
}

/* 3 wrong in a row: until it is plugged in again; 8 in all: for good. */
static void wrong_pin(void **state)
{
	static const int answers[] = {
		FIDO_ERR_PIN_INVALID, FIDO_ERR_PIN_INVALID,
		FIDO_ERR_PIN_AUTH_BLOCKED, FIDO_ERR_PIN_INVALID,
		FIDO_ERR_PIN_INVALID, FIDO_ERR_PIN_AUTH_BLOCKED,
		FIDO_ERR_PIN_INVALID, FIDO_ERR_PIN_BLOCKED,
	};
	struct bridge b = { .pid = 0 };
	struct ask ask = { .up = FIDO_OPT_TRUE, .salt = 1, .pin = "wrong" };
	fido_dev_t *dev;
	struct id id;
	int i;

	(void)state;
	start(&b, "--pin", PIN);
	dev = open_dev(&b);
	make_id(dev, PIN, &id);
	ask.id = &id;
	for (i = 0; i < 8; i++) {
		assert_int_equal(assert_secret(dev, &ask, NULL, NULL), answers[i]);
		assert_int_equal(retries_left(dev), 7 - i);
		if (answers[i] != FIDO_ERR_PIN_AUTH_BLOCKED)
			continue;
		/* not even the right one, and it costs no try */
		ask.pin = PIN;
		assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
				 FIDO_ERR_PIN_AUTH_BLOCKED);
		ask.pin = "wrong";
		assert_int_equal(retries_left(dev), 7 - i);
		close_dev(dev);
		replug(&b);
		dev = open_dev(&b);
	}
	ask.pin = PIN;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_PIN_BLOCKED);
	close_dev(dev);
	replug(&b);
	dev = open_dev(&b);
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_PIN_BLOCKED);
	/* what wants no PIN goes on */
	ask.pin = NULL;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL), FIDO_OK);
	close_dev(dev);
	stop(&b);
}

/* Credentials, PIN and tries are there after a restart, with --state. */
static void kept(void **state)
{
	struct bridge b = { .pid = 0 };
	uint8_t before[SECRET_MAX], after[SECRET_MAX];
	struct ask ask = { .up = FIDO_OPT_TRUE, .salt = 1, .pin = PIN };
	fido_dev_t *dev;
	struct id id;
	size_t len;

	(void)state;
	start(&b, "--max-seconds", "60");
	stop(&b);
	start(&b, "--state", b.state, "--pin", PIN);
	dev = open_dev(&b);
	make_id(dev, PIN, &id);
	assert_int_equal(make(dev, COSE_EDDSA, true, 0, PIN, NULL), FIDO_OK);
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, before, &len), FIDO_OK);
	ask.pin = "wrong";
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_PIN_INVALID);
	close_dev(dev);
	stop(&b);

	start(&b, "--state", b.state, "--pin", "4321");
	assert_int_equal(number_of(&b, "retries"), 7);
	assert_int_equal(number_of(&b, "residents"), 1);
	dev = open_dev(&b);
	ask.pin = PIN;
	assert_int_equal(assert_secret(dev, &ask, after, &len), FIDO_OK);
	assert_memory_equal(before, after, 32);
	ask.id = NULL;		/* the resident one */
	assert_int_equal(assert_secret(dev, &ask, after, &len), FIDO_OK);
	assert_memory_not_equal(before, after, 32);
	close_dev(dev);
	stop(&b);

	/* another authenticator does not know it */
	start(&b, "--pin", PIN);
	dev = open_dev(&b);
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_NO_CREDENTIALS);
	close_dev(dev);
	stop(&b);
	assert_int_equal(unlink(b.state), 0);
	assert_int_equal(rmdir(b.dir), 0);
}

/* Which of several keys is it? No touch, no PIN, nothing spent. */
static void preflight(void **state)
{
	struct bridge b = { .pid = 0 };
	struct ask ask = { .up = FIDO_OPT_FALSE };
	fido_dev_t *dev;
	struct id id, foreign;

	(void)state;
	start(&b, "--pin", PIN, "--touch", "now");
	dev = open_dev(&b);
	make_id(dev, PIN, &id);
	tell(&b, "touch never", "ok");
	foreign = id;
	foreign.data[40] ^= 1;
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL), FIDO_OK);
	ask.id = &foreign;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_NO_CREDENTIALS);
	ask.id = &id;
	ask.rp_id = "example.org";
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_NO_CREDENTIALS);
	assert_int_equal(number_of(&b, "retries"), 8);
	/* the secret is not given without touch */
	ask.rp_id = NULL;
	ask.salt = 1;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_UNSUPPORTED_OPTION);
	close_dev(dev);
	stop(&b);
}

static void options(void **state)
{
	struct bridge b = { .pid = 0 };
	struct ask ask = { .up = FIDO_OPT_FALSE, .salt = 1 };
	uint8_t secret[SECRET_MAX];
	fido_cred_t *cred;
	fido_dev_t *dev;
	struct id id;
	size_t len;

	(void)state;
	start(&b, "--pin", PIN, "--secret-without-touch");
	dev = open_dev(&b);
	make_id(dev, NULL, &id);
	tell(&b, "touch never", "ok");
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, secret, &len), FIDO_OK);
	assert_int_equal(len, 32);
	close_dev(dev);
	stop(&b);

	start(&b, "--pin", PIN, "--always-uv");
	dev = open_dev(&b);
	assert_int_equal(make(dev, COSE_ES256, false, 0, NULL, NULL),
			 FIDO_ERR_PIN_REQUIRED);
	make_id(dev, PIN, &id);
	ask.salt = 0;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL), FIDO_OK);
	ask.up = FIDO_OPT_TRUE;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_PIN_REQUIRED);
	ask.pin = PIN;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL), FIDO_OK);
	close_dev(dev);
	stop(&b);

	start(&b, "--pin", PIN, "--always-uv-strict");
	dev = open_dev(&b);
	ask = (struct ask){ .up = FIDO_OPT_FALSE, .id = &id };
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_PIN_REQUIRED);
	close_dev(dev);
	stop(&b);

	start(&b, "--no-hmac-secret", "--aaguid",
	      "000102030405060708090a0b0c0d0e0f");
	dev = open_dev(&b);
	assert_int_equal(make(dev, COSE_ES256, false, 0, NULL, &cred), FIDO_OK);
	/* libfido2 misses the extension that it asked for */
	assert_int_equal(fido_cred_verify_self(cred), FIDO_ERR_INVALID_PARAM);
	assert_int_equal(fido_cred_aaguid_ptr(cred)[15], 15);
	fido_cred_free(&cred);
	close_dev(dev);
	stop(&b);
}

/* 12.1: level 3 is not even found without the PIN, level 2 only by its id. */
static void cred_protect(void **state)
{
	static const int found_by_id[] = {
		FIDO_OK, FIDO_OK, FIDO_ERR_NO_CREDENTIALS };
	static const int found[] = {
		FIDO_OK, FIDO_ERR_NO_CREDENTIALS, FIDO_ERR_NO_CREDENTIALS };
	struct bridge b = { .pid = 0 };
	fido_cred_t *cred;
	fido_dev_t *dev;
	struct id id;
	int level;

	(void)state;
	start(&b, "--pin", PIN);
	dev = open_dev(&b);
	for (level = 1; level <= 3; level++) {
		struct ask ask = { .up = FIDO_OPT_FALSE };

		assert_int_equal(make(dev, COSE_ES256, true, level, PIN, &cred),
				 FIDO_OK);
		assert_int_equal(fido_cred_prot(cred), level);
		id.len = fido_cred_id_len(cred);
		memcpy(id.data, fido_cred_id_ptr(cred), id.len);
		fido_cred_free(&cred);
		/* of the same user: it took the place of the one before */
		assert_int_equal(number_of(&b, "residents"), 1);
		assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
				 found[level - 1]);
		ask.id = &id;
		assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
				 found_by_id[level - 1]);
		ask.pin = PIN;
		assert_int_equal(assert_secret(dev, &ask, NULL, NULL), FIDO_OK);
	}
	close_dev(dev);
	stop(&b);
}

static void excluded(void **state)
{
	struct bridge b = { .pid = 0 };
	static const uint8_t hash[32], user[] = { 9 };
	fido_cred_t *c = fido_cred_new();
	fido_dev_t *dev;
	struct id id;

	(void)state;
	start(&b, "--touch", "now");
	dev = open_dev(&b);
	make_id(dev, NULL, &id);
	fido_cred_set_type(c, COSE_ES256);
	fido_cred_set_clientdata_hash(c, hash, sizeof(hash));
	fido_cred_set_rp(c, RP_ID, NULL);
	fido_cred_set_user(c, user, sizeof(user), "x", NULL, NULL);
	assert_int_equal(fido_cred_exclude(c, id.data, id.len), FIDO_OK);
	assert_int_equal(fido_dev_make_cred(dev, c, NULL),
			 FIDO_ERR_CREDENTIAL_EXCLUDED);
	fido_cred_free(&c);
	close_dev(dev);
	stop(&b);
}

/* Touched late, never, and with keep-alives that say so. */
static void touch(void **state)
{
	struct bridge b = { .pid = 0 };
	struct ask ask = { .up = FIDO_OPT_TRUE, .salt = 1 };
	uint8_t secret[SECRET_MAX];
	fido_dev_t *dev;
	struct id id;
	size_t len;
	long since;

	(void)state;
	start(&b, "--touch-timeout", "800");
	dev = open_dev(&b);
	make_id(dev, NULL, &id);
	ask.id = &id;
	tell(&b, "touch late 450", "ok");
	memset(&io_log, 0, sizeof(io_log));
	since = now_ms();
	assert_int_equal(assert_secret(dev, &ask, secret, &len), FIDO_OK);
	since = now_ms() - since;
	assert_in_range(since, 450, BUSY_MS);
	/* One each 100 ms, while the machine has time for it. */
	assert_in_range(io_log.keepalives[2], 1, since / 100 + 1);
	assert_int_equal(io_log.keepalives[0] + io_log.keepalives[1], 0);

	tell(&b, "touch never", "ok");
	since = now_ms();
	assert_int_equal(assert_secret(dev, &ask, secret, &len),
			 FIDO_ERR_USER_ACTION_TIMEOUT);
	assert_in_range(now_ms() - since, 800, BUSY_MS);
	tell(&b, "touch now", "ok");
	assert_int_equal(assert_secret(dev, &ask, secret, &len), FIDO_OK);
	tell(&b, "touch", "error no touch is asked for");
	close_dev(dev);
	stop(&b);

	start(&b, "--work", "350");
	memset(&io_log, 0, sizeof(io_log));
	dev = open_dev(&b);
	assert_in_range(io_log.keepalives[1], 1, 4);
	close_dev(dev);
	stop(&b);
}

static void until_asked(struct bridge *b)
{
	long end = now_ms() + 3000;

	while (!says(b, "state", "\"touch\""))
		assert_true(now_ms() < end);
}

/* Cancelled by the client; left alone by it; touched while it waits. */
static void cancel(void **state)
{
	struct bridge b = { .pid = 0 };
	struct ask ask = { .up = FIDO_OPT_TRUE };
	struct waiting w = { .ask = &ask };
	fido_dev_t *other;
	pthread_t thread;
	struct id id;
	int r;

	(void)state;
	start(&b, "--touch", "now");
	w.dev = open_dev(&b);
	make_id(w.dev, NULL, &id);
	ask.id = &id;
	tell(&b, "touch never", "ok");

	pthread_create(&thread, NULL, wait_for_touch, &w);
	until_asked(&b);
	/* meanwhile it has no time for others, but knows them */
	other = try_open(&b, &r);
	assert_int_not_equal(r, FIDO_OK);
	assert_null(other);
	assert_int_equal(fido_dev_cancel(w.dev), FIDO_OK);
	pthread_join(thread, NULL);
	assert_int_equal(w.r, FIDO_ERR_KEEPALIVE_CANCEL);
	assert_int_equal(number_of(&b, "cancels"), 1);
	assert_true(says(&b, "state", "\"idle\""));

	pthread_create(&thread, NULL, wait_for_touch, &w);
	until_asked(&b);
	tell(&b, "touch", "ok");
	pthread_join(thread, NULL);
	assert_int_equal(w.r, FIDO_OK);
	close_dev(w.dev);
	stop(&b);
}

static void reset(void **state)
{
	struct bridge b = { .pid = 0 };
	struct ask ask = { .up = FIDO_OPT_FALSE };
	fido_dev_t *dev;
	struct id id;

	(void)state;
	start(&b, "--pin", PIN, "--retries", "3");
	dev = open_dev(&b);
	assert_int_equal(retries_left(dev), 3);
	make_id(dev, PIN, &id);
	ask.id = &id;
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL), FIDO_OK);
	assert_int_equal(fido_dev_reset(dev), FIDO_OK);
	assert_int_equal(assert_secret(dev, &ask, NULL, NULL),
			 FIDO_ERR_NO_CREDENTIALS);
	assert_int_equal(retries_left(dev), 8);
	close_dev(dev);
	dev = open_dev(&b);
	assert_false(fido_dev_has_pin(dev));
	close_dev(dev);
	stop(&b);
}

static void scripts(void **state)
{
	struct bridge b = { .pid = 0 };
	fido_dev_t *dev;

	(void)state;
	start(&b, "--unplugged");
	assert_int_equal(access(b.sock, F_OK), -1);
	tell(&b, "plug", "ok");
	wait_socket(&b, true);
	tell(&b, "pin 12", "error pin PIN, 4 to 63 bytes");
	tell(&b, "pin 1234", "ok");
	tell(&b, "retries 2", "ok");
	tell(&b, "retries 9", "error retries N, 0 to 8");
	tell(&b, "touch sometimes", "error touch [now|never|late MS]");
	tell(&b, "evil unheard-of", "error evil none|NAME[:STEP]");
	dev = open_dev(&b);
	assert_true(fido_dev_has_pin(dev));
	assert_int_equal(retries_left(dev), 2);
	tell(&b, "unplug", "ok");
	assert_int_equal(make(dev, COSE_ES256, false, 0, NULL, NULL), FIDO_ERR_TX);
	close_dev(dev);
	stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(info),
		cmocka_unit_test(set_pin),
		cmocka_unit_test(secrets),
		cmocka_unit_test(fingerprint),
		cmocka_unit_test(signatures),
		cmocka_unit_test(wrong_pin),
		cmocka_unit_test(kept),
		cmocka_unit_test(preflight),
		cmocka_unit_test(options),
		cmocka_unit_test(cred_protect),
		cmocka_unit_test(excluded),
		cmocka_unit_test(touch),
		cmocka_unit_test(cancel),
		cmocka_unit_test(reset),
		cmocka_unit_test(scripts),
	};

	signal(SIGPIPE, SIG_IGN);
	/* Whatever goes wrong, this ends. */
	alarm(200);
	fido_init(FIDO_DISABLE_U2F_FALLBACK);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
