/* What controllers ask. Each call compares what the controller wants with the state of the
 * node, starts the operation that is missing, and tells how far it is. After a restart the node
 * knows only its record: the first call of the controller then resumes the operation that the
 * record names. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "engine/internal.h"
#include "net/net.h"
#include "prov/image.h"

#define RESTED (10 * USEC_PER_MIN)

static void done(struct prov_result *ret)
{
	*ret = (struct prov_result){ .outcome = PROV_DONE };
}

/* The engine kicks when it goes on; asking again now and then keeps a lost kick from costing more
 * than minutes. */
static void running(struct prov_result *ret, bool started)
{
	*ret = (struct prov_result){ .outcome = PROV_RUNNING,
				     .started = started,
				     .requeue = 5 * USEC_PER_MIN };
}

/* Peers quote the URLs that they were given. */
static void set_shown(struct prov_result *ret, const char *text)
{
	_cleanup_(freep) char *shown = redact_urls(text);
	snprintf(ret->error, sizeof(ret->error), "%s", shown);
}

/* An operation of the node is under way. */
static void running_op(const struct node *n, struct prov_result *ret)
{
	running(ret, false);
	if (n->op.fault && n->op.last)
		set_shown(ret, n->op.last->text);
}

static void failed(struct prov_result *ret, const char *text)
{
	*ret = (struct prov_result){ .outcome = PROV_FAILED };
	set_shown(ret, text);
}

/* Of what is said of the host; see enum prov_problem. */
static int problem(struct prov_result *ret, enum prov_problem what, const char *subject)
{
	failed(ret, subject);
	ret->problem = what;
	return -EINVAL;
}

/* Nothing goes on with a node whose record was changed by somebody else: the controller loads it
 * first. Nor with one whose record cannot be read. */
static struct node *usable(struct engine *e, const struct prov_host *host, struct prov_result *ret)
{
	struct node *n = node_find(e, host->key);
	if (n && !n->save.lost && !n->held)
		return n;
	if (n && !n->save.lost) {
		running(ret, false); /* the controller asks nothing of a held host */
		return NULL;
	}
	if (n && n->save.unreadable) {
		failed(ret, n->save.unreadable->text);
		return NULL;
	}
	running(ret, false);
	ret->requeue = USEC_PER_SEC;
	return NULL;
}

/* Controller and record can be at odds: a status that was wiped by hand, a record that was edited.
 * That is an error of this host, and no reason to do anything to it. */
static bool may_start(const struct node *n, enum op_kind kind, struct prov_result *ret)
{
	/* Ironic's "rebuild", which no controller of ours asks for. */
	bool rebuilds = n->state == NODE_ERROR && kind == OP_DEPLOY;
	if (!rebuilds && node_may_go(n, op_info(kind)->during))
		return true;
	_cleanup_(freep) char *subject = xasprintf("\"%s\" while host %s is \"%s\"",
						   op_info(kind)->name, n->key,
						   node_state_info(n->state)->name);
	problem(ret, PROV_WRONG_STATE, subject);
	return false;
}

/* --- registration ----------------------------------------------------------------------------- */

static bool take_string(char **slot, const char *s)
{
	if (streq(*slot, s))
		return false;
	str_replace(slot, s);
	return true;
}

/* True when the BMC has to be asked again. */
static bool take_bmc_settings(struct node *n, const struct prov_host *host)
{
	bool changed = take_string(&n->power.address, host->bmc_address);
	changed |= n->power.insecure != host->bmc_insecure;
	n->power.insecure = host->bmc_insecure;
	changed |= take_string(&n->power.pin, host->bmc_pin);
	if (!host->username || !host->password)
		return changed;
	changed |= take_string(&n->power.username, host->username);
	changed |= take_string(&n->power.ca, host->bmc_ca);
	if (!streq(n->power.password, host->password)) {
		n->power.password = secret_free(n->power.password);
		n->power.password = xstrdup(host->password);
		changed = true;
	}
	return changed;
}

