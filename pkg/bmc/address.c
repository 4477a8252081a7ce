/* The parser of BMC addresses and the table of their kinds. The grammar is what Metal3 makes of
 * Go's URL parser: `scheme://host`, `scheme:host`, or a bare host with or without port, which means
 * IPMI. What follows the authority is a Redfish path and a query of driver parameters. User and
 * password inside an address are skipped, as upstream does, and never quoted. */

#include "bmc/address.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"

enum { HOST_MAX = 253, LABEL_MAX = 63, IPMI_PORT = 623 };

static const char complaint[] = "failed to parse BMC address information";

/* clang-format off */
static const struct bmc_scheme schemes[] = {
	{ .name = "ipmi", .driver = "ipmi", .kind = BMC_DRIVER_IPMI, .boot = BMC_BOOT_NETWORK,
	  .default_port = IPMI_PORT },
	{ .name = "libvirt", .driver = "ipmi", .kind = BMC_DRIVER_IPMI, .boot = BMC_BOOT_NETWORK,
	  .default_port = IPMI_PORT, .needs_mac = true },
	{ .name = "redfish", .driver = "redfish", .kind = BMC_DRIVER_REDFISH, .boot = BMC_BOOT_NETWORK,
	  .http = true },
	{ .name = "ilo5-redfish", .driver = "redfish", .kind = BMC_DRIVER_REDFISH, .boot = BMC_BOOT_NETWORK,
	  .http = true },
	{ .name = "idrac-redfish", .driver = "idrac", .kind = BMC_DRIVER_IDRAC, .boot = BMC_BOOT_NETWORK,
	  .http = true },
	{ .name = "redfish-virtualmedia", .driver = "redfish", .kind = BMC_DRIVER_REDFISH, .boot = BMC_BOOT_MEDIA,
	  .http = true },
	{ .name = "ilo5-virtualmedia", .driver = "redfish", .kind = BMC_DRIVER_REDFISH, .boot = BMC_BOOT_MEDIA,
	  .http = true },
	{ .name = "idrac-virtualmedia", .driver = "idrac", .kind = BMC_DRIVER_IDRAC, .boot = BMC_BOOT_MEDIA,
	  .http = true },
	{ .name = "redfish-uefihttp", .driver = "redfish", .kind = BMC_DRIVER_REDFISH, .boot = BMC_BOOT_UEFI_HTTP,
	  .http = true },
	{ 0 },
};

/* Kinds that old Metal3 releases knew, and what to write in their place. */
static const struct {
	const char *name, *instead;
} removed[] = {
	{ "ilo4", "ipmi" },
	{ "ilo4-virtualmedia", "ipmi" },
	{ "ilo5", "ilo5-redfish or ilo5-virtualmedia" },
	{ "irmc", "redfish" },
	{ "idrac", "idrac-redfish or idrac-virtualmedia" },
};
/* clang-format on */

const struct bmc_scheme *bmc_schemes(void)
{
	return schemes;
}

/* --- kinds ----------------------------------------------------------------------------------- */

static int unknown_scheme(const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(removed); i++)
		if (streq(removed[i].name, name))
			return err_set(err, ERR_INVALID,
				       "%s: BMC type '%s' is no longer supported: use %s",
				       complaint, name, removed[i].instead);
	struct strbuf known = { 0 };
	for (const struct bmc_scheme *s = schemes; s->name; s++)
		strbuf_addf(&known, "%s%s", s == schemes ? "" : ", ", s->name);
	/* "bmc.example.com:623" reads as a URL whose scheme is the host's name. */
	const char *hint = strchr(name, '.') ? "; write ipmi://HOST:PORT for a host with a port"
					     : "";
	int r = err_set(err, ERR_INVALID, "%s: unknown BMC type '%.64s' (known: %s)%s", complaint,
			name, known.data, hint);
	strbuf_done(&known);
	return r;
}

/* Takes "+http" or "+https" off an already lower-case name. */
static bool strip_transport(char *name, bool *ret_plain)
{
	char *plus = strrchr(name, '+');
	if (!plus || (!streq(plus, "+http") && !streq(plus, "+https")))
		return false;
	*ret_plain = streq(plus, "+http");
	*plus = '\0';
	return true;
}

static int find_scheme(const char *text, size_t len, struct bmc_address *a, struct err *err)
{
	_cleanup_(freep) char *name = xstrndup(text, len);
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	_cleanup_(freep) char *bare = xstrdup(name);
	bool plain = false, transport = strip_transport(bare, &plain);
	for (const struct bmc_scheme *s = schemes; s->name; s++) {
		if (!streq(s->name, bare) || (transport && !s->http))
			continue;
		a->scheme = s;
		a->plain_http = plain;
		a->port = s->default_port;
		return 0;
	}
	return unknown_scheme(name, err);
}

/* --- parts ----------------------------------------------------------------------------------- */

