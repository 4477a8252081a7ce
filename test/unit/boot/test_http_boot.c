/* Boot files over HTTP with curl: two listeners, each with its own table of routes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/http_boot.h"
#include "unit/boot/lines.h"
#include "unit/boot/netns.h"

enum { KERNEL_SIZE = 300000 };

struct world {
	struct loop *loop;
	struct web *web;
	struct web_server *small, *bulk;
	struct http_boot *boot;
	struct boot_config config;
	struct boot_env env;
	struct boot_host host;
	char dir[32], kernel[64];
	struct boot_file files[2];
	struct boot_ramdisk ramdisks[2];
};

static bool find(void *data, const struct net_mac *mac, struct boot_host *ret)
{
	struct world *w = data;
	*ret = w->host;
	return mac->bytes[5] == 1;
}

static const struct boot_ops ops = { .find = find };

static bool make_kernel(struct world *w)
{
	memcpy(w->dir, "/tmp/test_http_boot.XXXXXX", 27);
	if (!mkdtemp(w->dir))
		return false;
	snprintf(w->kernel, sizeof(w->kernel), "%s/vmlinuz", w->dir);
	FILE *f = fopen(w->kernel, "we");
	for (uint32_t i = 0; f && i < KERNEL_SIZE; i++)
		fputc((int)(i * 2654435761u >> 13 & 0xff), f);
	return f && fclose(f) == 0;
}

static int listen_on(struct world *w, const struct web_route *routes, struct web_server **ret)
{
	struct err err = { 0 };
	struct web_server_options o = { .name = "boot", .address = "127.0.0.1", .routes = routes };
	int r = web_server_open(w->web, &o, ret, &err);
	if (r < 0)
		print_error("%s\n", err.text);
	return r;
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = { 0 };
	*state = w;
	if (!make_kernel(w) || loop_new(&w->loop, &err) < 0 || web_new(&w->web, &err) < 0)
		return -1;
	w->files[0] = (struct boot_file){ "snponly.efi", w->kernel };
	w->ramdisks[0] = (struct boot_ramdisk){ "virt", w->kernel, "/nonexistent" };
	w->config = (struct boot_config){ .http_url = "http://10.77.0.1:8080",
					  .ca_pem = "PEM\n",
					  .files = w->files,
					  .ramdisks = w->ramdisks };
	w->host = (struct boot_host){ .name = "h",
				      .target = BOOT_TARGET_RAMDISK,
				      .flavour = "virt" };
	w->env = (struct boot_env){ w->loop, &w->config, &ops, w };
	w->boot = http_boot_new(&w->env);
	return listen_on(w, http_boot_small_routes(w->boot), &w->small) < 0 ||
			       listen_on(w, http_boot_bulk_routes(w->boot), &w->bulk) < 0
		       ? -1
		       : 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	web_server_close(w->small);
	web_server_close(w->bulk);
	web_free(w->web);
	http_boot_free(w->boot);
	loop_free(w->loop);
	run("rm -rf %s", w->dir);
	free(w);
	return 0;
}

/* `script` is shell; $SMALL, $BULK and $KERNEL are set, get is curl. */
static void sh(struct world *w, const char *script)
{
	if (system("command -v curl >/dev/null") != 0) {
		print_message("skipped: curl is not installed\n");
		skip();
	}
	_cleanup_(freep) char *command = xasprintf(
		"SMALL=http://127.0.0.1:%u BULK=http://127.0.0.1:%u KERNEL=%s; set -e; "
		"get() { curl -sS --max-time 30 \"$@\"; }; "
		"status() { get -o /dev/null -w '%%{http_code}' \"$@\"; }; %s",
		web_server_port(w->small), web_server_port(w->bulk), w->kernel, script);
	assert_true(run_command(w->loop, command));
}

