/* Small readings of any Kubernetes object. Pure. */

#include "kube/client.h"

static const char *metadata(const struct json *object, const char *key)
{
	return json_get_string(json_get(object, "metadata"), key);
}

const char *kube_name(const struct json *object)
{
	return metadata(object, "name");
}

const char *kube_namespace(const struct json *object)
{
	return metadata(object, "namespace");
}

const char *kube_uid(const struct json *object)
{
	return metadata(object, "uid");
}

const char *kube_resource_version(const struct json *object)
{
	return metadata(object, "resourceVersion");
}

void kube_strip(struct json *object)
{
	struct json *meta = json_get_mut(object, "metadata");
	if (!meta)
		return;
	json_remove(meta, "managedFields");
	struct json *annotations = json_get_mut(meta, "annotations");
	if (!annotations)
		return;
	json_remove(annotations, "kubectl.kubernetes.io/last-applied-configuration");
	if (json_count(annotations) == 0)
		json_remove(meta, "annotations");
}