/* A new string, or NULL when an escape is broken or hides a NUL. */
static char *percent_decode(const char *text, size_t len, bool plus_is_blank)
{
	_cleanup_(freep) char *out = xmalloc(len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		out[n] = plus_is_blank && text[i] == '+' ? ' ' : text[i];
		if (text[i] == '%') {
			if (len - i < 3)
				return NULL;
			char pair[3] = { text[i + 1], text[i + 2] };
			if (hex_decode(pair, &out[n], 1) < 0 || out[n] == '\0')
				return NULL;
			i += 2;
		}
		n++;
	}
	out[n] = '\0';
	return TAKE_PTR(out);
}

static bool is_name(const char *s)
{
	size_t label = 0;
	if (strlen(s) > HOST_MAX)
		return false;
	for (const char *c = s; *c; c++) {
		bool edge = label == 0 || c[1] == '.' || c[1] == '\0';
		if (*c == '.' ? label == 0 : !isalnum((unsigned char)*c) && (*c != '-' || edge))
			return false;
		label = *c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return true;
}

/* An IPv6 address, perhaps with a zone, whose interface need not exist here. */
static bool is_v6(const char *s)
{
	size_t len = strcspn(s, "%");
	_cleanup_(freep) char *ip = xstrndup(s, len);
	struct net_addr a;
	if (net_parse_ip(ip, &a) < 0 || net_family(&a) != AF_INET6)
		return false;
	const char *zone = s + len;
	return *zone == '\0' ||
	       (zone[1] && strlen(zone) <= 16 &&
		strspn(zone + 1, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == strlen(zone + 1));
}

static int parse_port(const char *text, size_t len, uint16_t *port, struct err *err)
{
	if (len == 0)
		return 0; /* "host:" is "host" */
	_cleanup_(freep) char *digits = xstrndup(text, len);
	uint64_t number;
	if (parse_u64(digits, UINT16_MAX, &number) < 0 || number == 0)
		return err_set(err, ERR_INVALID, "%s: \"%.16s\" is not a port number", complaint,
			       digits);
	*port = (uint16_t)number;
	return 0;
}

/* "[v6]" or "[v6]:port", brackets included. */
static int parse_bracketed(const char *text, size_t len, struct bmc_address *a, struct err *err)
{
	const char *end = memchr(text, ']', len);
	if (!end || (end + 1 < text + len && end[1] != ':'))
		return err_set(err, ERR_INVALID, "%s: \"[\" and \"]\" do not enclose the host",
			       complaint);
	a->host = percent_decode(text + 1, (size_t)(end - text - 1), false);
	if (a->host)
		for (char *c = a->host; *c; c++)
			*c = (char)tolower((unsigned char)*c);
	if (!a->host || !is_v6(a->host))
		return err_set(err, ERR_INVALID, "%s: \"[...]\" holds no IPv6 address", complaint);
	return end + 1 == text + len
		       ? 0
		       : parse_port(end + 2, (size_t)(text + len - end - 2), &a->port, err);
}

static int parse_authority(const char *text, size_t len, struct bmc_address *a, struct err *err)
{
	const char *at = memrchr(text, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	if (len > 0 && *text == '[')
		return parse_bracketed(text, len, a, err);
	const char *colon = memchr(text, ':', len);
	size_t host_len = colon ? (size_t)(colon - text) : len;
	if (colon && memrchr(text, ':', len) != colon)
		return err_set(err, ERR_INVALID,
			       "%s: an IPv6 address needs brackets, as in ipmi://[2001:db8::1]:623",
			       complaint);
	a->host = xstrndup(text, host_len);
	for (char *c = a->host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!is_name(a->host))
		return err_set(err, ERR_INVALID, "%s: BMC address hostname/IP : [%.64s] is invalid",
			       complaint, a->host);
	return colon ? parse_port(colon + 1, len - host_len - 1, &a->port, err) : 0;
}

/* Go's Query() drops broken pairs without a word, and so do hosts that exist. */
static int parse_query(const char *text, size_t len, struct bmc_address *a, struct err *err)
{
	while (len > 0) {
		const char *amp = memchr(text, '&', len);
		size_t one = amp ? (size_t)(amp - text) : len;
		const char *equal = memchr(text, '=', one);
		size_t key_len = equal ? (size_t)(equal - text) : one;
		_cleanup_(freep) char *key = percent_decode(text, key_len, true);
		_cleanup_(freep) char *value = equal ? percent_decode(equal + 1, one - key_len - 1,
								      true)
						     : xstrdup("");
		if (key && *key && value) {
			if (a->param_count == BMC_PARAMS_MAX)
				return err_set(err, ERR_INVALID, "%s: more than %d parameters",
					       complaint, BMC_PARAMS_MAX);
			a->params = xreallocarray(a->params, a->param_count + 1,
						  sizeof(*a->params));
			a->params[a->param_count++] = (struct bmc_param){ TAKE_PTR(key),
									  TAKE_PTR(value) };
		}
		text += one + (amp ? 1 : 0);
		len -= one + (amp ? 1 : 0);
	}
	return 0;
}

/* What follows "scheme:". */
static int parse_rest(const char *text, struct bmc_address *a, struct err *err)
{
	size_t len = strcspn(text, "#");
	const char *query = memchr(text, '?', len);
	size_t before = query ? (size_t)(query - text) : len;
	if (str_has_prefix(text, "//")) {
		text += 2;
		before -= 2;
		len -= 2;
	} else if (*text == '/') {
		before = len = 0; /* "ipmi:/x" has no authority: an empty host */
		query = NULL;
	}
	const char *slash = memchr(text, '/', before);
	size_t authority = slash ? (size_t)(slash - text) : before;
	int r = parse_authority(text, authority, a, err);
	if (r < 0)
		return r;
	a->path = percent_decode(text + authority, before - authority, false);
	if (!a->path)
		return err_set(err, ERR_INVALID, "%s: broken %%-escape in the path", complaint);
	return query ? parse_query(query + 1, len - before - 1, a, err) : 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Length of "scheme" in "scheme:...", or 0 when the text has none (RFC 3986, 3.1). */
static size_t scheme_length(const char *text)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]) || (text[n] && strchr("+-.", text[n])))
		n++;
	return text[n] == ':' && isalpha((unsigned char)*text) ? n : 0;
}

