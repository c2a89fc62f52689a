/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The places between two changes where gatekeeper-enroll may be killed and a test
 * kills it (tests/luks/enroll.py). They are named here once. In the program that
 * is installed a point is nothing: only with GK_ENROLL_STOPS, in the build for
 * tests, there is something behind it.
 */
#ifndef GK_LUKS_ENROLL_POINTS_H
#define GK_LUKS_ENROLL_POINTS_H

#define GK_ENROLL_POINTS(X) \
	X(VOLUME_READ, "volume-read") \
	X(KEY_FOUND, "key-found") \
	X(UNLOCKED, "unlocked") \
	X(CREDENTIAL_MADE, "credential-made") \
	X(SECRET_READ, "secret-read") \
	X(MARK_WRITTEN, "mark-written") \
	X(KEYSLOT_ADDED, "keyslot-added") \
	X(TOKEN_WRITTEN, "token-written") \
	X(TESTED, "tested") \
	X(RECOVERY_SHOWN, "recovery-shown") \
	X(RECOVERY_MARK_WRITTEN, "recovery-mark-written") \
	X(RECOVERY_KEYSLOT_ADDED, "recovery-keyslot-added") \
	X(RECOVERY_TOKEN_WRITTEN, "recovery-token-written") \
	X(REMOVAL_ALLOWED, "removal-allowed") \
	X(KEYSLOT_REMOVED, "keyslot-removed") \
	X(TOKEN_REMOVED, "token-removed")

enum gk_enroll_point {
#define X(id, name) GK_POINT_##id,
	GK_ENROLL_POINTS(X)
#undef X
};

#ifdef GK_ENROLL_STOPS
void gk_enroll_point(enum gk_enroll_point p);
#else
static inline void gk_enroll_point(enum gk_enroll_point p)
{
	(void)p;
}
#endif

#endif
