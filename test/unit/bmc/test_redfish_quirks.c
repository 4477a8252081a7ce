/* The table of quirks: what its rows mean for a given BMC, and that docs/bmc.md prints all of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/redfish/quirks.h"

static bool has(const char *vendor, const char *model, enum rf_quirk quirk)
{
	return rf_quirks_of(vendor, model, "") & (1U << quirk);
}

static void test_who_has_what(void **state)
{
	static const struct {
		const char *vendor, *model;
		enum rf_quirk quirk;
		bool want;
	} cases[] = {
		{ "Dell Inc.", "PowerEdge R750", RF_QUIRK_DELL_CD, true },
		{ "HPE", "ProLiant DL380a Gen11", RF_QUIRK_DELL_CD, false },
		{ "Supermicro", "SYS-1029P", RF_QUIRK_USB_CD, true },
		{ "Supermicro", "ARS-111GL-NHR", RF_QUIRK_USB_CD, false },
		{ "SUPERMICRO", "SYS-1029P", RF_QUIRK_BOOT_ENABLED, true },
		{ "Supermicro", "SYS-1029P", RF_QUIRK_MODE_FLIPS, true },
		{ "Supermicro", "SYS-1029P", RF_QUIRK_LICENSE, true },
		{ "Supermicro", "SYS-1029P", RF_QUIRK_IMAGE_STAYS, true },
		{ "Lenovo", "ThinkSystem SR670 V2", RF_QUIRK_EXT_SLOTS, true },
		{ "Lenovo", "ThinkSystem SR670 V2", RF_QUIRK_UEFI_ORDER, true },
		{ "GIGABYTE", "H262-Z63-00", RF_QUIRK_BOOT_WHOLE, true },
		{ "American Megatrends International, LLC.", "", RF_QUIRK_BOOT_WHOLE, true },
		{ "ASRockRack", "", RF_QUIRK_BOOT_WHOLE, true },
		{ "GIGABYTE", "H262-Z63-00", RF_QUIRK_BIOS_SD, true },
		{ "GIGABYTE", "H262-Z63-00", RF_QUIRK_ENABLE_MEDIA, true },
		{ "Huawei", "", RF_QUIRK_VMM_CONTROL, true },
		{ "xFusion", "", RF_QUIRK_VMM_CONTROL, true },
		{ "", "", RF_QUIRK_BOOT_WHOLE, false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (has(cases[i].vendor, cases[i].model, cases[i].quirk) != cases[i].want)
			fail_msg("%s %s: quirk %d", cases[i].vendor, cases[i].model,
				 cases[i].quirk);
}

static void test_versions(void **state)
{
	(void)state;
	assert_true(rf_version_compare("iLO 5 v1.40", "iLO 5 v2.1") < 0);
	assert_true(rf_version_compare("7.00.60.00", "7.00.30.00") > 0);
	assert_int_equal(rf_version_compare("1.2", "1.2.0"), 0);
	assert_int_equal(rf_version_compare("", ""), 0);
	assert_true(rf_version_compare("99999999999999999999999", "1") > 0);
}

static char *read_docs(void)
{
	FILE *f = fopen("docs/bmc.md", "r");
	assert_non_null(f);
	struct strbuf text = { 0 };
	char buf[4096];
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&text, buf, n);
	fclose(f);
	return strbuf_take(&text, NULL);
}

/* Every row, as a row; and no row there that is not here. */
static void test_docs_print_them(void **state)
{
	(void)state;
	char *docs = read_docs();
	unsigned rows = 0, printed = 0;
	for (const struct rf_quirk_row *r = rf_quirk_rows(); r->vendor; r++, rows++) {
		_cleanup_(freep) char *line = xasprintf(
			"\n| %s%s%s%s%s | %s | %s |\n", *r->vendor ? r->vendor : "any",
			r->model ? ", " : "", r->model ? r->model : "",
			r->before ? ", before " : "", r->before ? r->before : "", r->what, r->how);
		if (!strstr(docs, line))
			fail_msg("docs/bmc.md does not print this row: %s", line);
	}
	const char *table = strstr(docs, "| vendor | what it does");
	assert_non_null(table);
	for (const char *l = strchr(table, '\n'); l && l[1] == '|'; l = strchr(l + 1, '\n'))
		printed++;
	assert_int_equal(printed, rows + 1); /* the line below the head */
	free(docs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_has_what),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_docs_print_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
