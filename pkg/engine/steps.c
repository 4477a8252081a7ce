/* What each step does. A step function looks at what is known, asks for what is not, and does what
 * is missing; it never assumes that it runs for the first time (op.c says why). All waiting is done
 * by returning STEP_WAIT. */

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "crypt/crypt.h"
#include "engine/internal.h"
#include "metrics/metrics.h"
#include "wire/configdrive.h"

#define TIMEOUT(name) offsetof(struct engine_timeouts, name)
enum { TROUBLE_MAX = 320 }; /* of an agent's text */

#define AGENT_CALL_TIMEOUT (60 * USEC_PER_SEC)

/* --- power ------------------------------------------------------------------------------------ */

static usec_t poll_delay(struct node *n)
{
	return USEC_PER_SEC << MIN(n->op.polls++, 3u);
}

/* Takes the answer of the last BMC question away; STEP_DONE means: nothing pending, go on. */
static enum step_result bmc_settle(struct node *n, struct err *err)
{
	switch (n->power.ask.state) {
	case ASK_RUNNING:
		return STEP_WAIT;
	case ASK_FAILED:
		n->power.ask.state = ASK_IDLE;
		n->op.refused |= n->op.commanded;
		n->op.commanded = false; /* it may not have arrived: look, then say it again */
		err_wrap(n->power.ask.err, "host %s", n->key);
		return step_trouble(n, n->power.ask.err, err);
	case ASK_ANSWERED:
		n->power.ask.state = ASK_IDLE;
		step_good(n);
		break;
	case ASK_IDLE:
		break;
	}
	return STEP_DONE;
}

/* Gives up when the BMC said yes long ago and nothing happened. */
static bool power_overdue(const struct node *n, usec_t limit)
{
	return n->op.commanded && node_now(n) >= n->op.commanded_at + limit;
}

static enum step_result power_reach(struct node *n, enum prov_power want, enum bmc_action action,
				    struct err *err)
{
	enum step_result r = bmc_settle(n, err);
	if (r != STEP_DONE)
		return r;
	if (!n->power.fresh) {
		node_ask_power(n, true);
		return STEP_WAIT;
	}
	if (n->power.state == want)
		return STEP_DONE;
	if (!n->op.commanded) {
		n->op.commanded = true;
		n->op.commanded_at = node_now(n);
		node_ask_action(n, action);
		return STEP_WAIT;
	}
	if (power_overdue(n, n->engine->options.timeouts.power)) {
		err_set(err, ERR_TIMEOUT,
			"host %s: the BMC accepted \"power %s\" but the power did not change; "
			"look at the machine and its BMC",
			n->key, bmc_action_name(action));
		return STEP_FAILED;
	}
	n->power.fresh = false;
	return step_rest(n, poll_delay(n));
}

static enum step_result run_power_off(struct node *n, struct err *err)
{
	return power_reach(n, PROV_POWER_OFF, BMC_ACTION_OFF, err);
}

static enum step_result run_power_on(struct node *n, struct err *err)
{
	return power_reach(n, PROV_POWER_ON, BMC_ACTION_ON, err);
}

static enum step_result run_soft_off(struct node *n, struct err *err)
{
	if (n->power.ask.state == ASK_FAILED && n->power.ask.err->kind == ERR_UNSUPPORTED) {
		log_info("the BMC knows no soft power off; switching off hard", "host", n->key);
		return STEP_DONE;
	}
	if (power_overdue(n, n->engine->options.timeouts.soft_off)) {
		err_set(err, ERR_TIMEOUT,
			"host %s: the operating system did not shut down when asked to", n->key);
		return STEP_FAILED;
	}
	/* The BMC's own limit does not hold for an operating system that closes its files. */
	if (n->op.commanded && n->power.fresh && n->power.state != PROV_POWER_OFF) {
		n->power.fresh = false;
		return step_rest(n, poll_delay(n));
	}
	return power_reach(n, PROV_POWER_OFF, BMC_ACTION_SOFT, err);
}

