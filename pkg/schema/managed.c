/* managedFields as records, and what an ordinary write makes of them (managed.h). Follows
 * k8s.io/apimachinery/pkg/util/managedfields: order of entries, names of the entries that stand for
 * others, and what counts as the same entry. Pure. */

#include "schema/managed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

#define OLD_UPDATES "ancient-changes"

static void manager_done(struct manager *m)
{
	free(m->name);
	free(m->api_version);
	free(m->subresource);
	free(m->time);
	fieldset_done(&m->fields);
}

void schema_managers_done(struct managers *m)
{
	for (size_t i = 0; i < m->count; i++)
		manager_done(&m->items[i]);
	free(m->items);
	*m = (struct managers){ 0 };
}

void schema_managers_tidy(struct managers *m)
{
	size_t kept = 0;
	for (size_t i = 0; i < m->count; i++) {
		if (fieldset_empty(&m->items[i].fields))
			manager_done(&m->items[i]);
		else
			m->items[kept++] = m->items[i];
	}
	m->count = kept;
}

/* One who applies is the same in all versions: he says all that he wants each time. */
static int compare_identity(const struct manager *a, const struct manager *b)
{
	int order = strcmp(a->name, b->name);
	if (order == 0)
		order = (int)b->applies - (int)a->applies;
	if (order == 0 && !a->applies)
		order = strcmp(a->api_version, b->api_version);
	return order ? order : strcmp(a->subresource, b->subresource);
}

