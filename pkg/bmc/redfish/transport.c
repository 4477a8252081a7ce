/* One request of an operation: sent with what authenticates it, repeated where a row of `repeats`
 * says so, and its answer read within limits. Redirects are followed here and not by the HTTP
 * client, because the session's key is a header of its own: it never goes to another host. The
 * operation's deadline is bmc.c's; nothing here waits longer than it. Core thread. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum {
	JSON_DEPTH = 32,
	JSON_VALUES = 400000,
	REDIRECTS_MAX = 4,
	BUSY_TRIES = 10,
	POST_TRIES = 6,
	LOST_TRIES = 3,
	TASK_TRIES = 4,
	PAUSE_DOUBLINGS = 4, /* 3 s to 30 s */
};

#define CONNECT_TIMEOUT (10 * USEC_PER_SEC)
#define IDLE_TIMEOUT	(60 * USEC_PER_SEC)
#define PAUSE_MAX	(30 * USEC_PER_SEC)

static void send_again(struct rf_bmc *rf);
static void set_request(struct rf_bmc *rf, const struct rf_request *q, char *path);

/* --- trust ----------------------------------------------------------------------------------- */

void rf_tls(const struct rf_bmc *rf, struct http_tls *ret)
{
	const struct bmc_options *o = &rf->base.options;
	const char *tls = bmc_address_param(&rf->base.address, "tls");
	*ret = (struct http_tls){ .ca = o->ca,
				  .pinned_sha256 = o->pinned_sha256,
				  .insecure = o->insecure_tls && !o->pinned_sha256,
				  .legacy = tls && strcmp(tls, "old") == 0 };
}

/* --- the life of an operation ---------------------------------------------------------------- */

static void request_done(struct rf_request *q)
{
	free((char *)q->method);
	free((char *)q->path);
	free((char *)q->etag);
	json_free(q->body);
	*q = (struct rf_request){ 0 };
}

void rf_run_free(struct rf_bmc *rf)
{
	struct rf_run *run = TAKE_PTR(rf->run);
	if (!run)
		return;
	http_cancel(run->http);
	timer_stop(&run->timer);
	rf_login_abandon(run);
	request_done(&run->ask);
	if (run->state_done)
		run->state_done(run->state);
	free(run->state);
	secret_free(run->body);
	free(run->allow);
	secret_free(run->token);
	rf_members_free(run->members);
	rf_search_free(run->search);
	rf_boot_free(run->boot);
	request_done(&run->kept);
	secret_free(run->kept_body);
	free(run);
}

static void on_timer(void *data)
{
	struct rf_bmc *rf = data;
	if (rf->run->ends) {
		rf_run_free(rf);
		bmc_complete(&rf->base);
		return;
	}
	rf->run->go_on(rf);
}

struct rf_bmc *rf_begin(struct bmc *bmc)
{
	struct rf_bmc *rf = rf_of(bmc);
	rf->run = xcalloc(1, sizeof(*rf->run));
	if (rf->full)
		rf->login = RF_LOGIN_SESSION; /* a session may be free by now */
	rf->full = false;
	timer_init(&rf->run->timer, bmc->driver->loop, "redfish", on_timer, rf);
	return rf;
}

void *rf_state_new(struct rf_bmc *rf, size_t size, void (*done)(void *state))
{
	rf->run->state = xcalloc(1, size);
	rf->run->state_done = done;
	return rf->run->state;
}

void *rf_state(const struct rf_bmc *rf)
{
	return rf->run->state;
}

struct bmc_task *rf_task(const struct rf_bmc *rf)
{
	return rf->base.running;
}

/* From the loop, because start functions must return first. */
static void end(struct rf_bmc *rf)
{
	rf->run->ends = true;
	timer_set_in(&rf->run->timer, 0);
}

void rf_done(struct rf_bmc *rf)
{
	end(rf);
}