/* Registration: does this BMC answer with these credentials? */
static enum step_result run_verify(struct node *n, struct err *err)
{
	if (n->power.ask.state == ASK_FAILED) {
		n->power.ask.state = ASK_IDLE;
		return step_trouble(n, n->power.ask.err, err);
	}
	if (n->power.ask.state == ASK_IDLE)
		node_ask_power(n, true);
	if (n->power.ask.state == ASK_RUNNING)
		return STEP_WAIT;
	n->power.verified = true;
	return STEP_DONE;
}

/* --- boot ------------------------------------------------------------------------------------- */

static enum step_result set_device(struct node *n, enum bmc_device device, bool persistent,
				   struct err *err)
{
	enum step_result r = bmc_settle(n, err);
	if (r != STEP_DONE || n->op.commanded)
		return r;
	n->op.commanded = true;
	node_ask_boot(n, device, persistent);
	return STEP_WAIT;
}

static enum step_result run_boot_network(struct node *n, struct err *err)
{
	return set_device(n, BMC_DEVICE_PXE, false, err);
}

static enum step_result run_boot_disk(struct node *n, struct err *err)
{
	return set_device(n, BMC_DEVICE_DISK, true, err);
}

/* The ramdisk is waited for until the step's deadline; where another system runs, five minutes, in
 * which firmware may still come to the network. */
static enum step_result wait_for_ramdisk(struct node *n, bool restarts)
{
	enum { GRACE_MIN = 5 };
	usec_t now = node_now(n), until = n->boot.system_at + GRACE_MIN * USEC_PER_MIN;
	struct err other;
	if (!n->boot.system_at || n->record.boot.token_issued || (n->boot.script_at && !restarts))
		return STEP_WAIT;
	err_set(&other, ERR_IO,
		"the machine runs another system than the ramdisk, probably the one on its disk, which asked for an "
		"address: it was reset, or its firmware did not boot from the network");
	err_keep(&n->op.last, &other);
	if (now < until)
		return step_rest(n, until - now);
	n->op.deadline = now;
	return STEP_WAIT;
}

static enum step_result run_wait_inventory(struct node *n, struct err *err)
{
	(void)err;
	if (n->inspection.inventory)
		return STEP_DONE;
	/* Collecting takes its time, in which a ramdisk may ask for its address again. */
	if (!n->record.agent.url)
		return wait_for_ramdisk(n, false);
	/* The agent is past its inspection, whose result was lost on the way: nothing more will
	 * come from this boot. */
	if (n->op.commanded_at == 0)
		n->op.commanded_at = node_now(n);
	if (node_now(n) < n->op.commanded_at + 30 * USEC_PER_SEC)
		return step_rest(n, 30 * USEC_PER_SEC);
	n->op.deadline = node_now(n);
	struct err lost;
	err_set(&lost, ERR_PROTOCOL,
		"the ramdisk runs, but what it found never arrived; see its own log");
	err_keep(&n->op.last, &lost);
	return STEP_WAIT;
}

static enum step_result run_wait_agent(struct node *n, struct err *err)
{
	(void)err;
	bool found = n->record.agent.url && n->record.boot.nonce;
	return found ? STEP_DONE : wait_for_ramdisk(n, true);
}

/* --- the agent at work ------------------------------------------------------------------------ */

/* An inspection has just ended: its ramdisk goes on to look itself up, and beats a moment later. */
static bool agent_is_coming(struct node *n)
{
	if (n->record.agent.url || !n->record.boot.nonce || n->power.state == PROV_POWER_OFF)
		return false;
	if (n->op.commanded_at == 0)
		n->op.commanded_at = node_now(n);
	return node_now(n) < n->op.commanded_at + USEC_PER_MIN;
}

