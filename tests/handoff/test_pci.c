/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "handoff/pci.h"
#include "handoff/run.h"
#include "tree.h"

#define DEV "sys/bus/pci/devices/"

static void bdf(void **state)
{
	static const struct {
		const char *text;
		int good;
	} cases[] = {
		{ "0000:03:00.0", 1 }, { "ffff:ff:1f.7", 1 }, { "0001:00:14.0", 1 },
		{ "", 0 }, { "03:00.0", 0 }, { "0000:03:00.8", 0 },
		{ "0000:03:20.0", 0 }, { "0000:03:00.0 ", 0 }, { " 0000:03:00.0", 0 },
		{ "0000:0A:00.0", 0 }, { "0000:03:00,0", 0 }, { "0000:03.00.0", 0 },
		{ "10000:e0:06.0", 0 }, { "0000:03:00.", 0 }, { "0x00:03:00.0", 0 },
		{ "0000:03:00.0\n", 0 }, { "-000:03:00.0", 0 },
	};
	char text[GK_PCI_BDF_LEN];
	struct gk_pci_bdf b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = gk_pci_bdf_parse(cases[i].text, &b);

		if (ret != (cases[i].good ? 0 : GK_ERR_VALUE))
			fail_msg("\"%s\": %d", cases[i].text, ret);
		if (!cases[i].good)
			continue;
		gk_pci_bdf_format(&b, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void list(void **state)
{
	struct gk_pci_usb u[GK_PCI_MAX];
	char which[GK_PCI_NAME_LEN];
	struct tree t = { "" };
	size_t n;

	(void)state;
	tree_new(&t);
	tree_pci(&t, "0000:80:14.0", "0x0c0330", "pciback", "pciback", "flr bus");
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "xhci_hcd", NULL, "");
	tree_pci(&t, "0000:00:1d.7", "0x0c0320", NULL, "pciback", NULL);
	tree_pci(&t, "0000:00:1d.0", "0x0c0300", "pciback", NULL, "pm");
	tree_pci(&t, "0000:00:1a.0", "0x0c0310", NULL, NULL, NULL);
	/* A USB4 host, a USB device controller, a network card, a FireWire. */
	tree_pci(&t, "0000:00:0d.2", "0x0c0340", "thunderbolt", NULL, "flr");
	tree_pci(&t, "0000:00:14.1", "0x0c03fe", NULL, NULL, "flr");
	tree_pci(&t, "0000:02:00.0", "0x020000", "e1000e", NULL, "flr");
	tree_pci(&t, "0000:05:00.0", "0x0c0010", NULL, NULL, NULL);

	assert_int_equal(gk_pci_usb_list(t.root, u, &n, which), 0);
	assert_int_equal(n, 5);
	assert_string_equal(u[0].name, "0000:00:1a.0");
	assert_int_equal(u[0].prog_if, 0x10);
	assert_string_equal(u[0].driver, "");
	assert_string_equal(u[1].name, "0000:00:1d.0");
	assert_string_equal(u[1].reset, "pm");
	assert_string_equal(u[1].override, "");
	assert_int_equal(gk_pci_held(&u[1]), 0);
	assert_string_equal(u[2].name, "0000:00:1d.7");
	assert_string_equal(u[2].reset, "");
	assert_int_equal(gk_pci_held(&u[2]), 0);
	assert_string_equal(u[3].name, "0000:03:00.0");
	assert_string_equal(u[3].driver, "xhci_hcd");
	assert_string_equal(u[3].reset, "reset");
	assert_string_equal(u[4].name, "0000:80:14.0");
	assert_string_equal(u[4].reset, "flr bus");
	assert_int_equal(gk_pci_held(&u[4]), 1);
	tree_free(&t);
}

static void list_refused(void **state)
{
	struct gk_pci_usb u[GK_PCI_MAX];
	char which[GK_PCI_NAME_LEN], name[16];
	struct tree t = { "" };
	unsigned int i;
	size_t n;

	(void)state;
	tree_new(&t);
	for (i = 0; i < GK_PCI_MAX; i++) {
		(void)snprintf(name, sizeof(name), "0000:%02x:00.0", i);
		tree_pci(&t, name, "0x0c0330", NULL, NULL, NULL);
	}
	assert_int_equal(gk_pci_usb_list(t.root, u, &n, which), 0);
	assert_int_equal(n, GK_PCI_MAX);
	tree_pci(&t, "0000:ff:00.0", "0x0c0330", NULL, NULL, NULL);
	assert_int_equal(gk_pci_usb_list(t.root, u, &n, which), GK_ERR_LIMIT);
	assert_int_equal(n, 0);
	tree_free(&t);

	/* Behind a VMD bridge: a domain that neither Xen nor we can name. */
	tree_new(&t);
	tree_pci(&t, "10000:e1:00.0", "0x0c0330", NULL, NULL, NULL);
	assert_int_equal(gk_pci_usb_list(t.root, u, &n, which), GK_ERR_VALUE);
	assert_string_equal(which, "10000:e1:00.0");
	tree_free(&t);

	tree_new(&t);
	tree_pci(&t, "0000:00:14.0", "0x0c03", NULL, NULL, NULL);
	assert_int_equal(gk_pci_usb_list(t.root, u, &n, which), GK_ERR_VALUE);
	tree_free(&t);

	assert_int_equal(gk_pci_usb_list("/nowhere", u, &n, which), GK_ERR_SYSTEM);
}

static void left_to_dom0(void **state)
{
	static const struct {
		const char *cmdline;
		int left;
	} cases[] = {
		{ "quiet\n", 0 },
		{ "rd.qubes.dom0_usb=00:14.0\n", 1 },
		{ "quiet rd.qubes.dom0_usb=03:00.0,00:14.0 ro\n", 1 },
		{ "rd.qubes.dom0_usb=0000:00:14.0", 1 },
		{ "rd.qubes.dom0_usb=03:00.0 rd.qubes.dom0_usb=00:14.0", 1 },
		{ "rd.qubes.dom0_usb=03:00.0", 0 },
		{ "rd.qubes.dom0_usb=", 0 },
		{ "rd.qubes.dom0_usb=0001:00:14.0", 0 },
		{ "xrd.qubes.dom0_usb=00:14.0", 0 },
		{ "rd.qubes.dom0_usb=00:14.01", 0 },
		{ "rd.qubes.dom0_usb=0:14.0", 0 },
	};
	const struct gk_pci_bdf b = { .dev = 0x14 };
	struct tree t = { "" };
	size_t i;

	(void)state;
	tree_new(&t);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tree_write(&t, "proc/cmdline", cases[i].cmdline);
		if (gk_pci_left_to_dom0(t.root, &b) != cases[i].left)
			fail_msg("%s", cases[i].cmdline);
	}
	tree_remove(&t, "proc/cmdline");
	assert_int_equal(gk_pci_left_to_dom0(t.root, &b), 0);
	tree_free(&t);
}

