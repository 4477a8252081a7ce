/* Sessions (DSP0266, 13.3.4). A BMC has few (4 to 16), and one that is left behind blocks its place
 * for half an hour: so each BMC has at most one of ours, which is used again and again, and ended
 * when the BMC is closed. Where there are none, or none is free, requests carry the name and the
 * password (HTTP basic).
 *
 * A refused login is not repeated: BMCs lock accounts after a few. Nothing is sent until other
 * credentials are given, or for an hour, because they may have been mended at the BMC. Core thread.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

#define SESSIONS     "/redfish/v1/SessionService/Sessions"
#define DENIED_FOR   USEC_PER_HOUR
#define GOODBYE_TIME (10 * USEC_PER_SEC)

/* --- refused --------------------------------------------------------------------------------- */

void rf_deny(struct rf_bmc *rf, const char *text)
{
	rf->denied_until = loop_now(rf->base.driver->loop) + DENIED_FOR;
	str_replace(&rf->denied, text);
}

int rf_check_denied(struct rf_bmc *rf, struct err *err)
{
	if (loop_now(rf->base.driver->loop) >= rf->denied_until)
		return 0;
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(&rf->base.address);
	return err_set_code(
		err, ERR_DENIED, 401,
		"BMC %s %s: it is left alone until its Secret changes, for an hour at most, "
		"so that the account is not locked",
		endpoint, str_or(rf->denied, "refused the credentials"));
}

/* --- login ----------------------------------------------------------------------------------- */

/* The operation's own request waits meanwhile. */
struct login {
	struct rf_request ask;
	rf_answer_fn raw;
	char *body;
	rf_fn next;
};

static void login_free(struct login *l)
{
	if (!l)
		return;
	free((char *)l->ask.method);
	free((char *)l->ask.path);
	free((char *)l->ask.etag);
	json_free(l->ask.body);
	secret_free(l->body);
	free(l);
}

static void put_back(struct rf_bmc *rf)
{
	struct rf_run *run = rf->run;
	struct login *l = TAKE_PTR(run->login);
	rf_fn next = l->next;
	rf_transport_swap(rf, &l->ask, &l->body, &l->raw);
	login_free(l);
	next(rf);
}

void rf_login_abandon(struct rf_run *run)
{
	login_free(TAKE_PTR(run->login));
}

static void use_basic(struct rf_bmc *rf)
{
	rf->login = RF_LOGIN_BASIC;
	put_back(rf);
}

static bool take_session(struct rf_bmc *rf, const struct rf_answer *a)
{
	const char *where = *a->location ? a->location : rf_id(a->body);
	if (str_empty(a->token))
		return false;
	rf->token = secret_free(rf->token);
	rf->token = xstrdup(a->token);
	free(rf->session);
	rf->session = where ? rf_path_of(where) : NULL;
	rf->login = RF_LOGIN_SESSION;
	return true;
}

static void on_session(struct rf_bmc *rf, struct rf_answer *a);

static void post_session(struct rf_bmc *rf)
{
	const struct bmc_credentials *c = &rf->base.credentials;
	struct json *body = json_new_object();
	json_set_string(body, "UserName", str_or(c->username, ""));
	json_set_string(body, "Password", str_or(c->password, ""));
	rf_exchange(rf,
		    &(struct rf_request){ .method = "POST",
					  .path = str_or(rf->links.sessions, SESSIONS),
					  .body = body,
					  .once = true },
		    on_session);
}

static bool is_full(const struct rf_answer *a)
{
	return rf_says(a, "SessionLimitExceeded") || rf_mentions(a, "SessionLimitExceeded") ||
	       rf_mentions(a, "maximum number of") || a->status == 503 || a->status == 429;
}

static void on_session(struct rf_bmc *rf, struct rf_answer *a)
{
	if (rf_redirected(rf, a) || rf_other_encoding(rf, a))
		return;
	if (rf_is_success(a) && take_session(rf, a)) {
		put_back(rf);
	} else if (rf_is_success(a) || is_full(a)) {
		rf->full = is_full(a);
		use_basic(rf);
	} else if (a->status == 401 || a->status == 403) {
		rf_deny(rf, "refused the credentials");
		rf_fail_answer(rf, a);
	} else if (a->status < 500 || a->status == 501) {
		use_basic(rf);
	} else {
		rf_fail_answer(rf, a);
	}
}

