/* Schemas of the built-in kinds, for checks and for kubectl explain. Written with ' for ", so that
 * they can be read; no text may hold an apostrophe. Descriptions are ours; names, types and meaning
 * are Kubernetes'. */

#include "apiserver/kinds/builtin.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* clang-format off */

#define HEAD(DESCRIPTION)                                                                          \
	"{'type':'object','description':'" DESCRIPTION "','properties':{"                          \
	"'apiVersion':{'type':'string','description':'Group and version of the schema of this object.'}," \
	"'kind':{'type':'string','description':'Kind of this object.'},"                           \
	"'metadata':{'type':'object','description':'Name, labels and what else every object has.'},"

#define TIME(DESCRIPTION) "{'type':'string','format':'date-time','description':'" DESCRIPTION "'}"
#define TEXT(DESCRIPTION) "{'type':'string','description':'" DESCRIPTION "'}"
#define NUMBER(DESCRIPTION) "{'type':'integer','format':'int32','description':'" DESCRIPTION "'}"
#define FLAG(DESCRIPTION) "{'type':'boolean','description':'" DESCRIPTION "'}"
#define TEXTS(DESCRIPTION) "{'type':'array','items':{'type':'string'},'description':'" DESCRIPTION "'}"
#define BYTES(DESCRIPTION)                                                                         \
	"{'type':'object','additionalProperties':{'type':'string','format':'byte'},'description':'" DESCRIPTION "'}"
#define TEXT_MAP(DESCRIPTION)                                                                      \
	"{'type':'object','additionalProperties':{'type':'string'},'description':'" DESCRIPTION "'}"

#define REFERENCE(DESCRIPTION)                                                                     \
	"{'type':'object','description':'" DESCRIPTION "','properties':{"                          \
	"'apiVersion':" TEXT("API group and version of the object.") ","                           \
	"'fieldPath':" TEXT("Part of the object that is meant, if not all of it.") ","             \
	"'kind':" TEXT("Kind of the object.") ","                                                  \
	"'name':" TEXT("Name of the object.") ","                                                  \
	"'namespace':" TEXT("Namespace of the object.") ","                                        \
	"'resourceVersion':" TEXT("Version of the object that is meant.") ","                      \
	"'uid':" TEXT("UID of the object.") "},'x-kubernetes-map-type':'atomic'}"

#define CONDITIONS                                                                                 \
	"{'type':'array','description':'What holds at the moment.','x-kubernetes-list-type':'map'," \
	"'x-kubernetes-list-map-keys':['type'],'items':{'type':'object',"                          \
	"'required':['type','status'],'properties':{"                                              \
	"'type':" TEXT("What is said.") ","                                                        \
	"'status':" TEXT("True, False or Unknown.") ","                                            \
	"'reason':" TEXT("Why, in one word for programs.") ","                                     \
	"'message':" TEXT("Why, for people.") ","                                                  \
	"'observedGeneration':{'type':'integer','format':'int64','description':'Generation that this was said of.'}," \
	"'lastTransitionTime':" TIME("When the status last changed.") "}}}"

const char builtin_secret_schema[] =
	HEAD("Confidential data of small size, such as passwords.")
	"'data':" BYTES("The data, in base64, by key.") ","
	"'immutable':" FLAG("Whether data can never be changed again.") ","
	"'stringData':" TEXT_MAP("Data as plain text, for convenience; never read back, it overrides data.") ","
	"'type':" TEXT("What the data are for; Opaque if absent.")
	"}}";

const char builtin_config_map_schema[] =
	HEAD("Configuration data.")
	"'data':" TEXT_MAP("The data, as text, by key.") ","
	"'binaryData':" BYTES("Data that are no text, in base64, by key.") ","
	"'immutable':" FLAG("Whether data can never be changed again.")
	"}}";

const char builtin_namespace_schema[] =
	HEAD("A scope for names.")
	"'spec':{'type':'object','description':'Who has to let go before the namespace can be removed.','properties':{"
	"'finalizers':" TEXTS("Must be empty before the namespace is removed.") "}},"
	"'status':{'type':'object','description':'State of the namespace.','properties':{"
	"'phase':" TEXT("Active or Terminating.") ","
	"'conditions':" CONDITIONS "}}"
	"}}";

