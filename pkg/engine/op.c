/* Operations are plans of steps; the runner takes a node through them.
 *
 * A step is written down in the record before it does anything, so that whoever comes after a crash
 * knows what may have been done. Its function looks first and acts second, and is called again
 * whenever something has changed (an answer of the BMC or the agent, a heartbeat, a stored record,
 * a timer), until it says that it is done. So a step that is resumed by another process needs
 * nothing but the record and the world. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "engine/internal.h"
#include "metrics/metrics.h"

/* --- operations --- */

#define STAY	      _NODE_STATE_MAX
#define PATIENT	      0
#define HICCUP	      (20 * USEC_PER_SEC)
#define COMMAND_RETRY (60 * USEC_PER_SEC) /* Ironic's command_retry_timeout */
#define FAULT_TOLD    (60 * USEC_PER_SEC)

static const struct op_info ops[_OP_MAX] = {
	[OP_NONE] = { "none", STAY, STAY, STAY, false, PATIENT },
	[OP_VERIFY] = { "verify", STAY, STAY, STAY, false, HICCUP },
	[OP_INSPECT] = { "inspect", NODE_INSPECTING, NODE_MANAGEABLE, NODE_INSPECT_FAILED, true,
			 PATIENT },
	[OP_DEPLOY] = { "deploy", NODE_DEPLOYING, NODE_ACTIVE, NODE_DEPLOY_FAILED, true, PATIENT },
	[OP_UNDEPLOY] = { "undeploy", NODE_DELETING, NODE_AVAILABLE, NODE_ERROR, true, PATIENT },
	[OP_POWER_ON] = { "power on", STAY, STAY, STAY, false, COMMAND_RETRY },
	[OP_POWER_OFF] = { "power off", STAY, STAY, STAY, false, COMMAND_RETRY },
	[OP_SOFT_OFF] = { "soft power off", STAY, STAY, STAY, false, COMMAND_RETRY },
};

const struct op_info *op_info(enum op_kind kind)
{
	return &ops[kind];
}

const struct step *op_step(const struct node *n)
{
	const struct plan_step *p = plan_now(&n->op.plan);
	return p ? step_find(p) : NULL;
}

/* Of the running step, for people. */
static const char *name_of(const struct node *n)
{
	return step_name(plan_now(&n->op.plan));
}

static void to_step(struct node *n, int64_t place)
{
	n->op.plan.place = place;
	n->op.entered = false;
}

static bool recorded(const struct node *n)
{
	return ops[n->op.kind].during != STAY;
}

static void drop_asks(struct node *n)
{
	node_ask_begin(&n->power.ask, ASK_IDLE, 0);
	node_forget_agent(n);
}

static void new_state(struct node *n)
{
	const struct step *s = op_step(n);
	free(n->op.state);
	n->op.state = s->state_size ? xcalloc(1, s->state_size) : NULL;
}

void op_note(struct node *n, enum step_note note)
{
	const struct step *s = op_step(n);
	if (s && n->op.entered && s->note)
		s->note(n, note);
}

static void forget(struct node *n)
{
	err_keep(&n->op.last, NULL);
	free(n->op.state);
	plan_done(&n->op.plan);
	n->op = (struct node_op){ 0 };
}

static void begin(struct node *n, enum op_kind kind)
{
	if (ops[kind].counts)
		n->engine->busy++;
	drop_asks(n);
	forget(n);
	n->op.kind = kind;
	n->op.attempt = 1;
	n->progress = (struct node_progress){ 0 };
	n->agent.rebooted = false;
}

static void end(struct node *n)
{
	if (ops[n->op.kind].counts)
		n->engine->busy--;
	drop_asks(n);
	forget(n);
	n->progress = (struct node_progress){ 0 };
	timer_stop(&n->wake);
	node_schedule_poll(n);
}

/* --- what people see: history and metrics --- */