/* The one controller of a tree. */
static void only(const struct tree *t, struct gk_pci_usb *u)
{
	struct gk_pci_usb all[GK_PCI_MAX];
	char which[GK_PCI_NAME_LEN];
	size_t n;

	assert_int_equal(gk_pci_usb_list(t->root, all, &n, which), 0);
	assert_int_equal(n, 1);
	*u = all[0];
}

static void override(void **state)
{
	struct gk_pci_usb u;
	struct tree t = { "" };
	char text[64];

	(void)state;
	tree_new(&t);
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "pciback", NULL, "bus");
	only(&t, &u);
	assert_int_equal(gk_pci_held(&u), 0);
	assert_int_equal(gk_pci_override_set(t.root, &u), 0);
	assert_int_equal(gk_pci_held(&u), 1);
	tree_read(&t, DEV "0000:03:00.0/driver_override", text, sizeof(text));
	assert_string_equal(text, "pciback\n");
	tree_remove(&t, DEV "0000:03:00.0/driver_override");
	assert_int_equal(gk_pci_override_set(t.root, &u), GK_ERR_SYSTEM);
	tree_free(&t);
}

static void reset(void **state)
{
	char method[GK_PCI_NAME_LEN], why[128], text[64];
	struct gk_pci_usb u;
	struct tree t = { "" };

	(void)state;
	tree_new(&t);
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "pciback", NULL, "bus");
	only(&t, &u);
	assert_int_equal(gk_pci_reset(t.root, &u, 20000, method, why, sizeof(why)), 0);
	assert_string_equal(method, "bus");
	assert_string_equal(why, "");
	tree_read(&t, DEV "0000:03:00.0/reset", text, sizeof(text));
	assert_string_equal(text, "1");
	tree_read(&t, DEV "0000:03:00.0/reset_method", text, sizeof(text));
	assert_string_equal(text, "bus\n");

	/* Of several the first, and the list is what it was afterwards. */
	tree_write(&t, DEV "0000:03:00.0/reset_method", "flr pm bus\n");
	only(&t, &u);
	assert_int_equal(gk_pci_reset(t.root, &u, 20000, method, why, sizeof(why)), 0);
	assert_string_equal(method, "flr");
	tree_read(&t, DEV "0000:03:00.0/reset_method", text, sizeof(text));
	assert_string_equal(text, "flr pm bus");

	/* A write that fails; all methods are tried, the last is named. */
	tree_remove(&t, DEV "0000:03:00.0/reset");
	tree_mkdir(&t, DEV "0000:03:00.0/reset");
	assert_int_equal(gk_pci_reset(t.root, &u, 20000, method, why, sizeof(why)),
			 GK_ERR_SYSTEM);
	assert_string_equal(method, "bus");
	assert_string_equal(why, "Is a directory");
	tree_free(&t);

	tree_new(&t);
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "pciback", NULL, NULL);
	only(&t, &u);
	assert_int_equal(gk_pci_reset(t.root, &u, 20000, method, why, sizeof(why)),
			 GK_ERR_NOT_FOUND);
	tree_free(&t);
}

