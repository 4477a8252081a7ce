/* Who acts on a field of BareMetalHost's spec? Every leaf of the CRD stands in the table, with a
 * value that makes a difference: in what the engine is told, in what is written, or in what
 * admission says. A field that is parsed, shown and carried nowhere cannot have such a row. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/rules.h"
#include "base/mem.h"
#include "ctrl/host/host.h"
#include "prov/hints.h"
#include "unit/parse.h"
#include "yaml/yaml_json.h"
#include "json/patch.h"

enum actor {
	ENGINE,	 /* its calls are others */
	AGENT,	 /* it is put in effect, and is one of the hints that agents are given */
	STATUS,	 /* what is written is another */
	REFUSED, /* it cannot be done, and admission says so */
	WARNED,	 /* nothing comes of it, and admission says so */
	PEOPLE,	 /* it is there to be read */
};

/* A row of a group speaks for all that is below it. */
static const struct row {
	const char *path;
	enum actor actor;
	const char *state;  /* of the host */
	const char *before; /* patch of both hosts; may be NULL */
	const char *patch;  /* of the second host; PEOPLE: who reads it */
} rows[] = {
	{ "spec.architecture", PEOPLE, NULL, NULL,
	  "filled in by inspection; a machine's own DHCP request says what it boots" },
	{ "spec.automatedCleaningMode", ENGINE, "available", NULL,
	  "{'spec':{'automatedCleaningMode':'disabled'}}" },
	{ "spec.bmc.address", ENGINE, "available", NULL,
	  "{'spec':{'bmc':{'address':'ipmi://192.0.2.8'}}}" },
	{ "spec.bmc.credentialsName", ENGINE, "available", NULL,
	  "{'spec':{'bmc':{'credentialsName':'other'}}}" },
	{ "spec.bmc.disableCertificateVerification", ENGINE, "available", NULL,
	  "{'spec':{'bmc':{'disableCertificateVerification':true}}}" },
	{ "spec.bootMACAddress", ENGINE, "available", NULL,
	  "{'spec':{'bootMACAddress':'52:54:00:aa:00:02'}}" },
	{ "spec.bootMode", ENGINE, "available", NULL, "{'spec':{'bootMode':'legacy'}}" },
	{ "spec.consumerRef", PEOPLE, NULL, NULL, "Events name it, and ingotctl shows it" },
	{ "spec.customDeploy.method", REFUSED, NULL, NULL,
	  "{'spec':{'customDeploy':{'method':'x'}}}" },
	{ "spec.description", PEOPLE, NULL, NULL, "people" },
	{ "spec.disablePowerOff", ENGINE, "provisioned",
	  "{'metadata':{'annotations':{'reboot.metal3.io':''}},'status':{'poweredOn':true}}",
	  "{'spec':{'disablePowerOff':true}}" },
	{ "spec.externallyProvisioned", STATUS, "registering", NULL,
	  "{'spec':{'externallyProvisioned':true}}" },
	{ "spec.firmware", REFUSED, NULL, NULL, "{'spec':{'firmware':{'sriovEnabled':true}}}" },
	{ "spec.hardwareProfile", STATUS, "preparing", NULL,
	  "{'spec':{'hardwareProfile':'dell'}}" },
	{ "spec.image.url", ENGINE, "provisioning", NULL,
	  "{'spec':{'image':{'url':'http://a/c'}},'status':{'lastAttemptedImage':{'url':'http://a/c'}}}" },
	{ "spec.image.checksum", ENGINE, "provisioning", NULL,
	  "{'spec':{'image':{'checksum':'d'}},'status':{'lastAttemptedImage':{'checksum':'d'}}}" },
	{ "spec.image.checksumType", ENGINE, "provisioning", NULL,
	  "{'spec':{'image':{'checksumType':'md5'}},'status':{'lastAttemptedImage':{'checksumType':'md5'}}}" },
	{ "spec.image.format", ENGINE, "provisioning", NULL,
	  "{'spec':{'image':{'format':'raw'}},'status':{'lastAttemptedImage':{'format':'raw'}}}" },
	{ "spec.image.ociAuthSecretName", WARNED, NULL, NULL,
	  "{'spec':{'image':{'ociAuthSecretName':'x'}}}" },
	{ "spec.inspectionMode", STATUS, "inspecting", NULL,
	  "{'spec':{'inspectionMode':'disabled'}}" },
	{ "spec.metaData.name", ENGINE, "provisioning", NULL,
	  "{'spec':{'metaData':{'name':'m'}}}" },
	{ "spec.metaData.namespace", REFUSED, NULL, NULL,
	  "{'spec':{'metaData':{'name':'m','namespace':'x'}}}" },
	{ "spec.networkData.name", ENGINE, "provisioning", NULL,
	  "{'spec':{'networkData':{'name':'n'}}}" },
	{ "spec.networkData.namespace", REFUSED, NULL, NULL,
	  "{'spec':{'networkData':{'name':'n','namespace':'x'}}}" },
	{ "spec.networkInterfaces", WARNED, NULL, NULL,
	  "{'spec':{'networkInterfaces':[{'name':'eth0','switchPort':{'switchID':'a','portID':'b'}}]}}" },
	{ "spec.online", ENGINE, "available", "{'spec':{'image':null}}",
	  "{'spec':{'online':false}}" },
	{ "spec.preprovisioningNetworkDataName", ENGINE, "provisioning", NULL,
	  "{'spec':{'preprovisioningNetworkDataName':'n'}}" },
	{ "spec.raid.hardwareRAIDVolumes", REFUSED, NULL, NULL,
	  "{'spec':{'raid':{'hardwareRAIDVolumes':[{'level':'1'}]}}}" },
	{ "spec.raid.softwareRAIDVolumes", REFUSED, NULL, NULL,
	  "{'spec':{'raid':{'softwareRAIDVolumes':[{'level':'1'}]}}}" },
	{ "spec.rootDeviceHints.deviceName", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'deviceName':'/dev/x'}}}" },
	{ "spec.rootDeviceHints.hctl", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'hctl':'1:0:0:0'}}}" },
	{ "spec.rootDeviceHints.minSizeGigabytes", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'minSizeGigabytes':5}}}" },
	{ "spec.rootDeviceHints.model", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'model':'x'}}}" },
	{ "spec.rootDeviceHints.rotational", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'rotational':false}}}" },
	{ "spec.rootDeviceHints.serialNumber", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'serialNumber':'x'}}}" },
	{ "spec.rootDeviceHints.vendor", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'vendor':'x'}}}" },
	{ "spec.rootDeviceHints.wwn", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'wwn':'x'}}}" },
	{ "spec.rootDeviceHints.wwnVendorExtension", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'wwnVendorExtension':'x'}}}" },
	{ "spec.rootDeviceHints.wwnWithExtension", AGENT, "preparing", NULL,
	  "{'spec':{'rootDeviceHints':{'wwnWithExtension':'x'}}}" },
	{ "spec.taints", WARNED, NULL, NULL, "{'spec':{'taints':[{'key':'a','effect':'b'}]}}" },
	{ "spec.userData.name", ENGINE, "provisioning", NULL,
	  "{'spec':{'userData':{'name':'u'}}}" },
	{ "spec.userData.namespace", REFUSED, NULL, NULL,
	  "{'spec':{'userData':{'name':'u','namespace':'x'}}}" },
};

