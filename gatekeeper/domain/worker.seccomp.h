/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that a worker may ask of the gate's kernel from the moment it first talks
 * to its device (gk_sandbox_seal). It can open nothing, start nothing, signal
 * nobody, and map nothing executable; whatever is not here kills it.
 * The forms of a line are explained in jail/filter.c.
 */

/*
 * Its device: fd 3, and of usbdevfs only what libusb 1.0.26 and the roles use.
 * Left out on purpose: RESET, SETCONFIGURATION, SETINTERFACE, CLAIM_PORT,
 * streams, and IOCTL, DISCONNECT_CLAIM (drivers in the kernel).
 */
/* libusb_wrap_sys_device: which device, how fast, what the kernel can do, and
 * GET_CONFIGURATION. */
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_CONNECTINFO)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_GET_SPEED)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_GET_CAPABILITIES)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_CONTROL)
/* Its interfaces, and the promise to want no others. */
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_CLAIMINTERFACE)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_RELEASEINTERFACE)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_DROP_PRIVILEGES)
/* Transfers. */
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_SUBMITURB)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_DISCARDURB)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_REAPURB)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_REAPURBNDELAY)
GK_ALLOW_ARG2(ioctl, 0, GK_WORKER_USB_FD, 1, USBDEVFS_CLEAR_HALT)
/* libusb_wrap_sys_device asks /proc what fd 3 is called; in an empty root there
 * is nothing to read a link of, and it goes on without. */
GK_ALLOW(readlink)
/* The descriptors are read from fd 3; eventfd and timerfd are libusb's. */
GK_ALLOW(read)
GK_ALLOW(write)
GK_ALLOW(lseek)
GK_ALLOW(close)

/* Its supervisor: fd 4, no address, and no fd is ever passed (no sendmsg). */
GK_ALLOW_ARG2(sendto, 0, GK_WORKER_SOCK_FD, 4, 0)
GK_ALLOW_ARG2(recvfrom, 0, GK_WORKER_SOCK_FD, 4, 0)

/* Waiting, and time. restart_syscall: a wait that was stopped and continued.
 * A PV domain's clock cannot always be read in user space. */
GK_ALLOW(poll)
GK_ALLOW(ppoll)
GK_ALLOW(restart_syscall)
GK_ALLOW(timerfd_settime)
GK_ALLOW(clock_gettime)

/* malloc: private memory that no fd is behind and that cannot be executed. The
 * sum is bounded by RLIMIT_AS. */
GK_ALLOW(brk)
GK_ALLOW_ARG2(mmap, 2, PROT_READ | PROT_WRITE, 3, MAP_PRIVATE | MAP_ANONYMOUS)
GK_ALLOW_MASK(mremap, 3, ~(unsigned long)MREMAP_MAYMOVE, 0)
GK_ALLOW(munmap)

/* libusb's locks: one thread, so they never wait; a wake-up is all there is. */
GK_ALLOW_ARG(futex, 1, FUTEX_WAKE | FUTEX_PRIVATE_FLAG)

/* The end. */
GK_ALLOW(exit)
GK_ALLOW(exit_group)
GK_ALLOW(rt_sigreturn)
