#pragma once
/* One reconcile of a BareMetalHost, as a pure function: the object and the facts around it go in,
 * writes, events and a time to come back come out. Hardware is reached only through the
 * provisioner, whose calls never block. The shell that gathers the facts and makes the writes is
 * host/controller.c. */

#include "api/bmh.h"
#include "ctrl/shell/facts.h"
#include "ctrl/shell/outcome.h"
#include "prov/prov.h"

/* --- in --------------------------------------------------------------------------------------- */

/* Which Secrets a reconcile wants to see; names are borrowed from the host, NULL: not this one. */
enum host_secret_use {
	SECRET_BMC,
	SECRET_USER_DATA,
	SECRET_META_DATA,
	SECRET_NETWORK_DATA,
	SECRET_PREPROVISIONING, /* networkData of the ramdisk, and of a host without its own */
	_SECRET_USE_MAX
};

struct host_facts {
	const struct json *object; /* the BareMetalHost */
	struct bmh *host;	   /* the same, bound: it is taken, and zeroed; NULL: not yet */
	const struct json *hardware_data; /* HardwareData of the same name; NULL: none */
	const struct json *record;	  /* its HostRecord; NULL: none, or another host's */
	const struct fact *secrets;	  /* by enum host_secret_use */
	struct json *const *owned;	  /* Secrets of which this host is an owner */
	size_t owned_count;
	struct provisioner *provisioner;
	bool held; /* nothing is done to the host until a person releases it */
	struct prov_hold hold;
	usec_t now;			   /* wall */
	double random;			   /* uniform in [0, 1): jitter of back-offs */
	unsigned max_provisioning_retries; /* 0: unlimited */
};

/* --- out: an outcome (shell/outcome.h); before and after are status.provisioning.state --- */

/* Paused, or being moved away: nothing is done for it, and nothing written to it. */
bool host_is_held(const struct json *object);
/* Fills names with what the reconcile will look at; to be fetched before. */
void host_secrets_wanted(const struct bmh *h, const char *names[_SECRET_USE_MAX]);
void host_reconcile(const struct host_facts *facts, struct outcome *ret);

/* The wait after the n-th failure in a row: 2^min(n,9) minutes, less up to a half of it. */
usec_t host_backoff(int64_t error_count, double random);
