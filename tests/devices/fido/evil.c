/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "evil.h"

#include <string.h>

#include "crypto.h"

enum { AT_COMMAND = 4, AT_LENGTH = 5, AT_DATA = 7, AT_SEQUENCE = 4 };
enum { FRAMES_EXTRA = 8, CBOR_NESTS = 3000, NOISE = 300 };

static const struct variant {
	const char *name;
	const char *summary;
} variants[] = {
	[GK_EVIL_NONE] = { "none", "well-behaved" },
	[GK_EVIL_INIT_NONCE] = { "init-nonce", "INIT is answered with another nonce" },
	[GK_EVIL_INIT_SHORT] = { "init-short", "INIT is answered with the nonce only" },
	[GK_EVIL_INIT_CID_ZERO] = { "init-cid-zero", "INIT gives channel 0" },
	[GK_EVIL_INIT_CID_BROADCAST] = {
		"init-cid-broadcast", "INIT gives the broadcast channel" },
	[GK_EVIL_WRONG_CID] = { "wrong-cid", "answers carry another channel" },
	[GK_EVIL_OTHER_COMMAND] = {
		"other-command", "answers carry the command MSG" },
	[GK_EVIL_ERRORS] = { "errors", "each request ends in ERR_CHANNEL_BUSY" },
	[GK_EVIL_FOREIGN] = {
		"foreign", "100 frames of another channel before each answer" },
	[GK_EVIL_FOREIGN_FOREVER] = {
		"foreign-forever", "frames of another channel, no answer" },
	[GK_EVIL_LENGTH_MAX] = { "length-max", "a message says it has 65535 bytes" },
	[GK_EVIL_LENGTH_OVER] = {
		"length-over", "a message says it has 7610 bytes, and so many come" },
	[GK_EVIL_FRAGMENTS_REORDERED] = {
		"fragments-reordered", "second and third packet change places" },
	[GK_EVIL_FRAGMENTS_REPEATED] = {
		"fragments-repeated", "the second packet comes twice" },
	[GK_EVIL_FRAGMENTS_EXTRA] = {
		"fragments-extra", "8 packets too many" },
	[GK_EVIL_FRAGMENTS_MISSING] = {
		"fragments-missing", "the last packet does not come" },
	[GK_EVIL_FRAGMENTS_FIRST] = {
		"fragments-first", "the second packet comes before the first" },
	[GK_EVIL_RESTARTED] = {
		"restarted", "the first packet comes again in the middle" },
	[GK_EVIL_TWICE] = { "twice", "each answer comes twice" },
	[GK_EVIL_SHORT_PACKET] = {
		"short-packet", "reports of 8 bytes" },
	[GK_EVIL_KEEPALIVE_FOREVER] = {
		"keepalive-forever", "keep-alives, no answer" },
	[GK_EVIL_KEEPALIVE_FLOOD] = {
		"keepalive-flood", "the same, as fast as they are taken" },
	[GK_EVIL_KEEPALIVE_ODD] = {
		"keepalive-odd", "a keep-alive of an unknown status, one without one" },
	[GK_EVIL_SILENT] = { "silent", "no answer" },
	[GK_EVIL_SILENT_TOUCHED] = {
		"silent-touched", "no answer once it has been touched" },
	[GK_EVIL_LATE_ANSWER] = {
		"late-answer", "after a cancel comes the answer, seconds later" },
	[GK_EVIL_UNPLUG] = { "unplug-at", "pulled out; wants a STEP" },
	[GK_EVIL_CBOR_DEEP] = { "cbor-deep", "3000 arrays in each other" },
	[GK_EVIL_CBOR_GIANT_BYTES] = {
		"cbor-giant-bytes", "a string of 2^64 - 1 bytes" },
	[GK_EVIL_CBOR_GIANT_MAP] = { "cbor-giant-map", "a map of 2^63 - 1 pairs" },
	[GK_EVIL_CBOR_GIANT_ARRAY] = {
		"cbor-giant-array", "an array of 2^32 - 1 items" },
	[GK_EVIL_CBOR_TRUNCATED] = { "cbor-truncated", "half of the answer" },
	[GK_EVIL_CBOR_TRAILING] = { "cbor-trailing", "16 bytes behind the answer" },
	[GK_EVIL_CBOR_INDEFINITE] = {
		"cbor-indefinite", "a map without length that does not end" },
	[GK_EVIL_CBOR_TYPES] = { "cbor-types", "true, wherever something is said" },
	[GK_EVIL_CBOR_EMPTY] = { "cbor-empty", "success, and nothing" },
	[GK_EVIL_CBOR_EMPTY_MAP] = { "cbor-empty-map", "success, and an empty map" },
	[GK_EVIL_CBOR_DUPLICATES] = {
		"cbor-duplicates", "each pair of the answer twice" },
	[GK_EVIL_CBOR_NOISE] = { "cbor-noise", "success, and 300 bytes without sense" },
	[GK_EVIL_STATUS_ODD] = { "status-odd", "a status that there is not" },
	[GK_EVIL_OTHER_ANSWER] = {
		"other-answer", "getInfo's answer, and to getInfo another" },
	[GK_EVIL_WRONG_SIGNATURE] = { "wrong-signature", "signatures of nothing" },
	[GK_EVIL_WRONG_SECRET] = {
		"wrong-secret", "another hmac-secret each time" },
	[GK_EVIL_SECRET_SHORT] = { "secret-short", "16 bytes of hmac-secret" },
	[GK_EVIL_SECRET_LONG] = { "secret-long", "96 bytes of hmac-secret" },
	[GK_EVIL_SECRET_EMPTY] = { "secret-empty", "0 bytes of hmac-secret" },
	[GK_EVIL_OTHER_CREDENTIAL] = {
		"other-credential", "assertions name another credential" },
	[GK_EVIL_OTHER_RP] = { "other-rp", "answers are for another party" },
	[GK_EVIL_NO_UP] = { "no-up", "answers say: not touched" },
	[GK_EVIL_NO_UV] = { "no-uv", "answers say: user not verified" },
	[GK_EVIL_RETRIES_NONE] = { "retries-none", "says that no PIN try is left" },
	[GK_EVIL_RETRIES_MANY] = {
		"retries-many", "says that 2147483648 PIN tries are left" },
};

