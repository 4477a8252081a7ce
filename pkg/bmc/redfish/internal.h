#pragma once
/* Inside the Redfish driver.
 *
 * An operation is a chain of functions. Each asks the BMC one thing (rf_ask, rf_get, ...) and names
 * the function that goes on with the answer; rf_done() or rf_fail() ends the chain. What goes wrong
 * on the way ends it too, with an error that says what was asked: no connection, a refused login, a
 * status that is no success. A request that can live with such an answer says `any`.
 *
 * transport.c sends, repeats and reads; session.c logs in and out; links.c finds the system and
 * what belongs to it; the other files are the operations. Core thread. */

#include "base/list.h"
#include "bmc/driver.h"
#include "bmc/redfish/quirks.h"
#include "bmc/redfish/redfish.h"
#include "http/http.h"

enum {
	RF_BODY_MAX = 2 * 1024 * 1024,	    /* of an answer */
	RF_REGISTRY_MAX = 16 * 1024 * 1024, /* of one that is a registry of attributes */
	RF_LINK_MAX = 1024,		    /* of a path */
	RF_MEMBERS_MAX = 256,		    /* of a collection */
};

struct rf_bmc;
struct rf_run;
struct rf_driver;
struct login;
struct rf_members;
struct rf_search;
struct rf_boot;

/* What the BMC said. Borrowed during the call, but `body`, which may be taken (TAKE_PTR). */
struct rf_answer {
	int status;
	struct json *body;     /* NULL: none, or (of other methods than GET) nothing readable */
	const char *path;      /* that was asked for */
	const char *location;  /* "" when absent */
	const char *etag;      /* header or member, as given; "" when there is none */
	const char *allow;     /* methods; "" when absent */
	const char *token;     /* of a new session; "" when absent */
	int64_t retry_after_s; /* -1: absent */
};

typedef void (*rf_answer_fn)(struct rf_bmc *rf, struct rf_answer *a);
typedef void (*rf_fn)(struct rf_bmc *rf);

struct rf_request {
	const char *method; /* NULL: GET */
	const char *path;   /* or a link or URL of this BMC; copied */
	struct json *body;  /* taken */
	const char *etag;   /* of what is changed, from an answer; NULL, "": unknown; copied */
	size_t max_bytes;   /* of the answer; 0: RF_BODY_MAX */
	bool any;	    /* `next` takes answers of 400 and more, too */
	bool optional;	    /* `next` takes an answer without body where there is no such thing */
	bool lenient;	    /* `next` takes what is too large (413) or no JSON without a body */
	bool once;	    /* a lost answer ends it: the request may have been carried out */
	bool whole; /* a 202 is followed to the end of its task: `next` takes how that ended */
};

void rf_ask(struct rf_bmc *rf, const struct rf_request *request, rf_answer_fn next);
void rf_get(struct rf_bmc *rf, const char *path, rf_answer_fn next);
/* Likewise, and absent (404, 405, 501) is an answer without a body. */
void rf_get_optional(struct rf_bmc *rf, const char *path, rf_answer_fn next);
void rf_post(struct rf_bmc *rf, const char *path, struct json *body, rf_answer_fn next);
void rf_patch(struct rf_bmc *rf, const char *path, const char *etag, struct json *body,
	      rf_answer_fn next);
/* Goes on after a pause, which is up to an eighth longer than said. */
void rf_after(struct rf_bmc *rf, usec_t pause, rf_fn next);

/* End the operation. May be called in its start function. */
void rf_done(struct rf_bmc *rf);
void rf_fail(struct rf_bmc *rf, enum err_kind kind, const char *fmt, ...) _printf_(3, 4);
/* With what the BMC said about it: status and message ids. */
void rf_fail_answer(struct rf_bmc *rf, const struct rf_answer *a);
void rf_fail_err(struct rf_bmc *rf, const struct err *err);

/* The running operation's own memory, zeroed; `done` (may be NULL) frees what is in it at the end.
 * Once for each operation. */
void *rf_state_new(struct rf_bmc *rf, size_t size, void (*done)(void *state));
void *rf_state(const struct rf_bmc *rf);
struct bmc_task *rf_task(const struct rf_bmc *rf);

/* --- reading answers (answer.c: pure) -------------------------------------------------------- */

/* Does the error body name this message id, whatever its registry and version? Only its last part
 * is compared: "ActionParameterMissing". */