static enum step_result run_find_agent(struct node *n, struct err *err)
{
	(void)err;
	switch (n->agent.ask.state) {
	case ASK_IDLE:
		if (agent_is_coming(n))
			return step_rest(n, 5 * USEC_PER_SEC);
		if (!n->record.agent.url || !n->record.boot.nonce)
			return STEP_DONE;
		node_ask_agent(n, "GET", "/v1/commands/", NULL, 10 * USEC_PER_SEC);
		return STEP_WAIT;
	case ASK_RUNNING:
		return STEP_WAIT;
	case ASK_ANSWERED:
		/* One that has written (or tried to) is not used again: its disk is no longer as
		 * cleaned. */
		n->op.agent_found = agent_command_answer(n->agent.answer) &&
				    agent_command_find(n->agent.answer, "execute_deploy_step", NULL,
						       NULL, 0) == AGENT_COMMAND_ABSENT;
		return STEP_DONE;
	case ASK_FAILED:
		break;
	}
	log_info("the agent of the last phase is gone; booting a new one", "host", n->key, "error",
		 n->agent.ask.err->text);
	return STEP_DONE;
}

/* Has there been no sign of life for too long? In this life of the process by the answers and
 * heartbeats themselves; else by the last heartbeat on record, so that a process that is restarted
 * often does not wait for ever. */
static bool too_silent(const struct node *n)
{
	usec_t limit = n->engine->options.timeouts.silence;
	const struct node_record *r = &n->record;
	if (n->agent.seen)
		return node_now(n) >= MAX(n->agent.seen, n->op.commanded_at) + limit;
	usec_t beat = AGENT_HEARTBEAT_TIMEOUT_S * 6 / 10 * USEC_PER_SEC;
	return node_wall(n) >= MAX(r->agent.seen_at, r->step.started_at) + beat + limit;
}

/* Heartbeats say that the agent lives, not that its command does. Agents that do not answer may be
 * busy writing; those whose answer makes no sense, or that say that they cannot answer, will hardly
 * come to themselves. */
static usec_t word_limit(const struct node *n)
{
	enum { BUSY = 5 };
	const struct err *e = n->agent.ask.err;
	bool answered = e->code >= 500 || e->kind == ERR_PROTOCOL || e->kind == ERR_DENIED;
	return n->engine->options.timeouts.silence * (answered ? 1 : BUSY);
}

/* After a call that brought no word of the command. */
static enum step_result no_word(struct node *n, const char *what, struct err *err)
{
	usec_t limit = word_limit(n);
	char span[CLOCK_TEXT_MAX];
	if (too_silent(n)) {
		err_set(err, ERR_TIMEOUT,
			"host %s: the agent fell silent while %s (%s): the machine has crashed, was switched off or "
			"lost its network; look at its console",
			n->key, what, n->agent.ask.err->text);
		return STEP_FAILED;
	}
	if (node_now(n) >= n->op.looked_at + limit) {
		clock_format_age(limit, span);
		err_set(err, ERR_TIMEOUT,
			"host %s: no word from the agent on its command for %s while %s (%s): look at the agent's log on "
			"the machine's console",
			n->key, span, what, n->agent.ask.err->text);
		return STEP_FAILED;
	}
	err_keep(&n->op.last, n->agent.ask.err);
	return step_rest(n, 5 * USEC_PER_SEC);
}

static enum step_result take_command_state(struct node *n, const char *command, const char *what,
					   struct err *err)
{
	char text[400] = "";
	switch (agent_command_find(n->agent.answer, command, NULL, text, sizeof(text))) {
	case AGENT_COMMAND_SUCCEEDED:
		return STEP_DONE;
	case AGENT_COMMAND_FAILED:
		err_set(err, ERR_IO, "%s", text);
		return STEP_FAILED;
	case AGENT_COMMAND_VERSION_MISMATCH:
		err_set(err, ERR_PROTOCOL, "host %s: the agent changed its version while %s",
			n->key, what);
		return STEP_FAILED;
	case AGENT_COMMAND_RUNNING:
		n->op.commanded = true;
		n->op.looked_at = node_now(n);
		break;
	case AGENT_COMMAND_ABSENT:
		if (!n->op.commanded)
			break;
		/* Agents forget nothing during a boot. */
		err_set(err, ERR_PROTOCOL,
			"host %s: the agent knows nothing of its command any more, so it was restarted while %s",
			n->key, what);
		return STEP_FAILED;
	}
	n->agent.ask.state = ASK_IDLE;
	return STEP_WAIT;
}

