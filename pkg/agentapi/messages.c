/* Messages of the deploy-agent protocol (Ironic API 1.68 as agents use it). What the other side
 * sends is foreign: every member is checked for type before use. Pure. */

#include "agentapi/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Agents ask for features by this number; 1.68 brings agent certificates. */
static const char api_version[] = "1.68";

static struct json *link_list(const char *base_url, const char *path)
{
	struct json *links = json_new_array();
	struct json *link = json_append(links, json_new_object());
	_cleanup_(freep) char *href = xasprintf("%s%s", base_url, path);
	json_set_string(link, "href", href);
	json_set_string(link, "rel", "self");
	return links;
}

static struct json *version_entry(const char *base_url)
{
	struct json *v = json_new_object();
	json_set_string(v, "id", "v1");
	json_set(v, "links", link_list(base_url, "/v1/"));
	json_set_string(v, "status", "CURRENT");
	json_set_string(v, "min_version", "1.1");
	json_set_string(v, "version", api_version);
	return v;
}

struct json *agent_root_answer(const char *base_url)
{
	struct json *root = json_new_object();
	json_set_string(root, "name", "OpenStack Ironic API");
	json_set_string(root, "description", "Ingot, deploy-agent part of the Ironic API");
	json_set(root, "default_version", version_entry(base_url));
	json_append(json_set(root, "versions", json_new_array()), version_entry(base_url));
	return root;
}

struct json *agent_v1_answer(const char *base_url)
{
	struct json *v = json_new_object();
	json_set_string(v, "id", "v1");
	json_set(v, "links", link_list(base_url, "/v1/"));
	json_set(v, "version", version_entry(base_url));
	return v;
}

static struct json *lookup_config(const char *token)
{
	struct json *config = json_new_object();
	json_set_int(config, "heartbeat_timeout", AGENT_HEARTBEAT_TIMEOUT_S);
	json_set_string(config, "agent_token", token ? token : "******");
	json_set_bool(config, "agent_token_required", true);
	json_set(config, "metrics", json_new_object());
	json_set(config, "metrics_statsd", json_new_object());
	/* md5 is a weak choice but a legal one of the BareMetalHost API. */
	json_set_bool(config, "agent_md5_checksum_enable", true);
	json_set_bool(config, "disable_deep_image_inspection", false);
	struct json *formats = json_set(config, "permitted_image_formats", json_new_array());
	json_append(formats, json_new_string("raw"));
	json_append(formats, json_new_string("gpt"));
	json_append(formats, json_new_string("qcow2"));
	json_set_bool(config, "enable_bios_bootloader_install", false);
	json_set_string(config, "tls_min_version", "1.2");
	return config;
}

struct json *agent_lookup_answer(const struct agent_lookup_answer *a)
{
	struct json *answer = json_new_object();
	struct json *node = json_set(answer, "node", json_new_object());
	json_set_string(node, "uuid", a->node_uuid);
	struct json *properties = json_set(node, "properties", json_new_object());
	if (a->root_device)
		json_set(properties, "root_device", json_dup(a->root_device));
	json_set(node, "instance_info", json_new_object());
	json_set(node, "driver_internal_info", json_new_object());
	json_set(node, "links", json_new_array());
	struct json *config = json_set(answer, "config", lookup_config(a->token));
	json_set_bool(config, "agent_skip_bmc_detect", a->skip_bmc_detect);
	return answer;
}

/* They are kept in the host's record. */
static int check_lengths(const struct agent_heartbeat *h, struct err *err)
{
	const struct {
		const char *name, *value;
		size_t max;
	} rows[] = {
		{ "callback_url", h->callback_url, AGENT_URL_MAX },
		{ "agent_version", h->version, AGENT_VERSION_MAX },
		{ "agent_verify_ca", h->certificate, AGENT_CERTIFICATE_MAX },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].value && strlen(rows[i].value) > rows[i].max)
			return err_set(err, ERR_INVALID, "heartbeat: %s is longer than %zu bytes",
				       rows[i].name, rows[i].max);
	return 0;
}

int agent_heartbeat_parse(const struct json *body, struct agent_heartbeat *ret, struct err *err)
{
	if (!json_is_object(body))
		return err_set(err, ERR_INVALID, "heartbeat: the body is not a JSON object");
	struct agent_heartbeat h = {
		.callback_url = json_get_string(body, "callback_url"),
		.token = json_get_string(body, "agent_token"),
		.version = json_get_string(body, "agent_version"),
		.certificate = json_get_string(body, "agent_verify_ca"),
	};
	if (!h.callback_url)
		return err_set(err, ERR_INVALID, "heartbeat: callback_url is missing");
	if (str_empty(h.token))
		return err_set(err, ERR_INVALID, "heartbeat: agent_token is missing");
	if (str_empty(h.certificate))
		h.certificate = NULL;
	int r = check_lengths(&h, err);
	if (r == 0)
		*ret = h;
	return r;
}

