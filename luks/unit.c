/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "dom0/paths.h"
#include "luks/unit.h"

/* One word in single quotes; "%%" is one "%" (systemd.unit(5), specifiers). A
 * backslash would begin an escape, which no name here needs: refused. */
static int word(const char **text, char *out, size_t cap)
{
	const char *s = *text + strspn(*text, " ");
	size_t n = 0;

	if (*s++ != '\'')
		return GK_ERR_VALUE;
	for (; *s && *s != '\''; s++) {
		if (*s == '\n' || *s == '\\')
			return GK_ERR_VALUE;
		if (*s == '%' && *++s != '%')
			return GK_ERR_VALUE;
		if (n + 1 >= cap)
			return GK_ERR_LIMIT;
		out[n++] = *s;
	}
	if (*s != '\'')
		return GK_ERR_VALUE;
	out[n] = '\0';
	*text = s + 1;
	return 0;
}

int gk_unit_parse(const char *text, struct gk_unit *u)
{
	static const char key[] = "\nExecStart=", verb[] = " attach ";
	const char *s = strstr(text, key), *end;
	int err;

	memset(u, 0, sizeof(*u));
	if (!s)
		return GK_ERR_NOT_FOUND;
	s += sizeof(key) - 1;
	end = s + strcspn(s, "\n");
	s = strstr(s, verb);
	if (!s || s > end)
		return GK_ERR_NOT_FOUND;
	s += sizeof(verb) - 1;
	err = word(&s, u->volume, sizeof(u->volume));
	if (!err)
		err = word(&s, u->device, sizeof(u->device));
	if (!err)
		err = word(&s, u->key_file, sizeof(u->key_file));
	if (!err)
		err = word(&s, u->options, sizeof(u->options));
	if (!err && (!strcmp(u->key_file, "none") || !strcmp(u->key_file, "-")))
		u->key_file[0] = '\0';
	if (!err && (!strcmp(u->options, "none") || !strcmp(u->options, "-")))
		u->options[0] = '\0';
	return err;
}

int gk_unit_read(const char *name, struct gk_unit *u)
{
	static const char *const dirs[] = {
		"/run/systemd/generator", "/run/systemd/generator.late",
		"/run/systemd/generator.early",
	};
	char path[GK_PATH_MAX], text[8192];

	if (strchr(name, '/'))
		return GK_ERR_VALUE;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (!gk_path(path, "%s/%s", dirs[i], name) &&
		    gk_file_read(path, text, sizeof(text)) > 0)
			return gk_unit_parse(text, u);
	return GK_ERR_NOT_FOUND;
}
