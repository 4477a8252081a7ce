/* Each rule accepts and refuses. A row is an object of its kind changed by a merge patch (quotes
 * are single ones), before and after, and the text of the denial or NULL. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "admission/rules.h"
#include "base/mem.h"
#include "unit/parse.h"
#include "json/patch.h"

static const struct {
	const char *kind, *text;
} bases[] = {
	{ "BareMetalHost",
	  "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{'online':true,"
	  "'bootMACAddress':'52:54:00:aa:00:01','bmc':{'address':'redfish://192.0.2.7/redfish/v1/Systems/1',"
	  "'credentialsName':'bmc'}},'status':{'operationalStatus':'OK','provisioning':{'state':'provisioned'}}}" },
	{ "BMCEventSubscription",
	  "{'metadata':{'name':'s','namespace':'metal3'},'spec':{'hostName':'node-1',"
	  "'destination':'https://events.example.com/in'}}" },
	{ "DataImage",
	  "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{'url':'http://192.0.2.1/a.iso'}}" },
	{ "HostFirmwareComponents",
	  "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{'updates':[]}}" },
	{ "HostClaim", "{'metadata':{'name':'c','namespace':'tenant'},'spec':{'poweredOn':true}}" },
	{ "HostNetworkAttachment",
	  "{'metadata':{'name':'net','namespace':'metal3'},'spec':{'mode':'trunk','nativeVLAN':1,"
	  "'allowedVLANs':['10','20-30']}}" },
	{ "HardwareData", "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{}}" },
	{ "HostFirmwareSettings",
	  "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{'settings':{}}}" },
	{ "HostUpdatePolicy", "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{}}" },
	{ "HostDeployPolicy", "{'metadata':{'name':'p','namespace':'metal3'},'spec':{}}" },
	{ "BareMetalSwitch", "{'metadata':{'name':'s','namespace':'metal3'},'spec':{}}" },
	{ "PreprovisioningImage", "{'metadata':{'name':'node-1','namespace':'metal3'},'spec':{}}" },
};

/* Quotes within a text that holds JSON itself, as annotations do, are back-quotes. */
static struct json *parse_twice_quoted(const char *text)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	for (const char *p = text; *p; p++)
		strbuf_add(&out, *p == '`' ? "\\u0022" : p, *p == '`' ? strlen("\\u0022") : 1);
	return parse_quoted(out.data);
}

static struct json *object_of(const char *kind, const char *patch)
{
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		if (streq(bases[i].kind, kind)) {
			_cleanup_(json_freep) struct json *p = parse_twice_quoted(patch);
			struct json *j = parse_quoted(bases[i].text);
			json_merge_patch(&j, p);
			return j;
		}
	fail_msg("no base for %s", kind);
	return NULL;
}

static char *ask(enum rule_operation operation, const char *kind, const struct json *old,
		 const struct json *now)
{
	const struct json *any = now ? now : old;
	struct rule_findings f = { 0 };
	const struct rule_subject s = { .operation = operation,
					.kind = kind,
					.ns = json_get_path_string(any, "metadata.namespace"),
					.name = str_or(json_get_path_string(any, "metadata.name"),
						       ""),
					.now = now,
					.old = old };
	rules_check(&s, &f);
	char *text = rule_findings_text(&f);
	rule_findings_done(&f);
	return text;
}

static void expect(const char *what, const char *said, const char *expected)
{
	const char *taken = "(taken)";
	said = said ? said : taken;
	if (!strstr(said, expected ? expected : taken))
		fail_msg("%s: said: %s\nexpected: %s", what, said, expected ? expected : taken);
}

#define SPEC(text)   "{'spec':{" text "}}"
#define NOTE(text)   "{'metadata':{'annotations':{" text "}}}"
#define IMAGE(text)  "{'spec':{'image':{" text "}}}"
#define STATUS(text) NOTE("'baremetalhost.metal3.io/status':'{" text "}'")
#define DETAILS(text)                                                                              \
	NOTE("'inspect.metal3.io':'disabled','inspect.metal3.io/hardwaredetails':'{" text "}'")
#define IPMI  "'bmc':{'address':'ipmi://192.0.2.7'}"
#define CLAIM "HostClaim"
#define BMH   "BareMetalHost"

/* --- creation --------------------------------------------------------------------------------- */

