/* ingot-agent: the deploy agent in the ramdisk. Flags and wiring; the work is in pkg/agent.
 *
 * `run` gives the machine into a server's hands, which may wipe its disks, so it is never the
 * default: the ramdisk's init asks for it. `inventory` prints what would be posted; `write` writes
 * an image without a server, for tests and benchmarks. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/disk/image.h"
#include "agent/effects.h"
#include "agent/hw/inventory.h"
#include "agent/hw/sysfs.h"
#include "agent/logs.h"
#include "agent/session.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static const char usage[] =
	"usage: ingot-agent run [OPTION…]       serve this machine to the server that the kernel command\n"
	"                                       line names, which may WIPE ITS DISKS: for ramdisks\n"
	"       ingot-agent inventory [--root DIR]      print what would be posted\n"
	"       ingot-agent write --url URL --checksum SUM --device DEVICE [--format FORMAT]\n"
	"                                       write an image to a disk\n"
	"\n"
	"options of run:\n"
	"  --cmdline FILE   read parameters there, not in /proc/cmdline\n"
	"  --param K=V      set one more parameter; repeatable; beats the command line\n"
	"  --ca FILE        trust these certificates (PEM) for the server and images\n"
	"  --root DIR       for tests: read /sys, /proc, /dev and /etc below DIR, open no device\n"
	"                   elsewhere, and end with status 10 instead of a power off, 11 instead\n"
	"                   of a reboot\n"
	"  --plain-http     serve the API without TLS\n"
	"\n"
	"  --version, --help\n";

enum { EXIT_USAGE = 2 };

/* Where stock ramdisks and ours find a private CA. */
static const char *const ca_files[] = { "/etc/ironic-python-agent/ironic.crt",
					"/etc/ingot/ca.crt" };

struct flags {
	const char *cmdline, *ca, *root;
	struct strbuf params;
	bool plain_http;
};

/* --- run ------------------------------------------------------------------------------------- */

struct process {
	struct loop *loop;
	struct ipa_session *session;
	int status;
};

static void on_failed(void *data, const struct err *err)
{
	struct process *p = data;
	(void)err; /* logged already */
	p->status = EXIT_FAILURE;
	loop_stop(p->loop);
}

static void on_signal(void *data)
{
	struct process *p = data;
	loop_stop(p->loop);
}

static void load_config(const struct flags *f, struct ipa_config *c)
{
	struct err err = { 0 };
	_cleanup_(freep) char *line = f->cmdline ? hw_read("", "%s", f->cmdline)
						 : hw_read(f->root, "/proc/cmdline");
	ipa_config_init(c);
	if (line && ipa_config_parse(c, line, &err) < 0)
		log_warn("kernel command line", "error", err.text);
	if (f->params.len && ipa_config_parse(c, f->params.data, &err) < 0)
		log_warn("parameters", "error", err.text);
	if (c->debug)
		log_set_level(LOG_DEBUG);
}

static char *load_ca(const struct flags *f)
{
	if (f->ca)
		return hw_read("", "%s", f->ca);
	for (size_t i = 0; i < ARRAY_SIZE(ca_files); i++) {
		char *pem = hw_read(f->root, "%s", ca_files[i]);
		if (pem)
			return pem;
	}
	return NULL;
}

