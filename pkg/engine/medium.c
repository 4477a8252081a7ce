/* The boot medium of a host: by which way its ramdisk comes, what the medium tells the ramdisk, and
 * who may read it. What goes in is frozen when it is made: the record names all that is not derived
 * from it (the URLs of the agents' API) and the digest of the whole, so that another process makes
 * the same bytes or none. The URL's capability is derived from the installation's key, as the
 * agent's token is, and stands in no record. Core thread. */

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agentapi/bootconfig.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "engine/internal.h"

enum { CAPABILITY_BYTES = 16, CAPABILITY_SIZE = 2 * CAPABILITY_BYTES + 1 };

/* --- the way ---------------------------------------------------------------------------------- */

static const char *origin_for(const struct node *n, const struct bmc_address *address)
{
	const struct engine_media *m = n->engine->options.media;
	return m ? m->origin(m->data, address) : NULL;
}

int node_boot_method(const struct node *n, const struct bmc_address *address, enum boot_mode mode,
		     enum bmc_boot_method *ret, struct err *err)
{
	const struct bmc_scheme *scheme = address->scheme;
	const struct bmc_driver *driver = bmc_driver_find(n->engine->options.drivers, scheme, err);
	if (!driver)
		return -ENOTSUP;
	int r = bmc_choose_boot(driver, scheme,
				mode == BOOT_LEGACY ? BMC_MODE_LEGACY : BMC_MODE_UEFI, ret, err);
	if (r < 0 || *ret == BMC_BOOT_NETWORK || origin_for(n, address))
		return r;
	return err_set(
		err, ERR_UNSUPPORTED,
		"hosts of type '%s' boot from a medium that their BMC fetches from Ingot, and "
		"this Ingot serves none: see \"Virtual media\" in docs/bmc.md",
		scheme->name);
}

int node_plan_choice(const struct node *n, struct plan_choice *ret, struct err *err)
{
	struct bmc_address address = { 0 };
	*ret = (struct plan_choice){ .method = BMC_BOOT_NETWORK,
				     .medium = n->record.media.nonce != NULL,
				     .secure = n->spec.boot_mode == BOOT_UEFI_SECURE ||
					       n->record.secure_boot };
	int r = bmc_address_parse(str_or(n->power.address, ""), &address, err);
	if (r == 0)
		r = node_boot_method(n, &address, n->spec.boot_mode, &ret->method, err);
	bmc_address_done(&address);
	return r;
}

bool node_by_medium(const struct node *n)
{
	return !str_empty(n->record.boot.method);
}

/* --- the URL ---------------------------------------------------------------------------------- */

static void make_capability(const struct node *n, char out[CAPABILITY_SIZE])
{
	const struct engine_options *o = &n->engine->options;
	uint8_t mac[32];
	_cleanup_(freep) char *text = xasprintf("boot-medium\n%s\n%lld\n%s", node_agent_uid(n),
						(long long)n->record.media.number,
						n->record.media.nonce);
	hmac_sha256(o->secret, o->secret_len, text, strlen(text), mac);
	hex_encode(mac, CAPABILITY_BYTES, out);
	secret_zero(mac, sizeof(mac));
}

static void drop_capability(struct node *n)
{
	struct map *all = &n->engine->media;
	const struct engine_media *m = n->engine->options.media;
	if (n->medium.capability && map_get(all, n->medium.capability) == n) {
		map_remove(all, n->medium.capability);
		if (m && m->forget)
			m->forget(m->data, n->medium.capability);
	}
	n->medium.capability = secret_free(n->medium.capability);
}

static void count_boot(struct node *n, bool by_medium)
{
	if (n->medium.counted == by_medium)
		return;
	n->medium.counted = by_medium;
	n->engine->medium_boots += by_medium ? 1 : -1;
}

void node_note_medium(struct node *n)
{
	char capability[CAPABILITY_SIZE] = "";
	count_boot(n, node_by_medium(n));
	if (n->record.media.nonce)
		make_capability(n, capability);
	if (!streq(n->medium.capability, capability))
		drop_capability(n);
	if (*capability && !n->medium.capability) {
		n->medium.capability = xstrdup(capability);
		map_set(&n->engine->media, capability, n);
	}
	secret_zero(capability, sizeof(capability));
}

void node_drop_medium(struct node *n)
{
	drop_capability(n);
	count_boot(n, false);
	free(n->medium.reader);
	err_keep(&n->medium.error, NULL);
}

