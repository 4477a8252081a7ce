/* Between boot services and engine (see boot_ops.h): MACs and addresses change their form, and an
 * answer never comes before its question has returned. */

#include "engine/boot_ops.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"

static bool boot_find(void *data, const struct net_mac *mac, struct boot_host *ret)
{
	const struct engine_boot_env *g = data;
	struct engine_boot boot;
	if (!g->engine || !engine_boot_find(g->engine, mac, &boot) ||
	    !fence_allows(&g->fence, boot.key))
		return false;
	*ret = (struct boot_host){ .name = boot.key,
				   .target = boot.ramdisk ? BOOT_TARGET_RAMDISK : BOOT_TARGET_NONE,
				   .secure_boot = boot.secure,
				   .flavour = "ramdisk" };
	return true;
}

/* Nothing secret: anyone on the wire may read it. */
static void boot_complete(void *data, const struct net_mac *mac, int family, struct boot_host *host,
			  char **ret_cmdline)
{
	const struct engine_boot_env *g = data;
	struct engine_boot boot;
	bool inspect = engine_boot_find(g->engine, mac, &boot) && boot.inspect;
	_cleanup_(freep) char *api = g->agent_urls(g->places, family, "");
	_cleanup_(freep) char *inspection = NULL;
	if (inspect)
		inspection = g->agent_urls(g->places, family, "/v1/continue_inspection");
	*ret_cmdline = xasprintf("%s ipa-api-url=%s%s%s", g->kernel_args, api,
				 inspect ? " ipa-inspection-callback-url=" : "",
				 str_or(inspection, ""));
	host->other_urls = g->boot_urls(g->places, family);
}

static bool slot_get(void *data, const struct net_mac *mac, int family, struct net_addr *ret)
{
	const struct engine_boot_env *g = data;
	const char *address = engine_slot_get(g->engine, mac, family);
	return address && net_parse_ip(address, ret) == 0;
}

static bool slot_fixed(void *data, const struct net_mac *mac, int family, struct net_addr *ret)
{
	const struct engine_boot_env *g = data;
	const char *address;
	if (!engine_slot_fixed(g->engine, mac, family, &address))
		return false;
	if (!address || net_parse_ip(address, ret) < 0)
		*ret = (struct net_addr){ 0 };
	return true;
}

static void slot_taken(void *data, const struct net_mac *mac, const struct net_addr *address)
{
	const struct engine_boot_env *g = data;
	char ip[NET_IP_TEXT_MAX];
	engine_slot_taken(g->engine, mac, net_format_ip(address, ip));
}

static bool slot_used(void *data, const struct net_addr *address)
{
	const struct engine_boot_env *g = data;
	char text[NET_IP_TEXT_MAX];
	return engine_slot_used(g->engine, net_format_ip(address, text));
}

/* The answer must not come before the question has returned. */
struct slot_answer {
	boot_slot_done_fn done;
	void *data;
	struct err err;
};

static void answer_slot(void *data)
{
	struct slot_answer *a = data;
	a->done(a->data, a->err.kind != ERR_NONE ? &a->err : NULL);
	free(a);
}

struct slot_question {
	struct loop *loop;
	struct slot_answer *answer;
};

static void on_slot_stored(void *data, const struct err *err)
{
	struct slot_question *q = data;
	if (err)
		q->answer->err = *err;
	loop_post(q->loop, answer_slot, q->answer);
	free(q);
}

static void slot_set(void *data, const struct net_mac *mac, int family,
		     const struct net_addr *address, boot_slot_done_fn done, void *done_data)
{
	struct engine_boot_env *g = data;
	char ip[NET_IP_TEXT_MAX] = "";
	struct slot_question *q = xmalloc(sizeof(*q));
	*q = (struct slot_question){ g->loop, xcalloc(1, sizeof(struct slot_answer)) };
	q->answer->done = done;
	q->answer->data = done_data;
	if (address)
		net_format_ip(address, ip);
	engine_slot_set(g->engine, mac, family, ip, on_slot_stored, q);
}

static void boot_seen(void *data, const struct net_mac *mac, enum boot_stage stage)
{
	static const char *const texts[] = {
		[BOOT_STAGE_OFFERED] = "DHCP offer sent",
		[BOOT_STAGE_LEASED] = "DHCP address confirmed",
		[BOOT_STAGE_SCRIPT] = "boot script fetched",
		[BOOT_STAGE_SYSTEM] = "DHCP address confirmed to a running system"
	};
	const struct engine_boot_env *g = data;
	engine_boot_seen(g->engine, mac, texts[stage]);
	if (stage == BOOT_STAGE_SCRIPT || stage == BOOT_STAGE_SYSTEM)
		engine_boot_mark(g->engine, mac,
				 stage == BOOT_STAGE_SCRIPT ? ENGINE_MARK_SCRIPT
							    : ENGINE_MARK_SYSTEM);
}

static void boot_stranger(void *data, const struct net_mac *mac, enum boot_request request)
{
	static const char *const texts[] = { [BOOT_REQUEST_PXE] = "PXE boot by DHCP",
					     [BOOT_REQUEST_HTTP] = "HTTP boot by DHCP",
					     [BOOT_REQUEST_IPXE] = "iPXE by DHCP",
					     [BOOT_REQUEST_SCRIPT] = "boot script" };
	const struct engine_boot_env *g = data;
	/* A process that does not lead knows no hosts. */
	if (g->engine && fence_allows(&g->fence, ""))
		engine_boot_stranger(g->engine, mac, texts[request]);
}

static void boot_failed(void *data, const struct net_mac *mac, const char *address, const char *why)
{
	const struct engine_boot_env *g = data;
	if (g->engine)
		engine_boot_failed(g->engine, mac, address, why);
}

const struct boot_ops engine_boot_ops = { .find = boot_find,
					  .complete = boot_complete,
					  .slot_get = slot_get,
					  .slot_fixed = slot_fixed,
					  .slot_taken = slot_taken,
					  .slot_used = slot_used,
					  .slot_set = slot_set,
					  .seen = boot_seen,
					  .stranger = boot_stranger,
					  .failed = boot_failed };
