/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker that was taken over asks of its kernel. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/usbdevice_fs.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evil.h"

enum {
	USB = GK_WORKER_USB_FD,
	STORAGE = 1,		/* tests/devices: composite */
	KEYS_IN = 0x81,
	/* usbcore.usbfs_memory_mb is 2: that many are more than there is. */
	HOGS = 160,
	HOG = 16384,
};

/* An attempt that is one expression: a system call's result. */
#define TRY(name, call)						\
	static int name(struct gk_worker *w)			\
	{							\
		(void)w;					\
		return (long)(call) < 0 ? errno : GK_SUCCEEDED;	\
	}

static long sys(long n, long a, long b, long c, long d, long e)
{
	return syscall(n, a, b, c, d, e);
}

static long in_child(pid_t pid)
{
	if (pid == 0)
		_exit(0);
	return pid;
}

/* --- its device, beyond what it was granted --- */

static int claim(struct gk_worker *w)
{
	int worst = EACCES;

	(void)w;
	for (unsigned i = 1; i < 32; i++) {
		if (ioctl(USB, USBDEVFS_CLAIMINTERFACE, &i) == 0)
			return GK_SUCCEEDED;
		worst = errno == ENOENT ? worst : errno;
	}
	return worst;
}

/* usbdevfs claims by itself what is used without a claim. */
static int storage_control(struct gk_worker *w)
{
	uint8_t lun = 0;
	struct usbdevfs_ctrltransfer t = {
		.bRequestType = 0xa1, .bRequest = 0xfe, .wIndex = STORAGE,
		.wLength = 1, .timeout = 500, .data = &lun,
	};

	(void)w;
	return ioctl(USB, USBDEVFS_CONTROL, &t) < 0 ? errno : GK_SUCCEEDED;
}

static int storage_bulk(struct gk_worker *w)
{
	static uint8_t buf[31];
	static struct usbdevfs_urb urb = {
		.type = USBDEVFS_URB_TYPE_BULK, .endpoint = 0x02,
		.buffer = buf, .buffer_length = sizeof(buf),
	};

	(void)w;
	return ioctl(USB, USBDEVFS_SUBMITURB, &urb) < 0 ? errno : GK_SUCCEEDED;
}

static int widen(struct gk_worker *w)
{
	uint32_t all = ~0U;
	unsigned storage = STORAGE;

	(void)w;
	if (ioctl(USB, USBDEVFS_DROP_PRIVILEGES, &all) < 0)
		return errno;
	return ioctl(USB, USBDEVFS_CLAIMINTERFACE, &storage) < 0 ? errno :
								   GK_SUCCEEDED;
}

/* Its own device descriptor: the one thing here that it may. */
static int own_descriptor(struct gk_worker *w)
{
	uint8_t buf[18];
	struct usbdevfs_ctrltransfer t = {
		.bRequestType = 0x80, .bRequest = 6, .wValue = 0x0100,
		.wLength = sizeof(buf), .timeout = 1000, .data = buf,
	};

	(void)w;
	return ioctl(USB, USBDEVFS_CONTROL, &t) < 0 ? errno : GK_OWN;
}

/*
 * usbdevfs has one pot of memory for the transfers of all, and no share in it for each:
 * a worker gets at most all of it, never the kernel's own. What it took it gives back
 * here; else its end does that.
 */
static int usb_memory(struct gk_worker *w)
{
	static struct usbdevfs_urb urb[HOGS];
	static uint8_t buf[HOG];
	unsigned n = 0;
	int err = 0;
	void *done;

	(void)w;
	for (; n < HOGS && !err; n++) {
		urb[n].type = USBDEVFS_URB_TYPE_INTERRUPT;
		urb[n].endpoint = KEYS_IN;
		urb[n].buffer = buf;
		urb[n].buffer_length = HOG;
		if (ioctl(USB, USBDEVFS_SUBMITURB, &urb[n]) < 0)
			err = errno;
	}
	for (unsigned i = 0; i < n; i++)
		ioctl(USB, USBDEVFS_DISCARDURB, &urb[i]);
	for (unsigned i = 0; i < n; i++)
		ioctl(USB, USBDEVFS_REAPURBNDELAY, &done);
	return err ? err : GK_SUCCEEDED;
}

