/* The two files of a medium. What is built goes through the same checks as what is read, so that no
 * medium is made that its agent refuses: such a host would boot, find nothing to talk to, and wait
 * for its deadline. Pure. */

#include "agentapi/bootconfig.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"
#include "wire/cpio.h"

/* Deep enough for members of later releases. */
static const struct json_limits limits = { .depth = 8, .values = 1024 };
/* Network data is looked at by its own parser; here it must only be JSON at all. */
static const struct json_limits network_limits = { .depth = 16, .values = 32 << 10 };

#define FIELD(name) offsetof(struct bootconfig, name)

static const struct bind_field fields[] = {
	{ .key = "nodeUUID", .type = BIND_STRING, .offset = FIELD(node_uuid) },
	{ .key = "apiURLs", .type = BIND_STRINGS, .offset = FIELD(api) },
	{ .key = "inspectionCallbackURLs", .type = BIND_STRINGS, .offset = FIELD(callbacks) },
	{ .key = "caCertificate", .type = BIND_STRING, .offset = FIELD(ca) },
	{ .key = "agentToken", .type = BIND_STRING, .offset = FIELD(token) },
	{ .key = "bootNumber", .type = BIND_INT, .offset = FIELD(boot_number) },
	{ .key = "bootNonce", .type = BIND_STRING, .offset = FIELD(boot_nonce) },
	{ .key = "bootMAC", .type = BIND_STRING, .offset = FIELD(boot_mac) },
	{ .key = "virtualMedia", .type = BIND_BOOL, .offset = FIELD(media), .flags = BIND_ALWAYS },
	{ .key = NULL },
};

static const struct bind_struct config_struct = { sizeof(struct bootconfig), fields };

void bootconfig_done(struct bootconfig *c)
{
	c->token = secret_free(c->token);
	bind_release(&config_struct, c);
}

void bootconfig_add_url(struct bind_list *list, const char *url)
{
	list->items = xreallocarray(list->items, list->count + 1, sizeof(char *));
	((char **)list->items)[list->count++] = xstrdup(url);
	list->present = true;
}

/* --- checks ---------------------------------------------------------------------------------- */

static int wrong(struct err *err, const char *member, const char *why)
{
	return err_set(err, ERR_INVALID, "%s: %s", member, why);
}

/* A blank or a control byte would end a URL early in a log or a header. */
static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static int check_urls(const char *member, const struct bind_list *list, struct err *err)
{
	char *const *urls = list->items;
	if (list->count > BOOTCONFIG_URLS_MAX)
		return err_set(err, ERR_LIMIT, "%s: %zu URLs, at most %d are taken", member,
			       list->count, BOOTCONFIG_URLS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		if (!str_has_prefix(urls[i], "http://") && !str_has_prefix(urls[i], "https://"))
			return wrong(err, member, "a URL begins with http:// or https://");
		if (!printable(urls[i]) || strlen(urls[i]) > BOOTCONFIG_URL_MAX)
			return wrong(err, member, "a URL is too long or has blanks in it");
	}
	return 0;
}

static int check_word(const char *member, const char *word, size_t min, size_t max, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_";
	size_t len = word ? strlen(word) : min;
	if (len < min || len > max || (word && strspn(word, allowed) != len))
		return err_set(err, ERR_INVALID,
			       "%s: expected %zu to %zu letters, digits, '-' and '_'", member, min,
			       max);
	return 0;
}

static int check_ca(const char *pem, struct err *err)
{
	if (!pem)
		return 0;
	if (strlen(pem) > BOOTCONFIG_CA_MAX)
		return err_set(err, ERR_LIMIT, "caCertificate: %zu bytes, at most %d are taken",
			       strlen(pem), BOOTCONFIG_CA_MAX);
	return strstr(pem, "-----BEGIN CERTIFICATE-----")
		       ? 0
		       : wrong(err, "caCertificate", "expected certificates in PEM");
}

static int check_mac(const char *text, struct err *err)
{
	struct net_mac mac;
	if (!text)
		return 0;
	return net_parse_mac(text, &mac) == 0 && !net_mac_is_multicast(&mac)
		       ? 0
		       : wrong(err, "bootMAC",
			       "expected a NIC's address such as "
			       "52:54:00:12:34:56");
}

