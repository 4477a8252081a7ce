/* The system event log: of the system's log services, else of its manager's, the one that is called
 * so. Logs of audits and of the BMC's own life are left alone. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { LOG_PAGES_MAX = 20, LOG_ENTRIES_MAX = 2000, LOG_TEXT = 400 };

struct log {
	char entries[RF_LINK_MAX], clear[RF_LINK_MAX]; /* of the best so far */
	unsigned rank, pages;
	bool clears, of_manager;
};

/* --- which ----------------------------------------------------------------------------------- */

/* SEL everywhere; IML is HPE's, EventLog OpenBMC's and Lenovo's. 0: another kind of log. */
static unsigned rank_of(const struct json *service)
{
	static const char *const ids[] = { "Event", "EventLog", "IML", "SEL" };
	const char *id = str_or(json_get_string(service, "Id"), "");
	for (unsigned i = ARRAY_SIZE(ids); i > 0; i--)
		if (strcasecmp(id, ids[i - 1]) == 0)
			return i;
	const char *type = str_or(json_get_string(service, "LogEntryType"), "");
	return strcasecmp(type, "SEL") == 0 ? ARRAY_SIZE(ids) + 1 : 0;
}

static void on_service(struct rf_bmc *rf, struct rf_answer *a)
{
	struct log *l = rf_state(rf);
	const char *entries = rf_link(a->body, "Entries");
	const char *clear = rf_target(a->body, "#LogService.ClearLog");
	unsigned rank = entries ? rank_of(a->body) : 0;
	if (rank > l->rank) {
		l->rank = rank;
		snprintf(l->entries, sizeof(l->entries), "%s", entries);
		snprintf(l->clear, sizeof(l->clear), "%s", str_or(clear, ""));
	}
	rf_members_next(rf);
}

/* --- reading --------------------------------------------------------------------------------- */

/* RFC 3339. 0: it is none. */
usec_t rf_parse_time(const char *text)
{
	struct tm tm = { 0 };
	int hours = 0, minutes = 0;
	char sign;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t at = rest ? timegm(&tm) : 0;
	if (at <= 0)
		return 0;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) == 3 && (sign == '+' || sign == '-'))
		at -= (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
	return at > 0 ? (usec_t)at * USEC_PER_SEC : 0;
}

static void add_entry(struct bmc_log *out, const struct json *j)
{
	char id[LOG_TEXT], text[LOG_TEXT], at[LOG_TEXT];
	rf_text(j, "Id", id, sizeof(id));
	rf_text(j, "Message", text, sizeof(text));
	if (!*text)
		rf_text(j, "MessageId", text, sizeof(text));
	rf_text(j, "Created", at, sizeof(at));
	const struct bmc_log_entry one = { .id = id,
					   .text = text,
					   .at = rf_parse_time(at),
					   .level = rf_level_of(json_get_string(j, "Severity")) };
	if (*text && out->count < LOG_ENTRIES_MAX)
		bmc_log_add(out, &one);
}

static int by_time(const void *a, const void *b)
{
	const struct bmc_log_entry *x = a, *y = b;
	return (x->at > y->at) - (x->at < y->at);
}

/* Some give the newest first. Entries without a time, if there are, keep all in the BMC's order. */
static void sort(struct bmc_log *log)
{
	for (size_t i = 0; i < log->count; i++)
		if (log->items[i].at == 0)
			return;
	if (log->count > 1)
		qsort(log->items, log->count, sizeof(*log->items), by_time);
}

/* Entries stand in their collection (DSP0268): they are not asked for one by one. */
static void on_page(struct rf_bmc *rf, struct rf_answer *a)
{
	struct log *l = rf_state(rf);
	struct bmc_log *out = &rf_task(rf)->result.log;
	json_for_each(entry, json_get(a->body, "Members"))
		add_entry(out, entry);
	const struct json *next = json_get(a->body, "Members@odata.nextLink");
	const char *link = json_string(next) ? json_string(next) : rf_id(next);
	if (link && ++l->pages < LOG_PAGES_MAX && out->count < LOG_ENTRIES_MAX) {
		rf_get_optional(rf, link, on_page);
		return;
	}
	sort(out);
	rf_done(rf);
}

/* --- clearing -------------------------------------------------------------------------------- */

static void on_cleared(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct log *l = rf_state(rf);
	if (rf_is_success(a))
		rf_done(rf);
	else if (a->status == 415)
		rf_post(rf, l->clear, json_new_object(), on_cleared);
	else
		rf_fail_answer(rf, a);
}

static void clear(struct rf_bmc *rf)
{
	const struct log *l = rf_state(rf);
	if (*l->clear)
		rf_ask(rf,
		       &(struct rf_request){
			       .method = "POST", .path = l->clear, .any = true, .once = true },
		       on_cleared);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "offers no clearing of its event log (ClearLog)");
}

/* --- finding --------------------------------------------------------------------------------- */

static void on_manager(struct rf_bmc *rf, struct rf_answer *a);

static void go_on(struct rf_bmc *rf)
{
	struct log *l = rf_state(rf);
	if (l->rank > 0 && l->clears)
		clear(rf);
	else if (l->rank > 0)
		rf_get_optional(rf, l->entries, on_page);
	else if (!l->of_manager && rf->links.manager)
		rf_get_manager(rf, on_manager);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "offers no system event log (LogServices)");
}

static void on_manager(struct rf_bmc *rf, struct rf_answer *a)
{
	struct log *l = rf_state(rf);
	l->of_manager = true;
	rf_each_member(rf, rf_link(a->body, "LogServices"), on_service, go_on);
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	rf_each_member(rf, rf_link(a->body, "LogServices"), on_service, go_on);
}

static void begin(struct bmc *bmc, bool clears)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct log *l = rf_state_new(rf, sizeof(*l), NULL);
	l->clears = clears;
	rf_get_system(rf, on_system);
}

void rf_start_get_log(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	begin(bmc, false);
}

void rf_start_clear_log(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	begin(bmc, true);
}
