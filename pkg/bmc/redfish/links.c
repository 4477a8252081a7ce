/* Finding one's way from the root: the system that the address names or the only one that can be
 * one, its manager, and the members of collections. Paths are never built, always followed. What is
 * kept between operations are paths, no trees. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { PAGES_MAX = 32, NAMES_MAX = 200 };

/* --- members of collections ------------------------------------------------------------------ */

struct rf_members {
	char *paths[RF_MEMBERS_MAX];
	size_t count, at;
	unsigned pages;
	rf_answer_fn each;
	rf_fn end;
};

void rf_members_free(struct rf_members *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++)
		free(m->paths[i]);
	free(m);
}

static bool add_member(struct rf_members *m, const struct json *link)
{
	char *path = rf_id(link) ? rf_path_of(rf_id(link)) : NULL;
	if (!path)
		return true;
	if (m->count == RF_MEMBERS_MAX) {
		free(path);
		return false;
	}
	m->paths[m->count++] = path;
	return true;
}

static void on_member(struct rf_bmc *rf, struct rf_answer *a)
{
	if (a->body)
		rf->run->members->each(rf, a);
	else
		rf_members_next(rf);
}

void rf_members_next(struct rf_bmc *rf)
{
	struct rf_members *m = rf->run->members;
	if (m->at < m->count) {
		rf_get_optional(rf, m->paths[m->at++], on_member);
		return;
	}
	rf_fn end = m->end;
	rf_members_free(m);
	rf->run->members = NULL;
	end(rf);
}

static void on_page(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_members *m = rf->run->members;
	bool room = true;
	json_for_each(link, json_get(a->body, "Members"))
		room = room && add_member(m, link);
	const struct json *next = json_get(a->body, "Members@odata.nextLink");
	const char *link = json_string(next) ? json_string(next) : rf_id(next);
	if (link && room && ++m->pages < PAGES_MAX)
		rf_get_optional(rf, link, on_page);
	else
		rf_members_next(rf);
}

void rf_each_member(struct rf_bmc *rf, const char *collection, rf_answer_fn each, rf_fn end)
{
	struct rf_members *m = xcalloc(1, sizeof(*m));
	rf_members_free(rf->run->members);
	m->each = each;
	m->end = end;
	rf->run->members = m;
	if (collection)
		rf_get_optional(rf, collection, on_page);
	else
		rf_members_next(rf);
}

/* --- the system ------------------------------------------------------------------------------ */

/* Only for finding it: kept beside the operation's own state. */
struct rf_search {
	rf_answer_fn next;
	char names[NAMES_MAX]; /* of those that could be it */
	char *found;
	unsigned candidates;
};

void rf_search_free(struct rf_search *s)
{
	if (!s)
		return;
	free(s->found);
	free(s);
}

static void learn(struct rf_bmc *rf, const struct json *system)
{
	const struct json *reset = json_get_path(system, "Actions");
	const char *target = json_get_string(json_get(reset, "#ComputerSystem.Reset"), "target");
	free(rf->links.reset);
	rf->links.reset = target ? rf_path_of(target) : NULL;
	const struct json *links = json_get(system, "Links"), *by = json_get(links, "ManagedBy");
	const char *manager = rf_id(json_at(by ? by : json_get(links, "Managers"), 0));
	free(rf->links.manager);
	rf->links.manager = manager ? rf_path_of(manager) : NULL;
	rf_text(system, "Manufacturer", rf->vendor, sizeof(rf->vendor));
	rf_text(system, "Model", rf->model, sizeof(rf->model));
	rf->quirks = rf_quirks_of(rf->vendor, rf->model, "") |
		     rf_quirks_of(rf->root_vendor, rf->model, "");
}

/* A path to a manager or a chassis is a common mistake. */
static bool is_system(const struct json *body)
{
	const char *type = json_get_string(body, "@odata.type");
	if (type)
		return strstr(type, "ComputerSystem.") != NULL;
	return json_get(body, "PowerState") || json_get(body, "Boot") || json_get(body, "Actions");
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_search *s = TAKE_PTR(rf->run->search);
	rf_answer_fn next = s->next;
	rf_search_free(s);
	if (a->status == 404) {
		rf_fail(rf, ERR_INVALID,
			"knows no system \"%.200s\": correct the path in the address, "
			"or leave it out if there is one system only",
			a->path);
		return;
	}
	if (!rf_is_success(a)) {
		rf_fail_answer(rf, a);
		return;
	}
	if (!is_system(a->body)) {
		rf_fail(rf, ERR_INVALID,
			"says that \"%.200s\" is no system: correct the path in the "
			"address",
			a->path);
		return;
	}
	learn(rf, a->body);
	next(rf, a);
}

