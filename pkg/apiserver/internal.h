#pragma once
/* What the files of this module share: the server, a request while it is being handled, and the
 * steps that handle it. Functions that return int return 0, or ANSWERED when the answer is an error
 * already. */

#include "apiserver/apiserver.h"
#include "apiserver/resource.h"
#include "base/list.h"
#include "base/str.h"
#include "schema/meta.h"
#include "schema/selector.h"
#include "store/store.h"
#include "json/json.h"

struct call;
struct watch;

/* MORE: the call is not done; its step was full, and others have their turn. */
enum { ANSWERED = -1, MORE = 1 };

enum {
	OBJECT_MAX = 3 * 512 * 1024, /* as etcd */
	TEXT_MAX = 256,
};

#define EVENT_TTL USEC_PER_HOUR

extern const char json_type_text[]; /* "application/json" */

/* --- a batch: what shares one commit, and its changes (feed.c, server.c) --- */

/* One change, for live watches. */
struct event {
	uint64_t rv;
	enum store_change_type type;
	char *resource, *ns, *name;
	char *now, *before; /* texts; of a deletion `now` is the last state with the new version */
	struct json *now_tree, *before_tree; /* parsed when first asked for */
};

struct batch {
	bool open;
	bool kinds_changed;  /* the registry must be read again if this comes to nothing */
	struct list answers; /* of api_exchange, in order */
	struct event *events;
	size_t event_count;
	size_t bytes;
	unsigned requests;
	size_t marked; /* events of the requests before, and of what batch_keep() has kept */
};

struct apiserver {
	struct loop *loop;
	struct store *store;
	struct registry registry;
	char *(*admit)(void *data, const struct api_admission *a); /* NULL: all are */
	void *admit_data;
	bool (*counts)(const char *resource); /* NULL: nothing does */
	void (*kept)(void *data, uint64_t revision);
	void *kept_data;
	uint64_t committed;			 /* revision that watches may know of */
	const struct observer *const *observers; /* NULL-ended */
	struct batch batch;
	struct timer commit_timer;
	uint64_t failures;   /* batches of which nothing was kept */
	struct err failure;  /* the last one's */
	struct list waiting; /* exchanges whose calls are not done */
	struct timer turn_timer;
	struct list watches;
	struct timer bookmark_timer;
	bool delivering;  /* watches that end now are freed afterwards */
	struct list work; /* background.c */
	struct map work_keys;
	struct timer work_timer;
	struct timer sweep_timer;
	bool freeing;
};

/* Who wants to know of changes. All optional. */
struct observer {
	/* In the open transaction, dry runs excepted. now NULL: it has gone; old NULL: it is new.
	 */
	void (*changed)(struct apiserver *s, const struct resource *r, const struct json *now,
			const struct json *old);
	/* When they are on disk. */
	void (*committed)(struct apiserver *s, struct event *events, size_t count);
};

extern const struct observer crd_observer, work_observer, watch_observer;

void batch_init(struct batch *b);
void batch_done(struct batch *b);
/* Leaves the first `keep`. */
void batch_drop_events(struct batch *b, size_t keep);
void feed_changed(struct apiserver *s, const struct resource *r, const struct json *now,
		  const struct json *old);
void feed_committed(struct apiserver *s, struct event *events, size_t count);
/* Opens the transaction of the batch if there is none. */
int batch_open(struct apiserver *s, struct err *err);
/* Commits now; answers and events leave. */
void batch_commit(struct apiserver *s);
/* What the request has done so far stays, even if the request fails later. */
int batch_keep(struct apiserver *s, struct err *err);
/* Takes now and before. */
void batch_note(struct apiserver *s, enum store_change_type type, uint64_t rv,
		const struct store_key *key, char *now, char *before);
void event_done(struct event *e);

/* --- a request --- */

