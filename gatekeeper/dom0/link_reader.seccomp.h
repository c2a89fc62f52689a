/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that the link reader may ask of dom0's kernel once it listens to the
 * gate. It can open nothing, map nothing executable, start nothing and
 * connect to nothing; whatever is not here kills it.
 *
 * The forms of a line are explained in jail/filter.c.
 */

/* The event channel's fd: read() takes an event, write() unmasks it; write()
 * also puts the last line on stderr. */
GK_ALLOW(read)
GK_ALLOW(write)
/* The bell to the gate (xenevtchn_notify). */
GK_ALLOW_ARG(ioctl, 1, IOCTL_EVTCHN_NOTIFY)
/* gatekeeperd's end, and the tests' socket. recvmsg and sendmsg are left out:
 * no fd is ever passed. */
GK_ALLOW(recvfrom)
GK_ALLOW(sendto)
/* Waiting. restart_syscall: a poll that was stopped and continued. */
GK_ALLOW(poll)
GK_ALLOW(restart_syscall)
/* Time; PV dom0 clocks cannot always be read in user space. */
GK_ALLOW(clock_gettime)
/* malloc's last resort; memory already bounded by RLIMIT_AS. */
GK_ALLOW(brk)
/* The end. */
GK_ALLOW(exit)
GK_ALLOW(exit_group)
GK_ALLOW(rt_sigreturn)

/* AddressSanitizer looks where the stack is before each function that does not
 * return; `make asan` only. */
#ifdef GK_SANITIZED
GK_ALLOW(sigaltstack)
#endif