/* The pause between two looks at a command that runs. Its end comes by heartbeat too. While
 * somebody looks, a write's progress fills the pause. */
enum { LOOK_S = 10 };

static bool watched(const struct node *n)
{
	return node_now(n) < n->watched_until && !n->op.progress_unknown;
}

static usec_t look_pause(const struct node *n)
{
	return (n->op.progress_turn && watched(n) ? 1 : LOOK_S) * USEC_PER_SEC;
}

/* The last call failed, or its answer has no form that we know. */
static enum step_result take_failed_call(struct node *n, const char *what, struct err *err)
{
	int code = n->agent.ask.err->code;
	n->agent.ask.state = ASK_IDLE;
	if (code < 400 || code >= 500 || code == 409)
		return no_word(n, what, err);
	err_copy(err, n->agent.ask.err);
	err_wrap(err, "host %s: the agent refused a command while %s", n->key, what);
	return STEP_FAILED;
}

static void check_answer(struct node *n)
{
	struct err err;
	if (n->agent.ask.state != ASK_ANSWERED || agent_command_answer(n->agent.answer))
		return;
	err_set(&err, ERR_PROTOCOL, "the agent's answer is neither a command nor a list of them");
	err_keep(&n->agent.ask.err, &err);
	n->agent.ask.state = ASK_FAILED;
}

/* Brings one agent command to its end: looks whether it was started (perhaps by a process before
 * us), starts it, and then looks again at each heartbeat and now and then. `params` builds what is
 * sent. */
static enum step_result run_command(struct node *n, const char *extension, const char *command,
				    const char *what,
				    struct json *(*params)(struct node *n, struct err *err),
				    struct err *err)
{
	if (n->agent.rebooted) {
		err_set(err, ERR_IO, "host %s: the machine restarted while %s", n->key, what);
		return STEP_FAILED;
	}
	if (!n->op.looked_at)
		n->op.looked_at = node_now(n);
	if (n->agent.ask.state == ASK_RUNNING)
		return STEP_WAIT;
	check_answer(n);
	if (n->agent.ask.state == ASK_FAILED)
		return take_failed_call(n, what, err);
	if (n->agent.ask.state == ASK_IDLE) {
		node_ask_agent(n, "GET", "/v1/commands/", NULL, AGENT_CALL_TIMEOUT);
		return STEP_WAIT;
	}
	enum step_result r = take_command_state(n, command, what, err);
	if (r != STEP_WAIT)
		return r;
	if (n->op.commanded)
		return step_rest(n, look_pause(n));
	struct json *p = params(n, err);
	if (!p)
		return STEP_FAILED;
	_cleanup_(freep) char *name = xasprintf("%s.%s", extension, command);
	node_ask_agent(n, "POST", "/v1/commands/?wait=false", agent_command(name, p),
		       AGENT_CALL_TIMEOUT);
	return STEP_WAIT;
}

/* --- the disk --------------------------------------------------------------------------------- */

static struct json *choose_params(struct node *n, struct err *err)
{
	(void)err;
	struct json *params = json_new_object();
	json_set(params, "node", node_for_agent(n));
	return params;
}

static const char *why_this_disk(const struct node *n)
{
	if (!n->spec.root_hints)
		return "there are no root device hints, so the agent chose";
	return str_or(n->spec.root_hints_why, "by the root device hints");
}

static void tell_disk(struct node *n, const struct json *disk)
{
	const char *model = json_get_string(disk, "model"),
		   *serial = json_get_string(disk, "serial");
	double size = (double)json_get_int(disk, "size", 0) / (1 << 30);
	node_event(n, false, "RootDevice",
		   "The image will be written to %.64s (%.1f GiB%s%.64s%s%.64s): %s",
		   str_or(json_get_string(disk, "name"), "?"), size, str_empty(model) ? "" : ", ",
		   str_or(model, ""), str_empty(serial) ? "" : ", serial ", str_or(serial, ""),
		   why_this_disk(n));
}