/* --- a host and its Secrets ------------------------------------------------------------------- */

#define IMAGE "{'url':'http://a/b','checksum':'c','checksumType':'sha256','format':'qcow2'}"

static struct json *host(const struct row *r, bool second)
{
	struct json *j = parse_quoted(
		"{'metadata':{'name':'node-1','namespace':'metal3','uid':'u1','generation':1,"
		"'resourceVersion':'42','finalizers':['baremetalhost.metal3.io']},"
		"'spec':{'online':true,'bootMACAddress':'52:54:00:aa:00:01','image':" IMAGE ","
		"'bmc':{'address':'ipmi://192.0.2.7','credentialsName':'bmc'}},"
		"'status':{'lastUpdated':'2025-12-31T00:00:00Z','poweredOn':false,"
		"'lastAttemptedImage':" IMAGE ","
		"'provisioning':{'state':'available','ID':'u1'}}}");
	const char *const patches[] = { r->before, second ? r->patch : NULL };
	if (r->state) {
		struct json *status = json_get_mut(j, "status");
		json_set_string(json_get_mut(status, "provisioning"), "state", r->state);
		if (streq(r->state, "provisioned"))
			json_set(json_get_mut(status, "provisioning"), "image",
				 parse_quoted(IMAGE));
	}
	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		_cleanup_(json_freep) struct json *p = patches[i] ? parse_quoted(patches[i]) : NULL;
		if (p)
			json_merge_patch(&j, p);
	}
	return j;
}

