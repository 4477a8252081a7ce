/* The options that `standalone` and `operator` share (see runtime.h), by subject. The rows are all
 * that knows of them: check, help, and the comparison with docs and the chart follow from a row. A
 * new option is a row here, a member of struct runtime_options, and a row in docs/install.md;
 * test_options finds what is missing. */

#include <stddef.h>

#include "runtime.h"

/* A day is longer than any boot, and an hour than any Lease that is of use; both keep sums of times
 * far away from overflow. */
enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, RATE_MAX = 100 * 1000, RETRIES_MAX = 1000 };

#define FIELD(member)	 .offset = offsetof(struct runtime_options, member)
#define ELECTION(member) .offset = offsetof(struct election_options, member)

/* Which hosts, and how long Ingot insists: an image that five deployments could not bring up will
 * not come up by a sixth. */
const struct option_row runtime_rows[] = {
	{ .name = "namespace",
	  .argument = "NAME",
	  .help = "watch only the hosts of this namespace",
	  .type = &option_label,
	  FIELD(namespace_watched) },
	{ .name = "own-namespace",
	  .argument = "NAME",
	  .standard = "ingot-system",
	  .help = "keep Ingot's own Secrets in this namespace",
	  .type = &option_label,
	  FIELD(namespace_own) },
	{ .name = "max-provisioning-retries",
	  .argument = "N",
	  .standard = "5",
	  .help = "give up after this many failed deployments of one image; 0: never",
	  .type = &option_unsigned,
	  .max = RETRIES_MAX,
	  FIELD(retries) },
	{ .name = "hold",
	  .help = "hold all hosts that exist at this start until they are released",
	  .type = &option_flag,
	  FIELD(hold) },
	{ .name = NULL },
};

/* Ports 6180 and 6385 are those of Metal3's httpd and of Ironic's API: firewalls of sites that come
 * from there let them pass already. Without an interface all of this has no effect, and is checked
 * nevertheless: a wrong value is found on the day that it is written. */
const struct option_row runtime_boot_rows[] = {
	{ .name = "provisioning-interface",
	  .argument = "DEVICE",
	  .help = "boot hosts from the network on this interface; without it their power can be controlled, but they cannot be network-booted",
	  .type = &option_text,
	  FIELD(interface) },
	{ .name = "provisioning-address",
	  .argument = "ADDRESS[,ADDRESS]",
	  .help = "use this IPv4 or IPv6 address, or one of each with a comma; the interface must have them",
	  .type = &net_option_pair,
	  FIELD(address) },
	{ .name = "ramdisk",
	  .argument = "DIR",
	  .help = "boot vmlinuz and initramfs from this directory",
	  .type = &option_path,
	  FIELD(ramdisk) },
	{ .name = "ramdisk-args",
	  .argument = "WORDS",
	  .standard = "console=tty0 console=ttyS0",
	  .help = "add these kernel arguments for the ramdisk",
	  .type = &boot_option_words,
	  FIELD(kernel_args) },
	{ .name = "http-port",
	  .argument = "PORT",
	  .standard = "6180",
	  .help = "serve boot files on this port of the provisioning address",
	  .type = &option_port,
	  .min = 1,
	  .max = UINT16_MAX,
	  FIELD(http_port) },
	{ .name = "agent-port",
	  .argument = "PORT",
	  .standard = "6385",
	  .help = "serve the agents' API on this port of the provisioning address",
	  .type = &option_port,
	  .min = 1,
	  .max = UINT16_MAX,
	  FIELD(agent_port) },
	{ .name = "peer-share",
	  .argument = "PERCENT",
	  .standard = "12",
	  .help = "limit one address, agent or user to this share of connections and their memory when these are nearly used up; 100: no limit",
	  .type = &option_unsigned,
	  .min = 1,
	  .max = 100,
	  FIELD(peer_share) },
	{ .name = "boot-timeout",
	  .argument = "SECONDS",
	  .standard = "1200",
	  .help = "allow this long for a host to boot the ramdisk",
	  .type = &option_seconds,
	  .min = 1,
	  .max = DAY_S,
	  FIELD(boot_timeout) },
	{ .name = "agent-timeout",
	  .argument = "SECONDS",
	  .standard = "180",
	  .help = "allow a working agent to be silent for this long",
	  .type = &option_seconds,
	  .min = 1,
	  .max = DAY_S,
	  FIELD(agent_timeout) },
	{ .name = NULL },
};

/* For looking at a process that runs, and for finding out whether a fault comes from the sandbox.
 */
const struct option_row runtime_debug_rows[] = {
	{ .name = "debug-socket",
	  .argument = "PATH",
	  .help = "serve the state of the engine for ingotctl on this Unix socket",
	  .type = &option_socket,
	  FIELD(debug_socket) },
	{ .name = "no-sandbox",
	  .help = "disable the sandbox (debugging)",
	  .type = &option_flag,
	  FIELD(no_sandbox) },
	{ .name = NULL },
};

/* Names, defaults and the meaning of 0 and of negative numbers are baremetal-operator's, so that
 * values can be taken over from its manifests. */
const struct option_row runtime_api_rows[] = {
	{ .name = "kube-api-qps",
	  .argument = "N",
	  .standard = "20",
	  .help = "send at most this many requests per second to the cluster's API; 0 or negative: no limit",
	  .type = &option_integer,
	  .min = -RATE_MAX,
	  .max = RATE_MAX,
	  FIELD(api_qps) },
	{ .name = "kube-api-burst",
	  .argument = "N",
	  .standard = "30",
	  .help = "allow this many requests at once before that limit applies",
	  .type = &option_unsigned,
	  .min = 1,
	  .max = RATE_MAX,
	  FIELD(api_burst) },
	{ .name = NULL },
};

/* Names and defaults are client-go's. The manifests set shorter times: a takeover within 6 s is
 * worth a renewal each second. What the three must be together, kube_lease_check() says. */
const struct option_row runtime_election_rows[] = {
	{ .name = "leader-elect",
	  .help = "act only while holding a Lease; other instances stand by",
	  .type = &option_flag,
	  ELECTION(enabled) },
	{ .name = "lease-name",
	  .argument = "NAME",
	  .standard = "ingot",
	  .help = "use the Lease of this name",
	  .type = &option_subdomain,
	  ELECTION(name) },
	{ .name = "lease-namespace",
	  .argument = "NAME",
	  .help = "use the Lease in this namespace; default: --own-namespace",
	  .type = &option_label,
	  ELECTION(ns) },
	{ .name = "lease-duration",
	  .argument = "SECONDS",
	  .standard = "15",
	  .help = "let another instance take over after this long without a renewal",
	  .type = &option_seconds,
	  .min = 1,
	  .max = HOUR_S,
	  ELECTION(duration) },
	{ .name = "renew-deadline",
	  .argument = "SECONDS",
	  .standard = "10",
	  .help = "end the process if the Lease cannot be renewed for this long",
	  .type = &option_seconds,
	  .min = 1,
	  .max = HOUR_S,
	  ELECTION(renew_deadline) },
	{ .name = "retry-period",
	  .argument = "SECONDS",
	  .standard = "2",
	  .help = "wait this long between attempts to get or renew the Lease",
	  .type = &option_seconds,
	  .min = 1,
	  .max = HOUR_S,
	  ELECTION(retry) },
	{ .name = NULL },
};
