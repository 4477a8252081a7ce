#pragma once
/* For those who write a driver: the op tables, and the part of `struct bmc` that drivers see. A
 * driver embeds `struct bmc` first in its own per-BMC struct and `struct bmc_driver` in what its
 * BMCs share.
 *
 * bmc.c keeps the queue, the deadlines and the circuit breaker. It starts one request at a time;
 * the driver ends it with bmc_complete(), from the loop and never inside the start function. */

#include "base/list.h"
#include "bmc/bmc.h"

/* One request: the driver reads `request` and fills `result`, whose strings are the task's from
 * then on. */
struct bmc_task {
	struct list link;
	struct loop *loop;
	uint64_t ticket;
	struct bmc_request request;
	struct bmc_result result;
	usec_t deadline, started;
	bmc_done_fn done;
	void *data;
};

typedef void (*bmc_start_fn)(struct bmc *bmc, struct bmc_task *task);

/* The console of a BMC. */
struct bmc_console_ops {
	int (*open)(struct bmc *bmc, struct err *err);
	int (*write)(struct bmc *bmc, const void *bytes, size_t len, struct err *err);
	void (*close)(struct bmc *bmc); /* also after bmc_console_end() */
};

struct bmc_ops {
	const char *name;
	size_t bmc_size; /* of the struct that embeds struct bmc */

	/* May be NULL: everything is valid. */
	int (*validate)(const struct bmc_address *address,
			const struct bmc_credentials *credentials, struct err *err);
	/* The rest of the struct is zeroed, the common part filled. May be NULL. */
	void (*open)(struct bmc *bmc);
	/* No request runs any more. The common part frees the memory. May be NULL. */
	void (*close)(struct bmc *bmc);
	/* The running request is over its deadline or cancelled: forget it. Fills `err` with what
	 * is known of why it took so long. */
	void (*abandon)(struct bmc *bmc, struct err *err);
	/* The last request is done, none waits and no console is open; `keep` is how long the
	 * request asked to keep the session. May be NULL. */
	void (*idle)(struct bmc *bmc, usec_t keep);
	void (*credentials_changed)(struct bmc *bmc); /* may be NULL */
	void (*free)(struct bmc_driver *driver);

	bmc_start_fn start[_BMC_OP_MAX];       /* NULL: unsupported */
	usec_t timeout;			       /* of a request, if nobody says another; 0: 30 s */
	unsigned boot_devices;		       /* bit per enum bmc_device, for BMC_OP_SET_BOOT */
	const struct bmc_console_ops *console; /* NULL: unsupported */
};

struct bmc_driver {
	const struct bmc_ops *ops;
	struct loop *loop;
	unsigned open_count;
	struct fence fence;
};

struct bmc {
	struct bmc_driver *driver;
	struct bmc_address address;
	struct bmc_credentials credentials;
	char *key;		    /* for the fence; NULL: of no host */
	char *ca, *pinned_sha256;   /* options' own copies */
	struct bmc_options options; /* without zeros: the defaults are filled in */
	struct list queue;	    /* of struct bmc_task */
	struct bmc_task *running;
	struct timer timer; /* starts requests and watches their deadlines */
	struct bmc_stream *console;
	bmc_event_fn on_event;
	void *event_data;
	uint64_t last_ticket;
	usec_t breaker_until; /* circuit breaker */
	char *last_error;
	enum err_kind last_kind;
	unsigned failures; /* in a row */
	bool chain_broken; /* the last request failed, and none is queued behind it */
	bool busy, closed; /* inside a callback; closed in it */
};

/* To be asked before each packet or request on the wire; bmc.c asks before it starts a request. 0,
 * or -errno with what ends the request. */
int bmc_may_act(const struct bmc *bmc, struct err *err);
/* stream.c, called by bmc.c when the BMC is closed. */
void bmc_console_cancel(struct bmc *bmc);
/* From the loop, not inside one of bmc_console_ops. The console or the BMC may be gone when these
 * return. */
void bmc_console_bytes(struct bmc *bmc, const void *bytes, size_t len);
void bmc_console_end(struct bmc *bmc, const struct err *err);
/* From the loop. */
void bmc_report(struct bmc *bmc, const struct bmc_event *event);
/* Ends the running request with task->result. The BMC may be gone when this returns. */
void bmc_complete(struct bmc *bmc);
