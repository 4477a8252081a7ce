/* The table of parameters. Dashes and underscores are the same in keys, quotes protect blanks in
 * values, as the kernel itself reads its line. Pure. */

#include "agent/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

enum type { TYPE_STRING, TYPE_NUMBER, TYPE_BOOL, TYPE_URLS };

#define FIELD(name) offsetof(struct agent_config, name)

static const struct {
	const char *key;
	enum type type;
	size_t offset;
	uint64_t otherwise; /* default of numbers and booleans */
	uint64_t max;
} params[] = {
	{ "ipa-api-url", TYPE_URLS, FIELD(api), 0, 0 },
	{ "ipa-inspection-callback-url", TYPE_URLS, FIELD(callbacks), 0, 0 },
	{ "ipa-inspection-collectors", TYPE_STRING, FIELD(collectors), 0, 0 },
	{ "ipa-inspection-dhcp-wait-timeout", TYPE_NUMBER, FIELD(dhcp_wait), 60, 3600 },
	{ "ipa-inspection-dhcp-all-interfaces", TYPE_BOOL, FIELD(dhcp_all), false, 0 },
	{ "ipa-agent-token", TYPE_STRING, FIELD(token), 0, 0 },
	{ "ipa-global-request-id", TYPE_STRING, FIELD(request_id), 0, 0 },
	{ "ipa-listen-host", TYPE_STRING, FIELD(listen_host), 0, 0 },
	{ "ipa-listen-port", TYPE_NUMBER, FIELD(listen_port), 9999, 65535 },
	{ "ipa-advertise-host", TYPE_STRING, FIELD(advertise_host), 0, 0 },
	{ "ipa-advertise-port", TYPE_NUMBER, FIELD(advertise_port), 0, 65535 },
	{ "ipa-network-interface", TYPE_STRING, FIELD(network_interface), 0, 0 },
	{ "ipa-lookup-timeout", TYPE_NUMBER, FIELD(lookup_timeout), 600, 86400 },
	{ "ipa-lookup-interval", TYPE_NUMBER, FIELD(lookup_interval), 1, 3600 },
	{ "ipa-http-request-timeout", TYPE_NUMBER, FIELD(http_timeout), 30, 3600 },
	{ "ipa-ironic-api-version", TYPE_STRING, FIELD(api_version), 0, 0 },
	{ "ipa-insecure", TYPE_BOOL, FIELD(insecure), false, 0 },
	{ "ipa-collect-lldp", TYPE_BOOL, FIELD(lldp), false, 0 },
	{ "ipa-lldp-timeout", TYPE_NUMBER, FIELD(lldp_timeout), 30, 3600 },
	{ "ipa-hardware-initialization-delay", TYPE_NUMBER, FIELD(hardware_delay), 0, 3600 },
	{ "ipa-disk-wait-attempts", TYPE_NUMBER, FIELD(disk_attempts), 10, 1000 },
	{ "ipa-disk-wait-delay", TYPE_NUMBER, FIELD(disk_delay), 3, 3600 },
	{ "ipa-image-download-connection-timeout", TYPE_NUMBER, FIELD(image_timeout), 60, 86400 },
	{ "ipa-image-download-connection-retries", TYPE_NUMBER, FIELD(image_retries), 9, 100000 },
	{ "ipa-image-download-connection-retry-interval", TYPE_NUMBER, FIELD(image_interval), 10,
	  3600 },
	{ "ipa-image-download-max-duration", TYPE_NUMBER, FIELD(image_duration), 0, 604800 },
	{ "ipa-ntp-server", TYPE_STRING, FIELD(ntp_server), 0, 0 },
	{ "ipa-debug", TYPE_BOOL, FIELD(debug), false, 0 },
	{ "ipa-standalone", TYPE_BOOL, FIELD(standalone), false, 0 },
	{ "ipa-guard-special-filesystems", TYPE_BOOL, FIELD(guard_special), true, 0 },
	{ "BOOTIF", TYPE_STRING, FIELD(bootif), 0, 0 },
	{ "boot_method", TYPE_STRING, FIELD(boot_method), 0, 0 },
	{ "ir_pub_id", TYPE_STRING, FIELD(publisher), 0, 0 },
};

static void *field(struct agent_config *c, size_t i)
{
	return (char *)c + params[i].offset;
}

void agent_config_init(struct agent_config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		if (params[i].type == TYPE_NUMBER)
			*(uint64_t *)field(c, i) = params[i].otherwise;
		else if (params[i].type == TYPE_BOOL)
			*(bool *)field(c, i) = params[i].otherwise;
	}
	c->collectors = xstrdup("default,logs");
}

static void urls_done(struct agent_urls *u)
{
	for (size_t i = 0; i < AGENT_URLS_MAX; i++)
		free(u->items[i]);
	*u = (struct agent_urls){ 0 };
}

