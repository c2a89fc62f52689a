/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A keyslot into the header, and out again. */
#include "luks/enroll.h"

int gk_enroll_refused(int err)
{
	return gk_fail("the header was not changed any further: %s",
		       err == GK_ERR_LIMIT ? "no keyslot is free" :
		       err == GK_ERR_LENGTH ? "no place for another token is free" :
		       gk_header_why());
}

void gk_enroll_take_back(struct gk_header *h, int slot, int token)
{
	int err = 0;

	if (slot >= 0) {
		err = gk_header_drop_slot(h, slot);
		gk_enroll_point(GK_POINT_KEYSLOT_REMOVED);
	}
	if (!err)
		err = gk_header_drop_token(h, token);
	if (err)
		gk_fail("it was not taken back: %s; see --list", gk_header_why());
	else
		gk_say("The header is as it was before");
}

int gk_enroll_write_keyslot(struct gk_header *h, int slot, int *token,
			    const char *secret, size_t len, enum gk_enroll_point mark,
			    enum gk_enroll_point added)
{
	int err;

	*token = gk_header_mark(h, slot);
	if (*token < 0)
		return gk_enroll_refused(*token);
	gk_enroll_point(mark);
	err = gk_header_add(h, slot, secret, len);
	if (err) {
		gk_enroll_refused(err);
		gk_enroll_take_back(h, -1, *token);
		return err;
	}
	gk_enroll_point(added);
	return 0;
}
