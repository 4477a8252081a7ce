/* ingot-agent: the deploy agent in the ramdisk. Flags and wiring; the work is in pkg/agent.
 *
 * `run` gives the machine into a server's hands, which may wipe its disks, so it is never the
 * default: the ramdisk's init asks for it. `network` sets the network up by a host's data, also for
 * that init. `inventory` prints what would be posted; `write` writes an image without a server, for
 * tests and benchmarks.
 *
 * The same options serve a machine and a test: with --root all that the agent reads of the machine
 * is below a directory, and a power command ends the process with a status of its own. */

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dhcp6_nic.h"
#include "agent/disk/image.h"
#include "agent/effects.h"
#include "agent/hw/inventory.h"
#include "agent/hw/sysfs.h"
#include "agent/logs.h"
#include "agent/network/apply.h"
#include "agent/session.h"
#include "agentapi/bootconfig.h"
#include "base/command.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* Where stock ramdisks and ours find a private CA. */
static const char *const ca_files[] = { "/etc/ironic-python-agent/ironic.crt",
					"/etc/ingot/ca.crt" };

struct run_options {
	const char *cmdline, *ca, *root;
	struct option_list params;
	bool plain_http;
};

#define RUN(member) .offset = offsetof(struct run_options, member)

/* For tests, and for ramdisks of others: ours needs none of them, since its kernel line says all.
 */
static const struct option_row run_rows[] = {
	{ .name = "cmdline",
	  .argument = "FILE",
	  .help = "read parameters from this file, not /proc/cmdline",
	  .type = &option_path,
	  RUN(cmdline) },
	{ .name = "param",
	  .argument = "K=V",
	  .help = "set one more parameter, which overrides the command line; may be repeated",
	  .type = &option_texts,
	  RUN(params) },
	{ .name = "ca",
	  .argument = "FILE",
	  .help = "trust these certificates (PEM) for the server and images",
	  .type = &option_path,
	  RUN(ca) },
	{ .name = "root",
	  .argument = "DIR",
	  .help = "for tests: read /sys, /proc, /dev and /etc below DIR, open no device elsewhere, "
		  "and end with status 10 instead of a power off, 11 instead of a reboot",
	  .type = &option_text,
	  RUN(root) },
	{ .name = "plain-http",
	  .help = "serve the API without TLS",
	  .type = &option_flag,
	  RUN(plain_http) },
	{ .name = NULL },
};

/* --- run ------------------------------------------------------------------------------------- */

struct process {
	struct loop *loop;
	struct agent_session *session;
	int status;
};

static void on_failed(void *data, const struct err *err)
{
	struct process *p = data;
	(void)err; /* logged already */
	p->status = EXIT_FAILED;
	loop_stop(p->loop);
}

static void on_signal(void *data)
{
	struct process *p = data;
	loop_stop(p->loop);
}

/* Quoted, as the kernel line quotes a value with blanks. */
static char *all_params(const struct option_list *params)
{
	struct strbuf text = { 0 };
	for (size_t i = 0; i < params->count; i++)
		strbuf_addf(&text, "\"%s\" ", params->items[i]);
	return strbuf_take(&text, NULL);
}

/* What the host's own medium says beats the kernel line, which many hosts may share. The file stays
 * where it is: an agent that has to start again needs it, and every process of a ramdisk may read
 * the memory of every other. */
static void load_medium(const char *root, struct agent_config *c, char **ret_ca)
{
	struct bootconfig medium = { 0 };
	struct err err = { 0 };
	size_t len;
	_cleanup_(freep) uint8_t *text = hw_read_bytes(root, &len, BOOTCONFIG_FILE);
	if (!text)
		return;
	int r = bootconfig_parse((const char *)text, len, &medium, &err);
	secret_zero(text, len);
	if (r < 0) {
		log_error("the boot medium's " BOOTCONFIG_FILE " cannot be used", "error",
			  err.text);
		return;
	}
	agent_config_take(c, &medium);
	*ret_ca = xstrdup(medium.ca);
	log_info("settings come from the boot medium", "node", medium.node_uuid);
	bootconfig_done(&medium);
}

/* A line that cannot be read is logged, and the agent goes on: the log reaches the server only if
 * it does. */
