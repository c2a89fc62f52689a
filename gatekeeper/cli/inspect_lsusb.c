/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `lsusb -v` prints, back into descriptors. Its lines are NAME VALUE, in
 * the order of the bytes, below a header that ends in a colon; the name's
 * prefix says how wide the value is (USB 2.0 9.6). Descriptors that it prints
 * without their length (CDC) are left out, those of other classes are filled
 * up with zeros, and wTotalLength is that of what came out: a dump can show what
 * a device offers, not where its bytes lie.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inspect.h"

enum {
	TYPE_DEVICE = 0x01,
	TYPE_CONFIG = 0x02,
	TYPE_INTERFACE = 0x04,
	TYPE_ENDPOINT = 0x05,
	TYPE_ASSOCIATION = 0x0b,
	TYPE_HID = 0x21,
	COMPANION_LEN = 6,
};

struct dump {
	uint8_t *out;
	size_t cap, len;
	size_t config; /* where the last configuration began */
	int hid;       /* below the header of a HID descriptor */
	int super_speed;
	uint8_t desc[256]; /* the descriptor that is being read */
	size_t used;
	int err;
};

static void put(struct dump *d, const uint8_t *bytes, size_t len)
{
	if (len > d->cap - d->len) {
		d->err = GK_ERR_LIMIT;
		return;
	}
	memcpy(d->out + d->len, bytes, len);
	d->len += len;
	if (d->config && d->len - d->config <= 0xffff) {
		d->out[d->config + 2] = (uint8_t)(d->len - d->config);
		d->out[d->config + 3] = (uint8_t)((d->len - d->config) >> 8);
	}
}

/* The descriptor that was read so far is complete. */
static void flush(struct dump *d)
{
	size_t len = d->desc[0];
	uint8_t type = d->desc[1];
	int known = type == TYPE_DEVICE || type == TYPE_CONFIG ||
		    type == TYPE_INTERFACE || type == TYPE_ENDPOINT ||
		    type == TYPE_ASSOCIATION || (type == TYPE_HID && d->hid);

	if (d->used >= 2 && len >= 2) {
		if (!known)
			memset(d->desc + 2, 0, sizeof(d->desc) - 2);
		if (type == TYPE_CONFIG && len >= 9)
			d->config = d->len;
		put(d, d->desc, len);
	}
	memset(d->desc, 0, sizeof(d->desc));
	d->used = 0;
}

static void field(struct dump *d, const char *name, const char *value)
{
	unsigned long v = strtoul(value, NULL, 0);
	size_t width = 1;

	if (!strcmp(name, "MaxPower")) {
		v /= d->super_speed ? 8 : 2;
	} else if (!strncmp(name, "bcd", 3)) {
		char *point;

		width = 2;
		v = strtoul(value, &point, 16) << 8;
		if (*point == '.')
			v |= strtoul(point + 1, NULL, 16) & 0xff;
		if (!strcmp(name, "bcdUSB"))
			d->super_speed = v >= 0x0300;
	} else if (name[0] == 'w' || !strncmp(name, "id", 2)) {
		width = 2;
	} else if (!strcmp(name, "bMaxBurst")) {
		/* The companion of the endpoint before (USB 3.2 9.6.7). */
		const uint8_t companion[COMPANION_LEN] = { COMPANION_LEN, 0x30,
							   (uint8_t)v };

		flush(d);
		put(d, companion, sizeof(companion));
		return;
	}
	for (size_t i = 0; i < width && d->used < sizeof(d->desc); i++, v >>= 8)
		d->desc[d->used++] = (uint8_t)v;
}

/* b, w, i, id, bm or bcd, and then a capital. */
static int is_field(const char *name)
{
	size_t small = strspn(name, "abcdefghijklmnopqrstuvwxyz");

	if (!strcmp(name, "MaxPower"))
		return 1;
	return small >= 1 && small <= 3 && strchr("bwi", name[0]) &&
	       isupper((unsigned char)name[small]);
}

static void unrecognised(struct dump *d, const char *p)
{
	uint8_t bytes[256];
	size_t n = 0;
	unsigned v;
	int used;

	for (; n < sizeof(bytes) && sscanf(p, "%2x%n", &v, &used) == 1; p += used)
		bytes[n++] = (uint8_t)v;
	flush(d);
	if (n >= 2 && bytes[0] == n)
		put(d, bytes, n);
}

/* What comes behind the configurations, and belongs to none. */
static int is_end(const char *line)
{
	static const char *const ends[] = { "Device Qualifier", "Device Status",
					    "Hub Descriptor", "Binary Object Store",
					    "Debug" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!strncmp(line, ends[i], strlen(ends[i])))
			return 1;
	return 0;
}

/* 0: the device is complete. */
static int take(struct dump *d, char *line)
{
	static const char mark[] = "** UNRECOGNIZED:";
	size_t len = strlen(line);
	char name[40];
	int used = 0;

	if (is_end(line) || (d->len && !strncmp(line, "Bus ", 4)))
		return 0;
	if (!strncmp(line, mark, sizeof(mark) - 1)) {
		unrecognised(d, line + sizeof(mark) - 1);
	} else if (sscanf(line, "%39s %n", name, &used) == 1 && used && is_field(name) &&
		   isdigit((unsigned char)line[used])) {
		field(d, name, line + used);
	} else if (len && line[len - 1] == ':') {
		flush(d);
		d->hid = !strncmp(line, "HID ", 4);
	}
	return 1;
}

int gk_inspect_is_lsusb(const char *text)
{
	return strstr(text, "Device Descriptor:") != NULL;
}

int gk_inspect_lsusb(char *text, void *out, size_t cap, size_t *len)
{
	struct dump d;
	char *next = text;
	int more = 1;

	memset(&d, 0, sizeof(d));
	d.out = out;
	d.cap = cap;
	while (more && next && !d.err) {
		char *line = next + strspn(next, " \t");
		size_t n = strcspn(line, "\r\n");

		next = line[n] ? line + n + 1 : NULL;
		while (n > 0 && isspace((unsigned char)line[n - 1]))
			n--;
		line[n] = '\0';
		more = take(&d, line);
	}
	flush(&d);
	*len = d.len;
	return d.err;
}
