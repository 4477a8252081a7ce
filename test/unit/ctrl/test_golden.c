/* Golden cases of the host state machine: test/golden/<name>.json holds the facts of one pass
 * (`given`) and all that came out of it (`expect`). INGOT_GOLDEN_UPDATE=1 writes what came out into
 * the files, to be read before it is committed.
 *
 * `engine` scripts the provisioner: per call an outcome, and what it gives back (`problem`: one
 * that the controller has the words for, of which `error` is the subject); a call that is not
 * scripted is done.
 *
 * test/golden/measures.txt has what each case counts, in a file of its own so that a new metric
 * changes one file and not all. Cases that it does not name are not compared. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctrl/host/host.h"

static const char dir[] = "test/golden";

/* --- the scripted engine ---------------------------------------------------------------------- */

struct scripted {
	struct provisioner base;
	const struct json *script;
	struct json *calls;
};

static struct scripted *of(struct provisioner *p)
{
	return container_of(p, struct scripted, base);
}

static enum prov_problem problem_of(const char *name)
{
	static const char *const names[] = {
		[PROV_BAD_BOOT_MAC] = "bad boot MAC",	 [PROV_NEEDS_BOOT_MAC] = "needs boot MAC",
		[PROV_OTHER_BMC] = "other BMC",		 [PROV_OTHER_BOOT_MAC] = "other boot MAC",
		[PROV_WRONG_STATE] = "wrong state",	 [PROV_NOT_STORED] = "not stored",
		[PROV_NO_CERTIFICATE] = "no certificate"
	};
	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		if (streq(names[i], name))
			return (enum prov_problem)i;
	assert_null(name);
	return PROV_OTHER;
}

static const struct json *answer(struct provisioner *p, const char *name, const char *detail,
				 struct prov_result *ret)
{
	struct scripted *s = of(p);
	const struct json *row = json_get(s->script, name);
	const char *outcome = str_or(json_get_string(row, "outcome"), "done");
	_cleanup_(freep) char *call = xasprintf("%s%s%s", name, *detail ? ": " : "", detail);
	json_append(s->calls, json_new_string(call));
	*ret = (struct prov_result){ .outcome = streq(outcome, "done")	    ? PROV_DONE
						: streq(outcome, "running") ? PROV_RUNNING
									    : PROV_FAILED,
				     .started = json_get_bool(row, "started", false),
				     .passing = json_get_bool(row, "passing", false) };
	ret->problem = problem_of(json_get_string(row, "problem"));
	snprintf(ret->error, sizeof(ret->error), "%s", str_or(json_get_string(row, "error"), ""));
	return row;
}

static const char *flags(char *buf, size_t size, const char *const names[], const bool values[],
			 size_t count)
{
	buf[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (values[i])
			snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", *buf ? " " : "",
				 names[i]);
	return buf;
}

static void reg(struct provisioner *p, const struct prov_host *host,
		const struct prov_register *params, const char **ret_node_id,
		struct prov_result *ret)
{
	char buf[200];
	const char *names[] = { "changed", "retry", "password" };
	bool values[] = { params->credentials_changed, params->retry, host->password != NULL };
	flags(buf, sizeof(buf), names, values, 3);
	if (host->dhcp_address)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), " address=%s",
			 host->dhcp_address);
	if (host->bmc_ca)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), " ca");
	if (host->bmc_pin)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), " pin=%s", host->bmc_pin);
	const struct json *row = answer(p, "register", buf, ret);
	*ret_node_id = str_or(json_get_string(row, "node_id"), host->uid);
}

static void inspect(struct provisioner *p, const struct prov_host *host,
		    const struct prov_inspect *params, const struct json **ret_inventory,
		    struct prov_result *ret)
{
	(void)host;
	char buf[200];
	const char *names[] = { "retry", "refresh", "force" };
	bool values[] = { params->retry, params->refresh, params->force_reboot };
	const struct json *row = answer(p, "inspect", flags(buf, sizeof(buf), names, values, 3),
					ret);
	*ret_inventory = json_get(row, "inventory");
}

static void prepare(struct provisioner *p, const struct prov_host *host,
		    const struct prov_prepare *params, struct prov_result *ret)
{
	(void)host;
	answer(p, "prepare", params->retry ? "retry" : "", ret);
}

