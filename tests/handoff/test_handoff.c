/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of the steps, the arguments of xl and every way to fail, against a
 * tree and a stand-in for xl (./xl, which says what it is good for). The path of
 * that script is the only argument of this program.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "handoff/steps.h"
#include "handoff/run.h"
#include "tree.h"

#define DEV "sys/bus/pci/devices/"
#define PCI_OPTIONS ",permissive=0,rdm_policy=relaxed"

static const char *xl_script;
static char xl_text[8192];
static struct tree t;
static char config[300];
static char steps[1024], facts[1024];
static char found[GK_PCI_MAX][GK_PCI_BDF_LEN];
static size_t founds;
static char why[GK_HANDOFF_WHY_MAX], then[GK_HANDOFF_WHY_MAX];

static void step(void *ctx, const char *word, const char *detail)
{
	size_t used = strlen(steps), len = strlen(detail);

	assert_ptr_equal(ctx, steps);
	if (strcmp(word, "controller") == 0)
		strcpy(found[founds++], detail);
	if (strcmp(word, "controller") == 0 || strcmp(word, "target") == 0 ||
	    strcmp(word, "vdev") == 0) {
		(void)snprintf(facts + strlen(facts), sizeof(facts) - strlen(facts),
			       "%s %s\n", word, detail);
		return;
	}
	/* Each ends with its time. */
	assert_true(len >= 4 && strcmp(detail + len - 3, " ms") == 0);
	if (strcmp(word, "took") == 0)
		return;
	(void)snprintf(steps + used, sizeof(steps) - used, "%s ", word);
}

static void script(const char *path, const char *text)
{
	char full[PATH_MAX];

	tree_write(&t, path, text);
	(void)snprintf(full, sizeof(full), "%s/%s", t.root, path);
	assert_int_equal(chmod(full, 0755), 0);
}

/* Two controllers with pciback, one of another class, the gate running. */
static int setup(void **state)
{
	char path[PATH_MAX];

	(void)state;
	tree_new(&t);
	tree_pci(&t, "0000:03:00.0", "0x0c0330", "pciback", "pciback", "bus");
	tree_pci(&t, "0000:00:14.0", "0x0c0330", "pciback", NULL, "flr pm");
	tree_pci(&t, "0000:02:00.0", "0x020000", "e1000e", NULL, "flr");
	script("bin/xl", xl_text);
	tree_write(&t, "bin/domains", "Domain-0\ngk-gate\n");
	tree_write(&t, "bin/assigned", "0000:00:14.0\n0000:03:00.0\n");
	tree_write(&t, "bin/log", "");
	tree_write(&t, "etc/sys=usb.cfg", "name = \"other\"\n");
	(void)snprintf(config, sizeof(config), "%s/etc/sys=usb.cfg", t.root);
	(void)snprintf(path, sizeof(path), "%s/bin:/usr/bin:/bin", t.root);
	assert_int_equal(setenv("PATH", path, 1), 0);
	steps[0] = facts[0] = '\0';
	tree_write(&t, "xenstore", "answered\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&t);
	return 0;
}

static const struct gk_handoff_told told = { .fn = step, .ctx = steps };

/* The steps in the order of the machine, its way back included. */
static int run_with(const struct gk_handoff_opts *given)
{
	struct gk_handoff_opts o = *given;
	int ret, back;

	founds = 0;
	ret = gk_handoff_check(t.root, &o, &told, why, sizeof(why));
	if (ret != 0)
		return ret;
	o.n = founds;
	memcpy(o.bdf, found, sizeof(o.bdf));
	ret = gk_handoff_release(t.root, &o, &told, why, sizeof(why));
	if (ret == 0)
		ret = gk_handoff_reset(t.root, &o, &told, why, sizeof(why));
	if (ret == 0 && o.to_name != NULL) {
		ret = gk_handoff_assign(t.root, &o, &told, why, sizeof(why));
		o.destroy_target = 1;
	}
	if (ret == 0 || !o.destroy_target)
		return ret;
	back = gk_handoff_take_back(t.root, &o, &told, then, sizeof(then));
	if (back == 0)
		back = gk_handoff_reset(t.root, &o, &told, then, sizeof(then));
	assert_true((back == 0) == (then[0] == '\0'));
	return ret;
}

static int run(int no_strict)
{
	const struct gk_handoff_opts o = { .gate_domain = "gk-gate",
					   .to_config = config,
					   .to_name = "sys-usb",
					   .no_strict_reset = no_strict };

	return run_with(&o);
}

static void file_is(const char *path, const char *want)
{
	char text[4096];

	tree_read(&t, path, text, sizeof(text));
	assert_string_equal(text, want);
}

static void file_has(const char *path, const char *want)
{
	char text[4096];

	tree_read(&t, path, text, sizeof(text));
	if (strstr(text, want) == NULL)
		fail_msg("%s: \"%s\" is not in \"%s\"", path, want, text);
}

static void no_taint(void)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s" GK_HANDOFF_TAINTED, t.root);
	assert_int_equal(access(path, F_OK), -1);
}

