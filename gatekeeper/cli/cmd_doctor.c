/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is this machine fit for the gate: one line per check, and the remedy. */
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "core/rules.h"
#include "dom0/controllers.h"
#include "dom0/gate_config.h"
#include "dom0/json.h"
#include "dom0/options.h"
#include "dom0/paths.h"

enum { XL_S = 10, STATUS_MS = 3000 };

void gk_check(struct gk_doctor *d, const char *name, enum gk_doctor_level level,
	      const char *remedy, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "WARN", "FAIL" };
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level == GK_FAIL)
		d->failed = 1;
	if (level == GK_FINE)
		remedy = NULL;
	if (!d->as_json) {
		printf("%-4s %s: %s%s%s\n", words[level], name, text, remedy ? ": " : "",
		       remedy ? remedy : "");
		return;
	}
	gk_json_object(&d->json, NULL);
	gk_json_string(&d->json, "name", name);
	gk_json_string(&d->json, "status", words[level]);
	gk_json_string(&d->json, "text", text);
	gk_json_string(&d->json, "remedy", remedy);
	gk_json_end_object(&d->json);
}

int gk_file_has(const char *what, const char *fmt, ...)
{
	char rel[GK_PATH_MAX], path[GK_PATH_MAX], line[4096];
	int found = 0;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(rel, sizeof(rel), fmt, ap);
	va_end(ap);
	if (gk_path(path, "%s", rel))
		return 0;
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, what) != NULL;
	fclose(f);
	return found;
}

int gk_is_there(const char *rel, int mode)
{
	char path[GK_PATH_MAX];

	return gk_path(path, "%s", rel) == 0 && access(path, mode) == 0;
}

int gk_has_module(const char *name)
{
	struct utsname u;
	char file[64];

	if (uname(&u) < 0)
		return 0;
	snprintf(file, sizeof(file), "/%s.ko", name);
	return gk_file_has(file, "/lib/modules/%s/modules.dep", u.release) ||
	       gk_file_has(file, "/lib/modules/%s/modules.builtin", u.release);
}

static void check_xen(struct gk_doctor *d)
{
	static const char *const xl[] = { "xl", "info", NULL };
	static char out[16 << 10];
	int xen = gk_file_has("xen", "/sys/hypervisor/type");
	int status;

	gk_check(d, "Xen", xen ? GK_FINE : GK_FAIL, "boot the entry with Xen",
		 xen ? "this kernel runs under Xen" : "not under Xen");
	if (!xen)
		return;
	if (!gk_file_has("control_d", "/proc/xen/capabilities")) {
		gk_check(d, "dom0", GK_FAIL,
			 "run this in dom0 (is xenfs mounted on /proc/xen?)",
			 "this is not dom0");
		return;
	}
	gk_check(d, "dom0", GK_FINE, NULL, "this is dom0");
	status = gk_cli_capture(xl, out, sizeof(out), XL_S);
	if (status != 0)
		gk_check(d, "xl", GK_FAIL,
			 "install the Xen tools; does xenstored run?",
			 "xl info does not work");
	else if (strstr(out, "pv_directio"))
		gk_check(d, "IOMMU", GK_FINE, NULL,
			 "Xen can pass PCI devices to PV domains safely");
	else
		gk_check(d, "IOMMU", GK_FAIL,
			 "switch VT-d or AMD-Vi on in the "
			 "firmware; no iommu=0 on Xen's command line",
			 "Xen has no IOMMU for PV domains");
}

static void check_modules(struct gk_doctor *d)
{
	static const char *const host[] = {
		"/xhci-hcd.ko", "/xhci-pci.ko", "/ehci-hcd.ko", "/ehci-pci.ko",
		"/uhci-hcd.ko", "/ohci-hcd.ko", "/ohci-pci.ko",
	};
	char built_in[200] = "";
	struct utsname u;
	int pciback;

	if (uname(&u) < 0)
		return;
	pciback = gk_is_there("/sys/bus/pci/drivers/pciback", F_OK) ||
		  gk_has_module("xen-pciback");
	gk_check(d, "xen-pciback", pciback ? GK_FINE : GK_FAIL,
		 "use a kernel with CONFIG_XEN_PCIDEV_BACKEND",
		 pciback ? "there" : "this kernel has none");
	for (size_t i = 0; i < sizeof(host) / sizeof(host[0]); i++) {
		size_t len = strlen(built_in);

		if (!gk_file_has(host[i], "/lib/modules/%s/modules.builtin", u.release))
			continue;
		snprintf(built_in + len, sizeof(built_in) - len, " %.*s",
			 (int)strlen(host[i]) - 4, host[i] + 1);
	}
	if (built_in[0])
		gk_check(d, "host drivers", GK_FAIL,
			 "pciback cannot win the race "
			 "against them: use a kernel that has them as modules",
			 "built into the kernel:%s", built_in);
	else
		gk_check(d, "host drivers", GK_FINE, NULL,
			 "none is built into the kernel");
	if (gk_is_there("/dev/uinput", F_OK) || gk_has_module("uinput"))
		gk_check(d, "uinput", GK_FINE, NULL, "there");
	else
		gk_check(d, "uinput", GK_FAIL,
			 "use a kernel with CONFIG_INPUT_UINPUT",
			 "this kernel has none");
}

