/* Plans as lists (see plan.h), and their form in records. What stands in them, and what may, says
 * steps/table.c. */

#include "engine/plan.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

static const char *const unless_names[] = {
	[UNLESS_NEVER] = "",	[UNLESS_AGENT] = "agent", [UNLESS_CLEAN] = "clean",
	[UNLESS_BIOS] = "bios", [UNLESS_OFF] = "off",	  [_UNLESS_MAX] = NULL,
};

#define FIELD(json, c, member)                                                                     \
	{                                                                                          \
		.key = (json), .type = (c), .offset = offsetof(struct plan_step, member)           \
	}

static const struct bind_field step_fields[] = {
	FIELD("interface", BIND_STRING, interface),
	FIELD("step", BIND_STRING, step),
	FIELD("args", BIND_JSON, args),
	FIELD("priority", BIND_INT, priority),
	FIELD("command", BIND_STRING, command),
	{ .key = "unless",
	  .type = BIND_ENUM,
	  .offset = offsetof(struct plan_step, unless),
	  .names = unless_names },
	{ 0 },
};
const struct bind_struct plan_step_struct = { sizeof(struct plan_step), step_fields };

const struct plan_step *plan_at(const struct plan *p, size_t index)
{
	const struct plan_step *items = p->steps.items;
	return index < p->steps.count ? &items[index] : NULL;
}

const struct plan_step *plan_now(const struct plan *p)
{
	return plan_at(p, (size_t)p->place);
}

void plan_add(struct plan *p, const struct plan_step *step)
{
	struct plan_step *items = xreallocarray(p->steps.items, p->steps.count + 1, sizeof(*items));
	items[p->steps.count++] = (struct plan_step){ .interface = xstrdup(step->interface),
						      .step = xstrdup(step->step),
						      .args = step->args ? json_dup(step->args)
									 : NULL,
						      .priority = step->priority,
						      .command = xstrdup(step->command),
						      .unless = step->unless };
	p->steps.items = items;
	p->steps.present = true;
}

void plan_copy(struct plan *to, const struct plan *from)
{
	plan_done(to);
	for (size_t i = 0; i < from->steps.count; i++)
		plan_add(to, plan_at(from, i));
	to->place = from->place;
}

void plan_done(struct plan *p)
{
	struct plan_step *items = p->steps.items;
	for (size_t i = 0; i < p->steps.count; i++)
		bind_release(&plan_step_struct, &items[i]);
	free(items);
	*p = (struct plan){ 0 };
}