void rf_fail(struct rf_bmc *rf, enum err_kind kind, const char *fmt, ...)
{
	char text[400];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(&rf->base.address);
	err_set(&rf_task(rf)->result.err, kind, "BMC %s %s", endpoint, text);
	end(rf);
}

void rf_fail_err(struct rf_bmc *rf, const struct err *err)
{
	err_copy(&rf_task(rf)->result.err, err);
	end(rf);
}

static enum err_kind kind_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOT_FOUND;
	case 405:
	case 501:
		return ERR_UNSUPPORTED;
	case 409:
		return ERR_CONFLICT;
	case 429:
	case 503:
		return ERR_BUSY;
	default:
		return status >= 500 ? ERR_PROTOCOL : ERR_INVALID;
	}
}

static const char *method_of(const struct rf_request *q)
{
	return str_or(q->method, "GET");
}

void rf_fail_answer(struct rf_bmc *rf, const struct rf_answer *a)
{
	_cleanup_(strbuf_done) struct strbuf said = { 0 };
	rf_describe(a, &said);
	const char *why = rf_says(a, "PasswordChangeRequired")
				  ? ": it wants the password changed first"
				  : "";
	const char *what = a->status == 401 ? "refused the user name or the password:" : "answered";
	struct err err;
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(&rf->base.address);
	err_set_code(&err, kind_of(a->status), a->status, "BMC %s %s %s to %s %.200s%s", endpoint,
		     what, said.data, method_of(&rf->run->ask), a->path, why);
	rf_fail_err(rf, &err);
}

void rf_after(struct rf_bmc *rf, usec_t pause, rf_fn next)
{
	rf->run->go_on = next;
	timer_set_in(&rf->run->timer,
		     pause + loop_random_below(rf->base.driver->loop, pause / 8 + 1));
}

/* --- asking again ---------------------------------------------------------------------------- */

enum { ANY_STATUS = 0, STATUS_5XX = 5 };

/* Narrow, because a repeated request may be carried out twice. */
static const struct repeat {
	const char *method; /* NULL: any */
	int status;	    /* or STATUS_5XX */
	const char *says;   /* a part of the message id; NULL: whatever it says */
	unsigned tries;
	bool longer; /* the pause doubles */
} repeats[] = {
	/* iDRAC while it loads its data, of any method. */
	{ NULL, ANY_STATUS, "SYS518", BUSY_TRIES, false },
	/* iLO after a change of power. */
	{ NULL, 400, "InvalidOperationForSystemState", POST_TRIES, true },
	/* HPE while the host runs its self-test. */
	{ NULL, ANY_STATUS, "UnableToModifyDuringSystemPOST", POST_TRIES, true },
	/* AMI (Lenovo TSM, too) while the host boots; all BMCs while they start. Not carried out.
	 */
	{ NULL, 503, NULL, POST_TRIES, true },
	{ NULL, 429, NULL, POST_TRIES, true },
	{ "GET", STATUS_5XX, NULL, BUSY_TRIES, false },
	{ "HEAD", STATUS_5XX, NULL, BUSY_TRIES, false },
};

static bool repeat_fits(const struct repeat *r, const struct rf_bmc *rf, const struct rf_answer *a)
{
	if (r->method && !streq(r->method, method_of(&rf->run->ask)))
		return false;
	if (r->status == STATUS_5XX ? a->status < 500 || a->status == 501
				    : r->status != ANY_STATUS && r->status != a->status)
		return false;
	return !r->says || rf_mentions(a, r->says);
}

static usec_t pause_of(const struct rf_bmc *rf, bool longer, int64_t retry_after_s)
{
	usec_t pause = rf_driver_of(rf)->retry_pause;
	if (retry_after_s > 0)
		return MIN((usec_t)retry_after_s, PAUSE_MAX / USEC_PER_SEC) * USEC_PER_SEC;
	if (longer)
		pause <<= MIN(rf->run->tries, (unsigned)PAUSE_DOUBLINGS);
	return MIN(pause, PAUSE_MAX);
}

