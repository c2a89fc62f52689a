/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unit of systemd-cryptsetup-generator, then its options as a volume's. */
#include <string.h>

#include "fuzz.h"
/* The Makefile leaves it out for the target that has its own. */
#include "dom0/paths.c"
#include "luks/unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gk_volume v;
	static char text[8192];
	struct gk_unit u;
	const char *why = NULL;
	int err;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&u, 0xee, sizeof(u));
	if (gk_unit_parse(text, &u))
		return 0;
	MUST(memchr(u.volume, 0, sizeof(u.volume)));
	MUST(memchr(u.device, 0, sizeof(u.device)));
	MUST(memchr(u.key_file, 0, sizeof(u.key_file)) &&
	     memchr(u.options, 0, sizeof(u.options)));
	err = gk_volume_set(&v, u.volume, u.device, u.options, &why);
	if (err) {
		MUST(why && why[0]);
		return 0;
	}
	MUST(v.name[0] && !strchr(v.name, '/') && v.device[0] == '/');
	MUST(v.keyslot >= -1 && v.keyslot < GK_TOKEN_KEYSLOTS);
	MUST(!v.header[0] || v.header[0] == '/');
	return 0;
}
