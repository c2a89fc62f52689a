/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gatekeeper-input-proxy: its two parts, and how it ends. */
#ifndef GK_DOM0_INPUT_READER_H
#define GK_DOM0_INPUT_READER_H

enum gk_input_exit {
	GK_INPUT_EXIT_DONE = 0,		/* the sender ended, between two events */
	GK_INPUT_EXIT_REFUSED = 1,	/* by gatekeeperd, or it is not there */
	GK_INPUT_EXIT_USAGE = 2,
	GK_INPUT_EXIT_VIOLATION = 3,	/* the sender broke the protocol */
	GK_INPUT_EXIT_NO_KEYBOARD = 4,	/* none of its keys is let by */
	GK_INPUT_EXIT_CUT = 5,		/* the stream ended within something, or
					 * did not begin in time */
	GK_INPUT_EXIT_SETUP = 7,	/* a system call or the jail failed */
	GK_INPUT_EXIT_STALLED = 8,	/* gatekeeperd does not read */
};

/*
 * gk_input_reader: reads the sender on fd 0, writes its lights to fd 1 (which does
 * not block) and speaks with gatekeeperd on fd 3, a SOCK_SEQPACKET. `from`: the
 * sender's domain, printable, "" if it is not known. To be called in the jail.
 */
__attribute__((noreturn)) void gk_input_reader(const char *from);

/* gk_input_say: a line on stderr, with the program's name. */
void gk_input_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
