/* The steps that touch disks: write_image with all that belongs to it, and the erase steps over all
 * disks. They find their disks themselves, by the hints of the node that the server sent. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/disk/configpart.h"
#include "agent/disk/erase.h"
#include "agent/disk/table.h"
#include "agent/disk/wipe.h"
#include "agent/hw/disks.h"
#include "agent/hw/settle.h"
#include "agent/hw/sysfs.h"
#include "agent/run.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	FORMATS_MAX = 16,
	URLS_MAX = 8,
	DEVICE_TRIES = 20,
	DISKS_QUIET_MS = 200, /* without a new one: that was all */
	DISKS_WAIT_MS = 30000,
};

static const char *const fault_types[_DISK_FAULT_MAX] = {
	[DISK_FAULT_NONE] = "ImageWriteError",
	[DISK_FAULT_REQUEST] = "InvalidCommandParamsError",
	[DISK_FAULT_DOWNLOAD] = "ImageDownloadError",
	[DISK_FAULT_IMAGE] = "InvalidImage",
	[DISK_FAULT_CHECKSUM] = "ImageChecksumError",
	[DISK_FAULT_DEVICE] = "ImageWriteError",
};

/* --- the root device ------------------------------------------------------------------------- */

/* instance_info beats properties. */
static const struct json *node_hints(const struct json *node)
{
	const struct json *hints = json_get_path(node, "instance_info.root_device");
	if (json_is_null(hints))
		hints = json_get_path(node, "properties.root_device");
	return json_is_null(hints) ? NULL : hints;
}

/* Of two disks that fit, the second must not come after the choice. */
static void settle(const struct agent_env *env)
{
	if (str_empty(env->root))
		hw_settle_disks(env->loop, DISKS_QUIET_MS, DISKS_WAIT_MS);
}

/* Said by Ingot's engine of a device name that neither the host's hints nor its profile ask for. */
static bool hints_are_default(const struct json *node)
{
	return json_get_bool(json_get(node, "properties"), "ingot_root_device_default", false);
}

struct wanted {
	struct agent_env *env;
	const struct json *hints;
	struct err *err;
	char *device;
};

/* Asked again after each event: the disk that is meant may be the last to be found. */
static bool look_for_root(void *data)
{
	struct wanted *w = data;
	struct hw_disks disks = hw_disks_read(w->env->root);
	const struct hw_disk *d = hw_disks_root(&disks, w->hints, w->err);
	if (d)
		w->device = xstrdup(d->name);
	hw_disks_done(&disks);
	/* Hints that leave a choice leave it with more disks, too. */
	return d || w->err->kind == ERR_INVALID;
}

/* Asked only after the whole wait: a disk that is alone because it was found first must not be
 * taken for the machine's only one. */
static char *only_disk(struct agent_env *env, struct err *err)
{
	struct hw_disks disks = hw_disks_read(env->root);
	_cleanup_(strbuf_done) struct strbuf list = { 0 };
	const struct hw_disk *only = NULL;
	size_t count = 0;
	for (size_t i = 0; i < disks.count; i++) {
		const struct hw_disk *d = &disks.items[i];
		if (!hw_disk_usable(d))
			continue;
		only = d;
		strbuf_addf(&list, "%s%s (%.1f GiB, serial %s)", count++ ? ", " : "", d->name,
			    (double)d->size / (1 << 30), str_or(d->serial, "unknown"));
	}
	char *device = count == 1 ? xstrdup(only->name) : NULL;
	if (!device)
		err_set(err, ERR_NOT_FOUND,
			"it is not said which disk to write to: there is none of the default name "
			"and there are %zu others: %.300s; set spec.rootDeviceHints, as in "
			"serialNumber or deviceName",
			count, list.len ? list.data : "none");
	hw_disks_done(&disks);
	return device;
}