/* True: it is sent again after a pause. */
static bool repeated(struct rf_bmc *rf, const struct rf_answer *a)
{
	if (a->status < 400)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(repeats); i++) {
		const struct repeat *r = &repeats[i];
		if (!repeat_fits(r, rf, a))
			continue;
		if (rf->run->tries + 1 >= r->tries)
			return false;
		usec_t pause = pause_of(rf, r->longer, a->retry_after_s);
		rf->run->tries++;
		rf_after(rf, pause, send_again);
		return true;
	}
	return false;
}

/* Whoever is to repeat it without the answer to the first must not do anything twice. */
static bool repeated_lost(struct rf_bmc *rf)
{
	const struct rf_request *q = &rf->run->ask;
	if (!rf->run->answered || !streq(method_of(q), "GET") || rf->run->tries + 1 >= LOST_TRIES)
		return false;
	rf->run->tries++;
	rf_after(rf, pause_of(rf, false, -1), send_again);
	return true;
}

/* --- what an answer may want otherwise ------------------------------------------------------- */

/* The same host only; the method stays, as 308 says and 301 and 302 mean. */
bool rf_redirected(struct rf_bmc *rf, const struct rf_answer *a)
{
	if (a->status < 300 || a->status >= 400 || a->status == 304)
		return false;
	char *path = rf_is_own(rf->base_url, a->location) ? rf_path_of(a->location) : NULL;
	if (!path || ++rf->run->redirects > REDIRECTS_MAX) {
		free(path);
		rf_fail(rf, ERR_PROTOCOL, "redirects %s %.200s %s: not followed",
			method_of(&rf->run->ask), a->path,
			rf->run->redirects > REDIRECTS_MAX ? "again and again"
							   : "to another host or to nothing");
		return true;
	}
	free((char *)rf->run->ask.path);
	rf->run->ask.path = path;
	send_again(rf);
	return true;
}

/* The change that was refused for want of a tag is sent again with what its target says now. */
static void on_etag(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_run *run = rf->run;
	rf_transport_swap(rf, &run->kept, &run->kept_body, &run->kept_raw);
	free((char *)run->ask.etag);
	run->ask.etag = rf_is_success(a) ? xstrdup(a->etag) : NULL;
	send_again(rf);
}

static bool wants_etag(struct rf_bmc *rf, const struct rf_answer *a)
{
	struct rf_run *run = rf->run;
	bool untagged = str_empty(run->ask.etag);
	if ((a->status != 428 && (a->status != 412 || !untagged)) || run->etag_fetched ||
	    streq(method_of(&run->ask), "GET"))
		return false;
	run->etag_fetched = true;
	rf_transport_swap(rf, &run->kept, &run->kept_body, &run->kept_raw);
	set_request(rf, &(struct rf_request){ .any = true }, xstrdup(run->kept.path));
	run->raw = on_etag;
	send_again(rf);
	return true;
}

/* Tags that never match, that are weak where strong ones count, or that must not be there. */
static bool other_etag(struct rf_bmc *rf, const struct rf_answer *a)
{
	struct rf_run *run = rf->run;
	const char *etag = str_or(run->ask.etag, "");
	if (wants_etag(rf, a))
		return true;
	if (a->status != 412 || !*etag)
		return false;
	char *next = str_has_prefix(etag, "W/") ? xstrdup(etag + 2) : NULL;
	free((char *)run->ask.etag);
	run->ask.etag = next;
	send_again(rf);
	return true;
}

bool rf_other_encoding(struct rf_bmc *rf, const struct rf_answer *a)
{
	if (a->status != 406 || rf->wants_encoding)
		return false;
	rf->wants_encoding = true;
	send_again(rf);
	return true;
}

static void resend_logged_in(struct rf_bmc *rf)
{
	send_again(rf);
}

/* A session ends by time, or with a restart of the BMC. One new one is worth a try, no more:
 * accounts are locked after a few refusals. */