/* A series that is born with 1 has never risen, and no alert on its increase fires. */
void op_preset_metrics(void)
{
	static const char *const op_outcomes[] = { "done", "failed", "abandoned" };
	static const char *const step_outcomes[] = { "done", "failed", "repeated", "abandoned" };
	for (size_t k = OP_NONE + 1; k < _OP_MAX; k++) {
		for (size_t i = 0; i < ARRAY_SIZE(op_outcomes); i++)
			metric_add(METRIC_OPERATIONS, 0, ops[k].name, op_outcomes[i]);
		const struct plan_row *row = plan_rows((enum op_kind)k);
		for (; row->step != STEP_END; row++)
			for (size_t i = 0; i < ARRAY_SIZE(step_outcomes); i++)
				metric_add(METRIC_STEPS, 0, ops[k].name, steps[row->step].name,
					   step_outcomes[i]);
	}
}

static void step_ended(struct node *n, const char *outcome, const char *text)
{
	const struct step *s = op_step(n);
	if (!s || !n->op.entered)
		return;
	history_step_ended(&n->history, node_wall(n), outcome, text);
	metric_add(METRIC_STEPS, 1, ops[n->op.kind].name, s->name, outcome);
}

static void op_ended(struct node *n, const char *outcome, const char *text)
{
	step_ended(n, outcome, text);
	metric_add(METRIC_OPERATIONS, 1, ops[n->op.kind].name, outcome);
}

void op_start(struct node *n, enum op_kind kind)
{
	struct plan_choice how;
	struct err err = { 0 };
	op_abort(n);
	begin(n, kind);
	/* What boots nothing needs no way to do it. */
	int r = node_plan_choice(n, &how, &err);
	plan_build(kind, &how, &n->op.plan);
	if (recorded(n)) {
		node_set_state(n, ops[kind].during);
		plan_copy(&n->record.plan, &n->op.plan);
		/* None has begun. The last one of the operation before is not to be resumed. */
		str_replace(&n->record.step.operation, NULL);
		str_replace(&n->record.step.name, NULL);
		str_replace(&n->record.node.last_error, NULL);
		memset(&n->record.progress, 0, sizeof(n->record.progress));
	}
	if (r < 0 && ops[kind].counts)
		op_fail(n, &err);
	else
		op_advance(n);
}

/* The one that it would have now. */
static void build_again(struct node *n, enum op_kind kind)
{
	struct plan_choice how;
	node_plan_choice(n, &how, NULL);
	plan_build(kind, &how, &n->record.plan);
}

void op_resume(struct node *n, enum op_kind kind)
{
	begin(n, kind);
	if (n->record.plan.steps.count == 0)
		build_again(n, kind);
	plan_copy(&n->op.plan, &n->record.plan);
	bool known = streq(n->record.step.operation, ops[kind].name);
	const struct step *s = op_step(n);
	if (known && s && streq(n->record.step.name, name_of(n))) {
		n->op.entered = n->op.resumed = true;
		new_state(n);
		n->op.attempt = n->record.step.attempt;
		n->power.fresh = false;
		history_step(&n->history, node_wall(n), ops[kind].name, s->name);
		log_info("operation resumed", "host", n->key, "operation", ops[kind].name, "step",
			 n->record.step.name);
	} else {
		to_step(n, 0);
	}
	op_advance(n);
}

void op_resume_at(struct node *n, enum op_kind kind, enum step_id step)
{
	build_again(n, kind);
	plan_seek(&n->record.plan, steps[step].name);
	str_replace(&n->record.step.operation, ops[kind].name);
	str_replace(&n->record.step.name, steps[step].name);
	op_resume(n, kind);
}

void op_abort(struct node *n)
{
	if (n->op.kind == OP_NONE)
		return;
	if (n->engine->ending) {
		log_info("operation left to the next instance", "host", n->key, "operation",
			 ops[n->op.kind].name);
	} else {
		log_info("operation abandoned", "host", n->key, "operation", ops[n->op.kind].name);
		op_ended(n, "abandoned", NULL);
	}
	end(n);
}

/* The record says no more that a step runs; which it was stays, unless all is done. */
static void record_rest(struct node *n)
{
	n->record.step.deadline = 0;
	str_replace(&n->record.step.waits_for, NULL);
	str_replace(&n->record.step.trouble, NULL);
}

