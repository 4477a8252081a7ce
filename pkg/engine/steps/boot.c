/* Steps around a boot: what the machine boots from, and the wait for what comes of it. */

#include "engine/steps/steps.h"

enum step_result step_set_device(struct node *n, enum bmc_device device, bool persistent,
				 struct err *err)
{
	struct bmc_step *s = n->op.state;
	enum step_result r = step_bmc_settle(n, err);
	if (r != STEP_DONE || s->commanded)
		return r;
	s->commanded = true;
	node_ask_boot(n, device, persistent, NULL);
	return STEP_WAIT;
}

enum step_result step_boot_network(struct node *n, struct err *err)
{
	return step_set_device(n, BMC_DEVICE_PXE, false, err);
}

enum step_result step_boot_disk(struct node *n, struct err *err)
{
	return step_set_device(n, BMC_DEVICE_DISK, true, err);
}

/* The ramdisk is waited for until the step's deadline; where another system runs, five minutes, in
 * which firmware may still come to the network. */
static enum step_result wait_for_ramdisk(struct node *n, bool restarts)
{
	enum { GRACE_MIN = 5 };
	usec_t now = node_now(n), until = n->boot.system_at + GRACE_MIN * USEC_PER_MIN;
	struct err other;
	if (n->medium.stale) {
		err_set(&other, ERR_CONFLICT,
			"what its boot medium is made of was replaced after the medium was inserted");
		err_keep(&n->op.last, &other);
		n->op.deadline = now;
		return STEP_WAIT;
	}
	if (!n->boot.system_at || n->record.boot.token_issued || (n->boot.script_at && !restarts))
		return STEP_WAIT;
	err_set(&other, ERR_IO,
		"the machine runs another system than the ramdisk, probably the one on its disk, which asked for an "
		"address: it was reset, or its firmware did not boot from the network");
	err_keep(&n->op.last, &other);
	if (now < until)
		return step_rest(n, until - now);
	n->op.deadline = now;
	return STEP_WAIT;
}

enum step_result step_wait_inventory(struct node *n, struct err *err)
{
	struct wait_step *s = n->op.state;
	(void)err;
	if (n->inspection.inventory)
		return STEP_DONE;
	/* Collecting takes its time, in which a ramdisk may ask for its address again. */
	if (!n->record.agent.url)
		return wait_for_ramdisk(n, false);
	/* The agent is past its inspection, whose result was lost on the way: nothing more will
	 * come from this boot. */
	if (s->since == 0)
		s->since = node_now(n);
	if (node_now(n) < s->since + 30 * USEC_PER_SEC)
		return step_rest(n, 30 * USEC_PER_SEC);
	n->op.deadline = node_now(n);
	struct err lost;
	err_set(&lost, ERR_PROTOCOL,
		"the ramdisk runs, but what it found never arrived; see its own log");
	err_keep(&n->op.last, &lost);
	return STEP_WAIT;
}

enum step_result step_wait_agent(struct node *n, struct err *err)
{
	(void)err;
	bool found = n->record.agent.url && n->record.boot.nonce;
	return found ? STEP_DONE : wait_for_ramdisk(n, true);
}
