/* See shell/facts.h. A question that fails is a fact, too: it is the reconcile that knows what can
 * be done without the answer. */

#include "ctrl/shell/facts.h"

#include "base/mem.h"

static void on_object(void *data, const struct err *err, struct json **answer)
{
	struct fetch *fetch = data;
	struct facts_job *j = fetch->job;
	struct fact *f = fetch->fact;
	fetch->op = NULL;
	if (err && err->kind == ERR_NOT_FOUND) {
		f->state = FACT_MISSING;
	} else if (err) {
		f->state = FACT_FAILED;
		f->err = *err;
	} else {
		f->state = FACT_FOUND;
		f->object = TAKE_PTR(*answer);
	}
	if (--j->waiting == 0)
		j->done(j->data);
}

static void want(struct facts_job *j, size_t row, struct kube_client *client, const struct want *w,
		 const char *ns, const char *name)
{
	struct fact *f = &j->facts->named[row];
	const struct kube_object *cached = w->cache ? kube_informer_get(w->cache, ns, name) : NULL;
	if (cached) {
		*f = (struct fact){ FACT_FOUND, kube_object_parse(cached), { 0 } };
		return;
	}
	j->waiting++;
	j->fetches[row] = (struct fetch){ j, f, NULL };
	j->fetches[row].op = kube_get(client, w->resource, ns, name, on_object, &j->fetches[row]);
}

bool facts_gather(struct facts_job *j, struct facts *facts, struct kube_client *client,
		  const struct want *wants, const char *const names[FACTS_MAX], const char *ns,
		  loop_fn done, void *data)
{
	j->facts = facts;
	j->done = done;
	j->data = data;
	for (size_t i = 0; i < FACTS_MAX && wants[i].resource; i++)
		if (names[i])
			want(j, i, client, &wants[i], ns, names[i]);
	return j->waiting == 0;
}

void facts_job_done(struct facts_job *j)
{
	for (size_t i = 0; i < FACTS_MAX && j->facts; i++) {
		kube_cancel(j->fetches[i].op);
		json_free(j->facts->named[i].object);
	}
}
