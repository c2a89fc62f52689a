/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that the supervisor, and what it starts, may ask of the gate's kernel once
 * the link is up (gk_reduce_supervisor). Filters add up: a worker is under this
 * one from its first instruction, and under its own, tighter one afterwards.
 *
 * What is not here fails with EPERM and does not kill: a path in libc that
 * nobody has foreseen must not take all keyboards away, and what is refused is
 * refused. Not here, among the rest: mount and its relatives, setns, ptrace and
 * process_vm_*, sockets other than its socketpairs, keyctl, bpf, perf_event_open,
 * io_uring, userfaultfd, modules, kexec, reboot, memfd_create, iopl, ioperm.
 */

/* What a worker may do, who starts it must be able to let it do. */
#include "domain/worker.seccomp.h"

/* dom0: the ring is mapped; the bell is rung by this, heard by read(), and
 * unmasked by write(). */
GK_ALLOW_ARG(ioctl, 1, IOCTL_EVTCHN_NOTIFY)

/* The event loop: workers, uevents, children, the link. */
GK_ALLOW(epoll_wait)
GK_ALLOW(epoll_pwait)
GK_ALLOW(epoll_ctl)
GK_ALLOW(recvfrom)
GK_ALLOW(sendto)
GK_ALLOW_ARG(socketpair, 0, AF_UNIX)

/* sysfs and usbdevfs by name. A filter cannot look at a path: what there is to
 * open is bounded by the mounts (init.c) and by the capabilities that are left. */
GK_ALLOW(openat)
/* What becomes a worker asks the device once more what it is, and gives up all
 * but some of its interfaces, before the device's fd is number 3. */
GK_ALLOW_ARG(ioctl, 1, USBDEVFS_CONTROL)
GK_ALLOW_ARG(ioctl, 1, USBDEVFS_DROP_PRIVILEGES)
GK_ALLOW(newfstatat)
GK_ALLOW(fstat)
GK_ALLOW(access)
GK_ALLOW(faccessat)
GK_ALLOW(faccessat2)
GK_ALLOW(readlinkat)
GK_ALLOW(getdents64)
GK_ALLOW(pread64)
GK_ALLOW(writev)
GK_ALLOW(fcntl)
GK_ALLOW(dup2)

/* Children: fork() as glibc has it, and gk_fork_apart(). */
GK_ALLOW_ARG(clone, 0, SIGCHLD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
GK_ALLOW_ARG(clone, 0, SIGCHLD | CLONE_NEWPID)
GK_ALLOW(execve)
GK_ALLOW(wait4)
GK_ALLOW(waitid)
GK_ALLOW(kill)
GK_ALLOW(prctl)
GK_ALLOW(close_range)
GK_ALLOW(setpriority)
GK_ALLOW(getpriority)

/* Signals, and who am I (abort, raise). */
GK_ALLOW(rt_sigprocmask)
GK_ALLOW(rt_sigaction)
GK_ALLOW(getpid)
GK_ALLOW(gettid)
GK_ALLOW(getppid)
GK_ALLOW(tgkill)
GK_ALLOW(getuid)
GK_ALLOW(geteuid)
GK_ALLOW(getgid)
GK_ALLOW(getegid)

/* Time. */
GK_ALLOW(nanosleep)
GK_ALLOW(clock_nanosleep)
GK_ALLOW(clock_getres)
GK_ALLOW(gettimeofday)
GK_ALLOW(getrusage)
GK_ALLOW(times)

/* Memory: as a worker, and what a program's start needs: no new mapping or
 * protection with PROT_EXEC, and none of a file. */
GK_ALLOW_MASK2(mmap, 2, PROT_EXEC, 0, 3, MAP_ANONYMOUS, MAP_ANONYMOUS)
GK_ALLOW_MASK(mprotect, 2, PROT_EXEC, 0)
GK_ALLOW(madvise)
GK_ALLOW(futex)
GK_ALLOW(sched_yield)
GK_ALLOW(sched_getaffinity)
GK_ALLOW(sysinfo)
GK_ALLOW(getrandom)

/* A static program's start (libc). */
GK_ALLOW(arch_prctl)
GK_ALLOW(set_tid_address)
GK_ALLOW(set_robust_list)
GK_ALLOW(rseq)
GK_ALLOW(prlimit64)

/* A worker's way into its jail (sandbox.c), in that order. */
GK_ALLOW_ARG(unshare, 0, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS)
GK_ALLOW(chroot)
GK_ALLOW(chdir)
GK_ALLOW(setgroups)
GK_ALLOW(setresgid)
GK_ALLOW(setresuid)
GK_ALLOW(capset)

/* libusb_init, before a worker is sealed. */
GK_ALLOW(uname)
GK_ALLOW(statfs)
GK_ALLOW(eventfd2)
GK_ALLOW(timerfd_create)