enum field_validation { FIELDS_WARN, FIELDS_STRICT, FIELDS_IGNORE };
enum propagation {
	PROPAGATION_DEFAULT,
	PROPAGATION_BACKGROUND,
	PROPAGATION_FOREGROUND,
	PROPAGATION_ORPHAN
};
enum rv_match { MATCH_DEFAULT, MATCH_EXACT, MATCH_NOT_OLDER };

struct query {
	char *label_selector, *field_selector, *continue_token, *resource_version, *include_object;
	char *uid; /* a condition of a deletion */
	char *field_manager;
	enum rv_match match;
	uint64_t limit;
	int64_t timeout_s; /* -1: absent */
	bool watch, bookmarks, initial_events, dry_run, force, force_given, pretty, pretty_given;
	bool orphan, orphan_given;
	enum field_validation validation;
	enum propagation propagation; /* of DELETE */
};

enum form { FORM_OBJECT, FORM_TABLE, FORM_METADATA, FORM_DISCOVERY, FORM_DISCOVERY_BETA };

/* How a call goes on that is not done in one step. */
struct rest {
	int (*step)(struct call *c, void *data);
	void (*free)(void *data);
	void *data;
};

/* What was asked for: const once it has been read (request.c, handle.c; of a deletion also its
 * body). */
struct request {
	const struct api_request *http; /* NULL: nobody has asked, the server starts */
	struct api_request *kept;	/* own copy of it, once the front has forgotten its */
	bool own;			/* the server asks itself */
	struct resource *resource;	/* counted */
	char *ns, *name, *subresource;	/* "" when absent */
	struct query query;
	enum form form;
};

/* What is answered, and how much it may still hold. */
struct answer {
	int status; /* 0: none yet */
	const char *content_type;
	struct strbuf body;
	bool pretty;
	struct unknown_fields warnings;
	struct watch *watch;	   /* instead of a body: a stream follows; exchange_take() has it */
	struct schema_budget left; /* for all objects of the request */
};

/* From the one to the other. Functions take those of the three that they need. */
struct call {
	struct apiserver *s;
	struct request in;
	struct answer out;
	struct rest rest;
	uint64_t failures; /* the server's when the call began */
};

void answer_done(struct answer *a);
void call_init(struct call *c, struct apiserver *s, const struct api_request *request);
void call_done(struct call *c);
/* request.c: all but its body, for a call that goes on. */
void call_keep_request(struct call *c);
/* The first step; takes data. When it returns MORE, call_step() is to follow. */
int call_begin(struct call *c, struct rest rest);
int call_step(struct call *c);
bool call_goes_on(const struct call *c);
/* request.c: query, Accept, one percent-decoded segment. */
int call_parse_query(struct request *in, struct answer *out);
int call_parse_accept(struct request *in, struct answer *out);
char *url_decode(const char *s, size_t len, bool form);
void query_done(struct query *q);
/* handle.c */
void call_run(struct call *c);
/* run.c: the request or its next step, in the batch. */
void run_call(struct call *c);

/* A request of the server itself. */
struct own_request {
	const char *method;
	const struct resource *resource;
	const char *ns, *name, *subresource; /* subresource NULL: none */
	const struct json *body;	     /* a merge patch, DeleteOptions, an object; or NULL */
};

/* At once, and as any other but for admission, which is not asked: nobody would come again. Returns
 * the status of the answer; a failure is logged. */
int own_request(struct apiserver *s, const struct own_request *o);

/* --- answers (status.c) --- */

void answer_json(struct answer *out, int status, const struct json *j);
void answer_text(struct answer *out, int status, const char *text);
/* A copy of an object's text as the answer, indented when asked for. */
void answer_object_text(struct answer *out, int status, const char *text, size_t len);

int fail(struct answer *out, int status, const char *reason, const char *fmt, ...) _printf_(4, 5);
/* Errors about a resource. name NULL: none. */
int fail_named(struct answer *out, int status, const char *reason, const struct resource *r,
	       const char *name, const char *fmt, ...) _printf_(6, 7);
