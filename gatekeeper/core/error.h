/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One list of errors for all of USB Gatekeeper. A function returns 0 (or a
 * count) when it has done its work and one of these, negative, when not.
 * The reason codes of refused devices are in policy.h.
 */
#ifndef GK_ERROR_H
#define GK_ERROR_H

#define GK_MUST_CHECK __attribute__((warn_unused_result))

enum gk_error {
	GK_OK = 0,
	GK_ERR_SHORT = -1,	/* fewer bytes than the structure needs */
	GK_ERR_TRAILING = -2,	/* bytes left over after the structure */
	GK_ERR_VERSION = -3,	/* a version that is not spoken here */
	GK_ERR_TYPE = -4,	/* an unknown type */
	GK_ERR_LENGTH = -5,	/* a length that contradicts the type's */
	GK_ERR_VALUE = -6,	/* a field outside its allowed values */
	GK_ERR_LIMIT = -7,	/* more of something than is accepted */
	GK_ERR_ORDER = -8,	/* right message at the wrong moment */
	GK_ERR_DIRECTION = -9,	/* right message from the wrong side */
	GK_ERR_NOT_FOUND = -10,	/* nothing there by that name or id */
	GK_ERR_SYSTEM = -11,	/* a system call failed; errno says why */
	GK_ERR_TIMEOUT = -12,	/* the deadline passed */
	GK_ERR_CLOSED = -13,	/* the peer has gone */
};

/* gk_strerror: a short English text, never NULL, for any int. */
const char *gk_strerror(int err);

#endif
