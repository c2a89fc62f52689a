/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the jailed process may say, what a unit says, what options say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libcryptsetup.h>

#include "luks/key_msg.h"
#include "luks/unit.h"
#include "luks/volume.h"

/* --- replies --- */

enum { SEQ = 7 };

struct reply_case {
	const char *what;
	uint32_t asked;
	int want;
	struct gk_key_reply r;
};

#define DONE(kind)	.say = GK_KEY_DONE, .ask = kind, .seq = SEQ

static const struct reply_case replies[] = {
	{ "looked", GK_KEY_LOOK, 0,
	  { DONE(GK_KEY_LOOK), .flags = GK_KEY_FLAGS, .aaguid = { 1 } } },
	{ "an unknown flag", GK_KEY_LOOK, GK_ERR_VALUE,
	  { DONE(GK_KEY_LOOK), .flags = GK_KEY_FLAGS + 1 } },
	{ "flags with an error", GK_KEY_LOOK, GK_ERR_VALUE,
	  { DONE(GK_KEY_LOOK), .err = 1, .flags = 1 } },
	{ "retries", GK_KEY_RETRIES, 0, { DONE(GK_KEY_RETRIES), .retries = 8 } },
	{ "no retries", GK_KEY_RETRIES, 0, { DONE(GK_KEY_RETRIES) } },
	{ "too many", GK_KEY_RETRIES, GK_ERR_VALUE,
	  { DONE(GK_KEY_RETRIES), .retries = 9 } },
	{ "fewer than none", GK_KEY_RETRIES, GK_ERR_VALUE,
	  { DONE(GK_KEY_RETRIES), .retries = -1 } },
	{ "retries nobody asked for", GK_KEY_FIND, GK_ERR_VALUE,
	  { DONE(GK_KEY_FIND), .retries = 1 } },
	{ "found", GK_KEY_FIND, 0, { DONE(GK_KEY_FIND), .found = 1 } },
	{ "found twice", GK_KEY_FIND, GK_ERR_VALUE, { DONE(GK_KEY_FIND), .found = 2 } },
	{ "found with an error", GK_KEY_FIND, GK_ERR_VALUE,
	  { DONE(GK_KEY_FIND), .err = 0x2e, .found = 1 } },
	{ "a secret", GK_KEY_SECRET, 0,
	  { DONE(GK_KEY_SECRET), .data_len = 32, .data = { [31] = 1 } } },
	{ "a short secret", GK_KEY_SECRET, GK_ERR_VALUE,
	  { DONE(GK_KEY_SECRET), .data_len = 31 } },
	{ "a long secret", GK_KEY_SECRET, GK_ERR_VALUE,
	  { DONE(GK_KEY_SECRET), .data_len = 64 } },
	{ "bytes behind it", GK_KEY_SECRET, GK_ERR_VALUE,
	  { DONE(GK_KEY_SECRET), .data_len = 32, .data = { [32] = 1 } } },
	{ "a secret and an error", GK_KEY_SECRET, GK_ERR_VALUE,
	  { DONE(GK_KEY_SECRET), .err = 1, .data_len = 32 } },
	{ "an error", GK_KEY_SECRET, 0, { DONE(GK_KEY_SECRET), .err = 0x31 } },
	{ "an error there is not", GK_KEY_SECRET, GK_ERR_VALUE,
	  { DONE(GK_KEY_SECRET), .err = 256 } },
	{ "another", GK_KEY_SECRET, GK_ERR_VALUE,
	  { DONE(GK_KEY_SECRET), .err = INT32_MIN } },
	{ "a credential", GK_KEY_MAKE, 0,
	  { DONE(GK_KEY_MAKE), .data_len = GK_FIDO_CREDENTIAL } },
	{ "one too long", GK_KEY_MAKE, GK_ERR_VALUE,
	  { DONE(GK_KEY_MAKE), .data_len = GK_FIDO_CREDENTIAL + 1 } },
	{ "none", GK_KEY_MAKE, GK_ERR_VALUE, { DONE(GK_KEY_MAKE) } },
	{ "a touch", GK_KEY_SECRET, 0,
	  { .say = GK_KEY_TOUCH, .ask = GK_KEY_SECRET, .seq = SEQ } },
	{ "a touch that nobody can mean", GK_KEY_FIND, GK_ERR_ORDER,
	  { .say = GK_KEY_TOUCH, .ask = GK_KEY_FIND, .seq = SEQ } },
	{ "a touch with a secret", GK_KEY_SECRET, GK_ERR_VALUE,
	  { .say = GK_KEY_TOUCH, .ask = GK_KEY_SECRET, .seq = SEQ, .data = { 1 } } },
	{ "an answer to another question", GK_KEY_FIND, GK_ERR_ORDER,
	  { DONE(GK_KEY_SECRET), .data_len = 32 } },
	{ "an answer to an older one", GK_KEY_FIND, GK_ERR_ORDER,
	  { .say = GK_KEY_DONE, .ask = GK_KEY_FIND, .seq = SEQ - 1 } },
	{ "a word there is not", GK_KEY_FIND, GK_ERR_TYPE,
	  { .say = 3, .ask = GK_KEY_FIND, .seq = SEQ } },
};

