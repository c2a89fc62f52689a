/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filters themselves, on this machine's kernel: each kernel attempt of a
 * worker that was taken over, in a child under the worker's filter; and what the
 * supervisor's lets through. What the rest of the jail does needs a gate: the
 * scenarios taken-over-worker and taken-over-worker-unsealed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain/reduce.h"
#include "domain/sandbox.h"
#include "domain/supervisor_filter.h"
#include "evil.h"
#include "jail/drop.h"

enum { NOT_SEALED = 254 };

void __real_gk_worker_send(struct gk_worker *w, const struct gk_frame *f)
{
	(void)w;
	(void)f;
}

/* A child's status: what run() returned, or its signal. */
static int child(int (*run)(const void *arg), const void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(10);
		_exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? NOT_SEALED :
								    run(arg));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int sealed(const void *arg)
{
	const struct gk_attempt *a = arg;
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, GK_WORKER_USB_FD) < 0 ||
	    dup2(null, GK_WORKER_SOCK_FD) < 0 ||
	    close_range(GK_WORKER_SOCK_FD + 1, ~0U, 0) < 0 || gk_sandbox_seal() < 0)
		return NOT_SEALED;
	return a->run(NULL);
}

/* What the filter has to let through: the kernel judges these by the fd. */
static int by_kernel(const char *name)
{
	static const char *const names[] = {
		"own-descriptor", "claim-other-interface", "control-other-interface",
		"bulk-other-interface", "widen-privileges", "usb-memory",
		"read-other-fd",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return 1;
	return 0;
}

static void worker_filter(void **state)
{
	(void)state;
	for (unsigned i = 0; i < gk_kernel_attempts_n; i++) {
		const struct gk_attempt *a = &gk_kernel_attempts[i];
		int status = child(sealed, a);

		if (by_kernel(a->name)) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) == 0 ||
			    WEXITSTATUS(status) == NOT_SEALED)
				fail_msg("%s: status %d", a->name, status);
		} else if (!WIFSIGNALED(status) ||
			   (WTERMSIG(status) != SIGSYS &&
			    /* Not a system call at all on such a kernel. */
			    strcmp(a->name, "int80") != 0)) {
			fail_msg("%s: not killed, status %d", a->name, status);
		}
	}
}

static int under_supervisor(void)
{
	return gk_drop_syscalls(gk_supervisor_filter,
				sizeof(gk_supervisor_filter) /
				sizeof(gk_supervisor_filter[0]));
}

/* 0: as it should be; else the number of what is not. */
static int supervisor_keeps(const void *arg)
{
	int sv[2], status;
	char *p;
	pid_t pid;

	(void)arg;
	if (under_supervisor() < 0)
		return NOT_SEALED;
	if (open("/proc/self/status", O_RDONLY) < 0)
		return 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0 ||
	    send(sv[0], "x", 1, MSG_NOSIGNAL) != 1 || recv(sv[1], &status, 1, 0) != 1)
		return 2;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) < 0)
		return 3;
	pid = fork();
	if (pid == 0)
		_exit(7);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
		return 4;
	/* A filter of its own on top: what a worker does. */
	pid = fork();
	if (pid == 0) {
		if (gk_sandbox_seal() < 0)
			_exit(1);
		syscall(SYS_getpid);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGSYS)
		return 5;
	return gk_child_end(status) ? 0 : 6;
}

static int eperm(long r)
{
	return r < 0 && errno == EPERM;
}

static int supervisor_refuses(const void *arg)
{
	static char page[4096] __attribute__((aligned(4096)));

	(void)arg;
	if (under_supervisor() < 0)
		return NOT_SEALED;
	return !eperm(mount("none", "/", "tmpfs", 0, NULL)) ? 1 :
	       !eperm(umount2("/nowhere", MNT_DETACH)) ? 2 :
	       !eperm(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL)) ? 3 :
	       !eperm(socket(AF_INET, SOCK_STREAM, 0)) ? 4 :
	       !eperm(socket(AF_NETLINK, SOCK_RAW, 0)) ? 5 :
	       !eperm((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) ? 6 :
	       !eperm(mprotect(page, sizeof(page), PROT_READ | PROT_EXEC)) ? 7 :
	       !eperm(unshare(CLONE_NEWUSER)) ? 8 :
	       !eperm(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)) ? 9 :
	       !eperm(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) ? 10 :
	       !eperm(syscall(SYS_bpf, 0, 0, 0)) ? 11 :
	       !eperm(syscall(SYS_reboot, 0, 0, 0, 0)) ? 12 :
	       !eperm(syscall(SYS_init_module, 0, 0, 0)) ? 13 :
	       !eperm(syscall(SYS_memfd_create, "x", 0)) ? 14 :
	       !eperm(syscall(SYS_io_uring_setup, 1, 0)) ? 15 :
	       !eperm(syscall(SYS_setns, 0, 0)) ? 16 :
	       !eperm(syscall(SYS_clone3, 0, 0)) ? 17 : 0;
}

static void supervisor_filter(void **state)
{
	(void)state;
	assert_int_equal(child(supervisor_keeps, NULL), 0);
	assert_int_equal(child(supervisor_refuses, NULL), 0);
}

static uint64_t status_hex(const char *key)
{
	char line[256];
	unsigned long long v = ~0ULL;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ":\t%llx", &v);
	if (f)
		fclose(f);
	return v;
}

/* What a worker's jail needs is left, and no more than six capabilities. */
static int reduced(const void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	if (gk_reduce_supervisor(gk_supervisor_filter,
				 sizeof(gk_supervisor_filter) /
				 sizeof(gk_supervisor_filter[0])) < 0)
		return NOT_SEALED;
	if (status_hex("NoNewPrivs") != 1 || status_hex("Seccomp") != 2)
		return 1;
	if (status_hex("CapPrm") != status_hex("CapBnd") ||
	    status_hex("CapEff") != status_hex("CapBnd") || status_hex("CapInh") ||
	    __builtin_popcountll(status_hex("CapBnd")) > 6)
		return 2;
	/* Processes of one's own, seen from outside and from inside. */
	pid = gk_fork_apart();
	if (pid == 0)
		_exit(getpid() == 1 && unshare(CLONE_NEWNS | CLONE_NEWNET |
					       CLONE_NEWUTS) == 0 ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return 3;
	return gk_child_end(status) ? 4 : 0;
}

static void supervisor_reduced(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(reduced, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_filter),
		cmocka_unit_test(supervisor_filter),
		cmocka_unit_test(supervisor_reduced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
