/* From objects to a view (ctl/view.h). Why a host waits is decided by a table of rules, the first
 * that holds; what helps against an error stands in a table by errorType. Pure. */

#include "hostview/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- reading ---------------------------------------------------------------------------------- */

static usec_t get_time(const struct json *object, const char *path)
{
	usec_t at = 0;
	const char *text = json_get_path_string(object, path);
	return text && clock_parse(text, &at) == 0 ? at : 0;
}

static const char *get_text(const struct json *object, const char *path)
{
	const char *text = json_get_path_string(object, path);
	return str_empty(text) ? NULL : text;
}

static int64_t get_number(const struct json *object, const char *path, int64_t otherwise)
{
	int64_t n;
	return json_int(json_get_path(object, path), &n) ? n : otherwise;
}

static bool has_annotation(const struct json *host, const char *name)
{
	return json_get(json_get_path(host, "metadata.annotations"), name) != NULL;
}

/* A record of another host that had this name says nothing. */
static const struct json *record_of(const struct view_sources *s)
{
	const struct json *spec = json_get(s->record, "spec");
	return streq(json_get_string(spec, "hostUID"),
		     json_get_path_string(s->host, "metadata.uid"))
		       ? spec
		       : NULL;
}

/* --- the step --------------------------------------------------------------------------------- */

static void take_progress(struct view *v, const struct json *p)
{
	struct view_progress *out = &v->progress;
	out->percent = -1;
	if (!json_get(p, "bytesDone"))
		return;
	*out = (struct view_progress){ .known = true,
				       .done = json_get_int(p, "bytesDone", 0),
				       .total = json_get_int(p, "bytesTotal", 0),
				       .rate = json_get_int(p, "bytesPerSecond", 0),
				       .left = json_get_int(p, "secondsLeft", 0),
				       .percent = -1 };
	if (out->total > 0)
		out->percent = MIN(MAX(json_get_int(p, "percent", 0), 0), 100);
}

/* Names differ: the engine tells flat what the record keeps in parts. */
static void step_of_debug(struct view *v, const struct json *d)
{
	v->operation = get_text(d, "operation");
	v->step = get_text(d, "step");
	v->attempt = json_get_int(d, "attempt", 1);
	v->waits_for = get_text(d, "waitsFor");
	v->trouble = get_text(d, "trouble");
	v->since = v->step ? get_time(d, "startedAt") : 0;
	v->until = get_time(d, "deadline");
	take_progress(v, json_get(d, "progress"));
}

static void step_of_record(struct view *v, const struct json *r)
{
	v->until = get_time(r, "step.deadline");
	v->since = v->until ? get_time(r, "step.startedAt") : 0;
	take_progress(v, v->until ? json_get(r, "progress") : NULL);
	if (v->until == 0)
		return;
	v->operation = get_text(r, "step.operation");
	v->step = get_text(r, "step.name");
	v->attempt = get_number(r, "step.attempt", 1);
	v->waits_for = get_text(r, "step.waitsFor");
	v->trouble = get_text(r, "step.trouble");
}

/* When the state of the host was entered, by what its status keeps: the latest of these. Not by the
 * engine, whose states are others and change at other times. */
static const struct {
	const char *state;
	const char *paths[3];
} entered[] = {
	{ "new", { "metadata.creationTimestamp" } },
	{ "unmanaged", { "metadata.creationTimestamp" } },
	{ "registering", { "status.operationHistory.register.start" } },
	{ "inspecting", { "status.operationHistory.inspect.start" } },
	{ "preparing",
	  { "status.operationHistory.register.end", "status.operationHistory.inspect.end" } },
	{ "available",
	  { "status.operationHistory.register.end", "status.operationHistory.inspect.end",
	    "status.operationHistory.deprovision.end" } },
	{ "provisioning", { "status.operationHistory.provision.start" } },
	{ "provisioned", { "status.operationHistory.provision.end" } },
	{ "externally provisioned", { "status.operationHistory.register.end" } },
	{ "deprovisioning", { "status.operationHistory.deprovision.start" } },
	{ "powering off before delete",
	  { "metadata.deletionTimestamp", "status.operationHistory.deprovision.end" } },
	{ "deleting", { "metadata.deletionTimestamp", "status.operationHistory.deprovision.end" } },
};

static usec_t since_by_status(const struct view *v)
{
	usec_t latest = 0;
	for (size_t i = 0; i < ARRAY_SIZE(entered); i++)
		for (size_t k = 0; streq(entered[i].state, v->state) && k < 3; k++)
			if (entered[i].paths[k])
				latest = MAX(latest,
					     get_time(v->sources.host, entered[i].paths[k]));
	return latest;
}

/* The engine has seen the change itself, if it was there. */
static usec_t since_by_history(const struct view *v)
{
	usec_t at = 0;
	json_for_each(e, json_get(v->sources.debug, "history")) {
		const char *to = get_text(e, "to");
		if (to)
			at = streq(to, v->state) ? get_time(e, "at") : 0;
	}
	return at;
}

