/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording of hid-recorder, read line by line:
 *   D: NUMBER                   the lines that follow are of that device
 *   R: LENGTH BYTES...          its report descriptor, bytes in hex
 *   E: SECONDS.USEC LENGTH BYTES...  a report, as it came
 * N: (name), P: (path), I: (ids), comments with '#' and lines of other letters
 * do not matter here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/inspect.h"
#include "core/hid_keys.h"

enum {
	DEVICES = 16,
	LINE = 64 << 10,	       /* 16 KiB as " xx" and a head */
	BYTES = GK_HID_REPORT_MAX + 1, /* a report and its id */
};

struct device {
	struct gk_hid_map map;
	struct gk_hid_keys keys;
	int described, err;
};

struct key_event {
	unsigned long sec, usec;
	struct gk_link_key key;
};

struct replay {
	struct device *device[DEVICES];
	unsigned current;
	unsigned line;
	uint8_t bytes[BYTES];
	size_t len;
	int json;
	/* With json: all events, for they come last in the object. */
	struct key_event *event;
	size_t events, room;
};

/* "LENGTH xx xx ..." and nothing else, into r->bytes. */
static int read_bytes(struct replay *r, const char *p)
{
	unsigned long want;
	char *end;

	errno = 0;
	want = strtoul(p, &end, 10);
	if (end == p || errno || want > BYTES)
		return GK_ERR_VALUE;
	r->len = 0;
	for (p = end; *(p += strspn(p, " \t\r\n"));) {
		unsigned v;
		int used = 0;

		if (sscanf(p, "%2x%n", &v, &used) != 1 || r->len >= want)
			return GK_ERR_VALUE;
		r->bytes[r->len++] = (uint8_t)v;
		p += used;
		if (*p && !strchr(" \t\r\n", *p))
			return GK_ERR_VALUE;
	}
	return r->len == want ? GK_OK : GK_ERR_VALUE;
}

static int take_device(struct replay *r, const char *p)
{
	char *end;
	unsigned long n = strtoul(p, &end, 10);

	if (end == p || n >= DEVICES)
		return GK_ERR_VALUE;
	r->current = (unsigned)n;
	return GK_OK;
}

static int take_descriptor(struct replay *r, const char *p)
{
	struct device *d = r->device[r->current];

	if (read_bytes(r, p))
		return GK_ERR_VALUE;
	if (!d)
		d = r->device[r->current] = calloc(1, sizeof(*d));
	if (!d)
		return GK_ERR_SYSTEM;
	d->err = gk_hid_parse(r->bytes, r->len, &d->map);
	gk_hid_keys_init(&d->map, &d->keys, GK_HID_AS_LINUX);
	d->described = 1;
	if (d->err && !r->json)
		printf("refused: line %u: %s at byte %u\n", r->line,
		       gk_hid_reason_text(d->map.reason), d->map.error_offset);
	return GK_OK;
}

/* Digits after the point are a fraction: six count. */
static int read_time(const char **p, unsigned long *sec, unsigned long *usec)
{
	unsigned long unit = 100000;
	char *end;

	errno = 0;
	*sec = strtoul(*p, &end, 10);
	*usec = 0;
	if (end == *p || errno || *end != '.')
		return GK_ERR_VALUE;
	for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
		*usec += (unsigned long)(*end - '0') * unit;
	*p = end;
	return *end == ' ' ? GK_OK : GK_ERR_VALUE;
}

static int keep(struct replay *r, const struct key_event *e)
{
	if (!r->json) {
		printf("%lu.%06lu EV_KEY %u %u\n", e->sec, e->usec, e->key.code,
		       e->key.value);
		return GK_OK;
	}
	if (r->events == r->room) {
		size_t room = r->room ? r->room * 2 : 1024;
		struct key_event *bigger = realloc(r->event, room * sizeof(*bigger));

		if (!bigger)
			return GK_ERR_SYSTEM;
		r->event = bigger;
		r->room = room;
	}
	r->event[r->events++] = *e;
	return GK_OK;
}