static const struct {
	const char *kind, *patch, *denial;
} creations[] = {
	{ BMH, "{}", NULL },
	/* 1 addresses */
	{ BMH, SPEC("'bmc':{'address':''}"), NULL },
	{ BMH, SPEC("'bmc':{'address':'192.0.2.7:623'}"), NULL },
	{ BMH, SPEC("'bmc':null"), NULL },
	{ BMH, SPEC("'bmc':{'address':'bogus://192.0.2.7'}"),
	  "spec.bmc.address: Invalid value: failed to parse BMC address information: unknown BMC type" },
	{ BMH, SPEC("'bmc':{'address':'ipmi://bad_host'}"), "hostname/IP : [bad_host] is invalid" },
	{ BMH, SPEC("'bmc':{'address':'ipmi://root:hunter2@bad_host'}"), "[bad_host]" },
	/* 2 firmware */
	{ BMH, SPEC("'firmware':null"), NULL },
	{ BMH, SPEC("'firmware':{'sriovEnabled':true}"),
	  "spec.firmware: Forbidden: is not acted on" },
	/* 3 references */
	{ BMH, SPEC("'userData':{'name':'u','namespace':'metal3'},'metaData':{'name':'m'}"), NULL },
	/* Ingot's own Secrets, by each field that names one */
	{ BMH, SPEC("'bmc':{'credentialsName':'ingot-engine'}"),
	  "spec.bmc.credentialsName: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'bmc':{'credentialsName':'ingot-webhook'}"),
	  "spec.bmc.credentialsName: Invalid value: \"ingot-webhook\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'userData':{'name':'ingot-engine'}"),
	  "spec.userData.name: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'networkData':{'name':'ingot-engine'}"),
	  "spec.networkData.name: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'metaData':{'name':'ingot-engine'}"),
	  "spec.metaData.name: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'preprovisioningNetworkDataName':'ingot-engine'"),
	  "spec.preprovisioningNetworkDataName: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'image':{'url':'oci://r/i','ociAuthSecretName':'ingot-engine'}"),
	  "spec.image.ociAuthSecretName: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	{ BMH, SPEC("'bmc':{'credentialsName':'ingot-engine-2'}"), NULL },
	{ BMH, SPEC("'userData':{'name':'u','namespace':'other'}"),
	  "spec.userData.namespace: Invalid value: \"other\": the Secret must be in the host's namespace metal3" },
	{ BMH, SPEC("'networkData':{'name':'u','namespace':'other'}"),
	  "spec.networkData.namespace" },
	{ BMH, SPEC("'metaData':{'name':'u','namespace':'other'}"), "spec.metaData.namespace" },
	/* 4 RAID */
	{ BMH, SPEC("'raid':{'hardwareRAIDVolumes':[{'level':'1'}],'softwareRAIDVolumes':[]}"),
	  NULL },
	{ BMH,
	  SPEC("'raid':{'hardwareRAIDVolumes':[{'level':'1'}],'softwareRAIDVolumes':[{'level':'1'}]}"),
	  "spec.raid.softwareRAIDVolumes: Forbidden: cannot be given beside hardwareRAIDVolumes" },
	{ BMH,
	  SPEC("'raid':{'hardwareRAIDVolumes':[{'level':'1','controller':'c','physicalDisks':['a','b'],"
	       "'numberOfPhysicalDisks':2}]}"),
	  NULL },
	{ BMH,
	  SPEC("'raid':{'hardwareRAIDVolumes':[{'level':'1','controller':'c','physicalDisks':['a','b']}]}"),
	  NULL },
	{ BMH, SPEC("'raid':{'hardwareRAIDVolumes':[{'level':'1','physicalDisks':['a','b']}]}"),
	  "spec.raid.hardwareRAIDVolumes[0].controller: Required value" },
	{ BMH,
	  SPEC("'raid':{'hardwareRAIDVolumes':[{'level':'1','controller':'c','physicalDisks':['a','b'],"
	       "'numberOfPhysicalDisks':3}]}"),
	  "numberOfPhysicalDisks: Invalid value: 3: must be the number of physicalDisks, 2" },
	{ BMH, SPEC("'raid':{'softwareRAIDVolumes':[{'level':'1','rootVolume':true}]}"),
	  "software RAID is not supported yet" },
	{ BMH,
	  SPEC("'raid':{'softwareRAIDVolumes':[{'level':'1','rootVolume':true},{'level':'1','rootVolume':true}]}"),
	  "only one volume can be the root volume" },
	{ BMH,
	  SPEC("'rootDeviceHints':{'vendor':'x'},'raid':{'softwareRAIDVolumes':[{'level':'1','rootVolume':true}]}"),
	  "spec.rootDeviceHints: Forbidden" },
	{ BMH, SPEC("'raid':{'softwareRAIDVolumes':[{'level':'0','rootVolume':true}]}"),
	  "softwareRAIDVolumes[0].level: Invalid value: \"0\": must be 1 for the root volume" },
	/* 5 drivers */
	{ BMH, SPEC(IPMI ",'raid':{'hardwareRAIDVolumes':[{'level':'1'}]}"),
	  "BMC driver ipmi does not support hardware RAID" },
	{ BMH, SPEC("'bmc':{'address':'libvirt://192.0.2.7'}"), NULL },
	{ BMH, SPEC("'bmc':{'address':'libvirt://192.0.2.7'},'bootMACAddress':null"),
	  "spec.bootMACAddress: Required value: BMC driver libvirt requires a boot MAC address" },
	{ BMH, SPEC("'bootMACAddress':null"), NULL },
	{ BMH, SPEC("'bootMACAddress':null,'inspectionMode':'disabled'"),
	  "a host that is not inspected requires a boot MAC address" },
	{ BMH,
	  "{'metadata':{'annotations':{'inspect.metal3.io':'disabled'}},'spec':{'bootMACAddress':null}}",
	  "a host that is not inspected requires a boot MAC address" },
	{ BMH, SPEC("'bmc':null,'bootMACAddress':null,'inspectionMode':'disabled'"), NULL },
	{ BMH, SPEC("'bootMACAddress':'52:54:00:AA:00:01'"), NULL },
	{ BMH, SPEC("'bootMACAddress':'52:54:00:aa:00:01:77'"),
	  "spec.bootMACAddress: Invalid value: \"52:54:00:aa:00:01:77\": must be a MAC address" },
	{ BMH, SPEC("'bootMode':'UEFISecureBoot'"), NULL },
	{ BMH, SPEC(IPMI ",'bootMode':'UEFISecureBoot'"),
	  "BMC driver ipmi does not support secure boot" },
	{ BMH, SPEC("'inspectionMode':'fast'"), NULL },
	{ BMH, SPEC(IPMI ",'inspectionMode':'fast'"),
	  "BMC driver ipmi does not support fast inspection" },
	/* 6 names */
	{ BMH, "{'metadata':{'name':'rack-1.node_2'}}", NULL },
	{ BMH, "{'metadata':{'name':'node:1'}}", "metadata.name: Invalid value" },
	{ BMH, "{'metadata':{'name':'6ba7b810-9dad-11d1-80b4-00c04fd430c8'}}",
	  "must not look like a UUID" },
	{ BMH, "{'metadata':{'name':'6BA7B8109DAD11D180B400C04FD430C8'}}",
	  "must not look like a UUID" },
	{ BMH, "{'metadata':{'name':'{6ba7b810-9dad-11d1-80b4-00c04fd430c8}'}}",
	  "must not look like a UUID" },
	{ BMH, "{'metadata':{'name':'urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8'}}",
	  "must not look like a UUID" },
	{ BMH, "{'metadata':{'name':'6ba7b810-9dad-11d1-80b4-00c04fd430c'}}", NULL },
	/* 7 device names */
	{ BMH, SPEC("'rootDeviceHints':{'deviceName':'/dev/sda'}"), NULL },
	{ BMH, SPEC("'rootDeviceHints':{'deviceName':'/dev/disk/by-path/pci-0:1'}"), NULL },
	{ BMH, SPEC("'rootDeviceHints':{'deviceName':'sda'}"), "spec.rootDeviceHints.deviceName" },
	{ BMH, SPEC("'rootDeviceHints':{'deviceName':'/dev/'}"),
	  "spec.rootDeviceHints.deviceName" },
	{ BMH, SPEC("'rootDeviceHints':{'deviceName':'/dev/disk/by-id/x'}"),
	  "spec.rootDeviceHints.deviceName" },
	/* 8 images */
	{ BMH, IMAGE("'url':'HTTPS://a/b','checksum':'c'"), NULL },
	{ CLAIM, IMAGE("'url':'oci://registry/repo:tag'"), NULL },
	{ CLAIM, IMAGE("'url':'ftp://a/b','checksum':'c'"), NULL },
	{ CLAIM, IMAGE("'url':'gopher://a/b','checksum':'c'"), NULL },
	{ CLAIM, IMAGE("'url':'http://a/b.iso','format':'live-iso','checksum':'c'"), NULL },
	{ CLAIM, IMAGE("'url':'http://a/b.iso','format':'live-iso'"), NULL },
	/* what cannot be done yet; of a host that is not deployed here it says nothing */
	{ BMH, IMAGE("'url':'oci://registry/repo:tag'"),
	  "spec.image.url: Forbidden: images of scheme oci:// are not supported" },
	{ BMH, IMAGE("'url':'ftp://a/b','checksum':'c'"), "scheme ftp:// are not supported" },
	{ BMH, IMAGE("'url':'gopher://a/b','checksum':'c'"), "scheme gopher:// are not supported" },
	{ BMH, IMAGE("'url':'http://a/b.iso','format':'live-iso'"),
	  "spec.image.format: Forbidden: images of format live-iso are not supported" },
	{ BMH, IMAGE("'url':'http://a/b','format':'vmdk','checksum':'c'"), "qemu-img convert" },
	{ BMH, IMAGE("'url':'http://a/b','format':'vdi','checksum':'c'"), "qemu-img convert" },
	{ BMH,
	  IMAGE("'url':'http://a/b','checksum':'d41d8cd98f00b204e9800998ecf8427e','checksumType':'sha256'"),
	  "spec.image.checksum: Invalid value: the checksum has 32 digits, as md5 has" },
	{ BMH, SPEC("'customDeploy':{'method':'install_coreos'}"),
	  "spec.customDeploy: Forbidden: custom deploy steps are not supported yet" },
	{ BMH, SPEC("'raid':{'softwareRAIDVolumes':[{'level':'1'}]}"),
	  "spec.raid.softwareRAIDVolumes: Forbidden: software RAID is not supported yet" },
	{ BMH, SPEC("'raid':{'softwareRAIDVolumes':[]}"), NULL },
	{ BMH, SPEC("'externallyProvisioned':true,'customDeploy':{'method':'install_coreos'}"),
	  NULL },
	{ BMH, IMAGE("'url':'http://a/b'"), "spec.image.checksum: Required value" },
	{ BMH, IMAGE("'url':'oci://a/b','checksum':'c'"), "spec.image.checksum: Forbidden" },
	{ BMH, IMAGE("'url':'http://a/b','checksum':'c','checksumType':'crc32'"),
	  "spec.image.checksumType: Unsupported value: \"crc32\"" },
	{ BMH, IMAGE("'url':'','checksum':'c'"), "spec.image.url: Required value" },
	{ BMH, IMAGE("'url':'/b','checksum':'c'"), "must be an absolute URL" },
	{ BMH, IMAGE("'url':'http:///b','checksum':'c'"), "must name a host" },
	{ BMH, IMAGE("'url':'nfs://a/b','checksum':'c'"), "its scheme must be http" },
	{ BMH, IMAGE("'url':'http://a/b c','checksum':'c'"), "no blanks" },
	{ BMH, IMAGE("'url':'http://a/%zz','checksum':'c'"), "broken %-escape" },
	/* 9 annotations */
	{ BMH, NOTE("'reboot.metal3.io':'','reboot.metal3.io/x':''"), NULL },
	{ BMH, NOTE("'reboot.metal3.io':'{`mode`:`hard`,`other`:1}'"), NULL },
	{ BMH, NOTE("'reboot.metal3.io':'{`mode`:`now`}'"),
	  "metadata.annotations[reboot.metal3.io]: Invalid value: mode must be" },
	{ BMH, NOTE("'reboot.metal3.io/x':'hard'"), "metadata.annotations[reboot.metal3.io/x]" },
	{ BMH, NOTE("'reboot.metal3.io':'{`force`:1}'"), "force must be true or false" },
	{ BMH, NOTE("'inspect.metal3.io':''"), NULL },
	{ BMH, NOTE("'inspect.metal3.io':'disabled'"), NULL },
	{ BMH, NOTE("'inspect.metal3.io':'please'"), "must be empty" },
	{ BMH, NOTE("'baremetalhost.metal3.io/detached':'anything'"), NULL },
	{ BMH,
	  NOTE("'baremetalhost.metal3.io/status':'{`operationalStatus`:`servicing`,"
	       "`errorType`:`servicing error`,`hardware`:{`ramMebibytes`:4}}'"),
	  NULL },
	{ BMH, NOTE("'baremetalhost.metal3.io/status':'{`operationalStatus`:`fine`}'"),
	  "metadata.annotations[baremetalhost.metal3.io/status]" },
	{ BMH, NOTE("'baremetalhost.metal3.io/status':'{`errorType`:`odd`}'"), "status]" },
	{ BMH, NOTE("'baremetalhost.metal3.io/status':'{`colour`:1}'"),
	  "unknown field \"colour\"" },
	{ BMH, NOTE("'baremetalhost.metal3.io/status':'{`hardware`:{`fans`:1}}'"),
	  "unknown field \"hardware.fans\"" },
	{ BMH, NOTE("'baremetalhost.metal3.io/status':'no json'"), "status]" },
	{ BMH, STATUS("`conditions`:[{`foo`:1}]"), "unknown field \"conditions[0].foo\"" },
	{ BMH, STATUS("`conditions`:[{`type`:1}]"), "conditions[0].type" },
	{ BMH,
	  STATUS("`conditions`:[{`type`:`Ready`,`status`:`True`,`reason`:`Provisioned`,`message`:``,"
		 "`lastTransitionTime`:`2026-01-01T00:00:00Z`}]"),
	  NULL },
	{ BMH, STATUS("`provisioning`:{`raid`:{`foo`:1}}"), "provisioning.raid.foo" },
	{ BMH, STATUS("`provisioning`:{`raid`:{`hardwareRAIDVolumes`:`x`}}"),
	  "hardwareRAIDVolumes" },
	{ BMH, STATUS("`provisioning`:{`raid`:{`softwareRAIDVolumes`:[{`level`:`1`}]}}"), NULL },
	{ BMH, STATUS("`provisioning`:{`rootDeviceHints`:{`foo`:1}}"), "rootDeviceHints.foo" },
	{ BMH, STATUS("`provisioning`:{`rootDeviceHints`:{`hctl`:1}}"), "rootDeviceHints.hctl" },
	{ BMH, STATUS("`provisioning`:{`rootDeviceHints`:{`hctl`:`0:0:0:0`}}"), NULL },
	{ BMH, STATUS("`provisioning`:{`firmware`:{`foo`:1}}"), "firmware.foo" },
	{ BMH, STATUS("`provisioning`:{`state`:`provisioned`,`bootMode`:`legacy`}"), NULL },
	{ BMH,
	  "{'metadata':{'annotations':{'inspect.metal3.io/hardwaredetails':"
	  "'{`nics`:[{`mac`:`52:54:00:aa:00:02`,`pxe`:true}],`cpu`:null}'}},"
	  "'spec':{'inspectionMode':'disabled'}}",
	  NULL },
	{ BMH, NOTE("'inspect.metal3.io/hardwaredetails':'{}'"),
	  "needs spec.inspectionMode: disabled" },
	{ BMH,
	  NOTE("'inspect.metal3.io':'disabled','inspect.metal3.io/hardwaredetails':'{`cpus`:1}'"),
	  "unknown field \"cpus\"" },
	{ BMH,
	  NOTE("'inspect.metal3.io':'disabled','inspect.metal3.io/hardwaredetails':'{`hostname`:1}'"),
	  "hostname: Invalid value: \"integer\"" },
	{ BMH,
	  NOTE("'inspect.metal3.io':'disabled','inspect.metal3.io/hardwaredetails':'{`nics`:1}'"),
	  "nics: Invalid value: \"integer\"" },
	{ BMH, DETAILS("`nics`:[{`mac`:`zz`}]"), "nics[0].mac" },
	{ BMH, DETAILS("`storage`:[{`type`:`TAPE`}]"), "storage[0].type: Unsupported value" },
	{ BMH, DETAILS("`ramMebibytes`:1.5"), "ramMebibytes" },
	{ BMH, DETAILS("`cpu`:{`clockMegahertz`:2400.5,`count`:4}"), NULL },
	/* 10 inspection, said twice */
	{ BMH,
	  "{'metadata':{'annotations':{'inspect.metal3.io':'disabled'}},'spec':{'inspectionMode':'disabled'}}",
	  NULL },
	{ BMH,
	  "{'metadata':{'annotations':{'inspect.metal3.io':'disabled'}},'spec':{'inspectionMode':'agent'}}",
	  "contradicts the annotation inspect.metal3.io: disabled" },
	/* 11 power */
	{ BMH, SPEC("'disablePowerOff':true"), NULL },
	{ BMH, SPEC("'disablePowerOff':true,'online':false"), "spec.online: Invalid value: false" },
	/* 12 interfaces */
	{ BMH, SPEC("'networkInterfaces':[{'name':'eth0'},{'macAddress':'52:54:00:aa:00:01'}]"),
	  NULL },
	{ BMH, SPEC("'networkInterfaces':[{}]"),
	  "spec.networkInterfaces[0]: Invalid value: must have either" },
	{ BMH, SPEC("'networkInterfaces':[{'name':'a','macAddress':'b'}]"), "must have either" },
	{ BMH, SPEC("'networkInterfaces':[{'name':'eth0'},{'name':'ETH0'}]"),
	  "spec.networkInterfaces[1]: Duplicate value: \"ETH0\"" },
	{ BMH,
	  SPEC("'networkInterfaces':[{'macAddress':'52:54:00:aa:00:01'},{'macAddress':'52:54:00:AA:00:01'}]"),
	  "spec.networkInterfaces[1]: Duplicate value" },
	/* all of them at once */
	{ BMH, SPEC("'disablePowerOff':true,'online':false,'firmware':{}"),
	  "[spec.firmware: Forbidden" },
	/* BMCEventSubscription */
	{ "BMCEventSubscription", "{}", NULL },
	{ "BMCEventSubscription", SPEC("'httpHeadersRef':{'name':'h','namespace':'metal3'}"),
	  NULL },
	{ "BMCEventSubscription", SPEC("'hostName':''"), "spec.hostName: Required value" },
	{ "BMCEventSubscription", SPEC("'destination':''"), "spec.destination: Required value" },
	{ "BMCEventSubscription", SPEC("'destination':'events/in'"), "must be an absolute URL" },
	{ "BMCEventSubscription", SPEC("'destination':'https://events.example.com'"),
	  "must have a path" },
	{ "BMCEventSubscription", SPEC("'destination':'https://events.example.com/'"), NULL },
	{ "BMCEventSubscription", SPEC("'httpHeadersRef':{'name':'h'}"),
	  "spec.httpHeadersRef.namespace: Invalid value: \"\": must be the subscription's own" },
	{ "BMCEventSubscription", SPEC("'httpHeadersRef':{'name':'h','namespace':'other'}"),
	  "spec.httpHeadersRef.namespace: Invalid value: \"other\"" },
	/* DataImage, HostFirmwareComponents */
	{ "DataImage", "{}", NULL },
	{ "DataImage", SPEC("'url':'ldap://a/b'"), "spec.url: Invalid value" },
	{ "DataImage", SPEC("'url':''"), "spec.url: Required value" },
	{ "HostFirmwareComponents", SPEC("'updates':[{'component':'bios','url':'https://a/b'}]"),
	  NULL },
	{ "HostFirmwareComponents",
	  SPEC("'updates':[{'component':'bios','url':'https://a/b'},{'component':'bmc','url':'b'}]"),
	  "spec.updates[1].url: Invalid value" },
	{ "BMCEventSubscription",
	  SPEC("'httpHeadersRef':{'name':'ingot-engine','namespace':'metal3'}"),
	  "spec.httpHeadersRef.name: Invalid value: \"ingot-engine\": is a Secret of Ingot's own" },
	/* HostClaim */
	{ "HostClaim", SPEC("'metaData':{'name':'ingot-engine'}"),
	  "spec.metaData.name: Invalid value: \"ingot-engine\"" },
	{ "HostClaim", SPEC("'hostSelector':{'matchLabels':{'example.com/rack':'r1'}}"), NULL },
	{ "HostClaim", SPEC("'hostSelector':{'matchLabels':{'-rack':'r1'}}"),
	  "spec.hostSelector.matchLabels:" },
	{ "HostClaim", SPEC("'hostSelector':{'matchLabels':{'rack':'-'}}"),
	  "spec.hostSelector.matchLabels[rack]" },
	{ "HostClaim",
	  SPEC("'hostSelector':{'matchExpressions':[{'key':'a','operator':'in','values':['x','y']},"
	       "{'key':'a','operator':'!','values':[]},{'key':'a','operator':'!=','values':['x']}]}"),
	  NULL },
	{ "HostClaim",
	  SPEC("'hostSelector':{'matchExpressions':[{'key':'a','operator':'In','values':['x']}]}"),
	  "matchExpressions[0].operator: Unsupported value: \"In\"" },
	{ "HostClaim",
	  SPEC("'hostSelector':{'matchExpressions':[{'key':'a','operator':'=','values':['x','y']}]}"),
	  "operator = takes exactly one value" },
	{ "HostClaim",
	  SPEC("'hostSelector':{'matchExpressions':[{'key':'a','operator':'notin','values':[]}]}"),
	  "at least one value" },
	{ "HostClaim",
	  SPEC("'hostSelector':{'matchExpressions':[{'key':'a','operator':'exists','values':['x']}]}"),
	  "takes no values" },
	{ "HostClaim",
	  SPEC("'hostSelector':{'matchExpressions':[{'key':'a','operator':'in','values':['_']}]}"),
	  "matchExpressions[0].values[0]" },
	{ "HostClaim", SPEC("'hostSelector':{'matchExpressions':[{'key':'','operator':'exists'}]}"),
	  "matchExpressions[0].key" },
	{ "HostClaim", IMAGE("'url':'http://a/b'"), "spec.image.checksum: Required value" },
	{ "HostClaim", NOTE("'reboot.metal3.io/me':'{`mode`:`hard`}'"), NULL },
	{ "HostClaim", NOTE("'reboot.metal3.io':'soon'"),
	  "metadata.annotations[reboot.metal3.io]" },
	/* HostNetworkAttachment */
	{ "HostNetworkAttachment", "{}", NULL },
	{ "HostNetworkAttachment", SPEC("'mode':'access','allowedVLANs':null"), NULL },
	{ "HostNetworkAttachment", SPEC("'mode':'access'"), "spec.allowedVLANs: Forbidden" },
	{ "HostNetworkAttachment", SPEC("'allowedVLANs':['0']"),
	  "spec.allowedVLANs[0]: Invalid value: \"0\"" },
	{ "HostNetworkAttachment", SPEC("'allowedVLANs':['4095']"), "spec.allowedVLANs[0]" },
	{ "HostNetworkAttachment", SPEC("'allowedVLANs':['1','7-7']"), "spec.allowedVLANs[1]" },
	{ "HostNetworkAttachment", SPEC("'allowedVLANs':['9-5']"), "A less than B" },
	/* no rules */
	{ "HardwareData", SPEC("'anything':1"), NULL },
};

