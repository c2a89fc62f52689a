/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fido.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "luks/key_child.h"

enum {
	PACKET = 64,
	KEEPALIVE_TOUCH = 2,		/* CTAP 2.1 11.2.9.2.1, STATUS_UPNEEDED */
	CANCELLED_MS = 500,		/* for the key's answer to CANCEL */
	HID_ERROR = CTAP_FRAME_INIT | 0x3f,	/* CTAP 2.1 11.2.9.1.6 */
};

static fido_dev_t *dev;
static void (*on_touch)(void);
static uint8_t channel[4];		/* of the last packet that went out */
static int cancelled;
static int channel_busy;

/* --- the key's socket as libfido2's device --- */

static void *io_open(const char *path)
{
	static int handle;

	(void)path;
	return &handle;
}

static void io_close(void *handle)
{
	(void)handle;
}

static uint64_t now_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The unlocker has no further use for the answer: CTAPHID_CANCEL (11.2.9.1.5),
 * so that the key stops blinking. Sent once. */
static void cancel(void)
{
	uint8_t packet[PACKET] = { 0 };

	cancelled = 1;
	memcpy(packet, channel, sizeof(channel));
	packet[4] = CTAP_FRAME_INIT | CTAP_CMD_CANCEL;
	/* Whether it went out makes no difference: the end follows. */
	if (send(GK_KEY_FD_DEVICE, packet, sizeof(packet), MSG_NOSIGNAL) < 0)
		return;
}

/* What libfido2 sees and does not tell. */
static void look_at(const uint8_t packet[PACKET])
{
	if (memcmp(packet, channel, sizeof(channel)))
		return;
	if (packet[4] == (CTAP_FRAME_INIT | CTAP_KEEPALIVE) &&
	    packet[7] == KEEPALIVE_TOUCH && on_touch)
		on_touch();
	if (packet[4] == HID_ERROR && packet[7] == FIDO_ERR_CHANNEL_BUSY)
		channel_busy = 1;
}

static int io_read(void *handle, unsigned char *buf, size_t len, int ms)
{
	uint64_t until = now_ms() + (uint64_t)(ms < 0 ? 0 : ms);

	(void)handle;
	if (len != PACKET)
		return -1;
	for (;;) {
		struct pollfd p[2] = {
			{ .fd = GK_KEY_FD_DEVICE, .events = POLLIN },
			{ .fd = cancelled ? -1 : GK_KEY_FD_PARENT, .events = POLLIN },
		};
		uint64_t now = now_ms();
		ssize_t n;

		if (now >= until || poll(p, 2, (int)(until - now)) <= 0)
			return -1;
		if (p[1].revents) {
			cancel();
			if (until > now + CANCELLED_MS)
				until = now + CANCELLED_MS;
			continue;
		}
		n = recv(GK_KEY_FD_DEVICE, buf, PACKET, MSG_TRUNC);
		if (n != PACKET)
			return -1;
		look_at(buf);
		return PACKET;
	}
}

static int io_write(void *handle, const unsigned char *buf, size_t len)
{
	ssize_t n;

	(void)handle;
	/* A report number first (libfido2: fido_dev_set_io_functions(3)). */
	if (len != PACKET + 1)
		return -1;
	memcpy(channel, buf + 1, sizeof(channel));
	n = send(GK_KEY_FD_DEVICE, buf + 1, PACKET, MSG_NOSIGNAL);
	return n == PACKET ? (int)len : -1;
}

/* --- before the jail --- */

/* One key agreement, one AES, one HMAC: what OpenSSL fetches and caches then it
 * does not look for later. */
static int warm_crypto(void)
{
	static const uint8_t block[32];
	uint8_t out[64];
	unsigned int n = sizeof(out);
	int len = 0, ok;
	EVP_PKEY *a = NULL, *b = NULL;
	EVP_PKEY_CTX *derive = NULL;
	EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
	size_t secret = sizeof(out);

	ok = aes && RAND_bytes(out, sizeof(out)) == 1 &&
	     EVP_EncryptInit_ex(aes, EVP_aes_256_cbc(), NULL, block, block) == 1 &&
	     EVP_EncryptUpdate(aes, out, &len, block, sizeof(block)) == 1 &&
	     HMAC(EVP_sha256(), block, sizeof(block), block, sizeof(block), out, &n) &&
	     EVP_Digest(block, sizeof(block), out, &n, EVP_sha256(), NULL) == 1 &&
	     (a = EVP_EC_gen("P-256")) && (b = EVP_EC_gen("P-256")) &&
	     (derive = EVP_PKEY_CTX_new(a, NULL)) &&
	     EVP_PKEY_derive_init(derive) == 1 &&
	     EVP_PKEY_derive_set_peer(derive, b) == 1 &&
	     EVP_PKEY_derive(derive, out, &secret) == 1;
	EVP_PKEY_CTX_free(derive);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	EVP_CIPHER_CTX_free(aes);
	return ok ? 0 : GK_ERR_SYSTEM;
}