static bool logged_in_again(struct rf_bmc *rf, const struct rf_answer *a)
{
	if ((a->status != 401 && a->status != 403) || rf_says(a, "PasswordChangeRequired"))
		return false;
	if (!rf->token || rf->run->logged_again) {
		if (a->status == 401)
			rf_deny(rf, "refused the credentials (401)");
		return false;
	}
	rf->run->logged_again = true;
	if (a->status == 403)
		rf_logout(rf); /* it may be alive, and only lack rights */
	rf_session_forget(rf);
	rf_login(rf, resend_logged_in);
	return true;
}

/* --- the exchange ---------------------------------------------------------------------------- */

/* What only a licence would bring is as absent as what does not exist. */
static bool is_absent(const struct rf_bmc *rf, const struct rf_answer *a)
{
	return a->status == 404 || a->status == 405 || a->status == 410 || a->status == 501 ||
	       (rf_quirk(rf, RF_QUIRK_LICENSE) && rf_mentions(a, "LicenseNotPassed"));
}

/* Some do not know a task for the first seconds. */
static void on_task(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_run *run = rf->run;
	if (rf_redirected(rf, a) || rf_other_encoding(rf, a) || logged_in_again(rf, a) ||
	    repeated(rf, a))
		return;
	if (rf_task_runs(a) || (a->status == 404 && ++run->missing < TASK_TRIES))
		rf_after(rf, rf_driver_of(rf)->retry_pause, send_again);
	else if (rf_task_failed(a))
		rf_fail(rf, ERR_IO, "accepted it, and its task %.200s ended as %.40s", a->path,
			str_or(json_get_string(a->body, "TaskState"), "?"));
	else
		run->next(rf, a);
}

/* True: the answer only says that work has begun. */
static bool awaits_task(struct rf_bmc *rf, const struct rf_answer *a)
{
	struct rf_run *run = rf->run;
	const char *where = *a->location ? a->location : rf_id(a->body);
	char *path = run->ask.whole && a->status == 202 && where ? rf_path_of(where) : NULL;
	if (!path)
		return false;
	run->missing = 0;
	run->follows = true;
	set_request(rf, &(struct rf_request){ .any = true }, path);
	run->raw = on_task;
	send_again(rf);
	return true;
}

static void take_answer(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_run *run = rf->run;
	if (rf_redirected(rf, a) || rf_other_encoding(rf, a) || other_etag(rf, a) ||
	    logged_in_again(rf, a) || repeated(rf, a) || awaits_task(rf, a))
		return;
	bool absent = run->ask.optional && is_absent(rf, a);
	if (absent)
		a->body = json_free(a->body);
	if (absent || rf_is_success(a) || run->ask.any)
		run->next(rf, a);
	else
		rf_fail_answer(rf, a);
}

static int parse(const struct rf_request *q, const char *body, size_t len, struct json **ret,
		 struct err *err)
{
	const struct json_limits limits = { .depth = JSON_DEPTH,
					    .values = q->max_bytes > RF_BODY_MAX ? 10 * JSON_VALUES
										 : JSON_VALUES };
	*ret = NULL;
	return len ? json_parse_limited(body, len, &limits, ret, err) : 0;
}

/* Only what was asked for by GET must be readable. */
static int read_body(struct rf_bmc *rf, int status, const char *body, size_t len, struct json **ret)
{
	const struct rf_request *q = &rf->run->ask;
	struct err err = { 0 };
	int r = parse(q, body, len, ret, &err);
	bool may_be_empty = q->any && len == 0; /* what came of a task */
	bool needed = streq(method_of(q), "GET") && status == 200 && !may_be_empty;
	if (!needed || (r == 0 && json_is_object(*ret)))
		return 0;
	if (q->lenient) {
		*ret = json_free(*ret);
		return 0;
	}
	rf_fail(rf, ERR_PROTOCOL,
		"answered GET %.200s with something that is not a JSON object%s%.120s", q->path,
		r < 0 ? ": " : "", r < 0 ? err.text : "");
	*ret = json_free(*ret);
	return -1;
}