static const char *hold_of_record(const struct json *r)
{
	const struct json *hold = json_get(r, "hold");
	return json_get_bool(hold, "released", false) ? NULL : get_text(hold, "reason");
}

/* --- why it waits ----------------------------------------------------------------------------- */

static bool is_paused(const struct view *v)
{
	return has_annotation(v->sources.host, "baremetalhost.metal3.io/paused");
}

static bool is_on_hold(const struct view *v)
{
	return v->hold != NULL;
}

static bool is_detached(const struct view *v)
{
	return streq(get_text(v->sources.host, "status.operationalStatus"), "detached");
}

static bool is_new(const struct view *v)
{
	return !get_text(v->sources.host, "status.provisioning.state");
}

static bool is_unmanaged(const struct view *v)
{
	return streq(v->state, "unmanaged");
}

static bool has_step(const struct view *v)
{
	return v->waits_for != NULL;
}

static bool has_error(const struct view *v)
{
	return v->error != NULL;
}

static bool is_delayed(const struct view *v)
{
	return streq(get_text(v->sources.host, "status.operationalStatus"), "delayed");
}

static bool is_busy(const struct view *v)
{
	static const char *const busy[] = { "registering",   "inspecting",
					    "match profile", "preparing",
					    "provisioning",  "deprovisioning",
					    "deleting",	     "powering off before delete" };
	for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
		if (streq(v->state, busy[i]))
			return true;
	return json_get_path(v->sources.host, "metadata.deletionTimestamp") != NULL;
}

static bool wants_power_change(const struct view *v)
{
	const struct json *h = v->sources.host;
	return json_get_bool(json_get(h, "spec"), "online", false) !=
	       json_get_bool(json_get(h, "status"), "poweredOn", false);
}

static bool awaits_image(const struct view *v)
{
	return view_wants_image(v) && streq(v->state, "available");
}

/* The first row that holds decides. {ns}, {host} and {secret} are filled in. */
static const struct rule {
	bool (*holds)(const struct view *v);
	enum view_mood mood;
	const char *waits_for; /* NULL: as the step says */
	const char *advice;
} rules[] = {
	{ is_on_hold, VIEW_HELD, "a person: Ingot holds it",
	  "compare what the machine runs with what the host says, then: ingotctl release -n {ns} {host}" },
	{ is_paused, VIEW_HELD, "a person: it is paused",
	  "kubectl -n {ns} annotate bmh {host} baremetalhost.metal3.io/paused-" },
	{ is_detached, VIEW_HELD, "a person: it is detached",
	  "kubectl -n {ns} annotate bmh {host} baremetalhost.metal3.io/detached-" },
	{ is_new, VIEW_WORKS, "Ingot to take it up",
	  "if this lasts: is ingot running, and does it watch namespace {ns}?" },
	{ is_unmanaged, VIEW_HELD, "a person: it has no BMC",
	  "set spec.bmc.address and spec.bmc.credentialsName" },
	{ has_step, VIEW_WORKS, NULL,
	  "nothing: if the deadline passes, Ingot tries again or reports an error" },
	{ has_error, VIEW_FAILED, "the next try", NULL },
	{ is_delayed, VIEW_WORKS, "a free place: as many hosts as allowed are busy",
	  "nothing: it begins when another host is ready" },
	{ is_busy, VIEW_WORKS, "Ingot to go on",
	  "if this lasts for minutes: is ingot running? its log names the host" },
	{ awaits_image, VIEW_WORKS, "Ingot to begin with its image",
	  "if this lasts for minutes: is ingot running? its log names the host" },
	{ wants_power_change, VIEW_WORKS, "its power to change",
	  "if this lasts for minutes: is ingot running? its log names the host" },
};

/* Errors repeat by themselves, with growing pauses; a change of the host or its Secrets cuts the
 * pause short. The first row of the type whose words stand in the message; NULL: whatever it says.
 */