int gk_fido_warm(void)
{
	static const fido_dev_io_t io = { io_open, io_close, io_read, io_write };

	/* openssl.cnf may name engines and modules; none is wanted here. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
				OPENSSL_INIT_ADD_ALL_CIPHERS |
				OPENSSL_INIT_ADD_ALL_DIGESTS, NULL) != 1)
		return GK_ERR_SYSTEM;
	fido_init(FIDO_DISABLE_U2F_FALLBACK);
	dev = fido_dev_new();
	if (!dev || fido_dev_set_io_functions(dev, &io) != FIDO_OK)
		return GK_ERR_SYSTEM;
	return warm_crypto();
}

/* --- requests --- */

static int has(char **list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return 1;
	return 0;
}

static uint32_t flags_of(const fido_cbor_info_t *ci)
{
	static const struct {
		const char *name;
		uint32_t yes, there;
	} known[] = {
		{ "clientPin", GK_KEY_PIN_SET, GK_KEY_PIN_CAN },
		{ "alwaysUv", GK_KEY_ALWAYS_UV, 0 },
		{ "uv", GK_KEY_UV, 0 },
	};
	char **names = fido_cbor_info_options_name_ptr(ci);
	const bool *values = fido_cbor_info_options_value_ptr(ci);
	/* CTAP 2.1 6.4: up is true when it is not said. */
	uint32_t flags = GK_KEY_UP;

	if (has(fido_cbor_info_extensions_ptr(ci), fido_cbor_info_extensions_len(ci),
		"hmac-secret"))
		flags |= GK_KEY_HMAC_SECRET;
	for (size_t i = 0; i < fido_cbor_info_options_len(ci); i++) {
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (!strcmp(names[i], known[k].name))
				flags |= known[k].there | (values[i] ? known[k].yes : 0);
		if (!strcmp(names[i], "up") && !values[i])
			flags &= ~(uint32_t)GK_KEY_UP;
	}
	return flags;
}

static int look(struct gk_key_reply *reply)
{
	fido_cbor_info_t *ci = fido_cbor_info_new();
	int err = FIDO_ERR_INTERNAL;

	if (!ci)
		goto out;
	err = fido_dev_open(dev, "key");
	if (err == FIDO_OK)
		err = fido_dev_get_cbor_info(dev, ci);
	if (err != FIDO_OK)
		goto out;
	reply->flags = flags_of(ci);
	if (fido_cbor_info_aaguid_len(ci) == sizeof(reply->aaguid))
		memcpy(reply->aaguid, fido_cbor_info_aaguid_ptr(ci),
		       sizeof(reply->aaguid));
out:
	fido_cbor_info_free(&ci);
	return err;
}

static int retries(struct gk_key_reply *reply)
{
	int n = 0, err = fido_dev_get_retry_count(dev, &n);

	if (err == FIDO_OK && (n < 0 || n > GK_KEY_RETRIES_MAX))
		err = FIDO_ERR_RX;
	if (err == FIDO_OK)
		reply->retries = n;
	return err;
}

static fido_opt_t option(uint8_t o)
{
	return o == GK_KEY_TRUE ? FIDO_OPT_TRUE :
	       o == GK_KEY_FALSE ? FIDO_OPT_FALSE : FIDO_OPT_OMIT;
}

/* FIND without the extension and with up=false, SECRET with it. The hash of the
 * client data is 32 zero bytes, as systemd has it: nobody verifies. */
static int assertion(const struct gk_key_request *r, struct gk_key_reply *reply)
{
	static const uint8_t hash[32];
	fido_assert_t *a = fido_assert_new();
	int secret = r->ask == GK_KEY_SECRET;
	int err = FIDO_ERR_INTERNAL;

	if (!a)
		goto out;
	err = fido_assert_set_rp(a, r->rp);
	if (err == FIDO_OK)
		err = fido_assert_set_clientdata_hash(a, hash, sizeof(hash));
	if (err == FIDO_OK)
		err = fido_assert_allow_cred(a, r->credential, r->credential_len);
	if (err == FIDO_OK && secret)
		err = fido_assert_set_extensions(a, FIDO_EXT_HMAC_SECRET);
	if (err == FIDO_OK && secret)
		err = fido_assert_set_hmac_salt(a, r->salt, sizeof(r->salt));
	if (err == FIDO_OK)
		err = fido_assert_set_up(a, secret ? option(r->up) : FIDO_OPT_FALSE);
	if (err == FIDO_OK)
		err = fido_assert_set_uv(a, option(r->uv));
	if (err == FIDO_OK)
		err = fido_dev_get_assert(dev, a, r->has_pin ? r->pin : NULL);
	if (err != FIDO_OK)
		goto out;
	if (!secret) {
		reply->found = fido_assert_count(a) == 1;
		goto out;
	}
	err = FIDO_ERR_RX;
	if (fido_assert_count(a) != 1 ||
	    fido_assert_hmac_secret_len(a, 0) != GK_FIDO_SECRET)
		goto out;
	memcpy(reply->data, fido_assert_hmac_secret_ptr(a, 0), GK_FIDO_SECRET);
	reply->data_len = GK_FIDO_SECRET;
	err = FIDO_OK;
out:
	fido_assert_free(&a);
	return err;
}

/* systemd-cryptenroll: not resident, ES256, hmac-secret. Credentials that are not
 * to be used again on one key are excluded by their id, if one is given. */
static int make(const struct gk_key_request *r, struct gk_key_reply *reply)
{
	static const uint8_t hash[32];
	fido_cred_t *c = fido_cred_new();
	int err = FIDO_ERR_INTERNAL;

	if (!c)
		goto out;
	err = fido_cred_set_type(c, COSE_ES256);
	if (err == FIDO_OK)
		err = fido_cred_set_rp(c, r->rp, "Encrypted Volume");
	if (err == FIDO_OK)
		err = fido_cred_set_user(c, r->user_id, r->user_len, r->user_name,
					 r->user_name, NULL);
	if (err == FIDO_OK)
		err = fido_cred_set_clientdata_hash(c, hash, sizeof(hash));
	if (err == FIDO_OK)
		err = fido_cred_set_extensions(c, FIDO_EXT_HMAC_SECRET);
	if (err == FIDO_OK)
		err = fido_cred_set_rk(c, FIDO_OPT_FALSE);
	if (err == FIDO_OK)
		err = fido_cred_set_uv(c, option(r->uv));
	if (err == FIDO_OK && r->credential_len)
		err = fido_cred_exclude(c, r->credential, r->credential_len);
	if (err == FIDO_OK)
		err = fido_dev_make_cred(dev, c, r->has_pin ? r->pin : NULL);
	if (err != FIDO_OK)
		goto out;
	err = FIDO_ERR_RX;
	if (fido_cred_id_len(c) == 0 || fido_cred_id_len(c) > GK_FIDO_CREDENTIAL)
		goto out;
	memcpy(reply->data, fido_cred_id_ptr(c), fido_cred_id_len(c));
	reply->data_len = (uint32_t)fido_cred_id_len(c);
	err = FIDO_OK;
out:
	fido_cred_free(&c);
	return err;
}

void gk_fido_answer(const struct gk_key_request *r, struct gk_key_reply *reply,
		    void (*touched)(void))
{
	int err = FIDO_ERR_INTERNAL;

	if (fido_dev_set_timeout(dev, (int)(r->timeout_ms & 0xfffff)) != FIDO_OK)
		goto out;
	on_touch = NULL;
	channel_busy = 0;
	switch ((enum gk_key_ask)r->ask) {
	case GK_KEY_LOOK:
		err = look(reply);
		break;
	case GK_KEY_RETRIES:
		err = retries(reply);
		break;
	case GK_KEY_FIND:
		err = assertion(r, reply);
		break;
	case GK_KEY_SECRET:
		on_touch = touched;
		err = assertion(r, reply);
		break;
	case GK_KEY_MAKE:
		on_touch = touched;
		err = make(r, reply);
		break;
	}
out:
	if (err < 0 && channel_busy)
		err = FIDO_ERR_CHANNEL_BUSY;
	if (err < GK_KEY_ERR_MIN || err > GK_KEY_ERR_MAX)
		err = FIDO_ERR_INTERNAL;
	reply->err = err;
}
