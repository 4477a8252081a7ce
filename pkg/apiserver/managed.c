/* managedFields as records, and what an ordinary write makes of them (managed.h). Follows
 * k8s.io/apimachinery/pkg/util/managedfields: order of entries, names of the entries that stand for
 * others, and what counts as the same entry. Pure. */

#include "apiserver/managed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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

void managers_done(struct managers *m)
{
	for (size_t i = 0; i < m->count; i++)
		manager_done(&m->items[i]);
	free(m->items);
	*m = (struct managers){ 0 };
}

static void managers_erase(struct managers *m, size_t at)
{
	manager_done(&m->items[at]);
	m->count--;
	memmove(m->items + at, m->items + at + 1, (m->count - at) * sizeof(*m->items));
}

void managers_tidy(struct managers *m)
{
	for (size_t i = m->count; i-- > 0;)
		if (fieldset_empty(&m->items[i].fields))
			managers_erase(m, i);
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

struct manager *managers_entry(struct managers *m, bool applies, const struct writer *w)
{
	struct manager key = { .name = (char *)w->manager,
			       .api_version = (char *)w->api_version,
			       .subresource = (char *)w->subresource,
			       .applies = applies };
	size_t at = 0;
	int order = 1;
	while (at < m->count && (order = compare_identity(&key, &m->items[at])) > 0)
		at++;
	if (at < m->count && order == 0)
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

/* --- as JSON
 * ------------------------------------------------------------------------------------------------
 */

/* "apps/v1" and "apps/v2", not "v1" and "batch/v1". */
static bool same_group(const char *a, const char *b)
{
	const char *x = strchr(a, '/'), *y = strchr(b, '/');
	size_t len = x ? (size_t)(x - a) : 0;
	return len == (y ? (size_t)(y - b) : 0) && strncmp(a, b, len) == 0;
}

static int decode_entry(const struct json *entry, const char *api_version, struct managers *m)
{
	_cleanup_(fieldset_done) struct fieldset fields = { 0 };
	const char *operation = json_get_string(entry, "operation");
	bool applies = streq(operation, "Apply");
	const struct writer w = { .manager = str_or(json_get_string(entry, "manager"), ""),
				  .api_version = str_or(json_get_string(entry, "apiVersion"), ""),
				  .subresource = str_or(json_get_string(entry, "subresource"),
							"") };
	if ((!applies && !streq(operation, "Update")) || *w.api_version == '\0' ||
	    !streq(json_get_string(entry, "fieldsType"), "FieldsV1"))
		return -EINVAL;
	int r = fieldset_decode(json_get(entry, "fieldsV1"), &fields);
	if (r < 0 || !same_group(w.api_version, api_version))
		return r;
	struct manager *to = managers_entry(m, applies, &w);
	fieldset_done(&to->fields);
	to->fields = fields;
	fields = (struct fieldset){ 0 };
	str_replace(&to->api_version, w.api_version);
	str_replace(&to->time, json_get_string(entry, "time"));
	return 0;
}

int managers_decode(const struct json *list, const char *api_version, struct managers *ret)
{
	_cleanup_(managers_done) struct managers m = { 0 };
	json_for_each(entry, list) {
		int r = decode_entry(entry, api_version, &m);
		if (r < 0)
			return r;
	}
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

struct json *managers_encode(const struct managers *m)
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

/* --- an ordinary write
 * -------------------------------------------------------------------------------------- */

void managers_strip(struct fieldset *s)
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

static size_t updates_of(const struct managers *m, const struct manager **order)
{
	size_t count = 0;
	for (size_t i = 0; i < m->count; i++)
		if (!m->items[i].applies)
			order[count++] = &m->items[i];
	qsort(order, count, sizeof(*order), compare_shown);
	return count;
}

/* The entry goes; what it had is added to `sum`, which takes its time. */
static void fold(struct managers *m, const struct manager *entry, struct manager *sum)
{
	fieldset_unite(&sum->fields, &entry->fields);
	str_replace(&sum->time, entry->time);
	str_replace(&sum->api_version, entry->api_version);
	managers_erase(m, (size_t)(entry - m->items));
}

static void fold_two(struct managers *m, const struct manager *older, const struct manager *newer)
{
	struct manager sum = { 0 };
	bool newer_first = newer > older; /* erasing moves what stands behind */
	_cleanup_(freep) char *time = xstrdup(newer->time);
	fold(m, newer_first ? newer : older, &sum);
	fold(m, newer_first ? older : newer, &sum);
	struct manager *to = managers_entry(
		m, false, &(struct writer){ OLD_UPDATES, sum.api_version, "", NULL });
	fieldset_unite(&to->fields, &sum.fields);
	str_replace(&to->time, time);
	manager_done(&sum);
}

/* Who set something long ago is rarely asked, and entries must not grow without end: the oldest two
 * of one version become one. */
static bool fold_oldest(struct managers *m)
{
	_cleanup_(freep) const struct manager **order = xcalloc(m->count + 1, sizeof(*order));
	size_t count = updates_of(m, order);
	if (count <= MANAGERS_UPDATES_MAX)
		return false;
	for (size_t i = 1; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (streq(order[i]->api_version, order[k]->api_version)) {
				fold_two(m, order[k], order[i]);
				return true;
			}
	return false;
}

void managers_update(struct managers *m, const struct comparison *change, const struct writer *w)
{
	struct fieldset mine = fieldset_union(&change->added, &change->modified);
	for (size_t i = 0; i < m->count; i++) {
		fieldset_subtract(&m->items[i].fields, &mine);
		fieldset_subtract(&m->items[i].fields, &change->removed);
	}
	managers_strip(&mine);
	if (!fieldset_empty(&mine)) {
		struct manager *to = managers_entry(m, false, w);
		fieldset_unite(&to->fields, &mine);
		str_replace(&to->time, w->time);
	}
	fieldset_done(&mine);
	managers_tidy(m);
	while (fold_oldest(m))
		;
}
