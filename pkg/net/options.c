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
	_cleanup_(freep) char *all = text[0] == ':' ? xasprintf("0.0.0.0%s", text) : NULL;
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
