/* Types of options about the network (see options.h). Pure. */

#include "net/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "net/policy.h"

/* --- addresses -------------------------------------------------------------------------------- */

static int read_address(const struct option_row *row, const char *text, void *value,
			struct err *why)
{
	(void)why;
	return net_parse(text, row->port, value);
}

static int read_ip(const struct option_row *row, const char *text, void *value, struct err *why)
{
	(void)row, (void)why;
	return net_parse_ip(text, value);
}

static int read_listen(const struct option_row *row, const char *text, void *value, struct err *why)
{
	struct net_listen l = { .off = streq(text, "0") || str_empty(text) };
	/* All of both families (web_bind). */
	_cleanup_(freep) char *all = text[0] == ':' ? xasprintf("[::]%s", text) : NULL;
	(void)row, (void)why;
	if (!l.off && (!strrchr(text, ':') || net_parse(all ? all : text, 0, &l.addr) < 0))
		return -EINVAL;
	*(struct net_listen *)value = l;
	return 0;
}

const struct option_type net_option_address = { .name = "address",
						.noun = "a numeric address",
						.read = read_address };
const struct option_type net_option_ip = { .name = "ip", .noun = "an address", .read = read_ip };

static bool is_mapped(const struct net_addr *a)
{
	struct net_addr plain = net_unmap(a);
	return net_family(&plain) != net_family(a);
}

/* One that other machines can be told: a link-local one means nothing without an interface. */
static int parse_machine(const char *text, struct net_addr *ret)
{
	struct net_addr a;
	if (net_parse_ip(text, &a) < 0 || net_is_unspecified(&a) || net_is_multicast(&a) ||
	    (net_family(&a) == AF_INET6 && (net_is_link_local(&a) || is_mapped(&a))))
		return -EINVAL;
	*ret = a;
	return 0;
}

static int read_machine(const struct option_row *row, const char *text, void *value,
			struct err *why)
{
	(void)row, (void)why;
	return parse_machine(text, value);
}

static int add_machine(const char *text, struct net_addrs *list)
{
	struct net_addr a;
	int r = parse_machine(text, &a);
	if (r < 0)
		return r;
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = a;
	return 0;
}

static int read_machine_repeat(const struct option_row *row, const char *text, void *value,
			       struct err *why)
{
	(void)row, (void)why;
	return add_machine(text, value);
}

static int read_machine_list(const struct option_row *row, const char *text, void *value,
			     struct err *why)
{
	struct net_addrs *list = value;
	for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		_cleanup_(freep) char *one = xstrndup(at, strcspn(at, ","));
		if (list->count == (size_t)row->max)
			return err_set(why, ERR_LIMIT, "\"%s\" is more than %d addresses", text,
				       (int)row->max);
		if (add_machine(one, list) < 0)
			return -EINVAL;
	}
	return 0;
}

static void free_addrs(void *value)
{
	struct net_addrs *list = value;
	free(list->items);
	*list = (struct net_addrs){ 0 };
}

static int read_pair(const struct option_row *row, const char *text, void *value, struct err *why)
{
	struct net_pair pair = { 0 };
	struct net_addr a;
	(void)row, (void)why;
	for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		_cleanup_(freep) char *one = xstrndup(at, strcspn(at, ","));
		if (parse_machine(one, &a) < 0)
			return -EINVAL;
		struct net_addr *to = net_family(&a) == AF_INET6 ? &pair.v6 : &pair.v4;
		if (net_is_set(to))
			return -EINVAL;
		*to = a;
	}
	*(struct net_pair *)value = pair;
	return 0;
}

const struct option_type net_option_pair = {
	.name = "addresses",
	.noun = "an IPv4 address, an IPv6 address that is not link-local, or one of each with a comma",
	.read = read_pair,
};
const struct option_type net_option_machine = { .name = "address",
						.noun = "an address of a machine",
						.read = read_machine };
const struct option_type net_option_machine_repeat = { .name = "address",
						       .noun = "an address of a machine",
						       .repeats = true,
						       .read = read_machine_repeat,
						       .done = free_addrs };
const struct option_type net_option_machine_list = {
	.name = "addresses",
	.noun = "a list of addresses such as 192.168.77.2,2001:db8::2",
	.read = read_machine_list,
	.done = free_addrs,
};
const struct option_type net_option_listen = {
	.name = "listen",
	.noun = "[ADDRESS]:PORT with a numeric address, or 0",
	.read = read_listen,
};

/* --- networks --------------------------------------------------------------------------------- */

static int read_prefixes(const struct option_row *row, const char *text, void *value,
			 struct err *why)
{
	(void)row;
	return net_prefixes_parse(value, text, why);
}

static void free_prefixes(void *value)
{
	net_prefixes_done(value);
}

const struct option_type net_option_prefixes = { .name = "networks",
						 .read = read_prefixes,
						 .done = free_prefixes };
const struct option_type net_option_prefixes_repeat = {
	.name = "networks", .repeats = true, .read = read_prefixes, .done = free_prefixes
};

/* --- names of machines ------------------------------------------------------------------------ */

static bool is_host(const char *text)
{
	struct net_addr a;
	return name_is_subdomain(text) || net_parse_ip(text, &a) == 0;
}

static int read_host(const struct option_row *row, const char *text, void *value, struct err *why)
{
	return is_host(text) ? option_text.read(row, text, value, why) : -EINVAL;
}

static int read_hosts(const struct option_row *row, const char *text, void *value, struct err *why)
{
	return is_host(text) ? option_texts.read(row, text, value, why) : -EINVAL;
}

static void free_hosts(void *value)
{
	option_texts.done(value);
}

const struct option_type net_option_host = { .name = "host",
					     .noun = "a name or an address",
					     .read = read_host };
const struct option_type net_option_hosts = { .name = "host",
					      .noun = "a name or an address",
					      .repeats = true,
					      .read = read_hosts,
					      .done = free_hosts };