/* What has no sessions says so in the root, which needs no login (DSP0266, 6.5). Asked for one all
 * the same, an emulator behind HTTP basic refuses it as if the password were wrong. */
static void on_root(struct rf_bmc *rf, struct rf_answer *a)
{
	if (rf_redirected(rf, a) || rf_other_encoding(rf, a))
		return;
	if (rf_is_success(a) && a->body)
		rf_take_root(rf, a->body);
	if (rf->no_sessions)
		use_basic(rf);
	else
		post_session(rf);
}

static void begin_login(struct rf_bmc *rf)
{
	if (!rf->root_read)
		rf_exchange(rf, &(struct rf_request){ .path = RF_ROOT }, on_root);
	else if (rf->no_sessions)
		use_basic(rf);
	else
		post_session(rf);
}

void rf_login(struct rf_bmc *rf, rf_fn next)
{
	struct err err;
	if (rf_check_denied(rf, &err) < 0) {
		rf_fail_err(rf, &err);
		return;
	}
	if (rf->token || rf->login == RF_LOGIN_BASIC) {
		next(rf);
		return;
	}
	struct login *l = xcalloc(1, sizeof(*l));
	l->next = next;
	rf_transport_swap(rf, &l->ask, &l->body, &l->raw);
	rf->run->login = l;
	begin_login(rf);
}

void rf_session_forget(struct rf_bmc *rf)
{
	rf->token = secret_free(rf->token);
	free(rf->session);
	rf->session = NULL;
}

/* --- logout ---------------------------------------------------------------------------------- */

/* Lives on when the BMC is closed, so it has all that it needs by itself. */
struct goodbye {
	struct list link;
	struct rf_driver *driver;
	struct http_op *http;
	struct http_tls tls;
	char *ca, *pin;
};

static void goodbye_free(struct goodbye *g)
{
	list_unlink(&g->link);
	http_cancel(g->http);
	free(g->ca);
	free(g->pin);
	free(g);
}

/* Whether it worked is of no use to know: nobody can do anything about it. */
static void on_goodbye(void *data, const struct err *err, const struct http_response *r,
		       const char *body, size_t len)
{
	struct goodbye *g = data;
	(void)err, (void)r, (void)body, (void)len;
	struct rf_driver *d = g->driver;
	g->http = NULL;
	goodbye_free(g);
	if (list_empty(&d->leaving) && d->left)
		d->left(d->left_data);
}

void rf_goodbyes_end(struct rf_driver *d)
{
	list_for_each_safe(l, &d->leaving)
		goodbye_free(list_entry(l, struct goodbye, link));
}

static void send_goodbye(struct rf_bmc *rf, struct goodbye *g)
{
	static const struct http_handlers handlers = { .done = on_goodbye };
	_cleanup_(freep) char *url = xasprintf("%s%s", rf->base_url, rf->session);
	char *key = xasprintf("X-Auth-Token: %s", rf->token);
	const char *const headers[] = { "OData-Version: 4.0", key, NULL };
	struct http_request request = { .method = "DELETE",
					.url = url,
					.headers = headers,
					.tls = &g->tls,
					.connect_timeout = GOODBYE_TIME,
					.timeout = GOODBYE_TIME };
	struct err err;
	g->http = http_start(g->driver->goodbyes, &request, &handlers, g, &err);
	secret_free(key);
	if (!g->http)
		goodbye_free(g);
}

void rf_logout(struct rf_bmc *rf)
{
	if (!rf->token || !rf->session)
		return;
	struct goodbye *g = xcalloc(1, sizeof(*g));
	g->driver = rf_driver_of(rf);
	rf_tls(rf, &g->tls);
	g->tls.ca = g->ca = xstrdup(g->tls.ca);
	g->tls.pinned_sha256 = g->pin = xstrdup(g->tls.pinned_sha256);
	list_append(&g->driver->leaving, &g->link);
	send_goodbye(rf, g);
	rf_session_forget(rf);
}
