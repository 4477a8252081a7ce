/* Leader election.
 *
 *   SEEK → HELD → LOST              SEEK, HELD → RELEASING → ENDED
 *
 * SEEK reads the Lease at each try and claims it when it is free, ours, or unchanged for its
 * duration by our own clock; times in the record are written for people and never compared. HELD
 * writes it from the last known state at each try; a conflict (also of a write of ours whose answer
 * was lost) leads to reading it, and to LOST when it names another. The held time counts from the
 * start of the last request that went well: the server may have counted from as early as that.
 *
 * Renewals wait in the client's throttle like all requests: give the lease a client of its own.
 * Core thread. */

#include "kube/lease.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/internal.h"
#include "metrics/metrics.h"

static const struct kube_resource leases = { "coordination.k8s.io", "v1", "leases", "Lease",
					     KUBE_NAMESPACED };

static const usec_t DURATION_DEFAULT = 15 * USEC_PER_SEC;
static const usec_t RENEW_DEADLINE_DEFAULT = 10 * USEC_PER_SEC;
static const usec_t RETRY_DEFAULT = 2 * USEC_PER_SEC;
static const usec_t FENCE_MARGIN = 2 * USEC_PER_SEC; /* clocks, and a command on its way */
static const usec_t RELEASE_LIMIT = 5 * USEC_PER_SEC;
static const usec_t DURATION_MAX = USEC_PER_HOUR; /* of another's record */

enum lease_state {
	LEASE_SEEK,
	LEASE_HELD,
	LEASE_LOST,
	LEASE_RELEASING,
	LEASE_ENDED,
	_LEASE_STATE_MAX,
};

static const struct {
	const char *name;
	unsigned next; /* one bit per state that may follow */
} states[_LEASE_STATE_MAX] = {
	[LEASE_SEEK] = { "seek", 1 << LEASE_HELD | 1 << LEASE_ENDED },
	[LEASE_HELD] = { "held", 1 << LEASE_LOST | 1 << LEASE_RELEASING },
	[LEASE_LOST] = { "lost", 1 << LEASE_ENDED },
	[LEASE_RELEASING] = { "releasing", 1 << LEASE_ENDED },
	[LEASE_ENDED] = { "ended", 0 },
};

const struct fsm kube_lease_fsm = FSM_INIT("lease", states);

struct kube_lease {
	struct kube_client *client;
	struct loop *loop;
	char *ns, *name, *identity;
	usec_t duration, renew_deadline, retry;
	struct kube_lease_handlers handlers;
	void *data;

	enum lease_state state;
	struct kube_op *op;
	struct timer timer;    /* next try */
	struct timer deadline; /* HELD: too late for a renewal; RELEASING: enough tried */
	struct json *seen;     /* the Lease as last read or written */
	usec_t seen_at;	       /* since when it has been like that */
	char *leader;
	usec_t tried;	       /* start of the last request of any kind */
	usec_t asked, renewed; /* start of the request under way; of the last good one */
	struct err last_error;
	bool releasing_again; /* after a broken connection, once */
	loop_fn released;
	void *released_data;
};

/* --- states
 * ------------------------------------------------------------------------------------------- */

static void set_state(struct kube_lease *l, enum lease_state to)
{
	fsm_check(&kube_lease_fsm, l->state, to, l->name);
	log_info("lease", "lease", l->name, "identity", l->identity, "from", states[l->state].name,
		 "to", states[to].name);
	l->state = to;
	metric_set(METRIC_LEADER, to == LEASE_HELD, l->name);
}

static void stop(struct kube_lease *l)
{
	l->op = kube_cancel(l->op);
	timer_stop(&l->timer);
	timer_stop(&l->deadline);
}

static void lose(struct kube_lease *l, const struct err *why)
{
	stop(l);
	set_state(l, LEASE_LOST);
	if (l->handlers.lost)
		l->handlers.lost(l->data, why);
}

