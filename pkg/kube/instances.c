/* The instances' list (see instances.h). Each round is one merge patch of our entry; its answer is
 * the whole ConfigMap. Age is counted in rounds of ours that went well and not in time: when the
 * API was away for everybody, nobody has died of it. */

#include "kube/instances.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum {
	ROUNDS_DEAD = 6,
	OTHERS_MAX = 32, /* more are no list of instances */
	ENTRY_MAX = 1024,
};

static const usec_t PERIOD_DEFAULT = 10 * USEC_PER_SEC;

static const struct kube_resource config_maps = { "", "v1", "configmaps", "ConfigMap",
						  KUBE_NAMESPACED };

struct other {
	char *key, *text; /* as it stood last */
	struct json *entry;
	unsigned unchanged; /* for so many rounds */
};

struct kube_instances {
	struct kube_client *client;
	struct loop *loop;
	char *ns, *name, *key;
	struct json *entry;
	usec_t period;
	struct timer timer;
	struct kube_op *op;
	struct other *others; /* in the order of the answer */
	size_t count;
	bool told; /* that it cannot be written */
};

/* --- what the others say ---------------------------------------------------------------------- */

static bool dead(const struct other *o)
{
	return o->unchanged >= ROUNDS_DEAD;
}

static void other_done(struct other *o)
{
	free(o->key);
	free(o->text);
	json_free(o->entry);
}

static struct other *find(struct other *list, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (streq(list[i].key, key))
			return &list[i];
	return NULL;
}

/* False: no entry of ours, whoever wrote it. */
static bool take_entry(const struct kube_instances *r, const char *key, const char *text,
		       struct other *ret)
{
	struct json *entry = NULL;
	if (!text || strlen(text) > ENTRY_MAX || json_parse(text, strlen(text), &entry, NULL) < 0)
		return false;
	const struct other *before = find(r->others, r->count, key);
	unsigned unchanged = before && streq(before->text, text) ? before->unchanged + 1 : 0;
	*ret = (struct other){
		.key = xstrdup(key), .text = xstrdup(text), .entry = entry, .unchanged = unchanged
	};
	if (!before || (dead(before) && unchanged == 0))
		log_info("another instance runs", "instance", key);
	else if (unchanged == ROUNDS_DEAD)
		log_warn("an instance is gone", "instance", key);
	return true;
}

static void take(struct kube_instances *r, const struct json *answer)
{
	struct other *others = xcalloc(OTHERS_MAX, sizeof(*others));
	size_t count = 0;
	json_for_each(text, json_get(answer, "data")) {
		bool own = streq(json_key(text), r->key);
		if (!own && count < OTHERS_MAX &&
		    take_entry(r, json_key(text), json_string(text), &others[count]))
			count++;
	}
	for (size_t i = 0; i < r->count; i++)
		other_done(&r->others[i]);
	free(r->others);
	r->others = others;
	r->count = count;
}

void kube_instances_each(const struct kube_instances *r,
			 void (*fn)(void *data, const char *key, const struct json *entry),
			 void *data)
{
	for (size_t i = 0; i < r->count; i++)
		if (!dead(&r->others[i]))
			fn(data, r->others[i].key, r->others[i].entry);
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* { "data": { ours: what we say, those of the dead: null } } */
static struct json *news(const struct kube_instances *r)
{
	char now[CLOCK_TEXT_MAX];
	_cleanup_(json_freep) struct json *entry = json_dup(r->entry);
	clock_format_micro(loop_wall(r->loop), now);
	json_set_string(entry, "renewed", now);
	_cleanup_(freep) char *text = json_to_string(entry);
	struct json *patch = json_new_object(), *data = json_make_object(patch, "data");
	json_set_string(data, r->key, text);
	for (size_t i = 0; i < r->count; i++)
		if (dead(&r->others[i]))
			json_set(data, r->others[i].key, json_new_null());
	return patch;
}

static void failed(struct kube_instances *r, const struct err *err)
{
	if (!r->told)
		log_warn("cannot write the list of instances; retrying", "configmap", r->name,
			 "error", err->text);
	r->told = true;
}

static void on_answer(void *data, const struct err *err, struct json **answer);

static void create(struct kube_instances *r)
{
	_cleanup_(json_freep) struct json *o = news(r);
	json_set_string(o, "apiVersion", "v1");
	json_set_string(o, "kind", "ConfigMap");
	struct json *meta = json_make_object(o, "metadata");
	json_set_string(meta, "namespace", r->ns);
	json_set_string(meta, "name", r->name);
	r->op = kube_create(r->client, &config_maps, o, on_answer, r);
}

static void on_answer(void *data, const struct err *err, struct json **answer)
{
	struct kube_instances *r = data;
	r->op = NULL;
	if (err) {
		failed(r, err);
	} else {
		r->told = false;
		take(r, *answer);
	}
	/* Another was faster with creating it: what is in it is to be known now. */
	timer_set_in(&r->timer, err && err->kind == ERR_EXISTS ? 0 : r->period);
}

static void on_patched(void *data, const struct err *err, struct json **answer)
{
	struct kube_instances *r = data;
	if (err && err->kind == ERR_NOT_FOUND)
		create(r);
	else
		on_answer(data, err, answer);
}

static void on_timer(void *data)
{
	struct kube_instances *r = data;
	_cleanup_(json_freep) struct json *patch = news(r);
	r->op = kube_patch(r->client, &config_maps, r->ns, r->name, NULL, KUBE_PATCH_MERGE, patch,
			   on_patched, r);
}

/* --- life ------------------------------------------------------------------------------------- */

struct kube_instances *kube_instances_new(const struct kube_instances_options *o)
{
	struct kube_instances *r = xcalloc(1, sizeof(*r));
	*r = (struct kube_instances){ .client = o->client,
				      .loop = kube_client_loop(o->client),
				      .ns = xstrdup(o->ns),
				      .name = xstrdup(o->name),
				      .key = xstrdup(o->key),
				      .entry = json_dup(o->entry),
				      .period = o->period ? o->period : PERIOD_DEFAULT };
	timer_init(&r->timer, r->loop, "instances", on_timer, r);
	timer_set_in(&r->timer, 0);
	return r;
}

struct kube_instances *kube_instances_free(struct kube_instances *r)
{
	if (!r)
		return NULL;
	timer_stop(&r->timer);
	kube_cancel(r->op);
	for (size_t i = 0; i < r->count; i++)
		other_done(&r->others[i]);
	free(r->others);
	json_free(r->entry);
	free(r->ns), free(r->name), free(r->key);
	free(r);
	return NULL;
}
