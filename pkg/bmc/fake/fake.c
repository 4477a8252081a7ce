/* The simulated BMCs. A request takes the machine's latency; a change of power happens some time
 * after the BMC has accepted it, as with real ones, so that callers must poll. A BMC whose host has
 * no machine is silent. All randomness is the loop's. Core thread. */

#include "bmc/fake/fake.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/driver.h"

enum { SLOW_FACTOR = 20, PERMILLE = 1000 };

struct fake_driver {
	struct bmc_driver base;
	struct map machines;
};

struct fake_bmc {
	struct bmc base;
	struct timer answer;
};

static struct fake_driver *driver_of(const struct bmc *bmc)
{
	return container_of(bmc->driver, struct fake_driver, base);
}

static struct fake_bmc *of(struct bmc *bmc)
{
	return container_of(bmc, struct fake_bmc, base);
}

static struct fake_machine *machine_of(const struct bmc *bmc)
{
	return map_get(&driver_of(bmc)->machines, bmc->address.host);
}

static usec_t stretched(struct loop *loop, usec_t span)
{
	return span + loop_random_below(loop, span / 2 + 1);
}

static bool chance(struct loop *loop, unsigned permille)
{
	return permille > 0 && loop_random_below(loop, PERMILLE) < permille;
}

/* --- machines -------------------------------------------------------------------------------- */

static void boot_host(struct fake_machine *m, enum fake_event event)
{
	struct bmc_boot boot = m->boot;
	if (!m->boot.persistent)
		m->boot = (struct bmc_boot){ 0 };
	if (m->on_event)
		m->on_event(m->data, m, event, &boot);
}

void fake_machine_set_power(struct fake_machine *m, enum bmc_power power)
{
	if (m->power == power)
		return;
	m->power = power;
	if (power == BMC_POWER_ON) {
		m->power_ons++;
		boot_host(m, FAKE_EVENT_ON);
		return;
	}
	m->power_offs++;
	if (m->on_event)
		m->on_event(m->data, m, FAKE_EVENT_OFF, &(struct bmc_boot){ 0 });
}

static void on_change(void *data)
{
	struct fake_machine *m = data;
	switch (m->pending) {
	case BMC_ACTION_ON:
		fake_machine_set_power(m, BMC_POWER_ON);
		break;
	case BMC_ACTION_OFF:
	case BMC_ACTION_SOFT:
		fake_machine_set_power(m, BMC_POWER_OFF);
		break;
	case BMC_ACTION_CYCLE:
		fake_machine_set_power(m, BMC_POWER_OFF);
		fake_machine_set_power(m, BMC_POWER_ON);
		break;
	case BMC_ACTION_RESET:
		if (m->power != BMC_POWER_ON)
			break;
		m->resets++;
		boot_host(m, FAKE_EVENT_RESET);
		break;
	}
}

struct fake_machine *fake_machine_add(struct bmc_driver *driver, const char *host)
{
	struct fake_driver *d = container_of(driver, struct fake_driver, base);
	struct fake_machine *m = xcalloc(1, sizeof(*m));
	*m = (struct fake_machine){ .host = xstrdup(host),
				    .power = BMC_POWER_OFF,
				    .info = { "Ingot", "fake", "1.0", "" },
				    .latency = 5 * USEC_PER_MSEC,
				    .power_delay = 500 * USEC_PER_MSEC,
				    .soft_works = true,
				    .loop = driver->loop };
	timer_init(&m->change, driver->loop, "fake machine", on_change, m);
	map_set(&d->machines, host, m);
	return m;
}

struct fake_machine *fake_machine_get(struct bmc_driver *driver, const char *host)
{
	return map_get(&container_of(driver, struct fake_driver, base)->machines, host);
}

static void machine_free(struct fake_machine *m)
{
	timer_stop(&m->change);
	free(m->host);
	secret_free(m->username);
	secret_free(m->password);
	free(m);
}

/* --- requests -------------------------------------------------------------------------------- */

static bool let_in(const struct bmc *bmc, const struct fake_machine *m)
{
	const struct bmc_credentials *c = &bmc->credentials;
	return (!m->username || streq(m->username, str_or(c->username, ""))) &&
	       (!m->password || str_equal_secret(m->password, str_or(c->password, "")));
}

static void set_power(struct fake_machine *m, const struct bmc_request *request)
{
	if (request->action == BMC_ACTION_SOFT && !m->soft_works)
		return;
	m->pending = request->action;
	timer_set_in(&m->change, stretched(m->loop, m->power_delay));
}

