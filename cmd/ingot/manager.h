#pragma once
/* Controllers, engine and boot services on one loop, over any Kubernetes API: what `ingot
 * standalone` and `ingot operator` share. The two differ only in the transport that they bring.
 * Main thread's loop. */

#include "base/options.h"
#include "kube/transport.h"
#include "loop/loop.h"
#include "net/policy.h"
#include "webhooks.h"

/* First member of the options of a command that runs a manager; filled by MANAGER_OPTION_ROWS. */
struct manager_options {
	const char *namespace_watched;
	const char *namespace_own;
	const char *interface, *address;
	const char *dhcp;
	struct option_list dhcp_ranges, dhcp_gateways;
	const char *dhcp_dns, *dhcp_domain, *dhcp_lease;
	const char *ramdisk;
	const char *http_port, *agent_port, *peer_share;
	const char *boot_timeout, *agent_timeout;
	const char *kernel_args;
	const char *retries;
	struct option_list allow_targets;
	const char *bmc_networks, *cluster_networks;
	bool no_sandbox;
	bool hold;
	/* No options: what `ingot standalone` knows of its data directory. hold_id NULL: no hold
	 * but that of --hold. `held`: all holds are stored. */
	const char *hold_id, *hold_reason;
	void (*held)(void *data);
	void *held_data;
	/* No option: what the command knows of its cluster. */
	struct net_prefixes api_servers;
	const char *debug_socket;
	bool stream_lists; /* no option either: for servers that hold much in memory for a list */
	/* NULL: no limit; the API server serves nobody else */
	const char *api_qps, *api_burst;
	/* MANAGER_ELECTION_ROWS; without them: always the leader */
	bool leader_elect;
	const char *lease_name, *lease_namespace;
	const char *lease_duration, *renew_deadline, *retry_period;
	struct webhook_options webhook; /* MANAGER_WEBHOOK_ROWS; without them: none */
};

#define MANAGER_OPTION(n, arg, def, text, field)                                                   \
	{                                                                                          \
		.name = (n), .argument = (arg), .standard = (def), .help = (text),                 \
		.kind = OPTION_STRING, .offset = offsetof(struct manager_options, field)           \
	}
#define MANAGER_LIST(n, arg, text, field)                                                          \
	{                                                                                          \
		.name = (n), .argument = (arg), .help = (text), .kind = OPTION_LIST,               \
		.offset = offsetof(struct manager_options, field)                                  \
	}
