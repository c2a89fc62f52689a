/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/paths.h"
#include "luks/text.h"

enum { LANGUAGE = 32 };

/* A language and no path: "de", "de_AT", "pt_BR.UTF-8", in quotes or not. */
static int take(const char *s, char lang[LANGUAGE])
{
	size_t n;

	if (*s == '"' || *s == '\'')
		s++;
	n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_@");
	if (n < 2 || n >= LANGUAGE)
		return 0;
	memcpy(lang, s, n);
	lang[n] = '\0';
	return 1;
}

/* The value of the first word or line that begins with the key. */
static int find(const char *file, const char *key, char lang[LANGUAGE])
{
	char path[GK_PATH_MAX], text[8192];
	const char *s;

	if (gk_path(path, "%s", file) || gk_file_read(path, text, sizeof(text)) < 0)
		return 0;
	for (s = text; (s = strstr(s, key)); s++)
		if (s == text || strchr(" \n\t", s[-1]))
			return take(s + strlen(key), lang);
	return 0;
}

void gk_text_open(const char *language, const char *dir)
{
	char lang[LANGUAGE];

	if (!(language && take(language, lang)) &&
	    !find("/proc/cmdline", "locale.LANG=", lang) &&
	    !find("/proc/cmdline", "rd.locale.LANG=", lang) &&
	    !find("/etc/locale.conf", "LANG=", lang) &&
	    !find("/etc/default/locale", "LANG=", lang))
		return;
	/* An initramfs has no locale of that language. gettext does not translate in
	 * the locale "C"; in any other it goes by LANGUAGE=, and of C.UTF-8 it needs
	 * one file of some bytes. All other categories stay "C". */
	if (!setlocale(LC_MESSAGES, "C.UTF-8") || setenv("LANGUAGE", lang, 1) < 0)
		return;
	bindtextdomain(GK_TEXT_DOMAIN, dir ? dir : GK_LOCALE_DIR);
	bind_textdomain_codeset(GK_TEXT_DOMAIN, "UTF-8");
}