const char builtin_event_schema[] =
	HEAD("Report of something that happened, kept for an hour.")
	"'action':" TEXT("What was done about the object.") ","
	"'count':" NUMBER("How often it happened.") ","
	"'eventTime':" TIME("When it first happened, with microseconds.") ","
	"'firstTimestamp':" TIME("When it first happened.") ","
	"'involvedObject':" REFERENCE("What it happened to.") ","
	"'lastTimestamp':" TIME("When it last happened.") ","
	"'message':" TEXT("What happened, for people.") ","
	"'reason':" TEXT("What happened, in one word for programs.") ","
	"'related':" REFERENCE("A second object that is concerned.") ","
	"'reportingComponent':" TEXT("Controller that reports.") ","
	"'reportingInstance':" TEXT("Instance of the controller.") ","
	"'series':{'type':'object','description':'Data of a series of the same event.','properties':{"
	"'count':" NUMBER("Number of events in the series so far.") ","
	"'lastObservedTime':" TIME("When the last of them was seen.") "}},"
	"'source':{'type':'object','description':'Who reports.','properties':{"
	"'component':" TEXT("Component that reports.") ","
	"'host':" TEXT("Machine on which it runs.") "}},"
	"'type':" TEXT("Normal or Warning.")
	"},'required':['involvedObject']}";

const char builtin_lease_schema[] =
	HEAD("Who holds something, and for how long.")
	"'spec':{'type':'object','description':'Holder and times.','properties':{"
	"'acquireTime':" TIME("When the present holder got it, with microseconds.") ","
	"'holderIdentity':" TEXT("Who holds it.") ","
	"'leaseDurationSeconds':" NUMBER("How long others wait after renewTime before they take it.") ","
	"'leaseTransitions':" NUMBER("How often the holder has changed.") ","
	"'preferredHolder':" TEXT("Who should get it next.") ","
	"'renewTime':" TIME("When the holder last renewed it, with microseconds.") ","
	"'strategy':" TEXT("How the next holder is picked.") "}}"
	"}}";

#define NAMES                                                                                      \
	"{'type':'object','description':'Names of the kind.','required':['plural','kind'],'properties':{" \
	"'categories':" TEXTS("Groups of kinds that this one belongs to, such as all.") ","        \
	"'kind':" TEXT("Kind of an object, in CamelCase.") ","                                     \
	"'listKind':" TEXT("Kind of a list of objects.") ","                                       \
	"'plural':" TEXT("Plural, in lower case, as in the path.") ","                             \
	"'shortNames':" TEXTS("Short names for the command line.") ","                             \
	"'singular':" TEXT("Singular, in lower case.") "}}"

