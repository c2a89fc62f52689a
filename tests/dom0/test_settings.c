/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings from both places, and what becomes of them for xl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/key_filter.h"
#include "dom0/gate_config.h"
#include "dom0/options.h"
#include "dom0/paths.h"

static void default_settings(void **state)
{
	struct gk_options o;

	(void)state;
	gk_options_default(&o);
	assert_int_equal(o.enabled, 1);
	assert_int_equal(o.debug, 0);
	assert_int_equal(o.timeout_s, 10);
	assert_int_equal(o.fallback, GK_FALLBACK_NONE);
	assert_int_equal(o.memory_mib, 48);
	assert_int_equal(o.restarts, 3);
	assert_int_equal(o.restart_window_s, 600);
	assert_int_equal(o.free_time_s, 60);
	assert_string_equal(o.sys_usb_config, "");
	assert_int_equal(o.vt_switching, GK_WHEN_AFTER_UNLOCK);
	assert_int_equal(o.uhid, GK_UHID_AFTER_BOOT);
	assert_int_equal(o.ctrl_alt_del, GK_WHEN_NEVER);
}

/* What is let by, before and after the disk is unlocked. */
static void combinations_of_keys(void **state)
{
	static const struct {
		const char *text;
		unsigned before, after;
		int noted;
	} rows[] = {
		{ "", 0, GK_KEYS_VT, 0 },
		{ "vt_switching = after-unlock\nctrl_alt_del = never", 0, GK_KEYS_VT,
		  0 },
		{ "vt_switching = never", 0, 0, 0 },
		{ "ctrl_alt_del = after-unlock", 0, GK_KEYS_VT | GK_KEYS_REBOOT, 0 },
		{ "vt_switching=never\nctrl_alt_del=after-unlock", 0, GK_KEYS_REBOOT,
		  0 },
		{ "vt_switching = always", 0, GK_KEYS_VT, 1 },
		{ "ctrl_alt_del = 1", 0, GK_KEYS_VT, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gk_options_note note = { "" };
		struct gk_options o;

		gk_options_default(&o);
		gk_options_conf(&o, rows[i].text, &note);
		if (gk_options_let_by(&o, 0) != rows[i].before ||
		    gk_options_let_by(&o, 1) != rows[i].after ||
		    (note.text[0] != '\0') != rows[i].noted)
			fail_msg("%s (note: %s)", rows[i].text, note.text);
	}
}

static void hid_devices(void **state)
{
	static const struct {
		const char *text;
		enum gk_uhid_mode mode;
		int noted;
	} rows[] = {
		{ "uhid = no", GK_UHID_NO, 0 },
		{ "uhid=after-boot", GK_UHID_AFTER_BOOT, 0 },
		{ "uhid = always # everywhere", GK_UHID_ALWAYS, 0 },
		{ "uhid = yes", GK_UHID_AFTER_BOOT, 1 },
		{ "uhid =", GK_UHID_AFTER_BOOT, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gk_options_note note = { "" };
		struct gk_options o;

		gk_options_default(&o);
		gk_options_conf(&o, rows[i].text, &note);
		if (o.uhid != rows[i].mode || (note.text[0] != '\0') != rows[i].noted)
			fail_msg("%s (note: %s)", rows[i].text, note.text);
	}
}

/* Off unless it is said, and never said on the kernel's command line. */
static void input_proxy(void **state)
{
	static const struct {
		const char *text;
		int conf, on, noted;
	} rows[] = {
		{ "", 1, 0, 0 },
		{ "input_proxy = yes", 1, 1, 0 },
		{ "input_proxy=yes\ninput_proxy=no # not any more", 1, 0, 0 },
		{ "input_proxy = sys-usb", 1, 0, 1 },
		{ "rd.gatekeeper.input_proxy=yes", 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gk_options_note note = { "" };
		struct gk_options o;

		gk_options_default(&o);
		if (rows[i].conf)
			gk_options_conf(&o, rows[i].text, &note);
		else
			gk_options_cmdline(&o, rows[i].text, &note);
		if (o.input_proxy != rows[i].on || (note.text[0] != '\0') != rows[i].noted)
			fail_msg("%s (note: %s)", rows[i].text, note.text);
	}
}

/* What each text makes of the defaults; noted: that it complains. */
static const struct {
	int conf;		/* else the kernel's command line */
	const char *text;
	int enabled, debug;
	unsigned timeout;
	enum gk_fallback fallback;
	unsigned memory;
	int noted;
} settings[] = {
	{ 0, "", 1, 0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "root=/dev/x quiet splash", 1, 0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "rd.gatekeeper=0", 0, 0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "rd.gatekeeper=0 rd.gatekeeper=1\n", 1, 0, 10, GK_FALLBACK_NONE,
	  48, 0 },
	{ 0, "rd.gatekeeper", 1, 0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "a rd.gatekeeper.timeout=45 b", 1, 0, 45, GK_FALLBACK_NONE, 48,
	  0 },
	{ 0, "rd.gatekeeper.timeout=0", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 0, "rd.gatekeeper.timeout=601", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 0, "rd.gatekeeper.timeout=-1", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 0, "rd.gatekeeper.timeout=99999999999999999999", 1, 0, 10,
	  GK_FALLBACK_NONE, 48, 1 },
	{ 0, "rd.gatekeeper.timeout=5s", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 0, "rd.gatekeeper.timeout=", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 0, "rd.gatekeeper.debug", 1, 1, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "rd.gatekeeper.debug=0", 1, 0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "rd.gatekeeper.fallback=dom0-hid", 1, 0, 10,
	  GK_FALLBACK_DOM0_HID, 48, 0 },
	{ 0, "rd.gatekeeper.fallback=dom0", 1, 0, 10, GK_FALLBACK_NONE, 48,
	  1 },
	{ 0, "x=\"rd.gatekeeper=0 y\" rd.gatekeeper.debug", 1, 1, 10,
	  GK_FALLBACK_NONE, 48, 0 },
	{ 0, "\"rd.gatekeeper.timeout=7\"", 1, 0, 7, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "rd.gatekeepers=0 rd.gatekeeperx.timeout=3 xrd.gatekeeper=0", 1,
	  0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 0, "rd.gatekeeper.memory=64", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 1, "# nothing\n\n   \n", 1, 0, 10, GK_FALLBACK_NONE, 48, 0 },
	{ 1, "timeout = 20 # slow\nmemory=64\n\tdebug = yes", 1, 1, 20,
	  GK_FALLBACK_NONE, 64, 0 },
	{ 1, "memory = 31\n", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 1, "memory\n", 1, 0, 10, GK_FALLBACK_NONE, 48, 1 },
	{ 1, "nonsense = 1\r\nfallback = dom0-hid\r\n", 1, 0, 10,
	  GK_FALLBACK_DOM0_HID, 48, 1 },
};

static void each_setting(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct gk_options_note note = { "" };
		struct gk_options o;

		gk_options_default(&o);
		if (settings[i].conf)
			gk_options_conf(&o, settings[i].text, &note);
		else
			gk_options_cmdline(&o, settings[i].text, &note);
		if (o.enabled != settings[i].enabled ||
		    o.debug != settings[i].debug ||
		    o.timeout_s != settings[i].timeout ||
		    o.fallback != settings[i].fallback ||
		    o.memory_mib != settings[i].memory ||
		    (note.text[0] != '\0') != settings[i].noted)
			fail_msg("%s (note: %s)", settings[i].text, note.text);
	}
}

static void long_lines_do_no_harm(void **state)
{
	struct gk_options_note note = { "" };
	static char text[5000];
	struct gk_options o;

	(void)state;
	gk_options_default(&o);
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "rd.gatekeeper.timeout=", 22);
	gk_options_cmdline(&o, text, &note);
	memcpy(text, "timeout=", 8);
	gk_options_conf(&o, text, &note);
	assert_int_equal(o.timeout_s, 10);
	assert_string_not_equal(note.text, "");
}

static void sys_usb_config_is_a_path(void **state)
{
	struct gk_options_note note = { "" };
	struct gk_options o;

	(void)state;
	gk_options_default(&o);
	gk_options_conf(&o, "sys_usb_config = /etc/xen/a.cfg\n", &note);
	assert_string_equal(o.sys_usb_config, "/etc/xen/a.cfg");
	assert_string_equal(note.text, "");
	gk_options_conf(&o, "sys_usb_config = a.cfg\n", &note);
	assert_string_equal(o.sys_usb_config, "/etc/xen/a.cfg");
	assert_string_not_equal(note.text, "");
}

static void controllers_left_to_dom0(void **state)
{
	struct gk_options_note note = { "" };
	struct gk_options o;

	(void)state;
	gk_options_default(&o);
	gk_options_cmdline(&o, "rd.qubes.dom0_usb=00:14.0,0001:02:00.3", &note);
	assert_true(gk_options_is_dom0_usb(&o, "0000:00:14.0"));
	assert_true(gk_options_is_dom0_usb(&o, "0001:02:00.3"));
	assert_false(gk_options_is_dom0_usb(&o, "0000:02:00.3"));
	assert_false(gk_options_is_dom0_usb(&o, "0000:00:14.1"));
	assert_false(gk_options_is_dom0_usb(&o, "0000:00:1a.0"));
}

static void xl_config_text(void **state)
{
	static const struct gk_controller two[] = {
		{ "0000:00:14.0", "pciback", 0x30, 2 },
		{ "0001:03:00.7", "pciback", 0x20, 5 },
	};
	static const char *const has[] = {
		"type = \"pv\"\n", "name = \"gatekeeper-gate\"\n",
		"memory = 40\nmaxmem = 40\n", "vcpus = 1\n", "vif = [ ]\n",
		"disk = [ ]\n", "vfb = [ ]\n",
		"pci = [ \"0000:00:14.0,permissive=0,rdm_policy=relaxed\", "
		"\"0001:03:00.7,permissive=0,rdm_policy=relaxed\" ]\n",
		"usbcore.authorized_default=0", " gk.controllers=2,5\"\n", "on_crash = \"destroy\"\n",
		"ramdisk = \"/run/x\"\n", "on_poweroff = \"destroy\"\n", "on_reboot = \"destroy\"\n",
	};
	char text[GK_GATE_CONFIG_MAX];
	struct gk_options o;

	(void)state;
	gk_options_default(&o);
	o.memory_mib = 40;
	assert_true(gk_gate_config(&o, "/run/x", two, 2, text, sizeof(text)) > 0);
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		if (!strstr(text, has[i]))
			fail_msg("no %s in\n%s", has[i], text);
	assert_null(strstr(text, "gk.debug"));
	o.debug = 1;
	assert_true(gk_gate_config(&o, "/run/x", two, 2, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, " gk.debug=1 "));
	assert_int_equal(gk_gate_config(&o, "/run/x", two, 2, text, 100), GK_ERR_LIMIT);
}

static void xl_config_takes_only_addresses(void **state)
{
	static const char *const bad[] = {
		"", "00:14.0", "0000:00:14.8", "0000:00:14.0\"", "0000:00:1g.0",
		"0000:00:14.00", "0000-00:14.0", "0000:00:1A.0",
	};
	char text[GK_GATE_CONFIG_MAX];
	struct gk_options o;

	(void)state;
	gk_options_default(&o);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gk_controller c = { .driver = "pciback" };

		snprintf(c.bdf, sizeof(c.bdf), "%s", bad[i]);
		if (gk_gate_config(&o, "/run/x", &c, 1, text, sizeof(text)) !=
		    GK_ERR_VALUE)
			fail_msg("%s went in", bad[i]);
	}
}

