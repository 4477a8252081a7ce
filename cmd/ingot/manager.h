#pragma once
/* Controllers, engine and boot services on one loop, over any Kubernetes API: what `ingot
 * standalone` and `ingot operator` share. The two differ only in the transport that they bring.
 * Main thread's loop. */

#include "kube/transport.h"
#include "loop/loop.h"
#include "options.h"

/* First member of the options of a command that runs a manager; filled by MANAGER_OPTION_ROWS. */
struct manager_options {
	const char *namespace_watched;
	const char *namespace_own;
	const char *interface, *address;
	const char *dhcp, *dhcp_range;
	const char *ramdisk;
	const char *http_port, *agent_port;
	const char *boot_timeout;
	const char *kernel_args;
	const char *retries;
	/* MANAGER_ELECTION_ROWS; without them: always the leader */
	bool leader_elect;
	const char *lease_name, *lease_namespace;
	const char *lease_duration, *renew_deadline, *retry_period;
};

#define MANAGER_OPTION(n, arg, def, text, field)                                                   \
	{                                                                                          \
		.name = (n), .argument = (arg), .standard = (def), .help = (text),                 \
		.kind = OPTION_STRING, .offset = offsetof(struct manager_options, field)           \
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
		MANAGER_OPTION("dhcp-range", "FIRST-LAST/BITS", NULL,                              \
			       "addresses for hosts, with --dhcp server", dhcp_range),             \
		MANAGER_OPTION("ramdisk", "DIR", NULL, "holds vmlinuz and initramfs", ramdisk),    \
		MANAGER_OPTION("http-port", "PORT", "6180",                                        \
			       "boot files, on the provisioning address", http_port),              \
		MANAGER_OPTION("agent-port", "PORT", "6385",                                       \
			       "agent API, on the provisioning address", agent_port),              \
		MANAGER_OPTION("boot-timeout", "SECONDS", "1200",                                  \
			       "how long a host may take to boot the ramdisk", boot_timeout),      \
		MANAGER_OPTION("ramdisk-args", "WORDS", "console=tty0 console=ttyS0",              \
			       "more words for the ramdisk's kernel line", kernel_args),           \
		MANAGER_OPTION("max-provisioning-retries", "N", "5",                               \
			       "failed deployments of one image before giving up; 0: no limit",    \
			       retries)

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

/* `failed` is called once if the start, which goes on after this returns, does not succeed, and
 * when the Lease is lost: nothing acts on hardware any more then, and the process is to end.
 * `options` and `transport` are borrowed. */
int manager_new(struct loop *loop, struct kube_transport *transport,
		const struct manager_options *options,
		void (*failed)(void *data, const struct err *err), void *data, struct manager **ret,
		struct err *err);
/* Ends all work, gives the Lease back, then calls fn. Only manager_free() may follow. */
void manager_stop(struct manager *m, loop_fn fn, void *data);
struct manager *manager_free(struct manager *m);
