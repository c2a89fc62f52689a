/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto.h"

/* "credential" and five strings in hex, "-" for an empty one */
#define LINE_MAX_	(16 + 2 * GK_CREDENTIAL_ID + 4 * (2 * GK_RP_MAX + 1))

void gk_store_fresh(struct gk_store *store)
{
	const char *path = store->path;

	memset(store, 0, sizeof(*store));
	store->path = path;
	store->pin_retries = GK_PIN_RETRIES;
	gk_random(store->wrap_key, sizeof(store->wrap_key));
}

void gk_name_set(struct gk_name *name, struct gk_slice from, size_t max)
{
	name->len = (uint8_t)(from.n < max ? from.n : max);
	if (name->len)
		memcpy(name->data, from.p, name->len);
}

/* --- reading ---------------------------------------------------------------- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The length; -1: not hex, or too long. */
static int from_hex(const char *text, uint8_t *out, size_t max)
{
	size_t n = strlen(text), i;

	if (!strcmp(text, "-"))
		return 0;
	if (n % 2 || n / 2 > max)
		return -1;
	for (i = 0; i < n; i += 2) {
		if (digit(text[i]) < 0 || digit(text[i + 1]) < 0)
			return -1;
		out[i / 2] = (uint8_t)(digit(text[i]) << 4 | digit(text[i + 1]));
	}
	return (int)(n / 2);
}

static int word_name(char **rest, struct gk_name *name)
{
	const char *word = strtok_r(NULL, " ", rest);
	int n = word ? from_hex(word, name->data, sizeof(name->data)) : -1;

	name->len = (uint8_t)n;
	return n < 0 ? -1 : 0;
}

static int word_number(const char *word, unsigned long max, unsigned long *n)
{
	char *end;

	if (!word || word[0] < '0' || word[0] > '9')
		return -1;
	errno = 0;
	*n = strtoul(word, &end, 10);
	return errno || *end || *n > max ? -1 : 0;
}

static int parse_resident(struct gk_store *s, char **rest)
{
	struct gk_resident *r = &s->residents[s->n_residents];
	const char *word = strtok_r(NULL, " ", rest);

	if (s->n_residents == GK_RESIDENTS || !word ||
	    from_hex(word, r->id, sizeof(r->id)) != GK_CREDENTIAL_ID ||
	    word_name(rest, &r->rp_id) < 0 || word_name(rest, &r->user_id) < 0 ||
	    word_name(rest, &r->user_name) < 0 ||
	    word_name(rest, &r->display_name) < 0)
		return -1;
	s->n_residents++;
	return 0;
}

static int parse_line(struct gk_store *s, char *line)
{
	char *rest = NULL;
	const char *key = strtok_r(line, " ", &rest), *word;
	unsigned long n;

	if (!key)
		return -1;
	if (!strcmp(key, "credential"))
		return parse_resident(s, &rest);
	word = strtok_r(NULL, " ", &rest);
	if (!word)
		return -1;
	if (!strcmp(key, "wrap-key"))
		return from_hex(word, s->wrap_key, 32) == 32 ? 0 : -1;
	if (!strcmp(key, "pin")) {
		s->pin_set = true;
		return from_hex(word, s->pin_hash, 16) == 16 ? 0 : -1;
	}
	if (!strcmp(key, "pin-retries")) {
		if (word_number(word, GK_PIN_RETRIES, &n) < 0)
			return -1;
		s->pin_retries = (unsigned int)n;
		return 0;
	}
	if (!strcmp(key, "counter")) {
		if (word_number(word, UINT32_MAX, &n) < 0)
			return -1;
		s->counter = (uint32_t)n;
		return 0;
	}
	return -1;
}

int gk_store_load(struct gk_store *store)
{
	static char line[LINE_MAX_ + 2];
	unsigned int number = 0;
	FILE *f;
	int ret = -1;

	gk_store_fresh(store);
	f = store->path ? fopen(store->path, "re") : NULL;
	if (!f) {
		if (!store->path || errno == ENOENT)
			return 0;
		perror(store->path);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		if (parse_line(store, line) < 0) {
			fprintf(stderr, "%s: line %u is not understood\n",
				store->path, number);
			goto out;
		}
	}
	ret = ferror(f) ? -1 : 0;
out:
	fclose(f);
	return ret;
}

/* --- writing ---------------------------------------------------------------- */

static void put_hex(FILE *f, const uint8_t *data, size_t len)
{
	size_t i;

	fputc(' ', f);
	if (!len)
		fputc('-', f);
	for (i = 0; i < len; i++)
		fprintf(f, "%02x", data[i]);
}

static void put_all(FILE *f, const struct gk_store *s)
{
	const struct gk_resident *r;

	fputs("wrap-key", f);
	put_hex(f, s->wrap_key, sizeof(s->wrap_key));
	if (s->pin_set) {
		fputs("\npin", f);
		put_hex(f, s->pin_hash, sizeof(s->pin_hash));
	}
	fprintf(f, "\npin-retries %u\ncounter %u\n", s->pin_retries, s->counter);
	for (r = s->residents; r < s->residents + s->n_residents; r++) {
		fputs("credential", f);
		put_hex(f, r->id, sizeof(r->id));
		put_hex(f, r->rp_id.data, r->rp_id.len);
		put_hex(f, r->user_id.data, r->user_id.len);
		put_hex(f, r->user_name.data, r->user_name.len);
		put_hex(f, r->display_name.data, r->display_name.len);
		fputc('\n', f);
	}
}

int gk_store_save(const struct gk_store *store)
{
	char part[4096];
	bool good;
	FILE *f;

	if (!store->path)
		return 0;
	if (snprintf(part, sizeof(part), "%s.part", store->path) >=
	    (int)sizeof(part)) {
		errno = ENAMETOOLONG;
		goto fail;
	}
	f = fopen(part, "we");
	if (!f)
		goto fail;
	put_all(f, store);
	good = !ferror(f);
	if (fclose(f) != 0 || !good || rename(part, store->path) < 0)
		goto fail;
	return 0;
fail:
	perror(store->path);
	return -1;
}
