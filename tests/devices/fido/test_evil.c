/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ill-behaved variants: each does what its name says, seen by what libfido2
 * makes of it, and within bounded time. Afterwards the same authenticator is
 * well-behaved again.
 */
#include "test_bridge.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* TIMEOUT_MS where the outcome is that nothing came; else an answer is waited for. */
enum { TIMEOUT_MS = 2000, PATIENCE_MS = 20000, LONGEST_MS = 40000, SHARES = 4 };

/* The rows that this process tries: most of the time is waiting. */
static size_t share;

/* How far a client comes: make a credential with PIN, then use a known one. */
enum stage { OPEN, RETRIES, MAKE, VERIFY, ASSERT, SECRET, CHECK, ALL, ANYWHERE };

static const char *const stages[] = {
	[OPEN] = "open", [RETRIES] = "retries", [MAKE] = "make",
	[VERIFY] = "verify", [ASSERT] = "assert", [SECRET] = "secret",
	[CHECK] = "check",
	[ALL] = "all",
};

struct outcome {
	enum stage stage;	/* where it ended */
	int r;			/* libfido2's status; at SECRET the length */
};

static const struct {
	const char *evil;
	struct outcome outcome;
} table[] = {
	{ "none", { ALL, 0 } },
	{ "init-nonce", { OPEN, FIDO_ERR_RX } },
	{ "init-short", { OPEN, FIDO_ERR_RX } },
	{ "init-cid-zero", { OPEN, FIDO_ERR_RX } },
	{ "init-cid-broadcast", { OPEN, FIDO_ERR_RX } },
	{ "wrong-cid", { OPEN, FIDO_ERR_RX } },
	{ "wrong-cid:assert", { ASSERT, FIDO_ERR_RX } },
	{ "other-command", { OPEN, FIDO_ERR_RX } },
	{ "other-command:assert", { ASSERT, FIDO_ERR_RX } },
	{ "errors", { OPEN, FIDO_ERR_RX } },
	{ "errors:assert", { ASSERT, FIDO_ERR_RX } },
	{ "foreign", { ALL, 0 } },
	{ "foreign:assert", { ALL, 0 } },
	{ "foreign-forever", { OPEN, FIDO_ERR_RX } },
	{ "foreign-forever:assert", { ASSERT, FIDO_ERR_RX } },
	{ "length-max", { OPEN, FIDO_ERR_RX } },
	{ "length-max:assert", { ASSERT, FIDO_ERR_RX } },
	{ "length-over", { OPEN, FIDO_ERR_RX } },
	{ "length-over:assert", { ASSERT, FIDO_ERR_RX } },
	{ "fragments-reordered", { OPEN, FIDO_ERR_RX } },
	{ "fragments-reordered:assert", { ASSERT, FIDO_ERR_RX } },
	{ "fragments-repeated", { OPEN, FIDO_ERR_RX } },
	{ "fragments-repeated:assert", { ASSERT, FIDO_ERR_RX } },
	{ "fragments-extra", { RETRIES, FIDO_ERR_RX } },
	{ "fragments-extra:assert", { ALL, 0 } },
	{ "fragments-missing", { OPEN, FIDO_ERR_RX } },
	{ "fragments-missing:assert", { ASSERT, FIDO_ERR_RX } },
	{ "fragments-first", { OPEN, FIDO_ERR_RX } },
	{ "fragments-first:assert", { ASSERT, FIDO_ERR_RX } },
	{ "restarted", { OPEN, FIDO_ERR_RX } },
	{ "restarted:assert", { ASSERT, FIDO_ERR_RX } },
	{ "twice", { RETRIES, FIDO_ERR_RX_INVALID_CBOR } },
	{ "twice:assert", { ALL, 0 } },
	{ "short-packet", { OPEN, FIDO_ERR_RX } },
	{ "short-packet:assert", { ASSERT, FIDO_ERR_RX } },
	{ "keepalive-forever", { OPEN, FIDO_ERR_RX } },
	{ "keepalive-forever:assert", { ASSERT, FIDO_ERR_RX } },
	{ "keepalive-flood", { OPEN, FIDO_ERR_RX } },
	{ "keepalive-flood:assert", { ASSERT, FIDO_ERR_RX } },
	{ "keepalive-odd", { ALL, 0 } },
	{ "keepalive-odd:assert", { ALL, 0 } },
	{ "silent", { OPEN, FIDO_ERR_RX } },
	{ "silent:assert", { ASSERT, FIDO_ERR_RX } },
	{ "silent-touched:assert", { ASSERT, FIDO_ERR_RX } },
	{ "cbor-deep", { OPEN, FIDO_ERR_RX } },
	{ "cbor-deep:retries", { RETRIES, FIDO_ERR_RX } },
	{ "cbor-deep:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-deep:token", { MAKE, FIDO_ERR_RX } },
	{ "cbor-deep:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-deep:assert", { ASSERT, FIDO_ERR_RX } },
	{ "cbor-giant-bytes", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-bytes:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-bytes:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-giant-bytes:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-bytes:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-bytes:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-map", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-map:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-map:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-giant-map:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-map:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-map:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-array", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-array:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-array:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-giant-array:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-array:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-giant-array:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-truncated", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-truncated:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-truncated:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-truncated:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-truncated:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-truncated:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-trailing", { ALL, 0 } },
	{ "cbor-trailing:retries", { ALL, 0 } },
	{ "cbor-trailing:agree", { ALL, 0 } },
	{ "cbor-trailing:token", { ALL, 0 } },
	{ "cbor-trailing:make", { ALL, 0 } },
	{ "cbor-trailing:assert", { ALL, 0 } },
	{ "cbor-indefinite", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-indefinite:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-indefinite:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-indefinite:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-indefinite:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-indefinite:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-types", { OPEN, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-types:retries", { RETRIES, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-types:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-types:token", { MAKE, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-types:make", { MAKE, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-types:assert", { ASSERT, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-empty", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-empty:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-empty:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-empty:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-empty:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-empty:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-empty-map", { RETRIES, 0 } },
	{ "cbor-empty-map:retries", { RETRIES, 0 } },
	{ "cbor-empty-map:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-empty-map:token", { MAKE, FIDO_ERR_RX } },
	{ "cbor-empty-map:make", { MAKE, FIDO_ERR_INVALID_CBOR } },
	{ "cbor-empty-map:assert", { SECRET, 0 } },
	{ "cbor-duplicates", { RETRIES, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-duplicates:retries", { RETRIES, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-duplicates:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-duplicates:token", { MAKE, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-duplicates:make", { MAKE, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-duplicates:assert", { ASSERT, FIDO_ERR_RX_INVALID_CBOR } },
	{ "cbor-noise", { OPEN, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-noise:retries", { RETRIES, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-noise:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "cbor-noise:token", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-noise:make", { MAKE, FIDO_ERR_RX_NOT_CBOR } },
	{ "cbor-noise:assert", { ASSERT, FIDO_ERR_RX_NOT_CBOR } },
	{ "status-odd", { OPEN, 0xf7 } },
	{ "status-odd:retries", { RETRIES, 0xf7 } },
	{ "status-odd:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "status-odd:token", { MAKE, 0xf7 } },
	{ "status-odd:make", { MAKE, 0xf7 } },
	{ "status-odd:assert", { ASSERT, 0xf7 } },
	{ "other-answer", { OPEN, FIDO_ERR_RX_INVALID_CBOR } },
	{ "other-answer:retries", { RETRIES, FIDO_ERR_RX_INVALID_CBOR } },
	{ "other-answer:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "other-answer:token", { MAKE, FIDO_ERR_RX_INVALID_CBOR } },
	{ "other-answer:make", { MAKE, FIDO_ERR_RX_INVALID_CBOR } },
	{ "other-answer:assert", { ASSERT, FIDO_ERR_RX_INVALID_CBOR } },
	{ "wrong-signature", { VERIFY, FIDO_ERR_INVALID_SIG } },
	{ "wrong-secret", { SECRET, 32 } },
	{ "secret-short", { SECRET, 16 } },
	{ "secret-long", { SECRET, 96 } },
	{ "secret-empty", { ASSERT, FIDO_ERR_INTERNAL } },
	{ "other-credential", { ALL, 0 } },
	{ "other-rp", { VERIFY, FIDO_ERR_INVALID_PARAM } },
	{ "no-up", { VERIFY, FIDO_ERR_INVALID_PARAM } },
	{ "no-uv", { CHECK, FIDO_ERR_INVALID_PARAM } },
	{ "retries-none", { RETRIES, 0 } },
	{ "retries-many", { RETRIES, FIDO_ERR_RX_INVALID_CBOR } },
	{ "other-rp:assert", { CHECK, FIDO_ERR_INVALID_PARAM } },
	{ "no-up:assert", { CHECK, FIDO_ERR_INVALID_PARAM } },
	{ "no-uv:assert", { CHECK, FIDO_ERR_INVALID_PARAM } },
	{ "wrong-signature:assert", { CHECK, FIDO_ERR_INVALID_SIG } },
	{ "unplug-at:init", { OPEN, FIDO_ERR_RX } },
	{ "unplug-at:info", { OPEN, FIDO_ERR_RX } },
	{ "unplug-at:retries", { RETRIES, FIDO_ERR_RX } },
	{ "unplug-at:agree", { MAKE, FIDO_ERR_INTERNAL } },
	{ "unplug-at:token", { MAKE, FIDO_ERR_RX } },
	{ "unplug-at:make", { MAKE, FIDO_ERR_RX } },
	{ "unplug-at:assert", { ASSERT, FIDO_ERR_RX } },
	{ "unplug-at:touch", { MAKE, FIDO_ERR_RX } },
	{ "unplug-at:touched", { MAKE, FIDO_ERR_RX } },
	{ "unplug-at:answer", { ASSERT, FIDO_ERR_RX } },
};

/* What else becomes of it behind gatekeeper's FIDO channel, which is told to this
 * test by GK_STRICT: 256 packets that nobody asked for are too many, and there are
 * two keep-alives (core/ctaphid.h). What comes after an answer is dropped, or it is
 * wrong in place of the next one's, if that is waited for already. */
static const struct {
	const char *evil;
	struct outcome outcome;
} strict[] = {
	{ "foreign", { ANYWHERE, 0 } },
	{ "fragments-extra", { ANYWHERE, 0 } },
	{ "twice", { ANYWHERE, 0 } },
	{ "keepalive-odd", { OPEN, FIDO_ERR_RX } },
	{ "keepalive-odd:assert", { ASSERT, FIDO_ERR_RX } },
};

static const struct outcome *wanted(size_t row)
{
	const struct outcome *o = &table[row].outcome;
	size_t i;

	for (i = 0; getenv("GK_STRICT") && i < sizeof(strict) / sizeof(strict[0]); i++)
		if (!strcmp(strict[i].evil, table[row].evil))
			o = &strict[i].outcome;
	return o;
}

static bool as_wanted(size_t row, struct outcome o)
{
	const struct outcome *w = wanted(row);

	return w->stage == ANYWHERE || (o.stage == w->stage && o.r == w->r);
}

struct known {
	struct id id;
	uint8_t secret[SECRET_MAX];
};

static struct outcome use(fido_dev_t *dev, const struct known *known)
{
	struct ask ask = { .id = &known->id, .up = FIDO_OPT_TRUE, .salt = 3,
			   .pin = PIN };
	uint8_t secret[SECRET_MAX];
	fido_cred_t *cred;
	size_t len;
	int r, n;

	ask.verified = &n;
	r = fido_dev_get_retry_count(dev, &n);
	if (r != FIDO_OK || n != 8)
		return (struct outcome){ RETRIES, r != FIDO_OK ? r : n };
	r = make(dev, COSE_ES256, false, 0, PIN, &cred);
	if (r == FIDO_OK)
		n = fido_cred_verify_self(cred);
	fido_cred_free(&cred);
	if (r != FIDO_OK || n != FIDO_OK)
		return (struct outcome){ r != FIDO_OK ? MAKE : VERIFY,
					 r != FIDO_OK ? r : n };
	r = assert_secret(dev, &ask, secret, &len);
	if (r != FIDO_OK)
		return (struct outcome){ ASSERT, r };
	if (len != 32 || memcmp(secret, known->secret, 32))
		return (struct outcome){ SECRET, (int)len };
	if (n != FIDO_OK)
		return (struct outcome){ CHECK, n };
	return (struct outcome){ ALL, 0 };
}

static struct outcome try(struct bridge *b, const struct known *known)
{
	struct outcome outcome;
	fido_dev_t *dev;
	int r;

	dev = try_open(b, &r);
	if (!dev)
		return (struct outcome){ OPEN, r };
	outcome = use(dev, known);
	close_dev(dev);
	return outcome;
}

static void learn(struct bridge *b, struct known *known)
{
	struct ask ask = { .id = &known->id, .up = FIDO_OPT_TRUE, .salt = 3,
			   .pin = PIN };
	fido_dev_t *dev = open_dev(b);
	size_t len;

	make_id(dev, PIN, &known->id);
	assert_int_equal(assert_secret(dev, &ask, known->secret, &len), FIDO_OK);
	assert_int_equal(len, 32);
	close_dev(dev);
}

/* A request that got no answer, or too many of them, is over. */
static void make_good(struct bridge *b)
{
	tell(b, "evil none", "ok");
	tell(b, "unplug", "ok");
	wait_socket(b, false);
	tell(b, "plug", "ok");
	wait_socket(b, true);
}

static void variants(void **state)
{
	struct bridge b = { .pid = 0 };
	struct known known;
	struct outcome o;
	char line[64];
	size_t i, bad = 0;
	long took;

	(void)state;
	start(&b, "--pin", PIN);
	dev_timeout_ms = PATIENCE_MS;
	learn(&b, &known);
	for (i = share; i < sizeof(table) / sizeof(table[0]); i += SHARES) {
		snprintf(line, sizeof(line), "evil %s", table[i].evil);
		tell(&b, line, "ok");
		took = now_ms();
		dev_timeout_ms = wanted(i)->r == FIDO_ERR_RX ? TIMEOUT_MS : PATIENCE_MS;
		o = try(&b, &known);
		took = now_ms() - took;
		if (!as_wanted(i, o) || took > LONGEST_MS) {
			print_message("\t{ \"%s\", { %s, %d } }, /* %s %ld ms */\n",
				      table[i].evil, stages[o.stage], o.r,
				      fido_strerr(o.r), took);
			bad++;
		}
		make_good(&b);
		dev_timeout_ms = PATIENCE_MS;
		o = try(&b, &known);
		if (o.stage != ALL) {
			print_message("after %s: %s %d\n", table[i].evil,
				      stages[o.stage], o.r);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	stop(&b);
}

/* A cancel that is answered with what was not to be asked for any more. */
static void late_answer(void **state)
{
	struct bridge b = { .pid = 0 };
	struct known known;
	struct ask ask = { .id = &known.id, .up = FIDO_OPT_TRUE };
	struct waiting w = { .ask = &ask };
	long end = now_ms() + LONGEST_MS, since;
	pthread_t thread;

	(void)state;
	start(&b, "--pin", PIN);
	dev_timeout_ms = LONGEST_MS;
	learn(&b, &known);
	tell(&b, "touch never", "ok");
	tell(&b, "evil late-answer", "ok");
	w.dev = open_dev(&b);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_touch, &w), 0);
	while (!says(&b, "state", "\"touch\""))
		assert_true(now_ms() < end);
	since = now_ms();
	assert_int_equal(fido_dev_cancel(w.dev), FIDO_OK);
	pthread_join(thread, NULL);
	assert_int_equal(w.r, FIDO_OK);
	assert_in_range(now_ms() - since, 1900, 20000);
	close_dev(w.dev);
	stop(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(variants),
		cmocka_unit_test(late_answer),
	};
	int status, bad = 0;

	signal(SIGPIPE, SIG_IGN);
	/* Whatever goes wrong, this ends, and each bridge with its parent. */
	alarm(290);
	fido_init(FIDO_DISABLE_U2F_FALLBACK);
	for (share = 0; share < SHARES; share++) {
		if (fork() == 0) {
			alarm(280);
			return _cmocka_run_group_tests("evil", tests,
				share ? 1 : 2, NULL, NULL);
		}
	}
	for (share = 0; share < SHARES; share++)
		bad |= wait(&status) < 0 || status;
	return bad;
}