char *node_medium_url(const struct node *n)
{
	return xasprintf("%s/b/%s.iso", n->record.media.origin, n->medium.capability);
}

void node_mask_medium(const struct node *n, struct err *err)
{
	const char *secret = n->medium.capability;
	for (char *at; secret && (at = strstr(err->text, secret));)
		memset(at, '*', strlen(secret));
}

/* --- the reader ------------------------------------------------------------------------------- */

struct resolving {
	struct node_ticket *ticket;
	char *host;
	int error; /* of getaddrinfo */
	struct net_addr result;
};

/* A job: it blocks. */
static void resolve(void *data)
{
	struct resolving *r = data;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	r->error = getaddrinfo(r->host, NULL, &hints, &list);
	if (r->error != 0)
		return;
	if (net_from_sockaddr(list->ai_addr, list->ai_addrlen, &r->result) < 0)
		r->error = EAI_FAMILY;
	freeaddrinfo(list);
}

static void take_reader(struct node *n, const struct net_addr *address)
{
	char text[NET_IP_TEXT_MAX];
	struct net_addr plain = net_unmap(address);
	net_set_port(&plain, 0);
	str_replace(&n->medium.reader, net_format_ip(&plain, text));
}

static void on_resolved(void *data)
{
	struct resolving *r = data;
	uint64_t serial;
	struct node *n = node_ticket_take(r->ticket, &serial);
	struct err err = { 0 };
	if (r->error != 0)
		err_set(&err, ERR_UNREACHABLE,
			"the name of BMC %s cannot be resolved: %s: check the address and DNS",
			r->host, gai_strerror(r->error));
	if (n) {
		n->medium.resolving = false;
		err_keep(&n->medium.error, &err);
		if (r->error == 0)
			take_reader(n, &r->result);
	}
	free(r->host);
	free(r);
	if (n)
		op_advance(n);
}

bool node_know_reader(struct node *n)
{
	const char *host = bmc_get_address(n->power.bmc)->host;
	struct net_addr address;
	if (n->medium.reader || n->medium.resolving)
		return n->medium.reader;
	if (net_parse_ip(host, &address) == 0) {
		take_reader(n, &address);
		return true;
	}
	struct resolving *r = xcalloc(1, sizeof(*r));
	r->ticket = node_ticket_new(n, 0);
	r->host = xstrdup(host);
	n->medium.resolving = true;
	loop_job(n->engine->options.loop, resolve, on_resolved, r);
	return false;
}

/* --- what it says ----------------------------------------------------------------------------- */

static void add_urls(struct bind_list *list, const char *urls, const char *path)
{
	while (*urls && list->count < BOOTCONFIG_URLS_MAX) {
		size_t len = strcspn(urls, ",");
		_cleanup_(freep) char *url = xasprintf("%.*s%s", (int)len, urls, path);
		bootconfig_add_url(list, url);
		urls += len + (urls[len] == ',');
	}
}

static int build(const struct node *n, char **ret, size_t *ret_len, struct err *err)
{
	const struct engine_media *m = n->engine->options.media;
	char token[TOKEN_TEXT_MAX];
	struct bootconfig c = { .node_uuid = xstrdup(node_agent_uid(n)),
				.ca = xstrdup(m->ca),
				.boot_number = n->record.boot.number,
				.boot_nonce = xstrdup(n->record.boot.nonce),
				.media = streq(n->record.boot.method,
					       bmc_boot_method_name(BMC_BOOT_MEDIA)) };
	char mac[NET_MAC_TEXT_SIZE];
	if (n->spec.has_mac)
		c.boot_mac = xstrdup(net_format_mac(&n->spec.mac, mac));
	node_token(n, token);
	c.token = xstrdup(token);
	secret_zero(token, sizeof(token));
	add_urls(&c.api, str_or(n->record.media.api_urls, ""), "");
	if (node_inspects(n))
		add_urls(&c.callbacks, str_or(n->record.media.api_urls, ""),
			 "/v1/continue_inspection");
	int r = bootconfig_build(&c, n->spec.network_data, ret, ret_len, err);
	bootconfig_done(&c);
	return r;
}

static int digest_of(const struct node *n, char ret[ENGINE_MEDIUM_DIGEST_SIZE], struct err *err)
{
	const struct engine_media *m = n->engine->options.media;
	char *archive = NULL;
	size_t len = 0;
	int r = build(n, &archive, &len, err);
	if (r == 0)
		r = m->digest(m->data, archive, len, ret, err);
	if (archive)
		secret_zero(archive, len);
	free(archive);
	return r;
}

