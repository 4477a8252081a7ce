/* struct kube_object: one block of memory for the counters and all strings. Core thread. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/store.h"
#include "wire/compress.h"

static char *put(char **at, const char *s, size_t len)
{
	char *start = *at;
	memcpy(start, s, len);
	start[len] = '\0';
	*at += len + 1;
	return start;
}

struct kube_object *kube_object_new(const struct json *object, bool namespaced, const char *sample)
{
	const struct json *meta = json_get(object, "metadata");
	const char *ns = namespaced ? str_or(kube_namespace(object), "") : "";
	const char *name = str_or(kube_name(object), ""), *uid = str_or(kube_uid(object), "");
	const char *version = str_or(kube_resource_version(object), "");
	_cleanup_(strbuf_done) struct strbuf text = { 0 }, key = { 0 };
	json_print(object, &text);
	strbuf_addf(&key, "%s%s%s", ns, ns[0] ? "/" : "", name);
	size_t packed_len;
	_cleanup_(freep) void *packed = compress_with_sample(sample, text.data, text.len,
							     &packed_len);
	size_t size = packed_len + key.len + strlen(ns) + strlen(uid) + strlen(version) + 5;
	struct kube_object *o = xmalloc(sizeof(*o) + size);
	char *at = (char *)(o + 1);
	*o = (struct kube_object){
		.refs = 1,
		.text_len = (uint32_t)text.len,
		.packed_len = (uint32_t)packed_len,
		.sample = sample,
		.generation = json_get_int(meta, "generation", 0),
		.deleting = !json_is_null(json_get(meta, "deletionTimestamp")),
	};
	o->packed = put(&at, packed, packed_len);
	o->key = put(&at, key.data, key.len);
	o->name = o->key + key.len - strlen(name);
	o->ns = put(&at, ns, strlen(ns));
	o->uid = put(&at, uid, strlen(uid));
	o->resource_version = put(&at, version, strlen(version));
	/* May be a Secret. */
	secret_zero(text.data, text.len);
	secret_zero(packed, packed_len);
	return o;
}

struct kube_object *kube_object_ref(struct kube_object *o)
{
	o->refs++;
	return o;
}

struct kube_object *kube_object_unref(struct kube_object *o)
{
	if (o && --o->refs == 0) {
		secret_zero((char *)(o + 1), o->packed_len); /* may be a Secret */
		free(o);
	}
	return NULL;
}

void kube_object_unrefp(struct kube_object **o)
{
	*o = kube_object_unref(*o);
}

char *kube_object_text(const struct kube_object *o)
{
	char *text = xmalloc(o->text_len + 1);
	if (decompress_with_sample(o->sample, o->packed, o->packed_len, text, o->text_len) < 0) {
		/* We packed it ourselves: memory is damaged. */
		log_error("cached object cannot be unpacked", "object", o->key);
		abort();
	}
	text[o->text_len] = '\0';
	return text;
}

struct json *kube_object_parse(const struct kube_object *o)
{
	struct json *tree = NULL;
	struct err err = { 0 };
	_cleanup_(secret_freep) char *text = kube_object_text(o);
	if (json_parse(text, o->text_len, &tree, &err) < 0) {
		/* We printed it ourselves: memory is damaged. */
		log_error("cached object cannot be parsed", "object", o->key, "error", err.text);
		abort();
	}
	return tree;
}
