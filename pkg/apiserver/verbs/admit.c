/* What the rules of the composition root say of a write, as a validating webhook would on a
 * cluster: after the schema, before the store, and for custom kinds only. The server's own work
 * (garbage collection, namespaces that go) is not asked about, because it does not come again when
 * it is refused. Runs on the server's loop. */

#include <errno.h>

#include "apiserver/internal.h"
#include "base/mem.h"

struct listing {
	const struct resource *r;
	struct schema_budget *left;
	struct json *items;
};

static int add(void *data, const struct store_row *row)
{
	struct listing *l = data;
	struct json *tree = object_parse(l->r, row->data, row->len, row->rv, l->left);
	if (!tree)
		return -E2BIG;
	json_append(l->items, tree);
	return 0;
}

struct json *api_admission_list(const struct api_admission *a, const char *key, struct err *err)
{
	struct apiserver *s = a->server;
	struct listing l = { registry_find_key(&s->registry, key), &a->answer->left,
			     json_new_array() };
	struct store_query q = { .resource = key };
	int r = l.r ? store_list(s->store, &q, add, &l, err) : 0;
	if (r == -E2BIG)
		err_set(err, ERR_LIMIT, "with the defaults of their schema, %s are too large", key);
	if (r < 0)
		l.items = json_free(l.items);
	return l.items;
}

void api_admission_warn(const struct api_admission *a, const char *text)
{
	answer_warn(a->answer, "%s", text);
}

int admit(struct apiserver *s, const struct request *in, struct answer *out,
	  const struct resource *r, enum api_operation operation, const struct json *now,
	  const struct json *old)
{
	const struct json *any = now ? now : old;
	if (!s->admit || !in->http || in->own || !resource_is(r, RESOURCE_CUSTOM))
		return 0;
	const struct api_admission a = { .operation = operation,
					 .group = r->group,
					 .kind = r->kind,
					 .ns = object_ns(any),
					 .name = object_name(any),
					 .now = now,
					 .old = old,
					 .server = s,
					 .answer = out };
	_cleanup_(freep) char *denial = s->admit(s->admit_data, &a);
	return denial ? fail(out, 403, "Forbidden", "%s", denial) : 0;
}
