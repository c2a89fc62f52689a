/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "error.h"

const char *gk_strerror(int err)
{
	/* No default: a new member of the enum must get its text here. */
	switch ((enum gk_error)err) {
	case GK_OK:
		return "no error";
	case GK_ERR_SHORT:
		return "too few bytes";
	case GK_ERR_TRAILING:
		return "bytes left over";
	case GK_ERR_VERSION:
		return "unknown version";
	case GK_ERR_TYPE:
		return "unknown type";
	case GK_ERR_LENGTH:
		return "wrong length";
	case GK_ERR_VALUE:
		return "value not allowed";
	case GK_ERR_LIMIT:
		return "too many";
	case GK_ERR_ORDER:
		return "message out of order";
	case GK_ERR_DIRECTION:
		return "message from the wrong side";
	case GK_ERR_NOT_FOUND:
		return "not found";
	case GK_ERR_SYSTEM:
		return "system call failed";
	case GK_ERR_TIMEOUT:
		return "timed out";
	case GK_ERR_CLOSED:
		return "closed by the other side";
	}
	return err > 0 ? "no error" : "unknown error";
}
