/* Shares of connections and memory: see party.h. Parties belong to a server and live as long as
 * they have connections; the pools of bytes belong to the thread, whose servers share its memory.
 */

#include "web/party.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "web/internal.h"

enum { SHARE_DEFAULT = 12 };

struct party {
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

/* --- parties ---------------------------------------------------------------------------------- */

static struct party *party_get(struct web_server *s, const char *name)
{
	struct party *p = map_get(&s->parties, name);
	if (p)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->name = xstrdup(name);
	list_init(&p->members);
	map_set(&s->parties, name, p);
	return p;
}

static void party_put(struct web_server *s, struct party *p)
{
	if (p->conns)
		return;
	map_remove(&s->parties, p->name);
	free(p->name);
	free(p);
}

static void take_out(struct web_server *s, struct member *m)
{
	struct party *p = TAKE_PTR(m->party);
	list_unlink(&m->link);
	for (size_t i = 0; i < _POOL_MAX; i++)
		p->bytes[i] -= m->bytes[i];
	p->conns--;
	party_put(s, p);
}

void party_enter(struct web_server *s, struct member *m, const char *name)
{
	struct party *p = party_get(s, name);
	if (p == m->party)
		return;
	p->conns++; /* before the other goes, which may be its last */
	if (m->party)
		take_out(s, m);
	else
		s->conn_count++, s->web->conns++;
	m->party = p;
	list_append(&p->members, &m->link);
	for (size_t i = 0; i < _POOL_MAX; i++)
		p->bytes[i] += m->bytes[i];
}

void party_leave(struct web_server *s, struct member *m)
{
	if (!m->party)
		return;
	for (size_t i = 0; i < _POOL_MAX; i++)
		party_count(s, m, i, 0);
	take_out(s, m);
	s->conn_count--;
	s->web->conns--;
}

const char *party_name(const struct member *m)
{
	return m->party ? m->party->name : "";
}

/* --- connections ------------------------------------------------------------------------------ */

/* Of the members up to that rank (conn_rank) the one that is the least loss, the oldest of several;
 * or NULL. */
static struct member *least_loss(const struct party *p, unsigned rank_max)
{
	struct member *best = NULL;
	unsigned best_rank = rank_max + 1;
	list_for_each(l, &p->members) {
		struct member *m = list_entry(l, struct member, link);
		unsigned rank = conn_rank(m);
		if (rank >= best_rank)
			continue;
		best = m;
		best_rank = rank;
	}
	return best;
}

static struct party *most_connected(const struct web_server *s)
{
	struct party *most = NULL;
	map_for_each(&s->parties, i) {
		struct party *p = s->parties.entries[i].value;
		if (!most || p->conns > most->conns)
			most = p;
	}
	return most;
}

/* One that waits for its next request, of whomever: the longest idle of the server. */
static struct member *longest_idle(const struct web_server *s)
{
	struct member *best = NULL;
	unsigned best_rank = CONN_RANK_IDLE + 1;
	list_for_each(l, &s->conns) {
		struct member *m = conn_member(l);
		if (m->party && conn_rank(m) < best_rank) {
			best = m;
			best_rank = conn_rank(m);
		}
	}
	return best;
}

bool party_admits(struct web_server *s, const char *name)
{
	const struct party *own = map_get(&s->parties, name);
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
		const struct party *most = most_connected(s);
		if (most && most->conns > share)
			victim = least_loss(most, CONN_RANK_MAX);
		else
			victim = longest_idle(s);
	}
	if (victim)
		conn_drop(victim);
	return victim;
}

/* --- bytes ------------------------------------------------------------------------------------ */

void party_count(struct web_server *s, struct member *m, enum pool_kind pool, size_t bytes)
{
	if (!m->party)
		return;
	struct pool *all = &s->web->pools[pool];
	all->used += bytes - m->bytes[pool];
	m->party->bytes[pool] += bytes - m->bytes[pool];
	m->bytes[pool] = bytes;
}

static struct member *largest(const struct party *p, enum pool_kind pool)
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
static struct party *heaviest(struct web *w, enum pool_kind pool, const struct party * not )
{
	struct party *most = NULL;
	list_for_each(l, &w->servers) {
		const struct web_server *s = list_entry(l, struct web_server, link);
		map_for_each(&s->parties, i) {
			struct party *p = s->parties.entries[i].value;
			if (p != not &&p->bytes[pool] > share_of(s, w->pools[pool].max) &&
			    (!most || p->bytes[pool] > most->bytes[pool]))
				most = p;
		}
	}
	return most;
}

bool party_may_hold(struct web_server *s, const struct member *m, enum pool_kind pool)
{
	const struct pool *all = &s->web->pools[pool];
	if (!m->party || !nearly_full(all->used, all->max))
		return true;
	size_t own = m->party->bytes[pool];
	/* Each party may have one thing at a time, if no other has anything: a list may be larger
	 * than a share. */
	if (own > share_of(s, all->max) && own > m->bytes[pool])
		return false;
	while (all->used > all->max) {
		const struct party *most = heaviest(s->web, pool, m->party);
		struct member *victim = most ? largest(most, pool) : NULL;
		if (!victim)
			return all->used == m->bytes[pool];
		conn_drop(victim);
	}
	return true;
}
