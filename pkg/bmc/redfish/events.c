/* Subscriptions to the BMC's events (schema EventDestination). Those of all clients are listed; one
 * is ended only by its id. Core thread. */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { EVENT_TEXT = 1024, SUBSCRIPTIONS_MAX = 256 };

struct events {
	rf_answer_fn next;
};

static void on_root_read(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct events *e = rf_state(rf);
	(void)a;
	if (rf->links.events)
		rf_get_optional(rf, rf->links.events, e->next);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "offers no events (EventService)");
}

static void with_service(struct bmc *bmc, rf_answer_fn next)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct events *e = rf_state_new(rf, sizeof(*e), NULL);
	e->next = next;
	rf_get_system(rf, on_root_read);
}

/* NULL: the operation ends. */
static const char *collection_of(struct rf_bmc *rf, const struct rf_answer *a)
{
	const char *link = rf_link(a->body, "Subscriptions");
	if (!link)
		rf_fail(rf, ERR_UNSUPPORTED,
			"offers no subscriptions to events (EventService.Subscriptions)");
	return link;
}

static char *lines_of(const struct json *list)
{
	struct strbuf out = { 0 };
	json_for_each(one, list)
		if (json_string(one) && out.len < EVENT_TEXT)
			strbuf_addf(&out, "%s%s", out.len ? "\n" : "", json_string(one));
	return out.len ? strbuf_take(&out, NULL) : NULL;
}

static void on_subscription(struct rf_bmc *rf, struct rf_answer *a)
{
	char destination[EVENT_TEXT], context[EVENT_TEXT], protocol[EVENT_TEXT];
	struct bmc_subscriptions *out = &rf_task(rf)->result.subscriptions;
	rf_text(a->body, "Destination", destination, sizeof(destination));
	rf_text(a->body, "Context", context, sizeof(context));
	rf_text(a->body, "Protocol", protocol, sizeof(protocol));
	_cleanup_(freep) char *types = lines_of(json_get(a->body, "EventTypes"));
	_cleanup_(freep) char *id = xstrdup(a->path);
	const struct bmc_subscription one = { .id = id,
					      .destination = destination,
					      .context = *context ? context : NULL,
					      .protocol = *protocol ? protocol : NULL,
					      .types = types };
	if (out->count < SUBSCRIPTIONS_MAX)
		bmc_subscriptions_add(out, &one);
	rf_members_next(rf);
}

static void on_service_to_list(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *link = collection_of(rf, a);
	if (link)
		rf_each_member(rf, link, on_subscription, rf_done);
}

void rf_start_get_subscriptions(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	with_service(bmc, on_service_to_list);
}

/* --- making one ------------------------------------------------------------------------------ */

/* The id is the path: it is all that ending it needs. */
static void on_subscribed(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct bmc_subscription *wanted = &rf_task(rf)->request.subscription;
	struct bmc_subscription *out = &rf_task(rf)->result.subscription;
	const char *where = *a->location ? a->location : rf_id(a->body);
	char *path = where ? rf_path_of(where) : NULL;
	if (!path) {
		rf_fail(rf, ERR_PROTOCOL, "has made a subscription and does not say which");
		return;
	}
	*out = (struct bmc_subscription){ .id = path,
					  .destination = xstrdup(wanted->destination),
					  .context = xstrdup(wanted->context),
					  .protocol = xstrdup(wanted->protocol),
					  .types = xstrdup(wanted->types) };
	rf_done(rf);
}

static struct json *types_of(const char *lines)
{
	struct json *types = json_new_array();
	while (!str_empty(lines)) {
		size_t len = strcspn(lines, "\n");
		_cleanup_(freep) char *type = xstrndup(lines, len);
		if (len > 0)
			json_append(types, json_new_string(type));
		lines += len + (lines[len] == '\n');
	}
	return types;
}

/* What the service says it offers. NULL: all of them. */
static const char *not_offered(const struct json *service, const struct json *types)
{
	json_for_each(type, types)
		if (!rf_allows(service, "EventTypesForSubscription", json_string(type)))
			return json_string(type);
	return NULL;
}

static void on_service_to_subscribe(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct bmc_subscription *wanted = &rf_task(rf)->request.subscription;
	const char *link = collection_of(rf, a);
	if (!link)
		return;
	struct json *types = types_of(str_or(wanted->types, "Alert"));
	const char *missing = not_offered(a->body, types);
	if (missing) {
		rf_fail(rf, ERR_UNSUPPORTED, "offers no events of type %.100s", missing);
		json_free(types);
		return;
	}
	struct json *body = json_new_object();
	json_set_string(body, "Destination", wanted->destination);
	json_set_string(body, "Protocol", str_or(wanted->protocol, "Redfish"));
	json_set_string(body, "Context", str_or(wanted->context, ""));
	json_set(body, "EventTypes", types);
	rf_post(rf, link, body, on_subscribed);
}

void rf_start_subscribe(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	with_service(bmc, on_service_to_subscribe);
}

/* --- ending one ------------------------------------------------------------------------------ */

static void on_gone(struct rf_bmc *rf, struct rf_answer *a)
{
	(void)a;
	rf_done(rf);
}

/* Only what lies in the service's collection: an id must not delete anything else. */
static void on_service_to_end(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *id = str_or(rf_task(rf)->request.subscription.id, "");
	const char *link = collection_of(rf, a);
	if (!link)
		return;
	_cleanup_(freep) char *all = rf_path_of(link), *one = rf_path_of(id);
	size_t len = all ? strlen(all) : 0;
	while (len > 0 && all[len - 1] == '/')
		len--;
	if (len == 0 || !one || strncmp(one, all, len) != 0 || one[len] != '/' || !one[len + 1] ||
	    strstr(one, "..")) {
		rf_fail(rf, ERR_INVALID, "has no subscription \"%.200s\"", id);
		return;
	}
	rf_ask(rf, &(struct rf_request){ .method = "DELETE", .path = one, .optional = true },
	       on_gone);
}

void rf_start_unsubscribe(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	with_service(bmc, on_service_to_end);
}
