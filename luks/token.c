/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "luks/token.h"

enum {
	/* A base64 group of four more, for the decoder's own padding bytes. */
	DECODE_MAX = (GK_FIDO_CREDENTIAL + 2) / 3 * 3,
	ENCODE_MAX = DECODE_MAX / 3 * 4 + 1,
};

int gk_base64_decode(const char *text, size_t len, uint8_t *out, size_t cap)
{
	uint8_t raw[DECODE_MAX];
	char again[ENCODE_MAX];
	size_t bytes;
	int n, ret = GK_ERR_VALUE;

	if (len % 4)
		return GK_ERR_VALUE;
	if (len == 0)
		return 0;
	if (len > ENCODE_MAX - 1)
		return GK_ERR_LIMIT;
	n = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len);
	if (n < 0 || (size_t)n != len / 4 * 3)
		goto out;
	bytes = (size_t)n;
	for (size_t i = 1; i <= 2 && text[len - i] == '='; i++)
		bytes--;
	/* EVP_DecodeBlock() skips blanks at both ends and takes bits that are
	 * lost in the padding: only what it would write itself is right. */
	gk_base64_encode(raw, bytes, again);
	if (memcmp(again, text, len))
		goto out;
	ret = GK_ERR_LIMIT;
	if (bytes > cap)
		goto out;
	memcpy(out, raw, bytes);
	ret = (int)bytes;
out:
	OPENSSL_cleanse(raw, sizeof(raw));
	OPENSSL_cleanse(again, sizeof(again));
	return ret;
}

void gk_base64_encode(const uint8_t *in, size_t len, char *out)
{
	out[0] = '\0';
	if (len)
		EVP_EncodeBlock((unsigned char *)out, in, (int)len);
}

/* --- reading --- */

/* A string without NUL inside; NULL with *why set, or not there: *why stays. */
static const char *text_of(struct json_object *o, const char *key, size_t *len,
			   const char **why, const char *what)
{
	struct json_object *v;
	const char *s;

	if (!json_object_object_get_ex(o, key, &v))
		return NULL;
	if (!json_object_is_type(v, json_type_string)) {
		*why = what;
		return NULL;
	}
	s = json_object_get_string(v);
	*len = (size_t)json_object_get_string_len(v);
	if (strlen(s) != *len) {
		*why = what;
		return NULL;
	}
	return s;
}

static int read_need(struct json_object *o, const char *key, uint8_t *out,
		     const char **why)
{
	struct json_object *v;

	*out = GK_NEED_IF_ASKED;
	if (!json_object_object_get_ex(o, key, &v))
		return 0;
	if (!json_object_is_type(v, json_type_boolean)) {
		*why = "fido2-*-required is not true or false";
		return GK_ERR_VALUE;
	}
	*out = json_object_get_boolean(v) ? GK_NEED_YES : GK_NEED_NO;
	return 0;
}

static int keyslot_number(struct json_object *v)
{
	const char *s;
	int n = 0;

	if (!json_object_is_type(v, json_type_string))
		return -1;
	s = json_object_get_string(v);
	if (!*s || (s[0] == '0' && s[1]) || strlen(s) > 2 ||
	    strlen(s) != (size_t)json_object_get_string_len(v))
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		n = n * 10 + (*s - '0');
	}
	return n < GK_TOKEN_KEYSLOTS ? n : -1;
}

static int read_keyslots(struct json_object *o, struct gk_token *t, const char **why)
{
	struct json_object *list;
	size_t n;

	*why = "no keyslots";
	if (!json_object_object_get_ex(o, "keyslots", &list))
		return GK_ERR_SHORT;
	*why = "keyslots is not a list of keyslot numbers";
	if (!json_object_is_type(list, json_type_array))
		return GK_ERR_VALUE;
	n = json_object_array_length(list);
	if (n > GK_TOKEN_KEYSLOTS)
		return GK_ERR_LIMIT;
	for (size_t i = 0; i < n; i++) {
		int slot = keyslot_number(json_object_array_get_idx(list, i));

		if (slot < 0 || t->keyslots >> slot & 1)
			return GK_ERR_VALUE;
		t->keyslots |= 1U << slot;
	}
	*why = "the token belongs to no keyslot";
	return n ? 0 : GK_ERR_SHORT;
}

static int read_credential(struct json_object *o, struct gk_token *t,
			   const char **why)
{
	size_t len = 0;
	const char *s;
	int n;

	*why = NULL;
	s = text_of(o, "fido2-credential", &len, why, "fido2-credential is no text");
	if (!s) {
		if (*why)
			return GK_ERR_VALUE;
		*why = "no fido2-credential";
		return GK_ERR_SHORT;
	}
	*why = "fido2-credential is not base64, or too long";
	n = gk_base64_decode(s, len, t->credential, sizeof(t->credential));
	if (n < 0)
		return n;
	*why = "fido2-credential is empty";
	if (n == 0)
		return GK_ERR_LENGTH;
	t->credential_len = (uint16_t)n;
	return 0;
}

static int read_salt(struct json_object *o, struct gk_token *t, const char **why)
{
	size_t len = 0;
	const char *s;
	int n;

	*why = NULL;
	s = text_of(o, "fido2-salt", &len, why, "fido2-salt is no text");
	if (!s) {
		if (*why)
			return GK_ERR_VALUE;
		*why = "no fido2-salt";
		return GK_ERR_SHORT;
	}
	*why = "fido2-salt is not 32 bytes in base64";
	n = gk_base64_decode(s, len, t->salt, sizeof(t->salt));
	if (n == GK_ERR_VALUE)
		return n;
	return n == GK_FIDO_SALT ? 0 : GK_ERR_LENGTH;
}

