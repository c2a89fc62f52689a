/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0/log.h"
#include "dom0/paths.h"
#include "luks/volume.h"

static void on_log(int level, const char *text, void *ctx)
{
	size_t len = strcspn(text, "\n");

	(void)ctx;
	gk_log(level == CRYPT_LOG_ERROR ? LOG_WARNING : LOG_DEBUG, "libcryptsetup: %.*s",
	       (int)(len > 300 ? 300 : len), text);
}

/* --- options --- */

static const struct {
	const char *name;
	uint32_t flag;
} activation[] = {
	{ "discard", CRYPT_ACTIVATE_ALLOW_DISCARDS },
	{ "allow-discards", CRYPT_ACTIVATE_ALLOW_DISCARDS },
	{ "read-only", CRYPT_ACTIVATE_READONLY },
	{ "readonly", CRYPT_ACTIVATE_READONLY },
	{ "same-cpu-crypt", CRYPT_ACTIVATE_SAME_CPU_CRYPT },
	{ "submit-from-crypt-cpus", CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS },
	{ "no-read-workqueue", CRYPT_ACTIVATE_NO_READ_WORKQUEUE },
	{ "no-write-workqueue", CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE },
};

/* Beginnings of options that make a volume somebody else's. tpm2-measure-... too:
 * systemd measures only what it opens itself. */
static const char *const foreign[] = {
	"tpm2-", "pkcs11-", "tcrypt", "veracrypt", "bitlk", "plain", "swap", "tmp",
	"keyscript",
};

static int is_no(const char *value)
{
	static const char *const no[] = { "0", "no", "n", "false", "f", "off", "0s" };

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (!strcmp(value, no[i]))
			return 1;
	return 0;
}

/* Options that have it opened, or given up, without anybody: here it would wait. */
static int is_unattended(const char *o)
{
	static const char *const names[] = { "headless", "try-empty-password", "timeout" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(o, names[i], len) && (!o[len] || o[len] == '='))
			return !o[len] || !is_no(o + len + 1);
	}
	return 0;
}

static int set_option(struct gk_volume *v, const char *o, const char **why)
{
	const char *eq = strchr(o, '=');

	for (size_t i = 0; i < sizeof(activation) / sizeof(activation[0]); i++) {
		if (strcmp(o, activation[i].name))
			continue;
		v->flags |= activation[i].flag;
		return 0;
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (strncmp(o, foreign[i], strlen(foreign[i])))
			continue;
		*why = "an option says that it is opened in another way";
		return GK_ERR_TYPE;
	}
	*why = "an option says that nobody is to be waited for";
	if (is_unattended(o))
		return GK_ERR_TYPE;
	if (!strncmp(o, "header=", 7)) {
		*why = "header= is no absolute path, or one with a device";
		if (o[7] != '/' || strchr(o, ':'))
			return GK_ERR_TYPE;
		if (strlen(o + 7) >= sizeof(v->header))
			return GK_ERR_LIMIT;
		strcpy(v->header, o + 7);
	} else if (!strncmp(o, "key-slot=", 9) || !strncmp(o, "keyslot=", 8)) {
		char *end;
		unsigned long n = strtoul(eq + 1, &end, 10);

		*why = "key-slot= is no keyslot";
		if (!eq[1] || *end || n >= GK_TOKEN_KEYSLOTS)
			return GK_ERR_VALUE;
		v->keyslot = (int)n;
	}
	/* The others are about asking and about units, which is not ours. */
	return 0;
}

static int set_options(struct gk_volume *v, const char *options, const char **why)
{
	while (*options) {
		size_t len = strcspn(options, ",");
		char one[GK_VOLUME_PATH + 16];
		int err;

		*why = "an option is too long";
		if (len >= sizeof(one))
			return GK_ERR_LIMIT;
		memcpy(one, options, len);
		one[len] = '\0';
		err = set_option(v, one, why);
		if (err)
			return err;
		options += len;
		if (*options)
			options++;
	}
	return 0;
}

/* crypttab(5): looked for when the entry names none. */
static int has_key_file(const char *name)
{
	static const char *const dirs[] = { "/etc", "/run" };
	char path[GK_PATH_MAX];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (!gk_path(path, "%s/cryptsetup-keys.d/%s.key", dirs[i], name) &&
		    access(path, F_OK) == 0)
			return 1;
	return 0;
}

