/* Steps around media: into a slot of the BMC and out of it again, and what the machine boots from;
 * and Secure Boot, which is looked at and switched in the same way. Each looks first: another
 * process may have done it, or half of it. */

#include "base/log.h"
#include "base/mem.h"
#include "engine/steps/steps.h"

/* Is the answer to this step's last question there? If not, the question failed, was dropped, or
 * was another process's: the step begins anew, which does no harm. */
static enum step_result settle(struct node *n, struct err *err)
{
	struct media_step *s = n->op.state;
	bool answered = n->power.ask.state == ASK_ANSWERED;
	enum step_result r = step_bmc_settle(n, err);
	if (!answered && (r == STEP_DONE || n->power.ask.state == ASK_IDLE))
		s->phase = MEDIA_BEGIN;
	return r;
}

static void ask(struct node *n, int phase, const struct bmc_request *request)
{
	struct media_step *s = n->op.state;
	s->phase = (__typeof__(s->phase))phase;
	s->bmc.commanded = phase != MEDIA_LOOK;
	node_ask_bmc(n, request);
}

static void ask_media(struct node *n, int phase, enum bmc_op op)
{
	_cleanup_(secret_freep) char *url = node_medium_url(n);
	ask(n, phase, &(struct bmc_request){ .op = op, .media.url = url });
}

static bool is_for_this_boot(const struct node *n)
{
	return streq(n->record.media.nonce, n->record.boot.nonce);
}

/* --- into the slot ---------------------------------------------------------------------------- */

/* Freezes what goes in. True: it is on its way to the record, or failed. */
static bool make(struct node *n, enum bmc_boot_method method, enum step_result *ret,
		 struct err *err)
{
	if (is_for_this_boot(n))
		return false;
	*ret = STEP_WAIT;
	if (node_make_medium(n, method, err) < 0)
		*ret = STEP_FAILED;
	else
		node_save(n);
	return true;
}

/* The address that the BMC will ask from. True: not known yet. */
static bool look_for_reader(struct node *n, enum step_result *ret, struct err *err)
{
	*ret = STEP_WAIT;
	if (n->medium.error) {
		struct err e = *n->medium.error;
		err_keep(&n->medium.error, NULL);
		err_wrap(&e, "host %s", n->key);
		*ret = step_trouble(n, &e, err);
		return true;
	}
	return !node_know_reader(n);
}

/* The medium is chosen by us and frozen; the slot is looked at. */
static enum step_result begin_insert(struct node *n, struct err *err)
{
	enum step_result r;
	if (n->record.media.nonce && !is_for_this_boot(n)) {
		ask_media(n, MEDIA_OTHER, BMC_OP_EJECT_MEDIA);
		return STEP_WAIT;
	}
	if (look_for_reader(n, &r, err) || make(n, BMC_BOOT_MEDIA, &r, err))
		return r;
	ask(n, MEDIA_LOOK, &(struct bmc_request){ .op = BMC_OP_GET_MEDIA });
	return STEP_WAIT;
}

/* Somebody works with that machine: nobody but a person can say that his medium may go. */
static bool slot_is_taken(const struct node *n)
{
	const struct media_step *s = n->op.state;
	return n->power.ask.state == ASK_FAILED && s->phase == MEDIA_CHANGE &&
	       n->power.ask.err->kind == ERR_CONFLICT;
}

static enum step_result insert(struct node *n)
{
	_cleanup_(secret_freep) char *url = node_medium_url(n);
	if (streq(n->power.media_url, url)) {
		log_info("the boot medium is in its slot already", "host", n->key);
		return STEP_DONE;
	}
	ask_media(n, MEDIA_CHANGE, BMC_OP_INSERT_MEDIA);
	return STEP_WAIT;
}

