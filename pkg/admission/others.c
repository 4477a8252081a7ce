/* Rules of all kinds but BareMetalHost, and of images, which two kinds have. Pure. */

#include <stdio.h>
#include <string.h>

#include "admission/internal.h"
#include "api/secret.h"
#include "base/mem.h"
#include "schema/names.h"

/* --- references to Secrets --- */

void rule_not_own_secret(const char *field, const char *name, struct causes *ret)
{
	if (secret_is_own(name))
		causes_add_string(ret, CAUSE_INVALID, field, name,
				  "is a Secret of Ingot's own: name another Secret");
}

/* --- images ----------------------------------------------------------------------------------- */

static void check_checksum(const struct json *image, const char *url, struct causes *ret)
{
	const char *checksum = json_get_string(image, "checksum");
	bool oci = strncasecmp(url, "oci://", 6) == 0;
	if (oci && !str_empty(checksum))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.image.checksum", NULL,
			   "an oci:// image names its digest itself: leave the checksum out");
	else if (!oci && str_empty(checksum) &&
		 !streq(json_get_string(image, "format"), "live-iso"))
		causes_add(ret, CAUSE_REQUIRED, "spec.image.checksum", NULL,
			   "an image that is written to a disk needs its checksum, or the URL of a "
			   "file with it");
}

void rule_image(const struct json *image, struct causes *ret)
{
	static const char *const types[] = { "", "md5", "sha256", "sha512", "auto" };
	if (json_is_null(image))
		return;
	const char *url = str_or(json_get_string(image, "url"), "");
	const char *type = str_or(json_get_string(image, "checksumType"), "");
	bool known = false;
	rule_image_url("spec.image.url", url, ret);
	check_checksum(image, url, ret);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		known |= streq(types[i], type);
	if (!known)
		causes_add_string(ret, CAUSE_NOT_SUPPORTED, "spec.image.checksumType", type,
				  "supported values: \"md5\", \"sha256\", \"sha512\", \"auto\"");
}

/* --- BMCEventSubscription, DataImage, HostFirmwareComponents ---------------------------------- */

void rule_event_subscription(const struct rule_subject *s, struct rule_findings *ret)
{
	const struct json *spec = json_get(s->now, "spec");
	const struct json *headers = json_get(spec, "httpHeadersRef");
	const char *ns = json_get_string(headers, "namespace");
	if (!rule_changed(s, "spec"))
		return;
	if (s->old) {
		causes_add(&ret->errors, CAUSE_FORBIDDEN, "spec", NULL,
			   "a subscription cannot be changed: delete it and make another");
		return;
	}
	if (str_empty(json_get_string(spec, "hostName")))
		causes_add(&ret->errors, CAUSE_REQUIRED, "spec.hostName", NULL,
			   "name the BareMetalHost whose BMC is to send events");
	rule_destination("spec.destination", json_get_string(spec, "destination"), &ret->errors);
	if (!json_is_null(headers) && !streq(ns, s->ns))
		causes_add_string(&ret->errors, CAUSE_INVALID, "spec.httpHeadersRef.namespace",
				  str_or(ns, ""), "must be the subscription's own namespace, %s",
				  s->ns);
	rule_not_own_secret("spec.httpHeadersRef.name", json_get_string(headers, "name"),
			    &ret->errors);
}

void rule_data_image(const struct rule_subject *s, struct rule_findings *ret)
{
	if (rule_changed(s, "spec"))
		rule_image_url("spec.url", json_get_path_string(s->now, "spec.url"), &ret->errors);
}

void rule_firmware_components(const struct rule_subject *s, struct rule_findings *ret)
{
	size_t i = 0;
	if (!rule_changed(s, "spec"))
		return;
	json_for_each(update, json_get_path(s->now, "spec.updates")) {
		_cleanup_(freep) char *field = xasprintf("spec.updates[%zu].url", i++);
		rule_image_url(field, json_get_string(update, "url"), &ret->errors);
	}
}

/* --- HostClaim -------------------------------------------------------------------------------- */

static void check_label_key(const char *field, const char *key, struct causes *ret)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	if (!name_is_qualified(str_or(key, ""), &why))
		causes_add_string(ret, CAUSE_INVALID, field, str_or(key, ""), "%s", why.data);
}

static void check_label_value(const char *field, const char *value, struct causes *ret)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	if (!name_is_label_value(str_or(value, ""), &why))
		causes_add_string(ret, CAUSE_INVALID, field, str_or(value, ""), "%s", why.data);
}

/* How many values an operator takes, after k8s.io/apimachinery/pkg/selection; no others, and in
 * lower case only. */
static const struct {
	const char *name;
	size_t least, most;
} operators[] = {
	{ "=", 1, 1 },	       { "==", 1, 1 },		 { "!=", 1, 1 },
	{ "in", 1, SIZE_MAX }, { "notin", 1, SIZE_MAX }, { "exists", 0, 0 },
	{ "!", 0, 0 },
};

static void check_operator(const struct json *expression, const char *at, struct causes *ret)
{
	const char *name = str_or(json_get_string(expression, "operator"), "");
	size_t count = json_count(json_get(expression, "values")), i = 0;
	_cleanup_(freep) char *field = xasprintf("%s.operator", at);
	_cleanup_(freep) char *values = xasprintf("%s.values", at);
	while (i < ARRAY_SIZE(operators) && !streq(operators[i].name, name))
		i++;
	if (i == ARRAY_SIZE(operators))
		causes_add_string(ret, CAUSE_NOT_SUPPORTED, field, name,
				  "supported values: \"=\", \"==\", \"!=\", \"in\", \"notin\", "
				  "\"exists\", \"!\"");
	else if (count < operators[i].least || count > operators[i].most)
		causes_add(ret, CAUSE_INVALID, values, NULL, "operator %s takes %s", name,
			   operators[i].most == 0   ? "no values"
			   : operators[i].most == 1 ? "exactly one value"
						    : "at least one value");
}