char *agent_root_device(struct agent_env *env, struct err *err)
{
	struct wanted w = { .env = env, .hints = node_hints(env->node), .err = err };
	uint64_t wait_ms = env->config->disk_attempts * env->config->disk_delay * 1000;
	if (disk_hints_check(w.hints, err) < 0)
		return NULL;
	settle(env);
	(void)hw_wait_for_disks(env->loop, look_for_root, &w,
				(unsigned)MIN(wait_ms, (uint64_t)INT32_MAX));
	if (!w.device && hints_are_default(env->node))
		return only_disk(env, err);
	return w.device;
}

int agent_choose_disk(struct agent_run *run)
{
	_cleanup_(freep) char *device = agent_root_device(run->env, &run->err);
	run->error_type = "DeviceNotFound";
	if (!device)
		return err_value(&run->err);
	struct hw_disks disks = hw_disks_read(run->env->root);
	for (size_t i = 0; i < disks.count; i++)
		if (streq(disks.items[i].name, device))
			run->result = hw_disk_json(&disks.items[i]);
	hw_disks_done(&disks);
	return run->result ? 0 : err_set(&run->err, ERR_NOT_FOUND, "%s has gone again", device);
}

/* --- write_image ----------------------------------------------------------------------------- */

struct order {
	const char *urls[URLS_MAX + 1];
	const char *formats[FORMATS_MAX + 1];
	struct disk_image_options options;
};

/* The scheme of the image's URL chooses, not the one of the proxy. */
static void set_proxy(struct order *o, const struct json *info)
{
	const char *scheme = strncasecmp(o->urls[0], "https", 5) == 0 ? "https" : "http";
	const char *proxy = json_get_string(json_get(info, "proxies"), scheme);
	o->options.fetch.proxy = str_empty(proxy) ? NULL : proxy;
	o->options.fetch.no_proxy = json_get_string(info, "no_proxy");
}

static void set_authorization(struct order *o, const struct json *info, char **ret_decoded)
{
	const char *encoded = json_get_string(info, "image_request_authorization");
	void *plain = NULL;
	size_t len = 0;
	/* Base64 of the complete value of the header. */
	if (!str_empty(encoded) && base64_decode(encoded, strlen(encoded), &plain, &len) == 0)
		*ret_decoded = plain;
	o->options.fetch.authorization = *ret_decoded;
	if (!streq(json_get_string(info, "image_server_auth_strategy"), "http_basic"))
		return;
	o->options.fetch.username = json_get_string(info, "image_server_user");
	o->options.fetch.password = json_get_string(info, "image_server_password");
}

/* Without a list from the server (our engine, standalone use) every format that we know is
 * fine. */
static void set_policy(struct order *o, const struct json *policy)
{
	size_t count = 0;
	o->options.sum.allow_md5 = json_get_bool(policy, "agent_md5_checksum_enable", false);
	json_for_each(format, json_get(policy, "permitted_image_formats"))
		if (json_string(format) && count < FORMATS_MAX)
			o->formats[count++] = json_string(format);
	o->options.permitted = count > 0 ? o->formats : NULL;
}

static void set_times(struct disk_fetch_options *f, const struct agent_config *c)
{
	f->connect_timeout = c->image_timeout * USEC_PER_SEC;
	f->retries = (unsigned)c->image_retries;
	f->retry_interval = c->image_interval * USEC_PER_SEC;
	f->max_duration = c->image_duration * USEC_PER_SEC;
}

/* Errors of the order itself: repeating the step cannot help. */
static int bad_params(struct agent_run *run, const char *why)
{
	run->error_type = "InvalidCommandParamsError";
	return err_set(&run->err, ERR_INVALID, "image_info %s", why);
}