static void xl_causes(void **state)
{
	static const struct {
		const char *said, *means;
		enum gk_xl_cause final;
	} cases[] = {
		{ "libxl: error: libxl_create.c:1096:libxl__domain_config_"
		  "setdefault: passthrough not supported on this platform\n",
		  "no IOMMU", GK_XL_FINAL },
		{ "failed to free memory for the domain\n", "memory", GK_XL_AGAIN },
		{ "xc: error: panic: xc_dom_boot.c:119: xc_dom_boot_mem_init: "
		  "can't allocate low memory for domain: Out of memory\n",
		  "memory", GK_XL_AGAIN },
		{ "xc: error: panic: xc_dom_core.c:689: xc_dom_find_loader: no "
		  "loader found: Invalid kernel\n", "damaged", GK_XL_FINAL },
		{ "libxl: error: libxl_pci.c:1640:libxl__device_pci_add: "
		  "Domain 7:PCI device 0:0:14.0 is not assignable\n",
		  "not bound to pciback", GK_XL_OWNED },
		{ "libxl: error: libxl_pci.c:1674:device_pci_add_stubdom_done: "
		  "Domain 7:PCI device already attached to a domain\n",
		  "belongs to another", GK_XL_OWNED },
		{ "PCI device 0:0:14.0 already assigned to a different guest?\n",
		  "belongs to another", GK_XL_OWNED },
		{ "xc_assign_device failed: Device or resource busy\n",
		  "belongs to another", GK_XL_OWNED },
		{ "xc_assign_device failed: Operation not permitted\n",
		  "Xen refused", GK_XL_AGAIN },
		{ "cannot open xenstore\n", "xenstored does not answer", GK_XL_AGAIN },
		{ "", "did not say why", GK_XL_AGAIN },
		{ "Parsing config\nlibxl: error: first thing\nlibxl: error: "
		  "second\n", "first thing", GK_XL_AGAIN },
		{ "odd\033[31m thing\n", "odd?[31m thing", GK_XL_AGAIN },
	};
	char cause[GK_CAUSE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum gk_xl_cause final = gk_gate_xl_cause(cases[i].said, cause);

		if (!strstr(cause, cases[i].means) || final != cases[i].final)
			fail_msg("%s: %s (%d)", cases[i].said, cause, final);
	}
}