int gk_volume_set(struct gk_volume *v, const char *name, const char *device,
		  const char *options, const char **why)
{
	static const struct {
		const char *name, *dir;
	} tags[] = {
		{ "UUID=", "/dev/disk/by-uuid/" },
		{ "PARTUUID=", "/dev/disk/by-partuuid/" },
		{ "LABEL=", "/dev/disk/by-label/" },
		{ "PARTLABEL=", "/dev/disk/by-partlabel/" },
		{ "ID=", "/dev/disk/by-id/" },
	};
	const char *dir = "";
	int n;

	memset(v, 0, sizeof(*v));
	v->keyslot = -1;
	*why = "not a name for a volume";
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return GK_ERR_VALUE;
	if (strlen(name) >= sizeof(v->name))
		return GK_ERR_LIMIT;
	strcpy(v->name, name);
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strncmp(device, tags[i].name, strlen(tags[i].name)))
			continue;
		dir = tags[i].dir;
		device += strlen(tags[i].name);
		break;
	}
	*why = "not a path of a device";
	if (!*dir && *device != '/')
		return GK_ERR_VALUE;
	n = snprintf(v->device, sizeof(v->device), "%s%s", dir, device);
	if (n < 0 || (size_t)n >= sizeof(v->device))
		return GK_ERR_LIMIT;
	*why = "there is a key file for it";
	if (has_key_file(name))
		return GK_ERR_TYPE;
	return set_options(v, options ? options : "", why);
}

/* --- the header --- */

int gk_volume_header(const struct gk_volume *v, struct crypt_device **cd,
		     const char **why)
{
	int err;

	crypt_set_log_callback(NULL, on_log, NULL);
	*why = "the device cannot be read";
	err = v->header[0] ? crypt_init_data_device(cd, v->header, v->device)
			   : crypt_init(cd, v->device);
	if (err < 0)
		return GK_ERR_SYSTEM;
	crypt_set_log_callback(*cd, on_log, NULL);
	*why = "no LUKS2 header";
	if (crypt_load(*cd, CRYPT_LUKS2, NULL) < 0) {
		crypt_free(*cd);
		*cd = NULL;
		return GK_ERR_NOT_FOUND;
	}
	return 0;
}

/* systemd tries that by itself, and asks only if it fails. */
static int is_by_tpm(struct crypt_device *cd, int token)
{
	const char *type = NULL;

	return crypt_token_status(cd, token, &type) != CRYPT_TOKEN_INACTIVE && type &&
	       !strcmp(type, "systemd-tpm2");
}

int gk_volume_load(struct gk_volume *v, const char **why)
{
	struct crypt_device *cd = NULL;
	int err = gk_volume_header(v, &cd, why), max;

	if (err)
		return err;
	v->tokens = 0;
	max = crypt_token_max(CRYPT_LUKS2);
	for (int i = 0; i < max; i++) {
		const char *json = NULL, *bad;

		if (crypt_token_json_get(cd, i, &json) < 0 || !json)
			continue;
		if (is_by_tpm(cd, i)) {
			*why = "it is enrolled with a TPM, too";
			crypt_free(cd);
			return GK_ERR_TYPE;
		}
		if (v->tokens == GK_VOLUME_TOKENS) {
			gk_log(LOG_WARNING, "%s: more than %d tokens; the rest is "
			       "not looked at", v->name, GK_VOLUME_TOKENS);
			break;
		}
		err = gk_token_parse(json, strlen(json), &v->token[v->tokens], &bad);
		if (!err)
			v->tokens++;
		else if (err != GK_ERR_TYPE)
			gk_log(LOG_WARNING, "%s: token %d: %s", v->name, i, bad);
	}
	*why = NULL;
	crypt_free(cd);
	return 0;
}

int gk_volume_is_active(const struct gk_volume *v)
{
	crypt_status_info s = crypt_status(NULL, v->name);

	return s == CRYPT_ACTIVE || s == CRYPT_BUSY;
}

/* --- keyslots --- */

int gk_volume_is_bounded(struct crypt_device *cd, int slot)
{
	struct crypt_pbkdf_type k = { 0 };

	if (crypt_keyslot_get_pbkdf(cd, slot, &k) < 0 || !k.type)
		return 0;
	if (!strcmp(k.type, CRYPT_KDF_PBKDF2))
		return k.iterations <= GK_PBKDF_ITERATIONS;
	return k.max_memory_kb <= GK_PBKDF_MEMORY_KIB && k.iterations <= GK_PBKDF_PASSES;
}

static int is_wrong(int err)
{
	return err == -EPERM || err == -ENOENT;
}

/* -EBUSY: somebody (udev, a scan) has the device open for a moment. */
static int activate(struct crypt_device *cd, const struct gk_volume *v, int slot,
		    const char *secret, size_t len)
{
	int err = -EBUSY;

	for (int i = 0; i < GK_VOLUME_BUSY_TRIES && err == -EBUSY; i++) {
		if (i)
			usleep(GK_VOLUME_BUSY_MS * 1000);
		err = crypt_activate_by_passphrase(cd, v->test_only ? NULL : v->name,
						   slot, secret, len, v->flags);
	}
	/* Another has opened it meanwhile. */
	if ((err == -EEXIST || err == -EBUSY) && !v->test_only && gk_volume_is_active(v))
		return 0;
	return err;
}

