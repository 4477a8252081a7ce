/* `ingot relay`: a DHCP relay on a machine that stands in a rack's network and has a way to Ingot.
 * A command of its own, since it needs neither cluster nor data: what it hears it passes on. One
 * process per network. Wiring only; everything runs on the main thread's loop. */

#include <arpa/inet.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "boot/dhcp_relay.h"
#include "boot_check.h"
#include "commands.h"

struct relay_options {
	const char *interface, *address, *server, *log_level;
};

#define ROW(n, arg, def, text, field, must)                                                        \
	{                                                                                          \
		.name = (n), .argument = (arg), .standard = (def), .help = (text),                 \
		.kind = OPTION_STRING, .offset = offsetof(struct relay_options, field),            \
		.required = (must)                                                                 \
	}

static const struct option_row rows[] = {
	ROW("interface", "DEVICE", NULL, "network of the hosts", interface, true),
	ROW("address", "ADDRESS", NULL, "our IPv4 address there: it names the subnet to the server",
	    address, true),
	ROW("server", "ADDRESS", NULL, "Ingot's provisioning address", server, true),
	ROW("log-level", "LEVEL", "info", "debug, info, warn or error", log_level, false),
	{ .name = NULL },
};

struct relay {
	struct loop *loop;
	struct loop_signal *signals[2];
	struct dhcp_relay *relay;
};

static void on_signal(void *data)
{
	struct relay *r = data;
	log_info("stopping");
	loop_stop(r->loop);
}

static int parse_address(const char *option, const char *text, struct in_addr *ret, struct err *err)
{
	if (inet_pton(AF_INET, text, ret) != 1 || ret->s_addr == 0)
		return err_set(err, ERR_INVALID, "--%s: \"%s\" is not an IPv4 address", option,
			       text);
	return 0;
}

static int parse(const struct relay_options *o, struct dhcp_relay_options *ret, struct err *err)
{
	int r = log_use_level(o->log_level, err);
	if (r < 0)
		return r;
	ret->device = o->interface;
	r = parse_address("address", o->address, &ret->address, err);
	if (r == 0)
		r = parse_address("server", o->server, &ret->server, err);
	if (r == 0 && ret->address.s_addr == ret->server.s_addr)
		r = err_set(
			err, ERR_INVALID,
			"--server: it is --address; where Ingot itself stands, it needs no relay");
	return r < 0 ? r
		     : boot_check_interface("interface", o->interface, "address", ret->address,
					    NULL, err);
}

static int start(struct relay *r, const struct dhcp_relay_options *options, struct err *err)
{
	static const int numbers[] = { SIGTERM, SIGINT };
	int e = loop_new(&r->loop, err);
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && e == 0; i++)
		e = loop_signal_open(r->loop, numbers[i], on_signal, r, &r->signals[i], err);
	return e < 0 ? e : dhcp_relay_open(r->loop, options, &r->relay, err);
}

static void stop(struct relay *r)
{
	dhcp_relay_close(r->relay);
	for (size_t i = 0; i < ARRAY_SIZE(r->signals); i++)
		loop_signal_close(r->signals[i]);
	loop_free(r->loop);
}

static int run(void *data)
{
	const struct relay_options *o = data;
	struct dhcp_relay_options options;
	struct relay r = { 0 };
	struct err err;
	if (parse(o, &options, &err) < 0) {
		fprintf(stderr, "ingot relay: %s\n", err.text);
		return EXIT_USAGE;
	}
	int e = start(&r, &options, &err);
	if (e < 0) {
		fprintf(stderr, "ingot relay: %s\n", err.text);
	} else {
		dhcp_relay_set_active(r.relay, true);
		log_info("relaying", "interface", o->interface, "server", o->server);
		loop_run(r.loop);
	}
	stop(&r);
	return e < 0 ? EXIT_FAILED : EXIT_OK;
}

const struct command relay_command = {
	.name = "relay",
	.summary = "DHCP relay from a network of hosts to Ingot elsewhere",
	.options = rows,
	.options_size = sizeof(struct relay_options),
	.run = run,
};
