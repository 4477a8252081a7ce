/* The life of nodes and of the engine. A node lives from the first call of a controller to
 * `remove`. */

#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "engine/internal.h"

static void on_wake(void *data)
{
	struct node *n = data;
	if (n->op.kind != OP_NONE)
		op_advance(n);
	else
		node_poll_power(n);
}

static void on_save_timer(void *data)
{
	struct node *n = data;
	n->save.running = false;
	node_save(n);
}

static void on_inspection_timer(void *data)
{
	/* Not stored in time: the agent's own time-out is near, and a refusal makes it post again.
	 */
	node_release_inspection(data, 503);
}

struct node *node_make(struct engine *e, const char *key, const char *uid)
{
	struct node *n = xcalloc(1, sizeof(*n));
	n->engine = e;
	n->key = xstrdup(key);
	n->uid = xstrdup(uid);
	timer_init(&n->wake, e->options.loop, "node", on_wake, n);
	timer_init(&n->save.timer, e->options.loop, "node save", on_save_timer, n);
	timer_init(&n->inspection.timer, e->options.loop, "inspection", on_inspection_timer, n);
	map_set(&e->nodes, key, n);
	map_set(&e->uids, uid, n);
	list_init(&n->boot.unheard);
	return n;
}

static void leave_indices(struct node *n)
{
	struct engine *e = n->engine;
	node_leave_slots(n);
	index_set(&e->bmcs, &n->power.place, n, NULL);
	list_unlink(&n->boot.unheard);
}

struct node *node_free(struct node *n)
{
	if (!n)
		return NULL;
	struct engine *e = n->engine;
	node_drop_hold(n);
	op_abort(n);
	node_release_inspection(n, 404);
	node_tell_saved(n, false);
	timer_stop(&n->wake);
	timer_stop(&n->save.timer);
	node_drop_macs(n);
	node_drop_medium(n);
	map_remove(&e->nodes, n->key);
	node_forget_old_uid(n);
	if (map_get(&e->uids, n->uid) == n)
		map_remove(&e->uids, n->uid);
	leave_indices(n);
	bmc_close(n->power.bmc);
	history_done(&n->history);
	record_release(&n->record);
	json_free(n->spec.root_hints);
	json_free(n->spec.config_drive);
	node_forget_image(n);
	json_free(n->inspection.inventory);
	json_free(n->agent.answer);
	secret_free(n->power.password);
	free(n->power.address), free(n->power.username), free(n->spec.boot_mac);
	free(n->power.ca), free(n->power.pin), free(n->power.open_ca), free(n->power.open_pin);
	secret_free(n->power.media_url), free(n->spec.network_data),
		free(n->spec.network_data_error);
	free(n->net.fixed), free(n->net.fixed_error);
	for (size_t i = 0; i < ENGINE_FAMILIES; i++)
		free(n->net.fixed_of[i]);
	err_keep(&n->power.verify_error, NULL), err_keep(&n->power.error, NULL);
	err_keep(&n->save.unreadable, NULL), err_keep(&n->save.error, NULL);
	err_keep(&n->power.ask.err, NULL), err_keep(&n->agent.ask.err, NULL);
	node_forget_boot_trouble(n);
	free(n->uid), free(n->key);
	free(n);
	return NULL;
}

/* --- the engine --- */

static void set_defaults(struct engine_options *o)
{
	struct {
		usec_t *field;
		usec_t value;
	} rows[] = {
		{ &o->timeouts.boot, 20 * USEC_PER_MIN },
		{ &o->timeouts.power, 120 * USEC_PER_SEC },
		{ &o->timeouts.soft_off, 180 * USEC_PER_SEC },
		{ &o->timeouts.silence, 180 * USEC_PER_SEC },
		{ &o->timeouts.step, 24 * USEC_PER_HOUR },
		{ &o->timeouts.power_poll, USEC_PER_MIN },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (*rows[i].field == 0)
			*rows[i].field = rows[i].value;
	if (o->capacity == 0)
		o->capacity = 20;
	if (o->boot_attempts == 0)
		o->boot_attempts = 2;
}

/* Nobody on the network knows it. */
static struct siphash_key macs_key(const struct engine_options *o)
{
	static const char purpose[] = "index of MACs";
	uint8_t mac[32];
	struct siphash_key key;
	hmac_sha256(o->secret, o->secret_len, purpose, sizeof(purpose) - 1, mac);
	memcpy(&key, mac, sizeof(key));
	return key;
}

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	e->anchor = xcalloc(1, sizeof(*e->anchor));
	*e->anchor = (struct engine_anchor){ .engine = e, .refs = 1 };
	e->options = *options;
	e->options.secret = xmemdup(options->secret, options->secret_len);
	set_defaults(&e->options);
	macs_init(&e->macs, macs_key(options));
	list_init(&e->unheard);
	op_preset_metrics();
	return e;
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	e->ending = true;
	map_for_each(&e->nodes, i) {
		/* Agents post again to whoever comes after us. */
		node_release_inspection(e->nodes.entries[i].value, 503);
		node_free(e->nodes.entries[i].value);
	}
	map_done(&e->nodes);
	macs_done(&e->macs);
	map_done(&e->uids);
	map_done(&e->slots);
	map_done(&e->bmcs);
	map_done(&e->media);
	e->anchor->engine = NULL;
	engine_anchor_unref(e->anchor);
	secret_zero((void *)e->options.secret, e->options.secret_len);
	free((void *)e->options.secret);
	free(e);
	return NULL;
}
