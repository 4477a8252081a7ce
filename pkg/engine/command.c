/* Asking the agent, and what it is told: its token, the node, root device hints. One question per
 * node at a time; the step that asked sees the answer in n->agent_ask and n->agent_answer when it
 * runs again. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "engine/internal.h"

const char *node_agent_uid(const struct node *n)
{
	return str_or(n->record.boot.host_uid, n->uid);
}

struct token_key node_token_key(const struct node *n)
{
	return (struct token_key){ n->engine->options.secret, n->engine->options.secret_len };
}

void node_token(const struct node *n, char out[TOKEN_TEXT_MAX])
{
	struct token_key key = node_token_key(n);
	out[0] = '\0';
	if (n->record.boot.nonce)
		token_make(&key, node_agent_uid(n), n->record.boot.number, n->record.boot.nonce,
			   out);
}

void node_forget_agent(struct node *n)
{
	if (n->agent_call)
		n->engine->options.link->ops->cancel(TAKE_PTR(n->agent_call));
	n->agent_answer = json_free(n->agent_answer);
	node_ask_begin(&n->agent_ask, ASK_IDLE, 0);
}

static void on_answer(void *data, const struct err *err, const struct json *answer)
{
	struct node *n = data;
	n->agent_call = NULL;
	n->agent_answer = json_free(n->agent_answer);
	n->agent_ask.state = err ? ASK_FAILED : ASK_ANSWERED;
	err_keep(&n->agent_ask.err, err);
	if (!err)
		n->agent_answer = json_dup(answer);
	/* A refusal, which has an HTTP status for its code, is a sign of life as well; "I cannot
	 * answer" is none: something may stand in front of an agent that is gone. */
	if (!err || (err->code >= 400 && err->code < 500))
		n->agent_seen = node_now(n);
	op_advance(n);
}

void node_ask_agent(struct node *n, const char *method, const char *path, struct json *body,
		    usec_t timeout)
{
	_cleanup_(json_freep) struct json *owned = body;
	char token[TOKEN_TEXT_MAX];
	node_forget_agent(n);
	node_token(n, token);
	struct agent_endpoint endpoint = { n->record.agent.url, n->record.agent.certificate, token,
					   n->key };
	struct agent_link *link = n->engine->options.link;
	node_ask_begin(&n->agent_ask, ASK_RUNNING, 0);
	/* The call is cancelled before the node goes, so it may carry the pointer. */
	n->agent_call = link->ops->request(link, &endpoint, method, path, owned, timeout, on_answer,
					   n);
	secret_zero(token, sizeof(token));
}

struct json *node_for_agent(const struct node *n)
{
	struct json *node = json_new_object();
	json_set_string(node, "uuid", node_agent_uid(n));
	json_set_string(node, "name", n->key);
	struct json *properties = json_make_object(node, "properties");
	if (n->root_hints)
		json_set(properties, "root_device", json_dup(n->root_hints));
	/* The stock agent takes no notice and looks for the name alone, as it does elsewhere. */
	if (n->root_hints && n->root_hints_default)
		json_set_bool(properties, "ingot_root_device_default", true);
	json_make_object(node, "instance_info");
	json_make_object(node, "driver_internal_info");
	json_make_object(node, "driver_info");
	json_make_object(node, "extra");
	json_set_string(node, "provision_state", node_state_info(n->state)->name);
	json_set(node, "traits", json_new_array());
	return node;
}