static void check_files(struct gk_doctor *d)
{
	char kernel[GK_PATH_MAX], image[GK_PATH_MAX], cause[GK_CAUSE_MAX];
	char pattern[GK_PATH_MAX];
	glob_t g;

	if (gk_path(kernel, GK_GATE_KERNEL) || gk_path(image, GK_GATE_IMAGE))
		return;
	if (gk_gate_image_check(kernel, image, cause))
		gk_check(d, "gate image", GK_FAIL, "install it again", "%s", cause);
	else
		gk_check(d, "gate image", GK_FINE, NULL, "%s and %s look right", kernel,
			 image);
	if (gk_is_there(GK_LINK_PROGRAM, X_OK))
		gk_check(d, "link reader", GK_FINE, NULL, "there");
	else
		gk_check(d, "link reader", GK_FAIL, "install it again",
			 GK_LINK_PROGRAM " is missing");
	if (gk_path(pattern, "/usr/lib/dracut/modules.d/[0-9][0-9]gatekeeper"))
		return;
	if (glob(pattern, 0, NULL, &g) == 0) {
		gk_check(d, "dracut module", GK_FINE, NULL, "%s", g.gl_pathv[0]);
		globfree(&g);
	} else {
		gk_check(d, "dracut module", GK_FAIL, "install it and run dracut -f",
			 "not installed");
	}
}

static int lets_in(const struct gk_rules *r, uint8_t base_class, uint8_t sub_class,
		   uint8_t protocol, uint8_t fits)
{
	struct gk_rule_device d = { .interfaces = 1 };
	struct gk_rule_verdict v;

	d.interface[0] =
		(struct gk_rule_interface){ base_class, sub_class, protocol, fits };
	gk_rules_judge(r, &d, &v);
	return v.verdict == GK_VERDICT_HUB || v.verdict == GK_VERDICT_ADMITTED;
}

/* A file that parses can still leave the machine without a keyboard. */
static void check_rules(struct gk_doctor *d)
{
	static char text[GK_RULES_TEXT_MAX + 2];
	static struct gk_rules r;
	struct gk_rules_note at = { 0, 0, NULL };
	char path[GK_PATH_MAX];
	ssize_t len;

	if (gk_path(path, GK_RULES_CONF))
		return;
	if (access(path, F_OK) < 0) {
		gk_check(d, "rules", GK_FINE, NULL,
			 "the built-in ones: no " GK_RULES_CONF);
		return;
	}
	len = gk_file_read(path, text, sizeof(text));
	if (len == GK_ERR_SYSTEM) {
		gk_check(d, "rules", GK_WARN, "correct it", "%s cannot be read", path);
		return;
	}
	if (gk_rules_complete(text, len < 0 ? GK_RULES_TEXT_MAX + 1 : (size_t)len,
			      sizeof(text), &r, &at) < 0)
		gk_check(d, "rules", GK_WARN,
			 "correct it; until then the built-in rules are in force",
			 "%s line %u, column %u: %s", path, at.line, at.column, at.text);
	else if (!lets_in(&r, 3, 1, 1, GK_ROLE_KEYBOARD))
		gk_check(d, "rules", GK_WARN,
			 "make sure that yours is, or that there is a PS/2 one",
			 "%s does not let every plain keyboard in", path);
	else if (!lets_in(&r, 9, 0, 0, 0))
		gk_check(d, "rules", GK_WARN,
			 "many machines have a hub inside: allow "
			 "with-interface match-all { 09:*:* }",
			 "%s does not let every hub in", path);
	else if (r.notes)
		gk_check(d, "rules", GK_WARN, "see gatekeeper rules --check",
			 "%s line %u, column %u: %s", path, r.note[0].line,
			 r.note[0].column, r.note[0].text);
	else
		gk_check(d, "rules", GK_FINE, NULL,
			 "%s lets hubs and plain keyboards in", path);
}

