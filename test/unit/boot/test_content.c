/* What boot clients may fetch: every name, the scripts, and that no other name leads anywhere. */

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

#include "base/mem.h"
#include "base/str.h"
#include "boot/content.h"
#include "boot/script.h"

struct world {
	struct boot_config config;
	struct boot_host host;
	struct boot_env env;
	unsigned seen, completed;
	const char *words; /* what completes the host; NULL: nothing */
	char path[32];
	struct boot_file files[3];
	struct boot_ramdisk ramdisks[2];
};

static bool find(void *data, const struct net_mac *mac, struct boot_host *ret)
{
	struct world *w = data;
	*ret = w->host;
	return mac->bytes[5] == 1;
}

static void seen(void *data, const struct net_mac *mac, enum boot_stage stage)
{
	struct world *w = data;
	assert_int_equal(mac->bytes[5], 1);
	assert_int_equal(stage, BOOT_STAGE_SCRIPT);
	w->seen++;
}

static void complete(void *data, const struct net_mac *mac, int family, struct boot_host *host,
		     char **ret_cmdline)
{
	struct world *w = data;
	assert_true(family == AF_INET || family == AF_INET6);
	assert_int_equal(mac->bytes[5], 1);
	assert_string_equal(host->name, w->host.name);
	w->completed++;
	if (w->words)
		*ret_cmdline = xstrdup(w->words);
}

static const struct boot_ops ops = { .find = find, .complete = complete, .seen = seen };

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	memcpy(w->path, "/tmp/test_content.XXXXXX", 25);
	int fd = mkstemp(w->path);
	if (fd < 0 || write(fd, "kernel bytes", 12) != 12)
		return -1;
	close(fd);
	w->files[0] = (struct boot_file){ "snponly.efi", w->path };
	w->files[1] = (struct boot_file){ "ipxe.efi", "/nonexistent" };
	w->ramdisks[0] = (struct boot_ramdisk){ "virt", w->path, "/etc" }; /* a directory */
	w->config = (struct boot_config){ .http_url = "http://10.77.0.1:8080",
					  .http_url6 = "http://[fd77::1]:8080",
					  .file_url = "http://10.77.0.1:8081",
					  .ca_pem = "PEM\n",
					  .files = w->files,
					  .ramdisks = w->ramdisks };
	w->host = (struct boot_host){
		.name = "metal3/node-0",
		.target = BOOT_TARGET_RAMDISK,
		.flavour = "virt",
		.cmdline = "console=ttyS0 ipa-api-url=https://10.77.0.1:6385"
	};
	w->env = (struct boot_env){ .config = &w->config, .ops = &ops, .data = w };
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	unlink(w->path);
	free(w);
	return 0;
}

static char *text_for(struct world *w, const char *name, int family)
{
	struct boot_content c;
	struct err err = { 0 };
	assert_int_equal(boot_content_open(&w->env, name, family, &c, &err), 0);
	assert_int_equal(c.fd, -1);
	char *text = xstrndup(c.text, c.size);
	boot_content_done(&c);
	return text;
}

static char *text_of(struct world *w, const char *name)
{
	return text_for(w, name, AF_INET);
}

static void check_text(struct world *w, const char *name, const char *expect)
{
	_cleanup_(freep) char *text = text_of(w, name);
	assert_string_equal(text, expect);
}

#define TAIL                                                                                       \
	"boot || goto retry\n\n:retry\niseq ${i} ${attempts} && goto fail ||\ninc i\n"             \
	"echo No answer, trying again in ${i} seconds\nsleep ${i}\ngoto load\n\n:fail\n"           \
	"echo No answer after ${attempts} attempts, going on to the next boot device\nexit 1\n"
#define HEAD "#!ipxe\n\nset attempts:int32 10\nset i:int32 0\n\n:load\nimgfree\n"

static void test_ipxe_ramdisk(void **state)
{
	struct world *w = *state;
	static const char expect[] = HEAD
		"kernel http://10.77.0.1:8081/ramdisk/virt/vmlinuz console=ttyS0 "
		"ipa-api-url=https://10.77.0.1:6385 BOOTIF=01-52-54-00-77-00-01 initrd=ca.cpio "
		"initrd=initramfs || goto retry\n"
		"initrd --name ca.cpio http://10.77.0.1:8080/boot/ca.cpio || goto retry\n"
		"initrd --name initramfs http://10.77.0.1:8081/ramdisk/virt/initramfs || goto retry\n" TAIL;
	check_text(w, "52-54-00-77-00-01.ipxe", expect);
	check_text(w, "52:54:00:77:00:01.ipxe", expect);
	assert_int_equal(w->seen, 2);
}

