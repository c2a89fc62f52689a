/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts for the person at the prompt, in their language (gettext; po/). The log
 * stays English. Names and numbers that are put into a text are printable ASCII.
 */
#ifndef GK_LUKS_TEXT_H
#define GK_LUKS_TEXT_H

#include <libintl.h>

#define GK_TEXT_DOMAIN	"gatekeeper"

#ifndef GK_LOCALE_DIR
#define GK_LOCALE_DIR	"/usr/share/locale"
#endif

#define _(s)	dgettext(GK_TEXT_DOMAIN, s)
#define N_(s)	s

/*
 * gk_text_open: the language is (the first that says one) `language` of
 * gatekeeper.conf as given here, the kernel argument locale.LANG= or
 * rd.locale.LANG=, LANG= of /etc/locale.conf, of /etc/default/locale. Without any,
 * without its catalogue or without the C.UTF-8 locale all is English. dir: where
 * the catalogues are, NULL: GK_LOCALE_DIR.
 */
void gk_text_open(const char *language, const char *dir);

#endif