int fail_not_found(struct answer *out, const struct resource *r, const char *name);
int fail_conflict(struct answer *out, const struct resource *r, const char *name, const char *fmt,
		  ...) _printf_(4, 5);
int fail_forbidden(struct answer *out, const struct resource *r, const char *name, const char *fmt,
		   ...) _printf_(4, 5);
/* Who asks has no right; the kind need not be served. resource "": about a path. */
int fail_access(struct answer *out, const char *group, const char *resource, const char *name,
		const char *text);
/* r NULL: about no kind. */
int fail_invalid(struct answer *out, const struct resource *r, const char *name,
		 const struct causes *causes);
/* An update that names no resourceVersion; a body of another kind than the path's. */
int fail_no_version(struct answer *out, const struct resource *r, const char *name);
int fail_other_kind(struct answer *out, const struct resource *r, const char *name,
		    const char *kind);
/* About a Scale, which is no kind of the registry. */
int fail_scale(struct answer *out, const char *name, const struct causes *causes);
/* About the options of the call itself: "DeleteOptions.meta.k8s.io". */
int fail_options(const struct request *in, struct answer *out, const struct causes *causes);
/* With other details than these; takes them. */
int fail_details(struct answer *out, int status, const char *reason, struct json *details,
		 const char *fmt, ...) _printf_(5, 6);
int fail_store(struct answer *out, const struct err *err);
int fail_expired(struct answer *out, const char *continue_token, const char *fmt, ...)
	_printf_(3, 4);
int fail_too_large_version(struct answer *out, uint64_t wanted, uint64_t current);
void answer_warn(struct answer *out, const char *fmt, ...) _printf_(2, 3);
struct json *status_success(const struct resource *r, const char *name, const char *uid);

/* --- objects (object.c) --- */

struct object {
	struct json *tree;
	char *text; /* as stored */
	uint64_t rv;
};

void object_done(struct object *o);
/* 1: found; 0: not there; negative: answered. */
int object_load(struct apiserver *s, const struct request *in, struct answer *out,
		const struct resource *r, const char *ns, const char *name, struct object *ret);
/* Likewise, but never too large: what its kind's later defaults make too large is taken as it is
 * stored. Also what object_load does with an object that is being deleted. */
int object_load_to_delete(struct apiserver *s, const struct request *in, struct answer *out,
			  const struct resource *r, const char *ns, const char *name,
			  struct object *ret);
/* Small enough to be stored? */
bool object_fits(const struct json *tree);
/* A stored text as a tree, without defaults that came later. */
struct json *object_parse_stored(const struct resource *r, const char *text, size_t len);
/* A stored text as this version shows it, as a tree. What was written before the schema was is
 * brought in line; that may take so much of what is `left` as the text is long, and the rest of the
 * budget: NULL when that is spent. left NULL: each object has a budget of its own. */
struct json *object_parse(const struct resource *r, const char *text, size_t len, uint64_t rv,
			  struct schema_budget *left);
/* Likewise as text, appended to out. False when the budget is spent. */
bool object_present(const struct resource *r, const struct store_row *row,
		    struct schema_budget *left, struct strbuf *out);
/* What was made of a stored text of `stored` bytes is gone, and `shown` bytes of it are in the
 * answer: only what these are more than what is stored counts against the budget as it was. */
void object_settle(struct answer *out, const struct schema_budget *before, size_t stored,
		   size_t shown);
/* For either: the answer. */
int fail_grown(struct answer *out, const struct resource *r);
/* Stores *tree (metadata complete but for resourceVersion, which is set in it). old NULL: new. */
int object_store(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, struct json *tree, const struct object *old);
int object_erase(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, const struct object *old, struct json *last);
/* The tree as the answer, in the form asked for. */
void object_answer(struct apiserver *s, const struct request *in, struct answer *out, int status,
		   const struct resource *r, const struct json *tree);

