/* The image write onto a regular file that was filled with a pattern: what is not in the image must
 * be zero afterwards, never the pattern; what is wrong must leave sector 0 zeroed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image_rig.h"

/* --- raw --- */

static void test_raw(void **state)
{
	(void)state;
	struct job j = { .server.etag = "\"1\"" };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	assert_int_equal(j.result.format, DISK_FORMAT_RAW);
}

static void test_raw_fills_the_disk(void **state)
{
	(void)state;
	struct job j = { .disk_mib = IMAGE_MIB };
	expect_ok(&j, image, IMAGE_MIB * MIB);
}

static void test_raw_odd_length(void **state)
{
	(void)state;
	struct job j = { 0 };
	size_t len = 10 * MIB + 12345;
	if (write_image(&j, image, len) < 0)
		fail_msg("%s", j.err.text);
	assert_memory_equal(j.disk, image, len);
	job_done(&j);
}

static void test_raw_without_range_and_length(void **state)
{
	(void)state;
	struct job j = { .server = { .no_range = true, .no_length = true } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
}

static void test_wrong_checksum(void **state)
{
	(void)state;
	struct job j = { 0 };
	char zeros[65];
	memset(zeros, '0', 64);
	zeros[64] = '\0';
	j.options.sum.checksum = zeros;
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_CHECKSUM, "was expected");
	assert_non_null(strstr(j.err.text, j.hex));
	assert_null(strstr(j.err.text, "x=1")); /* queries are not shown */
	assert_not_bootable(&j);
	job_done(&j);
	/* Also when the image reaches the end of the disk, where firmware looks for the backup. */
	struct job k = { .disk_mib = IMAGE_MIB };
	k.options.sum.checksum = zeros;
	expect_error(&k, image, IMAGE_MIB * MIB, DISK_FAULT_CHECKSUM, "was expected");
	assert_not_bootable(&k);
	const size_t tail = 64 * 1024;
	assert_true(all(k.disk + k.disk_len - tail, 0, tail));
	job_done(&k);
}

static void test_too_large(void **state)
{
	(void)state;
	struct job j = { .disk_mib = 8 };
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_IMAGE, "choose a larger disk");
	assert_untouched(&j);
	job_done(&j);
	/* Unknown size: at the edge. */
	/* (The partitions would fit.) */
	struct job k = { .disk_mib = 12, .server = { .no_range = true, .no_length = true } };
	expect_error(&k, image, IMAGE_MIB * MIB, DISK_FAULT_IMAGE, "larger than");
	assert_not_bootable(&k);
	job_done(&k);
}

static void test_blank(void **state)
{
	(void)state;
	struct job j = { 0 };
	void *blank = xcalloc(2, MIB);
	expect_error(&j, blank, 2 * MIB, DISK_FAULT_IMAGE, "no partition");
	assert_untouched(&j);
	job_done(&j);
	free(blank);
}

/* --- faults of the server --- */

