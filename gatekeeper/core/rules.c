/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "rules.h"

enum {
	BASE_CLASS_HUB = 0x09,
	ROLES_UNSAID = GK_ROLE_KEYBOARD | GK_ROLE_FIDO | GK_ROLE_SMARTCARD,
};

/* How the values of an attribute are written. */
enum kind {
	KIND_ID,
	KIND_STRING,
	KIND_PORT,
	KIND_TRIPLE,
	KIND_ROLE,
	KIND_MODE,
};

/* What may stand in a rule beside the attributes of a device. */
enum { WORD_LABEL = GK_RULE_ATTRIBUTES, WORD_ROLE, WORD_IF };

struct word {
	const char *text;
	uint8_t value;
};

static const struct word attribute_words[] = {
	{ "id", GK_RULE_ID },
	{ "serial", GK_RULE_SERIAL },
	{ "name", GK_RULE_NAME },
	{ "hash", GK_RULE_HASH },
	{ "parent-hash", GK_RULE_PARENT_HASH },
	{ "via-port", GK_RULE_VIA_PORT },
	{ "with-interface", GK_RULE_INTERFACE },
	{ "with-connect-type", GK_RULE_CONNECT_TYPE },
	{ "label", WORD_LABEL },
	{ "role", WORD_ROLE },
	{ "if", WORD_IF },
};

static const struct word operator_words[] = {
	{ "equals", GK_RULE_EQUALS },	{ "equals-ordered", GK_RULE_EQUALS_ORDERED },
	{ "all-of", GK_RULE_ALL_OF },	{ "one-of", GK_RULE_ONE_OF },
	{ "none-of", GK_RULE_NONE_OF }, { "match-all", GK_RULE_MATCH_ALL },
};

static const struct word role_words[] = {
	{ "keyboard", GK_ROLE_KEYBOARD },
	{ "fido", GK_ROLE_FIDO },
	{ "smartcard", GK_ROLE_SMARTCARD },
};

static const struct word mode_words[] = {
	{ "any", 0 },
	{ "pinned", GK_KEYBOARDS_PINNED },
	{ "one", GK_KEYBOARDS_ONE },
	{ "challenge", GK_KEYBOARDS_CHALLENGE },
};

/* What a line can begin with. */
enum { LINE_ALLOW, LINE_BLOCK, LINE_REJECT, LINE_PIN, LINE_KEYBOARDS, LINE_OTHER };

static const struct word line_words[] = {
	{ "allow", LINE_ALLOW },	 { "block", LINE_BLOCK },
	{ "reject", LINE_REJECT },	 { "pin", LINE_PIN },
	{ "keyboards", LINE_KEYBOARDS }, { "match", LINE_OTHER },
	{ "device", LINE_OTHER },
};

#define WORDS(table) (table), sizeof(table) / sizeof((table)[0])

static const char default_text[] =
	"# What USB Gatekeeper lets in: gatekeeper-rules.conf(5). The first rule that\n"
	"# applies to a device decides; a device without a rule is refused. Of a device\n"
	"# that is let in, only interfaces with one of the roles are ever used: a keyboard\n"
	"# with a disk in it is a keyboard and nothing else.\n"
	"# After a change: gatekeeper rules --check /etc/gatekeeper/rules.conf\n"
	"\n"
	"# Hubs get power, so that what is behind them can be looked at.\n"
	"allow with-interface match-all { 09:*:* } label \"hubs\"\n"
	"\n"
	"# Keyboards, simple or with media keys and lights; FIDO keys such as YubiKey,\n"
	"# Nitrokey and Solo; OpenPGP and PIV tokens and card readers (CCID).\n"
	"allow with-interface one-of { 03:*:* 0b:*:* } label \"default\" "
	"role { keyboard fido smartcard }\n"
	"\n"
	"# Storage, network, cameras and all else.\n"
	"block label \"anything else\"\n"
	"\n"
	"# Which keyboards count: any, only pinned ones, at most one, or new ones only\n"
	"# after they typed a number that the screen shows.\n"
	"#keyboards challenge\n"
	"#keyboards { one challenge }\n"
	"#keyboards pinned\n"
	"#pin via-port \"1-3\" hash \"...sha256 of `gatekeeper status --json`...\"\n";

const char *gk_rules_default(void)
{
	return default_text;
}

/* ---- reading ------------------------------------------------------------- */

struct scan {
	const char *text;
	size_t len, off;
	size_t line_start;
	uint16_t line;
	struct gk_rules *out;
	struct gk_rules_note *error;
};

/* The byte at off + ahead, or a line's end at the end of the text. */
static char peek_at(const struct scan *s, size_t ahead)
{
	if (ahead >= s->len - s->off)
		return '\n';
	return s->text[s->off + ahead];
}

static char peek(const struct scan *s)
{
	return peek_at(s, 0);
}

static void advance(struct scan *s, size_t n)
{
	s->off += n < s->len - s->off ? n : s->len - s->off;
}