int agent_callback_parse(const char *url, bool allow_http, char ret_host[64], struct err *err)
{
	const char *rest = NULL;
	if (str_has_prefix(url, "https://"))
		rest = url + strlen("https://");
	else if (allow_http && str_has_prefix(url, "http://"))
		rest = url + strlen("http://");
	if (!rest)
		return err_set(err, ERR_INVALID, "heartbeat: callback_url must be https");
	bool bracket = *rest == '[';
	const char *end = bracket ? strchr(++rest, ']') : rest + strcspn(rest, ":/?#@");
	if (bracket && end && rest + strspn(rest, "0123456789abcdefABCDEF:.") != end)
		end = NULL;
	if (!end || end == rest || end - rest >= 64)
		return err_set(err, ERR_INVALID, "heartbeat: callback_url names no host");
	const char *port = end + bracket;
	uint64_t number;
	if (*port != ':' || parse_u64(port + 1, 65535, &number) < 0 || number == 0)
		return err_set(err, ERR_INVALID,
			       "heartbeat: callback_url must end with a port and have no path");
	memcpy(ret_host, rest, (size_t)(end - rest));
	ret_host[end - rest] = '\0';
	return 0;
}

static bool mac_valid(const char *mac)
{
	if (!mac || strlen(mac) != 17)
		return false;
	for (size_t i = 0; i < 17; i++)
		if (i % 3 == 2 ? mac[i] != ':' : !strchr("0123456789abcdefABCDEF", mac[i]))
			return false;
	return true;
}

int agent_inspection_check(const struct json *body, struct err *err)
{
	const struct json *inventory = json_get(body, "inventory");
	const struct json *interfaces = json_get(inventory, "interfaces");
	const char *error = json_get_string(body, "error");
	if (!json_is_object(inventory))
		return err_set(err, ERR_INVALID, "inspection data without an inventory%s%s",
			       error ? "; the ramdisk says: " : "", error ? error : "");
	if (!json_is_array(interfaces) || json_count(interfaces) == 0)
		return err_set(err, ERR_INVALID, "inspection data without network interfaces");
	if (json_count(interfaces) > AGENT_NICS_MAX)
		return err_set(
			err, ERR_INVALID,
			"inspection data with %zu network interfaces, at most %d are accepted",
			json_count(interfaces), AGENT_NICS_MAX);
	json_for_each(i, interfaces) {
		if (!mac_valid(json_get_string(i, "mac_address")))
			return err_set(err, ERR_INVALID,
				       "inspection data hold an interface without a MAC address");
	}
	return 0;
}

int agent_inspection_take(struct json *body, struct json **ret, struct err *err)
{
	_cleanup_(json_freep) struct json *kept = json_new_object();
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_set(kept, "inventory", json_take(body, "inventory"));
	if (json_get_string(body, "boot_interface"))
		json_set(kept, "boot_interface", json_take(body, "boot_interface"));
	json_print(kept, &text);
	if (text.len > AGENT_KEPT_MAX)
		return err_set(err, ERR_INVALID,
			       "the inventory has %zu bytes, at most %d are accepted", text.len,
			       AGENT_KEPT_MAX);
	*ret = TAKE_PTR(kept);
	return 0;
}

void agent_inspection_macs(const struct json *body, void (*fn)(void *data, const char *mac),
			   void *data)
{
	json_for_each(i, json_get(json_get(body, "inventory"), "interfaces")) {
		const char *mac = json_get_string(i, "mac_address");
		char lower[18] = "";
		if (!mac_valid(mac))
			continue;
		for (size_t c = 0; c < 17; c++)
			lower[c] = (char)(mac[c] >= 'A' && mac[c] <= 'F' ? mac[c] | 0x20 : mac[c]);
		fn(data, lower);
	}
}

/* They go into a log, an Event and the record of the host: foreign text. */
char *agent_network_problems(const struct json *body)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_for_each(i, json_get(body, AGENT_NETWORK_PROBLEMS)) {
		const char *one = json_string(i);
		if (str_empty(one) || text.len > AGENT_PROBLEMS_TEXT_MAX)
			continue;
		strbuf_addf(&text, "%s%.*s", text.len ? "; " : "", AGENT_PROBLEMS_TEXT_MAX, one);
	}
	if (!text.len)
		return NULL;
	char *line = strbuf_take(&text, NULL);
	if (strlen(line) > AGENT_PROBLEMS_TEXT_MAX)
		memcpy(line + AGENT_PROBLEMS_TEXT_MAX - 3, "...", 4);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			*p = '?';
	return line;
}

