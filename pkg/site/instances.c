/* Between the list of instances and what hosts are told. What comes from the list goes on kernel
 * lines and into boot scripts, so nothing of it is passed on as text: numeric addresses and two
 * numbers are read, and URLs are made of them.
 *
 * An entry's key is the instance's IPv4 address; its IPv6 address, if it has one too, stands in the
 * entry as "address6", where releases that know IPv4 alone do not look. Without IPv4 the key is the
 * IPv6 address with hyphens, because a key of a ConfigMap takes no colons; those releases pass it
 * over. */

#include "site/instances.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/instances.h"

struct instance {
	struct net_addr address, address6;
	uint16_t agent_port, http_port;
};

struct site_instances {
	struct instance own;
	struct kube_instances *list;
	char *boot_urls[SITE_INSTANCES_MAX]; /* the others'; the last stays NULL */
};

/* The list as it is now; ours is the first. */
struct listing {
	struct instance items[SITE_INSTANCES_MAX];
	size_t count;
};

static bool take_port(const struct json *entry, const char *key, uint16_t *ret)
{
	int64_t port = json_get_int(entry, key, 0);
	*ret = (uint16_t)port;
	return port > 0 && port <= UINT16_MAX;
}

/* Written as we would write it, or it is none of ours; and one that hosts can reach. */
static bool take_address(const char *text, int family, struct net_addr *ret)
{
	char own[NET_IP_TEXT_MAX];
	return text && net_parse_ip(text, ret) == 0 && net_family(ret) == family &&
	       streq(net_format_ip(ret, own), text) && !net_is_link_local(ret);
}

static void exchange(char *text, char from, char to)
{
	while ((text = strchr(text, from)))
		*text = to;
}

static bool take_key(const char *key, struct instance *ret)
{
	if (take_address(key, AF_INET, &ret->address))
		return true;
	ret->address = (struct net_addr){ 0 };
	_cleanup_(freep) char *text = xstrdup(key);
	exchange(text, '-', ':');
	return take_address(text, AF_INET6, &ret->address6);
}

static char *make_key(const struct instance *own)
{
	char ip[NET_IP_TEXT_MAX];
	bool v4 = net_is_set(&own->address);
	char *key = xstrdup(net_format_ip(v4 ? &own->address : &own->address6, ip));
	exchange(key, ':', '-');
	return key;
}

static void take_instance(void *data, const char *key, const struct json *entry)
{
	struct listing *l = data;
	struct instance r = { .agent_port = 0 };
	if (l->count == SITE_INSTANCES_MAX || !take_key(key, &r) ||
	    !take_port(entry, "agentPort", &r.agent_port) ||
	    !take_port(entry, "httpPort", &r.http_port))
		return;
	if (net_is_set(&r.address) &&
	    !take_address(json_get_string(entry, "address6"), AF_INET6, &r.address6))
		r.address6 = (struct net_addr){ 0 };
	l->items[l->count++] = r;
}

static struct listing list(const struct site_instances *r)
{
	struct listing l = { .items = { r->own }, .count = 1 };
	if (r->list)
		kube_instances_each(r->list, take_instance, &l);
	return l;
}

static const struct net_addr *address_of(const struct instance *i, int family)
{
	const struct net_addr *a = family == AF_INET6 ? &i->address6 : &i->address;
	return net_is_set(a) ? a : NULL;
}

static void add_url(struct strbuf *out, const struct net_addr *address, uint16_t port,
		    const char *path)
{
	struct net_addr at = *address;
	char text[NET_TEXT_MAX];
	net_set_port(&at, port);
	strbuf_addf(out, "%shttps://%s%s", out->len ? "," : "", net_format(&at, text), path);
}

char *site_instances_agent_urls(const struct site_instances *r, int family, const char *path)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct listing l = list(r);
	struct strbuf text = { 0 };
	for (size_t i = 0; i < l.count; i++)
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			const struct net_addr *a = address_of(&l.items[i], families[f]);
			if (a && (family == AF_UNSPEC || family == families[f]))
				add_url(&text, a, l.items[i].agent_port, path);
		}
	return strbuf_take(&text, NULL);
}

static void forget_urls(struct site_instances *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->boot_urls); i++) {
		free(r->boot_urls[i]);
		r->boot_urls[i] = NULL;
	}
}

const char *const *site_instances_boot_urls(struct site_instances *r, int family)
{
	struct listing l = list(r);
	size_t count = 0;
	forget_urls(r);
	for (size_t i = 1; i < l.count; i++) {
		const struct net_addr *a = address_of(&l.items[i], family);
		char text[NET_TEXT_MAX];
		if (!a)
			continue;
		struct net_addr at = *a;
		net_set_port(&at, l.items[i].http_port);
		r->boot_urls[count++] = xasprintf("http://%s", net_format(&at, text));
	}
	return (const char *const *)r->boot_urls;
}

static struct json *make_entry(const struct instance *own)
{
	struct json *entry = json_new_object();
	char ip[NET_IP_TEXT_MAX];
	json_set_int(entry, "agentPort", own->agent_port);
	json_set_int(entry, "httpPort", own->http_port);
	if (net_is_set(&own->address) && net_is_set(&own->address6))
		json_set_string(entry, "address6", net_format_ip(&own->address6, ip));
	return entry;
}

struct site_instances *site_instances_new(const struct site_instances_options *o)
{
	struct site_instances *r = xcalloc(1, sizeof(*r));
	r->own = (struct instance){ o->address, o->address6, o->agent_port, o->http_port };
	_cleanup_(json_freep) struct json *entry = make_entry(&r->own);
	_cleanup_(freep) char *key = make_key(&r->own);
	if (o->client)
		r->list = kube_instances_new(&(struct kube_instances_options){ .client = o->client,
									       .ns = o->ns,
									       .name = o->name,
									       .key = key,
									       .entry = entry });
	return r;
}

struct site_instances *site_instances_free(struct site_instances *r)
{
	if (!r)
		return NULL;
	kube_instances_free(r->list);
	forget_urls(r);
	free(r);
	return NULL;
}
