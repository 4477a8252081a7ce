#pragma once
/* What a reconcile is told: the object, and the objects that it names. They are taken from a cache
 * where one has them, and asked for otherwise: some caches hold only what is labelled as ours. Core
 * thread. */

#include "kube/client.h"
#include "kube/informer.h"

enum fact_state { FACT_NOT_ASKED, FACT_FOUND, FACT_MISSING, FACT_FAILED };

struct fact {
	enum fact_state state;
	struct json *object; /* FACT_FOUND */
	struct err err;	     /* FACT_FAILED */
};

/* A kind of which an object may be named. */
struct want {
	const struct kube_resource *resource; /* NULL: ends the rows */
	const struct kube_informer *cache;    /* NULL: none */
};

enum { FACTS_MAX = 8 };

struct facts {
	const char *key;	   /* "namespace/name" */
	const struct json *object; /* as the cache had it when the reconcile began */
	void *bound;		   /* the same, by the definition's bind() */
	struct fact named[FACTS_MAX];
};

/* Gathers facts->named of one namespace; zeroed before. */
struct facts_job {
	struct facts *facts;
	struct fetch {
		struct facts_job *job;
		struct fact *fact;
		struct kube_op *op;
	} fetches[FACTS_MAX];
	unsigned waiting;
	loop_fn done;
	void *data;
};

/* names: by row of wants, NULL: not this one. True: all are there. False: `done` is called when
 * they are. */
bool facts_gather(struct facts_job *j, struct facts *facts, struct kube_client *client,
		  const struct want *wants, const char *const names[FACTS_MAX], const char *ns,
		  loop_fn done, void *data);
/* Cancels what is under way, and frees what was found. */
void facts_job_done(struct facts_job *j);