static void good(void **state)
{
	char want[1024];

	(void)state;
	assert_int_equal(run(0), 0);
	assert_string_equal(why, "");
	assert_string_equal(steps, "destroyed released reset reset created assigned ");
	assert_string_equal(facts, "controller 0000:00:14.0\ncontroller 0000:03:00.0\n"
				   "target -1\n");
	(void)snprintf(want, sizeof(want),
		       "list\nlist\ndestroy gk-gate\nlist\npci-assignable-list\n"
		       "create -f %s name=\"sys-usb\" "
		       "pci=[\"0000:00:14.0" PCI_OPTIONS "\",\"0000:03:00.0" PCI_OPTIONS
		       "\"]\n"
		       "pci-list sys-usb\n", config);
	file_is("bin/log", want);
	file_is("bin/domains", "Domain-0\nsys-usb\n");
	file_is(DEV "0000:03:00.0/reset", "1");
	file_is(DEV "0000:00:14.0/reset", "1");
	file_is(DEV "0000:00:14.0/driver_override", "pciback\n");
	file_is(DEV "0000:02:00.0/driver_override", "(null)\n");
	no_taint();
}

static void release_only(void **state)
{
	const struct gk_handoff_opts o = { .gate_domain = "gk-gate" };

	(void)state;
	assert_int_equal(run_with(&o), 0);
	file_is("bin/domains", "Domain-0\n");
	file_is(DEV "0000:03:00.0/reset", "1");
	/* Again: no gate is as good as one just destroyed. */
	steps[0] = '\0';
	assert_int_equal(run_with(&o), 0);
	assert_string_equal(steps, "destroyed released reset reset ");
}

static void refuses(int want, const char *because)
{
	const struct gk_handoff_opts o = { .gate_domain = "gk-gate",
					   .to_config = config,
					   .to_name = "sys-usb" };

	assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)), want);
	if (strstr(why, because) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", because, why);
	assert_int_equal(run(0), want);
	/* Nothing was changed, xl not even asked. */
	file_is("bin/log", "");
	file_is("bin/domains", "Domain-0\ngk-gate\n");
}

static void no_reset(void **state)
{
	(void)state;
	tree_remove(&t, DEV "0000:03:00.0/reset_method");
	tree_remove(&t, DEV "0000:03:00.0/reset");
	refuses(GK_ERR_VALUE, "0000:03:00.0 has no reset method");
	refuses(GK_ERR_VALUE, "--no-strict-reset");

	assert_int_equal(run(1), 0);
	assert_string_equal(steps, "destroyed released reset tainted created "
				   "assigned ");
	file_has(GK_HANDOFF_TAINTED, "0000:03:00.0 2");
	file_has(GK_HANDOFF_TAINTED, "Z no-reset-method\n");
}