static void carry_out(struct fake_machine *m, const struct bmc_request *request,
		      struct bmc_result *result)
{
	bool ignored = chance(m->loop, m->faults.ignored);
	switch (request->op) {
	case BMC_OP_GET_POWER:
		result->power = m->power;
		break;
	case BMC_OP_SET_POWER:
		if (!ignored)
			set_power(m, request);
		break;
	case BMC_OP_GET_BOOT:
		result->boot = m->boot;
		break;
	case BMC_OP_SET_BOOT:
		if (!ignored)
			m->boot = request->boot;
		m->boot_changes++;
		break;
	case BMC_OP_GET_INFO:
		result->info = m->info;
		break;
	case _BMC_OP_MAX:
		break;
	}
}

/* 0, or an error in result. */
static int fault(const struct bmc *bmc, struct fake_machine *m, struct err *err)
{
	const struct bmc_request *request = &bmc->running->request;
	const char *host = bmc->address.host;
	bool sets_power = bmc->running->request.op == BMC_OP_SET_POWER;
	if (!let_in(bmc, m))
		return err_set(err, ERR_DENIED, "BMC %s does not accept these credentials", host);
	if (chance(m->loop, m->faults.busy))
		return err_set(err, ERR_BUSY, "BMC %s is busy (simulated)", host);
	if ((sets_power && m->refuses_power) || chance(m->loop, m->faults.refused))
		return err_set(err, ERR_IO, "BMC %s refuses (simulated)", host);
	if (chance(m->loop, m->faults.garbage))
		return err_set(err, ERR_PROTOCOL, "BMC %s talks garbage (simulated)", host);
	if (m->soft_unknown && request->op == BMC_OP_SET_POWER &&
	    request->action == BMC_ACTION_SOFT)
		return err_set(err, ERR_UNSUPPORTED, "BMC %s knows no soft power off", host);
	return 0;
}

static void on_answer(void *data)
{
	struct bmc *bmc = data;
	struct fake_machine *m = machine_of(bmc);
	struct bmc_task *task = bmc->running;
	m->requests++;
	if (fault(bmc, m, &task->result.err) == 0)
		carry_out(m, &task->request, &task->result);
	bmc_complete(bmc);
}

static void start(struct bmc *bmc, struct bmc_task *task)
{
	struct loop *loop = bmc->driver->loop;
	const struct fake_machine *m = machine_of(bmc);
	(void)task;
	if (!m || m->unreachable || chance(loop, m->faults.silent))
		return; /* the deadline ends it */
	usec_t latency = stretched(loop, m->latency);
	timer_set_in(&of(bmc)->answer,
		     chance(loop, m->faults.slow) ? SLOW_FACTOR * latency : latency);
}

static void abandon(struct bmc *bmc, struct err *err)
{
	timer_stop(&of(bmc)->answer);
	if (err)
		err_set(err, ERR_TIMEOUT, "BMC %s does not answer (simulated)", bmc->address.host);
}

static void open_bmc(struct bmc *bmc)
{
	timer_init(&of(bmc)->answer, bmc->driver->loop, "fake bmc", on_answer, bmc);
}

static void close_bmc(struct bmc *bmc)
{
	timer_stop(&of(bmc)->answer);
}

static void free_driver(struct bmc_driver *driver)
{
	struct fake_driver *d = container_of(driver, struct fake_driver, base);
	map_for_each(&d->machines, i)
		machine_free(d->machines.entries[i].value);
	map_done(&d->machines);
	free(d);
}

static const struct bmc_power_ops power_ops = { .get = start, .set = start };
static const struct bmc_boot_ops boot_ops = { .get = start,
					      .set = start,
					      .devices = (1U << _BMC_DEVICE_MAX) - 1 };
static const struct bmc_info_ops info_ops = { .get = start };

static const struct bmc_ops ops = {
	.name = "fake",
	.bmc_size = sizeof(struct fake_bmc),
	.open = open_bmc,
	.close = close_bmc,
	.abandon = abandon,
	.free = free_driver,
	.power = &power_ops,
	.boot = &boot_ops,
	.info = &info_ops,
};

struct bmc_driver *fake_driver_new(struct loop *loop)
{
	struct fake_driver *d = xcalloc(1, sizeof(*d));
	d->base = (struct bmc_driver){ .ops = &ops, .loop = loop };
	return &d->base;
}
