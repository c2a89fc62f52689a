/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rules file, and a device judged by it. The first four bytes of the input
 * choose the device, the rest is the file. Whatever the file says: a refusal has
 * a place within it and an empty table, a table is within its caps, only an
 * allow rule grants, and only what the device fits.
 */
#include <string.h>

#include "core/rules.h"
#include "fuzz.h"

enum { CHOICE = 4 };

static const char *const texts[] = { NULL, "", "a", "1-3", "USB Keyboard", "hotplug" };

static struct gk_rule_text text(unsigned choice)
{
	struct gk_rule_text t = { texts[choice % 6], 0 };

	t.len = t.text ? strlen(t.text) : 0;
	return t;
}

static void choose(struct gk_rule_device *d, const uint8_t *c)
{
	static const struct gk_rule_interface kinds[] = {
		{ 3, 1, 1, GK_ROLE_KEYBOARD },
		{ 3, 0, 0, GK_ROLE_FIDO },
		{ 11, 0, 0, GK_ROLE_SMARTCARD },
		{ 8, 6, 80, 0 },
		{ 9, 0, 0, 0 },
		{ 3, 1, 1, GK_ROLE_KEYBOARD | GK_ROLE_FIDO },
		{ 0xff, 0xff, 0xff, 0 },
		{ 3, 1, 2, GK_ROLE_POINTER },
	};

	memset(d, 0, sizeof(*d));
	d->vid = (uint16_t)(0x1234 + (c[0] & 1));
	d->pid = (uint16_t)(0x5678 + (c[0] >> 1 & 1));
	d->known_usbguard_hash = c[0] >> 2 & 1;
	d->known_parent_hash = c[0] >> 3 & 1;
	d->name = text(c[1]);
	d->serial = text(c[1] / 6u);
	d->port = text(c[2]);
	d->connect_type = text(c[2] / 6u);
	d->interfaces = c[3] % (GK_USB_INTERFACES + 1);
	for (unsigned i = 0; i < d->interfaces; i++)
		d->interface[i] = kinds[(c[3] * 7u + i * (c[0] + 1u)) % 8];
}

static void check_value(const struct gk_rules *r, const struct gk_rule_value *v)
{
	MUST(v->b <= GK_RULE_STRING && v->a + v->b <= r->used);
}

static void check_table(const struct gk_rules *r, size_t size)
{
	MUST(r->rules <= GK_RULES_MAX && r->pins <= GK_RULES_PINS);
	MUST(r->used <= GK_RULES_STRINGS && r->used <= size);
	MUST(r->rules > 0 || r->notes > 0);
	MUST(!(r->keyboards & GK_KEYBOARDS_PINNED) || r->pins > 0);
	for (unsigned i = 0; i < r->rules; i++) {
		const struct gk_rule *x = &r->rule[i];
		unsigned sum = 0;

		MUST((x->target == GK_RULE_ALLOW) == (x->roles != 0));
		MUST(x->line >= 1 && (i == 0 || x->line > r->rule[i - 1].line));
		check_value(r, &x->label);
		for (unsigned a = 0; a < GK_RULE_ATTRIBUTES; a++) {
			const struct gk_rule_set *s = &x->set[a];

			sum += s->count;
			MUST(s->first + s->count <= x->values);
			for (unsigned k = 0; k < s->count; k++)
				if (a != GK_RULE_ID && a != GK_RULE_INTERFACE)
					check_value(r, &x->value[s->first + k]);
		}
		MUST(sum == x->values && sum <= GK_RULE_VALUES);
	}
	for (unsigned i = 0; i < r->pins; i++)
		check_value(r, &r->pin[i].port);
}

static void check_verdict(const struct gk_rules *r, const struct gk_rule_device *d)
{
	struct gk_rule_verdict v;
	struct gk_keyboard_facts k;
	uint8_t granted = 0;

	memset(&v, 0xee, sizeof(v));
	gk_rules_judge(r, d, &v);
	MUST(v.rule >= -1 && v.rule < r->rules);
	for (unsigned i = 0; i < GK_USB_INTERFACES; i++) {
		granted |= v.role[i];
		MUST(v.role[i] == 0 ||
		     (i < d->interfaces && !(v.role[i] & ~d->interface[i].fits)));
	}
	MUST(v.granted == granted);
	if (v.rule < 0)
		MUST(v.target == GK_RULE_BLOCK);
	else
		MUST(v.target == r->rule[v.rule].target &&
		     !(granted & ~r->rule[v.rule].roles));
	MUST((granted != 0) ==
	     (v.verdict == GK_VERDICT_ADMITTED || v.verdict == GK_VERDICT_PARTLY));
	MUST(v.target == GK_RULE_ALLOW || v.verdict == GK_VERDICT_REFUSED);

	memset(&k, 0, sizeof(k));
	k.port = d->port;
	k.others = 1;
	if (gk_keyboard_decide(r, &k) == GK_KEYBOARD_SECOND)
		MUST(r->keyboards & GK_KEYBOARDS_ONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gk_rules r, again;
	static const struct gk_rules empty;
	struct gk_rules_note e;
	struct gk_rule_device d;
	int err;

	if (size < CHOICE)
		return 0;
	choose(&d, data);
	data += CHOICE;
	size -= CHOICE;
	memset(&r, 0xee, sizeof(r));
	err = gk_rules_parse((const char *)data, size, &r, &e);
	MUST(err == GK_OK || err == GK_ERR_VALUE || err == GK_ERR_LIMIT);
	if (err) {
		MUST(e.text && e.line >= 1 && e.column >= 1 && e.column <= size + 1);
		MUST(!memcmp(&r, &empty, sizeof(r)));
	} else {
		check_table(&r, size);
		MUST(gk_rules_parse((const char *)data, size, &again, &e) == GK_OK);
		MUST(!memcmp(&r, &again, sizeof(r)));
	}
	check_verdict(&r, &d);
	return 0;
}