static void check_expression(const struct json *expression, size_t index, struct causes *ret)
{
	_cleanup_(freep) char *at = xasprintf("spec.hostSelector.matchExpressions[%zu]", index);
	_cleanup_(freep) char *key = xasprintf("%s.key", at);
	size_t i = 0;
	check_label_key(key, json_get_string(expression, "key"), ret);
	check_operator(expression, at, ret);
	json_for_each(value, json_get(expression, "values")) {
		_cleanup_(freep) char *field = xasprintf("%s.values[%zu]", at, i++);
		check_label_value(field, json_string(value), ret);
	}
}

static void check_selector(const struct json *selector, struct causes *ret)
{
	size_t i = 0;
	json_for_each(label, json_get(selector, "matchLabels")) {
		_cleanup_(freep) char *field = xasprintf("spec.hostSelector.matchLabels[%s]",
							 json_key(label));
		check_label_key("spec.hostSelector.matchLabels", json_key(label), ret);
		check_label_value(field, json_string(label), ret);
	}
	json_for_each(expression, json_get(selector, "matchExpressions")) {
		check_expression(expression, i++, ret);
	}
}

void rule_claim(const struct rule_subject *s, struct rule_findings *ret)
{
	const struct json *spec = json_get(s->now, "spec");
	rule_claim_annotations(s, &ret->errors);
	if (!rule_changed(s, "spec"))
		return;
	check_selector(json_get(spec, "hostSelector"), &ret->errors);
	rule_image(json_get(spec, "image"), &ret->errors);
	static const char *const secrets[] = { "userData.name", "networkData.name",
					       "metaData.name" };
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		_cleanup_(freep) char *field = xasprintf("spec.%s", secrets[i]);
		rule_not_own_secret(field, json_get_path_string(spec, secrets[i]), &ret->errors);
	}
}

/* --- HostNetworkAttachment -------------------------------------------------------------------- */

enum { VLAN_MAX = 4094 };

/* "N" or "A-B" with A < B. */
static bool vlans_valid(const char *text)
{
	uint64_t first, last;
	const char *dash = strchr(text, '-');
	_cleanup_(freep) char *left = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));
	if (parse_u64(left, VLAN_MAX, &first) < 0 || first == 0)
		return false;
	return !dash || (parse_u64(dash + 1, VLAN_MAX, &last) == 0 && first < last);
}

static void check_vlans(const struct json *spec, struct causes *ret)
{
	const struct json *vlans = json_get(spec, "allowedVLANs");
	size_t i = 0;
	if (streq(str_or(json_get_string(spec, "mode"), "access"), "access") && json_count(vlans))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.allowedVLANs", NULL,
			   "a port in access mode carries its native VLAN only: leave this out, or "
			   "set spec.mode to trunk or hybrid");
	json_for_each(vlan, vlans) {
		_cleanup_(freep) char *field = xasprintf("spec.allowedVLANs[%zu]", i++);
		const char *text = str_or(json_string(vlan), "");
		if (!vlans_valid(text))
			causes_add_string(ret, CAUSE_INVALID, field, text,
					  "must be a VLAN from 1 to 4094, or a range A-B of them "
					  "with A less than B");
	}
}

static bool refers(const struct json *interface, const char *host_ns, const struct rule_subject *s)
{
	const struct json *ref = json_get(interface, "hostNetworkAttachment");
	const char *ns = json_get_string(ref, "namespace");
	return streq(json_get_string(ref, "name"), s->name) &&
	       streq(str_empty(ns) ? host_ns : ns, s->ns);
}

/* "ns/host[eth0], ns/host[52:54:00:…]". */
static void collect_users(const struct rule_subject *s, struct strbuf *out)
{
	json_for_each(host, s->hosts) {
		const char *ns = str_or(json_get_path_string(host, "metadata.namespace"), "");
		json_for_each(i, json_get_path(host, "spec.networkInterfaces")) {
			const char *name = json_get_string(i, "name");
			if (refers(i, ns, s))
				strbuf_addf(out, "%s%s/%s[%s]", out->len ? ", " : "", ns,
					    str_or(json_get_path_string(host, "metadata.name"), ""),
					    str_empty(name)
						    ? str_or(json_get_string(i, "macAddress"), "")
						    : name);
		}
	}
}

static void check_unused(const struct rule_subject *s, struct rule_findings *ret)
{
	const char *what = s->operation == RULE_DELETE ? "deleted" : "changed";
	_cleanup_(strbuf_done) struct strbuf users = { 0 };
	if (!s->hosts) {
		causes_add(&ret->errors, CAUSE_FORBIDDEN, "spec", NULL,
			   "it is not known whether hosts refer to it, so it cannot be %s: %s; try "
			   "again",
			   what, str_or(s->no_hosts_because, "they could not be listed"));
		return;
	}
	collect_users(s, &users);
	if (!users.len)
		return;
	causes_add(&ret->errors, CAUSE_FORBIDDEN, "spec", NULL,
		   "it cannot be %s while interfaces of hosts refer to it: take it out of their "
		   "spec.networkInterfaces first",
		   what);
	rule_warn(ret, "referenced by %s", users.data);
}

void rule_attachment(const struct rule_subject *s, struct rule_findings *ret)
{
	bool deletion = s->operation == RULE_DELETE;
	if (!deletion && !rule_changed(s, "spec"))
		return;
	if (!deletion)
		check_vlans(json_get(s->now, "spec"), &ret->errors);
	if (s->operation != RULE_CREATE)
		check_unused(s, ret);
}
