/* The end of `ingotctl watch` (see goal.h). Pure. */

#include "hostview/goal.h"

#include "base/macro.h"

static const char *const states[] = {
	"unmanaged",
	"registering",
	"inspecting",
	"preparing",
	"available",
	"provisioning",
	"provisioned",
	"deprovisioning",
	"deleting",
	"deleted",
	"match profile",
	"externally provisioned",
	"powering off before delete",
};

bool goal_is_state(const char *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (streq(state, states[i]))
			return true;
	return false;
}

/* "provisioned" with another image than the one that is wanted now is the past. */
static bool has_wanted_image(const struct view *v)
{
	static const char *const fields[] = { "url", "checksum" };
	const struct json *is = json_get_path(v->sources.host, "status.provisioning.image");
	const struct json *wanted = json_get_path(v->sources.host, "spec.image");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!streq(str_or(json_get_string(is, fields[i]), ""),
			   str_or(json_get_string(wanted, fields[i]), "")))
			return false;
	return true;
}

static bool is_reached(const struct goal *g, const struct view *v)
{
	if (g->state && !streq(g->state, "provisioned"))
		return streq(v->state, g->state);
	if (g->state || view_wants_image(v))
		return streq(v->state, "provisioned") && has_wanted_image(v);
	return streq(v->state, "available") || streq(v->state, "externally provisioned");
}

static bool has_failed(struct goal *g, const struct view *v)
{
	if (!g->begun) {
		g->begun = true;
		g->had_error = v->error != NULL;
		g->errors_before = v->error_count;
	}
	if (!v->error) {
		g->had_error = false;
		return false;
	}
	return !g->patient && (!g->had_error || v->error_count > g->errors_before);
}

enum goal_verdict goal_judge(struct goal *g, const struct view *v)
{
	bool failed = has_failed(g, v);
	bool leaving = json_get_path(v->sources.host, "metadata.deletionTimestamp") != NULL;
	if (!(leaving && !g->state) && is_reached(g, v) && !v->error)
		return GOAL_REACHED;
	return failed ? GOAL_FAILED : GOAL_OPEN;
}

enum goal_verdict goal_judge_gone(const struct goal *g, bool was_being_deleted)
{
	bool wanted = g->state ? streq(g->state, "deleted") : was_being_deleted;
	return wanted ? GOAL_REACHED : GOAL_FAILED;
}
