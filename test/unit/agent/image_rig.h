#pragma once
/* The image write onto a regular file that was filled with a pattern, from a server of httpd.h:
 * what the programs that test it share. Header only, because each test is one program. */

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

static inline int shell(const char *fmt, ...) _printf_(1, 2);
static inline int shell(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static inline char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static inline void *load(const char *name, size_t *ret_len)
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

static inline void save(const char *name, const void *data, size_t len)
{
	char *path = path_of(name);
	FILE *f = fopen(path, "we");
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
	free(path);
}

static inline bool have(const char *program)
{
	bool found = shell("command -v %s >/dev/null 2>&1", program) == 0;
	if (!found)
		print_message("skipped: %s is not installed\n", program);
	return found;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline void pattern_disk(size_t mib)
{
	uint8_t *p = xmalloc(mib * MIB);
	memset(p, 0xa5, mib * MIB);
	save("disk", p, mib * MIB);
	free(p);
}

static inline int write_image(struct job *j, const void *data, size_t len)
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

static inline void job_done(struct job *j)
{
	httpd_stop(&j->server);
	free(j->url);
	free(j->disk);
}

static inline bool all(const uint8_t *p, uint8_t value, size_t len)
{
	return len == 0 || (p[0] == value && memcmp(p, p + 1, len - 1) == 0);
}

static inline void assert_written(const struct job *j)
{
	assert_memory_equal(j->disk, image, IMAGE_MIB * MIB);
	/* Behind the image only the end of the disk was touched. */
	size_t end = j->disk_len - MIB, rest = MAX(end, IMAGE_MIB * MIB);
	if (end > IMAGE_MIB * MIB)
		assert_true(all(j->disk + IMAGE_MIB * MIB, 0xa5, end - IMAGE_MIB * MIB));
	assert_true(all(j->disk + rest, 0, j->disk_len - rest));
}

/* Nothing that could boot: sector 0 and both GPT headers zero or never written. */
static inline void assert_not_bootable(const struct job *j)
{
	assert_true(all(j->disk, 0, MIB));
	for (size_t i = 0; i + 8 <= j->disk_len; i += 512)
		assert_true(memcmp(j->disk + i, "EFI PART", 8) != 0);
}

static inline void assert_untouched(const struct job *j)
{
	assert_true(all(j->disk, 0xa5, j->disk_len));
}

static inline void expect_ok(struct job *j, const void *data, size_t len)
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

static inline void expect_error(struct job *j, const void *data, size_t len, enum disk_fault fault,
				const char *says)
{
	assert_true(write_image(j, data, len) < 0);
	if (!strstr(j->err.text, says) || j->fault != fault)
		fail_msg("fault %d: %s", j->fault, j->err.text);
}
