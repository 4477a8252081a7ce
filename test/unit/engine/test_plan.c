/* Plans of operations: what each operation does (plans.json, which a person reads when it changes),
 * the plans that records of earlier releases become, and plans that no runner may follow. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/internal.h"

static struct json *parse(const char *text)
{
	struct json *j = NULL;
	_cleanup_(freep) char *copy = xstrdup(text);
	for (char *p = copy; (p = strchr(p, '\'')); p++)
		*p = '"';
	if (json_parse(copy, strlen(copy), &j, NULL) < 0)
		fail_msg("no JSON: %s", copy);
	return j;
}

static struct json *golden(void)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	char buf[4096];
	FILE *f = fopen("test/unit/engine/plans.json", "re");
	assert_non_null(f);
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&text, buf, n);
	fclose(f);
	return parse(text.data);
}

static enum op_kind kind_named(const char *name)
{
	for (int k = OP_VERIFY; k < _OP_MAX; k++)
		if (streq(op_info((enum op_kind)k)->name, name))
			return (enum op_kind)k;
	fail_msg("no operation \"%s\"", name);
	return OP_NONE;
}

/* As the record has it: {steps, place}. */
static void assert_plan(const struct json *plan, const struct json *list, size_t place)
{
	struct json *wanted = json_new_array();
	json_for_each(s, list) {
		json_append(wanted, json_dup(json_get(s, "plan")));
	}
	if (!json_equal(json_get(plan, "steps"), wanted)) {
		_cleanup_(freep) char *is = json_to_string(plan);
		fail_msg("another plan: %s", is);
	}
	assert_int_equal(json_get_int(plan, "place", 0), place);
	json_free(wanted);
}

static void test_plans_of_operations(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *all = golden();
	assert_int_equal(json_count(all), _OP_MAX - 1);
	json_for_each(op, all) {
		struct node_record r = { 0 };
		struct err err = { 0 };
		const struct json *list = json_get(op, "steps");
		plan_build(kind_named(json_key(op)),
			   &(struct plan_choice){ .method = BMC_BOOT_NETWORK }, &r.plan);
		if (plan_check(&r.plan, &err) < 0)
			fail_msg("%s: %s", json_key(op), err.text);
		for (size_t i = 0; i < json_count(list); i++)
			assert_string_equal(step_name(plan_at(&r.plan, i)),
					    json_get_string(json_at(list, i), "name"));
		_cleanup_(json_freep) struct json *record = record_save(&r);
		assert_plan(json_get(record, "plan"), list, 0);
		record_release(&r);
	}
}

/* What a record becomes when it is read by a process in which that operation runs. NULL, with err:
 * it cannot be used. */
static struct json *taken(const struct json *record, enum op_kind kind, struct err *err)
{
	struct node_record r = { 0 };
	struct json *after = NULL;
	if (record_load(record, &r, err) < 0)
		return NULL;
	if (plan_take(&r, kind, err) == 0)
		after = record_save(&r);
	record_release(&r);
	return after;
}

static void check_elder(int version, const struct json *op, size_t i)
{
	struct err err = { 0 };
	const struct json *list = json_get(op, "steps");
	const char *name = json_get_string(json_at(list, i), "name");
	_cleanup_(freep) char *text = xasprintf(
		"{'hostUID':'u','schemaVersion':%d,'node':{'state':'%s'},"
		"'boot':{%s},'step':{'operation':'%s','name':'%s','attempt':2}}",
		version, json_get_string(op, "state"), version == 2 ? "'number':7" : "",
		json_key(op), name);
	_cleanup_(json_freep) struct json *before = parse(text);
	_cleanup_(json_freep) struct json *after = taken(before, kind_named(json_key(op)), &err);
	if (!after)
		fail_msg("%s, %s: %s", json_key(op), name, err.text);
	assert_plan(json_get(after, "plan"), list, i);
	assert_true(json_equal(json_get(after, "step"), json_get(before, "step")));
	assert_int_equal(json_get_int(after, "schemaVersion", 0), 3);
	/* Ours is read as it is. */
	_cleanup_(json_freep) struct json *again = taken(after, kind_named(json_key(op)), &err);
	assert_true(json_equal(again, after));
}

/* Each step of each operation that records tell of, from either schema without plans. */
static void test_records_of_earlier_releases(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *all = golden();
	unsigned cases = 0;
	json_for_each(op, all) {
		if (!json_get_string(op, "state"))
			continue;
		for (size_t i = 0; i < json_count(json_get(op, "steps")); i++, cases++) {
			check_elder(1, op, i);
			check_elder(2, op, i);
		}
	}
	assert_int_equal(cases, 4 + 12 + 6);
}

/* The operation begins anew: a step of another operation, one that no release had, and none. What
 * stands in "plan" of such a record no release of that time has written. */
static void test_unknown_steps_of_earlier_releases(void **state)
{
	(void)state;
	static const char *const list[] = {
		"{'operation':'inspect','name':'power off'}",
		"{'operation':'deploy','name':'wait for inventory'}",
		"{'operation':'deploy'}",
		"{}",
	};
	_cleanup_(json_freep) struct json *all = golden();
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		struct err err = { 0 };
		_cleanup_(freep) char *text = xasprintf(
			"{'hostUID':'u','schemaVersion':2,'step':%s,'plan':{'place':3,'steps':"
			"[{'interface':'power','step':'power off'}]}}",
			list[i]);
		_cleanup_(json_freep) struct json *before = parse(text);
		_cleanup_(json_freep) struct json *after = taken(before, OP_DEPLOY, &err);
		assert_plan(json_get(after, "plan"), json_get_path(all, "deploy.steps"), 0);
		assert_null(json_get_path_string(after, "step.name"));
	}
}

