/* Pages of vital product data, good ones and broken ones. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/hw/vpd.h"
#include "base/mem.h"
#include "base/str.h"

#define BYTES(text) (text), sizeof(text) - 1

struct row {
	const char *page;
	size_t len;
	const char *wanted;
};

static void test_serial(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ BYTES("\0\x80\0\x08  QM001 "), "QM001" },
		{ BYTES("\0\x80\0\x05QM\x01\xff"
			"1"),
		  "QM??1" },
		/* more claimed than sent, less claimed than sent */
		{ BYTES("\0\x80\0\xffQM001"), "QM001" },
		{ BYTES("\0\x80\0\x02QM001"), "QM" },
		{ BYTES("\0\x80\0\x04"
			"ab\0\0"),
		  "ab" },
		{ BYTES("\0\x80\0\x02  "), NULL },
		{ BYTES("\0\x80\0\0"), NULL },
		{ BYTES("\0\x80\0"), NULL },
		{ BYTES(""), NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *got = vpd_serial(rows[i].page, rows[i].len);
		if (!streq(got, rows[i].wanted))
			fail_msg("row %zu: %s", i, str_or(got, "none"));
	}
}

#define NAA5	"\x01\x03\0\x08\x50\x02\x53\x8a\x48\x7d\xb5\xe0"
#define NAA5_IN "35002538a487db5e0"
#define NAA6	"\x01\x03\0\x10\x60\x05\x08\xb1\0\x1c\x62\x55\x69\xd1\x47\x67\x96\xd3\x41\x1e"
#define NAA2	"\x01\x03\0\x08\x20\0\0\x25\x38\0\0\x01"
#define PORT	"\x01\x13\0\x08\x50\x02\x53\x8a\x48\x7d\xb5\xe1"
#define T10                                                                                        \
	"\x02\x01\0\x0e"                                                                           \
	"ATA     S  1  "
#define EUI "\x01\x02\0\x08\0\x25\x38\x01\x02\x03\x04\x05"
#define OWN "\x02\0\0\x04 a1 "

static void test_identifier(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ BYTES("\0\x83\0\x0c" NAA5), NAA5_IN },
		/* the longest number wins, wherever it stands */
		{ BYTES("\0\x83\0\x20" NAA5 NAA6), "3600508b1001c625569d1476796d3411e" },
		{ BYTES("\0\x83\0\x20" NAA6 NAA5), "3600508b1001c625569d1476796d3411e" },
		{ BYTES("\0\x83\0\x18" NAA2 NAA5), NAA5_IN },
		{ BYTES("\0\x83\0\x18" NAA2 EUI), "32000002538000001" },
		{ BYTES("\0\x83\0\x1e" T10 EUI), "20025380102030405" },
		{ BYTES("\0\x83\0\x1a" OWN T10), "1ATA     S  1" },
		{ BYTES("\0\x83\0\x08" OWN), "0a1" },
		/* the port's is not the disk's */
		{ BYTES("\0\x83\0\x18" PORT NAA5), NAA5_IN },
		{ BYTES("\0\x83\0\x0c" PORT), NULL },
		/* broken: cut, overlong, empty */
		{ BYTES("\0\x83\0\x20" NAA5 "\x01\x03\0\x10\x60\x05"), NAA5_IN },
		{ BYTES("\0\x83\0\x0c\x01\x03\0\xff\x50\x02\x53\x8a\x48\x7d\xb5\xe0"), NULL },
		{ BYTES("\0\x83\0\x10\x01\x03\0\0" NAA5), NULL },
		{ BYTES("\0\x83\xff\xff" NAA5), NAA5_IN },
		{ BYTES("\0\x83\0\0"), NULL },
		{ BYTES("\0\x83"), NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool own = false;
		_cleanup_(freep) char *got = vpd_identifier(rows[i].page, rows[i].len, &own);
		if (!streq(got, rows[i].wanted))
			fail_msg("row %zu: %s", i, str_or(got, "none"));
		assert_int_equal(own, got && *got == '0');
	}
}

static void test_ata(void **state)
{
	(void)state;
	uint8_t page[154] = { 0, 0x89 };
	memset(page + 60, ' ', sizeof(page) - 60);
	memcpy(page + 60 + 20, (const char[]){ 'E', 'S', '1', 'R' }, 4);
	memcpy(page + 60 + 54, (const char[]){ 'O', 'M', 'E', 'D', ' ', 'L' }, 6);
	_cleanup_(freep) char *serial = vpd_ata_serial(page, sizeof(page));
	_cleanup_(freep) char *model = vpd_ata_model(page, sizeof(page));
	assert_string_equal(serial, "SER1");
	assert_string_equal(model, "MODEL");
	assert_null(vpd_ata_model(page, sizeof(page) - 1));
	assert_null(vpd_ata_serial(page, 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_identifier),
		cmocka_unit_test(test_ata),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