static const char *const steps[GK_STEPS] = {
	[GK_STEP_ANY] = "any", [GK_STEP_INIT] = "init", [GK_STEP_PING] = "ping",
	[GK_STEP_INFO] = "info", [GK_STEP_RETRIES] = "retries",
	[GK_STEP_AGREE] = "agree", [GK_STEP_SET_PIN] = "set-pin",
	[GK_STEP_TOKEN] = "token", [GK_STEP_MAKE] = "make",
	[GK_STEP_ASSERT] = "assert", [GK_STEP_NEXT] = "next",
	[GK_STEP_RESET] = "reset", [GK_STEP_SELECT] = "select",
	[GK_STEP_OTHER] = "other", [GK_STEP_TOUCH] = "touch",
	[GK_STEP_TOUCHED] = "touched", [GK_STEP_ANSWER] = "answer",
};

int gk_evil_parse(const char *text, struct gk_mischief *m)
{
	size_t len = strcspn(text, ":"), i, s = 0;

	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (strlen(variants[i].name) == len &&
		    !memcmp(variants[i].name, text, len))
			break;
	}
	if (i == sizeof(variants) / sizeof(variants[0]))
		return -1;
	if (text[len]) {
		while (s < GK_STEPS && strcmp(steps[s], text + len + 1))
			s++;
		if (s == GK_STEPS)
			return -1;
	}
	if (i == GK_EVIL_UNPLUG ? s == GK_STEP_ANY : s >= GK_STEP_TOUCH)
		return -1;
	m->evil = (enum gk_evil)i;
	m->step = (enum gk_step)s;
	return 0;
}

void gk_evil_list(FILE *f)
{
	size_t i;

	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		fprintf(f, "  %-20s  %s\n", variants[i].name, variants[i].summary);
	fprintf(f, "steps:");
	for (i = 0; i < GK_STEPS; i++)
		fprintf(f, " %s", steps[i]);
	fputc('\n', f);
}

bool gk_evil_at(const struct gk_mischief *m, enum gk_evil evil, enum gk_step now)
{
	return m->evil == evil && (m->step == GK_STEP_ANY || m->step == now);
}

/* --- what it says ----------------------------------------------------------- */

unsigned int gk_evil_retries(enum gk_evil evil, unsigned int retries)
{
	if (evil == GK_EVIL_RETRIES_NONE)
		return 0;
	return evil == GK_EVIL_RETRIES_MANY ? 0x80000000u : retries;
}

