/* Between the list of instances and what hosts are told. What comes from the list goes on kernel
 * lines and into boot scripts, so nothing of it is passed on as text: a numeric address and two
 * numbers are read, and URLs are made of them. */

#include "site/instances.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/instances.h"

struct site_instances {
	char *address;
	uint16_t agent_port, http_port;
	struct kube_instances *list;
	char *boot_urls[SITE_INSTANCES_MAX]; /* the others'; the last stays NULL */
};

struct instance {
	char address[INET_ADDRSTRLEN];
	uint16_t agent_port, http_port;
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

/* The key is the address; written as inet_ntop() would, or it is no entry of ours. */
static void take_instance(void *data, const char *key, const struct json *entry)
{
	struct listing *l = data;
	struct in_addr address;
	struct instance r;
	if (l->count < SITE_INSTANCES_MAX && inet_pton(AF_INET, key, &address) == 1 &&
	    inet_ntop(AF_INET, &address, r.address, sizeof(r.address)) && streq(r.address, key) &&
	    take_port(entry, "agentPort", &r.agent_port) &&
	    take_port(entry, "httpPort", &r.http_port))
		l->items[l->count++] = r;
}

static struct listing list(const struct site_instances *r)
{
	struct listing l = { .count = 1 };
	l.items[0].agent_port = r->agent_port;
	l.items[0].http_port = r->http_port;
	snprintf(l.items[0].address, sizeof(l.items[0].address), "%s", r->address);
	if (r->list)
		kube_instances_each(r->list, take_instance, &l);
	return l;
}

char *site_instances_agent_urls(const struct site_instances *r, const char *path)
{
	struct listing l = list(r);
	struct strbuf text = { 0 };
	for (size_t i = 0; i < l.count; i++)
		strbuf_addf(&text, "%shttps://%s:%u%s", i ? "," : "", l.items[i].address,
			    l.items[i].agent_port, path);
	return strbuf_take(&text, NULL);
}

static void forget_urls(struct site_instances *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->boot_urls); i++) {
		free(r->boot_urls[i]);
		r->boot_urls[i] = NULL;
	}
}

const char *const *site_instances_boot_urls(struct site_instances *r)
{
	struct listing l = list(r);
	forget_urls(r);
	for (size_t i = 1; i < l.count; i++)
		r->boot_urls[i - 1] = xasprintf("http://%s:%u", l.items[i].address,
						l.items[i].http_port);
	return (const char *const *)r->boot_urls;
}

struct site_instances *site_instances_new(const struct site_instances_options *o)
{
	struct site_instances *r = xcalloc(1, sizeof(*r));
	_cleanup_(json_freep) struct json *entry = json_new_object();
	r->address = xstrdup(o->address);
	r->agent_port = o->agent_port;
	r->http_port = o->http_port;
	json_set_int(entry, "agentPort", o->agent_port);
	json_set_int(entry, "httpPort", o->http_port);
	if (o->client)
		r->list = kube_instances_new(&(struct kube_instances_options){ .client = o->client,
									       .ns = o->ns,
									       .name = o->name,
									       .key = o->address,
									       .entry = entry });
	return r;
}

struct site_instances *site_instances_free(struct site_instances *r)
{
	if (!r)
		return NULL;
	kube_instances_free(r->list);
	forget_urls(r);
	free(r->address);
	free(r);
	return NULL;
}