static void test_scripts(void **state)
{
	struct world *w = *state;
	sh(w, "get -f $SMALL/boot/52-54-00-77-00-01.ipxe | grep -q 'kernel "
	      "http://10.77.0.1:8080/ramdisk/virt/vmlinuz'; "
	      "get -f $SMALL/boot.ipxe | grep -q '^chain '; "
	      "get -fI $SMALL/boot/52-54-00-77-00-01.ipxe | grep -qi '^cache-control: no-store'; "
	      "[ $(status $SMALL/boot/52-54-00-77-00-02.ipxe) = 404 ]");
	w->host.cmdline = "a || b";
	sh(w, "[ $(status $SMALL/boot/52-54-00-77-00-01.ipxe) = 500 ]");
}

static void test_downloads(void **state)
{
	struct world *w = *state;
	sh(w,
	   "get -f $BULK/ramdisk/virt/vmlinuz | cmp - $KERNEL; "
	   "get -f $SMALL/boot/snponly.efi | cmp - $KERNEL; "
	   /* EDK2 asks for the size first. */
	   "get -fI $SMALL/boot/snponly.efi | grep -qi '^content-length: 300000'; "
	   "[ $(get -f -r 1000-1999 $BULK/ramdisk/virt/vmlinuz | wc -c) = 1000 ]; "
	   "[ $(status -r 1000-1999 $BULK/ramdisk/virt/vmlinuz) = 206 ]; "
	   "E=$(get -fI $BULK/ramdisk/virt/vmlinuz | tr -d '\\r' | sed -n 's/^[Ee][Tt]ag: //p'); "
	   "[ -n \"$E\" ]; "
	   "[ $(status -r 5- -H \"If-Range: $E\" $BULK/ramdisk/virt/vmlinuz) = 206 ]; "
	   "[ $(status -r 5- -H 'If-Range: \"x\"' $BULK/ramdisk/virt/vmlinuz) = 200 ]; "
	   "[ $(status $BULK/ramdisk/virt/initramfs) = 500 ]");
}

static void test_ca(void **state)
{
	sh(*state, "get -f $SMALL/boot/ca.cpio | strings | grep -q "
		   "'^cafile = /etc/ironic-python-agent/ironic.crt'");
}

static void test_nothing_else(void **state)
{
	sh(*state, "for p in / /boot /boot/ /boot/nothing /boot/grub/grub.cfg "
		   "/boot/grub/52:54:00:77:00:01 /boot/ramdisk/virt/vmlinuz /ramdisk/virt/vmlinuz "
		   "/boot/..%2f..%2fetc%2fpasswd /boot.ipxe/x "
		   /* What shim looks for beside itself. */
		   "/boot//grubx64.efi /boot/revocations_sku.efi /boot/revocations_sbat.efi "
		   "/boot/shim_certificate_0.efi /boot/mmx64.efi; do "
		   "[ $(status --path-as-is $SMALL$p) = 404 ]; done; "
		   "for p in /boot/snponly.efi /ramdisk /ramdisk/ /ramdisk/virt/../../etc/passwd "
		   "/ramdisk/generic/vmlinuz; do [ $(status --path-as-is $BULK$p) = 404 ]; done; "
		   "for m in POST PUT DELETE; do [ $(status -X $m -H 'Content-Length: 0' "
		   "$SMALL/boot.ipxe) = 405 ]; done; "
		   "get -i -X POST -H 'Content-Length: 0' $SMALL/boot/nothing | tr -d '\\r' | "
		   "grep -qx 'Allow: GET, HEAD'");
}

static void test_table(void **state)
{
	(void)state;
	assert_true(web_router_sound(&http_boot_router));
}

static void test_failures_do_not_fill_the_log(void **state)
{
	struct world *w = *state;
	struct lines lines;
	lines_begin(&lines, w->loop, "boot file not served");
	sh(w, "[ $(status \"$BULK/ramdisk/virt/initramfs?[1-50]\" | grep -o 500 | wc -l) = 50 ]");
	assert_true(lines_paced(&lines));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_scripts),
		TEST(test_downloads),
		TEST(test_ca),
		TEST(test_nothing_else),
		TEST(test_failures_do_not_fill_the_log),
		cmocka_unit_test(test_table),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
