#pragma once
/* Settings of the agent: the kernel command line, in the words of ironic-python-agent,
 * so that boot scripts made for it serve us too; or what a host's own boot medium says. any thread
 */

#include <stdbool.h>

#include "agentapi/bootconfig.h"
#include "base/err.h"
#include "base/macro.h"

enum { AGENT_URLS_MAX = 8 };

struct agent_urls {
	char *items[AGENT_URLS_MAX + 1]; /* NULL-ended; without slashes at their ends */
};

/* Zeroed and then agent_config_init(). Strings are owned; NULL: not given. */
struct agent_config {
	struct agent_urls api, callbacks;
	char *collectors;
	char *token, *request_id, *api_version;
	char *listen_host, *advertise_host, *network_interface;
	char *bootif;
	char *publisher; /* ir_pub_id */
	char *boot_method;
	char *ntp_server;
	char *node_uuid; /* from the medium; NULL: this boot had none */
	/* Times in seconds. */
	uint64_t listen_port, advertise_port;
	uint64_t lookup_timeout, lookup_interval, http_timeout;
	uint64_t dhcp_wait, lldp_timeout, hardware_delay;
	uint64_t disk_attempts, disk_delay;
	uint64_t image_timeout, image_retries, image_interval, image_duration;
	bool dhcp_all, insecure, debug, standalone, lldp, guard_special;
};

void agent_config_init(struct agent_config *c);
void agent_config_done(struct agent_config *c);
/* Sets what the line gives; words without "=" and unknown keys are passed over. A value that makes
 * no sense leaves its default; the first such is reported, the rest of the line still counts. */
int agent_config_parse(struct agent_config *c, const char *line, struct err *err);
/* What the medium gives beats the line; the rest of the line counts. */
void agent_config_take(struct agent_config *c, const struct bootconfig *medium);
bool agent_config_has_collector(const struct agent_config *c, const char *name);