static void take_settings(struct node *n, const struct prov_host *host)
{
	n->spec.boot_mode = host->boot_mode;
	n->spec.cleaning = host->cleaning;
	json_free(n->spec.root_hints);
	n->spec.root_hints = host->root_hints ? json_dup(host->root_hints) : NULL;
	n->spec.root_hints_default = host->root_hints_default;
	n->spec.root_hints_why = host->root_hints_why;
	str_replace(&n->spec.network_data, host->network_data);
	str_replace(&n->spec.network_data_error, host->network_data_error);
	node_take_boot_mac(n, str_or(host->boot_mac, ""));
	node_take_fixed_address(n, host->dhcp_address);
}

void engine_know(struct engine *e, const struct prov_host *host)
{
	struct node *n = node_find(e, host->key);
	if (n)
		take_settings(n, host);
}

static int check_boot_mac(const struct node *n, const struct prov_host *host,
			  struct prov_result *ret)
{
	struct net_mac mac;
	/* The API's pattern for it is not anchored. */
	if (!str_empty(host->boot_mac) && net_parse_mac(host->boot_mac, &mac) < 0)
		return problem(ret, PROV_BAD_BOOT_MAC, host->boot_mac);
	const struct node *owner = engine_by_mac_text(n->engine, str_or(host->boot_mac, ""));
	if (!owner || owner == n)
		return 0;
	_cleanup_(freep) char *text = xasprintf(
		"MAC address %s conflicts with existing node %s%s", host->boot_mac, owner->key,
		streq(owner->spec.boot_mac, host->boot_mac)
			? ""
			: ", whose last inspection found a NIC with it; if that is wrong, inspect "
			  "that host again");
	failed(ret, text);
	return -EEXIST;
}

static int unsupported(struct prov_result *ret, const char *text)
{
	failed(ret, text);
	return -ENOTSUP;
}

/* What the driver cannot do stands in its row, and nowhere else. */
static int check_driver(const struct node *n, const struct bmc_address *a,
			const struct prov_host *host, struct prov_result *ret)
{
	const struct bmc_driver *driver = bmc_driver_find(n->engine->options.drivers, a->scheme,
							  NULL);
	enum bmc_boot_method method;
	struct err err = { 0 };
	/* One that there is none of is reported when it is opened. */
	if (!driver || host->power_only)
		return 0;
	if (host->boot_mode == BOOT_UEFI_SECURE &&
	    !bmc_driver_supports(driver, BMC_OP_SET_SECURE_BOOT)) {
		_cleanup_(freep) char *text = xasprintf(
			"BMC driver %s does not support secure boot", a->scheme->name);
		return unsupported(ret, text);
	}
	if (node_boot_method(n, a, host->boot_mode, &method, &err) < 0)
		return unsupported(ret, err.text);
	return 0;
}

static int check_scheme(const struct node *n, const struct bmc_address *a,
			const struct prov_host *host, struct prov_result *ret)
{
	const struct bmc_scheme *s = a->scheme;
	bool needs_mac = s->needs_mac || (s->boot == BMC_BOOT_NETWORK && !host->power_only);
	if (needs_mac && str_empty(host->boot_mac))
		return problem(ret, PROV_NEEDS_BOOT_MAC, s->name);
	return check_driver(n, a, host, ret);
}

/* A pin that nothing is held against would be no more than a comfort. */
static int check_pin(const struct bmc_address *a, const struct prov_host *host,
		     struct prov_result *ret)
{
	bool tls = a->scheme->http && !a->plain_http;
	return host->bmc_pin && !tls ? problem(ret, PROV_NO_CERTIFICATE, a->scheme->name) : 0;
}

static int check_host(const struct node *n, const struct prov_host *host, struct prov_result *ret)
{
	struct bmc_address address = { 0 };
	struct err err = { 0 };
	int r = check_boot_mac(n, host, ret);
	if (r < 0)
		return r;
	r = bmc_address_parse(str_or(host->bmc_address, ""), &address, &err);
	if (r < 0)
		failed(ret, err.text);
	else
		r = check_scheme(n, &address, host, ret);
	if (r == 0)
		r = check_pin(&address, host, ret);
	bmc_address_done(&address);
	return r;
}

static void start_verify(struct node *n, struct prov_result *ret)
{
	struct err err = { 0 };
	n->power.verified = false;
	err_keep(&n->power.verify_error, NULL);
	if (node_open_bmc(n, &err) < 0) {
		err_keep(&n->power.verify_error, &err);
		failed(ret, err.text);
		return;
	}
	op_start(n, OP_VERIFY);
	running(ret, true);
}