const char *object_name(const struct json *o);
const char *object_ns(const struct json *o); /* "" when absent */
const char *object_uid(const struct json *o);
struct json *object_meta(struct json *o);
bool object_terminating(const struct json *o);

/* --- reading the body (decode.c) --- */

int decode_body(const struct request *in, struct answer *out, struct json **ret);
/* The body of an apply: YAML, of which JSON is a part. */
int decode_apply(const struct request *in, struct answer *out, struct json **ret);
/* An object of r: kind, version and metadata checked, unknown fields dropped as the query says. */
int decode_object(const struct request *in, struct answer *out, const struct resource *r,
		  struct json *tree);
/* The same for the outcome of a patch, whose errors have another shape. */
int decode_patched(const struct request *in, struct answer *out, const struct resource *r,
		   struct json *tree);
/* `wrong` is what the decoder says of a patch's outcome. */
int fail_patch(struct answer *out, const char *outcome, const char *wrong);

/* --- verbs --- */

enum part { PART_MAIN, PART_STATUS, PART_FINALIZE };

int verb_get(struct apiserver *s, const struct request *in, struct answer *out);
int verb_list(struct call *c);
/* What a list with the request's parameters holds, found in steps: all as of one revision. */
struct lister;
struct list_names {
	char **ns, **name;
	size_t count;
};
/* names_only: names are collected, and no items. */
int lister_new(struct call *c, bool names_only, struct lister **ret);
void lister_free(void *lister);
/* 0: it is complete. */
int lister_step(struct lister *l);
const struct list_names *lister_names(const struct lister *l);
/* What such a list says of itself; new. */
struct json *lister_metadata(struct lister *l);
int verb_watch(struct apiserver *s, const struct request *in, struct answer *out);
int verb_create(struct apiserver *s, const struct request *in, struct answer *out);
int verb_update(struct apiserver *s, const struct request *in, struct answer *out);
int verb_patch(struct apiserver *s, const struct request *in, struct answer *out);
int verb_apply(struct apiserver *s, const struct request *in, struct answer *out);
int verb_delete(struct apiserver *s, struct request *in, struct answer *out);
int verb_delete_collection(struct call *c);
/* scale.c: GET, PUT and PATCH of /scale. */
int verb_scale(struct apiserver *s, const struct request *in, struct answer *out);
/* patch.c: the body of a PATCH, applied to *tree. */
int patch_tree(const struct request *in, struct answer *out, struct json **tree);

/* Who owns the object that is about to be written, as an apply has worked it out. */
struct applied {
	struct json *owners; /* managedFields, or NULL */
};

/* write.c, for the other verbs and definitions that are installed. *tree may be replaced. applied
 * NULL: it is no apply. */
int write_create(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, const char *ns, struct json *tree,
		 struct applied *applied);
int write_update(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, const struct object *old, struct json **tree,
		 enum part part, struct applied *applied);
/* What of the object the path means. */
enum part part_of_call(const struct request *in);
int write_check_namespace(struct apiserver *s, const struct request *in, struct answer *out,
			  const struct resource *r, const char *ns);
/* admit.c: negative when it was refused */
int admit(struct apiserver *s, const struct request *in, struct answer *out,
	  const struct resource *r, enum api_operation operation, const struct json *now,
	  const struct json *old);
/* delete.c */
struct delete_options {
	char *uid, *resource_version;
	enum propagation propagation;
};
void delete_options_done(struct delete_options *o);
/* *ret_gone: it is not there any more. old->tree is changed to the last state. */
int delete_object(struct apiserver *s, const struct request *in, struct answer *out,
		  const struct resource *r, struct object *old,
		  const struct delete_options *options, bool *ret_gone);