void agent_config_done(struct agent_config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		if (params[i].type == TYPE_STRING)
			free(*(char **)field(c, i));
		else if (params[i].type == TYPE_URLS)
			urls_done(field(c, i));
	}
	free(c->node_uuid);
	*c = (struct agent_config){ 0 };
}

/* --- values ---------------------------------------------------------------------------------- */

static int set_bool(const char *value, bool *ret)
{
	static const char *const yes[] = { "1", "true", "yes", "on" };
	static const char *const no[] = { "0", "false", "no", "off" };
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(value, yes[i]) == 0)
			*ret = true;
		else if (strcasecmp(value, no[i]) == 0)
			*ret = false;
		else
			continue;
		return 0;
	}
	return -EINVAL;
}

/* All or nothing: half a list would hide the mistake in the other half. */
static int set_urls(const char *value, struct agent_urls *ret)
{
	struct agent_urls urls = { 0 };
	size_t count = 0;
	for (const char *p = value; *p;) {
		size_t len = strcspn(p, ","), next = len + (p[len] == ',');
		while (len > 0 && p[len - 1] == '/')
			len--;
		if (len > 0 && count < AGENT_URLS_MAX)
			urls.items[count++] = xstrndup(p, len);
		p += next;
	}
	for (size_t i = 0; i < count; i++) {
		if (str_has_prefix(urls.items[i], "http://") ||
		    str_has_prefix(urls.items[i], "https://"))
			continue;
		/* also the word "mdns": nobody answers that here */
		urls_done(&urls);
		return -EINVAL;
	}
	urls_done(ret);
	*ret = urls;
	return 0;
}

static int set_param(struct agent_config *c, size_t i, const char *value)
{
	uint64_t number;
	switch (params[i].type) {
	case TYPE_STRING:
		str_replace(field(c, i), *value ? value : NULL);
		return 0;
	case TYPE_NUMBER:
		if (parse_u64(value, params[i].max, &number) < 0)
			return -EINVAL;
		*(uint64_t *)field(c, i) = number;
		return 0;
	case TYPE_BOOL:
		return set_bool(value, field(c, i));
	case TYPE_URLS:
		return set_urls(value, field(c, i));
	}
	return 0;
}

/* --- the line -------------------------------------------------------------------------------- */

/* mDNS records and people write underscores; the kernel makes no difference either. */
static bool same_key(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '_' ? '-' : *a, y = *b == '_' ? '-' : *b;
		if (x != y)
			return false;
	}
	return *a == *b;
}

/* Cuts the next word out of *p, in place, without its quotes; NULL at the end. */
static char *next_word(char **p)
{
	char *from = *p;
	while (isspace((unsigned char)*from))
		from++;
	if (!*from)
		return NULL;
	char *word = from, *to = from;
	bool quoted = false;
	for (; *from && (quoted || !isspace((unsigned char)*from)); from++) {
		if (*from == '"')
			quoted = !quoted;
		else
			*to++ = *from;
	}
	*p = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

/* Later words beat earlier ones, as the kernel has it. */
static int take_word(struct agent_config *c, char *word, struct err *err)
{
	char *equals = strchr(word, '=');
	if (!equals)
		return 0;
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		if (!same_key(word, params[i].key))
			continue;
		if (set_param(c, i, equals + 1) < 0)
			return err_set(err, ERR_INVALID,
				       "kernel parameter %s has a value that makes no sense",
				       params[i].key);
	}
	return 0;
}

int agent_config_parse(struct agent_config *c, const char *line, struct err *err)
{
	_cleanup_(freep) char *copy = xstrdup(line);
	char *p = copy;
	int result = 0;
	for (char *word; (word = next_word(&p));) {
		int r = take_word(c, word, result == 0 ? err : NULL);
		if (result == 0)
			result = r;
	}
	return result;
}

/* --- the medium ------------------------------------------------------------------------------ */

static void take_urls(const struct bind_list *from, struct agent_urls *ret)
{
	urls_done(ret);
	for (size_t i = 0; i < from->count && i < AGENT_URLS_MAX; i++) {
		const char *url = ((char *const *)from->items)[i];
		size_t len = strlen(url);
		while (len > 0 && url[len - 1] == '/')
			len--;
		ret->items[i] = xstrndup(url, len);
	}
}

/* The medium is made anew for each boot: what it leaves out, this boot does not have. */
void agent_config_take(struct agent_config *c, const struct bootconfig *medium)
{
	take_urls(&medium->api, &c->api);
	take_urls(&medium->callbacks, &c->callbacks);
	str_replace(&c->node_uuid, medium->node_uuid);
	str_replace(&c->token, medium->token);
	if (medium->boot_mac)
		str_replace(&c->bootif, medium->boot_mac);
}

bool agent_config_has_collector(const struct agent_config *c, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = str_or(c->collectors, ""); *p;) {
		size_t n = strcspn(p, ",");
		if (n == len && memcmp(p, name, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}
