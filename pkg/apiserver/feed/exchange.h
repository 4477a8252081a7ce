#pragma once
/* An exchange: what stands between a front and the answer that it waits for. It outlives the call:
 * answers wait for the commit, and streams go on. */

#include "apiserver/internal.h"

struct api_exchange {
	struct list link;  /* of the batch that owes the answer, or of the calls that go on */
	struct call *call; /* that goes on; owned */
	struct apiserver *s;
	const struct api_front_ops *ops;
	void *front;
	bool aborted;
	int status;
	const char *content_type;
	struct strbuf body;
	struct unknown_fields warnings;
	const char *verb; /* of HTTP; static */
	usec_t began;
	struct watch *watch; /* to be started */
	struct watch *live;  /* owns this exchange */
	bool *alive;	     /* told when the exchange goes */
};

struct api_exchange *exchange_new(struct apiserver *s, const char *method,
				  const struct api_front_ops *ops, void *front);
/* The answer moves to where it can wait for the commit. */
void exchange_take(struct api_exchange *x, struct answer *a);
/* Nothing of its batch has happened: whoever waits is told so. */
void exchange_spoil(struct api_exchange *x, const struct err *err);
/* Nobody waits for the answer any more. */
void exchange_drop(struct api_exchange *x);
/* The answer leaves, or its stream begins. */
void exchange_finish(struct api_exchange *x);
