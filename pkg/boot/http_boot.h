#pragma once
/* Boot files over plain HTTP: routes for a listener on the provisioning address. Small things and
 * downloads are two tables, so that downloads can stand on a listener of the bulk thread.
 *
 *   small:  /boot.ipxe  /boot/<mac>.ipxe  /boot/ca.cpio  /boot/<loader>
 *   bulk:   /ramdisk/<flavour>/{vmlinuz,initramfs}
 *
 * Core thread. */

#include "boot/boot.h"
#include "web/router.h"

struct http_boot;

/* The table, for the tests; data is the http_boot. */
extern const struct web_router http_boot_router;

struct http_boot *http_boot_new(const struct boot_env *env);
/* After the servers that have the routes were closed and their posted work was run. */
struct http_boot *http_boot_free(struct http_boot *h);
/* Ended by prefix NULL; for web_server_options.routes, alone or among others. */
const struct web_route *http_boot_small_routes(const struct http_boot *h);
const struct web_route *http_boot_bulk_routes(const struct http_boot *h);
/* The handler of all of them, for routes of a server that others share; data is the http_boot. */
void http_boot_handle(void *data, struct web_request *r);