bool rf_says(const struct rf_answer *a, const char *id);
/* Does any of its texts contain that? For BMCs whose ids say nothing; never shown to anybody. */
bool rf_mentions(const struct rf_answer *a, const char *text);
/* "400 Base.1.8.ActionParameterMissing, ...": status and ids, for messages. */
void rf_describe(const struct rf_answer *a, struct strbuf *out);
bool rf_is_success(const struct rf_answer *a);
/* Of a task, or of its monitor (DSP0266, 12.2): still at work? Has it ended badly? */
bool rf_task_runs(const struct rf_answer *a);
bool rf_task_failed(const struct rf_answer *a);
/* The member's "@odata.id". NULL: none, or not a text. */
const char *rf_link(const struct json *object, const char *member);
const char *rf_id(const struct json *resource);
/* Of the resource's action "#NAME". NULL: it has none. */
const char *rf_target(const struct json *resource, const char *name);
/* Does that list of texts hold the value? An absent list allows everything. */
bool rf_allows(const struct json *object, const char *list, const char *value);
/* Trimmed and cut to fit; "" when absent or not a text. Returns ret. */
char *rf_text(const struct json *object, const char *member, char *ret, size_t size);
/* The path of a link, whatever name of the BMC stands before it: it is asked for at this BMC and
 * nowhere else. Without fragment, and with what a URL cannot hold encoded. NULL: too long, or not a
 * path. New string. */
char *rf_path_of(const char *link);
/* Does a redirect lead to the same host and port? What is no URL does. */
bool rf_is_own(const char *base_url, const char *link);

/* --- what belongs to the system (links.c) ---------------------------------------------------- */

#define RF_ROOT "/redfish/v1/"

/* Learns what the service's root says. */
void rf_take_root(struct rf_bmc *rf, const struct json *root);
/* Reads the system anew (and finds it first, once); next takes its answer. */
void rf_get_system(struct rf_bmc *rf, rf_answer_fn next);
/* The manager of the system that was read; the first that it names. */
void rf_get_manager(struct rf_bmc *rf, rf_answer_fn next);
/* Each member of a collection in turn, from all its pages: `each` takes the answer of the member,
 * and calls rf_members_next() for the following one, or goes another way. `end` follows the last
 * member. Members of which the BMC says 404 are left out. */
void rf_each_member(struct rf_bmc *rf, const char *collection, rf_answer_fn each, rf_fn end);
void rf_members_next(struct rf_bmc *rf);
void rf_members_free(struct rf_members *m);
void rf_search_free(struct rf_search *s);

/* --- sessions (session.c) -------------------------------------------------------------------- */

/* Calls next when requests can be authenticated, else ends the operation. */
void rf_login(struct rf_bmc *rf, rf_fn next);
/* The BMC does not know the session any more. */
void rf_session_forget(struct rf_bmc *rf);
/* The operation ends in the midst of a login. */
void rf_login_abandon(struct rf_run *run);
/* Ends the session at the BMC, without waiting for its answer. */
void rf_logout(struct rf_bmc *rf);
void rf_goodbyes_end(struct rf_driver *d);
/* Why nothing may be sent (refused credentials). 0: it may. */
int rf_check_denied(struct rf_bmc *rf, struct err *err);
void rf_deny(struct rf_bmc *rf, const char *text);

/* --- operations: rows of redfish.c ----------------------------------------------------------- */

void rf_start_get_power(struct bmc *bmc, struct bmc_task *task);
void rf_start_set_power(struct bmc *bmc, struct bmc_task *task);
void rf_start_send_nmi(struct bmc *bmc, struct bmc_task *task);
void rf_start_get_boot(struct bmc *bmc, struct bmc_task *task);
void rf_start_set_boot(struct bmc *bmc, struct bmc_task *task);
void rf_start_get_boot_mode(struct bmc *bmc, struct bmc_task *task);
void rf_start_set_boot_mode(struct bmc *bmc, struct bmc_task *task);
void rf_start_get_info(struct bmc *bmc, struct bmc_task *task);
void rf_start_get_secure_boot(struct bmc *bmc, struct bmc_task *task);
void rf_start_set_secure_boot(struct bmc *bmc, struct bmc_task *task);
void rf_start_get_media(struct bmc *bmc, struct bmc_task *task);
void rf_start_insert_media(struct bmc *bmc, struct bmc_task *task);
void rf_start_eject_media(struct bmc *bmc, struct bmc_task *task);
void rf_start_set_led(struct bmc *bmc, struct bmc_task *task);
void rf_start_set_clock(struct bmc *bmc, struct bmc_task *task);
void rf_start_reset_bmc(struct bmc *bmc, struct bmc_task *task);
void rf_start_get_health(struct bmc *bmc, struct bmc_task *task);
void rf_start_reset_keys(struct bmc *bmc, struct bmc_task *task);
void rf_start_inspect(struct bmc *bmc, struct bmc_task *task);
/* boot.c: before each start of the host, sends the boot device once more that this BMC takes for
 * one boot only, although it is to stay. */