/* server_apply.c: fieldManager and force of the query. */
int own_check_query(const struct request *in, struct answer *out, bool apply);
/* Sets managedFields of what is about to be stored. old NULL: new. */
void own_write(struct apiserver *s, const struct request *in, const struct resource *r,
	       const struct json *old, struct json *now, enum part part, struct applied *applied);
/* Nothing to store: equal but for times in managedFields, which become those of old. */
bool own_unchanged(struct json *now, const struct json *old, bool applied);
/* strategic.c */
int strategic_merge(struct json *target, const struct json *patch, struct err *err);

/* --- lists and selection (list.c) --- */

struct selection {
	struct selector *labels, *fields;
	const char *name; /* the one name that can match; NULL: any */
};

int selection_init(const struct request *in, struct answer *out, const struct resource *r,
		   struct selection *ret);
void selection_done(struct selection *s);
bool selection_matches(const struct selection *s, const struct json *tree);
bool selection_empty(const struct selection *s);
/* What parameters of lists and watches forbid each other; fails with 422. */
int check_list_options(const struct request *in, struct answer *out);
/* "5" → 5; fails with 400. Absent: 0. */
int parse_version(struct answer *out, const char *text, uint64_t *ret);

/* --- views of an object (table.c) --- */

struct view {
	enum form form;
	enum { INCLUDE_METADATA, INCLUDE_OBJECT, INCLUDE_NONE } include; /* in a table's rows */
	usec_t wall;							 /* ages count from here */
};

int view_init(struct apiserver *s, const struct request *in, struct answer *out, struct view *ret);
struct json *table_new(const struct resource *r, const char *rv, bool headers);
struct json *table_row(const struct view *v, const struct resource *r, const struct json *object);
/* PartialObjectMetadata of an object. */
struct json *metadata_of(const struct json *object);
/* How long ago, as kubectl says it. text NULL: unknown. */
struct json *age_cell(usec_t wall, const char *text);
/* The object in that view as a new tree. */
struct json *view_object(const struct view *v, const struct resource *r, const struct json *object,
			 bool headers);

/* --- watches (watch.c) --- */

struct watch *watch_free(struct watch *w);
/* The stream begins: past changes, then live. Takes w. */
void watch_start(struct watch *w, struct api_exchange *x);
/* Ends the watches of a kind that changed its shape or has gone. */
void watch_end_kind(struct apiserver *s, const char *key);
void watch_end_all(struct apiserver *s);
void watch_abort(struct watch *w);
void watch_drained(struct watch *w);
/* exchange.c: the exchange of a watch that has ended. */
void exchange_stream_ended(struct api_exchange *x);
const struct api_front_ops *exchange_front(struct api_exchange *x, void **ret_front);

/* --- documents --- */

/* discovery.c, openapi.c: 1 when the path is theirs. */
int discovery_handle(struct apiserver *s, const struct request *in, struct answer *out,
		     const char *path);
int openapi_handle(struct apiserver *s, struct request *in, struct answer *out, const char *path);
/* access.c: the segments of the path are decoded; answers with 403 who may not. */
int access_check(const struct request *in, struct answer *out, char *const *segments, size_t count);
/* "create", "update", …: of the method, on one object or on many; static. */
const char *access_verb(const struct request *in, bool one);
/* True when the path is its. */
bool access_handle(struct apiserver *s, const struct request *in, struct answer *out);

/* --- custom kinds (crd.c) --- */

/* Registers all stored definitions. */
int crd_load_all(struct apiserver *s, struct err *err);
/* Makes or updates one from JSON text. */
int crd_install(struct apiserver *s, const char *text, struct err *err);
extern const struct resource_ops crd_ops;
/* Schema of one version inside a definition. */
const struct json *crd_version(const struct json *crd, const char *version);

/* --- background work (background.c) --- */

void work_start(struct apiserver *s);
/* What an earlier process left half done. */
void work_resume(struct apiserver *s);
void work_stop(struct apiserver *s);
void work_schedule_sweep(struct apiserver *s);