static void test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		const struct reply_case *c = &replies[i];
		int err = gk_key_reply_check(&c->r, sizeof(c->r), c->asked, SEQ);

		if (err != c->want)
			fail_msg("%s: %d, wanted %d", c->what, err, c->want);
		err = gk_key_reply_check(&c->r, sizeof(c->r) - 1, c->asked, SEQ);
		assert_int_equal(err, GK_ERR_LENGTH);
	}
}

static void test_requests(void **state)
{
	struct gk_key_request r = { .ask = GK_KEY_SECRET };

	(void)state;
	assert_int_equal(gk_key_request_check(&r, sizeof(r)), 0);
	assert_int_equal(gk_key_request_check(&r, sizeof(r) - 1), GK_ERR_LENGTH);
	r.pin[GK_KEY_PIN_MAX] = 'x';
	assert_int_equal(gk_key_request_check(&r, sizeof(r)), GK_ERR_VALUE);
	r.pin[GK_KEY_PIN_MAX] = '\0';
	r.credential_len = GK_FIDO_CREDENTIAL + 1;
	assert_int_equal(gk_key_request_check(&r, sizeof(r)), GK_ERR_VALUE);
	r.credential_len = 0;
	r.ask = 0;
	assert_int_equal(gk_key_request_check(&r, sizeof(r)), GK_ERR_TYPE);
}

/* --- units --- */

#define UNIT(line)	"[Unit]\nAfter=cryptsetup-pre.target\n\n[Service]\n" \
			"Type=oneshot\nTimeoutSec=infinity\n" line \
			"ExecStop=/lib/systemd/systemd-cryptsetup detach 'x'\n"

static const struct unit_case {
	const char *text;
	int err;
	const char *volume, *device, *key_file, *options;
} units[] = {
	{ UNIT("ExecStart=/lib/systemd/systemd-cryptsetup attach 'root' '/dev/sda2' 'none' "
	       "'discard'\n"), 0, "root", "/dev/sda2", "", "discard" },
	{ UNIT("ExecStart=/usr/bin/systemd-cryptsetup attach 'a%%b' '/dev/disk/by-uuid/1' "
	       "'/key' ''\n"), 0, "a%b", "/dev/disk/by-uuid/1", "/key", "" },
	{ UNIT("ExecStart=/x/systemd-cryptsetup attach 'a' '/dev/dm-1' '-' '-'\n"), 0,
	  "a", "/dev/dm-1", "", "" },
	{ UNIT("ExecStart=/x/systemd-cryptsetup attach 'a' '/dev/dm\\x2d1' '-' '-'\n"),
	  GK_ERR_VALUE, NULL, NULL, NULL, NULL },
	{ UNIT("ExecStart=/lib/systemd/systemd-cryptsetup attach 'root' '/dev/sda2'\n"),
	  GK_ERR_VALUE, NULL, NULL, NULL, NULL },
	{ UNIT("ExecStart=/lib/systemd/systemd-cryptsetup attach root /dev/sda2 - -\n"),
	  GK_ERR_VALUE, NULL, NULL, NULL, NULL },
	{ UNIT("ExecStart=/lib/systemd/systemd-cryptsetup attach '%I' '/dev/a' '' ''\n"),
	  GK_ERR_VALUE, NULL, NULL, NULL, NULL },
	{ UNIT("ExecStart=/bin/true\n"), GK_ERR_NOT_FOUND, NULL, NULL, NULL, NULL },
	{ UNIT(""), GK_ERR_NOT_FOUND, NULL, NULL, NULL, NULL },
	{ "", GK_ERR_NOT_FOUND, NULL, NULL, NULL, NULL },
};

