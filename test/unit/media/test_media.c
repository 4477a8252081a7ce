/* A host's image: as xorriso, file and sha256sum see it, by any range, and what its digest names.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "media/media.h"

enum { SLOT = 16 * 1024, ROOM = 1 << 16 };

static const char token[] = "this-is-the-token-of-the-boot";

struct world {
	char dir[40];
	char *kernel, *initramfs, *loaders;
	struct media_paths paths;
	struct media_set *set;
	struct media_image *image;
	struct media_spec spec;
	uint8_t archive[MEDIA_ARCHIVE_MAX + 1];
};

static int run(const struct world *w, const char *fmt, ...) _printf_(2, 3);
static int run(const struct world *w, const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_in_range(len, 1, sizeof(command) - 1);
	_cleanup_(freep) char *all = xasprintf("cd %s && ( %s ) >out 2>&1", w->dir, command);
	int status = system(all);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_run(const struct world *w, const char *command)
{
	if (run(w, "%s", command) == 0)
		return;
	_cleanup_(freep) char *show = xasprintf("cat %s/out", w->dir);
	assert_int_equal(system(show), 0);
	fail_msg("failed: %s", command);
}

/* Sizes that end inside of a sector; no byte of the files is like its neighbours. */
static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	*state = w;
	memcpy(w->dir, "/tmp/ingot-medium-XXXXXX", 25);
	if (!mkdtemp(w->dir))
		return -1;
	w->kernel = xasprintf("%s/vmlinuz", w->dir);
	w->initramfs = xasprintf("%s/initramfs", w->dir);
	w->loaders = xasprintf("%s/loaders", w->dir);
	w->paths = (struct media_paths){ w->kernel, w->initramfs, w->loaders };
	for (size_t i = 0; i < sizeof(w->archive); i++)
		w->archive[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(w->archive + 100, token, sizeof(token) - 1);
	expect_run(w, "mkdir loaders; head -c 300001 /dev/urandom >vmlinuz; "
		      "head -c 700003 /dev/urandom >initramfs; "
		      "head -c 150000 /dev/urandom >loaders/bios.img; "
		      "head -c 40000 /dev/urandom >BOOTX64.EFI && "
		      "truncate -s 1440K loaders/efi.img && mformat -i loaders/efi.img :: && "
		      "mmd -i loaders/efi.img ::/EFI ::/EFI/BOOT && "
		      "mcopy -i loaders/efi.img BOOTX64.EFI ::/EFI/BOOT/ && "
		      "head -c 512 /dev/urandom >loaders/mbr.img");
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *command = xasprintf("rm -rf %s", w->dir);
	media_image_unref(w->image);
	media_set_unref(w->set);
	int r = system(command);
	free(w->kernel), free(w->initramfs), free(w->loaders);
	free(w);
	return r;
}

static void open_set(struct world *w)
{
	struct err err = { 0 };
	w->set = media_set_unref(w->set);
	if (media_set_open(&w->paths, &w->set, &err) < 0)
		fail_msg("%s", err.text);
	w->spec = (struct media_spec){ w->set, "console=ttyS0 ipa-api-url=https://10.77.0.1:6385",
				       w->archive, 5000 };
}

static void make(struct world *w)
{
	struct err err = { 0 };
	w->image = media_image_unref(w->image);
	if (media_image_new(&w->spec, &w->image, &err) < 0)
		fail_msg("%s", err.text);
}