static int serve(struct process *p, const struct ipa_session_options *options, struct err *err)
{
	struct loop_signal *term = NULL, *interrupt = NULL;
	p->session = ipa_session_new(options, err);
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

static int run_agent(const struct flags *f)
{
	struct process p = { 0 };
	struct ipa_config config = { 0 };
	struct web *web = NULL;
	struct err err = { 0 };
	ipa_logs_start();
	load_config(f, &config);
	_cleanup_(freep) char *ca = load_ca(f);
	const struct ipa_effects effects = *f->root ? ipa_effects_process() : ipa_effects_real();
	int r = loop_new(&p.loop, &err);
	if (r == 0)
		r = web_new(&web, &err);
	const struct ipa_session_options options = {
		.loop = p.loop,
		.web = web,
		.config = &config,
		.effects = &effects,
		.ca = ca,
		.root = f->root,
		.plain_http = f->plain_http,
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
	return r < 0 ? EXIT_FAILURE : p.status;
}

/* --- inventory ------------------------------------------------------------------------------- */

static int print_inventory(int argc, char **argv)
{
	bool rooted = argc == 3 && streq(argv[1], "--root");
	if (argc > 1 && !rooted) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	const struct hw_inventory_options options = { .root = rooted ? argv[2] : "" };
	struct json *j = hw_inventory(&options);
	struct strbuf text = { 0 };
	json_print_pretty(j, &text);
	printf("%s\n", text.data);
	strbuf_done(&text);
	json_free(j);
	return EXIT_SUCCESS;
}

/* --- write ----------------------------------------------------------------------------------- */

static int write_image(int argc, char **argv)
{
	static const struct option options[] = {
		{ "url", required_argument, NULL, 'u' },
		{ "checksum", required_argument, NULL, 'c' },
		{ "device", required_argument, NULL, 'd' },
		{ "format", required_argument, NULL, 'f' },
		{ 0 },
	};
	const char *urls[2] = { NULL };
	struct disk_image_options o = { .fetch = { .urls = urls, .retries = 9 } };
	struct disk_image_result result = { 0 };
	enum disk_fault fault;
	struct err err = { 0 };
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		switch (c) {
		case 'u':
			urls[0] = optarg;
			break;
		case 'c':
			o.sum.checksum = optarg;
			break;
		case 'd':
			o.device = optarg;
			break;
		case 'f':
			o.format = optarg;
			break;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (!urls[0] || !o.device || !o.sum.checksum) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (disk_image_write(&o, &result, &fault, &err) < 0) {
		fprintf(stderr, "ingot-agent: %s\n", err.text);
		return EXIT_FAILURE;
	}
	printf("format=%s served=%llu written=%llu gpt=%d peak_memory=%llu\n",
	       disk_format_name(result.format), (unsigned long long)result.served_bytes,
	       (unsigned long long)result.written_bytes, result.gpt,
	       (unsigned long long)hw_peak_memory(""));
	return EXIT_SUCCESS;
}

/* --- flags ----------------------------------------------------------------------------------- */

static int parse_flags(int argc, char **argv, struct flags *f)
{
	static const struct option options[] = {
		{ "cmdline", required_argument, NULL, 'c' },
		{ "param", required_argument, NULL, 'p' },
		{ "ca", required_argument, NULL, 'a' },
		{ "root", required_argument, NULL, 'r' },
		{ "plain-http", no_argument, NULL, 'h' },
		{ 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		switch (c) {
		case 'c':
			f->cmdline = optarg;
			break;
		case 'p':
			strbuf_addf(&f->params, "\"%s\" ", optarg);
			break;
		case 'a':
			f->ca = optarg;
			break;
		case 'r':
			f->root = optarg;
			break;
		case 'h':
			f->plain_http = true;
			break;
		default:
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "ingot-agent run: unexpected argument \"%s\"\n", argv[optind]);
	return -EINVAL;
}

static int run(int argc, char **argv)
{
	struct flags f = { .root = "" };
	if (parse_flags(argc, argv, &f) < 0)
		return EXIT_USAGE;
	int status = run_agent(&f);
	strbuf_done(&f.params);
	return status;
}

static int print_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("ingot-agent %s\n", INGOT_VERSION);
	return EXIT_SUCCESS;
}

static int print_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	fputs(usage, stdout);
	return EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", run },		  { "inventory", print_inventory },
	{ "write", write_image }, { "--version", print_version },
	{ "--help", print_help },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (streq(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	if (argc > 1)
		fprintf(stderr, "ingot-agent: unknown command \"%s\"\n", argv[1]);
	fputs(usage, stderr);
	return EXIT_USAGE;
}
