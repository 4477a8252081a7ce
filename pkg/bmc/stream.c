/* Consoles and events: what comes from a BMC without being asked for. Bytes are passed on as they
 * come, so that nothing a host prints is ever kept here. Core thread. */

#include <stdlib.h>

#include "base/mem.h"
#include "bmc/driver.h"

struct bmc_stream {
	struct bmc *bmc; /* NULL: ended, and `ended` is still to be called */
	struct bmc_stream_handlers handlers;
	void *data;
	struct err end;
	bool closed; /* by the user */
};

/* --- consoles --------------------------------------------------------------------------------- */

bool bmc_driver_has_console(const struct bmc_driver *driver)
{
	return driver->ops->console;
}

struct bmc_stream *bmc_console_open(struct bmc *bmc, const struct bmc_stream_handlers *handlers,
				    void *data, struct err *err)
{
	const struct bmc_ops *ops = bmc->driver->ops;
	if (!ops->console)
		err_set(err, ERR_UNSUPPORTED, "the %s driver has no console", ops->name);
	else if (bmc->console)
		err_set(err, ERR_BUSY, "the console of BMC %s is open already", bmc->address.host);
	else if (bmc_may_act(bmc, err) == 0 && ops->console->open(bmc, err) == 0) {
		bmc->console = xcalloc(1, sizeof(*bmc->console));
		*bmc->console = (struct bmc_stream){ bmc, *handlers, data, { 0 }, false };
		return bmc->console;
	}
	return NULL;
}

int bmc_stream_write(struct bmc_stream *s, const void *bytes, size_t len, struct err *err)
{
	if (!s->bmc)
		return err_set(err, ERR_CANCELLED, "the console has ended");
	int r = bmc_may_act(s->bmc, err);
	return r < 0 ? r : s->bmc->driver->ops->console->write(s->bmc, bytes, len, err);
}

/* Gives the console back to its driver; it may let the session go. */
static void detach(struct bmc_stream *s)
{
	struct bmc *bmc = s->bmc;
	s->bmc = NULL;
	bmc->console = NULL;
	bmc->driver->ops->console->close(bmc);
	if (!bmc->closed && !bmc->running && list_empty(&bmc->queue) && bmc->driver->ops->idle)
		bmc->driver->ops->idle(bmc, 0);
}

struct bmc_stream *bmc_stream_close(struct bmc_stream *s)
{
	if (!s)
		return NULL;
	s->closed = true;
	if (!s->bmc)
		return NULL; /* on_ended() has it */
	detach(s);
	free(s);
	return NULL;
}

void bmc_console_bytes(struct bmc *bmc, const void *bytes, size_t len)
{
	if (bmc->console)
		bmc->console->handlers.bytes(bmc->console->data, bytes, len);
}

static void on_ended(void *data)
{
	struct bmc_stream *s = data;
	if (!s->closed)
		s->handlers.ended(s->data, &s->end);
	free(s);
}

/* The user is always told from the loop, also when bmc_close() ends it. */
void bmc_console_end(struct bmc *bmc, const struct err *err)
{
	struct bmc_stream *s = bmc->console;
	if (!s)
		return;
	s->end = *err;
	detach(s);
	loop_post(bmc->driver->loop, on_ended, s);
}

void bmc_console_cancel(struct bmc *bmc)
{
	struct err err = { 0 };
	err_set(&err, ERR_CANCELLED, "the BMC is not in use any more");
	bmc_console_end(bmc, &err);
}

/* --- events ----------------------------------------------------------------------------------- */

void bmc_set_event_handler(struct bmc *bmc, bmc_event_fn fn, void *data)
{
	bmc->on_event = fn;
	bmc->event_data = data;
}

void bmc_report(struct bmc *bmc, const struct bmc_event *event)
{
	if (bmc->on_event)
		bmc->on_event(bmc->event_data, event);
}
