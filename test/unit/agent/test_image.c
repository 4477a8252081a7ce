/* The image write onto a regular file that was filled with a pattern: what is not in the image must
 * be zero afterwards, never the pattern; what is wrong must leave sector 0 zeroed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "agent/disk/image.h"
#include "agent/disk/table.h"
#include "httpd.h"

#define MIB ((size_t)1024 * 1024)

enum { DISK_MIB = 24, IMAGE_MIB = 16 };

static char dir[64];
static uint8_t *image; /* raw, with a GPT and holes */

static int shell(const char *fmt, ...) _printf_(1, 2);
static int shell(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void *load(const char *name, size_t *ret_len)
{
	char *path = path_of(name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = { 0 };
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	uint8_t *data = xmalloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	free(path);
	*ret_len = (size_t)st.st_size;
	return data;
}

static void save(const char *name, const void *data, size_t len)
{
	char *path = path_of(name);
	FILE *f = fopen(path, "we");
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
	free(path);
}

static bool have(const char *program)
{
	bool found = shell("command -v %s >/dev/null 2>&1", program) == 0;
	if (!found)
		print_message("skipped: %s is not installed\n", program);
	return found;
}

static int set_up(void **state)
{
	(void)state;
	/* Much is written here; test_disk does direct I/O on a real file system. */
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(dir, sizeof(dir), "%s/ingot-image-XXXXXX", base);
	assert_non_null(mkdtemp(dir));
	image = xcalloc(IMAGE_MIB, MIB);
	uint32_t seed = 7;
	/* Data in some mebibytes, noise and text; holes between them. */
	static const int filled[] = { 1, 2, 5, 9, 15 };
	for (size_t i = 0; i < ARRAY_SIZE(filled); i++) {
		uint8_t *p = image + (size_t)filled[i] * MIB;
		for (size_t n = 0; n < MIB; n++) {
			seed = seed * 1103515245 + 12345;
			p[n] = (uint8_t)(n % 4096 < 2048 ? seed >> 24 : 'a' + n % 7);
		}
	}
	struct gpt g;
	const struct gpt_guid id = { { 1, 2, 3 } };
	gpt_init(&g, 512, IMAGE_MIB * MIB / 512, &id);
	struct gpt_entry e = {
		.type = gpt_type_linux, .id = { { 9 } }, .first = 2048, .last = 20479
	};
	unsigned number;
	assert_int_equal(gpt_add(&g, &e, &number, NULL), 0);
	mbr_make_protective(image, IMAGE_MIB * MIB / 512);
	static const uint8_t disk_id[] = { 0x44, 0x33, 0x22, 0x11 };
	memcpy(image + 440, disk_id, sizeof(disk_id));
	gpt_encode(&g, false, image + 512, image + 1024);
	size_t end = IMAGE_MIB * MIB;
	gpt_encode(&g, true, image + end - 512, image + end - 512 - 16384);
	gpt_done(&g);
	save("raw", image, IMAGE_MIB * MIB);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(image);
	return shell("rm -rf %s", dir);
}

/* --- one write --- */

struct job {
	struct httpd server;
	size_t disk_mib;
	struct disk_image_options options;
	const char *urls[3];
	char *url;
	char hex[DIGEST_HEX_MAX];
	struct disk_image_result result;
	struct disk_progress progress;
	enum disk_fault fault;
	struct err err;
	uint8_t *disk;
	size_t disk_len;
};

static void pattern_disk(size_t mib)
{
	uint8_t *p = xmalloc(mib * MIB);
	memset(p, 0xa5, mib * MIB);
	save("disk", p, mib * MIB);
	free(p);
}

static int write_image(struct job *j, const void *data, size_t len)
{
	char *device = path_of("disk");
	if (!j->server.data) {
		j->server.data = data;
		j->server.len = len;
	}
	if (!j->server.port)
		httpd_start(&j->server);
	if (!j->url)
		j->url = httpd_url(&j->server, "image.bin?x=1");
	if (!j->urls[0])
		j->urls[0] = j->url;
	pattern_disk(j->disk_mib ? j->disk_mib : DISK_MIB);
	digest_hex(DIGEST_SHA256, data, len, j->hex);
	j->options.fetch.urls = j->urls;
	if (!j->options.fetch.retry_interval)
		j->options.fetch.retry_interval = 10 * USEC_PER_MSEC;
	if (!j->options.fetch.retries)
		j->options.fetch.retries = 9;
	j->options.device = device;
	j->options.progress = &j->progress;
	if (!j->options.sum.checksum)
		j->options.sum.checksum = j->hex;
	int r = disk_image_write(&j->options, &j->result, &j->fault, &j->err);
	j->disk = load("disk", &j->disk_len);
	free(device);
	return r;
}

static void job_done(struct job *j)
{
	httpd_stop(&j->server);
	free(j->url);
	free(j->disk);
}

static bool all(const uint8_t *p, uint8_t value, size_t len)
{
	return len == 0 || (p[0] == value && memcmp(p, p + 1, len - 1) == 0);
}

static void assert_written(const struct job *j)
{
	assert_memory_equal(j->disk, image, IMAGE_MIB * MIB);
	/* Behind the image only the end of the disk was touched. */
	size_t end = j->disk_len - MIB, rest = MAX(end, IMAGE_MIB * MIB);
	if (end > IMAGE_MIB * MIB)
		assert_true(all(j->disk + IMAGE_MIB * MIB, 0xa5, end - IMAGE_MIB * MIB));
	assert_true(all(j->disk + rest, 0, j->disk_len - rest));
}

/* Nothing that could boot: sector 0 and both GPT headers zero or never written. */
static void assert_not_bootable(const struct job *j)
{
	assert_true(all(j->disk, 0, MIB));
	for (size_t i = 0; i + 8 <= j->disk_len; i += 512)
		assert_true(memcmp(j->disk + i, "EFI PART", 8) != 0);
}

static void assert_untouched(const struct job *j)
{
	assert_true(all(j->disk, 0xa5, j->disk_len));
}

static void expect_ok(struct job *j, const void *data, size_t len)
{
	int r = write_image(j, data, len);
	if (r < 0)
		fail_msg("%s", j->err.text);
	assert_written(j);
	assert_int_equal(j->result.disk_id, 0x11223344);
	assert_true(j->result.gpt);
	assert_int_equal(j->result.served_bytes, len);
	assert_int_equal(atomic_load(&j->progress.received), len);
	assert_int_equal(atomic_load(&j->progress.written), IMAGE_MIB * MIB);
	job_done(j);
}

static void expect_error(struct job *j, const void *data, size_t len, enum disk_fault fault,
			 const char *says)
{
	assert_true(write_image(j, data, len) < 0);
	if (!strstr(j->err.text, says) || j->fault != fault)
		fail_msg("fault %d: %s", j->fault, j->err.text);
}

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

/* --- mirrors and load balancers --- */

/* One name, servers that call the same file differently: nothing is refused, and the checksum
 * decides. All is read once more, since what had come is not joined to what comes. */
static void test_etag_of_another_server(void **state)
{
	(void)state;
	struct job j = { .server = { .etag = "\"a\"",
				     .etag_later = "\"b\"",
				     .die_after = 5 * MIB,
				     .die_times = 1 } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	size_t len;
	if (!have("qemu-img"))
		return;
	assert_int_equal(shell("cd %s && qemu-img convert -O qcow2 raw qcow2", dir), 0);
	void *data = load("qcow2", &len);
	struct job k = { .disk_mib = IMAGE_MIB,
			 .server = { .etag = "\"a\"",
				     .etag_later = "\"b\"",
				     .die_after = 2 * MIB,
				     .die_times = 1 } };
	expect_ok(&k, data, len);
	free(data);
}

/* Another file under the same name: the checksum says so, not the validator. */
static void test_another_file_under_the_name(void **state)
{
	(void)state;
	char *other = xmalloc(IMAGE_MIB * MIB);
	memcpy(other, image, IMAGE_MIB * MIB);
	other[9 * MIB + 5] ^= 1;
	struct job j = { .server = { .etag = "\"a\"",
				     .etag_later = "\"b\"",
				     .die_after = 5 * MIB,
				     .die_times = 1 } };
	j.server.data = other;
	j.server.len = IMAGE_MIB * MIB;
	expect_error(&j, image, IMAGE_MIB * MIB, DISK_FAULT_CHECKSUM, "was expected");
	assert_not_bootable(&j);
	job_done(&j);
	free(other);
}

/* A redirector sends each request to another mirror. */
static void test_redirected_to_mirrors(void **state)
{
	(void)state;
	struct httpd mirrors[2] = { { .etag = "\"a\"", .die_after = 5 * MIB, .die_times = 1 },
				    { .etag = "\"b\"", .die_after = 4 * MIB, .die_times = 1 } };
	struct httpd door = { 0 };
	for (int i = 0; i < 2; i++) {
		mirrors[i].data = image;
		mirrors[i].len = IMAGE_MIB * MIB;
		httpd_start(&mirrors[i]);
		door.locations[i] = httpd_url(&mirrors[i], "image.bin");
	}
	httpd_start(&door);
	struct job j = { .url = httpd_url(&door, "image.bin") };
	assert_int_equal(write_image(&j, image, IMAGE_MIB * MIB), 0);
	assert_written(&j);
	/* No mirror was asked for another one's file, and nothing came twice. */
	assert_int_equal(atomic_load(&mirrors[0].pinned) + atomic_load(&mirrors[1].pinned), 0);
	assert_true(atomic_load(&mirrors[0].sent) + atomic_load(&mirrors[1].sent) <
		    (IMAGE_MIB + 1) * MIB);
	job_done(&j);
	httpd_stop(&door);
	for (int i = 0; i < 2; i++) {
		httpd_stop(&mirrors[i]);
		free((char *)door.locations[i]);
	}
}

/* 200 in answer to If-Range does not mean that Range is not known. */
static void test_if_range_is_not_known(void **state)
{
	(void)state;
	struct job j = { .server = { .etag = "\"a\"",
				     .pin_is_all = true,
				     .die_after = 5 * MIB + 77,
				     .die_times = 2 } };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	assert_true(atomic_load(&j.server.pinned) > 0);
	size_t len;
	if (!have("qemu-img"))
		return;
	assert_int_equal(shell("cd %s && qemu-img convert -O qcow2 raw qcow2", dir), 0);
	void *data = load("qcow2", &len);
	struct job k = { .disk_mib = IMAGE_MIB, .server = { .etag = "\"a\"", .pin_is_all = true } };
	expect_ok(&k, data, len);
	free(data);
}

/* --- servers that cannot be reached --- */

static void test_small_file_and_strict_range(void **state)
{
	(void)state;
	size_t len;
	assert_int_equal(shell("cd %s && (head -c 1M raw; head -c 2M /dev/zero) | gzip >out", dir),
			 0);
	void *data = load("out", &len);
	assert_true(len < 200000);
	struct job j = { .server.strict_range = true };
	int r = write_image(&j, data, len);
	if (r < 0)
		fail_msg("%s", j.err.text);
	job_done(&j);
	free(data);
	/* Servers answer 416 to a range of an empty file. */
	struct job k = { .server.strict_range = true };
	k.server.data = "";
	expect_error(&k, "", 0, DISK_FAULT_IMAGE, "the image is empty");
	job_done(&k);
}

struct troubles {
	unsigned told, taken_back, attempts, last;
	char text[512];
};

static void note_trouble(void *data, unsigned attempt, unsigned attempts, const struct err *err)
{
	struct troubles *t = data;
	if (!err) {
		t->taken_back++;
		return;
	}
	assert_int_equal(attempt, t->last + 1);
	t->last = attempt;
	t->attempts = attempts;
	t->told++;
	snprintf(t->text, sizeof(t->text), "%s", err->text);
}

static void fetch_head(const char *url, struct troubles *t, struct err *err,
		       const struct http_tls *tls)
{
	const char *urls[] = { url, NULL };
	const struct disk_fetch_options o = { .urls = urls,
					      .retries = 3,
					      .connect_timeout = 5 * USEC_PER_SEC,
					      .retry_interval = 5 * USEC_PER_MSEC,
					      .tls = tls,
					      .trouble = note_trouble,
					      .trouble_data = t };
	struct disk_fetch *f = NULL;
	char buf[16];
	size_t len;
	assert_int_equal(disk_fetch_open(&o, &f, err), 0);
	(void)disk_fetch_range(f, 0, buf, sizeof(buf), &len, err);
	disk_fetch_close(f);
}

/* What cannot get better ends at once; what can is tried to the end, and told from the first. */
static void test_permanent_and_passing(void **state)
{
	(void)state;
	struct httpd plain = { .data = "x", .len = 1 }, loop = { 0 }, busy = { .status = 503 },
		     broken = {
			     .data = "0123456789abcdef", .len = 16, .status = 502, .fails_first = 2
		     };
	httpd_start(&plain);
	httpd_start(&loop);
	httpd_start(&busy);
	httpd_start(&broken);
	char *tls = xasprintf("https://127.0.0.1:%u/i", plain.port);
	loop.locations[0] = httpd_url(&loop, "i");
	char *busy_url = httpd_url(&busy, "i"), *broken_url = httpd_url(&broken, "i");
	const struct {
		const char *url, *says;
		unsigned told;
		bool passes;
	} rows[] = {
		{ tls, "does not speak TLS", 0, false },
		{ loop.locations[0], "more than 10 redirects", 0, false },
		{ "http://127.0.0.1:1/i", "connection refused", 3, false },
		{ "http://no-such-host.invalid/i", "is not known", 3, false },
		{ busy_url, "HTTP status 503", 3, false },
		{ broken_url, "HTTP status 502", 2, true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct troubles t = { 0 };
		struct err err = { 0 };
		fetch_head(rows[i].url, &t, &err, NULL);
		if (t.told != rows[i].told ||
		    !strstr(rows[i].passes ? t.text : err.text, rows[i].says) ||
		    (err.kind == ERR_NONE) != rows[i].passes)
			fail_msg("%s: told %u: %s; %s", rows[i].url, t.told, t.text, err.text);
		assert_int_equal(t.taken_back, rows[i].passes);
		if (t.told)
			assert_int_equal(t.attempts, 4);
	}
	httpd_stop(&plain);
	httpd_stop(&loop);
	httpd_stop(&busy);
	httpd_stop(&broken);
	free(tls);
	free((char *)loop.locations[0]);
	free(busy_url);
	free(broken_url);
}

/* By openssl s_server, whose certificate nobody trusts. */
static void test_untrusted_certificate(void **state)
{
	(void)state;
	if (!have("openssl"))
		skip();
	int port = 20000 + (int)(getpid() % 10000);
	assert_int_equal(
		shell("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 2 "
		      "-subj /CN=x 2>/dev/null && "
		      "(openssl s_server -quiet -accept 127.0.0.1:%d -key k -cert c -WWW >/dev/null 2>&1 & "
		      "echo $! >pid) && for i in $(seq 100); do "
		      "openssl s_client -connect 127.0.0.1:%d </dev/null >/dev/null 2>&1 && break; done",
		      dir, port, port),
		0);
	char *url = xasprintf("https://127.0.0.1:%d/raw", port);
	struct troubles t = { 0 };
	struct err err = { 0 };
	fetch_head(url, &t, &err, NULL);
	shell("kill $(cat %s/pid)", dir);
	if (t.told != 0 || !strstr(err.text, "is not trusted"))
		fail_msg("told %u: %s", t.told, err.text);
	free(url);
}

/* The sums file is as patiently asked for as the image. */
static void test_sums_file_comes_late(void **state)
{
	(void)state;
	char hex[DIGEST_HEX_MAX], text[256];
	digest_hex(DIGEST_SHA256, image, IMAGE_MIB * MIB, hex);
	snprintf(text, sizeof(text), "%s  image.bin\n", hex);
	struct httpd sums = { .status = 503, .fails_first = 5, .data = text, .len = strlen(text) };
	httpd_start(&sums);
	char *url = httpd_url(&sums, "SUMS");
	struct job j = { .options.sum.checksum = url };
	expect_ok(&j, image, IMAGE_MIB * MIB);
	assert_int_equal(atomic_load(&sums.requests), 6);
	httpd_stop(&sums);
	free(url);
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
		{ "zstd -q -c -22 --ultra", "more memory than the 36 MiB" },
		{ "xz -c -9", "65 MiB of memory and 36 MiB" },
		{ "zstd -q -c --long=27", "more memory than the 36 MiB that are allowed" },
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

/* Files that are no disk, made by the tools that make them: refused for what they are, with the
 * checksum right, and nothing is written. */
static void test_no_disk_images(void **state)
{
	(void)state;
#define PIECE "head -c 3000000 raw"
	static const struct {
		const char *needs, *make, *says;
	} rows[] = {
		{ "true", "printf '<!doctype html>\\n<html lang=en></html>\\n'", "is a text" },
		{ "true", "printf '\\n\\n \\t<HTML><body>no</body>'", "is a text" },
		{ "true", "printf '\\357\\273\\277<?xml version=\"1.0\"?><Error/>'", "is a text" },
		{ "true", "printf '\\377\\376<\\0h\\0t\\0m\\0l\\0>\\0'", "is a text" },
		{ "true", "printf '{ \"error\": \"not here\" }'", "is a text" },
		{ "true", "printf '[]'", "is a text" },
		{ "true", "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:00\\n'",
		  "is a text" },
		{ "true", "yes 'a long text' | head -c 600000", "is a text" },
		{ "true", "yes '<!doctype html>' | head -c 600000 | gzip", "is a text" },
		{ "true", "true", "the image is empty" },
		{ "true", "gzip </dev/null", "the image is empty" },
		{ "true", PIECE " | head -c 1000 | gzip | head -c 30",
		  "gzip stream is damaged: it is cut off" },
		{ "tar", "tar c raw", "a tar archive" },
		{ "tar", "tar cz raw", "a tar archive" },
		{ "cpio", "echo raw | cpio -o -H newc --quiet", "a cpio archive" },
		{ "zip", "zip -q - raw", "a zip archive" },
		{ "bzip2", PIECE " | bzip2", "packed with bzip2" },
		{ "lz4", PIECE " | lz4 -q", "packed with lz4" },
		{ "lz4", PIECE " | lz4 -q -l", "packed with lz4" },
		{ "lzip", PIECE " | lzip", "packed with lzip" },
		{ "lzop", PIECE " | lzop", "packed with lzop" },
		{ "xz", PIECE " | xz --format=lzma", "packed with lzma" },
		{ "python3",
		  "python3 -c 'import sys,zlib; sys.stdout.buffer.write(zlib.compress(open(\"raw\",\"rb\").read(3000000)))'",
		  "packed with zlib" },
		{ "7zz", "7zz a -bd x.7z raw >/dev/null; cat x.7z; rm x.7z", "a 7z archive" },
		{ "ar", "ar rc x.a raw; cat x.a; rm x.a", "an ar archive" },
		{ "qemu-img", "qemu-img convert -O vmdk raw x; cat x", "vmdk by its content" },
		{ "qemu-img", "qemu-img convert -O vmdk -o subformat=streamOptimized raw x; cat x",
		  "vmdk by its content" },
		{ "qemu-img", "qemu-img convert -O vdi raw x; cat x", "vdi by its content" },
		{ "qemu-img", "qemu-img convert -O vpc raw x; cat x", "vhd by its content" },
		{ "qemu-img", "qemu-img convert -O vhdx raw x; cat x", "vhdx by its content" },
		{ "qemu-img", "qemu-img convert -O qed raw x; cat x", "qed by its content" },
		{ "qemu-img", "qemu-img convert -O parallels raw x; cat x",
		  "parallels by its content" },
		{ "mkfs.ext4", "truncate -s 8M y; mkfs.ext4 -q y; cat y", "an ext2, ext3 or ext4" },
		{ "mkfs.ext4", "truncate -s 8M y; mkfs.ext4 -q y; xz -c y",
		  "an ext2, ext3 or ext4" },
		{ "mkfs.ext4",
		  "truncate -s 8M y; mkfs.ext4 -q y; qemu-img convert -O qcow2 -c y x; cat x",
		  "an ext2, ext3 or ext4" },
		{ "mkfs.vfat", "truncate -s 8M y; mkfs.vfat y >/dev/null; cat y",
		  "a FAT file system" },
		{ "mkfs.xfs", "truncate -s 300M y; mkfs.xfs -q y; head -c 16M y", "an XFS file" },
		{ "mkfs.btrfs", "truncate -s 130M y; mkfs.btrfs -q y >/dev/null; head -c 16M y",
		  "a Btrfs file" },
		{ "mksquashfs", "mksquashfs raw y -quiet >/dev/null; cat y", "a squashfs file" },
		{ "mkswap", "truncate -s 8M y; mkswap y >/dev/null; cat y", "swap space" },
		{ "mkfs.erofs", "mkdir -p z; cp raw z; mkfs.erofs --quiet y z; cat y",
		  "an EROFS file" },
		{ "mkfs.f2fs", "truncate -s 64M y; mkfs.f2fs -q y >/dev/null; head -c 16M y",
		  "an F2FS file" },
		{ "mkntfs", "truncate -s 8M y; mkntfs -q -F y 2>/dev/null; cat y", "an NTFS file" },
		{ "mkfs.exfat", "truncate -s 8M y; mkfs.exfat y >/dev/null; cat y",
		  "an exFAT file" },
		{ "mkudffs", "truncate -s 8M y; mkudffs y >/dev/null; cat y", "a UDF image" },
		{ "xorriso", "xorriso -as mkisofs -quiet -o y raw 2>/dev/null; cat y",
		  "an ISO 9660" },
		{ "qemu-img", "qemu-img create -q -f qcow2 x 8M; cat x", "has no partition" },
		{ "true", "head -c 8M /dev/zero | gzip", "has no partition" },
		{ "true", "tail -c +1048577 raw", "has no partition" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len;
		if (!have(rows[i].needs))
			continue;
		if (shell("cd %s && PATH=$PATH:/sbin:/usr/sbin && rm -f x y out && (%s) >out", dir,
			  rows[i].make) != 0)
			fail_msg("%s", rows[i].make);
		void *data = load("out", &len);
		/* Some servers leave the length out: then the content alone can tell. */
		for (int plain = 0; plain < 2; plain++) {
			struct job j = { .server = { .no_length = plain, .no_range = plain } };
			bool tables = strstr(rows[i].make, "-O qcow2") ||
				      strstr(rows[i].make, "qcow2 x");
			if (plain && tables)
				break; /* without Range the guest's head comes too late */
			assert_true(write_image(&j, data, len) < 0);
			if (!strstr(j.err.text, rows[i].says) || j.fault != DISK_FAULT_IMAGE)
				fail_msg("%s: fault %d: %s", rows[i].make, j.fault, j.err.text);
			assert_untouched(&j);
			job_done(&j);
		}
		free(data);
	}
}

/* What the head of a stream says of the size of what is in it. */
static void test_too_large_by_the_head(void **state)
{
	(void)state;
	static const char *const makes[] = {
		"gzip -c raw", /* by the partition table */
		"zstd -q -c raw",
		"qemu-img convert -O qcow2 raw x; cat x",
	};
	for (size_t i = 0; i < ARRAY_SIZE(makes); i++) {
		size_t len;
		assert_int_equal(shell("cd %s && (%s) >out", dir, makes[i]), 0);
		void *data = load("out", &len);
		struct job j = { .disk_mib = 8 };
		expect_error(&j, data, len, DISK_FAULT_IMAGE, "choose a larger disk");
		assert_untouched(&j);
		job_done(&j);
		free(data);
	}
}

/* A file that is wholly in the probe is compared before the disk is touched. */
static void test_small_image_with_wrong_checksum(void **state)
{
	(void)state;
	size_t len;
	assert_int_equal(shell("cd %s && (head -c 1M raw; head -c 15M /dev/zero) | gzip >out", dir),
			 0);
	void *data = load("out", &len);
	struct job j = { 0 };
	char zeros[65] = { 0 };
	memset(zeros, '0', 64);
	j.options.sum.checksum = zeros;
	expect_error(&j, data, len, DISK_FAULT_CHECKSUM, "nothing was written");
	assert_untouched(&j);
	job_done(&j);
	free(data);
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
		cmocka_unit_test(test_etag_of_another_server),
		cmocka_unit_test(test_another_file_under_the_name),
		cmocka_unit_test(test_redirected_to_mirrors),
		cmocka_unit_test(test_if_range_is_not_known),
		cmocka_unit_test(test_small_file_and_strict_range),
		cmocka_unit_test(test_permanent_and_passing),
		cmocka_unit_test(test_untrusted_certificate),
		cmocka_unit_test(test_sums_file_comes_late),
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
		cmocka_unit_test(test_no_disk_images),
		cmocka_unit_test(test_too_large_by_the_head),
		cmocka_unit_test(test_small_image_with_wrong_checksum),
		cmocka_unit_test(test_skippable_frames),
		cmocka_unit_test(test_declared_format),
		cmocka_unit_test(test_checksum_file),
		cmocka_unit_test(test_no_checksum),
		cmocka_unit_test(test_cancelled),
	};
return cmocka_run_group_tests(tests, set_up, tear_down);
}
