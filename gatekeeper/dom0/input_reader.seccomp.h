/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that gatekeeper-input-proxy may ask of dom0's kernel once it listens to a
 * sender. It can open nothing, map nothing, start nothing and connect to nothing;
 * whatever is not here kills it.
 *
 * The forms of a line are explained in jail/filter.c.
 */

/* The sender's stream. */
GK_ALLOW_ARG(read, 0, 0)
/* Lights to the sender; the last lines on stderr. */
GK_ALLOW_ARG(write, 0, 1)
GK_ALLOW_ARG(write, 0, 2)
/* gatekeeperd. recvmsg and sendmsg are left out: no fd is ever passed. */
GK_ALLOW_ARG(recvfrom, 0, 3)
GK_ALLOW_ARG(sendto, 0, 3)
/* Waiting. restart_syscall: a poll that was stopped and continued. */
GK_ALLOW(poll)
GK_ALLOW(restart_syscall)
/* Time; PV dom0 clocks cannot always be read in user space. */
GK_ALLOW(clock_gettime)
/* The end. */
GK_ALLOW(exit)
GK_ALLOW(exit_group)
GK_ALLOW(rt_sigreturn)

/* AddressSanitizer looks where the stack is before each function that does not
 * return; `make asan` only. */
#ifdef GK_SANITIZED
GK_ALLOW(sigaltstack)
#endif