/* The same demands as the reference's validator of prepare_image. */
static int fill_order(struct agent_run *run, const struct json *info, struct order *o)
{
	size_t count = 0;
	json_for_each(url, json_get(info, "urls"))
		if (json_string(url) && count < URLS_MAX)
			o->urls[count++] = json_string(url);
	if (count == 0)
		return bad_params(run, "has no urls");
	if (str_empty(json_get_string(info, "id")))
		return bad_params(run, "has no id");
	if (streq(json_get_string(info, "image_type"), "partition"))
		return bad_params(
			run, "describes a partition image: only whole-disk images are supported");
	o->options = (struct disk_image_options){
		.fetch = { .urls = o->urls, .tls = run->env->tls },
		.sum = { .os_hash_algo = json_get_string(info, "os_hash_algo"),
			 .os_hash_value = json_get_string(info, "os_hash_value"),
			 .checksum = json_get_string(info, "checksum") },
		.format = json_get_string(info, "disk_format"),
		.memory_limit = disk_image_memory(hw_free_memory(run->env->root)),
		.progress = &run->env->progress,
	};
	set_times(&o->options.fetch, run->env->config);
	set_policy(o, run->env->policy);
	set_proxy(o, info);
	return 0;
}

static void make_guid(struct agent_env *env, struct gpt_guid *id)
{
	memcpy(id->b, env->random, sizeof(id->b));
	/* Version 4 of RFC 4122, in the mixed order of the disk. */
	id->b[7] = (uint8_t)((id->b[7] & 0x0f) | 0x40);
	id->b[8] = (uint8_t)((id->b[8] & 0x3f) | 0x80);
}

static int place_config_drive(struct agent_run *run, const struct disk_dev *d, const char *value,
			      const struct disk_fetch_options *fetch)
{
	_cleanup_(freep) void *data = NULL;
	struct gpt_guid id;
	size_t len = 0;
	unsigned partition = 0;
	make_guid(run->env, &id);
	int r = disk_configdrive_load(value, fetch, &data, &len, &run->err);
	return r < 0 ? r : disk_configdrive_place(d, data, len, &id, &partition, &run->err);
}

/* The backup GPT to the end of the disk, then the config drive. */
static int finish_disk(struct agent_run *run, const char *device, const char *config_drive,
		       const struct disk_fetch_options *fetch)
{
	_cleanup_(disk_dev_close) struct disk_dev d = { .fd = -1 };
	_cleanup_(disk_table_done) struct disk_table t = { 0 };
	atomic_store(&run->env->progress.phase, DISK_PHASE_FINISH);
	int r = disk_dev_open_wait(device, DEVICE_TRIES, &d, &run->err);
	if (r == 0)
		r = disk_table_read(&d, &t, &run->err);
	if (r == 0)
		r = disk_table_fix(&d, &t, &run->err);
	if (r == 0 && !str_empty(config_drive))
		r = place_config_drive(run, &d, config_drive, fetch);
	if (r == 0)
		disk_dev_reread(&d);
	atomic_store(&run->env->progress.phase, DISK_PHASE_IDLE);
	return r;
}

/* The device is remembered before the write: a later install_bootloader means this one. */
static int write_to(struct agent_run *run, const char *device, const struct json *info,
		    const struct json *args, struct order *o)
{
	_cleanup_(freep) char *node = hw_disk_node(run->env->root, device);
	struct disk_image_result result = { 0 };
	enum disk_fault fault = DISK_FAULT_NONE;
	const char *drive = json_get_string(args, "configdrive");
	str_replace(&run->env->device, device);
	run->env->root_uuid[0] = '\0';
	o->options.device = node;
	int r = disk_image_write(&o->options, &result, &fault, &run->err);
	if (r < 0) {
		run->error_type = fault_types[fault];
		return r;
	}
	if (str_empty(drive))
		drive = json_get_string(info, "configdrive");
	r = finish_disk(run, node, drive, &o->options.fetch);
	if (r < 0) {
		run->error_type = "ImageWriteError";
		return r;
	}
	snprintf(run->env->root_uuid, sizeof(run->env->root_uuid), "0x%08x", result.disk_id);
	char written[24], peak[24];
	snprintf(written, sizeof(written), "%llu", (unsigned long long)result.written_bytes);
	snprintf(peak, sizeof(peak), "%llu", (unsigned long long)hw_peak_memory(run->env->root));
	log_info("image written", "bytes", written, "peak_memory_bytes", peak);
	return 0;
}

int agent_write_check(struct agent_run *run, const struct json *args)
{
	struct order o = { 0 };
	return fill_order(run, json_get(args, "image_info"), &o);
}

