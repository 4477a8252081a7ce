/* ISO images and config drives, with xorriso as the judge: names, contents, volume id, and that the
 * same input gives the same bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/compress.h"
#include "wire/configdrive.h"
#include "wire/iso9660.h"

static const struct iso9660_options options = {
	.volume_id = "config-2",
	.publisher = "metalsmith",
	.time = UINT64_C(1793000000) * USEC_PER_SEC,
	.max_bytes = 4 * 1024 * 1024,
};

static int shell(char *out, size_t size, const char *fmt, ...) _printf_(3, 4);
static int shell(char *out, size_t size, const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	FILE *f = popen(command, "re");
	size_t len = fread(out, 1, size - 1, f);
	out[len] = '\0';
	return pclose(f);
}

static void write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void test_config_drive_by_xorriso(void **state)
{
	(void)state;
	char out[65536];
	if (shell(out, sizeof(out), "command -v xorriso") != 0) {
		print_message("skipped: xorriso is not installed\n");
		skip();
	}
	char dir[] = "/tmp/ingot-iso-XXXXXX";
	assert_non_null(mkdtemp(dir));
	const struct configdrive_files files = {
		.meta_data = "{\"uuid\": \"u\", \"name\": \"n\"}",
		.user_data = "#cloud-config\nhostname: x\n",
		.user_data_len = 26,
		.network_data = "{\"links\": []}",
	};
	void *iso = NULL;
	size_t len = 0;
	assert_int_equal(configdrive_build(&files, options.time, &iso, &len, NULL), 0);
	char *path = xasprintf("%s/cd.iso", dir);
	write_file(path, iso, len);
	assert_int_equal(
		shell(out, sizeof(out), "xorriso -abort_on WARNING -indev %s -pvd_info 2>&1", path),
		0);
	assert_non_null(strstr(out, "Volume Id    : config-2"));
	assert_non_null(strstr(out, "Publisher Id : metalsmith"));
	assert_int_equal(shell(out, sizeof(out),
			       "xorriso -abort_on WARNING -indev %s -find / -exec lsdl 2>&1", path),
			 0);
	assert_non_null(strstr(out, "'/openstack/latest/meta_data.json'"));
	assert_non_null(strstr(out, "'/openstack/2012-08-10/user_data'"));
	assert_null(strstr(out, "vendor_data2"));
	assert_non_null(strstr(out, "-r--r--r--"));
	assert_int_equal(shell(out, sizeof(out),
			       "xorriso -osirrox on -indev %s -extract / %s/rr >/dev/null 2>&1 && "
			       "cat %s/rr/openstack/latest/user_data",
			       path, dir, dir),
			 0);
	assert_string_equal(out, "#cloud-config\nhostname: x\n");
	/* The Joliet tree alone, as a reader without Rock Ridge sees it. */
	assert_int_equal(
		shell(out, sizeof(out),
		      "xorriso -read_fs norock -osirrox on -indev %s -extract / %s/jo >/dev/null 2>&1 && "
		      "cat %s/jo/openstack/2012-08-10/meta_data.json",
		      path, dir, dir),
		0);
	assert_string_equal(out, files.meta_data);
	assert_int_equal(shell(out, sizeof(out),
			       "blkid -p -o value -s LABEL %s; blkid -p -o value -s TYPE %s", path,
			       path),
			 0);
	assert_string_equal(out, "config-2\niso9660\n");
	shell(out, sizeof(out), "chmod -R u+w %s; rm -rf %s", dir, dir);
	free(path);
	free(iso);
}

static void test_same_bytes(void **state)
{
	(void)state;
	const struct iso9660_file files[] = { { "b/x.txt", "one", 3 },
					      { "a/x.txt", "one", 3 },
					      { "z", "", 0 } };
	void *a, *b;
	size_t alen, blen;
	assert_int_equal(iso9660_build(&options, files, 3, &a, &alen, NULL), 0);
	assert_int_equal(iso9660_build(&options, files, 3, &b, &blen, NULL), 0);
	assert_int_equal(alen, blen);
	assert_memory_equal(a, b, alen);
	/* 19 + 4 path tables + ER + 2 × 3 directories + one sector shared by the two files */
	assert_int_equal(alen / ISO9660_SECTOR, 19 + 4 + 1 + 6 + 1);
	free(a);
	free(b);
}

static void check_golden(const void *iso, size_t len, const char *sum)
{
	char path[] = "/tmp/ingot-iso-XXXXXX", out[256];
	close(mkstemp(path));
	write_file(path, iso, len);
	assert_int_equal(shell(out, sizeof(out), "sha256sum <%s; rm %s", path, path), 0);
	assert_int_equal(strncmp(out, sum, 64), 0);
}

/* As earlier releases wrote it. */
static void test_golden(void **state)
{
	(void)state;
	const struct configdrive_files files = { .meta_data = "{\"uuid\": \"u\", \"name\": \"n\"}",
						 .user_data = "#cloud-config\nhostname: x\n",
						 .user_data_len = 26,
						 .network_data = "{\"links\": []}",
						 .vendor_data2 = "{}" };
	void *iso;
	size_t len;
	assert_int_equal(configdrive_build(&files, options.time, &iso, &len, NULL), 0);
	check_golden(iso, len, "c9cca27f092f01f50188f95abda0bdf8517eb2b4c5c57a96529c41125e144b34");
	free(iso);
}

