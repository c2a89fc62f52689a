/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why the link reader ended: its exit status, for gatekeeperd. */
#ifndef GK_DOM0_LINK_STATUS_H
#define GK_DOM0_LINK_STATUS_H

enum gk_link_status {
	GK_LINK_EXIT_DONE = 0,		/* gatekeeperd closed its end */
	GK_LINK_EXIT_USAGE = 2,
	GK_LINK_EXIT_VIOLATION = 3,	/* the gate broke the protocol */
	GK_LINK_EXIT_SILENT = 4,	/* no HELLO or PONG in time, or it
					 * does not read what it is sent */
	GK_LINK_EXIT_CLOSED = 5,	/* the gate closed the link */
	GK_LINK_EXIT_NO_SERVER = 6,	/* no vchan server in time */
	GK_LINK_EXIT_SETUP = 7,		/* a system call or the sandbox failed */
	GK_LINK_EXIT_STALLED = 8,	/* gatekeeperd does not read */
};

#endif