/* Who has asked by IPv6 goes on by it. */
static void test_ipv6(void **state)
{
	struct world *w = *state;
	static const char expect[] = HEAD
		"kernel http://[fd77::1]:8080/ramdisk/virt/vmlinuz ipa-api-url=https://[fd77::1]:6385 "
		"BOOTIF=01-52-54-00-77-00-01 initrd=ca.cpio initrd=initramfs || goto retry\n"
		"initrd --name ca.cpio http://[fd77::1]:8080/boot/ca.cpio || goto retry\n"
		"initrd --name initramfs http://[fd77::1]:8080/ramdisk/virt/initramfs || goto retry\n" TAIL;
	w->words = "ipa-api-url=https://[fd77::1]:6385";
	_cleanup_(freep) char *script = text_for(w, "52-54-00-77-00-01.ipxe", AF_INET6);
	assert_string_equal(script, expect);
	_cleanup_(freep) char *generic = text_for(w, "boot.ipxe", AF_INET6);
	assert_non_null(strstr(generic, "http://[fd77::1]:8080/boot/${net${netid}/mac:hexhyp}"));
	w->words = NULL;
	w->host.cmdline = "ipa-api-url=https://[fd77::1]:6385";
	_cleanup_(freep) char *grub = text_for(w, "grub/52:54:00:77:00:01", AF_INET6);
	assert_non_null(strstr(grub, "'ipa-api-url=https://[fd77::1]:6385'"));
}

/* A place that fails at any file leads to the next one, all of whose files are loaded: kernel and
 * initramfs of two releases do not fit. */
static void test_ipxe_other_places(void **state)
{
	struct world *w = *state;
	static const char *const others[] = { "http://10.77.0.2:8080", "http://10.77.0.3:80",
					      NULL };
	static const char head[] = HEAD "kernel http://10.77.0.1:8081/ramdisk/virt/vmlinuz ";
	static const char last[] =
		"initrd=initramfs || goto load1\n"
		"initrd --name ca.cpio http://10.77.0.1:8080/boot/ca.cpio || goto load1\n"
		"initrd --name initramfs http://10.77.0.1:8081/ramdisk/virt/initramfs || goto load1\n"
		"boot || goto load1\n\n:load1\nimgfree\n"
		"kernel http://10.77.0.2:8080/ramdisk/virt/vmlinuz console=ttyS0 "
		"ipa-api-url=https://10.77.0.1:6385 BOOTIF=01-52-54-00-77-00-01 initrd=ca.cpio "
		"initrd=initramfs || goto load2\n"
		"initrd --name ca.cpio http://10.77.0.2:8080/boot/ca.cpio || goto load2\n"
		"initrd --name initramfs http://10.77.0.2:8080/ramdisk/virt/initramfs || goto load2\n"
		"boot || goto load2\n\n:load2\nimgfree\n"
		"kernel http://10.77.0.3:80/ramdisk/virt/vmlinuz ";
	w->host.other_urls = others;
	_cleanup_(freep) char *text = text_of(w, "52-54-00-77-00-01.ipxe");
	assert_true(str_has_prefix(text, head));
	assert_non_null(strstr(text, last));
	assert_true(str_has_suffix(text, "ramdisk/virt/initramfs || goto retry\n" TAIL));
	/* GRUB loads from where it came itself. */
	_cleanup_(freep) char *grub = text_of(w, "grub/52:54:00:77:00:01");
	assert_null(strstr(grub, "10.77.0.2"));
}

static void test_ipxe_too_many_places(void **state)
{
	struct world *w = *state;
	static const char *const others[] = { "http://a:1", "http://a:2", "http://a:3",
					      "http://a:4", "http://a:5", "http://a:6",
					      "http://a:7", "http://a:8", NULL };
	w->host.other_urls = others;
	_cleanup_(freep) char *text = text_of(w, "52-54-00-77-00-01.ipxe");
	assert_non_null(strstr(text, "http://a:7/"));
	assert_null(strstr(text, "http://a:8/"));
}