static struct json *secret(const char *name)
{
	_cleanup_(freep) char *text = xasprintf(
		"{'metadata':{'name':'%s','namespace':'metal3','resourceVersion':'1',"
		"'labels':{'environment.metal3.io':'baremetal'},"
		"'finalizers':['baremetalhost.metal3.io/secret'],"
		"'ownerReferences':[{'apiVersion':'metal3.io/v1alpha1','kind':'BareMetalHost',"
		"'name':'node-1','uid':'u1'}]},'data':{'username':'%s','password':'eA==',"
		"'userData':'eA==','metaData':'eyJhIjoxfQ==','networkData':'eyJhIjoxfQ=='}}",
		name, streq(name, "bmc") ? "YQ==" : "Yg==");
	return parse_quoted(text);
}

/* --- an engine that writes down what it is told ----------------------------------------------- */

struct recorder {
	struct provisioner base;
	struct strbuf calls;
};

static void note(struct provisioner *p, const struct prov_host *h, const char *call,
		 struct prov_result *ret)
{
	struct recorder *r = container_of(p, struct recorder, base);
	_cleanup_(freep) char *hints = h->root_hints ? json_to_string(h->root_hints) : NULL;
	strbuf_addf(&r->calls, "%s %s %d %s %s %s %d %d %d %s\n", call, h->bmc_address,
		    h->bmc_insecure, str_or(h->username, "-"), h->boot_mac,
		    str_or(h->dhcp_address, "-"), h->boot_mode, h->cleaning, h->power_only,
		    str_or(hints, "-"));
	*ret = (struct prov_result){ .outcome = PROV_DONE };
}

static void reg(struct provisioner *p, const struct prov_host *h,
		const struct prov_register *params, const char **ret_node_id,
		struct prov_result *ret)
{
	(void)params;
	note(p, h, "register", ret);
	*ret_node_id = "u1";
}

static void inspect(struct provisioner *p, const struct prov_host *h,
		    const struct prov_inspect *params, const struct json **ret_inventory,
		    struct prov_result *ret)
{
	(void)params;
	note(p, h, "inspect", ret);
	ret->outcome = PROV_RUNNING;
	*ret_inventory = NULL;
}

static void prepare(struct provisioner *p, const struct prov_host *h,
		    const struct prov_prepare *params, struct prov_result *ret)
{
	(void)params;
	note(p, h, "prepare", ret);
}

static void provision(struct provisioner *p, const struct prov_host *h,
		      const struct prov_provision *params, struct prov_result *ret)
{
	const struct prov_image *i = &params->image;
	const struct prov_config_drive *c = &params->config_drive;
	_cleanup_(freep) char *call = xasprintf(
		"provision %s %s %s %s %s %s %s", i->url, i->checksum, i->checksum_type, i->format,
		str_or(c->meta_data, "-"), str_or(c->user_data, "-"), str_or(c->network_data, "-"));
	note(p, h, call, ret);
}

static void adopt(struct provisioner *p, const struct prov_host *h, bool retry,
		  struct prov_result *ret)
{
	(void)retry;
	note(p, h, "adopt", ret);
}

static enum prov_power power(struct provisioner *p, const struct prov_host *h, bool *ret_fault)
{
	(void)p, (void)h;
	*ret_fault = false;
	return PROV_POWER_UNKNOWN;
}

static void power_on(struct provisioner *p, const struct prov_host *h, bool force,
		     struct prov_result *ret)
{
	(void)force;
	note(p, h, "on", ret);
}

static void power_off(struct provisioner *p, const struct prov_host *h, bool hard, bool force,
		      struct prov_result *ret)
{
	(void)hard, (void)force;
	note(p, h, "off", ret);
}

static bool has_capacity(struct provisioner *p, const struct prov_host *h)
{
	(void)p, (void)h;
	return true;
}

static const struct provisioner_ops ops = {
	.register_host = reg,
	.inspect = inspect,
	.prepare = prepare,
	.provision = provision,
	.adopt = adopt,
	.power = power,
	.power_on = power_on,
	.power_off = power_off,
	.has_capacity = has_capacity,
};

/* --- what a pass comes to --------------------------------------------------------------------- */

static void pass(const struct json *object, char **ret_calls, char **ret_writes)
{
	struct recorder r = { .base.ops = &ops };
	struct fact secrets[_SECRET_USE_MAX] = { 0 };
	struct host_facts f = { .object = object,
				.secrets = secrets,
				.provisioner = &r.base,
				.now = UINT64_C(1767225600) * USEC_PER_SEC,
				.max_provisioning_retries = 5 };
	const char *names[_SECRET_USE_MAX];
	struct outcome out;
	struct strbuf writes = { 0 };
	struct bmh h;
	assert_int_equal(bmh_parse(object, &h, NULL), 0);
	host_secrets_wanted(&h, names);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		if (names[i]) {
			secrets[i].state = FACT_FOUND;
			secrets[i].object = secret(names[i]);
		}
	bmh_release(&h);
	host_reconcile(&f, &out);
	for (size_t i = 0; i < out.write_count; i++)
		if (out.writes[i].body)
			json_print(json_get(out.writes[i].body, "status"), &writes);
	outcome_done(&out);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		json_free(secrets[i].object);
	strbuf_adds(&r.calls, ""), strbuf_adds(&writes, "");
	*ret_calls = strbuf_take(&r.calls, NULL);
	*ret_writes = strbuf_take(&writes, NULL);
}

