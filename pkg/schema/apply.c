/* Server-side apply on trees: what is wanted is laid over what is there; what the same manager
 * wanted before, wants no more and nobody else owns, goes; who else owns what would change must
 * agree, or be overruled. After sigs.k8s.io/structured-merge-diff/v4/merge, in one version of the
 * schema, since we convert between none. Pure. */

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "schema/causes.h"
#include "schema/managed.h"

void schema_conflicts_done(struct conflicts *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->items[i].manager);
		free(c->items[i].path);
	}
	free(c->items);
	*c = (struct conflicts){ 0 };
}

void schema_conflicts_format(const struct conflicts *c, struct strbuf *out)
{
	const char *before = NULL;
	strbuf_addf(out, "Apply failed with %zu conflict%s:", c->count, c->count == 1 ? "" : "s");
	for (size_t i = 0; i < c->count; i++) {
		const struct conflict *one = &c->items[i];
		if (c->count == 1)
			strbuf_addf(out, " conflict with %s: %s", one->manager, one->path);
		else if (!streq(before, one->manager))
			strbuf_addf(out, "%sconflicts with %s:", before ? "\n" : " ", one->manager);
		if (c->count > 1)
			strbuf_addf(out, "\n- %s", one->path);
		before = one->manager;
	}
}

/* --- conflicts --- */

/* When somebody applies he does so in any version; an update is one write, at one time. */
static char *describe(const struct manager *m)
{
	struct strbuf text = { 0 };
	causes_quote(m->name, &text);
	if (*m->subresource) {
		strbuf_adds(&text, " with subresource ");
		causes_quote(m->subresource, &text);
	}
	if (!m->applies)
		strbuf_addf(&text, " using %s", m->api_version);
	return strbuf_take(&text, NULL);
}

struct listing {
	struct conflicts *conflicts;
	const struct manager *manager;
};

static void add_conflict(void *data, const char *path)
{
	const struct listing *l = data;
	struct conflicts *c = l->conflicts;
	c->items = xreallocarray(c->items, c->count + 1, sizeof(*c->items));
	c->items[c->count++] = (struct conflict){ describe(l->manager), xstrdup(path) };
}

/* Of all but `self`, who is about to own `changed`. */
static void find_conflicts(const struct managers *m, const struct manager *self,
			   const struct fieldset *changed, const struct fieldset *yielded,
			   struct conflicts *ret)
{
	for (size_t i = 0; i < m->count; i++) {
		if (&m->items[i] == self)
			continue;
		struct fieldset both = fieldset_intersection(&m->items[i].fields, changed);
		if (yielded)
			fieldset_subtract(&both, yielded);
		fieldset_each(&both, add_conflict, &(struct listing){ ret, &m->items[i] });
		fieldset_done(&both);
	}
}

/* --- what is wanted no more --- */

/* All that somebody owns, with what leads there. */
static struct fieldset owned_by_any(const struct type *t, const struct managers *m,
				    const struct manager *self, const struct fieldset *wanted)
{
	struct fieldset all = typed_with_parents(t, wanted);
	for (size_t i = 0; i < m->count; i++) {
		if (&m->items[i] == self)
			continue;
		struct fieldset one = typed_with_parents(t, &m->items[i].fields);
		fieldset_unite(&all, &one);
		fieldset_done(&one);
	}
	return all;
}

static struct fieldset fields_with_parents(const struct type *t, const struct json *value)
{
	struct fieldset fields = typed_fields(t, value);
	struct fieldset all = typed_with_parents(t, &fields);
	fieldset_done(&fields);
	return all;
}

/* `merged` without what `self` wanted before and nobody owns now. Three steps, because taking a
 * field away takes all below with it, other people's and nobody's too: take all that self had, see
 * what that took from others, and at the end take only fields that self had. Takes merged. */
static struct json *prune(const struct type *t, struct json *merged, const struct managers *m,
			  const struct manager *self, const struct fieldset *wanted)
{
	_cleanup_(fieldset_done) struct fieldset lost = typed_with_parents(t, &self->fields);
	_cleanup_(fieldset_done) struct fieldset all = fields_with_parents(t, merged);
	_cleanup_(fieldset_done) struct fieldset kept = owned_by_any(t, m, self, wanted);
	_cleanup_(json_freep) struct json *bare = typed_remove(t, merged, &lost);
	_cleanup_(fieldset_done) struct fieldset left = fields_with_parents(t, bare);
	fieldset_unite(&kept, &left);

	_cleanup_(fieldset_done) struct fieldset orphans = fieldset_difference(&all, &kept);
	_cleanup_(json_freep) struct json *owned = typed_remove(t, merged, &orphans);
	_cleanup_(fieldset_done) struct fieldset stay = fields_with_parents(t, owned);
	fieldset_subtract(&all, &stay);

	_cleanup_(fieldset_done) struct fieldset gone = fieldset_intersection(&all, &lost);
	struct json *result = typed_remove(t, merged, &gone);
	json_free(merged);
	return result;
}

/* --- apply --- */

static void take_over(struct managers *m, struct manager *self, const struct comparison *change)
{
	for (size_t i = 0; i < m->count; i++) {
		if (&m->items[i] == self)
			continue;
		fieldset_subtract(&m->items[i].fields, &change->added);
		fieldset_subtract(&m->items[i].fields, &change->modified);
		fieldset_subtract(&m->items[i].fields, &change->removed);
	}
}

/* The time tells when the object last changed by this: who merely wants what is there has none. */
static void set_owner(struct manager *self, struct fieldset *wanted, const struct writer *w,
		      bool changed)
{
	schema_managers_strip(wanted);
	if (changed)
		str_replace(&self->time, w->time);
	str_replace(&self->api_version, w->api_version);
	fieldset_done(&self->fields);
	self->fields = *wanted;
	*wanted = (struct fieldset){ 0 };
}

/* Also in the order of a set, which is no change of a field. */
static bool is_changed(const struct json *live, const struct json *now)
{
	_cleanup_(json_freep) struct json *before = json_dup(live);
	json_remove(json_get_mut(before, "metadata"), "managedFields");
	return !json_equal(before, now);
}

int schema_apply_merge(const struct apply *a, struct managers *m, struct json **ret,
		       struct conflicts *ret_conflicts)
{
	const struct type *t = &a->type;
	struct manager *self = schema_managers_entry(m, true, &a->writer);
	_cleanup_(fieldset_done) struct fieldset wanted = typed_fields(t, a->config);
	_cleanup_(json_freep) struct json *now = typed_merge(t, a->live, a->config);
	_cleanup_(schema_comparison_done) struct comparison change = { 0 };
	if (!fieldset_empty(&self->fields))
		now = prune(t, now, m, self, &wanted);
	typed_compare(t, a->live, now, &change);

	_cleanup_(fieldset_done) struct fieldset changed = fieldset_union(&change.added,
									  &change.modified);
	if (!a->force)
		find_conflicts(m, self, &changed, a->yielded, ret_conflicts);
	if (ret_conflicts->count > 0) {
		schema_managers_tidy(m);
		return -EEXIST;
	}
	take_over(m, self, &change);
	set_owner(self, &wanted, &a->writer, is_changed(a->live, now));
	schema_managers_tidy(m);
	*ret = TAKE_PTR(now);
	return 0;
}