static void not_ours(void **state)
{
	(void)state;
	tree_link(&t, DEV "0000:03:00.0/driver", "../../bus/pci/drivers/xhci_hcd");
	refuses(GK_ERR_ORDER, "0000:03:00.0 does not belong to pciback "
			      "(its driver: xhci_hcd)");
	tree_remove(&t, DEV "0000:03:00.0/driver");
	refuses(GK_ERR_ORDER, "(its driver: none)");
	tree_link(&t, DEV "0000:03:00.0/driver", "../../bus/pci/drivers/pciback");
	tree_write(&t, DEV "0000:03:00.0/driver_override", "vfio-pci\n");
	refuses(GK_ERR_ORDER, "vfio-pci");
}

static void left_to_dom0(void **state)
{
	(void)state;
	tree_write(&t, "proc/cmdline", "ro rd.qubes.dom0_usb=03:00.0\n");
	tree_link(&t, DEV "0000:03:00.0/driver", "../../bus/pci/drivers/xhci_hcd");
	assert_int_equal(run(0), 0);
	file_has("bin/log", "pci=[\"0000:00:14.0" PCI_OPTIONS "\"]");
	file_is(DEV "0000:03:00.0/reset", "");
	file_is(DEV "0000:03:00.0/driver_override", "pciback\n");
}

static void no_controller(void **state)
{
	(void)state;
	tree_remove(&t, DEV "0000:03:00.0");
	tree_remove(&t, DEV "0000:00:14.0");
	refuses(GK_ERR_NOT_FOUND, "no USB controller");
}

static void options(void **state)
{
	static const char *const bad[] = { "", "-f", "7", "a b", "a\"b", "a;b", "a/b",
					   "gk-gate", "Domain-0", NULL };
	struct gk_handoff_opts o = { .gate_domain = "gk-gate",
				     .to_config = config };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.to_name = bad[i];
		assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)),
				 GK_ERR_VALUE);
		assert_true(why[0] != '\0');
	}
	o.to_name = "sys-usb";
	assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)), 0);
	o.to_config = "etc/sys-usb.cfg";
	assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)),
			 GK_ERR_VALUE);
	o.to_config = "/nowhere\n.cfg";
	assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)),
			 GK_ERR_NOT_FOUND);
	assert_string_equal(why, "/nowhere?.cfg: No such file or directory");
	o.to_config = "/dev/null";
	assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)),
			 GK_ERR_NOT_FOUND);
	o.to_config = NULL;
	o.gate_domain = NULL;
	assert_int_equal(gk_handoff_check(t.root, &o, &told, why, sizeof(why)),
			 GK_ERR_VALUE);
}

static void target_runs(void **state)
{
	(void)state;
	tree_write(&t, "bin/domains", "Domain-0\ngk-gate\nsys-usb\n");
	assert_int_equal(run(0), GK_ERR_ORDER);
	assert_string_equal(why, "domain sys-usb is running already");
	file_is("bin/domains", "Domain-0\ngk-gate\nsys-usb\n");
	file_is(DEV "0000:00:14.0/driver_override", "(null)\n");
}

static void no_toolstack(void **state)
{
	(void)state;
	script("bin/list.hook",
	       "#!/bin/sh\necho 'xencall: error: no such' >&2\nexit 1\n");
	assert_int_equal(run(0), GK_ERR_SYSTEM);
	assert_string_equal(why, "xl list failed (1): xencall: error: no such");
	assert_string_equal(steps, "");
}

/* xl says it failed, yet the domain has gone: that is what was wanted. */
static void destroy_says_no(void **state)
{
	(void)state;
	script("bin/destroy.hook",
	       "#!/bin/sh\necho Domain-0 >$1/domains\n"
	       "mv $1/assigned $1/assignable\nexit 1\n");
	assert_int_equal(run(0), 0);
	assert_string_equal(why, "");
}

