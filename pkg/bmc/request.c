/* Requests and results as rows of one table: what an op is called, and which of their strings have
 * to be copied and freed. Pure functions. any thread */

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/bmc.h"

/* --- what owns strings ------------------------------------------------------------------------ */

static void media_dup(struct bmc_media *m)
{
	*m = (struct bmc_media){ xstrdup(m->url), xstrdup(m->username), xstrdup(m->password) };
}

static void media_done(struct bmc_media *m)
{
	m->url = secret_free(m->url); /* a token may be part of it */
	m->username = secret_free(m->username);
	m->password = secret_free(m->password);
}

void bmc_settings_add(struct bmc_settings *s, const char *name, const char *value)
{
	s->items = xreallocarray(s->items, s->count + 1, sizeof(*s->items));
	s->items[s->count++] = (struct bmc_setting){ xstrdup(name), xstrdup(value) };
}

const char *bmc_settings_get(const struct bmc_settings *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (streq(s->items[i].name, name))
			return s->items[i].value;
	return NULL;
}

static void settings_dup(struct bmc_settings *s)
{
	const struct bmc_settings from = *s;
	*s = (struct bmc_settings){ 0 };
	for (size_t i = 0; i < from.count; i++)
		bmc_settings_add(s, from.items[i].name, from.items[i].value);
}

static void settings_done(struct bmc_settings *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].name);
		secret_free(s->items[i].value); /* of password attributes, too */
	}
	free(s->items);
	*s = (struct bmc_settings){ 0 };
}

static void firmware_dup(struct bmc_firmware *f)
{
	*f = (struct bmc_firmware){ xstrdup(f->component), xstrdup(f->url) };
}

static void firmware_done(struct bmc_firmware *f)
{
	free(f->component);
	f->url = secret_free(f->url);
	f->component = NULL;
}

static void job_dup(struct bmc_job *j)
{
	j->id = xstrdup(j->id);
	j->text = xstrdup(j->text);
}

static void job_done(struct bmc_job *j)
{
	free(j->id);
	free(j->text);
	j->id = j->text = NULL;
}

/* --- the table -------------------------------------------------------------------------------- */

enum owned { OWNED_NONE, OWNED_MEDIA, OWNED_SETTINGS, OWNED_FIRMWARE, OWNED_JOB };

static const struct {
	const char *name; /* completes "cannot" */
	enum owned request, result;
	bool begins_job;
} rows[_BMC_OP_MAX] = {
	[BMC_OP_GET_POWER] = { "read power state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_POWER] = { "change power state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_BOOT] = { "read boot device", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_BOOT] = { "set boot device", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_INFO] = { "read BMC model", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_BOOT_MODE] = { "read boot mode", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_BOOT_MODE] = { "set boot mode", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_SECURE_BOOT] = { "read secure boot state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_SECURE_BOOT] = { "set secure boot state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_MEDIA] = { "read virtual media", OWNED_NONE, OWNED_MEDIA, false },
	[BMC_OP_INSERT_MEDIA] = { "insert virtual media", OWNED_MEDIA, OWNED_NONE, false },
	[BMC_OP_EJECT_MEDIA] = { "eject virtual media", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_SETTINGS] = { "read firmware settings", OWNED_NONE, OWNED_SETTINGS, false },
	[BMC_OP_SET_SETTINGS] = { "change firmware settings", OWNED_SETTINGS, OWNED_JOB, true },
	[BMC_OP_UPDATE_FIRMWARE] = { "update firmware", OWNED_FIRMWARE, OWNED_JOB, true },
	[BMC_OP_GET_JOB] = { "read the state of a job", OWNED_JOB, OWNED_JOB, false },
	[BMC_OP_SEND_NMI] = { "send an NMI", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_LED] = { "switch the identification LED", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_CLOCK] = { "set the BMC's clock", OWNED_NONE, OWNED_NONE, false },
};

const char *bmc_op_name(enum bmc_op op)
{
	return op < _BMC_OP_MAX ? rows[op].name : "?";
}

bool bmc_op_begins_job(enum bmc_op op)
{
	return op < _BMC_OP_MAX && rows[op].begins_job;
}

void bmc_request_dup(const struct bmc_request *from, struct bmc_request *ret)
{
	struct bmc_request r = *from;
	switch (r.op < _BMC_OP_MAX ? rows[r.op].request : OWNED_NONE) {
	case OWNED_NONE:
		break;
	case OWNED_MEDIA:
		media_dup(&r.media);
		break;
	case OWNED_SETTINGS:
		settings_dup(&r.settings);
		break;
	case OWNED_FIRMWARE:
		firmware_dup(&r.firmware);
		break;
	case OWNED_JOB:
		job_dup(&r.job);
		break;
	}
	*ret = r;
}

void bmc_request_done(struct bmc_request *r)
{
	switch (r->op < _BMC_OP_MAX ? rows[r->op].request : OWNED_NONE) {
	case OWNED_NONE:
		break;
	case OWNED_MEDIA:
		media_done(&r->media);
		break;
	case OWNED_SETTINGS:
		settings_done(&r->settings);
		break;
	case OWNED_FIRMWARE:
		firmware_done(&r->firmware);
		break;
	case OWNED_JOB:
		job_done(&r->job);
		break;
	}
}

void bmc_result_dup(const struct bmc_result *from, struct bmc_result *ret)
{
	struct bmc_result r = *from;
	switch (r.op < _BMC_OP_MAX ? rows[r.op].result : OWNED_NONE) {
	case OWNED_MEDIA:
		media_dup(&r.media);
		break;
	case OWNED_SETTINGS:
		settings_dup(&r.settings);
		break;
	case OWNED_JOB:
		job_dup(&r.job);
		break;
	case OWNED_NONE:
	case OWNED_FIRMWARE:
		break;
	}
	*ret = r;
}

void bmc_result_done(struct bmc_result *r)
{
	switch (r->op < _BMC_OP_MAX ? rows[r->op].result : OWNED_NONE) {
	case OWNED_MEDIA:
		media_done(&r->media);
		break;
	case OWNED_SETTINGS:
		settings_done(&r->settings);
		break;
	case OWNED_JOB:
		job_done(&r->job);
		break;
	case OWNED_NONE:
	case OWNED_FIRMWARE:
		break;
	}
}