/* Some double the quotation marks of the header. */
static char *plain_etag(const char *etag)
{
	size_t len = strlen(etag);
	if (len > 4 && str_has_prefix(etag, "\"\"") && str_has_suffix(etag, "\"\""))
		return xstrndup(etag + 1, len - 2);
	return xstrdup(etag);
}

static void on_header(void *data, const char *name, const char *value)
{
	struct rf_bmc *rf = data;
	if (strcasecmp(name, "Allow") == 0)
		str_replace(&rf->run->allow, value);
	else if (strcasecmp(name, "X-Auth-Token") == 0)
		str_replace(&rf->run->token, value);
}

static void answered(struct rf_bmc *rf, const struct http_response *r, const char *body, size_t len)
{
	struct rf_run *run = rf->run;
	struct json *tree = NULL;
	run->answered = true;
	if (read_body(rf, r->status, body, len, &tree) < 0)
		return;
	const char *member = json_get_string(tree, "@odata.etag");
	_cleanup_(freep) char *etag = plain_etag(*r->etag ? r->etag : str_or(member, ""));
	_cleanup_(freep) char *path = xstrdup(run->ask.path);
	_cleanup_(freep) char *allow = xstrdup(str_or(run->allow, ""));
	_cleanup_(freep) char *location = xstrdup(r->location);
	struct rf_answer a = { .status = r->status,
			       .body = tree,
			       .path = path,
			       .location = location,
			       .etag = etag,
			       .allow = allow,
			       .token = str_or(run->token, ""),
			       .retry_after_s = r->retry_after_s };
	run->raw(rf, &a);
	json_free(a.body);
}

static void too_large(struct rf_bmc *rf)
{
	_cleanup_(freep) char *path = xstrdup(rf->run->ask.path);
	struct rf_answer a = { .status = 413,
			       .path = path,
			       .location = "",
			       .etag = "",
			       .allow = "",
			       .token = "",
			       .retry_after_s = -1 };
	rf->run->answered = true;
	rf->run->raw(rf, &a);
}

static void on_done(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct rf_bmc *rf = data;
	rf->run->http = NULL;
	if (!err) {
		answered(rf, r, body, len);
		return;
	}
	if (err->kind == ERR_LIMIT && rf->run->ask.lenient) {
		too_large(rf);
		return;
	}
	if ((err->kind == ERR_UNREACHABLE || err->kind == ERR_PROTOCOL ||
	     err->kind == ERR_TIMEOUT) &&
	    repeated_lost(rf))
		return;
	rf_fail(rf, err->kind, "cannot be asked: %s", err->text);
}

static const struct http_handlers handlers = { .done = on_done, .header = on_header };

/* Headers that hold the session's key are wiped after use. */
static void send_with(struct rf_bmc *rf, const char *token)
{
	struct rf_run *run = rf->run;
	const struct rf_request *q = &run->ask;
	_cleanup_(freep) char *url = xasprintf("%s%s", rf->base_url, q->path);
	char *key = token ? xasprintf("X-Auth-Token: %s", token) : NULL;
	_cleanup_(freep) char *match = str_empty(q->etag) ? NULL
							  : xasprintf("If-Match: %s", q->etag);
	const char *headers[6] = { "OData-Version: 4.0", "Accept: application/json" };
	size_t n = 2;
	if (!rf->wants_encoding)
		headers[n++] = "Accept-Encoding: identity";
	if (key)
		headers[n++] = key;
	if (match)
		headers[n++] = match;
	rf_tls(rf, &run->tls);
	bool basic = !token && !run->login && rf->login == RF_LOGIN_BASIC;
	const struct bmc_credentials *c = &rf->base.credentials;
	struct http_request request = { .method = method_of(q),
					.url = url,
					.headers = headers,
					.content_type = run->body ? "application/json" : NULL,
					.body = run->body,
					.body_len = run->body ? strlen(run->body) : 0,
					.username = basic ? str_or(c->username, "") : NULL,
					.password = basic ? str_or(c->password, "") : NULL,
					.tls = &run->tls,
					.connect_timeout = CONNECT_TIMEOUT,
					.idle_timeout = IDLE_TIMEOUT,
					.max_body_bytes = q->max_bytes ? q->max_bytes : RF_BODY_MAX,
					.accept_gzip = rf->wants_encoding,
					.once = q->once,
					.key = rf->base.key };
	struct err err;
	str_replace(&run->allow, NULL);
	run->token = secret_free(run->token);
	run->http = http_start(rf_driver_of(rf)->http, &request, &handlers, rf, &err);
	secret_free(key);
	if (!run->http)
		rf_fail(rf, err.kind, "cannot be asked: %s", err.text);
}

