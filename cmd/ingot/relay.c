/* `ingot relay`: a DHCP relay on a machine that stands in a rack's network and has a way to Ingot.
 * A command of its own, since it needs neither cluster nor data: what it hears it passes on. One
 * process per network: its sockets are bound to one interface, and a fault in one rack stays there.
 * Wiring only; everything runs on the main thread's loop. */

#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "base/log_options.h"
#include "base/str.h"
#include "boot/check.h"
#include "boot/dhcp_relay.h"
#include "commands.h"
#include "net/options.h"
#include "process.h"

struct relay_options {
	const char *interface;
	struct net_addr address, server;
	enum log_level log_level;
};

#define FIELD(member) .offset = offsetof(struct relay_options, member)

static const struct option_row rows[] = {
	{ .name = "interface",
	  .argument = "DEVICE",
	  .help = "relay from the network on this interface",
	  .type = &option_text,
	  FIELD(interface),
	  .required = true },
	{ .name = "address",
	  .argument = "ADDRESS",
	  .help = "use this address of the interface; it tells the server the subnet",
	  .type = &net_option_machine,
	  FIELD(address),
	  .required = true },
	{ .name = "server",
	  .argument = "ADDRESS",
	  .help = "relay to this address, Ingot's --provisioning-address",
	  .type = &net_option_machine,
	  FIELD(server),
	  .required = true },
	{ .name = "log-level",
	  .argument = "LEVEL",
	  .standard = "info",
	  .help = "log records of this level and above",
	  .type = &option_choice,
	  .choices = log_levels,
	  FIELD(log_level) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 }, { NULL, NULL, 0 } };

struct relay {
	struct process process;
	struct dhcp_relay *relay;
};

static void stop(void *data)
{
	struct relay *r = data;
	process_end(&r->process);
}

/* What two options say together, and what the machine has. */
static int check(const struct relay_options *o, struct err *err)
{
	log_set_level(o->log_level);
	if (net_family(&o->address) != AF_INET || net_family(&o->server) != AF_INET)
		return err_set(err, ERR_INVALID,
			       "--address, --server: this relay is for IPv4; for IPv6 use the "
			       "DHCPv6 relay of the router, or another such as `dhcrelay -6`");
	if (net_same_ip(&o->address, &o->server))
		return err_set(
			err, ERR_INVALID,
			"--server: is the same as --address; a machine that runs Ingot needs no relay");
	return boot_check_interface("interface", o->interface, "address", &o->address, NULL, err);
}

/* Active at once: there is no Lease to wait for, and the server answers or it does not. */
static int start(struct relay *r, const struct dhcp_relay_options *options, struct err *err)
{
	char server[NET_IP_TEXT_MAX];
	int e = process_open(&r->process, err);
	if (e == 0)
		e = process_catch_signals(&r->process, err);
	if (e == 0)
		e = dhcp_relay_open(r->process.loop, options, &r->relay, err);
	if (e < 0)
		return e;
	net_format_ip(&options->server, server);
	dhcp_relay_set_active(r->relay, true);
	log_info("relaying", "interface", options->device, "server", server);
	return 0;
}

static int run(void *data)
{
	const struct relay_options *o = data;
	const struct dhcp_relay_options options = { .device = o->interface,
						    .address = o->address,
						    .server = o->server };
	struct relay r = { .process = { .command = "relay", .stop = stop, .data = &r } };
	struct err err;
	if (check(o, &err) < 0) {
		fprintf(stderr, "ingot relay: %s\n", err.text);
		return EXIT_USAGE;
	}
	int e = start(&r, &options, &err);
	process_run(&r.process, e, &err);
	dhcp_relay_close(r.relay);
	process_release_signals(&r.process);
	return process_close(&r.process);
}

const struct command relay_command = {
	.name = "relay",
	.summary = "relay DHCP from a network of hosts to Ingot on another machine",
	.options = tables,
	.options_size = sizeof(struct relay_options),
	.run = run,
};