static void test_dies_with_range(void **state)
{
	(void)state;
	struct job j = { .server = { .etag = "\"a\"", .die_after = 5 * MIB + 77, .die_times = 2 } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	/* probe + 16 MiB: nothing came twice */
	assert_true(atomic_load(&j.server.sent) < (IMAGE_MIB + 1) * MIB);
	assert_int_equal(j.server.die_times, 0);
}

static void test_dies_without_range(void **state)
{
	(void)state;
	struct job j = { .server = { .no_range = true, .die_after = 9 * MIB, .die_times = 3 } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
}

static void test_dies_for_good(void **state)
{
	(void)state;
	struct job j = { .server = { .die_after = 2 * MIB, .die_times = 1000 } };
	j.server.no_range = true;
	j.options.fetch.retries = 2;
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_DOWNLOAD, "attempts");
	assert_not_bootable(&j);
	job_done(&j);
}

static void test_packed_dies(void **state)
{
	(void)state;
	size_t len;
	shell("gzip -c %s/raw > %s/raw.gz", dir, dir);
	void *gz = load("raw.gz", &len);
	struct job j = { .server = { .etag = "\"a\"", .die_after = len / 3, .die_times = 2 } };
	expect_ok(&j, gz, len);
	free(gz);
}

static void test_second_url(void **state)
{
	(void)state;
	struct httpd dead = { .status = 404 };
	httpd_start(&dead);
	char *first = httpd_url(&dead, "image.bin");
	struct job j = { .server.data = image, .server.len = IMAGE_MIB * MIB };
	httpd_start(&j.server);
	j.url = httpd_url(&j.server, "image.bin");
	j.urls[0] = first;
	j.urls[1] = j.url;
	expect_ok(&j, image, IMAGE_MIB * MIB);
	httpd_stop(&dead);
	free(first);
}

/* Two servers of one image; the first sends so much and then takes no connection any more. */
static void first_dies(struct job *j, struct httpd *first, const void *data, size_t len)
{
	first->data = data;
	first->len = len;
	httpd_start(first);
	j->server.data = data;
	j->server.len = len;
	httpd_start(&j->server);
	j->url = httpd_url(&j->server, "image.bin");
	j->urls[0] = httpd_url(first, "image.bin");
	j->urls[1] = j->url;
}

/* The one that the image is read from dies in the middle: it goes on at the other by Range, from
 * the byte reached. */
static void test_replica_dies(void **state)
{
	(void)state;
	struct httpd first = { .etag = "\"a\"", .die_after = 5 * MIB + 77, .die_times = 1000 };
	struct job j = { .server = { .etag = "\"b\"" } };
	first_dies(&j, &first, image, IMAGE_MIB * MIB);
	char *url = (char *)j.urls[0];
	assert_int_equal(write_image(&j, image, IMAGE_MIB * MIB), 0);
	assert_written(&j);
	/* Together they sent the file once, and what was looked at before. */
	uint64_t both = atomic_load(&first.sent) + atomic_load(&j.server.sent);
	assert_true(both < (IMAGE_MIB + 1) * MIB);
	assert_int_equal(atomic_load(&j.server.requests), atomic_load(&j.server.ranged));
	assert_true(atomic_load(&j.server.ranged) > 0);
	job_done(&j);
	httpd_stop(&first);
	free(url);
}

/* It has the file no more when it comes back: that counts for it alone. */
static void test_replica_forgets(void **state)
{
	(void)state;
	struct httpd none = { .status = 404 };
	struct job j = { .server = { .die_after = 3 * MIB, .die_times = 4 } };
	first_dies(&j, &none, image, IMAGE_MIB * MIB);
	char *url = (char *)j.urls[0];
	assert_int_equal(write_image(&j, image, IMAGE_MIB * MIB), 0);
	assert_written(&j);
	assert_int_equal(j.server.die_times, 0);
	/* Asked once in each transfer, and there are two or three. */
	assert_in_range(atomic_load(&none.requests), 1, 3);
	job_done(&j);
	httpd_stop(&none);
	free(url);
}

/* The last of the list refuses, the one before could not be reached for a moment. */
static void test_last_replica_refuses(void **state)
{
	(void)state;
	struct httpd other = { 0 };
	struct job j = { .server = { .die_after = 3 * MIB, .die_times = 4 } };
	first_dies(&j, &other, image, IMAGE_MIB * MIB);
	char *url = (char *)j.urls[0];
	other.status = 403;
	j.urls[0] = j.url;
	j.urls[1] = url;
	assert_int_equal(write_image(&j, image, IMAGE_MIB * MIB), 0);
	assert_written(&j);
	job_done(&j);
	httpd_stop(&other);
	free(url);
}

/* Another file under the same name is not joined to the half that is there, if its size tells. */
static void test_replica_has_another_size(void **state)
{
	(void)state;
	struct httpd first = { .etag = "\"a\"", .die_after = 5 * MIB, .die_times = 1 };
	struct job j = { 0 };
	first_dies(&j, &first, image, IMAGE_MIB * MIB);
	char *url = (char *)j.urls[0];
	j.server.len = IMAGE_MIB * MIB - 512;
	assert_int_equal(write_image(&j, image, IMAGE_MIB * MIB), 0);
	assert_written(&j);
	job_done(&j);
	httpd_stop(&first);
	free(url);
}

/* If only its bytes tell, then the digest does, and nothing boots. */
static void test_replica_has_other_bytes(void **state)
{
	(void)state;
	struct httpd first = { .etag = "\"a\"", .die_after = 5 * MIB, .die_times = 1 };
	struct job j = { 0 };
	uint8_t *other = xmemdup(image, IMAGE_MIB * MIB);
	other[IMAGE_MIB * MIB / 2] ^= 1;
	first_dies(&j, &first, image, IMAGE_MIB * MIB);
	char *url = (char *)j.urls[0];
	j.server.data = other;
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_CHECKSUM, "");
	assert_not_bootable(&j);
	job_done(&j);
	httpd_stop(&first);
	free(url);
	free(other);
}

