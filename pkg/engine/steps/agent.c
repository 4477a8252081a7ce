/* Steps that have the agent do something: one command each, found, started and looked at until it
 * has ended. */

#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/steps/steps.h"

/* An inspection has just ended: its ramdisk goes on to look itself up, and beats a moment later. */
static bool agent_is_coming(struct node *n)
{
	struct wait_step *s = n->op.state;
	if (n->record.agent.url || !n->record.boot.nonce || n->power.state == PROV_POWER_OFF)
		return false;
	if (s->since == 0)
		s->since = node_now(n);
	return node_now(n) < s->since + USEC_PER_MIN;
}

enum step_result step_find_agent(struct node *n, struct err *err)
{
	(void)err;
	switch (n->agent.ask.state) {
	case ASK_IDLE:
		if (agent_is_coming(n))
			return step_rest(n, 5 * USEC_PER_SEC);
		if (!n->record.agent.url || !n->record.boot.nonce)
			return STEP_DONE;
		node_ask_agent(n, "GET", "/v1/commands/", NULL, 10 * USEC_PER_SEC);
		return STEP_WAIT;
	case ASK_RUNNING:
		return STEP_WAIT;
	case ASK_ANSWERED:
		/* One that has written (or tried to) is not used again: its disk is no longer as
		 * cleaned. */
		n->op.agent_found = agent_command_answer(n->agent.answer) &&
				    agent_command_find(n->agent.answer, "execute_deploy_step", NULL,
						       NULL, 0) == AGENT_COMMAND_ABSENT;
		return STEP_DONE;
	case ASK_FAILED:
		break;
	}
	log_info("the agent of the last phase is gone; booting a new one", "host", n->key, "error",
		 n->agent.ask.err->text);
	return STEP_DONE;
}

/* Has there been no sign of life for too long? In this life of the process by the answers and
 * heartbeats themselves; else by the last heartbeat on record, so that a process that is restarted
 * often does not wait for ever. */
static bool too_silent(const struct node *n)
{
	usec_t limit = n->engine->options.timeouts.silence;
	const struct node_record *r = &n->record;
	if (n->agent.seen)
		return node_now(n) >= n->agent.seen + limit;
	usec_t beat = AGENT_HEARTBEAT_TIMEOUT_S * 6 / 10 * USEC_PER_SEC;
	return node_wall(n) >= MAX(r->agent.seen_at, r->step.started_at) + beat + limit;
}

/* Heartbeats say that the agent lives, not that its command does. Agents that do not answer may be
 * busy writing; those whose answer makes no sense, or that say that they cannot answer, will hardly
 * come to themselves. */
static usec_t word_limit(const struct node *n)
{
	enum { BUSY = 5 };
	const struct err *e = n->agent.ask.err;
	bool answered = e->code >= 500 || e->kind == ERR_PROTOCOL || e->kind == ERR_DENIED;
	return n->engine->options.timeouts.silence * (answered ? 1 : BUSY);
}

/* After a call that brought no word of the command. */
static enum step_result no_word(struct node *n, const char *what, struct err *err)
{
	const struct agent_step *s = n->op.state;
	usec_t limit = word_limit(n);
	char span[CLOCK_TEXT_MAX];
	if (too_silent(n)) {
		err_set(err, ERR_TIMEOUT,
			"host %s: the agent fell silent while %s (%s): the machine has crashed, was switched off or "
			"lost its network; look at its console",
			n->key, what, n->agent.ask.err->text);
		return STEP_FAILED;
	}
	if (node_now(n) >= s->looked_at + limit) {
		clock_format_age(limit, span);
		err_set(err, ERR_TIMEOUT,
			"host %s: no word from the agent on its command for %s while %s (%s): look at the agent's log on "
			"the machine's console",
			n->key, span, what, n->agent.ask.err->text);
		return STEP_FAILED;
	}
	err_keep(&n->op.last, n->agent.ask.err);
	return step_rest(n, 5 * USEC_PER_SEC);
}

/* As agents list it, without its extension. */
static const char *short_name(const struct plan_step *p)
{
	return strchr(p->command, '.') + 1;
}

/* Agents list commands without their parameters. The newest one that runs or has failed is this
 * step's, for the steps before it have succeeded; one that succeeded says whose it was. */
static enum agent_command_status state_of(const struct node *n, const struct plan_step *p,
					  char *text, size_t size)
{
	const char *command = short_name(p);
	enum agent_command_status status = agent_command_find(n->agent.answer, command, NULL, text,
							      size);
	bool earlier = status == AGENT_COMMAND_SUCCEEDED &&
		       agent_command_of_other(n->agent.answer, command, p->interface, p->step);
	return earlier ? AGENT_COMMAND_ABSENT : status;
}

static enum step_result take_command_state(struct node *n, const struct plan_step *p,
					   const char *what, struct err *err)
{
	struct agent_step *s = n->op.state;
	char text[400] = "";
	switch (state_of(n, p, text, sizeof(text))) {
	case AGENT_COMMAND_SUCCEEDED:
		return STEP_DONE;
	case AGENT_COMMAND_FAILED:
		err_set(err, ERR_IO, "%s", text);
		return STEP_FAILED;
	case AGENT_COMMAND_VERSION_MISMATCH:
		err_set(err, ERR_PROTOCOL, "host %s: the agent changed its version while %s",
			n->key, what);
		return STEP_FAILED;
	case AGENT_COMMAND_RUNNING:
		s->commanded = true;
		s->looked_at = node_now(n);
		break;
	case AGENT_COMMAND_ABSENT:
		if (!s->commanded)
			break;
		/* Agents forget nothing during a boot. */
		err_set(err, ERR_PROTOCOL,
			"host %s: the agent knows nothing of its command any more, so it was restarted while %s",
			n->key, what);
		return STEP_FAILED;
	}
	n->agent.ask.state = ASK_IDLE;
	return STEP_WAIT;
}