static int take_report(struct replay *r, const char *p)
{
	struct gk_link_key ev[GK_HID_KEYS_EVENTS];
	struct device *d = r->device[r->current];
	struct key_event e;
	int n, err = GK_OK;

	if (read_time(&p, &e.sec, &e.usec) || read_bytes(r, p))
		return GK_ERR_VALUE;
	if (!d || !d->described)
		return GK_ERR_ORDER;
	if (d->err)
		return GK_OK;
	/* A report that the descriptor does not cover yields no event. */
	n = gk_hid_keys_report(&d->map, &d->keys, r->bytes, r->len, ev);
	for (int i = 0; i < n && !err; i++) {
		e.key = ev[i];
		err = keep(r, &e);
	}
	return err;
}

static int take_line(struct replay *r, const char *line)
{
	if (!line[0] || line[1] != ':')
		return GK_OK;
	switch (line[0]) {
	case 'D':
		return take_device(r, line + 2);
	case 'R':
		return take_descriptor(r, line + 2);
	case 'E':
		return take_report(r, line + 2);
	default:
		return GK_OK;
	}
}

static int read_file(struct replay *r, const char *file)
{
	static char line[LINE];
	FILE *f = fopen(file, "r");
	int err = GK_OK;

	if (!f) {
		fprintf(stderr, "gatekeeper: %s cannot be read\n", file);
		return GK_ERR_SYSTEM;
	}
	while (!err && fgets(line, sizeof(line), f)) {
		r->line++;
		if (!strchr(line, '\n') && !feof(f))
			/* Too long, or a byte 0 hides its end. */
			err = strlen(line) == sizeof(line) - 1 ? GK_ERR_LIMIT
							       : GK_ERR_VALUE;
		else
			err = take_line(r, line);
	}
	if (err)
		fprintf(stderr, "gatekeeper: %s, line %u: %s\n", file, r->line,
			gk_strerror(err));
	fclose(f);
	return err;
}

/* The first that is refused, else the first there is. */
static const struct device *first_of_interest(const struct replay *r)
{
	const struct device *first = NULL;

	for (unsigned i = 0; i < DEVICES; i++) {
		const struct device *d = r->device[i];

		if (d && (!first || (d->err && !first->err)))
			first = d;
	}
	return first;
}

static int print_json(const struct replay *r)
{
	/* {"time":"18446744073709551615.999999","code":255,"value":1}, */
	size_t cap = (16 << 10) + r->events * 64;
	const struct device *d = first_of_interest(r);
	char *text = malloc(cap);
	unsigned roles = 0;
	struct gk_json o;
	int ret = GK_EXIT_FAILED;

	if (!text)
		return GK_EXIT_FAILED;
	gk_json_init(&o, text, cap);
	gk_json_object(&o, NULL);
	gk_inspect_hid_json(&o, &d->map, d->err);
	gk_json_array(&o, "interfaces");
	for (unsigned i = 0; i < DEVICES; i++) {
		if (!r->device[i] || r->device[i]->err)
			continue;
		gk_inspect_hid_interface(&o, &r->device[i]->map, i);
		roles |= gk_hid_roles(&r->device[i]->map);
	}
	gk_json_end_array(&o);
	gk_inspect_roles(&o, (uint8_t)roles);
	gk_json_array(&o, "events");
	for (size_t i = 0; i < r->events; i++) {
		char time[40];

		snprintf(time, sizeof(time), "%lu.%06lu", r->event[i].sec,
			 r->event[i].usec);
		gk_json_object(&o, NULL);
		gk_json_string(&o, "time", time);
		gk_json_number(&o, "code", r->event[i].key.code);
		gk_json_number(&o, "value", r->event[i].key.value);
		gk_json_end_object(&o);
	}
	gk_json_end_array(&o);
	gk_json_end_object(&o);
	if (gk_json_finish(&o) >= 0) {
		puts(text);
		ret = d->err ? GK_EXIT_FAILED : GK_EXIT_DONE;
	}
	free(text);
	return ret;
}

int gk_inspect_replay(const char *file, int json)
{
	static struct replay r;
	const struct device *d;
	int ret = GK_EXIT_FAILED;

	r.json = json;
	if (read_file(&r, file))
		goto out;
	d = first_of_interest(&r);
	if (!d) {
		fprintf(stderr, "gatekeeper: %s: no report descriptor (R: line)\n",
			file);
		goto out;
	}
	ret = json ? print_json(&r) : d->err ? GK_EXIT_FAILED : GK_EXIT_DONE;
out:
	for (unsigned i = 0; i < DEVICES; i++)
		free(r.device[i]);
	free(r.event);
	return ret;
}