const char builtin_crd_schema[] =
	HEAD("Definition of a kind: once it is established, objects of the kind can be made.")
	"'spec':{'type':'object','description':'What the kind looks like.','required':['group','names','scope','versions'],'properties':{"
	"'conversion':{'type':'object','description':'How objects are converted between versions; only None is done.',"
	"'x-kubernetes-preserve-unknown-fields':true,'properties':{'strategy':" TEXT("None.") "}},"
	"'group':" TEXT("API group.") ","
	"'names':" NAMES ","
	"'preserveUnknownFields':" FLAG("Must be false.") ","
	"'scope':{'type':'string','enum':['Cluster','Namespaced'],'description':'Whether objects live in namespaces.'},"
	"'versions':{'type':'array','description':'Versions of the schema.','items':{'type':'object','required':['name','served','storage'],'properties':{"
	"'additionalPrinterColumns':{'type':'array','description':'Columns that kubectl get shows.','items':{'type':'object',"
	"'required':['name','type','jsonPath'],'properties':{"
	"'description':" TEXT("What the column shows.") ","
	"'format':" TEXT("Format of the value.") ","
	"'jsonPath':" TEXT("Where the value stands in an object.") ","
	"'name':" TEXT("Heading.") ","
	"'priority':" NUMBER("0 is always shown, higher ones with -o wide.") ","
	"'type':" TEXT("Type of the value.") "}}},"
	"'deprecated':" FLAG("Whether clients are warned.") ","
	"'deprecationWarning':" TEXT("What clients are told.") ","
	"'name':" TEXT("Name of the version, such as v1alpha1.") ","
	"'schema':{'type':'object','description':'Schema of the objects.','properties':{"
	"'openAPIV3Schema':{'type':'object','x-kubernetes-preserve-unknown-fields':true,'description':'OpenAPI v3 schema.'}}},"
	"'selectableFields':{'type':'array','description':'Fields that field selectors may name.','items':{'type':'object',"
	"'required':['jsonPath'],'properties':{'jsonPath':" TEXT("Path of the field.") "}}},"
	"'served':" FLAG("Whether the version can be used.") ","
	"'storage':" FLAG("Whether objects are stored in it; true for one version.") ","
	"'subresources':{'type':'object','description':'Parts with a path of their own.','properties':{"
	"'scale':{'type':'object','description':'Present: replicas are read and written at /scale.','properties':{"
	"'labelSelectorPath':" TEXT("Where in spec or status the selector of the replicas stands.") ","
	"'specReplicasPath':" TEXT("Where in spec the wanted replicas stand.") ","
	"'statusReplicasPath':" TEXT("Where in status the present replicas stand.") "}},"
	"'status':{'type':'object','x-kubernetes-preserve-unknown-fields':true,'description':'Present: status is written at /status only.'}}}"
	"}}}}},"
	"'status':{'type':'object','description':'State of the definition.','properties':{"
	"'acceptedNames':" NAMES ","
	"'conditions':" CONDITIONS ","
	"'storedVersions':" TEXTS("Versions in which objects were ever stored.") "}}"
	"},'required':['spec']}";

#define WORD "{'type':'string'}"
#define WORDS "{'type':'object','additionalProperties':{'type':'string'}}"
#define INT "{'type':'integer'}"

const char builtin_meta_schema[] =
	"{'type':'object','properties':{"
	"'annotations':" WORDS ",'creationTimestamp':" WORD ",'deletionGracePeriodSeconds':" INT ","
	"'deletionTimestamp':" WORD ",'generateName':" WORD ",'generation':" INT ","
	"'labels':" WORDS ",'name':" WORD ",'namespace':" WORD ",'resourceVersion':" WORD ","
	"'selfLink':" WORD ",'uid':" WORD ","
	"'managedFields':{'type':'array','items':{'type':'object','x-kubernetes-preserve-unknown-fields':true}},"
	"'finalizers':{'type':'array','items':" WORD ",'x-kubernetes-list-type':'set'},"
	"'ownerReferences':{'type':'array','x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['uid'],"
	"'items':{'type':'object','x-kubernetes-map-type':'atomic','properties':{"
	"'apiVersion':" WORD ",'blockOwnerDeletion':{'type':'boolean'},'controller':{'type':'boolean'},"
	"'kind':" WORD ",'name':" WORD ",'uid':{'type':'string','default':''}}}}"
	"}}";

#define META "io.k8s.apimachinery.pkg.apis.meta.v1."
#define REF(NAME) "{'$ref':'#/components/schemas/" META NAME "'}"

