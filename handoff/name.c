/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alone in its file: who reads the configuration needs this and not xenstore. */
#include <string.h>

#include "handoff/steps.h"

int gk_name_valid(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len;

	if (name == NULL)
		return 0;
	len = strlen(name);
	if (len == 0 || len > GK_NAME_MAX || strchr(letters, name[0]) == NULL)
		return 0;
	for (; *name != '\0'; name++)
		if (strchr(letters, *name) == NULL &&
		    strchr("0123456789-_.", *name) == NULL)
			return 0;
	return 1;
}