static void test_not_found(void **state)
{
	(void)state;
	struct job j = { .server.status = 404 };
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_DOWNLOAD, "404");
	assert_int_equal(j.err.kind, ERR_NOT_FOUND);
	assert_untouched(&j);
	job_done(&j);
}

static void test_authorization(void **state)
{
	(void)state;
	struct job j = { .server.want_header = "Authorization: Basic dTpw" };
	j.options.fetch.authorization = "Basic dTpw";
	expect_ok(&j, image, IMAGE_MIB * MIB);
}

static void test_bad_urls(void **state)
{
	(void)state;
	static const char *const urls[] = { "ftp://h/x", "gopher://h/x", "file:///etc/passwd",
					    "h/x" };
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct job j = { .urls = { urls[i] } };
		expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_REQUEST, "http or https");
		assert_untouched(&j);
		job_done(&j);
	}
}

/* --- packings --- */

static void check_packed(const char *command, const char *program)
{
	if (!have(program))
		skip();
	size_t len;
	assert_int_equal(shell("cd %s && %s < raw > packed", dir, command), 0);
	void *data = load("packed", &len);
	struct job j = { .disk_mib = IMAGE_MIB };
	expect_ok(&j, data, len);
	/* Cut off in the middle, with a checksum that is right for what is there. */
	struct job k = { 0 };
	expect_error(&k, data, len / 2, DISK_FAULT_IMAGE, "cut off");
	assert_not_bootable(&k);
	job_done(&k);
	/* The size inside is not known: found out at the edge. */
	struct job l = { .disk_mib = IMAGE_MIB - 1 };
	expect_error(&l, data, len, DISK_FAULT_IMAGE, "choose a larger disk");
	assert_not_bootable(&l);
	job_done(&l);
	free(data);
}

static void test_gzip(void **state)
{
	(void)state;
	check_packed("gzip -c", "gzip");
}

static void test_xz(void **state)
{
	(void)state;
	check_packed("xz -c -6", "xz");
}

static void test_zstd(void **state)
{
	(void)state;
	check_packed("zstd -q -c", "zstd");
}

static void test_concatenated(void **state)
{
	(void)state;
	static const char *const packers[] = { "gzip -c", "xz -c", "zstd -q -c" };
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		size_t len;
		if (shell("cd %s && (head -c 3000000 raw | %s; tail -c +3000001 raw | %s) > packed 2>/dev/null",
			  dir, packers[i], packers[i]) != 0) {
			print_message("skipped: %s\n", packers[i]);
			continue;
		}
		void *data = load("packed", &len);
		struct job j = { 0 };
		expect_ok(&j, data, len);
		free(data);
	}
}

