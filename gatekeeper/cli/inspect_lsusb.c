/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `lsusb -v` prints, back into descriptors. Its lines are NAME VALUE, in
 * the order of the bytes, below a header that ends in a colon; the name's
 * prefix says how wide the value is (USB 2.0 9.6). Descriptors that it prints
 * without their length (CDC) are left out, those of other classes are filled
 * up with zeros, and wTotalLength is that of what came out: a dump can show what
 * a device offers, not where its bytes lie. Those of linux-hardware.org lack
 * bNumConfigurations: then it is how many came out.
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
	LEN_CCID = 54,
	AT_CONFIGS = 17, /* bNumConfigurations in the device descriptor */
};

/* A smartcard reader's descriptor (CCID 1.10 table 5.1-1) as lsusb spells it: some
 * values are words, some hexadecimal without a sign of it. */
static const struct {
	const char *name;
	uint8_t at, width, base;
} ccid_fields[] = {
	{ "nMaxSlotIndex", 4, 1, 10 },	    { "bVoltageSupport", 5, 1, 10 },
	{ "dwProtocols", 6, 4, 10 },	    { "dwDefaultClock", 10, 4, 10 },
	{ "dwMaxiumumClock", 14, 4, 10 },   { "bNumClockSupported", 18, 1, 10 },
	{ "dwDataRate", 19, 4, 10 },	    { "dwMaxDataRate", 23, 4, 10 },
	{ "bNumDataRatesSupp.", 27, 1, 10 }, { "dwMaxIFSD", 28, 4, 10 },
	{ "dwSyncProtocols", 32, 4, 16 },   { "dwMechanical", 36, 4, 16 },
	{ "dwFeatures", 40, 4, 16 },	    { "dwMaxCCIDMsgLen", 44, 4, 10 },
	{ "bClassGetResponse", 48, 1, 16 }, { "bClassEnvelope", 49, 1, 16 },
	{ "bPINSupport", 52, 1, 10 },	    { "bMaxCCIDBusySlots", 53, 1, 10 },
};

struct dump {
	uint8_t *out;
	size_t cap, len;
	size_t config; /* where the last configuration began */
	unsigned configs;
	int hid;       /* below the header of a HID descriptor */
	int ccid;      /* of a smartcard reader's */
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
		    type == TYPE_ASSOCIATION ||
		    (type == TYPE_HID && (d->hid || (d->ccid && len == LEN_CCID)));

	if (d->used >= 2 && len >= 2) {
		if (!known)
			memset(d->desc + 2, 0, sizeof(d->desc) - 2);
		if (type == TYPE_CONFIG && len >= 9) {
			d->config = d->len;
			d->configs++;
		}
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

/* 1: a line of the class descriptor of a smartcard reader, behind bcdCCID. "echo" is
 * 0xff; wLcdLayout is spelt "16 cols 2 lines", or "none". */
static int ccid_field(struct dump *d, const char *name, const char *value)
{
	unsigned columns, lines;

	if (!d->ccid || d->used < 4 || !islower((unsigned char)name[0]))
		return 0;
	if (!strcmp(name, "wlcdLayout") &&
	    sscanf(value, "%u cols %u lines", &columns, &lines) == 2) {
		d->desc[50] = (uint8_t)columns;
		d->desc[51] = (uint8_t)lines;
	}
	for (size_t i = 0; i < sizeof(ccid_fields) / sizeof(ccid_fields[0]); i++) {
		unsigned long v = !strncmp(value, "echo", 4) ?
			0xff : strtoul(value, NULL, ccid_fields[i].base);

		if (strcmp(name, ccid_fields[i].name) != 0)
			continue;
		for (size_t k = 0; k < ccid_fields[i].width; k++, v >>= 8)
			d->desc[ccid_fields[i].at + k] = (uint8_t)v;
	}
	return 1;
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
	} else if (sscanf(line, "%39s %n", name, &used) == 1 && used &&
		   ccid_field(d, name, line + used)) {
		return 1;
	} else if (used && is_field(name) && isdigit((unsigned char)line[used])) {
		field(d, name, line + used);
	} else if (len && line[len - 1] == ':') {
		flush(d);
		d->hid = !strncmp(line, "HID ", 4);
		d->ccid = !strncmp(line, "ChipCard ", 9);
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
	if (d.len > AT_CONFIGS && d.out[AT_CONFIGS] == 0 && d.configs <= UINT8_MAX)
		d.out[AT_CONFIGS] = (uint8_t)d.configs;
	*len = d.len;
	return d.err;
}
