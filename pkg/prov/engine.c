/* The adaptor between controllers and the engine: calls go down as they are; what differs are the
 * root device hints, which controllers have in Metal3's words and the engine in the agent's, and
 * the record, of which the engine says what there is and the controllers have to know what has
 * gone. Core thread. */

#include "prov/engine.h"

#include <stdlib.h>

#include "base/mem.h"
#include "engine/record.h"
#include "prov/hints.h"

struct prov_engine {
	struct provisioner base;
	struct engine *engine;
	struct prov_env env;
};

static struct engine *engine_of(struct provisioner *p)
{
	return container_of(p, struct prov_engine, base)->engine;
}

static const struct engine *cengine_of(const struct provisioner *p)
{
	return container_of(p, const struct prov_engine, base)->engine;
}

/* --- records and holds --- */

static void load(struct provisioner *p, const char *key, const char *uid, const struct json *record)
{
	engine_load(engine_of(p), key, uid, record);
}

static bool knows(const struct provisioner *p, const char *key)
{
	return engine_knows(cengine_of(p), key);
}

static void store(struct provisioner *p, const char *key)
{
	engine_store(engine_of(p), key);
}

static bool hold(struct provisioner *p, const char *key, const char *id, const char *reason,
		 prov_saved_fn done, void *data)
{
	return engine_hold(engine_of(p), key, id, reason, done, data);
}

static void hold_one(struct provisioner *p, const char *key, const char *reason)
{
	engine_hold_one(engine_of(p), key, reason);
}

static bool held(const struct provisioner *p, const char *key, struct prov_hold *ret)
{
	struct engine_hold h;
	if (!engine_held(cengine_of(p), key, &h))
		return false;
	*ret = (struct prov_hold){ .id = h.id, .reason = h.reason, .since = h.since };
	return true;
}

static void release(struct provisioner *p, const char *key)
{
	engine_release(engine_of(p), key);
}

/* --- work --- */

/* The calls by which the engine learns what is wanted of a host; the others only name it. */
static void know(struct provisioner *p, const struct prov_host *host)
{
	struct prov_host h = *host;
	_cleanup_(json_freep) struct json *hints = prov_agent_hints(host->root_hints);
	h.root_hints = hints;
	engine_know(engine_of(p), &h);
}

static void register_host(struct provisioner *p, const struct prov_host *host,
			  const struct prov_register *params, const char **ret_node_id,
			  struct prov_result *ret)
{
	struct prov_host h = *host;
	_cleanup_(json_freep) struct json *hints = prov_agent_hints(host->root_hints);
	h.root_hints = hints;
	engine_register(engine_of(p), &h, params, ret_node_id, ret);
}

static void inspect(struct provisioner *p, const struct prov_host *host,
		    const struct prov_inspect *params, const struct json **ret_inventory,
		    struct prov_result *ret)
{
	engine_inspect(engine_of(p), host, params, ret_inventory, ret);
}

static void prepare(struct provisioner *p, const struct prov_host *host,
		    const struct prov_prepare *params, struct prov_result *ret)
{
	engine_prepare(engine_of(p), host, params, ret);
}

static void provision(struct provisioner *p, const struct prov_host *host,
		      const struct prov_provision *params, struct prov_result *ret)
{
	engine_provision(engine_of(p), host, params, ret);
}

static void deprovision(struct provisioner *p, const struct prov_host *host,
			const struct prov_deprovision *params, struct prov_result *ret)
{
	engine_deprovision(engine_of(p), host, params, ret);
}

static void adopt(struct provisioner *p, const struct prov_host *host, bool retry,
		  struct prov_result *ret)
{
	engine_adopt(engine_of(p), host, retry, ret);
}

static void remove_host(struct provisioner *p, const struct prov_host *host, bool force,
			struct prov_result *ret)
{
	engine_remove(engine_of(p), host, force, ret);
}

static enum prov_power power(struct provisioner *p, const struct prov_host *host, bool *ret_fault)
{
	return engine_power(engine_of(p), host, ret_fault);
}

static void power_on(struct provisioner *p, const struct prov_host *host, bool force,
		     struct prov_result *ret)
{
	engine_power_on(engine_of(p), host, force, ret);
}

static void power_off(struct provisioner *p, const struct prov_host *host, bool hard, bool force,
		      struct prov_result *ret)
{
	engine_power_off(engine_of(p), host, hard, force, ret);
}

static bool has_capacity(struct provisioner *p, const struct prov_host *host)
{
	return engine_has_capacity(engine_of(p), host);
}

/* --- for people --- */

static void note_state(struct provisioner *p, const char *key, const char *from, const char *to,
		       const char *reason)
{
	engine_note_state(engine_of(p), key, from, to, reason);
}

static void note_error(struct provisioner *p, const char *key, const char *state, const char *text)
{
	engine_note_error(engine_of(p), key, state, text);
}

static struct json *describe(const struct provisioner *p, const char *key)
{
	return engine_describe(cengine_of(p), key);
}

static struct json *list(const struct provisioner *p)
{
	return engine_list(cengine_of(p));
}

static struct json *strangers(const struct provisioner *p)
{
	return engine_strangers(cengine_of(p));
}

static void watch(struct provisioner *p, const char *key)
{
	engine_watch(engine_of(p), key);
}

static const struct provisioner_ops ops = {
	.load = load,
	.knows = knows,
	.store = store,
	.hold = hold,
	.hold_one = hold_one,
	.held = held,
	.release = release,
	.know = know,
	.register_host = register_host,
	.inspect = inspect,
	.prepare = prepare,
	.provision = provision,
	.deprovision = deprovision,
	.adopt = adopt,
	.remove = remove_host,
	.power = power,
	.power_on = power_on,
	.power_off = power_off,
	.has_capacity = has_capacity,
	.note_state = note_state,
	.note_error = note_error,
	.describe = describe,
	.list = list,
	.strangers = strangers,
	.watch = watch,
};

/* --- the engine's environment --- */

/* The engine leaves out what its record does not have any more. */
static void save(void *data, const char *key, const char *uid, const struct json *record,
		 engine_saved_fn done, void *done_data)
{
	const struct prov_engine *pe = data;
	_cleanup_(json_freep) struct json *change = json_dup(record);
	for (const struct bind_field *f = record_struct.fields; f->key; f++)
		if (!json_get(change, f->key))
			json_set(change, f->key, json_new_null());
	pe->env.save(pe->env.data, key, uid, change, done, done_data);
}

static void kick(void *data, const char *key)
{
	const struct prov_engine *pe = data;
	pe->env.kick(pe->env.data, key);
}

static void event(void *data, const char *key, bool warning, const char *reason,
		  const char *message)
{
	const struct prov_engine *pe = data;
	pe->env.event(pe->env.data, key, warning, reason, message);
}

/* --- life --- */

struct provisioner *prov_engine_new(const struct engine_options *options,
				    const struct prov_env *env)
{
	struct prov_engine *pe = xcalloc(1, sizeof(*pe));
	struct engine_options o = *options;
	pe->base.ops = &ops;
	pe->env = *env;
	o.env = (struct engine_env){
		.save = save, .kick = kick, .event = event, .data = pe, .fence = env->fence
	};
	pe->engine = engine_new(&o);
	return &pe->base;
}

struct provisioner *prov_engine_free(struct provisioner *p)
{
	if (!p)
		return NULL;
	engine_free(engine_of(p));
	free(container_of(p, struct prov_engine, base));
	return NULL;
}

struct engine *prov_engine_get(struct provisioner *p)
{
	return engine_of(p);
}
