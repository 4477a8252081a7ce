#pragma once
/* What all our kinds share: names of the API, object metadata, conditions. Pure; any thread. */

#include <stdbool.h>

#include "base/clock.h"
#include "json/bind.h"

#define API_GROUP	"metal3.io"
#define API_VERSION	"metal3.io/v1alpha1"
#define API_OWN_VERSION "ingot.dev/v1alpha1"

/* The part of metadata that controllers read. Strings are heap copies. */
struct api_meta {
	char *name, *ns, *uid, *resource_version;
	int64_t generation;
	usec_t deleted_at; /* deletionTimestamp; 0: not being deleted */
	struct json *annotations, *labels, *finalizers, *owners; /* NULL when absent */
};

extern const struct bind_struct api_meta_struct;

bool api_has_finalizer(const struct api_meta *m, const char *finalizer);
/* NULL when absent. */
const char *api_annotation(const struct api_meta *m, const char *key);
const char *api_label(const struct api_meta *m, const char *key);
bool api_owned_by(const struct api_meta *m, const char *uid);
/* A reference for metadata.ownerReferences. */
struct json *api_owner_reference(const char *api_version, const char *kind, const char *name,
				 const char *uid, bool controller);

/* Sets one condition in the list; lastTransitionTime moves only when the status does. True if
 * anything changed. */
bool api_condition_set(struct json *conditions, const char *type, bool status, const char *reason,
		       const char *message, int64_t generation, usec_t now);
