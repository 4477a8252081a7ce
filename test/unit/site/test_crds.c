/* CustomResourceDefinitions of the standalone API: those in the program, and those of directories.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "site/crds.h"

static void write_file(const char *directory, const char *name, const char *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", directory, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_embedded(void **state)
{
	struct site_crd_list list;
	(void)state;
	assert_int_equal(site_crds_load(&(struct option_list){ 0 }, &list, NULL), 0);
	assert_true(list.count >= 5);
	bool hosts = false;
	for (size_t i = 0; i < list.count; i++)
		hosts |= strstr(list.json[i], "\"BareMetalHost\"") != NULL;
	assert_true(hosts);
	assert_null(list.json[list.count]);
	site_crds_done(&list);
}

/* Several documents in a file; what is not named like a definition is left alone. */
static void test_directories(void **state)
{
	char directory[] = "/tmp/ingot-crds-XXXXXX";
	struct site_crd_list ours, all;
	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file(directory, "a.yaml", "kind: A\n---\nkind: B\n");
	write_file(directory, "c.json", "{\"kind\":\"C\"}");
	write_file(directory, "README", "not: [YAML");
	write_file(directory, ".hidden.yaml", "not: [YAML");
	const char *items[] = { directory };
	const struct option_list list = { items, 1 };
	assert_int_equal(site_crds_load(&(struct option_list){ 0 }, &ours, NULL), 0);
	assert_int_equal(site_crds_load(&list, &all, NULL), 0);
	assert_int_equal(all.count, ours.count + 3);
	assert_non_null(strstr(all.json[all.count - 1], "\"C\""));
	site_crds_done(&ours);
	site_crds_done(&all);
}

static void test_errors_name_the_file(void **state)
{
	char directory[] = "/tmp/ingot-crds-XXXXXX";
	struct site_crd_list all;
	struct err err = { 0 };
	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file(directory, "bad.yaml", "a: [1\n");
	const char *items[] = { directory, "/nonexistent/crds" };
	assert_true(site_crds_load(&(struct option_list){ items, 1 }, &all, &err) < 0);
	assert_non_null(strstr(err.text, "bad.yaml"));
	assert_true(site_crds_load(&(struct option_list){ items + 1, 1 }, &all, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent/crds"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_errors_name_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
