/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON of a LUKS2 token. What is accepted is within its bounds and comes out of
 * writing and reading again the same; what is refused leaves nothing, and a reason.
 */
#include <string.h>

#include "fuzz.h"
#include "luks/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gk_token none;
	static char text[GK_TOKEN_TEXT];
	struct gk_token t, again;
	const char *why;
	int err, n;

	memset(&t, 0xee, sizeof(t));
	err = gk_token_parse((const char *)data, size, &t, &why);
	if (err) {
		MUST(err < 0 && why && why[0]);
		MUST(!memcmp(&t, &none, sizeof(t)));
		return 0;
	}
	MUST(!why && t.keyslots && t.rp[0] && !t.rp[GK_FIDO_RP]);
	MUST(t.credential_len >= 1 && t.credential_len <= GK_FIDO_CREDENTIAL);
	MUST(t.pin <= GK_NEED_IF_ASKED && t.up <= GK_NEED_IF_ASKED &&
	     t.uv <= GK_NEED_IF_ASKED);
	n = gk_token_build(&t, text, sizeof(text));
	MUST(n > 0 && (size_t)n == strlen(text));
	MUST(gk_token_parse(text, (size_t)n, &again, &why) == 0);
	MUST(!memcmp(&t, &again, sizeof(t)));
	return 0;
}
