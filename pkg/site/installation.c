/* The installation's Secret (see installation.h): read, or made and read back, because another
 * process may have been first. A search lives until its answer or its cancellation. */

#include "site/installation.h"

#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define TEN_YEARS (3650 * 24 * USEC_PER_HOUR)

static const struct kube_resource namespaces = { "", "v1", "namespaces", "Namespace",
						 KUBE_CLUSTER };
static const struct kube_resource secrets = { "", "v1", "secrets", "Secret", KUBE_NAMESPACED };

struct site_installation_search {
	struct loop *loop;
	struct kube_client *client;
	const char *ns;
	struct site_installation *ret;
	site_installation_fn done;
	void *data;
	struct timer retry;
	struct kube_op *op;
};

static void finish(struct site_installation_search *s, const struct err *err)
{
	site_installation_fn done = s->done;
	void *data = s->data;
	site_installation_cancel(s);
	done(data, err);
}

static void look_for_secret(void *data);

static void again(struct site_installation_search *s, const struct err *err)
{
	log_warn("the installation's Secret cannot be had; trying again", "secret", SECRET_ENGINE,
		 "error", err->text);
	timer_set_in(&s->retry, 2 * USEC_PER_SEC);
}

static int take_secret(struct site_installation_search *s, const struct json *secret,
		       struct err *err)
{
	_cleanup_(secret_freep) char *key = secret_value(secret, "key");
	s->ret->ca.cert = secret_value(secret, "ca.crt");
	s->ret->ca.key = secret_value(secret, "ca.key");
	if (!s->ret->ca.cert || !s->ret->ca.key || !key ||
	    hex_decode(key, s->ret->key, sizeof(s->ret->key)) < 0)
		return err_set(
			err, ERR_INVALID,
			"Secret %s/%s is damaged: it needs key (64 hex digits), ca.crt and ca.key; delete it to have "
			"a new one made (machines that run a ramdisk now must then be booted again)",
			s->ns, SECRET_ENGINE);
	return 0;
}

static void make_namespace(struct site_installation_search *s);

static void on_made(void *data, const struct err *err, struct json **answer)
{
	struct site_installation_search *s = data;
	(void)answer;
	s->op = NULL;
	/* In any case read it back: another replica may have been first. */
	if (err && err->kind == ERR_NOT_FOUND)
		make_namespace(s);
	else if (err && err->kind != ERR_EXISTS)
		again(s, err);
	else
		look_for_secret(s);
}

static int make_ca(struct site_installation_search *s, struct crypt_pair *ret, struct err *err)
{
	usec_t now = loop_wall(s->loop);
	const struct crypt_cert_spec spec = { .common_name = "Ingot agents",
					      .not_before = now - 24 * USEC_PER_HOUR,
					      .not_after = now + TEN_YEARS,
					      .is_ca = true };
	return crypt_make_cert(&spec, NULL, ret, err);
}

static void set_encoded(struct json *data, const char *name, const char *value)
{
	_cleanup_(secret_freep) char *encoded = base64_encode(value, strlen(value));
	json_set_string(data, name, encoded);
}