static void check_shell(struct gk_doctor *d)
{
	char path[GK_PATH_MAX], line[4096], *save = NULL;
	int off = 0;

	if (gk_path(path, "/proc/cmdline") || gk_file_line(path, line, sizeof(line)) < 0)
		return;
	/* The last one counts, as for dracut's getargbool. */
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (!strncmp(w, "rd.shell", 8) && (!w[8] || w[8] == '='))
			off = !strcmp(w, "rd.shell=0") || !strcmp(w, "rd.shell=no") ||
			      !strcmp(w, "rd.shell=off");
	gk_check(d, "rd.shell", off ? GK_FINE : GK_WARN,
		 "put rd.shell=0 on the kernel's command line",
		 off ? "no shell when the boot fails" :
		 "a boot that fails, as after wrong passphrases, gives whoever types "
		 "a shell");
}

static void check_controller(struct gk_doctor *d, const struct gk_options *o,
			     const struct gk_controller *c)
{
	char name[48], path[GK_PATH_MAX], method[64] = "";

	snprintf(name, sizeof(name), "controller %s", c->bdf);
	if (gk_options_is_dom0_usb(o, c->bdf)) {
		gk_check(d, name, GK_WARN,
			 "its devices are dom0's; take "
			 "rd.qubes.dom0_usb= off the command line if that is not "
			 "meant",
			 "left to dom0 (driver %s)", c->driver);
		return;
	}
	if (!strcmp(c->driver, "pciback"))
		gk_check(d, name, GK_FINE, NULL, "bound to pciback");
	else
		gk_check(d, name, GK_WARN,
			 "it is taken at the next boot with the "
			 "gate; run dracut -f, and no rd.gatekeeper=0",
			 "%s%s", c->driver[0] ? "dom0 drives it: " : "no driver",
			 c->driver);
	if (gk_path(path, "/sys/bus/pci/devices/%s/reset_method", c->bdf) == 0 &&
	    gk_file_line(path, method, sizeof(method)) > 0)
		gk_check(d, name, GK_FINE, NULL, "reset by %s", method);
	else
		gk_check(d, name, GK_WARN,
			 "a handoff needs --no-strict-reset; only "
			 "the IOMMU stands between its owners",
			 "has no reset method");
}

static void note_state(void *ctx, const char *line)
{
	char state[32];

	gk_cli_member(line, "state", state, sizeof(state));
	snprintf(ctx, 32, "%s", state);
}

int gk_cmd_doctor(int argc, char **argv)
{
	static struct gk_doctor d;
	struct gk_controller c[GK_CONTROLLERS_MAX];
	struct gk_options_note note;
	struct gk_options o;
	char state[32] = "";
	int n;

	if (argc == 2 && !strcmp(argv[1], "--json"))
		d.as_json = 1;
	else if (argc != 1)
		return gk_cli_usage("doctor [--json]");
	gk_json_init(&d.json, d.text, sizeof(d.text));
	gk_json_object(&d.json, NULL);
	gk_json_array(&d.json, "checks");
	check_xen(&d);
	check_modules(&d);
	check_files(&d);
	gk_options_load(&o, &note);
	gk_check(&d, "settings", note.text[0] ? GK_WARN : GK_FINE, "correct it", "%s",
		 note.text[0] ? note.text : "understood");
	gk_doctor_keys(&d, &o);
	check_rules(&d);
	check_shell(&d);
	n = gk_controllers_list(c);
	if (n == 0)
		gk_check(&d, "controllers", GK_WARN, "nothing for the gate to do",
			 "no USB controller found");
	if (n < 0)
		gk_check(&d, "controllers", GK_FAIL, "is sysfs mounted?",
			 "cannot be read from /sys/bus/pci/devices (%s)",
			 gk_strerror(n));
	for (int i = 0; i < n; i++)
		check_controller(&d, &o, &c[i]);
	if (gk_cli_request("status", STATUS_MS, note_state, state))
		gk_check(&d, "gatekeeperd", GK_WARN,
			 "it starts in the initramfs; see journalctl -b -u gatekeeperd",
			 "does not run");
	else
		gk_check(&d, "gatekeeperd", strcmp(state, "failed") ? GK_FINE : GK_WARN,
			 "see gatekeeper status", "runs, state %s", state);
	gk_json_end_array(&d.json);
	gk_json_bool(&d.json, "ok", !d.failed);
	gk_json_end_object(&d.json);
	if (d.as_json) {
		if (gk_json_finish(&d.json) < 0)
			return GK_EXIT_FAILED;
		puts(d.text);
	}
	return d.failed ? GK_EXIT_FAILED : GK_EXIT_DONE;
}