static const struct {
	const char *type, *words, *advice;
} errors[] = {
	{ "registration error", "HostRecord",
	  "see to what the Kubernetes API says in the error; Ingot tries again by itself" },
	{ "registration error", "BMC secret",
	  "correct the Secret or spec.bmc.credentialsName, as the error says; Ingot looks again at once, or within seconds" },
	{ "registration error", "conflicts with existing node",
	  "set spec.bootMACAddress to a NIC of this machine, or delete the other host" },
	{ "registration error", ": Invalid value",
	  "correct the field that the error names: kubectl -n {ns} edit bmh {host}" },
	{ "registration error", ": Forbidden",
	  "correct the field that the error names: kubectl -n {ns} edit bmh {host}" },
	{ "registration error", ": Required value",
	  "set the field that the error names: kubectl -n {ns} edit bmh {host}" },
	{ "registration error", " was changed ",
	  "set the field that the error names back: kubectl -n {ns} edit bmh {host}" },
	{ "registration error", NULL,
	  "check spec.bmc.address and user and password in Secret {ns}/{secret}; Ingot tries again by itself, and at once "
	  "when one of them changes" },
	{ "provisioned registration error", NULL,
	  "check spec.bmc.address and user and password in Secret {ns}/{secret}; the machine itself goes on running" },
	{ "inspection error", NULL,
	  "look at the machine's console; check that the NIC of spec.bootMACAddress boots from the provisioning network; "
	  "Ingot tries again by itself" },
	{ "preparation error", NULL,
	  "correct what the error names in the host's spec; Ingot tries again by itself" },
	{ "provisioning error", "the Secret ",
	  "make or correct the Secret that the error names; Ingot looks again within seconds" },
	{ "provisioning error", NULL,
	  "correct spec.image if the error names URL, checksum or format, else look at the machine's console; Ingot tries "
	  "again by itself" },
	{ "power management error", NULL,
	  "check that the BMC answers and that its user may switch power; Ingot tries again by itself" },
	{ "detach error", NULL, "wait until the host rests, or add force to the annotation" },
	{ "servicing error", NULL, "correct what the error names in the host's spec" },
};

static const char *error_advice(const struct view *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (streq(errors[i].type, v->error_type) &&
		    (!errors[i].words || strstr(v->error, errors[i].words)))
			return errors[i].advice;
	return "correct what the error names; Ingot tries again by itself";
}

/* Who deletes a host does not want to mend it. */
static const char leaving_advice[] =
	"nothing: after the fourth error Ingot lets the host go; to let it go at once, with its disks not cleaned and its power "
	"as it is: kubectl -n {ns} annotate bmh {host} baremetalhost.metal3.io/detached=";

static char *fill_in(const char *text, const struct view *v)
{
	const char *secret = get_text(v->sources.host, "spec.bmc.credentialsName");
	const struct {
		const char *word, *value;
	} words[] = { { "{ns}", v->ns },
		      { "{host}", v->name },
		      { "{secret}", str_or(secret, "?") } };
	struct strbuf out = { 0 };
	while (*text) {
		size_t i = 0;
		while (i < ARRAY_SIZE(words) && !str_has_prefix(text, words[i].word))
			i++;
		if (i < ARRAY_SIZE(words)) {
			strbuf_adds(&out, words[i].value);
			text += strlen(words[i].word);
		} else {
			strbuf_addc(&out, *text++);
		}
	}
	return strbuf_take(&out, NULL);
}

/* What went wrong last is worth more than that it is being tried again; but a host that a person
 * holds back is not tried. */
static const char *advice_of(const struct view *v, const struct rule *rule)
{
	bool leaving = json_get_path(v->sources.host, "metadata.deletionTimestamp") != NULL;
	if (rule->mood == VIEW_HELD)
		return rule->advice;
	if (leaving && (v->error || v->trouble))
		return leaving_advice;
	return v->error ? error_advice(v) : rule->advice;
}

static void judge(struct view *v)
{
	size_t i = 0;
	while (i < ARRAY_SIZE(rules) && !rules[i].holds(v))
		i++;
	if (i == ARRAY_SIZE(rules)) {
		v->mood = VIEW_RESTS;
		v->advice = xstrdup("nothing");
		return;
	}
	const struct rule *rule = &rules[i];
	v->mood = rule->mood;
	v->waits_for = str_or(rule->waits_for, v->waits_for);
	if (v->mood == VIEW_FAILED)
		v->until = get_time(v->sources.debug, "nextLook");
	v->advice = fill_in(advice_of(v, rule), v);
}

bool view_wants_image(const struct view *v)
{
	return get_text(v->sources.host, "spec.image.url") != NULL;
}

void view_make(const struct view_sources *s, struct view *ret)
{
	const struct json *status = json_get(s->host, "status");
	struct view v = { .sources = *s,
			  .ns = str_or(get_text(s->host, "metadata.namespace"), ""),
			  .name = str_or(get_text(s->host, "metadata.name"), "?"),
			  .state = str_or(get_text(status, "provisioning.state"), "new"),
			  .error = get_text(status, "errorMessage"),
			  .error_type = get_text(status, "errorType"),
			  .error_count = json_get_int(status, "errorCount", 0) };
	if (!record_of(s))
		v.sources.record = NULL;
	if (s->debug)
		step_of_debug(&v, s->debug);
	else
		step_of_record(&v, record_of(s));
	if (!s->debug)
		v.hold = hold_of_record(record_of(s));
	else
		v.hold = get_text(s->debug, "hold.reason");
	if (v.hold)
		v.since = get_time(s->debug ? s->debug : record_of(s), "hold.since");
	if (v.since == 0)
		v.since = since_by_history(&v);
	if (v.since == 0)
		v.since = since_by_status(&v);
	judge(&v);
	*ret = v;
}

void view_done(struct view *v)
{
	free(v->advice);
	*v = (struct view){ 0 };
}