/* Where the entry stands, or would have to. Entries mostly come in order. */
static size_t place_of(const struct managers *m, const struct manager *key, bool *ret_found)
{
	size_t low = 0, high = m->count;
	int order = high ? compare_identity(key, &m->items[high - 1]) : 1;
	*ret_found = order == 0;
	if (order >= 0)
		return order == 0 ? high - 1 : high;
	while (low < high) {
		size_t middle = (low + high) / 2;
		order = compare_identity(key, &m->items[middle]);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct manager *schema_managers_entry(struct managers *m, bool applies, const struct writer *w)
{
	struct manager key = { .name = (char *)w->manager,
			       .api_version = (char *)w->api_version,
			       .subresource = (char *)w->subresource,
			       .applies = applies };
	bool found;
	size_t at = place_of(m, &key, &found);
	if (found)
		return &m->items[at];
	m->items = xreallocarray(m->items, m->count + 1, sizeof(*m->items));
	memmove(m->items + at + 1, m->items + at, (m->count - at) * sizeof(*m->items));
	m->count++;
	m->items[at] = (struct manager){ .name = xstrdup(w->manager),
					 .api_version = xstrdup(w->api_version),
					 .subresource = xstrdup(w->subresource),
					 .applies = applies };
	return &m->items[at];
}

/* --- as JSON --- */

/* "apps/v1" and "apps/v2", not "v1" and "batch/v1". */
static bool same_group(const char *a, const char *b)
{
	const char *x = strchr(a, '/'), *y = strchr(b, '/');
	size_t len = x ? (size_t)(x - a) : 0;
	return len == (y ? (size_t)(y - b) : 0) && strncmp(a, b, len) == 0;
}

/* *ret is untouched when the entry is of another group. */
static int decode_entry(const struct json *entry, const char *api_version, struct manager *ret)
{
	_cleanup_(fieldset_done) struct fieldset fields = { 0 };
	const char *operation = json_get_string(entry, "operation");
	const char *version = str_or(json_get_string(entry, "apiVersion"), "");
	bool applies = streq(operation, "Apply");
	if ((!applies && !streq(operation, "Update")) || *version == '\0' ||
	    !streq(json_get_string(entry, "fieldsType"), "FieldsV1"))
		return -EINVAL;
	int r = fieldset_decode(json_get(entry, "fieldsV1"), &fields);
	if (r < 0 || !same_group(version, api_version))
		return r;
	*ret = (struct manager){
		.name = xstrdup(str_or(json_get_string(entry, "manager"), "")),
		.api_version = xstrdup(version),
		.subresource = xstrdup(str_or(json_get_string(entry, "subresource"), "")),
		.time = xstrdup(json_get_string(entry, "time")),
		.applies = applies,
		.fields = fields,
	};
	fields = (struct fieldset){ 0 };
	return 0;
}

static int compare_managers(const void *a, const void *b)
{
	const struct manager *x = a, *y = b;
	int order = compare_identity(x, y);
	return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

/* In order, each once: of entries that are the same the last one counts. */
static void sort_managers(struct managers *m)
{
	size_t kept = 0;
	if (m->count == 0)
		return;
	qsort(m->items, m->count, sizeof(*m->items), compare_managers);
	for (size_t i = 1; i < m->count; i++) {
		if (compare_identity(&m->items[kept], &m->items[i]) == 0)
			manager_done(&m->items[kept]);
		else
			kept++;
		m->items[kept] = m->items[i];
	}
	m->count = kept + 1;
}

/* Sorted at the end, because there may be thousands. */
int schema_managers_decode(const struct json *list, const char *api_version, struct managers *ret)
{
	_cleanup_(schema_managers_done) struct managers m = { 0 };
	m.items = xcalloc(json_count(list) + 1, sizeof(*m.items));
	json_for_each(entry, list) {
		int r = decode_entry(entry, api_version, &m.items[m.count]);
		if (r < 0)
			return r;
		m.items[m.count].at = m.count;
		m.count += m.items[m.count].name != NULL;
	}
	sort_managers(&m);
	*ret = (struct managers){ 0 };
	if (m.count == 0)
		return 0; /* and nothing to free for who overwrites it */
	*ret = m;
	m = (struct managers){ 0 };
	return 0;
}

static struct json *encode_entry(const struct manager *m)
{
	struct json *entry = json_new_object();
	if (*m->name)
		json_set_string(entry, "manager", m->name);
	json_set_string(entry, "operation", m->applies ? "Apply" : "Update");
	json_set_string(entry, "apiVersion", m->api_version);
	json_set_string(entry, "time", m->time);
	json_set_string(entry, "fieldsType", "FieldsV1");
	json_set(entry, "fieldsV1", fieldset_encode(&m->fields));
	if (*m->subresource)
		json_set_string(entry, "subresource", m->subresource);
	return entry;
}

/* To the second, as times are written; 0: unknown. */
static usec_t second_of(const struct manager *m)
{
	usec_t at;
	return m->time && clock_parse(m->time, &at) == 0 ? at / USEC_PER_SEC : 0;
}

/* Who applies first, then from the oldest. */
static int compare_shown(const void *a, const void *b)
{
	const struct manager *const *x = a, *const *y = b;
	usec_t s = second_of(*x), t = second_of(*y);
	if ((*x)->applies != (*y)->applies)
		return (*x)->applies ? -1 : 1;
	return s != t ? (s < t ? -1 : 1) : compare_identity(*x, *y);
}

static int compare_times(const void *a, const void *b)
{
	const struct manager *x = a, *y = b;
	return compare_shown(&x, &y);
}

struct json *schema_managers_encode(const struct managers *m)
{
	if (m->count == 0)
		return NULL;
	struct json *list = json_new_array();
	_cleanup_(freep) const struct manager **order = xcalloc(m->count, sizeof(*order));
	for (size_t i = 0; i < m->count; i++)
		order[i] = &m->items[i];
	qsort(order, m->count, sizeof(*order), compare_shown);
	for (size_t i = 0; i < m->count; i++)
		json_append(list, encode_entry(order[i]));
	return list;
}

/* --- an ordinary write --- */

void schema_managers_strip(struct fieldset *s)
{
	static const char *const meta[] = { "f:name",	       "f:namespace",
					    "f:uid",	       "f:creationTimestamp",
					    "f:selfLink",      "f:generation",
					    "f:managedFields", "f:resourceVersion",
					    "f:clusterName" };
	fieldset_drop(s, "f:apiVersion", NULL);
	fieldset_drop(s, "f:kind", NULL);
	fieldset_drop(s, "f:metadata", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(meta); i++)
		fieldset_drop(s, "f:metadata", meta[i]);
}

/* Takes what is no apply out of m; the oldest first. */
static struct managers take_updates(struct managers *m)
{
	struct managers updates = { .items = xcalloc(m->count + 1, sizeof(*m->items)) };
	size_t kept = 0;
	for (size_t i = 0; i < m->count; i++)
		if (m->items[i].applies)
			m->items[kept++] = m->items[i];
		else
			updates.items[updates.count++] = m->items[i];
	m->count = kept;
	qsort(updates.items, updates.count, sizeof(*updates.items), compare_times);
	return updates;
}

/* `entry` becomes a part of `old`, which stands for all that were folded into it. */
static void fold(struct manager *old, struct manager *entry)
{
	fieldset_unite(&old->fields, &entry->fields);
	fieldset_done(&entry->fields);
	str_replace(&old->name, OLD_UPDATES);
	str_replace(&old->subresource, "");
	str_replace(&old->time, entry->time);
}

static void put_back(struct managers *m, struct manager *entry)
{
	if (fieldset_empty(&entry->fields))
		return;
	struct manager *to = schema_managers_entry(
		m, false,
		&(struct writer){ entry->name, entry->api_version, entry->subresource, NULL });
	fieldset_unite(&to->fields, &entry->fields);
	str_replace(&to->time, entry->time);
}

/* Who set something long ago is rarely asked, and entries must not grow without end: the oldest of
 * one version become one. */
static void fold_oldest(struct managers *m)
{
	size_t count = 0;
	for (size_t i = 0; i < m->count; i++)
		count += !m->items[i].applies;
	if (count <= MANAGERS_UPDATES_MAX)
		return;
	_cleanup_(schema_managers_done) struct managers updates = take_updates(m);
	_cleanup_(map_done) struct map first = { 0 }; /* of each version */
	for (size_t i = 0; i < updates.count && count > MANAGERS_UPDATES_MAX; i++) {
		struct manager *entry = &updates.items[i];
		struct manager *old = map_get(&first, entry->api_version);
		if (!old) {
			map_set(&first, entry->api_version, entry);
			continue;
		}
		fold(old, entry);
		count--;
	}
	for (size_t i = 0; i < updates.count; i++)
		put_back(m, &updates.items[i]);
}

void schema_managers_update(struct managers *m, const struct comparison *change,
			    const struct writer *w)
{
	struct fieldset mine = fieldset_union(&change->added, &change->modified);
	for (size_t i = 0; i < m->count; i++) {
		fieldset_subtract(&m->items[i].fields, &mine);
		fieldset_subtract(&m->items[i].fields, &change->removed);
	}
	schema_managers_strip(&mine);
	if (!fieldset_empty(&mine)) {
		struct manager *to = schema_managers_entry(m, false, w);
		fieldset_unite(&to->fields, &mine);
		str_replace(&to->time, w->time);
	}
	fieldset_done(&mine);
	schema_managers_tidy(m);
	fold_oldest(m);
}