static void load_config(const struct run_options *o, const char *root, struct agent_config *c,
			char **ret_ca)
{
	struct err err = { 0 };
	_cleanup_(freep) char *params = all_params(&o->params);
	_cleanup_(freep) char *line = o->cmdline ? hw_read("", "%s", o->cmdline)
						 : hw_read(root, "/proc/cmdline");
	agent_config_init(c);
	if (line && agent_config_parse(c, line, &err) < 0)
		log_warn("kernel command line", "error", err.text);
	load_medium(root, c, ret_ca);
	if (*params && agent_config_parse(c, params, &err) < 0)
		log_warn("parameters", "error", err.text);
	if (c->debug)
		log_set_level(LOG_DEBUG);
}

/* NULL: the certificates that the system trusts. */
static char *load_ca(const char *path, const char *root)
{
	if (path)
		return hw_read("", "%s", path);
	for (size_t i = 0; i < ARRAY_SIZE(ca_files); i++) {
		char *pem = hw_read(root, "%s", ca_files[i]);
		if (pem)
			return pem;
	}
	return NULL;
}

/* The loop runs until the session ends it by a power command, or a signal does. */
static int serve(struct process *p, const struct agent_session_options *options, struct err *err)
{
	struct loop_signal *term = NULL, *interrupt = NULL;
	p->session = agent_session_new(options, err);
	if (!p->session)
		return err_value(err);
	int r = loop_signal_open(p->loop, SIGTERM, on_signal, p, &term, err);
	if (r == 0)
		r = loop_signal_open(p->loop, SIGINT, on_signal, p, &interrupt, err);
	if (r == 0)
		loop_run(p->loop);
	if (term)
		loop_signal_close(term);
	if (interrupt)
		loop_signal_close(interrupt);
	return r;
}

static int run_agent(void *data)
{
	const struct run_options *o = data;
	const char *root = str_or(o->root, "");
	struct process p = { 0 };
	struct agent_config config = { 0 };
	struct web *web = NULL;
	struct err err = { 0 };
	agent_logs_start();
	_cleanup_(freep) char *medium_ca = NULL;
	load_config(o, root, &config, &medium_ca);
	_cleanup_(freep) char *ca = medium_ca && !o->ca ? xstrdup(medium_ca) : load_ca(o->ca, root);
	const struct agent_effects effects = *root ? agent_effects_process() : agent_effects_real();
	int r = loop_new(&p.loop, &err);
	if (r == 0)
		r = web_new(&web, &err);
	const struct agent_session_options options = {
		.loop = p.loop,
		.web = web,
		.config = &config,
		.effects = &effects,
		.ca = ca,
		.root = root,
		.plain_http = o->plain_http,
		.failed = on_failed,
		.data = &p,
	};
	log_info("ingot-agent", "version", INGOT_VERSION);
	if (r == 0)
		r = serve(&p, &options, &err);
	if (r < 0)
		log_error("cannot start", "error", err.text);
	/* A command or a job may still run on the pool: the process ends with everything in place.
	 */
	return r < 0 ? EXIT_FAILED : p.status;
}

/* --- inventory ------------------------------------------------------------------------------- */

struct inventory_options {
	const char *root;
};

static const struct option_row inventory_rows[] = {
	{ .name = "root",
	  .argument = "DIR",
	  .help = "for tests: read /sys, /proc, /dev and /etc below DIR",
	  .type = &option_text,
	  .offset = offsetof(struct inventory_options, root) },
	{ .name = NULL },
};

static int print_inventory(void *data)
{
	const struct inventory_options *o = data;
	const struct hw_inventory_options options = { .root = str_or(o->root, "") };
	struct json *j = hw_inventory(&options);
	struct strbuf text = { 0 };
	json_print_pretty(j, &text);
	printf("%s\n", text.data);
	strbuf_done(&text);
	json_free(j);
	return EXIT_OK;
}

/* --- network --------------------------------------------------------------------------------- */

struct network_command {
	const char *data, *problems, *resolver;
	unsigned wait_s;
};

#define NETWORK(member) .offset = offsetof(struct network_command, member)

enum { NIC_WAIT_MAX_S = 600, ADDRESS_WAIT_MS = 10000 };

