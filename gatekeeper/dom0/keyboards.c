/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/rules.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"

static int has_keyboard(const struct gk_link_device *i)
{
	return (i->verdict == GK_VERDICT_ADMITTED ||
		i->verdict == GK_VERDICT_PARTLY) &&
	       (i->granted & GK_ROLE_KEYBOARD);
}

/* --- those that have answered before --- */

static void write_answered(struct gk_daemon *d)
{
	char path[GK_PATH_MAX], text[GK_SEEN_TEXT];

	gk_root_follow();
	gk_seen_text(&d->keyboards.answered, text);
	if (gk_run_path(path, "keyboards") || gk_file_replace(path, text, 0600))
		gk_log(LOG_ERR, "cannot write %s/keyboards: %s", gk_run_dir,
		       strerror(errno));
}

void gk_keyboards_load(struct gk_daemon *d)
{
	struct gk_keyboards *k = &d->keyboards;
	char path[GK_PATH_MAX];

	if (gk_run_path(path, "keyboards") == 0)
		gk_seen_read(&k->answered, path);
	memset(&k->known, 0, sizeof(k->known));
	if (gk_path(path, GK_SEEN_FILE) == 0)
		gk_seen_read(&k->known, path);
}

static void keep(void *ctx)
{
	struct gk_daemon *d = ctx;
	struct gk_keyboards *k = &d->keyboards;
	char path[GK_PATH_MAX];

	if (d->in_initrd || !k->answered.n)
		return;
	gk_root_follow();
	if (gk_path(path, GK_SEEN_FILE) || gk_seen_merge(&k->answered, path))
		gk_log(k->keep_rounds ? LOG_DEBUG : LOG_WARNING,
		       "cannot write " GK_SEEN_FILE ": %s", strerror(errno));
	if (!k->keep_rounds)
		return;
	k->keep_rounds--;
	gk_timer_set(d->loop, &k->keep_timer, GK_KEEP_MS, keep, d);
}

void gk_keyboards_keep(struct gk_daemon *d)
{
	d->keyboards.keep_rounds = GK_KEEP_ROUNDS;
	keep(d);
}

/* --- deciding --- */

static void count(struct gk_daemon *d, int slot)
{
	struct gk_counted *c = &d->keyboards.slot[slot];

	c->counts = GK_COUNTS_YES;
	c->reason = 0;
	memcpy(c->stale, d->session.dev[slot].down, sizeof(c->stale));
}

static void refuse(struct gk_counted *c, enum gk_reason reason)
{
	c->counts = GK_COUNTS_REFUSED;
	c->reason = (uint16_t)reason;
}

int gk_keyboards_number(struct gk_daemon *d, struct gk_counted *c)
{
	struct gk_keyboards *k = &d->keyboards;
	uint64_t now = gk_now_ms();
	uint32_t random;

	if (!k->numbers || now - k->numbers_since >= GK_NUMBERS_MS) {
		k->numbers_since = now;
		k->numbers = 0;
	}
	if (k->numbers >= GK_NUMBERS)
		return 0;
	k->numbers++;
	/* One in 4,400 is thrown away: four in a row do not happen. Never
	 * waiting: the random numbers are there since the link's nonce. */
	for (int i = 0; i < 4; i++) {
		if (getrandom(&random, sizeof(random), GRND_NONBLOCK) !=
		    (ssize_t)sizeof(random))
			return 0;
		if (gk_challenge_number(&c->challenge, random) == 0)
			return 1;
	}
	return 0;
}

/* The person must see it, in the real root, too. */
static void show(struct gk_daemon *d, int slot, const char *what)
{
	const struct gk_link_device *i = &d->session.dev[slot].info;
	struct gk_counted *c = &d->keyboards.slot[slot];
	char port[GK_PORT_TEXT];

	gk_devices_port(d, i, port);
	if (gk_screen_ask(&d->screen, LOG_NOTICE, "%s on port %s (%04x:%04x): type "
			  "%s and Enter on it", what, port, i->vid, i->pid,
			  c->challenge.number))
		c->shown = gk_now_ms();
	else
		c->shown = 0;
	c->tried = gk_now_ms();
}

/* A key on it: whoever types may not see the number any more, or not yet. */
static void show_again(struct gk_daemon *d, int slot)
{
	struct gk_counted *c = &d->keyboards.slot[slot];
	uint64_t now = gk_now_ms();

	if (!c->shown) {
		if (now - c->tried >= GK_SHOW_RETRY_MS)
			show(d, slot, "new keyboard");
		return;
	}
	if (now - c->shown < GK_SHOW_AGAIN_MS || c->again >= GK_SHOW_AGAIN)
		return;
	c->again++;
	show(d, slot, "new keyboard");
}

void gk_keyboards_ask(struct gk_daemon *d, int slot)
{
	if (d->keyboards.slot[slot].counts == GK_COUNTS_ASKED)
		show(d, slot, "new keyboard");
}