static int other_fds(struct gk_worker *w)
{
	char c;

	(void)w;
	for (int fd = GK_WORKER_SOCK_FD + 3; fd < 1024; fd++)
		if (read(fd, &c, 0) == 0)
			return GK_SUCCEEDED;
	return errno;
}

static int driver_ioctl(struct gk_worker *w)
{
	struct usbdevfs_ioctl c = { .ifno = STORAGE, .ioctl_code = USBDEVFS_CONNECT };

	(void)w;
	return ioctl(USB, USBDEVFS_IOCTL, &c) < 0 ? errno : GK_SUCCEEDED;
}

static int disconnect_claim(struct gk_worker *w)
{
	struct usbdevfs_disconnect_claim c = { .interface = STORAGE };

	(void)w;
	return ioctl(USB, USBDEVFS_DISCONNECT_CLAIM, &c) < 0 ? errno : GK_SUCCEEDED;
}

static unsigned one = 1, no_config;

TRY(reset, ioctl(USB, USBDEVFS_RESET, NULL))
TRY(set_configuration, ioctl(USB, USBDEVFS_SETCONFIGURATION, &no_config))
TRY(claim_port, ioctl(USB, USBDEVFS_CLAIM_PORT, &one))

/* --- other devices, files, Xen --- */

static int open_any(const char *const *paths, unsigned n)
{
	int last = ENOENT;

	for (unsigned i = 0; i < n; i++) {
		if (open(paths[i], O_RDWR | O_CLOEXEC) >= 0 ||
		    open(paths[i], O_RDONLY | O_CLOEXEC) >= 0)
			return GK_SUCCEEDED;
		last = errno;
	}
	return last;
}

static int open_devices(struct gk_worker *w)
{
	char path[64];

	(void)w;
	for (unsigned bus = 1; bus < 5; bus++) {
		for (unsigned dev = 1; dev < 16; dev++) {
			snprintf(path, sizeof(path), "/dev/bus/usb/%03u/%03u", bus, dev);
			if (open(path, O_RDWR | O_CLOEXEC) >= 0)
				return GK_SUCCEEDED;
		}
	}
	return errno;
}

static int open_files(struct gk_worker *w)
{
	static const char *const paths[] = {
		"/proc/self/status", "/proc/1/mem", "/sys/bus/usb/devices",
		"/sys/bus/usb/drivers/usb/unbind", "/dev/kmsg", "/dev/mem",
		"/init", "/worker", "/rules.conf",
	};

	(void)w;
	return open_any(paths, sizeof(paths) / sizeof(paths[0]));
}

static int open_xen(struct gk_worker *w)
{
	static const char *const paths[] = {
		"/dev/xen/xenbus", "/dev/xen/evtchn", "/dev/xen/gntdev",
		"/dev/xen/gntalloc", "/dev/xen/privcmd", "/proc/xen/xenbus",
		"/proc/xen/privcmd",
	};

	(void)w;
	return open_any(paths, sizeof(paths) / sizeof(paths[0]));
}

static int climb(struct gk_worker *w)
{
	static const char *const paths[] = {
		"../proc/self/status", "../../../init", "../supervisor",
		"../dev/bus/usb/001/001",
	};

	(void)w;
	return open_any(paths, sizeof(paths) / sizeof(paths[0]));
}

TRY(create_file, open("/file", O_CREAT | O_RDWR, 0600))
TRY(make_node, mknod("/node", S_IFCHR | 0600, makedev(189, 0)))
TRY(again_chroot, chroot("/"))
TRY(do_mount, mount("none", "/", "proc", 0, NULL))
TRY(do_umount, umount2("/", MNT_DETACH))
TRY(new_mount_api, sys(SYS_fsopen, (long)"sysfs", 0, 0, 0, 0))
TRY(open_tree_fd, sys(SYS_open_tree, AT_FDCWD, (long)"/", 1, 0, 0))
TRY(by_handle, sys(SYS_open_by_handle_at, USB, 0, 0, 0, 0))

/* --- other processes --- */

static int kill_all(struct gk_worker *w)
{
	(void)w;
	/* Itself it could end anyway; in its namespace it is process 1. */
	for (pid_t pid = 2; pid < 400; pid++)
		if (kill(pid, 0) == 0)
			return GK_SUCCEEDED;
	return errno;
}