static void end(struct kube_lease *l)
{
	stop(l);
	set_state(l, LEASE_ENDED);
	if (l->released)
		l->released(l->released_data);
}

bool kube_lease_held(const struct kube_lease *l)
{
	return l->state == LEASE_HELD;
}

bool kube_lease_may_act(const struct kube_lease *l)
{
	usec_t end_at = l->renewed + l->duration;
	return l->state == LEASE_HELD && loop_now(l->loop) + FENCE_MARGIN < end_at;
}

bool kube_lease_alive(const struct kube_lease *l)
{
	bool trying = l->state == LEASE_SEEK || l->state == LEASE_HELD;
	/* A try takes its request's time-out at most, and the next comes 2.2 retries later. */
	usec_t limit = USEC_PER_MIN + l->renew_deadline + 3 * l->retry;
	return !trying || loop_now(l->loop) < l->tried + limit;
}

/* --- the record
 * ----------------------------------------------------------------------------------------- */

static const char *holder_of(const struct json *lease)
{
	return str_or(json_get_path_string(lease, "spec.holderIdentity"), "");
}

static usec_t duration_of(const struct kube_lease *l, const struct json *lease)
{
	int64_t s = json_get_int(json_get(lease, "spec"), "leaseDurationSeconds", 0);
	if (s <= 0)
		return l->duration;
	return MIN((usec_t)s * USEC_PER_SEC, DURATION_MAX);
}

/* Takes the record; notes since when it has been like this, and who leads. */
static void observe(struct kube_lease *l, struct json **lease)
{
	bool same = l->seen && streq(kube_resource_version(l->seen), kube_resource_version(*lease));
	if (!same)
		l->seen_at = loop_now(l->loop);
	json_free(l->seen);
	l->seen = TAKE_PTR(*lease);
	const char *holder = holder_of(l->seen);
	if (streq(holder, l->leader))
		return;
	str_replace(&l->leader, holder);
	if (l->handlers.leader && holder[0])
		l->handlers.leader(l->data, l->leader);
}

/* What we would write: `holder` "" gives it back. */
static struct json *record(const struct kube_lease *l, const char *holder)
{
	char now[CLOCK_TEXT_MAX];
	struct json *lease = l->seen ? json_dup(l->seen) : json_new_object();
	clock_format_micro(loop_wall(l->loop), now);
	json_set_string(lease, "apiVersion", "coordination.k8s.io/v1");
	json_set_string(lease, "kind", "Lease");
	struct json *meta = json_make_object(lease, "metadata");
	json_set_string(meta, "namespace", l->ns);
	json_set_string(meta, "name", l->name);
	struct json *spec = json_make_object(lease, "spec");
	if (!streq(holder_of(lease), holder)) {
		int64_t n = json_get_int(spec, "leaseTransitions", -1);
		json_set_string(spec, "acquireTime", now);
		json_set_int(spec, "leaseTransitions", holder[0] ? n + 1 : MAX(n, INT64_C(0)));
	}
	json_set_string(spec, "holderIdentity", holder);
	json_set_int(spec, "leaseDurationSeconds",
		     holder[0] ? (int64_t)((l->duration + USEC_PER_SEC - 1) / USEC_PER_SEC) : 1);
	json_set_string(spec, "renewTime", now);
	return lease;
}

/* --- tries
 * ---------------------------------------------------------------------------------------------- */

static void read_lease(struct kube_lease *l);

static void try_again(struct kube_lease *l, usec_t delay)
{
	timer_set_in(&l->timer, delay);
}

/* Standbys spread over 1 to 2.2 retry periods, but look again soon after the lease would end. */
static void wait_for_turn(struct kube_lease *l)
{
	usec_t now = loop_now(l->loop), next = now + l->retry;
	usec_t end_at = l->seen ? l->seen_at + duration_of(l, l->seen) : 0;
	next += loop_random_below(l->loop, l->retry * 6 / 5 + 1);
	if (end_at > now)
		next = MIN(next, end_at + loop_random_below(l->loop, l->retry / 4 + 1));
	timer_set_at(&l->timer, next);
}