static void test_creations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(creations); i++) {
		_cleanup_(json_freep) struct json *now = object_of(creations[i].kind,
								   creations[i].patch);
		_cleanup_(freep) char *said = ask(RULE_CREATE, creations[i].kind, NULL, now);
		expect(creations[i].patch, said, creations[i].denial);
		assert_true(!said || !strstr(said, "hunter2"));
	}
}

/* --- updates ---------------------------------------------------------------------------------- */

#define BAD	    "'image':{'url':'http://a/b'}"
#define STATE(text) "'status':{'provisioning':{'state':'" text "'}}"

static const struct {
	const char *kind, *old, *now, *denial;
} updates[] = {
	/* what was bad before stands in nobody's way */
	{ BMH, SPEC(BAD),
	  "{'metadata':{'finalizers':['baremetalhost.metal3.io']},'spec':{" BAD "}}", NULL },
	{ BMH, SPEC(BAD), "{'metadata':{'labels':{'a':'b'}},'spec':{" BAD "}}", NULL },
	{ BMH, SPEC(BAD),
	  "{'metadata':{'annotations':{'baremetalhost.metal3.io/paused':''}},'spec':{" BAD "}}",
	  NULL },
	{ BMH, SPEC(BAD),
	  "{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'},'spec':{" BAD
	  ",'firmware':{}}}",
	  NULL },
	{ BMH, NOTE("'reboot.metal3.io':'x'"),
	  "{'metadata':{'annotations':{'reboot.metal3.io':'x'},'finalizers':['a']}}", NULL },
	{ BMH, NOTE("'reboot.metal3.io':'x'"), "{}", NULL },
	{ BMH, "{'metadata':{'name':'6ba7b8109dad11d180b400c04fd430c8'}}",
	  "{'metadata':{'name':'6ba7b8109dad11d180b400c04fd430c8'},'spec':{'online':false}}",
	  NULL },
	/* a new fault does, and so does an old one in a spec that is edited */
	{ BMH, "{}", SPEC(BAD), "spec.image.checksum" },
	{ BMH, SPEC(BAD), "{'spec':{" BAD ",'online':false}}", "spec.image.checksum" },
	{ BMH, NOTE("'reboot.metal3.io':'x'"), NOTE("'reboot.metal3.io':'y'"), "reboot.metal3.io" },
	{ BMH, NOTE("'reboot.metal3.io':'x'"),
	  "{'metadata':{'annotations':{'reboot.metal3.io':'x'}},'spec':{'online':false}}",
	  "reboot.metal3.io" },
	/* what cannot be done is told to whoever asks for it, and nobody is locked out by it */
	{ BMH, "{}", SPEC("'customDeploy':{'method':'x'}"), "spec.customDeploy" },
	{ BMH, SPEC("'customDeploy':{'method':'x'}"),
	  SPEC("'online':false,'customDeploy':{'method':'x'}"), NULL },
	{ BMH, SPEC("'customDeploy':{'method':'x'}"), SPEC("'customDeploy':{'method':'y'}"),
	  "spec.customDeploy" },
	{ BMH, SPEC("'customDeploy':{'method':'x'}"), "{}", NULL },
	{ BMH, IMAGE("'url':'oci://a/b'"), SPEC("'online':false,'image':{'url':'oci://a/b'}"),
	  NULL },
	{ BMH, IMAGE("'url':'oci://a/b'"), IMAGE("'url':'oci://a/c'"), "scheme oci://" },
	/* addresses of BMCs */
	{ BMH, "{}", SPEC("'bmc':{'address':'ipmi://192.0.2.8'}"),
	  "spec.bmc.address: Forbidden: can be changed only while the host is registering or detached" },
	{ BMH, "{}", SPEC("'bmc':null"), "spec.bmc.address: Forbidden" },
	{ BMH, "{" STATE("registering") "}", "{" STATE("registering") ",'spec':{" IPMI "}}", NULL },
	{ BMH, "{'status':{'operationalStatus':'detached'}}", SPEC(IPMI), NULL },
	{ BMH, SPEC("'bmc':null"), "{}", NULL },
	{ BMH, "{}", SPEC("'bmc':{'credentialsName':'other'}"), NULL },
	/* MAC addresses */
	{ BMH, "{}", SPEC("'bootMACAddress':'52:54:00:aa:00:02'"),
	  "cannot be changed once the host has booted by it (52:54:00:aa:00:01)" },
	{ BMH, "{" STATE("inspecting") "}",
	  "{" STATE("inspecting") ",'spec':{'bootMACAddress':'52:54:00:aa:00:02'}}", NULL },
	{ BMH,
	  "{'status':{'provisioning':{'state':'available'},'hardware':{'nics':[{'mac':'52:54:00:AA:00:01'}]}}}",
	  SPEC("'bootMACAddress':'52:54:00:aa:00:02'"),
	  "cannot be changed once the host has booted" },
	{ BMH,
	  "{'status':{'provisioning':{'state':'available'},'hardware':{'nics':[{'mac':'52:54:00:aa:00:09'}]}}}",
	  SPEC("'bootMACAddress':'52:54:00:aa:00:02'"), NULL },
	{ BMH, "{'status':{'provisioning':{'state':'available','image':{'url':'http://a/b'}}}}",
	  SPEC("'bootMACAddress':'52:54:00:aa:00:02'"),
	  "cannot be changed once the host has booted" },
	{ BMH, "{}", SPEC("'bootMACAddress':null"), "spec.bootMACAddress: Forbidden" },
	{ BMH, "{}", SPEC("'bootMACAddress':'52:54:00:AA:00:01'"), NULL },
	{ BMH, SPEC("'bootMACAddress':null"), "{}", NULL },
	/* externallyProvisioned */
	{ BMH, "{}", SPEC("'externallyProvisioned':true"), "it is provisioned" },
	{ BMH, "{" STATE("ready") "}", "{" STATE("ready") ",'spec':{'externallyProvisioned':true}}",
	  "it is ready" },
	{ BMH, "{" STATE("") "}", "{" STATE("") ",'spec':{'externallyProvisioned':true}}",
	  "it is new" },
	{ BMH, "{" STATE("available") "}",
	  "{" STATE("available") ",'spec':{'externallyProvisioned':true}}", NULL },
	{ BMH, SPEC("'externallyProvisioned':true"), "{}", NULL },
	/* the others */
	{ "BMCEventSubscription", "{}", "{'metadata':{'finalizers':['x']}}", NULL },
	{ "BMCEventSubscription", SPEC("'httpHeadersRef':{'name':'h','namespace':'metal3'}"),
	  "{'metadata':{'finalizers':['x']},'spec':{'httpHeadersRef':{'name':'h','namespace':'metal3'}}}",
	  NULL },
	{ "BMCEventSubscription", "{}", SPEC("'context':'c'"), "a subscription cannot be changed" },
	{ "DataImage", SPEC("'url':'x'"), "{'metadata':{'finalizers':['x']},'spec':{'url':'x'}}",
	  NULL },
	{ "DataImage", "{}", SPEC("'url':'x'"), "spec.url" },
	{ "HostClaim", "{}", IMAGE("'url':'x','checksum':'y'"), "spec.image.url" },
	{ "HostFirmwareComponents", "{}", SPEC("'updates':[{'component':'bmc','url':'b'}]"),
	  "spec.updates[0].url" },
};

