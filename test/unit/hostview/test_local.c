/* The kubeconfig of the standalone Ingot of this machine: by the unit's options, else by default.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "hostview/local.h"

static void make(const char *root, const char *path)
{
	_cleanup_(freep) char *command = xasprintf("mkdir -p %s%s", root, path);
	assert_int_equal(system(command), 0); // NOLINT: paths of ours
}

static void check(const char *root, const char *expected)
{
	_cleanup_(freep) char *found = local_kubeconfig(root);
	_cleanup_(freep) char *whole = expected ? xasprintf("%s%s", root, expected) : NULL;
	assert_true(streq(found, whole));
}

static void options(const char *root, const char *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/etc/default/ingot", root);
	make(root, "/etc/default");
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void test_where(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "/var/lib/ingot/kubeconfig" },
		{ "#INGOT_OPTIONS=--data-dir /srv/b\n", "/var/lib/ingot/kubeconfig" },
		{ "INGOT_OPTIONS=--dhcp off --data-dir /srv/a\n", "/srv/a/kubeconfig" },
		{ "INGOT_OPTIONS=--data-dir=/srv/a --dhcp off\n", "/srv/a/kubeconfig" },
		{ "INGOT_OPTIONS=\"--data-dir /srv/a\"\n", "/srv/a/kubeconfig" },
		{ "INGOT_OPTIONS=--data-dir /srv/a --data-dir /srv/b", "/srv/b/kubeconfig" },
		{ "INGOT_OPTIONS=--data-dir /srv/a\nINGOT_OPTIONS=--dhcp off\n",
		  "/var/lib/ingot/kubeconfig" },
		{ "INGOT_OPTIONS=--data-dir\n", "/var/lib/ingot/kubeconfig" },
		{ "INGOT_OPTIONS=--data-dir /srv/missing\n", NULL },
	};
	char root[] = "/tmp/ingot-local-XXXXXX";
	assert_non_null(mkdtemp(root));
	check(root, NULL);
	make(root, "/var/lib/ingot");
	make(root, "/srv/a");
	make(root, "/srv/b");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		options(root, rows[i].text);
		check(root, rows[i].expected);
	}
	_cleanup_(freep) char *command = xasprintf("rm -r %s", root);
	assert_int_equal(system(command), 0); // NOLINT: a path of ours
}

static void test_other(void **state)
{
	(void)state;
	unsetenv("KUBECONFIG"), unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", "/nonexistent", 1);
	assert_false(local_has_other());
	setenv("KUBECONFIG", "x", 1);
	assert_true(local_has_other());
	unsetenv("KUBECONFIG");
	setenv("KUBERNETES_SERVICE_HOST", "x", 1);
	assert_true(local_has_other());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