/* Asked and told before anything is erased, so that a wish which no disk fulfils costs none. An
 * agent that is not ours does not know the question; it looks for the disk when it writes. */
static enum step_result run_choose_disk(struct node *n, struct err *err)
{
	bool unknown = n->agent.ask.state == ASK_FAILED &&
		       (n->agent.ask.err->code == 404 || n->agent.ask.err->code == 400);
	if (unknown) {
		_cleanup_(freep) char *hints = n->spec.root_hints
						       ? json_to_string(n->spec.root_hints)
						       : NULL;
		n->agent.ask.state = ASK_IDLE;
		node_event(n, false, "RootDevice",
			   "The agent chooses the disk when it writes the image, by the root "
			   "device hints %.300s",
			   str_or(hints, "(none: the smallest of at least 4 GiB)"));
		return STEP_DONE;
	}
	enum step_result r = run_command(n, "ingot", "choose_disk", "choosing the disk",
					 choose_params, err);
	if (r == STEP_DONE)
		tell_disk(n, agent_command_result(n->agent.answer, "choose_disk"));
	return r;
}

/* --- cleaning --------------------------------------------------------------------------------- */

static struct json *clean_params(struct node *n, struct err *err)
{
	(void)err;
	_cleanup_(json_freep) struct json *node = node_for_agent(n);
	return agent_step_params("deploy", "erase_devices_metadata", 10, NULL, node);
}

static enum step_result run_clean(struct node *n, struct err *err)
{
	enum step_result r = run_command(n, "clean", "execute_clean_step", "cleaning its disks",
					 clean_params, err);
	if (r == STEP_DONE)
		n->record.node.cleaned_at = node_wall(n);
	else if (r == STEP_FAILED)
		err_wrap(err, "Cleaning failed");
	return r;
}

/* --- image ------------------------------------------------------------------------------------ */

/* The stock agent names a file by it. */
static char *image_id(const char *url)
{
	size_t end = strcspn(url, "?#"), start;
	while (end > 0 && url[end - 1] == '/')
		end--;
	for (start = end; start > 0 && url[start - 1] != '/'; start--)
		;
	return end > start ? xstrndup(url + start, end - start) : xstrdup("image");
}

/* The stock agent tries one after the other from the start; ours goes on at the next when one
 * fails. */
static void add_urls(const struct node *n, struct json *info)
{
	const struct engine_options *o = &n->engine->options;
	struct json *urls = json_set(info, "urls", json_new_array());
	const char *const *place = o->image_places ? o->image_places(o->image_places_data,
								     n->spec.image_url)
						   : NULL;
	_cleanup_(freep) char *url = str_plain_url(n->spec.image_url);
	json_append(urls, json_new_string(url));
	for (; place && *place; place++)
		json_append(urls, json_new_string(*place));
}

/* By its length in hex digits, as agents do it; NULL: not one of them. */
static const char *digest_by_length(const char *hex)
{
	static const enum digest known[] = { DIGEST_SHA256, DIGEST_SHA512 };
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(hex) == 2 * digest_size(known[i]))
			return digest_name(known[i]);
	return NULL;
}

/* The stock agent demands both of os_hash_algo and os_hash_value or neither, takes a URL in the
 * second, and compares schemes and hex digits in lower case. */
