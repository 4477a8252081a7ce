/* Token and access reviews. A review that is under way stands in a list with whom it is for; an
 * answer from memory takes the same way, by a timer. Tokens are compared by their digest and never
 * kept. Core thread. */

#include "kube/review.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "crypt/crypt.h"

enum {
	KEPT_MAX = 256, /* answers */
	REVIEWS_MAX = 16,
};

static const usec_t KEEP = USEC_PER_MIN;
static const usec_t KEEP_REFUSAL = 10 * USEC_PER_SEC;

static const struct kube_resource token_reviews = { "authentication.k8s.io", "v1", "tokenreviews",
						    "TokenReview", KUBE_CLUSTER };
static const struct kube_resource access_reviews = { "authorization.k8s.io", "v1",
						     "subjectaccessreviews", "SubjectAccessReview",
						     KUBE_CLUSTER };

struct answer {
	enum kube_access access;
	usec_t until;
};

struct review {
	struct list node;
	struct kube_reviewer *reviewer;
	struct kube_op *op;
	bool asked;
	struct timer timer; /* for an answer that is known at once */
	char digest[DIGEST_HEX_MAX];
	enum kube_access known;
	struct err err;
	char *path;
	kube_review_fn fn;
	void *data;
};

struct kube_reviewer {
	struct kube_client *client;
	struct loop *loop;
	struct map answers; /* digest of path and token → struct answer */
	struct list reviews;
	unsigned asking; /* reviews that wait for the cluster */
};

/* --- memory ----------------------------------------------------------------------------------- */

static void forget(struct kube_reviewer *v, bool all)
{
	usec_t now = loop_now(v->loop);
	map_for_each(&v->answers, i) {
		struct answer *a = v->answers.entries[i].value;
		if (all || a->until <= now)
			free(map_remove(&v->answers, v->answers.entries[i].key));
	}
}

static void keep(struct kube_reviewer *v, const char *digest, enum kube_access access)
{
	forget(v, false);
	if (v->answers.count >= KEPT_MAX)
		forget(v, true); /* somebody tries tokens: each is asked for again */
	struct answer *a = xmalloc(sizeof(*a));
	*a = (struct answer){
		access, loop_now(v->loop) + (access == KUBE_ACCESS_ALLOWED ? KEEP : KEEP_REFUSAL)
	};
	free(map_set(&v->answers, digest, a));
}

/* --- one review ------------------------------------------------------------------------------- */

static void end(struct review *r, enum kube_access access, const struct err *err)
{
	struct kube_reviewer *v = r->reviewer;
	kube_review_fn fn = r->fn;
	void *data = r->data;
	struct err own = { 0 };
	if (err)
		own = *err;
	list_unlink(&r->node);
	timer_stop(&r->timer);
	v->asking -= r->asked;
	kube_cancel(r->op);
	if (access != KUBE_ACCESS_FAILED)
		keep(v, r->digest, access);
	free(r->path);
	free(r);
	fn(data, access, err ? &own : NULL);
}

static void failed(struct review *r, const struct err *err)
{
	log_warn("cannot ask the cluster who may read this", "path", r->path, "error", err->text);
	end(r, KUBE_ACCESS_FAILED, err);
}

static void on_timer(void *data)
{
	struct review *r = data;
	end(r, r->known, r->known == KUBE_ACCESS_FAILED ? &r->err : NULL);
}

static void end_soon(struct review *r, enum kube_access access)
{
	r->known = access;
	timer_set_in(&r->timer, 0);
}

static struct json *review_object(const struct kube_resource *kind, struct json **ret_spec)
{
	struct json *o = json_new_object();
	_cleanup_(freep) char *version = xasprintf("%s/%s", kind->group, kind->version);
	json_set_string(o, "apiVersion", version);
	json_set_string(o, "kind", kind->kind);
	json_make_object(o, "metadata");
	*ret_spec = json_make_object(o, "spec");
	return o;
}

static void on_access(void *data, const struct err *err, struct json **answer)
{
	struct review *r = data;
	r->op = NULL;
	if (err) {
		failed(r, err);
		return;
	}
	bool allowed = json_get_bool(json_get(*answer, "status"), "allowed", false);
	end(r, allowed ? KUBE_ACCESS_ALLOWED : KUBE_ACCESS_FORBIDDEN, NULL);
}

static void copy(struct json *to, const char *to_name, const struct json *from, const char *name)
{
	const struct json *value = json_get(from, name);
	if (value && !json_is_null(value))
		json_set(to, to_name, json_dup(value));
}

static void ask_access(struct review *r, const struct json *user)
{
	struct json *spec;
	_cleanup_(json_freep) struct json *o = review_object(&access_reviews, &spec);
	copy(spec, "user", user, "username");
	copy(spec, "uid", user, "uid");
	copy(spec, "groups", user, "groups");
	copy(spec, "extra", user, "extra");
	struct json *what = json_make_object(spec, "nonResourceAttributes");
	json_set_string(what, "path", r->path);
	json_set_string(what, "verb", "get");
	r->op = kube_create(r->reviewer->client, &access_reviews, o, on_access, r);
}

static void on_token(void *data, const struct err *err, struct json **answer)
{
	struct review *r = data;
	r->op = NULL;
	if (err) {
		failed(r, err);
		return;
	}
	const struct json *status = json_get(*answer, "status");
	if (json_get_bool(status, "authenticated", false))
		ask_access(r, json_get(status, "user"));
	else
		end(r, KUBE_ACCESS_UNKNOWN, NULL);
}

static void ask_token(struct review *r, const char *token)
{
	struct json *spec;
	_cleanup_(json_freep) struct json *o = review_object(&token_reviews, &spec);
	json_set_string(spec, "token", token);
	r->asked = true;
	r->reviewer->asking++;
	r->op = kube_create(r->reviewer->client, &token_reviews, o, on_token, r);
}

void kube_review(struct kube_reviewer *v, const char *token, const char *path, kube_review_fn fn,
		 void *data)
{
	/* No path has a line's end in it: so no two of these are the same text. */
	_cleanup_(secret_freep) char *both = xasprintf("%s\n%s", path, token);
	struct review *r = xcalloc(1, sizeof(*r));
	*r = (struct review){ .reviewer = v, .path = xstrdup(path), .fn = fn, .data = data };
	list_append(&v->reviews, &r->node);
	timer_init(&r->timer, v->loop, "access review", on_timer, r);
	digest_hex(DIGEST_SHA256, both, strlen(both), r->digest);
	const struct answer *a = map_get(&v->answers, r->digest);
	if (a && a->until > loop_now(v->loop)) {
		end_soon(r, a->access);
	} else if (v->asking >= REVIEWS_MAX) {
		err_set(&r->err, ERR_BUSY, "%u reviews of tokens are under way", v->asking);
		end_soon(r, KUBE_ACCESS_FAILED);
	} else {
		ask_token(r, token);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

struct kube_reviewer *kube_reviewer_new(struct kube_client *client)
{
	struct kube_reviewer *v = xcalloc(1, sizeof(*v));
	v->client = client;
	v->loop = kube_client_loop(client);
	list_init(&v->reviews);
	return v;
}

struct kube_reviewer *kube_reviewer_free(struct kube_reviewer *v)
{
	struct err err;
	if (!v)
		return NULL;
	err_set(&err, ERR_CANCELLED, "this process ends");
	while (!list_empty(&v->reviews))
		end(list_entry(v->reviews.next, struct review, node), KUBE_ACCESS_FAILED, &err);
	forget(v, true);
	map_done(&v->answers);
	free(v);
	return NULL;
}
