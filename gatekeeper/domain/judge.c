/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "judge.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cursor.h"
#include "core/usb_desc.h"
#include "digest.h"
#include "worker.h"

enum {
	MASK_BITS = 32,		/* interfaces in USBDEVFS_DROP_PRIVILEGES's mask */
	CLASS_SMARTCARD = 0x0b,
};

/* Static, not on the stack: the gate's stack is small and this is not. */
static struct {
	struct gk_rules rules;
	int builtin;
	uint8_t raw[GK_USB_RAW_MAX];
	char text[GK_RULES_TEXT_MAX + 1];
	struct gk_usb_device parsed;
	char port[GK_PORT_TEXT];
} st;

static ssize_t read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	while (have < sizeof(st.text) &&
	       (n = read(fd, st.text + have, sizeof(st.text) - have)) > 0)
		have += (size_t)n;
	close(fd);
	return n < 0 ? -1 : (ssize_t)have;
}

void gk_judge_rules(const char *path, char said[GK_LINK_TEXT + 1])
{
	const char *text = gk_rules_default();
	struct gk_rules_note note;
	ssize_t len = read_file(path);

	st.builtin = 0;
	snprintf(said, GK_LINK_TEXT + 1, "rules of rules.conf");
	if (len >= 0 && gk_rules_parse(st.text, (size_t)len, &st.rules, &note) == 0)
		return;
	if (len >= 0)
		snprintf(said, GK_LINK_TEXT + 1, "rules.conf:%u:%u: %s; built-in rules",
			 note.line, note.column, note.text);
	else
		snprintf(said, GK_LINK_TEXT + 1, "built-in rules");
	st.builtin = 1;
	/* A table that is empty refuses everything: safe, and never the case. */
	if (gk_rules_parse(text, strlen(text), &st.rules, &note) < 0)
		snprintf(said, GK_LINK_TEXT + 1, "no rules");
}

int gk_judge_rules_text(const char *text, size_t len, char said[GK_LINK_TEXT + 1])
{
	static struct gk_rules rules;
	const char *builtin = gk_rules_default();
	struct gk_rules_note note;
	int err;

	snprintf(said, GK_LINK_TEXT + 1, "%s", len ? "rules of dom0" : "built-in rules");
	err = gk_rules_parse(len ? text : builtin, len ? len : strlen(builtin), &rules,
			     &note);
	if (err < 0) {
		snprintf(said, GK_LINK_TEXT + 1, "rules of dom0:%u:%u: %s", note.line,
			 note.column, note.text);
		return err;
	}
	st.rules = rules;
	st.builtin = len == 0;
	return GK_OK;
}

/* As USBGuard makes it: gk_rule_device.usbguard_hash. */
static void usbguard_hash(struct gk_rule_device *d, size_t raw_len)
{
	char ids[9];
	struct gk_digest *h = gk_digest_begin();

	snprintf(ids, sizeof(ids), "%04x%04x", d->vid, d->pid);
	gk_digest_add(h, d->name.text, d->name.len);
	gk_digest_add(h, ids, 8);
	gk_digest_add(h, d->serial.text, d->serial.len);
	gk_digest_add(h, st.raw, raw_len);
	gk_digest_end(h, d->usbguard_hash);
	d->known_usbguard_hash = 1;
}

static void facts_of(const struct gk_present *at, const struct gk_case *c,
		     size_t raw_len, struct gk_rule_device *f)
{
	gk_policy_device(f, &st.parsed);
	memcpy(f->sha256, c->info.sha256, GK_SHA256);
	f->name = (struct gk_rule_text){ c->name, c->name_len };
	f->serial = (struct gk_rule_text){ c->serial, c->serial_len };
	gk_port_text(gk_inventory_controller_no(at->path.controller), &at->path,
		     st.port);
	f->port.text = st.port;
	f->port.len = strlen(st.port);
	usbguard_hash(f, raw_len);
}