static void put(const char *path, const void *data, size_t len, off_t size)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(truncate(path, size), 0);
}

static void image_checks(void **state)
{
	char dir[] = "/tmp/gk-image-XXXXXX", kernel[64], image[64];
	char cause[GK_CAUSE_MAX];
	uint8_t bz[0x210] = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	assert_int_not_equal(gk_gate_image_check(kernel, image, cause), 0);
	assert_non_null(strstr(cause, "gate kernel"));
	assert_non_null(strstr(cause, "missing"));
	/* setup_sects 1, syssize 0x10000 units of 16 bytes: 1 MiB + 1 KiB */
	bz[0x1f1] = 1;
	bz[0x1f6] = 1;
	bz[0x1fe] = 0x55;
	bz[0x1ff] = 0xaa;
	memcpy(bz + 0x202, "HdrS", 4);
	put(kernel, bz, sizeof(bz), (1 << 20) + 1024);
	assert_int_not_equal(gk_gate_image_check(kernel, image, cause), 0);
	assert_non_null(strstr(cause, "gate image"));
	put(image, "070701aaaaaaaaaaaaaaaa", 22, 4096);
	assert_int_equal(gk_gate_image_check(kernel, image, cause), 0);
	/* cut off */
	put(kernel, bz, sizeof(bz), (1 << 20) + 1023);
	assert_int_not_equal(gk_gate_image_check(kernel, image, cause), 0);
	assert_non_null(strstr(cause, "damaged"));
	put(kernel, "\177ELF", 4, 1 << 20);
	assert_int_equal(gk_gate_image_check(kernel, image, cause), 0);
	put(kernel, "", 0, 1 << 20);
	assert_int_not_equal(gk_gate_image_check(kernel, image, cause), 0);
	put(kernel, "\177ELF", 4, 1000);
	assert_int_not_equal(gk_gate_image_check(kernel, image, cause), 0);
	put(kernel, "\177ELF", 4, 1 << 20);
	put(image, "", 0, 4096);
	assert_int_not_equal(gk_gate_image_check(kernel, image, cause), 0);
	assert_non_null(strstr(cause, "damaged"));
	unlink(kernel);
	unlink(image);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_settings),
		cmocka_unit_test(each_setting),
		cmocka_unit_test(combinations_of_keys),
		cmocka_unit_test(hid_devices),
		cmocka_unit_test(input_proxy),
		cmocka_unit_test(long_lines_do_no_harm),
		cmocka_unit_test(sys_usb_config_is_a_path),
		cmocka_unit_test(controllers_left_to_dom0),
		cmocka_unit_test(xl_config_text),
		cmocka_unit_test(xl_config_takes_only_addresses),
		cmocka_unit_test(xl_causes),
		cmocka_unit_test(image_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
