/* Operations are rows of steps; the runner takes a node through them.
 *
 * A step is written down in the record before it does anything, so that whoever comes after a crash
 * knows what may have been done. Its function looks first and acts second, and is called again
 * whenever something has changed (an answer of the BMC or the agent, a heartbeat, a stored record,
 * a timer), until it says that it is done. So a step that is resumed by another process needs
 * nothing but the record and the world. */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

static const struct step *const verify_steps[] = { &step_verify, NULL };
static const struct step *const inspect_steps[] = { &step_power_off, &step_boot_network,
						    &step_power_on, &step_wait_inventory, NULL };
static const struct step *const deploy_steps[] = {
	&step_find_agent,   &step_ram_power_off, &step_ram_boot_network,
	&step_ram_power_on, &step_wait_agent,	 &step_clean,
	&step_write,	    &step_boot_entry,	 &step_boot_disk,
	&step_agent_off,    &step_start_disk,	 NULL
};
static const struct step *const undeploy_steps[] = { &step_power_off,
						     &step_clean_boot_network,
						     &step_clean_power_on,
						     &step_clean_wait_agent,
						     &step_clean,
						     &step_final_off,
						     NULL };
static const struct step *const on_steps[] = { &step_user_power_on, NULL };
static const struct step *const off_steps[] = { &step_user_power_off, NULL };

#define STAY	      _NODE_STATE_MAX
#define PATIENT	      0
#define HICCUP	      (20 * USEC_PER_SEC)
#define COMMAND_RETRY (60 * USEC_PER_SEC) /* Ironic's command_retry_timeout */

static const struct op_info ops[_OP_MAX] = {
	[OP_NONE] = { "none", "idle", STAY, STAY, STAY, false, PATIENT, NULL },
	[OP_VERIFY] = { "verify", "registering", STAY, STAY, STAY, false, HICCUP, verify_steps },
	[OP_INSPECT] = { "inspect", "inspecting", NODE_INSPECTING, NODE_MANAGEABLE,
			 NODE_INSPECT_FAILED, true, PATIENT, inspect_steps },
	[OP_DEPLOY] = { "deploy", "deploying", NODE_DEPLOYING, NODE_ACTIVE, NODE_DEPLOY_FAILED,
			true, PATIENT, deploy_steps },
	[OP_UNDEPLOY] = { "undeploy", "deprovisioning", NODE_DELETING, NODE_AVAILABLE, NODE_ERROR,
			  true, PATIENT, undeploy_steps },
	[OP_POWER_ON] = { "power on", "powering on", STAY, STAY, STAY, false, COMMAND_RETRY,
			  on_steps },
	[OP_POWER_OFF] = { "power off", "powering off", STAY, STAY, STAY, false, COMMAND_RETRY,
			   off_steps },
};

const struct op_info *op_info(enum op_kind kind)
{
	return &ops[kind];
}

const struct step *op_step(const struct node *n)
{
	return n->op.kind == OP_NONE ? NULL : ops[n->op.kind].steps[n->op.index];
}

static bool recorded(const struct node *n)
{
	return ops[n->op.kind].during != STAY;
}

static void drop_asks(struct node *n)
{
	n->bmc_ask = (struct node_ask){ 0 };
	node_forget_agent(n);
}

static void begin(struct node *n, enum op_kind kind)
{
	if (ops[kind].counts)
		n->engine->busy++;
	drop_asks(n);
	n->op = (struct node_op){ .kind = kind, .attempt = 1 };
	n->progress = (struct prov_progress){ 0 };
	n->agent_rebooted = false;
}

static void end(struct node *n)
{
	if (ops[n->op.kind].counts)
		n->engine->busy--;
	drop_asks(n);
	n->op = (struct node_op){ 0 };
	n->progress = (struct prov_progress){ 0 };
	timer_stop(&n->wake);
	node_schedule_poll(n);
}

void op_start(struct node *n, enum op_kind kind)
{
	op_abort(n);
	begin(n, kind);
	if (recorded(n)) {
		node_set_state(n, ops[kind].during);
		str_replace(&n->record.node.last_error, NULL);
	}
	op_advance(n);
}

void op_resume(struct node *n, enum op_kind kind)
{
	begin(n, kind);
	const struct step *const *steps = ops[kind].steps;
	bool known = streq(n->record.step.operation, ops[kind].name);
	for (size_t i = 0; known && steps[i]; i++) {
		if (!streq(steps[i]->name, n->record.step.name))
			continue;
		n->op.index = i;
		n->op.entered = true;
		n->op.attempt = n->record.step.attempt;
		log_info("operation resumed", "host", n->key, "operation", ops[kind].name, "step",
			 steps[i]->name);
		break;
	}
	op_advance(n);
}

void op_abort(struct node *n)
{
	if (n->op.kind == OP_NONE)
		return;
	log_info("operation abandoned", "host", n->key, "operation", ops[n->op.kind].name);
	end(n);
}

static void finish(struct node *n)
{
	const struct op_info *info = &ops[n->op.kind];
	if (info->after != STAY) {
		node_set_state(n, info->after);
		str_replace(&n->record.step.operation, NULL);
		str_replace(&n->record.step.name, NULL);
		node_save(n);
	}
	end(n);
	node_kick(n);
}

void op_fail(struct node *n, const struct err *err)
{
	const struct op_info *info = &ops[n->op.kind];
	log_warn("operation failed", "host", n->key, "operation", info->name, "step",
		 op_step(n)->name, "error", err->text);
	switch (n->op.kind) {
	case OP_VERIFY:
		n->verify_error = *err;
		break;
	case OP_POWER_ON:
	case OP_POWER_OFF:
		n->power_error = *err;
		break;
	case OP_INSPECT:
	case OP_DEPLOY:
	case OP_UNDEPLOY:
		node_set_state(n, info->failed);
		str_replace(&n->record.node.last_error, err->text);
		node_save(n);
		break;
	case OP_NONE:
	case _OP_MAX:
		break;
	}
	end(n);
	node_kick(n);
}

