/* `ingotctl bmc inspect ADDRESS`: what a BMC tells of its host, in the form in which it is stored,
 * without a host, a cluster or Ingot. Reads only. The answer goes to standard output; what the BMC
 * does not tell, to standard error. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/mem.h"
#include "bmc/redfish/redfish.h"
#include "commands.h"
#include "ctrl/host/hardware.h"
#include "yaml/yaml_json.h"

enum { SECRET_BYTES_MAX = 1 << 20 };

enum bmc_act { ACT_INSPECT };

struct bmc_command_options {
	enum bmc_act act;
	const char *address, *secret;
	bool insecure;
	usec_t timeout;
};

#define FIELD(member) .offset = offsetof(struct bmc_command_options, member)

static const struct option_choice acts[] = { { "inspect", ACT_INSPECT }, { NULL, 0 } };

static const struct option_row rows[] = {
	{ .name = "ACTION",
	  .help = "what to do; inspect: print the hardware, as HardwareData has it",
	  .type = &option_choice,
	  .choices = acts,
	  FIELD(act),
	  .required = true,
	  .operand = true },
	{ .name = "ADDRESS",
	  .help = "address of the BMC as in spec.bmc.address, e.g. redfish://10.0.0.1/redfish/v1/Systems/1",
	  .type = &option_text,
	  FIELD(address),
	  .required = true,
	  .operand = true },
	{ .name = "secret",
	  .argument = "FILE",
	  .help = "read username, password and (optional) ca.crt from this file: a Secret in YAML or JSON, or lines \"username: NAME\" and \"password: WORD\"; default: no login",
	  .type = &option_path,
	  FIELD(secret) },
	{ .name = "insecure",
	  .help = "do not check the BMC's certificate, as disableCertificateVerification",
	  .type = &option_flag,
	  FIELD(insecure) },
	{ .name = "timeout",
	  .argument = "SECONDS",
	  .standard = "600",
	  .help = "give up after this long",
	  .type = &option_seconds,
	  .min = 1,
	  .max = 86400,
	  FIELD(timeout) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 }, { NULL, NULL, 0 } };

/* --- the Secret ------------------------------------------------------------------------------ */

struct login {
	struct bmc_credentials who;
	char *ca;
};

static void login_done(struct login *l)
{
	bmc_credentials_done(&l->who);
	free(l->ca);
}

static char *read_file(const char *path, struct err *err)
{
	struct strbuf text = { 0 };
	FILE *f = fopen(path, "re");
	if (!f) {
		err_set(err, ERR_INVALID, "cannot read --secret %s: %m", path);
		return NULL;
	}
	char part[4096];
	size_t n;
	while (text.len <= SECRET_BYTES_MAX && (n = fread(part, 1, sizeof(part), f)) > 0)
		strbuf_add(&text, part, n);
	bool bad = ferror(f) != 0, long_file = text.len > SECRET_BYTES_MAX;
	fclose(f);
	explicit_bzero(part, sizeof(part));
	if (!bad && !long_file)
		return strbuf_take(&text, NULL);
	strbuf_done(&text);
	err_set(err, ERR_INVALID, "cannot read --secret %s: %s", path,
		bad ? "not a file" : "larger than 1 MiB");
	return NULL;
}

/* The words of a person who types them: no quotation marks are needed, whatever is in them. */
static char *value_in_lines(const char *text, const char *key)
{
	size_t n = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *after = line + n +
				    strspn(str_has_prefix(line, key) ? line + n : "", " \t");
		if (!str_has_prefix(line, key) || (*after != ':' && *after != '='))
			continue;
		after++;
		after += strspn(after, " \t");
		size_t len = strcspn(after, "\r\n");
		while (len > 0 && strchr(" \t", after[len - 1]))
			len--;
		bool quoted = len > 1 && (*after == '"' || *after == '\'') &&
			      after[len - 1] == *after;
		return quoted ? xstrndup(after + 1, len - 2) : xstrndup(after, len);
	}
	return NULL;
}

/* stringData, which the API server would have encoded, wins over data, as there. */
static char *value_in_secret(const struct json *secret, const char *key)
{
	const struct json *plain = json_get(json_get(secret, "stringData"), key);
	return json_string(plain) ? xstrdup(json_string(plain)) : secret_value(secret, key);
}

static int keep_secret(void *data, const char *text, size_t len)
{
	struct json **secret = data, *j = NULL;
	if (!*secret && json_parse(text, len, &j, NULL) == 0 &&
	    streq(json_get_string(j, "kind"), "Secret"))
		*secret = TAKE_PTR(j);
	json_free(j);
	return 0;
}

static char *value_of(const struct json *secret, const char *text, const char *key)
{
	return secret ? value_in_secret(secret, key) : value_in_lines(text, key);
}

