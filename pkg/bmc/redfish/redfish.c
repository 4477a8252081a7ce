/* The driver's frame: what it can do, as a table of start functions, and the life of a BMC. A BMC's
 * session is kept for as long as it is open, because each login costs two requests and BMCs have
 * few sessions; its connection is the HTTP client's to keep or close. Core thread. */

#include "bmc/redfish/redfish.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/redfish/internal.h"
#include "metrics/metrics.h"

#define RETRY_PAUSE (3 * USEC_PER_SEC)
/* Busy BMCs are asked again for so long. */
#define TIMEOUT (2 * USEC_PER_MIN)

static void links_done(struct rf_links *l)
{
	free(l->system);
	free(l->manager);
	free(l->sessions);
	free(l->systems);
	free(l->reset);
	free(l->media_slots);
	free(l->media);
	secret_free(l->media_image);
	*l = (struct rf_links){ 0 };
}

static void redfish_open(struct bmc *bmc)
{
	struct rf_bmc *rf = rf_of(bmc);
	rf->base_url = bmc_address_base_url(&bmc->address);
}

static void redfish_close(struct bmc *bmc)
{
	struct rf_bmc *rf = rf_of(bmc);
	rf_run_free(rf);
	rf_logout(rf);
	rf_session_forget(rf);
	links_done(&rf->links);
	free(rf->denied);
	free(rf->base_url);
}

static void redfish_abandon(struct bmc *bmc, struct err *err)
{
	struct rf_bmc *rf = rf_of(bmc);
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(&bmc->address);
	const struct rf_request *q = &rf->run->ask;
	if (rf->run->follows && q->path)
		err_set(err, ERR_TIMEOUT,
			"BMC %s has not ended task %.200s in time: look at it there", endpoint,
			q->path);
	else if (q->path)
		err_set(err, ERR_TIMEOUT, "BMC %s has not answered %s %.200s in time%s", endpoint,
			str_or(q->method, "GET"), q->path,
			rf->run->tries ? ", or only that it is busy" : "");
	rf_run_free(rf);
}

static void redfish_credentials_changed(struct bmc *bmc)
{
	struct rf_bmc *rf = rf_of(bmc);
	rf->denied_until = 0;
	rf->login = RF_LOGIN_SESSION;
	rf_logout(rf);
	rf_session_forget(rf);
}

static void redfish_free(struct bmc_driver *driver)
{
	struct rf_driver *d = container_of(driver, struct rf_driver, base);
	rf_goodbyes_end(d);
	http_client_free(d->goodbyes);
	http_client_free(d->http);
	free(d);
}

/* Both kinds; Dell's additions are quirks. */
#define OPERATIONS                                                                                 \
	[BMC_OP_GET_POWER] = rf_start_get_power, [BMC_OP_SET_POWER] = rf_start_set_power,          \
	[BMC_OP_GET_BOOT] = rf_start_get_boot, [BMC_OP_SET_BOOT] = rf_start_set_boot,              \
	[BMC_OP_GET_BOOT_MODE] = rf_start_get_boot_mode,                                           \
	[BMC_OP_SET_BOOT_MODE] = rf_start_set_boot_mode, [BMC_OP_GET_INFO] = rf_start_get_info,    \
	[BMC_OP_GET_SECURE_BOOT] = rf_start_get_secure_boot,                                       \
	[BMC_OP_SET_SECURE_BOOT] = rf_start_set_secure_boot,                                       \
	[BMC_OP_GET_MEDIA] = rf_start_get_media, [BMC_OP_INSERT_MEDIA] = rf_start_insert_media,    \
	[BMC_OP_EJECT_MEDIA] = rf_start_eject_media, [BMC_OP_SEND_NMI] = rf_start_send_nmi,        \
	[BMC_OP_SET_LED] = rf_start_set_led, [BMC_OP_SET_CLOCK] = rf_start_set_clock,              \
	[BMC_OP_RESET_BMC] = rf_start_reset_bmc, [BMC_OP_GET_HEALTH] = rf_start_get_health,        \
	[BMC_OP_RESET_SECURE_BOOT_KEYS] = rf_start_reset_keys, [BMC_OP_INSPECT] = rf_start_inspect

#define DEVICES                                                                                    \
	(1U << BMC_DEVICE_NONE | 1U << BMC_DEVICE_PXE | 1U << BMC_DEVICE_DISK |                    \
	 1U << BMC_DEVICE_CDROM | 1U << BMC_DEVICE_BIOS | 1U << BMC_DEVICE_UEFI_HTTP)

static const struct bmc_ops redfish_ops = { .name = "redfish",
					    .bmc_size = sizeof(struct rf_bmc),
					    .open = redfish_open,
					    .close = redfish_close,
					    .abandon = redfish_abandon,
					    .credentials_changed = redfish_credentials_changed,
					    .free = redfish_free,
					    .start = { OPERATIONS },
					    .boot_devices = DEVICES,
					    .timeout = TIMEOUT };

static const struct bmc_ops idrac_ops = { .name = "idrac",
					  .bmc_size = sizeof(struct rf_bmc),
					  .open = redfish_open,
					  .close = redfish_close,
					  .abandon = redfish_abandon,
					  .credentials_changed = redfish_credentials_changed,
					  .free = redfish_free,
					  .start = { OPERATIONS },
					  .boot_devices = DEVICES,
					  .timeout = TIMEOUT };

static bool ask_fence(void *data, const char *key)
{
	const struct rf_driver *d = data;
	return fence_allows(&d->base.fence, key);
}

static int open_clients(struct rf_driver *d, const struct redfish_options *o, struct err *err)
{
	struct http_client_options http = { .user_agent = o->user_agent,
					    .max_connections = o->max_connections,
					    .max_host_connections = 1,
					    .policy = o->policy };
	int r = http_client_new(d->base.loop, &http, &d->goodbyes, err);
	if (r < 0)
		return r;
	http.fence = (struct fence){ ask_fence, d };
	return http_client_new(d->base.loop, &http, &d->http, err);
}

int redfish_driver_new(struct loop *loop, enum bmc_driver_kind kind,
		       const struct redfish_options *options, struct bmc_driver **ret,
		       struct err *err)
{
	const struct redfish_options none = { 0 }, *o = options ? options : &none;
	struct rf_driver *d = xcalloc(1, sizeof(*d));
	d->base.ops = kind == BMC_DRIVER_IDRAC ? &idrac_ops : &redfish_ops;
	d->base.loop = loop;
	d->retry_pause = o->retry_pause ? o->retry_pause : RETRY_PAUSE;
	list_init(&d->leaving);
	int r = open_clients(d, o, err);
	if (r < 0) {
		redfish_free(&d->base);
		return r;
	}
	metric_add(METRIC_BMC_BREAKS, 0, d->base.ops->name); /* so that its first rise is seen */
	*ret = &d->base;
	return 0;
}

void redfish_driver_on_left(struct bmc_driver *driver, loop_fn left, void *data)
{
	struct rf_driver *d = container_of(driver, struct rf_driver, base);
	d->left = left;
	d->left_data = data;
}

unsigned redfish_driver_leaving(const struct bmc_driver *driver)
{
	const struct rf_driver *d = container_of(driver, struct rf_driver, base);
	unsigned n = 0;
	list_for_each(l, &d->leaving)
		n++;
	return n;
}
