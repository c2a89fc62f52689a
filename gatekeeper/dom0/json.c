/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dom0/json.h"

void gk_json_init(struct gk_json *j, char *buf, size_t cap)
{
	*j = (struct gk_json){ .buf = buf, .cap = cap };
	if (cap)
		buf[0] = '\0';
	else
		j->err = GK_ERR_LIMIT;
}

static void put(struct gk_json *j, const char *s, size_t len)
{
	if (j->err)
		return;
	if (len >= j->cap - j->len) {
		j->err = GK_ERR_LIMIT;
		j->len = 0;
		j->buf[0] = '\0';
		return;
	}
	memcpy(j->buf + j->len, s, len);
	j->len += len;
	j->buf[j->len] = '\0';
}

static void quoted(struct gk_json *j, const char *s)
{
	put(j, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[8];

		if (c >= 0x20 && c <= 0x7e && c != '"' && c != '\\') {
			put(j, s, 1);
		} else {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			put(j, esc, 6);
		}
	}
	put(j, "\"", 1);
}

static void begin(struct gk_json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	if (key) {
		quoted(j, key);
		put(j, ":", 1);
	}
	j->comma = 1;
}

void gk_json_object(struct gk_json *j, const char *key)
{
	begin(j, key);
	put(j, "{", 1);
	j->comma = 0;
}

void gk_json_array(struct gk_json *j, const char *key)
{
	begin(j, key);
	put(j, "[", 1);
	j->comma = 0;
}

void gk_json_end_object(struct gk_json *j)
{
	put(j, "}", 1);
	j->comma = 1;
}

void gk_json_end_array(struct gk_json *j)
{
	put(j, "]", 1);
	j->comma = 1;
}

void gk_json_string(struct gk_json *j, const char *key, const char *value)
{
	if (!value) {
		gk_json_null(j, key);
		return;
	}
	begin(j, key);
	quoted(j, value);
}

void gk_json_number(struct gk_json *j, const char *key, int64_t value)
{
	char s[24];
	int n = snprintf(s, sizeof(s), "%" PRId64, value);

	begin(j, key);
	put(j, s, (size_t)n);
}

void gk_json_bool(struct gk_json *j, const char *key, int value)
{
	begin(j, key);
	if (value)
		put(j, "true", 4);
	else
		put(j, "false", 5);
}

void gk_json_null(struct gk_json *j, const char *key)
{
	begin(j, key);
	put(j, "null", 4);
}

int gk_json_finish(struct gk_json *j)
{
	return j->err ? j->err : (int)j->len;
}

const char *gk_json_member(const char *json, const char *key, char *out,
			   size_t cap)
{
	char want[64];
	const char *s;
	size_t len;

	out[0] = '\0';
	snprintf(want, sizeof(want), "\"%s\":", key);
	s = strstr(json, want);
	if (!s)
		return NULL;
	s += strlen(want);
	/* No quote stands inside a string: they are escaped as \u0022. */
	if (*s == '"') {
		len = strcspn(++s, "\"");
	} else {
		len = strcspn(s, ",}]");
	}
	if (*s == '[' || *s == '{' || len >= cap)
		return NULL;
	memcpy(out, s, len);
	out[len] = '\0';
	return s + len;
}
