#pragma once
/* One reconcile of a BareMetalHost, as a pure function: the object and the facts around it go in,
 * writes, events and a time to come back come out. Hardware is reached only through the
 * provisioner, whose calls never block. The shell that gathers the facts and makes the writes is
 * host/controller.c. */

#include "api/bmh.h"
#include "metrics/metrics.h"
#include "prov/prov.h"

/* --- in --------------------------------------------------------------------------------------- */

enum secret_state { SECRET_NOT_ASKED, SECRET_FOUND, SECRET_MISSING, SECRET_FAILED };

struct host_secret {
	enum secret_state state;
	const struct json *object; /* SECRET_FOUND */
	struct err err;		   /* SECRET_FAILED */
};

/* Which Secrets a pass wants to see; names are borrowed from the host, NULL: not this one. */
enum host_secret_use {
	SECRET_BMC,
	SECRET_USER_DATA,
	SECRET_META_DATA,
	SECRET_NETWORK_DATA,
	SECRET_PREPROVISIONING, /* networkData of the ramdisk, and of a host without its own */
	_SECRET_USE_MAX
};

struct host_facts {
	const struct json *object;	  /* the BareMetalHost */
	const struct json *hardware_data; /* HardwareData of the same name; NULL: none */
	const struct json *record;	  /* its HostRecord; NULL: none, or another host's */
	struct host_secret secrets[_SECRET_USE_MAX];
	struct json *const *owned; /* Secrets of which this host is an owner */
	size_t owned_count;
	struct provisioner *provisioner;
	bool held; /* nothing is done to the host until a person releases it */
	struct prov_hold hold;
	usec_t now;			   /* wall */
	double random;			   /* uniform in [0, 1): jitter of back-offs */
	unsigned max_provisioning_retries; /* 0: unlimited */
};

/* --- out -------------------------------------------------------------------------------------- */

enum host_write_kind {
	HOST_PATCH_STATUS, /* merge patch of the host's status, with its resourceVersion */
	HOST_PATCH,	   /* merge patch of the host */
	HOST_SECRET_PATCH, /* merge patch of a Secret of the host's namespace */
	HOST_HARDWARE_CREATE,
	HOST_HARDWARE_PATCH,
	HOST_HARDWARE_DELETE,
	HOST_RECORD_UPDATE, /* the whole HostRecord, with its resourceVersion */
};

struct host_write {
	enum host_write_kind kind;
	char *name;	   /* of the Secret; UID of the HardwareData that is deleted */
	struct json *body; /* NULL for a deletion */
};

struct host_event {
	bool warning;
	const char *reason; /* static */
	char *message;
};

/* Something to be counted when the writes are made: what is decided anew after a conflict must not
 * count twice. Of a metric that tells of hosts the first two labels are left out. */
struct host_measure {
	enum metric_id metric;
	double value;
	const char *labels[2]; /* static; NULL: no more */
};

enum { HOST_MEASURES_MAX = 8 };

enum host_verdict {
	HOST_WAIT,  /* come back after requeue (0: only when something happens) */
	HOST_AGAIN, /* at once */
	HOST_RETRY, /* a passing failure: with the queue's back-off; see err */
	HOST_GONE,  /* the last finalizer goes: forget the host */
};

struct host_result {
	struct host_write *writes; /* in this order */
	size_t write_count;
	struct host_event *events;
	size_t event_count;
	struct host_measure measures[HOST_MEASURES_MAX];
	size_t measure_count;
	enum bmh_state before, after; /* status.provisioning.state */
	enum host_verdict verdict;
	usec_t requeue;
	bool backoff; /* the requeue is a back-off: nothing but a change of the host or its Secrets
			 cuts it short */
	struct err err;
};

/* Paused, or being moved away: nothing is done for it, and nothing written to it. */
bool host_is_held(const struct json *object);
/* Fills names with what the pass will look at; to be fetched before. */
void host_secrets_wanted(const struct bmh *h, const char *names[_SECRET_USE_MAX]);
void host_reconcile(const struct host_facts *facts, struct host_result *ret);
void host_result_release(struct host_result *r);
/* measures.c: counts what the pass says, for the host of that name. any thread */
void host_result_count(const struct host_result *r, const char *ns, const char *name);

/* The wait after the n-th failure in a row: 2^min(n,9) minutes, less up to a half of it. */
usec_t host_backoff(int64_t error_count, double random);