#define MANAGER_OPTION_ROWS                                                                        \
	MANAGER_OPTION("namespace", "NAME", NULL, "watch hosts of this namespace only",            \
		       namespace_watched),                                                         \
		MANAGER_OPTION("own-namespace", "NAME", "ingot-system",                            \
			       "where Ingot keeps its own Secret", namespace_own),                 \
		MANAGER_OPTION("provisioning-interface", "DEVICE", NULL,                           \
			       "network that hosts boot from; without it nothing is booted",       \
			       interface),                                                         \
		MANAGER_OPTION("provisioning-address", "ADDRESS", NULL, "our IPv4 address there",  \
			       address),                                                           \
		MANAGER_OPTION("dhcp", "MODE", "server",                                           \
			       "server, proxy (beside a DHCP server of the site) or off", dhcp),   \
		MANAGER_LIST("dhcp-range", "FIRST-LAST/BITS",                                      \
			     "addresses for hosts, with --dhcp server; once per subnet",           \
			     dhcp_ranges),                                                         \
		MANAGER_LIST("dhcp-gateway", "ADDRESS",                                            \
			     "router that hosts of its subnet are told; once per subnet",          \
			     dhcp_gateways),                                                       \
		MANAGER_OPTION("dhcp-dns", "ADDRESS,...", NULL,                                    \
			       "name servers that hosts are told", dhcp_dns),                      \
		MANAGER_OPTION("dhcp-domain", "NAME", NULL, "domain that hosts are told",          \
			       dhcp_domain),                                                       \
		MANAGER_OPTION("dhcp-lease", "SECONDS", NULL, "length of a lease; else 3600",      \
			       dhcp_lease),                                                        \
		MANAGER_OPTION("ramdisk", "DIR", NULL, "holds vmlinuz and initramfs", ramdisk),    \
		MANAGER_OPTION("http-port", "PORT", "6180",                                        \
			       "boot files, on the provisioning address", http_port),              \
		MANAGER_OPTION("agent-port", "PORT", "6385",                                       \
			       "agent API, on the provisioning address", agent_port),              \
		MANAGER_OPTION("peer-share", "PERCENT", "12",                                      \
			       "limit of one address, agent or user when connections or their "    \
			       "memory are nearly used up; 100: none",                             \
			       peer_share),                                                        \
		MANAGER_OPTION("boot-timeout", "SECONDS", "1200",                                  \
			       "how long a host may take to boot the ramdisk", boot_timeout),      \
		MANAGER_OPTION("agent-timeout", "SECONDS", "180",                                  \
			       "how long an agent at work may be silent", agent_timeout),          \
		MANAGER_OPTION("ramdisk-args", "WORDS", "console=tty0 console=ttyS0",              \
			       "more words for the ramdisk's kernel line", kernel_args),           \
		MANAGER_OPTION("max-provisioning-retries", "N", "5",                               \
			       "failed deployments of one image before giving up; 0: no limit",    \
			       retries),                                                           \
		{ .name = "hold",                                                                  \
		  .help = "hold all hosts that are known at this start until they are released",   \
		  .kind = OPTION_FLAG,                                                             \
		  .offset = offsetof(struct manager_options, hold) },                              \
		MANAGER_OPTION("debug-socket", "PATH", NULL,                                       \
			       "Unix socket that tells what the engine is doing, for ingotctl",    \
			       debug_socket),                                                      \
		MANAGER_OPTION("bmc-networks", "CIDR[,CIDR..]", NULL,                              \
			       "BMCs are in these networks only", bmc_networks),                   \
		MANAGER_OPTION("cluster-networks", "CIDR[,CIDR..]", NULL,                          \
			       "the cluster's Services and pods, never to be connected to",        \
			       cluster_networks),                                                  \
		{ .name = "allow-target",                                                          \
		  .argument = "CIDR",                                                              \
		  .help = "may be connected to although a rule refuses it; may be repeated",       \
		  .kind = OPTION_LIST,                                                             \
		  .offset = offsetof(struct manager_options, allow_targets) },                     \
	{                                                                                          \
		.name = "no-sandbox",                                                              \
		.help = "keep all privileges and system calls, to look for a fault",               \
		.kind = OPTION_FLAG, .offset = offsetof(struct manager_options, no_sandbox)        \
	}

#define MANAGER_ELECTION_ROWS                                                                      \
	{ .name = "leader-elect",                                                                  \
	  .help = "act only while holding a Lease; other instances stand by",                      \
	  .kind = OPTION_FLAG,                                                                     \
	  .offset = offsetof(struct manager_options, leader_elect) },                              \
		MANAGER_OPTION("lease-name", "NAME", "ingot", "with --leader-elect", lease_name),  \
		MANAGER_OPTION("lease-namespace", "NAME", NULL,                                    \
			       "of the Lease; else --own-namespace", lease_namespace),             \
		MANAGER_OPTION("lease-duration", "SECONDS", "15",                                  \
			       "after so long without a renewal another instance takes over",      \
			       lease_duration),                                                    \
		MANAGER_OPTION("renew-deadline", "SECONDS", "10",                                  \
			       "a leader that could not renew for so long ends", renew_deadline),  \
		MANAGER_OPTION("retry-period", "SECONDS", "2", "between tries for the Lease",      \
			       retry_period)

struct manager;
struct web_request;

/* --peer-share, for web_server_options. */
int manager_peer_share(const struct manager_options *options, unsigned *ret, struct err *err);

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
/* For health and metrics. Waits: static text, what it waits for before it acts or stands by, such
 * as its installation's Secret or, leading, a CRD; NULL: nothing. Stuck: its tries for the Lease
 * have stopped. */
const char *manager_waits(const struct manager *m);
/* Static text: what a network boot lacks at the moment; NULL: nothing, or there are none. */
const char *manager_boot_trouble(const struct manager *m);
/* Worth knowing, and no reason not to be ready; static text or NULL. */
const char *manager_note(const struct manager *m);
bool manager_admits(const struct manager *m); /* its webhooks, if it is to have any, listen */
bool manager_lease_stuck(const struct manager *m);
void manager_measure(const struct manager *m);
/* What the engine does, as ctrl/debug.h tells it; path: "/hosts" and what is below. */
void manager_describe(const struct manager *m, struct web_request *r, const char *path);
/* Ends in order, within ten seconds: no more effect on hardware, writes to the API that are under
 * way end, Events are sent, the Lease is given back; then fn is called. Only manager_free() may
 * follow, also before fn. */
void manager_stop(struct manager *m, loop_fn fn, void *data);
struct manager *manager_free(struct manager *m);
