/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A manifest on its way in. The input is parts, one after the other: pieces
 * "offset, length, bytes" over zeros until a length of 0, so that a manifest fits in
 * few bytes. Whatever is taken as whole has one encoding: the parts that came.
 */
#include <string.h>

#include "core/manifest.h"
#include "fuzz.h"

static struct gk_manifest_reader r, before;
static struct gk_link_manifest came[GK_MANIFEST_PARTS_MAX];
static const uint8_t digest[GK_SHA256] = { 1, 2, 3 };

/* The next part: bytes `offset, length, data...` until a length of 0. */
static size_t next_part(const uint8_t *data, size_t size, struct gk_link_manifest *out)
{
	size_t at = 0;

	memset(out, 0, sizeof(*out));
	while (size - at >= 2) {
		size_t offset = data[at] % GK_LINK_MANIFEST_PART;
		size_t len = data[at + 1] % (GK_LINK_MANIFEST_PART - offset + 1);

		at += 2;
		if (len == 0)
			return at;
		if (len > size - at)
			len = size - at;
		memcpy(out->part + offset, data + at, len);
		at += len;
	}
	return size;
}

static void is_whole(unsigned parts)
{
	MUST(gk_manifest_parts(&r.m) == (int)parts);
	for (unsigned i = 0; i < parts; i++) {
		struct gk_link_manifest again;

		MUST(gk_manifest_part(&r.m, i, digest, &again) == GK_OK);
		MUST(memcmp(&again, &came[i], sizeof(again)) == 0);
	}
	MUST(gk_manifest_part(&r.m, parts, digest, &came[0]) == GK_ERR_LIMIT);
}

static void check_state(void)
{
	MUST(r.next < GK_MANIFEST_PARTS_MAX);
	MUST(r.m.rules_len <= GK_RULES_TEXT_MAX && r.text <= r.m.rules_len);
	MUST(r.m.devices <= GK_LINK_DEVICES && r.devices <= r.m.devices);
	for (unsigned i = 0; i < r.text; i++)
		MUST(r.m.rules[i] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gk_manifest_reader none;

	memset(&r, 0, sizeof(r));
	while (size > 0) {
		struct gk_link_manifest p;
		unsigned number = r.next;
		size_t used = next_part(data, size, &p);
		int alone = gk_manifest_check(&p), ret;

		data += used;
		size -= used;
		before = r;
		ret = gk_manifest_take(&r, &p, digest);
		MUST(ret <= 1);
		/* What is wrong alone is wrong anywhere. */
		MUST(alone == GK_OK || ret == alone);
		if (ret < 0) {
			MUST(memcmp(&r, &none, sizeof(r)) == 0);
			continue;
		}
		MUST(before.next < GK_MANIFEST_PARTS_MAX);
		came[number] = p;
		check_state();
		if (ret == 1) {
			MUST(gk_manifest_is_end(&p) && r.next == 0);
			is_whole(number + 1);
		} else {
			MUST(r.next == number + 1);
		}
	}
	return 0;
}