static int trace(struct gk_worker *w)
{
	(void)w;
	for (pid_t pid = 2; pid < 400; pid++)
		if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
			return GK_SUCCEEDED;
	return errno;
}

static int read_memory(struct gk_worker *w)
{
	char c;
	struct iovec here = { &c, 1 }, there = { (void *)0x400000, 1 };

	(void)w;
	return process_vm_readv(2, &here, 1, &there, 1, 0) < 0 ? errno : GK_SUCCEEDED;
}

static int run(struct gk_worker *w)
{
	char *const argv[] = { (char *)"worker", NULL };
	char *const envp[] = { NULL };

	(void)w;
	execve("/worker", argv, envp);
	return errno;
}

TRY(do_fork, in_child(fork()))
TRY(fork_user, in_child((pid_t)sys(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)))
TRY(pidfd, sys(SYS_pidfd_open, 2, 0, 0, 0, 0))
TRY(new_user, unshare(CLONE_NEWUSER))
TRY(new_mounts, unshare(CLONE_NEWNS))
TRY(enter_namespace, setns(USB, 0))
TRY(own_limits, prlimit(0, RLIMIT_NPROC, &(struct rlimit){ 8, 8 }, NULL))
TRY(priority, setpriority(PRIO_PROCESS, 0, -5))
TRY(realtime, sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 1 }))
TRY(affinity, sys(SYS_sched_setaffinity, 0, 8, (long)&(unsigned long){ 1 }, 0, 0))

/* --- rights --- */

static int gain_caps(struct gk_worker *w)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct set[2] = {
		{ 1U << CAP_SYS_ADMIN, 1U << CAP_SYS_ADMIN, 0 },
	};

	(void)w;
	return syscall(SYS_capset, &head, set) < 0 ? errno : GK_SUCCEEDED;
}

TRY(root_again, setresuid(0, 0, 0))
TRY(other_worker, setresuid(GK_WORKER_UID + 1, GK_WORKER_UID + 1, GK_WORKER_UID + 1))
TRY(root_group, setresgid(0, 0, 0))
TRY(privileges_again, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
TRY(secure_bits, prctl(PR_SET_SECUREBITS, 0, 0, 0, 0))
TRY(ambient, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))

/* --- sockets --- */

static int pass_fd(struct gk_worker *w)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { 0 };
	char c = 0;
	struct iovec iov = { &c, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};

	(void)w;
	u.align.cmsg_len = CMSG_LEN(sizeof(int));
	u.align.cmsg_level = SOL_SOCKET;
	u.align.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&u.align), &(int){ USB }, sizeof(int));
	return sendmsg(GK_WORKER_SOCK_FD, &m, MSG_DONTWAIT) < 0 ? errno :
								  GK_SUCCEEDED;
}

