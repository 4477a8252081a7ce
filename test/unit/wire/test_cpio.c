/* cpio archives: the exact bytes of a small one, and that cpio(1) reads what we write. */

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
#include "wire/cpio.h"

static char *sample(size_t *ret_len)
{
	struct cpio c = { 0 };
	cpio_add_dir(&c, "etc", 0755);
	cpio_add_file(&c, "etc/a", 0644, "hello", 5);
	cpio_add_link(&c, "etc/b", "a");
	cpio_add_file(&c, "etc/empty", 0600, NULL, 0);
	return cpio_take(&c, ret_len);
}

static void test_bytes(void **state)
{
	(void)state;
	struct cpio c = { 0 };
	size_t len;
	cpio_add_file(&c, "ab", 0644, "hello", 5);
	_cleanup_(freep) char *archive = cpio_take(&c, &len);
	static const char expect[] = "070701"
				     "00000001"
				     "000081A4"
				     "00000000"
				     "00000000"
				     "00000001"
				     "00000000"
				     "00000005"
				     "00000000"
				     "00000000"
				     "00000000"
				     "00000000"
				     "00000003"
				     "00000000"
				     "ab\0\0\0\0hello\0\0\0"
				     "070701"
				     "00000000"
				     "00000000";
	assert_int_equal(len, 512);
	/* 110 + 3 bytes are padded to 116. */
	assert_memory_equal(archive, expect, 110 + 3);
	assert_memory_equal(archive + 116,
			    "hello\0\0\0"
			    "070701",
			    14);
	assert_non_null(memmem(archive, len, "TRAILER!!!", 11));
	cpio_done(&c);
}

static void test_deterministic(void **state)
{
	(void)state;
	size_t a_len, b_len;
	_cleanup_(freep) char *a = sample(&a_len), *b = sample(&b_len);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	free(b);
	b = NULL;
}

static void test_cpio_reads_it(void **state)
{
	(void)state;
	if (access("/usr/bin/cpio", X_OK) != 0 && access("/bin/cpio", X_OK) != 0) {
		print_message("skipped: cpio is not installed\n");
		skip();
	}
	char path[] = "/tmp/test_cpio.XXXXXX";
	int fd = mkstemp(path);
	size_t len;
	_cleanup_(freep) char *archive = sample(&len);
	assert_int_equal(write(fd, archive, len), (ssize_t)len);
	close(fd);
	_cleanup_(freep) char *command = xasprintf(
		"cpio -itv --quiet <%s 2>&1 | awk '{print $1, $2, $5, $9, $10, $11}'", path);
	FILE *f = popen(command, "re");
	char text[512] = "";
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	assert_int_equal(pclose(f), 0);
	unlink(path);
	assert_string_equal(text, "drwxr-xr-x 2 0 etc  \n"
				  "-rw-r--r-- 1 5 etc/a  \n"
				  "lrwxrwxrwx 1 1 etc/b -> a\n"
				  "-rw------- 1 0 etc/empty  \n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_cpio_reads_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
