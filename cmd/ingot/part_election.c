/* The part that holds the Lease (--leader-elect).
 *
 * Losing it ends the process. What it believes of hosts, boots and agents is then another's to
 * change, and a fresh start from the API is the path that is tested most. */

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime_parts.h"

/* Lease times that do not fit together would let two instances act at once. Checked like an option,
 * since that is what they are. */
static int check_options(void *data, struct err *err)
{
	struct runtime *rt = data;
	const struct election_options *o = &rt->options->election;
	rt->election.options = (struct kube_lease_options){
		.name = o->name,
		.ns = o->ns ? o->ns : rt->options->namespace_own,
		.duration = o->duration,
		.renew_deadline = o->renew_deadline,
		.retry = o->retry
	};
	int r = kube_lease_check(&rt->election.options, err);
	return r < 0 ? err_wrap(err, "--lease-duration, --renew-deadline, --retry-period") : 0;
}

/* Another one at each start: a process must not take its predecessor's Lease for its own. */
static char *new_identity(struct loop *loop)
{
	char host[HOST_NAME_MAX + 1] = "", uuid[UUID_TEXT_SIZE];
	uint8_t random[16];
	gethostname(host, sizeof(host) - 1);
	loop_random(loop, random, sizeof(random));
	return xasprintf("%s_%s", host, uuid_format(random, uuid));
}

/* Renewals must not wait behind other requests, nor all of their deadline for one answer. */
static int prepare(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct election_part *e = &rt->election;
	(void)err;
	e->identity = new_identity(rt->loop);
	e->client = kube_client_new(
		&(struct kube_client_options){ .loop = rt->loop,
					       .transport = rt->transport,
					       .timeout = e->options.renew_deadline / 2 });
	e->options.client = e->client;
	e->options.identity = e->identity;
	return 0;
}

/* --- the Lease -------------------------------------------------------------------------------- */

static void on_acquired(void *data)
{
	runtime_lead(data);
}

static void on_lost(void *data, const struct err *why)
{
	struct err err = *why;
	err_wrap(&err, "this instance is no longer the leader and exits");
	runtime_give_up(data, &err);
}

/* Which instance leads is for people, in the log and at the debug socket; nothing is decided by it.
 */
static void on_leader(void *data, const char *identity)
{
	struct runtime *rt = data;
	bool ours = streq(identity, rt->election.identity);
	str_replace(&rt->election.leader, ours ? NULL : identity);
	if (!ours)
		log_info("standing by: another instance leads", "leader", identity);
}

void runtime_found_site(struct runtime *rt)
{
	static const struct kube_lease_handlers handlers = { .acquired = on_acquired,
							     .lost = on_lost,
							     .leader = on_leader };
	struct err err = { 0 };
	if (!rt->options->election.enabled)
		runtime_lead(rt);
	else if (kube_lease_new(&rt->election.options, &handlers, rt, &rt->election.lease, &err) <
		 0)
		runtime_give_up(rt, &err);
}

bool runtime_may_act(void *data, const char *key)
{
	const struct runtime *rt = data;
	(void)key; /* for all hosts alike: one process leads */
	return !rt->options->election.enabled ||
	       (rt->election.lease && kube_lease_may_act(rt->election.lease));
}

bool runtime_may_write(void *data, const char *key)
{
	const struct runtime *rt = data;
	return !rt->election.lease || runtime_may_act(data, key);
}

/* Whether it holds the Lease as far as it knows. Before an effect runtime_may_act() is asked, which
 * looks at the clock. */
bool runtime_leads(const struct runtime *rt)
{
	return !rt->options->election.enabled ||
	       (rt->election.lease && kube_lease_held(rt->election.lease));
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Given back, so that another instance takes over at once and not after the Lease's duration. Until
 * here it was renewed: no write leaves without it. */
static void release(void *data, service_done_fn done, void *done_data)
{
	struct runtime *rt = data;
	if (rt->election.lease)
		kube_lease_release(rt->election.lease, done, done_data);
	else
		loop_post(rt->loop, done, done_data);
}

static void free_election(void *data)
{
	struct runtime *rt = data;
	kube_lease_free(rt->election.lease);
	kube_client_free(rt->election.client);
	free(rt->election.identity);
	free(rt->election.leader);
}

const struct service election_service = { .name = "election",
					  .roles = ROLE_ELECTION,
					  .phases[SERVICE_CHECK] = check_options,
					  .phases[SERVICE_STAND_BY] = prepare,
					  .drain = release,
					  .free = free_election };