/* A connection that had been kept and was dead must not cost a standby the whole duration. */
static bool release_again(struct kube_lease *l, const struct err *err)
{
	if (l->state != LEASE_RELEASING || l->releasing_again || err->kind != ERR_UNREACHABLE)
		return false;
	l->releasing_again = true;
	try_again(l, 0);
	return true;
}

static void failed(struct kube_lease *l, const struct err *err)
{
	l->last_error = *err;
	if (release_again(l, err))
		return;
	log_warn("cannot read or write the lease; retrying", "lease", l->name, "error", err->text);
	if (l->state == LEASE_RELEASING)
		end(l);
	else if (l->state == LEASE_HELD)
		try_again(l, l->retry);
	else
		wait_for_turn(l);
}

static void renewed(struct kube_lease *l)
{
	l->renewed = l->asked;
	timer_set_at(&l->deadline, l->renewed + l->renew_deadline);
	try_again(l, l->retry);
	if (l->state == LEASE_HELD)
		return;
	set_state(l, LEASE_HELD);
	if (l->handlers.acquired)
		l->handlers.acquired(l->data);
}

static void on_written(void *data, const struct err *err, struct json **answer)
{
	struct kube_lease *l = data;
	l->op = NULL;
	if (err && (err->kind == ERR_CONFLICT || err->kind == ERR_EXISTS)) {
		if (l->state == LEASE_SEEK)
			wait_for_turn(l); /* another was faster */
		else
			read_lease(l);
		return;
	}
	/* Deleted: to be made anew. Without a Lease that we knew it is the namespace that is
	 * missing, and that is somebody else's to mend. */
	if (err && err->kind == ERR_NOT_FOUND && l->seen) {
		l->seen = json_free(l->seen);
		try_again(l, 0);
		return;
	}
	if (err) {
		failed(l, err);
		return;
	}
	if (l->state == LEASE_RELEASING) {
		end(l);
		return;
	}
	observe(l, answer);
	renewed(l);
}

static void write_lease(struct kube_lease *l, const char *holder)
{
	_cleanup_(json_freep) struct json *lease = record(l, holder);
	l->asked = l->tried = loop_now(l->loop);
	if (l->seen)
		l->op = kube_update(l->client, &leases, lease, on_written, l);
	else
		l->op = kube_create(l->client, &leases, lease, on_written, l);
}

static void decide_seek(struct kube_lease *l)
{
	const char *holder = holder_of(l->seen);
	bool ours = streq(holder, l->identity);
	bool over = loop_now(l->loop) - l->seen_at >= duration_of(l, l->seen);
	if (holder[0] == '\0' || ours || over)
		write_lease(l, l->identity);
	else
		wait_for_turn(l);
}

static void decide_held(struct kube_lease *l)
{
	struct err why;
	if (streq(holder_of(l->seen), l->identity)) {
		write_lease(l, l->identity);
		return;
	}
	err_set(&why, ERR_CONFLICT, "lease %s/%s was taken by %s", l->ns, l->name,
		str_or(holder_of(l->seen), "another client"));
	lose(l, &why);
}

static void on_read(void *data, const struct err *err, struct json **answer)
{
	struct kube_lease *l = data;
	l->op = NULL;
	if (err && err->kind != ERR_NOT_FOUND) {
		failed(l, err);
		return;
	}
	if (err)
		l->seen = json_free(l->seen);
	else
		observe(l, answer);
	if (l->state == LEASE_RELEASING) {
		if (l->seen && streq(holder_of(l->seen), l->identity))
			write_lease(l, "");
		else
			end(l);
	} else if (!l->seen) {
		write_lease(l, l->identity);
	} else if (l->state == LEASE_HELD) {
		decide_held(l);
	} else {
		decide_seek(l);
	}
}

