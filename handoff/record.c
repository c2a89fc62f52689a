/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "dom0/json.h"
#include "handoff/pci.h"
#include "handoff/record.h"

static const struct {
	const char *name;
	size_t at;
} times[] = {
	{ "prepare_ms", offsetof(struct gk_ho_times, prepare) },
	{ "quiesce_ms", offsetof(struct gk_ho_times, quiesce) },
	{ "release_ms", offsetof(struct gk_ho_times, release) },
	{ "reset_ms", offsetof(struct gk_ho_times, reset) },
	{ "assign_ms", offsetof(struct gk_ho_times, assign) },
	{ "confirm_ms", offsetof(struct gk_ho_times, confirm) },
	{ "reclaim_ms", offsetof(struct gk_ho_times, reclaim) },
	{ "handoff_blackout_ms", offsetof(struct gk_ho_times, blackout) },
};

enum { TIMES = sizeof(times) / sizeof(times[0]) };

static int64_t *time_of(struct gk_ho_times *t, size_t i)
{
	return (int64_t *)(void *)((char *)t + times[i].at);
}

void gk_ho_record_init(struct gk_ho_record *r)
{
	memset(r, 0, sizeof(*r));
	r->target_domid = r->gate_domid = r->held_domid = r->suspect_domid = -1;
	for (size_t i = 0; i < TIMES; i++)
		*time_of(&r->times, i) = -1;
}

static void put_id(struct gk_json *j, const char *key, int id)
{
	if (id < 0)
		gk_json_null(j, key);
	else
		gk_json_number(j, key, id);
}

static void put_text(struct gk_json *j, const char *key, const char *text)
{
	gk_json_string(j, key, text[0] ? text : NULL);
}

int gk_ho_record_text(const struct gk_ho_record *r, char *buf, size_t cap)
{
	struct gk_ho_times t = r->times;
	struct gk_json j;
	int n;

	gk_json_init(&j, buf, cap - 1);
	gk_json_object(&j, NULL);
	gk_json_string(&j, "state", gk_ho_state_name(r->state));
	gk_json_string(&j, "mode", gk_ho_mode_name(r->mode));
	gk_json_number(&j, "since", (int64_t)r->since);
	gk_json_number(&j, "deadline", (int64_t)r->deadline);
	put_text(&j, "target", r->target);
	put_id(&j, "target_domid", r->target_domid);
	put_id(&j, "gate_domid", r->gate_domid);
	put_id(&j, "suspect_domid", r->suspect_domid);
	put_text(&j, "config", r->config);
	gk_json_bool(&j, "no_strict_reset", r->no_strict_reset);
	gk_json_bool(&j, "permissive", r->permissive);
	gk_json_bool(&j, "wanted", r->wanted);
	put_id(&j, "held_domid", r->held_domid);
	put_text(&j, "cause", r->cause);
	gk_json_number(&j, "handoffs", r->handoffs);
	gk_json_number(&j, "reclaims", r->reclaims);
	for (size_t i = 0; i < TIMES; i++)
		gk_json_number(&j, times[i].name, *time_of(&t, i));
	gk_json_array(&j, "controllers");
	for (int i = 0; i < r->controllers && i < GK_HO_CONTROLLERS; i++) {
		gk_json_object(&j, NULL);
		gk_json_string(&j, "bdf", r->controller[i].bdf);
		put_id(&j, "owner", r->controller[i].owner);
		gk_json_end_object(&j);
	}
	gk_json_end_array(&j);
	gk_json_end_object(&j);
	n = gk_json_finish(&j);
	if (n < 0)
		return n;
	buf[n] = '\n';
	buf[n + 1] = '\0';
	return n + 1;
}

/* --- and back --- */

static int get_number(const char *text, const char *key, long long min, long long max,
		      long long *out)
{
	char word[32], *end;

	if (!gk_json_member(text, key, word, sizeof(word)))
		return 0;
	*out = strtoll(word, &end, 10);
	return end != word && !*end && *out >= min && *out <= max;
}