/* Text as it is, anything else in base64. */
static char *show_bytes(const void *data, size_t len)
{
	if (!data)
		return xstrdup("-");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = ((const unsigned char *)data)[i];
		if ((c < ' ' && c != '\n') || c > '~') {
			_cleanup_(freep) char *encoded = base64_encode(data, len);
			return xasprintf("base64:%s", encoded);
		}
	}
	return xstrndup(data, len);
}

static void provision(struct provisioner *p, const struct prov_host *host,
		      const struct prov_provision *params, struct prov_result *ret)
{
	_cleanup_(freep) char *user = show_bytes(params->config_drive.user_data,
						 params->config_drive.user_data_len);
	_cleanup_(freep) char *hints = host->root_hints ? json_to_string(host->root_hints) : NULL;
	_cleanup_(freep) char *root = hints ? xasprintf(" root=%s%s", hints,
							host->root_hints_default ? " default" : "")
					    : xstrdup("");
	_cleanup_(freep) char *text = xasprintf("%s %s %s meta=%s user=%s network=%s%s%s",
						params->image.url, params->image.checksum,
						params->image.format,
						str_or(params->config_drive.meta_data, "-"), user,
						str_or(params->config_drive.network_data, "-"),
						root, params->force_reboot ? " force" : "");
	answer(p, "provision", text, ret);
}

static void deprovision(struct provisioner *p, const struct prov_host *host,
			const struct prov_deprovision *params, struct prov_result *ret)
{
	char buf[200];
	const char *names[] = { "retry", "no-cleaning" };
	bool values[] = { params->retry, host->cleaning == PROV_CLEAN_DISABLED };
	answer(p, "deprovision", flags(buf, sizeof(buf), names, values, 2), ret);
}

static void adopt(struct provisioner *p, const struct prov_host *host, bool retry,
		  struct prov_result *ret)
{
	(void)host;
	answer(p, "adopt", retry ? "retry" : "", ret);
}

static void remove_host(struct provisioner *p, const struct prov_host *host, bool force,
			struct prov_result *ret)
{
	(void)host;
	answer(p, "remove", force ? "force" : "", ret);
}

static enum prov_power power(struct provisioner *p, const struct prov_host *host, bool *ret_fault)
{
	(void)host;
	const char *state = json_get_string(of(p)->script, "power");
	*ret_fault = json_get_bool(of(p)->script, "fault", false);
	return streq(state, "on")    ? PROV_POWER_ON
	       : streq(state, "off") ? PROV_POWER_OFF
				     : PROV_POWER_UNKNOWN;
}

static void power_on(struct provisioner *p, const struct prov_host *host, bool force,
		     struct prov_result *ret)
{
	(void)host;
	answer(p, "power_on", force ? "force" : "", ret);
}

static void power_off(struct provisioner *p, const struct prov_host *host, bool hard, bool force,
		      struct prov_result *ret)
{
	(void)host;
	char buf[200];
	const char *names[] = { "hard", "force" };
	bool values[] = { hard, force };
	answer(p, "power_off", flags(buf, sizeof(buf), names, values, 2), ret);
}

static bool has_capacity(struct provisioner *p, const struct prov_host *host)
{
	(void)host;
	return json_get_bool(of(p)->script, "capacity", true);
}

static void know(struct provisioner *p, const struct prov_host *host)
{
	struct prov_result ignored;
	answer(p, "know", host->boot_mac, &ignored);
}

static const struct provisioner_ops ops = {
	.know = know,
	.register_host = reg,
	.inspect = inspect,
	.prepare = prepare,
	.provision = provision,
	.deprovision = deprovision,
	.adopt = adopt,
	.remove = remove_host,
	.power = power,
	.power_on = power_on,
	.power_off = power_off,
	.has_capacity = has_capacity,
};

/* --- one case --------------------------------------------------------------------------------- */

static void take_secret(struct fact *f, const struct json *secrets, const char *name)
{
	const struct json *s = name ? json_get(secrets, name) : NULL;
	if (!name)
		return;
	f->state = s ? FACT_FOUND : FACT_MISSING;
	f->object = s ? json_dup(s) : NULL;
	const char *error = json_get_string(s, "error");
	if (error) {
		f->state = FACT_FAILED;
		err_set(&f->err, ERR_UNREACHABLE, "%s", error);
	}
}

static void take_secrets(struct host_facts *f, struct fact *facts, const struct json *secrets)
{
	struct bmh host;
	const char *names[_SECRET_USE_MAX];
	if (bmh_parse(f->object, &host, NULL) < 0)
		return;
	host_secrets_wanted(&host, names);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		take_secret(&facts[i], secrets, names[i]);
	bmh_release(&host);
}

