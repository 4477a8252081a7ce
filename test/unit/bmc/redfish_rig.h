#pragma once
/* A BMC that answers by rules of the test, and the driver before it. What it was asked for, with
 * the status that it gave, is kept as a story of lines: "GET /redfish/v1/Systems/1 200". */

#include "unit/bmc/asking.h"
#include "unit/http/server.h"

#include "bmc/redfish/redfish.h"

enum { RULES_MAX = 64, USES_MAX = 1000 };

/* The first rule that fits answers. */
struct rule {
	const char *ask;     /* the request begins so: "GET /redfish/v1/Systems/1" */
	const char *needs;   /* and its text holds this; NULL: whatever */
	const char *status;  /* "200 OK"; NULL: the connection is cut in the middle of the answer */
	const char *headers; /* each ended by \r\n; NULL: none */
	const char *body;    /* NULL: none */
	unsigned times;	     /* it answers so often; 0: always */
};

struct rig {
	struct asking a;
	struct server *server;
	struct bmc_driver *driver;
	const struct rule *rules[2]; /* the test's, then a machine's */
	unsigned used[2][RULES_MAX];
	struct strbuf story; /* under the server's lock */
	struct bmc_options options;
	struct net_policy policy;
	const char *scheme, *path; /* of the address */
	struct crypt_pair pair;	   /* the server's; a NULL certificate: plain HTTP */
};

#define SYSTEM_1                                                                                   \
	"{\"@odata.id\":\"/redfish/v1/Systems/1\",\"Manufacturer\":\"Contoso\",\"Model\":\"M1\","  \
	"\"PowerState\":\"Off\",\"UUID\":\"38947555-7742-3448-3784-823347823834\","                \
	"\"Status\":{\"Health\":\"OK\",\"HealthRollup\":\"Warning\"},"                             \
	"\"Boot\":{\"BootSourceOverrideEnabled\":\"Disabled\",\"BootSourceOverrideTarget\":"       \
	"\"None\",\"BootSourceOverrideMode\":\"UEFI\"},"                                           \
	"\"Links\":{\"ManagedBy\":[{\"@odata.id\":\"/redfish/v1/Managers/1\"}]},"                  \
	"\"Actions\":{\"#ComputerSystem.Reset\":{\"target\":\"/redfish/v1/Systems/1/Actions/"      \
	"ComputerSystem.Reset\",\"ResetType@Redfish.AllowableValues\":[\"On\",\"ForceOff\","       \
	"\"ForceRestart\",\"GracefulShutdown\",\"Nmi\"]}}}"
#define MANAGER_1                                                                                  \
	"{\"@odata.id\":\"/redfish/v1/Managers/1\",\"Model\":\"BMC\",\"FirmwareVersion\":\"1.2\"," \
	"\"DateTime\":\"2026-01-01T00:00:00Z\",\"VirtualMedia\":{\"@odata.id\":"                   \
	"\"/redfish/v1/Managers/1/VirtualMedia\"},\"Actions\":{\"#Manager.Reset\":{\"target\":"    \
	"\"/redfish/v1/Managers/1/Actions/Manager.Reset\"}}}"
#define LOGIN "POST /redfish/v1/SessionService/Sessions"
#define KEY   "X-Auth-Token: key1\r\n"

/* A machine that does all as the schema says. */
static const struct rule plain_machine[] = {
	{ .ask = LOGIN,
	  .needs = "\"UserName\":\"admin\",\"Password\":\"secret\"",
	  .status = "201 Created",
	  .headers = KEY "Location: /redfish/v1/SessionService/Sessions/7\r\n" },
	{ .ask = "DELETE /redfish/v1/SessionService/Sessions/7", .status = "204 No Content" },
	{ .ask = LOGIN, .status = "401 Unauthorized" },
	{ .ask = "GET /redfish/v1/ ",
	  .status = "200 OK",
	  .body = "{\"Systems\":{\"@odata.id\":\"/redfish/v1/Systems\"},\"Links\":{\"Sessions\":"
		  "{\"@odata.id\":\"/redfish/v1/SessionService/Sessions\"}}}" },
	{ .ask = "GET /redfish/v1/Systems ",
	  .status = "200 OK",
	  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/Systems/1\"}]}" },
	{ .ask = "GET /redfish/v1/Systems/1 ", .status = "200 OK", .body = SYSTEM_1 },
	{ .ask = "GET /redfish/v1/Managers/1 ", .status = "200 OK", .body = MANAGER_1 },
	{ .ask = "POST /redfish/v1/Systems/1/Actions", .status = "204 No Content" },
	{ .ask = "PATCH /redfish/v1/Systems/1 ", .status = "204 No Content" },
	{ 0 },
};