static void test_memory_limits(void **state)
{
	(void)state;
	static const struct {
		const char *command, *says;
	} rows[] = {
		{ "xz -c -9", "65 MiB of memory and 36 MiB" },
		/* The window of -22, in less time. */
		{ "zstd -q -c -1 --zstd=wlog=27", "more memory than the 36 MiB that are allowed" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len;
		/* zstd takes the window only if the input may be that large */
		if (shell("cd %s && (cat raw; head -c 120000000 /dev/zero) | %s > packed 2>/dev/null",
			  dir, rows[i].command) != 0) {
			print_message("skipped: %s\n", rows[i].command);
			continue;
		}
		void *data = load("packed", &len);
		struct job j = { 0 };
		expect_error(&j, data, len, DISK_FAULT_IMAGE, rows[i].says);
		assert_untouched(&j);
		job_done(&j);
		/* A machine that has the memory unpacks it. */
		struct job k = { .disk_mib = 136,
				 .options.memory_limit = disk_image_memory(400 * MIB) };
		if (write_image(&k, data, len) < 0)
			fail_msg("%s: %s", rows[i].command, k.err.text);
		assert_memory_equal(k.disk, image, IMAGE_MIB * MIB);
		job_done(&k);
		free(data);
	}
}

/* Half of what is free, and never less than before: a machine with 128 MB refuses xz -9 as ever. */
static void test_memory_of_the_machine(void **state)
{
	(void)state;
	assert_int_equal(disk_image_memory(0), DISK_IMAGE_MEMORY);
	assert_int_equal(disk_image_memory(72 * MIB), DISK_IMAGE_MEMORY);
	assert_int_equal(disk_image_memory(200 * MIB), 100 * MIB);
	assert_int_equal(disk_image_memory(100 * 1024 * MIB), 50 * 1024 * MIB);
}

static void test_garbage_behind_gzip(void **state)
{
	(void)state;
	size_t len;
	assert_int_equal(shell("cd %s && (gzip -c raw; echo hello) > packed", dir), 0);
	void *data = load("packed", &len);
	struct job j = { 0 };
	expect_error(&j, data, len, DISK_FAULT_IMAGE, "something else follows");
	assert_not_bootable(&j);
	job_done(&j);
	free(data);
}

/* --- qcow2 --- */

static void check_qcow2(const char *options, bool no_range, bool expect_refusal)
{
	size_t len;
	if (!have("qemu-img"))
		skip();
	assert_int_equal(
		shell("cd %s && qemu-img convert -f raw -O qcow2 %s raw qcow2", dir, options), 0);
	void *data = load("qcow2", &len);
	struct job j = { .server.no_range = no_range, .disk_mib = IMAGE_MIB };
	if (!expect_refusal) {
		expect_ok(&j, data, len);
		assert_int_equal(j.result.format, DISK_FORMAT_QCOW2);
	} else {
		expect_error(&j, data, len, DISK_FAULT_IMAGE, "Range");
		assert_not_bootable(&j);
		job_done(&j);
	}
	free(data);
}

static void test_qcow2(void **state)
{
	(void)state;
	static const char *const options[] = {
		"",
		"-o compat=0.10",
		"-o cluster_size=512",
		"-o cluster_size=4096",
		"-o cluster_size=2M",
		"-c",
		"-c -o compat=0.10,cluster_size=4096",
		"-c -o compression_type=zstd",
		"-c -o cluster_size=2M",
		"-c -o compression_type=zstd,cluster_size=2M",
		"-c -o cluster_size=512",
		"-o preallocation=metadata",
		"-o preallocation=full",
		"-S 0",
	};
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		print_message("  %s\n", options[i]);
		check_qcow2(options[i], false, false);
		/* With full preallocation the second table stands before the first. */
		check_qcow2(options[i], true, strstr(options[i], "=full") != NULL);
	}
}

/* Zero clusters, snapshots, data written in another order than the guest's. */
static void test_qcow2_odd_layouts(void **state)
{
	(void)state;
	size_t len;
	if (!have("qemu-img") || !have("qemu-io"))
		skip();
	assert_int_equal(
		shell("cd %s && qemu-img create -q -f qcow2 odd 16M && "
		      "qemu-io -c 'write -P 0x77 9M 1M' -c 'write -P 0x11 5M 64k' odd >/dev/null && "
		      "qemu-img snapshot -c s odd && "
		      "qemu-io -c 'write -z 9M 128k' -c 'write -P 0x22 5M 32k' -c 'write -P 0x33 15M 1M' odd >/dev/null && "
		      "qemu-img dd -f raw -O raw if=raw of=table bs=512 count=34 && "
		      "qemu-io -c \"write -s table 0 17408\" odd >/dev/null && "
		      "qemu-img convert -f qcow2 -O raw odd odd.raw",
		      dir),
		0);
	void *data = load("odd", &len);
	size_t raw_len;
	uint8_t *raw = load("odd.raw", &raw_len);
	struct job j = { 0 };
	if (write_image(&j, data, len) < 0)
		fail_msg("%s", j.err.text);
	assert_memory_equal(j.disk, raw, raw_len);
	job_done(&j);
	free(raw);
	free(data);
}