static void check_pass(const struct row *r)
{
	_cleanup_(json_freep) struct json *a = host(r, false), *b = host(r, true);
	_cleanup_(freep) char *calls_a = NULL, *writes_a = NULL, *calls_b = NULL, *writes_b = NULL;
	pass(a, &calls_a, &writes_a);
	pass(b, &calls_b, &writes_b);
	bool differ = r->actor == ENGINE ? !streq(calls_a, calls_b) : !streq(writes_a, writes_b);
	if (!differ)
		fail_msg("%s makes no difference:\n%s%s", r->path, calls_b, writes_b);
	if (r->actor != AGENT)
		return;
	struct json *hints = prov_agent_hints(json_get_path(b, "spec.rootDeviceHints"));
	assert_int_equal(json_count(hints), 1);
	json_free(hints);
}

static void check_admission(const struct row *r)
{
	_cleanup_(json_freep) struct json *j = host(r, true);
	const struct rule_subject s = { .operation = RULE_CREATE,
					.kind = "BareMetalHost",
					.ns = "metal3",
					.name = "node-1",
					.now = j };
	_cleanup_(rule_findings_done) struct rule_findings f = { 0 };
	rules_check(&s, &f);
	_cleanup_(freep) char *denial = rule_findings_text(&f);
	const char *said = r->actor == REFUSED ? denial : f.warning_count ? f.warnings[0] : NULL;
	_cleanup_(freep) char *parent = xstrdup(r->path);
	if (str_has_suffix(parent, ".method"))
		*strrchr(parent, '.') = '\0';
	if (!said || !strstr(said, parent))
		fail_msg("%s: admission says %s", r->path, str_or(said, "nothing"));
}

static void test_actors(void **state)
{
	(void)state;
	for (const struct row *r = rows; r < rows + ARRAY_SIZE(rows); r++)
		switch (r->actor) {
		case ENGINE:
		case AGENT:
		case STATUS:
			check_pass(r);
			break;
		case REFUSED:
		case WARNED:
			check_admission(r);
			break;
		case PEOPLE:
			assert_non_null(r->patch);
			break;
		}
}

/* --- the CRD ---------------------------------------------------------------------------------- */

static bool covered(const char *path)
{
	for (const struct row *r = rows; r < rows + ARRAY_SIZE(rows); r++) {
		size_t len = strlen(r->path);
		bool below = str_has_prefix(path, r->path) &&
			     (path[len] == '.' || path[len] == '[' || path[len] == '\0');
		if (below)
			return true;
	}
	return false;
}

static unsigned walk(const struct json *schema, const char *path)
{
	const struct json *properties = json_get(schema, "properties");
	unsigned leaves = 0;
	json_for_each(p, properties) {
		_cleanup_(freep) char *below = xasprintf("%s.%s", path, json_key(p));
		leaves += walk(p, below);
	}
	if (properties)
		return leaves;
	if (json_get(schema, "items")) {
		_cleanup_(freep) char *element = xasprintf("%s[]", path);
		return walk(json_get(schema, "items"), element);
	}
	if (!covered(path))
		fail_msg("nobody acts on %s: give it an actor, and a row in this table", path);
	return 1;
}

static void test_every_field_has_an_actor(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf yaml = { 0 }, text = { 0 };
	_cleanup_(json_freep) struct json *crd = NULL;
	char buf[4096];
	FILE *f = fopen("crds/metal3.io_baremetalhosts.yaml", "re");
	assert_non_null(f);
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&yaml, buf, n);
	fclose(f);
	assert_int_equal(yaml_to_json(yaml.data, yaml.len, &text, NULL), 0);
	assert_int_equal(json_parse(text.data, text.len, &crd, NULL), 0);
	const struct json *version = json_at(json_get_path(crd, "spec.versions"), 0);
	const struct json *spec = json_get_path(version, "schema.openAPIV3Schema.properties.spec");
	assert_true(walk(spec, "spec") > 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actors),
		cmocka_unit_test(test_every_field_has_an_actor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