/* What the cache of Secrets has by owner: the case's. */
static struct json **take_owned(struct host_facts *f, const struct json *secrets)
{
	struct json **owned = xcalloc(json_count(secrets) + 1, sizeof(*owned));
	const char *uid = json_get_path_string(f->object, "metadata.uid");
	json_for_each(s, secrets) {
		json_for_each(o, json_get_path(s, "metadata.ownerReferences")) {
			if (streq(json_get_string(o, "uid"), uid))
				owned[f->owned_count++] = json_dup(s);
		}
	}
	f->owned = owned;
	return owned;
}

static const char *kind_of(const struct write *w)
{
	static const struct {
		const char *plural;
		const char *names[WRITE_DELETE + 1];
	} rows[] = {
		{ "secrets", { [WRITE_MERGE_PATCH] = "secret" } },
		{ "hardwaredata",
		  { [WRITE_CREATE] = "create hardwaredata",
		    [WRITE_MERGE_PATCH] = "hardwaredata",
		    [WRITE_DELETE] = "delete hardwaredata" } },
		{ "hostrecords", { [WRITE_UPDATE] = "hostrecord" } },
		{ "baremetalhosts", { [WRITE_MERGE_PATCH] = "host" } },
	};
	if (w->subresource)
		return w->subresource;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (streq(rows[i].plural, w->resource->plural))
			return rows[i].names[w->verb];
	fail_msg("a write of %s", w->resource->plural);
	return NULL;
}

static struct json *writes_json(const struct outcome *r)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < r->write_count; i++) {
		const struct write *row = &r->writes[i];
		struct json *w = json_append(list, json_new_object());
		bool secret = streq(row->resource->plural, "secrets");
		json_set_string(w, "kind", kind_of(row));
		json_set_string(w, "name", secret ? row->name : row->uid);
		if (row->body)
			json_set(w, "body", json_dup(row->body));
	}
	return list;
}

static struct json *outcome(const struct outcome *r, struct json *calls)
{
	static const char *const verdicts[] = {
		[NEXT_WAIT] = "wait",	[NEXT_FULL] = "wait",	[NEXT_BACKOFF] = "wait",
		[NEXT_AGAIN] = "again", [NEXT_RETRY] = "retry", [NEXT_GONE] = "gone"
	};
	struct json *out = json_new_object();
	json_set(out, "calls", calls);
	json_set(out, "writes", writes_json(r));
	struct json *events = json_set(out, "events", json_new_array());
	for (size_t i = 0; i < r->event_count; i++) {
		_cleanup_(freep) char *text = xasprintf("%s %s: %s",
							r->events[i].warning ? "Warning" : "Normal",
							r->events[i].reason, r->events[i].message);
		json_append(events, json_new_string(text));
	}
	json_set_string(out, "verdict", verdicts[r->next.kind]);
	json_set_int(out, "requeue_seconds", (int64_t)(r->next.delay / USEC_PER_SEC));
	if (r->next.kind == NEXT_BACKOFF)
		json_set_bool(out, "backoff", true);
	return out;
}

/* "CASE METRIC VALUE LABEL..", a line each. */
static void add_measures(const struct outcome *r, const char *name, struct strbuf *out)
{
	for (size_t i = 0; i < r->measure_count; i++) {
		const struct outcome_measure *m = &r->measures[i];
		strbuf_addf(out, "%s %s %g", name, metric_row(m->metric)->name, m->value);
		for (size_t k = 0; k < ARRAY_SIZE(m->labels) && m->labels[k]; k++)
			strbuf_addf(out, " \"%s\"", m->labels[k]);
		strbuf_addc(out, '\n');
	}
}

/* `measures` may be NULL. */
static struct json *run(const struct json *given, const char *name, struct strbuf *measures)
{
	struct scripted engine = { .base.ops = &ops,
				   .script = json_get(given, "engine"),
				   .calls = json_new_array() };
	struct fact secrets[_SECRET_USE_MAX] = { 0 };
	struct host_facts f = {
		.secrets = secrets,
		.object = json_get(given, "host"),
		.hardware_data = json_get(given, "hardware_data"),
		.record = json_get(given, "record"),
		.provisioner = &engine.base,
		.now = UINT64_C(1767225600) * USEC_PER_SEC, /* 2026-01-01 */
		.random = 0.5,
		.max_provisioning_retries = (unsigned)json_get_int(given, "retries", 5),
	};
	const struct json *hold = json_get(given, "hold");
	f.held = hold != NULL;
	f.hold = (struct prov_hold){ .id = json_get_string(hold, "id"),
				     .reason = json_get_string(hold, "reason") };
	struct outcome r;
	take_secrets(&f, secrets, json_get(given, "secrets"));
	struct json **owned = take_owned(&f, json_get(given, "secrets"));
	host_reconcile(&f, &r);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		json_free(secrets[i].object);
	for (size_t i = 0; i < f.owned_count; i++)
		json_free(owned[i]);
	free(owned);
	if (measures)
		add_measures(&r, name, measures);
	struct json *out = outcome(&r, engine.calls);
	outcome_done(&r);
	return out;
}

