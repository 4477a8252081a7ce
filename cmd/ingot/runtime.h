#pragma once
/* Controllers, engine and boot services on one loop, over any Kubernetes API: what `ingot
 * standalone` and `ingot operator` share. The two differ only in the transport that they bring.
 * Its parts are rows (base/service.h) in runtime.c. Main thread's loop. */

#include "admission/webhook_service.h"
#include "boot/options.h"
#include "health/health.h"
#include "kube/transport.h"
#include "loop/loop.h"
#include "net/policy.h"
#include "net/targets.h"
#include "web/web.h"

/* Who leads; all zero: always this process. */
struct election_options {
	bool enabled;
	const char *name, *ns; /* of the Lease; ns NULL: Ingot's own */
	usec_t duration, renew_deadline, retry;
};

/* What the commands that run controllers share; filled by the tables below, each with its own part.
 */
struct runtime_options {
	const char *namespace_watched;
	const char *namespace_own;
	const char *interface; /* NULL: nothing is booted */
	struct net_pair address;
	const char *ramdisk, *kernel_args;
	uint16_t http_port, agent_port;
	unsigned peer_share;
	usec_t boot_timeout, agent_timeout;
	struct boot_dhcp_options dhcp;
	unsigned retries;
	bool hold;
	struct net_target_options targets;
	bool no_sandbox;
	const char *debug_socket;
	/* No options: what `ingot standalone` knows of its data directory. hold_id NULL: no hold
	 * but that of --hold. `held`: all holds are stored. */
	const char *hold_id, *hold_reason;
	void (*held)(void *data);
	void *held_data;
	bool stream_lists; /* no option either: for servers that hold much in memory for a list */
	/* api_rows; without them no limit: the API server serves this process alone */
	int api_qps; /* 0 or less: no limit */
	unsigned api_burst;
	struct election_options election; /* election_rows */
	struct webhook_options webhook;	  /* webhook_option_rows; without them: none */
};

/* Of struct runtime_options, by subject. */
extern const struct option_row runtime_rows[], runtime_boot_rows[], runtime_debug_rows[],
	runtime_api_rows[];
/* Of struct election_options. */
extern const struct option_row runtime_election_rows[];

/* For a command whose options hold struct runtime_options as `member`. */
#define RUNTIME_TABLES(type, member)                                                               \
	{ "Hosts", runtime_rows, offsetof(type, member) },                                         \
		{ "Network boot", runtime_boot_rows, offsetof(type, member) },                     \
		{ "DHCP", boot_dhcp_rows, offsetof(type, member.dhcp) },                           \
		{ "Outgoing connections", net_target_rows, offsetof(type, member.targets) },       \
	{                                                                                          \
		"Diagnosis", runtime_debug_rows, offsetof(type, member)                            \
	}

struct runtime;
struct web_request;

/* What can be said of the options alone, before anything is opened or made. They are borrowed. */
int runtime_new(const struct runtime_options *options, struct runtime **ret, struct err *err);
/* Opens what needs privileges: sockets of low ports, of raw packets, with large buffers. They stay
 * silent. Starts no thread. */
int runtime_open(struct runtime *rt, struct loop *loop, struct err *err);
/* Gives up all privileges and most system calls, for good. After what needs them, before the first
 * other thread. */
int runtime_enter_sandbox(const struct runtime_options *options, struct err *err);
/* `failed` is called once if the start, which goes on after this returns, does not succeed, and
 * when the Lease is lost: nothing acts on hardware any more then, and the process is to end. The
 * transport is borrowed. */
void runtime_start(struct runtime *rt, struct kube_transport *transport,
		   void (*failed)(void *data, const struct err *err), void *data);
/* For health and metrics, whose `data` is the runtime. Writes its checks, RUNTIME_CHECKS at most;
 * returns how many. */
enum { RUNTIME_CHECKS = 5 };
size_t runtime_checks(struct runtime *rt, struct health_check *ret);
void runtime_measure(void *runtime);
/* What the engine does, as ctrl/debug.h tells it; path: "/hosts" and what is below. */
void runtime_describe(void *runtime, struct web_request *r, const char *path);
/* For a TLS port that others share (site/shared.h): the agents' paths and the boot files, with the
 * limits that they have on their own ports. While those are closed, 503; to sources outside the
 * provisioning network, 403. Ended by prefix NULL; none without network boot. */
enum { RUNTIME_SHARED_ROUTES = 6 };
void runtime_shared_routes(struct runtime *rt, struct web_route ret[RUNTIME_SHARED_ROUTES]);
/* On the provisioning network, of both families; none is set without one. */
struct net_pair runtime_addresses(const struct runtime *rt);
/* Ends in order, within ten seconds: no more effect on hardware, writes to the API that are under
 * way end, Events are sent, the Lease is given back; then fn is called. Only runtime_free() may
 * follow, also before fn. */
void runtime_stop(struct runtime *rt, loop_fn fn, void *data);
struct runtime *runtime_free(struct runtime *rt);
