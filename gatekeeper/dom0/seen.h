/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboards that have typed the number they were asked for (`keyboards
 * challenge`, gatekeeper-rules.conf(5)): port and SHA-256 of the descriptors, a
 * line each. Those of this boot are in /run/gatekeeper/keyboards; in
 * /var/lib/gatekeeper/keyboards are they and those of boots before, and the
 * initramfs has a copy of it. What is only in that copy is never written back,
 * so that a line which somebody took out stays out.
 */
#ifndef GK_DOM0_SEEN_H
#define GK_DOM0_SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "core/link.h"
#include "core/policy.h"

enum {
	GK_SEEN_MAX = 32,	/* the newest ones */
	GK_SEEN_LINE = GK_PORT_TEXT + 2 * GK_SHA256 + 2,
	GK_SEEN_TEXT = GK_SEEN_MAX * GK_SEEN_LINE + 1,
};

#define GK_SEEN_FILE "/var/lib/gatekeeper/keyboards"

struct gk_seen_keyboard {
	char port[GK_PORT_TEXT];
	uint8_t sha256[GK_SHA256];
};

struct gk_seen {
	unsigned n;
	struct gk_seen_keyboard k[GK_SEEN_MAX];	/* the oldest first */
};

int gk_seen_has(const struct gk_seen *s, const char *port,
		const uint8_t sha256[GK_SHA256]);

/* gk_seen_add: as the newest; when it is full the oldest goes. A port that is
 * not one ("1-3.2") is left out. */
void gk_seen_add(struct gk_seen *s, const char *port,
		 const uint8_t sha256[GK_SHA256]);

/* gk_seen_parse: adds each line of a text; what is no such line is passed over.
 * gk_seen_text: the other way; buf of GK_SEEN_TEXT bytes. */
void gk_seen_parse(struct gk_seen *s, const char *text);
void gk_seen_text(const struct gk_seen *s, char *buf);

/* gk_seen_read: adds what a file has; no file is no error. */
void gk_seen_read(struct gk_seen *s, const char *path);

/* gk_seen_merge: adds `more` to the file, if it is not there yet. 0 also when
 * there was nothing to do. */
int gk_seen_merge(const struct gk_seen *more, const char *path) GK_MUST_CHECK;

#endif