/* When the BMC says that it is so, not when it was asked to. */
static void tell_power(struct node *n)
{
	bool on = n->op.kind == OP_POWER_ON;
	if (on || n->op.kind == OP_POWER_OFF || n->op.kind == OP_SOFT_OFF)
		node_event(n, false, on ? "PowerOn" : "PowerOff", "Host is %spowered %s",
			   n->op.kind == OP_SOFT_OFF ? "softly " : "", on ? "on" : "off");
}

static void finish(struct node *n)
{
	const struct op_info *info = &ops[n->op.kind];
	op_ended(n, "done", NULL);
	tell_power(n);
	if (info->after != STAY) {
		node_set_state(n, info->after);
		str_replace(&n->record.step.operation, NULL);
		str_replace(&n->record.step.name, NULL);
		record_rest(n);
		node_save(n);
	}
	end(n);
	node_kick(n);
}

void op_fail(struct node *n, const struct err *err)
{
	const struct op_info *info = &ops[n->op.kind];
	const struct step *s = op_step(n);
	/* Peers quote the URLs that they were given. */
	_cleanup_(freep) char *shown = redact_urls(err->text);
	/* No step: all are done, and their record is being stored. */
	log_warn("operation failed", "host", n->key, "operation", info->name, "step",
		 s ? name_of(n) : "none", "error", shown);
	op_ended(n, "failed", shown);
	switch (n->op.kind) {
	case OP_VERIFY:
		err_keep(&n->power.verify_error, err);
		break;
	case OP_POWER_ON:
	case OP_POWER_OFF:
	case OP_SOFT_OFF:
		err_keep(&n->power.error, err);
		break;
	case OP_INSPECT:
	case OP_DEPLOY:
	case OP_UNDEPLOY:
		node_set_state(n, info->failed);
		str_replace(&n->record.node.last_error, shown);
		record_rest(n);
		node_save(n);
		break;
	case OP_NONE:
	case _OP_MAX:
		break;
	}
	end(n);
	node_kick(n);
}

/* --- steps --- */

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
	n->op.failures = 0;
	n->op.good_at = node_now(n);
	if (n->op.fault) {
		n->op.fault = false;
		node_kick(n);
	}
}

/* What waits for a BMC with patience says so before it gives up. */
static void note_fault(struct node *n)
{
	if (n->op.fault || node_now(n) < n->op.good_at + FAULT_TOLD)
		return;
	n->op.fault = true;
	node_kick(n);
}

/* A host that is to go is not worth the patience: its deletion gives up after some errors. */
static usec_t patience_of(const struct node *n)
{
	usec_t patience = ops[n->op.kind].patience;
	return n->spec.leaving && patience == PATIENT ? COMMAND_RETRY : patience;
}

enum step_result step_trouble(struct node *n, const struct err *trouble, struct err *err)
{
	err_keep(&n->op.last, trouble);
	usec_t delay = 2 * USEC_PER_SEC << MIN(n->op.failures, 5u);
	usec_t patience = patience_of(n);
	bool told = patience && node_now(n) + delay >= n->op.good_at + patience;
	if (told || !err_kind_info(trouble->kind)->retry) {
		err_copy(err, trouble);
		return STEP_FAILED;
	}
	n->op.failures++;
	note_fault(n);
	return step_rest(n, delay);
}

static void clear_step(struct node *n)
{
	struct node_op *op = &n->op;
	new_state(n);
	op->entered = true;
	op->resumed = false;
	op->failures = 0;
	op->fault = false;
	op->good_at = node_now(n);
	op->not_before = 0;
	err_keep(&op->last, NULL);
	op->deadline = 0;
	n->power.fresh = false;
	drop_asks(n);
}

