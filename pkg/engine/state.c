/* The node state machine, as a table with one setter. Names are Ironic's, so that people and tools
 * know them. The engine's states are its own business: what users see is status.provisioning.state
 * of the host. */

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

#define TO(s) (1u << (NODE_##s))

static const struct node_state_info states[_NODE_STATE_MAX] = {
	[NODE_ENROLL] = { "enroll", OP_NONE,
			  TO(MANAGEABLE) | TO(INSPECTING) | TO(ACTIVE) | TO(DEPLOYING) |
				  TO(DELETING) },
	[NODE_MANAGEABLE] = { "manageable", OP_NONE,
			      TO(INSPECTING) | TO(AVAILABLE) | TO(ACTIVE) | TO(DEPLOYING) |
				      TO(DELETING) },
	[NODE_INSPECTING] = { "inspecting", OP_INSPECT,
			      TO(MANAGEABLE) | TO(INSPECT_FAILED) | TO(INSPECTING) | TO(DELETING) },
	[NODE_INSPECT_FAILED] = { "inspect failed", OP_NONE,
				  TO(INSPECTING) | TO(MANAGEABLE) | TO(DEPLOYING) | TO(DELETING) },
	[NODE_AVAILABLE] = { "available", OP_NONE,
			     TO(DEPLOYING) | TO(INSPECTING) | TO(ACTIVE) | TO(DELETING) |
				     TO(MANAGEABLE) },
	[NODE_DEPLOYING] = { "deploying", OP_DEPLOY,
			     TO(ACTIVE) | TO(DEPLOY_FAILED) | TO(DELETING) | TO(DEPLOYING) },
	[NODE_DEPLOY_FAILED] = { "deploy failed", OP_NONE, TO(DEPLOYING) | TO(DELETING) },
	[NODE_ACTIVE] = { "active", OP_NONE, TO(DELETING) | TO(DEPLOYING) | TO(ACTIVE) },
	[NODE_DELETING] = { "deleting", OP_UNDEPLOY, TO(AVAILABLE) | TO(ERROR) | TO(DELETING) },
	[NODE_ERROR] = { "error", OP_NONE, TO(DELETING) },
};

const struct fsm node_fsm = FSM_INIT("node", states);

const struct node_state_info *node_state_info(enum node_state s)
{
	return &states[s];
}

int node_state_parse(const char *name, enum node_state *ret)
{
	for (int s = 0; s < _NODE_STATE_MAX; s++)
		if (streq(name, states[s].name)) {
			*ret = (enum node_state)s;
			return 0;
		}
	return -EINVAL;
}

bool node_may_go(const struct node *n, enum node_state next)
{
	return n->state == next || fsm_may(&node_fsm, n->state, next);
}

void node_set_state(struct node *n, enum node_state next)
{
	if (n->state == next)
		return;
	fsm_check(&node_fsm, n->state, next, n->key);
	/* Ironic's words, which are the record's; the controller logs those that kubectl shows. */
	log_debug("node state", "host", n->key, "from", states[n->state].name, "to",
		  states[next].name);
	n->state = next;
	str_replace(&n->record.node.state, states[next].name);
	n->record.node.since = node_wall(n);
}