/* What an address says of the machine. Who asks it and how (user, password, query) may change, and
 * is kept nowhere but in the spec. A new string. */
static char *bmc_identity(const char *address)
{
	char *identity = redact_url(address);
	identity[strcspn(identity, "?#")] = '\0';
	return identity;
}

/* Earlier releases stored addresses as the spec had them, with passwords that stood in them. */
static void mask_record(struct node *n)
{
	const char *stored = n->record.registered.bmc_address;
	_cleanup_(freep) char *plain = bmc_identity(str_or(stored, ""));
	bool changed = stored && take_string(&n->record.registered.bmc_address, plain);
	changed |= node_mask_image(n);
	if (changed)
		node_save(n);
}

/* Metal3's webhooks refuse such edits; this is for an API without them. */
static int check_identity(const struct node *n, const struct prov_host *host,
			  const struct prov_register *params, struct prov_result *ret)
{
	const char *address = n->record.registered.bmc_address;
	const char *mac = n->record.registered.boot_mac;
	if (!params->settled)
		return 0;
	_cleanup_(freep) char *was = bmc_identity(str_or(address, ""));
	_cleanup_(freep) char *is = bmc_identity(str_or(host->bmc_address, ""));
	if (!str_empty(address) && !streq(was, is))
		return problem(ret, PROV_OTHER_BMC, "");
	if (!params->leaving && !n->record.registered.never_booted && !str_empty(mac) &&
	    !streq(mac, str_or(host->boot_mac, "")))
		return problem(ret, PROV_OTHER_BOOT_MAC, mac);
	return 0;
}

static void take_identity(struct node *n, const struct prov_host *host)
{
	_cleanup_(freep) char *address = bmc_identity(str_or(host->bmc_address, ""));
	bool changed = take_string(&n->record.registered.bmc_address, address);
	changed |= take_string(&n->record.registered.bmc_certificate, host->bmc_pin);
	if (take_string(&n->record.registered.boot_mac, host->boot_mac)) {
		n->record.registered.never_booted = true;
		changed = true;
	}
	if (changed)
		node_save(n);
}

/* BMCs lock accounts after a few refused logins, and an operator out of his own machine with them:
 * what was refused is not said again before the Secret, or the address, is another one. */
static bool retry_verify(const struct node *n, const struct prov_register *params, bool changed)
{
	bool again = params->retry && !node_bmc_refuses(n->power.verify_error);
	bool told = n->power.verify_error && !again && !params->credentials_changed;
	return changed || (!n->power.verified && !told);
}

/* Ends by itself, with a kick. Nothing else is done to the host meanwhile. */
static bool cannot_store(const struct node *n, struct prov_result *ret)
{
	const struct err *trouble = node_save_trouble(n);
	if (!trouble)
		return false;
	problem(ret, PROV_NOT_STORED, trouble->text);
	ret->passing = true;
	return true;
}

/* Does the first word of the BMC in this process contradict a record that has been at rest for
 * long? A host that is available, off, and of which no ramdisk runs, is on. After a short rest a
 * kill may have come between a command and the status that tells of it. */
static bool belies_record(struct node *n, const struct prov_host *host)
{
	usec_t rested = 0, now = node_wall(n);
	if (n->record.node.since && n->record.node.since < now)
		rested = now - n->record.node.since;
	bool first = !n->power.judged;
	n->power.judged = true;
	return first && n->state == NODE_AVAILABLE && !n->record.boot.nonce && host->rests_off &&
	       n->power.state == PROV_POWER_ON && rested > RESTED;
}

