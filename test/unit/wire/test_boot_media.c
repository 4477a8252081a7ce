/* ISO images that boot: El Torito as xorriso and isoinfo read it, and guests that boot from it by
 * BIOS and by UEFI. The images are read in parts, as a web server would. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/eltorito.h"
#include "wire/iso9660.h"

enum { FILES = 4, PIECE = 4096, GOOD_EXIT = 33 /* of what go.cfg writes to isa-debug-exit */ };

/* GRUB's two images are the caller's files; what it reads from the disc is in memory. */
static const char go[] = "outb 0x501 0x10\n";
static const char *const sources[] = { "bios.img", "uefi.img" };

struct media {
	char dir[32];
	int fds[2];
	struct iso9660_file files[FILES];
	struct iso9660_options options;
	struct iso9660 *iso;
	char *path;
	uint8_t mbr[ELTORITO_MBR_SIZE];
	bool hybrid;
};

static int run(const struct media *m, const char *fmt, ...) _printf_(2, 3);
static int run(const struct media *m, const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_in_range(len, 1, sizeof(command) - 1);
	_cleanup_(freep) char *all = xasprintf("cd %s && ( %s ) >out 2>&1", m->dir, command);
	int status = system(all);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(const struct media *m, const char *what)
{
	if (run(m, "grep -qE '%s' said", what) == 0)
		return;
	_cleanup_(freep) char *show = xasprintf("cat %s/said", m->dir);
	assert_int_equal(system(show), 0);
	fail_msg("not said: %s", what);
}

static bool have(const char *programs)
{
	_cleanup_(freep) char *command = xasprintf(
		"for p in %s; do command -v $p >/dev/null || { echo $p; exit 1; }; done", programs);
	if (system(command) == 0)
		return true;
	print_message("skipped: one of these is not installed: %s\n", programs);
	return false;
}

/* Sums up the caller's file, a piece at a time. */
static uint32_t sum_of(int fd)
{
	uint8_t piece[PIECE];
	uint32_t sum = 0;
	uint64_t at = 0;
	for (ssize_t n; (n = pread(fd, piece, sizeof(piece), (off_t)at)) > 0; at += (uint64_t)n)
		sum = eltorito_sum(sum, at, piece, (uint64_t)n);
	return sum;
}

/* Any range: at most PIECE bytes of it. */
static size_t read_range(const struct media *m, uint64_t at, uint8_t out[PIECE])
{
	struct iso9660_part p = iso9660_at(m->iso, at);
	size_t n = p.len < PIECE ? (size_t)p.len : PIECE;
	memset(out, 0, PIECE);
	if (p.kind == ISO9660_BYTES)
		memcpy(out, p.bytes, n);
	else if (p.kind == ISO9660_FILE)
		assert_int_equal(pread(m->fds[p.file], out, n, (off_t)p.offset), n);
	return n;
}

static void write_image(struct media *m)
{
	uint8_t piece[PIECE];
	m->path = xasprintf("%s/disc.iso", m->dir);
	FILE *f = fopen(m->path, "we");
	assert_non_null(f);
	uint64_t at = 0;
	for (size_t n; (n = read_range(m, at, piece)) > 0; at += n)
		assert_int_equal(fwrite(piece, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(at, iso9660_size(m->iso));
}

static void make_sources(struct media *m)
{
	assert_int_equal(run(m, "echo 'search --file --set=root /boot/go.cfg' >early.cfg; "
				"echo 'source ($root)/boot/go.cfg' >>early.cfg; "
				"grub-mkimage -O i386-pc-eltorito -p / -c early.cfg -o bios.img "
				"biosdisk iso9660 search normal configfile iorw && "
				"grub-mkimage -O x86_64-efi -p / -c early.cfg -o BOOTX64.EFI "
				"iso9660 search normal configfile iorw part_gpt fat && "
				"truncate -s 4M uefi.img && mformat -i uefi.img :: && "
				"mmd -i uefi.img ::/EFI ::/EFI/BOOT && "
				"mcopy -i uefi.img BOOTX64.EFI ::/EFI/BOOT/"),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct stat st;
		_cleanup_(freep) char *path = xasprintf("%s/%s", m->dir, sources[i]);
		m->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(m->fds[i] >= 0 && fstat(m->fds[i], &st) == 0);
		m->files[i] = (struct iso9660_file){ .path = sources[i],
						     .len = (uint64_t)st.st_size };
	}
}

static int set_up(void **state)
{
	struct media *m = xcalloc(1, sizeof(*m));
	*state = m;
	memcpy(m->dir, "/tmp/ingot-media-XXXXXX", 24);
	return mkdtemp(m->dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct media *m = *state;
	_cleanup_(freep) char *command = xasprintf("rm -rf %s", m->dir);
	iso9660_free(m->iso);
	for (size_t i = 0; i < ARRAY_SIZE(m->fds); i++)
		if (m->fds[i] > 0)
			close(m->fds[i]);
	int r = system(command);
	free(m->path);
	free(m);
	return r;
}

static void make(struct media *m, bool bios, bool uefi)
{
	struct err err = { 0 };
	make_sources(m);
	m->files[2] = (struct iso9660_file){ "boot/go.cfg", go, strlen(go) };
	m->files[3] = (struct iso9660_file){ "boot/same.cfg", go, strlen(go) };
	m->options = (struct iso9660_options){
		.volume_id = "INGOT",
		.time = UINT64_C(1793000000) * USEC_PER_SEC,
		.max_bytes = UINT64_C(1) << 30,
		.boot = { bios ? sources[0] : NULL, uefi ? sources[1] : NULL, sum_of(m->fds[0]),
			  m->hybrid ? m->mbr : NULL }
	};
	if (iso9660_new(&m->options, m->files, FILES, &m->iso, &err) < 0)
		fail_msg("%s", err.text);
	write_image(m);
}

/* --- by other readers ------------------------------------------------------------------------- */

static void test_xorriso(void **state)
{
	struct media *m = *state;
	if (!have("xorriso grub-mkimage mformat"))
		skip();
	make(m, true, true);
	assert_int_equal(run(m, "xorriso -abort_on WARNING -indev disc.iso -report_el_torito plain "
				"-report_el_torito cmd >said 2>&1"),
			 0);
	expect(m, "El Torito boot img : +1 +BIOS +y +none .* 4 ");
	expect(m, "El Torito boot img : +2 +UEFI +y +none .* 8192 ");
	expect(m, "El Torito img path : +1 +/bios.img");
	expect(m, "El Torito img path : +2 +/uefi.img");
	/* It has compared the table with its own. */
	expect(m, "El Torito img opts : +1 .*boot-info-table");
	assert_int_equal(run(m,
			     "xorriso -osirrox on -indev disc.iso -extract / tree && "
			     "cmp tree/uefi.img uefi.img && cmp -n 8 tree/bios.img bios.img && "
			     "cmp -i 64 tree/bios.img bios.img && ! cmp tree/bios.img bios.img && "
			     "cmp tree/boot/go.cfg tree/boot/same.cfg"),
			 0);
	assert_int_equal(run(m, "chmod -R u+w tree"), 0);
}

static void test_isoinfo(void **state)
{
	struct media *m = *state;
	if (!have("isoinfo grub-mkimage mformat"))
		skip();
	make(m, true, false);
	assert_int_equal(run(m,
			     "isoinfo -d -i disc.iso >said && isoinfo -R -f -i disc.iso >>said && "
			     "isoinfo -R -x /boot/go.cfg -i disc.iso >>said"),
			 0);
	expect(m, "El Torito VD version 1 found");
	expect(m, "Arch 0 \\(x86\\)");
	expect(m, "Boot media 0 \\(No Emulation Boot\\)");
	expect(m, "Nsect 4");
	expect(m, "^/boot/same.cfg");
	expect(m, "^outb 0x501");
}

static bool make_hybrid(struct media *m)
{
	static const char code[] = "/usr/lib/grub/i386-pc/boot_hybrid.img";
	int fd = open(code, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		print_message("skipped: %s is not there (package grub-pc-bin)\n", code);
		return false;
	}
	assert_int_equal(read(fd, m->mbr, sizeof(m->mbr)), sizeof(m->mbr));
	close(fd);
	m->hybrid = true;
	make(m, true, true);
	return true;
}

/* The same sector and the same place in GRUB as xorriso writes where it makes the image. */
static void test_hybrid(void **state)
{
	struct media *m = *state;
	if (!have("xorriso grub-mkimage mformat fdisk") || !make_hybrid(m))
		skip();
	assert_int_equal(run(m, "xorriso -indev disc.iso -report_system_area plain >said 2>&1; "
				"fdisk -l disc.iso >>said"),
			 0);
	expect(m, "System area summary: MBR grub2-mbr cyl-align-off");
	expect(m, "disc.iso1 +\\* +0 .* 0 Empty");
	expect(m, "disc.iso2 .* 4M ef EFI");
	assert_int_equal(run(m,
			     "mkdir tree && cp bios.img uefi.img tree && "
			     "xorriso -as mkisofs -quiet -o other.iso -b bios.img -no-emul-boot "
			     "-boot-load-size 4 -boot-info-table --grub2-boot-info "
			     "--grub2-mbr /usr/lib/grub/i386-pc/boot_hybrid.img -eltorito-alt-boot "
			     "-e uefi.img -no-emul-boot tree && "
			     "lba() { xorriso -indev $1 -report_el_torito plain 2>/dev/null | "
			     "awk '/boot img :   1/ { print $NF }'; }; "
			     "word() { od -A n -t u8 -j $2 -N 8 $1 | tr -d ' '; }; "
			     "ours=$(lba disc.iso); theirs=$(lba other.iso); "
			     "cmp -n 432 disc.iso other.iso && "
			     "[ $(($(word disc.iso 432) - ours * 4)) = "
			     "$(($(word other.iso 432) - theirs * 4)) ] && "
			     "[ $(($(word disc.iso $((ours * 2048 + 2548))) - ours * 4)) = "
			     "$(($(word other.iso $((theirs * 2048 + 2548))) - theirs * 4)) ]"),
			 0);
}

/* --- by ranges -------------------------------------------------------------------------------- */

/* Each range alone is what the whole image has there; seeded, so that a failure comes again. */
static void test_ranges(void **state)
{
	struct media *m = *state;
	if (!have("grub-mkimage mformat"))
		skip();
	if (!make_hybrid(m))
		skip();
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	uint64_t size = iso9660_size(m->iso);
	uint32_t seed = 1;
	for (int i = 0; i < 3000; i++) {
		uint8_t part[PIECE], whole[PIECE];
		seed = seed * 1664525 + 1013904223;
		/* Half of them near the beginning, where the boundaries are. */
		uint64_t at = seed % (i % 2 ? size : 256 * 1024);
		size_t n = read_range(m, at, part);
		assert_true(n > 0 && at + n <= size);
		assert_int_equal(pread(fd, whole, n, (off_t)at), n);
		assert_memory_equal(part, whole, n);
	}
	assert_int_equal(iso9660_at(m->iso, size).kind, ISO9660_END);
	assert_int_equal(iso9660_at(m->iso, UINT64_MAX).kind, ISO9660_END);
	close(fd);
}

/* --- by guests -------------------------------------------------------------------------------- */

/* GRUB, loaded by the firmware, finds its file on the disc, and that ends QEMU. */
static void boot_from(const struct media *m, const char *firmware, const char *disc)
{
	int status = run(
		m,
		"timeout 150 qemu-system-x86_64 -accel tcg -m 256 -nodefaults -display none "
		"-nic none -device isa-debug-exit,iobase=0x501,iosize=2 -serial file:serial "
		"%s %s",
		firmware, disc);
	if (status != GOOD_EXIT)
		fail_msg("QEMU ended with %d", status);
}

static void boot(const struct media *m, const char *firmware)
{
	boot_from(m, firmware, "-cdrom disc.iso -boot d");
}

static const char stick[] = "-drive if=virtio,format=raw,readonly=on,file=disc.iso";

static void test_bios_guest(void **state)
{
	struct media *m = *state;
	if (!have("qemu-system-x86_64 grub-mkimage mformat"))
		skip();
	make(m, true, true);
	boot(m, "");
}

static void test_bios_stick(void **state)
{
	struct media *m = *state;
	if (!have("qemu-system-x86_64 grub-mkimage mformat") || !make_hybrid(m))
		skip();
	boot_from(m, "", stick);
}

static const char ovmf[] =
	"-machine q35 "
	"-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd "
	"-drive if=pflash,format=raw,file=vars.fd";

static bool have_ovmf(const struct media *m)
{
	if (run(m, "cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd") == 0)
		return true;
	print_message("skipped: ovmf is not installed\n");
	return false;
}

static void test_uefi_guest(void **state)
{
	struct media *m = *state;
	if (!have("qemu-system-x86_64 grub-mkimage mformat"))
		skip();
	if (!have_ovmf(m))
		skip();
	make(m, true, true);
	boot(m, ovmf);
}

static void test_uefi_stick(void **state)
{
	struct media *m = *state;
	if (!have("qemu-system-x86_64 grub-mkimage mformat") || !have_ovmf(m) || !make_hybrid(m))
		skip();
	boot_from(m, ovmf, stick);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
	(void)state;
	static const struct iso9660_file files[] = { { "short", "x", 1 }, { "none", "", 0 } };
	static const struct {
		struct iso9660_boot boot;
		const char *says;
	} rows[] = {
		{ { .bios = "missing" }, "\"missing\" is not in the image" },
		{ { .uefi = "none" }, "\"none\" is not in the image, or empty" },
		{ { .bios = "short" }, "too short" },
		{ { .uefi = "short", .mbr = files }, "a boot sector needs" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iso9660_options o = { .volume_id = "X",
					     .max_bytes = 1 << 20,
					     .boot = rows[i].boot };
		struct iso9660 *iso = NULL;
		struct err err = { 0 };
		assert_true(iso9660_new(&o, files, ARRAY_SIZE(files), &iso, &err) < 0);
		assert_null(iso);
		assert_non_null(strstr(err.text, rows[i].says));
	}
	struct iso9660_options o = { .volume_id = "X", .max_bytes = UINT64_MAX };
	struct iso9660_file large = { .path = "large", .len = UINT64_C(1) << 32 };
	struct iso9660 *iso = NULL;
	assert_int_equal(iso9660_new(&o, &large, 1, &iso, NULL), -E2BIG);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_xorriso),    TEST(test_isoinfo),    TEST(test_hybrid),
		TEST(test_ranges),     TEST(test_bios_guest), TEST(test_bios_stick),
		TEST(test_uefi_guest), TEST(test_uefi_stick), cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
