#pragma once
/* Messages of the deploy-agent protocol, as ironic-python-agent and Ironic speak it: what agents
 * send is checked and taken apart here, what they are sent is built here. Pure; any thread. */

#include <stdbool.h>

#include "base/err.h"
#include "json/json.h"

enum {
	AGENT_HEARTBEAT_TIMEOUT_S = 300, /* told to agents: they beat after 0.3 to 0.6 of it */
	AGENT_PORT = 9999,
	AGENT_BODY_MAX = 16 << 20,    /* of an inspection */
	AGENT_MESSAGE_MAX = 64 << 10, /* of all others */
	AGENT_MACS_MAX = 64,	      /* looked at in one lookup */
	AGENT_NICS_MAX = 256,	      /* of an inventory */
	AGENT_KEPT_MAX = 1 << 20,     /* of an inspection, as text: what is kept of it */
	AGENT_URL_MAX = 128,	      /* of a heartbeat: */
	AGENT_VERSION_MAX = 64,
	AGENT_CERTIFICATE_MAX = 16 << 10,
	AGENT_PROBLEMS_TEXT_MAX = 400, /* of agent_network_problems() */
};

/* --- version discovery ------------------------------------------------------------------------ */

/* Answer to `GET /`: agents take default_version.version as what the server speaks. */
struct json *agent_root_answer(const char *base_url);
/* Answer to `GET /v1`. */
struct json *agent_v1_answer(const char *base_url);

/* --- lookup --- */

struct agent_lookup_answer {
	const char *node_uuid;
	const char *token;		/* NULL: "******", it was given out before */
	const struct json *root_device; /* hints in the agent's grammar; NULL: none */
	bool skip_bmc_detect;
};

struct json *agent_lookup_answer(const struct agent_lookup_answer *a);

/* --- heartbeat --- */

/* Strings borrowed from the parsed body. */
struct agent_heartbeat {
	const char *callback_url; /* may be "" */
	const char *token;
	const char *version;	 /* NULL when absent */
	const char *certificate; /* PEM; NULL when absent */
};

/* ERR_INVALID says which rule of the protocol the body breaks. */
int agent_heartbeat_parse(const struct json *body, struct agent_heartbeat *ret, struct err *err);
/* Scheme https (or http when allowed), numeric host, port; ret_host is "192.0.2.1" or "fd00::1". */
int agent_callback_parse(const char *url, bool allow_http, char ret_host[64], struct err *err);

/* --- inspection --- */

/* The rules of the protocol: inventory.interfaces has one element at least, each with a MAC; and
 * AGENT_NICS_MAX at most. */
int agent_inspection_check(const struct json *body, struct err *err);
/* Moves what a host is described by (inventory, boot_interface) out of the body; the rest, logs of
 * the ramdisk above all, is of no use afterwards. -EINVAL: over AGENT_KEPT_MAX. */
int agent_inspection_take(struct json *body, struct json **ret, struct err *err);
/* Calls fn for each interface's MAC, lower case. */
void agent_inspection_macs(const struct json *body, void (*fn)(void *data, const char *mac),
			   void *data);

/* --- network data --- */

/* What Ingot's own ramdisk could not apply of its host's network data: the list of that name in a
 * heartbeat or in inspection data. Only an agent that was started from a boot medium of Ingot's
 * sends it. */
#define AGENT_NETWORK_PROBLEMS "network_data_problems"

/* As one line of printable ASCII, cut to AGENT_PROBLEMS_TEXT_MAX; NULL: none. */
char *agent_network_problems(const struct json *body);

/* --- commands --- */

enum agent_command_status {
	AGENT_COMMAND_ABSENT,
	AGENT_COMMAND_RUNNING,
	AGENT_COMMAND_SUCCEEDED,
	AGENT_COMMAND_FAILED,
	AGENT_COMMAND_VERSION_MISMATCH,
};

/* {"name": …, "params": …}; takes params. */
struct json *agent_command(const char *name, struct json *params);
/* {step, node, ports} of execute_clean_step and execute_deploy_step. Takes args (may be NULL). */
struct json *agent_step_params(const char *interface, const char *step, int priority,
			       struct json *args, const struct json *node);
/* The newest command named `name` (without extension) in the answer to GET /v1/commands/, or one
 * answer to POST. ret_error gets the command's own words when it failed; ret_id is borrowed. */
enum agent_command_status agent_command_find(const struct json *answer, const char *name,
					     const char **ret_id, char *ret_error,
					     size_t error_size);
/* Does what the newest command of that name gave tell of another step than this one? */
bool agent_command_of_other(const struct json *answer, const char *name, const char *interface,
			    const char *step);
/* What the newest command of that name gave; borrowed, NULL when there is nothing. */
const struct json *agent_command_result(const struct json *answer, const char *name);
/* Has the answer the form of a list of commands or of one command? Any other says nothing. */
bool agent_command_answer(const struct json *answer);
/* Protocol errors as agents and Ironic put them: {"faultcode", "faultstring"} inside
 * "error_message". */
struct json *agent_fault(int status, const char *text);
