/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rd.gatekeeper.fallback=dom0-hid: the gate is given up, and dom0 drives the
 * controllers after all, with as little of it as can be: no device is
 * configured that the gate would not have admitted, and of one that is, only
 * its keyboard interface gets a driver. The judgement is core's, on the same
 * raw descriptors.
 *
 * All of it runs in a child of gatekeeperd, which prints what it does:
 * "say TEXT" is for the screen, "ready" once a keyboard is there or the first
 * look around is over. It goes on looking once a second, in the running
 * system too: a keyboard that is plugged in again must work.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/policy.h"
#include "core/usb_desc.h"
#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"

enum {
	FIRST_LOOK_MS = 5000,
	FAST_MS = 200,
	SLOW_MS = 1000,
	MODPROBE_S = 10,
	JUDGED = 64,
	NAME = 32,
};

struct judged {
	char name[NAME];	/* as sysfs spells it, "1-2.3" */
	char devnum[8];		/* a new number: a new device */
};

struct fallback {
	struct gk_controller c[GK_CONTROLLERS_MAX];
	int n;
	struct judged judged[JUDGED];
	unsigned next;
	int keyboards;
};

__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	va_list ap;

	fputs("say ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void modprobe(const char *module, const char *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Inherited across exec: a modprobe that hangs is ended. */
		alarm(MODPROBE_S);
		execlp("modprobe", "modprobe", "-q", module, arg, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

__attribute__((format(printf, 2, 3)))
static int set(const char *value, const char *fmt, ...)
{
	char path[GK_PATH_MAX], rel[GK_PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rel, sizeof(rel), fmt, ap);
	va_end(ap);
	if (gk_path(path, "%s", rel))
		return GK_ERR_LIMIT;
	return gk_file_write(path, value);
}

static int get(char *out, size_t cap, const char *name, const char *attr)
{
	char path[GK_PATH_MAX];

	out[0] = '\0';
	if (gk_path(path, "/sys/bus/usb/devices/%s/%s", name, attr))
		return GK_ERR_LIMIT;
	return gk_file_line(path, out, cap) < 0 ? GK_ERR_SYSTEM : 0;
}

/*
 * New host controllers must come up with nothing authorised. Without that
 * nothing is given to dom0 at all.
 */
static int no_default_authorisation(void)
{
	static const char param[] =
		"/sys/module/usbcore/parameters/authorized_default";
	char path[GK_PATH_MAX], now[8];

	modprobe("usbcore", "authorized_default=0");
	if (gk_path(path, "%s", param))
		return GK_ERR_LIMIT;
	if (gk_file_write(path, "0") ||
	    gk_file_line(path, now, sizeof(now)) < 0 || strcmp(now, "0"))
		return GK_ERR_SYSTEM;
	return 0;
}

static void give_to_dom0(const struct gk_controller *c)
{
	struct gk_controller all[GK_CONTROLLERS_MAX];
	int n;

	if (set("\n", "/sys/bus/pci/devices/%s/driver_override", c->bdf) ||
	    (c->driver[0] && set(c->bdf, "/sys/bus/pci/drivers/pciback/unbind"))) {
		say("USB controller %s cannot be taken from pciback: %s",
		    c->bdf, strerror(errno));
		return;
	}
	/* Or pciback takes it again at its next probe. */
	if (set(c->bdf, "/sys/bus/pci/drivers/pciback/remove_slot"))
		errno = 0;
	if (set(c->bdf, "/sys/bus/pci/drivers_probe"))
		errno = 0;
	n = gk_controllers_list(all);
	for (int i = 0; i < n; i++)
		if (!strcmp(all[i].bdf, c->bdf))
			say("USB controller %s is driven by dom0 (%s)", c->bdf,
			    all[i].driver[0] ? all[i].driver : "no driver");
}

static void take_over(const struct fallback *f)
{
	static const char *const drivers[] = {
		/* EHCI before its companions (USB 2.0 ports move to it). */
		"ehci_pci", "ohci_pci", "uhci_hcd", "xhci_pci", "usbhid",
		"hid_generic",
	};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		modprobe(drivers[i], NULL);
	for (int i = 0; i < f->n; i++)
		give_to_dom0(&f->c[i]);
}

/* Whether a device of sysfs hangs at one of the controllers given. */
static int is_ours(const struct fallback *f, const char *name)
{
	char path[GK_PATH_MAX], target[GK_PATH_MAX];
	ssize_t n;

	if (gk_path(path, "/sys/bus/usb/devices/%s", name))
		return 0;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return 0;
	target[n] = '\0';
	for (int i = 0; i < f->n; i++)
		if (strstr(target, f->c[i].bdf))
			return 1;
	return 0;
}

/* 1: this very device was judged before. */
static int seen(struct fallback *f, const char *name)
{
	struct judged now = { 0 };

	if (strlen(name) >= sizeof(now.name))
		return 1;
	strcpy(now.name, name);
	if (get(now.devnum, sizeof(now.devnum), name, "devnum"))
		return 1;
	for (int i = 0; i < JUDGED; i++)
		if (!strcmp(f->judged[i].name, now.name) &&
		    !strcmp(f->judged[i].devnum, now.devnum))
			return 1;
	f->judged[f->next++ % JUDGED] = now;
	return 0;
}

static ssize_t descriptors(const char *name, char *raw, size_t cap)
{
	char path[GK_PATH_MAX];

	if (gk_path(path, "/sys/bus/usb/devices/%s/descriptors", name))
		return GK_ERR_LIMIT;
	return gk_file_read(path, raw, cap);
}

/* usbcore has added all of it: the last step binds its own driver. */
static int complete(const char *name)
{
	char path[GK_PATH_MAX];

	return gk_path(path, "/sys/bus/usb/devices/%s/driver", name) == 0 &&
	       access(path, F_OK) == 0;
}

static int allow_interface(const char *name, unsigned config, unsigned number)
{
	char interface[NAME + 16];

	snprintf(interface, sizeof(interface), "%.*s:%u.%u", NAME - 1, name,
		 config, number);
	if (set("1", "/sys/bus/usb/devices/%s/authorized", interface))
		return GK_ERR_SYSTEM;
	return set(interface, "/sys/bus/usb/drivers_probe");
}

/* The device, then those of its interfaces that have a role. */
static int allow(const char *name, const struct gk_usb_device *dev,
		 const struct gk_judgement *j, const char *raw, size_t len)
{
	static char again[GK_USB_RAW_MAX + 1];
	const struct gk_usb_config *config = &dev->first;
	char value[8];

	if (set("1", "/sys/bus/usb/devices/%s/authorized", name))
		return GK_ERR_SYSTEM;
	/* It was read once more just now; is it still what was judged? */
	if (descriptors(name, again, sizeof(again)) != (ssize_t)len ||
	    memcmp(raw, again, len)) {
		if (set("0", "/sys/bus/usb/devices/%s/authorized", name))
			return GK_ERR_SYSTEM;
		return GK_ERR_VALUE;
	}
	snprintf(value, sizeof(value), "%u", config->value);
	if (set(value, "/sys/bus/usb/devices/%s/bConfigurationValue", name))
		return GK_ERR_SYSTEM;
	for (int i = 0; i < config->interfaces && i < GK_USB_INTERFACES; i++) {
		int hub = j->verdict == GK_VERDICT_HUB &&
			  config->interface[i].base_class == 0x09;

		if ((hub || j->role[i] == GK_ROLE_KEYBOARD) &&
		    allow_interface(name, config->value,
				    config->interface[i].number))
			return GK_ERR_SYSTEM;
	}
	return 0;
}

static void look_at_device(struct fallback *f, const char *name)
{
	static struct gk_usb_device dev;
	static char raw[GK_USB_RAW_MAX + 1];
	static struct gk_rules rules;
	struct gk_rule_device facts;
	struct gk_rules_note note;
	struct gk_judgement j;
	const char *kind;
	ssize_t len;
	int err;

	if (!rules.rules && gk_rules_parse(gk_rules_default(),
					   strlen(gk_rules_default()), &rules, &note))
		return;

	len = descriptors(name, raw, sizeof(raw));
	if (len == GK_ERR_SYSTEM)
		return;
	err = gk_usb_parse(raw, len < 0 ? 0 : (size_t)len, &dev);
	/* Here dom0's own kernel drives it: nothing odd beside a keyboard either. */
	for (unsigned i = 0; !err && i < dev.first.interfaces; i++)
		if (dev.first.interface[i].odd_at)
			err = GK_ERR_VALUE;
	gk_policy_device(&facts, &dev);
	/* Boot keyboards only: nobody here reads a report descriptor. */
	for (unsigned i = 0; i < facts.interfaces; i++)
		if (facts.interface[i].fits != GK_ROLE_KEYBOARD)
			facts.interface[i].fits = 0;
	gk_policy_judge(&dev, err, &rules, &facts, &j);
	kind = gk_class_text(dev.base_class || !dev.first.interfaces ?
			     dev.base_class :
			     dev.first.interface[0].base_class);
	if (j.verdict != GK_VERDICT_HUB && !(j.granted & GK_ROLE_KEYBOARD)) {
		say("%s device on port %s (%04x:%04x) refused: %s", kind, name,
		    dev.vid, dev.pid, gk_reason_text((uint16_t)j.reason));
		return;
	}
	err = allow(name, &dev, &j, raw, (size_t)len);
	if (err) {
		say("device on port %s (%04x:%04x) refused: %s", name, dev.vid,
		    dev.pid, gk_reason_text(err == GK_ERR_VALUE ?
					    GK_REASON_CHANGED :
					    GK_REASON_CONFIGURE));
		return;
	}
	if (j.verdict == GK_VERDICT_HUB)
		return;
	f->keyboards++;
	say("keyboard on port %s (%04x:%04x) admitted by dom0 itself", name,
	    dev.vid, dev.pid);
}

/*
 * Root hubs first: what comes up below one starts without drivers only when it
 * has been told so, and nothing below is authorised before that.
 */
static int root_hub_is_safe(const char *name)
{
	char now[8];

	if (get(now, sizeof(now), name, "interface_authorized_default") == 0 &&
	    !strcmp(now, "0"))
		return 1;
	return set("0", "/sys/bus/usb/devices/%s/interface_authorized_default",
		   name) == 0;
}

/* The root hub of "3-1.2" is "usb3". */
static int under_safe_root(const char *name)
{
	char hub[NAME + 4];

	snprintf(hub, sizeof(hub), "usb%.*s", (int)strcspn(name, "-"), name);
	return root_hub_is_safe(hub);
}

static void look_around(struct fallback *f)
{
	char path[GK_PATH_MAX], now[8];
	struct dirent *e;
	DIR *dir;

	if (gk_path(path, "/sys/bus/usb/devices"))
		return;
	dir = opendir(path);
	if (!dir)
		return;
	while ((e = readdir(dir))) {
		const char *name = e->d_name;

		if (name[0] == '.' || strlen(name) >= NAME ||
		    strchr(name, ':') || !is_ours(f, name))
			continue;
		if (!strncmp(name, "usb", 3))
			continue;
		/* One that is still being added is looked at the next time. */
		if (get(now, sizeof(now), name, "authorized") ||
		    strcmp(now, "0") || !complete(name) || seen(f, name))
			continue;
		if (!under_safe_root(name)) {
			say("no control over interfaces, so the device on port "
			    "%s is refused", name);
			continue;
		}
		look_at_device(f, name);
	}
	closedir(dir);
}

static int fallback_child(void *arg)
{
	struct fallback *f = arg;
	uint64_t start = gk_now_ms();
	int told = 0;

	/* The parent's descriptor of /proc was closed on the way here. */
	if (gk_root_open())
		say("no /proc");
	if (no_default_authorisation()) {
		say("usbcore does not take authorized_default=0: the USB "
		    "controllers stay with pciback. Type the passphrase on a "
		    "PS/2 keyboard, or boot with rd.gatekeeper=0");
		return 1;
	}
	take_over(f);
	for (;;) {
		uint64_t past = gk_now_ms() - start;

		look_around(f);
		if (!told && (f->keyboards || past >= FIRST_LOOK_MS)) {
			puts("ready");
			if (fflush(stdout))
				return 1;
			told = 1;
		}
		usleep((past < 2 * FIRST_LOOK_MS ? FAST_MS : SLOW_MS) * 1000);
		gk_root_follow();
	}
}

static void on_line(void *ctx, const char *line)
{
	struct gk_daemon *d = ctx;

	if (!strncmp(line, "say ", 4)) {
		gk_screen_say(&d->screen, LOG_WARNING, "fallback: %s",
			      line + 4);
	} else if (!strcmp(line, "ready")) {
		d->fallback_ready = 1;
		gk_daemon_publish(d);
	}
}

static void on_end(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	(void)end;
	d->fallback_child = 0;
	d->state = GK_GATE_FAILED;
	gk_daemon_publish(d);
}

void gk_fallback_start(struct gk_daemon *d)
{
	static struct fallback f;
	const struct gk_child_spec spec = {
		.name = "the fallback", .fn = fallback_child, .arg = &f,
		.pass_fd = -1, .line = on_line, .done = on_end, .ctx = d,
	};

	memset(&f, 0, sizeof(f));
	for (int i = 0; i < d->controllers; i++)
		f.c[f.n++] = d->controller[i];
	for (int i = 1; i <= d->unbound; i++)
		f.c[f.n++] = d->controller[GK_CONTROLLERS_MAX - i];
	if (gk_child_start(d->loop, &spec, &d->fallback_child)) {
		d->state = GK_GATE_FAILED;
		gk_daemon_publish(d);
	}
}
