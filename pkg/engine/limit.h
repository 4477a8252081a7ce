#pragma once
/* How often one address may ask: a bucket of `burst` requests that fills again by one each
 * `interval`. A fixed number of addresses is remembered; where more are at work, the one that has
 * been quiet longest is forgotten. Pure; one thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/siphash.h"

struct limiter;

/* The key is unknown to those who ask, so that a client cannot choose which entry it evicts. */
struct limiter *limiter_new(unsigned burst, usec_t interval, struct siphash_key key);
struct limiter *limiter_free(struct limiter *l);
/* May this numeric address be served now? Counts the request if so. */
bool limiter_take(struct limiter *l, const char *address, usec_t now);
