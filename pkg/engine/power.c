/* Asking the BMC. One question per node at a time; the step that asked sees the answer in
 * n->power.ask when it runs again. Between operations the same slot serves the idle poll of the
 * power state. */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

/* Steps come back soon: "boot device, power on, look" shall share one session. */
#define SESSION_HOLD (3 * USEC_PER_SEC)

/* With other credentials for the BMC that is open, the handle stays: it knows when the last session
 * ended, and what this BMC needs. */
static bool is_open(const struct node *n, const struct bmc_address *address)
{
	return n->power.bmc && n->power.open_insecure == n->power.insecure &&
	       streq(n->power.open_ca, n->power.ca) && streq(n->power.open_pin, n->power.pin) &&
	       bmc_address_equal(bmc_get_address(n->power.bmc), address);
}

static int open_anew(struct node *n, const struct bmc_address *address,
		     const struct bmc_credentials *credentials, struct err *err)
{
	struct bmc_driver *driver = bmc_driver_find(n->engine->options.drivers, address->scheme,
						    err);
	struct bmc_options options = { .key = n->key,
				       .insecure_tls = n->power.insecure,
				       .ca = n->power.ca,
				       .pinned_sha256 = n->power.pin };
	struct bmc *bmc;
	if (!driver || bmc_open(driver, address, credentials, &options, &bmc, err) < 0)
		return err_value(err);
	bmc_close(n->power.bmc);
	n->power.bmc = bmc;
	node_index_bmc(n);
	n->power.open_insecure = n->power.insecure;
	str_replace(&n->medium.reader, NULL); /* it may be another machine */
	str_replace(&n->power.open_ca, n->power.ca);
	str_replace(&n->power.open_pin, n->power.pin);
	return 0;
}

/* The question under way ends, unanswered; the step looks, and asks again. */
static void drop_question(struct node *n)
{
	node_ask_begin(&n->power.ask, ASK_IDLE, 0);
	op_note(n, STEP_NOTE_BMC_DROPPED);
	if (n->power.bmc)
		bmc_cancel(n->power.bmc, n->power.ticket);
}

int node_open_bmc(struct node *n, struct err *err)
{
	struct bmc_address address = { 0 };
	int r = bmc_address_parse(str_or(n->power.address, ""), &address, err);
	if (r < 0)
		return r;
	struct bmc_credentials credentials = { n->power.username, n->power.password };
	drop_question(n);
	if (is_open(n, &address))
		r = bmc_set_credentials(n->power.bmc, &credentials, err);
	else
		r = open_anew(n, &address, &credentials, err);
	bmc_address_done(&address);
	return r;
}

static void power_read(struct node *n, enum bmc_power power)
{
	enum prov_power before = n->power.state;
	bool faulty = n->power.read_failures >= 3;
	n->power.state = power == BMC_POWER_ON	  ? PROV_POWER_ON
			 : power == BMC_POWER_OFF ? PROV_POWER_OFF
						  : PROV_POWER_UNKNOWN;
	n->power.fresh = true;
	n->power.read_failures = 0;
	if (n->op.kind == OP_NONE && (before != n->power.state || faulty))
		node_kick(n);
}

bool node_bmc_refuses(const struct err *err)
{
	return err && err->kind == ERR_DENIED && err->code != 0;
}

/* Of a host at rest, whose password was changed behind our back: it is as one that is not
 * registered, and not asked again before its Secret is another one. */
static void note_refusal(struct node *n, const struct bmc_result *result)
{
	if (result->op != BMC_OP_GET_POWER || !node_bmc_refuses(&result->err) ||
	    n->op.kind == OP_VERIFY)
		return;
	n->power.verified = false;
	err_keep(&n->power.verify_error, &result->err);
	if (n->op.kind == OP_NONE)
		node_kick(n);
}

static void read_failed(struct node *n)
{
	if (n->op.kind == OP_NONE && ++n->power.read_failures == 3)
		node_kick(n);
}

static void keep_answer(struct node *n, const struct bmc_result *result)
{
	if (result->op == BMC_OP_GET_MEDIA) {
		secret_free(n->power.media_url);
		n->power.media_url = xstrdup(result->media.url);
	} else if (result->op == BMC_OP_GET_SECURE_BOOT) {
		n->power.secure_boot = result->enabled;
	}
}

static void on_answer(void *data, const struct bmc_result *result)
{
	uint64_t serial;
	struct node *n = node_ticket_take(data, &serial);
	if (!n || serial != n->power.ask.serial || n->power.ask.state != ASK_RUNNING)
		return;
	bool ok = result->err.kind == ERR_NONE;
	n->power.ask.state = ok ? ASK_ANSWERED : ASK_FAILED;
	struct err shown = result->err;
	node_mask_medium(n, &shown);
	err_keep(&n->power.ask.err, &shown);
	if (ok)
		keep_answer(n, result);
	if (ok && result->op == BMC_OP_GET_POWER && result->power != BMC_POWER_UNKNOWN)
		power_read(n, result->power);
	else if (!ok)
		read_failed(n);
	note_refusal(n, result);
	if (n->op.kind != OP_NONE)
		op_advance(n);
	else
		node_schedule_poll(n);
}

static void ask(struct node *n, const struct bmc_request *request)
{
	node_ask_begin(&n->power.ask, ASK_RUNNING, ++n->engine->next_serial);
	n->power.ticket = bmc_submit(n->power.bmc, request, on_answer,
				     node_ticket_new(n, n->power.ask.serial));
}

void node_ask_power(struct node *n, bool urgent)
{
	ask(n,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER,
				   .urgent = urgent,
				   .keep_session = n->op.kind == OP_NONE || n->op.kind == OP_VERIFY
							   ? 0
							   : SESSION_HOLD });
}

void node_ask_action(struct node *n, enum bmc_action action)
{
	n->power.fresh = false;
	log_info("power command", "host", n->key, "action", bmc_action_name(action));
	ask(n, &(struct bmc_request){ .op = BMC_OP_SET_POWER,
				      .action = action,
				      .keep_session = SESSION_HOLD,
				      .urgent = true });
}

void node_ask_boot(struct node *n, enum bmc_device device, bool persistent, char *http_uri)
{
	struct bmc_boot boot = { .device = device,
				 .persistent = persistent,
				 .http_uri = http_uri,
				 .uefi = n->spec.boot_mode != BOOT_LEGACY };
	log_info("boot device", "host", n->key, "device", bmc_device_name(device));
	ask(n, &(struct bmc_request){ .op = BMC_OP_SET_BOOT,
				      .boot = boot,
				      .keep_session = SESSION_HOLD,
				      .urgent = true });
}

void node_ask_bmc(struct node *n, const struct bmc_request *request)
{
	struct bmc_request r = *request;
	r.keep_session = SESSION_HOLD;
	r.urgent = true;
	log_info("question to the BMC", "host", n->key, "what", bmc_op_name(r.op));
	ask(n, &r);
}

static bool idle(const struct node *n)
{
	return n->op.kind == OP_NONE && n->power.bmc && n->power.verified && !n->save.lost &&
	       !n->held;
}

void node_poll_power(struct node *n)
{
	if (idle(n) && n->power.ask.state != ASK_RUNNING)
		node_ask_power(n, false);
}

void node_schedule_poll(struct node *n)
{
	if (!idle(n))
		return;
	usec_t period = n->engine->options.timeouts.power_poll;
	/* Jittered, so that a thousand hosts do not knock at once after a start. */
	usec_t jitter = loop_random_below(n->engine->options.loop, period / 4 + 1);
	timer_set_in(&n->wake, period - period / 8 + jitter);
}
