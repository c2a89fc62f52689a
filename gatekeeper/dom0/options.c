/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/key_filter.h"
#include "dom0/options.h"
#include "dom0/paths.h"
#include "handoff/steps.h"

void gk_options_default(struct gk_options *o)
{
	*o = (struct gk_options){
		.enabled = 1,
		.timeout_s = 10,
		.fallback = GK_FALLBACK_NONE,
		.memory_mib = 48,
		.restarts = 3,
		.restart_window_s = 600,
		.free_time_s = 60,
		.vt_switching = GK_WHEN_AFTER_UNLOCK,
		.ctrl_alt_del = GK_WHEN_NEVER,
		.uhid = GK_UHID_AFTER_BOOT,
	};
}

static int set_number(unsigned *out, const char *s, unsigned min, unsigned max)
{
	unsigned long v;
	char *end;

	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || v < min || v > max)
		return -1;
	*out = (unsigned)v;
	return 0;
}

static int set_bool(int *out, const char *s)
{
	static const char *const yes[] = { "1", "yes", "true", "on" };
	static const char *const no[] = { "0", "no", "false", "off" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
			*out = !strcmp(s, yes[i]);
			return 0;
		}
	}
	return -1;
}

static int set_fallback(enum gk_fallback *out, const char *s)
{
	if (!strcmp(s, "none"))
		*out = GK_FALLBACK_NONE;
	else if (!strcmp(s, "dom0-hid"))
		*out = GK_FALLBACK_DOM0_HID;
	else
		return -1;
	return 0;
}

static int set_when(enum gk_when *out, const char *s)
{
	if (!strcmp(s, "never"))
		*out = GK_WHEN_NEVER;
	else if (!strcmp(s, "after-unlock"))
		*out = GK_WHEN_AFTER_UNLOCK;
	else
		return -1;
	return 0;
}

/* "de", "pt_BR" */
static int set_language(char *out, size_t cap, const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	if (n < 2 || n >= cap || s[n])
		return -1;
	strcpy(out, s);
	return 0;
}

static int set_uhid(enum gk_uhid_mode *out, const char *s)
{
	if (!strcmp(s, "no"))
		*out = GK_UHID_NO;
	else if (!strcmp(s, "after-boot"))
		*out = GK_UHID_AFTER_BOOT;
	else if (!strcmp(s, "always"))
		*out = GK_UHID_ALWAYS;
	else
		return -1;
	return 0;
}

static int set_path(char *out, size_t cap, const char *s)
{
	if (*s != '/' || strlen(s) >= cap || strpbrk(s, " \t"))
		return -1;
	strcpy(out, s);
	return 0;
}

static int set_domain(char *out, size_t cap, const char *s)
{
	if (strlen(s) >= cap || !gk_name_valid(s))
		return -1;
	strcpy(out, s);
	return 0;
}

/* 0 taken, 1 no such key, -1 bad value. */
static int set(struct gk_options *o, const char *key, const char *value)
{
	if (!strcmp(key, "debug"))
		return set_bool(&o->debug, value);
	if (!strcmp(key, "timeout"))
		return set_number(&o->timeout_s, value, 1, 600);
	if (!strcmp(key, "fallback"))
		return set_fallback(&o->fallback, value);
	if (!strcmp(key, "memory"))
		return set_number(&o->memory_mib, value, 32, 1024);
	if (!strcmp(key, "restarts"))
		return set_number(&o->restarts, value, 0, 20);
	if (!strcmp(key, "restart_window"))
		return set_number(&o->restart_window_s, value, 10, 86400);
	if (!strcmp(key, "free_time"))
		return strcmp(value, "0") == 0 ?
		       set_number(&o->free_time_s, value, 0, 0) :
		       set_number(&o->free_time_s, value, 5, 86400);
	if (!strcmp(key, "vt_switching"))
		return set_when(&o->vt_switching, value);
	if (!strcmp(key, "ctrl_alt_del"))
		return set_when(&o->ctrl_alt_del, value);
	if (!strcmp(key, "input_proxy"))
		return set_bool(&o->input_proxy, value);
	if (!strcmp(key, "language"))
		return set_language(o->language, sizeof(o->language), value);
	if (!strcmp(key, "uhid"))
		return set_uhid(&o->uhid, value);
	if (!strcmp(key, "sys_usb"))
		return set_domain(o->sys_usb, sizeof(o->sys_usb), value);
	if (!strcmp(key, "sys_usb_config"))
		return set_path(o->sys_usb_config, sizeof(o->sys_usb_config),
				value);
	return 1;
}

