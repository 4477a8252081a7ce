/* Messages of agents, whatever they hold: heartbeats, inventories, answers to commands. What is
 * taken must keep the limits that what stores it relies on. */

#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void heartbeat(const struct json *j)
{
	struct agent_heartbeat h;
	char host[64];
	if (agent_heartbeat_parse(j, &h, NULL) < 0)
		return;
	require(h.callback_url && strlen(h.callback_url) <= AGENT_URL_MAX);
	require(!str_empty(h.token));
	require(!h.version || strlen(h.version) <= AGENT_VERSION_MAX);
	require(!h.certificate ||
		(*h.certificate && strlen(h.certificate) <= AGENT_CERTIFICATE_MAX));
	if (agent_callback_parse(h.callback_url, false, host, NULL) == 0)
		require(strlen(host) > 0 && !strpbrk(host, "/?#@[]"));
}

static void look_at_mac(void *data, const char *mac)
{
	size_t *count = data;
	require(strlen(mac) == 17 && strspn(mac, "0123456789abcdef:") == 17);
	++*count;
}

static void inspection(struct json *j)
{
	_cleanup_(json_freep) struct json *kept = NULL;
	size_t count = 0, listed = json_count(json_get(json_get(j, "inventory"), "interfaces"));
	bool good = agent_inspection_check(j, NULL) == 0;
	agent_inspection_macs(j, look_at_mac, &count);
	require(!good || (count == listed && count > 0 && count <= AGENT_NICS_MAX));
	if (!good || agent_inspection_take(j, &kept, NULL) < 0)
		return;
	_cleanup_(freep) char *text = json_to_string(kept);
	require(strlen(text) <= AGENT_KEPT_MAX && json_is_object(json_get(kept, "inventory")));
}

static void commands(const struct json *j)
{
	char error[64] = "";
	const char *id = NULL;
	agent_command_answer(j);
	enum agent_command_status status = agent_command_find(j, "a", &id, error, sizeof(error));
	require(memchr(error, '\0', sizeof(error)));
	require(status == AGENT_COMMAND_FAILED || !*error);
	if (status == AGENT_COMMAND_ABSENT)
		require(!agent_command_result(j, "a"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct json_limits limits = { .depth = 25, .values = 500000 };
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *text = xstrndup((const char *)data, size);
	if (json_parse_limited(text, strlen(text), &limits, &j, NULL) < 0)
		return 0;
	heartbeat(j);
	commands(j);
	inspection(j);
	return 0;
}