static const struct option_row network_rows[] = {
	{ .name = "data",
	  .argument = "FILE",
	  .standard = BOOTCONFIG_NETWORK_FILE,
	  .help = "the host's network data, in the grammar of OpenStack",
	  .type = &option_path,
	  NETWORK(data) },
	{ .name = "problems",
	  .argument = "FILE",
	  .help = "write here, a line each, what could not be applied",
	  .type = &option_path,
	  NETWORK(problems) },
	{ .name = "resolver",
	  .argument = "FILE",
	  .help = "write the data's DNS servers here, as in resolv.conf",
	  .type = &option_path,
	  NETWORK(resolver) },
	{ .name = "nic-wait",
	  .argument = "SECONDS",
	  .standard = "20",
	  .help = "wait this long for NICs that the data names",
	  .type = &option_unsigned,
	  .max = NIC_WAIT_MAX_S,
	  NETWORK(wait_s) },
	{ .name = NULL },
};

static void write_text(const char *path, const char *text)
{
	FILE *f = path ? fopen(path, "we") : NULL;
	if (!path)
		return;
	bool ok = f && fputs(text, f) >= 0;
	if (f)
		ok = fclose(f) == 0 && ok;
	if (!ok)
		fprintf(stderr, "ingot-agent: cannot write %s\n", path);
}

static int apply_network(const struct network_command *o, const struct loop *loop,
			 struct network_result *ret)
{
	const struct network_options options = { .loop = loop,
						 .root = "",
						 .nic_wait_ms = o->wait_s * 1000,
						 .address_wait_ms = ADDRESS_WAIT_MS };
	struct netdata *data = NULL;
	struct err err = { 0 };
	size_t len;
	_cleanup_(freep) uint8_t *text = hw_read_bytes("", &len, "%s", o->data);
	int r = text ? netdata_parse((const char *)text, len, &data, &err)
		     : err_set(&err, ERR_NOT_FOUND, "cannot read %s", o->data);
	if (r < 0) {
		strbuf_addf(&ret->problems, "%s\n", err.text);
		return r;
	}
	network_apply(data, &options, ret);
	_cleanup_(freep) char *resolver = network_resolv_conf(data);
	write_text(o->resolver, resolver);
	netdata_free(data);
	return 0;
}

