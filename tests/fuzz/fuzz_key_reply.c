/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the jailed process beside a key may say to the unlocker. The first byte is
 * what was asked. Whatever is accepted means only what the question allows.
 */
#include <string.h>

#include "fuzz.h"
#include "luks/key_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gk_key_reply r;
	uint32_t ask;
	int err;

	if (size < 1)
		return 0;
	ask = data[0] % 7u;
	/* Short inputs are filled up, so that the length is right now and then. */
	memset(&r, 0, sizeof(r));
	memcpy(&r, data + 1, size - 1 < sizeof(r) ? size - 1 : sizeof(r));
	err = gk_key_reply_check(&r, size - 1 > sizeof(r) ? size - 1 : sizeof(r), ask,
				 data[0] / 7u);
	if (err)
		return 0;
	MUST(r.ask == ask && r.seq == data[0] / 7u);
	MUST(r.say == GK_KEY_DONE || ask == GK_KEY_SECRET || ask == GK_KEY_MAKE);
	MUST(r.err >= GK_KEY_ERR_MIN && r.err <= GK_KEY_ERR_MAX);
	MUST(!r.flags || (ask == GK_KEY_LOOK && !(r.flags & ~(uint32_t)GK_KEY_FLAGS)));
	MUST(!r.retries || (ask == GK_KEY_RETRIES && r.retries <= GK_KEY_RETRIES_MAX &&
			    r.retries > 0));
	MUST(!r.found || (ask == GK_KEY_FIND && r.found == 1 && !r.err));
	MUST(!r.data_len || (!r.err && r.data_len <= GK_FIDO_CREDENTIAL));
	MUST(ask != GK_KEY_SECRET || r.err || r.say != GK_KEY_DONE ||
	     r.data_len == GK_FIDO_SECRET);
	for (size_t i = r.data_len; i < sizeof(r.data); i++)
		MUST(!r.data[i]);
	return 0;
}