static void write_image(const struct world *w, const char *name)
{
	static uint8_t piece[ROOM];
	_cleanup_(freep) char *path = xasprintf("%s/%s", w->dir, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	uint64_t at = 0;
	for (ssize_t n; (n = media_image_read(w->image, at, piece, 9999)) > 0; at += (uint64_t)n)
		assert_int_equal(fwrite(piece, 1, (size_t)n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(at, media_image_size(w->image));
}

static char *contents(const struct world *w, const char *name)
{
	static char text[ROOM];
	_cleanup_(freep) char *path = xasprintf("%s/%s", w->dir, name);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(fclose(f), 0);
	return text;
}

static char *digest_of(struct world *w)
{
	make(w);
	return xstrdup(media_image_digest(w->image));
}

/* --- as others read it ------------------------------------------------------------------------ */

static void test_other_readers(void **state)
{
	struct world *w = *state;
	char sum[MEDIA_DIGEST_SIZE];
	open_set(w);
	make(w);
	write_image(w, "disc.iso");
	expect_run(w, "xorriso -abort_on WARNING -osirrox on -indev disc.iso -extract / tree && "
		      "chmod -R u+w tree && cmp tree/ingot/vmlinuz vmlinuz && "
		      "cmp tree/ingot/initramfs initramfs && "
		      "cmp tree/boot/grub/efi.img loaders/efi.img && "
		      "test \"$(stat -c %s tree/boot/grub/bios.img)\" = 150000 && "
		      "test -s tree/.disk/info");
	expect_run(w, "xorriso -indev disc.iso -report_el_torito plain 2>&1 | tee said; "
		      "grep -q 'img path :   1  /boot/grub/bios.img' said && "
		      "grep -q 'img path :   2  /boot/grub/efi.img' said && file disc.iso && "
		      "file disc.iso | grep -q \"ISO 9660.*'INGOT.*(bootable)\"");
	/* The other catalogue of the disc, and as a stick: a partition that firmware mounts. */
	expect_run(w, "isoinfo -d -i disc.iso >said && grep -q 'El Torito VD version 1' said && "
		      "isoinfo -R -x /ingot/vmlinuz -i disc.iso | cmp - vmlinuz && "
		      "start=$(sfdisk -d disc.iso | sed -n "
		      "'/type=ef/s/.*start= *\\([0-9]*\\).*/\\1/p') && "
		      "mcopy -i disc.iso@@$((start * 512)) ::/EFI/BOOT/BOOTX64.EFI from-stick && "
		      "cmp from-stick BOOTX64.EFI && "
		      "mcopy -i tree/boot/grub/efi.img ::/EFI/BOOT/BOOTX64.EFI from-disc && "
		      "cmp from-disc BOOTX64.EFI");
	assert_int_equal(media_image_sha256(w->image, sum, NULL), 0);
	assert_int_equal(run(w, "echo '%s  disc.iso' | sha256sum -c", sum), 0);
	/* Both of the host's are padded to their slots. */
	const char *config = contents(w, "tree/boot/grub/grub.cfg");
	static const char says[] = "linux /ingot/vmlinuz 'console=ttyS0' "
				   "'ipa-api-url=https://10.77.0.1:6385'\n"
				   "initrd /ingot/initramfs /ingot/host.cpio\nboot\nexit 1\n";
	assert_memory_equal(config, says, sizeof(says) - 1);
	assert_int_equal(strspn(config + sizeof(says) - 1, "\n"),
			 strlen(config) - sizeof(says) + 1);
	const char *archive = contents(w, "tree/ingot/host.cpio");
	assert_memory_equal(archive, w->archive, 5000);
	for (size_t i = 5000; i < SLOT; i++)
		assert_int_equal(archive[i], 0);
	/* Who looks for the secret finds it in one place. */
	assert_int_equal(run(w, "test $(grep -a -o %s disc.iso | wc -l) = 1", token), 0);
}

/* --- by ranges -------------------------------------------------------------------------------- */

static void test_ranges(void **state)
{
	struct world *w = *state;
	static uint8_t part[ROOM], whole[ROOM];
	uint32_t seed = 1;
	open_set(w);
	make(w);
	write_image(w, "disc.iso");
	_cleanup_(freep) char *path = xasprintf("%s/disc.iso", w->dir);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	uint64_t size = media_image_size(w->image);
	for (int i = 0; i < 2000; i++) {
		seed = seed * 1664525 + 1013904223;
		uint64_t at = seed % size;
		seed = seed * 1664525 + 1013904223;
		size_t len = i % 2 ? seed % 600 + 1 : seed % ROOM + 1;
		ssize_t n = media_image_read(w->image, at, part, len);
		assert_int_equal(n, MIN((uint64_t)len, size - at));
		assert_int_equal(fseeko(f, (off_t)at, SEEK_SET), 0);
		assert_int_equal(fread(whole, 1, (size_t)n, f), n);
		assert_memory_equal(part, whole, (size_t)n);
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(media_image_read(w->image, size, part, 1), 0);
	assert_int_equal(media_image_read(w->image, UINT64_MAX, part, 1), 0);
}

/* --- what the bytes follow from --------------------------------------------------------------- */

/* Another replica with the same files in another place, of another age. */
static void test_same_everywhere(void **state)
{
	struct world *w = *state;
	char one[MEDIA_DIGEST_SIZE], other[MEDIA_DIGEST_SIZE];
	open_set(w);
	_cleanup_(freep) char *first = digest_of(w);
	assert_int_equal(media_image_sha256(w->image, one, NULL), 0);
	expect_run(w, "mkdir there && cp -r vmlinuz initramfs loaders there && sync");
	_cleanup_(freep) char *kernel = xasprintf("%s/there/vmlinuz", w->dir);
	_cleanup_(freep) char *initramfs = xasprintf("%s/there/initramfs", w->dir);
	_cleanup_(freep) char *loaders = xasprintf("%s/there/loaders", w->dir);
	w->paths = (struct media_paths){ kernel, initramfs, loaders };
	open_set(w);
	_cleanup_(freep) char *second = digest_of(w);
	assert_int_equal(media_image_sha256(w->image, other, NULL), 0);
	assert_string_equal(first, second);
	assert_string_equal(one, other);
}

static void test_digest_names_all(void **state)
{
	struct world *w = *state;
	char *seen[8];
	size_t count = 0;
	open_set(w);
	seen[count++] = digest_of(w);
	w->spec.cmdline = "console=ttyS1";
	seen[count++] = digest_of(w);
	w->spec.archive_len++;
	seen[count++] = digest_of(w);
	w->archive[17] ^= 1;
	seen[count++] = digest_of(w);
	w->spec.archive = NULL;
	w->spec.archive_len = 0;
	seen[count++] = digest_of(w);
	static const char *const files[] = { "vmlinuz", "loaders/mbr.img", "loaders/efi.img" };
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_int_equal(run(w, "printf X | dd of=%s bs=1 seek=7 conv=notrunc", files[i]),
				 0);
		open_set(w);
		seen[count++] = digest_of(w);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(seen[i], seen[j]);
	for (size_t i = 0; i < count; i++)
		free(seen[i]);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_archive_sizes(void **state)
{
	struct world *w = *state;
	static const struct {
		size_t len, slots;
	} rows[] = { { 0, 1 },
		     { 1, 1 },
		     { SLOT, 1 },
		     { SLOT + 1, 2 },
		     { MEDIA_ARCHIVE_MAX, MEDIA_ARCHIVE_MAX / SLOT } };
	uint64_t least = 0;
	open_set(w);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		w->spec.archive_len = rows[i].len;
		make(w);
		least = least ? least : media_image_size(w->image);
		assert_int_equal(media_image_size(w->image), least + (rows[i].slots - 1) * SLOT);
	}
	struct err err = { 0 };
	struct media_image *im = NULL;
	w->spec.archive_len = MEDIA_ARCHIVE_MAX + 1;
	assert_int_equal(media_image_new(&w->spec, &im, &err), -E2BIG);
	assert_null(im);
}

static void test_kernel_line(void **state)
{
	struct world *w = *state;
	static char longest[MEDIA_CMDLINE_MAX + 2];
	for (size_t i = 0; i < MEDIA_CMDLINE_MAX; i++)
		longest[i] = i % 2 ? ' ' : 'a';
	open_set(w);
	w->spec.cmdline = longest; /* each word costs two quotes more */
	make(w);
	longest[MEDIA_CMDLINE_MAX] = 'a';
	static const struct {
		const char *cmdline;
		enum err_kind kind;
	} rows[] = {
		{ longest, ERR_LIMIT },	 { "a='b'", ERR_INVALID },     { "a=\"b\"", ERR_INVALID },
		{ "a\\b", ERR_INVALID }, { "a\nreboot", ERR_INVALID }, { "a\x7f", ERR_INVALID },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		struct media_image *im = NULL;
		w->spec.cmdline = rows[i].cmdline;
		assert_true(media_image_new(&w->spec, &im, &err) < 0);
		assert_int_equal(err.kind, rows[i].kind);
		assert_non_null(strstr(err.text, "--ramdisk-args"));
	}
}

/* --- files that change ------------------------------------------------------------------------ */

static void test_missing_file(void **state)
{
	struct world *w = *state;
	static const char *const files[] = { "vmlinuz", "initramfs", "loaders/bios.img",
					     "loaders/efi.img", "loaders/mbr.img" };
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct err err = { 0 };
		assert_int_equal(run(w, "mv %s away", files[i]), 0);
		assert_int_equal(media_set_open(&w->paths, &w->set, &err), -ENOENT);
		assert_non_null(strstr(err.text, files[i]));
		assert_non_null(strstr(err.text, "make ramdisk"));
		assert_int_equal(run(w, ": >%s", files[i]), 0);
		assert_true(media_set_open(&w->paths, &w->set, &err) < 0);
		assert_int_equal(run(w, "mv away %s", files[i]), 0);
	}
}

/* Another file in its place: the old one is served to its end. */
static void test_replaced_file(void **state)
{
	struct world *w = *state;
	char before[MEDIA_DIGEST_SIZE], after[MEDIA_DIGEST_SIZE];
	open_set(w);
	make(w);
	assert_true(media_set_is_current(w->set, &w->paths));
	assert_int_equal(media_image_sha256(w->image, before, NULL), 0);
	expect_run(w, "head -c 999 /dev/urandom >new && mv new initramfs");
	assert_false(media_set_is_current(w->set, &w->paths));
	assert_true(media_image_is_intact(w->image));
	w->set = media_set_unref(w->set);
	assert_int_equal(media_image_sha256(w->image, after, NULL), 0);
	assert_string_equal(before, after);
}

static void test_file_written_to(void **state)
{
	struct world *w = *state;
	uint8_t piece[4096];
	open_set(w);
	make(w);
	expect_run(w, "truncate -s 1000 initramfs");
	assert_false(media_image_is_intact(w->image));
	ssize_t n = 1;
	for (uint64_t at = 0; n > 0; at += (uint64_t)n)
		n = media_image_read(w->image, at, piece, sizeof(piece));
	assert_int_equal(n, -EIO);
	char sum[MEDIA_DIGEST_SIZE];
	struct err err = { 0 };
	assert_int_equal(media_image_sha256(w->image, sum, &err), -EIO);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_other_readers),    TEST(test_ranges),	       TEST(test_same_everywhere),
		TEST(test_digest_names_all), TEST(test_archive_sizes), TEST(test_kernel_line),
		TEST(test_missing_file),     TEST(test_replaced_file), TEST(test_file_written_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
