/* Work that goes on in the BMC (DSP0266, 12.2): the answer that begins it leads to a Task, or to
 * its monitor; Dell's are Jobs. A Task is preferred, because monitors say little, and those of some
 * BMCs nothing. A BMC forgets all of them when it restarts: that is told from a failure, for the
 * work may well have been done. Core thread. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { TASK_TEXT_MAX = 300, NEW_TRIES = 4, NEW_PAUSES = 3 /* of the driver's */ };

static const struct {
	const char *word;
	enum bmc_job_state state;
} states[] = {
	{ "New", BMC_JOB_RUNNING },
	{ "Starting", BMC_JOB_RUNNING },
	{ "Running", BMC_JOB_RUNNING },
	{ "Suspended", BMC_JOB_RUNNING },
	{ "Interrupted", BMC_JOB_RUNNING },
	{ "Pending", BMC_JOB_RUNNING },
	{ "Stopping", BMC_JOB_RUNNING },
	{ "Service", BMC_JOB_RUNNING },
	{ "Cancelling", BMC_JOB_RUNNING },
	{ "Continue", BMC_JOB_RUNNING },
	{ "UserIntervention", BMC_JOB_RUNNING },
	{ "Completed", BMC_JOB_DONE },
	{ "Killed", BMC_JOB_FAILED },
	{ "Exception", BMC_JOB_FAILED },
	{ "Cancelled", BMC_JOB_FAILED },
	{ "Invalid", BMC_JOB_FAILED },
	/* Dell's jobs. */
	{ "Scheduled", BMC_JOB_NEEDS_RESET },
	{ "ReadyForExecution", BMC_JOB_NEEDS_RESET },
	{ "RebootPending", BMC_JOB_NEEDS_RESET },
	{ "RebootCompleted", BMC_JOB_DONE },
	{ "CompletedWithErrors", BMC_JOB_FAILED },
	{ "RebootFailed", BMC_JOB_FAILED },
	{ "Failed", BMC_JOB_FAILED },
	{ "Aborted", BMC_JOB_FAILED },
};

static const char *word_of(const struct json *task)
{
	const char *word = json_get_string(task, "TaskState");
	return word ? word : json_get_string(task, "JobState");
}

static bool is_task(const struct json *body)
{
	const char *type = str_or(json_get_string(body, "@odata.type"), "");
	return word_of(body) || str_has_prefix(type, "#Task.") || str_has_prefix(type, "#Job.") ||
	       strstr(type, "DellJob.");
}

/* A state that no schema has is work that goes on: the caller's limit ends it. */
static enum bmc_job_state state_of(const struct json *task)
{
	const char *word = str_or(word_of(task), "");
	const char *status = str_or(json_get_string(task, "TaskStatus"), "");
	enum bmc_job_state state = BMC_JOB_RUNNING;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (strcasecmp(word, states[i].word) == 0)
			state = states[i].state;
	if (state == BMC_JOB_DONE && strcasecmp(status, "Critical") == 0)
		return BMC_JOB_FAILED;
	if (state != BMC_JOB_RUNNING)
		return state;
	json_for_each(message, json_get(task, "Messages")) {
		const char *id = str_or(json_get_string(message, "MessageId"), "");
		if (str_has_suffix(id, ".ResetRequired") || str_has_suffix(id, ".RebootRequired"))
			return BMC_JOB_NEEDS_RESET;
	}
	return state;
}

/* The last message, which of a failure is the cause; of a Job the only one. Printable. */
static char *text_of(const struct json *task)
{
	char text[TASK_TEXT_MAX];
	const struct json *messages = json_get(task, "Messages");
	const struct json *last = json_at(messages, json_count(messages) - 1);
	rf_text(last, "Message", text, sizeof(text));
	if (!*text)
		rf_text(last, "MessageId", text, sizeof(text));
	if (!*text)
		rf_text(task, "Message", text, sizeof(text));
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = ' ';
	return *text ? xstrdup(text) : NULL;
}

