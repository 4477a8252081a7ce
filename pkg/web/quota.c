/* Shares of connections and memory: see quota.h. Accounts belong to a server and live as long as
 * they have connections; the pools of bytes belong to the thread, whose servers share its memory.
 */

#include "web/quota.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "web/internal.h"

enum { SHARE_DEFAULT = 12 };

struct account {
	char *name;
	struct list members;
	size_t conns;
	size_t bytes[_POOL_MAX];
};

static size_t share_of(const struct web_server *s, size_t max)
{
	unsigned percent = s->share_percent ? s->share_percent : SHARE_DEFAULT;
	return MAX(max * percent / 100, (size_t)1);
}

/* Three quarters. */
static bool nearly_full(size_t used, size_t max)
{
	return used > max - max / 4;
}

/* --- accounts --------------------------------------------------------------------------------- */

static struct account *account_get(struct web_server *s, const char *name)
{
	struct account *p = map_get(&s->accounts, name);
	if (p)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->name = xstrdup(name);
	list_init(&p->members);
	map_set(&s->accounts, name, p);
	return p;
}

static void account_put(struct web_server *s, struct account *p)
{
	if (p->conns)
		return;
	map_remove(&s->accounts, p->name);
	free(p->name);
	free(p);
}

static void take_out(struct web_server *s, struct member *m)
{
	struct account *p = TAKE_PTR(m->account);
	list_unlink(&m->link);
	for (size_t i = 0; i < _POOL_MAX; i++)
		p->bytes[i] -= m->bytes[i];
	p->conns--;
	account_put(s, p);
}

void web_quota_enter(struct web_server *s, struct member *m, const char *name)
{
	struct account *p = account_get(s, name);
	if (p == m->account)
		return;
	p->conns++; /* before the other goes, which may be its last */
	if (m->account)
		take_out(s, m);
	else
		s->conn_count++, s->web->conns++;
	m->account = p;
	list_append(&p->members, &m->link);
	for (size_t i = 0; i < _POOL_MAX; i++)
		p->bytes[i] += m->bytes[i];
}

void web_quota_leave(struct web_server *s, struct member *m)
{
	if (!m->account)
		return;
	for (size_t i = 0; i < _POOL_MAX; i++)
		web_quota_count(s, m, i, 0);
	take_out(s, m);
	s->conn_count--;
	s->web->conns--;
}

const char *web_quota_name(const struct member *m)
{
	return m->account ? m->account->name : "";
}

/* --- connections ------------------------------------------------------------------------------ */

/* Of the members up to that rank (web_conn_rank) the one that is the least loss, the oldest of
 * several; or NULL. */
static struct member *least_loss(const struct account *p, unsigned rank_max)
{
	struct member *best = NULL;
	unsigned best_rank = rank_max + 1;
	list_for_each(l, &p->members) {
		struct member *m = list_entry(l, struct member, link);
		unsigned rank = web_conn_rank(m);
		if (rank >= best_rank)
			continue;
		best = m;
		best_rank = rank;
	}
	return best;
}

static struct account *most_connected(const struct web_server *s)
{
	struct account *most = NULL;
	map_for_each(&s->accounts, i) {
		struct account *p = s->accounts.entries[i].value;
		if (!most || p->conns > most->conns)
			most = p;
	}
	return most;
}

/* One that waits for its next request, whatever its account: the longest idle of the server. */
static struct member *longest_idle(const struct web_server *s)
{
	struct member *best = NULL;
	unsigned best_rank = CONN_RANK_IDLE + 1;
	list_for_each(l, &s->conns) {
		struct member *m = web_conn_member(l);
		if (m->account && web_conn_rank(m) < best_rank) {
			best = m;
			best_rank = web_conn_rank(m);
		}
	}
	return best;
}

bool web_quota_admits(struct web_server *s, const char *name)
{
	const struct account *own = map_get(&s->accounts, name);
	size_t share = share_of(s, s->conns_max);
	bool full = s->conn_count >= s->conns_max || s->web->conns >= s->web->conns_max;
	if (!full && !nearly_full(s->conn_count + 1, s->conns_max))
		return true;
	struct member *victim = NULL;
	if (own && own->conns >= share) {
		victim = least_loss(own, CONN_RANK_IDLE);
	} else if (!full) {
		return true;
	} else {
		const struct account *most = most_connected(s);
		if (most && most->conns > share)
			victim = least_loss(most, CONN_RANK_MAX);
		else
			victim = longest_idle(s);
	}
	if (victim)
		web_conn_drop(victim);
	return victim;
}

/* --- bytes ------------------------------------------------------------------------------------ */

void web_quota_count(struct web_server *s, struct member *m, enum pool_kind pool, size_t bytes)
{
	if (!m->account)
		return;
	struct pool *all = &s->web->pools[pool];
	all->used += bytes - m->bytes[pool];
	m->account->bytes[pool] += bytes - m->bytes[pool];
	m->bytes[pool] = bytes;
}

static struct member *largest(const struct account *p, enum pool_kind pool)
{
	struct member *best = NULL;
	list_for_each(l, &p->members) {
		struct member *m = list_entry(l, struct member, link);
		if (m->bytes[pool] > 0 && (!best || m->bytes[pool] > best->bytes[pool]))
			best = m;
	}
	return best;
}

/* Of all others that have more than their share. */
static struct account *heaviest(struct web *w, enum pool_kind pool, const struct account * not )
{
	struct account *most = NULL;
	list_for_each(l, &w->servers) {
		const struct web_server *s = list_entry(l, struct web_server, link);
		map_for_each(&s->accounts, i) {
			struct account *p = s->accounts.entries[i].value;
			if (p != not &&p->bytes[pool] > share_of(s, w->pools[pool].max) &&
			    (!most || p->bytes[pool] > most->bytes[pool]))
				most = p;
		}
	}
	return most;
}

bool web_quota_may_hold(struct web_server *s, const struct member *m, enum pool_kind pool)
{
	const struct pool *all = &s->web->pools[pool];
	if (!m->account || !nearly_full(all->used, all->max))
		return true;
	size_t own = m->account->bytes[pool];
	/* Each account may have one thing at a time, if no other has anything: a list may be larger
	 * than a share. */
	if (own > share_of(s, all->max) && own > m->bytes[pool])
		return false;
	while (all->used > all->max) {
		const struct account *most = heaviest(s->web, pool, m->account);
		struct member *victim = most ? largest(most, pool) : NULL;
		if (!victim)
			return all->used == m->bytes[pool];
		web_conn_drop(victim);
	}
	return true;
}