static int is_pinned(struct gk_daemon *d, int slot)
{
	const struct gk_link_device *i = &d->session.dev[slot].info;
	struct gk_rule_text text;
	char port[GK_PORT_TEXT];

	gk_devices_port(d, i, port);
	text = (struct gk_rule_text){ port, strlen(port) };
	return gk_keyboard_is_pinned(&d->rules.table, &text, i->sha256);
}

/* This one counts now; with `keyboards one`, only it does. */
static void displace_others(struct gk_daemon *d, int slot)
{
	if (!(d->rules.table.keyboards & GK_KEYBOARDS_ONE))
		return;
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		if (i == slot || d->keyboards.slot[i].counts != GK_COUNTS_YES)
			continue;
		refuse(&d->keyboards.slot[i], GK_REASON_SECOND);
		gk_devices_decided(d, i);
	}
	gk_inputs_displace(d);
}

static void ask(struct gk_daemon *d, struct gk_counted *c, enum gk_reason reason)
{
	c->reason = (uint16_t)reason;
	c->counts = GK_COUNTS_ASKED;
	gk_challenge_init(&c->challenge);
	if (!gk_keyboards_number(d, c)) {
		refuse(c, GK_REASON_CHALLENGE);
		c->too_many = 1;
	}
}

static void decide(struct gk_daemon *d, int slot)
{
	const struct gk_session_device *s = &d->session.dev[slot];
	struct gk_counted *c = &d->keyboards.slot[slot];
	struct gk_keyboard_facts k = { .others = 0 };
	char port[GK_PORT_TEXT];

	gk_devices_port(d, &s->info, port);
	k.port = (struct gk_rule_text){ port, strlen(port) };
	memcpy(k.sha256, s->info.sha256, sizeof(k.sha256));
	k.seen = (uint8_t)(gk_seen_has(&d->keyboards.known, port, k.sha256) ||
			   gk_seen_has(&d->keyboards.answered, port, k.sha256));
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (i != slot && d->keyboards.slot[i].counts == GK_COUNTS_YES) {
			k.others++;
			k.others_pinned += (uint8_t)is_pinned(d, i);
		}
	k.others += (uint8_t)gk_inputs_counting(d);
	switch (gk_keyboard_decide(&d->rules.table, &k)) {
	case GK_KEYBOARD_ACCEPT:
		displace_others(d, slot);
		count(d, slot);
		break;
	case GK_KEYBOARD_UNPINNED:
		refuse(c, GK_REASON_UNPINNED);
		break;
	case GK_KEYBOARD_SECOND:
		refuse(c, GK_REASON_SECOND);
		break;
	case GK_KEYBOARD_ASK:
		ask(d, c, GK_REASON_CHALLENGE);
		break;
	}
	gk_devices_decided(d, slot);
	gk_keyboards_ask(d, slot);
}

/* Only what was there before is judged as ever. */
static void decide_after_handoff(struct gk_daemon *d, int slot)
{
	struct gk_counted *c = &d->keyboards.slot[slot];

	switch (gk_continuity_match(d, slot)) {
	case GK_MATCH_SAME:
		decide(d, slot);
		return;
	case GK_MATCH_UNKNOWN:
	case GK_MATCH_NEW:
	case GK_MATCH_CHANGED:
	case GK_MATCH_MOVED:
		break;
	}
	c->stranger = 1;
	ask(d, c, GK_REASON_STRANGER);
	gk_devices_decided(d, slot);
	gk_keyboards_ask(d, slot);
}

unsigned gk_keyboards_counting(const struct gk_daemon *d)
{
	unsigned n = 0;

	for (int i = 0; i < GK_LINK_DEVICES; i++)
		n += d->keyboards.slot[i].counts == GK_COUNTS_YES;
	return n;
}

void gk_keyboards_decide_others(struct gk_daemon *d)
{
	for (int n = 0; n < GK_LINK_DEVICES; n++) {
		int first = -1;

		if (gk_keyboards_counting(d) || gk_inputs_counting(d))
			return;
		/* Generations grow; slots are used again in any order. */
		for (int i = 0; i < GK_LINK_DEVICES; i++)
			if (d->keyboards.slot[i].counts == GK_COUNTS_REFUSED &&
			    d->keyboards.slot[i].reason == GK_REASON_SECOND &&
			    (first < 0 || d->session.dev[i].generation <
					  d->session.dev[first].generation))
				first = i;
		if (first < 0)
			return;
		decide(d, first);
	}
}

static void decide_all(struct gk_daemon *d)
{
	gk_keyboards_decide_others(d);
	gk_inputs_decide_again(d);
}