/* Writes down what is about to be done. The step runs when that is stored. */
static void enter(struct node *n, const struct step *s)
{
	clear_step(n);
	history_step(&n->history, node_wall(n), ops[n->op.kind].name, s->name);
	if (!recorded(n))
		return;
	if (s->enter)
		s->enter(n);
	str_replace(&n->record.step.operation, ops[n->op.kind].name);
	str_replace(&n->record.step.name, name_of(n));
	n->record.plan.place = n->op.plan.place;
	n->record.step.started_at = node_wall(n);
	n->record.step.attempt = n->op.attempt;
	str_replace(&n->record.step.trouble, NULL);
	n->record.step.deadline = n->record.step.started_at + step_timeout(n, s);
	str_replace(&n->record.step.waits_for, step_waits_for(n, s));
	log_info("step", "host", n->key, "operation", ops[n->op.kind].name, "step", name_of(n));
	node_save(n);
}

static void to_power_off(struct node *n)
{
	int64_t first = 0;
	/* Each plan has one before a step that boots again (plan_check). */
	while (step_find(plan_at(&n->op.plan, (size_t)first)) != &steps[STEP_POWER_OFF])
		first++;
	to_step(n, first);
}

void op_boot_again(struct node *n, const char *why)
{
	const struct step *s = op_step(n);
	if (!s || !s->boots_again)
		return;
	log_info("booting the machine again", "host", n->key, "step", s->name, "reason", why);
	step_ended(n, "repeated", why);
	n->op.attempt = 1;
	to_power_off(n);
	op_advance(n);
}

static bool go_back(struct node *n, const struct step *s)
{
	if (!s->boots_again || n->op.attempt >= n->engine->options.boot_attempts)
		return false;
	log_warn("the machine did not come up; booting it again", "host", n->key, "step", s->name);
	step_ended(n, "repeated", "the machine did not come up");
	n->op.attempt++;
	to_power_off(n);
	return true;
}

/* True when the step was left for an earlier one. */
static bool expire(struct node *n, const struct step *s)
{
	if (go_back(n, s))
		return true;
	struct err err;
	char minutes[CLOCK_TEXT_MAX];
	usec_t began = n->record.step.started_at, wall = node_wall(n), limit = step_timeout(n, s);
	/* Some steps know before their deadline that nothing will come. */
	clock_format_age(wall > began ? MIN(wall - began, limit) : limit, minutes);
	_cleanup_(freep) char *trouble = node_trouble(n);
	err_set(&err, ERR_TIMEOUT, "host %s: gave up after %s of waiting for %s%s%s", n->key,
		minutes, step_waits_for(n, s), trouble ? "; the last trouble was: " : "",
		str_or(trouble, ""));
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
		step_ended(n, "done", NULL);
		to_step(n, n->op.plan.place + 1);
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

/* The time of a step runs from the moment at which it is on record: a storage that is away must not
 * look like a machine that does not answer. That of a step which another process began runs from
 * there, or a host could wait for ever under one that is restarted often. */
static void start_clock(struct node *n, const struct step *s)
{
	usec_t began = n->record.step.started_at, wall = node_wall(n), limit = step_timeout(n, s);
	usec_t spent = n->op.resumed && wall > began ? MIN(wall - began, limit) : 0;
	n->op.deadline = node_now(n) + limit - spent;
	if (!n->op.resumed)
		return;
	/* This process may have other limits. */
	n->record.step.deadline = wall + limit - spent;
	str_replace(&n->record.step.waits_for, step_waits_for(n, s));
}

void op_advance(struct node *n)
{
	while (n->op.kind != OP_NONE && !n->save.running && !n->save.lost && !n->held) {
		if (!engine_may_act(n->engine, n->key)) {
			/* Nobody tells when it may again. */
			timer_set_in(&n->wake, USEC_PER_SEC);
			return;
		}
		const struct step *s = op_step(n);
		if (!s) {
			finish(n);
			return;
		}
		if (!n->op.entered && plan_idle(n, plan_now(&n->op.plan))) {
			to_step(n, n->op.plan.place + 1);
			continue;
		}
		if (!n->op.entered) {
			enter(n, s);
			continue;
		}
		if (n->op.deadline == 0)
			start_clock(n, s);
		if (!run_step(n, s))
			return;
	}
}