static int read_rp(struct json_object *o, struct gk_token *t, const char **why)
{
	size_t len = 0;
	const char *s;

	*why = NULL;
	s = text_of(o, "fido2-rp", &len, why, "fido2-rp is no text");
	if (*why)
		return GK_ERR_VALUE;
	if (!s) {
		strcpy(t->rp, GK_TOKEN_RP);
		return 0;
	}
	*why = "fido2-rp is empty or too long";
	if (len == 0 || len > GK_FIDO_RP)
		return GK_ERR_LENGTH;
	*why = "fido2-rp has characters that no name has";
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] > 0x7e)
			return GK_ERR_VALUE;
	memcpy(t->rp, s, len + 1);
	return 0;
}

static int read_token(struct json_object *o, struct gk_token *t, const char **why)
{
	struct json_object *type;
	int err;

	*why = "no type";
	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, "type", &type) ||
	    !json_object_is_type(type, json_type_string))
		return GK_ERR_SHORT;
	*why = "another type of token";
	if (strcmp(json_object_get_string(type), GK_TOKEN_TYPE))
		return GK_ERR_TYPE;
	err = read_keyslots(o, t, why);
	if (!err)
		err = read_credential(o, t, why);
	if (!err)
		err = read_salt(o, t, why);
	if (!err)
		err = read_rp(o, t, why);
	if (!err)
		err = read_need(o, "fido2-clientPin-required", &t->pin, why);
	if (!err)
		err = read_need(o, "fido2-up-required", &t->up, why);
	if (!err)
		err = read_need(o, "fido2-uv-required", &t->uv, why);
	return err;
}

int gk_token_parse(const char *json, size_t len, struct gk_token *t,
		   const char **why)
{
	struct json_tokener *tok = NULL;
	struct json_object *o = NULL;
	int err = GK_ERR_LIMIT;

	memset(t, 0, sizeof(*t));
	*why = "the token is too long";
	if (len > GK_TOKEN_TEXT)
		goto out;
	*why = "out of memory";
	tok = json_tokener_new_ex(GK_TOKEN_DEPTH);
	if (!tok)
		goto out;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, json, (int)len);
	*why = "not JSON";
	err = GK_ERR_VALUE;
	if (!o || json_tokener_get_error(tok) != json_tokener_success)
		goto out;
	*why = "text after the token";
	err = GK_ERR_TRAILING;
	if (json_tokener_get_parse_end(tok) != len)
		goto out;
	err = read_token(o, t, why);
out:
	if (err)
		memset(t, 0, sizeof(*t));
	else
		*why = NULL;
	json_object_put(o);
	if (tok)
		json_tokener_free(tok);
	return err;
}

/* --- writing --- */

static int put_need(struct json_object *o, const char *key, uint8_t need)
{
	if (need == GK_NEED_IF_ASKED)
		return 0;
	return json_object_object_add(o, key,
				      json_object_new_boolean(need == GK_NEED_YES));
}

static int put_base64(struct json_object *o, const char *key, const uint8_t *data,
		      size_t len)
{
	char text[ENCODE_MAX];

	gk_base64_encode(data, len, text);
	return json_object_object_add(o, key, json_object_new_string(text));
}

static int put_keyslots(struct json_object *o, uint32_t keyslots)
{
	struct json_object *list = json_object_new_array();
	int bad = 0;

	for (int i = 0; i < GK_TOKEN_KEYSLOTS; i++) {
		char number[4];

		if (!(keyslots >> i & 1))
			continue;
		snprintf(number, sizeof(number), "%d", i);
		bad |= json_object_array_add(list, json_object_new_string(number));
	}
	return json_object_object_add(o, "keyslots", list) | bad;
}

int gk_token_build(const struct gk_token *t, char *buf, size_t cap)
{
	struct json_object *o = NULL;
	const char *text;
	size_t len;
	int ret = GK_ERR_VALUE;

	if (!t->keyslots || !t->credential_len ||
	    t->credential_len > GK_FIDO_CREDENTIAL || !t->rp[0])
		return GK_ERR_VALUE;
	o = json_object_new_object();
	ret = GK_ERR_LIMIT;
	if (!o ||
	    json_object_object_add(o, "type", json_object_new_string(GK_TOKEN_TYPE)) ||
	    put_keyslots(o, t->keyslots) ||
	    put_base64(o, "fido2-credential", t->credential, t->credential_len) ||
	    put_base64(o, "fido2-salt", t->salt, sizeof(t->salt)) ||
	    json_object_object_add(o, "fido2-rp", json_object_new_string(t->rp)) ||
	    put_need(o, "fido2-clientPin-required", t->pin) ||
	    put_need(o, "fido2-up-required", t->up) ||
	    put_need(o, "fido2-uv-required", t->uv))
		goto out;
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
	len = text ? strlen(text) : cap;
	if (len >= cap)
		goto out;
	memcpy(buf, text, len + 1);
	ret = (int)len;
out:
	json_object_put(o);
	return ret;
}

int gk_token_same_secret(const struct gk_token *a, const struct gk_token *b)
{
	return a->credential_len == b->credential_len && !strcmp(a->rp, b->rp) &&
	       !memcmp(a->credential, b->credential, a->credential_len) &&
	       !memcmp(a->salt, b->salt, sizeof(a->salt));
}