void engine_register(struct engine *e, const struct prov_host *host,
		     const struct prov_register *params, const char **ret_node_id,
		     struct prov_result *ret)
{
	struct node *n = usable(e, host, ret);
	if (!n)
		return;
	struct err err = { 0 };
	*ret_node_id = n->uid;
	if (cannot_store(n, ret))
		return;
	mask_record(n);
	if (check_identity(n, host, params, ret) < 0 || check_host(n, host, ret) < 0)
		return;
	n->spec.leaving = params->leaving;
	bool changed = take_bmc_settings(n, host);
	bool other_nic = n->spec.boot_mac && !streq(n->spec.boot_mac, host->boot_mac);
	take_settings(n, host);
	if (other_nic)
		op_boot_again(n, "its boot MAC address was changed");
	if (n->op.kind == OP_VERIFY && !changed) {
		running(ret, false);
		return;
	}
	bool busy = n->op.kind != OP_NONE && n->op.kind != OP_VERIFY;
	if (retry_verify(n, params, changed) && !busy) {
		start_verify(n, ret);
		return;
	}
	if (busy && changed) {
		if (node_open_bmc(n, &err) < 0) {
			failed(ret, err.text);
			return;
		}
		err_keep(&n->power.verify_error, NULL);
		op_advance(n);
	}
	if (n->power.verify_error && !n->power.verified)
		failed(ret, n->power.verify_error->text);
	else if (!params->leaving && belies_record(n, host)) {
		node_hold(n, "the machine is on, and by the host's state nothing powered it on: "
			     "the state may be older than the machine");
		running(ret, false);
	} else {
		take_identity(n, host);
		done(ret);
	}
}

/* --- inspection ------------------------------------------------------------------------------- */

/* A ramdisk of ours that was started for inspection lately may still post, so there is no need to
 * boot it again. */
static bool inspection_under_way(const struct node *n)
{
	usec_t limit = n->engine->options.timeouts.boot;
	return n->record.boot.nonce && streq(n->record.boot.purpose, op_info(OP_INSPECT)->name) &&
	       !n->record.agent.url && node_wall(n) < n->record.boot.started_at + limit;
}

static void start_inspection(struct node *n, struct prov_result *ret)
{
	if (!may_start(n, OP_INSPECT, ret))
		return;
	n->inspection.inventory = json_free(n->inspection.inventory);
	node_event(n, false, "InspectionStarted", "Hardware inspection started");
	op_start(n, OP_INSPECT);
	running(ret, true);
}

void engine_inspect(struct engine *e, const struct prov_host *host,
		    const struct prov_inspect *params, const struct json **ret_inventory,
		    struct prov_result *ret)
{
	struct node *n = usable(e, host, ret);
	*ret_inventory = NULL;
	if (!n)
		return;
	if (n->op.kind == OP_INSPECT && !params->force_reboot) {
		running_op(n, ret);
		return;
	}
	if (n->state == NODE_INSPECTING && n->op.kind == OP_NONE && !params->force_reboot) {
		op_resume(n, OP_INSPECT);
		running(ret, false);
		return;
	}
	if (n->state == NODE_INSPECT_FAILED && !params->retry) {
		failed(ret, str_or(n->record.node.last_error, "inspection failed"));
		return;
	}
	if (n->inspection.inventory && n->state == NODE_MANAGEABLE && !params->refresh) {
		*ret_inventory = n->inspection.inventory;
		done(ret);
		return;
	}
	if (n->state == NODE_MANAGEABLE && inspection_under_way(n) && !params->refresh) {
		node_set_state(n, NODE_INSPECTING);
		op_resume_at(n, OP_INSPECT, STEP_WAIT_INVENTORY);
		running(ret, false);
		return;
	}
	start_inspection(n, ret);
}

/* --- preparing -------------------------------------------------------------------------------- */

void engine_prepare(struct engine *e, const struct prov_host *host,
		    const struct prov_prepare *params, struct prov_result *ret)
{
	(void)params;
	struct node *n = usable(e, host, ret);
	if (!n)
		return;
	/* The controller is past inspecting: the inventory is stored. */
	if (n->inspection.inventory)
		node_take_nics(n);
	node_release_inspection(n, 202);
	n->inspection.inventory = json_free(n->inspection.inventory);
	if (n->state == NODE_INSPECTING)
		op_abort(n); /* inspection was disabled while it ran */
	if (n->state == NODE_ENROLL || n->state == NODE_INSPECTING ||
	    n->state == NODE_INSPECT_FAILED)
		node_set_state(n, NODE_MANAGEABLE);
	if (n->state == NODE_MANAGEABLE) {
		node_set_state(n, NODE_AVAILABLE);
		node_save(n);
	}
	if (n->save.running)
		running(ret, true);
	else
		done(ret);
}

/* --- provisioning ----------------------------------------------------------------------------- */