static void test_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(updates); i++) {
		_cleanup_(json_freep) struct json *old = object_of(updates[i].kind, updates[i].old),
						  *now = object_of(updates[i].kind, updates[i].now);
		_cleanup_(freep) char *said = ask(RULE_UPDATE, updates[i].kind, old, now);
		_cleanup_(freep) char *what = xasprintf("%s -> %s", updates[i].old, updates[i].now);
		expect(what, said, updates[i].denial);
	}
}

/* --- HostNetworkAttachment and who refers to it --- */

static char *attachment(enum rule_operation operation, const char *patch, const char *hosts,
			char **ret_warning)
{
	_cleanup_(json_freep) struct json *old = object_of("HostNetworkAttachment", "{}"),
					  *now = object_of("HostNetworkAttachment", patch),
					  *list = hosts ? parse_quoted(hosts) : NULL;
	struct rule_findings f = { 0 };
	const struct rule_subject s = { .operation = operation,
					.kind = "HostNetworkAttachment",
					.ns = "metal3",
					.name = "net",
					.old = old,
					.now = operation == RULE_DELETE ? NULL : now,
					.hosts = list,
					.no_hosts_because = "the API is away" };
	rules_check(&s, &f);
	char *text = rule_findings_text(&f);
	*ret_warning = xstrdup(f.warning_count ? f.warnings[0] : "");
	rule_findings_done(&f);
	return text;
}