struct json *agent_command(const char *name, struct json *params)
{
	struct json *c = json_new_object();
	json_set_string(c, "name", name);
	json_set(c, "params", params ? params : json_new_object());
	return c;
}

struct json *agent_step_params(const char *interface, const char *step, int priority,
			       struct json *args, const struct json *node)
{
	struct json *params = json_new_object();
	struct json *s = json_set(params, "step", json_new_object());
	json_set_string(s, "interface", interface);
	json_set_string(s, "step", step);
	json_set_int(s, "priority", priority);
	if (args)
		json_set(s, "args", args);
	json_set(params, "node", json_dup(node));
	json_set(params, "ports", json_new_array());
	return params;
}

static const struct {
	const char *text;
	enum agent_command_status status;
} statuses[] = {
	{ "RUNNING", AGENT_COMMAND_RUNNING },
	{ "SUCCEEDED", AGENT_COMMAND_SUCCEEDED },
	{ "FAILED", AGENT_COMMAND_FAILED },
	{ "CLEAN_VERSION_MISMATCH", AGENT_COMMAND_VERSION_MISMATCH },
};

static enum agent_command_status status_of(const struct json *command)
{
	const char *text = json_get_string(command, "command_status");
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (streq(text, statuses[i].text))
			return statuses[i].status;
	return AGENT_COMMAND_FAILED; /* a word that we do not know is no success */
}

/* The kind of the error, then what happened; older agents of ours have both in `details`. */
static void error_of(const struct json *command, char *out, size_t size)
{
	const struct json *error = json_get(command, "command_error");
	const char *message = json_get_string(error, "message");
	const char *details = json_get_string(error, "details");
	if (str_empty(details))
		details = json_get_string(error, "error");
	bool both = !str_empty(message) && !str_empty(details) && !str_has_prefix(details, message);
	if (both)
		snprintf(out, size, "%s: %s", message, details);
	else
		snprintf(out, size, "%s",
			 !str_empty(details)   ? details
			 : !str_empty(message) ? message
					       : "the agent gave no reason");
}

static const struct json *newest(const struct json *answer, const char *name)
{
	const struct json *commands = json_get(answer, "commands"), *found = NULL;
	if (!commands && json_get(answer, "command_status"))
		found = answer;
	json_for_each(c, commands) {
		if (streq(json_get_string(c, "command_name"), name))
			found = c;
	}
	return found;
}

const struct json *agent_command_result(const struct json *answer, const char *name)
{
	const struct json *result = json_get(newest(answer, name), "command_result");
	return json_is_null(result) ? NULL : result;
}

bool agent_command_of_other(const struct json *answer, const char *name, const char *interface,
			    const char *step)
{
	static const char *const members[] = { "clean_step", "deploy_step", "service_step" };
	const struct json *result = agent_command_result(answer, name);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *was = json_get(result, members[i]);
		const char *was_step = json_get_string(was, "step");
		const char *was_interface = str_or(json_get_string(was, "interface"), "deploy");
		if (was_step && (!streq(was_step, step) || !streq(was_interface, interface)))
			return true;
	}
	return false;
}

enum agent_command_status agent_command_find(const struct json *answer, const char *name,
					     const char **ret_id, char *ret_error,
					     size_t error_size)
{
	const struct json *found = newest(answer, name);
	if (!found)
		return AGENT_COMMAND_ABSENT;
	enum agent_command_status status = status_of(found);
	if (ret_id)
		*ret_id = json_get_string(found, "id");
	if (status == AGENT_COMMAND_FAILED && ret_error)
		error_of(found, ret_error, error_size);
	return status;
}

bool agent_command_answer(const struct json *answer)
{
	return json_is_array(json_get(answer, "commands")) ||
	       json_get_string(answer, "command_status") != NULL;
}

struct json *agent_fault(int status, const char *text)
{
	struct json *inner = json_new_object();
	json_set_string(inner, "faultcode", status < 500 ? "Client" : "Server");
	json_set_string(inner, "faultstring", text);
	json_set(inner, "debuginfo", json_new_null());
	/* Agents look for a JSON text or an object inside error_message. */
	struct json *outer = json_new_object();
	json_set(outer, "error_message", inner);
	return outer;
}