static void read_system(struct rf_bmc *rf)
{
	rf_ask(rf, &(struct rf_request){ .path = rf->links.system, .any = true }, on_system);
}

static void note_candidate(struct rf_search *s, const char *path)
{
	size_t len = strlen(s->names);
	snprintf(s->names + len, sizeof(s->names) - len, "%s%s", len ? ", " : "", path);
	str_replace(&s->found, path);
	s->candidates++;
}

/* Parts that only count GPUs or boards have neither. */
static void on_candidate(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *reset = json_get(json_get(a->body, "Actions"), "#ComputerSystem.Reset");
	if (reset && json_get(a->body, "Boot"))
		note_candidate(rf->run->search, a->path);
	rf_members_next(rf);
}

static void choose(struct rf_bmc *rf)
{
	struct rf_search *s = rf->run->search;
	if (s->candidates == 1) {
		rf->links.system = TAKE_PTR(s->found);
		read_system(rf);
	} else if (s->candidates == 0) {
		rf_fail(rf, ERR_INVALID, "has no system that can be switched on and booted");
	} else {
		rf_fail(rf, ERR_INVALID,
			"has several systems (%s): put the path of the one that is "
			"meant into the address",
			s->names);
	}
}

static void on_systems(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *members = json_get(a->body, "Members");
	const char *only = json_count(members) == 1 ? rf_id(json_at(members, 0)) : NULL;
	if (only && (rf->links.system = rf_path_of(only)))
		read_system(rf);
	else
		rf_each_member(rf, a->path, on_candidate, choose);
}

static enum rf_expand expand_of(const struct json *root)
{
	const struct json *query = json_get_path(root, "ProtocolFeaturesSupported.ExpandQuery");
	if (!json_get_bool(query, "NoLinks", false))
		return RF_EXPAND_NONE;
	return json_get_bool(query, "Levels", false) ? RF_EXPAND_LEVELS : RF_EXPAND_ONE;
}

void rf_take_root(struct rf_bmc *rf, const struct json *root)
{
	const char *sessions = rf_link(json_get(root, "Links"), "Sessions");
	const char *systems = rf_link(root, "Systems");
	free(rf->links.sessions);
	free(rf->links.systems);
	rf->links.sessions = sessions ? rf_path_of(sessions) : NULL;
	rf->links.systems = systems ? rf_path_of(systems) : NULL;
	rf->no_sessions = !sessions && !json_get(root, "SessionService");
	/* The maker of the BMC, where that is not the maker of the machine. */
	rf_text(root, "Vendor", rf->root_vendor, sizeof(rf->root_vendor));
	rf->expand = expand_of(root);
	rf->root_read = true;
}

static void find_system(struct rf_bmc *rf)
{
	if (rf->links.system)
		read_system(rf);
	else if (rf->links.systems)
		rf_get(rf, rf->links.systems, on_systems);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "has no systems at %s: is this a Redfish service?",
			RF_ROOT);
}

/* Some give their root only to those who have logged in. */
static void on_root(struct rf_bmc *rf, struct rf_answer *a)
{
	if (a->body)
		rf_take_root(rf, a->body);
	rf->root_read = true;
	find_system(rf);
}

static void read_root(struct rf_bmc *rf)
{
	if (rf->root_read)
		find_system(rf);
	else
		rf_get_optional(rf, RF_ROOT, on_root);
}

void rf_get_system(struct rf_bmc *rf, rf_answer_fn next)
{
	rf_search_free(rf->run->search);
	rf->run->search = xcalloc(1, sizeof(*rf->run->search));
	rf->run->search->next = next;
	if (!rf->links.system)
		rf->links.system = bmc_address_system_path(&rf->base.address);
	rf_login(rf, read_root);
}

void rf_get_manager(struct rf_bmc *rf, rf_answer_fn next)
{
	if (rf->links.manager)
		rf_get(rf, rf->links.manager, next);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "names no manager of the system (Links.ManagedBy)");
}
