/* The node state machine, as a table with one setter. Names are Ironic's, so that people and tools
 * know them. The engine's states are its own business: what users see is status.provisioning.state
 * of the host. */

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

#define TO(s) (1u << (NODE_##s))

/* All of Ironic's transitions. OURS are the short cuts beside them: controllers verify and adopt
 * hosts without a node state, cleaning is part of a deletion or a deployment, and a tenant can go
 * at any time. */
#define OURS(next) (next)
#define USED	   true
#define LATER	   false /* nothing enters it yet, so no record of ours names it */

static const struct node_state_info states[_NODE_STATE_MAX] = {
	[NODE_ENROLL] = { "enroll", OP_NONE, USED,
			  TO(VERIFYING) | OURS(TO(MANAGEABLE) | TO(INSPECTING) | TO(ACTIVE) |
					       TO(DEPLOYING) | TO(DELETING)) },
	[NODE_VERIFYING] = { "verifying", OP_NONE, LATER, TO(MANAGEABLE) | TO(ENROLL) },
	[NODE_MANAGEABLE] = { "manageable", OP_NONE, USED,
			      TO(CLEANING) | TO(INSPECTING) | TO(ADOPTING) |
				      OURS(TO(AVAILABLE) | TO(ACTIVE) | TO(DEPLOYING) |
					   TO(DELETING)) },
	[NODE_INSPECTING] = { "inspecting", OP_INSPECT, USED,
			      TO(INSPECT_WAIT) | TO(MANAGEABLE) | TO(INSPECT_FAILED) |
				      OURS(TO(INSPECTING) | TO(DELETING)) },
	[NODE_INSPECT_WAIT] = { "inspect wait", OP_NONE, LATER,
				TO(INSPECTING) | TO(MANAGEABLE) | TO(INSPECT_FAILED) },
	[NODE_INSPECT_FAILED] = { "inspect failed", OP_NONE, USED,
				  TO(INSPECTING) | TO(MANAGEABLE) |
					  OURS(TO(DEPLOYING) | TO(DELETING)) },
	[NODE_ADOPTING] = { "adopting", OP_NONE, LATER, TO(ACTIVE) | TO(ADOPT_FAILED) },
	[NODE_ADOPT_FAILED] = { "adopt failed", OP_NONE, LATER, TO(ADOPTING) | TO(MANAGEABLE) },
	[NODE_CLEANING] = { "cleaning", OP_NONE, LATER,
			    TO(CLEAN_WAIT) | TO(CLEAN_HOLD) | TO(AVAILABLE) | TO(MANAGEABLE) |
				    TO(CLEAN_FAILED) },
	[NODE_CLEAN_WAIT] = { "clean wait", OP_NONE, LATER,
			      TO(CLEANING) | TO(CLEAN_HOLD) | TO(CLEAN_FAILED) },
	[NODE_CLEAN_HOLD] = { "clean hold", OP_NONE, LATER, TO(CLEAN_WAIT) | TO(CLEAN_FAILED) },
	[NODE_CLEAN_FAILED] = { "clean failed", OP_NONE, LATER, TO(MANAGEABLE) },
	[NODE_AVAILABLE] = { "available", OP_NONE, USED,
			     TO(DEPLOYING) | TO(MANAGEABLE) |
				     OURS(TO(INSPECTING) | TO(ACTIVE) | TO(DELETING)) },
	[NODE_DEPLOYING] = { "deploying", OP_DEPLOY, USED,
			     TO(DEPLOY_WAIT) | TO(DEPLOY_HOLD) | TO(ACTIVE) | TO(DEPLOY_FAILED) |
				     OURS(TO(DELETING) | TO(DEPLOYING)) },
	[NODE_DEPLOY_WAIT] = { "wait call-back", OP_NONE, LATER,
			       TO(DEPLOYING) | TO(DEPLOY_HOLD) | TO(DEPLOY_FAILED) | TO(DELETING) },
	[NODE_DEPLOY_HOLD] = { "deploy hold", OP_NONE, LATER, TO(DEPLOY_WAIT) | TO(DEPLOY_FAILED) },
	[NODE_DEPLOY_FAILED] = { "deploy failed", OP_NONE, USED, TO(DEPLOYING) | TO(DELETING) },
	[NODE_ACTIVE] = { "active", OP_NONE, USED,
			  TO(DEPLOYING) | TO(DELETING) | TO(RESCUING) | TO(SERVICING) |
				  OURS(TO(ACTIVE)) },
	[NODE_DELETING] = { "deleting", OP_UNDEPLOY, USED,
			    TO(CLEANING) | TO(ERROR) | OURS(TO(AVAILABLE) | TO(DELETING)) },
	[NODE_ERROR] = { "error", OP_NONE, USED, TO(DEPLOYING) | TO(DELETING) },
	[NODE_RESCUING] = { "rescuing", OP_NONE, LATER,
			    TO(RESCUE_WAIT) | TO(RESCUE) | TO(RESCUE_FAILED) },
	[NODE_RESCUE_WAIT] = { "rescue wait", OP_NONE, LATER,
			       TO(RESCUING) | TO(RESCUE_FAILED) | TO(DELETING) },
	[NODE_RESCUE] = { "rescue", OP_NONE, LATER, TO(RESCUING) | TO(UNRESCUING) | TO(DELETING) },
	[NODE_RESCUE_FAILED] = { "rescue failed", OP_NONE, LATER,
				 TO(RESCUING) | TO(UNRESCUING) | TO(DELETING) },
	[NODE_UNRESCUING] = { "unrescuing", OP_NONE, LATER, TO(ACTIVE) | TO(UNRESCUE_FAILED) },
	[NODE_UNRESCUE_FAILED] = { "unrescue failed", OP_NONE, LATER,
				   TO(RESCUING) | TO(UNRESCUING) | TO(DELETING) },
	[NODE_SERVICING] = { "servicing", OP_NONE, LATER,
			     TO(SERVICE_WAIT) | TO(SERVICE_HOLD) | TO(ACTIVE) |
				     TO(SERVICE_FAILED) },
	[NODE_SERVICE_WAIT] = { "service wait", OP_NONE, LATER,
				TO(SERVICING) | TO(SERVICE_HOLD) | TO(SERVICE_FAILED) |
					TO(DELETING) },
	[NODE_SERVICE_HOLD] = { "service hold", OP_NONE, LATER,
				TO(SERVICING) | TO(SERVICE_WAIT) | TO(SERVICE_FAILED) },
	[NODE_SERVICE_FAILED] = { "service failed", OP_NONE, LATER,
				  TO(SERVICING) | TO(RESCUING) | TO(SERVICE_WAIT) |
					  TO(SERVICE_HOLD) | TO(ACTIVE) | TO(DELETING) },
};

const struct fsm node_fsm = FSM_INIT("node", states);

const struct node_state_info *node_state_info(enum node_state s)
{
	return &states[s];
}

int node_state_parse(const char *name, enum node_state *ret)
{
	for (int s = 0; s < _NODE_STATE_MAX; s++)
		if (states[s].used && streq(name, states[s].name)) {
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
	if (states[next].op == OP_NONE)
		plan_done(&n->record.plan); /* what was under way is over */
	n->record.node.since = node_wall(n);
}