static void send_again(struct rf_bmc *rf)
{
	struct err err;
	if (bmc_may_act(&rf->base, &err) < 0)
		rf_fail_err(rf, &err);
	else
		send_with(rf, rf->run->login ? NULL : rf->token);
}

static void send_first(struct rf_bmc *rf)
{
	send_again(rf);
}

static void set_request(struct rf_bmc *rf, const struct rf_request *q, char *path)
{
	struct rf_run *run = rf->run;
	struct rf_request copy = *q;
	copy.method = xstrdup(q->method);
	copy.path = path;
	copy.etag = xstrdup(q->etag);
	request_done(&run->ask);
	run->ask = copy;
	secret_free(run->body);
	run->body = copy.body ? json_to_string(copy.body) : NULL;
	run->tries = run->redirects = 0;
}

/* False: the operation ends. */
static bool take_request(struct rf_bmc *rf, const struct rf_request *q)
{
	char *path = rf_path_of(str_or(q->path, ""));
	if (path) {
		set_request(rf, q, path);
		return true;
	}
	json_free(q->body);
	rf_fail(rf, ERR_PROTOCOL, "names no usable link where one is needed");
	return false;
}

void rf_ask(struct rf_bmc *rf, const struct rf_request *q, rf_answer_fn next)
{
	if (!take_request(rf, q))
		return;
	rf->run->next = next;
	rf->run->raw = take_answer;
	rf->run->follows = false;
	rf->run->etag_fetched = false;
	rf_login(rf, send_first);
}

void rf_exchange(struct rf_bmc *rf, const struct rf_request *q, rf_answer_fn raw)
{
	if (!take_request(rf, q))
		return;
	rf->run->raw = raw;
	send_again(rf);
}

void rf_transport_swap(struct rf_bmc *rf, struct rf_request *ask, char **body, rf_answer_fn *raw)
{
	struct rf_run *run = rf->run;
	struct rf_request own_ask = run->ask;
	char *own_body = run->body;
	rf_answer_fn own_raw = run->raw;
	run->ask = *ask, run->body = *body, run->raw = *raw;
	*ask = own_ask, *body = own_body, *raw = own_raw;
}

/* --- short forms ----------------------------------------------------------------------------- */

void rf_get(struct rf_bmc *rf, const char *path, rf_answer_fn next)
{
	rf_ask(rf, &(struct rf_request){ .path = path }, next);
}

void rf_get_optional(struct rf_bmc *rf, const char *path, rf_answer_fn next)
{
	rf_ask(rf, &(struct rf_request){ .path = path, .optional = true }, next);
}

void rf_post(struct rf_bmc *rf, const char *path, struct json *body, rf_answer_fn next)
{
	rf_ask(rf,
	       &(struct rf_request){ .method = "POST", .path = path, .body = body, .once = true },
	       next);
}

void rf_patch(struct rf_bmc *rf, const char *path, const char *etag, struct json *body,
	      rf_answer_fn next)
{
	rf_ask(rf,
	       &(struct rf_request){ .method = "PATCH", .path = path, .etag = etag, .body = body },
	       next);
}
