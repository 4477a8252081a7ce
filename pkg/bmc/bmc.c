/* What all drivers share: one queue per BMC with one request running, deadlines, chains of
 * requests, cancellation and the circuit breaker. One timer per BMC does it all: it starts the next
 * request (never inside bmc_submit) and fires at the earliest deadline. A request that ends without
 * having reached the driver is completed by a posted call that holds the task alone, so that the
 * BMC may be closed meanwhile. Core thread. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/driver.h"
#include "metrics/metrics.h"

/* A peer that drops idle sessions does so after 60 s (IPMI 2.0, 6.12.15). */
#define KEEP_MAX (20 * USEC_PER_SEC)

static void service(struct bmc *bmc);

static struct bmc_task *first_task(const struct bmc *bmc)
{
	return list_empty(&bmc->queue) ? NULL : list_entry(bmc->queue.next, struct bmc_task, link);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void task_free(struct bmc_task *task)
{
	bmc_request_done(&task->request);
	bmc_result_done(&task->result);
	free(task);
}

static void finish(void *data)
{
	struct bmc_task *task = data;
	task->done(task->data, &task->result);
	task_free(task);
}

static void finish_later(struct bmc_task *task)
{
	list_unlink(&task->link);
	loop_post(task->loop, finish, task);
}

/* Ends the tasks that depend on a failed one; `next` stood directly behind it in the queue. */
static void break_chain(struct bmc *bmc, struct list *next, const struct err *why)
{
	while (next != &bmc->queue) {
		struct bmc_task *task = list_entry(next, struct bmc_task, link);
		if (!task->request.after_success)
			return;
		next = next->next;
		err_set(&task->result.err, ERR_CANCELLED,
			"%s not tried: the request before it failed: %.400s",
			bmc_op_name(task->request.op), why->text);
		finish_later(task);
	}
	bmc->chain_broken = true;
}

/* A queued task ends without having run. */
static void drop(struct bmc *bmc, struct bmc_task *task)
{
	struct list *next = task->link.next;
	finish_later(task);
	break_chain(bmc, next, &task->result.err);
}

/* --- circuit breaker ------------------------------------------------------------------------- */

/* Failures that say something about the BMC and not about the request. */
static bool counts(enum err_kind kind)
{
	return kind == ERR_DENIED || kind == ERR_UNREACHABLE || kind == ERR_TIMEOUT ||
	       kind == ERR_BUSY || kind == ERR_PROTOCOL;
}

static usec_t breaker_interval(const struct bmc *bmc)
{
	usec_t span = bmc->options.breaker_first;
	for (unsigned n = bmc->options.breaker_failures; n < bmc->failures; n++)
		if ((span *= 2) >= bmc->options.breaker_max)
			break;
	span = MIN(span, bmc->options.breaker_max);
	return span + loop_random_below(bmc->driver->loop, span / 8 + 1);
}

/* The BMC answered, if not as wished. */
static bool answers(enum err_kind kind)
{
	return kind == ERR_NONE || kind == ERR_UNSUPPORTED || kind == ERR_INVALID;
}

static void breaker_reset(struct bmc *bmc)
{
	bmc->failures = 0;
	bmc->breaker_until = 0;
	str_replace(&bmc->last_error, NULL);
}

static void breaker_note(struct bmc *bmc, const struct err *err)
{
	if (answers(err->kind))
		breaker_reset(bmc);
	if (!counts(err->kind))
		return;
	bmc->failures++;
	bmc->last_kind = err->kind;
	str_replace(&bmc->last_error, err->text);
	if (bmc->failures >= bmc->options.breaker_failures)
		bmc->breaker_until = loop_now(bmc->driver->loop) + breaker_interval(bmc);
	if (bmc->failures == bmc->options.breaker_failures)
		metric_add(METRIC_BMC_BREAKS, 1, bmc->driver->ops->name);
}

/* What has reached the driver. */
static void count_request(const struct bmc *bmc, const struct bmc_task *task)
{
	const char *driver = bmc->driver->ops->name;
	usec_t took = loop_now(bmc->driver->loop) - task->started;
	enum err_kind kind = task->result.err.kind;
	metric_add(METRIC_BMC_REQUESTS, 1, driver,
		   kind == ERR_NONE ? "ok" : err_kind_info(kind)->name);
	metric_observe(METRIC_BMC_SECONDS, (double)took / (double)USEC_PER_SEC, driver);
}

static bool breaker_refuses(const struct bmc *bmc, struct bmc_task *task)
{
	usec_t now = loop_now(bmc->driver->loop);
	if (task->request.urgent || now >= bmc->breaker_until)
		return false;
	char age[CLOCK_TEXT_MAX];
	err_set(&task->result.err, bmc->last_kind,
		"%.400s (not tried again: %u failures in a row, next try in %s)",
		str_or(bmc->last_error, "failed"), bmc->failures,
		clock_format_age(bmc->breaker_until - now, age));
	return true;
}

/* --- the queue ------------------------------------------------------------------------------- */

static bool acceptable(struct bmc *bmc, struct bmc_task *task)
{
	const struct bmc_request *r = &task->request;
	const struct bmc_ops *ops = bmc->driver->ops;
	if (!bmc_driver_supports(bmc->driver, r->op)) {
		err_set(&task->result.err, ERR_UNSUPPORTED, "the %s driver cannot %s", ops->name,
			bmc_op_name(r->op));
		return false;
	}
	if (r->op == BMC_OP_SET_BOOT && !bmc_driver_boots_from(bmc->driver, r->boot.device)) {
		err_set(&task->result.err, ERR_UNSUPPORTED,
			"the %s driver cannot make a host boot from %s", ops->name,
			bmc_device_name(r->boot.device));
		return false;
	}
	if (r->after_success && bmc->chain_broken) {
		err_set(&task->result.err, ERR_CANCELLED,
			"%s not tried: the request before it failed", bmc_op_name(r->op));
		return false;
	}
	return true;
}

int bmc_may_act(const struct bmc *bmc, struct err *err)
{
	if (fence_allows(&bmc->driver->fence, bmc->key))
		return 0;
	return err_set(err, ERR_CANCELLED,
		       "nothing was sent to the BMC: this instance is no longer the leader");
}

static void expire_running(struct bmc *bmc)
{
	struct bmc_task *task = bmc->running;
	err_clear(&task->result.err);
	bmc->driver->ops->abandon(bmc, &task->result.err);
	bmc->running = NULL;
	if (task->result.err.kind == ERR_NONE)
		err_set(&task->result.err, ERR_TIMEOUT, "%s: no answer in time",
			bmc_op_name(task->request.op));
	breaker_note(bmc, &task->result.err);
	count_request(bmc, task);
	finish_later(task);
	break_chain(bmc, bmc->queue.next, &task->result.err);
}

static void expire(struct bmc *bmc, usec_t now)
{
	if (bmc->running && bmc->running->deadline <= now)
		expire_running(bmc);
	for (struct list *l = bmc->queue.next; l != &bmc->queue;) {
		struct bmc_task *task = list_entry(l, struct bmc_task, link);
		l = l->next;
		if (task->deadline > now)
			continue;
		err_set(&task->result.err, ERR_TIMEOUT,
			"%s: other requests to this BMC took all the time; it was not tried",
			bmc_op_name(task->request.op));
		drop(bmc, task);
		l = bmc->queue.next; /* the drop may have taken others with it */
	}
}

static void arm(struct bmc *bmc)
{
	usec_t at = bmc->running ? bmc->running->deadline : USEC_INFINITY;
	list_for_each(l, &bmc->queue)
		at = MIN(at, list_entry(l, struct bmc_task, link)->deadline);
	if (at == USEC_INFINITY)
		timer_stop(&bmc->timer);
	else
		timer_set_at(&bmc->timer, at);
}

static void start_next(struct bmc *bmc)
{
	while (!bmc->running && !list_empty(&bmc->queue)) {
		struct bmc_task *task = first_task(bmc);
		if (!acceptable(bmc, task) || bmc_may_act(bmc, &task->result.err) < 0 ||
		    breaker_refuses(bmc, task)) {
			drop(bmc, task);
			continue;
		}
		list_unlink(&task->link);
		bmc->running = task;
		task->started = loop_now(bmc->driver->loop);
		bmc->driver->ops->start[task->request.op](bmc, task);
	}
}

static void service(struct bmc *bmc)
{
	expire(bmc, loop_now(bmc->driver->loop));
	start_next(bmc);
	arm(bmc);
}

static void on_timer(void *data)
{
	service(data);
}

static void release(struct bmc *bmc)
{
	if (bmc->driver->ops->close)
		bmc->driver->ops->close(bmc);
	timer_stop(&bmc->timer);
	bmc->driver->open_count--;
	bmc_address_done(&bmc->address);
	bmc_credentials_done(&bmc->credentials);
	free(bmc->last_error);
	free(bmc->ca);
	free(bmc->pinned_sha256);
	free(bmc->key);
	free(bmc);
}

/* A job that cannot be asked for again is as good as lost, and its id goes into a record. */
static void check_job(const struct bmc *bmc, struct bmc_task *task)
{
	struct bmc_result *r = &task->result;
	if (r->err.kind != ERR_NONE || !bmc_op_begins_job(r->op))
		return;
	bool running = r->job.state == BMC_JOB_RUNNING;
	if ((running && str_empty(r->job.id)) || strlen(str_or(r->job.id, "")) > BMC_JOB_ID_MAX)
		err_set(&r->err, ERR_PROTOCOL,
			"BMC %s began with it (%s), but did not say by which name to ask for it",
			bmc->address.host, bmc_op_name(r->op));
}

void bmc_complete(struct bmc *bmc)
{
	struct bmc_task *task = TAKE_PTR(bmc->running);
	check_job(bmc, task);
	breaker_note(bmc, &task->result.err);
	count_request(bmc, task);
	if (task->result.err.kind == ERR_NONE)
		bmc->chain_broken = false;
	else
		break_chain(bmc, bmc->queue.next, &task->result.err);
	usec_t keep = MIN(task->request.keep_session, KEEP_MAX);
	bmc->busy = true;
	task->done(task->data, &task->result);
	bmc->busy = false;
	task_free(task);
	if (bmc->closed) {
		release(bmc);
		return;
	}
	service(bmc);
	if (!bmc->running && !bmc->console && bmc->driver->ops->idle)
		bmc->driver->ops->idle(bmc, keep);
}

/* --- requests -------------------------------------------------------------------------------- */

uint64_t bmc_submit(struct bmc *bmc, const struct bmc_request *request, bmc_done_fn done,
		    void *data)
{
	struct loop *loop = bmc->driver->loop;
	usec_t timeout = request->timeout ? request->timeout : bmc->options.timeout;
	struct bmc_task *task = xcalloc(1, sizeof(*task));
	uint64_t ticket = ++bmc->last_ticket;
	list_init(&task->link);
	task->loop = loop;
	task->ticket = ticket;
	bmc_request_dup(request, &task->request);
	task->result.op = request->op;
	task->deadline = loop_now(loop) + timeout;
	task->done = done;
	task->data = data;
	list_append(&bmc->queue, &task->link);
	timer_set_before(&bmc->timer, bmc->running ? task->deadline : loop_now(loop));
	return ticket;
}

static void cancel_running(struct bmc *bmc)
{
	struct bmc_task *task = bmc->running;
	bmc->driver->ops->abandon(bmc, NULL);
	bmc->running = NULL;
	err_clear(&task->result.err);
	err_set(&task->result.err, ERR_CANCELLED, "%s cancelled", bmc_op_name(task->request.op));
	finish_later(task);
	break_chain(bmc, bmc->queue.next, &task->result.err);
}

void bmc_cancel(struct bmc *bmc, uint64_t ticket)
{
	if (bmc->running && bmc->running->ticket == ticket) {
		cancel_running(bmc);
		if (!bmc->busy)
			timer_set_before(&bmc->timer, loop_now(bmc->driver->loop));
		return;
	}
	list_for_each(l, &bmc->queue) {
		struct bmc_task *task = list_entry(l, struct bmc_task, link);
		if (task->ticket != ticket)
			continue;
		err_set(&task->result.err, ERR_CANCELLED, "%s cancelled",
			bmc_op_name(task->request.op));
		drop(bmc, task);
		return;
	}
}

unsigned bmc_queued(const struct bmc *bmc)
{
	unsigned n = bmc->running ? 1 : 0;
	list_for_each(l, &bmc->queue)
		n++;
	return n;
}

/* --- handles --------------------------------------------------------------------------------- */

static struct bmc_options with_defaults(const struct bmc_ops *ops, const struct bmc_options *given)
{
	struct bmc_options o = given ? *given : (struct bmc_options){ 0 };
	o.timeout = o.timeout ? o.timeout : ops->timeout;
	o.timeout = o.timeout ? o.timeout : 30 * USEC_PER_SEC;
	o.breaker_failures = o.breaker_failures ? o.breaker_failures : 3;
	o.breaker_first = o.breaker_first ? o.breaker_first : 15 * USEC_PER_SEC;
	o.breaker_max = o.breaker_max ? o.breaker_max : 10 * USEC_PER_MIN;
	return o;
}

static int validate(const struct bmc_driver *driver, const struct bmc_address *address,
		    const struct bmc_credentials *credentials, struct err *err)
{
	if (str_empty(address->host))
		return err_set(err, ERR_INVALID,
			       "the BMC address names no host: write it as in ipmi://192.0.2.7");
	return driver->ops->validate ? driver->ops->validate(address, credentials, err) : 0;
}

int bmc_open(struct bmc_driver *driver, const struct bmc_address *address,
	     const struct bmc_credentials *credentials, const struct bmc_options *options,
	     struct bmc **ret, struct err *err)
{
	int r = validate(driver, address, credentials, err);
	if (r < 0)
		return r;
	struct bmc *bmc = xcalloc(1, driver->ops->bmc_size);
	bmc->driver = driver;
	bmc_address_copy(address, &bmc->address);
	bmc_credentials_copy(credentials, &bmc->credentials);
	bmc->options = with_defaults(driver->ops, options);
	bmc->key = xstrdup(bmc->options.key);
	bmc->options.key = bmc->key;
	bmc->ca = xstrdup(bmc->options.ca);
	bmc->pinned_sha256 = xstrdup(bmc->options.pinned_sha256);
	bmc->options.ca = bmc->ca;
	bmc->options.pinned_sha256 = bmc->pinned_sha256;
	list_init(&bmc->queue);
	timer_init(&bmc->timer, driver->loop, "bmc", on_timer, bmc);
	driver->open_count++;
	if (driver->ops->open)
		driver->ops->open(bmc);
	*ret = bmc;
	return 0;
}

struct bmc *bmc_close(struct bmc *bmc)
{
	if (!bmc || bmc->closed)
		return NULL;
	bmc_console_cancel(bmc);
	if (bmc->running)
		cancel_running(bmc);
	while (!list_empty(&bmc->queue)) {
		struct bmc_task *task = first_task(bmc);
		err_set(&task->result.err, ERR_CANCELLED, "%s cancelled",
			bmc_op_name(task->request.op));
		finish_later(task);
	}
	bmc->closed = true;
	if (!bmc->busy)
		release(bmc);
	return NULL;
}

int bmc_set_credentials(struct bmc *bmc, const struct bmc_credentials *credentials, struct err *err)
{
	int r = validate(bmc->driver, &bmc->address, credentials, err);
	if (r < 0)
		return r;
	bmc_credentials_done(&bmc->credentials);
	bmc_credentials_copy(credentials, &bmc->credentials);
	breaker_reset(bmc);
	if (bmc->driver->ops->credentials_changed)
		bmc->driver->ops->credentials_changed(bmc);
	return 0;
}

const struct bmc_address *bmc_get_address(const struct bmc *bmc)
{
	return &bmc->address;
}

void bmc_credentials_copy(const struct bmc_credentials *from, struct bmc_credentials *ret)
{
	*ret = (struct bmc_credentials){ xstrdup(from->username), xstrdup(from->password) };
}

void bmc_credentials_done(struct bmc_credentials *c)
{
	c->username = secret_free(c->username);
	c->password = secret_free(c->password);
}

struct bmc_health bmc_health(const struct bmc *bmc)
{
	bool alone = bmc->breaker_until > loop_now(bmc->driver->loop);
	return (struct bmc_health){ bmc->failures, alone ? bmc->breaker_until : 0,
				    bmc->last_error };
}

/* --- drivers --------------------------------------------------------------------------------- */

struct bmc_driver *bmc_driver_find(const struct bmc_driver_set *set,
				   const struct bmc_scheme *scheme, struct err *err)
{
	struct bmc_driver *driver = set->drivers[scheme->kind];
	if (!driver)
		err_set(err, ERR_UNSUPPORTED, "BMC type '%s' is not supported by this version yet",
			scheme->name);
	return driver;
}

struct bmc_driver *bmc_driver_free(struct bmc_driver *driver)
{
	if (driver)
		driver->ops->free(driver);
	return NULL;
}

void bmc_driver_set_fence(struct bmc_driver *driver, const struct fence *fence)
{
	driver->fence = *fence;
}

bool bmc_driver_supports(const struct bmc_driver *driver, enum bmc_op op)
{
	return op < _BMC_OP_MAX && driver->ops->start[op];
}

bool bmc_driver_boots_from(const struct bmc_driver *driver, enum bmc_device device)
{
	return bmc_driver_supports(driver, BMC_OP_SET_BOOT) &&
	       driver->ops->boot_devices >> device & 1;
}

static const char *const boot_methods[_BMC_BOOT_MAX] = {
	[BMC_BOOT_NETWORK] = "network",
	[BMC_BOOT_MEDIA] = "media",
	[BMC_BOOT_UEFI_HTTP] = "uefi-http",
};

const char *bmc_boot_method_name(enum bmc_boot_method method)
{
	return method < _BMC_BOOT_MAX ? boot_methods[method] : "?";
}

int bmc_boot_method_parse(const char *name, enum bmc_boot_method *ret)
{
	for (int m = 0; m < _BMC_BOOT_MAX; m++)
		if (streq(name, boot_methods[m])) {
			*ret = (enum bmc_boot_method)m;
			return 0;
		}
	return -EINVAL;
}

static bool can_boot_by(const struct bmc_driver *d, enum bmc_boot_method method)
{
	switch (method) {
	case BMC_BOOT_NETWORK:
		return bmc_driver_boots_from(d, BMC_DEVICE_PXE);
	case BMC_BOOT_MEDIA:
		return bmc_driver_boots_from(d, BMC_DEVICE_CDROM) &&
		       bmc_driver_supports(d, BMC_OP_INSERT_MEDIA) &&
		       bmc_driver_supports(d, BMC_OP_EJECT_MEDIA);
	case BMC_BOOT_UEFI_HTTP:
		return bmc_driver_boots_from(d, BMC_DEVICE_UEFI_HTTP);
	case _BMC_BOOT_MAX:
		break;
	}
	return false;
}

int bmc_choose_boot(const struct bmc_driver *driver, const struct bmc_scheme *scheme,
		    enum bmc_boot_mode mode, enum bmc_boot_method *ret, struct err *err)
{
	if (!can_boot_by(driver, scheme->boot))
		return err_set(err, ERR_UNSUPPORTED,
			       "hosts of type '%s' boot by %s, which the %s driver cannot do",
			       scheme->name, bmc_boot_method_name(scheme->boot), driver->ops->name);
	if (scheme->boot == BMC_BOOT_UEFI_HTTP && mode == BMC_MODE_LEGACY)
		return err_set(err, ERR_UNSUPPORTED,
			       "hosts of type '%s' boot by UEFI HTTP, which there is in UEFI mode "
			       "only: set spec.bootMode to UEFI, or use another type of address",
			       scheme->name);
	*ret = scheme->boot;
	return 0;
}

const char *bmc_power_name(enum bmc_power power)
{
	static const char *const names[] = { "unknown", "off", "on" };
	return names[power];
}

const char *bmc_action_name(enum bmc_action action)
{
	static const char *const names[] = { "on", "off", "soft off", "cycle", "reset" };
	return names[action];
}

const char *bmc_device_name(enum bmc_device device)
{
	static const char *const names[_BMC_DEVICE_MAX] = { "none",  "pxe",  "disk",
							    "cdrom", "bios", "uefi-http" };
	return names[device];
}