static int check_text(const char *text, struct err *err)
{
	if (strlen(text) > BMC_ADDRESS_MAX)
		return err_set(err, ERR_INVALID, "%s: longer than %d bytes", complaint,
			       BMC_ADDRESS_MAX);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return err_set(err, ERR_INVALID,
				       "%s: a blank or control character at position %zu",
				       complaint, (size_t)(c - text) + 1);
	if (is_v6(text) || (*text == '[' && text[strlen(text) - 1] == ']'))
		return err_set(
			err, ERR_INVALID,
			"%s: an IPv6 address without a port needs scheme and brackets, as in "
			"ipmi://[2001:db8::1]",
			complaint);
	if (str_has_prefix(text, "//"))
		return err_set(err, ERR_INVALID, "%s: the type before \"//\" is missing",
			       complaint);
	return 0;
}

static int parse(const char *text, struct bmc_address *a, struct err *err)
{
	int r = check_text(text, err);
	if (r < 0)
		return r;
	size_t n = scheme_length(text);
	r = n ? find_scheme(text, n, a, err) : find_scheme("ipmi", 4, a, err);
	if (r < 0)
		return r;
	if (n)
		return parse_rest(text + n + 1, a, err);
	/* With a leading slash this is a path; upstream puts ipmi:// before it. */
	_cleanup_(freep) char *full = xasprintf("//%s", text);
	return parse_rest(full, a, err);
}

int bmc_address_parse(const char *text, struct bmc_address *ret, struct err *err)
{
	struct bmc_address a = { 0 };
	int r = parse(text, &a, err);
	if (r < 0) {
		bmc_address_done(&a);
		return r;
	}
	*ret = a;
	return 0;
}

void bmc_address_done(struct bmc_address *a)
{
	free(a->host);
	free(a->path);
	for (unsigned i = 0; i < a->param_count; i++) {
		free(a->params[i].key);
		free(a->params[i].value);
	}
	free(a->params);
	*a = (struct bmc_address){ 0 };
}

void bmc_address_copy(const struct bmc_address *from, struct bmc_address *ret)
{
	struct bmc_address a = *from;
	a.host = xstrdup(from->host);
	a.path = xstrdup(from->path);
	a.params = from->param_count ? xcalloc(from->param_count, sizeof(*a.params)) : NULL;
	for (unsigned i = 0; i < from->param_count; i++)
		a.params[i] = (struct bmc_param){ xstrdup(from->params[i].key),
						  xstrdup(from->params[i].value) };
	*ret = a;
}

bool bmc_address_equal(const struct bmc_address *a, const struct bmc_address *b)
{
	if (a->scheme != b->scheme || a->port != b->port || a->plain_http != b->plain_http ||
	    !streq(a->host, b->host) || !streq(a->path, b->path) ||
	    a->param_count != b->param_count)
		return false;
	for (unsigned i = 0; i < a->param_count; i++)
		if (!streq(a->params[i].key, b->params[i].key) ||
		    !streq(a->params[i].value, b->params[i].value))
			return false;
	return true;
}

const char *bmc_address_param(const struct bmc_address *a, const char *key)
{
	for (unsigned i = 0; i < a->param_count; i++)
		if (streq(a->params[i].key, key))
			return a->params[i].value;
	return NULL;
}

char *bmc_address_endpoint(const struct bmc_address *a)
{
	bool v6 = strchr(a->host, ':') != NULL;
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
	if (a->port)
		return xasprintf("%s%s%s:%u", open, a->host, close, a->port);
	return xasprintf("%s%s%s", open, a->host, close);
}

char *bmc_address_base_url(const struct bmc_address *a)
{
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(a);
	return xasprintf("%s://%s", a->plain_http ? "http" : "https", endpoint);
}

char *bmc_address_system_path(const struct bmc_address *a)
{
	const char *path = a->path + strspn(a->path, "/");
	size_t len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	bool root = len == strlen("redfish/v1") && strncmp(path, "redfish/v1", len) == 0;
	return len == 0 || root ? NULL : xstrdup(a->path);
}
