/* Steps of the image: the disk that it goes to, and the write with its progress. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "base/redact.h"
#include "crypt/crypt.h"
#include "engine/steps/steps.h"
#include "metrics/metrics.h"
#include "wire/configdrive.h"

enum { TROUBLE_MAX = 320 }; /* of an agent's text */

/* --- the disk --------------------------------------------------------------------------------- */

struct json *step_choose_params(struct node *n, struct err *err)
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
enum step_result step_choose_disk(struct node *n, struct err *err)
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
	return step_agent(n, err);
}

void step_disk_chosen(struct node *n)
{
	tell_disk(n, agent_command_result(n->agent.answer, "choose_disk"));
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

/* The record holds none of it: there are passwords in it. */
struct json *step_write_params(struct node *n, struct err *err)
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
	return step_params(n, args);
}

void step_enter_write(struct node *n)
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

/* Does somebody look at the progress, and does the agent know it? */
static bool watched(const struct node *n)
{
	const struct write_step *s = n->op.state;
	return node_now(n) < n->watched_until && !s->unknown;
}

/* While the write runs, every other question is for its progress, and more while somebody looks. An
 * agent that is not ours knows no such thing, and refuses: then never again in this step. */
static bool ask_progress(struct node *n)
{
	struct write_step *s = n->op.state;
	if (n->agent.ask.state == ASK_ANSWERED && json_get(n->agent.answer, "received_bytes")) {
		take_progress(n);
		n->agent.ask.state = ASK_IDLE;
		s->turn = watched(n) && node_now(n) < s->command.looked_at + LOOK_S * USEC_PER_SEC;
		step_rest(n, (watched(n) ? 1 : 5) * USEC_PER_SEC);
		return true;
	}
	bool refused = n->agent.ask.state == ASK_FAILED && n->agent.ask.err->code >= 400;
	if (s->asked && (refused || n->agent.ask.state == ASK_ANSWERED)) {
		s->unknown = true;
		n->agent.ask.state = ASK_IDLE;
	}
	/* Its answer, or none, has been seen; what is asked next are the commands. */
	if (n->agent.ask.state != ASK_RUNNING)
		s->asked = false;
	if (!s->command.commanded || n->agent.ask.state != ASK_IDLE || s->unknown || !s->turn)
		return false;
	s->asked = true;
	node_ask_agent(n, "GET", "/v1/ingot/progress", NULL, 10 * USEC_PER_SEC);
	return true;
}

void step_write_note(struct node *n, enum step_note note)
{
	struct write_step *s = n->op.state;
	switch (note) {
	case STEP_NOTE_HEARTBEAT:
		s->turn = false; /* the list of commands is looked at next */
		break;
	case STEP_NOTE_WATCHED:
		/* A pause that was chosen when nobody looked; one after a failure stays. */
		if (!s->command.commanded || s->unknown || n->agent.ask.state != ASK_IDLE ||
		    n->op.last)
			break;
		n->op.not_before = MIN(n->op.not_before, node_now(n) + USEC_PER_SEC);
		timer_set_at(&n->wake, MIN(n->op.not_before, n->op.deadline));
		break;
	case STEP_NOTE_BMC_DROPPED:
		break;
	}
}

void step_written(struct node *n)
{
	n->record.image.written_at = node_wall(n);
}

enum step_result step_write(struct node *n, struct err *err)
{
	struct write_step *s = n->op.state;
	if (ask_progress(n))
		return STEP_WAIT;
	s->turn = true;
	s->command.soon = watched(n);
	enum step_result r = step_agent(n, err);
	if (r != STEP_WAIT) {
		memset(&n->record.progress, 0, sizeof(n->record.progress));
		str_replace(&n->record.step.trouble, NULL);
	}
	return r;
}
