/* The record of a host, bound to JSON by tables. Pure. */

#include "engine/record.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define FIELD(json, c, member)                                                                     \
	{                                                                                          \
		.key = (json), .type = (c), .offset = offsetof(struct node_record, member)         \
	}

/* Sub-tables count offsets from the start of the whole record, because its parts have no struct
 * names: their objects lie at offset 0 and have no size of their own to be zeroed. */
#define OBJECT(json, table)                                                                        \
	{                                                                                          \
		.key = (json), .type = BIND_OBJECT, .offset = 0, .sub = &(table)                   \
	}
#define TABLE(name) static const struct bind_struct name##_struct = { 0, name##_fields }

static const struct bind_field node_fields[] = {
	FIELD("state", BIND_STRING, node.state),
	FIELD("lastError", BIND_STRING, node.last_error),
	FIELD("since", BIND_TIME, node.since),
	FIELD("cleanedAt", BIND_TIME, node.cleaned_at),
	FIELD("deployAttempts", BIND_INT, node.deploy_attempts),
	{ 0 },
};
TABLE(node);

static const struct bind_field boot_fields[] = {
	FIELD("nonce", BIND_STRING, boot.nonce),
	FIELD("number", BIND_INT, boot.number),
	FIELD("purpose", BIND_STRING, boot.purpose),
	FIELD("startedAt", BIND_TIME, boot.started_at),
	FIELD("tokenIssued", BIND_BOOL, boot.token_issued),
	FIELD("sourceAddress", BIND_STRING, boot.source_address),
	FIELD("hostUID", BIND_STRING, boot.host_uid),
	FIELD("method", BIND_STRING, boot.method),
	{ 0 },
};
TABLE(boot);

static const struct bind_field media_fields[] = {
	FIELD("nonce", BIND_STRING, media.nonce),
	FIELD("number", BIND_INT, media.number),
	FIELD("method", BIND_STRING, media.method),
	FIELD("origin", BIND_STRING, media.origin),
	FIELD("reader", BIND_STRING, media.reader),
	FIELD("apiURLs", BIND_STRING, media.api_urls),
	FIELD("digest", BIND_STRING, media.digest),
	FIELD("madeAt", BIND_TIME, media.made_at),
	{ 0 },
};
TABLE(media);

static const struct bind_field agent_fields[] = {
	FIELD("url", BIND_STRING, agent.url),
	FIELD("certificate", BIND_STRING, agent.certificate),
	FIELD("version", BIND_STRING, agent.version),
	FIELD("lastHeartbeat", BIND_TIME, agent.seen_at),
	{ 0 },
};
TABLE(agent);

static const struct bind_field step_fields[] = {
	FIELD("operation", BIND_STRING, step.operation),
	FIELD("name", BIND_STRING, step.name),
	FIELD("startedAt", BIND_TIME, step.started_at),
	FIELD("attempt", BIND_INT, step.attempt),
	FIELD("deadline", BIND_TIME, step.deadline),
	FIELD("waitsFor", BIND_STRING, step.waits_for),
	FIELD("trouble", BIND_STRING, step.trouble),
	{ 0 },
};
TABLE(step);

static const struct bind_field plan_fields[] = {
	FIELD("place", BIND_INT, plan.place),
	{ .key = "steps",
	  .type = BIND_LIST,
	  .offset = offsetof(struct node_record, plan.steps),
	  .sub = &plan_step_struct },
	{ 0 },
};
TABLE(plan);

static const struct bind_field image_fields[] = {
	FIELD("url", BIND_STRING, image.url),
	FIELD("checksum", BIND_STRING, image.checksum),
	FIELD("checksumType", BIND_STRING, image.checksum_type),
	FIELD("format", BIND_STRING, image.format),
	FIELD("identity", BIND_STRING, image.identity),
	FIELD("writtenAt", BIND_TIME, image.written_at),
	{ 0 },
};
TABLE(image);

static const struct bind_field progress_fields[] = {
	FIELD("bytesDone", BIND_INT, progress.bytes_done),
	FIELD("bytesTotal", BIND_INT, progress.bytes_total),
	FIELD("bytesPerSecond", BIND_INT, progress.bytes_per_second),
	FIELD("secondsLeft", BIND_INT, progress.seconds_left),
	FIELD("percent", BIND_INT, progress.percent),
	{ 0 },
};
TABLE(progress);

static const struct bind_field dhcp_fields[] = {
	FIELD("mac", BIND_STRING, dhcp.mac),
	FIELD("address", BIND_STRING, dhcp.address),
	FIELD("addresses", BIND_STRINGS, dhcp.addresses),
	{ 0 },
};
TABLE(dhcp);