static int check(const struct bootconfig *c, struct err *err)
{
	if (!c->node_uuid || !uuid_valid(c->node_uuid))
		return wrong(err, "nodeUUID", "expected a UUID in lower case");
	if (c->api.count == 0)
		return wrong(err, "apiURLs", "expected one URL at least");
	if (c->boot_number < 0)
		return wrong(err, "bootNumber", "expected a number that is not negative");
	int r = check_urls("apiURLs", &c->api, err);
	if (r == 0)
		r = check_urls("inspectionCallbackURLs", &c->callbacks, err);
	if (r == 0)
		r = check_word("agentToken", c->token, BOOTCONFIG_TOKEN_MIN, BOOTCONFIG_TOKEN_MAX,
			       err);
	if (r == 0)
		r = check_word("bootNonce", c->boot_nonce, 1, BOOTCONFIG_NONCE_MAX, err);
	if (r == 0)
		r = check_ca(c->ca, err);
	return r < 0 ? r : check_mac(c->boot_mac, err);
}

static int check_network(const char *text, struct err *err)
{
	struct json *j = NULL;
	size_t len = strlen(text);
	if (len > BOOTCONFIG_FILE_MAX)
		return err_set(err, ERR_LIMIT, "network data: %zu bytes, at most %d are taken", len,
			       BOOTCONFIG_FILE_MAX);
	if (json_parse_limited(text, len, &network_limits, &j, err) < 0)
		return err_wrap(err, "network data");
	bool object = json_is_object(j);
	json_free(j);
	return object ? 0 : wrong(err, "network data", "expected an object");
}

/* --- building -------------------------------------------------------------------------------- */

static char *config_text(const struct bootconfig *c)
{
	struct json *j = json_new_object();
	struct json *members = bind_to_json(&config_struct, c);
	json_set_int(j, "version", BOOTCONFIG_VERSION);
	while (json_count(members) > 0) {
		_cleanup_(freep) char *key = xstrdup(json_key(json_first(members)));
		json_set(j, key, json_take(members, key));
	}
	char *text = json_to_string(j);
	json_free(members);
	json_free(j);
	return text;
}

/* Paths in an archive have no slash in front. */
static void add_file(struct cpio *archive, const char *path, const char *text)
{
	cpio_add_file(archive, path + 1, 0600, text, strlen(text));
}

int bootconfig_build(const struct bootconfig *c, const char *network_data, char **ret,
		     size_t *ret_len, struct err *err)
{
	struct cpio archive = { 0 };
	int r = check(c, err);
	if (r == 0 && network_data)
		r = check_network(network_data, err);
	if (r < 0)
		return r;
	_cleanup_(secret_freep) char *text = config_text(c);
	if (strlen(text) > BOOTCONFIG_FILE_MAX)
		return err_set(err, ERR_LIMIT,
			       "agent.json would have %zu bytes, at most %d are "
			       "taken",
			       strlen(text), BOOTCONFIG_FILE_MAX);
	/* The rights of directories that are there already are changed by the kernel, too. */
	cpio_add_dir(&archive, "etc", 0755);
	cpio_add_dir(&archive, "etc/ingot", 0755);
	add_file(&archive, BOOTCONFIG_FILE, text);
	if (network_data)
		add_file(&archive, BOOTCONFIG_NETWORK_FILE, network_data);
	*ret = cpio_take(&archive, ret_len);
	return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static int check_version(const struct json *j, struct err *err)
{
	int64_t version = json_get_int(j, "version", 0);
	if (!json_is_object(j) || version < 1)
		return wrong(err, "version", "expected a number above 0");
	if (version > BOOTCONFIG_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			       "version: %lld is of a later release, this agent knows %d: use the "
			       "ramdisk that belongs to the server",
			       (long long)version, BOOTCONFIG_VERSION);
	return 0;
}

int bootconfig_parse(const char *text, size_t len, struct bootconfig *ret, struct err *err)
{
	struct bootconfig c = { 0 };
	struct json *j = NULL;
	if (len > BOOTCONFIG_FILE_MAX)
		return err_set(err, ERR_LIMIT, "%zu bytes, at most %d are taken", len,
			       BOOTCONFIG_FILE_MAX);
	int r = json_parse_limited(text, len, &limits, &j, err);
	if (r == 0)
		r = check_version(j, err);
	if (r == 0)
		r = bind_from_json(&config_struct, j, &c, err);
	json_free(j);
	if (r == 0)
		r = check(&c, err);
	if (r < 0) {
		bootconfig_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}