static int read_login(const char *path, struct login *ret, struct err *err)
{
	if (!path)
		return 0;
	char *text = read_file(path, err);
	if (!text)
		return -EINVAL;
	struct json *secret = NULL;
	struct err why = { 0 };
	int r = strstr(text, "kind") ? yaml_each(text, strlen(text), keep_secret, &secret, &why)
				     : 0;
	if (r == 0) {
		ret->who.username = value_of(secret, text, "username");
		ret->who.password = value_of(secret, text, "password");
		ret->ca = secret ? value_in_secret(secret, "ca.crt") : NULL;
	}
	json_free(secret);
	secret_free(text);
	if (r < 0)
		return err_set(err, ERR_INVALID, "cannot read --secret %s: %s", path, why.text);
	if (str_empty(ret->who.username) || str_empty(ret->who.password))
		return err_set(
			err, ERR_INVALID,
			"--secret %s: no %s in it; needed is a Secret with the keys username and password, or two lines \"username: NAME\" and \"password: WORD\"",
			path, str_empty(ret->who.username) ? "username" : "password");
	return 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

struct asking {
	struct loop *loop;
	struct bmc_driver *driver;
	struct bmc *bmc;
	struct json *inventory;
	struct err err;
	int failed;
};

static void on_result(void *data, const struct bmc_result *result)
{
	struct asking *a = data;
	if (result->err.kind != ERR_NONE) {
		err_copy(&a->err, &result->err);
		a->failed = -EIO;
	} else {
		a->inventory = json_dup(result->inventory);
	}
	loop_stop(a->loop);
}

static void on_left(void *data)
{
	loop_stop(data);
}

static int open_driver(struct asking *a, const struct bmc_scheme *scheme, struct err *err)
{
	static const struct redfish_options options = { .user_agent = "ingotctl/" INGOT_VERSION };
	if (scheme->kind == BMC_DRIVER_IPMI)
		return err_set(
			err, ERR_UNSUPPORTED,
			"%s: a BMC tells of its host by Redfish only; give a redfish:// address if it has that, too",
			scheme->name);
	int r = loop_new(&a->loop, err);
	return r < 0 ? r : redfish_driver_new(a->loop, scheme->kind, &options, &a->driver, err);
}

static int inspect(struct asking *a, const struct bmc_address *address, const struct login *login,
		   const struct bmc_command_options *o, struct err *err)
{
	const struct bmc_options options = { .timeout = o->timeout,
					     .insecure_tls = o->insecure,
					     .ca = login->ca };
	const struct bmc_request request = { .op = BMC_OP_INSPECT };
	int r = open_driver(a, address->scheme, err);
	if (r == 0)
		r = bmc_open(a->driver, address, &login->who, &options, &a->bmc, err);
	if (r < 0)
		return r;
	bmc_submit(a->bmc, &request, on_result, a);
	loop_run(a->loop);
	if (a->failed < 0)
		err_copy(err, &a->err);
	return a->failed;
}

/* The session's end is waited for: BMCs have few. */
static void asking_done(struct asking *a)
{
	bmc_close(a->bmc);
	if (a->driver && redfish_driver_leaving(a->driver) > 0) {
		redfish_driver_on_left(a->driver, on_left, a->loop);
		loop_run(a->loop);
	}
	if (a->loop)
		loop_drain(a->loop);
	bmc_driver_free(a->driver);
	loop_free(a->loop);
	json_free(a->inventory);
}

/* --- telling --------------------------------------------------------------------------------- */

static void print_missing(const char *address, const struct json *body)
{
	struct strbuf names = { 0 };
	json_for_each(name, json_get(body, "missing"))
		strbuf_addf(&names, "%s%s", names.len ? ", " : "", json_string(name));
	if (names.len)
		fprintf(stderr,
			"ingotctl bmc: %s does not tell: %s; only an inspection by the agent can find that out\n",
			address, names.data);
	strbuf_done(&names);
	json_for_each(one, json_get(body, "skipped"))
		fprintf(stderr, "ingotctl bmc: left out %s: %s\n", json_get_string(one, "path"),
			json_get_string(one, "reason"));
}

static void print_details(const struct json *body)
{
	struct strbuf out = { 0 };
	struct json *details = hardware_details(body);
	json_print_pretty(details, &out);
	puts(out.data);
	strbuf_done(&out);
	json_free(details);
}

/* What can be done about it, where the driver's own words do not say. */
static void print_hint(const struct err *err, const struct bmc_command_options *o)
{
	if (strstr(err->text, "certificate is not trusted"))
		fputs("ingotctl bmc: put the certificate of the BMC's authority into the Secret as ca.crt, or use --insecure\n",
		      stderr);
	else if (strstr(err->text, "certificate"))
		fputs("ingotctl bmc: use the name that the certificate has, or --insecure\n",
		      stderr);
	else if (err->kind == ERR_DENIED && !o->secret)
		fputs("ingotctl bmc: give the user and the password with --secret FILE\n", stderr);
	else if (err->kind == ERR_DENIED)
		fprintf(stderr, "ingotctl bmc: correct username and password in %s\n", o->secret);
}

static int run(void *data)
{
	const struct bmc_command_options *o = data;
	struct asking a = { 0 };
	struct login login = { 0 };
	struct bmc_address address = { 0 };
	struct err err = { 0 };
	int r = bmc_address_parse(o->address, &address, &err);
	if (r == 0)
		r = read_login(o->secret, &login, &err);
	if (r == 0)
		r = inspect(&a, &address, &login, o, &err);
	if (r == 0) {
		print_details(a.inventory);
		print_missing(o->address, a.inventory);
	} else {
		command_failed("bmc", &err);
		print_hint(&err, o);
	}
	asking_done(&a);
	login_done(&login);
	bmc_address_done(&address);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

const struct command bmc_command = {
	.name = "bmc",
	.summary = "ask a BMC directly: `bmc inspect ADDRESS` prints what it tells of its host",
	.options = tables,
	.options_size = sizeof(struct bmc_command_options),
	.run = run,
};