static void test_attachments(void **state)
{
	static const char users[] =
		"[{'metadata':{'name':'a','namespace':'metal3'},'spec':{'networkInterfaces':["
		"{'name':'eth0','hostNetworkAttachment':{'name':'net'}},"
		"{'name':'eth1','hostNetworkAttachment':{'name':'other'}}]}},"
		"{'metadata':{'name':'b','namespace':'x'},'spec':{'networkInterfaces':["
		"{'macAddress':'m','hostNetworkAttachment':{'name':'net','namespace':'metal3'}}]}}]";
	static const char others[] =
		"[{'metadata':{'name':'b','namespace':'x'},'spec':{'networkInterfaces':["
		"{'name':'eth0','hostNetworkAttachment':{'name':'net'}}]}}]";
	static const struct {
		enum rule_operation operation;
		const char *patch, *hosts, *denial, *warning;
	} rows[] = {
		{ RULE_DELETE, "{}", others, NULL, "" },
		{ RULE_DELETE, "{}", users, "it cannot be deleted while",
		  "referenced by metal3/a[eth0], x/b[m]" },
		{ RULE_DELETE, "{}", NULL, "it cannot be deleted: the API is away", "" },
		{ RULE_UPDATE, SPEC("'nativeVLAN':2"), others, NULL,
		  "HostNetworkAttachment is stored, and nothing comes of it: no controller of "
		  "this Ingot acts on that kind yet" },
		{ RULE_UPDATE, SPEC("'nativeVLAN':2"), users, "it cannot be changed while",
		  "referenced by metal3/a[eth0], x/b[m]" },
		{ RULE_UPDATE, SPEC("'nativeVLAN':2"), NULL,
		  "it cannot be changed: the API is away", "" },
		{ RULE_UPDATE, "{'metadata':{'labels':{'a':'b'}}}", NULL, NULL, "" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *warning = NULL;
		_cleanup_(freep) char *said = attachment(rows[i].operation, rows[i].patch,
							 rows[i].hosts, &warning);
		expect(rows[i].patch, said, rows[i].denial);
		assert_string_equal(warning, rows[i].warning);
	}
}

/* --- warnings --------------------------------------------------------------------------------- */

static char *warnings(const char *kind, const char *before, const char *after)
{
	_cleanup_(json_freep) struct json *old = before ? object_of(kind, before) : NULL,
					  *now = object_of(kind, after);
	const struct rule_subject s = { .operation = before ? RULE_UPDATE : RULE_CREATE,
					.kind = kind,
					.ns = "metal3",
					.name = "x",
					.old = old,
					.now = now };
	struct rule_findings f = { 0 };
	struct strbuf text = { 0 };
	rules_check(&s, &f);
	strbuf_adds(&text, "");
	for (size_t i = 0; i < f.warning_count; i++)
		strbuf_addf(&text, "%s;", f.warnings[i]);
	rule_findings_done(&f);
	return strbuf_take(&text, NULL);
}

/* What is taken and comes to nothing is told, once, and not of each edit of something else. */
static void test_warnings(void **state)
{
	static const char finalizer[] = "{'metadata':{'finalizers':['x']}}";
	static const struct {
		const char *kind, *before, *after, *word; /* NULL: none */
	} rows[] = {
		{ "HostClaim", NULL, "{}", "nothing comes of it" },
		{ "HostClaim", "{}", finalizer, NULL },
		{ "HostClaim", "{}", SPEC("'poweredOn':false"), "nothing comes of it" },
		{ "DataImage", NULL, "{}", "nothing comes of it" },
		{ "DataImage", NULL, SPEC("'url':'x'"), NULL }, /* it is refused */
		{ "HostFirmwareSettings", NULL, "{}", "HostFirmwareSettings is stored" },
		{ "HostUpdatePolicy", NULL, "{}", "HostUpdatePolicy is stored" },
		{ "HostDeployPolicy", NULL, "{}", "HostDeployPolicy is stored" },
		{ "BareMetalSwitch", NULL, "{}", "BareMetalSwitch is stored" },
		{ "PreprovisioningImage", NULL, "{}", "PreprovisioningImage is stored" },
		{ "HardwareData", NULL, "{}", NULL },
		{ BMH, NULL, "{}", NULL },
		{ BMH, NULL, SPEC("'networkInterfaces':[{'name':'a'}]"), "networkInterfaces" },
		{ BMH, NULL, SPEC("'taints':[{'key':'a','effect':'b'}]"), "spec.taints" },
		{ BMH, SPEC("'taints':[{'key':'a','effect':'b'}]"),
		  SPEC("'online':false,'taints':[{'key':'a','effect':'b'}]"), NULL },
		{ BMH, "{'status':{'hardwareProfile':'unknown'}}",
		  "{'status':{'hardwareProfile':'unknown'},'spec':{'hardwareProfile':'dell'}}",
		  "registered with profile unknown" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *said = warnings(rows[i].kind, rows[i].before, rows[i].after);
		bool right = rows[i].word ? strstr(said, rows[i].word) != NULL : !*said;
		if (!right)
			fail_msg("%s %s: warned \"%s\"", rows[i].kind, rows[i].after, said);
	}
}

/* Only deletions of attachments are asked about, and only they and changes of theirs need hosts. */
static void test_table(void **state)
{
	(void)state;
	for (const struct rule_kind *k = rules_kinds(); k->kind; k++) {
		_cleanup_(json_freep) struct json *old = object_of(k->kind, "{}");
		const struct rule_subject s = { .operation = RULE_DELETE,
						.kind = k->kind,
						.old = old };
		assert_ptr_equal(rules_find(k->kind), k);
		assert_int_equal(k->deletions, rules_want_hosts(&s));
		if (!k->deletions) {
			_cleanup_(freep) char *said = ask(RULE_DELETE, k->kind, old, NULL);
			assert_null(said);
		}
	}
	_cleanup_(freep) char *text = rules_denial(BMH, "spec.x: no");
	assert_string_equal(
		text,
		"admission webhook \"baremetalhost.metal3.io\" denied the request: spec.x: no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_creations),   cmocka_unit_test(test_updates),
		cmocka_unit_test(test_attachments), cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