static int new_secret(struct site_installation_search *s, struct json **ret, struct err *err)
{
	uint8_t key[32];
	char hex[65];
	struct crypt_pair ca = { 0 };
	int r = make_ca(s, &ca, err);
	if (r < 0)
		return r;
	loop_random(s->loop, key, sizeof(key));
	hex_encode(key, sizeof(key), hex);
	struct json *o = json_new_object();
	json_set_string(o, "apiVersion", "v1");
	json_set_string(o, "kind", "Secret");
	struct json *meta = json_make_object(o, "metadata");
	json_set_string(meta, "name", SECRET_ENGINE);
	json_set_string(meta, "namespace", s->ns);
	struct json *data = json_make_object(o, "data");
	const struct {
		const char *name, *value;
	} rows[] = { { "key", hex }, { "ca.crt", ca.cert }, { "ca.key", ca.key } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		set_encoded(data, rows[i].name, rows[i].value);
	secret_zero(key, sizeof(key));
	secret_zero(hex, sizeof(hex));
	crypt_pair_release(&ca);
	*ret = o;
	return 0;
}

static void make_secret(struct site_installation_search *s)
{
	_cleanup_(json_freep) struct json *secret = NULL;
	struct err err = { 0 };
	if (new_secret(s, &secret, &err) < 0)
		finish(s, &err);
	else
		s->op = kube_create(s->client, &secrets, secret, on_made, s);
}

static void on_namespace(void *data, const struct err *err, struct json **answer)
{
	struct site_installation_search *s = data;
	(void)answer;
	s->op = NULL;
	if (err && err->kind != ERR_EXISTS)
		again(s, err);
	else
		look_for_secret(s);
}

/* A cluster's manifests bring the namespace; this is for those who run without. */
static void make_namespace(struct site_installation_search *s)
{
	_cleanup_(json_freep) struct json *o = json_new_object();
	json_set_string(o, "apiVersion", "v1");
	json_set_string(o, "kind", "Namespace");
	json_set_string(json_make_object(o, "metadata"), "name", s->ns);
	s->op = kube_create(s->client, &namespaces, o, on_namespace, s);
}

static void on_renewed(void *data, const struct err *err, struct json **answer)
{
	struct site_installation_search *s = data;
	(void)answer;
	s->op = NULL;
	/* A conflict: another replica was first. */
	if (err && err->kind != ERR_CONFLICT)
		again(s, err);
	else
		look_for_secret(s);
}

/* It was made while the clock was wrong, or its ten years are over. The clock of today is believed:
 * the API's certificates hold by it. Tokens do not depend on the CA; a ramdisk that runs does, and
 * is booted again when its step is given up. */
static void renew_ca(struct site_installation_search *s, const struct json *secret,
		     const struct err *why)
{
	_cleanup_(crypt_pair_release) struct crypt_pair ca = { 0 };
	_cleanup_(json_freep) struct json *patch = json_new_object();
	struct err err = { 0 };
	site_installation_release(s->ret);
	if (make_ca(s, &ca, &err) < 0) {
		finish(s, &err);
		return;
	}
	log_warn("the agents' CA is made anew", "secret", SECRET_ENGINE, "reason", why->text);
	json_set_string(json_make_object(patch, "metadata"), "resourceVersion",
			kube_resource_version(secret));
	struct json *data = json_make_object(patch, "data");
	set_encoded(data, "ca.crt", ca.cert);
	set_encoded(data, "ca.key", ca.key);
	s->op = kube_patch(s->client, &secrets, s->ns, SECRET_ENGINE, NULL, KUBE_PATCH_MERGE, patch,
			   on_renewed, s);
}

static void on_secret(void *data, const struct err *err, struct json **answer)
{
	struct site_installation_search *s = data;
	struct err own = { 0 };
	s->op = NULL;
	if (err && err->kind == ERR_NOT_FOUND)
		make_secret(s);
	else if (err)
		again(s, err);
	else if (take_secret(s, *answer, &own) < 0)
		finish(s, &own);
	else if (crypt_cert_check_time(s->ret->ca.cert, loop_wall(s->loop), &own) < 0)
		renew_ca(s, *answer, &own);
	else
		finish(s, NULL);
}

static void look_for_secret(void *data)
{
	struct site_installation_search *s = data;
	s->op = kube_get(s->client, &secrets, s->ns, SECRET_ENGINE, on_secret, s);
}

struct site_installation_search *site_installation_find(struct loop *loop,
							struct kube_client *client, const char *ns,
							struct site_installation *ret,
							site_installation_fn done, void *data)
{
	struct site_installation_search *s = xcalloc(1, sizeof(*s));
	*s = (struct site_installation_search){
		.loop = loop, .client = client, .ns = ns, .ret = ret, .done = done, .data = data
	};
	timer_init(&s->retry, loop, "installation secret", look_for_secret, s);
	look_for_secret(s);
	return s;
}

struct site_installation_search *site_installation_cancel(struct site_installation_search *s)
{
	if (!s)
		return NULL;
	timer_stop(&s->retry);
	kube_cancel(s->op);
	free(s);
	return NULL;
}

void site_installation_release(struct site_installation *i)
{
	crypt_pair_release(&i->ca);
	secret_zero(i->key, sizeof(i->key));
}