int agent_write_image(struct agent_run *run, const struct json *args, char **ret_text)
{
	struct order o = { 0 };
	_cleanup_(secret_freep) char *authorization = NULL;
	const struct json *info = json_get(args, "image_info");
	int r = fill_order(run, info, &o);
	if (r < 0)
		return r;
	set_authorization(&o, info, &authorization);
	_cleanup_(freep) char *device = agent_root_device(run->env, &run->err);
	if (!device) {
		run->error_type = "DeviceNotFound";
		return err_value(&run->err);
	}
	log_info("writing the image", "id", json_get_string(info, "id"), "device", device);
	r = write_to(run, device, info, args, &o);
	if (r == 0)
		*ret_text = xasprintf("image (%s) written to device %s root_uuid=%s",
				      json_get_string(info, "id"), device, run->env->root_uuid);
	return r;
}

/* --- erasing --------------------------------------------------------------------------------- */

/* properties.skip_block_devices: data disks that cleaning must leave alone. */
static bool is_skipped(const struct json *node, const struct hw_disk *d)
{
	struct disk_facts facts = hw_disk_facts(d);
	json_for_each(hints, json_get_path(node, "properties.skip_block_devices"))
		if (json_count(hints) > 0 && disk_hints_match(hints, &facts))
			return true;
	return false;
}

typedef int (*erase_fn)(struct agent_run *run, const struct disk_dev *d, struct err *err);

/* All disks, also after one has failed; the failures together are the error. */
static int each_disk(struct agent_run *run, erase_fn fn)
{
	settle(run->env);
	struct hw_disks disks = hw_disks_read(run->env->root);
	_cleanup_(strbuf_done) struct strbuf failures = { 0 };
	for (size_t i = 0; i < disks.count; i++) {
		const struct hw_disk *k = &disks.items[i];
		_cleanup_(disk_dev_close) struct disk_dev d = { .fd = -1 };
		_cleanup_(freep) char *node = hw_disk_node(run->env->root, k->name);
		struct err err = { 0 };
		if (!hw_disk_usable(k) || is_skipped(run->env->node, k))
			continue;
		int r = disk_dev_open_wait(node, DEVICE_TRIES, &d, &err);
		if (r == 0)
			r = fn(run, &d, &err);
		if (r < 0)
			strbuf_addf(&failures, "%s%s", failures.len ? "; " : "", err.text);
	}
	hw_disks_done(&disks);
	if (failures.len == 0)
		return 0;
	return err_set(&run->err, ERR_IO, "%.480s", failures.data);
}

static int wipe_one(struct agent_run *run, const struct disk_dev *d, struct err *err)
{
	return disk_wipe_metadata(d, run->env->config->guard_special, err);
}

int agent_erase_metadata(struct agent_run *run)
{
	return each_disk(run, wipe_one);
}

/* Passes as the server's node says; the reference's defaults are one random and one of zeros. */
static int erase_one(struct agent_run *run, const struct disk_dev *d, struct err *err)
{
	const struct json *info = json_get(run->env->node, "driver_internal_info");
	int64_t passes = json_get_int(info, "agent_erase_devices_iterations", 1);
	struct disk_erase_options options = {
		.passes = (unsigned)MAX(passes, (int64_t)0),
		.zeroize = json_get_bool(info, "agent_erase_devices_zeroize", true),
		.progress = &run->env->progress,
	};
	memcpy(&options.seed, run->env->random, sizeof(options.seed));
	/* The guard of shared file systems holds here, too. */
	int r = disk_wipe_metadata(d, run->env->config->guard_special, err);
	return r < 0 ? r : disk_erase(d, &options, err);
}

int agent_erase_devices(struct agent_run *run)
{
	atomic_store(&run->env->progress.phase, DISK_PHASE_ERASE);
	atomic_store(&run->env->progress.written, 0);
	int r = each_disk(run, erase_one);
	atomic_store(&run->env->progress.phase, DISK_PHASE_IDLE);
	return r;
}