static void test_ipxe_by_url(void **state)
{
	struct world *w = *state;
	w->host.flavour = NULL;
	w->host.kernel_url = "http://elsewhere/k";
	w->host.initramfs_url = "http://elsewhere/i?x=1";
	w->host.cmdline = NULL;
	w->config.ca_pem = NULL;
	check_text(
		w, "52-54-00-77-00-01.ipxe",
		HEAD
		"kernel http://elsewhere/k  BOOTIF=01-52-54-00-77-00-01 initrd=initramfs || "
		"goto retry\ninitrd --name initramfs http://elsewhere/i?x=1 || goto retry\n" TAIL);
}

static void test_completed(void **state)
{
	struct world *w = *state;
	w->host.flavour = NULL;
	w->host.kernel_url = "http://elsewhere/k";
	w->host.initramfs_url = "http://elsewhere/i";
	w->words = "more=1";
	w->config.ca_pem = NULL;
	check_text(w, "52-54-00-77-00-01.ipxe",
		   HEAD "kernel http://elsewhere/k more=1 BOOTIF=01-52-54-00-77-00-01 "
			"initrd=initramfs || goto retry\n"
			"initrd --name initramfs http://elsewhere/i || goto retry\n" TAIL);
	assert_int_equal(w->completed, 1);
	w->host.target = BOOT_TARGET_NONE;
	free(text_of(w, "52-54-00-77-00-01.ipxe"));
	assert_int_equal(w->completed, 1); /* a script that goes on to the disk has no such words */
}

static void test_disk(void **state)
{
	struct world *w = *state;
	w->host.target = BOOT_TARGET_NONE;
	_cleanup_(freep) char *text = text_of(w, "52-54-00-77-00-01.ipxe");
	assert_non_null(strstr(text, "exit 1\n"));
	assert_non_null(strstr(text, "sanboot --no-describe --drive 0x80"));
	assert_null(strstr(text, "kernel"));
	check_text(w, "grub/52:54:00:77:00:01", "exit 1\n");
}

static void test_generic(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *text = text_of(w, "boot.ipxe");
	assert_non_null(strstr(text, "chain --autofree "
				     "http://10.77.0.1:8080/boot/${net${netid}/mac:hexhyp}.ipxe || "
				     "goto loop\n"));
	assert_int_equal(w->seen, 0);
}

static void test_grub(void **state)
{
	struct world *w = *state;
	check_text(w, "grub/grub.cfg", "configfile /grub/$net_default_mac\n");
	check_text(
		w, "grub/52:54:00:77:00:01",
		"linux /ramdisk/virt/vmlinuz 'console=ttyS0' 'ipa-api-url=https://10.77.0.1:6385' "
		"'BOOTIF=01-52-54-00-77-00-01'\ninitrd /ca.cpio /ramdisk/virt/initramfs\nboot\nexit 1\n");
}

/* What would break out of a script is refused, with the host's name. */
static void test_hostile_words(void **state)
{
	struct world *w = *state;
	static const char *const lines[] = { "a || shell", "a && b", "x #y",	"a=${net0/ip}",
					     "a\nshell",   "a\tb",   "a\x7f b", "# a" };
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct boot_content c;
		struct err err = { 0 };
		w->host.cmdline = lines[i];
		assert_true(boot_content_open(&w->env, "52-54-00-77-00-01.ipxe", AF_INET, &c,
					      &err) < 0);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_non_null(strstr(err.text, "metal3/node-0"));
	}
	static const char *const quotes[] = { "a='b'", "a=\"b c\"", "a\\b" };
	for (size_t i = 0; i < ARRAY_SIZE(quotes); i++) {
		struct boot_content c;
		struct err err = { 0 };
		w->host.cmdline = quotes[i];
		assert_true(boot_content_open(&w->env, "grub/52:54:00:77:00:01", AF_INET, &c,
					      &err) < 0);
	}
	struct boot_content c;
	struct err err = { 0 };
	w->host = (struct boot_host){ .name = "h",
				      .target = BOOT_TARGET_RAMDISK,
				      .kernel_url = "http://x/a b",
				      .initramfs_url = "http://x/i" };
	assert_true(boot_content_open(&w->env, "52-54-00-77-00-01.ipxe", AF_INET, &c, &err) < 0);
	w->host.kernel_url = NULL;
	assert_true(boot_content_open(&w->env, "52-54-00-77-00-01.ipxe", AF_INET, &c, &err) < 0);
	w->host.flavour = "unknown";
	assert_true(boot_content_open(&w->env, "52-54-00-77-00-01.ipxe", AF_INET, &c, &err) < 0);
	assert_non_null(strstr(err.text, "unknown"));
}