/* The last call failed, or its answer has no form that we know. */
static enum step_result take_failed_call(struct node *n, const char *what, struct err *err)
{
	int code = n->agent.ask.err->code;
	n->agent.ask.state = ASK_IDLE;
	if (code < 400 || code >= 500 || code == 409)
		return no_word(n, what, err);
	err_copy(err, n->agent.ask.err);
	err_wrap(err, "host %s: the agent refused a command while %s", n->key, what);
	return STEP_FAILED;
}

static void check_answer(struct node *n)
{
	struct err err;
	if (n->agent.ask.state != ASK_ANSWERED || agent_command_answer(n->agent.answer))
		return;
	err_set(&err, ERR_PROTOCOL, "the agent's answer is neither a command nor a list of them");
	err_keep(&n->agent.ask.err, &err);
	n->agent.ask.state = ASK_FAILED;
}

struct json *step_params(struct node *n, struct json *args)
{
	const struct plan_step *p = plan_now(&n->op.plan);
	_cleanup_(json_freep) struct json *node = node_for_agent(n);
	return agent_step_params(p->interface, p->step, (int)p->priority, args, node);
}

static struct json *params_of(struct node *n, const struct step *step, struct err *err)
{
	const struct plan_step *p = plan_now(&n->op.plan);
	if (step->params)
		return step->params(n, err);
	return step_params(n, p->args ? json_dup(p->args) : NULL);
}

static enum step_result command(struct node *n, const struct step *step, const char *what,
				struct err *err)
{
	struct agent_step *s = n->op.state;
	const struct plan_step *p = plan_now(&n->op.plan);
	if (n->agent.rebooted) {
		err_set(err, ERR_IO, "host %s: the machine restarted while %s", n->key, what);
		return STEP_FAILED;
	}
	if (!s->looked_at)
		s->looked_at = node_now(n);
	if (n->agent.ask.state == ASK_RUNNING)
		return STEP_WAIT;
	check_answer(n);
	if (n->agent.ask.state == ASK_FAILED)
		return take_failed_call(n, what, err);
	if (n->agent.ask.state == ASK_IDLE) {
		node_ask_agent(n, "GET", "/v1/commands/", NULL, AGENT_CALL_TIMEOUT);
		return STEP_WAIT;
	}
	enum step_result r = take_command_state(n, p, what, err);
	if (r != STEP_WAIT)
		return r;
	if (s->commanded)
		/* Its end comes by heartbeat too. */
		return step_rest(n, (s->soon ? 1 : LOOK_S) * USEC_PER_SEC);
	struct json *params = params_of(n, step, err);
	if (!params)
		return STEP_FAILED;
	node_ask_agent(n, "POST", "/v1/commands/?wait=false", agent_command(p->command, params),
		       AGENT_CALL_TIMEOUT);
	return STEP_WAIT;
}

enum step_result step_agent(struct node *n, struct err *err)
{
	const struct step *step = op_step(n);
	const struct plan_step *p = plan_now(&n->op.plan);
	_cleanup_(freep) char *what = step->doing ? xstrdup(step->doing)
						  : xasprintf("carrying out the step %s.%s",
							      p->interface, p->step);
	enum step_result r = command(n, step, what, err);
	if (r == STEP_DONE && step->done)
		step->done(n);
	if (r == STEP_FAILED && step->failed)
		err_wrap(err, "%s", step->failed);
	return r;
}

void step_cleaned(struct node *n)
{
	n->record.node.cleaned_at = node_wall(n);
}

/* --- the boot entry --------------------------------------------------------------------------- */

struct json *step_bootloader_params(struct node *n, struct err *err)
{
	(void)n, (void)err;
	struct json *params = json_new_object();
	/* A whole-disk image: the agent finds the EFI system partition itself. */
	json_set(params, "root_uuid", json_new_null());
	json_set(params, "efi_system_part_uuid", json_new_null());
	json_set(params, "prep_boot_part_uuid", json_new_null());
	json_set_string(params, "target_boot_mode", "uefi");
	return params;
}

/* --- the end of the agent --------------------------------------------------------------------- */

/* Asks the agent to switch off, which flushes the disks, and switches off hard if it does not do so
 * in time. */
enum step_result step_agent_off(struct node *n, struct err *err)
{
	struct bmc_step *s = n->op.state;
	enum step_result r = step_bmc_settle(n, err);
	if (r != STEP_DONE)
		return r;
	if (n->agent.ask.state == ASK_RUNNING)
		return STEP_WAIT;
	if (!n->power.fresh) {
		node_ask_power(n, true);
		return STEP_WAIT;
	}
	if (n->power.state == PROV_POWER_OFF)
		return STEP_DONE;
	if (!s->commanded) {
		s->commanded = true;
		s->commanded_at = node_now(n);
		node_ask_agent(n, "POST", "/v1/commands/?wait=false",
			       agent_command("standby.power_off", NULL), AGENT_CALL_TIMEOUT);
		return STEP_WAIT;
	}
	n->power.fresh = false;
	/* The agent may well be gone before it has answered, so a failed call is no reason to hurry
	 * much. */
	usec_t patience = n->agent.ask.state == ASK_FAILED ? 10 * USEC_PER_SEC
							   : n->engine->options.timeouts.power / 2;
	if (!step_power_overdue(n, patience))
		return step_rest(n, step_poll_delay(n));
	log_info("the agent did not switch the machine off; the BMC does", "host", n->key);
	n->agent.ask.state = ASK_IDLE;
	s->commanded_at = node_now(n);
	node_ask_action(n, BMC_ACTION_OFF);
	return STEP_WAIT;
}
