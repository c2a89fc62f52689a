/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gate would say to a device, from a copy of its descriptors, by the
 * rules that are in force on this machine. core/policy decides, as in the gate.
 */
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/inspect.h"
#include "core/policy.h"
#include "core/usb_desc.h"
#include "dom0/gate_rules.h"
#include "dom0/json.h"
#include "dom0/log.h"
#include "dom0/paths.h"

enum { CLASS_HID = 0x03, SHOWN_RULE = 200 };

/* Of an interface, what is known beyond its descriptor. */
struct known {
	int has_report;		/* its report descriptor was given */
	uint16_t hid_reason;	/* and is refused, 0: it is not */
	uint32_t hid_offset;
};

struct inspection {
	struct gk_usb_device dev;
	struct gk_rule_device facts;
	struct gk_judgement j;
	struct known known[GK_USB_INTERFACES];
	int err;		/* of gk_usb_parse() */
	const char *rules_from;	/* "rules.conf", "built-in" or --rules' FILE */
	char text[GK_RULES_TEXT_MAX + 2];
	size_t len;
	struct gk_rules rules;
};

/* --- the rules --- */

static int parse_rules(struct inspection *in, const char *path, const char *name)
{
	ssize_t len = gk_file_read(path, in->text, sizeof(in->text));
	struct gk_rules_note error = { 0, 0, NULL };

	if (len == GK_ERR_SYSTEM) {
		fprintf(stderr, "gatekeeper: %s cannot be read\n", path);
		return GK_ERR_SYSTEM;
	}
	in->len = len < 0 ? (size_t)GK_RULES_TEXT_MAX + 1 : (size_t)len;
	in->rules_from = name;
	len = gk_rules_complete(in->text, in->len, sizeof(in->text), &in->rules, &error);
	if (len >= 0) {
		in->len = (size_t)len;
		return 0;
	}
	fprintf(stderr, "gatekeeper: %s:%u:%u: %s\n", path, error.line, error.column,
		error.text);
	return GK_ERR_VALUE;
}

static int load_rules(struct inspection *in, const char *file)
{
	struct gk_rules_note error;
	char path[GK_PATH_MAX];

	if (file)
		return parse_rules(in, file, file);
	if (gk_path(path, GK_RULES_CONF) == 0 && access(path, F_OK) == 0 &&
	    parse_rules(in, path, "rules.conf") == 0)
		return 0;
	in->rules_from = "built-in";
	in->len = (size_t)snprintf(in->text, sizeof(in->text), "%s",
				   gk_rules_default());
	return gk_rules_parse(in->text, in->len, &in->rules, &error);
}

/* "rules.conf:12"; NULL when no rule decided. */
static const char *rule_place(const struct inspection *in, char *buf, size_t cap)
{
	if (in->j.rule < 0)
		return NULL;
	snprintf(buf, cap, "%s:%u", in->rules_from,
		 in->rules.rule[in->j.rule].line);
	gk_printable(buf);
	return buf;
}

static const char *rule_text(const struct inspection *in, char *buf, size_t cap)
{
	if (in->j.rule < 0)
		return NULL;
	gk_rule_line(in->text, in->len, in->rules.rule[in->j.rule].line, buf, cap);
	return buf;
}

/* --- facts --- */

static int add_report(struct inspection *in, const struct gk_inspect_report *r)
{
	static char raw[GK_HID_DESC_MAX + 2];
	static struct gk_hid_map map;
	ssize_t len = gk_inspect_read(r->file, raw, sizeof(raw));
	int found = 0;

	if (len < 0)
		return GK_ERR_SYSTEM;
	for (unsigned i = 0; i < in->facts.interfaces; i++) {
		struct gk_rule_interface *f = &in->facts.interface[i];

		if (in->dev.first.interface[i].number != r->interface ||
		    f->base_class != CLASS_HID)
			continue;
		found = 1;
		in->known[i].has_report = 1;
		/* A boot keyboard is served by the boot protocol: the gate does
		 * not read its report descriptor. */
		if (f->fits == GK_ROLE_KEYBOARD)
			continue;
		if (gk_hid_parse(raw, (size_t)len, &map)) {
			in->known[i].hid_reason = map.reason;
			in->known[i].hid_offset = map.error_offset;
		}
		f->fits &= gk_hid_roles(&map);
	}
	if (found)
		return 0;
	fprintf(stderr, "gatekeeper: no HID interface %u\n", r->interface);
	return GK_ERR_NOT_FOUND;
}

static struct gk_rule_text text_or_none(const char *s)
{
	return (struct gk_rule_text){ s, s ? strlen(s) : 0 };
}

static int gather(struct inspection *in, const void *raw, size_t len,
		  const struct gk_inspect_more *more)
{
	int err = 0;

	gk_policy_device(&in->facts, &in->dev);
	in->facts.port = text_or_none(more->port);
	in->facts.serial = text_or_none(more->serial);
	in->facts.name = text_or_none(more->name);
	SHA256(raw, len, in->facts.sha256);
	for (unsigned i = 0; !err && i < more->reports; i++)
		err = add_report(in, &more->report[i]);
	return err;
}

