#pragma once
/* Controllers, engine and boot services on one loop, over any Kubernetes API: what `ingot
 * standalone` and `ingot operator` share. The two differ only in the transport that they bring.
 * Main thread's loop. */

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

/* What the commands that run a manager share; filled by the tables below, each with its own part.
 */
struct manager_options {
	const char *namespace_watched;
	const char *namespace_own;
	const char *interface; /* NULL: nothing is booted */
	struct in_addr address;
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
	/* api_rows; without them no limit: the API server serves nobody else */
	int api_qps; /* 0 or less: no limit */
	unsigned api_burst;
	struct election_options election; /* election_rows */
	struct webhook_options webhook;	  /* webhook_option_rows; without them: none */
};

/* Of struct manager_options, by subject. */
extern const struct option_row manager_rows[], manager_boot_rows[], manager_debug_rows[],
	manager_api_rows[];
/* Of struct election_options. */
extern const struct option_row manager_election_rows[];

/* For a command whose options hold struct manager_options as `member`. */
#define MANAGER_TABLES(type, member)                                                               \
	{ "Hosts", manager_rows, offsetof(type, member) },                                         \
		{ "Network boot", manager_boot_rows, offsetof(type, member) },                     \
		{ "DHCP", boot_dhcp_rows, offsetof(type, member.dhcp) },                           \
		{ "Outgoing connections", net_target_rows, offsetof(type, member.targets) },       \
	{                                                                                          \
		"Diagnosis", manager_debug_rows, offsetof(type, member)                            \
	}

struct manager;
struct web_request;

/* What can be told of the options alone, before anything is opened or made. */
int manager_check(const struct manager_options *options, struct err *err);
/* Checks the options, which are borrowed, and opens what needs privileges: sockets of low ports, of
 * raw packets, with large buffers. They stay silent. Starts no thread. */
int manager_new(struct loop *loop, const struct manager_options *options, struct manager **ret,
		struct err *err);
/* Gives up all privileges and most system calls, for good. After what needs them, before the first
 * other thread. */
int manager_enter_sandbox(const struct manager_options *options, struct err *err);
/* `failed` is called once if the start, which goes on after this returns, does not succeed, and
 * when the Lease is lost: nothing acts on hardware any more then, and the process is to end. The
 * transport is borrowed. */
void manager_start(struct manager *m, struct kube_transport *transport,
		   void (*failed)(void *data, const struct err *err), void *data);
/* For health and metrics, whose `data` is the manager. Writes its checks, MANAGER_CHECKS at most;
 * returns how many. */
enum { MANAGER_CHECKS = 5 };
size_t manager_checks(struct manager *m, struct health_check *ret);
void manager_measure(void *manager);
/* What the engine does, as ctrl/debug.h tells it; path: "/hosts" and what is below. */
void manager_describe(void *manager, struct web_request *r, const char *path);
/* For a TLS port that others share (shared.h): the agents' paths and the boot files, with the
 * limits that they have on their own ports. While those are closed, 503; to sources outside the
 * provisioning network, 403. Ended by prefix NULL; none without network boot. */
enum { MANAGER_SHARED_ROUTES = 6 };
void manager_shared_routes(struct manager *m, struct web_route ret[MANAGER_SHARED_ROUTES]);
const char *manager_address(const struct manager *m); /* on the provisioning network; NULL: none */
/* Ends in order, within ten seconds: no more effect on hardware, writes to the API that are under
 * way end, Events are sent, the Lease is given back; then fn is called. Only manager_free() may
 * follow, also before fn. */
void manager_stop(struct manager *m, loop_fn fn, void *data);
struct manager *manager_free(struct manager *m);