/* More entries than fit in one sector of a directory, so that records must not cross its end. */
static void test_large_directory(void **state)
{
	(void)state;
	char out[65536];
	if (shell(out, sizeof(out), "command -v xorriso") != 0) {
		print_message("skipped: xorriso is not installed\n");
		skip();
	}
	enum { COUNT = 100 };
	struct iso9660_file files[COUNT];
	char paths[COUNT][40], content[COUNT][16];
	for (int i = 0; i < COUNT; i++) {
		snprintf(paths[i], sizeof(paths[i]), "d/a-long-enough-name-%03d.json", i);
		snprintf(content[i], sizeof(content[i]), "%d", i);
		files[i] = (struct iso9660_file){ paths[i], content[i], strlen(content[i]) };
	}
	void *iso;
	size_t len;
	assert_int_equal(iso9660_build(&options, files, COUNT, &iso, &len, NULL), 0);
	check_golden(iso, len, "3f5bb285bdbd6008ba6b13e199ec14e2de2df73d213125ab8837783df0db3528");
	char path[] = "/tmp/ingot-iso-XXXXXX";
	close(mkstemp(path));
	write_file(path, iso, len);
	for (int joliet = 0; joliet < 2; joliet++) {
		assert_int_equal(
			shell(out, sizeof(out),
			      "xorriso %s -abort_on WARNING -indev %s -find / -type f 2>/dev/null | wc -l",
			      joliet ? "-read_fs norock" : "", path),
			0);
		assert_string_equal(out, "100\n");
	}
	assert_int_equal(
		shell(out, sizeof(out),
		      "xorriso -osirrox on -indev %s -extract /d/a-long-enough-name-073.json %s.x >/dev/null 2>&1; cat %s.x",
		      path, path, path),
		0);
	assert_string_equal(out, "73");
	shell(out, sizeof(out), "rm -f %s %s.x", path, path);
	free(iso);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b, *says;
	} rows[] = {
		{ "../x", NULL, "bad path" },
		{ "a//b", NULL, "bad path" },
		{ "/a", NULL, "bad path" },
		{ "", NULL, "bad path" },
		{ "a b", NULL, "bad path" },
		{ "x", "x", "twice" },
		{ "a-b", "a_b", "same ISO" },
		{ "a", "a/b", "twice" },
		{ "1/2/3/4/5/6/7/8/9", NULL, "bad path" },
		{ "0123456789012345678901234567890", NULL, "bad path" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct iso9660_file files[] = { { rows[i].a, "", 0 }, { rows[i].b, "", 0 } };
		struct err err = { 0 };
		void *iso;
		size_t len;
		assert_true(iso9660_build(&options, files, rows[i].b ? 2 : 1, &iso, &len, &err) <
			    0);
		assert_non_null(strstr(err.text, rows[i].says));
	}
	struct configdrive_files big = { .user_data = xcalloc(1, CONFIGDRIVE_MAX_BYTES),
					 .user_data_len = CONFIGDRIVE_MAX_BYTES };
	struct err err = { 0 };
	void *iso;
	size_t len;
	assert_int_equal(configdrive_build(&big, 0, &iso, &len, &err), -E2BIG);
	free((void *)(uintptr_t)big.user_data);
}

static void check_gzip(const void *data, size_t len)
{
	struct strbuf packed = { 0 };
	compress_gzip(data, len, &packed);
	uint8_t *back = xmalloc(len + 1);
	z_stream z = { .next_in = (Bytef *)packed.data,
		       .avail_in = (uInt)packed.len,
		       .next_out = back,
		       .avail_out = (uInt)len + 1 };
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, len);
	assert_int_equal(z.avail_in, 0);
	assert_memory_equal(back, data, len);
	inflateEnd(&z);
	free(back);
	strbuf_done(&packed);
}

static void test_gzip(void **state)
{
	(void)state;
	check_gzip("", 0);
	check_gzip("a", 1);
	check_gzip("abcabcabcabcabcabcabc", 21);
	size_t len = 300000;
	uint8_t *data = xcalloc(1, len);
	check_gzip(data, len);
	uint32_t seed = 1;
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (uint8_t)(seed >> 24);
	}
	check_gzip(data, len);
	/* Every match length and all distance codes: copies of random pieces from random places. */
	for (size_t i = 33000; i < len;) {
		seed = seed * 1103515245 + 12345;
		size_t n = MIN(3 + (seed >> 8) % 300, len - i), back = 1 + (seed >> 5) % 32768;
		for (size_t k = 0; k < n; k++)
			data[i + k] = data[i + k - back];
		i += n;
	}
	check_gzip(data, len);
	free(data);
}

static void test_text_form(void **state)
{
	(void)state;
	const struct configdrive_files files = { .meta_data = "{}" };
	char *text = NULL;
	assert_int_equal(configdrive_build_text(&files, 0, &text, NULL), 0);
	assert_true(str_has_prefix(text, "H4sI"));
	assert_true(strlen(text) < 4000);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_drive_by_xorriso),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_large_directory),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_text_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