/* --- the answer --- */

/* A device all of whose interfaces depend on report descriptors is refused for
 * the first of them that is broken, as the gate says it. */
static void refuse_for_reports(struct inspection *in)
{
	if (in->j.verdict != GK_VERDICT_REFUSED || in->j.reason != GK_REASON_NO_ROLE)
		return;
	for (unsigned i = 0; i < in->facts.interfaces; i++)
		if (in->known[i].hid_reason) {
			in->j.reason = GK_REASON_HID;
			in->j.offset = (uint16_t)in->known[i].hid_offset;
			return;
		}
}

enum answer { REFUSED, ADMITTED, UNDECIDED };

/* Of an interface; only a report descriptor that was not given leaves it open. */
static enum answer answer_of(const struct inspection *in, unsigned i)
{
	const struct gk_rule_interface *f = &in->facts.interface[i];

	if (in->j.verdict == GK_VERDICT_HUB)
		return ADMITTED;
	if (!in->j.role[i])
		return REFUSED;
	return f->base_class != CLASS_HID || f->fits == GK_ROLE_KEYBOARD ||
	       in->known[i].has_report ? ADMITTED : UNDECIDED;
}

/* An interface has one role: the first, enum gk_role is in that order. */
static const char *role_of(const struct inspection *in, unsigned i)
{
	uint8_t roles = in->j.role[i];

	return answer_of(in, i) == ADMITTED ?
	       gk_role_name((uint8_t)(roles & -roles)) : NULL;
}

/* Of the whole: what it surely is, and with `open` what it might be, too. */
static uint8_t roles_of(const struct inspection *in, int open)
{
	uint8_t roles = 0;

	for (unsigned i = 0; i < in->facts.interfaces; i++)
		if (answer_of(in, i) == (open ? UNDECIDED : ADMITTED))
			roles |= open ? in->j.role[i] :
				 (uint8_t)(in->j.role[i] & -in->j.role[i]);
	return roles;
}

static const char *answer_name(enum answer a)
{
	switch (a) {
	case REFUSED:
		return "refused";
	case ADMITTED:
		return "admitted";
	case UNDECIDED:
		return "undecided";
	}
	return "unknown";
}

static const char *verdict_text(const struct inspection *in)
{
	unsigned admitted = 0, undecided = 0;

	for (unsigned i = 0; i < in->facts.interfaces; i++) {
		admitted += answer_of(in, i) == ADMITTED;
		undecided += answer_of(in, i) == UNDECIDED;
	}
	if (in->j.verdict == GK_VERDICT_REFUSED)
		return "refused";
	if (in->j.verdict == GK_VERDICT_HUB)
		return "powered";
	if (!admitted)
		return "undecided";
	return admitted + undecided == in->facts.interfaces && !undecided ?
	       "admitted" : "admitted in part";
}

static const char *verdict_name(const struct inspection *in)
{
	const char *text = verdict_text(in);

	if (in->j.verdict == GK_VERDICT_HUB)
		return "hub";
	return !strcmp(text, "admitted in part") ? "partly" : text;
}

static void triple(const struct gk_usb_interface *i, char out[12])
{
	snprintf(out, 12, "%02x:%02x:%02x", i->base_class, i->sub_class, i->protocol);
}

static void put_roles(struct gk_json *o, const char *key, uint8_t roles)
{
	gk_json_array(o, key);
	for (unsigned bit = 0; bit < 4; bit++)
		if (roles >> bit & 1)
			gk_json_string(o, NULL, gk_role_name((uint8_t)(1u << bit)));
	gk_json_end_array(o);
}

static void put_interface(struct gk_json *o, const struct inspection *in, unsigned i)
{
	const struct gk_usb_interface *itf = &in->dev.first.interface[i];
	enum answer a = answer_of(in, i);
	char s[GK_PATH_MAX];

	gk_json_object(o, NULL);
	gk_json_number(o, "number", itf->number);
	triple(itf, s);
	gk_json_string(o, "class", s);
	gk_json_string(o, "role", role_of(in, i));
	gk_json_string(o, "verdict", answer_name(a));
	gk_json_string(o, "rule", rule_place(in, s, sizeof(s)));
	if (a == UNDECIDED)
		put_roles(o, "could_be", in->j.role[i]);
	if (itf->odd_at) {
		gk_json_string(o, "reason",
			       gk_reason_text(GK_REASON_BAD_DESCRIPTOR));
		gk_json_number(o, "offset", itf->odd_at);
	} else if (in->known[i].hid_reason) {
		gk_json_string(o, "reason",
			       gk_hid_reason_text(in->known[i].hid_reason));
		gk_json_number(o, "offset", in->known[i].hid_offset);
	}
	gk_json_end_object(o);
}

