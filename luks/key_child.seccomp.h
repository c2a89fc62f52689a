/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that gatekeeper-key may ask of dom0's kernel once it listens to a key. It
 * can open nothing, map nothing executable, start nothing and connect to nothing;
 * whatever is not here kills it.
 *
 * The forms of a line are explained in gatekeeper/jail/filter.c.
 */

/* The unlocker's end and the key's: packets both ways. recvmsg and sendmsg are
 * left out: no fd is ever passed. */
GK_ALLOW(recvfrom)
GK_ALLOW(sendto)
GK_ALLOW(poll)
/* A poll that was stopped and continued. */
GK_ALLOW(restart_syscall)
/* libcrypto's random numbers: the ephemeral key of the key agreement. */
GK_ALLOW(getrandom)
/* libfido2's timeouts; PV dom0 clocks cannot always be read in user space. */
GK_ALLOW(clock_gettime)
/* malloc; memory is bounded by RLIMIT_AS. Nothing executable. */
GK_ALLOW(brk)
GK_ALLOW_ARG(mmap, 2, PROT_READ | PROT_WRITE)
GK_ALLOW(munmap)
GK_ALLOW(madvise)
/* libcrypto's pthread_once(): it wakes those who waited, of which there are none. */
GK_ALLOW_ARG(futex, 1, FUTEX_WAKE | FUTEX_PRIVATE_FLAG)
/* The last line on stderr. */
GK_ALLOW_ARG(write, 0, 2)
/* libcrypto asks who it is before it draws random numbers, to see a fork. */
GK_ALLOW(getpid)
GK_ALLOW(exit)
GK_ALLOW(exit_group)
GK_ALLOW(rt_sigreturn)

/* AddressSanitizer looks where the stack is before each function that does not
 * return; `make asan` only. */
#ifdef GK_SANITIZED
GK_ALLOW(sigaltstack)
#endif