/* slot: or CRYPT_ANY_SLOT. */
static int try_one(struct crypt_device *cd, const struct gk_volume *v, int slot,
		   const char *secret, size_t len)
{
	int err = activate(cd, v, slot, secret, len);

	if (err >= 0)
		return err;
	if (is_wrong(err))
		return GK_ERR_VALUE;
	gk_log(LOG_WARNING, "%s: keyslot %d: %s", v->name, slot, strerror(-err));
	if (err == -ENOMEM)
		return GK_ERR_LIMIT;
	/* Is it the secret that fails, or what comes after it? */
	err = crypt_activate_by_passphrase(cd, NULL, slot, secret, len, 0);
	if (err >= 0)
		return GK_ERR_SYSTEM;
	return is_wrong(err) ? GK_ERR_VALUE : GK_ERR_LIMIT;
}

static int is_within(struct crypt_device *cd, const struct gk_volume *v, int slot)
{
	if (gk_volume_is_bounded(cd, slot))
		return 1;
	gk_log(LOG_WARNING, "%s: keyslot %d wants more work than is done here", v->name,
	       slot);
	return 0;
}

static int try_slot(struct crypt_device *cd, const struct gk_volume *v, int slot,
		    const char *secret, size_t len)
{
	if (!is_within(cd, v, slot))
		return GK_ERR_LIMIT;
	return try_one(cd, v, slot, secret, len);
}

static int is_reencrypted(struct crypt_device *cd)
{
	return crypt_reencrypt_status(cd, NULL) != CRYPT_REENCRYPT_NONE;
}

/* Two volume keys, each in a keyslot of its own: libcryptsetup finds both by itself,
 * and with a given keyslot opens nothing. It passes over those to be ignored. */
static int try_reencrypted(struct crypt_device *cd, const struct gk_volume *v,
			   const char *secret, size_t len)
{
	for (int s = 0; s < GK_TOKEN_KEYSLOTS; s++) {
		crypt_keyslot_info info = crypt_keyslot_status(cd, s);

		if (info != CRYPT_SLOT_INVALID && info != CRYPT_SLOT_INACTIVE &&
		    crypt_keyslot_get_priority(cd, s) != CRYPT_SLOT_PRIORITY_IGNORE &&
		    !is_within(cd, v, s))
			return GK_ERR_LIMIT;
	}
	return try_one(cd, v, CRYPT_ANY_SLOT, secret, len);
}

static int is_meant(struct crypt_device *cd, const struct gk_volume *v,
		    uint32_t keyslots, int slot, crypt_keyslot_priority priority)
{
	crypt_keyslot_info info = crypt_keyslot_status(cd, slot);

	return (keyslots >> slot & 1) && (v->keyslot < 0 || v->keyslot == slot) &&
	       (info == CRYPT_SLOT_ACTIVE || info == CRYPT_SLOT_ACTIVE_LAST) &&
	       crypt_keyslot_get_priority(cd, slot) == priority;
}

int gk_volume_open(const struct gk_volume *v, uint32_t keyslots, const char *secret,
		   size_t len)
{
	static const crypt_keyslot_priority order[] = {
		CRYPT_SLOT_PRIORITY_PREFER, CRYPT_SLOT_PRIORITY_NORMAL,
		CRYPT_SLOT_PRIORITY_IGNORE,
	};
	/* A passphrase is not tried on what is marked so; a token names its own. */
	size_t orders = keyslots == UINT32_MAX ? 2 : 3;
	struct crypt_device *cd = NULL;
	int ret = GK_ERR_VALUE, limit = 0, err;
	const char *why;

	err = gk_volume_header(v, &cd, &why);
	if (err)
		return GK_ERR_SYSTEM;
	if (is_reencrypted(cd)) {
		ret = try_reencrypted(cd, v, secret, len);
		goto out;
	}
	for (size_t o = 0; o < orders && ret == GK_ERR_VALUE; o++) {
		for (int s = 0; s < GK_TOKEN_KEYSLOTS && ret == GK_ERR_VALUE; s++) {
			if (!is_meant(cd, v, keyslots, s, order[o]))
				continue;
			err = try_slot(cd, v, s, secret, len);
			limit |= err == GK_ERR_LIMIT;
			if (err != GK_ERR_LIMIT)
				ret = err;
		}
	}
out:
	crypt_free(cd);
	return ret == GK_ERR_VALUE && limit ? GK_ERR_LIMIT : ret;
}