static void add_checksum(const struct node *n, struct json *info)
{
	const char *type = n->record.image.checksum_type;
	_cleanup_(freep) char *value = str_plain_url(n->spec.image_checksum);
	bool url = str_is_http_url(value);
	for (char *p = value; !url && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (str_empty(type) || streq(type, "auto"))
		type = url ? NULL : digest_by_length(value);
	json_set_string(info, "checksum", value);
	if (!type)
		return;
	json_set_string(info, "os_hash_algo", type);
	json_set_string(info, "os_hash_value", value);
}

static struct json *image_info(const struct node *n)
{
	const struct node_record *r = &n->record;
	struct json *info = json_new_object();
	_cleanup_(freep) char *id = image_id(n->spec.image_url);
	json_set_string(info, "id", id);
	add_urls(n, info);
	if (!str_empty(r->image.format))
		json_set_string(info, "disk_format", r->image.format);
	add_checksum(n, info);
	json_set_string(info, "node_uuid", node_agent_uid(n));
	json_set_bool(info, "stream_raw_images", true);
	json_set_string(info, "image_type", "whole-disk");
	json_set_string(info, "deploy_boot_mode",
			n->spec.boot_mode == BOOT_LEGACY ? "bios" : "uefi");
	return info;
}

static int config_drive(const struct node *n, char **ret, struct err *err)
{
	const char *encoded = json_get_string(n->spec.config_drive, "user_data");
	void *user_data = NULL;
	struct configdrive_files files = {
		.meta_data = json_get_string(n->spec.config_drive, "meta_data"),
		.network_data = json_get_string(n->spec.config_drive, "network_data"),
	};
	if (encoded && base64_decode(encoded, strlen(encoded), &user_data, &files.user_data_len) ==
			       0) /* encoded by ourselves */
		files.user_data = user_data;
	int r = configdrive_build_text(&files, node_wall(n), ret, err);
	if (user_data)
		secret_zero(user_data, files.user_data_len);
	free(user_data);
	return r < 0 ? err_wrap(err, "host %s: config drive", n->key) : 0;
}

static struct json *write_params(struct node *n, struct err *err)
{
	struct json *args = json_new_object();
	struct json *info = json_set(args, "image_info", image_info(n));
	_cleanup_(freep) char *drive = NULL;
	if (config_drive(n, &drive, err) < 0) {
		json_free(args);
		return NULL;
	}
	json_set_string(args, "configdrive", drive);
	json_set_string(info, "configdrive", drive);
	_cleanup_(json_freep) struct json *node = node_for_agent(n);
	return agent_step_params("deploy", "write_image", 80, args, node);
}

static void enter_write(struct node *n)
{
	/* From here on there is a tenant: the next deployment has to clean first. */
	n->record.node.cleaned_at = 0;
	n->record.node.deploy_attempts++;
	n->record.image.written_at = 0;
	memset(&n->record.progress, 0, sizeof(n->record.progress));
}

static void record_progress(struct node *n)
{
	const struct node_progress *p = &n->progress;
	uint64_t rate = p->bytes_per_second,
		 left = p->bytes_total > p->bytes_done ? p->bytes_total - p->bytes_done : 0;
	n->record.progress.bytes_done = (int64_t)p->bytes_done;
	n->record.progress.bytes_total = (int64_t)p->bytes_total;
	n->record.progress.bytes_per_second = (int64_t)rate;
	n->record.progress.seconds_left = rate ? (int64_t)(left / rate) : 0;
	n->record.progress.percent = p->bytes_total
					     ? (int64_t)(p->bytes_done * 100 / p->bytes_total)
					     : 0;
	n->progress_stored = node_now(n);
	node_save(n);
}

/* The agent's words, for people: one line of bounded length, whatever it sends. Attempts are
 * seconds apart, so each may be a write to the API. True: something else than before. */
static bool take_trouble(struct node *n)
{
	const char *said = json_get_string(n->agent.answer, "last_error");
	long long attempt = json_get_int(n->agent.answer, "attempt", 0);
	_cleanup_(freep) char *text = NULL;
	if (!str_empty(said))
		text = xasprintf("attempt %lld of %lld failed: %.*s", attempt,
				 (long long)json_get_int(n->agent.answer, "attempts", 0),
				 TROUBLE_MAX, said);
	for (char *p = text; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	char *shown = text ? redact_urls(text) : NULL;
	free(text);
	text = shown;
	if (streq(str_or(text, ""), str_or(n->record.step.trouble, "")))
		return false;
	str_replace(&n->record.step.trouble, text);
	return true;
}

/* At most every 30 s or 10 %, and when its trouble changes: each time is a write to the API. */
static void take_progress(struct node *n)
{
	struct node_progress *p = &n->progress;
	uint64_t before = p->bytes_done,
		 total = (uint64_t)json_get_int(n->agent.answer, "total_bytes", 0);
	p->bytes_done = (uint64_t)json_get_int(n->agent.answer, "received_bytes", 0);
	p->bytes_total = total;
	if (p->bytes_done > before)
		metric_add(METRIC_IMAGE_BYTES, (double)(p->bytes_done - before));
	p->bytes_per_second = (uint64_t)json_get_int(n->agent.answer, "bytes_per_s", 0);
	bool tenth = total > 0 && before / (total / 10 + 1) != p->bytes_done / (total / 10 + 1);
	bool trouble = take_trouble(n);
	if (tenth || trouble || node_now(n) >= n->progress_stored + 30 * USEC_PER_SEC)
		record_progress(n);
}

/* While the write runs, every other question is for its progress, and more while somebody looks. An
 * agent that is not ours knows no such thing, and refuses: then never again in this step. */
static bool ask_progress(struct node *n)
{
	if (n->agent.ask.state == ASK_ANSWERED && json_get(n->agent.answer, "received_bytes")) {
		take_progress(n);
		n->agent.ask.state = ASK_IDLE;
		n->op.progress_turn = watched(n) &&
				      node_now(n) < n->op.looked_at + LOOK_S * USEC_PER_SEC;
		step_rest(n, (watched(n) ? 1 : 5) * USEC_PER_SEC);
		return true;
	}
	bool refused = n->agent.ask.state == ASK_FAILED && n->agent.ask.err->code >= 400;
	if (n->op.progress_asked && (refused || n->agent.ask.state == ASK_ANSWERED)) {
		n->op.progress_unknown = true;
		n->agent.ask.state = ASK_IDLE;
	}
	/* Its answer, or none, has been seen; what is asked next are the commands. */
	if (n->agent.ask.state != ASK_RUNNING)
		n->op.progress_asked = false;
	if (!n->op.commanded || n->agent.ask.state != ASK_IDLE || n->op.progress_unknown ||
	    !n->op.progress_turn)
		return false;
	n->op.progress_asked = true;
	node_ask_agent(n, "GET", "/v1/ingot/progress", NULL, 10 * USEC_PER_SEC);
	return true;
}

static enum step_result run_write(struct node *n, struct err *err)
{
	if (ask_progress(n))
		return STEP_WAIT;
	n->op.progress_turn = true;
	enum step_result r = run_command(n, "deploy", "execute_deploy_step", "writing the image",
					 write_params, err);
	if (r == STEP_DONE)
		n->record.image.written_at = node_wall(n);
	if (r != STEP_WAIT) {
		memset(&n->record.progress, 0, sizeof(n->record.progress));
		str_replace(&n->record.step.trouble, NULL);
	}
	return r;
}

static struct json *bootloader_params(struct node *n, struct err *err)
{
	(void)n, (void)err;
	struct json *params = json_new_object();
	/* A whole-disk image: the agent finds the EFI system partition itself. */
	json_set(params, "root_uuid", json_new_null());
	json_set(params, "efi_system_part_uuid", json_new_null());
	json_set(params, "prep_boot_part_uuid", json_new_null());
	json_set_string(params, "target_boot_mode", "uefi");
	return params;
}

static enum step_result run_boot_entry(struct node *n, struct err *err)
{
	return run_command(n, "image", "install_bootloader", "making the UEFI boot entry",
			   bootloader_params, err);
}

/* --- the end of the agent --------------------------------------------------------------------- */

/* Asks the agent to switch off, which flushes the disks, and switches off hard if it does not do so
 * in time. */
static enum step_result run_agent_off(struct node *n, struct err *err)
{
	enum step_result r = bmc_settle(n, err);
	if (r != STEP_DONE)
		return r;
	if (n->agent.ask.state == ASK_RUNNING)
		return STEP_WAIT;
	if (!n->power.fresh) {
		node_ask_power(n, true);
		return STEP_WAIT;
	}
	if (n->power.state == PROV_POWER_OFF)
		return STEP_DONE;
	if (!n->op.commanded) {
		n->op.commanded = true;
		n->op.commanded_at = node_now(n);
		node_ask_agent(n, "POST", "/v1/commands/?wait=false",
			       agent_command("standby.power_off", NULL), AGENT_CALL_TIMEOUT);
		return STEP_WAIT;
	}
	n->power.fresh = false;
	/* The agent may well be gone before it has answered, so a failed call is no reason to hurry
	 * much. */
	usec_t patience = n->agent.ask.state == ASK_FAILED ? 10 * USEC_PER_SEC
							   : n->engine->options.timeouts.power / 2;
	if (!power_overdue(n, patience))
		return step_rest(n, poll_delay(n));
	log_info("the agent did not switch the machine off; the BMC does", "host", n->key);
	n->agent.ask.state = ASK_IDLE;
	n->op.commanded_at = node_now(n);
	node_ask_action(n, BMC_ACTION_OFF);
	return STEP_WAIT;
}

/* --- rows ------------------------------------------------------------------------------------- */

static const char power_words[] = "the BMC to change the power state";
static const char boot_words[] = "the BMC to set the boot device";
static const char ramdisk_words[] =
	"the boot ramdisk to report (see the machine's console; check that it boots from the network on the NIC of "
	"bootMACAddress)";

const struct step steps[_STEP_MAX] = {
	[STEP_VERIFY] = { "verify", NULL, run_verify, TIMEOUT(power), "the BMC to answer", false },
	[STEP_FIND_AGENT] = { "find agent", NULL, run_find_agent, TIMEOUT(boot),
			      "the agent to answer", false },
	[STEP_POWER_OFF] = { "power off", node_no_boot, run_power_off, TIMEOUT(boot), power_words,
			     false },
	[STEP_BOOT_NETWORK] = { "boot from network", node_new_boot, run_boot_network, TIMEOUT(boot),
				boot_words, false },
	[STEP_POWER_ON] = { "power on", NULL, run_power_on, TIMEOUT(boot), power_words, false },
	[STEP_WAIT_INVENTORY] = { "wait for inventory", NULL, run_wait_inventory, TIMEOUT(boot),
				  ramdisk_words, true },
	[STEP_WAIT_AGENT] = { "wait for agent", NULL, run_wait_agent, TIMEOUT(boot), ramdisk_words,
			      true },
	[STEP_CHOOSE_DISK] = { "choose disk", NULL, run_choose_disk, TIMEOUT(boot),
			       "the agent to find the disk", false },
	[STEP_CLEAN] = { "clean metadata", NULL, run_clean, TIMEOUT(step),
			 "the agent to clean the disks", false },
	[STEP_WRITE] = { "write image", enter_write, run_write, TIMEOUT(step),
			 "the agent to write the image", false },
	[STEP_BOOT_ENTRY] = { "boot entry", NULL, run_boot_entry, TIMEOUT(boot),
			      "the agent to make the UEFI boot entry", false },
	[STEP_BOOT_DISK] = { "boot from disk", NULL, run_boot_disk, TIMEOUT(boot), boot_words,
			     false },
	[STEP_AGENT_OFF] = { "agent power off", NULL, run_agent_off, TIMEOUT(boot), power_words,
			     false },
	[STEP_START_DISK] = { "start from disk", node_no_boot, run_power_on, TIMEOUT(boot),
			      power_words, false },
	[STEP_FINAL_OFF] = { "final power off", node_no_boot, run_power_off, TIMEOUT(boot),
			     power_words, false },
	[STEP_SOFT_OFF] = { "soft power off", NULL, run_soft_off, TIMEOUT(boot), power_words,
			    false },
};
