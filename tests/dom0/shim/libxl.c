/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for libxl in gatekeeper-pci under test: what its calls do is done by the
 * stand-in for xl in $GK_TOP/bin, and the file $GK_TOP/pci-how says how they go wrong:
 * "HOW WHAT", e.g. "hang attach". $GK_TOP/pci.log has what was asked for.
 */
#include <fcntl.h>
#include <libxl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static xentoollog_logger *logger;

static const char *in_top(char path[512], const char *name)
{
	(void)snprintf(path, 512, "%s/%s", getenv("GK_TOP"), name);
	return path;
}

static int is_how(const char *how, const char *what)
{
	char path[512], text[64] = "", want[64];
	FILE *f = fopen(in_top(path, "pci-how"), "r");

	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	(void)fclose(f);
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(want, sizeof(want), "%s %s", how, what);
	return strcmp(text, want) == 0;
}

static void note(const char *name, const char *text)
{
	char path[512];
	FILE *f = fopen(in_top(path, name), "a");

	if (f == NULL)
		abort();
	(void)fprintf(f, "%s\n", text);
	(void)fclose(f);
}

static void hang(void)
{
	for (;;)
		(void)sleep(1000);
}

static int by_xl(const char *const argv[])
{
	char path[512], log[] = "GK_LOG=by-libxl.log";
	char *env[] = { log, NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execve(in_top(path, "bin/xl"), (char *const *)(uintptr_t)argv, env);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return ERROR_FAIL;
	return WEXITSTATUS(status) == 0 ? 0 : ERROR_FAIL;
}

/* As libxl__wait_for_backend does when nothing comes. */
static void wait_in_vain(void)
{
	struct timespec a, b;
	char text[32];

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 22; i++)
		(void)usleep(100000);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	(void)snprintf(text, sizeof(text), "%ld", (b.tv_sec - a.tv_sec) * 1000 +
		       (b.tv_nsec - a.tv_nsec) / 1000000);
	note("pci-waited", text);
}

static int work(const char *what, uint32_t domid, const libxl_device_pci *pci)
{
	char text[128], id[16], device[64] = "";
	const char *argv[] = { "xl", NULL, id, device, NULL };
	int ret;

	(void)snprintf(id, sizeof(id), "%u", domid);
	if (pci != NULL)
		(void)snprintf(device, sizeof(device), "%04x:%02x:%02x.%x", pci->domain,
			       pci->bus, pci->dev, pci->func);
	(void)snprintf(text, sizeof(text), "%s %s%s%s", what, id,
		       pci == NULL ? "" : " ", device);
	if (strcmp(what, "attach") == 0)
		(void)snprintf(device + strlen(device), sizeof(device) - strlen(device),
			       ",permissive=%d,rdm_policy=%s", pci->permissive,
			       libxl_rdm_reserve_policy_to_string(pci->rdm_policy));
	if (pci != NULL && pci->vfunc_mask != 1)
		(void)snprintf(text, sizeof(text), "of more than one function");
	note("pci.log", text);
	if (is_how("hang", what))
		hang();
	if (is_how("stop", what))
		(void)raise(SIGSTOP);
	if (is_how("die", what))
		abort();
	if (is_how("wait", what))
		wait_in_vain();
	if (is_how("fail", what)) {
		xtl_log(logger, XTL_ERROR, -1, "libxl", "first of all");
		xtl_log(logger, XTL_ERROR, 16, "libxl", "%s says no", what);
		return ERROR_FAIL;
	}
	if (is_how("noise", what))
		xtl_log(logger, XTL_ERROR, 25, "libxl", "a reset is not possible");
	argv[1] = strcmp(what, "attach") == 0 ? "pci-attach" :
		  strcmp(what, "detach") == 0 ? "pci-detach" : "pause";
	if (device[0] == '\0')
		argv[3] = NULL;
	ret = by_xl(argv);
	if (is_how("late", what))
		hang();
	if (is_how("gone", what))
		_exit(3);
	return ret;
}

int libxl_ctx_alloc(libxl_ctx **ctx, int version, unsigned flags, xentoollog_logger *lg)
{
	(void)version, (void)flags;
	*ctx = NULL;
	logger = lg;
	note("pci.log", "start");
	if (is_how("hang", "start"))
		hang();
	return is_how("fail", "start") ? ERROR_FAIL : 0;
}

libxl_device_pci *libxl_device_pci_assignable_list(libxl_ctx *ctx, int *num)
{
	(void)ctx;
	*num = 0;
	return NULL;
}

int libxl_device_pci_add(libxl_ctx *ctx, uint32_t domid, libxl_device_pci *pci,
			 const libxl_asyncop_how *how)
{
	(void)ctx, (void)how;
	return work("attach", domid, pci);
}

int libxl_device_pci_remove(libxl_ctx *ctx, uint32_t domid, libxl_device_pci *pci,
			    const libxl_asyncop_how *how)
{
	(void)ctx, (void)how;
	return work("detach", domid, pci);
}

int libxl_domain_pause(libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *how)
{
	(void)ctx, (void)how;
	return work("pause", domid, NULL);
}