uint8_t gk_evil_flags(enum gk_evil evil, uint8_t flags)
{
	if (evil == GK_EVIL_NO_UP)
		flags = (uint8_t)(flags & ~AUTH_UP);
	if (evil == GK_EVIL_NO_UV)
		flags = (uint8_t)(flags & ~AUTH_UV);
	return flags;
}

const uint8_t *gk_evil_rp_hash(enum gk_evil evil, const uint8_t rp_hash[32])
{
	static const uint8_t other[32] = { 1 };

	return evil == GK_EVIL_OTHER_RP ? other : rp_hash;
}

void gk_evil_credential_id(enum gk_evil evil, uint8_t *id, size_t len)
{
	if (evil == GK_EVIL_OTHER_CREDENTIAL)
		id[len / 2] ^= 1;
}

void gk_evil_signature(enum gk_evil evil, uint8_t *signature, size_t len)
{
	if (evil == GK_EVIL_WRONG_SIGNATURE)
		signature[len - 1] ^= 1;
}

size_t gk_evil_secret(enum gk_evil evil, uint8_t *secret, size_t len)
{
	size_t now = evil == GK_EVIL_SECRET_SHORT ? 16 :
		     evil == GK_EVIL_SECRET_LONG ? GK_EVIL_SECRET_MAX :
		     evil == GK_EVIL_SECRET_EMPTY ? 0 : len;

	if (evil == GK_EVIL_WRONG_SECRET)
		gk_random(secret, len);
	if (now > len)
		memset(secret + len, 0x5a, now - len);
	return now;
}

/* --- the message ------------------------------------------------------------ */

static size_t replace(uint8_t *answer, const void *body, size_t len)
{
	answer[0] = CTAP2_OK;
	if (len)
		memcpy(answer + 1, body, len);
	return 1 + len;
}

/* {1: [[[...0]]]} */
static size_t deep(uint8_t *answer)
{
	static const uint8_t head[] = { 0xa1, 0x01 };
	size_t len = replace(answer, head, sizeof(head));

	memset(answer + len, 0x81, CBOR_NESTS);
	answer[len + CBOR_NESTS] = 0;
	return len + CBOR_NESTS + 1;
}

/* A map of less than 12 pairs, all of them again behind themselves. */
static size_t doubled(uint8_t *answer, size_t len, size_t max)
{
	if (len < 2 || answer[1] < 0xa1 || answer[1] > 0xab ||
	    2 * len - 2 > max)
		return len;
	memcpy(answer + len, answer + 2, len - 2);
	answer[1] = (uint8_t)(0xa0 + 2 * (answer[1] - 0xa0));
	return 2 * len - 2;
}

/* The same each time, so that what it is taken for is too. */
static size_t noise(uint8_t *answer)
{
	uint32_t n = 1;
	size_t i;

	answer[0] = CTAP2_OK;
	for (i = 1; i <= NOISE; i++) {
		n = n * 1664525 + 1013904223;
		answer[i] = (uint8_t)(n >> 24);
	}
	return 1 + NOISE;
}

