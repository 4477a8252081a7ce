/* Between the embedded API server, which knows no kinds, and the rules of ours: `ingot standalone`
 * refuses what the webhooks refuse on a cluster, with the same words. In cmd, because it is of
 * neither: the API server is to stay without our kinds, and the rules without an API server. */

#include "admit.h"

#include "admission/rules.h"
#include "api/meta.h"
#include "base/mem.h"

char *rules_admit(void *data, const struct api_admission *a)
{
	static const enum rule_operation operations[] = {
		[API_CREATE] = RULE_CREATE, [API_UPDATE] = RULE_UPDATE, [API_DELETE] = RULE_DELETE
	};
	_cleanup_(json_freep) struct json *hosts = NULL;
	_cleanup_(rule_findings_done) struct rule_findings found = { 0 };
	struct err err = { 0 };
	struct rule_subject s = { .operation = operations[a->operation],
				  .kind = a->kind,
				  .ns = a->ns,
				  .name = a->name,
				  .now = a->now,
				  .old = a->old,
				  .no_hosts_because = err.text };
	(void)data;
	if (!streq(a->group, API_GROUP))
		return NULL;
	if (rules_want_hosts(&s))
		s.hosts = hosts = api_admission_list(a, "baremetalhosts." API_GROUP, &err);
	rules_check(&s, &found);
	for (size_t i = 0; i < found.warning_count; i++)
		api_admission_warn(a, found.warnings[i]);
	_cleanup_(freep) char *text = rule_findings_text(&found);
	return text ? rules_denial(a->kind, text) : NULL;
}