static struct json *load(const char *path)
{
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	char buf[4096];
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&text, buf, n);
	fclose(f);
	struct json *j = NULL;
	struct err err = { 0 };
	if (json_parse(text.data, text.len, &j, &err) < 0)
		fail_msg("%s: %s", path, err.text);
	return j;
}

static void store(const char *path, const struct json *j)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_print_pretty(j, &text);
	strbuf_addc(&text, '\n');
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

static void golden(void **state)
{
	const char *path = *state;
	_cleanup_(json_freep) struct json *j = load(path);
	struct json *got = run(json_get(j, "given"), NULL, NULL);
	if (getenv("INGOT_GOLDEN_UPDATE")) {
		json_set(j, "expect", got);
		store(path, j);
		return;
	}
	bool same = json_equal(got, json_get(j, "expect"));
	if (!same) {
		_cleanup_(strbuf_done) struct strbuf text = { 0 };
		json_print_pretty(got, &text);
		print_message("%s: got\n%s\n", path, text.data);
	}
	json_free(got);
	assert_true(same);
}

static int is_case(const struct dirent *d)
{
	return str_has_suffix(d->d_name, ".json");
}

/* --- what the cases count --------------------------------------------------------------------- */

static const char measures_path[] = "test/golden/measures.txt";

static void measure_case(const char *file, struct strbuf *out)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, file);
	_cleanup_(json_freep) struct json *j = load(path);
	json_free(run(json_get(j, "given"), file, out));
}

/* The file's lines of one case must be those that it counts. */
static void check_case(const char *file, const char *all)
{
	_cleanup_(strbuf_done) struct strbuf expected = { 0 }, got = { 0 };
	_cleanup_(freep) char *start = xasprintf("%s ", file);
	strbuf_adds(&expected, ""), strbuf_adds(&got, "");
	for (const char *line = all; *line; line += strcspn(line, "\n") + 1)
		if (str_has_prefix(line, start))
			strbuf_add(&expected, line, strcspn(line, "\n") + 1);
	measure_case(file, &got);
	if (expected.len)
		assert_string_equal(got.data, expected.data);
}

static void measures(void **state)
{
	(void)state;
	struct dirent **names;
	char all[32768];
	bool update = getenv("INGOT_GOLDEN_UPDATE");
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	FILE *f = fopen(measures_path, update ? "we" : "re");
	assert_non_null(f);
	size_t n = update ? 0 : fread(all, 1, sizeof(all) - 1, f);
	all[n] = '\0';
	assert_true(update || (n > 0 && n < sizeof(all) - 1));
	int count = scandir(dir, &names, is_case, alphasort);
	for (int i = 0; i < count; i++) {
		if (update)
			measure_case(names[i]->d_name, &out);
		else
			check_case(names[i]->d_name, all);
		free(names[i]);
	}
	free(names);
	if (update)
		assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
	fclose(f);
}

int main(void)
{
	struct dirent **names;
	int count = scandir(dir, &names, is_case, alphasort);
	if (count <= 0) {
		fprintf(stderr, "no cases in %s\n", dir);
		return 1;
	}
	struct CMUnitTest *tests = xcalloc((size_t)count + 1, sizeof(*tests));
	for (int i = 0; i < count; i++) {
		char *path = xasprintf("%s/%s", dir, names[i]->d_name);
		tests[i] = (struct CMUnitTest){ .name = path,
						.test_func = golden,
						.initial_state = path };
		free(names[i]);
	}
	free(names);
	tests[count] = (struct CMUnitTest)cmocka_unit_test(measures);
	int failed = _cmocka_run_group_tests("golden", tests, (size_t)count + 1, NULL, NULL);
	for (int i = 0; i < count; i++)
		free((char *)tests[i].name);
	free(tests);
	return failed;
}