size_t gk_evil_answer(enum gk_evil evil, uint8_t *answer, size_t len, size_t max)
{
	static const uint8_t giant_bytes[] = {
		0xa1, 0x01, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t giant_map[] = {
		0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1 };
	static const uint8_t giant_array[] = {
		0xa1, 0x01, 0x9a, 0xff, 0xff, 0xff, 0xff, 0x01 };
	static const uint8_t indefinite[] = { 0xbf, 1, 1, 2, 2, 3, 3 };
	static const uint8_t types[] = {
		0xa8, 1, 0xf5, 2, 0xf5, 3, 0xf5, 4, 0xf5, 5, 0xf5, 6, 0xf5,
		7, 0xf5, 8, 0xf5 };

	if (evil == GK_EVIL_CBOR_DEEP)
		return deep(answer);
	if (evil == GK_EVIL_CBOR_GIANT_BYTES)
		return replace(answer, giant_bytes, sizeof(giant_bytes));
	if (evil == GK_EVIL_CBOR_GIANT_MAP)
		return replace(answer, giant_map, sizeof(giant_map));
	if (evil == GK_EVIL_CBOR_GIANT_ARRAY)
		return replace(answer, giant_array, sizeof(giant_array));
	if (evil == GK_EVIL_CBOR_TRUNCATED)
		return 1 + (len - 1) / 2;
	if (evil == GK_EVIL_CBOR_TRAILING && len + 16 <= max) {
		memset(answer + len, 0xff, 16);
		return len + 16;
	}
	if (evil == GK_EVIL_CBOR_INDEFINITE)
		return replace(answer, indefinite, sizeof(indefinite));
	if (evil == GK_EVIL_CBOR_TYPES)
		return replace(answer, types, sizeof(types));
	if (evil == GK_EVIL_CBOR_EMPTY)
		return replace(answer, NULL, 0);
	if (evil == GK_EVIL_CBOR_EMPTY_MAP)
		return replace(answer, "\xa0", 1);
	if (evil == GK_EVIL_CBOR_DUPLICATES)
		return doubled(answer, len, max);
	if (evil == GK_EVIL_CBOR_NOISE)
		return noise(answer);
	if (evil == GK_EVIL_STATUS_ODD) {
		answer[0] = 0xf7;
		return 1;
	}
	return len;
}

/* --- the packets ------------------------------------------------------------ */

static void swap(uint8_t a[64], uint8_t b[64])
{
	uint8_t t[64];

	memcpy(t, a, 64);
	memcpy(a, b, 64);
	memcpy(b, t, 64);
}

static size_t insert(uint8_t (*packets)[64], size_t n, size_t at, size_t copy)
{
	uint8_t t[64];

	memcpy(t, packets[copy], 64);
	memmove(packets[at + 1], packets[at], (n - at) * 64);
	memcpy(packets[at], t, 64);
	return n + 1;
}

/* Until the message has `frames` continuations. */
static size_t stretch(uint8_t (*packets)[64], size_t n, size_t frames)
{
	for (; n < frames + 1; n++) {
		memset(packets[n], 0x55, 64);
		memcpy(packets[n], packets[0], 4);
		packets[n][AT_SEQUENCE] = (uint8_t)(n - 1) & 0x7f;
	}
	return n;
}

static void set_length(uint8_t packet[64], unsigned int len)
{
	packet[AT_LENGTH] = (uint8_t)(len >> 8);
	packet[AT_LENGTH + 1] = (uint8_t)len;
}

size_t gk_evil_packets(enum gk_evil evil, uint8_t (*packets)[64], size_t n,
		       size_t max)
{
	size_t i;

	/* none of these makes it longer than twice, or 131 packets */
	if (!n || 2 * n + 1 > max || max < 140)
		return n;
	if (evil == GK_EVIL_INIT_NONCE) {
		packets[0][AT_DATA] ^= 1;
	} else if (evil == GK_EVIL_INIT_SHORT) {
		set_length(packets[0], 8);
	} else if (evil == GK_EVIL_INIT_CID_ZERO) {
		memset(packets[0] + AT_DATA + 8, 0, 4);
	} else if (evil == GK_EVIL_INIT_CID_BROADCAST) {
		memset(packets[0] + AT_DATA + 8, 0xff, 4);
	} else if (evil == GK_EVIL_WRONG_CID) {
		for (i = 0; i < n; i++)
			packets[i][3] ^= 1;
	} else if (evil == GK_EVIL_OTHER_COMMAND) {
		packets[0][AT_COMMAND] = 0x83;
	} else if (evil == GK_EVIL_LENGTH_MAX) {
		set_length(packets[0], 0xffff);
	} else if (evil == GK_EVIL_LENGTH_OVER) {
		set_length(packets[0], 7610);
		n = stretch(packets, n, 129);
	} else if (evil == GK_EVIL_FRAGMENTS_REORDERED && n > 2) {
		swap(packets[1], packets[2]);
	} else if (evil == GK_EVIL_FRAGMENTS_REPEATED && n > 1) {
		n = insert(packets, n, 1, 1);
	} else if (evil == GK_EVIL_FRAGMENTS_EXTRA) {
		n = stretch(packets, n, n - 1 + FRAMES_EXTRA);
	} else if (evil == GK_EVIL_FRAGMENTS_MISSING && n > 1) {
		n--;
	} else if (evil == GK_EVIL_FRAGMENTS_FIRST && n > 1) {
		swap(packets[0], packets[1]);
	} else if (evil == GK_EVIL_RESTARTED && n > 1) {
		n = insert(packets, n, 1, 0);
	} else if (evil == GK_EVIL_TWICE) {
		memcpy(packets[n], packets[0], n * 64);
		n *= 2;
	}
	return n;
}