enum step_result step_insert_media(struct node *n, struct err *err)
{
	const struct media_step *s = n->op.state;
	if (slot_is_taken(n)) {
		err_copy(err, n->power.ask.err);
		err_wrap(err,
			 "host %s: another client's medium is in the BMC, and Ingot does not take "
			 "it out: eject it there",
			 n->key);
		return STEP_FAILED;
	}
	enum step_result r = settle(n, err);
	if (r != STEP_DONE)
		return r;
	switch (s->phase) {
	case MEDIA_BEGIN:
		return begin_insert(n, err);
	case MEDIA_OTHER:
		node_forget_medium(n);
		return begin_insert(n, err);
	case MEDIA_LOOK:
		return insert(n);
	case MEDIA_CHANGE:
		break;
	}
	return STEP_DONE;
}

/* --- booting from it -------------------------------------------------------------------------- */

enum step_result step_boot_media(struct node *n, struct err *err)
{
	return step_set_device(n, BMC_DEVICE_CDROM, false, err);
}

enum step_result step_boot_http(struct node *n, struct err *err)
{
	struct media_step *s = n->op.state;
	enum step_result r = settle(n, err);
	if (r != STEP_DONE || s->phase == MEDIA_CHANGE)
		return r;
	if (make(n, BMC_BOOT_UEFI_HTTP, &r, err))
		return r;
	_cleanup_(secret_freep) char *url = node_medium_url(n);
	s->phase = MEDIA_CHANGE;
	s->bmc.commanded = true;
	node_ask_boot(n, BMC_DEVICE_UEFI_HTTP, false, url);
	return STEP_WAIT;
}

/* --- out of the slot -------------------------------------------------------------------------- */

/* With its URL always: without one a BMC ejects what anybody inserted. */
enum step_result step_eject_media(struct node *n, struct err *err)
{
	const struct media_step *s = n->op.state;
	enum step_result r = settle(n, err);
	if (r != STEP_DONE || !n->record.media.nonce)
		return r;
	bool in_slot = streq(n->record.media.method, bmc_boot_method_name(BMC_BOOT_MEDIA));
	if (in_slot && s->phase != MEDIA_CHANGE) {
		ask_media(n, MEDIA_CHANGE, BMC_OP_EJECT_MEDIA);
		return STEP_WAIT;
	}
	node_forget_medium(n);
	node_save(n);
	return STEP_DONE;
}

/* --- Secure Boot ------------------------------------------------------------------------------ */

static bool wants_secure_boot(const struct node *n)
{
	return n->spec.boot_mode == BOOT_UEFI_SECURE;
}

/* A host that asks for it must not run without, and be thought to. */
static bool cannot_secure(const struct node *n, struct err *err)
{
	if (n->power.ask.state != ASK_FAILED || n->power.ask.err->kind != ERR_UNSUPPORTED)
		return false;
	err_copy(err, n->power.ask.err);
	err_wrap(err,
		 "host %s: Secure Boot cannot be switched %s by its BMC: do it in the firmware's "
		 "setup and set spec.bootMode to UEFI",
		 n->key, wants_secure_boot(n) ? "on" : "off");
	return true;
}

enum step_result step_secure_boot(struct node *n, struct err *err)
{
	const struct media_step *s = n->op.state;
	bool want = wants_secure_boot(n);
	if (cannot_secure(n, err))
		return STEP_FAILED;
	enum step_result r = settle(n, err);
	if (r != STEP_DONE)
		return r;
	if (s->phase == MEDIA_BEGIN) {
		ask(n, MEDIA_LOOK, &(struct bmc_request){ .op = BMC_OP_GET_SECURE_BOOT });
		return STEP_WAIT;
	}
	if (s->phase == MEDIA_LOOK && n->power.secure_boot != want) {
		ask(n, MEDIA_CHANGE,
		    &(struct bmc_request){ .op = BMC_OP_SET_SECURE_BOOT, .enable = want });
		return STEP_WAIT;
	}
	/* What was on before is not ours to switch off. */
	if (s->phase == MEDIA_CHANGE || !want)
		n->record.secure_boot = want;
	return STEP_DONE;
}