static void tell_rule(struct gk_case *c, int rule)
{
	c->info.rule = 0;
	if (rule >= 0 && rule < GK_RULES_MAX)
		c->info.rule = (uint16_t)((st.rules.rule[rule].line & 0x7fff) |
					  (st.builtin ? GK_LINK_BUILTIN : 0));
}

void gk_judge_refuse(struct gk_case *c, enum gk_reason reason)
{
	c->verdict = GK_VERDICT_REFUSED;
	c->may_leave = 0;
	c->info.verdict = GK_VERDICT_REFUSED;
	c->info.granted = 0;
	c->info.reason = (uint16_t)reason;
	c->info.offset = 0;
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES; i++)
		c->info.shown[i].role = 0;
}

static void refuse_unwanted(struct gk_case *c, enum gk_reason reason,
			    enum gk_rule_target target)
{
	gk_judge_refuse(c, reason);
	c->may_leave = target != GK_RULE_REJECT &&
		       (reason == GK_REASON_NO_ROLE || reason == GK_REASON_RULE ||
			reason == GK_REASON_NO_RULE);
}

static void show(struct gk_link_device *info)
{
	const struct gk_usb_device *p = &st.parsed;

	info->vid = p->vid;
	info->pid = p->pid;
	info->device_class = p->base_class;
	info->interfaces = p->first.interfaces;
	for (unsigned i = 0; i < GK_SHOWN_INTERFACES && i < p->first.interfaces; i++) {
		const struct gk_usb_interface *itf = &p->first.interface[i];

		info->shown[i].number = itf->number;
		info->shown[i].base_class = itf->base_class;
		info->shown[i].sub_class = itf->sub_class;
		info->shown[i].protocol = itf->protocol;
	}
}

static void candidates(struct gk_case *c, const struct gk_judgement *j)
{
	for (unsigned i = 0; i < st.parsed.first.interfaces &&
	     i < GK_USB_INTERFACES && c->candidates < GK_CANDIDATES; i++) {
		const struct gk_usb_interface *itf = &st.parsed.first.interface[i];
		struct gk_candidate *k = &c->candidate[c->candidates];

		if (j->role[i] == 0 || itf->number >= MASK_BITS)
			continue;
		memset(k, 0, sizeof(*k));
		k->index = (uint8_t)i;
		k->number = itf->number;
		k->fits = j->role[i];
		k->in_address = itf->in.address;
		k->out_address = itf->out.address;
		k->in_size = itf->in.max_packet;
		k->kind = GK_KIND_HID;
		if (itf->base_class == CLASS_SMARTCARD)
			k->kind = GK_KIND_CCID;
		else if (gk_policy_fits(itf) == GK_ROLE_KEYBOARD)
			k->kind = GK_KIND_BOOT;
		if (k->kind != GK_KIND_CCID && itf->hid_report_len <= GK_HID_DESC_MAX)
			k->report_len = itf->hid_report_len;
		c->candidates++;
	}
}

/* Of more descriptors than are parsed: whose they are, at least (USB 2.0 9.6.1). */
static void ids_only(void)
{
	struct gk_reader r;

	gk_reader_init(&r, st.raw, sizeof(st.raw));
	gk_skip(&r, 8);
	st.parsed.vid = gk_get_u16(&r);
	st.parsed.pid = gk_get_u16(&r);
	st.parsed.error_offset = GK_USB_RAW_MAX;
}

/* Reads and parses; 0, or the refusal is in *c. */
static int look(const struct gk_present *at, struct gk_case *c,
		struct gk_rule_device *facts, struct gk_judgement *j)
{
	uint8_t sha256[GK_SHA256] = { 0 };
	int n, err;