static inline const struct rule *find_rule(struct rig *t, const struct peer *p)
{
	for (size_t set = 0; set < 2; set++)
		for (size_t i = 0; t->rules[set] && t->rules[set][i].ask; i++) {
			const struct rule *r = &t->rules[set][i];
			if ((r->times && t->used[set][i] >= r->times) || !peer_asks(p, r->ask) ||
			    (r->needs && !peer_said(p, r->needs)))
				continue;
			t->used[set][i]++;
			return r;
		}
	return NULL;
}

static inline bool rig_serve(struct peer *p)
{
	static const struct rule absent = { .status = "404 Not Found" };
	struct rig *t = p->server->data;
	pthread_mutex_lock(&p->server->lock);
	const struct rule *r = find_rule(t, p);
	r = r ? r : &absent;
	int line = (int)strcspn(p->request.data, "\r");
	const char *version = strstr(p->request.data, " HTTP/");
	line = version ? (int)(version - p->request.data) : line;
	strbuf_addf(&t->story, "%.*s %.3s\n", line, p->request.data, str_or(r->status, "cut"));
	pthread_mutex_unlock(&p->server->lock);
	if (!r->status) {
		peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half");
		return false;
	}
	return peer_reply(p, r->status, str_or(r->headers, ""), str_or(r->body, ""));
}

/* What was asked since the last time. */
static inline void expect_story(struct rig *t, const char *story)
{
	pthread_mutex_lock(&t->server->lock);
	char *was = xstrdup(str_or(t->story.data, ""));
	strbuf_clear(&t->story);
	pthread_mutex_unlock(&t->server->lock);
	if (!streq(was, story))
		fail_msg("it was asked\n%sand not\n%s(%s)", was, story, t->a.last.err.text);
	free(was);
}

static inline void forget_story(struct rig *t)
{
	pthread_mutex_lock(&t->server->lock);
	strbuf_clear(&t->story);
	strbuf_adds(&t->story, "");
	pthread_mutex_unlock(&t->server->lock);
}

static inline void expect_text(struct rig *t, const char *part)
{
	if (!strstr(t->a.last.err.text, part))
		fail_msg("\"%s\" does not say \"%s\"", t->a.last.err.text, part);
}

/* Opens the BMC with that password. */
static inline void rig_open(struct rig *t, const char *password)
{
	const struct bmc_credentials who = { (char *)"admin", (char *)(uintptr_t)password };
	_cleanup_(freep) char *text = xasprintf("%s%s://127.0.0.1:%u%s", t->scheme,
						t->server->tls ? "" : "+http", t->server->port,
						t->path);
	struct bmc_address address;
	assert_int_equal(bmc_address_parse(text, &address, NULL), 0);
	assert_int_equal(bmc_open(t->driver, &address, &who, &t->options, &t->a.bmc, NULL), 0);
	bmc_address_done(&address);
}

static inline void rig_start(struct rig *t, const struct rule *rules)
{
	struct redfish_options options = { .user_agent = "ingot/test",
					   .policy = t->policy.refuse.count ? &t->policy : NULL,
					   .retry_pause = 2 * USEC_PER_MSEC };
	t->rules[0] = rules;
	t->rules[1] = plain_machine;
	strbuf_adds(&t->story, "");
	t->server = server_start(rig_serve, t, t->pair.cert ? &t->pair : NULL);
	assert_int_equal(
		redfish_driver_new(t->a.loop, BMC_DRIVER_REDFISH, &options, &t->driver, NULL), 0);
	rig_open(t, "secret");
}

static inline int rig_setup(void **state)
{
	struct rig *t = xcalloc(1, sizeof(*t));
	t->scheme = "redfish";
	t->path = "/redfish/v1/Systems/1";
	t->options.breaker_failures = 1000;
	assert_int_equal(loop_new(&t->a.loop, NULL), 0);
	*state = t;
	return 0;
}

/* The session's end is waited for: it is a request as well. */
static inline void rig_close(struct rig *t)
{
	t->a.bmc = bmc_close(t->a.bmc);
	if (redfish_driver_leaving(t->driver) == 0)
		return;
	redfish_driver_on_left(t->driver, asking_stop, &t->a);
	loop_run(t->a.loop);
	redfish_driver_on_left(t->driver, NULL, NULL);
}

static inline int rig_teardown(void **state)
{
	struct rig *t = *state;
	if (t->a.bmc)
		rig_close(t);
	loop_drain(t->a.loop);
	bmc_driver_free(t->driver);
	if (t->server)
		server_stop(t->server);
	crypt_pair_release(&t->pair);
	net_policy_done(&t->policy);
	strbuf_done(&t->story);
	loop_free(t->a.loop);
	free(t);
	return 0;
}