/* GK_RULES_TEXT_MAX keeps all columns and lines within 16 bits. */
static uint16_t column_of(const struct scan *s, size_t off)
{
	return (uint16_t)(off - s->line_start + 1);
}

static int fail_at(struct scan *s, size_t off, int err, const char *why)
{
	s->error->line = s->line;
	s->error->column = column_of(s, off);
	s->error->text = why;
	return err;
}

static int fail(struct scan *s, const char *why)
{
	return fail_at(s, s->off, GK_ERR_VALUE, why);
}

static void note_at(struct scan *s, uint16_t line, uint16_t column, const char *text)
{
	struct gk_rules *o = s->out;

	if (o->notes < GK_RULES_NOTES) {
		o->note[o->notes].line = line;
		o->note[o->notes].column = column;
		o->note[o->notes].text = text;
	}
	o->notes++;
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* 0 to 15, or -1. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static size_t skip_blanks(struct scan *s)
{
	size_t n = 0;

	for (; n < GK_RULES_TEXT_MAX && is_blank(peek_at(s, n)); n++)
		;
	advance(s, n);
	return n;
}

static void skip_line(struct scan *s)
{
	size_t n = 0;

	for (; n < GK_RULES_TEXT_MAX && peek_at(s, n) != '\n'; n++)
		;
	advance(s, n);
}

/* Bytes of the word at the offset, 0: there is none. */
static size_t word_len(const struct scan *s)
{
	size_t n = 0;

	for (; n < GK_RULES_TEXT_MAX && is_word(peek_at(s, n)); n++)
		;
	return n;
}

/* The word's value in a table, or -1. Nothing is taken. */
static int find_word(const struct scan *s, const struct word *table, size_t count)
{
	size_t len = word_len(s);

	for (size_t i = 0; i < count; i++)
		if (strlen(table[i].text) == len &&
		    !memcmp(s->text + s->off, table[i].text, len))
			return table[i].value;
	return -1;
}

/* `digits` hex digits or, where it may be, a `*`. */
static int get_hex(struct scan *s, size_t digits, int star, uint16_t *value, int *any)
{
	unsigned v = 0;

	*value = 0;
	*any = 0;
	if (peek(s) == '*') {
		if (!star)
			return fail(s, "an interface class cannot be *");
		*any = 1;
		advance(s, 1);
		return 0;
	}
	for (size_t i = 0; i < 4 && i < digits; i++) {
		int d = hex_digit(peek_at(s, i));

		if (d < 0)
			return fail_at(s, s->off + i, GK_ERR_VALUE,
				       digits == 4 ? "four hex digits or * expected"
						   : "two hex digits or * expected");
		v = v << 4 | (unsigned)d;
	}
	*value = (uint16_t)v;
	advance(s, digits);
	return 0;
}

static int get_colon(struct scan *s)
{
	if (peek(s) != ':')
		return fail(s, ": expected");
	advance(s, 1);
	return 0;
}

static int get_id(struct scan *s, struct gk_rule_value *v)
{
	size_t at = s->off;
	int any_vendor, any_product, err;

	err = get_hex(s, 4, 1, &v->a, &any_vendor);
	if (!err)
		err = get_colon(s);
	if (!err)
		err = get_hex(s, 4, 1, &v->b, &any_product);
	if (err)
		return err;
	if (any_vendor && !any_product)
		return fail_at(s, at, GK_ERR_VALUE,
			       "a product number means nothing without its vendor's");
	v->any = (uint16_t)(any_vendor << 1 | any_product);
	return 0;
}

static int get_triple(struct scan *s, struct gk_rule_value *v)
{
	size_t at = s->off;
	uint16_t base, sub;
	int any, any_sub, any_protocol, err;

	err = get_hex(s, 2, 0, &base, &any);
	if (!err)
		err = get_colon(s);
	if (!err)
		err = get_hex(s, 2, 1, &sub, &any_sub);
	if (!err)
		err = get_colon(s);
	if (!err)
		err = get_hex(s, 2, 1, &v->b, &any_protocol);
	if (err)
		return err;
	if (any_sub && !any_protocol)
		return fail_at(s, at, GK_ERR_VALUE,
			       "a protocol means nothing without its subclass");
	v->a = (uint16_t)(base << 8 | sub);
	v->any = (uint16_t)(any_sub << 1 | any_protocol);
	return 0;
}

/* One byte of a string, `\"`, `\\` and `\xHH` decoded: the three that USBGuard
 * itself writes and takes. */
static int get_char(struct scan *s, char *out)
{
	size_t at = s->off;
	char c = peek(s);
	int high, low;

	if (c == '\r')
		return fail(s, "a carriage return in a string");
	advance(s, 1);
	*out = c;
	if (c != '\\')
		return 0;
	c = peek(s);
	if (c == '"' || c == '\\') {
		*out = c;
		advance(s, 1);
		return 0;
	}
	if (c != 'x')
		return fail_at(s, at, GK_ERR_VALUE,
			       "unknown escape: \\\", \\\\ and \\xHH are known");
	high = hex_digit(peek_at(s, 1));
	low = hex_digit(peek_at(s, 2));
	if (high < 0 || low < 0)
		return fail_at(s, at, GK_ERR_VALUE, "\\x takes two hex digits");
	*out = (char)(unsigned char)(high << 4 | low);
	advance(s, 3);
	return 0;
}

static int get_string(struct scan *s, struct gk_rule_value *v)
{
	struct gk_rules *o = s->out;
	size_t at = s->off;
	int err;

	if (peek(s) != '"')
		return fail(s, "a string in double quotes expected");
	advance(s, 1);
	v->a = o->used;
	v->b = 0;
	v->any = 0;
	for (unsigned i = 0; i <= GK_RULE_STRING; i++) {
		if (peek(s) == '"') {
			advance(s, 1);
			return 0;
		}
		if (peek(s) == '\n')
			return fail_at(s, at, GK_ERR_VALUE,
				       "this string is not closed in its line");
		if (i == GK_RULE_STRING)
			break;
		if (o->used >= GK_RULES_STRINGS)
			return fail_at(s, at, GK_ERR_LIMIT,
				       "more than 16384 bytes of strings");
		err = get_char(s, &o->strings[o->used]);
		if (err)
			return err;
		o->used++;
		v->b++;
	}
	return fail_at(s, at, GK_ERR_LIMIT,
		       "a string longer than the 378 bytes a USB string can have");
}

/*
 * A port as gk_port_text() writes it: "1-3", "1-3.2", numbers from 1 to 255 without
 * leading zeros, at most GK_PORT_DEPTH of them behind the dash. Another string no
 * device could ever match: "usb1", or a blank too much.
 */
static int is_port(const char *text, size_t len)
{
	unsigned number = 0, ports = 0;

	for (size_t i = 0; i <= GK_RULE_STRING && i <= len; i++) {
		char c = i < len ? text[i] : '.';

		if (c >= '0' && c <= '9' && (number || c != '0')) {
			number = number * 10 + (unsigned)(c - '0');
			if (number > 255)
				return 0;
		} else if (number && c == (ports ? '.' : '-')) {
			number = 0;
			ports++;
		} else {
			return 0;
		}
	}
	return ports >= 2 && ports <= 1 + GK_PORT_DEPTH;
}

static int get_port(struct scan *s, struct gk_rule_value *v)
{
	size_t at = s->off;
	int err = get_string(s, v);

	if (err)
		return err;
	if (!is_port(s->out->strings + v->a, v->b))
		return fail_at(s, at, GK_ERR_VALUE,
			       "not a port: controller, dash, ports with dots between "
			       "them, such as \"1-3.2\"");
	return 0;
}

static int get_word(struct scan *s, const struct word *table, size_t count,
		    uint8_t *bits, const char *why)
{
	int value = find_word(s, table, count);

	if (value < 0)
		return fail(s, why);
	if (value > 0 && (*bits & value))
		return fail(s, "said twice");
	*bits |= (uint8_t)value;
	advance(s, word_len(s));
	return 0;
}

/* ---- an attribute's values ------------------------------------------------- */

/* Where the values of one attribute go. */
struct sink {
	enum kind kind;
	struct gk_rule *rule;	     /* ids, strings, triples; NULL: not kept */
	struct gk_rule_value *first; /* without a rule: the first, if b is 0 */
	uint8_t *bits;		     /* roles, modes */
	uint8_t count;
	uint8_t op;
};

static int get_value(struct scan *s, struct sink *k)
{
	struct gk_rule_value v = { 0, 0, 0 };
	size_t at = s->off;
	uint16_t used = s->out->used;
	int err = 0;

	switch (k->kind) {
	case KIND_ID:
		err = get_id(s, &v);
		break;
	case KIND_TRIPLE:
		err = get_triple(s, &v);
		break;
	case KIND_STRING:
		err = get_string(s, &v);
		break;
	case KIND_PORT:
		err = get_port(s, &v);
		break;
	case KIND_ROLE:
		err = get_word(s, WORDS(role_words), k->bits,
			       "unknown role: keyboard, fido and smartcard are known");
		break;
	case KIND_MODE:
		err = get_word(s, WORDS(mode_words), k->bits,
			       "unknown mode: any, pinned, one and challenge are known");
		break;
	}
	if (err)
		return err;
	if (k->rule) {
		if (k->rule->values >= GK_RULE_VALUES)
			return fail_at(s, at, GK_ERR_LIMIT,
				       "more than 32 values in a rule");
		k->rule->value[k->rule->values++] = v;
	} else if (k->first) {
		if (k->first->b == 0)
			*k->first = v;
		else
			s->out->used = used;
	}
	if (k->count < UINT8_MAX)
		k->count++;
	return 0;
}

static int get_set(struct scan *s, struct sink *k)
{
	size_t open = s->off;
	int err;

	advance(s, 1);
	skip_blanks(s);
	if (peek(s) == '}')
		return fail(s, "a set has at least one value");
	for (unsigned i = 0; i < GK_RULES_TEXT_MAX; i++) {
		size_t blanks;

		if (peek(s) == '\n')
			break;
		err = get_value(s, k);
		if (err)
			return err;
		blanks = skip_blanks(s);
		if (peek(s) == '}') {
			advance(s, 1);
			return 0;
		}
		if (peek(s) == '\n')
			break;
		if (!blanks)
			return fail(s, "a blank expected between values");
	}
	return fail_at(s, open, GK_ERR_VALUE, "this set is not closed in its line");
}

/* What stands behind an attribute's name: VALUE or [OPERATOR] { VALUE ... }. */
static int get_values(struct scan *s, struct sink *k)
{
	int op = -1;

	if (!skip_blanks(s)) {
		if (peek(s) == '\n')
			return fail(s, "a value expected");
		return fail(s, "a blank expected");
	}
	if (is_blank(peek_at(s, word_len(s))))
		op = find_word(s, WORDS(operator_words));
	if (op >= 0) {
		if (k->kind == KIND_ROLE || k->kind == KIND_MODE)
			return fail(s, "an operator means nothing here");
		k->op = (uint8_t)op;
		advance(s, word_len(s));
		skip_blanks(s);
		if (peek(s) != '{')
			return fail(s, "{ expected behind an operator");
	}
	if (peek(s) == '{')
		return get_set(s, k);
	if (peek(s) == '\n')
		return fail(s, "a value expected");
	return get_value(s, k);
}

/* ---- a rule ---------------------------------------------------------------- */

static int string_is(const struct gk_rules *r, const struct gk_rule_value *v,
		     const char *text, size_t len)
{
	return v->b == len && v->a <= GK_RULES_STRINGS - v->b &&
	       !memcmp(r->strings + v->a, text, len);
}

/* The form of a hash as the gate prints it: 64 hex digits; then in out. */
static int hash_is_hex(const struct gk_rules *r, const struct gk_rule_value *v,
		       uint8_t out[GK_SHA256])
{
	if (v->b != GK_RULE_HEX || v->a > GK_RULES_STRINGS - GK_RULE_HEX)
		return 0;
	for (unsigned i = 0; i < GK_SHA256; i++) {
		int high = hex_digit(r->strings[v->a + 2 * i]);
		int low = hex_digit(r->strings[v->a + 2 * i + 1]);

		if (high < 0 || low < 0)
			return 0;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 1;
}

/* 0 to 63, or -1. RFC 4648 4. */
static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The form of a hash as USBGuard prints it: 43 digits and `=`; then in out. The
 * last digit has two bits too many, 0 in what an encoder writes. */
static int hash_is_base64(const struct gk_rules *r, const struct gk_rule_value *v,
			  uint8_t out[GK_SHA256])
{
	unsigned acc = 0, bits = 0, n = 0;

	if (v->b != GK_RULE_BASE64 || v->a > GK_RULES_STRINGS - GK_RULE_BASE64 ||
	    r->strings[v->a + GK_RULE_BASE64 - 1] != '=')
		return 0;
	for (unsigned i = 0; i < GK_RULE_BASE64 - 1; i++) {
		int d = base64_digit(r->strings[v->a + i]);

		if (d < 0)
			return 0;
		acc = (acc << 6 | (unsigned)d) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (n < GK_SHA256)
				out[n++] = (uint8_t)(acc >> bits & 0xff);
		}
	}
	return n == GK_SHA256 && (acc & 3) == 0;
}

static void note_attribute(struct scan *s, const struct gk_rule *r, unsigned a)
{
	const struct gk_rule_set *set = &r->set[a];
	uint8_t ignored[GK_SHA256];

	if (a == GK_RULE_CONNECT_TYPE || a == GK_RULE_PARENT_HASH)
		note_at(s, r->line, set->column,
			"the gate may not know this of a device: then an allow rule "
			"does not apply, another by its other attributes");
	if (a != GK_RULE_HASH && a != GK_RULE_PARENT_HASH)
		return;
	for (unsigned i = 0; i < GK_RULE_VALUES && i < set->count; i++) {
		const struct gk_rule_value *v = &r->value[set->first + i];

		if (hash_is_base64(s->out, v, ignored) ||
		    (a == GK_RULE_HASH && hash_is_hex(s->out, v, ignored)))
			continue;
		note_at(s, r->line, set->column,
			"not a SHA-256: no device has such a hash");
		return;
	}
}

static enum kind kind_of(int attribute)
{
	if (attribute == GK_RULE_ID)
		return KIND_ID;
	if (attribute == GK_RULE_INTERFACE)
		return KIND_TRIPLE;
	if (attribute == GK_RULE_VIA_PORT)
		return KIND_PORT;
	return KIND_STRING;
}

/* The values of attribute a, at the offset, into the rule. */
static int get_attribute(struct scan *s, struct gk_rule *r, int a, size_t at,
			 int bare_id)
{
	struct sink k = { kind_of(a), r, NULL, NULL, 0, GK_RULE_EQUALS };
	struct gk_rule_set *set = &r->set[a];
	int err;

	if (set->count)
		return fail_at(s, at, GK_ERR_VALUE, "this attribute is there already");
	set->first = r->values;
	set->column = column_of(s, at);
	err = bare_id ? get_value(s, &k) : get_values(s, &k);
	if (err)
		return err;
	set->count = k.count;
	set->op = k.op;
	note_attribute(s, r, (unsigned)a);
	return 0;
}

static int get_rule_word(struct scan *s, struct gk_rule *r)
{
	struct sink label = { KIND_STRING, NULL, &r->label, NULL, 0, 0 };
	struct sink role = { KIND_ROLE, NULL, NULL, &r->roles, 0, 0 };
	int word = find_word(s, WORDS(attribute_words));
	size_t at = s->off;

	if (word < 0 && hex_digit(peek(s)) >= 0 && peek_at(s, word_len(s)) == ':')
		return fail(s, "a device id stands directly behind the target");
	if (word < 0)
		return fail(s, "unknown attribute");
	if (word == WORD_IF)
		return fail(s, "the gate has no conditions: its verdict depends on "
			       "the device alone, not on time, chance or history");
	advance(s, word_len(s));
	if (word == WORD_LABEL)
		return get_values(s, &label);
	if (word == WORD_ROLE) {
		if (r->target != GK_RULE_ALLOW)
			return fail_at(s, at, GK_ERR_VALUE,
				       "only an allow rule has roles");
		if (r->roles)
			return fail_at(s, at, GK_ERR_VALUE,
				       "this attribute is there already");
		return get_values(s, &role);
	}
	return get_attribute(s, r, word, at, 0);
}

/* All behind the target, to the end of the line. */
static int get_rule(struct scan *s, struct gk_rule *r)
{
	int err;

	for (unsigned i = 0; i < GK_RULES_TEXT_MAX; i++) {
		size_t at = s->off;
		size_t blanks = skip_blanks(s);
		char c = peek(s);

		if (c == '#') {
			skip_line(s);
			return 0;
		}
		if (c == '\n' && blanks)
			return fail_at(s, at, GK_ERR_VALUE,
				       "blanks at the end of a rule");
		if (c == '\n')
			return 0;
		if (c == '\r')
			return fail(s, "a carriage return: lines end with a line feed");
		if (!blanks)
			return fail(s, "a blank expected");
		if (i == 0 &&
		    (c == '*' || (hex_digit(c) >= 0 && peek_at(s, word_len(s)) == ':')))
			err = get_attribute(s, r, GK_RULE_ID, s->off, 1);
		else
			err = get_rule_word(s, r);
		if (err)
			return err;
	}
	return fail(s, "a rule too long");
}

/* Whether a rule asks nothing of a device. */
static int is_bare(const struct gk_rule *r)
{
	for (unsigned a = 0; a < GK_RULE_ATTRIBUTES; a++)
		if (r->set[a].count)
			return 0;
	return 1;
}

static int rule_line(struct scan *s, enum gk_rule_target target, size_t at)
{
	struct gk_rules *o = s->out;
	struct gk_rule *r;
	int err;

	if (o->rules >= GK_RULES_MAX)
		return fail_at(s, at, GK_ERR_LIMIT, "more than 64 rules");
	r = &o->rule[o->rules];
	r->target = (uint8_t)target;
	r->line = s->line;
	err = get_rule(s, r);
	if (err)
		return err;
	if (target == GK_RULE_ALLOW && !r->roles)
		r->roles = ROLES_UNSAID;
	for (unsigned i = 0; i < GK_RULES_MAX && i < o->rules; i++) {
		if (is_bare(&o->rule[i])) {
			note_at(s, s->line, 1,
				"never reached: a rule above applies to "
				"every device");
			break;
		}
	}
	o->rules++;
	return 0;
}

/* pin via-port "PORT" hash "HEX": a keyboard that is known. */
static int pin_line(struct scan *s, size_t at)
{
	struct gk_rules *o = s->out;
	struct gk_rule r;
	struct gk_rule_pin *p;
	int err;

	if (o->pins >= GK_RULES_PINS)
		return fail_at(s, at, GK_ERR_LIMIT, "more than 16 pinned keyboards");
	memset(&r, 0, sizeof(r));
	r.line = s->line;
	err = get_rule(s, &r);
	if (err)
		return err;
	for (unsigned a = 0; a < GK_RULE_ATTRIBUTES; a++) {
		int wanted = a == GK_RULE_VIA_PORT || a == GK_RULE_HASH;

		if (r.set[a].count > (wanted ? 1 : 0) || r.set[a].op)
			return fail_at(s, s->line_start + r.set[a].column - 1,
				       GK_ERR_VALUE,
				       "a pin has one via-port and one hash");
		if (wanted && r.set[a].count == 0)
			return fail_at(s, at, GK_ERR_VALUE,
				       "a pin has one via-port and one hash");
	}
	p = &o->pin[o->pins];
	if (!hash_is_hex(o, &r.value[r.set[GK_RULE_HASH].first], p->sha256))
		return fail_at(s, s->line_start + r.set[GK_RULE_HASH].column - 1,
			       GK_ERR_VALUE,
			       "the hash of a pin is 64 hex digits, as "
			       "`gatekeeper status --json` shows it");
	p->port = r.value[r.set[GK_RULE_VIA_PORT].first];
	o->pins++;
	return 0;
}

static int end_of_line(struct scan *s)
{
	size_t at = s->off;
	size_t blanks = skip_blanks(s);

	if (peek(s) == '#')
		skip_line(s);
	else if (peek(s) != '\n')
		return fail(s, "the end of the line expected");
	else if (blanks)
		return fail_at(s, at, GK_ERR_VALUE, "blanks at the end of a line");
	return 0;
}

/* keyboards MODE, keyboards { MODE ... } */
static int keyboards_line(struct scan *s, size_t at, uint16_t *seen_in)
{
	struct gk_rules *o = s->out;
	struct sink k = { KIND_MODE, NULL, NULL, &o->keyboards, 0, 0 };
	int err;

	if (*seen_in)
		return fail_at(s, at, GK_ERR_VALUE, "there is a keyboards line already");
	*seen_in = s->line;
	err = get_values(s, &k);
	if (err)
		return err;
	if (k.count > 1 && __builtin_popcount(o->keyboards) != k.count)
		return fail_at(s, at, GK_ERR_VALUE, "any stands alone");
	if ((o->keyboards & GK_KEYBOARDS_PINNED) &&
	    (o->keyboards & GK_KEYBOARDS_CHALLENGE))
		return fail_at(s, at, GK_ERR_VALUE,
			       "pinned and challenge contradict each other: a keyboard "
			       "without a pin is refused, or it is asked");
	return end_of_line(s);
}

static int parse_line(struct scan *s, uint16_t *keyboards_in)
{
	size_t at = s->off;
	size_t blanks = skip_blanks(s);
	int word;

	if (peek(s) == '#') {
		skip_line(s);
		return 0;
	}
	if (blanks && peek(s) == '\n')
		return fail_at(s, at, GK_ERR_VALUE, "a line of blanks");
	if (blanks)
		return fail_at(s, at, GK_ERR_VALUE, "a rule begins in the first column");
	if (peek(s) == '\n')
		return 0;
	if (peek(s) == '\r')
		return fail(s, "a carriage return: lines end with a line feed");

	word = find_word(s, WORDS(line_words));
	if (word < 0)
		return fail(s, "allow, block, reject, pin or keyboards expected");
	if (word == LINE_OTHER)
		return fail(s, "this target of USBGuard's decides nothing: allow, block "
			       "or reject expected");
	advance(s, word_len(s));
	switch (word) {
	case LINE_ALLOW:
		return rule_line(s, GK_RULE_ALLOW, at);
	case LINE_BLOCK:
		return rule_line(s, GK_RULE_BLOCK, at);
	case LINE_REJECT:
		return rule_line(s, GK_RULE_REJECT, at);
	case LINE_PIN:
		return pin_line(s, at);
	default:
		return keyboards_line(s, at, keyboards_in);
	}
}

static int parse_all(struct scan *s)
{
	uint16_t keyboards_in = 0;
	int err;

	if (s->len > GK_RULES_TEXT_MAX)
		return fail_at(s, 0, GK_ERR_LIMIT,
			       "the file is longer than 32768 bytes");
	for (unsigned i = 0; i <= GK_RULES_TEXT_MAX && s->off < s->len; i++) {
		err = parse_line(s, &keyboards_in);
		if (err)
			return err;
		advance(s, 1);
		s->line_start = s->off;
		s->line++;
	}
	if ((s->out->keyboards & GK_KEYBOARDS_PINNED) && s->out->pins == 0) {
		s->error->line = keyboards_in;
		s->error->column = 1;
		s->error->text = "no keyboard is pinned: none would work";
		return GK_ERR_VALUE;
	}
	if (s->out->rules == 0)
		note_at(s, 1, 1, "there is no rule: the built-in ones apply");
	return 0;
}

int gk_rules_parse(const char *text, size_t len, struct gk_rules *out,
		   struct gk_rules_note *error)
{
	struct scan s = { text, len, 0, 0, 1, out, error };
	int err;

	memset(out, 0, sizeof(*out));
	memset(error, 0, sizeof(*error));
	err = parse_all(&s);
	if (err)
		memset(out, 0, sizeof(*out));
	return err;
}

int gk_rules_complete(char *text, size_t len, size_t cap, struct gk_rules *out,
		      struct gk_rules_note *error)
{
	size_t add = strlen(default_text), line_feed;
	int err = gk_rules_parse(text, len, out, error);

	if (err || out->rules)
		return err ? err : (int)len;
	line_feed = len && text[len - 1] != '\n';
	if (cap > GK_RULES_TEXT_MAX)
		cap = GK_RULES_TEXT_MAX;
	if (len > cap || add + line_feed > cap - len) {
		memset(out, 0, sizeof(*out));
		error->line = error->column = 1;
		error->text = "there is no rule, and no room for the built-in ones";
		return GK_ERR_LIMIT;
	}
	/* Behind it, so that its own lines keep their numbers. */
	if (line_feed)
		text[len++] = '\n';
	memcpy(text + len, default_text, add);
	len += add;
	err = gk_rules_parse(text, len, out, error);
	return err ? err : (int)len;
}

/* ---- judging --------------------------------------------------------------- */

void gk_rule_device_init(struct gk_rule_device *out, const struct gk_usb_device *d,
			 const uint8_t fits[GK_USB_INTERFACES])
{
	memset(out, 0, sizeof(*out));
	out->vid = d->vid;
	out->pid = d->pid;
	for (unsigned i = 0; i < GK_USB_INTERFACES && i < d->first.interfaces; i++) {
		const struct gk_usb_interface *itf = &d->first.interface[i];

		out->interface[i].base_class = itf->base_class;
		out->interface[i].sub_class = itf->sub_class;
		out->interface[i].protocol = itf->protocol;
		out->interface[i].fits = fits[i];
		out->interfaces++;
	}
}

static int hash_matches(const struct gk_rules *r, const struct gk_rule_value *v,
			const struct gk_rule_device *d, unsigned a)
{
	uint8_t hash[GK_SHA256];

	memset(hash, 0, sizeof(hash));
	if (hash_is_base64(r, v, hash)) {
		if (a == GK_RULE_PARENT_HASH)
			return d->known_parent_hash &&
			       !memcmp(hash, d->parent_hash, GK_SHA256);
		return d->known_usbguard_hash &&
		       !memcmp(hash, d->usbguard_hash, GK_SHA256);
	}
	return a == GK_RULE_HASH && hash_is_hex(r, v, hash) &&
	       !memcmp(hash, d->sha256, GK_SHA256);
}

static const struct gk_rule_text *text_of(const struct gk_rule_device *d, unsigned a)
{
	switch (a) {
	case GK_RULE_SERIAL:
		return &d->serial;
	case GK_RULE_NAME:
		return &d->name;
	case GK_RULE_VIA_PORT:
		return &d->port;
	case GK_RULE_CONNECT_TYPE:
		return &d->connect_type;
	default:
		return NULL;
	}
}

static int triple_matches(const struct gk_rule_value *v,
			  const struct gk_rule_interface *i)
{
	if (v->a >> 8 != i->base_class)
		return 0;
	if (!(v->any & 2) && (v->a & 0xff) != i->sub_class)
		return 0;
	return (v->any & 1) || v->b == i->protocol;
}

/* Whether one value of the rule fits the device's item-th value of a. */
static int value_matches(const struct gk_rules *r, const struct gk_rule_value *v,
			 const struct gk_rule_device *d, unsigned a, unsigned item)
{
	const struct gk_rule_text *t = text_of(d, a);

	if (t)
		return t->text && string_is(r, v, t->text, t->len);
	if (a == GK_RULE_INTERFACE)
		return triple_matches(v, &d->interface[item]);
	if (a == GK_RULE_ID)
		return ((v->any & 2) || v->a == d->vid) &&
		       ((v->any & 1) || v->b == d->pid);
	return hash_matches(r, v, d, a);
}

/* Whether the device's value of an attribute is known as far as the set asks. */
static int is_known(const struct gk_rules *r, const struct gk_rule *rule, unsigned a,
		    const struct gk_rule_device *d)
{
	const struct gk_rule_set *set = &rule->set[a];
	const struct gk_rule_text *t = text_of(d, a);
	uint8_t ignored[GK_SHA256];

	if (t)
		return t->text != NULL;
	if (a == GK_RULE_PARENT_HASH)
		return d->known_parent_hash;
	if (a != GK_RULE_HASH || d->known_usbguard_hash)
		return 1;
	for (unsigned i = 0; i < GK_RULE_VALUES && i < set->count; i++)
		if (hash_is_base64(r, &rule->value[set->first + i], ignored))
			return 0;
	return 1;
}

/*
 * A set against the device's values, as usbguard-rules.conf(5) words it. There
 * `equals` is documented as "exactly the same set" but done as "as many, and
 * each value of the rule found", by which { 03:*:* 03:*:* } equals a keyboard
 * with a disk; here each of the device's values has to be found, too.
 */
static int set_applies(const struct gk_rules *r, const struct gk_rule *rule, unsigned a,
		       const struct gk_rule_device *d)
{
	const struct gk_rule_set *set = &rule->set[a];
	unsigned items = a == GK_RULE_INTERFACE ? d->interfaces : 1;
	unsigned found = 0, covered = 0, ordered = 0;
	/* Bit k: the device's k-th value was matched by one of the rule's. */
	uint32_t hit = 0;

	for (unsigned i = 0; i < GK_RULE_VALUES && i < set->count; i++) {
		const struct gk_rule_value *v = &rule->value[set->first + i];
		int any = 0;

		for (unsigned k = 0; k < GK_USB_INTERFACES && k < items; k++) {
			if (!value_matches(r, v, d, a, k))
				continue;
			any = 1;
			hit |= (uint32_t)1 << k;
			if (k == i)
				ordered++;
		}
		found += any ? 1 : 0;
	}
	for (unsigned k = 0; k < GK_USB_INTERFACES && k < items; k++)
		covered += hit >> k & 1;

	switch ((enum gk_rule_operator)set->op) {
	case GK_RULE_EQUALS:
		return set->count == items && found == set->count && covered == items;
	case GK_RULE_EQUALS_ORDERED:
		return set->count == items && ordered == items;
	case GK_RULE_ALL_OF:
		return found == set->count;
	case GK_RULE_ONE_OF:
		return found > 0;
	case GK_RULE_NONE_OF:
		return found == 0;
	case GK_RULE_MATCH_ALL:
		return covered == items;
	}
	return 0;
}

static int rule_applies(const struct gk_rules *r, const struct gk_rule *rule,
			const struct gk_rule_device *d)
{
	for (unsigned a = 0; a < GK_RULE_ATTRIBUTES; a++) {
		if (rule->set[a].count == 0)
			continue;
		if (!is_known(r, rule, a, d)) {
			if (rule->target == GK_RULE_ALLOW)
				return 0;
			continue;
		}
		if (!set_applies(r, rule, a, d))
			return 0;
	}
	return 1;
}

static void grant(const struct gk_rule *rule, const struct gk_rule_device *d,
		  struct gk_rule_verdict *out)
{
	unsigned granted = 0, hubs = 0;

	for (unsigned i = 0; i < GK_USB_INTERFACES && i < d->interfaces; i++) {
		const struct gk_rule_interface *itf = &d->interface[i];

		if (itf->base_class == BASE_CLASS_HUB) {
			hubs++;
			continue;
		}
		out->role[i] = itf->fits & rule->roles;
		out->granted |= out->role[i];
		granted += out->role[i] != 0;
	}
	if (hubs > 0 && hubs == d->interfaces)
		out->verdict = GK_VERDICT_HUB;
	else if (granted == 0)
		out->verdict = GK_VERDICT_REFUSED;
	else
		out->verdict = granted == d->interfaces ? GK_VERDICT_ADMITTED
							: GK_VERDICT_PARTLY;
}

void gk_rules_judge(const struct gk_rules *r, const struct gk_rule_device *d,
		    struct gk_rule_verdict *out)
{
	memset(out, 0, sizeof(*out));
	out->target = GK_RULE_BLOCK;
	out->verdict = GK_VERDICT_REFUSED;
	out->rule = -1;
	for (unsigned i = 0; i < GK_RULES_MAX && i < r->rules; i++) {
		const struct gk_rule *rule = &r->rule[i];

		if (!rule_applies(r, rule, d))
			continue;
		out->rule = (int)i;
		out->target = (enum gk_rule_target)rule->target;
		if (rule->target == GK_RULE_ALLOW)
			grant(rule, d, out);
		return;
	}
}

int gk_keyboard_is_pinned(const struct gk_rules *r, const struct gk_rule_text *port,
			  const uint8_t sha256[GK_SHA256])
{
	for (unsigned i = 0; i < GK_RULES_PINS && i < r->pins; i++)
		if (port->text &&
		    string_is(r, &r->pin[i].port, port->text, port->len) &&
		    !memcmp(r->pin[i].sha256, sha256, GK_SHA256))
			return 1;
	return 0;
}

enum gk_keyboard_answer gk_keyboard_decide(const struct gk_rules *r,
					   const struct gk_keyboard_facts *k)
{
	int pinned = gk_keyboard_is_pinned(r, &k->port, k->sha256);

	if ((r->keyboards & GK_KEYBOARDS_PINNED) && !pinned)
		return GK_KEYBOARD_UNPINNED;
	if ((r->keyboards & GK_KEYBOARDS_ONE) &&
	    (pinned ? k->others_pinned : k->others))
		return GK_KEYBOARD_SECOND;
	if ((r->keyboards & GK_KEYBOARDS_CHALLENGE) && !pinned && !k->seen)
		return GK_KEYBOARD_ASK;
	return GK_KEYBOARD_ACCEPT;
}

const char *gk_rule_target_text(enum gk_rule_target target)
{
	switch (target) {
	case GK_RULE_BLOCK:
		return "block";
	case GK_RULE_ALLOW:
		return "allow";
	case GK_RULE_REJECT:
		return "reject";
	}
	return "unknown target";
}

const char *gk_keyboard_answer_text(enum gk_keyboard_answer answer)
{
	switch (answer) {
	case GK_KEYBOARD_ACCEPT:
		return "its keys count";
	case GK_KEYBOARD_ASK:
		return "it has to type the number on the screen";
	case GK_KEYBOARD_UNPINNED:
		return "not one of the pinned keyboards";
	case GK_KEYBOARD_SECOND:
		return "there is a keyboard already";
	}
	return "unknown answer";
}
