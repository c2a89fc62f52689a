/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recovery passphrase: shown first, made valid when it has been written down. The
 * other way round a crash would leave one that counts and nobody has.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "luks/enroll.h"

/* 256 bits in letters that are on the same keys of most keyboards, as
 * systemd-cryptenroll writes them. */
static int make_recovery(char out[GK_RECOVERY + 1])
{
	static const char letters[] = "cbdefghijklnrtuv";
	uint8_t raw[32];
	size_t n = 0;

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return gk_fail("no random numbers: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(raw); i++) {
		if (i && i % 4 == 0)
			out[n++] = '-';
		out[n++] = letters[raw[i] >> 4];
		out[n++] = letters[raw[i] & 15];
	}
	out[n] = '\0';
	explicit_bzero(raw, sizeof(raw));
	return 0;
}

static int is_written_down(struct gk_enroll *e, const char *recovery)
{
	char last[GK_RECOVERY + 1];
	int n, same = 0;

	gk_say("\nRecovery passphrase, shown this once and kept nowhere:\n\n    %s\n\n"
	       "Write it down, and keep it away from the machine. It is not valid yet.",
	       recovery);
	gk_enroll_point(GK_POINT_RECOVERY_SHOWN);
	for (int i = 0; i < GK_ENROLL_PASSPHRASES && !same; i++) {
		n = gk_ask(e->loop, "Its last eight letters (Enter alone: leave it out)",
			   1, last, sizeof(last));
		if (n <= 0 && n != GK_ERR_LIMIT)
			break;
		same = n == 8 && !strcmp(last, recovery + GK_RECOVERY - 8);
	}
	explicit_bzero(last, sizeof(last));
	return same;
}

static int write_recovery(struct gk_header *h, const char *recovery)
{
	int slot = gk_header_free_slot(h), token, err;
	char json[96];

	if (slot < 0)
		return gk_enroll_refused(slot);
	err = gk_enroll_write_keyslot(h, slot, &token, recovery, GK_RECOVERY,
				      GK_POINT_RECOVERY_MARK_WRITTEN,
				      GK_POINT_RECOVERY_KEYSLOT_ADDED);
	if (err)
		return err;
	snprintf(json, sizeof(json), "{\"type\":\"" GK_RECOVERY_TYPE "\",\"keyslots\":"
		 "[\"%d\"]}", slot);
	err = crypt_activate_by_passphrase(h->cd, NULL, slot, recovery, GK_RECOVERY, 0)
	      == slot ? gk_header_put(h, token, json) : GK_ERR_SYSTEM;
	if (err) {
		gk_enroll_refused(err);
		gk_enroll_take_back(h, slot, token);
		return err;
	}
	gk_enroll_point(GK_POINT_RECOVERY_TOKEN_WRITTEN);
	gk_say("The recovery passphrase opens %s (keyslot %d)", h->volume.device, slot);
	return 0;
}

static int add_recovery(struct gk_enroll *e)
{
	char recovery[GK_RECOVERY + 1];
	int err = make_recovery(recovery);

	if (err)
		return err;
	if (is_written_down(e, recovery))
		err = write_recovery(&e->header, recovery);
	else
		err = gk_fail("no recovery passphrase was added");
	explicit_bzero(recovery, sizeof(recovery));
	return err;
}

int gk_enroll_offer_recovery(struct gk_enroll *e)
{
	char answer[16];

	if (e->recovery == 0 || gk_header_kinds(&e->header, GK_SLOT_RECOVERY))
		return 0;
	if (e->recovery > 0)
		return add_recovery(e);
	if (!gk_ask_is_terminal())
		return 0;
	if (gk_ask(e->loop, "A recovery passphrase, for when keys are lost? [y/N]", 0,
		   answer, sizeof(answer)) > 0 &&
	    (answer[0] == 'y' || answer[0] == 'Y') && add_recovery(e))
		gk_say("The key stays enrolled");
	return 0;
}
