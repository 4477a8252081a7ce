/* Inspection out of band: a walk over what belongs to the system, along the links of a table, for
 * what inventory.c makes of it. A resource that is absent or broken is left out, and said; the
 * inspection goes on. Only a BMC that refuses the credentials or is too busy ends it: what is
 * stored about a host must not depend on how busy its BMC was.
 *
 * Collections are asked for with their members in them where the service says that it can, which
 * saves most of the requests. Links that are of use only if others told nothing wait for a later
 * round. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"
#include "bmc/redfish/inventory.h"

enum { RESOURCES_MAX = 1024, INSPECT_PAGES_MAX = 64, ROUNDS = 3, EXPANDED_MEMBERS = 4 };

enum shape { LINK, LINKS, COLLECTION };

static const struct edge {
	enum rf_part from;
	const char *within; /* the member's object; NULL: the resource */
	const char *member;
	enum rf_part to;
	enum shape shape;
	uint8_t round;
} edges[] = {
	{ RF_PART_SYSTEM, NULL, "Processors", RF_PART_PROCESSOR, COLLECTION, 0 },
	{ RF_PART_SYSTEM, NULL, "EthernetInterfaces", RF_PART_INTERFACE, COLLECTION, 0 },
	{ RF_PART_SYSTEM, NULL, "Storage", RF_PART_STORAGE, COLLECTION, 0 },
	{ RF_PART_SYSTEM, NULL, "Memory", RF_PART_MEMORY, COLLECTION, 1 },
	{ RF_PART_SYSTEM, NULL, "NetworkInterfaces", RF_PART_NETWORK_INTERFACE, COLLECTION, 1 },
	{ RF_PART_SYSTEM, NULL, "SimpleStorage", RF_PART_SIMPLE_STORAGE, COLLECTION, 1 },
	{ RF_PART_SYSTEM, "Links", "Chassis", RF_PART_CHASSIS, LINKS, 2 },
	{ RF_PART_STORAGE, NULL, "Drives", RF_PART_DRIVE, LINKS, 0 },
	{ RF_PART_STORAGE, NULL, "Volumes", RF_PART_VOLUME, COLLECTION, 0 },
	{ RF_PART_NETWORK_INTERFACE, "Links", "NetworkAdapter", RF_PART_ADAPTER, LINK, 1 },
	{ RF_PART_NETWORK_INTERFACE, NULL, "NetworkDeviceFunctions", RF_PART_FUNCTION, COLLECTION,
	  2 },
	{ RF_PART_CHASSIS, NULL, "NetworkAdapters", RF_PART_ADAPTER, COLLECTION, 2 },
	{ RF_PART_CHASSIS, NULL, "Drives", RF_PART_DRIVE, COLLECTION, 2 },
	{ RF_PART_CHASSIS, "Links", "Drives", RF_PART_DRIVE, LINKS, 2 },
	{ RF_PART_ADAPTER, NULL, "NetworkDeviceFunctions", RF_PART_FUNCTION, COLLECTION, 1 },
	{ RF_PART_ADAPTER, NULL, "Ports", RF_PART_PORT, COLLECTION, 1 },
	{ RF_PART_ADAPTER, NULL, "NetworkPorts", RF_PART_PORT, COLLECTION, 1 },
};

struct resource {
	char *path, *context;
	enum rf_part part;
	uint8_t round;
	bool collection, asked;
};

struct inspection {
	struct rf_inventory *inventory;
	struct resource items[RESOURCES_MAX];
	size_t count, at; /* the one that is asked for */
	unsigned round, pages;
	bool wanted[_RF_PART_MAX]; /* in this round */
	bool expanded;		   /* asked for so */
};

static void inspection_done(void *state)
{
	struct inspection *s = state;
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].path);
		free(s->items[i].context);
	}
	rf_inventory_free(s->inventory);
}

static void read_next(struct rf_bmc *rf);