/* A domain id, or null. */
static int get_id(const char *text, const char *key, int *out)
{
	char word[32];
	long long v;

	if (!gk_json_member(text, key, word, sizeof(word)))
		return 0;
	*out = -1;
	if (strcmp(word, "null") == 0)
		return 1;
	if (!get_number(text, key, 0, 0x7fef, &v))
		return 0;
	*out = (int)v;
	return 1;
}

static int get_text(const char *text, const char *key, char *out, size_t cap)
{
	if (!gk_json_member(text, key, out, cap))
		return 0;
	if (strcmp(out, "null") == 0)
		memset(out, 0, sizeof("null"));
	return 1;
}

static int get_bool(const char *text, const char *key, int *out)
{
	char word[8];

	if (!gk_json_member(text, key, word, sizeof(word)))
		return 0;
	*out = strcmp(word, "true") == 0;
	return *out || strcmp(word, "false") == 0;
}

static int get_controllers(const char *text, struct gk_ho_record *r)
{
	const char *s = strstr(text, "\"controllers\":[");
	struct gk_pci_bdf bdf;

	if (!s)
		return 0;
	while ((s = strstr(s, "{\"bdf\":")) != NULL) {
		struct gk_ho_controller *c;

		if (r->controllers == GK_HO_CONTROLLERS)
			return 0;
		c = &r->controller[r->controllers++];
		if (!gk_json_member(s, "bdf", c->bdf, sizeof(c->bdf)) ||
		    gk_pci_bdf_parse(c->bdf, &bdf) != 0 ||
		    !get_id(s, "owner", &c->owner))
			return 0;
		s++;
	}
	return 1;
}

static int parse(const char *text, struct gk_ho_record *r)
{
	char word[32];
	long long v;
	int n;

	if (text[0] != '{' || !gk_json_member(text, "state", word, sizeof(word)))
		return 0;
	n = gk_ho_state_named(word);
	if (n < 0)
		return 0;
	r->state = (enum gk_ho_state)n;
	if (!gk_json_member(text, "mode", word, sizeof(word)))
		return 0;
	n = gk_ho_mode_named(word);
	if (n < 0)
		return 0;
	r->mode = (enum gk_ho_mode)n;
	if (!get_number(text, "since", 0, INT64_MAX, &v))
		return 0;
	r->since = (uint64_t)v;
	if (!get_number(text, "deadline", 0, INT64_MAX, &v))
		return 0;
	r->deadline = (uint64_t)v;
	if (!get_text(text, "target", r->target, sizeof(r->target)) ||
	    !get_id(text, "target_domid", &r->target_domid) ||
	    !get_id(text, "gate_domid", &r->gate_domid) ||
	    !get_text(text, "config", r->config, sizeof(r->config)) ||
	    !get_bool(text, "no_strict_reset", &r->no_strict_reset) ||
	    !get_bool(text, "wanted", &r->wanted) ||
	    !get_id(text, "held_domid", &r->held_domid) ||
	    !get_text(text, "cause", r->cause, sizeof(r->cause)))
		return 0;
	/* A gatekeeperd of before these were written may have been at it. */
	if (gk_json_member(text, "permissive", word, sizeof(word)) &&
	    !get_bool(text, "permissive", &r->permissive))
		return 0;
	if (gk_json_member(text, "suspect_domid", word, sizeof(word)) &&
	    !get_id(text, "suspect_domid", &r->suspect_domid))
		return 0;
	if (!get_number(text, "handoffs", 0, INT32_MAX, &v))
		return 0;
	r->handoffs = (unsigned)v;
	if (!get_number(text, "reclaims", 0, INT32_MAX, &v))
		return 0;
	r->reclaims = (unsigned)v;
	for (size_t i = 0; i < TIMES; i++) {
		if (!get_number(text, times[i].name, -1, INT32_MAX, &v))
			return 0;
		*time_of(&r->times, i) = v;
	}
	return get_controllers(text, r);
}

int gk_ho_record_parse(const char *text, struct gk_ho_record *r)
{
	gk_ho_record_init(r);
	if (parse(text, r))
		return GK_OK;
	gk_ho_record_init(r);
	return GK_ERR_VALUE;
}
