/* HostRecords come from the API, where others may write them. One that is taken has a plan that the
 * runner can follow, and is read again as the same. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_plan(const struct node_record *r)
{
	struct err err = { 0 };
	require(plan_check(&r->plan, &err) == 0);
	for (size_t i = 0; i < r->plan.steps.count; i++)
		require(step_find(plan_at(&r->plan, i)) &&
			!str_empty(step_name(plan_at(&r->plan, i))));
}

static void check(const struct json *j, enum op_kind kind)
{
	struct err err = { 0 };
	struct node_record r = { 0 }, again = { 0 };
	if (record_load(j, &r, &err) < 0)
		return;
	if (plan_take(&r, kind, &err) == 0) {
		_cleanup_(json_freep) struct json *saved = record_save(&r);
		require(kind == OP_NONE ? r.plan.steps.count == 0 : plan_now(&r.plan) != NULL);
		if (kind != OP_NONE)
			check_plan(&r);
		require(record_load(saved, &again, &err) == 0);
		require(plan_take(&again, kind, &err) == 0);
		_cleanup_(json_freep) struct json *twice = record_save(&again);
		require(json_equal(saved, twice));
		record_release(&again);
	}
	record_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum op_kind kinds[] = { OP_NONE, OP_INSPECT, OP_DEPLOY, OP_UNDEPLOY };
	_cleanup_(json_freep) struct json *j = NULL;
	if (json_parse((const char *)data, size, &j, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		check(j, kinds[i]);
	return 0;
}