static void read_lease(struct kube_lease *l)
{
	l->tried = loop_now(l->loop);
	l->op = kube_get(l->client, &leases, l->ns, l->name, on_read, l);
}

static void on_timer(void *data)
{
	struct kube_lease *l = data;
	if (l->released && l->state != LEASE_RELEASING)
		end(l);
	else if (l->state == LEASE_SEEK)
		read_lease(l);
	else if (l->state == LEASE_HELD)
		write_lease(l, l->identity);
	else if (l->state == LEASE_RELEASING)
		write_lease(l, "");
}

static void on_deadline(void *data)
{
	struct kube_lease *l = data;
	struct err why;
	if (l->state == LEASE_RELEASING) {
		end(l);
		return;
	}
	err_set(&why, ERR_TIMEOUT, "lease %s/%s was not renewed for %" PRIu64 " s%s%s", l->ns,
		l->name, l->renew_deadline / USEC_PER_SEC,
		l->last_error.kind == ERR_NONE ? "" : ": ", l->last_error.text);
	lose(l, &why);
}

/* --- for users
 * ------------------------------------------------------------------------------------------- */

static usec_t or_default(usec_t given, usec_t standard)
{
	return given ? given : standard;
}

int kube_lease_check(const struct kube_lease_options *o, struct err *err)
{
	usec_t duration = or_default(o->duration, DURATION_DEFAULT);
	usec_t renew_deadline = or_default(o->renew_deadline, RENEW_DEADLINE_DEFAULT);
	/* Or there would be a time in which we hold it and may not act: work would fail or stand
	 * still, and go on as if nothing had been. */
	if (duration < renew_deadline + FENCE_MARGIN)
		return err_set(err, ERR_INVALID,
			       "the lease's duration must be its renew deadline + 2 s at least");
	if (renew_deadline * 5 <= or_default(o->retry, RETRY_DEFAULT) * 6)
		return err_set(err, ERR_INVALID,
			       "the lease's renew deadline must be longer than 1.2 retry periods");
	return 0;
}

int kube_lease_new(const struct kube_lease_options *o, const struct kube_lease_handlers *handlers,
		   void *data, struct kube_lease **ret, struct err *err)
{
	int r = kube_lease_check(o, err);
	if (r < 0)
		return r;
	struct kube_lease *l = xcalloc(1, sizeof(*l));
	l->client = o->client;
	l->loop = kube_client_loop(o->client);
	l->ns = xstrdup(o->ns);
	l->name = xstrdup(o->name);
	l->identity = xstrdup(o->identity);
	l->duration = or_default(o->duration, DURATION_DEFAULT);
	l->renew_deadline = or_default(o->renew_deadline, RENEW_DEADLINE_DEFAULT);
	l->retry = or_default(o->retry, RETRY_DEFAULT);
	l->handlers = *handlers;
	l->data = data;
	timer_init(&l->timer, l->loop, "lease", on_timer, l);
	timer_init(&l->deadline, l->loop, "lease deadline", on_deadline, l);
	l->tried = loop_now(l->loop);
	metric_set(METRIC_LEADER, 0, l->name);
	try_again(l, 0);
	*ret = l;
	return 0;
}

struct kube_lease *kube_lease_free(struct kube_lease *l)
{
	if (!l)
		return NULL;
	stop(l);
	json_free(l->seen);
	free(l->ns);
	free(l->name);
	free(l->identity);
	free(l->leader);
	free(l);
	return NULL;
}

void kube_lease_release(struct kube_lease *l, loop_fn fn, void *data)
{
	bool held = l->state == LEASE_HELD;
	stop(l);
	l->handlers = (struct kube_lease_handlers){ 0 };
	l->released = fn;
	l->released_data = data;
	if (!held) {
		try_again(l, 0); /* nothing to give back */
		return;
	}
	set_state(l, LEASE_RELEASING);
	timer_set_in(&l->deadline, RELEASE_LIMIT);
	write_lease(l, "");
}