static void read_path(struct rf_bmc *rf, const char *path, rf_answer_fn next)
{
	rf_ask(rf,
	       &(struct rf_request){ .path = path, .any = true, .optional = true, .lenient = true },
	       next);
}

/* --- what is to be read ---------------------------------------------------------------------- */

/* Some services end a link with a slash, or write it in other letters, and mean the same. */
static bool same_path(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	na -= na > 1 && a[na - 1] == '/';
	nb -= nb > 1 && b[nb - 1] == '/';
	return na == nb && strncasecmp(a, b, na) == 0;
}

static bool is_known(const struct inspection *s, const char *path, enum rf_part part)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i].part == part && same_path(s->items[i].path, path))
			return true;
	return false;
}

/* Takes the path. False: there is no room. */
static bool add_resource(struct inspection *s, char *path, const struct resource *like)
{
	bool known = is_known(s, path, like->part), full = s->count == RESOURCES_MAX;
	if (known || full) {
		if (full && !known)
			rf_inventory_skipped(s->inventory, path,
					     "the service has too many resources");
		free(path);
		return known;
	}
	s->items[s->count] = *like;
	s->items[s->count].path = path;
	s->items[s->count++].context = xstrdup(like->context);
	return true;
}

static bool is_whole(const struct json *member)
{
	return json_count(member) >= EXPANDED_MEMBERS && json_get(member, "Id");
}

static void take_resource(struct inspection *s, const struct json *body,
			  const struct resource *what);

/* A link, or the resource itself in its place. */
static bool add_link(struct inspection *s, const struct json *link, const struct resource *like)
{
	const char *id = json_string(link) ? json_string(link) : rf_id(link);
	char *path = id ? rf_path_of(id) : NULL;
	if (!is_whole(link) || like->collection)
		return !path || add_resource(s, path, like);
	bool known = path && is_known(s, path, like->part);
	bool room = known || !path || add_resource(s, xstrdup(path), like);
	free(path);
	if (known || !room)
		return room;
	if (id)
		s->items[s->count - 1].asked = true;
	take_resource(s, link, like);
	return true;
}

/* The adapter's model, for its ports; the controller's name, for its drives. */
static char *context_of(const struct json *body, const struct resource *what)
{
	if (what->part == RF_PART_ADAPTER)
		return rf_adapter_model(body);
	if (what->part == RF_PART_STORAGE)
		return xstrdup(json_get_string(body, "Id"));
	return xstrdup(what->context);
}

static void follow(struct inspection *s, const struct edge *edge, const struct json *body,
		   const char *context, uint8_t round)
{
	const struct json *object = edge->within ? json_get(body, edge->within) : body;
	const struct json *member = json_get(object, edge->member);
	const struct resource like = { .part = edge->to,
				       .round = MAX(edge->round, round),
				       .context = (char *)(uintptr_t)context,
				       .collection = edge->shape == COLLECTION };
	if (edge->shape != LINKS && !json_is_array(member)) {
		(void)add_link(s, member, &like);
		return;
	}
	const struct resource each = { .part = like.part,
				       .round = like.round,
				       .context = like.context };
	json_for_each(link, member)
		if (!add_link(s, link, &each))
			return;
}

static void take_resource(struct inspection *s, const struct json *body,
			  const struct resource *what)
{
	enum rf_part part = what->part;
	uint8_t round = what->round;
	_cleanup_(freep) char *context = context_of(body, what);
	rf_inventory_add(s->inventory, part, body, context);
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
		if (edges[i].from == part)
			follow(s, &edges[i], body, context, round);
}

/* --- reading it ------------------------------------------------------------------------------ */

static void finish(struct rf_bmc *rf)
{
	struct inspection *s = rf_state(rf);
	rf_task(rf)->result.inventory = rf_inventory_take(s->inventory);
	rf_done(rf);
}

/* True: the operation has ended, or goes on elsewhere. */
static bool is_fatal(struct rf_bmc *rf, const struct rf_answer *a)
{
	if (a->status != 401 && a->status != 429 && a->status != 503)
		return false;
	rf_fail_answer(rf, a);
	return true;
}

