/* $HTTPS_PROXY, $HTTP_PROXY and $NO_PROXY as golang.org/x/net/http/httpproxy reads them: entries of
 * NO_PROXY are "*", addresses, CIDR blocks, names (with all names below), ".names" (only those
 * below), each with an optional port. Loopback is never proxied. Libcurl's own matching knows no
 * CIDR in older versions. Pure. */

#include "kube/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"

struct target {
	char *host;
	const char *port;
	char *port_text;
	bool numeric;
	struct net_addr address;
};

static void target_done(struct target *t)
{
	free(t->host);
	free(t->port_text);
}

/* scheme://host[:port][/…], host perhaps in brackets. */
static void read_target(const char *url, struct target *ret)
{
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	size_t len = strcspn(host, "/?#");
	bool bracket = host[0] == '[';
	const char *end = memchr(host, bracket ? ']' : ':', len);
	if (!end)
		end = host + len;
	ret->host = xstrndup(host + bracket, (size_t)(end - host) - bracket);
	const char *colon = end + (bracket && *end == ']');
	if (*colon == ':' && colon < host + len)
		ret->port_text = xstrndup(colon + 1, (size_t)(host + len - colon) - 1);
	ret->port = str_or(ret->port_text, str_has_prefix(url, "http://") ? "80" : "443");
	ret->numeric = net_parse_ip(ret->host, &ret->address) == 0;
}

/* Takes a port off, and brackets. False when the port is another. */
static bool split_port(const struct target *t, char **entry)
{
	char *colon = strrchr(*entry, ':');
	bool port = colon && (strchr(*entry, ':') == colon || colon[-1] == ']');
	if (port && !streq(colon + 1, t->port))
		return false;
	if (port)
		*colon = '\0';
	size_t len = strlen(*entry);
	if (len > 1 && (*entry)[0] == '[' && (*entry)[len - 1] == ']') {
		(*entry)[len - 1] = '\0';
		++*entry;
	}
	return true;
}

static bool matches_name(const struct target *t, const char *entry)
{
	bool below_only = entry[0] == '.';
	const char *name = entry + below_only;
	size_t n = strlen(name), host = strlen(t->host);
	if (t->numeric || n == 0 || n > host || strcasecmp(t->host + host - n, name) != 0)
		return false;
	return n == host ? !below_only : t->host[host - n - 1] == '.';
}

static bool matches(const struct target *t, char *entry)
{
	struct net_prefix block;
	struct net_addr address;
	if (streq(entry, "*"))
		return true;
	if (strchr(entry, '/'))
		return t->numeric && net_parse_prefix(entry, &block) == 0 &&
		       net_prefix_contains(&block, &t->address);
	if (!split_port(t, &entry))
		return false;
	if (net_parse_ip(entry, &address) == 0)
		return t->numeric && net_same_ip(&address, &t->address);
	return matches_name(t, entry);
}

static bool is_loopback(const struct target *t)
{
	return t->numeric ? net_is_loopback(&t->address) : strcasecmp(t->host, "localhost") == 0;
}

static bool excepted(const struct target *t, const char *no_proxy)
{
	bool found = is_loopback(t);
	for (const char *p = str_or(no_proxy, ""); *p && !found;) {
		p += strspn(p, ", \t");
		size_t len = strcspn(p, ", \t");
		_cleanup_(freep) char *entry = xstrndup(p, len);
		found = len > 0 && matches(t, entry);
		p += len;
	}
	return found;
}

char *kube_proxy_for(const char *url, const char *http_proxy, const char *https_proxy,
		     const char *no_proxy)
{
	const char *proxy = str_has_prefix(url, "http://") ? http_proxy : https_proxy;
	if (str_empty(proxy))
		return NULL;
	_cleanup_(target_done) struct target t = { 0 };
	read_target(url, &t);
	if (excepted(&t, no_proxy))
		return NULL;
	return strstr(proxy, "://") ? xstrdup(proxy) : xasprintf("http://%s", proxy);
}

static const char *either(const char *upper, const char *lower)
{
	const char *value = getenv(upper);
	return str_empty(value) ? getenv(lower) : value;
}

char *kube_proxy_from_environment(const char *url)
{
	return kube_proxy_for(url, either("HTTP_PROXY", "http_proxy"),
			      either("HTTPS_PROXY", "https_proxy"), either("NO_PROXY", "no_proxy"));
}