static void add_note(struct gk_options_note *note, const char *where,
		     const char *key, const char *value)
{
	if (!note->text[0])
		snprintf(note->text, sizeof(note->text),
			 "%s: \"%.40s=%.40s\" is not understood and ignored",
			 where, key, value);
}

static char *trim(char *s)
{
	size_t n;

	while (*s == ' ' || *s == '\t')
		s++;
	n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		s[--n] = '\0';
	return s;
}

void gk_options_conf(struct gk_options *o, const char *text,
		     struct gk_options_note *note)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[256], *hash, *eq, *key, *value;

		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			hash = strchr(line, '#');
			if (hash)
				*hash = '\0';
			eq = strchr(line, '=');
			if (eq)
				*eq = '\0';
			key = trim(line);
			value = eq ? trim(eq + 1) : key + strlen(key);
			if (*key && set(o, key, value))
				add_note(note, GK_CONF, key, value);
		} else {
			add_note(note, GK_CONF, "a line", "too long");
		}
		text += len;
		if (*text)
			text++;
	}
}

static void cmdline_word(struct gk_options *o, char *word,
			 struct gk_options_note *note)
{
	static const char own[] = "rd.gatekeeper";
	static const char qubes[] = "rd.qubes.dom0_usb=";
	const char *key, *value = "1";
	char *eq;

	if (!strncmp(word, qubes, sizeof(qubes) - 1)) {
		snprintf(o->dom0_usb, sizeof(o->dom0_usb), "%s",
			 word + sizeof(qubes) - 1);
		return;
	}
	if (strncmp(word, own, sizeof(own) - 1))
		return;
	key = word + sizeof(own) - 1;
	eq = strchr(word, '=');
	if (eq) {
		*eq = '\0';
		value = eq + 1;
	}
	if (*key == '\0') {
		if (set_bool(&o->enabled, value))
			add_note(note, "kernel command line", word, value);
		return;
	}
	if (*key == '.')
		key++;
	else
		return;
	/* What takes room or changes bounds is not for the boot prompt. */
	if (strcmp(key, "timeout") && strcmp(key, "fallback") && strcmp(key, "debug"))
		add_note(note, "kernel command line", word, value);
	else if (set(o, key, value))
		add_note(note, "kernel command line", word, value);
}

void gk_options_cmdline(struct gk_options *o, const char *text,
			struct gk_options_note *note)
{
	char word[250];
	size_t len = 0;
	int quoted = 0;

	for (;; text++) {
		int space = *text == ' ' || *text == '\t' || *text == '\n';

		if (*text == '\0' || (space && !quoted)) {
			/* A longer word than any of ours is not ours. */
			if (len < sizeof(word)) {
				word[len] = '\0';
				cmdline_word(o, word, note);
			}
			len = 0;
			if (*text == '\0')
				return;
		} else if (*text == '"') {
			quoted = !quoted;
		} else {
			if (len < sizeof(word))
				word[len] = *text;
			if (len < sizeof(word))
				len++;
		}
	}
}

void gk_options_load(struct gk_options *o, struct gk_options_note *note)
{
	char path[GK_PATH_MAX], text[8192];

	note->text[0] = '\0';
	gk_options_default(o);
	if (!gk_path(path, GK_CONF) &&
	    gk_file_read(path, text, sizeof(text)) > 0)
		gk_options_conf(o, text, note);
	if (!gk_path(path, "/proc/cmdline") &&
	    gk_file_read(path, text, sizeof(text)) > 0)
		gk_options_cmdline(o, text, note);
}

unsigned gk_options_let_by(const struct gk_options *o, int unlocked)
{
	unsigned bits = 0;

	if (unlocked && o->vt_switching == GK_WHEN_AFTER_UNLOCK)
		bits |= GK_KEYS_VT;
	if (unlocked && o->ctrl_alt_del == GK_WHEN_AFTER_UNLOCK)
		bits |= GK_KEYS_REBOOT;
	return bits;
}

int gk_options_is_dom0_usb(const struct gk_options *o, const char *bdf)
{
	const char *s = o->dom0_usb;
	const char *no_domain = strncmp(bdf, "0000:", 5) ? bdf : bdf + 5;

	while (*s) {
		size_t len = strcspn(s, ",");

		if ((len == strlen(bdf) && !strncmp(s, bdf, len)) ||
		    (len == strlen(no_domain) && !strncmp(s, no_domain, len)))
			return 1;
		s += len;
		if (*s)
			s++;
	}
	return 0;
}