/* The table that says where the first clusters go is the last thing in the file. */
static void test_qcow2_tables_last(void **state)
{
	(void)state;
	size_t len;
	if (!have("qemu-img"))
		skip();
	assert_int_equal(shell("cd %s && qemu-img convert -f raw -O qcow2 raw qcow2", dir), 0);
	uint8_t *data = load("qcow2", &len);
	/* Move the (one) L2 table behind everything. */
	size_t cluster = 65536, end = (len + cluster - 1) / cluster * cluster;
	data = xreallocarray(data, end + cluster, 1);
	memset(data + len, 0, end + cluster - len);
	size_t l1 = 0, l2 = 0;
	for (int i = 0; i < 8; i++)
		l1 = l1 << 8 | data[40 + i];
	for (int i = 1; i < 8; i++)
		l2 = l2 << 8 | data[l1 + (size_t)i];
	memcpy(data + end, data + l2, cluster);
	memset(data + l2, 0, cluster);
	for (int i = 1; i < 8; i++)
		data[l1 + (size_t)i] = (uint8_t)(end >> (8 * (7 - i)));
	struct job j = { 0 };
	expect_ok(&j, data, end + cluster);
	struct job k = { .server.no_range = true };
	expect_error(&k, data, end + cluster, DISK_FAULT_IMAGE, "Range");
	assert_not_bootable(&k);
	job_done(&k);
	free(data);
}

static void test_qcow2_packed(void **state)
{
	(void)state;
	size_t len;
	if (!have("qemu-img"))
		skip();
	assert_int_equal(
		shell("cd %s && qemu-img convert -f raw -O qcow2 raw qcow2 && gzip -c qcow2 > packed",
		      dir),
		0);
	void *data = load("packed", &len);
	struct job j = { 0 };
	expect_ok(&j, data, len);
	free(data);
}

static void test_qcow2_too_large(void **state)
{
	(void)state;
	size_t len;
	if (!have("qemu-img"))
		skip();
	assert_int_equal(shell("cd %s && qemu-img create -q -f qcow2 qcow2 100G", dir), 0);
	void *data = load("qcow2", &len);
	struct job j = { 0 };
	expect_error(&j, data, len, DISK_FAULT_IMAGE, "choose a larger disk");
	assert_untouched(&j);
	job_done(&j);
	free(data);
}

static void test_qcow2_refused(void **state)
{
	(void)state;
	static const struct {
		const char *make, *says;
	} rows[] = {
		{ "qemu-img create -q -f qcow2 -F raw -b raw qcow2", "backing file" },
		{ "qemu-img create -q -f qcow2 -o data_file=ext,data_file_raw=on qcow2 1M",
		  "external" },
		{ "qemu-img create -q -f qcow2 -o extended_l2=on qcow2 1M", "extended L2" },
		{ "qemu-img create -q -f vmdk qcow2 16M", "vmdk by its content" },
		{ "qemu-img create -q -f vdi qcow2 16M", "vdi by its content" },
		{ "qemu-img create -q -f vhdx qcow2 16M", "vhdx by its content" },
		{ "echo '<!DOCTYPE html>' > qcow2", "is its URL right" },
		{ "bzip2 -c raw > qcow2", "only gzip, xz and zstd" },
	};
	if (!have("qemu-img"))
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len;
		if (shell("cd %s && rm -f qcow2 && %s", dir, rows[i].make) != 0) {
			print_message("skipped: %s\n", rows[i].make);
			continue;
		}
		void *data = load("qcow2", &len);
		struct job j = { 0 };
		expect_error(&j, data, len, DISK_FAULT_IMAGE, rows[i].says);
		assert_untouched(&j);
		job_done(&j);
		free(data);
	}
}

/* pzstd and the seekable format put skippable frames (RFC 8878, 3.1.2) in front and between. */
static void test_skippable_frames(void **state)
{
	(void)state;
	size_t len;
	assert_int_equal(shell("cd %s && printf '\\120\\052\\115\\030\\004\\0\\0\\0abcd' >s && "
			       "(cat s; head -c 5000000 raw | zstd -q; cat s s; "
			       "tail -c +5000001 raw | zstd -q; cat s) >out",
			       dir),
			 0);
	void *data = load("out", &len);
	struct job j = { 0 };
	expect_ok(&j, data, len);
	free(data);
	if (!have("pzstd"))
		return;
	assert_int_equal(shell("cd %s && pzstd -q -p 2 -c raw >out", dir), 0);
	data = load("out", &len);
	struct job k = { 0 };
	expect_ok(&k, data, len);
	free(data);
}

