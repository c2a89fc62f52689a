/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two first steps in the initramfs: take-controllers (before udev can give
 * a controller to a host driver) and prepare-xen (what xenstored and xl need).
 * C and not sh, because they stand before everything else and a shell is slow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "dom0/clock.h"
#include "dom0/options.h"
#include "dom0/paths.h"
#include "handoff/pci.h"
#include "handoff/run.h"

#define PCI "/sys/bus/pci"

enum { MODPROBE_MS = 5000 };

__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	va_list ap;

	fputs("USB Gatekeeper: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* driver_override comes first: once it says "pciback" no other driver binds,
 * not even if one is loaded later, and not if pciback cannot be loaded. */
static void claim(struct gk_pci_usb *u)
{
	char path[128];

	if (gk_pci_override_set("", u) < 0)
		say("controller %s: driver_override cannot be set: %s", u->name,
		    strerror(errno));
	if (!u->driver[0] || !strcmp(u->driver, GK_PCI_BACK))
		return;
	say("%s had taken controller %s before the gate could: is it built into "
	    "this kernel? dom0 has already spoken to what is plugged in.",
	    u->driver, u->name);
	snprintf(path, sizeof(path), PCI "/devices/%s/driver/unbind", u->name);
	if (put(path, u->name) < 0)
		say("controller %s cannot be taken from %s: %s", u->name,
		    u->driver, strerror(errno));
}

static void bind_to_pciback(struct gk_pci_usb *u)
{
	if (gk_pci_usb_reread("", u) == 0 && !strcmp(u->driver, GK_PCI_BACK))
		return;
	if (put(PCI "/drivers_probe", u->name) == 0 &&
	    gk_pci_usb_reread("", u) == 0 && !strcmp(u->driver, GK_PCI_BACK))
		return;
	say("controller %s could not be bound to xen-pciback; it stays without a "
	    "driver. A way on: another controller, a PS/2 keyboard, or boot with "
	    "rd.gatekeeper=0.", u->name);
}

/* When the first of our units ran: the times that are reported start here. */
static void note_start(void)
{
	uint64_t ms = gk_now_ms();
	FILE *f;

	mkdir("/run/gatekeeper", 0755);
	f = fopen("/run/gatekeeper/started", "we");
	if (!f)
		return;
	fprintf(f, "%llu.%02llu\n", (unsigned long long)(ms / 1000),
		(unsigned long long)(ms % 1000 / 10));
	fclose(f);
}

/*
 * A controller that appears later (a dock) gets its driver at once, before any
 * udev rule can say otherwise, if that driver is loaded: so it is not, by alias.
 * By name it still is (rd.gatekeeper.fallback=dom0-hid). In /run, so it lasts
 * over the switch of the root and not over the next boot.
 */
static void keep_drivers_out(void)
{
	FILE *f;

	mkdir("/run/modprobe.d", 0755);
	f = fopen("/run/modprobe.d/gatekeeper.conf", "we");
	if (!f) {
		say("/run/modprobe.d: %s", strerror(errno));
		return;
	}
	fputs("# USB Gatekeeper: dom0 drives no USB controller.\n"
	      "blacklist xhci_pci\nblacklist ehci_pci\nblacklist ohci_pci\n"
	      "blacklist uhci_hcd\n", f);
	fclose(f);
}

int gk_cmd_take_controllers(int argc, char **argv)
{
	static const char *const modprobe[] = { "modprobe", "-q", "xen-pciback",
						NULL };
	struct gk_pci_usb list[GK_PCI_MAX];
	char which[GK_PCI_NAME_LEN], out[256];
	struct gk_options_note note;
	struct gk_options o;
	size_t n, mine = 0;

	(void)argv;
	if (argc != 1)
		return gk_cli_usage("take-controllers");
	gk_options_load(&o, &note);
	if (!o.enabled)
		return GK_EXIT_DONE;
	if (access("/sys/hypervisor/type", F_OK) < 0) {
		say("this is not Xen, so there is no gate; USB is left as it is.");
		return GK_EXIT_DONE;
	}
	note_start();
	if (!o.dom0_usb[0])
		keep_drivers_out();
	if (gk_pci_usb_list("", list, &n, which) < 0) {
		say("the USB controllers cannot be listed (%s): none is taken.",
		    which[0] ? which : strerror(errno));
		return GK_EXIT_FAILED;
	}
	for (size_t i = 0; i < n; i++) {
		if (gk_pci_left_to_dom0("", &list[i].bdf)) {
			say("controller %s is left to dom0 (rd.qubes.dom0_usb).",
			    list[i].name);
			continue;
		}
		claim(&list[i]);
		list[mine++] = list[i];
	}
	if (mine && gk_run(modprobe, MODPROBE_MS, out, sizeof(out)) != 0)
		say("xen-pciback cannot be loaded: no controller can be given to "
		    "the gate. They stay without a driver.");
	for (size_t i = 0; i < mine; i++)
		bind_to_pciback(&list[i]);
	return GK_EXIT_DONE;
}

static int is_dom0(void)
{
	char text[64] = "";
	int fd = open("/proc/xen/capabilities", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strstr(text, "control_d") != NULL;
}

int gk_cmd_prepare_xen(int argc, char **argv)
{
	static const char *const modprobe[] = {
		"modprobe", "-a", "-q", "xen-privcmd", "xen-evtchn", "xen-gntdev",
		"xen-gntalloc", "xenfs", "uinput", NULL,
	};
	static const char *const dirs[] = {
		"/run/gatekeeper", "/run/gatekeeper/empty",
		"/run/gatekeeper/xen-lib", "/run/xen", "/run/xenstored",
		"/var/lib", "/var/log", "/var/log/xen", "/var/lock",
	};
	char out[256];

	(void)argv;
	if (argc != 1)
		return gk_cli_usage("prepare-xen");
	/* Some of them may be built in: what is missing shows in what follows. */
	if (gk_run(modprobe, MODPROBE_MS, out, sizeof(out)) < 0)
		say("modprobe: %s", strerror(errno));
	if (!is_dom0() && mount("xenfs", "/proc/xen", "xenfs", 0, NULL) < 0)
		say("xenfs: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdir(dirs[i], 0755) < 0 && errno != EEXIST)
			say("%s: %s", dirs[i], strerror(errno));
	/* libxl's view of the domain has to survive the switch of the root. */
	if (symlink("/run/gatekeeper/xen-lib", "/var/lib/xen") < 0 &&
	    errno != EEXIST)
		say("/var/lib/xen: %s", strerror(errno));
	if (is_dom0())
		return GK_EXIT_DONE;
	say("this is not dom0; there is no gate.");
	return GK_EXIT_FAILED;
}
