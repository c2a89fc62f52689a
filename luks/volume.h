/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One encrypted volume, by libcryptsetup: its systemd-fido2 tokens, and trying a
 * secret on its keyslots. The work of a keyslot (PBKDF) blocks for as long as the
 * header says, so a try is made in a process of its own, which has a deadline:
 * attempt.h.
 */
#ifndef GK_LUKS_VOLUME_H
#define GK_LUKS_VOLUME_H

#include <stddef.h>
#include <stdint.h>

#include "luks/token.h"

enum {
	GK_VOLUME_NAME = 128,	/* device mapper's limit */
	GK_VOLUME_PATH = 256,
	GK_VOLUME_TOKENS = 16,
	GK_PASSPHRASE = 512,	/* bytes, the most; cryptsetup's own limit */
	/* The most a keyslot may ask for. Argon2 in LUKS2 goes up to 4 GiB. */
	GK_PBKDF_MEMORY_KIB = 4 << 20,
	GK_PBKDF_PASSES = 1000,
	GK_PBKDF_ITERATIONS = 100000000,
	GK_VOLUME_BUSY_TRIES = 10,
	GK_VOLUME_BUSY_MS = 200,
};

struct gk_volume {
	char name[GK_VOLUME_NAME];
	char device[GK_VOLUME_PATH];
	char header[GK_VOLUME_PATH];	/* "": on the device */
	uint32_t flags;			/* CRYPT_ACTIVATE_* */
	int keyslot;			/* -1: any */
	int test_only;			/* try, activate nothing */
	unsigned tokens;
	struct gk_token token[GK_VOLUME_TOKENS];
};

/*
 * gk_volume_set: name, device and options as in crypttab(5), comma-separated, of
 * which those are taken that say how to activate (discard, read-only, header=,
 * key-slot=, same-cpu-crypt, ...). GK_ERR_TYPE: an option says that the volume is
 * not ours: another format, opened by TPM or smartcard, by a key file of its name,
 * or not to be waited for. GK_ERR_VALUE,
 * GK_ERR_LIMIT: *why.
 */
int gk_volume_set(struct gk_volume *v, const char *name, const char *device,
		  const char *options, const char **why) GK_MUST_CHECK;

/*
 * gk_volume_load: reads the header and its tokens. Tokens of our type that are
 * not as they should be are in the log and passed over. GK_ERR_NOT_FOUND: no
 * LUKS2 header; GK_ERR_TYPE: the system opens it without asking. *why for a person.
 */
int gk_volume_load(struct gk_volume *v, const char **why) GK_MUST_CHECK;

/* gk_volume_is_active: whether it is open already. */
int gk_volume_is_active(const struct gk_volume *v);

/*
 * gk_volume_open: tries the secret on the keyslots (bits; all ones: every one that
 * is not marked to be ignored), in the order of their priority, and activates
 * unless test_only. Blocks. The keyslot's number; GK_ERR_VALUE: it opens none;
 * GK_ERR_LIMIT: one could not be tried: it wants more work than is done here, or
 * memory or disk failed; GK_ERR_SYSTEM: the secret is right, and it cannot be
 * activated. While it is being reencrypted the keyslots are libcryptsetup's choice.
 */
int gk_volume_open(const struct gk_volume *v, uint32_t keyslots, const char *secret,
		   size_t len) GK_MUST_CHECK;

/*
 * gk_volume_header: opens it with libcryptsetup; the caller's, for crypt_free().
 * GK_ERR_NOT_FOUND: no LUKS2 header; GK_ERR_SYSTEM. *why for a person.
 */
struct crypt_device;
int gk_volume_header(const struct gk_volume *v, struct crypt_device **cd,
		     const char **why) GK_MUST_CHECK;

/* gk_volume_is_bounded: whether the keyslot's work is within the limits above.
 * Whoever had the disk in hand can ask for a year of it: what the header says
 * decides, before any of it is done. */
int gk_volume_is_bounded(struct crypt_device *cd, int slot);

#endif