static void skip(struct inspection *s, const struct rf_answer *a)
{
	char why[40];
	if (rf_is_success(a))
		snprintf(why, sizeof(why), "answered with no JSON object");
	else
		snprintf(why, sizeof(why), "answered %d", a->status);
	rf_inventory_skipped(s->inventory, a->path, why);
}

static void on_resource(struct rf_bmc *rf, struct rf_answer *a)
{
	struct inspection *s = rf_state(rf);
	if (is_fatal(rf, a))
		return;
	struct resource what = s->items[s->at];
	if (a->body && rf_is_success(a))
		take_resource(s, a->body, &what);
	else if (a->status != 404)
		skip(s, a);
	read_next(rf);
}

static void read_collection(struct rf_bmc *rf, const char *path);

static void on_page(struct rf_bmc *rf, struct rf_answer *a)
{
	struct inspection *s = rf_state(rf);
	if (is_fatal(rf, a))
		return;
	if (s->expanded && (!a->body || !rf_is_success(a))) {
		rf->expand = RF_EXPAND_NONE; /* says that it can, and cannot */
		read_collection(rf, s->items[s->at].path);
		return;
	}
	struct resource like = s->items[s->at];
	like.collection = like.asked = false;
	if (!a->body && a->status != 404)
		skip(s, a);
	bool room = true;
	json_for_each(member, json_get(a->body, "Members"))
		room = room && add_link(s, member, &like);
	const struct json *next = json_get(a->body, "Members@odata.nextLink");
	const char *link = json_string(next) ? json_string(next) : rf_id(next);
	s->expanded = false;
	if (link && room && rf_is_success(a) && ++s->pages < INSPECT_PAGES_MAX)
		read_path(rf, link, on_page);
	else
		read_next(rf);
}

static void read_collection(struct rf_bmc *rf, const char *path)
{
	static const char *const queries[] = { [RF_EXPAND_NONE] = "",
					       [RF_EXPAND_ONE] = "?$expand=.",
					       [RF_EXPAND_LEVELS] = "?$expand=.($levels=1)" };
	struct inspection *s = rf_state(rf);
	bool plain = rf->expand == RF_EXPAND_NONE || strchr(path, '?');
	_cleanup_(freep) char *link = xasprintf("%s%s", path, plain ? "" : queries[rf->expand]);
	s->expanded = !plain;
	read_path(rf, link, on_page);
}

/* Judged once for each round, because its first resource must not make the others needless. */
static void begin_round(struct inspection *s)
{
	for (unsigned part = 0; part < _RF_PART_MAX; part++)
		s->wanted[part] = rf_inventory_wants(s->inventory, part);
}

static bool find_next(struct inspection *s)
{
	for (; s->round < ROUNDS; s->round++, begin_round(s))
		for (size_t i = 0; i < s->count; i++) {
			struct resource *r = &s->items[i];
			if (r->asked || r->round > s->round)
				continue;
			r->asked = true;
			s->at = i;
			if (s->round == 0 || s->wanted[r->part])
				return true;
		}
	return false;
}

static void read_next(struct rf_bmc *rf)
{
	struct inspection *s = rf_state(rf);
	if (!find_next(s)) {
		finish(rf);
		return;
	}
	const struct resource *r = &s->items[s->at];
	s->pages = 0;
	if (r->collection)
		read_collection(rf, r->path);
	else
		read_path(rf, r->path, on_resource);
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	static const struct resource system = { .part = RF_PART_SYSTEM };
	take_resource(rf_state(rf), a->body, &system);
	read_next(rf);
}

void rf_start_inspect(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	struct rf_bmc *rf = rf_begin(bmc);
	struct inspection *s = rf_state_new(rf, sizeof(*s), inspection_done);
	s->inventory = rf_inventory_new();
	rf_get_system(rf, on_system);
}
