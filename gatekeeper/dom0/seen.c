/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dom0/paths.h"
#include "dom0/seen.h"

static int is_port(const char *s, size_t len)
{
	return len > 0 && len < GK_PORT_TEXT &&
	       strspn(s, "0123456789-.") >= len;
}

static int find(const struct gk_seen *s, const char *port,
		const uint8_t sha256[GK_SHA256])
{
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->k[i].port, port) &&
		    !memcmp(s->k[i].sha256, sha256, GK_SHA256))
			return (int)i;
	return -1;
}

int gk_seen_has(const struct gk_seen *s, const char *port,
		const uint8_t sha256[GK_SHA256])
{
	return find(s, port, sha256) >= 0;
}

void gk_seen_add(struct gk_seen *s, const char *port,
		 const uint8_t sha256[GK_SHA256])
{
	int at = find(s, port, sha256);
	struct gk_seen_keyboard *k;

	if (!is_port(port, strlen(port)))
		return;
	if (at < 0 && s->n == GK_SEEN_MAX)
		at = 0;
	if (at >= 0)
		memmove(s->k + at, s->k + at + 1,
			(--s->n - (unsigned)at) * sizeof(s->k[0]));
	k = &s->k[s->n++];
	snprintf(k->port, sizeof(k->port), "%s", port);
	memcpy(k->sha256, sha256, GK_SHA256);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void parse_line(struct gk_seen *s, const char *line, size_t len)
{
	size_t port = strcspn(line, " ");
	struct gk_seen_keyboard k = { "", { 0 } };

	if (port >= len || len != port + 1 + (size_t)(2 * GK_SHA256) ||
	    !is_port(line, port))
		return;
	memcpy(k.port, line, port);
	for (unsigned i = 0; i < 2 * GK_SHA256; i++) {
		int v = hex_digit(line[port + 1 + i]);

		if (v < 0)
			return;
		k.sha256[i / 2] = (uint8_t)(k.sha256[i / 2] << 4 | v);
	}
	gk_seen_add(s, k.port, k.sha256);
}

void gk_seen_parse(struct gk_seen *s, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		parse_line(s, text, len);
		text += len;
		if (*text)
			text++;
	}
}

void gk_seen_text(const struct gk_seen *s, char *buf)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < s->n; i++) {
		at += (size_t)snprintf(buf + at, GK_SEEN_TEXT - at, "%s ",
				       s->k[i].port);
		for (unsigned b = 0; b < GK_SHA256; b++)
			at += (size_t)snprintf(buf + at, GK_SEEN_TEXT - at, "%02x",
					       s->k[i].sha256[b]);
		at += (size_t)snprintf(buf + at, GK_SEEN_TEXT - at, "\n");
	}
}

void gk_seen_read(struct gk_seen *s, const char *path)
{
	char text[2 * GK_SEEN_TEXT];

	/* Of a longer one its first part: it was not written by us. */
	text[0] = '\0';
	if (gk_file_read(path, text, sizeof(text)) != GK_ERR_SYSTEM)
		gk_seen_parse(s, text);
}

int gk_seen_merge(const struct gk_seen *more, const char *path)
{
	char text[GK_SEEN_TEXT], dir[GK_PATH_MAX], *slash;
	struct gk_seen all = { 0 };
	int missing = 0;

	gk_seen_read(&all, path);
	for (unsigned i = 0; i < more->n; i++) {
		missing |= !gk_seen_has(&all, more->k[i].port, more->k[i].sha256);
		gk_seen_add(&all, more->k[i].port, more->k[i].sha256);
	}
	if (!missing)
		return 0;
	if (snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return GK_ERR_LIMIT;
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	if (slash && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return GK_ERR_SYSTEM;
	gk_seen_text(&all, text);
	return gk_file_replace(path, text, 0600);
}
