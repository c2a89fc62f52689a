/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON into a fixed buffer. Strings come out as printable ASCII: control
 * characters, quotes, backslashes and all above 0x7e are escaped as \u00XX, so
 * that nothing a device said can act on a terminal. What does not fit sets
 * the sticky error and leaves the buffer an empty string.
 */
#ifndef GK_DOM0_JSON_H
#define GK_DOM0_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct gk_json {
	char *buf;
	size_t cap, len;
	int comma;		/* a comma is due before the next value */
	int err;		/* GK_OK or GK_ERR_LIMIT, sticky */
};

void gk_json_init(struct gk_json *j, char *buf, size_t cap);

/* key NULL: an element of an array, or the outermost value. */
void gk_json_object(struct gk_json *j, const char *key);
void gk_json_array(struct gk_json *j, const char *key);
void gk_json_end_object(struct gk_json *j);
void gk_json_end_array(struct gk_json *j);
/* value NULL: null. */
void gk_json_string(struct gk_json *j, const char *key, const char *value);
void gk_json_number(struct gk_json *j, const char *key, int64_t value);
void gk_json_bool(struct gk_json *j, const char *key, int value);
void gk_json_null(struct gk_json *j, const char *key);

/* gk_json_finish: the length, or GK_ERR_LIMIT. */
int gk_json_finish(struct gk_json *j) GK_MUST_CHECK;

/*
 * gk_json_member: of a text that was made by the functions above, the value of
 * "key": as text without quotes; the first there is from `json` on. Returns where
 * it ends, NULL when there is none or it does not fit. Arrays and objects are not
 * taken.
 */
const char *gk_json_member(const char *json, const char *key, char *out, size_t cap);

#endif
