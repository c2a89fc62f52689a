/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first byte says who sent it, the rest is one frame. What decode accepts
 * must encode to the very same bytes, and only from a side that may send it.
 */
#include <string.h>

#include "core/link.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[GK_LINK_FRAME_MAX];
	struct gk_frame f, untouched;
	enum gk_link_side from;
	int peek, err;

	if (size < 1)
		return 0;
	from = (enum gk_link_side)(data[0] & 3);
	data++;
	size--;

	peek = gk_link_peek(data, size);
	MUST(peek < 0 || (peek >= GK_LINK_HEADER && peek <= GK_LINK_FRAME_MAX));
	memset(&f, 0xee, sizeof(f));
	memset(&untouched, 0xee, sizeof(untouched));
	err = gk_link_decode(data, size, from, &f);
	MUST(err <= 0);
	if (err) {
		MUST(memcmp(&f, &untouched, sizeof(f)) == 0);
		return 0;
	}
	MUST((size_t)peek == size);
	MUST(gk_link_payload_len(f.type) + GK_LINK_HEADER == peek);
	MUST(gk_link_encode(&f, from, again, sizeof(again)) == peek);
	MUST(memcmp(again, data, size) == 0);
	for (size_t len = 0; len < size; len++)
		MUST(gk_link_decode(data, len, from, &f) == GK_ERR_SHORT);
	if (f.type == GK_LINK_LOG)
		for (size_t i = 0; i < GK_LINK_TEXT; i++)
			MUST(i < f.u.log.len
				     ? f.u.log.text[i] >= 0x20 && f.u.log.text[i] <= 0x7e
				     : f.u.log.text[i] == 0);
	return 0;
}