static void test_declared_format(void **state)
{
	(void)state;
	size_t len;
	if (!have("qemu-img"))
		skip();
	assert_int_equal(shell("cd %s && qemu-img convert -f raw -O qcow2 raw qcow2", dir), 0);
	void *data = load("qcow2", &len);
	static const struct {
		const char *declared;
		bool qcow2;
		const char *says; /* NULL: works */
	} rows[] = {
		{ "raw", true, "declared as raw and is qcow2" },
		{ "qcow2", false, "declared as qcow2 and is raw" },
		{ "qcow2", true, NULL },
		{ "raw", false, NULL },
		{ "gpt", false, NULL },
		{ "", true, NULL },
		{ "vmdk", false, "vmdk by its disk_format" },
		{ "vdi", false, "vdi by its disk_format" },
		{ "live-iso", false, "use raw or qcow2" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct job j = { .options.format = rows[i].declared };
		const void *what = rows[i].qcow2 ? data : image;
		size_t size = rows[i].qcow2 ? len : IMAGE_MIB * MIB;
		if (!rows[i].says) {
			expect_ok(&j, what, size);
			continue;
		}
		expect_error(&j, what, size, DISK_FAULT_IMAGE, rows[i].says);
		assert_untouched(&j);
		job_done(&j);
	}
	static const char *const permitted[] = { "raw", NULL };
	struct job j = { .options.permitted = permitted };
	expect_error(&j, data, len, DISK_FAULT_IMAGE, "does not permit");
	job_done(&j);
	free(data);
}

/* --- checksums --- */

static void test_checksum_file(void **state)
{
	(void)state;
	char hex[DIGEST_HEX_MAX], text[1024];
	digest_hex(DIGEST_SHA512, image, IMAGE_MIB * MIB, hex);
	snprintf(text, sizeof(text), "# sums\n%0128d  other.bin\nSHA512 (image.bin) = %s\n", 0,
		 hex);
	struct job j = { .server = { .text_path = "/SUMS",
				     .text = text,
				     .data = image,
				     .len = IMAGE_MIB * MIB } };
	httpd_start(&j.server);
	char *url = httpd_url(&j.server, "SUMS");
	j.options.sum.checksum = url;
	expect_ok(&j, image, IMAGE_MIB * MIB);
	free(url);
	struct job k = { .server.status = 404 };
	k.server.data = image;
	k.server.len = 1;
	httpd_start(&k.server);
	url = httpd_url(&k.server, "SUMS");
	k.options.sum.checksum = url;
	expect_error(&k, image, 1, DISK_FAULT_DOWNLOAD, "checksum file: ");
	assert_untouched(&k);
	job_done(&k);
	free(url);
}

static void test_no_checksum(void **state)
{
	(void)state;
	struct job j = { .options.sum.checksum = "" };
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_REQUEST, "no checksum");
	assert_untouched(&j);
	job_done(&j);
}

static void test_cancelled(void **state)
{
	(void)state;
	struct job j = { 0 };
	atomic_store(&j.progress.cancel, true);
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_DEVICE, "given up");
	assert_not_bootable(&j);
	job_done(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_raw_fills_the_disk),
		cmocka_unit_test(test_raw_odd_length),
		cmocka_unit_test(test_raw_without_range_and_length),
		cmocka_unit_test(test_wrong_checksum),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_blank),
		cmocka_unit_test(test_dies_with_range),
		cmocka_unit_test(test_dies_without_range),
		cmocka_unit_test(test_dies_for_good),
		cmocka_unit_test(test_packed_dies),
		cmocka_unit_test(test_second_url),
		cmocka_unit_test(test_replica_dies),
		cmocka_unit_test(test_replica_forgets),
		cmocka_unit_test(test_last_replica_refuses),
		cmocka_unit_test(test_replica_has_another_size),
		cmocka_unit_test(test_replica_has_other_bytes),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_authorization),
		cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_xz),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_concatenated),
		cmocka_unit_test(test_memory_limits),
		cmocka_unit_test(test_memory_of_the_machine),
		cmocka_unit_test(test_garbage_behind_gzip),
		cmocka_unit_test(test_qcow2),
		cmocka_unit_test(test_qcow2_odd_layouts),
		cmocka_unit_test(test_qcow2_tables_last),
		cmocka_unit_test(test_qcow2_packed),
		cmocka_unit_test(test_qcow2_too_large),
		cmocka_unit_test(test_qcow2_refused),
		cmocka_unit_test(test_skippable_frames),
		cmocka_unit_test(test_declared_format),
		cmocka_unit_test(test_checksum_file),
		cmocka_unit_test(test_no_checksum),
		cmocka_unit_test(test_cancelled),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
