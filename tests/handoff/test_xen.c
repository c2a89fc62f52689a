/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen.c with a library in place of libxenctrl (shim/xenctrl.c), and with the real one as
 * far as it goes without Xen. */
#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handoff/xen.h"
#include "tree.h"

static char played[PATH_MAX];

static void answers(void **state)
{
	void *lib = dlopen(played, RTLD_NOW);
	int *handles;

	(void)state;
	assert_non_null(lib);
	handles = dlsym(lib, "played_handles");
	assert_int_equal(gk_xen_ask(played, 0xa0), 1);
	assert_int_equal(gk_xen_ask(played, 0xffff03eb), 1);
	assert_int_equal(gk_xen_ask(played, 0xa8), 0);
	/* "It does not say" is neither of the two. */
	assert_int_equal(gk_xen_ask(played, 0x300), GK_ERR_SYSTEM);
	assert_int_equal(gk_xen_ask(played, 0x400), GK_ERR_SYSTEM);
	assert_int_equal(gk_xen_ask(played, 0x500), GK_ERR_SYSTEM);
	assert_int_equal(*handles, 0);
	*(int *)dlsym(lib, "played_closed") = 1;
	assert_int_equal(gk_xen_ask(played, 0xa0), GK_ERR_SYSTEM);
	(void)dlclose(lib);
}

static void no_library(void **state)
{
	(void)state;
	assert_int_equal(gk_xen_ask("libxenctrl.so.0.0", 0xa0), GK_ERR_SYSTEM);
	/* One that has not what is needed. */
	assert_int_equal(gk_xen_ask("libc.so.6", 0xa0), GK_ERR_SYSTEM);
}

/* The real one has all that is called; without Xen it lets nobody in. */
static void real(void **state)
{
	glob_t found;
	void *lib;

	(void)state;
	assert_int_equal(glob("/usr/lib/*/libxenctrl.so.4.*", 0, NULL, &found), 0);
	lib = dlopen(found.gl_pathv[0], RTLD_NOW);
	assert_non_null(lib);
	assert_non_null(dlsym(lib, "xc_interface_open"));
	assert_non_null(dlsym(lib, "xc_interface_close"));
	assert_non_null(dlsym(lib, "xc_test_assign_device"));
	if (access("/dev/xen/privcmd", F_OK) != 0 && access("/proc/xen/privcmd", F_OK))
		assert_int_equal(gk_xen_ask(found.gl_pathv[0], 0xa0), GK_ERR_SYSTEM);
	(void)dlclose(lib);
	globfree(&found);
}

static void of_a_file(void **state)
{
	struct tree t;

	(void)state;
	tree_new(&t);
	assert_int_equal(gk_xen_assigned(t.root, "0000:00:14.0"), GK_ERR_SYSTEM);
	tree_write(&t, "xen", "Xen\nassigned 7 0000:00:14.0\n");
	assert_int_equal(gk_xen_assigned(t.root, "0000:00:14.0"), 1);
	assert_int_equal(gk_xen_assigned(t.root, "0000:03:00.0"), 0);
	assert_int_equal(gk_xen_assigned(t.root, "0000:00:14"), GK_ERR_VALUE);
	tree_free(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers), cmocka_unit_test(no_library),
		cmocka_unit_test(real), cmocka_unit_test(of_a_file),
	};

	(void)argc;
	/* Beside this program's folder. */
	(void)snprintf(played, sizeof(played), "%.*s/../xenctrl.so",
		       (int)(strrchr(argv[0], '/') - argv[0]), argv[0]);
	return cmocka_run_group_tests_name("xen", tests, NULL, NULL);
}