static void take_config_drive(struct node *n, const struct prov_config_drive *drive)
{
	json_free(n->spec.config_drive);
	n->spec.config_drive = json_new_object();
	json_set_string(n->spec.config_drive, "meta_data", drive->meta_data);
	json_set_string(n->spec.config_drive, "network_data", drive->network_data);
	if (!drive->user_data)
		return;
	_cleanup_(secret_freep) char *encoded = base64_encode(drive->user_data,
							      drive->user_data_len);
	json_set_string(n->spec.config_drive, "user_data", encoded);
}

static void deploy_failed_text(const struct node *n, struct prov_result *ret)
{
	const struct node_record *r = &n->record;
	const char *why = str_or(r->node.last_error, "unknown error");
	*ret = (struct prov_result){ .outcome = PROV_FAILED };
	if (str_empty(r->image.checksum))
		snprintf(ret->error, sizeof(ret->error), "Image provisioning failed (url: %s): %s",
			 r->image.url, why);
	else
		snprintf(ret->error, sizeof(ret->error),
			 "Image provisioning failed (url: %s, checksum: %s): %s", r->image.url,
			 r->image.checksum, why);
}

static void start_deploy(struct node *n, const struct prov_provision *params,
			 struct prov_result *ret)
{
	struct err err = { 0 };
	const char *member = NULL;
	if (prov_image_check(&params->image, &member, &err) < 0) {
		failed(ret, err.text);
		return;
	}
	op_abort(n);
	if (n->state == NODE_INSPECTING)
		node_set_state(n, NODE_MANAGEABLE);
	if (!may_start(n, OP_DEPLOY, ret))
		return;
	node_take_image(n, &params->image);
	take_config_drive(n, &params->config_drive);
	node_event(n, false, "ProvisioningStarted", "Image provisioning started for %s",
		   n->record.image.url);
	/* An agent that was at work on another image is not to be trusted with the disk as it is,
	 * so its heartbeat is not waited for either. */
	if (n->state == NODE_DEPLOYING || n->state == NODE_DEPLOY_FAILED)
		node_no_boot(n);
	op_start(n, OP_DEPLOY);
	running(ret, true);
}

void engine_provision(struct engine *e, const struct prov_host *host,
		      const struct prov_provision *params, struct prov_result *ret)
{
	struct node *n = usable(e, host, ret);
	if (!n)
		return;
	node_release_inspection(n, 202);
	bool same = node_same_image(n, &params->image);
	if (same)
		node_know_image(n, &params->image);
	if (n->state == NODE_ACTIVE && same) {
		n->spec.config_drive = json_free(n->spec.config_drive);
		node_forget_image(n);
		if (n->save.running)
			running(ret, false);
		else
			done(ret);
		return;
	}
	if (n->state == NODE_DEPLOYING && same && !params->force_reboot) {
		if (n->op.kind != OP_DEPLOY) {
			take_config_drive(n, &params->config_drive);
			op_resume(n, OP_DEPLOY);
		}
		running_op(n, ret);
		return;
	}
	if (n->state == NODE_DEPLOY_FAILED && same && !params->retry) {
		deploy_failed_text(n, ret);
		return;
	}
	start_deploy(n, params, ret);
}

void engine_deprovision(struct engine *e, const struct prov_host *host,
			const struct prov_deprovision *params, struct prov_result *ret)
{
	struct node *n = usable(e, host, ret);
	if (!n)
		return;
	node_release_inspection(n, 202);
	if (n->op.kind == OP_UNDEPLOY) {
		running_op(n, ret);
		return;
	}
	if (n->state == NODE_AVAILABLE) {
		if (n->save.running)
			running(ret, false);
		else
			done(ret);
		return;
	}
	if (n->state == NODE_DELETING) {
		op_resume(n, OP_UNDEPLOY);
		running(ret, false);
		return;
	}
	if (n->state == NODE_ERROR && !params->retry) {
		failed(ret, str_or(n->record.node.last_error, "deprovisioning failed"));
		return;
	}
	n->spec.config_drive = json_free(n->spec.config_drive);
	node_forget_image(n);
	node_event(n, false, "DeprovisioningStarted", "Image deprovisioning started");
	op_start(n, OP_UNDEPLOY);
	running(ret, true);
}