static uint8_t percent_of(const struct json *task, enum bmc_job_state state)
{
	if (state == BMC_JOB_DONE)
		return 100;
	int64_t percent = json_get_int(task, "PercentComplete", 0);
	return percent < 0 ? 0 : percent > 100 ? 100 : (uint8_t)percent;
}

void rf_read_task(const struct json *task, struct bmc_job *ret)
{
	ret->state = state_of(task);
	ret->percent = percent_of(task, ret->state);
	ret->text = text_of(task);
}

/* --- what an answer begins ------------------------------------------------------------------- */

static char *id_of(const struct rf_answer *a)
{
	const char *task = is_task(a->body) ? rf_id(a->body) : rf_link(a->body, "Task");
	const char *link = task ? task : a->status == 202 && *a->location ? a->location : NULL;
	char *path = link ? rf_path_of(link) : NULL;
	if (path && strlen(path) < BMC_JOB_ID_MAX)
		return path;
	free(path);
	return NULL;
}

void rf_job_begun(struct rf_bmc *rf, const struct rf_answer *a, enum bmc_job_state at_once)
{
	struct bmc_job *job = &rf_task(rf)->result.job;
	job->id = id_of(a);
	if (a->status == 202 && !job->id) {
		rf_fail(rf, ERR_PROTOCOL,
			"has begun with %.200s and does not say where its progress can be read",
			a->path);
		return;
	}
	if (is_task(a->body)) {
		rf_read_task(a->body, job);
	} else {
		job->state = job->id ? BMC_JOB_RUNNING : at_once;
		job->percent = job->id || at_once != BMC_JOB_DONE ? 0 : 100;
	}
	rf_done(rf);
}

/* --- its progress ---------------------------------------------------------------------------- */

static bool is_passing(const struct rf_answer *a)
{
	return a->status == 401 || a->status == 403 || a->status == 413 || a->status == 429 ||
	       a->status == 503;
}

struct asked {
	unsigned tries;
};

static void get_job(struct rf_bmc *rf);

/* Dell's iDRAC does not know a new job for some seconds. */
static bool comes_later(struct rf_bmc *rf, const struct rf_answer *a)
{
	struct asked *s = rf_state(rf);
	if (a->status != 404 || !strstr(a->path, "/JID_") || ++s->tries >= NEW_TRIES)
		return false;
	rf_after(rf, NEW_PAUSES * rf_driver_of(rf)->retry_pause, get_job);
	return true;
}

/* A monitor gives the result of the work itself when it has ended: also an error. */
static void on_job(struct rf_bmc *rf, struct rf_answer *a)
{
	struct bmc_job *job = &rf_task(rf)->result.job;
	if (comes_later(rf, a))
		return;
	if (a->status == 404 || a->status == 410) {
		rf_fail(rf, ERR_NOT_FOUND,
			"does not know %.200s any more: the job has ended, or was lost when the "
			"BMC restarted; look at what it was to change",
			a->path);
		return;
	}
	if (is_passing(a)) {
		rf_fail_answer(rf, a);
		return;
	}
	job->id = xstrdup(rf_task(rf)->request.job.id);
	if (is_task(a->body)) {
		rf_read_task(a->body, job);
	} else if (rf_is_success(a)) {
		job->state = a->status == 202 ? BMC_JOB_RUNNING : BMC_JOB_DONE;
		job->percent = a->status == 202 ? 0 : 100;
	} else {
		_cleanup_(strbuf_done) struct strbuf said = { 0 };
		rf_describe(a, &said);
		job->state = BMC_JOB_FAILED;
		job->text = xstrdup(said.data);
	}
	rf_done(rf);
}

static void get_job(struct rf_bmc *rf)
{
	rf_ask(rf,
	       &(struct rf_request){ .path = str_or(rf_task(rf)->request.job.id, ""),
				     .any = true,
				     .lenient = true },
	       on_job);
}

void rf_start_get_job(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	struct rf_bmc *rf = rf_begin(bmc);
	rf_state_new(rf, sizeof(struct asked), NULL);
	get_job(rf);
}