TRY(inet, socket(AF_INET, SOCK_STREAM, 0))
TRY(netlink, socket(AF_NETLINK, SOCK_RAW, 15))
TRY(vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
TRY(packet, socket(AF_PACKET, SOCK_RAW, 0))
TRY(unix_socket, socket(AF_UNIX, SOCK_DGRAM, 0))

/* --- the kernel's own corners --- */

static char page[4096] __attribute__((aligned(4096)));

TRY(map_code, (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
TRY(make_code, mprotect(page, sizeof(page), PROT_READ | PROT_EXEC))
TRY(map_device, (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, USB, 0))
TRY(memory_file, memfd_create("x", 0))
TRY(keys, sys(SYS_keyctl, 0, -3, 0, 0, 0))
TRY(bpf_map, sys(SYS_bpf, BPF_MAP_CREATE, 0, 0, 0, 0))
TRY(perf, sys(SYS_perf_event_open,
	      (long)&(struct perf_event_attr){ .size = sizeof(struct perf_event_attr),
		      .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK },
	      0, -1, -1, 0))
TRY(uring, sys(SYS_io_uring_setup, 8, (long)page, 0, 0, 0))
TRY(fault_fd, sys(SYS_userfaultfd, 0, 0, 0, 0, 0))
TRY(persona, sys(SYS_personality, 0x0400000, 0, 0, 0, 0))
TRY(ldt, sys(SYS_modify_ldt, 0, (long)page, 16, 0, 0))
TRY(module, sys(SYS_init_module, (long)page, sizeof(page), (long)"", 0, 0))
TRY(kexec, sys(SYS_kexec_load, 0, 0, 0, 0, 0))
TRY(reboot_gate, sys(SYS_reboot, 0xfee1dead, 672274793, 0, 0, 0))
TRY(ports, sys(SYS_iopl, 3, 0, 0, 0, 0))
TRY(port_bits, sys(SYS_ioperm, 0x60, 1, 1, 0, 0))
TRY(set_clock, clock_settime(CLOCK_REALTIME, &(struct timespec){ 0 }))
TRY(kernel_log, sys(SYS_syslog, 3, (long)page, sizeof(page), 0, 0))
TRY(host_name, sethostname("x", 1))
TRY(old_filter, prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))

/* Another way in: the 32-bit table, which filters on numbers alone forget. */
static int int80(struct gk_worker *w)
{
	long r = 20;	/* getpid of i386 */

	(void)w;
	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r == -ENOSYS ? ENOSYS : GK_SUCCEEDED;
}

static int x32(struct gk_worker *w)
{
	(void)w;
	return syscall(0x40000000L + SYS_getpid) < 0 ? errno : GK_SUCCEEDED;
}

/* First what the filter lets through and something else must refuse; from `reset`
 * on each one is the end of a sealed worker. */
const struct gk_attempt gk_kernel_attempts[] = {
	{ "own-descriptor", own_descriptor },
	{ "claim-other-interface", claim },
	{ "control-other-interface", storage_control },
	{ "bulk-other-interface", storage_bulk },
	{ "widen-privileges", widen },
	{ "usb-memory", usb_memory },
	{ "read-other-fd", other_fds },
	{ "usb-reset", reset },
	{ "usb-set-configuration", set_configuration },
	{ "usb-driver-ioctl", driver_ioctl },
	{ "usb-disconnect-claim", disconnect_claim },
	{ "usb-claim-port", claim_port },
	{ "open-other-device", open_devices },
	{ "open-files", open_files },
	{ "open-xen", open_xen },
	{ "climb-out-of-root", climb },
	{ "create-file", create_file },
	{ "mknod-usb", make_node },
	{ "chroot", again_chroot },
	{ "mount", do_mount },
	{ "umount", do_umount },
	{ "fsopen", new_mount_api },
	{ "open-tree", open_tree_fd },
	{ "open-by-handle", by_handle },
	{ "kill-others", kill_all },
	{ "ptrace-others", trace },
	{ "process-vm-readv", read_memory },
	{ "pidfd-open", pidfd },
	{ "fork", do_fork },
	{ "clone-newuser", fork_user },
	{ "execve", run },
	{ "unshare-user", new_user },
	{ "unshare-mounts", new_mounts },
	{ "setns", enter_namespace },
	{ "raise-rlimit", own_limits },
	{ "raise-priority", priority },
	{ "realtime", realtime },
	{ "affinity", affinity },
	{ "setuid-root", root_again },
	{ "setuid-other-worker", other_worker },
	{ "setgid-root", root_group },
	{ "capset", gain_caps },
	{ "no-new-privs-off", privileges_again },
	{ "securebits-off", secure_bits },
	{ "ambient-capability", ambient },
	{ "pass-fd", pass_fd },
	{ "socket-inet", inet },
	{ "socket-netlink", netlink },
	{ "socket-vsock", vsock },
	{ "socket-packet", packet },
	{ "socket-unix", unix_socket },
	{ "mmap-exec", map_code },
	{ "mprotect-exec", make_code },
	{ "mmap-device", map_device },
	{ "memfd-create", memory_file },
	{ "keyctl", keys },
	{ "bpf", bpf_map },
	{ "perf-event-open", perf },
	{ "io-uring", uring },
	{ "userfaultfd", fault_fd },
	{ "personality", persona },
	{ "modify-ldt", ldt },
	{ "init-module", module },
	{ "kexec-load", kexec },
	{ "reboot", reboot_gate },
	{ "iopl", ports },
	{ "ioperm", port_bits },
	{ "set-clock", set_clock },
	{ "syslog", kernel_log },
	{ "sethostname", host_name },
	{ "seccomp-replace", old_filter },
	{ "int80", int80 },
	{ "x32", x32 },
};
const unsigned gk_kernel_attempts_n =
	sizeof(gk_kernel_attempts) / sizeof(gk_kernel_attempts[0]);