static int print_json(const struct inspection *in)
{
	static char text[48 << 10];
	char s[GK_PATH_MAX];
	struct gk_json o;

	gk_json_init(&o, text, sizeof(text));
	gk_json_object(&o, NULL);
	gk_json_bool(&o, "parsed", in->err == 0);
	gk_json_string(&o, "verdict", in->err ? "refused" : verdict_name(in));
	if (in->j.verdict == GK_VERDICT_REFUSED) {
		gk_json_string(&o, "reason", gk_reason_text((uint16_t)in->j.reason));
		gk_json_number(&o, "reason_code", (int)in->j.reason);
		if (in->err)
			gk_json_string(&o, "error", gk_strerror(in->err));
		gk_json_number(&o, "offset", in->j.offset);
	}
	if (!in->err) {
		snprintf(s, sizeof(s), "%04x", in->dev.vid);
		gk_json_string(&o, "vid", s);
		snprintf(s, sizeof(s), "%04x", in->dev.pid);
		gk_json_string(&o, "pid", s);
		gk_json_string(&o, "rule", rule_place(in, s, sizeof(s)));
		gk_json_string(&o, "rule_text", rule_text(in, s, SHOWN_RULE));
	}
	gk_json_array(&o, "interfaces");
	for (unsigned i = 0; !in->err && i < in->dev.first.interfaces; i++)
		put_interface(&o, in, i);
	gk_json_end_array(&o);
	put_roles(&o, "roles", in->err ? 0 : roles_of(in, 0));
	put_roles(&o, "possible_roles", in->err ? 0 : roles_of(in, 1));
	gk_json_end_object(&o);
	if (gk_json_finish(&o) < 0)
		return GK_EXIT_FAILED;
	puts(text);
	return in->j.verdict == GK_VERDICT_REFUSED ? GK_EXIT_FAILED : GK_EXIT_DONE;
}

/* "keyboard or fido" */
static void list_roles(uint8_t roles)
{
	const char *between = "";

	for (unsigned bit = 0; bit < 4; bit++)
		if (roles >> bit & 1) {
			printf("%s%s", between, gk_role_name((uint8_t)(1u << bit)));
			between = " or ";
		}
}

static void print_interface(const struct inspection *in, unsigned i)
{
	const struct gk_usb_interface *itf = &in->dev.first.interface[i];
	const char *role = role_of(in, i);
	char s[12];

	triple(itf, s);
	printf("interface %u (%s, %s): ", itf->number, s,
	       gk_class_text(itf->base_class));
	switch (answer_of(in, i)) {
	case REFUSED:
		printf("refused");
		if (itf->odd_at)
			printf(": %s at byte %u",
			       gk_reason_text(GK_REASON_BAD_DESCRIPTOR), itf->odd_at);
		else if (in->known[i].hid_reason)
			printf(": its report descriptor: %s at byte %u",
			       gk_hid_reason_text(in->known[i].hid_reason),
			       in->known[i].hid_offset);
		break;
	case ADMITTED:
		printf("admitted%s%s", role ? " as " : "", role ? role : "");
		break;
	case UNDECIDED:
		printf("could be ");
		list_roles(in->j.role[i]);
		printf("; its report descriptor decides");
		break;
	}
	putchar('\n');
}

static int print_text(const struct inspection *in)
{
	char s[GK_PATH_MAX], line[SHOWN_RULE];

	if (in->err) {
		printf("refused: %s: %s at byte %u\n",
		       gk_reason_text((uint16_t)in->j.reason), gk_strerror(in->err),
		       in->j.offset);
		return GK_EXIT_FAILED;
	}
	printf("device %04x:%04x: %s: %s", in->dev.vid, in->dev.pid,
	       verdict_text(in), gk_reason_text((uint16_t)in->j.reason));
	if (in->j.reason == GK_REASON_BAD_DESCRIPTOR || in->j.reason == GK_REASON_HID)
		printf(" at byte %u", in->j.offset);
	putchar('\n');
	if (rule_place(in, s, sizeof(s)))
		printf("rule %s: %s\n", s, rule_text(in, line, sizeof(line)));
	for (unsigned i = 0; i < in->dev.first.interfaces; i++)
		print_interface(in, i);
	return in->j.verdict == GK_VERDICT_REFUSED ? GK_EXIT_FAILED : GK_EXIT_DONE;
}

int gk_inspect_usb(const char *file, int json, const struct gk_inspect_more *more)
{
	enum { TEXT = 1 << 20 }; /* `lsusb -v` of a webcam: 60 KiB */
	static struct inspection in;
	static uint8_t raw[GK_USB_RAW_MAX + 1];
	static char text[TEXT];
	ssize_t got = gk_inspect_read(file, text, sizeof(text));
	size_t len;

	if (got < 0 || load_rules(&in, more->rules))
		return GK_EXIT_FAILED;
	if (gk_inspect_is_lsusb(text)) {
		/* Too much to hold is too much to parse. */
		if (gk_inspect_lsusb(text, raw, sizeof(raw), &len))
			len = sizeof(raw);
	} else {
		len = (size_t)got < sizeof(raw) ? (size_t)got : sizeof(raw);
		memcpy(raw, text, len);
	}
	in.err = gk_usb_parse(raw, len, &in.dev);
	if (!in.err && gather(&in, raw, len, more))
		return GK_EXIT_FAILED;
	gk_policy_judge(&in.dev, in.err, &in.rules, &in.facts, &in.j);
	refuse_for_reports(&in);
	return json ? print_json(&in) : print_text(&in);
}