static void destroy_fails(void **state)
{
	(void)state;
	script("bin/destroy.hook", "#!/bin/sh\necho 'libxl: stuck'\nexit 1\n");
	assert_int_equal(run(0), GK_ERR_SYSTEM);
	assert_string_equal(why, "xl destroy failed (1): libxl: stuck");
	assert_string_equal(steps, "");
	file_is(DEV "0000:03:00.0/reset", "");
}

static void reset_fails(void **state)
{
	(void)state;
	tree_remove(&t, DEV "0000:03:00.0/reset");
	tree_mkdir(&t, DEV "0000:03:00.0/reset");
	assert_int_equal(run(0), GK_ERR_SYSTEM);
	assert_string_equal(why, "USB controller 0000:03:00.0 could not be reset "
				 "(bus): Is a directory");
	file_is("bin/domains", "Domain-0\n");
	no_taint();
}

static void reset_fails_allowed(void **state)
{
	(void)state;
	tree_remove(&t, DEV "0000:03:00.0/reset");
	tree_mkdir(&t, DEV "0000:03:00.0/reset");
	assert_int_equal(run(1), 0);
	file_has(GK_HANDOFF_TAINTED, "Z reset-failed\n");
}

/* What cannot be written down is not done. */
static void taint_fails(void **state)
{
	(void)state;
	tree_remove(&t, DEV "0000:03:00.0/reset_method");
	tree_remove(&t, DEV "0000:03:00.0/reset");
	tree_link(&t, "run/gatekeeper/tainted", "elsewhere");
	assert_int_equal(run(1), GK_ERR_SYSTEM);
	assert_non_null(strstr(why, "0000:03:00.0 cannot be written down as tainted"));
	file_is("bin/domains", "Domain-0\n");
}

/* It came half-way: it is destroyed, and the controllers are reset once more. */
static void create_fails(void **state)
{
	(void)state;
	script("bin/create.hook",
	       "#!/bin/sh\necho sys-usb >>$1/domains\nmv $1/assignable $1/assigned\n"
	       "for r in $1/../" DEV "*/reset; do : >$r; done\n"
	       "echo 'libxl: error: no memory'\nexit 3\n");
	assert_int_equal(run(0), GK_ERR_SYSTEM);
	assert_string_equal(why, "xl create failed (3): libxl: error: no memory");
	assert_string_equal(steps, "destroyed released reset reset taken reset reset ");
	file_is("bin/domains", "Domain-0\n");
	file_is("bin/assignable", "0000:00:14.0\n0000:03:00.0\n");
	file_is(DEV "0000:03:00.0/reset", "1");
}

/* dom0's own driver got one while the domain was made. */
static void stolen(void **state)
{
	(void)state;
	script("bin/create.hook",
	       "#!/bin/sh\necho sys-usb >>$1/domains\nmv $1/assignable $1/assigned\n"
	       "ln -sfn ../drivers/xhci_hcd $1/../" DEV "0000:03:00.0/driver\n");
	assert_int_equal(run(0), GK_ERR_ORDER);
	assert_non_null(strstr(why, "0000:03:00.0 is not held by pciback after it was "
				    "given away (driver: xhci_hcd"));
	file_is("bin/domains", "Domain-0\n");
}

static void undo_fails(void **state)
{
	(void)state;
	script("bin/create.hook",
	       "#!/bin/sh\necho sys-usb >>$1/domains\n"
	       "printf '#!/bin/sh\\necho stuck\\nexit 1\\n' >$1/destroy.hook\n"
	       "chmod +x $1/destroy.hook\necho 'no memory'\nexit 1\n");
	assert_int_equal(run(0), GK_ERR_SYSTEM);
	assert_string_equal(why, "xl create failed (1): no memory");
	assert_string_equal(then, "xl destroy failed (1): stuck");
}

