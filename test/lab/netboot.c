/* Ingot's boot services for one host, without the rest of Ingot: what firmware loads from them is
 * seen on its console (test_netboot).
 *
 *   lab_netboot DEVICE ADDRESS FIRST-LAST/BITS MAC RAMDISK plain|secure CMDLINE
 *
 * Prints "serving" when it does, and what cannot be given. Ends when its standard input does. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "boot/dhcp_server.h"
#include "boot/http_boot.h"
#include "boot/tftp_server.h"

enum { HTTP_PORT = 8080 };

struct world {
	struct loop *loop;
	struct net_mac mac;
	struct net_addr slot;
	struct boot_host host;
	/* Of a slot that is being stored. */
	boot_slot_done_fn done;
	void *done_data;
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "lab_netboot: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static bool find(void *data, const struct net_mac *mac, struct boot_host *ret)
{
	const struct world *w = data;
	*ret = w->host;
	return memcmp(mac, &w->mac, sizeof(*mac)) == 0;
}

static bool slot_get(void *data, const struct net_mac *mac, int family, struct net_addr *ret)
{
	const struct world *w = data;
	(void)mac;
	*ret = w->slot;
	return net_is_set(&w->slot) && net_family(&w->slot) == family;
}

static bool slot_used(void *data, const struct net_addr *address)
{
	const struct world *w = data;
	return net_is_set(&w->slot) && net_same_ip(&w->slot, address);
}

static void slot_stored(void *data)
{
	struct world *w = data;
	w->done(w->done_data, NULL);
}

static void slot_set(void *data, const struct net_mac *mac, int family,
		     const struct net_addr *address, boot_slot_done_fn done, void *done_data)
{
	struct world *w = data;
	(void)mac, (void)family;
	w->slot = address ? *address : (struct net_addr){ 0 };
	w->done = done;
	w->done_data = done_data;
	loop_post(w->loop, slot_stored, w);
}

static void failed(void *data, const struct net_mac *mac, const char *address, const char *why)
{
	(void)data, (void)mac, (void)address;
	printf("cannot be given: %s\n", why);
	fflush(stdout);
}

static void on_input(void *data, int events)
{
	char byte;
	(void)events;
	if (read(STDIN_FILENO, &byte, 1) <= 0)
		loop_stop(data);
}

static const struct boot_ops ops = { .find = find,
				     .slot_get = slot_get,
				     .slot_used = slot_used,
				     .slot_set = slot_set,
				     .failed = failed };

static void read_pool(char *text, struct boot_pool *ret)
{
	char *dash = strchr(text, '-'), *slash = strchr(text, '/');
	uint64_t bits;
	if (!dash || !slash || parse_u64(slash + 1, 32, &bits) < 0)
		die(text, "not FIRST-LAST/BITS");
	*dash = *slash = '\0';
	ret->bits = (unsigned)bits;
	if (net_parse_ip(text, &ret->start) < 0 || net_parse_ip(dash + 1, &ret->end) < 0)
		die(text, "no address");
}

static void run(struct world *w, const struct boot_config *config)
{
	const struct boot_env env = { w->loop, config, &ops, w };
	struct dhcp_server *dhcp;
	struct tftp_server *tftp;
	struct web *web;
	struct web_server *server;
	struct loop_io *input;
	struct err err = { 0 };
	struct http_boot *http = http_boot_new(&env);
	struct web_route routes[8] = { 0 };
	size_t n = 0;
	for (const struct web_route *r = http_boot_small_routes(http); r->prefix; r++)
		routes[n++] = *r;
	for (const struct web_route *r = http_boot_bulk_routes(http); r->prefix; r++)
		routes[n++] = *r;
	const struct web_server_options o = { .name = "boot", .port = HTTP_PORT, .routes = routes };
	if (boot_config_check(config, &err) < 0 || dhcp_server_open(&env, &dhcp, &err) < 0 ||
	    tftp_server_open(&env, &tftp, &err) < 0 || web_new(&web, &err) < 0 ||
	    web_server_open(web, &o, &server, &err) < 0 ||
	    loop_io_open(w->loop, STDIN_FILENO, LOOP_READ, "input", on_input, w->loop, &input,
			 &err) < 0)
		die("start", err.text);
	dhcp_server_set_active(dhcp, true);
	tftp_server_set_active(tftp, true);
	puts("serving");
	fflush(stdout);
	loop_run(w->loop);
	loop_io_close(input);
	web_server_close(server);
	web_free(web);
	dhcp_server_close(dhcp);
	tftp_server_close(tftp);
	http_boot_free(http);
}

int main(int argc, char **argv)
{
	struct world w = { 0 };
	struct err err = { 0 };
	if (argc != 8)
		die("usage", "DEVICE ADDRESS FIRST-LAST/BITS MAC RAMDISK plain|secure CMDLINE");
	_cleanup_(freep) char *kernel = xasprintf("%s/vmlinuz", argv[5]);
	_cleanup_(freep) char *initramfs = xasprintf("%s/initramfs", argv[5]);
	_cleanup_(freep) char *url = xasprintf("http://%s:%d", argv[2], HTTP_PORT);
	const struct boot_ramdisk ramdisks[] = { { "virt", kernel, initramfs }, { 0 } };
	struct boot_config config = { .device = argv[1],
				      .dhcp = BOOT_DHCP_SERVER,
				      .tftp = true,
				      .pool_count = 1,
				      .http_url = url,
				      .ramdisks = ramdisks };
	w.host = (struct boot_host){ .name = "lab/node-1",
				     .target = BOOT_TARGET_RAMDISK,
				     .secure_boot = streq(argv[6], "secure"),
				     .flavour = "virt",
				     .cmdline = argv[7] };
	read_pool(argv[3], &config.pools[0]);
	if (net_parse_ip(argv[2], &config.address) < 0 || net_parse_mac(argv[4], &w.mac) < 0)
		die("usage", "an address");
	if (loop_new(&w.loop, &err) < 0)
		die("start", err.text);
	run(&w, &config);
	loop_free(w.loop);
	return 0;
}