/* --- steps --------------------------------------------------------------------------------------
 */

static usec_t step_timeout(const struct node *n, const struct step *s)
{
	return *(const usec_t *)((const char *)&n->engine->options.timeouts + s->timeout_offset);
}

enum step_result step_rest(struct node *n, usec_t delay)
{
	n->op.not_before = node_now(n) + delay;
	return STEP_WAIT;
}

void step_good(struct node *n)
{
	/* A BMC that tells its power state but refuses each command has not become better. */
	if (n->op.refused && !n->op.commanded)
		return;
	n->op.refused = false;
	n->op.failures = 0;
	n->op.good_at = node_now(n);
}

enum step_result step_trouble(struct node *n, const struct err *trouble, struct err *err)
{
	n->op.last = *trouble;
	usec_t delay = 2 * USEC_PER_SEC << MIN(n->op.failures, 5u);
	usec_t patience = ops[n->op.kind].patience;
	bool told = patience && node_now(n) + delay >= n->op.good_at + patience;
	if (told || !err_kind_info(trouble->kind)->retry) {
		err_copy(err, trouble);
		return STEP_FAILED;
	}
	n->op.failures++;
	return step_rest(n, delay);
}

static void to_step(struct node *n, size_t index)
{
	n->op.index = index;
	n->op.entered = false;
}

static void clear_step(struct node *n, const struct step *s)
{
	struct node_op *op = &n->op;
	op->entered = true;
	op->commanded = op->refused = false;
	op->commanded_at = 0;
	op->failures = op->polls = 0;
	op->good_at = node_now(n);
	op->not_before = 0;
	op->last = (struct err){ 0 };
	op->deadline = node_now(n) + step_timeout(n, s);
	n->power_fresh = false;
	drop_asks(n);
}

/* Writes down what is about to be done. The step runs when that is stored. */
static void enter(struct node *n, const struct step *s)
{
	clear_step(n, s);
	if (!recorded(n))
		return;
	if (s->enter)
		s->enter(n);
	str_replace(&n->record.step.operation, ops[n->op.kind].name);
	str_replace(&n->record.step.name, s->name);
	n->record.step.started_at = node_wall(n);
	n->record.step.attempt = n->op.attempt;
	log_info("step", "host", n->key, "operation", ops[n->op.kind].name, "step", s->name);
	node_save(n);
}

static bool go_back(struct node *n, const struct step *s)
{
	if (!s->retry_from || n->op.attempt >= n->engine->options.boot_attempts)
		return false;
	const struct step *const *steps = ops[n->op.kind].steps;
	for (size_t i = 0; steps[i]; i++) {
		if (!streq(steps[i]->name, s->retry_from))
			continue;
		n->op.attempt++;
		n->op.agent_found = false;
		log_warn("step took too long; going back", "host", n->key, "step", s->name, "to",
			 s->retry_from);
		to_step(n, i);
		return true;
	}
	return false;
}

/* True when the step was left for an earlier one. */
static bool expire(struct node *n, const struct step *s)
{
	if (go_back(n, s))
		return true;
	struct err err;
	char minutes[CLOCK_TEXT_MAX];
	usec_t limit = step_timeout(n, s);
	clock_format_age(limit, minutes);
	err_set(&err, ERR_TIMEOUT, "host %s: gave up after %s of waiting for %s%s%s", n->key,
		minutes, s->waits_for,
		n->op.last.kind != ERR_NONE ? "; the last trouble was: " : "",
		n->op.last.kind != ERR_NONE ? n->op.last.text : "");
	op_fail(n, &err);
	return false;
}

/* True when the runner shall go on with the (next) step at once. */
static bool run_step(struct node *n, const struct step *s)
{
	struct err err = { 0 };
	usec_t now = node_now(n);
	if (now < n->op.not_before && now < n->op.deadline) {
		timer_set_at(&n->wake, MIN(n->op.not_before, n->op.deadline));
		return false;
	}
	switch (s->run(n, &err)) {
	case STEP_DONE:
		to_step(n, n->op.index + 1);
		return true;
	case STEP_FAILED:
		op_fail(n, &err);
		return false;
	case STEP_WAIT:
		break;
	}
	if (now >= n->op.deadline)
		return expire(n, s);
	timer_set_at(&n->wake, n->op.not_before > now ? MIN(n->op.not_before, n->op.deadline)
						      : n->op.deadline);
	return false;
}

/* The deadline is that of the process that began the step, or a host could wait for ever under one
 * that is restarted often. */
static void resume_step(struct node *n, const struct step *s)
{
	usec_t began = n->record.step.started_at, wall = node_wall(n), limit = step_timeout(n, s);
	usec_t spent = wall > began ? MIN(wall - began, limit) : 0;
	clear_step(n, s);
	n->op.deadline -= spent;
}

static bool may_act(const struct node *n)
{
	const struct engine_env *env = &n->engine->options.env;
	return !env->may_act || env->may_act(env->data);
}

void op_advance(struct node *n)
{
	while (n->op.kind != OP_NONE && !n->saving && !n->lost && may_act(n)) {
		const struct step *s = op_step(n);
		if (!s) {
			finish(n);
			return;
		}
		if (!n->op.entered && s->skip && s->skip(n)) {
			to_step(n, n->op.index + 1);
			continue;
		}
		if (!n->op.entered) {
			enter(n, s);
			continue;
		}
		if (n->op.deadline == 0)
			resume_step(n, s);
		if (!run_step(n, s))
			return;
	}
}