static void test_ca(void **state)
{
	struct world *w = *state;
	struct boot_content c;
	assert_int_equal(boot_content_open(&w->env, "ca.cpio", AF_INET, &c, NULL), 0);
	assert_int_equal(c.size % 512, 0);
	assert_non_null(memmem(c.text, c.size, "etc/ironic-python-agent/ironic.crt", 35));
	assert_non_null(memmem(c.text, c.size, "PEM\n", 4));
	/* Where a stock agent reads settings with --config-dir, and without. */
	assert_non_null(memmem(c.text, c.size, "etc/ironic-python-agent.d/ingot.conf", 37));
	assert_non_null(memmem(c.text, c.size, "etc/ironic-python-agent.conf.d/ingot.conf", 42));
	assert_non_null(
		memmem(c.text, c.size, "cafile = /etc/ironic-python-agent/ironic.crt\n", 45));
	boot_content_done(&c);
	w->config.ca_pem = NULL;
	assert_int_equal(boot_content_open(&w->env, "ca.cpio", AF_INET, &c, NULL), -ENOENT);
}

static void test_files(void **state)
{
	struct world *w = *state;
	struct boot_content c;
	char data[32];
	assert_int_equal(boot_content_open(&w->env, "ramdisk/virt/vmlinuz", AF_INET, &c, NULL), 0);
	assert_int_equal(c.size, 12);
	assert_int_equal(boot_content_read(&c, 7, data, sizeof(data)), 5);
	assert_memory_equal(data, "bytes", 5);
	assert_int_equal(boot_content_read(&c, 12, data, sizeof(data)), 0);
	assert_int_equal(boot_content_read(&c, 13, data, sizeof(data)), -EINVAL);
	char etag[64];
	memcpy(etag, c.etag, sizeof(etag));
	assert_int_equal(truncate(w->path, 3), 0);
	assert_int_equal(boot_content_read(&c, 0, data, sizeof(data)), -EIO);
	boot_content_done(&c);
	assert_int_equal(boot_content_open(&w->env, "snponly.efi", AF_INET, &c, NULL), 0);
	assert_string_not_equal(etag, c.etag);
	boot_content_done(&c);
	struct err err = { 0 };
	assert_true(boot_content_open(&w->env, "ramdisk/virt/initramfs", AF_INET, &c, &err) < 0);
	assert_non_null(strstr(err.text, "/etc"));
}

static void test_no_such_name(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {
		"",
		"/",
		"..",
		"../etc/passwd",
		"/etc/passwd",
		"ipxe.efi",
		"ramdisk",
		"ramdisk/",
		"ramdisk/virt",
		"ramdisk/virt/",
		"ramdisk/virt/../vmlinuz",
		"ramdisk/generic/vmlinuz",
		"ramdisk//vmlinuz",
		".ipxe",
		"52-54-00-77-00-02.ipxe",
		"52-54-00-77-00-01",
		"grub/",
		"grub/52-54-00-77-00-02",
		"grub/..",
		"52-54-00-77-00-0.ipxe",
		"52-54-00-77-00-01-.ipxe",
		"snponly.efi/",
		"ca.cpio2",
		"boot.ipxe/",
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct boot_content c;
		struct err err = { 0 };
		assert_int_equal(boot_content_open(&w->env, names[i], AF_INET, &c, &err), -ENOENT);
		assert_int_equal(err.kind, ERR_NONE);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ipxe_ramdisk),
		TEST(test_ipv6),
		TEST(test_ipxe_other_places),
		TEST(test_ipxe_too_many_places),
		TEST(test_ipxe_by_url),
		TEST(test_completed),
		TEST(test_disk),
		TEST(test_generic),
		TEST(test_grub),
		TEST(test_hostile_words),
		TEST(test_ca),
		TEST(test_files),
		TEST(test_no_such_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
