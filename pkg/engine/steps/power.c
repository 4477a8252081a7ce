/* Steps that need nothing but the BMC: power, and registration's question whether it answers. */

#include "base/log.h"
#include "engine/steps/steps.h"

usec_t step_poll_delay(struct node *n)
{
	struct bmc_step *s = n->op.state;
	return USEC_PER_SEC << MIN(s->polls++, 3u);
}

/* Takes the answer of the last BMC question away; STEP_DONE means: nothing pending, go on. */
enum step_result step_bmc_settle(struct node *n, struct err *err)
{
	struct bmc_step *s = n->op.state;
	switch (n->power.ask.state) {
	case ASK_RUNNING:
		return STEP_WAIT;
	case ASK_FAILED:
		n->power.ask.state = ASK_IDLE;
		s->refused |= s->commanded;
		s->commanded = false; /* it may not have arrived: look, then say it again */
		err_wrap(n->power.ask.err, "host %s", n->key);
		return step_trouble(n, n->power.ask.err, err);
	case ASK_ANSWERED:
		n->power.ask.state = ASK_IDLE;
		/* One that tells its power state but refuses each command has not become better. */
		if (s->refused && !s->commanded)
			break;
		s->refused = false;
		step_good(n);
		break;
	case ASK_IDLE:
		break;
	}
	return STEP_DONE;
}

/* Gives up when the BMC said yes long ago and nothing happened. */
bool step_power_overdue(const struct node *n, usec_t limit)
{
	const struct bmc_step *s = n->op.state;
	return s->commanded && node_now(n) >= s->commanded_at + limit;
}

static enum step_result power_reach(struct node *n, enum prov_power want, enum bmc_action action,
				    struct err *err)
{
	struct bmc_step *s = n->op.state;
	enum step_result r = step_bmc_settle(n, err);
	if (r != STEP_DONE)
		return r;
	if (!n->power.fresh) {
		node_ask_power(n, true);
		return STEP_WAIT;
	}
	if (n->power.state == want)
		return STEP_DONE;
	if (!s->commanded) {
		s->commanded = true;
		s->commanded_at = node_now(n);
		node_ask_action(n, action);
		return STEP_WAIT;
	}
	if (step_power_overdue(n, n->engine->options.timeouts.power)) {
		err_set(err, ERR_TIMEOUT,
			"host %s: the BMC accepted \"power %s\" but the power did not change; "
			"look at the machine and its BMC",
			n->key, bmc_action_name(action));
		return STEP_FAILED;
	}
	n->power.fresh = false;
	return step_rest(n, step_poll_delay(n));
}

void step_bmc_note(struct node *n, enum step_note note)
{
	struct bmc_step *s = n->op.state;
	if (note == STEP_NOTE_BMC_DROPPED)
		s->commanded = false; /* the step looks, and says it again */
}

enum step_result step_power_off(struct node *n, struct err *err)
{
	return power_reach(n, PROV_POWER_OFF, BMC_ACTION_OFF, err);
}

enum step_result step_power_on(struct node *n, struct err *err)
{
	return power_reach(n, PROV_POWER_ON, BMC_ACTION_ON, err);
}

enum step_result step_soft_off(struct node *n, struct err *err)
{
	const struct bmc_step *s = n->op.state;
	if (n->power.ask.state == ASK_FAILED && n->power.ask.err->kind == ERR_UNSUPPORTED) {
		log_info("the BMC knows no soft power off; switching off hard", "host", n->key);
		return STEP_DONE;
	}
	if (step_power_overdue(n, n->engine->options.timeouts.soft_off)) {
		err_set(err, ERR_TIMEOUT,
			"host %s: the operating system did not shut down when asked to", n->key);
		return STEP_FAILED;
	}
	/* The BMC's own limit does not hold for an operating system that closes its files. */
	if (s->commanded && n->power.fresh && n->power.state != PROV_POWER_OFF) {
		n->power.fresh = false;
		return step_rest(n, step_poll_delay(n));
	}
	return power_reach(n, PROV_POWER_OFF, BMC_ACTION_SOFT, err);
}

/* Registration: does this BMC answer with these credentials? */
enum step_result step_verify(struct node *n, struct err *err)
{
	if (n->power.ask.state == ASK_FAILED) {
		n->power.ask.state = ASK_IDLE;
		return step_trouble(n, n->power.ask.err, err);
	}
	if (n->power.ask.state == ASK_IDLE)
		node_ask_power(n, true);
	if (n->power.ask.state == ASK_RUNNING)
		return STEP_WAIT;
	n->power.verified = true;
	return STEP_DONE;
}