	n = gk_inventory_raw(at, st.raw);
	err = n < 0 ? n : gk_usb_parse(st.raw, (size_t)n, &st.parsed);
	if (n < 0)
		memset(&st.parsed, 0, sizeof(st.parsed));
	if (n == GK_ERR_LIMIT)
		ids_only();
	if (n >= 0)
		gk_sha256(st.raw, (size_t)n, sha256);
	memcpy(c->info.sha256, sha256, sizeof(sha256));
	memset(facts, 0, sizeof(*facts));
	if (!err)
		facts_of(at, c, (size_t)n, facts);
	gk_policy_judge(&st.parsed, err, &st.rules, facts, j);
	return err;
}

void gk_judge(const struct gk_present *at, struct gk_case *c)
{
	struct gk_rule_device facts;
	struct gk_judgement j;

	memset(c, 0, sizeof(*c));
	c->info.path = at->path;
	c->name_len = (uint16_t)gk_inventory_string(at, "product", c->name,
						    sizeof(c->name));
	c->serial_len = (uint16_t)gk_inventory_string(at, "serial", c->serial,
						      sizeof(c->serial));
	look(at, c, &facts, &j);
	show(&c->info);
	tell_rule(c, j.rule);
	c->verdict = j.verdict;
	c->config = j.config;
	c->info.asked = j.asked;
	c->info.verdict = (uint8_t)j.verdict;
	c->info.reason = (uint16_t)j.reason;
	if (j.verdict == GK_VERDICT_REFUSED)
		refuse_unwanted(c, j.reason, j.target);
	c->info.offset = j.offset;
	if (j.verdict == GK_VERDICT_REFUSED || j.verdict == GK_VERDICT_HUB)
		return;
	/* What it gets is told when its worker has looked. */
	candidates(c, &j);
	if (c->candidates == 0)
		refuse_unwanted(c, GK_REASON_NO_ROLE, j.target);
}

/* Why nothing is left of what could have been. */
static void refuse_found(struct gk_case *c, enum gk_rule_target target)
{
	refuse_unwanted(c, GK_REASON_NO_ROLE, target);
	for (unsigned i = 0; i < c->candidates; i++) {
		if (c->candidate[i].reason != GK_REASON_HID)
			continue;
		gk_judge_refuse(c, GK_REASON_HID);
		c->info.offset = c->candidate[i].offset;
		return;
	}
}

void gk_judge_again(const struct gk_present *at, struct gk_case *c)
{
	uint8_t before[GK_SHA256];
	struct gk_rule_device facts;
	struct gk_judgement j;
	unsigned granted = 0;

	memcpy(before, c->info.sha256, sizeof(before));
	if (look(at, c, &facts, &j) ||
	    memcmp(before, c->info.sha256, sizeof(before)) != 0) {
		gk_judge_refuse(c, GK_REASON_CHANGED);
		return;
	}
	for (unsigned i = 0; i < GK_USB_INTERFACES; i++)
		facts.interface[i].fits = 0;
	for (unsigned i = 0; i < c->candidates; i++) {
		struct gk_candidate *k = &c->candidate[i];

		facts.interface[k->index].fits = k->roles;
	}
	gk_policy_judge(&st.parsed, GK_OK, &st.rules, &facts, &j);
	c->info.granted = 0;
	for (unsigned i = 0; i < c->candidates; i++) {
		struct gk_candidate *k = &c->candidate[i];
		uint8_t may = j.role[k->index] & k->fits;

		/* enum gk_role is in the order of what matters: a keyboard
		 * with a pointer in the same interface is a keyboard. */
		k->role = may & (uint8_t)-may;
		c->info.granted |= k->role;
		granted += k->role != 0;
		if (k->index < GK_SHOWN_INTERFACES)
			c->info.shown[k->index].role = k->role;
	}
	if (granted == 0) {
		refuse_found(c, j.target);
		return;
	}
	c->verdict = granted == st.parsed.first.interfaces ? GK_VERDICT_ADMITTED :
							     GK_VERDICT_PARTLY;
	c->info.verdict = (uint8_t)c->verdict;
	c->info.reason = GK_REASON_ADMITTED;
}