static void take_over(struct node *n)
{
	node_set_state(n, NODE_ACTIVE);
	n->record.node.cleaned_at = 0; /* there is a tenant, whatever was cleaned before */
	node_save(n);
}

void engine_adopt(struct engine *e, const struct prov_host *host, bool retry,
		  struct prov_result *ret)
{
	(void)retry;
	struct node *n = usable(e, host, ret);
	if (!n)
		return;
	if (n->state == NODE_INSPECTING || n->state == NODE_INSPECT_FAILED) {
		op_abort(n);
		node_set_state(n, NODE_MANAGEABLE);
	}
	if (n->state == NODE_DEPLOYING)
		op_abort(n); /* the controller has seen its end; only the record has not */
	if (n->state != NODE_ACTIVE && node_may_go(n, NODE_ACTIVE))
		take_over(n);
	if (n->save.running)
		running(ret, true);
	else
		done(ret);
}

void engine_remove(struct engine *e, const struct prov_host *host, bool force,
		   struct prov_result *ret)
{
	struct node *n = node_find(e, host->key);
	if (n && force && n->record.registered.bmc_address) {
		str_replace(&n->record.registered.bmc_address, NULL);
		str_replace(&n->record.registered.boot_mac, NULL);
		str_replace(&n->record.registered.bmc_certificate, NULL);
		n->record.registered.never_booted = false;
		node_save(n);
	}
	if (n && force && n->save.running) {
		running(ret, false);
		return;
	}
	node_free(n);
	done(ret);
}

/* --- power ------------------------------------------------------------------------------------ */

enum prov_power engine_power(struct engine *e, const struct prov_host *host, bool *ret_fault)
{
	struct node *n = node_find(e, host->key);
	*ret_fault = n && (n->power.read_failures >= 3 || n->op.fault);
	return n ? n->power.state : PROV_POWER_UNKNOWN;
}

static bool is_power_op(enum op_kind kind)
{
	return kind == OP_POWER_ON || kind == OP_POWER_OFF || kind == OP_SOFT_OFF;
}

/* Only a host that is being deleted is switched off hard in the middle of an inspection, which may
 * wait for a ramdisk for another half an hour. */
static bool give_up_inspection(struct node *n, enum op_kind kind)
{
	if (kind != OP_POWER_OFF || n->op.kind != OP_INSPECT)
		return false;
	op_abort(n);
	node_set_state(n, NODE_INSPECT_FAILED);
	return true;
}

static void change_power(struct engine *e, const struct prov_host *host, enum op_kind kind,
			 bool force, struct prov_result *ret)
{
	struct node *n = usable(e, host, ret);
	if (!n)
		return;
	enum prov_power want = kind == OP_POWER_ON ? PROV_POWER_ON : PROV_POWER_OFF;
	if (n->op.kind == kind) {
		running(ret, false);
		return;
	}
	bool aborted = give_up_inspection(n, kind);
	if (n->op.kind != OP_NONE && !is_power_op(n->op.kind)) {
		running(ret, false);
		ret->requeue = 3 * USEC_PER_SEC;
		return;
	}
	if (n->power.error && !force) {
		failed(ret, n->power.error->text);
		err_keep(&n->power.error, NULL);
		return;
	}
	err_keep(&n->power.error, NULL);
	/* What was known of the power may be older than what the inspection did to it. */
	if (n->op.kind == OP_NONE && !aborted && n->power.state == want) {
		done(ret);
		return;
	}
	if (want == PROV_POWER_OFF && n->record.boot.nonce) {
		node_no_boot(n);
		node_save(n);
	}
	op_start(n, kind);
	running(ret, true);
}

void engine_power_on(struct engine *e, const struct prov_host *host, bool force,
		     struct prov_result *ret)
{
	change_power(e, host, OP_POWER_ON, force, ret);
}

void engine_power_off(struct engine *e, const struct prov_host *host, bool hard, bool force,
		      struct prov_result *ret)
{
	change_power(e, host, hard ? OP_POWER_OFF : OP_SOFT_OFF, force, ret);
}

bool engine_has_capacity(struct engine *e, const struct prov_host *host)
{
	const struct node *n = node_find(e, host->key);
	return e->busy < e->options.capacity || (n && op_info(n->op.kind)->counts);
}