/* A record of a host at rest has no plan, and is one that earlier releases read. */
static void test_no_plan_at_rest(void **state)
{
	(void)state;
	struct err err = { 0 };
	_cleanup_(json_freep) struct json *before = parse(
		"{'hostUID':'u','schemaVersion':3,'plan':{'steps':[{'interface':'x'}]}}");
	_cleanup_(json_freep) struct json *after = taken(before, OP_NONE, &err);
	assert_null(json_get(after, "plan"));
	assert_int_equal(json_get_int(after, "schemaVersion", 0), 1);
}

#define OFF  "{'interface':'power','step':'power off'}"
#define WAIT "{'interface':'deploy','step':'wait for agent'}"
#define RAID(more)                                                                                      \
	"{'interface':'raid','step':'create_configuration','command':'deploy.execute_deploy_step'" more \
	"}"

static void test_plans_that_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *plan, *step, *words;
	} rows[] = {
		{ "'steps':[" OFF "," WAIT "," RAID(",'args':{'a':1}") "]", "power off", NULL },
		{ "'place':2,'steps':[" OFF "," WAIT "," RAID("") "]", "create_configuration",
		  NULL },
		{ "'place':1,'steps':[" OFF "," WAIT "]", "power off", "is at \"wait for agent\"" },
		{ "'place':2,'steps':[" OFF "," WAIT "]", "power off", "place 2" },
		{ "'place':-1,'steps':[" OFF "]", "power off", "place -1" },
		{ "'steps':[" OFF ",{'interface':'power','step':'explode'}]", "power off",
		  "\"explode\" is not known" },
		{ "'steps':[{'step':'power off'}]", "power off", "is not known" },
		{ "'steps':[" OFF "," WAIT ",{'interface':'raid','step':'x','command':"
		  "'standby.run_image'}]",
		  "power off", "is not known" },
		{ "'steps':[" OFF "," WAIT ",{'step':'x','command':'deploy.execute_deploy_step'}]",
		  "power off", "is not known" },
		{ "'steps':[" OFF "," OFF "]", "power off", "twice" },
		{ "'steps':[" OFF "," WAIT "," RAID("") "," RAID(",'args':{}") "]", "power off",
		  "twice" },
		{ "'steps':[" OFF "," RAID("") "]", "power off", "before the wait" },
		{ "'steps':[" WAIT "]", "wait for agent", "no power off" },
		{ "'steps':[" OFF "," WAIT "," RAID(",'args':[1]") "]", "power off", "args" },
		{ "'steps':[{'interface':'power','step':'power off','args':{}}]", "power off",
		  "args" },
		{ "'steps':[" OFF "," WAIT "," RAID(",'priority':-1") "]", "power off",
		  "priority" },
		{ "'steps':[" OFF "," WAIT "," RAID(",'unless':'rain'") "]", "power off",
		  "plan.steps[2].unless" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		_cleanup_(freep) char *text = xasprintf(
			"{'hostUID':'u','schemaVersion':3,'step':{'operation':'deploy','name':'%s'},"
			"'plan':{%s}}",
			rows[i].step, rows[i].plan);
		_cleanup_(json_freep) struct json *before = parse(text);
		_cleanup_(json_freep) struct json *after = taken(before, OP_DEPLOY, &err);
		if (!rows[i].words && !after)
			fail_msg("%s: %s", text, err.text);
		if (!rows[i].words)
			continue;
		assert_null(after);
		if (!strstr(err.text, rows[i].words))
			fail_msg("%s: \"%s\" has no \"%s\"", text, err.text, rows[i].words);
	}
}

static void test_plan_is_bounded(void **state)
{
	(void)state;
	struct plan p = { 0 };
	struct err err = { 0 };
	char name[16];
	plan_add(&p, &(struct plan_step){ .interface = "power", .step = "power off" });
	plan_add(&p, &(struct plan_step){ .interface = "deploy", .step = "wait for agent" });
	for (unsigned i = 2; i < PLAN_MAX; i++) {
		snprintf(name, sizeof(name), "step%u", i);
		plan_add(&p, &(struct plan_step){ .interface = "raid",
						  .step = name,
						  .command = "clean.execute_clean_step" });
	}
	assert_int_equal(plan_check(&p, &err), 0);
	plan_add(&p, &(struct plan_step){ .interface = "raid",
					  .step = "one",
					  .command = "clean.execute_clean_step" });
	assert_true(plan_check(&p, &err) < 0);
	assert_non_null(strstr(err.text, "256"));
	plan_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans_of_operations),
		cmocka_unit_test(test_records_of_earlier_releases),
		cmocka_unit_test(test_unknown_steps_of_earlier_releases),
		cmocka_unit_test(test_no_plan_at_rest),
		cmocka_unit_test(test_plans_that_are_refused),
		cmocka_unit_test(test_plan_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