static void test_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const struct unit_case *c = &units[i];
		struct gk_unit u;
		int err = gk_unit_parse(c->text, &u);

		if (err != c->err)
			fail_msg("%s: %d, wanted %d", c->text, err, c->err);
		if (err)
			continue;
		assert_string_equal(u.volume, c->volume);
		assert_string_equal(u.device, c->device);
		assert_string_equal(u.key_file, c->key_file);
		assert_string_equal(u.options, c->options);
	}
}

/* --- options --- */

static const struct option_case {
	const char *name, *device, *options;
	int err;
	const char *path, *header;
	uint32_t flags;
	int keyslot;
} options[] = {
	{ "root", "/dev/sda2", "", 0, "/dev/sda2", "", 0, -1 },
	{ "root", "UUID=12-34", "luks,discard,read-only", 0, "/dev/disk/by-uuid/12-34", "",
	  CRYPT_ACTIVATE_ALLOW_DISCARDS | CRYPT_ACTIVATE_READONLY, -1 },
	{ "root", "PARTLABEL=x", "header=/h,key-slot=3,x-initrd.attach,tries=1", 0,
	  "/dev/disk/by-partlabel/x", "/h", 0, 3 },
	{ "root", "/dev/a", "fido2-device=auto,no-read-workqueue", 0, "/dev/a", "",
	  CRYPT_ACTIVATE_NO_READ_WORKQUEUE, -1 },
	{ "root", "/dev/a", "tpm2-device=auto", GK_ERR_TYPE, "", "", 0, 0 },
	{ "root", "/dev/a", "discard,tpm2-measure-pcr=yes", GK_ERR_TYPE, "", "", 0, 0 },
	{ "root", "/dev/a", "pkcs11-uri=auto", GK_ERR_TYPE, "", "", 0, 0 },
	{ "swap", "/dev/a", "swap", GK_ERR_TYPE, "", "", 0, 0 },
	{ "root", "/dev/a", "header=/h:UUID=1", GK_ERR_TYPE, "", "", 0, 0 },
	{ "root", "/dev/a", "key-slot=32", GK_ERR_VALUE, "", "", 0, 0 },
	{ "root", "/dev/a", "key-slot=", GK_ERR_VALUE, "", "", 0, 0 },
	{ "", "/dev/a", "", GK_ERR_VALUE, "", "", 0, 0 },
	{ "a/b", "/dev/a", "", GK_ERR_VALUE, "", "", 0, 0 },
	{ "..", "/dev/a", "", GK_ERR_VALUE, "", "", 0, 0 },
	{ "root", "sda2", "", GK_ERR_VALUE, "", "", 0, 0 },
};

static void test_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option_case *c = &options[i];
		static struct gk_volume v;
		const char *why = NULL;
		int err = gk_volume_set(&v, c->name, c->device, c->options, &why);

		if (err != c->err)
			fail_msg("%s %s %s: %d, wanted %d", c->name, c->device, c->options,
				 err, c->err);
		if (err) {
			assert_non_null(why);
			continue;
		}
		assert_string_equal(v.device, c->path);
		assert_string_equal(v.header, c->header);
		assert_int_equal(v.flags, c->flags);
		assert_int_equal(v.keyslot, c->keyslot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies), cmocka_unit_test(test_requests),
		cmocka_unit_test(test_units), cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
