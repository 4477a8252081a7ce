#pragma once
/* Asking one BMC and waiting for its answers, whatever is behind it. The trace has a word for each
 * answer since the last expect(): "ok", or the kind of the error. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "bmc/bmc.h"
#include "loop/loop.h"

struct asking {
	struct loop *loop;
	struct bmc *bmc;
	unsigned waiting; /* for so many results */
	char trace[1024];
	struct bmc_result last;
};

static inline void asking_stop_now(void *data)
{
	loop_stop(data);
}

/* Posted, because several timers may be due together. */
static inline void asking_stop(void *data)
{
	struct asking *a = data;
	loop_post(a->loop, asking_stop_now, a->loop);
}

static inline void asking_done(void *data, const struct bmc_result *result)
{
	struct asking *a = data;
	size_t n = strlen(a->trace);
	snprintf(a->trace + n, sizeof(a->trace) - n, "%s ",
		 result->err.kind == ERR_NONE ? "ok" : err_kind_info(result->err.kind)->name);
	a->last = *result;
	if (--a->waiting == 0)
		asking_stop(a);
}

static inline uint64_t ask(struct asking *a, const struct bmc_request *request)
{
	a->waiting++;
	return bmc_submit(a->bmc, request, asking_done, a);
}

static inline uint64_t get_power(struct asking *a)
{
	return ask(a, &(struct bmc_request){ .op = BMC_OP_GET_POWER });
}

static inline uint64_t act(struct asking *a, enum bmc_action action)
{
	return ask(a, &(struct bmc_request){ .op = BMC_OP_SET_POWER, .action = action });
}

/* Lets the loop run until all have answered. */
static inline void expect(struct asking *a, const char *trace)
{
	if (a->waiting > 0)
		loop_run(a->loop);
	if (!streq(a->trace, trace))
		fail_msg("\"%s\" instead of \"%s\": %s", a->trace, trace, a->last.err.text);
	a->trace[0] = '\0';
}