void rf_boot_again(struct rf_bmc *rf, rf_fn next);
void rf_boot_free(struct rf_boot *b);
/* dell.c: the host is to boot from a virtual CD. Takes the operation's own memory. */
void rf_dell_boot_cd(struct rf_bmc *rf, bool once, rf_fn next);

/* --- the structs ----------------------------------------------------------------------------- */

/* Learnt from answers, kept while the BMC is open; NULL: not known. */
struct rf_links {
	char *system;
	char *manager;
	char *sessions;
	char *systems;	   /* their collection */
	char *reset;	   /* target of the system's Reset */
	char *media_slots; /* their collection */
	char *media;	   /* the slot that was used last */
	char *media_image; /* its Image after our insert: a token may be part of it */
};

/* Which query brings a collection with its members in it. */
enum rf_expand { RF_EXPAND_NONE, RF_EXPAND_ONE, RF_EXPAND_LEVELS };

enum rf_login_way { RF_LOGIN_SESSION, RF_LOGIN_BASIC };

/* The operation under way. */
struct rf_run {
	struct rf_request ask; /* owns its texts and body */
	rf_answer_fn next;
	rf_fn go_on;	  /* after a pause or a login */
	rf_answer_fn raw; /* takes whatever comes back of the exchange */
	struct http_op *http;
	struct http_tls tls; /* of that */
	struct timer timer;
	char *body; /* printed; a password may be in it */
	char *allow, *token;
	struct login *login; /* while one is under way */
	unsigned tries, redirects;
	struct rf_request kept; /* waits while its target's ETag is fetched */
	char *kept_body;
	rf_answer_fn kept_raw;
	bool etag_fetched;
	bool follows;	   /* a task, to its end */
	unsigned missing;  /* times that it was not known */
	bool answered;	   /* at all, in this operation */
	bool logged_again; /* a session that was refused has been replaced */
	bool ends;
	void *state;
	void (*state_done)(void *state);
	struct rf_members *members; /* the collection that is walked */
	struct rf_search *search;   /* for the system */
	struct rf_boot *boot;	    /* the change of the boot device */
};

struct rf_bmc {
	struct bmc base;
	struct rf_links links;
	char *base_url;
	char *token, *session; /* the session's key (secret) and path; NULL: none */
	enum rf_login_way login;
	bool full;	     /* no session was free: this operation does without */
	usec_t denied_until; /* monotonic; 0: not denied */
	char *denied;
	char root_vendor[64]; /* "" until the root was read, or if it says nothing */
	bool root_read, no_sessions;
	enum rf_expand expand;	    /* as the root says */
	char vendor[64], model[64]; /* "" until the system was read */
	uint32_t quirks;	    /* bits of enum rf_quirk */
	bool wants_encoding;	    /* 406 for answers without compression */
	struct bmc_boot again;	    /* for rf_boot_again(); device NONE: nothing */
	struct rf_run *run;
};

struct rf_driver {
	struct bmc_driver base;
	struct http_client *http;     /* behind the fence */
	struct http_client *goodbyes; /* ends of sessions, which nothing forbids */
	struct list leaving;	      /* of struct goodbye */
	loop_fn left;		      /* when it is empty again; may be NULL */
	void *left_data;
	usec_t retry_pause;
};

static inline struct rf_bmc *rf_of(struct bmc *bmc)
{
	return container_of(bmc, struct rf_bmc, base);
}

static inline struct rf_driver *rf_driver_of(const struct rf_bmc *rf)
{
	return container_of(rf->base.driver, struct rf_driver, base);
}

static inline bool rf_quirk(const struct rf_bmc *rf, enum rf_quirk quirk)
{
	return rf->quirks & (1U << quirk);
}

/* Sends it as it is, with nothing that authenticates it; `raw` takes whatever comes back. For the
 * login alone, which puts the operation's request aside (swaps it) meanwhile. */
void rf_exchange(struct rf_bmc *rf, const struct rf_request *request, rf_answer_fn raw);
void rf_transport_swap(struct rf_bmc *rf, struct rf_request *ask, char **body, rf_answer_fn *raw);
/* The request has been sent anew because of that answer (or cannot be: the operation ends). */
bool rf_redirected(struct rf_bmc *rf, const struct rf_answer *a);
bool rf_other_encoding(struct rf_bmc *rf, const struct rf_answer *a);
/* What the HTTP client needs of this BMC; borrows from it. */
void rf_tls(const struct rf_bmc *rf, struct http_tls *ret);
/* Starts the operation: to be called first in each start function. */
struct rf_bmc *rf_begin(struct bmc *bmc);
void rf_run_free(struct rf_bmc *rf);