const char builtin_shared_schemas[] =
	"{"
	"'" META "Time':{'type':'string','format':'date-time','description':'A moment, in RFC 3339.'},"
	"'" META "OwnerReference':{'type':'object','description':'An object that this one belongs to; when all such have gone, this one is deleted.',"
	"'required':['apiVersion','kind','name','uid'],'properties':{"
	"'apiVersion':" TEXT("API group and version of the owner.") ","
	"'blockOwnerDeletion':" FLAG("Whether a deletion of the owner in the foreground waits for this object.") ","
	"'controller':" FLAG("Whether the owner is the managing controller; one owner at most is.") ","
	"'kind':" TEXT("Kind of the owner.") ","
	"'name':" TEXT("Name of the owner.") ","
	"'uid':" TEXT("UID of the owner.") "},'x-kubernetes-map-type':'atomic'},"
	"'" META "FieldsV1':{'type':'object','description':'A set of fields, as a tree of them.'},"
	"'" META "ManagedFieldsEntry':{'type':'object','description':'Who owns which fields.','properties':{"
	"'apiVersion':" TEXT("Version of the kind that the fields are of.") ","
	"'fieldsType':" TEXT("FieldsV1.") ","
	"'fieldsV1':" REF("FieldsV1") ","
	"'manager':" TEXT("The owner.") ","
	"'operation':" TEXT("Apply, or Update: by another write.") ","
	"'subresource':" TEXT("By which subresource they were written; else by the object itself.") ","
	"'time':" TIME("When the set was last changed.") "}},"
	"'" META "ObjectMeta':{'type':'object','description':'What every object has.','properties':{"
	"'annotations':" TEXT_MAP("Free notes of tools and people, by key.") ","
	"'creationTimestamp':" TIME("When the object was made; set by the server.") ","
	"'deletionGracePeriodSeconds':{'type':'integer','format':'int64','description':'Set by the server with deletionTimestamp.'},"
	"'deletionTimestamp':" TIME("When deletion was asked for; the object goes when its finalizers have gone.") ","
	"'finalizers':{'type':'array','items':{'type':'string'},'x-kubernetes-list-type':'set','description':'Who has to let go before the object can be removed.'},"
	"'generateName':" TEXT("Beginning of a name that the server completes, if there is no name.") ","
	"'generation':{'type':'integer','format':'int64','description':'Counts changes of what is wanted.'},"
	"'labels':" TEXT_MAP("Keys and values to select objects by.") ","
	"'managedFields':{'type':'array','description':'Who owns which fields; kept by the server.','items':" REF("ManagedFieldsEntry") "},"
	"'name':" TEXT("Name, unique in the namespace; cannot be changed.") ","
	"'namespace':" TEXT("Namespace; cannot be changed.") ","
	"'ownerReferences':{'type':'array','description':'Objects that this one belongs to.',"
	"'x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['uid'],'items':" REF("OwnerReference") "},"
	"'resourceVersion':" TEXT("Version of the object, to notice changes by others; to be passed back as it is.") ","
	"'selfLink':" TEXT("No longer used.") ","
	"'uid':" TEXT("Unique in time and space; set by the server.") "}},"
	"'" META "ListMeta':{'type':'object','description':'What every list has.','properties':{"
	"'continue':" TEXT("Present when there is more: to be sent to get the next part.") ","
	"'remainingItemCount':{'type':'integer','format':'int64','description':'How many more there are.'},"
	"'resourceVersion':" TEXT("Version of the list, to watch from.") "}},"
	"'" META "DeleteOptions':{'type':'object','description':'How to delete.','properties':{"
	"'apiVersion':" TEXT("v1.") ",'kind':" TEXT("DeleteOptions.") ","
	"'dryRun':" TEXTS("All: nothing is changed.") ","
	"'gracePeriodSeconds':{'type':'integer','format':'int64','description':'Not used by the kinds served here.'},"
	"'preconditions':{'type':'object','description':'What must hold.','properties':{"
	"'resourceVersion':" TEXT("Version that the object must have.") ","
	"'uid':" TEXT("UID that the object must have.") "}},"
	"'propagationPolicy':" TEXT("Orphan, Background or Foreground: what becomes of objects that belong to this one.") "}},"
	"'" META "Patch':{'type':'object','description':'A JSON patch, merge patch or strategic merge patch, or an object to apply.'},"
	"'" META "Status':{'type':'object','description':'Outcome of a request that returns no object.','properties':{"
	"'apiVersion':" TEXT("v1.") ",'kind':" TEXT("Status.") ","
	"'code':" NUMBER("HTTP status.") ","
	"'details':{'type':'object','description':'More for programs.','x-kubernetes-preserve-unknown-fields':true},"
	"'message':" TEXT("What happened, for people.") ","
	"'metadata':" REF("ListMeta") ","
	"'reason':" TEXT("What happened, in one word for programs.") ","
	"'status':" TEXT("Success or Failure.") "}}"
	"}";

/* clang-format on */

struct json *builtin_parse(const char *text)
{
	_cleanup_(freep) char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	struct json *j = NULL;
	if (json_parse(copy, strlen(copy), &j, NULL) < 0)
		abort(); /* a literal of this program */
	return j;
}
