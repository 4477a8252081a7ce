/* What every part of the engine asks of a node: where it is, what time it is for it, and whom to
 * tell. Nothing here calls another part. What comes late for a node that is gone is dropped,
 * because answers carry the key and a serial (a ticket), never a pointer. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/internal.h"

struct node_ticket {
	struct engine_anchor *anchor;
	char *key, *uid;
	uint64_t serial;
};

void engine_anchor_unref(struct engine_anchor *a)
{
	if (--a->refs == 0)
		free(a);
}

struct node_ticket *node_ticket_new(struct node *n, uint64_t serial)
{
	struct node_ticket *t = xmalloc(sizeof(*t));
	*t = (struct node_ticket){ n->engine->anchor, xstrdup(n->key), xstrdup(n->uid), serial };
	t->anchor->refs++;
	return t;
}

struct node *node_ticket_take(struct node_ticket *t, uint64_t *ret_serial)
{
	struct node *n = t->anchor->engine ? node_find(t->anchor->engine, t->key) : NULL;
	if (n && !streq(n->uid, t->uid))
		n = NULL;
	*ret_serial = t->serial;
	engine_anchor_unref(t->anchor);
	free(t->key), free(t->uid), free(t);
	return n;
}

usec_t node_now(const struct node *n)
{
	return loop_now(n->engine->options.loop);
}

usec_t node_wall(const struct node *n)
{
	return loop_wall(n->engine->options.loop);
}

struct node *node_find(const struct engine *e, const char *key)
{
	return map_get(&e->nodes, key);
}

void node_index_bmc(struct node *n)
{
	char text[NET_IP_TEXT_MAX] = "";
	struct net_addr a;
	if (n->power.bmc && net_parse_ip(bmc_get_address(n->power.bmc)->host, &a) == 0) {
		a = net_unmap(&a);
		net_format_ip(&a, text);
	}
	index_set(&n->engine->bmcs, &n->power.place, n, text);
}

void node_note_unheard(struct node *n)
{
	list_unlink(&n->boot.unheard);
	if (n->record.boot.nonce && !n->spec.boot_mac && !n->save.lost)
		list_append(&n->engine->unheard, &n->boot.unheard);
}

void node_forget_old_uid(struct node *n)
{
	const char *old = n->record.boot.host_uid;
	if (old && !streq(old, n->uid) && map_get(&n->engine->uids, old) == n)
		map_remove(&n->engine->uids, old);
	str_replace(&n->record.boot.host_uid, NULL);
}

void node_ask_begin(struct node_ask *ask, enum ask_state state, uint64_t serial)
{
	ask->state = state;
	ask->serial = serial;
	err_keep(&ask->err, NULL);
}

void node_kick(struct node *n)
{
	const struct engine_env *env = &n->engine->options.env;
	env->kick(env->data, n->key);
}

void node_event(struct node *n, bool warning, const char *reason, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const struct engine_env *env = &n->engine->options.env;
	env->event(env->data, n->key, warning, reason, text);
}

bool engine_may_act(const struct engine *e, const char *key)
{
	return fence_allows(&e->options.env.fence, key);
}