static const struct bind_field registered_fields[] = {
	FIELD("bmcAddress", BIND_STRING, registered.bmc_address),
	FIELD("bootMACAddress", BIND_STRING, registered.boot_mac),
	FIELD("bmcCertificate", BIND_STRING, registered.bmc_certificate),
	FIELD("neverBooted", BIND_BOOL, registered.never_booted),
	{ 0 },
};
TABLE(registered);

static const struct bind_field hold_fields[] = {
	FIELD("id", BIND_STRING, hold.id),
	FIELD("reason", BIND_STRING, hold.reason),
	FIELD("since", BIND_TIME, hold.since),
	FIELD("released", BIND_BOOL, hold.released),
	{ 0 },
};
TABLE(hold);

static const struct bind_field record_fields[] = {
	FIELD("hostUID", BIND_STRING, host_uid),
	FIELD("schemaVersion", BIND_INT, schema_version),
	FIELD("serial", BIND_INT, serial),
	FIELD("lastBoot", BIND_INT, last_boot),
	OBJECT("hold", hold_struct),
	OBJECT("node", node_struct),
	OBJECT("boot", boot_struct),
	OBJECT("media", media_struct),
	FIELD("secureBoot", BIND_BOOL, secure_boot),
	OBJECT("agent", agent_struct),
	OBJECT("step", step_struct),
	OBJECT("plan", plan_struct),
	OBJECT("image", image_struct),
	OBJECT("progress", progress_struct),
	OBJECT("dhcp", dhcp_struct),
	OBJECT("registered", registered_struct),
	{ 0 },
};
const struct bind_struct record_struct = { sizeof(struct node_record), record_fields };

static void set_addresses(struct bind_list *list, const char *v4, const char *v6)
{
	const char *const wanted[] = { v4, v6 };
	struct bind_list fresh = { 0 };
	char **items = xcalloc(ARRAY_SIZE(wanted), sizeof(*items)), **old = list->items;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!str_empty(wanted[i]))
			items[fresh.count++] = xstrdup(wanted[i]);
	for (size_t i = 0; i < list->count; i++)
		free(old[i]);
	free(old);
	if (fresh.count == 0) {
		free(items);
		*list = fresh;
		return;
	}
	fresh.items = items;
	fresh.present = true;
	*list = fresh;
}

static const char *first_address(const struct node_record *r)
{
	return r->dhcp.addresses.count ? ((char **)r->dhcp.addresses.items)[0] : NULL;
}

static int family_of(const char *address)
{
	return strchr(address, ':') ? AF_INET6 : AF_INET;
}

/* A release that knows `address` alone changes it beside the list, which then speaks of another. */
static void keep_addresses(struct node_record *r)
{
	if (!streq(str_or(first_address(r), ""), str_or(r->dhcp.address, "")))
		set_addresses(&r->dhcp.addresses, r->dhcp.address, NULL);
}

const char *record_get_address(const struct node_record *r, int family)
{
	char **items = r->dhcp.addresses.items;
	for (size_t i = 0; i < r->dhcp.addresses.count; i++)
		if (family_of(items[i]) == family)
			return items[i];
	return NULL;
}

bool record_has_address(const struct node_record *r, const char *address)
{
	char **items = r->dhcp.addresses.items;
	for (size_t i = 0; i < r->dhcp.addresses.count; i++)
		if (streq(items[i], address))
			return true;
	return false;
}

void record_set_address(struct node_record *r, int family, const char *address)
{
	bool v6 = family == AF_INET6;
	set_addresses(&r->dhcp.addresses, v6 ? record_get_address(r, AF_INET) : address,
		      v6 ? address : record_get_address(r, AF_INET6));
	str_replace(&r->dhcp.address, first_address(r));
}

int record_load(const struct json *j, struct node_record *ret, struct err *err)
{
	int64_t version = json_get_int(j, "schemaVersion", RECORD_SCHEMA_VERSION);
	if (version > RECORD_SCHEMA_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			       "the HostRecord has schema version %lld, this Ingot knows %d: "
			       "run the newer release again, or one after it",
			       (long long)version, RECORD_SCHEMA_VERSION);
	struct node_record r = { 0 };
	int n = bind_from_json(&record_struct, j, &r, err);
	if (n < 0)
		return err_wrap(err, "HostRecord");
	keep_addresses(&r);
	*ret = r;
	return 0;
}

static int version_for(const struct node_record *r)
{
	return r->plan.steps.count ? RECORD_WITH_PLAN : r->boot.number ? 2 : 1;
}

struct json *record_save(const struct node_record *r)
{
	struct json *j = bind_to_json(&record_struct, r);
	json_set_int(j, "schemaVersion", version_for(r));
	return j;
}

void record_release(struct node_record *r)
{
	bind_release(&record_struct, r);
}