/* The toolstack never says that the domain has them: 10 s, then undone. */
static void not_assigned(void **state)
{
	uint64_t begin = gk_run_now_ms();

	(void)state;
	script("bin/pci-list.hook", "#!/bin/sh\necho 'Vdev Device'\n"
				    "echo '00.0 0000:00:14.0'\n");
	assert_int_equal(run(0), GK_ERR_TIMEOUT);
	assert_string_equal(why, "domain sys-usb does not have USB controller "
				 "0000:03:00.0");
	assert_in_range(gk_run_now_ms() - begin, GK_HANDOFF_VERIFY_MS,
			GK_HANDOFF_VERIFY_MS + 5000);
	file_is("bin/domains", "Domain-0\n");
}

static const struct gk_handoff_opts to_agent = {
	.gate_domain = "gk-gate", .to_domid = 7, .to_name = "sys-usb", .gate_domid = 5,
	.n = 1, .bdf = { "0000:03:00.0" }, .suspect = 7,
};

/* By xenstore nobody has it; Xen knows better: neither a reset nor a new owner. */
static void assigned_in_xen(void **state)
{
	(void)state;
	tree_write(&t, "xen", "assigned 7 0000:03:00.0\n");
	tree_write(&t, "xenstore", "answered\ndomain 7 1 sys-usb\n");
	assert_int_equal(gk_handoff_reset(t.root, &to_agent, &told, why, sizeof(why)),
			 GK_ERR_ORDER);
	assert_string_equal(why, "USB controller 0000:03:00.0 is a domain's by Xen, and "
				 "nobody's by xenstore");
	assert_int_equal(gk_handoff_assign(t.root, &to_agent, &told, why, sizeof(why)),
			 GK_ERR_ORDER);
	file_is("bin/log", "");
	tree_write(&t, "xen", "assigned 7 0000:00:14.0\n");
	assert_int_equal(gk_handoff_reset(t.root, &to_agent, &told, why, sizeof(why)), 0);
}

/* Taken back by the end of the domain that was being given it, and of no other: with
 * the mark of a third one it is waited for, and told of. */
static void taken_by_half(void **state)
{
	uint64_t begin;

	(void)state;
	script("bin/destroy.hook", "#!/bin/sh\n: >$1/../xen\nexit 0\n");
	tree_write(&t, "xen", "assigned 7 0000:03:00.0\n");
	tree_write(&t, "xenstore", "answered\ndomain 7 1 sys-usb\n");
	assert_int_equal(gk_handoff_take_back(t.root, &to_agent, &told, why,
					      sizeof(why)), 0);
	file_is("bin/log", "destroy 7\n");
	tree_write(&t, "bin/log", "");
	tree_write(&t, "xen", "assigned 9 0000:03:00.0\n");
	tree_write(&t, "xenstore", "answered\ndomain 7 1 sys-usb\ndomain 9 0 other\n"
		   "marked 9 0000:03:00.0\n");
	begin = gk_run_now_ms();
	assert_int_equal(gk_handoff_take_back(t.root, &to_agent, &told, why,
					      sizeof(why)), GK_ERR_ORDER);
	assert_in_range(gk_run_now_ms() - begin, GK_HANDOFF_RELEASE_MS,
			GK_HANDOFF_RELEASE_MS + 5000);
	file_is("bin/log", "");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(good), CASE(release_only), CASE(no_reset), CASE(not_ours),
		CASE(left_to_dom0), CASE(no_controller), CASE(options),
		CASE(target_runs), CASE(no_toolstack), CASE(destroy_says_no),
		CASE(destroy_fails), CASE(reset_fails), CASE(reset_fails_allowed),
		CASE(taint_fails), CASE(create_fails), CASE(stolen),
		CASE(undo_fails), CASE(not_assigned), CASE(assigned_in_xen),
		CASE(taken_by_half),
	};
	ssize_t n;
	int fd;

	xl_script = argc == 2 ? argv[1] : "tests/handoff/xl";
	fd = open(xl_script, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, xl_text, sizeof(xl_text) - 1);
	if (n <= 0) {
		(void)fprintf(stderr, "%s: cannot be read\n", xl_script);
		return 1;
	}
	(void)close(fd);
	return cmocka_run_group_tests_name("handoff", tests, NULL, NULL);
}