static void name_medium(struct node *n, enum bmc_boot_method method, const char *origin)
{
	const struct engine_media *m = n->engine->options.media;
	bool by_bmc = method == BMC_BOOT_MEDIA;
	str_replace(&n->record.boot.method, bmc_boot_method_name(method));
	str_replace(&n->record.media.method, bmc_boot_method_name(method));
	str_replace(&n->record.media.nonce, n->record.boot.nonce);
	n->record.media.number = n->record.boot.number;
	str_replace(&n->record.media.origin, origin);
	str_replace(&n->record.media.reader, by_bmc ? n->medium.reader : NULL);
	free(n->record.media.api_urls);
	n->record.media.api_urls = m->agent_urls(m->data, "");
	n->record.media.made_at = node_wall(n);
}

int node_make_medium(struct node *n, enum bmc_boot_method method, struct err *err)
{
	char digest[ENGINE_MEDIUM_DIGEST_SIZE];
	const char *origin = origin_for(n, bmc_get_address(n->power.bmc));
	if (!origin)
		return err_set(err, ERR_UNSUPPORTED, "host %s: this Ingot serves no boot media",
			       n->key);
	if (n->spec.network_data_error)
		return err_set(err, ERR_INVALID, "host %s: %s", n->key, n->spec.network_data_error);
	name_medium(n, method, origin);
	int r = digest_of(n, digest, err);
	if (r < 0) {
		node_forget_medium(n);
		return err_wrap(err, "host %s: its boot medium cannot be made", n->key);
	}
	str_replace(&n->record.media.digest, digest);
	/* The medium has the token: nobody else gets it. */
	n->record.boot.token_issued = true;
	n->boot.watched = false; /* the ramdisk's own questions for an address say nothing */
	n->medium.stale = false;
	node_note_medium(n);
	return 0;
}

void node_forget_medium(struct node *n)
{
	str_replace(&n->record.media.nonce, NULL);
	str_replace(&n->record.media.method, NULL);
	str_replace(&n->record.media.origin, NULL);
	str_replace(&n->record.media.reader, NULL);
	str_replace(&n->record.media.api_urls, NULL);
	str_replace(&n->record.media.digest, NULL);
	n->record.media.number = 0;
	n->record.media.made_at = 0;
	node_note_medium(n);
}

/* --- who may read it -------------------------------------------------------------------------- */

/* A BMC asks from its own address. Firmware that fetches by itself asks from the host's. */
static bool may_read(const struct node *n, const char *peer)
{
	struct net_addr a;
	char text[NET_IP_TEXT_MAX];
	if (net_parse_ip(peer, &a) < 0)
		return false;
	a = net_unmap(&a);
	net_format_ip(&a, text);
	if (streq(n->record.media.method, bmc_boot_method_name(BMC_BOOT_MEDIA)))
		return streq(n->record.media.reader, text);
	if (n->engine->options.serves_dhcp)
		return streq(record_get_address(&n->record, net_family(&a)), text);
	return net_policy_check(n->engine->options.agents, &a, NULL) == 0;
}

/* The boot that it is for is still meant to happen, and on record. */
static bool is_valid(const struct node *n)
{
	return n->record.media.digest && streq(n->record.media.nonce, n->record.boot.nonce) &&
	       n->boot.stored && !n->medium.stale && !n->save.lost && !n->held &&
	       engine_may_act(n->engine, n->key);
}

bool engine_medium_find(const struct engine *e, const char *capability, const char *peer,
			struct engine_medium *ret)
{
	const struct node *n = map_get(&e->media, capability);
	if (!n || !e->options.media || !is_valid(n) || !may_read(n, peer))
		return false;
	*ret = (struct engine_medium){ n->key, n->record.media.digest };
	return true;
}

int engine_medium_archive(const struct engine *e, const char *key, char **ret, size_t *ret_len,
			  struct err *err)
{
	const struct node *n = node_find(e, key);
	if (!n || !e->options.media || !n->record.media.nonce)
		return err_set(err, ERR_NOT_FOUND, "host %s has no boot medium", key);
	return build(n, ret, ret_len, err);
}

void engine_medium_stale(struct engine *e, const char *key)
{
	struct node *n = node_find(e, key);
	if (!n || n->medium.stale || !n->record.media.nonce)
		return;
	log_warn(
		"what a boot medium is made of was replaced since it was inserted; it is not served",
		"host", n->key);
	n->medium.stale = true;
	n->op.not_before = 0;
	op_advance(n);
}
