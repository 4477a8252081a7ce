#pragma once
/* Shared by the files of pkg/health only. */

#include "health/health.h"
#include "web/router.h"

struct scrapes;

/* The tables, for the tests: data is the health, or the scrapes. */
extern const struct web_router health_router, metrics_router, debug_router;

/* scrape.c. Requests for metrics come on `own`, the thread of the health. */
struct scrapes *health_scrapes_new(const struct health_options *options, struct loop *own);
struct scrapes *health_scrapes_free(struct scrapes *s);
/* web_handler_fns: of /metrics, and of what is below /debug. */
void health_scrapes_handle(void *data, struct web_request *r);
void health_scrapes_handle_debug(void *data, struct web_request *r);