void gk_keyboards_device(struct gk_daemon *d, int slot)
{
	struct gk_counted *c = &d->keyboards.slot[slot];
	int counted = c->counts == GK_COUNTS_YES;

	memset(c, 0, sizeof(*c));
	if (!has_keyboard(&d->session.dev[slot].info))
		gk_devices_decided(d, slot);
	else if (gk_continuity_binds(d))
		decide_after_handoff(d, slot);
	else
		decide(d, slot);
	if (counted && c->counts != GK_COUNTS_YES)
		decide_all(d);
}

void gk_keyboards_mapped(struct gk_daemon *d)
{
	if (d->link_agent || !gk_continuity_binds(d))
		return;
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (d->session.dev[i].id && d->keyboards.slot[i].stranger &&
		    gk_continuity_match(d, i) == GK_MATCH_SAME)
			gk_keyboards_device(d, i);
}

void gk_keyboards_gone(struct gk_daemon *d, int slot)
{
	struct gk_counted *c = &d->keyboards.slot[slot];
	int counted = c->counts == GK_COUNTS_YES;

	memset(c, 0, sizeof(*c));
	if (counted)
		decide_all(d);
}

void gk_keyboards_reset(struct gk_daemon *d)
{
	memset(d->keyboards.slot, 0, sizeof(d->keyboards.slot));
	gk_inputs_decide_again(d);
}

/* --- keys --- */

static void passed(struct gk_daemon *d, int slot)
{
	const struct gk_link_device *i = &d->session.dev[slot].info;
	char port[GK_PORT_TEXT];

	gk_devices_port(d, i, port);
	gk_seen_add(&d->keyboards.answered, port, i->sha256);
	write_answered(d);
	gk_keyboards_keep(d);
	if (gk_continuity_binds(d))
		gk_continuity_trust(d, slot);
	d->keyboards.slot[slot].stranger = 0;
	/* Another one may have been quicker. */
	decide(d, slot);
}

int gk_keyboards_trust(struct gk_daemon *d, int slot)
{
	struct gk_counted *c = &d->keyboards.slot[slot];

	if (!gk_continuity_binds(d) ||
	    gk_continuity_match(d, slot) == GK_MATCH_SAME ||
	    gk_continuity_match(d, slot) == GK_MATCH_UNKNOWN)
		return GK_ERR_ORDER;
	gk_continuity_trust(d, slot);
	if (c->counts == GK_COUNTS_ASKED || c->counts == GK_COUNTS_REFUSED) {
		memset(c, 0, sizeof(*c));
		decide(d, slot);
	}
	return 0;
}

static void on_answer(struct gk_daemon *d, int slot, enum gk_challenge_answer a)
{
	struct gk_counted *c = &d->keyboards.slot[slot];

	switch (a) {
	case GK_CHALLENGE_MORE:
		show_again(d, slot);
		return;
	case GK_CHALLENGE_WRONG:
		show(d, slot, "wrong number. New keyboard");
		return;
	case GK_CHALLENGE_NEW:
		if (gk_keyboards_number(d, c)) {
			show(d, slot, "wrong again. New keyboard");
			return;
		}
		break;
	case GK_CHALLENGE_LOST:
		break;
	case GK_CHALLENGE_PASSED:
		passed(d, slot);
		return;
	}
	refuse(c, GK_REASON_CHALLENGE);
	gk_devices_decided(d, slot);
}

int gk_keyboards_key(struct gk_daemon *d, int slot, uint16_t code, uint8_t value)
{
	struct gk_counted *c = &d->keyboards.slot[slot];

	if (code < GK_KEYS && !value)
		c->stale[code >> 3] &= (uint8_t)~(1u << (code & 7));
	if (c->counts == GK_COUNTS_ASKED)
		on_answer(d, slot, gk_challenge_key(&c->challenge, code, value));
	return c->counts == GK_COUNTS_YES;
}

void gk_keyboards_held(const struct gk_daemon *d, uint8_t held[GK_KEY_BYTES])
{
	memset(held, 0, GK_KEY_BYTES);
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_counted *c = &d->keyboards.slot[i];

		if (!d->session.dev[i].id || c->counts != GK_COUNTS_YES)
			continue;
		for (int b = 0; b < GK_KEY_BYTES; b++)
			held[b] |= (uint8_t)(d->session.dev[i].down[b] &
					     ~c->stale[b]);
	}
	gk_inputs_held(d, held);
}

void gk_keyboards_view(const struct gk_daemon *d, int slot,
		       struct gk_link_device *out)
{
	const struct gk_counted *c = &d->keyboards.slot[slot];

	*out = d->session.dev[slot].info;
	if (c->counts != GK_COUNTS_ASKED && c->counts != GK_COUNTS_REFUSED)
		return;
	out->granted &= (uint8_t)~GK_ROLE_KEYBOARD;
	out->verdict = out->granted ? GK_VERDICT_PARTLY : GK_VERDICT_REFUSED;
	out->reason = c->reason;
	for (int i = 0; i < GK_SHOWN_INTERFACES; i++)
		if (out->shown[i].role == GK_ROLE_KEYBOARD)
			out->shown[i].role = 0;
}