/* Nobody else can reset it, and what it was survives whoever did that. */
static void resets_off(void **state)
{
	static const char kept[] = "run/gatekeeper/reset-method-0000:03:00.0";
	char method[GK_PCI_NAME_LEN], why[128], text[64];
	struct gk_pci_usb u;
	struct tree t = { "" };

	(void)state;
	tree_new(&t);
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "pciback", NULL, "flr bus");
	/* Nowhere to keep it: it stays as it is. */
	tree_remove(&t, "run/gatekeeper");
	only(&t, &u);
	assert_int_equal(gk_pci_resets_off(t.root, &u), GK_ERR_SYSTEM);
	tree_read(&t, DEV "0000:03:00.0/reset_method", text, sizeof(text));
	assert_string_equal(text, "flr bus\n");
	tree_mkdir(&t, "run/gatekeeper");
	assert_int_equal(gk_pci_resets_on(t.root, u.name), 0);

	/* Twice is as once. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(gk_pci_resets_off(t.root, &u), 0);
		tree_read(&t, DEV "0000:03:00.0/reset_method", text, sizeof(text));
		assert_string_equal(text, "\n");
		tree_read(&t, kept, text, sizeof(text));
		assert_string_equal(text, "flr bus");
		only(&t, &u);
		assert_string_equal(u.reset, "flr bus");
	}
	assert_int_equal(gk_pci_reset(t.root, &u, 20000, method, why, sizeof(why)), 0);
	assert_string_equal(method, "flr");
	tree_read(&t, DEV "0000:03:00.0/reset", text, sizeof(text));
	assert_string_equal(text, "1");
	tree_read(&t, DEV "0000:03:00.0/reset_method", text, sizeof(text));
	assert_string_equal(text, "\n");
	/* Killed in the middle of that: one word is left. */
	tree_write(&t, DEV "0000:03:00.0/reset_method", "flr\n");
	only(&t, &u);
	assert_string_equal(u.reset, "flr bus");
	assert_int_equal(gk_pci_resets_on(t.root, u.name), 0);
	tree_read(&t, DEV "0000:03:00.0/reset_method", text, sizeof(text));
	assert_string_equal(text, "flr bus");
	assert_int_equal(gk_pci_resets_on(t.root, u.name), 0);
	tree_remove(&t, DEV "0000:03:00.0/reset_method");

	/* Without a list (before 5.15), and without a reset: nothing to do. */
	only(&t, &u);
	assert_int_equal(gk_pci_resets_off(t.root, &u), 0);
	tree_remove(&t, DEV "0000:03:00.0/reset");
	only(&t, &u);
	assert_int_equal(gk_pci_resets_off(t.root, &u), 0);
	tree_free(&t);
}

/* A fifo without a reader: the open sleeps, as a reset may that never ends. */
static void reset_hangs(void **state)
{
	char method[GK_PCI_NAME_LEN], why[128], path[512];
	struct gk_pci_usb u;
	uint64_t begin;
	struct tree t = { "" };

	(void)state;
	tree_new(&t);
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "pciback", NULL, "flr bus");
	tree_remove(&t, DEV "0000:03:00.0/reset");
	(void)snprintf(path, sizeof(path), "%s/" DEV "0000:03:00.0/reset", t.root);
	assert_int_equal(mkfifo(path, 0600), 0);
	only(&t, &u);
	begin = gk_run_now_ms();
	assert_int_equal(gk_pci_reset(t.root, &u, 300, method, why, sizeof(why)),
			 GK_ERR_TIMEOUT);
	assert_in_range(gk_run_now_ms() - begin, 300, 2000);
	assert_string_equal(method, "flr");
	tree_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bdf),
		cmocka_unit_test(list),
		cmocka_unit_test(list_refused),
		cmocka_unit_test(left_to_dom0),
		cmocka_unit_test(override),
		cmocka_unit_test(reset),
		cmocka_unit_test(resets_off),
		cmocka_unit_test(reset_hangs),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