/* Prints what is left to be done (see network_result); what went wrong goes to the console. */
static int network(void *data)
{
	const struct network_command *o = data;
	struct network_result result = { 0 };
	struct loop *loop = NULL;
	struct err err = { 0 };
	int r = loop_new(&loop, &err);
	if (r < 0)
		strbuf_addf(&result.problems, "%s\n", err.text);
	else
		r = apply_network(o, loop, &result);
	const char *problems = str_or(result.problems.data, "");
	write_text(o->problems, problems);
	for (const char *p = problems; *p; p += strcspn(p, "\n") + 1)
		fprintf(stderr, "ingot-agent: network data: %.*s\n", (int)strcspn(p, "\n"), p);
	if (result.applied)
		printf("static %zu\n", result.applied);
	fputs(str_or(result.todo.data, ""), stdout);
	network_result_done(&result);
	loop_free(loop);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* --- write ----------------------------------------------------------------------------------- */

struct write_options {
	const char *url, *checksum, *device, *format;
	unsigned memory_mib;
};

#define WRITE(member) .offset = offsetof(struct write_options, member)

enum { MEMORY_MIB_MAX = 1024 * 1024 };

static const struct option_row write_rows[] = {
	{ .name = "url",
	  .argument = "URL",
	  .help = "URL of the image",
	  .type = &option_text,
	  WRITE(url),
	  .required = true },
	{ .name = "checksum",
	  .argument = "SUM",
	  .help = "checksum of the image",
	  .type = &option_text,
	  WRITE(checksum),
	  .required = true },
	{ .name = "device",
	  .argument = "DEVICE",
	  .help = "write to this disk; its contents are lost",
	  .type = &option_path,
	  WRITE(device),
	  .required = true },
	{ .name = "format",
	  .argument = "FORMAT",
	  .help = "format of the image; default: detected",
	  .type = &option_text,
	  WRITE(format) },
	{ .name = "memory",
	  .argument = "MIB",
	  .standard = "0",
	  .help = "use at most this much memory, in MiB; 0: what the machine has",
	  .type = &option_unsigned,
	  .max = MEMORY_MIB_MAX,
	  WRITE(memory_mib) },
	{ .name = NULL },
};

/* The same writer as under `run`, so what tests and benchmarks see is what servers get. */
static int write_image(void *data)
{
	const struct write_options *w = data;
	const char *urls[2] = { w->url, NULL };
	struct disk_image_options o = { .fetch = { .urls = urls, .retries = 9 },
					.sum.checksum = w->checksum,
					.device = w->device,
					.format = w->format };
	struct disk_image_result result = { 0 };
	enum disk_fault fault;
	struct err err = { 0 };
	o.memory_limit = w->memory_mib ? (size_t)w->memory_mib << 20
				       : disk_image_memory(hw_free_memory(""));
	if (disk_image_write(&o, &result, &fault, &err) < 0) {
		fprintf(stderr, "ingot-agent: %s\n", err.text);
		return EXIT_FAILED;
	}
	printf("format=%s served=%llu written=%llu gpt=%d peak_memory=%llu\n",
	       disk_format_name(result.format), (unsigned long long)result.served_bytes,
	       (unsigned long long)result.written_bytes, result.gpt,
	       (unsigned long long)hw_peak_memory(""));
	return EXIT_OK;
}

/* --- dhcp6 ----------------------------------------------------------------------------------- */

struct dhcp6_options {
	const char *interface, *script;
};

#define DHCP6(member) .offset = offsetof(struct dhcp6_options, member)

static const struct option_row dhcp6_rows[] = {
	{ .name = "interface",
	  .argument = "DEVICE",
	  .help = "get an address for this interface",
	  .type = &option_text,
	  DHCP6(interface),
	  .required = true },
	{ .name = "script",
	  .argument = "FILE",
	  .help = "run this program when the address comes, is renewed or goes",
	  .type = &option_path,
	  DHCP6(script) },
	{ .name = NULL },
};

/* Until a signal ends it. */
static int run_dhcp6(void *data)
{
	const struct dhcp6_options *o = data;
	struct dhcp6_nic *nic = NULL;
	struct loop *loop = NULL;
	struct err err = { 0 };
	int r = loop_new(&loop, &err);
	const struct dhcp6_nic_options options = { loop, o->interface, o->script };
	if (r == 0)
		r = dhcp6_nic_open(&options, &nic, &err);
	if (r == 0)
		loop_run(loop);
	else
		fprintf(stderr, "ingot-agent: %s\n", err.text);
	dhcp6_nic_close(nic);
	loop_free(loop);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* --- dispatch -------------------------------------------------------------------------------- */

static const struct option_table run_tables[] = { { NULL, run_rows, 0 }, { NULL, NULL, 0 } };
static const struct option_table inventory_tables[] = { { NULL, inventory_rows, 0 },
							{ NULL, NULL, 0 } };
static const struct option_table dhcp6_tables[] = { { NULL, dhcp6_rows, 0 }, { NULL, NULL, 0 } };
static const struct option_table write_tables[] = { { NULL, write_rows, 0 }, { NULL, NULL, 0 } };

static const struct command run_command = {
	.name = "run",
	.summary = "serve this machine to the server that the kernel command line names, which may "
		   "WIPE ITS DISKS: for ramdisks",
	.options = run_tables,
	.options_size = sizeof(struct run_options),
	.run = run_agent,
};
static const struct option_table network_tables[] = { { NULL, network_rows, 0 },
						      { NULL, NULL, 0 } };
static const struct command network_command = {
	.name = "network",
	.summary = "set this machine's network up by a host's network data: for ramdisks",
	.options = network_tables,
	.options_size = sizeof(struct network_command),
	.run = network,
};
static const struct command inventory_command = {
	.name = "inventory",
	.summary = "print the inventory that would be sent",
	.options = inventory_tables,
	.options_size = sizeof(struct inventory_options),
	.run = print_inventory,
};
static const struct command write_command = {
	.name = "write",
	.summary = "write an image to a disk",
	.options = write_tables,
	.options_size = sizeof(struct write_options),
	.run = write_image,
};

static const struct command dhcp6_command = {
	.name = "dhcp6",
	.summary = "get an address by DHCPv6 and keep it: for ramdisks",
	.options = dhcp6_tables,
	.options_size = sizeof(struct dhcp6_options),
	.run = run_dhcp6,
};

static const struct command *const commands[] = { &run_command,	  &network_command,
						  &dhcp6_command, &inventory_command,
						  &write_command, NULL };

static const struct program program = {
	.name = "ingot-agent",
	.summary = "the deploy agent in the ramdisk",
	.commands = commands,
};

int main(int argc, char **argv)
{
	return program_run(&program, argc, argv);
}
