/* From Secrets to the contents of the config drive. userData goes through as it is, bytes and all
 * (cloud-init takes gzip); networkData and metaData are JSON or YAML and leave as JSON. metaData is
 * laid over what the host itself gives. Pure. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"
#include "yaml/yaml_json.h"

void config_drive_texts_done(struct config_drive_texts *t)
{
	secret_free(t->meta_data);
	secret_bytes_free(t->user_data, t->user_data_len);
	secret_free(t->network_data);
	*t = (struct config_drive_texts){ 0 };
}

static const struct {
	const char *key, *field;
	bool key_required;
} uses[_SECRET_USE_MAX] = {
	[SECRET_USER_DATA] = { "userData", "spec.userData", true },
	[SECRET_META_DATA] = { "metaData", "spec.metaData", true },
	[SECRET_NETWORK_DATA] = { "networkData", "spec.networkData", false },
	[SECRET_PREPROVISIONING] = { "networkData", "spec.preprovisioningNetworkDataName", false },
};

struct value {
	char *data; /* NULL: none */
	size_t len;
};

static void value_done(struct value *v)
{
	secret_bytes_free(v->data, v->len);
}

/* A host of one namespace must not read the Secrets of another one. */
static bool foreign_namespace(const struct reconcile *rc, const struct bmh_secret_ref *ref)
{
	return ref && !str_empty(ref->ns) && !streq(ref->ns, rc->host.meta.ns);
}

/* ret->data stays NULL when the host names no such Secret, or one that may be empty is. */
static int read_secret(const struct reconcile *rc, enum host_secret_use use,
		       const struct bmh_secret_ref *ref, const char *name, struct value *ret,
		       struct err *err)
{
	const struct fact *s = &rc->facts->secrets[use];
	if (foreign_namespace(rc, ref))
		return err_set(err, ERR_INVALID,
			       "%s: the Secret must be in the host's namespace %s, not in %s",
			       uses[use].field, rc->host.meta.ns, ref->ns);
	if (str_empty(name))
		return 0;
	switch (s->state) {
	case FACT_FAILED:
		return err_copy(err, &s->err);
	case FACT_MISSING:
	case FACT_NOT_ASKED:
		return err_set(err, ERR_NOT_FOUND, "%s: the Secret %s/%s does not exist",
			       uses[use].field, rc->host.meta.ns, name);
	case FACT_FOUND:
		break;
	}
	ret->data = secret_bytes(s->object, uses[use].key, &ret->len);
	if (!ret->data)
		ret->data = secret_bytes(s->object, "value", &ret->len);
	if (!ret->data && uses[use].key_required)
		return err_set(err, ERR_INVALID,
			       "%s: the Secret %s/%s has neither the key %s nor value",
			       uses[use].field, rc->host.meta.ns, name, uses[use].key);
	return 0;
}

static int to_json(const struct reconcile *rc, enum host_secret_use use, const struct value *text,
		   struct json **ret, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf json = { 0 };
	int r = yaml_to_json(text->data, text->len, &json, err);
	if (r == 0)
		r = json_parse(json.data, json.len, ret, err);
	secret_zero(json.data, json.len);
	if (r == 0 && !json_is_object(*ret))
		r = err_set(err, ERR_INVALID, "not a map");
	return r < 0 ? err_wrap(err, "%s of host %s is neither JSON nor YAML", uses[use].field,
				rc->key)
		     : 0;
}

static int meta_data(const struct reconcile *rc, struct config_drive_texts *ret, struct err *err)
{
	const struct bmh_secret_ref *ref = rc->host.spec.meta_data;
	const struct api_meta *m = &rc->host.meta;
	_cleanup_(value_done) struct value text = { 0 };
	_cleanup_(json_freep) struct json *data = json_new_object(), *given = NULL;
	int r = read_secret(rc, SECRET_META_DATA, ref, ref ? ref->name : NULL, &text, err);
	if (r < 0 || (text.data && (r = to_json(rc, SECRET_META_DATA, &text, &given, err)) < 0))
		return r;
	json_set_string(data, "uuid", m->uid);
	json_set_string(data, "metal3-namespace", m->ns);
	json_set_string(data, "metal3-name", m->name);
	json_set_string(data, "local-hostname", m->name);
	json_set_string(data, "local_hostname", m->name);
	json_set_string(data, "name", m->name);
	json_for_each(member, given) {
		json_set(data, json_key(member), json_dup(member));
	}
	ret->meta_data = json_to_string(data);
	return 0;
}

static int network_data(const struct reconcile *rc, struct config_drive_texts *ret, struct err *err)
{
	const struct bmh_secret_ref *ref = rc->host.spec.network_data;
	/* Without its own, the operating system is given what was meant for the ramdisk. */
	enum host_secret_use use = ref ? SECRET_NETWORK_DATA : SECRET_PREPROVISIONING;
	const char *name = ref ? ref->name : rc->host.spec.network_data_name;
	_cleanup_(value_done) struct value text = { 0 };
	_cleanup_(json_freep) struct json *data = NULL;
	int r = read_secret(rc, use, ref, name, &text, err);
	if (r < 0 || text.len == 0)
		return r;
	r = to_json(rc, use, &text, &data, err);
	/* An empty network_data.json keeps cloud-init from configuring anything. */
	if (r == 0 && json_count(data) > 0)
		ret->network_data = json_to_string(data);
	return r;
}

int host_ramdisk_network(const struct reconcile *rc, char **ret, struct err *err)
{
	_cleanup_(value_done) struct value text = { 0 };
	_cleanup_(json_freep) struct json *data = NULL;
	int r = read_secret(rc, SECRET_PREPROVISIONING, NULL, rc->host.spec.network_data_name,
			    &text, err);
	if (r == 0 && text.len > 0)
		r = to_json(rc, SECRET_PREPROVISIONING, &text, &data, err);
	if (r == 0 && json_count(data) > 0)
		*ret = json_to_string(data);
	return r;
}

int host_config_drive(const struct reconcile *rc, struct config_drive_texts *ret, struct err *err)
{
	struct config_drive_texts t = { 0 };
	struct value bytes = { 0 };
	const struct bmh_secret_ref *user = rc->host.spec.user_data;
	const char *failed = uses[SECRET_USER_DATA].key;
	int r = read_secret(rc, SECRET_USER_DATA, user, user ? user->name : NULL, &bytes, err);
	t.user_data = bytes.data;
	t.user_data_len = bytes.len;
	if (r == 0) {
		failed = uses[SECRET_META_DATA].key;
		r = meta_data(rc, &t, err);
	}
	if (r == 0) {
		failed = uses[SECRET_NETWORK_DATA].key;
		r = network_data(rc, &t, err);
	}
	if (r < 0) {
		config_drive_texts_done(&t);
		ret->failed = failed;
		return r;
	}
	*ret = t;
	return 0;
}
